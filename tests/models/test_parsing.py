"""The parsing network."""

import torch

from studio.core.registry import Card, build
from studio.models.parsing import ParsingNet


def test_every_pixel_gets_an_answer():
    assert ParsingNet(5, 4).eval()(torch.rand(2, 3, 32, 32))["logits"].shape == (2, 5, 32, 32)


def test_a_pixel_decides_its_own_place_not_its_neighbours():
    """Four pixels lie in one place of the network: they have to come out where they went in."""
    net = ParsingNet(1, 12).eval()
    with torch.no_grad():
        for weights in net.parameters():
            weights.zero_()
        net.stem[0].weight[torch.arange(12), torch.arange(12), 1, 1] = 1.0  # the stem repeats the four pixels
        net.stem[1].weight.fill_(1.0)
        net.ups[0][0].weight[torch.arange(12), 24 + torch.arange(12), 1, 1] = 1.0  # the last step takes them from the skip
        net.ups[0][1].weight.fill_(1.0)
        net.head.weight[torch.arange(4), torch.arange(4)] = 1.0  # the first of three colours
        image = torch.zeros(1, 3, 16, 16)
        image[0, 0, 5, 8] = 1.0
        logits = net(image)["logits"][0, 0]
    assert logits[5, 8] > 0.9 and logits.sum() == logits[5, 8]


def test_it_is_built_from_its_card():
    card = Card("parsing-32", "parsing", "segment", 32, "p.safetensors", "", 0, "x", config={"classes": 14, "width": 24})
    network = build(card)
    assert sum(weights.numel() for weights in network.parameters()) < 400_000
