"""The Makeup tab: one face with many looks, and a slider from what biased data make of it to what keeps it itself."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import gradio as gr
import numpy as np

from studio.core.recipe import Recipe
from studio.ui.delivery import Offer, Parcel, missing_networks
from studio.ui.parts import QUIET, action_row, buttons, capital, drawn, event_value, note, pretty, progress, seed_row, stopping
from studio.ui.samples import Samples
from studio.ui.session import Backstage, Desk, Slot, Table
from studio.ui.shelf import GONE, LONGEST_NAME, base_name, guarded
from studio.ui.source import PhotoSource, PhotoTab, eyes_of, face_choices, keep_photo, sent_slot, then
from studio.ui.strip import parcel, strip_value
from studio.ui.tabs import makeup_canvas
from studio.ui.tabs.makeup_answers import Answers
from studio.ui.tabs.makeup_canvas import (
    DIRECTIONS,
    KEPT_TITLES,
    LESSON,
    NO_NETWORKS,
    REGION_TITLES,
    WORN,
    Dressing,
    Settings,
    chips,
    index_of,
    keep_look,
    reference_of,
    remarks,
    room_of,
    setting_of,
    settings_of,
    show_found,
    show_look,
    shown_request,
    start,
    table_of,
    title_on,
    with_settings,
)
from studio.ui.tabs.makeup_shelf import Shelf, file_of

if TYPE_CHECKING:
    from studio.core.engine import Engine
    from studio.pipelines.looks import Style
    from studio.pipelines.makeup import Look, MakeupRequest, MakeupResult
    from studio.ui.shell import Shell

# The studio's pipelines are imported inside functions: torch comes with them, and the page must answer before that.

LOOKS, MOST = 5, 12
WHO = "Choose a sample or drop a photo of a person first."


@dataclass(frozen=True)
class Controls:
    """The widgets, in the order in which handlers take them."""

    pair: gr.Radio
    direction: gr.Radio
    count: gr.Slider
    seed: gr.Number

    def all(self) -> list[Any]:
        return [self.pair, self.direction, self.count, self.seed]


class MakeupTab(PhotoTab):
    """Puts looks on a face and takes them off, without making somebody else of it."""

    id = "makeup"
    title = "Makeup"
    takes: ClassVar = {"photo": "Make it up", "style": "Take its look"}

    def __init__(self, backstage: Backstage):
        self._backstage = backstage
        self._samples = Samples()
        self._photos = PhotoSource(backstage, table_of, self._samples, 1, restores=self._is_mine)
        self._references = PhotoSource(
            backstage, reference_of, self._samples, 1, restores=lambda recipe: False, title="Drop a photo with a look"
        )
        self._answers, self._shelf = Answers(backstage), Shelf(backstage)
        self._first_visit: tuple[Slot, MakeupResult] | None = None
        self._warming = threading.Lock()

    def _is_mine(self, recipe: Recipe) -> bool:
        return recipe.tab == self.id

    @staticmethod
    def gives(recipe: Recipe) -> Sequence[str]:
        """A face with a look can be sent on, and so can the look; the sheet of all cannot."""
        return ("photo", "style") if "index" in recipe.parameters else ()

    # -- the page -------------------------------------------------------------------------------------------------------

    def build(self, shell: Shell) -> None:
        """Lays the tab out inside its pane and connects it."""
        with gr.Column(elem_classes="mode-switch"):
            pair = gr.Radio([], label="What", show_label=False, container=False, elem_id="makeup-pair", visible=False)
            self.offer = Offer(self._backstage)
        with gr.Column(elem_classes=["side", "in-makeup"]):
            source, upload = self._photos.build("makeup-source")
            controls, rolled = self._build_controls(pair)
            with gr.Accordion("A look from a photo", open=False, elem_classes=["more", "own-drop"]) as self._fold:
                reference, reference_upload = self._references.build("makeup-reference")
            problem, make, stop = action_row("makeup")
        with gr.Column(elem_classes="canvas"):
            stage = drawn("makeup", "makeup", "look", "rest", "keep", "like", "rename", "bring", "export", value=Dressing().value)
            answer, rested, liked = (drawn("brings", f"makeup-{name}") for name in ("look", "rest", "liked"))
        self.outputs = [source, stage, *controls.all(), reference, liked, problem]
        self._making = [shell.desk, stage, shell.strip, liked, problem, make, stop]
        self._connect(shell, stage, controls, (answer, rested, liked), stop)
        self._connect_sources(shell.desk, (source, upload), (reference, reference_upload), controls)
        desk, asked = shell.desk, [shell.desk, self._sent, *controls.all()]
        make.click(self._make, asked, self._making, js=_WITH_SETTINGS, trigger_mode="always_last", **_RUNNING)
        rolled.then(self._anew, [desk], [desk], **QUIET).then(**self._find_now(controls))
        for event in (controls.count.release, controls.seed.submit):
            event(self._anew, [desk], [desk], **QUIET).then(**self._find_now(controls))

    def _build_controls(self, pair: gr.Radio) -> tuple[Controls, gr.events.Dependency]:
        direction = gr.Radio(
            [], label="What to do", show_label=False, elem_id="makeup-direction", elem_classes="chips", container=False
        )
        gr.HTML("", elem_id="makeup-tuner", apply_default_css=False)  # the canvas draws its chips and a slider here
        with gr.Accordion("More", open=False, elem_classes="more"):
            count = gr.Slider(
                1, MOST, LOOKS, step=1, label="Looks", info="different ones, drawn by the seed", elem_id="makeup-count",
                elem_classes="dial", buttons=["reset"],
            )  # fmt: skip
            seed, rolled = seed_row("makeup", "the same seed, the same looks")
        return Controls(pair, direction, count, seed), rolled

    def _connect(self, shell: Shell, stage: gr.HTML, controls: Controls, answers: Sequence[gr.HTML], stop: gr.Button) -> None:
        desk, (answer, rested, liked) = shell.desk, answers
        self._sent = gr.Textbox(visible=False)
        stage.look(self._answers.look, [desk], [answer], trigger_mode="multiple", **QUIET)
        stage.rest(self._answers.rest, [desk], [rested], trigger_mode="multiple", **QUIET)
        stage.keep(self._keep, [desk], [*self._making, shell.courier], trigger_mode="multiple", **_RUNNING)
        stage.export(self._answers.export, [desk], [desk, shell.courier], **_RUNNING)
        self._shelf.connect(shell, stage, liked)
        stop.click(stopping(room_of), [desk], [desk, stop], **QUIET)
        turned = controls.pair.input(self._turn, [desk, controls.pair], [desk, controls.direction], **QUIET)
        for event in (turned.then, controls.direction.input):
            event(**self._find_now(controls))

    def _connect_sources(
        self,
        desk: gr.State,
        photo: tuple[gr.HTML, gr.UploadButton],
        reference: tuple[gr.HTML, gr.UploadButton],
        controls: Controls,
    ) -> None:
        (source, upload), (other, other_upload) = photo, reference
        self.added = upload.upload(self._add_photos, [desk, upload], [desk, *self.outputs], **_RUNNING)
        self.added.then(self.offer.show, [desk], self.offer.outputs, **QUIET)
        come = other_upload.upload(self._add_reference, [desk, other_upload], [desk, other], **_RUNNING)
        # A card that is folded away is on no page, and what it was to show may be lost on the way there.
        self._fold.expand(self._references.draw, [desk], [other], **QUIET)
        for event in (self.added, come, *self._photos.connect(desk, source), *self._references.connect(desk, other)):
            event.then(**self._find_now(controls))

    def _find_now(self, controls: Controls) -> dict[str, Any]:
        """The event that shows the looks on a face that has just come."""
        inputs = [self._desk_of(), self._sent, *controls.all()]
        return {"fn": self._find, "inputs": inputs, "outputs": self._making, "js": _WITH_SETTINGS, **_RUNNING}

    def _desk_of(self) -> gr.State:
        return self._making[0]

    # -- the first visit ------------------------------------------------------------------------------------------------

    def warm_up(self, engine: Engine) -> None:
        """Dreams up sample faces and makes one up, once for all visitors."""
        from studio.pipelines.makeup import MakeupRequest, make_up

        with self._warming:
            self._samples.warm_up(engine)
            if self._first_visit is None and (there := self._pairs()):
                slot = self._samples()[0].slot()
                (face,) = face_choices(Table([slot]), engine)
                *_, result = make_up(engine, MakeupRequest(slot.photo(), there[0], face=face, full_size=False))
                self._first_visit = slot, result

    def open(self, desk: Desk) -> Iterator[tuple[Any, ...]]:
        """What a visitor sees first."""
        room, there = room_of(desk), self._pairs()
        if not there:
            room.value |= {"lesson": NO_NETWORKS, "message": ""}
        yield self._values(desk, problem="", **self._widgets(room.way[0] or (there[0] if there else ""), room.way[1]))
        try:
            engine = self._backstage.engine()
            self.warm_up(engine)
            self._show_first_visit(desk)
        except Exception as error:  # whatever is missing, the page still opens and says what
            room.value |= {"message": str(error)}
        yield self._values(desk)

    def _show_first_visit(self, desk: Desk) -> None:
        """A sample with its looks, unless the visitor has begun already."""
        from studio.pipelines.looks import as_numbers

        room, table = room_of(desk), table_of(desk)
        if self._first_visit is None or room.found or table.slots:
            return
        shared, result = self._first_visit
        slot = replace(shared)  # a choice made on one desk stays there
        table.slots = [slot]
        self._set_way(room, result.request.pair, result.request.direction)
        room.begin()
        room.photo, room.key = slot.id, _key(slot, room.way)
        looks = {f"look-{look.index}": (f"Look {look.index + 1}", as_numbers(look.style)) for look in result.looks}
        show_found(room, result.found, result.study)
        start(room, looks)
        for look in result.looks:
            show_look(room, f"look-{look.index}", look, room.settings.named())
        said = f"{slot.name} {WORN[room.way[1]]}. Drag the slider below, or drop a photo of your own."
        room.value |= {"busy": False, "message": said}

    def _pairs(self) -> tuple[str, ...]:
        """The pairs that there are all networks for."""
        from studio.pipelines.makeup import list_pairs

        return list_pairs(self._backstage.registry)

    def _widgets(self, pair: str, direction: str = "") -> dict[str, Any]:
        """The choices of pair and direction; with one pair alone there is nothing to choose."""
        from studio.pipelines.looks import PAIRS

        there = self._pairs()
        if pair not in there:
            return {}
        ways = list(PAIRS[pair])
        pairs = gr.Radio(choices=[(capital(name), name) for name in there], value=pair, visible=len(there) > 1)
        return {
            "pair": pairs,
            "direction": gr.Radio(choices=[(DIRECTIONS[way], way) for way in ways], value=direction or ways[0]),
        }

    def _values(self, desk: Desk, said: Any = None, **more: Any) -> tuple[Any, ...]:
        """One value per output: the photos and the canvas as they are, of the others what is given."""
        names = ("pair", "direction", "count", "seed")
        widgets = (more.get(name, gr.skip()) for name in names)
        reference, liked = self._references.draw(desk), self._shelf.draw(desk)
        return self._photos.draw(desk, said), room_of(desk).value, *widgets, reference, liked, more.get("problem", gr.skip())

    def _set_way(self, room: Dressing, pair: str, direction: str) -> None:
        """Another pair or direction: what can be kept and where follows. Raises ``ValueError`` for one that there is not."""
        from studio.core.regions import REGIONS
        from studio.pipelines.makeup import check_direction, properties_of

        direction = check_direction(pair, direction)
        if room.way[0] != pair:
            properties, before = properties_of(self._backstage.registry, pair), room.settings
            room.value |= {"properties": chips(properties, KEPT_TITLES), "regions": chips(REGIONS, REGION_TITLES)}
            room.set_to(Settings(before.keep, before.amount, properties, REGIONS))
        room.way, room.value["worn"] = (pair, direction), WORN[direction]

    # -- what arrives ---------------------------------------------------------------------------------------------------

    def _add_photos(self, desk: Desk, paths: list[str] | None) -> Iterator[tuple[Any, ...]]:
        """Adds what arrived; a picture made on this tab restores its settings instead, a look's file goes on the shelf."""
        others, said = self._shelf.open_files(desk, paths)
        restored, refused = self._photos.open_files(desk, others)
        if restored is not None:
            for values in self.restore(desk, restored):
                yield desk, *values
            return
        table, room = table_of(desk), room_of(desk)
        said = note(refused, True) if refused else said
        if table.expected and not refused:
            said = self._photos.expected_words(desk, Recipe(tab=self.id, verb="make_up", inputs=table.expected))
            if room.waits and not table.expected:
                for values in self.restore(desk, room.waits):
                    yield desk, *values
                return
        self._refresh(desk)
        yield desk, *self._values(desk, said, problem="")
        yield desk, *self._values(desk, self._photos.find_all(desk) or said)

    def _add_reference(self, desk: Desk, paths: list[str] | None) -> Iterator[tuple[Any, ...]]:
        """A photo whose look is wanted."""
        _, refused = self._references.open_files(desk, paths)
        said = note(refused, error=bool(refused))
        yield desk, self._references.draw(desk, said)
        yield desk, self._references.draw(desk, self._references.find_all(desk) or said)

    def take(self, desk: Desk, sent: Parcel) -> Iterator[tuple[Any, ...]]:
        """A kept result becomes the photo, or its look the one that others are made with."""
        if sent.kind == "style":
            title, file = base_name(sent.photo.name.removesuffix(".png")), file_of(sent.recipe)
            yield self._values(desk, self._shelf.add(desk, file.model_copy(update={"name": title[:LONGEST_NAME]})))
            return
        slot, table = sent_slot(sent), table_of(desk)
        table.slots, table.expected = [slot], ()
        self._refresh(desk)
        room_of(desk).value["lesson"] = f"Press Make to give {slot.name} its looks."
        said = note(f"{slot.name} is the photo now: press Make.")
        yield self._values(desk, said, problem="")
        if trouble := self._photos.find_all(desk):
            yield self._values(desk, trouble)

    def _refresh(self, desk: Desk) -> None:
        """What is on the canvas is always of the photo that is here."""
        room, slots = room_of(desk), table_of(desk).slots
        photo = slots[0].id if slots else ""
        if room.photo != photo:
            room.forget(photo)
            if not self._pairs():
                room.value["lesson"] = NO_NETWORKS

    def restore(self, desk: Desk, recipe: Recipe) -> Iterator[tuple[Any, ...]]:
        """Everything as the recipe says; Make then gives the same pixels."""
        from studio.pipelines.makeup import request_from_recipe

        room = room_of(desk)
        try:
            missing = self._photos.restore(desk, recipe)
            room.waits = recipe if missing else None
            request = None if missing else request_from_recipe(recipe, [slot.photo() for slot in table_of(desk).slots])
        except ValueError as error:
            yield self._values(desk, note(str(error), True))
            return
        desk.wanted = recipe
        trouble = missing_networks(self._backstage, recipe)
        said = note(f"The settings are restored. {then(missing)} {trouble}".strip(), bool(trouble))
        if request is None or request.pair not in self._pairs():
            yield self._values(desk, said)
            return
        room.forget(table_of(desk).slots[0].id)
        self._set_way(room, request.pair, request.direction)
        held = room.settings.properties if request.properties is None else request.properties
        room.set_to(Settings(request.keep, request.amount, held, request.regions))
        room.given, index = request if request.styles else None, recipe.parameters.get("index")
        room.chosen = f"look-{index}" if type(index) is int and 0 <= index < MOST else ""
        room.value["lesson"] = "Press Make to make it again."
        more = {} if request.styles else {"count": request.looks, "seed": request.seed}
        yield self._values(desk, said, problem="", **self._widgets(request.pair, request.direction), **more)

    @staticmethod
    def describe(recipe: Recipe) -> list[list[str]]:
        """The recipe's settings for people."""
        return makeup_canvas.describe(recipe)

    # -- making ---------------------------------------------------------------------------------------------------------

    def _turn(self, desk: Desk, pair: str) -> tuple[Desk, Any]:
        """Another pair, which has its own directions."""
        return desk, self._widgets(pair).get("direction", gr.skip())

    @staticmethod
    def _anew(desk: Desk) -> Desk:
        """Other looks are asked for than those of a restored recipe."""
        room_of(desk).given = None
        return desk

    def _find(self, desk: Desk, sent: str, *given: Any) -> Iterator[tuple[Any, ...]]:
        """Shows the looks on the face that is here; nothing is kept."""
        self._refresh(desk)
        slots = table_of(desk).slots
        waits = not slots or (slots[0].choice is None and not slots[0].faces)
        if waits or not self._pairs() or self._is_made(desk, given):
            yield self._as_it_is(desk)
            return
        yield from guarded(desk, room_of(desk), lambda: self._fill(desk, self._engine(), sent, given, keeps=False))

    def _as_it_is(self, desk: Desk) -> tuple[Any, ...]:
        return desk, room_of(desk).value, gr.skip(), self._shelf.draw(desk), *(gr.skip(),) * 3

    @staticmethod
    def _is_made(desk: Desk, given: Sequence[Any]) -> bool:
        """Whether Make is at work on just these looks: whoever sets a number and presses Make at once asks for both."""
        room, references = room_of(desk), reference_of(desk).slots
        return room.value["busy"] and room.making == (given, [slot.id for slot in references])

    def _make(self, desk: Desk, sent: str, *given: Any) -> Iterator[tuple[Any, ...]]:
        """All looks on the whole photo, one after the other; each is kept."""
        yield from guarded(desk, room_of(desk), lambda: self._fill(desk, self._engine(), sent, given, keeps=True))

    def _engine(self) -> Engine:
        """The engine. Raises ``ValueError`` if it has no networks for any pair."""
        if not self._pairs():
            raise ValueError(NO_NETWORKS)
        return self._backstage.engine()

    def _request(
        self, desk: Desk, engine: Engine, sent: Any, pair: str, direction: str, count: float, seed: float
    ) -> MakeupRequest:
        """What the widgets ask for. Raises ``ValueError``."""
        from studio.pipelines.makeup import MakeupRequest

        room, table = room_of(desk), table_of(desk)
        if not table.slots:
            raise ValueError(WHO)
        if seed is None:
            raise ValueError("Give a seed: any whole number from 0 on.")
        (face,) = face_choices(table, engine)
        pair = pair if pair in self._pairs() else self._pairs()[0]
        self._set_way(room, pair, direction or "")
        asked = MakeupRequest(table.slots[0].photo(), *room.way, face=face, looks=int(count), seed=int(seed), full_size=False)
        if room.given and (room.given.pair, room.given.direction) == room.way:
            asked = replace(asked, styles=room.given.styles, mix=room.given.mix)
        return with_settings(asked, settings_of(room, sent))

    def _fill(self, desk: Desk, engine: Engine, sent: str, given: Sequence[Any], keeps: bool) -> Iterator[tuple[Any, ...]]:
        from studio.pipelines.makeup import Look, MakeupResult, find, make_up, networks_of
        from studio.pipelines.parts import Progress

        room, slot = room_of(desk), (table_of(desk).slots or [None])[0]
        request = self._request(desk, engine, sent, *given)
        if not keeps and self._is_made(desk, given):  # Make was pressed while the photo was read
            yield self._as_it_is(desk)
            return
        key, run, setting = _key(slot, room.way), room.begin(), setting_of(sent)
        room.making = (given, [one.id for one in room.reference.slots]) if keeps else None
        self._start_run(desk, slot)
        yield desk, room.value, gr.skip(), gr.skip(), "", *buttons(busy=True)
        if room.key != key:
            found = find(engine, request)
            if room.run != run:
                return
            room.key = key
            show_found(room, found, networks_of(engine, *room.way).study)
        request, looks = self._looks(desk, engine, request)
        if room.run != run:  # others are asked for meanwhile
            return
        start(room, looks)
        yield desk, room.value, gr.skip(), self._shelf.draw(desk), "", gr.skip(), gr.skip()
        keys = list(looks)
        with closing(make_up(engine, replace(request, full_size=keeps), room.found)) as steps:
            for step in steps:
                if not room.goes_on(run):
                    break
                strip = gr.skip()
                if isinstance(step, Look):
                    show_look(room, keys[step.index], step, setting)
                    strip = self._keep_one(desk, slot, keys[step.index], step, setting) if keeps else strip
                elif isinstance(step, MakeupResult):
                    room.result = step
                    room.value |= {"sheet": True, "recipe": pretty(step.recipe)}
                elif isinstance(step, Progress):
                    room.value |= progress(step)
                yield desk, room.value, strip, gr.skip(), "", gr.skip(), gr.skip()
        if room.run == run:
            room.settle(self._summary(room, keeps))
        yield desk, room.value, gr.skip(), gr.skip(), "", *buttons(busy=room.value["busy"])

    def _start_run(self, desk: Desk, slot: Slot) -> None:
        room = room_of(desk)
        room.photo = slot.id
        room.value |= {
            "busy": True,
            "done": 0,
            "total": 0,
            "message": "Looking at the face",
            "run": room.run,
            "lesson": LESSON,
            "sheet": False,
        }

    @staticmethod
    def _summary(room: Dressing, keeps: bool) -> str:
        """What is said at the end of a run."""
        if room.stopped:
            done = sum(cell["run"] == room.run for cell in room.value["cells"])
            return f"Stopped after {done} of {len(room.value['cells'])}; what was made is kept." if keeps else "Stopped."
        if keeps:
            return "Made and kept. ☆ puts a look among those you like."
        return "Drag the slider under the picture; Make keeps all looks at the photo's own size."

    def _looks(self, desk: Desk, engine: Engine, request: MakeupRequest) -> tuple[MakeupRequest, dict[str, tuple[str, Style]]]:
        """The looks of a run by their cells' keys, and the request for exactly these. Raises ``FaceError``."""
        from studio.pipelines.looks import as_numbers, random_style

        room = room_of(desk)
        if request.styles:
            return self._given_looks(room, request)
        drawn_ones = {
            f"look-{index}": (f"Look {index + 1}", as_numbers(random_style(request.seed, index)))
            for index in range(request.looks)
        }
        if not room.reference.slots:
            return request, drawn_ones
        name = Path(room.reference.slots[0].name).stem
        looks = {"reference": (f"As {name}", self._reference_style(desk, engine, request)), **drawn_ones}
        looks = dict(list(looks.items())[:MOST])
        return replace(request, styles=tuple(style for _, style in looks.values())), looks

    @staticmethod
    def _given_looks(room: Dressing, request: MakeupRequest) -> tuple[MakeupRequest, dict[str, tuple[str, Style]]]:
        """The looks of a restored recipe; a single one has the number that it had."""
        from studio.pipelines.looks import as_numbers, mix_styles

        if request.mix is None:
            first = index_of({"key": room.chosen}) if len(request.styles) == 1 else 0
            return request, {f"look-{n}": (f"Look {n + 1}", style) for n, style in enumerate(request.styles, first)}
        first, second = (np.array(style, np.float32) for style in request.styles)
        return request, {"look-0": ("Mix", as_numbers(mix_styles(first, second, request.mix)))}

    def _reference_style(self, desk: Desk, engine: Engine, request: MakeupRequest) -> Style:
        """The look of the reference photo. Raises ``FaceError``."""
        from studio.pipelines.looks import as_numbers
        from studio.pipelines.makeup import reference_style

        table = reference_of(desk)
        (face,) = face_choices(table, engine)
        return as_numbers(reference_style(engine, replace(request, reference=table.slots[0].photo(), reference_face=face)))

    # -- keeping --------------------------------------------------------------------------------------------------------

    def _keep_one(self, desk: Desk, slot: Slot, key: str, look: Look, setting: str) -> dict[str, Any]:
        """Keeps the whole photo with a look. Returns the strip's new value."""
        room = room_of(desk)
        title = title_on(room.title(key), slot)
        kept, png = self._add(desk, slot, look, title)
        keep_look(room, key, look, setting, kept, png)
        return strip_value(self._backstage, desk)

    def _add(self, desk: Desk, slot: Slot, look: Look, title: str) -> tuple[Any, bytes]:
        room, gallery = room_of(desk), self._backstage.gallery(desk)
        parents = keep_photo(gallery, slot)
        recipe = look.recipe.model_copy(update={"parents": parents})
        kept = gallery.add(look.image, recipe, parents, title, remarks(look, room.value["study"], room.value["worn"]))
        return kept, gallery.png(kept.id)

    def _keep(self, desk: Desk, event: gr.EventData) -> Iterator[tuple[Any, ...]]:
        """Keeps the look that is shown, as the sliders are; ``like`` puts it on the shelf."""
        yield from guarded(desk, room_of(desk), lambda: self._keep_shown(desk, self._engine(), event), after=1)

    def _keep_shown(self, desk: Desk, engine: Engine, event: gr.EventData) -> Iterator[tuple[Any, ...]]:
        from studio.pipelines.makeup import look_with

        room, sent, named = room_of(desk), event_value(event, "settings"), event_value(event, "look")
        slot, cell, likes = (table_of(desk).slots or [None])[0], room.cell(named), event_value(event, "like") is True
        if room.found is None or slot is None or slot.id != room.photo:
            raise LookupError(GONE)
        style, kept_id = room.code(named), cell["id"] if cell and cell["kept"] == setting_of(sent) else ""
        if not kept_id:
            run = room.begin()
            room.value |= {"busy": True, "done": 0, "total": 1, "message": "Making it at the photo's own size", "run": run}
            yield desk, room.value, gr.skip(), gr.skip(), "", *buttons(busy=True), gr.skip()
            asked = replace(shown_request(room, sent), full_size=True)
            look = look_with(engine, room.found, asked, style, index_of(cell))
            kept, png = self._add(desk, slot, look, title_on(room.title(named), slot))
            kept_id = kept.id
            if cell:
                keep_look(room, named, look, setting_of(sent), kept, png)
            room.settle("Kept.")
        if likes:
            self._backstage.gallery(desk).favourite(kept_id)
        words = "is among the looks you like" if likes else "is kept"
        said = parcel(desk, note=note(f"{base_name(room.title(named))} {words}."))
        strip, liked = strip_value(self._backstage, desk), self._shelf.draw(desk)
        yield desk, room.value, strip, liked, "", *buttons(busy=room.value["busy"]), said


_RUNNING: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
_WITH_SETTINGS = "(desk, sent, ...given) => [desk, imaginarium.dressed(), ...given]"


def _key(slot: Slot, way: tuple[str, str]) -> Any:
    """What decides what is found of a photo."""
    return slot.sha256, eyes_of(slot), way
