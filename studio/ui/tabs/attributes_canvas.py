"""What the browser draws of a face whose attributes are changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from studio.core.images import to_png
from studio.core.recipe import Recipe
from studio.ui.parts import pretty, served
from studio.ui.session import EMPTY_RUN, Run, Slot
from studio.ui.source import source_crop
from studio.ui.tabs.manifold_canvas import likeness
from studio.ui.tabs.morph_canvas import shown, told

if TYPE_CHECKING:
    from studio.pipelines.conditioned import Found, Slider
    from studio.pipelines.morph import AttributesResult, Preview

LESSON = "Choose a sample or drop a photo of a person. Its face is found; then sliders make it smile, age or wear glasses."
NO_FACES = "There are no networks for faces here yet: bring them with `python -m studio pull`, then start the studio again."
SLIGHT = 0.15  # a move that is not worth a word in a name


@dataclass
class Tuning(Run):
    """One visitor's face: what was found of which photo (``key``), what was made last, whether a ``restored`` recipe waits.

    ``photo`` is the id of the one that is on the canvas.
    """

    photo: str = ""
    found: Found | None = None
    key: Any = None
    result: AttributesResult | None = None
    restored: bool = False

    def __post_init__(self) -> None:
        self.value = self._empty()

    @staticmethod
    def _empty() -> dict[str, Any]:
        return {**EMPTY_RUN, "before": None, "after": None, "network": None, "answer": None, "whole": None, "sliders": [],
                "values": {}, "found": "", "set": 0, "words": None, "recipe": None, "lesson": LESSON}  # fmt: skip

    def forget(self, photo: str) -> None:
        """Another photo, or none, is here; of a restored recipe the sliders stay."""
        self.begin()
        self.photo, self.found, self.key, self.result = photo, None, None, None
        kept = {"values": self.value["values"] if self.restored else {}, "set": self.value["set"], "run": self.run}
        self.value = {**self._empty(), **kept}


# -- sliders --------------------------------------------------------------------------------------------------------------


def to_condition(values: Mapping[str, float], sliders: Sequence[Slider]) -> dict[str, float]:
    """What sliders say, by attribute, as the networks take it; an attribute without a slider is taken as it is."""
    signs = {slider.attribute: slider.sign for slider in sliders}
    return {name: signs.get(name, 1) * value for name, value in values.items()}


to_sliders = to_condition  # a sign turned twice is none


def slider_rows(found: Found, labels: Sequence[str], sliders: Sequence[Slider]) -> list[dict[str, Any]]:
    """The sliders, each where the face was found."""
    values = dict(zip(labels, found.condition, strict=True))
    return [
        {
            "name": slider.attribute,
            "low": slider.low,
            "high": slider.high,
            "found": round(float(np.clip(slider.sign * values[slider.attribute], -1, 1)), 2),
        }
        for slider in sliders
    ]


def moves(condition: Mapping[str, float], found: Mapping[str, float]) -> list[str]:
    """What was changed, in words, the largest change first."""
    from studio.pipelines.conditioned import attribute_words

    far = {name: value - found.get(name, 0.0) for name, value in condition.items()}
    seen = sorted((name for name, by in far.items() if abs(by) > SLIGHT), key=lambda name: -abs(far[name]))
    return [attribute_words(name, far[name] > 0) for name in seen]


def moved_name(slot: Slot, result: AttributesResult) -> str:
    """What a changed face is called."""
    words = moves(result.request.condition, found_values(result))
    return f"{Path(slot.name).stem}, {', '.join(words[:3]) or 'changed'}"


def found_values(result: AttributesResult) -> dict[str, float]:
    """The attributes of the photo as they were found."""
    return dict(zip(result.condition, map(float, result.found.condition), strict=True))


def describe(recipe: Recipe) -> list[list[str]]:
    """The settings of a changed face for people."""
    condition, steps = recipe.parameters.get("condition"), recipe.parameters.get("steps")
    named = condition if isinstance(condition, dict) else {}
    values = [f"{name.replace('_', ' ')} {value:.2f}" for name, value in named.items() if isinstance(value, int | float)]
    return [*([["Set", ", ".join(values)]] if values else []), *([["Care", f"{steps} steps"]] if isinstance(steps, int) else [])]


# -- what the browser draws -----------------------------------------------------------------------------------------------


def start(room: Tuning, slot: Slot, fresh: bool = True) -> None:
    """The canvas before anything arrives; of the same face everything stays in sight."""
    room.photo = slot.id
    room.value |= {"busy": True, "done": 0, "total": 0, "message": "Starting", "run": room.run}
    if fresh:
        crop = source_crop(slot, "head")
        room.value |= {"before": crop, "after": None, "network": None, "answer": None, "whole": None, "sliders": [], "found": "",
                       "words": None, "recipe": None, "values": {}}  # fmt: skip


def show_preview(room: Tuning, step: Preview) -> None:
    room.value["network"] = served(to_png(step.image), "preview.png")
    room.value |= {"done": step.done, "total": step.total, "message": f"Finding the face, {step.psnr:.1f} dB"}


def show_found(room: Tuning, found: Found, labels: Sequence[str], sliders: Sequence[Slider]) -> None:
    room.value |= {
        "sliders": slider_rows(found, labels, sliders),
        "found": f"{room.run}",
        "network": served(to_png(found.image), "found.png"),
    }


def show_result(room: Tuning, slot: Slot, result: AttributesResult) -> None:
    room.result = result
    height, width = result.image.shape[:2]
    before, after = shown(slot.photo().rgb, slot.name), shown(result.image, f"{slot.name}-changed")
    whole = {"before": before, "after": after, "ratio": width / height}
    changed = bool(result.request.condition)
    room.value |= {
        "before": shown(result.before, "face"),
        "after": shown(result.head, "face-changed"),
        "answer": served(to_png(result.plain), "answer.png") if changed else None,
        "whole": whole if min(height, width) > len(result.head) else None,
        "words": sentences(result),
        "title": moved_name(slot, result) if changed else f"{Path(slot.name).stem}, as it was found",
        "study": result.study,
        "recipe": pretty(result.recipe),
    }


def sentences(result: AttributesResult) -> list[dict[str, Any]]:
    """What is said of a changed face, each with its figures."""
    from studio.pipelines.parts import SURE

    kept = "" if result.identity is None else f"identity cosine {result.identity:.2f}"
    said = [told(text, kept, "not sure" not in text) for text in result.words]
    for one in result.readings:
        figure = f"{100 * one.before:.0f} % before, {100 * one.after:.0f} % after"
        said.append(told(one.words, figure, (one.after >= SURE) == (result.condition[one.attribute] > 0)))
    return [*said, *likeness(result.found)]


def remarks(result: AttributesResult) -> dict[str, Any]:
    """What is said of a kept picture beyond its recipe."""
    return {"words": sentences(result), "study": result.study, "animal": "changed"}
