"""An engine whose faces are plain colours, for tests of what walks between them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch

from studio.core.images import Photo, to_png
from studio.core.registry import Card
from studio.latent.reversal import ReversalStep, psnr
from tests.fakes import JUDGE, FakeEngine, sampler, translator

SIDE, STYLES, LATENT = 16, 5, 24
REACH = 2.0  # of all styles but the first
IDENTITY = Card(
    "judge-identity", "judges", "judge", 8, "i.safetensors", "d" * 64, 1, "none", ("face",), "face",
    measures={"cosine_95_percent_of_strangers_below": 0.5},
)  # fmt: skip


EYE = Card("judge-attributes", "judges", "judge", 8, "a.safetensors", "c" * 64, 1, "none", ("face",), "portrait")


def coder(name: str, task: str, resolution: int = SIDE, **more) -> Card:
    """The card of an encoder or decoder."""
    part = "encoder" if task == "encode" else "decoder"
    card_id = f"{name}-{part}-{resolution}"
    sha = f"{len(card_id):064x}"
    return Card(card_id, name, task, resolution, "c.safetensors", sha, 1, "none", ("face",), "head", **more)


WALKERS = [
    sampler("stylegan"), coder("stylegan", "encode"), coder("began", "encode"), coder("began", "decode"),
    translator("lion"), translator("fox", study="few pictures"), JUDGE, IDENTITY, EYE,
]  # fmt: skip


class WalkEngine(FakeEngine):
    """The first three numbers of a code are its picture's colour; encoders see the mean colour, and are a little off.

    ``ended`` counts the streams that were closed or ran out.
    """

    def __init__(self, folder: Path, cards: list[Card] = WALKERS):
        super().__init__(folder, cards)
        self.ended = 0

    def run(self, card_id: str, **arrays: np.ndarray):
        card = self.registry.card(card_id)
        if card.task not in ("encode", "decode") and card_id != IDENTITY.id and "styles" not in arrays:
            return super().run(card_id, **arrays)
        assert all(array.dtype == np.float32 for array in arrays.values())
        self.runs.append((card_id, len(next(iter(arrays.values())))))
        if card_id == IDENTITY.id:
            colours = arrays["image"].mean((2, 3)) + np.array([0, 0, 2], np.float32)
            return {"embedding": colours / np.linalg.norm(colours, axis=1, keepdims=True)}
        if card.task == "encode":
            code = np.zeros((len(arrays["image"]), LATENT), np.float32)
            code[:, :3] = arrays["image"].mean((2, 3)) * 0.5
            return code if card.family == "began" else np.repeat(code[:, None], STYLES, axis=1)
        if "styles" in arrays:
            return {"image": paint(arrays["styles"][:, 0])}
        return paint(arrays["latent"])

    def stream(self, fn):
        network = SimpleNamespace(synthesise=None, trunk=lambda image: [image], map=lambda latent: latent, truncate=torch.mul)
        network.reach = torch.tensor([[1.0], *[[REACH]] * (STYLES - 1)])
        return Steps(self, fn(SimpleNamespace(network=lambda card_id: network, device="cpu")))


class Steps:
    """As the engine's stream; every value arrives."""

    def __init__(self, engine: WalkEngine, steps):
        self._engine, self._steps, self._open = engine, steps, True

    def __iter__(self):
        return self

    def __next__(self):
        try:
            return next(self._steps)
        except StopIteration:
            self.close()
            raise

    def close(self) -> None:
        self._steps.close()
        self._engine.ended += self._open
        self._open = False


def reverse(generate, target, start, steps, distance):
    """Goes half of the way to the photo's colour at each step."""
    code, goal = start.clone(), start.clone()
    goal[:, :, :3] = target.mean((2, 3))[:, None]
    for step in range(steps + 1):
        image = torch.from_numpy(paint(code[:, 0].numpy()))
        yield ReversalStep(step, code, image, distance(image, target), psnr(image, target))
        code = code + (goal - code) / 2


def paint(codes: np.ndarray) -> np.ndarray:
    return codes[:, :3, None, None].clip(-1, 1) * np.ones((1, 1, SIDE, SIDE), np.float32)


def person(red: int, green: int = 90, blue: int = 160, name: str = "") -> Photo:
    """A photo of one colour; its name and hash come from it."""
    rgb = np.full((40, 40, 3), (red, green, blue), np.uint8)
    return Photo(rgb, f"{red:02x}{green:02x}{blue:02x}".ljust(64, "0"), name or f"person-{red}.png")


def save_person(folder: Path, red: int) -> Path:
    path = folder / f"person-{red}.png"
    path.write_bytes(to_png(person(red).rgb))
    return path
