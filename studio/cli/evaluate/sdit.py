"""``evaluate sdit``: photos translated into many domains by one network."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from studio.cli.console import emit, print_claims, print_table
from studio.cli.evaluate.shared import Data, Parts, Pictures, known, measuring
from studio.cli.options import Json


def evaluate_sdit(
    data: Data = None,
    parts: Parts = "models,attributes,art,cars",
    pictures: Pictures = 10_000,
    size: Annotated[int, typer.Option(help="Of the models' pictures, in px: 64 or 128.")] = 64,
    photos: Annotated[int, typer.Option(min=2, help="New photos of each part.")] = 24,
    styles: Annotated[int, typer.Option(min=2, help="Pictures of each.")] = 10,
    as_json: Json = False,
) -> None:
    """Train small variants of SDIT; turn attributes round; classify photos by what translated ones teach."""
    from studio.train.evaluate_sdit import ONE_ANSWER
    from studio.train.evaluate_sdit import evaluate_sdit as measure
    from studio.train.sdit import CONFIGS, DOMAINS, VARIANTS

    wanted = known(parts, "part", ("models", *DOMAINS, ONE_ANSWER))
    if size not in CONFIGS:
        raise ValueError(f"Models of {size} px are not known; there is {', '.join(map(str, CONFIGS))}.")
    names = tuple(VARIANTS) if "models" in wanted else ()
    with measuring(quiet=as_json) as (engine, report):
        domains = [name for name in wanted if name != "models"]
        figures = measure(engine, domains, names, pictures, size, photos, styles, data, report)
    emit(figures.to_dict(), as_json, _show_sdit)


def _show_sdit(data: dict[str, Any]) -> None:
    def table(title: str, first: str, columns: tuple[str, ...], rows: list[dict[str, Any]]) -> None:
        heads = (first, *(name.replace("_", " ") for name in columns))
        print_table(title, heads, [(row["name"].replace("_", " "), *(row[name] for name in columns)) for row in rows])

    faces = "id_distance", "lpips", "as_asked"
    if data["table"]:
        table(f"Table 6.1, {data['pictures']} pictures each", "variant", faces, data["table"])
    if data["attributes"]:
        rows = [*data["attributes"], {"name": "mean"} | data["means"]["attributes"]]
        table(f"Attributes of {data['photos']} faces", "attribute", (*faces, "lpips_photographs"), rows)
    if data["deterministic"]:
        rows = [*data["deterministic"], {"name": "mean"} | data["means"]["deterministic"]]
        table("The same, one answer each", "attribute", faces, rows)
    if data["attended"]:
        table("Times more than chance on its part of the face", "attribute", ("attention", "change"), data["attended"])
    for part, domains in data["domains"].items():
        columns = "accuracy", "accuracy_photographs", "lpips", "lpips_photographs"
        table(f"Reverse classification: {part}", "domain", columns, [*domains, {"name": "mean"} | data["means"][part]])
    for part, ways in data["networks"].items():
        rows = [(way["way"], way["networks"], f"{way['parameters'] / 1e6:.1f} million") for way in ways]
        print_table(f"Networks for {part}", ("way", "networks", "parameters"), rows)
    print_claims(data["claims"])
