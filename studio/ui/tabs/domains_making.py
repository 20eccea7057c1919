"""How the Domains tab's canvas is filled: what is asked for, row by row, and what of it is kept."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from studio.ui.parts import buttons, event_value, note, pretty, progress
from studio.ui.session import Backstage, Desk, Slot
from studio.ui.shelf import GONE, guarded, name_of
from studio.ui.source import face_choices, keep_photo
from studio.ui.strip import parcel, strip_value
from studio.ui.tabs.domains_canvas import (
    FACES,
    NOTHING_HERE,
    Settings,
    Translating,
    keep_cell,
    key_of,
    remarks,
    room_of,
    show_cell,
    show_photo,
    start,
    table_of,
)
from studio.ui.tabs.domains_shelf import Shelf

if TYPE_CHECKING:
    from studio.core.engine import Engine
    from studio.pipelines.domains import Cell, Found
    from studio.pipelines.domains_labels import Target
    from studio.pipelines.domains_request import DomainsRequest
    from studio.pipelines.looks import Style

# The studio's pipelines are imported inside functions: torch comes with them, and the page must answer before that.

WHO = {
    FACES: "Choose a sample or drop a photo of a person first.",
    "art": "Drop a picture first.",
    "cars": "Drop a photo of a car first.",
}
PAUSE = 0.2  # s between two drawings of the canvas, which holds all cells: several come at once


class Making:
    """Fills the canvas and keeps what is on it."""

    def __init__(self, backstage: Backstage, shelf: Shelf):
        self._backstage, self._shelf = backstage, shelf

    def find(self, desk: Desk, sent: str, *given: Any) -> Iterator[tuple[Any, ...]]:
        """Shows the results of the photos that are here; nothing is kept."""
        slots = table_of(desk).slots
        waits = not slots or any(slot.choice is None and not slot.faces for slot in slots)
        if waits or not room_of(desk).labels or self._is_made(desk, sent, given):
            yield self._as_it_is(desk)
            return
        yield from guarded(desk, room_of(desk), lambda: self._fill(desk, self._engine(desk), sent, given, keeps=False))

    def _as_it_is(self, desk: Desk) -> tuple[Any, ...]:
        return desk, room_of(desk).value, gr.skip(), self._shelf.draw(desk), *(gr.skip(),) * 3

    @staticmethod
    def _is_made(desk: Desk, sent: str, given: Sequence[Any]) -> bool:
        """Whether Make is at work on just this: whoever sets a number and presses Make at once asks for both."""
        room = room_of(desk)
        return room.value["busy"] and room.making == (sent, given)

    def make(self, desk: Desk, sent: str, *given: Any) -> Iterator[tuple[Any, ...]]:
        """All results on the whole photos, one after the other; each is kept."""
        yield from guarded(desk, room_of(desk), lambda: self._fill(desk, self._engine(desk), sent, given, keeps=True))

    def _engine(self, desk: Desk) -> Engine:
        """The engine. Raises ``ValueError`` if there is nothing that can be asked for."""
        if not room_of(desk).labels:
            raise ValueError(NOTHING_HERE)
        return self._backstage.engine()

    # -- what is asked for ----------------------------------------------------------------------------------------------

    def requests(
        self, desk: Desk, engine: Engine, settings: Settings, count: Any, seed: Any
    ) -> tuple[dict[str, tuple[str, Style]], list[tuple[Slot, DomainsRequest]]]:
        """The columns, title and style by key, and the request for each photo. Raises ``ValueError``."""
        from studio.pipelines.domains_request import DomainsRequest

        room, slots = room_of(desk), table_of(desk).slots
        if not slots:
            raise ValueError(WHO[room.what])
        if seed is None:
            raise ValueError("Give a seed: any whole number from 0 on.")
        faces = face_choices(table_of(desk), engine) if room.what == FACES else [None] * len(slots)
        columns = self._columns(room, settings, int(count), int(seed))
        restored = room.given is not None and settings_of(room.given, room.labels).rows == settings.rows
        asked = {
            "domains": room.what,
            "targets": room.given.targets if restored else settings.rows,
            "seed": int(seed),
            "strength": settings.strength,
            "attention": settings.attention,
            "locks": settings.locks if room.what == FACES else (),
            "full_size": False,
        }
        drawn = not settings.worn and not (room.given and room.given.styles)
        asked |= {"count": int(count)} if drawn else {"styles": tuple(style for _, style in columns.values())}
        return columns, [
            (slot, DomainsRequest(slot.photo(), face=face, **asked)) for slot, face in zip(slots, faces, strict=True)
        ]

    @staticmethod
    def _columns(room: Translating, settings: Settings, count: int, seed: int) -> dict[str, tuple[str, Style]]:
        """Styles of the shelf that are worn come first, then those of a recipe or drawn ones."""
        from studio.pipelines.domains_request import MOST_STYLES
        from studio.pipelines.looks import as_numbers, random_style

        worn = {key: (room.liked.titles[key], room.liked.codes[key]) for key in settings.worn if key in room.liked.codes}
        given = room.given.styles if room.given else ()
        styles = given or [as_numbers(random_style(seed, index)) for index in range(count)]
        known = {name_of(style) for _, style in worn.values()}  # one that is drawn again has its column already
        others = {f"style-{n}": (f"Style {n + 1}", style) for n, style in enumerate(styles) if name_of(style) not in known}
        return dict(list({**worn, **others}.items())[:MOST_STYLES])

    def _found(self, desk: Desk, engine: Engine, slot: Slot, request: DomainsRequest) -> Found:
        """What is known of a photo; it is looked at once."""
        from studio.pipelines.domains import find

        room, key = room_of(desk), key_of(desk, slot)
        if room.found.get(slot.id, (None,))[0] != key:
            room.found[slot.id] = key, find(engine, request)
        return room.found[slot.id][1]

    # -- a run ----------------------------------------------------------------------------------------------------------

    def _fill(self, desk: Desk, engine: Engine, sent: str, given: Sequence[Any], keeps: bool) -> Iterator[tuple[Any, ...]]:
        room = room_of(desk)
        settings = room.read(sent)
        room.asks(settings)
        columns, requests = self.requests(desk, engine, settings, *given)
        if not keeps and self._is_made(desk, sent, given):  # Make was pressed while the photos were read
            yield self._as_it_is(desk)
            return
        run = room.begin()
        room.making = (sent, given) if keeps else None
        looking = "Looking at the faces" if room.what == FACES else "Looking at the pictures"
        room.value |= {"busy": True, "done": 0, "total": 0, "message": looking, "run": run, "sheet": False, "recipe": None}
        yield desk, room.value, gr.skip(), gr.skip(), "", *buttons(busy=True)
        rows = self._rows(desk, engine, requests, run)
        if room.run != run:  # others are asked for meanwhile
            return
        if not room.stopped:
            todo = start(room, rows, columns, settings)
            todo = list(rows) if keeps else todo
            room.value |= {"total": len(todo) * len(columns), "message": "Starting"}
            yield desk, room.value, gr.skip(), self._shelf.draw(desk), "", gr.skip(), gr.skip()
            yield from self._results(desk, engine, requests, run, todo, settings, keeps)
        if room.run == run:
            room.value["sheet"] = not room.stopped
            room.settle(_summary(room, keeps))
        yield desk, room.value, gr.skip(), gr.skip(), "", *buttons(busy=room.value["busy"])

    def _rows(
        self, desk: Desk, engine: Engine, requests: Sequence[tuple[Slot, DomainsRequest]], run: int
    ) -> dict[str, tuple[str, Target]]:
        """Photo and target of each row, by key; every photo is looked at for that."""
        from studio.pipelines.domains_labels import all_targets, domains_of

        room, rows = room_of(desk), {}
        here = {slot.id for slot, _ in requests}
        room.found = {photo: known for photo, known in room.found.items() if photo in here}
        room.value["photos"] = [photo for photo in room.value["photos"] if photo["key"] in here]
        info = domains_of(engine, room.what)
        for place, (slot, request) in enumerate(requests):
            found = self._found(desk, engine, slot, request)
            if not room.goes_on(run):
                break
            show_photo(room, slot, found, first=place == 0)
            for target in request.targets or all_targets(info, found.shows):
                rows[row_key(slot, target)] = slot.id, target
        return rows

    def _results(
        self,
        desk: Desk,
        engine: Engine,
        requests: Sequence[tuple[Slot, DomainsRequest]],
        run: int,
        todo: Sequence[str],
        settings: Settings,
        keeps: bool,
    ) -> Iterator[tuple[Any, ...]]:
        """The results of the rows ``todo``, photo by photo."""
        from studio.pipelines.domains import Cell, DomainsResult, translate
        from studio.pipelines.parts import Progress

        room, columns, spoken = room_of(desk), list(room_of(desk).codes), 0.0
        for slot, request in requests:
            mine = tuple(room.rows[key][1] for key in todo if room.rows[key][0] == slot.id)
            if not mine or not room.goes_on(run):
                continue
            found = room.found[slot.id][1]
            with closing(translate(engine, replace(request, targets=mine), found)) as steps:
                for step in steps:
                    if not room.goes_on(run):
                        return
                    strip = gr.skip()
                    if isinstance(step, Cell):
                        key = f"{row_key(slot, step.target)}/{columns[step.column]}"
                        show_cell(room, key, found, step, settings)
                        room.value["done"] += 1
                        if keeps:
                            strip = self._keep_one(desk, slot, key, found, step, settings)
                        elif time.monotonic() - spoken < PAUSE:
                            continue
                    elif isinstance(step, Progress):
                        room.value |= progress(replace(step, done=room.value["done"], total=room.value["total"]))
                    elif isinstance(step, DomainsResult) and len(mine) == len(room.rows):
                        room.value["recipe"] = pretty(step.recipe)
                    spoken = time.monotonic()
                    yield desk, room.value, strip, gr.skip(), "", gr.skip(), gr.skip()

    # -- keeping --------------------------------------------------------------------------------------------------------

    def _keep_one(self, desk: Desk, slot: Slot, key: str, found: Found, cell: Cell, settings: Settings) -> dict[str, Any]:
        """Keeps the whole photo with a result. Returns the strip's new value."""
        row, column = key.rsplit("/", 1)
        self._add(desk, slot, found, cell, settings, room_of(desk).title({"row": row, "column": column}), key)
        return strip_value(self._backstage, desk)

    def _add(self, desk: Desk, slot: Slot, found: Found, cell: Cell, settings: Settings, title: str, key: str = "") -> str:
        """Puts the whole photo with a result into the gallery. Returns its id."""
        from studio.pipelines.domains import full_picture

        room, gallery = room_of(desk), self._backstage.gallery(desk)
        parents = keep_photo(gallery, slot)
        recipe = cell.recipe.model_copy(update={"parents": parents})
        image = full_picture(found, cell, settings.strength)
        kept = gallery.add(image, recipe, parents, f"{title} on {Path(slot.name).stem}", remarks(cell, room.value["study"]))
        if key:
            keep_cell(room, key, found, cell, settings, kept, gallery.png(kept.id))
        return kept.id

    def keep(self, desk: Desk, event: gr.EventData) -> Iterator[tuple[Any, ...]]:
        """Keeps the result that is shown, as the controls are; ``like`` puts its style on the shelf."""
        yield from guarded(desk, room_of(desk), lambda: self._keep_shown(desk, self._engine(desk), event), after=1)

    def _keep_shown(self, desk: Desk, engine: Engine, event: gr.EventData) -> Iterator[tuple[Any, ...]]:
        room, look, likes = room_of(desk), event_value(event, "look"), event_value(event, "like") is True
        settings = room.read(event_value(event, "settings"))
        photo, _, _ = room.place(look)
        slot, title = table_of(desk).slot(photo), room.title(look)
        if slot is None or photo not in room.found:
            raise LookupError(GONE)
        key = "" if look.get("at") else f"{look['row']}/{look['column']}"
        shown = room.value["cells"].get(key, {})
        kept_id = shown["id"] if shown.get("kept") == settings.laid else ""
        if not kept_id:
            run = room.begin()
            room.value |= {"busy": True, "done": 0, "total": 1, "message": "Making it at the photo's own size", "run": run}
            yield desk, room.value, gr.skip(), gr.skip(), "", *buttons(busy=True), gr.skip()
            cell = cell_of(desk, engine, look, settings)
            kept_id = self._add(desk, slot, room.found[photo][1], cell, settings, title, key)
            room.settle("Kept.")
        if likes:
            self._backstage.gallery(desk).favourite(kept_id)
        said = parcel(desk, note=note(f"{title}: {'its style is among those you like' if likes else 'it is kept'}."))
        strip, liked = strip_value(self._backstage, desk), self._shelf.draw(desk)
        yield desk, room.value, strip, liked, "", *buttons(busy=room.value["busy"]), said


def cell_of(desk: Desk, engine: Engine, look: Any, settings: Settings) -> Cell:
    """The result at a place that the browser names. Raises ``LookupError`` or ``ValueError``."""
    from studio.pipelines.domains import cell_with

    room = room_of(desk)
    photo, target, style = room.place(look)
    found = room.found[photo][1]
    return cell_with(engine, found, request_of(room, found, settings), target, style)


def request_of(room: Translating, found: Found, settings: Settings) -> DomainsRequest:
    """The request for a photo on the canvas, whatever is asked for. Raises ``ValueError``."""
    from studio.pipelines.domains_request import DomainsRequest
    from studio.pipelines.photos import FaceChoice

    return DomainsRequest(
        found.photo,
        found.domains,
        strength=settings.strength,
        attention=settings.attention,
        locks=settings.locks if found.eyes else (),
        face=FaceChoice(eyes=found.eyes) if found.eyes else None,
        full_size=False,
    )


def settings_of(request: DomainsRequest, labels: Sequence[str]) -> Settings:
    """The controls as they were for a request; where they cannot say its rows they say all that is in them."""
    asked = {label: on for target in request.targets for label, on in target}
    together = len(request.targets) == 1 and len(request.targets[0]) > 1
    pressed = tuple((label, asked[label]) for label in labels if label in asked)
    return Settings(pressed, together, request.strength, request.attention, request.locks)


def row_key(slot: Slot, target: Target) -> str:
    """What names a row."""
    from studio.pipelines.domains_labels import target_text

    return f"{slot.id}.{target_text(target)}"


def _summary(room: Translating, keeps: bool) -> str:
    """What is said at the end of a run."""
    if room.stopped:
        return f"Stopped after {room.value['done']} of {room.value['total']}{'; what was made is kept' * keeps}."
    if keeps:
        return "Made and kept. ☆ puts a style among those you like."
    return "Drag over the square for more styles; Make keeps all of it at the photo's own size."
