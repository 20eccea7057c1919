"""err of IAN (section 5.1, Table 1): how far a sample is from the training picture it is nearest to, in pixels.

    err(x) = |x - NN(x)|_2 / J,   J = mean over noise n and training pictures t of |n - t|_2

0 is a training picture, 1 no nearer to one than uniform noise. A blurred picture is near to many: compare with the err of
photographs on which nothing was trained.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import cached_property

import numpy as np

BLOCK = 4  # px; means over blocks are what the search looks at first
CHUNK = 256  # pictures that are compared in full at once
NOISE = 64  # pictures of noise that J is taken over
TOLERANCE = 1e-4  # what float32 may have lost of a squared distance


class TrainingPictures:
    """Pictures that samples are compared with.

    Args:
        images: uint8 (M, S, S, 3), S a multiple of ``BLOCK``.

    Raises:
        ValueError: there are none, or they are of another kind.
    """

    def __init__(self, images: np.ndarray):
        if images.dtype != np.uint8 or images.ndim != 4 or not len(images) or images.shape[1] % BLOCK:
            raise ValueError(f"The nearest picture is searched among uint8 (M, S, S, 3), not {images.dtype} {images.shape}.")
        self.images = np.ascontiguousarray(images)
        self._coarse, self._fine = _project(self.images)
        self._squares = np.square(self._coarse).sum(axis=1)

    def distances(self, queries: np.ndarray) -> np.ndarray:
        """Euclidean distance of each of ``queries``, uint8 (N, S, S, 3), to its nearest picture, on pixels in [-1, 1]: (N,)."""
        with ThreadPoolExecutor() as threads:  # numpy lets go of the interpreter while it computes
            return np.concatenate(list(threads.map(self._distances, _parts(queries))))

    def error(self, queries: np.ndarray) -> np.ndarray:
        """err of each of ``queries``, uint8 (N, S, S, 3): (N,)."""
        return self.distances(queries) / self.noise_distance

    @cached_property
    def noise_distance(self) -> float:
        """J: the mean distance of uniform noise."""
        noise = np.random.default_rng(0).uniform(-1, 1, (NOISE, self.images[0].size)).astype(np.float32)
        sums = [_lengths(noise, part).sum() for part in _parts(self.images)]
        return float(sum(sums) / (NOISE * len(self.images)))

    def _distances(self, queries: np.ndarray) -> np.ndarray:
        coarse, fine = _project_part(queries)
        bounds = np.square(coarse).sum(axis=1)[:, None] + self._squares - 2 * coarse @ self._coarse.T
        bounds += np.square(fine[:, None] - self._fine)
        return np.array([self._nearest(query, row) for query, row in zip(queries, bounds, strict=True)])

    def _nearest(self, query: np.ndarray, bounds: np.ndarray) -> float:
        """The exact distance. ``bounds`` (M,) are below the squared distances, so most pictures need no look."""
        query = _values(query[None])
        first = bounds.argmin()
        best = self._least(query, self.images[first : first + 1])
        for near in _parts(np.flatnonzero(bounds <= best * (1 + TOLERANCE))):
            best = min(best, self._least(query, self.images[near]))
        return float(np.sqrt(best))

    @staticmethod
    def _least(query: np.ndarray, images: np.ndarray) -> float:
        """The squared distance of the nearest of them."""
        return float(np.square(_values(images) - query).sum(axis=1).min())


def _project(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Block means (M, D), scaled so that their distances are part of the pictures', and the length of all they leave out (M,).

    With |a - b| for two such lengths the rest of a distance is bounded from below too: |x - y| >= ||x| - |y||.
    """
    parts = [_project_part(part) for part in _parts(images)]
    coarse, fine = zip(*parts, strict=True)
    return np.concatenate(coarse), np.concatenate(fine)


def _project_part(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    side = images.shape[1] // BLOCK
    values = _values(images)
    blocks = values.reshape(len(images), side, BLOCK, side, BLOCK, 3)
    coarse = (BLOCK * blocks.mean(axis=(2, 4))).reshape(len(images), -1)
    rest = np.square(values).sum(axis=1) - np.square(coarse).sum(axis=1)
    return coarse, np.sqrt(np.maximum(rest, 0))


def _parts(rows: np.ndarray) -> list[np.ndarray]:
    return [rows[start : start + CHUNK] for start in range(0, len(rows), CHUNK)]


def _values(images: np.ndarray) -> np.ndarray:
    """uint8 (N, S, S, 3) to float32 (N, S * S * 3) in [-1, 1]."""
    return images.reshape(len(images), -1).astype(np.float32) / 127.5 - 1


def _lengths(noise: np.ndarray, images: np.ndarray) -> np.ndarray:
    """Distances of float32 (K, D) to uint8 (N, S, S, 3): (K, N)."""
    values = _values(images)
    squares = np.square(noise).sum(axis=1)[:, None] + np.square(values).sum(axis=1) - 2 * noise @ values.T
    return np.sqrt(np.maximum(squares, 0))
