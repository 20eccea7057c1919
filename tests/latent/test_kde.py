"""The density against scikit-learn's, its own gradient and its samples."""

import numpy as np
import pytest
from sklearn.neighbors import KernelDensity

from studio.latent.kde import KDE, bandwidths, best_bandwidth, holdout_likelihood

draw = np.random.default_rng(0)
CODES = draw.normal(size=(40, 3, 2)).astype(np.float32)
POINTS = draw.normal(size=(7, 3, 2)).astype(np.float32)


@pytest.mark.parametrize("bandwidth", [0.05, 0.5, 5.0])
def test_without_background_it_is_the_textbooks(bandwidth):
    reference = KernelDensity(bandwidth=bandwidth, rtol=1e-12).fit(CODES.reshape(40, -1))
    expected = reference.score_samples(POINTS.reshape(7, -1))
    np.testing.assert_allclose(KDE(CODES, bandwidth).log_density(POINTS), expected, rtol=1e-5)


@pytest.mark.parametrize("background", [0.0, 0.3])
def test_it_integrates_to_one(background):
    codes, grid = np.array([[-1.0], [0.2], [2.0]]), np.linspace(-20, 20, 4001)[:, None]
    density = np.exp(KDE(codes, 0.3, background).log_density(grid))
    assert density.sum() * 0.01 == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("background", [0.0, 0.3])
def test_the_gradient_is_that_of_the_log_density(background):
    density, step = KDE(CODES, 0.8, background), 1e-5
    points, found = POINTS.astype(np.float64), KDE(CODES, 0.8, background).gradient(POINTS)
    for place in np.ndindex(3, 2):
        moved = np.zeros_like(points)
        moved[(slice(None), *place)] = step
        slope = (density.log_density(points + moved) - density.log_density(points - moved)) / (2 * step)
        np.testing.assert_allclose(found[(slice(None), *place)], slope, rtol=1e-4, atol=1e-4)


def test_far_away_only_the_background_is_left():
    far = 50 + POINTS
    assert KDE(CODES, 0.01).log_density(far).max() < -1e6 < KDE(CODES, 0.01, 0.1).log_density(far).min()


def test_samples_are_codes_at_a_small_bandwidth_and_have_its_spread_at_a_large_one():
    small = KDE(CODES, 1e-3).sample(200, np.random.default_rng(1))
    nearest = np.linalg.norm((small[:, None] - CODES[None]).reshape(200, 40, -1), axis=2)
    assert small.dtype == np.float32 and small.shape == (200, 3, 2) and nearest.min(1).max() < 0.01
    assert len(np.unique(nearest.argmin(1))) > 30
    large = KDE(CODES, 3.0).sample(4000, np.random.default_rng(1))
    np.testing.assert_allclose(large.var(0), CODES.var(0) + 9, rtol=0.1)


def test_the_background_takes_its_share_of_the_samples():
    codes = np.concatenate([np.full((50, 1), -5.0), np.full((50, 1), 5.0)])
    drawn = KDE(codes, 0.01, background=0.25).sample(4000, np.random.default_rng(2))
    assert (np.abs(np.abs(drawn) - 5) > 0.1).mean() == pytest.approx(0.25, abs=0.03)


def test_equal_seeds_give_equal_samples():
    np.testing.assert_array_equal(*(KDE(CODES, 0.5, 0.2).sample(5, np.random.default_rng(3)) for _ in range(2)))


def test_new_codes_are_likeliest_between_memory_and_generalisation():
    codes, held_out = draw.normal(size=(2, 300, 2))
    grid = bandwidths(codes)
    curve = holdout_likelihood(codes, held_out, grid)
    best = best_bandwidth(codes, held_out)
    assert best == grid[curve.argmax()] and grid[0] < best < grid[-1] and 0.15 < best < 0.7
    assert curve.max() > curve[0] + 5 and curve.max() > curve[-1] + 0.2
    assert holdout_likelihood(codes, codes, grid).argmax() == 0  # codes that it knows


@pytest.mark.parametrize(("codes", "bandwidth", "background"), [(40, 0.0, 0), (40, -1.0, 0), (40, 1.0, 1.0), (1, 1.0, 0)])
def test_what_is_no_density_is_refused(codes, bandwidth, background):
    with pytest.raises(ValueError):
        KDE(CODES[:codes], bandwidth, background)


def test_codes_without_spread_have_no_bandwidths():
    with pytest.raises(ValueError, match="the same"):
        bandwidths(np.ones((4, 2)))
