"""Networks between two moments of a run."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from studio.models.cyclegan import Generator, select_domains
from studio.train import mix as mix_module
from studio.train.cyclegan import CONFIGS, GROUPS
from studio.train.mix import main

CONFIG = {"ngf": 4, "n_downs": 1, "n_blocks": 1}


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """Two folders as the loop leaves them, and their generators."""
    monkeypatch.setitem(CONFIGS, 64, CONFIG)
    networks = []
    for name, images in (("earlier", 100), ("later", 300)):
        folder = tmp_path / name
        folder.mkdir()
        network = Generator(**CONFIG, domains=len(GROUPS["wild"]) + 1)
        save_file({f"ema/to_animal/{k}": v for k, v in network.state_dict().items()}, folder / "state-0.safetensors")
        index = {"recipe": "cyclegan-wild-64", "images": images, "steps": 1, "parts": ["state-0.safetensors"]}
        (folder / "state.json").write_text(json.dumps(index))
        networks.append(network)
    return tmp_path, networks


def test_a_mix_lies_between_the_two(runs):
    folder, (first, second) = runs
    out = folder / "out"
    arguments = [str(folder / "earlier"), str(folder / "later"), "--share", "lion=0.25", "tiger=1", "--out", str(out)]
    assert main(arguments) == 0
    row = GROUPS["wild"].index("lion") + 1
    made = load_file(out / "cyclegan-lion-64.safetensors")
    ends = [select_domains(n.state_dict(), [0, row]) for n in (first, second)]
    for name, tensor in made.items():
        assert torch.allclose(tensor.float(), 0.75 * ends[0][name] + 0.25 * ends[1][name], atol=2e-3)
    card = json.loads((out / "cyclegan-lion-64.json").read_text())
    assert card["training"]["interpolation"] == "0.25 of the way from 100 to 300 images of this run"


@pytest.mark.parametrize("share", ["koalas=0.5", "lion=half", "lion"])
def test_mistakes_are_one_line(runs, share, capsys):
    folder, _ = runs
    assert main([str(folder / "earlier"), str(folder / "later"), "--share", share]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_runs_of_different_recipes_are_not_mixed(runs):
    folder, _ = runs
    index = json.loads((folder / "later" / "state.json").read_text())
    (folder / "later" / "state.json").write_text(json.dumps({**index, "recipe": "cyclegan-home-64"}))
    with pytest.raises(ValueError, match="mix moments of one run"):
        mix_module.mix(folder / "earlier", folder / "later", {"lion": 0.5}, folder / "out")
