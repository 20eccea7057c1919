"""The judges of attributes and of makeup: whom they learn from, how often, and what they say of themselves."""

import pytest
import torch
from sklearn.metrics import roc_auc_score

from studio.train.data import JUDGE_PARTS, MODEL_PARTS, VALIDATION_PARTS, part
from studio.train.judges import AttributeJudge, MakeupJudge, attribute_names, rare_more_often
from studio.train.semantics import AttributeTrainer, MakeupTrainer
from tests.train.small import NAMES, settings, write_pack

TWINS = range(40, 60)  # photos that are in both packs


def face(name, k):
    return {"file_name": name, "source": "celeba"} | {a: str(2 * (k % (n + 2) == 0) - 1) for n, a in enumerate(NAMES)}


@pytest.fixture
def read(tmp_path):
    """Reads small packs of faces as one of the judges would; nothing else of it is made."""
    write_pack(tmp_path, "faces128", [face(f"celeba/{i}.png", i) for i in range(60)])
    write_pack(tmp_path, "faces64", [face(f"{i}.png", i) for i in range(40, 160)])

    def read(kind):
        made = kind.__new__(kind)
        made.device, made.size, made.generator = torch.device("cpu"), 16, torch.Generator().manual_seed(0)
        made.read(settings(tmp_path, tmp_path))
        return made

    return read


@pytest.mark.parametrize(("kind", "parts"), [(AttributeJudge, JUDGE_PARTS), (AttributeTrainer, MODEL_PARTS)])
def test_each_learns_from_its_own_photos_and_from_none_of_part_nine_under_another_name(read, kind, parts):
    judge = read(kind)
    sharp = sum(part(f"celeba/{i}.png") in parts for i in range(60))
    soft = sum(part(f"{i}.png") in parts for i in range(40, 160) if i not in TWINS)
    assert len(judge.train) == len(judge.target) == sharp + soft
    assert len(judge.validation) == sum(part(f"celeba/{i}.png") in VALIDATION_PARTS for i in range(60))
    assert judge.labels == NAMES == attribute_names([face("a.png", 0)])


def test_those_with_an_attribute_and_those_without_are_drawn_alike(read):
    labels = torch.tensor([[1.0]] + [[0.0]] * 9)
    weights = rare_more_often(labels)
    assert weights[0] == pytest.approx(weights[1:].sum())
    judge = read(AttributeJudge)
    assert torch.equal(judge.often, rare_more_often(judge.target))
    judge.often = (torch.arange(len(judge.train)) == 5).float()
    assert set(judge.draw().tolist()) == {5}


def test_it_says_how_well_it_tells_them_apart(read):
    judge = read(AttributeJudge)
    torch.manual_seed(0)
    logits = torch.randn(len(judge.validation), len(NAMES)) + judge.truth
    judge.answers = lambda images, key: logits
    measures = judge.evaluate()
    known = [k for k in range(len(NAMES)) if 0 < judge.truth[:, k].mean() < 1]
    assert list(measures["auc_per_attribute"]) == [NAMES[k] for k in known] and 0 < len(known) < len(NAMES)
    k = known[0]
    assert measures["auc_per_attribute"][NAMES[k]] == pytest.approx(roc_auc_score(judge.truth[:, k], logits[:, k]), abs=1e-3)


@pytest.mark.parametrize(("kind", "parts"), [(MakeupJudge, JUDGE_PARTS), (MakeupTrainer, MODEL_PARTS)])
def test_makeup_is_learnt_from_ones_own_photos_and_from_no_other_ones_under_another_name(tmp_path, kind, parts):
    def row(name, k):
        wears = str(2 * (k % 3 == 0) - 1)
        known = {"Heavy_Makeup": wears, "Wearing_Lipstick": wears if k % 10 else "", "Eyeglasses": str(2 * (k % 7 == 0) - 1)}
        return {"file_name": name, "gender": "MF"[k % 2]} | known

    usable = [k for k in range(160) if k % 10 and k % 7]
    write_pack(tmp_path, "celeba_face160", [row(f"{k}.png", k) for k in range(60)])
    write_pack(tmp_path, "faces128", [row(f"celeba/{k}.png", k) for k in range(40, 100)])
    write_pack(tmp_path, "faces64", [row(f"more/{k}.png", k) for k in range(100, 160)])
    judge = kind.__new__(kind)
    judge.device, judge.size = torch.device("cpu"), 16
    judge.read(settings(tmp_path, tmp_path))
    close_ups = [k for k in usable if k < 60 and part(f"{k}.png") in parts]
    elsewhere = {k for k in range(60) if part(f"{k}.png") not in parts}  # of the close-ups, in whatever part of the other pack
    sharp = [k for k in usable if 40 <= k < 100 and part(f"celeba/{k}.png") in parts and k not in elsewhere]
    soft = [k for k in usable if k >= 100 and part(f"more/{k}.png") in parts]
    assert judge.target[:, 0].tolist() == [float(k % 3 == 0) for k in close_ups + sharp + soft]
    assert len(judge.validation) == sum(k < 60 and part(f"{k}.png") in VALIDATION_PARTS for k in usable)
