"""The Morph tab's other half: holes in photos filled by a CVAE-GAN (Bao et al. 2017, section 5.4, figure 7).

E finds a code of the photo with its hole, G draws it, and x = M * x' + (1 - M) * x (eq. 8) puts what was drawn into the hole,
again and again. Between two rounds the code is moved so that the drawing agrees with what is known around the hole (generator
reversal with a mask), and at the end its colours are bent so that they meet the photo's at the border.

``inpaint(engine, request)`` yields ``Progress | Iteration`` and last an ``InpaintResult``; ``settle(engine, request, iteration)``
is the result of whoever stopped after that iteration; ``sees(engine, photo, domain, face, frame)`` the corners (x, y), in px of
the photo, of the square in which holes can be filled. ``request_from_recipe(recipe, photos)`` brings the mask back, too.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch

from studio.core.faces import FRAME_SIZE, FRAMES, Crop, align, align_square, corners_of, over_photo, warp_mask
from studio.core.images import Photo, to_float, to_uint8
from studio.core.recipe import Recipe
from studio.latent import reversal
from studio.metrics.face_score import has_face
from studio.pipelines.conditioned import (
    HEAD,
    Networks,
    by_label,
    check_condition,
    check_domain,
    check_seed,
    draw,
    fetch,
    looking,
    named,
    networks_of,
    recipe_of,
    recognise,
    with_values,
    within_head,
)
from studio.pipelines.manifold import PERCEIVED
from studio.pipelines.parts import Progress, draw_sheet, is_whole
from studio.pipelines.photos import (
    Eyes,
    FaceChoice,
    check_faces,
    faces_of,
    find_eyes,
    find_people,
    inputs_of,
    photos_of,
    two_eyes,
)

if TYPE_CHECKING:
    from studio.core.engine import Engine, Session

ITERATIONS, MAX_ITERATIONS = 10, 10
CANDIDATES, MAX_CANDIDATES = 4, 8
INNER = 5  # steps of reversal in each iteration
# How firmly codes are held to the prior, beside the squared error of pixels in [-1, 1], and how far from its middle the codes of
# all candidates but the first are drawn.
HELD, SPREAD = 1e-2, 1.0
LEAST_INSIDE = 0.98  # of a hole, within what the network sees
MOST_COVERED = 0.75  # of what the network sees
MAX_MASK = 40_000  # characters of a mask in a recipe
# PSNR (dB) of what is drawn where the photo is known.
CLOSELY, WELL = 23.0, 18.0
FLAT = 24  # levels between the lightest and the darkest pixel of a hole that really is one
HEAD_IN_PORTRAIT = 0.76  # of a portrait's side, as ``core.faces.FRAMES`` have it
HOLE = (128, 128, 128)  # the hole's colour where it is shown
SWEEPS = 24  # at each level of the pyramid; with fewer a step is left along the border
NEIGHBOURS = np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]], np.float32) / 4


@dataclass(frozen=True, eq=False)
class View:
    """What the network sees of a photo: ``crop`` at its own R px with ``hole`` bool (R, R), ``head`` at ``HEAD`` px with
    ``head_hole``; ``eyes`` are None where no face was looked for. No pixel of them shows what the hole hides."""

    crop: Crop
    hole: np.ndarray
    head: Crop
    head_hole: np.ndarray
    eyes: Eyes | None


@dataclass(frozen=True, eq=False)
class InpaintRequest:
    """A photo with a hole.

    Args:
        mask: bool (H, W) of the photo's size, True where the hole is. What the photo shows there is not looked at, except to
            find the face; where it shows nothing, the face is looked for where a drawing fits best.
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

    :func:`settle` makes a result of any iteration, so whoever stops keeps what is there; it is made of ``latents`` float32
    (N, Z), ``conditions`` (N, K), ``plains`` uint8 (R, R, 3) and the ``view``.
    """

    iteration: int
    images: tuple[np.ndarray, ...]
    agreements: tuple[float, ...]
    latents: np.ndarray
    conditions: np.ndarray
    plains: tuple[np.ndarray, ...]
    view: View


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
    study: str | None
    recipe: Recipe


# --- filling ------------------------------------------------------------------------------------------------------------------


def inpaint(engine: Engine, request: InpaintRequest) -> Iterator[Progress | Iteration | InpaintResult]:
    """Fills the hole, iteration by iteration (eq. 8), the result last.

    Raises:
        ValueError: at once, if the domain or a label does not exist or the mask is too ragged; before the first iteration, if the
            hole is not within what the network sees.
        FaceError: before the first iteration, if the photo shows no face or not the chosen one.
        CheckpointError: before the first iteration, if weights are missing or damaged.
    """
    networks = networks_of(engine, request.domain)
    pack_mask(request.mask)
    return _inpaint(engine, request, networks, by_label(networks, request.condition))


def _inpaint(
    engine: Engine, request: InpaintRequest, networks: Networks, given: Mapping[str, float]
) -> Iterator[Progress | Iteration | InpaintResult]:
    yield Progress(0, request.iterations, looking(networks, request.frame))
    view = _view(engine, request, networks)
    fetch(engine, networks)
    photo, drawn = to_float(view.crop.image)[None], _draws(networks, request)
    blank = np.where(view.hole, np.float32(0), photo)  # as E learnt to see holes: it guesses better than from a soft patch
    images = np.repeat(blank, request.candidates, axis=0)
    latents = None
    for number in range(1, request.iterations + 1):
        yield Progress(number - 1, request.iterations, f"Iteration {number} of {request.iterations}")
        conditions = with_values(networks, recognise(engine, networks, images), given)
        guesses = engine.run(networks.encoder.id, image=images, condition=conditions)["mean"]
        starts = guesses + drawn if latents is None else np.stack([latents, guesses])
        latents = _agreeing(engine, networks, view, photo, starts, conditions, drawn)
        made = draw(engine, networks, latents, conditions)
        images = np.where(view.hole, made, photo)  # x = M * x' + (1 - M) * x
        iteration = _iteration(number, request.iterations, view, made, photo, latents, conditions)
        yield iteration
    yield settle(engine, request, iteration)


def _draws(networks: Networks, request: InpaintRequest) -> np.ndarray:
    """Where each candidate's code comes from, float32 (N, Z): the first from the middle of the prior, the others from draws."""
    size = networks.generator.config["latent"]
    draws = [np.random.default_rng([request.seed, index]).standard_normal(size) for index in range(request.candidates)]
    return SPREAD * np.stack([0 * draws[0], *draws[1:]]).astype(np.float32)


def _agreeing(
    engine: Engine,
    networks: Networks,
    view: View,
    photo: np.ndarray,
    starts: np.ndarray,
    conditions: np.ndarray,
    drawn: np.ndarray,
) -> np.ndarray:
    """Codes (N, Z) near ``starts`` whose pictures agree with the photo around the hole."""
    arrays = photo, starts, conditions, drawn, ~view.hole[None, None]
    with closing(engine.stream(lambda session: _reverse(session, networks, *arrays))) as steps:
        for codes in steps:
            latents = codes
    return latents


def _reverse(session: Session, networks: Networks, *arrays: np.ndarray) -> Iterator[np.ndarray]:
    """On the engine's worker: the codes (N, Z) after each step. Of two starts (2, N, Z) each candidate takes the nearer one."""
    floats = [torch.as_tensor(array.astype(np.float32), device=session.device) for array in arrays]
    photo, starts, conditions, drawn, known = floats
    generator, trunk = session.network(networks.generator.id), session.network(networks.eye).trunk
    photo = photo.expand(len(conditions), -1, -1, -1)
    distance = reversal.perceived(trunk, photo[:1], PERCEIVED, known)

    def prior(codes: torch.Tensor) -> torch.Tensor:
        return HELD * (codes - drawn).square().mean(1)

    def generate(codes: torch.Tensor) -> torch.Tensor:
        return generator(codes, conditions)

    if starts.dim() == 3:
        losses = torch.stack([distance(generate(codes), photo) + prior(codes) for codes in starts])
        starts = starts.gather(0, losses.argmin(0)[None, :, None].expand(1, *starts.shape[1:]))[0]
    for step in reversal.invert(generate, photo, starts, INNER, distance, prior):
        yield step.code.cpu().numpy()


def _iteration(
    number: int, total: int, view: View, made: np.ndarray, photo: np.ndarray, latents: np.ndarray, conditions: np.ndarray
) -> Iteration:
    plains = tuple(map(to_uint8, made))
    errors = np.square((made - photo)[:, :, ~view.hole]).mean((1, 2))
    return Iteration(
        number,
        total,
        f"Iteration {number} of {total}",
        iteration=number,
        images=tuple(fill(view.head.image, view.head_hole, plain, within_head(view.crop, view.head)) for plain in plains),
        agreements=tuple(float(10 * np.log10(4 / max(error, 1e-10))) for error in errors),
        latents=latents,
        conditions=conditions,
        plains=plains,
        view=view,
    )


def settle(engine: Engine, request: InpaintRequest, iteration: Iteration) -> InpaintResult:
    """The fillings as they are after an iteration, in the whole photo: what ``request`` gives with so many iterations."""
    request, networks = replace(request, iterations=iteration.iteration), networks_of(engine, request.domain)
    recipe = _recipe(networks, request, iteration.view)
    fillings = tuple(
        Filling(
            index=index,
            image=fill(request.photo.rgb, request.mask, plain, iteration.view.crop),
            head=iteration.images[index],
            plain=plain,
            agreement=iteration.agreements[index],
            condition=named(networks, iteration.conditions[index]),
            words=_words(networks, iteration.images[index], iteration.agreements[index]),
            recipe=recipe.model_copy(update={"parameters": {**recipe.parameters, "index": index}}),
        )
        for index, plain in enumerate(iteration.plains)
    )
    ranking = tuple(int(index) for index in np.argsort([-filling.agreement for filling in fillings], kind="stable"))
    hole = np.where(iteration.view.head_hole[:, :, None], np.uint8(HOLE), iteration.view.head.image)
    sheet = draw_sheet([[hole, *iteration.images]], ["hole", *(f"filling {index + 1}" for index in range(len(fillings)))])
    return InpaintResult(request, fillings, ranking, sheet, networks.study, recipe)


def _words(networks: Networks, head: np.ndarray, agreement: float) -> tuple[str, ...]:
    how = "closely" if agreement >= CLOSELY else "well" if agreement >= WELL else "only roughly"
    fits = f"agrees {how} with what is around the hole"
    if not networks.frame:
        return (fits,)
    return fits, "a face is found" if has_face(head) else "no face is found in it"


# --- what the network sees ----------------------------------------------------------------------------------------------------


def sees(
    engine: Engine, photo: Photo, domain: str = "faces", face: FaceChoice | None = None, frame: str = "auto"
) -> np.ndarray:
    """The corners of the square in which holes can be filled, clockwise from the upper left: (x, y) px of the photo, (4, 2).

    Of a flower or bird it is the middle; a hole beside it moves it there.

    Raises:
        FaceError: the photo shows no face, or not the chosen one.
    """
    networks = networks_of(engine, domain)
    (eyes,) = find_eyes(engine, (photo,), (face,) if face else (), frame if networks.frame else "centre")
    return corners_of(_cut(photo.rgb, eyes, networks, HEAD))


def _view(engine: Engine, request: InpaintRequest, networks: Networks) -> View:
    """Raises ``ValueError`` if the hole does not lie within what the network sees, ``FaceError`` without a face."""
    eyes = _eyes(engine, request, networks)
    rgb = _blanked(request.photo.rgb, request.mask)
    crop, head = (_cut(rgb, eyes, networks, size, request.mask) for size in (networks.generator.resolution, HEAD))
    _check_hole(request, crop, eyes)
    hole, head_hole = (warp_mask(request.mask, part) > 0.002 for part in (crop, head))
    if hole.mean() > MOST_COVERED:
        raise ValueError("The hole covers nearly all that the network sees: paint a smaller one, so that there is more to go by.")
    return View(crop, hole, head, head_hole, eyes)


def _eyes(engine: Engine, request: InpaintRequest, networks: Networks) -> Eyes | None:
    """The eyes of the face that is meant; of several the one that has the hole. Raises ``FaceError``."""
    frame = request.frame if networks.frame else "centre"
    if frame == "auto" and request.face is None:
        eyes = [person.eyes for person in find_people(engine, request.photo)]
        if np.ptp(request.photo.rgb[request.mask], axis=0).max() <= FLAT:
            healed = replace(request.photo, rgb=_mended(request.photo.rgb, request.mask, 0.0))
            eyes += [person.eyes for person in find_people(engine, healed)]
            eyes += _hidden_in_the_middle(request.mask)
            eyes = eyes and [_fitting(engine, request, networks, eyes)]
        if eyes:
            return max(eyes, key=lambda pair: _share_in(request.mask, pair, networks))
    return find_eyes(engine, (request.photo,), (request.face,) if request.face else (), frame)[0]


def _hidden_in_the_middle(mask: np.ndarray) -> list[Eyes]:
    """The eyes that the hole hides if the photo is a picture of a head: one that fills its middle, or the one in a portrait."""
    height, width = mask.shape
    found = []
    for side in (min(height, width), HEAD_IN_PORTRAIT * min(height, width)):
        eyes = np.array(FRAMES["head"]) * side / FRAME_SIZE + ((width - side) / 2, (height - side) / 2)
        if any(mask[int(y), int(x)] for x, y in eyes):
            found.append(two_eyes(eyes))
    return found


def _fitting(engine: Engine, request: InpaintRequest, networks: Networks, places: Sequence[Eyes]) -> Eyes:
    """Of the places where the face may be the one at which the first drawing comes nearest to what is known.

    The photo really has a hole, and finders see no face without its eyes, or one where none is.
    """
    rgb, agreements = _blanked(request.photo.rgb, request.mask), []
    for eyes in places:
        crop = _cut(rgb, eyes, networks, networks.generator.resolution)
        hole = warp_mask(request.mask, crop) > 0
        blank = np.where(hole, np.float32(0), to_float(crop.image))[None]
        condition = recognise(engine, networks, blank)
        made = draw(engine, networks, engine.run(networks.encoder.id, image=blank, condition=condition)["mean"], condition)
        inside = _share_inside(request.mask, crop) >= LEAST_INSIDE and hole.mean() <= MOST_COVERED
        agreements.append(-np.square(made - blank)[:, :, ~hole].mean() if inside else -np.inf)
    return places[int(np.argmax(agreements))]


def _share_in(mask: np.ndarray, eyes: Eyes, networks: Networks) -> float:
    """How much of a face's square is hole."""
    blank = np.zeros((*mask.shape, 3), np.uint8)
    return float(warp_mask(mask, align(blank, np.asarray(eyes), networks.frame, networks.generator.resolution)).mean())


def _cut(rgb: np.ndarray, eyes: Eyes | None, networks: Networks, size: int, mask: np.ndarray | None = None) -> Crop:
    """What the network sees: the face, or the middle; of a flower or bird the square that is nearest to the middle and has the
    hole."""
    if eyes is not None:
        return align(rgb, np.asarray(eyes), networks.frame, size)
    side, middle = min(rgb.shape[:2]), np.array(rgb.shape[1::-1]) / 2
    if mask is not None and not networks.frame:
        x, y, width, height = cv2.boundingRect(mask.astype(np.uint8))
        low = np.maximum(np.array([x + width, y + height]) - side / 2, side / 2)
        high = np.minimum(np.array([x, y]) + side / 2, np.array(rgb.shape[1::-1]) - side / 2)
        middle = np.clip(middle, np.minimum(low, high), np.maximum(low, high))
    return align_square(rgb, *middle, side, size)


def _check_hole(request: InpaintRequest, crop: Crop, eyes: Eyes | None) -> None:
    """Raises ``ValueError`` if the hole leaves what the network sees."""
    inside = _share_inside(request.mask, crop)
    what = "the square around the face" if eyes else "the middle of the photo"
    if inside < LEAST_INSIDE:
        part = "Part of the hole" if inside > 0 else "The hole"
        raise ValueError(f"{part} lies outside of {what}, which is all that the network sees: paint only inside of it.")


def _share_inside(mask: np.ndarray, crop: Crop) -> float:
    """How much of a hole lies in what the network sees."""
    seen = np.zeros(mask.shape, np.uint8)
    cv2.fillConvexPoly(seen, np.rint(corners_of(crop)).astype(np.int32), 1)
    return np.count_nonzero(mask & seen.astype(bool)) / np.count_nonzero(mask)


# --- into the photo -----------------------------------------------------------------------------------------------------------


def fill(rgb: np.ndarray, mask: np.ndarray, image: np.ndarray, crop: Crop) -> np.ndarray:
    """``rgb`` uint8 (H, W, 3) with its hole ``mask`` bool (H, W) filled from ``image`` uint8 (T, T, 3), a result for ``crop``.

    The colours are bent so that they meet the photo's all along the border: x' + m, where m is the difference at the border
    carried on smoothly into the hole. A new array; pixels outside of the hole are the photo's, bit for bit.
    """
    x, y, width, height = _around(mask)
    drawn = over_photo(image.astype(np.float32), crop, (x, y, width, height))
    return _mended(rgb, mask, drawn)


def _mended(rgb: np.ndarray, mask: np.ndarray, drawn: np.ndarray | float) -> np.ndarray:
    """The photo with what was ``drawn`` float32 (h, w, 3) around its hole; a soft patch for a drawing of nothing."""
    x, y, width, height = _around(mask)
    box = slice(y, y + height), slice(x, x + width)
    result, hole = rgb.copy(), mask[box]
    bent = drawn + _carried_on(rgb[box] - np.float32(drawn), ~hole)
    result[box][hole] = np.rint(bent[hole]).clip(0, 255)
    return result


def _around(mask: np.ndarray) -> tuple[int, int, int, int]:
    """The box (x, y, w, h) that holds the hole and a little of what is around it."""
    x, y, width, height = cv2.boundingRect(mask.astype(np.uint8))
    margin = 4 + max(width, height) // 16
    left, top = max(0, x - margin), max(0, y - margin)
    right, bottom = min(mask.shape[1], x + width + margin), min(mask.shape[0], y + height + margin)
    return left, top, right - left, bottom - top


def _carried_on(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """``values`` float32 (h, w, 3) where they are ``known`` (h, w), and elsewhere a membrane hung between them, as Poisson
    blending hangs it (Perez et al. 2003): each level of a pyramid begins with what the coarser one says, then settles."""
    return _settled(values * known[:, :, None], known.astype(np.float32))


def _settled(weighted: np.ndarray, weights: np.ndarray) -> np.ndarray:
    own = weighted / np.maximum(weights, 1e-6)[:, :, None]
    if weights.min() >= 1 or max(weights.shape) <= 2:
        return own
    coarse = _settled(cv2.pyrDown(weighted), cv2.pyrDown(weights))
    sure = np.minimum(weights, 1)[:, :, None]
    membrane = cv2.pyrUp(coarse, dstsize=weights.shape[::-1])
    for _ in range(SWEEPS):  # of Jacobi's method for Laplace's equation
        membrane = cv2.filter2D(sure * own + (1 - sure) * membrane, -1, NEIGHBOURS, borderType=cv2.BORDER_REPLICATE)
    return sure * own + (1 - sure) * membrane


def _blanked(rgb: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The photo with one colour for its hole, so that nothing of what is hidden is seen."""
    result = rgb.copy()
    result[mask] = np.uint8(cv2.mean(rgb, (~mask).astype(np.uint8))[:3])
    return result


# --- recipes ------------------------------------------------------------------------------------------------------------------


def request_from_recipe(recipe: Recipe, photos: Sequence[Photo]) -> InpaintRequest:
    """The request that made a result, from its recipe and the photos that are at hand (others may be among them).

    Raises:
        ValueError: the recipe belongs to another tab or verb or is damaged, or the photo is missing: the message names it.
    """
    if (recipe.tab, recipe.verb) != ("morph", "inpaint"):
        raise ValueError(f"This picture was made on the tab {recipe.tab}: use it there.")
    asked, given = recipe.parameters, photos_of(recipe, photos)
    if len(given) != 1:
        raise ValueError("The recipe of a filled hole names one photo: this one is damaged.")
    (face,), frame = faces_of(recipe), asked.get("frame", "auto")
    return InpaintRequest(
        photo=given[0],
        mask=unpack_mask(asked.get("mask", ""), given[0].rgb.shape[:2]),
        domain=asked.get("domain", "faces"),
        iterations=asked.get("iterations", ITERATIONS),
        candidates=asked.get("candidates", CANDIDATES),
        condition=asked.get("condition", {}),
        seed=recipe.seed,
        face=None if frame == "centre" else face,
        frame=frame,
    )


def pack_mask(mask: np.ndarray) -> str:
    """A mask bool (H, W) as text for a recipe. Raises ``ValueError`` if it is too ragged for one."""
    bits = np.packbits(mask, axis=1)
    bits[1:] ^= bits[:-1].copy()  # what is the same in two rows is nothing
    text = base64.b64encode(zlib.compress(bits.tobytes(), 9)).decode()
    if len(text) > MAX_MASK:
        raise ValueError("This mask has too many small holes to be kept with the picture: paint it with a larger brush.")
    return text


def unpack_mask(text: object, shape: tuple[int, ...]) -> np.ndarray:
    """The mask bool ``shape`` that :func:`pack_mask` wrote, from untrusted text. Raises ``ValueError``."""
    height, width = shape
    size = height * ((width + 7) // 8)
    try:
        unzip = zlib.decompressobj()
        data = unzip.decompress(base64.b64decode(str(text)[: 2 * MAX_MASK], validate=True), size + 1)
    except (binascii.Error, zlib.error) as error:
        raise ValueError("The mask in this recipe is damaged: paint the hole again.") from error
    if len(data) != size:
        raise ValueError("The mask in this recipe is not of this photo: paint the hole again.")
    rows = np.bitwise_xor.accumulate(np.frombuffer(data, np.uint8).reshape(height, -1), axis=0)
    return np.unpackbits(rows, axis=1, count=width).astype(bool)


def _recipe(networks: Networks, request: InpaintRequest, view: View) -> Recipe:
    settings = {
        "domain": request.domain,
        "mask": pack_mask(request.mask),
        "iterations": request.iterations,
        "candidates": request.candidates,
        "condition": by_label(networks, request.condition),
        "frame": request.frame,
        "paste": True,
    }
    return recipe_of("inpaint", networks, settings, request.seed, inputs_of((request.photo,), (view.eyes,)))
