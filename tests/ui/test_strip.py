"""The strip's answers to honest and to forged events."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from studio.core.recipe import Recipe
from studio.core.workspace import Workspaces
from studio.ui.session import STRIP_PAGE, Backstage, Desk
from studio.ui.strip import Strip, strip_value
from tests.ui.stand_ins import event

RECIPE = Recipe(tab="character", verb="translate", checkpoints={"cyclegan-lion-64": "0" * 64})


@pytest.fixture
def backstage(tmp_path):
    backstage = Backstage(lambda: None, Workspaces(tmp_path / "data", public=True))
    yield backstage
    backstage.close()


@pytest.fixture
def strip(backstage):
    return Strip(backstage)


def keep(backstage, desk, number: int = 3) -> list[str]:
    """Ids of new pictures, newest first."""
    gallery = backstage.gallery(desk)
    kept = [gallery.add(np.full((8, 8, 3), n, np.uint8), RECIPE, name=f"Picture {n}").id for n in range(number)]
    return kept[::-1]


def ids(value) -> list[str]:
    return [item["id"] for item in value["items"]]


def served_bytes(contents) -> bytes:
    return Path(contents["file"]["path"]).read_bytes()


def test_newest_first_with_the_token_that_opens_them(backstage):
    desk = Desk()
    kept = keep(backstage, desk)
    value = strip_value(backstage, desk)
    assert ids(value) == kept and value["kept"] == 3 and value["token"] == desk.token
    assert backstage.gallery(Desk(token=value["token"])) is backstage.gallery(desk)


def test_a_thumbnail_keeps_its_address_and_no_other_desk_has_it(backstage):
    desk, other = Desk(), Desk()
    kept = keep(backstage, desk, 1)[0]
    first, second = (strip_value(backstage, desk)["items"][0]["src"] for _ in range(2))
    assert first == second != backstage.thumbnail(other, kept)
    name = first["url"].removeprefix("thumbnails/").removesuffix(".webp")
    assert backstage.thumbnails.read(name) == backstage.gallery(desk).thumbnail(kept)


def test_what_was_deleted_comes_back(backstage, strip):
    desk = Desk()
    kept = keep(backstage, desk)
    _, value = strip._edit(desk, event(act="delete", ids=kept[:2]))
    assert ids(value) == kept[2:] and value["trash"] == 2 and value["note"] == {
        "text": "2 pictures moved to the trash.", "error": False, "undo": True
    }  # fmt: skip
    _, value = strip._edit(desk, event(act="undo"))
    assert ids(value) == kept and value["note"]["text"] == "Undone: delete 2 pictures." and value["redo"] == "Delete 2 pictures"
    _, value = strip._edit(desk, event(act="redo"))
    assert ids(value) == kept[2:]
    _, value = strip._edit(desk, event(act="restore", ids=kept[:1]))
    assert ids(value) == [kept[0], kept[2]]


def test_names_tags_favourites_and_their_filters(backstage, strip):
    desk = Desk()
    kept = keep(backstage, desk)
    strip._edit(desk, event(act="rename", ids=kept[:1], name="Pride"))
    strip._edit(desk, event(act="tag", ids=kept[:2], add=["Print"]))
    strip._edit(desk, event(act="favourite", ids=kept[1:2], on=True))
    for view, shown in (
        ({"text": "pride"}, kept[:1]),
        ({"tag": "print"}, kept[:2]),
        ({"favourites": True}, kept[1:2]),
        ({"favourites": True, "text": "pride"}, []),
        ({"tab": "morph"}, []),
        ({}, kept),
    ):
        _, value = strip._view(desk, event(**view))
        assert ids(value) == shown and value["total"] == len(shown), view
    assert value["tags"] == ("print",)
    _, value = strip._edit(desk, event(act="tag", ids=kept[:2], remove=["print"]))
    assert value["tags"] == ()


def test_only_the_trash_is_purged_and_for_good(backstage, strip):
    desk = Desk()
    kept = keep(backstage, desk)
    _, value = strip._edit(desk, event(act="purge", ids=kept[:1]))
    assert value["note"]["error"] and ids(value) == kept
    strip._edit(desk, event(act="delete", ids=kept[:1]))
    assert strip._edit(desk, event(act="purge", ids=[]))[1]["trash"] == 1
    _, value = strip._edit(desk, event(act="purge", ids=kept[:1]))
    assert value["trash"] == 0 and value["note"]["text"] == "1 picture removed for good."


def test_a_long_gallery_is_shown_page_by_page(backstage, strip):
    desk = Desk()
    kept = keep(backstage, desk, STRIP_PAGE + 5)
    assert ids(strip_value(backstage, desk)) == kept[:STRIP_PAGE]
    _, value = strip._view(desk, event(more=True))
    assert ids(value) == kept and value["total"] == len(kept)


@pytest.mark.parametrize("bare", [False, True])
def test_downloads_and_zips_leave_the_recipe_out_if_told_to(backstage, strip, bare):
    desk = Desk()
    kept = keep(backstage, desk)
    _, one = strip._fetch(desk, event(ids=kept[:1], bare=bare))
    assert (b"imaginarium:recipe" in served_bytes(one)) is not bare
    _, several = strip._fetch(desk, event(ids=kept[:2], zip=True, bare=bare))
    with zipfile.ZipFile(io.BytesIO(served_bytes(several))) as archive:
        assert ("recipes.json" in archive.namelist()) is not bare
        assert all((b"imaginarium:recipe" in archive.read(n)) is not bare for n in archive.namelist() if n[0].isdigit())
    assert several["count"] > one["count"]


@pytest.mark.parametrize("value", [None, 7, "x", [None], ["../../etc/passwd"], {"a": 1}, ["0" * 20]])
def test_forged_events_are_one_sentence_and_change_nothing(backstage, strip, value):
    desk = Desk()
    kept = keep(backstage, desk)
    for act in ("delete", "favourite", "tag", "rename", "purge", "restore", "nonsense", value):
        _, drawn = strip._edit(desk, event(act=act, ids=value, name=value, add=["x"]))
        assert ids(drawn) == kept
    assert strip._fetch(desk, event(ids=value))[1]["note"]["error"]
    assert strip._fetch(desk, event(ids=value, zip=True))[1]["note"]["error"]
    strip._view(desk, event(text=value, tag=value, more=value))


def test_nobody_edits_or_fetches_another_visitors_pictures(backstage, strip):
    mine, stranger = Desk(), Desk()
    kept = keep(backstage, mine)
    for act in ("delete", "rename", "favourite", "purge"):
        _, value = strip._edit(stranger, event(act=act, ids=kept, name="x", on=True))
        assert ids(value) == [] and value["note"]["error"]
    assert "file" not in strip._fetch(stranger, event(ids=kept[:1]))[1]
    assert ids(strip_value(backstage, mine)) == kept
