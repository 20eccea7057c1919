"""A gallery of 10,000 results opens in at most 200 ms, is filtered in at most 100 ms, and takes no more memory than a small one.

    python -m benchmarks.gallery [--results 10000]
    python -m benchmarks.gallery --rounds 200       # kill -9 that often while results are written

Prints JSON; exit code 1 if a promise is broken. Linux only (it reads its memory from /proc).
"""

from __future__ import annotations

import argparse
import json
import os
import random
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from studio.core import gallery as module
from studio.core.gallery import Filter, Gallery
from studio.core.images import resize, to_png
from studio.core.recipe import Recipe

ANIMALS = ("gorilla", "chow-chow", "cat", "koala", "lion", "elkhound", "panda", "samoyed", "spider", "tiger")
OPEN_MS, FILTER_MS = 200, 100
FLAT_MB = 16  # what 10,000 results may take more than 100


def fill(folder: Path, results: int) -> None:
    """As many results as if an artist had made them, in one transaction and without waiting for the disk."""
    chance = np.random.default_rng(0)
    samples = [resize(chance.integers(0, 256, (16, 16, 3), dtype=np.uint8), 128) for _ in ANIMALS]
    thumbnails = [module._thumbnail(resize(sample, 256)) for sample in samples]
    gallery, before = Gallery(folder), None
    with gallery._writing() as db:
        for number in range(results):
            animal, item_id = number % len(ANIMALS), secrets.token_hex(10)
            photo = {"sha256": f"{number // len(ANIMALS):064x}", "name": f"portrait-{number // len(ANIMALS)}.jpg"}
            card = f"cyclegan-{ANIMALS[animal]}-128"
            recipe = Recipe(
                tab="morph" if number % 7 == 0 else "character", verb="translate", inputs=[photo], checkpoints={card: "a" * 64}
            )
            (folder / "pictures" / f"{item_id}.png").write_bytes(to_png(samples[animal][:8, :8], recipe))
            row = (item_id, f"{ANIMALS[animal]} {number}", recipe.tab, "translate", float(number), 128, 128)
            gallery._insert(db, row, recipe, thumbnails[animal], (before,) if before and number % 3 else ())
            before = item_id
        db.execute("UPDATE items SET tags = ',for print,' WHERE seq % 50 = 0")
        db.execute("UPDATE items SET favourite = 1 WHERE seq % 20 = 0")
    gallery.close()


def milliseconds(call: Callable[[], object], times: int = 15) -> dict[str, float]:
    """Median and worst of several calls, and the processor's share of one: far less, if the computer was busy elsewhere."""
    taken, busy = [], time.process_time()
    for _ in range(times):
        start = time.perf_counter()
        call()
        taken.append(1000 * (time.perf_counter() - start))
    busy = 1000 * (time.process_time() - busy) / times
    return {"median": round(statistics.median(taken), 2), "worst": round(max(taken), 2), "processor": round(busy, 2)}


def memory_mb() -> float:
    """Resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 1e6, 1)


def open_and_list(folder: Path) -> None:
    gallery = Gallery(folder)
    gallery.list(limit=60)
    gallery.close()


def measure(folder: Path) -> dict[str, object]:
    """One artist's visit, in a process of its own. Times in ms, memory in MB."""
    opened = milliseconds(lambda: open_and_list(folder))
    gallery = Gallery(folder)
    page, total = gallery.list(limit=60), gallery.count()
    filters = {
        "text": Filter("lion portrait-7"),
        "text nowhere": Filter("unicorn"),
        "tab": Filter(tab="morph"),
        "tag": Filter(tag="for print"),
        "favourites": Filter(favourites=True),
        "trash, empty": Filter(trash=True),
    }
    before = memory_mb()
    figures = {
        "results": total,
        "open and list 60": opened,
        "list 60": milliseconds(lambda: gallery.list(limit=60)),
        "list the last 60": milliseconds(lambda: gallery.list(offset=total - 60, limit=60)),
        "60 thumbnails": milliseconds(lambda: [gallery.thumbnail(item.id) for item in page]),
        "filter and count": {n: milliseconds(lambda f=f: (gallery.list(f), gallery.count(f))) for n, f in filters.items()},
        "ancestors of the newest": milliseconds(lambda: gallery.ancestors(page[0].id)),
        "edit": milliseconds(lambda: (gallery.favourite(page[0].id, on=not gallery.get(page[0].id).favourite))),
        "add 128 px": milliseconds(lambda: gallery.add(np.zeros((128, 128, 3), np.uint8), gallery.recipe(page[0].id))),
        "memory": memory_mb(),
    }
    return {**figures, "memory grown by use": round(memory_mb() - before, 1)}


def visit(results: int) -> dict[str, object]:
    """Fills a gallery and measures it from a fresh process."""
    with tempfile.TemporaryDirectory() as folder:
        fill(Path(folder), results)
        command = [sys.executable, "-m", "benchmarks.gallery", "--measure", folder]
        return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def kept_promises(small: dict, large: dict) -> dict[str, bool]:
    slowest = max(figures["median"] for figures in large["filter and count"].values())
    return {
        f"opens in {OPEN_MS} ms": large["open and list 60"]["median"] <= OPEN_MS,
        f"filters in {FILTER_MS} ms": slowest <= FILTER_MS,
        f"takes at most {FLAT_MB} MB more than a small one": large["memory"] - small["memory"] <= FLAT_MB,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, help="only kill writers, this often")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(options.measure)))
        return 0
    if options.rounds:
        from tests.faults.gallery_crashes import crash

        seed = random.randrange(10**6)
        print(f"seed {seed}", file=sys.stderr)
        with tempfile.TemporaryDirectory() as folder:
            survived = crash(Path(folder) / "gallery", options.rounds, seed)
        print(json.dumps({"killed": options.rounds, "results kept": survived, "lost": 0, "orphans": 0, "seed": seed}))
        return 0
    small, large = visit(100), visit(options.results)
    promises = kept_promises(small, large)
    load = [round(value, 1) for value in os.getloadavg()]
    print(json.dumps({"small": small, "large": large, "load average": load, "promises": promises}))
    return 0 if all(promises.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
