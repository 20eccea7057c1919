"""The D* score knows what is missing, the inception score what is varied and clear."""

import numpy as np
import pytest

from studio.metrics.modes import THRESHOLDS, inception_score, missing_modes


def modes(count, *centres, seed=0):
    """As many embeddings round each centre, in four dimensions, 0.1 wide, in random order."""
    draw = np.random.default_rng(seed)
    points = np.concatenate([draw.normal(centre, 0.1, (count, 4)) for centre in centres])
    return draw.permutation(points)


def test_a_mode_that_is_not_made_is_found_missing():
    real, test = modes(150, 0, 1, seed=1), modes(40, 0, 1, seed=2)
    missing = missing_modes(real, modes(300, 0, seed=3), test)
    assert list(missing) == list(THRESHOLDS)
    assert all(0.4 < share <= 0.5 for share in missing.values())


def test_nothing_is_missing_where_made_pictures_are_as_real_ones():
    missing = missing_modes(modes(150, 0, 1, seed=1), modes(150, 0, 1, seed=3), modes(40, 0, 1, seed=2))
    assert set(missing.values()) == {0.0}


def test_the_stricter_the_threshold_the_less_is_missing():
    missing = missing_modes(modes(200, 0, seed=1), modes(200, 0.1, seed=3), modes(200, 0, seed=2), (0.5, 0.7, 0.9, 1.0))
    assert missing[0.5] > missing[0.9] and list(missing.values()) == sorted(missing.values(), reverse=True) and missing[1.0] == 0


def test_the_same_seed_finds_the_same():
    sets = modes(50, 0, seed=1), modes(50, 0.1, seed=3), modes(200, 0, seed=2)
    thresholds = (0.5,)
    assert missing_modes(*sets, thresholds, seed=4) == missing_modes(*sets, thresholds, seed=4)


@pytest.mark.parametrize(("real", "made", "test"), [(19, 40, 5), (40, 19, 5), (40, 40, 0)])
def test_too_few_pictures_are_refused(real, made, test):
    with pytest.raises(ValueError, match="at least 20"):
        missing_modes(np.zeros((real, 4)), np.zeros((made, 4)), np.zeros((test, 4)))


def test_clear_and_even_classes_score_their_number():
    assert inception_score(np.eye(5)[np.arange(100) % 5]) == pytest.approx(5)


@pytest.mark.parametrize("probabilities", [np.full((10, 4), 0.25), np.eye(4)[[2] * 10]])
def test_unclear_pictures_and_one_class_score_one(probabilities):
    assert inception_score(probabilities) == pytest.approx(1)


def test_the_score_is_the_exponential_of_the_mutual_information():
    given = np.array([[0.8, 0.2], [0.3, 0.7]])
    marginal = given.mean(0)
    expected = np.exp(np.mean([sum(p * np.log(p / q) for p, q in zip(row, marginal, strict=True)) for row in given]))
    assert inception_score(given) == pytest.approx(expected)


def test_no_picture_has_no_score():
    with pytest.raises(ValueError, match="at least one"):
        inception_score(np.empty((0, 3)))
