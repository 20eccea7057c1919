"""``evaluate cvaegan``: pictures drawn as asked, what they teach, filled holes and changed attributes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer

from studio.cli.console import emit, print_claims, print_table
from studio.cli.evaluate.shared import Data, Parts, Pictures, Runs, known, measuring, split_names, spread
from studio.cli.options import Json

PARTS = "models,augmentation,holes,attributes"


def evaluate_cvaegan(
    data: Data = None,
    parts: Parts = PARTS,
    domains: Annotated[str, typer.Option(help="Of the models: faces, flowers, birds.")] = "faces",
    pictures: Pictures = 10_000,
    runs: Runs = 2,
    samples: Annotated[int, typer.Option(min=20, help="Of each model.")] = 1000,
    photos: Annotated[int, typer.Option(min=2, help="New faces with holes, and with changed attributes.")] = 24,
    as_json: Json = False,
) -> None:
    """Train small CVAE-GANs and what they are compared with; teach with drawn people; fill holes, change attributes."""
    from studio.pipelines.conditioned import sliders
    from studio.train.cvaegan import VARIANTS
    from studio.train.evaluate_cvaegan import evaluate_cvaegan as measure

    wanted = known(parts, "part", split_names(PARTS))
    with measuring(quiet=as_json) as (engine, report):
        changes = "attributes" in wanted
        attributes = [slider.attribute for slider in sliders(engine)] if changes else []
        find, fill = _changer(engine) if changes else None, _filler(engine) if "holes" in wanted else None
        draw = _drawer(engine) if "augmentation" in wanted else None
        names, kinds = tuple(VARIANTS) if "models" in wanted else (), tuple(split_names(domains))
        figures = measure(engine, find, fill, attributes, names, kinds, draw, pictures, runs, samples, photos, data, report)
    emit(figures.to_dict(), as_json, _show_cvaegan)


def _drawer(engine: Any) -> Callable[[Any, Any], Any]:
    """What draws people, as the Morph tab does, for conditions (N, K) and with latents from a generator."""
    import numpy as np

    from studio.pipelines.conditioned import BATCH, draw, networks_of

    networks = networks_of(engine, "people")

    def drawn(conditions: Any, draws: Any) -> Any:
        latents = draws.standard_normal((len(conditions), networks.generator.config["latent"]), np.float32)
        starts = range(0, len(latents), BATCH)
        return np.concatenate([draw(engine, networks, latents[k : k + BATCH], conditions[k : k + BATCH]) for k in starts])

    return drawn


def _portrait(rgb: Any) -> tuple[Any, Any]:
    """A portrait of the packs, uint8 (128, 128, 3), as a photo with its face, whose eyes are where the frame puts them."""
    from studio.core.faces import FRAMES
    from studio.core.images import Photo
    from studio.pipelines.photos import FaceChoice

    return Photo(rgb, "0" * 64, "portrait"), FaceChoice(eyes=tuple(map(tuple, FRAMES["portrait"])))


def _changer(engine: Any) -> Callable[[Any], Callable[[str, float], tuple[float, float]]]:
    """What finds the face of a portrait and changes its attributes, as the Morph tab does."""
    from studio.pipelines.morph import AttributesRequest, attributes

    def find(rgb: Any) -> Callable[[str, float], tuple[float, float]]:
        photo, face = _portrait(rgb)
        *_, first = attributes(engine, AttributesRequest(photo, face=face))

        def change(attribute: str, value: float) -> tuple[float, float]:
            *_, result = attributes(engine, AttributesRequest(photo, {attribute: value}, face=face), first.found)
            return result.readings[0].after, result.identity

        return change

    return find


def _filler(engine: Any) -> Callable[[Any, Any, Any], list[Any]]:
    """What fills the hole of a portrait, as the Morph tab does: the portrait after some of the iterations."""
    from studio.pipelines.inpaint import InpaintRequest, Iteration, inpaint, settle

    def fill(rgb: Any, hole: Any, iterations: Any) -> list[Any]:
        photo, face = _portrait(rgb)
        request = InpaintRequest(photo, hole, iterations=max(iterations), candidates=1, face=face)
        steps = [step for step in inpaint(engine, request) if isinstance(step, Iteration)]
        return [settle(engine, request, step).fillings[0].image for step in steps if step.iteration in iterations]

    return fill


def _show_cvaegan(data: dict[str, Any]) -> None:
    if data["table"]:
        kinds = "accuracy", "balanced", "inception"
        rows = [(row["domain"], row["name"], *(spread(row[kind]) for kind in kinds)) for row in data["table"]]
        print_table("Table 1", ("domain", "model", "as asked", "balanced", "inception score"), rows)
    if data["augmentation"]:
        kinds = "recognised", "verified", "auc"
        rows = [(row["data"], *(spread(row[kind]) for kind in kinds)) for row in data["augmentation"]]
        print_table("Table 2", ("learnt from", *kinds), rows)
    if data["fillings"]:
        columns = "way", "psnr", "lpips", "identity"
        print_table(f"Holes in {data['photos']} faces", columns, [[f[name] for name in columns] for f in data["fillings"]])
    if data["sliders"]:
        rows = [(s["attribute"].replace("_", " "), *s["probability"], min(s["identity"])) for s in data["sliders"]]
        print_table(f"Attributes of {data['photos']} faces", ("attribute", *map(str, data["values"]), "least identity"), rows)
    print_claims(data["claims"])
