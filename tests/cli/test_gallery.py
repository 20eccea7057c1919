import json
import zipfile

import pytest

from studio.cli import main
from studio.core.workspace import Workspaces
from tests.kept import picture, recipe


@pytest.fixture
def gallery(tmp_path, monkeypatch):
    monkeypatch.setenv("IMAGINARIUM_DATA", str(tmp_path / "data"))
    return Workspaces().local().gallery


@pytest.fixture
def answer(capsys):
    def run(*arguments) -> dict:
        assert main(["gallery", *map(str, arguments), "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    return run


def test_list_filters_and_counts(gallery, answer):
    a, b = (gallery.add(picture(n), recipe(tab=tab), name=tab).id for n, tab in enumerate(("character", "morph")))
    gallery.favourite(a)
    assert [item["id"] for item in answer("list")["items"]] == [b, a] and answer("list", "--limit", 1)["total"] == 2
    chosen = (["--favourites"], ["--tab", "character"], ["--text", "CHARACTER"], ["--offset", 1])
    assert [[i["id"] for i in answer("list", *options)["items"]] for options in chosen] == [[a]] * 4
    assert answer("list", "--trash") == {"items": [], "total": 0}


def test_show_tells_the_recipe_and_where_it_came_from(gallery, answer):
    a = gallery.add(picture(), recipe())
    b = gallery.add(picture(), recipe(seed=9), parents=[a.id])
    told = answer("show", b.id)
    assert told["recipe"]["seed"] == 9 and [i["id"] for i in told["ancestors"]] == told["parents"] == [a.id]


@pytest.mark.parametrize(("option", "recipes"), [("--recipes", 1), ("--no-recipes", 0)])
def test_export_writes_a_zip(gallery, answer, tmp_path, option, recipes):
    item = gallery.add(picture(), recipe(), name="Lion")
    out = tmp_path / "out.zip"
    assert answer("export", item.id, "--out", out, option) == {"path": str(out), "pictures": 1}
    assert zipfile.ZipFile(out).namelist().count("recipes.json") == recipes


def test_an_export_that_fails_leaves_the_old_file(gallery, capsys, tmp_path):
    (tmp_path / "out.zip").write_text("old")
    assert main(["gallery", "export", "0" * 20, "--out", str(tmp_path / "out.zip")]) == 2
    assert capsys.readouterr().err.startswith("error: There is no such picture")
    assert (tmp_path / "out.zip").read_text() == "old" and not (tmp_path / "out.zip.part").exists()
    assert main(["gallery", "export", "0" * 20, "--out", str(tmp_path / "no" / "out.zip")]) == 2
    assert "choose another place" in capsys.readouterr().err


def test_delete_and_undo(gallery, answer):
    item = gallery.add(picture(), recipe())
    assert answer("delete", item.id) == {"deleted": [item.id]} and gallery.count() == 0
    assert answer("undo") == {"undone": "Delete a picture", "ids": [item.id]} and gallery.count() == 1
    assert answer("undo") == {"undone": None, "ids": []}


def test_restore_recipe_reads_a_file_or_the_gallery(gallery, answer, capsys, tmp_path):
    item = gallery.add(picture(), recipe(seed=3))
    (tmp_path / "lion.png").write_bytes(gallery.png(item.id))
    (tmp_path / "bare.png").write_bytes(gallery.png(item.id, with_recipe=False))
    assert answer("restore-recipe", tmp_path / "lion.png") == answer("restore-recipe", item.id)
    assert main(["gallery", "restore-recipe", str(tmp_path / "bare.png")]) == 2
    assert "carries no recipe" in capsys.readouterr().err


def test_move_is_remembered(gallery, answer, tmp_path):
    item = gallery.add(picture(), recipe())
    assert answer("move", tmp_path / "new") == {"folder": str(tmp_path / "new")}
    assert answer("list")["items"][0]["id"] == item.id and (tmp_path / "new" / "gallery.db").exists()


def test_people_get_whole_ids(gallery, capsys):
    item = gallery.add(picture(), recipe(), name="[red]Lion[/red] with a name that takes more than one line of a table")
    gallery.tag(item.id, add=["a long tag", "another long tag"])
    assert main(["gallery", "list"]) == 0
    out = capsys.readouterr().out
    assert item.id in out and "[red]" in out
    for command in (["show", item.id], ["delete", item.id], ["undo"], ["undo"], ["restore-recipe", item.id]):
        assert main(["gallery", *command]) == 0 and capsys.readouterr().out
