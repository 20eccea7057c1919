"""The Character tab: a photo of a person becomes animals (IAN, Hamdi and Ghanem; figure 6, from photos)."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from studio.core.faces import Crop, paste_back
from studio.core.images import Photo
from studio.core.recipe import Recipe
from studio.metrics.face_score import has_face
from studio.pipelines.parts import (
    MAX_PASTED_PIXELS,
    MAX_STRENGTH,
    AnimalInfo,
    Progress,
    choose_animals,
    draw_sheet,
    face_words,
    is_number,
    is_whole,
    read_animals,
    translate_heads,
    with_article,
)
from studio.pipelines.photos import Crops, Eyes, FaceChoice, check_faces, faces_of, find_eyes, inputs_of, photos_of

if TYPE_CHECKING:
    from studio.core.engine import Engine

MAX_PHOTOS = 24
# Photos per run of a network: large enough to be worth a batch, small enough for the first cells to come at once.
BATCH = 8


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
        if not all(isinstance(name, str) for name in self.animals):
            raise ValueError("Name the animals by their names.")
        if len(set(self.animals)) < len(self.animals):
            raise ValueError("Name each animal once.")
        if not is_number(self.strength) or not 0 <= self.strength <= MAX_STRENGTH:
            raise ValueError(f"Set the strength between 0 (the photo) and {MAX_STRENGTH} (a caricature).")
        if not is_whole(self.seed, 2**63):
            raise ValueError("Set the seed to a whole number from 0 on.")
        check_faces(self.photos, self.faces, self.frame)


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


def translate(engine: Engine, request: CharacterRequest) -> Iterator[Progress | Translation | CharacterResult]:
    """Turns every person into every animal (IAN, section 3.2): yields cells as they are ready, the result last.

    The same request with the same checkpoints gives the same pixels.

    Raises:
        ValueError: at once, if an animal does not exist or the full-size results would not fit in memory.
        FaceError: before the first cell, if a photo shows no face or not the chosen one.
        CheckpointError: before the first cell, if an animal's weights are missing or damaged.
    """
    animals = choose_animals(engine, request.animals)
    pixels = len(animals) * sum(photo.rgb.shape[0] * photo.rgb.shape[1] for photo in request.photos)
    if request.paste and pixels > MAX_PASTED_PIXELS:
        raise ValueError("These full-size results would not fit in memory: choose fewer photos or animals, or smaller photos.")
    return _translate(engine, request, animals)


def request_from_recipe(recipe: Recipe, photos: Sequence[Photo]) -> CharacterRequest:
    """The request that made a result, from its recipe and the photos that are at hand (others may be among them).

    Raises:
        ValueError: the recipe belongs to another tab, or a photo is missing: the message names the one to give.
    """
    if (recipe.tab, recipe.verb) != ("character", "translate"):
        raise ValueError(f"This picture was made on the tab {recipe.tab}: use it there.")
    settings = recipe.parameters
    animals = settings.get("animals", [])
    return CharacterRequest(
        photos=photos_of(recipe, photos),
        animals=tuple(animals) if isinstance(animals, list) else (animals,),
        strength=settings.get("strength", 1.0),
        faces=faces_of(recipe),
        frame=settings.get("frame", "auto"),
        paste=settings.get("paste") is True,
        seed=recipe.seed,
    )


def _translate(
    engine: Engine, request: CharacterRequest, animals: Sequence[AnimalInfo]
) -> Iterator[Progress | Translation | CharacterResult]:
    total = len(request.photos) * len(animals)
    yield Progress(0, total, "Looking for faces" if request.frame == "auto" else "Taking the middle of the photos")
    eyes = find_eyes(engine, request.photos, request.faces, request.frame)
    for info in animals:
        engine.fetch(info.card.id)  # a damaged file is said now, not after half of the animals
    crops = Crops(request.photos, eyes)
    cells: list[Translation] = []
    faces: list[np.ndarray] = []
    for info in animals:
        for start in range(0, len(request.photos), BATCH):
            yield Progress(len(cells), total, f"Becoming {with_article(info.label)}")
            for cell, face in _translate_batch(engine, request, crops, info, range(start, min(start + BATCH, len(eyes)))):
                cells.append(cell)
                faces.append(face)
                yield cell
    # Figure 6 of IAN: a row per person.
    sheet = draw_sheet(_rows(cells, faces, len(request.photos)), ["photo", *(info.label for info in animals)])
    cells.sort(key=lambda cell: cell.photo_index)
    yield CharacterResult(tuple(cells), sheet, _recipe(request, animals, range(len(request.photos)), eyes))


def _translate_batch(
    engine: Engine, request: CharacterRequest, aligned: Crops, info: AnimalInfo, indices: range
) -> list[tuple[Translation, np.ndarray]]:
    """The cells of one animal for some photos, each with its aligned result, uint8 (R, R, 3)."""
    began = time.perf_counter()
    crops = [aligned.get(index, info.card.frame, info.card.resolution) for index in indices]
    faces = translate_heads(engine, info.card, [crop.image for crop in crops], request.strength)
    readings = read_animals(engine, faces, info.name)
    images = [_finish(request, index, face, crop) for index, face, crop in zip(indices, faces, crops, strict=True)]
    seconds = (time.perf_counter() - began) / len(crops)
    cells = []
    for place, index in enumerate(indices):
        found, reading = has_face(faces[place]), readings[place]
        cell = Translation(
            photo_index=index,
            photo_name=request.photos[index].name,
            animal=info.name,
            image=images[place],
            crop=crops[place].image,
            face_score=float(found),
            animal_score=reading and reading.score,
            verdicts=(face_words(found), *([reading.words] if reading else [])),
            seconds=seconds,
            recipe=_recipe(request, [info], [index], aligned.eyes),
            study=info.study,
        )
        cells.append((cell, faces[place]))
    return cells


def _finish(request: CharacterRequest, index: int, face: np.ndarray, crop: Crop) -> np.ndarray:
    return paste_back(request.photos[index].rgb, face, crop) if request.paste else face


def _recipe(
    request: CharacterRequest, animals: Sequence[AnimalInfo], indices: Sequence[int], eyes: Sequence[Eyes | None]
) -> Recipe:
    """How to make the cells of these photos and animals again; the eyes are in it, so that no finder has to agree."""
    return Recipe(
        tab="character",
        verb="translate",
        parameters={
            "animals": [info.name for info in animals],
            "strength": float(request.strength),
            "frame": request.frame,
            "paste": request.paste,
        },
        seed=request.seed,
        checkpoints={info.card.id: info.card.sha256 for info in animals},
        inputs=inputs_of([request.photos[i] for i in indices], [eyes[i] for i in indices]),
    )


def _rows(cells: Sequence[Translation], faces: Sequence[np.ndarray], photos: int) -> list[list[np.ndarray]]:
    """For each photo its sharpest crop, then its faces in the order in which they were made."""
    rows: list[list[np.ndarray]] = [[] for _ in range(photos)]
    for cell, face in zip(cells, faces, strict=True):
        row = rows[cell.photo_index]
        if not row:
            row.append(cell.crop)
        elif len(cell.crop) > len(row[0]):
            row[0] = cell.crop
        row.append(face)
    return rows
