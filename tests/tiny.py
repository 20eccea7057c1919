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


def weights(width: int = 4, dtype: torch.dtype = torch.float32) -> bytes:
    """A safetensors file for ``tinynet(width)``."""
    torch.manual_seed(0)
    state = tinynet(width).state_dict()
    return save({k: v.to(dtype) if v.is_floating_point() else v for k, v in state.items()})


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
