"""The Domains tab's handlers, called as gradio calls them, with forged events among the honest ones."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from skimage import data

from studio.core.images import open_photo, to_png
from studio.core.recipe import Recipe
from studio.pipelines.looks import StyleFile
from studio.ui.delivery import Parcel
from studio.ui.session import Desk
from studio.ui.shell import build_page
from studio.ui.tabs.domains_canvas import LESSONS, Settings, room_of, table_of
from tests.ui.painted import DOMAINS, add_domains, add_makeup
from tests.ui.stand_ins import built, event, last, opened, stand_in_backstage, warmed

NUMBERS = 2, 3  # styles, seed
SMILE, GLASSES = ["Smiling", True], ["Eyeglasses", False]


@pytest.fixture(scope="module")
def backstage(tmp_path_factory):
    with stand_in_backstage(tmp_path_factory, ("lion",)) as backstage:
        store = backstage.engine().store
        add_makeup(store, ())  # the judges, and the parser for skin
        add_domains(store)
        yield backstage


@pytest.fixture(scope="module")
def tab(backstage, tmp_path_factory):
    return warmed(built(backstage, "domains"), backstage, tmp_path_factory)


@pytest.fixture
def street(tmp_path) -> Path:
    """A picture of nobody, which is not square."""
    path = tmp_path / "street.png"
    path.write_bytes(to_png(np.ascontiguousarray(data.coffee()[:300, :400])))
    return path


def said(*targets, **more) -> str:
    """The canvas's controls as the browser sends them."""
    settings = {"targets": list(targets), "together": False, "strength": 1, "attention": False, "locks": [], "worn": [], **more}
    return json.dumps(settings, separators=(",", ":"))


def found(tab, desk, *targets, numbers=NUMBERS, **more) -> dict:
    """The canvas after its results were shown, which may have had no trouble."""
    _, value, _, _, problem, *_ = last(tab._making.find(desk, said(*targets, **more), *numbers))
    assert problem == "" and not value["busy"]
    return value


def made(tab, desk, *targets, numbers=NUMBERS, **more) -> dict:
    """The canvas after Make, which may have had no trouble."""
    _, value, _, _, problem, *_ = last(tab._making.make(desk, said(*targets, **more), *numbers))
    assert problem == "" and not value["busy"]
    return value


def place(value, row=0, column=0) -> dict:
    """How the browser names a cell."""
    return {"row": value["rows"][row]["key"], "column": value["columns"][column]["key"]}


def cell(value, row=0, column=0) -> dict:
    return value["cells"]["{row}/{column}".format(**place(value, row, column))]


def turned(tab, what) -> Desk:
    """A visitor who chose other domains."""
    desk = opened(tab)
    tab._turn(desk, what)
    return desk


# -- the first visit ------------------------------------------------------------------------------------------------------


def test_the_canvas_teaches_before_any_network_is_awake(tab, monkeypatch):
    monkeypatch.setattr(tab._backstage, "engine", lambda: pytest.fail("the page waits for the networks"))
    _, *first = next(tab.open(Desk()))
    assert any(isinstance(value, dict) and "drop a photo of a person" in value.get("lesson", "") for value in first)


def test_the_first_visitor_sees_a_finished_example(tab):
    desk = opened(tab)
    value = room_of(desk).value
    assert "Collins" in value["message"] and len(value["rows"]) == 3 and len(value["cells"]) == 12
    assert all(one["src"] and one["words"] for one in value["cells"].values()) and all(row["where"] for row in value["rows"])
    assert {chip["name"] for chip in value["chips"]} == set(DOMAINS["attributes"][2])
    assert all(chip["has"] in (True, False) for chip in value["chips"]) and "cars" in value["missing"]
    assert [name for name, _ in value["settings"]["targets"]] == ["Male", "Blond_Hair", "Eyeglasses"]  # not pale: unknown here
    tab._photos.remove(desk, event(photo=table_of(desk).slots[0].id))
    tab._refreshed(desk)
    assert room_of(desk).value["photos"] == [] and table_of(opened(tab)).slots  # what others see stays


def test_what_the_example_was_asked_for_is_not_asked_of_ones_own_photo(tab, photo):
    desk = opened(tab)
    room = room_of(desk)
    asked = [list(pair) for pair in room.value["settings"]["targets"]]
    before = room.value["set"]
    assert len(found(tab, desk, *asked, strength=0.5)["rows"]) == len(asked) and room.value["set"] == before
    list(tab._add_photos(desk, [str(photo)]))
    assert room.value["settings"]["targets"] == () and room.value["settings"]["strength"] == 0.5
    assert room.value["set"] == before + 1 and len(found(tab, desk, strength=0.5)["rows"]) == 6
    other = opened(tab)
    found(tab, other, SMILE)  # a choice of the visitor's own
    before = room_of(other).value["set"]
    list(tab._add_photos(other, [str(photo)]))
    assert room_of(other).value["set"] == before


def test_the_tab_is_listed_only_where_there_is_a_network(tmp_path_factory):
    with stand_in_backstage(tmp_path_factory, ("lion",)) as backstage:
        assert "domains" not in [tab.id for tab in build_page(backstage)[1]]
        add_domains(backstage.engine().store, ("cars",))
        tab = built(backstage, "domains")
        assert tab.takes["picture"]
        value = room_of(opened(tab)).value
        assert value["question"] == "Its colour" and value["lesson"] == LESSONS["cars"] and "faces" in value["missing"]


# -- rows and columns -----------------------------------------------------------------------------------------------------


def test_each_thing_has_a_row_and_all_of_it_together_has_one(tab):
    desk = opened(tab)
    value = found(tab, desk, SMILE, GLASSES)
    assert [row["title"] for row in value["rows"]] == ["Smiling", "No glasses"]
    assert [column["title"] for column in value["columns"]] == ["Style 1", "Style 2"] and len(value["cells"]) == 4
    value = found(tab, desk, SMILE, GLASSES, together=True)
    assert [row["title"] for row in value["rows"]] == ["Smiling, no glasses"] and len(value["cells"]) == 2
    assert len(found(tab, desk)["rows"]) == 6  # nothing is chosen: all, each turned round


def test_only_what_is_new_is_made(tab):
    desk = opened(tab)
    before = found(tab, desk, SMILE)
    steps = list(tab._making.find(desk, said(SMILE, GLASSES), *NUMBERS))
    value = steps[-1][1]
    assert value["total"] == 2 and cell(value) == cell(before)
    assert found(tab, desk, SMILE, GLASSES, strength=0.5)["total"] == 4  # what is told of them is another


def test_strangers_words_change_nothing():
    labels, locks = ("Smiling", "Bangs"), ("identity",)
    for forged in (
        "",
        None,
        3,
        "[]",
        "{}",
        '{"targets": 3, "strength": "1", "locks": [7], "worn": {}}',
        '{"targets": [["Nose", true]]}',
    ):
        assert Settings.read(forged, labels, locks) == Settings()
    odd = '{"targets": [["Smiling", 1], ["Bangs", false], [], "x", [[], true]], "strength": NaN, "locks": ["identity", "nose"]}'
    assert Settings.read(odd, labels, locks) == Settings((("Bangs", False),), locks=("identity",))
    assert Settings.read('{"strength": 7}', labels, locks).strength == 1


def test_what_lies_between_styles_is_answered_and_told_of(tab):
    desk, answers = opened(tab), tab._answers
    value = room_of(desk).value
    corners = [column["key"] for column in value["columns"]]
    row = value["rows"][0]["key"]

    def asked(at, settings=None, **more):
        return event(look={"row": row, "at": at, "corners": corners, **more}, settings=settings or said(SMILE), name="n")

    between = answers.look(desk, asked([0.5, 0.5]))["src"]
    assert between.startswith("data:image/jpeg") and between != answers.look(desk, asked([0, 0]))["src"]
    assert answers.look(desk, asked([0.5, 0.5], said(strength=0.2)))["src"] == between  # the browser lays it over the photo
    assert any("before" in one["figure"] for one in answers.rest(desk, asked([0.5, 0.5]))["words"])
    for forged in ([2, 0], [0], "x", None, [None, 1]):
        assert "src" not in answers.look(desk, asked(forged))
    for forged in ({"corners": ["nobody"] * 4}, {"corners": corners[:2]}, {"row": "nobody"}, {"row": 7}):
        assert "src" not in answers.look(desk, asked([0, 0], **forged))
    assert answers.look(Desk(), asked([0, 0])) == {"name": "n"}


def test_a_lock_that_does_not_hold_is_told_of_on_its_cell(tab, backstage):
    desk = opened(tab)
    value = found(tab, desk, *[[name, True] for name in ("Bangs", "Male", "Eyeglasses")], together=True)
    words = {one["name"]: one for one in cell(value)["words"]}
    assert {"identity", "gender", "age", "skin"} <= set(words) <= {"Bangs", "Male", "Eyeglasses", "makeup", "", *words}
    assert any(not one["good"] for one in cell(value)["words"])
    assert {lock["name"] for lock in value["locks"]} >= {"identity", "gender", "age", "skin"}
    kept = made(tab, desk, SMILE, locks=["identity", "age"])
    recipe = backstage.gallery(desk).recipe(cell(kept)["id"])
    assert recipe.parameters["locks"] == ["identity", "age"] and ["Must not change", "Who it is, Age"] in tab.describe(recipe)


# -- making ---------------------------------------------------------------------------------------------------------------


def test_make_keeps_each_at_the_photos_own_size_and_its_recipe_makes_the_same_pixels(tab, backstage, photo):
    desk = opened(tab)
    list(tab._add_photos(desk, [str(photo)]))
    found(tab, desk, SMILE, GLASSES)
    gallery = backstage.gallery(desk)
    assert gallery.count() == 0
    value = made(tab, desk, SMILE, GLASSES, strength=0.5)
    one = cell(value, 1, 1)
    assert gallery.count() == 4 and one["kept"] == "[0.5,false]" and one["item"]["before"] and value["sheet"]
    kept = open_photo(gallery.png(one["id"]))
    assert kept.rgb.shape == open_photo(photo).rgb.shape and gallery.get(one["id"]).name == "No glasses, style 2 on astronaut"
    recipe = Recipe.from_link(gallery.recipe(one["id"]).to_link())
    assert tab.gives(recipe) == ("photo", "z") and ["How strong", "50 %"] in tab.describe(recipe)

    later = Desk(token=desk.token)
    list(tab.open(later))
    _, value, _, count, seed, *_ = last(tab.restore(later, recipe))
    assert (count, seed) == (2, 3) and value["settings"]["strength"] == 0.5
    assert value["settings"]["targets"] == (("Smiling", True), ("Eyeglasses", False))
    value = made(tab, later, SMILE, GLASSES, strength=0.5)
    assert value["chosen"] == "{row}/{column}".format(**place(value, 1, 1))
    np.testing.assert_array_equal(open_photo(gallery.png(cell(value, 1, 1)["id"])).rgb, kept.rgb)


def test_a_picture_between_styles_comes_back_as_a_row_and_a_style_of_its_own(tab):
    desk = opened(tab)
    value = room_of(desk).value
    look = {"row": value["rows"][0]["key"], "at": [0.3, 0.7], "corners": [column["key"] for column in value["columns"]]}
    *_, (_, _, parcel) = tab._answers.export(desk, event(what="picture", look=look, settings=said(strength=0.5)))
    png = Path(parcel["file"]["path"]).read_bytes()
    assert parcel["file"]["orig_name"].startswith("Masculine, between styles on")
    other = opened(tab)
    list(tab.restore(other, Recipe.from_png(png)))
    value = made(tab, other, ["Male", True], strength=0.5)
    assert len(value["rows"]) == len(value["columns"]) == 1
    np.testing.assert_array_equal(open_photo(Path(cell(value)["item"]["file"]["path"])).rgb, open_photo(png).rgb)
    tab._anew(other)  # other styles are asked for
    assert len(made(tab, other, ["Male", True])["columns"]) == 2


def test_several_photos_have_rows_of_their_own_and_one_sheet(tab, photo, tmp_path):
    desk = opened(tab)
    mirrored = tmp_path / "mirrored.png"
    mirrored.write_bytes(to_png(np.ascontiguousarray(data.astronaut()[:, ::-1])))
    list(tab._add_photos(desk, [str(photo), str(mirrored)]))
    value = found(tab, desk, SMILE)
    assert [one["name"] for one in value["photos"]] == ["astronaut", "mirrored"] and len(value["rows"]) == 2
    *_, (_, value, parcel) = [
        step
        for step in tab._answers.export(desk, event(what="sheet", settings=said(SMILE)), *NUMBERS)
        if isinstance(step[2], dict)
    ]
    sheet = open_photo(Path(parcel["file"]["path"]).read_bytes()).rgb
    assert sheet.shape[0] > 2 * 192 and sheet.shape[1] > 3 * 192
    tab._photos.remove(desk, event(photo=table_of(desk).slots[0].id))
    value = found(tab, desk, SMILE)
    assert [one["name"] for one in value["photos"]] == ["mirrored"] and len(value["rows"]) == 1


def test_a_run_that_is_stopped_keeps_what_was_made(tab, backstage):
    desk = opened(tab)
    steps = tab._making.make(desk, said(SMILE, GLASSES), 4, 1)
    for step in steps:
        if "kept" in step[2]:  # a picture lies in the strip
            room_of(desk).stopped = True
            break
    _, value, *_ = last(steps)
    assert "Stopped after 1 of 8" in value["message"] and backstage.gallery(desk).count() == 1


def test_who_asks_for_something_and_presses_make_at_once_gets_what_is_made(tab, backstage):
    desk = opened(tab)
    steps = tab._making.make(desk, said(SMILE), *NUMBERS)
    next(steps)
    run = room_of(desk).run
    last(tab._making.find(desk, said(SMILE), *NUMBERS))  # the number's own event comes after Make's
    assert room_of(desk).run == run
    last(steps)
    assert backstage.gallery(desk).count() == 2
    steps = tab._making.make(desk, said(SMILE), *NUMBERS)
    next(steps)
    found(tab, desk, GLASSES)  # something else is asked for
    assert list(steps) == [] and [row["title"] for row in room_of(desk).value["rows"]] == ["No glasses"]


def test_make_is_pressed_while_a_large_photo_is_read_for_the_number(tab, backstage, monkeypatch):
    desk, making = opened(tab), []
    requests = tab._making.requests

    def slowly(desk, *given):
        monkeypatch.setattr(tab._making, "requests", requests)
        making.append(tab._making.make(desk, said(SMILE), *NUMBERS))
        next(making[0])
        return requests(desk, *given)

    monkeypatch.setattr(tab._making, "requests", slowly)
    last(tab._making.find(desk, said(SMILE), *NUMBERS))
    last(making[0])
    assert backstage.gallery(desk).count() == 2


def test_what_is_missing_is_said_above_the_buttons(tab, tmp_path):
    path = tmp_path / "empty.png"
    path.write_bytes(to_png(np.full((64, 64, 3), 200, np.uint8)))
    desk = opened(tab)
    list(tab._add_photos(desk, [str(path)]))
    assert "No face was found in empty.png" in last(tab._making.make(desk, said(SMILE), *NUMBERS))[4]
    tab._photos.remove(desk, event(photo=table_of(desk).slots[0].id))
    assert "drop a photo" in last(tab._making.make(desk, said(SMILE), *NUMBERS))[4]
    assert "Give a seed" in last(tab._making.make(opened(tab), said(SMILE), 4, None))[4]


# -- pictures of no people ------------------------------------------------------------------------------------------------


def test_a_picture_of_ones_own_is_painted_whole(tab, backstage, street):
    desk = turned(tab, "art")
    assert room_of(desk).value["lesson"] == LESSONS["art"] and room_of(desk).value["locks"] == []
    assert not tab._photos.draw(desk)["samples"] and "Drop a picture" in last(tab._making.make(desk, said(), *NUMBERS))[4]
    *_, values = tab._add_photos(desk, [str(street)])
    assert values[1]["photos"][0]["words"] == "all of it is used"
    value = made(tab, desk, ["monet", True], ["van_gogh", True])
    assert [row["title"] for row in value["rows"]] == ["Monet", "Van Gogh"] and not any(row["where"] for row in value["rows"])
    gallery = backstage.gallery(desk)
    assert open_photo(gallery.png(cell(value)["id"])).rgb.shape == (300, 400, 3)
    assert tab.gives(gallery.recipe(cell(value)["id"])) == ("picture", "z")
    tab._turn(desk, "attributes")
    assert table_of(desk).slots and table_of(desk).slots[0].name == "Eileen Collins"  # each has photos of its own


# -- styles that are liked ------------------------------------------------------------------------------------------------


def like(tab, desk, look) -> list:
    *_, (_, _, _, liked, problem, _, _, note) = tab._making.keep(desk, event(look=look, settings=said(SMILE), like=True))
    assert problem == "" and "among those you like" in note["note"]["text"]
    return liked["looks"]


def test_a_liked_style_is_a_column_on_another_photo(tab, backstage, photo):
    desk = opened(tab)
    value = found(tab, desk, SMILE)
    (liked,) = like(tab, desk, place(value, 0, 1))
    assert liked["code"] == value["columns"][1]["code"] and liked["title"] == "Smiling, style 2"
    assert len(like(tab, desk, place(value, 0, 1))) == 1 and backstage.gallery(desk).count() == 1  # it was kept just so
    tab._shelf.rename(desk, event(look=liked["key"], name="Dusk"))

    later = Desk(token=desk.token)
    list(tab.open(later))
    list(tab._add_photos(later, [str(photo)]))
    (shelf,) = tab._shelf.draw(later)["looks"]
    value = made(tab, later, GLASSES, worn=[shelf["key"], "nobody"], numbers=(1, 9))
    assert [column["title"] for column in value["columns"]] == ["Dusk", "Style 1"]
    assert value["columns"][0]["code"] == liked["code"]
    recipe = backstage.gallery(later).recipe(cell(value)["id"])
    assert ",".join(f"{number:.4f}" for number in recipe.parameters["style"]) == liked["code"]
    _, _, left, _ = tab._shelf.dislike(later, event(look=shelf["key"]))
    assert left["looks"] == [] and backstage.gallery(later).count() == 3


def test_styles_come_and_go_as_files_and_as_pictures(tab, backstage, tmp_path):
    desk = opened(tab)
    value = made(tab, desk, SMILE)
    *_, (_, _, parcel) = tab._answers.export(desk, event(what="style", look=place(value), settings=said(SMILE)))
    path = tmp_path / "mine.json"
    path.write_bytes(Path(parcel["file"]["path"]).read_bytes())
    style = StyleFile.from_json(path.read_text())
    assert style.name == "Smiling, style 1" and style.domains == "attributes" and style.target == "Smiling"
    other = opened(tab)
    *_, values = tab._add_photos(other, [str(path)])
    assert [one["title"] for one in values[6]["looks"]] == ["Smiling, style 1"] and table_of(other).slots
    for forged in ("{}", "", None, 7, path.read_text().replace("0", "nan"), "x" * 10_000):
        assert tab._shelf.bring(other, event(text=forged))[3]["note"]["error"]
    painted = style.model_copy(update={"domains": "art"}).to_json()
    assert "once you choose those" in tab._shelf.bring(other, event(text=painted))[3]["note"]["text"]

    item, gallery = cell(value)["id"], backstage.gallery(desk)
    photo = open_photo(gallery.png(item), f"{gallery.get(item).name}.png")
    third = opened(tab)
    values = last(tab.take(third, Parcel("z", photo, item, gallery.recipe(item))))
    assert [one["title"] for one in values[5]["looks"]] == ["Smiling, style 1"]
    with pytest.raises(ValueError, match="names no style"):
        last(tab.take(third, Parcel("z", photo, item, Recipe(tab="domains", verb="domains"))))
    list(tab.take(third, Parcel("photo", photo, item, gallery.recipe(item))))
    assert [slot.name for slot in table_of(third).slots] == ["Smiling, style 1 on Eileen Collins.png"]
    list(tab.take(third, Parcel("picture", photo, item, gallery.recipe(item))))
    assert room_of(third).what == "art" and table_of(third).slots[0].choice == "whole"


def test_what_is_gone_cannot_be_taken_away(tab):
    desk = opened(tab)
    for what in ({"what": "picture", "look": {"row": "nobody"}}, {"what": "style"}, {}):
        *_, (_, _, parcel) = tab._answers.export(desk, event(settings=said(), **what))
        assert parcel["note"]["error"]
    assert "not here any more" in last(tab._making.keep(desk, event(look={"row": "nobody"}, settings=said())))[4]
