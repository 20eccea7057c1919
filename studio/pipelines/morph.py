"""The Morph tab: photos in the latent space of a CVAE-GAN (Bao et al. 2017), and what its conditions make of them.

``morph`` walks between two photos (section 5.3), ``attributes`` changes what a face shows, ``mix`` makes something new of several
labels (section 5.5), ``draw_class`` draws new flowers and birds of a class. Holes are filled by :mod:`studio.pipelines.inpaint`.

Each is ``verb(engine, request) -> Iterator[Progress | Preview | ... | result]``: ``morph`` yields ``Found`` and ``Frame`` and a
``MorphResult``, ``attributes(engine, request, known=None)`` ``Found`` and an ``AttributesResult``, ``mix`` and ``draw_class``
``Sample`` and a ``SamplesResult``. ``known`` is a ``Found`` of this photo: no search is made again, and
``picture_with(engine, known, condition)`` is the head alone, for a slider that moves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from studio.core.images import Photo
from studio.core.recipe import Recipe
from studio.pipelines.conditioned import (
    STEPS,
    Found,
    check_condition,
    check_domain,
    check_seed,
    check_steps,
)
from studio.pipelines.parts import Progress, is_number, is_whole
from studio.pipelines.photos import FaceChoice, check_faces

FRAMES, MAX_FRAMES = 9, 33
COUNT, MOST = 8, 36  # pictures of a class at once
MAX_SOURCES = 3  # of a mix


@dataclass(frozen=True)
class MorphRequest:
    """A way from one photo to another: z = (1 - a) z_1 + a z_2 (section 5.3), and the conditions as the codes.

    Args:
        photos: two.
        domain: one of ``conditioned.DOMAINS``.
        frames: of the way, both photos among them.
        steps: of reversal for each photo, 0 for the encoder's guess.
        faces, frame: as in :func:`studio.pipelines.photos.check_faces`; flowers and birds have no faces.

    Raises:
        ValueError: one sentence that says what to change.
    """

    photos: tuple[Photo, ...]
    domain: str = "faces"
    frames: int = FRAMES
    steps: int = STEPS
    faces: tuple[FaceChoice | None, ...] = ()
    frame: str = "auto"

    def __post_init__(self) -> None:
        check_domain(self.domain)
        if len(self.photos) != 2:
            raise ValueError(f"A morph goes from one photo to another: choose two; these are {len(self.photos)}.")
        if not is_whole(self.frames, MAX_FRAMES + 1) or self.frames < 2:
            raise ValueError(f"Set the frames to a whole number from 2 (only the photos) to {MAX_FRAMES}.")
        check_steps(self.steps)
        check_faces(self.photos, self.faces, self.frame)


@dataclass(frozen=True, eq=False)
class Preview(Progress):
    """A photo as far as it has been found: ``image`` uint8 (R, R, 3), its ``psnr`` in dB."""

    photo_index: int
    image: np.ndarray
    psnr: float


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture of the way: ``image`` uint8 (R, R, 3), at ``index``."""

    index: int
    image: np.ndarray


@dataclass(frozen=True, eq=False)
class MorphResult:
    """A morph: ``images`` uint8 (R, R, 3), the reconstructions of ``ends`` first and last; ``sheet`` uint8 (H, W, 3) shows the
    strip between the photos. ``words`` say how near the ends are; ``study`` is None or why the networks are weak."""

    request: MorphRequest
    ends: tuple[Found, Found]
    images: tuple[np.ndarray, ...]
    sheet: np.ndarray
    words: tuple[str, ...]
    study: str | None
    recipe: Recipe


@dataclass(frozen=True)
class AttributesRequest:
    """A photo of a person, and what its face shall show.

    Args:
        condition: attribute -> value from -1 (not at all) to 1 (fully); what is not named stays as it was found. With nothing
            named the face is only found, and the result is the photo itself.
        steps: of reversal, 0 for the encoder's guess.
        face: the one that is meant, None for the largest. frame: "auto" or "centre".

    Raises:
        ValueError: one sentence that says what to change.
    """

    photo: Photo
    condition: Mapping[str, float] = field(default_factory=dict)
    steps: int = STEPS
    face: FaceChoice | None = None
    frame: str = "auto"

    def __post_init__(self) -> None:
        check_condition(self.condition, "faces")
        check_steps(self.steps)
        check_faces((self.photo,), (self.face,) if self.face else (), self.frame)


@dataclass(frozen=True)
class Reading:
    """What the attribute judge (never the network that was trained with) makes of one attribute: its probability ``before`` and
    ``after``, and ``words`` for it."""

    attribute: str
    before: float
    after: float
    words: str


@dataclass(frozen=True, eq=False)
class AttributesResult:
    """A face that shows what was asked for.

    ``image`` uint8 (H, W, 3) is the whole photo with the change laid on it, and the photo itself, bit for bit, where nothing was
    asked. ``head`` uint8 (S, S, 3) is the face of it, ``before`` the face as it was, ``plain`` uint8 (R, R, 3) what the generator
    itself makes, G(z, c'). ``condition`` names all attributes with their values now, ``found`` is what the photo was found as.
    ``identity`` is the identity judge's cosine between before and after (None without it).
    """

    request: AttributesRequest
    found: Found
    image: np.ndarray
    head: np.ndarray
    before: np.ndarray
    plain: np.ndarray
    condition: dict[str, float]
    readings: tuple[Reading, ...]
    identity: float | None
    words: tuple[str, ...]
    seconds: float
    study: str | None
    recipe: Recipe


@dataclass(frozen=True)
class MixRequest:
    """Something new of several: c is the weighted mean of the sources' conditions (section 5.5), z that of the first photo.

    Args:
        sources: one to three, each a photo or, where there are classes, the name of one.
        weights: of each, 0 or more; empty means equal ones.
        domain: one of ``conditioned.DOMAINS``.
        count: pictures; those after the photo's own z, and all where there is no photo, are drawn from N(0, I) by the seed.
        steps, faces, frame: as in :class:`MorphRequest`; ``faces`` go with the photos among the sources.

    Raises:
        ValueError: one sentence that says what to change.
    """

    sources: tuple[Photo | str, ...]
    weights: tuple[float, ...] = ()
    domain: str = "faces"
    count: int = 1
    seed: int = 0
    steps: int = STEPS
    faces: tuple[FaceChoice | None, ...] = ()
    frame: str = "auto"

    def __post_init__(self) -> None:
        check_domain(self.domain)
        if not 1 <= len(self.sources) <= MAX_SOURCES:
            raise ValueError(f"Mix one to {MAX_SOURCES} things at once; these are {len(self.sources)}.")
        if self.domain == "faces" and not all(isinstance(source, Photo) for source in self.sources):
            raise ValueError("Faces are mixed from photos: add the photos of two people.")
        weights = self.weights
        fit = len(weights) in (0, len(self.sources)) and all(is_number(weight) and weight >= 0 for weight in weights)
        if not fit or (weights and not sum(weights)):
            raise ValueError(f"Give each of the {len(self.sources)} a weight of 0 or more, and one of them more than 0.")
        _check_count(self.count)
        check_seed(self.seed)
        check_steps(self.steps)
        check_faces(self.photos, self.faces, self.frame)

    @property
    def photos(self) -> tuple[Photo, ...]:
        return tuple(source for source in self.sources if isinstance(source, Photo))


@dataclass(frozen=True)
class ClassRequest:
    """New pictures of one class, z ~ N(0, I).

    Args:
        label: the class, as in ``conditioned.find_label``.
        domain: one with classes. seed: the same one gives the same pictures.
        count: how many; picture i does not depend on it.

    Raises:
        ValueError: one sentence that says what to change.
    """

    label: str
    domain: str = "flowers"
    count: int = COUNT
    seed: int = 0

    def __post_init__(self) -> None:
        check_domain(self.domain)
        if self.domain == "faces":
            raise ValueError("Faces have attributes instead of classes: choose flowers or birds.")
        if not isinstance(self.label, str) or not self.label.strip():
            raise ValueError("Name the class to draw, such as daisy.")
        _check_count(self.count)
        check_seed(self.seed)


@dataclass(frozen=True, eq=False)
class Sample:
    """A new picture: ``image`` uint8 (R, R, 3) made of ``latent`` float32 (Z,); ``chance`` is what C gives the class that was
    asked for (None for a mix), ``words`` say it. ``recipe`` makes this one again."""

    index: int
    image: np.ndarray
    latent: np.ndarray
    chance: float | None
    words: tuple[str, ...]
    recipe: Recipe


@dataclass(frozen=True, eq=False)
class SamplesResult:
    """All of them; ``condition`` names the labels with their shares or values, ``sheet`` uint8 (H, W, 3)."""

    request: MixRequest | ClassRequest
    samples: tuple[Sample, ...]
    condition: dict[str, float]
    sheet: np.ndarray
    study: str | None
    recipe: Recipe


def _check_count(count: int) -> None:
    if not is_whole(count, MOST + 1) or count < 1:
        raise ValueError(f"Ask for 1 to {MOST} pictures.")
