"""StyleGAN2 (Karras et al. 2020) made light, which begins with a constant, and the encoder that finds a photo's styles.

Manifold finds photos with it: its styles move a picture further than those of the flagship, which draws the better faces.

Kept: mapping network, modulated and demodulated convolutions, output skips, truncation, style mixing. Left out: the noise inputs,
so that the same style is the same picture and a photo's style is all there is to find. Moved: of a block's two convolutions the
one that changes the width works before the growth, where it costs a quarter.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

START = 4


class EqualLinear(nn.Module):
    """A linear layer whose weights are scaled when used, so that all learn at one rate (Karras et al. 2018, section 4.1)."""

    def __init__(self, inputs: int, outputs: int, bias: float = 0.0, rate: float = 1.0):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / rate)
        self.bias = nn.Parameter(torch.full((outputs,), bias / rate))
        self.scale, self.rate = rate / math.sqrt(inputs), rate

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight * self.scale, self.bias * self.rate)


class ModulatedConv(nn.Module):
    """A convolution whose input channels a style scales (Karras et al. 2020, section 2.2, eq. 1 and 3).

    Scaling the input instead of the weights gives the same and lets a batch share one convolution.
    """

    def __init__(self, inputs: int, outputs: int, width: int, kernel: int = 3, demodulate: bool = True):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.style = EqualLinear(width, inputs, bias=1.0)
        self.scale, self.padding, self.demodulate = 1 / math.sqrt(inputs * kernel**2), kernel // 2, demodulate

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """``x`` (B, C, H, W), ``style`` (B, width) -> (B, outputs, H, W)."""
        scales, weight = self.style(style), self.weight * self.scale
        y = F.conv2d(x * scales[:, :, None, None].to(x.dtype), weight, padding=self.padding)
        if self.demodulate:
            energy = scales.float().square() @ weight.float().square().sum((2, 3)).T
            y = y * torch.rsqrt(energy + 1e-8)[:, :, None, None].to(y.dtype)
        return y + self.bias[:, None, None].to(y.dtype)


class Block(nn.Module):
    """From one resolution to the next: narrow, grow, convolve, and add to the picture so far."""

    def __init__(self, inputs: int, outputs: int, width: int):
        super().__init__()
        self.first = ModulatedConv(inputs, outputs, width)
        self.second = ModulatedConv(outputs, outputs, width)
        self.to_rgb = ModulatedConv(outputs, 3, width, kernel=1, demodulate=False)

    def forward(self, x: Tensor, picture: Tensor, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        x = _grow(_activate(self.first(x, first)))
        x = _activate(self.second(x, second))
        return x, _grow(picture) + self.to_rgb(x, second)


def _activate(x: Tensor) -> Tensor:
    return F.leaky_relu(x, 0.2) * math.sqrt(2)


def _grow(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


class Mapping(nn.Module):
    """Latent -> style: a few linear layers (Karras et al. 2019, section 2).

    The latent's length is not normalised away: an encoder would drown its posterior's noise in it.
    """

    def __init__(self, latent: int, layers: int):
        super().__init__()
        self.layers = nn.ModuleList(EqualLinear(latent, latent, rate=0.01) for _ in range(layers))

    def forward(self, latent: Tensor) -> Tensor:
        """``latent`` (B, L), normal -> style (B, L)."""
        x = latent
        for layer in self.layers:
            x = _activate(layer(x))
        return x


class StyleGenerator(nn.Module):
    """Latent -> style -> picture: what StyleGANs share. They make ``mapping``, ``n_styles`` and ``mean_style``.

    ``reach``, a number or (n_styles, 1): how far styles go, so that a step of each that is divided by it changes as much.
    """

    reach: Tensor | float

    def map(self, latent: Tensor) -> Tensor:
        """``latent`` (B, L), normal -> style (B, L)."""
        return self.mapping(latent)

    def truncate(self, style: Tensor, truncation: Tensor) -> Tensor:
        """Styles drawn towards the mean one (Karras et al. 2019, appendix B); ``truncation`` (B, 1), 1 leaves them."""
        return self.mean_style + truncation * (style - self.mean_style)

    def synthesise(self, styles: Tensor) -> Tensor:
        """``styles`` (B, n_styles, L) -> (B, 3, R, R), nearly within [-1, 1]."""
        raise NotImplementedError

    def forward(
        self, latent: Tensor | None = None, truncation: Tensor | None = None, styles: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Makes pictures of latents, or of styles.

        Args:
            latent: (B, L), normal.
            truncation: (B, 1) in [0, 1], goes with the latent.
            styles: (B, n_styles, L), instead of both.

        Returns:
            "image" (B, 3, R, R) in [-1, 1], and of a latent "style" (B, L), truncated.
        """
        if styles is not None:
            return {"image": self.synthesise(styles).clamp(-1, 1)}
        style = self.truncate(self.mapping(latent), truncation)
        image = self.synthesise(style.unsqueeze(1).expand(-1, self.n_styles, -1)).clamp(-1, 1)
        return {"image": image, "style": style}


class Generator(StyleGenerator):
    """Latent -> style -> picture.

    Args:
        resolution: side of the picture in px, a power of two.
        latent: size of the latent and of a style.
        base: channels times resolution; never more than ``most`` channels.
        mapping: layers of the mapping network.
    """

    def __init__(self, resolution: int = 128, latent: int = 256, base: int = 8192, most: int = 256, mapping: int = 2):
        super().__init__()
        sizes = [START * 2**k for k in range(int(math.log2(resolution // START)) + 1)]
        channels = [min(most, base // size) for size in sizes]
        self.latent, self.n_styles, self.reach = latent, 2 * (len(sizes) - 1), 1.0
        self.mapping = Mapping(latent, mapping)
        self.constant = nn.Parameter(torch.randn(1, channels[0], START, START))
        self.blocks = nn.ModuleList(Block(a, b, latent) for a, b in pairwise(channels))
        self.register_buffer("mean_style", torch.zeros(latent))

    def synthesise(self, styles: Tensor) -> Tensor:
        """``styles`` (B, n_styles, L), one a convolution -> (B, 3, R, R), nearly within [-1, 1]."""
        x = self.constant.expand(len(styles), -1, -1, -1)
        picture = x.new_zeros(len(styles), 3, START, START)
        for index, block in enumerate(self.blocks):
            x, picture = block(x, picture, styles[:, 2 * index], styles[:, 2 * index + 1])
        return picture


class Encoder(nn.Module):
    """A photo's latent as a normal distribution, the posterior of an auto-encoder (Kingma and Welling 2014), and its styles.

    Args:
        resolution, latent, mapping: the generator's.
        width: channels of the first layer; they double at each halving up to 256.
    """

    def __init__(self, resolution: int = 128, latent: int = 256, mapping: int = 2, width: int = 32):
        super().__init__()
        halvings = int(math.log2(resolution // START))
        self.n_styles = 2 * halvings
        channels = [3, *(min(256, width * 2**k) for k in range(halvings + 1))]
        strides = [1] + [2] * halvings
        convs = [nn.Conv2d(a, b, 3, stride, 1) for (a, b), stride in zip(pairwise(channels), strides, strict=True)]
        self.convs = nn.ModuleList(convs)
        self.norms = nn.ModuleList(nn.GroupNorm(8, c) for c in channels[1:])
        self.moments = nn.Linear(channels[-1] * START**2, 2 * latent)
        self.mapping = Mapping(latent, mapping)

    def posterior(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """``image`` (B, 3, R, R) in [-1, 1] -> mean and logarithm of the variance of its latent, (B, L) each."""
        x = image
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = F.leaky_relu(norm(conv(x)), 0.2)
        mean, log_variance = self.moments(x.flatten(1)).chunk(2, 1)
        return mean, log_variance

    def forward(self, image: Tensor) -> Tensor:
        """``image`` (B, 3, R, R) in [-1, 1] -> styles (B, n_styles, L), the same for every convolution."""
        style = self.mapping(self.posterior(image)[0])
        return style.unsqueeze(1).expand(-1, self.n_styles, -1)


PARTS = {"generator": Generator, "encoder": Encoder}
