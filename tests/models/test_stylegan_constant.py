"""The StyleGAN with a constant against StyleGAN2's equations, written out sample by sample."""

import pytest
import torch
import torch.nn.functional as F

from studio.core.registry import build
from studio.models.stylegan_constant import Encoder, EqualLinear, Generator, ModulatedConv
from tests.tiny import card_of

TINY = {"resolution": 16, "latent": 8, "base": 64, "most": 8, "mapping": 2}


def generator():
    torch.manual_seed(0)
    network = Generator(**TINY).requires_grad_(False)
    network.mean_style.normal_()
    return network


@pytest.mark.parametrize("kernel", [1, 3])
@pytest.mark.parametrize("demodulate", [True, False])
def test_modulation_is_that_of_weights_made_for_each_sample(kernel, demodulate):
    """Eq. 1 and 3 of Karras et al. 2020, as a convolution with one group a sample."""
    torch.manual_seed(0)
    conv = ModulatedConv(5, 4, width=6, kernel=kernel, demodulate=demodulate).requires_grad_(False)
    conv.bias.normal_()
    x, style = torch.randn(3, 5, 7, 7), torch.randn(3, 6)
    scales = style @ (conv.style.weight / 6**0.5).T + conv.style.bias
    weights = scales[:, None, :, None, None] * (conv.weight / (5 * kernel**2) ** 0.5)[None]
    if demodulate:
        weights = weights / (weights.square().sum((2, 3, 4), keepdim=True) + 1e-8).sqrt()
    expected = F.conv2d(x.reshape(1, 15, 7, 7), weights.reshape(12, 5, kernel, kernel), padding=kernel // 2, groups=3)
    expected = expected.view(3, 4, 7, 7) + conv.bias[:, None, None]
    assert torch.allclose(conv(x, style), expected, atol=1e-5)


def test_a_linear_layers_weights_start_at_unit_deviation_and_are_scaled_when_used():
    torch.manual_seed(0)
    layer = EqualLinear(400, 300, bias=1.0, rate=0.01)
    x = torch.randn(2, 400)
    assert layer.weight.std().item() == pytest.approx(100, rel=0.02)
    expected = x @ (layer.weight * 0.01 / 20).T + 1
    assert torch.allclose(layer(x), expected, atol=1e-4)


def test_a_picture_of_a_latent_is_that_of_its_style_repeated():
    network, latent = generator(), torch.randn(2, 8)
    made = network(latent, torch.ones(2, 1))
    assert made["image"].shape == (2, 3, 16, 16) and made["image"].abs().max() <= 1
    styles = made["style"][:, None].expand(-1, network.n_styles, -1)
    assert network.n_styles == 4 and torch.equal(network(styles=styles)["image"], made["image"])


def test_every_convolution_heeds_its_own_style():
    network = generator()
    styles = torch.randn(1, 4, 8)
    before = network.synthesise(styles)
    for index in range(4):
        changed = styles.clone()
        changed[:, index] += 1
        assert (network.synthesise(changed) - before).abs().max() > 1e-3, index


def test_the_latents_length_counts():
    network, latent = generator(), torch.randn(1, 8)
    assert not torch.allclose(network.map(2 * latent), network.map(latent), atol=1e-3)


def test_the_encoder_gives_the_style_of_its_posteriors_mean_to_every_convolution():
    encoder = Encoder(16, 8, 2, width=8).requires_grad_(False)
    image = torch.rand(2, 3, 16, 16)
    mean, log_variance = encoder.posterior(image)
    assert mean.shape == log_variance.shape == (2, 8)
    styles = encoder(image)
    assert styles.shape == (2, 4, 8)
    assert all(torch.equal(styles[:, index], encoder.mapping(mean)) for index in range(4))


def test_the_family_builds_both_parts():
    assert isinstance(build(card_of(b"", family="stylegan", config=TINY)), Generator)
    encoder = {"part": "encoder", "resolution": 16, "latent": 8, "mapping": 2}
    assert isinstance(build(card_of(b"", family="stylegan", config=encoder)), Encoder)
