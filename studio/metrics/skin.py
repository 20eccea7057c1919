"""The colour of skin: what a change does to it, and to whose."""

from __future__ import annotations

import cv2
import numpy as np


def mean_lab(rgb: np.ndarray, where: np.ndarray) -> np.ndarray | None:
    """The mean CIELAB colour (3,) (D65; L* from 0 to 100) of ``rgb`` uint8 (H, W, 3) ``where`` bool (H, W); None if that is
    nowhere."""
    if not where.any():
        return None
    return cv2.cvtColor(rgb[where][None].astype(np.float32) / 255, cv2.COLOR_RGB2LAB)[0].mean(0, dtype=np.float64)


def typology_angle(lab: np.ndarray) -> float:
    """ITA = arctan((L* - 50) / b*) in degrees (Chardon et al. 1991): above 55 very light skin, below -30 dark."""
    return float(np.degrees(np.arctan2(lab[0] - 50, lab[2])))
