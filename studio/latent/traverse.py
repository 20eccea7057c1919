"""Ways through a latent space: from code to code, round in a loop, and across a square with a code at each corner.

Codes are arrays of any one shape; all of their numbers together are one point. The ends of every way are the codes themselves,
bit for bit, and along each leg the speed is constant.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise

import numpy as np

from studio.latent.kde import KDE

DENSE = "dense"
PATHS = ("spherical", "linear", DENSE)
# Of a dense path: straight pieces, and at most so many rounds of mean shift, each with so much of the way to the mean. It has
# settled once no node moves by more than such a share of its length.
NODES, ROUNDS, SHIFT, SETTLED = 24, 30, 0.5, 1e-3
# Below this angle (radians) a great circle and its chord are the same in float32, and the circle's formula divides by nothing.
PARALLEL = 1e-4


def linear(start: np.ndarray, end: np.ndarray, amounts: np.ndarray) -> np.ndarray:
    """Convex combinations (1 - t) z_1 + t z_2 (IAN, section 6.1): (T, ...) for ``amounts`` (T,) in [0, 1]."""
    t = _beside(amounts, start)
    return _exact_ends((1 - t) * start + t * end, start, end, amounts)


def spherical(start: np.ndarray, end: np.ndarray, amounts: np.ndarray, centre: np.ndarray | float = 0.0) -> np.ndarray:
    """Along the great circle round ``centre`` (Shoemake 1985), the distance from it changing evenly where the ends' differ:

        z(t) = c + r(t) (sin((1 - t) w) u_1 + sin(t w) u_2) / sin(w),   r(t) = (1 - t) |z_1 - c| + t |z_2 - c|

    with unit vectors u_1, u_2 from c to the ends and the angle w between them.

    Where there is no one great circle (an end at the centre, both in one or in opposite directions) the way is the straight line.
    Returns (T, ...) for ``amounts`` (T,) in [0, 1].
    """
    first, second = np.asarray(start - centre, np.float64), np.asarray(end - centre, np.float64)
    lengths = np.linalg.norm(first), np.linalg.norm(second)
    angle = _angle(first, second)
    if not PARALLEL < angle < np.pi - PARALLEL:  # of an end at the centre it is 0
        return linear(start, end, amounts)
    t = _beside(amounts, start)
    direction = (np.sin((1 - t) * angle) * (first / lengths[0]) + np.sin(t * angle) * (second / lengths[1])) / np.sin(angle)
    radius = (1 - t) * lengths[0] + t * lengths[1]
    return _exact_ends(centre + radius * direction, start, end, amounts)


def dense(start: np.ndarray, end: np.ndarray, amounts: np.ndarray, density: KDE) -> np.ndarray:
    """From end to end through where codes are dense.

    Nodes on the straight line climb the density, z <- z + h^2/2 grad log p(z), which is half the way of a mean-shift step
    (Comaniciu and Meer 2002), and are spread out evenly along their way after every round (the string method, E et al. 2002).

    Returns (T, ...) for ``amounts`` (T,) in [0, 1], shares of the way's length; the ends are exact.
    """
    return _along(_ridge(start, end, density), start, end, amounts)


def walk(
    points: np.ndarray,
    frames: int,
    path: str = "spherical",
    loop: bool = False,
    between: int = 1,
    centre: np.ndarray | float = 0.0,
    density: KDE | None = None,
) -> np.ndarray:
    """A way through all points in their order.

    Each leg takes a share of the frames as long as it is, so that the speed is nearly the same on all of them, and every point
    is a frame of its own.

    Args:
        points: (K, ...), at least two.
        frames: how many, the points among them.
        path: "spherical", "linear" or "dense".
        loop: goes back to the first point, which then is not repeated at the end.
        between: steps from one frame to the next; what is returned has that many times the intervals, the frames among them.
        centre: of the spherical path.
        density: of the codes, which the dense path follows.

    Returns:
        (T, ...) as float32, T = (frames - 1) between + 1, or frames * between in a loop.

    Raises:
        ValueError: there are fewer frames than points, no such path, or no density for the dense one.
    """
    if path not in PATHS:
        raise ValueError(f"There is no path {path!r}; there is {', '.join(PATHS)}.")
    if path == DENSE and density is None:
        raise ValueError("A dense path needs the density of codes that it is to follow: give one, or take another path.")
    if len(points) < 2 or frames < len(points):
        raise ValueError(f"A walk through {len(points)} faces needs at least two faces and a frame for each.")
    ends = [*points, points[0]] if loop else list(points)
    legs = [_leg(start, end, path, centre, density) for start, end in pairwise(ends)]
    counts = _shares([length for length, _ in legs], frames if loop else frames - 1)
    parts = []
    for (_, way), count in zip(legs, counts, strict=True):
        parts.append(way(np.arange(count * between) / (count * between)))  # the end is the next leg's start
    if not loop:
        parts.append(points[-1:])
    return np.concatenate(parts).astype(np.float32)


def array(corners: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """A square of convex combinations of four codes, with bilinear weights:

        z(u, v) = (1 - v) ((1 - u) z_1 + u z_2) + v ((1 - u) z_3 + u z_4)

    Args:
        corners: (4, ...), top left, top right, bottom left, bottom right.
        rows, columns: at least two each.

    Returns:
        (rows, columns, ...) as float32; its corners are the codes.
    """
    u, v = np.arange(columns) / (columns - 1), np.arange(rows) / (rows - 1)
    left, right = linear(corners[0], corners[2], v), linear(corners[1], corners[3], v)
    return np.stack([linear(a, b, u) for a, b in zip(left, right, strict=True)]).astype(np.float32)


def _beside(amounts: np.ndarray, code: np.ndarray) -> np.ndarray:
    return np.asarray(amounts, np.float64).reshape(-1, *[1] * np.ndim(code))


def _exact_ends(way: np.ndarray, start: np.ndarray, end: np.ndarray, amounts: np.ndarray) -> np.ndarray:
    way[np.asarray(amounts) == 0], way[np.asarray(amounts) == 1] = start, end
    return way


def _angle(first: np.ndarray, second: np.ndarray) -> float:
    scale = np.linalg.norm(first) * np.linalg.norm(second)
    return float(np.arccos(np.clip(np.vdot(first, second) / scale, -1, 1))) if scale else 0.0


def _leg(
    start: np.ndarray, end: np.ndarray, path: str, centre: np.ndarray | float, density: KDE | None
) -> tuple[float, Callable[[np.ndarray], np.ndarray]]:
    """How long it is (the arc at the mean distance from the centre, if spherical), and the way as a function of amounts."""
    if path == "linear":
        return float(np.linalg.norm(end - start)), partial(linear, start, end)
    if path == DENSE:
        ridge = _ridge(start, end, density)
        return float(_pieces(ridge).sum()), partial(_along, ridge, start, end)
    first, second = start - centre, end - centre
    length = _angle(first, second) * float(np.linalg.norm(first) + np.linalg.norm(second)) / 2
    return length, partial(spherical, start, end, centre=centre)


def _ridge(start: np.ndarray, end: np.ndarray, density: KDE) -> np.ndarray:
    """The nodes (NODES + 1, D) of a dense path, at equal distances."""
    nodes = np.linspace(np.ravel(start), np.ravel(end), NODES + 1, dtype=np.float64)
    for _ in range(ROUNDS):
        before = nodes.copy()
        nodes[1:-1] += SHIFT * density.bandwidth**2 * density.gradient(nodes[1:-1])
        nodes = _evenly(nodes, np.linspace(0, 1, NODES + 1))
        if np.linalg.norm(nodes - before, axis=1).max() <= SETTLED * _pieces(nodes).sum():
            break
    return nodes


def _along(nodes: np.ndarray, start: np.ndarray, end: np.ndarray, amounts: np.ndarray) -> np.ndarray:
    return _exact_ends(_evenly(nodes, amounts).reshape(-1, *np.shape(start)), start, end, amounts)


def _evenly(nodes: np.ndarray, amounts: np.ndarray) -> np.ndarray:
    """The points (T, D) at these shares of the length of the way through nodes (K, D)."""
    reached = np.concatenate([[0], np.cumsum(_pieces(nodes))])
    places = np.asarray(amounts, np.float64) * reached[-1]
    piece = np.clip(np.searchsorted(reached, places, side="right") - 1, 0, len(nodes) - 2)
    share = (places - reached[piece]) / np.maximum(reached[piece + 1] - reached[piece], np.finfo(np.float64).tiny)
    return nodes[piece] + share[:, None] * (nodes[piece + 1] - nodes[piece])


def _pieces(nodes: np.ndarray) -> np.ndarray:
    return np.linalg.norm(np.diff(nodes, axis=0), axis=1)


def _shares(lengths: list[float], intervals: int) -> list[int]:
    """Whole numbers of at least 1 that sum to ``intervals``, as near to the lengths' proportions as that goes."""
    counts = [1] * len(lengths)
    for _ in range(intervals - len(lengths)):
        # The leg with the longest steps gets one more.
        counts[int(np.argmax([length / count for length, count in zip(lengths, counts, strict=True)]))] += 1
    return counts
