"""Trains the judges on parts 7 and 8, pictures no generator has seen; each states its accuracy on part 9."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from PIL import Image
from sklearn.metrics import roc_auc_score
from torch import Tensor

from studio.models.judges import PAIRS, Judge
from studio.train.augment import similarity_crops
from studio.train.critics import imagenet_trunk
from studio.train.data import FACE, JUDGE_PARTS, VALIDATION_PARTS, Pack, read_names, read_pack, to_unit
from studio.train.export import write_checkpoint
from studio.train.loop import Settings, Trainer, tile

FROZEN = ("conv1", *(f"conv_{kind}_{k}" for kind in ("dw", "pw") for k in (1, 2, 3)))
LEARNING_RATE = 5e-4
FIRST_ATTRIBUTE = "5_o_Clock_Shadow"
ETHNICITIES = ("White", "Black", "Asian", "Indian", "Other")


class JudgeTrainer(Trainer):
    """Fine-tunes an ImageNet MobileNet with its norms and first layers frozen; subclasses bring pictures, loss and measures."""

    size = 128
    batch = images_per_step = 32
    ema_half_life = 1_000.0
    outputs = 0
    embedding = 0
    features = False
    pairs = len(PAIRS)
    frame = ""
    labels: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()
    sources = ""

    def __init__(self, settings: Settings):
        super().__init__(settings)
        self.read(settings)
        network = Judge(self.outputs, self.embedding, self.features, self.pairs)
        network.trunk = imagenet_trunk(settings.data, self.pairs)
        for name, parameter in network.trunk.named_parameters():
            parameter.requires_grad_("_bn" not in name and name.removesuffix(".weight") not in FROZEN)
        network.trunk.eval()
        self.networks = {"judge": network, **self.extra_networks()}
        tuned = [p for p in network.trunk.parameters() if p.requires_grad]
        known = set(network.trunk.parameters())
        fresh = [p for n in self.networks.values() for p in n.parameters() if p not in known]
        groups = [{"params": tuned, "peak": LEARNING_RATE}, {"params": fresh, "peak": 4 * LEARNING_RATE}]
        self.optimisers = {"judge": torch.optim.AdamW(groups, LEARNING_RATE, weight_decay=0.02)}
        self.ready("judge")

    @abstractmethod
    def read(self, settings: Settings) -> None:
        """Fills ``train`` and ``validation`` (pictures) and their targets."""

    def extra_networks(self) -> dict[str, torch.nn.Module]:
        """Networks that are trained along and not shipped."""
        return {}

    @abstractmethod
    def loss(self, answer: dict[str, Tensor], index: Tensor) -> Tensor:
        """The loss for training pictures ``index``."""

    def schedule(self) -> None:
        share = 0.5 * (1 + math.cos(math.pi * min(1.0, self.images / self.total_images)))
        for group in self.optimisers["judge"].param_groups:
            group["lr"] = group["peak"] * share + 1e-6

    def augment(self, images: Tensor) -> Tensor:
        """Mirrors, small similarity transforms, light, and the softness of small or generated pictures."""
        count, size = len(images), images.shape[-1]
        centre = size / 2 + 0.06 * size * self.uniform(count, 2)
        side = size * (0.95 + 0.12 * self.uniform(count))
        images = similarity_crops(images, centre, side, 0.15 * self.uniform(count), size)[0]
        small = size // int(torch.randint(1, 4, (1,), generator=self.generator, device=self.device))
        if small < size:
            soft = F.interpolate(F.interpolate(images, size=small, mode="area"), size=size, mode="bilinear")
            images = torch.where(self.uniform(count, 1, 1, 1) < 0, soft, images)
        images = self.relight(images)
        return torch.where(self.uniform(count, 1, 1, 1) < 0, images.flip(3), images).clamp(-1, 1)

    def relight(self, images: Tensor) -> Tensor:
        """Pictures in other light; no range is kept."""
        count = len(images)
        return images * (1 + 0.25 * self.uniform(count, 1, 1, 1)) + 0.2 * self.uniform(count, 1, 1, 1)

    def draw(self) -> Tensor:
        """Indices of the training pictures of a step."""
        return torch.randint(len(self.train), (self.batch,), generator=self.generator, device=self.device)

    def step(self) -> dict[str, Tensor]:
        index = self.draw()
        images = self.augment(to_unit(self.train[index]))
        loss = self.loss(self.networks["judge"](images), index)
        self.optimisers["judge"].zero_grad()
        self.fabric.backward(loss)
        self.optimisers["judge"].step()
        return {"loss": loss.detach()}

    @torch.no_grad()
    def answers(self, images: Tensor, key: str) -> Tensor:
        """The averaged network's answers for uint8 pictures."""
        return torch.cat([self.ema["judge"](to_unit(chunk))[key].float() for chunk in images.split(64)])

    def grid(self) -> Image.Image:
        return tile([self.augment(to_unit(self.train[self.draw()]))[:16]])

    def export(self, measures: dict[str, Any]) -> None:
        write_checkpoint(
            self.settings.out / "export",
            card_id=self.name,
            family="judges",
            task="judge",
            tensors=self.ema["judge"].state_dict(),
            resolution=self.size,
            frame=self.frame,
            domains=self.domains,
            config={"outputs": self.outputs, "embedding": self.embedding, "features": self.features, "pairs": self.pairs},
            labels=self.labels,
            measures=measures,
            training={
                "recipe": self.name,
                "images": self.images,
                "data": self.sources,
                "start": "MobileNet v1, ImageNet, Apache-2.0",
            },
        )


class ClassJudge(JudgeTrainer):
    """Which class of a pack, named in one of its columns, a picture shows; classes are drawn equally often."""

    pack = column = ""
    parts = JUDGE_PARTS

    def read(self, settings: Settings) -> None:
        pack = read_pack(self.pack, self.size, settings.data)
        self.labels = tuple(sorted({r[self.column] for r in pack.rows}))
        self.domains, self.outputs = self.labels, len(self.labels)
        train, validation = pack.parts(self.parts), pack.parts(VALIDATION_PARTS)
        self.train, self.target = train.images.to(self.device), self._classes(train)
        self.validation, self.truth = validation.images.to(self.device), self._classes(validation)

    def _classes(self, pack: Pack) -> Tensor:
        return torch.tensor([self.labels.index(r[self.column]) for r in pack.rows], device=self.device)

    def draw(self) -> Tensor:
        weights = (1.0 / torch.bincount(self.target).float())[self.target]
        return torch.multinomial(weights, self.batch, True, generator=self.generator)

    def loss(self, answer: dict[str, Tensor], index: Tensor) -> Tensor:
        return F.cross_entropy(answer["logits"].float(), self.target[index], label_smoothing=0.1)

    def evaluate(self) -> dict[str, Any]:
        right = self.answers(self.validation, "logits").argmax(1) == self.truth
        per_class = {n: round(float(right[self.truth == k].float().mean()), 3) for k, n in enumerate(self.labels)}
        return {"accuracy": round(float(right.float().mean()), 4), "accuracy_per_class": per_class, "pictures": len(right)}


class AnimalJudge(ClassJudge):
    """Which of the sixteen animals a picture shows."""

    name = "judge-animal"
    total_images = 9_600
    features = True
    pack, column = "animals160", "class"
    sources = "animals160, parts 7 and 8"


class AttributeJudge(JudgeTrainer):
    """CelebA's forty attributes from the portrait frame; not exclusive, so BCE. Rare ones are drawn more often."""

    name = "judge-attributes"
    size = 96
    outputs = 40
    total_images = 100_000
    parts = JUDGE_PARTS
    frame = "portrait"
    domains = ("face",)
    sources = "faces128 (CelebA) and faces64, parts 7 and 8"

    def read(self, settings: Settings) -> None:
        """Photos that are in both packs, under names that the split tells apart, are read from the sharper one alone."""
        twins = read_names("faces128", settings.data)
        packs = [
            read_pack("faces128", self.size, settings.data, lambda row: row["source"] == "celeba"),
            read_pack("faces64", self.size, settings.data, lambda row: row["file_name"] not in twins),
        ]
        self.labels = attribute_names(packs[0].rows)
        train = [p.parts(self.parts) for p in packs]
        self.train = torch.cat([p.images for p in train]).to(self.device)
        self.target = torch.cat([self._attributes(p) for p in train])
        self.often = rare_more_often(self.target)
        validation = packs[0].parts(VALIDATION_PARTS)
        self.validation, self.truth = validation.images.to(self.device), self._attributes(validation)

    def _attributes(self, pack: Pack) -> Tensor:
        return torch.tensor([[float(r[a] == "1") for a in self.labels] for r in pack.rows], device=self.device)

    def draw(self) -> Tensor:
        return torch.multinomial(self.often, self.batch, True, generator=self.generator)

    def loss(self, answer: dict[str, Tensor], index: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(answer["logits"].float(), self.target[index])

    def evaluate(self) -> dict[str, Any]:
        """On part 9, of each attribute: the share that is right, and the AUC, which asks for no threshold."""
        logits = self.answers(self.validation, "logits")
        accuracy = ((logits > 0) == (self.truth > 0.5)).float().mean(0)
        majority = torch.maximum(self.truth.mean(0), 1 - self.truth.mean(0))
        per = {n: round(float(a), 3) for n, a in zip(self.labels, accuracy, strict=True)}
        both = [k for k in range(len(self.labels)) if 0 < self.truth[:, k].mean() < 1]  # an AUC is of those with and without
        auc = {self.labels[k]: round(float(roc_auc_score(self.truth[:, k].cpu(), logits[:, k].cpu())), 3) for k in both}
        return {
            "accuracy": round(float(accuracy.mean()), 4),
            "accuracy_of_guessing_the_majority": round(float(majority.mean()), 4),
            "accuracy_per_attribute": per,
            "auc_per_attribute": auc,
            "pictures": len(logits),
        }


def attribute_names(rows: Sequence[Mapping[str, str]]) -> tuple[str, ...]:
    """CelebA's forty, as the columns of a pack's rows have them."""
    columns = list(rows[0])
    return tuple(columns[columns.index(FIRST_ATTRIBUTE) :][: AttributeJudge.outputs])


def rare_more_often(labels: Tensor) -> Tensor:
    """How often each picture is drawn, (N,), by its attributes (N, K), 0 or 1: those with an attribute and those without count
    alike, each attribute as much as another."""
    shares = labels.mean(0).clamp(1e-6, 1 - 1e-6)
    return (labels / shares + (1 - labels) / (1 - shares)).sum(1)


class DemographicsJudge(JudgeTrainer):
    """Perceived gender, age and ethnicity group from the face frame: logits (male, age / 100, five groups)."""

    name = "judge-demographics"
    size = 96
    total_images = 40_000
    frame = "face"
    domains = ("face",)
    labels = ("male", "age", *ETHNICITIES)
    outputs = len(labels)
    parts = JUDGE_PARTS
    sources = "faces_tight96, parts 7 and 8"

    def read(self, settings: Settings) -> None:
        pack = read_pack("faces_tight96", self.size, settings.data)
        train, validation = pack.parts(self.parts), pack.parts(VALIDATION_PARTS)
        self.train, self.target = train.images.to(self.device), self._targets(train)
        self.validation, self.truth = validation.images.to(self.device), self._targets(validation)

    def _targets(self, pack: Pack) -> Tensor:
        """(N, 3): male 0/1, age / 100, index of the group."""
        rows = [[float(r["gender"] == "M"), float(r["age"]) / 100, ETHNICITIES.index(r["ethnicity"])] for r in pack.rows]
        return torch.tensor(rows, device=self.device)

    def loss(self, answer: dict[str, Tensor], index: Tensor) -> Tensor:
        logits, target = answer["logits"].float(), self.target[index]
        gender = F.binary_cross_entropy_with_logits(logits[:, 0], target[:, 0])
        age = F.smooth_l1_loss(logits[:, 1], target[:, 1], beta=0.05)
        return gender + 5 * age + F.cross_entropy(logits[:, 2:], target[:, 2].long())

    def evaluate(self) -> dict[str, Any]:
        logits = self.answers(self.validation, "logits")
        return {
            "gender_accuracy": round(float(((logits[:, 0] > 0) == (self.truth[:, 0] > 0.5)).float().mean()), 4),
            "age_mean_absolute_error_years": round(float(100 * (logits[:, 1] - self.truth[:, 1]).abs().mean()), 2),
            "ethnicity_accuracy": round(float((logits[:, 2:].argmax(1) == self.truth[:, 2].long()).float().mean()), 4),
            "pictures": len(logits),
        }


class IdentityJudge(JudgeTrainer):
    """An embedding in which pictures of one person are close: large-margin cosine loss (CosFace, Wang et al. 2018, eq. 4)."""

    name = "judge-identity"
    size = 96
    embedding = 128
    total_images = 30_000
    frame = "face"
    domains = ("face",)
    scale, margin = 16.0, 0.1
    sources = "celeba_face160, and the faces of CelebA's portraits in faces128 and faces64, parts 7 and 8"

    def read(self, settings: Settings) -> None:
        """The packs share some photographs under other names: none that validates is trained on, whatever its part elsewhere."""
        close_ups = read_pack("celeba_face160", self.size, settings.data)
        validation = close_ups.parts(VALIDATION_PARTS)
        held_out = {r["file_name"] for r in validation.rows}
        packs = [close_ups.parts(JUDGE_PARTS)]
        for name in ("faces128", "faces64"):
            portraits = read_pack(name, self.size, settings.data, lambda row: row["source"] == "celeba", FACE).parts(JUDGE_PARTS)
            packs.append(portraits.select(lambda row: Path(row["file_name"]).name not in held_out))
        seen = Counter(r["identity"] for p in packs for r in p.rows)
        # One picture of somebody tells nothing about what stays the same between two.
        packs = [p.select(lambda row: seen[row["identity"]] > 1) for p in packs]
        who = [r["identity"] for p in packs for r in p.rows]
        people = {identity: i for i, identity in enumerate(sorted(set(who)))}
        self.people = len(people)
        self.train = torch.cat([p.images for p in packs]).to(self.device)
        self.target = torch.tensor([people[w] for w in who], device=self.device)
        self.validation = validation.images.to(self.device)
        self.who = [r["identity"] for r in validation.rows]

    def extra_networks(self) -> dict[str, torch.nn.Module]:
        return {"people": torch.nn.Linear(self.embedding, self.people, bias=False)}

    def loss(self, answer: dict[str, Tensor], index: Tensor) -> Tensor:
        target = self.target[index]
        weight = F.normalize(self.networks["people"].weight)
        cosine = answer["embedding"].float() @ weight.T
        return F.cross_entropy(self.scale * (cosine - self.margin * F.one_hot(target, self.people)), target)

    def evaluate(self) -> dict[str, Any]:
        """Verification on part 9: all pairs, one person or two; other pictures of most of these people were seen."""
        embedding = self.answers(self.validation, "embedding").cpu()
        first, second = torch.triu_indices(len(embedding), len(embedding), 1)
        cosine = (embedding[first] * embedding[second]).sum(1)
        same = torch.tensor([self.who[i] == self.who[j] for i, j in zip(first, second, strict=True)])
        strangers = cosine[~same]
        threshold = strangers.quantile(0.95) if len(strangers) < 2**24 else strangers[:: len(strangers) // 10**6].quantile(0.95)
        return {
            "verification_auc": round(float(roc_auc_score(same.numpy(), cosine.numpy())), 4),
            "cosine_same": round(float(cosine[same].mean()), 3),
            "cosine_different": round(float(strangers.mean()), 3),
            "cosine_95_percent_of_strangers_below": round(float(threshold), 3),
            "same_above_that": round(float((cosine[same] > threshold).float().mean()), 3),
            "people_seen_in_training": True,
        }


class MakeupJudge(JudgeTrainer):
    """Whether a face wears makeup, from the face frame. Four fifths of what it sees are women, with and without makeup: it shall
    not learn who wears it."""

    name = "judge-makeup"
    size = 96
    pairs = 6
    outputs = 1
    total_images = 24_000
    frame = "face"
    domains = ("face",)
    labels = ("makeup",)
    sources = "celeba_face160, and the faces of CelebA's portraits in faces128 and faces64, parts 7 and 8"
    shares = (("F", True, 0.45), ("F", False, 0.35), ("M", True, 0.0), ("M", False, 0.2))
    parts = JUDGE_PARTS

    def read(self, settings: Settings) -> None:
        """The packs share some photographs under other names: none is taken that belongs to other parts of the close-ups."""
        close_ups = read_pack("celeba_face160", self.size, settings.data, _makeup_known)
        validation, own = close_ups.parts(VALIDATION_PARTS), close_ups.parts(self.parts)
        kept = {row["file_name"] for row in close_ups.rows} - {row["file_name"] for row in own.rows}
        packs = [own]
        for name in ("faces128", "faces64"):
            portraits = read_pack(name, self.size, settings.data, _makeup_known, FACE).parts(self.parts)
            packs.append(portraits.select(lambda row: Path(row["file_name"]).name not in kept))
        rows = [row for pack in packs for row in pack.rows]
        self.train = torch.cat([p.images for p in packs]).to(self.device)
        self.target = torch.tensor([[float(_wears(row))] for row in rows], device=self.device)
        groups = {(row["gender"], _wears(row)): [] for row in rows}
        for index, row in enumerate(rows):
            groups[row["gender"], _wears(row)].append(index)
        self.weights = torch.zeros(len(rows), device=self.device)
        for gender, wears, share in self.shares:
            members = groups.get((gender, wears), [])
            self.weights[members] = share / max(1, len(members))
        self.validation, self.validation_rows = validation.images.to(self.device), validation.rows

    def draw(self) -> Tensor:
        return torch.multinomial(self.weights, self.batch, True, generator=self.generator)

    def augment(self, images: Tensor) -> Tensor:
        """White balance as well: a warmer picture is no makeup."""
        return super().augment(images * (1 + 0.1 * self.uniform(len(images), 3, 1, 1)))

    def loss(self, answer: dict[str, Tensor], index: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(answer["logits"].float(), self.target[index])

    def evaluate(self) -> dict[str, Any]:
        """On part 9: the AUC among women, and how many of each group are seen to wear makeup."""
        logits = self.answers(self.validation, "logits")[:, 0].cpu()
        wears = torch.tensor([_wears(row) for row in self.validation_rows])
        women = torch.tensor([row["gender"] == "F" for row in self.validation_rows])
        groups = {"women_with_makeup": women & wears, "women_without": women & ~wears, "men_without": ~women & ~wears}
        seen = {f"{name}_seen_with": round(float((logits[who] > 0).float().mean()), 3) for name, who in groups.items()}
        auc = roc_auc_score(wears[women].numpy(), logits[women].numpy())
        return {"auc_among_women": round(float(auc), 4), **seen, "pictures": len(logits)}


def _wears(row: Mapping[str, str]) -> bool:
    return row["Heavy_Makeup"] == "1"


def _makeup_known(row: Mapping[str, str]) -> bool:
    """CelebA's two words for makeup agree, and no glasses are in the way."""
    return row.get("Heavy_Makeup", "") != "" and row["Heavy_Makeup"] == row["Wearing_Lipstick"] and row["Eyeglasses"] == "-1"


JUDGES = {judge.name: judge for judge in (AnimalJudge, AttributeJudge, DemographicsJudge, IdentityJudge, MakeupJudge)}
