"""Semantic extractors h of UDIT (Wang 2020, chapter 5): what a face says of who somebody is, in maps that a loss can hold.

Identity is MobileFaceNet's last maps; gender, age and ethnicity are maps of a small network that is trained here, reduced to
a few channels each by a 1 x 1 convolution (section 5.5.1). All are frozen while UDIT trains, none is shipped, and none
measures what it was a constraint of.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from studio.core.faces import FRAME_SIZE, FRAMES
from studio.models.judges import Judge
from studio.train.augment import similarity_crops
from studio.train.critics import find_weights
from studio.train.data import FACE, MODEL_PARTS, VALIDATION_PARTS, Pack, read_pack, to_unit
from studio.train.judges import ETHNICITIES, AttributeJudge, ClassJudge, DemographicsJudge, JudgeTrainer, MakeupJudge
from studio.train.loop import Settings, Trainer, named, read_state, tile

SIZE = 64  # px of the small network's pictures
REDUCED = 16  # D, channels that say one property (table 5.5)
CHANNELS = (2, 8, 16, 32, 64, 128, 256)  # D of table 5.5
RECIPES = "semantics-64", "semantics-colours-64"
ATTRIBUTES = "semantics-attributes-96"
DEMOGRAPHICS = "semantics-demographics-96"
MAKEUP = "semantics-makeup-96"
CARS = "semantics-cars-64"
OUTPUTS = {"gender": 1, "age": 1, "ethnicity": len(ETHNICITIES)}

MOBILEFACENET = "mobilefacenet_casia.safetensors"
MOBILEFACENET_SIZE = (112, 96)  # px, height and width
MOBILEFACENET_EYES = ((30.3, 51.6), (65.5, 51.6))
# Expansion, channels, repeats and first stride of its inverted residuals.
STAGES = ((2, 64, 5, 2), (4, 128, 1, 2), (2, 128, 6, 1), (4, 128, 1, 2), (2, 128, 2, 1))


class MobileFaceNet(nn.Module):
    """MobileFaceNet (Chen et al. 2018) of CASIA faces, in evaluation mode."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.dw_conv1 = Convolution(3, 64, 3, 2, 1), Convolution(64, 64, 3, 1, 1, groups=64)
        blocks, channels = [], 64
        for expansion, width, repeats, stride in STAGES:
            for k in range(repeats):
                blocks.append(InvertedResidual(channels, width, expansion, stride if k == 0 else 1))
                channels = width
        self.blocks = nn.Sequential(*blocks)
        self.conv2 = Convolution(channels, 512, 1)
        self.linear7 = Convolution(512, 512, (7, 6), groups=512, linear=True)
        self.linear1 = Convolution(512, 128, 1, linear=True)

    def maps(self, image: Tensor) -> Tensor:
        """Aligned faces (B, 3, 112, 96) in [-1, 1] -> the last maps (B, 512, 7, 6)."""
        return self.conv2(self.blocks(self.dw_conv1(self.conv1(image))))

    def embedding(self, maps: Tensor) -> Tensor:
        """The last maps -> (B, 128) of length 1."""
        return F.normalize(self.linear1(self.linear7(maps)).flatten(1).float())


class Convolution(nn.Module):
    """Convolution, batch norm and, but for a linear one, PReLU."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int | tuple, stride: int = 1, pad: int = 0, groups: int = 1, linear=False
    ):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, pad, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(outputs)
        self.prelu = nn.Identity() if linear else nn.PReLU(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.prelu(self.bn(self.conv(x)))


class InvertedResidual(nn.Module):
    """Widen, look around, narrow; around a skip where the sides stay."""

    def __init__(self, inputs: int, outputs: int, expansion: int, stride: int):
        super().__init__()
        wide = inputs * expansion
        self.skips = stride == 1 and inputs == outputs
        self.conv = nn.Sequential(
            nn.Conv2d(inputs, wide, 1, bias=False),
            nn.BatchNorm2d(wide),
            nn.PReLU(wide),
            nn.Conv2d(wide, wide, 3, stride, 1, groups=wide, bias=False),
            nn.BatchNorm2d(wide),
            nn.PReLU(wide),
            nn.Conv2d(wide, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x) if self.skips else self.conv(x)


class FrozenPReLU(torch.autograd.Function):
    """PReLU with fixed slopes: torch's gradient of the slopes, which nobody asks for, takes twice as long as all of this."""

    @staticmethod
    def forward(context: Any, x: Tensor, slope: Tensor) -> Tensor:
        context.save_for_backward(x, slope)
        return F.prelu(x, slope.to(x.dtype))

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None]:
        x, slope = context.saved_tensors
        slope = slope.to(gradient.dtype).view(1, -1, 1, 1)
        positive = torch.ops.aten.threshold_backward(gradient, x, 0)
        return torch.addcmul(slope * gradient, positive, 1 - slope), None


class FixedPReLU(nn.Module):
    """A trained PReLU that learns no more."""

    def __init__(self, trained: nn.PReLU):
        super().__init__()
        self.slope = nn.Parameter(trained.weight.detach(), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        return FrozenPReLU.apply(x, self.slope)


def mobilefacenet(data: Path | None) -> MobileFaceNet:
    """With its weights, frozen, its norms folded into its convolutions. Raises ``FileNotFoundError`` without the file."""
    network = MobileFaceNet()
    network.load_state_dict(load_file(find_weights(MOBILEFACENET, data)), strict=False)
    network.eval()
    for module in network.modules():
        if isinstance(module, Convolution):
            module.conv, module.bn = fuse_conv_bn_eval(module.conv, module.bn), nn.Identity()
            if isinstance(module.prelu, nn.PReLU):
                module.prelu = FixedPReLU(module.prelu)
        elif isinstance(module, InvertedResidual):
            convs = [fuse_conv_bn_eval(module.conv[k], module.conv[k + 1]) for k in (0, 3, 6)]
            module.conv = nn.Sequential(convs[0], FixedPReLU(module.conv[2]), convs[1], FixedPReLU(module.conv[5]), convs[2])
    return network.to(memory_format=torch.channels_last).requires_grad_(False)


def face_to_mobilefacenet(images: Tensor) -> Tensor:
    """Faces (B, 3, R, R) in the face frame -> (B, 3, 112, 96), the eyes where that network has them; gradients pass.

    What lies above the frame is grey: with its border drawn on, people are told apart a little worse (AUC 0.984 against 0.990).
    """
    (left, top), (right, _) = FRAMES["face"]
    (to_left, to_top), (to_right, _) = MOBILEFACENET_EYES
    height, width = MOBILEFACENET_SIZE
    scale = (right - left) / (to_right - to_left)
    columns = (torch.arange(width, device=images.device) + 0.5 - to_left) * scale + left
    rows = (torch.arange(height, device=images.device) + 0.5 - to_top) * scale + top
    x, y = (2 * places / FRAME_SIZE - 1 for places in (columns, rows))
    grid = torch.stack([x.expand(height, width), y.view(-1, 1).expand(height, width)], 2)
    grid = grid.to(images.dtype).expand(len(images), -1, -1, -1)
    return F.grid_sample(images, grid, align_corners=False)


class PropertyNetwork(nn.Module):
    """Gender, age and ethnicity of a face: one trunk, and for each property a 1 x 1 x D convolution before its linear layer."""

    def __init__(self, width: int = 32, reduced: int = REDUCED):
        super().__init__()
        channels = (3, width, 2 * width, 4 * width, 4 * width)
        self.layers = nn.ModuleList(
            nn.Conv2d(a, b, 3, 2 if k < 3 else 1, 1, bias=False) for k, (a, b) in enumerate(pairwise(channels))
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(c) for c in channels[1:])
        self.heads = nn.ModuleDict({name: Head(4 * width, reduced, outputs) for name, outputs in OUTPUTS.items()})

    def trunk(self, image: Tensor) -> Tensor:
        """Faces (B, 3, 64, 64) in [-1, 1] -> (B, C, 8, 8)."""
        x = image
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = F.relu(norm(layer(x)))
        return x

    def read(self, image: Tensor, names: tuple[str, ...]) -> dict[str, tuple[Tensor, Tensor]]:
        """Faces (B, 3, 64, 64) -> the reduced maps (B, D, 8, 8) of each named property, and what follows from them, (B, K)."""
        x = self.trunk(image)
        maps = {name: self.heads[name].maps(x) for name in names}
        return {name: (each, self.heads[name].answer(each.flatten(1))) for name, each in maps.items()}

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Faces (B, 3, 64, 64) -> ``gender`` (B, 1), the logit of a man; ``age`` (B, 1) / 100; ``ethnicity`` (B, 5)."""
        x = self.trunk(image)
        return {name: head(x).float() for name, head in self.heads.items()}


class Head(nn.Module):
    """One property from D channels of a trunk's maps."""

    def __init__(self, channels: int, reduced: int, outputs: int):
        super().__init__()
        self.reduce = nn.Conv2d(channels, reduced, 1)
        self.answer = nn.Linear(reduced * (SIZE // 8) ** 2, outputs)

    def maps(self, x: Tensor) -> Tensor:
        return F.relu(self.reduce(x))

    def forward(self, x: Tensor) -> Tensor:
        return self.answer(self.maps(x).flatten(1))


class PropertyTrainer(Trainer):
    """Trains the small network on parts 0 to 6; what is not known of a face is not asked.

    Args:
        colours: every face as it is. Otherwise half of them are grey, so that lipstick is little of what gender is told by.
    """

    batch = images_per_step = 64
    total_images = 100_000
    ema_half_life = 2_000.0
    rate = 1e-3
    width, channels = 32, 128  # of the first maps and the last

    def __init__(self, settings: Settings, colours: bool = False):
        super().__init__(settings)
        self.name, self.colours = RECIPES[colours], colours
        self.images_of, self.targets_of = self._read(settings)
        held_out = [read_pack(name, SIZE, settings.data).parts(VALIDATION_PARTS) for name in ("faces_tight96", "celeba_face160")]
        self.held_out = torch.cat([pack.images for pack in held_out])
        self.truth = torch.cat([_targets(pack) for pack in held_out])
        self.networks = {"properties": PropertyNetwork(self.width)}
        self.optimisers = {
            "properties": torch.optim.AdamW(self.networks["properties"].parameters(), self.rate, weight_decay=0.02)
        }
        self.ready("properties")

    def _read(self, settings: Settings) -> tuple[Tensor, Tensor]:
        """Tight faces, and CelebA's, less the ones that validate under another name."""
        close_ups = read_pack("celeba_face160", SIZE, settings.data)
        validation = {row["file_name"] for row in close_ups.parts(VALIDATION_PARTS).rows}
        packs = [close_ups, read_pack("faces_tight96", SIZE, settings.data)]
        packs += [
            read_pack(name, SIZE, settings.data, lambda row: row["source"] == "celeba", FACE) for name in ("faces128", "faces64")
        ]
        packs = [pack.parts(MODEL_PARTS).select(lambda row: Path(row["file_name"]).name not in validation) for pack in packs]
        return torch.cat([p.images for p in packs]).to(self.device), torch.cat([_targets(p) for p in packs]).to(self.device)

    def schedule(self) -> None:
        share = 0.5 * (1 + math.cos(math.pi * min(1.0, self.images / self.total_images)))
        for group in self.optimisers["properties"].param_groups:
            group["lr"] = self.rate * share + 1e-6

    def augment(self, images: Tensor) -> Tensor:
        """Mirrors, small transforms, light; half of them grey, unless colours count."""
        count = len(images)
        centre = SIZE / 2 + 0.06 * SIZE * self.uniform(count, 2)
        side = SIZE * (0.97 + 0.1 * self.uniform(count))
        images = similarity_crops(images, centre, side, 0.15 * self.uniform(count), SIZE)[0]
        images = images * (1 + 0.25 * self.uniform(count, 1, 1, 1)) + 0.2 * self.uniform(count, 1, 1, 1)
        if not self.colours:
            grey = images.mean(1, keepdim=True).expand_as(images)
            images = torch.where(self.uniform(count, 1, 1, 1) < 0, grey, images)
        return torch.where(self.uniform(count, 1, 1, 1) < 0, images.flip(3), images).clamp(-1, 1)

    def step(self) -> dict[str, Tensor]:
        chosen = torch.randint(len(self.images_of), (self.batch,), generator=self.generator, device=self.device)
        images = self.augment(to_unit(self.images_of[chosen])).contiguous(memory_format=torch.channels_last)
        losses = _errors(self.networks["properties"](images), self.targets_of[chosen])
        self.optimisers["properties"].zero_grad()
        self.fabric.backward(sum(losses.values()))
        self.optimisers["properties"].step()
        return {name: loss.detach() for name, loss in losses.items()}

    @torch.no_grad()
    def evaluate(self) -> dict[str, Any]:
        """How right the network is on part 9, and table 5.5 of gender: heads of other D on its maps."""
        answer = self.ema["properties"](to_unit(self.held_out).to(self.device))
        measures = {f"{name}_{kind}": value for name, (kind, value) in _rightness(answer, self.truth.to(self.device)).items()}
        return measures | {"accuracy_by_channels": self.accuracy_by_channels()}

    @torch.no_grad()
    def accuracy_by_channels(self, steps: int = 500, rate: float = 2e-3) -> dict[str, dict[str, float]]:
        """Gender and ethnicity on part 9 by new heads of each D on the averaged network's maps, which stay as they are."""
        trunk, names = self.ema["properties"].trunk, ("gender", "ethnicity")
        heads = {str(d): nn.ModuleDict({name: Head(self.channels, d, OUTPUTS[name]) for name in names}) for d in CHANNELS}
        heads = nn.ModuleDict(heads).to(self.device)
        optimiser = torch.optim.AdamW(heads.parameters(), rate, weight_decay=0.02)
        for step in range(steps):
            optimiser.param_groups[0]["lr"] = rate * (1 - step / steps)
            chosen = torch.randint(len(self.images_of), (self.batch,), generator=self.generator, device=self.device)
            maps = trunk(self.augment(to_unit(self.images_of[chosen])))
            with torch.enable_grad():
                answers = [{name: head(maps) for name, head in each.items()} for each in heads.values()]
                loss = sum(sum(_errors(answer, self.targets_of[chosen]).values()) for answer in answers)
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
        maps, truth = trunk(to_unit(self.held_out).to(self.device)), self.truth.to(self.device)
        found = {d: _rightness({name: head(maps) for name, head in each.items()}, truth) for d, each in heads.items()}
        return {d: {name: value for name, (_, value) in each.items()} for d, each in found.items()}

    def grid(self) -> Image.Image:
        return tile([self.augment(to_unit(self.images_of[:16]))])

    def export(self, measures: dict[str, Any]) -> None:
        """Nothing: what holds a training down stays with its run."""


class HoldsModels:
    """What makes a judge an extractor: it learns from parts 0 to 6, and stays with its run."""

    parts = MODEL_PARTS

    def export(self, measures: dict[str, Any]) -> None:
        """Nothing, as above."""


class AttributeTrainer(HoldsModels, AttributeJudge):
    """The judge's own network and way, of parts 0 to 6: what SDIT's D_cls, over features that nobody trained, does not see."""

    name = ATTRIBUTES
    sources = "faces128 (CelebA) and faces64, parts 0 to 6"


class DemographicsTrainer(HoldsModels, DemographicsJudge):
    """The same of gender, age and group: what the two small networks do not see in faces that are made up."""

    name = DEMOGRAPHICS
    sources = "faces_tight96, parts 0 to 6"


class MakeupTrainer(HoldsModels, MakeupJudge):
    """The same of makeup: what UDIT's critics, who are content with brighter skin, do not ask for."""

    name = MAKEUP
    sources = "celeba_face160, and the faces of CelebA's portraits in faces128 and faces64, parts 0 to 6"


class CarTrainer(HoldsModels, ClassJudge):
    """The same of the colours of cars, in the light that they are in: a white car in less of it is a silver one."""

    name = CARS
    size = 64
    total_images = 30_000
    pack, column = "cars_by_colour128", "colour"
    outputs = 9
    sources = "cars_by_colour128, parts 0 to 6"

    def relight(self, images: Tensor) -> Tensor:
        return images


def _targets(pack: Pack) -> Tensor:
    """(N, 3): man 0 / 1, age / 100, index of the group; -1 where nobody says."""

    def age(row: dict[str, str]) -> float:
        return float(row["age"]) / 100 if row.get("age") else -1.0

    def group(row: dict[str, str]) -> float:
        return float(ETHNICITIES.index(row["ethnicity"])) if row.get("ethnicity") else -1.0

    return torch.tensor([[float(row["gender"] == "M"), age(row), group(row)] for row in pack.rows])


def _errors(answer: dict[str, Tensor], target: Tensor) -> dict[str, Tensor]:
    """The loss of each property that is answered for, over the faces of which it is known."""
    man, age, group = target.unbind(1)
    losses = {"gender": F.binary_cross_entropy_with_logits(answer["gender"][:, 0], man)}
    if "age" in answer and (known := age >= 0).any():
        losses["age"] = 5 * F.smooth_l1_loss(answer["age"][known, 0], age[known], beta=0.05)
    if (known := group >= 0).any():
        losses["ethnicity"] = F.cross_entropy(answer["ethnicity"][known], group[known].long())
    return losses


def _rightness(answer: dict[str, Tensor], target: Tensor) -> dict[str, tuple[str, float]]:
    """Of each property what is measured and its value."""
    man, age, group = target.unbind(1)
    right = {"gender": ("accuracy", ((answer["gender"][:, 0] > 0) == (man > 0.5)).float().mean())}
    known = group >= 0
    right["ethnicity"] = ("accuracy", (answer["ethnicity"].argmax(1) == group)[known].float().mean())
    if "age" in answer:
        right["age"] = ("mean_absolute_error_years", 100 * (answer["age"][:, 0] - age).abs()[age >= 0].mean())
    return {name: (kind, round(float(value), 4)) for name, (kind, value) in right.items()}


def property_network(runs: Path, name: str = RECIPES[0]) -> PropertyNetwork:
    """The average that the run of this name in ``runs`` left, frozen. Raises ``FileNotFoundError`` where there is no run."""
    network = PropertyNetwork()
    network.load_state_dict(named(read_state(runs / name)[1], "ema/properties/"))
    return network.eval().requires_grad_(False).to(memory_format=torch.channels_last)


class Reader(nn.Module):
    """What the averaged network of a run of ``kind`` reads of faces, frozen.

    Args:
        runs: folder of the runs.

    Raises:
        FileNotFoundError: there is no run.
    """

    kind: type[JudgeTrainer]

    def __init__(self, runs: Path):
        super().__init__()
        self.judge = Judge(self.kind.outputs, pairs=self.kind.pairs)
        self.judge.load_state_dict(named(read_state(runs / self.kind.name)[1], "ema/judge/"))
        self.eval().requires_grad_(False).to(memory_format=torch.channels_last)

    def forward(self, image: Tensor) -> Tensor:
        """``image`` (B, 3, R, R) in [-1, 1], in the frame of ``kind`` -> logits (B, K)."""
        size = self.kind.size
        wide = F.interpolate(image, size=(size, size), mode="bilinear", align_corners=False, antialias=image.shape[-1] > size)
        return self.judge(wide.contiguous(memory_format=torch.channels_last))["logits"].float()


class AttributeReader(Reader):
    """Of portraits those of CelebA's forty that are in ``places``."""

    kind = AttributeTrainer

    def __init__(self, runs: Path, places: Sequence[int]):
        super().__init__(runs)
        self.places = list(places)

    def forward(self, image: Tensor) -> Tensor:
        return super().forward(image)[:, self.places]


class CarReader(Reader):
    """Of cars the logits of their colours, in the order of the alphabet."""

    kind = CarTrainer


class DemographicsReader(Reader):
    """Of faces a man's logit, the age / 100 and logits of the groups."""

    kind = DemographicsTrainer
    places = MappingProxyType({"gender": slice(0, 1), "age": slice(1, 2), "ethnicity": slice(2, None)})

    def read(self, image: Tensor, names: tuple[str, ...]) -> dict[str, tuple[Tensor]]:
        """Faces (B, 3, R, R) -> what follows for each named property, (B, K), as :meth:`PropertyNetwork.read` has it last."""
        logits = self(image)
        return {name: (logits[:, self.places[name]],) for name in names}


class MakeupReader(Reader):
    """Of faces the logit of makeup."""

    kind = MakeupTrainer
