"""CVAE-GAN measured as in its paper (Bao et al. 2017): Tables 1 and 2, holes in photos (figure 7), and, for faces, attributes.

Table 1 compares small models at a size that a CPU can train several times over, runs of one recipe with one thing exchanged
(``train/cvaegan.py``), on the same pictures, for as many pictures, and with the same C a run. Attributes of faces are read by a
judge that saw none of these pictures; the classes of their inception-style score are what the judge of demographics tells
apart, as for X-GAN. What a flower or a bird is says a linear judge on ImageNet features, which learnt from the judges' parts.
Table 2 is in ``train/augmentation.py``. Holes and attributes are those of the studio's own verbs, on faces of part 9 of faces128,
which no network learnt from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from studio.core.engine import Engine
from studio.core.faces import FRAME_SIZE, FRAMES, align
from studio.core.images import to_float, to_uint8
from studio.metrics.class_score import ask_judge
from studio.metrics.identity import IDENTITY_JUDGE, embed_heads
from studio.metrics.lpips import distance, feature_maps
from studio.metrics.modes import inception_score
from studio.train.augmentation import WAYS, Augmented, Draw, measure_augmentation
from studio.train.critics import imagenet_trunk
from studio.train.cvaegan import DOMAINS, VARIANTS, CVAEGANTrainer, read_named
from studio.train.data import JUDGE_PARTS, VALIDATION_PARTS, part, read_pack, to_unit
from studio.train.evaluate_xgan import SIZE, demographics
from studio.train.gan import pooled
from studio.train.judges import FIRST_ATTRIBUTE
from studio.train.loop import Settings, unwrap

# Of Table 1: pictures drawn from the prior are what it is about.
SMALL = {"latent": 64, "drawing": {"width": 24, "most": 4}, "looking": {"width": 16, "most": 4}, "lambda_kl": 1e-2, "prior": 0.75}
EXTENTS = {domain: replace(DOMAINS[domain], **SMALL) for domain in ("faces", "flowers", "birds")}
CLASSIFIED = 16_000  # pictures that C of Table 1 learns from alone, the first of a run
SHRUNK = 1e-2  # the linear judge's C: few photos, many features
ATTRIBUTE_JUDGE = "judge-attributes"
PORTRAIT, HOLE = 128, 50  # px, sides of a photo and of the hole in its middle (section 5.4)
ITERATIONS = (1, 5, 10)  # of figure 7
RADIUS = 3  # px, what OpenCV's ways look at around a pixel
VALUES = (-1.0, -0.5, 0.0, 0.5, 1.0)  # of a slider
CLAIMED = 10  # attributes that have to follow their sliders
LEAST = 0.05  # what the judge's mean probability has to rise by from end to end
OURS = "CVAE-GAN"

Report = Callable[[int, int, str], None]
# What a judge says of pictures (N, 3, S, S) that were asked to show labels (N, K): the figures of a row.
Judge = Callable[[Tensor, Tensor], tuple[float, float, float]]
# Finds a face in a portrait, uint8 (128, 128, 3), and changes it: an attribute and its value -> the judge's probability of the
# attribute then, and the identity judge's cosine to the photo.
Change = Callable[[str, float], tuple[float, float]]
Find = Callable[[np.ndarray], Change]
# Fills the hole, bool (128, 128), of a portrait, uint8 (128, 128, 3): the portrait after each of the iterations asked for.
Fill = Callable[[np.ndarray, np.ndarray, Sequence[int]], Sequence[np.ndarray]]


@dataclass(frozen=True)
class Row:
    """A model of Table 1, a figure a run: the share of attributes that the judge reads as asked, the same with those who have an
    attribute and those who have it not counting alike (0.5 is what ignoring the condition gives), the inception-style score.

    Of flowers and birds the first two are the share of pictures that show the class asked for, and its mean over classes.
    """

    domain: str
    name: str
    accuracy: tuple[float, ...]
    balanced: tuple[float, ...]
    inception: tuple[float, ...]


@dataclass(frozen=True)
class Filling:
    """Holes filled in one way, means over the photos: PSNR in dB within the hole, perceptual distance, identity (cosine)."""

    way: str
    psnr: float
    lpips: float
    identity: float


@dataclass(frozen=True)
class Slider:
    """An attribute at each of ``VALUES``, means over the photos: the judge's probability, identity (cosine to the photo)."""

    attribute: str
    probability: tuple[float, ...]
    identity: tuple[float, ...]

    @property
    def follows(self) -> bool:
        """Whether the probability never falls as the slider rises, and is higher at its end."""
        steps = np.diff(self.probability)
        return bool((steps >= 0).all() and self.probability[-1] - self.probability[0] >= LEAST)


@dataclass(frozen=True)
class Figures:
    """What was measured: ``pictures`` each model of Table 1 learnt from, ``samples`` of each, ``photos`` with holes or changed;
    ``same_person`` is the identity judge's cosine of two photos of one person. Parts that were not asked for are empty."""

    table: tuple[Row, ...]
    pictures: int
    samples: int
    augmentation: tuple[Augmented, ...]
    fillings: tuple[Filling, ...]
    sliders: tuple[Slider, ...]
    photos: int
    same_person: float | None

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: figures of runs as mean and deviation, and what the paper claims of them."""
        table = [
            {"domain": r.domain, "name": r.name} | {k: _spread(getattr(r, k)) for k in ("accuracy", "balanced", "inception")}
            for r in self.table
        ]
        augmentation = [
            {"data": r.data} | {k: _spread(getattr(r, k)) for k in ("recognised", "verified", "auc")} for r in self.augmentation
        ]
        sliders = [asdict(slider) | {"follows": slider.follows} for slider in self.sliders]
        tables = {"table": table, "augmentation": augmentation}
        return asdict(self) | tables | {"sliders": sliders, "values": list(VALUES), "claims": self._claims()}

    def _claims(self) -> dict[str, Any]:
        claims = {}
        for domain in dict.fromkeys(row.domain for row in self.table):
            means = {row.name: float(np.mean(row.balanced)) for row in self.table if row.domain == domain}
            if OURS in means:
                others = {name: round(means[OURS] - mean, 3) for name, mean in means.items() if name in VARIANTS and name != OURS}
                holds = min(others.values(), default=0) > 0
                claims[f"shows_what_is_asked_of_{domain}_more_often"] = {"holds": holds, "ahead_of": others}
        if self.augmentation:
            plain, *more = self.augmentation
            ahead = {row.data: round(float(np.mean(row.verified) - np.mean(plain.verified)), 3) for row in more}
            claims["drawn_pictures_help_to_recognise_people"] = {"holds": min(ahead.values()) > 0, "verified_more": ahead}
        if self.sliders:
            following = [slider.attribute for slider in self.sliders if slider.follows]
            claims["attributes_follow_their_sliders"] = {"holds": len(following) >= CLAIMED, "attributes": following}
        if self.fillings:
            apart = {filling.way: filling.lpips for filling in self.fillings}
            ours = apart[f"{OURS}-{ITERATIONS[-1]}"]
            ahead = {way: round(theirs - ours, 3) for way, theirs in apart.items() if not way.startswith(OURS)}
            claims["holes_look_more_like_the_photo"] = {"holds": min(ahead.values()) > 0, "lpips_less_than": ahead}
        return claims


def evaluate_cvaegan(
    engine: Engine,
    find: Find | None = None,
    fill: Fill | None = None,
    attributes: Sequence[str] = (),
    names: Sequence[str] = tuple(VARIANTS),
    domains: Sequence[str] = ("faces",),
    draw: Draw | None = None,
    pictures: int = 10_000,
    runs: int = 2,
    samples: int = 1000,
    photos: int = 24,
    data_dir: Path | None = None,
    report: Report = lambda done, total, now: None,
) -> Figures:
    """Measures what is asked for.

    Args:
        engine: has the judges among its cards.
        find: the studio's way to change ``attributes`` of a face; None leaves them out.
        fill: the studio's way to fill holes; None leaves them out.
        names: rows of Table 1, of the ``VARIANTS``; none leaves it out.
        domains: of Table 1, of the ``EXTENTS``.
        draw: the studio's people, which Table 2 is about; None leaves it out.
        pictures: each model learns from, after C has.
        runs: of each model of the tables, from other seeds. samples: of each.
        photos: with holes, and with changed attributes.
        data_dir: folder of the packs; None looks where training does.
        report: told what happens.

    Raises:
        FileNotFoundError: a pack is not there.
        UnknownModel: there is no judge.
        ValueError: there is no such row or domain, or there are too few photos.
    """
    for asked, known, kind in ((names, VARIANTS, "row"), (domains, EXTENTS, "domain")):
        if unknown := set(asked) - set(known):
            raise ValueError(f"There is no {kind} {', '.join(sorted(unknown))} in Table 1; there is {', '.join(known)}.")
    models = runs * len(names)
    total = models * len(domains) + runs * len(WAYS) * (draw is not None) + photos * ((find is not None) + (fill is not None))
    table, done = (), 0
    for domain in domains if names else ():
        judge = _attribute_judge(engine) if domain == "faces" else class_judge(domain, data_dir)

        def told(n: int, now: str, done: int = done, domain: str = domain) -> None:
            report(done + n, total, f"{domain}: {now}")

        table += compare(domain, judge, names, pictures, runs, samples, data_dir, told)
        done += models
    augmentation = ()
    if draw:
        augmentation = measure_augmentation(draw, runs, data_dir, lambda n, now: report(done + n, total, now))
        done += runs * len(WAYS)
    portraits = _portraits(photos, data_dir) if find or fill else np.empty(0)
    fillings, sliders = (), ()
    if fill:
        fillings = measure_holes(engine, fill, portraits, lambda n: report(done + n, total, "Filling holes"))
        done += photos
    if find:
        sliders = measure_attributes(find, attributes, portraits, lambda n: report(done + n, total, "Changing attributes"))
    known = engine.registry.card(IDENTITY_JUDGE).measures.get("cosine_same") if len(portraits) else None
    return Figures(table, pictures, samples, augmentation, fillings, sliders, len(portraits), known)


# --- Table 1 ------------------------------------------------------------------------------------------------------------------


def compare(
    domain: str,
    judge: Judge,
    names: Sequence[str],
    pictures: int,
    runs: int,
    samples: int,
    data_dir: Path | None,
    report: Callable[[int, str], None],
) -> tuple[Row, ...]:
    """The rows of Table 1 for a domain, photographs as if they were made first."""
    found: dict[str, list[tuple[float, float, float]]] = {"photographs": [], **{name: [] for name in names}}
    for run in range(runs):
        classifier = None
        for place, name in enumerate(names):
            report(run * len(names) + place, f"{name}, run {run + 1}")
            settings = Settings(out=Path(), minutes=0.0, data=data_dir, seed=run)
            trainer = CVAEGANTrainer(settings, domain, SIZE, VARIANTS[name], EXTENTS[domain])
            trainer.classified = CLASSIFIED
            if classifier is None:
                chosen = torch.from_numpy(np.random.default_rng(run).permutation(len(trainer.data.images))[:samples])
                found["photographs"].append(judge(to_unit(trainer.data.images[chosen]), trainer.data.labels[chosen]))
            classifier = train_one(trainer, pictures, classifier)
            found[name].append(judge(*samples_of(trainer, samples)))
    return tuple(Row(domain, name, *map(tuple, zip(*figures, strict=True))) for name, figures in found.items())


def train_one(trainer: CVAEGANTrainer, pictures: int, classifier: dict[str, Tensor] | None) -> dict[str, Tensor]:
    """Trains until it has learnt from that many pictures, from the C that is given, else from its own; returns that C."""
    own = unwrap(trainer.networks["classifier"])
    if classifier:
        own.load_state_dict(classifier)
        trainer.images = trainer.classified
    trainer.warm_up, start = pictures // 4, None
    while trainer.images < trainer.classified + pictures:
        if start is None and trainer.images >= trainer.classified:
            start = {name: tensor.clone() for name, tensor in own.state_dict().items()}
        trainer.step()
        trainer.steps += 1
        trainer.images += trainer.images_per_step
        trainer.average()
    trainer.settle()
    return start


def samples_of(trainer: CVAEGANTrainer, count: int) -> tuple[Tensor, Tensor]:
    """New pictures (count, 3, S, S) from the prior, and what they were asked to show, (count, K)."""
    draws = torch.Generator().manual_seed(trainer.settings.seed)
    labels = trainer.data.labels[torch.randint(len(trainer.data.labels), (count,), generator=draws)]
    latents = torch.randn(count, trainer.extent.latent, generator=draws)
    return trainer.drawn(latents.to(trainer.device), labels.to(trainer.device)).cpu(), labels


def _attribute_judge(engine: Engine) -> Judge:
    def judge(images: Tensor, labels: Tensor) -> tuple[float, float, float]:
        heads = [to_uint8(image) for image in images.numpy()]
        shows = labels.numpy() > 0
        right = (read_attributes(engine, heads) > 0.5) == shows
        groups = [
            right[:, k][members].mean() for k in range(shows.shape[1]) for members in (shows[:, k], ~shows[:, k]) if members.any()
        ]
        return float(right.mean()), float(np.mean(groups)), inception_score(demographics(engine, heads))

    return judge


def class_judge(domain: str, data_dir: Path | None) -> Judge:
    """A linear judge of classes on ImageNet features, which learns from the judges' parts of a domain."""
    trunk = imagenet_trunk(data_dir).requires_grad_(False)
    known = read_named(domain, SIZE, data_dir, JUDGE_PARTS)
    photos = to_unit(known.images)
    features = pooled(trunk, torch.cat([photos, photos.flip(3)]))
    knower = make_pipeline(StandardScaler(), LogisticRegression(C=SHRUNK, max_iter=1000))
    knower.fit(features, known.labels.argmax(1).repeat(2).numpy())

    def judge(images: Tensor, labels: Tensor) -> tuple[float, float, float]:
        probabilities, asked = np.zeros(labels.shape), labels.argmax(1).numpy()
        probabilities[:, knower.classes_] = knower.predict_proba(pooled(trunk, images))
        right = probabilities.argmax(1) == asked
        return float(right.mean()), float(np.mean([right[asked == k].mean() for k in set(asked)])), inception_score(probabilities)

    return judge


def read_attributes(engine: Engine, heads: Sequence[np.ndarray]) -> np.ndarray:
    """The judge's probabilities (N, 40) for heads, each uint8 (S, S, 3)."""
    card = engine.registry.card(ATTRIBUTE_JUDGE)
    eyes = np.array(FRAMES["head"]) * len(heads[0]) / FRAME_SIZE
    faces = np.stack([to_float(align(head, eyes, card.frame, card.resolution).image) for head in heads])
    return 1 / (1 + np.exp(-ask_judge(engine, faces, card.id)["logits"].astype(np.float64)))


# --- photos -------------------------------------------------------------------------------------------------------------------


def _portraits(count: int, data_dir: Path | None) -> np.ndarray:
    """The first ``count`` CelebA portraits of part 9, in a fixed random order: uint8 (count, 128, 128, 3)."""

    def is_new(row: Mapping[str, str]) -> bool:
        return part(row["file_name"]) in VALIDATION_PARTS and bool(row.get(FIRST_ATTRIBUTE))

    pack = read_pack("faces128", PORTRAIT, data_dir, is_new)
    if len(pack) < count:
        raise ValueError(f"Part 9 of faces128 has only {len(pack)} faces with attributes: measure fewer with --photos.")
    order = np.random.default_rng(0).permutation(len(pack))[:count]
    return pack.images.permute(0, 2, 3, 1).numpy()[order]


def measure_holes(
    engine: Engine, fill: Fill, portraits: np.ndarray, report: Callable[[int], None] = lambda done: None
) -> tuple[Filling, ...]:
    """Fills the middle of each portrait, in the studio's way and in OpenCV's two.

    Args:
        portraits: uint8 (N, 128, 128, 3).
        report: told how many are done.
    """
    hole = np.zeros((PORTRAIT, PORTRAIT), bool)
    begin = (PORTRAIT - HOLE) // 2
    hole[begin : begin + HOLE, begin : begin + HOLE] = True
    known = {"Telea": cv2.INPAINT_TELEA, "Navier-Stokes": cv2.INPAINT_NS}
    filled: dict[str, list[np.ndarray]] = {f"{OURS}-{n}": [] for n in ITERATIONS} | {name: [] for name in known}
    for done, portrait in enumerate(portraits):
        report(done)
        for number, image in zip(ITERATIONS, fill(portrait, hole, ITERATIONS), strict=True):
            filled[f"{OURS}-{number}"].append(image)
        holed = np.where(hole[:, :, None], np.uint8(128), portrait)  # so that nobody can look behind it
        for name, flag in known.items():
            filled[name].append(cv2.inpaint(holed, hole.astype(np.uint8), RADIUS, flag))
    return tuple(_filling(engine, way, portraits, np.stack(images), hole) for way, images in filled.items())


def _filling(engine: Engine, way: str, portraits: np.ndarray, filled: np.ndarray, hole: np.ndarray) -> Filling:
    errors = np.square(filled[:, hole].astype(np.float64) - portraits[:, hole]).mean((1, 2))
    floats = [np.stack([to_float(image) for image in images]) for images in (portraits, filled)]
    apart = distance(*(feature_maps(ask_judge(engine, images)) for images in floats))
    eyes = np.array(FRAMES["portrait"])
    heads = [[align(image, eyes, "head", PORTRAIT).image for image in images] for images in (portraits, filled)]
    own, made = (embed_heads(engine, each) for each in heads)
    return Filling(
        way=way,
        psnr=round(float((10 * np.log10(255**2 / np.maximum(errors, 1e-9))).mean()), 2),
        lpips=round(float(apart.mean()), 3),
        identity=round(float((own * made).sum(1).mean()), 3),
    )


def measure_attributes(
    find: Find, attributes: Sequence[str], portraits: np.ndarray, report: Callable[[int], None] = lambda done: None
) -> tuple[Slider, ...]:
    """Moves each attribute of each portrait, uint8 (N, 128, 128, 3), through ``VALUES``."""
    figures = np.empty((len(portraits), len(attributes), len(VALUES), 2))
    for index, portrait in enumerate(portraits):
        report(index)
        change = find(portrait)
        figures[index] = [[change(attribute, value) for value in VALUES] for attribute in attributes]
    means = figures.mean(0).round(3)
    return tuple(Slider(name, *map(tuple, means[k].T.tolist())) for k, name in enumerate(attributes))


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {"mean": round(float(np.mean(values)), 3), "std": round(float(np.std(values)), 3)}
