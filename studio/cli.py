"""``python -m studio ...``: the pipelines without a browser.

Every command takes ``--json`` and then prints JSON alone on stdout; progress and errors go to stderr. An error the
artist can mend is one line and exit code 2. Commands import what they need when they run, so ``--help`` stays fast.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import typer

app = typer.Typer(
    name="studio", help="Imaginarium, a creative studio.", add_completion=False, pretty_exceptions_enable=False
)

Json = Annotated[bool, typer.Option("--json", help="Print JSON alone on stdout.")]
ItemIds = Annotated[list[str], typer.Argument(metavar="ID...", help="Picture ids; `gallery list` lists them.")]
CardIds = Annotated[list[str], typer.Argument(metavar="ID...", help="Model ids; `models` lists them.")]
OutFolder = Annotated[Path, typer.Option("--out", help="Folder for the pictures; made if it is not there.")]

gallery = typer.Typer(help="The pictures this artist has kept.", no_args_is_help=True)
app.add_typer(gallery, name="gallery")
evaluate = typer.Typer(help="Measure networks on the data packs.", no_args_is_help=True)
app.add_typer(evaluate, name="evaluate")

# Typer bundles click under a private name; this is click's UsageError in every version of both.
UsageError = typer.BadParameter.__base__

# Only the errors of modules that a command has loaded can reach main(), so naming them imports nothing.
FOR_THE_ARTIST = {
    "studio.core.registry": "UnknownModel",
    "studio.core.checkpoints": "CheckpointError",
    "studio.core.images": "PhotoError",
    "studio.core.faces": "FaceError",
    "studio.core.recipe": "RecipeError",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code: 0, 1 (``verify`` found something bad), 2 (a mistake), 130 (Ctrl-C)."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        code = app(args=arguments or ["--help"], prog_name="python -m studio", standalone_mode=False)
    except UsageError as error:
        return _fail(error.format_message())
    except Exception as error:
        if not isinstance(error, _artists_errors()):
            raise
        return _fail(str(error))
    return code if isinstance(code, int) else 0


def _artists_errors() -> tuple[type[Exception], ...]:
    loaded = (getattr(sys.modules.get(module), name, None) for module, name in FOR_THE_ARTIST.items())
    return ValueError, *(error for error in loaded if error)


def _fail(message: str) -> int:
    print("error:", " ".join(message.split()), file=sys.stderr)
    return 2


def emit(data: Any, as_json: bool, show: Callable[[Any], None]) -> None:
    """Prints ``data`` as JSON, or hands it to ``show`` for people."""
    if as_json:
        print(json.dumps(data, indent=1, ensure_ascii=False))
    else:
        show(data)


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """A table on stdout; cells are printed as they are, never read as markup."""
    from rich.console import Console
    from rich.table import Column, Table
    from rich.text import Text

    first, *others = columns  # the id: cut or broken in two it is of no use to the next command
    table = Table(Column(first, no_wrap=True), *(Column(name, overflow="fold") for name in others), title=title)
    for row in rows:
        table.add_row(*(Text(str(cell)) for cell in row))
    Console().print(table)


def print_claims(claims: Mapping[str, Mapping[str, Any]]) -> None:
    """What a paper says, and whether it holds here."""
    rows = [(name.replace("_", " "), "holds" if claim["holds"] else "fails") for name, claim in claims.items()]
    print_table("Claims", ("claim", ""), rows)


@contextmanager
def download_bar(label: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on stderr; yields ``report(done, total)`` in bytes."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn()
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        bar = bars.add_task(label, total=None)
        yield lambda done, total: bars.update(bar, completed=done, total=total)


@contextmanager
def step_bar(label: str, quiet: bool) -> Iterator[Callable[[int, int, str], None]]:
    """A progress bar on stderr, none if ``quiet``; yields ``report(done, total, what happens now)``."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console, transient=True, disable=quiet or not console.is_terminal) as bars:
        bar = bars.add_task(label, total=None)
        yield lambda done, total, now: bars.update(bar, completed=done, total=total, description=now)


@app.command()
def models(pattern: Annotated[str, typer.Argument(help="Shell pattern of ids.")] = "*", as_json: Json = False) -> None:
    """List the models the studio knows."""
    from studio.core.checkpoints import default_store

    cards = default_store().registry.list_models(pattern)
    rows = [(c.id, c.task, ", ".join(c.domains), f"{c.resolution} px", c.licence, c.study or "") for c in cards]
    columns = "id", "task", "domains", "size", "licence", "study"
    emit([c.to_dict() for c in cards], as_json, lambda _: print_table("Models", columns, rows))


@app.command()
def verify(
    ids: Annotated[list[str] | None, typer.Argument(metavar="[ID...]", help="Model ids; all if none.")] = None,
    as_json: Json = False,
) -> None:
    """Check that every checkpoint is here, whole and fits its network; exit code 1 if one is not."""
    from studio.core.checkpoints import default_store

    store = default_store()
    cards = [store.registry.card(i) for i in ids] if ids else store.registry.list_models()
    states = [store.verify(card) for card in cards]
    rows = [(s.id, s.state, s.message or s.path or "") for s in states]
    emit([s.to_dict() for s in states], as_json, lambda _: print_table("Checkpoints", ("id", "state", "file"), rows))
    raise typer.Exit(0 if all(s.ok for s in states) else 1)


@app.command()
def pull(ids: CardIds, as_json: Json = False) -> None:
    """Download checkpoints, and those they are based on, from the Hugging Face Hub; what is here and whole is left alone."""
    from studio.core.checkpoints import default_store

    store = default_store()
    results = []
    for card in store.registry.with_bases([store.registry.card(i) for i in ids]):
        here = store.verify(card)
        if here.state == "ok":
            results.append({"id": card.id, "path": here.path, "pulled": False})
            continue
        with download_bar(card.file) as report:
            results.append({"id": card.id, "path": str(store.pull(card, report)), "pulled": True})
    emit(results, as_json, lambda rows: [print(row["path"]) for row in rows])


@app.command()
def push(
    ids: CardIds,
    repo: Annotated[str, typer.Option(help="Repository on the Hub, such as name/imaginarium.")],
    as_json: Json = False,
) -> None:
    """Upload checkpoints, their cards and the terms of the weights; the cards then point to that commit."""
    from studio.core.checkpoints import default_store

    store = default_store()
    results = [{"id": card.id, **store.push(card, repo)} for card in [store.registry.card(i) for i in ids]]
    emit(results, as_json, lambda rows: [print(f"{r['id']}: {r['repo_id']} at {r['revision']}") for r in rows])


def _gallery() -> Any:
    from studio.core.workspace import Workspaces

    return Workspaces().local().gallery


def _item_rows(items: Sequence[Any]) -> list[tuple[str, ...]]:
    made = [f"{datetime.fromtimestamp(item.created):%Y-%m-%d %H:%M}" for item in items]
    names = [f"* {item.name}" if item.favourite else item.name for item in items]
    return [(item.id, name, ", ".join(item.tags), when) for item, name, when in zip(items, names, made, strict=True)]


@gallery.command("list")
def gallery_list(
    text: Annotated[str, typer.Option(help="Words of the name, the tags or the recipe.")] = "",
    tab: Annotated[str, typer.Option(help="Made on this tab, such as character.")] = "",
    tag: Annotated[str, typer.Option(help="With this tag.")] = "",
    favourites: Annotated[bool, typer.Option("--favourites", help="Favourites only.")] = False,
    trash: Annotated[bool, typer.Option("--trash", help="What is in the trash.")] = False,
    offset: Annotated[int, typer.Option(min=0, help="Skip that many.")] = 0,
    limit: Annotated[int, typer.Option(min=1, max=500, help="List at most that many.")] = 60,
    as_json: Json = False,
) -> None:
    """List pictures, newest first."""
    from studio.core.gallery import Filter

    kept = _gallery()
    chosen = Filter(text, tab, tag, favourites, trash)
    items, total = kept.list(chosen, offset, limit), kept.count(chosen)
    data = {"items": [item.to_dict() for item in items], "total": total}
    title, columns = f"{len(items)} of {total} pictures", ("id", "name (* favourite)", "tags", "made")
    emit(data, as_json, lambda _: print_table(title, columns, _item_rows(items)))


@gallery.command("show")
def gallery_show(
    item_id: Annotated[str, typer.Argument(metavar="ID", help="Picture id.")], as_json: Json = False
) -> None:
    """Show one picture's recipe and the pictures it was made from."""
    kept = _gallery()
    item, recipe, ancestors = kept.get(item_id), kept.recipe(item_id), kept.ancestors(item_id)
    data = {
        **item.to_dict(),
        "recipe": recipe.model_dump(mode="json"),
        "ancestors": [ancestor.to_dict() for ancestor in ancestors],
    }
    rows = [(key, ", ".join(value) if isinstance(value, tuple) else value) for key, value in item.to_dict().items()]
    rows += [(f"recipe: {key}", value) for key, value in data["recipe"].items()]
    rows += [("made from", f"{ancestor.id}  {ancestor.name}") for ancestor in ancestors]
    emit(data, as_json, lambda _: print_table(item.name, ("", ""), rows))


@gallery.command("export")
def gallery_export(
    ids: ItemIds,
    out: Annotated[Path, typer.Option(help="The zip file to write.", dir_okay=False)],
    recipes: Annotated[bool, typer.Option("--recipes/--no-recipes", help="Say in it how the pictures were made.")] = True,
    as_json: Json = False,
) -> None:
    """Write pictures, contact sheets and recipes to a zip file."""
    from studio.core.export import export_zip

    kept, partial = _gallery(), out.with_name(out.name + ".part")
    try:
        with partial.open("wb") as file:
            export_zip(kept, ids, file, with_recipes=recipes)
        partial.replace(out)
    except OSError as error:
        raise ValueError(f"{out} cannot be written ({error.strerror}): choose another place.") from error
    finally:
        partial.unlink(missing_ok=True)
    emit({"path": str(out), "pictures": len(set(ids))}, as_json, lambda data: print(data["path"]))


@gallery.command("delete")
def gallery_delete(ids: ItemIds, as_json: Json = False) -> None:
    """Put pictures in the trash."""
    _gallery().delete(*ids)
    emit({"deleted": ids}, as_json, lambda _: print("In the trash; `python -m studio gallery undo` brings them back."))


@gallery.command("undo")
def gallery_undo(as_json: Json = False) -> None:
    """Take back the last edit: a name, tags, a favourite, a deletion."""
    edit = _gallery().undo()
    data = {"undone": edit and edit.label, "ids": edit.ids if edit else []}
    emit(data, as_json, lambda _: print(f"Undone: {edit.label}." if edit else "There is nothing to undo."))


@gallery.command("restore-recipe")
def gallery_restore_recipe(
    picture: Annotated[str, typer.Argument(help="A PNG that the studio saved, or a picture id.")], as_json: Json = False
) -> None:
    """Read the recipe out of a saved PNG, or of a picture in the gallery."""
    from studio.core.recipe import Recipe

    recipe = Recipe.from_png(Path(picture)) if Path(picture).is_file() else _gallery().recipe(picture)
    data = recipe.model_dump(mode="json")
    emit(data, as_json, lambda _: print_table("Recipe", ("", ""), list(data.items())))


@gallery.command("move")
def gallery_move(
    folder: Annotated[Path, typer.Argument(help="A new or empty folder.")], as_json: Json = False
) -> None:
    """Move the whole gallery into another folder; the studio finds it there from now on."""
    from studio.core.workspace import Workspaces

    moved = Workspaces().move(folder)
    emit({"folder": str(moved.folder)}, as_json, lambda data: print(data["folder"]))


@app.command()
def character(
    photos: Annotated[list[Path], typer.Argument(metavar="PHOTO...", help="Photos of people.")],
    animals: Annotated[str, typer.Option(help="Names with commas between, or all.")] = "all",
    strength: Annotated[float, typer.Option(help="0 the photo, 1 the animal, up to 1.3 a caricature.")] = 1.0,
    frame: Annotated[str, typer.Option(help="auto finds the face, centre takes the middle of the photo.")] = "auto",
    face: Annotated[int | None, typer.Option(min=1, help="Which face of each photo, 1 the largest.")] = None,
    out: OutFolder = Path("results"),
    as_json: Json = False,
) -> None:
    """Turn photos of people into animals; writes a picture for each and a sheet of all."""
    from studio.core.images import open_photo
    from studio.pipelines.character import CharacterRequest, FaceChoice

    opened = [open_photo(path) for path in photos]
    faces = () if face is None else (FaceChoice(index=face - 1),) * len(opened)
    request = CharacterRequest(tuple(opened), _animals(animals), strength, faces, frame)
    _, data = _make_characters(request, photos, out, quiet=as_json)
    emit(data, as_json, _show_results)


@app.command()
def sample(
    generator: Annotated[str, typer.Option(help="dcgan, k-dcgan, began, k-began or flagship.")] = "flagship",
    animal: Annotated[str | None, typer.Option(help="What a K-GAN imagines, and what --strength makes of the faces.")] = None,
    count: Annotated[int, typer.Option("--n", help="How many faces.")] = 16,
    seed: Annotated[int, typer.Option(help="The same seed gives the same faces.")] = 0,
    truncation: Annotated[float, typer.Option(help="Flagship: 0.3 near the average face, 1 anything goes.")] = 0.7,
    imagination: Annotated[float, typer.Option(help="K-GANs: 0 the plain GAN, 1 the K-GAN.")] = 1.0,
    strength: Annotated[float, typer.Option(help="0 the face itself, 1 the animal, up to 1.3 a caricature.")] = 0.0,
    stages: Annotated[bool, typer.Option("--stages", help="One sheet of samples and what becomes of them.")] = False,
    out: OutFolder = Path("results"),
    as_json: Json = False,
) -> None:
    """Dream up faces that never were, and animals of them; writes a picture for each and a sheet of all."""
    from studio.pipelines.dream import DreamRequest

    request = DreamRequest(generator, animal and _animal(animal), count, seed, truncation, imagination, strength)
    _, data = (_make_stages if stages else _make_dreams)(request, out, quiet=as_json)
    emit(data, as_json, _show_dreams)


@app.command()
def invert(
    photo: Annotated[Path, typer.Argument(metavar="PHOTO", help="A photo of a person.")],
    generator: Annotated[str, typer.Option(help="flagship (generator reversal) or began (its encoder alone).")] = "flagship",
    steps: Annotated[int | None, typer.Option(help="Of reversal; 0 is the encoder's first guess.")] = None,
    frame: Annotated[str, typer.Option(help="auto finds the face, centre takes the middle of the photo.")] = "auto",
    face: Annotated[int | None, typer.Option(min=1, help="Which face of the photo, 1 the largest.")] = None,
    out: OutFolder = Path("results"),
    as_json: Json = False,
) -> None:
    """Find a photo in a generator's latent space; writes what the generator makes of it."""
    data = _make_inversions(_faces([photo], generator, steps, frame, face), out, quiet=as_json)[1]["faces"][0]
    emit(data, as_json, lambda row: print_table("Found", ("", ""), [(k, v) for k, v in _inversion_words(row).items()]))


@app.command()
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


@app.command()
def neighbours(
    photo: Annotated[Path | None, typer.Argument(metavar="[PHOTO]", help="Where to stand; without one the seed decides.")] = None,
    domain: Annotated[str, typer.Option(help="What the bank is of: face, flower or bird.")] = "face",
    seed: Annotated[int, typer.Option(help="The same seed gives the same pictures.")] = 0,
    k: Annotated[int, typer.Option(help="Neighbours that make a new picture.")] = 5,
    spread: Annotated[float, typer.Option(help="0 stays here, 1 is the paper's, 2 leaves the neighbourhood.")] = 1.0,
    bandwidth: Annotated[float | None, typer.Option(help="Draws from a density: 0.02 remembers, 1.5 invents.")] = None,
    count: Annotated[int, typer.Option("--n", help="How many new pictures.")] = 12,
    frame: Annotated[str, typer.Option(help="auto finds the face, centre takes the middle of the photo.")] = "auto",
    out: OutFolder = Path("results"),
    as_json: Json = False,
) -> None:
    """Look around a point of a code bank: its neighbours, and new pictures near it; writes each of them and a sheet."""
    from studio.pipelines.neighbourhood import NeighboursRequest

    way = {"k": k, "spread": spread} if bandwidth is None else {"way": "density", "bandwidth": bandwidth}
    request = NeighboursRequest(domain, seed=seed, count=count, **way)
    _, data = _make_neighbours(request, out, as_json, photo, frame)
    emit(data, as_json, _show_neighbours)


Domain = Annotated[str, typer.Option(help="faces, people, flowers or birds.")]
Steps = Annotated[int, typer.Option(help="Of reversal for each photo; 0 is the encoder's first guess.")]
Frame = Annotated[str, typer.Option(help="auto finds the face, centre takes the middle of the photo.")]
Face = Annotated[int | None, typer.Option(min=1, help="Which face of the photo, 1 the largest.")]
Settings = Annotated[list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Again for each, such as Smiling=1.")]


@app.command()
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


@app.command()
def attributes(
    photo: Annotated[Path, typer.Argument(metavar="PHOTO", help="A photo of a person.")],
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

    request = AttributesRequest(open_photo(photo), _values(settings), steps, _choice(face), frame)
    _, data = _make_attributes(request, out, as_json)
    emit(data, as_json, _show_attributes)


@app.command()
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
    condition, opened = _values(settings), open_photo(photo)
    request = InpaintRequest(opened, hole, domain, iterations, candidates, condition, seed, _choice(face), frame)
    _, data = _make_inpaint(request, out, as_json)
    emit(data, as_json, _show_fillings)


@app.command()
def classes(
    domain: Domain = "flowers",
    label: Annotated[str, typer.Option(help="The class, such as daisy.")] = "",
    count: Annotated[int, typer.Option("--n", help="How many pictures.")] = 8,
    seed: Annotated[int, typer.Option(help="The same seed gives the same pictures.")] = 0,
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


@app.command()
def mix(
    sources: Annotated[list[str], typer.Argument(metavar="A B [C]", help="Photos or, of flowers and birds, also classes.")],
    weights: Annotated[str, typer.Option(help="Of each, with commas between; equal ones without it.")] = "",
    domain: Domain = "faces",
    count: Annotated[int, typer.Option("--n", help="How many pictures.")] = 1,
    seed: Annotated[int, typer.Option(help="The same seed gives the same pictures.")] = 0,
    steps: Steps = 30,
    frame: Frame = "auto",
    out: OutFolder = Path("results"),
    as_json: Json = False,
) -> None:
    """Mix up to three people, flowers or birds into a new one; writes a picture for each and a sheet of all."""
    from studio.core.images import open_photo
    from studio.pipelines.morph import MixRequest

    given = tuple(open_photo(Path(source)) if Path(source).is_file() else source for source in sources)
    shares = tuple(_number("a weight", share) for share in weights.split(",") if share.strip())
    _, data = _make_samples(MixRequest(given, shares, domain, count, seed, steps, frame=frame), out, as_json)
    emit(data, as_json, _show_samples)


@app.command()
def makeup(
    photo: Annotated[Path, typer.Argument(metavar="PHOTO", help="A photo of a person.")],
    direction: Annotated[str, typer.Option(help="apply or remove; of age older or younger.")] = "",
    pair: Annotated[str, typer.Option(help="makeup or age.")] = "makeup",
    keep: Annotated[float, typer.Option(help="0 as the data are, 1 keeps who somebody is.")] = 1.0,
    properties: Annotated[str, typer.Option(help="What to keep, with commas between: identity, gender, age; or all.")] = "all",
    looks: Annotated[int, typer.Option(help="How many looks to draw.")] = 5,
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
    from studio.pipelines.looks import REGIONS, LookFile
    from studio.pipelines.makeup import MakeupRequest, check_direction, style_of

    direction = check_direction(pair, direction)
    files = [_style_in(path, LookFile) for path in look or ()]
    meant = [file.regions for file in files if file.regions] if regions == "all" else []
    request = MakeupRequest(
        photo=open_photo(photo),
        pair=pair,
        direction=direction,
        face=_choice(face),
        keep=keep,
        properties=None if properties == "all" else _names(properties),
        looks=looks,
        seed=seed,
        amount=amount,
        reference=reference and open_photo(reference),
        styles=tuple(style_of(file, pair, direction) for file in files),
        mix=mix,
        # A look that was made for the lips is laid on the lips, unless others come with it.
        regions=meant[0] if meant and len(files) == 1 else REGIONS if regions == "all" else _names(regions),
    )
    _, data = _make_makeup(request, out, as_json, biased, save_looks)
    emit(data, as_json, _show_makeup)


@app.command()
def domains(
    photos: Annotated[list[Path] | None, typer.Argument(metavar="[PHOTO...]", help="Of people; any for art and cars.")] = None,
    to: Annotated[
        str,
        typer.Option(help="What to make, with commas between; a+b asks for both at once, no:a takes it away. All if not given."),
    ] = "",
    between: Annotated[str, typer.Option("--domains", help="attributes, art or cars; what --to names tells as well.")] = "",
    styles: Annotated[int, typer.Option(help="How many styles to draw.")] = 4,
    seed: Annotated[int, typer.Option(help="The same seed gives the same styles.")] = 0,
    strength: Annotated[float, typer.Option(help="0 the photo itself, 1 all of the change.")] = 1.0,
    style: Annotated[list[Path] | None, typer.Option("--style", help="A style's file to use; again for each.")] = None,
    lock: Annotated[str, typer.Option(help="What must not change: identity, gender, age, skin, makeup.")] = "",
    attended: Annotated[bool, typer.Option("--attended", help="Hold the change to where the network attends.")] = False,
    attention: Annotated[bool, typer.Option("--attention", help="Also write where the network attends.")] = False,
    save_styles: Annotated[bool, typer.Option("--save-styles", help="Also write each style as a small file.")] = False,
    face: Face = None,
    every: Annotated[bool, typer.Option("--list", help="Only list the domains there are.")] = False,
    out: OutFolder = Path("results"),
    as_json: Json = False,
) -> None:
    """Give faces a smile, glasses or other hair, paint photos, colour cars; writes every picture, and a sheet for each photo."""
    from studio import cli_domains

    if every:
        return emit(cli_domains.listed(), as_json, cli_domains.show_listed)
    if not photos:
        raise ValueError("Name a photo, or --list to see what it can become.")
    asked = {"count": styles, "seed": seed, "strength": strength, "attention": attended, "locks": _names(lock)}
    requests = cli_domains.requests_of(photos, between, _names(to), style or (), _choice(face), **asked)
    _, data = cli_domains.make_domains(requests, out, as_json, attention, save_styles)
    emit(data, as_json, cli_domains.show_domains)


def _style_in(path: Path, kind: Any) -> Any:
    """What a file holds that is a ``LookFile`` or a ``StyleFile``, as ``kind`` says."""
    try:
        return kind.from_json(path.read_bytes())
    except OSError as error:
        raise ValueError(f"{path.name} could not be opened: check that the {kind.what}'s file exists and may be read.") from error


def _names(text: str) -> tuple[str, ...]:
    """"lips, eyes" as names."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _values(settings: Sequence[str] | None) -> dict[str, float]:
    """"Smiling=1" as names with values; a name alone means 1."""
    pairs = [setting.partition("=") for setting in settings or ()]
    return {name.strip(): _number(name.strip(), value) if equals else 1.0 for name, equals, value in pairs}


def _number(name: str, value: str) -> float:
    try:
        return float(value)
    except ValueError as error:
        raise ValueError(f"Give {name} a number instead of {value!r}, such as Smiling=1.") from error


def _choice(face: int | None) -> Any:
    """The face of that number, counted from 1."""
    from studio.pipelines.photos import FaceChoice

    return None if face is None else FaceChoice(index=face - 1)


@app.command()
def again(
    picture: Annotated[Path, typer.Argument(help="A PNG that the studio saved.")],
    photos: Annotated[list[Path] | None, typer.Argument(metavar="[PHOTO...]", help="The photos it was made from.")] = None,
    out: OutFolder = Path("results"),
    as_json: Json = False,
) -> None:
    """Make a saved picture again from its recipe; "exact" tells whether the networks are still the same."""
    from studio.core.recipe import Recipe

    recipe = Recipe.from_png(picture)
    made, data, show = _make_again(recipe, photos or [], out, quiet=as_json)
    data["exact"] = made.checkpoints == recipe.checkpoints
    emit(data, as_json, show)


def _make_again(recipe: Any, photos: Sequence[Path], out: Path, quiet: bool) -> tuple[Any, dict[str, Any], Callable[[Any], None]]:
    """What the recipe's verb makes: its recipe now, the rows to print and what prints them for people."""
    from studio.core.images import open_photo
    from studio.pipelines import character, dream, manifold, neighbourhood
    from studio.pipelines import makeup as makeup_pipeline

    if recipe.tab == "domains":
        from studio import cli_domains
        from studio.pipelines.domains_request import request_from_recipe

        request = request_from_recipe(recipe, [open_photo(path) for path in photos])
        return *cli_domains.make_domains([request], out, quiet), cli_domains.show_domains
    if recipe.tab == "makeup":
        request = makeup_pipeline.request_from_recipe(recipe, [open_photo(path) for path in photos])
        return *_make_makeup(request, out, quiet), _show_makeup
    if recipe.tab == "morph":
        return _morph_again(recipe, [open_photo(path) for path in photos], out, quiet)
    makers = {"dream": _make_dreams, "stages": _make_stages}
    if recipe.tab == "character" and recipe.verb in makers:
        return *makers[recipe.verb](dream.request_from_recipe(recipe), out, quiet), _show_dreams
    at_hand = {photo.sha256: (photo, path) for path in photos for photo in [open_photo(path)]}
    if recipe.tab == "manifold" and recipe.verb == "neighbours":
        return *_make_neighbours(neighbourhood.request_from_recipe(recipe), out, quiet), _show_neighbours
    if recipe.tab == "manifold":
        request = manifold.request_from_recipe(recipe, [photo for photo, _ in at_hand.values()])
        make = _make_walk if recipe.verb == "traverse" else _make_inversions
        return *make(request, out, quiet), _show_walk
    request = character.request_from_recipe(recipe, [photo for photo, _ in at_hand.values()])
    return *_make_characters(request, [at_hand[photo.sha256][1] for photo in request.photos], out, quiet), _show_results


def _make_dreams(request: Any, out: Path, quiet: bool) -> tuple[Any, dict[str, Any]]:
    """Dreams and saves. Returns the recipe and the rows to print."""
    from studio.core.images import to_png
    from studio.pipelines.dream import Candidate, dream

    rows, made = [], "-".join(filter(None, [request.generator, request.animal]))
    for step in _steps(dream, request, "Waking the networks", quiet):
        if isinstance(step, Candidate):
            path = _save_new(out, f"{made}-{request.seed}-{step.index}", to_png(step.image, step.recipe))
            words = {"verdicts": list(step.verdicts), "study": step.study, "seconds": round(step.seconds, 4)}
            rows.append({"path": str(path), **_dream_row(request, step), **words})
    # The last step is the result.
    return step.recipe, {"results": rows, "sheet": str(_save_new(out, "sheet", to_png(step.sheet, step.recipe)))}


def _make_stages(request: Any, out: Path, quiet: bool) -> tuple[Any, dict[str, Any]]:
    """Makes figure 3 and saves its sheet. Returns the recipe and the rows to print."""
    from studio.core.images import to_png
    from studio.pipelines.dream import stage_by_stage

    (result,) = _steps(stage_by_stage, request, "Waking the networks", quiet)
    rows = [{**_dream_row(request, cell), "stage": cell.stage} for cell in result.cells]
    return result.recipe, {"results": rows, "sheet": str(_save_new(out, "stages", to_png(result.sheet, result.recipe)))}


def _faces(
    paths: Sequence[Path], generator: str, steps: int | None, frame: str = "auto", face: int | None = None
) -> Any:
    """The request to find these photos; one that was dreamt up here is known by its recipe."""
    from studio.core.images import open_photo
    from studio.pipelines.manifold import STEPS, InvertRequest
    from studio.pipelines.photos import FaceChoice

    photos = tuple(open_photo(path) for path in paths)
    faces = () if face is None else (FaceChoice(index=face - 1),) * len(photos)
    return InvertRequest(photos, generator, STEPS if steps is None else steps, faces, frame, tuple(map(_dream_in, paths)))


def _dream_in(path: Path) -> Any:
    """The recipe of a dream's PNG, None for any other file."""
    from studio.core.recipe import Recipe, RecipeError

    try:
        recipe = Recipe.from_png(path)
    except RecipeError:
        return None
    return recipe if (recipe.tab, recipe.verb) == ("character", "dream") else None


def _all_animals(names: str) -> tuple[str, ...]:
    """As :func:`_animals`, with "all" spelled out."""
    from studio.core.registry import default_registry
    from studio.pipelines.parts import list_animals

    return _animals(names) or tuple(info.name for info in list_animals(default_registry()))


def _make_inversions(request: Any, out: Path, quiet: bool) -> tuple[Any, dict[str, Any]]:
    """Finds faces and saves them. Returns the recipe and what to print."""
    from studio.core.images import to_png
    from studio.pipelines.manifold import Inversion, invert

    rows = []
    for step in _steps(invert, request, "Looking for faces", quiet):
        if isinstance(step, Inversion):
            rows.append(_save_inversion(step, out))
    # The last step is the result.
    return step.recipe, {"faces": rows, "sheet": str(_save_new(out, "found", to_png(step.sheet, step.recipe)))}


def _save_inversion(found: Any, out: Path) -> dict[str, Any]:
    from studio.core.images import to_png

    path = _save_new(out, f"{Path(found.photo_name).stem}-found", to_png(found.image, found.recipe))
    near = found.likeness
    figures = {"psnr": near.psnr, "lpips": near.lpips, "identity": near.identity}
    rounded = {name: value if value is None else round(value, 4) for name, value in figures.items()}
    spent = {"seconds": round(found.seconds, 3), "steps": found.steps, "words": list(near.words), "study": found.study}
    return {"photo": found.photo_name, "path": str(path), **rounded, **spent, "code": found.code.tolist()}


def _make_walk(request: Any, out: Path, quiet: bool, video: bool = False) -> tuple[Any, dict[str, Any]]:
    """Walks and saves every frame, the sheets and with ``video`` the films. Returns the recipe and what to print."""
    from studio.core.images import to_png
    from studio.pipelines.manifold import TraverseResult

    data: dict[str, Any] = {"faces": []}
    for step in _steps(_walk_and_film if video else _walk, request, "Looking for faces", quiet):
        if isinstance(step, TraverseResult):
            result, data = step, {"faces": [_save_inversion(found, out) for found in step.inversions]}
            data |= {"rows": [_save_row(result, row, out) for row in result.rows], "evenness": result.evenness}
            sheets = {"sheet": result.sheet, "array": result.array_sheet}
            data |= {name: sheet if sheet is None else str(_save_new(out, name, to_png(sheet, result.recipe)))
                     for name, sheet in sheets.items()}  # fmt: skip
        else:
            data["video"] = _save_films(step, out)
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
    from studio.core.images import to_png
    from studio.pipelines.manifold import BETWEEN, frame_recipe

    number, name = result.rows.index(row), row.animal or "walk"
    pictures = [to_png(image, frame_recipe(result, BETWEEN * column, number)) for column, image in enumerate(row.images)]
    paths = [str(_save_new(out, f"{name}-{column + 1:02d}", png)) for column, png in enumerate(pictures)]
    return {"animal": row.animal, "words": list(row.words), "study": row.study, "frames": paths}


def _save_films(film: Any, out: Path, name: str = "walk") -> dict[str, str]:
    from studio.core.video import FORMATS
    from studio.pipelines.manifold import film_data

    return {kind: str(_save_new(out, name, film_data(film, kind), kind)) for kind in FORMATS}


def _make_neighbours(
    request: Any, out: Path, quiet: bool, photo: Path | None = None, frame: str = "auto"
) -> tuple[Any, dict[str, Any]]:
    """Looks around and saves what is there. Returns the recipe and the rows to print."""
    from dataclasses import replace

    from studio.core.images import open_photo, to_png
    from studio.pipelines.neighbourhood import find_place, look_around, near_words, place_recipe

    def verb(engine: Any, request: Any) -> Iterator[Any]:
        if photo:
            code = find_place(engine, request.domain, open_photo(photo), frame=frame)
            request = replace(request, code=tuple(map(float, code)))
        yield from look_around(engine, request)

    *_, result = _steps(verb, request, "Looking around", quiet)
    rows = []
    for place in (result.here, *result.neighbours, *result.samples):
        name = f"{request.domain}-{place.kind}-{place.index + 1:02d}"
        path = _save_new(out, name, to_png(place.image, place_recipe(result, place)))
        near = {"distance": round(place.distance, 4), "words": near_words(place), "class": place.label}
        rows.append({"path": str(path), "kind": place.kind, "index": place.index, **near})
    sheet = _save_new(out, "neighbours", to_png(result.sheet, result.recipe))
    return result.recipe, {"results": rows, "code": list(result.request.code), "study": result.study, "sheet": str(sheet)}


def _show_neighbours(data: dict[str, Any]) -> None:
    rows = [(f"{row['kind']} {row['index'] + 1}", row["words"], row["class"], row["path"]) for row in data["results"]]
    print_table("Neighbourhood", ("picture", "how new", "class", "file"), rows)
    _show_sheet(data)


def _morph_again(
    recipe: Any, photos: Sequence[Any], out: Path, quiet: bool
) -> tuple[Any, dict[str, Any], Callable[[Any], None]]:
    """As :func:`_make_again`, of the Morph tab's recipes."""
    from studio.pipelines import inpaint, morph

    if recipe.verb == "inpaint":
        return *_make_inpaint(inpaint.request_from_recipe(recipe, photos), out, quiet), _show_fillings
    makers = {"morph": (_make_morph, _show_morph), "attributes": (_make_attributes, _show_attributes)}
    request = morph.request_from_recipe(recipe, photos)
    make, show = makers.get(recipe.verb, (_make_samples, _show_samples))
    return *make(request, out, quiet), show


def _make_morph(request: Any, out: Path, quiet: bool, video: bool = False) -> tuple[Any, dict[str, Any]]:
    """Morphs and saves every frame, the sheet and with ``video`` the films. Returns the recipe and what to print."""
    from studio.core.images import to_png
    from studio.pipelines.manifold import BETWEEN, Film
    from studio.pipelines.morph import MorphResult, film, frame_recipe, morph

    def verb(engine: Any, request: Any) -> Iterator[Any]:
        for step in morph(engine, request):
            yield step
        if video:
            yield from film(engine, step)  # the last step is the result

    data, began = {}, time.perf_counter()
    for step in _steps(verb, request, "Looking for faces", quiet):
        if isinstance(step, MorphResult):
            result = step
        elif isinstance(step, Film):
            data["video"] = _save_films(step, out, "morph")
    pictures = [to_png(image, frame_recipe(result, BETWEEN * index)) for index, image in enumerate(result.images)]
    frames = [str(_save_new(out, f"morph-{index + 1:02d}", png)) for index, png in enumerate(pictures)]
    found = [{"photo": end.photo_name, "words": list(end.likeness.words), **_found_figures(end)} for end in result.ends]
    return result.recipe, {"found": found, "frames": frames, **data, **_ending(result, "morph", out, began)}


def _make_attributes(request: Any, out: Path, quiet: bool) -> tuple[Any, dict[str, Any]]:
    """Changes a face and saves it, in its photo and as the generator makes it. Returns the recipe and what to print."""
    from dataclasses import asdict

    from studio.core.images import to_png
    from studio.pipelines.morph import attributes, plain_recipe

    *_, result = _steps(attributes, request, "Looking for the face", quiet)
    stem = Path(request.photo.name).stem
    return result.recipe, {
        "photo": request.photo.name,
        "path": str(_save_new(out, f"{stem}-changed", to_png(result.image, result.recipe))),
        "plain": str(_save_new(out, f"{stem}-plain", to_png(result.plain, plain_recipe(result)))),
        "readings": [asdict(reading) for reading in result.readings],
        "identity": _rounded(result.identity),
        "words": list(result.words),
        "found": {"condition": result.condition_before, **_found_figures(result.found)},
        "condition": result.condition,
        "seconds": round(result.seconds, 3),
        "study": result.study,
        "checkpoints": result.recipe.checkpoints,
    }


def _make_makeup(
    request: Any, out: Path, quiet: bool, biased: bool = False, save_looks: bool = False
) -> tuple[Any, dict[str, Any]]:
    """Makes looks and saves the whole photo with each, what else is asked for, and the sheet. Returns the recipe and what to
    print."""
    from studio.core.images import to_png
    from studio.pipelines.makeup import Look, as_the_data_are, look_file, make_up

    def verb(engine: Any, request: Any) -> Iterator[Any]:
        for step in make_up(engine, request):
            if not isinstance(step, Look):  # the last step, the result, has the looks
                yield step
        if biased:
            yield [as_the_data_are(engine, step, look.index) for look in step.looks]

    began, stem = time.perf_counter(), Path(request.photo.name).stem
    result, *plain = _steps(verb, request, "Looking for the face", quiet)

    def save(look: Any, name: str) -> dict[str, Any]:
        path = _save_new(out, f"{stem}-{name}-{look.index + 1}", to_png(look.image, look.recipe))
        return {"path": str(path), **_look_row(look)}

    rows = [save(look, request.direction) for look in result.looks]
    for row, look in zip(rows, plain[0] if plain else (), strict=False):
        row["biased"] = save(look, f"{request.direction}-biased")
    for row, look in zip(rows, result.looks if save_looks else (), strict=False):
        name = f"{stem} {request.direction} {look.index + 1}"
        row["look"] = str(_save_new(out, Path(row["path"]).stem, look_file(look, name).to_json().encode(), "json"))
    asked = {"photo": request.photo.name, "pair": request.pair, "direction": request.direction, "keep": result.looks[0].keep}
    data = {**asked, "seed": request.seed, "faces": result.found.people, "words": list(result.words), "results": rows}
    return result.recipe, {**data, **_ending(result, "looks", out, began)}


def _look_row(look: Any) -> dict[str, Any]:
    """A look's figures; ``makeup`` is the judge's probability of makeup after, ``kept`` which things stayed that should."""
    from dataclasses import asdict

    figures = {name: _rounded(value) for name, value in asdict(look.measures).items()}
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


def _make_inpaint(request: Any, out: Path, quiet: bool) -> tuple[Any, dict[str, Any]]:
    """Fills a hole and saves every filling and the sheet. Returns the recipe and what to print."""
    from studio.core.images import to_png
    from studio.pipelines.inpaint import inpaint

    began = time.perf_counter()
    *_, result = _steps(inpaint, request, "Looking for the face", quiet)
    rows, stem = [], Path(request.photo.name).stem
    for filling in result.fillings:
        path = _save_new(out, f"{stem}-filled-{filling.index + 1}", to_png(filling.image, filling.recipe))
        fits = {"agreement": _rounded(filling.agreement), "words": list(filling.words), "condition": filling.condition}
        rows.append({"path": str(path), "index": filling.index, "rank": result.ranking.index(filling.index) + 1, **fits})
    best = rows[result.ranking[0]]["path"]
    asked = {"photo": request.photo.name, "domain": request.domain, "iterations": request.iterations}
    data = {**asked, "results": rows, "best": best}
    return result.recipe, {**data, **_ending(result, "fillings", out, began)}


def _make_samples(request: Any, out: Path, quiet: bool) -> tuple[Any, dict[str, Any]]:
    """Draws a class or a mix and saves every picture and the sheet. Returns the recipe and what to print."""
    from studio.core.images import to_png
    from studio.pipelines.morph import ClassRequest, draw_class, mix

    began, verb = time.perf_counter(), draw_class if isinstance(request, ClassRequest) else mix
    *_, result = _steps(verb, request, "Waking the networks", quiet)
    rows = []
    for sample in result.samples:
        name = f"{request.domain}-{result.recipe.verb}-{request.seed}-{sample.index}"
        path = _save_new(out, name, to_png(sample.image, sample.recipe))
        rows.append({"path": str(path), "index": sample.index, "chance": _rounded(sample.chance), "words": list(sample.words)})
    data = {"domain": request.domain, "seed": request.seed, "condition": result.condition, "results": rows}
    return result.recipe, {**data, **_ending(result, result.recipe.verb, out, began)}


def _ending(result: Any, name: str, out: Path, began: float) -> dict[str, Any]:
    """What results of a tab end in; the sheet is saved."""
    from studio.core.images import to_png

    sheet = str(_save_new(out, name, to_png(result.sheet, result.recipe)))
    spent = round(time.perf_counter() - began, 3)
    return {"seconds": spent, "study": result.study, "checkpoints": result.recipe.checkpoints, "sheet": sheet}


def _found_figures(found: Any) -> dict[str, Any]:
    near = found.likeness
    figures = {"psnr": near.psnr, "lpips": near.lpips, "identity": near.identity}
    return {**{name: _rounded(value) for name, value in figures.items()}, "seconds": round(found.seconds, 3)}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _show_morph(data: dict[str, Any]) -> None:
    print_table("Found", ("photo", "how near"), [(row["photo"], "; ".join(row["words"])) for row in data["found"]])
    for name, path in data.get("video", {}).items():
        print(f"{name}:", path)
    _show_sheet(data)


def _show_attributes(data: dict[str, Any]) -> None:
    rows = [(row["attribute"].replace("_", " "), row["words"]) for row in data["readings"]]
    print_table("Attributes", ("attribute", "how it reads"), rows or [(k, f"{v:+.2f}") for k, v in data["condition"].items()])
    print(*data["words"], data["path"], sep="\n")


def _show_makeup(data: dict[str, Any]) -> None:
    rows = [(str(row["index"] + 1), "; ".join(row["words"]), row["path"]) for row in data["results"]]
    print_table("Looks", ("", "what changed", "file"), rows)
    print(*data["words"], sep="\n", end="\n" if data["words"] else "")
    _show_sheet(data)


def _show_fillings(data: dict[str, Any]) -> None:
    rows = [(str(row["rank"]), "; ".join(row["words"]), row["path"]) for row in sorted(data["results"], key=lambda r: r["rank"])]
    print_table("Fillings, the best first", ("", "how it fits", "file"), rows)
    _show_sheet(data)


def _show_samples(data: dict[str, Any]) -> None:
    largest = sorted(data["condition"].items(), key=lambda item: -item[1])[:5]
    made_of = ", ".join(f"{name.replace('_', ' ')} {share:.2f}" for name, share in largest)
    print_table(f"Made of {made_of}", ("picture", "how it reads", "file"),
                [(str(row["index"]), "; ".join(row["words"]), row["path"]) for row in data["results"]])  # fmt: skip
    _show_sheet(data)


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
    _show_sheet(data)


def _steps(verb: Callable[..., Iterator[Any]], request: Any, label: str, quiet: bool) -> Iterator[Any]:
    """What a pipeline's verb yields besides its progress, which goes to a bar."""
    from studio.core.engine import Engine
    from studio.pipelines.parts import Progress

    with Engine() as engine, step_bar(label, quiet) as report:
        for step in verb(engine, request):
            if isinstance(step, Progress):
                report(step.done, step.total, step.message)
            else:
                yield step


def _dream_row(request: Any, cell: Any) -> dict[str, Any]:
    scores = {"face_score": cell.face_score, "animal_score": cell.animal_score, "originality": cell.originality}
    return {"index": cell.index, "seed": request.seed, "generator": request.generator, "animal": request.animal, **scores}


def _show_dreams(data: dict[str, Any]) -> None:
    rows = [
        (str(r["index"]), r.get("stage", ""), "; ".join(r.get("verdicts", [])), _figure(r["originality"]), r.get("path", ""))
        for r in data["results"]
    ]
    print_table("Dreams", ("number", "stage", "how it reads", "originality", "file"), rows)
    _show_sheet(data)


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _make_characters(request: Any, photos: Sequence[Path], out: Path, quiet: bool) -> tuple[Any, dict[str, Any]]:
    """Translates and saves; ``photos`` are the files of the request's photos. Returns the recipe and the rows to print."""
    from studio.core.images import to_png
    from studio.pipelines.character import Translation, translate

    rows = []
    for step in _steps(translate, request, "Looking for faces", quiet):
        if isinstance(step, Translation):
            stem = f"{Path(step.photo_name).stem}-{step.animal}"
            path = _save_new(out, stem, to_png(step.image, step.recipe))
            rows.append(_result_row(str(photos[step.photo_index]), step, str(path)))
    # The last step is the result.
    return step.recipe, {"results": rows, "sheet": str(_save_new(out, "sheet", to_png(step.sheet, step.recipe)))}


def _animals(names: str) -> tuple[str, ...]:
    """"Chow Chow, lion" as the names of animals; none at all means all of them."""
    if names.strip().lower() == "all":
        return ()
    wanted = tuple(_animal(name) for name in names.split(",") if name.strip())
    if not wanted:
        raise ValueError("Name the animals with commas between them, or say all.")
    return wanted


def _animal(name: str) -> str:
    """"Chow Chow" as the animal's name."""
    return "_".join(name.lower().replace("-", " ").split())


def _result_row(photo: str, cell: Any, path: str) -> dict[str, Any]:
    scores = {"face_score": cell.face_score, "animal_score": cell.animal_score, "seconds": round(cell.seconds, 4)}
    return {"photo": photo, "animal": cell.animal, "path": path, **scores, "verdicts": list(cell.verdicts), "study": cell.study}


def _show_results(data: dict[str, Any]) -> None:
    rows = [(r["photo"], r["animal"], "; ".join(r["verdicts"]), r["path"]) for r in data["results"]]
    print_table("Characters", ("photo", "animal", "how it reads", "file"), rows)
    _show_sheet(data)


def _show_sheet(data: dict[str, Any]) -> None:
    print("sheet:", data["sheet"])
    if not data.get("exact", True):
        print("The networks have changed since that picture was made, so this one differs.")


def _save_new(folder: Path, stem: str, data: bytes, kind: str = "png") -> Path:
    """Writes ``stem.png``, or ``stem-2.png`` and so on if there is one: two photos may have one name, and no file is replaced."""
    from studio.core.files import is_full

    try:
        folder.mkdir(parents=True, exist_ok=True)
        path, file = _open_new(folder, stem, kind)
        try:
            with file:
                file.write(data)
        except OSError:
            path.unlink(missing_ok=True)
            raise
    except OSError as error:
        mend = "make room on the disk" if is_full(error) else "choose another folder with --out"
        raise ValueError(f"The pictures cannot be written to {folder} ({error.strerror}): {mend}.") from error
    return path


def _open_new(folder: Path, stem: str, kind: str) -> tuple[Path, BinaryIO]:
    path, number = folder / f"{stem}.{kind}", 1
    while True:
        try:
            return path, path.open("xb")
        except FileExistsError:
            number += 1
            path = folder / f"{stem}-{number}.{kind}"


@evaluate.command("character")
def evaluate_character(
    data: Annotated[Path | None, typer.Option(help="Folder of the data packs.", exists=True, file_okay=False)] = None,
    animals: Annotated[str, typer.Option(help="Names with commas between, or all.")] = "all",
    save: Annotated[bool, typer.Option("--save", help="Put the figures into the models' cards.")] = False,
    as_json: Json = False,
) -> None:
    """Measure the face-to-animal networks on part 9 of the data packs, beside real animals."""
    from studio.core.engine import Engine
    from studio.pipelines.parts import choose_animals
    from studio.train import evaluate as measure

    results = []
    with Engine() as engine, step_bar("Reading the packs", quiet=as_json) as report:
        cards = [info.card for info in choose_animals(engine, _animals(animals))]
        try:
            steps = measure.evaluate_character(engine, cards, data, lambda done, total: report(done, total, "Translating"))
            for figures in steps:
                results.append(figures.to_dict())
                if save:
                    measure.save_measures(engine.registry, figures)
        except FileNotFoundError as error:
            raise ValueError(str(error)) from error
    emit({"results": results}, as_json, lambda _: print_table("Characters on part 9", *_figure_table(results)))


def _figure_table(results: Sequence[dict[str, Any]]) -> tuple[Sequence[str], list[tuple[str, ...]]]:
    columns = "animal", "named right", "real", "score(Y)", "real", "score(X)", "real", "varied", "KID"
    names = (
        "named_right", "real_named_right", "animal_score", "real_animal_score", "face_score", "real_face_score",
        "diversity_ratio", "kid",
    )  # fmt: skip
    return columns, [(r["animal"], *(f"{r[name]:.3f}" for name in names)) for r in results]


@evaluate.command("ian")
def evaluate_ian(
    data: Annotated[Path | None, typer.Option(help="Folder of the data packs.", exists=True, file_okay=False)] = None,
    samples: Annotated[int, typer.Option(min=2, help="Samples of each row; the animals share them.")] = 1000,
    save: Annotated[bool, typer.Option("--save", help="Put the figures into the generators' cards.")] = False,
    as_json: Json = False,
) -> None:
    """Measure the generators and their cascades as Table 1 of IAN does, on the data packs."""
    from studio.core.engine import Engine
    from studio.pipelines.dream import list_generators
    from studio.pipelines.parts import list_animals
    from studio.train.evaluate import save_measures
    from studio.train.evaluate_ian import evaluate_ian as measure

    with Engine() as engine, step_bar("Reading the packs", quiet=as_json) as report:
        generators = {info.label: info.cards for info in list_generators(engine)}
        try:
            table = measure(engine, generators, [info.card for info in list_animals(engine)], samples, data, report)
        except FileNotFoundError as error:
            raise ValueError(str(error)) from error
        for model in table.models if save else ():
            save_measures(engine.registry, model)
    emit(table.to_dict(), as_json, _show_ian)


def _show_ian(data: dict[str, Any]) -> None:
    names = "score_x", "score_y", "score", "error_x", "error_y", "error"
    rows = [(row["name"], *(f"{row[name]:.2f}" for name in names)) for row in data["rows"]]
    columns = "model", "score(X)", "score(Y)", "avg", "err(X)", "err(Y)", "avg"
    print_table(f"Table 1 in percent, on {', '.join(data['animals'])}", columns, rows)
    figures = [name for name in data["distances"][0] if name != "name"]
    print_table("Faces as a set", ("model", *figures), [[row["name"], *map(row.get, figures)] for row in data["distances"]])
    print_claims(data["claims"])


@evaluate.command("xgan")
def evaluate_xgan(
    data: Annotated[Path | None, typer.Option(help="Folder of the data packs.", exists=True, file_okay=False)] = None,
    models: Annotated[str, typer.Option(help="Rows of the table with commas between, or all.")] = "all",
    pictures: Annotated[int, typer.Option(min=1, help="Each model learns from.")] = 10_000,
    runs: Annotated[int, typer.Option(min=1, help="Of each model, from other seeds.")] = 3,
    samples: Annotated[int, typer.Option(min=20, help="Of each model, to tell from photographs.")] = 1000,
    as_json: Json = False,
) -> None:
    """Train small X-GANs, their ablations and their baseline, and count the faces that each never draws."""
    from studio.core.engine import Engine
    from studio.train.evaluate_xgan import evaluate_xgan as measure
    from studio.train.xgan import VARIANTS

    names = list(VARIANTS) if models == "all" else [name.strip() for name in models.split(",")]
    with Engine() as engine, step_bar("Reading the packs", quiet=as_json) as report:
        try:
            table = measure(engine, names, pictures, runs, samples, data, report)
        except FileNotFoundError as error:
            raise ValueError(str(error)) from error
    emit(table.to_dict(), as_json, _show_xgan)


def _show_xgan(data: dict[str, Any]) -> None:
    def told(figure: dict[str, float]) -> str:
        return f"{figure['mean']:g} ± {figure['std']:g}"

    thresholds = list(data["rows"][0]["missing"])
    rows = [(r["name"], *(told(r["missing"][t]) for t in thresholds), told(r["inception_score"])) for r in data["rows"]]
    columns = "model", *(f"D* > {t}" for t in thresholds), "inception score"
    print_table(f"Of {data['test']} new faces each misses", columns, rows)


@evaluate.command("cvaegan")
def evaluate_cvaegan(
    data: Annotated[Path | None, typer.Option(help="Folder of the data packs.", exists=True, file_okay=False)] = None,
    parts: Annotated[str, typer.Option(help="What to measure, with commas between.")] = "models,augmentation,holes,attributes",
    domains: Annotated[str, typer.Option(help="Of the models: faces, flowers, birds.")] = "faces",
    pictures: Annotated[int, typer.Option(min=1, help="Each model learns from.")] = 10_000,
    runs: Annotated[int, typer.Option(min=1, help="Of each model, from other seeds.")] = 2,
    samples: Annotated[int, typer.Option(min=20, help="Of each model.")] = 1000,
    photos: Annotated[int, typer.Option(min=2, help="New faces with holes, and with changed attributes.")] = 24,
    as_json: Json = False,
) -> None:
    """Train small CVAE-GANs and what they are compared with; teach with drawn people; fill holes, change attributes."""
    from studio.core.engine import Engine
    from studio.pipelines.conditioned import sliders
    from studio.train.cvaegan import VARIANTS
    from studio.train.evaluate_cvaegan import evaluate_cvaegan as measure

    wanted = {name.strip() for name in parts.split(",")}
    if unknown := wanted - {"models", "augmentation", "holes", "attributes"}:
        raise ValueError(f"There is no part {', '.join(sorted(unknown))}; there is models, augmentation, holes, attributes.")
    with Engine() as engine, step_bar("Reading the packs", quiet=as_json) as report:
        changes = "attributes" in wanted
        attributes = [slider.attribute for slider in sliders(engine)] if changes else []
        find, fill = _changer(engine) if changes else None, _filler(engine) if "holes" in wanted else None
        draw = _drawer(engine) if "augmentation" in wanted else None
        names, kinds = tuple(VARIANTS) if "models" in wanted else (), tuple(name.strip() for name in domains.split(","))
        try:
            figures = measure(engine, find, fill, attributes, names, kinds, draw, pictures, runs, samples, photos, data, report)
        except FileNotFoundError as error:
            raise ValueError(str(error)) from error
    emit(figures.to_dict(), as_json, _show_cvaegan)


def _drawer(engine: Any) -> Callable[[Any, Any], Any]:
    """What draws people, as the Morph tab does, for conditions (N, K) and with latents from a generator."""
    import numpy as np

    from studio.pipelines.conditioned import BATCH, draw, networks_of

    networks = networks_of(engine, "people")

    def drawn(conditions: Any, draws: Any) -> Any:
        latents = draws.standard_normal((len(conditions), networks.generator.config["latent"]), np.float32)
        starts = range(0, len(latents), BATCH)
        return np.concatenate([draw(engine, networks, latents[k : k + BATCH], conditions[k : k + BATCH]) for k in starts])

    return drawn


def _portrait(rgb: Any) -> tuple[Any, Any]:
    """A portrait of the packs, uint8 (128, 128, 3), as a photo with its face, whose eyes are where the frame puts them."""
    from studio.core.faces import FRAMES
    from studio.core.images import Photo
    from studio.pipelines.photos import FaceChoice

    return Photo(rgb, "0" * 64, "portrait"), FaceChoice(eyes=tuple(map(tuple, FRAMES["portrait"])))


def _changer(engine: Any) -> Callable[[Any], Callable[[str, float], tuple[float, float]]]:
    """What finds the face of a portrait and changes its attributes, as the Morph tab does."""
    from studio.pipelines.morph import AttributesRequest, attributes

    def find(rgb: Any) -> Callable[[str, float], tuple[float, float]]:
        photo, face = _portrait(rgb)
        *_, first = attributes(engine, AttributesRequest(photo, face=face))

        def change(attribute: str, value: float) -> tuple[float, float]:
            *_, result = attributes(engine, AttributesRequest(photo, {attribute: value}, face=face), first.found)
            return result.readings[0].after, result.identity

        return change

    return find


def _filler(engine: Any) -> Callable[[Any, Any, Any], list[Any]]:
    """What fills the hole of a portrait, as the Morph tab does: the portrait after some of the iterations."""
    from studio.pipelines.inpaint import InpaintRequest, Iteration, inpaint, settle

    def fill(rgb: Any, hole: Any, iterations: Any) -> list[Any]:
        photo, face = _portrait(rgb)
        request = InpaintRequest(photo, hole, iterations=max(iterations), candidates=1, face=face)
        steps = [step for step in inpaint(engine, request) if isinstance(step, Iteration)]
        return [settle(engine, request, step).fillings[0].image for step in steps if step.iteration in iterations]

    return fill


def _show_cvaegan(data: dict[str, Any]) -> None:
    def told(figure: dict[str, float]) -> str:
        return f"{figure['mean']:g} ± {figure['std']:g}"

    if data["table"]:
        kinds = "accuracy", "balanced", "inception"
        rows = [(row["domain"], row["name"], *(told(row[kind]) for kind in kinds)) for row in data["table"]]
        print_table("Table 1", ("domain", "model", "as asked", "balanced", "inception score"), rows)
    if data["augmentation"]:
        kinds = "recognised", "verified", "auc"
        rows = [(row["data"], *(told(row[kind]) for kind in kinds)) for row in data["augmentation"]]
        print_table("Table 2", ("learnt from", *kinds), rows)
    if data["fillings"]:
        columns = "way", "psnr", "lpips", "identity"
        print_table(f"Holes in {data['photos']} faces", columns, [[f[name] for name in columns] for f in data["fillings"]])
    if data["sliders"]:
        rows = [(s["attribute"].replace("_", " "), *s["probability"], min(s["identity"])) for s in data["sliders"]]
        print_table(f"Attributes of {data['photos']} faces", ("attribute", *map(str, data["values"]), "least identity"), rows)
    print_claims(data["claims"])


@evaluate.command("sdit")
def evaluate_sdit(
    data: Annotated[Path | None, typer.Option(help="Folder of the data packs.", exists=True, file_okay=False)] = None,
    parts: Annotated[str, typer.Option(help="What to measure, with commas between.")] = "models,attributes,art,cars",
    pictures: Annotated[int, typer.Option(min=1, help="Each model learns from.")] = 10_000,
    size: Annotated[int, typer.Option(help="Of the models' pictures, in px: 64 or 128.")] = 64,
    photos: Annotated[int, typer.Option(min=2, help="New photos of each part.")] = 24,
    styles: Annotated[int, typer.Option(min=2, help="Pictures of each.")] = 10,
    as_json: Json = False,
) -> None:
    """Train small variants of SDIT; turn attributes round; classify photos by what translated ones teach."""
    from studio.core.engine import Engine
    from studio.train.evaluate_sdit import evaluate_sdit as measure
    from studio.train.sdit import CONFIGS, DOMAINS, VARIANTS

    wanted = [name.strip() for name in parts.split(",")]
    if unknown := set(wanted) - {"models", *DOMAINS}:
        raise ValueError(f"There is no part {', '.join(sorted(unknown))}; there is models, {', '.join(DOMAINS)}.")
    if size not in CONFIGS:
        raise ValueError(f"Models of {size} px are not known; there is {', '.join(map(str, CONFIGS))}.")
    names = tuple(VARIANTS) if "models" in wanted else ()
    with Engine() as engine, step_bar("Reading the packs", quiet=as_json) as report:
        domains = [name for name in wanted if name != "models"]
        try:
            figures = measure(engine, domains, names, pictures, size, photos, styles, data, report)
        except FileNotFoundError as error:
            raise ValueError(str(error)) from error
    emit(figures.to_dict(), as_json, _show_sdit)


def _show_sdit(data: dict[str, Any]) -> None:
    def table(title: str, first: str, columns: tuple[str, ...], rows: list[dict[str, Any]]) -> None:
        heads = (first, *(name.replace("_", " ") for name in columns))
        print_table(title, heads, [(row["name"].replace("_", " "), *(row[name] for name in columns)) for row in rows])

    faces = "id_distance", "lpips", "as_asked"
    if data["table"]:
        table(f"Table 6.1, {data['pictures']} pictures each", "variant", faces, data["table"])
    if data["attributes"]:
        rows = [*data["attributes"], {"name": "mean"} | data["means"]["attributes"]]
        table(f"Attributes of {data['photos']} faces", "attribute", (*faces, "lpips_photographs"), rows)
    for part, domains in data["domains"].items():
        columns = "accuracy", "accuracy_photographs", "lpips", "lpips_photographs"
        table(f"Reverse classification: {part}", "domain", columns, [*domains, {"name": "mean"} | data["means"][part]])
    for part, ways in data["networks"].items():
        rows = [(way["way"], way["networks"], f"{way['parameters'] / 1e6:.1f} million") for way in ways]
        print_table(f"Networks for {part}", ("way", "networks", "parameters"), rows)
    print_claims(data["claims"])


@evaluate.command("udit")
def evaluate_udit(
    data: Annotated[Path | None, typer.Option(help="Folder of the data packs.", exists=True, file_okay=False)] = None,
    pairs: Annotated[str, typer.Option(help="What to measure, with commas between.")] = "makeup,age",
    photos: Annotated[int, typer.Option(min=2, help="Of each kind at most.")] = 100,
    looks: Annotated[int, typer.Option(min=2, help="Of each photo.")] = 20,
    size: Annotated[int, typer.Option(min=1, help="Of the networks' pictures, in px.")] = 128,
    runs: Annotated[Path, typer.Option(help="Folder of the runs that left other variants.")] = Path("runs"),
    as_json: Json = False,
) -> None:
    """Measure what makeup and age change of who somebody is, and how different their looks are."""
    from studio.core.engine import Engine
    from studio.train.evaluate_udit import evaluate_udit as measure
    from studio.train.udit import PAIRS

    wanted = [name.strip() for name in pairs.split(",")]
    if unknown := set(wanted) - set(PAIRS):
        raise ValueError(f"There is no pair {', '.join(sorted(unknown))}; there is {', '.join(PAIRS)}.")
    with Engine() as engine, step_bar("Reading the packs", quiet=as_json) as report:
        try:
            figures = measure(engine, wanted, photos, looks, size, runs, data, report)
        except FileNotFoundError as error:
            raise ValueError(str(error)) from error
    emit(figures.to_dict(), as_json, _show_udit)


def _show_udit(data: dict[str, Any]) -> None:
    columns = "flips", "confidence_drop", "id_distance", "as_asked", "lpips", "kid"
    for name, title in (("table", "Figure 5.5 and table 5.4"), ("curve", "Over keep")):
        rows = [(row["inputs"], row["name"], row["keep"], *(row[column] for column in columns)) for row in data[name]]
        print_table(title, ("photos", "network", "keep", *(column.replace("_", " ") for column in columns)), rows)
    columns = "group", "keep", "photos", "flips", "flips_of_photos", "id_distance", "skin_delta_e", "ita_shift"
    print_table("Groups", [c.replace("_", " ") for c in columns], [[row[c] for c in columns] for row in data["groups"]])
    print_claims(data["claims"])


@evaluate.command("reversal")
def evaluate_reversal(
    data: Annotated[Path | None, typer.Option(help="Folder of the data packs.", exists=True, file_okay=False)] = None,
    photos: Annotated[int, typer.Option(min=2, help="New faces to find.")] = 24,
    as_json: Json = False,
) -> None:
    """Measure how near faces of part 9 are found in the latent space, beside plain descent (generator reversal)."""
    from studio.core.engine import Engine
    from studio.pipelines.manifold import STEPS
    from studio.train.evaluate_reversal import OURS
    from studio.train.evaluate_reversal import evaluate_reversal as measure

    with Engine() as engine, step_bar("Reading the packs", quiet=as_json) as report:
        ways = {f"{OURS}, {steps} steps": _finder(engine, steps) for steps in (STEPS, 30)}
        ways["the encoder's guess"] = _finder(engine, 0)
        try:
            figures = measure(engine, ways, photos, data, report)
        except FileNotFoundError as error:
            raise ValueError(str(error)) from error
    emit(figures.to_dict(), as_json, _show_reversal)


def _finder(engine: Any, steps: int) -> Callable[[Any], tuple[Any, float]]:
    """What finds a head, uint8 (R, R, 3), as the Manifold tab does: the picture and the seconds."""
    from studio.core.images import Photo
    from studio.pipelines.manifold import InvertRequest, invert

    def find(head: Any) -> tuple[Any, float]:
        request = InvertRequest((Photo(head, "0" * 64, "head"),), steps=steps, frame="centre")
        *_, result = invert(engine, request)
        (found,) = result.inversions
        return found.image, found.seconds

    return find


def _show_reversal(data: dict[str, Any]) -> None:
    columns = "name", "psnr", "lpips", "identity", "same", "nearer", "seconds"
    rows = [[way[name] if way[name] is not None else "" for name in columns] for way in data["ways"]]
    print_table(f"{data['photos']} new faces", ("way", *columns[1:]), rows)
    errors = [(f"{name}, {kind}", *curve.values()) for name, kinds in data["errors"].items() for kind, curve in kinds.items()]
    marks = next(iter(next(iter(data["errors"].values())).values()))
    cells = [(name, *map("{:.4f}".format, curve)) for name, *curve in errors]
    print_table("Squared error", ("weights", *(f"{step} steps" for step in marks)), cells)
    promises = [(way, name.replace("_", " "), p["holds"]) for way, all_ in data["promises"].items() for name, p in all_.items()]
    print_table("Promises", ("way", "promise", ""), [(*said, "kept" if holds else "not kept") for *said, holds in promises])


@evaluate.command("kdegan")
def evaluate_kdegan(
    steps: Annotated[int, typer.Option(min=8, help="Of each training.")] = 320,
    seed: Annotated[int, typer.Option(help="Of the networks and draws.")] = 0,
    pictures: Annotated[Path | None, typer.Option(help="Folder for samples.", exists=True, file_okay=False)] = None,
    as_json: Json = False,
) -> None:
    """Train KDE-GAN and the plain GAN on digits, from one start, and measure both."""
    from studio.train.evaluate_reversal import evaluate_kdegan as measure

    with step_bar("Reading the digits", quiet=as_json) as report:
        figures = measure(steps, seed, pictures, report)
    emit(figures.to_dict(), as_json, _show_kdegan)


def _show_kdegan(data: dict[str, Any]) -> None:
    names = list(data["training"])
    points = zip(*(data["training"][name]["points"] for name in names), strict=True)
    rows = [(both[0]["steps"], *(point["inception_score"] for point in both)) for both in points]
    print_table("Inception score over training", ("steps", *names), rows)
    table = [(name, scores["restricted"], scores["after"], scores["full"]) for name, scores in data["recovery"].items()]
    print_table("Recovery of modes", ("", "restricted", "full after restriction", "full"), table)
    print_claims(data["claims"])


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True}, add_help_option=False)
def train(context: typer.Context, as_json: Json = False) -> int:
    """Train networks; `train --help` lists the options, `train` alone the recipes."""
    from studio.train.__main__ import main as run_training

    return run_training([*context.args, *(["--json"] if as_json else [])])


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True}, add_help_option=False)
def serve(context: typer.Context) -> None:
    """Start the studio and open it to a browser; takes the flags of `app.py`."""
    from studio.ui.serve import main as open_studio

    open_studio(context.args)
