"""The Morph tab: a face's attributes, the way between two photos, holes that are filled, and flowers and birds of a kind.

A switch above says which of the four is in sight; each lies in a file of its own.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import gradio as gr
import numpy as np

from studio.core.images import Photo
from studio.core.recipe import Recipe
from studio.ui.delivery import Offer, Parcel
from studio.ui.parts import QUIET, note
from studio.ui.samples import Samples
from studio.ui.session import Backstage, Desk
from studio.ui.source import PhotoTab, head_of, sent_slot
from studio.ui.tabs import attributes_canvas, between_canvas, classes, inpaint_canvas
from studio.ui.tabs.attributes import Attributes
from studio.ui.tabs.between import Between
from studio.ui.tabs.classes import Classes
from studio.ui.tabs.inpaint import Holes
from studio.ui.tabs.morph_canvas import photo_table

if TYPE_CHECKING:
    from studio.core.engine import Engine
    from studio.ui.shell import Shell

# The studio's pipelines are imported inside functions: torch comes with them, and the page must answer before that.

PARTS = ("Attributes", "Morph", "Fill holes", "By name")
_DESCRIBE = {
    "attributes": attributes_canvas.describe,
    "morph": between_canvas.describe,
    "inpaint": inpaint_canvas.describe,
    "classes": classes.describe,
    "mix": classes.describe,
}


class MorphTab(PhotoTab):
    """Changes photos and fills holes in them."""

    id = "morph"
    title = "Morph"
    takes: ClassVar = {"photo": "Change or mend it", "picture": "Mend it"}

    def __init__(self, backstage: Backstage):
        self._backstage = backstage
        self._samples = samples = Samples()
        self._warming = threading.Lock()

        def restores(recipe: Recipe) -> bool:
            return recipe.tab == self.id

        self._attributes = Attributes(backstage, samples, restores)
        self._between = Between(backstage, samples, restores)
        self._holes = Holes(backstage, samples, restores)
        self._classes = Classes(backstage)
        self._photos = self._attributes.photos
        self._parts = (self._attributes, self._between, self._holes, self._classes)  # in the order of PARTS

    @staticmethod
    def gives(recipe: Recipe) -> Sequence[str]:
        """A single picture can be sent on, that of a person as a photo; a sheet cannot."""
        if not (recipe.verb == "attributes" or "index" in recipe.parameters or "step" in recipe.parameters):
            return ()
        return ("photo",) if recipe.parameters.get("domain", "faces") in ("faces", "people") else ("picture",)

    # -- the page -------------------------------------------------------------------------------------------------------

    def build(self, shell: Shell) -> None:
        """Lays the tab out inside its pane and connects it."""
        with gr.Column(elem_classes="mode-switch"):
            switch = gr.Radio(PARTS, value=PARTS[0], label="What", show_label=False, container=False, elem_id="morph-switch")
            self.offer = Offer(self._backstage)
        for part in self._parts:
            part.build(shell)
        self.outputs = [switch, *(output for part in self._parts for output in part.outputs)]
        running: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
        desk = shell.desk
        for part in (self._attributes, self._between, self._holes):
            added = part.upload.upload(partial(self._add_photos, part), [desk, part.upload], [desk, *self.outputs], **running)
            added.then(self.offer.show, [desk], self.offer.outputs, **QUIET)
            if part is self._attributes:
                self.added = added
                part.follow(added)
        switch.input(self._switch, [desk, switch], [desk, *self.outputs], **QUIET).then(
            partial(self._first, self._between), [desk, switch, *self._between.controls.all()], self._between.making, **running
        ).then(
            partial(self._first, self._classes), [desk, switch, *self._classes.controls.all()], self._classes.making, **running
        ).then(self._find, [desk, switch, self._attributes.care], self._attributes.making, **running)

    def _switch(self, desk: Desk, name: str) -> tuple[Any, ...]:
        """The visitor turned to another part; the photo of two of them is one and the same."""
        part = self._parts[PARTS.index(name)] if name in PARTS else self._attributes
        return desk, *self._values(**{part.name: part.turn_to(desk)})

    def _first(self, part: Between | Classes, desk: Desk, name: str, *given: Any) -> Iterator[tuple[Any, ...]]:
        """What needs no photo of the visitor's begins by itself when they turn to it."""
        if name in PARTS and self._parts[PARTS.index(name)] is part:
            yield from part.first(desk, *given)
        else:
            yield part.nothing()

    def _find(self, desk: Desk, name: str, care: float) -> Iterator[tuple[Any, ...]]:
        """The face of a photo that came while another part was in sight is found now."""
        if name == PARTS[0]:
            yield from self._attributes.find(desk, care)
        else:
            yield self._attributes.nothing()

    def _values(self, switch: Any = None, **values: tuple[Any, ...]) -> tuple[Any, ...]:
        """One value per output; parts that are not named stay as they are."""
        chosen = gr.skip() if switch is None else PARTS[self._parts.index(switch)]
        return chosen, *(value for part in self._parts for value in values.get(part.name, part.skip()))

    # -- the first visit ------------------------------------------------------------------------------------------------

    def warm_up(self, engine: Engine) -> None:
        """Dreams up sample faces and changes one, once for all visitors."""
        with self._warming:
            self._samples.warm_up(engine)
            self._attributes.warm_up(engine, self._samples()[0])

    def open(self, desk: Desk) -> Iterator[tuple[Any, ...]]:
        """What a visitor sees first."""
        yield self._values(**{part.name: part.open(desk) for part in self._parts})
        try:
            engine = self._backstage.engine()
            self.warm_up(engine)
            self._attributes.show_first_visit(desk, engine)
            self._between.show_first_visit(desk)
        except Exception as error:  # whatever is missing, the page still opens and says what
            yield self._values(**{self._attributes.name: self._attributes.trouble(desk, str(error))})
            return
        yield self._values(**{part.name: part.turn_to(desk) for part in self._parts})

    # -- what arrives ---------------------------------------------------------------------------------------------------

    def _add_photos(self, part: Any, desk: Desk, paths: list[str] | None) -> Iterator[tuple[Any, ...]]:
        """Adds what arrived; a picture made on this tab restores its settings instead."""
        restored, refused = part.photos.open_files(desk, paths)
        if restored is not None:
            for values in self.restore(desk, restored):
                yield desk, *values
            return
        for values in part.arrived(desk, note(refused, error=bool(refused))):
            yield desk, *self._values(**{part.name: values})

    def take(self, desk: Desk, sent: Parcel) -> Iterator[tuple[Any, ...]]:
        """A kept result becomes the photo that is changed or mended; a flower or bird can only be mended."""
        slot = sent_slot(sent)
        if sent.kind == "picture":
            yield self._values(self._holes, **{self._holes.name: self._holes.take(desk, slot, sent.recipe)})
            return
        table = photo_table(desk)
        table.slots, table.expected = [slot], ()
        said = note(f"{slot.name} is here: press Make to find its face, or turn to Fill holes to mend it.")
        for part in (self._attributes, self._holes):
            for values in part.arrived(desk, said):
                yield self._values(**{part.name: values})

    def restore(self, desk: Desk, recipe: Recipe) -> Iterator[tuple[Any, ...]]:
        """Everything as the recipe says, in the part that made it."""
        part = next((part for part in self._parts if recipe.verb in part.verbs), None)
        if part is None:
            trouble = f"This picture was made by {recipe.verb}, which is not on this page: update the studio."
            yield self._values(self._attributes, **{self._attributes.name: self._attributes.trouble(desk, trouble)})
        else:
            yield self._values(part, **{part.name: part.restore(desk, recipe)})

    @staticmethod
    def describe(recipe: Recipe) -> list[list[str]]:
        """The recipe's settings for people."""
        return _DESCRIBE[recipe.verb](recipe) if recipe.verb in _DESCRIBE else []

    @staticmethod
    def before(recipe: Recipe, photo: Photo) -> np.ndarray:
        """The photo as a result is compared with it, uint8 (H, W, 3)."""
        return photo.rgb if recipe.verb in ("attributes", "inpaint") else head_of(recipe, photo)
