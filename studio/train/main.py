"""Names of recipes, and how they are run: alone in this process, or several side by side on one device."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from studio.train.loop import Settings, Trainer, run

Maker = Callable[[Settings], Trainer]


def recipes() -> dict[str, Maker]:
    """Every recipe's name and what makes its trainer."""
    from studio.train.bank import BankTrainer
    from studio.train.began import BEGANTrainer
    from studio.train.cascade import CascadeTrainer
    from studio.train.cvaegan import DOMAINS as NAMED
    from studio.train.cvaegan import CVAEGANTrainer
    from studio.train.cyclegan import ANIMALS, GROUPS, CycleGANTrainer
    from studio.train.gan import DCGANTrainer
    from studio.train.judges import JUDGES
    from studio.train.kdegan import DIGIT_GANS
    from studio.train.kgan import K_GANS
    from studio.train.landmarks import LandmarkTrainer
    from studio.train.parsing import ParsingTrainer
    from studio.train.people import PeopleTrainer
    from studio.train.sdit import DETERMINISTIC, SDITTrainer
    from studio.train.sdit import DOMAINS as MANY
    from studio.train.sdit import VARIANTS as SWITCHES
    from studio.train.semantics import RECIPES as EXTRACTORS
    from studio.train.semantics import AttributeTrainer, CarTrainer, DemographicsTrainer, MakeupTrainer, PropertyTrainer
    from studio.train.stylegan import StyleGANEncoderTrainer, StyleGANTrainer
    from studio.train.udit import PAIRS, VARIANTS, UDITTrainer
    from studio.train.xgan import DOMAINS, XGANTrainer

    def translator(group: str, size: int) -> Maker:
        return lambda settings: CycleGANTrainer(settings, group, size)

    flagship = {"stylegan-128": StyleGANTrainer, "stylegan-encoder-128": StyleGANEncoderTrainer}
    alone = (LandmarkTrainer, BankTrainer, AttributeTrainer, DemographicsTrainer, MakeupTrainer, CarTrainer)
    makers: dict[str, Maker] = {kind.name: kind for kind in alone} | JUDGES | DIGIT_GANS
    makers |= {name: partial(PropertyTrainer, colours=bool(colours)) for colours, name in enumerate(EXTRACTORS)}
    makers["parsing-128"] = ParsingTrainer
    makers["dcgan-64"] = DCGANTrainer
    makers |= {name: partial(kind, size=128) for name, kind in flagship.items()}
    makers |= {f"began-{size}": partial(BEGANTrainer, size=size) for size in (64, 128)}
    makers |= {f"{name}-{animal}-64": partial(kind, animal=animal) for name, kind in K_GANS.items() for animal in ANIMALS}
    makers |= {f"cascade-{animal}-64": partial(CascadeTrainer, animal=animal) for animal in ANIMALS}
    makers |= {f"xgan-{domain}-64": partial(XGANTrainer, domain=domain) for domain in DOMAINS}
    makers |= {f"cvaegan-{d}-{size}": partial(CVAEGANTrainer, domain=d, size=size) for d in NAMED for size in (64, 128)}
    makers |= {f"cvaegan-people-{size}": partial(PeopleTrainer, size=size) for size in (64, 128)}
    makers |= {
        f"sdit-{domains}-{size}": partial(SDITTrainer, domains=domains, size=size) for domains in MANY for size in (64, 128)
    }
    one_answer = partial(SDITTrainer, domains="attributes", variant=SWITCHES[DETERMINISTIC])
    makers |= {f"sdit-deterministic-attributes-{size}": partial(one_answer, size=size) for size in (64, 128)}
    pairs = [("-".join(filter(None, ("munit", v, p, "128"))), p, v) for p in PAIRS for v in VARIANTS]
    makers |= {name: partial(UDITTrainer, pair=pair, variant=variant) for name, pair, variant in pairs}
    makers |= {f"cyclegan-{group}-{size}": translator(group, size) for size in (64, 128) for group in GROUPS}
    return makers


def maker(name: str) -> Maker:
    """The recipe of that name. Raises ``ValueError``, listing the names, if there is none."""
    known = recipes()
    if name not in known:
        raise ValueError(f"There is no recipe {name!r}; there is {', '.join(sorted(known))}.")
    return known[name]


def train(name: str, settings: Settings) -> dict[str, Any]:
    """Trains one recipe in this process, in its own folder below ``settings.out``, and returns its measures."""
    return run(maker(name)(replace(settings, out=settings.out / name)))


def train_side_by_side(names: Sequence[str], arguments: Sequence[str], out: Path) -> int:
    """One process a recipe, each with ``console.txt`` in its folder; returns how many failed."""
    for name in names:
        maker(name)
    running = []
    for name in names:
        (out / name).mkdir(parents=True, exist_ok=True)
        console = open(out / name / "console.txt", "a")  # noqa: SIM115 (the process owns it)
        command = [sys.executable, "-m", "studio.train", name, "--out", str(out), *arguments]
        running.append((name, subprocess.Popen(command, stdout=console, stderr=subprocess.STDOUT)))
    failed = [name for name, process in running if process.wait()]
    for name in failed:
        print(f"{name} failed; {out / name / 'console.txt'} says why.", file=sys.stderr)
    return len(failed)
