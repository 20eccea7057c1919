"""What a visitor likes and applies again: favourites of the gallery, whose recipes hold codes, and small files that came in."""

from __future__ import annotations

import logging
import re
import secrets
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from studio.core.gallery import Filter, Gallery, GalleryError
from studio.core.recipe import Recipe, RecipeError
from studio.ui import parts
from studio.ui.parts import QUIET, event_value, note
from studio.ui.session import Backstage, Desk, Run
from studio.ui.strip import parcel, strip_value

if TYPE_CHECKING:
    from studio.ui.shell import Shell

log = logging.getLogger(__name__)

GONE = "That is not here any more: make it again."
LONGEST_NAME, LONGEST_FILE, MAX_BROUGHT = 60, 20_000, 24  # characters, bytes, files

Code = tuple[float, ...]


@dataclass
class Liked:
    """What lies on one visitor's shelf: ``codes`` and ``titles`` by their keys there, and ``brought``, the files that came in."""

    codes: dict[str, Code] = field(default_factory=dict)
    titles: dict[str, str] = field(default_factory=dict)
    brought: dict[str, Any] = field(default_factory=dict)


class Shelf(ABC):
    """Draws a shelf and answers what is done to it; the tab says what its codes are.

    ``tab`` is whose pictures hold the codes, ``what`` what one of them is called.
    """

    tab = ""
    what = ""

    def __init__(self, backstage: Backstage):
        self._backstage = backstage

    # -- what the tab says ----------------------------------------------------------------------------------------------

    @abstractmethod
    def liked(self, desk: Desk) -> Liked:
        """The visitor's shelf."""

    @abstractmethod
    def code_in(self, desk: Desk, recipe: Recipe) -> Code | None:
        """The code of a kept picture, if it is one for what the visitor does just now. Raises ``ValueError`` for none."""

    @abstractmethod
    def fits(self, desk: Desk, file: Any) -> str:
        """A sentence that says when a file that came in will be of use; none if it is for what the visitor does just now."""

    @abstractmethod
    def read(self, text: str) -> Any:
        """A file that came in, with its ``name`` and ``style``. Raises ``ValueError``."""

    @abstractmethod
    def named(self, desk: Desk, event: gr.EventData) -> Code:
        """The code that an event names. Raises ``LookupError``."""

    def picture(self, desk: Desk, file: Any) -> dict[str, str] | None:
        """What a file that came in looks like, if that can be shown."""
        return None

    def cell(self, key: str, title: str, code: Code, src: Any) -> dict[str, Any]:
        """One of the shelf as the canvas draws it."""
        return {"key": key, "title": title, "code": name_of(code), "src": src}

    # -- drawing --------------------------------------------------------------------------------------------------------

    def connect(self, shell: Shell, stage: gr.HTML, drawing: gr.HTML) -> None:
        """What is done to the shelf on the canvas ``stage``; what it shows then comes there through ``drawing``."""
        desk, outputs = shell.desk, [shell.desk, shell.strip, drawing, shell.courier]
        for event, handler in ((stage.like, self.dislike), (stage.rename, self.rename), (stage.bring, self.bring)):
            event(handler, [desk], outputs, **QUIET)
        # With "always_last", which is usual, two tabs that follow the strip ask in turns for ever.
        shell.strip.change(self.follow, [desk], [desk, drawing], trigger_mode="multiple", **QUIET)

    def follow(self, desk: Desk) -> tuple[Desk, Any]:
        """The gallery has changed, and with it perhaps what is liked."""
        return desk, self.draw(desk)

    def draw(self, desk: Desk) -> dict[str, Any]:
        """All that is liked; equal codes are one."""
        liked = self.liked(desk)
        cells: dict[str, dict[str, Any]] = {}
        codes: dict[str, Code] = {}
        try:
            gallery = self._backstage.gallery(desk)
            for item in gallery.list(Filter(tab=self.tab, favourites=True)):
                code = self._code_of(desk, gallery, item.id)
                if code and name_of(code) not in cells:
                    key = f"liked-{item.id}"
                    codes[key] = code
                    cells[name_of(code)] = self.cell(key, base_name(item.name), code, self._backstage.thumbnail(desk, item.id))
        except GalleryError as error:
            log.warning("The shelf could not be read: %s", error)
        for key, file in liked.brought.items():
            if not self.fits(desk, file) and name_of(file.style) not in cells:
                codes[key] = file.style
                cells[name_of(file.style)] = self.cell(key, file.name, file.style, self.picture(desk, file))
        liked.codes, liked.titles = codes, {cell["key"]: cell["title"] for cell in cells.values()}
        return {"looks": list(cells.values())}

    def _code_of(self, desk: Desk, gallery: Gallery, item_id: str) -> Code | None:
        try:
            return self.code_in(desk, gallery.recipe(item_id))
        except (GalleryError, RecipeError, ValueError):
            return None

    # -- what is done to it ---------------------------------------------------------------------------------------------

    def dislike(self, desk: Desk, event: gr.EventData) -> tuple[Any, ...]:
        """Takes a code off the shelf; pictures that were kept stay in the gallery."""
        liked, gallery = self.liked(desk), self._backstage.gallery(desk)
        try:
            name = name_of(self.named(desk, event))
            ids = [item.id for item in gallery.list(Filter(tab=self.tab, favourites=True))]
            same = [one for one in ids if (code := self._code_of(desk, gallery, one)) and name_of(code) == name]
            if same:
                gallery.favourite(*same, on=False)
            liked.brought = {key: file for key, file in liked.brought.items() if name_of(file.style) != name}
        except (GalleryError, LookupError) as error:
            words = str(error) if isinstance(error, GalleryError) else GONE
            return desk, gr.skip(), gr.skip(), parcel(desk, note=note(words, True))
        return desk, strip_value(self._backstage, desk), self.draw(desk), gr.skip()

    def rename(self, desk: Desk, event: gr.EventData) -> tuple[Any, ...]:
        """Gives what is named a name of its own."""
        liked, key = self.liked(desk), str(event_value(event, "look"))
        name = str(event_value(event, "name") or "").strip()[:LONGEST_NAME]
        try:
            if name and key in liked.brought:
                liked.brought[key] = self.read(liked.brought[key].model_copy(update={"name": name}).to_json())
            elif name and key in liked.codes:
                self._backstage.gallery(desk).rename(key.removeprefix("liked-"), name)
        except ValueError as error:
            return desk, gr.skip(), self.draw(desk), parcel(desk, note=note(str(error), True))
        return desk, strip_value(self._backstage, desk), self.draw(desk), gr.skip()

    def bring(self, desk: Desk, event: gr.EventData) -> tuple[Any, ...]:
        """A file came in."""
        said = self.open_text(desk, event_value(event, "text"))
        return desk, gr.skip(), self.draw(desk), parcel(desk, note=said)

    def open_files(self, desk: Desk, paths: Sequence[str] | None) -> tuple[list[str], dict[str, Any]]:
        """Puts the files of codes among some on the shelf. Returns the paths of the others, and what to say of the last one."""
        said, others = note(), []
        for path in paths or []:
            if path.lower().endswith(".json"):
                said = self.open_text(desk, Path(path).read_bytes()[:LONGEST_FILE].decode(errors="replace"))
            else:
                others.append(path)
        return others, said

    def open_text(self, desk: Desk, text: Any) -> dict[str, Any]:
        """Puts what a file holds on the shelf; what to say of it."""
        try:
            return self.add(desk, self.read(text if isinstance(text, str) else ""))
        except ValueError as error:
            return note(str(error), True)

    def add(self, desk: Desk, file: Any) -> dict[str, Any]:
        """Puts a file on the shelf; what to say of it."""
        liked = self.liked(desk)
        if len(liked.brought) >= MAX_BROUGHT:
            words = f"{file.name} was left out: {MAX_BROUGHT} such {self.what}s fit on the shelf, so take one off first."
            return note(words, True)
        liked.brought[f"file-{secrets.token_hex(4)}"] = file
        return note(self.fits(desk, file) or f"{file.name} is among the {self.what}s you like.")


def guarded(
    desk: Desk, room: Run, begin: Callable[[], Iterator[tuple[Any, ...]]], after: int = 0
) -> Iterator[tuple[Any, ...]]:
    """As that of all tabs, where the shelf's value follows the strip's; that something is gone is said, too."""

    def steps() -> Iterator[tuple[Any, ...]]:
        try:
            yield from begin()
        except LookupError as error:
            raise ValueError(GONE) from error

    yield from parts.guarded(desk, room, steps, between=2, after=after)


def name_of(code: Sequence[float]) -> str:
    """What tells codes apart."""
    return ",".join(f"{number:.4f}" for number in code)


def base_name(title: str) -> str:
    """What a picture shows, without whom it is on."""
    return re.sub(r" on [^,]+$", "", title)
