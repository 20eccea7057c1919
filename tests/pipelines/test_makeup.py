"""Makeup: what is changed and what is left, how firmly somebody is kept, and how a result is made again."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from studio.core.faces import Face
from studio.core.recipe import Recipe
from studio.pipelines import photos
from studio.pipelines.looks import LookError, LookFile, mix_styles, random_style
from studio.pipelines.makeup import (
    MOST,
    Look,
    MakeupRequest,
    as_the_data_are,
    full_picture,
    list_pairs,
    look_file,
    look_with,
    make_up,
    networks_of,
    picture_with,
    properties_of,
    request_from_recipe,
    style_of,
)
from studio.pipelines.parts import Progress
from studio.pipelines.photos import FaceChoice
from tests.makeups import EYES, FACE, GREEN, MUNITS, PARSER, RED, MakeupEngine, munit, photo_of


@pytest.fixture
def engine(tmp_path):
    return MakeupEngine(tmp_path)


def request(**more) -> MakeupRequest:
    return MakeupRequest(**{"photo": photo_of(), "face": FACE, "styles": (RED,), **more})


def made(engine, asked: MakeupRequest):
    *_, result = make_up(engine, asked)
    return result


def shift(look: Look) -> np.ndarray:
    """The change on the lips, by colour."""
    return look.change[23, 16]


# --- requests -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"pair": "hats"}, "makeup, age"),
        ({"direction": "older"}, "apply, remove"),
        ({"pair": "age", "direction": "apply"}, "older, younger"),
        ({"keep": 1.1}, "between 0 and 1"),
        ({"keep": True}, "between 0 and 1"),
        ({"amount": 1.6}, "between 0 and 1.5"),
        ({"amount": float("nan")}, "between 0 and 1.5"),
        ({"looks": 0}, f"1 to {MOST}"),
        ({"looks": MOST + 1}, f"1 to {MOST}"),
        ({"seed": -1}, "seed"),
        ({"properties": ("beauty",)}, "identity"),
        ({"regions": ("hair",)}, "lips, eyes, skin"),
        ({"regions": ()}, "at least one"),
        ({"styles": ((1.0, 2.0),)}, "8 numbers"),
        ({"styles": ((1.0,) * 7 + (11.0,),)}, "8 numbers"),
        ({"styles": ("12345678",)}, "8 numbers"),
        ({"styles": (RED,) * (MOST + 1)}, f"at most {MOST}"),
        ({"mix": 0.5}, "Two looks"),
        ({"mix": 2, "styles": (RED, GREEN)}, "between 0 and 1"),
        ({"reference_face": FACE}, "reference"),
        ({"face": FaceChoice(eyes=((200.0, 10.0), (220.0, 10.0)))}, "inside the picture"),
    ],
)
def test_a_request_says_what_to_change(wrong, said):
    with pytest.raises(ValueError, match=said):
        request(**wrong)


def test_a_request_puts_its_names_in_order():
    asked = request(direction="", regions=("skin", "lips", "skin"), styles=[np.array(RED, np.float32)])
    assert asked.direction == "apply" and asked.regions == ("lips", "skin") and asked.styles == (RED,)
    assert request(pair="age").direction == "older" and request(pair="age", direction="younger").ends == ("old", "young")


def test_what_is_not_here_is_named(tmp_path, engine):
    assert list_pairs(engine) == ("makeup", "age") and properties_of(engine, "age") == ("identity", "gender", "ethnicity")
    half = MakeupEngine(tmp_path, [*MUNITS[:3], *MUNITS[4:], PARSER])  # the decoder of makeup is missing
    assert list_pairs(half) == ("age",)
    with pytest.raises(ValueError, match=r"munit-decoder-makeup\).*or use age"):
        make_up(half, request())
    with pytest.raises(ValueError, match=r"\(parsing-128\)"):
        make_up(MakeupEngine(tmp_path / "y", MUNITS), request())
    with pytest.raises(ValueError, match="munit-encoder-young, munit-encoder-old, .*update the studio.$"):
        networks_of(MakeupEngine(tmp_path / "x", [PARSER]), "age")
    with pytest.raises(ValueError, match="cannot keep ethnicity; they keep identity, gender, age"):
        make_up(engine, request(properties=("ethnicity",)))


def test_the_finest_complete_networks_are_taken(tmp_path):
    finer = [replace(card, id=card.id.replace("-32", "-128"), resolution=128) for card in MUNITS[:3]]
    engine = MakeupEngine(tmp_path, [*MUNITS, *finer, PARSER])
    assert networks_of(engine, "makeup").target.resolution == 32
    engine.registry.add(replace(MUNITS[3], id="munit-decoder-makeup-128", resolution=128))
    assert networks_of(engine, "makeup", "remove").target.id == "munit-decoder-bare-128"


# --- what changes, and what does not ------------------------------------------------------------------------------------------


def test_looks_come_one_by_one_and_the_result_last(engine):
    steps = list(make_up(engine, request(styles=(), looks=3, seed=3)))
    looks, result = [step for step in steps if isinstance(step, Look)], steps[-1]
    assert [type(step) for step in steps[:-1]] == [Progress] + [Progress, Look] * 3
    assert [look.index for look in looks] == [0, 1, 2] and result.looks == tuple(looks)
    np.testing.assert_array_equal(looks[1].style, random_style(3, 1))
    other = made(engine, request(styles=(), looks=2, seed=3)).looks[1]
    np.testing.assert_array_equal(other.image, looks[1].image)  # the count moves no look
    assert len({look.image.tobytes() for look in looks}) == 3
    assert result.sheet.shape[1] > 4 * 256 and result.words == () and result.study is None


def test_nothing_asked_is_the_photo_bit_for_bit(engine):
    look = made(engine, request(amount=0)).looks[0]
    np.testing.assert_array_equal(look.image, photo_of().rgb)
    assert look.measures.id_distance == pytest.approx(0, abs=1e-6) and look.measures.lpips == 0
    assert look.measures.skin_delta_e == 0 and look.measures.makeup_before == look.measures.makeup_after


def test_only_the_face_changes_and_more_the_more_is_asked(engine):
    photo, lips = photo_of(height=160, width=170).rgb, (slice(48, 52), slice(28, 36))
    result = made(engine, request(photo=replace(photo_of(), rgb=photo)))
    whole = result.looks[0].image.astype(int) - photo
    assert whole[lips][..., 0].mean() > 5 and abs(whole[90:]).max() == 0 and abs(whole[:, 100:]).max() == 0
    half = full_picture(result.found, result.looks[0], 0.5).astype(int) - photo
    assert half[lips][..., 0].mean() == pytest.approx(whole[lips][..., 0].mean() / 2, abs=1)


def test_keep_holds_who_somebody_is(engine):
    free, kept = (made(engine, request(styles=(GREEN,), keep=keep)).looks[0] for keep in (0, 1))
    assert shift(free)[1] > 10 and abs(shift(kept)).max() < 0.1
    assert free.keep == {"identity": 0, "gender": 0, "age": 0} and kept.keep["gender"] == 1
    partly = made(engine, request(styles=(GREEN,), properties=("identity", "age"))).looks[0]
    assert partly.keep == {"identity": 1, "gender": 0, "age": 1} and shift(partly)[1] > 10


def test_the_biased_answer_lies_beside_it(engine):
    result = made(engine, request(styles=(GREEN,), keep=1.0))
    biased = as_the_data_are(engine, result, 0)
    assert set(biased.keep.values()) == {0.0} and (biased.style == result.looks[0].style).all()
    np.testing.assert_array_equal(biased.image, made(engine, request(styles=(GREEN,), keep=0.0)).looks[0].image)


def test_taking_makeup_off_goes_the_other_way(engine):
    rosy = replace(photo_of(), rgb=(photo_of().rgb * (1.7, 1, 1)).astype(np.uint8))
    result = made(engine, request(photo=rosy, direction="remove"))
    assert result.looks[0].measures.makeup_after < result.looks[0].measures.makeup_before
    assert engine.runs[0][0].startswith("munit-encoder-makeup") and shift(result.looks[0])[0] < 0


def test_who_is_kept_keeps_the_colour_of_their_skin(engine):
    """A tint of everything is a colour cast; what differs from place to place is makeup."""
    kept, free = (made(engine, request(keep=keep)).looks[0] for keep in (1, 0))
    assert kept.measures.skin_delta_e < 0.5 < 4 < free.measures.skin_delta_e


def test_regions_reach_the_picture(engine):
    lips = made(engine, request(regions=("lips",))).looks[0].change
    assert abs(lips[23, 16, 0]) > 5 and abs(lips[10, 10]).max() < 0.5


# --- what the judges say ------------------------------------------------------------------------------------------------------


def test_what_changed_is_said(engine):
    look = made(engine, request(styles=((9.0, 9.0, 9.0, 0, 0, 0, 0, 0),), keep=0.0)).looks[0]
    said = {reading.name: reading for reading in look.readings}
    assert said["makeup"].kept is None and look.measures.makeup_after > look.measures.makeup_before
    assert said["skin"].words == "skin is lighter" and said["skin"].kept is False and look.measures.ita_shift > 5
    assert said["age"].kept is (abs(look.measures.age_after - look.measures.age_before) < 5)
    assert look.measures.confidence_drop > 0 and look.measures.lpips > 0
    assert look.words == tuple(reading.words for reading in look.readings)


def test_a_flipped_gender_is_told_from_a_kept_one(engine):
    dark = replace(photo_of(), rgb=(photo_of().rgb * 0.9).astype(np.uint8))  # reads as male
    green = (0, 9.0, 0, 0, 0, 0, 0, 0)
    flipped, kept = (made(engine, request(photo=dark, styles=(green,), keep=keep)).looks[0] for keep in (0, 1))
    said = [{r.name: r for r in look.readings}["gender"] for look in (flipped, kept)]
    assert said[0].words == "perceived gender flipped: reads as female now" and said[0].kept is False
    assert said[1].words == "perceived gender kept" and said[1].kept is True
    assert (flipped.measures.gender_before, flipped.measures.gender_after) == ("male", "female")


def test_without_judges_nothing_is_claimed(tmp_path):
    look = made(MakeupEngine(tmp_path, [*MUNITS, PARSER]), request()).looks[0]
    assert [reading.name for reading in look.readings] == ["skin"] and look.measures.lpips is None
    assert look.measures.gender_after is None and look.measures.id_distance is None


def test_a_better_judge_of_makeup_is_asked_first(tmp_path, engine):
    engine.registry.add(replace(engine.registry.card("judge-attributes"), id="judge-makeup", labels=("makeup",)))
    engine._answer = lambda card_id, image, strength=None: {"logits": np.full((len(image), 1), 2.0, np.float32)}
    assert made(replace_judge(engine), request()).looks[0].measures.makeup_after == pytest.approx(1 / (1 + np.exp(-2)))


def replace_judge(engine: MakeupEngine) -> MakeupEngine:
    engine.registry.remove("judge-animal")
    return engine


# --- looks --------------------------------------------------------------------------------------------------------------------


def test_a_reference_photo_gives_its_style(engine):
    red = replace(photo_of(), rgb=np.full((64, 72, 3), (250, 128, 128), np.uint8), sha256="e" * 64)
    result = made(engine, request(styles=(), reference=red, reference_face=FACE))
    (look,) = result.looks
    assert look.style[0] == pytest.approx(0.9608, abs=1e-3) and len(result.recipe.inputs) == 1
    again = request_from_recipe(look.recipe, [photo_of()])  # its code is in the recipe, so its photo is not asked for
    np.testing.assert_array_equal(made(engine, again).looks[0].image, look.image)


def test_two_looks_are_mixed(engine):
    ends = [made(engine, request(styles=(RED, GREEN), mix=share)).looks for share in (0, 0.5, 1)]
    assert [len(looks) for looks in ends] == [1, 1, 1]
    np.testing.assert_array_equal(ends[0][0].style, RED)
    np.testing.assert_array_equal(ends[2][0].style, GREEN)
    assert np.linalg.norm(ends[1][0].style) == pytest.approx(2, abs=1e-3)  # half of both is no fainter than either
    np.testing.assert_allclose(ends[1][0].style, mix_styles(np.array(RED), np.array(GREEN), 0.5))


def test_a_slider_gets_what_the_look_will_be(engine):
    asked = request(keep=0.3, amount=0.8, regions=("skin",))
    result = made(engine, request())
    head = picture_with(engine, result.found, asked, RED)
    np.testing.assert_array_equal(head, look_with(engine, result.found, asked, RED).head)
    runs = len(engine.runs)
    picture_with(engine, result.found, asked, RED)
    assert len(engine.runs) == runs + 1


def test_a_photo_that_is_known_is_not_encoded_again(engine):
    result, asked = made(engine, request()), request(styles=(GREEN,), keep=0.0)
    engine.runs.clear()
    *_, known = make_up(engine, asked, result.found)
    assert not any("encoder" in name for name, _ in engine.runs)
    np.testing.assert_array_equal(known.looks[0].image, made(engine, asked).looks[0].image)
    *_, other = make_up(engine, request(direction="remove"), result.found)  # another direction is another encoder's
    assert other.found.ends == ("makeup", "bare")
    elsewhere = FaceChoice(eyes=((22.0, 26.0), (44.0, 24.0)))
    *_, third = make_up(engine, request(face=elsewhere), result.found)  # so is another face of the photo
    assert third.found.eyes == elsewhere.eyes


def test_a_look_is_a_small_file(engine):
    look = made(engine, request(styles=(), looks=1, seed=5, regions=("lips",))).looks[0]
    file = LookFile.from_json(look_file(look, "Evening/../red").to_json())
    assert file.name == "red" and (file.pair, file.end, file.regions) == ("makeup", "makeup", ("lips",))
    assert file.card == munit("decoder", "makeup").id and len(file.to_json()) < 600
    applied = made(engine, request(styles=(style_of(file, "makeup", "apply"),), regions=file.regions)).looks[0]
    np.testing.assert_array_equal(applied.image, look.image)
    with pytest.raises(ValueError, match="makeup, apply"):
        style_of(file, "makeup", "remove")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"style": [0.0] * 7}, "'style'"),
        ({"style": [float("inf")] * 8}, "no look"),
        ({"version": 2}, "'version'"),
        ({"end": "hair"}, "'end'"),
        ({"card": "../x"}, "'card'"),
        ({"name": "a/b"}, "'name'"),
        ({"regions": ["lips"] * 9}, "'regions'"),
        ({"extra": 1}, "no look"),
    ],
)
def test_a_look_from_a_stranger_is_checked(change, said):
    good = {"name": "x", "pair": "makeup", "end": "makeup", "card": "munit-decoder-makeup-32", "style": [0.5] * 8}
    assert LookFile.from_json(json.dumps(good)).style == (0.5,) * 8
    with pytest.raises(LookError, match=said):
        LookFile.from_json(json.dumps({**good, **change}))


@pytest.mark.parametrize("text", ["", "[]", "null", "{", "x" * 5000, b"\xff\xfe"])
def test_what_is_no_look_is_said_to_be_none(text):
    with pytest.raises(LookError, match="no look"):
        LookFile.from_json(text)


# --- faces and recipes --------------------------------------------------------------------------------------------------------


def test_the_largest_of_several_faces_is_taken_and_said(engine, monkeypatch):
    small = np.array([[50.0, 40.0], [58.0, 40.0]], np.float32)
    faces = tuple(Face(np.array(eyes, np.float32), (0, 0, 9, 9), 0.9) for eyes in (EYES, small))
    monkeypatch.setattr(photos, "find_faces", lambda engine, rgb: faces)
    result = made(engine, request(face=None))
    assert "2 faces" in result.words[0] and result.found.eyes == EYES
    assert made(engine, request(face=FaceChoice(index=1))).found.eyes[0] == (50.0, 40.0)


def test_a_recipe_makes_it_again(engine):
    asked = request(styles=(), looks=2, seed=7, keep=0.4, properties=("gender",), amount=1.2, regions=("eyes", "skin"))
    result = made(engine, asked)
    recipe = Recipe.from_link(result.looks[1].recipe.to_link())
    assert recipe.parameters["index"] == 1 and recipe.parameters["paste"] is True
    again = request_from_recipe(recipe, [photo_of(2), photo_of()])
    assert replace(again, photo=asked.photo) == asked
    np.testing.assert_array_equal(made(engine, again).looks[1].image, result.looks[1].image)


def test_a_mixed_look_is_restored_with_its_slider(engine):
    result = made(engine, request(styles=(RED, GREEN), mix=0.25))
    again = request_from_recipe(result.looks[0].recipe, [photo_of()])
    assert again.mix == 0.25 and again.styles == (RED, GREEN)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"tab": "morph"}, "tab morph"),
        ({"parameters": {"styles": [[1, 2]]}}, "8 numbers"),
        ({"parameters": {"styles": 3}}, "damaged"),
        ({"parameters": {"regions": ["nose"]}}, "no region"),
        ({"parameters": {"regions": 5}}, "damaged"),
        ({"parameters": {"keep": "much"}}, "between 0 and 1"),
        ({"parameters": {"pair": ["makeup"]}}, "no pair"),
        ({"parameters": {"direction": None}}, "no direction"),
        ({"parameters": {"properties": [["a"]]}}, "nothing to keep"),
        ({"inputs": ()}, "damaged"),
    ],
)
def test_a_forged_recipe_is_refused_in_a_sentence(engine, change, said):
    recipe = made(engine, request()).recipe.model_copy(update=change)
    with pytest.raises(ValueError, match=said):
        request_from_recipe(recipe, [photo_of()])
    with pytest.raises(ValueError, match=r"photo-1\.png"):
        request_from_recipe(made(engine, request()).recipe, [photo_of(2)])
