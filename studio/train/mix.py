"""``python -m studio.train.mix EARLIER LATER --share lion=0.45 ...``: networks between two moments of one CycleGAN run.

Mode seeking drives a run from one good animal for everybody towards animals that differ and in the end fall apart. Along one
run, weights may be interpolated (Wang et al. 2019, deep network interpolation), so each animal can be taken where it is best.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from torch import Tensor

from studio.models.cyclegan import select_domains
from studio.train.cyclegan import CONFIGS, GROUPS
from studio.train.export import write_checkpoint
from studio.train.loop import named, read_state

AVERAGE = "ema/to_animal/"


def interpolate(earlier: dict[str, Tensor], later: dict[str, Tensor], share: float) -> dict[str, Tensor]:
    """Weights ``share`` of the way from one network to another of the same shape."""
    return {name: tensor.lerp(later[name], share) for name, tensor in earlier.items()}


def mix(earlier: Path, later: Path, shares: dict[str, float], out: Path) -> list[str]:
    """Writes a checkpoint and card into ``out`` for each animal of ``shares``; returns their ids.

    Raises:
        FileNotFoundError: a folder holds no run.
        ValueError: the folders hold runs of different recipes, or a run without one of the animals.
    """
    (before, first), (after, second) = read_state(earlier), read_state(later)
    if before["recipe"] != after["recipe"]:
        raise ValueError(f"{earlier} holds {before['recipe']} and {later} holds {after['recipe']}: mix moments of one run.")
    _, group, size = before["recipe"].split("-")
    if strangers := set(shares) - set(GROUPS[group]):
        raise ValueError(f"{before['recipe']} has no {', '.join(sorted(strangers))}; it has {', '.join(GROUPS[group])}.")
    cards = []
    for animal, share in shares.items():
        row = GROUPS[group].index(animal) + 1
        card = write_checkpoint(
            out,
            card_id=f"cyclegan-{animal}-{size}",
            family="cyclegan",
            task="translate",
            tensors=select_domains(interpolate(named(first, AVERAGE), named(second, AVERAGE), share), [0, row]),
            resolution=int(size),
            frame="head",
            domains=("face", animal),
            config=CONFIGS[int(size)],
            training={
                "recipe": after["recipe"],
                "images": after["images"],
                "interpolation": f"{share:.2f} of the way from {before['images']} to {after['images']} images of this run",
                "data": "faces128, animals160",
            },
        )
        cards.append(card.id)
    return cards


def main(argv: list[str]) -> int:
    """Runs the command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m studio.train.mix", description="Networks between two moments of one run.")
    parser.add_argument("earlier", type=Path, help="a copy of the run's folder")
    parser.add_argument("later", type=Path, help="the run's folder, further on")
    parser.add_argument("--share", nargs="+", required=True, metavar="ANIMAL=SHARE", help="0 is the earlier moment, 1 the later")
    parser.add_argument("--out", type=Path, default=Path("runs/mix/export"), help="where the checkpoints go (%(default)s)")
    options = parser.parse_args(argv)
    try:
        shares = {name: float(value) for name, value in (word.split("=") for word in options.share)}
        print("\n".join(mix(options.earlier, options.later, shares, options.out)))
    except (ValueError, FileNotFoundError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
