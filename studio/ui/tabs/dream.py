"""The Character tab's other source: dreams in the place of photos. Candidates stream in, one picks, and more like them come."""

from __future__ import annotations

import html
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import gradio as gr

from studio.core.checkpoints import CheckpointError
from studio.core.gallery import GalleryError
from studio.core.images import to_png
from studio.core.recipe import Recipe
from studio.ui.delivery import Offer, missing_networks
from studio.ui.parts import (
    EMPTY_SHEET,
    QUIET,
    action_row,
    buttons,
    capital,
    drawn,
    event_value,
    note_text,
    problem_text,
    progress,
    seed_row,
    stopping,
)
from studio.ui.session import Backstage, Desk
from studio.ui.strip import strip_value, take_away
from studio.ui.tabs.dream_canvas import (
    INVITATION,
    Room,
    Step,
    candidate_item,
    draw,
    name_of,
    new_sheet,
    remarks,
    settle,
    stage_sheet,
    step_label,
)

if TYPE_CHECKING:
    from studio.core.engine import Engine
    from studio.pipelines.dream import Candidate, DreamRequest, GeneratorInfo, StageResult
    from studio.ui.shell import Shell

# studio.pipelines.dream is imported inside functions: torch comes with it, and the page must answer before that.

VERBS = ("dream", "stages")
HUMAN = "human"  # no animal
MAX_STRENGTH = 1.3
DAREDEVIL = (0.3, 1.0)  # truncation: from near the average face to anything goes
COUNT, MOST = 16, 64  # candidates on one canvas
ROWS = 8  # faces on the sheet of the stages
SETTLE = 0.15  # s that a dial has to rest before it is heeded: whatever is drawn is kept, too
MAKING, SETTINGS = 6, 8  # how many outputs making has, and how many the widgets are with the hint
HINTS = {
    "flagship": "Has a say in how daring faces are, from calm to unusual.",
    "k-began": "A BEGAN that imagines the animal in the face.",
    "began": "Soft, calm faces, straight to the front.",
    "k-dcgan": "A DCGAN that imagines the animal in the face.",
    "dcgan": "Faces of many kinds, by the first network of this sort.",
}
STRENGTH_HINT = "0 is the dreamt face, 1 the animal, beyond it a caricature"
IMAGINATION_HINT = "0 is the plain GAN, 1 its K-GAN, which has seen the animal"
NO_GENERATORS = "There are no generators yet: bring them here with `python -m studio pull`, then start the studio again."


@dataclass(frozen=True)
class Controls:
    """The widgets that say what is dreamt of, in the order in which handlers take them."""

    generator: gr.Radio
    animal: gr.Radio
    strength: gr.Slider
    imagination: gr.Slider
    truncation: gr.Slider
    seed: gr.Number
    count: gr.Slider

    def all(self) -> list[Any]:
        return [self.generator, self.animal, self.strength, self.imagination, self.truncation, self.seed, self.count]


class Dreams:
    """The part of the Character tab that needs no photo."""

    def __init__(self, backstage: Backstage):
        self._backstage = backstage

    # -- the page -------------------------------------------------------------------------------------------------------

    def build(self, shell: Shell, offer: Offer) -> None:
        """Lays it out inside the tab's pane and connects it; ``offer`` is the tab's."""
        with gr.Column(elem_classes=["side", "in-dream"]):
            controls, rolled = self._build_controls()
            problem, make, stop = action_row("dream")
        with gr.Column(elem_classes=["canvas", "in-dream"]):
            stage = drawn("stage", "dream-stage", "export", "like", "back", "stages")
        self.controls = controls
        self._settable = [controls.generator, self._hint, *controls.all()[1:]]
        self.outputs = [stage, *self._settable, problem]
        self.making = [shell.desk, stage, shell.strip, problem, make, stop]
        self._connect(shell, stage, make, stop, rolled, offer)

    def _build_controls(self) -> tuple[Controls, gr.events.Dependency]:
        generator = gr.Radio([], label="Generator", elem_id="generator", elem_classes=["chips", "titled"])
        self._hint = gr.HTML("", elem_id="generator-hint", apply_default_css=False)
        animal = gr.Radio([], label="Animal", elem_id="dream-animal", elem_classes=["chips", "titled"])
        strength = _dial("How far", STRENGTH_HINT, 0, MAX_STRENGTH, 1.0, "dream-strength")
        imagination = _dial("Imagination", IMAGINATION_HINT, 0, 1, 1.0, "imagination")
        truncation = _dial("How daring", "low is calm and typical, high unusual (truncation ψ)", *DAREDEVIL, 0.7, "truncation")
        seed, rolled = seed_row("dream", "the same seed, the same faces")
        with gr.Accordion("More", open=False, elem_classes="more"):
            count = gr.Slider(1, MOST, COUNT, step=1, label="How many", elem_id="count", elem_classes="dial", buttons=["reset"])
        return Controls(generator, animal, strength, imagination, truncation, seed, count), rolled

    def _connect(
        self, shell: Shell, stage: gr.HTML, make: gr.Button, stop: gr.Button, rolled: gr.events.Dependency, offer: Offer
    ) -> None:
        controls, desk = self.controls, shell.desk
        running: dict[str, Any] = {"show_progress": "hidden", "trigger_mode": "multiple", "api_visibility": "private"}
        given = [desk, *controls.all()]
        made = gr.on([make.click, controls.seed.submit], self.make, given, self.making, **running)
        made.then(offer.show, [desk], offer.outputs, **QUIET)
        rolled.then(self.make, given, self.making, **running)
        dials = controls.strength, controls.imagination, controls.truncation
        gr.on(
            [event for dial in dials for event in (dial.input, dial.release)], self._turn, [gr.Number(visible=False), *given],
            self.making, js="(_, ...given) => [performance.now(), ...given]", **running,
        )  # fmt: skip
        gr.on([controls.generator.input, controls.animal.input], self._fit, [controls.generator, controls.animal],
              [self._hint, *controls.all()[1:5]], **QUIET)  # fmt: skip
        stage.like(self._like, [desk], [*self.making, *self._settable], **running)
        stage.stages(self._stages, [desk], self.making, **running)
        stage.back(self._back, [desk], [*self.making, *self._settable], **QUIET)
        stage.export(self._export, [desk], [desk, shell.courier], **QUIET)
        stop.click(stopping(_room), [desk], [desk, stop], **QUIET)

    def open(self) -> tuple[Any, ...]:
        """What a visitor finds here before the first dream, one value per output."""
        infos = self._generators()
        if not infos:
            return ({**EMPTY_SHEET, "message": NO_GENERATORS}, *[gr.skip()] * SETTINGS, "")
        choices = [(info.label, info.name) for info in infos]
        chosen = gr.Radio(choices=choices, value=infos[0].name)
        return ({**EMPTY_SHEET, "message": INVITATION}, chosen, *self._fit(infos[0].name, HUMAN), gr.skip(), gr.skip(), "")

    def skip(self) -> tuple[Any, ...]:
        """Nothing new, one value per output."""
        return (gr.skip(),) * (1 + SETTINGS + 1)

    # -- what there is --------------------------------------------------------------------------------------------------

    def _generators(self) -> tuple[GeneratorInfo, ...]:
        """The best first."""
        from studio.pipelines.dream import list_generators, nearest_first

        return nearest_first(list_generators(self._backstage.registry))

    def _info(self, name: str) -> GeneratorInfo | None:
        return next((info for info in self._generators() if info.name == name), None)

    def _translated(self) -> dict[str, str]:
        """The animals of the second stage and their names for people."""
        from studio.pipelines.parts import list_animals

        return {info.name: info.label for info in list_animals(self._backstage.registry)}

    def _animals(self, info: GeneratorInfo) -> dict[str, str]:
        """What a generator can dream of: a K-GAN of its own animals, the others of people and of all that they can become."""
        from studio.pipelines.parts import animal_label

        if info.animals:
            return {name: capital(animal_label(name)) for name in info.animals}
        return {HUMAN: "Human", **{name: capital(label) for name, label in self._translated().items()}}

    def _fit(self, name: str, animal: str | None) -> tuple[Any, ...]:
        """The hint and the four widgets below it for a generator: what does not apply to it is not there."""
        info = self._info(name)
        if info is None:
            return (gr.skip(),) * 5
        animals = self._animals(info)
        animal = animal if animal in animals else next(iter(animals))
        return (
            _hint(info, animal),
            gr.Radio(choices=[(label, name) for name, label in animals.items()], value=animal),
            gr.update(visible=animal in self._translated()),
            gr.update(visible=bool(info.animals)),
            gr.update(visible=name == "flagship"),
        )

    # -- what is asked for ----------------------------------------------------------------------------------------------

    def _request(self, desk: Desk, *given: Any) -> DreamRequest:
        """The widgets as a request; the picks that led here stay with it while seed and generator do.

        Raises:
            ValueError: one sentence that says what to change.
        """
        from studio.pipelines.dream import DreamRequest

        generator, animal, strength, imagination, truncation, seed, count = given
        if not self._generators():
            raise ValueError(NO_GENERATORS)
        if seed is None:
            raise ValueError("Give a seed: any whole number from 0 on.")
        dreamt = None if animal in (HUMAN, None) else animal
        settings: dict[str, Any] = {"strength": float(strength)} if dreamt in self._translated() else {}
        if generator == "flagship":
            settings["truncation"] = float(truncation)
        if generator.startswith("k-"):
            settings["imagination"] = float(imagination)
        request = DreamRequest(generator, dreamt, int(count), int(seed), **settings)
        return replace(request, ancestry=_ancestry(_room(desk), request))

    def _settings(self, request: DreamRequest) -> tuple[Any, ...]:
        """The widgets as a request has them, one value per output from the generator on."""
        hint, animal, strength, imagination, truncation = self._fit(request.generator, request.animal or HUMAN)
        values = request.strength if request.animal else None, request.imagination, request.truncation
        dials = [_with_value(dial, value) for dial, value in zip((strength, imagination, truncation), values, strict=True)]
        return request.generator, hint, animal, *dials, request.seed, request.count

    def restore(self, desk: Desk, recipe: Recipe) -> tuple[Any, ...]:
        """Everything as the recipe says, one value per output; Make then gives the same pixels."""
        from studio.pipelines.dream import request_from_recipe

        room, skipped = _room(desk), (gr.skip(),) * SETTINGS
        try:
            request = request_from_recipe(recipe)
        except ValueError as error:
            return (gr.skip(), *skipped, problem_text(str(error)))
        desk.wanted, room.wanted, room.wanted_verb = recipe, request, recipe.verb
        trouble = missing_networks(self._backstage, recipe)
        if self._info(request.generator) is None:
            return (gr.skip(), *skipped, problem_text(trouble or f"There is no {request.generator} here yet."))
        said = problem_text(trouble) if trouble else note_text("The settings are restored: press Make to make it again.")
        return (gr.skip(), *self._settings(request), said)

    # -- making ---------------------------------------------------------------------------------------------------------

    def first(self, desk: Desk, *given: Any) -> Iterator[tuple[Any, ...]]:
        """Whoever comes here for the first time sees something at once."""
        room = _room(desk)
        if room.trail or room.wanted or not self._generators():
            yield (gr.skip(),) * MAKING
        else:
            yield from self.make(desk, *given)

    def make(self, desk: Desk, *given: Any) -> Iterator[tuple[Any, ...]]:
        """A new step of candidates, or the one that a restored recipe asks for."""

        def start(engine: Engine) -> Iterator[tuple[Any, ...]]:
            room, request = _room(desk), self._request(desk, *given)
            if room.wanted_verb == "stages" and room.wanted and replace(request, ancestry=room.wanted.ancestry) == room.wanted:
                return self._show_stages(desk, engine, request, room.wanted.count)
            step = room.here
            if step is None or (step.verb, step.request) != ("dream", request):  # the same once more is no new step
                info = self._info(request.generator)
                step = Step(request, f"{info.label if info else request.generator}, {step_label(request)}")
            return self._dream(desk, engine, step)

        yield from self._guarded(desk, start)

    def _turn(self, sent: float, desk: Desk, *given: Any) -> Iterator[tuple[Any, ...]]:
        """A dial was turned: the same latents again in the same places. The value that was ``sent`` last wins (the browser's
        clock, ms), in whatever order they arrive."""
        room = _room(desk)
        room.turned = max(room.turned, sent or 0)
        time.sleep(SETTLE)
        step = room.here
        if room.turned != sent or step is None or step.verb != "dream" or room.wanted:
            yield (gr.skip(),) * MAKING
            return

        def start(engine: Engine) -> Iterator[tuple[Any, ...]]:
            asked = self._request(desk, *given)
            dials = {"strength": asked.strength, "imagination": asked.imagination, "truncation": asked.truncation}
            request = replace(step.request, **dials)
            same = replace(asked, count=request.count, ancestry=request.ancestry) == request
            if not same or request == step.request:  # a dial for the next dream, or one that moved back
                return iter([(gr.skip(),) * MAKING])
            step.request = request
            return self._dream(desk, engine, step)

        yield from self._guarded(desk, start)

    def _like(self, desk: Desk, event: gr.EventData) -> Iterator[tuple[Any, ...]]:
        """More like the picture that the event names."""
        from studio.pipelines.dream import more_like

        step, key = _room(desk).here, str(event_value(event, "key"))
        candidate = step.candidates.get(key) if step else None
        skipped = (gr.skip(),) * SETTINGS
        if step is None or candidate is None:
            yield (*(gr.skip(),) * MAKING, *skipped)
            return
        settings = skipped

        def start(engine: Engine) -> Iterator[tuple[Any, ...]]:
            nonlocal settings
            far = str(event_value(event, "step"))
            request = more_like(step.request, candidate, far)
            if request.count == 1:  # a single one was restored
                request = replace(request, count=COUNT)
            settings = self._settings(request)
            label = f"Like {candidate.index + 1}, {far}"
            return self._dream(desk, engine, Step(request, label, parent=step.sheet["items"][key]["id"]))

        for values in self._guarded(desk, start):
            yield (*values, *settings)
            settings = skipped

    def _stages(self, desk: Desk) -> Iterator[tuple[Any, ...]]:
        """Figure 3 of IAN for the first faces of the canvas."""
        step = _room(desk).here
        if step is None or step.verb != "dream":
            yield (gr.skip(),) * MAKING
            return
        rows = min(step.request.count, ROWS)
        yield from self._guarded(desk, lambda engine: self._show_stages(desk, engine, step.request, rows))

    def _guarded(self, desk: Desk, start: Callable[[Engine], Iterator[tuple[Any, ...]]]) -> Iterator[tuple[Any, ...]]:
        """Runs what ``start`` gives; an error is a sentence above the buttons, and what is on the canvas stays there."""
        room = _room(desk)
        try:
            yield from start(self._backstage.engine())
        except (ValueError, GalleryError, CheckpointError, RuntimeError) as error:
            canvas = gr.skip()
            if room.here:
                settle(room.here)
                canvas = draw(room)
            yield desk, canvas, gr.skip(), problem_text(str(error)), *buttons(busy=False)

    def _dream(self, desk: Desk, engine: Engine, step: Step) -> Iterator[tuple[Any, ...]]:
        """Fills the step's canvas candidate by candidate; each is kept as soon as it is there."""
        from studio.pipelines.dream import DreamResult, dream
        from studio.pipelines.parts import Progress

        parts, room = dream(engine, step.request), _room(desk)
        run = room.begin()
        if step is not room.here:
            room.enter(step)
        room.wanted, step.png, step.candidates = None, None, {}
        step.sheet = new_sheet(step, run)
        yield desk, draw(room), gr.skip(), "", *buttons(busy=True)
        with closing(parts):
            for part in parts:
                if room.stopped or room.run != run:
                    break
                strip = gr.skip()
                if isinstance(part, DreamResult):
                    step.png = to_png(part.sheet, part.recipe)
                    step.sheet["sheet"] = True
                elif isinstance(part, Progress):
                    step.sheet |= progress(part)
                else:
                    self._keep(desk, step, part, run)
                    strip = strip_value(self._backstage, desk)
                yield desk, draw(room), strip, "", gr.skip(), gr.skip()
        if room.run == run:
            settle(step)
            yield desk, draw(room), gr.skip(), "", *buttons(busy=False)

    def _keep(self, desk: Desk, step: Step, candidate: Candidate, run: int) -> None:
        gallery = self._backstage.gallery(desk)
        parents = (step.parent,) if step.parent else ()
        recipe = candidate.recipe.model_copy(update={"parents": parents})
        title = name_of(step.request, candidate.index)
        kept = gallery.add(candidate.image, recipe, parents, title, remarks(step.request, candidate))
        if _room(desk).run != run:  # a dial was turned meanwhile: its place is another's now
            return
        key = f"dream/{candidate.index}"
        step.candidates[key] = candidate
        item = candidate_item(step, candidate, recipe, title, gallery.png(kept.id)) | {"id": kept.id, "key": key}
        step.sheet |= {"items": {**step.sheet["items"], key: item}, "done": step.sheet["done"] + 1, "zip": True}

    def _show_stages(self, desk: Desk, engine: Engine, request: DreamRequest, rows: int) -> Iterator[tuple[Any, ...]]:
        """The sheet of the stages, kept, and its cells on a canvas of their own; stopped before it is there, nothing changes."""
        from studio.pipelines.dream import StageResult, stage_by_stage

        parts, room = stage_by_stage(engine, replace(request, count=rows)), _room(desk)
        run = room.begin()
        step = Step(request, "Stage by stage", "stages")
        step.sheet = {**EMPTY_SHEET, "message": "Starting", "busy": True, "run": run, "total": rows}
        room.enter(step)
        room.wanted, strip = None, gr.skip()
        yield desk, draw(room), gr.skip(), "", *buttons(busy=True)
        try:
            with closing(parts):
                for part in parts:
                    if room.stopped or room.run != run:
                        break
                    if isinstance(part, StageResult):
                        self._keep_stages(desk, step, part, run)
                        strip = strip_value(self._backstage, desk)
                    else:
                        step.sheet |= progress(part)
                        yield desk, draw(room), gr.skip(), "", gr.skip(), gr.skip()
        finally:
            if step.png is None:
                room.leave(step)
        if room.run == run:
            yield desk, draw(room), strip, "", *buttons(busy=False)

    def _keep_stages(self, desk: Desk, step: Step, result: StageResult, run: int) -> None:
        from studio.pipelines.parts import animal_label, with_article

        animal = animal_label(step.request.animal)
        title = f"Stage by stage to {with_article(animal)}, seed {step.request.seed}"
        self._backstage.gallery(desk).add(result.sheet, result.recipe, (), title)
        step.png = to_png(result.sheet, result.recipe)
        step.sheet = stage_sheet(step.request, result, run)

    # -- the way back, and what is taken away ---------------------------------------------------------------------------

    def _back(self, desk: Desk, event: gr.EventData) -> tuple[Any, ...]:
        """Shows a step of the way again, with the widgets as they were for it."""
        room, index = _room(desk), event_value(event, "index")
        if not isinstance(index, int) or not 0 <= index < len(room.trail) or index == room.at:
            return (gr.skip(),) * (MAKING + SETTINGS)
        room.begin()
        settle(room.here)
        room.at, room.wanted = index, None
        return (desk, draw(room), gr.skip(), "", *buttons(busy=False), *self._settings(room.here.request))

    def _export(self, desk: Desk, event: gr.EventData) -> tuple[Desk, dict[str, Any]]:
        step = _room(desk).here
        return take_away(self._backstage, desk, event, step.sheet if step else {}, step and step.png)


def _room(desk: Desk) -> Room:
    return desk.tables.setdefault("dream", Room())


def _ancestry(room: Room, request: DreamRequest) -> tuple[Any, ...]:
    """The picks of what is restored or shown, as long as it is the same dream: its seed and its generator."""
    base = room.wanted or (room.here and room.here.request)
    same = base and (base.seed, base.generator) == (request.seed, request.generator)
    return base.ancestry if same else ()


def _dial(label: str, info: str, low: float, high: float, value: float, elem_id: str) -> gr.Slider:
    return gr.Slider(low, high, value, step=0.05, label=label, info=info, elem_id=elem_id, elem_classes="dial", buttons=["reset"])


def _with_value(dial: dict[str, Any], value: float | None) -> dict[str, Any]:
    """The update of a slider with a value, too; None leaves it where it is."""
    return dial if value is None else dial | {"value": value}


def _hint(info: GeneratorInfo, animal: str) -> str:
    """One line about a generator, and why it is a study if it is one."""
    card = info.cards[info.animals.index(animal)] if animal in info.animals else info.cards[0]
    reason = card.study or info.study
    study = f' <span class="badge">study</span> {html.escape(reason)}' if reason else ""
    return f'<p class="hint">{html.escape(HINTS[info.name])}{study}</p>'
