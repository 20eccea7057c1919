"""Kernel distance between two sets of features (KID; Binkowski et al. 2018, section 4): unbiased for any number of samples."""

from __future__ import annotations

import numpy as np


def polynomial_kernel(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """k(x, y) = (x.y / D + 1)^3 for ``first`` (N, D) and ``second`` (M, D): (N, M)."""
    return (first @ second.T / first.shape[1] + 1) ** 3


def mmd2(first: np.ndarray, second: np.ndarray) -> float:
    """Unbiased squared maximum mean discrepancy (Gretton et al. 2012, eq. 3) of ``first`` (N, D) and ``second`` (M, D).

    Raises:
        ValueError: a set has fewer than two rows, or their widths differ.
    """
    for features in (first, second):
        if features.ndim != 2 or len(features) < 2 or features.shape[1] != first.shape[1]:
            raise ValueError(f"KID needs two sets (N, D) of one width and two rows at least: {first.shape}, {second.shape}.")
    first, second = first.astype(np.float64), second.astype(np.float64)
    within = _off_diagonal_mean(polynomial_kernel(first, first)) + _off_diagonal_mean(polynomial_kernel(second, second))
    return float(within - 2 * polynomial_kernel(first, second).mean())


def kid(first: np.ndarray, second: np.ndarray, subsets: int = 100, subset_size: int = 1000, seed: int = 0) -> tuple[float, float]:
    """Mean and standard deviation of :func:`mmd2` over random subsets of ``first`` (N, D) and ``second`` (M, D).

    Subsets are no larger than the smaller set. Equal seeds give equal figures.
    """
    size = min(subset_size, len(first), len(second))
    draw = np.random.default_rng(seed)
    scores = [
        mmd2(first[draw.choice(len(first), size, replace=False)], second[draw.choice(len(second), size, replace=False)])
        for _ in range(subsets)
    ]
    return float(np.mean(scores)), float(np.std(scores))


def _off_diagonal_mean(kernel: np.ndarray) -> float:
    count = len(kernel)
    return float((kernel.sum() - np.trace(kernel)) / (count * (count - 1)))
