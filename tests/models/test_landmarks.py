"""The landmark network."""

import torch

from studio.models.landmarks import LandmarkNet


def test_shapes_and_a_sensible_first_guess():
    net = LandmarkNet(4).eval()
    with torch.no_grad():
        net.eyes.weight.zero_(), net.eyes.bias.zero_()
    answer = net(torch.rand(3, 3, 64, 64))
    assert answer["face"].shape == (3,)
    assert torch.allclose(answer["eyes"], net.mean.expand(3, 2, 2))


def test_the_guess_is_not_part_of_the_weights():
    assert "mean" not in LandmarkNet(4).state_dict()
