"""The flagship face generator: StyleGAN2 (Karras et al. 2020) on DCGAN's layers, and the encoder that finds a photo's styles.

Kept of StyleGAN2: mapping network, modulated and demodulated convolutions, two to a resolution, output skips, truncation, style
mixing. Of DCGAN (Radford et al. 2016): its transposed convolutions, and that the first map is made of the latent instead of being
a constant: poses, which a constant learns last, are there from the start. So a trained DCGAN is one of these networks
(:func:`studio.train.stylegan.begin_as_dcgan`). Left out: the noise inputs, so that the same style is the same picture and a
photo's styles are all there is to find.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from studio.core.registry import register_model

START = 4
MODULATION = 0.05  # how far a style scales channels from 1 before it has learnt anything
# How many times as far a style behind the first map goes until it changes a picture as much as the first one, which makes its map
# whole. Of 1, 20, 60, 150 and 400 quasi-Newton steps came nearest to photos with 20 and 60; this lies between them.
REACH = 30.0


class ModulatedConv(nn.Module):
    """A convolution whose input channels a style scales (Karras et al. 2020, section 2.2, eq. 1 and 3).

    Scaling the input instead of the weights gives the same and lets a batch share one convolution. What demodulation makes of
    length 1 has a learnt length (``gain``) again, as in a network whose batch norms were folded into it.

    Args:
        width: of a style.
        grows: doubles the side by a transposed convolution of 4 x 4; else 3 x 3 at the same side.
    """

    def __init__(self, inputs: int, outputs: int, width: int, grows: bool = False, demodulate: bool = True):
        super().__init__()
        kernel, ends = (4, (inputs, outputs)) if grows else (3, (outputs, inputs))
        self.weight = nn.Parameter(torch.randn(*ends, kernel, kernel) / math.sqrt(inputs * kernel**2))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.gain = nn.Parameter(torch.ones(outputs)) if demodulate else None
        self.style = nn.Linear(width, inputs)
        nn.init.normal_(self.style.weight, 0.0, MODULATION / math.sqrt(width))
        nn.init.ones_(self.style.bias)
        self.grows = grows

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """``x`` (B, C, H, W), ``style`` (B, width) -> (B, outputs, H, W), of twice the side if it grows."""
        scales = self.style(style)
        x = x * scales[:, :, None, None].to(x.dtype)
        y = F.conv_transpose2d(x, self.weight, stride=2, padding=1) if self.grows else F.conv2d(x, self.weight, padding=1)
        if self.gain is not None:
            y = y * (self.gain * torch.rsqrt(self._energy(scales.float()) + 1e-8))[:, :, None, None].to(y.dtype)
        return y + self.bias[:, None, None].to(y.dtype)

    def _energy(self, scales: Tensor) -> Tensor:
        """The squared length of every filter, (B, outputs), as a style (B, inputs) scales it."""
        squares = self.weight.float().square().sum((2, 3))
        return scales.square() @ (squares if self.grows else squares.T)


class Block(nn.Module):
    """What happens at one side: a residual convolution, the picture of twice the side, and, but for the last, the maps of it."""

    def __init__(self, inputs: int, outputs: int | None, width: int):
        super().__init__()
        self.refine = ModulatedConv(inputs, inputs, width)
        self.to_rgb = ModulatedConv(inputs, 3, width, grows=True, demodulate=False)
        self.grow = ModulatedConv(inputs, outputs, width, grows=True) if outputs else None

    def forward(self, x: Tensor, picture: Tensor, first: Tensor, second: Tensor) -> tuple[Tensor | None, Tensor]:
        """``x`` (B, C, S, S), not activated yet, ``picture`` (B, 3, S, S) -> the same of twice the side."""
        x = F.relu(x + self.refine(F.relu(x), first))
        picture = F.interpolate(picture, scale_factor=2, mode="bilinear", align_corners=False) + self.to_rgb(x, second)
        return self.grow(x, second) if self.grow else None, picture


class Mapping(nn.Module):
    """Latent -> style: the latent and what two linear layers add to it, at first nothing (Karras et al. 2019, section 2)."""

    def __init__(self, latent: int):
        super().__init__()
        self.first, self.second = nn.Linear(latent, latent), nn.Linear(latent, latent)
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.second.bias)

    def forward(self, latent: Tensor) -> Tensor:
        """``latent`` (B, L), normal -> style (B, L)."""
        return latent + self.second(F.leaky_relu(self.first(latent), 0.2))


class Generator(nn.Module):
    """Latent -> style -> picture.

    Args:
        resolution: side of the picture in px, a power of two.
        latent: size of the latent and of a style.
        base: channels times resolution; never more than ``most`` channels.

    ``reach`` (n_styles, 1) is how far styles go: a step of each that is divided by it changes a picture as much.
    """

    def __init__(self, resolution: int = 128, latent: int = 256, base: int = 2048, most: int = 512):
        super().__init__()
        sizes = [START * 2**k for k in range(int(math.log2(resolution // START)))]
        channels = [min(most, base // size) for size in sizes]
        self.latent, self.n_styles = latent, 1 + 2 * len(sizes)
        self.mapping = Mapping(latent)
        self.stem = nn.Linear(latent, channels[0] * START**2)
        nn.init.normal_(self.stem.weight, 0.0, 1 / math.sqrt(latent))
        self.blocks = nn.ModuleList(Block(a, b, latent) for a, b in pairwise([*channels, None]))
        self.register_buffer("mean_style", torch.zeros(latent))
        self.register_buffer("reach", reaches(self.n_styles), persistent=False)

    def map(self, latent: Tensor) -> Tensor:
        """``latent`` (B, L), normal -> style (B, L)."""
        return self.mapping(latent)

    def truncate(self, style: Tensor, truncation: Tensor) -> Tensor:
        """Styles drawn towards the mean one (Karras et al. 2019, appendix B); ``truncation`` (B, 1), 1 leaves them."""
        return self.mean_style + truncation * (style - self.mean_style)

    def synthesise(self, styles: Tensor) -> Tensor:
        """``styles`` (B, n_styles, L): the first map's, then two a block -> (B, 3, R, R) in [-1, 1]."""
        x = self.stem(styles[:, 0]).unflatten(1, (-1, START, START))
        picture = x.new_zeros(len(styles), 3, START, START)
        for index, block in enumerate(self.blocks):
            x, picture = block(x, picture, styles[:, 2 * index + 1], styles[:, 2 * index + 2])
        return torch.tanh(picture)

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


class Encoder(nn.Module):
    """A photo's styles: one for all convolutions, and what each departs from it (as Tov et al. 2021, section 4.1).

    Args:
        resolution, latent: the generator's.
        width: channels of the first layer; they double at each halving up to 256.
    """

    def __init__(self, resolution: int = 128, latent: int = 256, width: int = 32):
        super().__init__()
        halvings = int(math.log2(resolution // START))
        self.n_styles = 1 + 2 * halvings
        channels = [3, *(min(256, width * 2**k) for k in range(halvings + 1))]
        strides = [1] + [2] * halvings
        convs = [nn.Conv2d(a, b, 3, stride, 1) for (a, b), stride in zip(pairwise(channels), strides, strict=True)]
        self.convs = nn.ModuleList(convs)
        self.norms = nn.ModuleList(nn.GroupNorm(8, c) for c in channels[1:])
        self.seen = nn.Linear(channels[-1] * START**2, 2 * latent)
        self.style = nn.Linear(2 * latent, latent)
        self.departures = nn.Linear(2 * latent, self.n_styles * latent)
        nn.init.zeros_(self.departures.weight)
        nn.init.zeros_(self.departures.bias)
        self.register_buffer("reach", reaches(self.n_styles), persistent=False)

    def look(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """``image`` (B, 3, R, R) in [-1, 1] -> its style (B, L) and the departures from it (B, n_styles, L), as shares of what
        each style reaches."""
        x = image
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = F.leaky_relu(norm(conv(x)), 0.2)
        x = F.leaky_relu(self.seen(x.flatten(1)), 0.2)
        return self.style(x), self.departures(x).unflatten(1, (self.n_styles, -1))

    def forward(self, image: Tensor) -> Tensor:
        """``image`` (B, 3, R, R) in [-1, 1] -> styles (B, n_styles, L)."""
        style, departures = self.look(image)
        return style.unsqueeze(1) + self.reach * departures


def reaches(styles: int) -> Tensor:
    """How far each of a picture's styles goes, (styles, 1): 1 for the first map's, ``REACH`` for the others."""
    return torch.cat([torch.ones(1, 1), torch.full((styles - 1, 1), REACH)])


PARTS = {"generator": Generator, "encoder": Encoder}


@register_model("stylegan")
def stylegan(part: str = "generator", **config: int) -> nn.Module:
    """``part`` names which of the two networks: "generator" or "encoder"."""
    return PARTS[part](**config)
