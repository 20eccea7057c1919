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


def sampler(name: str, animal: str | None = None, resolution: int = 16, **more) -> Card:
    """The card of a generator of faces: "dcgan", "began", "stylegan", or with an animal the K-GAN of one of them."""
    card_id, domains, base = f"{name}-{resolution}", ("face",), None
    if animal:
        base = {"id": card_id, "sha256": sampler(name, None, resolution).sha256}
        card_id, domains = f"k-{name}-{animal}-{resolution}".replace("_", "-"), ("face", animal)
    config = {"latent": 24} if name == "stylegan" else {}
    sha = f"{len(card_id):064x}"
    fields = {"domains": domains, "frame": "head", "config": config, "base": base}
    return Card(card_id, name, "sample", resolution, "g.safetensors", sha, 1, "none", **{**fields, **more})


BANK = Card("originality-8", "bank", "originality", 8, "o.safetensors", "e" * 64, 1, "none")
JUDGE = Card("judge-animal", "judges", "judge", 8, "j.safetensors", "f" * 64, 1, "none", labels=("lion", "egyptian_cat", "tiger"))


class FakeEngine:
    """A lion inverts the colours as far as the strength goes, everything else reddens; the judge sees lions in the dark.

    A generator paints the colour of its latent's first three numbers, a K-GAN one that is half as bright; the lighter a picture,
    the newer it is.
    """

    def __init__(self, folder: Path, cards: list[Card]):
        self.registry = Registry(folder / "index.json")
        for card in cards:
            self.registry.add(card)
        self.runs: list[tuple[str, int]] = []
        self.fetched: list[str] = []

    def __enter__(self) -> FakeEngine:
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def fetch(self, card_id: str) -> None:
        self.fetched.append(self.registry.card(card_id).id)

    def run(self, card_id: str, **arrays: np.ndarray):
        (rows,) = {len(array) for array in arrays.values()}
        assert all(array.dtype == np.float32 for array in arrays.values())
        self.runs.append((card_id, rows))
        return self._sample(self.registry.card(card_id), **arrays) if "latent" in arrays else self._answer(card_id, **arrays)

    @staticmethod
    def _sample(card: Card, latent: np.ndarray, imagination: np.ndarray | None = None, truncation: np.ndarray | None = None):
        amounts = {"imagination": imagination, "truncation": truncation}
        assert all(amount is None or amount.shape == (len(latent), 1) for amount in amounts.values())
        assert (imagination is None) == (card.base is None) and (truncation is None) == (card.family != "stylegan")
        dimmed = latent[:, :3] * (1 if imagination is None else 1 - 0.5 * imagination) * (1 if truncation is None else truncation)
        shape = 1, 1, card.resolution, card.resolution
        picture = np.tanh(dimmed)[:, :, None, None] * np.ones(shape, np.float32)
        return {"image": picture, "style": latent} if card.family == "stylegan" else picture

    def _answer(self, card_id: str, image: np.ndarray, strength: np.ndarray | None = None):
        if card_id == BANK.id:
            return image.mean(axis=(1, 2, 3))[:, None] + 1
        if card_id == JUDGE.id:
            dark = -4 * image.mean(axis=(1, 2, 3))
            logits = np.stack([dark, 0.2 * dark - 1, -dark - 9], axis=1)
            return {"logits": logits, "features_0": image, "features_1": image[:, :, ::4, ::4] ** 2}
        assert strength.shape == (len(image), 1) and strength.dtype == np.float32
        target = -image if "lion" in card_id else image * 0 + np.array([1, -1, -1], np.float32)[:, None, None]
        return image + strength[:, :, None, None] * (target - image)
