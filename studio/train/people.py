"""``cvaegan-people-SIZE``: CVAE-GAN of people (Bao et al. 2017), out of that of faces by what it finds of their photos.

A person's mean code and mean attributes are where the person is; the covariance of what is left, over all people, is how photos
of one person differ: z is that, normal as the prior has it. Who it is says a linear discriminant of the features of C. One step
does it, as all of it has a closed form. From scratch, three thousand photos and an hour of a shared CPU core were too few: all
people looked the same.
"""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import Any

import torch
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from torch import Tensor, nn

from studio.core.checkpoints import default_store
from studio.core.registry import build
from studio.train.cvaegan import DOMAINS, INFIXES, Attributes, CVAEGANTrainer
from studio.train.data import to_unit
from studio.train.loop import Settings, unwrap
from studio.train.xgan import BATCH

LEAST = 0.1  # deviation of a code's numbers between photos of one person, at least: some say nothing, and would be blown up
COMPONENTS, SHRINKAGE = 300, 0.1  # of the discriminant


class PeopleTrainer(CVAEGANTrainer):
    """Puts people into their places among faces of ``size`` px, as the studio ships them, in its only step."""

    rates = MappingProxyType({})
    total_images = 1

    def __init__(self, settings: Settings, size: int = 64):
        super().__init__(settings, "people", size, extent=replace(DOMAINS["faces"], domain="person"))
        self.images_per_step = len(self.data.images)

    def build(self) -> dict[str, nn.Module]:
        """The three parts of faces, which know nobody yet."""
        store = default_store()
        self.bases = {name: store.registry.card(f"cvaegan-{infix}faces-{self.size}") for name, infix in INFIXES.items()}
        self.extent = replace(self.extent, latent=self.bases["generator"].config["latent"])
        people = {"people": len(self.conditions.names)}
        self.configs = {name: {k: v for k, v in card.config.items() if k != "part"} | people for name, card in self.bases.items()}
        networks = {name: build(replace(card, config=card.config | people)) for name, card in self.bases.items()}
        self.tensors = {name: store.load(card) for name, card in self.bases.items()}
        for name, network in networks.items():
            network.load_state_dict({k: v.float() for k, v in self.tensors[name].items()}, strict=False)
            network.eval().requires_grad_(False)
        self.faces = Attributes(self.bases["generator"].labels)
        return networks

    def _grow(self) -> dict[str, list[str]]:
        return {}

    def settle(self) -> None:
        """The norms are those of faces."""

    @torch.no_grad()
    def step(self) -> dict[str, Tensor]:
        """Looks at all photos and their mirror images."""
        photos = to_unit(torch.cat([self.images_of, self.images_of.flip(3)]))
        labels = self.labels_of.repeat(2, 1)
        codes, attributes, features = (torch.cat(found) for found in zip(*map(self._look, photos.split(BATCH)), strict=True))
        places = self.ema["generator"].places
        weights = labels.T / labels.sum(0).unsqueeze(1)
        places.codes.copy_(weights @ codes)
        places.attributes.copy_(weights @ attributes)
        apart = codes - labels @ places.codes
        covariance = apart.T @ apart / (len(codes) - labels.shape[1])
        places.spread.copy_(torch.linalg.cholesky(covariance + LEAST**2 * torch.eye(len(covariance), device=self.device)))
        places.narrow.copy_(torch.linalg.inv(places.spread))
        self.ema["encoder"].places.load_state_dict(places.state_dict())
        self._discriminate(features.cpu().numpy(), labels.argmax(1).cpu().numpy())
        for name, average in self.ema.items():
            unwrap(self.networks[name]).load_state_dict(average.state_dict())
        return {"spread": places.spread.diagonal().mean()}

    def _look(self, photos: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What the networks of faces find: codes (B, Z), attributes (B, K), features (B, F)."""
        maps, answer = self.ema["classifier"].look(photos)
        attributes = self.faces.guess(answer["logits"])
        encoder = self.ema["encoder"]
        found = super(type(encoder), encoder).forward(photos, attributes)
        return found["mean"], attributes, maps[-1].flatten(1)

    def _discriminate(self, features: Any, whom: Any) -> None:
        """The linear discriminant of ``features`` (N, F), in their first components: there are fewer photos than features."""
        components = PCA(min(COMPONENTS, *features.shape), random_state=0).fit(features)
        known = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=SHRINKAGE).fit(components.transform(features), whom)
        weight = known.coef_ @ components.components_
        person = self.ema["classifier"].person
        person.weight.copy_(torch.as_tensor(weight))
        person.bias.copy_(torch.as_tensor(known.intercept_ - weight @ components.mean_))

    def shipped(self, name: str) -> dict[str, Any]:
        """What the faces' part lacks, and which one that is."""
        tensors = {k: v for k, v in self.ema[name].state_dict().items() if k not in self.tensors[name]}
        return {"tensors": tensors, "base": {"id": self.bases[name].id, "sha256": self.bases[name].sha256}}
