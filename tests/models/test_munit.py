"""MUNIT's networks: what goes in and comes out, and that style, keep and pooling indices have a say."""

import pytest
import torch

from studio.core.registry import Card, build
from studio.models.munit import STYLE, Decoder, Encoder, _pool, _unpool

SMALL = {"width": 4, "blocks": 1}


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def image(count=2, side=32):
    return torch.rand(count, 3, side, side) * 2 - 1


@pytest.mark.parametrize("side", [32, 128])
@pytest.mark.parametrize("pooling", [False, True])
def test_a_picture_becomes_content_and_style_and_those_a_picture(side, pooling):
    found = Encoder(**SMALL, pooling_indices=pooling)(image(side=side))
    assert found["content"].shape == (2, 8, side // 4, side // 4)
    assert found["style"].shape == (2, STYLE)
    assert ("indices" in found) == pooling
    made = Decoder(**SMALL, properties=3, pooling_indices=pooling)(**found, keep=torch.ones(2, 3))
    assert made.shape == (2, 3, side, side) and made.abs().max() <= 1


def test_style_and_what_shall_be_kept_change_the_drawing():
    decoder, content = Decoder(**SMALL), torch.randn(1, 8, 8, 8)
    style, keep = torch.randn(1, STYLE), torch.ones(1, 3)
    made = decoder(content, style, keep)
    assert not torch.allclose(made, decoder(content, torch.randn(1, STYLE), keep), atol=1e-4)
    assert not torch.allclose(made, decoder(content, style, torch.tensor([[1.0, 1.0, 0.0]])), atol=1e-5)


def test_a_style_knows_the_colours_of_the_whole_picture():
    encoder, grey = Encoder(**SMALL), torch.zeros(1, 3, 32, 32)
    assert not torch.allclose(encoder(grey)["style"], encoder(grey + 0.5)["style"], atol=1e-4)


def test_what_was_pooled_goes_back_to_its_place():
    x = torch.randn(2, 5, 6, 6)
    value, place = _pool(x)
    back = _unpool(value, place)
    assert torch.equal(value, torch.nn.functional.max_pool2d(x, 2))
    assert torch.equal(back[back != 0], x[back != 0]) and (back != 0).sum() == value.numel()


def test_pooling_indices_steer_the_drawing():
    encoder, decoder = Encoder(**SMALL, pooling_indices=True), Decoder(**SMALL, pooling_indices=True)
    found, keep = encoder(image()), torch.ones(2, 3)
    assert set(found["indices"].unique().tolist()) == {0.0, 1.0, 2.0, 3.0}
    assert not torch.allclose(decoder(**found, keep=keep), decoder(**found | {"indices": 3 - found["indices"]}, keep=keep))


def test_pictures_are_answered_for_alone():
    """An answer does not depend on who else is in the batch."""
    encoder, decoder, batch = Encoder(**SMALL), Decoder(**SMALL), image(3)
    found, alone = encoder(batch), encoder(batch[:1])
    assert torch.allclose(found["content"][:1], alone["content"], atol=1e-5)
    made = decoder(**found, keep=torch.ones(3, 3))
    assert torch.allclose(made[:1], decoder(**alone, keep=torch.ones(1, 3)), atol=1e-5)


@pytest.mark.parametrize(("part", "kind", "own"), [("encoder", Encoder, {}), ("decoder", Decoder, {"properties": 2})])
def test_a_card_names_a_part_a_pair_and_an_end(part, kind, own):
    config = {"part": part, "pair": "makeup", "end": "bare"} | SMALL | own
    assert isinstance(build(Card("x", "munit", "t", 128, "x.safetensors", "0", 0, "x", config=config)), kind)
