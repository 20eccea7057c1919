import inspect
import json
import subprocess
import sys

import pytest
import typer

from studio import cli
from studio.cli import console, doors
from studio.core import checkpoints
from tests.cli.command import run
from tests.tiny import HUB, card_of, store_in, weights

GOOD = weights()
CARDS = (card_of(GOOD), card_of(GOOD, id="lion", task="translate", file="lion.safetensors", study="few [pictures]"))


@pytest.fixture
def store(tmp_path, monkeypatch):
    store = store_in(tmp_path, *CARDS)
    for card in CARDS:
        (store.embedded_dir / card.file).write_bytes(GOOD)
    monkeypatch.setattr(checkpoints, "default_store", lambda: store)
    return store


def commands(app: typer.Typer):
    yield from app.registered_commands
    for group in app.registered_groups:
        yield from commands(group.typer_instance)


def test_help_needs_no_network_library():
    """A second of torch or gradio for a help text would be felt."""
    code = (
        "import sys; from studio.cli import main; main(['--help']);"
        "print(sorted(m for m in ('torch', 'gradio', 'huggingface_hub', 'numpy') if m in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "verify" in done.stdout and done.stdout.endswith("[]\n")


@pytest.mark.parametrize("command", list(commands(cli.app)), ids=lambda c: c.name or c.callback.__name__)
def test_every_command_but_serve_speaks_json(command):
    assert ("as_json" in inspect.signature(command.callback).parameters) == (command.callback is not doors.serve)


def test_models_prints_the_cards_alone(capsys, store):
    done = run(capsys, "models", "li*", "--json")
    assert [card["id"] for card in json.loads(done.out)] == ["lion"] and done.err == "" and done.code == 0


def test_models_for_people_prints_text_as_it_is(capsys, store, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    done = run(capsys, "models")
    assert "tiny" in done.out and "few [pictures]" in done.out


def test_verify_of_good_files_is_0(capsys, store):
    done = run(capsys, "verify", "--json")
    assert done.code == 0 and [s["state"] for s in json.loads(done.out)] == ["ok", "ok"]


def test_verify_of_one_bad_file_is_1_and_tells_which(capsys, store):
    (store.embedded_dir / "lion.safetensors").write_bytes(GOOD[:-1])
    done = run(capsys, "verify", "--json")
    assert done.code == 1 and {s["id"]: s["ok"] for s in json.loads(done.out)} == {"lion": False, "tiny": True}
    assert run(capsys, "verify", "tiny").code == 0


def test_pull_leaves_good_files_alone(capsys, store):
    done = run(capsys, "pull", "tiny", "--json")
    assert done.code == 0 and json.loads(done.out) == [{"id": "tiny", "path": str(store.locate(CARDS[0])), "pulled": False}]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["verify", "tinny"], "There is no model 'tinny'; there is tiny."),
        (["pull", "lion", "nobody"], "There is no model 'nobody'"),
        (["pull"], "Missing argument"),
        (["push", "tiny"], "Missing option '--repo'"),
        (["models", "--colour"], "No such option"),
        (["paint"], "No such command"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(capsys, store, arguments, said):
    done = run(capsys, *arguments)
    assert done.code == 2 and done.out == "" and done.err.startswith("error: ") and done.err.count("\n") == 1
    assert said in done.err


def test_a_missing_file_on_no_hub_is_one_line(capsys, store):
    (store.embedded_dir / "lion.safetensors").unlink()
    done = run(capsys, "pull", "lion", "--json")
    assert done.code == 2 and done.out == "" and "git checkout -- pretrained/lion.safetensors" in done.err


def test_a_request_that_refuses_is_one_line_and_a_fault_of_ours_is_not_hidden(capsys, store, monkeypatch):
    monkeypatch.setattr(store, "verify", lambda card: (_ for _ in ()).throw(ValueError("Choose\na smaller size.")))
    assert run(capsys, "verify").err == "error: Choose a smaller size.\n"
    monkeypatch.setattr(store, "verify", lambda card: {}["a bug"])
    with pytest.raises(KeyError):
        run(capsys, "verify")


def test_no_arguments_is_the_help(capsys):
    done = run(capsys)
    assert done.code == 0 and "Usage" in done.out


def test_serve_takes_the_flags_of_the_page(monkeypatch, tmp_path):
    from studio.ui import serve

    seen = []
    monkeypatch.setattr(serve, "serve", lambda backstage, settings: seen.append(settings))
    monkeypatch.setattr(serve, "private_cache", lambda: None)
    (tmp_path / "auth").write_text("anna:secret")
    assert cli.main(["serve", "--port", "9", "--auth", str(tmp_path / "auth"), "--device", "cpu"]) == 0
    (settings,) = seen
    assert (settings.port, settings.auth, settings.device, settings.host) == (9, (("anna", "secret"),), "cpu", "127.0.0.1")


def test_ctrl_c_is_130(capsys, store, monkeypatch):
    def stop(card):
        raise KeyboardInterrupt

    monkeypatch.setattr(store, "verify", stop)
    assert run(capsys, "verify").code == 130


def test_the_progress_bar_stays_off_what_is_no_terminal(capsys):
    with console.download_bar("lion.safetensors") as report:
        report(1, 2)
    assert capsys.readouterr() == ("", "")


def test_a_hub_only_card_is_not_bad(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "default_store", lambda: store_in(tmp_path, card_of(GOOD, hub=HUB)))
    done = run(capsys, "verify", "--json")
    assert done.code == 0 and json.loads(done.out)[0]["state"] == "remote"
