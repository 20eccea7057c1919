"""Faces: found in a photo, aligned to a canonical frame, and pasted back.

Haar cascades propose boxes generously, the landmark network places the eyes and says which proposals are faces.

Coordinates are continuous: pixel i of a row covers i to i + 1, so that a picture's middle is at half its width at any size.
"""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np

from studio.core import blend
from studio.core.images import resize, to_float

# Eye positions (left, right; x, y) of each frame at 128 px. "head" is the central 76 % of "portrait".
FRAMES = {
    "portrait": ((50.1, 65.8), (77.9, 65.8)),
    "head": ((45.7, 66.4), (82.3, 66.4)),
    "face": ((39.6, 40.0), (88.4, 40.0)),
}
FRAME_SIZE = 128

LANDMARKS = "landmarks-64"
CROP_SIDE = 3.3  # of the landmark network's crop, in eye distances
CROP_BELOW = 0.30  # its centre lies so far below the middle of the eyes
BOX_SIDE = CROP_SIDE / 1.3  # what a Haar cascade takes for a face

# The best cascade. The others beside it, rather than after it, would find 3 more faces in 120 photos and 14 that are none.
FRONTAL = "haarcascade_frontalface_alt2.xml"
SECOND_FRONTAL = "haarcascade_frontalface_default.xml"
PROFILE = "haarcascade_profileface.xml"  # knows one direction only
WORK_SIDE = 640  # px, longest side of the picture that the cascades search
SMALL_SIDE = 320  # px, smaller pictures are enlarged to this: the cascades know no face below 24 px
MIN_NEIGHBOURS = 1  # of a cascade's hits; low, because the network sorts them out
MAX_CANDIDATES = 48
MAYBE_LOGIT = 0.0  # of a first, rough look: worth a second one
FACE_LOGIT = 2.0  # of the second look; keeps 98 % of the faces in photos as uploaded, 4 % of animals (benchmarks/faces.py)
WHOLE = "whole"  # the frame of a crop that is all of a picture
BAND = 128  # rows of a photo that are changed at once: more would not fit a core's cache
MAX_SUPERSAMPLED = 4096  # px, side of the largest picture that is averaged down to a crop


class FaceError(ValueError):
    """A photo in which no face can be used; the message is one sentence for the artist."""


class Runs(Protocol):
    """What this module needs of the engine."""

    def run(self, card_id: str, **arrays: np.ndarray) -> Any: ...


@dataclass(frozen=True, eq=False)
class Face:
    """``eyes`` float32 (2, 2): the left and the right one as one looks at the upright face, (x, y) px of the picture;
    ``box`` (x, y, width, height) px, inside the picture; ``score`` in (0, 1), the network's belief that this is a face."""

    eyes: np.ndarray
    box: tuple[int, int, int, int]
    score: float


@dataclass(frozen=True, eq=False)
class Crop:
    """``image`` uint8 (S, S, 3); ``matrix`` float64 (2, 3) takes photo px to crop px; ``frame`` is its name, "centre"
    or "whole"."""

    image: np.ndarray
    matrix: np.ndarray
    frame: str


@dataclass(frozen=True)
class _Square:
    """A square in the photo: centre and side in px, ``angle`` of its upper edge (radians, clockwise on the screen)."""

    x: float
    y: float
    side: float
    angle: float = 0.0

    def matrix(self, size: int) -> np.ndarray:
        """float64 (2, 3) from photo px to the px of a crop of ``size``."""
        scale = size / self.side
        cos, sin = math.cos(self.angle) * scale, math.sin(self.angle) * scale
        return np.array([[cos, sin, size / 2 - cos * self.x - sin * self.y], [-sin, cos, size / 2 + sin * self.x - cos * self.y]])


# --- geometry ---------------------------------------------------------------------------------------------------------


def _apply(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Points (..., 2) through a (2, 3) matrix."""
    return points @ matrix[:, :2].T + matrix[:, 2]


def _rescaled(matrix: np.ndarray, factor: float) -> np.ndarray:
    """The matrix to a crop ``factor`` times as large."""
    return matrix * factor


def _for_opencv(matrix: np.ndarray) -> np.ndarray:
    """OpenCV puts pixel centres on whole numbers, half a pixel off from ours."""
    matrix = matrix.copy()
    matrix[:, 2] += matrix[:, :2] @ (0.5, 0.5) - 0.5
    return matrix


def _warp(rgb: np.ndarray, matrix: np.ndarray, size: int) -> np.ndarray:
    """The square of ``rgb`` that ``matrix`` (photo to crop of ``size``) describes; reflected beyond the border.

    A photo larger than its crop is sampled as finely as it is and averaged, so that nothing aliases.
    """
    scale = math.hypot(matrix[0, 0], matrix[1, 0])
    finer = max(1, min(math.ceil(1 / scale - 0.05), MAX_SUPERSAMPLED // size))  # a twentieth too coarse is not seen
    full = cv2.warpAffine(
        rgb,
        _for_opencv(_rescaled(matrix, finer)),
        (size * finer, size * finer),
        flags=cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REFLECT_101,
    )
    return full if finer == 1 else cv2.resize(full, (size, size), interpolation=cv2.INTER_AREA)


def align(rgb: np.ndarray, eyes: np.ndarray, frame: str, size: int) -> Crop:
    """The face with these eyes in the canonical ``frame`` ("portrait", "head" or "face").

    Args:
        rgb: uint8 (H, W, 3).
        eyes: (2, 2), left and right, (x, y) px of the photo.
        size: side of the crop, px.

    Raises:
        FaceError: the eyes are in one place.
    """
    source = np.asarray(eyes, np.float64) @ (1, 1j)
    target = np.array(FRAMES[frame]) @ (1, 1j) * (size / FRAME_SIZE)
    if not abs(source[1] - source[0]) >= 2:
        raise FaceError("The two eyes are in the same place: click the left one and then the right one.")
    turn = (target[1] - target[0]) / (source[1] - source[0])
    shift = target[0] - turn * source[0]
    matrix = np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])
    return Crop(_warp(rgb, matrix, size), matrix, frame)


def align_centre(rgb: np.ndarray, size: int) -> Crop:
    """The largest square in the middle of ``rgb`` uint8 (H, W, 3), at ``size`` px: for photos without a face."""
    height, width = rgb.shape[:2]
    return align_square(rgb, width / 2, height / 2, min(height, width), size)


def align_whole(rgb: np.ndarray, size: int) -> Crop:
    """All of ``rgb`` uint8 (H, W, 3) as a square of ``size`` px, stretched where it is none. What is laid on there reaches the
    picture's borders."""
    height, width = rgb.shape[:2]
    return Crop(resize(rgb, size), np.array([[size / width, 0, 0], [0, size / height, 0]]), WHOLE)


def align_square(rgb: np.ndarray, x: float, y: float, side: float, size: int) -> Crop:
    """An upright square of ``rgb`` uint8 (H, W, 3) by its centre and ``side`` in px, at ``size`` px."""
    matrix = _Square(x, y, side).matrix(size)
    return Crop(_warp(rgb, matrix, size), matrix, "centre")


def warp_mask(mask: np.ndarray, crop: Crop) -> np.ndarray:
    """How much of each pixel of ``crop`` lies in ``mask`` bool (H, W), which is of the photo: float32 (S, S) in [0, 1]."""
    return _warp(mask.astype(np.uint8) * 255, crop.matrix, len(crop.image)).astype(np.float32) / 255


def corners_of(crop: Crop) -> np.ndarray:
    """The corners of ``crop`` in the photo, clockwise from the upper left, (x, y) px: (4, 2)."""
    size = crop.image.shape[0]
    return _apply(cv2.invertAffineTransform(crop.matrix), np.array([[0, 0], [size, 0], [size, size], [0, size]], float))


@lru_cache(maxsize=1)
def _mask() -> np.ndarray:
    """float32 (256, 256): 1 inside a square with round corners, falling smoothly to 0 at the border of the crop."""
    axis = np.abs((np.arange(256) + 0.5) / 128 - 1)
    radius = (axis[:, None] ** 4 + axis[None] ** 4) ** 0.25
    ramp = ((0.98 - radius) / 0.28).clip(0, 1)
    return (ramp * ramp * (3 - 2 * ramp)).astype(np.float32)


def paste_back(rgb: np.ndarray, image: np.ndarray, crop: Crop) -> np.ndarray:
    """``rgb`` uint8 (H, W, 3) with ``image`` uint8 (T, T, 3), a result for ``crop`` of any size T, blended in where the crop was
    taken. A new array; pixels outside the crop are those of the photo, bit for bit."""
    result, region = rgb.copy(), region_of(crop, rgb.shape)
    if region is None:
        return result
    new, mask = over_photo(image, crop, region), _fading(crop, region)
    old = _part(rgb, region)
    _part(result, region)[:] = cv2.blendLinear(np.ascontiguousarray(old), new, 1 - mask, mask)
    return result


def lay_on(rgb: np.ndarray, change: np.ndarray, crop: Crop) -> np.ndarray:
    """``rgb`` uint8 (H, W, 3) with ``change`` float32 (T, T, 3) in eight-bit levels added where ``crop`` was taken, fading to the
    crop's border: the photo keeps its own detail. A new array; pixels where nothing changes are the photo's, bit for bit."""
    result, region = rgb.copy(), region_of(crop, rgb.shape)
    if region is not None:
        amounts = over_photo(change, crop, region) * _fading(crop, region)[:, :, None]
        _part(result, region)[:] = np.rint(_part(rgb, region) + amounts).clip(0, 255)
    return result


def lay_on_edges(rgb: np.ndarray, change: np.ndarray, crop: Crop) -> np.ndarray:
    """As :func:`lay_on`, but the ``change`` float32 (S, S, 3), as large as ``crop``, is enlarged along the edges of the photo
    (:mod:`studio.core.blend`), so that colours end where lips, lids and hair do, however fine the photo is."""
    result, region = rgb.copy(), region_of(crop, rgb.shape)
    if region is None:
        return result
    slope, offset = blend.coefficients(blend.luminance(crop.image), change)
    left, top, width, height = region
    for y in range(top, top + height, BAND):
        band = left, y, width, min(BAND, top + height - y)
        old = _part(rgb, band)
        light = blend.luminance(np.ascontiguousarray(old))[:, :, None]
        amounts = (over_photo(slope, crop, band) * light + over_photo(offset, crop, band)) * _fading(crop, band)[:, :, None]
        _part(result, band)[:] = np.rint(old + amounts).clip(0, 255)
    return result


def within(crop: Crop, outer: Crop) -> Crop:
    """``crop`` as one of the picture ``outer``, another crop of the same photo."""
    inner, back = (np.vstack([m, (0, 0, 1)]) for m in (crop.matrix, cv2.invertAffineTransform(outer.matrix)))
    return Crop(crop.image, (inner @ back)[:2], crop.frame)


def region_of(crop: Crop, shape: tuple[int, ...]) -> tuple[int, int, int, int] | None:
    """The upright box (x, y, w, h) px of a photo of ``shape`` that holds the ``crop``; None if they have nothing in common."""
    corners = corners_of(crop)
    left, top = np.maximum(np.floor(corners.min(0)), 0).astype(int)
    right, bottom = np.minimum(np.ceil(corners.max(0)), shape[1::-1]).astype(int)
    return None if right <= left or bottom <= top else (int(left), int(top), int(right - left), int(bottom - top))


def over_photo(image: np.ndarray, crop: Crop, region: tuple[int, int, int, int]) -> np.ndarray:
    """``image`` (T, T, ...), a result for ``crop`` of any size T, as it lies over ``region`` (x, y, w, h) px of the photo; beyond
    the crop its border goes on."""
    size = crop.image.shape[0]
    side = max(1, round(size / np.hypot(*crop.matrix[:, :2]).max()))
    if image.shape[0] > side:  # a result finer than the photo would alias
        image = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
    return _unwarp(image, crop.matrix / size, region, cv2.INTER_CUBIC, cv2.BORDER_REPLICATE)


def _fading(crop: Crop, region: tuple[int, int, int, int]) -> np.ndarray:
    """How much of a result is seen over ``region`` px of the photo, float32 (h, w)."""
    if crop.frame == WHOLE:
        return np.ones(region[:1:-1], np.float32)
    return _unwarp(_mask(), crop.matrix / crop.image.shape[0], region, cv2.INTER_LINEAR, cv2.BORDER_CONSTANT)


def _part(rgb: np.ndarray, region: tuple[int, int, int, int]) -> np.ndarray:
    x, y, width, height = region
    return rgb[y : y + height, x : x + width]


def _unwarp(image: np.ndarray, to_unit: np.ndarray, region: tuple[int, ...], interpolation: int, border: int) -> np.ndarray:
    """``image``, which fills the unit square of ``to_unit`` (photo px to [0, 1]), as it lies over ``region`` (x, y, w, h) of the
    photo."""
    x, y, width, height = region
    matrix = _rescaled(to_unit, image.shape[0])
    matrix[:, 2] += matrix[:, :2] @ (x, y)
    flags = interpolation | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(image, _for_opencv(matrix), (width, height), flags=flags, borderMode=border)


# --- search -----------------------------------------------------------------------------------------------------------

_HAAR = threading.Lock()  # a cascade keeps the picture it works on


@cache
def _cascade(name: str) -> cv2.CascadeClassifier:
    return cv2.CascadeClassifier(str(Path(cv2.data.haarcascades) / name))


def _hits(grey: np.ndarray, name: str) -> list[tuple[int, tuple[int, int, int, int]]]:
    """(number of neighbouring hits, box) for each face that a cascade sees in ``grey`` uint8 (h, w)."""
    with _HAAR:
        boxes, counts = _cascade(name).detectMultiScale2(grey, scaleFactor=1.1, minNeighbors=MIN_NEIGHBOURS, minSize=(24, 24))
    return [(int(count), tuple(int(v) for v in box)) for count, box in zip(counts, boxes, strict=True)]


def _frontal(grey: np.ndarray) -> list[tuple[int, tuple[int, int, int, int]]]:
    """As ``_hits``, of the best cascade."""
    return _hits(grey, FRONTAL)


def _others(grey: np.ndarray) -> list[tuple[int, tuple[int, int, int, int]]]:
    """As ``_hits``, of all other cascades: a second one for faces from the front, and both profiles."""
    mirrored = [(n, (grey.shape[1] - x - w, y, w, h)) for n, (x, y, w, h) in _hits(np.fliplr(grey).copy(), PROFILE)]
    return _hits(grey, SECOND_FRONTAL) + _hits(grey, PROFILE) + mirrored


def _overlap(a: tuple[int, ...], b: tuple[int, ...]) -> float:
    """Intersection over union of two boxes."""
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    common = max(width, 0) * max(height, 0)
    return common / (a[2] * a[3] + b[2] * b[3] - common)


def _distinct(hits: list[tuple[int, tuple[int, int, int, int]]]) -> list[tuple[int, int, int, int]]:
    """Non-maximum suppression: of overlapping boxes the one with most hits."""
    kept: list[tuple[int, int, int, int]] = []
    for _, box in sorted(hits, reverse=True):
        if all(_overlap(box, other) < 0.5 for other in kept):
            kept.append(box)
    return kept[:MAX_CANDIDATES]


def _work_picture(rgb: np.ndarray) -> np.ndarray:
    """Grey uint8 (h, w), equalised, of a size at which the cascades are quick and see small faces."""
    longest = max(rgb.shape[:2])
    scale = min(WORK_SIDE / longest, 1) if longest >= SMALL_SIDE else SMALL_SIDE / longest
    size = (max(1, round(rgb.shape[1] * scale)), max(1, round(rgb.shape[0] * scale)))
    small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    return cv2.equalizeHist(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY))


def _squares(boxes: list[tuple[int, int, int, int]], turns: int, turned: tuple[int, ...], scale: float) -> list[_Square]:
    """The network's crops, in photo px, for boxes found in a work picture of shape ``turned`` that had been turned
    counter-clockwise ``turns`` times and is ``scale`` times as large as the photo."""
    squares = []
    for x, y, w, h in boxes:
        x, y, height, width = x + w / 2, y + h / 2, *turned
        for _ in range(turns):  # back by a quarter: the point that was the right edge is the lower one's
            x, y, width, height = height - y, x, height, width
        squares.append(_Square(x / scale, y / scale, 1.3 * max(w, h) / scale, turns * math.pi / 2))
    return squares


def _look(engine: Runs, rgb: np.ndarray, squares: list[_Square]) -> tuple[np.ndarray, np.ndarray]:
    """What the network sees in each square: eyes float64 (B, 2, 2) in photo px, and the logit (B,) that it is a face."""
    matrices = [square.matrix(64) for square in squares]
    answer = engine.run(LANDMARKS, image=np.stack([to_float(_warp(rgb, matrix, 64)) for matrix in matrices]))
    back = [cv2.invertAffineTransform(matrix) for matrix in matrices]
    eyes = np.stack([_apply(m, e.astype(np.float64) * 64) for m, e in zip(back, answer["eyes"], strict=True)])
    return eyes, np.asarray(answer["face"], np.float64)


def _around(eyes: np.ndarray) -> _Square:
    """The upright crop of the network for eyes (2, 2)."""
    (dx, dy), (x, y) = eyes[1] - eyes[0], eyes.mean(0)
    return _Square(x - CROP_BELOW * dy, y + CROP_BELOW * dx, CROP_SIDE * max(math.hypot(dx, dy), 1), math.atan2(dy, dx))


def _judge(engine: Runs, rgb: np.ndarray, squares: list[_Square]) -> list[Face]:
    """The faces among the candidates: one look at all of them, a second one, upright, at those that may be faces."""
    if not squares:
        return []
    eyes, logits = _look(engine, rgb, squares)
    likely = [_around(e) for e, logit in zip(eyes, logits, strict=True) if logit > MAYBE_LOGIT]
    if not likely:
        return []
    eyes, logits = _look(engine, rgb, likely)
    faces: list[Face] = []
    for i in np.argsort(-logits):
        if logits[i] > FACE_LOGIT and not any(_same(eyes[i], face.eyes) for face in faces):
            faces.append(_face(eyes[i], float(logits[i]), rgb.shape))
    return faces


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two pairs of eyes can only be one face."""
    distances = [np.linalg.norm(eyes[1] - eyes[0]) for eyes in (a, b)]
    return float(np.linalg.norm(a.mean(0) - b.mean(0))) < 0.8 * max(distances)


def _face(eyes: np.ndarray, logit: float, shape: tuple[int, ...]) -> Face:
    square = _around(eyes)
    side = square.side / CROP_SIDE * BOX_SIDE
    left, top = max(0, round(square.x - side / 2)), max(0, round(square.y - side / 2))
    right, bottom = min(shape[1], round(square.x + side / 2)), min(shape[0], round(square.y + side / 2))
    return Face(eyes.astype(np.float32), (left, top, right - left, bottom - top), 1 / (1 + math.exp(-logit)))


def _in_view(face: Face, shape: tuple[int, ...]) -> bool:
    return bool(((face.eyes >= 0) & (face.eyes <= (shape[1], shape[0]))).all())


def find_faces(engine: Runs, rgb: np.ndarray) -> tuple[Face, ...]:
    """The faces of ``rgb`` uint8 (H, W, 3), largest first; none is an empty tuple.

    Only where the best cascade leads to none are the others asked, and then the photo is looked at on its sides and its head.

    Raises:
        CheckpointError: the landmark network is not there.
    """
    upright = _work_picture(rgb)
    scale = upright.shape[1] / rgb.shape[1]
    for search, turns in ((_frontal, 0), (_others, 0), (_frontal, 1), (_frontal, 3), (_frontal, 2)):
        grey = np.rot90(upright, turns).copy()
        faces = _judge(engine, rgb, _squares(_distinct(search(grey)), turns, grey.shape, scale))
        if faces := [face for face in faces if _in_view(face, rgb.shape)]:
            return tuple(sorted(faces, key=lambda face: -float(np.linalg.norm(face.eyes[1] - face.eyes[0]))))
    return ()
