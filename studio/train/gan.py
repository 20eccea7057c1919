"""Sampling GANs on faces: DCGAN (IAN, section 3.1) and the flagship StyleGAN, at 64 and 128 px in the head frame."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from studio.metrics.kid import kid
from studio.models import dcgan, stylegan
from studio.models.cyclegan import Discriminator as PatchDiscriminator
from studio.train.augment import diff_augment
from studio.train.critics import FeatureDiscriminator, imagenet_trunk
from studio.train.data import HEAD, MODEL_PARTS, VALIDATION_PARTS, Sampler, part, read_pack, to_unit
from studio.train.export import write_checkpoint
from studio.train.loop import Settings, Trainer, tile, unwrap

PACKS = ("faces128", "faces64")
STYLEGAN = {
    64: {"resolution": 64, "latent": 256, "base": 2048, "most": 256, "mapping": 2},  # what two CPU cores can train
    128: {"resolution": 128, "latent": 512, "base": 16384, "most": 512, "mapping": 2},
}
MEASURED = 2000  # samples a measure takes while training


def read_faces(size: int, data: Any, parts: frozenset[int]) -> tuple[Tensor, list[dict[str, str]]]:
    """Heads of the packs that are sharp enough for ``size`` px, uint8 (N, 3, size, size), and their metadata."""
    names = PACKS if size <= 64 else PACKS[:1]
    packs = [read_pack(n, size, data, lambda row: part(row["file_name"]) in parts, HEAD) for n in names]
    return torch.cat([p.images for p in packs]), [row for p in packs for row in p.rows]


def hinge(answers: list[Tensor], sign: float) -> Tensor:
    """Hinge loss of a critic (Miyato et al. 2018, eq. 16): answers to real pictures (``sign`` 1) or made ones (-1).

    ``answers`` holds logits (B, ...) of each scale, which count the same.
    """
    return torch.stack([F.relu(1 - sign * answer.float()).mean() for answer in answers]).mean()


def fooled(answers: list[Tensor]) -> Tensor:
    """Loss of a generator whose pictures were answered so (eq. 17 there)."""
    return -torch.stack([answer.float().mean() for answer in answers]).mean()


def pooled(trunk: torch.nn.Module, images: Tensor) -> Any:
    """Features of pictures (N, 3, S, S): the means of the trunk's last map, a float array (N, 512)."""
    enlarged = [F.interpolate(batch, size=96, mode="bilinear", align_corners=False) for batch in images.split(200)]
    return torch.cat([trunk(batch)[-1].mean((2, 3)) for batch in enlarged]).float().cpu().numpy()


class FacesTrainer(Trainer):
    """What recipes of face generators share: the pictures, the measures, the cards.

    Subclasses make their networks, and say how latents are drawn and shown.
    """

    def __init__(self, settings: Settings, name: str, size: int):
        super().__init__(settings)
        self.name, self.size = name, size
        images, _ = read_faces(size, settings.data, MODEL_PARTS)
        self.sampler = Sampler([images.to(self.device)], self.generator)
        self.pictures = len(images)

    @abstractmethod
    def latents(self, count: int) -> Tensor:
        """Draws from the generator's prior."""

    @abstractmethod
    def show(self, latents: Tensor) -> Tensor:
        """Pictures of the average, as the studio would show them."""

    @torch.no_grad()
    def evaluate(self) -> dict[str, Any]:
        """KID x 1000 to part 9 on ImageNet features, and of the models' own part to it: the floor."""
        held_out, _ = read_faces(self.size, self.settings.data, VALIDATION_PARTS)
        trunk = imagenet_trunk(self.settings.data).to(self.device)
        made = torch.cat([self.show(self.latents(100)) for _ in range(MEASURED // 100)])
        wanted = pooled(trunk, to_unit(held_out).to(self.device))
        ours = self.sampler.draw(0, MEASURED)
        return {
            "kid_imagenet": round(1000 * kid(pooled(trunk, made), wanted)[0], 2),
            "kid_imagenet_floor": round(1000 * kid(pooled(trunk, ours), wanted)[0], 2),
        }

    def card(self, **fields: Any) -> None:
        """Writes a checkpoint with what the cards of all these networks say."""
        training = {"recipe": self.name, "images": self.images, "pictures": self.pictures}
        training["data"] = ", ".join(PACKS if self.size <= 64 else PACKS[:1])
        common = {"card_id": self.name, "task": "sample", "resolution": self.size, "frame": "head", "domains": ("face",)}
        write_checkpoint(self.settings.out / "export", **(common | {"training": training} | fields))


class GANTrainer(FacesTrainer):
    """A generator against one or several critics with the hinge loss; all pictures pass DiffAugment.

    Subclasses make ``generator`` and the critics named in ``weights``, each with its weight in the generator's loss.
    """

    policy = "translation"
    weights: Mapping[str, float]
    rates: Mapping[str, float] = MappingProxyType({"generator": 2e-4, "critics": 4e-4})

    def __init__(self, settings: Settings, name: str, size: int):
        super().__init__(settings, name, size)
        self.networks = self.build()
        critics = [p for critic in self.weights for p in self.networks[critic].parameters()]
        self.optimisers = {
            "generator": torch.optim.Adam(self.networks["generator"].parameters(), self.rates["generator"], betas=(0.5, 0.99)),
            "critics": torch.optim.Adam(critics, self.rates["critics"], betas=(0.5, 0.99)),
        }
        self.ready("generator")
        self.shown = self.latents(64)

    @abstractmethod
    def build(self) -> dict[str, torch.nn.Module]:
        """The networks: "generator" and each critic."""

    def make(self, latents: Tensor) -> Tensor:
        """Pictures of the network in training, (B, 3, S, S)."""
        return self.networks["generator"](latents)

    def show(self, latents: Tensor) -> Tensor:
        return self.ema["generator"](latents)

    def step(self) -> dict[str, Tensor]:
        real = self.sampler.draw(0, self.images_per_step)
        made = self.make(self.latents(self.images_per_step))
        answers = self._answers(made)
        losses = {f"gan_{name}": weight * fooled(answers[name]) for name, weight in self.weights.items()}
        self.optimisers["generator"].zero_grad()
        self.fabric.backward(sum(losses.values()))
        self.optimisers["generator"].step()
        real_answers, made_answers = self._answers(real), self._answers(made.detach())
        losses |= {f"critic_{name}": hinge(real_answers[name], 1) + hinge(made_answers[name], -1) for name in self.weights}
        self.optimisers["critics"].zero_grad()
        self.fabric.backward(sum(losses[f"critic_{name}"] for name in self.weights))
        self.optimisers["critics"].step()
        return {name: loss.detach() for name, loss in losses.items()}

    def _answers(self, images: Tensor) -> dict[str, list[Tensor]]:
        augmented = diff_augment(images, self.policy)
        return {name: self.networks[name](augmented) for name in self.weights}

    @torch.no_grad()
    def grid(self) -> Image.Image:
        return tile(list(self.show(self.shown).split(8)))


class DCGANTrainer(GANTrainer):
    """``dcgan-64``: as published but for the critic's spectral norm, hinge loss and DiffAugment, without which it collapses."""

    images_per_step = 32
    ema_half_life = 5_000.0
    weights = MappingProxyType({"critic": 1.0})

    def __init__(self, settings: Settings):
        super().__init__(settings, "dcgan-64", 64)

    def build(self) -> dict[str, torch.nn.Module]:
        return {"generator": dcgan.Generator(batch_norm=True), "critic": dcgan.Discriminator()}

    def latents(self, count: int) -> Tensor:
        return self.uniform(count, dcgan.LATENT)

    def export(self, measures: dict[str, Any]) -> None:
        tensors = dcgan.fold_batch_norm(self.ema["generator"].state_dict())
        self.card(family="dcgan", tensors=tensors, config={}, measures=measures)


class StyleGANTrainer(GANTrainer):
    """``stylegan-64`` and ``-128``: critics over frozen ImageNet features (Projected GANs) and over patches, hinge loss."""

    images_per_step = 32
    ema_half_life = 10_000.0
    policy = "translation,cutout"
    weights = MappingProxyType({"feature": 1.0, "patch": 0.5})
    rates = MappingProxyType({"generator": 2e-3, "critics": 1e-3})
    mixing = 0.5  # share of pictures whose fine styles come from a second latent (Karras et al. 2019, section 3.1)

    def __init__(self, settings: Settings, size: int):
        super().__init__(settings, f"stylegan-{size}", size)

    def build(self) -> dict[str, torch.nn.Module]:
        trunk = imagenet_trunk(self.settings.data).requires_grad_(False).to(self.device)
        return {
            "generator": stylegan.Generator(**STYLEGAN[self.size]),
            "feature": FeatureDiscriminator(trunk, 1, self.size, kernel=3),
            "patch": PatchDiscriminator(),
        }

    def ready(self, *averaged: str) -> None:
        super().ready(*averaged)
        for method in ("map", "synthesise"):
            self.networks["generator"].mark_forward_method(method)

    def latents(self, count: int) -> Tensor:
        size = STYLEGAN[self.size]["latent"]
        return torch.randn(count, size, generator=self.generator, device=self.device)

    def make(self, latents: Tensor) -> Tensor:
        network = self.networks["generator"]
        styles = network.map(torch.cat([latents, self.latents(len(latents))]))
        own, other = styles.chunk(2)
        inner = unwrap(network)
        inner.mean_style.lerp_(styles.detach().float().mean(0), 0.01)
        mixed = (self.uniform(len(latents), 1) < 2 * self.mixing - 1).float()
        crossover = torch.randint(1, inner.n_styles, (len(latents), 1), generator=self.generator, device=self.device)
        late = (torch.arange(inner.n_styles, device=self.device) >= crossover).float() * mixed
        return network.synthesise(torch.lerp(own.unsqueeze(1), other.unsqueeze(1), late.unsqueeze(2).to(own.dtype)))

    def show(self, latents: Tensor) -> Tensor:
        return self.ema["generator"](latents, latents.new_ones(len(latents), 1))

    def export(self, measures: dict[str, Any]) -> None:
        tensors = self.ema["generator"].state_dict()
        self.card(family="stylegan", tensors=tensors, config=STYLEGAN[self.size], measures=measures)
