"""The Morph tab without a screen, on small networks that were never trained: what holds whatever the weights are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from studio.core.faces import Face, FaceError
from studio.core.recipe import Recipe
from studio.pipelines import conditioned, photos
from studio.pipelines.conditioned import find_label, list_domains, networks_of, sliders
from studio.pipelines.manifold import BETWEEN, Film, Preview
from studio.pipelines.morph import (
    GAIN,
    LARGE,
    AttributesRequest,
    ClassRequest,
    Frame,
    MixRequest,
    MorphRequest,
    MorphResult,
    Sample,
    attributes,
    draw_class,
    film,
    frame_recipe,
    mix,
    morph,
    picture_with,
    request_from_recipe,
)
from studio.pipelines.parts import Progress
from tests.fakes import JUDGE
from tests.morphs import CARDS, LABELS, LATENT, MORPH_EYE, SIDE, TASKS, MorphEngine, card, patches

ANNA, BEN, CLEO = (patches(seed) for seed in (1, 2, 3))
TWO = MorphRequest((ANNA, BEN), frames=4, steps=3, frame="centre")
SMILE = AttributesRequest(ANNA, {"Smiling": 1}, steps=3, frame="centre")


@pytest.fixture
def engine(tmp_path):
    return MorphEngine(tmp_path)


def last(steps):
    return list(steps)[-1]


# --- between two photos -------------------------------------------------------------------------------------------------------


def test_a_morph_begins_and_ends_with_what_was_found(engine):
    steps = list(morph(engine, TWO))
    result = steps[-1]
    assert isinstance(result, MorphResult) and isinstance(steps[0], Progress)
    assert [step.index for step in steps if isinstance(step, Frame)] == [0, 1, 2, 3]
    for image, end in ((result.images[0], result.ends[0]), (result.images[-1], result.ends[1])):
        np.testing.assert_array_equal(image, end.image)
    assert result.words[0].startswith("photo-1: ") and result.study is None


def test_codes_and_conditions_go_straight(engine):
    """Section 5.3: halfway lies G of both means."""
    result = last(morph(engine, replace(TWO, frames=3)))
    latent, condition = (np.mean([getattr(end, name) for end in result.ends], 0) for name in ("latent", "condition"))
    networks = networks_of(engine, "faces")
    halfway = conditioned.draw(engine, networks, latent[None], condition[None])[0]
    assert np.abs(result.images[1].astype(int) - (halfway.transpose(1, 2, 0) + 1) * 127.5).max() <= 1


def test_reversal_comes_nearer_than_the_encoders_guess(engine):
    guess = last(morph(engine, replace(TWO, steps=0))).ends[0]
    found = last(morph(engine, replace(TWO, steps=12))).ends[0]
    assert found.likeness.psnr > guess.likeness.psnr and found.steps == 12
    np.testing.assert_array_equal(found.condition, guess.condition)  # it is held


def test_previews_count_on_from_photo_to_photo(engine):
    steps = [step for step in morph(engine, TWO) if isinstance(step, Preview)]
    assert [(step.photo_index, step.done) for step in steps] == [(0, 0), (0, 1), (0, 2), (0, 3), (1, 3), (1, 4), (1, 5), (1, 6)]
    assert {step.total for step in steps} == {10}


def test_a_film_passes_through_the_frames(engine):
    result = last(morph(engine, TWO))
    filmed = last(film(engine, result))
    assert isinstance(filmed, Film) and len(filmed.rows[0]) == 3 * BETWEEN + 1
    for index, image in enumerate(result.images):
        np.testing.assert_array_equal(filmed.rows[0][index * BETWEEN], image)


def test_flowers_are_taken_from_the_middle(engine, monkeypatch):
    monkeypatch.setattr(photos, "find_faces", lambda *_: pytest.fail("nobody looks for faces in flowers"))
    result = last(morph(engine, MorphRequest((ANNA, BEN), "flowers", 2, 1)))
    assert result.ends[0].eyes is None and result.ends[0].condition.sum() == pytest.approx(1, abs=1e-3)


def test_whoever_stops_stops_the_search(engine):
    steps = morph(engine, TWO)
    while not isinstance(next(steps), Preview):
        pass
    steps.close()
    assert engine.ended == 1 and not [run for run in engine.runs if run[0] == networks_of(engine, "faces").generator.id]


def test_a_photo_without_a_face_is_said_before_the_first_step(engine, monkeypatch):
    monkeypatch.setattr(photos, "find_faces", lambda engine, rgb: ())
    steps = morph(engine, replace(TWO, frame="auto"))
    assert isinstance(next(steps), Progress)
    with pytest.raises(FaceError, match=r"No face was found in photo-1\.png"):
        next(steps)


# --- attributes ---------------------------------------------------------------------------------------------------------------


def test_what_is_not_asked_for_stays_bit_for_bit(engine):
    result = last(attributes(engine, replace(SMILE, condition={})))
    np.testing.assert_array_equal(result.image, ANNA.rgb)
    np.testing.assert_array_equal(result.head, result.before)
    assert result.readings == () and result.condition == result.condition_before


def test_a_value_left_at_what_was_found_changes_nothing(engine):
    found = last(attributes(engine, replace(SMILE, condition={})))
    same = last(attributes(engine, replace(SMILE, condition=found.condition_before), found.found))
    np.testing.assert_array_equal(same.image, ANNA.rgb)
    assert len(same.readings) == len(LABELS["faces"])


def test_the_photo_gets_the_difference_of_two_drawings(engine):
    result = last(attributes(engine, SMILE))
    networks = networks_of(engine, "faces")
    condition = result.found.condition.copy()
    condition[0] = 1
    latents, conditions = np.stack([result.found.latent] * 2), np.stack([result.found.condition, condition])
    before, after = conditioned.draw(engine, networks, latents, conditions)
    change = (after - before) * 127.5
    size = np.sqrt(np.mean(change**2))
    change = change[:, SIDE // 2, SIDE // 2] * (1 + (GAIN - 1) / (1 + (size / LARGE) ** 2))
    centre = 25, 25  # of that pixel, which is three of the photo wide; nothing is faded there
    wanted = (ANNA.rgb[centre] + change).clip(0, 255)
    assert np.abs(result.image[centre] - wanted).max() < 1 and np.abs(change).max() > 5
    assert result.condition["Smiling"] == 1 and result.plain.shape == (SIDE, SIDE, 3)


def test_a_face_that_was_found_is_not_searched_again(engine):
    found = last(attributes(engine, SMILE)).found
    engine.runs.clear()
    result = last(attributes(engine, replace(SMILE, condition={"Eyeglasses": 1.0}), found))
    assert result.found is found and "cvaegan-encoder-faces-16" not in dict(engine.runs)


def test_a_slider_costs_one_run_and_shows_what_the_result_will(engine):
    result = last(attributes(engine, SMILE))
    engine.runs.clear()
    head = picture_with(engine, result.found, {"smiling": 1})
    assert engine.runs == [("cvaegan-faces-16", 2)]
    np.testing.assert_array_equal(head, result.head)


def test_the_judge_says_whether_it_worked(engine):
    result = last(attributes(engine, SMILE))
    (reading,) = result.readings
    assert reading.attribute == "Smiling" and 0 < reading.before < 1 and reading.after != reading.before
    assert ("smiling" if reading.after >= 0.5 else "serious") in reading.words
    assert result.identity == pytest.approx(1, abs=0.2) and result.words


def test_without_the_identity_judge_nothing_is_said_of_the_person(tmp_path):
    result = last(attributes(MorphEngine(tmp_path, [*CARDS, MORPH_EYE, JUDGE]), SMILE))
    assert result.identity is None and result.words == () and len(result.readings) == 1


def test_the_chosen_face_is_in_the_recipe(engine, monkeypatch):
    eyes = np.array([[18.0, 20.0], [30.0, 20.0]], np.float32)
    monkeypatch.setattr(photos, "find_faces", lambda engine, rgb: (Face(eyes, (10, 10, 30, 30), 0.9),))
    result = last(attributes(engine, replace(SMILE, frame="auto")))
    assert result.recipe.inputs[0].eyes == ((18.0, 20.0), (30.0, 20.0)) and result.recipe.parameters["paste"] is True
    monkeypatch.setattr(photos, "find_faces", lambda *_: pytest.fail("the eyes are known"))
    repeated = last(attributes(engine, request_from_recipe(Recipe.from_json(result.recipe.to_json()), [BEN, ANNA])))
    np.testing.assert_array_equal(repeated.image, result.image)


# --- classes and mixes --------------------------------------------------------------------------------------------------------


def test_a_picture_depends_on_its_seed_and_number_alone(engine):
    many = last(draw_class(engine, ClassRequest("daisy", count=3, seed=5))).samples
    few = last(draw_class(engine, ClassRequest("Daisy", count=1, seed=5))).samples
    other = last(draw_class(engine, ClassRequest("daisy", count=1, seed=6))).samples
    np.testing.assert_array_equal(many[0].image, few[0].image)
    assert (many[0].latent != many[1].latent).any() and (many[0].latent != other[0].latent).any()
    assert many[0].latent.shape == (LATENT,) and 0 <= many[0].chance <= 1 and many[0].words


def test_classes_arrive_one_by_one(engine):
    kinds = [type(step) for step in draw_class(engine, ClassRequest("rose", count=2))]
    assert [kind for kind in kinds if kind is not Progress][:2] == [Sample, Sample]


def test_a_mix_has_a_share_of_each_and_the_code_of_the_first_photo(engine):
    steps = list(mix(engine, MixRequest(("daisy", CLEO), (3, 1), "flowers", count=2, steps=1)))
    result, (found,) = steps[-1], [step for step in steps if type(step).__name__ == "Found"]
    daisy = 0.75 + 0.25 * found.condition[0]
    assert result.condition["daisy"] == pytest.approx(daisy, abs=2e-4)
    np.testing.assert_array_equal(result.samples[0].latent, found.latent)
    assert (result.samples[1].latent != found.latent).any() and result.samples[0].chance is None


def test_faces_of_two_photos_are_mixed(engine):
    result = last(mix(engine, MixRequest((ANNA, BEN), frame="centre", steps=1)))
    assert set(result.condition) == set(LABELS["faces"])
    repeated = last(mix(engine, request_from_recipe(result.samples[0].recipe, [BEN, ANNA])))
    np.testing.assert_array_equal(repeated.samples[0].image, result.samples[0].image)


# --- what is there ------------------------------------------------------------------------------------------------------------


def test_a_domain_needs_all_three_networks(tmp_path):
    engine = MorphEngine(tmp_path, [one for one in CARDS if one.task != "describe" or one.domains != ("bird",)])
    assert list_domains(engine) == ("faces", "flowers")
    with pytest.raises(ValueError, match="nothing that morphs birds yet; there is faces and flowers"):
        morph(engine, replace(TWO, domain="birds"))
    with pytest.raises(ValueError, match="no networks to morph with"):
        networks_of(MorphEngine(tmp_path, []), "faces")


def test_the_weakest_network_names_the_study(tmp_path):
    cards = [card("flowers", task, study="few" if task == "draw" else None) for task in TASKS]
    engine = MorphEngine(tmp_path, [*cards, JUDGE])
    assert last(draw_class(engine, ClassRequest("rose", count=1))).study == "few"


def test_sliders_are_offered_for_what_the_networks_know(engine):
    assert [slider.attribute for slider in sliders(engine)] == ["Smiling", "No_Beard", "Eyeglasses"]


def test_labels_are_found_in_any_writing():
    labels = ("American_Goldfinch", "Blue_Jay", "5_o_Clock_Shadow")
    assert find_label(labels, "american goldfinch") == "American_Goldfinch"
    assert find_label(labels, "5-o-clock shadow") == "5_o_Clock_Shadow"
    with pytest.raises(ValueError, match=r"nothing called 'blue jya'; there is Blue Jay"):
        find_label(labels, "blue jya")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: replace(TWO, photos=(ANNA,)), "choose two; these are 1"),
        (lambda: replace(TWO, frames=1), "frames"),
        (lambda: replace(TWO, steps=-1), "steps"),
        (lambda: replace(TWO, domain="dogs"), "faces, people, flowers, birds"),
        (lambda: replace(SMILE, condition={"Smiling": 1.5}), "Smiling between -1"),
        (lambda: replace(SMILE, condition={"Smiling": True}), "Smiling between -1"),
        (lambda: replace(SMILE, condition=["Smiling"]), "by its name"),
        (lambda: ClassRequest("rose", "faces"), "attributes instead"),
        (lambda: ClassRequest(" "), "such as daisy"),
        (lambda: ClassRequest("rose", count=0), "1 to 36"),
        (lambda: ClassRequest("rose", seed=-1), "seed"),
        (lambda: MixRequest(()), "one to 3"),
        (lambda: MixRequest(("daisy", "rose")), "mixed from photos"),
        (lambda: MixRequest(("daisy", "rose"), (0, 0), "flowers"), "weight"),
        (lambda: MixRequest(("daisy", "rose"), (1,), "flowers"), "weight"),
    ],
)
def test_a_request_that_cannot_be_says_what_to_change(make, said):
    with pytest.raises(ValueError, match=said):
        make()


# --- recipes ------------------------------------------------------------------------------------------------------------------


def test_a_morph_is_made_again_from_the_recipe_of_a_frame(engine):
    result = last(morph(engine, TWO))
    recipe = Recipe.from_json(frame_recipe(result, 1).to_json())
    assert recipe.parameters["step"] == 1
    repeated = last(morph(engine, request_from_recipe(recipe, [BEN, ANNA])))
    assert all((a == b).all() for a, b in zip(repeated.images, result.images, strict=True))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"tab": "character"}, "made on the tab character"),
        ({"verb": "walk"}, "made on the tab morph"),
        ({"verb": "attributes"}, "names one photo"),
        ({"verb": "mix"}, "damaged"),
        ({"parameters": {"domain": 3}}, "no domain"),
        ({"inputs": ()}, "choose two"),
    ],
)
def test_a_strangers_recipe_is_refused_in_words(engine, changes, said):
    recipe = last(morph(engine, TWO)).recipe.model_copy(update=changes)
    with pytest.raises(ValueError, match=said):
        request_from_recipe(recipe, [ANNA, BEN])
