"""The Character tab: a photo of a person becomes animals (IAN, Abdelaal et al.; figure 6, from photos)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from studio.core.registry import Card, Registry

if TYPE_CHECKING:
    from studio.core.engine import Engine
    from studio.core.images import Photo
    from studio.core.recipe import Recipe

# The ten of IAN's figure 6 in its order; whatever else the index offers comes after them.
PAPER_ANIMALS = (
    "gorilla", "chow_chow", "egyptian_cat", "koala", "lion", "norwegian_elkhound", "panda", "samoyed", "spider", "tiger",
)  # fmt: skip
_PROPER_NAMES = {"egyptian_cat": "Egyptian cat", "norwegian_elkhound": "Norwegian elkhound", "samoyed": "Samoyed"}
FRAMES = ("auto", "centre")
MAX_PHOTOS = 24
MAX_STRENGTH = 1.3

Point = tuple[float, float]


@dataclass(frozen=True)
class FaceChoice:
    """Which face of a photo is meant: one of those found (``index`` 0 is the largest) or two clicked eyes (x, y) in pixels.

    The eyes may come in either order; they are kept as (left, right) in the picture.

    Raises:
        ValueError: neither or both are given, or they cannot be a face.
    """

    index: int | None = None
    eyes: tuple[Point, Point] | None = None

    def __post_init__(self) -> None:
        if (self.index is None) == (self.eyes is None):
            raise ValueError("Choose a face either by its number or by its two eyes.")
        if self.eyes is not None:
            object.__setattr__(self, "eyes", _two_eyes(self.eyes))
        elif not isinstance(self.index, int) or self.index < 0:
            raise ValueError("Faces are numbered from 1: choose one of those found in the photo.")


@dataclass(frozen=True)
class CharacterRequest:
    """Photos to turn into animals.

    Args:
        photos: one to ``MAX_PHOTOS``.
        animals: names as in :func:`list_animals`; empty means all there are.
        strength: 0 the photo, 1 the animal, up to 1.3 its caricature.
        faces: per photo the face that is meant, or None for its largest; empty means the largest everywhere.
        frame: "auto" finds and aligns the face, "centre" takes the central square as it is.
        paste: puts each result back into its full-size photo.
        seed: kept in the recipe; a translation draws nothing at random.

    Raises:
        ValueError: one sentence that says what to change.
    """

    photos: tuple[Photo, ...]
    animals: tuple[str, ...] = ()
    strength: float = 1.0
    faces: tuple[FaceChoice | None, ...] = ()
    frame: str = "auto"
    paste: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.photos:
            raise ValueError("Add a photo of a person first.")
        if len(self.photos) > MAX_PHOTOS:
            raise ValueError(f"Take at most {MAX_PHOTOS} photos at once; these are {len(self.photos)}.")
        if len(set(self.animals)) < len(self.animals):
            raise ValueError("Name each animal once.")
        if not _is_number(self.strength) or not 0 <= self.strength <= MAX_STRENGTH:
            raise ValueError(f"Set the strength between 0 (the photo) and {MAX_STRENGTH} (a caricature).")
        if self.frame not in FRAMES:
            raise ValueError('Set the frame to "auto" (find the face) or "centre" (take the middle of the photo).')
        if self.faces and len(self.faces) != len(self.photos):
            raise ValueError(f"Choose one face for each of the {len(self.photos)} photos, or none at all.")
        if self.frame == "centre" and any(self.faces):
            raise ValueError('A chosen face needs the frame "auto"; with "centre" the middle of the photo is taken.')
        for number, (photo, choice) in enumerate(zip(self.photos, self.faces, strict=False)):
            if choice is not None and choice.eyes is not None and not _inside(choice.eyes, photo.rgb.shape):
                raise ValueError(f"The eyes lie outside {photo_name(photo, number)}: click them inside the picture.")


@dataclass(frozen=True)
class Progress:
    """``done`` of ``total`` cells are there; ``message`` says what happens now."""

    done: int
    total: int
    message: str


@dataclass(frozen=True, eq=False)
class Translation:
    """One cell of the sheet.

    ``image`` is uint8 (R, R, 3), or the full photo's (H, W, 3) with ``paste``; ``crop`` uint8 (R, R, 3) is the aligned source.
    ``face_score`` is 1 if Viola-Jones still finds a face, else 0; ``animal_score`` the judge's probability of the animal
    (None if no judge knows it); ``verdicts`` say both in words. ``study`` is None or the reason why the network is weak.
    """

    photo_index: int
    photo_name: str
    animal: str
    image: np.ndarray
    crop: np.ndarray
    face_score: float
    animal_score: float | None
    verdicts: tuple[str, ...]
    seconds: float
    recipe: Recipe
    study: str | None


@dataclass(frozen=True, eq=False)
class CharacterResult:
    """All cells, photo by photo, and ``sheet``, uint8 (H, W, 3): a row per person, the source first, then a column per animal."""

    translations: tuple[Translation, ...]
    sheet: np.ndarray
    recipe: Recipe


@dataclass(frozen=True)
class AnimalInfo:
    """An animal there is a network for; ``label`` is its name for people, ``study`` None or why it is weak."""

    name: str
    label: str
    card: Card
    study: str | None


@dataclass(frozen=True, eq=False)
class Person:
    """A face to choose: ``eyes`` and ``box`` (x, y, w, h) in the photo's pixels, ``thumbnail`` uint8 (96, 96, 3)."""

    index: int
    eyes: tuple[Point, Point]
    box: tuple[float, float, float, float]
    thumbnail: np.ndarray


def photo_name(photo: Photo, index: int) -> str:
    """The photo's file name, or its number for one that came without (a webcam, the clipboard)."""
    return photo.name or f"photo {index + 1}"


def animal_label(name: str) -> str:
    """An animal's name for people: "chow_chow" is a chow chow."""
    return _PROPER_NAMES.get(name, name.replace("_", " "))


def list_animals(source: Engine | Registry) -> tuple[AnimalInfo, ...]:
    """The animals that ``source`` (an engine or its registry) has a face-to-animal network for, the paper's ten first.

    Where several networks make the same animal, the one with the highest resolution is meant.
    """
    best: dict[str, Card] = {}
    for card in _registry(source).list_models(task="translate"):
        if card.family != "cyclegan" or len(card.domains) != 2 or card.domains[0] != "face":
            continue
        animal = card.domains[1]
        if animal not in best or card.resolution > best[animal].resolution:
            best[animal] = card
    rank = {name: place for place, name in enumerate(PAPER_ANIMALS)}
    names = sorted(best, key=lambda name: (rank.get(name, len(rank)), name))
    return tuple(AnimalInfo(name, animal_label(name), best[name], best[name].study) for name in names)


def _registry(source: Any) -> Registry:
    return source if isinstance(source, Registry) else source.store.registry


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _two_eyes(eyes: Any) -> tuple[Point, Point]:
    points = np.asarray(eyes, dtype=np.float64)
    if points.shape != (2, 2) or not np.isfinite(points).all() or np.hypot(*(points[0] - points[1])) < 4:
        raise ValueError("Click the two eyes of one face, at least four pixels apart.")
    left, right = sorted((float(x), float(y)) for x, y in points)
    return left, right


def _inside(eyes: tuple[Point, Point], shape: tuple[int, ...]) -> bool:
    height, width = shape[:2]
    return all(0 <= x < width and 0 <= y < height for x, y in eyes)
