"""CVAE-GAN's networks: what goes in and comes out of each, and that the condition has a say where the paper puts it."""

import pytest
import torch

from studio.core.registry import Card, build
from studio.models.cvaegan import LOG_VARIANCES, OF_PEOPLE, Classifier, Encoder, Generator

SMALL = {"width": 2, "most": 4}


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


@pytest.mark.parametrize("resolution", [16, 64, 128])
def test_a_picture_becomes_a_posterior_and_a_latent_a_picture(resolution):
    image, condition = torch.rand(3, 3, resolution, resolution) * 2 - 1, torch.rand(3, 5)
    found = Encoder(6, 5, resolution=resolution, **SMALL)(image, condition)
    assert found["mean"].shape == found["log_variance"].shape == (3, 6)
    made = Generator(6, 5, resolution=resolution, **SMALL)(found["mean"], condition)
    assert made.shape == image.shape and made.abs().max() <= 1
    answer = Classifier(5, resolution=resolution, **SMALL)(image)
    assert answer["logits"].shape == (3, 5) and answer["feature"].shape == (3, answer["feature"].numel() // 3)


def test_the_condition_changes_the_drawing_and_the_posterior():
    image, latent = torch.rand(2, 3, 16, 16), torch.randn(2, 6)
    one, other = torch.eye(5)[[0, 0]], torch.eye(5)[[1, 1]]
    generator, encoder = Generator(6, 5, 2, 16).eval(), Encoder(6, 5, 2, 16).eval()
    assert not torch.allclose(generator(latent, one), generator(latent, other))
    assert not torch.allclose(encoder(image, one)["mean"], encoder(image, other)["mean"])


def test_a_variance_cannot_run_away():
    encoder = Encoder(6, 5, 2, 16)
    torch.nn.init.constant_(encoder.posterior.bias, 1e3)
    assert encoder(torch.rand(2, 3, 16, 16), torch.zeros(2, 5))["log_variance"].tolist() == [[LOG_VARIANCES[1]] * 6] * 2


def test_logits_are_the_last_layer_of_the_feature():
    classifier = Classifier(5, 2, 16).eval()
    image = torch.rand(2, 3, 16, 16)
    answer = classifier(image)
    assert torch.allclose(classifier.answer(answer["feature"]), answer["logits"])
    maps, again = classifier.look(image)
    assert torch.equal(again["logits"], answer["logits"]) and torch.equal(maps[-1].flatten(1), answer["feature"])


def test_pictures_are_answered_for_alone():
    """An answer of a trained network does not depend on who else is in the batch."""
    image, latent, condition = torch.rand(4, 3, 16, 16), torch.randn(4, 6), torch.rand(4, 5)
    encoder, generator, classifier = Encoder(6, 5, 2, 16).eval(), Generator(6, 5, 2, 16).eval(), Classifier(5, 2, 16).eval()
    assert torch.allclose(encoder(image, condition)["mean"][:1], encoder(image[:1], condition[:1])["mean"], atol=1e-6)
    assert torch.allclose(generator(latent, condition)[:1], generator(latent[:1], condition[:1]), atol=1e-6)
    assert torch.allclose(classifier(image)["logits"][:1], classifier(image[:1])["logits"], atol=1e-6)


@pytest.mark.parametrize(
    ("part", "kind", "latent"), [("generator", Generator, True), ("encoder", Encoder, True), ("classifier", Classifier, False)]
)
def test_a_card_names_one_of_three_parts(part, kind, latent):
    config = {"part": part, "conditions": 5, "resolution": 16} | SMALL | ({"latent": 6} if latent else {})
    assert isinstance(build(Card("x", "cvaegan", "t", 16, "x.safetensors", "0", 0, "x", config=config)), kind)


@pytest.mark.parametrize(("part", "latent"), [("generator", True), ("encoder", True), ("classifier", False)])
def test_a_card_with_people_names_a_part_that_knows_them(part, latent):
    config = {"part": part, "people": 7, "conditions": 5, "resolution": 16} | SMALL | ({"latent": 6} if latent else {})
    assert isinstance(build(Card("x", "cvaegan", "t", 16, "x.safetensors", "0", 0, "x", config=config)), OF_PEOPLE[part])


def test_a_mix_of_people_is_between_them():
    generator = OF_PEOPLE["generator"](people=3, latent=6, conditions=5, width=2, resolution=16).eval()
    torch.nn.init.normal_(generator.places.codes)
    torch.nn.init.normal_(generator.places.attributes)
    half = torch.tensor([[0.5, 0.5, 0.0]])
    code, attributes = generator.places.codes[:2].mean(0, True), generator.places.attributes[:2].mean(0, True)
    expected = generator.draw(torch.cat([code, attributes], 1))
    assert torch.allclose(generator(torch.zeros(1, 6), half), expected, atol=1e-6)


def test_who_it_is_is_said_by_the_feature_of_c():
    classifier = OF_PEOPLE["classifier"](people=7, conditions=5, width=2, resolution=16).eval()
    answer = classifier(torch.rand(2, 3, 16, 16))
    assert answer["logits"].shape == (2, 7) and torch.allclose(classifier.person(answer["feature"]), answer["logits"])
