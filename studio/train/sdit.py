"""SDIT (Wang et al. 2019; Wang 2020, chapter 6): ten attributes of faces, six ways to paint, nine colours of cars.

The losses are eq. 6.1 to 6.8. What their weights are, and where and why we leave the paper, is in ``docs/sdit.md``: above all,
D sees pictures through frozen ImageNet features, which know colours, textures and things before the first step.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from studio.core.faces import FRAME_SIZE, FRAMES
from studio.metrics.kid import kid
from studio.models.cyclegan import Discriminator as PatchDiscriminator
from studio.models.sdit import Generator
from studio.train.augment import diff_augment
from studio.train.critics import FeatureDiscriminator, imagenet_trunk
from studio.train.data import MODEL_PARTS, VALIDATION_PARTS, read_names, read_pack, read_rows, to_unit
from studio.train.export import write_checkpoint
from studio.train.gan import PACKS, pooled
from studio.train.judges import FIRST_ATTRIBUTE, attribute_names, rare_more_often
from studio.train.loop import Settings, Trainer, tile
from studio.train.losses import perceptual_distance, unheard
from studio.train.semantics import AttributeReader, CarReader, Reader
from studio.train.xgan import FAR, FAR_WORDS, evenly, fixed

# Table 6.2; of the two colours of hair one at most.
ATTRIBUTES = (
    "Bangs", "Young", "Male", "Smiling", "Wearing_Hat",
    "Pale_Skin", "Brown_Hair", "Blond_Hair", "Eyeglasses", "Mouth_Slightly_Open",
)  # fmt: skip
HAIR = ("Brown_Hair", "Blond_Hair")
# Where in a portrait what is local shows: in eye distances from the middle of the eyes, from the left and the top to the right
# and the bottom. Every portrait has its eyes in the same places.
PLACES = {
    "Eyeglasses": (-0.95, -0.55, 0.95, 0.4),
    "Bangs": (-1.0, -1.6, 1.0, -0.45),
    "Wearing_Hat": (-1.7, -2.3, 1.7, -0.45),
    "Mouth_Slightly_Open": (-0.55, 0.75, 0.55, 1.4),
    "Smiling": (-0.9, 0.3, 0.9, 1.5),
}
ALSO = 0.05  # of the other attributes turn round as well
# Times as often asked for as others.
HARD = {"Brown_Hair": 3.0, "Blond_Hair": 3.0, "Mouth_Slightly_Open": 3.0, "Bangs": 2.5, "Smiling": 1.5}
LATENT = 8
LAMBDA_GAN = 4.0
LAMBDA_PLACE = 7.0  # attention of what is local beside its place
# "said": what label, z and attention say to norms; "code": F_rec; "patches": D_src on patches, the one that begins from nothing.
RATES = {"generator": 6e-4, "critic": 1.5e-3, "said": 4e-3, "code": 1.5e-3, "patches": 6e-4}
POLICY = "translation"
EARLY = 3  # of the trunk's maps, those F_rec hears z in
FEW = 1_000_000  # pictures, a third of the paper's; a network that has seen fewer is a study
BATCH = 64  # that the averages translate at once
MEASURED = 200  # photos of part 9 that the measures are of
WARM_UP = 3_000  # photos that D learns from before it teaches
MEET = 3_000  # pictures that it then looks at before a generator that was shipped goes on
STAY = 2  # photos of a step that are asked for what they show already
CONFIGS = {64: {"width": 32, "n_blocks": 1}, 128: {"width": 48}}


@dataclass(frozen=True)
class Variant:
    """What table 6.1 and figure 6.6 compare.

    ``scale``, ``shift``: z has a say in gamma and in beta. ``latent_loss``: z is asked for again (eq. 6.6).
    """

    scale: bool = True
    shift: bool = True
    attention: bool = True
    latent_loss: bool = True


VARIANTS = {
    "SDIT w/o CIN": Variant(scale=False, shift=False, latent_loss=False),
    "SDIT w/o Atten (L_LAT = 0)": Variant(attention=False, latent_loss=False),
    "SDIT w/o Atten (L_LAT > 0)": Variant(attention=False),
    "SDIT (L_LAT = 0)": Variant(latent_loss=False),
    "SDIT": Variant(),
    "as StarGAN": Variant(scale=False, shift=False, attention=False, latent_loss=False),
    "gamma alone": Variant(shift=False, attention=False, latent_loss=False),
    "beta alone": Variant(scale=False, attention=False, latent_loss=False),
}


@dataclass(frozen=True)
class Domains:
    """What a recipe translates between: what goes in and its frame, the pack, the column that names its domains.

    Args:
        fake: lambda_FAKE. latent: lambda_LAT. rec: lambda_REC.
        variety: how far apart mode seeking wants two pictures of a photo, as a share of what photos are; seek: its weight.
        change: weight of how much is changed at all. attention: of how much of a picture is attended.
        read: weight of what an extractor, trained on photos, reads of a picture.
        enough: share of the extractor's cross-entropy of new photos below which a picture is asked for no more: no car is as
            white as a network likes it best.
        enlarged: times the side of a picture that D sees it at.
    """

    subject: str
    frame: str
    pack: str
    column: str = ""
    variant: Variant = VARIANTS["SDIT"]
    fake: float = 1.0
    latent: float = 4.0
    rec: float = 3.0
    variety: float = 0.2
    seek: float = 3.0
    change: float = 0.0
    attention: float = 0.5
    read: float = 0.0
    enough: float = 0.0
    enlarged: float = 1.0


DETERMINISTIC = "as StarGAN"
DOMAINS = {
    # The portrait frame is the paper's, has hats and hair in it, and is what the packs are in, so that no pixel is made up.
    # Glasses are small; and a style that is heard loudly, or a change that costs nothing, is a tint all over the photo.
    "attributes": Domains(
        "face", "portrait", PACKS[0], fake=0.5, latent=1.0, variety=0.08, change=1.0, attention=2.0, read=2.0, enlarged=1.5
    ),
    "art": Domains(
        "picture", "", "art160", "domain", VARIANTS["SDIT w/o Atten (L_LAT > 0)"], fake=0.3, latent=2.0, variety=0.1, change=0.5
    ),
    "cars": Domains("car", "", "cars_by_colour128", "colour", fake=0.5, rec=8.0, seek=7.0, change=0.7, read=1.5, enough=0.3),
}


# --- what pictures are called ---------------------------------------------------------------------------------------------------


class Labels(ABC):
    """How pictures are told to which domain they belong: ``names`` of the K numbers, each 0 or 1."""

    def __init__(self, names: tuple[str, ...]):
        self.names = names

    @abstractmethod
    def weights(self, labels: Tensor) -> Tensor:
        """How often each of the photos with these labels (N, K) is drawn, (N,): rare ones more often."""

    @abstractmethod
    def changed(self, labels: Tensor) -> Tensor:
        """What photos that are called ``labels`` (B, K) shall show instead."""

    @abstractmethod
    def towards(self, labels: Tensor, name: str) -> Tensor:
        """What photos that are called ``labels`` (B, K) shall show when the one thing is asked of them."""

    def places(self, labels: Tensor, wanted: Tensor, size: int) -> Tensor | None:
        """Where photos of ``size`` px called ``labels`` (B, K) change if they shall show ``wanted`` (B, K): maps (B, 1, size,
        size), 1 at the places of what changes and 0 beside them, and 1 everywhere if it may be anywhere. None where it always
        may."""
        return None

    @abstractmethod
    def domains(self, labels: Tensor) -> Tensor:
        """Which of D_src's domains, (B, D), pictures belong to that show ``labels`` (B, K): 0 or 1."""

    @abstractmethod
    def losses(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Cross-entropy of D_cls (eq. 6.3, 6.4) for each picture, (B,)."""

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Their mean."""
        return self.losses(logits, labels).mean()


class Attributes(Labels):
    """Any of them at once, but for the colours of hair."""

    def weights(self, labels: Tensor) -> Tensor:
        return rare_more_often(labels)

    def changed(self, labels: Tensor) -> Tensor:
        """One attribute is turned round, and now and then another."""
        often = torch.tensor([HARD.get(name, 1.0) for name in self.names], device=labels.device)
        one = F.one_hot(torch.multinomial(often, len(labels), replacement=True), len(often)).bool()
        return self._turned(labels, one | (torch.rand_like(labels) < ALSO))

    def towards(self, labels: Tensor, name: str) -> Tensor:
        """It is turned round."""
        chosen = torch.zeros_like(labels, dtype=torch.bool)
        chosen[:, self.names.index(name)] = True
        return self._turned(labels, chosen)

    def _turned(self, labels: Tensor, chosen: Tensor) -> Tensor:
        turned = torch.where(chosen, 1 - labels, labels)
        places = [self.names.index(name) for name in HAIR if name in self.names]
        for place in places:
            coloured = chosen[:, place] & (turned[:, place] > 0)
            for other in places:
                if other != place:
                    turned[:, other] = turned[:, other].masked_fill(coloured, 0)
        return turned

    def places(self, labels: Tensor, wanted: Tensor, size: int) -> Tensor:
        turned = (labels != wanted).float()
        return (turned @ place_maps(self.names, size).to(labels.device)).clamp(max=1).view(-1, 1, size, size)

    def domains(self, labels: Tensor) -> Tensor:
        """All with an attribute are one, all without it another."""
        return torch.cat([labels, 1 - labels], 1)

    def losses(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Binary, and summed over the attributes, as they are not exclusive."""
        return F.binary_cross_entropy_with_logits(logits.float(), labels, reduction="none").sum(1)


class Classes(Labels):
    """One of them."""

    def weights(self, labels: Tensor) -> Tensor:
        return labels @ (1 / labels.sum(0).clamp_min(1))

    def changed(self, labels: Tensor) -> Tensor:
        """Any other."""
        count = labels.shape[1]
        steps = torch.randint(1, count, (len(labels),), device=labels.device)
        return F.one_hot((labels.argmax(1) + steps) % count, count).to(labels.dtype)

    def towards(self, labels: Tensor, name: str) -> Tensor:
        return F.one_hot(torch.full_like(labels[:, 0], self.names.index(name)).long(), labels.shape[1]).to(labels.dtype)

    def domains(self, labels: Tensor) -> Tensor:
        return labels

    def losses(self, logits: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(logits.float(), labels, reduction="none")


@dataclass(frozen=True)
class Labelled:
    """Pictures, uint8 (N, 3, S, S), what they are called, float (N, K), and how."""

    images: Tensor
    labels: Tensor
    kind: Labels


def read_labelled(domains: str, size: int, data: Path | None, parts: frozenset[int]) -> Labelled:
    """The pictures of ``DOMAINS`` in these tenths of the split; of faces those whose attributes are known.

    Raises:
        FileNotFoundError: a pack is not there.
    """
    if domains == "attributes":
        return _read_faces(size, data, parts)
    which = DOMAINS[domains]
    whole = read_pack(which.pack, size, data)
    pack, names = whole.parts(parts), tuple(sorted({row[which.column] for row in whole.rows}))
    labels = F.one_hot(torch.tensor([names.index(row[which.column]) for row in pack.rows]), len(names)).float()
    return Labelled(pack.images, labels, Classes(names))


def _read_faces(size: int, data: Path | None, parts: frozenset[int]) -> Labelled:
    """Portraits; small ones of the softer pack as well, but for photos that are in both."""
    packs = [read_pack(PACKS[0], size, data, lambda row: bool(row.get(FIRST_ATTRIBUTE))).parts(parts)]
    if size <= 64:
        twins = read_names(PACKS[0], data)
        packs.append(read_pack(PACKS[1], size, data, lambda row: row["file_name"] not in twins).parts(parts))
    names = tuple(name for name in ATTRIBUTES if name in packs[0].rows[0])
    labels = [[float(row[name] == "1") for name in names] for pack in packs for row in pack.rows]
    return Labelled(torch.cat([pack.images for pack in packs]), torch.tensor(labels), Attributes(names))


# --- D --------------------------------------------------------------------------------------------------------------------------


class Discriminator(FeatureDiscriminator):
    """Three heads over frozen ImageNet features: D_src, real and of a domain or not, for pictures as such and for each domain;
    D_cls from deep features, which know things, and early ones, which know colours; F_rec from early ones, where a latent is
    heard first. D_src looks at patches of the picture itself as well: green hair is blond to features that nobody trains.

    Args:
        trunk: frozen. labels: K. domains: of D_src. latent: Z. size: px that pictures are resized to first.
    """

    def __init__(self, trunk: nn.Module, labels: int, domains: int, latent: int = LATENT, size: int = 96, hidden: int = 64):
        super().__init__(trunk, 1 + domains, size, hidden, first=1)
        self.patches = PatchDiscriminator(domains=1 + domains)
        early = sum(self.widths[:EARLY])
        body = nn.Conv2d(self.widths[-1], hidden, 1), nn.LeakyReLU(0.2), nn.AdaptiveAvgPool2d(3)
        self.named = nn.Sequential(*body, nn.Flatten(), nn.Linear(9 * hidden, labels))
        self.coloured = nn.Sequential(nn.Flatten(), nn.LayerNorm(9 * early), nn.Linear(9 * early, labels))
        heard = nn.LayerNorm(early), nn.Linear(early, hidden), nn.LeakyReLU(0.2)
        self.code = nn.Sequential(*heard, nn.Linear(hidden, latent, bias=False))

    def look(self, image: Tensor) -> list[Tensor]:
        """``image`` (B, 3, H, W) in [-1, 1] -> the trunk's maps (B, C, h, w), and the image behind them."""
        return [*super().look(image), image]

    def answer(self, seen: list[Tensor]) -> dict[str, Any]:
        """What was looked at -> ``source``, D_src's answers (B, 1 + domains, N) at each scale, ``labels`` (B, K) and
        ``latent`` (B, Z)."""
        *maps, image = seen
        early = [F.adaptive_avg_pool2d(each.float(), 3) for each in maps[:EARLY]]
        labels = self.named(maps[-1]) + self.coloured(torch.cat(early, 1))
        heard = torch.cat([each.mean((2, 3)) for each in early], 1)
        return {"source": self.judge(maps) + self.patches(image), "labels": labels, "latent": self.code(heard)}


# --- the recipe -----------------------------------------------------------------------------------------------------------------


class SDITTrainer(Trainer):
    """``sdit-DOMAINS-SIZE``, or one of the :data:`VARIANTS` of it; ``sdit-deterministic-attributes-SIZE`` has one answer.

    Args:
        domains: one of ``DOMAINS``.
        size: px.
        variant: the domains' own if None.
    """

    images_per_step = 8
    ema_half_life = 2_000.0

    def __init__(self, settings: Settings, domains: str, size: int = 64, variant: Variant | None = None):
        super().__init__(settings)
        self.domains, self.size = domains, size
        self.variant = variant or DOMAINS[domains].variant
        kind = ("deterministic",) if self.variant == VARIANTS[DETERMINISTIC] else ()
        self.name = "-".join(("sdit", *kind, domains, str(size)))
        if self.device.type == "cuda":  # which small batches would leave idle
            self.images_per_step = 32
        self.data = read_labelled(domains, size, settings.data, MODEL_PARTS)
        self.held_out = read_labelled(domains, size, settings.data, VALIDATION_PARTS)
        self.kind = self.data.kind
        self.images_of, self.labels_of = self.data.images.to(self.device), self.data.labels.to(self.device)
        self.often = self.kind.weights(self.labels_of)
        switches = {name: on for name, on in asdict(self.variant).items() if name != "latent_loss"}
        self.config = {"labels": len(self.kind.names), "latent": LATENT} | CONFIGS[size] | switches
        self.trunk = imagenet_trunk(settings.data).to(self.device, memory_format=torch.channels_last)
        counts = len(self.kind.names), self.kind.domains(self.labels_of[:1]).shape[1]
        self.networks = {
            "generator": Generator(**self.config),
            "critic": Discriminator(self.trunk, *counts, size=round(DOMAINS[domains].enlarged * size)),
        }
        self.reader, self.unread = None, 0.0
        if DOMAINS[domains].read:
            self.reader = self._reader().to(self.device)
            self.unread = self._unread() if DOMAINS[domains].enough else 0.0
        if settings.compile:
            self.networks["generator"].compile()
        said = ".to_scale.", ".to_shift.", ".attention_norm."
        groups = {
            "generator": _rated(self.networks["generator"], "generator", {"said": said}),
            "critic": _rated(self.networks["critic"], "critic", {"code": (".code.",), "patches": (".patches.",)}),
        }
        self.optimisers = {name: torch.optim.Adam(group, RATES[name], betas=(0.5, 0.99)) for name, group in groups.items()}
        self.ready("generator")

    def _reader(self) -> Reader:
        """Of what is translated. Raises ``FileNotFoundError`` where the extractor was not trained."""
        if self.domains == "cars":
            return CarReader(self.settings.out.parent)
        known = attribute_names(read_rows(PACKS[0], self.settings.data))
        return AttributeReader(self.settings.out.parent, [known.index(name) for name in self.kind.names])

    @torch.no_grad()
    def _unread(self) -> float:
        """The extractor's cross-entropy of photos that it has not learnt from."""
        parts = zip(self.held_out.images.split(BATCH), self.held_out.labels.split(BATCH), strict=True)
        losses = [self.kind.losses(self.reader(to_unit(a).to(self.device)), b.to(self.device)) for a, b in parts]
        return float(torch.cat(losses).mean())

    def shipped(self) -> dict[str, str]:
        """SDIT's, of every variant."""
        return {"generator": f"sdit-{self.domains}-{self.size}"}

    def fitting(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        """What a variant switches off is left out."""
        if self.variant == DOMAINS[self.domains].variant:
            return tensors
        own = self.ema["generator"].state_dict()
        return {name: tensor for name, tensor in tensors.items() if name in own}

    def step(self) -> dict[str, Tensor]:
        photos, labels = self._photos()
        if self.images_here < WARM_UP:
            return self._teach_labels(photos, labels)
        half = len(photos) // 2  # each photo of a half is translated twice
        twice, called = photos[:half].repeat(2, 1, 1, 1), labels[:half]
        wanted = self.kind.changed(called).repeat(2, 1)
        latents = torch.randn(len(twice), LATENT, device=self.device)
        with torch.no_grad():
            real = self._look(photos)
        losses, made = self._train_generator(twice, called.repeat(2, 1), wanted, latents, real)
        losses |= self._train_critic(real, labels, made, called.repeat(2, 1), wanted, latents)
        return {name: loss.detach() for name, loss in losses.items()}

    def _look(self, images: Tensor) -> list[Tensor]:
        """The trunk's maps of pictures a little beside their places; those of two halves are moved alike. In single precision, as
        a CPU takes 1.6 times as long for them in bf16."""
        halves = diff_augment(torch.cat(images.chunk(2), 1), POLICY)
        return self.networks["critic"].look(torch.cat(halves.chunk(2, 1)).contiguous(memory_format=torch.channels_last))

    def _answer(self, maps: list[Tensor]) -> dict[str, Any]:
        with self.fabric.autocast():
            return self.networks["critic"].answer(maps)

    def _asked(self, labels: Tensor, wanted: Tensor) -> Tensor:
        """Which of D_src's answers (B, 1 + D) count of pictures: what they are as such, and as what has changed."""
        return _with_any(self.kind.domains(wanted) * (1 - self.kind.domains(labels)))

    def _photos(self) -> tuple[Tensor, Tensor]:
        """Photos, half of them mirrored, and their labels; rare domains as often as others."""
        chosen = torch.multinomial(self.often, self.images_per_step, replacement=True, generator=self.generator)
        images = to_unit(self.images_of[chosen])
        mirrored = torch.rand(len(chosen), 1, 1, 1, generator=self.generator, device=self.device) < 0.5
        images = torch.where(mirrored, images.flip(3), images).contiguous(memory_format=torch.channels_last)
        return images, self.labels_of[chosen]

    def _missing(self, logits: Tensor, wanted: Tensor) -> Tensor:
        """What pictures lack of their labels: cross-entropies above what is enough."""
        return F.relu(self.kind.losses(logits, wanted) - DOMAINS[self.domains].enough * self.unread).mean()

    def _train_generator(
        self, photos: Tensor, labels: Tensor, wanted: Tensor, latents: Tensor, real: list[Tensor]
    ) -> tuple[dict[str, Tensor], list[Tensor]]:
        """{E, G, M} of eq. 6.8: there, and half of them back with the same latents (eq. 6.7); and some that shall stay."""
        generator, critic, which = self.networks["generator"], self.networks["critic"], DOMAINS[self.domains]
        answer = generator(photos, wanted, latents)
        made = answer["image"].float()
        half = len(photos) // 2
        stay = slice(half, half + STAY)
        taken, kept = torch.cat([made[:half], photos[stay]]), torch.cat([photos[:half], photos[stay]])
        back = generator(taken, *(torch.cat([each[:half], each[stay]]) for each in (labels, latents)))["image"].float()
        with fixed(critic):
            maps = self._look(made)
            answers = self._answer(maps)
            losses = {
                "gan": LAMBDA_GAN * _towards(answers["source"], self._asked(labels, wanted), 1.0),
                "fake": which.fake * self._missing(answers["labels"], wanted),
                "rec": which.rec * F.l1_loss(back, kept),
            }
            apart = _pair_distances(maps) / _pair_distances(real).mean()
            if self.variant.latent_loss:
                losses["latent"] = which.latent * unheard(answers["latent"], latents)
                losses["variety"] = which.seek * F.relu(which.variety - apart).mean()
            if self.reader:
                losses["read"] = which.read * self._missing(self.reader(maps[-1]), wanted)
            if which.change:
                losses["change"] = which.change * answer["change"].float().abs().mean()
            if self.variant.attention:
                attention = answer["attention"].float()
                losses["attention"] = which.attention * spread_of(attention)
                if (places := self.kind.places(labels, wanted, self.size)) is not None:
                    losses["place"] = LAMBDA_PLACE * beside(attention, places)
            if not self.began or self.images_here >= WARM_UP + MEET:
                self._follow("generator", losses)
        return losses | {"apart": apart.mean()}, [each.detach() for each in maps]

    def _train_critic(
        self, real: list[Tensor], labels: Tensor, made: list[Tensor], before: Tensor, wanted: Tensor, latents: Tensor
    ) -> dict[str, Tensor]:
        """D of eq. 6.8; F_rec learns from made pictures alone, as photos have no latent."""
        losses, answers = self._named(real, labels), self._answer(made)
        losses["refused"] = 0.5 * _towards(answers["source"], self._asked(before, wanted), 0.0)
        if self.variant.latent_loss:
            losses["code"] = unheard(answers["latent"], latents)
        self._follow("critic", losses)
        return losses

    def _named(self, real: list[Tensor], labels: Tensor) -> dict[str, Tensor]:
        """What D learns from photos. A domain refuses those of others: a critic that knows one from another teaches it."""
        said, own = self._answer(real), self.kind.domains(labels)
        others = torch.cat([torch.zeros_like(own[:, :1]), 1 - own], 1)
        told = _towards(said["source"], _with_any(own), 1.0) + 0.5 * _towards(said["source"], others, 0.0)
        return {"critic": told, "real": self.kind.loss(said["labels"], labels)}

    def _teach_labels(self, photos: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """A step of D alone: what it does not know yet it cannot teach."""
        with torch.no_grad():
            real = self._look(photos)
        losses = self._named(real, labels)
        self._follow("critic", losses)
        return {name: loss.detach() for name, loss in losses.items()}

    def _follow(self, name: str, losses: dict[str, Tensor]) -> None:
        """A step of a network down the sum of the losses."""
        self.optimisers[name].zero_grad()
        self.fabric.backward(torch.stack(list(losses.values())).sum())
        self.optimisers[name].step()

    # --- what comes of it -----------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def translate(self, photos: Tensor, labels: Tensor, latents: Tensor) -> dict[str, Tensor]:
        """What the average makes of photos (N, 3, S, S): the generator's answers, whole."""
        parts = zip(*(each.split(BATCH) for each in (photos, labels, latents)), strict=True)
        answers = [self.ema["generator"](*part) for part in parts]
        return {name: torch.cat([answer[name].float() for answer in answers]) for name in answers[0]}

    def latents(self, count: int) -> Tensor:
        """Draws of z, (count, Z), from the generator whose state is saved."""
        return torch.randn(count, LATENT, generator=self.generator, device=self.device)

    @torch.no_grad()
    def evaluate(self) -> dict[str, Any]:
        """KID x 1000 of translated pictures of part 9 to its photos on ImageNet features with that of the models' own; in dB how
        near they come back to the photos; how far apart two latents bring them, and two photos are, on the same features."""
        trunk = imagenet_trunk(self.settings.data).to(self.device)
        chosen = evenly(len(self.held_out.images), MEASURED)
        photos, labels = to_unit(self.held_out.images[chosen]).to(self.device), self.held_out.labels[chosen].to(self.device)
        wanted = self.kind.changed(labels)
        made, again = (self.translate(photos, wanted, self.latents(len(photos)))["image"] for _ in range(2))
        back = self.translate(made, labels, self.latents(len(photos)))["image"]
        order = torch.randperm(len(self.images_of), generator=self.generator, device=self.device)[: len(photos)]
        real = pooled(trunk, photos)
        return {
            "kid_imagenet": round(1000 * kid(pooled(trunk, made), real)[0], 2),
            "kid_imagenet_floor": round(1000 * kid(pooled(trunk, to_unit(self.images_of[order])), real)[0], 2),
            "psnr": round(float(-10 * ((back - photos).square().mean((1, 2, 3)) / 4).log10().mean()), 2),
            "variety": round(_apart(trunk, made, again), 3),
            "variety_photos": round(_apart(trunk, photos, photos.roll(len(photos) // 2, 0)), 3),
        }

    @torch.no_grad()
    def grid(self) -> Image.Image:
        """Held-out photos, a row each: the photo, then for each domain two pictures and where they changed."""
        chosen = evenly(len(self.held_out.images), 10)
        photos, labels = to_unit(self.held_out.images[chosen]).to(self.device), self.held_out.labels[chosen].to(self.device)
        latents = torch.randn(2, len(chosen), LATENT, generator=torch.Generator().manual_seed(0)).to(self.device)
        columns = [photos]
        for name in self.kind.names:
            wanted = self.kind.towards(labels, name)
            answers = [self.translate(photos, wanted, each) for each in latents]
            columns += [answer["image"] for answer in answers]
            if self.variant.attention:
                columns.append(2 * answers[0]["attention"].expand(-1, 3, -1, -1) - 1)
        return tile(list(torch.stack(columns, 1)))

    def export(self, measures: dict[str, Any]) -> None:
        domains = DOMAINS[self.domains]
        write_checkpoint(
            self.settings.out / "export",
            card_id=self.name,
            family="sdit",
            task="translate",
            tensors=self.ema["generator"].state_dict(),
            resolution=self.size,
            frame=domains.frame,
            domains=(domains.subject, self.domains),
            config=self.config,
            labels=self.kind.names,
            measures=measures,
            training={
                "recipe": self.name,
                "images": self.images,
                "pictures": len(self.images_of),
                "data": ", ".join(PACKS) if self.domains == "attributes" and self.size <= 64 else domains.pack,
            },
            study=self._study(measures),
        )

    def _study(self, measures: dict[str, Any]) -> str | None:
        """Why an artist should not take it for finished, if so."""
        if measures["kid_imagenet"] > FAR:
            return FAR_WORDS
        few = f"it has seen {self.images:,} pictures only, a fraction of what such a network needs"
        return few if self.images < FEW else None


def _rated(network: nn.Module, rate: str, others: dict[str, tuple[str, ...]]) -> list[dict[str, Any]]:
    """A network's parameters in groups with their ``RATES``: of ``others`` are those in whose names one of the words is."""
    groups: dict[str, list[nn.Parameter]] = {rate: [], **{name: [] for name in others}}
    for name, parameter in network.named_parameters():
        own = (other for other, words in others.items() if any(word in f".{name}" for word in words))
        groups[next(own, rate)].append(parameter)
    return [{"params": parameters, "lr": RATES[name]} for name, parameters in groups.items()]


def spread_of(attention: Tensor) -> Tensor:
    """How much of a picture is attended, as shares of where it is attended most: maps (B, 1, H, W) -> (). The mean alone is saved
    by a map that is dim everywhere, whose change then grows; here only one that gathers saves anything."""
    return (attention.mean((2, 3)) / attention.amax((2, 3)).clamp_min(1e-6)).mean()


def beside(attention: Tensor, places: Tensor) -> Tensor:
    """The share of attention (B, 1, H, W) that lies beside its ``places``, 0 or 1 (B, 1, H, W): ()."""
    return ((attention * (1 - places)).mean((2, 3)) / attention.mean((2, 3)).clamp_min(1e-6)).mean()


@cache
def place_maps(names: tuple[str, ...], size: int) -> Tensor:
    """Where attributes show in a portrait of ``size`` px, (K, size * size): 1 everywhere for those that are not local."""
    maps = [place_map(PLACES[name], size) if name in PLACES else torch.ones(size, size) for name in names]
    return torch.stack(maps).flatten(1)


def place_map(place: tuple[float, float, float, float], size: int) -> Tensor:
    """One of ``PLACES`` in a portrait of ``size`` px: (size, size), 1 there and 0 elsewhere."""
    (first, row), (second, _) = FRAMES["portrait"]
    left, top, right, bottom = place
    at = (torch.arange(size) + 0.5) * FRAME_SIZE / size
    x, y = ((at - centre) / (second - first) for centre in ((first + second) / 2, row))
    return ((y > top) & (y < bottom)).float()[:, None] * ((x > left) & (x < right)).float()


def _with_any(domains: Tensor) -> Tensor:
    """What D_src is asked, (B, 1 + D): every picture's being real, and being of these domains (B, D)."""
    return torch.cat([torch.ones_like(domains[:, :1]), domains], 1)


def _towards(answers: list[Tensor], asked: Tensor, value: float) -> Tensor:
    """Least squares (Mao et al. 2017) of those answers that are ``asked`` (B, D) against ``value``; each scale's (B, D, N) counts
    the same."""
    squares = torch.stack([((answer.float() - value) ** 2).mean(2) for answer in answers]).mean(0)
    return (squares * asked).sum() / asked.sum().clamp_min(1)


def _pair_distances(maps: list[Tensor]) -> Tensor:
    """Of pairs of pictures, the two halves of feature maps (B, C, h, w), (B / 2,): as ``perceptual_distance``, but of early maps'
    means over all places, so that a blot in a corner is worth little."""
    unit = (F.normalize(each.float().mean((2, 3)), dim=1).chunk(2) for each in maps[:EARLY])
    return torch.stack([(first - second).square().sum(1) for first, second in unit]).sum(0)


def _apart(trunk: torch.nn.Module, first: Tensor, second: Tensor) -> float:
    """The mean distance of pairs of pictures on frozen ImageNet features."""
    pairs = zip(first.split(BATCH), second.split(BATCH), strict=True)
    return float(sum(perceptual_distance(trunk(a), trunk(b)) * len(a) for a, b in pairs) / len(first))
