"""``neighbours``: what is around a point of a code bank."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from studio.cli.console import emit, print_sheet, print_table
from studio.cli.files import save_picture
from studio.cli.making import Made, steps_of
from studio.cli.options import Frame, Json, OutFolder, Seed


def neighbours(
    photo: Annotated[Path | None, typer.Argument(metavar="[PHOTO]", help="Where to stand; without one the seed decides.")] = None,
    domain: Annotated[str, typer.Option(help="What the bank is of: face, flower or bird.")] = "face",
    seed: Seed = 0,
    k: Annotated[int, typer.Option(help="Neighbours that make a new picture.")] = 5,
    spread: Annotated[float, typer.Option(help="0 stays here, 1 is the paper's, 2 leaves the neighbourhood.")] = 1.0,
    bandwidth: Annotated[float | None, typer.Option(help="Draws from a density: 0.02 remembers, 1.5 invents.")] = None,
    count: Annotated[int, typer.Option("--n", help="How many new pictures.")] = 12,
    frame: Frame = "auto",
    out: OutFolder = Path("results"),
    as_json: Json = False,
) -> None:
    """Look around a point of a code bank: its neighbours, and new pictures near it; writes each of them and a sheet."""
    from studio.pipelines.neighbourhood import NeighboursRequest

    way = {"k": k, "spread": spread} if bandwidth is None else {"way": "density", "bandwidth": bandwidth}
    request = NeighboursRequest(domain, seed=seed, count=count, **way)
    _, data = _make_neighbours(request, out, as_json, photo, frame)
    emit(data, as_json, _show_neighbours)


def make_again(recipe: Any, photos: Sequence[Path], out: Path, quiet: bool) -> Made:
    """Looks around again where the recipe says; it has the place's code, so no photo is needed."""
    from studio.pipelines.neighbourhood import request_from_recipe

    return *_make_neighbours(request_from_recipe(recipe), out, quiet), _show_neighbours


def _make_neighbours(
    request: Any, out: Path, quiet: bool, photo: Path | None = None, frame: str = "auto"
) -> tuple[Any, dict[str, Any]]:
    """Looks around and saves what is there. Returns the recipe and the rows to print."""
    from studio.core.images import open_photo
    from studio.pipelines.neighbourhood import find_place, look_around, near_words, place_recipe

    def verb(engine: Any, request: Any) -> Iterator[Any]:
        if photo:
            code = find_place(engine, request.domain, open_photo(photo), frame=frame)
            request = replace(request, code=tuple(map(float, code)))
        yield from look_around(engine, request)

    *_, result = steps_of(verb, request, "Looking around", quiet)
    rows = []
    for place in (result.here, *result.neighbours, *result.samples):
        name = f"{request.domain}-{place.kind}-{place.index + 1:02d}"
        path = save_picture(out, name, place.image, place_recipe(result, place))
        near = {"distance": round(place.distance, 4), "words": near_words(place), "class": place.label}
        rows.append({"path": path, "kind": place.kind, "index": place.index, **near})
    sheet = save_picture(out, "neighbours", result.sheet, result.recipe)
    return result.recipe, {"results": rows, "code": list(result.request.code), "study": result.study, "sheet": sheet}


def _show_neighbours(data: dict[str, Any]) -> None:
    rows = [(f"{row['kind']} {row['index'] + 1}", row["words"], row["class"], row["path"]) for row in data["results"]]
    print_table("Neighbourhood", ("picture", "how new", "class", "file"), rows)
    print_sheet(data)
