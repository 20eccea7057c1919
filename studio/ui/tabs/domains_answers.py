"""What the Domains tab's canvas asks while something moves and once it rests, and what it takes away."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from studio.core.checkpoints import CheckpointError
from studio.core.images import to_png
from studio.core.recipe import RecipeError
from studio.ui.parts import event_value, note, progress
from studio.ui.session import Backstage, Desk
from studio.ui.shelf import GONE, LONGEST_NAME
from studio.ui.strip import download, item_file, parcel
from studio.ui.tabs.domains_canvas import LONGEST_SENT, room_of, sentences, table_of
from studio.ui.tabs.domains_making import Making, cell_of, request_of
from studio.ui.tabs.domains_shelf import file_of
from studio.ui.tabs.morph_canvas import inline_photo

log = logging.getLogger(__name__)

# The studio's pipelines are imported inside functions: torch comes with them, and the page must answer before that.


class Answers:
    """Looks at the photos on the canvas in other ways; nothing of it is kept."""

    def __init__(self, backstage: Backstage, making: Making):
        self._backstage, self._making = backstage, making

    # -- while something moves ------------------------------------------------------------------------------------------

    def look(self, desk: Desk, event: gr.EventData) -> dict[str, Any]:
        """What lies at a place between four styles; the browser asks for the next one when this one is there."""
        from dataclasses import replace

        from studio.pipelines.domains import picture_with

        def ask() -> dict[str, Any]:
            room, settings = room_of(desk), room_of(desk).read(event_value(event, "settings"))
            photo, target, style = room.place(event_value(event, "look"))
            found = room.found[photo][1]
            asked = request_of(room, found, replace(settings, strength=1.0))  # the browser lays it over the photo
            return {"src": inline_photo(picture_with(self._backstage.engine(), found, asked, target, style))}

        return self._answer(event, ask)

    def rest(self, desk: Desk, event: gr.EventData) -> dict[str, Any]:
        """What is worth knowing of what is shown once nothing moves: what became of the photo."""

        def ask() -> dict[str, Any]:
            settings = room_of(desk).read(event_value(event, "settings"))
            cell = cell_of(desk, self._backstage.engine(), event_value(event, "look"), settings)
            return {"words": sentences(cell.verdict)}

        return self._answer(event, ask)

    @staticmethod
    def _answer(event: gr.EventData, ask: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """The answer to a question that the canvas asks while something moves; one that cannot be given is empty."""
        named = event_value(event, "name")
        answer = {"name": named[:LONGEST_SENT] if isinstance(named, str) else ""}
        try:
            return answer | ask()
        except (ValueError, LookupError, CheckpointError, RuntimeError) as error:  # Make says what is wrong
            log.warning("A question could not be answered: %s", error)
            return answer

    # -- taking away ----------------------------------------------------------------------------------------------------

    def export(self, desk: Desk, event: gr.EventData, *given: Any) -> Iterator[tuple[Any, ...]]:
        """The whole photo with the result that is shown, the sheet of all, or a style's own file; ``bare`` leaves out how it was
        made."""
        what, room = str(event_value(event, "what")), room_of(desk)
        try:
            if what == "sheet":
                data, name = yield from self._sheet(desk, event, given)
            else:
                data, name = self._file(desk, what, event)
        except (LookupError, RecipeError):
            room.settle("")
            yield desk, room.value, parcel(desk, note=note(GONE, True))
            return
        except (ValueError, CheckpointError, RuntimeError, OSError) as error:
            room.settle("")
            yield desk, room.value, parcel(desk, note=note(str(error), True))
            return
        if data:
            yield desk, gr.skip(), download(desk, event, data, name)

    def _file(self, desk: Desk, what: str, event: gr.EventData) -> tuple[bytes, str]:
        """What the event names, and its file's name. Raises ``LookupError`` or ``ValueError``."""
        from studio.pipelines.domains import full_picture

        room, look = room_of(desk), event_value(event, "look")
        items = [cell["item"] for cell in room.value["cells"].values() if cell.get("item")]
        if what == "picture" and (file := item_file(event, items)):  # the large view asks for it
            return file
        settings = room.read(event_value(event, "settings"))
        photo, _, _ = room.place(look)
        cell, title = cell_of(desk, self._backstage.engine(), look, settings), room.title(look)
        if what == "style":
            return file_of(cell.recipe, title[:LONGEST_NAME]).to_json().encode(), f"{title}.style.json"
        if what != "picture":
            raise LookupError(what)
        slot = table_of(desk).slot(photo)
        name = f"{title} on {Path(slot.name).stem}.png" if slot else f"{title}.png"
        return to_png(full_picture(room.found[photo][1], cell, settings.strength), cell.recipe), name

    def _sheet(self, desk: Desk, event: gr.EventData, given: Any) -> Iterator[tuple[Any, ...]]:
        """All results of all photos as one picture, drawn as it is asked for. Raises ``ValueError``."""
        from studio.pipelines.domains import DomainsResult, sheet_of, translate
        from studio.pipelines.parts import Progress

        room = room_of(desk)
        settings, engine = room.read(event_value(event, "settings")), self._backstage.engine()
        _, requests = self._making.requests(desk, engine, settings, *given)
        run, results = room.begin(), []
        room.value |= {"busy": True, "done": 0, "total": 0, "message": "Drawing the sheet", "run": run}
        for slot, request in requests:
            for step in translate(engine, request, room.found.get(slot.id, (None, None))[1]):
                if not room.goes_on(run):
                    room.settle("Stopped.")
                    yield desk, room.value, gr.skip()
                    return b"", ""
                if isinstance(step, DomainsResult):
                    results.append(step)
                elif isinstance(step, Progress):
                    room.value |= progress(step)
                    yield desk, room.value, gr.skip()
        room.settle("The sheet is drawn.")
        yield desk, room.value, gr.skip()
        recipe = results[0].recipe if len(results) == 1 else None
        return to_png(sheet_of(results), recipe), "domains.png"
