"""The commands there are, in the order in which ``--help`` lists them."""

from __future__ import annotations

import typer

from studio.cli import (
    again,
    character,
    domains,
    doors,
    dream,
    evaluate,
    gallery,
    makeup,
    manifold,
    morph,
    neighbours,
    weights,
)

COMMANDS = (
    weights.models,
    weights.verify,
    weights.pull,
    weights.push,
    character.character,
    dream.sample,
    manifold.invert,
    manifold.traverse,
    neighbours.neighbours,
    morph.morph,
    morph.attributes,
    morph.inpaint,
    morph.classes,
    morph.mix,
    makeup.makeup,
    domains.domains,
    again.again,
)
# Their options are read by what they open, which has a --help of its own.
DOORS = doors.train, doors.serve

app = typer.Typer(
    name="studio", help="Imaginarium, a creative studio.", add_completion=False, pretty_exceptions_enable=False
)
for command in COMMANDS:
    app.command()(command)
for door in DOORS:
    app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True}, add_help_option=False)(door)
app.add_typer(gallery.app, name="gallery")
app.add_typer(evaluate.app, name="evaluate")
