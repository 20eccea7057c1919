"""The Morph tab's handlers, called as gradio calls them, with forged events among the honest ones."""

from __future__ import annotations

import base64
import io
import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from studio.core.engine import Engine
from studio.core.images import open_photo, to_png
from studio.core.recipe import Recipe
from studio.core.workspace import Workspaces
from studio.ui.delivery import Parcel
from studio.ui.session import Backstage, Desk
from studio.ui.tabs import attributes_canvas, morph_canvas
from studio.ui.tabs.classes import NO_CLASSES
from studio.ui.tabs.inpaint_canvas import read_mask
from studio.ui.tabs.morph import PARTS
from studio.ui.tabs.morph_canvas import NO_NETWORKS
from tests.ui.stand_ins import built, event, last, opened, stand_in_backstage, stand_in_store, warmed

CARE = 1
CLASSES = "flowers", "tulip", 2, 5, "", 0.5, "", 0.3


@pytest.fixture(scope="module")
def backstage(tmp_path_factory):
    with stand_in_backstage(tmp_path_factory, ("lion",)) as backstage:
        yield backstage


@pytest.fixture(scope="module")
def tab(backstage, tmp_path_factory):
    return warmed(built(backstage, "morph"), backstage, tmp_path_factory)


def with_dream(tab) -> Desk:
    """A desk whose photo is a small face that fills it."""
    desk = opened(tab)
    last(tab._holes.photos.add_sample(desk, event(name="dream-1.png")))
    tab._holes._seen(desk, "faces")
    return desk


def sent(desk, hole=None, token: int = 0, **more) -> str:
    """A mask as the browser sends it along with Make."""
    slot = desk.tables["morph-faces"].slots[0]
    width, height = slot.size
    mask = np.zeros((height, width), np.uint8)
    x, y, w, h = hole or (width // 3, height // 3, width // 4, height // 4)
    mask[y : y + h, x : x + w] = 255
    file = io.BytesIO()
    Image.fromarray(mask).save(file, "PNG")
    data = "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
    return json.dumps({"photo": slot.id, "data": data, "token": token, **more})


def filled(tab, desk, iterations=1, candidates=2, seed=3, shows=(), **more):
    """What is on the canvas after a hole was filled; it may have had no trouble."""
    given = "faces", iterations, candidates, seed, list(shows)
    _, value, _, problem, *_ = last(tab._holes.make(desk, sent(desk, **more), *given))
    assert problem == "" and not value["busy"]
    return value


# -- attributes -----------------------------------------------------------------------------------------------------------


def test_the_first_visitor_sees_a_face_that_was_changed(tab):
    desk = opened(tab)
    value = desk.tables["attributes"].value
    assert "Collins" in value["message"] and value["after"] and value["values"] == {"Blond_Hair": 1.0}
    assert [row["name"] for row in value["sliders"]][:2] == ["Smiling", "Mouth_Slightly_Open"]
    assert all(-1 <= row["found"] <= 1 for row in value["sliders"])
    assert desk.tables["holes"].value["photo"]["id"] == desk.tables["morph-faces"].slots[0].id
    assert len(desk.tables["between"].slots) == 2
    assert not any("looking" in row["words"] for part in (tab._holes, tab._between) for row in part.photos.draw(desk)["photos"])


def test_the_first_visitor_sees_samples_morphed_but_nobodys_own_photos(tab, photo):
    desk = opened(tab)
    turned = partial(tab._first, tab._between, desk)
    assert desk.tables["between"].result is None and all("__type__" in value for value in last(turned("Fill holes")))
    last(turned("Morph", "faces", 5, 0))
    first = desk.tables["between"].result
    assert len(first.images) == 5
    last(turned("Morph", "faces", 5, 0))
    assert desk.tables["between"].result is first
    other = opened(tab)
    list(tab._add_photos(tab._between, other, [str(photo)]))
    last(tab._first(tab._between, other, "Morph", "faces", 5, 0))
    assert other.tables["between"].result is None


def test_a_beard_grows_where_no_beard_shrinks():
    from studio.pipelines.conditioned import SLIDERS

    asked = {"No_Beard": 0.5, "Young": -1, "Bald": 1}
    assert attributes_canvas.to_condition(asked, SLIDERS) == {"No_Beard": -0.5, "Young": -1, "Bald": 1}
    assert attributes_canvas.moves({"No_Beard": -1, "Young": 0.1}, {"No_Beard": 0.9, "Young": 0.05}) == ["beard"]


def test_a_slider_is_answered_at_once_and_strangers_values_change_nothing(tab):
    desk = opened(tab)
    part = tab._attributes
    still, moved = (part._look(desk, event(values=values, name="n")) for values in ({}, {"Young": -1.0}))
    assert moved["src"].startswith("data:image/jpeg") and moved["src"] != still["src"] and moved["name"] == "n"
    for forged in (None, 7, {"Young": 9}, {"Young": True}, {"Nobody": "x"}, {3: 1}):
        assert part._look(desk, event(values=forged, name="n"))["src"] == still["src"]
    assert part._look(desk, event(values={"Nonsense": 1.0}, name=5)) == {"name": "", "src": ""}
    assert part._look(Desk(), event(values={}, name="n"))["src"] == ""


def test_make_keeps_the_photo_at_its_own_size_and_its_recipe_makes_the_same_pixels(tab, backstage, photo):
    desk = Desk()
    list(tab._add_photos(tab._attributes, desk, [str(photo)]))
    assert desk.tables["morph-faces"].slots[0].name == "astronaut.png"
    *_, (_, value, *_) = tab._attributes.find(desk, CARE)
    assert value["found"] and not value["busy"] and backstage.gallery(desk).count() == 0
    run = desk.tables["attributes"].run
    last(tab._attributes.find(desk, CARE))
    assert desk.tables["attributes"].run == run  # it is found already
    _, value, strip, problem, *_ = list(tab._attributes.make(desk, json.dumps({"Young": -1.0}), CARE))[-2]
    assert problem == "" and strip["kept"] == 1
    gallery, item = backstage.gallery(desk), strip["items"][0]
    kept = open_photo(gallery.png(item["id"]))
    assert item["title"] == "astronaut, older" and kept.rgb.shape == open_photo(photo).rgb.shape
    recipe = Recipe.from_link(gallery.recipe(item["id"]).to_link())
    assert tab.gives(recipe) == ("photo",) and ["Set", "Young -1.00"] in tab.describe(recipe)
    later = Desk(token=desk.token)
    values = last(tab.restore(later, recipe))
    assert len(values) == len(tab.outputs) and values[0] == PARTS[0]
    room = later.tables["attributes"]
    assert room.value["values"] == {"Young": -1.0} and room.value["set"] == 1
    last(tab._attributes.make(later, json.dumps(room.value["values"]), CARE))
    np.testing.assert_array_equal(room.result.image, kept.rgb)
    _, brought = tab._attributes._export(later, event(values={"Young": -1.0}, bare=True))
    assert b"imaginarium:recipe" not in Path(brought["file"]["path"]).read_bytes()


def test_what_is_shown_is_of_the_photo_that_is_here(tab):
    desk = with_dream(tab)  # it came while the holes were in sight
    assert desk.tables["attributes"].value["found"]
    _, *values = tab._switch(desk, PARTS[0])
    assert len(values) == len(tab.outputs) and desk.tables["attributes"].value["before"] is None
    *_, (_, value, *_) = tab._find(desk, PARTS[0], CARE)
    assert value["found"] and value["title"] == "Nobody 1, as it was found"
    tab._attributes.photos.remove(desk, event(photo=desk.tables["morph-faces"].slots[0].id))
    ((_, value, *_),) = tab._attributes.find(desk, CARE)
    assert value["before"] is None and value["lesson"] and not value["found"]


def test_nobody_in_the_photo_is_said_above_the_buttons(tab, tmp_path):
    path = tmp_path / "empty.png"
    path.write_bytes(to_png(np.full((64, 64, 3), 200, np.uint8)))
    desk = Desk()
    list(tab._add_photos(tab._attributes, desk, [str(path)]))
    *_, problem, _, _ = last(tab._attributes.make(desk, "{}", CARE))
    assert "No face was found in empty.png" in problem
    *_, problem, _, _ = last(tab._attributes.make(Desk(), "{}", CARE))
    assert "drop a photo" in problem


# -- holes ----------------------------------------------------------------------------------------------------------------


def test_a_hole_is_filled_and_nothing_else_changes(tab, backstage):
    desk = with_dream(tab)
    stages = [step[1]["candidates"] for step in tab._holes.make(desk, sent(desk), "faces", 2, 2, 3, [])]
    assert max(len(one["past"]) for candidates in stages for one in candidates) == 2
    final = stages[-1]
    assert sum(one["best"] for one in final) == 1 and all(one["id"] and one["large"] for one in final)
    gallery, slot = backstage.gallery(desk), desk.tables["morph-faces"].slots[0]
    assert gallery.count() == 2
    image, original = open_photo(gallery.png(final[0]["id"])).rgb, slot.photo().rgb
    hole = read_mask(json.loads(sent(desk))["data"], slot.size)
    np.testing.assert_array_equal(image[~hole], original[~hole])
    assert (image[hole] != original[hole]).any()
    recipe = gallery.recipe(final[1]["id"])
    assert tab.gives(recipe) == ("photo",) and ["Shows", "candidate 2"] in tab.describe(recipe)


def test_a_link_brings_the_mask_back_and_the_same_pixels(tab, backstage):
    desk = with_dream(tab)
    value = filled(tab, desk, candidates=1, hole=(21, 21, 13, 9))
    gallery = backstage.gallery(desk)
    item_id = value["candidates"][0]["id"]
    recipe = Recipe.from_link(gallery.recipe(item_id).to_link())
    later = Desk(token=desk.token)
    values = last(tab.restore(later, recipe))
    assert values[0] == PARTS[2] and len(values) == len(tab.outputs)
    room = later.tables["holes"]
    assert room.value["mask"]["token"] == room.masks == 1
    rough = sent(later, hole=(0, 0, 40, 40), token=1)  # as it comes back from a browser that paints on other pixels
    last(tab._holes.make(later, rough, "faces", 1, 1, 3, []))
    np.testing.assert_array_equal(room.result.fillings[0].image, open_photo(gallery.png(item_id)).rgb)
    last(tab._holes.make(later, sent(later, hole=(10, 10, 9, 9)), "faces", 1, 1, 3, []))
    assert room.result.request.mask.sum() == 81  # what was painted since counts


def test_stop_keeps_the_best_so_far(tab, backstage):
    desk = with_dream(tab)
    steps = tab._holes.make(desk, sent(desk), "faces", 10, 2, 3, [])
    while not (desk.tables["holes"].last and desk.tables["holes"].value["candidates"][0]["past"]):
        next(steps)
    desk.tables["holes"].stopped = True
    _, value, *_ = last(steps)
    assert "Stopped after iteration" in value["message"] and backstage.gallery(desk).count() == 1
    assert [bool(one["id"]) for one in value["candidates"]].count(True) == 1 and value["sheet"]


def test_a_run_that_comes_to_nothing_leaves_what_was_there(tab):
    desk = with_dream(tab)
    last(tab._holes.make(desk, sent(desk), "faces", 1, 2, 3, []))
    room, before = desk.tables["holes"], list(desk.tables["holes"].value["candidates"])
    steps = tab._holes.make(desk, sent(desk), "faces", 2, 4, 5, [])
    next(steps)
    assert len(room.value["candidates"]) == 4 and room.result is None
    desk.tables["holes"].stopped = True
    _, value, *_ = last(steps)
    assert "before the first" in value["message"] and value["candidates"] == before and value["sheet"]
    assert tab._holes._export(desk, event(what="picture", index=1))[1]["file"]


def test_a_hole_can_be_told_what_to_show(tab):
    desk = with_dream(tab)
    filled(tab, desk, candidates=1, shows=["No_Beard", "Smiling", "nonsense"])
    assert desk.tables["holes"].result.request.condition == {"No_Beard": -1.0, "Smiling": 1.0}


@pytest.mark.parametrize("forged", ["", "x", "[]", "{}", '{"photo": 1, "data": 2, "token": "x"}', None])
def test_a_forged_mask_is_a_sentence(tab, forged):
    desk = with_dream(tab)
    *_, problem, _, _ = last(tab._holes.make(desk, forged, "faces", 1, 1, 3, []))
    assert "Nothing is painted yet" in problem


@pytest.mark.parametrize("data", ["!!", "AAAA", "A" * 5_000_000])
def test_a_mask_that_is_none_is_a_sentence(data):
    for sent in (data, f"data:image/png;base64,{data}"):
        with pytest.raises(ValueError, match="paint it again"):
            read_mask(sent, (8, 8))


def test_a_photo_that_changes_takes_its_candidates_along(tab):
    desk = with_dream(tab)
    filled(tab, desk, candidates=1)
    last(tab._holes.photos.add_sample(desk, event(name="astronaut.jpg")))
    _, _, value, _ = tab._holes._seen(desk, "faces")
    assert value["photo"]["name"] == "Eileen Collins" and value["candidates"] == [] and len(value["photo"]["seen"]) == 4
    tab._holes.photos.remove(desk, event(photo=desk.tables["morph-faces"].slots[0].id))
    assert tab._holes._seen(desk, "faces")[2]["photo"] is None


def test_a_photo_that_goes_while_its_hole_is_filled_leaves_the_buttons_ready(tab, backstage):
    desk = with_dream(tab)
    steps = tab._holes.make(desk, sent(desk), "faces", 10, 1, 3, [])
    next(steps)
    tab._holes.photos.remove(desk, event(photo=desk.tables["morph-faces"].slots[0].id))
    tab._holes._seen(desk, "faces")
    *_, make, stop = last(steps)
    assert make.interactive and not stop.interactive and backstage.gallery(desk).count() == 0


def test_flowers_have_a_photo_of_their_own_in_which_nobody_looks_for_a_face(tab, tmp_path):
    path = tmp_path / "tulip.png"
    path.write_bytes(to_png(np.random.default_rng(1).integers(0, 255, (80, 60, 3), np.uint8)))
    desk = opened(tab)
    _, source, value, _ = tab._holes._seen(desk, "flowers")
    assert source["subject"] == "flowers" and source["photos"] == source["samples"] == [] and value["photo"] is None
    *_, values = tab._add_photos(tab._holes, desk, [str(path)])
    source = values[1 + tab.outputs.index(tab._holes.outputs[0])]
    assert source["photos"][0]["words"] == "its centre is used"
    slot = desk.tables["morph-flowers"].slots[0]
    whole = json.loads(sent(with_dream(tab)))
    mask = np.zeros((80, 60), np.uint8)
    mask[30:50, 20:40] = 255
    file = io.BytesIO()
    Image.fromarray(mask).save(file, "PNG")
    whole |= {"photo": slot.id, "data": "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()}
    *_, problem, _, _ = last(tab._holes.make(desk, json.dumps(whole), "flowers", 1, 1, 3, []))
    recipe = desk.tables["holes"].result.fillings[0].recipe
    assert problem == "" and tab.gives(recipe) == ("picture",)
    tab._holes._seen(desk, "faces")
    assert desk.tables["holes"].value["photo"]["name"] == "Eileen Collins"


# -- between two photos ---------------------------------------------------------------------------------------------------


def test_two_photos_become_a_strip_and_a_film(tab, backstage):
    desk = opened(tab)
    part = tab._between
    _, value, _, problem, *_ = last(part.make(desk, "faces", 5, CARE))
    way = desk.tables["between"]
    assert problem == "" and value["columns"] == 5 and all(value["rows"][0]["cells"])
    assert value["film"]["count"] == len(way.film.rows[0])
    _, strip, said = part._keep_picture(desk, event(step=7, row=0))
    assert strip["kept"] == 2 and "step 8" in said["note"]["text"]
    _, brought = part._export(desk, event(what="mp4"))
    assert Path(brought["file"]["path"]).read_bytes()[4:8] == b"ftyp"
    recipe = backstage.gallery(desk).recipe(strip["items"][0]["id"])
    assert tab.gives(recipe) == ("photo",) and tab.gives(way.result.recipe) == ()
    later = Desk(token=desk.token)
    values = last(tab.restore(later, recipe))
    assert values[0] == PARTS[1]
    last(part.make(later, "faces", 5, CARE))
    assert later.tables["between"].value["place"] == {"step": 7, "row": 0}
    np.testing.assert_array_equal(later.tables["between"].film.rows[0][7], way.film.rows[0][7])


@pytest.mark.parametrize("value", [None, -1, 10**9, "x", True, [], 0.5])
def test_forged_pictures_of_a_morph_are_a_sentence(tab, value):
    desk = opened(tab)
    for what in (value, "picture", "mp4", "sheet"):
        assert tab._between._export(desk, event(what=what, step=value))[1]["note"]["error"]
    assert tab._between._keep_picture(desk, event(step=value))[2]["note"]["error"]
    assert tab._holes._export(desk, event(what=value, index=value))[1]["note"]["error"]


# -- classes --------------------------------------------------------------------------------------------------------------


def test_flowers_of_a_kind_and_of_two(tab, backstage):
    desk = opened(tab)
    part = tab._classes
    _, value, _, problem, *_ = last(part.first(desk, *CLASSES))
    assert problem == "" and len(value["items"]) == 2 and value["sheet"] and "Tulip, seed 5" in value["message"]
    run = desk.tables["classes"].run
    last(part.first(desk, *CLASSES))
    assert desk.tables["classes"].run == run  # the second visit leaves all as it is
    _, value, *_ = last(part.make(desk, "flowers", "tulip", 1, 5, "wild_rose", 0.25, "", 0.3))
    (item,) = value["items"].values()
    assert item["title"].startswith("Tulip and wild rose") and backstage.gallery(desk).count() == 3
    recipe = backstage.gallery(desk).recipe(item["id"])
    assert tab.gives(recipe) == ("picture",)
    kept = backstage.gallery(desk)
    mended = Parcel("picture", open_photo(kept.png(item["id"]), "tulip.png"), item["id"], recipe)
    values = last(tab.take(desk, mended))
    assert values[0] == PARTS[2] and desk.tables["holes"].value["photo"]["name"] == "tulip.png"
    assert desk.tables["morph-flowers"].slots[0].origin == item["id"]
    values = last(tab.restore(Desk(token=desk.token), recipe))
    assert values[0] == PARTS[3] and values[-4] == 0.25 and "press Make" in values[-1]


def test_three_kinds_in_one_come_back_as_they_were_mixed(tab, backstage):
    desk = opened(tab)
    three = "flowers", "tulip", 1, 5, "wild_rose", 0.25, "common_daisy", 0.4
    _, value, *_ = last(tab._classes.make(desk, *three))
    (item,) = value["items"].values()
    recipe = backstage.gallery(desk).recipe(item["id"])
    assert recipe.parameters["weights"] == pytest.approx([0.45, 0.15, 0.4])
    values = last(tab.restore(Desk(token=desk.token), recipe))
    assert [values[-k] for k in (4, 2)] == [0.25, 0.4] and values[-3].value == "common_daisy"
    again = "flowers", "tulip", 1, 5, "tulip", 0.25, "wild_rose", 0.4  # nothing is mixed with itself
    _, value, *_ = last(tab._classes.make(desk, *again))
    assert next(iter(value["items"].values()))["title"].startswith("Tulip and wild rose")


def test_people_are_drawn_by_name_and_nobodys_photo_is_one_of_them(tab, backstage, monkeypatch):
    monkeypatch.setattr("studio.pipelines.conditioned.list_domains", lambda registry: ("faces", "people", "flowers"))
    assert tab._classes._domains() == ["people", "flowers"]
    assert morph_canvas.domains(backstage) == ("faces", "flowers")


# -- what comes from elsewhere --------------------------------------------------------------------------------------------


def test_a_result_that_is_sent_here_is_changed_and_mended(tab, backstage, photo):
    desk = opened(tab)
    recipe = Recipe(tab="character", verb="translate", parameters={"paste": True})
    item = backstage.gallery(desk).add(open_photo(photo).rgb, recipe, (), "A lion")
    parcel = Parcel("photo", open_photo(backstage.gallery(desk).png(item.id), "A lion.png"), item.id, recipe)
    assert all(len(values) == len(tab.outputs) for values in tab.take(desk, parcel))
    assert desk.tables["morph-faces"].slots[0].origin == item.id and desk.tables["holes"].value["photo"]["name"] == "A lion.png"
    value = filled(tab, desk, candidates=1, hole=(200, 90, 30, 30))
    assert backstage.gallery(desk).recipe(value["candidates"][0]["id"]).parents == (item.id,)


def test_wild_recipes_are_refused_in_a_sentence(tab):
    for verb, parameters in (
        ("attributes", {"condition": 3}), ("inpaint", {"mask": 7}), ("classes", {"label": 5}), ("mix", {"labels": 1}),
        ("dance", {}),
    ):  # fmt: skip
        recipe = Recipe(tab="morph", verb=verb, parameters=parameters)
        values = last(tab.restore(Desk(), recipe))
        assert len(values) == len(tab.outputs) and "error" in json.dumps(values, default=str)
        tab.describe(recipe)


def test_without_networks_the_page_says_what_to_do(tmp_path):
    store = stand_in_store(tmp_path, ())
    backstage = Backstage(lambda: Engine("cpu", store=store), Workspaces(tmp_path / "data"), store.registry)
    backstage.start()
    tab = built(backstage, "morph")
    desk = opened(tab)
    assert "studio pull" in desk.tables["attributes"].value["message"]
    assert NO_NETWORKS in last(tab._holes.make(desk, "", "faces", 1, 1, 0, []))[3]
    assert NO_CLASSES in last(tab._classes.make(desk, *CLASSES))[3]
    assert NO_NETWORKS in last(tab._between.make(desk, "faces", 5, 0))[3]
    backstage.close()
