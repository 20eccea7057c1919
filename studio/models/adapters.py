"""Low-rank differences of a layer's weights, which can be turned up one by one (after Hu et al. 2021, LoRA, section 4.1).

A K-GAN differs from its GAN in every weight, but by little. Stored as factors the difference is a small part of the network,
and since a layer is linear in its weights, ``layer(x) + amount * difference(x)`` is exactly the layer whose weights stand
``amount`` of the way between the two networks: each picture of a batch may have an amount of its own.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class AdaptedLayer(nn.Module):
    """A linear or convolution layer and, with ``rank`` > 0, a difference of that rank beside it, which starts at nothing."""

    def __init__(self, layer: nn.Module, rank: int = 0):
        super().__init__()
        self.layer = layer
        self.down = self.up = None
        if rank:
            self.down, self.up = _factors(layer, rank)
            nn.init.zeros_(self.up.weight)
            nn.init.zeros_(self.up.bias)

    def forward(self, x: Tensor, amount: Tensor | None = None) -> Tensor:
        """``x`` (B, ...), ``amount`` (B, 1): 0 is the layer, 1 the layer with its difference."""
        y = self.layer(x)
        if self.up is None or amount is None:
            return y
        return y + amount.view(-1, *[1] * (y.dim() - 1)) * self.up(self.down(x))


def _factors(layer: nn.Module, rank: int) -> tuple[nn.Module, nn.Module]:
    """The layer's input reduced to ``rank`` channels, then a layer like it from there."""
    if isinstance(layer, nn.Linear):
        return nn.Linear(layer.in_features, rank, bias=False), nn.Linear(rank, layer.out_features)
    geometry = {"kernel_size": layer.kernel_size, "stride": layer.stride, "padding": layer.padding}
    return nn.Conv2d(layer.in_channels, rank, 1, bias=False), type(layer)(rank, layer.out_channels, **geometry)


def adapter_state(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """What of a network's weights is difference: all that its base does not have."""
    return {name: tensor for name, tensor in state.items() if ".down." in name or ".up." in name}


def initialise(network: nn.Module, deviation: float = 0.02) -> None:
    """Normal weights of a deviation of 0.02, zero biases (Radford et al. 2016, section 4)."""
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
            nn.init.normal_(module.weight, 0.0, deviation)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, deviation)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, AdaptedLayer) and module.up is not None:
                module.up.weight.zero_()
