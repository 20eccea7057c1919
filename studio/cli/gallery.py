"""``gallery ...``: the pictures this artist has kept."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from studio.cli.console import emit, print_table
from studio.cli.options import Json

ItemIds = Annotated[list[str], typer.Argument(metavar="ID...", help="Picture ids; `gallery list` lists them.")]

app = typer.Typer(help="The pictures this artist has kept.", no_args_is_help=True)


def _gallery() -> Any:
    from studio.core.workspace import Workspaces

    return Workspaces().local().gallery


def _item_rows(items: Sequence[Any]) -> list[tuple[str, ...]]:
    made = [f"{datetime.fromtimestamp(item.created):%Y-%m-%d %H:%M}" for item in items]
    names = [f"* {item.name}" if item.favourite else item.name for item in items]
    return [(item.id, name, ", ".join(item.tags), when) for item, name, when in zip(items, names, made, strict=True)]


@app.command("list")
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


@app.command("show")
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


@app.command("export")
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


@app.command("delete")
def gallery_delete(ids: ItemIds, as_json: Json = False) -> None:
    """Put pictures in the trash."""
    _gallery().delete(*ids)
    emit({"deleted": ids}, as_json, lambda _: print("In the trash; `python -m studio gallery undo` brings them back."))


@app.command("undo")
def gallery_undo(as_json: Json = False) -> None:
    """Take back the last edit: a name, tags, a favourite, a deletion."""
    edit = _gallery().undo()
    data = {"undone": edit and edit.label, "ids": edit.ids if edit else []}
    emit(data, as_json, lambda _: print(f"Undone: {edit.label}." if edit else "There is nothing to undo."))


@app.command("restore-recipe")
def gallery_restore_recipe(
    picture: Annotated[str, typer.Argument(help="A PNG that the studio saved, or a picture id.")], as_json: Json = False
) -> None:
    """Read the recipe out of a saved PNG, or of a picture in the gallery."""
    from studio.core.recipe import Recipe

    recipe = Recipe.from_png(Path(picture)) if Path(picture).is_file() else _gallery().recipe(picture)
    data = recipe.model_dump(mode="json")
    emit(data, as_json, lambda _: print_table("Recipe", ("", ""), list(data.items())))


@app.command("move")
def gallery_move(
    folder: Annotated[Path, typer.Argument(help="A new or empty folder.")], as_json: Json = False
) -> None:
    """Move the whole gallery into another folder; the studio finds it there from now on."""
    from studio.core.workspace import Workspaces

    moved = Workspaces().move(folder)
    emit({"folder": str(moved.folder)}, as_json, lambda data: print(data["folder"]))
