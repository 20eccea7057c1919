"""`python -m studio evaluate reversal` and `evaluate kdegan`: what is on stdout."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from studio import cli
from studio.core import engine as engine_module
from studio.pipelines import manifold
from studio.train import evaluate_reversal as module
from studio.train import kdegan
from studio.train.kdegan import DigitsTrainer
from tests.walks import WalkEngine, person, reverse


@pytest.fixture
def engine(tmp_path, monkeypatch):
    monkeypatch.setattr(manifold.reversal, "invert", reverse)
    made = WalkEngine(tmp_path)
    monkeypatch.setattr(engine_module, "Engine", lambda: made)
    return made


def way(name: str, psnr: float, seconds: float | None) -> module.Way:
    return module.Way(name, psnr, 0.1, 0.9, 1.0, 1.0, seconds)


def measure(engine, ways, photos, data, report):
    """What each way makes of a head takes the place of its figures."""
    report(0, 1, "Finding faces")
    head = person(90).rgb
    found = {name: find(head) for name, find in ways.items()}
    assert all(image.shape[2] == 3 and seconds >= 0 for image, seconds in found.values())
    measured = [way(name, 25.0, 1.0) for name in found] + [way("plain, slow", 20.0, 8.0), way("plain", 18.0, None)]
    curve = {5: 0.4, 20: 0.3, 400: 0.2}
    return module.ReversalFigures(photos, {"DCGAN": {"random": curve, "trained": curve}}, {}, 1.0, tuple(measured))


@pytest.mark.parametrize("as_json", [True, False])
def test_reversal_is_measured_with_the_tabs_own_way(engine, monkeypatch, capsys, as_json):
    monkeypatch.setattr(module, "evaluate_reversal", measure)
    assert cli.main(["evaluate", "reversal", "--photos", "3", *(["--json"] if as_json else [])]) == 0
    out = capsys.readouterr().out
    if not as_json:
        assert "ours, 30 steps" in out and "0.4000" in out and "kept" in out
        return
    figures = json.loads(out)
    names = ["ours, 50 steps", "ours, 30 steps", "the encoder's guess", "plain, slow", "plain"]
    assert figures["photos"] == 3 and [way["name"] for way in figures["ways"]] == names
    assert figures["promises"]["ours, 30 steps"]["in_a_quarter_of_its_time"] == {"holds": True, "share": 0.125}


def test_without_the_packs_one_line_says_so(engine, capsys, tmp_path):
    (tmp_path / "empty").mkdir()
    assert cli.main(["evaluate", "reversal", "--data", str(tmp_path / "empty"), "--json"]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and "faces128.zip" in captured.err and captured.err.count("\n") == 1


@pytest.mark.parametrize("as_json", [True, False])
def test_kdegan_needs_no_packs(monkeypatch, capsys, as_json, tmp_path):
    monkeypatch.setattr(DigitsTrainer, "width", 2)
    for owner, name, value in ((kdegan, "SAMPLES", 20), (kdegan, "MOST", 1), (module, "CODED", 20), (module, "CODING_STEPS", 1)):
        monkeypatch.setattr(owner, name, value)
    flags = ["--steps", "8", "--pictures", str(tmp_path), *(["--json"] if as_json else [])]
    assert cli.main(["evaluate", "kdegan", *flags]) == 0
    out = capsys.readouterr().out
    if as_json:
        figures = json.loads(out)
        assert figures["steps"] == 8 and len(figures["training"]["kdegan-digits"]["points"]) == 8
        assert Path(tmp_path / "reversal-kdegan-digits.png").exists()
    else:
        assert "Recovery of modes" in out and "kdegan-digits" in out
