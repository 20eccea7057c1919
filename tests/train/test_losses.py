"""Losses against their definitions."""

import numpy as np
import pytest
import torch

from studio.train.losses import content_loss, mode_seeking_loss, pairwise_distances, unheard


def test_content_loss_is_pearson_correlation_below_the_wanted_one():
    torch.manual_seed(0)
    photo, made = torch.rand(1, 3, 16, 16), torch.rand(1, 3, 16, 16)
    correlation = np.corrcoef(photo.mean(1).flatten(), made.mean(1).flatten())[0, 1]
    assert np.isclose(content_loss(photo, made, 0.7).item(), 0.7 - correlation, atol=1e-5)
    assert content_loss(photo, 0.3 * photo + 0.2, 0.7) == 0


def test_pairwise_distances_are_lpips_with_uniform_weights():
    torch.manual_seed(0)
    maps = [torch.rand(3, 5, 4, 4), torch.rand(3, 7, 2, 2)]
    found = pairwise_distances(maps).numpy()
    for found_distance, (i, j) in zip(found, [(0, 1), (0, 2), (1, 2)], strict=True):
        distance = 0.0
        for m in (m.numpy() for m in maps):
            unit = m / np.linalg.norm(m, axis=1, keepdims=True)
            distance += ((unit[i] - unit[j]) ** 2).sum(0).mean()
        assert np.isclose(found_distance, distance, atol=1e-5)


def test_mode_seeking_asks_for_no_more_than_the_real_variety():
    real = torch.tensor([1.0, 3.0])
    assert mode_seeking_loss(torch.tensor([2.0, 5.0]), real) == 0
    assert mode_seeking_loss(torch.tensor([1.0, 4.0]), real) == 0.25
    assert mode_seeking_loss(torch.tensor([1.0, 4.0]), real, 0.5) == 0
    made = torch.tensor([0.5], requires_grad=True)
    mode_seeking_loss(made, real).backward()
    assert made.grad.item() < 0  # a step down the gradient spreads the pictures


def test_latents_are_heard_in_how_two_pictures_differ():
    latents = torch.randn(2000, 8)
    assert unheard(latents + torch.ones(8), latents) == pytest.approx(0, abs=1e-6)
    assert unheard(torch.zeros(2000, 8), latents) == pytest.approx((2 / torch.pi) ** 0.5, abs=0.02)
