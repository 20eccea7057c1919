"""`python -m studio neighbours`: what is on stdout, on stderr, on the disk, and the exit code."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from studio.core.recipe import Recipe
from tests.banks import BankEngine
from tests.cli.command import one_line, pixels, run, work_in
from tests.walks import save_person


@pytest.fixture
def studio(tmp_path, monkeypatch):
    return work_in(tmp_path, BankEngine(tmp_path), monkeypatch)


def test_every_picture_is_written_with_its_recipe_and_made_again(capsys, studio):
    done = run(capsys, "neighbours", "--seed", 4, "--n", 5, "--spread", 0.5, "--json")
    data = json.loads(done.out)
    assert done.code == 0 and [row["kind"] for row in data["results"]] == ["here"] + ["neighbour"] * 8 + ["sample"] * 5
    last = data["results"][-1]
    assert Recipe.from_png(Path(last["path"])).parameters["shows"] == "sample" and last["words"] and len(data["code"]) == 6
    again = json.loads(run(capsys, "again", last["path"], "--out", "more", "--json").out)
    assert again["exact"] and len(again["results"]) == 14
    for first, second in zip(data["results"], again["results"], strict=True):
        np.testing.assert_array_equal(pixels(first["path"]), pixels(second["path"]))


def test_a_photo_is_a_place_too_and_people_get_words(capsys, studio, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    done = run(capsys, "neighbours", save_person(tmp_path, 200), "--frame", "centre", "--bandwidth", 0.02)
    assert done.code == 0 and "as in the bank" in done.out and "neighbours.png" in done.out
    assert pixels("results/face-here-01.png")[0, 0, 0] in range(198, 203)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--domain", "owl"], "no bank of 'owl'; there is bird, face"),
        (["--k", "0"], "1 to 16 neighbours"),
        (["--spread", "9"], "between 0"),
        (["--bandwidth", "0"], "bandwidth between"),
        (["--n", "99"], "1 to 36"),
    ],
)
def test_a_mistake_is_one_line(capsys, studio, arguments, message):
    assert message in one_line(run(capsys, "neighbours", *arguments, "--json"))
    assert not Path("results").exists()
