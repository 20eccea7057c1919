"""What a crash, a full disk and a hostile visitor can do to a gallery: nothing."""

import errno
import os
import random
import shutil

import pytest

from studio.core import files, workspace
from studio.core.gallery import Filter, Gallery, GalleryError
from studio.core.workspace import WorkspaceError, Workspaces
from tests.faults.gallery_crashes import crash
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


def dies_before(number: int, call) -> bool:
    """Runs ``call`` in a copy of this process that ends, without any clean-up, at its ``number``-th file operation."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    operations = iter(range(1, 10**9))

    def counted(real):
        return lambda *arguments, **named: os._exit(9) if next(operations) == number else real(*arguments, **named)

    for name in ("open", "fsync", "replace", "unlink", "rmdir", "mkdir"):
        setattr(os, name, counted(getattr(os, name)))
    try:
        call()
    finally:
        os._exit(0)


@POSIX
def test_a_crash_at_any_step_of_a_move_leaves_one_whole_gallery(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda file: None)  # a process that dies takes nothing of the system's memory along
    before = Workspaces(tmp_path / "before")
    items = (before.local().gallery.add(picture(), recipe()),)
    before.local().gallery.keep_source(photo())
    before.close()
    places, number, died = [], 0, True
    while died:
        number += 1
        root, target = tmp_path / str(number) / "root", tmp_path / str(number) / "new"
        shutil.copytree(before.root, root)
        died = dies_before(number, lambda: Workspaces(root).move(target))
        after = Workspaces(root)
        local = after.local()
        assert local.gallery.list() == items and local.gallery.png(items[0].id) and local.gallery.source("1" * 64)
        places.append(local.folder.name)
        if local.folder != target:
            assert after.move(target).gallery.list() == items  # what was left there is not in the way
        assert not (root / "local").exists() and not (target / workspace._MARK).exists()
        after.close()
    assert number > 20 and places == sorted(places) and {"local", "new"} == set(places)  # one step decides


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
    gallery.sweep()
    assert os.listdir(gallery._folder / "sources") == []
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

HOSTILE = ["", "..", "../../etc/passwd", "/etc/passwd", "a" * 19, "A" * 20, "0" * 20 + "\n", "0" * 20 + "/..", "%2e%2e%2f",
           "\x00" * 20, "' OR 1=1 --", "%", "_" * 20, "٠" * 20, "0" * 10**6, None, 7, b"0" * 20, ["0" * 20]]  # fmt: skip


@pytest.mark.parametrize("hostile", HOSTILE, ids=range(len(HOSTILE)))
def test_no_made_up_id_reaches_anything(gallery, hostile):
    kept = gallery.add(picture(), recipe())
    calls = (gallery.get, gallery.png, gallery.thumbnail, gallery.recipe, gallery.delete, gallery.restore, gallery.favourite,
             gallery.tag, gallery.purge, gallery.ancestors, gallery.descendants, gallery.source, lambda i: gallery.rename(i, "x"),
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
