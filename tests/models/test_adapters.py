"""An adapted layer with an amount is the layer whose weights stand that far between two networks."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from studio.models.adapters import AdaptedLayer, adapter_state, initialise

AMOUNTS = torch.tensor([[0.0], [0.3], [1.0]])


def adapted(layer, rank=2):
    """With a difference drawn at random, which at the start is nothing."""
    torch.manual_seed(0)
    with_rank = AdaptedLayer(layer, rank)
    for parameter in with_rank.parameters():
        nn.init.normal_(parameter, std=0.5)
    return with_rank.requires_grad_(False)


def between(layer, difference, amount, x, apply):
    """``apply`` with weights and biases that were mixed by hand."""
    return apply(x, layer.layer.weight + amount * difference, layer.layer.bias + amount * layer.up.bias)


def assert_mixes(layer, difference, x, apply):
    made = layer(x, AMOUNTS)
    for row, amount in enumerate(AMOUNTS.flatten()):
        assert torch.allclose(made[row : row + 1], between(layer, difference, amount, x[row : row + 1], apply), atol=1e-5)


def test_a_linear_layer_is_mixed_exactly():
    layer = adapted(nn.Linear(5, 4))
    assert_mixes(layer, layer.up.weight @ layer.down.weight, torch.randn(3, 5), F.linear)


@pytest.mark.parametrize("stride", [1, 2])
def test_a_convolution_is_mixed_exactly(stride):
    layer = adapted(nn.Conv2d(5, 4, 3, stride, 1))
    difference = torch.einsum("orhw,ri->oihw", layer.up.weight, layer.down.weight[:, :, 0, 0])
    assert_mixes(layer, difference, torch.randn(3, 5, 7, 7), lambda x, w, b: F.conv2d(x, w, b, stride, 1))


@pytest.mark.parametrize(("stride", "padding"), [(1, 0), (2, 1)])
def test_a_transposed_convolution_is_mixed_exactly(stride, padding):
    layer = adapted(nn.ConvTranspose2d(5, 4, 4, stride, padding))
    difference = torch.einsum("rohw,ri->iohw", layer.up.weight, layer.down.weight[:, :, 0, 0])
    assert_mixes(layer, difference, torch.randn(3, 5, 3, 3), lambda x, w, b: F.conv_transpose2d(x, w, b, stride, padding))


def test_the_difference_starts_at_nothing_and_an_amount_alone_makes_none():
    x = torch.randn(3, 5)
    fresh, plain = AdaptedLayer(nn.Linear(5, 4), 2), AdaptedLayer(nn.Linear(5, 4))
    assert torch.equal(fresh(x, AMOUNTS), fresh.layer(x))
    assert torch.equal(plain(x, AMOUNTS), plain.layer(x))
    drawn = adapted(nn.Linear(5, 4))
    assert torch.equal(drawn(x), drawn.layer(x)) and not torch.equal(drawn(x, AMOUNTS)[1:], drawn.layer(x)[1:])


def test_a_network_falls_into_its_base_and_its_difference():
    with_rank, base = nn.ModuleList([AdaptedLayer(nn.Linear(5, 4), 2)]), nn.ModuleList([AdaptedLayer(nn.Linear(5, 4))])
    difference = adapter_state(with_rank.state_dict())
    assert difference.keys() == {"0.down.weight", "0.up.weight", "0.up.bias"}
    assert base.state_dict().keys() | difference.keys() == with_rank.state_dict().keys()


def test_initialised_weights_have_the_papers_deviation_and_differences_stay_at_nothing():
    torch.manual_seed(0)
    network = nn.ModuleList([AdaptedLayer(nn.Conv2d(40, 40, 3), 8), nn.BatchNorm2d(2000)])
    initialise(network)
    layer, norm = network
    assert layer.layer.weight.std().item() == pytest.approx(0.02, rel=0.05) and layer.layer.bias.abs().max() == 0
    assert layer.up.weight.abs().max() == 0 and layer.down.weight.abs().max() > 0
    assert norm.weight.mean().item() == pytest.approx(1, abs=0.01) and norm.weight.std().item() == pytest.approx(0.02, rel=0.1)
