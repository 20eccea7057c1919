"""The looks that a visitor likes: favourites of the gallery, whose recipes hold their codes, and files of looks that came in."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import gradio as gr

from studio.core.checkpoints import CheckpointError
from studio.core.recipe import Recipe
from studio.ui import shelf
from studio.ui.parts import event_value
from studio.ui.session import Desk
from studio.ui.shelf import Liked, name_of
from studio.ui.tabs.makeup_canvas import PREVIEW_SIDE, remember, room_of, shelf_cell, shown_request
from studio.ui.tabs.morph_canvas import inline_photo

if TYPE_CHECKING:
    from studio.pipelines.looks import LookFile, Style

log = logging.getLogger(__name__)

# The studio's pipelines are imported inside functions: torch comes with them, and the page must answer before that.


class Shelf(shelf.Shelf):
    """The shelf of looks; those of another direction wait for it."""

    tab, what = "makeup", "look"

    def liked(self, desk: Desk) -> Liked:
        return room_of(desk).liked

    def code_in(self, desk: Desk, recipe: Recipe) -> Style | None:
        from studio.pipelines.looks import check_style

        asked = recipe.parameters
        same = (asked.get("pair"), asked.get("direction")) == room_of(desk).way
        return check_style(asked.get("style")) if same else None

    def fits(self, desk: Desk, file: LookFile) -> str:
        from studio.pipelines.makeup import style_of

        try:
            style_of(file, *room_of(desk).way)
        except ValueError as error:
            return f"{str(error).removesuffix(': choose that first.')}: it is on the shelf once you choose that."
        return ""

    def read(self, text: str) -> LookFile:
        from studio.pipelines.looks import LookFile

        return LookFile.from_json(text)

    def named(self, desk: Desk, event: gr.EventData) -> Style:
        return room_of(desk).code(event_value(event, "look"))

    def cell(self, key: str, title: str, code: Style, src: Any) -> dict[str, Any]:
        return shelf_cell(key, title, code, src)

    def picture(self, desk: Desk, file: LookFile) -> dict[str, str] | None:
        """A look that came in as a file, on the face that is here; later the canvas asks for it."""
        from studio.pipelines.makeup import picture_with

        room = room_of(desk)
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
