"""Algorithm 1 of X-GAN: who learns from what, where codes for the GAN come from, and what is shipped."""

import numpy as np
import pytest
import torch
from torch import nn

from studio.latent.convex import read_bank
from studio.train import xgan
from studio.train.data import MODEL_PARTS, part, to_unit
from studio.train.loop import run, unwrap
from studio.train.xgan import VARIANTS, XGANTrainer, fixed, read_domain, renewed
from tests.train.small import Trunk, assert_resumes, card_in, changed, go, settings, shipped, snapshot, store_of, write_pack

NAMES = ("rose", "tulip")
LEARNERS = {"encoder", "generator", "critic", "embedded"}


@pytest.fixture(scope="module")
def flowers(tmp_path_factory):
    """A pack of 60 roses and 40 tulips."""
    folder = tmp_path_factory.mktemp("flowers")
    rows = [{"class": NAMES[i % 5 > 2], "frontal": "", "file_name": f"{i}.png"} for i in range(100)]
    write_pack(folder, "flowers128", rows)
    return folder


@pytest.fixture
def make(flowers, precise, monkeypatch, tmp_path):
    """Makes a trainer of 16 px pictures, four a step, whose C_img learns from eight, then E and G from four alone."""
    torch.manual_seed(0)
    for name, value in {"LATENT": 6, "CLASSIFIED": 8, "MEASURED": 40, "BATCH": 20, "REFRESH": 2}.items():
        monkeypatch.setattr(xgan, name, value)
    for name, value in {"images_per_step": 4, "warm_up": 4}.items():
        monkeypatch.setattr(XGANTrainer, name, value)
    monkeypatch.setattr(xgan, "imagenet_trunk", lambda data: Trunk().eval())
    return lambda name="X-GAN", seed=0: XGANTrainer(
        settings(flowers, tmp_path / "runs" / "xgan-flowers-16", seed), "flowers", 16, VARIANTS[name], width=2
    )


@pytest.fixture
def trainer(make):
    """One at the beginning of Algorithm 1."""
    trainer = make()
    go(trainer, 3)
    return trainer


def test_classes_are_those_of_the_whole_pack(flowers):
    domain = read_domain("flowers", 16, flowers, MODEL_PARTS)
    assert domain.names == NAMES
    kept = [i for i in range(100) if part(f"{i}.png") in MODEL_PARTS]
    assert domain.labels.tolist() == [int(i % 5 > 2) for i in kept] and len(domain.images) == len(kept)


def test_c_img_learns_first_and_alone_and_then_no_more(make):
    trainer = make()
    before = {name: snapshot(trainer, name) for name in (*LEARNERS, "classifier")}
    assert go(trainer, 2).keys() == {"classifier"}
    assert changed(before["classifier"], trainer, "classifier") and not any(changed(before[n], trainer, n) for n in LEARNERS)
    before = {name: snapshot(trainer, name) for name in before}
    assert go(trainer, 1).keys() == {"E_clf", "EG_ae"}
    assert {name for name in before if changed(before[name], trainer, name)} == LEARNERS - {"critic"}
    losses = go(trainer, 1)
    assert losses.keys() == {"E_clf", "EG_ae", "G_gan", "G_emb", "G_clf", "D_gan"}
    assert {name for name in before if changed(before[name], trainer, name)} == LEARNERS


@pytest.mark.parametrize(
    ("name", "terms"),
    [
        ("unsupervised", {"EG_ae", "G_gan", "G_emb", "D_gan"}),
        ("KL-loss", {"kl", "E_clf", "EG_ae", "G_gan", "G_emb", "D_gan"}),
        ("KDE-sampling", {"E_clf", "EG_ae", "G_gan", "G_emb", "G_clf", "D_gan"}),
        ("concat. label", {"EG_ae", "G_gan", "G_emb", "G_clf", "D_gan"}),
        ("cVAE-GAN", {"kl", "EG_ae", "G_gan", "G_emb", "G_clf", "D_gan"}),
    ],
)
def test_a_variant_has_the_losses_it_is_left_with(make, name, terms):
    trainer = make(name)
    assert go(trainer, 4).keys() == terms
    trainer.settle()
    assert trainer.samples(5).shape == (5, 3, 16, 16)


def test_of_made_pictures_the_encoder_learns_nothing(trainer):
    encoder = trainer.networks["encoder"]
    encoder.zero_grad()
    statistics = encoder.code_norm.running_mean.clone()
    image = torch.rand(4, 3, 16, 16, requires_grad=True)
    with fixed(encoder, learns=False):
        trainer.encode(image).square().sum().backward()
    assert image.grad.abs().sum() > 0 and all(p.grad is None for p in encoder.parameters())
    assert encoder.training and all(p.requires_grad for p in encoder.parameters())
    assert torch.equal(encoder.code_norm.running_mean, statistics)


def test_a_new_code_combines_neighbours_of_one_class(trainer):
    trainer.remember()
    chosen = torch.arange(len(trainer.data.images))
    index, weights = trainer._neighbourhoods(chosen)
    assert torch.allclose(weights.sum(1), torch.ones(len(chosen)))
    assert torch.equal(trainer.data.labels[index], trainer.data.labels[:, None].expand(-1, xgan.K))
    distances = torch.cdist(trainer.memory.codes, trainer.memory.codes)
    for row, group in enumerate(trainer.data.labels.tolist()):
        same = distances[row][trainer.data.labels == group].sort().values
        assert distances[row][index[row]].max() <= same[trainer.memory.m[group] - 1] + 1e-4


def test_without_labels_everybody_may_be_a_neighbour(make):
    trainer = make("unsupervised")
    trainer.remember()
    index, _ = trainer._neighbourhoods(torch.arange(len(trainer.data.images)))
    assert not torch.equal(trainer.data.labels[index], trainer.data.labels[:, None].expand(-1, xgan.K))


def test_kde_draws_round_a_code_as_wide_as_scotts_rule(make):
    trainer = make("KDE-sampling")
    trainer.memory.codes.normal_(3, 2)
    latents = trainer.sample(torch.zeros(4000, dtype=torch.int64))
    width = trainer.memory.codes.std(0) * len(trainer.memory.codes) ** -0.1
    assert torch.allclose(latents.std(0), width, rtol=0.1)
    assert torch.allclose(latents.mean(0), trainer.memory.codes[0], atol=0.2)


def test_with_a_prior_codes_are_drawn_from_it(make):
    latents = make("KL-loss").sample(torch.zeros(4000, dtype=torch.int64))
    assert latents.mean(0).abs().max() < 0.1 and (latents.std(0) - 1).abs().max() < 0.1


def test_it_looks_again_where_codes_are_after_some_steps(trainer):
    go(trainer, 1)
    first = trainer.memory.codes.clone()
    go(trainer, 1)
    assert torch.equal(trainer.memory.codes, first) and first.std() > 0
    go(trainer, 1)
    assert not torch.equal(trainer.memory.codes, first)


def test_norms_take_the_plain_mean_of_all_they_see():
    norm = nn.BatchNorm1d(2)
    batches = torch.randn(5, 8, 2) + 4
    with renewed(norm):
        for batch in batches:
            norm(batch)
    assert torch.allclose(norm.running_mean, batches.mean((0, 1)), atol=1e-5) and norm.momentum == 0.1 and not norm.training


def test_a_run_goes_on_where_it_stopped(make, trainer):
    go(trainer, 2)
    again = make(seed=5)
    assert_resumes(trainer, again)
    torch.manual_seed(3)
    first = go(trainer, 2)
    torch.manual_seed(3)
    second = go(again, 2)
    assert all(torch.allclose(first[name], second[name], rtol=0.05, atol=1e-3) for name in first)


def test_what_is_shipped_is_what_was_measured(make, tmp_path):
    trainer = make()
    go(trainer, 6)
    measures = run(trainer)
    assert set(measures) == {"kid_imagenet", "kid_imagenet_floor", "psnr", "dimension", "class_accuracy"}
    assert 0 <= measures["class_accuracy"] <= 1 and measures["dimension"] > 0
    store = store_of(tmp_path / "pretrained", trainer.settings.out / "export")
    generator, encoder = shipped(store, "xgan-flowers-16"), shipped(store, "xgan-encoder-flowers-16")
    images = to_unit(trainer.data.images)
    bank = read_bank(store, store.registry.card("xgan-codes-flowers-16"))
    assert bank.names == NAMES and np.array_equal(bank.labels, trainer.data.labels.numpy()) and 5 <= bank.m <= len(images)
    assert np.allclose(bank.codes, encoder(images).numpy(), atol=0.02)
    centred = bank.codes - bank.codes.mean(0)
    assert bank.places.var(0).sum() == pytest.approx((np.linalg.svd(centred)[1][:2] ** 2).sum() / len(images), rel=0.02)
    codes = torch.as_tensor(bank.codes[:4])
    assert torch.allclose(generator(codes), trainer.ema["generator"](codes), atol=0.02)
    card = store.registry.card("xgan-flowers-16")
    assert (card.task, card.domains, card.frame) == ("combine", ("flower",), "") and card.measures == measures


@pytest.mark.parametrize(("kid", "study"), [(399, None), (401, "as a set its pictures are far from photographs")])
def test_a_network_whose_pictures_are_far_off_is_a_study(trainer, kid, study):
    trainer.settle()
    trainer.export({"kid_imagenet": kid})
    export = trainer.settings.out / "export"
    names = "xgan-flowers-16", "xgan-encoder-flowers-16", "xgan-codes-flowers-16"
    assert [card_in(export, name).study for name in names] == [study, study, None]


def test_the_grid_shows_new_pictures_above_photos_given_back(make, trainer):
    few = min(12, len(trainer.held_out.images))
    assert make(seed=1).grid().size == (few * 18, 18)  # while C_img learns there is nothing else to see
    rows = 5 + 2 * -(-min(24, len(trainer.held_out.images)) // 12)
    assert trainer.grid().size == (12 * 18, rows * 18)
    assert trainer.memory.age == xgan.REFRESH and not unwrap(trainer.ema["encoder"]).training
