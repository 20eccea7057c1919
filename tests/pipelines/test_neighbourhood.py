"""What lies around a point, without a screen: a bank of colours, and a generator that paints them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from studio.core.faces import FaceError
from studio.core.recipe import Recipe
from studio.latent.convex import neighbours
from studio.pipelines import neighbourhood, photos
from studio.pipelines.neighbourhood import (
    NeighboursRequest,
    NeighboursResult,
    Place,
    dot_place,
    draw_map,
    find_place,
    list_domains,
    look_around,
    near_words,
    place_recipe,
    request_from_recipe,
)
from studio.pipelines.parts import Progress
from tests.banks import CODES, BankEngine
from tests.walks import person


@pytest.fixture
def engine(tmp_path):
    return BankEngine(tmp_path)


def last(steps):
    return list(steps)[-1]


def looked(engine, **changes) -> NeighboursResult:
    return last(look_around(engine, NeighboursRequest(**changes)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"domain": 3}, "by its name"),
        ({"code": ()}, "1 to 512 numbers"),
        ({"code": (float("nan"),)}, "1 to 512 numbers"),
        ({"code": ("x",)}, "1 to 512 numbers"),
        ({"seed": -1}, "as the seed"),
        ({"way": "far"}, "'far'; there is convex and density"),
        ({"k": 0}, "1 to 16 neighbours"),
        ({"k": 2.5}, "1 to 16 neighbours"),
        ({"spread": 3}, "between 0"),
        ({"bandwidth": 0}, "bandwidth between 0.02"),
        ({"count": 0}, "1 to 36"),
    ],
)
def test_a_request_says_what_to_change(change, message):
    with pytest.raises(ValueError, match=message):
        NeighboursRequest(**change)


def test_what_is_not_here_is_said_at_once(tmp_path, engine):
    assert list_domains(engine) == ("bird", "face")
    with pytest.raises(ValueError, match="no bank of 'flower'; there is bird, face"):
        look_around(engine, NeighboursRequest("flower"))
    with pytest.raises(ValueError, match="has 2 numbers, but those of faces have 6"):
        look_around(engine, NeighboursRequest(code=(0.1, 0.2)))
    (tmp_path / "none").mkdir()
    with pytest.raises(ValueError, match="no bank of codes to look around in yet"):
        look_around(BankEngine(tmp_path / "none", []), NeighboursRequest())


def test_the_point_comes_first_then_its_neighbours_then_what_is_new(engine):
    steps = list(look_around(engine, NeighboursRequest(code=tuple(engine.codes[7].tolist()))))
    places = [step for step in steps if isinstance(step, Place)]
    assert [place.kind for place in places] == ["here"] + ["neighbour"] * 8 + ["sample"] * 12
    assert [place.index for place in places] == [0, *range(8), *range(12)]
    result = steps[-1]
    index, _ = neighbours(engine.codes, result.here.code[None], 8)
    np.testing.assert_allclose([place.code for place in result.neighbours], engine.codes[index[0]], atol=1e-4)
    assert result.here.distance < 0.01 and near_words(result.here) == "as in the bank" and result.here.label == "red tulip"
    np.testing.assert_array_equal(np.rint(result.here.image[0, 0] / 127.5 - 1), np.rint(result.here.code[:3]))
    done = [step.done for step in steps if isinstance(step, Progress)]
    assert done == sorted(done) and done[-1] == 21 and result.sheet.ndim == 3


def test_combinations_stay_inside_the_neighbourhood_and_spread_opens_it(engine):
    code = tuple(map(float, engine.codes[7]))
    near = engine.codes[neighbours(engine.codes, engine.codes[7:8], 8)[0][0]]
    samples = np.stack([place.code for place in looked(engine, code=code).samples])
    assert (samples >= near.min(0) - 1e-3).all() and (samples <= near.max(0) + 1e-3).all()
    assert len({place.code.tobytes() for place in looked(engine, code=code).samples}) == 12
    for place in looked(engine, code=code, spread=0.0).samples:
        np.testing.assert_allclose(place.code, engine.codes[7], atol=1e-4)


def test_the_bandwidth_goes_from_memory_to_imagination(engine):
    far = [np.mean([place.distance for place in looked(engine, way="density", bandwidth=h).samples]) for h in (0.02, 0.3, 1.5)]
    assert far == sorted(far) and far[0] < 0.25 < 1.25 < far[2]
    assert near_words(looked(engine, way="density", bandwidth=1.5).samples[0]) == "away from the bank"


def test_more_neighbours_than_the_bank_names_can_be_combined(engine):
    assert len(looked(engine, k=16).samples) == 12


def test_a_seed_is_a_place_of_its_own_and_the_same_each_time(engine):
    first, again, other = (looked(engine, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.sheet, again.sheet)
    assert first.request.code == again.request.code != other.request.code


def test_a_result_is_made_again_from_its_recipe_pixel_by_pixel(engine):
    for changes in ({"k": 3, "spread": 1.5}, {"way": "density", "bandwidth": 0.4, "domain": "bird"}):
        result = looked(engine, seed=5, count=7, **changes)
        recipe = Recipe.from_link(result.recipe.to_link())
        assert request_from_recipe(recipe) == replace(result.request, spread=changes.get("spread", 1.0))
        np.testing.assert_array_equal(last(look_around(engine, request_from_recipe(recipe))).sheet, result.sheet)
        one = place_recipe(result, result.samples[3]).parameters
        assert (one["shows"], one["index"]) == ("sample", 3)


@pytest.mark.parametrize(
    "parameters",
    [
        {"code": "x"}, {"code": 0}, {"code": [1] * 600}, {"code": [[1]]}, {"code": [1e300] * 6}, {"code": [0.1]}, {"domain": []},
        {"domain": "owl"}, {"way": ["convex"]}, {"k": "5"}, {"spread": None}, {"bandwidth": "x"}, {"count": 1e9},
    ],
)  # fmt: skip
def test_a_forged_recipe_is_refused_in_a_sentence(engine, parameters):
    honest = looked(engine).recipe
    forged = honest.model_copy(update={"parameters": {**honest.parameters, **parameters}})
    with pytest.raises(ValueError):
        look_around(engine, request_from_recipe(forged))


def test_recipes_of_other_verbs_are_refused():
    for tab, verb in (("manifold", "traverse"), ("character", "neighbours")):
        with pytest.raises(ValueError, match="use it there"):
            request_from_recipe(Recipe(tab=tab, verb=verb))


def test_a_photo_is_found_by_the_encoder(engine, monkeypatch):
    code = find_place(engine, "face", person(200, 40, 90), frame="centre")
    np.testing.assert_allclose(code[:3], np.array([200, 40, 90]) / 127.5 - 1, atol=0.02)
    assert looked(engine, code=tuple(map(float, code))).here.image[0, 0, 0] in range(198, 203)
    with pytest.raises(ValueError, match="begin at a seed"):
        find_place(engine, "bird", person(200))
    monkeypatch.setattr(photos, "find_faces", lambda engine, rgb: ())
    with pytest.raises(FaceError):
        find_place(engine, "face", person(200))


def test_any_code_of_the_bank_can_be_shown(engine):
    place = dot_place(engine, "face", 11)
    assert (place.kind, place.index) == ("dot", 11)
    np.testing.assert_allclose(place.code, engine.codes[11], atol=1e-4)
    for index in (-1, CODES, "x", True):
        with pytest.raises(ValueError, match="no such point"):
            dot_place(engine, "face", index)


@pytest.mark.parametrize("kind", ["pca", "tsne"])
def test_a_map_holds_its_codes_and_places_others_among_them(engine, kind):
    drawn = draw_map(engine, "face", kind)
    assert drawn.dots.shape == (CODES, 2) and (drawn.dots >= 0).all() and (drawn.dots <= 1).all()
    np.testing.assert_allclose(drawn.place(engine.codes[drawn.chosen]), drawn.dots, atol=0.03)
    with pytest.raises(ValueError, match="there is pca and tsne"):
        draw_map(engine, "face", "umap")


def test_a_large_bank_is_drawn_in_part(engine, monkeypatch):
    monkeypatch.setitem(neighbourhood.DOTS, "pca", 20)
    assert draw_map(engine, "face").dots.shape == (20, 2)
