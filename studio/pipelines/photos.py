"""Photos that a pipeline starts from: whose face is meant, where its eyes are, its crops, and how a recipe names it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from studio.core.faces import Crop, FaceError, align, align_centre, find_faces
from studio.core.images import Photo
from studio.core.recipe import Recipe, RecipeInput

if TYPE_CHECKING:
    from studio.core.engine import Engine

FRAMES = ("auto", "centre")
MIN_EYE_DISTANCE = 2  # px; nothing can be aligned by less
THUMBNAIL = 96  # px
MIDDLE, ANOTHER = "use the middle of the photo (frame centre)", "use another photo"

Point = tuple[float, float]
Eyes = tuple[Point, Point]


@dataclass(frozen=True)
class FaceChoice:
    """Which face of a photo is meant: one of those found (``index`` 0 is the largest) or its eyes, (x, y) in the photo's pixels.

    The eyes are the left and the right one as one looks at the upright face; in a photo that stands on its head the left one
    lies on the right.

    Raises:
        ValueError: neither or both are given, or they cannot be a face.
    """

    index: int | None = None
    eyes: tuple[Point, Point] | None = None

    def __post_init__(self) -> None:
        if (self.index is None) == (self.eyes is None):
            raise ValueError("Choose a face either by its number or by its two eyes.")
        if self.eyes is not None:
            object.__setattr__(self, "eyes", two_eyes(self.eyes))
        elif not isinstance(self.index, int) or self.index < 0:
            raise ValueError("Faces are numbered from 1: choose one of those found in the photo.")


def check_faces(photos: Sequence[Photo], faces: Sequence[FaceChoice | None], frame: str) -> None:
    """Whether the chosen ``faces`` and the ``frame`` go with the photos.

    Args:
        faces: per photo the face that is meant, or None for its largest; empty means the largest everywhere.
        frame: "auto" finds and aligns the face, "centre" takes the central square as it is.

    Raises:
        ValueError: one sentence that says what to change.
    """
    if frame not in FRAMES:
        raise ValueError('Set the frame to "auto" (find the face) or "centre" (take the middle of the photo).')
    if faces and len(faces) != len(photos):
        raise ValueError(f"Choose one face for each of the {len(photos)} photos, or none at all.")
    if frame == "centre" and any(faces):
        raise ValueError('A chosen face needs the frame "auto"; with "centre" the middle of the photo is taken.')
    for index, choice in enumerate(faces):
        if choice and choice.eyes and not _inside(choice.eyes, photos[index].rgb.shape):
            raise ValueError(f"The eyes lie outside {called(photos, index)}: click them inside the picture.")


@dataclass(frozen=True, eq=False)
class Person:
    """A face to choose: ``eyes`` and ``box`` (x, y, w, h) in the photo's pixels, ``thumbnail`` uint8 (96, 96, 3)."""

    index: int
    eyes: tuple[Point, Point]
    box: tuple[float, float, float, float]
    thumbnail: np.ndarray


def find_people(engine: Engine, photo: Photo) -> tuple[Person, ...]:
    """The faces of a photo to choose from, largest first; empty if there is none."""
    faces = find_faces(engine, photo.rgb)
    return tuple(
        Person(index, two_eyes(face.eyes), tuple(map(float, face.box)), align(photo.rgb, face.eyes, "portrait", THUMBNAIL).image)
        for index, face in enumerate(faces)
    )


def find_eyes(engine: Engine, photos: Sequence[Photo], faces: Sequence[FaceChoice | None], frame: str) -> list[Eyes | None]:
    """Where the eyes of the chosen faces are, per photo; None where the middle is taken instead.

    Raises:
        FaceError: a photo shows no face, or not the chosen one.
    """
    if frame == "centre":
        return [None] * len(photos)
    return [find_face(engine, photos, index, faces[index] if faces else None)[0] for index in range(len(photos))]


def find_face(
    engine: Engine, photos: Sequence[Photo], index: int, choice: FaceChoice | None, otherwise: str = MIDDLE
) -> tuple[Eyes, int]:
    """Where the eyes of a photo's chosen face are, and how many faces were found to choose from (0 if its eyes were given).

    ``otherwise`` says what else one can do where there is no face.

    Raises:
        FaceError: the photo shows no face, or not the chosen one.
    """
    if choice and choice.eyes:
        return choice.eyes, 0
    faces, name = find_faces(engine, photos[index].rgb), called(photos, index)
    wanted = choice.index if choice else 0
    if not faces:
        raise FaceError(f"No face was found in {name}: click its two eyes, or {otherwise}.")
    if wanted >= len(faces):
        shown = "one face" if len(faces) == 1 else f"{len(faces)} faces"
        raise FaceError(f"There is no face {wanted + 1} in {name}, which shows {shown}: choose a number up to {len(faces)}.")
    return two_eyes(faces[wanted].eyes), len(faces)


class Crops:
    """The aligned crops of a request, each cut once: a face in a large photo costs more to cut out than to translate."""

    def __init__(self, photos: Sequence[Photo], eyes: Sequence[Eyes | None]):
        self.photos, self.eyes = photos, eyes
        self._cut: dict[tuple[int, str, int], Crop] = {}

    def get(self, index: int, frame: str, size: int) -> Crop:
        """The crop of a photo in a network's frame and at its ``size`` in px; the photo's middle where there are no eyes."""
        key = index, frame, size
        if key not in self._cut:
            rgb, eyes = self.photos[index].rgb, self.eyes[index]
            self._cut[key] = align_centre(rgb, size) if eyes is None else align(rgb, np.asarray(eyes), frame, size)
        return self._cut[key]


def inputs_of(photos: Sequence[Photo], eyes: Sequence[Eyes | None]) -> tuple[RecipeInput, ...]:
    """Photos as a recipe names them; their eyes are in it, so that no finder has to agree."""
    return tuple(RecipeInput(sha256=photo.sha256, name=photo.name, eyes=at) for photo, at in zip(photos, eyes, strict=True))


def photos_of(recipe: Recipe, photos: Sequence[Photo]) -> tuple[Photo, ...]:
    """The photos that the recipe names, in its order, of those at hand. Raises ``ValueError`` that names the one to give."""
    at_hand = {photo.sha256: photo for photo in photos}
    for source in recipe.inputs:
        if source.sha256 not in at_hand:
            raise ValueError(_missing(source, photos))
    return tuple(at_hand[source.sha256] for source in recipe.inputs)


def faces_of(recipe: Recipe) -> tuple[FaceChoice | None, ...]:
    """The faces that the recipe chose in its photos. Raises ``ValueError`` for eyes that are none."""
    return tuple(source.eyes and FaceChoice(eyes=source.eyes) for source in recipe.inputs)


def _missing(source: RecipeInput, photos: Sequence[Photo]) -> str:
    name = source.name or "the photo it was made from"
    if any(photo.name == source.name for photo in photos):
        return f"This {name} is another picture than the one that the recipe names: give the original {name}."
    return f"The recipe needs a photo that is not here: give {name} too."


def called(photos: Sequence[Photo], index: int) -> str:
    """A photo's name for a message, with its number where the name alone would not tell which one is meant."""
    name = photos[index].name
    return name if [photo.name for photo in photos].count(name) == 1 else f"{name} (number {index + 1})"


def shortened(name: str) -> str:
    """A photo's name where there is little room."""
    return Path(name).stem[:18]


def two_eyes(eyes: Any) -> Eyes:
    """Two points (x, y) in px, checked. Raises ``ValueError``."""
    points = np.asarray(eyes, dtype=np.float64)
    if points.shape != (2, 2) or not np.isfinite(points).all() or np.hypot(*(points[0] - points[1])) < MIN_EYE_DISTANCE:
        raise ValueError("Click the two eyes of one face: these are no two places in the picture.")
    left, right = ((float(x), float(y)) for x, y in points)
    return left, right


def _inside(eyes: Eyes, shape: tuple[int, ...]) -> bool:
    height, width = shape[:2]
    return all(0 <= x <= width and 0 <= y <= height for x, y in eyes)
