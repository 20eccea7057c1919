"""What the pipelines share: the animals there are, words for measures, and sheets."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from studio.core.images import to_float
from studio.pipelines import parts
from studio.pipelines.parts import (
    animal_words,
    choose_animals,
    draw_sheet,
    face_words,
    list_animals,
    read_animals,
    translate_heads,
)
from tests.fakes import JUDGE, FakeEngine, translator

GREY = np.full((16, 16, 3), 90, np.uint8)


def test_animals_come_in_the_papers_order_with_their_finest_network(tmp_path):
    others = [
        translator("lion", 64),
        translator("lion", 128, domains=("lion", "face")),
        replace(translator("panda"), family="munit"),
        replace(translator("koala"), task="judge"),
    ]
    lesser = [translator("lion", 32), translator("fox"), translator("gorilla"), translator("chow_chow")]
    engine = FakeEngine(tmp_path, lesser + others)
    found = list_animals(engine)
    assert [(info.name, info.label) for info in found] == [
        ("gorilla", "gorilla"),
        ("chow_chow", "chow chow"),
        ("lion", "lion"),
        ("fox", "fox"),
    ]
    assert found[2].card.resolution == 64
    assert list_animals(engine.registry) == found


def test_animals_are_chosen_in_the_order_asked(tmp_path):
    engine = FakeEngine(tmp_path, [translator("lion"), translator("fox")])
    assert [info.name for info in choose_animals(engine, ("fox", "lion"))] == ["fox", "lion"]
    assert [info.name for info in choose_animals(engine)] == ["lion", "fox"]
    with pytest.raises(ValueError, match="'dragon'; there is lion, fox"):
        choose_animals(engine, ("lion", "dragon"))


@pytest.mark.parametrize(
    "chances, words",
    [
        ({"lion": 0.9, "tiger": 0.1}, "reads as a lion"),
        ({"lion": 0.4, "tiger": 0.3, "panda": 0.3}, "looks most like a lion"),
        ({"lion": 0.4, "egyptian_cat": 0.6}, "reads as an Egyptian cat rather than a lion"),
    ],
)
def test_a_judges_words(chances, words):
    assert animal_words("lion", chances) == words


def test_a_faces_words():
    assert (face_words(True), face_words(False)) == ("a face is still found", "no human face is left")


def test_only_a_judge_that_knows_the_animal_is_asked(tmp_path):
    engine = FakeEngine(tmp_path, [JUDGE])
    assert read_animals(engine, [GREY], "spider") == [None] and not engine.runs
    dark, bright = read_animals(engine, [GREY * 0, GREY * 0 + 255], "lion")
    assert dark.score > 0.5 > bright.score and dark.words == "reads as a lion"


def test_heads_are_translated_in_one_run(tmp_path):
    engine = FakeEngine(tmp_path, [translator("lion")])
    (lion,) = engine.registry.list_models()
    np.testing.assert_array_equal(translate_heads(engine, lion, [GREY, GREY], 1.0), [255 - GREY] * 2)
    assert engine.runs == [(lion.id, 2)]
    half = engine.run(lion.id, image=to_float(GREY)[None], strength=np.full((1, 1), 0.5, np.float32))
    assert abs(half).max() < 1e-6  # half way between a picture and its negative


# --- sheets -----------------------------------------------------------------------------------------------------------


def test_a_sheet_without_words_is_pictures_and_gaps():
    sheet = draw_sheet([[GREY, GREY + 1], [GREY + 2]])
    side, gap = parts.CELL, parts.GAP
    assert sheet.shape == (gap + 2 * (side + gap), gap + 2 * (side + gap), 3)
    assert (sheet[gap : gap + side, 2 * gap + side : 2 * (gap + side)] == 91).all()
    second = 2 * gap + side
    assert (sheet[second : second + side, gap : gap + side] == 92).all()
    assert (sheet[second:, second:] == 250).all()  # nothing where the last row is short


def test_a_note_stands_below_its_picture_and_a_footer_is_broken_into_lines():
    plain, words = draw_sheet([[GREY]], notes=[["0.93"]]), "words " * 20
    assert plain.shape[0] == parts.GAP + parts.CELL + parts.CAPTION
    assert plain[parts.GAP + parts.CELL :].min() < 120
    footed = draw_sheet([[GREY]], notes=[["0.93"]], footer=words)
    lines, rest = divmod(footed.shape[0] - plain.shape[0], parts.LINE)
    assert lines > 3 and rest == 0
    assert footed[-parts.LINE :].min() < 120
    assert (footed[:, -parts.GAP :] == 250).all()  # no line runs over the edge


def test_the_largest_picture_sets_the_cells_size():
    large = np.zeros((200, 200, 3), np.uint8)
    assert draw_sheet([[large, GREY]]).shape == (200 + 2 * parts.GAP, 400 + 3 * parts.GAP, 3)
