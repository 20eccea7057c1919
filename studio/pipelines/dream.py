"""The Character tab's dreams: faces that never were, pushed towards an animal (IAN, Hamdi and Ghanem; section 3, figure 3).

The first stage draws a latent and makes a face of it, with a plain GAN or with a K-GAN that imagines the animal; the second
stage, a CycleGAN, translates that face into the animal. ``strength`` 0 leaves the second stage out.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from studio.core.images import resize, to_float, to_uint8
from studio.core.recipe import Recipe
from studio.core.registry import Card, Registry
from studio.metrics.face_score import has_face
from studio.models.dcgan import LATENT
from studio.pipelines.parts import (
    MAX_STRENGTH,
    AnimalReading,
    Progress,
    animal_judge,
    animal_label,
    choose_animals,
    draw_sheet,
    face_words,
    finest,
    in_papers_order,
    is_number,
    is_whole,
    read_animals,
    registry_of,
    translate_heads,
    with_article,
)

if TYPE_CHECKING:
    from studio.core.engine import Engine

GENERATORS = ("dcgan", "k-dcgan", "began", "k-began", "flagship")
_LABELS = {"dcgan": "DCGAN", "k-dcgan": "K-DCGAN", "began": "BEGAN", "k-began": "K-BEGAN", "flagship": "StyleGAN"}
_FAMILIES = {"dcgan": "dcgan", "k-dcgan": "dcgan", "began": "began", "k-began": "began", "flagship": "stylegan"}
MIN_TRUNCATION = 0.3  # below it all faces are the same one
# How far "more like this" goes: the angle in radians between normal latents, the largest step of a uniform latent's numbers.
STEPS = {"a little": 0.15, "some": 0.3, "a lot": 0.6}
MAX_COUNT = 256
MAX_GENERATIONS = 50  # of "more like this": their steps have to fit into a recipe and its link
# Pictures per run of a network: small enough for the first candidates to come at once.
BATCH = 4
# Originality, in distances of a new photograph: from NEW on a picture is as new as one, below COPY it is hardly new at all.
NEW, COPY = 0.8, 0.4

ABOUT_ORIGINALITY = (
    "The figures say how far a picture is from all that was learnt from: 1 is as far as a new photograph, 0 a copy. "
    "The picture it is nearest to is not shown."
)

Step = tuple[int, int, float]  # the seed and the number of the candidate that was picked, and how far to go from it


@dataclass(frozen=True)
class GeneratorInfo:
    """A generator of the first stage.

    ``label`` is its name for people, ``cards`` its networks: one, or for a K-GAN one per animal, in the order of ``animals``
    (empty for the others). ``study`` is None or why it is weak; of a K-GAN, why all its networks are.
    """

    name: str
    label: str
    cards: tuple[Card, ...]
    animals: tuple[str, ...]
    study: str | None


@dataclass(frozen=True)
class DreamRequest:
    """Faces to dream up.

    Args:
        generator: one of ``GENERATORS``; which of them there are says :func:`list_generators`.
        animal: what a K-GAN imagines and the second stage makes of the face; None for human faces.
        count: 1 to ``MAX_COUNT`` candidates.
        seed: candidate i of a seed is the same face whatever the count.
        truncation: 0.3 (all near the average face) to 1 (anything goes); the flagship's only.
        imagination: 0 the plain GAN, 1 its K-GAN; K-GANs only.
        strength: of the second stage: 0 the sample itself, 1 the animal, up to 1.3 its caricature.
        ancestry: the picks of "more like this" that led here, oldest first; see :func:`more_like`.

    Raises:
        ValueError: one sentence that says what to change.
    """

    generator: str = "flagship"
    animal: str | None = None
    count: int = 16
    seed: int = 0
    truncation: float = 0.7
    imagination: float = 1.0
    strength: float = 0.0
    ancestry: tuple[Step, ...] = ()

    def __post_init__(self) -> None:
        if self.generator not in GENERATORS:
            raise ValueError(f"There is no generator {self.generator!r}; there is {', '.join(GENERATORS)}.")
        if self.animal is not None and not isinstance(self.animal, str):
            raise ValueError("Name the animal by its name.")
        if not is_whole(self.count, MAX_COUNT + 1) or self.count == 0:
            raise ValueError(f"Dream of 1 to {MAX_COUNT} candidates at once.")
        if not is_whole(self.seed, 2**63):
            raise ValueError("Set the seed to a whole number from 0 on.")
        if not is_number(self.truncation) or not MIN_TRUNCATION <= self.truncation <= 1:
            raise ValueError(f"Set the truncation between {MIN_TRUNCATION} (near the average face) and 1 (anything goes).")
        if not is_number(self.imagination) or not 0 <= self.imagination <= 1:
            raise ValueError("Set the imagination between 0 (the plain GAN) and 1 (its K-GAN).")
        if not is_number(self.strength) or not 0 <= self.strength <= MAX_STRENGTH:
            raise ValueError(f"Set the strength between 0 (the sample itself) and {MAX_STRENGTH} (a caricature).")
        if self.strength and self.animal is None:
            raise ValueError("Choose an animal to translate the faces into, or set the strength to 0.")
        if not isinstance(self.ancestry, tuple) or not all(map(_is_step, self.ancestry)):
            raise ValueError("The picks that led to these faces are damaged: start again from a seed.")
        if len(self.ancestry) + (self.count > 1) > MAX_GENERATIONS:  # each candidate's own recipe has one more
            raise ValueError(f"These faces are more than {MAX_GENERATIONS} picks away from the first: start again from a seed.")


@dataclass(frozen=True, eq=False)
class Candidate:
    """One face that never was.

    ``image`` uint8 (R, R, 3) is the result, ``face`` uint8 (S, S, 3) the first stage's sample (the same without a second one),
    ``latent`` float32 (L,) what it was made from. ``face_score`` is 1 if Viola-Jones finds a face, else 0; ``animal_score`` the
    judge's probability of the animal (None without an animal, or if no judge knows it); ``originality`` the distance to the
    nearest picture that was learnt from, 1 for that of a new photograph (None if nothing measures it). ``verdicts`` say all of
    it in words; ``study`` is None or the reason why its networks are weak. ``recipe`` makes this candidate alone.
    """

    index: int
    image: np.ndarray
    face: np.ndarray
    latent: np.ndarray
    face_score: float
    animal_score: float | None
    originality: float | None
    verdicts: tuple[str, ...]
    seconds: float
    recipe: Recipe
    study: str | None


@dataclass(frozen=True, eq=False)
class DreamResult:
    """All candidates in their order, and ``sheet``, uint8 (H, W, 3): all of them in a square."""

    candidates: tuple[Candidate, ...]
    sheet: np.ndarray
    recipe: Recipe


@dataclass(frozen=True, eq=False)
class StageCell:
    """One picture of figure 3: candidate ``index`` at a ``stage``, one of ``STAGES``; measures as in :class:`Candidate`."""

    index: int
    stage: str
    image: np.ndarray
    face_score: float
    animal_score: float | None
    originality: float | None


@dataclass(frozen=True, eq=False)
class StageResult:
    """All cells, latent by latent, and ``sheet``, uint8 (H, W, 3): a row per latent, a column per stage."""

    cells: tuple[StageCell, ...]
    sheet: np.ndarray
    recipe: Recipe


# What IAN's figure 3 compares, with the words above the columns of the sheet.
STAGES = {
    "sample": "sample",
    "k-sample": "K-GAN",
    "cascade": "sample + CycleGAN",
    "k-cascade": "K-GAN + CycleGAN",
}


def list_generators(source: Engine | Registry) -> tuple[GeneratorInfo, ...]:
    """The generators that ``source`` (an engine or its registry) has networks for, in the order of ``GENERATORS``."""
    return tuple(info for name in GENERATORS if (info := _generator(registry_of(source), name)).cards)


def nearest_first(generators: Sequence[GeneratorInfo]) -> tuple[GeneratorInfo, ...]:
    """Those whose faces are nearest to photographs first, by the kernel distance on their cards; K-GANs, which are meant to leave
    the faces, after all others, in the order of the GANs that they came from."""
    plain = {_FAMILIES[info.name]: info.cards[0] for info in generators if not info.animals}
    distances = {family: card.measures.get("kid_imagenet", math.inf) for family, card in plain.items()}
    return tuple(sorted(generators, key=lambda info: (bool(info.animals), distances.get(_FAMILIES[info.name], math.inf))))


def dream(engine: Engine, request: DreamRequest) -> Iterator[Progress | Candidate | DreamResult]:
    """Draws faces and, with a ``strength``, translates them (IAN, section 3.2): yields candidates as they come, the result last.

    The same request with the same checkpoints gives the same pixels on a CPU.

    Raises:
        ValueError: at once, if there is no such generator or animal; the message lists those there are.
        CheckpointError: before the first candidate, if weights are missing or damaged.
    """
    return _dream(engine, request, _networks(engine.registry, request))


def more_like(request: DreamRequest, candidate: Candidate, step: str = "some") -> DreamRequest:
    """The request for faces near a candidate of ``request``; the first of them is the candidate itself.

    Another ``seed`` in what is returned gives other faces near the same one.

    Args:
        step: one of ``STEPS``.

    Raises:
        ValueError: there is no such step, or the picks do not fit into a recipe any more.
    """
    if step not in STEPS:
        raise ValueError(f"There is no step {step!r}; there is {', '.join(STEPS)}.")
    return replace(request, ancestry=(*request.ancestry, (request.seed, candidate.index, STEPS[step])))


def stage_by_stage(engine: Engine, request: DreamRequest) -> Iterator[Progress | StageResult]:
    """IAN's figure 3: per latent a sample of the plain GAN and of its K-GAN, and what the second stage makes of both.

    The request's imagination and strength are kept (a strength of 0 counts as 1). The flagship has no K-GAN and two stages only.
    Each picture's originality stands under it; the training picture that is nearest is never shown.

    Raises:
        ValueError, CheckpointError: as :func:`dream`; also without an animal.
    """
    if request.animal is None:
        raise ValueError("Choose an animal: the stages lead from a face to it.")
    if request.generator in ("dcgan", "began"):
        request = replace(request, generator=f"k-{request.generator}")
    request = replace(request, strength=request.strength or 1.0)
    return _stages(engine, request, _networks(engine.registry, request))


def request_from_recipe(recipe: Recipe) -> DreamRequest:
    """The request that made a result; its verb is "dream", or "stages" for :func:`stage_by_stage`.

    Raises:
        ValueError: the recipe is not of these verbs, or damaged.
    """
    if recipe.tab != "character" or recipe.verb not in ("dream", "stages"):
        raise ValueError(f"This picture was no dream but made on the tab {recipe.tab}: use it there.")
    known = {field.name for field in fields(DreamRequest)} - {"seed", "ancestry"}
    settings = {name: value for name, value in recipe.parameters.items() if name in known}
    ancestry = recipe.parameters.get("ancestry", [])
    if not isinstance(ancestry, list):
        raise ValueError("The picks that led to these faces are damaged: start again from a seed.")
    picks = tuple(tuple(step) if isinstance(step, list) else step for step in ancestry)
    return DreamRequest(**settings, seed=recipe.seed, ancestry=picks)


# --- which networks -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Networks:
    """The networks of a request: ``first`` makes the faces, ``second`` translates them."""

    first: Card
    second: Card | None

    def cards(self) -> list[Card]:
        return [card for card in (self.first, self.second) if card]

    @property
    def study(self) -> str | None:
        """Why they are weak, each reason once."""
        return "; ".join(dict.fromkeys(card.study for card in self.cards() if card.study)) or None


def _generator(registry: Registry, name: str) -> GeneratorInfo:
    """What there is of a generator; no cards if there is none."""
    adapted = name.startswith("k-")
    cards = [card for card in registry.list_models(task="sample") if card.family == _FAMILIES[name]]
    found = finest(card for card in cards if (card.base is not None) == adapted and card.domains[:1] == ("face",))
    animals = in_papers_order([domains[1] for domains in found if len(domains) == 2]) if adapted else []
    chosen = [found["face", animal] for animal in animals] if adapted else [found[d] for d in found if d == ("face",)]
    studies = [card.study for card in chosen]
    return GeneratorInfo(name, _LABELS[name], tuple(chosen), tuple(animals), studies[0] if studies and all(studies) else None)


def _networks(registry: Registry, request: DreamRequest) -> _Networks:
    """Raises ``ValueError``, listing what there is, if a network of the request does not exist."""
    info = _generator(registry, request.generator)
    if not info.cards:
        there = ", ".join(info.name for info in list_generators(registry))
        if not there:
            raise ValueError("This studio has no generators yet: update it, or pull their models.")
        raise ValueError(f"There is no {request.generator} yet; there is {there}.")
    return _Networks(_first(info, request.animal), _second(registry, request))


def _first(info: GeneratorInfo, animal: str | None) -> Card:
    if not info.animals:
        return info.cards[0]
    there = ", ".join(info.animals)
    if animal is None:
        raise ValueError(f"Choose the animal that {info.name} imagines; there is {there}.")
    if animal not in info.animals:
        raise ValueError(f"There is no {info.name} for {animal!r} yet; there is {there}.")
    return info.cards[info.animals.index(animal)]


def _second(registry: Registry, request: DreamRequest) -> Card | None:
    """The CycleGAN of the request's animal; None where the strength leaves it out."""
    if request.animal is None or (not request.strength and request.generator.startswith("k-")):
        return None  # a K-GAN may know an animal that no CycleGAN does
    (info,) = choose_animals(registry, (request.animal,))
    return info.card if request.strength else None


def _bank(source: Engine | Registry) -> Card | None:
    """The network that measures originality, if there is one."""
    return max(registry_of(source).list_models(task="originality"), key=lambda card: card.resolution, default=None)


def _fetch(engine: Engine, cards: Sequence[Card], animal: str | None) -> None:
    """Makes sure that all networks are here before the first picture, those that measure it too."""
    judges = _bank(engine), animal_judge(engine, animal) if animal else None
    for card in engine.registry.with_bases([*cards, *filter(None, judges)]):
        engine.fetch(card.id)


# --- latents ------------------------------------------------------------------------------------------------------------------


def _latents(request: DreamRequest, card: Card) -> np.ndarray:
    """What the candidates are made from, float32 (count, L): each depends on the seed, the picks and its index alone."""
    latents = [_latent(card, request.seed, index, request.ancestry) for index in range(request.count)]
    return np.stack(latents).astype(np.float32)


def _latent(card: Card, seed: int, index: int, ancestry: Sequence[Step]) -> np.ndarray:
    """One latent, float64 (L,): drawn, or near the last pick, which is the first of those near it."""
    draw = np.random.default_rng((seed, len(ancestry), index))
    is_normal = card.family == "stylegan"
    drawn = draw.standard_normal(card.config["latent"]) if is_normal else draw.uniform(-1, 1, LATENT)
    if not ancestry:
        return drawn
    *earlier, (seed, picked, step) = ancestry
    start = _latent(card, seed, picked, earlier)
    if index == 0:
        return start
    return _turn(start, drawn, step) if is_normal else _reflect(start + step * drawn)


def _turn(start: np.ndarray, towards: np.ndarray, angle: float) -> np.ndarray:
    """``start`` turned by ``angle`` radians on its sphere, where a normal latent's like are."""
    aside = towards - start * (towards * start).sum() / np.square(start).sum()
    aside *= np.sqrt(np.square(start).sum() / np.square(aside).sum())
    return math.cos(angle) * start + math.sin(angle) * aside


def _reflect(latent: np.ndarray) -> np.ndarray:
    """What left [-1, 1] by a small step comes back from the border: clipping would gather latents in the corners."""
    return np.where(np.abs(latent) > 1, 2 * np.sign(latent) - latent, latent)


# --- pictures -----------------------------------------------------------------------------------------------------------------


def _dream(engine: Engine, request: DreamRequest, networks: _Networks) -> Iterator[Progress | Candidate | DreamResult]:
    yield Progress(0, request.count, "Waking the networks")
    _fetch(engine, networks.cards(), request.animal)
    latents = _latents(request, networks.first)
    candidates: list[Candidate] = []
    of_whom = "people" if request.animal is None else with_article(animal_label(request.animal))
    for start in range(0, request.count, BATCH):
        yield Progress(start, request.count, f"Dreaming of {of_whom}")
        for candidate in _candidates(engine, request, networks, latents, range(start, min(start + BATCH, request.count))):
            candidates.append(candidate)
            yield candidate
    columns = math.ceil(math.sqrt(request.count))
    images = [candidate.image for candidate in candidates]
    sheet = draw_sheet([images[start : start + columns] for start in range(0, len(images), columns)])
    yield DreamResult(tuple(candidates), sheet, _recipe("dream", request, engine.registry.with_bases(networks.cards())))


def _candidates(
    engine: Engine, request: DreamRequest, networks: _Networks, latents: np.ndarray, indices: range
) -> list[Candidate]:
    began = time.perf_counter()
    faces = _sample(engine, networks.first, request, latents[indices.start : indices.stop])
    images = _cascade(engine, networks.second, faces, request.strength)
    measures = _measure(engine, images, request.animal)
    seconds = (time.perf_counter() - began) / len(indices)
    cards = engine.registry.with_bases(networks.cards())
    return [
        Candidate(
            index=index,
            image=images[place],
            face=faces[place],
            latent=latents[index],
            face_score=measures[place].face_score,
            animal_score=measures[place].animal_score,
            originality=measures[place].originality,
            verdicts=_verdicts(request, measures[place]),
            seconds=seconds,
            recipe=_recipe("dream", _alone(request, index), cards),
            study=networks.study,
        )
        for place, index in enumerate(indices)
    ]


def _sample(engine: Engine, card: Card, request: DreamRequest, latents: np.ndarray) -> list[np.ndarray]:
    """The first stage: a face for each latent, uint8 (R, R, 3)."""
    settings = {}
    if card.family == "stylegan":
        settings["truncation"] = request.truncation
    if card.base is not None:
        settings["imagination"] = request.imagination
    amounts = {name: np.full((len(latents), 1), value, np.float32) for name, value in settings.items()}
    output = engine.run(card.id, latent=latents, **amounts)
    return [to_uint8(image) for image in (output["image"] if isinstance(output, dict) else output)]


def _cascade(engine: Engine, card: Card | None, faces: list[np.ndarray], strength: float) -> list[np.ndarray]:
    """The second stage: the faces as the animal, uint8 (R, R, 3); as they are without a card."""
    if card is None:
        return faces
    return translate_heads(engine, card, [resize(face, card.resolution) for face in faces], strength)


@dataclass(frozen=True)
class _Measures:
    face_score: float
    reading: AnimalReading | None
    originality: float | None

    @property
    def animal_score(self) -> float | None:
        return self.reading and self.reading.score


def _measure(engine: Engine, images: Sequence[np.ndarray], animal: str | None) -> list[_Measures]:
    readings = read_animals(engine, images, animal) if animal else [None] * len(images)
    news = _originality(engine, images)
    return [_Measures(float(has_face(image)), *said) for image, *said in zip(images, readings, news, strict=True)]


def _originality(engine: Engine, images: Sequence[np.ndarray]) -> list[float | None]:
    bank = _bank(engine)
    if bank is None:
        return [None] * len(images)
    distances = engine.run(bank.id, image=np.stack([to_float(resize(image, bank.resolution)) for image in images]))
    return [float(distance) for distance in distances[:, 0]]


def _verdicts(request: DreamRequest, measures: _Measures) -> tuple[str, ...]:
    """The measures in words; the animal's only where the picture is meant to be one."""
    found = bool(measures.face_score)
    imagined = request.generator.startswith("k-") and request.imagination > 0
    if request.strength or imagined:
        words = [face_words(found), measures.reading and measures.reading.words]
    else:
        words = ["a face is found" if found else "no face is found"]
    return tuple(filter(None, [*words, _originality_words(measures.originality)]))


def _originality_words(originality: float | None) -> str | None:
    if originality is None:
        return None
    if originality >= NEW:
        return "as new as a new photograph"
    return "near a picture it learnt from" if originality >= COPY else "almost a picture it learnt from"


# --- figure 3 -----------------------------------------------------------------------------------------------------------------


def _stages(engine: Engine, request: DreamRequest, networks: _Networks) -> Iterator[Progress | StageResult]:
    yield Progress(0, request.count, "Waking the networks")
    _fetch(engine, networks.cards(), request.animal)
    latents = _latents(request, networks.first)
    rows: list[list[StageCell]] = []
    for start in range(0, request.count, BATCH):
        yield Progress(start, request.count, f"Becoming {with_article(animal_label(request.animal))} stage by stage")
        columns = _stage_columns(engine, request, networks, latents[start : start + BATCH], start)
        rows += map(list, zip(*columns, strict=True))
    cards = engine.registry.with_bases(networks.cards())
    yield StageResult(tuple(cell for row in rows for cell in row), _draw_stages(rows), _recipe("stages", request, cards))


def _stage_columns(
    engine: Engine, request: DreamRequest, networks: _Networks, latents: np.ndarray, first: int
) -> list[list[StageCell]]:
    """The cells of some latents, a list per stage."""
    plain = engine.registry.base(networks.first) or networks.first
    images = {"sample": _sample(engine, plain, request, latents)}
    if plain is not networks.first:
        images["k-sample"] = _sample(engine, networks.first, request, latents)
    for stage in list(images):
        images[stage.replace("sample", "cascade")] = _cascade(engine, networks.second, images[stage], request.strength)
    columns = []
    for stage, pictures in images.items():
        measures = _measure(engine, pictures, request.animal)
        columns.append([
            StageCell(index, stage, picture, of.face_score, of.animal_score, of.originality)
            for index, (picture, of) in enumerate(zip(pictures, measures, strict=True), first)
        ])  # fmt: skip
    return columns


def _draw_stages(rows: Sequence[Sequence[StageCell]]) -> np.ndarray:
    images = [[cell.image for cell in row] for row in rows]
    header = [STAGES[cell.stage] for cell in rows[0]]
    if rows[0][0].originality is None:
        return draw_sheet(images, header)
    return draw_sheet(images, header, [[f"{cell.originality:.2f}" for cell in row] for row in rows], ABOUT_ORIGINALITY)


# --- recipes ------------------------------------------------------------------------------------------------------------------


def _alone(request: DreamRequest, index: int) -> DreamRequest:
    """The request that makes one candidate of another: the first of those near it."""
    pick = ((request.seed, index, STEPS["some"]),) if index else ()
    return replace(request, count=1, ancestry=request.ancestry + pick)


def _recipe(verb: str, request: DreamRequest, cards: Sequence[Card]) -> Recipe:
    """How to make it again; of the settings only those that make a difference."""
    settings: dict[str, Any] = {"generator": request.generator, "count": request.count}
    if request.animal is not None:
        settings |= {"animal": request.animal, "strength": float(request.strength)}
    if request.generator == "flagship":
        settings["truncation"] = float(request.truncation)
    if request.generator.startswith("k-"):
        settings["imagination"] = float(request.imagination)
    if request.ancestry:
        settings["ancestry"] = [list(step) for step in request.ancestry]
    checkpoints = {card.id: card.sha256 for card in cards}
    return Recipe(tab="character", verb=verb, parameters=settings, seed=request.seed, checkpoints=checkpoints)


def _is_step(step: Any) -> bool:
    return (
        isinstance(step, tuple)
        and len(step) == 3
        and is_whole(step[0], 2**63)
        and is_whole(step[1], MAX_COUNT)
        and is_number(step[2])
        and 0 < step[2] <= max(STEPS.values())
    )
