"""X-GAN (Blum et al. 2018): codes keep the structure that pictures have, and new ones are convex combinations of neighbours.

The encoder says where a picture lies, the generator draws what lies anywhere between, and the codes of the pictures that both
learnt from come along, so that neighbours are known where no picture is.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from studio.core.registry import register_model

START = 4  # px
SLOPE = 0.2


class Encoder(nn.Module):
    """Strided convolutions down to 4 x 4 px, one more, and a linear layer: six layers at 64 px.

    Args:
        latent: numbers in a code.
        width: channels after the first layer; twice as many after each of the next three.
        resolution: side of the picture in px, a power of two.
        normed: codes have mean 0 and variance 1 in each of their numbers, which fixes their scale and nothing of their shape.
    """

    def __init__(self, latent: int = 128, width: int = 32, resolution: int = 64, normed: bool = True):
        super().__init__()
        self.down = Downwards(width, resolution)
        self.last = nn.Conv2d(self.down.channels, self.down.channels, 3, 1, 1, bias=False)
        self.last_norm = nn.BatchNorm2d(self.down.channels)
        self.code = nn.Linear(self.down.channels * START**2, latent)
        self.code_norm = nn.BatchNorm1d(latent, affine=False) if normed else nn.Identity()

    def forward(self, image: Tensor) -> Tensor:
        """``image`` (B, 3, R, R) in [-1, 1] -> codes (B, latent)."""
        x = F.leaky_relu(self.last_norm(self.last(self.down(image)[-1])), SLOPE)
        return self.code_norm(self.code(x.flatten(1)).float())


class Generator(nn.Module):
    """The encoder's mirror image: a linear layer, a convolution on 4 x 4 px, transposed ones that double the side."""

    def __init__(self, latent: int = 128, width: int = 32, resolution: int = 64, most: int = 8):
        super().__init__()
        channels = _channels(width, resolution, most)[::-1]
        self.start = nn.Linear(latent, channels[0] * START**2, bias=False)
        self.first = nn.Conv2d(channels[0], channels[0], 3, 1, 1, bias=False)
        pairs = list(pairwise([*channels, 3]))
        self.layers = nn.ModuleList(nn.ConvTranspose2d(a, b, 4, 2, 1, bias=b == 3) for a, b in pairs)
        self.norms = nn.ModuleList(nn.BatchNorm2d(c) for c in [channels[0], *channels])

    def forward(self, latent: Tensor) -> Tensor:
        """``latent`` (B, latent) -> (B, 3, R, R) in [-1, 1]."""
        x = self.start(latent).view(len(latent), -1, START, START)
        for layer, norm in zip([self.first, *self.layers], self.norms, strict=True):
            x = layer(F.leaky_relu(norm(x), SLOPE))
        return torch.tanh(x)


class Downwards(nn.Module):
    """Convolutions that halve the side until it is 4 px, with batch norm and leaky ReLU, and up to ``most * width`` channels."""

    def __init__(self, width: int, resolution: int, most: int = 8):
        super().__init__()
        channels = _channels(width, resolution, most)
        self.channels = channels[-1]
        self.layers = nn.ModuleList(nn.Conv2d(a, b, 4, 2, 1, bias=a == 3) for a, b in pairwise([3, *channels]))
        self.norms = nn.ModuleList(nn.BatchNorm2d(b) if k else nn.Identity() for k, b in enumerate(channels))

    def forward(self, image: Tensor) -> list[Tensor]:
        """``image`` (B, 3, R, R) in [-1, 1] -> the maps after each layer, (B, C, h, w)."""
        maps = [image]
        for layer, norm in zip(self.layers, self.norms, strict=True):
            maps.append(F.leaky_relu(norm(layer(maps[-1])), SLOPE))
        return maps[1:]


class Discriminator(nn.Module):
    """Tells real from made, or with more ``outputs`` one class from another; its maps are the features f of Algorithm 1."""

    def __init__(self, outputs: int = 1, width: int = 32, resolution: int = 64):
        super().__init__()
        self.down = Downwards(width, resolution)
        self.answer = nn.Linear(self.down.channels * START**2, outputs)

    def forward(self, image: Tensor) -> tuple[list[Tensor], Tensor]:
        """``image`` (B, 3, R, R) in [-1, 1] -> the maps, and logits (B, outputs)."""
        maps = self.down(image)
        return maps, self.answer(maps[-1].flatten(1))


class Codes(nn.Module):
    """The codes of all pictures that an encoder and a generator learnt from, with their map.

    Args:
        count: pictures. latent: numbers in a code.
        m: neighbours of a code, twice the dimension of the manifold.
    """

    def __init__(self, count: int, latent: int, m: int):
        super().__init__()
        self.m = m
        self.register_buffer("codes", torch.zeros(count, latent))
        self.register_buffer("places", torch.zeros(count, 2))
        self.register_buffer("labels", torch.zeros(count, dtype=torch.int16))
        self.register_buffer("mean", torch.zeros(latent))
        self.register_buffer("axes", torch.zeros(2, latent))

    def forward(self, latent: Tensor) -> Tensor:
        """``latent`` (B, latent) -> its places on the map of the first two principal components, (B, 2)."""
        return F.linear(latent - self.mean, self.axes)


def _channels(width: int, resolution: int, most: int) -> list[int]:
    """Of the maps from half the side to 4 px."""
    return [width * min(most, 2**k) for k in range(int(math.log2(resolution // START)))]


PARTS = {"generator": Generator, "encoder": Encoder, "codes": Codes}


@register_model("xgan")
def xgan(part: str = "generator", **config: int) -> nn.Module:
    """``part`` names which of the three that a trained X-GAN leaves: "generator", "encoder" or "codes"."""
    return PARTS[part](**config)
