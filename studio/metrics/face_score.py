"""score(X) of IAN (section 4, Table 1): the share of pictures in which OpenCV's Viola-Jones detector finds a face.

The detector's settings are part of the measure. They are stated here and are not those of ``core/faces.py``, so that tuning
the studio's face finder never moves a published figure.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np

CASCADE = "haarcascade_frontalface_default.xml"
# The detector's window is 24 px: smaller pictures are enlarged so that a head that fills the frame spans several scales.
MIN_SIDE = 128
SCALE_FACTOR = 1.1
MIN_NEIGHBOURS = 3
# An aligned head fills most of its crop; anything smaller is a texture that happens to trigger the cascade. Measured with
# these settings on 300 photos each at 64 and 128 px: a face in 98 to 99 % of people, in 5 to 6 % of real animals.
MIN_FACE_SHARE = 0.5

_detectors = threading.local()


def has_face(image: np.ndarray) -> bool:
    """Whether Viola-Jones (2001) finds a face in ``image``, uint8 (H, W, 3).

    Raises:
        ValueError: the picture is not uint8 RGB.
    """
    grey = _enlarge(_grey(image))
    smallest = max(1, round(MIN_FACE_SHARE * min(grey.shape)))
    found = _detector().detectMultiScale(
        grey, scaleFactor=SCALE_FACTOR, minNeighbors=MIN_NEIGHBOURS, minSize=(smallest, smallest)
    )
    return len(found) > 0


def face_score(images: Iterable[np.ndarray]) -> float:
    """score(X) of some pictures, each uint8 (H, W, 3): a share in [0, 1].

    Raises:
        ValueError: there are none, or one is not uint8 RGB.
    """
    found = [has_face(image) for image in images]
    if not found:
        raise ValueError("The face score needs at least one picture.")
    return float(np.mean(found))


def _detector() -> cv2.CascadeClassifier:
    """One per thread: a cascade keeps its working buffers inside and is not safe to share."""
    if not hasattr(_detectors, "cascade"):
        _detectors.cascade = cv2.CascadeClassifier(str(Path(cv2.data.haarcascades) / CASCADE))
    return _detectors.cascade


def _grey(image: np.ndarray) -> np.ndarray:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"The face score needs uint8 pictures (H, W, 3), not {image.dtype} {image.shape}.")
    return cv2.equalizeHist(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))


def _enlarge(grey: np.ndarray) -> np.ndarray:
    factor = MIN_SIDE / min(grey.shape)
    if factor <= 1:
        return grey
    return cv2.resize(grey, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
