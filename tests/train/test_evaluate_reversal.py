"""The measures of reversal and KDE-GAN, each against a direct computation, on networks of a few channels."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from studio.core.images import to_float
from studio.core.registry import build
from studio.latent.reversal import START, reverse
from studio.metrics.identity import embed_heads
from studio.models import dcgan
from studio.train import evaluate_reversal as module
from studio.train import kdegan
from studio.train.data import MODEL_PARTS
from studio.train.evaluate_reversal import Way, evaluate_kdegan, evaluate_reversal
from studio.train.kdegan import DigitsTrainer, KDEGANTrainer, StackedDigits, read_digits
from tests.engines import WHO, PeopleEngine
from tests.fakes import JUDGE, sampler

CONFIGS = {
    ("dcgan", 64): {"width": 1},
    ("began", 64): {"width": 2, "resolution": 64},
    ("stylegan", 128): {"resolution": 128, "latent": 8, "base": 64, "most": 4},
}


class Engine(PeopleEngine):
    """With small generators for jobs."""

    def stream(self, job):
        def network(card_id):
            torch.manual_seed(1)
            return build(self.registry.card(card_id)).eval().requires_grad_(False)

        return job(SimpleNamespace(network=network, device=torch.device("cpu")))


@pytest.fixture
def engine(tmp_path, monkeypatch):
    for name, value in {"MARKS": (1, 2, 4), "DESCENT": 4, "TRIED": 2, "CURVE_PHOTOS": 2, "STRANGERS": 3, "NORMED": 8}.items():
        monkeypatch.setattr(module, name, value)
    cards = [sampler(name, resolution=size, config=config) for (name, size), config in CONFIGS.items()]
    return Engine(tmp_path, [*cards, JUDGE, WHO])


def keep(face):
    return face, 0.5


def darken(face):
    return face // 2, 0.25


def test_ways_are_measured_on_the_same_new_faces(engine, packs):
    figures = evaluate_reversal(engine, {"ours, kept": keep, "dark": darken}, 2, packs)
    kept, dark, best, published = figures.ways
    assert [kept.name, dark.name] == ["ours, kept", "dark"] and best.name.startswith("plain") and published.seconds is None
    assert kept.psnr > 100 and kept.lpips == 0 and kept.identity == pytest.approx(1, abs=1e-3) and kept.same == 1
    faces = module._faces(5, 128, packs)
    error = np.square(np.stack([to_float(f) - to_float(f // 2) for f in faces[:2]])).mean((1, 2, 3))
    assert dark.psnr == pytest.approx(np.mean(10 * np.log10(4 / error)), abs=0.01)
    people, strangers, shown = (embed_heads(engine, list(x)) for x in (faces[:2], faces[2:], [f // 2 for f in faces[:2]]))
    cosines = (people * shown).sum(1)
    assert dark.identity == pytest.approx(cosines.mean(), abs=1e-3)
    limits = [np.quantile(row @ strangers.T, 0.95) for row in shown]
    assert dark.nearer == pytest.approx(np.mean([c > limit for c, limit in zip(cosines, limits, strict=True)]), abs=1e-3)
    assert (kept.seconds, dark.seconds) == (0.5, 0.25) and best.seconds >= 0
    json.dumps(figures.to_dict())


def test_errors_fall_and_are_those_of_algorithm_1_at_the_best_rate(engine, packs):
    figures = evaluate_reversal(engine, {"ours": keep}, 2, packs)
    for kinds in figures.errors.values():
        for curve in kinds.values():
            assert list(curve) == [1, 2, 4] and curve[1] >= curve[2] >= curve[4] > 0
    target = torch.from_numpy(np.stack([to_float(face) for face in module._faces(2, 64, packs)]))
    torch.manual_seed(1)
    network = build(engine.registry.card("began-64")).eval().requires_grad_(False)
    start = START * torch.randn(2, 100, generator=torch.Generator().manual_seed(0))
    ends = {rate: list(reverse(network, target, start, 2, rate))[-1].loss.mean().item() for rate in module.RATES}
    rate = figures.rates["BEGAN"]["trained"]
    assert rate == min(ends, key=ends.get) and figures.errors["BEGAN"]["trained"][2] == pytest.approx(ends[rate], rel=1e-4)


def test_a_random_network_is_not_the_trained_one_and_its_pictures_differ():
    torch.manual_seed(5)
    before = torch.rand(1)
    torch.manual_seed(5)
    network = module._untrained(sampler("dcgan", resolution=64, config={"width": 4}))
    assert torch.equal(torch.rand(1), before)  # nobody else's numbers are drawn
    images = network(2 * torch.rand(8, dcgan.LATENT) - 1)
    plain = dcgan.Generator(4).eval()(2 * torch.rand(8, dcgan.LATENT) - 1)
    assert images.std(0).mean() > 10 * plain.std(0).mean()


def ways(psnr: float, seconds: float, nearer: float) -> module.ReversalFigures:
    ours = Way("ours", psnr, 0.1, 0.9, 1.0, nearer, seconds)
    plain = [replace(ours, name="plain, slow", psnr=20.0, seconds=4.0), replace(ours, name="plain", psnr=18.0, seconds=None)]
    return module.ReversalFigures(2, {}, {}, 1.0, (ours, *plain))


@pytest.mark.parametrize(
    ("figures", "held"),
    [((23.0, 1.0, 1.0), [True, True, True]), ((22.9, 1.1, 0.9), [False, False, False])],
)
def test_promises_are_kept_against_the_better_of_the_plain_ones(figures, held):
    promises = ways(*figures).to_dict()["promises"]["ours"]
    assert [promise["holds"] for promise in promises.values()] == held


def test_too_few_faces_are_refused(engine, packs):
    with pytest.raises(ValueError, match="fewer with --photos"):
        evaluate_reversal(engine, {}, 500, packs)


# --- KDE-GAN ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def trained(monkeypatch, tmp_path):
    monkeypatch.setattr(DigitsTrainer, "width", 4)
    for owner, name, value in ((kdegan, "SAMPLES", 40), (kdegan, "MOST", 2), (module, "CODED", 30), (module, "CODING_STEPS", 2)):
        monkeypatch.setattr(owner, name, value)
    monkeypatch.setattr(module, "POINTS", 2)
    told = []
    figures = evaluate_kdegan(4, pictures=tmp_path, report=lambda done, total, now: told.append((done, total, now)))
    return figures, told, tmp_path


def test_both_are_trained_from_the_start_and_after_a_restriction(trained):
    figures, told, folder = trained
    assert figures.training.keys() == figures.recovery.keys() == {"gan-digits", "kdegan-digits"}
    for name, progressed in figures.training.items():
        assert [point["steps"] for point in progressed.points] == [2, 4]
        assert figures.recovery[name].keys() == {"restricted", "after", "full"}
        assert (folder / f"reversal-{name}.png").exists()
    assert {point["reversal_steps"] for point in figures.training["gan-digits"].points} == {0}
    assert all(0 < point["reversal_steps"] <= 2 for point in figures.training["kdegan-digits"].points)
    assert len(figures.shares) == len(figures.likelihood["gan-digits"]) and figures.shares[-1] == 2
    assert figures.longer.last["seconds"] >= figures.training["kdegan-digits"].last["seconds"]
    assert {now for _, _, now in told} >= {"Training kdegan-digits", "Restricting gan-digits", "Recovering gan-digits"}
    json.dumps(figures.to_dict())


def test_claims_are_read_off_the_figures(trained):
    figures, *_ = trained
    point = {"steps": 1, "seconds": 1.0, "reversal_steps": 0.0, "modes": 3}

    def progressed(*scores):
        return module.Progressed(tuple({**point, "inception_score": score} for score in scores))

    good = replace(
        figures,
        training={"kdegan-digits": progressed(3, 5), "gan-digits": progressed(2, 4)},
        longer=progressed(4.5),
        recovery={"kdegan-digits": {"after": 5, "full": 5}, "gan-digits": {"after": 3, "full": 4}},
        nearest={"kdegan-digits": 3.0, "gan-digits": 3.1, "new": 2.9},
    )
    assert all(claim["holds"] for claim in good.to_dict()["claims"].values())
    bad = replace(
        good,
        training={"kdegan-digits": progressed(3, 3), "gan-digits": progressed(2, 4)},
        longer=progressed(9),
        recovery={"kdegan-digits": {"after": 2, "full": 5}, "gan-digits": {"after": 3, "full": 4}},
        nearest={"kdegan-digits": 1.0, "gan-digits": 3.1, "new": 2.9},
    )
    assert not any(claim["holds"] for claim in bad.to_dict()["claims"].values())


def test_learnt_digits_are_at_distance_nothing():
    learnt = StackedDigits(MODEL_PARTS, torch.Generator().manual_seed(0)).draw(0, 9)
    assert module._nearest(learnt) == pytest.approx(0, abs=1e-2)
    assert module._nearest(learnt + 100) > 700 and read_digits(MODEL_PARTS)[0].shape[1:] == (8, 8)


def test_it_is_kde_gan_that_is_measured():
    assert KDEGANTrainer.name == "kdegan-digits" and issubclass(KDEGANTrainer, DigitsTrainer)
