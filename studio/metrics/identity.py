"""How the identity judge sees heads: an embedding in which pictures of one person are close."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from studio.core.faces import FRAME_SIZE, FRAMES, align
from studio.core.images import to_float

if TYPE_CHECKING:
    from studio.core.engine import Engine

IDENTITY_JUDGE = "judge-identity"


def embed_heads(engine: Engine, heads: Sequence[np.ndarray]) -> np.ndarray:
    """The judge's view of ``heads``, each uint8 (R, R, 3) in the head frame: (N, E) of unit length.

    Raises:
        UnknownModel: there is no such judge.
    """
    card = engine.registry.card(IDENTITY_JUDGE)
    crops = []
    for head in heads:
        eyes = np.array(FRAMES["head"]) * len(head) / FRAME_SIZE
        crops.append(to_float(align(head, eyes, card.frame or "face", card.resolution).image))
    return engine.run(card.id, image=np.stack(crops))["embedding"]
