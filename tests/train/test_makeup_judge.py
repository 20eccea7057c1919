"""The judge of makeup: of whom it learns, and in which shares."""

from pathlib import Path

import pytest
import torch

from studio.train.data import JUDGE_PARTS, part
from studio.train.judges import MakeupJudge
from tests.train.small import settings, write_pack


def face(name, gender, makeup, lipstick=None, glasses="-1"):
    words = {"Heavy_Makeup": makeup, "Wearing_Lipstick": lipstick or makeup, "Eyeglasses": glasses}
    return {"file_name": name, "gender": gender, "source": "celeba"} | words


@pytest.fixture
def judge(tmp_path):
    """Reads packs of close-ups and of portraits, many of them of the same photos, at 16 px; nothing else of it is made."""
    kinds = [("F", "1"), ("F", "-1"), ("M", "-1")]
    write_pack(tmp_path, "celeba_face160", [face(f"{i}.png", *kinds[i % 3]) for i in range(90)])
    others = [face("celeba/light.png", "F", "1", "-1"), face("celeba/glasses.png", "F", "1", glasses="1")]
    write_pack(tmp_path, "faces128", [face(f"celeba/{i}.png", *kinds[i % 3]) for i in range(60, 160)] + others)
    write_pack(tmp_path, "faces64", [face(f"s{i}.png", *kinds[i % 3]) for i in range(60)])
    made = MakeupJudge.__new__(MakeupJudge)
    made.device, made.size = torch.device("cpu"), 16
    made.read(settings(tmp_path, tmp_path))
    return made


def test_no_photo_that_udit_learns_from_teaches_it_under_another_name(judge):
    reserved = {f"{i}.png" for i in range(90) if part(f"{i}.png") not in JUDGE_PARTS}
    portraits = [f"celeba/{i}.png" for i in range(60, 160) if part(f"celeba/{i}.png") in JUDGE_PARTS]
    assert any(Path(name).name in reserved for name in portraits)
    own = sum(part(f"{i}.png") in JUDGE_PARTS for i in range(90)) + sum(part(f"s{i}.png") in JUDGE_PARTS for i in range(60))
    assert len(judge.train) == own + sum(Path(name).name not in reserved for name in portraits)


def test_most_of_what_it_sees_are_women_half_of_them_made_up(judge):
    made_up = judge.target[:, 0] == 1
    assert judge.weights[made_up].sum() == pytest.approx(0.45) and judge.weights.sum() == pytest.approx(1.0)
    assert (judge.weights > 0).all()
