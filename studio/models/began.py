"""BEGAN (Berthelot et al. 2017): a generator and a discriminator that is an auto-encoder, IAN's second sampling GAN.

The auto-encoder also encodes real faces (IAN, section 6.1). K-BEGAN is the generator with adapters.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from studio.core.registry import register_model
from studio.models.adapters import AdaptedLayer

LATENT = 100
START = 8


class Decoder(nn.Module):
    """Latent -> 8 x 8 px, then two convolutions with ELU a resolution and growth by repetition (figure 1 there).

    Args:
        width: channels everywhere ("n" in the paper).
        resolution: side of the picture in px, a power of two.
        rank: of the difference to the base network; 0 for the base itself.
    """

    def __init__(self, width: int = 64, resolution: int = 64, rank: int = 0):
        super().__init__()
        self.width, self.scales = width, int(math.log2(resolution // START)) + 1
        self.project = AdaptedLayer(nn.Linear(LATENT, width * START**2), rank)
        self.layers = nn.ModuleList(AdaptedLayer(_conv(width, width), rank) for _ in range(2 * self.scales))
        self.to_rgb = AdaptedLayer(_conv(width, 3), rank)

    def forward(self, latent: Tensor, imagination: Tensor | None = None) -> Tensor:
        """Latent -> picture.

        Args:
            latent: (B, 100).
            imagination: (B, 1), from the GAN (0) to its K-GAN (1); only an adapted network heeds it.

        Returns:
            (B, 3, R, R), nearly within [-1, 1].
        """
        x = self.project(latent, imagination).view(-1, self.width, START, START)
        for index, layer in enumerate(self.layers):
            if index and index % 2 == 0:
                x = F.interpolate(x, scale_factor=2)
            x = F.elu(layer(x, imagination))
        return self.to_rgb(x, imagination)


class Generator(Decoder):
    """The decoder as the sampling GAN."""

    def forward(self, latent: Tensor, imagination: Tensor | None = None) -> Tensor:
        """As the decoder's, within [-1, 1]: latents in [-1, 1]."""
        return super().forward(latent, imagination).clamp(-1, 1)


class Encoder(nn.Module):
    """Two convolutions a resolution, n, 2n, 3n ... channels, halved by strides, down to 8 x 8 px and the latent."""

    def __init__(self, width: int = 64, resolution: int = 64):
        super().__init__()
        scales = int(math.log2(resolution // START)) + 1
        layers = [_conv(3, width)]
        for k in range(1, scales + 1):
            layers += [_conv(k * width, k * width), _conv(k * width, k * width)]
            if k < scales:
                layers.append(_conv(k * width, (k + 1) * width, stride=2))
        self.layers = nn.ModuleList(layers)
        self.project = nn.Linear(scales * width * START**2, LATENT)

    def forward(self, image: Tensor) -> Tensor:
        """``image`` (B, 3, R, R) in [-1, 1] -> code (B, 100)."""
        x = image
        for layer in self.layers:
            x = F.elu(layer(x))
        return self.project(x.flatten(1))


class AutoEncoder(nn.Module):
    """The discriminator: how badly it reproduces a picture is its answer."""

    def __init__(self, width: int = 64, resolution: int = 64):
        super().__init__()
        self.encoder = Encoder(width, resolution)
        self.decoder = Decoder(width, resolution)

    def forward(self, image: Tensor) -> Tensor:
        """``image`` (B, 3, R, R) in [-1, 1] -> its reproduction, of the same size."""
        return self.decoder(self.encoder(image))

    def blurred(self, image: Tensor, blur: float) -> tuple[Tensor, Tensor]:
        """As ``forward``, from codes moved by normal noise with a deviation of ``blur``; and the codes (B, 100) before that."""
        code = self.encoder(image)
        return self.decoder(code + blur * torch.randn_like(code)), code


def _conv(inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, stride, 1)


def reproduction_error(image: Tensor, reproduced: Tensor) -> Tensor:
    """L(v) = |v - D(v)| (eq. 1 there with eta = 1), the mean over pixels."""
    return (image.float() - reproduced.float()).abs().mean()


PARTS = {"generator": Generator, "encoder": Encoder, "decoder": Decoder}


@register_model("began")
def began(part: str = "generator", **config: int) -> nn.Module:
    """``part`` names which of the three networks that a trained BEGAN leaves: "generator", "encoder" or "decoder"."""
    return PARTS[part](**config)
