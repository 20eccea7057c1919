"""The gallery strip: what the visitor has kept, newest first, and everything that can be done to it there."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import gradio as gr

from studio.core.export import export_zip
from studio.core.gallery import Filter, Gallery, GalleryError, Item
from studio.core.recipe import without_recipe
from studio.ui.parts import QUIET, drawn, event_value, note, served
from studio.ui.session import STRIP_PAGE, Backstage, Desk

PNG = b"\x89PNG"  # how its files begin


def strip_value(backstage: Backstage, desk: Desk, said: dict[str, Any] | None = None) -> dict[str, Any]:
    """What the browser draws: the pictures that pass the visitor's filter, and the token by which it comes back to them."""
    gallery = backstage.gallery(desk)
    undo, redo = gallery.history()
    return {
        "token": desk.token,
        "items": [_cell(backstage, desk, item) for item in _shown(gallery, desk)],
        "total": gallery.count(desk.view),
        "kept": gallery.count(),
        "trash": gallery.count(Filter(trash=True)),
        "tags": gallery.tags(),
        "view": {
            "text": desk.view.text,
            "tab": desk.view.tab,
            "tag": desk.view.tag,
            "favourites": desk.view.favourites,
            "trash": desk.view.trash,
        },
        "undo": undo,
        "redo": redo,
        "note": said,
    }


def download(desk: Desk, event: gr.EventData, data: bytes, name: str) -> dict[str, Any]:
    """A file for the courier to save; where the event says ``bare``, a picture without how it was made."""
    bare = event_value(event, "bare") is True and data.startswith(PNG)
    return parcel(desk, file=served(without_recipe(data) if bare else data, name))


def parcel(desk: Desk, **contents: Any) -> dict[str, Any]:
    """What the courier brings to the page: a ``file`` to save, a ``note`` to show or the ``tab`` to turn to; its number tells two
    equal ones apart."""
    desk.exports += 1
    return {**contents, "count": desk.exports}


def event_ids(event: gr.EventData) -> list[Any]:
    """The ids an event names; whether they are any is for the gallery to say."""
    ids = event_value(event, "ids")
    return ids if isinstance(ids, list) else []


class Strip:
    """Draws the strip and answers what is done to it."""

    def __init__(self, backstage: Backstage):
        self._backstage = backstage

    def build(self, desk: gr.State, courier: gr.HTML) -> gr.HTML:
        """The strip's part of the page, connected."""
        strip = drawn("strip", "strip", "edit", "view", "fetch", "details", "deliver", "again", "recipe")
        strip.edit(self._edit, [desk], [desk, strip], **QUIET)
        strip.view(self._view, [desk], [desk, strip], **QUIET)
        strip.fetch(self._fetch, [desk], [desk, courier], **QUIET)
        return strip

    def _edit(self, desk: Desk, event: gr.EventData) -> tuple[Desk, dict[str, Any]]:
        act = _EDITS.get(str(event_value(event, "act")))
        said = None
        if act in (_undo, _redo) or (act and event_ids(event)):  # without ids a purge would mean the whole trash
            try:
                said = act(self._backstage.gallery(desk), event)
            except GalleryError as error:
                said = note(str(error), True)
        return desk, strip_value(self._backstage, desk, said)

    def _view(self, desk: Desk, event: gr.EventData) -> tuple[Desk, dict[str, Any]]:
        if event_value(event, "more") is True:
            desk.shown += STRIP_PAGE
        else:
            words = {name: str(event_value(event, name) or "")[:200] for name in ("text", "tab", "tag")}
            switches = {name: event_value(event, name) is True for name in ("favourites", "trash")}
            desk.view, desk.shown = Filter(**words, **switches), STRIP_PAGE
        return desk, strip_value(self._backstage, desk)

    def _fetch(self, desk: Desk, event: gr.EventData) -> tuple[Desk, dict[str, Any]]:
        """One picture or a zip of several, with or without how they were made."""
        ids, gallery = event_ids(event), self._backstage.gallery(desk)
        try:
            if event_value(event, "zip") is True:
                return desk, zip_of(desk, event, gallery, ids)
            item = gallery.get(ids[0] if ids else None)
            return desk, download(desk, event, gallery.png(item.id), f"{item.name}.png")
        except GalleryError as error:
            return desk, parcel(desk, note=note(str(error), True))


def take_away(
    backstage: Backstage, desk: Desk, event: gr.EventData, sheet: Mapping[str, Any], sheet_png: bytes | None
) -> tuple[Desk, dict[str, Any]]:
    """A canvas's sheet, one picture of it, or a zip of all, as a file to save; ``bare`` leaves out how they were made."""
    try:
        if event_value(event, "what") == "zip":
            ids = [item["id"] for item in sheet.get("items", {}).values()]
            return desk, zip_of(desk, event, backstage.gallery(desk), ids)
        return desk, download(desk, event, *_picture(event, sheet, sheet_png))
    except (GalleryError, OSError, LookupError):
        return desk, parcel(desk, note=note("That picture is not here any more: make it again.", True))


def _picture(event: gr.EventData, sheet: Mapping[str, Any], sheet_png: bytes | None) -> tuple[bytes, str]:
    """The sheet or the picture that the event names, and its file's name. Raises ``LookupError`` or ``OSError``."""
    if event_value(event, "what") == "sheet":
        if sheet_png is None:
            raise LookupError
        return sheet_png, "imaginarium-sheet.png"
    if (file := item_file(event, sheet.get("items", {}).values())) is None:
        raise LookupError
    return file


def item_file(event: gr.EventData, items: Iterable[Mapping[str, Any]]) -> tuple[bytes, str] | None:
    """The picture among a canvas's ``items`` that the event names by its id, and its file's name. Raises ``OSError``."""
    files = {item["id"]: item["file"] for item in items}
    file = files.get(str(event_value(event, "id")))
    return (Path(file["path"]).read_bytes(), file["orig_name"]) if file else None


def zip_of(desk: Desk, event: gr.EventData, gallery: Gallery, ids: list[Any]) -> dict[str, Any]:
    """The zip of core.export for the courier to save, ``bare`` or not. Raises ``GalleryError``."""
    archive = io.BytesIO()
    export_zip(gallery, [gallery.get(item_id).id for item_id in ids], archive, event_value(event, "bare") is not True)
    return download(desk, event, archive.getvalue(), "imaginarium.zip")


def _shown(gallery: Gallery, desk: Desk) -> list[Item]:
    """The newest ``desk.shown`` items; the gallery gives them page by page."""
    items: list[Item] = []
    while page := gallery.list(desk.view, offset=len(items), limit=desk.shown - len(items)):
        items += page
    return items


def _cell(backstage: Backstage, desk: Desk, item: Item) -> dict[str, Any]:
    return {
        "id": item.id,
        "title": item.name,
        "src": backstage.thumbnail(desk, item.id),
        "favourite": item.favourite,
        "tags": item.tags,
        "tab": item.tab,
    }


# -- edits: each takes the gallery and the event, and returns what to say about it -----------------------------------------


def _favourite(gallery: Gallery, event: gr.EventData) -> None:
    gallery.favourite(*event_ids(event), on=event_value(event, "on") is True)


def _delete(gallery: Gallery, event: gr.EventData) -> dict[str, Any]:
    ids = event_ids(event)
    gallery.delete(*ids)
    return {**note(f"{_pictures(len(ids))} moved to the trash."), "undo": True}


def _restore(gallery: Gallery, event: gr.EventData) -> dict[str, Any]:
    ids = event_ids(event)
    gallery.restore(*ids)
    return note(f"{_pictures(len(ids))} taken out of the trash.")


def _purge(gallery: Gallery, event: gr.EventData) -> dict[str, Any]:
    return note(f"{_pictures(gallery.purge(*event_ids(event)))} removed for good.")


def _rename(gallery: Gallery, event: gr.EventData) -> None:
    for item_id in event_ids(event)[:1]:
        gallery.rename(item_id, str(event_value(event, "name")))


def _tag(gallery: Gallery, event: gr.EventData) -> None:
    changes = {side: [str(tag) for tag in event_value(event, side) or () if tag] for side in ("add", "remove")}
    gallery.tag(*event_ids(event), **changes)


def _undo(gallery: Gallery, event: gr.EventData) -> dict[str, Any]:
    edit = gallery.undo()
    return note(f"Undone: {_lower(edit.label)}." if edit else "There is nothing to undo.")


def _redo(gallery: Gallery, event: gr.EventData) -> dict[str, Any]:
    edit = gallery.redo()
    return note(f"Done again: {_lower(edit.label)}." if edit else "There is nothing to do again.")


_EDITS: dict[str, Callable[[Gallery, gr.EventData], dict[str, Any] | None]] = {
    "favourite": _favourite,
    "delete": _delete,
    "restore": _restore,
    "purge": _purge,
    "rename": _rename,
    "tag": _tag,
    "undo": _undo,
    "redo": _redo,
}


def _pictures(number: int) -> str:
    return "1 picture" if number == 1 else f"{number} pictures"


def _lower(label: str) -> str:
    return label[:1].lower() + label[1:]
