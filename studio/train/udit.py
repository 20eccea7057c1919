"""UDIT (Wang 2020, chapter 5) on two pairs of domains: bare faces and faces with makeup, young ones and old ones.

The losses are eq. 5.3 to 5.8; what differs, and why, is in ``docs/udit.md``. Above all: how much lambda_U weighs is drawn for
each picture and told to the decoder, so that one network is MUNIT (keep 0), UDIT (keep 1) and what lies between; and what
critics and extractors look at is the photo with the decoders' difference on it, as the studio lays it on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from studio.core.checkpoints import CheckpointStore, default_store, load_into
from studio.core.regions import region_mask, skin_in
from studio.core.registry import build, default_registry
from studio.models.munit import STYLE, Decoder, Encoder
from studio.models.sdit import without_lattice
from studio.train.augment import similarity_crops, translation
from studio.train.critics import FeatureDiscriminator, imagenet_trunk
from studio.train.data import MODEL_PARTS, VALIDATION_PARTS, Pack, Sampler, read_pack, to_unit
from studio.train.export import write_checkpoint
from studio.train.loop import Settings, Trainer, tile
from studio.train.losses import least_squares, unheard
from studio.train.semantics import (
    RECIPES,
    DemographicsReader,
    MakeupReader,
    face_to_mobilefacenet,
    mobilefacenet,
    property_network,
)
from studio.train.semantics import SIZE as SEMANTIC_SIZE

LAMBDA_X, LAMBDA_C, LAMBDA_S = 3.0, 0.5, 2.0  # eq. 5.8
LAMBDA_PAIRS, LAMBDA_READ = 2.0, 6.0  # of the style, heard by how two looks of one photo differ: by the encoder, by a reader
LAMBDA_CYCLE = 2.0  # MUNIT's explicit cycle loss, which helps with small sets
LAMBDA_GAN = 8.0  # 1 in the paper, whose runs are a hundred times as long
LAMBDA_U = {"identity": 1.0, "colours": 0.5, "gender": 5.0, "age": 0.2, "ethnicity": 1.0}
LAMBDA_ASKED = 1.0  # of what a network that knows makeup, or age, from photographs reads
AGES = 0.25, 0.65  # of 100 years that young faces shall look at most, and old ones at least
COARSE = 8  # places a side of the colours that belong to who somebody is
NOTHING, EVERYTHING = 0.35, 0.45  # of the pictures keep 0, keep 1; of the others each property has its own
CONFIG = {"width": 32, "blocks": 2}
PARTS = "encoder", "decoder"
VARIANTS = ("", "pi", "plain")  # UDIT, with pooling indices, and MUNIT without keep
TRUNK = 6, 64  # pairs of the ImageNet trunk that critics see through, and px
# What critics look at: the face, the eyes with the brows, the mouth; left, top, right, bottom as shares of the face frame.
VIEWS = (0.0, 0.0, 1.0, 1.0), (0.14, 0.15, 0.86, 0.45), (0.27, 0.57, 0.73, 0.92)
EARLY, READ = 3, 1  # a style is read in the trunk's first maps, in the views from this one on: along a border nobody would see it
JITTER = 0.04  # of the side that these views move by
WARM_UP = 5_000  # pictures of each end that only come back; critics and extractors join after them
RATES = 1e-3, 6e-4  # of the translators, then and afterwards
WOMEN = 0.05  # of the bare faces (table 5.1)
SHOWN = 10
PARSER = "parsing-128"  # finds where makeup goes
FEW = 100_000  # pictures of each end; a network that has seen fewer is a study
MEET = 500  # pictures that new critics and readers look at before translators that were shipped go on

Row = Mapping[str, str]


@dataclass(frozen=True)
class Pair:
    """Two domains: their names, what may be kept, the pack of both, and which of its faces are whose."""

    name: str
    ends: tuple[str, str]
    properties: tuple[str, str, str]
    pack: str
    belongs: tuple[Callable[[Row], bool], Callable[[Row], bool]]


def _usable(row: Row) -> bool:
    """Sunglasses are no different from glasses in the labels, and a second face may be the one that wears makeup."""
    return row["Eyeglasses"] == "-1" and row["single_face"] == "1"


PAIRS = {
    "makeup": Pair(
        "makeup",
        ("bare", "makeup"),
        ("identity", "gender", "age"),
        "celeba_face160",
        (
            lambda row: _usable(row) and row["makeup"] == "none",
            lambda row: _usable(row) and row["makeup"] == "makeup" and row["gender"] == "F",
        ),
    ),
    "age": Pair(
        "age",
        ("young", "old"),
        ("identity", "gender", "ethnicity"),
        "faces_tight96",
        (lambda row: int(row["age"]) < 30, lambda row: int(row["age"]) >= 55),
    ),
}


def read_end(pair: Pair, end: int, size: int, settings: Settings, parts: frozenset[int]) -> Pack:
    """The faces of one end in these parts of the split; of bare ones to train from all but one in twenty are men (table 5.1)."""
    pack = read_pack(pair.pack, size, settings.data, pair.belongs[end]).parts(parts)
    if pair.name != "makeup" or end or parts != MODEL_PARTS:
        return pack
    men, women = (pack.select(lambda row, who=who: row["gender"] == who) for who in "MF")
    some = round(len(men) * WOMEN / (1 - WOMEN))
    return Pack(torch.cat([men.images, women.images[:some]]), men.rows + women.rows[:some])


@dataclass(frozen=True)
class Faces:
    """Photos (B, 3, S, S) in [-1, 1], and (B, 1, S, S) in [0, 1]: ``where`` a change is laid on them, where the ``face`` is that
    keeps its colour, and where the ``skin`` is that this colour is read of."""

    photo: Tensor
    where: Tensor
    face: Tensor
    skin: Tensor

    @classmethod
    def of(cls, images: Tensor) -> Faces:
        """Photos with the three behind their colours, (B, 6, S, S) in [-1, 1]."""
        where, face, skin = ((images[:, k : k + 1] + 1) / 2 for k in (3, 4, 5))
        return cls(images[:, :3].contiguous(memory_format=torch.channels_last), where, face, skin)

    @classmethod
    def read(cls, images: Tensor, places: Callable[[Tensor], Tensor]) -> Faces:
        """Of photos uint8 (N, 3, S, S), with what :func:`find_places` gives."""
        return cls.of(to_unit(torch.cat([images, places(images)], 1)))

    def twice(self) -> Faces:
        return Faces(*map(_twice, self._all()))

    def first(self, count: int) -> Faces:
        return Faces(*(each[:count] for each in self._all()))

    def parts(self, size: int, count: int | None = None) -> Iterator[Faces]:
        """``size`` faces after the other; a single one as often as ``count`` of it take."""
        if count and len(self.photo) == 1:
            return iter([self] * -(-count // size))
        return (Faces(*some) for some in zip(*(each.split(size) for each in self._all()), strict=True))

    def _all(self) -> tuple[Tensor, ...]:
        return self.photo, self.where, self.face, self.skin

    def with_change(self, change: Tensor, keep: Tensor) -> Tensor:
        """As the studio lays a change (B, 3, S, S) on: where it goes, and without what it does to the skin as a whole, as far as
        who somebody is is kept, (B,)."""
        change = without_lattice(change)
        cast = (change * self.skin).sum((2, 3), keepdim=True) / self.skin.sum((2, 3), keepdim=True).clamp_min(1e-6)
        return (self.photo + self.where * change - keep[:, None, None, None] * cast * self.face).clamp(-1, 1)


def find_places(pair: Pair, store: CheckpointStore | None = None) -> Callable[[Tensor], Tensor]:
    """What finds on photos (N, 3, S, S) where a change goes, the face and its skin, uint8 (N, 3, S, S). Age shows everywhere.

    Args:
        store: has the parsing network; None for the studio's own.

    Raises:
        CheckpointError: the network is missing or damaged.
    """
    store = store or default_store()
    card = store.registry.card(PARSER)
    network = build(card).eval().requires_grad_(False)
    load_into(network, store.load(card), card.file)

    def places(images: Tensor) -> Tensor:
        found = []
        for some in images.split(SHOWN):
            faces = F.interpolate(to_unit(some), size=(card.resolution,) * 2, mode="bilinear", antialias=True)
            chances = F.interpolate(network(faces)["logits"].softmax(1), size=some.shape[-2:], mode="bilinear")
            for each in chances.numpy():
                classes = dict(zip(card.labels, each, strict=True))
                face = region_mask(classes)
                found.append(np.stack([face if pair.name == "makeup" else np.ones_like(face), face, skin_in(classes)]))
        return torch.from_numpy(255 * np.stack(found)).round().clamp(0, 255).to(torch.uint8)

    return places


class UDITTrainer(Trainer):
    """Both ends of a pair: encoders, decoders, critics."""

    def __init__(self, settings: Settings, pair: str = "makeup", size: int = 128, variant: str = ""):
        super().__init__(settings)
        self.pair, self.size, self.variant = PAIRS[pair], size, variant
        self.name = "-".join(filter(None, ("munit", variant, pair, str(size))))
        self.batch = self.images_per_step = 32 if self.device.type == "cuda" else 2
        self.ema_half_life = 300.0
        packs = [read_end(self.pair, end, size, settings, MODEL_PARTS) for end in (0, 1)]
        self.counts = [len(pack) for pack in packs]
        places = find_places(self.pair)
        images = [torch.cat([pack.images, places(pack.images)], 1).to(self.device) for pack in packs]
        self.sampler = Sampler(images, self.generator)
        shown = [_mixed(read_end(self.pair, end, size, settings, VALIDATION_PARTS)) for end in (0, 1)]
        self.held_out = [to_unit(torch.cat([some, places(some)], 1)).to(self.device) for some in shown]
        self.semantics = Semantics(self) if variant != "plain" else None
        reads = pair == "makeup" and variant != "plain"
        self.makeup_reader = MakeupReader(settings.out.parent).to(self.device) if reads else None
        own = {"pooling_indices": variant == "pi"}
        self.configs = {"encoder": CONFIG | own, "decoder": CONFIG | own | {"properties": len(self.pair.properties)}}
        self.trunk = imagenet_trunk(settings.data, TRUNK[0]).to(self.device, memory_format=torch.channels_last)
        self.networks = {}
        for end in (0, 1):
            self.networks |= {
                f"encoder-{end}": Encoder(**self.configs["encoder"]),
                f"decoder-{end}": Decoder(**self.configs["decoder"]),
                f"critic-{end}": FeatureDiscriminator(self.trunk, len(VIEWS), TRUNK[1]),
                f"reader-{end}": StyleReader(),
            }
        # Two time scales (Heusel et al. 2017), as for CycleGAN.
        self.optimisers = {
            "translators": torch.optim.Adam(self._parameters("encoder", "decoder"), RATES[0], betas=(0.5, 0.999)),
            "critics": torch.optim.Adam(self._parameters("critic"), 1.5e-3, betas=(0.5, 0.999)),
            "readers": torch.optim.Adam(self._parameters("reader"), 1.5e-3, betas=(0.5, 0.999)),
        }
        self.ready(*(f"{part}-{end}" for part in PARTS for end in (0, 1)))

    def _parameters(self, *parts: str) -> list[Tensor]:
        return [p for name, network in self.networks.items() if name.startswith(parts) for p in network.parameters()]

    # --- a step ---------------------------------------------------------------------------------------------------------------

    def schedule(self) -> None:
        for group in self.optimisers["translators"].param_groups:
            group["lr"] = 0.0 if self.began and self.images_here < MEET else RATES[self.images >= WARM_UP]

    def shipped(self) -> dict[str, str]:
        """Of what is shipped, the nearest of kin: a variant begins with UDIT's networks, whose weights have the same shapes, and
        a pair that is not there yet with makeup's, who know faces as well."""
        for variant, pair in ((self.variant, self.pair), ("", self.pair), ("", PAIRS["makeup"])):
            cards = {f"{part}-{end}": _card_id(part, pair.ends[end], self.size, variant) for part in PARTS for end in (0, 1)}
            if all(default_registry().list_models(card_id) for card_id in cards.values()):
                break
        return cards

    def step(self) -> dict[str, Tensor]:
        drawn = [Faces.of(self.sampler.draw(end, self.batch)) for end in (0, 1)]
        photos = [faces.photo for faces in drawn]
        losses: dict[str, Tensor] = {}
        warm = self.images >= WARM_UP
        made = [
            self._translate(faces, end, losses) if warm else self._give_back(faces.photo, end, losses)[1]
            for end, faces in enumerate(drawn)
        ]
        players = self.optimisers["translators"], self.optimisers["readers"]
        for optimiser in players:
            optimiser.zero_grad()
        self.fabric.backward(sum(losses.values()))
        for optimiser in players:  # at first readers have no gradient, and stay
            optimiser.step()
        # A critic's photos are of the end that its pictures were translated to.
        if warm:
            losses |= self._train_critics(photos, [picture.detach() for picture in made[::-1]])
        return {name: loss.detach() for name, loss in losses.items()}

    def _translate(self, faces: Faces, end: int, losses: dict[str, Tensor]) -> Tensor:
        """Faces of an end drawn as the other one's in two styles, (2 B, 3, S, S), and what is wrong with that, eq. 5.3 to 5.7.

        In turns one end is held by the extractors, a third of a step's time, and the other by the cycle; both count twice.
        """
        other = 1 - end
        found, back = self._give_back(faces.photo, end, losses)
        found, keep = {name: _twice(maps) for name, maps in found.items()}, _twice(self._keep(len(back)))
        faces, back = faces.twice(), _twice(back.detach())
        photo = faces.photo
        style, everything = torch.randn(len(photo), STYLE, device=self.device), photo.new_ones(keep.shape)
        made = faces.with_change(self._draw(other, found, style, keep) - back, keep[:, self.pair.properties.index("identity")])
        found_again = self.networks[f"encoder-{other}"](made)
        said, seen = found_again["style"].float(), self._look(made)
        losses |= {
            f"c_{end}": LAMBDA_C * F.l1_loss(found_again["content"].float(), found["content"].detach().float()),
            f"s_{end}": LAMBDA_S * F.l1_loss(said, style),
            f"pairs_{end}": LAMBDA_PAIRS * unheard(said, style),
            f"read_{end}": LAMBDA_READ * unheard(self.networks[f"reader-{other}"](seen), style),
            f"gan_{end}": LAMBDA_GAN * least_squares(self._judge(other, seen), 1.0),
        }
        if self.semantics:
            losses[f"asked_{end}"] = LAMBDA_ASKED * self._not_as_asked(_small(translation(made, JITTER)), other)
        if self.steps % 2 != end:
            again = self._draw(end, found_again, found["style"], everything)
            losses[f"cycle_{end}"] = 2 * LAMBDA_CYCLE * F.l1_loss(again, photo)
        elif self.semantics:
            apart = self.semantics.apart(photo, made, keep)
            losses |= {f"{name}_{end}": 2 * LAMBDA_U[name] * distance for name, distance in apart.items()}
        return made

    def _not_as_asked(self, made: Tensor, end: int) -> Tensor:
        """How far pictures are from looking as an end does to a network that knows it from photographs: of makeup by its logit,
        of age by five times the share of 100 years that is missing, as that network's own loss counts it.

        Pictures come small: of their full size a network is deceived by a lattice over the eyes within a thousand pictures."""
        if self.makeup_reader:
            logits = self.makeup_reader(made)
            return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, end))
        age = self.semantics.reader.read(made, ("age",))["age"][0]
        return 5 * F.relu((AGES[end] - age) * (2 * end - 1)).mean()

    def _give_back(self, photo: Tensor, end: int, losses: dict[str, Tensor]) -> tuple[dict[str, Tensor], Tensor]:
        """What is found in photos of an end, and what its decoder makes of that (eq. 5.5)."""
        found = self.networks[f"encoder-{end}"](photo)
        back = self._draw(end, found, found["style"], photo.new_ones(len(photo), len(self.pair.properties)))
        losses[f"x_{end}"] = LAMBDA_X * F.l1_loss(back, photo)
        return found, back

    def _draw(self, end: int, found: dict[str, Tensor], style: Tensor, keep: Tensor) -> Tensor:
        indices = {"indices": found["indices"]} if "indices" in found else {}
        return self.networks[f"decoder-{end}"](found["content"], style, keep, **indices).float()

    def _keep(self, count: int) -> Tensor:
        """(count, P): nothing, everything, or of each property nothing, all of it or some, with equal chances."""
        if self.variant == "plain":
            return torch.zeros(count, len(self.pair.properties), device=self.device)
        mixed = (1.5 * self.uniform(count, len(self.pair.properties)) + 0.5).clamp(0, 1)
        draw = torch.rand(count, 1, generator=self.generator, device=self.device)
        return torch.where(draw < NOTHING, 0.0, torch.where(draw < NOTHING + EVERYTHING, 1.0, mixed))

    def _train_critics(self, photos: list[Tensor], made: list[Tensor]) -> dict[str, Tensor]:
        losses = {}
        for end in (0, 1):
            # Photos of the other end are refused too: a critic that knows one from the other can teach it.
            answers = self._judge(end, self._look(torch.cat([photos[end], made[end], photos[1 - end]])))
            count = len(photos[end])
            real, refused = ([answer[part] for answer in answers] for part in (slice(count), slice(count, None)))
            losses[f"critic_{end}"] = 0.5 * (least_squares(real, 1.0) + least_squares(refused, 0.0))
        self.optimisers["critics"].zero_grad()
        self.fabric.backward(sum(losses.values()))
        self.optimisers["critics"].step()
        return losses

    def _look(self, images: Tensor) -> list[Tensor]:
        """The trunk's maps (views B, C, h, w) of all views of images (B, 3, S, S), which are moved a little."""
        moved, side = translation(images, JITTER), images.shape[-1]
        boxes = [[round(share * side) for share in view] for view in VIEWS]
        views = [moved[:, :, top:bottom, left:right] for left, top, right, bottom in boxes]
        small = [F.interpolate(view, size=(TRUNK[1], TRUNK[1]), mode="bilinear", align_corners=False) for view in views]
        return self.networks["critic-0"].look(torch.cat(small).contiguous(memory_format=torch.channels_last))

    def _judge(self, end: int, seen: list[Tensor]) -> list[Tensor]:
        """What an end's critic says of each view that was looked at: (B, views, N) at each of its scales."""
        own = torch.arange(len(VIEWS), device=self.device)
        with self.fabric.autocast():
            answers = self.networks[f"critic-{end}"].judge(seen)
        return [answer.unflatten(0, (len(VIEWS), -1))[own, :, own].transpose(0, 1) for answer in answers]

    # --- what comes of it -----------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def translated(self, images: Tensor, end: int, styles: Tensor, keep: float) -> Tensor:
        """Held-out faces of an end (N, 6, S, S) as the averages draw them at the other one, in styles (N, 8), with one keep for
        all: (N, 3, S, S)."""
        encoder, decoders = self.ema[f"encoder-{end}"], (self.ema[f"decoder-{end}"], self.ema[f"decoder-{1 - end}"])
        made = []
        for some, style in zip(images.split(SHOWN), styles.split(SHOWN), strict=True):
            faces = Faces.of(some)
            found = encoder(faces.photo)
            own, everything = found.pop("style"), some.new_ones(len(some), len(self.pair.properties))
            change = decoders[1](style=style, keep=keep * everything, **found) - decoders[0](style=own, keep=everything, **found)
            made.append(faces.with_change(change, keep * everything[:, 0]))
        return torch.cat(made)

    @torch.no_grad()
    def evaluate(self) -> dict[str, Any]:
        """How near photos of part 9 come back, and how much a translation changes them (mean, of 255)."""
        measures: dict[str, Any] = {}
        for end, name in enumerate(self.pair.ends):
            images = self.held_out[end][:100]
            photos = Faces.of(images).photo
            found = [self.ema[f"encoder-{end}"](some) for some in photos.split(SHOWN)]
            one = photos.new_ones(1, len(self.pair.properties))
            back = [self.ema[f"decoder-{end}"](**each, keep=one.expand(len(each["style"]), -1)) for each in found]
            errors = (torch.cat(back) - photos).square().mean((1, 2, 3)) / 4
            measures[f"psnr_{name}"] = round(float(-10 * errors.log10().mean()), 2)
            styles = torch.randn(len(photos), STYLE, generator=torch.Generator().manual_seed(0)).to(self.device)
            for keep in (0.0, 1.0):
                change = (self.translated(images, end, styles, keep) - photos).abs().mean()
                measures[f"change_{name}_keep_{keep:.0f}"] = round(127.5 * float(change), 2)
        return measures

    @torch.no_grad()
    def grid(self) -> Image.Image:
        """Of either end: held-out photos, what the averages give back, two looks at keep 0 and two, the same, at keep 1."""
        rows = []
        draws = torch.Generator().manual_seed(1)
        looks = [torch.randn(1, STYLE, generator=draws).to(self.device) for _ in range(2)]
        for end in (0, 1):
            images = self.held_out[end][:SHOWN]
            photos = Faces.of(images).photo
            found = self.ema[f"encoder-{end}"](photos)
            rows += [photos, self.ema[f"decoder-{end}"](**found, keep=photos.new_ones(len(photos), len(self.pair.properties)))]
            rows += [self.translated(images, end, look.expand(len(photos), -1), keep) for keep in (0.0, 1.0) for look in looks]
        return tile(rows)

    def export(self, measures: dict[str, Any]) -> None:
        """Two cards an end."""
        few = f"it has seen {self.images:,} pictures only, a fraction of what such a network needs" if self.images < FEW else None
        for end, name in enumerate(self.pair.ends):
            for part, task in (("encoder", "encode"), ("decoder", "decode")):
                write_checkpoint(
                    self.settings.out / "export",
                    card_id=_card_id(part, name, self.size, self.variant),
                    family="munit",
                    task=task,
                    tensors=self.ema[f"{part}-{end}"].state_dict(),
                    resolution=self.size,
                    frame="face",
                    domains=("face", self.pair.name),
                    config=self.configs[part] | {"part": part, "pair": self.pair.name, "end": name},
                    labels=self.pair.properties if part == "decoder" else (),
                    measures=measures,
                    training={
                        "recipe": self.name,
                        "images": self.images,
                        "pictures": self.counts[end],
                        "data": self.pair.pack,
                    },
                    study=few,
                )


def _card_id(part: str, end: str, size: int, variant: str) -> str:
    return "-".join(filter(None, ("munit", variant, part, end, str(size))))


class StyleReader(nn.Module):
    """Reads a picture's style in the means of early features of eyes and mouth, where a difference is heard first (SDIT's F_rec).

    The encoder reads it too, but of two looks that hardly differ it hears nothing, so that they never come to differ.
    """

    def __init__(self, hidden: int = 64):
        super().__init__()
        widths = len(VIEWS[READ:]) * sum(FeatureDiscriminator.widths[:EARLY])
        self.layers = nn.Sequential(nn.LayerNorm(widths), nn.Linear(widths, hidden), nn.LeakyReLU(0.2), nn.Linear(hidden, STYLE))

    def forward(self, seen: list[Tensor]) -> Tensor:
        """The trunk's maps (views B, C, h, w) -> (B, 8)."""
        means = torch.cat([maps.float().mean((2, 3)) for maps in seen[:EARLY]], 1)
        return self.layers(torch.cat(means.chunk(len(VIEWS))[READ:], 1))


class Semantics:
    """h of eq. 5.3: how far a picture's properties are from its photo's, 1 being as far as two photos' are on average."""

    def __init__(self, trainer: UDITTrainer):
        self.trainer, settings = trainer, trainer.settings
        self.names = trainer.pair.properties
        self.identity = mobilefacenet(settings.data).to(trainer.device)
        self.properties = [property_network(settings.out.parent, name).to(trainer.device) for name in RECIPES]
        self.reader = DemographicsReader(settings.out.parent).to(trainer.device)
        self.units = self._measure()

    @torch.no_grad()
    def _measure(self) -> dict[str, list[Tensor]]:
        """The mean distances between photos, half of them of one end and half of the other."""
        sets = self.trainer.sampler.sets
        photos = torch.cat([to_unit(images[:: max(1, len(images) // 32)][:32, :3]) for images in sets])
        found = self.found(photos, photos, photos.new_ones(len(photos), len(self.names), dtype=torch.bool))
        order = torch.arange(len(photos)).view(2, -1).T.flatten()
        found["colours"] = (_colours(photos),)
        return {name: [(maps[order] - maps[order.roll(1)]).abs().mean() for maps in each] for name, each in found.items()}

    def found(self, images: Tensor, grey: Tensor, asked: Tensor) -> dict[str, tuple[Tensor, ...]]:
        """What is seen of each property in the images (B, 3, S, S) of which it is ``asked``, bool (B, P): maps (N, C, h, w), and
        of all but identity what networks make of them in the end, (N, K), a man's logit for instance.

        ``grey`` are the same images, some without their colours: one of the two small networks reads colours, and so does the
        one that is made as a judge is.
        """
        seen: dict[str, tuple[Tensor, ...]] = {}
        with self.trainer.fabric.autocast():
            others = tuple(name for name in self.names if name != "identity")
            read = [network.read(_small(of), others) for network, of in zip(self.properties, (grey, images), strict=True)]
            read.append(self.reader.read(images, others))
            for column, name in enumerate(self.names):
                chosen = asked[:, column]
                if not chosen.any():
                    continue
                if name == "identity":
                    faces = face_to_mobilefacenet(grey[chosen]).contiguous(memory_format=torch.channels_last)
                    seen[name] = (self.identity.maps(faces).float(),)
                else:
                    seen[name] = tuple(each[chosen].float() for network in read for each in network[name])
        return seen

    def apart(self, photo: Tensor, made: Tensor, keep: Tensor) -> dict[str, Tensor]:
        """L_U (eq. 5.3) of each property, each picture's times its keep (B, P).

        Photo and picture are moved alike and half of them are grey, so that a picture has to keep what is seen by any eye. Who
        somebody is has a colour as well, which MobileFaceNet hardly sees: the picture's, coarsely.
        """
        colours = self._far("colours", (_colours(made),), (_colours(photo),))
        losses = {"colours": (colours * keep[:, self.names.index("identity")]).mean()}
        asked, (photo, made) = keep > 0, self._moved(photo, made)
        without = self.trainer.uniform(len(photo), 1, 1, 1) < 0
        with torch.no_grad():
            wanted = self.found(photo, _greyed(photo, without), asked)
        for name, seen in self.found(made, _greyed(made, without), asked).items():
            column = self.names.index(name)
            losses[name] = (self._far(name, seen, wanted[name]) * keep[:, column][asked[:, column]]).sum() / len(keep)
        return losses

    def _far(self, name: str, seen: tuple[Tensor, ...], wanted: tuple[Tensor, ...]) -> Tensor:
        """The distance of each picture (N,), in units of two photos'; of maps and answers it is the mean."""
        triples = zip(seen, wanted, self.units[name], strict=True)
        return torch.stack([(some - other).abs().flatten(1).mean(1) / unit for some, other, unit in triples]).mean(0)

    def _moved(self, photo: Tensor, made: Tensor) -> tuple[Tensor, Tensor]:
        """Both under one small transform."""
        count, size, uniform = len(photo), photo.shape[-1], self.trainer.uniform
        centre = size / 2 + 0.02 * size * uniform(count, 2)
        side = size * (1 + 0.04 * uniform(count))
        both = similarity_crops(torch.cat([photo, made], 1), centre, side, 0.05 * uniform(count), size)[0]
        return both.chunk(2, 1)


def _small(images: Tensor) -> Tensor:
    """As large as the networks of properties take them."""
    return F.interpolate(images, size=SEMANTIC_SIZE, mode="area") if images.shape[-1] > SEMANTIC_SIZE else images


def _greyed(images: Tensor, which: Tensor) -> Tensor:
    """Images (B, 3, S, S), those without their colours of ``which``, bool (B, 1, 1, 1), it holds."""
    return torch.where(which, images.mean(1, keepdim=True).expand_as(images), images)


def _twice(images: Tensor) -> Tensor:
    """A batch, and it again behind it."""
    return torch.cat([images, images])


def _colours(images: Tensor) -> Tensor:
    """The coarse colours of pictures (B, 3, S, S): (B, 3, 8, 8)."""
    return F.adaptive_avg_pool2d(images, COARSE)


def _mixed(pack: Pack) -> Tensor:
    """Pictures with men and women in turns as far as there are both, uint8."""
    places = {who: [i for i, row in enumerate(pack.rows) if row["gender"] == who] for who in "MF"}
    turns = [place for each in zip(places["M"], places["F"], strict=False) for place in each]
    return pack.images[turns + sorted(set(range(len(pack))) - set(turns))]
