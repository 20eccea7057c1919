"""Trains the parsing network on photos whose every pixel is labelled, in the light and as soft and crooked as uploads are."""

from __future__ import annotations

import csv
import io
import math
import zipfile
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from studio.core.faces import FRAME_SIZE, FRAMES
from studio.models.parsing import ParsingNet
from studio.train.augment import similarity_crops, similarity_grid
from studio.train.data import MODEL_PARTS, VALIDATION_PARTS, find_pack, part, to_unit
from studio.train.export import write_checkpoint
from studio.train.loop import Settings, Trainer, tile

PACK = "celebahq256"
# The pack's nineteen classes, in its order, by what we call them; left and right are one, so that a mirrored face stays right.
THEIRS = {
    "background": "background", "skin": "skin", "nose": "nose", "eye_glasses": "glasses", "left_eye": "eyes", "right_eye": "eyes",
    "left_brow": "brows", "right_brow": "brows", "left_ear": "ears", "right_ear": "ears", "mouth": "mouth", "upper_lip": "lips",
    "lower_lip": "lips", "hair": "hair", "hat": "hat", "ear_ring": "jewellery", "necklace": "jewellery", "neck": "neck",
    "cloth": "cloth",
}  # fmt: skip
CLASSES = tuple(dict.fromkeys(THEIRS.values()))
OURS = np.array([CLASSES.index(ours) for ours in THEIRS.values()], np.uint8)
EYES = tuple(list(THEIRS).index(name) for name in ("left_eye", "right_eye"))

SIZE, WIDTH = 128, 24
LEARNING_RATE = 2e-3
# How far a crop's middle, size and angle (radians) are off: our landmarks err by 3 % of the eye distance, at times by 8 %.
MOVED, SCALED, TURNED = 0.08, 0.08, 0.12
# Colours of the palette that grids are painted in, one for each class.
PALETTE = torch.tensor([[math.sin(5.0 * k), math.sin(3.1 * k + 1), math.sin(1.7 * k + 2)] for k in range(len(CLASSES))])


@dataclass
class Labelled:
    """``images`` uint8 (N, 3, S, S), their ``classes`` uint8 (N, S, S), and of each face where the frame lies: ``centre`` (N, 2)
    and ``side`` (N,) in px, ``angle`` (N,) in radians."""

    images: Tensor
    classes: Tensor
    centre: Tensor
    side: Tensor
    angle: Tensor

    def __len__(self) -> int:
        return len(self.images)


def read_labelled(parts: Collection[int], data_dir: Path | None = None) -> Labelled:
    """The labelled faces in these tenths of the pack, as far as both eyes are seen: without, nothing says where the face is."""
    images, classes, squares = [], [], []
    with zipfile.ZipFile(find_pack(PACK, data_dir)) as archive:
        with archive.open("metadata.csv") as file:
            rows = [row for row in csv.DictReader(io.TextIOWrapper(file, "utf-8")) if row["seg"]]
        for row in rows:
            if part(row["file_name"]) not in parts:
                continue
            labels = _pixels(archive, row["seg"], "L")
            if (eyes := eyes_of(labels)) is not None:
                images.append(_pixels(archive, row["file_name"], "RGB"))
                classes.append(OURS[labels])
                squares.append(face_square(eyes))
    return Labelled(
        torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous(),
        torch.from_numpy(np.stack(classes)),
        *(torch.tensor(np.stack(values), dtype=torch.float32) for values in zip(*squares, strict=True)),
    )


def _pixels(archive: zipfile.ZipFile, name: str, mode: str) -> np.ndarray:
    with Image.open(io.BytesIO(archive.read(name))) as image:
        return np.asarray(image.convert(mode))


def eyes_of(labels: np.ndarray) -> np.ndarray | None:
    """The middles of the eyes in the pack's ``labels`` (H, W), left to right as one looks at them, (x, y) px: (2, 2); None if not
    both are seen."""
    places = [np.argwhere(labels == eye) for eye in EYES]
    if not all(map(len, places)):
        return None
    eyes = np.array(sorted(tuple(place.mean(0)[::-1] + 0.5) for place in places))
    return eyes if eyes[1, 0] - eyes[0, 0] >= 0.1 * labels.shape[1] else None


def face_square(eyes: np.ndarray) -> tuple[np.ndarray, float, float]:
    """Centre (2,), side and angle of the face frame in the picture, for ``eyes`` (2, 2) px."""
    (left, right), (dx, dy) = np.array(FRAMES["face"]), eyes[1] - eyes[0]
    scale = math.hypot(dx, dy) / (right[0] - left[0])
    below = scale * (FRAME_SIZE / 2 - left[1])
    angle = math.atan2(dy, dx)
    return eyes.mean(0) + below * np.array([-math.sin(angle), math.cos(angle)]), scale * FRAME_SIZE, angle


class ParsingTrainer(Trainer):
    """``parsing-128``: cross-entropy, rare classes weighing more; learning rate on a cosine over ``total_images``."""

    name = "parsing-128"
    images_per_step = 16
    total_images = 30_000
    ema_half_life = 1_000.0

    def __init__(self, settings: Settings):
        super().__init__(settings)
        self.train, self.validation = (read_labelled(parts, settings.data) for parts in (MODEL_PARTS, VALIDATION_PARTS))
        self.weights = rarity(self.train.classes).to(self.device)
        network = ParsingNet(len(CLASSES), WIDTH)
        self.networks = {"parsing": network}
        self.optimisers = {"parsing": torch.optim.AdamW(network.parameters(), LEARNING_RATE, weight_decay=1e-3)}
        self.ready("parsing")

    def schedule(self) -> None:
        rate = LEARNING_RATE * 0.5 * (1 + math.cos(math.pi * min(1.0, self.images / self.total_images))) + 1e-5
        for group in self.optimisers["parsing"].param_groups:
            group["lr"] = rate

    def crops(self, faces: Labelled, index: Tensor, spread: float = 1.0) -> tuple[Tensor, Tensor]:
        """Faces as our landmarks would cut them, (B, 3, SIZE, SIZE), and their classes (B, SIZE, SIZE)."""
        count, side = len(index), faces.side[index]
        places = (
            faces.centre[index] + spread * MOVED * (side / 2.6).unsqueeze(1) * self.uniform(count, 2).cpu(),
            side * torch.exp(spread * SCALED * self.uniform(count).cpu()),
            faces.angle[index] + spread * TURNED * self.uniform(count).cpu(),
        )
        images = similarity_crops(to_unit(faces.images[index]), *places, SIZE)[0]
        grid = similarity_grid(*places, faces.images.shape[-1], SIZE)
        classes = faces.classes[index].unsqueeze(1).float()
        classes = F.grid_sample(classes, grid, mode="nearest", padding_mode="reflection", align_corners=False)
        return images.to(self.device), classes[:, 0].long().to(self.device)

    def step(self) -> dict[str, Tensor]:
        index = torch.randint(len(self.train), (self.images_per_step,), generator=self.generator, device=self.device).cpu()
        images, classes = self.crops(self.train, index)
        if self.uniform(1) < 0:
            images, classes = images.flip(3), classes.flip(2)
        logits = self.networks["parsing"](self.degrade(images))["logits"]
        loss = F.cross_entropy(logits.float(), classes, self.weights)
        self.optimisers["parsing"].zero_grad()
        self.fabric.backward(loss)
        self.optimisers["parsing"].step()
        return {"loss": loss.detach()}

    def degrade(self, images: Tensor) -> Tensor:
        """Light, tint, grain and softness of photos nobody prepared."""
        count, size = len(images), images.shape[-1]
        small = size // int(torch.randint(1, 5, (1,), generator=self.generator, device=self.device))
        if small < size:
            soft = F.interpolate(F.interpolate(images, size=small, mode="area"), size=size, mode="bilinear")
            images = torch.where(self.uniform(count, 1, 1, 1) < 0, soft, images)
        grey = images.mean(1, keepdim=True)
        images = grey + (images - grey) * (1 + 0.6 * self.uniform(count, 1, 1, 1))
        images = images * (1 + 0.35 * self.uniform(count, 1, 1, 1)) + 0.3 * self.uniform(count, 1, 1, 1)
        images = images + 0.12 * self.uniform(count, 3, 1, 1)
        return (images + 0.03 * torch.randn(images.shape, generator=self.generator, device=self.device)).clamp(-1, 1)

    @torch.no_grad()
    def parsed(self, spread: float) -> tuple[Tensor, Tensor]:
        """What the averaged network takes part 9 for, and what it is, each (N, SIZE, SIZE)."""
        answers = []
        for index in torch.arange(len(self.validation)).split(32):
            images, classes = self.crops(self.validation, index, spread)
            answers.append((self.ema["parsing"](images)["logits"].argmax(1), classes))
        found, truth = zip(*answers, strict=True)
        return torch.cat(found), torch.cat(truth)

    def evaluate(self) -> dict[str, Any]:
        """Pixel accuracy and intersection over union of each class over all of part 9, cut exactly and as our landmarks would."""
        exact, rough = (overlaps(*self.parsed(spread)) for spread in (0.0, 1.0))
        return {
            "pixel_accuracy": round(exact[0], 4),
            "miou": mean_of(exact[1]),
            "iou": {name: round(value, 3) for name, value in exact[1].items()},
            "miou_off_by_8_percent": mean_of(rough[1]),
            "pictures": len(self.validation),
        }

    @torch.no_grad()
    def grid(self) -> Image.Image:
        """Photos of part 9, what they are taken for, and what they are."""
        images, classes = self.crops(self.validation, torch.arange(min(12, len(self.validation))), 0.0)
        found = self.ema["parsing"](images)["logits"].argmax(1)
        return tile([images, *(PALETTE[maps.cpu()].permute(0, 3, 1, 2) for maps in (found, classes))])

    def export(self, measures: dict[str, Any]) -> None:
        write_checkpoint(
            self.settings.out / "export",
            card_id=self.name,
            family="parsing",
            task="segment",
            tensors=self.ema["parsing"].state_dict(),
            resolution=SIZE,
            frame="face",
            domains=("face",),
            config={"classes": len(CLASSES), "width": WIDTH},
            labels=CLASSES,
            measures=measures,
            training={"recipe": self.name, "images": self.images, "data": f"{PACK}, its {len(self.train)} labelled faces"},
        )


def rarity(classes: Tensor) -> Tensor:
    """What a pixel of each class weighs, (K,): the fourth root of how rare the class is, at most 4 times the least.

    With the root and ten times, after 20,000 pictures rare classes had swollen at the cost of background, cloth and lips: a mean
    intersection over union of 0.52 on part 9.
    """
    share = torch.bincount(classes.flatten().int(), minlength=len(CLASSES)).float() / classes.numel()
    return (share.max() / share.clamp_min(1e-9)).pow(0.25).clamp_max(4)


def overlaps(found: Tensor, truth: Tensor) -> tuple[float, dict[str, float]]:
    """Pixel accuracy, and the intersection over union of each class that is in either of two maps (N, H, W)."""
    count = len(CLASSES)
    table = torch.bincount((truth.flatten() * count + found.flatten()).cpu(), minlength=count**2).view(count, count).double()
    both, either = table.diagonal(), table.sum(0) + table.sum(1) - table.diagonal()
    seen = {name: float(both[k] / either[k]) for k, name in enumerate(CLASSES) if either[k] > 0}
    return float(both.sum() / table.sum()), seen


def mean_of(values: dict[str, float]) -> float:
    return round(sum(values.values()) / len(values), 4)
