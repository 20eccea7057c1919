"""The two-sample statistic against its definition, and the test on Gaussians whose difference is known."""

import numpy as np
import pytest

from studio.metrics.mmd import median_gamma, mmd2, permutation_threshold

draw = np.random.default_rng(0)


def naive(first, second, gamma):
    """Eq. 3 term by term."""

    def k(a, b):
        return np.exp(-gamma * np.square(a - b).sum())

    total, m = 0.0, len(first)
    for i in range(m):
        for j in range(m):
            if i != j:
                total += k(first[i], first[j]) + k(second[i], second[j]) - k(first[i], second[j]) - k(first[j], second[i])
    return total / (m * (m - 1))


@pytest.mark.parametrize("gamma", [1e-4, 0.1, 3.0])
def test_it_is_the_double_sum(gamma):
    first, second = draw.normal(size=(2, 9, 5))
    assert mmd2(first, second + 1, gamma) == pytest.approx(naive(first, second + 1, gamma), abs=1e-14)


def test_of_two_gaussians_it_is_the_closed_form():
    """E k(x, y) of N(a, I) and N(b, I) is (1 + 4 gamma)^(-D/2) exp(-gamma |a - b|^2 / (1 + 4 gamma))."""
    gamma, size, shift = 0.2, 3, 1.5
    first, second = draw.normal(size=(2, 1500, size))
    second[:, 0] += shift
    shrunk = 1 + 4 * gamma
    expected = 2 * shrunk ** (-size / 2) * (1 - np.exp(-gamma * shift**2 / shrunk))
    assert mmd2(first, second, gamma) == pytest.approx(expected, abs=0.02)


def test_on_equal_distributions_it_is_unbiased_and_the_test_errs_as_often_as_it_may():
    tries = [draw.normal(size=(2, 20, 2)) for _ in range(150)]
    values = [mmd2(*both, gamma=0.3) for both in tries]
    assert abs(np.mean(values)) < 3 * np.std(values) / np.sqrt(len(values))
    told = [mmd2(*both, gamma=0.3) > permutation_threshold(*both, gamma=0.3) for both in tries]
    assert 0.005 < np.mean(told) < 0.12


def test_a_small_shift_of_many_codes_is_told():
    first, second = draw.normal(size=(2, 100, 4))
    gamma = median_gamma(first, second + 0.5)
    assert mmd2(first, second + 0.5, gamma) > permutation_threshold(first, second + 0.5, gamma)
    assert gamma == pytest.approx(1 / 8, rel=0.3)  # two normal codes are sqrt(2 D) apart


@pytest.mark.parametrize(("first", "second"), [((5, 3), (4, 3)), ((5, 3), (5, 2)), ((1, 3), (1, 3))])
def test_sets_of_two_shapes_are_refused(first, second):
    with pytest.raises(ValueError, match="two sets"):
        mmd2(np.zeros(first), np.zeros(second))
