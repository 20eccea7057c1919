"""Sixteen faces of the flagship in at most 1.5 s on two cores, warm; with a translation into an animal, for comparison.

    python -m benchmarks.dream [--rounds 20]

Prints JSON; exit code 1 if the promise is broken. Times are of the whole of `pipelines.dream`, with the shipped networks: 16
latents, pictures, originality, judges' words and the sheet.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import time

from studio.core.engine import Engine
from studio.pipelines.dream import DreamRequest, dream

FACES, GOAL_SECONDS, WARM_UP = 16, 1.5, 2


def seconds(engine: Engine, rounds: int, **settings: object) -> dict[str, float]:
    """Median and worst of ``rounds`` dreams, every one of another seed."""
    taken = []
    for seed in range(WARM_UP + rounds):
        start = time.perf_counter()
        for _ in dream(engine, DreamRequest(count=FACES, seed=seed, **settings)):
            pass
        taken.append(time.perf_counter() - start)
    warm = taken[WARM_UP:]
    return {"median": round(statistics.median(warm), 3), "worst": round(max(warm), 3)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20)
    rounds = parser.parse_args().rounds
    engine = Engine()
    figures = {"flagship": seconds(engine, rounds, generator="flagship")}
    figures["flagship, then a lion"] = seconds(engine, rounds, generator="flagship", animal="lion", strength=1.0)
    engine.close()
    kept = figures["flagship"]["median"] <= GOAL_SECONDS
    load = [round(value, 1) for value in os.getloadavg()]
    machine = {"processors": os.cpu_count(), "system": platform.platform(), "load average": load}
    promises = {f"{FACES} faces in {GOAL_SECONDS} s": kept}
    print(json.dumps({"machine": machine, "seconds": figures, "promises": promises}, indent=1))
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
