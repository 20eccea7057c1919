"""What commands that make pictures share: running a verb of a pipeline, and what there is to say of any result."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from studio.cli.console import step_bar
from studio.cli.files import save_picture

# The recipe, what to print of it, and what prints that for people.
Made = tuple[Any, dict[str, Any], Callable[[Any], None]]


def steps_of(verb: Callable[..., Iterator[Any]], request: Any, label: str, quiet: bool) -> Iterator[Any]:
    """What a pipeline's verb yields besides its progress, which goes to a bar."""
    from studio.core.engine import Engine
    from studio.pipelines.parts import Progress

    with Engine() as engine, step_bar(label, quiet) as report:
        for step in verb(engine, request):
            if isinstance(step, Progress):
                report(step.done, step.total, step.message)
            else:
                yield step


def ending(result: Any, name: str, out: Path, began: float) -> dict[str, Any]:
    """What results of a tab end in; the sheet is saved."""
    sheet = save_picture(out, name, result.sheet, result.recipe)
    spent = round(time.perf_counter() - began, 3)
    return {"seconds": spent, "study": result.study, "checkpoints": result.recipe.checkpoints, "sheet": sheet}


def found_figures(found: Any) -> dict[str, Any]:
    """How near a photo was found in a latent space, and in what time."""
    near = found.likeness
    figures = {"psnr": near.psnr, "lpips": near.lpips, "identity": near.identity}
    return {**{name: rounded(value) for name, value in figures.items()}, "seconds": round(found.seconds, 3)}


def rounded(value: float | None) -> float | None:
    """A figure as it is printed; None where nobody could say."""
    return None if value is None else round(value, 4)
