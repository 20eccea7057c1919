"""``again``: a saved picture is made again from its recipe."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from studio.cli import character, domains, dream, makeup, manifold, morph, neighbours
from studio.cli.console import emit
from studio.cli.making import Made
from studio.cli.options import Json, OutFolder

# By the recipe's tab, or by tab and verb where a verb has its own command.
MAKERS = {
    ("character", "dream"): dream.make_again,
    ("character", "stages"): dream.make_again,
    ("manifold", "neighbours"): neighbours.make_again,
    "manifold": manifold.make_again,
    "morph": morph.make_again,
    "makeup": makeup.make_again,
    "domains": domains.make_again,
}


def again(
    picture: Annotated[Path, typer.Argument(help="A PNG that the studio saved.")],
    photos: Annotated[list[Path] | None, typer.Argument(metavar="[PHOTO...]", help="The photos it was made from.")] = None,
    out: OutFolder = Path("results"),
    as_json: Json = False,
) -> None:
    """Make a saved picture again from its recipe; "exact" tells whether the networks are still the same."""
    from studio.core.recipe import Recipe

    recipe = Recipe.from_png(picture)
    made, data, show = _maker(recipe)(recipe, photos or [], out, as_json)
    data["exact"] = made.checkpoints == recipe.checkpoints
    emit(data, as_json, show)


def _maker(recipe: Any) -> Callable[[Any, Sequence[Path], Path, bool], Made]:
    """What makes the recipe's verb again."""
    # Of a recipe that no tab here knows, character says so.
    return MAKERS.get((recipe.tab, recipe.verb)) or MAKERS.get(recipe.tab, character.make_again)
