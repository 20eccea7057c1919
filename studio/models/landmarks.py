"""The landmark network: where the eyes are in a rough crop of a face, and whether it is a face at all."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from studio.core.registry import register_model


def _conv(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU())


class LandmarkNet(nn.Module):
    """Seven convolutions and a regression; ``width`` channels in the first."""

    def __init__(self, width: int = 24):
        super().__init__()
        w = width
        self.features = nn.Sequential(
            _conv(3, w, 2), _conv(w, 2 * w, 2), _conv(2 * w, 2 * w, 1), _conv(2 * w, 4 * w, 2), _conv(4 * w, 4 * w, 1),
            _conv(4 * w, 4 * w, 2), _conv(4 * w, 4 * w, 1),
        )  # fmt: skip
        self.hidden = nn.Sequential(nn.Flatten(), nn.Linear(4 * w * 16, 128), nn.ReLU())
        self.eyes = nn.Linear(128, 4)
        self.face = nn.Linear(128, 1)
        # Where the eyes are in the canonical crop, so that training starts from a sensible guess.
        self.register_buffer("mean", torch.tensor([[0.35, 0.41], [0.65, 0.41]]), persistent=False)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """``image`` (B, 3, 64, 64) in [-1, 1] -> ``eyes`` (B, 2, 2), left then right as seen, (x, y) in crop units [0, 1];
        ``face`` (B,) logit."""
        hidden = self.hidden(self.features(image))
        return {"eyes": self.mean + 0.1 * self.eyes(hidden).unflatten(1, (2, 2)), "face": self.face(hidden).squeeze(1)}


@register_model("landmarks")
def landmarks(**config: int) -> LandmarkNet:
    return LandmarkNet(**config)
