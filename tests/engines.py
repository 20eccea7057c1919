"""Engines with networks of one weight, for tests of how the engine shares its device, and one that knows people."""

import hashlib
import threading
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save
from torch import nn

from studio.core.checkpoints import CheckpointStore
from studio.core.engine import Engine
from studio.core.registry import Card, build, register_model
from tests.fakes import FakeEngine
from tests.tiny import store_in

MEASURES = {"cosine_95_percent_of_strangers_below": 0.5}
WHO = Card("judge-identity", "judges", "judge", 8, "i.safetensors", "d" * 64, 1, "none", frame="face", measures=MEASURES)
PASSES: list[tuple[float, int]] = []  # (weight, batch size) of every forward pass of a Scale


class Scale(nn.Module):
    """Multiplies by its weight; refuses rows that begin with -1 and answers NaN to rows that begin with -2."""

    def __init__(self, ballast: int = 0):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.ballast = nn.Parameter(torch.zeros(ballast))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        PASSES.append((float(self.weight), len(image)))
        if (image.flatten(1)[:, 0] == -1).any():
            raise RuntimeError("I refuse this row.")
        return torch.where(image == -2, torch.nan, image * self.weight)


class Mixer(nn.Module):
    """A small network of what changes its kernels with the batch size: convolutions, a norm and a linear layer."""

    def __init__(self):
        super().__init__()
        widths = [3, 16, 16, 16, 16]
        self.body = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1) for a, b in pairwise(widths))
        self.to_rgb, self.head = nn.Conv2d(16, 3, 3, padding=1), nn.Linear(16, 5)

    def forward(self, image: torch.Tensor, strength: torch.Tensor) -> dict[str, torch.Tensor]:
        hidden = image
        for layer in self.body:
            hidden = torch.relu(nn.functional.instance_norm(layer(hidden)) * (1 + strength[:, :, None, None]))
        return {"picture": torch.tanh(self.to_rgb(hidden)), "logits": self.head(hidden.amax((2, 3)))}


class Shapeless(nn.Module):
    """Forgets the batch dimension."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return (image * self.weight).sum()


class PeopleEngine(FakeEngine):
    """Also has a judge, ``WHO``, that knows people by the colours of four places."""

    def _answer(self, card_id, image, strength=None):
        if card_id != WHO.id:
            return super()._answer(card_id, image, strength)
        places = image[:, :, 1::4, 1::4].reshape(len(image), -1) + 1e-3
        return {"embedding": places / np.linalg.norm(places, axis=1, keepdims=True)}


register_model("scale")(lambda **config: Scale(**config))
register_model("mixer")(lambda **config: Mixer())
register_model("shapeless")(lambda **config: Shapeless())


def add_network(store: CheckpointStore, card_id: str, family: str = "scale", weight: float | None = None, **config) -> Card:
    """Puts a network into the store, its ``weight`` set if given."""
    torch.manual_seed(0)
    card = Card(card_id, family, "judge", 8, f"{card_id}.safetensors", "", 0, "x", config=config)
    state = build(card).state_dict()
    if weight is not None:
        state["weight"] = torch.full((1,), weight)
    content = save(state)
    (store.embedded_dir / card.file).write_bytes(content)
    values = {**card.to_dict(), "sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
    card = Card.from_dict(values)
    store.registry.add(card)
    return card


def store_of_three(folder: Path) -> CheckpointStore:
    """Networks "double", "triple" (4000 bytes each) and "mixer"."""
    store = store_in(folder)
    add_network(store, "double", weight=2.0, ballast=999)
    add_network(store, "triple", weight=3.0, ballast=999)
    add_network(store, "mixer", family="mixer")
    return store


class Held:
    """Keeps the engine's worker inside one step of a job for the length of a ``with`` block, so that requests pile up."""

    def __init__(self, engine: Engine):
        self._entered, self._release = threading.Event(), threading.Event()
        self._stream = engine.stream(self._job)

    def _job(self, session):
        self._entered.set()
        self._release.wait(10)
        yield

    def __enter__(self) -> "Held":
        assert self._entered.wait(10)
        return self

    def __exit__(self, *exception: object) -> None:
        self._release.set()


def until(condition) -> None:
    """Waits until the condition holds. Fails after ten seconds."""
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.0005)


def in_threads(calls) -> list[threading.Thread]:
    """Starts one thread per call."""
    threads = [threading.Thread(target=call, daemon=True) for call in calls]
    for thread in threads:
        thread.start()
    return threads
