"""Brings recipes and pictures to the tab they belong to: restored, sent, or made again with changes."""

from __future__ import annotations

import contextlib
import hashlib
import html
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import parse_qs, urlsplit

import gradio as gr

from studio.core.checkpoints import CheckpointError, mend
from studio.core.gallery import Gallery, GalleryError
from studio.core.images import Photo, open_photo
from studio.core.recipe import Recipe, RecipeError
from studio.core.registry import Card, UnknownModel
from studio.ui.inspector import details
from studio.ui.parts import QUIET, event_value, listed, note
from studio.ui.session import Backstage, Desk
from studio.ui.strip import parcel, strip_value


@dataclass(frozen=True, eq=False)
class Parcel:
    """A kept result on its way to a tab that takes it as ``kind`` ("photo", "picture", "code", "mask", "style", "z")."""

    kind: str
    photo: Photo
    item_id: str
    recipe: Recipe


class Offer:
    """What a tab says where it restores: which networks of the recipe are not here, and a button that pulls them.

    Made inside the tab's layout. Nothing that comes from the browser says what is pulled: that is ``desk.wanted``, and of it only
    what names a card of the studio's own registry.
    """

    def __init__(self, backstage: Backstage):
        self._backstage = backstage
        with gr.Column(visible=False, elem_classes="pull-offer") as self._box:
            self._words = gr.HTML("", apply_default_css=False)
            with gr.Row(elem_classes="action-row"):
                self.pull = gr.Button("Pull", elem_classes=["quiet-button", "stop-button", "pull-button"])
                self.stop = gr.Button("Stop", elem_classes=["quiet-button", "stop-button", "pull-stop"], visible=False)
        self.outputs = [self._box, self._words, self.pull, self.stop]

    def show(self, desk: Desk, said: str = "", error: bool = False) -> dict[Any, Any]:
        """The offer for what the desk wants, with another sentence if ``said``; hidden if it wants nothing."""
        cards = pullable(self._backstage, desk.wanted)
        names = listed(card.id for card in cards) if cards else ""
        kind = "note error" if error else "note"
        lack = f"Its network {names} is" if len(cards) == 1 else f"Its networks {names} are"
        words = said or f"{lack} not on this machine."
        label = names if len(cards) == 1 else f"{len(cards)} networks"
        return {
            self._box: gr.Column(visible=bool(cards)),
            self._words: f'<p class="{kind}" role="status">{html.escape(words)}</p>',
            self.pull: gr.Button(f"Pull {label} ({_megabytes(sum(card.size for card in cards))} MB)", visible=True),
            self.stop: gr.Button(visible=False),
        }

    def progress(self, done: int, total: int) -> dict[Any, Any]:
        """How far the pull is, in bytes, with the button that stops it."""
        words = f"Pulling: {_megabytes(done)} of {_megabytes(total)} MB"
        bar = f'<progress max="{total}" value="{done}" style="width: 100%; height: 8px; accent-color: var(--accent)"></progress>'
        return {
            self._words: f'<p class="note" role="status">{words}</p>{bar}',
            self.pull: gr.Button(visible=False),
            self.stop: gr.Button(visible=True),
        }


class Delivery:
    """Knows which tab takes what; a tab joins by its ``takes``."""

    def __init__(self, backstage: Backstage, tabs: Sequence[Any]):
        self._backstage = backstage
        self._tabs = {tab.id: tab for tab in tabs}

    def connect(self, page: gr.Blocks, desk: gr.State, strip: gr.HTML, courier: gr.HTML, inspector: gr.HTML) -> Any:
        """Connects what arrives with the page, and what strip and inspector send. Returns the event that opens the strip."""
        arrival = gr.Textbox(visible=False)
        widgets = [output for tab in self._tabs.values() for output in (*tab.outputs, *tab.offer.outputs)]
        self._desk, self._courier, self._strip = desk, courier, strip
        shared: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
        arrive = "(desk, arrival) => [desk, imaginarium.arrival()]"
        opened = page.load(self._open_gallery, [desk, arrival], [desk, strip, courier], js=arrive, **QUIET)
        opened.then(self._open_tabs, [desk], [desk, courier, *widgets], **shared)
        for event, handler in ((strip.deliver, self._send), (strip.again, self._again), (strip.recipe, self._paste)):
            event(handler, [desk], [desk, courier, *widgets], **shared)
        strip.details(self._details, [desk], [desk, inspector], **QUIET)
        for tab in self._tabs.values():
            pull = partial(self._pull, tab.offer)
            tab.offer.pull.click(pull, [desk], [desk, courier, *widgets], **shared)
            tab.offer.stop.click(_stop_pull, [desk], [desk], **QUIET)
            tab.added.then(self._route, [desk], [desk, courier, *widgets], **shared)
        return opened

    # -- what arrives ---------------------------------------------------------------------------------------------------

    def _open_gallery(self, desk: Desk, arrival: str) -> dict[Any, Any]:
        """Opens the visitor's own gallery: at once, whatever the networks are busy with."""
        desk.token, desk.link = _arrived(arrival)
        try:
            return {self._desk: desk, self._strip: strip_value(self._backstage, desk)}
        except GalleryError as error:
            return self._bring(desk, note=note(str(error), True))

    def _open_tabs(self, desk: Desk) -> Iterator[dict[Any, Any]]:
        """Opens the tabs, then what the visitor's link asks for."""
        for tab in self._tabs.values():
            yield from self._labelled(desk, tab, tab.open(desk))
        if desk.link:
            yield from self._restore_text(desk, desk.link)

    def _paste(self, desk: Desk, event: gr.EventData) -> Iterator[dict[Any, Any]]:
        yield from self._restore_text(desk, event_value(event, "text"))

    def _restore_text(self, desk: Desk, text: Any) -> Iterator[dict[Any, Any]]:
        try:
            recipe = recipe_of(text)
        except RecipeError as error:
            yield self._bring(desk, note=note(str(error), True))
        else:
            yield from self._restore(desk, recipe)

    def _route(self, desk: Desk) -> Iterator[dict[Any, Any]]:
        """A picture that was dropped on a tab that did not make it goes to the one that did."""
        recipe, desk.routed = desk.routed, None
        if recipe is None:
            yield {self._desk: desk}
        else:
            yield from self._restore(desk, recipe)

    def _again(self, desk: Desk, event: gr.EventData) -> Iterator[dict[Any, Any]]:
        """Sets everything as it was for a kept result."""
        try:
            recipe = self._backstage.gallery(desk).recipe(event_value(event, "id"))
        except (GalleryError, RecipeError) as error:
            yield self._bring(desk, note=note(str(error), True))
        else:
            yield from self._restore(desk, recipe)

    def _restore(self, desk: Desk, recipe: Recipe) -> Iterator[dict[Any, Any]]:
        tab = self._tabs.get(recipe.tab)
        if tab is None:
            yield self._bring(desk, note=note(no_such_tab(recipe), True))
            return
        yield from self._labelled(desk, tab, tab.restore(desk, recipe))
        yield {**self._bring(desk, tab=tab.id), **tab.offer.show(desk)}

    def _pull(self, offer: Offer, desk: Desk) -> Iterator[dict[Any, Any]]:
        """Brings the networks that the desk's recipe lacks, then restores it as if they had always been there."""
        recipe, desk.pull_stopped = desk.wanted, False
        cards = pullable(self._backstage, recipe)
        try:
            with contextlib.closing(self._backstage.engine().store.bring(cards)) as steps:
                for done, total in steps:
                    if desk.pull_stopped:
                        break
                    yield {self._desk: desk, **offer.progress(done, total)}
        except CheckpointError as error:
            yield {self._desk: desk, **offer.show(desk, str(error), error=True)}
            return
        if desk.pull_stopped or recipe is None or desk.wanted is not recipe:  # another recipe was restored meanwhile
            yield {self._desk: desk, **offer.show(desk, "Stopped: the settings stay as they are." if desk.pull_stopped else "")}
        else:
            yield from self._restore(desk, recipe)

    def _bring(self, desk: Desk, **contents: Any) -> dict[Any, Any]:
        return {self._desk: desk, self._courier: parcel(desk, **contents)}

    def _labelled(self, desk: Desk, tab: Any, steps: Iterator[tuple[Any, ...]]) -> Iterator[dict[Any, Any]]:
        for values in steps:
            yield {self._desk: desk, **dict(zip(tab.outputs, values, strict=True))}

    # -- what is sent ---------------------------------------------------------------------------------------------------

    def _send(self, desk: Desk, event: gr.EventData) -> Iterator[dict[Any, Any]]:
        tab, kind = self._tabs.get(str(event_value(event, "tab"))), str(event_value(event, "kind"))
        if tab is None or kind not in tab.takes:
            return
        try:
            sent = self._parcel(self._backstage.gallery(desk), event_value(event, "id"), kind)
            yield from self._labelled(desk, tab, tab.take(desk, sent))
            yield self._bring(desk, tab=tab.id)
        except ValueError as error:  # GalleryError, PhotoError, RecipeError and what a tab refuses
            yield self._bring(desk, note=note(str(error), True))

    @staticmethod
    def _parcel(gallery: Gallery, item_id: Any, kind: str) -> Parcel:
        item = gallery.get(item_id)
        return Parcel(kind, open_photo(gallery.png(item.id), f"{item.name}.png"), item.id, gallery.recipe(item.id))

    # -- what is looked at ----------------------------------------------------------------------------------------------

    def _details(self, desk: Desk, event: gr.EventData) -> tuple[Desk, dict[str, Any]]:
        item_id = event_value(event, "id")
        try:
            return desk, details(self._backstage.gallery(desk), partial(self._backstage.thumbnail, desk), item_id, self._tabs)
        except (GalleryError, RecipeError) as error:
            return desk, {"id": item_id if isinstance(item_id, str) else "", "note": note(str(error), True)}


def recipe_of(text: Any) -> Recipe:
    """The recipe in what somebody pasted: JSON, a link, or the part of it that holds the recipe. Raises ``RecipeError``."""
    text = text.strip() if isinstance(text, str) else ""
    if text.startswith("{"):
        return Recipe.from_json(text)
    try:
        inside = parse_qs(urlsplit(text).query).get("r", [])
    except ValueError:
        inside = []
    return Recipe.from_link(inside[0] if inside else text)


def no_such_tab(recipe: Recipe) -> str:
    """For a recipe whose tab this studio does not have."""
    return f"This picture was made on the tab {recipe.tab}, which is not in this studio: update it."


def missing_networks(backstage: Backstage, recipe: Recipe) -> str:
    """A sentence about networks of the recipe that no pull brings here or that are others, "" if there are none."""
    engine = backstage.engine()
    for card_id, sha256 in recipe.checkpoints.items():
        try:
            card = engine.registry.card(card_id)
        except UnknownModel:
            return f"It was made by {card_id}, which this studio does not know: update the studio to make it again."
        if not card.hub and not engine.store.has(card):
            return f"Its network {card_id} is not on this machine: {mend(card)}."
        if card.sha256 != sha256:
            return f"It was made by another version of {card_id}, so it will not come out quite the same."
    return ""


def pullable(backstage: Backstage, recipe: Recipe | None) -> list[Card]:
    """The recipe's networks that are not here, or not whole, and that their own cards say where to pull from."""
    if recipe is None:
        return []
    engine = backstage.engine()
    known = {card.id: card for card in engine.registry.list_models()}
    cards = [known[card_id] for card_id in recipe.checkpoints if card_id in known]
    return [card for card in cards if card.hub and not engine.store.has(card)]


def _stop_pull(desk: Desk) -> Desk:
    desk.pull_stopped = True
    return desk


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f}" if size < 10e6 else f"{size / 1e6:.0f}"


def origin_of(gallery: Gallery, recipe: Recipe, sha256: str) -> str:
    """The id of the kept result that an input of the recipe is, or ""; the file itself must prove it."""
    for parent in recipe.parents:
        try:
            if hashlib.sha256(gallery.png(parent)).hexdigest() == sha256:
                return parent
        except GalleryError:
            continue
    return ""


def _arrived(arrival: Any) -> tuple[str, str]:
    """Token and link that the browser brought along; both are a stranger's word."""
    try:
        document = json.loads(arrival)
        token, link = document.get("token"), document.get("link")
    except (TypeError, ValueError, AttributeError):
        return "", ""
    return token if isinstance(token, str) else "", link if isinstance(link, str) else ""
