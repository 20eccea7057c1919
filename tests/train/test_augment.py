"""Augmentations keep what they promise, and carry gradients."""

import math

import pytest
import torch

from studio.train.augment import diff_augment, similarity_crops


@pytest.mark.parametrize("policy", ["translation", "cutout", "colour", "colour,translation,cutout"])
def test_gradients_pass(policy):
    images = torch.rand(4, 3, 16, 16, requires_grad=True)
    diff_augment(images, policy).sum().backward()
    assert images.grad is not None and images.grad.abs().sum() > 0


def test_translation_moves_without_changing_pixels():
    torch.manual_seed(0)
    images = torch.arange(1.0, 257).view(1, 1, 16, 16).expand(64, 3, 16, 16)
    moved = diff_augment(images, "translation")
    kept = moved[moved != 0]
    assert set(kept.unique().tolist()) <= set(images.unique().tolist())
    assert moved.shape == images.shape and len({tuple(m[0, 8].tolist()) for m in moved}) > 4


def test_cutout_blanks_a_square():
    torch.manual_seed(1)
    holes = (diff_augment(torch.ones(32, 3, 20, 20), "cutout")[:, 0] == 0).sum((1, 2))
    assert holes.max() == 81 and holes.min() >= 25  # 9 x 9, less what lies beyond the border


def test_unknown_policy_is_an_error():
    with pytest.raises(KeyError):
        diff_augment(torch.zeros(1, 3, 8, 8), "blur")


def test_similarity_crop_shows_what_its_matrix_says():
    """A bright dot at a known place must appear where the returned transform puts it."""
    images = torch.zeros(3, 3, 128, 128)
    images[:, :, 40, 90] = 100
    centre = torch.tensor([[70.0, 50.0], [80.0, 45.0], [95.0, 44.0]])
    side = torch.tensor([96.0, 64.0, 80.0])
    angle = torch.tensor([0.0, 0.4, -math.pi / 3])
    crops, matrix = similarity_crops(images, centre, side, angle, 64)
    expected = (matrix @ torch.tensor([90.5, 40.5, 1.0])) * 64
    for crop, point in zip(crops, expected, strict=True):
        weights = crop[0] / crop[0].sum()
        pixels = torch.arange(64) + 0.5
        found = torch.stack([(weights.sum(0) * pixels).sum(), (weights.sum(1) * pixels).sum()])
        assert torch.allclose(found, point, atol=0.5)
