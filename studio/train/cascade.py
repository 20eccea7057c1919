"""The second stage of IAN, fine-tuned on what the first one makes (section 3.2 and 4.2): ``cascade-ANIMAL-64``.

It starts from the shipped face -> animal network and from the critics that taught it, and sees photographs and samples of the
sampling GANs in turns. What comes out takes the shipped network's place.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from studio.core.checkpoints import CheckpointStore, default_store, load_into
from studio.core.registry import Card, build
from studio.train.cyclegan import CRITICS, GROUPS, CycleGANTrainer
from studio.train.loop import Settings, named, read_state

SAMPLES = 512  # of each generator
GENTLER = 0.25  # of the learning rates of the run that it continues


class CascadeTrainer(CycleGANTrainer):
    """One animal's translator on photographs and on samples of its K-GANs and of the flagship."""

    def __init__(self, settings: Settings, animal: str, size: int = 64):
        self.store = default_store()
        super().__init__(settings, animal, size)
        self.name = f"cascade-{animal}-{size}"
        self.samples = torch.cat([self._draw_samples(card) for card in self._first_stages(animal)])
        for optimiser in self.optimisers.values():
            for group in optimiser.param_groups:
                group["lr"] *= GENTLER

    def _start_from_base(self) -> None:
        animal = self.animals[0]
        card = self.store.registry.card(f"cyclegan-{animal}-{self.size}")
        self.base_images = card.training["images"]
        load_into(self.networks["to_animal"], self.store.load(card), card.file)
        group = next(name for name in ("wild", "home") if animal in GROUPS[name])
        state = read_state(self.settings.out.parent / f"cyclegan-{group}-{self.size}")[1]
        for name in ("to_face", *CRITICS):
            self.networks[name].load_state_dict(named(state, f"network/{name}/"))

    def _first_stages(self, animal: str) -> list[Card]:
        """The animal's K-GANs and the flagship, of this size or finer."""
        cards = self.store.registry.list_models(task="sample")
        kin = [card for card in cards if animal in card.domains or card.family == "stylegan"]
        found = [card for card in kin if card.resolution >= self.size]
        if not found:
            raise ValueError(f"There is no K-GAN of {animal} to learn from: train and ship k-dcgan-{animal}-{self.size} first.")
        return found

    @torch.no_grad()
    def _draw_samples(self, card: Card) -> Tensor:
        """(SAMPLES, 3, S, S) in [-1, 1], as the Character tab would make them."""
        network = _network(self.store, card)
        if card.family == "stylegan":
            latent = torch.randn(SAMPLES, card.config["latent"], generator=self.generator, device=self.device)
            made = [network(part, part.new_full((len(part), 1), 0.7))["image"] for part in latent.cpu().split(64)]
        else:
            made = [network(part, part.new_ones(len(part), 1)) for part in self.uniform(SAMPLES, 100).cpu().split(64)]
        return F.interpolate(torch.cat(made), size=(self.size, self.size), mode="area").to(self.device)

    def _draw_heads(self) -> Tensor:
        """Half photographs, half samples."""
        heads = super()._draw_heads()
        picks = torch.randint(len(self.samples), (self.batch,), generator=self.generator, device=self.device)
        sampled = (torch.arange(self.batch, device=self.device) % 2 == 0).view(-1, 1, 1, 1)
        return torch.where(sampled, self.samples[picks], heads)


def _network(store: CheckpointStore, card: Card) -> torch.nn.Module:
    network = build(card).eval().requires_grad_(False)
    load_into(network, store.load(card), card.file)
    return network
