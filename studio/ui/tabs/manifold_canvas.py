"""What the browser draws of a walk, and what is remembered of it."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr
import numpy as np
from PIL import Image

from studio.core.images import to_png
from studio.core.recipe import Recipe
from studio.ui.parts import capital, pretty, progress, served
from studio.ui.session import EMPTY_RUN, Run, Slot, Table
from studio.ui.source import source_crop

if TYPE_CHECKING:
    from studio.pipelines.manifold import Film, Inversion, InvertRequest, Preview, TraverseRequest, TraverseResult

# The studio's pipelines are imported inside functions: torch comes with them, and the page must answer before that.

PATHS = {"spherical": "Round", "linear": "Straight", "dense": "Dense"}
SPRITES = 12  # pictures in a row of what the slider shows
EMPTY: dict[str, Any] = {**EMPTY_RUN, "faces": [], "rows": [], "columns": 0, "film": None, "array": None, "place": None}


@dataclass
class Walk(Table, Run):
    """One visitor's walk: what was found and made, what the browser draws of it (``value``), and the ids of what is kept.

    ``place`` is what a restored recipe shows of the walk, as :func:`place_of` gives it.
    """

    found: dict[Any, Inversion] = field(default_factory=dict)
    kept: dict[Any, str] = field(default_factory=dict)
    result: TraverseResult | None = None
    film: Film | None = None
    films: dict[str, bytes] = field(default_factory=dict)
    sheet_id: str = ""
    place: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        self.value = dict(EMPTY)

    def begin(self) -> int:
        """A new walk; of the one before nothing is left, and no photos are waited for."""
        run, self.expected = super().begin(), ()
        self.result, self.film, self.films, self.sheet_id = None, None, {}, ""
        return run


# -- names ----------------------------------------------------------------------------------------------------------------


def slot_name(slot: Slot) -> str:
    return Path(slot.name).stem


def walk_title(walk: Walk) -> str:
    names = [Path(inversion.photo_name).stem for inversion in walk.result.inversions]
    return f"{names[0]} to {names[-1]}" if len(names) == 2 else " to ".join(names)


def describe(recipe: Recipe) -> list[list[str]]:
    """A walk's settings for people."""
    asked, place = recipe.parameters, place_of(recipe)
    named, as_animal = asked.get("animals"), f" as {asked['animal']}" if "animal" in asked else ""
    where = place and (point_words(place["point"]) if "point" in place else f"step {place['step']}")
    words = {
        "Shows": f"{where}{as_animal}" if where else None,
        "Frames": asked.get("frames"),
        "Path": PATHS.get(str(asked.get("path"))),
        "Loop": "yes" if asked.get("loop") is True else None,
        "Animals": ", ".join(map(str, named)) if isinstance(named, list) and named else None,
        "How far": f"{asked['strength']:.2f}" if isinstance(asked.get("strength"), int | float) else None,
        "Care": f"{asked['steps']} steps" if "steps" in asked else None,
    }
    return [[name, str(text)] for name, text in words.items() if text is not None]


def place_of(recipe: Recipe) -> dict[str, Any] | None:
    """The one picture of a walk that a recipe is of: a step of its film or a point of its square, and its animal."""
    step, point = recipe.parameters.get("step"), point_in(recipe.parameters.get("point"))
    animal = str(recipe.parameters.get("animal", ""))
    if point:
        return {"point": point, "animal": animal}
    return {"step": step, "animal": animal} if isinstance(step, int) else None


def point_in(value: Any) -> dict[str, float] | None:
    """A point of the square as somebody named it, or None if it is none."""
    named = [value.get(side) for side in ("across", "down")] if isinstance(value, dict) else [None]
    if not all(isinstance(part, int | float) and not isinstance(part, bool) and 0 <= part <= 1 for part in named):
        return None
    return dict(zip(("across", "down"), map(float, named), strict=True))


def point_words(point: dict[str, float]) -> str:
    """Where in the square a point is."""
    return f"{100 * point['across']:.0f} % across, {100 * point['down']:.0f} % down"


# -- what the browser draws -----------------------------------------------------------------------------------------------


def new_value(walk: Walk, faces: InvertRequest, request: TraverseRequest | None) -> dict[str, Any]:
    """The canvas before anything arrives; what was found before stays in sight."""
    from studio.pipelines.parts import animal_label

    labels = ["walk", *(animal_label(name) for name in request.animals)] if request else []
    return {
        **EMPTY,
        "faces": [
            {"id": slot.id, "name": slot_name(slot), "src": source_crop(slot, "head"), "found": None, "words": "", "figure": ""}
            for slot in walk.slots
        ],
        "rows": [{"label": capital(label), "cells": [None] * request.frames, "words": [], "study": None} for label in labels],
        "columns": request.frames if request else 0,
        "loop": bool(request and request.loop),
        "message": "Starting",
        "busy": True,
        "run": walk.run,
    }


def show_preview(walk: Walk, index: int, step: Preview) -> None:
    found = served(to_png(step.image), "preview.png")
    face = {"found": found, "words": "being found…", "figure": f"{step.psnr:.1f} dB", "sought": True}
    _change_face(walk, index, face)
    walk.value |= {**progress(step), "message": f"Finding {walk.value['faces'][index]['name']}, {step.done} of {step.total}"}


def show_found(walk: Walk, index: int, inversion: Inversion) -> None:
    near = inversion.likeness
    face = {
        "found": served(to_png(inversion.image, inversion.recipe), "found.png"),
        "words": near.words[0],
        "figure": "" if near.psnr is None else f"{near.psnr:.1f} dB",
        "exact": near.psnr is None,
        "sought": False,
        "facts": likeness(inversion),
        "study": inversion.study,
    }
    _change_face(walk, index, face)


def _change_face(walk: Walk, index: int, change: dict[str, Any]) -> None:
    faces = list(walk.value["faces"])
    faces[index] = {**faces[index], **change}
    walk.value["faces"] = faces


def likeness(inversion: Inversion) -> list[dict[str, Any]]:
    """What is said of a face that was found, each with its figures."""
    near = inversion.likeness
    figures = {"PSNR": near.psnr, "LPIPS": near.lpips, "identity": near.identity}
    said = ", ".join(f"{name} {value:.2f}" for name, value in figures.items() if value is not None)
    good = [near.psnr is None or near.words[0] != "only the pose and colours", "not sure" not in near.words[-1]]
    spent = f"{inversion.steps} steps, {inversion.seconds:.1f} s" if inversion.steps else ""
    return [
        {"text": text, "figure": said if place == 0 else spent, "good": fine}
        for place, (text, fine) in enumerate(zip(near.words, good, strict=False))
    ]


def show_cell(walk: Walk, row: int, column: int, image: np.ndarray) -> None:
    rows = list(walk.value["rows"])
    cells = list(rows[row]["cells"])
    cells[column] = served(to_png(image), f"frame-{column + 1}.png")
    rows[row] = {**rows[row], "cells": cells}
    walk.value["rows"] = rows


def row_words(result: TraverseResult) -> list[dict[str, Any]]:
    jump = "" if result.evenness is None else f"the largest step is {result.evenness:.1f} times the mean one"
    found, *even = result.rows[0].words
    words = [{"text": found, "figure": "", "good": " all " in found}]
    words += [{"text": text, "figure": jump, "good": "jump" not in text} for text in even]
    animals = [{"text": text, "figure": "", "good": not text.startswith("0 ")} for row in result.rows[1:] for text in row.words]
    return words + animals


def show_rows(walk: Walk) -> None:
    """All frames, what is said of them, and the array."""
    result = walk.result
    walk.value["words"] = row_words(result)
    walk.value["recipe"] = pretty(result.recipe)
    for place, row in enumerate(result.rows):
        if not all(walk.value["rows"][place]["cells"]):
            for column, image in enumerate(row.images):
                show_cell(walk, place, column, image)
        rows = list(walk.value["rows"])
        rows[place] = {**rows[place], "words": list(row.words), "study": row.study}
        walk.value["rows"] = rows
    if result.array is not None:
        pictures = [image for line in result.array for image in line]
        walk.value["array"] = {"src": sprites(pictures, len(result.array)), "side": len(result.array)}


def follow_film(walk: Any, steps: Generator, show: Callable[[Any], None]) -> Iterator[Any]:
    """Keeps the film that ``steps`` end in with the ``walk`` and lets ``show`` draw it; each step has nothing new for gradio."""
    from studio.pipelines.manifold import Film

    with closing(steps):
        for step in steps:
            if isinstance(step, Film):
                walk.film = step
                show(walk)
            else:
                walk.value |= progress(step)
            yield gr.skip()


def show_film(walk: Walk) -> None:
    """The pictures that the slider shows, a sprite for each row: they answer without a question to the server."""
    from studio.pipelines.manifold import BETWEEN

    rows = [{"src": sprites(images, SPRITES), "size": len(images[0])} for images in walk.film.rows]
    walk.value["film"] = {"rows": rows, "count": len(walk.film.rows[0]), "across": SPRITES, "between": BETWEEN}
    if walk.place is not None:
        names, animal = [row.animal or "" for row in walk.result.rows], walk.place.pop("animal")
        walk.value["place"] = {**walk.place, "row": names.index(animal) if animal in names else 0}
        walk.place = None


def sprites(images: Sequence[np.ndarray], across: int) -> dict[str, Any]:
    """Pictures in one file, ``across`` in a row."""
    side = len(images[0])
    down = -(-len(images) // across)
    joined = Image.new("RGB", (across * side, down * side))
    for place, image in enumerate(images):
        joined.paste(Image.fromarray(image), (place % across * side, place // across * side))
    file = io.BytesIO()
    joined.save(file, "WEBP", quality=92, method=3)
    return served(file.getvalue(), "film.webp")


def summary(walk: Walk) -> str:
    if walk.stopped:
        return "Stopped; what was made is kept."
    if walk.result is None:
        return "Found. Add another face to walk to."
    return f"{walk_title(walk)}. Drag the slider, or play it."


def inline(image: np.ndarray) -> str:
    """A small picture, uint8 (H, W, 3), as an address that holds it: it takes no second way to the server."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG", compress_level=1)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
