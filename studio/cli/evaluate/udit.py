"""``evaluate udit``: makeup and age that leave who somebody is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from studio.cli.console import emit, print_claims, print_table
from studio.cli.evaluate.shared import Data, Parts, known, measuring
from studio.cli.options import Json


def evaluate_udit(
    data: Data = None,
    pairs: Parts = "makeup,age",
    photos: Annotated[int, typer.Option(min=2, help="Of each kind at most.")] = 100,
    looks: Annotated[int, typer.Option(min=2, help="Of each photo.")] = 20,
    size: Annotated[int, typer.Option(min=1, help="Of the networks' pictures, in px.")] = 128,
    runs: Annotated[Path, typer.Option(help="Folder of the runs that left other variants.")] = Path("runs"),
    as_json: Json = False,
) -> None:
    """Measure what makeup and age change of who somebody is, and how different their looks are."""
    from studio.train.evaluate_udit import evaluate_udit as measure
    from studio.train.udit import PAIRS

    wanted = known(pairs, "pair", tuple(PAIRS))
    with measuring(quiet=as_json) as (engine, report):
        figures = measure(engine, wanted, photos, looks, size, runs, data, report)
    emit(figures.to_dict(), as_json, _show_udit)


def _show_udit(data: dict[str, Any]) -> None:
    columns = "flips", "confidence_drop", "id_distance", "as_asked", "lpips", "kid"
    for name, title in (("table", "Figure 5.5 and table 5.4"), ("curve", "Over keep")):
        rows = [(row["inputs"], row["name"], row["keep"], *(row[column] for column in columns)) for row in data[name]]
        print_table(title, ("photos", "network", "keep", *(column.replace("_", " ") for column in columns)), rows)
    columns = "group", "keep", "photos", "flips", "flips_of_photos", "id_distance", "skin_delta_e", "ita_shift"
    print_table("Groups", [c.replace("_", " ") for c in columns], [[row[c] for c in columns] for row in data["groups"]])
    print_claims(data["claims"])
