"""Table 2: what drawn pictures are of, that photos are the same with and without them, and how recognition is scored."""

import numpy as np
import pytest
import torch

from studio.train import augmentation as module
from studio.train.augmentation import WAYS, best_share, drawn_ones, learn, measure_augmentation, pairs, recognise
from studio.train.cvaegan import Classes, Named
from tests.train.small import write_pack


@pytest.fixture(autouse=True)
def small(monkeypatch):
    for name, value in {"SIZE": 16, "WIDTHS": {"width": 4, "most": 2}, "DRAWN": 3, "BATCH": 8, "STEPS": 60}.items():
        monkeypatch.setattr(module, name, value)


class Drawer:
    """Draws the condition's first share as brightness, and keeps what it was asked."""

    def __init__(self):
        self.asked = []

    def __call__(self, conditions, draws):
        self.asked.append(conditions)
        return np.broadcast_to(conditions[:, :1, None, None], (len(conditions), 3, 32, 32))


def people(photos=6):
    """Three people, each of one colour."""
    whom = torch.arange(3).repeat(photos)
    images = torch.zeros(len(whom), 3, 16, 16, dtype=torch.uint8)
    images[torch.arange(len(whom)), whom] = 250
    return Named(images, torch.eye(3)[whom], Classes(("a", "b", "c")))


def test_the_same_people_are_drawn_by_their_own_conditions():
    draw = Drawer()
    pictures, whom = drawn_ones(draw, WAYS[1], 4, 0)
    assert pictures.shape == (12, 3, 16, 16) and whom.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]
    assert np.array_equal(draw.asked[0], np.eye(4, dtype=np.float32)[whom])
    assert len(drawn_ones(draw, WAYS[0], 4, 0)[0]) == 0 and len(draw.asked) == 1


def test_new_people_are_mixes_of_three_and_come_after_the_others():
    draw = Drawer()
    _, whom = drawn_ones(draw, WAYS[2], 5, 0)
    assert whom.unique().tolist() == [5, 6, 7, 8, 9]
    assert np.allclose(np.sort(draw.asked[0])[:, -3:], 1 / 3) and np.allclose(draw.asked[0].sum(1), 1)


def test_people_are_recognised_on_photos_that_are_easy():
    network = learn(people(), (torch.empty(0, 3, 16, 16), torch.empty(0, dtype=torch.long)), 0)
    assert recognise(network, people(4), 0) == (1.0, 1.0, 1.0)


def test_pairs_are_half_of_one_person():
    whom = torch.tensor([0, 0, 1, 1, 2, 2])
    same, cosine = pairs(whom, torch.eye(3)[whom], 0)
    assert len(same) == 6 and same.sum() == 3 and np.array_equal(cosine, same.astype(np.float32))


def test_the_best_threshold_is_found_wherever_it_is():
    same = np.array([True, False, True, False])
    assert best_share(same, np.array([0.9, 0.1, 0.8, 0.2])) == 1
    assert best_share(same, np.array([0.1, 0.9, 0.2, 0.8])) == 0.5
    assert best_share(same, np.array([0.9, 0.5, 0.2, 0.1])) == 0.75


def test_every_way_is_measured_in_every_run(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "STEPS", 2)
    rows = [{"file_name": f"{i}.png", "identity": str(i % 3)} for i in range(90)]
    write_pack(tmp_path, "faces128", rows)
    told = []
    table = measure_augmentation(Drawer(), 2, tmp_path, lambda done, now: told.append((done, now)))
    assert [row.data for row in table] == list(WAYS) and told[-1] == (5, f"Recognising people by {WAYS[2]}, run 2")
    assert all(len(row.auc) == 2 and 0 <= share <= 1 for row in table for share in row.recognised + row.verified + row.auc)
