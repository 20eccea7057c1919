"""The colour of skin."""

import numpy as np
import pytest

from studio.metrics.skin import mean_lab, typology_angle


def test_the_mean_is_of_where_one_looks():
    picture = np.zeros((4, 4, 3), np.uint8)
    picture[:2] = 255
    where = np.zeros((4, 4), bool)
    where[:2] = True
    assert mean_lab(picture, where) == pytest.approx([100, 0, 0], abs=0.1)
    assert mean_lab(picture, ~where) == pytest.approx([0, 0, 0], abs=0.1)
    assert mean_lab(picture, np.zeros((4, 4), bool)) is None


def test_lighter_skin_has_a_larger_angle():
    assert typology_angle(np.array([80.0, 10.0, 15.0])) > typology_angle(np.array([55.0, 10.0, 15.0])) > 0
    assert typology_angle(np.array([30.0, 10.0, 15.0])) < 0
