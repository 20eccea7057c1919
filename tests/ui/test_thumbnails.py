"""Small pictures under addresses that nobody can guess."""

from __future__ import annotations

import numpy as np
import pytest
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

from studio.core.recipe import Recipe
from studio.core.workspace import Workspaces
from studio.ui import thumbnails
from studio.ui.thumbnails import ServeThumbnails, Thumbnails

RECIPE = Recipe(tab="character", verb="translate", checkpoints={"cyclegan-lion-64": "0" * 64})


@pytest.fixture
def workspaces(tmp_path):
    workspaces = Workspaces(tmp_path, public=True)
    yield workspaces
    workspaces.close()


@pytest.fixture
def small(workspaces):
    return Thumbnails(lambda token: workspaces.open(token).gallery)


@pytest.fixture
def kept(workspaces):
    """A visitor's token, gallery, and the id of a picture in it."""
    token, workspace = workspaces.create()
    return token, workspace.gallery, workspace.gallery.add(np.zeros((32, 48, 3), np.uint8), RECIPE).id


@pytest.fixture
def browser(small):
    page = PlainTextResponse("the page")
    return TestClient(ServeThumbnails(page, small))


def test_a_browser_gets_the_picture_and_keeps_it(browser, small, kept):
    token, gallery, item = kept
    answer = browser.get(small.file(token, item)["url"])
    assert answer.content == gallery.thumbnail(item) and answer.headers["content-type"] == "image/webp"
    assert "immutable" in answer.headers["cache-control"] and "private" in answer.headers["cache-control"]
    assert browser.get("/studio/" + small.file(token, item)["url"]).status_code == 200  # behind a proxy with a path of its own


@pytest.mark.parametrize("guess", ["", "x.webp", "../gallery.db", f"{'0' * 64}.webp", "%2e%2e/%2e%2e/etc/passwd"])
def test_what_was_not_given_out_is_not_here(browser, small, kept, guess):
    small.file(kept[0], kept[2])
    answer = browser.get(f"/thumbnails/{guess}")
    assert answer.status_code == 404 or answer.text == "the page"


def test_an_address_tells_nothing_and_changes_with_the_studio(small, kept):
    token, _, item = kept
    url = small.file(token, item)["url"]
    assert token not in url and item not in url
    assert Thumbnails(lambda _: None).file(token, item)["url"] != url


def test_what_was_removed_or_has_expired_is_gone(browser, small, kept, workspaces):
    token, gallery, item = kept
    url = small.file(token, item)["url"]
    gallery.delete(item)
    gallery.purge(item)
    assert browser.get(url).status_code == 404
    assert browser.get(small.file("an expired token", item)["url"]).status_code == 404


def test_only_so_many_addresses_are_remembered(small, kept, monkeypatch):
    monkeypatch.setattr(thumbnails, "MOST", 2)
    names = [small.file(kept[0], item)["url"][len("thumbnails/") : -len(".webp")] for item in (kept[2], "b", "c")]
    assert small.read(names[0]) is None and len(small._given) == 2


def test_everything_else_is_the_page(browser):
    assert browser.get("/").text == browser.get("/thumbnails").text == "the page"
