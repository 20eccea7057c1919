"""From trained tensors to a checkpoint and its card."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from studio.core.registry import Card, Registry

LICENCE = "research only"


def write_checkpoint(
    folder: Path, card_id: str, tensors: dict[str, Tensor], full_precision: tuple[str, ...] = (), **fields: Any
) -> Card:
    """Writes ``card_id.safetensors`` (fp16, but for names that start with one of ``full_precision``) and ``card_id.json``.

    Raises:
        ValueError: a tensor is not finite, or does not fit fp16.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stored: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        half = tensor.is_floating_point() and not name.startswith(full_precision or ("\0",))
        stored[name] = (tensor.half() if half else tensor).cpu().contiguous().clone()
        if not torch.isfinite(stored[name].float()).all():
            raise ValueError(f"{card_id} cannot be shipped: {name} is not finite in the precision it is stored in.")
    path = folder / f"{card_id}.safetensors"
    save_file(stored, path)
    data = path.read_bytes()
    card = Card(
        id=card_id, file=path.name, sha256=hashlib.sha256(data).hexdigest(), size=len(data), **{"licence": LICENCE, **fields}
    )
    (folder / f"{card_id}.json").write_text(json.dumps(card.to_dict(), indent=1) + "\n")
    return card


def ship(folder: Path, registry: Registry) -> list[Card]:
    """Moves the checkpoints of a run's ``export`` folder in beside the index and enters their cards.

    Raises:
        FileNotFoundError: the folder holds no checkpoint.
    """
    cards = [Card.from_dict(json.loads(path.read_text())) for path in sorted(Path(folder).glob("*.json"))]
    if not cards:
        raise FileNotFoundError(f"{folder} holds no checkpoint to ship: train first.")
    for card in cards:
        shutil.copyfile(folder / card.file, registry.index.parent / card.file)
        registry.add(card)
    registry.save()
    return cards
