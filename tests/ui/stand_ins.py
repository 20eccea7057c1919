"""Checkpoints of real architectures but hardly any weights, for tests of the page where it matters that there is a picture,
not which one. Faces are taken to be where Viola-Jones sees them, with the eyes where a face has them on average."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from safetensors.torch import save

from studio.core.checkpoints import CheckpointStore
from studio.core.registry import Card, Registry, build
from studio.pipelines.character import PAPER_ANIMALS


def stand_in_store(folder: Path, animals: tuple[str, ...] = PAPER_ANIMALS) -> CheckpointStore:
    """A store in ``folder`` with a landmark network and a small untrained network per animal."""
    registry = Registry(folder / "index.json")
    _add(registry, folder, "landmarks-64", "landmarks", "landmarks", {"width": 4})
    for seed, animal in enumerate(animals):
        name = f"cyclegan-{animal.replace('_', '-')}-64"
        study = "It was never trained." if animal == "spider" else None
        config = {"ngf": 8, "n_blocks": 1}
        _add(registry, folder, name, "cyclegan", "translate", config, domains=("face", animal), seed=seed, study=study)
    registry.save()
    return CheckpointStore(registry, folder, folder / "cache")


def _add(registry, folder, name, family, task, config, domains=(), seed=0, study=None) -> None:
    card = Card(name, family, task, 64, f"{name}.safetensors", "", 0, "none", domains, "head", config, study=study)
    torch.manual_seed(seed)
    network = build(card)
    if family == "landmarks":
        with torch.no_grad():
            for parameter in (*network.eyes.parameters(), network.face.weight):
                parameter.zero_()
            network.face.bias.fill_(5.0)
    content = save(network.state_dict())
    (folder / card.file).write_bytes(content)
    values = {**card.to_dict(), "sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
    registry.add(Card.from_dict(values))
