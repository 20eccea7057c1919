"""``character``: photos of people become animals."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from studio.cli.console import emit, print_sheet, print_table
from studio.cli.files import save_picture
from studio.cli.making import Made, steps_of
from studio.cli.options import Animals, Frame, Json, OutFolder, animals_in, faces_of


def character(
    photos: Annotated[list[Path], typer.Argument(metavar="PHOTO...", help="Photos of people.")],
    animals: Animals = "all",
    strength: Annotated[float, typer.Option(help="0 the photo, 1 the animal, up to 1.3 a caricature.")] = 1.0,
    frame: Frame = "auto",
    face: Annotated[int | None, typer.Option(min=1, help="Which face of each photo, 1 the largest.")] = None,
    out: OutFolder = Path("results"),
    as_json: Json = False,
) -> None:
    """Turn photos of people into animals; writes a picture for each and a sheet of all."""
    from studio.core.images import open_photo
    from studio.pipelines.character import CharacterRequest

    opened = tuple(open_photo(path) for path in photos)
    request = CharacterRequest(opened, animals_in(animals), strength, faces_of(face, opened), frame)
    _, data = _make_characters(request, photos, out, quiet=as_json)
    emit(data, as_json, _show_results)


def make_again(recipe: Any, photos: Sequence[Path], out: Path, quiet: bool) -> Made:
    """Translates again what the recipe tells of."""
    from studio.core.images import open_photo
    from studio.pipelines.character import request_from_recipe

    at_hand = {photo.sha256: (photo, path) for path in photos for photo in [open_photo(path)]}
    request = request_from_recipe(recipe, [photo for photo, _ in at_hand.values()])
    return *_make_characters(request, [at_hand[photo.sha256][1] for photo in request.photos], out, quiet), _show_results


def _make_characters(request: Any, photos: Sequence[Path], out: Path, quiet: bool) -> tuple[Any, dict[str, Any]]:
    """Translates and saves; ``photos`` are the files of the request's photos. Returns the recipe and the rows to print."""
    from studio.pipelines.character import Translation, translate

    rows = []
    for step in steps_of(translate, request, "Looking for faces", quiet):
        if isinstance(step, Translation):
            stem = f"{Path(step.photo_name).stem}-{step.animal}"
            path = save_picture(out, stem, step.image, step.recipe)
            rows.append(_result_row(str(photos[step.photo_index]), step, path))
    # The last step is the result.
    return step.recipe, {"results": rows, "sheet": save_picture(out, "sheet", step.sheet, step.recipe)}


def _result_row(photo: str, cell: Any, path: str) -> dict[str, Any]:
    scores = {"face_score": cell.face_score, "animal_score": cell.animal_score, "seconds": round(cell.seconds, 4)}
    return {"photo": photo, "animal": cell.animal, "path": path, **scores, "verdicts": list(cell.verdicts), "study": cell.study}


def _show_results(data: dict[str, Any]) -> None:
    rows = [(r["photo"], r["animal"], "; ".join(r["verdicts"]), r["path"]) for r in data["results"]]
    print_table("Characters", ("photo", "animal", "how it reads", "file"), rows)
    print_sheet(data)
