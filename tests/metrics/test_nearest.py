"""The nearest training picture against a search through all of them."""

import numpy as np
import pytest

from studio.metrics import nearest
from studio.metrics.nearest import TrainingPictures


def pictures(count: int, seed: int, rough: float = 60) -> np.ndarray:
    """Smooth pictures of 16 px with some grain."""
    draw = np.random.default_rng(seed)
    smooth = draw.uniform(0, 255, (count, 2, 2, 3)).repeat(8, axis=1).repeat(8, axis=2)
    return np.clip(smooth + draw.normal(0, rough, (count, 16, 16, 3)), 0, 255).astype(np.uint8)


def literal(queries: np.ndarray, known: np.ndarray) -> np.ndarray:
    flat = [images.reshape(len(images), -1) / 127.5 - 1 for images in (queries, known)]
    return np.array([np.linalg.norm(flat[1] - query, axis=1).min() for query in flat[0]])


@pytest.mark.parametrize("rough", [0, 20, 300])
def test_no_picture_is_nearer_than_the_one_that_is_found(rough, monkeypatch):
    monkeypatch.setattr(nearest, "CHUNK", 7)
    known, queries = pictures(60, 0, rough), pictures(20, 1, rough)
    assert TrainingPictures(known).distances(queries) == pytest.approx(literal(queries, known), rel=1e-4)


def test_few_pictures_are_looked_at_in_full(monkeypatch):
    monkeypatch.setattr(nearest, "CHUNK", 8)
    known = pictures(400, 0, 10)
    search, looked_at = TrainingPictures(known), []
    values = nearest._values
    monkeypatch.setattr(nearest, "_values", lambda images: looked_at.append(len(images)) or values(images))
    search.distances(pictures(10, 1, 10))
    assert sum(looked_at) < 10 * 400 / 5


def test_a_training_picture_is_0_and_noise_about_1():
    known = pictures(30, 0)
    search = TrainingPictures(known)
    assert search.error(known[:5]) == pytest.approx(0, abs=1e-3)
    noise = np.random.default_rng(5).integers(0, 256, (20, 16, 16, 3), dtype=np.uint8)
    assert 0.7 < search.error(noise).mean() < 1  # below 1: to the nearest picture, not to the mean one


def test_j_is_the_mean_distance_of_noise():
    known = pictures(30, 0)
    noise = np.random.default_rng(0).uniform(-1, 1, (nearest.NOISE, 768)).astype(np.float32)
    wanted = np.mean([np.linalg.norm(noise - (picture.reshape(-1) / 127.5 - 1), axis=1) for picture in known])
    assert TrainingPictures(known).noise_distance == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize(("shape", "kind"), [((0, 16, 16, 3), np.uint8), ((2, 16, 16, 3), float), ((2, 15, 15, 3), np.uint8)])
def test_what_cannot_be_searched_is_refused(shape, kind):
    with pytest.raises(ValueError, match="nearest picture"):
        TrainingPictures(np.zeros(shape, kind))
