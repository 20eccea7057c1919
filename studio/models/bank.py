"""A bank of codes: how far a picture is from everything the generators learnt from, without keeping a single picture.

Codes are a judge's features on 2 x 2 places, reduced by principal components. A distance counts in units of how far new
photographs, on which nothing was trained, are from their nearest code: 1 is as new as a new photograph, 0 a copy.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from studio.core.registry import register_model
from studio.models.judges import Judge

PLACES = 2
FEATURES = 512 * PLACES**2


class CodeBank(Judge):
    """A judge, whose weights come from its own file, with a projection and the codes.

    Args:
        codes: number of codes. size: numbers in each.
        resolution: px at which pictures are judged.
        outputs: the judge's.
    """

    def __init__(self, codes: int, size: int, resolution: int = 96, outputs: int = 16):
        super().__init__(outputs)
        self.resolution = resolution
        self.register_buffer("mean", torch.zeros(FEATURES))
        self.register_buffer("components", torch.zeros(size, FEATURES))
        self.register_buffer("codes", torch.zeros(codes, size))
        self.register_buffer("unit", torch.ones(codes))

    def places(self, image: Tensor) -> Tensor:
        """``image`` (B, 3, R, R) in [-1, 1] -> (B, 2048)."""
        scaled = F.interpolate(image, size=(self.resolution, self.resolution), mode="bilinear", align_corners=False)
        return F.adaptive_avg_pool2d(self.trunk(scaled)[-1], PLACES).flatten(1)

    def encode(self, image: Tensor) -> Tensor:
        """``image`` (B, 3, R, R) in [-1, 1] -> codes (B, size)."""
        return F.linear(self.places(image) - self.mean, self.components)

    def nearest(self, image: Tensor, codes: Tensor) -> Tensor:
        """Distances (B, M) of ``image`` or its mirror image, whichever is nearer, to each of ``codes`` (M, size)."""
        return torch.minimum(*(torch.cdist(self.encode(side), codes) for side in (image, image.flip(3))))

    def forward(self, image: Tensor) -> Tensor:
        """``image`` (B, 3, R, R) in [-1, 1] -> originality (B, 1): the distance to the nearest code, in that code's unit."""
        return (self.nearest(image, self.codes) / self.unit).amin(1, keepdim=True)


@register_model("bank")
def bank(**config: int) -> CodeBank:
    return CodeBank(**config)
