"""Losses that more than one recipe may use."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def content_loss(photo: Tensor, made: Tensor, wanted: float) -> Tensor:
    """How far the correlation of two pictures' light, seen on 16 x 16 places, stays below ``wanted``; (B, 3, H, W) each."""
    light = [F.adaptive_avg_pool2d(images.float().mean(1, keepdim=True), 16).flatten(1) for images in (photo, made)]
    first, second = (F.normalize(x - x.mean(1, keepdim=True)) for x in light)
    return F.relu(wanted - (first * second).sum(1)).mean()


def least_squares(answers: list[Tensor], value: float) -> Tensor:
    """The adversarial loss of LSGAN (Mao et al. 2017): a critic's answers against ``value``; every scale counts the same."""
    return torch.stack([((answer.float() - value) ** 2).mean() for answer in answers]).mean()


def perceptual_distance(first: list[Tensor], second: list[Tensor]) -> Tensor:
    """The mean of :func:`pairwise_distances`'s measure over pairs of pictures, from their feature maps (B, C, h, w) each."""
    pairs = zip(first, second, strict=True)
    squares = [(F.normalize(a.float(), dim=1) - F.normalize(b.float(), dim=1)).square().sum(1).mean() for a, b in pairs]
    return torch.stack(squares).sum()


def pairwise_distances(maps: list[Tensor]) -> Tensor:
    """Perceptual distances of all pairs of pictures, (B (B - 1) / 2,), from feature maps (B, C, h, w).

    LPIPS (Zhang et al. 2018, eq. 1) without learned weights: unit-length features, squared differences, the mean over places,
    summed over the maps.
    """
    first, second = torch.triu_indices(len(maps[0]), len(maps[0]), 1, device=maps[0].device)
    unit = [F.normalize(m.float(), dim=1) for m in maps]
    return torch.stack([(u[first] - u[second]).square().sum(1).mean((1, 2)) for u in unit]).sum(0)


def mode_seeking_loss(made: Tensor, real: Tensor, share: float = 1.0) -> Tensor:
    """How far the distances between made pictures, (P,), stay below ``share`` of the mean distance between real ones.

    The aim of MSGAN (Mao et al. 2019), with the real pictures' distances as the measure of how much is enough. Asking for all of
    it tears faces apart, since real pictures differ in pose and place as well.
    """
    return F.relu(share - made / real.mean().clamp_min(1e-6)).mean()


def unheard(said: Tensor, latents: Tensor) -> Tensor:
    """Latent reconstruction (MUNIT's eq. 4; SDIT's L_LAT, eq. 6.6) of two pictures of each photo, by how the two differ.

    What is said of a picture because of its photo counts nothing: photos differ far more than latents make them, and drown
    them. Saying nothing is 0.80, as of one picture.

    Args:
        said: (2 B, Z), of a first picture of each photo and then of a second one.
        latents: (2 B, Z), what they were drawn from.
    """
    first, second = (said.float() - latents).chunk(2)
    return (first - second).abs().mean() / 2**0.5
