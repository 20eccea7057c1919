"""What the browser draws of a face that is made up, and what a visitor's looks are."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from studio.core.recipe import Recipe
from studio.ui.parts import capital, pretty, served
from studio.ui.session import EMPTY_RUN, Desk, Run, Slot, Table
from studio.ui.shelf import Liked, base_name, name_of
from studio.ui.tabs.morph_canvas import shown, told

if TYPE_CHECKING:
    from studio.core.gallery import Item
    from studio.pipelines.judgement import Measures
    from studio.pipelines.looks import Style
    from studio.pipelines.makeup import Found, Look, MakeupRequest, MakeupResult

LESSON = (
    "Choose a sample or drop a photo of a person. The face gets looks, and one slider turns each of them from what biased data "
    "make of people to what keeps you yourself."
)
NO_NETWORKS = (
    "There are no networks for makeup here yet: bring them with `python -m studio pull` and start the studio again, or change "
    "faces in Morph, Attributes."
)
DIRECTIONS = {"apply": "Put it on", "remove": "Take it off", "older": "Older", "younger": "Younger"}
WORN = {"apply": "with makeup", "remove": "without makeup", "older": "older", "younger": "younger"}
REGION_TITLES = {"lips": "The lips", "eyes": "Lids, lashes and brows", "skin": "Cheeks, forehead, nose and chin"}
KEPT_TITLES = {
    "identity": "Who you are, as a network for faces knows you",
    "gender": "What you are perceived as",
    "age": "How old you look",
    "ethnicity": "Which ethnicity you are perceived as",
}
LONGEST_SENT = 1000  # characters
READINGS = {"makeup": "Makeup", "gender": "Perceived gender", "identity": "Who it is", "age": "Age", "skin": "Skin tone"}
PREVIEW_SIDE = 240  # px of a look as its cell shows it
MAX_AMOUNT, REMEMBERED = 1.5, 256  # the latter pictures of cells that are not drawn again


@dataclass(frozen=True)
class Settings:
    """What the sliders and chips on the canvas say."""

    keep: float = 1.0
    amount: float = 1.0
    properties: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()

    @classmethod
    def read(cls, sent: Any, properties: Sequence[str], regions: Sequence[str]) -> Settings:
        """What the browser says, a stranger's word: of numbers and names only those that there are."""
        try:
            said = json.loads(sent[:1000]) if isinstance(sent, str) else {}
        except ValueError:
            said = {}
        said = said if isinstance(said, dict) else {}

        def number(name: str, most: float) -> float:
            value = said.get(name)
            return min(max(float(value), 0.0), most) if type(value) in (int, float) and value == value else 1.0

        def names(name: str, known: Sequence[str]) -> tuple[str, ...]:
            value = said.get(name)
            return tuple(one for one in known if one in value) if isinstance(value, list) else tuple(known)

        where = names("regions", regions) or tuple(regions)
        return cls(number("keep", 1), number("amount", MAX_AMOUNT), names("properties", properties), where)

    def named(self) -> str:
        """As the browser names the same settings."""
        whole = {
            name: int(value) if value == int(value) else value for name, value in (("keep", self.keep), ("amount", self.amount))
        }
        return json.dumps({**asdict(self), **whole}, separators=(",", ":"))


@dataclass
class Dressing(Run):
    """One visitor's face with its looks.

    ``photo`` is the id of the one on the canvas, ``found`` what the networks know of it and ``key`` what decided that; ``way`` is
    the pair and the direction. ``faces`` and ``deals`` count what was found and which looks there were, so that no answer is
    taken for that to another question. ``codes`` are the looks on the canvas by their cells' keys, ``liked`` those on the shelf.
    ``given`` has the looks of a recipe, which are there instead of drawn ones until others are asked for; ``waits`` is a recipe
    whose photo is not here yet, ``chosen`` the cell that is large first, ``making`` what Make was asked for last. ``drawings``
    are pictures of cells that need not be drawn again, ``reference`` has the photo whose look is wanted.
    """

    photo: str = ""
    key: Any = None
    found: Found | None = None
    faces: int = 0
    deals: int = 0
    way: tuple[str, str] = ("", "")
    codes: dict[str, Style] = field(default_factory=dict)
    liked: Liked = field(default_factory=Liked)
    given: MakeupRequest | None = None
    waits: Recipe | None = None
    chosen: str = ""
    making: Any = None
    drawings: dict[Any, str] = field(default_factory=dict)
    result: MakeupResult | None = None
    reference: Table = field(default_factory=Table)

    def __post_init__(self) -> None:
        self.value = self._empty()

    @staticmethod
    def _empty() -> dict[str, Any]:
        return {
            **EMPTY_RUN, "ready": "", "before": None, "cells": [], "properties": [], "regions": [],
            "settings": asdict(Settings()), "set": 0, "worn": "", "sheet": False, "study": None, "recipe": None, "lesson": LESSON,
            "chosen": "",
        }  # fmt: skip

    def forget(self, photo: str) -> None:
        """Another photo, or none, is here; what the sliders say stays."""
        self.begin()
        self.photo, self.found, self.key, self.result = photo, None, None, None
        self.codes, self.drawings = {}, {}
        kept = {name: self.value[name] for name in ("properties", "regions", "settings", "set", "worn")}
        self.value = {**self._empty(), **kept, "run": self.run}

    @property
    def settings(self) -> Settings:
        """What the sliders and chips are set to by the server."""
        said = self.value["settings"]
        return Settings(said["keep"], said["amount"], tuple(said["properties"]), tuple(said["regions"]))

    def set_to(self, settings: Settings) -> None:
        """Moves the sliders and chips."""
        self.value |= {"settings": asdict(settings), "set": self.value["set"] + 1}

    def title(self, look: Any) -> str:
        """What a look that the browser names is called."""
        if isinstance(look, dict):
            return " and ".join(base_name(self.title(look.get(end))) for end in ("first", "second"))
        cell = self.cell(look)
        return cell["title"] if cell else self.liked.titles.get(str(look), "Look")

    def code(self, look: Any) -> Style:
        """The code of a look that the browser names, or of a mix of two. Raises ``LookupError``."""
        from studio.pipelines.looks import as_numbers, mix_styles

        if isinstance(look, dict):
            share = look.get("share")
            if type(share) not in (int, float) or not 0 <= share <= 1:
                raise LookupError("share")
            first, second = (np.array(self.code(str(look.get(end))), np.float32) for end in ("first", "second"))
            return as_numbers(mix_styles(first, second, float(share)))
        known = {**self.liked.codes, **self.codes}
        return known[look if isinstance(look, str) else ""]

    def cell(self, look: Any) -> dict[str, Any] | None:
        """A cell of the canvas by its key."""
        return next((cell for cell in self.value["cells"] if cell["key"] == look), None)

    def put(self, key: str, **more: Any) -> None:
        """Changes a cell; what the browser drew before stays a value of its own."""
        self.value["cells"] = [{**cell, **more} if cell["key"] == key else cell for cell in self.value["cells"]]


# -- a visitor's own ------------------------------------------------------------------------------------------------------


def room_of(desk: Desk) -> Dressing:
    return desk.tables.setdefault("makeup-canvas", Dressing())


def table_of(desk: Desk) -> Table:
    """The photo that is made up."""
    return desk.tables.setdefault("makeup", Table())


def reference_of(desk: Desk) -> Table:
    """The photo whose look is wanted."""
    return room_of(desk).reference


def setting_of(sent: Any) -> str:
    """What the sliders say, as the browser names it."""
    return sent[:LONGEST_SENT] if isinstance(sent, str) else ""


def settings_of(room: Dressing, sent: Any) -> Settings:
    """What the browser says of its sliders and chips."""
    properties, regions = ([chip["name"] for chip in room.value[what]] for what in ("properties", "regions"))
    return Settings.read(sent, properties, regions)


def with_settings(request: MakeupRequest, settings: Settings) -> MakeupRequest:
    """The request as the sliders and chips are."""
    return replace(request, keep=settings.keep, amount=settings.amount, properties=settings.properties, regions=settings.regions)


def shown_request(room: Dressing, sent: Any) -> MakeupRequest:
    """The request for a look of the face on the canvas. Raises ``ValueError``."""
    from studio.pipelines.makeup import MakeupRequest
    from studio.pipelines.photos import FaceChoice

    asked = MakeupRequest(room.found.photo, *room.way, face=FaceChoice(eyes=room.found.eyes), full_size=False)
    return with_settings(asked, settings_of(room, sent))


def index_of(cell: Mapping[str, Any] | None) -> int:
    """The number of a cell's look."""
    return int(cell["key"].removeprefix("look-")) if cell and cell["key"].startswith("look-") else 0


# -- names ----------------------------------------------------------------------------------------------------------------


def title_on(title: str, slot: Slot) -> str:
    """What a picture of somebody with a look is called."""
    return f"{base_name(title)} on {Path(slot.name).stem}"


def chips(names: Sequence[str], titles: Mapping[str, str]) -> list[dict[str, str]]:
    """Names as the canvas offers them."""
    return [{"name": name, "label": capital(name), "title": titles.get(name, "")} for name in names]


# -- what the browser draws -----------------------------------------------------------------------------------------------


def start(room: Dressing, looks: Mapping[str, tuple[str, Style]]) -> None:
    """The canvas before anything arrives; cells of the same looks stay in sight. ``looks``: title and code by key."""
    codes = {key: style for key, (_, style) in looks.items()}
    stale = {cell["key"]: cell for cell in room.value["cells"] if room.codes.get(cell["key"]) == codes.get(cell["key"], ())}
    room.deals += codes != room.codes
    room.codes = codes
    cells = [{**_empty_cell(key, title, style), **stale.get(key, {})} for key, (title, style) in looks.items()]
    room.value |= {
        "busy": True, "done": 0, "total": len(cells), "message": "Starting", "run": room.run, "cells": cells, "sheet": False,
        "recipe": None, "ready": f"{room.faces}.{room.deals}",
    }  # fmt: skip
    room.value["chosen"] = room.chosen if room.chosen in codes else next(iter(codes))


def _empty_cell(key: str, title: str, style: Style) -> dict[str, Any]:
    """A look before there is a picture of it. ``setting`` is what the sliders said when it was made, ``kept`` when kept."""
    nothing = {"src": None, "setting": "", "kept": None, "item": None, "id": "", "words": [], "short": "", "run": 0}
    return {"key": key, "title": title, "code": name_of(style), **nothing}


def shelf_cell(key: str, title: str, style: Style, src: Any) -> dict[str, Any]:
    """A look that is liked, with the picture of whom it was on."""
    return {**_empty_cell(key, title, style), "src": src}


def show_found(room: Dressing, found: Found, study: str | None) -> None:
    room.found, room.faces, room.drawings = found, room.faces + 1, {}
    room.value |= {"before": shown(found.head, "face"), "study": study}


def show_look(room: Dressing, key: str, look: Look, setting: str) -> None:
    """A look in its cell, as the canvas shows it."""
    room.put(key, src=shown(look.head, "look"), setting=setting, run=room.run, words=sentences(look), short=short(look))


def keep_look(room: Dressing, key: str, look: Look, setting: str, kept: Item, png: bytes) -> None:
    """A look that is in the gallery now."""
    file, before = served(png, f"{kept.name}.png"), shown(room.found.photo.rgb, "photo")
    item = {
        "id": kept.id, "key": key, "run": room.run, "title": kept.name, "src": file, "file": file, "before": before,
        "facts": describe(look.recipe), "recipe": pretty(look.recipe), **remarks(look, room.value["study"], room.value["worn"]),
    }  # fmt: skip
    room.put(key, kept=setting, item=item, id=kept.id)


def remember(room: Dressing, key: Any, picture: str) -> str:
    """Keeps a drawing for the next time it is asked for; the oldest one goes."""
    while len(room.drawings) >= REMEMBERED:
        room.drawings.pop(next(iter(room.drawings)), None)
    room.drawings[key] = picture
    return picture


# -- words ----------------------------------------------------------------------------------------------------------------


def sentences(look: Look) -> list[dict[str, Any]]:
    """What changed, each with its figures; what should not have is no good."""
    figures = figures_of(look.measures)
    said: list[dict[str, Any]] = [
        {
            **told(one.words, figures.get(one.name, ""), one.kept is not False),
            "asked": one.kept is None,
            "label": READINGS[one.name],
        }
        for one in look.readings
    ]
    if look.measures.lpips is not None:
        said.append({**told("", f"LPIPS {look.measures.lpips:.3f}"), "label": "Change as a whole"})
    return said


def figures_of(measures: Measures) -> dict[str, str]:
    """The figures behind each reading."""

    def pair(before: float | None, after: float | None, words: str, factor: float = 100) -> str:
        return "" if before is None or after is None else words.format(factor * before, factor * after)

    skin = [] if measures.skin_delta_e is None else [f"ΔE {measures.skin_delta_e:.1f}"]
    skin += [] if measures.ita_shift is None else [f"ITA {measures.ita_shift:+.0f}°"]
    return {
        "makeup": pair(measures.makeup_before, measures.makeup_after, "{:.0f} % before, {:.0f} % after"),
        "gender": pair(measures.male_before, measures.male_after, "male with {:.0f} % before, {:.0f} % after"),
        "identity": "" if measures.id_distance is None else f"distance {measures.id_distance:.2f}",
        "age": pair(measures.age_before, measures.age_after, "{:.0f} years before, {:.0f} after", 1),
        "skin": ", ".join(skin),
    }


def short(look: Look) -> str:
    """What is worth saying under a small picture: what changed that should not have."""
    return next((one.words for one in look.readings if one.kept is False), "")


def remarks(look: Look, study: str | None, worn: str) -> dict[str, Any]:
    """What is said of a kept picture beyond its recipe."""
    return {"words": [one for one in sentences(look) if one["text"]], "study": study, "animal": worn}


def describe(recipe: Recipe) -> list[list[str]]:
    """The settings of a made-up face for people."""
    asked = recipe.parameters
    keep, amount, direction, regions = (asked.get(name) for name in ("keep", "amount", "direction", "regions"))
    held = asked.get("properties")
    what = ", ".join(str(name) for name in held) if isinstance(held, list) else "everything"
    rows = [["What", str(WORN[direction])]] if isinstance(direction, str) and direction in WORN else []
    rows += [["Keep", f"{100 * keep:.0f} % of {what or 'nothing'}"]] if type(keep) in (int, float) else []
    rows += [["How strong", f"{amount:.2f}"]] if type(amount) in (int, float) else []
    return [*rows, *([["Where", ", ".join(str(name) for name in regions)]] if isinstance(regions, list) else [])]
