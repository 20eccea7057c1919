"""What changed in a face that should not have: the judges' figures before and after, and plain words for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import cv2
import numpy as np

from studio.core.faces import FRAME_SIZE, FRAMES, Crop, align, over_photo, within
from studio.core.images import to_float
from studio.core.registry import Card, Registry
from studio.metrics.class_score import ANIMAL_JUDGE, ask_judge, softmax
from studio.metrics.identity import IDENTITY_JUDGE, embed_heads
from studio.metrics.lpips import distance, feature_maps
from studio.metrics.skin import mean_lab, typology_angle
from studio.pipelines.manifold import identity_words, is_same_person
from studio.pipelines.parts import SURE

if TYPE_CHECKING:
    from studio.core.engine import Engine

DEMOGRAPHICS_JUDGE = "judge-demographics"
ATTRIBUTES_JUDGE = "judge-attributes"
# Who tells makeup from none, the first that is here, and what its answer is called.
MAKEUP_JUDGES = {"judge-makeup": "makeup", ATTRIBUTES_JUDGE: "Heavy_Makeup"}
PARSER = "parsing-128"
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


def judge_face(engine: Engine, portrait: np.ndarray, skin: np.ndarray | None) -> Judged:
    """What the judges make of a face; see :func:`judge_faces`."""
    return judge_faces(engine, [portrait], skin)[0]


def judge_faces(engine: Engine, portraits: Sequence[np.ndarray], skin: np.ndarray | None) -> list[Judged]:
    """What the judges make of pictures of one face.

    Args:
        portraits: each uint8 (S, S, 3) in the portrait frame.
        skin: bool (S, S), where its skin is; None if nobody knows.
    """
    heads, nobody = [head_of(portrait) for portrait in portraits], [None] * len(portraits)
    here = {card.id for card in engine.registry.list_models()}
    makeup, male, age, embeddings, features = nobody, nobody, nobody, nobody, nobody
    if judge := makeup_judge(engine.registry):
        makeup = [row[MAKEUP_JUDGES[judge.id]] for row in _chances(engine, portraits, judge)]
    if DEMOGRAPHICS_JUDGE in here:
        card = engine.registry.card(DEMOGRAPHICS_JUDGE)
        logits = [dict(zip(card.labels, row, strict=True)) for row in _ask(engine, portraits, card)]
        male, age = [_sigmoid(row["male"]) for row in logits], [100 * float(row["age"]) for row in logits]
    if IDENTITY_JUDGE in here:
        embeddings = embed_heads(engine, heads)
    if ANIMAL_JUDGE in here:
        features = perceived(engine, heads)
    return [
        Judged(
            makeup=makeup[place],
            male=male[place],
            age=age[place],
            embedding=embeddings[place],
            features=features[place],
            skin=None if skin is None else mean_lab(portrait, skin),
        )
        for place, portrait in enumerate(portraits)
    ]


def perceived(engine: Engine, images: Sequence[np.ndarray]) -> list[list[np.ndarray]]:
    """What distances between pictures, each uint8 (H, W, 3) and of one size, are measured with: of each a list of maps
    (1, C, h, w)."""
    maps = feature_maps(ask_judge(engine, np.stack([to_float(image) for image in images])))
    return [[layer[place : place + 1] for layer in maps] for place in range(len(images))]


def read_attributes(engine: Engine, portraits: Sequence[np.ndarray]) -> list[dict[str, float]]:
    """The probability of each of CelebA's attributes in portraits, each uint8 (S, S, 3) in the portrait frame.

    Raises:
        UnknownModel: there is no such judge.
    """
    return _chances(engine, portraits, engine.registry.card(ATTRIBUTES_JUDGE))


def head_of(portrait: np.ndarray) -> np.ndarray:
    """The middle of a portrait (S, S, 3) in the portrait frame that is its head frame."""
    cut = round(HEAD * len(portrait))
    return portrait[cut : len(portrait) - cut, cut : len(portrait) - cut]


def parse(engine: Engine, face: np.ndarray, size: int) -> dict[str, np.ndarray]:
    """The classes of a face, uint8 (S, S, 3) in the face frame, by name: probabilities float32 (size, size)."""
    card = engine.registry.card(PARSER)
    (logits,) = engine.run(card.id, image=to_float(face)[None])["logits"]
    chances = softmax(logits.transpose(1, 2, 0)).astype(np.float32)
    if len(chances) != size:
        chances = cv2.resize(chances, (size, size), interpolation=cv2.INTER_LINEAR)
    return {label: chances[:, :, place] for place, label in enumerate(card.labels)}


def skin_of(classes: dict[str, np.ndarray], crop: Crop, portrait: Crop) -> np.ndarray:
    """Where the face's skin is in its portrait, bool (S, S)."""
    skin = np.pad((classes["skin"] + classes["nose"])[1:-1, 1:-1], 1)  # beyond the crop its border goes on
    return over_photo(skin, within(crop, portrait), (0, 0, *portrait.image.shape[1::-1])) > SURE


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
    """The figures in words. ``wanted`` names the readings that were asked to change; all others should stay."""
    found = [_makeup(measures), _gender_reading(measures), _identity(engine, measures), _age(measures), _skin(measures)]
    return tuple(replace(reading, kept=None) if reading.name in wanted else reading for reading in found if reading)


def _makeup(measures: Measures) -> Reading | None:
    before, after = measures.makeup_before, measures.makeup_after
    if before is None or after is None:
        return None
    same = (before >= SURE) == (after >= SURE)
    return Reading("makeup", f"reads as {'made up' if after >= SURE else 'bare'}" + (", as before" if same else " now"), same)


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


def _age(measures: Measures) -> Reading | None:
    if measures.age_before is None or measures.age_after is None:
        return None
    years = measures.age_after - measures.age_before
    same = abs(years) < YEARS
    words = "age reads as before" if same else f"reads about {abs(years):.0f} years {'older' if years > 0 else 'younger'}"
    return Reading("age", words, same)


def _skin(measures: Measures) -> Reading | None:
    if measures.skin_delta_e is None or measures.ita_shift is None:
        return None
    if measures.skin_delta_e < DELTA_E:
        return Reading("skin", "skin tone kept", True)
    lightness = "lighter" if measures.ita_shift > 0 else "darker"
    return Reading("skin", f"skin is {lightness}" if abs(measures.ita_shift) >= ITA else "skin has another tint", False)


def _gender(male: float | None) -> str | None:
    return None if male is None else "male" if male >= SURE else "female"


def _ask(engine: Engine, portraits: Sequence[np.ndarray], judge: Card) -> np.ndarray:
    """The judge's logits (N, K) for portraits, each (S, S, 3), which it sees in its own frame."""
    crops = []
    for portrait in portraits:
        eyes = np.array(FRAMES["portrait"]) * len(portrait) / FRAME_SIZE
        crops.append(to_float(align(portrait, eyes, judge.frame, judge.resolution).image))
    return ask_judge(engine, np.stack(crops), judge.id)["logits"].astype(np.float64)


def _chances(engine: Engine, portraits: Sequence[np.ndarray], judge: Card) -> list[dict[str, float]]:
    """The judge's probabilities for each portrait, by label."""
    return [{label: _sigmoid(x) for label, x in zip(judge.labels, row, strict=True)} for row in _ask(engine, portraits, judge)]


def _sigmoid(logit: float) -> float:
    return float(1 / (1 + np.exp(-logit)))
