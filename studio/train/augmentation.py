"""Table 2 of CVAE-GAN (Bao et al. 2017, section 5.5): do pictures that G draws of people help to recognise them?

As there: a network learns to name people from their photos, alone, with pictures that G draws of the same people, or with
pictures of new people, each of whom is a mix of three. Faces are then compared by the cosine of its features. All three see the
same photos in the same order as often; drawn pictures come on top.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.metrics import roc_auc_score
from torch import Tensor

from studio.models.cvaegan import Classifier
from studio.train.augment import diff_augment
from studio.train.cvaegan import Named, read_named
from studio.train.data import JUDGE_PARTS, MODEL_PARTS, VALIDATION_PARTS, to_unit

SIZE = 32  # px
WIDTHS = {"width": 24, "most": 4}
WAYS = ("photos", "photos and drawn ones of the same people", "photos and drawn ones of new people")
MIXED = 3  # people in a new one
DRAWN = 8  # pictures of each person, who has 15 photos on average
BATCH, STEPS, RATE = 32, 300, 1e-3

# What G draws for conditions (N, K), with latents from the generator: pictures (N, 3, R, R) in [-1, 1].
Draw = Callable[[np.ndarray, np.random.Generator], np.ndarray]


@dataclass(frozen=True)
class Augmented:
    """A row of Table 2, a figure a run: the share of new photos of the same people that are ``recognised`` (top-1), the share of
    pairs of them, half of one person, that the best threshold tells right (``verified``), and the pairs' ``auc``."""

    data: str
    recognised: tuple[float, ...]
    verified: tuple[float, ...]
    auc: tuple[float, ...]


def measure_augmentation(
    draw: Draw, runs: int, data_dir: Path | None, report: Callable[[int, str], None] = lambda done, now: None
) -> tuple[Augmented, ...]:
    """Learns from photos of people in all three ``WAYS``, ``runs`` times from other seeds."""
    known = read_named("people", SIZE, data_dir, MODEL_PARTS)
    new = read_named("people", SIZE, data_dir, JUDGE_PARTS | VALIDATION_PARTS)
    found: dict[str, list[tuple[float, float, float]]] = {way: [] for way in WAYS}
    for run in range(runs):
        for place, way in enumerate(WAYS):
            report(run * len(WAYS) + place, f"Recognising people by {way}, run {run + 1}")
            network = learn(known, drawn_ones(draw, way, known.labels.shape[1], run), run)
            found[way].append(recognise(network, new, run))
    return tuple(Augmented(way, *map(tuple, zip(*figures, strict=True))) for way, figures in found.items())


def drawn_ones(draw: Draw, way: str, people: int, seed: int) -> tuple[Tensor, Tensor]:
    """Drawn pictures (N, 3, SIZE, SIZE) and whom they show (N,): people as they are numbered, new ones after them."""
    draws = np.random.default_rng(seed)
    if way == WAYS[0]:
        return torch.empty(0, 3, SIZE, SIZE), torch.empty(0, dtype=torch.long)
    conditions = np.eye(people, dtype=np.float32)
    if way == WAYS[2]:
        conditions = np.stack([conditions[draws.choice(people, MIXED, replace=False)].mean(0) for _ in range(people)])
    asked = np.repeat(np.arange(people), DRAWN)
    pictures = torch.tensor(draw(conditions[asked], draws))
    whom = torch.from_numpy(asked) + people * (way == WAYS[2])
    return F.interpolate(pictures, size=SIZE, mode="area"), whom


def learn(known: Named, drawn: tuple[Tensor, Tensor], seed: int) -> Classifier:
    """A network that names the people of photos, and of as many drawn pictures a step if there are any."""
    torch.manual_seed(seed)
    photos, whom = to_unit(known.images), known.labels.argmax(1)
    network = Classifier(2 * known.labels.shape[1], resolution=SIZE, **WIDTHS)
    optimiser = torch.optim.AdamW(network.parameters(), RATE, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=STEPS)
    order, more = torch.Generator().manual_seed(seed), torch.Generator().manual_seed(seed)
    for _ in range(STEPS):
        chosen = torch.randint(len(photos), (BATCH,), generator=order)
        pictures, asked = photos[chosen], whom[chosen]
        if len(drawn[0]):
            some = torch.randint(len(drawn[0]), (BATCH,), generator=more)
            pictures, asked = torch.cat([pictures, drawn[0][some]]), torch.cat([asked, drawn[1][some]])
        mirrored = torch.rand(len(pictures), 1, 1, 1) < 0.5
        pictures = diff_augment(torch.where(mirrored, pictures.flip(3), pictures), "translation")
        loss = F.cross_entropy(network(pictures)["logits"], asked)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return network.eval()


@torch.no_grad()
def recognise(network: Classifier, new: Named, seed: int) -> tuple[float, float, float]:
    """The figures of a row, of photos that the network has not seen."""
    photos, whom = to_unit(new.images), new.labels.argmax(1)
    said = [network(some) for some in photos.split(100)]
    answers, features = (torch.cat([each[name] for each in said]) for name in ("logits", "feature"))
    same, cosine = pairs(whom, F.normalize(features - features.mean(0)), seed)
    return (
        float((answers[:, : new.labels.shape[1]].argmax(1) == whom).float().mean()),
        best_share(same, cosine),
        float(roc_auc_score(same, cosine)),
    )


def pairs(whom: Tensor, features: Tensor, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """All pairs of photos of one person and as many of two: whether they are of one, and their cosines."""
    first, second = torch.triu_indices(len(whom), len(whom), 1)
    same = whom[first] == whom[second]
    ones, twos = same.nonzero().flatten(), (~same).nonzero().flatten()
    twos = twos[torch.randperm(len(twos), generator=torch.Generator().manual_seed(seed))[: len(ones)]]
    chosen = torch.cat([ones, twos])
    return same[chosen].numpy(), (features[first[chosen]] * features[second[chosen]]).sum(1).numpy()


def best_share(same: np.ndarray, cosine: np.ndarray) -> float:
    """The share of pairs that are told right by the threshold that tells most of them right."""
    ordered = same[np.argsort(cosine)]
    right = np.concatenate([[0], np.cumsum(~ordered)]) + np.concatenate([np.cumsum(ordered[::-1])[::-1], [0]])
    return float(right.max() / len(same))
