"""The perceptual distance against a literal reading of the equation and against torchmetrics' building blocks."""

import itertools

import numpy as np
import pytest
import torch
from torchmetrics.functional.image import lpips as reference

from studio.metrics.lpips import distance, feature_maps, mean_pairwise, normalise


@pytest.fixture
def maps() -> list[np.ndarray]:
    draw = np.random.default_rng(0)
    return [draw.normal(size=(5, 4, 3, 2)).astype(np.float32), draw.normal(size=(5, 7, 2, 2)).astype(np.float32)]


def literal_distance(first: list[np.ndarray], second: list[np.ndarray]) -> float:
    """Eq. 1 place by place; each list holds the maps (C, H, W) of one picture."""
    total = 0.0
    for a, b in zip(first, second, strict=True):
        places = list(itertools.product(range(a.shape[1]), range(a.shape[2])))
        for y, x in places:
            difference = a[:, y, x] / np.linalg.norm(a[:, y, x]) - b[:, y, x] / np.linalg.norm(b[:, y, x])
            total += float(difference @ difference) / len(places)
    return total


def test_distance_reads_as_the_equation(maps):
    found = distance([m[:2] for m in maps], [m[2:4] for m in maps])
    expected = [literal_distance([m[i] for m in maps], [m[i + 2] for m in maps]) for i in range(2)]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_distance_agrees_with_torchmetrics(maps):
    first, second = ([torch.from_numpy(m[rows]) for m in maps] for rows in (slice(0, 2), slice(2, 4)))
    parts = [
        reference._spatial_average(
            ((reference._normalize_tensor(a) - reference._normalize_tensor(b)) ** 2).sum(1, keepdim=True), keep_dim=False
        ).flatten()
        for a, b in zip(first, second, strict=True)
    ]
    np.testing.assert_allclose(distance([m[:2] for m in maps], [m[2:4] for m in maps]), sum(parts).numpy(), rtol=1e-4)


def test_mean_pairwise_is_the_mean_over_pairs(maps):
    pairs = [
        literal_distance([m[i] for m in maps], [m[j] for m in maps]) for i, j in itertools.combinations(range(len(maps[0])), 2)
    ]
    assert mean_pairwise(maps) == pytest.approx(np.mean(pairs), rel=1e-5)


def test_equal_pictures_have_no_distance(maps):
    assert mean_pairwise([np.repeat(m[:1], 3, axis=0) for m in maps]) == pytest.approx(0, abs=1e-5)


def test_brightness_of_features_does_not_matter(maps):
    np.testing.assert_allclose(distance(maps, [m * 7 for m in maps]), 0, atol=1e-9)


def test_silent_features_stay_zero():
    assert not normalise(np.zeros((1, 3, 2, 2), np.float32)).any()


def test_one_picture_has_no_pairs(maps):
    with pytest.raises(ValueError, match="at least two"):
        mean_pairwise([m[:1] for m in maps])


def test_feature_maps_come_in_the_order_of_the_layers():
    answer = {"features_10": np.array(10), "logits": np.array(0), "features_2": np.array(2)}
    assert [int(m) for m in feature_maps(answer)] == [2, 10]
    with pytest.raises(ValueError, match="no features"):
        feature_maps({"logits": np.array(0)})
