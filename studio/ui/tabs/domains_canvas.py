"""What the browser draws of photos that are taken to other domains, and what a visitor's rows, columns and settings are."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from studio.core.recipe import Recipe
from studio.ui.parts import capital, pretty, served
from studio.ui.session import EMPTY_RUN, Desk, Run, Slot, Table
from studio.ui.shelf import Liked, name_of
from studio.ui.source import PEOPLE, eyes_of
from studio.ui.tabs.makeup_canvas import KEPT_TITLES, READINGS, figures_of
from studio.ui.tabs.morph_canvas import shown, told

if TYPE_CHECKING:
    from studio.core.engine import Engine
    from studio.core.gallery import Item
    from studio.pipelines.domains import Cell, Found
    from studio.pipelines.domains_labels import DomainsInfo, Target
    from studio.pipelines.domains_request import DomainsRequest
    from studio.pipelines.domains_verdict import Verdict
    from studio.pipelines.looks import Style

# The studio's pipelines are imported inside functions: torch comes with them, and the page must answer before that.

FACES = "attributes"  # the domains that are of a face; all others take the whole picture
LESSONS = {
    FACES: "Choose a sample or drop a photo of a person. Each row is one thing that the face shall show, each column a style.",
    "art": "Drop a picture of your own: a street, a pet, a table. Each row is somebody who paints it, each column another mood.",
    "cars": "Drop your own photo of a car that fills the picture. Each row is a colour it comes in, each column another paint.",
}
SUBJECTS = {FACES: PEOPLE, "art": "anything to paint", "cars": "cars"}
QUESTIONS = {FACES: "What it shall show", "art": "Painted by", "cars": "Its colour"}
LOCKED = {"skin": "The colour of the skin", "makeup": "Whether the face is made up"}
NOTHING_HERE = "There is no network for this here yet: bring it with `python -m studio pull`, then start the studio again."
AGAIN = "Press Make to make it again."
LONGEST_SENT = 4000  # characters
MOST_WORN = 6  # styles of the shelf that are columns at once


@dataclass(frozen=True)
class Settings:
    """What the canvas's own controls say: ``targets`` are labels and whether each shall be there, ``worn`` the styles of the
    shelf that are columns, by their keys there."""

    targets: tuple[tuple[str, bool], ...] = ()
    together: bool = False
    strength: float = 1.0
    attention: bool = False
    locks: tuple[str, ...] = ()
    worn: tuple[str, ...] = ()

    @classmethod
    def read(cls, sent: Any, labels: Sequence[str], locks: Sequence[str]) -> Settings:
        """What the browser says, a stranger's word: of numbers and names only those that there are."""
        try:
            said = json.loads(sent[:LONGEST_SENT]) if isinstance(sent, str) else {}
        except ValueError:
            said = {}
        said = said if isinstance(said, dict) else {}
        strength = said.get("strength")
        sound = type(strength) in (int, float) and 0 <= strength <= 1
        pairs = [pair for pair in _listed(said, "targets") if isinstance(pair, list) and len(pair) == 2]
        asked = {label: on for label, on in pairs if isinstance(label, str) and isinstance(on, bool)}
        return cls(
            tuple((label, asked[label]) for label in labels if label in asked),
            said.get("together") is True,
            float(strength) if sound else 1.0,
            said.get("attention") is True,
            tuple(name for name in locks if name in _listed(said, "locks")),
            tuple(key for key in _listed(said, "worn") if isinstance(key, str))[:MOST_WORN],
        )

    @property
    def rows(self) -> tuple[Target, ...]:
        """The targets as they are asked for."""
        return (self.targets,) if self.together and self.targets else tuple((pair,) for pair in self.targets)

    @property
    def laid(self) -> str:
        """What decides how a change is laid on, as the browser names it."""
        strength = int(self.strength) if self.strength == int(self.strength) else self.strength
        return json.dumps([strength, self.attention], separators=(",", ":"))


def _listed(said: Mapping[str, Any], name: str) -> list[Any]:
    value = said.get(name)
    return value if isinstance(value, list) else []


@dataclass
class Translating(Run):
    """One visitor's photos and what they become.

    ``what`` are the domains, ``labels`` what can be asked for. ``found`` is, by a photo's id, what the networks know of it,
    beside what decided that; ``rows`` are photo and target by their keys, ``codes`` the styles by their columns' keys, ``liked``
    those on the shelf. ``deals`` counts how often rows or columns were others, so that no answer is taken for that to another
    question. ``given`` is a restored request, whose rows and styles are there until others are asked for; ``waits`` is a recipe
    whose photo is not here yet, ``chosen`` the cell that is large first, ``making`` what Make was asked for last. ``example`` is
    the photo of the first visit and what it was asked for, until something else is.
    """

    what: str = ""
    found: dict[str, tuple[Any, Found]] = field(default_factory=dict)
    rows: dict[str, tuple[str, Target]] = field(default_factory=dict)
    codes: dict[str, Style] = field(default_factory=dict)
    liked: Liked = field(default_factory=Liked)
    deals: int = 0
    given: DomainsRequest | None = None
    waits: Recipe | None = None
    chosen: str = ""
    making: Any = None
    example: tuple[str, Settings] | None = None
    labels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.value = self._empty()

    def _empty(self) -> dict[str, Any]:
        return {
            **EMPTY_RUN, "ready": "", "question": "", "chips": [], "either": [], "locks": [], "photos": [], "rows": [],
            "columns": [], "cells": {}, "settings": asdict(Settings()), "set": 0, "sheet": False, "study": None, "missing": "",
            "recipe": None, "lesson": LESSONS.get(self.what, ""), "chosen": "",
        }  # fmt: skip

    def forget(self) -> None:
        """Other photos, or none, are here; what the controls say stays."""
        self.begin()
        self.rows, self.codes = {}, {}
        stays = ("question", "chips", "either", "locks", "settings", "set", "study", "missing")
        self.value = {**self._empty(), **{name: self.value[name] for name in stays}, "run": self.run}

    def set_to(self, settings: Settings) -> None:
        """Moves the canvas's own controls."""
        self.value |= {"settings": asdict(settings), "set": self.value["set"] + 1}

    def read(self, sent: Any) -> Settings:
        """What the browser says of its controls."""
        return Settings.read(sent, self.labels, [lock["name"] for lock in self.value["locks"]])

    def asks(self, settings: Settings) -> None:
        """Follows what is asked for: once it is something else than the example was, it is the visitor's own choice."""
        if self.example is not None:
            same = settings.targets == self.example[1].targets
            self.example = (self.example[0], settings) if same else None

    def leave_example(self, photos: Iterable[str]) -> None:
        """Other photos are here, by id: what the example was asked for is not meant for them, which are asked for all that they
        do not show."""
        if self.example is not None and self.example[0] not in photos:
            self.set_to(replace(self.example[1], targets=()))
            self.example = None

    def put(self, key: str, **more: Any) -> None:
        """Changes a cell; what the browser drew before stays a value of its own."""
        cells = self.value["cells"]
        self.value["cells"] = {**cells, key: {**cells.get(key, {}), **more}}

    def place(self, look: Any) -> tuple[str, Target, Style]:
        """The photo's id, target and style that the browser names: those of a cell, or between four columns.

        Raises:
            LookupError: there is no such place.
            ValueError: it lies outside of the plane.
        """
        from studio.pipelines.looks import as_numbers, style_at

        said = look if isinstance(look, dict) else {}
        photo, target = self.rows[str(said.get("row"))]
        at, corners = said.get("at"), said.get("corners")
        if at is None:
            return photo, target, self.codes[str(said.get("column"))]
        if not isinstance(at, list) or len(at) != 2 or not isinstance(corners, list):
            raise LookupError("at")
        return photo, target, as_numbers(style_at([self.codes[str(key)] for key in corners], *at))

    def title(self, look: Mapping[str, Any]) -> str:
        """What a place is called."""
        _, target = self.rows[str(look.get("row"))]
        if look.get("at"):
            return f"{words_of(target)}, between styles"
        column = next(one for one in self.value["columns"] if one["key"] == look.get("column"))
        return f"{words_of(target)}, {column['title'].lower()}" if column["drawn"] else f"{words_of(target)} in {column['title']}"


# -- a visitor's own ------------------------------------------------------------------------------------------------------


def room_of(desk: Desk) -> Translating:
    return desk.tables.setdefault("domains-canvas", Translating())


def table_of(desk: Desk) -> Table:
    """The photos that are translated; each kind of domains has its own."""
    return desk.tables.setdefault(f"domains-{room_of(desk).what}", Table())


def subject_of(desk: Desk) -> str:
    """What photos are asked for."""
    return SUBJECTS.get(room_of(desk).what, PEOPLE)


def take_whole(desk: Desk) -> None:
    """Of photos of no people nobody looks for a face."""
    if room_of(desk).what != FACES:
        for slot in table_of(desk).slots:
            slot.choice = "whole"


def key_of(desk: Desk, slot: Slot) -> Any:
    """What decides what is found of a photo."""
    return slot.sha256, room_of(desk).what, eyes_of(slot) if room_of(desk).what == FACES else None


def laid(setting: str) -> bool:
    """Whether a change was laid on only where the network attends."""
    return json.loads(setting)[1]


def words_of(target: Target) -> str:
    """A row's title."""
    from studio.pipelines.domains_labels import target_words

    return capital(target_words(target))


# -- what the browser draws -----------------------------------------------------------------------------------------------


def show_choices(room: Translating, engine: Engine, info: DomainsInfo) -> None:
    """What can be asked for, and what can be watched."""
    from studio.pipelines.domains_labels import HAIR, label_words, missing_words
    from studio.pipelines.domains_verdict import LOCKS, unwatched

    of_faces = info.name == FACES
    room.labels = info.labels
    offs = {label: capital(label_words(label, False)) if of_faces else "" for label in info.labels}
    chips = [{"name": label, "on": capital(label_words(label)), "off": off, "has": None} for label, off in offs.items()]
    watched = [name for name in LOCKS if name not in unwatched(engine, LOCKS)] if of_faces else []
    titles = {**KEPT_TITLES, **LOCKED}
    room.value |= {
        "question": QUESTIONS[info.name],
        "chips": chips,
        "either": [list(HAIR)] if of_faces and set(HAIR) <= set(info.labels) else [],
        "locks": [{"name": name, "label": READINGS[name], "title": titles[name]} for name in watched],
        "study": info.study,
        "missing": missing_words(engine.registry),
    }


def show_photo(room: Translating, slot: Slot, found: Found, first: bool) -> None:
    """What is known of a photo; the chips follow what the ``first`` one shows."""
    photo = {"key": slot.id, "name": Path(slot.name).stem, "before": shown(found.picture, "photo")}
    others = [one for one in room.value["photos"] if one["key"] != slot.id]
    room.value["photos"] = [*others, photo]
    if found.shows and first:
        room.value["chips"] = [{**chip, "has": chip["name"] in found.has} for chip in room.value["chips"]]


def start(
    room: Translating, rows: Mapping[str, tuple[str, Target]], columns: Mapping[str, tuple[str, Style]], settings: Settings
) -> list[str]:
    """The canvas before anything arrives. Cells that are as they should be stay; the rows that have others are returned.

    ``rows``: photo and target by key; ``columns``: title and code by key.
    """
    codes = {key: code for key, (_, code) in columns.items()}
    same = {key for key in codes if room.codes.get(key) == codes[key]}
    room.deals += (list(rows.items()), codes) != (list(room.rows.items()), room.codes)
    keys = {f"{row}/{column}": (row, column) for row in rows for column in codes}
    cells = {}
    for key, (row, column) in keys.items():
        cell = room.value["cells"].get(key)
        if cell and column in same and room.rows.get(row) == rows[row]:
            cells[key] = {**cell, "stale": laid(cell["laid"]) != settings.attention}
    lights = {row["key"]: row["where"] for row in room.value["rows"] if room.rows.get(row["key"]) == rows.get(row["key"])}
    room.rows, room.codes = dict(rows), codes
    room.value |= {
        "cells": cells,
        "rows": [{"key": key, "photo": photo, "title": words_of(target), "where": lights.get(key)}
                 for key, (photo, target) in rows.items()],
        "columns": [{"key": key, "title": title, "code": name_of(code), "drawn": key not in room.liked.codes}
                    for key, (title, code) in columns.items()],
        "ready": str(room.deals),
    }  # fmt: skip
    if room.chosen in keys:
        room.value["chosen"], room.chosen = room.chosen, ""
    return [row for row in rows if any(cells.get(f"{row}/{c}", {}).get("laid") != settings.laid for c in codes)]


def show_cell(room: Translating, key: str, found: Found, cell: Cell, settings: Settings) -> None:
    """A result in its place. The browser lays it over the photo as strong as it is asked to, so it gets all of the change."""
    from studio.pipelines.domains import picture_at

    picture = cell.picture if settings.strength == 1 else picture_at(found, cell, 1.0)
    said = sentences(cell.verdict)
    room.put(
        key, src=shown(picture, "result"), laid=settings.laid, stale=False, run=room.run, words=said, short=short(cell.verdict),
        **({} if room.value["cells"].get(key, {}).get("kept") == settings.laid else {"kept": None, "item": None, "id": ""}),
    )  # fmt: skip
    row = key.rsplit("/", 1)[0]
    if cell.overlay is not None:  # the attention knows nothing of the style (eq. 6.9): a row has one
        room.value["rows"] = [
            {**one, "where": shown(cell.overlay, "where")} if one["key"] == row and one["where"] is None else one
            for one in room.value["rows"]
        ]


def keep_cell(room: Translating, key: str, found: Found, cell: Cell, settings: Settings, kept: Item, png: bytes) -> None:
    """A result that is in the gallery now."""
    file, before = served(png, f"{kept.name}.png"), shown(found.photo.rgb, "photo")
    item = {
        "id": kept.id, "key": key, "run": room.run, "title": kept.name, "src": file, "file": file, "before": before,
        "facts": describe(cell.recipe), "recipe": pretty(cell.recipe), **remarks(cell, room.value["study"]),
    }  # fmt: skip
    room.put(key, kept=settings.laid, item=item, id=kept.id)


# -- words ----------------------------------------------------------------------------------------------------------------


def sentences(verdict: Verdict) -> list[dict[str, Any]]:
    """What became of it, each with its figures, what was asked for first."""
    from studio.pipelines.domains_labels import label_words

    said: list[dict[str, Any]] = [
        {
            **told(one.words, f"{100 * one.before:.0f} % before, {100 * one.after:.0f} % after", one.reached),
            "name": one.label,
            "label": capital(label_words(one.label)),
            "asked": False,
        }
        for one in verdict.asked
    ]
    figures = figures_of(verdict.measures) if verdict.measures else {}
    said += [
        {
            **told(one.words, figures.get(one.name, ""), one.kept is not False),
            "name": one.name,
            "label": READINGS.get(one.name, "Change"),
            "asked": one.kept is None,
        }
        for one in verdict.readings
    ]
    for label, figure in (("Change as a whole", verdict.lpips), ("Attention", verdict.attention)):
        words = "" if figure is None else f"LPIPS {figure:.3f}" if label.startswith("Change") else f"mean {figure:.2f}"
        said += [{**told("", words), "name": "", "label": label, "asked": False}] if words else []
    return said


def short(verdict: Verdict) -> str:
    """What is worth saying under a small picture: that it does not show what was asked for."""
    return "" if all(one.reached for one in verdict.asked) else "not there yet"


def remarks(cell: Cell, study: str | None) -> dict[str, Any]:
    """What is said of a kept picture beyond its recipe."""
    return {"words": [one for one in sentences(cell.verdict) if one["text"]], "study": study, "animal": words_of(cell.target)}


def describe(recipe: Recipe) -> list[list[str]]:
    """The settings of a translated picture for people."""
    from studio.pipelines.domains_labels import read_target

    asked = recipe.parameters
    one, many, strength, locks = (asked.get(name) for name in ("target", "targets", "strength", "locks"))
    texts = [one] if isinstance(one, str) else [text for text in many or () if isinstance(text, str)]
    rows = [["Shows", "; ".join(words_of(read_target(text)) for text in texts)]] if texts else []
    rows += [["How strong", f"{100 * strength:.0f} %"]] if type(strength) in (int, float) else []
    rows += [["Where", "only where the network attends"]] if asked.get("attention") is True else []
    held = ", ".join(READINGS.get(str(name), str(name)) for name in locks) if isinstance(locks, list) else ""
    return [*rows, *([["Must not change", held]] if held else [])]
