"""Regions of a face: each alone, all together, what stays as it is, and what of a change is the skin's as a whole."""

import numpy as np
import pytest

from studio.core.regions import cast_of, region_mask, skin_in, without_lattice
from tests.makeups import CLASSES, layout


def face():
    """The classes of a face, each certain."""
    return {name: (layout(128) == index).astype(np.float32) for index, name in enumerate(CLASSES)}


@pytest.mark.parametrize(("region", "place"), [("lips", (92, 64)), ("eyes", (30, 40)), ("skin", (64, 64))])
def test_a_region_is_laid_on_alone(region, place):
    masks = {name: region_mask(face(), (name,)) for name in ("lips", "eyes", "skin")}
    assert masks[region][place] > 0.9 and all(mask[place] < 0.1 for name, mask in masks.items() if name != region)
    together = region_mask(face())
    np.testing.assert_allclose(together, sum(masks.values()), atol=1e-5)
    assert together[4, 64] == 0 and together[64, 2] == 0 and together[42, 40] < 0.01  # hair, what is behind, and eyeballs stay


def test_something_red_beside_the_face_is_no_mouth():
    classes = face()
    classes["lips"][100:104, 10:14] = 1
    classes["lips"][90:94, 60:68], classes["mouth"][90:94, 60:68] = 0, 1  # teeth
    mask = region_mask(classes, ("lips",))
    assert mask[102, 12] == 0 and mask[92, 64] < 0.1 and mask[86, 64] > 0.9 and mask[97, 64] > 0.9


def test_a_face_without_a_mouth_has_no_lips():
    classes = face()
    classes["lips"][:] = 0
    assert region_mask(classes, ("lips",)).max() == 0


def test_a_cast_is_what_all_of_the_skin_gets():
    flat, dots = np.full((32, 32, 3), 9, np.float32), np.zeros((32, 32, 3), np.float32)
    dots[26, 16] = 50  # a lip
    classes = {"skin": np.ones((32, 32), np.float32), "nose": np.zeros((32, 32), np.float32)}
    classes["skin"][24:28] = 0
    np.testing.assert_allclose(cast_of(flat + dots, skin_in(classes)), 9)
    assert not cast_of(flat, np.zeros((32, 32), np.float32)).any()  # a face whose skin was not found


def test_what_alternates_from_pixel_to_pixel_is_gone_and_what_is_even_stays():
    rows, columns = np.indices((16, 16))
    lattice = np.repeat(((rows + columns) % 2 * 2.0 - 1)[:, :, None], 3, 2).astype(np.float32)
    even = np.full((16, 16, 3), 7, np.float32)
    np.testing.assert_allclose(without_lattice(9 * lattice + even)[1:-1, 1:-1], 7, atol=1e-5)
    assert without_lattice(even).shape == even.shape and np.allclose(without_lattice(even), 7)
