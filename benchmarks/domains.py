"""Ten attributes of a photo in four styles each in at most 2.5 s on two cores, warm; a slider's answer in at most 0.1 s.

    python -m benchmarks.domains [--rounds 10] [--networks FOLDER]

Prints JSON; exit code 1 if a promise is broken. Times are of the whole of `pipelines.domains`, with the shipped networks or with
those of a run's export folder in their place: the face found, 40 pictures, judges' words and the sheet. "processor" is the time
that the cores worked, which other programs do not lengthen; "peak memory" is that of the process, networks and judges in it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.makeup import photos, store_with, timed
from studio.core.engine import Engine
from studio.pipelines.domains import DomainsRequest, DomainsResult, Found, full_picture, picture_at, picture_with, translate
from studio.pipelines.domains_labels import list_domains

STYLES, GOAL_SECONDS, GOAL_ANSWER = 4, 2.5, 0.1


def last(engine: Engine, request: DomainsRequest, known: Found | None = None) -> DomainsResult:
    *_, result = translate(engine, request, known)
    return result


def work_of(engine: Engine, domains: str) -> dict[str, Callable[[int], object]]:
    """What is timed of some domains, by name."""
    small, large = photos()
    first = last(engine, DomainsRequest(small, domains, count=STYLES, full_size=False))
    huge = last(engine, DomainsRequest(large, domains, first.targets[:1], count=1, full_size=False))
    cell, found = first.cells[0], first.found

    def grid(seed: int, **more: bool) -> DomainsRequest:
        return DomainsRequest(small, domains, first.targets, STYLES, seed=seed, **more)

    return {
        f"{len(first.cells)} pictures": lambda seed: last(engine, grid(seed, full_size=False)),
        f"{len(first.cells)} pictures, photo known": lambda seed: last(engine, grid(seed, full_size=False), found),
        f"{len(first.cells)} whole photos": lambda seed: last(engine, grid(seed)),
        "a style's answer": lambda n: picture_with(engine, found, grid(n), cell.target, (n / 10,) * 8),
        "a strength's answer": lambda n: picture_at(found, cell, n % 11 / 10),
        "a whole photo of 12 megapixels": lambda _: full_picture(huge.found, huge.cells[0], 1.0),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--networks", type=Path, help="an export folder whose networks are used in place of the shipped ones")
    options = parser.parse_args()
    seconds, sides = {}, {}
    with tempfile.TemporaryDirectory() as folder, Engine(store=store_with(options.networks, Path(folder))) as engine:
        for info in list_domains(engine):
            sides[info.name] = info.card.resolution
            seconds[info.name] = {name: timed(options.rounds, call) for name, call in work_of(engine, info.name).items()}
        loaded = [network for network in engine.status().networks if network.card_id.startswith("sdit")]
        precision = {network.card_id: network.precision for network in loaded}
    faces = [figures["median"] for name, figures in seconds.get("attributes", {}).items() if name.endswith("pictures")]
    promises = {f"ten attributes in {STYLES} styles in {GOAL_SECONDS} s": taken <= GOAL_SECONDS for taken in faces}
    promises |= {
        f"answers in {GOAL_ANSWER} s": all(
            figures["median"] <= GOAL_ANSWER for work in seconds.values() for name, figures in work.items() if "answer" in name
        ),
    }
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    load = [round(value, 1) for value in os.getloadavg()]
    machine = {"processors": os.cpu_count(), "system": platform.platform(), "load average": load}
    networks = {"sides": sides, "precision": precision, "peak memory (MB)": round(peak / 1e6)}
    print(json.dumps({"machine": machine, **networks, "seconds": seconds, "promises": promises}, indent=1))
    return 0 if all(promises.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
