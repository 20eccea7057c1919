"""SDIT's networks: what label, latent and attention have a say in, and what each switch takes away."""

import pytest
import torch

from studio.core.registry import Card, build
from studio.models.sdit import RANGE, Generator, Norm

SMALL = {"width": 4, "n_blocks": 1, "hidden": 8}


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


@pytest.fixture
def given():
    """Two pictures, two labels, two latents."""
    return torch.rand(2, 3, 16, 16) * 2 - 1, torch.eye(5)[:2], torch.randn(2, 8)


def made(generator, *given):
    return generator.eval()(*given)["image"]


@pytest.mark.parametrize("resolution", [16, 64])
@pytest.mark.parametrize("n_downs", [1, 2])
def test_a_picture_becomes_a_picture_and_a_map(resolution, n_downs):
    image = torch.rand(2, 3, resolution, resolution) * 2 - 1
    answer = Generator(5, n_downs=n_downs, **SMALL)(image, torch.eye(5)[:2], torch.randn(2, 8))
    assert answer["image"].shape == image.shape and answer["image"].abs().max() <= 1
    assert answer["attention"].shape == (2, 1, resolution, resolution)
    assert 0 <= answer["attention"].min() < answer["attention"].max() <= 1


def test_a_new_network_changes_a_photo(given):
    image, label, latent = given
    change = made(Generator(5, **SMALL), image, label, latent).atanh() - (RANGE * image).atanh()
    assert 1e-3 < change.abs().mean() < 1


def test_no_lattice_can_be_drawn(given):
    """Four pixels of a place that differ are mixed: what is left is what they have in common."""
    image, label, latent = given
    generator = Generator(5, **SMALL, attention=False).requires_grad_(False)
    generator.to_rgb.weight.zero_()
    generator.to_rgb.bias.copy_(torch.tensor([0.3, -0.1, -0.1, 0.3] * 3))
    change = made(generator, image, label, latent).atanh() - (RANGE * image).atanh()
    assert torch.allclose(change[:, :, 1:-1, 1:-1], torch.full((2, 3, 14, 14), 0.1), atol=1e-3)


def test_black_and_white_can_change(given):
    _, label, latent = given
    generator = Generator(5, **SMALL).requires_grad_(False)
    for value in (-1.0, 1.0):
        image = torch.full((2, 3, 16, 16), value)
        generator.to_rgb.bias.fill_(-20 * value)
        drawn = made(generator, image, label, latent)
        assert (drawn * value).max() < 0


def test_a_full_colour_still_learns(given):
    """Only in training: elsewhere nothing is added to the tanh."""
    generator = Generator(5, **SMALL, attention=False)
    generator.to_rgb.bias.data.fill_(30.0)
    drawn = generator(*given)["image"]
    assert torch.equal(drawn.detach(), made(generator, *given)) and drawn.detach().min() > 0.999
    drawn.mean().backward()
    assert generator.to_rgb.bias.grad.sum() > 0.09


def test_label_and_latent_have_a_say(given):
    image, label, latent = given
    generator = Generator(5, **SMALL)
    drawn = made(generator, image, label, latent)
    assert not torch.allclose(drawn, made(generator, image, label.flip(0), latent), atol=1e-3)
    assert not torch.allclose(drawn, made(generator, image, label, latent.flip(0)), atol=1e-3)


def test_the_label_is_not_forgotten_by_the_first_norm(given):
    """Maps that a label adds to its pictures alike would be gone behind an instance norm."""
    generator, (image, label, _) = Generator(5, **SMALL).eval(), given
    first, other = (generator.down_norms[0](generator.downs[0](torch.rand(2, 12, 8, 8)), each) for each in (label, label.flip(0)))
    assert first.shape == other.shape
    assert not torch.allclose(generator._encode(image, label), generator._encode(image, label.flip(0)), atol=1e-3)


@pytest.mark.parametrize(("scale", "shift"), [(True, False), (False, True), (True, True)])
def test_either_part_of_the_norm_takes_the_latent(given, scale, shift):
    image, label, latent = given
    generator = Generator(5, **SMALL, scale=scale, shift=shift, attention=False)
    norm = generator.change[0].first_norm
    assert (norm.to_scale is not None, norm.to_shift is not None) == (scale, shift)
    assert not torch.equal(made(generator, image, label, latent), made(generator, image, label, latent.flip(0)))


def test_without_both_one_photo_has_one_answer(given):
    image, label, latent = given
    generator = Generator(5, **SMALL, scale=False, shift=False)
    assert torch.equal(made(generator, image, label, latent), made(generator, image, label, latent.flip(0)))


def test_without_attention_there_is_no_map_and_all_changes(given):
    generator = Generator(5, **SMALL, attention=False).eval()
    assert set(generator(*given)) == {"image"}
    assert not any(name.startswith("att") for name in generator.state_dict())


def test_the_latent_has_no_say_where_nothing_is_attended(given, monkeypatch):
    """Eq. 6.9 with a = 0 leaves what the encoder found, with a = 1 what the blocks made of it."""
    image, label, latent = given
    generator = Generator(5, **SMALL).eval()
    for share in (0.0, 1.0):
        monkeypatch.setattr(generator, "_attend", lambda found, share=share: torch.full((len(found), 1, 4, 4), share))
        same = torch.equal(made(generator, image, label, latent), made(generator, image, label, latent.flip(0)))
        assert same == (share == 0)


def test_a_norm_without_condition_is_that_of_instances_or_of_all():
    x = torch.randn(2, 3, 8, 8) * 3 + torch.arange(3.0).view(1, 3, 1, 1)
    nothing = torch.zeros(2, 0)
    assert torch.allclose(Norm(3)(x, nothing).mean((2, 3)), torch.zeros(2, 3), atol=1e-5)
    whole = Norm(3, whole=True)(x, nothing)
    assert torch.allclose(whole.mean((1, 2, 3)), torch.zeros(2), atol=1e-5) and whole.mean((2, 3)).abs().max() > 0.1


def test_a_picture_is_answered_for_alone(given):
    image, label, latent = given
    generator = Generator(5, **SMALL)
    alone = made(generator, image[:1], label[:1], latent[:1])
    assert torch.allclose(made(generator, image, label, latent)[:1], alone, atol=1e-5)


def test_a_card_says_what_is_built():
    card = Card("x", "sdit", "translate", 16, "x.safetensors", "0", 0, "x", config={"labels": 5, "attention": False} | SMALL)
    assert build(card).attention is None
