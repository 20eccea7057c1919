"""``makeup``: looks put on and taken off, and other ages."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from studio.cli.console import emit, print_sheet, print_table
from studio.cli.files import open_style, save_new, save_picture
from studio.cli.making import Made, ending, rounded, steps_of
from studio.cli.options import Face, Json, OutFolder, Person, face_of, names_in


def makeup(
    photo: Person,
    direction: Annotated[str, typer.Option(help="apply or remove; of age older or younger.")] = "",
    pair: Annotated[str, typer.Option(help="makeup or age.")] = "makeup",
    keep: Annotated[float, typer.Option(help="0 as the data are, 1 keeps who somebody is.")] = 1.0,
    properties: Annotated[str, typer.Option(help="What to keep, with commas between: identity, gender, age; or all.")] = "all",
    looks: Annotated[
        int | None, typer.Option(help="How many looks; drawn ones follow those that are given.", show_default="5, or those given")
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same looks.")] = 0,
    amount: Annotated[float, typer.Option(help="0 the photo itself, 1 the look, up to 1.5 more of it.")] = 1.0,
    regions: Annotated[str, typer.Option(help="Where: lips, eyes, skin, with commas between; or all.")] = "all",
    reference: Annotated[Path | None, typer.Option(help="A photo whose look is taken.")] = None,
    look: Annotated[list[Path] | None, typer.Option("--look", help="A look's file; again for each.")] = None,
    mix: Annotated[float | None, typer.Option(help="Mixes two looks: the share of the second, 0 to 1.")] = None,
    face: Face = None,
    biased: Annotated[bool, typer.Option("--biased", help="Also write what the network makes that keeps nothing.")] = False,
    save_looks: Annotated[bool, typer.Option("--save-looks", help="Also write each look as a small file.")] = False,
    out: OutFolder = Path("results"),
    as_json: Json = False,
) -> None:
    """Put makeup on a face or take it off without making somebody else of it; writes the photo for each look and a sheet."""
    from studio.core.images import open_photo
    from studio.core.regions import REGIONS
    from studio.pipelines.looks import LookFile, as_numbers, random_style
    from studio.pipelines.makeup import LOOKS, MakeupRequest, check_direction, style_of

    direction = check_direction(pair, direction)
    files = [open_style(path, LookFile) for path in look or ()]
    meant = [file.regions for file in files if file.regions] if regions == "all" else []
    styles = tuple(style_of(file, pair, direction) for file in files)
    given = len(styles) + (reference is not None)
    # Without any that are given the request draws its own, and a mix is one.
    drawn = range((looks or given) - given if given and mix is None else 0)
    request = MakeupRequest(
        photo=open_photo(photo),
        pair=pair,
        direction=direction,
        face=face_of(face),
        keep=keep,
        properties=None if properties == "all" else names_in(properties),
        looks=LOOKS if looks is None else looks,
        seed=seed,
        amount=amount,
        reference=reference and open_photo(reference),
        styles=(*styles, *(as_numbers(random_style(max(seed, 0), index)) for index in drawn)),
        mix=mix,
        # A look that was made for the lips is laid on the lips, unless others come with it.
        regions=meant[0] if meant and len(files) == 1 else REGIONS if regions == "all" else names_in(regions),
    )
    _, data = _make_makeup(request, out, as_json, biased, save_looks)
    emit(data, as_json, _show_makeup)


def make_again(recipe: Any, photos: Sequence[Path], out: Path, quiet: bool) -> Made:
    """Makes up again as the recipe tells."""
    from studio.core.images import open_photo
    from studio.pipelines.makeup import request_from_recipe

    request = request_from_recipe(recipe, [open_photo(path) for path in photos])
    return *_make_makeup(request, out, quiet), _show_makeup


def _make_makeup(
    request: Any, out: Path, quiet: bool, biased: bool = False, save_looks: bool = False
) -> tuple[Any, dict[str, Any]]:
    """Makes looks and saves the whole photo with each, what else is asked for, and the sheet. Returns the recipe and what to
    print."""
    from studio.pipelines.makeup import Look, as_the_data_are, look_file, make_up

    def verb(engine: Any, request: Any) -> Iterator[Any]:
        for step in make_up(engine, request):
            if not isinstance(step, Look):  # the last step, the result, has the looks
                yield step
        if biased:
            yield [as_the_data_are(engine, step, look.index) for look in step.looks]

    began, stem = time.perf_counter(), Path(request.photo.name).stem
    result, *plain = steps_of(verb, request, "Looking for the face", quiet)

    def save(look: Any, name: str) -> dict[str, Any]:
        path = save_picture(out, f"{stem}-{name}-{look.index + 1}", look.image, look.recipe)
        return {"path": path, **_look_row(look)}

    rows = [save(look, request.direction) for look in result.looks]
    for row, look in zip(rows, plain[0] if plain else (), strict=False):
        row["biased"] = save(look, f"{request.direction}-biased")
    for row, look in zip(rows, result.looks if save_looks else (), strict=False):
        name = f"{stem} {request.direction} {look.index + 1}"
        row["look"] = save_new(out, Path(row["path"]).stem, look_file(look, name).to_json().encode(), "json")
    asked = {"photo": request.photo.name, "pair": request.pair, "direction": request.direction, "keep": result.looks[0].keep}
    data = {**asked, "seed": request.seed, "faces": result.found.people, "words": list(result.words), "results": rows}
    return result.recipe, {**data, **ending(result, "looks", out, began)}


def _look_row(look: Any) -> dict[str, Any]:
    """A look's figures; ``makeup`` is the judge's probability of makeup after, ``kept`` which things stayed that should."""
    figures = {name: rounded(value) for name, value in asdict(look.measures).items()}
    return {
        "index": look.index,
        "makeup": figures.pop("makeup_after"),
        "gender_before": look.measures.gender_before,
        "gender_after": look.measures.gender_after,
        **figures,
        "words": list(look.words),
        "kept": {reading.name: reading.kept for reading in look.readings if reading.kept is not None},
        "style": [round(float(number), 4) for number in look.style],
    }


def _show_makeup(data: dict[str, Any]) -> None:
    rows = [(str(row["index"] + 1), "; ".join(row["words"]), row["path"]) for row in data["results"]]
    print_table("Looks", ("", "what changed", "file"), rows)
    for line in data["words"]:
        print(line)
    print_sheet(data)
