"""`python -m studio invert` and `traverse`: what is on stdout, on stderr, on the disk, and the exit code."""

from __future__ import annotations

import io
import json
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from studio.core.images import to_png
from studio.core.recipe import Recipe
from studio.pipelines import dream, manifold
from tests.cli.command import one_line, pixels, run, work_in
from tests.walks import STYLES, WalkEngine, reverse, save_person

CENTRE = ("--frame", "centre", "--json")


@pytest.fixture
def studio(tmp_path, monkeypatch):
    monkeypatch.setattr(manifold.reversal, "invert", reverse)
    return work_in(tmp_path, WalkEngine(tmp_path), monkeypatch)


@pytest.fixture
def people(tmp_path) -> list[Path]:
    return [save_person(tmp_path, red) for red in (40, 90, 150, 220)]


def test_json_alone_says_how_near_a_photo_was_found(capsys, studio, people):
    done = run(capsys, "invert", people[0], "--steps", "8", *CENTRE)
    assert done.code == 0 and done.err == ""
    answer = json.loads(done.out)
    assert answer["psnr"] > 30 and answer["lpips"] >= 0 and answer["seconds"] >= 0 and answer["steps"] == 8
    assert np.shape(answer["code"]) == (STYLES, 24) and answer["words"][0] == "very close"
    assert Recipe.from_png(Path(answer["path"])).verb == "invert" and Path(answer["path"]).name == "person-40-found.png"


def test_began_encodes_without_reversal(capsys, studio, people):
    answer = json.loads(run(capsys, "invert", people[0], "--generator", "began", *CENTRE).out)
    assert answer["steps"] == 0 and np.shape(answer["code"]) == (24,)


def test_a_walk_ends_at_the_faces_and_has_a_row_per_animal(capsys, studio, people, tmp_path):
    arguments = "traverse", *people[:2], "--frames", 5, "--animals", "Lion,fox", "--out", tmp_path / "out"
    answer = json.loads(run(capsys, *arguments, *CENTRE).out)
    assert [row["animal"] for row in answer["rows"]] == [None, "lion", "fox"] and answer["array"] is None
    walk = answer["rows"][0]["frames"]
    assert len(walk) == 5 and answer["evenness"] >= 1 and "video" not in answer
    for frame, face in ((walk[0], answer["faces"][0]), (walk[-1], answer["faces"][1])):
        np.testing.assert_array_equal(pixels(frame), pixels(face["path"]))
    assert Recipe.from_png(Path(answer["rows"][1]["frames"][2])).parameters["animal"] == "lion"
    assert pixels(answer["sheet"]).shape[0] > 3 * 128


def test_four_faces_make_an_array_and_all_makes_every_animal(capsys, studio, people):
    answer = json.loads(run(capsys, "traverse", *people, "--frames", 4, "--animals", "all", *CENTRE).out)
    assert [row["animal"] for row in answer["rows"]] == [None, "lion", "fox"]
    assert pixels(answer["array"]).shape[0] > 4 * 128


def test_a_dense_loop_is_another_way_between_the_same_faces(capsys, studio, people):
    arguments = "traverse", *people[:2], "--loop", *CENTRE, "--path"
    ways = [json.loads(run(capsys, *arguments, path).out) for path in ("linear", "dense")]
    straight, dense = ([pixels(frame) for frame in way["rows"][0]["frames"]] for way in ways)
    assert len(dense) == len(straight) == 9 and not np.array_equal(dense[4], straight[4])
    np.testing.assert_array_equal(dense[0], straight[0])


def test_films_play(capsys, studio, people):
    answer = json.loads(run(capsys, "traverse", *people[:2], "--frames", 3, "--animals", "lion", "--video", *CENTRE).out)
    assert set(answer["video"]) == {"mp4", "gif", "webp"}
    with av.open(io.BytesIO(Path(answer["video"]["mp4"]).read_bytes())) as container:
        frames = list(container.decode(video=0))
    assert (frames[0].width, frames[0].height) == (64, 128) and len(frames) == 2 * (manifold.PAUSE + 12)
    for kind in ("gif", "webp"):
        with Image.open(answer["video"][kind]) as image:
            assert image.n_frames > 6


def test_a_dream_is_walked_from_exactly(capsys, studio, people, tmp_path):
    candidate = next(s for s in dream.dream(studio, dream.DreamRequest(count=1)) if isinstance(s, dream.Candidate))
    (tmp_path / "dream.png").write_bytes(to_png(np.kron(candidate.image, np.ones((3, 3, 1), np.uint8)), candidate.recipe))
    answer = json.loads(run(capsys, "traverse", tmp_path / "dream.png", people[0], *CENTRE).out)
    assert answer["faces"][0]["psnr"] is None and "dreamt" in answer["faces"][0]["words"][0]
    np.testing.assert_allclose(answer["faces"][0]["code"][0], candidate.latent, rtol=1e-6)


def test_a_walk_is_made_again_from_its_sheet(capsys, studio, people, tmp_path):
    first = json.loads(run(capsys, "traverse", *people[:2], "--animals", "fox", *CENTRE).out)
    again = json.loads(run(capsys, "again", first["sheet"], *people, "--out", tmp_path / "again", "--json").out)
    assert again["exact"]
    np.testing.assert_array_equal(pixels(again["sheet"]), pixels(first["sheet"]))
    found = json.loads(run(capsys, "again", first["faces"][1]["path"], people[1], "--out", tmp_path / "again", "--json").out)
    np.testing.assert_array_equal(pixels(found["faces"][0]["path"]), pixels(first["faces"][1]["path"]))


def test_people_get_words(capsys, studio, people, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    done = run(capsys, "invert", people[0], "--frame", "centre")
    assert done.code == 0 and "very close" in done.out and "dB" in done.out
    done = run(capsys, "traverse", *people[:2], "--frame", "centre", "--video")
    assert done.code == 0 and "frames" in done.out and "walk.mp4" in done.out and "sheet.png" in done.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--generator", "dcgan"], "'dcgan'; there is flagship and began"),
        (["--animals", "dragon"], "'dragon'; there is lion, fox"),
        (["--animals", ","], "commas"),
        (["--frames", "1"], "from 2"),
        (["--path", "curved"], "spherical, linear, dense"),
        (["--steps", "-1"], "steps"),
        (["--strength", "3"], "between 0"),
    ],
)
def test_a_mistake_is_one_line(capsys, studio, people, arguments, message):
    assert message in one_line(run(capsys, "traverse", *people[:2], *arguments, *CENTRE))
    assert not Path("results").exists()


def test_one_photo_is_no_walk_and_five_are_too_many(capsys, studio, people, tmp_path):
    assert "at least two faces" in one_line(run(capsys, "traverse", people[0], *CENTRE))
    assert "at most 4" in one_line(run(capsys, "traverse", *people, people[0], *CENTRE))
    assert "bob.png" in one_line(run(capsys, "invert", tmp_path / "bob.png", *CENTRE))
