"""``python -m studio ...``: the pipelines without a browser.

Every command takes ``--json`` and then prints JSON alone on stdout; progress and errors go to stderr. An error the
artist can mend is one line and exit code 2. Commands import what they need when they run, so ``--help`` stays fast.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import typer

from studio.cli.apps import app

__all__ = ["app", "main"]

# Typer bundles click under a private name; this is click's UsageError in every version of both.
UsageError = typer.BadParameter.__base__

# Only the errors of modules that a command has loaded can reach main(), so naming them imports nothing.
FOR_THE_ARTIST = {
    "studio.core.registry": "UnknownModel",
    "studio.core.checkpoints": "CheckpointError",
    "studio.core.images": "PhotoError",
    "studio.core.faces": "FaceError",
    "studio.core.recipe": "RecipeError",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code: 0, 1 (``verify`` found something bad), 2 (a mistake), 130 (Ctrl-C)."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        code = app(args=arguments or ["--help"], prog_name="python -m studio", standalone_mode=False)
    except UsageError as error:
        return _fail(error.format_message())
    except Exception as error:
        if not isinstance(error, _artists_errors()):
            raise
        return _fail(str(error))
    return code if isinstance(code, int) else 0


def _artists_errors() -> tuple[type[Exception], ...]:
    loaded = (getattr(sys.modules.get(module), name, None) for module, name in FOR_THE_ARTIST.items())
    return ValueError, *(error for error in loaded if error)


def _fail(message: str) -> int:
    print("error:", " ".join(message.split()), file=sys.stderr)
    return 2
