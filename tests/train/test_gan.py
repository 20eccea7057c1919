"""Losses in closed form; each step moves what it should; what is exported is what was trained."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from studio.metrics.kid import kid
from studio.train.data import HEAD, MODEL_PARTS, VALIDATION_PARTS, part, read_pack
from studio.train.gan import DCGANTrainer, logistic, pooled, read_faces
from studio.train.loop import unwrap
from tests.train.small import Trunk, assert_resumes, card_in, changed, shipped, snapshot, store_of


def test_the_logistic_loss_is_the_cross_entropy_of_real_and_made():
    fine, coarse = torch.tensor([[0.5, -2.0], [3.0, 0.0]]), torch.tensor([1.0])
    real = lambda x: -np.log(1 / (1 + np.exp(-x)))  # noqa: E731
    expected = (real(fine.numpy()).mean() + real(1.0)) / 2
    assert logistic([fine, coarse], 1).item() == pytest.approx(expected, abs=1e-6)
    assert logistic([coarse], -1).item() == pytest.approx(-math.log(1 - 1 / (1 + math.exp(-1))), abs=1e-6)


def test_faces_come_from_both_packs_only_where_these_are_sharp_enough(packs):
    images, rows = read_faces(16, packs, MODEL_PARTS)
    assert images.shape == (len(rows), 3, 16, 16) and {r["file_name"].split("/")[0] for r in rows} == {"faces128", "faces64"}
    assert all(part(r["file_name"]) in MODEL_PARTS for r in rows)
    assert torch.equal(
        images[:1], read_pack("faces128", 16, packs, lambda row: row["file_name"] == rows[0]["file_name"], HEAD).images
    )
    assert {r["file_name"].split("/")[0] for r in read_faces(128, packs, VALIDATION_PARTS)[1]} == {"faces128"}


def test_features_are_the_means_of_the_last_map():
    trunk, images = Trunk(), torch.rand(3, 3, 96, 96)
    assert np.allclose(pooled(trunk, images), trunk(images)[-1].numpy().mean((2, 3)), atol=1e-5)


def test_a_step_of_dcgan_moves_both_players_and_nothing_else(small):
    trainer = DCGANTrainer(small("dcgan-64"))
    before = {name: snapshot(trainer, name) for name in trainer.networks}
    losses = trainer.step()
    assert losses.keys() == {"gan", "critic"} and all(torch.isfinite(loss) for loss in losses.values())
    for name, network in trainer.networks.items():
        assert changed(before[name], trainer, name) >= {key for key, _ in unwrap(network).named_parameters()}
    assert trainer.sampler.draw(0, 2).shape == (2, 3, 64, 64)


def test_the_players_of_dcgan_pull_against_each_other(small):
    """The generator's step alone makes its pictures more real to the critic, the critic's own makes them less so."""
    trainer = DCGANTrainer(small("dcgan-64"))
    trainer.policy = ""
    answer = lambda: trainer.networks["critic"](trainer.make(latents))[0].mean().item()  # noqa: E731
    latents = trainer.latents(4)
    trainer.latents = lambda count: latents
    for kept, sign in (("critic", 1), ("generator", -1)):
        before = answer()
        optimiser = trainer.optimisers[kept]
        trainer.optimisers[kept] = SimpleNamespace(step=lambda: None, zero_grad=optimiser.zero_grad)
        for _ in range(3):
            trainer.step()
        trainer.optimisers[kept] = optimiser
        assert sign * (answer() - before) > 0, kept


def test_dcgan_goes_on_where_it_stopped(small):
    trainer = DCGANTrainer(small("dcgan-64"))
    for _ in range(2):
        trainer.step()
        trainer.average()
    assert_resumes(trainer, DCGANTrainer(small("dcgan-64", seed=1)))


def test_dcgan_is_shipped_as_its_average_makes_pictures(small, tmp_path):
    trainer = DCGANTrainer(small("dcgan-64"))
    trainer.step()
    trainer.average()
    measures = trainer.evaluate()
    trainer.export(measures)
    export = trainer.settings.out / "export"
    card = card_in(export, "dcgan-64")
    assert (card.task, card.domains, card.frame, card.resolution) == ("sample", ("face",), "head", 64)
    assert card.measures == measures and card.training["pictures"] == len(read_faces(64, trainer.settings.data, MODEL_PARTS)[0])
    latent = torch.rand(2, 100) * 2 - 1
    made = shipped(store_of(tmp_path / "pretrained", export), "dcgan-64")(latent)
    assert torch.allclose(made, trainer.ema["generator"](latent), atol=2e-3) and made.std() > 0.01


def test_the_norms_are_taken_anew_for_the_average(small):
    """In evaluation the average answers as it does to a batch of samples, whatever the network's own statistics are."""
    trainer = DCGANTrainer(small("dcgan-64"))
    average = trainer.ema["generator"]
    with torch.no_grad():
        for parameter in average.parameters():
            parameter.mul_(5)
    stale = average.norms[1].running_var.clone()
    trainer.evaluate()
    latents = trainer.latents(256)
    with torch.no_grad():
        maps = average.layers[0](latents.view(-1, 100, 1, 1))
        maps = average.layers[1](torch.relu(average.norms[0](maps)))
    measured = maps.var((0, 2, 3))
    assert torch.allclose(average.norms[1].running_var, measured, rtol=0.25)
    assert not torch.allclose(stale, measured, rtol=0.5) and not average.training


def test_measures_compare_with_held_out_faces(small):
    trainer = DCGANTrainer(small("dcgan-64"))
    trainer.show = lambda latents: trainer.held_out[torch.arange(len(latents)) % len(trainer.held_out)]
    measures = trainer.evaluate()
    trunk = Trunk()
    wanted = pooled(trunk, trainer.held_out)
    expected = 1000 * kid(pooled(trunk, trainer.show(torch.zeros(100, 1))), wanted)[0]
    assert measures["kid_imagenet"] == pytest.approx(expected, abs=0.01)
    assert measures["kid_imagenet_floor"] != measures["kid_imagenet"]
