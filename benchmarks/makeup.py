"""Five looks of a photo in at most 1.2 s on two cores, warm; a photo of 12 megapixels with a large face in at most 2 s more.

    python -m benchmarks.makeup [--rounds 10] [--networks FOLDER]

Prints JSON; exit code 1 if a promise is broken. Times are of the whole of `pipelines.makeup`, with the shipped networks or with
those of a run's export folder in their place: the face found, content and style, five looks, judges' words and the sheet. A
slider's answer and five looks of a photo that is known already are timed, too; "processor" is the time that the cores worked,
which other programs do not lengthen.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
from skimage import data

from studio.core.checkpoints import CheckpointStore, default_store
from studio.core.engine import Engine
from studio.core.images import Photo
from studio.core.registry import PRETRAINED, Registry
from studio.pipelines.makeup import MakeupRequest, MakeupResult, full_picture, make_up, picture_with

LOOKS, GOAL_SECONDS, GOAL_FULL_SECONDS, WARM_UP = 5, 1.2, 2.0, 2
LARGE = (4000, 3000)  # px


def photos() -> tuple[Photo, Photo]:
    """A public-domain photograph of a person at 512 px, and her face alone at 12 megapixels."""
    rgb = data.astronaut()
    large = cv2.resize(rgb[20:209, 99:351], LARGE, interpolation=cv2.INTER_CUBIC)
    return Photo(rgb, "0" * 64, "astronaut.png"), Photo(large, "1" * 64, "large.png")


def last(engine: Engine, request: MakeupRequest, known: MakeupResult | None = None) -> MakeupResult:
    *_, result = make_up(engine, request, known and known.found)
    return result


def timed(rounds: int, work: Callable[[int], object]) -> dict[str, float]:
    """Median and worst seconds of ``work(round)``, and the median of the processor's, after a warm-up."""
    taken = []
    for number in range(WARM_UP + rounds):
        start, worked = time.perf_counter(), time.process_time()
        work(number)
        taken.append((time.perf_counter() - start, time.process_time() - worked))
    wall, processor = zip(*taken[WARM_UP:], strict=True)
    return {
        "median": round(statistics.median(wall), 3),
        "worst": round(max(wall), 3),
        "processor": round(statistics.median(processor), 3),
    }


def store_with(export: Path | None, folder: Path) -> CheckpointStore:
    """The shipped networks, and those of a run's export folder in their place."""
    if export is None:
        return default_store()
    from studio.train.export import ship

    shutil.copytree(PRETRAINED, folder / "pretrained")
    registry = Registry(folder / "pretrained" / "index.json")
    ship(export, registry)
    return CheckpointStore(registry, folder / "pretrained", folder / "cache")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--networks", type=Path, help="an export folder whose networks are used in place of the shipped ones")
    options = parser.parse_args()
    small, large = photos()
    with tempfile.TemporaryDirectory() as folder, Engine(store=store_with(options.networks, Path(folder))) as engine:
        quick = MakeupRequest(small, looks=LOOKS, full_size=False)
        known, huge = last(engine, quick), last(engine, MakeupRequest(large, looks=1, full_size=False))
        style = known.looks[0].style
        work: dict[str, Callable[[int], object]] = {
            "five looks": lambda seed: last(engine, MakeupRequest(small, looks=LOOKS, seed=seed)),
            "five looks, photo known": lambda seed: last(engine, MakeupRequest(small, looks=LOOKS, seed=seed), known),
            "a slider's answer": lambda n: picture_with(engine, known.found, MakeupRequest(small, keep=n % 11 / 10), style),
            "a whole photo of 12 megapixels": lambda _: full_picture(huge.found, huge.looks[0], 1.0),
        }
        figures = {name: timed(options.rounds, call) for name, call in work.items()}
    promises = {
        f"five looks in {GOAL_SECONDS} s": figures["five looks"]["median"] <= GOAL_SECONDS,
        f"12 megapixels in {GOAL_FULL_SECONDS} s": figures["a whole photo of 12 megapixels"]["median"] <= GOAL_FULL_SECONDS,
    }
    load = [round(value, 1) for value in os.getloadavg()]
    machine = {"processors": os.cpu_count(), "system": platform.platform(), "load average": load}
    print(json.dumps({"machine": machine, "seconds": figures, "promises": promises}, indent=1))
    return 0 if all(promises.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
