"""What the Makeup tab's canvas asks while something moves and once it rests, and what it takes away."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import gradio as gr

from studio.core.checkpoints import CheckpointError
from studio.core.images import to_png
from studio.core.recipe import RecipeError
from studio.ui.parts import event_value, note
from studio.ui.session import Backstage, Desk
from studio.ui.shelf import GONE, LONGEST_NAME, base_name, name_of
from studio.ui.strip import download, item_file, parcel
from studio.ui.tabs.makeup_canvas import (
    LONGEST_SENT,
    PREVIEW_SIDE,
    index_of,
    remember,
    room_of,
    sentences,
    setting_of,
    shown_request,
    table_of,
    title_on,
)
from studio.ui.tabs.morph_canvas import inline_photo

if TYPE_CHECKING:
    from studio.core.engine import Engine
    from studio.pipelines.looks import Style
    from studio.pipelines.makeup import Found, MakeupRequest

log = logging.getLogger(__name__)

# The studio's pipelines are imported inside functions: torch comes with them, and the page must answer before that.

Ask = Callable[["Engine", "Found", "MakeupRequest", "Style"], dict[str, Any]]


class Answers:
    """Looks at the face on the canvas in other ways; nothing of it is kept."""

    def __init__(self, backstage: Backstage):
        self._backstage = backstage

    # -- while something moves ------------------------------------------------------------------------------------------

    def _answer(self, desk: Desk, event: gr.EventData, ask: Ask) -> dict[str, Any]:
        """The answer to a question that the canvas asks while something moves; one that cannot be given is empty."""
        room, named = room_of(desk), event_value(event, "name")
        answer = {"name": named[:LONGEST_SENT] if isinstance(named, str) else ""}
        found = room.found
        if found is None:
            return answer
        try:
            asked = shown_request(room, event_value(event, "settings"))
            if found.ends != asked.ends:  # the other direction is on its way
                return answer
            return answer | ask(self._backstage.engine(), found, asked, room.code(event_value(event, "look")))
        except (ValueError, LookupError, CheckpointError, RuntimeError) as error:  # Make says what is wrong
            log.warning("A question could not be answered: %s", error)
            return answer

    def look(self, desk: Desk, event: gr.EventData) -> dict[str, Any]:
        """The face as the sliders say; the browser asks for the next one when this one is there."""
        from studio.pipelines.makeup import picture_with

        return self._answer(desk, event, lambda *asked: {"src": inline_photo(picture_with(*asked))})

    def rest(self, desk: Desk, event: gr.EventData) -> dict[str, Any]:
        """What is worth knowing once nothing moves: what changed, both ends of the slider, and the small pictures."""
        from studio.pipelines.makeup import look_with, picture_with

        def ask(engine: Engine, found: Found, asked: MakeupRequest, style: Style) -> dict[str, Any]:
            now, biased = (look_with(engine, found, replace(asked, keep=keep), style) for keep in (asked.keep, 0.0))
            unbiased = picture_with(engine, found, replace(asked, keep=1.0), style)
            ends = [inline_photo(head) for head in (biased.head, unbiased)]
            cells = self._cells(desk, engine, found, asked, event_value(event, "settings"))
            return {"words": sentences(now), "biased": sentences(biased), "ends": ends, "cells": cells}

        return self._answer(desk, event, ask)

    @staticmethod
    def _cells(desk: Desk, engine: Engine, found: Found, asked: MakeupRequest, sent: Any) -> dict[str, str]:
        """The small pictures that the canvas does not have yet, by their keys."""
        from studio.pipelines.makeup import picture_with

        room, setting, pictures = room_of(desk), setting_of(sent), {}
        for key, style in {**room.codes, **room.liked.codes}.items():
            cell = room.cell(key)
            if cell and cell["setting"] == setting:
                continue
            known = (room.faces, setting, name_of(style))
            picture = room.drawings.get(known)
            if picture is None:
                picture = remember(room, known, inline_photo(picture_with(engine, found, asked, style), PREVIEW_SIDE))
            pictures[key] = picture
        return pictures

    # -- taking away ----------------------------------------------------------------------------------------------------

    def export(self, desk: Desk, event: gr.EventData) -> tuple[Desk, dict[str, Any]]:
        """The whole photo with the look that is shown, the sheet, or the look's own file; ``bare`` leaves out how it was made."""
        try:
            data, name = self._file(desk, str(event_value(event, "what")), event)
        except (LookupError, RecipeError):
            return desk, parcel(desk, note=note(GONE, True))
        except (ValueError, CheckpointError, RuntimeError, OSError) as error:
            return desk, parcel(desk, note=note(str(error), True))
        return desk, download(desk, event, data, name)

    def _file(self, desk: Desk, what: str, event: gr.EventData) -> tuple[bytes, str]:
        """What the event names, and its file's name. Raises ``LookupError`` or ``ValueError``."""
        from studio.pipelines.makeup import look_file, look_with

        room, slot, named = room_of(desk), (table_of(desk).slots or [None])[0], event_value(event, "look")
        if what == "sheet":
            if room.result is None:
                raise LookupError
            return to_png(room.result.sheet, room.result.recipe), "looks.png"
        items = [cell["item"] for cell in room.value["cells"] if cell["item"]]
        if what == "picture" and (file := item_file(event, items)):  # the large view asks for it
            return file
        if room.found is None or slot is None:
            raise LookupError
        asked = replace(shown_request(room, event_value(event, "settings")), full_size=what == "picture")
        look = look_with(self._backstage.engine(), room.found, asked, room.code(named), index_of(room.cell(named)))
        title = room.title(named)
        if what == "look":
            name = str(event_value(event, "name") or title)[:LONGEST_NAME]
            return look_file(look, name).to_json().encode(), f"{base_name(title)}.look.json"
        return to_png(look.image, look.recipe), f"{title_on(title, slot)}.png"
