"""CycleGAN (Zhu et al. 2017; second stage of IAN, section 3.2): generator and patch discriminator.

The generator's instance norms hold one set of affine parameters per domain and mix them linearly, so that one network
covers several targets while it is pre-trained, and a shipped one covers everything between the photo (strength 0) and the
animal (strength 1).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from studio.core.registry import register_model


class MixNorm(nn.Module):
    """Instance norm whose scale and shift are convex (or extrapolated) mixes of those of ``domains`` domains."""

    def __init__(self, channels: int, domains: int):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(domains, channels))
        self.shift = nn.Parameter(torch.zeros(domains, channels))

    def forward(self, x: Tensor, mix: Tensor) -> Tensor:
        """``x`` (B, C, H, W), ``mix`` (B, domains) with rows that sum to 1."""
        scale, shift = mix @ self.scale, mix @ self.shift
        return torch.addcmul(shift[:, :, None, None], F.instance_norm(x), scale[:, :, None, None])


class ConvNorm(nn.Module):
    """Convolution, mixed norm, optionally ReLU."""

    def __init__(self, conv: nn.Module, channels: int, domains: int, relu: bool = True):
        super().__init__()
        self.conv, self.norm, self.relu = conv, MixNorm(channels, domains), relu

    def forward(self, x: Tensor, mix: Tensor) -> Tensor:
        x = self.norm(self.conv(x), mix)
        return F.relu(x) if self.relu else x


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions around a skip. (Zero padding: reflection costs a quarter of a training step on a CPU.)"""

    def __init__(self, channels: int, domains: int):
        super().__init__()
        self.first = ConvNorm(_conv3(channels, channels), channels, domains)
        self.second = ConvNorm(_conv3(channels, channels), channels, domains, relu=False)

    def forward(self, x: Tensor, mix: Tensor) -> Tensor:
        return x + self.second(self.first(x, mix), mix)


def _conv3(inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)


class Generator(nn.Module):
    """Encoder, residual blocks, decoder; ``domains[0]`` is the photo's own domain.

    Args:
        ngf: channels of the first layer; they double at each of the ``n_downs`` halvings.
        n_blocks: residual blocks at the bottleneck.
        domains: sets of affine parameters (2 in a shipped network: photo and animal).
    """

    def __init__(self, ngf: int = 32, n_downs: int = 2, n_blocks: int = 6, domains: int = 2):
        super().__init__()
        layers: list[nn.Module] = [ConvNorm(nn.Conv2d(3, ngf, 7, 1, 3, bias=False, padding_mode="reflect"), ngf, domains)]
        width = ngf
        for _ in range(n_downs):
            layers.append(ConvNorm(_conv3(width, 2 * width, stride=2), 2 * width, domains))
            width *= 2
        layers += [ResidualBlock(width, domains) for _ in range(n_blocks)]
        for _ in range(n_downs):
            # Growing first and convolving after leaves no checkerboard, unlike the paper's transposed convolutions.
            grow = nn.Sequential(nn.Upsample(scale_factor=2), _conv3(width, width // 2))
            layers.append(ConvNorm(grow, width // 2, domains))
            width //= 2
        self.layers = nn.ModuleList(layers)
        self.to_rgb = nn.Conv2d(ngf, 3, 7, 1, 3, padding_mode="reflect")

    def translate(self, image: Tensor, strength: Tensor) -> Tensor:
        """The network alone: (B, 3, R, R) and (B, domains - 1) as in :meth:`forward` -> (B, 3, R, R).

        Instance norms forget a picture's overall colour, so that at strength 0 it gives the photo back only nearly.
        """
        mix = torch.cat([1 - strength.sum(1, keepdim=True), strength], 1)
        x = image
        for layer in self.layers:
            x = layer(x, mix)
        return torch.tanh(self.to_rgb(x))

    def forward(self, image: Tensor, strength: Tensor) -> Tensor:
        """Translates pictures.

        Args:
            image: (B, 3, R, R) in [-1, 1].
            strength: (B, domains - 1), the weight of each target; what is missing to 1 goes to the photo: to its affine
                parameters and to its pixels, so that zeros give the photo itself. In a shipped network (B, 1).

        Returns:
            (B, 3, R, R) in [-1, 1].
        """
        photo = (1 - strength.sum(1)).clamp(0, 1).view(-1, 1, 1, 1)
        return photo * image + (1 - photo) * self.translate(image, strength)


def select_domains(state: dict[str, Tensor], rows: list[int]) -> dict[str, Tensor]:
    """A generator's weights restricted to some of its domains, in that order."""
    return {k: v[rows].clone() if k.endswith((".scale", ".shift")) else v for k, v in state.items()}


class Discriminator(nn.Module):
    """Patch discriminator with spectral norm and one output map per domain, at two scales of patch.

    Three halvings give overlapping patches, a fourth judges the whole arrangement, which textures alone cannot satisfy. The heads
    have no spectral norm: least squares needs answers that can reach 0 and 1.
    """

    def __init__(self, ndf: int = 32, domains: int = 1):
        super().__init__()
        channels = ((3, ndf), (ndf, 2 * ndf), (2 * ndf, 4 * ndf))
        self.trunk = nn.ModuleList(spectral_norm(nn.Conv2d(a, b, 4, 2, 1)) for a, b in channels)
        self.down = spectral_norm(nn.Conv2d(4 * ndf, 4 * ndf, 4, 2, 1))
        self.patch_head = nn.Conv2d(4 * ndf, domains, 3, 1, 1)
        self.global_head = nn.Conv2d(4 * ndf, domains, 3, 1, 1)

    def forward(self, image: Tensor) -> list[Tensor]:
        """``image`` (B, 3, H, W) -> logits (B, domains, N) of the patches of each scale."""
        x = image
        for conv in self.trunk:
            x = F.leaky_relu(conv(x), 0.2)
        whole = self.global_head(F.leaky_relu(self.down(x), 0.2))
        return [self.patch_head(x).flatten(2), whole.flatten(2)]


@register_model("cyclegan")
def cyclegan(**config: int) -> Generator:
    return Generator(**config)
