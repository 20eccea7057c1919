"""What judges say of a translated picture: whether it shows what was asked for, and what else changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from studio.core.faces import Crop, align
from studio.core.images import Photo
from studio.metrics.attributes import counts
from studio.metrics.class_score import ANIMAL_JUDGE
from studio.metrics.identity import IDENTITY_JUDGE
from studio.metrics.lpips import distance
from studio.pipelines.domains_labels import Target, label_words
from studio.pipelines.judgement import (
    DEMOGRAPHICS_JUDGE,
    PARSER,
    Judged,
    Measures,
    Reading,
    compare,
    judge_faces,
    makeup_judge,
    parse,
    perceived,
    read_attributes,
    readings,
    skin_of,
)
from studio.pipelines.photos import Eyes

if TYPE_CHECKING:
    from studio.core.engine import Engine

LOCKS = ("identity", "gender", "age", "skin", "makeup")  # names of readings (judgement.py)
# The reading that an attribute is there to change.
CHANGES = {"Male": "gender", "Young": "age", "Pale_Skin": "skin"}
NEARER = 0.15  # gain of probability from which on an attribute that is not there yet has come nearer
FAINT = 0.02  # LPIPS below which the eye sees next to nothing


@dataclass(frozen=True, eq=False)
class Seen:
    """What judges see in a photo: of a face ``judged`` and the probability of each of its ``attributes``, of a whole picture only
    the ``features`` that distances are measured with, maps (1, C, h, w). What none knows is None."""

    judged: Judged | None
    attributes: dict[str, float] | None
    features: list[np.ndarray] | None


@dataclass(frozen=True)
class Asked:
    """One thing that was asked for: shall the ``label`` be there (``on``), and its probability ``before`` and ``after``."""

    label: str
    on: bool
    before: float
    after: float

    @property
    def reached(self) -> bool:
        return counts(self.label, self.after) == self.on

    @property
    def words(self) -> str:
        name, was = label_words(self.label, self.on), counts(self.label, self.before) == self.on
        if self.reached:
            return f"reads as {name}" + (", as before" if was else " now")
        gain = (self.after - self.before) * (1 if self.on else -1)
        return f"nearer to {name}, not there yet" if gain >= NEARER else f"does not read as {name}"


@dataclass(frozen=True)
class Verdict:
    """What became of a picture.

    ``asked`` says of each attribute whether it is there (none of whole pictures, which nobody judges), ``measures`` are a face's
    figures before and after, None of a whole picture, ``lpips`` is how far it looks from the photo, ``attention`` the mean of the
    network's. ``readings`` are the figures in words; ``broken`` names the locks that did not hold.
    """

    asked: tuple[Asked, ...]
    measures: Measures | None
    lpips: float | None
    readings: tuple[Reading, ...]
    broken: tuple[str, ...]
    attention: float | None = None

    @property
    def id_distance(self) -> float | None:
        """1 - cosine of the identity judge."""
        return self.measures and self.measures.id_distance

    @property
    def words(self) -> tuple[str, ...]:
        """All in plain words, what was asked for first."""
        return (*(asked.words for asked in self.asked), *(reading.words for reading in self.readings))

    @property
    def warnings(self) -> tuple[str, ...]:
        """What changed that was locked."""
        return tuple(reading.words for reading in self.readings if reading.name in self.broken)


def look_at(engine: Engine, photo: Photo, eyes: Eyes | None, shown: Crop) -> tuple[Seen, np.ndarray | None]:
    """What judges see in a photo, and where the skin of its face is, bool (S, S).

    Args:
        eyes: of the face that is meant; None for a whole picture.
        shown: the part of the photo that results show; of a face it is the portrait.
    """
    if eyes is None:
        return Seen(None, None, _features(engine, [shown.image])[0]), None
    skin = None
    if engine.registry.list_models(PARSER):
        face = align(photo.rgb, np.asarray(eyes), "face", engine.registry.card(PARSER).resolution)
        skin = skin_of(parse(engine, face.image, len(face.image)), face, shown)
    (judged,), (attributes,) = judge_faces(engine, [shown.image], skin), read_attributes(engine, [shown.image])
    return Seen(judged, attributes, None), skin


def verdict_of(
    engine: Engine,
    before: Seen,
    pictures: Sequence[np.ndarray],
    skin: np.ndarray | None,
    targets: Sequence[Target],
    locks: Sequence[str],
) -> list[Verdict]:
    """What became of a photo in each of the ``pictures``, uint8 (h, w, 3), which are as ``look_at`` had it."""
    if before.judged is None:
        return [_of_picture(before.features, features) for features in _features(engine, pictures)]
    attributes = read_attributes(engine, pictures)
    verdicts = []
    for place, judged in enumerate(judge_faces(engine, pictures, skin)):
        wanted = [CHANGES[label] for label, _ in targets[place] if label in CHANGES and CHANGES[label] not in locks]
        measures = compare(before.judged, judged)
        found = readings(engine, measures, wanted)
        verdicts.append(
            Verdict(
                asked=tuple(Asked(label, on, before.attributes[label], attributes[place][label]) for label, on in targets[place]),
                measures=measures,
                lpips=measures.lpips,
                readings=found,
                broken=tuple(reading.name for reading in found if reading.name in locks and reading.kept is False),
            )
        )
    return verdicts


def unwatched(engine: Engine, locks: Sequence[str]) -> list[str]:
    """The locks that no judge here can watch."""
    here = {card.id for card in engine.registry.list_models()}
    watched = {
        "identity": IDENTITY_JUDGE in here,
        "gender": DEMOGRAPHICS_JUDGE in here,
        "age": DEMOGRAPHICS_JUDGE in here,
        "skin": PARSER in here,
        "makeup": makeup_judge(engine.registry) is not None,
    }
    return [name for name in locks if not watched[name]]


def _of_picture(before: list[np.ndarray] | None, after: list[np.ndarray] | None) -> Verdict:
    if before is None or after is None:
        return Verdict((), None, None, (), ())
    far = float(distance(before, after)[0])
    words = "hardly differs from the photo" if far < FAINT else f"differs from the photo by {far:.2f}"
    return Verdict((), None, far, (Reading("change", words, None),), ())


def _features(engine: Engine, images: Sequence[np.ndarray]) -> list[list[np.ndarray] | None]:
    return perceived(engine, images) if engine.registry.list_models(ANIMAL_JUDGE) else [None] * len(images)
