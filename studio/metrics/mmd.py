"""The two-sample test of Generator Reversal (Kilcher et al. 2017, section 4): are two sets of codes from one distribution?

    MMD^2_u = 1 / (m (m - 1)) sum_{i != j} [ k(x_i, x_j) + k(y_i, y_j) - k(x_i, y_j) - k(x_j, y_i) ]        (eq. 3)

with a Gaussian kernel k(x, y) = exp(-gamma |x - y|^2). The paper's "bandwidth of 0.0001" is read as gamma: taken for a length it
would make the kernel of any two codes exactly 0.
"""

from __future__ import annotations

import numpy as np
import torch

GAMMA, THRESHOLD = 1e-4, 1e-4  # appendix A


def squared_distances(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """|x - y|^2 of ``first`` (N, D) and ``second`` (M, D): float64 (N, M)."""
    return torch.cdist(*(torch.as_tensor(rows, dtype=torch.float64) for rows in (first, second))).square().numpy()


def rbf_kernel(first: np.ndarray, second: np.ndarray, gamma: float) -> np.ndarray:
    """exp(-gamma |x - y|^2): (N, M)."""
    return np.exp(-gamma * squared_distances(first, second))


def mmd2(first: np.ndarray, second: np.ndarray, gamma: float = GAMMA) -> float:
    """Eq. 3 of two sets (m, D) of equal size; unbiased, so that it may be negative.

    Raises:
        ValueError: the sets are not of one shape, or have fewer than two rows.
    """
    return _estimate(_joint_kernel(first, second, gamma), np.arange(2 * len(first)))


def permutation_threshold(
    first: np.ndarray, second: np.ndarray, gamma: float = GAMMA, level: float = 0.05, permutations: int = 200, seed: int = 0
) -> float:
    """What :func:`mmd2` exceeds with probability ``level`` if both sets are of one distribution: the quantile over random
    ways to deal the rows out to two sets (Gretton et al. 2012, section 5)."""
    kernel, draw = _joint_kernel(first, second, gamma), np.random.default_rng(seed)
    return float(np.quantile([_estimate(kernel, draw.permutation(len(kernel))) for _ in range(permutations)], 1 - level))


def median_gamma(first: np.ndarray, second: np.ndarray) -> float:
    """The kernel that falls to 1/e at the median distance of two rows, where the codes' scale is not known beforehand."""
    both = np.concatenate([first, second])
    apart = squared_distances(both, both)[np.triu_indices(len(both), 1)]
    return float(1 / max(np.median(apart), np.finfo(np.float64).tiny))


def _joint_kernel(first: np.ndarray, second: np.ndarray, gamma: float) -> np.ndarray:
    if first.shape != second.shape or first.ndim != 2 or len(first) < 2:
        raise ValueError(f"MMD needs two sets (m, D) of one shape and two rows at least: {first.shape}, {second.shape}.")
    both = np.concatenate([first, second])
    return rbf_kernel(both, both, gamma)


def _estimate(kernel: np.ndarray, order: np.ndarray) -> float:
    """Eq. 3 if the rows are dealt out in this order: the first half is x, the second y."""
    x, y = np.split(order, 2)
    terms = kernel[np.ix_(x, x)] + kernel[np.ix_(y, y)] - kernel[np.ix_(x, y)] - kernel[np.ix_(y, x)]
    return float((terms.sum() - np.trace(terms)) / (len(x) * (len(x) - 1)))
