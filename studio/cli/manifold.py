"""``invert`` and ``traverse``: photos in a generator's latent space, and the ways between them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from studio.cli.console import emit, print_sheet, print_table
from studio.cli.files import save_films, save_picture
from studio.cli.making import Made, found_figures, steps_of
from studio.cli.options import Face, Frame, Json, OutFolder, Person, animals_in, faces_of


def invert(
    photo: Person,
    generator: Annotated[str, typer.Option(help="flagship (generator reversal) or began (its encoder alone).")] = "flagship",
    steps: Annotated[int | None, typer.Option(help="Of reversal; 0 is the encoder's first guess.")] = None,
    frame: Frame = "auto",
    face: Face = None,
    out: OutFolder = Path("results"),
    as_json: Json = False,
) -> None:
    """Find a photo in a generator's latent space; writes what the generator makes of it."""
    data = _make_inversions(_faces([photo], generator, steps, frame, face), out, quiet=as_json)[1]["faces"][0]
    emit(data, as_json, lambda row: print_table("Found", ("", ""), [(k, v) for k, v in _inversion_words(row).items()]))


def traverse(
    photos: Annotated[list[Path], typer.Argument(metavar="A B [C D]", help="Two to four photos, or faces dreamt up here.")],
    frames: Annotated[int, typer.Option(help="Of the walk, the faces among them.")] = 9,
    animals: Annotated[str, typer.Option(help="A row for each: names with commas between, or all.")] = "",
    path: Annotated[str, typer.Option(help="spherical, linear, or dense: keeps to where the generator draws.")] = "spherical",
    loop: Annotated[bool, typer.Option("--loop", help="Walk back to the first face.")] = False,
    strength: Annotated[float, typer.Option(help="0 the face, 1 the animal, up to 1.3 a caricature.")] = 1.0,
    generator: Annotated[str, typer.Option(help="flagship or began.")] = "flagship",
    steps: Annotated[int | None, typer.Option(help="Of reversal for each photo.")] = None,
    frame: Annotated[str, typer.Option(help="auto finds the faces, centre takes the middle of the photos.")] = "auto",
    video: Annotated[bool, typer.Option("--video", help="Also write the walk as MP4, GIF and animated WebP.")] = False,
    out: OutFolder = Path("results"),
    as_json: Json = False,
) -> None:
    """Walk from face to face, with a row per animal; of four faces also the array between them."""
    from studio.pipelines.manifold import TraverseRequest

    rows = _all_animals(animals) if animals.strip() else ()
    request = TraverseRequest(_faces(photos, generator, steps, frame), frames, rows, path, loop, strength)
    _, data = _make_walk(request, out, quiet=as_json, video=video)
    emit(data, as_json, _show_walk)


def make_again(recipe: Any, photos: Sequence[Path], out: Path, quiet: bool) -> Made:
    """Finds the recipe's photos and walks between them again."""
    from studio.core.images import open_photo
    from studio.pipelines.manifold import request_from_recipe

    request = request_from_recipe(recipe, [open_photo(path) for path in photos])
    make = _make_walk if recipe.verb == "traverse" else _make_inversions
    return *make(request, out, quiet), _show_walk


def _faces(
    paths: Sequence[Path], generator: str, steps: int | None, frame: str = "auto", face: int | None = None
) -> Any:
    """The request to find these photos; one that was dreamt up here is known by its recipe."""
    from studio.core.images import open_photo
    from studio.pipelines.manifold import STEPS, InvertRequest

    photos = tuple(open_photo(path) for path in paths)
    steps, faces = STEPS if steps is None else steps, faces_of(face, photos)
    return InvertRequest(photos, generator, steps, faces, frame, tuple(map(_dream_in, paths)))


def _dream_in(path: Path) -> Any:
    """The recipe of a dream's PNG, None for any other file."""
    from studio.core.recipe import Recipe, RecipeError

    try:
        recipe = Recipe.from_png(path)
    except RecipeError:
        return None
    return recipe if (recipe.tab, recipe.verb) == ("character", "dream") else None


def _all_animals(names: str) -> tuple[str, ...]:
    """As :func:`animals_in`, with "all" spelled out."""
    from studio.core.registry import default_registry
    from studio.pipelines.parts import list_animals

    return animals_in(names) or tuple(info.name for info in list_animals(default_registry()))


def _make_inversions(request: Any, out: Path, quiet: bool) -> tuple[Any, dict[str, Any]]:
    """Finds faces and saves them. Returns the recipe and what to print."""
    from studio.pipelines.manifold import Inversion, invert

    rows = []
    for step in steps_of(invert, request, "Looking for faces", quiet):
        if isinstance(step, Inversion):
            rows.append(_save_inversion(step, out))
    # The last step is the result.
    return step.recipe, {"faces": rows, "sheet": save_picture(out, "found", step.sheet, step.recipe)}


def _save_inversion(found: Any, out: Path) -> dict[str, Any]:
    path = save_picture(out, f"{Path(found.photo_name).stem}-found", found.image, found.recipe)
    told = {"steps": found.steps, "words": list(found.likeness.words), "study": found.study}
    return {"photo": found.photo_name, "path": path, **found_figures(found), **told, "code": found.code.tolist()}


def _make_walk(request: Any, out: Path, quiet: bool, video: bool = False) -> tuple[Any, dict[str, Any]]:
    """Walks and saves every frame, the sheets and with ``video`` the films. Returns the recipe and what to print."""
    from studio.pipelines.manifold import TraverseResult

    data: dict[str, Any] = {"faces": []}
    for step in steps_of(_walk_and_film if video else _walk, request, "Looking for faces", quiet):
        if isinstance(step, TraverseResult):
            result, data = step, {"faces": [_save_inversion(found, out) for found in step.inversions]}
            data |= {"rows": [_save_row(result, row, out) for row in result.rows], "evenness": result.evenness}
            sheets = {"sheet": result.sheet, "array": result.array_sheet}
            data |= {name: sheet if sheet is None else save_picture(out, name, sheet, result.recipe)
                     for name, sheet in sheets.items()}  # fmt: skip
        else:
            data["video"] = save_films(step, out, "walk")
    return result.recipe, data


def _walk(engine: Any, request: Any) -> Iterator[Any]:
    """The walk's progress and result."""
    from studio.pipelines.manifold import Progress, TraverseResult, traverse

    yield from (step for step in traverse(engine, request) if isinstance(step, Progress | TraverseResult))


def _walk_and_film(engine: Any, request: Any) -> Iterator[Any]:
    from studio.pipelines.manifold import film

    for step in _walk(engine, request):
        yield step
    yield from film(engine, step)  # the last step is the result


def _save_row(result: Any, row: Any, out: Path) -> dict[str, Any]:
    from studio.pipelines.manifold import BETWEEN, frame_recipe

    number, name = result.rows.index(row), row.animal or "walk"
    paths = [
        save_picture(out, f"{name}-{column + 1:02d}", image, frame_recipe(result, BETWEEN * column, number))
        for column, image in enumerate(row.images)
    ]
    return {"animal": row.animal, "words": list(row.words), "study": row.study, "frames": paths}


def _inversion_words(row: dict[str, Any]) -> dict[str, str]:
    """What people want to know of a face that was found."""
    figures = {"PSNR": (row["psnr"], "dB"), "LPIPS": (row["lpips"], ""), "identity": (row["identity"], "")}
    said = {name: f"{value:.2f} {unit}".strip() for name, (value, unit) in figures.items() if value is not None}
    said |= {"time": f"{row['seconds']:.1f} s", "file": row["path"]}
    return {"photo": row["photo"], "how near": "; ".join(row["words"]), **said}


def _show_walk(data: dict[str, Any]) -> None:
    rows = [tuple(_inversion_words(face).get(key, "") for key in ("photo", "how near", "PSNR", "file")) for face in data["faces"]]
    print_table("Faces", ("photo", "how near", "PSNR", "file"), rows)
    if data.get("rows"):
        print_table("Walk", ("row", "how it reads"), [(row["animal"] or "walk", "; ".join(row["words"])) for row in data["rows"]])
    for name, path in [("array", data.get("array")), *data.get("video", {}).items()]:
        if path:
            print(f"{name}:", path)
    print_sheet(data)
