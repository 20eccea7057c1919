"""``evaluate reversal`` and ``kdegan``: faces found in a latent space, and a GAN that finds the modes again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from studio.cli.console import emit, print_claims, print_table, step_bar
from studio.cli.evaluate.shared import Data, measuring
from studio.cli.options import Json


def evaluate_reversal(
    data: Data = None,
    photos: Annotated[int, typer.Option(min=2, help="New faces to find.")] = 24,
    as_json: Json = False,
) -> None:
    """Measure how near faces of part 9 are found in the latent space, beside plain descent (generator reversal)."""
    from studio.pipelines.manifold import STEPS
    from studio.train.evaluate_reversal import OURS
    from studio.train.evaluate_reversal import evaluate_reversal as measure

    with measuring(quiet=as_json) as (engine, report):
        ways = {f"{OURS}, {steps} steps": _finder(engine, steps) for steps in (STEPS, 30)}
        ways["the encoder's guess"] = _finder(engine, 0)
        figures = measure(engine, ways, photos, data, report)
    emit(figures.to_dict(), as_json, _show_reversal)


def _finder(engine: Any, steps: int) -> Callable[[Any], tuple[Any, float]]:
    """What finds a head, uint8 (R, R, 3), as the Manifold tab does: the picture and the seconds."""
    from studio.core.images import Photo
    from studio.pipelines.manifold import InvertRequest, invert

    def find(head: Any) -> tuple[Any, float]:
        request = InvertRequest((Photo(head, "0" * 64, "head"),), steps=steps, frame="centre")
        *_, result = invert(engine, request)
        (found,) = result.inversions
        return found.image, found.seconds

    return find


def _show_reversal(data: dict[str, Any]) -> None:
    columns = "name", "psnr", "lpips", "identity", "same", "nearer", "seconds"
    rows = [[way[name] if way[name] is not None else "" for name in columns] for way in data["ways"]]
    print_table(f"{data['photos']} new faces", ("way", *columns[1:]), rows)
    errors = [(f"{name}, {kind}", *curve.values()) for name, kinds in data["errors"].items() for kind, curve in kinds.items()]
    marks = next(iter(next(iter(data["errors"].values())).values()))
    cells = [(name, *map("{:.4f}".format, curve)) for name, *curve in errors]
    print_table("Squared error", ("weights", *(f"{step} steps" for step in marks)), cells)
    promises = [(way, name.replace("_", " "), p["holds"]) for way, all_ in data["promises"].items() for name, p in all_.items()]
    print_table("Promises", ("way", "promise", ""), [(*said, "kept" if holds else "not kept") for *said, holds in promises])


def evaluate_kdegan(
    steps: Annotated[int, typer.Option(min=8, help="Of each training.")] = 320,
    seed: Annotated[int, typer.Option(help="Of the networks and draws.")] = 0,
    pictures: Annotated[Path | None, typer.Option(help="Folder for samples.", exists=True, file_okay=False)] = None,
    as_json: Json = False,
) -> None:
    """Train KDE-GAN and the plain GAN on digits, from one start, and measure both."""
    from studio.train.evaluate_reversal import evaluate_kdegan as measure

    with step_bar("Reading the digits", quiet=as_json) as report:
        figures = measure(steps, seed, pictures, report)
    emit(figures.to_dict(), as_json, _show_kdegan)


def _show_kdegan(data: dict[str, Any]) -> None:
    names = list(data["training"])
    points = zip(*(data["training"][name]["points"] for name in names), strict=True)
    rows = [(both[0]["steps"], *(point["inception_score"] for point in both)) for both in points]
    print_table("Inception score over training", ("steps", *names), rows)
    table = [(name, scores["restricted"], scores["after"], scores["full"]) for name, scores in data["recovery"].items()]
    print_table("Recovery of modes", ("", "restricted", "full after restriction", "full"), table)
    print_claims(data["claims"])
