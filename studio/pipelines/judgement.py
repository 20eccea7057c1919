"""What changed in a face that should not have: the judges' figures before and after, and plain words for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from studio.core.faces import FRAME_SIZE, FRAMES, align
from studio.core.images import to_float
from studio.core.registry import Card, Registry
from studio.metrics.class_score import ANIMAL_JUDGE, ask_judge
from studio.metrics.identity import IDENTITY_JUDGE, embed_heads
from studio.metrics.lpips import distance, feature_maps
from studio.metrics.skin import mean_lab, typology_angle
from studio.pipelines.manifold import identity_words, is_same_person
from studio.pipelines.parts import SURE

if TYPE_CHECKING:
    from studio.core.engine import Engine

DEMOGRAPHICS_JUDGE = "judge-demographics"
# Who tells makeup from none, the first that is here, and what its answer is called.
MAKEUP_JUDGES = {"judge-makeup": "makeup", "judge-attributes": "Heavy_Makeup"}
HEAD = 0.12  # of a portrait's side lies beyond the head frame on each side (core/faces.py)

# From where on a change is told; each a little beyond what a photo's own noise, or another light, does to the judge.
LESS_SURE = 0.15  # drop of the probability of the gender that was perceived
YEARS = 5.0
DELTA_E = 4.0  # CIE 1976; people tell colours apart from about 2.3 on (Mahy et al. 1994)
ITA = 5.0  # degrees of the individual typology angle (Chardon et al. 1991)


@dataclass(frozen=True, eq=False)
class Judged:
    """A face as the judges see it; what none of them knows is None.

    ``makeup`` and ``male`` are probabilities, ``age`` years, ``embedding`` (E,) of unit length, ``features`` maps (1, C, h, w) of
    the judge that distances are measured with, ``skin`` the mean CIELAB colour (3,) of the skin.
    """

    makeup: float | None
    male: float | None
    age: float | None
    embedding: np.ndarray | None
    features: list[np.ndarray] | None
    skin: np.ndarray | None


@dataclass(frozen=True)
class Measures:
    """A face before and after a change; a figure is None without its judge.

    ``makeup`` and ``male`` are probabilities, ``age`` years. ``confidence_drop`` is how much less probable the gender is that was
    perceived before, ``id_distance`` 1 - cosine of the identity judge, ``skin_delta_e`` the CIELAB distance (CIE 1976) of the
    skin's mean colours, ``ita_shift`` in degrees (positive: lighter), ``lpips`` as in :mod:`studio.metrics.lpips`.
    """

    makeup_before: float | None
    makeup_after: float | None
    male_before: float | None
    male_after: float | None
    confidence_drop: float | None
    id_distance: float | None
    age_before: float | None
    age_after: float | None
    skin_delta_e: float | None
    ita_shift: float | None
    lpips: float | None

    @property
    def gender_before(self) -> str | None:
        """What the face was perceived as, "female" or "male"."""
        return _gender(self.male_before)

    @property
    def gender_after(self) -> str | None:
        return _gender(self.male_after)


@dataclass(frozen=True)
class Reading:
    """One thing that a change did, in ``words``; ``name`` is "makeup", "gender", "identity", "age" or "skin".

    ``kept`` is True where it stayed although it could have changed, False where it changed although it should not have, and None
    where it is what was asked for.
    """

    name: str
    words: str
    kept: bool | None


def makeup_judge(registry: Registry) -> Card | None:
    """Who tells makeup from none, if anybody does."""
    return next((card for name in MAKEUP_JUDGES for card in registry.list_models(name)), None)


def judge_face(engine: Engine, portrait: np.ndarray, skin: np.ndarray) -> Judged:
    """What the judges make of a face.

    Args:
        portrait: uint8 (S, S, 3) in the portrait frame.
        skin: bool (S, S), where its skin is.
    """
    cut = round(HEAD * len(portrait))
    head = portrait[cut : len(portrait) - cut, cut : len(portrait) - cut]
    here = {card.id for card in engine.registry.list_models()}
    makeup = _probability(engine, portrait, judge, MAKEUP_JUDGES[judge.id]) if (judge := makeup_judge(engine.registry)) else None
    male = age = None
    if DEMOGRAPHICS_JUDGE in here:
        card = engine.registry.card(DEMOGRAPHICS_JUDGE)
        logits = dict(zip(card.labels, _ask(engine, portrait, card), strict=True))
        male, age = _sigmoid(logits["male"]), 100 * float(logits["age"])
    return Judged(
        makeup=makeup,
        male=male,
        age=age,
        embedding=embed_heads(engine, [head])[0] if IDENTITY_JUDGE in here else None,
        features=feature_maps(ask_judge(engine, to_float(head)[None])) if ANIMAL_JUDGE in here else None,
        skin=mean_lab(portrait, skin),
    )


def compare(before: Judged, after: Judged) -> Measures:
    """Two views of one face, as figures."""
    drop = identity = delta = shift = lpips = None
    if before.male is not None and after.male is not None:
        drop = (before.male - after.male) * (1 if before.male >= SURE else -1)
    if before.embedding is not None and after.embedding is not None:
        identity = 1 - float(before.embedding @ after.embedding)
    if before.skin is not None and after.skin is not None:
        delta = float(np.linalg.norm(after.skin - before.skin))
        shift = typology_angle(after.skin) - typology_angle(before.skin)
    if before.features is not None and after.features is not None:
        lpips = float(distance(before.features, after.features)[0])
    return Measures(
        makeup_before=before.makeup,
        makeup_after=after.makeup,
        male_before=before.male,
        male_after=after.male,
        confidence_drop=drop,
        id_distance=identity,
        age_before=before.age,
        age_after=after.age,
        skin_delta_e=delta,
        ita_shift=shift,
        lpips=lpips,
    )


def readings(engine: Engine, measures: Measures, wanted: Sequence[str]) -> tuple[Reading, ...]:
    """The figures in words. ``wanted`` names the readings that were asked to change ("makeup", "age"); all others should stay."""
    found = [
        _makeup(measures, "makeup" in wanted),
        _gender_reading(measures),
        _identity(engine, measures),
        _age(measures, "age" in wanted),
        _skin(measures),
    ]
    return tuple(reading for reading in found if reading)


def _makeup(measures: Measures, wanted: bool) -> Reading | None:
    before, after = measures.makeup_before, measures.makeup_after
    if before is None or after is None:
        return None
    same = (before >= SURE) == (after >= SURE)
    words = f"reads as {'made up' if after >= SURE else 'bare'}" + (", as before" if same else " now")
    return Reading("makeup", words, None if wanted else same)


def _gender_reading(measures: Measures) -> Reading | None:
    drop = measures.confidence_drop
    if drop is None:
        return None
    kept = measures.gender_before == measures.gender_after
    if not kept:
        return Reading("gender", f"perceived gender flipped: reads as {measures.gender_after} now", False)
    return Reading("gender", "perceived gender kept" + (", less surely" if drop >= LESS_SURE else ""), drop < LESS_SURE)


def _identity(engine: Engine, measures: Measures) -> Reading | None:
    if measures.id_distance is None:
        return None
    cosine = 1 - measures.id_distance
    return Reading("identity", identity_words(engine, cosine), is_same_person(engine, cosine))


def _age(measures: Measures, wanted: bool) -> Reading | None:
    if measures.age_before is None or measures.age_after is None:
        return None
    years = measures.age_after - measures.age_before
    same = abs(years) < YEARS
    words = "age reads as before" if same else f"reads about {abs(years):.0f} years {'older' if years > 0 else 'younger'}"
    return Reading("age", words, None if wanted else same)


def _skin(measures: Measures) -> Reading | None:
    if measures.skin_delta_e is None or measures.ita_shift is None:
        return None
    if measures.skin_delta_e < DELTA_E:
        return Reading("skin", "skin tone kept", True)
    lightness = "lighter" if measures.ita_shift > 0 else "darker"
    return Reading("skin", f"skin is {lightness}" if abs(measures.ita_shift) >= ITA else "skin has another tint", False)


def _gender(male: float | None) -> str | None:
    return None if male is None else "male" if male >= SURE else "female"


def _ask(engine: Engine, portrait: np.ndarray, judge: Card) -> np.ndarray:
    """The judge's logits (K,) for a portrait (S, S, 3), which it sees in its own frame."""
    eyes = np.array(FRAMES["portrait"]) * len(portrait) / FRAME_SIZE
    crop = align(portrait, eyes, judge.frame, judge.resolution).image
    return ask_judge(engine, to_float(crop)[None], judge.id)["logits"][0].astype(np.float64)


def _probability(engine: Engine, portrait: np.ndarray, judge: Card, label: str) -> float:
    return _sigmoid(_ask(engine, portrait, judge)[judge.labels.index(label)])


def _sigmoid(logit: float) -> float:
    return float(1 / (1 + np.exp(-logit)))
