"""What the tests of trainers share."""

import pytest
import torch

from studio.models import dcgan
from studio.train import began, gan, kgan, loop, stylegan
from tests.train.small import Trunk, settings, write_packs

ANIMALS = ("lion", "spider")


@pytest.fixture(scope="session")
def packs(tmp_path_factory):
    """A data folder with two packs of faces, lions and spiders."""
    folder = tmp_path_factory.mktemp("packs")
    write_packs(folder, ANIMALS)
    return folder


@pytest.fixture
def precise(monkeypatch):
    """Single precision whatever the processor can do."""
    monkeypatch.setattr(loop.Trainer, "precision", staticmethod(lambda cuda: "32-true"))


@pytest.fixture
def small(packs, precise, monkeypatch, tmp_path):
    """Recipes of a few channels, pictures and samples; makes the settings of a run by its name."""
    flagship = stylegan.StyleGANTrainer, stylegan.StyleGANEncoderTrainer
    for trainer in (gan.DCGANTrainer, *flagship, began.BEGANTrainer, kgan.KGANTrainer):
        monkeypatch.setattr(trainer, "images_per_step", 4)
    for kind, width in ((dcgan.Generator, (2, False, 0)), (dcgan.Discriminator, (2, 64, True))):
        monkeypatch.setattr(kind.__init__, "__defaults__", width)
    monkeypatch.setitem(stylegan.CONFIGS, 64, {"resolution": 64, "latent": 104, "base": 64, "most": 16})
    monkeypatch.setitem(began.WIDTHS, 16, 3)
    monkeypatch.setattr(began, "ALONE", 0)
    monkeypatch.setattr(began, "TOLD", 256)
    for module in (gan, kgan):
        monkeypatch.setattr(module, "imagenet_trunk", lambda data: Trunk().eval())
    monkeypatch.setattr(stylegan, "imagenet_trunk", lambda data: Trunk((2, 128, 256, 512)).eval())
    monkeypatch.setattr(gan, "MEASURED", 100)
    monkeypatch.setattr(gan, "RENORMED", 64)
    monkeypatch.setattr(kgan, "PROBED", 128)
    monkeypatch.setattr(kgan, "SIZE", 48)
    torch.manual_seed(0)
    return lambda name, seed=0: settings(packs, tmp_path / "runs" / name, seed)
