"""A network of a few numbers with its card and its file, for tests of what carries checkpoints about."""

import hashlib
from pathlib import Path

import torch
from safetensors.torch import save
from torch import nn

from studio.core.checkpoints import CheckpointStore
from studio.core.registry import Card, Registry, register_model

COMMIT = "0123456789abcdef0123456789abcdef01234567"
HUB = {"repo_id": "studio/weights", "revision": COMMIT, "filename": "tiny.safetensors"}


@register_model("tinynet")
def tinynet(width: int = 4) -> nn.Module:
    return nn.Sequential(nn.Linear(3, width), nn.BatchNorm1d(width))


@register_model("tinykin")
def tinykin() -> nn.Module:
    """``tinynet`` with a layer more: its card is based on the tiny one."""
    return nn.Sequential(*tinynet(), nn.Linear(4, 1))


def weights(width: int = 4, dtype: torch.dtype = torch.float32) -> bytes:
    """A safetensors file for ``tinynet(width)``."""
    torch.manual_seed(0)
    state = tinynet(width).state_dict()
    return save({k: v.to(dtype) if v.is_floating_point() else v for k, v in state.items()})


def kin_weights() -> bytes:
    """A safetensors file of what ``tinykin`` has and ``tinynet`` lacks."""
    return save({"2.weight": torch.ones(1, 4), "2.bias": torch.zeros(1)})


def kin_of(card: Card, **changes) -> Card:
    """The card of ``kin_weights()`` on the weights of ``card``."""
    base = {"id": card.id, "sha256": card.sha256}
    return card_of(kin_weights(), **{"id": "kin", "family": "tinykin", "file": "kin.safetensors", "base": base, **changes})


def card_of(content: bytes, **changes) -> Card:
    """The card that describes ``content``."""
    values = {"id": "tiny", "family": "tinynet", "task": "judge", "resolution": 8, "file": "tiny.safetensors", "licence": "x"}
    digest = hashlib.sha256(content).hexdigest()
    return Card(**{**values, "sha256": digest, "size": len(content), **changes})


def store_in(folder: Path, *cards: Card) -> CheckpointStore:
    """A store of those cards, its folders empty, its index saved."""
    (folder / "pretrained").mkdir()
    registry = Registry(folder / "pretrained" / "index.json")
    for card in cards:
        registry.add(card)
    registry.save()
    return CheckpointStore(registry, folder / "pretrained", folder / "cache")
