"""Sampling GANs on faces, in the head frame: what they share, and DCGAN (IAN, section 3.1)."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from studio.metrics.kid import kid
from studio.models import dcgan
from studio.train.augment import diff_augment
from studio.train.critics import imagenet_trunk
from studio.train.data import HEAD, MODEL_PARTS, VALIDATION_PARTS, Sampler, part, read_pack, to_unit
from studio.train.export import write_checkpoint
from studio.train.loop import Settings, Trainer, tile

PACKS = ("faces128", "faces64")
UNIFORM = 1 / math.sqrt(3)  # the deviation of latents of DCGAN and BEGAN, uniform in [-1, 1]; the flagship's are normal
GPU_BATCHES = 2  # of a CPU's
RENORMED = 4096  # samples that DCGAN's norms see before it is shipped
MEASURED = 2000  # samples a measure takes while training


def read_faces(size: int, data: Any, parts: frozenset[int]) -> tuple[Tensor, list[dict[str, str]]]:
    """Heads of the packs that are sharp enough for ``size`` px, uint8 (N, 3, size, size), and their metadata."""
    names = PACKS if size <= 64 else PACKS[:1]
    packs = [read_pack(n, size, data, lambda row: part(row["file_name"]) in parts, HEAD) for n in names]
    return torch.cat([p.images for p in packs]), [row for p in packs for row in p.rows]


def logistic(answers: list[Tensor], sign: float) -> Tensor:
    """Logistic loss (Goodfellow et al. 2014): of a critic's answers to real (``sign`` 1) and made pictures (-1).

    With sign 1 for made pictures it is their generator's, the one that does not saturate.
    """
    return torch.stack([F.softplus(-sign * answer.float()).mean() for answer in answers]).mean()


def pooled(trunk: torch.nn.Module, images: Tensor) -> Any:
    """Features of pictures (N, 3, S, S): the means of the trunk's last map, a float array (N, 512)."""
    enlarged = [F.interpolate(batch, size=96, mode="bilinear", align_corners=False) for batch in images.split(200)]
    return torch.cat([trunk(batch)[-1].mean((2, 3)) for batch in enlarged]).float().cpu().numpy()


@contextmanager
def renewed(network: nn.Module) -> Iterator[None]:
    """The norms of a network take their statistics anew, as plain means, from all that passes through meanwhile."""
    norms = [module for module in network.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
    network.train()
    try:
        yield
    finally:
        network.eval()
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum


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
        held_out, _ = read_faces(size, settings.data, VALIDATION_PARTS)
        self.held_out = to_unit(held_out)
        self.validation = self.held_out[:12].to(self.device)

    @abstractmethod
    def latents(self, count: int) -> Tensor:
        """Draws from the generator's prior."""

    @abstractmethod
    def show(self, latents: Tensor) -> Tensor:
        """Pictures of the average, as the studio would show them."""

    @torch.no_grad()
    def evaluate(self) -> dict[str, Any]:
        """KID x 1000 to part 9 on ImageNet features, and of the models' own part to it: the floor."""
        trunk = imagenet_trunk(self.settings.data).to(self.device)
        made = torch.cat([self.show(self.latents(100)) for _ in range(MEASURED // 100)])
        wanted = pooled(trunk, self.held_out.to(self.device))
        ours = self.sampler.draw(0, MEASURED)
        return {
            "kid_imagenet": round(1000 * kid(pooled(trunk, made), wanted)[0], 2),
            "kid_imagenet_floor": round(1000 * kid(pooled(trunk, ours), wanted)[0], 2),
        }

    def card(self, began_with: str | None = None, **fields: Any) -> None:
        """Writes a checkpoint with what the cards of all these networks say; ``began_with`` is a checkpoint's id."""
        training = {"recipe": self.name, "images": self.images, "pictures": self.pictures}
        training |= {"began_with": began_with} if began_with else {}
        training["data"] = ", ".join(PACKS if self.size <= 64 else PACKS[:1])
        common = {"card_id": self.name, "task": "sample", "resolution": self.size, "frame": "head", "domains": ("face",)}
        write_checkpoint(self.settings.out / "export", **(common | {"training": training} | fields))


class GANTrainer(FacesTrainer):
    """A "generator" against a "critic" with the logistic loss; all pictures pass DiffAugment. Subclasses make both."""

    policy = "translation"
    rates: Mapping[str, float] = MappingProxyType({"generator": 2e-4, "critic": 2e-4})

    def __init__(self, settings: Settings, name: str, size: int):
        super().__init__(settings, name, size)
        if self.device.type == "cuda":  # which small batches would leave idle
            self.images_per_step *= GPU_BATCHES
        self.networks = self.build()
        self.optimisers = {
            name: torch.optim.Adam([p for p in self.networks[name].parameters() if p.requires_grad], rate, betas=(0.5, 0.99))
            for name, rate in self.rates.items()
        }
        self.ready("generator")
        self.shown = self.latents(60)

    @abstractmethod
    def build(self) -> dict[str, torch.nn.Module]:
        """The networks: "generator", "critic" and what else has one of the ``rates``."""

    def make(self, latents: Tensor) -> Tensor:
        """Pictures of the network in training, (B, 3, S, S)."""
        return self.networks["generator"](latents)

    def show(self, latents: Tensor) -> Tensor:
        return self.ema["generator"](latents)

    def step(self) -> dict[str, Tensor]:
        real = self.sampler.draw(0, self.images_per_step)
        made = self.make(self.latents(self.images_per_step))
        losses = {"gan": self._judged(made, 1)}
        self.optimisers["generator"].zero_grad()
        self.fabric.backward(losses["gan"])
        self.optimisers["generator"].step()
        losses["critic"] = self._judged(real, 1) + self._judged(made.detach(), -1)
        self.optimisers["critic"].zero_grad()
        self.fabric.backward(losses["critic"])
        self.optimisers["critic"].step()
        return {name: loss.detach() for name, loss in losses.items()}

    def _judged(self, images: Tensor, sign: float) -> Tensor:
        """The critic's loss on real (``sign`` 1) or made pictures (-1)."""
        return logistic(self.networks["critic"](diff_augment(images, self.policy)), sign)

    @torch.no_grad()
    def grid(self) -> Image.Image:
        return tile(list(self.show(self.shown).split(10)))


class DCGANTrainer(GANTrainer):
    """``dcgan-64``: as published, but for smaller batches, which teach more in the same time, and DiffAugment."""

    images_per_step = 32
    ema_half_life = 5_000.0

    def __init__(self, settings: Settings):
        super().__init__(settings, "dcgan-64", 64)

    def build(self) -> dict[str, torch.nn.Module]:
        return {"generator": dcgan.Generator(batch_norm=True), "critic": dcgan.Discriminator()}

    def latents(self, count: int) -> Tensor:
        return self.uniform(count, dcgan.LATENT)

    def evaluate(self) -> dict[str, Any]:
        """As of any face generator, after the norms' statistics were taken anew: those of the network are not its average's."""
        average = self.ema["generator"]
        with renewed(average), torch.no_grad():
            for _ in range(RENORMED // 64):
                average(self.latents(64))
        return super().evaluate()

    def export(self, measures: dict[str, Any]) -> None:
        tensors = dcgan.fold_batch_norm(self.ema["generator"].state_dict())
        self.card(family="dcgan", tensors=tensors, config={}, measures=measures)
