"""An engine with an SDIT of a few lines, for tests of what is built on it: what it draws can be told beforehand."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from studio.core.registry import Card
from tests.fakes import JUDGE
from tests.makeups import BEAUTY, PARSER, PEOPLE, MakeupEngine
from tests.walks import IDENTITY

SIDE = 16
LABELS = {
    "attributes": ("Smiling", "Male", "Pale_Skin", "Brown_Hair", "Blond_Hair", "Eyeglasses"),
    "art": ("monet", "van_gogh"),
    "cars": ("blue", "red", "yellow"),
}
SUBJECTS = {"attributes": "face", "art": "picture", "cars": "car"}
# What each place of a label adds to a picture: half of a channel's range for one label, the rest cannot be told from nothing.
ADDS = np.array([[0.5, 0, 0], [0, -0.5, 0], [0.4, 0.4, 0.4], [0.02, 0, 0], [0, 0, 0.5], [0, 0.02, 0]], np.float32)


def sdit(domains: str, **more) -> Card:
    """The card of a network."""
    name, frame = f"sdit-{domains}-{SIDE}", "portrait" if domains == "attributes" else ""
    labels, between = LABELS[domains], (SUBJECTS[domains], domains)
    fields = {"config": {"attention": domains != "art"}, "labels": labels, "frame": frame, **more}
    return Card(name, "sdit", "translate", SIDE, f"{name}.safetensors", f"{sum(map(ord, name)):064x}", 1, "none", between,
    **fields)


SEER = Card(**{**BEAUTY.to_dict(), "labels": (*LABELS["attributes"], "Heavy_Makeup"), "domains": ("face",)})
SDITS = [sdit(domains) for domains in LABELS]


class DomainsEngine(MakeupEngine):
    """The networks add the colours of what they are told and of the style's first three numbers, and attend to the left half. The
    judge of attributes sees smiles in red, men in the lack of green, blond hair in blue and glasses in nothing."""

    def __init__(self, folder: Path, cards: list[Card] = (*SDITS, PARSER, PEOPLE, SEER, IDENTITY, JUDGE)):
        super().__init__(folder, list(cards))
        self.told: list[np.ndarray] = []

    def run(self, card_id: str, **arrays: np.ndarray):
        if card_id.startswith("sdit"):
            assert all(array.dtype == np.float32 for array in arrays.values())
            self.runs.append((card_id, len(arrays["image"])))
            return self._translate(self.registry.card(card_id), **arrays)
        if card_id == SEER.id:
            red, green, blue = arrays["image"].mean((2, 3)).T
            return {"logits": 20 * np.stack([red, -green, green + red, 0 * red - 1, blue, 0 * red - 1, 0 * red - 1], 1)}
        return super().run(card_id, **arrays)

    def _translate(self, card: Card, image: np.ndarray, label: np.ndarray, latent: np.ndarray):
        rows = len(image)
        assert image.shape[1:] == (3, card.resolution, card.resolution)
        assert (label.shape, latent.shape) == ((rows, len(card.labels)), (rows, 8))
        self.told.extend(label)
        colours = label @ ADDS[: label.shape[1]] + 0.1 * np.tanh(latent[:, :3])
        answer = {"image": (image + colours[:, :, None, None]).clip(-1, 1).astype(np.float32)}
        if card.config["attention"]:
            answer["attention"] = np.zeros((rows, 1, card.resolution, card.resolution), np.float32)
            answer["attention"][..., : card.resolution // 2] = 1
        return answer
