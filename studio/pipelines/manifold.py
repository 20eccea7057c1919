"""The Manifold tab: photos found in a generator's latent space, and the walk between them.

IAN (Hamdi and Ghanem), section 6.1 and figure 5: encode two faces, decode convex points between their codes, translate each
into animals. With the flagship the codes come from generator reversal (Kilcher et al., Algorithm 1), begun at the encoder's
guess; with BEGAN from its own encoder, as in the paper.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
import torch

from studio.core.images import Photo, resize, to_float, to_uint8
from studio.core.recipe import Recipe
from studio.core.registry import Card, Registry
from studio.core.video import encode, there_and_back
from studio.latent import reversal
from studio.latent.kde import KDE, best_bandwidth
from studio.latent.traverse import DENSE, PATHS, array, linear, walk
from studio.metrics.class_score import ANIMAL_JUDGE, ask_judge
from studio.metrics.face_score import has_face
from studio.metrics.identity import IDENTITY_JUDGE, embed_heads
from studio.metrics.lpips import distance, feature_maps
from studio.models.began import LATENT
from studio.pipelines import dream
from studio.pipelines.parts import (
    MAX_STRENGTH,
    SURE,
    AnimalInfo,
    Progress,
    choose_animals,
    draw_sheet,
    is_number,
    is_whole,
    read_animals,
    registry_of,
    translate_heads,
    with_article,
)
from studio.pipelines.photos import Crops, FaceChoice, check_faces, faces_of, find_eyes, inputs_of, photos_of, shortened

if TYPE_CHECKING:
    from studio.core.engine import Engine, Session

# The family of each generator's networks, and the task of the one that makes pictures of codes.
_NETWORKS = {"flagship": ("stylegan", "sample"), "began": ("began", "decode")}
GENERATORS = tuple(_NETWORKS)
# Whose features guide reversal: it knows faces, and neither LPIPS nor the identity that measure the outcome are its own.
EYE = "judge-attributes"
# Chosen on four held-out faces. Without it the pixels come as near (22.8 dB in 60 steps), but the identity is 0.34, not 0.6.
PERCEIVED = 0.2  # its weight beside the squared error of pixels in [-1, 1]
MAX_PHOTOS = 4
STEPS, MAX_STEPS = 50, 1000  # of reversal
FRAMES, MAX_FRAMES = 9, 33
MAX_SIDE = 9  # frames along one side of the array of four faces
# Of a dense path: faces that the generator draws, whose codes have the density, and others by which its bandwidth is chosen.
DRAWN, HELD_OUT = 192, 64
BATCH = 8  # pictures per run of a network
# A film has so many steps from one frame of the walk to the next; at 20 frames a second nine frames take 2.5 s.
BETWEEN, RATE, PAUSE = 6, 20, 10
FILM_COLUMN = 4  # pictures of a film on top of one another, before it gets a second column
# What an inversion's PSNR (dB) is called: both figures were set by looking at many.
VERY_CLOSE, CLOSE = 26.0, 20.0
EVEN = 3.0  # no step of a walk changes the person more than so many times the mean step does


@dataclass(frozen=True)
class InvertRequest:
    """Photos to find in the latent space of a generator.

    Args:
        photos: one to ``MAX_PHOTOS``.
        generator: one of ``GENERATORS``.
        steps: of reversal for each photo, 0 for the encoder's guess; BEGAN takes none.
        faces, frame: as in :func:`studio.pipelines.photos.check_faces`.
        dreams: per photo the recipe of the dream that it is, or None. A dream of the flagship needs no search: its latent is
            known, and of an animal the face underneath is meant. Empty means that all are photos.

    Raises:
        ValueError: one sentence that says what to change.
    """

    photos: tuple[Photo, ...]
    generator: str = "flagship"
    steps: int = STEPS
    faces: tuple[FaceChoice | None, ...] = ()
    frame: str = "auto"
    dreams: tuple[Recipe | None, ...] = ()

    def __post_init__(self) -> None:
        if not self.photos:
            raise ValueError("Add a photo of a person first.")
        if len(self.photos) > MAX_PHOTOS:
            raise ValueError(f"Take at most {MAX_PHOTOS} photos at once; these are {len(self.photos)}.")
        if self.generator not in GENERATORS:
            raise ValueError(f"There is no generator {self.generator!r}; there is {' and '.join(GENERATORS)}.")
        if not is_whole(self.steps, MAX_STEPS + 1):
            raise ValueError(f"Set the steps to a whole number from 0 (a first guess) to {MAX_STEPS}.")
        if self.dreams and len(self.dreams) != len(self.photos):
            raise ValueError(f"Name the dream or None for each of the {len(self.photos)} photos, or none at all.")
        check_faces(self.photos, self.faces, self.frame)


@dataclass(frozen=True, eq=False)
class Preview(Progress):
    """A photo as far as it has been found: ``image`` uint8 (R, R, 3), its ``psnr`` in dB."""

    photo_index: int
    image: np.ndarray
    psnr: float


@dataclass(frozen=True)
class Likeness:
    """How near a picture is to another: ``psnr`` in dB, ``lpips``, ``identity`` (the identity judge's cosine), and in ``words``.

    A figure is None without its judge, and for a dream, which is the generator's own.
    """

    psnr: float | None
    lpips: float | None
    identity: float | None
    words: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Inversion:
    """A face in the latent space.

    ``image`` uint8 (R, R, 3) is what the generator makes of ``code``, float32 (n_styles, L) of the flagship or (100,) of BEGAN;
    ``crop`` uint8 (R, R, 3) is the photo, ``likeness`` compares the two. ``study`` is None or why the networks are weak.
    """

    photo_index: int
    photo_name: str
    image: np.ndarray
    crop: np.ndarray
    code: np.ndarray
    likeness: Likeness
    seconds: float
    steps: int
    recipe: Recipe
    study: str | None


@dataclass(frozen=True, eq=False)
class InvertResult:
    """All faces that were found, photo by photo, and ``sheet``, uint8 (H, W, 3): the photos over what was found."""

    inversions: tuple[Inversion, ...]
    sheet: np.ndarray
    recipe: Recipe


@dataclass(frozen=True)
class TraverseRequest:
    """A walk between faces.

    Args:
        invert: the faces, two to four.
        frames: of the walk, the faces among them.
        animals: a row for each (names as in ``list_animals``).
        path: "spherical" round the mean face, "linear", or "dense", which keeps to where the generator draws most.
        loop: walks back to the first face.
        strength: of the animals: 0 the face, 1 the animal, up to 1.3 its caricature.

    Raises:
        ValueError: one sentence that says what to change.
    """

    invert: InvertRequest
    frames: int = FRAMES
    animals: tuple[str, ...] = ()
    path: str = "spherical"
    loop: bool = False
    strength: float = 1.0

    def __post_init__(self) -> None:
        photos = len(self.invert.photos)
        if photos < 2:
            raise ValueError("A walk needs at least two faces: add another photo.")
        if not is_whole(self.frames, MAX_FRAMES + 1) or self.frames < photos:
            raise ValueError(f"Set the frames to a whole number from {photos} (one for each face) to {MAX_FRAMES}.")
        if not all(isinstance(name, str) for name in self.animals):
            raise ValueError("Name the animals by their names.")
        if len(set(self.animals)) < len(self.animals):
            raise ValueError("Name each animal once.")
        if self.path not in PATHS:
            raise ValueError(f"There is no path {self.path!r}; there is {', '.join(PATHS)}.")
        if not is_number(self.strength) or not 0 <= self.strength <= MAX_STRENGTH:
            raise ValueError(f"Set the strength between 0 (the face) and {MAX_STRENGTH} (a caricature).")


@dataclass(frozen=True, eq=False)
class Cell:
    """One frame: ``row`` 0 is the walk, the others its animals in their order; ``image`` uint8 (R, R, 3)."""

    row: int
    column: int
    image: np.ndarray


@dataclass(frozen=True, eq=False)
class Row:
    """The walk (``animal`` is None) or the walk as an animal: ``images`` uint8 (R, R, 3), and how they read in ``words``."""

    animal: str | None
    label: str
    images: tuple[np.ndarray, ...]
    words: tuple[str, ...]
    study: str | None


@dataclass(frozen=True, eq=False)
class TraverseResult:
    """A walk.

    ``rows``: the walk, then a row per animal (IAN, figure 5); ``codes`` (T, ...) are those of the film's steps, the frames'
    among them. ``array`` uint8 (S, S, R, R, 3) has the four faces at its corners (None for fewer). ``evenness`` is the largest
    step between neighbouring frames, as the identity judge sees it, over the mean one (None without the judge). ``sheet`` and
    ``array_sheet``, uint8 (H, W, 3), show rows and array.
    """

    request: TraverseRequest
    inversions: tuple[Inversion, ...]
    rows: tuple[Row, ...]
    codes: np.ndarray
    array: np.ndarray | None
    evenness: float | None
    sheet: np.ndarray
    array_sheet: np.ndarray | None
    recipe: Recipe


@dataclass(frozen=True, eq=False)
class Film:
    """``rows`` as those of the walk, with ``BETWEEN`` steps from frame to frame: frame i of the walk is step i * ``BETWEEN``."""

    rows: tuple[tuple[np.ndarray, ...], ...]
    loop: bool


def invert(engine: Engine, request: InvertRequest) -> Iterator[Progress | Preview | Inversion | InvertResult]:
    """Finds faces in the latent space (generator reversal, Algorithm 1), photo by photo; the result last.

    Photos do not share a batch, so that what is found does not depend on the company. Closing the iterator stops the engine
    within one step.

    Raises:
        ValueError: at once, if the generator is not here.
        FaceError: before the first step, if a photo shows no face or not the chosen one.
        CheckpointError: before the first step, if weights are missing or damaged.
    """
    return _invert(engine, request, _networks(engine.registry, request.generator))


def traverse(
    engine: Engine, request: TraverseRequest, known: Sequence[Inversion] = ()
) -> Iterator[Progress | Preview | Inversion | Cell | TraverseResult]:
    """Walks from face to face: finds the faces, then yields the frames as they are ready, the result last.

    ``known`` are the faces of this very request if they were found before. The frames of the faces are the inversions, bit for
    bit.

    Raises:
        ValueError: at once, if the generator, an animal or what a dense path needs is not here.
        FaceError, CheckpointError: as :func:`invert`, before the first frame.
    """
    networks, animals = _networks(engine.registry, request.invert.generator), ()
    if request.animals:
        animals = choose_animals(engine, request.animals)
    if request.path == DENSE:
        _sampler(engine.registry, networks)
    return _traverse(engine, request, networks, animals, tuple(known))


def film(engine: Engine, result: TraverseResult) -> Iterator[Progress | Film]:
    """The walk in small steps, for a slider and for films; what is there already is not made again."""
    networks = _networks(engine.registry, result.request.invert.generator)
    animals = choose_animals(engine, result.request.animals) if result.request.animals else ()
    codes = result.codes
    total = len(codes) * (1 + len(animals))
    yield Progress(0, total, "Filling in between")
    faces: list[np.ndarray] = []
    for start in range(0, len(codes), BATCH):
        faces += _synthesise(engine, networks, codes[start : start + BATCH])
        yield Progress(len(faces), total, "Filling in between")
    rows = [tuple(faces)]
    for info in animals:
        heads: list[np.ndarray] = []
        for start in range(0, len(faces), BATCH):
            heads += _as_animal(engine, info.card, faces[start : start + BATCH], result.request.strength)
            yield Progress(len(faces) * len(rows) + len(heads), total, f"Filling in {with_article(info.label)}")
        rows.append(tuple(heads))
    yield Film(tuple(rows), result.request.loop)


def film_frames(film: Film) -> list[np.ndarray]:
    """The film's pictures, uint8 (H, W, 3): the walk above its animals, in columns of at most ``FILM_COLUMN``."""
    side = max(len(images[0]) for images in film.rows)
    high = min(FILM_COLUMN, len(film.rows))
    wide = math.ceil(len(film.rows) / high)
    frames = []
    for step in range(len(film.rows[0])):
        frame = np.full((high * side, wide * side, 3), 24, np.uint8)
        for place, images in enumerate(film.rows):
            y, x = place % high * side, place // high * side
            frame[y : y + side, x : x + side] = resize(images[step], side)
        frames.append(frame)
    return frames


def film_data(film: Film, kind: str) -> bytes:
    """The film as a file of a ``kind`` of ``core.video.FORMATS``; unless it is a loop it goes there and back."""
    frames, rate = film_frames(film), RATE
    if kind == "gif":  # it knows no motion, and would be the size of ten films
        frames, rate = frames[::2], RATE // 2
    return encode(frames if film.loop else list(there_and_back(frames, PAUSE * rate // RATE)), rate, kind)


def frame_recipe(result: TraverseResult, step: int, row: int) -> Recipe:
    """How to make one picture of the walk's film again: ``step`` of the film, in a ``row``."""
    return _one_of(result, row, {"step": step})


def point_picture(engine: Engine, result: TraverseResult, across: float, down: float, row: int = 0) -> np.ndarray:
    """The picture of any point between four faces, uint8 (R, R, 3): as a face, or as the animal of a ``row``.

    ``across`` and ``down`` are in [0, 1]; the points of the array give its own pictures, bit for bit.

    Raises:
        ValueError: the walk is not one between four faces, or the point is outside of the square.
    """
    if result.array is None:
        raise ValueError("Only four faces have a square between them: add more faces, then press Make.")
    if not all(is_number(part) and 0 <= part <= 1 for part in (across, down)):
        raise ValueError("The square goes from 0 to 1 in both directions.")
    networks = _networks(engine.registry, result.request.invert.generator)
    first, second, third, fourth = (inversion.code for inversion in result.inversions)
    (left,), (right,) = (linear(*edge, np.array([down])) for edge in ((first, third), (second, fourth)))
    faces = _synthesise(engine, networks, linear(left, right, np.array([across])).astype(np.float32))
    if animal := result.rows[row].animal:
        (info,) = choose_animals(engine, (animal,))
        faces = _as_animal(engine, info.card, faces, result.request.strength)
    return faces[0]


def point_recipe(result: TraverseResult, across: float, down: float, row: int = 0) -> Recipe:
    """How to make the picture of a point between four faces again."""
    return _one_of(result, row, {"point": {"across": across, "down": down}})


def request_from_recipe(recipe: Recipe, photos: Sequence[Photo]) -> InvertRequest | TraverseRequest:
    """The request that made a result, from its recipe and the photos that are at hand (others may be among them).

    Raises:
        ValueError: the recipe belongs to another tab or is damaged, or a photo is missing: the message names the one to give.
    """
    if recipe.tab != "manifold" or recipe.verb not in ("invert", "traverse"):
        raise ValueError(f"This picture was made on the tab {recipe.tab}: use it there.")
    settings = recipe.parameters
    faces = InvertRequest(
        photos=photos_of(recipe, photos),
        generator=settings.get("generator", "flagship"),
        steps=settings.get("steps", STEPS),
        faces=() if settings.get("frame") == "centre" else faces_of(recipe),
        frame=settings.get("frame", "auto"),
        dreams=dreams_of(recipe),
    )
    if recipe.verb == "invert":
        return faces
    animals = settings.get("animals", [])
    return TraverseRequest(
        faces,
        frames=settings.get("frames", FRAMES),
        animals=tuple(animals) if isinstance(animals, list) else (animals,),
        path=settings.get("path", "spherical"),
        loop=settings.get("loop") is True,
        strength=settings.get("strength", 1.0),
    )


def dreams_of(recipe: Recipe) -> tuple[Recipe | None, ...]:
    """The dreams among the recipe's photos. Raises ``ValueError`` if they are damaged."""
    dreams = recipe.parameters.get("dreams", [])
    if not isinstance(dreams, list) or any(entry is not None and not isinstance(entry, dict) for entry in dreams):
        raise ValueError("The dreams that this recipe names are damaged: send them to this tab again.")
    return tuple(entry and _dream_recipe(entry, recipe) for entry in dreams)


# --- the networks -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Networks:
    """``encoder`` makes a first code of a photo, ``generator`` pictures of codes."""

    generator: Card
    encoder: Card

    @property
    def reverses(self) -> bool:
        return self.generator.family == "stylegan"

    @property
    def n_styles(self) -> int:
        """Of the StyleGAN: two a doubling, and one for the first map where it is not a constant."""
        return 2 * int(math.log2(self.generator.resolution // 4)) + ("mapping" not in self.generator.config)

    @property
    def ids(self) -> list[str]:
        """What finding a face needs."""
        return [self.generator.id, self.encoder.id, *([EYE] if self.reverses else [])]

    @property
    def study(self) -> str | None:
        return "; ".join(dict.fromkeys(card.study for card in (self.generator, self.encoder) if card.study)) or None


def _networks(registry: Registry, name: str) -> _Networks:
    """The finest generator that has an encoder. Raises ``ValueError``, naming what there is."""
    if (found := _find_networks(registry, name)) is not None:
        return found
    there = [other for other in GENERATORS if _find_networks(registry, other)]
    if not there:
        raise ValueError("This studio has no generator that photos can be found in yet: update it, or pull its models.")
    raise ValueError(f"There is no {name} that photos can be found in yet; there is {' and '.join(there)}.")


def _find_networks(registry: Registry, name: str) -> _Networks | None:
    family, task = _NETWORKS[name]
    encoders = {card.resolution: card for card in registry.list_models(task="encode") if card.family.startswith(family)}
    makers = [card for card in registry.list_models(task=task) if card.family == family and card.base is None]
    best = max((card for card in makers if card.resolution in encoders), key=lambda card: card.resolution, default=None)
    return best and _Networks(best, encoders[best.resolution])


def list_generators(source: Engine | Registry) -> tuple[str, ...]:
    """The generators of ``source`` (an engine or its registry) that photos can be found in."""
    return tuple(name for name in GENERATORS if _find_networks(registry_of(source), name))


def _synthesise(engine: Engine, networks: _Networks, codes: np.ndarray) -> list[np.ndarray]:
    """The generator's pictures of codes (B, ...), uint8 (R, R, 3)."""
    if networks.reverses:
        return [to_uint8(image) for image in engine.run(networks.generator.id, styles=codes)["image"]]
    return [to_uint8(image) for image in engine.run(networks.generator.id, latent=codes)]


def _as_animal(engine: Engine, card: Card, faces: Sequence[np.ndarray], strength: float) -> list[np.ndarray]:
    return translate_heads(engine, card, [resize(face, card.resolution) for face in faces], strength)


def _centre(engine: Engine, networks: _Networks) -> np.ndarray | float:
    """The mean style, to which the truncation 0 leads; BEGAN's codes lie around 0."""
    if not networks.reverses:
        return 0.0
    latent, nowhere = np.zeros((1, networks.generator.config["latent"]), np.float32), np.zeros((1, 1), np.float32)
    return engine.run(networks.generator.id, latent=latent, truncation=nowhere)["style"][0]


def _sampler(registry: Registry, networks: _Networks) -> Card:
    """The network that draws faces like the generator's. Raises ``ValueError`` if it is not here."""
    if networks.reverses:
        return networks.generator
    cards = registry.list_models(task="sample")
    wanted = networks.generator.family, networks.generator.resolution
    found = next((card for card in cards if card.base is None and (card.family, card.resolution) == wanted), None)
    if found is None:
        raise ValueError(f"A dense path needs {wanted[0]}-{wanted[1]}, which is not here: pull it, or take another path.")
    return found


_DENSITIES: WeakKeyDictionary[Engine, dict[str, KDE]] = WeakKeyDictionary()


def _density(engine: Engine, networks: _Networks) -> KDE:
    """Where the generator draws most: the density of the codes of faces that it draws, always the same ones, made once."""
    known, name = _DENSITIES.setdefault(engine, {}), networks.generator.id
    if name not in known:
        draw = _drawn_styles if networks.reverses else _drawn_codes
        codes = draw(engine, networks, np.random.default_rng(0))
        known[name] = KDE(codes[:DRAWN], best_bandwidth(codes[:DRAWN], codes[DRAWN:]))
    return known[name]


def _drawn_styles(engine: Engine, networks: _Networks, random: np.random.Generator) -> np.ndarray:
    """The flagship's, (N, n_styles, L), truncated as its dreams are; no picture is made."""
    card = networks.generator
    latents = random.standard_normal((DRAWN + HELD_OUT, card.config["latent"])).astype(np.float32)

    def job(session: Session) -> Iterator[np.ndarray]:
        network, latent = session.network(card.id), torch.as_tensor(latents, device=session.device)
        with torch.no_grad():
            styles = network.truncate(network.map(latent), latent.new_full((len(latent), 1), dream.DreamRequest.truncation))
        yield styles.cpu().numpy()

    with closing(engine.stream(job)) as steps:
        (styles,) = steps
    return np.repeat(styles[:, None], networks.n_styles, axis=1)


def _drawn_codes(engine: Engine, networks: _Networks, random: np.random.Generator) -> np.ndarray:
    """BEGAN's, (N, 100): what its encoder makes of its generator's pictures."""
    latents = random.uniform(-1, 1, (DRAWN + HELD_OUT, LATENT)).astype(np.float32)
    return engine.run(networks.encoder.id, image=engine.run(_sampler(engine.registry, networks).id, latent=latents))


# --- finding ------------------------------------------------------------------------------------------------------------------


def _invert(
    engine: Engine, request: InvertRequest, networks: _Networks
) -> Iterator[Progress | Preview | Inversion | InvertResult]:
    yield Progress(0, len(request.photos) * request.steps, "Looking for faces")
    dreams = [_dream(request, networks, index) for index in range(len(request.photos))]
    eyes = _eyes(engine, request, dreams)
    for card_id in (*networks.ids, *(card.id for card in _judges(engine))):
        engine.fetch(card_id)
    crops = Crops(request.photos, eyes)
    found: list[Inversion] = []
    for index, dreamt in enumerate(dreams):
        began = time.perf_counter()
        if dreamt:
            code = _recall(engine, networks, dreamt)
        else:
            code = yield from _search(engine, request, networks, crops, index)
        crop = crops.get(index, networks.generator.frame, networks.generator.resolution).image
        (image,) = _synthesise(engine, networks, code[None])
        likeness = Likeness(None, None, None, ("exact: it was dreamt up here",)) if dreamt else compare(engine, crop, image)
        found.append(
            Inversion(
                photo_index=index,
                photo_name=request.photos[index].name,
                image=image,
                crop=crop,
                code=code,
                likeness=likeness,
                seconds=time.perf_counter() - began,
                steps=request.steps if networks.reverses and not dreamt else 0,
                recipe=_recipe("invert", request, networks, eyes, [index]),
                study=networks.study,
            )
        )
        yield found[-1]
    sheet = draw_sheet([[i.crop for i in found], [i.image for i in found]], [shortened(i.photo_name) for i in found])
    yield InvertResult(tuple(found), sheet, _recipe("invert", request, networks, eyes, range(len(found))))


def _eyes(engine: Engine, request: InvertRequest, dreams: Sequence[Any]) -> list[Any]:
    """As ``find_eyes``; a dream that no eyes were chosen in fills its picture already."""
    chosen = request.faces or (None,) * len(request.photos)
    searched = [index for index, dreamt in enumerate(dreams) if dreamt is None]
    eyes = [choice and choice.eyes for choice in chosen]
    photos, choices = [request.photos[index] for index in searched], [chosen[index] for index in searched]
    for index, found in zip(searched, find_eyes(engine, photos, choices, request.frame), strict=True):
        eyes[index] = found
    return eyes


def _dream(request: InvertRequest, networks: _Networks, index: int) -> dream.DreamRequest | None:
    """What dreamt up the face, if these very networks did. Raises ``ValueError`` if its recipe is damaged."""
    recipe, card = request.dreams[index] if request.dreams else None, networks.generator
    if recipe is None or not networks.reverses or recipe.checkpoints.get(card.id) != card.sha256:
        return None
    return replace(dream.request_from_recipe(recipe), animal=None, strength=0.0)


def _recall(engine: Engine, networks: _Networks, request: dream.DreamRequest) -> np.ndarray:
    """The styles (n_styles, L) of a dream."""
    *_, result = dream.dream(engine, request)
    latent, truncation = result.candidates[0].latent[None], np.full((1, 1), request.truncation, np.float32)
    style = engine.run(networks.generator.id, latent=latent, truncation=truncation)["style"]
    return np.repeat(style, networks.n_styles, axis=0)


def _search(
    engine: Engine, request: InvertRequest, networks: _Networks, crops: Crops, index: int
) -> Iterator[Progress | Preview | np.ndarray]:
    """Finds the code of a photo, which is what it returns."""
    total, before = len(request.photos) * request.steps, index * request.steps
    words = f"Finding {shortened(request.photos[index].name)}"
    yield Progress(before, total, words)
    card = networks.encoder
    target = to_float(crops.get(index, card.frame, card.resolution).image)[None]
    code = engine.run(card.id, image=target)[0]
    if not networks.reverses or not request.steps:
        return code
    guess = code[None]
    with closing(engine.stream(lambda session: _reverse(session, networks, target, guess, request.steps))) as steps:
        for step, psnr, image, styles in steps:
            code = styles
            yield Preview(before + step, total, words, index, to_uint8(image), psnr)
    return code


def _reverse(session: Session, networks: _Networks, target: np.ndarray, start: np.ndarray, steps: int) -> Iterator[tuple]:
    """On the engine's worker: step, PSNR, image (3, R, R) and styles (n_styles, L) after each step of reversal."""
    photo, guess = (torch.as_tensor(array, device=session.device) for array in (target, start))
    generator = session.network(networks.generator.id)
    reach = generator.reach
    distance = reversal.perceived(session.network(EYE).trunk, photo, PERCEIVED)
    # Where styles differ in how much they change, one step for all of them leaves the weaker ones where they are.
    found = reversal.invert(lambda code: generator.synthesise(reach * code), photo, guess / reach, steps, distance)
    for step in found:
        image, styles = (tensor.detach().cpu().numpy()[0] for tensor in (step.image, reach * step.code))
        yield step.step, float(step.psnr[0]), image, styles


# --- how near -----------------------------------------------------------------------------------------------------------------


def compare(engine: Engine, crop: np.ndarray, image: np.ndarray, person: bool = True) -> Likeness:
    """How near ``image`` is to ``crop``, both uint8 (R, R, 3), of a ``person`` in the head frame."""
    error = max(float(np.square(crop.astype(np.float64) - image).mean()), 1e-3)  # equal pictures would be infinitely near
    psnr = 10 * math.log10(255**2 / error)
    lpips = identity = None
    judges = {card.id for card in _judges(engine)}
    if ANIMAL_JUDGE in judges:
        both = [feature_maps(ask_judge(engine, to_float(picture)[None])) for picture in (crop, image)]
        lpips = float(distance(*both)[0])
    if person and IDENTITY_JUDGE in judges:
        first, second = embed_heads(engine, [crop, image])
        identity = float(first @ second)
    return Likeness(psnr, lpips, identity, _likeness_words(engine, psnr, identity))


def _likeness_words(engine: Engine, psnr: float, identity: float | None) -> tuple[str, ...]:
    near = "very close" if psnr >= VERY_CLOSE else "close" if psnr >= CLOSE else "only the pose and colours"
    return (near,) if identity is None else (near, identity_words(engine, identity))


def identity_words(engine: Engine, identity: float) -> str:
    """Whether the identity judge's cosine of two pictures speaks of one person, for people."""
    same = is_same_person(engine, identity)
    return "the judge sees the same person" if same else "the judge is not sure that it is the same person"


def is_same_person(engine: Engine, identity: float) -> bool:
    """Whether the identity judge's cosine of two pictures is one that hardly any two strangers have."""
    return identity >= engine.registry.card(IDENTITY_JUDGE).measures.get("cosine_95_percent_of_strangers_below", 0.5)


def _judges(engine: Engine) -> list[Card]:
    """What measures a likeness, as far as it is there."""
    return [card for name in (ANIMAL_JUDGE, IDENTITY_JUDGE) for card in engine.registry.list_models(name)]


def _evenness(engine: Engine, faces: Sequence[np.ndarray]) -> float | None:
    """The largest step of the judged identity from frame to frame, over the mean one."""
    if not engine.registry.list_models(IDENTITY_JUDGE):
        return None
    steps = np.linalg.norm(np.diff(embed_heads(engine, faces), axis=0), axis=1)
    return float(steps.max() / steps.mean()) if steps.mean() > 0 else 1.0


# --- walking ------------------------------------------------------------------------------------------------------------------


def _traverse(
    engine: Engine, request: TraverseRequest, networks: _Networks, animals: Sequence[AnimalInfo], known: tuple[Inversion, ...]
) -> Iterator[Progress | Preview | Inversion | Cell | TraverseResult]:
    for info in animals:
        engine.fetch(info.card.id)  # a damaged file is said now, not after the faces were found
    if request.path == DENSE:
        engine.fetch(_sampler(engine.registry, networks).id)
    inversions = known
    if len(known) != len(request.invert.photos):
        inversions = yield from _faces(_invert(engine, request.invert, networks))
    side = min(request.frames, MAX_SIDE) if len(inversions) == 4 else 0
    done, total = 0, request.frames * (1 + len(animals)) + side * side
    yield Progress(done, total, "Choosing the way")
    way = _walk_codes(engine, networks, request, inversions)
    codes = way[::BETWEEN]
    rows: list[list[np.ndarray]] = []
    for number, info in enumerate([None, *animals]):
        images: list[np.ndarray] = []
        for start in range(0, len(codes), BATCH):
            yield Progress(done, total, f"Becoming {with_article(info.label)}" if info else "Walking")
            part = slice(start, start + BATCH)
            if info:
                images += _as_animal(engine, info.card, rows[0][part], request.strength)
            else:
                images += _synthesise(engine, networks, codes[part])
            yield from (Cell(number, column, images[column]) for column in range(start, len(images)))
            done += len(images) - start
        rows.append(images)
    square = None
    if side:
        corners = np.stack([inversion.code for inversion in inversions])
        square = yield from _square(engine, networks, array(corners, side, side), done, total)
    yield _result(engine, request, networks, animals, inversions, rows, square, way)


def _faces(steps: Iterator[Any]) -> Iterator[Any]:
    """The steps of an inversion but its result, whose faces are returned."""
    with closing(steps):
        for step in steps:
            if isinstance(step, InvertResult):
                return step.inversions
            yield step


def _walk_codes(
    engine: Engine, networks: _Networks, request: TraverseRequest, inversions: Sequence[Inversion]
) -> np.ndarray:
    """The codes of the film's steps (T, ...)."""
    points = np.stack([inversion.code for inversion in inversions])
    density = _density(engine, networks) if request.path == DENSE else None
    return walk(points, request.frames, request.path, request.loop, BETWEEN, _centre(engine, networks), density)


def _square(engine: Engine, networks: _Networks, codes: np.ndarray, done: int, total: int) -> Iterator[Progress]:
    """The pictures of codes (S, S, ...), which are what it returns: uint8 (S, S, R, R, 3)."""
    flat, images = codes.reshape(-1, *codes.shape[2:]), []
    for start in range(0, len(flat), BATCH):
        yield Progress(done + start, total, "Spreading out between all four")
        images += _synthesise(engine, networks, flat[start : start + BATCH])
    return np.stack(images).reshape(*codes.shape[:2], *images[0].shape)


def _result(
    engine: Engine,
    request: TraverseRequest,
    networks: _Networks,
    animals: Sequence[AnimalInfo],
    inversions: tuple[Inversion, ...],
    images: Sequence[Sequence[np.ndarray]],
    square: np.ndarray | None,
    way: np.ndarray,
) -> TraverseResult:
    evenness, eyes = _evenness(engine, images[0]), [inversion.recipe.inputs[0].eyes for inversion in inversions]
    rows = [Row(None, "walk", tuple(images[0]), _walk_words(images[0], evenness), networks.study)]
    for info, row in zip(animals, images[1:], strict=True):
        rows.append(Row(info.name, info.label, tuple(row), _animal_row_words(engine, info, row), info.study))
    drawers = [_sampler(engine.registry, networks)] if request.path == DENSE else []
    footer = f"From above: {', '.join(row.label for row in rows)}" if animals else ""
    return TraverseResult(
        request=request,
        inversions=inversions,
        rows=tuple(rows),
        codes=way,
        array=square,
        evenness=evenness,
        sheet=draw_sheet(images, _names(way[::BETWEEN], inversions), footer=footer),
        array_sheet=None if square is None else draw_sheet(list(square)),
        recipe=_recipe("traverse", request.invert, networks, eyes, range(len(inversions)), request, animals, drawers),
    )


def _walk_words(faces: Sequence[np.ndarray], evenness: float | None) -> tuple[str, ...]:
    found = sum(map(has_face, faces))
    words = f"a face is found in {'all' if found == len(faces) else found} of {len(faces)} frames"
    if evenness is None:
        return (words,)
    return words, "the person changes evenly" if evenness <= EVEN else "the person changes with a jump"


def _animal_row_words(engine: Engine, info: AnimalInfo, heads: Sequence[np.ndarray]) -> tuple[str, ...]:
    readings = [reading for reading in read_animals(engine, heads, info.name) if reading]
    sure = sum(reading.score >= SURE for reading in readings)
    return (f"{sure} of {len(heads)} frames read as {with_article(info.label)}",) if readings else ()


def _names(codes: np.ndarray, inversions: Sequence[Inversion]) -> list[str]:
    """Above each frame that is a face its name."""
    names = [""] * len(codes)
    for inversion in inversions:
        for column, code in enumerate(codes):
            if np.array_equal(code, inversion.code):
                names[column] = shortened(inversion.photo_name)
    return names


# --- recipes ------------------------------------------------------------------------------------------------------------------


def _recipe(
    verb: str,
    request: InvertRequest,
    networks: _Networks,
    eyes: Sequence[Any],
    indices: Sequence[int],
    walked: TraverseRequest | None = None,
    animals: Sequence[AnimalInfo] = (),
    drawers: Sequence[Card] = (),
) -> Recipe:
    """How to find these faces again, and to walk between them if they were ``walked``, where ``drawers`` draw most if dense."""
    settings: dict[str, Any] = {"generator": request.generator, "frame": request.frame}
    if networks.reverses:
        settings["steps"] = request.steps
    dreams = [request.dreams[index] if request.dreams else None for index in indices]
    if any(dreams):
        settings["dreams"] = [recipe and {**recipe.parameters, "seed": recipe.seed} for recipe in dreams]
    if walked:
        settings |= {"frames": walked.frames, "path": walked.path, "loop": walked.loop}
    if animals:
        settings |= {"animals": [info.name for info in animals], "strength": float(walked.strength)}
    cards = (networks.generator, networks.encoder, *(info.card for info in animals), *drawers)
    return Recipe(
        tab="manifold",
        verb=verb,
        parameters=settings,
        checkpoints={card.id: card.sha256 for card in cards},
        inputs=inputs_of([request.photos[index] for index in indices], [eyes[index] for index in indices]),
    )


def _one_of(result: TraverseResult, row: int, place: dict[str, Any]) -> Recipe:
    """How to make one picture of a walk again: which it is says ``place``."""
    animal = result.rows[row].animal
    settings = {**result.recipe.parameters, **place, **({"animal": animal} if animal else {})}
    return result.recipe.model_copy(update={"parameters": settings})


def _dream_recipe(entry: dict[str, Any], recipe: Recipe) -> Recipe:
    """The recipe of a dream among the photos of ``recipe``, whose networks are the same. Raises ``ValueError``."""
    settings = {name: value for name, value in entry.items() if name != "seed"}
    return Recipe(tab="character", verb="dream", parameters=settings, seed=entry.get("seed", 0), checkpoints=recipe.checkpoints)
