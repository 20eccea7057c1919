"""Packs, a trunk and stores of a few pictures and numbers, for tests of trainers."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from studio.core.checkpoints import CheckpointStore, load_into
from studio.core.registry import Card, Registry, build
from studio.train.judges import FIRST_ATTRIBUTE
from studio.train.loop import Settings, Trainer, _tensors, begin_as_shipped, load_state, save_state, unwrap

NAMES = (FIRST_ATTRIBUTE, *(f"{k}_attribute" for k in range(1, 40)))


class Trunk(nn.Module):
    """Maps on the places of MobileNet's, from one random mixture of colours each; the last two as wide as there."""

    def __init__(self, widths: tuple[int, ...] = (2, 4, 256, 512)):
        super().__init__()
        draws = torch.Generator().manual_seed(0)
        for index, width in enumerate(widths):
            self.register_buffer(f"mixture_{index}", torch.randn(width, 3, 1, 1, generator=draws))

    def forward(self, image: Tensor) -> list[Tensor]:
        return [F.relu6(F.conv2d(F.avg_pool2d(image, 2 ** (k + 1)), mixture)) for k, mixture in enumerate(self.buffers())]


def stand_in_reader(outputs: int) -> nn.Module:
    """A frozen network that reads numbers in a picture's mean colour, in place of an extractor that a run left."""
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, outputs)).requires_grad_(False)


def write_pack(folder: Path, name: str, rows: Iterable[dict[str, str]], side: int = 22) -> None:
    """A zip of smooth random pictures."""
    draw = np.random.default_rng(len(name))
    rows, table = list(rows), io.StringIO()
    writer = csv.DictWriter(table, list(rows[0]))
    writer.writeheader()
    with zipfile.ZipFile(folder / f"{name}.zip", "w") as archive:
        for row in rows:
            writer.writerow(row)
            picture = Image.fromarray(draw.integers(0, 256, (4, 4, 3), np.uint8)).resize((side, side))
            buffer = io.BytesIO()
            picture.save(buffer, "PNG")
            archive.writestr(row["file_name"], buffer.getvalue())
        archive.writestr("metadata.csv", table.getvalue())


def write_named_faces(folder: Path) -> None:
    """Two packs of faces with attributes, but for 20 of them; ten photos are in both."""

    def row(file_name: str, known: bool = True) -> dict[str, str]:
        attributes = {name: str(2 * ((len(file_name) + k) % 2) - 1) if known else "" for k, name in enumerate(NAMES)}
        return {"file_name": file_name} | attributes

    wild = [row(f"celeba/{i}.png") for i in range(50)] + [row(f"aaf/{i}.png", known=False) for i in range(20)]
    write_pack(folder, "faces128", wild)
    write_pack(folder, "faces64", [row(f"{i}.png") for i in range(40, 120)])


def write_packs(folder: Path, animals: Iterable[str], faces: int = 50, each: int = 40) -> None:
    """The packs of faces, and one with ``each`` pictures of every animal, every second of which is frontal."""
    for name in ("faces128", "faces64"):
        write_pack(folder, name, ({"file_name": f"{name}/{i}.png", "class": "face"} for i in range(faces)))
    kinds = [{"class": a, "frontal": str(i % 2), "file_name": f"{a}/{i}.png"} for a in animals for i in range(each)]
    write_pack(folder, "animals160", kinds)


def settings(data: Path, out: Path, seed: int = 0) -> Settings:
    """Of a run on a CPU that does nothing by itself."""
    return Settings(out=out, minutes=0.0, data=data, accelerator="cpu", seed=seed)


def snapshot(trainer: Trainer, name: str) -> dict[str, Tensor]:
    """A copy of a network's state as it is now."""
    return {key: value.clone() for key, value in unwrap(trainer.networks[name]).state_dict().items()}


def changed(before: dict[str, Tensor], trainer: Trainer, name: str) -> set[str]:
    """What of a network is no longer as it was."""
    return {key for key, value in unwrap(trainer.networks[name]).state_dict().items() if not torch.equal(value, before[key])}


def save(trainer: Trainer) -> None:
    """Writes the trainer's state into its run's folder."""
    trainer.settings.out.mkdir(parents=True, exist_ok=True)
    save_state(trainer, trainer.settings.out)


def assert_resumes(trainer: Trainer, again: Trainer) -> None:
    """Of a trainer that has made steps and one that has not: the second goes on as the first one would."""
    save(trainer)
    saved = {name: tensor.clone() for name, tensor in _tensors(trainer).items()}
    assert load_state(again, trainer.settings.out)
    loaded = _tensors(again)
    assert loaded.keys() == saved.keys()
    assert all(torch.equal(tensor, saved[name]) for name, tensor in loaded.items())
    assert (again.images, again.steps) == (trainer.images, trainer.steps)


def store_of(folder: Path, *exports: Path) -> CheckpointStore:
    """A store in ``folder`` of what was exported into the other folders."""
    from studio.train.export import ship

    folder.mkdir(exist_ok=True)
    registry = Registry(folder / "index.json")
    for export in exports:
        ship(export, registry)
    return CheckpointStore(registry, folder, folder / "cache")


def begin_with(trainer: Trainer, first: Trainer, folder: Path) -> None:
    """Begins as if what ``first`` has made were shipped in ``folder``."""
    first.export(first.evaluate())
    begin_as_shipped(trainer, store_of(folder, first.settings.out / "export"))


def shipped(store: CheckpointStore, card_id: str) -> nn.Module:
    """The network of a card, as the studio builds and loads it."""
    card = store.registry.card(card_id)
    assert store.verify(card).state == "ok", store.verify(card).message
    network = build(card).eval().requires_grad_(False)
    load_into(network, store.load(card), card.file)
    return network


def card_in(export: Path, card_id: str) -> Card:
    """The card that a run exported."""
    return Card.from_dict(json.loads((export / f"{card_id}.json").read_text()))


def go(trainer: Trainer, steps: int) -> dict[str, Tensor]:
    """So many steps as the loop takes them; the losses of the last."""
    for _ in range(steps):
        losses = trainer.step()
        trainer.steps += 1
        trainer.images += trainer.images_per_step
        trainer.average()
    return losses
