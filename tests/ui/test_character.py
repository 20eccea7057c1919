"""The tab's handlers, called as gradio calls them, with forged events among the honest ones."""

from __future__ import annotations

import gradio as gr
import pytest

from studio.core.engine import Engine
from studio.core.recipe import Recipe, RecipeInput
from studio.core.workspace import Workspaces
from studio.pipelines.character import MAX_PHOTOS
from studio.ui.session import Backstage, Desk, Slot
from studio.ui.strip import strip_value
from studio.ui.tabs.character import NO_ANIMALS, SAMPLES, CharacterTab
from tests.ui.stand_ins import event, last, stand_in_backstage, stand_in_store

ANIMALS = ("lion", "spider")


@pytest.fixture(scope="module")
def backstage(tmp_path_factory):
    with stand_in_backstage(tmp_path_factory, ANIMALS) as backstage:
        yield backstage


@pytest.fixture
def tab(backstage):
    return CharacterTab(backstage)


def test_the_first_visit_shows_a_finished_result_and_every_animal(tab):
    desk = Desk()
    source, stage, chips, *_ = last(tab.open(desk))
    assert len(stage["items"]) == len(ANIMALS) and not stage["busy"]
    assert [name for _, name in chips.choices] == list(ANIMALS)
    assert source["photos"][0]["words"] == "face found" and source["subject"] == "people"


def test_without_animals_the_page_says_how_to_get_them(tmp_path):
    store = stand_in_store(tmp_path, ())
    backstage = Backstage(lambda: Engine("cpu", store=store), Workspaces(tmp_path / "data"), store.registry)
    backstage.start()
    _, stage, *_ = last(CharacterTab(backstage).open(Desk()))
    assert stage["message"] == NO_ANIMALS
    backstage.close()


def test_own_photos_take_the_samples_place_and_come_once(tab, photo):
    desk = Desk()
    last(tab.open(desk))
    for _ in range(2):
        _, source, *_ = last(tab._add_photos(desk, [str(photo)]))
    assert [row["name"] for row in source["photos"]] == ["astronaut.png"] and source["samples"] == []


def test_bad_files_are_named_and_good_ones_kept(tab, photo, tmp_path):
    bad = tmp_path / "notes.txt"
    bad.write_text("hello")
    _, source, *_ = last(tab._add_photos(Desk(), [str(bad), str(photo)]))
    assert len(source["photos"]) == 1 and source["note"]["error"] and "notes.txt" in source["note"]["text"]


def test_making_keeps_every_cell_in_the_gallery(tab, backstage, photo):
    desk = Desk()
    last(tab._add_photos(desk, [str(photo)]))
    steps = list(tab._make(desk, list(ANIMALS), 1.0, False))
    _, stage, _, problem, *_ = steps[-1]
    strip = strip_value(backstage, desk)
    assert problem == "" and not stage["busy"] and stage["sheet"] and stage["done"] == len(ANIMALS)
    assert [item["title"] for item in strip["items"]] == ["astronaut as a spider", "astronaut as a lion"]
    assert strip["kept"] == len(ANIMALS) and strip["token"] == desk.token
    assert backstage.gallery(desk).source(desk.slots[0].sha256).rgb.shape == (512, 512, 3)
    assert stage["items"][f"{desk.slots[0].id}/spider"]["study"]


def test_stop_ends_between_two_cells(tab, backstage, photo):
    desk = Desk()
    last(tab._add_photos(desk, [str(photo)]))
    steps = tab._make(desk, list(ANIMALS), 1.0, False)
    while not desk.sheet.get("done"):
        next(steps)
    desk.stopped = True
    _, stage, *_ = last(steps)
    assert backstage.gallery(desk).count() == 1 and stage["message"].startswith("Stopped after 1 of 2")


@pytest.mark.parametrize(("animals", "words"), [([], "Pick at least one animal"), (["unicorn"], "Pick at least one animal")])
def test_what_is_missing_is_said_where_the_button_is(tab, photo, animals, words):
    desk = Desk()
    last(tab._add_photos(desk, [str(photo)]))
    *_, problem, _, _ = last(tab._make(desk, animals, 1.0, False))
    assert words in problem and len(desk.slots) == 1


def test_no_photo_is_said_too(tab):
    *_, problem, _, _ = last(tab._make(Desk(), list(ANIMALS), 1.0, False))
    assert "Add a photo" in problem


@pytest.mark.parametrize("value", [None, 7, "x", -1, [], {"a": 1}])
def test_forged_events_change_nothing(tab, photo, value):
    desk = Desk()
    last(tab._add_photos(desk, [str(photo)]))
    slot = desk.slots[0]
    for handler in (tab._photos.remove, tab._photos.use_centre, tab._export):
        handler(desk, event(photo=value, id=value))
    tab._photos.choose(desk, event(photo=slot.id, face=value))
    tab._photos.use_eyes(desk, event(photo=slot.id, eyes=value))
    last(tab._photos.add_sample(desk, event(name="../../../etc/passwd")))
    assert desk.slots == [slot] and slot.choice is None


def test_a_sample_is_restored_with_its_eyes(tab, backstage):
    sample, title = SAMPLES[0].slot(), SAMPLES[0].title
    eyes = ((100.0, 90.0), (150.0, 90.0))
    inputs = [{"sha256": sample.sha256, "name": title, "eyes": eyes}]
    recipe = Recipe(tab="character", verb="translate", parameters={"animals": ["lion"], "strength": 0.5}, inputs=inputs)
    desk = Desk()
    (animals, strength, paste), said = tab._restore(desk, recipe)
    assert (animals, strength, paste) == (["lion"], 0.5, False) and "press Make" in said["text"]
    assert desk.slots[0].choice == eyes
    other = recipe.model_copy(update={"inputs": (recipe.inputs[0].model_copy(update={"sha256": "0" * 64}),)})
    assert tab._photos.restore(desk, other) == [title]


def test_a_recipe_of_another_tab_is_refused_and_odd_values_are_bounded(tab):
    recipe = Recipe(tab="morph", verb="morph")
    _, said = tab._restore(Desk(), recipe)
    assert said["error"] and "morph" in said["text"]
    wild = Recipe(tab="character", verb="translate", parameters={"animals": "all", "strength": 99, "paste": "yes"})
    (animals, strength, paste), _ = tab._restore(Desk(), wild)
    assert (animals, strength, paste) == (list(ANIMALS), 1.3, False)


LEFT, RIGHT = ((100.0, 90.0), (150.0, 90.0)), ((300.0, 90.0), (350.0, 90.0))


def recipe_of(*inputs: RecipeInput) -> Recipe:
    return Recipe(tab="character", verb="translate", parameters={"animals": ["lion"]}, inputs=inputs)


def test_two_people_of_one_photo_come_back_as_two_rows_with_their_own_eyes(tab, photo):
    desk = Desk(slots=[Slot.open(photo, "both.png")])
    first = desk.slots[0]
    recipe = recipe_of(*(RecipeInput(sha256=first.sha256, name="both.png", eyes=eyes) for eyes in (LEFT, RIGHT)))
    tab._restore(desk, recipe)
    assert [slot.choice for slot in desk.slots] == [LEFT, RIGHT]
    assert desk.slots[0].id == first.id and desk.slots[1].id != first.id
    last(tab._make(desk, ["lion"], 1.0, False))
    assert len(desk.sheet["people"]) == len(desk.sheet["items"]) == desk.sheet["total"] == 2
    made = [item["recipe"] for item in desk.sheet["items"].values()]
    assert made[0] != made[1]
    tab._restore(desk, recipe)  # once more: still two
    assert [slot.choice for slot in desk.slots] == [LEFT, RIGHT] and len({slot.id for slot in desk.slots}) == 2
    tab._photos.remove(desk, event(photo=desk.slots[1].id))
    assert [slot.choice for slot in desk.slots] == [LEFT]


def test_a_recipe_of_more_photos_than_fit_is_refused_in_a_sentence(tab, photo):
    desk = Desk(slots=[Slot.open(photo, "ada.png")])
    before = list(desk.slots)
    source = RecipeInput(sha256=before[0].sha256)
    settings, said = tab._restore(desk, recipe_of(*[source] * (MAX_PHOTOS + 1)))
    assert said["error"] and str(MAX_PHOTOS) in said["text"] and desk.slots == before and desk.expected == ()
    assert settings == (gr.skip(),) * 3
    _, said = tab._restore(desk, recipe_of(*[source] * MAX_PHOTOS))
    assert not said["error"] and len({slot.id for slot in desk.slots}) == MAX_PHOTOS


@pytest.mark.parametrize("far", [(513.0, 90.0), (90.0, 513.0), (-1.0, 90.0), (1e5, 1e5)])
def test_eyes_outside_the_picture_are_refused_in_a_sentence(tab, photo, far):
    slot = Slot.open(photo, "ada.png")
    desk, forged = Desk(slots=[slot]), recipe_of(RecipeInput(sha256=slot.sha256, name="ada.png", eyes=((100.0, 90.0), far)))
    settings, said = tab._restore(desk, forged)
    assert said["error"] and "outside ada.png" in said["text"] and settings == (gr.skip(),) * 3
    assert desk.slots == [slot] and slot.choice is None
    waiting = Desk()
    tab._restore(waiting, forged)  # its photo is not here yet, so that nothing can be said about the eyes
    assert waiting.expected
    source, *_ = last(tab._add_photos(waiting, [str(photo)]))[1:]
    assert source["note"]["error"] and "outside" in source["note"]["text"]
    assert waiting.expected == () and waiting.slots[0].choice is None
