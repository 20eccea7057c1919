"""The Manifold tab without a screen: faces that are colours, found and walked between."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from skimage import data

from studio.core.engine import Engine
from studio.core.faces import FaceError
from studio.core.images import Photo
from studio.core.recipe import Recipe
from studio.core.registry import default_registry
from studio.pipelines import dream, manifold, photos
from studio.pipelines.manifold import (
    BETWEEN,
    Cell,
    Film,
    Inversion,
    InvertRequest,
    InvertResult,
    Preview,
    TraverseRequest,
    TraverseResult,
    film,
    film_frames,
    frame_recipe,
    invert,
    list_generators,
    point_picture,
    point_recipe,
    request_from_recipe,
    traverse,
)
from studio.pipelines.parts import Progress
from tests.fakes import sampler
from tests.walks import REACH, STYLES, WALKERS, WalkEngine, coder, person, reverse

ANNA, BEN, CLEO, DAN = (person(red) for red in (40, 90, 150, 220))
TWO = InvertRequest((ANNA, BEN), steps=8, frame="centre")


@pytest.fixture
def engine(tmp_path, monkeypatch):
    monkeypatch.setattr(manifold.reversal, "invert", reverse)
    return WalkEngine(tmp_path)


def last(steps):
    return list(steps)[-1]


def walked(engine, **changes) -> TraverseResult:
    return last(traverse(engine, replace(TraverseRequest(TWO), **changes)))


# --- requests ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"photos": ()}, "Add a photo"),
        ({"photos": (ANNA,) * 5}, "at most 4"),
        ({"generator": "dcgan"}, "'dcgan'; there is flagship and began"),
        ({"generator": []}, "there is flagship"),
        ({"steps": -1}, "whole number from 0"),
        ({"steps": 1.5}, "whole number from 0"),
        ({"steps": 1001}, "to 1000"),
        ({"frame": "tight"}, "frame"),
        ({"dreams": (None,)}, "each of the 2"),
    ],
)
def test_a_request_to_find_faces_says_what_to_change(change, message):
    with pytest.raises(ValueError, match=message):
        replace(TWO, **change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"invert": replace(TWO, photos=(ANNA,))}, "at least two faces"),
        ({"frames": 1}, "from 2 \\(one for each face\\)"),
        ({"frames": 34}, "to 33"),
        ({"frames": True}, "whole number"),
        ({"animals": ("lion", "lion")}, "once"),
        ({"animals": (3,)}, "by their names"),
        ({"path": "curved"}, "'curved'; there is spherical, linear, dense"),
        ({"strength": 2}, "between 0"),
        ({"strength": float("nan")}, "between 0"),
    ],
)
def test_a_request_for_a_walk_says_what_to_change(change, message):
    with pytest.raises(ValueError, match=message):
        replace(TraverseRequest(TWO), **change)


def test_what_is_not_here_is_said_at_once(tmp_path, engine):
    with pytest.raises(ValueError, match="'dragon'; there is lion, fox"):
        traverse(engine, TraverseRequest(TWO, animals=("dragon",)))
    (tmp_path / "bare").mkdir()
    began = WalkEngine(tmp_path / "bare", WALKERS[2:])
    with pytest.raises(ValueError, match="no flagship that photos can be found in yet; there is began"):
        invert(began, TWO)
    (tmp_path / "none").mkdir()
    with pytest.raises(ValueError, match="no generator that photos can be found in yet"):
        invert(WalkEngine(tmp_path / "none", []), TWO)
    assert list_generators(engine) == ("flagship", "began") and list_generators(began) == ("began",)


def test_the_finest_generator_that_has_an_encoder_is_meant(tmp_path):
    finer = [sampler("stylegan", resolution=64), sampler("stylegan", resolution=32), coder("stylegan", "encode", 32)]
    found = manifold._networks(WalkEngine(tmp_path, [*WALKERS, *finer]).registry, "flagship")
    assert (found.generator.id, found.encoder.id) == ("stylegan-32", "stylegan-encoder-32")


# --- finding ----------------------------------------------------------------------------------------------------------


def test_reversal_goes_on_from_the_encoders_guess(engine):
    guess = last(invert(engine, replace(TWO, steps=0))).inversions[0]
    steps = list(invert(engine, TWO))
    previews = [step for step in steps if isinstance(step, Preview)]
    assert [preview.done for preview in previews] == [*range(9), *range(8, 17)] and previews[0].total == 16
    assert [preview.photo_index for preview in previews] == [0] * 9 + [1] * 9
    result = steps[-1]
    assert isinstance(result, InvertResult) and [i.photo_name for i in result.inversions] == ["person-40.png", "person-90.png"]
    found = result.inversions[0]
    assert found.likeness.psnr > guess.likeness.psnr + 10 and found.likeness.words[0] == "very close"
    assert guess.likeness.words[0] == "only the pose and colours"
    assert found.code.shape[0] == STYLES and found.steps == 8 and guess.steps == 0 and found.seconds > 0
    np.testing.assert_allclose(found.code[1:, :3], np.tile(REACH * found.code[:1, :3], (STYLES - 1, 1)), rtol=0.05)
    assert found.likeness.identity > 0.99 and found.likeness.lpips >= 0
    np.testing.assert_allclose(found.image.mean((0, 1)), ANNA.rgb[0, 0], atol=3)


def test_what_is_found_does_not_depend_on_the_company(engine):
    alone = last(invert(engine, replace(TWO, photos=(BEN,)))).inversions[0]
    np.testing.assert_array_equal(alone.code, last(invert(engine, TWO)).inversions[1].code)


def test_began_needs_no_reversal(engine):
    steps = list(invert(engine, replace(TWO, generator="began")))
    assert not any(isinstance(step, Preview) for step in steps)
    found = steps[-1].inversions[0]
    assert found.code.ndim == 1 and found.steps == 0 and "steps" not in found.recipe.parameters
    assert set(found.recipe.checkpoints) == {"began-encoder-16", "began-decoder-16"}


def test_closing_stops_the_engine(engine):
    steps = invert(engine, TWO)
    next(step for step in steps if isinstance(step, Preview))
    assert engine.ended == 0
    steps.close()
    assert engine.ended == 1


def test_a_photo_without_a_face_is_refused_before_the_first_step(engine, monkeypatch):
    monkeypatch.setattr(photos, "find_faces", lambda engine, rgb: ())
    with pytest.raises(FaceError, match="person-40.png"):
        list(invert(engine, replace(TWO, frame="auto")))
    assert not engine.runs


def dreamt(engine, **changes) -> dream.Candidate:
    request = dream.DreamRequest(count=3, seed=5, **changes)
    return [step for step in dream.dream(engine, request) if isinstance(step, dream.Candidate)][2]


@pytest.mark.parametrize("changes", [{}, {"animal": "lion", "strength": 1.0}])
def test_a_dream_is_known_exactly_and_of_an_animal_the_face_underneath(engine, changes):
    candidate = dreamt(engine, **changes)
    found = last(invert(engine, replace(TWO, dreams=(None, candidate.recipe)))).inversions[1]
    np.testing.assert_array_equal(found.code, np.repeat(candidate.latent[None], STYLES, axis=0))
    assert found.likeness.psnr is None and found.likeness.words == ("exact: it was dreamt up here",) and found.steps == 0


def test_a_dream_of_other_weights_is_found_like_a_photo(engine):
    recipe = dreamt(engine).recipe
    for checkpoints in ({"stylegan-16": "0" * 64}, {}):
        other = recipe.model_copy(update={"checkpoints": checkpoints})
        assert last(invert(engine, replace(TWO, dreams=(other, None)))).inversions[0].likeness.psnr is not None


# --- walking ----------------------------------------------------------------------------------------------------------


def test_the_ends_of_a_walk_are_the_inversions(engine):
    for path in ("linear", "spherical", "dense"):
        result = walked(engine, path=path)
        (row,) = result.rows
        assert len(row.images) == 9 and result.array is None
        np.testing.assert_array_equal(row.images[0], result.inversions[0].image)
        np.testing.assert_array_equal(row.images[-1], result.inversions[1].image)
        reds = [int(image[0, 0, 0]) for image in row.images]
        assert path == "dense" or (reds == sorted(reds) and reds[0] < reds[4] < reds[-1])


def test_a_dense_walk_keeps_to_where_the_generator_draws_and_draws_once(engine, monkeypatch):
    straight, dense = (walked(engine, path=path) for path in ("linear", "dense"))
    density = manifold._density(engine, manifold._networks(engine.registry, "flagship"))
    assert density.codes.shape == (manifold.DRAWN, STYLES, 24) and density.codes.std() == pytest.approx(0.7, abs=0.02)
    middle = slice(BETWEEN, -BETWEEN)  # the ends are the faces, wherever these are
    assert density.log_density(dense.codes[middle]).mean() > density.log_density(straight.codes[middle]).mean() + 5
    assert not np.array_equal(dense.sheet, straight.sheet)
    monkeypatch.setattr(manifold, "_drawn_styles", None)
    np.testing.assert_array_equal(walked(engine, path="dense").codes, dense.codes)


def test_a_dense_walk_is_made_again_elsewhere(engine, tmp_path):
    result = walked(engine, path="dense", loop=True)
    again = request_from_recipe(Recipe.from_json(result.recipe.to_json()), [ANNA, BEN])
    (tmp_path / "elsewhere").mkdir()
    np.testing.assert_array_equal(last(traverse(WalkEngine(tmp_path / "elsewhere"), again)).sheet, result.sheet)


def test_began_follows_the_codes_of_what_its_sampling_gan_draws(tmp_path, engine):
    began = replace(TWO, generator="began")
    with pytest.raises(ValueError, match="needs began-16, which is not here: pull it, or take another path"):
        traverse(engine, TraverseRequest(began, path="dense"))
    (tmp_path / "more").mkdir()
    richer = WalkEngine(tmp_path / "more", [*WALKERS, sampler("began", "lion"), sampler("began")])
    result = walked(richer, invert=began, path="dense")
    assert "began-16" in result.recipe.checkpoints and "began-16" in richer.fetched
    assert ("began-16", manifold.DRAWN + manifold.HELD_OUT) in richer.runs
    assert "began-16" not in walked(richer, invert=began).recipe.checkpoints


def test_cells_come_row_by_row_and_animals_are_made_of_the_walk(engine):
    steps = list(traverse(engine, TraverseRequest(TWO, frames=3, animals=("lion", "fox"))))
    cells = [step for step in steps if isinstance(step, Cell)]
    assert [(cell.row, cell.column) for cell in cells] == [(row, column) for row in range(3) for column in range(3)]
    result = steps[-1]
    assert [row.animal for row in result.rows] == [None, "lion", "fox"] and result.rows[2].study == "few pictures"
    for face, lion in zip(result.rows[0].images, result.rows[1].images, strict=True):
        np.testing.assert_allclose(255 - face.astype(int), lion, atol=1)  # the fake lion inverts
    totals = {step.total for step in steps if isinstance(step, Progress) and step.message.startswith(("Walking", "Becoming"))}
    assert totals == {9}
    assert "frames read as a lion" in result.rows[1].words[0] and "frames" in result.rows[0].words[0]


def test_four_faces_are_the_corners_of_the_array(engine):
    four = replace(TWO, photos=(ANNA, BEN, CLEO, DAN))
    result = walked(engine, invert=four, frames=5)
    assert result.array.shape == (5, 5, 16, 16, 3) and result.array_sheet.ndim == 3
    corners = result.array[0, 0], result.array[0, -1], result.array[-1, 0], result.array[-1, -1]
    for corner, inversion in zip(corners, result.inversions, strict=True):
        np.testing.assert_array_equal(corner, inversion.image)


def test_a_point_of_the_square_is_its_picture_there_and_the_animal_is_made_of_it(engine):
    four = replace(TWO, photos=(ANNA, BEN, CLEO, DAN))
    result = walked(engine, invert=four, frames=5, animals=("lion",))
    for y, x in ((0, 0), (4, 1), (2, 3)):
        np.testing.assert_array_equal(point_picture(engine, result, x / 4, y / 4), result.array[y, x])
    face, lion = (point_picture(engine, result, 0.3, 0.9, row) for row in (0, 1))
    np.testing.assert_allclose(255 - face.astype(int), lion, atol=1)
    assert point_recipe(result, 0.3, 0.9, 1).parameters["point"] == {"across": 0.3, "down": 0.9}
    assert point_recipe(result, 0.3, 0.9, 1).parameters["animal"] == "lion"
    for outside in (-0.1, 1.1, float("nan"), "x"):
        with pytest.raises(ValueError, match="from 0 to 1"):
            point_picture(engine, result, 0.5, outside)
    with pytest.raises(ValueError, match="Only four faces"):
        point_picture(engine, walked(engine), 0.5, 0.5)


def test_what_was_found_before_is_not_searched_again(engine):
    found = last(invert(engine, TWO)).inversions
    engine.ended = 0
    again = last(traverse(engine, TraverseRequest(TWO), found))
    assert engine.ended == 0 and again.inversions == found
    np.testing.assert_array_equal(again.sheet, walked(engine).sheet)


def test_evenness_compares_the_largest_step_with_the_mean_one(engine):
    assert 1 <= walked(engine).evenness < 1.5
    jump = [np.full((16, 16, 3), value, np.uint8) for value in (0, 0, 0, 200, 200)]
    assert manifold._evenness(engine, jump) == pytest.approx(4)
    assert manifold._evenness(engine, jump[:3]) == 1


def test_a_walk_of_known_faces_stops_between_frames(engine):
    steps = traverse(engine, TraverseRequest(TWO, animals=("lion",)))
    next(step for step in steps if isinstance(step, Cell))
    steps.close()
    assert not any(card.startswith("cyclegan") for card, _ in engine.runs)


# --- films ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loop", [False, True])
def test_a_film_has_the_frames_of_the_walk_among_its_own(engine, loop):
    result = walked(engine, animals=("lion",), loop=loop)
    made = last(film(engine, result))
    assert isinstance(made, Film) and len(made.rows) == 2 and made.loop is loop
    for row, images in zip(result.rows, made.rows, strict=True):
        assert len(images) == (9 * BETWEEN if loop else 8 * BETWEEN + 1)
        for frame, image in zip(row.images, images[::BETWEEN], strict=True):
            np.testing.assert_array_equal(frame, image)


@pytest.mark.parametrize(("rows", "shape"), [(1, (16, 16)), (3, (48, 16)), (4, (64, 16)), (5, (64, 32)), (11, (64, 48))])
def test_the_pictures_of_a_film_stand_in_columns(rows, shape):
    made = Film(tuple((np.full((16, 16, 3), row, np.uint8),) * 2 for row in range(rows)), False)
    frames = film_frames(made)
    assert len(frames) == 2 and frames[0].shape == (*shape, 3)
    assert frames[0][-1, 0, 0] == min(rows, 4) - 1


# --- recipes ----------------------------------------------------------------------------------------------------------


def test_a_walk_is_made_again_from_its_recipe(engine):
    result = walked(engine, animals=("fox",), frames=4, path="linear", loop=True, strength=0.5)
    recipe = Recipe.from_json(result.recipe.to_json())
    assert set(recipe.checkpoints) == {"stylegan-16", "stylegan-encoder-16", "cyclegan-fox-16"}
    again = request_from_recipe(recipe, [BEN, CLEO, ANNA])
    assert replace(again, invert=TWO) == result.request and again.invert.photos == (ANNA, BEN)
    np.testing.assert_array_equal(last(traverse(engine, again)).sheet, result.sheet)


def test_an_inversion_is_made_again_alone(engine):
    found = last(invert(engine, TWO)).inversions[1]
    again = request_from_recipe(Recipe.from_json(found.recipe.to_json()), [BEN])
    np.testing.assert_array_equal(last(invert(engine, again)).inversions[0].image, found.image)


def test_the_eyes_are_in_the_recipe(engine):
    chosen = photos.FaceChoice(eyes=((10, 20), (30, 20)))
    request = replace(TWO, frame="auto", faces=(chosen, chosen))
    again = request_from_recipe(last(invert(engine, request)).recipe, [ANNA, BEN])
    assert again.faces == (chosen, chosen) and again.frame == "auto"


def test_a_dream_is_dreamt_again_from_the_walks_recipe(engine):
    candidate = dreamt(engine)
    result = walked(engine, invert=replace(TWO, dreams=(candidate.recipe, None)))
    again = request_from_recipe(Recipe.from_json(result.recipe.to_json()), [ANNA, BEN])
    np.testing.assert_array_equal(last(traverse(engine, again)).sheet, result.sheet)


def test_one_picture_of_a_film_says_which_it_is(engine):
    result = walked(engine, animals=("lion",))
    settings = frame_recipe(result, 12, 1).parameters
    assert (settings["step"], settings["animal"]) == (12, "lion") and "animal" not in frame_recipe(result, 3, 0).parameters


@pytest.mark.parametrize(
    "parameters",
    [
        {"generator": ["flagship"]}, {"steps": "9"}, {"frames": 1e9}, {"frames": "9"}, {"animals": {"a": 1}},
        {"animals": "dragon"}, {"path": ["linear"]}, {"strength": "1"}, {"dreams": "all"}, {"dreams": [1, 2]},
        {"dreams": [{"seed": -1}, None]},
        {"dreams": [{"generator": "flagship", "truncation": "x"}, None]}, {"dreams": [None]}, {"frame": 3},
    ],
)  # fmt: skip
def test_a_forged_recipe_never_makes_a_forged_walk(engine, parameters):
    honest = walked(engine).recipe
    forged = honest.model_copy(update={"parameters": {**honest.parameters, **parameters}})
    with pytest.raises(ValueError):
        list(traverse(engine, request_from_recipe(forged, [ANNA, BEN])))


def test_a_recipe_of_another_tab_or_without_its_photo_is_refused(engine):
    with pytest.raises(ValueError, match="the tab makeup"):
        request_from_recipe(Recipe(tab="makeup", verb="apply"), [])
    with pytest.raises(ValueError, match=r"give person-90.png too"):
        request_from_recipe(walked(engine).recipe, [ANNA])


def test_known_faces_come_before_the_first_frame(engine):
    kinds = [type(step) for step in traverse(engine, TraverseRequest(TWO)) if isinstance(step, Inversion | Cell)]
    assert kinds == [Inversion] * 2 + [Cell] * 9


# --- the networks that are shipped ------------------------------------------------------------------------------------

SHIPPED = list_generators(default_registry())


@pytest.fixture(scope="module")
def studio():
    with Engine() as engine:
        yield engine


def sitter(name: str, rgb: np.ndarray, eyes) -> tuple[Photo, photos.FaceChoice]:
    return Photo(rgb, name[0] * 64, name), photos.FaceChoice(eyes=eyes)


@pytest.mark.parametrize("generator", SHIPPED)
def test_a_shipped_generator_finds_a_face_and_walks_to_its_mirror_image(studio, generator):
    width, ((left, y), (right, z)) = 512, ((204.5, 101.5), (247.5, 104.0))
    eileen = sitter("a.png", data.astronaut(), ((left, y), (right, z)))
    mirrored = sitter("b.png", data.astronaut()[:, ::-1].copy(), ((width - right, z), (width - left, y)))
    both, faces = zip(eileen, mirrored, strict=True)
    request = InvertRequest(both, generator, steps=20, faces=faces)
    guess = last(invert(studio, replace(request, steps=0))).inversions
    result = last(traverse(studio, TraverseRequest(request, frames=5)))
    for first, found in zip(guess, result.inversions, strict=True):
        assert found.likeness.psnr >= first.likeness.psnr > 10
        assert generator == "began" or found.likeness.psnr > first.likeness.psnr + 1
    for image, inversion in zip((result.rows[0].images[0], result.rows[0].images[-1]), result.inversions, strict=True):
        np.testing.assert_array_equal(image, inversion.image)
    assert result.evenness < manifold.EVEN
    again = last(invert(studio, replace(request, photos=both[1:], faces=faces[1:])))
    np.testing.assert_array_equal(again.inversions[0].code, result.inversions[1].code)
