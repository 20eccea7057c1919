"""Data packs: a zip of pictures with a ``metadata.csv``, read into one uint8 tensor; and the one split everybody uses."""

from __future__ import annotations

import csv
import hashlib
import io
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

MODEL_PARTS = frozenset(range(7))
JUDGE_PARTS = frozenset((7, 8))
VALIDATION_PARTS = frozenset((9,))

Box = tuple[float, float, float, float]

# What to cut out of a picture in the portrait frame, as shares of its side (left, top, right, bottom), to get the other frames
# (core/faces.py): the head is its central 76 %, the face is what brings its eyes to the places of the face frame.
WHOLE: Box = (0.0, 0.0, 1.0, 1.0)
HEAD: Box = (0.12, 0.12, 0.88, 0.88)
FACE: Box = (0.2152, 0.3361, 0.7850, 0.9059)


def part(file_name: str) -> int:
    """Which tenth of a pack a picture belongs to: 0-6 train models, 7-8 train judges, 9 validates everything."""
    return int(hashlib.md5(file_name.encode()).hexdigest(), 16) % 10


def find_pack(name: str, data_dir: Path | None = None) -> Path:
    """The zip of a pack: in ``data_dir``, else ``data/`` in the checkout, else ``../shared/data``.

    Raises:
        FileNotFoundError: it is in none of them.
    """
    root = Path(__file__).resolve().parents[2]
    folders = [data_dir] if data_dir else [root / "data", root.parent / "shared" / "data"]
    for folder in folders:
        if (path := Path(folder) / f"{name}.zip").is_file():
            return path
    raise FileNotFoundError(f"The data pack {name}.zip is not in {' or '.join(map(str, folders))}: name its folder with --data.")


@dataclass
class Pack:
    """Pictures of a pack, ``images`` uint8 (N, 3, S, S), and their metadata ``rows``."""

    images: Tensor
    rows: list[dict[str, str]]

    def __len__(self) -> int:
        return len(self.rows)

    def select(self, keep: Callable[[dict[str, str]], bool]) -> Pack:
        """The pictures whose row passes ``keep``."""
        indices = [i for i, row in enumerate(self.rows) if keep(row)]
        return Pack(self.images[indices], [self.rows[i] for i in indices])

    def parts(self, parts: Iterable[int]) -> Pack:
        """The pictures in these tenths of the split."""
        wanted = set(parts)
        return self.select(lambda row: part(row["file_name"]) in wanted)


def read_rows(name: str, data_dir: Path | None = None) -> list[dict[str, str]]:
    """The metadata of a pack. Raises ``FileNotFoundError`` if it is not there."""
    with zipfile.ZipFile(find_pack(name, data_dir)) as archive:
        return _rows(archive)


def read_names(name: str, data_dir: Path | None = None) -> set[str]:
    """What other packs would call the pictures of this one: photos that are in both count once."""
    return {Path(row["file_name"]).name for row in read_rows(name, data_dir)}


def _rows(archive: zipfile.ZipFile) -> list[dict[str, str]]:
    with archive.open("metadata.csv") as file:
        return list(csv.DictReader(io.TextIOWrapper(file, "utf-8")))


def read_pack(
    name: str,
    size: int,
    data_dir: Path | None = None,
    keep: Callable[[dict[str, str]], bool] = lambda row: True,
    box: Box = WHOLE,
) -> Pack:
    """Reads the pictures of a pack whose metadata pass ``keep``.

    Args:
        size: side in px the pictures are resized to (antialiased).
        box: what is cut out first (``HEAD`` and ``FACE`` turn portraits into these frames).

    Raises:
        FileNotFoundError: the pack is not there.
    """
    with zipfile.ZipFile(find_pack(name, data_dir)) as archive:
        rows = [row for row in _rows(archive) if keep(row)]
        images = np.empty((len(rows), size, size, 3), np.uint8)
        for i, row in enumerate(rows):
            with Image.open(io.BytesIO(archive.read(row["file_name"]))) as image:
                images[i] = _crop_resize(image.convert("RGB"), size, box)
    return Pack(torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(), rows)


def _crop_resize(image: Image.Image, size: int, box: Box) -> np.ndarray:
    pixels = tuple(share * side for share, side in zip(box, 2 * image.size, strict=True))
    return np.asarray(image.resize((size, size), Image.Resampling.LANCZOS, box=pixels, reducing_gap=3))


def to_unit(images: Tensor) -> Tensor:
    """uint8 -> float32 in [-1, 1]."""
    return images.float().div_(127.5).sub_(1)


class Sampler:
    """Endless draws from a list of picture sets, on the device that holds them, from a generator whose state is saved."""

    def __init__(self, sets: list[Tensor], generator: torch.Generator, flip: bool = True):
        self.sets, self.generator, self.flip = sets, generator, flip

    def draw(self, which: int, count: int) -> Tensor:
        """``count`` pictures of set ``which``, float32 (count, 3, S, S) in [-1, 1], half of them mirrored."""
        pictures, device = self.sets[which], self.generator.device
        images = to_unit(pictures[torch.randint(len(pictures), (count,), generator=self.generator, device=device)])
        if self.flip:
            mirrored = torch.rand(count, 1, 1, 1, generator=self.generator, device=device) < 0.5
            images = torch.where(mirrored, images.flip(3), images)
        return images

    def draw_mixed(self, which: Tensor) -> Tensor:
        """One picture of each set named in ``which`` (B,), float32 (B, 3, S, S)."""
        names = which.tolist()
        drawn = {name: iter(self.draw(name, names.count(name))) for name in sorted(set(names))}
        return torch.stack([next(drawn[name]) for name in names])
