"""The flagship: a StyleGAN that begins as the shipped DCGAN, and the encoder that finds its styles in photos."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from studio.core.checkpoints import default_store, load_into
from studio.core.registry import build
from studio.models import dcgan, stylegan
from studio.train.augment import diff_augment
from studio.train.critics import FeatureDiscriminator, imagenet_trunk
from studio.train.gan import UNIFORM, FacesTrainer, GANTrainer, logistic
from studio.train.loop import Settings, tile, unwrap
from studio.train.losses import perceptual_distance

CONFIGS = {128: {"resolution": 128, "latent": 256, "base": 2048, "most": 512}}
BASE = "dcgan-64"
LAMBDA_PIXELS, LAMBDA_PERCEPTUAL, LAMBDA_STYLE, LAMBDA_DEPARTURES = 2.0, 2.0, 0.5, 0.5
QUIET = 0.02  # length of what a residual convolution adds before it has learnt anything
SETTLE = 4_000  # pictures after which what DCGAN knew may change too; before, critics that are new would undo it
CAREFUL = 0.3  # of the generator's rate, for that part: there is no batch norm any more that would keep its maps in bounds
FEATURE_RATE = 2e-3  # of the heads over frozen features
SHARE = 0.7  # of the way from DCGAN to the average that is shipped


@torch.no_grad()
def begin_as_dcgan(generator: stylegan.Generator, state: Mapping[str, Tensor]) -> None:
    """Makes a flagship draw what DCGAN draws: of the same latents (their first 100 numbers), enlarged if it is larger.

    A sum of a hundred uniform numbers is nearly normal, so that the first map hardly sees that the latents are normal now. All
    that DCGAN does not have says nothing or little at first.

    Args:
        generator: of 64 px or more, with DCGAN's widths (``base`` 2048, ``most`` 512), as it is born.
        state: a shipped DCGAN's, batch norms folded into its convolutions.
    """
    stem = state["layers.0.layer.weight"]
    generator.stem.weight.zero_()
    generator.stem.weight[:, : dcgan.LATENT] = UNIFORM * stem.flatten(1).T
    generator.stem.bias.copy_(state["layers.0.layer.bias"].repeat_interleave(stem[0, 0].numel()))
    last = 3
    for index, block in enumerate(generator.blocks):
        block.refine.gain.fill_(QUIET)
        block.to_rgb.weight.zero_()
        if index == last:
            block.to_rgb.weight.copy_(state[f"layers.{last + 1}.layer.weight"])
            block.to_rgb.bias.copy_(state[f"layers.{last + 1}.layer.bias"])
        elif index < last:
            weight = state[f"layers.{index + 1}.layer.weight"]
            block.grow.weight.copy_(weight)
            block.grow.gain.copy_(weight.float().square().sum((0, 2, 3)).sqrt())
            block.grow.bias.copy_(state[f"layers.{index + 1}.layer.bias"])


class StyleGANTrainer(GANTrainer):
    """``stylegan-128``: begins as the shipped DCGAN, and goes on against two critics.

    A StyleGAN from nothing had drawn rather than photographed faces after 120,000 pictures, DCGAN after 28,000 people one could
    meet. But a critic that is new undoes what DCGAN knew sooner than it learns it itself, so one sees through frozen ImageNet
    features (Sauer et al. 2021) and knows a face after some hundred pictures; it is the other one, of DCGAN's kind, that sees
    all of 128 px. An augmentation of colours let all faces turn green.
    """

    images_per_step = 32
    ema_half_life = 10_000.0
    policy = "translation,cutout"
    rates = MappingProxyType({"generator": 1e-4, "critic": 5e-4})
    mixing = 0.25  # share of pictures whose fine styles come from a second latent (Karras et al. 2019, section 3.1)

    def __init__(self, settings: Settings, size: int):
        super().__init__(settings, f"stylegan-{size}", size)

    def build(self) -> dict[str, torch.nn.Module]:
        generator = stylegan.Generator(**CONFIGS[self.size])
        store = default_store()
        begin_as_dcgan(generator, store.load(store.registry.card(BASE)))
        self.born = {name: tensor.clone().to(self.device) for name, tensor in generator.state_dict().items()}
        trunk = imagenet_trunk(self.settings.data).to(self.device, memory_format=torch.channels_last)
        return {
            "generator": generator,
            "critic": dcgan.Discriminator(width=4096 // self.size, resolution=self.size, batch_norm=False),
            "features": FeatureDiscriminator(trunk, size=64, first=1),
        }

    def ready(self, *averaged: str) -> None:
        generator = self.networks["generator"]
        last = len(generator.blocks) - 1
        new = f"blocks.{last - 1}.grow", f"blocks.{last}"  # they make what DCGAN does not draw
        named_parameters = list(generator.named_parameters())
        self.known = [p for name, p in named_parameters if not name.startswith(new)]
        groups = [
            {"params": [p for name, p in named_parameters if name.startswith(new)]},
            {"params": self.known, "lr": CAREFUL * self.rates["generator"]},
        ]
        self.optimisers["generator"] = torch.optim.Adam(groups, self.rates["generator"], betas=(0.5, 0.99))
        self.optimisers["critic"].add_param_group({"params": list(self.networks["features"].parameters()), "lr": FEATURE_RATE})
        super().ready(*averaged)
        for method in ("map", "synthesise"):
            self.networks["generator"].mark_forward_method(method)

    def schedule(self) -> None:
        for parameter in self.known:
            parameter.requires_grad_(self.images >= SETTLE)

    def _judged(self, images: Tensor, sign: float) -> Tensor:
        moved = diff_augment(images, self.policy)
        return sum(logistic(self.networks[name](moved), sign) for name in ("critic", "features"))

    def latents(self, count: int) -> Tensor:
        return torch.randn(count, CONFIGS[self.size]["latent"], generator=self.generator, device=self.device)

    def make(self, latents: Tensor) -> Tensor:
        network = self.networks["generator"]
        styles = network.map(torch.cat([latents, self.latents(len(latents))]))
        own, other = styles.chunk(2)
        inner = unwrap(network)
        mixed = (self.uniform(len(latents), 1) < 2 * self.mixing - 1).float()
        crossover = torch.randint(1, inner.n_styles, (len(latents), 1), generator=self.generator, device=self.device)
        late = (torch.arange(inner.n_styles, device=self.device) >= crossover).float() * mixed
        return network.synthesise(torch.lerp(own.unsqueeze(1), other.unsqueeze(1), late.unsqueeze(2).to(own.dtype)))

    @torch.no_grad()
    def partway(self) -> stylegan.Generator:
        """What is shipped: weights between those of DCGAN and the average (Wang et al. 2019, deep network interpolation).

        The whole way has sharper pictures with a lattice of dots in them: KID of 500, seen at 64 px, was 24 on ImageNet features
        and 442 on the identity judge's, at 0.7 it was 21 and 323.
        """
        network = copy.deepcopy(self.ema["generator"])
        network.load_state_dict({name: self.born[name].lerp(tensor, SHARE) for name, tensor in network.state_dict().items()})
        network.mean_style.copy_(network.map(self.latents(4096)).mean(0))
        return network

    @torch.no_grad()
    def show(self, latents: Tensor) -> Tensor:
        return self.partway()(latents, latents.new_ones(len(latents), 1))["image"]

    def export(self, measures: dict[str, Any]) -> None:
        tensors = self.partway().state_dict()
        self.card(BASE, family="stylegan", tensors=tensors, config=CONFIGS[self.size], measures=measures)


class StyleGANEncoderTrainer(FacesTrainer):
    """``stylegan-encoder-128``: the styles by which the shipped flagship draws a photo; the flagship stays as it is.

    Half of what it looks at are photos, which have to come back, half samples, whose style is known. Departures of single
    convolutions from the one style are priced, since far from where the generator was trained nothing can be edited (Tov et al.
    2021, section 4.2).
    """

    images_per_step = 16
    ema_half_life = 5_000.0
    rate = 1e-3

    def __init__(self, settings: Settings, size: int):
        super().__init__(settings, f"stylegan-encoder-{size}", size)
        store = default_store()
        card = store.registry.card(f"stylegan-{size}")
        self.flagship = build(card).to(self.device).requires_grad_(False).eval()
        load_into(self.flagship, store.load(card), card.file)
        self.trunk = imagenet_trunk(settings.data).requires_grad_(False).to(self.device)
        self.config = {"resolution": size, "latent": card.config["latent"]}
        self.networks = {"encoder": stylegan.Encoder(**self.config)}
        self.optimisers = {"encoder": torch.optim.Adam(self.networks["encoder"].parameters(), self.rate)}
        self.ready("encoder")

    def ready(self, *averaged: str) -> None:
        super().ready(*averaged)
        self.networks["encoder"].mark_forward_method("look")

    def latents(self, count: int) -> Tensor:
        return torch.randn(count, self.flagship.latent, generator=self.generator, device=self.device)

    def show(self, latents: Tensor) -> Tensor:
        return self.flagship(latents, latents.new_ones(len(latents), 1))["image"]

    def step(self) -> dict[str, Tensor]:
        photos = self.sampler.draw(0, self.images_per_step // 2)
        with torch.no_grad(), self.fabric.autocast():
            wanted = self.flagship.map(self.latents(len(photos)))
            samples = self.flagship.synthesise(wanted.unsqueeze(1).expand(-1, self.flagship.n_styles, -1))
        style, departures = (tensor.float() for tensor in self.networks["encoder"].look(torch.cat([photos, samples])))
        own, others = departures.split(len(photos))
        with self.fabric.autocast():
            back = self.flagship.synthesise(style[: len(photos)].unsqueeze(1) + self.flagship.reach * own).float()
        losses = {
            "pixels": LAMBDA_PIXELS * F.l1_loss(back, photos),
            "perceptual": LAMBDA_PERCEPTUAL * self._perceptual(back, photos),
            "style": LAMBDA_STYLE * F.mse_loss(style[len(photos) :], wanted),
            "departures": LAMBDA_DEPARTURES * (own.square().mean() + others.square().mean()),
        }
        self.optimisers["encoder"].zero_grad()
        self.fabric.backward(sum(losses.values()))
        self.optimisers["encoder"].step()
        return {name: loss.detach() for name, loss in losses.items()}

    def _perceptual(self, made: Tensor, photos: Tensor) -> Tensor:
        with self.fabric.autocast():
            with torch.no_grad():
                wanted = self.trunk(photos)[1:]
            return perceptual_distance(self.trunk(made)[1:], wanted)

    @torch.no_grad()
    def given_back(self, photos: Tensor) -> Tensor:
        """What the average finds in photos, drawn by the flagship: (N, 3, S, S)."""
        return torch.cat([self.flagship(styles=self.ema["encoder"](some))["image"] for some in photos.split(50)])

    def evaluate(self) -> dict[str, Any]:
        """How near photos of part 9 come back, in dB."""
        photos = self.held_out[:200].to(self.device)
        errors = (self.given_back(photos) - photos).square().mean((1, 2, 3)) / 4
        return {"psnr": round(float(-10 * errors.log10().mean()), 2)}

    def grid(self) -> Image.Image:
        """Held-out faces above what comes back."""
        photos = self.held_out[:36].to(self.device)
        rows = zip(photos.split(12), self.given_back(photos).split(12), strict=True)
        return tile([row for pair in rows for row in pair])

    def export(self, measures: dict[str, Any]) -> None:
        config = self.config | {"part": "encoder"}
        tensors = self.ema["encoder"].state_dict()
        self.card(task="encode", family="stylegan", tensors=tensors, config=config, measures=measures)
