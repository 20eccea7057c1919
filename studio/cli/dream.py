"""``sample``: faces that never were, and animals of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from studio.cli.console import emit, print_sheet, print_table
from studio.cli.files import save_picture
from studio.cli.making import Made, steps_of
from studio.cli.options import Json, OutFolder, animal_in


def sample(
    generator: Annotated[
        str, typer.Option(help="dcgan, k-dcgan, began, k-began or flagship; the one nearest to photographs if not given.")
    ] = "",
    animal: Annotated[str | None, typer.Option(help="What a K-GAN imagines, and what --strength makes of the faces.")] = None,
    count: Annotated[int, typer.Option("--n", help="How many faces.")] = 16,
    seed: Annotated[int, typer.Option(help="The same seed gives the same faces.")] = 0,
    truncation: Annotated[
        float | None, typer.Option(help="The flagship's: 0.3 near the average face, 1 anything goes; 0.7 if not given.")
    ] = None,
    imagination: Annotated[float, typer.Option(help="K-GANs: 0 the plain GAN, 1 the K-GAN.")] = 1.0,
    strength: Annotated[float, typer.Option(help="0 the face itself, 1 the animal, up to 1.3 a caricature.")] = 0.0,
    stages: Annotated[bool, typer.Option("--stages", help="One sheet of samples and what becomes of them.")] = False,
    out: OutFolder = Path("results"),
    as_json: Json = False,
) -> None:
    """Dream up faces that never were, and animals of them; writes a picture for each and a sheet of all."""
    from studio.pipelines.dream import DreamRequest

    generator = generator or ("flagship" if truncation is not None else _nearest())
    daring = {} if truncation is None else {"truncation": truncation}
    dreamt = animal and animal_in(animal)
    request = DreamRequest(generator, dreamt, count, seed, imagination=imagination, strength=strength, **daring)
    _, data = (_make_stages if stages else _make_dreams)(request, out, quiet=as_json)
    emit(data, as_json, _show_dreams)


def _nearest() -> str:
    """The generator whose faces are nearest to photographs."""
    from studio.core.registry import default_registry
    from studio.pipelines.dream import GENERATORS, list_generators, nearest_first

    found = nearest_first(list_generators(default_registry()))
    return found[0].name if found else GENERATORS[0]


def make_again(recipe: Any, photos: Sequence[Path], out: Path, quiet: bool) -> Made:
    """Dreams again what the recipe tells of; dreams need no photos."""
    from studio.pipelines.dream import request_from_recipe

    make = _make_stages if recipe.verb == "stages" else _make_dreams
    return *make(request_from_recipe(recipe), out, quiet), _show_dreams


def _make_dreams(request: Any, out: Path, quiet: bool) -> tuple[Any, dict[str, Any]]:
    """Dreams and saves. Returns the recipe and the rows to print."""
    from studio.pipelines.dream import Candidate, dream

    rows, made = [], "-".join(filter(None, [request.generator, request.animal]))
    for step in steps_of(dream, request, "Waking the networks", quiet):
        if isinstance(step, Candidate):
            path = save_picture(out, f"{made}-{request.seed}-{step.index}", step.image, step.recipe)
            words = {"verdicts": list(step.verdicts), "study": step.study, "seconds": round(step.seconds, 4)}
            rows.append({"path": path, **_dream_row(request, step), **words})
    # The last step is the result.
    return step.recipe, {"results": rows, "sheet": save_picture(out, "sheet", step.sheet, step.recipe)}


def _make_stages(request: Any, out: Path, quiet: bool) -> tuple[Any, dict[str, Any]]:
    """Makes figure 3 and saves its sheet. Returns the recipe and the rows to print."""
    from studio.pipelines.dream import stage_by_stage

    (result,) = steps_of(stage_by_stage, request, "Waking the networks", quiet)
    rows = [{**_dream_row(request, cell), "stage": cell.stage} for cell in result.cells]
    return result.recipe, {"results": rows, "sheet": save_picture(out, "stages", result.sheet, result.recipe)}


def _dream_row(request: Any, cell: Any) -> dict[str, Any]:
    scores = {"face_score": cell.face_score, "animal_score": cell.animal_score, "originality": cell.originality}
    return {"index": cell.index, "seed": request.seed, "generator": request.generator, "animal": request.animal, **scores}


def _show_dreams(data: dict[str, Any]) -> None:
    rows = [
        (str(r["index"]), r.get("stage", ""), "; ".join(r.get("verdicts", [])), _figure(r["originality"]), r.get("path", ""))
        for r in data["results"]
    ]
    print_table("Dreams", ("number", "stage", "how it reads", "originality", "file"), rows)
    print_sheet(data)


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"
