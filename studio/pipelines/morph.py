"""The Morph tab: photos in the latent space of a CVAE-GAN (Bao et al. 2017), and what its conditions make of them.

``morph`` walks between two photos (section 5.3), ``attributes`` changes what a face shows, ``mix`` makes something new of several
labels (section 5.5), ``draw_class`` draws new flowers and birds of a class. Holes are filled by :mod:`studio.pipelines.inpaint`.

Each is ``verb(engine, request) -> Iterator[Progress | Preview | ... | result]``: ``morph`` yields ``Found`` and ``Frame`` and a
``MorphResult``, ``attributes(engine, request, known=None)`` ``Found`` and an ``AttributesResult``, ``mix`` and ``draw_class``
``Sample`` and a ``SamplesResult``. ``known`` is a ``Found`` of this photo: no search is made again, and
``picture_with(engine, known, condition)`` is the head alone, for a slider that moves.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from studio.core.faces import FRAME_SIZE, align, lay_on
from studio.core.faces import FRAMES as HUMAN_FRAMES
from studio.core.images import Photo, to_float, to_uint8
from studio.core.recipe import Recipe
from studio.latent.traverse import linear
from studio.metrics.class_score import ask_judge
from studio.metrics.identity import IDENTITY_JUDGE, embed_heads
from studio.pipelines.conditioned import (
    BATCH,
    STEPS,
    Found,
    Networks,
    attribute_words,
    by_label,
    check_condition,
    check_domain,
    check_seed,
    check_steps,
    crops_of,
    draw,
    fetch,
    find,
    find_label,
    label_words,
    looking,
    named,
    networks_of,
    recipe_of,
    recognise,
    with_values,
    within_head,
)
from studio.pipelines.manifold import BETWEEN, EYE, Film, Preview, identity_words
from studio.pipelines.parts import SURE, Progress, draw_sheet, is_number, is_whole, with_article
from studio.pipelines.photos import FaceChoice, check_faces, faces_of, inputs_of, photos_of, shortened

if TYPE_CHECKING:
    from studio.core.engine import Engine

FRAMES, MAX_FRAMES = 9, 33
COUNT, MOST = 8, 36  # pictures of a class at once
MAX_SOURCES = 3  # of a mix
ACROSS = 6  # pictures in a row of a sheet
# A sharp photo shows less of a soft change than the drawing does: small changes are laid on so many times as strongly, those of
# ``LARGE`` (root mean square, of 255 levels) half as much more, and larger ones as they are.
GAIN, LARGE = 2.5, 8.0


@dataclass(frozen=True)
class MorphRequest:
    """A way from one photo to another: z = (1 - a) z_1 + a z_2 (section 5.3), and the conditions as the codes.

    Args:
        photos: two.
        domain: one of ``conditioned.DOMAINS``.
        frames: of the way, both photos among them.
        steps: of reversal for each photo, 0 for the encoder's guess.
        faces, frame: as in :func:`studio.pipelines.photos.check_faces`; flowers and birds have no faces.

    Raises:
        ValueError: one sentence that says what to change.
    """

    photos: tuple[Photo, ...]
    domain: str = "faces"
    frames: int = FRAMES
    steps: int = STEPS
    faces: tuple[FaceChoice | None, ...] = ()
    frame: str = "auto"

    def __post_init__(self) -> None:
        check_domain(self.domain)
        if len(self.photos) != 2:
            raise ValueError(f"A morph goes from one photo to another: choose two; these are {len(self.photos)}.")
        if not is_whole(self.frames, MAX_FRAMES + 1) or self.frames < 2:
            raise ValueError(f"Set the frames to a whole number from 2 (only the photos) to {MAX_FRAMES}.")
        check_steps(self.steps)
        check_faces(self.photos, self.faces, self.frame)


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture of the way: ``image`` uint8 (R, R, 3), at ``index``."""

    index: int
    image: np.ndarray


@dataclass(frozen=True, eq=False)
class MorphResult:
    """A morph: ``images`` uint8 (R, R, 3), the reconstructions of ``ends`` first and last; ``sheet`` uint8 (H, W, 3) shows the
    strip between the photos. ``words`` say how near the ends are; ``study`` is None or why the networks are weak."""

    request: MorphRequest
    ends: tuple[Found, Found]
    images: tuple[np.ndarray, ...]
    sheet: np.ndarray
    words: tuple[str, ...]
    study: str | None
    recipe: Recipe


@dataclass(frozen=True)
class AttributesRequest:
    """A photo of a person, and what its face shall show.

    Args:
        condition: attribute -> value from -1 (not at all) to 1 (fully); what is not named stays as it was found. With nothing
            named the face is only found, and the result is the photo itself.
        steps: of reversal, 0 for the encoder's guess.
        face: the one that is meant, None for the largest. frame: "auto" or "centre".

    Raises:
        ValueError: one sentence that says what to change.
    """

    photo: Photo
    condition: Mapping[str, float] = field(default_factory=dict)
    steps: int = STEPS
    face: FaceChoice | None = None
    frame: str = "auto"

    def __post_init__(self) -> None:
        check_condition(self.condition, "faces")
        check_steps(self.steps)
        check_faces((self.photo,), (self.face,) if self.face else (), self.frame)


@dataclass(frozen=True)
class Reading:
    """What the attribute judge (never the network that was trained with) makes of one attribute: its probability ``before`` and
    ``after``, and ``words`` for it."""

    attribute: str
    before: float
    after: float
    words: str


@dataclass(frozen=True, eq=False)
class AttributesResult:
    """A face that shows what was asked for.

    ``image`` uint8 (H, W, 3) is the whole photo with the change laid on it, and the photo itself, bit for bit, where nothing was
    asked. ``head`` uint8 (S, S, 3) is the face of it, ``before`` the face as it was, ``plain`` uint8 (R, R, 3) what the generator
    itself makes, G(z, c'). ``condition`` names all attributes with their values now, ``condition_before`` with those that were
    found; ``found`` is the photo as it was found. ``identity`` is the identity judge's cosine between before and after (None
    without it).
    """

    request: AttributesRequest
    found: Found
    image: np.ndarray
    head: np.ndarray
    before: np.ndarray
    plain: np.ndarray
    condition_before: dict[str, float]
    condition: dict[str, float]
    readings: tuple[Reading, ...]
    identity: float | None
    words: tuple[str, ...]
    seconds: float
    study: str | None
    recipe: Recipe


@dataclass(frozen=True)
class MixRequest:
    """Something new of several: c is the weighted mean of the sources' conditions (section 5.5), z that of the first photo.

    Args:
        sources: one to three, each a photo or, where there are classes, the name of one.
        weights: of each, 0 or more; empty means equal ones.
        domain: one of ``conditioned.DOMAINS``.
        count: pictures; those after the photo's own z, and all where there is no photo, are drawn from N(0, I) by the seed.
        steps, faces, frame: as in :class:`MorphRequest`; ``faces`` go with the photos among the sources.

    Raises:
        ValueError: one sentence that says what to change.
    """

    sources: tuple[Photo | str, ...]
    weights: tuple[float, ...] = ()
    domain: str = "faces"
    count: int = 1
    seed: int = 0
    steps: int = STEPS
    faces: tuple[FaceChoice | None, ...] = ()
    frame: str = "auto"

    def __post_init__(self) -> None:
        check_domain(self.domain)
        if not 1 <= len(self.sources) <= MAX_SOURCES:
            raise ValueError(f"Mix one to {MAX_SOURCES} things at once; these are {len(self.sources)}.")
        if self.domain == "faces" and not all(isinstance(source, Photo) for source in self.sources):
            raise ValueError("Faces are mixed from photos: add the photos of two people.")
        weights = self.weights
        fit = len(weights) in (0, len(self.sources)) and all(is_number(weight) and weight >= 0 for weight in weights)
        if not fit or (weights and not sum(weights)):
            raise ValueError(f"Give each of the {len(self.sources)} a weight of 0 or more, and one of them more than 0.")
        _check_count(self.count)
        check_seed(self.seed)
        check_steps(self.steps)
        check_faces(self.photos, self.faces, self.frame)

    @property
    def photos(self) -> tuple[Photo, ...]:
        return tuple(source for source in self.sources if isinstance(source, Photo))


@dataclass(frozen=True)
class ClassRequest:
    """New pictures of one class, z ~ N(0, I).

    Args:
        label: the class, as in ``conditioned.find_label``.
        domain: one with classes. seed: the same one gives the same pictures.
        count: how many; picture i does not depend on it.

    Raises:
        ValueError: one sentence that says what to change.
    """

    label: str
    domain: str = "flowers"
    count: int = COUNT
    seed: int = 0

    def __post_init__(self) -> None:
        check_domain(self.domain)
        if self.domain == "faces":
            raise ValueError("Faces have attributes instead of classes: choose flowers or birds.")
        if not isinstance(self.label, str) or not self.label.strip():
            raise ValueError("Name the class to draw, such as daisy.")
        _check_count(self.count)
        check_seed(self.seed)


@dataclass(frozen=True, eq=False)
class Sample:
    """A new picture: ``image`` uint8 (R, R, 3) made of ``latent`` float32 (Z,); ``chance`` is what C gives the class that was
    asked for (None for a mix), ``words`` say it. ``recipe`` makes this one again."""

    index: int
    image: np.ndarray
    latent: np.ndarray
    chance: float | None
    words: tuple[str, ...]
    recipe: Recipe


@dataclass(frozen=True, eq=False)
class SamplesResult:
    """All of them; ``condition`` names the labels with their shares or values, ``sheet`` uint8 (H, W, 3)."""

    request: MixRequest | ClassRequest
    samples: tuple[Sample, ...]
    condition: dict[str, float]
    sheet: np.ndarray
    study: str | None
    recipe: Recipe


# --- between two photos -------------------------------------------------------------------------------------------------------


def morph(engine: Engine, request: MorphRequest) -> Iterator[Progress | Preview | Found | Frame | MorphResult]:
    """Finds both photos, then yields the frames as they are ready, the result last (section 5.3).

    Raises:
        ValueError: at once, if the domain is not here.
        FaceError: before the first step, if a photo shows no face or not the chosen one.
        CheckpointError: before the first step, if weights are missing or damaged.
    """
    return _morph(engine, request, networks_of(engine, request.domain))


def _morph(
    engine: Engine, request: MorphRequest, networks: Networks
) -> Iterator[Progress | Preview | Found | Frame | MorphResult]:
    total = 2 * request.steps + request.frames
    yield Progress(0, total, looking(networks, request.frame))
    crops = crops_of(engine, networks, request.photos, request.faces, request.frame)
    fetch(engine, networks)
    ends = []
    for index in range(2):
        ends.append((yield from find(engine, networks, crops, index, request.steps, index * request.steps, total)))
        yield ends[-1]
    images: list[np.ndarray] = []
    for start in range(0, request.frames, BATCH):
        yield Progress(2 * request.steps + start, total, "Morphing")
        images += _between(engine, networks, ends, np.linspace(0, 1, request.frames)[start : start + BATCH])
        yield from (Frame(index, images[index]) for index in range(start, len(images)))
    first, last = ends
    row = [first.crop.image, *images, last.crop.image]
    header = [shortened(first.photo_name), "found", *[""] * (request.frames - 2), "found", shortened(last.photo_name)]
    yield MorphResult(
        request=request,
        ends=(first, last),
        images=tuple(images),
        sheet=draw_sheet([row], header),
        words=tuple(f"{shortened(end.photo_name)}: {', '.join(end.likeness.words)}" for end in ends),
        study=networks.study,
        recipe=recipe_of(
            "morph",
            networks,
            {"domain": request.domain, "frames": request.frames, "steps": request.steps, "frame": request.frame},
            inputs=inputs_of(request.photos, crops.eyes),
        ),
    )


def _between(engine: Engine, networks: Networks, ends: Sequence[Found], amounts: np.ndarray) -> list[np.ndarray]:
    """The pictures at ``amounts`` (T,) in [0, 1] of the way, uint8 (R, R, 3); at both ends those that were found."""
    first, last = ends
    latents, conditions = (linear(*pair, amounts) for pair in zip(*((e.latent, e.condition) for e in ends), strict=True))
    images = draw(engine, networks, latents.astype(np.float32), conditions.astype(np.float32))
    exact = {0.0: first.image, 1.0: last.image}
    return [exact.get(float(t), to_uint8(image)) for t, image in zip(amounts, images, strict=True)]


def film(engine: Engine, result: MorphResult) -> Iterator[Progress | Film]:
    """The morph in small steps, for a slider and for films: step i * ``BETWEEN`` is frame i."""
    networks = networks_of(engine, result.request.domain)
    amounts = np.linspace(0, 1, (result.request.frames - 1) * BETWEEN + 1)
    images: list[np.ndarray] = []
    for start in range(0, len(amounts), BATCH):
        yield Progress(start, len(amounts), "Filling in between")
        images += _between(engine, networks, result.ends, amounts[start : start + BATCH])
    images[::BETWEEN] = result.images
    yield Film((tuple(images),), False)


def frame_recipe(result: MorphResult, step: int) -> Recipe:
    """How to make one picture of the morph's film again."""
    return _one_of(result.recipe, {"step": step})


# --- attributes ---------------------------------------------------------------------------------------------------------------


def attributes(
    engine: Engine, request: AttributesRequest, known: Found | None = None
) -> Iterator[Progress | Preview | Found | AttributesResult]:
    """Finds a face, then changes what it shows; the result last.

    c is what C recognises and z what E, then reversal, finds with that c held; with the values that were asked for, c', the
    change G(z, c') - G(z, c) is laid on the photo, which so keeps its own detail. ``known`` is this very photo as it was found
    before.

    Raises:
        ValueError: at once, if there are no networks for faces or an attribute does not exist; the message lists close names.
        FaceError, CheckpointError: as :func:`morph`, before the first step.
    """
    networks = networks_of(engine, "faces")
    return _attributes(engine, request, networks, by_label(networks, request.condition), known)


def _attributes(
    engine: Engine, request: AttributesRequest, networks: Networks, asked: Mapping[str, float], known: Found | None
) -> Iterator[Progress | Preview | Found | AttributesResult]:
    began = time.perf_counter()
    if known is None:
        yield Progress(0, request.steps, looking(networks, request.frame))
        crops = crops_of(engine, networks, (request.photo,), (request.face,) if request.face else (), request.frame)
        fetch(engine, networks)
        known = yield from find(engine, networks, crops, 0, request.steps)
        yield known
    yield Progress(request.steps, request.steps, "Changing the face")
    condition, plain, change = _changed(engine, networks, known, asked)
    image, head = lay_on(request.photo.rgb, change, known.crop), _on_head(known, change)
    judged = [_judged(engine, *pictures, known) for pictures in ((request.photo.rgb, known.head.image), (image, head))]
    identity = _identity(engine, known.head.image, head)
    yield AttributesResult(
        request=request,
        found=known,
        image=image,
        head=head,
        before=known.head.image,
        plain=to_uint8(plain),
        condition_before=named(networks, known.condition),
        condition=named(networks, condition),
        readings=_readings(*judged, list(asked)),
        identity=identity,
        words=() if identity is None else (identity_words(engine, identity),),
        seconds=time.perf_counter() - began,
        study=networks.study,
        recipe=recipe_of(
            "attributes",
            networks,
            {"condition": dict(asked), "steps": request.steps, "frame": request.frame, "paste": True},
            inputs=inputs_of((request.photo,), (known.eyes,)),
        ),
    )


def plain_recipe(result: AttributesResult) -> Recipe:
    """How to make the generator's own picture G(z, c') again."""
    return _one_of(result.recipe, {"shows": "plain", "paste": False})


def picture_with(engine: Engine, known: Found, condition: Mapping[str, float]) -> np.ndarray:
    """The head of a photo that was found, uint8 (S, S, 3), with these attributes: one run of G, for a slider that moves.

    Raises:
        ValueError: an attribute does not exist, or its value cannot be.
    """
    check_condition(condition, "faces")
    networks = networks_of(engine, "faces")
    return _on_head(known, _changed(engine, networks, known, by_label(networks, condition))[2])


def _changed(
    engine: Engine, networks: Networks, known: Found, asked: Mapping[str, float]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """c' (K,), G(z, c') (3, R, R) and what a photo gets of its difference from G(z, c), in eight-bit levels (R, R, 3)."""
    condition = with_values(networks, known.condition, asked)
    before, after = draw(engine, networks, np.stack([known.latent] * 2), np.stack([known.condition, condition]))
    # Rows of one run may differ in their last bits on a GPU: nothing asked is nothing changed.
    same = np.array_equal(condition, known.condition)
    change = np.zeros_like(after) if same else 127.5 * (after - before)
    return condition, after, _strengthened(np.ascontiguousarray(change.transpose(1, 2, 0)))


def _strengthened(change: np.ndarray) -> np.ndarray:
    """The change (R, R, 3) as a photo gets it; the more there is asked, the more there is."""
    size = float(np.sqrt(np.square(change).mean()))
    return change * np.float32(1 + (GAIN - 1) / (1 + (size / LARGE) ** 2))


def _on_head(known: Found, change: np.ndarray) -> np.ndarray:
    """The change laid on the head that is shown, uint8 (S, S, 3)."""
    return lay_on(known.head.image, change, within_head(known.crop, known.head))


def _judged(engine: Engine, rgb: np.ndarray, head: np.ndarray, known: Found) -> dict[str, float]:
    """The attribute judge's probabilities for the face of a photo (H, W, 3) whose ``head`` is (S, S, 3)."""
    card = engine.registry.card(EYE)
    # Without eyes the middle of the photo was taken for the head.
    middle = head, np.array(HUMAN_FRAMES["head"]) * len(head) / FRAME_SIZE
    portrait = align(*(middle if known.eyes is None else (rgb, np.asarray(known.eyes))), card.frame, card.resolution).image
    logits = ask_judge(engine, to_float(portrait)[None], card.id)["logits"][0].astype(np.float64)
    return dict(zip(card.labels, map(float, 1 / (1 + np.exp(-logits))), strict=True))


def _readings(before: Mapping[str, float], after: Mapping[str, float], attributes: Sequence[str]) -> tuple[Reading, ...]:
    """What the judge made of the attributes that it knows."""
    return tuple(
        Reading(name, before[name], after[name], _reading_words(name, before[name], after[name]))
        for name in attributes
        if name in after
    )


def _reading_words(attribute: str, before: float, after: float) -> str:
    shown = attribute_words(attribute, after >= SURE)
    return f"reads as {shown}" + (" now" if (before >= SURE) != (after >= SURE) else ", as before")


def _identity(engine: Engine, before: np.ndarray, after: np.ndarray) -> float | None:
    """The identity judge's cosine of two heads, None without the judge."""
    if not engine.registry.list_models(IDENTITY_JUDGE):
        return None
    first, second = embed_heads(engine, [before, after])
    return float(first @ second)


# --- classes and mixes --------------------------------------------------------------------------------------------------------


def draw_class(engine: Engine, request: ClassRequest) -> Iterator[Progress | Sample | SamplesResult]:
    """New pictures of a class as they are ready, the result last.

    Raises:
        ValueError: at once, if the domain or the class does not exist; the message lists close names.
        CheckpointError: before the first picture, if weights are missing or damaged.
    """
    networks = networks_of(engine, request.domain)
    return _draw_class(engine, request, networks, find_label(networks.labels, request.label))


def _draw_class(
    engine: Engine, request: ClassRequest, networks: Networks, label: str
) -> Iterator[Progress | Sample | SamplesResult]:
    yield Progress(0, request.count, f"Drawing {with_article(label_words(label))}")
    fetch(engine, networks)
    condition = with_values(networks, np.zeros(len(networks.labels), np.float32), {label: 1.0})
    settings = {"domain": request.domain, "label": label, "count": request.count}
    recipe = recipe_of("classes", networks, settings, request.seed)
    samples = []
    for index in range(request.count):
        samples.append(_sample(engine, networks, index, _drawn(networks, request.seed, index), condition, recipe, label))
        yield samples[-1]
        yield Progress(len(samples), request.count, f"Drawing {with_article(label_words(label))}")
    yield SamplesResult(request, tuple(samples), named(networks, condition), _grid(samples), networks.study, recipe)


def mix(engine: Engine, request: MixRequest) -> Iterator[Progress | Preview | Found | Sample | SamplesResult]:
    """Finds the photos, then draws what has a share of each source (section 5.5); the result last.

    Raises:
        ValueError: at once, if the domain or a class does not exist; the message lists close names.
        FaceError, CheckpointError: as :func:`morph`, before the first step.
    """
    networks = networks_of(engine, request.domain)
    labels = [None if isinstance(source, Photo) else find_label(networks.labels, source) for source in request.sources]
    return _mix(engine, request, networks, labels)


def _mix(
    engine: Engine, request: MixRequest, networks: Networks, labels: Sequence[str | None]
) -> Iterator[Progress | Preview | Found | Sample | SamplesResult]:
    photos = request.photos
    total = len(photos) * request.steps + request.count
    yield Progress(0, total, looking(networks, request.frame))
    crops = crops_of(engine, networks, photos, request.faces, request.frame)
    fetch(engine, networks)
    found: list[Found] = []
    for index in range(len(photos)):
        found.append((yield from find(engine, networks, crops, index, request.steps, index * request.steps, total)))
        yield found[-1]
    condition = _mixed(networks, labels, found, request.weights)
    recipe = recipe_of(
        "mix",
        networks,
        {
            "domain": request.domain,
            "labels": list(labels),
            "weights": list(request.weights),
            "count": request.count,
            "steps": request.steps,
            "frame": request.frame,
        },
        request.seed,
        inputs_of(photos, crops.eyes),
    )
    samples = []
    for index in range(request.count):
        latent = found[0].latent if found and not index else _drawn(networks, request.seed, index)
        samples.append(_sample(engine, networks, index, latent, condition, recipe))
        yield samples[-1]
        yield Progress(total - request.count + len(samples), total, "Mixing")
    yield SamplesResult(request, tuple(samples), named(networks, condition), _grid(samples), networks.study, recipe)


def _mixed(networks: Networks, labels: Sequence[str | None], found: Sequence[Found], weights: Sequence[float]) -> np.ndarray:
    """The weighted mean of the sources' conditions, float32 (K,); a label of None stands for the next photo."""
    nothing, photos = np.zeros(len(networks.labels), np.float32), iter(found)
    conditions = [with_values(networks, nothing, {label: 1.0}) if label else next(photos).condition for label in labels]
    return np.average(conditions, axis=0, weights=weights or None).astype(np.float32)


def _drawn(networks: Networks, seed: int, index: int) -> np.ndarray:
    """z ~ N(0, I) of one picture, float32 (Z,); it depends on nothing but the seed and its number."""
    return np.random.default_rng([seed, index]).standard_normal(networks.generator.config["latent"]).astype(np.float32)


def _sample(
    engine: Engine,
    networks: Networks,
    index: int,
    latent: np.ndarray,
    condition: np.ndarray,
    recipe: Recipe,
    label: str | None = None,
) -> Sample:
    """One picture, and what the network's own classifier makes of it if it is meant to be of one class."""
    image = to_uint8(draw(engine, networks, latent[None], condition[None])[0])
    chance, words = None, ()
    if label:
        chances = recognise(engine, networks, to_float(image)[None])[0]
        chance, best = float(chances[networks.labels.index(label)]), networks.labels[int(chances.argmax())]
        words = (f"the network itself recognises {with_article(label_words(best))}",)
    return Sample(index, image, latent, chance, words, _one_of(recipe, {"index": index}))


def _grid(samples: Sequence[Sample]) -> np.ndarray:
    images = [sample.image for sample in samples]
    return draw_sheet([images[start : start + ACROSS] for start in range(0, len(images), ACROSS)])


# --- recipes ------------------------------------------------------------------------------------------------------------------


def request_from_recipe(
    recipe: Recipe, photos: Sequence[Photo]
) -> MorphRequest | AttributesRequest | MixRequest | ClassRequest:
    """The request that made a result, from its recipe and the photos that are at hand (others may be among them).

    Raises:
        ValueError: the recipe belongs to another tab or verb or is damaged, or a photo is missing: the message names the one to
            give.
    """
    if recipe.tab != "morph" or recipe.verb not in _READERS:
        raise ValueError(f"This picture was made on the tab {recipe.tab}: use it there.")
    return _READERS[recipe.verb](recipe, photos_of(recipe, photos))


def _read_morph(recipe: Recipe, photos: tuple[Photo, ...]) -> MorphRequest:
    asked = recipe.parameters
    return MorphRequest(photos, asked.get("domain", "faces"), asked.get("frames", FRAMES), **_search_settings(recipe))


def _read_attributes(recipe: Recipe, photos: tuple[Photo, ...]) -> AttributesRequest:
    if len(photos) != 1:
        raise ValueError("The recipe of a changed face names one photo: this one is damaged.")
    search = _search_settings(recipe)
    (face,) = search.pop("faces") or (None,)
    return AttributesRequest(photos[0], recipe.parameters.get("condition", {}), face=face, **search)


def _read_mix(recipe: Recipe, photos: tuple[Photo, ...]) -> MixRequest:
    asked, left = recipe.parameters, list(photos)
    labels, weights = asked.get("labels", []), asked.get("weights", [])
    if not isinstance(labels, list) or not isinstance(weights, list) or labels.count(None) != len(photos):
        raise ValueError("What this recipe mixes is damaged: choose the photos or classes anew.")
    return MixRequest(
        tuple(label or left.pop(0) for label in labels),
        tuple(weights),
        asked.get("domain", "faces"),
        asked.get("count", 1),
        recipe.seed,
        **_search_settings(recipe),
    )


def _read_class(recipe: Recipe, photos: tuple[Photo, ...]) -> ClassRequest:
    asked = recipe.parameters
    return ClassRequest(asked.get("label", ""), asked.get("domain", "flowers"), asked.get("count", COUNT), recipe.seed)


_READERS = {"morph": _read_morph, "attributes": _read_attributes, "mix": _read_mix, "classes": _read_class}


def _search_settings(recipe: Recipe) -> dict[str, Any]:
    """How photos are found, as every request that has some names it."""
    asked, faces = recipe.parameters, faces_of(recipe)
    frame = asked.get("frame", "auto")
    return {"steps": asked.get("steps", STEPS), "frame": frame, "faces": faces if frame != "centre" and any(faces) else ()}


def _one_of(recipe: Recipe, place: dict[str, Any]) -> Recipe:
    """How to make one picture of a result again: which it is says ``place``."""
    return recipe.model_copy(update={"parameters": {**recipe.parameters, **place}})


def _check_count(count: int) -> None:
    if not is_whole(count, MOST + 1) or count < 1:
        raise ValueError(f"Ask for 1 to {MOST} pictures.")
