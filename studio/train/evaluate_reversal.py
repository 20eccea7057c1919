"""Generator reversal and KDE-GAN measured as in their paper (Kilcher, Lucchi and Hofmann 2017).

Reversal on faces of part 9, which no network learnt from: how fast the error falls in generators with random and with trained
weights (section 2.2), and what the studio's way of finding a face achieves beside plain descent. KDE-GAN on digits, beside the
GAN that begins with the same weights: its score over training (figure 5), the recovery of modes (table 2), the hold-out
likelihood (figure 10), and how far samples are from the pictures that were learnt (table 1).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from studio.core.engine import Engine, Session
from studio.core.images import to_float, to_uint8
from studio.core.registry import Card, build
from studio.latent.kde import bandwidths, holdout_likelihood
from studio.latent.reversal import RATE, START, psnr, reverse
from studio.metrics.class_score import ask_judge
from studio.metrics.identity import IDENTITY_JUDGE, embed_heads
from studio.metrics.lpips import distance, feature_maps
from studio.models import began, dcgan
from studio.train import kdegan
from studio.train.data import HEAD, MODEL_PARTS, VALIDATION_PARTS, part, read_pack
from studio.train.gan import renewed
from studio.train.kdegan import DigitsTrainer, KDEGANTrainer, StackedDigits
from studio.train.loop import Settings, unwrap

FLAGSHIP = "stylegan-128"
GENERATORS = {"DCGAN": "dcgan-64", "BEGAN": "began-64", "StyleGAN": FLAGSHIP}
MARKS = (5, 20, 400)  # steps of figure 2
DESCENT = MARKS[-1]
CURVE_PHOTOS = 4
# Steps of descent of which each generator takes the one that has come nearest after so many steps. The paper's own is 1.
RATES, TRIED = (1.0, 10.0, 100.0, 1000.0), 20
NORMED = 1024  # latents that a random network's norms see
STRANGERS = 200
# What is promised of the studio's way: so much nearer than plain descent, in such a share of its time.
GAIN, SHARE = 3.0, 0.25

CODED, CODING_STEPS = 300, 60  # digits whose codes the hold-out likelihood is of, and how they are found
POINTS = 8  # of a curve
RESTRICTED = (6, 7, 8, 9)  # appendix D
NEW = "new"  # digits that were not learnt

Report = Callable[[int, int, str], None]
# Finds a face, uint8 (R, R, 3): what was found, of the same shape, and the seconds that took.
Find = Callable[[np.ndarray], tuple[np.ndarray, float]]


@dataclass(frozen=True)
class Way:
    """A way to find faces, means over the photos: ``psnr`` in dB, ``lpips``, ``identity`` (cosine), ``seconds`` a photo.

    ``same`` is the share of photos whose cosine few strangers reach, ``nearer`` that of those nearer to their own photo than to
    95 % of other people's.
    """

    name: str
    psnr: float
    lpips: float
    identity: float
    same: float
    nearer: float
    seconds: float | None


OURS, PLAIN = "ours", "plain"  # what the names of ways begin with


@dataclass(frozen=True)
class ReversalFigures:
    """``errors`` per generator and kind of weights ("random", "trained"): the mean squared error after each of ``MARKS`` steps,
    of pictures in [-1, 1], at ``rates``; ``ways`` to find ``photos`` faces; ``descent_rate`` is that of the better plain one."""

    photos: int
    errors: dict[str, dict[str, dict[int, float]]]
    rates: dict[str, dict[str, float]]
    descent_rate: float
    ways: tuple[Way, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, with the promises."""
        plain = [way for way in self.ways if way.name.startswith(PLAIN)]
        slow = next(way.seconds for way in plain if way.seconds)
        promises = {}
        for way in self.ways:
            if way.name.startswith(OURS):
                gains, share = {other.name: round(way.psnr - other.psnr, 2) for other in plain}, round(way.seconds / slow, 3)
                promises[way.name] = {
                    "nearer_than_plain_descent": {"holds": min(gains.values()) >= GAIN, "gains": gains},
                    "in_a_quarter_of_its_time": {"holds": share <= SHARE, "share": share},
                    "every_person_is_recognised": {"holds": way.nearer == 1, "share": way.nearer},
                }
        return {**asdict(self), "promises": promises}


# --- reversal -----------------------------------------------------------------------------------------------------------------


def evaluate_reversal(
    engine: Engine,
    ways: Mapping[str, Find],
    photos: int = 24,
    data_dir: Path | None = None,
    report: Report = lambda done, total, now: None,
) -> ReversalFigures:
    """Measures reversal on the first ``photos`` of part 9 of faces128, in a fixed random order.

    Args:
        ways: the studio's, by names of which those that are meant to keep the promises begin with ``OURS``.
        report: told what happens.

    Raises:
        FileNotFoundError: the pack is not there.
        ValueError: there are too few photos.
        UnknownModel: a generator or a judge is not there.
    """
    sizes = {name: int(card_id.rpartition("-")[2]) for name, card_id in GENERATORS.items()}
    of_size = {size: _faces(photos + STRANGERS, size, data_dir) for size in set(sizes.values())}
    faces = of_size[sizes["StyleGAN"]]
    if len(faces) < photos + 2:
        raise ValueError(f"Part 9 of faces128 has only {len(faces)} faces: measure fewer with --photos.")
    strangers, faces = faces[photos:], faces[:photos]
    total = 2 * len(GENERATORS) + photos + 1
    errors, rates = {}, {}
    for number, (name, card_id) in enumerate(GENERATORS.items()):
        for turn, kind in enumerate(("random", "trained")):
            report(2 * number + turn, total, f"Reversing {name} with {kind} weights")
            rate, curve = _error_curve(engine, card_id, kind == "random", of_size[sizes[name]][: min(photos, CURVE_PHOTOS)])
            errors.setdefault(name, {})[kind], rates.setdefault(name, {})[kind] = curve, rate
    best = rates["StyleGAN"]["trained"]
    every = {**ways, f"{PLAIN}, its best rate": lambda face: _descend_alone(engine, face, best)}
    found: dict[str, list[tuple[np.ndarray, float]]] = {name: [] for name in every}
    for index, face in enumerate(faces):  # each way in turn, so that what else the machine does hinders all of them alike
        report(2 * len(GENERATORS) + index, total, "Finding faces")
        for name, find in every.items():
            found[name].append(find(face))
    report(total - 1, total, "Descending at the paper's rate")
    images, _ = _descend(engine, faces, RATE)
    measured = [
        _way(engine, name, faces, strangers, [image for image, _ in pairs], float(np.mean([seconds for _, seconds in pairs])))
        for name, pairs in found.items()
    ]
    measured.append(_way(engine, f"{PLAIN}, the paper's rate", faces, strangers, images, None))
    return ReversalFigures(photos, errors, rates, best, tuple(measured))


def _faces(count: int, size: int, data_dir: Path | None) -> np.ndarray:
    """uint8 (N, size, size, 3); the same faces whatever the size."""
    pack = read_pack("faces128", size, data_dir, lambda row: part(row["file_name"]) in VALIDATION_PARTS, HEAD)
    order = np.random.default_rng(0).permutation(len(pack))[:count]
    return pack.images.permute(0, 2, 3, 1).numpy()[order]


def _error_curve(engine: Engine, card_id: str, random: bool, faces: np.ndarray) -> tuple[float, dict[int, float]]:
    """The rate that suits the network, and the mean error after each of ``MARKS`` steps."""

    def job(session: Session) -> Iterator[Any]:
        generate, size = _generator(session, engine.registry.card(card_id), random)
        target, start = _to_tensor(faces, session), _start(len(faces), size, session)
        tried = {}
        for rate in RATES:
            for step in reverse(generate, target, start, TRIED, rate):
                tried[rate] = float(step.loss.mean())
                yield None
        rate = min(tried, key=tried.get)
        curve = {}
        for step in reverse(generate, target, start, DESCENT, rate):
            if step.step in MARKS:
                curve[step.step] = float(step.loss.mean())
            yield None
        return rate, curve

    return _run(engine, job)


def _descend(engine: Engine, faces: np.ndarray, rate: float) -> tuple[np.ndarray, float]:
    """Algorithm 1 on the flagship's latents: what it finds for faces uint8 (N, R, R, 3), and the seconds that took."""

    def job(session: Session) -> Iterator[Any]:
        generate, size = _generator(session, engine.registry.card(FLAGSHIP), random=False)
        target, start = _to_tensor(faces, session), _start(len(faces), size, session)
        began_at, last = time.perf_counter(), None
        for last in reverse(generate, target, start, DESCENT, rate):  # noqa: B007 (the job's turns end with its steps)
            yield None
        return np.stack([to_uint8(image) for image in last.image.cpu().numpy()]), time.perf_counter() - began_at

    return _run(engine, job)


def _descend_alone(engine: Engine, face: np.ndarray, rate: float) -> tuple[np.ndarray, float]:
    images, seconds = _descend(engine, face[None], rate)
    return images[0], seconds


def _run(engine: Engine, job: Callable[[Session], Iterator[Any]]) -> Any:
    """What a job on the engine's worker returns."""
    with closing(engine.stream(job)) as steps:
        while True:
            try:
                next(steps)
            except StopIteration as stop:
                return stop.value


def _to_tensor(faces: np.ndarray, session: Session) -> Tensor:
    return torch.as_tensor(np.stack([to_float(face) for face in faces]), device=session.device)


def _start(count: int, size: int, session: Session) -> Tensor:
    """Appendix A's noise."""
    return START * torch.randn(count, size, generator=torch.Generator().manual_seed(0)).to(session.device)


def _generator(session: Session, card: Card, random: bool) -> tuple[Callable[[Tensor], Tensor], int]:
    """A generator as latents (B, L) -> pictures, and L; its weights trained, or those that its training began with."""
    network = _untrained(card).to(session.device) if random else session.network(card.id)
    if card.family == "stylegan":
        return (lambda latent: network(latent, latent.new_ones(len(latent), 1))["image"]), network.latent
    return network, {"dcgan": dcgan, "began": began}[card.family].LATENT


def _untrained(card: Card) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = _normed(dcgan.Generator(**card.config, batch_norm=True)) if card.family == "dcgan" else build(card)
    return network.eval().requires_grad_(False)


@torch.no_grad()
def _normed(network: dcgan.Generator) -> dcgan.Generator:
    """With the norms' statistics taken of its own samples: without them its pictures are all but the same grey."""
    with renewed(network):
        network(2 * torch.rand(NORMED, dcgan.LATENT) - 1)
    return network


def _way(
    engine: Engine,
    name: str,
    faces: np.ndarray,
    strangers: np.ndarray,
    found: Sequence[np.ndarray],
    seconds: float | None,
) -> Way:
    pairs = [_floats(faces), _floats(found)]
    near = psnr(*(torch.from_numpy(images) for images in pairs))
    apart = distance(*(feature_maps(ask_judge(engine, images)) for images in pairs))
    own, made, others = (embed_heads(engine, list(heads)) for heads in (faces, found, strangers))
    cosines = (own * made).sum(1)
    reached = engine.registry.card(IDENTITY_JUDGE).measures["cosine_95_percent_of_strangers_below"]
    return Way(
        name=name,
        psnr=round(float(near.mean()), 2),
        lpips=round(float(apart.mean()), 3),
        identity=round(float(cosines.mean()), 3),
        same=round(float((cosines >= reached).mean()), 3),
        nearer=round(float((cosines > np.quantile(made @ others.T, 0.95, axis=1)).mean()), 3),
        seconds=None if seconds is None else round(seconds, 2),
    )


def _floats(images: Sequence[np.ndarray]) -> np.ndarray:
    return np.stack([to_float(image) for image in images])


# --- KDE-GAN ------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Progressed:
    """One training: the score at ``points`` (steps, seconds, inception score, modes), and the reversal steps it took on average
    between them (0 of a plain GAN)."""

    points: tuple[dict[str, float], ...]

    @property
    def last(self) -> dict[str, float]:
        return self.points[-1]


@dataclass(frozen=True)
class KDEGANFigures:
    """KDE-GAN beside the GAN, by the names of their recipes.

    ``training`` on all digits; ``recovery`` (table 2): the scores after ``steps`` of the digits 6 to 9 alone, after as many of
    all digits from there on, and after twice as many of all digits from the start; ``longer``: the plain GAN after as many
    seconds as KDE-GAN's training took. ``likelihood`` (nats per code) of held-out digits' codes over ``shares``, bandwidths as
    shares of the codes' deviation; ``nearest``: the mean Euclidean distance of a sample's digits to the learnt ones (table 1),
    and that of held-out digits ("new").
    """

    steps: int
    real: float
    training: dict[str, Progressed]
    longer: Progressed
    recovery: dict[str, dict[str, float]]
    shares: list[float]
    likelihood: dict[str, list[float]]
    nearest: dict[str, float]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, with what the paper claims."""
        gan, kde = DigitsTrainer.name, KDEGANTrainer.name
        ours, theirs = self.training[kde].points, self.training[gan].points
        ahead = [a["inception_score"] > b["inception_score"] for a, b in zip(ours, theirs, strict=True)]
        lost = {name: round(1 - scores["after"] / scores["full"], 3) for name, scores in self.recovery.items()}
        claims = {
            "higher_scores_sooner": {"holds": all(ahead), "points_ahead": f"{sum(ahead)} of {len(ahead)}"},
            "higher_score_in_the_same_time": {
                "holds": self.training[kde].last["inception_score"] > self.longer.last["inception_score"]
            },
            "recovers_dropped_modes_better": {"holds": lost[kde] < lost[gan], "lost": lost},
            "no_nearer_to_learnt_digits_than_new_ones": {"holds": self.nearest[kde] >= self.nearest[NEW]},
        }
        return {**asdict(self), "claims": claims}


def evaluate_kdegan(
    steps: int = 400, seed: int = 0, pictures: Path | None = None, report: Report = lambda done, total, now: None
) -> KDEGANFigures:
    """Trains both on digits, from the start and after a restriction, and measures them.

    Args:
        steps: of each training.
        pictures: a folder for sheets of both models' samples.
    """
    settings = Settings(Path(gettempdir()), 0.0, seed=seed, accelerator="cpu")
    gan, kde = (kind(settings) for kind in (DigitsTrainer, KDEGANTrainer))
    training, recovery = {}, {}
    for trainer in (kde, gan):
        words = {"full": f"Training {trainer.name}", "after": f"Recovering {trainer.name}"}
        training[trainer.name] = _train(trainer, steps, words["full"], report)
        again = type(trainer)(settings)
        again.learn_from(RESTRICTED)
        restricted = _train(again, steps, f"Restricting {trainer.name}", report)
        again.learn_from(range(10))
        recovered = _train(again, steps, words["after"], report)
        if pictures:
            trainer.grid().save(pictures / f"reversal-{trainer.name}.png")
        full = _train(trainer, steps, f"Training {trainer.name} on", report)
        scores = {"restricted": restricted, "after": recovered, "full": full}
        recovery[trainer.name] = {name: one.last["inception_score"] for name, one in scores.items()}
    curves = {trainer.name: _likelihood(trainer) for trainer in (kde, gan)}
    nearest = {trainer.name: _nearest(trainer.show(trainer.latents(CODED))) for trainer in (kde, gan)}
    nearest[NEW] = _nearest(StackedDigits(VALIDATION_PARTS, torch.Generator().manual_seed(0)).draw(0, CODED))
    longer = _train_for(DigitsTrainer(settings), training[kde.name].last["seconds"], report)
    shares = np.round(bandwidths(np.array([[-1.0], [1.0]])), 4).tolist()
    real = gan.evaluate()["inception_score_real"]
    return KDEGANFigures(steps, real, training, longer, recovery, shares, curves, nearest)


def _train(trainer: DigitsTrainer, steps: int, words: str, report: Report) -> Progressed:
    """``steps`` steps, with POINTS looks at the score."""
    points, seconds, reversed_ = [], 0.0, 0.0
    for number in range(1, steps + 1):
        report(number, steps, words)
        began_at = time.process_time()
        reversed_ += float(trainer.step().get("reversal_steps", 0))
        seconds += time.process_time() - began_at
        if number % (steps // POINTS) == 0:
            points.append(_point(trainer, number, seconds, reversed_ * POINTS / steps))
            reversed_ = 0.0
    return Progressed(tuple(points))


def _train_for(trainer: DigitsTrainer, seconds: float, report: Report) -> Progressed:
    spent, number = 0.0, 0
    while spent < seconds:
        report(int(spent), int(seconds), f"Training {trainer.name} as long")
        began_at = time.process_time()
        trainer.step()
        spent, number = spent + time.process_time() - began_at, number + 1
    return Progressed((_point(trainer, number, spent, 0.0),))


def _point(trainer: DigitsTrainer, steps: int, seconds: float, reversed_: float) -> dict[str, float]:
    measures = trainer.evaluate()
    scores = {name: measures[name] for name in ("inception_score", "modes")}
    return {"steps": steps, "seconds": round(seconds, 1), "reversal_steps": round(reversed_, 1), **scores}


def _likelihood(trainer: DigitsTrainer) -> list[float]:
    """Figure 10: held-out digits' codes under the density of learnt ones' codes, in units of these codes' deviation."""
    codes, held_out = (_codes(trainer, parts) for parts in (MODEL_PARTS, VALIDATION_PARTS))
    scale = float(np.sqrt(codes.reshape(len(codes), -1).var(0).mean()))
    codes, held_out = codes / scale, held_out / scale
    return np.round(holdout_likelihood(codes, held_out, bandwidths(codes)), 2).tolist()


def _codes(trainer: DigitsTrainer, parts: frozenset[int]) -> np.ndarray:
    draws = torch.Generator().manual_seed(0)
    target = StackedDigits(parts, draws).draw(0, CODED)
    network = unwrap(trainer.networks["generator"]).eval()
    start = START * torch.randn(CODED, kdegan.LATENT, generator=draws)
    *_, last = reverse(network, target, start, CODING_STEPS, kdegan.REVERSAL_RATE)
    network.train()
    return last.code.numpy()


def _nearest(images: Tensor) -> float:
    """How far the digits in pictures (N, 3, 8, 8) are from the learnt digits that they are nearest to, on average."""
    learnt, _ = kdegan.read_digits(MODEL_PARTS)
    return round(float(torch.cdist(images.reshape(-1, kdegan.SIDE**2), learnt.flatten(1)).amin(1).mean()), 3)
