"""``domains``: photos become what was asked for."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from studio.cli.console import emit, print_sheet, print_table
from studio.cli.files import open_style, save_new, save_picture
from studio.cli.making import Made, rounded, steps_of
from studio.cli.options import Face, Json, OutFolder, face_of, names_in


def domains(
    photos: Annotated[list[Path] | None, typer.Argument(metavar="[PHOTO...]", help="Of people; any for art and cars.")] = None,
    to: Annotated[
        str,
        typer.Option(help="What to make, with commas between; a+b asks for both at once, no:a takes it away. All if not given."),
    ] = "",
    between: Annotated[str, typer.Option("--domains", help="attributes, art or cars; what --to names tells as well.")] = "",
    styles: Annotated[int, typer.Option(help="How many styles to draw.")] = 4,
    seed: Annotated[int, typer.Option(help="The same seed gives the same styles.")] = 0,
    strength: Annotated[float, typer.Option(help="0 the photo itself, 1 all of the change.")] = 1.0,
    style: Annotated[list[Path] | None, typer.Option("--style", help="A style's file to use; again for each.")] = None,
    lock: Annotated[str, typer.Option(help="What must not change: identity, gender, age, skin, makeup.")] = "",
    attended: Annotated[bool, typer.Option("--attended", help="Hold the change to where the network attends.")] = False,
    attention: Annotated[bool, typer.Option("--attention", help="Also write where the network attends.")] = False,
    save_styles: Annotated[bool, typer.Option("--save-styles", help="Also write each style as a small file.")] = False,
    face: Face = None,
    every: Annotated[bool, typer.Option("--list", help="Only list the domains there are.")] = False,
    out: OutFolder = Path("results"),
    as_json: Json = False,
) -> None:
    """Give faces a smile, glasses or other hair, paint photos, colour cars; writes every picture, and a sheet for each photo."""
    if every:
        return emit(_listed(), as_json, _show_listed)
    if not photos:
        raise ValueError("Name a photo, or --list to see what it can become.")
    asked = {"count": styles, "seed": seed, "strength": strength, "attention": attended, "locks": names_in(lock)}
    requests = _requests_of(photos, between, names_in(to), style or (), face_of(face), **asked)
    _, data = _make_domains(requests, out, as_json, attention, save_styles)
    emit(data, as_json, _show_domains)


def make_again(recipe: Any, photos: Sequence[Path], out: Path, quiet: bool) -> Made:
    """Translates the recipe's photo again."""
    from studio.core.images import open_photo
    from studio.pipelines.domains_request import request_from_recipe

    request = request_from_recipe(recipe, [open_photo(path) for path in photos])
    return *_make_domains([request], out, quiet), _show_domains


def _requests_of(
    photos: Sequence[Path],
    domains: str,
    targets: Sequence[str],
    files: Sequence[Path],
    face: Any,
    **asked: Any,
) -> list[Any]:
    """A request for each photo; a style's file says what the command does not, which domains and what to make."""
    from studio.core.images import open_photo
    from studio.core.registry import default_registry
    from studio.pipelines.domains import style_of
    from studio.pipelines.domains_labels import ATTRIBUTES, list_domains, read_target
    from studio.pipelines.domains_request import DomainsRequest
    from studio.pipelines.looks import StyleFile

    styles = [open_style(path, StyleFile) for path in files]
    wanted = tuple(read_target(text) for text in targets)
    if not domains:
        there = list_domains(default_registry())
        knowing = [info.name for info in there if not wanted or wanted[0][0][0] in info.labels]
        domains = styles[0].domains if styles else knowing[0] if knowing else ATTRIBUTES
    if not wanted:
        wanted = tuple(dict.fromkeys(read_target(file.target) for file in styles if file.target))
    codes = tuple(style_of(file, domains) for file in styles)
    return [DomainsRequest(open_photo(path), domains, wanted, styles=codes, face=face, **asked) for path in photos]


def _make_domains(
    requests: Sequence[Any], out: Path, quiet: bool, attention: bool = False, save_styles: bool = False
) -> tuple[Any, dict[str, Any]]:
    """Translates photos and saves every picture, what else is asked for, and a sheet for each photo and one of all. Returns the
    (last) recipe and what to print."""
    from studio.pipelines.domains import Cell, sheet_of, style_file

    began, rows, results, sheets = time.perf_counter(), [], [], []

    def save(cell: Cell, photo: str) -> dict[str, Any]:
        stem = f"{Path(photo).stem}-{cell.recipe.parameters['target'].replace(':', '-')}-{cell.column + 1}"
        row = {"photo": photo, "path": save_picture(out, stem, cell.image, cell.recipe), **_cell_row(cell)}
        if attention and cell.overlay is not None:
            row["attention_path"] = save_picture(out, f"{stem}-attention", cell.overlay)
        if save_styles:
            row["style_file"] = save_new(out, stem, style_file(cell, stem).to_json().encode(), "json")
        return row

    for step in steps_of(_translate_all, requests, "Looking for the face", quiet):
        photo = requests[len(results)].photo.name
        if isinstance(step, Cell):
            rows.append(save(step, photo))
            continue
        sheets.append({"photo": photo, "faces": step.found.people, "words": list(step.words)})
        sheets[-1]["sheet"] = save_picture(out, f"{Path(photo).stem}-{step.request.domains}", step.sheet, step.recipe)
        results.append(step)
    last = results[-1]
    sheet = sheets[0]["sheet"] if len(sheets) == 1 else save_picture(out, last.request.domains, sheet_of(results))
    data = {"domains": last.request.domains, "seed": last.request.seed, "photos": sheets, "results": rows}
    spent = {"seconds": round(time.perf_counter() - began, 3), "study": last.study, "checkpoints": last.recipe.checkpoints}
    return last.recipe, {**data, **spent, "sheet": sheet}


def _translate_all(engine: Any, requests: Sequence[Any]) -> Iterator[Any]:
    """The steps of each request; a photo without a face is said before anything is made of the others, and of the whole photos
    that cells come in no more than one is held."""
    from studio.pipelines.domains import Cell, find, full_picture, translate

    found = [find(engine, request) for request in requests]
    for request, known in zip(requests, found, strict=True):
        for step in translate(engine, replace(request, full_size=False), known):
            is_cell = isinstance(step, Cell)
            yield replace(step, image=full_picture(known, step, request.strength)) if is_cell else step


def _cell_row(cell: Any) -> dict[str, Any]:
    """A cell's figures; ``asked`` says of each attribute how probable it was before and is after."""
    verdict = cell.verdict
    asked = {
        asked.label: {"on": asked.on, "before": rounded(asked.before), "after": rounded(asked.after), "reached": asked.reached}
        for asked in verdict.asked
    }
    figures = {"id_distance": verdict.id_distance, "lpips": verdict.lpips, "attention": verdict.attention}
    return {
        "row": cell.row,
        "column": cell.column,
        "target": cell.recipe.parameters["target"],
        "asked": asked,
        **{name: rounded(value) for name, value in figures.items()},
        "words": list(verdict.words),
        "warnings": list(verdict.warnings),
        "style": [round(float(number), 4) for number in cell.style],
    }


def _show_domains(data: dict[str, Any]) -> None:
    rows = [(row["target"], str(row["column"] + 1), "; ".join(row["words"]), row["path"]) for row in data["results"]]
    print_table("Domains", ("target", "style", "what it shows", "file"), rows)
    for row in data["results"]:
        if row["warnings"]:
            print(f"{row['path']} breaks a lock: {'; '.join(row['warnings'])}")
    for photo in data["photos"]:
        print(*photo["words"], sep="\n", end="\n" if photo["words"] else "")
        if len(data["photos"]) > 1:
            print(f"{photo['photo']}: {photo['sheet']}")
    print_sheet(data)


def _listed() -> dict[str, Any]:
    """The domains that are here, with what can be asked for, and what is not here."""
    from studio.core.registry import default_registry
    from studio.pipelines.domains_labels import label_words, list_domains, missing_words

    registry = default_registry()
    rows = [
        {
            "domains": info.name,
            "of": info.called,
            "labels": {label: label_words(label) for label in info.labels},
            "attention": info.has_attention,
            "study": info.study,
        }
        for info in list_domains(registry)
    ]
    return {"domains": rows, "missing": missing_words(registry)}


def _show_listed(data: dict[str, Any]) -> None:
    rows = [(row["domains"], ", ".join(row["labels"]), row["study"] or "") for row in data["domains"]]
    print_table("Domains", ("domains", "what can be asked for", "study"), rows)
    print(data["missing"], end="\n" if data["missing"] else "")
