"""Where attention lies: parts of a face by its classes, and what counts as more than chance."""

import numpy as np
import pytest
import torch

from studio.core.registry import Card
from studio.train import attended
from studio.train.attended import PARTS, measure_attention, part_of, times_chance
from studio.train.sdit import ATTRIBUTES, Attributes, Labelled
from tests.engines import FakeEngine

SIDE = 32
NAMES = "background", "eyes", "brows", "glasses", "lips", "mouth"
PARSER = Card("parsing-128", "parsing", "parse", 128, "p.safetensors", "a" * 64, 1, "none", labels=NAMES)
CARD = Card("sdit-attributes-32", "sdit", "translate", SIDE, "s.safetensors", "a" * 64, 1, "none", labels=ATTRIBUTES)


def classes(**boxes):
    """Of a face of 128 px: rectangles (top, bottom, left, right) of classes, background elsewhere."""
    found = {name: np.zeros((128, 128), bool) for name in NAMES}
    for name, (top, bottom, left, right) in boxes.items():
        found[name][top:bottom, left:right] = True
    found["background"] = ~np.logical_or.reduce(list(found.values()))
    return found


def test_parts_are_around_their_classes_and_a_fringe_is_above_the_brows():
    face = classes(eyes=(50, 56, 30, 98), brows=(38, 42, 26, 102), lips=(100, 110, 50, 80))
    glasses, fringe, mouth = (PARTS[name](face) for name in ("Eyeglasses", "Bangs", "Mouth_Slightly_Open"))
    assert glasses[38:56, 26:102].all() and glasses.sum() == 18 * 76
    assert fringe[:38, 26:102].all() and fringe.sum() == 38 * 76
    assert mouth.sum() == 10 * 30
    assert not any(PARTS[name](classes()).any() for name in PARTS)


def test_a_part_is_where_the_portrait_has_it(tmp_path):
    """The face frame is cut out of a portrait: all of it is a third of the portrait, below its middle."""
    part = part_of(Engine(tmp_path, [CARD, PARSER]), np.zeros((3, SIDE, SIDE), np.float32), PARTS["Eyeglasses"])
    rows, columns = np.nonzero(part)
    assert part.shape == (SIDE, SIDE) and part.mean() == pytest.approx(0.57**2, abs=0.04)
    assert columns.mean() == pytest.approx(SIDE / 2 - 0.5, abs=0.5) and rows.mean() > SIDE / 2


def test_chance_is_one():
    part = np.zeros((4, 4), bool)
    part[:2, :2] = True
    assert times_chance(np.ones((2, 4, 4)), [part, part]) == 1
    assert times_chance(part[None].astype(float), [part]) == 4
    assert times_chance(np.ones((1, 4, 4)), [np.zeros((4, 4), bool)]) == 0


class Engine(FakeEngine):
    """Draws where it is asked to and attends there; or has no attention. To its parser all of a face is eyes."""

    attends = True

    def run(self, card_id, image, label=None, latent=None):
        if card_id == PARSER.id:
            assert image.shape == (1, 3, 128, 128)
            return {"logits": np.stack([0 * image[0, 0] + (name == "eyes") for name in NAMES])[None]}
        asked = label[:, ATTRIBUTES.index("Eyeglasses"), None, None, None] > 0
        where = np.zeros((len(image), 1, SIDE, SIDE), np.float32)
        where[:, :, :8, :8] = 0.5
        answer = {"image": image + np.where(asked, where, 0)}
        return answer | ({"attention": where + 0.25} if self.attends else {})


def test_attention_is_measured_of_those_without_it(tmp_path, monkeypatch):
    part = np.zeros((SIDE, SIDE), bool)
    part[:8, :8] = True
    monkeypatch.setattr(attended, "part_of", lambda engine, portrait, find: part)
    labels = torch.zeros(4, len(ATTRIBUTES))
    labels[0] = 1
    faces = Labelled(torch.zeros(4, 3, SIDE, SIDE, dtype=torch.uint8), labels, Attributes(ATTRIBUTES))
    engine = Engine(tmp_path, [CARD])
    rows = {row.name: row for row in measure_attention(engine, CARD, faces, 2)}
    assert set(rows) == set(PARTS)
    assert rows["Eyeglasses"].change == 16 and rows["Bangs"].change == 0
    assert rows["Bangs"].attention == pytest.approx(0.75 / (0.25 + 0.5 / 16), abs=0.01)
    engine.attends = False
    assert measure_attention(engine, CARD, faces, 2) == ()
