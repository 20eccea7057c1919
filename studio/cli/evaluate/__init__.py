"""``evaluate ...``: the networks measured on the data packs, as the papers measured theirs."""

from __future__ import annotations

import typer

from studio.cli.evaluate import character, cvaegan, ian, reversal, sdit, udit, xgan

COMMANDS = {
    "character": character.evaluate_character,
    "ian": ian.evaluate_ian,
    "xgan": xgan.evaluate_xgan,
    "cvaegan": cvaegan.evaluate_cvaegan,
    "sdit": sdit.evaluate_sdit,
    "udit": udit.evaluate_udit,
    "reversal": reversal.evaluate_reversal,
    "kdegan": reversal.evaluate_kdegan,
}

app = typer.Typer(help="Measure networks on the data packs.", no_args_is_help=True)
for name, command in COMMANDS.items():
    app.command(name)(command)
