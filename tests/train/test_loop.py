"""The loop stops in time, and a run that was cut in two ends where an uncut one does."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import nn

from studio.train import loop
from studio.train.export import write_checkpoint
from studio.train.loop import Settings, Trainer, begin_as_shipped, load_state, run, save_state, tile, unwrap
from tests.train.small import store_of


class Toy(Trainer):
    """Fits a line with random inputs: every step draws from the generator that the state keeps."""

    name = "toy"
    images_per_step = 4
    total_images = 80
    ema_half_life = 20.0

    def __init__(self, settings, width=3, stop=None):
        super().__init__(settings)
        self.total_images = stop or Toy.total_images
        self.networks = {"line": nn.Sequential(nn.Linear(width, 1, bias=False), nn.BatchNorm1d(1))}
        self.optimisers = {"line": torch.optim.Adam(self.networks["line"].parameters(), 0.05)}
        self.ready("line")

    def step(self):
        x = torch.randn(4, 3, generator=self.generator)
        loss = (self.networks["line"](x).float() - x.sum(1, keepdim=True)).square().mean()
        self.optimisers["line"].zero_grad()
        self.fabric.backward(loss)
        self.optimisers["line"].step()
        return {"loss": loss.detach()}

    def grid(self):
        return Image.new("RGB", (2, 2))

    def evaluate(self):
        return {"weights": [round(float(p.sum()), 6) for p in self.ema["line"].parameters()]}

    def export(self, measures):
        (self.settings.out / "export.json").write_text(json.dumps(measures))


def settings(out: Path, minutes: float = 1.0) -> Settings:
    return Settings(out=out, minutes=minutes, accelerator="cpu")


def weights(trainer):
    return torch.cat([p.detach().flatten() for p in unwrap(trainer.networks["line"]).parameters()])


def test_resume_continues_the_same_run(tmp_path):
    uncut = Toy(settings(tmp_path / "uncut"))
    run(uncut)
    run(Toy(settings(tmp_path / "cut"), stop=40))
    resumed = Toy(settings(tmp_path / "cut"))
    run(resumed)
    assert (resumed.images, resumed.steps) == (uncut.images, uncut.steps) == (80, 20)
    # Moments are kept in bf16, so the two agree to its precision, far closer than two different runs.
    assert torch.allclose(weights(uncut), weights(resumed), atol=2e-3)
    other = Toy(Settings(out=tmp_path / "other", minutes=1.0, accelerator="cpu", seed=1))
    run(other)
    assert not torch.allclose(weights(uncut), weights(other), atol=2e-2)


def test_a_spent_budget_still_leaves_a_state_a_grid_a_log_and_an_export(tmp_path):
    run(Toy(settings(tmp_path, minutes=0.0)))
    names = {p.name for p in tmp_path.iterdir()}
    assert {"state.json", "log.jsonl", "export.json", "grid-000000000.png"} <= names


def test_state_is_kept_in_small_parts(tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "PART_BYTES", 200)
    trainer = Toy(settings(tmp_path))
    trainer.step()
    save_state(trainer, tmp_path)
    parts = json.loads((tmp_path / "state.json").read_text())["parts"]
    assert len(parts) > 2 and sorted(parts) == sorted(p.name for p in tmp_path.glob("*.safetensors"))
    again = Toy(Settings(out=tmp_path, minutes=1.0, accelerator="cpu", seed=9))
    assert load_state(again, tmp_path)
    assert torch.equal(weights(again), weights(trainer))
    assert torch.equal(again.generator.get_state(), trainer.generator.get_state())


def test_another_recipes_run_is_refused(tmp_path):
    save_state(Toy(settings(tmp_path)), tmp_path)
    other = Toy(settings(tmp_path))
    other.name = "other"
    with pytest.raises(ValueError, match="holds a run of toy, not of other"):
        load_state(other, tmp_path)


class Shipped(Toy):
    """Ships its line, and can begin with it."""

    def __init__(self, settings, **more):
        super().__init__(settings, **more)
        self.networks["line"] = nn.Linear(3, 1, bias=False)
        self.optimisers["line"] = torch.optim.Adam(self.networks["line"].parameters(), 0.05)
        self.ready("line")

    def shipped(self):
        return {"line": "toy-line"}

    def export(self, measures):
        tensors = self.ema["line"].state_dict()
        training = {"images": self.images}
        write_checkpoint(self.settings.out / "export", "toy-line", tensors, family="x", task="x", resolution=1, training=training)


def test_a_run_without_a_state_begins_with_what_was_shipped(tmp_path, monkeypatch):
    first = Shipped(settings(tmp_path / "first"))
    run(first)
    store = store_of(tmp_path / "pretrained", tmp_path / "first" / "export")
    monkeypatch.setattr(loop, "default_store", lambda: store)
    asked = replace(settings(tmp_path / "second", minutes=0.0), from_shipped=True)
    second = Shipped(asked)
    run(second)
    assert torch.allclose(weights(second), first.ema["line"].weight.flatten(), atol=1e-3)
    assert torch.equal(second.ema["line"].weight.flatten(), weights(second))
    assert (second.images, second.images_here, second.steps) == (80, 0, 0)
    third = Shipped(asked, stop=88)  # its own state counts for more than what is shipped
    third.settings = replace(asked, minutes=1.0)
    monkeypatch.setattr(loop, "default_store", lambda: pytest.fail("asked again"))
    run(third)
    assert (third.images, third.images_here, third.steps) == (88, 8, 2)


def test_what_ships_nothing_cannot_begin_with_it(tmp_path):
    with pytest.raises(ValueError, match="toy cannot begin with shipped checkpoints"):
        begin_as_shipped(Toy(settings(tmp_path)), store_of(tmp_path / "pretrained"))


def test_average_follows_parameters_and_copies_buffers(tmp_path):
    trainer = Toy(settings(tmp_path))
    trainer.images = 10_000
    before = trainer.ema["line"][0].weight.clone()
    with torch.no_grad():
        unwrap(trainer.networks["line"])[0].weight.add_(1.0)
        unwrap(trainer.networks["line"])[1].running_mean.fill_(5.0)
    trainer.average()
    share = 1 - 0.5 ** (4 / 20)
    assert torch.allclose(trainer.ema["line"][0].weight, before + share, atol=1e-6)
    assert trainer.ema["line"][1].running_mean.item() == 5.0


def test_tile_places_pictures():
    picture = tile([torch.full((2, 3, 4, 4), -1.0), torch.full((1, 3, 4, 4), 1.0)], pad=1)
    assert picture.size == (10, 10)
    assert picture.getpixel((6, 1)) == (0, 0, 0) and picture.getpixel((1, 6)) == (255, 255, 255)
