"""What lies behind the screen: engine, desks and galleries."""

from __future__ import annotations

import pytest

from studio.core.images import PhotoError, to_png
from studio.ui.session import Backstage, Desk, Slot


class Engine:
    def __init__(self):
        self.closed = False

    def close(self):
        self.closed = True


@pytest.fixture
def backstage():
    backstage = Backstage(Engine)
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


def test_an_engine_that_fails_says_why_at_every_click():
    def broken():
        raise ValueError("there is no device cuda")

    backstage = Backstage(broken)
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


def test_closing_removes_every_visit_from_the_disk(backstage):
    backstage.gallery(Desk())
    folder = backstage._folder
    assert folder.exists()
    backstage.close()
    assert not folder.exists()


def test_a_large_photo_is_read_again_and_a_small_one_is_kept(tmp_path, monkeypatch):
    import numpy as np

    path = tmp_path / "a.png"
    path.write_bytes(to_png(np.zeros((40, 40, 3), np.uint8)))
    small = Slot.open(path, "a.png")
    monkeypatch.setattr("studio.ui.session.KEPT_PIXELS", 100)
    large = Slot.open(path, "a.png")
    path.unlink()
    assert small.photo().rgb.shape == (40, 40, 3)
    with pytest.raises(PhotoError):
        large.photo()
