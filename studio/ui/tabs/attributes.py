"""The Morph tab's first part: one photo of a person, and a slider for each thing that its face can show."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import gradio as gr

from studio.core.checkpoints import CheckpointError
from studio.core.images import to_png
from studio.core.recipe import Recipe
from studio.ui.delivery import missing_networks
from studio.ui.parts import QUIET, action_row, buttons, drawn, event_value, guarded, note, progress, stopping
from studio.ui.session import Backstage, Desk, Slot, Table
from studio.ui.source import PhotoSource, Sample, eyes_of, face_choices, keep_photo, then
from studio.ui.strip import download, parcel, strip_value
from studio.ui.tabs.attributes_canvas import (
    LESSON,
    NO_FACES,
    Tuning,
    moved_name,
    remarks,
    show_found,
    show_preview,
    show_result,
    start,
    to_condition,
    to_sliders,
)
from studio.ui.tabs.morph_canvas import MAX_CARE, has_domain, inline_photo, photo_table

if TYPE_CHECKING:
    from studio.core.engine import Engine
    from studio.pipelines.morph import AttributesRequest, AttributesResult
    from studio.ui.shell import Shell

log = logging.getLogger(__name__)

# The studio's pipelines are imported inside functions: torch comes with them, and the page must answer before that.

CARE = 30
LONGEST_SENT = 4000  # characters of what the sliders say
MAKING = 6  # outputs of making
FIRST = {"Blond_Hair": 1.0}  # what the first visitor sees done to a sample


class Attributes:
    """The part of the Morph tab that changes one thing about a face. ``samples`` are faces to begin with."""

    name = "attributes"
    verbs = ("attributes",)

    def __init__(self, backstage: Backstage, samples: Callable[[], tuple[Sample, ...]], restores: Callable[[Recipe], bool]):
        self._backstage = backstage
        self.photos = PhotoSource(backstage, photo_table, samples, 1, restores=restores)
        self._first_visit: tuple[Slot, AttributesResult] | None = None

    # -- the page -------------------------------------------------------------------------------------------------------

    def build(self, shell: Shell) -> None:
        """Lays it out inside the tab's pane and connects it."""
        with gr.Column(elem_classes=["side", "in-attributes"]):
            source, self.upload = self.photos.build("attributes-source")
            gr.HTML("", elem_id="attribute-sliders", apply_default_css=False)  # the canvas draws them here
            with gr.Accordion("More", open=False, elem_classes="more"):
                care = gr.Slider(
                    0, MAX_CARE, CARE, step=5, label="Care", info="steps with which the face is found; 0 is a first guess",
                    elem_id="attributes-care", elem_classes="dial", buttons=["reset"],
                )  # fmt: skip
            problem, make, stop = action_row("attributes")
        with gr.Column(elem_classes=["canvas", "in-attributes"]):
            stage = drawn("attributes", "attributes", "look", "export")
            answer = drawn("answer", "attributes-answer")
        self.care, self.outputs = care, [source, stage, care, problem]
        self.making = [shell.desk, stage, shell.strip, problem, make, stop]
        desk, running = shell.desk, {"show_progress": "hidden", "api_visibility": "private"}
        sent = gr.Textbox(visible=False)
        self._find_now = {"fn": self.find, "inputs": [desk, care], "outputs": self.making, **running}
        for event in self.photos.connect(desk, source):
            event.then(**self._find_now)
        tuned = "(desk, sent, ...given) => [desk, imaginarium.tuned(), ...given]"
        make.click(self.make, [desk, sent, care], self.making, js=tuned, trigger_mode="always_last", **running)
        stop.click(stopping(_room), [desk], [desk, stop], **QUIET)
        stage.look(self._look, [desk], [answer], trigger_mode="multiple", **QUIET)
        stage.export(self._export, [desk], [desk, shell.courier], **running)

    def follow(self, arrived: gr.events.Dependency) -> None:
        """After photos came from elsewhere their face is found at once, too."""
        arrived.then(**self._find_now)

    def open(self, desk: Desk) -> tuple[Any, ...]:
        """What a visitor finds, one value per output."""
        room = _room(desk)
        if not has_domain(self._backstage, "faces"):
            room.value |= {"message": NO_FACES, "lesson": NO_FACES}
        elif not room.result:
            room.value |= {"message": "", "lesson": LESSON}
        return self.photos.draw(desk), room.value, gr.skip(), ""

    def skip(self) -> tuple[Any, ...]:
        """All outputs as they are."""
        return (gr.skip(),) * len(self.outputs)

    @staticmethod
    def nothing() -> tuple[Any, ...]:
        """All outputs of making as they are."""
        return (gr.skip(),) * MAKING

    def turn_to(self, desk: Desk) -> tuple[Any, ...]:
        """The visitor comes here, perhaps with another photo; one value per output."""
        self._refresh(desk)
        return self.photos.draw(desk), _room(desk).value, *self.skip()[2:]

    @staticmethod
    def _refresh(desk: Desk) -> None:
        """What is on the canvas is always of the photo that is here."""
        room, slots = _room(desk), photo_table(desk).slots
        photo = slots[0].id if slots else ""
        if room.photo != photo:
            room.forget(photo)

    def trouble(self, desk: Desk, words: str) -> tuple[Any, ...]:
        """A sentence about the photo, one value per output."""
        return self.photos.draw(desk, note(words, True)), *self.skip()[1:]

    def warm_up(self, engine: Engine, sample: Sample) -> None:
        """Changes a sample for the first visit, once for all visitors."""
        from studio.pipelines.morph import AttributesRequest, AttributesResult, attributes

        if self._first_visit is None and has_domain(self._backstage, "faces"):
            slot = sample.slot()
            (face,) = face_choices(Table([slot]), engine)
            known = {slider.attribute for slider in _sliders(engine)}
            asked = AttributesRequest(slot.photo(), {k: v for k, v in FIRST.items() if k in known}, face=face)
            *_, result = attributes(engine, asked)
            if isinstance(result, AttributesResult):
                self._first_visit = slot, result

    def show_first_visit(self, desk: Desk, engine: Engine) -> None:
        """A sample that smiles, unless the visitor has begun already."""
        room, table = _room(desk), photo_table(desk)
        if self._first_visit is None or room.result or table.slots:
            return
        shared, result = self._first_visit
        slot = replace(shared)  # a choice made on one desk stays there
        table.slots = [slot]
        room.key, room.found = _key(slot, result.request.steps), result.found
        start(room, slot)
        show_found(room, result.found, _labels(engine), _sliders(engine))
        room.value["values"] = to_sliders(result.request.condition, _sliders(engine))
        show_result(room, slot, result)
        said = f"{moved_name(slot, result)}. Move a slider, or drop a photo of your own."
        room.value |= {"busy": False, "message": said}

    # -- what arrives ---------------------------------------------------------------------------------------------------

    def arrived(self, desk: Desk, said: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
        """Photos were added, one value per output."""
        table = photo_table(desk)
        if table.expected and not said["error"]:
            said = self.photos.expected_words(desk, Recipe(tab="morph", verb="attributes", inputs=table.expected))
        self._refresh(desk)
        yield self.photos.draw(desk, said), _room(desk).value, *self.skip()[2:]
        yield self.photos.draw(desk, self.photos.find_all(desk) or said), *self.skip()[1:]

    def restore(self, desk: Desk, recipe: Recipe) -> tuple[Any, ...]:
        """Everything as the recipe says, one value per output; Make then gives the same pixels."""
        room = _room(desk)
        try:
            missing = self.photos.restore(desk, recipe)
            condition, steps = _asked(recipe)
        except ValueError as error:
            return (self.photos.draw(desk, note(str(error), True)), *self.skip()[1:])
        desk.wanted = recipe
        known = _sliders(self._backstage.engine()) if has_domain(self._backstage, "faces") else ()
        slots = photo_table(desk).slots
        room.forget(slots[0].id if slots else "")
        room.restored = True
        more = {"set": room.value["set"] + 1, "values": to_sliders(condition, known), "lesson": "Press Make to make it again."}
        room.value |= more
        trouble = missing_networks(self._backstage, recipe)
        said = note(f"The settings are restored. {then(missing)} {trouble}".strip(), bool(trouble))
        return self.photos.draw(desk, said), room.value, min(max(steps, 0), MAX_CARE), ""

    # -- making ---------------------------------------------------------------------------------------------------------

    def find(self, desk: Desk, care: float) -> Iterator[tuple[Any, ...]]:
        """Finds the face of a photo that has just come, so that the sliders can move; nothing is kept."""
        self._refresh(desk)
        room, table = _room(desk), photo_table(desk)
        slot = table.slots[0] if table.slots else None
        waits = slot is None or room.restored or (slot.choice is None and not slot.faces)
        if waits or not has_domain(self._backstage, "faces") or room.key == _key(slot, int(care)):
            yield desk, room.value, *self.nothing()[2:]
            return
        yield from guarded(desk, room, lambda: self._fill(desk, self._engine(), {}, int(care)))

    def make(self, desk: Desk, sent: str, care: float) -> Iterator[tuple[Any, ...]]:
        """The whole photo as the sliders say; it is kept."""
        yield from guarded(desk, _room(desk), lambda: self._fill(desk, self._engine(), _sent_values(sent), int(care)))

    def _engine(self) -> Engine:
        """The engine. Raises ``ValueError`` if it has no networks for faces."""
        if not has_domain(self._backstage, "faces"):
            raise ValueError(NO_FACES)
        return self._backstage.engine()

    def _request(self, desk: Desk, engine: Engine, values: Mapping[str, float], care: int) -> AttributesRequest:
        """What the widgets ask for. Raises ``ValueError``."""
        from studio.pipelines.morph import AttributesRequest

        table = photo_table(desk)
        if not table.slots:
            raise ValueError("Choose a sample or drop a photo of a person first.")
        (face,) = face_choices(table, engine)
        condition = to_condition(values, _sliders(engine))
        return AttributesRequest(table.slots[0].photo(), condition, care, face)

    def _fill(self, desk: Desk, engine: Engine, values: Mapping[str, float], care: int) -> Iterator[tuple[Any, ...]]:
        from studio.pipelines.conditioned import Found
        from studio.pipelines.morph import AttributesResult, Preview, attributes
        from studio.pipelines.parts import Progress

        room, request = _room(desk), self._request(desk, engine, values, care)
        slot = photo_table(desk).slots[0]
        known = room.found if room.key == _key(slot, care) else None
        run, room.restored = room.begin(), False
        start(room, slot, fresh=known is None)
        if known is None:
            room.value["values"] = to_sliders(request.condition, _sliders(engine))
        yield desk, room.value, gr.skip(), "", *buttons(busy=True)
        with closing(attributes(engine, request, known)) as steps:
            for step in steps:
                if not room.goes_on(run):
                    break
                strip = gr.skip()
                if isinstance(step, AttributesResult):
                    strip = self._keep(desk, slot, step) if request.condition else gr.skip()
                    show_result(room, slot, step)
                elif isinstance(step, Found):
                    room.found, room.key = step, _key(slot, care)
                    show_found(room, step, _labels(engine), _sliders(engine))
                elif isinstance(step, Preview):
                    show_preview(room, step)
                elif isinstance(step, Progress):
                    room.value |= progress(step)
                yield desk, room.value, strip, "", gr.skip(), gr.skip()
        if room.run == run:
            moved = "Move a slider; Make keeps the picture at the photo's own size."
            room.settle("Stopped." if room.stopped else "Made and kept." if request.condition else moved)
        # Another run, or another photo, may have come meanwhile: the canvas and the buttons are as those left them.
        yield desk, room.value, gr.skip(), "", *buttons(busy=room.value["busy"])

    def _keep(self, desk: Desk, slot: Slot, result: AttributesResult) -> dict[str, Any]:
        """Keeps the photo and what it was changed to. Returns the strip's new value."""
        gallery = self._backstage.gallery(desk)
        parents = keep_photo(gallery, slot)
        recipe = result.recipe.model_copy(update={"parents": parents})
        gallery.add(result.image, recipe, parents, moved_name(slot, result), remarks(result))
        return strip_value(self._backstage, desk)

    # -- while a slider moves -------------------------------------------------------------------------------------------

    def _look(self, desk: Desk, event: gr.EventData) -> dict[str, str]:
        """The head as the sliders say; the browser asks for the next one when this one is there."""
        from studio.pipelines.morph import picture_with

        room, named = _room(desk), event_value(event, "name")
        answer = {"name": named[:LONGEST_SENT] if isinstance(named, str) else "", "src": ""}
        if room.found is None:
            return answer
        try:
            engine = self._backstage.engine()
            condition = to_condition(_checked(event_value(event, "values")), _sliders(engine))
            answer["src"] = inline_photo(picture_with(engine, room.found, condition))
        except (ValueError, CheckpointError, RuntimeError) as error:  # Make says what is wrong
            log.warning("A slider could not be followed: %s", error)
        return answer

    # -- taking away ----------------------------------------------------------------------------------------------------

    def _export(self, desk: Desk, event: gr.EventData) -> tuple[Desk, dict[str, Any]]:
        """The whole photo as the sliders are, as a file; ``bare`` leaves out how it was made."""
        from studio.pipelines.morph import attributes

        room, table = _room(desk), photo_table(desk)
        if room.found is None or room.key is None or not table.slots:
            return desk, parcel(desk, note=note("That is not here any more: make it again.", True))
        try:
            engine = self._backstage.engine()
            request = self._request(desk, engine, _checked(event_value(event, "values")), room.key[-1])
            *_, result = attributes(engine, request, room.found)
            data, name = to_png(result.image, result.recipe), f"{moved_name(table.slots[0], result)}.png"
        except (ValueError, CheckpointError, RuntimeError) as error:
            return desk, parcel(desk, note=note(str(error), True))
        return desk, download(desk, event, data, name)


def _room(desk: Desk) -> Tuning:
    return desk.tables.setdefault("attributes", Tuning())


def _sliders(engine: Engine) -> tuple[Any, ...]:
    from studio.pipelines.conditioned import sliders

    return sliders(engine)


def _labels(engine: Engine) -> tuple[str, ...]:
    from studio.pipelines.conditioned import networks_of

    return networks_of(engine, "faces").labels


def _key(slot: Slot, care: int) -> tuple[Any, ...]:
    """What decides what is found of a photo."""
    return slot.sha256, eyes_of(slot) if slot.choice is not None or slot.faces else None, care


def _checked(values: Any) -> dict[str, float]:
    """What the browser says of its sliders, a stranger's word: only numbers from -1 to 1 by name are left."""
    if not isinstance(values, dict):
        return {}
    numbers = {name: value for name, value in values.items() if isinstance(name, str) and type(value) in (int, float)}
    return {name: float(value) for name, value in numbers.items() if -1 <= value <= 1}


def _sent_values(sent: Any) -> dict[str, float]:
    """The sliders as they came with Make."""
    try:
        return _checked(json.loads(sent[:LONGEST_SENT]))
    except (TypeError, ValueError):
        return {}


def _asked(recipe: Recipe) -> tuple[dict[str, float], int]:
    """Condition and steps that a recipe asks for. Raises ``ValueError``."""
    condition, steps = recipe.parameters.get("condition", {}), recipe.parameters.get("steps", CARE)
    if not isinstance(condition, dict) or type(steps) is not int:
        raise ValueError("This recipe's settings are damaged: it is not restored.")
    return _checked(condition), steps
