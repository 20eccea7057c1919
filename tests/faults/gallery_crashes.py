"""kill -9 at random moments while a gallery is written to; also run by benchmarks/gallery.py, with more rounds.

``python -m tests.faults.gallery_crashes FOLDER LOG`` forks a writer for every line on its input (so that a round does not pay
for the imports), prints the writer's process id, waits for its end and prints its exit code.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

from studio.core.gallery import Filter, Gallery
from studio.core.recipe import Recipe
from tests.kept import photo, picture, recipe

ROOT = Path(__file__).resolve().parents[2]


def write_for_ever(folder: Path, log: Path, seed: int) -> None:
    """Every kind of write, in random order. Notes "+id" after a result was kept and "-id" before one is removed."""
    chance = random.Random(seed)
    notes = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    gallery = Gallery(folder)
    while True:
        sha256 = f"{chance.getrandbits(256):064x}"
        gallery.keep_source(replace(photo(), sha256=sha256))
        kept = gallery.add(picture(seed, 90, 90), recipe(inputs=[{"sha256": sha256}]))
        os.write(notes, f"+{kept.id}\n".encode())
        gallery.tag(kept.id, add=["crash"])
        if chance.random() < 0.3:
            gallery.delete(kept.id)
            gallery.undo()
        if chance.random() < 0.3:
            gallery.delete(kept.id)
            os.write(notes, f"-{kept.id}\n".encode())
            gallery.purge(kept.id)


def fork_writers(folder: Path, log: Path) -> None:
    for line in sys.stdin:
        writer = os.fork()
        if not writer:
            write_for_ever(folder, log, int(line))
        print(writer, flush=True)
        _, status = os.waitpid(writer, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def crash(folder: Path, rounds: int, seed: int) -> int:
    """Kills that many writers and checks the gallery after each. Returns how many results survived."""
    chance, log = random.Random(seed), folder.parent / "notes.txt"
    command = [sys.executable, "-m", "tests.faults.gallery_crashes", str(folder), str(log)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as forks:
        for number in range(rounds):
            print(seed + number, file=forks.stdin, flush=True)
            writer = int(forks.stdout.readline())
            if chance.random() < 0.7:  # the others die while they open the gallery or write their first result
                wait_for_more(log)
            time.sleep(chance.uniform(0, 0.06))
            os.kill(writer, signal.SIGKILL)
            assert int(forks.stdout.readline()) == -signal.SIGKILL  # not an error of its own
            survived = check(folder, log)
    return survived


def wait_for_more(log: Path) -> None:
    """Until something is noted, however busy the computer is."""
    size, end = log.stat().st_size if log.exists() else 0, time.monotonic() + 30
    while time.monotonic() < end and (log.stat().st_size if log.exists() else 0) == size:
        time.sleep(0.001)


def check(folder: Path, log: Path) -> int:
    """Opens the gallery and asserts that nothing was lost, halved or left over. Returns the number of results."""
    gallery = Gallery(folder)
    try:
        assert gallery._db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert gallery._db.execute("PRAGMA foreign_key_check").fetchall() == []
        ids = {item.id for trash in (False, True) for item in everything(gallery, Filter(trash=trash))}
        assert {f"{item_id}.png" for item_id in ids} == set(os.listdir(folder / "pictures"))
        sources = {f"{row[0]}.png" for row in gallery._db.execute("SELECT sha256 FROM sources")}
        assert sources == set(os.listdir(folder / "sources"))
        for item_id in list(ids)[-5:]:  # all of them would take minutes
            assert Recipe.from_png(gallery.png(item_id)) == gallery.recipe(item_id) and gallery.thumbnail(item_id)
            assert gallery.source(gallery.recipe(item_id).inputs[0].sha256)
        notes = log.read_text().split() if log.exists() else []
        kept, removed = ({note[1:] for note in notes if note[0] == sign} for sign in "+-")
        assert kept - removed <= ids
    finally:
        gallery.close()
    return len(ids)


def everything(gallery: Gallery, chosen: Filter):
    for offset in range(0, gallery.count(chosen), 500):
        yield from gallery.list(chosen, offset, 500)


if __name__ == "__main__":
    fork_writers(Path(sys.argv[1]), Path(sys.argv[2]))
