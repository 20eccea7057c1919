"""CVAE-GAN (Bao et al. 2017, Algorithm 1) on faces with attributes, flowers and birds, and the models it is compared with.

The losses are the paper's: D and C by cross-entropy (eq. 1 and 3), G by the means of features (eq. 2 and 4, moving averages),
G and E by what a picture and its reconstruction have in common (eq. 6), E by its distance from the prior (eq. 5). Where and why
we leave the paper is in ``docs/cvaegan.md``: above all, what E found of a photo is drawn with another c as well.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from studio.core.checkpoints import default_store
from studio.metrics.kid import kid
from studio.models.cvaegan import Classifier, Encoder, Generator
from studio.train.augment import cutout, diff_augment
from studio.train.critics import imagenet_trunk
from studio.train.data import HEAD, MODEL_PARTS, VALIDATION_PARTS, read_names, read_pack, to_unit
from studio.train.export import write_checkpoint
from studio.train.gan import PACKS, logistic, pooled, read_faces, renewed
from studio.train.growing import grow
from studio.train.judges import FIRST_ATTRIBUTE, attribute_names
from studio.train.loop import Settings, Trainer, named, read_state, tile, unwrap
from studio.train.losses import perceptual_distance
from studio.train.xgan import BATCH, FAR, FAR_WORDS, MEASURED, evenly, fixed

LAMBDA_PIXELS, LAMBDA_MAPS, LAMBDA_PERCEPTUAL = 4.0, 1.0, 1.0  # of the parts of L_G (eq. 6); perceptual is not in the paper
LAMBDA_GD, LAMBDA_GC = 10.0, 50.0
LAMBDA_APART = 5.0  # of what codes say of the condition, which is not in the paper
HELD, HELD_LONG = 0.9, 0.995  # of a moving average stays at a step; of the covariances
CHANGED = 8  # attributes of a face, on average
UNKNOWN = 0.1  # share of attributes that E and G are not told
PERCEPTUAL = 3  # maps, down to an eighth of the side
WINDOW = 64  # px that they see of a larger picture
INNER = 0.3  # of a rate, where a grown network has learnt before
PHOTOS = 8  # that a person has in the models' parts, at least
HIDDEN = 0.25  # share of photos that E sees with a hole
GRAIN = 0.2  # of a pixel in [-1, 1]
INFIXES = {"generator": "", "encoder": "encoder-", "classifier": "classifier-"}  # of what is shipped
CRITICISE_EVERY = 2  # steps
CLASSIFY_EVERY = 4  # steps, once C has learnt alone
BASE = 64  # px that networks are trained at from the beginning; larger ones grow from them
SHOWN = ("Smiling", "Male", "Eyeglasses", "Blond_Hair", "Bangs", "Young")  # changed in the grid


@dataclass(frozen=True)
class Variant:
    """What Table 1 compares.

    ``encoder``: photos are given back (eq. 5 and 6). ``adversarial``: D and C have a say; ``matching``: by the means of their
    features (eq. 2 and 4), else by their cross-entropies.
    """

    encoder: bool = True
    adversarial: bool = True
    matching: bool = True


VARIANTS = {
    "CVAE": Variant(adversarial=False),
    "CGAN": Variant(encoder=False, matching=False),
    "FM-CGAN": Variant(encoder=False),
    "CVAE-GAN": Variant(),
}


@dataclass(frozen=True)
class Extent:
    """How large the networks of a domain are; E and C share their widths, and D has C's.

    ``lambda_kl``: the more L_KL counts, the better are pictures of the prior, and the less is given back of a photo. ``prior``:
    their share of the new pictures, the others are photos with other conditions: faces are changed, flowers and birds drawn.
    ``lambda_said``: of the cross-entropy of C's answers to new pictures, which is not in the paper; a mean over attributes.
    """

    domain: str
    latent: int
    drawing: dict[str, int]
    looking: dict[str, int]
    lambda_kl: float = 2e-3
    prior: float = 0.25
    lambda_said: float = 16.0

    def at(self, size: int) -> Extent:
        """The same for pictures of ``size`` px: above ``BASE`` px as wide as there wherever maps have the same side."""
        times = max(1, size // BASE)
        widths = [{"width": each["width"] // times, "most": each["most"] * times} for each in (self.drawing, self.looking)]
        return replace(self, drawing=widths[0], looking=widths[1])


SMALL = {
    "drawing": {"width": 32, "most": 3},
    "looking": {"width": 24, "most": 4},
    "lambda_kl": 5e-3,
    "prior": 0.5,
    "lambda_said": 1.0,
}
DOMAINS = {
    "faces": Extent("face", 128, {"width": 48, "most": 3}, {"width": 32, "most": 4}),
    "flowers": Extent("flower", 64, **SMALL),
    "birds": Extent("bird", 64, **SMALL),
}


# --- what pictures are called ---------------------------------------------------------------------------------------------------


class Conditions(ABC):
    """How a domain is told what its pictures show: ``names`` of the K numbers."""

    def __init__(self, names: tuple[str, ...]):
        self.names = names

    @abstractmethod
    def told(self, labels: Tensor) -> Tensor:
        """``labels`` (B, K) of photos -> what E and G are told of them."""

    @abstractmethod
    def changed(self, told: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Other conditions (B, K) for the same photos, of which G was told so far: what it is told now, and what C should see."""

    @abstractmethod
    def groups(self, condition: Tensor) -> Tensor:
        """How much each picture belongs to each group whose features have a centre, (B, groups) in [0, 1]."""

    @abstractmethod
    def loss(self, logits: Tensor, condition: Tensor) -> Tensor:
        """L_C (eq. 3) of C's answers (B, K)."""

    @abstractmethod
    def guess(self, logits: Tensor) -> Tensor:
        """The condition that C's answers (B, K) say."""

    @abstractmethod
    def shown(self, condition: Tensor) -> list[Tensor]:
        """Some other conditions for pictures of these, (B, K) each, for a grid."""

    @abstractmethod
    def right(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Whether answers are right, in [0, 1]: (B, K) attributes, or (B,) classes."""


class Attributes(Conditions):
    """Each in [-1, 1]: absent, present, 0 for unknown. v asks for a probability of (1 + v) / 2."""

    def told(self, labels: Tensor) -> Tensor:
        """A third of them less sure than the label, some nothing, as C is of a visitor's photo."""
        sure = (3 * torch.rand_like(labels)).clamp(max=1)
        return labels * sure * (torch.rand_like(labels) >= UNKNOWN)

    def changed(self, told: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """A few attributes take new values, more often strong ones than weak ones."""
        chosen = torch.rand_like(labels) < CHANGED / labels.shape[1]
        value = 2 * torch.rand_like(labels) - 1
        value = value.sign() * value.abs().sqrt()
        return torch.where(chosen, value, told), torch.where(chosen, value, labels)

    def groups(self, condition: Tensor) -> Tensor:
        """Those who have an attribute, then those who do not."""
        return torch.cat([condition.clamp(0, 1), (-condition).clamp(0, 1)], 1)

    def loss(self, logits: Tensor, condition: Tensor) -> Tensor:
        """Binary cross-entropy over what is known."""
        losses = F.binary_cross_entropy_with_logits(logits.float(), (1 + condition) / 2, reduction="none")
        known = (condition != 0).float()
        return (losses * known).sum() / known.sum().clamp_min(1)

    def guess(self, logits: Tensor) -> Tensor:
        return 2 * logits.float().sigmoid() - 1

    def shown(self, condition: Tensor) -> list[Tensor]:
        """Each of ``SHOWN`` turned round."""
        places = [self.names.index(name) for name in SHOWN if name in self.names]
        turned = condition.sign().neg()
        return [condition.index_copy(1, torch.tensor([k]), turned[:, [k]]) for k in places]

    def right(self, logits: Tensor, labels: Tensor) -> Tensor:
        return ((logits > 0) == (labels > 0)).float()


class Classes(Conditions):
    """Shares of classes that sum to 1."""

    def told(self, labels: Tensor) -> Tensor:
        return labels

    def changed(self, told: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Another class, half of the time mixed with the photo's own (section 5.5)."""
        other = F.one_hot(torch.randint(labels.shape[1], (len(labels),), device=labels.device), labels.shape[1]).to(labels.dtype)
        share = torch.rand(len(labels), 1, device=labels.device).mul(2).clamp(max=1)
        mixed = torch.lerp(labels, other, share)
        return mixed, mixed

    def groups(self, condition: Tensor) -> Tensor:
        return condition

    def loss(self, logits: Tensor, condition: Tensor) -> Tensor:
        return F.cross_entropy(logits.float(), condition)

    def guess(self, logits: Tensor) -> Tensor:
        return logits.float().softmax(1)

    def shown(self, condition: Tensor) -> list[Tensor]:
        """The first six classes."""
        classes = torch.eye(condition.shape[1], device=condition.device)[:6]
        return [one.expand_as(condition) for one in classes]

    def right(self, logits: Tensor, labels: Tensor) -> Tensor:
        return (logits.argmax(1) == labels.argmax(1)).float()


@dataclass(frozen=True)
class Named:
    """Pictures with what they show: ``images`` uint8 (N, 3, S, S), ``labels`` float (N, K)."""

    images: Tensor
    labels: Tensor
    conditions: Conditions


def read_named(domain: str, size: int, data: Path | None, parts: frozenset[int], strangers: bool = False) -> Named:
    """The pictures of ``DOMAINS`` in these tenths of the split; of faces those of CelebA, whose attributes are known.

    ``strangers`` are faces with unknown attributes (0), and come along if asked for.
    """
    if domain == "faces":
        images, rows = read_faces(size, data, parts)
        twins = read_names(PACKS[0], data)
        kept = [i for i, row in enumerate(rows) if (strangers or row.get(FIRST_ATTRIBUTE)) and row["file_name"] not in twins]
        names = attribute_names([rows[i] for i in kept])
        labels = torch.tensor([[float(rows[i].get(name) or 0) for name in names] for i in kept])
        return Named(images[kept], labels, Attributes(names))
    if domain == "people":
        return _people(size, data, parts)
    whole = read_pack(f"{domain}128", size, data)
    pack, names = whole.parts(parts), tuple(sorted({row["class"] for row in whole.rows}))
    labels = F.one_hot(torch.tensor([names.index(row["class"]) for row in pack.rows]), len(names)).float()
    return Named(pack.images, labels, Classes(names))


def _people(size: int, data: Path | None, parts: frozenset[int]) -> Named:
    """Those of whom there are ``PHOTOS``; they have numbers, in the order of the pack's."""
    whole = read_pack(PACKS[0], size, data, lambda row: bool(row["identity"]), HEAD)
    known = Counter(int(row["identity"]) for row in whole.parts(MODEL_PARTS).rows)
    people = sorted(identity for identity, photos in known.items() if photos >= PHOTOS)
    pack = whole.parts(parts).select(lambda row: int(row["identity"]) in people)
    labels = torch.tensor([people.index(int(row["identity"])) for row in pack.rows])
    names = tuple(f"person {number}" for number in range(1, len(people) + 1))
    return Named(pack.images, F.one_hot(labels, len(names)).float(), Classes(names))


# --- moving averages ------------------------------------------------------------------------------------------------------------


class Centres(nn.Module):
    """Moving averages of features of real and of made pictures, kept like a network so that the state has them.

    Args:
        shape: of what is averaged.
    """

    def __init__(self, *shape: int):
        super().__init__()
        self.register_buffer("real", torch.zeros(shape))
        self.register_buffer("made", torch.zeros(shape))

    def distance(self, real: Tensor, made: Tensor, seen: Tensor | None = None) -> Tensor:
        """Moves both averages towards a batch's; half the mean squared distance of the two (eq. 2 and 4).

        The distance is that of the averages, its gradient that of the batch as a whole: a step's share of an average would scale
        it down by as much as the average is steady. ``seen`` (shape[0],) names the rows that the batch says something about.
        """
        weight = (1 - HELD) * (torch.ones_like(real) if seen is None else seen.view(-1, *[1] * (real.dim() - 1)).expand_as(real))
        self.real.lerp_(real.detach(), weight)
        self.made.lerp_(made.detach(), weight)
        steady = (self.made - self.real).detach() + (made - made.detach())
        return 0.5 * steady.square().mean()


class Coupling(nn.Module):
    """How far codes say what the condition says already: a moving average of their covariance, kept like a network.

    Args:
        latent: numbers Z in a code.
        spread: the conditions' deviations, (K,).
    """

    def __init__(self, latent: int, spread: Tensor):
        super().__init__()
        self.register_buffer("spread", spread.clamp_min(0.05))
        self.register_buffer("covariance", torch.zeros(latent, len(spread)))

    def forward(self, codes: Tensor, conditions: Tensor) -> Tensor:
        """Of ``codes`` (B, Z) and ``conditions`` (B, K): the variance of a condition that one finds in the code, its mean over K.

        The value is that of the average, the gradient that of the batch, as in :class:`Centres`.
        """
        told = (conditions - conditions.mean(0)) / self.spread
        here = (codes - codes.mean(0)).T @ told / len(codes)
        self.covariance.lerp_(here.detach(), 1 - HELD_LONG)
        return (self.covariance.detach() + (here - here.detach())).square().sum(0).mean()


def centres_of(features: Tensor, groups: Tensor) -> Tensor:
    """Means (groups, F) of features (B, F), weighed by ``groups`` (B, groups); 0 where nobody belongs."""
    return groups.T @ features / groups.sum(0).clamp_min(1e-6).unsqueeze(1)


# --- the recipe -----------------------------------------------------------------------------------------------------------------


class CVAEGANTrainer(Trainer):
    """``cvaegan-DOMAIN-SIZE``, or one of the :data:`VARIANTS` of it.

    Args:
        domain: one of ``DOMAINS``.
        size: px.
        extent: how large the networks are; the domain's own if None.
    """

    images_per_step = 16
    ema_half_life = 5_000.0
    rates = MappingProxyType({"encoder": 5e-4, "generator": 5e-4, "critic": 2e-4, "classifier": 1e-3})
    classified = 48_000  # pictures that C learns from, the first of a run
    warm_up = 24_000  # pictures after them that E and G alone learn from

    def __init__(
        self,
        settings: Settings,
        domain: str,
        size: int = 64,
        variant: Variant = VARIANTS["CVAE-GAN"],
        extent: Extent | None = None,
    ):
        super().__init__(settings)
        self.name, self.domain, self.size, self.variant = f"cvaegan-{domain}-{size}", domain, size, variant
        self.extent = (extent or DOMAINS[domain]).at(size)
        self.data = read_named(domain, size, settings.data, MODEL_PARTS, strangers=size > BASE)
        self.held_out = read_named(domain, size, settings.data, VALIDATION_PARTS)
        self.conditions = self.data.conditions
        self.images_of, self.labels_of = self.data.images.to(self.device), self.data.labels.to(self.device)
        looking = {"resolution": size, "conditions": len(self.conditions.names)} | self.extent.looking
        self.configs = {
            "generator": looking | self.extent.drawing | {"latent": self.extent.latent},
            "encoder": looking | {"latent": self.extent.latent},
            "classifier": looking,
        }
        self.trunk = imagenet_trunk(settings.data).requires_grad_(False).to(self.device, memory_format=torch.channels_last)
        self.networks = self.build()
        fresh = self._grow() if size > BASE else {}
        self.optimisers = {
            name: torch.optim.Adam(rated(self.networks[name], rate, fresh.get(name)), betas=(0.5, 0.99))
            for name, rate in self.rates.items()
        }
        self.ready("generator", "encoder", "classifier")
        for name in {"critic", "classifier"} & self.rates.keys():
            self.networks[name].mark_forward_method("look")

    def build(self) -> dict[str, nn.Module]:
        """E, G, D, C and the moving averages of D's maps and of C's features."""
        generator = Generator(**self.configs["generator"])
        _start_smooth(generator)
        critic = Classifier(**self.configs["classifier"] | {"conditions": 1})
        with torch.no_grad():
            maps, answer = critic.look(torch.zeros(1, 3, self.size, self.size))
        groups = self.conditions.groups(self.labels_of[:1]).shape[1]
        return {
            "encoder": Encoder(**self.configs["encoder"]),
            "generator": generator,
            "critic": critic,
            "classifier": Classifier(**self.configs["classifier"]),
            "coupling": Coupling(self.extent.latent, self.labels_of.std(0)),
            "groups": Centres(groups, answer["feature"].shape[1]),
        } | {f"means_{k}": Centres(*each.shape[1:]) for k, each in enumerate(maps)}

    def _grow(self) -> dict[str, list[str]]:
        """Begins where the networks of half the side ended, and names the parameters that those did not have.

        What nobody has told of a face, C tells that saw half of its side.

        Raises:
            UnknownModel: there is neither a run of half the side beside this one, nor does the studio ship such networks.
        """
        smaller = self._smaller()
        chosen = evenly(len(self.data.images), 4 * BATCH)
        photos, labels = to_unit(self.data.images[chosen]).split(BATCH), self.data.labels[chosen].split(BATCH)
        encoder, generator = self.networks["encoder"], self.networks["generator"]
        pairs = list(zip(photos, labels, strict=True))
        looks = {
            "encoder": lambda: [encoder(*pair) for pair in pairs],
            "generator": lambda: [generator(encoder(*pair)["mean"], pair[1]) for pair in pairs],
            "classifier": lambda: [self.networks["classifier"](each) for each in photos],
            "critic": lambda: [self.networks["critic"](each) for each in photos],
        }
        fresh = {name: grow(self.networks[name], smaller[name], look) for name, look in looks.items() if name in smaller}
        for name in {"coupling", "groups"} & smaller.keys():
            self.networks[name].load_state_dict(smaller[name])
        self._name_strangers()
        self.classified = self.warm_up = 0
        return fresh

    def _smaller(self) -> dict[str, dict[str, Tensor]]:
        """The networks of half the side by name: of the run that lies beside this one, else those three that are shipped."""
        side = self.size // 2
        run = self.settings.out.parent / f"cvaegan-{self.domain}-{side}"
        if (run / "state.json").exists():
            _, state = read_state(run)
            names = ("encoder", "generator", "classifier", "critic", "coupling", "groups")
            return {name: named(state, f"ema/{name}/") or named(state, f"network/{name}/") for name in names}
        store = default_store()
        cards = {name: store.registry.card(f"cvaegan-{infix}{self.domain}-{side}") for name, infix in INFIXES.items()}
        return {name: {k: v.float() for k, v in store.load(card).items()} for name, card in cards.items()}

    @torch.no_grad()
    def _name_strangers(self) -> None:
        classifier = self.networks["classifier"].eval()
        for chosen in (self.labels_of == 0).all(1).nonzero().flatten().split(BATCH):
            answers = classifier(to_unit(self.data.images[chosen.cpu()]))["logits"]
            self.labels_of[chosen] = self.conditions.guess(answers).to(self.device)
        classifier.train()

    # --- the step -------------------------------------------------------------------------------------------------------------

    def step(self) -> dict[str, Tensor]:
        """C's first, as long as it learns alone; then E and G until they give pictures back; then all of Algorithm 1."""
        photos, labels = self._photos()
        losses = {}
        if self.images < self.classified or self.steps % CLASSIFY_EVERY == 0:
            losses["C"] = self._learn_classes(photos, labels)
        if self.images >= self.classified:
            losses |= self._learn_pictures(photos, labels)
        return {name: loss.detach() for name, loss in losses.items()}

    def _learn_classes(self, photos: Tensor, labels: Tensor) -> Tensor:
        """Lines 3 and 15: a step of C."""
        loss = self.conditions.loss(self.networks["classifier"](_grainy(diff_augment(photos, "translation")))["logits"], labels)
        self._follow({"C": loss}, "classifier")
        return loss

    def _learn_pictures(self, photos: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Lines 4 to 14 and 16 to 18: a step of E and G, and now and then one of D."""
        told, losses = self.conditions.told(labels), {}
        codes = self._encode(photos, told, losses) if self.variant.encoder else photos.new_empty(0, self.extent.latent)
        latents, asked, wanted = self._others(codes, told, labels)
        drawn = self.networks["generator"](torch.cat([codes, latents]), torch.cat([told[: len(codes)], asked])).float()
        given_back, made = drawn.split([len(codes), len(latents)])
        if self.variant.encoder:
            losses["pixels"] = LAMBDA_PIXELS * F.l1_loss(given_back, photos)
        if self.variant.adversarial:
            self._ask_classifier(photos, given_back, made, labels, wanted, losses)
        if self._competes:
            self._ask_critic(photos, given_back, made, losses)
        self._follow(losses, "encoder", "generator")
        if self._competes and self.steps % CRITICISE_EVERY == 0:
            losses["D"] = self._criticise(photos, drawn.detach())
        return losses

    @property
    def _competes(self) -> bool:
        """Whether D and C have a say about new pictures: once pictures are given back, if they ever are."""
        warm = not self.variant.encoder or self.images >= self.classified + self.warm_up
        return self.variant.adversarial and warm

    def _encode(self, photos: Tensor, told: Tensor, losses: dict[str, Tensor]) -> Tensor:
        """Lines 4 and 6: z of the photos, some of which E sees with a hole, and how far q(z | x, c) is from the prior (eq. 5).

        And how far z says what c says already: G has to take from c what an artist shall be able to change there.
        """
        hidden = torch.rand(len(photos), 1, 1, 1, device=self.device) < HIDDEN
        found = self.networks["encoder"](torch.where(hidden, cutout(photos), photos), told)
        mean, log_variance = found["mean"].float(), found["log_variance"].float()
        losses["KL"] = self.extent.lambda_kl * 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1).mean()
        losses["apart"] = LAMBDA_APART * unwrap(self.networks["coupling"])(mean, told)
        return mean + torch.randn_like(mean) * (0.5 * log_variance).exp()

    def _others(self, codes: Tensor, told: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What new pictures are drawn from: latents (N, Z), the conditions that G is told and those that C should see, (N, K).

        The prior's with the photos' own conditions (line 5) and, with an E, photos' with other conditions: half a batch of both.
        """
        if not self._competes:
            return codes[:0], told[:0], told[:0]
        new = len(told) // 2
        count = round(new * self.extent.prior) if self.variant.encoder else len(told)
        prior = torch.randn(count, self.extent.latent, device=self.device)
        if not self.variant.encoder:
            return prior, told, told
        some = slice(count, new)
        asked, wanted = self.conditions.changed(told[some], labels[some])
        return torch.cat([prior, codes[some]]), torch.cat([told[:count], asked]), torch.cat([told[:count], wanted])

    def _ask_classifier(
        self, photos: Tensor, given_back: Tensor, made: Tensor, labels: Tensor, wanted: Tensor, losses: dict[str, Tensor]
    ) -> None:
        """Lines 12 to 14 as far as C goes, and the frozen features beside it."""
        real, answer, found, said = self._looked("classifier", _grainy(photos), _grainy(torch.cat([given_back, made])))
        count = len(given_back)
        if count:
            losses["maps_C"] = LAMBDA_MAPS * _apart(real, [each[:count] for each in found])
            weight = LAMBDA_PERCEPTUAL * max(1, self.size // BASE)  # the finer the picture, the less its pixels say of its looks
            losses["perceptual"] = weight * self._perceptual(given_back, photos)
        if not len(made):
            return
        named = self.conditions.loss(said["logits"][count:], wanted)
        if self.variant.matching:
            losses["GC"] = LAMBDA_GC * self._centres_apart(answer["feature"], said["feature"][count:], labels, wanted)
            losses["said"] = self.extent.lambda_said * named
        else:
            losses["GC"] = self.extent.lambda_said * named

    def _ask_critic(self, photos: Tensor, given_back: Tensor, made: Tensor, losses: dict[str, Tensor]) -> None:
        """Lines 10, 11 and 14 as far as D goes."""
        real, _, found, said = self._looked("critic", *_translated(photos, given_back, made))
        count = len(given_back)
        if count:
            losses["maps_D"] = LAMBDA_MAPS * _apart(real, [each[:count] for each in found])
        if self.variant.matching:
            pairs = zip(self.means, real, found, strict=True)
            losses["GD"] = LAMBDA_GD * sum(mean.distance(r.mean(0), m[count:].mean(0)) for mean, r, m in pairs)
        else:
            losses["GD"] = logistic([said["logits"][count:]], 1)

    def _looked(self, name: str, photos: Tensor, drawn: Tensor) -> tuple[list[Tensor], Any, list[Tensor], Any]:
        """What D or C, fixed, says of photos and of drawn pictures: its maps and its answers.

        Their norms use what they have learnt: those of a batch would hide what tells drawn pictures from photos on average.
        """
        network = self.networks[name]
        with fixed(network, learns=False):
            with torch.no_grad():
                real, answer = network.look(photos)
            found, said = network.look(drawn)
        return [each.float() for each in real], answer, [each.float() for each in found], said

    @property
    def means(self) -> list[Centres]:
        """Of D's maps, layer by layer."""
        return [unwrap(network) for name, network in self.networks.items() if name.startswith("means")]

    def _centres_apart(self, real: Tensor, made: Tensor, labels: Tensor, wanted: Tensor) -> Tensor:
        """L_GC (eq. 4) of features of photos and of made pictures, and what they show."""
        members = [self.conditions.groups(each) for each in (labels, wanted)]
        seen = (torch.stack([each.sum(0) for each in members]) > 0.5).all(0).float()
        centres = [centres_of(*each) for each in zip((real.float(), made.float()), members, strict=True)]
        return unwrap(self.networks["groups"]).distance(*centres, seen)

    def _perceptual(self, given_back: Tensor, photos: Tensor) -> Tensor:
        """Of every fourth picture, or a window of it, on frozen ImageNet features: eq. 6 with a third network."""
        y, x = torch.randint(max(0, self.size - WINDOW) + 1, (2,)).tolist()
        window = (slice(None, None, 4), slice(None), slice(y, y + WINDOW), slice(x, x + WINDOW))
        with torch.no_grad():
            wanted = self.trunk(photos[window])[:PERCEPTUAL]
        return perceptual_distance(self.trunk(given_back[window])[:PERCEPTUAL], wanted)

    def _criticise(self, photos: Tensor, drawn: Tensor) -> Tensor:
        """Lines 9 and 16: a step of D."""
        answers = self.networks["critic"](diff_augment(torch.cat([photos, drawn]), "translation"))["logits"]
        loss = logistic([answers[: len(photos)]], 1) + logistic([answers[len(photos) :]], -1)
        self._follow({"D": loss}, "critic")
        return loss

    def _follow(self, losses: dict[str, Tensor], *names: str) -> None:
        """A step of the named networks down the sum of the losses."""
        for name in names:
            self.optimisers[name].zero_grad()
        self.fabric.backward(torch.stack(list(losses.values())).sum())
        for name in names:
            self.optimisers[name].step()

    def _photos(self) -> tuple[Tensor, Tensor]:
        """Photos, half of them mirrored, and their labels."""
        chosen = torch.randint(len(self.images_of), (self.images_per_step,), generator=self.generator, device=self.device)
        images = to_unit(self.images_of[chosen])
        mirrored = torch.rand(len(chosen), 1, 1, 1, generator=self.generator, device=self.device) < 0.5
        images = torch.where(mirrored, images.flip(3), images).contiguous(memory_format=torch.channels_last)
        return images, self.labels_of[chosen]

    # --- what comes of it -----------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def settle(self) -> None:
        """Takes the statistics of the averages' norms anew, of photos and of what is drawn from them and from the prior."""
        encoder, generator, classifier = (self.ema[name] for name in ("encoder", "generator", "classifier"))
        order = torch.randperm(len(self.images_of), generator=self.generator, device=self.device)[: 20 * BATCH]
        with renewed(encoder), renewed(classifier), self.fabric.autocast():
            for chosen in order.split(BATCH):
                photos = to_unit(self.images_of[chosen])
                classifier(photos)
                encoder(photos, self.labels_of[chosen])
        with renewed(generator), self.fabric.autocast():
            for chosen in order.split(BATCH):
                labels = self.labels_of[chosen]
                codes = encoder(to_unit(self.images_of[chosen]), labels)["mean"].float()
                generator(torch.cat([codes, torch.randn_like(codes)]), labels.repeat(2, 1))

    @torch.no_grad()
    def samples(self, count: int) -> Tensor:
        """New pictures of the settled average, (count, 3, S, S), with conditions as often as among the photos."""
        chosen = torch.randint(len(self.images_of), (count,), generator=self.generator, device=self.device)
        latents = torch.randn(count, self.extent.latent, generator=self.generator, device=self.device)
        return self.drawn(latents, self.labels_of[chosen])

    @torch.no_grad()
    def drawn(self, latents: Tensor, conditions: Tensor) -> Tensor:
        """What the average draws of latents (N, Z) and conditions (N, K): (N, 3, S, S)."""
        parts = zip(latents.split(BATCH), conditions.split(BATCH), strict=True)
        return torch.cat([self.ema["generator"](*part).float() for part in parts])

    @torch.no_grad()
    def found(self, photos: Tensor) -> tuple[Tensor, Tensor]:
        """Of photos (N, 3, S, S) nobody named: codes (N, Z), and C's answers (N, K), from which their conditions come."""
        codes, answers = [], []
        for some in photos.split(BATCH):
            answers.append(self.ema["classifier"](some)["logits"].float())
            codes.append(self.ema["encoder"](some, self.conditions.guess(answers[-1]))["mean"])
        return torch.cat(codes), torch.cat(answers)

    @torch.no_grad()
    def evaluate(self) -> dict[str, Any]:
        """KID x 1000 of new pictures to part 9 on ImageNet features with the photos' own, how near E and G come to part 9 without
        being told what it shows, and how often C is right there."""
        self.settle()
        photos = to_unit(self.held_out.images).to(self.device)
        wanted = pooled(self.trunk, photos[evenly(len(photos), MEASURED)])
        order = torch.randperm(len(self.images_of), generator=self.generator, device=self.device)[:MEASURED]
        codes, answers = self.found(photos)
        errors = (self.drawn(codes, self.conditions.guess(answers)) - photos).square().mean((1, 2, 3)) / 4
        return {
            "kid_imagenet": round(1000 * kid(pooled(self.trunk, self.samples(MEASURED)), wanted)[0], 2),
            "kid_imagenet_floor": round(1000 * kid(pooled(self.trunk, to_unit(self.images_of[order])), wanted)[0], 2),
            "psnr": round(float(-10 * errors.log10().mean()), 2),
            "accuracy": round(float(self.conditions.right(answers, self.held_out.labels.to(self.device)).mean()), 3),
        }

    @torch.no_grad()
    def grid(self) -> Image.Image:
        """New pictures; held-out photos above what E and G make of them, whole, then with a hole; then with other conditions."""
        self.settle()
        photos = to_unit(self.held_out.images[evenly(len(self.held_out.images), 12)]).to(self.device)
        codes, answers = self.found(photos)
        condition = self.conditions.guess(answers)
        holed = photos.clone()
        quarter = self.size * 3 // 10
        holed[:, :, quarter:-quarter, quarter:-quarter] = 0
        filled = self.drawn(self.found(holed)[0], condition)
        others = [self.drawn(codes, other) for other in self.conditions.shown(condition)]
        return tile([*self.samples(24).split(12), photos, self.drawn(codes, condition), filled, *others])

    def shipped(self, name: str) -> dict[str, Any]:
        """What a part's file holds, and what its card says of it."""
        return {"tensors": self.ema[name].state_dict()}

    def export(self, measures: dict[str, Any]) -> None:
        """The three parts, as ``evaluate`` left them."""
        training = {"recipe": self.name, "images": self.images, "pictures": len(self.images_of)}
        sources = {"faces": ", ".join(PACKS[: 1 + (self.size <= BASE)]), "people": PACKS[0]}
        training["data"] = sources.get(self.domain, f"{self.domain}128")
        for name, task in {"generator": "draw", "encoder": "describe", "classifier": "recognise"}.items():
            write_checkpoint(
                self.settings.out / "export",
                card_id=f"cvaegan-{INFIXES[name]}{self.domain}-{self.size}",
                family="cvaegan",
                task=task,
                **self.shipped(name),
                resolution=self.size,
                frame="head" if self.domain in sources else "",
                domains=(self.extent.domain,),
                config=self.configs[name] | {"part": name},
                labels=self.conditions.names,
                measures=measures,
                training=training,
                study=FAR_WORDS if name != "classifier" and measures["kid_imagenet"] > FAR else None,
            )


def rated(network: nn.Module, rate: float, fresh: list[str] | None) -> list[dict[str, Any]]:
    """Adam's groups: parameters at ``rate``; of a grown network only the ``fresh`` ones, all others at ``INNER`` of it."""
    if fresh is None:
        return [{"params": list(network.parameters()), "lr": rate}]
    groups: tuple[list[Tensor], list[Tensor]] = ([], [])
    for name, parameter in network.named_parameters():
        groups[name in fresh].append(parameter)
    return [{"params": groups[0], "lr": INNER * rate}, {"params": groups[1], "lr": rate}]


def _translated(photos: Tensor, given_back: Tensor, made: Tensor) -> tuple[Tensor, Tensor]:
    """Moved photos and, after each other, the two kinds of drawn pictures; a picture given back moves with its photo."""
    if not len(given_back):
        return diff_augment(photos, "translation"), diff_augment(made, "translation")
    photos, given_back = diff_augment(torch.cat([photos, given_back], 1), "translation").chunk(2, 1)
    return photos, torch.cat([given_back, diff_augment(made, "translation")])


def _grainy(pictures: Tensor) -> Tensor:
    """Pictures with a little noise, in which G cannot hide from people what C shall see."""
    return pictures + GRAIN * torch.randn_like(pictures)


def _apart(real: list[Tensor], found: list[Tensor]) -> Tensor:
    """A part of L_G (eq. 6): half the mean squared distance of maps, summed over the layers."""
    return 0.5 * sum(F.mse_loss(*pair) for pair in zip(found, real, strict=True))


def _start_smooth(generator: Generator) -> None:
    """Transposed convolutions begin as bilinear enlargement of mixed channels: from random ones a lattice stays for long."""
    enlarge = torch.tensor([0.25, 0.75, 0.75, 0.25])
    for layer in generator.draw.layers:
        mixing = torch.randn(layer.in_channels, layer.out_channels, 1, 1) * layer.in_channels**-0.5
        nn.init.normal_(layer.weight, std=0.02).data.add_(mixing * enlarge.outer(enlarge))
