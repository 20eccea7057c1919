"""What the page is told about one kept result."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from studio.core.gallery import Gallery, GalleryError
from studio.core.images import Photo
from studio.core.recipe import Recipe
from studio.ui.inspector import details
from studio.ui.tabs.character import CharacterTab

HASH = "0123456789abcdef" * 4
TABS = {"character": CharacterTab(None)}


def small(item_id: str) -> dict[str, str]:
    return {"url": f"thumbnails/{item_id}"}


@pytest.fixture
def gallery(tmp_path):
    gallery = Gallery(tmp_path / "gallery")
    yield gallery
    gallery.close()


def a_recipe(sha256: str, name: str, tab: str = "character", **more) -> Recipe:
    inputs = [{"sha256": sha256, "name": name, "eyes": ((10.0, 10.0), (20.0, 10.0))}]
    settings = {"animals": ["lion"], "strength": 0.5}
    return Recipe(tab=tab, verb="translate", parameters=settings, checkpoints={"cyclegan-lion-64": HASH}, inputs=inputs, **more)


def keep(gallery, recipe, name, parents=()):
    return gallery.add(np.full((32, 32, 3), len(name), np.uint8), recipe, parents, name)


def test_facts_recipe_link_and_targets(gallery):
    recipe = a_recipe(HASH, "ada.png")
    told = details(gallery, small, keep(gallery, recipe, "Ada").id, TABS)
    assert told["facts"] == [["Network", "cyclegan-lion-64"], ["How far", "0.50"], ["Size", "32 by 32 px"]]
    assert Recipe.from_link(told["link"]) == Recipe.from_json(told["recipe"]) == recipe
    assert told["targets"] == [{"tab": "character", "kind": "photo", "label": "Use as photo in Character"}]


def test_the_way_from_the_photo_through_every_step(gallery):
    gallery.keep_source(Photo(np.zeros((40, 40, 3), np.uint8), HASH, "ada.png"))
    first = keep(gallery, a_recipe(HASH, "ada.png"), "First")
    sent = hashlib.sha256(gallery.png(first.id)).hexdigest()
    second = keep(gallery, a_recipe(sent, "First.png", parents=(first.id,)), "Second", (first.id,))
    told = details(gallery, small, second.id, TABS)
    steps = [(step["kind"], step["title"]) for step in told["lineage"]]
    assert steps == [("photo", "ada.png"), ("result", "First"), ("result", "Second")]
    assert "cyclegan-lion-64" in told["lineage"][1]["words"] and told["lineage"][0]["src"] and told["made"] == []
    assert [step["id"] for step in details(gallery, small, first.id, TABS)["made"]] == [second.id]


def test_a_photo_that_is_not_kept_is_named_without_a_picture(gallery):
    told = details(gallery, small, keep(gallery, a_recipe(HASH, "ada.png"), "Ada").id, TABS)
    assert told["lineage"][0] == {"kind": "photo", "title": "ada.png", "words": "photo, not kept here", "src": None}
    assert told["before"] is None


def test_a_result_of_a_tab_that_is_not_here_can_be_looked_at_only(gallery):
    told = details(gallery, small, keep(gallery, a_recipe(HASH, "ada.png", tab="morph"), "Morph").id, TABS)
    assert told["targets"] == [] and not told["again"] and told["facts"]


@pytest.mark.parametrize("item_id", [None, 7, "../x", "0" * 20])
def test_nothing_is_told_about_what_is_not_there(gallery, item_id):
    with pytest.raises(GalleryError):
        details(gallery, small, item_id, TABS)


def test_what_was_said_when_it_was_made_is_told_again(gallery):
    words = [{"text": "a face is still found", "figure": "", "good": True}]
    recipe = a_recipe(HASH, "ada.png")
    said = {"words": words, "study": "It is small.", "animal": "lion", "id": "forged"}
    item = gallery.add(np.zeros((32, 32, 3), np.uint8), recipe, remarks=said)
    told = details(gallery, small, item.id, TABS)
    assert (told["words"], told["study"], told["animal"], told["id"]) == (words, "It is small.", "lion", item.id)
    assert "words" not in details(gallery, small, keep(gallery, recipe, "Ada").id, TABS)
