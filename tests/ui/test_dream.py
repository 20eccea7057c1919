"""Dreaming on the Character tab, its handlers called as gradio calls them, with forged events among the honest ones."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from studio.core.recipe import Recipe
from studio.ui.session import Desk
from studio.ui.tabs import dream
from studio.ui.tabs.character import DREAM, PHOTO, CharacterTab
from studio.ui.tabs.dream import HUMAN, MAKING, SETTINGS, Dreams
from studio.ui.tabs.dream_canvas import LONGEST, Room, Step, describe
from tests.ui.stand_ins import event, last, stand_in_backstage


@pytest.fixture(scope="module")
def backstage(tmp_path_factory):
    with stand_in_backstage(tmp_path_factory, ("lion", "spider")) as backstage:
        yield backstage


@pytest.fixture
def dreams(backstage, monkeypatch):
    monkeypatch.setattr(dream, "SETTLE", 0.02)
    return Dreams(backstage)


def given(generator="flagship", animal=HUMAN, strength=1.0, imagination=1.0, truncation=0.7, seed=7, count=4):
    """The widgets' values in their order."""
    return generator, animal, strength, imagination, truncation, seed, count


def made(dreams, desk, **settings):
    """The canvas after Make."""
    _, stage, _, problem, *_ = last(dreams.make(desk, *given(**settings)))
    assert problem == ""
    return stage


def pixels(dreams, desk) -> list[bytes]:
    """The pictures on the canvas in their order."""
    step = desk.tables["dream"].here
    return [step.candidates[f"dream/{place}"].image.tobytes() for place in range(step.request.count)]


def test_every_candidate_streams_into_its_place_and_is_kept(dreams, backstage):
    desk = Desk()
    canvases = [values[1] for values in dreams.make(desk, *given())]
    assert [len(canvas["animals"]) for canvas in canvases] == [4] * len(canvases)  # no place comes or goes
    counts = [len(canvas["items"]) for canvas in canvases]
    assert counts == sorted(counts) and {1, 2, 3, 4} <= set(counts)
    stage = canvases[-1]
    assert not stage["busy"] and stage["sheet"] and stage["zip"] and stage["stars"]
    assert backstage.gallery(desk).count() == 4
    item = stage["items"]["dream/2"]
    assert item["title"] == "Dream 7.3" and item["words"] and item["before"] is None and item["steps"]
    assert Recipe.from_json(item["recipe"]).verb == "dream"


def test_a_translated_dream_is_compared_with_the_face_it_was(dreams):
    desk = Desk()
    item = made(dreams, desk, animal="lion", count=1)["items"]["dream/0"]
    assert item["before"] and item["beforeWords"] == "dream" and item["title"] == "Dream 7.1 as a lion"
    candidate = desk.tables["dream"].here.candidates["dream/0"]
    assert not np.array_equal(candidate.image, candidate.face)


def test_what_does_not_apply_is_not_there(dreams):
    _, animal, strength, imagination, truncation = dreams._fit("flagship", HUMAN)
    assert [value for _, value in animal.choices] == [HUMAN, "lion", "spider"]
    assert (strength["visible"], imagination["visible"], truncation["visible"]) == (False, False, True)
    hint, animal, strength, imagination, truncation = dreams._fit("k-dcgan", HUMAN)
    assert animal.value == "lion" and len(animal.choices) == 1
    assert (strength["visible"], imagination["visible"], truncation["visible"]) == (True, True, False)
    assert "study" in hint and "never seen a lion" in hint
    assert dreams._fit("nonsense", HUMAN) == (gr.skip(),) * 5


def test_a_dial_renders_the_same_latents_again_in_their_places(dreams):
    desk = Desk()
    made(dreams, desk, generator="k-dcgan", animal="lion", strength=0.0)
    step = desk.tables["dream"].here
    latents = [candidate.latent for candidate in step.candidates.values()]
    before = pixels(dreams, desk)
    stage = last(dreams._turn(1.0, desk, *given("k-dcgan", "lion", 0.0, 0.2)))[1]
    room = desk.tables["dream"]
    assert room.here is step and len(room.trail) == 1 and not stage["busy"] and stage["done"] == 4
    assert all(np.array_equal(a, b.latent) for a, b in zip(latents, step.candidates.values(), strict=True))
    assert all(a != b for a, b in zip(before, pixels(dreams, desk), strict=True))


def test_only_where_a_dial_comes_to_rest_is_something_drawn_whatever_arrives_last(dreams):
    desk = Desk()
    made(dreams, desk, animal="lion", count=1)

    def turn(sent: int) -> int:
        return len(list(dreams._turn(float(sent), desk, *given(animal="lion", count=1, strength=VALUES[sent]))))

    order = [*range(len(VALUES))][::-1]  # the newest overtakes all others
    with ThreadPoolExecutor(len(VALUES)) as threads:
        assert [steps > 1 for steps in threads.map(turn, order)] == [True] + [False] * (len(VALUES) - 1)
    assert desk.tables["dream"].here.request.strength == VALUES[-1]


@pytest.mark.parametrize("other", [{"seed": 8}, {"animal": "spider"}, {"generator": "dcgan"}])
def test_a_dial_for_the_next_dream_leaves_this_one_alone(dreams, other):
    desk = Desk()
    made(dreams, desk, animal="lion", count=1)
    settings = {"animal": "lion", "count": 1, "strength": 0.3, **other}
    assert last(dreams._turn(1.0, desk, *given(**settings))) == (gr.skip(),) * MAKING
    assert last(dreams._turn(1.0, Desk(), *given())) == (gr.skip(),) * MAKING


def test_the_latest_dial_wins(dreams):
    desk = Desk()
    made(dreams, desk, animal="lion")
    earlier = dreams._turn(1.0, desk, *given(animal="lion", strength=0.4))
    for _ in range(3):
        next(earlier)
    later = last(dreams._turn(2.0, desk, *given(animal="lion", strength=0.9)))[1]
    assert list(earlier)[-1:] == [] or desk.tables["dream"].here.request.strength == 0.9
    assert later["done"] == 4 and not desk.tables["dream"].here.sheet["busy"]
    strengths = {c.recipe.parameters["strength"] for c in desk.tables["dream"].here.candidates.values()}
    assert strengths == {0.9}


def test_more_like_this_begins_with_the_picked_one_and_there_is_a_way_back(dreams, backstage):
    desk = Desk()
    first = made(dreams, desk)
    before = pixels(dreams, desk)
    _, stage, *_ = last(dreams._like(desk, event(key="dream/2", step="a little")))
    assert pixels(dreams, desk)[0] == before[2] and len(set(pixels(dreams, desk))) == 4
    assert [step["label"] for step in stage["trail"]] == ["StyleGAN, seed 7", "Like 3, a little"]
    assert stage["items"]["dream/1"]["title"] == "Dream 7.3.2"
    gallery = backstage.gallery(desk)
    assert [item.id for item in gallery.ancestors(stage["items"]["dream/1"]["id"])] == [first["items"]["dream/2"]["id"]]
    _, back, _, _, _, _, generator, *_ = dreams._back(desk, event(index=0))
    assert back["items"] == first["items"] and generator == "flagship" and [s["here"] for s in back["trail"]] == [True, False]
    again = made(dreams, desk, seed=9)  # going on from here gives up what lay ahead
    assert [step["label"] for step in again["trail"]] == ["StyleGAN, seed 7", "StyleGAN, seed 9"]


def test_make_stays_with_the_picks_until_seed_or_generator_change(dreams):
    desk = Desk()
    made(dreams, desk)
    last(dreams._like(desk, event(key="dream/1", step="some")))
    picked = pixels(dreams, desk)
    assert len(made(dreams, desk)["trail"]) == 2  # the same once more is no new step
    assert pixels(dreams, desk) == picked
    made(dreams, desk, seed=8)
    assert desk.tables["dream"].here.request.ancestry == ()


def test_stage_by_stage_is_shown_and_its_sheet_kept(dreams, backstage):
    desk = Desk()
    assert made(dreams, desk, generator="k-dcgan", animal="lion", count=2)["stages"]
    stage = last(dreams._stages(desk))[1]
    assert [column["name"] for column in stage["animals"]] == ["sample", "k-sample", "cascade", "k-cascade"]
    assert len(stage["items"]) == 8 and stage["sheet"] and not stage["busy"] and not stage["stages"]
    assert backstage.gallery(desk).list()[0].verb == "stages" and backstage.gallery(desk).count() == 3
    assert not made(dreams, Desk())["stages"]  # people have no stages


def test_stop_keeps_what_is_there(dreams, backstage):
    desk = Desk()
    steps = dreams.make(desk, *given(count=12))
    while not desk.tables.get("dream", Room()).here or desk.tables["dream"].here.sheet["done"] < 2:
        next(steps)
    desk.tables["dream"].stopped = True
    stage = last(steps)[1]
    assert stage["message"].startswith("Stopped after 2 of 12") and backstage.gallery(desk).count() == 2
    desk.tables["dream"].stopped = True
    assert not made(dreams, desk, count=1)["busy"]  # an old Stop does not stop the next


def test_stopped_stages_leave_the_dream_on_the_canvas(dreams):
    desk = Desk()
    made(dreams, desk, animal="lion", count=1)
    steps = dreams._stages(desk)
    next(steps)
    desk.tables["dream"].stopped = True
    stage = last(steps)[1]
    assert [len(desk.tables["dream"].trail), stage["animals"][0]["name"]] == [1, "0"] and stage["stages"]


VALUES = 0.2, 0.4, 0.6
IMAGINED = {"generator": "k-dcgan", "animal": "lion", "imagination": 0.4}


@pytest.mark.parametrize("settings", [IMAGINED, {"truncation": 0.9, "seed": 3}])
def test_a_restored_recipe_gives_the_same_pixels(dreams, settings):
    desk, other = Desk(), Desk()
    made(dreams, desk, **settings)
    last(dreams._like(desk, event(key="dream/1", step="a lot")))
    recipe = Recipe.from_json(desk.tables["dream"].here.sheet["items"]["dream/3"]["recipe"])
    _, generator, _, animal, strength, imagination, truncation, seed, count, said = dreams.restore(other, recipe)
    assert "press Make" in said and (generator, count) == (settings.get("generator", "flagship"), 1)
    values = given(generator, animal.value, strength.get("value", 1.0), imagination["value"], truncation["value"], seed, count)
    last(dreams.make(other, *values))
    assert pixels(dreams, other) == [pixels(dreams, desk)[3]]
    last(dreams._like(other, event(key="dream/0", step="some")))
    assert len(pixels(dreams, other)) == 16


def test_a_restored_sheet_of_stages_is_made_again(dreams, backstage):
    desk, other = Desk(), Desk()
    made(dreams, desk, animal="lion", count=2)
    last(dreams._stages(desk))
    kept = backstage.gallery(desk).list()[0]
    recipe = backstage.gallery(desk).recipe(kept.id)
    _, generator, _, animal, strength, _, truncation, seed, count, _ = dreams.restore(other, recipe)
    last(dreams.make(other, *given(generator, animal.value, strength["value"], 1.0, truncation["value"], seed, count)))
    again = backstage.gallery(other).list()[0]
    assert again.verb == "stages" and again.id != kept.id
    sheets = [decoded(backstage.gallery(whose).png(item.id)) for whose, item in ((desk, kept), (other, again))]
    assert sheets[0] == sheets[1]


def decoded(png: bytes) -> bytes:
    with Image.open(io.BytesIO(png)) as image:
        return image.tobytes()


@pytest.mark.parametrize(
    ("parameters", "words"),
    [({"generator": "k-began", "animal": "lion"}, "k-began"), ({"generator": "magic"}, "magic"), ({"ancestry": 3}, "damaged")],
)
def test_a_recipe_that_cannot_be_made_is_one_sentence(dreams, parameters, words):
    *_, said = dreams.restore(Desk(), Recipe(tab="character", verb="dream", parameters=parameters))
    assert words in said and "error" in said


@pytest.mark.parametrize(("settings", "words"), [({"seed": None}, "seed"), ({"seed": -1}, "seed"), ({"generator": "x"}, "x")])
def test_what_is_wrong_is_said_where_the_button_is(dreams, settings, words):
    desk = Desk()
    made(dreams, desk, count=1)
    _, stage, _, problem, make, _ = last(dreams.make(desk, *given(**settings)))
    assert words in problem and stage["items"] and make.interactive


@pytest.mark.parametrize("value", [None, 7, "x", -1, [], {"a": 1}])
def test_forged_events_change_nothing(dreams, value):
    desk = Desk()
    assert last(dreams._like(desk, event(key=value, step=value))) == (gr.skip(),) * (MAKING + SETTINGS)
    assert last(dreams._stages(desk)) == (gr.skip(),) * MAKING
    stage = made(dreams, desk, count=1)
    last(dreams._like(desk, event(key=value, step=value)))
    _, _, _, problem, *_ = last(dreams._like(desk, event(key="dream/0", step=value)))
    assert "step" in problem
    dreams._back(desk, event(index=value))
    dreams._export(desk, event(what=value, id=value))
    dreams._export(Desk(), event(what=value, id=value))
    assert desk.tables["dream"].here.sheet["items"] == stage["items"] and len(desk.tables["dream"].trail) == 1


def test_a_first_visit_dreams_by_itself_but_not_over_what_is_there(dreams):
    desk = Desk()
    assert last(dreams.first(desk, *given(count=1)))[1]["items"]
    assert last(dreams.first(desk, *given(count=1))) == (gr.skip(),) * MAKING
    restored = Desk()
    dreams.restore(restored, Recipe(tab="character", verb="dream", parameters={"generator": "flagship"}))
    assert last(dreams.first(restored, *given())) == (gr.skip(),) * MAKING


def test_the_way_back_has_an_end():
    room = Room()
    for seed in range(LONGEST + 3):
        room.enter(Step(dream_of(seed), f"Seed {seed}"))
    assert len(room.trail) == LONGEST and room.here.label == f"Seed {LONGEST + 2}"


def dream_of(seed: int):
    from studio.pipelines.dream import DreamRequest

    return DreamRequest(seed=seed)


def test_a_dream_is_described_in_words():
    settings = {"generator": "k-dcgan", "animal": "lion", "strength": 0.5, "imagination": 1.0, "ancestry": [[7, 2, 0.3]]}
    facts = dict(describe(Recipe(tab="character", verb="dream", parameters=settings, seed=7)))
    assert facts == {"Animal": "Lion", "How far": "0.50", "Imagination": "1.00", "Seed": "7, picture 3"}
    assert describe(Recipe(tab="character", verb="dream", parameters={"count": -1})) == []


def test_the_tab_turns_to_the_source_that_a_recipe_needs(backstage, dreams):
    tab, desk = CharacterTab(backstage), Desk()
    stage = made(dreams, desk, count=1)
    item = stage["items"]["dream/0"]
    values = last(tab.restore(Desk(), Recipe.from_json(item["recipe"])))
    assert values[6] == DREAM and len(values) == 7 + 1 + SETTINGS + 1
    dropped = last(tab._add_photos(Desk(), [item["file"]["path"]]))
    assert dropped[7] == DREAM and "restored" in dropped[-1]
    photo = Recipe(tab="character", verb="translate", parameters={"animals": ["lion"]})
    assert last(tab.restore(Desk(), photo))[6] == PHOTO
    assert tab.describe(Recipe.from_json(item["recipe"]))
