"""What is exported can be shipped, verified and loaded; what is broken is refused."""

import json

import pytest
import torch

from studio.core.registry import Registry, build
from studio.models.cyclegan import Generator
from studio.train.export import ship, write_checkpoint

CONFIG = {"ngf": 4, "n_downs": 1, "n_blocks": 1}


def export(folder, tensors=None):
    tensors = tensors or Generator(**CONFIG).state_dict()
    return write_checkpoint(
        folder,
        "cyclegan-lion-64",
        tensors,
        family="cyclegan",
        task="translate",
        resolution=64,
        domains=("face", "lion"),
        config=CONFIG,
    )


def test_ship_enters_card_and_weights(tmp_path):
    index = tmp_path / "pretrained" / "index.json"
    index.parent.mkdir()
    card = export(tmp_path / "export")
    assert ship(tmp_path / "export", Registry(index)) == [card]
    shipped = Registry(index).card("cyclegan-lion-64")
    assert shipped == card and (index.parent / card.file).stat().st_size == card.size
    assert json.loads(index.read_text())["version"] == 1
    assert sum(p.numel() for p in build(shipped).parameters()) > 0


def test_nothing_to_ship_says_so(tmp_path):
    with pytest.raises(FileNotFoundError, match="train first"):
        ship(tmp_path, Registry(tmp_path / "index.json"))


@pytest.mark.parametrize("value", [float("nan"), 1e6])
def test_values_that_fp16_cannot_hold_are_refused(tmp_path, value):
    with pytest.raises(ValueError, match="cannot be shipped: to_rgb.bias"):
        export(tmp_path, Generator(**CONFIG).state_dict() | {"to_rgb.bias": torch.full((3,), value)})
