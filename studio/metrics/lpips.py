"""Perceptual distance between pictures (LPIPS; Zhang et al. 2018, eq. 1) on the features of one of the studio's judges.

    d(x, y) = sum_l 1 / (H_l W_l) sum_hw || f_l(x)_hw - f_l(y)_hw ||^2

with feature vectors f_l normalised to unit length over their channels. The channels weigh the same (w_l = 1), as no human
judgements were collected to fit them: distances compare with one another, not with published LPIPS figures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

# As in the authors' implementation; a map that is silent everywhere stays zero.
EPSILON = 1e-10


def feature_maps(answer: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """The maps "features_0", "features_1" ... of a judge's answer in their order, each (N, C, H, W)."""
    names = sorted((name for name in answer if name.startswith("features_")), key=lambda name: int(name.split("_")[1]))
    if not names:
        raise ValueError("This judge gives no features to measure distances with.")
    return [answer[name] for name in names]


def normalise(features: np.ndarray) -> np.ndarray:
    """``features`` (N, C, H, W) with unit length over the channels at each place, float32."""
    features = features.astype(np.float32, copy=False)
    return features / (np.sqrt(np.einsum("nchw,nchw->nhw", features, features))[:, None] + EPSILON)


def distance(first: Sequence[np.ndarray], second: Sequence[np.ndarray]) -> np.ndarray:
    """Distance of each pair: two lists over layers of maps (N, C_l, H_l, W_l) -> (N,)."""
    total = np.zeros(len(first[0]))
    for a, b in zip(first, second, strict=True):
        total += np.square(normalise(a) - normalise(b)).sum(axis=1, dtype=np.float64).mean(axis=(1, 2))
    return total


def mean_pairwise(features: Sequence[np.ndarray]) -> float:
    """Mean distance over all pairs of N pictures, given as a list over layers of maps (N, C_l, H_l, W_l).

    Takes O(N) instead of O(N^2): the squared distances of N vectors sum to N sum_i |v_i|^2 - |sum_i v_i|^2 over their pairs.

    Raises:
        ValueError: there are fewer than two pictures.
    """
    count = len(features[0])
    if count < 2:
        raise ValueError("A mean distance needs at least two pictures.")
    total = 0.0
    for maps in features:
        unit = normalise(maps)
        squares = np.square(unit).sum(dtype=np.float64)
        total += (count * squares - np.square(unit.sum(axis=0, dtype=np.float64)).sum()) / (maps.shape[2] * maps.shape[3])
    return float(2 * total / (count * (count - 1)))
