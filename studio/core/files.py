"""Files that are written whole or not at all, and read without following links."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from pathlib import Path

TEMPORARY = ".tmp"
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
# Without O_NONBLOCK, opening a pipe that somebody left in the folder would wait for ever.
_READ = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_FULL = {errno.ENOSPC, errno.EFBIG} | ({errno.EDQUOT} if hasattr(errno, "EDQUOT") else set())


def is_full(error: BaseException) -> bool:
    """Whether the system refused a write for lack of space (or of quota)."""
    return isinstance(error, OSError) and error.errno in _FULL


def own_folder(path: Path) -> Path:
    """Makes the folder, closed to other users, if it is not there. Raises ``OSError`` for a link or a file in its place."""
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=0o700, parents=True)
    if not stat.S_ISDIR(path.lstat().st_mode):
        raise NotADirectoryError(errno.ENOTDIR, "is not a folder of its own", str(path))
    return path


def write_file(path: Path, data: bytes) -> None:
    """Writes ``data`` so that after a crash ``path`` holds all of it or does not exist; on return it is on the disk.

    Raises ``OSError``; nothing is left behind then.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}{TEMPORARY}")
    try:
        with os.fdopen(os.open(temporary, _WRITE, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        sync_folder(path.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def sync_folder(path: Path) -> None:
    """Puts the folder's list of names on the disk: a file that was renamed is only safe after that."""
    if os.name == "nt":  # Windows opens no folders; its file system journals renames
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_file(path: Path) -> bytes:
    """The bytes of a plain file. Raises ``OSError`` if there is none, or a link, pipe or folder in its place."""
    if path.is_symlink():  # where there is no O_NOFOLLOW this is all there is
        raise OSError(errno.ELOOP, "is a link", str(path))
    with os.fdopen(os.open(path, _READ), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "is not a plain file", str(path))
        return file.read()


def plain_files(folder: Path) -> list[str]:
    """Names of the plain files of a folder; links do not count."""
    with os.scandir(folder) as entries:
        return [entry.name for entry in entries if entry.is_file(follow_symlinks=False)]


def keep_only(folder: Path, names: set[str]) -> set[str]:
    """Removes every other file, and of a link only the link; folders stay, for nothing of ours makes any.

    Returns those of ``names`` that are there as plain files.
    """
    there, others = set(), []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name not in names:
                others.append(entry)
            elif entry.is_file(follow_symlinks=False):
                there.add(entry.name)
    for entry in others:
        if not entry.is_dir(follow_symlinks=False):
            Path(entry.path).unlink(missing_ok=True)
    return there
