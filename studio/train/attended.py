"""Where SDIT's attention lies (Wang 2020, figure 6.5): how much more of it than chance on the part of a face that is asked for.

The parts are the parsing network's, which SDIT did not learn from.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from studio.core.engine import Engine
from studio.core.faces import FRAME_SIZE, FRAMES, align
from studio.core.images import to_float, to_uint8
from studio.core.registry import Card
from studio.train.data import to_unit
from studio.train.sdit import LATENT, Labelled

PARSER = "parsing-128"
LEAST = 4  # px of a class, else it was not found


@dataclass(frozen=True)
class Attended:
    """A local attribute: how many times more than chance the attention lies on its part of the face; the same of what changes."""

    name: str
    attention: float
    change: float


def measure_attention(engine: Engine, card: Card, faces: Labelled, photos: int) -> tuple[Attended, ...]:
    """Of each of ``PARTS`` that ``card`` knows, given to the first ``photos`` portraits without it. What changes is the
    difference to what the network draws of a portrait with its own labels. Empty if the network has no attention."""
    rows = []
    for name in filter(PARTS.__contains__, faces.kind.names):
        place = faces.kind.names.index(name)
        chosen = (faces.labels[:, place] == 0).nonzero().flatten()[:photos]
        images, labels = to_unit(faces.images[chosen]).numpy(), faces.labels[chosen]
        latents = np.zeros((len(images), LATENT), np.float32)
        asked, plain = (
            engine.run(card.id, image=images, label=wanted.numpy(), latent=latents)
            for wanted in (faces.kind.towards(labels, name), labels)
        )
        if "attention" not in asked:
            return ()
        maps = {"attention": asked["attention"][:, 0], "change": np.abs(asked["image"] - plain["image"]).mean(1)}
        parts = [part_of(engine, image, PARTS[name]) for image in images]
        rows.append(Attended(name, **{kind: times_chance(found, parts) for kind, found in maps.items()}))
    return tuple(rows)


def times_chance(maps: np.ndarray, parts: list[np.ndarray]) -> float:
    """The mean of maps (N, R, R) on their parts, bool (R, R) each, by that everywhere; photos without the part do not count."""
    found = [(values, part) for values, part in zip(maps, parts, strict=True) if part.any()]
    return round(float(np.mean([values[part].mean() / max(values.mean(), 1e-8) for values, part in found])), 2) if found else 0.0


def part_of(engine: Engine, portrait: np.ndarray, find: Callable[[dict[str, np.ndarray]], np.ndarray]) -> np.ndarray:
    """A part of a portrait float32 (3, R, R), bool (R, R): ``find`` takes the classes of its face."""
    side, parser = portrait.shape[-1], engine.registry.card(PARSER)
    crop = align(to_uint8(portrait), np.array(FRAMES["portrait"]) * side / FRAME_SIZE, "face", parser.resolution)
    most = engine.run(parser.id, image=to_float(crop.image)[None])["logits"][0].argmax(0)
    found = find({name: most == k for k, name in enumerate(parser.labels)})
    whole = cv2.warpAffine(found.astype(np.float32), crop.matrix, (side, side), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    return whole > 0.5


def _around(*names: str) -> Callable[[dict[str, np.ndarray]], np.ndarray]:
    """The upright rectangle around classes."""

    def find(classes: dict[str, np.ndarray]) -> np.ndarray:
        found = np.logical_or.reduce([classes[name] for name in names])
        rows, columns = np.nonzero(found)
        part = np.zeros_like(found)
        if len(rows) >= LEAST:
            part[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1] = True
        return part

    return find


def _forehead(classes: dict[str, np.ndarray]) -> np.ndarray:
    """All above the brows, as wide as they are: where a fringe is."""
    brows = _around("brows")(classes)
    rows = np.flatnonzero(brows.any(1))
    above = np.arange(len(brows)) < (rows[0] if len(rows) else 0)
    return above[:, None] & brows.any(0)


PARTS = {
    "Eyeglasses": _around("eyes", "brows", "glasses"),
    "Bangs": _forehead,
    "Mouth_Slightly_Open": _around("lips", "mouth"),
}
