"""Measures what the README says about speed: one photo to ten animals at 128x128, peak memory, and how soon the page answers.

    python benchmarks/engine.py [--rounds 20] [--json]

Run it on a machine with nothing else to do. The engine and the plain networks (eager torch in fp32, the same weights) take
turns, so that a noisy moment hits both.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import hashlib
import json
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from studio.core.checkpoints import CheckpointStore, default_store, load_into  # noqa: E402
from studio.core.engine import Engine  # noqa: E402
from studio.core.registry import Card, Registry, build  # noqa: E402

ANIMALS, SIZE, WARM_UP = 10, 128, 3
GOALS = {"seconds": 0.6, "speedup": 2.5, "page_seconds": 8.0}
START_LIMIT = 120  # seconds


def main() -> None:
    """Prints a table, or with ``--json`` one object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20, help="timed rounds, at least 20 for figures that are quoted")
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store, cards, stand_ins = ten_translators(Path(folder))
        figures = {"stand_ins": stand_ins, **translations(store, cards, options.rounds), **page()}
    print(json.dumps(figures) if options.json else table(figures))


def ten_translators(folder: Path) -> tuple[CheckpointStore, list[Card], int]:
    """The studio's translators; if it has fewer than ten, untrained ones of the same make fill up (they are as fast)."""
    studio = default_store()
    cards = [card for card in studio.registry.list_models(task="translate") if studio.verify(card).state == "ok"][:ANIMALS]
    missing = ANIMALS - len(cards)
    if not missing:
        return studio, cards, 0
    store = CheckpointStore(Registry(folder / "index.json"), folder, folder / "cache")
    for card in cards:
        (folder / card.file).write_bytes(studio.locate(card).read_bytes())
        store.registry.add(card)
    for i in range(missing):
        store.registry.add(stand_in(folder, i))
    return store, store.registry.list_models(task="translate"), missing


def stand_in(folder: Path, seed: int) -> Card:
    """An untrained CycleGAN generator with its file in ``folder``."""
    torch.manual_seed(seed)
    card = Card(f"stand-in-{seed}", "cyclegan", "translate", SIZE, f"stand-in-{seed}.safetensors", "", 0, "none")
    content = save(build(card).state_dict())
    (folder / card.file).write_bytes(content)
    return dataclasses.replace(card, sha256=hashlib.sha256(content).hexdigest(), size=len(content))


def translations(store: CheckpointStore, cards: list[Card], rounds: int) -> dict:
    """Seconds (median) for one photo through all networks, by the engine and in eager fp32, and the engine's peak memory."""
    photo = np.random.default_rng(0).uniform(-1, 1, (1, 3, SIZE, SIZE)).astype(np.float32)
    arrays = {"image": photo, "strength": np.ones((1, 1), np.float32)}
    with Engine("cpu", store=store) as engine:

        def fast() -> None:
            for card in cards:
                engine.run(card.id, **arrays)

        first = seconds(fast)
        for _ in range(WARM_UP):
            fast()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        status = engine.status()
        plain = eager(store, cards, arrays)
        for _ in range(WARM_UP):
            plain()
        times = [(seconds(fast), seconds(plain)) for _ in range(rounds)]
    engine_time, eager_time = (statistics.median(column) for column in zip(*times, strict=True))
    return {
        "device": status.device,
        "precision": sorted({network.precision for network in status.networks}),
        "rounds": rounds,
        "first_seconds": round(first, 3),
        "seconds": round(engine_time, 4),
        "eager_seconds": round(eager_time, 4),
        "speedup": round(eager_time / engine_time, 2),
        "peak_memory_mb": round(peak / 1e6),
        "networks_mb": round(status.memory / 1e6, 1),
    }


def eager(store: CheckpointStore, cards: list[Card], arrays: dict[str, np.ndarray]) -> Callable[[], None]:
    """The same networks as torch runs them by itself."""
    tensors, modules = {name: torch.from_numpy(array) for name, array in arrays.items()}, []
    for card in cards:
        module = build(card).eval()
        load_into(module, store.load(card), card.file)
        modules.append(module)

    def run() -> None:
        with torch.inference_mode():
            for module in modules:
                module(**tensors)

    return run


def seconds(call: Callable[[], None]) -> float:
    """How long the call takes."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def page() -> dict:
    """Seconds from ``python app.py`` until the page answers with HTTP 200."""
    if not (ROOT / "app.py").exists():
        return {"page_seconds": None, "page_note": "not measured: there is no app.py"}
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, str(ROOT / "app.py"), "--host", "127.0.0.1", "--port", str(port)]
    start = time.perf_counter()
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while time.perf_counter() - start < START_LIMIT:
            if process.poll() is not None:
                return {"page_seconds": None, "page_note": f"not measured: app.py ended with code {process.returncode}"}
            address = f"http://127.0.0.1:{port}/"
            with contextlib.suppress(OSError), urllib.request.urlopen(address, timeout=START_LIMIT) as answer:
                if answer.status == 200:
                    return {"page_seconds": round(time.perf_counter() - start, 2)}
            time.sleep(0.05)
        return {"page_seconds": None, "page_note": f"not measured: no answer within {START_LIMIT} s"}
    finally:
        process.terminate()
        process.wait(30)


def table(figures: dict) -> str:
    """The figures for people."""
    made = f" ({figures['stand_ins']} of them untrained stand-ins)" if figures["stand_ins"] else ""
    asked = f"{figures['page_seconds']} s" if figures["page_seconds"] is not None else figures["page_note"]
    lines = [
        (f"one photo to {ANIMALS} animals at {SIZE}x{SIZE}{made}", f"{figures['seconds']} s", f"<= {GOALS['seconds']} s"),
        ("the same networks in eager fp32", f"{figures['eager_seconds']} s", ""),
        ("speed-up", f"{figures['speedup']} x", f">= {GOALS['speedup']} x"),
        ("first time in this process", f"{figures['first_seconds']} s", ""),
        ("peak memory of the process", f"{figures['peak_memory_mb']} MB", ""),
        ("of it networks", f"{figures['networks_mb']} MB", ""),
        ("from `python app.py` to the page", asked, f"<= {GOALS['page_seconds']} s"),
    ]
    head = f"{figures['device']}; {', '.join(figures['precision'])}; medians of {figures['rounds']} rounds"
    return "\n".join([head, *(f"{name:<72}{value:>12}   {goal}".rstrip() for name, value, goal in lines)])


if __name__ == "__main__":
    main()
