"""`python -m studio morph`, `attributes`, `inpaint`, `classes` and `mix`: what is on stdout, on the disk, and the exit code."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from studio.core.recipe import Recipe
from tests.cli.command import again, answer, one_line, pixels, run, save, work_in
from tests.morphs import LABELS, MorphEngine, patches

CENTRE = ("--frame", "centre")


@pytest.fixture
def studio(tmp_path, monkeypatch):
    return work_in(tmp_path, MorphEngine(tmp_path), monkeypatch)


@pytest.fixture
def photos(tmp_path) -> list[Path]:
    return [save(tmp_path / f"photo-{seed}.png", patches(seed).rgb) for seed in (1, 2)]


@pytest.fixture
def mask(tmp_path) -> Path:
    hole = np.zeros((48, 48, 3), np.uint8)
    hole[18:30, 20:32] = 255
    return save(tmp_path / "mask.png", hole)


def test_a_morph_has_a_picture_for_each_frame_and_is_made_again(capsys, studio, photos):
    made = answer(capsys, "morph", *photos, "--frames", 4, "--steps", 2, *CENTRE)
    assert len(made["frames"]) == 4 and [row["photo"] for row in made["found"]] == ["photo-1.png", "photo-2.png"]
    assert made["seconds"] > 0 and len(made["checkpoints"]) == 3 and "video" not in made
    assert pixels(made["sheet"]).shape[1] > 6 * 128
    repeated = again(capsys, made["frames"][2], *photos)
    np.testing.assert_array_equal(pixels(repeated["frames"][2]), pixels(made["frames"][2]))


def test_a_morph_of_flowers_plays(capsys, studio, photos):
    made = answer(capsys, "morph", *photos, "--domain", "flowers", "--frames", 2, "--steps", 0, "--video")
    assert set(made["video"]) == {"mp4", "gif", "webp"} and Path(made["video"]["mp4"]).name == "morph.mp4"


def test_attributes_change_the_photo_and_nothing_asked_changes_nothing(capsys, studio, photos):
    made = answer(capsys, "attributes", photos[0], "--set", "smiling=1", "--set", "eyeglasses=-1", "--steps", 2, *CENTRE)
    assert made["condition"]["Smiling"] == 1 and made["condition"]["Eyeglasses"] == -1
    assert [reading["attribute"] for reading in made["readings"]] == ["Smiling", "Eyeglasses"]
    assert set(made["found"]["condition"]) == set(LABELS["faces"])
    assert pixels(made["path"]).shape == (48, 48, 3) and (pixels(made["path"]) != pixels(photos[0])).any()
    np.testing.assert_array_equal(pixels(again(capsys, made["path"], photos[0])["path"]), pixels(made["path"]))
    same = answer(capsys, "attributes", photos[0], "--steps", 2, *CENTRE)
    np.testing.assert_array_equal(pixels(same["path"]), pixels(photos[0]))
    assert same["condition"] == same["found"]["condition"]


def test_a_hole_is_filled_and_the_rest_of_the_photo_is_left(capsys, studio, photos, mask):
    made = answer(capsys, "inpaint", photos[0], "--mask", mask, "--iterations", 2, "--candidates", 2, *CENTRE)
    assert len(made["results"]) == 2 and {row["rank"] for row in made["results"]} == {1, 2} and made["iterations"] == 2
    hole, photo = pixels(mask)[:, :, 0] > 127, pixels(photos[0])
    for row in made["results"]:
        filled = pixels(row["path"])
        assert (filled[~hole] == photo[~hole]).all() and (filled[hole] != photo[hole]).any()
    assert made["best"] in [row["path"] for row in made["results"]]
    repeated = again(capsys, made["results"][1]["path"], photos[0])  # the mask is in the recipe
    np.testing.assert_array_equal(pixels(repeated["results"][1]["path"]), pixels(made["results"][1]["path"]))


def test_classes_are_listed_and_drawn(capsys, studio):
    assert answer(capsys, "classes", "--domain", "birds", "--list")["labels"] == ["American Goldfinch", "Blue Jay"]
    made = answer(capsys, "classes", "--domain", "birds", "--label", "blue jay", "--n", 3, "--seed", 3)
    assert len(made["results"]) == 3 and made["condition"] == {"Blue_Jay": 1.0}
    other = answer(capsys, "classes", "--domain", "birds", "--label", "Blue Jay", "--n", 1, "--seed", 3)
    np.testing.assert_array_equal(pixels(other["results"][0]["path"]), pixels(made["results"][0]["path"]))
    repeated = again(capsys, made["results"][2]["path"])
    np.testing.assert_array_equal(pixels(repeated["results"][2]["path"]), pixels(made["results"][2]["path"]))


def test_photos_and_classes_are_mixed(capsys, studio, photos):
    sources = "daisy", photos[0], "rose"
    made = answer(capsys, "mix", *sources, "--weights", "1,0,3", "--domain", "flowers", "--n", 2, "--steps", 0)
    assert made["condition"] == {"rose": 0.75, "daisy": 0.25} and len(made["results"]) == 2
    repeated = again(capsys, made["results"][1]["path"], photos[0])
    np.testing.assert_array_equal(pixels(repeated["results"][1]["path"]), pixels(made["results"][1]["path"]))
    assert Recipe.from_png(Path(made["sheet"])).verb == "mix"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("morph", "photo-1.png"), "choose two"),
        (("attributes", "photo-1.png", "--set", "Smilng=1", "--frame", "centre"), "Smiling"),
        (("attributes", "photo-1.png", "--set", "Smiling=much"), "a number"),
        (("attributes", "photo-1.png", "--set", "Smiling=3"), "between -1"),
        (("inpaint", "photo-1.png", "--mask", "photo-1.png", "--iterations", "0"), "iterations"),
        (("classes", "--label", "dasy"), "daisy"),
        (("classes", "--domain", "trees", "--label", "oak"), "flowers"),
        (("mix", "daisy", "rose"), "photos"),
    ],
)
def test_a_mistake_is_one_sentence(capsys, studio, photos, arguments, said):
    done = run(capsys, *arguments)
    assert said in one_line(done)


def test_a_mask_of_another_size_is_told_from_the_photo(capsys, studio, photos, tmp_path):
    wrong = save(tmp_path / "wrong.png", np.full((40, 60, 3), 255, np.uint8))
    done = run(capsys, "inpaint", photos[0], "--mask", wrong, *CENTRE)
    assert "60 x 40" in one_line(done) and "48 x 48" in done.err
