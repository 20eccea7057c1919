"""An engine with banks of colours, for tests of what looks around in them."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import torch

from studio.core.registry import Card
from tests.fakes import FakeEngine
from tests.walks import paint

SIZE, CODES = 6, 60


def card(part: str, task: str, domain: str = "face", **more) -> Card:
    name = f"xgan-{part}{domain}-16"
    fields = {"config": {"latent": SIZE, "m": 8}, "labels": ("rose", "red_tulip") if part == "codes-" else (), **more}
    frame = "head" if domain == "face" else ""
    return Card(name, "xgan", task, 16, f"{name}.safetensors", f"{len(name):064x}", 1, "none", (domain,), frame, **fields)


CARDS = [card(*part, domain) for domain in ("face", "bird") for part in (("", "combine"), ("codes-", "codes"))]
CARDS += [card("encoder-", "encode")]


class BankEngine(FakeEngine):
    """The first three numbers of a code are its picture's colour, and a photo's code."""

    def __init__(self, folder, cards=CARDS):
        super().__init__(folder, cards)
        random = np.random.default_rng(3)
        codes = torch.from_numpy(random.normal(0, 0.3, (CODES, SIZE)).astype(np.float32)).half()
        axes = torch.eye(2, SIZE).half()
        tensors = {"codes": codes, "axes": axes, "mean": torch.zeros(SIZE).half(), "places": codes[:, :2]}
        tensors["labels"] = torch.arange(CODES, dtype=torch.int16) % 2
        self.codes, self.store = codes.float().numpy(), Store(tensors)

    def run(self, card_id, **arrays):
        self.runs.append((card_id, len(next(iter(arrays.values())))))
        if "image" in arrays:
            colours = arrays["image"].mean((2, 3))
            return np.concatenate([colours, 0 * colours], axis=1)
        return paint(arrays["latent"])


class Store(SimpleNamespace):
    def __init__(self, tensors):
        super().__init__(load=lambda card: tensors)

    __hash__ = object.__hash__
