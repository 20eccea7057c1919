"""Widgets that every tab uses, and the way pictures take to the browser."""

from __future__ import annotations

import html
import io
import json
import re
import secrets
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from gradio.processing_utils import hash_bytes
from gradio.utils import get_upload_folder
from PIL import Image

from studio.core.checkpoints import CheckpointError
from studio.core.recipe import Recipe

ASSETS = Path(__file__).resolve().parents[2] / "assets"
SEEDS = 1_000_000  # what the dice roll: short enough to tell somebody
QUIET: dict[str, Any] = {"show_progress": "hidden", "queue": False, "api_visibility": "private"}
# What ``stage`` of the page draws before there is anything.
EMPTY_SHEET: dict[str, Any] = {
    "people": [], "animals": [], "items": {}, "done": 0, "total": 0, "message": "", "busy": False, "run": 0, "sheet": False,
    "zip": False,
}  # fmt: skip


def asset(name: str) -> str:
    """The text of a file in ``assets``."""
    return (ASSETS / name).read_text(encoding="utf-8")


def drawn(kind: str, elem_id: str, *events: str, value: Any = None) -> gr.HTML:
    """A part of the page that ``assets/studio.js`` draws from a JSON value; it may trigger ``events``.

    The template is constant: gradio then leaves the drawing alone when the value changes, so nothing jumps or blinks.
    """
    names = " ".join(f"'{event}'" for event in events)  # gradio knows an event by its quoted name in the script
    script = f"imaginarium.{kind}(element, {{ trigger, watch, props }}); /* {names} */"
    return gr.HTML(
        value, html_template="<!-- -->", js_on_load=script, apply_default_css=False, elem_id=elem_id, elem_classes=f"drawn-{kind}"
    )


def action_row(name: str) -> tuple[gr.HTML, gr.Button, gr.Button]:
    """The place where a part of a tab says what went wrong, and its buttons Make and Stop; their ids begin with ``name``."""
    with gr.Column(elem_classes="actions"):
        problem = gr.HTML("", elem_id=f"{name}-note", apply_default_css=False)
        with gr.Row(elem_classes="action-row"):
            make = gr.Button("Make", variant="primary", elem_classes="make-button", elem_id=f"{name}-make")
            stop = gr.Button("Stop", elem_classes="stop-button", elem_id=f"{name}-stop", interactive=False)
    return problem, make, stop


def seed_row(name: str, info: str | None = None) -> tuple[gr.Number, gr.events.Dependency]:
    """The seed, and the dice that roll another; returns it and the event that follows a roll. Their ids begin with ``name``."""
    with gr.Row(elem_classes="seed-row"):
        seed = gr.Number(
            0, label="Seed", info=info, precision=0, minimum=0, min_width=0, elem_id=f"{name}-seed", elem_classes="titled"
        )
        dice = gr.Button("⚄", elem_classes="dice", elem_id=f"{name}-dice", min_width=0)
    return seed, dice.click(lambda: secrets.randbelow(SEEDS), None, seed, **QUIET)


def served(data: bytes, name: str) -> dict[str, Any]:
    """A file the visitor's browser may fetch, under an address that nobody else can guess."""
    name = re.sub(r"[^\w., -]+", "_", name).strip(". ") or "picture"
    path = Path(get_upload_folder()) / hash_bytes(data) / name  # the hash is seeded with a secret
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():  # gradio would write it again, and cut it under whoever is just reading it
        whole = path.with_name(f"{secrets.token_hex(4)}.part")
        whole.write_bytes(data)
        whole.replace(path)
    path = path.resolve()
    return {"path": str(path), "orig_name": name, "meta": {"_type": "gradio.FileData"}}


def preview(rgb: np.ndarray, longest: int) -> bytes:
    """``rgb`` uint8 (H, W, 3) as a small JPEG, for looking at only."""
    image = Image.fromarray(rgb)
    image.thumbnail((longest, longest), Image.Resampling.LANCZOS, reducing_gap=3)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=88)
    return file.getvalue()


@lru_cache(maxsize=32)
def sample_preview(data: bytes | Path, name: str) -> dict[str, Any]:
    """A sample, small; made once for all visitors."""
    with Image.open(io.BytesIO(data) if isinstance(data, bytes) else data) as image:
        return served(preview(np.asarray(image.convert("RGB")), 160), name)


def note(text: str = "", error: bool = False) -> dict[str, Any]:
    """A sentence shown where its cause is."""
    return {"text": text, "error": error}


def event_value(event: gr.EventData, name: str) -> Any:
    """What the browser sent along with an event, or None; it is a stranger's word and needs a check."""
    return event._data.get(name) if isinstance(event._data, dict) else None


def stopping(room_of: Callable[[Any], Any]) -> Callable[[Any], tuple[Any, Any]]:
    """What a Stop button does: whoever makes something in the desk's room looks at its ``stopped`` between two steps."""

    def stop(desk: Any) -> tuple[Any, Any]:
        room_of(desk).stopped = True
        return desk, gr.Button(interactive=False)

    return stop


def guarded(
    desk: Any, room: Any, begin: Callable[[], Iterator[tuple[Any, ...]]], between: int = 1, after: int = 0
) -> Iterator[tuple[Any, ...]]:
    """What ``begin`` gives; an error is a sentence above the buttons, and what is on the canvas of the ``room`` stays there.

    ``between``: outputs between the canvas and that sentence, the strip among them; ``after``: those behind the buttons.
    """
    try:
        yield from begin()
    except (ValueError, CheckpointError, RuntimeError) as error:
        room.settle("Not finished.")
        yield desk, room.value, *(gr.skip(),) * between, problem_text(str(error)), *buttons(busy=False), *(gr.skip(),) * after


def buttons(busy: bool) -> tuple[Any, Any]:
    """Make and Stop."""
    return gr.Button(interactive=not busy), gr.Button(interactive=busy)


def problem_text(text: str) -> str:
    """A sentence above the buttons."""
    return f'<p class="note error" role="alert">{html.escape(text)}</p>'


def note_text(text: str) -> str:
    """A sentence above the buttons that is no problem."""
    return f'<p class="note" role="status">{html.escape(text)}</p>'


def progress(step: Any) -> dict[str, Any]:
    """How far it is, for the canvas; ``step`` has ``done``, ``total`` and ``message``."""
    left = f", {step.done} of {step.total} done" if step.total > 1 else ""
    return {"done": step.done, "total": step.total, "message": f"{step.message}{left}"}


def capital(label: str) -> str:
    """The label with a capital letter first."""
    return label[:1].upper() + label[1:]


def listed(names: Iterable[str]) -> str:
    """Names as a sentence has them: "a", "a and b", "a, b and c"."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def pretty(recipe: Recipe) -> str:
    """A recipe for people who read JSON."""
    return json.dumps(json.loads(recipe.to_json()), indent=1, ensure_ascii=False)
