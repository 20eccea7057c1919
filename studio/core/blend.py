"""Changes enlarged along the edges of the picture they belong to: a fast guided filter (He and Sun 2015; He et al. 2010)."""

from __future__ import annotations

import cv2
import numpy as np

RADIUS = 2  # px of the small picture; windows are 2 r + 1 px wide
EPSILON = 2e-3  # of a luminance in [0, 1]: what varies less than its root is no edge


def luminance(rgb: np.ndarray) -> np.ndarray:
    """The guide of ``rgb`` uint8 (H, W, 3): float32 (H, W) in [0, 1]."""
    return cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY).astype(np.float32) * np.float32(1 / 255)


def coefficients(guide: np.ndarray, change: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients a, b, each float32 (T, T, C): the change is a I + b at every size of the guide I, at its own as it was.

    Within a window the change is taken for a linear function of the guide (He et al. 2010, eq. 5 and 6),

        a_k = cov_k(I, p) / (var_k(I) + epsilon),   b_k = mean_k(p) - a_k mean_k(I),

    and each place takes the mean of a over the windows it is in. The filter takes that of b too, which blurs what the picture has
    no edge for, such as glasses that nobody wore: here b is what a I leaves of the change.

    Args:
        guide: float32 (T, T) in [0, 1], the small picture's luminance I.
        change: float32 (T, T, C), p.
    """
    light = guide[:, :, None]
    mean_i, mean_p = _mean(light), _mean(change)
    slope = _mean((_mean(light * change) - mean_i * mean_p) / (_mean(light * light) - mean_i * mean_i + np.float32(EPSILON)))
    return slope, change - slope * light


def _mean(image: np.ndarray) -> np.ndarray:
    """Means over windows, (T, T, C)."""
    side = 2 * RADIUS + 1
    blurred = cv2.blur(image, (side, side), borderType=cv2.BORDER_REFLECT_101)
    return blurred.reshape(image.shape)
