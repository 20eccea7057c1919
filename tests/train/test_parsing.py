"""The trainer of the parsing network: whose faces it sees, where it thinks they are, and what it exports."""

from __future__ import annotations

import csv
import io
import math
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from studio.train import parsing
from studio.train.data import part
from studio.train.parsing import CLASSES, OURS, THEIRS, ParsingTrainer, eyes_of, face_square, overlaps, rarity, read_labelled
from tests.train.small import assert_resumes, changed, go, settings, shipped, snapshot, store_of

SIDE = 64


def labels_of(left=(24, 26), right=(40, 26)) -> np.ndarray:
    """A map with skin, two eyes at (x, y), and lips."""
    names, labels = list(THEIRS), np.zeros((SIDE, SIDE), np.uint8)
    labels[8:60, 10:54] = names.index("skin")
    for name, at in (("right_eye", left), ("left_eye", right)):  # a person's right eye lies on the left
        if at:
            labels[at[1] - 1 : at[1] + 1, at[0] - 2 : at[0] + 2] = names.index(name)
    labels[44:48, 26:38] = names.index("upper_lip")
    return labels


@pytest.fixture
def data(tmp_path, precise, monkeypatch):
    """A pack of 40 faces, one without labels and one without its right eye."""
    monkeypatch.setattr(parsing, "WIDTH", 4)
    monkeypatch.setattr(parsing, "SIZE", 32)
    monkeypatch.setattr(ParsingTrainer, "images_per_step", 4)
    folder, table = tmp_path / "data", io.StringIO()
    folder.mkdir()
    writer = csv.DictWriter(table, ["file_name", "seg"])
    writer.writeheader()
    with zipfile.ZipFile(folder / "celebahq256.zip", "w") as archive:
        for index in range(40):
            labels = labels_of(left=None) if index == 1 else labels_of()
            names = f"rgb/{index}.png", f"seg/{index}.png" if index else ""
            writer.writerow(dict(zip(("file_name", "seg"), names, strict=True)))
            for name, picture in zip(names, (np.repeat(labels[:, :, None] * 12, 3, 2), labels), strict=True):
                buffer = io.BytesIO()
                Image.fromarray(picture).save(buffer, "PNG")
                if name:
                    archive.writestr(name, buffer.getvalue())
        archive.writestr("metadata.csv", table.getvalue())
    return folder


def test_left_and_right_are_one_class_and_none_is_lost():
    assert len(OURS) == 19 and set(OURS) == set(range(len(CLASSES)))
    for name in ("eye", "brow", "ear"):
        assert OURS[list(THEIRS).index(f"left_{name}")] == OURS[list(THEIRS).index(f"right_{name}")]


def test_eyes_are_found_in_the_labels():
    np.testing.assert_allclose(eyes_of(labels_of()), [[24, 26], [40, 26]])
    assert eyes_of(labels_of(left=None)) is None
    assert eyes_of(labels_of(left=(38, 26))) is None  # a profile


def test_the_face_frame_lies_where_the_eyes_say():
    centre, side, angle = face_square(np.array([[20.0, 30.0], [44.4, 30.0]]))
    assert side == pytest.approx(64) and angle == 0 and centre == pytest.approx([32.2, 42.0])
    centre, side, angle = face_square(np.array([[30.0, 20.0], [30.0, 44.4]]))  # lying on its side: below the eyes is to the left
    assert angle == pytest.approx(math.pi / 2) and side == pytest.approx(64) and centre == pytest.approx([18.0, 32.2])


def test_only_the_parts_that_are_asked_for_are_read(data):
    faces = read_labelled({9}, data)
    names = [f"rgb/{index}.png" for index in range(2, 40)]
    assert len(faces) == sum(part(name) == 9 for name in names) > 0
    assert faces.images.shape[1:] == (3, SIDE, SIDE) and int(faces.classes.max()) < len(CLASSES)


def test_classes_move_with_their_pictures(data, tmp_path):
    trainer = ParsingTrainer(settings(data, tmp_path / "run"))
    images, classes = trainer.crops(trainer.train, torch.arange(4))
    lips = classes == CLASSES.index("lips")
    shade = 2 * 12 * list(THEIRS).index("upper_lip") / 255 - 1
    inner = torch.nn.functional.avg_pool2d(lips.float().unsqueeze(1), 3, 1, 1)[:, 0] == 1
    assert inner.any() and (images[:, 0][inner] - shade).abs().max() < 0.05
    exact = trainer.crops(trainer.train, torch.arange(4), 0.0)[1]
    assert (exact == exact[0]).all() and not (classes == exact).all()
    eyes = (exact[0] == CLASSES.index("eyes")).nonzero().float().mean(0)
    assert eyes == pytest.approx([10, 16], abs=0.8)  # of 32 px


def test_a_run_learns_resumes_and_ships(data, tmp_path):
    trainer = ParsingTrainer(settings(data, tmp_path / "run"))
    before = snapshot(trainer, "parsing")
    first = float(go(trainer, 1)["loss"])
    assert changed(before, trainer, "parsing") and float(go(trainer, 12)["loss"]) < first
    assert_resumes(trainer, ParsingTrainer(settings(data, tmp_path / "run")))
    measures = trainer.evaluate()
    assert 0 <= measures["miou"] <= 1 and set(measures["iou"]) <= set(CLASSES) and measures["pictures"] == len(trainer.validation)
    assert trainer.grid().width > 32
    trainer.export(measures)
    store = store_of(tmp_path / "pretrained", tmp_path / "run" / "export")
    card = store.registry.card("parsing-128")
    assert card.labels == CLASSES and (card.task, card.frame) == ("segment", "face")
    with torch.no_grad():
        assert shipped(store, card.id)(torch.zeros(1, 3, 32, 32))["logits"].shape == (1, len(CLASSES), 32, 32)


def test_overlaps_are_counted_by_class():
    truth, found = torch.tensor([[[0, 0, 1, 1]]]), torch.tensor([[[0, 1, 1, 1]]])
    accuracy, seen = overlaps(found, truth)
    assert accuracy == 0.75 and seen == {CLASSES[0]: 0.5, CLASSES[1]: pytest.approx(2 / 3)}


def test_rare_classes_weigh_more():
    weights = rarity(torch.tensor([0] * 160 + [1] * 10))
    assert weights[0] == 1 and weights[1] == pytest.approx(2) and weights[2] == 4
