"""Where on a face makeup goes, by the classes of the parsing network, and what of a change is the skin's as a whole.

The Makeup tab lays looks on that way, and UDIT's recipe shows them to its critics that way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np

REGIONS = ("lips", "eyes", "skin")
# How far a region reaches beyond its class, of the face frame's side: a lip's contour, and the lids up to the brow.
LIPS_REACH, LIDS_REACH = 0.008, 0.07
CERTAIN = 0.25  # probability from which on a place may belong to the mouth

Classes = Mapping[str, np.ndarray]


def region_mask(classes: Classes, regions: Sequence[str] = REGIONS) -> np.ndarray:
    """How much of a change is laid on where, float32 (R, R) in [0, 1]; ``classes`` are probabilities (R, R) by name.

    Makeup goes on lips, around the eyes and on the skin, never on hair, teeth, eyeballs, clothes or what is behind.
    """
    side = len(classes["skin"])
    face = sum(classes[name] for name in ("skin", "nose", "ears", "brows", "eyes", "lips"))
    lips = _spread(classes["lips"] * _largest(classes["lips"] + classes["mouth"]), LIPS_REACH * side) * (1 - classes["mouth"])
    lids = np.maximum(_spread(classes["eyes"], LIDS_REACH * side), classes["brows"])
    eyes = lids * face * (1 - lips)
    balls = cv2.erode(classes["eyes"], np.ones((3, 3), np.uint8))  # their rims are where lashes and liner are
    masks = {"lips": lips, "eyes": eyes * (1 - balls), "skin": face * (1 - lips) * (1 - eyes)}
    return sum(masks[region] for region in regions).clip(0, 1)


def skin_in(classes: Classes) -> np.ndarray:
    """How much of the skin that a face is known by lies where, (R, R)."""
    return classes["skin"] + classes["nose"]


def cast_of(change: np.ndarray, skin: np.ndarray) -> np.ndarray:
    """The mean of a change (R, R, 3) over the ``skin`` (R, R) of a face, (3,): what it does to the skin as a whole.

    Who is kept keeps the colour of their skin: makeup is what differs from place to place. Photos with makeup are brighter on the
    whole than those without, and a network that learns from both lightens everybody.
    """
    weights = skin[:, :, None]
    return (change * weights).sum((0, 1)) / max(float(weights.sum()), 1e-6)


def without_lattice(change: np.ndarray) -> np.ndarray:
    """A change (R, R, 3) with every pixel mixed with its neighbours as 1, 2, 1 in rows and columns.

    What alternates from pixel to pixel, as it may where a decoder draws four of them for each place, is gone. Edges come from the
    photo that a change is laid on.
    """
    kernel = np.float32([0.25, 0.5, 0.25])
    return cv2.sepFilter2D(change, -1, kernel, kernel, borderType=cv2.BORDER_REPLICATE)


def _largest(chance: np.ndarray) -> np.ndarray:
    """1 in the largest connected part of a class (R, R), else 0: a red thing beside the face is no mouth."""
    count, parts, figures, _ = cv2.connectedComponentsWithStats((chance > CERTAIN).astype(np.uint8))
    largest = 1 + np.argmax(figures[1:, cv2.CC_STAT_AREA]) if count > 1 else -1
    return cv2.dilate((parts == largest).astype(np.float32), np.ones((3, 3), np.uint8))


def _spread(chance: np.ndarray, reach: float) -> np.ndarray:
    """A class (R, R) and what lies up to ``reach`` px around it, fading."""
    size = 2 * round(reach) + 1
    grown = cv2.dilate(chance, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)))
    return cv2.GaussianBlur(grown, (0, 0), max(reach / 2, 0.5))
