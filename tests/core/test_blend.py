"""Changes enlarged: their edges come from the picture, and what it has no edge for stays."""

from __future__ import annotations

import numpy as np

from studio.core.blend import coefficients, luminance


def test_nothing_stays_nothing_to_the_bit():
    guide = np.random.default_rng(0).random((32, 32), np.float32)
    slope, offset = coefficients(guide, np.zeros((32, 32, 3), np.float32))
    assert not slope.any() and not offset.any()


def test_a_change_that_is_the_same_everywhere_stays_the_same():
    guide = np.random.default_rng(0).random((32, 32), np.float32)
    slope, offset = coefficients(guide, np.full((32, 32, 3), 12, np.float32))
    np.testing.assert_allclose(slope * guide[:, :, None] + offset, 12, atol=1e-3)


def test_a_change_ends_where_the_guide_has_its_edge():
    guide = np.where(np.arange(32) < 16, 0.2, 0.8)[None].repeat(32, 0).astype(np.float32)
    change = np.where(np.arange(32) < 16, 30.0, 0.0)[None, :, None].repeat(32, 0).astype(np.float32)
    slope, offset = coefficients(guide, change)
    finer = np.linspace(0, 31, 320)
    wide, flat = (np.interp(finer, np.arange(32), row[16, :, 0]) for row in (slope, offset))
    result = wide * np.where(finer < 15.5, 0.2, 0.8) + flat
    assert result[finer < 15.5].min() > 26 and result[finer > 15.5].max() < 4  # no ramp, although the coefficients are smooth


def test_what_the_picture_has_no_edge_for_is_not_lost():
    guide, change = np.full((32, 32), 0.5, np.float32), np.zeros((32, 32, 3), np.float32)
    change[14:18, 4:28] = -90  # glasses on a plain face
    slope, offset = coefficients(guide, change)
    np.testing.assert_allclose(slope * guide[:, :, None] + offset, change, atol=1e-3)


def test_luminance_is_between_black_and_white():
    assert luminance(np.zeros((2, 2, 3), np.uint8)).max() == 0
    np.testing.assert_allclose(luminance(np.full((2, 2, 3), 255, np.uint8)), 1)
