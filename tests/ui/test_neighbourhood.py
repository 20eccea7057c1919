"""The other half of the Manifold tab: its handlers, called as gradio calls them, with forged events among the honest ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from studio.core.engine import Engine
from studio.core.images import open_photo
from studio.core.recipe import Recipe
from studio.core.workspace import Workspaces
from studio.pipelines import neighbourhood as pipeline
from studio.ui.session import Backstage, Desk
from studio.ui.tabs import neighbourhood
from studio.ui.tabs.manifold import AROUND, ManifoldTab
from studio.ui.tabs.neighbourhood import NO_BANK, OUTPUTS
from tests.engines import until
from tests.ui.stand_ins import event, last, stand_in_backstage, stand_in_store

GIVEN = "face", "convex", 5, 1.0, 0.25, 3


@pytest.fixture(scope="module")
def backstage(tmp_path_factory):
    with stand_in_backstage(tmp_path_factory, ("lion",)) as backstage:
        yield backstage


@pytest.fixture
def tab(backstage, monkeypatch):
    monkeypatch.setattr(pipeline, "_tsne", lambda codes: codes[:, 2:4])  # a quick one
    return ManifoldTab(backstage)


@pytest.fixture
def around(tab):
    return tab._around


def made(around, desk, *given) -> dict:
    """What is on the canvas after Make; it may have had no trouble."""
    _, stage, _, _, problem, *_ = last(around.make(desk, *(given or GIVEN)))
    assert problem == "" and not stage["busy"]
    return stage


def code_of(desk) -> tuple[float, ...]:
    return desk.tables["around"].here.request.code


def test_the_first_visit_looks_around_and_the_second_leaves_all_as_it_is(around):
    desk = Desk()
    stages = [step[1] for step in around.first(desk, *GIVEN)]
    assert [len(stage["samples"]) for stage in stages][-4:] == [8, 12, 12, 12] or len(stages[-1]["samples"]) == 12
    assert len(stages[-1]["neighbours"]) == 8 and stages[-1]["sheet"] and "seed 3" in stages[-1]["label"]
    assert set(stages[-1]["here"]["at"]) >= {"pca"} and stages[-1]["novelty"]
    run = desk.tables["around"].run
    last(around.first(desk, *GIVEN))
    assert desk.tables["around"].run == run


def test_the_map_comes_with_the_first_picture_and_the_other_one_when_it_is_ready(around):
    desk = Desk()
    atlases = [step[2] for step in around.make(desk, *GIVEN) if "dots" in step[2]]
    assert [(atlas["kind"], atlas["domain"], len(atlas["dots"])) for atlas in atlases] == [("pca", "face", 400)]
    until(lambda: ("face", "tsne") in around._maps)
    stage, atlas = around._show_map(desk, event(kind="tsne"))
    assert atlas["kind"] == "tsne" and not atlas["pending"] and set(stage["here"]["at"]) == {"pca", "tsne"}


def test_a_map_that_is_not_ready_says_so(around, monkeypatch):
    monkeypatch.setattr(around, "_draw_tsne", lambda engine, domain: None)
    desk = Desk()
    made(around, desk)
    assert around._show_map(desk, event(kind="tsne"))[1]["pending"]


def test_a_click_moves_there_and_the_way_leads_back_and_forward(around):
    desk = Desk()
    start = made(around, desk)
    before = code_of(desk)
    target = desk.tables["around"].here.places["sample", 4].code
    _, stage, *_ = last(around._go(desk, *GIVEN, event(kind="sample", index=4)))
    assert code_of(desk) == pytest.approx(tuple(target), abs=1e-6) and stage["back"] and not stage["forward"]
    _, stage, *_, seed = around._back(desk, event(by=-1))
    assert code_of(desk) == before and stage["forward"] and not stage["back"] and seed == 3
    assert [item["src"]["path"] for item in stage["samples"]] == [item["src"]["path"] for item in start["samples"]]
    around._back(desk, event(by=1))
    assert code_of(desk) == pytest.approx(tuple(target), abs=1e-6)


def test_a_dot_of_the_map_can_be_gone_to(around):
    desk = Desk()
    made(around, desk)
    last(around._go(desk, *GIVEN, event(kind="dot", index=17, map="pca")))
    drawn = around._maps["face", "pca"]
    assert code_of(desk) == pytest.approx(tuple(drawn.bank.codes[drawn.chosen[17]]), abs=1e-3)


def test_a_dial_draws_the_same_again_in_its_place_and_make_draws_others(around):
    desk = Desk()
    made(around, desk)
    room, before = desk.tables["around"], code_of(desk)
    first = room.here.places["sample", 0].code
    last(around._turn(desk, "face", "convex", 5, 0.0, 0.25, 3))
    np.testing.assert_allclose(room.here.places["sample", 0].code, before, atol=1e-4)  # a spread of 0 stays here
    last(around._turn(desk, *GIVEN))
    np.testing.assert_array_equal(room.here.places["sample", 0].code, first)
    assert len(room.trail) == 1
    made(around, desk)
    assert len(room.trail) == 2 and code_of(desk) == before and (room.here.places["sample", 0].code != first).any()
    made(around, desk, *GIVEN[:-1], 4)
    assert code_of(desk) != before


def test_the_density_is_the_other_way_to_new_ones(around):
    desk = Desk()
    stage = made(around, desk, "face", "density", 5, 1.0, 0.02, 3)
    assert stage["novelty"][0]["text"].endswith("as in the bank") and '"bandwidth": 0.02' in stage["recipe"]


def test_a_photo_is_where_the_way_begins(around, photo):
    desk = Desk()
    source = last(around._add_photos(desk, [str(photo)], "face"))[1]
    assert source["photos"][0]["words"] == "face found"
    stage = made(around, desk)
    assert stage["label"] == "Face at astronaut.png"
    last(around._photos.add_sample(desk, event(name="astronaut.jpg")))
    assert [slot.name for slot in desk.tables["around"].slots] == ["Eileen Collins"]
    source = last(around._add_photos(Desk(), [str(photo)], "flower"))[1]
    assert source["photos"][0]["words"] == "its centre is used"


def test_each_domain_asks_for_photos_of_its_own_and_keeps_them(around, photo, monkeypatch):
    monkeypatch.setattr(around, "_domains", lambda: ["face", "flower"])
    desk = Desk()
    _, source = around._show_source(desk, "flower")
    assert source["subject"] == "flowers" and not source["samples"]
    last(around._add_photos(desk, [str(photo)], "flower"))
    _, source = around._show_source(desk, "face")
    assert source["subject"] == "people" and source["samples"] and not source["photos"]
    around._show_source(desk, "owl")
    _, source = around._show_source(desk, "flower")
    assert [row["name"] for row in source["photos"]] == ["astronaut.png"]
    made(around, desk)  # of faces, from the seed: the flower is none
    assert desk.tables["around"].here.label == "seed 3"


def test_what_is_kept_has_its_recipe_and_gives_the_same_pixels(tab, around, backstage):
    desk = Desk()
    made(around, desk, "face", "convex", 3, 1.5, 0.25, 8)
    _, stage, strip, _ = around._keep(desk, event(kind="sample", index=2))
    around._keep(desk, event(kind="sample", index=2))
    assert strip["kept"] == 1 == backstage.gallery(desk).count() and stage["samples"][2]["kept"]
    gallery, item = backstage.gallery(desk), strip["items"][0]
    recipe = Recipe.from_link(gallery.recipe(item["id"]).to_link())
    assert tab.gives(recipe) == ("photo",) and ["Shows", "new 3"] in tab.describe(recipe)
    later = Desk(token=desk.token)
    values = last(tab.restore(later, recipe))
    assert len(values) == len(last(tab.open(later))) and AROUND in values
    _, _, *widgets, words = values[-OUTPUTS:]
    assert widgets == ["face", "convex", 3, 1.5, 0.25, 8] and "press Make" in words
    made(around, later, *widgets)
    kept = open_photo(gallery.png(item["id"])).rgb
    np.testing.assert_array_equal(later.tables["around"].here.places["sample", 2].image, kept)


def test_a_dropped_picture_of_it_restores_on_either_half(tab, around):
    desk = Desk()
    made(around, desk)
    _, brought = around._export(desk, event(what="picture", kind="neighbour", index=1))
    path = brought["file"]["path"]
    assert tab.gives(Recipe.from_png(Path(path))) == ("photo",)
    assert "restored" in last(around._add_photos(Desk(), [path], "face"))[-1]
    assert AROUND in last(tab._add_photos(Desk(), [path]))
    _, sheet = around._export(desk, event(what="sheet"))
    assert tab.gives(Recipe.from_png(Path(sheet["file"]["path"]))) == ()
    _, bare = around._export(desk, event(what="sheet", bare=True))
    assert b"imaginarium:recipe" not in Path(bare["file"]["path"]).read_bytes()


def test_stop_keeps_what_is_there(around):
    desk = Desk()
    steps = around.make(desk, *GIVEN)
    while not (desk.tables.get("around") and desk.tables["around"].trail):
        next(steps)
    desk.tables["around"].stopped = True
    _, stage, *_ = last(steps)
    assert not stage["busy"] and stage["message"].startswith("Stopped") and stage["here"]
    _, _, _, said = around._keep(desk, event(kind="here", index=0))
    assert said["note"]["error"]


@pytest.mark.parametrize("value", [None, -1, 10**9, "x", True, [], {"a": 1}, 0.5])
def test_forged_events_change_nothing(around, backstage, value):
    desk = Desk()
    made(around, desk)
    room, before = desk.tables["around"], code_of(desk)
    for kind, index, drawn in ((value, 0, "pca"), ("dot", value, "pca"), ("dot", 0, value)):
        last(around._go(desk, *GIVEN, event(kind=kind, index=index, map=drawn)))
        assert code_of(desk) == before
    around._back(desk, event(by=value))
    around._show_map(desk, event(kind=value))
    assert around._keep(desk, event(kind=value, index=value))[3]["note"]["error"]
    assert around._export(desk, event(what=value, kind=value, index=value))[1]["note"]["error"]
    assert backstage.gallery(desk).count() == 0 and not room.busy


def test_wild_recipes_are_refused_in_a_sentence(tab, around):
    for parameters in ({"code": "x"}, {"domain": "owl", "code": [0.1]}):
        words = around.restore(Desk(), Recipe(tab="manifold", verb="neighbours", parameters=parameters))[-1]
        assert "error" in words
    assert tab.describe(Recipe(tab="manifold", verb="neighbours", parameters={"code": 7})) == []


def test_without_a_bank_the_page_says_what_to_do(tmp_path):
    store = stand_in_store(tmp_path, ())
    backstage = Backstage(lambda: Engine("cpu", store=store), Workspaces(tmp_path / "data"), store.registry)
    backstage.start()
    around = ManifoldTab(backstage)._around
    assert around.open(Desk())[1]["message"] == NO_BANK
    assert NO_BANK in last(around.make(Desk(), *GIVEN))[4]
    backstage.close()


def test_what_was_chosen_while_the_networks_warm_up_stays(tab):
    first, *_, ready = tab.open(Desk())
    assert len(first) == len(ready)
    assert first[-OUTPUTS + 2] != neighbourhood.gr.skip() and ready[-OUTPUTS + 1 :] == (neighbourhood.gr.skip(),) * (OUTPUTS - 1)
