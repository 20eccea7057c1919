"""Critics that only training needs."""

from __future__ import annotations

from pathlib import Path

import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from studio.models.judges import PAIRS, MobileNet

IMAGENET = "mobilenet_v1_imagenet.safetensors"


def find_weights(name: str, data: Path | None) -> Path:
    """A frozen network's weights, in the data folder or in ``weights`` beside it.

    Raises:
        FileNotFoundError: it is in neither.
    """
    root = Path(__file__).resolve().parents[2]
    folders = [data, data.parent / "weights"] if data else [root / "data", root.parent / "shared" / "weights"]
    for folder in folders:
        if (folder / name).is_file():
            return folder / name
    raise FileNotFoundError(f"{name} is not in {' or '.join(map(str, folders))}.")


def imagenet_trunk(data: Path | None, pairs: int = len(PAIRS)) -> MobileNet:
    """A MobileNet trunk up to one of its ``pairs`` with its ImageNet weights, in evaluation mode.

    Raises:
        FileNotFoundError: the file of the weights is not there.
    """
    trunk = MobileNet(pairs).eval()
    weights = load_file(find_weights(IMAGENET, data))
    counters = {k: v for k, v in trunk.state_dict().items() if k.endswith("num_batches_tracked")}
    trunk.load_state_dict({k: weights[k] for k in trunk.state_dict() if k not in counters} | counters)
    return trunk


class FeatureDiscriminator(nn.Module):
    """Judges pictures by frozen ImageNet features (Projected GANs, Sauer et al. 2021), one answer per domain.

    Deep features tell an animal from a face of the same colours, which a patch critic learns only slowly. It answers at several
    scales: the places of the trunk's maps at /8 and at /16, finer ones if asked for; the whole picture by the pooled last map.

    Args:
        trunk: frozen; kept out of the state, since its file has it.
        size: pictures are resized to this side in px first.
        first: of the trunk's maps (at /2, /4, /8, /16) that it answers at.
    """

    widths = (64, 128, 256, 512)

    def __init__(self, trunk: MobileNet, domains: int = 1, size: int = 96, hidden: int = 64, first: int = 2):
        super().__init__()
        self._trunk = (trunk.requires_grad_(False),)  # a tuple hides it from state_dict
        self.size, self.first = size, first
        widths = (*self.widths[first:], self.widths[-1])
        self.bodies = nn.ModuleList(spectral_norm(nn.Conv2d(w, hidden, 1)) for w in widths)
        self.heads = nn.ModuleList(nn.Conv2d(hidden, domains, 1) for _ in widths)

    def forward(self, image: Tensor) -> list[Tensor]:
        """``image`` (B, 3, H, W) in [-1, 1] -> logits (B, domains, N) of the places of each scale."""
        return self.judge(self.look(image))

    def look(self, image: Tensor) -> list[Tensor]:
        """``image`` (B, 3, H, W) in [-1, 1] -> the trunk's maps (B, C, h, w)."""
        trunk = self._trunk[0].to(image.device)
        return trunk(F.interpolate(image, size=self.size, mode="bilinear", align_corners=False))

    def judge(self, maps: list[Tensor]) -> list[Tensor]:
        """What :meth:`forward` answers, of the trunk's maps."""
        scales = zip((*maps[self.first :], maps[-1].mean((2, 3), keepdim=True)), self.bodies, self.heads, strict=True)
        return [head(F.leaky_relu(body(features), 0.2)).flatten(2) for features, body, head in scales]
