"""X-GAN's networks: what the paper says of their layers, and the map of the codes."""

import pytest
import torch
from torch import nn

from studio.core.registry import Card, build
from studio.models.xgan import Codes, Discriminator, Encoder, Generator

CONVOLUTIONS = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)


def layers(network):
    return [module for module in network.modules() if isinstance(module, CONVOLUTIONS)]


@pytest.mark.parametrize("resolution", [32, 64, 128])
def test_a_picture_becomes_a_code_and_a_code_a_picture(resolution):
    config = {"latent": 6, "width": 2, "resolution": resolution}
    image = torch.rand(3, 3, resolution, resolution) * 2 - 1
    code = Encoder(**config)(image)
    made = Generator(**config)(code)
    assert code.shape == (3, 6) and made.shape == image.shape and made.abs().max() <= 1
    maps, answer = Discriminator(5, 2, resolution)(image)
    assert answer.shape == (3, 5) and [m.shape[2] for m in maps][-1] == 4


def test_encoder_and_generator_have_six_layers_at_64_px():
    assert len(layers(Encoder(width=2))) == len(layers(Generator(width=2))) == 6


def test_a_picture_and_a_code_are_encoded_and_drawn_alone():
    """An answer of a trained network does not depend on who else is in the batch."""
    for network, batch in ((Encoder(6, 2, 16), torch.rand(4, 3, 16, 16)), (Generator(6, 2, 16), torch.rand(4, 6))):
        network.eval()
        assert torch.allclose(network(batch)[:1], network(batch[:1]), atol=1e-6)


def test_codes_are_normed_unless_a_prior_does_it():
    torch.manual_seed(0)
    images = torch.rand(64, 3, 16, 16)
    codes = Encoder(6, 2, 16)(images)
    assert codes.mean(0).abs().max() < 1e-4 and (codes.std(0, correction=0) - 1).abs().max() < 0.05
    assert Encoder(6, 2, 16, normed=False)(images).std(0).max() < 0.5


def test_a_code_has_its_place_on_the_map():
    bank = Codes(3, 2, 1)
    bank.mean.copy_(torch.tensor([1.0, 2.0]))
    bank.axes.copy_(torch.tensor([[0.0, 1.0], [1.0, 0.0]]))
    assert bank(torch.tensor([[4.0, 7.0]])).tolist() == [[5.0, 3.0]]


@pytest.mark.parametrize(
    ("part", "kind", "config"),
    [
        ("generator", Generator, {"latent": 6, "width": 2, "resolution": 16}),
        ("encoder", Encoder, {"latent": 6, "width": 2, "resolution": 16}),
        ("codes", Codes, {"count": 5, "latent": 6, "m": 2}),
    ],
)
def test_a_card_names_one_of_three_parts(part, kind, config):
    card = Card("x", "xgan", "t", 16, "x.safetensors", "0", 0, "x", config=config | {"part": part})
    assert isinstance(build(card), kind)
