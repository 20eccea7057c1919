"""The Character tab: photos on the left, a row per person and a column per animal in the middle.

Its other source, dreams, is in ``dream.py``; a switch above both says which of them is in sight.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import gradio as gr
import numpy as np

from studio.core.checkpoints import CheckpointError
from studio.core.gallery import GalleryError
from studio.core.images import Photo, to_png
from studio.core.recipe import Recipe
from studio.ui.delivery import Offer, Parcel, missing_networks
from studio.ui.parts import (
    ASSETS,
    EMPTY_SHEET,
    action_row,
    buttons,
    capital,
    drawn,
    note,
    pretty,
    preview,
    problem_text,
    progress,
    served,
    stopping,
)
from studio.ui.session import Backstage, Desk, Slot, Table
from studio.ui.source import PhotoSource, PhotoTab, Sample, face_choices, head_of, sent_slot, source_crop, then
from studio.ui.strip import strip_value, take_away
from studio.ui.tabs import dream
from studio.ui.tabs.dream_canvas import describe

if TYPE_CHECKING:
    from studio.core.engine import Engine
    from studio.pipelines.character import AnimalInfo, CharacterRequest, Translation
    from studio.ui.shell import Shell

# studio.pipelines.character is imported inside functions: torch comes with it, and the page must answer before that.

SAMPLES = (Sample("astronaut.jpg", "Eileen Collins", ASSETS / "samples" / "astronaut.jpg"),)
MAX_STRENGTH = 1.3
MAX_PHOTOS = 24
CELL_SIDE = 512  # px, longest side of what the page shows
SOURCES = PHOTO, DREAM = "From a photo", "Dream"
NO_ANIMALS = "There are no animals yet: bring their networks here with `python -m studio pull`, then start the studio again."

_SKIP = gr.skip()


@dataclass(frozen=True)
class Controls:
    """The tab's widgets, in the order in which handlers take them."""

    animals: gr.CheckboxGroup
    strength: gr.Slider
    paste: gr.Checkbox

    def all(self) -> list[Any]:
        return [self.animals, self.strength, self.paste]


class CharacterTab(PhotoTab):
    """A photo of a person becomes animals, or a face that never was does."""

    id = "character"
    title = "Character"
    takes: ClassVar = {"photo": "Use as photo"}

    def __init__(self, backstage: Backstage):
        self._backstage = backstage
        self._dreams = dream.Dreams(backstage)
        self._photos = PhotoSource(backstage, lambda desk: desk, lambda: SAMPLES, MAX_PHOTOS)
        self._first_visit: tuple[Slot, list[Translation]] | None = None
        self._first_visit_lock = threading.Lock()

    @staticmethod
    def gives(recipe: Recipe) -> Sequence[str]:
        """A picture can be sent on, the sheet of the stages cannot."""
        return () if recipe.verb == "stages" else ("photo",)

    # -- the page -------------------------------------------------------------------------------------------------------

    def build(self, shell: Shell) -> None:
        """Lays the tab out inside its pane and connects it."""
        with gr.Column(elem_classes="mode-switch"):
            switch = gr.Radio(SOURCES, value=PHOTO, label="Source", show_label=False, container=False, elem_id="source-switch")
            self.offer = Offer(self._backstage)
        with gr.Column(elem_classes=["side", "in-photo"]):
            source, upload = self._photos.build("source")
            controls = self._build_controls()
            problem, make, stop = action_row("photo")
        with gr.Column(elem_classes=["canvas", "in-photo"]):
            stage = drawn("stage", "stage", "export")
        self._dreams.build(shell, self.offer)
        self.outputs = [source, stage, *controls.all(), problem, switch, *self._dreams.outputs]
        self._connect_source(shell.desk, source, upload)
        self._connect_making(shell, stage, make, stop, controls, problem)
        switch.input(
            self._switch, [shell.desk, switch, *self._dreams.controls.all()], self._dreams.making,
            show_progress="hidden", api_visibility="private",
        )  # fmt: skip

    def _build_controls(self) -> Controls:
        with gr.Row(elem_classes="label-row"):
            gr.HTML("<h2>Animals</h2>", apply_default_css=False)
            everything = gr.Button("All", size="sm", elem_classes="quiet-button", elem_id="all-animals")
            nothing = gr.Button("None", size="sm", elem_classes="quiet-button", elem_id="no-animals")
        animals = gr.CheckboxGroup([], show_label=False, elem_id="animals", elem_classes="chips", container=False)
        strength = gr.Slider(
            0, MAX_STRENGTH, 1.0, step=0.05, label="How far", info="0 is the photo, 1 the animal, beyond it a caricature",
            elem_id="strength", elem_classes="dial", buttons=["reset"],
        )  # fmt: skip
        with gr.Accordion("More", open=False, elem_classes="more"):
            paste = gr.Checkbox(False, label="Put it back into the photo", info="Each result takes its place in the picture")
        quiet: dict[str, Any] = {"show_progress": "hidden", "queue": False, "api_visibility": "private"}
        everything.click(lambda: [info.name for info in self._animals()], None, animals, **quiet)
        nothing.click(None, None, animals, js="() => [[]]", **quiet)  # a list of outputs
        return Controls(animals, strength, paste)

    def _connect_source(self, desk: gr.State, source: gr.HTML, upload: gr.UploadButton) -> None:
        quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
        self.added = upload.upload(self._add_photos, [desk, upload], [desk, *self.outputs], **quiet)
        self.added.then(self.offer.show, [desk], self.offer.outputs, **quiet)
        self._photos.connect(desk, source)

    def _connect_making(
        self, shell: Shell, stage: gr.HTML, make: gr.Button, stop: gr.Button, controls: Controls, problem: gr.HTML
    ) -> None:
        outputs = [shell.desk, stage, shell.strip, problem, make, stop]
        made = gr.on(
            [make.click, controls.strength.release], self._make, [shell.desk, *controls.all()], outputs,
            show_progress="hidden", trigger_mode="always_last", api_visibility="private",
        )  # fmt: skip
        quiet: dict[str, Any] = {"show_progress": "hidden", "queue": False, "api_visibility": "private"}
        made.then(self.offer.show, [shell.desk], self.offer.outputs, **quiet)  # making pulls what it lacks by itself
        stop.click(stopping(lambda desk: desk), [shell.desk], [shell.desk, stop], **quiet)
        stage.export(self._export, [shell.desk], [shell.desk, shell.courier], **quiet)

    # -- the first visit ------------------------------------------------------------------------------------------------

    def warm_up(self, engine: Engine) -> None:
        """Makes what a first visit shows, with the real networks, once for all visitors."""
        from studio.pipelines.character import CharacterRequest, Translation, translate

        with self._first_visit_lock:
            if self._first_visit is None and self._animals():
                slot = SAMPLES[0].slot()
                request = CharacterRequest((slot.photo(),), faces=face_choices(Table([slot]), engine))
                cells = [step for step in translate(engine, request) if isinstance(step, Translation)]
                self._first_visit = slot, cells

    def open(self, desk: Desk) -> Iterator[tuple[Any, ...]]:
        """What a visitor sees first."""
        warming = {**EMPTY_SHEET, "message": "Warming up the networks…", "busy": True}
        yield self._values(source=self._photos.draw(desk), stage=warming, problem="", dreams=self._dreams.open())
        animals = self._animals()
        message = NO_ANIMALS if not animals else "Drop a photo of a person, then press Make."
        try:
            self.warm_up(self._backstage.engine())
            self._show_first_visit(desk, animals)
        except Exception as error:  # whatever is missing, the page still opens and says what
            message = str(error)
        stage = desk.sheet or {**EMPTY_SHEET, "message": message}
        choices = [(info.label, info.name) for info in animals]
        chips = gr.CheckboxGroup(choices=choices, value=[info.name for info in animals])
        yield self._values(source=self._photos.draw(desk), stage=stage, settings=(chips, gr.skip(), gr.skip()), problem="")

    def _values(
        self,
        source: Any = _SKIP,
        stage: Any = _SKIP,
        settings: tuple[Any, ...] = (_SKIP,) * 3,
        problem: Any = _SKIP,
        switch: Any = _SKIP,
        dreams: tuple[Any, ...] = (),
    ) -> tuple[Any, ...]:
        """One value per output: what is not given stays as it is."""
        return source, stage, *settings, problem, switch, *(dreams or self._dreams.skip())

    def _switch(self, desk: Desk, source: str, *dreamt: Any) -> Iterator[tuple[Any, ...]]:
        """The visitor turned to the other source; the browser shows it, and a first dream begins by itself."""
        if source == DREAM:
            yield from self._dreams.first(desk, *dreamt)
        else:
            yield (gr.skip(),) * len(self._dreams.making)

    def _show_first_visit(self, desk: Desk, animals: tuple[AnimalInfo, ...]) -> None:
        if self._first_visit is None or desk.slots:
            return
        shared, cells = self._first_visit
        slot = replace(shared)  # a choice made on one desk stays there
        desk.slots = [slot]
        desk.sheet = _new_sheet(desk, [slot], animals)
        for cell in cells:
            _place(desk, slot, cell, to_png(cell.image, cell.recipe), f"sample-{cell.animal}")
        desk.sheet |= {"busy": False, "message": f"{slot.name} as {len(cells)} animals. Drop your own photo to see yourself."}

    def _animals(self) -> tuple[AnimalInfo, ...]:
        from studio.pipelines.parts import list_animals

        return list_animals(self._backstage.registry)

    # -- the source -----------------------------------------------------------------------------------------------------

    def _add_photos(self, desk: Desk, paths: list[str] | None) -> Iterator[tuple[Any, ...]]:
        """Adds what arrived; a picture made here restores its settings instead."""
        restored, refused = self._photos.open_files(desk, paths)
        if restored is not None and restored.tab != self.id:
            desk.routed = restored
            yield desk, *self._values(source=self._photos.draw(desk))
            return
        if restored is not None and self._is_dream(restored):
            yield desk, *next(self.restore(desk, restored))
            return
        settings = (gr.skip(),) * 3
        said = note(refused, error=bool(refused))
        if restored is not None:
            settings, said = self._restore(desk, restored)
        elif desk.expected and not refused:
            said = self._photos.expected_words(desk, Recipe(tab=self.id, verb="translate", inputs=desk.expected))
        yield desk, *self._values(source=self._photos.draw(desk, said), settings=settings, problem="", switch=PHOTO)
        trouble = self._photos.find_all(desk)
        yield desk, *self._values(source=self._photos.draw(desk, trouble or said))

    def _is_dream(self, recipe: Recipe) -> bool:
        return recipe.tab == self.id and recipe.verb in dream.VERBS

    def restore(self, desk: Desk, recipe: Recipe) -> Iterator[tuple[Any, ...]]:
        """Everything as the recipe says."""
        if self._is_dream(recipe):
            yield self._values(source=self._photos.draw(desk), switch=DREAM, dreams=self._dreams.restore(desk, recipe))
            return
        settings, said = self._restore(desk, recipe)
        yield self._values(source=self._photos.draw(desk, said), settings=settings, problem="", switch=PHOTO)

    def take(self, desk: Desk, sent: Parcel) -> Iterator[tuple[Any, ...]]:
        """A kept result becomes the photo."""
        slot = sent_slot(sent)
        desk.slots, desk.expected = [slot], ()
        said = note(f"{slot.name} is the photo now: press Make.")
        yield self._values(source=self._photos.draw(desk, said), problem="", switch=PHOTO)
        if trouble := self._photos.find_all(desk):
            yield self._values(source=self._photos.draw(desk, trouble))

    def _restore(self, desk: Desk, recipe: Recipe) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The controls as the recipe says; its photos if they are at hand."""
        if (recipe.tab, recipe.verb) != (self.id, "translate"):
            return (gr.skip(),) * 3, note(f"This picture was made on the tab {recipe.tab}: turn there and drop it again.", True)
        try:
            missing = self._photos.restore(desk, recipe)
        except ValueError as error:
            return (gr.skip(),) * 3, note(str(error), True)
        desk.wanted = recipe
        known = [info.name for info in self._animals()]
        named = recipe.parameters.get("animals")
        animals = [name for name in named if name in known] if isinstance(named, list) else known
        strength = recipe.parameters.get("strength")
        strength = min(max(float(strength), 0.0), MAX_STRENGTH) if isinstance(strength, int | float) else 1.0
        words = f"The settings are restored. {then(missing)}"
        trouble = missing_networks(self._backstage, recipe)
        return (animals, strength, recipe.parameters.get("paste") is True), note(f"{words} {trouble}".strip(), bool(trouble))

    @staticmethod
    def describe(recipe: Recipe) -> list[list[str]]:
        """The recipe's settings for people."""
        if recipe.verb in dream.VERBS:
            return describe(recipe)
        strength = recipe.parameters.get("strength")
        paste = [["Where", "in its photo"]] if recipe.parameters.get("paste") is True else []
        return [["How far", f"{strength:.2f}" if isinstance(strength, int | float) else "1.00"], *paste]

    @staticmethod
    def before(recipe: Recipe, photo: Photo) -> np.ndarray:
        """The photo as a result is compared with it, uint8 (H, W, 3)."""
        if recipe.parameters.get("paste") is True:
            return photo.rgb
        return head_of(recipe, photo)

    # -- making ---------------------------------------------------------------------------------------------------------

    def _make(self, desk: Desk, animals: list[str], strength: float, paste: bool) -> Iterator[tuple[Any, ...]]:
        """Fills the canvas cell by cell; every cell is kept in the gallery as soon as it is there."""
        try:
            engine = self._backstage.engine()
            request, chosen = self._request(desk, engine, animals, strength, paste)
            yield from self._fill(desk, engine, request, chosen)
        except (ValueError, GalleryError, CheckpointError, RuntimeError) as error:
            if desk.sheet:
                desk.sheet |= {"busy": False, "message": desk.sheet["message"] if not desk.sheet["busy"] else "Not finished."}
            yield desk, desk.sheet or gr.skip(), gr.skip(), problem_text(str(error)), *buttons(busy=False)

    def _request(
        self, desk: Desk, engine: Engine, names: list[str], strength: float, paste: bool
    ) -> tuple[CharacterRequest, tuple[AnimalInfo, ...]]:
        from studio.pipelines.character import CharacterRequest

        chosen = tuple(info for info in self._animals() if info.name in names)
        if not chosen:
            raise ValueError("Pick at least one animal.")
        request = CharacterRequest(
            photos=tuple(slot.photo() for slot in desk.slots),
            animals=tuple(info.name for info in chosen),
            strength=float(strength),
            faces=face_choices(desk, engine),
            paste=paste,
        )
        return request, chosen

    def _fill(
        self, desk: Desk, engine: Engine, request: CharacterRequest, animals: tuple[AnimalInfo, ...]
    ) -> Iterator[tuple[Any, ...]]:
        from studio.pipelines.character import CharacterResult, Progress, translate

        slots = list(desk.slots)
        desk.stopped, desk.run, desk.expected = False, desk.run + 1, ()
        run = desk.run
        desk.sheet = _new_sheet(desk, slots, animals)
        yield desk, desk.sheet, gr.skip(), "", *buttons(busy=True)
        for slot in slots:
            if not slot.is_sample:
                self._backstage.gallery(desk).keep_source(slot.photo())
        for step in translate(engine, request):
            if desk.stopped or desk.run != run:
                break
            strip = gr.skip()
            if isinstance(step, CharacterResult):
                desk.sheet_png = to_png(step.sheet, step.recipe)
                desk.sheet["sheet"] = True
            elif isinstance(step, Progress):
                desk.sheet |= progress(step)
            else:
                self._keep(desk, slots[step.photo_index], step)
                strip = strip_value(self._backstage, desk)
            yield desk, desk.sheet, strip, "", gr.skip(), gr.skip()
        if desk.run == run:
            desk.sheet |= {"busy": False, "message": _summary(desk)}
            yield desk, desk.sheet, gr.skip(), "", *buttons(busy=False)

    def _keep(self, desk: Desk, slot: Slot, cell: Translation) -> None:
        gallery = self._backstage.gallery(desk)
        parents = (slot.origin,) if slot.origin else ()
        cell = replace(cell, recipe=cell.recipe.model_copy(update={"parents": parents}))
        kept = gallery.add(cell.image, cell.recipe, parents, _title(slot, cell), _remarks(cell))
        _place(desk, slot, cell, gallery.png(kept.id), kept.id)
        desk.sheet |= {"done": desk.sheet["done"] + 1, "zip": True}

    # -- taking away ----------------------------------------------------------------------------------------------------

    def _export(self, desk: Desk, event: gr.EventData) -> tuple[Desk, dict[str, Any]]:
        return take_away(self._backstage, desk, event, desk.sheet, desk.sheet_png)


def _new_sheet(desk: Desk, slots: list[Slot], animals: tuple[AnimalInfo, ...]) -> dict[str, Any]:
    """The canvas before its cells arrive; cells of the same people and animals stay in sight until the new ones come."""
    people = [{"id": slot.id, "name": slot.name, "src": source_crop(slot, animals[0].card.frame)} for slot in slots]
    keys = {f"{slot.id}/{info.name}" for slot in slots for info in animals}
    stale = {key: item for key, item in desk.sheet.get("items", {}).items() if key in keys}
    desk.sheet_png = None
    return {
        "people": people,
        "animals": [{"name": info.name, "label": capital(info.label), "study": info.study} for info in animals],
        "items": stale,
        "done": 0,
        "total": len(keys),
        "message": "Starting",
        "busy": True,
        "run": desk.run,
        "sheet": False,
        "zip": False,
    }


def _place(desk: Desk, slot: Slot, cell: Translation, png: bytes, item_id: str) -> None:
    """Puts a finished cell on the canvas."""
    title = _title(slot, cell)
    file = served(png, f"{title}.png")
    pasted = cell.image.shape != cell.crop.shape
    key = f"{slot.id}/{cell.animal}"
    desk.sheet["items"] = {**desk.sheet["items"], key: {
        "id": item_id,
        "key": key,
        "run": desk.run,
        "title": title,
        "src": served(preview(cell.image, CELL_SIDE), f"{title}-small.jpg") if pasted else file,
        "file": file,
        "before": slot.pictures.get("src") if pasted else source_crop(slot, "head"),
        "short": cell.verdicts[-1],
        **_remarks(cell),
        "facts": _facts(cell),
        "recipe": pretty(cell.recipe),
    }}  # fmt: skip


def _words(cell: Translation) -> list[dict[str, Any]]:
    figures = [f"score(X) {cell.face_score:.0f}: Viola-Jones {'finds' if cell.face_score else 'finds no'} face", ""]
    good = [bool(cell.face_score > 0), True]
    if cell.animal_score is not None:
        figures[1], good[1] = f"score(Y) {100 * cell.animal_score:.0f} %", bool(cell.animal_score >= 0.5)
    return [
        {"text": text, "figure": figure, "good": fine} for text, figure, fine in zip(cell.verdicts, figures, good, strict=False)
    ]


def _remarks(cell: Translation) -> dict[str, Any]:
    """What is said of the picture beyond its recipe."""
    from studio.pipelines.parts import animal_label

    return {"words": _words(cell), "study": cell.study, "animal": animal_label(cell.animal)}


def _facts(cell: Translation) -> list[list[str]]:
    height, width = cell.image.shape[:2]
    return [
        ["Network", ", ".join(cell.recipe.checkpoints)],
        *CharacterTab.describe(cell.recipe),
        ["Size", f"{width} by {height} px"],
        ["Time", f"{1000 * cell.seconds:.0f} ms"],
    ]


def _title(slot: Slot, cell: Translation) -> str:
    from studio.pipelines.parts import animal_label, with_article

    return f"{Path(slot.name).stem} as {with_article(animal_label(cell.animal))}"


def _summary(desk: Desk) -> str:
    done, total = desk.sheet["done"], desk.sheet["total"]
    if done < total:
        return f"Stopped after {done} of {total}; what was made is kept."
    people, animals = len(desk.sheet["people"]), len(desk.sheet["animals"])
    who = f"{people} people" if people > 1 else desk.sheet["people"][0]["name"]
    return f"{who} as {animals} animal{'s' if animals > 1 else ''}. Click a picture to see it large."
