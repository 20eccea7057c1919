"""Names of recipes and how they are run, alone or side by side."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from studio.train.loop import Settings, Trainer, run


def _cyclegan(settings: Settings, name: str) -> Trainer:
    from studio.train.cyclegan import ANIMALS, CycleGANTrainer

    _, animal, size = name.rsplit("-", 2)
    return CycleGANTrainer(settings, ANIMALS if animal == "base" else (animal,), int(size))


def recipes() -> dict[str, Callable[[Settings, str], Trainer]]:
    """Every recipe's name and what makes its trainer."""
    from studio.train.cyclegan import ANIMALS
    from studio.train.judges import JUDGES
    from studio.train.landmarks import LandmarkTrainer

    judges = {name: (lambda settings, name: JUDGES[name](settings)) for name in JUDGES}
    translators = {f"cyclegan-{animal}-{size}": _cyclegan for size in (64, 128) for animal in ("base", *ANIMALS)}
    return {LandmarkTrainer.name: lambda settings, name: LandmarkTrainer(settings), **judges, **translators}


def train(name: str, settings: Settings) -> dict:
    """Trains one recipe in this process. Raises ``ValueError``, listing the names, for one that does not exist."""
    known = recipes()
    if name not in known:
        raise ValueError(f"There is no recipe {name!r}; there is {', '.join(sorted(known))}.")
    return run(known[name](settings, name))
