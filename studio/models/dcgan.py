"""DCGAN (Radford et al. 2016): the first sampling GAN of IAN (section 3.1), 64 x 64 px; K-DCGAN is the same with adapters."""

from __future__ import annotations

from functools import partial
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from studio.core.registry import register_model
from studio.models.adapters import AdaptedLayer, initialise

LATENT = 100


class Generator(nn.Module):
    """Five transposed convolutions, 4 px to 64 px, with batch norm and ReLU between them.

    Args:
        width: channels before the last layer; twice as many one layer earlier, and so on.
        batch_norm: False for a network whose norms :func:`fold_batch_norm` has put into the convolutions, as shipped ones are.
        rank: of the difference to the base network; 0 for the base itself.
    """

    def __init__(self, width: int = 64, batch_norm: bool = False, rank: int = 0):
        super().__init__()
        channels = [LATENT, 8 * width, 4 * width, 2 * width, width, 3]
        layers = [nn.ConvTranspose2d(channels[0], channels[1], 4, 1, 0, bias=not batch_norm)]
        layers += [nn.ConvTranspose2d(a, b, 4, 2, 1, bias=not batch_norm or b == 3) for a, b in pairwise(channels[1:])]
        self.layers = nn.ModuleList(AdaptedLayer(layer, rank) for layer in layers)
        self.norms = nn.ModuleList(nn.BatchNorm2d(c) if batch_norm else nn.Identity() for c in channels[1:-1])
        initialise(self)

    def forward(self, latent: Tensor, imagination: Tensor | None = None) -> Tensor:
        """Latent -> picture.

        Args:
            latent: (B, 100) in [-1, 1].
            imagination: (B, 1), from the GAN (0) to its K-GAN (1); only an adapted network heeds it.

        Returns:
            (B, 3, 64, 64) in [-1, 1].
        """
        x = latent.view(len(latent), LATENT, 1, 1)
        for layer, norm in zip(self.layers[:-1], self.norms, strict=True):
            x = F.relu(norm(layer(x, imagination)))
        return torch.tanh(self.layers[-1](x, imagination))


def fold_batch_norm(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """A generator's weights with the norms' running statistics and affine parameters put into the convolutions before them."""
    folded = {name: tensor for name, tensor in state.items() if name.startswith("layers.")}
    for index in range(4):
        norm = {k: state[f"norms.{index}.{k}"].double() for k in ("weight", "bias", "running_mean", "running_var")}
        scale = norm["weight"] / (norm["running_var"] + 1e-5).sqrt()
        weight = state[f"layers.{index}.layer.weight"]
        folded[f"layers.{index}.layer.weight"] = (weight.double() * scale.view(1, -1, 1, 1)).to(weight.dtype)
        folded[f"layers.{index}.layer.bias"] = (norm["bias"] - norm["running_mean"] * scale).to(weight.dtype)
    return folded


class Discriminator(nn.Module):
    """Strided convolutions down to 4 x 4 px, batch norm on all but the first, and one answer a picture.

    (With spectral norm in its place the answers stayed so near to 0 that the generator learnt nothing in 60,000 pictures.)

    Args:
        batch_norm: False for norms over a picture's own channels instead. Batches of real and of made pictures are normed apart,
            so that a critic with batch norm does not see a tint that all pictures have.
    """

    def __init__(self, width: int = 64, resolution: int = 64, batch_norm: bool = True):
        super().__init__()
        halvings = resolution.bit_length() - 3
        channels = [3, *(min(512, width * 2**k) for k in range(halvings))]
        self.layers = nn.ModuleList(nn.Conv2d(a, b, 4, 2, 1, bias=a == 3) for a, b in pairwise(channels))
        norm = nn.BatchNorm2d if batch_norm else partial(nn.GroupNorm, 1)
        self.norms = nn.ModuleList(norm(b) if a > 3 else nn.Identity() for a, b in pairwise(channels))
        self.answer = nn.Conv2d(channels[-1], 1, 4)
        initialise(self)

    def forward(self, image: Tensor) -> list[Tensor]:
        """``image`` (B, 3, R, R) in [-1, 1] -> logits (B,), above 0 for real, of its only scale."""
        x = image
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = F.leaky_relu(norm(layer(x)), 0.2)
        return [self.answer(x).flatten()]


@register_model("dcgan")
def dcgan(**config: int) -> Generator:
    return Generator(**config)
