"""Fills docs/ian.md with figures and pictures: ``python -m studio evaluate ian --save --json | python -m docs.make_ian_page``.

Everything between two marks of the page is written anew; the sentences around them stay. The pictures are made by the
studio's own networks and by nothing else.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from studio.core.engine import Engine
from studio.core.registry import Registry
from studio.pipelines.dream import Candidate, DreamRequest, StageResult, dream, list_generators, stage_by_stage
from studio.pipelines.parts import animal_label, draw_sheet

DOCS = Path(__file__).resolve().parent
PICTURES = DOCS / "pictures"

# What the page shows stage by stage.
STAGES = ("k-began", "lion"), ("k-dcgan", "tiger")

# IAN, Table 1, in percent: score(X), score(Y), err(X), err(Y). The means over its ten animals, at 227 px.
PAPER = {
    "real(X)": (100, 0.02, 0, 67.09),
    "real(Y)": (10.38, 63.29, 55.33, 0),
    "real(X)+Cyc": (12.24, 44.03, 48.57, 54.95),
    "DCGAN": (95.90, 0.03, 47.11, 64.23),
    "mxGAN": (90.38, 0.04, 47.98, 64.40),
    "BEGAN": (87.88, 0.02, 45.66, 60.27),
    "P.GAN": (97.69, 0.04, 46.63, 63.10),
    "K-DCGAN": (98.77, 0.04, 46.97, 63.61),
    "K-BEGAN": (97.29, 0.25, 44.43, 58.10),
    "StyleGAN": None,
    "rand+Cyc": (1.44, 0.08, 49.42, 53.12),
    "DCGAN+Cyc": (9.49, 40.47, 49.37, 53.51),
    "mxGAN+Cyc": (9.75, 39.11, 49.97, 53.93),
    "P.GAN+Cyc": (7.73, 39.35, 49.41, 53.42),
    "BEGAN+Cyc": (30.05, 46.44, 49.04, 52.03),
    "K-DCGAN+Cyc": (10.19, 39.62, 49.12, 52.89),
    "K-BEGAN+Cyc": (22.95, 53.26, 49.67, 52.80),
    "StyleGAN+Cyc": None,
}
FIGURES = ("score_x", "score_y", "error_x", "error_y")
CLAIMS = {
    "cascades_gain_30_points_of_score_y": "Every cascade gains 30 points of score(Y) or more over its first stage",
    "k_began_cascade_is_as_good_as_began_cascade_on_score_y": "K-BEGAN+Cyc has at least the score(Y) of BEGAN+Cyc",
    "noise_is_the_worst_start_of_a_cascade_on_score_x": "Of all cascades, the one that starts from noise has the lowest score(X)",
    "error_x_is_in_the_papers_range": "err(X) of every generator is between 43 and 48 %, as in the paper",
    "no_model_memorises": "No generator memorises",
}
GAIN, NOISE, ERROR, COPIES = (name for name in CLAIMS if not name.startswith("k_began"))

FACES = 8  # of each generator
LATENTS = 4  # of each animal in figure 3
TRIED, SHOWN = 64, 4  # of the failures


def main() -> None:
    source = Path(sys.argv[1]).read_text() if len(sys.argv) > 1 else sys.stdin.read()
    figures, registry = json.loads(source), Registry()
    page = DOCS / "ian.md"
    text = page.read_text()
    blocks = {
        "about": about(figures),
        "table": table(figures),
        "distances": distances(figures),
        "claims": claims(figures),
        "studies": studies(registry),
        "neighbours": neighbours(registry),
    }
    for name, block in blocks.items():
        text = put(text, name, block)
    page.write_text(text)
    with Engine() as engine:
        make_pictures(engine, figures["animals"])


def put(text: str, name: str, block: str) -> str:
    """The page with ``block`` between the marks of that name. Raises ``ValueError`` if it has none."""
    pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
    if not pattern.search(text):
        raise ValueError(f"The page has no place for {name}: put <!-- {name} --> and <!-- /{name} --> into it.")
    return pattern.sub(lambda found: f"{found[1]}{block}\n{found[2]}", text)


# --- tables -------------------------------------------------------------------------------------------------------------------


def about(figures: Mapping[str, Any]) -> str:
    pictures = figures["pictures"]
    animals = [f"{animal_label(name)} ({n['learnt']} learnt, {n['new']} new)" for name, n in pictures["animals"].items()]
    return (
        f"{figures['samples']} samples a row, shared out between the animals: {', '.join(animals)}. "
        f"Faces: {pictures['learnt_faces']} learnt from, {pictures['new_faces']} new."
    )


def table(figures: Mapping[str, Any]) -> str:
    """Ours, then the paper's in italics."""
    ours = {row["name"]: row for row in figures["rows"]}
    rows = []
    for name, paper in PAPER.items():
        own = ours.get(name)
        cells = [_ours(own, figure) for figure in FIGURES] + [_ours(own, "score"), _ours(own, "error")]
        theirs = (*paper, (paper[0] + paper[1]) / 2, (paper[2] + paper[3]) / 2) if paper else [None] * 6
        rows.append([name, *(f"{cell} / {_theirs(value)}" for cell, value in zip(cells, theirs, strict=True))])
    heads = "ours / *paper*", "score(X)", "score(Y)", "err(X)", "err(Y)", "mean score", "mean err"
    return markdown(heads, rows)


def _ours(row: Mapping[str, Any] | None, figure: str) -> str:
    return "-" if row is None else f"{row[figure]:.1f}"


def _theirs(value: float | None) -> str:
    return "-" if value is None else f"*{value:.1f}*"


def distances(figures: Mapping[str, Any]) -> str:
    rows = []
    for row in figures["distances"]:
        name = "photographs learnt from" if row["name"] == "real" else row["name"]
        kids = [f"{row[f'kid_{f}']:.1f} ± {row[f'kid_{f}_std']:.1f}" for f in ("identity", "animal")]
        rows.append([name, kids[0], f"{row['fid_identity']:.1f}", kids[1], f"{row['fid_animal']:.1f}", f"{row['likeness']:.2f}"])
    heads = "to new photographs", "KID, identity", "FID, identity", "KID, animal judge", "FID, animal judge", "likeness"
    return markdown(heads, rows)


def claims(figures: Mapping[str, Any]) -> str:
    details = {
        GAIN: lambda claim: _listed(claim["gains"], "points"),
        NOISE: lambda claim: f"the lowest is {claim['worst']}",
        ERROR: lambda claim: _listed(claim, "%", leave=("holds", "from", "to", "new_photographs"))
        + f"; new photographs {claim['new_photographs']:.1f} %",
        COPIES: lambda claim: _listed(claim, "%", leave=("holds", "rule", "new_photographs"))
        + f" of the samples are copies, {claim['new_photographs']} % of new photographs",
    }
    rows = []
    for name, claim in figures["claims"].items():
        detail = details.get(name, lambda claim: f"{claim['gain']:+.1f} ± {claim['standard_error']:.1f} points")
        rows.append([CLAIMS[name], "holds" if claim["holds"] else "**does not hold**", detail(claim)])
    return markdown(("claim", "", "here"), rows)


def _listed(values: Mapping[str, float], unit: str, leave: Sequence[str] = ()) -> str:
    return ", ".join(f"{name} {value:.1f}" for name, value in values.items() if name not in leave) + f" {unit}"


def studies(registry: Registry) -> str:
    weak = [f"- **{card.id}**: {card.study}." for card in registry.list_models(task="sample") if card.study]
    return "\n".join(weak) or "No generator is marked as a study."


def neighbours(registry: Registry) -> str:
    """Figure 13, from the cards."""
    rows = []
    for card in registry.list_models("k-*", task="sample"):
        about, shares = card.training, card.training["shares_by_k"]
        mu = " / ".join(f"{value:.2g}" for value in about["mu"].values())
        used = " / ".join(f"{value:.0%}" for value in about["share_used"].values())
        probed = [f"{share:.0%}" for share in shares.values()]
        rows.append([card.id, *probed, str(about["k"]), used, mu])
    return markdown(("K-GAN", "K = 1", "K = 4", "K = 8", "chosen", "used, deep / middle", "mu, deep / middle"), rows)


def markdown(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


# --- pictures -----------------------------------------------------------------------------------------------------------------


def make_pictures(engine: Engine, animals: Sequence[str]) -> None:
    infos = list_generators(engine)
    plain = [info for info in infos if not info.animals]
    save("ian-generators", draw_sheet([[c.image for c in candidates(engine, info.name, FACES)] for info in plain]))
    for name, animal in STAGES:
        save(f"ian-stages-{name}-{animal}", stages(engine, name, animal))
    failures(engine, [info.name for info in infos], animals)


def candidates(engine: Engine, generator: str, count: int, animal: str | None = None, strength: float = 0.0) -> list[Candidate]:
    request = DreamRequest(generator, animal, count, seed=1, truncation=1.0, strength=strength)
    return [step for step in dream(engine, request) if isinstance(step, Candidate)]


def stages(engine: Engine, generator: str, animal: str) -> np.ndarray:
    """Figure 3: a row per latent."""
    steps: Iterator[Any] = stage_by_stage(engine, DreamRequest(generator, animal, LATENTS, seed=1))
    (result,) = (step for step in steps if isinstance(step, StageResult))
    return result.sheet


def failures(engine: Engine, generators: Sequence[str], animals: Sequence[str]) -> None:
    """The cascade's samples that the judge is least sure of, above the faces they began as: a pair of rows for each generator."""
    rows, notes = [], []
    for number, name in enumerate(generators):
        animal = animals[number % len(animals)]
        made = sorted(candidates(engine, name, TRIED, animal, 1.0), key=lambda c: c.animal_score or 0)[:SHOWN]
        rows += [[c.face for c in made], [c.image for c in made]]
        notes += [[name] * len(made), [f"{animal_label(animal)} {c.animal_score or 0:.2f}" for c in made]]
    save("ian-failures", draw_sheet(rows, notes=notes))


def save(name: str, sheet: np.ndarray) -> None:
    Image.fromarray(sheet).save(PICTURES / f"{name}.webp", quality=80, method=6)


if __name__ == "__main__":
    main()
