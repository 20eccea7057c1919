"""The looks that a visitor likes: favourites of the gallery, whose recipes hold their codes, and files of looks that came in."""

from __future__ import annotations

import json
import logging
import secrets
from typing import TYPE_CHECKING, Any

import gradio as gr

from studio.core.checkpoints import CheckpointError
from studio.core.gallery import Filter, Gallery, GalleryError
from studio.core.recipe import Recipe, RecipeError
from studio.ui.parts import event_value, note
from studio.ui.session import Backstage, Desk
from studio.ui.strip import parcel, strip_value
from studio.ui.tabs.makeup_canvas import (
    GONE,
    LONGEST_NAME,
    MAX_BROUGHT,
    PREVIEW_SIDE,
    Dressing,
    base_name,
    name_of,
    remember,
    room_of,
    shelf_cell,
    shown_request,
)
from studio.ui.tabs.morph_canvas import inline_photo

if TYPE_CHECKING:
    from studio.pipelines.looks import LookFile, Style

log = logging.getLogger(__name__)

# The studio's pipelines are imported inside functions: torch comes with them, and the page must answer before that.

TAB = "makeup"


class Shelf:
    """Draws the shelf and answers what is done to it."""

    def __init__(self, backstage: Backstage):
        self._backstage = backstage

    def follow(self, desk: Desk) -> tuple[Desk, Any]:
        """The gallery has changed, and with it perhaps what is liked."""
        return desk, self.draw(desk)

    def draw(self, desk: Desk) -> dict[str, Any]:
        """The looks that are liked: favourites of the gallery for this direction, and files that came in."""
        room = room_of(desk)
        looks: dict[str, dict[str, Any]] = {}
        codes: dict[str, Style] = {}
        try:
            gallery = self._backstage.gallery(desk)
            for item in gallery.list(Filter(tab=TAB, favourites=True)):
                style = _style_in(gallery, item.id, room.way)
                if style and name_of(style) not in looks:
                    key = f"liked-{item.id}"
                    codes[key] = style
                    src = self._backstage.thumbnail(desk, item.id)
                    looks[name_of(style)] = shelf_cell(key, base_name(item.name), style, src)
        except GalleryError as error:
            log.warning("The shelf could not be read: %s", error)
        for key, file in room.brought.items():
            if (file.pair, file.end) == _end(room.way) and name_of(file.style) not in looks:
                codes[key] = file.style
                looks[name_of(file.style)] = shelf_cell(key, file.name, file.style, self._picture(room, file))
        room.shelf, room.titles = codes, {cell["key"]: cell["title"] for cell in looks.values()}
        return {"looks": list(looks.values())}

    def _picture(self, room: Dressing, file: LookFile) -> dict[str, str] | None:
        """A look that came in as a file, on the face that is here; later the canvas asks for it."""
        from studio.pipelines.makeup import picture_with

        if room.found is None:
            return None
        known = (room.faces, "", name_of(file.style))
        try:
            picture = room.drawings.get(known) or inline_photo(
                picture_with(self._backstage.engine(), room.found, shown_request(room, None), file.style), PREVIEW_SIDE
            )
        except (ValueError, CheckpointError, RuntimeError) as error:  # Make says what is wrong
            log.warning("A look that came in could not be shown: %s", error)
            return None
        return {"url": remember(room, known, picture)}

    def dislike(self, desk: Desk, event: gr.EventData) -> tuple[Any, ...]:
        """Takes a look off the shelf; pictures that were kept stay in the gallery."""
        room, gallery = room_of(desk), self._backstage.gallery(desk)
        try:
            name = name_of(room.code(event_value(event, "look")))
            ids = [item.id for item in gallery.list(Filter(tab=TAB, favourites=True))]
            same = [one for one in ids if (style := _style_in(gallery, one, room.way)) and name_of(style) == name]
            if same:
                gallery.favourite(*same, on=False)
            room.brought = {key: file for key, file in room.brought.items() if name_of(file.style) != name}
        except (GalleryError, LookupError) as error:
            return (
                desk,
                gr.skip(),
                gr.skip(),
                parcel(desk, note=note(str(error) if isinstance(error, GalleryError) else GONE, True)),
            )
        return desk, strip_value(self._backstage, desk), self.draw(desk), gr.skip()

    def rename(self, desk: Desk, event: gr.EventData) -> tuple[Any, ...]:
        """Gives a look of the shelf a name."""
        room, key = room_of(desk), str(event_value(event, "look"))
        name = str(event_value(event, "name") or "").strip()[:LONGEST_NAME]
        try:
            if name and key in room.brought:
                room.brought[key] = _renamed(room.brought[key], name)
            elif name and key in room.shelf:
                self._backstage.gallery(desk).rename(key.removeprefix("liked-"), name)
        except ValueError as error:
            return desk, gr.skip(), self.draw(desk), parcel(desk, note=note(str(error), True))
        return desk, strip_value(self._backstage, desk), self.draw(desk), gr.skip()

    def bring(self, desk: Desk, event: gr.EventData) -> tuple[Any, ...]:
        """A look's file came in."""
        said = self.open_text(desk, event_value(event, "text"))
        return desk, gr.skip(), self.draw(desk), parcel(desk, note=said)

    def open_text(self, desk: Desk, text: Any) -> dict[str, Any]:
        """Puts the look of a file on the shelf; what to say of it."""
        from studio.pipelines.looks import LookFile

        try:
            return self.add(desk, LookFile.from_json(text if isinstance(text, str) else ""))
        except ValueError as error:
            return note(str(error), True)

    @staticmethod
    def add(desk: Desk, file: LookFile) -> dict[str, Any]:
        """Puts a look on the shelf; what to say of it."""
        from studio.pipelines.makeup import style_of

        room = room_of(desk)
        if len(room.brought) >= MAX_BROUGHT:
            return note(f"{file.name} was left out: {MAX_BROUGHT} such looks fit on the shelf, so take one off first.", True)
        room.brought[f"file-{secrets.token_hex(4)}"] = file
        try:
            style_of(file, *room.way)
        except ValueError as error:
            return note(f"{str(error).removesuffix(': choose that first.')}: it is on the shelf once you choose that.")
        return note(f"{file.name} is among the looks you like.")


def _end(way: tuple[str, str]) -> tuple[str, str]:
    """The pair and the end that a direction leads to."""
    from studio.pipelines.looks import PAIRS

    pair, direction = way
    return (pair, PAIRS[pair][direction][1]) if pair else ("", "")


def _style_in(gallery: Gallery, item_id: str, way: tuple[str, str]) -> Style | None:
    """The look of a kept picture, if it is one of this direction."""
    from studio.pipelines.looks import check_style

    try:
        asked = gallery.recipe(item_id).parameters
        if (asked.get("pair"), asked.get("direction")) == way:
            return check_style(asked.get("style"))
    except (GalleryError, RecipeError, ValueError):
        pass
    return None


def file_of(recipe: Recipe) -> LookFile:
    """The look of a kept picture as a file. Raises ``ValueError``."""
    from studio.pipelines.looks import PAIRS, LookFile, check_style

    asked = recipe.parameters
    try:
        end = PAIRS[asked["pair"]][asked["direction"]][1]
        card = next(name for name in recipe.checkpoints if f"decoder-{end}-" in name)
        return LookFile(name="Look", pair=asked["pair"], end=end, card=card, style=check_style(asked.get("style")))
    except (KeyError, StopIteration) as error:
        raise ValueError("This picture's recipe names no look: choose another one.") from error


def _renamed(file: LookFile, name: str) -> LookFile:
    """The look with another name, checked. Raises ``ValueError``."""
    from studio.pipelines.looks import LookFile

    return LookFile.from_json(json.dumps({**file.model_dump(mode="json"), "name": name}))
