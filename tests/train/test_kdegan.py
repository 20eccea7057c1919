"""KDE-GAN on digits: what is drawn, what its steps move, and where its prior comes from."""

import numpy as np
import pytest
import torch

from studio.latent.kde import KDE
from studio.train import kdegan
from studio.train.data import JUDGE_PARTS, MODEL_PARTS, VALIDATION_PARTS
from studio.train.kdegan import (
    BATCH,
    DIGIT_GANS,
    MOST,
    DigitsTrainer,
    KDEGANTrainer,
    StackedDigits,
    digit_judge,
    mode_probabilities,
    read_digits,
    told_apart,
)
from studio.train.loop import unwrap
from tests.train.small import assert_resumes, changed, settings, snapshot


@pytest.fixture
def small(monkeypatch, tmp_path):
    """Makes trainers of a few channels."""
    monkeypatch.setattr(DigitsTrainer, "width", 4)
    monkeypatch.setattr(kdegan, "SAMPLES", 50)
    return lambda kind: kind(settings(tmp_path, tmp_path / kind.name))


def test_no_digit_is_in_two_parts_of_the_split():
    sets = [read_digits(parts)[0].flatten(1) for parts in (MODEL_PARTS, JUDGE_PARTS, VALIDATION_PARTS)]
    assert sum(map(len, sets)) == 1797 and min(map(len, sets)) > 150
    assert all(images.min() == -1 and images.max() == 1 for images in sets)


def test_a_nine_is_twenty_times_as_likely_as_a_one_and_three_fill_a_picture():
    digits = StackedDigits(MODEL_PARTS, torch.Generator().manual_seed(0))
    drawn = digits.draw(0, 20_000)
    assert drawn.shape == (20_000, 3, 8, 8)
    known, labels = read_digits(MODEL_PARTS)
    names = {image.numpy().tobytes(): label for image, label in zip(known, labels, strict=True)}
    counts = np.bincount([names[image.numpy().tobytes()] for image in drawn.flatten(0, 1)], minlength=10)
    np.testing.assert_allclose(counts / counts.sum(), kdegan.WEIGHTS / kdegan.WEIGHTS.sum(), atol=0.01)
    assert kdegan.WEIGHTS[9] / kdegan.WEIGHTS[1] == 20


def test_restricted_it_draws_the_named_digits_alone():
    known, labels = read_digits(MODEL_PARTS)
    few = StackedDigits(MODEL_PARTS, torch.Generator().manual_seed(0), (6, 7)).images
    wanted = known[torch.from_numpy(np.isin(labels, (6, 7)))]
    assert torch.equal(few, wanted)


def test_the_judge_reads_new_digits_and_a_mode_is_three_of_them():
    images, labels = read_digits(VALIDATION_PARTS)
    assert digit_judge().score(images.flatten(1).numpy(), labels) > 0.93
    three = images[:30].view(10, 3, 8, 8)
    modes = mode_probabilities(three)
    assert modes.shape == (10, 1000)
    np.testing.assert_allclose(modes.sum(1), 1, atol=1e-6)
    expected = [100 * a + 10 * b + c for a, b, c in digit_judge().predict(images[:30].flatten(1).numpy()).reshape(10, 3)]
    assert modes.argmax(1).tolist() == expected


def test_both_begin_with_the_same_weights(small):
    gan, kde = (small(kind) for kind in DIGIT_GANS.values())
    for name in ("generator", "critic"):
        pairs = zip(snapshot(gan, name).values(), snapshot(kde, name).values(), strict=True)
        assert all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("kind", DIGIT_GANS.values())
def test_a_step_moves_both_players(small, kind):
    trainer = small(kind)
    before = {name: snapshot(trainer, name) for name in ("generator", "critic")}
    losses = trainer.step()
    assert all(torch.isfinite(loss) for loss in losses.values())
    for name, state in before.items():
        assert changed(state, trainer, name) >= {key for key, _ in unwrap(trainer.networks[name]).named_parameters()}


def test_the_estimate_moves_the_prior_alone_and_remembers_the_last_codes(small):
    trainer = small(KDEGANTrainer)
    networks = {name: snapshot(trainer, name) for name in ("generator", "critic")}
    before = trainer.networks["prior"].codes.clone()
    steps = trainer.estimate()
    assert 0 < steps <= MOST and trainer.networks["generator"].training
    assert not any(changed(state, trainer, name) for name, state in networks.items())
    after = trainer.networks["prior"].codes
    assert torch.equal(after[:-BATCH], before[BATCH:])
    assert after[-BATCH:].std() < 0.5 < before.std()  # reversal begins near 0, the first prior is N(0, I)


def test_latents_come_from_the_density_of_the_codes(small):
    trainer = small(KDEGANTrainer)
    codes = trainer.networks["prior"].codes
    codes.copy_(torch.where(torch.arange(len(codes))[:, None] % 2 == 0, 40.0, -40.0) + codes)
    drawn = trainer.latents(200).mean(1)
    kernels = (drawn.abs() - 40).abs() < 30  # what is not near one of both is the background's
    assert kernels.float().mean() > 0.85 and (drawn > 0).any() and (drawn < 0).any()
    assert isinstance(trainer.prior, KDE)


def test_what_is_reversed_of_the_data_comes_near_them(small):
    trainer = small(KDEGANTrainer)
    network = unwrap(trainer.networks["generator"]).eval()
    target = network(trainer.normal(BATCH, kdegan.LATENT)).detach()
    trainer.sampler.draw = lambda which, count: target
    trainer.estimate()
    found = network.eval()(trainer.networks["prior"].codes[-BATCH:])
    at_first = network(torch.zeros(1, kdegan.LATENT))
    assert (found - target).square().mean() < (at_first - target).square().mean()


def test_the_two_sample_test_with_the_papers_numbers():
    codes = torch.randn(2, 100, 200)
    assert not told_apart(*codes) and told_apart(codes[0], codes[1] + 0.2)


def test_a_run_goes_on_where_it_stopped(small):
    trainer = small(KDEGANTrainer)
    trainer.step()
    assert_resumes(trainer, small(KDEGANTrainer))


def test_measures_are_taken_of_samples_and_nothing_is_shipped(small):
    trainer = small(KDEGANTrainer)
    before = snapshot(trainer, "generator")
    measures = trainer.evaluate()
    assert 1 <= measures["inception_score"] <= 50 and 1 <= measures["modes"] <= 50
    assert measures["inception_score_real"] > 10 and not changed(before, trainer, "generator")
    assert trainer.grid().size == (30 * 26, 10 * 26)
    trainer.export(measures)
    assert not (trainer.settings.out / "export").exists()
