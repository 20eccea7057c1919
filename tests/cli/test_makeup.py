"""`python -m studio makeup`: what is on stdout, on the disk, and the exit code."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from studio.core.images import to_png
from studio.core.recipe import Recipe
from tests.cli.command import again, answer, one_line, pixels, run, save, show_two_faces, work_in
from tests.makeups import MUNITS, MakeupEngine, photo_of

FIGURES = {"makeup", "gender_before", "gender_after", "id_distance", "lpips", "confidence_drop", "skin_delta_e", "ita_shift"}


@pytest.fixture
def studio(tmp_path, monkeypatch):
    """Every photo but a grey one shows two faces."""
    show_two_faces(monkeypatch)
    return work_in(tmp_path, MakeupEngine(tmp_path), monkeypatch)


@pytest.fixture
def photo(tmp_path) -> Path:
    return save(tmp_path / "anna.png", photo_of().rgb)


def test_every_look_has_a_picture_and_figures(capsys, studio, photo):
    made = answer(capsys, "makeup", photo, "--direction", "apply", "--keep", "1.0", "--looks", 3, "--seed", 3)
    assert [row["index"] for row in made["results"]] == [0, 1, 2] and made["faces"] == 2 and "2 faces" in made["words"][0]
    assert all(set(row) >= FIGURES and 0 <= row["makeup"] <= 1 for row in made["results"])
    assert made["keep"] == {"identity": 1, "gender": 1, "age": 1} and len(made["checkpoints"]) == 3
    assert {pixels(row["path"]).shape for row in made["results"]} == {(64, 72, 3)} and pixels(made["sheet"]).shape[1] > 1024
    repeated = again(capsys, made["results"][1]["path"], photo)
    np.testing.assert_array_equal(pixels(repeated["results"][1]["path"]), pixels(made["results"][1]["path"]))


def test_nothing_asked_is_the_photo(capsys, studio, photo):
    made = answer(capsys, "makeup", photo, "--looks", 1, "--amount", 0)
    np.testing.assert_array_equal(pixels(made["results"][0]["path"]), pixels(photo))


def test_looks_are_saved_used_again_and_mixed(capsys, studio, photo, tmp_path):
    made = answer(capsys, "makeup", photo, "--looks", 2, "--seed", 5, "--regions", "lips,eyes", "--save-looks")
    first, second = (Path(row["look"]) for row in made["results"])
    assert json.loads(first.read_text())["regions"] == ["lips", "eyes"]
    used = answer(capsys, "makeup", photo, "--look", first)["results"]  # laid on where it was made for
    np.testing.assert_array_equal(pixels(used[0]["path"]), pixels(made["results"][0]["path"]))
    mixed = answer(capsys, "makeup", photo, "--look", first, "--look", second, "--mix", 1, "--regions", "lips,eyes")
    assert [row["style"] for row in mixed["results"]] == [made["results"][1]["style"]]


def test_a_reference_gives_its_look(capsys, studio, photo, tmp_path):
    rosy = save(tmp_path / "rosy.png", (photo_of(2).rgb * (1.5, 1, 1)).astype(np.uint8))
    made = answer(capsys, "makeup", photo, "--reference", rosy)
    assert len(made["results"]) == 1 and made["results"][0]["style"][0] > 0.2
    assert Recipe.from_png(Path(made["results"][0]["path"])).parameters["styles"] == [made["results"][0]["style"]]
    more = answer(capsys, "makeup", photo, "--reference", rosy, "--looks", 3, "--seed", 5)["results"]
    drawn = answer(capsys, "makeup", photo, "--looks", 2, "--seed", 5)["results"]
    assert [row["style"] for row in more] == [row["style"] for row in made["results"] + drawn]
    repeated = again(capsys, more[2]["path"], photo)["results"]
    np.testing.assert_array_equal(pixels(repeated[2]["path"]), pixels(more[2]["path"]))
    assert "looks" in run(capsys, "makeup", photo, "--reference", rosy, "--looks", 40).err


def test_the_biased_answer_comes_beside_it(capsys, studio, photo):
    made = answer(capsys, "makeup", photo, "--looks", 1, "--biased", "--properties", "gender")
    (row,) = made["results"]
    assert made["keep"] == {"identity": 0, "gender": 1, "age": 0} and "biased" in Path(row["biased"]["path"]).name
    plain = answer(capsys, "makeup", photo, "--looks", 1, "--keep", 0)["results"][0]
    np.testing.assert_array_equal(pixels(plain["path"]), pixels(row["biased"]["path"]))


def test_people_read_words(capsys, studio, photo):
    done = run(capsys, "makeup", photo, "--pair", "age", "--direction", "younger", "--looks", 1, "--face", 2)
    assert done.code == 0 and "what changed" in done.out and "sheet:" in done.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("grey.png",), "or use another photo"),
        (("anna.png", "--face", "3"), "no face 3"),
        (("anna.png", "--direction", "sideways"), "there is apply, remove"),
        (("anna.png", "--pair", "hats"), "there is makeup, age"),
        (("anna.png", "--pair", "age", "--direction", "apply"), "older, younger"),
        (("anna.png", "--regions", "lips,nose"), "'nose'"),
        (("anna.png", "--keep", "2"), "between 0 and 1"),
        (("anna.png", "--looks", "13"), "1 to 12"),
        (("anna.png", "--properties", "ethnicity"), "cannot keep ethnicity"),
        (("anna.png", "--look", "none.json"), "could not be opened"),
        (("anna.png", "--look", "anna.png"), "no look"),
        (("anna.png", "--mix", "0.5"), "Two looks"),
    ],
)
def test_a_mistake_is_one_sentence(capsys, studio, photo, tmp_path, arguments, said):
    save(tmp_path / "grey.png", np.full((64, 64, 3), 128, np.uint8))
    assert said in one_line(run(capsys, "makeup", *arguments))


def test_missing_networks_are_named(capsys, studio, photo):
    for card in MUNITS[1::4]:
        studio.registry.remove(card.id)
    assert "munit-decoder-bare" in one_line(run(capsys, "makeup", photo))


def test_a_look_of_another_direction_is_refused(capsys, studio, photo):
    made = answer(capsys, "makeup", photo, "--looks", 1, "--direction", "remove", "--save-looks")
    assert "makeup, remove" in one_line(run(capsys, "makeup", photo, "--look", made["results"][0]["look"]))


def test_the_picture_says_that_only_a_part_was_made(capsys, studio, photo):
    path = Path(answer(capsys, "makeup", photo, "--looks", 1)["results"][0]["path"])
    assert b"compositeWithTrainedAlgorithmicMedia" in path.read_bytes() and len(to_png(pixels(path))) < path.stat().st_size
