"""The density of codes (Kilcher et al. 2017, section 3.2): a Gaussian kernel on every code, on a broader background.

    p(z) = (1 - b) 1/N sum_i N(z; z_i, h^2 I) + b N(z; mean, diag(variance))

The bandwidth h decides between memory and generalisation: a small one gives the codes back, a large one what lies between them.
The background is the Gaussian of all codes, which keeps p from being nothing where no code is near.

Codes are arrays of any one shape; all of their numbers together are one point.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch

BANDWIDTHS = 25
# The grid of bandwidths, as shares of the codes' deviation per dimension: from copies of codes to one cloud.
MEMORISE, GENERALISE = 0.02, 2.0
CHUNK = 256  # points whose distances to all codes are held at once


@dataclass(frozen=True, eq=False)
class KDE:
    """A density over codes.

    Args:
        codes: (N, ...).
        bandwidth: h, in the codes' own units.
        background: b, the share of the Gaussian of all codes, in [0, 1).

    Raises:
        ValueError: a bandwidth that is not above 0, a share outside [0, 1), fewer than two codes.
    """

    codes: np.ndarray
    bandwidth: float
    background: float = 0.0

    def __post_init__(self) -> None:
        if not self.bandwidth > 0:
            raise ValueError("Set the bandwidth to a number above 0.")
        if not 0 <= self.background < 1:
            raise ValueError("Set the background's share from 0 up to, but not including, 1.")
        if len(self.codes) < 2:
            raise ValueError("A density needs at least two codes: add some.")

    def log_density(self, points: np.ndarray) -> np.ndarray:
        """log p of points (M, ...), in nats: float64 (M,)."""
        points = _flat(points)
        return np.concatenate([_log_sum(self._terms(chunk)) for chunk in _chunks(points)])

    def gradient(self, points: np.ndarray) -> np.ndarray:
        """grad log p at points (M, ...): float64, of their shape. The weight of each component times the way to its centre."""
        flat = _flat(points)
        return np.concatenate([self._gradient(chunk) for chunk in _chunks(flat)]).reshape(np.shape(points))

    def sample(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """Draws (count, ...) in float32: a code, moved by the kernel; or the background's."""
        mean, variance = self._moments
        centres, noise = self._points[rng.integers(len(self._points), size=count)], rng.standard_normal((count, len(mean)))
        broad = rng.random(count)[:, None] < self.background
        drawn = np.where(broad, mean + np.sqrt(variance) * noise, centres + self.bandwidth * noise)
        return drawn.reshape(count, *np.shape(self.codes)[1:]).astype(np.float32)

    @cached_property
    def _points(self) -> np.ndarray:
        return _flat(self.codes)

    @cached_property
    def _moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Of the background: the mean, and the variance of each dimension, at least the kernel's."""
        return self._points.mean(0), np.maximum(self._points.var(0), self.bandwidth**2)

    def _terms(self, points: np.ndarray) -> np.ndarray:
        """The logarithm of every component's share of p at points (M, D): (M, N), or (M, N + 1) with the background last."""
        size = points.shape[1]
        apart = torch.cdist(torch.from_numpy(points), torch.from_numpy(self._points)).square().numpy()
        scale = np.log1p(-self.background) - np.log(len(self._points)) - size * np.log(self.bandwidth * np.sqrt(2 * np.pi))
        near = scale - apart / (2 * self.bandwidth**2)
        if not self.background:
            return near
        mean, variance = self._moments
        broad = -0.5 * (np.square(points - mean) / variance + np.log(2 * np.pi * variance)).sum(1)
        return np.concatenate([near, np.log(self.background) + broad[:, None]], axis=1)

    def _gradient(self, points: np.ndarray) -> np.ndarray:
        terms = self._terms(points)
        weights = np.exp(terms - _log_sum(terms)[:, None])
        near = weights[:, : len(self._points)]
        towards = (near @ self._points - near.sum(1, keepdims=True) * points) / self.bandwidth**2
        if self.background:
            mean, variance = self._moments
            towards += weights[:, -1:] * (mean - points) / variance
        return towards


def bandwidths(codes: np.ndarray, count: int = BANDWIDTHS) -> np.ndarray:
    """A grid (count,) of bandwidths for codes (N, ...), evenly spaced in their logarithm, from memory to generalisation."""
    deviation = np.sqrt(_flat(codes).var(0).mean())
    if not deviation > 0:
        raise ValueError("These codes are all the same one: add others.")
    return deviation * np.geomspace(MEMORISE, GENERALISE, count)


def holdout_likelihood(codes: np.ndarray, held_out: np.ndarray, grid: np.ndarray, background: float = 0.0) -> np.ndarray:
    """The mean log density (nats per code) of ``held_out`` codes (M, ...) for each bandwidth of ``grid`` (K,): (K,).

    The curve of the paper's figure 10.
    """
    density = KDE(codes, float(grid[0]), background)
    return np.array([replace(density, bandwidth=float(h)).log_density(held_out).mean() for h in grid])


def best_bandwidth(codes: np.ndarray, held_out: np.ndarray, background: float = 0.0) -> float:
    """The bandwidth of the grid under which codes that the density has not seen are the most likely."""
    grid = bandwidths(codes)
    return float(grid[holdout_likelihood(codes, held_out, grid, background).argmax()])


def _flat(points: np.ndarray) -> np.ndarray:
    return np.asarray(points, np.float64).reshape(len(points), -1)


def _chunks(points: np.ndarray) -> Iterator[np.ndarray]:
    return (points[start : start + CHUNK] for start in range(0, len(points), CHUNK))


def _log_sum(terms: np.ndarray) -> np.ndarray:
    """log sum exp over the last axis."""
    most = terms.max(1)
    return most + np.log(np.exp(terms - most[:, None]).sum(1))
