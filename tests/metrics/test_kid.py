"""Kernel distance against a literal double sum and against torchmetrics."""

import numpy as np
import pytest
import torch
from torchmetrics.image.kid import poly_mmd

from studio.metrics.kid import kid, mmd2


@pytest.fixture
def sets() -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(0)
    return draw.normal(size=(12, 4)), draw.normal(size=(9, 4)) + 0.7


def literal_mmd2(first: np.ndarray, second: np.ndarray) -> float:
    def kernel(x, y):
        return (np.dot(x, y) / len(x) + 1) ** 3

    def within(rows):
        return np.mean([kernel(x, y) for i, x in enumerate(rows) for j, y in enumerate(rows) if i != j])

    return within(first) + within(second) - 2 * np.mean([kernel(x, y) for x in first for y in second])


def test_reads_as_the_equation(sets):
    assert mmd2(*sets) == pytest.approx(literal_mmd2(*sets), rel=1e-12)


def test_agrees_with_torchmetrics(sets):
    first, second = sets[0][:9], sets[1]
    assert mmd2(first, second) == pytest.approx(float(poly_mmd(torch.from_numpy(first), torch.from_numpy(second))), rel=1e-9)


def test_is_unbiased_where_nothing_differs():
    draw = np.random.default_rng(0)
    scores = [mmd2(draw.normal(size=(8, 3)), draw.normal(size=(8, 3))) for _ in range(400)]
    assert abs(np.mean(scores)) < 3 * np.std(scores) / np.sqrt(len(scores))


def test_subsets_average_the_whole_and_repeat_with_their_seed(sets):
    mean, spread = kid(*sets, subsets=400, subset_size=5)
    assert mean == pytest.approx(mmd2(*sets), abs=4 * spread / 20)
    assert (mean, spread) == kid(*sets, subsets=400, subset_size=5)
    assert mean != kid(*sets, subsets=400, subset_size=5, seed=1)[0]


def test_subsets_are_no_larger_than_the_smaller_set(sets):
    mean, _ = kid(sets[0][:9], sets[1], subsets=2)
    assert mean == pytest.approx(mmd2(sets[0][:9], sets[1]))


def test_sets_that_do_not_fit_are_refused(sets):
    with pytest.raises(ValueError, match="KID needs"):
        mmd2(sets[0], np.zeros((3, 5)))
