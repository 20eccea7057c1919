"""What commands print: JSON or tables on stdout, bars on stderr."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any


def emit(data: Any, as_json: bool, show: Callable[[Any], None]) -> None:
    """Prints ``data`` as JSON, or hands it to ``show`` for people."""
    if as_json:
        print(json.dumps(data, indent=1, ensure_ascii=False))
    else:
        show(data)


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """A table on stdout; cells are printed as they are, never read as markup."""
    from rich.console import Console
    from rich.table import Column, Table
    from rich.text import Text

    first, *others = columns  # the id: cut or broken in two it is of no use to the next command
    table = Table(Column(first, no_wrap=True), *(Column(name, overflow="fold") for name in others), title=title)
    for row in rows:
        table.add_row(*(Text(str(cell)) for cell in row))
    Console().print(table)


def print_claims(claims: Mapping[str, Mapping[str, Any]]) -> None:
    """What a paper says, and whether it holds here."""
    rows = [(name.replace("_", " "), "holds" if claim["holds"] else "fails") for name, claim in claims.items()]
    print_table("Claims", ("claim", ""), rows)


def print_sheet(data: Mapping[str, Any]) -> None:
    """The last lines of a command that made pictures: its sheet's file, and whether ``again`` made them as they were."""
    print("sheet:", data["sheet"])
    if not data.get("exact", True):
        print("The networks have changed since that picture was made, so this one differs.")


@contextmanager
def download_bar(label: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on stderr; yields ``report(done, total)`` in bytes."""
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TransferSpeedColumn

    columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn()
    with _bar(label, *columns) as update:
        yield lambda done, total: update(completed=done, total=total)


@contextmanager
def step_bar(label: str, quiet: bool) -> Iterator[Callable[[int, int, str], None]]:
    """A progress bar on stderr, none if ``quiet``; yields ``report(done, total, what happens now)``."""
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with _bar(label, *columns, quiet=quiet) as update:
        yield lambda done, total, now: update(completed=done, total=total, description=now)


@contextmanager
def _bar(label: str, *columns: Any, quiet: bool = False) -> Iterator[Callable[..., None]]:
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=quiet or not console.is_terminal) as bars:
        yield partial(bars.update, bars.add_task(label, total=None))
