"""DCGAN: shapes, the norms that go into the convolutions, and the way from the GAN to its K-GAN."""

import pytest
import torch

from studio.core.registry import build
from studio.models.dcgan import Discriminator, Generator, fold_batch_norm
from tests.tiny import card_of


def lived(network):
    """The network in evaluation, with parameters and statistics that are no longer those of a new one."""
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        for name, buffer in network.named_buffers():
            if name.endswith("running_mean"):
                buffer.normal_()
            elif name.endswith("running_var"):
                buffer.uniform_(0.5, 2)
    return network.eval().requires_grad_(False)


def test_pictures_are_64_px_within_the_units():
    latent = torch.rand(2, 100) * 2 - 1
    picture = lived(Generator(width=4))(latent)
    assert picture.shape == (2, 3, 64, 64) and picture.abs().max() <= 1
    assert not torch.equal(picture[0], picture[1])


def test_a_folded_generator_is_the_one_with_batch_norm():
    trained, folded = lived(Generator(width=2, batch_norm=True)), Generator(width=2).eval()
    folded.load_state_dict(fold_batch_norm(trained.state_dict()))
    latent = torch.rand(3, 100) * 2 - 1
    assert torch.allclose(folded(latent), trained(latent), atol=1e-5)
    assert trained(latent).std() > 1e-2  # or all would agree


def test_a_k_gan_holds_its_gan_at_imagination_0_and_every_picture_has_its_own():
    base, kin = lived(Generator(width=2)), lived(Generator(width=2, rank=3))
    kin.load_state_dict(base.state_dict(), strict=False)
    latent = torch.rand(1, 100).expand(3, -1) * 2 - 1
    amounts = torch.tensor([[0.0], [0.5], [1.0]])
    made = kin(latent, amounts)
    assert torch.equal(kin(latent[:1], amounts[:1]), base(latent[:1]))
    assert (made[0] - made[1]).abs().max() > 1e-3 and (made[1] - made[2]).abs().max() > 1e-3
    assert all(torch.allclose(kin(latent[:1], a[None])[0], picture, atol=1e-6) for a, picture in zip(amounts, made, strict=True))


@pytest.mark.parametrize("resolution", [64, 128])
def test_the_critic_answers_once_a_picture(resolution):
    (answers,) = Discriminator(width=2, resolution=resolution)(torch.rand(3, 3, resolution, resolution))
    assert answers.shape == (3,)


def test_a_critic_without_batch_norm_sees_a_tint_that_all_pictures_have():
    torch.manual_seed(0)
    pictures = torch.rand(8, 3, 64, 64) - 0.5
    tint = torch.tensor([0.2, -0.2, 0.1])[:, None, None]
    seen = {}
    for batch_norm in (True, False):
        critic = Discriminator(width=8, batch_norm=batch_norm)
        plain, tinted = critic(pictures)[0].mean(), critic(pictures + tint)[0].mean()
        assert torch.equal(critic(pictures[:3])[0], critic(pictures)[0][:3]) != batch_norm  # whether others in a batch count
        seen[batch_norm] = (tinted - plain).abs().item()
    assert seen[False] > 3 * seen[True]


def test_the_critics_channels_double_at_each_halving_up_to_512():
    assert [layer.out_channels for layer in Discriminator(resolution=128).layers] == [64, 128, 256, 512, 512]


def test_the_family_builds_from_cards():
    network = build(card_of(b"", family="dcgan", config={"width": 2, "rank": 1}))
    assert isinstance(network, Generator) and network.layers[0].up is not None
