"""What lies behind the screen: engine, desks and galleries."""

from __future__ import annotations

import time

import numpy as np
import pytest

from studio.core.images import PhotoError, to_png
from studio.core.recipe import Recipe
from studio.core.workspace import Workspaces
from studio.ui.session import Backstage, Desk, Slot


class Engine:
    def __init__(self):
        self.closed = False

    def close(self):
        self.closed = True


@pytest.fixture
def workspaces(tmp_path):
    return Workspaces(tmp_path / "data")


@pytest.fixture
def backstage(workspaces):
    backstage = Backstage(Engine, workspaces)
    yield backstage
    backstage.close()


def test_the_engine_is_made_behind_the_page_and_warm_ups_may_fail(backstage):
    seen = []

    def broken(engine):
        raise ValueError("no picture")

    backstage.start(broken, seen.append)
    assert isinstance(backstage.engine(), Engine)
    backstage._thread.join(10)
    assert seen == [backstage.engine()]


def test_an_engine_that_fails_says_why_at_every_click(workspaces):
    def broken():
        raise ValueError("there is no device cuda")

    backstage = Backstage(broken, workspaces)
    backstage.start()
    for _ in range(2):
        with pytest.raises(RuntimeError, match="no device cuda"):
            backstage.engine()
    backstage.close()


def test_every_desk_has_a_gallery_of_its_own(backstage):
    first, second = Desk(), Desk()
    assert backstage.gallery(first) is backstage.gallery(first)
    assert backstage.gallery(first) is not backstage.gallery(second)
    assert first.token and first.token != second.token


def test_a_token_opens_its_gallery_again_after_a_restart(backstage, workspaces):
    desk = Desk()
    kept = backstage.gallery(desk).add(np.zeros((8, 8, 3), np.uint8), Recipe(tab="character", verb="translate"))
    backstage.close()
    again = Backstage(Engine, Workspaces(workspaces.root))
    assert again.gallery(Desk(token=desk.token)).get(kept.id) == kept
    again.close()


@pytest.mark.parametrize("token", ["", "x" * 43, "../" * 14 + "x", "local"])
def test_a_token_that_opens_nothing_is_replaced_by_a_new_one(backstage, token):
    desk = Desk(token=token)
    assert backstage.gallery(desk).count() == 0 and desk.token != token
    assert backstage.gallery(desk) is backstage.gallery(Desk(token=desk.token))


def test_the_artist_at_this_computer_has_one_gallery_and_no_token(workspaces):
    backstage = Backstage(Engine, workspaces, personal=True)
    first, second = Desk(), Desk(token="x" * 43)
    assert backstage.gallery(first) is backstage.gallery(second) is workspaces.local().gallery
    assert first.token == ""
    backstage.close()


def test_expired_workspaces_are_swept_while_the_studio_runs(tmp_path, monkeypatch):
    monkeypatch.setattr("studio.ui.session.SWEEP_SECONDS", 0.05)
    workspaces = Workspaces(tmp_path / "data", public=True, lifetime=0.01)
    backstage = Backstage(Engine, workspaces)
    backstage.gallery(Desk())
    backstage.start()
    deadline = time.monotonic() + 20
    while list((tmp_path / "data" / "visitors").iterdir()) and time.monotonic() < deadline:
        time.sleep(0.05)
    backstage.close()
    assert not list((tmp_path / "data" / "visitors").iterdir())


def test_a_large_photo_is_read_again_and_a_small_one_is_kept(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    path.write_bytes(to_png(np.zeros((40, 40, 3), np.uint8)))
    small = Slot.open(path, "a.png")
    monkeypatch.setattr("studio.ui.session.KEPT_PIXELS", 100)
    large = Slot.open(path, "a.png")
    path.unlink()
    assert small.photo().rgb.shape == (40, 40, 3)
    with pytest.raises(PhotoError):
        large.photo()
