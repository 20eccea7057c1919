"""What the measuring commands share: their options, the engine with its bar, and how a figure is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from studio.cli.console import step_bar

Data = Annotated[Path | None, typer.Option(help="Folder of the data packs.", exists=True, file_okay=False)]
Parts = Annotated[str, typer.Option(help="What to measure, with commas between.")]
Pictures = Annotated[int, typer.Option(min=1, help="Each model learns from.")]
Runs = Annotated[int, typer.Option(min=1, help="Of each model, from other seeds.")]


@contextmanager
def measuring(quiet: bool) -> Iterator[tuple[Any, Callable[[int, int, str], None]]]:
    """The engine, and a bar's ``report(done, total, what happens now)``.

    Raises:
        ValueError: a file is not there; the message names the data pack that is missing.
    """
    from studio.core.engine import Engine

    with Engine() as engine, step_bar("Reading the packs", quiet) as report:
        try:
            yield engine, report
        except FileNotFoundError as error:
            raise ValueError(str(error)) from error


def split_names(text: str) -> list[str]:
    """"faces, birds" as names, an empty one among them where nothing stands: whoever knows the names then says so."""
    return [name.strip() for name in text.split(",")]


def known(text: str, kind: str, names: Sequence[str]) -> list[str]:
    """As :func:`split_names`.

    Raises:
        ValueError: one is not among ``names``, those of each ``kind``.
    """
    wanted = split_names(text)
    if unknown := set(wanted) - set(names):
        raise ValueError(f"There is no {kind} {', '.join(sorted(unknown))}; there is {', '.join(names)}.")
    return wanted


def spread(figure: dict[str, float]) -> str:
    """A figure of several runs, as a mean and how far they spread."""
    return f"{figure['mean']:g} ± {figure['std']:g}"
