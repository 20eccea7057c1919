"""score(Y) of IAN (section 4, Table 1): the softmax probability a classifier gives the target class.

The paper asks Inception; we ask the studio's own animal judge, a network that never trained on the pictures it is shown here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F

if TYPE_CHECKING:
    from studio.core.engine import Engine

ANIMAL_JUDGE = "judge-animal"
# Bounds what a judge's feature maps take: 32 pictures at 128 px are some 100 MB.
BATCH = 32


def resize(images: np.ndarray, resolution: int) -> np.ndarray:
    """``images`` float32 (B, 3, H, W) in [-1, 1] at (B, 3, resolution, resolution): bicubic, antialiased when it shrinks."""
    if images.shape[-2:] == (resolution, resolution):
        return images
    tensor = torch.from_numpy(np.ascontiguousarray(images, dtype=np.float32))
    scaled = F.interpolate(tensor, size=(resolution, resolution), mode="bicubic", align_corners=False, antialias=True)
    return scaled.clamp(-1, 1).numpy()


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities over the last axis, float64."""
    shifted = np.exp(logits.astype(np.float64) - logits.max(axis=-1, keepdims=True))
    return shifted / shifted.sum(axis=-1, keepdims=True)


def ask_judge(engine: Engine, images: np.ndarray, judge: str = ANIMAL_JUDGE) -> dict[str, np.ndarray]:
    """All the judge says of ``images``, float32 (B, 3, R, R) in [-1, 1] of any resolution: "logits" (B, K), "features_0" ...

    Raises:
        UnknownModel: there is no such judge.
    """
    resized = resize(images, engine.registry.card(judge).resolution)
    parts = [engine.run(judge, image=resized[start : start + BATCH]) for start in range(0, len(resized), BATCH)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def class_probabilities(engine: Engine, images: np.ndarray, judge: str = ANIMAL_JUDGE) -> np.ndarray:
    """The judge's softmax for ``images``, float32 (B, 3, R, R) in [-1, 1]: float64 (B, K), in the order of its card's labels."""
    return softmax(ask_judge(engine, images, judge)["logits"])


def class_score(probabilities: np.ndarray, labels: Sequence[str], target: str) -> np.ndarray:
    """score(Y) of each picture: ``probabilities`` (B, K) of the class ``target`` among ``labels``, (B,).

    Raises:
        ValueError: the judge does not know the class.
    """
    if target not in labels:
        raise ValueError(f"The judge does not know {target!r}; it knows {', '.join(labels)}.")
    return probabilities[:, list(labels).index(target)]
