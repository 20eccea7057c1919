"""What the browser draws of the way between two photos: a walk of one row, as the Manifold tab's canvas takes it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from studio.core.images import to_png
from studio.core.recipe import Recipe
from studio.ui.parts import capital, pretty, preview, served
from studio.ui.session import Run, Slot, Table
from studio.ui.source import source_crop
from studio.ui.tabs.manifold_canvas import EMPTY, SPRITES, likeness, sprites
from studio.ui.tabs.morph_canvas import has_faces

if TYPE_CHECKING:
    from studio.pipelines.conditioned import Found
    from studio.pipelines.manifold import Film, Preview
    from studio.pipelines.morph import MorphRequest, MorphResult

# The studio's pipelines are imported inside functions: torch comes with them, and the page must answer before that.

INVITATION = "Two photos are needed: choose samples or drop your own, then press Make."


@dataclass
class Way(Table, Run):
    """One visitor's two photos and the way between them; ``films`` are files that were asked for, ``sheet_id`` what is kept.

    ``domain`` is what the photos are of, ``photos`` are those of the others; ``samples`` the ids of those the page came with.
    """

    domain: str = "faces"
    photos: dict[str, list[Slot]] = field(default_factory=dict)
    result: MorphResult | None = None
    film: Film | None = None
    films: dict[str, bytes] = field(default_factory=dict)
    sheet_id: str = ""
    place: int | None = None
    samples: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.value = {**EMPTY, "message": INVITATION}

    def begin(self) -> int:
        """A new way; of the one before nothing is left, and no photos are waited for."""
        run, self.expected = super().begin(), ()
        self.result, self.film, self.films, self.sheet_id = None, None, {}, ""
        return run

    def turn(self, domain: str) -> None:
        """Looks at another domain; each keeps its photos."""
        before, self.domain = self.domain, domain
        if before != domain:
            self.photos[before], self.slots = self.slots, self.photos.get(domain, [])


def title_of(way: Way) -> str:
    return " to ".join(Path(end.photo_name).stem for end in way.result.ends)


def describe(recipe: Recipe) -> list[list[str]]:
    """A morph's settings for people."""
    asked = recipe.parameters
    step, domain, steps = asked.get("step"), asked.get("domain"), asked.get("steps")
    words = {
        "Shows": f"step {step}" if isinstance(step, int) else None,
        "Of": capital(domain) if isinstance(domain, str) else None,
        "Frames": asked.get("frames"),
        "Care": f"{steps} steps" if isinstance(steps, int) else None,
    }
    return [[name, str(text)] for name, text in words.items() if text is not None]


# -- what the browser draws -----------------------------------------------------------------------------------------------


def start(way: Way, request: MorphRequest) -> None:
    """The canvas before anything arrives."""
    way.value = {
        **EMPTY,
        "faces": [_end(slot, request.domain) for slot in way.slots],
        "rows": [{"label": "Morph", "cells": [None] * request.frames, "words": [], "study": None}],
        "columns": request.frames,
        "loop": False,
        "message": "Starting",
        "busy": True,
        "run": way.run,
    }


def _end(slot: Slot, domain: str) -> dict[str, Any]:
    """A photo at one end of the way."""
    crop = source_crop(slot, "head") if has_faces(domain) else served(preview(slot.photo().rgb, 320), f"{slot.name}.jpg")
    return {"id": slot.id, "name": Path(slot.name).stem, "src": crop, "found": None, "words": "", "figure": ""}


def show_end(way: Way, index: int, found: Found, study: str | None) -> None:
    """A photo as it was found."""
    near = found.likeness
    change_end(way, index, {
        "found": served(to_png(found.image), "found.png"), "words": near.words[0], "figure": f"{near.psnr:.1f} dB",
        "sought": False, "facts": likeness(found), "study": study,
    })  # fmt: skip


def change_end(way: Way, index: int, change: dict[str, Any]) -> None:
    faces = list(way.value["faces"])
    faces[index] = {**faces[index], **change}
    way.value["faces"] = faces


def show_preview(way: Way, step: Preview) -> None:
    """A photo as far as it has been found."""
    image = served(to_png(step.image), "preview.png")
    change_end(way, step.photo_index, {"found": image, "words": "being found…", "figure": f"{step.psnr:.1f} dB", "sought": True})


def show_result(way: Way) -> None:
    """The strip, and what is said of it."""
    result = way.result
    cells = [served(to_png(image), f"frame-{column + 1}.png") for column, image in enumerate(result.images)]
    way.value["rows"] = [{**way.value["rows"][0], "cells": cells, "words": list(result.words), "study": result.study}]
    way.value |= {"words": [], "recipe": pretty(result.recipe)}  # what is said of both ends is said there


def show_film(way: Way) -> None:
    """The pictures that the slider shows, in one file: they answer without a question to the server."""
    from studio.pipelines.manifold import BETWEEN

    (images,) = way.film.rows
    rows = [{"src": sprites(images, SPRITES), "size": len(images[0])}]
    way.value["film"] = {"rows": rows, "count": len(images), "across": SPRITES, "between": BETWEEN}
    if way.place is not None:
        way.value["place"], way.place = {"step": min(max(way.place, 0), len(images) - 1), "row": 0}, None
