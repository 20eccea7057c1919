"""An engine of a few lines in place of the networks, for tests of what is built on them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from studio.core.registry import Card, Registry


def translator(animal: str, resolution: int = 16, **more) -> Card:
    """The card of a face-to-animal network."""
    domains = more.pop("domains", ("face", animal))
    card_id = f"cyclegan-{animal}-{resolution}".replace("_", "-")
    sha = f"{len(card_id):064x}"
    return Card(card_id, "cyclegan", "translate", resolution, "w.safetensors", sha, 1, "none", domains, "head", **more)


JUDGE = Card("judge-animal", "judges", "judge", 8, "j.safetensors", "f" * 64, 1, "none", labels=("lion", "egyptian_cat", "tiger"))


class FakeEngine:
    """A lion inverts the colours as far as the strength goes, everything else reddens; the judge sees lions in the dark."""

    def __init__(self, folder: Path, cards: list[Card]):
        self.registry = Registry(folder / "index.json")
        for card in cards:
            self.registry.add(card)
        self.runs: list[tuple[str, int]] = []

    def __enter__(self) -> FakeEngine:
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def fetch(self, card_id: str) -> None:
        self.registry.card(card_id)

    def run(self, card_id: str, image: np.ndarray, strength: np.ndarray | None = None):
        assert image.dtype == np.float32
        self.runs.append((card_id, len(image)))
        if card_id == JUDGE.id:
            dark = -4 * image.mean(axis=(1, 2, 3))
            logits = np.stack([dark, 0.2 * dark - 1, -dark - 9], axis=1)
            return {"logits": logits, "features_0": image, "features_1": image[:, :, ::4, ::4] ** 2}
        assert strength.shape == (len(image), 1) and strength.dtype == np.float32
        target = -image if "lion" in card_id else image * 0 + np.array([1, -1, -1], np.float32)[:, None, None]
        return image + strength[:, :, None, None] * (target - image)
