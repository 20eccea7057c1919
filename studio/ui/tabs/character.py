"""The Character tab: photos on the left, a row per person and a column per animal in the middle."""

from __future__ import annotations

import html
import json
import secrets
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import gradio as gr
import numpy as np

from studio.core.checkpoints import CheckpointError
from studio.core.faces import FRAME_SIZE, FRAMES, align
from studio.core.gallery import Gallery, GalleryError
from studio.core.images import Photo, PhotoError, to_png
from studio.core.recipe import Recipe, RecipeInput, without_recipe
from studio.ui.delivery import Offer, Parcel, missing_networks, no_such_tab, origin_of
from studio.ui.parts import ASSETS, drawn, event_value, note, preview, sample_preview, served
from studio.ui.session import Backstage, Desk, Eyes, Slot
from studio.ui.strip import download, parcel, strip_value, zipped

if TYPE_CHECKING:
    from studio.core.engine import Engine
    from studio.pipelines.character import AnimalInfo, CharacterRequest, FaceChoice, Progress, Translation
    from studio.ui.shell import Shell

# studio.pipelines.character is imported inside functions: torch comes with it, and the page must answer before that.

SAMPLES = {"astronaut.jpg": "Eileen Collins"}
MAX_STRENGTH = 1.3
CHOOSER_SIDE, THUMB_SIDE, CELL_SIDE, CROP_SIDE = 960, 160, 512, 320  # px, longest side of what the page shows
NO_ANIMALS = "There are no animals yet: bring their networks here with `python -m studio pull`, then start the studio again."
NO_FACE = "No face found. Where is it?"


@dataclass(frozen=True)
class Controls:
    """The tab's widgets, in the order in which handlers take them."""

    animals: gr.CheckboxGroup
    strength: gr.Slider
    paste: gr.Checkbox

    def all(self) -> list[Any]:
        return [self.animals, self.strength, self.paste]


class CharacterTab:
    """A photo of a person becomes animals."""

    id = "character"
    title = "Character"
    takes: ClassVar = {"photo": "Use as photo"}
    gives = ("photo",)

    def __init__(self, backstage: Backstage):
        self._backstage = backstage
        self._first_visit: tuple[Slot, list[Translation]] | None = None
        self._first_visit_lock = threading.Lock()

    # -- the page -------------------------------------------------------------------------------------------------------

    def build(self, shell: Shell) -> None:
        """Lays the tab out inside its pane and connects it."""
        with gr.Column(elem_classes="side"):
            upload = gr.UploadButton("Upload", file_count="multiple", elem_id="upload", type="filepath")
            source = drawn("source", "source", "sample", "remove", "choose", "centre", "eyes")
            self.offer = Offer(self._backstage)
            controls = self._build_controls()
            with gr.Column(elem_classes="actions"):
                problem = gr.HTML("", elem_id="make-note", apply_default_css=False)
                with gr.Row(elem_classes="action-row"):
                    make = gr.Button("Make", variant="primary", elem_classes="make-button", elem_id="make")
                    stop = gr.Button("Stop", elem_classes="stop-button", elem_id="stop", interactive=False)
        with gr.Column(elem_classes="canvas"):
            stage = drawn("stage", "stage", "export")
        self._connect_source(shell.desk, source, upload, controls, problem)
        self._connect_making(shell, stage, make, stop, controls, problem)
        self.outputs = [source, stage, *controls.all(), problem]

    def _build_controls(self) -> Controls:
        with gr.Row(elem_classes="label-row"):
            gr.HTML("<h2>Animals</h2>", apply_default_css=False)
            everything = gr.Button("All", size="sm", elem_classes="quiet-button", elem_id="all-animals")
            nothing = gr.Button("None", size="sm", elem_classes="quiet-button", elem_id="no-animals")
        animals = gr.CheckboxGroup([], show_label=False, elem_id="animals", elem_classes="chips", container=False)
        strength = gr.Slider(
            0, MAX_STRENGTH, 1.0, step=0.05, label="How far", info="0 is the photo, 1 the animal, beyond it a caricature",
            elem_id="strength", buttons=["reset"],
        )  # fmt: skip
        with gr.Accordion("More", open=False, elem_classes="more"):
            paste = gr.Checkbox(False, label="Put it back into the photo", info="Each result takes its place in the picture")
        quiet: dict[str, Any] = {"show_progress": "hidden", "queue": False, "api_visibility": "private"}
        everything.click(lambda: [info.name for info in self._animals()], None, animals, **quiet)
        nothing.click(lambda: [], None, animals, **quiet)
        return Controls(animals, strength, paste)

    def _connect_source(
        self, desk: gr.State, source: gr.HTML, upload: gr.UploadButton, controls: Controls, problem: gr.HTML
    ) -> None:
        quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
        added = upload.upload(self._add_photos, [desk, upload], [desk, source, *controls.all(), problem], **quiet)
        added.then(self.offer.show, [desk], self.offer.outputs, **quiet)
        for event, handler in (
            (source.sample, self._add_sample),
            (source.remove, self._remove),
            (source.choose, self._choose),
            (source.centre, self._use_centre),
            (source.eyes, self._use_eyes),
        ):
            event(handler, [desk], [desk, source], **quiet)

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
        stop.click(_stop, [shell.desk], [shell.desk, stop], **quiet)
        stage.export(self._export, [shell.desk], [shell.desk, shell.courier], **quiet)

    # -- the first visit ------------------------------------------------------------------------------------------------

    def warm_up(self, engine: Engine) -> None:
        """Makes what a first visit shows, with the real networks, once for all visitors."""
        from studio.pipelines.character import CharacterRequest, Translation, translate

        with self._first_visit_lock:
            if self._first_visit is None and self._animals():
                name, title = next(iter(SAMPLES.items()))
                slot = self._with_faces(Slot.open(ASSETS / "samples" / name, title, is_sample=True), engine)
                request = CharacterRequest((slot.photo(),), faces=(_face_choice(slot),))
                cells = [step for step in translate(engine, request) if isinstance(step, Translation)]
                self._first_visit = slot, cells

    def open(self, desk: Desk) -> Iterator[tuple[Any, ...]]:
        """What a visitor sees first."""
        skip = [gr.skip()] * 3
        yield _source(desk), {**_EMPTY, "message": "Warming up the networks…", "busy": True}, *skip, ""
        animals = self._animals()
        message = NO_ANIMALS if not animals else "Drop a photo of a person, then press Make."
        try:
            self.warm_up(self._backstage.engine())
            self._show_first_visit(desk, animals)
        except Exception as error:  # whatever is missing, the page still opens and says what
            message = str(error)
        stage = desk.sheet or {**_EMPTY, "message": message}
        choices = [(info.label, info.name) for info in animals]
        chips = gr.CheckboxGroup(choices=choices, value=[info.name for info in animals])
        yield _source(desk), stage, chips, gr.skip(), gr.skip(), ""

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
        from studio.pipelines.character import list_animals

        return list_animals(self._backstage.registry)

    # -- the source -----------------------------------------------------------------------------------------------------

    def _add_photos(self, desk: Desk, paths: list[str] | None) -> Iterator[tuple[Any, ...]]:
        """Adds what arrived; a picture made here restores its settings instead."""
        troubles, restored = [], None
        for path in map(Path, paths or []):
            try:
                if (recipe := _recipe_in(path)) is not None:
                    restored = recipe
                else:
                    _add_slot(desk, Slot.open(path, path.name))
            except (PhotoError, ValueError) as error:
                troubles.append(str(error))
        settings = (gr.skip(),) * 3
        said = note(" ".join(troubles), error=bool(troubles))
        if restored is not None:
            settings, said = self._restore(desk, restored)
        elif desk.expected and not troubles:
            said = self._expected_words(desk)
        yield desk, _source(desk, said), *settings, ""
        trouble = self._find_all(desk)
        yield desk, _source(desk, trouble or said), *((gr.skip(),) * 3), gr.skip()

    def restore(self, desk: Desk, recipe: Recipe) -> Iterator[tuple[Any, ...]]:
        """Everything as the recipe says."""
        settings, said = self._restore(desk, recipe)
        yield _source(desk, said), gr.skip(), *settings, ""

    def take(self, desk: Desk, sent: Parcel) -> Iterator[tuple[Any, ...]]:
        """A kept result becomes the photo."""
        slot = Slot.of(lambda: sent.photo, origin=sent.item_id)
        if sent.recipe.tab == self.id and sent.recipe.parameters.get("paste") is not True:
            slot.choice = "centre"  # it is a head in its frame already, and perhaps none that a face finder knows
        desk.slots, desk.expected = [slot], ()
        skip = (gr.skip(),) * 4
        yield _source(desk, note(f"{slot.name} is the photo now: press Make.")), *skip, ""
        if trouble := self._find_all(desk):
            yield _source(desk, trouble), *skip, ""

    def _restore(self, desk: Desk, recipe: Recipe) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The controls as the recipe says; its photos if they are at hand."""
        if (recipe.tab, recipe.verb) != (self.id, "translate"):
            return (gr.skip(),) * 3, note(no_such_tab(recipe), True)
        try:
            missing = _restore_photos(desk, recipe, self._backstage.gallery(desk))
        except ValueError as error:
            return (gr.skip(),) * 3, note(str(error), True)
        desk.wanted = recipe
        known = [info.name for info in self._animals()]
        named = recipe.parameters.get("animals")
        animals = [name for name in named if name in known] if isinstance(named, list) else known
        strength = recipe.parameters.get("strength")
        strength = min(max(float(strength), 0.0), MAX_STRENGTH) if isinstance(strength, int | float) else 1.0
        words = f"The settings are restored. {_then(missing)}"
        trouble = missing_networks(self._backstage, recipe)
        return (animals, strength, recipe.parameters.get("paste") is True), note(f"{words} {trouble}".strip(), bool(trouble))

    def _expected_words(self, desk: Desk) -> dict[str, Any]:
        """After photos came in while a restored recipe waits for some."""
        recipe = Recipe(tab=self.id, verb="translate", inputs=desk.expected)
        if not {slot.sha256 for slot in desk.slots} & {source.sha256 for source in desk.expected}:
            names = " and ".join(_photo_name(source) for source in desk.expected)
            return note(f"This is not the picture that the recipe names: drop the original {names}, or press Make with this one.")
        try:
            return note(_then(_restore_photos(desk, recipe, self._backstage.gallery(desk))))
        except ValueError as error:
            desk.expected = ()
            return note(str(error), True)

    @staticmethod
    def describe(recipe: Recipe) -> list[list[str]]:
        """The recipe's settings for people."""
        strength = recipe.parameters.get("strength")
        paste = [["Where", "in its photo"]] if recipe.parameters.get("paste") is True else []
        return [["How far", f"{strength:.2f}" if isinstance(strength, int | float) else "1.00"], *paste]

    @staticmethod
    def find_photo(gallery: Gallery, sha256: str) -> Photo | None:
        """A photo that is kept here or came with the studio."""
        slot = _slot_at_hand(gallery, sha256)
        return slot and slot.photo()

    @staticmethod
    def before(recipe: Recipe, photo: Photo) -> np.ndarray:
        """The photo as a result is compared with it, uint8 (H, W, 3)."""
        if recipe.parameters.get("paste") is True:
            return photo.rgb
        height, width = photo.rgb.shape[:2]
        return align(photo.rgb, np.asarray(recipe.inputs[0].eyes or _centre_eyes((width, height))), "head", CROP_SIDE).image

    def _add_sample(self, desk: Desk, event: gr.EventData) -> Iterator[tuple[Desk, dict[str, Any]]]:
        name = event_value(event, "name")
        if name in SAMPLES:
            desk.slots = [slot for slot in desk.slots if not slot.is_sample]
            desk.slots.append(Slot.open(ASSETS / "samples" / name, SAMPLES[name], is_sample=True))
        yield desk, _source(desk)
        yield desk, _source(desk, self._find_all(desk))

    @staticmethod
    def _remove(desk: Desk, event: gr.EventData) -> tuple[Desk, dict[str, Any]]:
        desk.slots = [slot for slot in desk.slots if slot.id != event_value(event, "photo")]
        return desk, _source(desk)

    @staticmethod
    def _choose(desk: Desk, event: gr.EventData) -> tuple[Desk, dict[str, Any]]:
        slot, face = desk.slot(event_value(event, "photo")), event_value(event, "face")
        if slot and isinstance(face, int) and 0 <= face < len(slot.faces or ()):
            slot.choice = face
        return desk, _source(desk)

    @staticmethod
    def _use_centre(desk: Desk, event: gr.EventData) -> tuple[Desk, dict[str, Any]]:
        if slot := desk.slot(event_value(event, "photo")):
            slot.choice = "centre"
        return desk, _source(desk)

    @staticmethod
    def _use_eyes(desk: Desk, event: gr.EventData) -> tuple[Desk, dict[str, Any]]:
        slot = desk.slot(event_value(event, "photo"))
        if slot is None:
            return desk, _source(desk)
        try:
            slot.choice = _clicked_eyes(event_value(event, "eyes"), slot.size)
        except (TypeError, ValueError):
            return desk, _source(desk, note("Click the two eyes again: one click on each.", True))
        return desk, _source(desk)

    def _find_all(self, desk: Desk) -> dict[str, Any] | None:
        """Looks for faces in every photo that was not searched yet; a sentence if that is impossible."""
        try:
            engine = self._backstage.engine()
            for slot in desk.slots:
                self._with_faces(slot, engine)
        except Exception as error:  # a missing network must not take the photos away
            return note(str(error), True)
        return None

    @staticmethod
    def _with_faces(slot: Slot, engine: Engine) -> Slot:
        from studio.pipelines.character import find_people

        if slot.faces is None and slot.choice is None:
            slot.faces = find_people(engine, slot.photo())
        return slot

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
            yield desk, desk.sheet or gr.skip(), gr.skip(), _problem(str(error)), *_buttons(busy=False)

    def _request(
        self, desk: Desk, engine: Engine, names: list[str], strength: float, paste: bool
    ) -> tuple[CharacterRequest, tuple[AnimalInfo, ...]]:
        from studio.pipelines.character import CharacterRequest

        chosen = tuple(info for info in self._animals() if info.name in names)
        if not chosen:
            raise ValueError("Pick at least one animal.")
        for slot in desk.slots:
            self._with_faces(slot, engine)
            if slot.choice is None and not slot.faces:
                raise ValueError(f"No face was found in {slot.name}: click its two eyes, use the centre, or remove it.")
        request = CharacterRequest(
            photos=tuple(slot.photo() for slot in desk.slots),
            animals=tuple(info.name for info in chosen),
            strength=float(strength),
            faces=tuple(_face_choice(slot) for slot in desk.slots),
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
        yield desk, desk.sheet, gr.skip(), "", *_buttons(busy=True)
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
                desk.sheet |= _progress(step)
            else:
                self._keep(desk, slots[step.photo_index], step)
                strip = strip_value(self._backstage, desk)
            yield desk, desk.sheet, strip, "", gr.skip(), gr.skip()
        if desk.run == run:
            desk.sheet |= {"busy": False, "message": _summary(desk)}
            yield desk, desk.sheet, gr.skip(), "", *_buttons(busy=False)

    def _keep(self, desk: Desk, slot: Slot, cell: Translation) -> None:
        gallery = self._backstage.gallery(desk)
        parents = (slot.origin,) if slot.origin else ()
        cell = replace(cell, recipe=cell.recipe.model_copy(update={"parents": parents}))
        kept = gallery.add(cell.image, cell.recipe, parents, _title(slot, cell), _remarks(cell))
        _place(desk, slot, cell, gallery.png(kept.id), kept.id)
        desk.sheet |= {"done": desk.sheet["done"] + 1, "zip": True}

    # -- taking away ----------------------------------------------------------------------------------------------------

    def _export(self, desk: Desk, event: gr.EventData) -> tuple[Desk, dict[str, Any]]:
        """The sheet, one picture of it, or a zip of all, as a file to save; ``bare`` leaves out how they were made."""
        bare = event_value(event, "bare") is True
        try:
            if event_value(event, "what") == "zip":
                ids = [item["id"] for item in desk.sheet.get("items", {}).values()]
                return desk, download(desk, zipped(self._backstage.gallery(desk), ids, not bare), "imaginarium.zip")
            data, name = _picture(desk, event)
            return desk, download(desk, without_recipe(data) if bare else data, name)
        except (GalleryError, OSError, LookupError):
            return desk, parcel(desk, note=note("That picture is not here any more: make it again.", True))


def _picture(desk: Desk, event: gr.EventData) -> tuple[bytes, str]:
    """The sheet or the picture that the event names, and its file's name. Raises ``LookupError`` or ``OSError``."""
    if event_value(event, "what") == "sheet":
        if desk.sheet_png is None:
            raise LookupError
        return desk.sheet_png, "imaginarium-sheet.png"
    items = {item["id"]: item["file"] for item in desk.sheet.get("items", {}).values()}
    file = items[str(event_value(event, "id"))]
    return Path(file["path"]).read_bytes(), file["orig_name"]


_EMPTY: dict[str, Any] = {"people": [], "animals": [], "items": {}, "done": 0, "total": 0, "message": "", "busy": False, "run": 0}


def _stop(desk: Desk) -> tuple[Desk, Any]:
    desk.stopped = True
    return desk, gr.Button(interactive=False)


def _buttons(busy: bool) -> tuple[Any, Any]:
    return gr.Button(interactive=not busy), gr.Button(interactive=busy)


def _problem(text: str) -> str:
    return f'<p class="note error" role="alert">{html.escape(text)}</p>'


def _recipe_in(path: Path) -> Recipe | None:
    """The recipe of a picture that a studio made, or None for any other file. Raises ``RecipeError`` for a damaged one."""
    with path.open("rb") as file:
        head = file.read(65536)
    return Recipe.from_png(path) if b"imaginarium:recipe" in head else None


def _add_slot(desk: Desk, slot: Slot) -> None:
    """The first photo of one's own takes the sample's place; the same photo twice is one."""
    from studio.pipelines.character import MAX_PHOTOS

    desk.slots = [other for other in desk.slots if not other.is_sample]
    if any(other.sha256 == slot.sha256 for other in desk.slots):
        return
    if len(desk.slots) >= MAX_PHOTOS:
        raise ValueError(f"{slot.name} was left out: {MAX_PHOTOS} photos fit at once, so remove one first.")
    desk.slots.append(slot)


def _restore_photos(desk: Desk, recipe: Recipe, gallery: Gallery) -> list[str]:
    """Puts the recipe's photos on the desk with their eyes, if they are all at hand; else names those that are not.

    Raises:
        ValueError: no studio made such a recipe; the desk stays as it is.
    """
    from studio.pipelines.character import MAX_PHOTOS

    if len(recipe.inputs) > MAX_PHOTOS:
        raise ValueError(f"This recipe names {len(recipe.inputs)} photos, but {MAX_PHOTOS} fit at once: it is not restored.")
    at_hand = {slot.sha256: slot for slot in desk.slots}
    for sha256 in {source.sha256 for source in recipe.inputs} - at_hand.keys():
        if (slot := _slot_at_hand(gallery, sha256)) is not None:
            at_hand[sha256] = slot
    found = [source for source in recipe.inputs if source.sha256 in at_hand]
    slots = [_restored(at_hand[source.sha256], source, recipe, gallery) for source in found]
    missing = [_photo_name(source) for source in recipe.inputs if source.sha256 not in at_hand]
    if slots and not missing:
        desk.slots = _told_apart(slots)
    desk.expected = recipe.inputs if missing else ()
    return missing


def _restored(slot: Slot, source: RecipeInput, recipe: Recipe, gallery: Gallery) -> Slot:
    """The photo with the recipe's eyes. Raises ``ValueError`` if they are not in it."""
    width, height = slot.size
    if not all(0 <= x <= width and 0 <= y <= height for x, y in source.eyes or ()):
        raise ValueError(f"This recipe looks for eyes outside {_photo_name(source)}: it is not restored.")
    return replace(slot, choice=source.eyes or "centre", origin=slot.origin or origin_of(gallery, recipe, slot.sha256))


def _told_apart(slots: list[Slot]) -> list[Slot]:
    """A photo with two people comes twice, and each needs a row of its own on the canvas."""
    seen: set[str] = set()
    for index, slot in enumerate(slots):
        if slot.id in seen:
            slots[index] = replace(slot, id=secrets.token_hex(6), pictures=dict(slot.pictures))
        seen.add(slot.id)
    return slots


def _slot_at_hand(gallery: Gallery, sha256: str) -> Slot | None:
    """A photo that this gallery keeps, or a sample."""
    try:
        return Slot.of(lambda: gallery.source(sha256))
    except GalleryError:
        return next((slot for slot in _sample_slots() if slot.sha256 == sha256), None)


def _photo_name(source: RecipeInput) -> str:
    return source.name or "the photo it was made from"


def _then(missing: list[str]) -> str:
    if missing:
        return f"Drop {' and '.join(missing)} here to make it again."
    return "Its photo is here: press Make to make it again."


def _sample_slots() -> list[Slot]:
    return [Slot.open(ASSETS / "samples" / name, title, is_sample=True) for name, title in SAMPLES.items()]


def _clicked_eyes(eyes: Any, size: tuple[int, int]) -> tuple[tuple[float, float], tuple[float, float]]:
    """Two clicks, as fractions of the picture, in pixels. Raises ``TypeError`` or ``ValueError``."""
    (ax, ay), (bx, by) = sorted((float(x), float(y)) for x, y in eyes)
    if not all(0 <= part <= 1 for part in (ax, ay, bx, by)):
        raise ValueError("outside the picture")
    width, height = size
    return (ax * width, ay * height), (bx * width, by * height)


def _face_choice(slot: Slot) -> FaceChoice:
    """The chosen face by its eyes, so that the recipe needs no finder to agree."""
    from studio.pipelines.character import FaceChoice

    return FaceChoice(eyes=_eyes(slot))


def _eyes(slot: Slot) -> Eyes:
    """The two eyes in pixels."""
    if slot.choice == "centre":
        return _centre_eyes(slot.size)
    return slot.choice if isinstance(slot.choice, tuple) else slot.faces[slot.choice or 0].eyes


def _centre_eyes(size: tuple[int, int]) -> Eyes:
    """Where a head's eyes lie when it fills the middle square of a picture of that width and height."""
    width, height = size
    side = min(size)
    left, right = (
        ((width - side) / 2 + x * side / FRAME_SIZE, (height - side) / 2 + y * side / FRAME_SIZE) for x, y in FRAMES["head"]
    )
    return left, right


# -- what the browser draws ---------------------------------------------------------------------------------------------


def _source(desk: Desk, said: dict[str, Any] | None = None) -> dict[str, Any]:
    own = any(not slot.is_sample for slot in desk.slots)
    offered = {} if own else SAMPLES  # one's own photos need the room
    samples = [
        {"name": name, "title": title, "src": sample_preview(ASSETS / "samples" / name)} for name, title in offered.items()
    ]
    return {"photos": [_photo_row(slot) for slot in desk.slots], "samples": samples, "note": said}


def _photo_row(slot: Slot) -> dict[str, Any]:
    faces = slot.faces or ()
    if not slot.pictures:
        rgb = slot.photo().rgb
        slot.pictures = {
            "src": served(preview(rgb, CHOOSER_SIDE), f"{slot.name}.jpg"),
            "thumb": served(preview(rgb, THUMB_SIDE), f"{slot.name}-small.jpg"),
        }
    if faces and "faces" not in slot.pictures:
        slot.pictures["faces"] = [served(to_png(face.thumbnail), f"face-{face.index + 1}.png") for face in faces]
    width, height = slot.size
    return {
        "id": slot.id,
        "name": slot.name,
        "src": slot.pictures["src"],
        "thumb": slot.pictures["thumb"],
        "words": _photo_words(slot),
        "trouble": slot.faces == () and slot.choice is None,
        "chosen": slot.choice if isinstance(slot.choice, int) else (0 if slot.choice is None and faces else None),
        "faces": [
            {"index": face.index, "thumb": thumb, "box": [x / width, y / height, w / width, h / height]}
            for face, thumb in zip(faces, slot.pictures.get("faces", ()), strict=True)
            for x, y, w, h in [face.box]
        ],
    }


def _photo_words(slot: Slot) -> str:
    if slot.choice == "centre":
        return "its centre is used"
    if isinstance(slot.choice, tuple):
        return "by the eyes you clicked"
    if slot.faces is None:
        return "looking for faces…"
    if not slot.faces:
        return NO_FACE
    return "face found" if len(slot.faces) == 1 else f"{len(slot.faces)} people: choose one"


def _new_sheet(desk: Desk, slots: list[Slot], animals: tuple[AnimalInfo, ...]) -> dict[str, Any]:
    """The canvas before its cells arrive; cells of the same people and animals stay in sight until the new ones come."""
    people = [{"id": slot.id, "name": slot.name, "src": _source_crop(slot, animals[0].card.frame)} for slot in slots]
    keys = {f"{slot.id}/{info.name}" for slot in slots for info in animals}
    stale = {key: item for key, item in desk.sheet.get("items", {}).items() if key in keys}
    desk.sheet_png = None
    return {
        "people": people,
        "animals": [{"name": info.name, "label": _capital(info.label), "study": info.study} for info in animals],
        "items": stale,
        "done": 0,
        "total": len(keys),
        "message": "Starting",
        "busy": True,
        "run": desk.run,
        "sheet": False,
        "zip": False,
    }


def _source_crop(slot: Slot, frame: str) -> dict[str, Any]:
    """The photo as the networks see it, but sharper than they do: it is for looking at."""
    if slot.crop is None or slot.crop[0] != _eyes(slot):
        crop = align(slot.photo().rgb, np.asarray(_eyes(slot)), frame, CROP_SIDE)
        slot.crop = _eyes(slot), served(preview(crop.image, CROP_SIDE), f"{slot.name}-face.jpg")
    return slot.crop[1]


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
        "before": slot.pictures.get("src") if pasted else _source_crop(slot, "head"),
        "short": cell.verdicts[-1],
        **_remarks(cell),
        "facts": _facts(cell),
        "recipe": json.dumps(json.loads(cell.recipe.to_json()), indent=1, ensure_ascii=False),
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
    from studio.pipelines.character import animal_label

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
    from studio.pipelines.character import animal_label, with_article

    return f"{Path(slot.name).stem} as {with_article(animal_label(cell.animal))}"


def _progress(step: Progress) -> dict[str, Any]:
    left = f", {step.done} of {step.total} done" if step.total > 1 else ""
    return {"done": step.done, "total": step.total, "message": f"{step.message}{left}"}


def _summary(desk: Desk) -> str:
    done, total = desk.sheet["done"], desk.sheet["total"]
    if done < total:
        return f"Stopped after {done} of {total}; what was made is kept."
    people, animals = len(desk.sheet["people"]), len(desk.sheet["animals"])
    who = f"{people} people" if people > 1 else desk.sheet["people"][0]["name"]
    return f"{who} as {animals} animal{'s' if animals > 1 else ''}. Click a picture to see it large."


def _capital(label: str) -> str:
    return label[:1].upper() + label[1:]
