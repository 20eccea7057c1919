"""``evaluate character``: the face-to-animal networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from studio.cli.console import emit, print_table
from studio.cli.evaluate.shared import Data, measuring
from studio.cli.options import Animals, Json, animals_in


def evaluate_character(
    data: Data = None,
    animals: Animals = "all",
    save: Annotated[bool, typer.Option("--save", help="Put the figures into the models' cards.")] = False,
    as_json: Json = False,
) -> None:
    """Measure the face-to-animal networks on part 9 of the data packs, beside real animals."""
    from studio.pipelines.parts import choose_animals
    from studio.train import evaluate as measure

    results = []
    with measuring(quiet=as_json) as (engine, report):
        cards = [info.card for info in choose_animals(engine, animals_in(animals))]
        steps = measure.evaluate_character(engine, cards, data, lambda done, total: report(done, total, "Translating"))
        for figures in steps:
            results.append(figures.to_dict())
            if save:
                measure.save_measures(engine.registry, figures)
    emit({"results": results}, as_json, lambda _: print_table("Characters on part 9", *_figure_table(results)))


def _figure_table(results: Sequence[dict[str, Any]]) -> tuple[Sequence[str], list[tuple[str, ...]]]:
    columns = "animal", "named right", "real", "score(Y)", "real", "score(X)", "real", "varied", "KID"
    names = (
        "named_right", "real_named_right", "animal_score", "real_animal_score", "face_score", "real_face_score",
        "diversity_ratio", "kid",
    )  # fmt: skip
    return columns, [(r["animal"], *(f"{r[name]:.3f}" for name in names)) for r in results]
