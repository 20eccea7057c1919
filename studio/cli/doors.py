"""``train`` and ``serve``: the ways to the parts of the studio that have options of their own."""

from __future__ import annotations

import typer

from studio.cli.options import Json


def train(context: typer.Context, as_json: Json = False) -> int:
    """Train networks; `train --help` lists the options, `train` alone the recipes."""
    from studio.train.__main__ import main as run_training

    return run_training([*context.args, *(["--json"] if as_json else [])])


def serve(context: typer.Context) -> None:
    """Start the studio and open it to a browser; takes the flags of `app.py`."""
    from studio.ui.serve import main as open_studio

    open_studio(context.args)
