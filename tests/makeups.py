"""An engine with a MUNIT of a few lines, for tests of what is built on it: what it draws can be told beforehand."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from studio.core.images import Photo
from studio.core.registry import Card
from studio.pipelines.photos import FaceChoice
from tests.fakes import JUDGE, FakeEngine
from tests.morphs import patches
from tests.walks import EYE, IDENTITY

SIDE = 32
KEEPS = {"makeup": ("identity", "gender", "age"), "age": ("identity", "gender", "ethnicity")}
ENDS = {"bare": "makeup", "makeup": "makeup", "young": "age", "old": "age"}
CLASSES = ("background", "skin", "nose", "eyes", "brows", "glasses", "ears", "mouth", "lips", "hair")
PAINTED = tuple(CLASSES.index(name) for name in ("lips", "brows"))
EYES = ((20.0, 24.0), (44.0, 24.0))  # of the face in ``photo_of``
FACE = FaceChoice(eyes=EYES)
RED, GREEN = (2.0, 0, 0, 0, 0, 0, 0, 0), (0, 2.0, 0, 0, 0, 0, 0, 0)  # styles


def munit(part: str, end: str, **more) -> Card:
    """The card of an encoder or decoder of an end."""
    name, task = f"munit-{part}-{end}-{SIDE}", {"encoder": "encode", "decoder": "decode"}[part]
    domains, config = ("face", ENDS[end]), {"pair": ENDS[end], "end": end}
    labels = KEEPS[ENDS[end]] if part == "decoder" else ()
    fields = {"domains": domains, "frame": "face", "config": config, "labels": labels, **more}
    return Card(name, "munit", task, SIDE, f"{name}.safetensors", f"{sum(map(ord, name)):064x}", 1, "none", **fields)


PARSER = Card("parsing-128", "parsing", "segment", 16, "p.safetensors", "b" * 64, 1, "none", frame="face", labels=CLASSES)
SEEN = ("male", "age", "White")
PEOPLE = Card("judge-demographics", "judges", "judge", 16, "d.safetensors", "c" * 64, 1, "none", frame="face", labels=SEEN)
BEAUTY = Card(**{**EYE.to_dict(), "labels": ("Smiling", "Heavy_Makeup"), "domains": ("face",)})
MUNITS = [munit(part, end) for end in ENDS for part in ("encoder", "decoder")]


def layout(side: int) -> np.ndarray:
    """The class of each place of every face, as an index of ``CLASSES`` (side, side)."""
    down, across = np.mgrid[:side, :side] * (128 / side)
    classes = np.full((side, side), CLASSES.index("skin"))
    classes[down < 12] = CLASSES.index("hair")
    classes[(abs(down - 28) < 5) & ((abs(across - 40) < 12) | (abs(across - 88) < 12))] = CLASSES.index("brows")
    classes[(abs(down - 42) < 6) & ((abs(across - 40) < 12) | (abs(across - 88) < 12))] = CLASSES.index("eyes")
    classes[(abs(down - 92) < 8) & (abs(across - 64) < 16)] = CLASSES.index("lips")
    classes[abs(across - 64) > 56] = CLASSES.index("background")
    return classes


class MakeupEngine(FakeEngine):
    """The encoders give the picture as content; the decoders of "makeup" and "old" tint it by the style's first three numbers,
    lips and brows most, and the more firmly gender is kept, the less of the green. The judges see makeup in red, women in green
    and years in blue."""

    def __init__(self, folder: Path, cards: list[Card] = (*MUNITS, PARSER, PEOPLE, BEAUTY, IDENTITY, JUDGE)):
        super().__init__(folder, list(cards))

    def run(self, card_id: str, **arrays: np.ndarray):
        assert all(array.dtype == np.float32 for array in arrays.values())
        card = self.registry.card(card_id)
        self.runs.append((card_id, len(next(iter(arrays.values())))))
        if card.family == "munit":
            return self._encode(**arrays) if card.task == "encode" else self._decode(card, **arrays)
        image = arrays["image"]
        if card_id == PARSER.id:
            assert image.shape[2:] == (PARSER.resolution, PARSER.resolution)
            logits = 20 * np.eye(len(CLASSES), dtype=np.float32)[layout(PARSER.resolution)].transpose(2, 0, 1)
            return {"logits": np.repeat(logits[None], len(image), 0)}
        red, green, blue = image.mean((2, 3)).T
        if card_id == PEOPLE.id:
            return {"logits": np.stack([-30 * green, 0.3 + 0.5 * blue, red], 1)}
        if card_id == BEAUTY.id:
            return {"logits": np.stack([green, 30 * red], 1)}
        if card_id == IDENTITY.id:
            colours = image.mean((2, 3)) + np.array([0, 0, 2], np.float32)
            return {"embedding": colours / np.linalg.norm(colours, axis=1, keepdims=True)}
        return super().run(card_id, **arrays)

    @staticmethod
    def _encode(image: np.ndarray):
        style = np.zeros((len(image), 8), np.float32)
        style[:, :3] = image.mean((2, 3))
        return {"content": image, "style": style, "indices": image[:, :1]}

    @staticmethod
    def _decode(card: Card, content: np.ndarray, style: np.ndarray, keep: np.ndarray, indices: np.ndarray):
        assert (style.shape, keep.shape, indices.shape) == ((len(content), 8), (len(content), 3), (len(content), 1, SIDE, SIDE))
        strength = 0.2 if card.config["end"] in ("makeup", "old") else 0.0
        tint = np.tanh(style[:, :3]) * np.stack([keep[:, 0] * 0 + 1, 1 - keep[:, 1], keep[:, 0] * 0 + 1], 1)
        where = np.where(np.isin(layout(SIDE), PAINTED), 2.0, 1.0)
        return content + (strength * tint[:, :, None, None] * where).astype(np.float32)


def photo_of(seed: int = 1, height: int = 64, width: int = 72) -> Photo:
    """A photo of grey patches, in which the face is where ``EYES`` are."""
    photo = patches(seed, height, width)
    rgb = (100 + 0.2 * photo.rgb).astype(np.uint8)
    return Photo(rgb, photo.sha256, photo.name)
