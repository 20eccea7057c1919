"""The Manifold tab: faces on the left, the walk between them in the middle, a row per animal below it.

Its other half, the neighbourhood of a point, is in ``neighbourhood.py``; a switch above both says which of them is in sight.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import gradio as gr
import numpy as np

from studio.core.checkpoints import CheckpointError
from studio.core.gallery import GalleryError
from studio.core.images import Photo, to_png
from studio.core.recipe import Recipe
from studio.ui.delivery import Offer, Parcel, missing_networks
from studio.ui.parts import QUIET, action_row, buttons, drawn, event_value, guarded, note, progress, stopping
from studio.ui.samples import ASTRONAUT, dreamt_samples
from studio.ui.session import Backstage, Desk, Slot, Table
from studio.ui.source import PhotoSource, PhotoTab, Sample, eyes_of, face_choices, head_of, keep_photo, sent_slot, then
from studio.ui.strip import download, parcel, strip_value
from studio.ui.tabs.manifold_canvas import (
    EMPTY,
    PATHS,
    Walk,
    describe,
    follow_film,
    inline,
    likeness,
    new_value,
    place_of,
    point_in,
    point_words,
    row_words,
    show_cell,
    show_film,
    show_found,
    show_preview,
    show_rows,
    slot_name,
    summary,
    walk_title,
)
from studio.ui.tabs.neighbourhood import VERB, Neighbourhood
from studio.ui.tabs.neighbourhood_canvas import describe as describe_neighbours

if TYPE_CHECKING:
    from studio.core.engine import Engine
    from studio.pipelines.manifold import InvertRequest, TraverseRequest, TraverseResult
    from studio.ui.shell import Shell

log = logging.getLogger(__name__)

# The studio's pipelines are imported inside functions: torch comes with them, and the page must answer before that.

FIRST_ANIMALS = ("lion", "panda")
MAX_PHOTOS, MAX_STRENGTH, MAX_STEPS, STEPS = 4, 1.3, 300, 50
FRAMES, FEWEST, MOST = 9, 5, 25
PREVIEW_SECONDS = 0.15  # between two looks at a face that is being found
REMEMBERED = 32  # faces that are not searched again in this visit
MODES = WALK, AROUND = "Walk", "Neighbourhood"
LONGEST_NAME = 200  # of a point, as the browser calls it
NO_GENERATOR = "There is no generator here yet that faces can be found in: pull one, then start the studio again."


@dataclass(frozen=True)
class Controls:
    """The tab's widgets, in the order in which handlers take them."""

    animals: gr.CheckboxGroup
    frames: gr.Slider
    strength: gr.Slider
    loop: gr.Checkbox
    path: gr.Radio
    generator: gr.Radio
    steps: gr.Slider

    def all(self) -> list[Any]:
        return [self.animals, self.frames, self.strength, self.loop, self.path, self.generator, self.steps]


class ManifoldTab(PhotoTab):
    """Walks between faces."""

    id = "manifold"
    title = "Manifold"
    takes: ClassVar = {"photo": "Walk from this face"}

    def __init__(self, backstage: Backstage):
        self._backstage = backstage
        self._samples: tuple[Sample, ...] = (ASTRONAUT,)
        self._photos = PhotoSource(
            backstage, _walk, lambda: self._samples, MAX_PHOTOS, mixes=True, restores=lambda recipe: recipe.tab == self.id
        )
        self._around = Neighbourhood(backstage, lambda: self._samples)
        self._first_visit: tuple[list[Slot], TraverseResult, Any] | None = None
        self._first_visit_lock = threading.Lock()

    @staticmethod
    def gives(recipe: Recipe) -> Sequence[str]:
        """A single face can be sent on, a sheet cannot, nor a flower."""
        if recipe.verb == VERB:
            return ("photo",) if "shows" in recipe.parameters and recipe.parameters.get("domain") == "face" else ()
        single = "step" in recipe.parameters or "point" in recipe.parameters
        return ("photo",) if single or (recipe.verb == "invert" and len(recipe.inputs) == 1) else ()

    # -- the page -------------------------------------------------------------------------------------------------------

    def build(self, shell: Shell) -> None:
        """Lays the tab out inside its pane and connects it."""
        with gr.Column(elem_classes="mode-switch"):
            switch = gr.Radio(MODES, value=WALK, label="What", show_label=False, container=False, elem_id="walk-switch")
            self.offer = Offer(self._backstage)
        with gr.Column(elem_classes=["side", "in-walk"]):
            source, upload = self._photos.build("walk-source")
            controls = self._build_controls()
            problem, make, stop = action_row("walk")
        with gr.Column(elem_classes=["canvas", "in-walk"]):
            stage = drawn("walk", "walk", "export", "keep", "look")
            point = drawn("point", "walk-point")
        self._around.build(shell)
        self.outputs = [source, stage, *controls.all(), problem, switch, *self._around.outputs]
        self._connect(shell, source, upload, stage, point, make, stop, controls, problem)
        around = self._around
        switch.input(
            self._switch, [shell.desk, switch, *around.controls.all()], around.making,
            show_progress="hidden", api_visibility="private",
        )  # fmt: skip

    def _switch(self, desk: Desk, mode: str, *given: Any) -> Iterator[tuple[Any, ...]]:
        """The visitor turned to the other half; the browser shows it, and a first look around begins by itself."""
        if mode == AROUND:
            yield from self._around.first(desk, *given)
        else:
            yield self._around.nothing()

    def _build_controls(self) -> Controls:
        with gr.Row(elem_classes="label-row"):
            gr.HTML("<h2>Animals</h2>", apply_default_css=False)
        animals = gr.CheckboxGroup([], show_label=False, elem_id="walk-animals", elem_classes="chips", container=False)
        frames = gr.Slider(
            FEWEST, MOST, FRAMES, step=1, label="Frames", info="from the first face to the last", elem_id="walk-frames",
            elem_classes="dial", buttons=["reset"],
        )  # fmt: skip
        strength = gr.Slider(
            0, MAX_STRENGTH, 1.0, step=0.05, label="How far", info="0 is the face, 1 the animal, beyond it a caricature",
            elem_id="walk-strength", elem_classes="dial", buttons=["reset"],
        )  # fmt: skip
        with gr.Accordion("More", open=False, elem_classes="more"):
            loop = gr.Checkbox(False, label="Loop", info="Walks back to the first face, for films without an end")
            path = gr.Radio(
                [(words, name) for name, words in PATHS.items()], value="spherical", label="Path", elem_id="walk-path",
                info="Round the mean face; straight across; dense keeps to where the generator draws most",
                elem_classes=["chips", "titled"],
            )  # fmt: skip
            generator = gr.Radio([], label="Generator", elem_id="walk-generator", elem_classes=["chips", "titled"])
            steps = gr.Slider(
                0, MAX_STEPS, STEPS, step=10, label="Care", info="steps of reversal for a photo; 0 is a first guess",
                elem_id="walk-steps", elem_classes="dial", buttons=["reset"],
            )  # fmt: skip
        return Controls(animals, frames, strength, loop, path, generator, steps)

    def _connect(
        self,
        shell: Shell,
        source: gr.HTML,
        upload: gr.UploadButton,
        stage: gr.HTML,
        point: gr.HTML,
        make: gr.Button,
        stop: gr.Button,
        controls: Controls,
        problem: gr.HTML,
    ) -> None:
        desk = shell.desk
        running: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
        self.added = upload.upload(self._add_photos, [desk, upload], [desk, *self.outputs], **running)
        self.added.then(self.offer.show, [desk], self.offer.outputs, **QUIET)
        self._photos.connect(desk, source)
        outputs = [desk, stage, shell.strip, problem, make, stop]
        made = gr.on(
            [make.click, controls.strength.release, controls.frames.release], self._make, [desk, *controls.all()], outputs,
            trigger_mode="always_last", **running,
        )  # fmt: skip
        made.then(self.offer.show, [desk], self.offer.outputs, **QUIET)
        stop.click(stopping(_walk), [desk], [desk, stop], **QUIET)
        controls.generator.change(_care, [controls.generator], [controls.steps], **QUIET)
        stage.export(self._export, [desk], [desk, shell.courier], **running)
        stage.look(self._look, [desk], [point], trigger_mode="multiple", **QUIET)
        stage.keep(self._keep_picture, [desk], [desk, shell.strip, shell.courier], **QUIET)

    # -- the first visit ------------------------------------------------------------------------------------------------

    def warm_up(self, engine: Engine) -> None:
        """Dreams up the sample faces and walks between two of them, once for all visitors."""
        from studio.pipelines.manifold import InvertRequest, TraverseRequest, film, traverse

        with self._first_visit_lock:
            if self._first_visit is None and self._generators():
                generator, *_ = self._generators()
                self._samples = (*dreamt_samples(engine, generator), ASTRONAUT)
                slots = [sample.slot() for sample in self._samples[:2]]
                photos, chosen = tuple(slot.photo() for slot in slots), face_choices(Table(slots), engine)
                faces = InvertRequest(photos, generator, faces=chosen, dreams=_dreams(slots))
                *_, result = traverse(engine, TraverseRequest(faces, animals=self._first_animals()))
                *_, filmed = film(engine, result)
                self._first_visit = slots, result, filmed

    def open(self, desk: Desk) -> Iterator[tuple[Any, ...]]:
        """What a visitor sees first."""
        walk = _walk(desk)
        warming = {**EMPTY, "message": "Warming up the networks…", "busy": True}
        yield self._values(self._photos.draw(desk), warming, around=self._around.open(desk))
        message = "Drop two to four photos of people, then press Make."
        try:
            self.warm_up(self._backstage.engine())
            if not self._generators():
                message = NO_GENERATOR
            self._show_first_visit(desk)
        except Exception as error:  # whatever is missing, the page still opens and says what
            message = str(error)
        stage = walk.value if walk.result else {**EMPTY, "message": message}
        samples, *_ = self._around.open(desk)  # all else of it stays as the visitor may have set it meanwhile
        yield self._values(self._photos.draw(desk), stage, self._settings(), around=(samples, *self._around.skip()[1:]))

    def _show_first_visit(self, desk: Desk) -> None:
        walk = _walk(desk)
        if self._first_visit is None or walk.slots:
            return
        slots, walk.result, walk.film = self._first_visit
        walk.slots = [replace(slot) for slot in slots]  # a choice made on one desk stays there
        request = walk.result.request
        walk.value = new_value(walk, request.invert, request)
        for index, inversion in enumerate(walk.result.inversions):
            walk.found[_key(walk.slots[index], request.invert)] = inversion
            show_found(walk, index, inversion)
        show_rows(walk)
        show_film(walk)
        words = "Two faces that never were. Drag the slider, or drop photos of your own."
        walk.value |= {"busy": False, "message": words}

    def _generators(self) -> tuple[str, ...]:
        from studio.pipelines.manifold import list_generators

        return list_generators(self._backstage.registry)

    def _animals(self) -> dict[str, str]:
        """Their names for people."""
        from studio.pipelines.parts import list_animals

        return {info.name: info.label for info in list_animals(self._backstage.registry)}

    def _first_animals(self) -> tuple[str, ...]:
        return tuple(name for name in FIRST_ANIMALS if name in self._animals())

    def _settings(self) -> tuple[Any, ...]:
        """The widgets as a visitor finds them, one value per widget."""
        choices = [(label, name) for name, label in self._animals().items()]
        generators = [(_GENERATORS[name], name) for name in self._generators()]
        return (
            gr.CheckboxGroup(choices=choices, value=list(self._first_animals())),
            *(gr.skip(),) * 4,
            gr.Radio(choices=generators, value=generators[0][1] if generators else None, visible=len(generators) > 1),
            gr.skip(),
        )

    def _values(
        self,
        source: Any = None,
        stage: Any = None,
        settings: tuple[Any, ...] | None = None,
        problem: Any = "",
        switch: Any = None,
        around: tuple[Any, ...] | None = None,
    ) -> tuple[Any, ...]:
        """One value per output; None leaves it as it is."""
        skip = gr.skip()
        walk = source or skip, stage or skip, *(settings or (skip,) * 7), problem
        return *walk, switch or skip, *(around or self._around.skip())

    # -- the source -----------------------------------------------------------------------------------------------------

    def _add_photos(self, desk: Desk, paths: list[str] | None) -> Iterator[tuple[Any, ...]]:
        """Adds what arrived; a walk made here restores its settings instead."""
        walk = _walk(desk)
        restored, refused = self._photos.open_files(desk, paths)
        if restored is not None:
            yield desk, *next(self.restore(desk, restored))
            return
        said = note(refused, error=bool(refused))
        if walk.expected and not refused:
            said = self._photos.expected_words(desk, Recipe(tab=self.id, verb="traverse", inputs=walk.expected))
        yield desk, *self._values(self._photos.draw(desk, said))
        yield desk, *self._values(self._photos.draw(desk, self._photos.find_all(desk) or said))

    def take(self, desk: Desk, sent: Parcel) -> Iterator[tuple[Any, ...]]:
        """A kept face joins those that are here."""
        slot = sent_slot(sent)
        self._photos.add(desk, slot)
        more = "press Make." if len(_walk(desk).slots) > 1 else "add another one to walk to."
        yield self._values(self._photos.draw(desk, note(f"{slot.name} is here: {more}")), switch=WALK)
        if trouble := self._photos.find_all(desk):
            yield self._values(self._photos.draw(desk, trouble))

    def restore(self, desk: Desk, recipe: Recipe) -> Iterator[tuple[Any, ...]]:
        """Everything as the recipe says."""
        from studio.pipelines.manifold import dreams_of

        if recipe.verb == VERB:
            yield self._values(switch=AROUND, around=self._around.restore(desk, recipe))
            return
        walk = _walk(desk)
        try:
            dreams = dreams_of(recipe)
            missing = self._photos.restore(desk, recipe)
        except ValueError as error:
            yield self._values(self._photos.draw(desk, note(str(error), True)))
            return
        if not missing:
            for slot, dreamt in zip(walk.slots, dreams or (None,) * len(walk.slots), strict=False):
                slot.recipe = dreamt
        desk.wanted, walk.place = recipe, place_of(recipe)
        trouble = missing_networks(self._backstage, recipe)
        said = note(f"The settings are restored. {then(missing)} {trouble}".strip(), bool(trouble))
        yield self._values(self._photos.draw(desk, said), None, self._restored(recipe), switch=WALK)

    def _restored(self, recipe: Recipe) -> tuple[Any, ...]:
        """The widgets as a recipe has them; what no widget can show stays as it is."""
        asked, known = recipe.parameters, self._animals()
        named = asked.get("animals", [])
        animals = [name for name in named if name in known] if isinstance(named, list) else []
        return (
            animals,
            _bounded(asked.get("frames"), FEWEST, MOST),
            _bounded(asked.get("strength"), 0, MAX_STRENGTH),
            asked.get("loop") is True,
            asked["path"] if asked.get("path") in tuple(PATHS) else gr.skip(),
            asked["generator"] if asked.get("generator") in self._generators() else gr.skip(),
            _bounded(asked.get("steps"), 0, MAX_STEPS),
        )

    @staticmethod
    def describe(recipe: Recipe) -> list[list[str]]:
        """The recipe's settings for people."""
        return describe_neighbours(recipe) if recipe.verb == VERB else describe(recipe)

    @staticmethod
    def before(recipe: Recipe, photo: Photo) -> np.ndarray:
        """The photo as what was found is compared with it, uint8 (H, W, 3)."""
        return head_of(recipe, photo)

    # -- making ---------------------------------------------------------------------------------------------------------

    def _make(self, desk: Desk, *given: Any) -> Iterator[tuple[Any, ...]]:
        """Finds the faces, walks between them and fills in between; each thing is kept as soon as it is there."""
        walk = _walk(desk)

        def begin() -> Iterator[tuple[Any, ...]]:
            engine = self._backstage.engine()
            return self._fill(desk, engine, *self._requests(walk, engine, *given))

        yield from guarded(desk, walk, begin)

    def _requests(
        self,
        walk: Walk,
        engine: Engine,
        animals: list[str],
        frames: float,
        strength: float,
        loop: bool,
        path: str,
        generator: str | None,
        steps: float,
    ) -> tuple[InvertRequest, TraverseRequest | None]:
        """What is to be found, and the walk if there are two faces or more. Raises ``ValueError``."""
        from studio.pipelines.manifold import InvertRequest, TraverseRequest

        if not self._generators():
            raise ValueError(NO_GENERATOR)
        faces = InvertRequest(
            photos=tuple(slot.photo() for slot in walk.slots),
            generator=generator or self._generators()[0],
            steps=int(steps),
            faces=face_choices(walk, engine),
            dreams=_dreams(walk.slots),
        )
        if len(walk.slots) < 2:
            return faces, None
        chosen = tuple(name for name in self._animals() if name in animals)
        return faces, TraverseRequest(faces, int(frames), chosen, path, bool(loop), float(strength))

    def _fill(
        self, desk: Desk, engine: Engine, faces: InvertRequest, request: TraverseRequest | None
    ) -> Iterator[tuple[Any, ...]]:
        walk, run = _walk(desk), _walk(desk).begin()
        walk.value = new_value(walk, faces, request)
        yield desk, walk.value, gr.skip(), "", *buttons(busy=True)
        for part in (self._find, self._go, self._film):
            if walk.goes_on(run):
                for strip in part(desk, engine, run, faces, request):
                    if not walk.goes_on(run):
                        break
                    yield desk, walk.value, strip, "", gr.skip(), gr.skip()
        if walk.run == run:
            walk.settle(summary(walk))
            yield desk, walk.value, gr.skip(), "", *buttons(busy=False)

    def _find(self, desk: Desk, engine: Engine, run: int, faces: InvertRequest, _: Any) -> Iterator[Any]:
        """Each face that was not found before; they do not share a batch, so that one by one is the same."""
        from studio.pipelines.manifold import Inversion, Preview, invert

        walk, slots, looked = _walk(desk), list(_walk(desk).slots), 0.0
        for index, slot in enumerate(slots):
            key = _key(slot, faces)
            if key not in walk.found:
                with closing(invert(engine, _alone(faces, index))) as steps:
                    for step in steps:
                        if isinstance(step, Inversion):
                            walk.found[key] = step
                        elif not isinstance(step, Preview):
                            yield gr.skip()
                        elif time.monotonic() - looked > PREVIEW_SECONDS:
                            looked = time.monotonic()
                            show_preview(walk, index, step)
                            yield gr.skip()
            show_found(walk, index, walk.found[key])
            yield self._keep_found(desk, slot, key)
            _forget(walk)

    def _keep_found(self, desk: Desk, slot: Slot, key: Any) -> Any:
        """Keeps the photo and what was found of it, once. Returns the strip's new value."""
        walk, gallery = _walk(desk), self._backstage.gallery(desk)
        parents, inversion = keep_photo(gallery, slot), walk.found[key]
        if key in walk.kept or inversion.likeness.psnr is None:  # a dream is what it was
            return gr.skip()
        recipe = inversion.recipe.model_copy(update={"parents": parents})
        words = {"words": likeness(inversion), "study": inversion.study, "animal": "found"}
        walk.kept[key] = gallery.add(inversion.image, recipe, parents, f"{slot_name(slot)}, found", words).id
        return strip_value(self._backstage, desk)

    def _go(self, desk: Desk, engine: Engine, run: int, faces: InvertRequest, request: TraverseRequest | None) -> Iterator[Any]:
        """The walk itself, frame by frame."""
        from studio.pipelines.manifold import Cell, TraverseResult, traverse

        if request is None:
            return
        walk = _walk(desk)
        keys = [_key(slot, faces) for slot in walk.slots]
        known = tuple(replace(walk.found[key], photo_index=index) for index, key in enumerate(keys))
        with closing(traverse(engine, request, known)) as steps:
            for step in steps:
                if isinstance(step, TraverseResult):
                    walk.result = step
                    show_rows(walk)
                    yield self._keep_sheets(desk, keys)
                elif isinstance(step, Cell):
                    show_cell(walk, step.row, step.column, step.image)
                else:
                    walk.value |= progress(step)
                    yield gr.skip()

    def _keep_sheets(self, desk: Desk, keys: Sequence[Any]) -> dict[str, Any]:
        walk, gallery = _walk(desk), self._backstage.gallery(desk)
        origins = {key: slot.origin for key, slot in zip(keys, walk.slots, strict=True)}
        parents = tuple(dict.fromkeys(parent for key in keys if (parent := walk.kept.get(key) or origins[key])))
        result, title = walk.result, walk_title(walk)
        walk.result = result = replace(result, recipe=result.recipe.model_copy(update={"parents": parents}))
        words = {"words": row_words(result), "study": result.rows[0].study, "animal": "walk"}
        walk.sheet_id = gallery.add(result.sheet, result.recipe, parents, title, words).id
        if result.array_sheet is not None:
            recipe = result.recipe.model_copy(update={"parameters": {**result.recipe.parameters, "sheet": "array"}})
            gallery.add(result.array_sheet, recipe, parents, f"{title}, all between", words)
        return strip_value(self._backstage, desk)

    def _film(self, desk: Desk, engine: Engine, run: int, faces: Any, request: Any) -> Iterator[Any]:
        """The small steps that the slider and the films show."""
        from studio.pipelines.manifold import film

        walk = _walk(desk)
        if walk.result is not None:
            yield from follow_film(walk, film(engine, walk.result), show_film)

    # -- keeping and taking away ----------------------------------------------------------------------------------------

    def _picture(self, walk: Walk, event: gr.EventData) -> tuple[np.ndarray, Recipe, str]:
        """The picture that an event names by its step and row, or by its point of the array. Raises ``LookupError``."""
        from studio.pipelines.manifold import frame_recipe, point_picture, point_recipe

        result, step, point = walk.result, event_value(event, "step"), point_in(event_value(event, "point"))
        if result is None:
            raise LookupError
        row = _index(event_value(event, "row"), len(result.rows))
        animal = f" as {result.rows[row].label}" if row else ""
        if point and result.array is not None:
            image = point_picture(self._backstage.engine(), result, **point, row=row)
            return image, point_recipe(result, **point, row=row), f"{walk_title(walk)}{animal}, {point_words(point)}"
        if walk.film is None:
            raise LookupError
        step = _index(step, len(walk.film.rows[row]))
        return walk.film.rows[row][step], frame_recipe(result, step, row), f"{walk_title(walk)}{animal}, step {step + 1}"

    def _look(self, desk: Desk, event: gr.EventData) -> dict[str, str]:
        """The very picture of a point of the square; the browser asks for the next one when this one is there."""
        named = event_value(event, "name")
        answer = {"name": named[:LONGEST_NAME] if isinstance(named, str) else "", "src": ""}
        try:
            answer["src"] = inline(self._picture(_walk(desk), event)[0])
        except (LookupError, CheckpointError, RuntimeError) as error:  # the next walk says what is wrong
            log.warning("A point could not be shown: %s", error)
        return answer

    def _keep_picture(self, desk: Desk, event: gr.EventData) -> tuple[Desk, Any, Any]:
        """Keeps one picture of the walk in the gallery."""
        walk = _walk(desk)
        try:
            image, recipe, title = self._picture(walk, event)
            parents = (walk.sheet_id,) if walk.sheet_id else ()
            recipe = recipe.model_copy(update={"parents": parents})
            self._backstage.gallery(desk).add(image, recipe, parents, title)
        except (GalleryError, CheckpointError, RuntimeError, LookupError) as error:
            words = "Make the walk first, then keep its pictures." if isinstance(error, LookupError) else str(error)
            return desk, gr.skip(), parcel(desk, note=note(words, True))
        return desk, strip_value(self._backstage, desk), parcel(desk, note=note(f"{title} is kept."))

    def _export(self, desk: Desk, event: gr.EventData) -> tuple[Desk, dict[str, Any]]:
        """A sheet, one picture or a film, as a file to save; ``bare`` leaves out how it was made."""
        walk, what = _walk(desk), str(event_value(event, "what"))
        try:
            data, name = self._file(walk, what, event)
        except LookupError:
            return desk, parcel(desk, note=note("That is not here any more: make the walk again.", True))
        return desk, download(desk, event, data, name)

    def _file(self, walk: Walk, what: str, event: gr.EventData) -> tuple[bytes, str]:
        from studio.core.video import FORMATS
        from studio.pipelines.manifold import film_data

        result = walk.result
        if result is None:
            raise LookupError
        if what in FORMATS:
            if walk.film is None:
                raise LookupError
            if what not in walk.films:
                walk.films[what] = film_data(walk.film, what)
            return walk.films[what], f"{walk_title(walk)}.{what}"
        if what == "sheet":
            return to_png(result.sheet, result.recipe), f"{walk_title(walk)}.png"
        if what == "array" and result.array_sheet is not None:
            return to_png(result.array_sheet, result.recipe), f"{walk_title(walk)}, all between.png"
        image, recipe, title = self._picture(walk, event)
        return to_png(image, recipe), f"{title}.png"


_GENERATORS = {"flagship": "StyleGAN, step by step", "began": "BEGAN, at once"}


def _walk(desk: Desk) -> Walk:
    return desk.tables.setdefault("manifold", Walk())


def _dreams(slots: Sequence[Slot]) -> tuple[Recipe | None, ...]:
    """Of each face the recipe of the dream that it is, or None."""
    return tuple(slot.recipe if slot.recipe and slot.recipe.verb == "dream" else None for slot in slots)


def _key(slot: Slot, faces: InvertRequest) -> Any:
    """What decides what is found of a photo."""
    dreamt = slot.recipe.to_json() if slot.recipe and slot.recipe.verb == "dream" else ""
    return slot.sha256, eyes_of(slot), faces.generator, faces.steps, dreamt


def _care(generator: str | None) -> Any:
    """BEGAN's encoder finds a face without steps."""
    return gr.Slider(visible=generator != "began")


def _alone(faces: InvertRequest, index: int) -> InvertRequest:
    return replace(faces, photos=(faces.photos[index],), faces=(faces.faces[index],), dreams=(faces.dreams[index],))


def _forget(walk: Walk) -> None:
    """Lets go of the faces that were found first."""
    while len(walk.found) > REMEMBERED:
        del walk.found[next(iter(walk.found))]


def _bounded(value: Any, low: float, high: float) -> Any:
    """A number for a slider; anything else leaves it as it is."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return min(max(value, low), high) if is_number else gr.skip()


def _index(value: Any, count: int) -> int:
    """A place in a list that the browser names. Raises ``LookupError``."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < count:
        raise LookupError
    return value


