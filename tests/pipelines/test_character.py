"""The Character tab without a screen: its logic with small stand-ins, its networks with every checkpoint that is shipped."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from skimage import data

from studio.core.checkpoints import CheckpointError
from studio.core.engine import Engine
from studio.core.faces import Face, FaceError, align
from studio.core.images import Photo, resize, to_float
from studio.core.recipe import Recipe
from studio.core.registry import default_registry
from studio.metrics.face_score import has_face
from studio.pipelines import character, parts, photos
from studio.pipelines.character import (
    BATCH,
    CharacterRequest,
    CharacterResult,
    Translation,
    request_from_recipe,
    translate,
)
from studio.pipelines.parts import Progress, list_animals
from studio.pipelines.photos import FaceChoice, find_people
from tests.fakes import JUDGE, FakeEngine, translator

EYES = ((204.5, 101.5), (247.5, 104.0))  # of the astronaut, px


@pytest.fixture
def engine(tmp_path):
    weak = translator("spider", study="only 48 pictures")
    return FakeEngine(tmp_path, [weak, translator("lion"), translator("egyptian_cat"), translator("fox"), JUDGE])


@pytest.fixture
def faces(monkeypatch):
    """What the face finder finds: two people by default."""
    found = [
        Face(np.array(EYES, np.float32), (170, 50, 110, 110), 0.9),
        Face(np.array([[20, 30], [40, 30]], np.float32), (9, 9, 40, 40), 0.8),
    ]
    monkeypatch.setattr(photos, "find_faces", lambda engine, rgb: tuple(found))
    return found


def photo(name: str = "anna.jpg", sha: str = "a", rgb: np.ndarray | None = None) -> Photo:
    return Photo(data.astronaut() if rgb is None else rgb, sha * 64, name)


def run(engine, request) -> CharacterResult:
    return list(translate(engine, request))[-1]


# --- the request ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change, message",
    [
        ({"photos": ()}, "Add a photo"),
        ({"photos": (photo(),) * 25}, "at most 24"),
        ({"animals": ("lion", "lion")}, "once"),
        ({"animals": (1,)}, "by their names"),
        ({"strength": -0.1}, "between 0"),
        ({"strength": 1.31}, "between 0"),
        ({"strength": float("nan")}, "between 0"),
        ({"strength": True}, "between 0"),
        ({"frame": "portrait"}, "frame"),
        ({"frame": ["auto"]}, "frame"),
        ({"seed": -1}, "whole number"),
        ({"faces": (None, None)}, "one face for each of the 1 photos"),
        ({"faces": (FaceChoice(0),), "frame": "centre"}, 'frame "auto"'),
        ({"faces": (FaceChoice(eyes=((1, 1), (600, 1))),)}, "outside anna.jpg"),
    ],
)
def test_a_request_says_what_to_change(change, message):
    with pytest.raises(ValueError, match=message):
        replace(CharacterRequest((photo(),)), **change)


@pytest.mark.parametrize(
    "arguments",
    [{}, {"index": 0, "eyes": EYES}, {"index": -1}, {"eyes": ((1, 1), (1, 2))}, {"eyes": ((1, 1), (np.inf, 2))}, {"index": "1"}],
)
def test_a_choice_is_one_face(arguments):
    with pytest.raises(ValueError):
        FaceChoice(**arguments)


def test_a_face_on_its_head_keeps_its_left_eye_on_the_right():
    assert FaceChoice(eyes=EYES[::-1]).eyes == EYES[::-1]


def test_an_unknown_animal_lists_those_there_are_before_anything_runs(engine):
    with pytest.raises(ValueError, match="'dragon'; there is egyptian_cat, lion, spider, fox"):
        translate(engine, CharacterRequest((photo(),), ("dragon",)))
    assert not engine.runs


def test_a_studio_without_networks_says_so(tmp_path):
    with pytest.raises(ValueError, match="no animals yet"):
        translate(FakeEngine(tmp_path, []), CharacterRequest((photo(),)))


# --- a translation ----------------------------------------------------------------------------------------------------


def test_everybody_becomes_every_animal(engine, faces):
    items = list(translate(engine, CharacterRequest((photo(), photo("bob.jpg", "b")))))
    cells = [item for item in items if isinstance(item, Translation)]
    assert {(cell.photo_name, cell.animal) for cell in cells} == {
        (name, animal) for name in ("anna.jpg", "bob.jpg") for animal in ("egyptian_cat", "lion", "spider", "fox")
    }
    assert isinstance(items[0], Progress) and items[0].done == 0 and items[0].total == 8
    assert [item.done for item in items if isinstance(item, Progress)] == [0, 0, 2, 4, 6]
    assert [item.message for item in items if isinstance(item, Progress)][1:3] == ["Becoming an Egyptian cat", "Becoming a lion"]
    assert [(cell.photo_index, cell.animal) for cell in items[-1].translations[:2]] == [(0, "egyptian_cat"), (0, "lion")]
    assert all(cell.image.shape == cell.crop.shape == (16, 16, 3) and cell.image.dtype == np.uint8 for cell in cells)
    assert all(cell.seconds > 0 for cell in cells)


def test_the_network_gets_the_aligned_face_and_the_strength(engine, faces):
    result = run(engine, CharacterRequest((photo(),), ("lion",), strength=1.0))
    crop = align(data.astronaut(), np.array(EYES), "head", 16).image
    np.testing.assert_array_equal(result.translations[0].crop, crop)
    np.testing.assert_array_equal(result.translations[0].image, 255 - crop)
    np.testing.assert_array_equal(run(engine, CharacterRequest((photo(),), ("lion",), strength=0)).translations[0].image, crop)


def test_photos_share_a_run_and_a_crowd_is_split(engine, faces):
    run(engine, CharacterRequest(tuple(photo(f"{i}.jpg", f"{i % 10}") for i in range(BATCH + 2)), ("lion",)))
    assert [count for card, count in engine.runs if card == "cyclegan-lion-16"] == [BATCH, 2]


def test_a_crop_is_cut_once_for_all_animals(engine, faces, monkeypatch):
    cut = []
    monkeypatch.setattr(photos, "align", lambda *args: cut.append(args) or align(*args))
    run(engine, CharacterRequest((photo(),)))
    assert len(cut) == 1


def test_cells_come_before_the_next_animal_starts(engine, faces):
    steps = translate(engine, CharacterRequest((photo(),)))
    next(item for item in steps if isinstance(item, Translation))
    assert [card for card, _ in engine.runs if card.startswith("cyclegan")] == ["cyclegan-egyptian-cat-16"]
    steps.close()


def test_the_same_request_gives_the_same_pixels(engine, faces):
    request = CharacterRequest((photo(),), strength=0.7)
    first, second = run(engine, request), run(engine, request)
    np.testing.assert_array_equal(first.sheet, second.sheet)
    assert all((a.image == b.image).all() for a, b in zip(first.translations, second.translations, strict=True))


def test_the_chosen_face_is_used(engine, faces):
    second = run(engine, CharacterRequest((photo(),), ("lion",), faces=(FaceChoice(1),))).translations[0]
    np.testing.assert_array_equal(second.crop, align(data.astronaut(), faces[1].eyes.astype(float), "head", 16).image)
    clicked = run(engine, CharacterRequest((photo(),), ("lion",), faces=(FaceChoice(eyes=((20, 30), (40, 30))),))).translations[0]
    np.testing.assert_array_equal(clicked.crop, second.crop)


def test_clicked_eyes_need_no_face_finder(engine, faces):
    faces.clear()
    assert run(engine, CharacterRequest((photo(),), ("lion",), faces=(FaceChoice(eyes=EYES),))).translations


def test_a_photo_without_a_face_stops_before_any_network_runs(engine, faces):
    faces.clear()
    with pytest.raises(FaceError, match=r"anna.jpg: click its two eyes, or .*frame centre"):
        run(engine, CharacterRequest((photo(),)))
    assert not engine.runs
    centred = run(engine, CharacterRequest((photo(),), ("lion",), frame="centre")).translations[0]
    np.testing.assert_array_equal(centred.crop, photos.align_centre(data.astronaut(), 16).image)


def test_a_damaged_network_stops_before_any_cell(engine, faces, monkeypatch):
    def fetch(card_id):
        if "spider" in card_id:
            raise CheckpointError("spider.safetensors is damaged.")

    monkeypatch.setattr(engine, "fetch", fetch)
    seen = []
    with pytest.raises(CheckpointError, match="spider"):
        seen.extend(translate(engine, CharacterRequest((photo(),), ("lion", "spider"), frame="centre")))
    assert not [item for item in seen if isinstance(item, Translation)] and not engine.runs


def test_a_face_that_is_not_there_is_refused_with_the_photos_number_if_names_repeat(engine, faces):
    with pytest.raises(FaceError, match=r"no face 3 in anna.jpg, which shows 2 faces: choose a number up to 2"):
        run(engine, CharacterRequest((photo(),), faces=(FaceChoice(2),)))
    with pytest.raises(FaceError, match=r"anna.jpg \(number 2\)"):
        run(engine, CharacterRequest((photo(), photo()), faces=(None, FaceChoice(2))))


def test_a_pasted_result_is_the_whole_photo_changed_only_at_the_face(engine, faces):
    result = run(engine, CharacterRequest((photo(),), ("lion",), paste=True))
    image, original = result.translations[0].image, data.astronaut()
    assert image.shape == original.shape
    np.testing.assert_array_equal(image[400:], original[400:])
    assert np.abs(image[110:150, 200:250].astype(int) - original[110:150, 200:250]).mean() > 20
    assert result.sheet.shape[1] < 3 * 200  # the sheet keeps the heads, not the photos


def test_full_size_results_that_would_fill_the_memory_are_refused(engine, monkeypatch):
    monkeypatch.setattr(character, "MAX_PASTED_PIXELS", 512 * 512)
    with pytest.raises(ValueError, match="not fit in memory"):
        translate(engine, CharacterRequest((photo(),), ("lion", "spider"), paste=True))
    translate(engine, CharacterRequest((photo(),), ("lion",), paste=True))


# --- what is said of it -----------------------------------------------------------------------------------------------


def test_scores_are_the_metrics_and_verdicts_are_words(engine, faces):
    lion, cat, spider = (
        next(t for t in run(engine, CharacterRequest((photo(),))).translations if t.animal == name)
        for name in ("lion", "egyptian_cat", "spider")
    )
    assert lion.face_score == float(has_face(lion.image))
    logits = engine.run("judge-animal", image=to_float(resize(lion.image, 8))[None])["logits"][0]
    assert lion.animal_score == pytest.approx(np.exp(logits[0]) / np.exp(logits).sum(), abs=0.05)
    assert cat.verdicts[1] == "reads as a lion rather than an Egyptian cat"
    assert spider.animal_score is None and len(spider.verdicts) == 1  # the judge knows no spiders
    assert spider.study == "only 48 pictures" and lion.study is None


def test_the_sheet_has_a_row_per_person_and_a_column_per_animal(engine, faces):
    grey = photo("bob.jpg", "b", np.full((300, 300, 3), 90, np.uint8))
    result = run(engine, CharacterRequest((photo(), grey), ("lion", "fox")))
    side, gap, caption = parts.CELL, parts.GAP, parts.CAPTION
    assert result.sheet.shape == (caption + 2 * (side + gap), gap + 3 * (side + gap), 3)
    second = caption + side + gap
    assert (result.sheet[second : second + side, gap : gap + side] == 90).all()
    lion = result.sheet[second : second + side, 2 * gap + side : 2 * (gap + side)]
    assert (lion == 165).all()
    for column in range(3):  # every column has a caption that stays within it
        band = result.sheet[:caption, gap + column * (side + gap) : gap + column * (side + gap) + side]
        assert band.min() < 120
    assert (result.sheet[:caption, :gap] == 250).all()


def test_people_to_choose_from(engine, faces):
    people = find_people(engine, photo())
    assert [person.index for person in people] == [0, 1]
    assert people[0].eyes == EYES and people[0].box == (170, 50, 110, 110)
    np.testing.assert_array_equal(people[0].thumbnail, align(data.astronaut(), np.array(EYES), "portrait", 96).image)
    faces.clear()
    assert find_people(engine, photo()) == ()


# --- recipes ----------------------------------------------------------------------------------------------------------


def test_a_cells_recipe_makes_that_cell_again_without_a_face_finder(engine, faces):
    both = (photo(), photo("bob.jpg", "b"))
    request = CharacterRequest(both, ("lion", "fox"), strength=0.8, faces=(None, FaceChoice(1)), seed=7)
    cell = next(c for c in run(engine, request).translations if (c.photo_index, c.animal) == (1, "fox"))
    faces.clear()
    recipe = Recipe.from_json(cell.recipe.to_json())
    restored = request_from_recipe(recipe, both)
    assert (restored.animals, restored.strength, restored.seed, restored.paste) == (("fox",), 0.8, 7, False)
    assert [p.sha256 for p in restored.photos] == ["b" * 64]
    np.testing.assert_array_equal(run(engine, restored).translations[0].image, cell.image)


def test_the_sheets_recipe_makes_the_sheet_again(engine, faces):
    result = run(engine, CharacterRequest((photo(), photo("bob.jpg", "b"))))
    assert result.recipe.checkpoints == {info.card.id: info.card.sha256 for info in list_animals(engine)}
    restored = request_from_recipe(Recipe.from_json(result.recipe.to_json()), [photo("bob.jpg", "b"), photo()])
    np.testing.assert_array_equal(run(engine, restored).sheet, result.sheet)


def test_a_centred_recipe_stays_centred(engine, faces):
    request = CharacterRequest((photo(),), ("lion",), frame="centre", paste=True)
    restored = request_from_recipe(run(engine, request).recipe, request.photos)
    assert restored.frame == "centre" and restored.paste and restored.faces == (None,)


def test_a_recipe_names_the_photo_that_it_needs(engine, faces):
    recipe = run(engine, CharacterRequest((photo(), photo("bob.jpg", "b")), ("lion",))).recipe
    with pytest.raises(ValueError, match=r"give bob.jpg too"):
        request_from_recipe(recipe, [photo()])
    with pytest.raises(ValueError, match=r"another picture than .*give the original bob.jpg"):
        request_from_recipe(recipe, [photo(), photo("bob.jpg", "c")])


def test_a_recipe_of_another_tab_is_sent_there(engine):
    with pytest.raises(ValueError, match="the tab makeup"):
        request_from_recipe(Recipe(tab="makeup", verb="apply"), [photo()])


@pytest.mark.parametrize(
    "parameters",
    [{"animals": "dragon"}, {"animals": [{"a": 1}]}, {"strength": "1"}, {"strength": 99}, {"frame": ["centre"]}, {"paste": 1}],
)
def test_a_forged_recipe_never_makes_a_forged_request(engine, faces, parameters):
    honest = json.loads(run(engine, CharacterRequest((photo(),), ("lion",))).recipe.to_json())
    recipe = Recipe.from_json(json.dumps({**honest, "parameters": {**honest["parameters"], **parameters}}))
    if "paste" in parameters:
        assert request_from_recipe(recipe, [photo()]).paste is False
        return
    with pytest.raises(ValueError):
        translate(engine, request_from_recipe(recipe, [photo()]))


def test_a_forged_recipe_without_photos_is_refused(engine):
    with pytest.raises(ValueError, match="Add a photo"):
        request_from_recipe(Recipe(tab="character", verb="translate"), [photo()])


# --- the networks that are shipped ------------------------------------------------------------------------------------

SHIPPED = list_animals(default_registry())


@pytest.fixture(scope="module")
def studio():
    with Engine() as engine:
        yield engine


def test_the_studio_comes_with_animals_and_a_judge_that_knows_them_all():
    assert SHIPPED, "no card in pretrained/index.json translates a face"
    assert {info.name for info in SHIPPED} <= set(default_registry().card("judge-animal").labels)


@pytest.mark.parametrize("info", SHIPPED, ids=lambda info: info.card.id)
def test_a_weak_network_is_marked_as_a_study(info):
    measures = info.card.measures
    good = measures["named_right"] >= 0.6 and measures["diversity_ratio"] >= 0.5
    assert good or info.study, f"{info.card.id} misses its goals: its card has to say why it is a study"


@pytest.mark.parametrize("info", SHIPPED, ids=lambda info: info.card.id)
def test_a_shipped_network_keeps_the_photo_at_0_and_leaves_it_at_1(studio, info):
    clicked = CharacterRequest((photo(),), (info.name,), strength=0, faces=(FaceChoice(eyes=EYES),))
    kept, changed = (run(studio, replace(clicked, strength=strength)).translations[0] for strength in (0, 1))
    assert kept.image.shape == (info.card.resolution, info.card.resolution, 3)

    def difference(cell):
        return np.abs(cell.image.astype(int) - cell.crop).mean()

    assert difference(kept) < 16 < difference(changed)
    assert 0 <= changed.animal_score <= 1 and len(changed.verdicts) == 2
    np.testing.assert_array_equal(changed.image, run(studio, replace(clicked, strength=1)).translations[0].image)


@pytest.mark.skipif(not default_registry().list_models("landmarks-64"), reason="the landmark network is not shipped")
def test_a_shipped_studio_finds_the_astronaut_and_nobody_in_a_texture(studio):
    (person, *_) = find_people(studio, photo())
    eye_distance = EYES[1][0] - EYES[0][0]
    assert np.abs(np.array(person.eyes) - EYES).max() < 0.15 * eye_distance
    assert find_people(studio, photo(rgb=data.brick()[..., None].repeat(3, axis=2))) == ()
