"""Workspaces: a folder of one's own for every visitor, which nobody else can name.

A visitor's browser keeps a token; the folder is named by the token's hash, so neither a look at the disk nor a guess at a
folder's name opens one. The artist at whose computer the studio runs has one permanent workspace and needs no token.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import secrets
import shutil
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_data_dir

from studio.core.files import own_folder, read_file, write_file
from studio.core.gallery import Gallery, GalleryError

LIFETIME = 24 * 3600.0  # seconds a public visitor's workspace is kept after its last use
QUOTA = 500_000_000  # bytes a public visitor's workspace may take
OPEN_AT_ONCE = 64  # galleries kept open; a workspace that was closed opens again in milliseconds

_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")  # token_urlsafe of 32 bytes
_HASH = re.compile(r"[0-9a-f]{64}")
_UNKNOWN = "This gallery is not here any more: reload the page to start a new one."
_MARK = "unfinished-move"  # a folder with this file in it holds a copy that never became the gallery


class WorkspaceError(GalleryError):
    """One sentence that tells the artist what to do."""


@dataclass(frozen=True)
class Workspace:
    """One visitor's place: ``folder`` on the disk and the ``gallery`` in it."""

    folder: Path
    gallery: Gallery


def default_root() -> Path:
    """Where this computer keeps the artist's data: ``IMAGINARIUM_DATA``, else the platform's place for user data."""
    return Path(os.environ.get("IMAGINARIUM_DATA") or user_data_dir("imaginarium", appauthor=False))


class Workspaces:
    """All workspaces under ``root``. On a ``public`` instance those unused for ``lifetime`` seconds expire, and none takes more
    than ``quota`` bytes.

    Safe to use from many threads. Raises ``WorkspaceError`` if the folder cannot be used.
    """

    def __init__(self, root: Path | None = None, public: bool = False, lifetime: float = LIFETIME, quota: int = QUOTA):
        self.root = Path(root or default_root()).expanduser().absolute()
        self._public, self._lifetime = public, lifetime
        self._quota = quota if public else None
        self._lock = threading.RLock()
        self._open: OrderedDict[Path, Workspace] = OrderedDict()
        try:
            self._visitors = own_folder(self.root / "visitors")
        except OSError as error:
            raise WorkspaceError(f"{self.root} cannot hold the gallery ({error.strerror}): choose another folder.") from error
        self.sweep()

    def create(self) -> tuple[str, Workspace]:
        """A new visitor's token, to be kept by the browser and nowhere else, and the workspace it opens."""
        token = secrets.token_urlsafe(32)
        folder = self._folder(token)
        workspace = self._workspace(folder)
        (folder / "used").touch()
        return token, workspace

    def open(self, token: str) -> Workspace:
        """The workspace of that token. Raises ``WorkspaceError`` for a token that is unknown, expired or no token."""
        if not isinstance(token, str) or not _TOKEN.fullmatch(token):
            raise WorkspaceError(_UNKNOWN)
        # The token is only ever compared by its hash, so how long the look-up takes tells nothing about any other token.
        folder = self._folder(token)
        with self._lock:
            if folder.is_symlink() or not (folder / "used").is_file() or self._expired(folder):
                raise WorkspaceError(_UNKNOWN)
            os.utime(folder / "used")
            return self._workspace(folder)

    def local(self) -> Workspace:
        """The permanent workspace of the artist at this computer. Raises ``WorkspaceError`` on a public instance."""
        if self._public:
            raise WorkspaceError("A public studio has no workspace of its own: every visitor has one.")
        with self._lock:
            folder, leftover = self._pointer()
            if leftover:
                _remove_gallery(leftover)
                self._point(folder)
            (folder / _MARK).unlink(missing_ok=True)
            return self._workspace(folder)

    def move(self, to: Path) -> Workspace:
        """Moves the permanent workspace into the folder ``to``, new or empty; all of it, or on an error nothing.

        Raises ``WorkspaceError``.
        """
        to = Path(to).expanduser().absolute()
        with self._lock:
            old = self.local()
            made = not to.exists()
            _check_target(to, old.folder)
            try:
                own_folder(to)
                (to / _MARK).touch()
                with old.gallery.moved_to(to):
                    self._point(to, leftover=old.folder)  # from here on the gallery is there
            except (OSError, GalleryError) as error:
                if self._pointer()[0] != to:
                    _remove_gallery(to, keep_folder=not made)
                    raise WorkspaceError(f"The gallery stays where it was: {_reason(error)}") from error
            self._open.pop(old.folder).gallery.close()
            return self.local()

    def sweep(self) -> int:
        """On a public instance removes expired workspaces from the disk. Returns how many."""
        if not self._public:
            return 0
        removed = 0
        with self._lock:
            for folder in list(self._visitors.iterdir()):
                if _HASH.fullmatch(folder.name) and not folder.is_symlink() and self._expired(folder):
                    if workspace := self._open.pop(folder, None):
                        workspace.gallery.close()
                    # Its name goes first: whatever interrupts the rest, no token opens it again.
                    folder = folder.rename(folder.with_name(f"{folder.name}.expired"))
                    removed += 1
                if folder.name.endswith(".expired"):
                    shutil.rmtree(folder, ignore_errors=True)
        return removed

    def close(self) -> None:
        """Closes every open gallery."""
        with self._lock:
            while self._open:
                self._open.popitem()[1].gallery.close()

    def _folder(self, token: str) -> Path:
        return self._visitors / hashlib.sha256(b"imaginarium workspace " + token.encode()).hexdigest()

    def _expired(self, folder: Path) -> bool:
        used = folder / "used"
        try:  # without the file, creation was cut short
            last = (used if used.is_file() else folder).stat().st_mtime
        except FileNotFoundError:
            return True
        return self._public and time.time() - last > self._lifetime

    def _workspace(self, folder: Path) -> Workspace:
        with self._lock:
            workspace = self._open.get(folder) or Workspace(folder, Gallery(folder, self._quota))
            self._open[folder] = workspace
            self._open.move_to_end(folder)
            if len(self._open) > OPEN_AT_ONCE:  # not closed here: a thread may still read from it
                self._open.popitem(last=False)
            return workspace

    def _pointer(self) -> tuple[Path, Path | None]:
        """Where the permanent workspace is, and the folder that its last move has yet to remove."""
        try:
            document = json.loads(read_file(self.root / "local.json"))
            return Path(document["folder"]), Path(document["leftover"]) if document["leftover"] else None
        except FileNotFoundError:
            return self.root / "local", None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise WorkspaceError(f"{self.root / 'local.json'}, which says where the gallery is, is damaged: mend it.") from error

    def _point(self, folder: Path, leftover: Path | None = None) -> None:
        document = {"folder": str(folder), "leftover": str(leftover) if leftover else None}
        write_file(self.root / "local.json", json.dumps(document).encode())


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, GalleryError) else f"the new folder cannot be used ({error.strerror})."


def _check_target(to: Path, old: Path) -> None:
    if to.is_symlink() or (to.exists() and not to.is_dir()):
        raise WorkspaceError(f"{to} is not a folder: choose a new or an empty one.")
    if to.resolve().is_relative_to(old.resolve()) or old.resolve().is_relative_to(to.resolve()):
        raise WorkspaceError("A gallery cannot be moved into itself: choose a folder elsewhere.")
    if (to / _MARK).is_file():
        _remove_gallery(to, keep_folder=True)
    if to.exists() and any(to.iterdir()):
        raise WorkspaceError(f"{to} is not empty: choose a new or an empty folder.")
    needed = sum(path.stat().st_size for path in old.rglob("*") if path.is_file() and not path.is_symlink())
    existing = next(path for path in (to, *to.parents) if path.exists())
    if shutil.disk_usage(existing).free < needed:
        raise WorkspaceError(f"The gallery needs {needed / 1e6:.0f} MB, more than is free there: choose another disk.")


def _remove_gallery(folder: Path, keep_folder: bool = False) -> None:
    """Removes what a gallery keeps in a folder, and the folder if nothing of the artist's own is in it."""
    for name in ("pictures", "sources"):
        if not (folder / name).is_symlink():
            shutil.rmtree(folder / name, ignore_errors=True)
    for name in ("gallery.db", "gallery.db-wal", "gallery.db-shm", _MARK):  # the mark last: cut short, this is done again
        with contextlib.suppress(OSError):
            (folder / name).unlink()
    if not keep_folder:
        with contextlib.suppress(OSError):
            folder.rmdir()
