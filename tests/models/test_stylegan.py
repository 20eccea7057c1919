"""The flagship against StyleGAN2's equations, written out sample by sample."""

import pytest
import torch
import torch.nn.functional as F

from studio.core.registry import build
from studio.models.stylegan import REACH, Encoder, Generator, ModulatedConv
from tests.tiny import card_of

TINY = {"resolution": 16, "latent": 8, "base": 64, "most": 8}


def generator():
    torch.manual_seed(0)
    network = Generator(**TINY).requires_grad_(False)
    network.mean_style.normal_()
    network.mapping.second.weight.normal_()
    return network


@pytest.mark.parametrize("grows", [False, True])
@pytest.mark.parametrize("demodulate", [True, False])
def test_modulation_is_that_of_weights_made_for_each_sample(grows, demodulate):
    """Eq. 1 and 3 of Karras et al. 2020, a convolution of its own for each sample; a filter's length is what was learnt."""
    torch.manual_seed(0)
    conv = ModulatedConv(5, 4, 6, grows, demodulate).requires_grad_(False)
    for parameter in conv.parameters():
        parameter.normal_()
    x, style = torch.randn(3, 5, 7, 7), torch.randn(3, 6)
    filters = conv.weight.transpose(0, 1) if grows else conv.weight  # outputs first
    for index, made in enumerate(conv(x, style)):
        scales = style[index] @ conv.style.weight.T + conv.style.bias
        own = scales[:, None, None] * filters
        if demodulate:
            own = own / (own.square().sum((1, 2, 3), keepdim=True) + 1e-8).sqrt() * conv.gain.view(-1, 1, 1, 1)
        if grows:
            plain = F.conv_transpose2d(x[index], own.transpose(0, 1), stride=2, padding=1)
        else:
            plain = F.conv2d(x[index], own, padding=1)
        assert torch.allclose(made, plain + conv.bias[:, None, None], atol=1e-4)


def test_a_picture_of_a_latent_is_that_of_its_style_repeated():
    network, latent = generator(), torch.randn(2, 8)
    made = network(latent, torch.ones(2, 1))
    assert made["image"].shape == (2, 3, 16, 16) and made["image"].abs().max() <= 1
    styles = made["style"][:, None].expand(-1, network.n_styles, -1)
    assert network.n_styles == 5 and torch.equal(network(styles=styles)["image"], made["image"])


def test_truncation_draws_each_style_to_the_mean_by_its_own_amount():
    network, latent = generator(), torch.randn(3, 8)
    style = network(latent, torch.tensor([[0.0], [0.25], [1.0]]))["style"]
    full = network.map(latent)
    assert torch.allclose(style[0], network.mean_style, atol=1e-6)
    assert torch.allclose(style[1], 0.75 * network.mean_style + 0.25 * full[1], atol=1e-6)
    assert torch.allclose(style[2], full[2], atol=1e-6)


def test_the_first_map_and_every_convolution_heed_their_own_style():
    network = generator()
    styles = torch.randn(1, 5, 8)
    before = network.synthesise(styles)
    for index in range(5):
        changed = styles.clone()
        changed[:, index] += 3
        assert (network.synthesise(changed) - before).abs().max() > 1e-3, index


def test_the_mapping_begins_as_nothing_and_learns():
    network, latent = Generator(**TINY).requires_grad_(False), torch.randn(2, 8)
    assert torch.equal(network.map(latent), latent)
    network.mapping.second.weight.normal_()
    assert not torch.allclose(network.map(latent), latent, atol=0.1)


def test_the_encoder_gives_one_style_and_what_each_convolution_departs_from_it():
    torch.manual_seed(0)
    encoder = Encoder(16, 8, width=8).requires_grad_(False)
    image = torch.rand(2, 3, 16, 16)
    style, departures = encoder.look(image)
    assert style.shape == (2, 8) and departures.shape == (2, 5, 8) and not departures.any()
    assert torch.equal(encoder(image), style[:, None].expand(-1, 5, -1))
    encoder.departures.bias.copy_(torch.arange(40.0))
    assert torch.allclose(encoder(image)[1, 0], style[1] + torch.arange(8.0))
    assert torch.allclose(encoder(image)[1, 3], style[1] + REACH * torch.arange(24.0, 32.0))
    assert "reach" not in encoder.state_dict()


def test_behind_the_first_map_styles_change_as_much_as_they_reach():
    torch.manual_seed(0)
    network = Generator(128, 256, base=512, most=64).requires_grad_(False)
    styles = torch.randn(4, 256)[:, None].expand(-1, network.n_styles, -1)
    before, moved = network.synthesise(styles), []
    for index in range(network.n_styles):
        step = torch.zeros(network.n_styles, 1)
        step[index] = 0.1 * network.reach[index]
        moved.append(float((network.synthesise(styles + step * torch.randn(4, 1, 256)) - before).abs().mean()))
    assert moved[0] < sum(moved[1:]) < 20 * moved[0]
    assert sum(moved[1:]) / REACH < moved[0]  # without it


def test_the_family_builds_both_parts():
    network = build(card_of(b"", family="stylegan", config=TINY))
    assert isinstance(network, Generator)
    encoder = build(card_of(b"", family="stylegan", config={"part": "encoder", "resolution": 16, "latent": 8}))
    assert isinstance(encoder, Encoder) and encoder.n_styles == network.n_styles
