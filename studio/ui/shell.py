"""The page around the tabs: header, panes, inspector, gallery strip. A new tab is one line in ``TABS``."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import gradio as gr
import numpy as np

from studio.core.gallery import Gallery
from studio.core.images import Photo
from studio.core.recipe import Recipe
from studio.ui.delivery import Delivery, Offer, Parcel
from studio.ui.parts import QUIET, asset, drawn
from studio.ui.session import Backstage, Desk
from studio.ui.strip import Strip
from studio.ui.tabs.character import CharacterTab
from studio.ui.tabs.domains import DomainsTab
from studio.ui.tabs.makeup import MakeupTab
from studio.ui.tabs.manifold import ManifoldTab
from studio.ui.tabs.morph import MorphTab

TABS = (CharacterTab, ManifoldTab, MorphTab, MakeupTab, DomainsTab)

STATUS_SECONDS = 5.0
CACHE_SWEEP_SECONDS, CACHE_LIFE_SECONDS = 3600, 86_400
SESSION_SECONDS = 6 * 3600

_FONT = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "Noto Sans", "sans-serif"]
_MONO = ["ui-monospace", "SF Mono", "Cascadia Mono", "DejaVu Sans Mono", "monospace"]


@dataclass(frozen=True)
class Shell:
    """What the page offers to every tab: the visitor's desk, the gallery strip, and the courier that brings downloads."""

    desk: gr.State
    strip: gr.HTML
    courier: gr.HTML


class Tab(Protocol):
    """A tab: ``id`` and ``title`` for the header.

    ``takes`` maps the kinds of things it can be sent ("photo" of a person, "picture" of none, "code", "mask", "style" of a
    made-up face, "z") to what the button says. ``outputs`` are what ``open``, ``restore`` and ``take`` set, in their order.
    ``offer``, built where the tab restores, offers to pull the networks of ``desk.wanted``, which ``restore`` sets to its recipe.
    ``added`` is the event of files that arrived: after it ``desk.routed`` goes to its own tab.
    """

    id: str
    title: str
    takes: Mapping[str, str]
    outputs: Sequence[gr.components.Component]
    offer: Offer
    added: gr.events.Dependency

    def __init__(self, backstage: Backstage): ...

    def build(self, shell: Shell) -> None:
        """Lays the tab out inside its pane and connects it."""

    def warm_up(self, engine: Any) -> None:
        """Called once the engine stands."""

    def open(self, desk: Desk) -> Iterator[tuple[Any, ...]]:
        """What a visitor sees first."""

    def restore(self, desk: Desk, recipe: Recipe) -> Iterator[tuple[Any, ...]]:
        """Sets everything as the recipe says."""

    def take(self, desk: Desk, sent: Parcel) -> Iterator[tuple[Any, ...]]:
        """Uses a kept result. Raises ``ValueError`` with one sentence if it cannot."""

    def gives(self, recipe: Recipe) -> Sequence[str]:
        """The kinds of things that a result of this recipe can be sent as."""

    def describe(self, recipe: Recipe) -> list[list[str]]:
        """The recipe's settings in words: [name, value] each."""

    def find_photo(self, gallery: Gallery, sha256: str) -> Photo | None:
        """An input of one of its recipes, if it is here."""

    def before(self, recipe: Recipe, photo: Photo) -> np.ndarray:
        """The photo as a result is compared with it, uint8 (H, W, 3)."""


class Page(gr.Blocks):
    """Blocks whose handlers' yields reach the browser one by one, each with its values whole.

    Gradio sends what differs from the yield before, and its browser side works that into the very objects that wait to be drawn:
    on a busy machine, where a second yield comes before the first is drawn, what only the first one set was never seen.
    """

    def handle_streaming_diffs(
        self,
        block_fn: Any,
        data: list[Any],
        session_hash: str | None,
        run: str | None,
        final: bool,
        simple_format: bool = False,
    ) -> list[Any]:
        """``data``, a value per output, as it is sent: of a yield after the first, the values that are not what they were."""
        before = list(self.pending_diff_streams.get(session_hash, {}).get(run, ()))
        whole = super().handle_streaming_diffs(block_fn, data, session_hash, run, final, simple_format=True)
        if simple_format or final or not before:
            return whole
        return [[] if old == new else [["replace", [], new]] for old, new in zip(before, whole, strict=True)]


def build_page(backstage: Backstage, shared: str = "on this machine") -> tuple[gr.Blocks, list[Tab]]:
    """The whole page and its tabs; ``shared`` says in the header who can reach it."""
    tabs: list[Tab] = [tab(backstage) for tab in TABS if tab is not DomainsTab or tab.is_here(backstage.registry)]
    sweep = (CACHE_SWEEP_SECONDS, CACHE_LIFE_SECONDS)
    with Page(title="Imaginarium", analytics_enabled=False, fill_width=True, delete_cache=sweep) as page:
        desk = gr.State(Desk(), time_to_live=SESSION_SECONDS)  # each session gets a copy
        with gr.Column(elem_id="studio"):
            with gr.Row(elem_id="header"):
                gr.HTML(_brand(tabs), apply_default_css=False, elem_id="brand")
                status = gr.HTML(_status(backstage, shared), apply_default_css=False, elem_id="status")
            with gr.Row(elem_id="body"):
                with gr.Column(elem_id="panes"):
                    panes = _panes(tabs)
                with gr.Column(elem_id="inspector"):
                    gr.HTML(_INSPECTOR, apply_default_css=False)
            courier = drawn("courier", "courier")
            strip = Strip(backstage).build(desk, courier)
            facts = drawn("facts", "facts")
        shell = Shell(desk, strip, courier)
        for tab, pane in zip(tabs, panes, strict=True):
            with pane:
                tab.build(shell)
        opened = Delivery(backstage, tabs).connect(page, desk, strip, courier, facts)
        for event in (opened.then, gr.Timer(STATUS_SECONDS).tick):
            event(lambda: _status(backstage, shared), None, status, **QUIET)
    return page, tabs


def look() -> dict[str, Any]:
    """Theme, style and script of the page, as ``launch`` takes them; nothing in them is fetched from elsewhere."""
    accent = gr.themes.Color(
        "#fff4ed", "#ffe6d5", "#feccaa", "#fdac74", "#fb8a3c", "#e8590c", "#c2410c", "#a3360c", "#822c12", "#692612", "#3b1208"
    )  # fmt: skip
    theme = gr.themes.Base(primary_hue=accent, neutral_hue="zinc", radius_size="md", font=_FONT, font_mono=_MONO)
    names = ("stream", "studio", "walk", "map", "brush", "morph", "canvas", "makeup", "plane", "domains")
    scripts = "\n".join(asset(f"{name}.js") for name in names)
    return {"theme": theme, "css": asset("studio.css"), "head": f"<script>{scripts}</script>"}


_INSPECTOR = (
    '<button type="button" class="quiet" id="inspector-fold" aria-controls="inspector-body">Inspector</button>'
    '<div id="inspector-body"></div>'
)


def _panes(tabs: list[Tab]) -> list[gr.Row]:
    return [gr.Row(elem_id=f"tab-{tab.id}", elem_classes=["tab-pane", *(["on"] if n == 0 else [])]) for n, tab in enumerate(tabs)]


def _brand(tabs: list[Tab]) -> str:
    names = "".join(
        f'<button type="button" role="tab" data-tab="{tab.id}" aria-selected="{str(n == 0).lower()}">{tab.title}</button>'
        for n, tab in enumerate(tabs)
    )
    return f'{asset("logo.svg")}<h1>Imaginarium</h1><nav role="tablist" aria-label="Tabs">{names}</nav>'


def _status(backstage: Backstage, shared: str) -> str:
    words = [*device_words(backstage), shared]
    spans = "".join(f"<span>{html.escape(word)}</span>" for word in words)
    return f'{spans}<button type="button" class="icon" id="keys-button" title="All keys (?)" aria-label="All keys">?</button>'


def device_words(backstage: Backstage) -> list[str]:
    """The device and what waits for it, in words."""
    if not backstage.ready:
        return ["warming up"]
    try:
        status = backstage.engine().status()
    except RuntimeError:
        return ["networks could not start"]
    waiting = status.waiting
    return [status.device, f"{waiting} waiting" if waiting else "idle"]
