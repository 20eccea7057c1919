"""Networks of CVAE-GAN that begin where those of half the side ended (as Karras et al. 2018 grow theirs).

All inner layers are taken over, as their widths are the same at the same side of a map: ``Extent.at`` sees to that. A generator
gets one more layer behind them, an encoder, classifier or critic one in front. Together with the layer that they replace they
begin as the smaller network with enlargement behind it, or halving in front: three channels and their negatives carry colours
through the leaky ReLU, as f(x) - f(-x) = (1 + slope) x. All other channels begin as they always do, and say little yet.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from studio.models.xgan import SLOPE, Downwards
from studio.models.xgan import Generator as Drawing
from studio.train.gan import renewed

ENLARGE = torch.tensor([0.25, 0.75, 0.75, 0.25])  # of a transposed convolution with stride 2: bilinear
HALVE = torch.tensor([0.0, 0.5, 0.5, 0.0])
COLOURS = 3
QUIET = 0.1  # of what is usual: weights of channels that have nothing to say yet


@torch.no_grad()
def grow(network: nn.Module, smaller: Mapping[str, Tensor], look: Callable[[], object]) -> list[str]:
    """Makes ``network`` begin as the one of half the side whose state is ``smaller``.

    Args:
        network: a part of CVAE-GAN, as it is born.
        look: runs it on some pictures, from which its new norm takes its statistics.

    Returns:
        The names of the parameters that have no forerunner.

    Raises:
        ValueError: an inner layer has another shape than the smaller network's.
    """
    draws = hasattr(network, "draw")
    inner, prefix = (network.draw, "draw.") if draws else (network.down, "down.")
    own = network.state_dict()
    kept = dict(_inner(smaller, prefix, len(inner.layers) - 1, draws))
    if wrong := [name for name, tensor in kept.items() if name not in own or own[name].shape != tensor.shape]:
        raise ValueError(f"The smaller network does not fit this one: {', '.join(wrong)} differ.")
    network.load_state_dict(own | kept)
    (_enlarging if draws else _halving)(inner, smaller, prefix, look)
    return [name for name, _ in network.named_parameters() if name not in kept]


def _inner(smaller: Mapping[str, Tensor], prefix: str, layers: int, draws: bool) -> list[tuple[str, Tensor]]:
    """What is taken over of a network with that many layers, by the names it has in the larger one."""
    moved = []
    for name, tensor in smaller.items():
        match = re.fullmatch(rf"({re.escape(prefix)}(?:layers|norms))\.(\d+)\.(.+)", name)
        if match is None or (draws and not (match[1].endswith("layers") and int(match[2]) == layers - 1)):
            moved.append((name, tensor))
        elif not draws and int(match[2]):
            moved.append((f"{match[1]}.{int(match[2]) + 1}.{match[3]}", tensor))
    return moved


def _enlarging(inner: Drawing, smaller: Mapping[str, Tensor], prefix: str, look: Callable[[], object]) -> None:
    """The last two layers: the smaller one's last, then enlargement."""
    before, last = inner.layers[-2:]
    replaced = f"{prefix}layers.{len(inner.layers) - 2}"
    weight, bias = smaller[f"{replaced}.weight"], smaller[f"{replaced}.bias"]
    before.weight[:, : 2 * COLOURS] = torch.cat([weight, -weight], 1)
    last.weight[2 * COLOURS :] *= QUIET
    last.weight[: 2 * COLOURS] = _carried(ENLARGE) / (1 + SLOPE)
    last.bias.zero_()
    _let_through(inner.norms[-1], inner, look, torch.cat([bias, -bias]))


def _halving(inner: Downwards, smaller: Mapping[str, Tensor], prefix: str, look: Callable[[], object]) -> None:
    """The first two layers: halving, then the smaller one's first."""
    first, after = inner.layers[:2]
    weight, bias = smaller[f"{prefix}layers.0.weight"], smaller[f"{prefix}layers.0.bias"]
    first.weight[: 2 * COLOURS] = _carried(HALVE)
    first.bias[: 2 * COLOURS] = 0
    after.weight[:, 2 * COLOURS :] *= QUIET
    after.weight[:, : 2 * COLOURS] = torch.cat([weight, -weight], 1) / (1 + SLOPE)
    _let_through(inner.norms[1], inner, look, bias)


def _carried(kernel: Tensor) -> Tensor:
    """Six channels, colours and their negatives, each of which goes its way through ``kernel`` x ``kernel``: (6, 3, 4, 4)."""
    colours = torch.eye(COLOURS)[:, :, None, None] * kernel.outer(kernel)
    return torch.cat([colours, -colours])


def _let_through(norm: nn.BatchNorm2d, inner: nn.Module, look: Callable[[], object], bias: Tensor) -> None:
    """The norm does nothing to the first channels but add ``bias``: its scale and shift are what it finds there.

    The norms behind it take their statistics after that.
    """
    count = len(bias)
    with renewed(inner):
        look()
    norm.weight[:count] = (norm.running_var[:count] + norm.eps).sqrt()
    norm.bias[:count] = norm.running_mean[:count] + bias
    with renewed(inner):
        look()
    inner.train()
