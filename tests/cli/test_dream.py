"""`python -m studio sample` and what `again` makes of its pictures: stdout, stderr, the disk, and the exit code."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from studio.core.recipe import Recipe
from studio.core.registry import default_registry
from studio.pipelines.dream import list_generators
from tests.cli.command import ROOT, answer, one_line, pixels, run, work_in
from tests.fakes import BANK, JUDGE, FakeEngine, sampler, translator

FIELDS = {
    "path", "index", "seed", "generator", "animal", "face_score", "animal_score", "originality", "verdicts", "study", "seconds",
}  # fmt: skip


@pytest.fixture
def studio(tmp_path, monkeypatch):
    cards = [sampler("began", study="blurred"), sampler("began", "lion"), sampler("stylegan"), translator("lion"), BANK, JUDGE]
    return work_in(tmp_path, FakeEngine(tmp_path, cards), monkeypatch)


LION = ["sample", "--generator", "k-began", "--animal", "lion", "--n", 5, "--seed", 7]


def test_json_alone_names_every_candidate(capsys, studio, tmp_path):
    made = answer(capsys, *LION, "--out", tmp_path / "new" / "out")
    assert [row["index"] for row in made["results"]] == list(range(5))
    for row in made["results"]:
        assert set(row) == FIELDS and row["verdicts"]
        assert (row["seed"], row["generator"], row["animal"], row["study"]) == (7, "k-began", "lion", None)
        assert 0 <= row["animal_score"] <= 1 and row["originality"] > 0
    assert Path(made["results"][3]["path"]) == tmp_path / "new" / "out" / "k-began-lion-7-3.png"
    assert Path(made["sheet"]).name == "sheet.png"


def test_a_human_face_has_no_animals_figures(capsys, studio):
    row = answer(capsys, "sample", "--generator", "began", "--n", 1)["results"][0]
    assert row["animal"] is None and row["animal_score"] is None and row["study"] == "blurred"


def test_the_same_seed_gives_the_same_pixels_whatever_the_count(capsys, studio, tmp_path):
    first, second = (answer(capsys, *LION, "--out", tmp_path / folder) for folder in "ab")
    fewer = answer(capsys, *LION[:-4], "--n", 2, "--seed", 7, "--out", tmp_path / "c")
    other = answer(capsys, *LION[:-1], 8, "--out", tmp_path / "d")
    for one, two in zip(first["results"], second["results"], strict=True):
        np.testing.assert_array_equal(pixels(one["path"]), pixels(two["path"]))
    np.testing.assert_array_equal(pixels(first["results"][1]["path"]), pixels(fewer["results"][1]["path"]))
    assert (pixels(first["sheet"]) != pixels(other["sheet"])).any()


def test_every_option_reaches_the_networks(capsys, studio):
    def sheet(*options):
        return pixels(answer(capsys, *LION, *options)["sheet"])

    assert (sheet() != sheet("--imagination", 0.2)).any()
    assert (sheet() != sheet("--strength", 0.4)).any()
    wide, narrow = (pixels(answer(capsys, "sample", "--truncation", t)["sheet"]) for t in (0.3, 1))
    assert (wide != narrow).any()


def test_the_generator_nearest_to_photographs_dreams_unless_told_otherwise(capsys, studio):
    studio.registry.add(sampler("dcgan", measures={"kid_imagenet": 30.7}))
    studio.registry.add(sampler("stylegan", resolution=32, measures={"kid_imagenet": 210.1}))
    names = [answer(capsys, "sample", "--n", 1, *more)["results"][0]["generator"] for more in ((), ("--truncation", 0.5))]
    assert names == ["dcgan", "flagship"]


@pytest.mark.parametrize("which", ["candidate", "sheet", "stages"])
def test_a_dream_is_made_again_from_its_picture_alone(capsys, studio, tmp_path, which):
    made = answer(capsys, *LION, "--strength", 0.7, *(["--stages"] if which == "stages" else []))
    picture = made["results"][3]["path"] if which == "candidate" else made["sheet"]
    again = answer(capsys, "again", picture, "--out", tmp_path / "again")
    assert again["exact"]
    copy = again["results"][0]["path"] if which == "candidate" else again["sheet"]
    np.testing.assert_array_equal(pixels(picture), pixels(copy))
    assert Recipe.from_png(Path(copy)).parameters == Recipe.from_png(Path(picture)).parameters
    studio.registry.add(replace(translator("lion"), sha256="e" * 64))
    assert not answer(capsys, "again", picture)["exact"]
    assert "networks have changed" in run(capsys, "again", picture).out


def test_a_picture_made_from_a_photo_still_asks_for_it(capsys, studio, tmp_path):
    photo = tmp_path / "anna.png"
    Image.new("RGB", (64, 64), "grey").save(photo)
    made = answer(capsys, "character", photo, "--frame", "centre")
    assert "give anna.png too" in one_line(run(capsys, "again", made["sheet"], "--json"))


def test_stage_by_stage_is_one_sheet(capsys, studio, tmp_path):
    made = answer(capsys, *LION, "--stages", "--out", tmp_path / "out")
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["stages.png"]
    assert [(row["index"], row["stage"]) for row in made["results"][:4]] == [
        (0, "sample"), (0, "k-sample"), (0, "cascade"), (0, "k-cascade"),
    ]  # fmt: skip
    assert all(row["originality"] > 0 for row in made["results"])


def test_people_get_words(capsys, studio, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    done = run(capsys, *LION)
    assert done.code == 0 and "k-began-lion-7-4.png" in done.out and "lion" in done.out and "sheet.png" in done.out
    assert "k-cascade" in run(capsys, *LION, "--stages").out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--generator", "list"], "no generator 'list'; there is dcgan, k-dcgan, began, k-began, flagship"),
        (["--generator", "dcgan"], "no dcgan yet; there is began, k-began, flagship"),
        (["--generator", "k-began", "--animal", "koala"], "no k-began for 'koala' yet; there is lion"),
        (["--generator", "k-began"], "there is lion"),
        (["--animal", "dragon"], "no animal 'dragon'; there is lion"),
        (["--strength", "1"], "Choose an animal"),
        (["--strength", "2", "--animal", "lion"], "strength between 0"),
        (["--truncation", "0"], "truncation between 0.3"),
        (["--imagination", "2"], "imagination between 0"),
        (["--n", "0"], "1 to"),
        (["--n", "many"], "--n"),
        (["--seed", "-1"], "seed"),
        (["--stages"], "Choose an animal"),
    ],
)
def test_a_mistake_is_one_line(capsys, studio, arguments, message):
    assert message in one_line(run(capsys, "sample", "--json", *arguments))
    assert not Path("results").exists()


def test_animals_may_be_named_as_people_write_them(capsys, studio):
    assert answer(capsys, "sample", "--animal", " Lion", "--n", 1)["results"][0]["animal"] == "lion"


# --- the command as it is shipped -------------------------------------------------------------------------------------

K_BEGAN = next((info for info in list_generators(default_registry()) if info.name == "k-began"), None)


@pytest.mark.skipif(K_BEGAN is None, reason="no K-BEGAN is shipped")
def test_the_shipped_studio_dreams_the_same_twice(tmp_path):
    made = []
    for folder in "ab":
        command = [sys.executable, "-m", "studio", "sample", "--generator", "k-began", "--animal", K_BEGAN.animals[0]]
        command += ["--n", "4", "--seed", "7", "--strength", "1", "--out", str(tmp_path / folder), "--json"]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
        assert done.returncode == 0, done.stderr
        made.append(json.loads(done.stdout))
    for one, two in zip(*(answers["results"] for answers in made), strict=True):
        np.testing.assert_array_equal(pixels(one["path"]), pixels(two["path"]))
