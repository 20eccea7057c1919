"""MUNIT (Huang et al. 2018) with the control of UDIT (Wang 2020, chapter 5): a picture is its content, which two domains share,
and its style, which is its own domain's; the other domain's decoder draws the content in any style.

A *pair* of domains has two *ends*, each with an encoder and a decoder. The decoder is told as well how much of who somebody is it
has to keep: nothing is MUNIT, which changes people as the biased photos have it, all of it is UDIT.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from studio.core.registry import register_model

STYLE = 8  # numbers in a style, N(0, I)


class Encoder(nn.Module):
    """E^c and E^s of one end.

    The first halving only puts four pixels into one place: layers at the full side would take half of the time.

    Args:
        width: channels at half the side, twice as many at a quarter.
        blocks: residual blocks at a quarter of the side.
        pooling_indices: the second halving is max-pooled, and says where the largest value was (the "+PI" of table 5.4).
    """

    def __init__(self, width: int = 32, blocks: int = 2, pooling_indices: bool = False):
        super().__init__()
        self.pooling_indices = pooling_indices
        self.stem, self.down = _conv3(12, width), _conv3(width, 2 * width, 1 if pooling_indices else 2)
        self.norms = nn.ModuleList(nn.GroupNorm(1, c) for c in (width, 2 * width))
        self.blocks = nn.ModuleList(Block(2 * width) for _ in range(blocks))
        self.style = StyleEncoder(width)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """``image`` (B, 3, R, R) in [-1, 1] -> ``content`` (B, C, R / 4, R / 4) and ``style`` (B, 8); with pooling ``indices``
        (B, C, R / 4, R / 4), the place 0 to 3 of the largest of each four values, for the decoder."""
        folded = F.pixel_unshuffle(image, 2)
        x = F.relu(self.norms[1](self.down(F.relu(self.norms[0](self.stem(folded))))))
        answer = {"style": self.style(folded)}
        if self.pooling_indices:
            x, answer["indices"] = _pool(x)
        for block in self.blocks:
            x = block(x, None)
        return {"content": x} | answer


class StyleEncoder(nn.Module):
    """E^s: strided convolutions without norms, which would forget colours, and the mean over all places."""

    def __init__(self, width: int):
        super().__init__()
        channels = (12, width, 2 * width, 2 * width)
        self.layers = nn.ModuleList(nn.Conv2d(a, b, 3, 2, 1) for a, b in pairwise(channels))
        self.last = nn.Linear(2 * width, STYLE)

    def forward(self, folded: Tensor) -> Tensor:
        """Pictures whose pixels lie four in a place, (B, 12, R / 2, R / 2) -> (B, 8)."""
        x = folded
        for layer in self.layers:
            x = F.relu(layer(x))
        return self.last(x.mean((2, 3)))


class Block(nn.Module):
    """Two convolutions around a skip, with instance norms whose scale and shift somebody else may say (AdaIN)."""

    def __init__(self, channels: int):
        super().__init__()
        self.first, self.second = _conv3(channels, channels), _conv3(channels, channels)

    def forward(self, x: Tensor, affine: list[Tensor] | None) -> Tensor:
        """``x`` (B, C, h, w); ``affine``: scales and shifts (B, 2 C) for each norm, None for none."""
        first, second = affine or (None, None)
        y = F.relu(_modulate(F.instance_norm(self.first(x)), first))
        return x + _modulate(F.instance_norm(self.second(y)), second)


class Decoder(nn.Module):
    """G of one end: residual blocks, nearest enlargement with a convolution, and four pixels from each last place.

    An MLP of style and keep says the scale and the shift of every norm. Arguments as of :class:`Encoder`; ``properties``: P, what
    may be kept.
    """

    def __init__(self, width: int = 32, blocks: int = 2, properties: int = 3, hidden: int = 64, pooling_indices: bool = False):
        super().__init__()
        self.pooling_indices = pooling_indices
        self.blocks = nn.ModuleList(Block(2 * width) for _ in range(blocks))
        self.up, self.norm = _conv3(2 * width, width), nn.GroupNorm(1, width, affine=False)
        self.to_rgb = nn.Conv2d(width, 12, 3, 1, 1)
        self.sizes = [4 * width] * (2 * blocks) + [2 * width]
        self.mlp = nn.Sequential(
            nn.Linear(STYLE + properties, hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Linear(hidden, sum(self.sizes)),
        )

    def forward(self, content: Tensor, style: Tensor, keep: Tensor, indices: Tensor | None = None) -> Tensor:
        """Draws a content.

        Args:
            content: (B, C, h, w), of either end's encoder.
            style: (B, 8).
            keep: (B, P) in [0, 1], how much lambda_U was told to weigh of each property.
            indices: (B, C, h, w) of the encoder that found the content, with ``pooling_indices`` only.

        Returns:
            (B, 3, 4 h, 4 w) in [-1, 1].
        """
        affines = self.mlp(torch.cat([style, keep.to(style.dtype)], 1)).split(self.sizes, 1)
        x = content
        for k, block in enumerate(self.blocks):
            x = block(x, affines[2 * k : 2 * k + 2])
        x = _unpool(x, indices) if self.pooling_indices else F.interpolate(x, scale_factor=2)
        x = F.relu(_modulate(self.norm(self.up(x)), affines[-1]))
        return torch.tanh(F.pixel_shuffle(self.to_rgb(x), 2))


def _conv3(inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)


def _modulate(x: Tensor, affine: Tensor | None) -> Tensor:
    """(B, C, h, w) with scales and shifts (B, 2 C); scales are said as what they differ from 1."""
    if affine is None:
        return x
    scale, shift = affine[:, :, None, None].chunk(2, 1)
    return torch.addcmul(shift, x, 1 + scale)


def _pool(x: Tensor) -> tuple[Tensor, Tensor]:
    """The largest of each four values (B, C, h, w), and which it was, 0 to 3."""
    value, place = F.pixel_unshuffle(x, 2).unflatten(1, (x.shape[1], 4)).max(2)
    return value, place.float()


def _unpool(x: Tensor, place: Tensor) -> Tensor:
    """Each value (B, C, h, w) at its place of four, zeros at the others: (B, C, 2 h, 2 w)."""
    four = torch.stack([x * (place == k) for k in range(4)], 2)
    return F.pixel_shuffle(four.flatten(1, 2), 2)


PARTS = {"encoder": Encoder, "decoder": Decoder}


@register_model("munit")
def munit(part: str, pair: str, end: str, **config: int) -> nn.Module:
    """``part`` is "encoder" or "decoder"; ``pair`` and ``end`` say to people and pipelines whose it is."""
    return PARTS[part](**config)
