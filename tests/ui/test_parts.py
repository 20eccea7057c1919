"""How pictures and events travel between the page and the studio."""

from __future__ import annotations

from pathlib import Path

import gradio as gr
import pytest

from studio.core.checkpoints import CheckpointError
from studio.ui.parts import asset, event_value, guarded, listed, served, stopping
from studio.ui.session import Desk, Run
from studio.ui.shell import look


@pytest.mark.parametrize("name", ["../../etc/passwd", "a/b.png", "<img>.png", "", "..", "Ada as a lion.png"])
def test_a_served_file_keeps_inside_the_cache(name, tmp_path):
    file = served(b"data", name)
    assert Path(file["path"]).is_relative_to(tmp_path.resolve()) and Path(file["path"]).read_bytes() == b"data"
    assert not set(file["orig_name"]) & set("/\\<>")


def test_a_file_that_is_served_again_is_not_written_again_under_its_reader():
    first = Path(served(b"data", "a.png")["path"])
    before = first.stat()
    assert Path(served(b"data", "a.png")["path"]) == first
    assert (first.stat().st_ino, first.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert [path.name for path in first.parent.iterdir()] == ["a.png"]


def test_names_are_listed_as_in_a_sentence():
    assert [listed("abc"[:count]) for count in (1, 2, 3)] == ["a", "a and b", "a, b and c"]


def test_an_event_without_its_value_is_none():
    assert event_value(gr.EventData(None, None), "photo") is None
    assert event_value(gr.EventData(None, {"photo": 3}), "photo") == 3


def test_stop_ends_what_runs_in_its_own_room_and_can_be_pressed_once():
    desk, rooms = Desk(), {"holes": Desk(), "dream": Desk()}
    same, button = stopping(lambda _: rooms["holes"])(desk)
    assert same is desk and [desk.stopped, rooms["holes"].stopped, rooms["dream"].stopped] == [False, True, False]
    assert button.interactive is False


@pytest.mark.parametrize("error", [ValueError, CheckpointError, RuntimeError])
def test_an_error_is_a_sentence_above_the_buttons_and_the_canvas_stays(error):
    desk, room = Desk(), Run()

    def begin():
        room.value |= {"busy": True, "done": 2}
        yield "made so far"
        raise error("Pull it first.")

    made, (same, value, *skipped, sentence, make, stop, behind) = guarded(desk, room, begin, between=2, after=1)
    assert made == "made so far" and same is desk and skipped == [gr.skip()] * 2 and behind == gr.skip()
    assert not value["busy"] and [value["done"], value["message"]] == [2, "Not finished."]
    assert ">Pull it first.<" in sentence and [make.interactive, stop.interactive] == [True, False]


def test_a_mistake_of_the_studios_own_is_no_sentence():
    with pytest.raises(LookupError):
        list(guarded(Desk(), Run(), lambda: iter({}["nowhere"])))


def test_the_page_names_nothing_outside():
    text = str(look()["css"]) + look()["head"]
    assert "http://" not in text.replace("http://www.w3.org", "") and "https://" not in text and "url(" not in text
    assert "</script>" not in asset("studio.js")


def test_file_names_never_become_markup():
    assert "innerHTML" not in asset("studio.js")
