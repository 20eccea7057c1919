"""Frechet distance against torchmetrics, scipy's matrix root and the closed form of diagonal Gaussians."""

import numpy as np
import pytest
import scipy.linalg
import torch
from torchmetrics.image.fid import _compute_fid

from studio.metrics.fid import frechet_distance


@pytest.fixture
def sets() -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(0)
    return draw.normal(size=(60, 6)), draw.normal(size=(50, 6)) @ draw.normal(size=(6, 6)) + 0.5


def moments(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return features.mean(axis=0), np.cov(features, rowvar=False)


def test_agrees_with_scipy_and_torchmetrics(sets):
    (mean_1, cov_1), (mean_2, cov_2) = map(moments, sets)
    literal = np.sum((mean_1 - mean_2) ** 2) + np.trace(cov_1 + cov_2 - 2 * scipy.linalg.sqrtm(cov_1 @ cov_2).real)
    theirs = _compute_fid(*(torch.from_numpy(m) for m in (mean_1, cov_1, mean_2, cov_2)))
    assert frechet_distance(*sets) == pytest.approx(literal, rel=1e-9)
    assert frechet_distance(*sets) == pytest.approx(float(theirs), rel=1e-6)


def test_diagonal_gaussians_have_a_closed_form():
    corners = np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]], dtype=np.float64) * np.sqrt(3 / 4)  # unit sample covariance
    scaled = corners * [2, 3] + [5, 0]
    assert frechet_distance(corners, scaled) == pytest.approx(5**2 + (2 - 1) ** 2 + (3 - 1) ** 2)


def test_the_same_set_is_at_zero_even_when_it_is_smaller_than_its_width():
    features = np.random.default_rng(1).normal(size=(5, 20))
    assert frechet_distance(features, features) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("shape", [(1, 6), (50, 5), (50,)])
def test_sets_that_do_not_fit_are_refused(sets, shape):
    with pytest.raises(ValueError, match="FID needs"):
        frechet_distance(sets[0], np.zeros(shape))
