"""Grown networks begin as the smaller ones: what they say of a picture, and what they draw, is what those say and draw."""

import pytest
import torch
import torch.nn.functional as F

from studio.models.cvaegan import Classifier, Encoder, Generator
from studio.train.gan import renewed
from studio.train.growing import grow

SMALL, LARGE = {"width": 16, "most": 2, "resolution": 16}, {"width": 8, "most": 4, "resolution": 32}


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def pictures(side):
    """Smooth ones, which lose nothing when they are halved."""
    return F.interpolate(torch.rand(64, 3, 4, 4) * 2 - 1, size=side, mode="bilinear")


def settled(network, *inputs):
    with torch.no_grad(), renewed(network):
        network(*inputs)
    return network.eval()


@pytest.fixture
def grown_classifier():
    """The smaller, the grown one, and photos of the larger side."""
    photos = pictures(32)
    small, large = Classifier(5, **SMALL), Classifier(5, **LARGE)
    small = settled(small, F.avg_pool2d(photos, 2))
    fresh = grow(large, small.state_dict(), lambda: large(photos))
    return small, large, photos, fresh


def test_a_grown_classifier_answers_as_the_smaller_one(grown_classifier):
    small, large, photos, _ = grown_classifier
    assert large.training
    with torch.no_grad():
        expected, answers = small(F.avg_pool2d(photos, 2))["logits"], large.eval()(photos)["logits"]
    assert (answers - expected).abs().mean() < 0.1 * expected.std()


def test_only_the_ends_are_fresh(grown_classifier):
    small, large, _, fresh = grown_classifier
    ends = {"down.layers.0.weight", "down.layers.0.bias", "down.layers.1.weight", "down.norms.1.weight", "down.norms.1.bias"}
    assert set(fresh) == ends
    assert torch.equal(large.down.layers[2].weight, small.down.layers[1].weight)
    assert torch.equal(large.answer.weight, small.answer.weight)


def test_a_grown_encoder_finds_the_same_codes():
    photos, condition = pictures(32), torch.rand(64, 5)
    small, large = settled(Encoder(6, 5, **SMALL), F.avg_pool2d(photos, 2), condition), Encoder(6, 5, **LARGE)
    grow(large, small.state_dict(), lambda: large(photos, condition))
    with torch.no_grad():
        expected, found = small(F.avg_pool2d(photos, 2), condition)["mean"], large.eval()(photos, condition)["mean"]
    assert (found - expected).abs().mean() < 0.1 * expected.std()


def test_a_grown_generator_draws_the_same_pictures_twice_as_large():
    latents, condition = torch.randn(64, 6), torch.rand(64, 5)
    small, large = settled(Generator(6, 5, **SMALL), latents, condition), Generator(6, 5, **LARGE)
    fresh = grow(large, small.state_dict(), lambda: large(latents, condition))
    assert {name.split(".")[1] for name in fresh} == {"layers", "norms"}
    with torch.no_grad():
        expected = F.interpolate(small(latents, condition), scale_factor=2, mode="bilinear")
        made = large.eval()(latents, condition)
    assert (made - expected)[..., 1:-1, 1:-1].abs().mean() < 0.15 * expected.std()


def test_a_network_of_other_widths_does_not_fit():
    other = Classifier(5, width=16, most=4, resolution=32)
    with pytest.raises(ValueError, match="does not fit this one"):
        grow(other, Classifier(5, **SMALL).state_dict(), lambda: None)
