"""What a crash, a full disk and a hostile visitor can do to a gallery: nothing."""

import errno
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import pytest

from studio.core import files, workspace
from studio.core.gallery import Filter, Gallery, GalleryError
from studio.core.workspace import WorkspaceError, Workspaces
from tests.faults.gallery_crashes import ROOT, crash
from tests.kept import photo, picture, recipe

POSIX = pytest.mark.skipif(os.name == "nt", reason="signals and links of POSIX")


@pytest.fixture
def gallery(tmp_path):
    gallery = Gallery(tmp_path / "mine")
    yield gallery
    gallery.close()


# -- crashes ------------------------------------------------------------------------------------------------------------


@POSIX
def test_kill_9_at_random_moments_loses_nothing_and_leaves_nothing(tmp_path):
    seed = random.randrange(10**6)
    print("seed", seed)
    assert crash(tmp_path / "mine", 20, seed) > 0


MOVE = "import sys; from pathlib import Path; from studio.core.workspace import Workspaces; " \
       "w = Workspaces(Path(sys.argv[1])); w.local(); print('ready', flush=True); w.move(Path(sys.argv[2])); print('done', flush=True)"


@POSIX
def test_kill_9_during_a_move_leaves_one_whole_gallery(tmp_path):
    root, target = tmp_path / "root", tmp_path / "new"
    items = [Workspaces(root).local().gallery.add(picture(n, 60, 60), recipe()) for n in range(12)][::-1]
    places = set()
    for number in range(4):
        with subprocess.Popen([sys.executable, "-c", MOVE, root, target], cwd=ROOT, stdout=subprocess.PIPE, text=True) as mover:
            assert mover.stdout.readline() == "ready\n"
            time.sleep(0.02 * number)
            mover.send_signal(signal.SIGKILL)
        local = Workspaces(root).local()
        assert list(local.gallery.list()) == items and all(local.gallery.png(item.id) for item in items)
        places.add(local.folder)
        if local.folder == target:
            break
    else:
        assert Workspaces(root).move(target).gallery.count() == 12  # what the killed ones left is not in the way
    assert places <= {root / "local", target} and not (root / "local").exists() and not (target / workspace._MARK).exists()


# -- a full disk --------------------------------------------------------------------------------------------------------


def fail(monkeypatch, name: str, number: int = 1, code: int = errno.ENOSPC) -> None:
    """Makes the ``number``-th call of ``os.<name>`` fail."""
    real, calls = getattr(os, name), iter(range(1, 10**9))

    def failing(*arguments, **named):
        if next(calls) == number:
            raise OSError(code, os.strerror(code))
        return real(*arguments, **named)

    monkeypatch.setattr(files.os, name, failing)


@pytest.mark.parametrize(("name", "number"), [("open", 1), ("open", 2), ("fsync", 1), ("fsync", 2), ("replace", 1)])
def test_a_disk_that_is_full_is_one_sentence_and_leaves_nothing(gallery, monkeypatch, name, number):
    kept = gallery.add(picture(), recipe())
    for write in (lambda: gallery.add(picture(1), recipe()), lambda: gallery.keep_source(photo())):
        with monkeypatch.context() as patch:
            fail(patch, name, number)
            with pytest.raises(GalleryError, match="The disk is full") as caught:
                write()
        assert "\n" not in str(caught.value)
        assert gallery.list() == (kept,) and os.listdir(gallery._folder / "pictures") == [f"{kept.id}.png"]
    assert gallery.sweep() <= 1  # at most a photo's file whose row was not written
    assert gallery.add(picture(2), recipe()) and gallery.keep_source(photo())


def test_a_database_that_cannot_grow_keeps_no_file_either(gallery):
    kept = gallery.add(picture(), recipe())
    pages = gallery._db.execute("PRAGMA page_count").fetchone()[0]
    gallery._db.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(GalleryError, match="The disk is full"):
        for n in range(50):
            kept = gallery.add(picture(n, 200, 200), recipe())
    assert sorted(os.listdir(gallery._folder / "pictures")) == sorted(f"{item.id}.png" for item in gallery.list())
    gallery._db.execute("PRAGMA max_page_count = 1000000")
    assert gallery.get(kept.id) and gallery.add(picture(), recipe())


@POSIX
def test_a_file_size_limit_of_the_system_is_met_like_a_full_disk(gallery):
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, limits[1]))
        with pytest.raises(GalleryError, match="The disk is full"):
            gallery.add(picture(1, 300, 300), recipe())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert gallery.count() == 0 and os.listdir(gallery._folder / "pictures") == []
    assert gallery.add(picture(1, 300, 300), recipe())


@pytest.mark.parametrize("number", [1, 3, 6, 9])
def test_a_move_to_a_disk_that_fills_up_stays_where_it_was(tmp_path, monkeypatch, number):
    workspaces = Workspaces(tmp_path / "root")
    items = tuple(workspaces.local().gallery.add(picture(n), recipe()) for n in range(4))[::-1]
    workspaces.local().gallery.keep_source(photo())
    with monkeypatch.context() as patch:
        fail(patch, "fsync", number)
        with pytest.raises(WorkspaceError, match="stays where it was: The disk is full"):
            workspaces.move(tmp_path / "new")
    assert not (tmp_path / "new").exists() and workspaces.local().gallery.list() == items
    assert workspaces.move(tmp_path / "new").gallery.list() == items


def test_a_move_asks_for_the_room_first(tmp_path, monkeypatch):
    workspaces = Workspaces(tmp_path / "root")
    workspaces.local()
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10, 9, 1))
    with pytest.raises(WorkspaceError, match="choose another disk"):
        workspaces.move(tmp_path / "new")
    assert not (tmp_path / "new").exists()


# -- hostile visitors ---------------------------------------------------------------------------------------------------

HOSTILE = ["", "..", "../../etc/passwd", "/etc/passwd", "a" * 19, "A" * 20, "0" * 20 + "\n", "0" * 20 + "/..", "%2e%2e%2f", "\x00" * 20,
           "' OR 1=1 --", "%", "_" * 20, "٠" * 20, "0" * 10**6, None, 7, b"0" * 20, ["0" * 20]]  # fmt: skip


@pytest.mark.parametrize("hostile", HOSTILE, ids=range(len(HOSTILE)))
def test_no_made_up_id_reaches_anything(gallery, hostile):
    kept = gallery.add(picture(), recipe())
    calls = (gallery.get, gallery.png, gallery.thumbnail, gallery.recipe, gallery.delete, gallery.restore, gallery.favourite, gallery.tag,
             gallery.purge, gallery.ancestors, gallery.descendants, gallery.source, lambda i: gallery.rename(i, "x"),
             lambda i: gallery.add(picture(), recipe(), parents=[i]))  # fmt: skip
    for call in calls:
        with pytest.raises(GalleryError):
            call(hostile)
    assert gallery.list() == (kept,) and gallery.history() == (None, None)


@pytest.mark.parametrize("text", ["'; DROP TABLE items; --", "%' OR '1'='1", "\x00", "\\", '"', "x " * 10**5])
def test_a_hostile_filter_or_name_is_only_text(gallery, text):
    kept = gallery.add(picture(), recipe(), name="lion")
    for chosen in (Filter(text), Filter(tab=text), Filter(tag=text), Filter("lion " + text)):
        assert gallery.list(chosen) == () and gallery.count(chosen) == 0
    assert gallery.add(picture(), recipe(), name=text).name and gallery.get(kept.id) == kept


@POSIX
def test_links_in_the_workspace_are_not_followed(gallery, tmp_path):
    secret = tmp_path / "secret.png"
    a = gallery.add(picture(), recipe())
    secret.write_bytes(gallery.png(a.id))
    sha256 = gallery.keep_source(photo())
    pictures, sources = gallery._folder / "pictures", gallery._folder / "sources"
    for path in (pictures / f"{a.id}.png", sources / f"{sha256}.png"):
        path.unlink()
        path.symlink_to(secret)
    for read in (lambda: gallery.png(a.id), lambda: gallery.source(sha256)):
        with pytest.raises(GalleryError):
            read()
    gallery.keep_source(photo())  # writes the photo anew, in place of the link and not through it
    assert gallery.source(sha256).rgb.shape == photo().rgb.shape
    (pictures / f"{'1' * 20}.png").symlink_to(secret)
    (pictures / "elsewhere").symlink_to(tmp_path)
    gallery.sweep()
    assert gallery.list() == () and os.listdir(pictures) == [f"{a.id}.png"] and secret.exists()
    gallery._db.execute("UPDATE items SET trashed = 1")
    gallery.purge()
    assert secret.exists() and not (pictures / f"{a.id}.png").is_symlink()


@POSIX
def test_a_pipe_in_place_of_a_picture_does_not_hang(gallery):
    kept = gallery.add(picture(), recipe())
    path = gallery._folder / "pictures" / f"{kept.id}.png"
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(GalleryError):
        gallery.png(kept.id)


@POSIX
@pytest.mark.parametrize("name", ["pictures", "sources", "gallery.db", "gallery.db-wal"])
def test_a_gallery_with_links_in_place_of_its_parts_is_not_opened(tmp_path, name):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "precious.png").write_text("mine")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(GalleryError):
        Gallery(tmp_path / "mine")
    assert (tmp_path / "elsewhere" / "precious.png").exists()
