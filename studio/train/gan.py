"""Sampling GANs on faces: DCGAN (IAN, section 3.1) and the flagship StyleGAN, at 64 and 128 px in the head frame."""

from __future__ import annotations

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
from studio.models import dcgan, stylegan
from studio.train.augment import diff_augment
from studio.train.critics import imagenet_trunk
from studio.train.data import HEAD, MODEL_PARTS, VALIDATION_PARTS, Sampler, part, read_pack, to_unit
from studio.train.export import write_checkpoint
from studio.train.loop import Settings, Trainer, tile, unwrap
from studio.train.losses import perceptual_distance

PACKS = ("faces128", "faces64")
STYLEGAN = {
    64: {"resolution": 64, "latent": 256, "base": 2048, "most": 256, "mapping": 2},  # what two CPU cores can train
    128: {"resolution": 128, "latent": 512, "base": 16384, "most": 512, "mapping": 2},
}
# Of what the networks give back; the GAN's own terms are of order 1.
LAMBDA_PIXELS, LAMBDA_PERCEPTUAL = 2.0, 2.0
LAMBDA_KL = 2.5e-3
WARM_UP = 26_000  # pictures
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

    def card(self, **fields: Any) -> None:
        """Writes a checkpoint with what the cards of all these networks say."""
        training = {"recipe": self.name, "images": self.images, "pictures": self.pictures}
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
        losses = {"gan": logistic(self._answers(made), 1)}
        self.optimisers["generator"].zero_grad()
        self.fabric.backward(losses["gan"])
        self.optimisers["generator"].step()
        losses["critic"] = logistic(self._answers(real), 1) + logistic(self._answers(made.detach()), -1)
        self.optimisers["critic"].zero_grad()
        self.fabric.backward(losses["critic"])
        self.optimisers["critic"].step()
        return {name: loss.detach() for name, loss in losses.items()}

    def _answers(self, images: Tensor) -> list[Tensor]:
        return self.networks["critic"](diff_augment(images, self.policy))

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


class StyleGANTrainer(GANTrainer):
    """``stylegan-64`` and ``-128``: against DCGAN's critic, with an encoder.

    For the first ``WARM_UP`` pictures generator and encoder learn to give real faces back from latents whose posterior stays near
    the prior (Kingma and Welling 2014), so that the critic meets faces of many poses from its first day. From then on only the
    encoder is asked to: what critic and pixels want of a generator are two things. A critic over ImageNet features made faces
    sooner, but all in one pose, or with frames around their eyes.
    """

    images_per_step = 32
    ema_half_life = 5_000.0
    rates = MappingProxyType({"generator": 1e-3, "critic": 2e-4, "encoder": 1e-3})
    mixing = 0.25  # share of pictures whose fine styles come from a second latent (Karras et al. 2019, section 3.1)
    encode_every = 4  # steps, after the warm-up

    def __init__(self, settings: Settings, size: int):
        super().__init__(settings, f"stylegan-{size}", size)

    def build(self) -> dict[str, torch.nn.Module]:
        self.trunk = imagenet_trunk(self.settings.data).requires_grad_(False).to(self.device)
        config = STYLEGAN[self.size]
        encoder = stylegan.Encoder(self.size, config["latent"], config["mapping"])
        encoder.mapping.requires_grad_(False)  # a copy of the generator's, put in when exported
        return {
            "generator": stylegan.Generator(**config),
            "encoder": encoder,
            "critic": dcgan.Discriminator(resolution=self.size),
        }

    def ready(self, *averaged: str) -> None:
        super().ready(*averaged, "encoder")
        for method in ("map", "synthesise"):
            self.networks["generator"].mark_forward_method(method)
        self.networks["encoder"].mark_forward_method("posterior")

    def latents(self, count: int) -> Tensor:
        size = STYLEGAN[self.size]["latent"]
        return torch.randn(count, size, generator=self.generator, device=self.device)

    def make(self, latents: Tensor) -> Tensor:
        network = self.networks["generator"]
        styles = network.map(torch.cat([latents, self.latents(len(latents))]))
        own, other = styles.chunk(2)
        inner = unwrap(network)
        mixed = (self.uniform(len(latents), 1) < 2 * self.mixing - 1).float()
        crossover = torch.randint(1, inner.n_styles, (len(latents), 1), generator=self.generator, device=self.device)
        late = (torch.arange(inner.n_styles, device=self.device) >= crossover).float() * mixed
        return network.synthesise(torch.lerp(own.unsqueeze(1), other.unsqueeze(1), late.unsqueeze(2).to(own.dtype)))

    def step(self) -> dict[str, Tensor]:
        warm = self.images >= WARM_UP
        losses = super().step() if warm else {}
        if warm and self.steps % self.encode_every:
            return losses
        learners = ("encoder",) if warm else ("encoder", "generator")
        return losses | self._give_back(self.sampler.draw(0, self.images_per_step), learners)

    def _give_back(self, photos: Tensor, learners: tuple[str, ...]) -> dict[str, Tensor]:
        """One step of the learners on what encoder and generator make of photos."""
        mean, log_variance = self.networks["encoder"].posterior(photos)
        mean, log_variance = mean.float(), log_variance.float().clamp(-8, 4)
        noise = torch.randn(mean.shape, generator=self.generator, device=self.device)
        network = self.networks["generator"]
        style = network.map(mean + noise * (0.5 * log_variance).exp())
        made = network.synthesise(style.unsqueeze(1).expand(-1, unwrap(network).n_styles, -1))
        losses = {
            "pixels": LAMBDA_PIXELS * F.l1_loss(made.float(), photos),
            "perceptual": LAMBDA_PERCEPTUAL * self._perceptual(made, photos),
            "kl": LAMBDA_KL * 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1).mean(),
        }
        for name in learners:
            self.optimisers[name].zero_grad()
        self.fabric.backward(sum(losses.values()))
        for name in learners:
            self.optimisers[name].step()
        return {name: loss.detach() for name, loss in losses.items()}

    def _perceptual(self, made: Tensor, photos: Tensor) -> Tensor:
        with self.fabric.autocast():
            with torch.no_grad():
                wanted = self.trunk(photos)[1:]
            return perceptual_distance(self.trunk(made)[1:], wanted)

    def show(self, latents: Tensor) -> Tensor:
        return self.ema["generator"](latents, latents.new_ones(len(latents), 1))["image"]

    @torch.no_grad()
    def grid(self) -> Image.Image:
        """Samples, then held-out faces above what the networks make of them."""
        self._copy_mapping()
        given_back = self.ema["generator"](styles=self.ema["encoder"](self.validation))["image"]
        return tile([*self.show(self.shown).split(12), self.validation, given_back])

    def _copy_mapping(self) -> None:
        """Puts the averaged mapping into the encoder, and the mean of its styles where truncation finds it."""
        average = self.ema["generator"]
        self.ema["encoder"].mapping.load_state_dict(average.mapping.state_dict())
        average.mean_style.copy_(average.map(self.latents(4096)).mean(0))

    @torch.no_grad()
    def export(self, measures: dict[str, Any]) -> None:
        self._copy_mapping()
        config = STYLEGAN[self.size]
        self.card(family="stylegan", tensors=self.ema["generator"].state_dict(), config=config, measures=measures)
        self.card(
            card_id=f"stylegan-encoder-{self.size}",
            task="encode",
            family="stylegan",
            tensors=self.ema["encoder"].state_dict(),
            config={"part": "encoder", "resolution": self.size} | {name: config[name] for name in ("latent", "mapping")},
        )
