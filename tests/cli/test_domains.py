"""`python -m studio domains`: what is on stdout, on the disk, and the exit code."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from studio.core.recipe import Recipe
from studio.pipelines import domains as domains_module
from tests.cli.command import again, answer, one_line, pixels, run, save, show_two_faces, work_in
from tests.domains import LABELS, DomainsEngine, sdit
from tests.makeups import photo_of


@pytest.fixture
def studio(tmp_path, monkeypatch):
    """Every photo but a grey one shows two faces."""
    monkeypatch.setattr(domains_module, "SHOWN", 96)
    show_two_faces(monkeypatch)
    return work_in(tmp_path, DomainsEngine(tmp_path), monkeypatch)


@pytest.fixture
def photo(tmp_path) -> Path:
    return save(tmp_path / "anna.png", photo_of().rgb)


def test_every_picture_has_a_file_and_figures(capsys, studio, photo):
    asked = "--to", "Smiling,Blond_Hair+no:Male", "--styles", 2, "--seed", 5, "--attention"
    made = answer(capsys, "domains", photo, *asked)
    rows, places = made["results"], [(target, column) for target in asked[1].split(",") for column in (0, 1)]
    assert [(row["target"], row["column"]) for row in rows] == places
    assert set(rows[2]["asked"]) == {"Blond_Hair", "Male"} and not rows[2]["asked"]["Male"]["on"]
    assert all(0 <= row["asked"]["Smiling"]["before"] <= 1 and row["lpips"] > 0 and row["id_distance"] >= 0 for row in rows[:2])
    assert {row["attention"] for row in rows} == {0.5} and pixels(rows[0]["attention_path"]).shape == (96, 96, 3)
    assert {pixels(row["path"]).shape for row in rows} == {(64, 72, 3)}
    assert Path(rows[2]["path"]).name == "anna-Blond_Hair+no-Male-1.png" and made["seed"] == 5
    assert made["sheet"] == made["photos"][0]["sheet"] and "2 faces" in made["photos"][0]["words"][0]
    repeated = again(capsys, rows[3]["path"], photo)
    np.testing.assert_array_equal(pixels(repeated["results"][3]["path"]), pixels(rows[3]["path"]))


def test_no_strength_is_the_photo(capsys, studio, photo):
    made = answer(capsys, "domains", photo, "--to", "Smiling", "--styles", 1, "--strength", 0)
    np.testing.assert_array_equal(pixels(made["results"][0]["path"]), pixels(photo))


def test_the_change_is_held_to_where_the_network_attends(capsys, studio, photo):
    asked = "domains", photo, "--to", "Smiling", "--styles", 1, "--json"
    free, held = (answer(capsys, *asked, *more)["results"][0] for more in ((), ("--attended",)))
    change = [abs(pixels(row["path"]).astype(int) - pixels(photo))[:, 40:].sum() for row in (free, held)]
    assert change[1] < change[0] / 4 and Recipe.from_png(Path(held["path"])).parameters["attention"] is True


def test_what_is_asked_for_tells_the_domains(capsys, studio, photo):
    painted = answer(capsys, "domains", photo, "--to", "van_gogh", "--styles", 1, "--attention")
    assert painted["domains"] == "art" and painted["results"][0]["asked"] == {} and "attention_path" not in painted["results"][0]
    named = answer(capsys, "domains", photo, "--domains", "cars", "--styles", 1)
    assert [row["target"] for row in named["results"]] == list(LABELS["cars"])
    everything = answer(capsys, "domains", photo, "--styles", 1)
    assert everything["domains"] == "attributes" and len(everything["results"]) == len(LABELS["attributes"])


def test_several_photos_have_a_sheet_each_and_one(capsys, studio, photo, tmp_path):
    other = save(tmp_path / "ben.png", photo_of(2).rgb)
    made = answer(capsys, "domains", photo, other, "--to", "Smiling", "--styles", 2)
    assert [row["photo"] for row in made["results"]] == ["anna.png"] * 2 + ["ben.png"] * 2
    assert len({made["sheet"], *(row["sheet"] for row in made["photos"])}) == 3
    assert pixels(made["sheet"]).shape[0] > pixels(made["photos"][0]["sheet"]).shape[0]


def test_a_liked_style_is_put_on_another_photo(capsys, studio, photo, tmp_path):
    made = answer(capsys, "domains", photo, "--to", "Smiling,Male", "--styles", 2, "--save-styles")
    other = save(tmp_path / "ben.png", photo_of(2).rgb)
    liked = made["results"][3]
    used = answer(capsys, "domains", other, "--style", liked["style_file"])["results"]
    assert [(row["target"], row["style"]) for row in used] == [("Male", liked["style"])]
    assert Recipe.from_png(Path(used[0]["path"])).parameters["styles"] == [liked["style"]]
    assert "is a style of faces" in one_line(run(capsys, "domains", other, "--domains", "cars", "--style", liked["style_file"]))


def test_a_broken_lock_is_said(capsys, studio, photo):
    asked = "domains", photo, "--to", "Pale_Skin", "--styles", 1, "--lock", "skin,identity"
    row = answer(capsys, *asked)["results"][0]
    assert row["warnings"] == ["skin is lighter"]
    done = run(capsys, *asked)
    assert done.code == 0 and "breaks a lock: skin is lighter" in done.out and "sheet:" in done.out


def test_what_there_is_is_listed(capsys, studio):
    studio.registry.remove(sdit("art").id)
    made = answer(capsys, "domains", "--list")
    assert [row["domains"] for row in made["domains"]] == ["attributes", "cars"] and made["missing"] == "Not here yet: paintings."
    assert made["domains"][0]["labels"]["Eyeglasses"] == "glasses"
    assert "Not here yet" in run(capsys, "domains", "--list").out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "Name a photo"),
        (("grey.png",), "or use another photo"),
        (("anna.png", "grey.png"), "grey.png"),
        (("anna.png", "--face", "3"), "no face 3"),
        (("anna.png", "--to", "Smile"), "there is Smiling"),
        (("anna.png", "--to", "no:"), "Name what a result shall show"),
        (("anna.png", "--domains", "hats"), "there is attributes, art, cars"),
        (("anna.png", "--to", "red+blue"), "one thing at a time"),
        (("anna.png", "--to", "Brown_Hair+Blond_Hair"), "one colour"),
        (("anna.png", "--lock", "hair"), "there is identity"),
        (("anna.png", "--strength", "2"), "between 0"),
        (("anna.png", "--styles", "13"), "1 to 12"),
        (("anna.png", "--style", "none.json"), "could not be opened"),
        (("anna.png", "--style", "anna.png"), "no style"),
    ],
)
def test_a_mistake_is_one_sentence(capsys, studio, photo, tmp_path, arguments, said):
    save(tmp_path / "grey.png", np.full((64, 64, 3), 128, np.uint8))
    assert said in one_line(run(capsys, "domains", *arguments))
    assert not (tmp_path / "results").exists()


def test_missing_networks_are_named(capsys, studio, photo):
    for domains in ("attributes", "art"):
        studio.registry.remove(sdit(domains).id)
    assert "network for faces is not here yet" in one_line(run(capsys, "domains", photo, "--domains", "attributes"))
    assert answer(capsys, "domains", photo, "--styles", 1)["domains"] == "cars"  # what there is, where nobody says
