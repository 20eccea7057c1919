"""The toy of CVAE-GAN's figure 4: who covers a ring that lies far from where the generator begins.

The paper's networks and optimiser, but faster: a ring that is nearer, a rate of 0.003, 1,600 steps. Six pairs of networks learn
at once, each for itself; what counts is how much of the ring is covered on average over the second half.
"""

import math
from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F

from studio.train.gan import logistic

PAIRS, BATCH, STEPS, LATENT = 6, 64, 1600, 2
CENTRE, RADIUS, NOISE, NEAR = 10.0, 3.0, 0.1, 0.6
SECTORS = 36


def networks(inputs, outputs, draws):
    """Weights and biases of three hidden layers of 32, 64 and 64 units, of all pairs."""
    widths = [inputs, 32, 64, 64, outputs]
    shapes = [(a, rows, b) for a, b in pairwise(widths) for rows in (a, 1)]
    return [((2 * torch.rand(PAIRS, rows, b, generator=draws) - 1) * a**-0.5).requires_grad_() for a, rows, b in shapes]


def look(weights, points):
    """Features (PAIRS, N, 64) before the last layer, and answers."""
    for weight, bias in zip(weights[:6:2], weights[1:6:2], strict=True):
        points = F.leaky_relu(torch.baddbmm(bias, points, weight), 0.2)
    return points, torch.baddbmm(weights[7], points, weights[6])


def on_ring(draws):
    angle = 2 * math.pi * torch.rand(PAIRS, BATCH, generator=draws)
    radius = RADIUS + NOISE * torch.randn(PAIRS, BATCH, generator=draws)
    return CENTRE + torch.stack([radius * angle.cos(), radius * angle.sin()], 2)


def covered(points):
    """The share of the ring's sectors near which at least a tenth of an even share of the points (N, 2) lies."""
    away = points - CENTRE
    near = away[(away.norm(dim=1) - RADIUS).abs() < NEAR]
    sector = (torch.atan2(near[:, 1], near[:, 0]) / (2 * math.pi) * SECTORS + SECTORS / 2).long().clamp(0, SECTORS - 1)
    return (torch.bincount(sector, minlength=SECTORS) >= 0.1 * len(points) / SECTORS).float().mean().item()


def learn(matches):
    """The covered share, the mean over pairs and the second half of the steps."""
    draws = torch.Generator().manual_seed(0)
    generator, critic = networks(LATENT, 2, draws), networks(2, 1, draws)
    optimisers = [torch.optim.RMSprop(weights, 3e-3) for weights in (generator, critic)]
    shares = []
    for step in range(1, STEPS + 1):
        real, made = on_ring(draws), look(generator, torch.randn(PAIRS, BATCH, LATENT, generator=draws))[1]
        answers = look(critic, torch.cat([real, made.detach()], 1))[1]
        follow(optimisers[1], logistic([answers[:, :BATCH]], 1) + logistic([answers[:, BATCH:]], -1))
        wanted, (found, answer) = look(critic, real)[0].detach(), look(critic, made)
        apart = 0.5 * (wanted.mean(1) - found.mean(1)).square().sum()  # eq. 2
        follow(optimisers[0], apart if matches else logistic([answer], 1))
        if step > STEPS / 2 and step % 200 == 0:
            points = look(generator, torch.randn(PAIRS, 1000, LATENT, generator=draws))[1].detach()
            shares += [covered(each) for each in points]
    return sum(shares) / len(shares)


def follow(optimiser, loss):
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()


def test_a_share_of_the_ring_is_counted_where_points_are():
    angle = torch.linspace(0, math.pi, 1000)
    half = CENTRE + RADIUS * torch.stack([angle.cos(), angle.sin()], 1)
    assert covered(half) == pytest.approx(0.5, abs=0.03) and covered(half + 2 * RADIUS) < 0.1
    assert covered(torch.full((1000, 2), CENTRE + RADIUS)) == 0


def test_mean_feature_matching_covers_the_ring_and_the_plain_gan_less_of_it():
    matching, plain = learn(True), learn(False)
    assert matching > 0.65 and matching > plain + 0.1, (matching, plain)
