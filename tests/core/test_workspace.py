import hashlib
import os
import time
from pathlib import Path

import pytest

from studio.core import workspace as module
from studio.core.gallery import GalleryError
from studio.core.workspace import WorkspaceError, Workspaces, default_root
from tests.kept import photo, picture, recipe

HOUR = 3600.0


def age(workspace, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(workspace.folder / "used", (then, then))


def test_a_visitor_finds_the_results_again_after_a_restart(tmp_path):
    token, mine = Workspaces(tmp_path).create()
    kept = mine.gallery.add(picture(), recipe())
    assert Workspaces(tmp_path).open(token).gallery.list() == (kept,)


def test_visitors_do_not_see_each_other(tmp_path):
    workspaces = Workspaces(tmp_path)
    (mine, a), (yours, b) = workspaces.create(), workspaces.create()
    kept = a.gallery.add(picture(), recipe())
    sha256 = a.gallery.keep_source(photo())
    assert mine != yours and workspaces.open(yours).gallery is b.gallery and b.gallery.list() == ()
    for use in (b.gallery.get, b.gallery.png, b.gallery.thumbnail, b.gallery.recipe, b.gallery.delete, b.gallery.descendants):
        with pytest.raises(GalleryError):
            use(kept.id)
    with pytest.raises(GalleryError):
        b.gallery.source(sha256)


def test_the_token_is_nowhere_on_the_disk(tmp_path):
    token, mine = Workspaces(tmp_path).create()
    mine.gallery.add(picture(), recipe())
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) >= 3 and not any(token in str(path) or token.encode() in path.read_bytes() for path in files)


def test_other_users_of_the_computer_cannot_look_in(tmp_path):
    _, mine = Workspaces(tmp_path).create()
    folders = [mine.folder, mine.folder / "pictures", mine.folder / "sources"]
    assert [folder.stat().st_mode & 0o077 for folder in folders] == [0, 0, 0]


def test_on_a_public_instance_the_unused_expire_and_leave_the_disk(tmp_path):
    workspaces = Workspaces(tmp_path, public=True, lifetime=HOUR)
    (old, expired), (new, fresh) = workspaces.create(), workspaces.create()
    kept = fresh.gallery.add(picture(), recipe())
    age(expired, HOUR + 60)
    age(fresh, HOUR - 60)
    with pytest.raises(WorkspaceError, match="reload"):
        workspaces.open(old)
    assert workspaces.sweep() == 1 and workspaces.sweep() == 0 and not expired.folder.exists()
    with pytest.raises(WorkspaceError, match="reload"):
        workspaces.open(old)
    with pytest.raises(GalleryError):
        expired.gallery.add(picture(), recipe())
    assert os.listdir(tmp_path / "visitors") == [fresh.folder.name]
    assert workspaces.open(new).gallery.list() == (kept,)


def test_use_keeps_a_workspace_from_expiring(tmp_path):
    workspaces = Workspaces(tmp_path, public=True, lifetime=HOUR)
    token, mine = workspaces.create()
    age(mine, HOUR - 60)
    workspaces.open(token)
    assert time.time() - (mine.folder / "used").stat().st_mtime < 60


def test_a_start_finishes_a_removal_that_was_cut_short(tmp_path):
    workspaces = Workspaces(tmp_path, public=True, lifetime=HOUR)
    _, mine = workspaces.create()
    mine.folder.rename(mine.folder.with_name(mine.folder.name + ".expired"))
    Workspaces(tmp_path, public=True, lifetime=HOUR)
    assert os.listdir(tmp_path / "visitors") == []


def test_at_home_nothing_expires(tmp_path):
    workspaces = Workspaces(tmp_path, lifetime=HOUR)
    token, mine = workspaces.create()
    age(mine, 1000 * HOUR)
    assert workspaces.sweep() == 0 and workspaces.open(token).folder == mine.folder


def test_more_visitors_than_are_kept_open_still_work(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "OPEN_AT_ONCE", 2)
    workspaces = Workspaces(tmp_path)
    visitors = [workspaces.create() for _ in range(4)]
    for number, (_, workspace) in enumerate(visitors):  # the first two are no longer cached, but still in somebody's hands
        workspace.gallery.add(picture(number), recipe(seed=number))
    assert len(workspaces._open) == 2
    for number, (token, _) in enumerate(visitors):
        (item,) = workspaces.open(token).gallery.list()
        assert workspaces.open(token).gallery.recipe(item.id).seed == number


# -- the artist's own ---------------------------------------------------------------------------------------------------


def test_the_artist_has_one_permanent_workspace_and_a_public_instance_has_none(tmp_path):
    kept = Workspaces(tmp_path).local().gallery.add(picture(), recipe())
    assert Workspaces(tmp_path).local().gallery.list() == (kept,)
    with pytest.raises(WorkspaceError):
        Workspaces(tmp_path, public=True).local()


def test_the_root_can_be_named_by_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("IMAGINARIUM_DATA", str(tmp_path / "data"))
    assert Workspaces().local().folder == tmp_path / "data" / "local"
    monkeypatch.delenv("IMAGINARIUM_DATA")
    assert default_root().name == "imaginarium"


def test_a_move_takes_everything_along_and_is_remembered(tmp_path):
    workspaces = Workspaces(tmp_path / "root")
    old = workspaces.local()
    kept = old.gallery.add(picture(), recipe(inputs=[{"sha256": "1" * 64}]))
    old.gallery.keep_source(photo())
    old.gallery.favourite(kept.id)
    token, visitor = workspaces.create()
    for target in (tmp_path / "a" / "b", tmp_path / "c"):
        workspaces.move(target)
        for there in (workspaces.local(), Workspaces(tmp_path / "root").local()):
            assert there.folder == target and there.gallery.get(kept.id).favourite and there.gallery.source("1" * 64)
            assert there.gallery.png(kept.id) and there.gallery.history()[0]
    assert not old.folder.exists() and not (tmp_path / "a" / "b").exists()
    assert workspaces.open(token).folder == visitor.folder


def test_a_gallery_that_moved_takes_nothing_more_at_its_old_place(tmp_path):
    here, elsewhere = Workspaces(tmp_path / "root"), Workspaces(tmp_path / "root")
    kept = here.local().gallery.add(picture(), recipe())
    stale = elsewhere.local().gallery
    here.move(tmp_path / "new")
    for use in (lambda: stale.add(picture(), recipe()), stale.list, lambda: stale.delete(kept.id)):
        with pytest.raises(GalleryError, match="moved"):
            use()
    assert here.local().gallery.list() == (kept,)


def test_an_artists_own_files_stay_where_the_gallery_was(tmp_path):
    workspaces = Workspaces(tmp_path / "root")
    (workspaces.local().folder / "notes.txt").write_text("mine")
    workspaces.move(tmp_path / "new")
    assert (tmp_path / "root" / "local" / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("target", ["full", "root/local", "root/local/inside", "root", "file", "link", "file/below"])
def test_a_move_to_an_unfit_place_changes_nothing(tmp_path, target):
    workspaces = Workspaces(tmp_path / "root")
    kept = workspaces.local().gallery.add(picture(), recipe())
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "empty")
    with pytest.raises(WorkspaceError):
        workspaces.move(tmp_path / target)
    assert workspaces.local().gallery.list() == (kept,) and Workspaces(tmp_path / "root").local().gallery.list() == (kept,)
    assert (tmp_path / "full" / "thesis.txt").read_text() == (tmp_path / "file").read_text() == "mine"


def test_a_damaged_note_of_the_place_is_no_reason_to_start_anew(tmp_path):
    Workspaces(tmp_path).local()
    (tmp_path / "local.json").write_text("{")
    with pytest.raises(WorkspaceError, match=r"local\.json"):
        Workspaces(tmp_path).local()


# -- hostile visitors ---------------------------------------------------------------------------------------------------


def test_no_guess_opens_anything(tmp_path):
    workspaces = Workspaces(tmp_path)
    token, mine = workspaces.create()
    plain = hashlib.sha256(token.encode()).hexdigest()
    guesses = ["", "local", "../local", "..", "/etc/passwd", mine.folder.name, mine.folder.name[:43], str(mine.folder), plain]
    guesses += [token[:-1], token + "=", token + "\n", token.swapcase(), "A" * 43]
    guesses += ["\x00" * 43, "ä" * 43, None, 7, b"A" * 43, [token]]
    before = sorted(tmp_path.rglob("*"))
    for guess in guesses:
        with pytest.raises(WorkspaceError) as caught:
            workspaces.open(guess)
        assert str(caught.value) == module._UNKNOWN  # one answer to all, so it teaches nothing
    assert sorted(tmp_path.rglob("*")) == before


def test_a_link_in_place_of_a_workspace_is_not_followed(tmp_path):
    workspaces = Workspaces(tmp_path / "root", public=True, lifetime=HOUR)
    token, mine = workspaces.create()
    _, yours = workspaces.create()
    workspaces.close()
    moved = mine.folder.rename(tmp_path / "away")
    mine.folder.symlink_to(yours.folder)
    with pytest.raises(WorkspaceError):
        workspaces.open(token)
    age(yours, 2 * HOUR)
    (tmp_path / "root" / "visitors" / ("b" * 64)).symlink_to(moved)
    os.utime(moved / "used", (0, 0))
    assert workspaces.sweep() == 1 and Path(moved / "gallery.db").exists()


def test_only_a_public_visitor_has_a_quota(tmp_path):
    _, stranger = Workspaces(tmp_path / "public", public=True, quota=50_000).create()
    with pytest.raises(GalleryError, match="full"):
        stranger.gallery.add(picture(), recipe())
    own = Workspaces(tmp_path / "own", quota=50_000)
    assert own.create()[1].gallery.add(picture(), recipe()) and own.local().gallery.add(picture(), recipe())
