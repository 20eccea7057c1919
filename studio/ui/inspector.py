"""What the inspector says about a kept result: its facts, its recipe, where it comes from and where it can go."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from studio.core.gallery import Gallery, GalleryError, Item
from studio.core.images import Photo
from studio.core.recipe import Recipe, RecipeError, RecipeInput
from studio.ui.parts import preview, served

BEFORE_SIDE, THUMB_SIDE = 960, 128  # px, longest side
REMARKS = ("words", "study", "animal")  # of what was said when it was made: the judges' words, why it is weak, what it shows
DESCENDANTS = 12  # pictures made from it that are shown

# The small picture of an item of the gallery, as the page takes files.
Thumbnail = Callable[[str], dict[str, Any]]


def details(gallery: Gallery, thumbnail: Thumbnail, item_id: Any, tabs: Mapping[str, Any]) -> dict[str, Any]:
    """Everything about one item, for the page. Raises ``GalleryError`` or ``RecipeError``."""
    item, recipe = gallery.get(item_id), gallery.recipe(item_id)
    tab = tabs.get(item.tab)
    remarks = gallery.remarks(item.id)
    return {
        **{name: remarks[name] for name in REMARKS if name in remarks},
        "id": item.id,
        "title": item.name,
        "file": served(gallery.png(item.id), f"{item.name}.png"),
        "before": _before(gallery, recipe, tab),
        "facts": [*_networks(recipe), *_steps(tab, recipe), *_size(item)],
        "recipe": json.dumps(json.loads(recipe.to_json()), indent=1, ensure_ascii=False),
        "link": _link(recipe),
        "tags": item.tags,
        "trashed": item.trashed is not None,
        "again": tab is not None,
        "targets": _targets(tabs, tab, recipe),
        "lineage": _lineage(gallery, thumbnail, item, tabs),
        "made": [_result(gallery, thumbnail, other, tabs) for other in gallery.descendants(item.id)[:DESCENDANTS]],
    }


def _networks(recipe: Recipe) -> list[list[str]]:
    return [["Network", ", ".join(recipe.checkpoints)]] if recipe.checkpoints else []


def _steps(tab: Any, recipe: Recipe) -> list[list[str]]:
    return tab.describe(recipe) if tab else []


def _size(item: Item) -> list[list[str]]:
    return [["Size", f"{item.width} by {item.height} px"]]


def _link(recipe: Recipe) -> str:
    try:
        return recipe.to_link()
    except RecipeError:
        return ""  # too long for an address; the page then offers the file only


def _targets(tabs: Mapping[str, Any], tab: Any, recipe: Recipe) -> list[dict[str, str]]:
    gives = tab.gives(recipe) if tab else ()
    return [
        {"tab": other.id, "kind": kind, "label": f"{label} in {other.title}"}
        for other in tabs.values()
        for kind, label in other.takes.items()
        if kind in gives
    ]


def _before(gallery: Gallery, recipe: Recipe, tab: Any) -> dict[str, Any] | None:
    """What the result is compared with: its photo, if there is one and it is kept."""
    if tab is None or len(recipe.inputs) != 1:
        return None
    photo = tab.find_photo(gallery, recipe.inputs[0].sha256)
    return served(preview(tab.before(recipe, photo), BEFORE_SIDE), "before.jpg") if photo else None


def _lineage(gallery: Gallery, thumbnail: Thumbnail, item: Item, tabs: Mapping[str, Any]) -> list[dict[str, Any]]:
    """From the first photo to the item itself, oldest step first."""
    chain = [*reversed(gallery.ancestors(item.id)), item]
    results = {hashlib.sha256(gallery.png(step.id)).hexdigest() for step in chain}
    found: dict[str, dict[str, Any]] = {}
    for step in chain:
        for source in _inputs(gallery, step):
            if source.sha256 not in results and source.sha256 not in found:
                found[source.sha256] = _source_step(gallery, source, tabs.get(step.tab))
        found[step.id] = _result(gallery, thumbnail, step, tabs)
    return list(found.values())


def _inputs(gallery: Gallery, item: Item) -> tuple[RecipeInput, ...]:
    try:
        return gallery.recipe(item.id).inputs
    except RecipeError:  # a newer studio made it
        return ()


def _source_step(gallery: Gallery, source: RecipeInput, tab: Any) -> dict[str, Any]:
    photo: Photo | None = tab.find_photo(gallery, source.sha256) if tab else None
    words = "photo" if photo else "photo, not kept here"
    return {"kind": "photo", "title": source.name or "A photo", "words": words, "src": photo and _small(photo.rgb)}


def _small(rgb: np.ndarray) -> dict[str, Any]:
    return served(preview(rgb, THUMB_SIDE), "photo.jpg")


def _result(gallery: Gallery, thumbnail: Thumbnail, item: Item, tabs: Mapping[str, Any]) -> dict[str, Any]:
    try:
        recipe = gallery.recipe(item.id)
        tab = tabs.get(item.tab)
        words = ", ".join([*(f"{name.lower()} {text}" for name, text in _steps(tab, recipe)), *recipe.checkpoints])
    except (RecipeError, GalleryError) as error:
        words = str(error)
    return {"kind": "result", "id": item.id, "title": item.name, "words": words, "src": thumbnail(item.id)}
