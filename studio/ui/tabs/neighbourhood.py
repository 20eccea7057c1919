"""The Manifold tab's other half: a point on the map of a code bank, what lies around it, and new points one can move to."""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import gradio as gr

from studio.core.checkpoints import CheckpointError
from studio.core.gallery import GalleryError
from studio.core.images import to_png
from studio.core.recipe import Recipe
from studio.ui.delivery import missing_networks
from studio.ui.parts import (
    QUIET,
    action_row,
    buttons,
    drawn,
    event_value,
    note,
    note_text,
    problem_text,
    progress,
    seed_row,
    stopping,
)
from studio.ui.session import Backstage, Desk
from studio.ui.source import PEOPLE, PhotoSource, Sample, face_choices
from studio.ui.strip import download, parcel, strip_value
from studio.ui.tabs.neighbourhood_canvas import EMPTY_AROUND, Room, Stay, dots_value, draw, remarks

if TYPE_CHECKING:
    from studio.core.engine import Engine
    from studio.pipelines.neighbourhood import Map, NeighboursRequest, Place
    from studio.ui.shell import Shell

log = logging.getLogger(__name__)

# studio.pipelines.neighbourhood is imported inside functions: torch comes with it, and the page must answer before that.

VERB = "neighbours"
DOMAINS = {"face": "Faces", "flower": "Flowers", "bird": "Birds"}
WAYS = [("Mix neighbours", "convex"), ("Draw from the density", "density")]
K, MOST_K, MAX_SPREAD = 5, 16, 2.0
BANDWIDTH, SHARPEST, BROADEST = 0.25, 0.02, 1.5
MAKING, OUTPUTS, SETTINGS = 7, 9, 6  # how many outputs making and opening have, and how many the widgets are
SETTLED = "Click a picture or the map to go there; star what you want to keep."
NO_BANK = "There is no bank of codes here yet to look around in: pull one, then start the studio again."


@dataclass(frozen=True)
class Controls:
    """The widgets, in the order in which handlers take them."""

    domain: gr.Radio
    way: gr.Radio
    k: gr.Slider
    spread: gr.Slider
    bandwidth: gr.Slider
    seed: gr.Number

    def all(self) -> list[Any]:
        return [self.domain, self.way, self.k, self.spread, self.bandwidth, self.seed]


class Neighbourhood:
    """The part of the Manifold tab that looks around one point. ``samples`` are faces to begin with."""

    def __init__(self, backstage: Backstage, samples: Callable[[], tuple[Sample, ...]]):
        self._backstage = backstage
        self._photos = PhotoSource(backstage, _room, samples, 1, restores=lambda recipe: recipe.verb == VERB, subject=_subject)
        self._maps: dict[tuple[str, str], Map] = {}
        self._drawing: set[str] = set()
        self._maps_lock = threading.Lock()

    # -- the page -------------------------------------------------------------------------------------------------------

    def build(self, shell: Shell) -> None:
        """Lays it out inside the tab's pane and connects it."""
        with gr.Column(elem_classes=["side", "in-around"]):
            source, upload = self._photos.build("around-source")
            controls = self._build_controls()
            problem, make, stop = action_row("around")
        with gr.Column(elem_classes=["canvas", "in-around"]):
            stage = drawn("around", "around", "go", "back", "maps", "keep", "export")
            dots = drawn("dots", "around-dots")
        self.controls = controls
        self.outputs = [source, stage, *controls.all(), problem]
        self.making = [shell.desk, stage, dots, shell.strip, problem, make, stop]
        desk, running = shell.desk, {"show_progress": "hidden", "api_visibility": "private"}
        upload.upload(self._add_photos, [desk, upload, controls.domain], [desk, *self.outputs], **running)
        self._photos.connect(desk, source)
        latest: dict[str, Any] = {**running, "trigger_mode": "always_last"}
        gr.on([make.click, controls.domain.input], self.make, [desk, *controls.all()], self.making, **latest)
        turned = [controls.k.release, controls.spread.release, controls.bandwidth.release, controls.way.input]
        gr.on(turned, self._turn, [desk, *controls.all()], self.making, **latest)
        controls.domain.change(self._show_source, [desk, controls.domain], [desk, source], **QUIET)
        controls.way.change(_dials, [controls.way], [controls.k, controls.spread, controls.bandwidth], **QUIET)
        stage.go(self._go, [desk, *controls.all()], self.making, **latest)
        stage.back(self._back, [desk], [*self.making, *self.outputs[2:-1]], **QUIET)
        stage.maps(self._show_map, [desk], [stage, dots], **QUIET)
        stage.keep(self._keep, [desk], [desk, stage, shell.strip, shell.courier], **QUIET)
        stage.export(self._export, [desk], [desk, shell.courier], **QUIET)
        stop.click(stopping(_room), [desk], [desk, stop], **QUIET)

    def _build_controls(self) -> Controls:
        domain = gr.Radio([], label="What", elem_id="around-domain", elem_classes=["chips", "titled"])
        way = gr.Radio(WAYS, value="convex", label="New ones", elem_id="around-way", elem_classes=["chips", "titled"])
        dial: dict[str, Any] = {"elem_classes": "dial", "buttons": ["reset"]}
        k = gr.Slider(1, MOST_K, K, step=1, label="Mixed", info="k neighbours make a new one", elem_id="around-k", **dial)
        spread = gr.Slider(
            0, MAX_SPREAD, 1.0, step=0.05, label="Spread", info="0 stays here, 1 is the paper's, 2 leaves the neighbourhood",
            elem_id="around-spread", **dial,
        )  # fmt: skip
        bandwidth = gr.Slider(
            SHARPEST, BROADEST, BANDWIDTH, step=0.01, label="Imagination", visible=False, elem_id="around-bandwidth",
            info="h, the width of the kernels: little of it remembers, much of it makes things up", **dial,
        )  # fmt: skip
        seed, _ = seed_row("around")
        return Controls(domain, way, k, spread, bandwidth, seed)

    def open(self, desk: Desk) -> tuple[Any, ...]:
        """What a visitor finds, one value per output."""
        there = self._domains()
        choices = [(DOMAINS.get(name, name.capitalize()), name) for name in there]
        radio = gr.Radio(choices=choices, value=there[0] if there else None, visible=len(there) > 1)
        stage = gr.skip() if there else {**EMPTY_AROUND, "message": NO_BANK}
        return self._photos.draw(desk), stage, radio, *(gr.skip(),) * (SETTINGS - 1), ""

    @staticmethod
    def skip() -> tuple[Any, ...]:
        """All outputs as they are."""
        return (gr.skip(),) * OUTPUTS

    @staticmethod
    def nothing() -> tuple[Any, ...]:
        """All outputs of making as they are."""
        return (gr.skip(),) * MAKING

    def _domains(self) -> list[str]:
        from studio.pipelines.neighbourhood import list_domains

        there = list_domains(self._backstage.registry)
        return sorted(there, key=lambda name: (list(DOMAINS).index(name) if name in DOMAINS else len(DOMAINS), name))

    # -- where to begin -------------------------------------------------------------------------------------------------

    def _add_photos(self, desk: Desk, paths: list[str] | None, domain: str | None) -> Iterator[tuple[Any, ...]]:
        """The photo to begin at; a picture of a neighbourhood restores its settings instead."""
        _room(desk).turn(domain or "face")
        restored, refused = self._photos.open_files(desk, paths)
        if restored is not None:
            yield desk, *self.restore(desk, restored)
            return
        words = note(refused or "Make leads to it.", error=bool(refused))
        if domain != "face":
            for slot in _room(desk).slots:
                slot.choice = "centre" if slot.choice is None else slot.choice
        yield desk, self._photos.draw(desk, words), *self.skip()[1:]
        yield desk, self._photos.draw(desk, self._photos.find_all(desk) or words), *self.skip()[1:]

    def _show_source(self, desk: Desk, domain: str) -> tuple[Desk, dict[str, Any]]:
        """What photos are asked for, and the one that was given of this domain."""
        if domain in self._domains():
            _room(desk).turn(domain)
        return desk, self._photos.draw(desk)

    def restore(self, desk: Desk, recipe: Recipe) -> tuple[Any, ...]:
        """Everything as the recipe says, one value per output; Make then gives the same pixels."""
        from studio.pipelines.neighbourhood import request_from_recipe

        room = _room(desk)
        try:
            request = request_from_recipe(recipe)
        except ValueError as error:
            return (*self.skip()[:-1], problem_text(str(error)))
        if request.domain not in self._domains():
            return (*self.skip()[:-1], problem_text(f"There is no bank of {request.domain}s in this studio yet: pull it."))
        room.turn(request.domain)
        desk.wanted, room.wanted, room.slots = recipe, request, []
        trouble = missing_networks(self._backstage, recipe)
        words = problem_text(trouble) if trouble else note_text("The settings are restored: press Make to make it again.")
        return self._photos.draw(desk), gr.skip(), *_widgets(request), words

    # -- making ---------------------------------------------------------------------------------------------------------

    def first(self, desk: Desk, *given: Any) -> Iterator[tuple[Any, ...]]:
        """Whoever comes here for the first time sees something at once."""
        room = _room(desk)
        if room.trail or room.wanted or not self._domains():
            yield self.nothing()
        else:
            yield from self.make(desk, *given)

    def make(self, desk: Desk, *given: Any) -> Iterator[tuple[Any, ...]]:
        """Goes to where the photo or the seed leads; or, if one is there, draws anew around the point that is shown."""

        def start(engine: Engine) -> Iterator[tuple[Any, ...]]:
            room, asked = _room(desk), _request(*given)
            room.turn(asked.domain)
            beginning, wanted = self._beginning(room, asked), room.wanted
            if wanted and (wanted.domain, wanted.seed) == (asked.domain, asked.seed) and not room.slots:
                room.begun, room.wanted = beginning, None
                asked = replace(asked, code=wanted.code, count=wanted.count)
                return self._fill(desk, engine, Stay(asked, f"seed {asked.seed}"), enter=True)
            if room.here and room.begun == beginning:
                request = replace(asked, code=room.here.request.code, seed=room.here.request.seed + 1)
                return self._fill(desk, engine, Stay(request, room.here.label), enter=True)
            label = f"seed {asked.seed}"
            if room.slots:
                asked, label = replace(asked, code=self._found(room, engine, asked.domain)), room.slots[0].name
            room.begun, room.wanted = beginning, None
            return self._fill(desk, engine, Stay(asked, label), enter=True)

        yield from self._guarded(desk, start)

    @staticmethod
    def _beginning(room: Room, asked: NeighboursRequest) -> Any:
        """What decides where a way begins."""
        photo = [(slot.sha256, slot.choice) for slot in room.slots]
        return asked.domain, photo or asked.seed

    def _found(self, room: Room, engine: Engine, domain: str) -> tuple[float, ...]:
        """The code of the photo."""
        from studio.pipelines.neighbourhood import find_place

        slot, choice = room.slots[0], None
        if domain == "face":
            (choice,) = face_choices(room, engine)
        return tuple(map(float, find_place(engine, domain, slot.photo(), choice)))

    def _turn(self, desk: Desk, *given: Any) -> Iterator[tuple[Any, ...]]:
        """A dial was turned: the same draws around the same point with it."""
        stay = _room(desk).here
        asked = stay and replace(_request(*given), domain=stay.request.domain, code=stay.request.code, seed=stay.request.seed)
        if stay is None or asked == stay.request or _room(desk).wanted:
            yield self.nothing()
            return
        yield from self._guarded(desk, lambda engine: self._fill(desk, engine, Stay(asked, stay.label), enter=False))

    def _go(
        self,
        desk: Desk,
        domain: str | None,
        way: str,
        k: float,
        spread: float,
        bandwidth: float,
        seed: float | None,
        event: gr.EventData,
    ) -> Iterator[tuple[Any, ...]]:
        """To the picture or to the dot of the map that the event names."""
        stay = _room(desk).here

        def start(engine: Engine) -> Iterator[tuple[Any, ...]]:
            place = stay and self._pointed_at(stay, engine, event)
            if stay is None or place is None:
                return iter([self.nothing()])
            here = {"domain": stay.request.domain, "seed": stay.request.seed, "code": tuple(map(float, place.code))}
            request = replace(_request(domain, way, k, spread, bandwidth, seed), **here)
            return self._fill(desk, engine, Stay(request, stay.label), enter=True)

        yield from self._guarded(desk, start)

    def _pointed_at(self, stay: Stay, engine: Engine, event: gr.EventData) -> Place | None:
        from studio.pipelines.neighbourhood import dot_place

        kind, index = _key(event)
        if kind != "dot":
            return stay.places.get((kind, index))
        drawn = self._maps.get((stay.request.domain, str(event_value(event, "map"))))
        if drawn is None or not 0 <= index < len(drawn.chosen):
            return None
        return dot_place(engine, stay.request.domain, int(drawn.chosen[index]))

    def _back(self, desk: Desk, event: gr.EventData) -> tuple[Any, ...]:
        """One step back or forward on the way, with the widgets as they were there."""
        room, by = _room(desk), event_value(event, "by")
        if by not in (-1, 1) or not 0 <= room.at + by < len(room.trail):
            return (gr.skip(),) * (MAKING + SETTINGS)
        room.begin()
        room.at += by
        room.settle(SETTLED)
        return *self._shown(desk, dots=True, end=True), *_widgets(room.here.request)

    def _guarded(self, desk: Desk, start: Callable[[Engine], Iterator[tuple[Any, ...]]]) -> Iterator[tuple[Any, ...]]:
        """Runs what ``start`` gives; an error is a sentence above the buttons, and what is on the canvas stays there."""
        room = _room(desk)
        try:
            if not self._domains():
                raise ValueError(NO_BANK)
            yield from start(self._backstage.engine())
        except (ValueError, GalleryError, CheckpointError, RuntimeError) as error:
            room.settle("Not finished." if room.busy else room.message)
            yield *self._shown(desk)[:4], problem_text(str(error)), *buttons(busy=False)

    def _fill(self, desk: Desk, engine: Engine, stay: Stay, enter: bool) -> Iterator[tuple[Any, ...]]:
        """Shows what is there picture by picture. What was shown stays until the first of them comes."""
        from studio.pipelines.neighbourhood import Place, look_around
        from studio.pipelines.parts import Progress

        steps, room = look_around(engine, stay.request), _room(desk)
        run = room.begin()
        yield *self._shown(desk)[:4], "", *buttons(busy=True)
        self._draw_maps(engine, stay.request.domain)
        with closing(steps):
            for step in steps:
                if room.stopped or room.run != run:
                    break
                if isinstance(step, Place):
                    stay.show(step)
                    if step.kind == "here":
                        self._arrive(room, stay, enter)
                elif isinstance(step, Progress):
                    room.done, room.total, room.message = step.done, step.total, progress(step)["message"]
                    yield self._shown(desk, dots=step.done == 1)
                else:
                    stay.result, stay.request = step, step.request
        if room.run == run:
            room.settle(SETTLED if stay.result else "Stopped; what was made stays.")
            yield self._shown(desk, end=True)

    @staticmethod
    def _arrive(room: Room, stay: Stay, enter: bool) -> None:
        if enter or room.here is None:
            room.enter(stay)
        else:
            room.trail[room.at] = stay

    def _shown(self, desk: Desk, dots: bool = False, end: bool = False) -> tuple[Any, ...]:
        """One value per output of making: with the first picture come the map's ``dots``, at the ``end`` the buttons."""
        room = _room(desk)
        drawn = room.here and self._maps.get((room.here.request.domain, "pca"))
        atlas = dots_value(room.here.request.domain, drawn) if dots and drawn else gr.skip()
        return desk, draw(room, self._ready(room)), atlas, gr.skip(), "", *(buttons(busy=False) if end else (gr.skip(),) * 2)

    # -- maps -----------------------------------------------------------------------------------------------------------

    def _ready(self, room: Room) -> dict[str, Map]:
        """The maps that are there for what is shown, by kind."""
        domain = room.here.request.domain if room.here else None
        return {kind: drawn for (of, kind), drawn in list(self._maps.items()) if of == domain}

    def _draw_maps(self, engine: Engine, domain: str) -> None:
        """The PCA at once, the t-SNE in the background; once for all visitors."""
        from studio.pipelines.neighbourhood import draw_map

        with self._maps_lock:
            if (domain, "pca") not in self._maps:
                self._maps[domain, "pca"] = draw_map(engine, domain)
            if domain in self._drawing:
                return
            self._drawing.add(domain)
        threading.Thread(target=self._draw_tsne, args=(engine, domain), name="t-SNE", daemon=True).start()

    def _draw_tsne(self, engine: Engine, domain: str) -> None:
        from studio.pipelines.neighbourhood import draw_map

        try:
            self._maps[domain, "tsne"] = draw_map(engine, domain, "tsne")
        except Exception:  # the other map stays, whatever is wrong
            log.exception("The t-SNE of %ss could not be drawn", domain)
            self._drawing.discard(domain)  # the next look around tries again

    def _show_map(self, desk: Desk, event: gr.EventData) -> tuple[Any, Any]:
        """The map of the kind that the event names, or that it is not ready."""
        room, kind = _room(desk), str(event_value(event, "kind"))
        drawn = self._ready(room).get(kind)
        if drawn is None:
            return gr.skip(), {"kind": kind, "pending": True, "asked": secrets.token_hex(4)}
        return draw(room, self._ready(room)), dots_value(room.here.request.domain, drawn)

    # -- keeping and taking away ----------------------------------------------------------------------------------------

    def _keep(self, desk: Desk, event: gr.EventData) -> tuple[Any, ...]:
        """Keeps the picture that the event names."""
        room, gallery = _room(desk), self._backstage.gallery(desk)
        try:
            stay, place, recipe = self._picture(room, event)
            key = place.kind, place.index
            if key not in stay.kept:
                origin = room.slots[0].origin if room.slots else ""
                parents = (origin,) if origin else ()
                recipe = recipe.model_copy(update={"parents": parents})
                study = stay.result.study
                stay.kept[key] = gallery.add(place.image, recipe, parents, stay.name(place), remarks(place, study)).id
        except GalleryError as error:
            return desk, gr.skip(), gr.skip(), parcel(desk, note=note(str(error), True))
        except LookupError:
            return desk, gr.skip(), gr.skip(), parcel(desk, note=note("Wait until all of them are there, then keep them.", True))
        said_of = parcel(desk, note=note(f"{stay.name(place)} is kept."))
        return desk, draw(room, self._ready(room)), strip_value(self._backstage, desk), said_of

    def _export(self, desk: Desk, event: gr.EventData) -> tuple[Desk, dict[str, Any]]:
        """The sheet or one picture as a file to save; ``bare`` leaves out how it was made."""
        room = _room(desk)
        try:
            if event_value(event, "what") == "sheet":
                result = room.here and room.here.result
                if not result:
                    raise LookupError
                data, name = to_png(result.sheet, result.recipe), f"{room.here.name(result.here)}.png"
            else:
                stay, place, recipe = self._picture(room, event)
                data, name = to_png(place.image, recipe), f"{stay.name(place)}.png"
        except LookupError:
            return desk, parcel(desk, note=note("That is not here any more: make it again.", True))
        return desk, download(desk, event, data, name)

    @staticmethod
    def _picture(room: Room, event: gr.EventData) -> tuple[Stay, Place, Recipe]:
        """The picture that the event names. Raises ``LookupError``."""
        from studio.pipelines.neighbourhood import place_recipe

        if room.here is None or room.here.result is None:
            raise LookupError
        place = room.here.places[_key(event)]
        return room.here, place, place_recipe(room.here.result, place)


def _room(desk: Desk) -> Room:
    return desk.tables.setdefault("around", Room())


def _subject(desk: Desk) -> str:
    """What photos are asked for."""
    domain = _room(desk).domain
    return PEOPLE if domain == "face" else f"{domain}s"


def _key(event: gr.EventData) -> tuple[str, int]:
    """Which picture the browser means; one that is nowhere if it means none."""
    kind, index = event_value(event, "kind"), event_value(event, "index")
    return (kind, index) if isinstance(kind, str) and type(index) is int else ("", -1)


def _request(
    domain: str | None, way: str, k: float, spread: float, bandwidth: float, seed: float | None
) -> NeighboursRequest:
    """The widgets as a request. Raises ``ValueError``."""
    from studio.pipelines.neighbourhood import NeighboursRequest

    if seed is None:
        raise ValueError("Give a seed: any whole number from 0 on.")
    convex = way == "convex"
    dials = {"k": int(k), "spread": float(spread)} if convex else {"bandwidth": float(bandwidth)}
    return NeighboursRequest(domain or "face", seed=int(seed), way=way, **dials)


def _widgets(request: NeighboursRequest) -> tuple[Any, ...]:
    """The widgets as a request has them; how they are in sight follows the way."""
    return request.domain, request.way, request.k, request.spread, request.bandwidth, request.seed


def _dials(way: str) -> tuple[Any, ...]:
    convex = way == "convex"
    return gr.Slider(visible=convex), gr.Slider(visible=convex), gr.Slider(visible=not convex)
