"""What the page knows behind the screen: the engine that all visitors share, and the desk of each visitor."""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from studio.core.gallery import Filter, Gallery
from studio.core.images import Photo, open_photo
from studio.core.recipe import Recipe, RecipeInput
from studio.core.registry import Registry, default_registry
from studio.core.workspace import WorkspaceError, Workspaces
from studio.ui.thumbnails import Thumbnails

if TYPE_CHECKING:
    from studio.core.engine import Engine

log = logging.getLogger(__name__)

# Photos up to this many pixels stay decoded between two runs; a larger one is read again when it is needed.
KEPT_PIXELS = 4_000_000
STRIP_PAGE = 30  # pictures the strip shows at first, and more each time it is asked
SWEEP_SECONDS = 900.0  # between two looks for expired workspaces
# What a canvas draws of a run before there is any.
EMPTY_RUN: dict[str, Any] = {"done": 0, "total": 0, "message": "", "busy": False, "run": 0}

Eyes = tuple[tuple[float, float], tuple[float, float]]
# A face's index, its two eyes in pixels, the middle of the photo, all of it (no face is looked for), or None: the largest face.
Choice = int | Eyes | Literal["centre", "whole"] | None


def embedded_engine(device: str = "auto") -> Engine:
    """The engine over the studio's own checkpoints. Imports torch, so it is called after the page answers."""
    from studio.core.engine import Engine

    return Engine(device=device)


class Backstage:
    """Makes the engine in the background, so that the page answers before torch is imported, and keeps the workspaces.

    ``personal``: only the artist at this computer comes here, so that there is one gallery and no token is asked for.
    """

    def __init__(
        self, make_engine: Callable[[], Engine], workspaces: Workspaces, registry: Registry | None = None, personal: bool = False
    ):
        self.registry = registry or default_registry()
        self._workspaces, self._personal = workspaces, personal
        self.thumbnails = Thumbnails(self._opened)
        self._make_engine = make_engine
        self._engine: Engine | None = None
        self._trouble: Exception | None = None
        self._ready = threading.Event()
        self._thread: threading.Thread | None = None
        self._closed = threading.Event()

    def start(self, *warm_ups: Callable[[Engine], None]) -> None:
        """Makes the engine, then runs the tabs' own warm-ups, all in one background thread."""
        self._thread = threading.Thread(target=self._run, args=(warm_ups,), name="warm-up", daemon=True)
        self._thread.start()
        threading.Thread(target=self._sweep, name="sweep", daemon=True).start()

    def _sweep(self) -> None:
        while not self._closed.wait(SWEEP_SECONDS):
            try:
                self._workspaces.sweep()
            except OSError:  # the next round tries again
                log.exception("Expired workspaces could not be removed")

    def _run(self, warm_ups: tuple[Callable[[Engine], None], ...]) -> None:
        try:
            self._engine = self._make_engine()
        except Exception as error:  # whatever it is, every visitor's next click must say it
            self._trouble = error
            log.exception("The engine could not be started")
        finally:
            self._ready.set()
        for warm_up in warm_ups if self._engine else ():
            try:
                warm_up(self._engine)
            except Exception:  # a first picture that fails must not keep the page from working
                log.exception("A tab could not warm up")

    @property
    def ready(self) -> bool:
        """The engine stands, or could not be made."""
        return self._ready.is_set()

    def engine(self) -> Engine:
        """The engine; waits until it stands. Raises ``RuntimeError`` with the reason if it could not be made."""
        self._ready.wait()
        if self._engine is None:
            raise RuntimeError(f"The studio could not start its networks: {self._trouble}")
        return self._engine

    def gallery(self, desk: Desk) -> Gallery:
        """The gallery the desk's token opens; a new one, with a new token, if it opens none or it has expired."""
        try:
            return self._opened(desk.token)
        except WorkspaceError:
            if self._personal:
                raise
            desk.token, workspace = self._workspaces.create()
            return workspace.gallery

    def _opened(self, token: str) -> Gallery:
        """Raises ``WorkspaceError``."""
        return (self._workspaces.local() if self._personal else self._workspaces.open(token)).gallery

    def thumbnail(self, desk: Desk, item_id: str) -> dict[str, Any]:
        """The small picture of an item of the desk's gallery, as the page takes files."""
        return self.thumbnails.file(desk.token, item_id)

    def close(self) -> None:
        """Ends the engine and lets go of the galleries."""
        self._closed.set()
        if self._engine is not None:
            self._engine.close()
        self._workspaces.close()


@dataclass
class Slot:
    """A photo on the desk. ``read`` decodes it again; ``faces`` is None until they are searched; of a picture that was made here
    ``recipe`` says how, and ``origin`` is its id in the gallery if it is kept there."""

    id: str
    name: str
    read: Callable[[], Photo]
    sha256: str
    size: tuple[int, int]
    faces: tuple[Any, ...] | None = None
    choice: Choice = None
    is_sample: bool = False
    origin: str = ""
    recipe: Recipe | None = None
    pictures: dict[str, Any] = field(default_factory=dict)
    crop: tuple[Eyes, dict[str, Any]] | None = None
    _photo: Photo | None = None

    @classmethod
    def open(cls, path: Path, name: str, is_sample: bool = False) -> Slot:
        """The photo of a file. Raises ``PhotoError``."""
        return cls.of(lambda: open_photo(path, name), is_sample)

    @classmethod
    def of(cls, read: Callable[[], Photo], is_sample: bool = False, origin: str = "") -> Slot:
        """The photo that ``read`` gives; raises what it raises."""
        photo = read()
        height, width = photo.rgb.shape[:2]
        slot = cls(secrets.token_hex(6), photo.name, read, photo.sha256, (width, height), is_sample=is_sample, origin=origin)
        slot._keep(photo)
        return slot

    def photo(self) -> Photo:
        """The decoded photo. Raises ``PhotoError`` or ``GalleryError`` if it is gone."""
        photo = self._photo or self.read()
        self._keep(photo)
        return photo

    def _keep(self, photo: Photo) -> None:
        if photo.rgb.shape[0] * photo.rgb.shape[1] <= KEPT_PIXELS:
            self._photo = photo


@dataclass
class Table:
    """The photos on one tab; ``expected`` are those that a restored recipe waits for."""

    slots: list[Slot] = field(default_factory=list)
    expected: tuple[RecipeInput, ...] = ()

    def slot(self, slot_id: object) -> Slot | None:
        """The photo of that id, or None if it was removed meanwhile."""
        return next((slot for slot in self.slots if slot.id == slot_id), None)


@dataclass
class Run:
    """What a part of a tab is doing for one visitor; ``value`` is what the browser draws."""

    run: int = 0
    stopped: bool = False

    def __post_init__(self) -> None:
        self.value: dict[str, Any] = dict(EMPTY_RUN)

    def begin(self) -> int:
        """A new run; whatever still runs ends when it sees that it is not the latest."""
        self.run, self.stopped = self.run + 1, False
        return self.run

    def goes_on(self, run: int) -> bool:
        """Whether a run is the latest and was not stopped."""
        return self.run == run and not self.stopped

    def settle(self, message: str) -> None:
        """What the canvas says once nothing more comes."""
        if self.value["busy"]:
            self.value |= {"busy": False, "message": message}


@dataclass
class Desk(Table):
    """One visitor's photos and results; lives in the session and nowhere else. Its own photos are the Character tab's; ``tables``
    holds those of the other tabs by the tab's id. ``token`` opens the visitor's workspace; ``view`` and ``shown`` are what the
    strip shows of it; ``link`` holds the recipe the visitor came with; ``wanted`` is the recipe restored last, whose networks can
    be pulled; ``routed`` is one that was dropped on a tab that is not its own."""

    tables: dict[str, Any] = field(default_factory=dict)
    sheet: dict[str, Any] = field(default_factory=dict)
    sheet_png: bytes | None = None
    token: str = ""
    link: str = ""
    view: Filter = field(default_factory=Filter)
    shown: int = STRIP_PAGE
    wanted: Recipe | None = None
    routed: Recipe | None = None
    pull_stopped: bool = False
    stopped: bool = False
    run: int = 0
    exports: int = 0
