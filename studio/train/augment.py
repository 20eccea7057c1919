"""Augmentations that gradients pass through (DiffAugment, Zhao et al. 2020), applied to real and generated pictures alike."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def translation(images: Tensor, ratio: float = 0.125) -> Tensor:
    """Moves each picture (B, C, H, W) by up to ``ratio`` of its side; what comes in is 0."""
    batch, _, height, width = images.shape
    dy, dx = int(height * ratio), int(width * ratio)
    padded = F.pad(images, (dx, dx, dy, dy))
    top = torch.randint(0, 2 * dy + 1, (batch, 1, 1), device=images.device)
    left = torch.randint(0, 2 * dx + 1, (batch, 1, 1), device=images.device)
    rows = top + torch.arange(height, device=images.device).view(1, -1, 1)
    columns = left + torch.arange(width, device=images.device).view(1, 1, -1)
    samples = torch.arange(batch, device=images.device).view(-1, 1, 1)
    return padded.permute(0, 2, 3, 1)[samples, rows, columns].permute(0, 3, 1, 2)


def cutout(images: Tensor, ratio: float = 0.4) -> Tensor:
    """Blanks a square of ``ratio`` of the side at a random place of each picture."""
    batch, _, height, width = images.shape
    half_h, half_w = int(height * ratio / 2), int(width * ratio / 2)
    y = torch.randint(0, height, (batch, 1, 1), device=images.device)
    x = torch.randint(0, width, (batch, 1, 1), device=images.device)
    rows = torch.arange(height, device=images.device).view(1, -1, 1)
    columns = torch.arange(width, device=images.device).view(1, 1, -1)
    hole = ((rows - y).abs() <= half_h) & ((columns - x).abs() <= half_w)
    return images * (~hole).unsqueeze(1).to(images.dtype)


def colour(images: Tensor) -> Tensor:
    """Random brightness, saturation and contrast."""
    shape = (len(images), 1, 1, 1)
    images = images + torch.rand(shape, device=images.device) - 0.5
    mean = images.mean(1, keepdim=True)
    images = mean + (images - mean) * (2 * torch.rand(shape, device=images.device))
    mean = images.mean((1, 2, 3), keepdim=True)
    return mean + (images - mean) * (torch.rand(shape, device=images.device) + 0.5)


POLICIES = {"translation": translation, "cutout": cutout, "colour": colour}


def diff_augment(images: Tensor, policy: str) -> Tensor:
    """Applies the comma-separated augmentations of ``policy`` in order."""
    for name in filter(None, policy.split(",")):
        images = POLICIES[name](images)
    return images


def similarity_crops(images: Tensor, centre: Tensor, side: Tensor, angle: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Square crops under random similarity transforms, sampled bilinearly with reflected borders.

    Args:
        images: (B, 3, H, W) with H == W.
        centre: (B, 2) in px of the picture. side: (B,) in px. angle: (B,) in radians, turning the crop's axes.
        size: side of the crop in px.

    Returns:
        crops (B, 3, size, size), and the transforms (B, 2, 3) from picture px to crop units in [0, 1].
    """
    grid = similarity_grid(centre, side, angle, images.shape[-1], 2 * size)
    crops = F.avg_pool2d(F.grid_sample(images, grid, padding_mode="reflection", align_corners=False), 2)
    cos, sin = angle.cos(), angle.sin()
    rotate = torch.stack([torch.stack([cos, sin], 1), torch.stack([-sin, cos], 1)], 1) / side.view(-1, 1, 1)
    offset = 0.5 - (rotate @ centre.unsqueeze(2))
    return crops, torch.cat([rotate, offset], 2)


def similarity_grid(centre: Tensor, side: Tensor, angle: Tensor, pixels: int, size: int) -> Tensor:
    """Where square crops of ``size`` px look in pictures of ``pixels`` px, for ``F.grid_sample``: (B, size, size, 2).

    ``centre``, ``side`` and ``angle`` are those of :func:`similarity_crops`.
    """
    cos, sin = angle.cos(), angle.sin()
    # A grid's units: -1 is the left edge of the first pixel, +1 the right edge of the last.
    scale = side / pixels
    move = 2 * centre / pixels - 1
    rows = [scale * cos, -scale * sin, move[:, 0]], [scale * sin, scale * cos, move[:, 1]]
    theta = torch.stack([torch.stack(row, 1) for row in rows], 1)
    return F.affine_grid(theta, [len(theta), 3, size, size], align_corners=False)
