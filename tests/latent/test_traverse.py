"""Ways through a latent space against their closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from studio.latent import traverse
from studio.latent.kde import KDE
from studio.latent.traverse import array, dense, linear, spherical, walk

rng = np.random.default_rng(0)
A, B, C, D = rng.normal(size=(4, 3, 5)).astype(np.float32)
QUARTERS = np.arange(5) / 4


def speeds(way: np.ndarray) -> np.ndarray:
    return np.linalg.norm(np.diff(way.reshape(len(way), -1).astype(np.float64), axis=0), axis=1)


def test_a_line_is_convex_and_its_steps_are_equal():
    way = linear(A, B, QUARTERS)
    np.testing.assert_allclose(way[1], 0.75 * A + 0.25 * B, rtol=1e-6)
    np.testing.assert_allclose(speeds(way), np.linalg.norm(B - A) / 4, rtol=1e-5)


def test_a_quarter_of_a_circle():
    east, north = np.array([1.0, 0.0]), np.array([0.0, 1.0])
    angles = QUARTERS * np.pi / 2
    np.testing.assert_allclose(spherical(east, north, QUARTERS), np.stack([np.cos(angles), np.sin(angles)], axis=1), atol=1e-12)
    moved = spherical(east + 7, north + 7, QUARTERS, centre=np.array([7.0, 7.0]))
    np.testing.assert_allclose(moved - 7, spherical(east, north, QUARTERS), atol=1e-12)


def test_on_a_sphere_the_steps_are_equal_and_the_length_changes_evenly():
    same = spherical(A / np.linalg.norm(A), B / np.linalg.norm(B), QUARTERS)
    np.testing.assert_allclose(np.linalg.norm(same.reshape(5, -1), axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(speeds(same), speeds(same)[0], rtol=1e-6)
    longer = spherical(A, 3 * A + B, QUARTERS)
    lengths = np.linalg.norm(longer.reshape(5, -1), axis=1)
    np.testing.assert_allclose(np.diff(lengths), np.diff(lengths)[0], rtol=1e-6)


@pytest.mark.parametrize("end", [A, 2 * A, -A, 0 * A])
def test_where_there_is_no_one_great_circle_the_way_is_straight(end):
    np.testing.assert_array_equal(spherical(A, end, QUARTERS), linear(A, end, QUARTERS))


@pytest.mark.parametrize("path", ["linear", "spherical", "dense"])
@pytest.mark.parametrize("loop", [False, True])
@pytest.mark.parametrize("between", [1, 4])
def test_every_point_is_a_frame_bit_for_bit(path, loop, between):
    points = np.stack([A, B, C, D])
    density = KDE(rng.normal(size=(20, 3, 5)), 2.0)
    way = walk(points, 9, path, loop, between, density=density)
    assert len(way) == (9 * between if loop else 8 * between + 1) and way.dtype == np.float32
    frames = way[::between]
    places = [next(i for i, frame in enumerate(frames) if np.array_equal(frame, point)) for point in points]
    assert places == sorted(places) and places[0] == 0
    assert loop or np.array_equal(way[-1], D)
    np.testing.assert_array_equal(frames, walk(points, 9, path, loop, density=density))


def test_two_points_are_walked_at_constant_speed_and_a_loop_comes_back():
    np.testing.assert_allclose(speeds(walk(np.stack([A, B]), 9, "linear")), np.linalg.norm(B - A) / 8, rtol=1e-4)
    there_and_back = walk(np.stack([A, B]), 8, "linear", loop=True)
    np.testing.assert_allclose(there_and_back[1], there_and_back[-1], rtol=1e-5, atol=1e-6)


def test_a_longer_leg_takes_more_frames():
    points = np.array([[0.0], [1.0], [4.0]])
    np.testing.assert_allclose(walk(points, 5, "linear")[:, 0], [0, 1, 2, 3, 4], atol=1e-6)


def half_circle(count: int) -> np.ndarray:
    angles = np.linspace(0, np.pi, count)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def test_a_dense_way_goes_where_the_codes_are():
    """Of codes on a half circle: round with them, not straight across, and as evenly."""
    density = KDE(half_circle(60), 0.15)
    way = dense(np.array([1.0, 0.0]), np.array([-1.0, 0.0]), np.arange(17) / 16, density)
    np.testing.assert_allclose(np.linalg.norm(way, axis=1), 1, atol=0.08)
    np.testing.assert_allclose(speeds(way), speeds(way).mean(), rtol=0.05)
    straight = linear(way[0], way[-1], np.arange(17) / 16)
    assert density.log_density(way).min() > density.log_density(straight).min() + 5
    np.testing.assert_array_equal(way[[0, -1]], [[1, 0], [-1, 0]])


def test_a_dense_way_ends_when_it_has_settled(monkeypatch):
    """More rounds than it took would lead nowhere else."""
    ends, density = half_circle(2), KDE(half_circle(60), 0.15)
    way = dense(*ends, QUARTERS, density)
    asked = []
    monkeypatch.setattr(KDE, "gradient", lambda self, points, gradient=KDE.gradient: asked.append(1) or gradient(self, points))
    np.testing.assert_array_equal(dense(*ends, QUARTERS, density), way)
    assert len(asked) < traverse.ROUNDS
    monkeypatch.setattr(traverse, "SETTLED", -1.0)
    np.testing.assert_allclose(dense(*ends, QUARTERS, density), way, atol=0.02)


def test_without_a_density_to_follow_there_is_no_dense_way():
    with pytest.raises(ValueError, match="needs the density"):
        walk(np.stack([A, B]), 9, "dense")


def test_a_dense_leg_takes_frames_for_the_way_that_it_goes():
    """Round the half circle it is half as long again as straight back."""
    points = np.array([[1.0, 0.0], [-1.0, 0.0], [-1.0, -2.0]])
    way = walk(points, 21, "dense", density=KDE(half_circle(60), 0.15))
    corner = next(i for i, point in enumerate(way) if np.array_equal(point, points[1]))
    assert corner == pytest.approx(20 * np.pi / (np.pi + 2), abs=1)


@pytest.mark.parametrize(("points", "frames", "path"), [(1, 9, "linear"), (3, 2, "linear"), (2, 9, "curved")])
def test_an_impossible_walk_is_refused(points, frames, path):
    with pytest.raises(ValueError):
        walk(np.stack([A] * points), frames, path)


def test_a_square_has_its_codes_at_the_corners_and_their_mean_in_the_middle():
    square = array(np.stack([A, B, C, D]), 3, 5)
    assert square.shape == (3, 5, *A.shape)
    for corner, code in zip((square[0, 0], square[0, -1], square[-1, 0], square[-1, -1]), (A, B, C, D), strict=True):
        np.testing.assert_array_equal(corner, code)
    np.testing.assert_allclose(square[1, 2], (A + B + C + D) / 4, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(square[2, 1], 0.75 * C + 0.25 * D, rtol=1e-5, atol=1e-6)
