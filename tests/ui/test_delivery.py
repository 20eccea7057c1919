"""Recipes and pictures on their way to a tab."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from studio.core.checkpoints import CheckpointError
from studio.core.engine import Engine
from studio.core.images import Photo, to_png
from studio.core.recipe import Recipe, RecipeError
from studio.core.workspace import Workspaces
from studio.ui.delivery import _stop_pull, missing_networks, origin_of, pullable, recipe_of
from studio.ui.session import Backstage, Desk, Slot
from studio.ui.tabs.character import CharacterTab
from tests.tiny import HUB
from tests.ui.stand_ins import event, stand_in_backstage, stand_in_store

HASH = "0123456789abcdef" * 4


@pytest.fixture(scope="module")
def backstage(tmp_path_factory):
    with stand_in_backstage(tmp_path_factory, ("lion",)) as backstage:
        yield backstage


@pytest.fixture
def page(backstage, monkeypatch):
    """The Character tab on a page, and what delivers to it."""
    from studio.ui import shell

    made = []
    plain = shell.Delivery

    def noted(*args):
        made.append(plain(*args))
        return made[-1]

    monkeypatch.setattr(shell, "Delivery", noted)
    _, tabs = shell.build_page(backstage)
    return tabs[0], made[0]


def brought(steps) -> dict:
    """Everything the steps set, the last word of each component."""
    return {widget: value for step in steps for widget, value in step.items()}


def keep_lion(backstage, desk):
    """A result made of a photo that the gallery keeps."""
    gallery = backstage.gallery(desk)
    photo = Photo(np.full((96, 96, 3), 90, np.uint8), HASH, "ada.png")
    gallery.keep_source(photo)
    inputs = [{"sha256": HASH, "name": "ada.png", "eyes": ((30.0, 40.0), (60.0, 40.0))}]
    card = backstage.registry.card("cyclegan-lion-64")
    recipe = Recipe(
        tab="character", verb="translate", parameters={"animals": ["lion"], "strength": 0.5, "paste": False},
        checkpoints={card.id: card.sha256}, inputs=inputs,
    )  # fmt: skip
    return gallery.add(np.full((64, 64, 3), 7, np.uint8), recipe, name="Ada as a lion"), recipe


def test_a_recipe_is_found_in_json_links_and_addresses():
    recipe = Recipe(tab="character", verb="translate")
    link = recipe.to_link()
    for text in (recipe.to_json(), f"  {recipe.to_json()}\n", link, f"https://studio.example/?r={link}", f"http://h:1/?a=b&r={link}"):
        assert recipe_of(text) == recipe


@pytest.mark.parametrize("text", [None, 7, "", "hello", "https://[bad", "/etc/passwd", "{", "[]", "?r=", {"r": 1}])
def test_anything_else_is_refused_in_one_sentence(text):
    with pytest.raises(RecipeError) as caught:
        recipe_of(text)
    assert str(caught.value).count(".") == 1


def test_networks_that_are_not_here_or_others_are_named(backstage):
    card = backstage.registry.card("cyclegan-lion-64")
    recipe = Recipe(tab="character", verb="translate", checkpoints={card.id: card.sha256})
    assert missing_networks(backstage, recipe) == ""
    assert "another version" in missing_networks(backstage, recipe.model_copy(update={"checkpoints": {card.id: HASH}}))
    assert "does not know" in missing_networks(backstage, recipe.model_copy(update={"checkpoints": {"cyclegan-owl-64": HASH}}))


def test_a_network_that_is_gone_and_on_no_hub_says_what_to_do(tmp_path):
    store = stand_in_store(tmp_path, ("lion",))
    card = store.registry.card("cyclegan-lion-64")
    (tmp_path / card.file).unlink()
    backstage = Backstage(lambda: Engine("cpu", store=store), Workspaces(tmp_path / "data"), store.registry)
    backstage.start()
    recipe = Recipe(tab="character", verb="translate", checkpoints={card.id: card.sha256})
    assert f"git checkout -- pretrained/{card.file}" in missing_networks(backstage, recipe)
    assert pullable(backstage, recipe) == [] == pullable(backstage, None)
    backstage.close()


def test_made_again_everything_is_as_it_was(page, backstage):
    tab, delivery = page
    desk = Desk()
    item, recipe = keep_lion(backstage, desk)
    set_to = brought(delivery._again(desk, event(id=item.id)))
    source, _, animals, strength, paste, *_ = (set_to[output] for output in tab.outputs)
    assert (animals, strength, paste) == (["lion"], 0.5, False) and "press Make" in source["note"]["text"]
    assert [slot.sha256 for slot in desk.slots] == [HASH] and desk.slots[0].choice == recipe.inputs[0].eyes
    assert set_to[delivery._courier]["tab"] == "character"


def test_a_recipe_of_somebody_elses_photo_brings_no_photo(page, backstage):
    tab, delivery = page
    owner, stranger = Desk(), Desk()
    _, recipe = keep_lion(backstage, owner)
    set_to = brought(delivery._paste(stranger, event(text=recipe.to_json())))
    assert stranger.slots == [] and "Drop ada.png here" in set_to[tab.outputs[0]]["note"]["text"]
    photo = Photo(np.full((96, 96, 3), 90, np.uint8), HASH, "ada.png")
    stranger.slots = [Slot.of(lambda: photo)]  # and when it is dropped, it takes the eyes of the recipe
    assert "press Make" in tab._photos.expected_words(stranger, recipe)["text"]
    assert stranger.slots[0].choice == recipe.inputs[0].eyes


def test_a_sent_result_is_the_photo_and_the_parent_of_what_comes_of_it(page, backstage):
    tab, delivery = page
    desk = Desk()
    item, _ = keep_lion(backstage, desk)
    brought(delivery._send(desk, event(id=item.id, tab="character", kind="photo")))
    assert [slot.origin for slot in desk.slots] == [item.id]
    list(tab._make(desk, ["lion"], 1.0, False))
    gallery = backstage.gallery(desk)
    child = gallery.list()[0]
    assert child.parents == (item.id,) and gallery.recipe(child.id).parents == (item.id,)
    desk.slots = []
    brought(delivery._again(desk, event(id=child.id)))
    assert [slot.origin for slot in desk.slots] == [item.id]


def test_a_parent_must_be_the_picture_that_the_recipe_names(backstage):
    desk = Desk()
    item, recipe = keep_lion(backstage, desk)
    for parents in ((item.id,), ("0" * 20,), ("passwd",)):
        assert origin_of(backstage.gallery(desk), recipe.model_copy(update={"parents": parents}), HASH) == ""


@pytest.mark.parametrize("value", [None, 7, "x", [], {"a": 1}, "0" * 20])
def test_forged_events_bring_a_sentence_or_nothing(page, backstage, value):
    _, delivery = page
    desk = Desk()
    for handler in (delivery._again, delivery._paste, delivery._send):
        set_to = brought(handler(desk, event(id=value, text=value, tab=value, kind=value)))
        assert not set_to or set_to[delivery._courier]["note"]["error"]
    assert brought(delivery._send(desk, event(id=value, tab="character", kind="photo")))[delivery._courier]["note"]["error"]
    assert delivery._details(desk, event(id=value))[1]["note"]["error"]
    assert desk.slots == []


@pytest.mark.parametrize("arrival", [None, "", "[]", "{", '{"token": 3, "link": []}', '{"token": "../../x"}'])
def test_whatever_a_browser_brings_along_the_page_opens(page, backstage, arrival):
    tab, delivery = page
    desk = Desk()
    set_to = delivery._open_gallery(desk, arrival) | brought(delivery._open_tabs(desk))
    assert set_to[delivery._strip]["kept"] == 0 and len(desk.token) == 43
    assert not set_to[tab.outputs[1]]["busy"]


def test_a_recipe_of_another_tab_says_so(page):
    _, delivery = page
    recipe = Recipe(tab="domains", verb="translate")
    assert "tab domains" in brought(delivery._paste(Desk(), event(text=recipe.to_json())))[delivery._courier]["note"]["text"]


def test_every_kind_that_a_tab_takes_has_its_words():
    kinds = {kind for verb in ("translate", "dream", "stages") for kind in CharacterTab.gives(Recipe(tab="character", verb=verb))}
    assert all(CharacterTab.takes.values()) and kinds | {*CharacterTab.takes} <= {"photo", "code", "mask", "style"}


# -- a network that is not here -----------------------------------------------------------------------------------------


@pytest.fixture
def lacking(backstage, monkeypatch):
    """The lion's card, on a hub and not here, and what is asked of the hub; ``pull`` brings the file or does as told."""
    store = backstage.engine().store
    card = backstage.registry.card("cyclegan-lion-64")
    content, asked = (store.embedded_dir / card.file).read_bytes(), []

    def pull(wanted, progress):
        asked.append(wanted.id)
        progress(wanted.size // 2, wanted.size)
        (store.embedded_dir / wanted.file).write_bytes(content)

    monkeypatch.setattr(store, "pull", pull)
    backstage.registry.add(replace(card, hub=HUB))
    (store.embedded_dir / card.file).unlink()
    yield backstage.registry.card(card.id), asked
    (store.embedded_dir / card.file).write_bytes(content)
    backstage.registry.add(card)


def offered(tab, set_to) -> tuple[bool, str, str]:
    """Is the offer to be seen, what does it say, and what stands on its button?"""
    box, words, pull, _ = (set_to[output] for output in tab.offer.outputs)
    return box.visible, words, pull.value


def recipe_naming(card, sha256=None) -> Recipe:
    settings = {"animals": ["lion"], "strength": 0.5}
    return Recipe(tab="character", verb="translate", parameters=settings, checkpoints={card.id: sha256 or card.sha256})


def test_a_network_that_is_not_here_is_offered_pulled_and_the_recipe_restored(page, lacking):
    tab, delivery = page
    (card, asked), desk = lacking, Desk()
    shown, words, button = offered(tab, brought(delivery._paste(desk, event(text=recipe_naming(card).to_json()))))
    assert shown and card.id in words and button == f"Pull {card.id} (0.1 MB)" and not asked
    desk.slots = []
    set_to = brought(delivery._pull(tab.offer, desk))
    assert asked == [card.id] and not offered(tab, set_to)[0]
    assert set_to[tab.outputs[3]] == 0.5 and "restored" in set_to[tab.outputs[0]]["note"]["text"]
    assert set_to[delivery._courier]["tab"] == "character"


def test_another_version_is_named_after_the_pull(page, lacking):
    tab, delivery = page
    desk = Desk()
    brought(delivery._paste(desk, event(text=recipe_naming(lacking[0], HASH).to_json())))
    set_to = brought(delivery._pull(tab.offer, desk))
    assert "another version" in set_to[tab.outputs[0]]["note"]["text"] and not offered(tab, set_to)[0]


def test_a_pull_that_fails_says_why_and_can_be_tried_again(page, lacking, monkeypatch, backstage):
    tab, delivery = page
    desk = Desk()
    brought(delivery._paste(desk, event(text=recipe_naming(lacking[0]).to_json())))

    def fail(card, progress):
        raise CheckpointError("The network <b>is</b> down: try again.")

    with monkeypatch.context() as broken:
        broken.setattr(backstage.engine().store, "pull", fail)
        set_to = brought(delivery._pull(tab.offer, desk))
    shown, words, button = offered(tab, set_to)
    assert shown and "&lt;b&gt;is&lt;/b&gt; down" in words and "error" in words and button.startswith("Pull")
    assert tab.outputs[3] not in set_to  # the settings stay restored
    assert not offered(tab, brought(delivery._pull(tab.offer, desk)))[0]


def test_a_stopped_pull_leaves_everything_as_it_was(page, lacking):
    tab, delivery = page
    desk = Desk()
    brought(delivery._paste(desk, event(text=recipe_naming(lacking[0]).to_json())))
    steps = delivery._pull(tab.offer, desk)
    next(steps)
    _stop_pull(desk)
    set_to = brought(steps)
    assert "Stopped" in offered(tab, set_to)[1] and tab.outputs[3] not in set_to


def test_what_was_restored_meanwhile_stays(page, lacking):
    tab, delivery = page
    desk = Desk()
    brought(delivery._paste(desk, event(text=recipe_naming(lacking[0]).to_json())))
    steps = delivery._pull(tab.offer, desk)
    next(steps)
    brought(delivery._paste(desk, event(text=Recipe(tab="character", verb="translate").to_json())))
    assert tab.outputs[3] not in brought(steps)


@pytest.mark.parametrize("name", ["cyclegan-evil-64", "lion.safetensors", "hub.example", "cyclegan-lion-64.."])
def test_a_name_that_is_no_card_of_ours_is_never_pulled(page, lacking, name):
    tab, delivery = page
    desk = Desk()
    recipe = Recipe(tab="character", verb="translate", checkpoints={name: HASH})
    set_to = brought(delivery._paste(desk, event(text=recipe.to_json())))
    assert not offered(tab, set_to)[0] and "does not know" in set_to[tab.outputs[0]]["note"]["text"]
    brought(delivery._pull(tab.offer, desk))
    assert lacking[1] == []


@pytest.mark.parametrize(
    "more",
    [
        {"checkpoints": {"https://evil.example/lion": HASH}},
        {"checkpoints": {"owner/lion": HASH}},
        {"checkpoints": {"../../etc/passwd": HASH}},
        {"checkpoints": {"C:\\\\lion": HASH}},
        {"checkpoints": {"cyclegan-lion-64": {"repo_id": "evil/lion", "revision": "main", "filename": "x"}}},
        {"checkpoints": {"cyclegan-lion-64": "https://evil.example/x"}},
        {"hub": {"repo_id": "evil/lion", "revision": "0" * 40, "filename": "x"}},
    ],
    ids=range(7),
)
def test_a_recipe_cannot_say_where_to_pull_from(page, lacking, more):
    tab, delivery = page
    desk = Desk()
    text = json.dumps({**json.loads(recipe_naming(lacking[0]).to_json()), **more})
    assert brought(delivery._paste(desk, event(text=text)))[delivery._courier]["note"]["error"]
    brought(delivery._pull(tab.offer, desk))
    assert desk.wanted is None and lacking[1] == []


def test_a_picture_that_another_tab_made_is_routed_to_it(page, tmp_path):
    tab, delivery = page
    desk, path = Desk(), tmp_path / "walk.png"
    path.write_bytes(to_png(np.zeros((8, 8, 3), np.uint8), Recipe(tab="manifold", verb="traverse", parameters={"frames": 7})))
    list(tab._add_photos(desk, [str(path)]))
    set_to = brought(delivery._route(desk))
    assert set_to[delivery._courier]["tab"] == "manifold" and 7 in set_to.values() and desk.routed is None
    assert brought(delivery._route(desk)) == {delivery._desk: desk}
