"""The command that trains."""

import pytest

from studio.core.checkpoints import CheckpointError
from studio.core.registry import UnknownModel
from studio.train.__main__ import _without, main, parse
from studio.train.main import maker, recipes


def test_recipes_cover_what_the_studio_ships():
    names = set(recipes())
    assert {"landmarks-64", "judge-animal", "judge-identity", "cyclegan-base-64", "cyclegan-tiger-128"} <= names


def test_unknown_recipe_lists_what_exists():
    with pytest.raises(ValueError, match="no recipe 'cyclegan-unicorn-64'; there is .*cyclegan-tiger-64"):
        maker("cyclegan-unicorn-64")


def test_no_name_lists_the_recipes(capsys):
    assert main([]) == 0
    assert capsys.readouterr().out.split() == sorted(recipes())


def test_missing_data_is_one_line(tmp_path, capsys):
    assert main(["landmarks-64", "--data", str(tmp_path), "--out", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert "faces128.zip is not in" in error and "--data" in error


@pytest.mark.parametrize("error", [UnknownModel("There is no model 'x'."), CheckpointError("x.safetensors is damaged.")])
def test_a_shipped_checkpoint_that_is_not_there_or_not_whole_is_one_line(monkeypatch, capsys, error):
    def fail(name, settings):
        assert settings.from_shipped
        raise error

    monkeypatch.setattr("studio.train.main.train", fail)
    assert main(["sdit-cars-64", "--from-shipped"]) == 2
    assert capsys.readouterr().err == f"error: {error}\n"


def test_side_by_side_runs_report_the_ones_that_fail(tmp_path, capsys):
    code = main(["landmarks-64", "judge-animal", "--data", str(tmp_path), "--out", str(tmp_path / "runs"), "--minutes", "0"])
    assert code == 2 and "console.txt" in capsys.readouterr().err
    assert "is not in" in (tmp_path / "runs" / "landmarks-64" / "console.txt").read_text()


def test_defaults():
    options = parse(["landmarks-64"])
    assert options.minutes == 9.0 and options.accelerator == "auto" and not options.ship


def test_options_given_anew_are_taken_out():
    assert _without(["--out", "runs", "--minutes", "9", "--ship"], "--out", "--ship") == ["--minutes", "9"]
