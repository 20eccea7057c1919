"""CVAE-GAN's figures: one C a run, holes nobody looks behind, sliders that are followed or not; nothing is trained for long."""

import json
from contextlib import nullcontext

import numpy as np
import pytest
import torch

from studio import cli
from studio.cli.evaluate import cvaegan as command
from studio.core.registry import Card
from studio.train import cvaegan
from studio.train import evaluate_cvaegan as module
from studio.train.augmentation import WAYS, Augmented
from studio.train.cvaegan import VARIANTS, CVAEGANTrainer, Extent
from studio.train.evaluate_cvaegan import (
    HOLE,
    Figures,
    Filling,
    Row,
    Slider,
    evaluate_cvaegan,
    measure_attributes,
    measure_holes,
    train_one,
)
from studio.train.judges import FIRST_ATTRIBUTE
from tests.engines import PeopleEngine
from tests.fakes import JUDGE
from tests.train.small import NAMES, Trunk, settings, write_named_faces, write_pack
from tests.walks import IDENTITY

EYE = Card("judge-attributes", "judges", "judge", 24, "a.safetensors", "a" * 64, 1, "none", frame="portrait", labels=NAMES)


class Engine(PeopleEngine):
    """Its judges: of attributes, which all are there in bright pictures, and of people by their colours."""

    def _answer(self, card_id, image, strength=None):
        if card_id == EYE.id:
            return {"logits": image.mean((1, 2, 3))[:, None] * np.ones(40, np.float32)}
        if card_id == IDENTITY.id:
            colours = image.mean((2, 3)) + np.float32(2)
            return {"embedding": colours / np.linalg.norm(colours, axis=1, keepdims=True)}
        return super()._answer(card_id, image, strength)


@pytest.fixture
def engine(tmp_path):
    return Engine(tmp_path, [JUDGE, EYE, IDENTITY])


@pytest.fixture
def folder(tmp_path, precise, monkeypatch):
    """Packs of faces with attributes, for models of 16 px pictures."""
    write_named_faces(tmp_path)
    for name, value in {"BATCH": 20, "imagenet_trunk": lambda data: Trunk().eval()}.items():
        monkeypatch.setattr(cvaegan, name, value)
    for name, value in {"images_per_step": 4, "classified": 8}.items():
        monkeypatch.setattr(CVAEGANTrainer, name, value)
    monkeypatch.setattr(module, "CLASSIFIED", 8)
    tiny = Extent("face", 6, {"width": 2, "most": 2}, {"width": 2, "most": 2})
    for name, value in {
        "SIZE": 16,
        "EXTENTS": {"faces": tiny, "flowers": tiny},
        "demographics": lambda engine, heads: np.eye(2)[np.arange(len(heads)) % 2],
    }.items():
        monkeypatch.setattr(module, name, value)
    return tmp_path


def test_every_row_is_trained_and_measured_in_every_run(folder, engine):
    told = []
    figures = evaluate_cvaegan(
        engine, names=["CVAE", "CVAE-GAN"], pictures=8, runs=2, samples=30, data_dir=folder, report=lambda *r: told.append(r)
    )
    assert [row.name for row in figures.table] == ["photographs", "CVAE", "CVAE-GAN"]
    said = ["CVAE, run 1", "CVAE-GAN, run 1", "CVAE, run 2", "CVAE-GAN, run 2"]
    assert told == [(k, 4, f"faces: {now}") for k, now in enumerate(said)]
    for row in figures.table:
        assert len(row.accuracy) == len(row.balanced) == len(row.inception) == 2
        assert all(0 <= share <= 1 for share in row.accuracy) and row.inception == pytest.approx((2, 2))
    assert not figures.fillings and not figures.sliders and figures.photos == 0


def test_flowers_are_judged_by_what_their_judge_learnt_of_other_photos(folder, monkeypatch):
    """Of two kinds of flowers, which the trunk tells apart, and of pictures that show the other kind than they were asked for."""
    kinds = [("rose", "tulip")[i % 2] for i in range(100)]
    write_pack(folder, "flowers128", [{"class": kind, "file_name": f"{i}.png"} for i, kind in enumerate(kinds)])

    def features(trunk, images):
        return images.mean((2, 3)).numpy()

    monkeypatch.setattr(module, "pooled", features)
    monkeypatch.setattr(module, "imagenet_trunk", lambda data: Trunk())
    monkeypatch.setattr(module, "SHRUNK", 10.0)
    read = module.read_named

    def coloured(domain, size, data, parts):
        named = read(domain, size, data, parts)
        named.images[:] = (200 * named.labels.argmax(1)).to(torch.uint8).view(-1, 1, 1, 1)
        return named

    monkeypatch.setattr(module, "read_named", coloured)
    judge = module.class_judge("flowers", folder)
    dark, labels = torch.full((4, 3, 16, 16), -1.0), torch.eye(2)[[0, 0, 0, 1]]
    accuracy, balanced, score = judge(dark, labels)
    assert (accuracy, balanced) == (0.75, 0.5) and score == pytest.approx(1)


def test_the_models_of_a_run_begin_with_one_c(folder):
    made = settings(folder, folder / "run")
    first, second = (CVAEGANTrainer(made, "faces", 16, VARIANTS[name], module.EXTENTS["faces"]) for name in ("CVAE", "CVAE-GAN"))
    classifier = train_one(first, 8, None)
    assert first.images == 16
    kept = {name: tensor.clone() for name, tensor in classifier.items()}
    again = train_one(second, 8, classifier)
    assert second.images == 16 and all(torch.equal(again[name], kept[name]) for name in kept)


def test_balanced_accuracy_does_not_reward_who_ignores_the_condition(engine):
    bright = torch.full((4, 3, 16, 16), 0.5)
    labels = torch.ones(4, 40)
    labels[3] = -1
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "demographics", lambda engine, heads: np.eye(4))
        accuracy, balanced, score = module._attribute_judge(engine)(bright, labels)
    assert (accuracy, balanced) == (0.75, 0.5) and score == pytest.approx(4)


def test_a_hole_is_measured_within_and_nobody_looks_behind_it(engine):
    portraits = np.random.default_rng(0).integers(60, 200, (2, 128, 128, 3), np.uint8)
    flat = portraits.copy()
    edge = (128 - HOLE) // 2
    flat[:, edge : edge + HOLE, edge : edge + HOLE] = 100
    asked = []

    def fill(portrait, hole, iterations):
        asked.append((hole.sum(), tuple(iterations)))
        return [portrait, portrait // 2, portrait]

    fillings = {filling.way: filling for filling in measure_holes(engine, fill, portraits)}
    assert asked == [(HOLE**2, (1, 5, 10))] * 2
    assert list(fillings) == ["CVAE-GAN-1", "CVAE-GAN-5", "CVAE-GAN-10", "Telea", "Navier-Stokes"]
    assert fillings["CVAE-GAN-10"].lpips == 0 and fillings["CVAE-GAN-10"].identity == 1 and fillings["CVAE-GAN-10"].psnr > 100
    error = np.square(portraits // 2 - portraits.astype(float))[:, edge : edge + HOLE, edge : edge + HOLE].mean((1, 2, 3))
    assert fillings["CVAE-GAN-5"].psnr == pytest.approx((10 * np.log10(255**2 / error)).mean(), abs=0.01)
    other = {filling.way: filling for filling in measure_holes(engine, lambda p, h, i: [p] * 3, flat)}
    assert other["Telea"].psnr != fillings["Telea"].psnr and fillings["Telea"].lpips > 0
    around = portraits[0].astype(float)
    assert 10 < fillings["Telea"].psnr < 10 * np.log10(255**2 / around.var()) + 3


def test_a_slider_is_followed_if_the_judge_never_turns_back():
    def find(portrait):
        return lambda attribute, value: (0.5 + value * {"up": 0.2, "down": -0.2, "flat": 0.01}[attribute], 1 - abs(value) / 10)

    portraits = np.zeros((3, 8, 8, 3), np.uint8)
    up, down, flat = measure_attributes(find, ("up", "down", "flat"), portraits)
    assert up.probability == (0.3, 0.4, 0.5, 0.6, 0.7) and up.identity == (0.9, 0.95, 1, 0.95, 0.9)
    assert [slider.follows for slider in (up, down, flat)] == [True, False, False]


def row(name, balanced):
    return Row("faces", name, (0.8, 0.9), (balanced, balanced), (1.5, 1.5))


def test_claims_compare_what_was_measured():
    fillings = [Filling(f"CVAE-GAN-{n}", 20.0, lpips, 0.5) for n, lpips in ((1, 0.4), (5, 0.3), (10, 0.2))]
    fillings += [Filling("Telea", 21.0, 0.3, 0.5), Filling("Navier-Stokes", 21.0, 0.1, 0.5)]
    good = Slider("x", (0.1, 0.2, 0.3, 0.4, 0.5), (1.0,) * 5)
    table = row("photographs", 0.9), row("CVAE", 0.6), row("CVAE-GAN", 0.7)
    learnt = tuple(
        Augmented(way, (0.4, 0.5), (share, share), (0.8, 0.8)) for way, share in zip(WAYS, (0.7, 0.8, 0.6), strict=True)
    )
    data = Figures(table, 10, 20, learnt, tuple(fillings), (good,) * 9, 5, 0.5).to_dict()
    assert data["table"][1]["accuracy"] == {"mean": 0.85, "std": 0.05}
    claims = data["claims"]
    assert claims["drawn_pictures_help_to_recognise_people"] == {"holds": False, "verified_more": {WAYS[1]: 0.1, WAYS[2]: -0.1}}
    assert data["augmentation"][0]["recognised"] == {"mean": 0.45, "std": 0.05}
    assert claims["shows_what_is_asked_of_faces_more_often"] == {"holds": True, "ahead_of": {"CVAE": 0.1}}
    assert claims["holes_look_more_like_the_photo"] == {"holds": False, "lpips_less_than": {"Telea": 0.1, "Navier-Stokes": -0.1}}
    assert not claims["attributes_follow_their_sliders"]["holds"]
    assert Figures((), 1, 1, (), (), (good,) * 10, 5, 0.5).to_dict()["claims"]["attributes_follow_their_sliders"]["holds"]


def test_an_unknown_row_is_refused_before_anything_is_trained():
    with pytest.raises(ValueError, match="There is no row YGAN in Table 1; there is CVAE, CGAN"):
        evaluate_cvaegan(None, names=["YGAN"])
    with pytest.raises(ValueError, match="There is no domain trees in Table 1; there is faces, flowers, birds"):
        evaluate_cvaegan(None, domains=["trees"])


def test_the_command_measures_the_parts_that_are_named(folder, engine, capsys, monkeypatch):
    monkeypatch.setattr("studio.core.engine.Engine", lambda: nullcontext(engine))
    monkeypatch.setattr(command, "_changer", lambda engine: lambda rgb: lambda name, value: (0.5 + 0.2 * value, 0.9))
    monkeypatch.setattr(command, "_filler", lambda engine: lambda rgb, hole, iterations: [rgb] * 3)
    monkeypatch.setattr(
        "studio.pipelines.conditioned.sliders", lambda engine: [type("Slider", (), {"attribute": FIRST_ATTRIBUTE})]
    )
    engine.registry.add(Card(**{**IDENTITY.to_dict(), "domains": (), "measures": {"cosine_same": 0.4}}))
    arguments = ["evaluate", "cvaegan", "--photos", "2", "--data", str(folder)]
    assert cli.main([*arguments, "--parts", "holes, attributes", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["table"] == [] and answer["photos"] == 2 and answer["same_person"] == 0.4
    assert answer["sliders"][0]["probability"] == [0.3, 0.4, 0.5, 0.6, 0.7] and answer["fillings"][0]["lpips"] == 0
    models = ["--parts", "models", "--pictures", "4", "--runs", "1", "--samples", "20"]
    assert cli.main([*arguments, *models]) == 0
    shown = capsys.readouterr().out
    assert "CVAE-GAN" in shown and "±" in shown
    assert cli.main([*arguments, "--parts", "teeth"]) == 2 and "There is no part teeth" in capsys.readouterr().err
    assert cli.main([*arguments[:-1], str(folder.parent), "--parts", "holes"]) == 2 and "data pack" in capsys.readouterr().err
