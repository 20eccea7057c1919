"""How good the face-to-animal networks are, measured on the tenth of the packs that trained nothing (part 9).

The measures are IAN's score(X) and score(Y) (section 4, Table 1) and, for what these do not see, how much the outputs differ
between people (Zhu et al. 2017 discuss mode collapse) and how far they are from real animals as a set. Every measure stands
beside the same measure of the real animals.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from studio.core.engine import Engine
from studio.core.images import to_float, to_uint8
from studio.core.registry import Card, Registry
from studio.metrics.class_score import ANIMAL_JUDGE, ask_judge, class_score, softmax
from studio.metrics.face_score import face_score
from studio.metrics.kid import kid
from studio.metrics.lpips import feature_maps, mean_pairwise
from studio.train.data import HEAD, VALIDATION_PARTS, WHOLE, Box, part, read_pack

BATCH = 16
# Distances need the full feature maps, a megabyte per picture: they are kept for this many outputs.
POOL = 128
# The outputs are drawn this often in sets as large as the real one, whose size would else decide how noisy the figure is.
DRAWS = 20

# A network is a study unless the judge knows the animal, people do not all come out as the same one, and the pictures as a set
# are near real ones: networks whose animals a person recognises have a KID of 3 or less, a spider of mere patterns has 10.
NAMED_RIGHT, DIVERSITY_RATIO, KID = 0.6, 0.5, 5.0

Report = Callable[[int, int], None]


class Measured(Protocol):
    """What was measured of the network of a ``card``."""

    @property
    def card(self) -> str: ...

    def measures(self) -> dict[str, Any]:
        """What goes into the card."""

    def study(self) -> str | None:
        """Why the network is weak, in words for the artist, or None."""


@dataclass(frozen=True)
class Figures:
    """What one network achieves on ``photos`` faces, beside ``pictures`` real animals.

    ``named_right`` is the share that the judge names right (argmax over its classes), ``animal_score`` score(Y), ``face_score``
    score(X); ``diversity`` the mean pairwise perceptual distance, in sets of equal size; ``kid`` the kernel distance to the real
    animals on the judge's last features, with its standard deviation over subsets.
    """

    card: str
    animal: str
    photos: int
    named_right: float
    animal_score: float
    face_score: float
    diversity: float
    kid: float
    kid_std: float
    pictures: int
    real_named_right: float
    real_animal_score: float
    real_face_score: float
    real_diversity: float

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready fields; ``diversity_ratio`` is diversity over the real animals'."""
        return {**asdict(self), "diversity_ratio": self.diversity / self.real_diversity}

    def study(self) -> str | None:
        """Why the network is weak, in words for the artist, or None."""
        reasons = []
        if self.named_right < NAMED_RIGHT:
            reasons.append(f"only {self.named_right:.0%} of its pictures read as this animal")
        if self.diversity < DIVERSITY_RATIO * self.real_diversity:
            share = self.diversity / self.real_diversity
            reasons.append(f"its animals differ from person to person only {share:.0%} as much as real ones do")
        if self.kid > KID:
            reasons.append("its pictures have the patterns of real ones but seldom their shape")
        return " and ".join(reasons) or None

    def measures(self) -> dict[str, Any]:
        """What goes into the card, rounded to what the number of pictures supports."""
        fields = self.to_dict()
        del fields["card"], fields["animal"]
        return {name: round(value, 4) if isinstance(value, float) else value for name, value in fields.items()}


@dataclass(frozen=True, eq=False)
class Judged:
    """``probabilities`` (N, K), ``embedding`` (N, D), ``maps`` per layer of the first few (n, C, H, W)."""

    probabilities: np.ndarray
    embedding: np.ndarray
    maps: list[np.ndarray]


def evaluate_character(
    engine: Engine, cards: Sequence[Card], data_dir: Path | None = None, report: Report = lambda done, total: None
) -> Iterator[Figures]:
    """Measures each card on all faces of part 9 of faces128, against the animals of part 9 of animals160.

    Args:
        engine: has the animal judge among its cards.
        cards: face-to-animal networks.
        data_dir: folder of the packs; None looks where training does.
        report: told how many pictures of how many are done.

    Raises:
        FileNotFoundError: a pack is not there.
        UnknownModel: there is no judge.
        ValueError: the judge does not know an animal, or part 9 has fewer than two pictures of it.
    """
    labels = engine.registry.card(ANIMAL_JUDGE).labels
    if unknown := [card.id for card in cards if card.domains[1] not in labels]:
        raise ValueError(f"The judge does not know the animal of {', '.join(unknown)}: train the judge on it, or leave it out.")
    for number, card in enumerate(cards):
        photos = _validation("faces128", card.resolution, data_dir, HEAD)
        animals = _validation("animals160", card.resolution, data_dir, animal=card.domains[1])
        if len(animals) < 2:
            raise ValueError(f"Part 9 of animals160 has too few pictures of {card.domains[1]!r} to measure {card.id}.")
        outputs = np.empty_like(photos)
        for start in range(0, len(photos), BATCH):
            outputs[start : start + BATCH] = translated(engine, card, photos[start : start + BATCH])
            report(number * len(photos) + min(start + BATCH, len(photos)), len(cards) * len(photos))
        yield _compare(engine, card, labels, outputs, animals)


def save_measures(registry: Registry, figures: Measured) -> None:
    """Puts the figures into the card in the registry's index file, and marks the network as a study or no longer as one.

    The file is read anew: measuring takes minutes, in which a training run may have added cards to it.

    Raises:
        ValueError: the card has other weights by now than those that were measured.
    """
    fresh = Registry(registry.index)
    card = fresh.card(figures.card)
    if card.sha256 != registry.card(figures.card).sha256:
        raise ValueError(f"{card.id} got new weights while it was measured: measure it again.")
    fresh.add(replace(card, measures={**card.measures, **figures.measures()}, study=figures.study()))
    fresh.save()


def _validation(pack: str, size: int, data_dir: Path | None, box: Box = WHOLE, animal: str | None = None) -> np.ndarray:
    """The pictures of part 9, uint8 (N, S, S, 3), in an order in which any first few are a fair sample."""

    def keep(row: dict[str, str]) -> bool:
        return part(row["file_name"]) in VALIDATION_PARTS and animal in (None, row.get("class"))

    images = read_pack(pack, size, data_dir, keep, box).images.permute(0, 2, 3, 1).numpy()
    return images[np.random.default_rng(0).permutation(len(images))]


def translated(engine: Engine, card: Card, photos: np.ndarray) -> np.ndarray:
    """``photos``, uint8 (B, R, R, 3), as the card's animal, as the artist would see them: at strength 1, in eight bits."""
    strength = np.ones((len(photos), 1), np.float32)
    output = engine.run(card.id, image=np.stack([to_float(photo) for photo in photos]), strength=strength)
    return np.stack([to_uint8(image) for image in output])


def _compare(engine: Engine, card: Card, labels: Sequence[str], outputs: np.ndarray, animals: np.ndarray) -> Figures:
    target = card.domains[1]
    made, real = judged(engine, outputs, POOL), judged(engine, animals, POOL)
    distance, spread = kid(made.embedding, real.embedding)
    return Figures(
        card=card.id,
        animal=target,
        photos=len(outputs),
        named_right=_named_right(made, labels, target),
        animal_score=float(class_score(made.probabilities, labels, target).mean()),
        face_score=face_score(outputs),
        diversity=_diversity(made.maps, len(animals)),
        kid=distance,
        kid_std=spread,
        pictures=len(animals),
        real_named_right=_named_right(real, labels, target),
        real_animal_score=float(class_score(real.probabilities, labels, target).mean()),
        real_face_score=face_score(animals),
        real_diversity=_diversity(real.maps, len(animals)),
    )


def judged(engine: Engine, images: np.ndarray, pool: int = 0) -> Judged:
    """What the animal judge makes of ``images``, uint8 (N, R, R, 3); of the first ``pool`` its full maps too."""
    logits, embedding, maps, kept = [], [], [], 0
    for start in range(0, len(images), BATCH):
        answer = ask_judge(engine, np.stack([to_float(image) for image in images[start : start + BATCH]]))
        layers = feature_maps(answer)
        logits.append(answer["logits"])
        embedding.append(layers[-1].mean(axis=(2, 3)))
        if kept < pool:
            maps.append([layer[: pool - kept] for layer in layers])
            kept += len(answer["logits"])
    joined = [np.concatenate(layer) for layer in zip(*maps, strict=True)]
    return Judged(softmax(np.concatenate(logits)), np.concatenate(embedding), joined)


def _named_right(of: Judged, labels: Sequence[str], target: str) -> float:
    return float((of.probabilities.argmax(axis=1) == list(labels).index(target)).mean())


def _diversity(maps: Sequence[np.ndarray], size: int) -> float:
    """Mean pairwise distance in sets of ``size`` pictures, averaged over several draws; of all of them if there are no more."""
    count = len(maps[0])
    if count <= size:
        return mean_pairwise(maps)
    draw = np.random.default_rng(0)
    drawn = [draw.choice(count, size, replace=False) for _ in range(DRAWS)]
    return float(np.mean([mean_pairwise([layer[rows] for layer in maps]) for rows in drawn]))
