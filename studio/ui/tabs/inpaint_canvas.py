"""What the browser draws of a photo with holes, and how a painted mask is read."""

from __future__ import annotations

import base64
import binascii
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from studio.core.recipe import Recipe
from studio.ui.parts import capital, pretty, served
from studio.ui.session import EMPTY_RUN, Run, Slot
from studio.ui.source import pictures_of
from studio.ui.tabs.morph_canvas import shown, told

if TYPE_CHECKING:
    from studio.pipelines.inpaint import Filling, InpaintRequest, InpaintResult, Iteration

LESSON = "Choose a sample or drop a photo on the left. Then paint over what should be imagined anew, and press Make."
INVITATION = "Paint over what should be imagined anew, then press Make."
LARGEST_MASK = 4_000_000  # bytes, and pixels, of what a browser may send
START = "data:image/png;base64,"
UNREADABLE = "The mask did not arrive whole: paint it again."


@dataclass
class Repair(Run):
    """One visitor's holes.

    ``wanted`` is what a restored recipe asks for: its mask, number ``masks`` of those from here, stays exact while nobody paints
    on it. ``waits`` is a recipe whose photo is not here yet. ``domain`` is what the photo is seen as.
    """

    wanted: InpaintRequest | None = None
    waits: Recipe | None = None
    masks: int = 0
    last: Iteration | None = None
    result: InpaintResult | None = None
    domain: str = "faces"

    def __post_init__(self) -> None:
        self.value = {**EMPTY_RUN, "photo": None, "mask": None, "candidates": [], "sheet": False, "lesson": LESSON}
        self._before: tuple[Any, ...] = ()

    def start(self, count: int, iterations: int) -> int:
        """A new run for so many candidates."""
        self._before = self.value["candidates"], self.value["sheet"], self.last, self.result
        run, self.last, self.result = self.begin(), None, None
        self.value |= {"busy": True, "message": "Starting", "run": run}
        new_candidates(self, count, iterations)
        return run

    def settle(self, message: str) -> None:
        """A run of which nothing came leaves what was there before it."""
        if self.value["busy"] and self.last is None:
            self.value["candidates"], self.value["sheet"], self.last, self.result = self._before
        super().settle(message)


# -- masks ----------------------------------------------------------------------------------------------------------------


def sent_mask(sent: Any) -> tuple[str, str, int]:
    """What came with Make: the photo's id, the mask's address, and which mask from here it is, untouched (0: none)."""
    try:
        document = json.loads(sent)
        photo, data, token = document.get("photo"), document.get("data"), document.get("token")
    except (TypeError, ValueError, AttributeError):
        return "", "", 0
    return photo if isinstance(photo, str) else "", data if isinstance(data, str) else "", token if type(token) is int else 0


def read_mask(data: str, size: tuple[int, int]) -> np.ndarray:
    """A painted mask, a PNG in an address, for a photo of that width and height: bool (H, W).

    Raises:
        ValueError: one sentence that says what to do.
    """
    if not data:
        raise ValueError("Nothing is painted yet: paint over what should be imagined anew.")
    if not data.startswith(START) or len(data) > LARGEST_MASK:
        raise ValueError(UNREADABLE)
    try:
        with Image.open(io.BytesIO(base64.b64decode(data[len(START) :], validate=True)), formats=["PNG"]) as image:
            if image.width * image.height > LARGEST_MASK:
                raise ValueError(UNREADABLE)
            grey = image.convert("L")
    except (binascii.Error, UnidentifiedImageError, OSError, SyntaxError) as error:
        raise ValueError(UNREADABLE) from error
    return np.asarray(grey.resize(size, Image.Resampling.BILINEAR)) > 127


def mask_file(mask: np.ndarray) -> dict[str, Any]:
    """A mask, bool (H, W), for the browser, as large as it paints."""
    image = Image.fromarray(mask)
    image.thumbnail((1024, 1024), Image.Resampling.NEAREST)
    file = io.BytesIO()
    image.save(file, "PNG")
    return served(file.getvalue(), "mask.png")


# -- what the browser draws -----------------------------------------------------------------------------------------------


def photo_value(slot: Slot, corners: np.ndarray | None) -> dict[str, Any]:
    """A photo to paint on; ``corners`` (4, 2) in px of what the network sees of it."""
    width, height = slot.size
    seen = None if corners is None else np.round(np.asarray(corners, float) / (width, height), 4).tolist()
    return {"id": slot.id, "src": pictures_of(slot)["src"], "width": width, "height": height, "name": slot.name, "seen": seen}


def new_candidates(room: Repair, count: int, iterations: int) -> None:
    """The canvas before the first iteration."""
    empty = {"id": "", "src": None, "large": None, "words": [], "short": "", "best": False}
    candidates = [{**empty, "key": f"hole/{n}", "title": f"Candidate {n + 1}", "past": []} for n in range(count)]
    room.value |= {"candidates": candidates, "iterations": iterations, "sheet": False, "total": iterations, "done": 0}


def show_iteration(room: Repair, step: Iteration) -> None:
    """All candidates after one more iteration."""
    best = int(np.argmax(step.agreements))
    candidates = []
    for number, (old, image, near) in enumerate(zip(room.value["candidates"], step.images, step.agreements, strict=True)):
        file = shown(image, f"hole-{number + 1}-{step.iteration}")
        change = {"src": file, "large": file, "past": [*old["past"], file], "short": f"{near:.1f} dB", "best": number == best}
        candidates.append({**old, **change})
    room.value |= {"candidates": candidates, "done": step.done, "total": step.total, "message": step.message}


def fill_in(room: Repair, filling: Filling, slot: Slot, item_id: str, png: bytes, title: str, best: bool) -> None:
    """A candidate as it was kept."""
    candidates = list(room.value["candidates"])
    file = served(png, f"{title}.png")
    candidates[filling.index] = {
        **candidates[filling.index],
        "id": item_id,
        "run": room.run,
        "title": title,
        "src": shown(filling.head, title),
        "large": shown(filling.image, title),
        "file": file,
        "before": pictures_of(slot)["src"],
        "beforeWords": "photo",
        "words": sentences(filling),
        "short": f"{filling.agreement:.1f} dB",
        "study": room.result.study,
        "animal": "filled",
        "recipe": pretty(filling.recipe),
        "best": best,
    }
    room.value["candidates"] = candidates


def title_of(slot: Slot, index: int, words: str = "filled") -> str:
    return f"{Path(slot.name).stem}, {words}, {index + 1}"


def sentences(filling: Filling) -> list[dict[str, Any]]:
    """What is said of a filling, each with its figure."""
    figure = f"{filling.agreement:.1f} dB where the photo is known"
    good = [not any(word in f" {text}" for word in (" no ", " only ")) for text in filling.words]
    return [told(text, "" if place else figure, fine) for place, (text, fine) in enumerate(zip(filling.words, good, strict=True))]


def remarks(filling: Filling, study: str | None) -> dict[str, Any]:
    """What is said of a kept filling beyond its recipe."""
    return {"words": sentences(filling), "study": study, "animal": "filled"}


def describe(recipe: Recipe) -> list[list[str]]:
    """A filling's settings for people."""
    asked = recipe.parameters
    index, domain, condition = asked.get("index"), asked.get("domain"), asked.get("condition")
    named = ", ".join(str(name).replace("_", " ") for name in condition) if isinstance(condition, dict) else ""
    rows: Sequence[tuple[str, Any]] = (
        ("Shows", f"candidate {index + 1}" if isinstance(index, int) else None),
        ("Of", capital(domain) if isinstance(domain, str) else None),
        ("Iterations", asked.get("iterations")),
        ("Filled as", named or None),
        ("Seed", recipe.seed if recipe.seed is not None else asked.get("seed")),
    )
    return [[name, str(value)] for name, value in rows if value is not None]


