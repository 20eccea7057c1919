"""BEGAN's three networks."""

import numpy as np
import pytest
import torch

from studio.core.registry import build
from studio.models.began import AutoEncoder, Decoder, Encoder, Generator, reproduction_error
from tests.tiny import card_of

SMALL = {"width": 3, "resolution": 16}


@pytest.mark.parametrize("resolution", [8, 16, 64])
def test_decoder_and_encoder_fit_together_at_any_size(resolution):
    auto = AutoEncoder(2, resolution)
    image = torch.rand(2, 3, resolution, resolution)
    assert auto.encoder(image).shape == (2, 100)
    assert auto(image).shape == image.shape
    assert torch.equal(auto(image), auto.decoder(auto.encoder(image)))


def test_codes_are_moved_and_told():
    torch.manual_seed(0)
    auto = AutoEncoder(2, 8)
    auto.encoder, auto.decoder = torch.nn.Flatten(), torch.nn.Identity()
    image = torch.randn(4000, 10)
    moved, code = auto.blurred(image, 0.5)
    assert torch.equal(code, image) and torch.allclose((moved - image).std(0), torch.tensor(0.5), rtol=0.1)
    assert torch.equal(auto.blurred(image, 0.0)[0], auto(image))


def test_a_resolution_has_two_convolutions_and_the_encoders_grow_by_one_width():
    assert len(Decoder(2, 64).layers) == 2 * 4
    widths = [(conv.in_channels, conv.out_channels, conv.stride[0]) for conv in Encoder(2, 16).layers]
    assert widths == [(3, 2, 1), (2, 2, 1), (2, 2, 1), (2, 4, 2), (4, 4, 1), (4, 4, 1)]


def test_growth_repeats_every_place():
    decoder = Decoder(1, 16).requires_grad_(False)
    with torch.no_grad():
        for layer in decoder.layers:
            layer.layer.weight.zero_()[:, :, 1, 1] = 1  # the middle tap alone: each place keeps to itself
        decoder.to_rgb.layer.weight.zero_()[:, :, 1, 1] = 1
    picture = decoder(torch.randn(1, 100))
    assert torch.equal(picture, picture[:, :, ::2, ::2].repeat_interleave(2, 2).repeat_interleave(2, 3))
    assert picture.std() > 0


def test_the_generator_is_the_decoder_cut_to_the_units():
    decoder, generator = Decoder(**SMALL), Generator(**SMALL)
    with torch.no_grad():
        decoder.to_rgb.layer.bias.copy_(torch.tensor([3.0, 0, -3]))
    generator.load_state_dict(decoder.state_dict())
    latent = torch.rand(2, 100) * 2 - 1
    assert torch.equal(generator(latent), decoder(latent).clamp(-1, 1)) and decoder(latent).abs().max() > 1


def test_a_k_gan_holds_its_gan_at_imagination_0():
    base, kin = Decoder(**SMALL).requires_grad_(False), Decoder(**SMALL, rank=2).requires_grad_(False)
    for parameter in kin.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    kin.load_state_dict(base.state_dict(), strict=False)
    latent = torch.rand(2, 100) * 2 - 1
    assert torch.equal(kin(latent, torch.zeros(2, 1)), base(latent))
    assert (kin(latent, torch.ones(2, 1)) - base(latent)).abs().max() > 1e-2


def test_the_error_is_the_mean_absolute_difference():
    image, reproduced = torch.randn(2, 3, 4, 4), torch.randn(2, 3, 4, 4)
    expected = np.abs(image.numpy() - reproduced.numpy()).mean()
    assert reproduction_error(image, reproduced).item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("part", "kind"), [("generator", Generator), ("encoder", Encoder), ("decoder", Decoder)])
def test_the_family_builds_each_part(part, kind):
    assert type(build(card_of(b"", family="began", config=SMALL | {"part": part}))) is kind
