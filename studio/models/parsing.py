"""The parsing network: what each place of a face is, skin or lips or hair, as a small U-Net (Ronneberger et al. 2015)."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from studio.core.registry import register_model


def _conv(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU())


class ParsingNet(nn.Module):
    """Two halvings and back, with skips.

    Four pixels lie in one place from the beginning to the end: layers at the full side would take most of the time.

    Args:
        classes: what there is to tell apart.
        width: channels at half the side.
    """

    def __init__(self, classes: int, width: int = 24):
        super().__init__()
        channels = (width, 2 * width, 4 * width)
        self.stem = _conv(12, width)
        self.downs = nn.ModuleList(nn.Sequential(_conv(a, b, 2), _conv(b, b)) for a, b in pairwise(channels))
        self.ups = nn.ModuleList(_conv(b + a, a) for a, b in pairwise(channels))
        self.head = nn.Conv2d(width, 4 * classes, 1)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """``image`` (B, 3, R, R) in [-1, 1], in the face frame -> ``logits`` (B, classes, R, R)."""
        x = self.stem(F.pixel_unshuffle(image, 2))
        skips = []
        for down in self.downs:
            skips.append(x)
            x = down(x)
        for up in reversed(self.ups):
            x = up(torch.cat([F.interpolate(x, scale_factor=2.0, mode="nearest"), skips.pop()], 1))
        return {"logits": F.pixel_shuffle(self.head(x), 2)}


@register_model("parsing")
def parsing(**config: int) -> ParsingNet:
    return ParsingNet(**config)
