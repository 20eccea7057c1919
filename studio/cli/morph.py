"""``morph``, ``attributes``, ``inpaint``, ``classes`` and ``mix``."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from studio.cli.console import emit, print_sheet, print_table
from studio.cli.files import save_films, save_picture
from studio.cli.making import Made, ending, found_figures, rounded, steps_of
from studio.cli.options import Face, Frame, Json, OutFolder, Person, Seed, face_of, names_in, number_in, values_in

Domain = Annotated[str, typer.Option(help="faces, people, flowers or birds.")]
Steps = Annotated[int, typer.Option(help="Of reversal for each photo; 0 is the encoder's first guess.")]
Settings = Annotated[list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Again for each, such as Smiling=1.")]


def morph(
    photos: Annotated[list[Path], typer.Argument(metavar="A B", help="Two photos.")],
    domain: Domain = "faces",
    frames: Annotated[int, typer.Option(help="Of the way, both photos among them.")] = 9,
    steps: Steps = 30,
    frame: Frame = "auto",
    video: Annotated[bool, typer.Option("--video", help="Also write the way as MP4, GIF and animated WebP.")] = False,
    out: OutFolder = Path("results"),
    as_json: Json = False,
) -> None:
    """Morph one photo into another; writes a picture for each frame and a sheet of all."""
    from studio.core.images import open_photo
    from studio.pipelines.morph import MorphRequest

    request = MorphRequest(tuple(open_photo(path) for path in photos), domain, frames, steps, frame=frame)
    _, data = _make_morph(request, out, as_json, video)
    emit(data, as_json, _show_morph)


def attributes(
    photo: Person,
    settings: Settings = None,
    steps: Steps = 30,
    frame: Frame = "auto",
    face: Face = None,
    out: OutFolder = Path("results"),
    as_json: Json = False,
) -> None:
    """Change what a face shows, each attribute from -1 (not at all) to 1 (fully); with none set, say what it shows."""
    from studio.core.images import open_photo
    from studio.pipelines.morph import AttributesRequest

    request = AttributesRequest(open_photo(photo), values_in(settings), steps, face_of(face), frame)
    _, data = _make_attributes(request, out, as_json)
    emit(data, as_json, _show_attributes)


def inpaint(
    photo: Annotated[Path, typer.Argument(metavar="PHOTO", help="A photo with a hole.")],
    mask: Annotated[Path, typer.Option(help="A picture as large as the photo, white where the hole is.")],
    domain: Domain = "faces",
    iterations: Annotated[int, typer.Option(help="1 to 10; each looks at what the one before filled in.")] = 10,
    candidates: Annotated[int, typer.Option(help="Different fillings.")] = 4,
    settings: Settings = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same fillings.")] = 0,
    frame: Frame = "auto",
    face: Face = None,
    out: OutFolder = Path("results"),
    as_json: Json = False,
) -> None:
    """Fill a hole in a photo; writes the whole photo for each filling and a sheet of all."""
    from studio.core.images import open_photo
    from studio.pipelines.inpaint import InpaintRequest

    hole = open_photo(mask).rgb.mean(2) >= 128
    condition, opened = values_in(settings), open_photo(photo)
    request = InpaintRequest(opened, hole, domain, iterations, candidates, condition, seed, face_of(face), frame)
    _, data = _make_inpaint(request, out, as_json)
    emit(data, as_json, _show_fillings)


def classes(
    domain: Domain = "flowers",
    label: Annotated[str, typer.Option(help="The class, such as daisy.")] = "",
    count: Annotated[int, typer.Option("--n", help="How many pictures.")] = 8,
    seed: Seed = 0,
    every: Annotated[bool, typer.Option("--list", help="Only list the classes there are.")] = False,
    out: OutFolder = Path("results"),
    as_json: Json = False,
) -> None:
    """Draw new flowers or birds of a class; writes a picture for each and a sheet of all."""
    from studio.pipelines.morph import ClassRequest

    if every:
        from studio.core.registry import default_registry
        from studio.pipelines.conditioned import label_words, networks_of

        names = [label_words(name) for name in networks_of(default_registry(), domain).labels]
        return emit({"domain": domain, "labels": names}, as_json, lambda data: print(*data["labels"], sep="\n"))
    _, data = _make_samples(ClassRequest(label, domain, count, seed), out, as_json)
    emit(data, as_json, _show_samples)


def mix(
    sources: Annotated[list[str], typer.Argument(metavar="A B [C]", help="Photos or, of flowers and birds, also classes.")],
    weights: Annotated[str, typer.Option(help="Of each, with commas between; equal ones without it.")] = "",
    domain: Domain = "faces",
    count: Annotated[int, typer.Option("--n", help="How many pictures.")] = 1,
    seed: Seed = 0,
    steps: Steps = 30,
    frame: Frame = "auto",
    out: OutFolder = Path("results"),
    as_json: Json = False,
) -> None:
    """Mix up to three people, flowers or birds into a new one; writes a picture for each and a sheet of all."""
    from studio.core.images import open_photo
    from studio.pipelines.morph import MixRequest

    given = tuple(open_photo(Path(source)) if Path(source).is_file() else source for source in sources)
    shares = tuple(number_in(share, "a weight") for share in names_in(weights))
    _, data = _make_samples(MixRequest(given, shares, domain, count, seed, steps, frame=frame), out, as_json)
    emit(data, as_json, _show_samples)


def make_again(recipe: Any, photos: Sequence[Path], out: Path, quiet: bool) -> Made:
    """Morphs, changes, fills, draws or mixes again what the recipe tells of."""
    from studio.core.images import open_photo
    from studio.pipelines import inpaint, morph

    opened = [open_photo(path) for path in photos]
    if recipe.verb == "inpaint":
        return *_make_inpaint(inpaint.request_from_recipe(recipe, opened), out, quiet), _show_fillings
    makers = {"morph": (_make_morph, _show_morph), "attributes": (_make_attributes, _show_attributes)}
    request = morph.request_from_recipe(recipe, opened)
    make, show = makers.get(recipe.verb, (_make_samples, _show_samples))
    return *make(request, out, quiet), show


def _make_morph(request: Any, out: Path, quiet: bool, video: bool = False) -> tuple[Any, dict[str, Any]]:
    """Morphs and saves every frame, the sheet and with ``video`` the films. Returns the recipe and what to print."""
    from studio.pipelines.manifold import BETWEEN, Film
    from studio.pipelines.morph import MorphResult, film, frame_recipe, morph

    def verb(engine: Any, request: Any) -> Iterator[Any]:
        for step in morph(engine, request):
            yield step
        if video:
            yield from film(engine, step)  # the last step is the result

    data, began = {}, time.perf_counter()
    for step in steps_of(verb, request, "Looking for faces", quiet):
        if isinstance(step, MorphResult):
            result = step
        elif isinstance(step, Film):
            data["video"] = save_films(step, out, "morph")
    frames = [
        save_picture(out, f"morph-{index + 1:02d}", image, frame_recipe(result, BETWEEN * index))
        for index, image in enumerate(result.images)
    ]
    found = [{"photo": end.photo_name, "words": list(end.likeness.words), **found_figures(end)} for end in result.ends]
    return result.recipe, {"found": found, "frames": frames, **data, **ending(result, "morph", out, began)}


def _make_attributes(request: Any, out: Path, quiet: bool) -> tuple[Any, dict[str, Any]]:
    """Changes a face and saves it, in its photo and as the generator makes it. Returns the recipe and what to print."""
    from studio.pipelines.morph import attributes, plain_recipe

    *_, result = steps_of(attributes, request, "Looking for the face", quiet)
    stem = Path(request.photo.name).stem
    return result.recipe, {
        "photo": request.photo.name,
        "path": save_picture(out, f"{stem}-changed", result.image, result.recipe),
        "plain": save_picture(out, f"{stem}-plain", result.plain, plain_recipe(result)),
        "readings": [asdict(reading) for reading in result.readings],
        "identity": rounded(result.identity),
        "words": list(result.words),
        "found": {"condition": result.condition_before, **found_figures(result.found)},
        "condition": result.condition,
        "seconds": round(result.seconds, 3),
        "study": result.study,
        "checkpoints": result.recipe.checkpoints,
    }


def _make_inpaint(request: Any, out: Path, quiet: bool) -> tuple[Any, dict[str, Any]]:
    """Fills a hole and saves every filling and the sheet. Returns the recipe and what to print."""
    from studio.pipelines.inpaint import inpaint

    began = time.perf_counter()
    *_, result = steps_of(inpaint, request, "Looking for the face", quiet)
    rows, stem = [], Path(request.photo.name).stem
    for filling in result.fillings:
        path = save_picture(out, f"{stem}-filled-{filling.index + 1}", filling.image, filling.recipe)
        fits = {"agreement": rounded(filling.agreement), "words": list(filling.words), "condition": filling.condition}
        rows.append({"path": path, "index": filling.index, "rank": result.ranking.index(filling.index) + 1, **fits})
    best = rows[result.ranking[0]]["path"]
    asked = {"photo": request.photo.name, "domain": request.domain, "iterations": request.iterations}
    data = {**asked, "results": rows, "best": best}
    return result.recipe, {**data, **ending(result, "fillings", out, began)}


def _make_samples(request: Any, out: Path, quiet: bool) -> tuple[Any, dict[str, Any]]:
    """Draws a class or a mix and saves every picture and the sheet. Returns the recipe and what to print."""
    from studio.pipelines.morph import ClassRequest, draw_class, mix

    began, verb = time.perf_counter(), draw_class if isinstance(request, ClassRequest) else mix
    *_, result = steps_of(verb, request, "Waking the networks", quiet)
    rows = []
    for sample in result.samples:
        name = f"{request.domain}-{result.recipe.verb}-{request.seed}-{sample.index}"
        path = save_picture(out, name, sample.image, sample.recipe)
        rows.append({"path": path, "index": sample.index, "chance": rounded(sample.chance), "words": list(sample.words)})
    data = {"domain": request.domain, "seed": request.seed, "condition": result.condition, "results": rows}
    return result.recipe, {**data, **ending(result, result.recipe.verb, out, began)}


def _show_morph(data: dict[str, Any]) -> None:
    print_table("Found", ("photo", "how near"), [(row["photo"], "; ".join(row["words"])) for row in data["found"]])
    for name, path in data.get("video", {}).items():
        print(f"{name}:", path)
    print_sheet(data)


def _show_attributes(data: dict[str, Any]) -> None:
    rows = [(row["attribute"].replace("_", " "), row["words"]) for row in data["readings"]]
    print_table("Attributes", ("attribute", "how it reads"), rows or [(k, f"{v:+.2f}") for k, v in data["condition"].items()])
    print(*data["words"], data["path"], sep="\n")


def _show_fillings(data: dict[str, Any]) -> None:
    rows = [(str(row["rank"]), "; ".join(row["words"]), row["path"]) for row in sorted(data["results"], key=lambda r: r["rank"])]
    print_table("Fillings, the best first", ("", "how it fits", "file"), rows)
    print_sheet(data)


def _show_samples(data: dict[str, Any]) -> None:
    largest = sorted(data["condition"].items(), key=lambda item: -item[1])[:5]
    made_of = ", ".join(f"{name.replace('_', ' ')} {share:.2f}" for name, share in largest)
    print_table(f"Made of {made_of}", ("picture", "how it reads", "file"),
                [(str(row["index"]), "; ".join(row["words"]), row["path"]) for row in data["results"]])  # fmt: skip
    print_sheet(data)
