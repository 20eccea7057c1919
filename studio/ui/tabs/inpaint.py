"""The Morph tab's part for holes: a photo on which one paints, and what the networks imagine there."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import gradio as gr
import numpy as np

from studio.core.checkpoints import CheckpointError
from studio.core.images import to_png
from studio.core.recipe import Recipe
from studio.ui.delivery import missing_networks
from studio.ui.parts import QUIET, action_row, buttons, drawn, event_value, guarded, note, pretty, progress, seed_row, stopping
from studio.ui.session import Backstage, Desk, Slot, Table
from studio.ui.source import PhotoSource, Sample, eyes_of, face_choices, keep_photo, then
from studio.ui.strip import download, parcel, strip_value
from studio.ui.tabs.inpaint_canvas import (
    INVITATION,
    LESSON,
    Repair,
    fill_in,
    mask_file,
    photo_value,
    read_mask,
    remarks,
    sent_mask,
    show_iteration,
    title_of,
)
from studio.ui.tabs.morph_canvas import (
    NO_NETWORKS,
    domain_radio,
    domains,
    engine_with_domains,
    has_faces,
    photo_table,
    subject_of,
    take_middle,
)

if TYPE_CHECKING:
    from studio.core.engine import Engine
    from studio.pipelines.inpaint import InpaintRequest, InpaintResult
    from studio.ui.shell import Shell

log = logging.getLogger(__name__)

# The studio's pipelines are imported inside functions: torch comes with them, and the page must answer before that.

ITERATIONS, MOST_ITERATIONS = 10, 10
CANDIDATES, MOST_CANDIDATES = 4, 8
MAKING = 6  # outputs of making
SETTINGS = 5  # widgets


@dataclass(frozen=True)
class Controls:
    """The widgets, in the order in which handlers take them."""

    domain: gr.Radio
    iterations: gr.Slider
    candidates: gr.Slider
    seed: gr.Number
    shows: gr.CheckboxGroup

    def all(self) -> list[Any]:
        return [self.domain, self.iterations, self.candidates, self.seed, self.shows]


class Holes:
    """The part of the Morph tab that fills holes. ``samples`` are photos to begin with."""

    name = "holes"
    verbs = ("inpaint",)

    def __init__(self, backstage: Backstage, samples: Callable[[], tuple[Sample, ...]], restores: Callable[[Recipe], bool]):
        self._backstage = backstage
        self.photos = PhotoSource(backstage, _table, samples, 1, restores=restores, subject=_subject)

    # -- the page -------------------------------------------------------------------------------------------------------

    def build(self, shell: Shell) -> None:
        """Lays it out inside the tab's pane and connects it."""
        with gr.Column(elem_classes=["side", "in-holes"]):
            source, self.upload = self.photos.build("holes-source")
            controls = self._build_controls()
            problem, make, stop = action_row("holes")
        with gr.Column(elem_classes=["canvas", "in-holes"]):
            stage = drawn("holes", "holes", "export")
        self.controls = controls
        self.outputs = [source, stage, *controls.all(), problem]
        self.making = [shell.desk, stage, shell.strip, problem, make, stop]
        desk, running = shell.desk, {"show_progress": "hidden", "api_visibility": "private"}
        seen = [desk, source, stage, controls.shows]
        self._show_photo = {"fn": self._seen, "inputs": [desk, controls.domain], "outputs": seen, **running}
        for event in self.photos.connect(desk, source):
            event.then(**self._show_photo)
        controls.domain.input(**self._show_photo)
        sent = gr.Textbox(visible=False)
        painted = "(desk, sent, ...given) => [desk, imaginarium.mask(), ...given]"
        make.click(self.make, [desk, sent, *controls.all()], self.making, js=painted, trigger_mode="always_last", **running)
        stop.click(stopping(_room), [desk], [desk, stop], **QUIET)
        stage.export(self._export, [desk], [desk, shell.courier], **QUIET)

    def _build_controls(self) -> Controls:
        domain = gr.Radio([], label="What", elem_id="holes-domain", elem_classes=["chips", "titled"])
        dial: dict[str, Any] = {"elem_classes": "dial", "buttons": ["reset"], "step": 1}
        iterations = gr.Slider(
            1, MOST_ITERATIONS, ITERATIONS, label="Iterations", info="how often the hole is looked at again",
            elem_id="holes-iterations", **dial,
        )  # fmt: skip
        candidates = gr.Slider(
            1, MOST_CANDIDATES, CANDIDATES, label="Candidates", info="different ideas of what was there",
            elem_id="holes-candidates", **dial,
        )  # fmt: skip
        seed, _ = seed_row("holes")
        with gr.Accordion("More", open=False, elem_classes="more"):
            shows = gr.CheckboxGroup(
                [], label="Fill it as", info="else what is around the hole decides", elem_id="holes-shows",
                elem_classes=["chips", "titled"],
            )  # fmt: skip
        return Controls(domain, iterations, candidates, seed, shows)

    def open(self, desk: Desk) -> tuple[Any, ...]:
        """What a visitor finds, one value per output."""
        room, there = _room(desk), domains(self._backstage)
        if not there:
            room.value |= {"message": NO_NETWORKS, "lesson": NO_NETWORKS}
        else:
            room.domain = room.domain if room.domain in there else there[0]
            self._look_at(desk)
        widgets = domain_radio(there, room.domain), *(gr.skip(),) * 3, self._choices(room.domain)
        return self.photos.draw(desk), room.value, *widgets, ""

    def skip(self) -> tuple[Any, ...]:
        """All outputs as they are."""
        return (gr.skip(),) * len(self.outputs)

    def turn_to(self, desk: Desk) -> tuple[Any, ...]:
        """The visitor comes here, perhaps with another photo; one value per output."""
        self._look_at(desk)
        return (self.photos.draw(desk), _room(desk).value, *self.skip()[2:])

    def _choices(self, domain: str, chosen: Sequence[str] = ()) -> Any:
        """What a face can be told to show."""
        from studio.pipelines.conditioned import sliders

        if not has_faces(domain) or domain not in domains(self._backstage):
            return gr.CheckboxGroup(choices=[], value=[], visible=False)
        choices = [(one.high, one.attribute) for one in sliders(self._backstage.registry)]
        known = {attribute for _, attribute in choices}
        return gr.CheckboxGroup(choices=choices, value=[name for name in chosen if name in known], visible=True)

    # -- the photo ------------------------------------------------------------------------------------------------------

    def arrived(self, desk: Desk, said: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
        """Photos were added, one value per output."""
        table, room = _table(desk), _room(desk)
        if table.expected and not said["error"]:
            said = self.photos.expected_words(desk, Recipe(tab="morph", verb="inpaint", inputs=table.expected))
        if not has_faces(room.domain):
            take_middle(table)
        yield self.photos.draw(desk, said), *self.skip()[1:]
        trouble = self.photos.find_all(desk)
        if room.waits and not table.expected:
            yield self.restore(desk, room.waits)
            return
        self._look_at(desk)
        yield self.photos.draw(desk, trouble or said), room.value, *self.skip()[2:]

    def take(self, desk: Desk, slot: Slot, recipe: Recipe) -> tuple[Any, ...]:
        """A flower or bird that was made here becomes the photo, one value per output."""
        room = _room(desk)
        room.domain = recipe.parameters["domain"] if recipe.parameters.get("domain") in domains(self._backstage) else room.domain
        table = _table(desk)
        table.slots, table.expected, slot.choice = [slot], (), "centre"
        self._look_at(desk)
        settings = room.domain, *(gr.skip(),) * 3, self._choices(room.domain)
        return self.photos.draw(desk), room.value, *settings, ""

    def _seen(self, desk: Desk, domain: str | None) -> tuple[Any, ...]:
        """The photo, or how it is seen, has changed."""
        room = _room(desk)
        turned, room.domain = domain not in (None, room.domain), domain or room.domain
        self._look_at(desk)
        return desk, self.photos.draw(desk), room.value, self._choices(room.domain) if turned else gr.skip()

    def _look_at(self, desk: Desk) -> None:
        """Puts the photo on the canvas, with what the network sees of it."""
        room, table = _room(desk), _table(desk)
        if not table.slots:
            room.value |= {"photo": None, "mask": None, "candidates": [], "lesson": LESSON, "sheet": False}
            return
        slot, shown = table.slots[0], room.value["photo"]
        if shown is None or shown["id"] != slot.id:
            room.begin()  # what still runs is of another photo
            room.wanted, room.result, room.last = None, None, None
            room.value |= {"mask": None, "candidates": [], "sheet": False, "busy": False, "run": room.run, "words": None}
        if not room.value["busy"]:
            room.value["message"] = room.value["message"] if room.value["candidates"] else INVITATION
        room.value["photo"] = photo_value(slot, self._corners(room, slot))

    def _corners(self, room: Repair, slot: Slot) -> np.ndarray | None:
        """What the network sees of the photo; None while that is unknown."""
        from studio.pipelines.inpaint import sees
        from studio.pipelines.photos import FaceChoice

        face = None
        if has_faces(room.domain):
            if slot.choice is None and not slot.faces:
                return None
            face = FaceChoice(eyes=eyes_of(slot))
        try:
            return sees(self._backstage.engine(), slot.photo(), room.domain, face)
        except (ValueError, CheckpointError, RuntimeError) as error:  # Make says what is wrong
            log.warning("What is seen of a photo is unknown: %s", error)
            return None

    def restore(self, desk: Desk, recipe: Recipe) -> tuple[Any, ...]:
        """Everything as the recipe says, its mask too, one value per output; Make then gives the same pixels."""
        from studio.pipelines.inpaint import request_from_recipe

        room = _room(desk)
        if recipe.parameters.get("domain") in domains(self._backstage):
            room.domain = recipe.parameters["domain"]
        try:
            missing = self.photos.restore(desk, recipe)
            room.waits = recipe if missing else None
            request = None if missing else request_from_recipe(recipe, [slot.photo() for slot in _table(desk).slots])
        except ValueError as error:
            return (self.photos.draw(desk, note(str(error), True)), *self.skip()[1:])
        desk.wanted = recipe
        trouble = missing_networks(self._backstage, recipe)
        said = note(f"The settings are restored. {then(missing)} {trouble}".strip(), bool(trouble))
        if request is None:
            return self.photos.draw(desk, said), *self.skip()[1:]
        self._look_at(desk)
        room.masks += 1
        room.wanted, room.value["mask"] = request, {"src": mask_file(request.mask), "token": room.masks}
        shows = sorted(name for name, value in request.condition.items() if value)
        widgets = request.domain, request.iterations, request.candidates, request.seed, self._choices(request.domain, shows)
        return self.photos.draw(desk, said), room.value, *widgets, ""

    # -- making ---------------------------------------------------------------------------------------------------------

    def make(self, desk: Desk, sent: str, *given: Any) -> Iterator[tuple[Any, ...]]:
        """Fills the hole, iteration by iteration; what comes out is kept."""

        def begin() -> Iterator[tuple[Any, ...]]:
            engine = engine_with_domains(self._backstage)
            return self._fill(desk, engine, self._request(desk, engine, sent, *given))

        yield from guarded(desk, _room(desk), begin)

    def _request(
        self,
        desk: Desk,
        engine: Engine,
        sent: str,
        domain: str | None,
        iterations: float,
        candidates: float,
        seed: float | None,
        shows: list[str] | None,
    ) -> InpaintRequest:
        """What the widgets and the painted mask ask for. Raises ``ValueError``."""
        from studio.pipelines.inpaint import InpaintRequest

        room, table = _room(desk), _table(desk)
        if not table.slots:
            raise ValueError("Choose a sample or drop a photo first.")
        if seed is None:
            raise ValueError("Give a seed: any whole number from 0 on.")
        slot, (photo_id, data, token) = table.slots[0], sent_mask(sent)
        mask = read_mask(data if photo_id == slot.id else "", slot.size)
        if room.wanted is not None and token == room.masks:  # nobody has painted on it: it is the recipe's own
            mask = room.wanted.mask
        face = face_choices(table, engine)[0] if has_faces(room.domain) else None
        condition = self._condition(room, shows)
        counts = {"iterations": int(iterations), "candidates": int(candidates), "seed": int(seed)}
        return InpaintRequest(slot.photo(), mask, room.domain, condition=condition, face=face, **counts)

    def _condition(self, room: Repair, shows: list[str] | None) -> dict[str, float]:
        """What the hole is filled as; of what no widget can show, what a restored recipe says stays."""
        from studio.pipelines.conditioned import SLIDERS

        wanted = dict(room.wanted.condition) if room.wanted and room.wanted.domain == room.domain else {}
        if not has_faces(room.domain):
            return wanted
        signs = {slider.attribute: float(slider.sign) for slider in SLIDERS}
        named = {name: wanted.get(name, signs[name]) for name in shows or () if name in signs}
        return named | {name: value for name, value in wanted.items() if name not in signs}

    def _fill(self, desk: Desk, engine: Engine, request: InpaintRequest) -> Iterator[tuple[Any, ...]]:
        from studio.pipelines.inpaint import InpaintResult, Iteration, inpaint, settle
        from studio.pipelines.parts import Progress

        room, slot = _room(desk), _table(desk).slots[0]
        run, stopped = room.start(request.candidates, request.iterations), False
        yield desk, room.value, gr.skip(), "", *buttons(busy=True)
        with closing(inpaint(engine, request)) as steps:
            for step in steps:
                if not room.goes_on(run):
                    stopped = True
                    break
                if isinstance(step, Iteration):
                    room.last = step
                    show_iteration(room, step)
                elif isinstance(step, InpaintResult):
                    room.result = step
                elif isinstance(step, Progress):
                    room.value |= progress(step)
                yield desk, room.value, gr.skip(), "", gr.skip(), gr.skip()
        if room.run == run and stopped and room.last is not None:
            room.result = settle(engine, request, room.last)
        if room.run == run and room.result is not None:
            yield from self._keep_all(desk, slot, run, room.result, best_only=stopped)
        if room.run == run:
            room.settle(_summary(room, stopped))
        # Another run, or another photo, may have come meanwhile: the canvas and the buttons are as those left them.
        yield desk, room.value, gr.skip(), "", *buttons(busy=room.value["busy"])

    def _keep_all(
        self, desk: Desk, slot: Slot, run: int, result: InpaintResult, best_only: bool
    ) -> Iterator[tuple[Any, ...]]:
        """Keeps what came out, the best first; of a run that was stopped only that one."""
        room, gallery = _room(desk), self._backstage.gallery(desk)
        parents = keep_photo(gallery, slot)
        ranking = result.ranking[:1] if best_only else result.ranking
        for place, index in enumerate(ranking):
            if room.run != run:
                return
            filling = result.fillings[index]
            recipe = filling.recipe.model_copy(update={"parents": parents})
            title = title_of(slot, index)
            kept = gallery.add(filling.image, recipe, parents, title, remarks(filling, result.study))
            fill_in(room, filling, slot, kept.id, gallery.png(kept.id), title, best=place == 0)
            room.value["message"] = f"Keeping candidate {place + 1} of {len(ranking)}"
            yield desk, room.value, strip_value(self._backstage, desk), "", gr.skip(), gr.skip()
        room.value |= {"sheet": True, "recipe": pretty(result.recipe), "study": result.study}

    # -- taking away ----------------------------------------------------------------------------------------------------

    def _export(self, desk: Desk, event: gr.EventData) -> tuple[Desk, dict[str, Any]]:
        """The sheet, or the candidate of that number at the photo's own size; ``bare`` leaves out how it was made."""
        room, index = _room(desk), event_value(event, "index")
        result = room.result
        if result is None:
            return desk, parcel(desk, note=note("That is not here any more: make it again.", True))
        name = title_of(_table(desk).slots[0], 0).rpartition(",")[0] if _table(desk).slots else "filled"
        if event_value(event, "what") == "sheet":
            data, name = to_png(result.sheet, result.recipe), f"{name}, all.png"
        elif type(index) is int and 0 <= index < len(result.fillings):
            filling = result.fillings[index]
            data, name = to_png(filling.image, filling.recipe), f"{name}, {index + 1}.png"
        else:
            return desk, parcel(desk, note=note("That is not here any more: make it again.", True))
        return desk, download(desk, event, data, name)


def _room(desk: Desk) -> Repair:
    return desk.tables.setdefault("holes", Repair())


def _table(desk: Desk) -> Table:
    return photo_table(desk, _room(desk).domain)


def _subject(desk: Desk) -> str:
    return subject_of(_room(desk).domain)


def _summary(room: Repair, stopped: bool) -> str:
    if room.result is None:
        return "Stopped before the first iteration."
    if stopped:
        return f"Stopped after iteration {room.last.iteration}; the best one is kept."
    return "Click a candidate to see it in the photo, click the picture to compare it."
