"""What the browser draws of a neighbourhood, and the way by which a visitor came to it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from studio.core.images import to_png
from studio.core.recipe import Recipe
from studio.ui.parts import capital, pretty, served
from studio.ui.session import Slot, Table

if TYPE_CHECKING:
    from studio.pipelines.neighbourhood import Map, NeighboursRequest, NeighboursResult, Place

# studio.pipelines.neighbourhood is imported inside functions: torch comes with it, and the page must answer before that.

LONGEST = 24  # steps of the way back
INVITATION = "Press Make to look around somewhere."
KINDS = {"here": "here", "neighbour": "neighbour", "sample": "new"}
EMPTY_AROUND: dict[str, Any] = {
    "here": None, "neighbours": [], "samples": [], "done": 0, "total": 0, "message": "", "busy": False, "run": 0,
    "back": False, "forward": False, "sheet": False,
}  # fmt: skip


@dataclass(eq=False)
class Stay:
    """One point of the way: what was asked for, and what is there by kind and number; ``kept`` are ids in the gallery."""

    request: NeighboursRequest
    label: str
    places: dict[tuple[str, int], Place] = field(default_factory=dict)
    files: dict[tuple[str, int], dict[str, Any]] = field(default_factory=dict)
    kept: dict[tuple[str, int], str] = field(default_factory=dict)
    result: NeighboursResult | None = None

    def show(self, place: Place) -> None:
        """A picture that is ready."""
        key = place.kind, place.index
        self.places[key], self.files[key] = place, served(to_png(place.image), f"{self.name(place)}.png")

    def name(self, place: Place) -> str:
        """What a picture is called."""
        number = "" if place.kind == "here" else f" {place.index + 1}"
        return f"{capital(self.request.domain)} at {self.label}, {KINDS[place.kind]}{number}"


@dataclass
class Room(Table):
    """One visitor's way. ``begun`` is what it began at; ``wanted`` is what a restored recipe asks for until it is made.

    Each domain keeps its own photo: ``slots`` are those of ``domain``, ``photos`` those of the others.
    """

    domain: str = "face"
    photos: dict[str, list[Slot]] = field(default_factory=dict)
    trail: list[Stay] = field(default_factory=list)
    at: int = -1
    begun: Any = None
    wanted: NeighboursRequest | None = None
    done: int = 0
    total: int = 0
    message: str = INVITATION
    busy: bool = False
    run: int = 0
    stopped: bool = False

    @property
    def here(self) -> Stay | None:
        """The point that is on the canvas."""
        return self.trail[self.at] if self.trail else None

    def turn(self, domain: str) -> None:
        """Looks at another domain."""
        before, self.domain = self.domain, domain
        if before != domain:
            self.photos[before], self.slots = self.slots, self.photos.get(domain, [])

    def enter(self, stay: Stay) -> None:
        """Goes on from here; what lay ahead after going back is given up, as in every history."""
        self.trail = [*self.trail[: self.at + 1], stay][-LONGEST:]
        self.at = len(self.trail) - 1

    def begin(self) -> int:
        """A new run; whatever still runs ends when it sees that it is not the latest."""
        self.run, self.stopped, self.busy = self.run + 1, False, True
        return self.run

    def settle(self, message: str) -> None:
        """What the canvas says once nothing more comes."""
        self.busy, self.message = False, message


def draw(room: Room, maps: dict[str, Map]) -> dict[str, Any]:
    """The point that is shown; each picture's place on every one of ``maps`` that is ready."""
    stay = room.here
    value = {**EMPTY_AROUND, "message": room.message, "run": room.run, "busy": room.busy, "done": room.done, "total": room.total}
    if stay is None or not stay.places:
        return value
    items = {key: _item(stay, place) for key, place in stay.places.items()}
    codes = np.stack([place.code for place in stay.places.values()])
    for kind, drawn in maps.items():
        for item, (x, y) in zip(items.values(), np.round(drawn.place(codes), 4).tolist(), strict=True):
            item["at"][kind] = [x, y]
    return value | {
        "here": items.get(("here", 0)),
        "neighbours": [item for (kind, _), item in items.items() if kind == "neighbour"],
        "samples": [item for (kind, _), item in items.items() if kind == "sample"],
        "count": stay.request.count,
        "back": room.at > 0,
        "forward": room.at < len(room.trail) - 1,
        "sheet": stay.result is not None,
        "study": stay.result and stay.result.study,
        "recipe": stay.result and pretty(stay.result.recipe),
        "domain": stay.request.domain,
        "label": f"{capital(stay.request.domain)} at {stay.label}",
        "novelty": _novelty(stay),
    }


def _item(stay: Stay, place: Place) -> dict[str, Any]:
    from studio.pipelines.neighbourhood import near_words

    key = place.kind, place.index
    words = f"{near_words(place)}, {place.distance:.2f} spacings from the nearest code"
    named = f"{words} ({place.label})" if place.label else words
    return {
        "kind": place.kind,
        "index": place.index,
        "src": stay.files[key],
        "title": stay.name(place),
        "words": named,
        "kept": key in stay.kept,
        "at": {},
    }


def _novelty(stay: Stay) -> list[dict[str, Any]]:
    """How new the new ones are, all in all."""
    from studio.pipelines.neighbourhood import near_words

    samples = [place for place in stay.places.values() if place.kind == "sample"]
    counts = {words: sum(near_words(place) == words for place in samples) for words in map(near_words, samples)}
    far = [place.distance for place in samples]
    figure = f"on average {np.mean(far):.2f} spacings of the bank from its nearest code" if far else ""
    lines = [f"{count} of {len(samples)} {words}" for words, count in sorted(counts.items(), key=lambda pair: -pair[1])]
    return [{"text": text, "figure": figure if number == 0 else "", "good": True} for number, text in enumerate(lines)]


def dots_value(domain: str, drawn: Map) -> dict[str, Any]:
    """A map of a domain for the browser."""
    return {"domain": domain, "kind": drawn.kind, "pending": False, "dots": np.round(drawn.dots, 4).ravel().tolist()}


def remarks(place: Place, study: str | None) -> dict[str, Any]:
    """What is said of a kept picture beyond its recipe."""
    from studio.pipelines.neighbourhood import near_words

    figure = f"{place.distance:.2f} spacings from the nearest code"
    return {"words": [{"text": near_words(place), "figure": figure, "good": True}], "study": study, "animal": KINDS[place.kind]}


def describe(recipe: Recipe) -> list[list[str]]:
    """A neighbourhood's settings for people; nothing if they are damaged."""
    from studio.pipelines.neighbourhood import WAYS, request_from_recipe

    try:
        request = request_from_recipe(recipe)
    except ValueError:
        return []
    shows, index = recipe.parameters.get("shows"), recipe.parameters.get("index")
    number = f" {index + 1}" if isinstance(index, int) and shows != "here" else ""
    dials = [["Mixed", str(request.k)], ["Spread", f"{request.spread:.2f}"]]
    if request.way == "density":
        dials = [["Imagination", f"{request.bandwidth:.2f}"]]
    return [
        *([["Shows", f"{KINDS[shows]}{number}"]] if shows in tuple(KINDS) else []),
        ["Of", capital(request.domain)],
        ["New ones", WAYS[request.way]],
        *dials,
        ["Seed", str(request.seed)],
    ]
