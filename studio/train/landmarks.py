"""Trains the landmark network on portraits, whose eyes are at known places, under random similarity transforms."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw
from torch import Tensor

from studio.models.landmarks import LandmarkNet
from studio.train.augment import colour, similarity_crops
from studio.train.data import MODEL_PARTS, VALIDATION_PARTS, read_pack, to_unit
from studio.train.export import write_checkpoint
from studio.train.loop import Settings, Trainer, tile

EYES = torch.tensor([[50.1, 65.8], [77.9, 65.8]])  # portrait frame at 128 px
DISTANCE = 27.8
NEGATIVES = ("animals160", "art160", "cars_by_colour128", "flowers128", "modal_synthroom128")
LEARNING_RATE = 1e-3


class LandmarkTrainer(Trainer):
    """``landmarks-64``: 96 faces and 32 pictures without one a step; learning rate on a cosine over ``total_images``."""

    name = "landmarks-64"
    images_per_step = 128
    total_images = 160_000
    ema_half_life = 4_000.0

    def __init__(self, settings: Settings):
        super().__init__(settings)
        packs = [read_pack(name, 128, settings.data) for name in ("faces128", "faces64")]
        self.faces = torch.cat([p.parts(MODEL_PARTS).images for p in packs]).to(self.device)
        self.validation = packs[0].parts(VALIDATION_PARTS).images.to(self.device)
        others = [read_pack(name, 128, settings.data).parts(MODEL_PARTS).images for name in NEGATIVES]
        self.others = torch.cat(others).to(self.device)
        network = LandmarkNet()
        self.networks = {"landmarks": network}
        self.optimisers = {"landmarks": torch.optim.AdamW(network.parameters(), LEARNING_RATE, weight_decay=1e-3)}
        self.ready("landmarks")

    def schedule(self) -> None:
        rate = LEARNING_RATE * 0.5 * (1 + math.cos(math.pi * min(1.0, self.images / self.total_images))) + 1e-6
        for group in self.optimisers["landmarks"].param_groups:
            group["lr"] = rate

    def crops(self, images: Tensor, spread: float = 1.0) -> tuple[Tensor, Tensor]:
        """Rough crops as a detector would cut them, (B, 3, 64, 64), and the eyes in crop units, (B, 2, 2)."""
        count = len(images)
        middle = torch.tensor([64.0, EYES[0, 1] + 0.30 * DISTANCE], device=self.device)
        centre = middle + spread * 0.35 * DISTANCE * self.uniform(count, 2)
        side = 3.3 * DISTANCE * torch.exp(spread * 0.3 * self.uniform(count))
        turned = torch.rand(count, generator=self.generator, device=self.device) < 0.15
        angle = spread * torch.where(turned, 0.8, 0.3) * self.uniform(count)
        crops, matrix = similarity_crops(to_unit(images), centre, side, angle, 64)
        homogeneous = torch.cat([EYES, torch.ones(2, 1)], 1).to(self.device)
        return crops, (homogeneous @ matrix.transpose(1, 2))

    def step(self) -> dict[str, Tensor]:
        faces = self.faces[torch.randint(len(self.faces), (96,), generator=self.generator, device=self.device)]
        others = self.others[torch.randint(len(self.others), (32,), generator=self.generator, device=self.device)]
        crops, eyes = self.crops(faces)
        # Parts of a picture that miss the face are no faces either: a cut through the corner of a portrait.
        corner = similarity_crops(
            to_unit(faces[:8]), 20 + 6 * self.uniform(8, 2), 50 + 15 * self.uniform(8), 0.3 * self.uniform(8), 64
        )[0]
        empty = torch.cat([self.crops(others)[0][:24], corner])
        mirrored = self.uniform(96) < 0
        crops = torch.where(mirrored.view(-1, 1, 1, 1), crops.flip(3), crops)
        swapped = torch.stack([1 - eyes[..., 0], eyes[..., 1]], 2).flip(1)
        eyes = torch.where(mirrored.view(-1, 1, 1), swapped, eyes)
        images = self._degrade(torch.cat([crops, empty]))
        answer = self.networks["landmarks"](images)
        truth = (torch.arange(len(images), device=self.device) < 96).float()
        scale = (eyes[:, 1] - eyes[:, 0]).norm(dim=1).view(-1, 1, 1)
        losses = {
            "eyes": F.smooth_l1_loss(answer["eyes"][:96].float() / scale, eyes / scale, beta=0.02),
            "face": F.binary_cross_entropy_with_logits(answer["face"].float(), truth),
        }
        self.optimisers["landmarks"].zero_grad()
        self.fabric.backward(10 * losses["eyes"] + losses["face"])
        self.optimisers["landmarks"].step()
        return {k: v.detach() for k, v in losses.items()}

    def _degrade(self, images: Tensor) -> Tensor:
        """Light, colour and grain of photos nobody prepared."""
        coloured = colour(images).clamp(-1, 1)
        images = torch.where(self.uniform(len(images), 1, 1, 1) < 0, coloured, images)
        grey = images.mean(1, keepdim=True).expand_as(images)
        images = torch.where(self.uniform(len(images), 1, 1, 1) > 0.8, grey, images)
        return images + 0.04 * torch.randn(images.shape, generator=self.generator, device=self.device)

    @torch.no_grad()
    def evaluate(self) -> dict[str, Any]:
        """Median and 95th percentile of the eyes' error in % of the eye distance, on part 9 under random crops."""
        crops, eyes = self.crops(self.validation)
        answer = self.ema["landmarks"](crops)
        distance = (eyes[:, 1] - eyes[:, 0]).norm(dim=1)
        error = 100 * (answer["eyes"] - eyes).norm(dim=2).mean(1) / distance
        negatives = self.ema["landmarks"](self.crops(self.others[:512])[0])["face"]
        return {
            "eye_error_median_percent": round(float(error.median()), 2),
            "eye_error_p95_percent": round(float(error.quantile(0.95)), 2),
            "faces_accepted": round(float((answer["face"] > 0).float().mean()), 4),
            "others_accepted": round(float((negatives > 0).float().mean()), 4),
        }

    @torch.no_grad()
    def grid(self) -> Image.Image:
        crops, _ = self.crops(self.validation[:16])
        eyes = self.ema["landmarks"](crops)["eyes"].cpu()
        picture = tile([crops])
        draw = ImageDraw.Draw(picture)
        for i, pair in enumerate(eyes):
            for x, y in pair.tolist():
                left, top = i * 66 + 64 * x, 64 * y
                draw.ellipse((left - 2, top - 2, left + 2, top + 2), outline=(255, 0, 0))
        return picture

    def export(self, measures: dict[str, Any]) -> None:
        write_checkpoint(
            self.settings.out / "export",
            card_id=self.name,
            family="landmarks",
            task="landmarks",
            tensors=self.ema["landmarks"].state_dict(),
            resolution=64,
            domains=("face",),
            measures=measures,
            training={"recipe": self.name, "images": self.images, "data": "faces128, faces64; negatives " + ", ".join(NEGATIVES)},
        )
