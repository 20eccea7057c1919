"""BEGAN on faces (Berthelot et al. 2017; IAN, section 4.1).

From nothing, thirty thousand pictures, an hour of a core, had come to one face for all latents. So the critic learns to give
photos back before there is a generator, which then begins as its decoder: latents are told as codes of photos are told, so that
different faces are there before the game of eq. 4 begins.
"""

from __future__ import annotations

from typing import Any

import torch
from PIL import Image
from torch import Tensor

from studio.models.began import LATENT, AutoEncoder, Decoder, reproduction_error
from studio.train.gan import UNIFORM, FacesTrainer
from studio.train.loop import Settings, tile, unwrap

GAMMA = 0.5  # diversity ratio (eq. 4)
LAMBDA_K = 0.02  # rate of the balance k; 0.001 in the paper (section 3.4), for a hundred times the steps
RATE, LEAST_RATE = 1e-4, 2e-5  # below 2e-5 it collapses
HALVE_AFTER = 400_000  # images
ALONE, ALONE_RATE = 48_000, 8e-4  # photos that the critic learns from before there is a generator, and its rate at first
BLUR = 0.1  # deviation of what moves codes meanwhile, as latents will lie between those of photos
LAMBDA_CODE = 1e-3  # of the codes' squares meanwhile; free, they grew to 1e5, where a step of a game is a leap
TOLD = 4096  # photos whose codes tell what a latent stands for
WIDTHS = {64: 24, 128: 64}


class BEGANTrainer(FacesTrainer):
    """``began-64`` and ``-128``."""

    images_per_step = 16
    ema_half_life = 4_000.0

    def __init__(self, settings: Settings, size: int):
        super().__init__(settings, f"began-{size}", size)
        self.config = {"width": WIDTHS[size], "resolution": size}
        self.networks = {
            "generator": Decoder(**self.config),
            "critic": AutoEncoder(**self.config),
            "balance": Balance(),
        }
        self.optimisers = {
            name: torch.optim.Adam(self.networks[name].parameters(), RATE) for name in ("generator", "critic")
        }
        self.ready("generator", "critic")
        self.networks["critic"].mark_forward_method("blurred")
        self.shown = self.latents(40)

    def latents(self, count: int) -> Tensor:
        return self.uniform(count, LATENT)

    def show(self, latents: Tensor) -> Tensor:
        return self.ema["generator"](latents).clamp(-1, 1)

    def schedule(self) -> None:
        rate = max(LEAST_RATE, RATE * 0.5 ** (self.images // HALVE_AFTER))
        if self.images < ALONE:
            rate = ALONE_RATE + (RATE - ALONE_RATE) * self.images / ALONE
        for optimiser in self.optimisers.values():
            for group in optimiser.param_groups:
                group["lr"] = rate

    def step(self) -> dict[str, Tensor]:
        """One backward pass through the made pictures serves both players: the critic takes its share of it times -k."""
        real = self.sampler.draw(0, self.images_per_step)
        if self.images < ALONE:
            return self._step_alone(real)
        if self.images - self.images_per_step * self.fabric.world_size < ALONE:
            self._begin_generator()
        balance = self.networks["balance"].module.k
        for optimiser in self.optimisers.values():
            optimiser.zero_grad()
        made = self.networks["generator"](self.latents(self.images_per_step))
        made_error = reproduction_error(made, self.networks["critic"](made))
        self.fabric.backward(made_error)
        for parameter in self.networks["critic"].parameters():
            parameter.grad.mul_(-balance)
        real_error = reproduction_error(real, self.networks["critic"](real))
        self.fabric.backward(real_error)
        for optimiser in self.optimisers.values():
            optimiser.step()
        with torch.no_grad():
            surplus = GAMMA * real_error - made_error
            balance.add_(LAMBDA_K * surplus).clamp_(0, 1)
            losses = {"real": real_error, "made": made_error, "k": balance.clone()}
            return {k: v.detach() for k, v in losses.items()} | {"convergence": (real_error + surplus.abs()).detach()}

    def _step_alone(self, real: Tensor) -> dict[str, Tensor]:
        """The critic alone, as an auto-encoder of photos."""
        reproduced, code = self.networks["critic"].blurred(real, BLUR)
        losses = {"real": reproduction_error(real, reproduced), "code": LAMBDA_CODE * code.float().square().mean()}
        self.optimisers["critic"].zero_grad()
        self.fabric.backward(losses["real"] + losses["code"])
        self.optimisers["critic"].step()
        return {name: loss.detach() for name, loss in losses.items()}

    @torch.no_grad()
    def _begin_generator(self) -> None:
        """The generator becomes the decoder, and each number of a latent a principal component of the codes of photos."""
        average = self.ema["critic"]
        codes = torch.cat([average.encoder(self.sampler.draw(0, 64)).float() for _ in range(TOLD // 64)])
        for generator in (unwrap(self.networks["generator"]), self.ema["generator"]):
            generator.load_state_dict(average.decoder.state_dict())
            tell_latents(generator.project.layer, codes)

    @torch.no_grad()
    def grid(self) -> Image.Image:
        """Samples, then held-out faces above what the auto-encoder makes of them."""
        return tile([*self.show(self.shown).split(10), self.validation[:10], self.ema["critic"](self.validation[:10])])

    def export(self, measures: dict[str, Any]) -> None:
        critic = self.ema["critic"]
        parts = {"generator": self.ema["generator"], "encoder": critic.encoder, "decoder": critic.decoder}
        for part, network in parts.items():
            self.card(
                card_id=self.name if part == "generator" else f"began-{part}-{self.size}",
                task="sample" if part == "generator" else "encode" if part == "encoder" else "decode",
                family="began",
                tensors=network.state_dict(),
                config=self.config | {"part": part},
                measures=measures,
            )


@torch.no_grad()
def tell_latents(project: torch.nn.Linear, codes: Tensor) -> None:
    """A layer of ``codes`` (N, Z) becomes one of latents, uniform in [-1, 1], whose numbers are the codes' principal components:
    what it makes of them has the mean and the covariance of what it made of the codes."""
    values, vectors = torch.linalg.eigh(torch.cov(codes.T))
    mean, components = codes.mean(0), vectors * values.clamp_min(0).sqrt() / UNIFORM
    project.bias += project.weight @ mean
    project.weight.copy_(project.weight @ components)


class Balance(torch.nn.Module):
    """k of eq. 4, kept like a network so that the state has it."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("k", torch.zeros(()))
