"""An engine with small CVAE-GANs whose weights were never trained, for tests of what is built on them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch

from studio.core.images import Photo
from studio.core.registry import Card, build
from tests.fakes import JUDGE, FakeEngine
from tests.walks import EYE, IDENTITY, Steps

SIDE, LATENT = 16, 6
LABELS = {
    "faces": ("Smiling", "Eyeglasses", "No_Beard", "Wearing_Hat"),
    "flowers": ("daisy", "rose", "tulip"),
    "birds": ("American_Goldfinch", "Blue_Jay"),
}
CALLED = {"faces": "face", "flowers": "flower", "birds": "bird"}
TASKS = {"draw": ("", "generator"), "describe": ("encoder-", "encoder"), "recognise": ("classifier-", "classifier")}
MORPH_EYE = Card(**{**EYE.to_dict(), "labels": LABELS["faces"], "domains": ("face",)})


def card(domain: str, task: str, **more) -> Card:
    """The card of one of a domain's three networks."""
    prefix, part = TASKS[task]
    name, labels = f"cvaegan-{prefix}{domain}-{SIDE}", LABELS[domain]
    config = {"part": part, "conditions": len(labels), "width": 4, "resolution": SIDE}
    config |= {} if task == "recognise" else {"latent": LATENT}
    sha = f"{sum(map(ord, name)):064x}"
    fields = {"config": config, "labels": labels, "frame": "head" if domain == "faces" else "", **more}
    return Card(name, "cvaegan", task, SIDE, f"{name}.safetensors", sha, 1, "none", (CALLED[domain],), **fields)


CARDS = [card(domain, task) for domain in LABELS for task in TASKS]


class MorphEngine(FakeEngine):
    """Runs the networks as they were born; the attribute judge sees smiles in bright pictures, glasses in dark ones."""

    def __init__(self, folder: Path, cards: list[Card] = (*CARDS, MORPH_EYE, IDENTITY, JUDGE)):
        super().__init__(folder, list(cards))
        torch.manual_seed(0)
        self.networks = {card.id: _born(card) for card in cards if card.family == "cvaegan"}
        self.ended = 0

    def run(self, card_id: str, **arrays: np.ndarray):
        assert all(array.dtype == np.float32 for array in arrays.values())
        if card_id in self.networks:
            self.runs.append((card_id, len(next(iter(arrays.values())))))
            with torch.no_grad():
                answer = self.networks[card_id](**{name: torch.from_numpy(array) for name, array in arrays.items()})
            return {k: v.numpy() for k, v in answer.items()} if isinstance(answer, dict) else answer.numpy()
        if card_id == MORPH_EYE.id:
            light = arrays["image"].mean((1, 2, 3))[:, None]
            return {"logits": light * np.array([8, -8, 1, 1], np.float32)}
        if card_id == IDENTITY.id:
            colours = arrays["image"].mean((2, 3)) + np.array([0, 0, 2], np.float32)
            return {"embedding": colours / np.linalg.norm(colours, axis=1, keepdims=True)}
        return super().run(card_id, **arrays)

    def stream(self, fn):
        judge = SimpleNamespace(trunk=lambda image: [torch.nn.functional.avg_pool2d(image, 4)])
        return Steps(self, fn(SimpleNamespace(network=lambda card_id: self.networks.get(card_id, judge), device="cpu")))


def _born(card: Card) -> torch.nn.Module:
    network = build(card).eval().requires_grad_(False)
    for name, weights in network.named_parameters():
        if name.endswith("weight") and weights.dim() > 1:
            weights.mul_(3)  # else everything they make is grey
    return network


def patches(seed: int, height: int = 48, width: int = 48) -> Photo:
    """A photo of coloured squares; name and hash come from the seed."""
    rgb = np.random.default_rng(seed).integers(20, 235, (height // 8, width // 8, 3), np.uint8)
    return Photo(np.kron(rgb, np.ones((8, 8, 1), np.uint8)), f"{seed:064x}", f"photo-{seed}.png")
