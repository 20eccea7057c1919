"""The Morph tab's part for two photos: the way from one to the other, as a strip and as a film."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import gradio as gr
import numpy as np

from studio.core.gallery import GalleryError
from studio.core.images import to_png
from studio.core.recipe import Recipe
from studio.ui.delivery import missing_networks
from studio.ui.parts import QUIET, action_row, buttons, drawn, event_value, guarded, note, progress, stopping
from studio.ui.session import Backstage, Desk
from studio.ui.source import PhotoSource, Sample, face_choices, keep_photo, then
from studio.ui.strip import download, parcel, strip_value
from studio.ui.tabs.between_canvas import INVITATION, Way, show_end, show_film, show_preview, show_result, start, title_of
from studio.ui.tabs.manifold_canvas import follow_film
from studio.ui.tabs.morph_canvas import (
    MAX_CARE,
    NO_NETWORKS,
    domain_radio,
    domains,
    engine_with_domains,
    has_faces,
    subject_of,
    take_middle,
    told,
)

if TYPE_CHECKING:
    from studio.core.engine import Engine
    from studio.pipelines.morph import MorphRequest
    from studio.ui.shell import Shell

# The studio's pipelines are imported inside functions: torch comes with them, and the page must answer before that.

FRAMES, FEWEST, MOST, CARE = 9, 5, 25, 30
MAKING = 6  # outputs of making
PREVIEW_SECONDS = 0.15  # between two looks at a photo that is being found
GONE = "That is not here any more: make the morph again."


@dataclass(frozen=True)
class Controls:
    """The widgets, in the order in which handlers take them."""

    domain: gr.Radio
    frames: gr.Slider
    care: gr.Slider

    def all(self) -> list[Any]:
        return [self.domain, self.frames, self.care]


class Between:
    """The part of the Morph tab that goes from one photo to another. ``samples`` are photos to begin with."""

    name = "between"
    verbs = ("morph",)

    def __init__(self, backstage: Backstage, samples: Callable[[], tuple[Sample, ...]], restores: Callable[[Recipe], bool]):
        self._backstage, self._samples = backstage, samples
        self.photos = PhotoSource(
            backstage, _way, samples, 2, mixes=True, restores=restores, subject=lambda desk: subject_of(_way(desk).domain)
        )

    # -- the page -------------------------------------------------------------------------------------------------------

    def build(self, shell: Shell) -> None:
        """Lays it out inside the tab's pane and connects it."""
        with gr.Column(elem_classes=["side", "in-between"]):
            source, self.upload = self.photos.build("between-source")
            domain = gr.Radio([], label="What", elem_id="between-domain", elem_classes=["chips", "titled"])
            frames = gr.Slider(
                FEWEST, MOST, FRAMES, step=1, label="Frames", info="from the first photo to the second", elem_id="between-frames",
                elem_classes="dial", buttons=["reset"],
            )  # fmt: skip
            with gr.Accordion("More", open=False, elem_classes="more"):
                care = gr.Slider(
                    0, MAX_CARE, CARE, step=5, label="Care", info="steps with which a photo is found; 0 is a first guess",
                    elem_id="between-care", elem_classes="dial", buttons=["reset"],
                )  # fmt: skip
            problem, make, stop = action_row("between")
        with gr.Column(elem_classes=["canvas", "in-between"]):
            stage = drawn("walk", "between", "export", "keep")
        self.controls = Controls(domain, frames, care)
        self.outputs = [source, stage, *self.controls.all(), problem]
        self.making = [shell.desk, stage, shell.strip, problem, make, stop]
        desk, running = shell.desk, {"show_progress": "hidden", "api_visibility": "private"}
        self.photos.connect(desk, source)
        domain.input(self._turn, [desk, domain], [desk, source], **QUIET)
        asked = [make.click, frames.release]
        gr.on(asked, self.make, [desk, *self.controls.all()], self.making, trigger_mode="always_last", **running)
        stop.click(stopping(_way), [desk], [desk, stop], **QUIET)
        stage.export(self._export, [desk], [desk, shell.courier], **running)
        stage.keep(self._keep_picture, [desk], [desk, shell.strip, shell.courier], **QUIET)

    def open(self, desk: Desk) -> tuple[Any, ...]:
        """What a visitor finds, one value per output."""
        there, way = domains(self._backstage), _way(desk)
        if not there:
            way.value = {**way.value, "message": NO_NETWORKS}
        elif way.domain not in there:
            way.turn(there[0])
        return self.photos.draw(desk), way.value, domain_radio(there, way.domain), *(gr.skip(),) * 2, ""

    def show_first_visit(self, desk: Desk) -> None:
        """Two samples, which whoever turns here sees morphed at once."""
        way = _way(desk)
        if not way.slots and not way.run and len(self._samples()) > 2:
            way.slots = [sample.slot() for sample in self._samples()[:2]]
            self.photos.find_all(desk)
            way.samples = [slot.id for slot in way.slots]

    def skip(self) -> tuple[Any, ...]:
        """All outputs as they are."""
        return (gr.skip(),) * len(self.outputs)

    def turn_to(self, desk: Desk) -> tuple[Any, ...]:
        """The visitor comes here; one value per output."""
        return (self.photos.draw(desk), _way(desk).value, *self.skip()[2:])

    def _turn(self, desk: Desk, domain: str) -> tuple[Desk, dict[str, Any]]:
        """Photos of something else are asked for."""
        if domain in domains(self._backstage):
            _way(desk).turn(domain)
        return desk, self.photos.draw(desk)

    # -- what arrives ---------------------------------------------------------------------------------------------------

    def arrived(self, desk: Desk, said: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
        """Photos were added, one value per output."""
        way = _way(desk)
        if way.expected and not said["error"]:
            said = self.photos.expected_words(desk, Recipe(tab="morph", verb="morph", inputs=way.expected))
        if not has_faces(way.domain):
            take_middle(way)
        yield self.photos.draw(desk, said), *self.skip()[1:]
        yield self.photos.draw(desk, self.photos.find_all(desk) or said), *self.skip()[1:]

    def restore(self, desk: Desk, recipe: Recipe) -> tuple[Any, ...]:
        """Everything as the recipe says, one value per output; Make then gives the same pixels."""
        asked, way = recipe.parameters, _way(desk)
        if asked.get("domain") in domains(self._backstage):
            way.turn(asked["domain"])
        try:
            missing = self.photos.restore(desk, recipe)
        except ValueError as error:
            return (self.photos.draw(desk, note(str(error), True)), *self.skip()[1:])
        desk.wanted, way.place = recipe, asked["step"] if type(asked.get("step")) is int else None
        trouble = missing_networks(self._backstage, recipe)
        said = note(f"The settings are restored. {then(missing)} {trouble}".strip(), bool(trouble))
        frames, care = _bounded(asked.get("frames"), FEWEST, MOST), _bounded(asked.get("steps"), 0, MAX_CARE)
        return self.photos.draw(desk, said), gr.skip(), way.domain, frames, care, ""

    # -- making ---------------------------------------------------------------------------------------------------------

    def first(self, desk: Desk, *given: Any) -> Iterator[tuple[Any, ...]]:
        """Whoever comes here for the first time sees the samples morphed, unless something else was put in their place."""
        way = _way(desk)
        if not way.run and way.slots and way.samples == [slot.id for slot in way.slots]:
            yield from self.make(desk, *given)
        else:
            yield self.nothing()

    @staticmethod
    def nothing() -> tuple[Any, ...]:
        """All outputs of making as they are."""
        return (gr.skip(),) * MAKING

    def make(self, desk: Desk, *given: Any) -> Iterator[tuple[Any, ...]]:
        """Finds both photos, goes from one to the other and fills in between; the strip is kept."""
        way = _way(desk)

        def begin() -> Iterator[tuple[Any, ...]]:
            engine = engine_with_domains(self._backstage)
            return self._fill(desk, engine, self._request(way, engine, *given))

        yield from guarded(desk, way, begin)

    @staticmethod
    def _request(way: Way, engine: Engine, domain: str | None, frames: float, care: float) -> MorphRequest:
        """The widgets as a request. Raises ``ValueError``."""
        from studio.pipelines.morph import MorphRequest

        if domain is not None:
            way.turn(domain)
        if len(way.slots) < 2:
            raise ValueError(INVITATION)
        faces = face_choices(way, engine) if has_faces(way.domain) else ()
        photos = tuple(slot.photo() for slot in way.slots)
        return MorphRequest(photos, way.domain, int(frames), int(care), faces)

    def _fill(self, desk: Desk, engine: Engine, request: MorphRequest) -> Iterator[tuple[Any, ...]]:
        way = _way(desk)
        run = way.begin()
        start(way, request)
        yield desk, way.value, gr.skip(), "", *buttons(busy=True)
        for part in (self._go, self._film):
            for strip in part(desk, engine, request):
                if not way.goes_on(run):
                    break
                yield desk, way.value, strip, "", gr.skip(), gr.skip()
        if way.run == run:
            ready = way.result is not None and not way.stopped
            way.settle(f"{title_of(way)}. Drag the slider, or play it." if ready else "Stopped; what was made is kept.")
            yield desk, way.value, gr.skip(), "", *buttons(busy=False)

    def _go(self, desk: Desk, engine: Engine, request: MorphRequest) -> Iterator[Any]:
        """Both ends and the strip; what the strip shows after each step."""
        from studio.pipelines.conditioned import Found, networks_of
        from studio.pipelines.manifold import Preview
        from studio.pipelines.morph import MorphResult, morph
        from studio.pipelines.parts import Progress

        way, ends, looked, study = _way(desk), 0, 0.0, networks_of(engine, request.domain).study
        with closing(morph(engine, request)) as steps:
            for step in steps:
                if isinstance(step, MorphResult):
                    way.result = step
                    show_result(way)
                    yield self._keep_sheet(desk)
                elif isinstance(step, Found):
                    show_end(way, ends, step, study)
                    ends += 1
                    yield gr.skip()
                elif isinstance(step, Preview):
                    if time.monotonic() - looked > PREVIEW_SECONDS:
                        looked = time.monotonic()
                        show_preview(way, step)
                        way.value |= progress(step)
                        yield gr.skip()
                elif isinstance(step, Progress):
                    way.value |= progress(step)
                    yield gr.skip()

    def _film(self, desk: Desk, engine: Engine, _: Any) -> Iterator[Any]:
        """The small steps that the slider and the films show."""
        from studio.pipelines.morph import film

        way = _way(desk)
        if way.result is not None:
            yield from follow_film(way, film(engine, way.result), show_film)

    def _keep_sheet(self, desk: Desk) -> dict[str, Any]:
        """Keeps the photos and the strip. Returns the gallery strip's new value."""
        way, gallery = _way(desk), self._backstage.gallery(desk)
        parents = tuple(dict.fromkeys(parent for slot in way.slots for parent in keep_photo(gallery, slot)))
        way.result = result = replace(way.result, recipe=way.result.recipe.model_copy(update={"parents": parents}))
        words = {"words": [told(text) for text in result.words], "study": result.study, "animal": "morph"}
        way.sheet_id = gallery.add(result.sheet, result.recipe, parents, title_of(way), words).id
        return strip_value(self._backstage, desk)

    # -- keeping and taking away ----------------------------------------------------------------------------------------

    @staticmethod
    def _picture(way: Way, event: gr.EventData) -> tuple[np.ndarray, Recipe, str]:
        """The picture that an event names by its step. Raises ``LookupError``."""
        from studio.pipelines.morph import frame_recipe

        step = event_value(event, "step")
        if way.result is None or way.film is None or type(step) is not int or not 0 <= step < len(way.film.rows[0]):
            raise LookupError
        return way.film.rows[0][step], frame_recipe(way.result, step), f"{title_of(way)}, step {step + 1}"

    def _keep_picture(self, desk: Desk, event: gr.EventData) -> tuple[Desk, Any, Any]:
        """Keeps one picture of the way in the gallery."""
        way = _way(desk)
        try:
            image, recipe, title = self._picture(way, event)
            parents = (way.sheet_id,) if way.sheet_id else ()
            self._backstage.gallery(desk).add(image, recipe.model_copy(update={"parents": parents}), parents, title)
        except (GalleryError, LookupError) as error:
            return desk, gr.skip(), parcel(desk, note=note(str(error) or GONE, True))
        return desk, strip_value(self._backstage, desk), parcel(desk, note=note(f"{title} is kept."))

    def _export(self, desk: Desk, event: gr.EventData) -> tuple[Desk, dict[str, Any]]:
        """The strip, one picture or a film, as a file to save; ``bare`` leaves out how it was made."""
        try:
            data, name = self._file(_way(desk), str(event_value(event, "what")), event)
        except LookupError:
            return desk, parcel(desk, note=note(GONE, True))
        return desk, download(desk, event, data, name)

    def _file(self, way: Way, what: str, event: gr.EventData) -> tuple[bytes, str]:
        from studio.core.video import FORMATS
        from studio.pipelines.manifold import film_data

        if what == "sheet" and way.result is not None:
            return to_png(way.result.sheet, way.result.recipe), f"{title_of(way)}.png"
        if what in FORMATS and way.film is not None:
            if what not in way.films:
                way.films[what] = film_data(way.film, what)
            return way.films[what], f"{title_of(way)}.{what}"
        image, recipe, title = self._picture(way, event)
        return to_png(image, recipe), f"{title}.png"


def _way(desk: Desk) -> Way:
    return desk.tables.setdefault("between", Way())


def _bounded(value: Any, low: int, high: int) -> Any:
    """A number for a slider; anything else leaves it as it is."""
    return min(max(value, low), high) if type(value) is int else gr.skip()
