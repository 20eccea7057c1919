"""Evaluation of the Character networks on small synthetic packs, each figure against a direct computation."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from studio import cli
from studio.core import engine as engine_module
from studio.core.images import to_float
from studio.core.registry import Registry
from studio.metrics.class_score import resize
from studio.metrics.lpips import distance
from studio.train import evaluate
from studio.train.data import part
from studio.train.evaluate import evaluate_character, save_measures
from tests.fakes import JUDGE, FakeEngine, translator


def names(folder: str, count: int, wanted: bool) -> list[str]:
    """File names inside (or outside) part 9 of the split."""
    every = (f"{folder}/{i:04}.png" for i in range(10_000))
    return [name for name in every if (part(name) == 9) == wanted][:count]


def write_pack(path: Path, columns: str, rows: list[str], pictures: dict[str, np.ndarray]) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.csv", "\n".join([columns, *rows]) + "\n")
        for name, picture in pictures.items():
            file = io.BytesIO()
            Image.fromarray(picture).save(file, "PNG")
            archive.writestr(name, file.getvalue())


@pytest.fixture
def packs(tmp_path) -> tuple[Path, list[np.ndarray], list[np.ndarray]]:
    """The folder, the faces of part 9 (bright, 128 px) and the lions of part 9 (dark, 160 px)."""
    draw = np.random.default_rng(0)

    def picture(low: int, high: int, side: int) -> np.ndarray:
        return draw.integers(low, high, (4, 4, 3), dtype=np.uint8).repeat(side // 4, axis=0).repeat(side // 4, axis=1)

    faces = {name: picture(140, 256, 128) for name in names("celeba", 6, True)}
    trained_on = {name: np.zeros((128, 128, 3), np.uint8) for name in names("celeba", 3, False)}
    write_pack(tmp_path / "faces128.zip", "file_name,source", [f"{n},celeba" for n in faces | trained_on], faces | trained_on)
    lions = {name: picture(0, 90, 160) for name in names("lion", 4, True)}
    others = {name: np.full((160, 160, 3), 255, np.uint8) for name in names("tiger", 1, True) + names("lion", 5, False)}
    rows = [f"{name},{name.split('/')[0]}" for name in lions | others]
    write_pack(tmp_path / "animals160.zip", "file_name,class", rows, lions | others)
    return tmp_path, list(faces.values()), list(lions.values())


@pytest.fixture
def engine(tmp_path):
    return FakeEngine(tmp_path, [translator("lion"), translator("fox"), JUDGE])


def shrunk(pictures: list[np.ndarray], size: int, margin: float) -> np.ndarray:
    """uint8 (N, S, S, 3) without the margin."""
    side = len(pictures[0])
    box = (margin * side, margin * side, (1 - margin) * side, (1 - margin) * side)
    small = [Image.fromarray(p).resize((size, size), Image.Resampling.LANCZOS, box=box) for p in pictures]
    return np.stack([np.asarray(image) for image in small])


def lion_chances(pictures: np.ndarray) -> np.ndarray:
    """What the fake judge thinks, computed directly."""
    dark = -4 * resize(np.stack([to_float(p) for p in pictures]), 8).mean(axis=(1, 2, 3), dtype=np.float64)
    logits = np.stack([dark, 0.2 * dark - 1, -dark - 9], axis=1)
    return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


def literal_diversity(pictures: np.ndarray) -> float:
    images = resize(np.stack([to_float(p) for p in pictures]), 8)
    layers = [images, images[:, :, ::4, ::4] ** 2]
    pairs = combinations(range(len(images)), 2)
    return float(np.mean([distance([m[[i]] for m in layers], [m[[j]] for m in layers])[0] for i, j in pairs]))


def test_figures_are_those_of_part_9_alone(engine, packs, monkeypatch):
    folder, faces, lions = packs
    monkeypatch.setattr(evaluate, "DRAWS", 400)
    lion, reports = engine.registry.card("cyclegan-lion-16"), []
    (figures,) = evaluate_character(engine, [lion], folder, lambda *done: reports.append(done))
    outputs, real = 255 - shrunk(faces, 16, 0.12), shrunk(lions, 16, 0)
    assert (figures.photos, figures.pictures, figures.face_score) == (6, 4, 0.0)
    assert figures.named_right == (lion_chances(outputs).argmax(1) == 0).mean() == 1
    assert figures.animal_score == pytest.approx(lion_chances(outputs)[:, 0].mean(), abs=2e-3)
    assert figures.real_animal_score == pytest.approx(lion_chances(real)[:, 0].mean(), abs=2e-3)
    assert figures.real_diversity == pytest.approx(literal_diversity(real), rel=0.01)  # pictures are a level apart
    assert figures.diversity == pytest.approx(literal_diversity(outputs), rel=0.02)  # drawn, four of six at a time
    assert reports[-1] == (6, 6)


def test_one_face_for_everybody_has_no_diversity(engine, packs):
    same_for_all = replace(engine.registry.card("cyclegan-fox-16"), domains=("face", "lion"))
    (figures,) = evaluate_character(engine, [same_for_all], packs[0])
    assert figures.diversity == pytest.approx(0, abs=1e-6) and figures.real_diversity > 0.01
    assert figures.to_dict()["diversity_ratio"] == pytest.approx(figures.diversity / figures.real_diversity)


def test_many_outputs_keep_few_maps(engine, packs, monkeypatch):
    monkeypatch.setattr(evaluate, "BATCH", 2)
    judged = evaluate.judged(engine, shrunk(packs[1], 16, 0), pool=3)
    assert [len(m) for m in judged.maps] == [3, 3] and len(judged.embedding) == len(judged.probabilities) == 6
    assert not evaluate.judged(engine, shrunk(packs[1], 16, 0)).maps


def test_what_cannot_be_measured_is_said_before_anything_runs(engine, packs, tmp_path):
    with pytest.raises(ValueError, match="cyclegan-fox-16"):
        list(evaluate_character(engine, [engine.registry.card("cyclegan-fox-16")], packs[0]))
    with pytest.raises(ValueError, match="too few pictures of 'tiger'"):
        list(evaluate_character(engine, [translator("tiger")], packs[0]))
    assert not engine.runs
    with pytest.raises(FileNotFoundError, match=r"faces128\.zip"):
        list(evaluate_character(engine, [engine.registry.card("cyclegan-lion-16")], tmp_path / "nowhere"))


def test_figures_go_into_the_card_and_leave_newer_cards_alone(engine, packs):
    engine.registry.save()
    (figures,) = evaluate_character(engine, [engine.registry.card("cyclegan-lion-16")], packs[0])
    meanwhile = Registry(engine.registry.index)
    meanwhile.add(translator("panda"))
    meanwhile.save()
    save_measures(engine.registry, figures)
    saved = Registry(engine.registry.index)
    assert saved.card("cyclegan-lion-16").measures["named_right"] == figures.named_right
    assert saved.card("cyclegan-panda-16")
    saved.add(replace(saved.card("cyclegan-lion-16"), sha256="e" * 64))
    saved.save()
    with pytest.raises(ValueError, match="new weights"):
        save_measures(engine.registry, figures)


def test_a_weak_network_is_a_study_until_it_is_measured_strong(engine, packs):
    engine.registry.save()
    (figures,) = evaluate_character(engine, [engine.registry.card("cyclegan-lion-16")], packs[0])
    figures = replace(figures, kid=1.0)
    assert "seldom their shape" in replace(figures, kid=9.0).study()
    weak = replace(figures, named_right=0.4, diversity=0.2 * figures.real_diversity)
    assert weak.study() == (
        "only 40% of its pictures read as this animal and "
        "its animals differ from person to person only 20% as much as real ones do"
    )
    strong = replace(figures, named_right=0.6, diversity=0.5 * figures.real_diversity)
    for measured in (weak, strong):
        save_measures(engine.registry, measured)
        assert Registry(engine.registry.index).card("cyclegan-lion-16").study == measured.study()
    assert strong.study() is None


def test_the_command_prints_json_alone_and_saves_when_told(engine, packs, capsys, monkeypatch):
    engine.registry.save()
    monkeypatch.setattr(engine_module, "Engine", lambda: engine)
    arguments = ["evaluate", "character", "--animals", "lion", "--data", str(packs[0]), "--json"]
    assert cli.main(arguments) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["results"][0]["card"] == "cyclegan-lion-16" and answer["results"][0]["named_right"] == 1
    assert not Registry(engine.registry.index).card("cyclegan-lion-16").measures
    assert cli.main([*arguments[:-1], "--save"]) == 0
    assert "lion" in capsys.readouterr().out
    assert Registry(engine.registry.index).card("cyclegan-lion-16").measures["photos"] == 6
