"""Holes filled without a screen, by small networks that were never trained: what holds whatever the weights are."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from scipy.sparse import lil_matrix
from scipy.sparse.linalg import spsolve

from studio.core.faces import Face, FaceError, align_centre, align_square
from studio.core.images import Photo
from studio.core.recipe import Recipe
from studio.pipelines import inpaint as module
from studio.pipelines import photos
from studio.pipelines.inpaint import (
    InpaintRequest,
    InpaintResult,
    Iteration,
    fill,
    inpaint,
    pack_mask,
    request_from_recipe,
    sees,
    settle,
    unpack_mask,
)
from studio.pipelines.parts import Progress
from tests.morphs import LABELS, LATENT, SIDE, MorphEngine, patches

PHOTO = patches(1)


def hole(shape=(48, 48), x=20, y=18, width=12, height=10) -> np.ndarray:
    mask = np.zeros(shape, bool)
    mask[y : y + height, x : x + width] = True
    return mask


MASK = hole()
HOLED = InpaintRequest(PHOTO, MASK, iterations=2, candidates=2, frame="centre")


@pytest.fixture
def engine(tmp_path):
    return MorphEngine(tmp_path)


def last(steps):
    return list(steps)[-1]


def test_every_iteration_arrives_and_the_result_comes_last(engine):
    steps = list(inpaint(engine, replace(HOLED, iterations=3)))
    assert isinstance(steps[0], Progress) and isinstance(steps[-1], InpaintResult)
    seen = [step for step in steps if isinstance(step, Iteration)]
    assert [(step.iteration, step.done, step.total) for step in seen] == [(1, 1, 3), (2, 2, 3), (3, 3, 3)]
    assert all(len(step.images) == len(step.agreements) == len(step.latents) == 2 for step in seen)


def test_outside_of_the_hole_every_pixel_is_the_photos(engine):
    for filling in last(inpaint(engine, HOLED)).fillings:
        np.testing.assert_array_equal(filling.image[~MASK], PHOTO.rgb[~MASK])
        assert (filling.image[MASK] != PHOTO.rgb[MASK]).any()


def test_what_the_hole_hides_changes_nothing(engine):
    other = PHOTO.rgb.copy()
    other[MASK] = (255, 0, 255)
    first, second = (last(inpaint(engine, replace(HOLED, photo=Photo(rgb, PHOTO.sha256, "x")))) for rgb in (PHOTO.rgb, other))
    for a, b in zip(first.fillings, second.fillings, strict=True):
        np.testing.assert_array_equal(a.image, b.image)
        np.testing.assert_array_equal(a.head, b.head)


def test_iterations_come_nearer_to_what_is_known(engine, monkeypatch):
    monkeypatch.setattr(module, "PERCEIVED", 0.0)
    monkeypatch.setattr(module, "HELD", 0.0)  # what is left is what agreements measure
    request = replace(HOLED, iterations=4, condition=dict.fromkeys(LABELS["faces"], 1.0))
    seen = np.array([step.agreements for step in inpaint(engine, request) if isinstance(step, Iteration)])
    assert (np.diff(seen, axis=0) > -1e-3).all() and (seen[-1] > seen[0]).all()


def test_the_masked_search_agrees_better_than_the_encoders_guess(engine, monkeypatch):
    found = last(inpaint(engine, HOLED)).fillings[0].agreement
    monkeypatch.setattr(module, "INNER", 0)
    assert found > last(inpaint(engine, HOLED)).fillings[0].agreement


def test_candidates_differ_and_the_first_does_not_depend_on_the_seed(engine):
    first, second = (last(inpaint(engine, replace(HOLED, seed=seed))) for seed in (0, 1))
    assert (first.fillings[0].plain != first.fillings[1].plain).any()
    assert (first.fillings[1].plain != second.fillings[1].plain).any()
    draws = [module._draws(module.networks_of(engine, "faces"), replace(HOLED, seed=seed, candidates=3)) for seed in (0, 1)]
    assert draws[0].shape == (3, LATENT) and not draws[0][0].any() and (draws[0][1:] != draws[1][1:]).all()


def test_whoever_stops_keeps_what_fewer_iterations_give(engine):
    steps = inpaint(engine, replace(HOLED, iterations=5))
    stopped = next(step for step in steps if isinstance(step, Iteration) and step.iteration == 2)
    steps.close()
    kept, whole = settle(engine, replace(HOLED, iterations=5), stopped), last(inpaint(engine, HOLED))
    assert kept.request.iterations == kept.recipe.parameters["iterations"] == 2
    for a, b in zip(kept.fillings, whole.fillings, strict=True):
        np.testing.assert_array_equal(a.image, b.image)


def test_the_best_agrees_best(engine):
    result = last(inpaint(engine, replace(HOLED, candidates=3)))
    agreements = [result.fillings[index].agreement for index in result.ranking]
    assert agreements == sorted(agreements, reverse=True) and sorted(result.ranking) == [0, 1, 2]


def test_what_is_given_is_held_and_the_rest_inferred(engine):
    filling = last(inpaint(engine, replace(HOLED, condition={"smiling": -1}))).fillings[0]
    assert filling.condition["Smiling"] == -1 and -1 < filling.condition["Eyeglasses"] < 1
    flower = last(inpaint(engine, replace(HOLED, domain="flowers", condition={"rose": 2}))).fillings[0]
    assert flower.condition == {"rose": 1.0}
    with pytest.raises(ValueError, match="nothing called 'rose'"):
        inpaint(engine, replace(HOLED, condition={"rose": 1}))


# --- where the network looks --------------------------------------------------------------------------------------------------


def faces_at(*places):
    """A face finder that finds these: (x, y) of the left eye and the distance of the other."""
    found = [np.array([[x, y], [x + d, y]], np.float32) for x, y, d in places]
    return lambda engine, rgb: tuple(Face(eyes, (0, 0, 9, 9), 0.9) for eyes in found)


WIDE = patches(2, 96, 192)


def test_of_two_faces_the_one_with_the_hole_is_meant(engine, monkeypatch):
    monkeypatch.setattr(photos, "find_faces", faces_at((30, 45, 16), (130, 45, 14)))
    result = last(inpaint(engine, replace(HOLED, photo=WIDE, mask=hole((96, 192), 130, 40), frame="auto")))
    assert result.recipe.inputs[0].eyes == ((130, 45), (144, 45))


def blanked(mask: np.ndarray) -> InpaintRequest:
    """A wide photo that really has a hole."""
    rgb = np.where(mask[:, :, None], 0, WIDE.rgb).astype(np.uint8)
    return replace(HOLED, photo=Photo(rgb, "0" * 64, "black.png"), mask=mask, frame="auto")


def test_a_face_that_is_found_behind_a_soft_patch_is_taken(engine, monkeypatch):
    mask, found = hole((96, 192), 66, 38, 12, 14), faces_at((70, 45, 16))
    monkeypatch.setattr(photos, "find_faces", lambda engine, rgb: found(engine, rgb) if rgb[45, 70].any() else ())
    assert last(inpaint(engine, blanked(mask))).recipe.inputs[0].eyes == ((70, 45), (86, 45))


def test_where_no_face_is_found_a_hole_for_eyes_in_the_middle_is_one(engine, monkeypatch):
    monkeypatch.setattr(photos, "find_faces", lambda engine, rgb: ())
    (left, y), (right, _) = last(inpaint(engine, blanked(hole((96, 192), 72, 34, 48, 20)))).recipe.inputs[0].eyes
    assert left + right == pytest.approx(192, abs=0.1) and 48 < y < 51 and round(right - left, 1) in (27.4, 27.5, 20.9)
    with pytest.raises(FaceError, match=r"No face was found in black\.png"):
        list(inpaint(engine, blanked(hole((96, 192), 160, 10))))


def test_a_photo_that_has_no_hole_yet_is_not_guessed_at(engine, monkeypatch):
    monkeypatch.setattr(photos, "find_faces", lambda engine, rgb: ())
    with pytest.raises(FaceError, match=r"No face was found in photo-2\.png"):
        list(inpaint(engine, replace(HOLED, photo=WIDE, mask=hole((96, 192), 72, 34, 48, 20), frame="auto")))


def test_a_hole_beside_the_face_is_told(engine, monkeypatch):
    monkeypatch.setattr(photos, "find_faces", faces_at((30, 45, 12)))
    request = replace(HOLED, photo=WIDE, mask=hole((96, 192), 150, 40), frame="auto")
    with pytest.raises(ValueError, match="The hole lies outside of the square around the face"):
        list(inpaint(engine, request))
    with pytest.raises(ValueError, match="Part of the hole lies outside of the square around the face"):
        list(inpaint(engine, replace(request, mask=hole((96, 192), 30, 40, 100))))


def test_the_square_moves_to_a_hole_in_a_flower(engine):
    result = last(inpaint(engine, replace(HOLED, photo=WIDE, mask=hole((96, 192), 150, 40), domain="flowers")))
    assert (result.fillings[0].image != WIDE.rgb).any(2).nonzero()[1].min() >= 150
    with pytest.raises(ValueError, match="the middle of the photo"):
        list(inpaint(engine, replace(HOLED, photo=WIDE, mask=hole((96, 192), 20, 40, 160), domain="flowers")))


def test_where_holes_can_be_is_known_beforehand(engine, monkeypatch):
    monkeypatch.setattr(photos, "find_faces", faces_at((80, 50, 20)))
    corners = sees(engine, WIDE)
    assert corners.shape == (4, 2) and (corners[0] < (80, 50)).all() and (corners[2] > (100, 50)).all()
    assert sees(engine, WIDE, "flowers").tolist() == [[48, 0], [144, 0], [144, 96], [48, 96]]


def test_a_hole_over_nearly_everything_is_refused(engine):
    with pytest.raises(ValueError, match="covers nearly all"):
        list(inpaint(engine, replace(HOLED, mask=hole(x=1, y=1, width=46, height=46))))


@pytest.mark.parametrize("size", [1, 2])
def test_a_hole_smaller_than_the_networks_pixels_is_filled(engine, size):
    mask = hole(x=24, y=24, width=size, height=size)
    image = last(inpaint(engine, replace(HOLED, mask=mask))).fillings[0].image
    np.testing.assert_array_equal(image[~mask], PHOTO.rgb[~mask])


# --- into the photo -----------------------------------------------------------------------------------------------------------


def test_a_filling_meets_the_photo_at_the_border():
    """A drawing that is everywhere 60 too dark leaves no seam."""
    ramp = np.linspace(80, 200, 200).astype(np.uint8)
    rgb = np.broadcast_to(ramp[None, :, None], (200, 200, 3)).copy()
    mask = hole((200, 200), 70, 60, 50, 70)
    crop = align_centre(rgb, 64)
    filled = fill(rgb, mask, (crop.image.astype(int) - 60).clip(0, 255).astype(np.uint8), crop).astype(int)
    assert np.abs(filled - rgb).max() <= 3


def test_a_flat_drawing_becomes_the_membrane_that_poisson_blending_hangs():
    """Against Laplace's equation, solved outright: SciPy's sparse factorisation."""
    y, x = np.mgrid[:120, :120]
    rgb = np.rint(125 + 50 * np.sin(x / 12) + y / 2).astype(np.uint8)[:, :, None].repeat(3, axis=2)
    mask = cv2.circle(np.zeros((120, 120), np.uint8), (60, 60), 38, 1, -1).astype(bool)
    number = np.cumsum(mask.ravel()).reshape(mask.shape) - 1
    laplace, border = lil_matrix((mask.sum(), mask.sum())), np.zeros(mask.sum())
    for here in np.argwhere(mask):
        row = number[tuple(here)]
        laplace[row, row] = 4
        for there in map(tuple, np.add(here, ((0, 1), (1, 0), (0, -1), (-1, 0)))):
            if mask[there]:
                laplace[row, number[there]] = -1
            else:
                border[row] += rgb[there][0]
    exact = spsolve(laplace.tocsc(), border)
    filled = fill(rgb, mask, np.zeros((16, 16, 3), np.uint8), align_centre(rgb, 16))
    assert np.abs(filled[mask][:, 0] - exact).max() <= 0.04 * np.ptp(exact)


def test_what_is_drawn_is_seen_in_the_middle():
    rgb, mask = np.full((200, 200, 3), 120, np.uint8), hole((200, 200), 60, 60, 80, 80)
    drawing = np.full((64, 64, 3), 120, np.uint8)
    cv2.circle(drawing, (32, 32), 6, (220, 40, 40), -1)
    filled = fill(rgb, mask, drawing, align_centre(rgb, 64))
    assert np.abs(filled[100, 100].astype(int) - (220, 40, 40)).max() <= 4 and np.abs(filled[64, 64].astype(int) - 120).max() <= 2


def test_a_hole_at_the_photos_edge_is_filled():
    rgb, mask = np.full((60, 60, 3), 90, np.uint8), hole((60, 60), 0, 0, 20, 60)
    filled = fill(rgb, mask, np.full((16, 16, 3), 30, np.uint8), align_centre(rgb, 16))
    assert np.abs(filled.astype(int) - 90).max() <= 1


def test_a_large_photo_keeps_its_size_and_its_pixels():
    rgb = np.full((1500, 2000, 3), 140, np.uint8)
    mask = cv2.circle(np.zeros((1500, 2000), np.uint8), (1000, 700), 200, 1, -1).astype(bool)
    filled = fill(rgb, mask, np.full((16, 16, 3), 60, np.uint8), align_square(rgb, 1000, 700, 900, 16))
    assert filled.shape == rgb.shape and np.abs(filled.astype(int) - 140).max() <= 1


# --- requests and recipes -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: replace(HOLED, mask=np.zeros((48, 48), bool)), "no hole to fill yet"),
        (lambda: replace(HOLED, mask=np.ones((48, 48), bool)), "the whole photo"),
        (lambda: replace(HOLED, mask=MASK[:40]), "48 x 40 pixels and the photo 48 x 48"),
        (lambda: replace(HOLED, mask=MASK.astype(np.uint8)), "black and white"),
        (lambda: replace(HOLED, iterations=0), "1 to 10"),
        (lambda: replace(HOLED, iterations=11), "1 to 10"),
        (lambda: replace(HOLED, candidates=9), "1 to 8"),
        (lambda: replace(HOLED, domain="cars"), "no domain"),
        (lambda: replace(HOLED, condition={"Smiling": 2}), "between -1"),
        (lambda: replace(HOLED, domain="birds", condition={"Blue_Jay": -1}), "a share of 0 or more"),
        (lambda: replace(HOLED, seed=-1), "seed"),
    ],
)
def test_a_request_that_cannot_be_says_what_to_change(make, said):
    with pytest.raises(ValueError, match=said):
        make()


def test_a_ragged_mask_is_refused_before_the_work(engine):
    noise = np.random.default_rng(0).random((800, 800)) < 0.5
    with pytest.raises(ValueError, match="larger brush"):
        inpaint(engine, replace(HOLED, photo=patches(1, 800, 800), mask=noise))


@pytest.mark.parametrize("shape", [(48, 48), (33, 47), (3000, 4000)])
def test_a_mask_comes_back_from_its_text(shape):
    mask = np.zeros(shape, np.uint8)
    cv2.ellipse(mask, (shape[1] // 2, shape[0] // 2), (shape[1] // 4, shape[0] // 3), 20, 0, 360, 1, -1)
    text = pack_mask(mask.astype(bool))
    np.testing.assert_array_equal(unpack_mask(text, shape), mask.astype(bool))
    assert len(text) < 12_000


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "damaged|not of this photo"),
        ("%%%%", "damaged"),
        ("AAAA", "damaged"),
        (7, "damaged"),
        (pack_mask(hole((40, 40))), "not of this photo"),
        (pack_mask(np.zeros((9000, 9000), bool)), "not of this photo"),  # a bomb is not unpacked
    ],
)
def test_a_strangers_mask_is_refused_in_words(text, said):
    with pytest.raises(ValueError, match=said):
        unpack_mask(text, (48, 48))


def test_a_filling_is_made_again_from_its_recipe(engine):
    result = last(inpaint(engine, replace(HOLED, seed=4, condition={"Smiling": 1})))
    recipe = Recipe.from_json(result.fillings[1].recipe.to_json())
    assert recipe.parameters["paste"] is True and recipe.parameters["index"] == 1
    repeated = last(inpaint(engine, request_from_recipe(recipe, [patches(7), PHOTO])))
    np.testing.assert_array_equal(repeated.fillings[1].image, result.fillings[1].image)
    with pytest.raises(ValueError, match=r"photo-1\.png"):
        request_from_recipe(recipe, [])
    with pytest.raises(ValueError, match="made on the tab dream"):
        request_from_recipe(recipe.model_copy(update={"tab": "dream"}), [PHOTO])
    with pytest.raises(ValueError, match="names one photo"):
        request_from_recipe(recipe.model_copy(update={"inputs": ()}), [PHOTO])


def test_the_sheet_shows_the_hole_beside_its_fillings(engine):
    result = last(inpaint(engine, HOLED))
    assert result.sheet.shape[1] > 3 * module.HEAD and result.fillings[0].plain.shape[0] == SIDE
