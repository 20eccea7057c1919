"""Fills docs/reversal.md with figures:

    python -m studio evaluate reversal --json > reversal.json
    python -m studio evaluate kdegan --pictures docs/pictures --json > kdegan.json
    python -m docs.make_reversal_page reversal.json kdegan.json

Everything between two marks of the page is written anew; the sentences around them stay.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from docs.make_ian_page import DOCS, markdown, put

# The paper's table 2: inception scores on MNIST-1000, restricted, on all digits from there, on all digits from the start.
PAPER_RECOVERY = {"Vanilla GAN": (107, 196, 248), "BiGAN": (102, 200, 265), "Generator Reversal": (99, 289, 291)}
PROMISES = {
    "nearer_than_plain_descent": "at least 3 dB nearer than 400 steps of plain descent",
    "in_a_quarter_of_its_time": "in at most a quarter of its time",
    "every_person_is_recognised": "every face nearer to its person than to 95 % of strangers",
}
CLAIMS = {
    "higher_scores_sooner": "At every look KDE-GAN has the higher score after as many steps (figure 5)",
    "higher_score_in_the_same_time": "It has the higher score after as many seconds",
    "recovers_dropped_modes_better": "After a restriction it loses a smaller share of its score than the GAN (table 2)",
    "no_nearer_to_learnt_digits_than_new_ones": "Its samples are no nearer to learnt digits than new digits are (table 1)",
}
LOOKS = 6  # of the bandwidths, in the table


def main() -> None:
    reversal, kdegan = (json.loads(Path(name).read_text()) for name in sys.argv[1:3])
    page = DOCS / "reversal.md"
    text = page.read_text()
    blocks = {
        "errors": errors(reversal),
        "ways": ways(reversal),
        "promises": promises(reversal),
        "training": training(kdegan),
        "recovery": recovery(kdegan),
        "likelihood": likelihood(kdegan),
        "claims": claims(kdegan),
    }
    for name, block in blocks.items():
        text = put(text, name, block)
    page.write_text(text)


def errors(figures: Mapping[str, Any]) -> str:
    rows = []
    for name, kinds in figures["errors"].items():
        for kind, curve in kinds.items():
            rows.append([f"{name}, {kind} weights", *(f"{e:.3f}" for e in curve.values()), f"{figures['rates'][name][kind]:g}"])
    return markdown(("squared error after", "5 steps", "20 steps", "400 steps", "rate"), rows)


def ways(figures: Mapping[str, Any]) -> str:
    heads = f"means of {figures['photos']} new faces", "PSNR, dB", "LPIPS", "identity", "same person", "nearer", "seconds"
    rows = []
    for way in figures["ways"]:
        seconds = "-" if way["seconds"] is None else f"{way['seconds']:.1f}"
        shares = [f"{way[name]:.0%}" for name in ("same", "nearer")]
        rows.append([way["name"], f"{way['psnr']:.1f}", f"{way['lpips']:.2f}", f"{way['identity']:.2f}", *shares, seconds])
    return markdown(heads, rows)


def promises(figures: Mapping[str, Any]) -> str:
    rows = []
    for way, made in figures["promises"].items():
        for name, promise in made.items():
            gains = promise.get("gains")
            shown = gains and ", ".join(f"{gain:+.1f} dB over {other}" for other, gain in gains.items())
            detail = shown or f"{promise['share']:.0%}"
            rows.append([way, PROMISES[name], "kept" if promise["holds"] else "**not kept**", detail])
    return markdown(("way", "promise", "", "here"), rows)


def training(figures: Mapping[str, Any]) -> str:
    both = [figures["training"][name]["points"] for name in ("kdegan-digits", "gan-digits")]
    rows = []
    for ours, theirs in zip(*both, strict=True):
        scores = [f"{point['inception_score']:.1f} ({point['modes']})" for point in (ours, theirs)]
        seconds = f"{ours['seconds']:.0f} / {theirs['seconds']:.1f}"
        rows.append([str(ours["steps"]), *scores, f"{ours['reversal_steps']:.0f}", seconds])
    longer = figures["longer"]["points"][-1]
    words = f"as many seconds: {longer['steps']}"
    score = f"{longer['inception_score']:.1f} ({longer['modes']})"
    rows.append([words, "", score, "", f"- / {longer['seconds']:.0f}"])
    heads = "steps", "KDE-GAN: score (modes)", "GAN: score (modes)", "steps of reversal", "seconds, KDE-GAN / GAN"
    return markdown(heads, rows)


def recovery(figures: Mapping[str, Any]) -> str:
    rows = []
    for name, words in {"gan-digits": "GAN", "kdegan-digits": "KDE-GAN"}.items():
        scores = figures["recovery"][name]
        kept = f"{scores['after'] / scores['full']:.0%}"
        rows.append([f"ours: {words}", *(f"{scores[key]:.1f}" for key in ("restricted", "after", "full")), kept])
    for name, scores in PAPER_RECOVERY.items():
        rows.append([f"*paper: {name}*", *(f"*{score}*" for score in scores), f"*{scores[1] / scores[2]:.0%}*"])
    heads = "inception score", "digits 6 to 9", "all digits after that", "all digits from the start", "second / third"
    return markdown(heads, rows)


def likelihood(figures: Mapping[str, Any]) -> str:
    curves, shares = figures["likelihood"], figures["shares"]
    best = {name: max(range(len(shares)), key=curve.__getitem__) for name, curve in curves.items()}
    chosen = sorted({*range(0, len(shares), len(shares) // LOOKS), *best.values()})
    rows = []
    for name, words in {"kdegan-digits": "KDE-GAN", "gan-digits": "GAN"}.items():
        cells = [f"{curves[name][index]:,.0f}" for index in chosen]
        cells[chosen.index(best[name])] = f"**{cells[chosen.index(best[name])]}**"
        rows.append([words, *cells])
    return markdown(("nats per code; bandwidth / deviation", *(f"{shares[index]:.2f}" for index in chosen)), rows)


def claims(figures: Mapping[str, Any]) -> str:
    ours, nearest = figures["claims"], "{kdegan-digits:.2f} to {gan-digits:.2f}; new digits {new:.2f}"
    details = {
        "higher_scores_sooner": ours["higher_scores_sooner"]["points_ahead"],
        "higher_score_in_the_same_time": " to ".join(
            f"{run['points'][-1]['inception_score']:.1f}" for run in (figures["training"]["kdegan-digits"], figures["longer"])
        ),
        "recovers_dropped_modes_better": " to ".join(
            f"{round(ours['recovers_dropped_modes_better']['lost'][name], 2) + 0:.0%}"  # a gain of next to nothing is no -0 %
            for name in ("kdegan-digits", "gan-digits")
        ),
        "no_nearer_to_learnt_digits_than_new_ones": nearest.format(**figures["nearest"]),
    }
    rows = [[words, "holds" if ours[name]["holds"] else "**does not hold**", details[name]] for name, words in CLAIMS.items()]
    return markdown(("claim", "", "here, KDE-GAN to GAN"), rows)


if __name__ == "__main__":
    main()
