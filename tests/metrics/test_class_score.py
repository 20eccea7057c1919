"""score(Y): what the judge is asked, and what is made of its answer."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from studio.core.registry import Card, Registry
from studio.metrics.class_score import BATCH, ask_judge, class_probabilities, class_score, resize, softmax


@pytest.fixture
def engine(tmp_path):
    """A judge whose logits are the means of the three colours, and which notes the sizes it was asked."""
    registry = Registry(tmp_path / "index.json")
    labels = ("red", "green", "blue")
    registry.add(Card("judge-animal", "judges", "judge", 16, "j.safetensors", "0" * 64, 1, "none", labels=labels))
    asked: list[tuple[int, ...]] = []

    def run(card_id, image):
        assert card_id == "judge-animal" and image.dtype == np.float32
        asked.append(image.shape)
        return {"logits": image.mean(axis=(2, 3)), "features_0": image}

    return SimpleNamespace(run=run, registry=registry, asked=asked)


def test_softmax_is_torchs_and_survives_large_logits():
    logits = np.array([[1000.0, 998.0, -1000.0], [0.1, 0.2, 0.3]])
    np.testing.assert_allclose(softmax(logits), torch.from_numpy(logits).softmax(-1).numpy(), rtol=1e-12)


def test_shrinking_is_antialiased_like_pillows():
    picture = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    expected = np.asarray(Image.fromarray(picture).resize((16, 16), Image.Resampling.BICUBIC), dtype=np.float32)
    shrunk = resize(np.broadcast_to(picture / np.float32(127.5) - 1, (1, 3, 64, 64)).astype(np.float32), 16)
    np.testing.assert_allclose((shrunk[0, 0] + 1) * 127.5, expected, atol=1.0)


def test_enlarging_stays_in_range():
    edge = np.where(np.arange(8) < 4, -1, 1).astype(np.float32) * np.ones((1, 3, 8, 8), np.float32)
    assert np.abs(resize(edge, 32)).max() <= 1


def test_the_judge_sees_its_own_resolution_in_bounded_batches(engine):
    images = np.zeros((BATCH + 3, 3, 64, 64), np.float32)
    answer = ask_judge(engine, images)
    assert engine.asked == [(BATCH, 3, 16, 16), (3, 3, 16, 16)]
    assert answer["logits"].shape == (BATCH + 3, 3)


def test_the_score_is_the_targets_probability(engine):
    images = np.full((2, 3, 16, 16), -1, np.float32)
    images[0, 0] = 1
    scores = class_score(class_probabilities(engine, images), ("red", "green", "blue"), "red")
    np.testing.assert_allclose(scores, [np.exp(2) / (np.exp(2) + 2), 1 / 3])


def test_an_unknown_class_names_the_known_ones():
    with pytest.raises(ValueError, match=r"'dragon'.*lion, tiger"):
        class_score(np.ones((1, 2)), ("lion", "tiger"), "dragon")
