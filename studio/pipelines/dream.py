"""The Character tab's dreams: faces that never were, pushed towards an animal (IAN, Hamdi and Ghanem; section 3, figure 3).

The first stage draws a latent and makes a face of it, with a plain GAN or with a K-GAN that imagines the animal; the second
stage, a CycleGAN, translates that face into the animal. ``strength`` 0 leaves the second stage out.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from studio.core.images import resize, to_float, to_uint8
from studio.core.recipe import Recipe
from studio.core.registry import Card, Registry
from studio.metrics.face_score import has_face
from studio.models.dcgan import LATENT
from studio.pipelines.parts import (
    MAX_STRENGTH,
    AnimalInfo,
    Progress,
    animal_judge,
    draw_sheet,
    face_words,
    finest,
    in_papers_order,
    is_number,
    is_whole,
    list_animals,
    read_animals,
    registry_of,
    with_article,
)

if TYPE_CHECKING:
    from studio.core.engine import Engine

GENERATORS = ("dcgan", "k-dcgan", "began", "k-began", "flagship")
_LABELS = {"dcgan": "DCGAN", "k-dcgan": "K-DCGAN", "began": "BEGAN", "k-began": "K-BEGAN", "flagship": "StyleGAN"}
_FAMILIES = {"dcgan": "dcgan", "k-dcgan": "dcgan", "began": "began", "k-began": "began", "flagship": "stylegan"}
MIN_TRUNCATION = 0.3  # below it all faces are the same one
# How far "more like this" goes: the angle in radians between normal latents, the largest step of a uniform latent's numbers.
STEPS = {"a little": 0.15, "some": 0.3, "a lot": 0.6}
MAX_COUNT = 256
MAX_GENERATIONS = 50  # of "more like this": their steps have to fit into a recipe and its link
# Pictures per run of a network: small enough for the first candidates to come at once.
BATCH = 4
# Originality, in distances of a new photograph: from NEW on a picture is as new as one, below COPY it is hardly new at all.
NEW, COPY = 0.8, 0.4

Step = tuple[int, int, float]  # the seed and the number of the candidate that was picked, and how far to go from it


@dataclass(frozen=True)
class GeneratorInfo:
    """A generator of the first stage.

    ``label`` is its name for people, ``cards`` its networks: one, or for a K-GAN one per animal, in the order of ``animals``
    (empty for the others). ``study`` is None or why it is weak; of a K-GAN, why all its networks are.
    """

    name: str
    label: str
    cards: tuple[Card, ...]
    animals: tuple[str, ...]
    study: str | None


@dataclass(frozen=True)
class DreamRequest:
    """Faces to dream up.

    Args:
        generator: one of ``GENERATORS``; which of them there are says :func:`list_generators`.
        animal: what a K-GAN imagines and the second stage makes of the face; None for human faces.
        count: 1 to ``MAX_COUNT`` candidates.
        seed: candidate i of a seed is the same face whatever the count.
        truncation: 0.3 (all near the average face) to 1 (anything goes); the flagship's only.
        imagination: 0 the plain GAN, 1 its K-GAN; K-GANs only.
        strength: of the second stage: 0 the sample itself, 1 the animal, up to 1.3 its caricature.
        ancestry: the picks of "more like this" that led here, oldest first; see :func:`more_like`.

    Raises:
        ValueError: one sentence that says what to change.
    """

    generator: str = "flagship"
    animal: str | None = None
    count: int = 16
    seed: int = 0
    truncation: float = 0.7
    imagination: float = 1.0
    strength: float = 0.0
    ancestry: tuple[Step, ...] = ()

    def __post_init__(self) -> None:
        if self.generator not in GENERATORS:
            raise ValueError(f"There is no generator {self.generator!r}; there is {', '.join(GENERATORS)}.")
        if self.animal is not None and not isinstance(self.animal, str):
            raise ValueError("Name the animal by its name.")
        if not is_whole(self.count, MAX_COUNT + 1) or self.count == 0:
            raise ValueError(f"Dream of 1 to {MAX_COUNT} candidates at once.")
        if not is_whole(self.seed, 2**63):
            raise ValueError("Set the seed to a whole number from 0 on.")
        if not is_number(self.truncation) or not MIN_TRUNCATION <= self.truncation <= 1:
            raise ValueError(f"Set the truncation between {MIN_TRUNCATION} (near the average face) and 1 (anything goes).")
        if not is_number(self.imagination) or not 0 <= self.imagination <= 1:
            raise ValueError("Set the imagination between 0 (the plain GAN) and 1 (its K-GAN).")
        if not is_number(self.strength) or not 0 <= self.strength <= MAX_STRENGTH:
            raise ValueError(f"Set the strength between 0 (the sample itself) and {MAX_STRENGTH} (a caricature).")
        if self.strength and self.animal is None:
            raise ValueError("Choose an animal to translate the faces into, or set the strength to 0.")
        if not isinstance(self.ancestry, tuple) or not all(map(_is_step, self.ancestry)):
            raise ValueError("The picks that led to these faces are damaged: start again from a seed.")
        if len(self.ancestry) > MAX_GENERATIONS:
            raise ValueError(f"These faces are more than {MAX_GENERATIONS} picks away from the first: start again from a seed.")


@dataclass(frozen=True, eq=False)
class Candidate:
    """One face that never was.

    ``image`` uint8 (R, R, 3) is the result, ``face`` uint8 (S, S, 3) the first stage's sample (the same without a second one),
    ``latent`` float32 (L,) what it was made from. ``face_score`` is 1 if Viola-Jones finds a face, else 0; ``animal_score`` the
    judge's probability of the animal (None without an animal, or if no judge knows it); ``originality`` the distance to the
    nearest picture that was learnt from, 1 for that of a new photograph (None if nothing measures it). ``verdicts`` say all of
    it in words; ``study`` is None or the reason why its networks are weak. ``recipe`` makes this candidate alone.
    """

    index: int
    image: np.ndarray
    face: np.ndarray
    latent: np.ndarray
    face_score: float
    animal_score: float | None
    originality: float | None
    verdicts: tuple[str, ...]
    seconds: float
    recipe: Recipe
    study: str | None


@dataclass(frozen=True, eq=False)
class DreamResult:
    """All candidates in their order, and ``sheet``, uint8 (H, W, 3): all of them in a square."""

    candidates: tuple[Candidate, ...]
    sheet: np.ndarray
    recipe: Recipe


@dataclass(frozen=True, eq=False)
class StageCell:
    """One picture of figure 3: candidate ``index`` at a ``stage``, one of ``STAGES``; measures as in :class:`Candidate`."""

    index: int
    stage: str
    image: np.ndarray
    face_score: float
    animal_score: float | None
    originality: float | None


@dataclass(frozen=True, eq=False)
class StageResult:
    """All cells, latent by latent, and ``sheet``, uint8 (H, W, 3): a row per latent, a column per stage."""

    cells: tuple[StageCell, ...]
    sheet: np.ndarray
    recipe: Recipe


# What IAN's figure 3 compares, with the words above the columns of the sheet.
STAGES = {
    "sample": "sample",
    "k-sample": "K-GAN",
    "cascade": "sample + CycleGAN",
    "k-cascade": "K-GAN + CycleGAN",
}


def list_generators(source: Engine | Registry) -> tuple[GeneratorInfo, ...]:
    """The generators that ``source`` (an engine or its registry) has networks for, in the order of ``GENERATORS``."""
    raise NotImplementedError


def dream(engine: Engine, request: DreamRequest) -> Iterator[Progress | Candidate | DreamResult]:
    """Draws faces and, with a ``strength``, translates them (IAN, section 3.2): yields candidates as they come, the result last.

    The same request with the same checkpoints gives the same pixels on a CPU.

    Raises:
        ValueError: at once, if there is no such generator or animal; the message lists those there are.
        CheckpointError: before the first candidate, if weights are missing or damaged.
    """
    raise NotImplementedError


def more_like(request: DreamRequest, candidate: Candidate, step: str = "some") -> DreamRequest:
    """The request for faces near a candidate of ``request``; the first of them is the candidate itself.

    Another ``seed`` in what is returned gives other faces near the same one.

    Args:
        step: one of ``STEPS``.

    Raises:
        ValueError: there is no such step, or the picks do not fit into a recipe any more.
    """
    raise NotImplementedError


def stage_by_stage(engine: Engine, request: DreamRequest) -> Iterator[Progress | StageResult]:
    """IAN's figure 3: per latent a sample of the plain GAN and of its K-GAN, and what the second stage makes of both.

    The request's imagination and strength are kept (a strength of 0 counts as 1). The flagship has no K-GAN and two stages only.
    Each picture's originality stands under it; the training picture that is nearest is never shown.

    Raises:
        ValueError, CheckpointError: as :func:`dream`; also without an animal.
    """
    raise NotImplementedError


def request_from_recipe(recipe: Recipe) -> DreamRequest:
    """The request that made a result; its verb is "dream", or "stages" for :func:`stage_by_stage`.

    Raises:
        ValueError: the recipe is not of these verbs, or damaged.
    """
    raise NotImplementedError


def _is_step(step: Any) -> bool:
    return (
        isinstance(step, tuple)
        and len(step) == 3
        and is_whole(step[0], 2**63)
        and is_whole(step[1], MAX_COUNT)
        and is_number(step[2])
        and 0 < step[2] <= max(STEPS.values())
    )
