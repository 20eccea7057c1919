"""The source card of a tab: photos that were dropped, sampled or sent, and whose face in them is meant."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr
import numpy as np

from studio.core.faces import FRAME_SIZE, FRAMES, align
from studio.core.gallery import Gallery, GalleryError
from studio.core.images import Photo, PhotoError, open_photo, to_png
from studio.core.recipe import Recipe, RecipeInput
from studio.ui.delivery import Parcel, origin_of
from studio.ui.parts import drawn, event_value, listed, note, preview, sample_preview, served
from studio.ui.session import Backstage, Desk, Eyes, Slot, Table

if TYPE_CHECKING:
    from studio.core.engine import Engine
    from studio.pipelines.photos import FaceChoice

# The studio's pipelines are imported inside functions: torch comes with them, and the page must answer before that.

CHOOSER_SIDE, THUMB_SIDE, CROP_SIDE = 960, 160, 320  # px, longest side of what the page shows
EVENTS = "sample", "remove", "choose", "centre", "eyes"  # of the card
NO_FACE = "No face found. Where is it?"
PEOPLE = "people"


@dataclass(frozen=True, eq=False)
class Sample:
    """A face to begin with: a file or its bytes, and the ``recipe`` of one that was made here."""

    name: str
    title: str
    data: bytes | Path
    recipe: Recipe | None = None

    def slot(self) -> Slot:
        """The sample as a photo."""
        slot = Slot.of(lambda: open_photo(self.data, self.title), is_sample=True)
        return _made_here(slot, self.recipe) if self.recipe else slot


@dataclass(frozen=True)
class PhotoSource:
    """Draws the photos on a table and answers what is done to them.

    Args:
        backstage: where the engine and the galleries are.
        table: the tab's own photos of a visitor.
        samples: what there is to begin with.
        most: photos that fit at once.
        mixes: samples may stand beside photos of one's own and beside each other; else one of them stands in for a photo.
        restores: of which recipes a dropped picture is no photo but brings back its settings.
        subject: what the photos are of. The samples are offered where that is people.
        title: what the card asks for, if not photos of the subject.
    """

    backstage: Backstage
    table: Callable[[Desk], Table]
    samples: Callable[[], Sequence[Sample]]
    most: int
    mixes: bool = False
    restores: Callable[[Recipe], bool] = lambda recipe: True
    subject: Callable[[Desk], str] = lambda desk: PEOPLE
    title: str = ""

    def build(self, elem_id: str) -> tuple[gr.HTML, gr.UploadButton]:
        """The card on the page, whose events wait for :meth:`connect`, and what files come through."""
        upload = gr.UploadButton("Upload", file_count="multiple", elem_classes="photo-upload", type="filepath")
        return drawn("source", elem_id, *EVENTS), upload

    def connect(self, desk: gr.State, card: gr.HTML) -> list[gr.events.Dependency]:
        """What is clicked on the card; the events in the order of ``EVENTS``."""
        handlers = self.add_sample, self.remove, self.choose, self.use_centre, self.use_eyes
        return [
            getattr(card, name)(handler, [desk], [desk, card], show_progress="hidden", api_visibility="private")
            for name, handler in zip(EVENTS, handlers, strict=True)
        ]

    def draw(self, desk: Desk, said: dict[str, Any] | None = None) -> dict[str, Any]:
        """What the browser draws."""
        slots, subject = self.table(desk).slots, self.subject(desk)
        own = any(not slot.is_sample for slot in slots)
        crowded = own and not self.mixes  # one's own photos need the room
        offered = () if crowded or subject != PEOPLE else self.samples()
        if self.mixes:
            used = {slot.name for slot in slots if slot.is_sample}
            offered = [sample for sample in offered if sample.title not in used]
        samples = [{"name": one.name, "title": one.title, "src": sample_preview(one.data, one.name)} for one in offered]
        photos = [_photo_row(slot) for slot in slots]
        return {"photos": photos, "samples": samples, "subject": subject, "title": self.title, "note": said}

    # -- what comes -----------------------------------------------------------------------------------------------------

    def open_files(self, desk: Desk, paths: list[str] | None) -> tuple[Recipe | None, str]:
        """Adds the photos among some files. Returns the recipe of a picture made here, if there is one, and what went wrong."""
        troubles, restored = [], None
        for path in map(Path, paths or []):
            try:
                recipe = _recipe_in(path)
                if recipe and self.restores(recipe):
                    restored = recipe
                else:
                    slot = Slot.open(path, path.name)
                    self.add(desk, _made_here(slot, recipe) if recipe else slot)
            except (PhotoError, ValueError) as error:
                troubles.append(str(error))
        return restored, " ".join(troubles)

    def add(self, desk: Desk, slot: Slot) -> None:
        """A photo of one's own takes a sample's place, the only one any other's; the same photo twice is one.

        Raises:
            ValueError: they do not all fit.
        """
        table = self.table(desk)
        samples = [other for other in table.slots if other.is_sample]
        if not slot.is_sample:
            gone = samples[:1] if self.mixes else samples
            table.slots = [other for other in table.slots if other not in gone]
        elif not self.mixes:
            table.slots = [other for other in table.slots if other not in samples]
        if any(other.sha256 == slot.sha256 for other in table.slots):
            return
        if self.most == 1:
            table.slots = []
        if len(table.slots) >= self.most:
            raise ValueError(f"{slot.name} was left out: {self.most} photos fit at once, so remove one first.")
        table.slots.append(slot)

    # -- what is clicked ------------------------------------------------------------------------------------------------

    def add_sample(self, desk: Desk, event: gr.EventData) -> Iterator[tuple[Desk, dict[str, Any]]]:
        """Puts a sample on the table."""
        said = None
        for sample in self.samples():
            if sample.name == event_value(event, "name"):
                try:
                    self.add(desk, sample.slot())
                except ValueError as error:
                    said = note(str(error), True)
        yield desk, self.draw(desk, said)
        yield desk, self.draw(desk, self.find_all(desk) or said)

    def remove(self, desk: Desk, event: gr.EventData) -> tuple[Desk, dict[str, Any]]:
        table = self.table(desk)
        table.slots = [slot for slot in table.slots if slot.id != event_value(event, "photo")]
        return desk, self.draw(desk)

    def choose(self, desk: Desk, event: gr.EventData) -> tuple[Desk, dict[str, Any]]:
        slot, face = self.table(desk).slot(event_value(event, "photo")), event_value(event, "face")
        if slot and isinstance(face, int) and 0 <= face < len(slot.faces or ()):
            slot.choice = face
        return desk, self.draw(desk)

    def use_centre(self, desk: Desk, event: gr.EventData) -> tuple[Desk, dict[str, Any]]:
        if slot := self.table(desk).slot(event_value(event, "photo")):
            slot.choice = "centre"
        return desk, self.draw(desk)

    def use_eyes(self, desk: Desk, event: gr.EventData) -> tuple[Desk, dict[str, Any]]:
        slot = self.table(desk).slot(event_value(event, "photo"))
        if slot is None:
            return desk, self.draw(desk)
        try:
            slot.choice = _clicked_eyes(event_value(event, "eyes"), slot.size)
        except (TypeError, ValueError):
            return desk, self.draw(desk, note("Click the two eyes again: one click on each.", True))
        return desk, self.draw(desk)

    # -- faces ----------------------------------------------------------------------------------------------------------

    def find_all(self, desk: Desk) -> dict[str, Any] | None:
        """Looks for faces in every photo that was not searched yet; a sentence if that is impossible."""
        try:
            engine = self.backstage.engine()
            for slot in self.table(desk).slots:
                with_faces(slot, engine)
        except Exception as error:  # a missing network must not take the photos away
            return note(str(error), True)
        return None

    # -- recipes --------------------------------------------------------------------------------------------------------

    def restore(self, desk: Desk, recipe: Recipe) -> list[str]:
        """Puts the recipe's photos on the table with their eyes, if they are all at hand; else names those that are not.

        Raises:
            ValueError: no studio made such a recipe; the table stays as it is.
        """
        gallery, table = self.backstage.gallery(desk), self.table(desk)
        if len(recipe.inputs) > self.most:
            raise ValueError(f"This recipe names {len(recipe.inputs)} photos, but {self.most} fit at once: it is not restored.")
        at_hand = {slot.sha256: slot for slot in table.slots}
        for sha256 in {source.sha256 for source in recipe.inputs} - at_hand.keys():
            if (slot := self.slot_at_hand(gallery, sha256)) is not None:
                at_hand[sha256] = slot
        found = [source for source in recipe.inputs if source.sha256 in at_hand]
        slots = [_restored(at_hand[source.sha256], source, recipe, gallery) for source in found]
        missing = [_photo_name(source) for source in recipe.inputs if source.sha256 not in at_hand]
        if slots and not missing:
            table.slots = _told_apart(slots)
        table.expected = recipe.inputs if missing else ()
        return missing

    def expected_words(self, desk: Desk, recipe: Recipe) -> dict[str, Any]:
        """After photos came in while a restored recipe, ``recipe`` without its settings, waits for some."""
        table = self.table(desk)
        if not {slot.sha256 for slot in table.slots} & {source.sha256 for source in table.expected}:
            names = listed(_photo_name(source) for source in table.expected)
            return note(f"This is not the picture that the recipe names: drop the original {names}, or press Make with this one.")
        try:
            return note(then(self.restore(desk, recipe)))
        except ValueError as error:
            table.expected = ()
            return note(str(error), True)

    def slot_at_hand(self, gallery: Gallery, sha256: str) -> Slot | None:
        """A photo that this gallery keeps, or a sample."""
        try:
            return Slot.of(lambda: gallery.source(sha256))
        except GalleryError:
            slots = (sample.slot() for sample in self.samples())
            return next((slot for slot in slots if slot.sha256 == sha256), None)

    def find_photo(self, gallery: Gallery, sha256: str) -> Photo | None:
        """A photo that is kept here or came with the studio."""
        slot = self.slot_at_hand(gallery, sha256)
        return slot and slot.photo()


class PhotoTab:
    """What the inspector asks of a tab whose results are made of the photos on its card."""

    _photos: PhotoSource

    def find_photo(self, gallery: Gallery, sha256: str) -> Photo | None:
        """A photo that is kept here or came with the studio."""
        return self._photos.find_photo(gallery, sha256)

    @staticmethod
    def before(recipe: Recipe, photo: Photo) -> np.ndarray:
        """The photo as a result is compared with it, uint8 (H, W, 3)."""
        return photo.rgb


def sent_slot(sent: Parcel) -> Slot:
    """A kept result as a photo."""
    return _made_here(Slot.of(lambda: sent.photo, origin=sent.item_id), sent.recipe)


def keep_photo(gallery: Gallery, slot: Slot) -> tuple[str, ...]:
    """Keeps the photo of a result, so that it can be made again. Returns the result's parents."""
    if not slot.is_sample or slot.recipe:
        gallery.keep_source(slot.photo())
    return (slot.origin,) if slot.origin else ()


def _made_here(slot: Slot, recipe: Recipe) -> Slot:
    slot.recipe = recipe
    if recipe.parameters.get("paste") is not True:
        slot.choice = "centre"  # it is a head in its frame already, and perhaps none that a face finder knows
    return slot


def with_faces(slot: Slot, engine: Engine) -> Slot:
    """The photo with its faces found, unless it was searched or one is chosen."""
    from studio.pipelines.photos import find_people

    if slot.faces is None and slot.choice is None:
        slot.faces = find_people(engine, slot.photo())
    return slot


def face_choices(table: Table, engine: Engine) -> tuple[FaceChoice, ...]:
    """The chosen face of each photo by its eyes, so that the recipe needs no finder to agree. Raises ``ValueError``."""
    from studio.pipelines.photos import FaceChoice

    for slot in table.slots:
        with_faces(slot, engine)
        if slot.choice is None and not slot.faces:
            raise ValueError(f"No face was found in {slot.name}: click its two eyes, use the centre, or remove it.")
    return tuple(FaceChoice(eyes=eyes_of(slot)) for slot in table.slots)


def eyes_of(slot: Slot) -> Eyes:
    """The two eyes in pixels."""
    if slot.choice == "centre":
        return centre_eyes(slot.size)
    return slot.choice if isinstance(slot.choice, tuple) else slot.faces[slot.choice or 0].eyes


def centre_eyes(size: tuple[int, int]) -> Eyes:
    """Where a head's eyes lie when it fills the middle square of a picture of that width and height."""
    width, height = size
    side = min(size)
    left, right = (
        ((width - side) / 2 + x * side / FRAME_SIZE, (height - side) / 2 + y * side / FRAME_SIZE) for x, y in FRAMES["head"]
    )
    return left, right


def source_crop(slot: Slot, frame: str) -> dict[str, Any]:
    """The photo as the networks see it, but sharper than they do: it is for looking at."""
    if slot.crop is None or slot.crop[0] != eyes_of(slot):
        crop = align(slot.photo().rgb, np.asarray(eyes_of(slot)), frame, CROP_SIDE)
        slot.crop = eyes_of(slot), served(preview(crop.image, CROP_SIDE), f"{slot.name}-face.jpg")
    return slot.crop[1]


def head_of(recipe: Recipe, photo: Photo) -> np.ndarray:
    """The head of a recipe's only photo, uint8 (S, S, 3)."""
    height, width = photo.rgb.shape[:2]
    return align(photo.rgb, np.asarray(recipe.inputs[0].eyes or centre_eyes((width, height))), "head", CROP_SIDE).image


def then(missing: list[str]) -> str:
    """What to do after a recipe was restored."""
    if missing:
        return f"Drop {' and '.join(missing)} here to make it again."
    return "Its photo is here: press Make to make it again."


def _recipe_in(path: Path) -> Recipe | None:
    """The recipe of a picture that a studio made, or None for any other file. Raises ``RecipeError`` for a damaged one."""
    with path.open("rb") as file:
        head = file.read(65536)
    return Recipe.from_png(path) if b"imaginarium:recipe" in head else None


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


def _photo_name(source: RecipeInput) -> str:
    return source.name or "the photo it was made from"


def _clicked_eyes(eyes: Any, size: tuple[int, int]) -> tuple[tuple[float, float], tuple[float, float]]:
    """Two clicks, as fractions of the picture, in pixels. Raises ``TypeError`` or ``ValueError``."""
    (ax, ay), (bx, by) = sorted((float(x), float(y)) for x, y in eyes)
    if not all(0 <= part <= 1 for part in (ax, ay, bx, by)):
        raise ValueError("outside the picture")
    width, height = size
    return (ax * width, ay * height), (bx * width, by * height)


def pictures_of(slot: Slot) -> dict[str, Any]:
    """The photo for looking at: ``src`` large, ``thumb`` small."""
    if not slot.pictures:
        rgb = slot.photo().rgb
        slot.pictures = {
            "src": served(preview(rgb, CHOOSER_SIDE), f"{slot.name}.jpg"),
            "thumb": served(preview(rgb, THUMB_SIDE), f"{slot.name}-small.jpg"),
        }
    return slot.pictures


def _photo_row(slot: Slot) -> dict[str, Any]:
    faces = slot.faces or ()
    pictures_of(slot)
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
    if slot.recipe and slot.choice == "centre":
        return "made here"
    if slot.choice == "centre":
        return "its centre is used"
    if slot.choice == "whole":
        return "all of it is used"
    if isinstance(slot.choice, tuple):
        return "by the eyes you clicked"
    if slot.faces is None:
        return "looking for faces…"
    if not slot.faces:
        return NO_FACE
    return "face found" if len(slot.faces) == 1 else f"{len(slot.faces)} people: choose one"
