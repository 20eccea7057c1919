"""``evaluate ian``: the generators and their cascades."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from studio.cli.console import emit, print_claims, print_table
from studio.cli.evaluate.shared import Data, measuring
from studio.cli.options import Json


def evaluate_ian(
    data: Data = None,
    samples: Annotated[int, typer.Option(min=2, help="Samples of each row; the animals share them.")] = 1000,
    save: Annotated[bool, typer.Option("--save", help="Put the figures into the generators' cards.")] = False,
    as_json: Json = False,
) -> None:
    """Measure the generators and their cascades as Table 1 of IAN does, on the data packs."""
    from studio.pipelines.dream import list_generators
    from studio.pipelines.parts import list_animals
    from studio.train.evaluate import save_measures
    from studio.train.evaluate_ian import evaluate_ian as measure

    with measuring(quiet=as_json) as (engine, report):
        generators = {info.label: info.cards for info in list_generators(engine)}
        table = measure(engine, generators, [info.card for info in list_animals(engine)], samples, data, report)
        for model in table.models if save else ():
            save_measures(engine.registry, model)
    emit(table.to_dict(), as_json, _show_ian)


def _show_ian(data: dict[str, Any]) -> None:
    names = "score_x", "score_y", "score", "error_x", "error_y", "error"
    rows = [(row["name"], *(f"{row[name]:.2f}" for name in names)) for row in data["rows"]]
    columns = "model", "score(X)", "score(Y)", "avg", "err(X)", "err(Y)", "avg"
    print_table(f"Table 1 in percent, on {', '.join(data['animals'])}", columns, rows)
    figures = [name for name in data["distances"][0] if name != "name"]
    print_table("Faces as a set", ("model", *figures), [[row["name"], *map(row.get, figures)] for row in data["distances"]])
    print_claims(data["claims"])
