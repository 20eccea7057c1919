"""The CycleGAN generator and its patch critic."""

import torch
import torch.nn.functional as F

from studio.core.registry import Card, build
from studio.models.cyclegan import Discriminator, Generator, MixNorm


def test_any_size_that_the_halvings_divide_keeps_its_size():
    generator = Generator(ngf=4, n_downs=2, n_blocks=1)
    for size in (16, 32, 48):
        image = torch.rand(2, 3, size, size)
        out = generator(image, torch.ones(2, 1))
        assert out.shape == image.shape and out.abs().max() <= 1


def test_strength_mixes_the_affine_parameters_linearly():
    norm = MixNorm(3, 2)
    with torch.no_grad():
        norm.scale.copy_(torch.tensor([[1.0, 2, 3], [3, 2, 1]]))
        norm.shift.copy_(torch.tensor([[0.0, 0, 0], [1, 2, 3]]))
    x = torch.randn(1, 3, 5, 5)
    mixed = norm(x, torch.tensor([[0.25, 0.75]]))
    scale, shift = torch.tensor([2.5, 2.0, 1.5]), torch.tensor([0.75, 1.5, 2.25])
    assert torch.allclose(mixed, F.instance_norm(x, weight=scale, bias=shift), atol=1e-5)


def test_strength_zero_is_the_photo_and_the_way_there_is_continuous():
    generator = Generator(ngf=4, n_downs=1, n_blocks=1)
    image = torch.rand(1, 3, 16, 16)
    assert torch.equal(generator(image, torch.zeros(1, 1)), image)
    assert torch.allclose(generator(image, torch.full((1, 1), 1e-4)), image, atol=1e-3)
    assert torch.equal(generator(image, torch.full((1, 1), 1.3)), generator.translate(image, torch.full((1, 1), 1.3)))


def test_the_photos_end_ignores_the_animal():
    generator = Generator(ngf=4, n_downs=1, n_blocks=1)
    image = torch.rand(1, 3, 16, 16)
    before = generator.translate(image, torch.zeros(1, 1))
    with torch.no_grad():
        for module in generator.modules():
            if isinstance(module, MixNorm):
                module.scale[1] += 1.0
    assert torch.equal(generator.translate(image, torch.zeros(1, 1)), before)
    assert not torch.allclose(generator.translate(image, torch.ones(1, 1)), before)


def test_a_picture_does_not_depend_on_the_others_in_its_batch():
    generator = Generator(ngf=4, n_downs=1, n_blocks=1).eval()
    images = torch.rand(3, 3, 16, 16)
    together, alone = generator(images, torch.ones(3, 1)), generator(images[1:2], torch.ones(1, 1))
    assert torch.allclose(together[1:2], alone, atol=1e-5)


def test_critic_answers_per_domain_at_two_scales():
    patch, whole = Discriminator(ndf=4, domains=3)(torch.rand(2, 3, 64, 64))
    assert patch.shape == (2, 3, 8 * 8) and whole.shape == (2, 3, 4 * 4)


def test_a_card_builds_it():
    config = {"ngf": 4, "n_downs": 1, "n_blocks": 2}
    card = Card("cyclegan-x-16", "cyclegan", "translate", 16, "x.safetensors", "", 0, "", config=config)
    assert sum(p.numel() for p in build(card).parameters()) == sum(p.numel() for p in Generator(**config).parameters())
