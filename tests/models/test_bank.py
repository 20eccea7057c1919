"""The bank's distances against numpy's."""

import numpy as np
import pytest
import torch
from torch import nn

from studio.models.bank import FEATURES, CodeBank

CODES, SIZE = 5, 4


class Trunk(nn.Module):
    """512 random mixtures of the colours of 4 x 4 places."""

    def forward(self, image):
        mixture = torch.linspace(-1, 1, 512 * 3).view(512, 3).sin()
        return [torch.einsum("oc,bchw->bohw", mixture, nn.functional.adaptive_avg_pool2d(image, 4))]


@pytest.fixture
def bank():
    torch.manual_seed(0)
    bank = CodeBank(CODES, SIZE, resolution=24, outputs=3).eval().requires_grad_(False)
    bank.trunk = Trunk()
    bank.mean.normal_()
    bank.components.normal_(std=FEATURES**-0.5)
    return bank


@pytest.fixture
def pictures(bank):
    pictures = torch.rand(CODES, 3, 24, 24) * 2 - 1
    bank.codes.copy_(bank.encode(pictures))
    bank.unit.copy_(torch.tensor([1.0, 0.5, 2.0, 1.0, 4.0]))
    return pictures


def test_a_code_is_the_projection_of_features_on_four_places(bank):
    image = torch.rand(2, 3, 24, 24)
    places = bank.trunk(image)[-1].view(2, 512, 2, 2, 2, 2).mean((3, 5)).flatten(1).numpy()
    assert np.allclose(bank.places(image).numpy(), places, atol=1e-5)
    expected = (places - bank.mean.numpy()) @ bank.components.numpy().T
    assert np.allclose(bank.encode(image).numpy(), expected, atol=1e-5)


def test_originality_is_the_least_distance_in_each_codes_unit(bank, pictures):
    new = torch.rand(3, 3, 24, 24) * 2 - 1
    sides = [bank.encode(side).numpy() for side in (new, new.flip(3))]  # a mirror image of a learnt picture is a copy, too
    distances = np.min([np.linalg.norm(codes[:, None] - bank.codes.numpy()[None], axis=2) for codes in sides], 0)
    distances /= bank.unit.numpy()
    assert np.allclose(bank(new).numpy(), distances.min(1)[:, None], atol=1e-5)
    assert bank(new).min() > 0.01


def test_a_learnt_picture_is_no_invention(bank, pictures):
    assert bank(pictures).shape == (CODES, 1) and bank(pictures).max() < 1e-4


def test_pictures_of_any_size_are_looked_at_in_one(bank):
    flat = torch.full((1, 3, 24, 24), 0.3)
    assert torch.allclose(bank.encode(flat), bank.encode(flat[..., :16, :16]), atol=1e-5)
