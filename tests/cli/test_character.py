"""`python -m studio character` and `evaluate character`: what is on stdout, on stderr, on the disk, and the exit code."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from skimage import data

from studio.cli import files, options
from studio.core.faces import Face
from studio.core.images import open_photo
from studio.core.recipe import Recipe
from studio.core.registry import default_registry
from studio.pipelines import photos
from studio.pipelines.parts import list_animals
from tests.cli.command import ROOT, one_line, run, save, work_in
from tests.fakes import JUDGE, FakeEngine, translator

EYES = np.array([[204.5, 101.5], [247.5, 104]], np.float32)  # of the astronaut, px


@pytest.fixture
def studio(tmp_path, monkeypatch):
    """A lion and a fox; every photo but a grey one shows one face."""
    fake = FakeEngine(tmp_path, [translator("lion"), translator("fox", study="few pictures"), JUDGE])
    face = Face(EYES, (170, 50, 110, 110), 0.9)
    monkeypatch.setattr(photos, "find_faces", lambda engine, rgb: (face,) if rgb.std() > 0 else ())
    return work_in(tmp_path, fake, monkeypatch)


@pytest.fixture
def anna(tmp_path) -> Path:
    return save(tmp_path / "anna.png", data.astronaut())


def test_json_alone_names_every_result(capsys, studio, anna, tmp_path):
    done = run(capsys, "character", anna, "--animals", "all", "--out", tmp_path / "new" / "out", "--json")
    assert done.code == 0 and done.err == ""
    answer = json.loads(done.out)
    assert [(row["photo"], row["animal"]) for row in answer["results"]] == [(str(anna), "lion"), (str(anna), "fox")]
    lion = answer["results"][0]
    assert lion["face_score"] in (0.0, 1.0) and 0 <= lion["animal_score"] <= 1 and lion["seconds"] > 0
    assert [row["study"] for row in answer["results"]] == [None, "few pictures"]
    assert Path(lion["path"]).name == "anna-lion.png" and Path(answer["sheet"]).name == "sheet.png"
    assert Image.open(answer["sheet"]).size[0] > 3 * 128


def test_a_saved_picture_carries_its_recipe(capsys, studio, anna):
    answer = json.loads(run(capsys, "character", anna, "--animals", "lion", "--strength", "0.5", "--json").out)
    recipe = Recipe.from_png(Path(answer["results"][0]["path"]))
    assert recipe.parameters["animals"] == ["lion"] and recipe.parameters["strength"] == 0.5
    assert recipe.inputs[0].sha256 == open_photo(anna).sha256 and recipe.inputs[0].eyes[0] == (204.5, 101.5)
    assert Recipe.from_png(Path(answer["sheet"])).parameters == recipe.parameters


def test_photos_of_one_name_and_results_of_another_day_are_not_replaced(capsys, studio, anna, tmp_path):
    other = save(tmp_path / "more" / "anna.png", data.astronaut()[::-1])
    out = tmp_path / "out"
    first = json.loads(run(capsys, "character", anna, other, "--animals", "lion", "--out", out, "--json").out)
    assert [Path(row["path"]).name for row in first["results"]] == ["anna-lion.png", "anna-lion-2.png"]
    assert [row["photo"] for row in first["results"]] == [str(anna), str(other)]
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    run(capsys, "character", other, "--animals", "lion", "--out", out, "--json")
    assert {name: (out / name).read_bytes() for name in before} == before
    assert len(list(out.iterdir())) == 5


def test_animals_may_be_named_as_people_write_them(capsys, studio, anna):
    done = run(capsys, "character", anna, "--animals", " Lion, FOX,", "--json")
    assert [row["animal"] for row in json.loads(done.out)["results"]] == ["lion", "fox"]
    assert options.animals_in("Chow Chow,egyptian-cat") == ("chow_chow", "egyptian_cat")


def test_a_picture_is_made_again_from_its_photo_alone(capsys, studio, anna, tmp_path, monkeypatch):
    other = save(tmp_path / "bob.png", data.astronaut()[::-1])
    made = json.loads(run(capsys, "character", anna, other, "--strength", "0.7", "--json").out)
    fox = next(row for row in made["results"] if (row["photo"], row["animal"]) == (str(other), "fox"))
    monkeypatch.setattr(photos, "find_faces", lambda engine, rgb: ())  # the recipe knows the eyes
    again = json.loads(run(capsys, "again", fox["path"], anna, other, "--out", tmp_path / "again", "--json").out)
    assert again["exact"] and [(row["photo"], row["animal"]) for row in again["results"]] == [(str(other), "fox")]
    np.testing.assert_array_equal(*(np.asarray(Image.open(row["path"])) for row in (fox, again["results"][0])))
    studio.registry.add(replace(translator("fox"), sha256="e" * 64))
    assert not json.loads(run(capsys, "again", fox["path"], other, "--json").out)["exact"]
    assert "networks have changed" in run(capsys, "again", fox["path"], other).out


def test_making_again_names_the_photo_that_it_needs(capsys, studio, anna, tmp_path):
    other = save(tmp_path / "bob.png", data.astronaut()[::-1])
    made = json.loads(run(capsys, "character", anna, "--animals", "fox", "--json").out)
    assert "anna.png" in one_line(run(capsys, "again", made["sheet"], other, "--json"))
    assert "no recipe" in one_line(run(capsys, "again", anna, anna, "--json"))


def test_people_get_words(capsys, studio, anna, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    done = run(capsys, "character", anna)
    assert done.code == 0 and "anna-fox.png" in done.out and "reads as" in done.out and "sheet.png" in done.out


def test_a_photo_without_a_face_is_one_line_and_nothing_is_written(capsys, studio, tmp_path):
    grey = save(tmp_path / "wall.png", np.full((64, 64, 3), 99, np.uint8))
    line = one_line(run(capsys, "character", grey, "--out", tmp_path / "out", "--json"))
    assert "No face was found in wall.png" in line and "centre" in line
    assert not (tmp_path / "out").exists()
    assert run(capsys, "character", grey, "--frame", "centre", "--out", tmp_path / "out", "--json").code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--animals", "dragon"], "no animal 'dragon'; there is lion, fox"),
        (["--animals", ","], "commas"),
        (["--strength", "2"], "between 0"),
        (["--strength", "much"], "--strength"),
        (["--frame", "tight"], "frame"),
        (["--face", "2"], "no face 2 in anna.png, which shows one face"),
        (["--face", "0"], "--face"),
        (["--face", "1", "--frame", "centre"], "auto"),
    ],
)
def test_a_mistake_is_one_line(capsys, studio, anna, arguments, message):
    assert message in one_line(run(capsys, "character", anna, "--json", *arguments))


def test_a_photo_that_is_not_there_is_one_line(capsys, studio, anna, tmp_path):
    assert "bob.png" in one_line(run(capsys, "character", anna, tmp_path / "bob.png", "--json"))
    assert one_line(run(capsys, "character", tmp_path, "--json"))
    assert one_line(run(capsys, "character", "--json"))


def test_a_folder_that_cannot_be_written_is_one_line(capsys, studio, anna):
    assert "--out" in one_line(run(capsys, "character", anna, "--out", anna, "--json"))
    assert "--out" in one_line(run(capsys, "character", anna, "--out", anna / "below", "--json"))


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="only Linux has a device that is always full")
def test_a_full_disk_leaves_no_half_picture(capsys, studio, anna, tmp_path, monkeypatch):
    out = tmp_path / "out"
    out.mkdir()

    def open_full(folder, stem, kind):
        (folder / f"{stem}.png").write_bytes(b"half")
        return folder / f"{stem}.png", open("/dev/full", "wb")

    monkeypatch.setattr(files, "open_new", open_full)
    line = one_line(run(capsys, "character", anna, "--out", out, "--json"))
    assert "make room on the disk" in line and os.strerror(errno.ENOSPC) in line
    assert not list(out.iterdir())


def test_evaluating_without_the_packs_is_one_line(capsys, studio, tmp_path):
    assert "faces128.zip" in one_line(run(capsys, "evaluate", "character", "--animals", "lion", "--data", tmp_path, "--json"))
    assert "there is lion, fox" in one_line(run(capsys, "evaluate", "character", "--animals", "dragon", "--json"))


# --- the command as it is shipped -------------------------------------------------------------------------------------

SHIPPED = list_animals(default_registry())


def shipped(*arguments) -> SimpleNamespace:
    command = [sys.executable, "-m", "studio", "character", *(str(argument) for argument in arguments)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    return SimpleNamespace(code=done.returncode, out=done.stdout, err=done.stderr)


@pytest.mark.skipif(not SHIPPED, reason="no networks are shipped")
def test_the_shipped_studio_makes_every_animal_it_has(anna, tmp_path):
    done = shipped(anna, "--out", tmp_path / "out", "--json")
    assert done.code == 0, done.err
    answer = json.loads(done.out)
    assert [row["animal"] for row in answer["results"]] == [info.name for info in SHIPPED]
    assert all(Image.open(row["path"]).format == "PNG" for row in answer["results"])


@pytest.mark.skipif(not SHIPPED, reason="no networks are shipped")
def test_the_shipped_studio_refuses_a_photo_without_a_face_in_one_line(tmp_path):
    texture = save(tmp_path / "wall.png", data.brick())
    assert "No face was found in wall.png" in one_line(shipped(texture, "--out", tmp_path / "out", "--json"))
