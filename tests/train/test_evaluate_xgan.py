"""The tables' rows: one C_img a run, one recipe, figures as D* and the judges say; nothing here is trained for long."""

import json
from contextlib import nullcontext

import numpy as np
import pytest
import torch

from studio import cli
from studio.core import engine as engine_module
from studio.metrics import modes
from studio.metrics.modes import THRESHOLDS
from studio.train import evaluate_xgan as module
from studio.train import xgan
from studio.train.evaluate_xgan import Looks, Row, Table, evaluate_xgan, train_one
from studio.train.xgan import VARIANTS, XGANTrainer
from tests.train.small import settings, write_pack


@pytest.fixture
def folder(tmp_path, precise, monkeypatch):
    """A pack of 100 flowers, for a table of 16 px pictures."""
    rows = [{"class": "ab"[i % 2], "frontal": "", "file_name": f"{i}.png"} for i in range(100)]
    write_pack(tmp_path, "flowers128", rows)
    for name, value in {"LATENT": 6, "CLASSIFIED": 8, "BATCH": 20}.items():
        monkeypatch.setattr(xgan, name, value)
    monkeypatch.setattr(XGANTrainer, "images_per_step", 4)
    for name, value in {"DOMAIN": "flowers", "SIZE": 16, "WIDTH": 2, "look": colours}.items():
        monkeypatch.setattr(module, name, value)
    return tmp_path


def colours(engine, images):
    """The mean of each colour as an embedding, and which one is strongest as a class."""
    means = images.mean((2, 3)).numpy()
    return Looks(means, np.eye(3)[means.argmax(1)])


def test_every_row_is_trained_and_measured_in_every_run(folder, monkeypatch):
    monkeypatch.setattr(modes, "STEPS", 20)
    told = []
    names = ["X-GAN", "KL-loss"]
    table = evaluate_xgan(None, names, 8, 2, 30, folder, lambda *report: told.append(report))
    assert [row.name for row in table.rows] == ["photographs", *names]
    assert told == [(0, 4, "X-GAN, run 1"), (1, 4, "KL-loss, run 1"), (2, 4, "X-GAN, run 2"), (3, 4, "KL-loss, run 2")]
    assert all(len(row.missing) == len(row.inception) == 2 for row in table.rows)
    assert all(1 <= score <= 3 for row in table.rows for score in row.inception)
    assert (table.pictures, table.samples) == (8, 30) and 0 < table.test < 30


def test_the_rows_of_a_run_share_c_img(folder):
    made = settings(folder, folder / "run")
    first, second = (XGANTrainer(made, "flowers", 16, VARIANTS[name], 2) for name in ("X-GAN", "KDE-sampling"))
    classifier = train_one(first, 4, None)
    assert first.images == 12
    kept = {name: tensor.clone() for name, tensor in classifier.items()}
    again = train_one(second, 4, classifier)
    assert second.images == 12 and all(torch.equal(again[name], kept[name]) for name in kept)


def test_an_unknown_row_is_refused_before_anything_is_trained():
    with pytest.raises(ValueError, match="There is no row YGAN; there is X-GAN, unsupervised"):
        evaluate_xgan(None, ["X-GAN", "YGAN"])


def row(name, *shares):
    return Row(name, tuple(dict.fromkeys(THRESHOLDS, share) for share in shares), (1.5,) * len(shares))


def test_figures_are_counts_with_their_deviation_and_claims_compare_run_by_run():
    rows = row("photographs", 0, 0), row("X-GAN", 0.1, 0.3), row("KL-loss", 0.2, 0.4), row("KDE-sampling", 0.1, 0.1)
    data = Table(rows, 10, 20, test=100).to_dict()
    assert data["runs"] == 2 and data["rows"][1]["missing"]["0.95"] == {"mean": 20.0, "std": 10.0}
    assert data["rows"][1]["inception_score"] == {"mean": 1.5, "std": 0.0}
    assert data["claims"]["misses_fewer_than_KL-loss"] == {"holds": True, "fewer": {"mean": 10.0, "std": 0.0}}
    assert data["claims"]["misses_fewer_than_KDE-sampling"] == {"holds": False, "fewer": {"mean": -10.0, "std": 10.0}}
    assert len(data["claims"]) == 2


class Engine:
    """A judge of demographics that takes the strongest colour of a face for a group, and everybody for a man."""

    class registry:
        @staticmethod
        def card(name):
            return type("Card", (), {"id": name, "frame": "face", "resolution": 24})

    @staticmethod
    def run(name, image):
        assert image.shape[1:] == (3, 24, 24)
        logits = np.full((len(image), 7), -9.0, np.float32)
        logits[:, 0], logits[:, 1] = 50, 7
        logits[np.arange(len(image)), 2 + image.mean((2, 3)).argmax(1)] = 9
        return {"logits": logits}


def test_classes_are_gender_times_group():
    heads = np.zeros((3, 32, 32, 3), np.uint8)
    heads[[0, 1, 2], :, :, [0, 1, 2]] = 200
    found = module.demographics(Engine, heads)
    assert found.shape == (3, 10) and np.allclose(found.sum(1), 1) and found.argmax(1).tolist() == [0, 1, 2]


def test_the_command_prints_json_alone_or_a_table(folder, capsys, monkeypatch):
    monkeypatch.setattr(modes, "STEPS", 20)
    monkeypatch.setattr(engine_module, "Engine", nullcontext)
    arguments = ["evaluate", "xgan", "--pictures", "4", "--runs", "1", "--samples", "30", "--data", str(folder)]
    assert cli.main([*arguments, "--models", "X-GAN, cVAE-GAN", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in answer["rows"]] == ["photographs", "X-GAN", "cVAE-GAN"]
    assert answer["claims"].keys() == {"misses_fewer_than_cVAE-GAN"}
    assert cli.main([*arguments, "--models", "X-GAN"]) == 0
    shown = capsys.readouterr().out
    assert "D* > 0.95" in shown and "photographs" in shown and "±" in shown
    assert cli.main([*arguments, "--models", "YGAN"]) == 2 and "There is no row YGAN" in capsys.readouterr().err
    assert cli.main([*arguments[:-1], str(folder.parent), "--json"]) == 2 and "data pack" in capsys.readouterr().err
