"""``evaluate xgan``: the faces that a generator never draws."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from studio.cli.console import emit, print_table
from studio.cli.evaluate.shared import Data, Pictures, Runs, measuring, split_names, spread
from studio.cli.options import Json


def evaluate_xgan(
    data: Data = None,
    models: Annotated[str, typer.Option(help="Rows of the table with commas between, or all.")] = "all",
    pictures: Pictures = 10_000,
    runs: Runs = 3,
    samples: Annotated[int, typer.Option(min=20, help="Of each model, to tell from photographs.")] = 1000,
    as_json: Json = False,
) -> None:
    """Train small X-GANs, their ablations and their baseline, and count the faces that each never draws."""
    from studio.train.evaluate_xgan import evaluate_xgan as measure
    from studio.train.xgan import VARIANTS

    names = list(VARIANTS) if models == "all" else split_names(models)
    with measuring(quiet=as_json) as (engine, report):
        table = measure(engine, names, pictures, runs, samples, data, report)
    emit(table.to_dict(), as_json, _show_xgan)


def _show_xgan(data: dict[str, Any]) -> None:
    thresholds = list(data["rows"][0]["missing"])
    rows = [(r["name"], *(spread(r["missing"][t]) for t in thresholds), spread(r["inception_score"])) for r in data["rows"]]
    columns = "model", *(f"D* > {t}" for t in thresholds), "inception score"
    print_table(f"Of {data['test']} new faces each misses", columns, rows)
