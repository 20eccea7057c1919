"""Judges: small classifiers that measure what the generators make. They never saw the generators' training pictures.

The trunk is MobileNet v1 (Howard et al. 2017) up to its eleventh pair of convolutions, with the parameter names and the
'same' padding of the published ImageNet weights it starts from.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from studio.core.registry import register_model

# Output channels and stride of the depthwise-separable pairs 1 .. 11.
PAIRS = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1), (512, 1), (512, 1), (512, 1), (512, 1))
FEATURE_PAIRS = (1, 3, 5, 11)  # the last pair at each resolution: /2, /4, /8, /16


class MobileNet(nn.Module):
    """MobileNet v1 1.0 up to one of its first eleven ``pairs``, without classifier."""

    def __init__(self, pairs: int = len(PAIRS)) -> None:
        super().__init__()
        self.pairs = pairs
        self._add("conv1", nn.Conv2d(3, 32, 3, 2, bias=False), 32)
        channels = 32
        for k, (width, stride) in enumerate(PAIRS[:pairs], 1):
            self._add(f"conv_dw_{k}", nn.Conv2d(channels, channels, 3, stride, groups=channels, bias=False), channels)
            self._add(f"conv_pw_{k}", nn.Conv2d(channels, width, 1, bias=False), width)
            channels = width

    def _add(self, name: str, conv: nn.Conv2d, channels: int) -> None:
        self.add_module(name, conv)
        self.add_module(f"{name}_bn", nn.BatchNorm2d(channels, eps=1e-3))

    def _apply_pair(self, name: str, x: Tensor) -> Tensor:
        conv = getattr(self, name)
        if conv.kernel_size == (3, 3):
            # TensorFlow's 'same': with stride 2 and an even size only the right and the bottom are padded.
            x = F.pad(x, (0, 1, 0, 1) if conv.stride == (2, 2) else (1, 1, 1, 1))
        return F.relu6(getattr(self, f"{name}_bn")(conv(x)))

    def forward(self, image: Tensor) -> list[Tensor]:
        """``image`` (B, 3, H, W) in [-1, 1] -> the maps after the pairs of ``FEATURE_PAIRS``, and the last."""
        x = self._apply_pair("conv1", image)
        maps = []
        for k in range(1, self.pairs + 1):
            x = self._apply_pair(f"conv_pw_{k}", self._apply_pair(f"conv_dw_{k}", x))
            if k in FEATURE_PAIRS or k == self.pairs:
                maps.append(x)
        return maps


class Judge(nn.Module):
    """Trunk, average pooling and a linear layer per answer.

    Args:
        outputs: number of logits; 0 for none.
        embedding: size of a unit-length embedding; 0 for none.
        features: also return the trunk's maps, for distances.
        pairs: of the trunk's convolutions.
    """

    def __init__(self, outputs: int, embedding: int = 0, features: bool = False, pairs: int = len(PAIRS)):
        super().__init__()
        self.trunk = MobileNet(pairs)
        width = PAIRS[pairs - 1][0]
        self.head = nn.Linear(width, outputs) if outputs else None
        # Pooled features are all positive and nearly parallel: without the norm every face would embed to one point.
        self.embed = nn.Sequential(nn.Linear(width, embedding, bias=False), nn.BatchNorm1d(embedding)) if embedding else None
        self.features = features

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """``image`` (B, 3, R, R) in [-1, 1] -> ``logits`` (B, outputs), ``embedding`` (B, embedding) of length 1,
        ``features_0`` .. ``features_3`` (B, C, h, w), each if the network has it."""
        maps = self.trunk(image)
        pooled = maps[-1].mean((2, 3))
        answers = {}
        if self.head is not None:
            answers["logits"] = self.head(pooled)
        if self.embed is not None:
            answers["embedding"] = F.normalize(self.embed(pooled))
        if self.features:
            answers |= {f"features_{i}": m for i, m in enumerate(maps)}
        return answers


@register_model("judges")
def judges(**config: int) -> Judge:
    return Judge(**config)
