"""The files that commands write and open."""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO


def save_picture(folder: Path, stem: str, rgb: Any, recipe: Any = None) -> str:
    """Writes a picture, uint8 (H, W, 3), as :func:`save_new` does, with the recipe if there is one."""
    from studio.core.images import to_png

    return save_new(folder, stem, to_png(rgb, recipe))


def save_films(film: Any, folder: Path, stem: str) -> dict[str, str]:
    """Writes a film in every format. Returns the file of each."""
    from studio.core.video import FORMATS
    from studio.pipelines.manifold import film_data

    return {kind: save_new(folder, stem, film_data(film, kind), kind) for kind in FORMATS}


def save_new(folder: Path, stem: str, data: bytes, kind: str = "png") -> str:
    """Writes ``stem.png``, or ``stem-2.png`` and so on if there is one: two photos may have one name, and no file is replaced."""
    from studio.core.files import is_full

    try:
        folder.mkdir(parents=True, exist_ok=True)
        path, file = open_new(folder, stem, kind)
        try:
            with file:
                file.write(data)
        except OSError:
            path.unlink(missing_ok=True)
            raise
    except OSError as error:
        mend = "make room on the disk" if is_full(error) else "choose another folder with --out"
        raise ValueError(f"The pictures cannot be written to {folder} ({error.strerror}): {mend}.") from error
    return str(path)


def open_new(folder: Path, stem: str, kind: str) -> tuple[Path, BinaryIO]:
    """A file that was not there before, open for writing."""
    path, number = folder / f"{stem}.{kind}", 1
    while True:
        try:
            return path, path.open("xb")
        except FileExistsError:
            number += 1
            path = folder / f"{stem}-{number}.{kind}"


def open_style(path: Path, kind: Any) -> Any:
    """What a file holds that is a ``LookFile`` or a ``StyleFile``, as ``kind`` says."""
    try:
        return kind.from_json(path.read_bytes())
    except OSError as error:
        raise ValueError(f"{path.name} could not be opened: check that the {kind.what}'s file exists and may be read.") from error
