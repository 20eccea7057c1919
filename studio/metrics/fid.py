"""Frechet distance between two sets of features (FID; Heusel et al. 2017, eq. 6).

    d^2 = |m_1 - m_2|^2 + tr(C_1 + C_2 - 2 (C_1 C_2)^(1/2))

The features come from the studio's own judges, so the figures compare with one another, not with Inception's.
"""

from __future__ import annotations

import numpy as np


def frechet_distance(first: np.ndarray, second: np.ndarray) -> float:
    """The squared Frechet distance of Gaussians fitted to ``first`` (N, D) and ``second`` (M, D); 0 for equal moments.

    It is biased for few samples (less than some tens of D): prefer :func:`studio.metrics.kid.kid` there.

    Raises:
        ValueError: a set has fewer than two rows, or their widths differ.
    """
    for features in (first, second):
        if features.ndim != 2 or len(features) < 2 or features.shape[1] != first.shape[1]:
            raise ValueError(f"FID needs two sets (N, D) of one width and two rows at least: {first.shape}, {second.shape}.")
    mean_1, cov_1 = _moments(first)
    mean_2, cov_2 = _moments(second)
    # tr (C1 C2)^(1/2) = tr (C1^(1/2) C2 C1^(1/2))^(1/2), whose matrix is symmetric: real roots even where C1 is singular.
    root_1 = _symmetric_root(cov_1)
    cross = np.sqrt(np.clip(np.linalg.eigvalsh(root_1 @ cov_2 @ root_1), 0, None)).sum()
    return float(np.square(mean_1 - mean_2).sum() + np.trace(cov_1) + np.trace(cov_2) - 2 * cross)


def _moments(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    features = features.astype(np.float64)
    return features.mean(axis=0), np.atleast_2d(np.cov(features, rowvar=False))


def _symmetric_root(matrix: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
