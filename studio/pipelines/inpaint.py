"""The Morph tab's other half: holes in photos filled by a CVAE-GAN (Bao et al. 2017, section 5.4, figure 7).

``inpaint(engine, request)`` yields ``Progress | Iteration`` and last an ``InpaintResult``; ``settle(engine, request, iteration)``
is the result of whoever stopped after that iteration; ``sees(engine, photo, domain, face, frame)`` the corners (x, y), in px of
the photo, of the square in which holes can be filled. ``request_from_recipe(recipe, photos)`` brings the mask back, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from studio.core.images import Photo
from studio.core.recipe import Recipe
from studio.pipelines.conditioned import check_condition, check_domain, check_seed
from studio.pipelines.parts import Progress, is_whole
from studio.pipelines.photos import FaceChoice, check_faces

ITERATIONS, MAX_ITERATIONS = 10, 10
CANDIDATES, MAX_CANDIDATES = 4, 8


@dataclass(frozen=True, eq=False)
class InpaintRequest:
    """A photo with a hole.

    Args:
        mask: bool (H, W) of the photo's size, True where the hole is. What the photo shows there is not looked at, except to
            find the face.
        domain: one of ``conditioned.DOMAINS``.
        iterations: of eq. 8, 1 to 10.
        candidates: fillings; the first is of the mean E finds, the others of codes drawn around it.
        condition: what is known of the picture by label (attributes of a face, shares of classes); C infers the rest.
        seed: the same one draws the same codes. face, frame: as in :func:`studio.pipelines.photos.check_faces`.

    Raises:
        ValueError: one sentence that says what to change.
    """

    photo: Photo
    mask: np.ndarray
    domain: str = "faces"
    iterations: int = ITERATIONS
    candidates: int = CANDIDATES
    condition: Mapping[str, float] = field(default_factory=dict)
    seed: int = 0
    face: FaceChoice | None = None
    frame: str = "auto"

    def __post_init__(self) -> None:
        check_domain(self.domain)
        height, width = self.photo.rgb.shape[:2]
        if not isinstance(self.mask, np.ndarray) or self.mask.dtype != bool or self.mask.ndim != 2:
            raise ValueError("A mask is black and white: white where the hole is.")
        if self.mask.shape != (height, width):
            across, down = self.mask.shape[::-1]
            raise ValueError(
                f"The mask has {across} x {down} pixels and the photo {width} x {height}: make the mask as large as the photo."
            )
        if not self.mask.any():
            raise ValueError("There is no hole to fill yet: paint over what shall be filled.")
        if self.mask.all():
            raise ValueError("The hole is the whole photo: leave some of it, so that there is something to go by.")
        if not is_whole(self.iterations, MAX_ITERATIONS + 1) or self.iterations < 1:
            raise ValueError(f"Set the iterations to a whole number from 1 to {MAX_ITERATIONS}.")
        if not is_whole(self.candidates, MAX_CANDIDATES + 1) or self.candidates < 1:
            raise ValueError(f"Ask for 1 to {MAX_CANDIDATES} candidates.")
        check_condition(self.condition, self.domain)
        check_seed(self.seed)
        check_faces((self.photo,), (self.face,) if self.face else (), self.frame)


@dataclass(frozen=True, eq=False)
class Iteration(Progress):
    """All candidates after ``iteration`` (from 1): ``images`` uint8 (S, S, 3) show the crop with the hole filled, ``agreements``
    how near the generator comes to what is known around the hole, in dB.

    :func:`settle` makes a result of any iteration, so whoever stops keeps what is there; ``latents`` float32 (N, Z) and
    ``conditions`` (N, K) are what it is made of.
    """

    iteration: int
    images: tuple[np.ndarray, ...]
    agreements: tuple[float, ...]
    latents: np.ndarray
    conditions: np.ndarray


@dataclass(frozen=True, eq=False)
class Filling:
    """A photo without its hole: ``image`` uint8 (H, W, 3), outside of the hole the photo's own pixels, bit for bit.

    ``head`` uint8 (S, S, 3) is the part that the network saw, ``plain`` uint8 (R, R, 3) what the generator made, G(z, c).
    ``agreement`` is the PSNR in dB of ``plain`` where the photo is known, ``words`` say how well it fits. ``condition`` is what
    it was filled as, by label; ``recipe`` makes this one again.
    """

    index: int
    image: np.ndarray
    head: np.ndarray
    plain: np.ndarray
    agreement: float
    condition: dict[str, float]
    words: tuple[str, ...]
    recipe: Recipe


@dataclass(frozen=True, eq=False)
class InpaintResult:
    """All fillings, the best first in ``ranking`` (indices); ``sheet`` uint8 (H, W, 3): the hole and what fills it."""

    request: InpaintRequest
    fillings: tuple[Filling, ...]
    ranking: tuple[int, ...]
    sheet: np.ndarray
    seconds: float
    study: str | None
    recipe: Recipe
