"""The Makeup tab's handlers, called as gradio calls them, with forged events among the honest ones."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from studio.core.engine import Engine
from studio.core.images import open_photo, to_png
from studio.core.recipe import Recipe
from studio.core.workspace import Workspaces
from studio.pipelines.looks import LookFile
from studio.ui.delivery import Parcel
from studio.ui.session import Backstage, Desk
from studio.ui.tabs.makeup_canvas import NO_NETWORKS, Settings, room_of, table_of
from tests.ui.painted import KEEPS, add_makeup
from tests.ui.stand_ins import built, event, last, opened, stand_in_backstage, stand_in_store, warmed

WIDGETS = "makeup", "apply", 2, 3
PROPERTIES = KEEPS["makeup"]


@pytest.fixture(scope="module")
def backstage(tmp_path_factory):
    with stand_in_backstage(tmp_path_factory, ("lion",)) as backstage:
        add_makeup(backstage.engine().store)
        yield backstage


@pytest.fixture(scope="module")
def tab(backstage, tmp_path_factory):
    return warmed(built(backstage, "makeup"), backstage, tmp_path_factory)


def said(**more) -> str:
    """The sliders as the browser sends them."""
    settings = {"keep": 1, "amount": 1, "properties": list(PROPERTIES), "regions": ["lips", "eyes", "skin"], **more}
    return json.dumps(settings, separators=(",", ":"))


def made(tab, desk, *widgets, **more) -> list:
    """The cells after Make, which may have had no trouble."""
    _, value, _, _, problem, *_ = last(tab._make(desk, said(**more), *(widgets or WIDGETS)))
    assert problem == "" and not value["busy"]
    return value["cells"]


def asked(desk, look="look-0", **more):
    return event(look=look, settings=said(**more), name="n")


# -- the first visit ------------------------------------------------------------------------------------------------------


def test_the_first_visitor_sees_a_face_with_looks(tab):
    desk = opened(tab)
    value = room_of(desk).value
    assert "Collins" in value["message"] and len(value["cells"]) == 5 and all(cell["src"] for cell in value["cells"])
    assert [chip["name"] for chip in value["properties"]] == list(PROPERTIES) and value["chosen"] == "look-0"
    assert value["cells"][0]["setting"] == said() == Settings(1.0, 1.0, PROPERTIES, ("lips", "eyes", "skin")).named()
    tab._photos.remove(desk, event(photo=table_of(desk).slots[0].id))
    last(tab._find(desk, said(), *WIDGETS))
    assert room_of(desk).value["before"] is None and table_of(opened(tab)).slots  # what others see stays


def test_without_networks_the_page_says_so_in_one_sentence(tmp_path_factory, monkeypatch):
    folder = tmp_path_factory.mktemp("empty")
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(folder / "cache"))
    store = stand_in_store(folder, ())
    workspaces = Workspaces(folder / "data", public=True)
    backstage = Backstage(lambda: Engine("cpu", store=store), workspaces, store.registry)
    backstage.start()
    tab = built(backstage, "makeup")
    desk = opened(tab)
    assert room_of(desk).value["lesson"] == NO_NETWORKS
    _, _, _, _, problem, *_ = last(tab._make(desk, said(), None, None, 5, 0))
    assert "no networks for makeup" in problem
    backstage.close()


# -- making ---------------------------------------------------------------------------------------------------------------


def test_make_keeps_each_look_at_the_photos_own_size_and_its_recipe_makes_the_same_pixels(tab, backstage, photo):
    desk = Desk()
    list(tab._add_photos(desk, [str(photo)]))
    _, value, _, _, problem, *_ = last(tab._find(desk, said(), *WIDGETS))
    assert problem == "" and len(value["cells"]) == 2 and backstage.gallery(desk).count() == 0
    faces = room_of(desk).faces
    cells = made(tab, desk, keep=0.5)
    assert room_of(desk).faces == faces  # it is found already
    gallery = backstage.gallery(desk)
    assert gallery.count() == 2 and all(cell["kept"] == said(keep=0.5) and cell["item"]["before"] for cell in cells)
    kept = open_photo(gallery.png(cells[1]["id"]))
    assert kept.rgb.shape == open_photo(photo).rgb.shape and gallery.get(cells[1]["id"]).name == "Look 2 on astronaut"
    recipe = Recipe.from_link(gallery.recipe(cells[1]["id"]).to_link())
    assert tab.gives(recipe) == ("photo", "style") and ["Keep", "50 % of identity, gender, age"] in tab.describe(recipe)

    later = Desk(token=desk.token)
    *_, count, seed, _, _, _ = last(tab.restore(later, recipe))
    assert (count, seed) == (2, 3) and room_of(later).value["settings"]["keep"] == 0.5
    again = made(tab, later, keep=0.5)
    assert room_of(later).value["chosen"] == "look-1"
    np.testing.assert_array_equal(open_photo(gallery.png(again[1]["id"])).rgb, kept.rgb)


def test_one_look_that_was_taken_away_comes_back_with_its_number(tab):
    desk = opened(tab)
    _, parcel = tab._answers.export(desk, event(what="picture", look="look-3", settings=said(keep=0.5)))
    png = Path(parcel["file"]["path"]).read_bytes()
    other = opened(tab)
    list(tab.restore(other, Recipe.from_png(png)))
    (cell,) = made(tab, other, keep=0.5)
    assert cell["key"] == "look-3" and cell["title"] == "Look 4"
    np.testing.assert_array_equal(open_photo(Path(cell["item"]["file"]["path"])).rgb, open_photo(png).rgb)
    tab._anew(other)  # other looks are asked for
    assert len(made(tab, other)) == 2


def test_a_run_that_is_stopped_keeps_what_was_made(tab, backstage):
    desk = opened(tab)
    steps = tab._make(desk, said(), "makeup", "apply", 4, 1)
    for step in steps:
        if "kept" in step[2]:  # a picture lies in the strip
            room_of(desk).stopped = True
            break
    _, value, *_ = last(steps)
    assert "Stopped after 1 of 4" in value["message"] and backstage.gallery(desk).count() == 1


def test_who_sets_a_number_and_presses_make_at_once_gets_what_is_made(tab, backstage):
    desk = opened(tab)
    steps = tab._make(desk, said(), *WIDGETS)
    next(steps)
    run = room_of(desk).run
    last(tab._find(desk, said(), *WIDGETS))  # the number's own event comes after Make's
    assert room_of(desk).run == run
    last(steps)
    assert backstage.gallery(desk).count() == 2
    steps = tab._make(desk, said(), *WIDGETS)
    next(steps)
    last(tab._find(desk, said(), "makeup", "apply", 3, 3))  # other looks are asked for
    assert list(steps) == []
    assert len(room_of(desk).value["cells"]) == 3 and not room_of(desk).value["busy"]


def test_make_is_pressed_while_a_large_photo_is_read_for_the_number(tab, backstage, monkeypatch):
    desk, making = opened(tab), []
    request = tab._request

    def slowly(desk, *given):
        monkeypatch.setattr(tab, "_request", request)
        making.append(tab._make(desk, said(), *WIDGETS))
        next(making[0])
        return request(desk, *given)

    monkeypatch.setattr(tab, "_request", slowly)
    last(tab._find(desk, said(), *WIDGETS))
    last(making[0])
    assert backstage.gallery(desk).count() == 2


def test_nobody_in_the_photo_and_no_photo_are_said_above_the_buttons(tab, tmp_path):
    path = tmp_path / "empty.png"
    path.write_bytes(to_png(np.full((64, 64, 3), 200, np.uint8)))
    desk = Desk()
    list(tab._add_photos(desk, [str(path)]))
    assert "No face was found in empty.png" in last(tab._make(desk, said(), *WIDGETS))[4]
    assert "drop a photo" in last(tab._make(Desk(), said(), *WIDGETS))[4]


def test_the_look_of_a_reference_comes_first(tab, photo):
    desk = opened(tab)
    list(tab._add_reference(desk, [str(photo)]))
    _, value, *_ = last(tab._find(desk, said(), *WIDGETS))
    assert [cell["title"] for cell in value["cells"]] == ["As astronaut", "Look 1", "Look 2"] and value["chosen"] == "reference"
    assert table_of(desk).slots[0].name == "Eileen Collins"


# -- while something moves ------------------------------------------------------------------------------------------------


def test_sliders_and_mixes_are_answered_and_strangers_words_change_nothing(tab):
    desk, answers = opened(tab), tab._answers
    still = answers.look(desk, asked(desk))["src"]
    assert still.startswith("data:image/jpeg") and answers.look(desk, asked(desk, keep=0))["src"] != still
    for forged in ({"keep": "1"}, {"keep": 7}, {"amount": None}, {"regions": ["nose"]}, {"properties": 3}):
        assert answers.look(desk, asked(desk, **forged))["src"] == still
    mix = {"first": "look-0", "second": "look-1", "share": 0.5}
    assert answers.look(desk, asked(desk, mix))["src"] not in (still, answers.look(desk, asked(desk, "look-1"))["src"])
    for look in ("look-99", None, 3, {"first": "look-0"}, {**mix, "share": 2}, {**mix, "first": mix}):
        assert "src" not in answers.look(desk, asked(desk, look))
    assert answers.look(Desk(), asked(desk)) == {"name": "n"}


def test_what_rests_is_told_of_with_both_ends_and_only_the_missing_pictures(tab):
    desk, answers = opened(tab), tab._answers
    first = answers.rest(desk, asked(desk))
    assert first["cells"] == {} and len(first["ends"]) == 2
    assert {one["label"] for one in first["words"]} >= {"Makeup", "Perceived gender", "Who it is", "Skin tone"}
    assert any("before" in one["figure"] for one in first["biased"])
    moved = answers.rest(desk, asked(desk, keep=0.25))
    assert set(moved["cells"]) == set(room_of(desk).codes)


# -- looks that are liked -------------------------------------------------------------------------------------------------


def keep(tab, desk, look="look-0", **more):
    *_, (_, value, _, liked, problem, _, _, _) = tab._keep(desk, event(look=look, settings=said(), **more))
    assert problem == ""
    return value, liked["looks"]


def test_a_liked_look_lies_on_the_shelf_of_every_later_visit_until_it_is_taken_off(tab, backstage):
    desk = opened(tab)
    _, looks = keep(tab, desk, "look-1", like=True)
    assert [look["title"] for look in looks] == ["Look 2"] and backstage.gallery(desk).count() == 1
    _, looks = keep(tab, desk, "look-1", like=True)  # it was kept just so
    assert len(looks) == 1 and backstage.gallery(desk).count() == 1
    tab._shelf.rename(desk, event(look=looks[0]["key"], name="Party"))
    later = Desk(token=desk.token)
    list(tab.open(later))
    (liked,) = tab._shelf.draw(later)["looks"]
    assert liked["title"] == "Party" and liked["code"] == room_of(desk).cell("look-1")["code"]
    assert "src" in tab._answers.look(later, asked(later, liked["key"]))
    _, _, shelf, _ = tab._shelf.dislike(later, event(look=liked["key"]))
    assert shelf["looks"] == [] and backstage.gallery(later).count() == 1


def test_only_looks_of_this_direction_are_shown(tab):
    desk = opened(tab)
    keep(tab, desk, like=True)
    list(tab._find(desk, said(), "makeup", "remove", 2, 3))
    assert tab._shelf.draw(desk)["looks"] == []


def test_looks_come_and_go_as_files(tab):
    desk = opened(tab)
    _, parcel = tab._answers.export(desk, event(what="look", look="look-0", settings=said(), name="Mine"))
    text = Path(parcel["file"]["path"]).read_text()
    look = LookFile.from_json(text)
    assert look.name == "Mine" and look.end == "makeup"
    other = Desk()
    list(tab.open(other))
    _, _, shelf, told = tab._shelf.bring(other, event(text=text))
    assert [one["title"] for one in shelf["looks"]] == ["Mine"] and "among the looks" in told["note"]["text"]
    key = shelf["looks"][0]["key"]
    _, _, shelf, _ = tab._shelf.rename(other, event(look=key, name="Yours"))
    assert [one["title"] for one in shelf["looks"]] == ["Yours"]
    for forged in ("{}", "", None, 7, text.replace("0", "nan"), "x" * 10_000):
        assert tab._shelf.bring(other, event(text=forged))[3]["note"]["error"]
    older = look.model_copy(update={"pair": "age", "end": "old"}).to_json()
    assert "once you choose that" in tab._shelf.bring(other, event(text=older))[3]["note"]["text"]


def test_a_look_file_that_is_dropped_as_a_photo_goes_on_the_shelf(tab, tmp_path):
    desk = opened(tab)
    _, parcel = tab._answers.export(desk, event(what="look", look="look-0", settings=said(), name="Mine"))
    path = tmp_path / "mine.json"
    path.write_bytes(Path(parcel["file"]["path"]).read_bytes())
    values = last(tab._add_photos(desk, [str(path)]))
    assert values[-2]["looks"][0]["title"] == "Mine" and table_of(desk).slots


def test_a_look_is_taken_from_a_kept_picture(tab, backstage):
    desk = opened(tab)
    value, _ = keep(tab, desk)
    item, gallery = value["cells"][0]["id"], backstage.gallery(desk)
    photo = open_photo(gallery.png(item), f"{gallery.get(item).name}.png")
    values = last(tab.take(desk, Parcel("style", photo, item, gallery.recipe(item))))
    assert values[-2]["looks"][0]["title"] == "Look 1"
    with pytest.raises(ValueError, match="names no look"):
        last(tab.take(desk, Parcel("style", photo, item, Recipe(tab="makeup", verb="make_up"))))
    list(tab.take(desk, Parcel("photo", photo, item, gallery.recipe(item))))
    assert [slot.name for slot in table_of(desk).slots] == ["Look 1 on Eileen Collins.png"]


def test_what_is_gone_cannot_be_taken_away(tab):
    desk = opened(tab)
    for what in ({"what": "sheet"}, {"what": "picture", "look": "nobody"}, {"what": "look"}, {}):
        _, parcel = tab._answers.export(desk, event(settings=said(), **what))
        assert parcel["note"]["error"]
