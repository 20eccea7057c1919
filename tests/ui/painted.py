"""Networks of a few lines that paint in the colours of a style. Those for the Makeup tab paint where a face has its lips and lids
in the face frame and, the less they are told to keep somebody, all over the face; those for the Domains tab a part per label."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from studio.core.checkpoints import CheckpointStore
from studio.core.registry import Card, register_model
from tests.ui.stand_ins import copy_network, untrained

SIDE = 128
KEEPS = {"makeup": ("identity", "gender", "age"), "age": ("identity", "gender", "ethnicity")}
ENDS = {"bare": "makeup", "makeup": "makeup", "young": "age", "old": "age"}
CLASSES = ("background", "skin", "nose", "eyes", "brows", "glasses", "ears", "mouth", "lips", "hair")
# Ellipses of the face frame at 128 px: centre and half axes.
LIPS, LIDS, FACE = ((64, 90, 17, 8),), ((39.6, 38, 13, 8), (88.4, 38, 13, 8)), ((64, 62, 52, 62),)


def within(ellipses: tuple[tuple[float, ...], ...]) -> Tensor:
    """How far each place of the frame lies in one of the ellipses, (1, 1, 128, 128) from 0 outside to 1."""
    down, across = torch.meshgrid(torch.arange(SIDE) + 0.5, torch.arange(SIDE) + 0.5, indexing="ij")
    far = [((across - x) / a) ** 2 + ((down - y) / b) ** 2 for x, y, a, b in ellipses]
    return (1.6 - 1.6 * torch.stack(far).amin(0)).clamp(0, 1)[None, None]


class Encoder(nn.Module):
    """Content is the picture itself, style its colours."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(8))

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        colours = torch.cat([image.mean((2, 3)), image.amax((2, 3)), image.mean((2, 3))[:, :2]], 1)
        return {"content": image, "style": colours * self.weight}


class Decoder(nn.Module):
    """The picture, painted at the ends that wear something."""

    def __init__(self, worn: bool):
        super().__init__()
        self.weight = nn.Parameter(torch.full((1,), 0.5 if worn else 0.0))
        for name, ellipses in (("lips", LIPS), ("lids", LIDS), ("face", FACE)):
            self.register_buffer(name, within(ellipses), persistent=False)

    def forward(self, content: Tensor, style: Tensor, keep: Tensor) -> Tensor:
        colour = torch.tanh(style)[:, :, None, None]
        tone = torch.tensor([0.4, -0.7, -0.5])[:, None, None]
        lips, lids = self.lips * (tone + 0.5 * colour[:, :3]), self.lids * (0.6 * colour[:, 3:6] - 0.5)
        biased = (1 - keep.mean(1))[:, None, None, None] * self.face * (0.5 * colour[:, 5:8] + 0.3)
        return (content + self.weight * (lips + lids + biased)).clamp(-1, 1)


class Parser(nn.Module):
    """Every face has its parts at the same places."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.full((1,), 9.0))
        places = {"background": -within(FACE), "skin": within(FACE), "lips": 2 * within(LIPS), "eyes": 2 * within(LIDS)}
        nothing = torch.full((1, 1, SIDE, SIDE), -9.0)
        self.register_buffer("logits", torch.cat([places.get(name, nothing) for name in CLASSES], 1), persistent=False)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        return {"logits": self.logits * self.weight + 0 * image[:, :1]}


register_model("painted")(lambda part, pair, end: Encoder() if part == "encoder" else Decoder(end in ("makeup", "old")))
register_model("painted_parser")(Parser)


def add_makeup(store: CheckpointStore, pairs: tuple[str, ...] = ("makeup", "age")) -> None:
    """The networks of pairs, the parser, and the judges who say what changed."""
    registry, folder = store.registry, store.embedded_dir
    for end, pair in ENDS.items():
        for part, task in (("encoder", "encode"), ("decoder", "decode")) if pair in pairs else ():
            name, labels = f"munit-{part}-{end}-{SIDE}", KEEPS[pair] if part == "decoder" else ()
            config = {"part": part, "pair": pair, "end": end}
            card = Card(name, "painted", task, SIDE, f"{name}.safetensors", "", 0, "none", ("face", pair), "face", config, labels)
            registry.add(untrained(card, folder, 1))
    card = Card(
        f"parsing-{SIDE}", "painted_parser", "segment", SIDE, "parsing.safetensors", "", 0, "none", frame="face", labels=CLASSES
    )
    registry.add(untrained(card, folder, 1))
    for judge in ("judge-demographics", "judge-identity", "judge-attributes", "judge-animal"):
        copy_network(registry, folder, judge)
    registry.save()


class Translator(nn.Module):
    """Paints a part of the picture for each label that is on, and attends there."""

    def __init__(self, labels: int, attention: bool = True):
        super().__init__()
        self.weight = nn.Parameter(torch.full((1,), 0.9))
        places = [within(((64 + 40 * math.cos(angle), 64 + 40 * math.sin(angle), 40, 30),)) for angle in range(labels)]
        self.register_buffer("places", torch.cat(places, 1), persistent=False)
        tones = torch.tensor([[math.cos(label), math.cos(2 * label + 1), math.sin(3 * label)] for label in range(labels)])
        self.register_buffer("tones", tones, persistent=False)
        self.attention = attention

    def forward(self, image: Tensor, label: Tensor, latent: Tensor) -> dict[str, Tensor]:
        size = image.shape[-2:]
        places = functional.interpolate(self.places, size=size) * label[:, :, None, None]
        colours = self.tones[None] + 0.6 * torch.tanh(latent)[:, None, :3]
        painted = torch.einsum("bkhw,bkc->bchw", places, colours)
        drawn = {"image": (image + self.weight * painted).clamp(-1, 1)}
        return drawn | ({"attention": places.amax(1, keepdim=True)} if self.attention else {})


register_model("painted_domains")(Translator)
DOMAINS = {
    "attributes": ("face", "portrait", ("Bangs", "Male", "Smiling", "Brown_Hair", "Blond_Hair", "Eyeglasses")),
    "art": ("picture", "", ("monet", "ukiyoe", "van_gogh")),
    "cars": ("car", "", ("blue", "red")),
}


def add_domains(store: CheckpointStore, names: tuple[str, ...] = ("attributes", "art")) -> None:
    """The networks of domains; of whole pictures they have no attention."""
    for name in names:
        subject, frame, labels = DOMAINS[name]
        config = {"labels": len(labels), "attention": name == "attributes"}
        card_id = f"sdit-{name}-64"
        card = Card(
            card_id,
            "painted_domains",
            "translate",
            64,
            f"{card_id}.safetensors",
            "",
            0,
            "none",
            (subject, name),
            frame,
            config,
            labels,
        )
        store.registry.add(untrained(card, store.embedded_dir, 1))
    store.registry.save()
