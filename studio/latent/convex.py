"""Convex combinations of neighbouring codes (X-GAN, Blum et al. 2018, section 3.1), and how many neighbours a manifold has.

The codes of real pictures stand for the manifold itself: between adjacent ones it is taken for flat, and no density is assumed.
A bank is such a set of codes as it comes with a checkpoint.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from studio.core.checkpoints import CheckpointStore
from studio.core.registry import Card

K = 5  # neighbours in a combination (section 4.1): more of them share the high-level features only
# Neighbours over which the estimate of the dimension is averaged (Levina and Bickel 2005, section 4).
FIRST, LAST = 10, 20


def neighbours(codes: np.ndarray, queries: np.ndarray, m: int) -> tuple[np.ndarray, np.ndarray]:
    """The ``m`` nearest of ``codes`` (N, D) to each of ``queries`` (B, D): indices (B, m), nearest first, and distances (B, m).

    A query that is one of the codes is its own nearest neighbour, at 0.

    Raises:
        ValueError: there are fewer codes than that.
    """
    if not 1 <= m <= len(codes):
        raise ValueError(f"Ask for 1 to {len(codes)} neighbours, not {m}.")
    codes, queries = np.asarray(codes, np.float32), np.asarray(queries, np.float32)
    squares = np.square(codes).sum(1) - 2 * queries @ codes.T  # less the query's own, which moves no rank
    near = np.argpartition(squares, m - 1, axis=1)[:, :m]
    # Differences of the few that are left are exact where the expanded square is not: near 0.
    distances = np.stack([np.linalg.norm(codes[row] - query, axis=1) for row, query in zip(near, queries, strict=True)])
    order = np.argsort(distances, axis=1, kind="stable")
    return np.take_along_axis(near, order, 1), np.take_along_axis(distances, order, 1)


def draw(
    codes: np.ndarray, queries: np.ndarray, m: int, k: int, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Who is combined with what weight, the two draws of CC_{m,k}: indices (B, k) into ``codes`` and weights (B, k).

    ``k`` different ones of each query's ``m`` nearest, with w_i = u_i / sum_j u_j of uniform u (section 3.1).

    Raises:
        ValueError: not 1 <= k <= m <= N.
    """
    if not 1 <= k <= m:
        raise ValueError(f"Combine 1 to {m} of {m} neighbours, not {k}.")
    near, _ = neighbours(codes, queries, m)
    chosen = np.argsort(random.random(near.shape), axis=1)[:, :k]
    weights = 1 - random.random(chosen.shape)  # in (0, 1]: the sum is never 0
    return np.take_along_axis(near, chosen, 1), weights / weights.sum(1, keepdims=True)


def combine(
    codes: np.ndarray, queries: np.ndarray, m: int, k: int, random: np.random.Generator, spread: float = 1.0
) -> np.ndarray:
    """New codes near the ``queries`` (B, D), (B, D) float32:

        z^ = sum_i w_i z''_i = CC_{m,k}(z)    (eq. 1),    z + spread (z^ - z)

    Args:
        codes: (N, D).
        m, k: as in :func:`draw`.
        random: whence the draws come; for as many combinations of one code repeat it in ``queries``.
        spread: 1 is the paper's; 0 stays at the query, above 1 leaves the neighbourhood.

    Raises:
        ValueError: not 1 <= k <= m <= N.
    """
    index, weights = draw(codes, queries, m, k, random)
    combined = np.einsum("bk,bkd->bd", weights, np.asarray(codes, np.float32)[index])
    return (queries + spread * (combined - queries)).astype(np.float32)


def intrinsic_dimension(codes: np.ndarray, first: int = FIRST, last: int = LAST) -> float:
    """The dimension s of the manifold on which ``codes`` (N, D) lie, by maximum likelihood (Levina and Bickel 2005, eq. 8-9):

        s_k(z) = ( 1 / (k - 1) sum_{j=1}^{k-1} log(T_k(z) / T_j(z)) )^-1

    with the distance T_j(z) to the j-th nearest other code, averaged over the codes and over k from ``first`` to ``last``. It
    stays below the truth where that is high and the codes are few. Repeated codes count once.

    Raises:
        ValueError: there are no more than ``last`` different codes.
    """
    codes = np.unique(np.asarray(codes, np.float32), axis=0)
    if len(codes) <= last:
        raise ValueError(f"The dimension needs more than {last} different codes, not {len(codes)}.")
    rows = [neighbours(codes, part, last + 1)[1][:, 1:] for part in np.array_split(codes, len(codes) // 1024 + 1)]
    logs = np.log(np.concatenate(rows).astype(np.float64))
    estimates = [1 / (logs[:, k - 1, None] - logs[:, : k - 1]).mean(1) for k in range(first, last + 1)]
    return float(np.mean(estimates))


def neighbourhood_size(dimension: float) -> int:
    """m = 2 s: a point of an s-dimensional manifold has two direct neighbours along each direction (section 3.1)."""
    return max(1, round(2 * dimension))


@dataclass(frozen=True, eq=False)
class Bank:
    """The codes of the pictures that an X-GAN learnt from.

    ``codes`` (N, D) float32; ``places`` (N, 2), their first two principal components; ``labels`` (N,), an index into ``names``.
    ``m`` is what the manifold's dimension recommends; ``mean`` (D,) and ``axes`` (2, D) put a new code on the map.
    """

    codes: np.ndarray
    places: np.ndarray
    labels: np.ndarray
    names: tuple[str, ...]
    m: int
    mean: np.ndarray
    axes: np.ndarray

    def place(self, codes: np.ndarray) -> np.ndarray:
        """Where ``codes`` (B, D) lie on the map: (B, 2)."""
        return (codes - self.mean) @ self.axes.T


def read_bank(store: CheckpointStore, card: Card) -> Bank:
    """The bank of an X-GAN's "codes" card. Raises ``CheckpointError`` as :meth:`CheckpointStore.load`."""
    tensors = store.load(card)
    floats = {name: tensors[name].float().numpy() for name in ("codes", "places", "mean", "axes")}
    return Bank(labels=tensors["labels"].long().numpy(), names=card.labels, m=card.config["m"], **floats)
