"""The Manifold tab's other half: what lies around a point of a code bank, and new points near it.

X-GAN (Blum et al. 2018): the codes of the training pictures stand for the manifold, and convex combinations CC_{m,k} of
neighbouring ones are new points of it (eq. 1). The other way to new points is a kernel density over the same codes (Kilcher et
al. 2017, section 3.2). No training picture is shown or kept: what is seen of a code is what the generator makes of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from studio.core.images import Photo, to_float, to_uint8
from studio.core.recipe import Recipe
from studio.core.registry import Card, Registry
from studio.latent.convex import Bank, K, combine, neighbours, read_bank
from studio.latent.kde import KDE
from studio.pipelines.parts import Progress, draw_sheet, finest, is_number, is_whole, registry_of
from studio.pipelines.photos import Crops, FaceChoice, find_eyes

if TYPE_CHECKING:
    from studio.core.engine import Engine

WAYS = {"convex": "combinations of neighbours", "density": "drawn from the density"}
COUNT, MOST = 12, 36  # new points at once
SHOWN = 8  # neighbours that are shown
MAX_K = 16
MAX_SPREAD = 2.0
# Bandwidths in deviations of the codes: almost the codes themselves, and one cloud.
BANDWIDTH, SHARPEST, BROADEST = 0.25, 0.02, 1.5
BATCH = 4  # pictures between two looks at whether somebody still waits
DIGITS = 4  # of a number of a code in a recipe: what is shown is made of exactly these
LONGEST_CODE, MOST_FAR = 512, 1e6
MAPS = {"pca": "PCA", "tsne": "t-SNE"}
DOTS = {"pca": 1500, "tsne": 800}  # codes on a map; the t-SNE takes some ten seconds of one core
TSNE_STEPS = 500
SPACING_CODES = 256  # by which the bank's own spacing is measured


@dataclass(frozen=True)
class NeighboursRequest:
    """A point of a bank, and new ones around it.

    Args:
        domain: what the bank is of, one of ``list_domains``.
        code: the point, (D,) numbers; None for one that the seed finds.
        seed: decides the point without a ``code``, and what is drawn around it.
        way: "convex", combinations CC_{m,k} of neighbours (m is the bank's), or "density", draws from a kernel density.
        k: neighbours in a combination.
        spread: 1 is the paper's; 0 stays at the point, above 1 leaves the neighbourhood.
        bandwidth: of the density, in deviations of the codes.
        count: new points.

    Raises:
        ValueError: one sentence that says what to change.
    """

    domain: str = "face"
    code: tuple[float, ...] | None = None
    seed: int = 0
    way: str = "convex"
    k: int = K
    spread: float = 1.0
    bandwidth: float = BANDWIDTH
    count: int = COUNT

    def __post_init__(self) -> None:
        if not isinstance(self.domain, str):
            raise ValueError("Name what to look at by its name.")
        if self.code is not None and not (0 < len(self.code) <= LONGEST_CODE and all(map(_fits, self.code))):
            raise ValueError(f"A code is 1 to {LONGEST_CODE} numbers: begin at a seed or a photo instead.")
        if not is_whole(self.seed, 2**53):
            raise ValueError("Give a whole number from 0 on as the seed.")
        if self.way not in tuple(WAYS):
            raise ValueError(f"There is no way {self.way!r}; there is {' and '.join(WAYS)}.")
        if not is_whole(self.k, MAX_K + 1) or self.k < 1:
            raise ValueError(f"Combine 1 to {MAX_K} neighbours.")
        if not is_number(self.spread) or not 0 <= self.spread <= MAX_SPREAD:
            raise ValueError(f"Set the spread between 0 (stay here) and {MAX_SPREAD:.0f} (leave the neighbourhood).")
        if not is_number(self.bandwidth) or not SHARPEST <= self.bandwidth <= BROADEST:
            raise ValueError(f"Set the bandwidth between {SHARPEST} (the codes themselves) and {BROADEST} (one cloud).")
        if not is_whole(self.count, MOST + 1) or self.count < 1:
            raise ValueError(f"Ask for 1 to {MOST} new pictures.")


@dataclass(frozen=True, eq=False)
class Place:
    """A point and what the generator makes of it.

    ``kind`` is "here", "neighbour", "sample" or "dot", ``index`` its number among those. ``code`` (D,) float32; ``image`` uint8
    (R, R, 3); ``distance`` to the nearest code of the bank, in spacings of the bank; ``label`` the class of that code for
    people, "" if there are none.
    """

    kind: str
    index: int
    code: np.ndarray
    image: np.ndarray
    distance: float
    label: str


@dataclass(frozen=True, eq=False)
class NeighboursResult:
    """All of them. ``request`` is the one asked for with its code; ``sheet`` uint8 (H, W, 3); ``recipe`` makes it again."""

    request: NeighboursRequest
    here: Place
    neighbours: tuple[Place, ...]
    samples: tuple[Place, ...]
    sheet: np.ndarray
    study: str | None
    recipe: Recipe


@dataclass(frozen=True, eq=False)
class Map:
    """A bank on a plane: ``dots`` (M, 2) in [0, 1] of the codes ``chosen`` (M,) of it; ``kind`` is one of ``MAPS``."""

    kind: str
    bank: Bank
    chosen: np.ndarray
    dots: np.ndarray

    def place(self, codes: np.ndarray) -> np.ndarray:
        """Where ``codes`` (B, D) lie: (B, 2) in [0, 1]. On a t-SNE that is among their neighbours, the nearest weighing most."""
        if self.kind == "pca":
            return _scaled(self.bank.place(codes), self.bank.places)
        index, distance = neighbours(self.bank.codes[self.chosen], codes, K)
        weights = 1 / (distance + 1e-3 * distance.max() + 1e-9)
        return np.einsum("bk,bkd->bd", weights / weights.sum(1, keepdims=True), self.dots[index])


# --- what is here -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Networks:
    generator: Card
    codes: Card
    encoder: Card | None

    @property
    def study(self) -> str | None:
        return self.generator.study


def list_domains(source: Engine | Registry) -> tuple[str, ...]:
    """What there is a bank and a generator of, by the names on their cards ("face", "flower", "bird")."""
    return tuple(_all_networks(registry_of(source)))


def _all_networks(registry: Registry) -> dict[str, _Networks]:
    makers, banks = (finest(registry.list_models(task=task)) for task in ("combine", "codes"))
    encoders = finest(card for card in registry.list_models(task="encode") if card.family == "xgan")
    both = [domains for domains in makers if domains in banks]
    return {domains[0]: _Networks(makers[domains], banks[domains], encoders.get(domains)) for domains in both}


def _networks(registry: Registry, domain: str) -> _Networks:
    """The finest of a domain. Raises ``ValueError``, naming what there is."""
    there = _all_networks(registry)
    if not there:
        raise ValueError("This studio has no bank of codes to look around in yet: update it, or pull its models.")
    if domain not in there:
        raise ValueError(f"There is no bank of {domain!r}; there is {', '.join(there)}.")
    return there[domain]


# --- looking around -----------------------------------------------------------------------------------------------------------


def find_place(engine: Engine, domain: str, photo: Photo, choice: FaceChoice | None = None, frame: str = "auto") -> np.ndarray:
    """The code (D,) of a photo, by the encoder; of anything but a face the central square is meant.

    Raises:
        ValueError: there is no such domain, or it has no encoder.
        FaceError: the photo shows no face, or not the chosen one.
    """
    encoder = _networks(engine.registry, domain).encoder
    if encoder is None:
        raise ValueError("Photos cannot be found in this bank yet: begin at a seed.")
    eyes = find_eyes(engine, (photo,), (choice,), frame if encoder.frame else "centre")
    crop = Crops((photo,), eyes).get(0, encoder.frame or "head", encoder.resolution).image
    return _settled(engine.run(encoder.id, image=to_float(crop)[None])[0])


def look_around(engine: Engine, request: NeighboursRequest) -> Iterator[Progress | Place | NeighboursResult]:
    """The point, its neighbours as the generator makes them, and new points; the result last.

    Raises:
        ValueError: at once, if the domain is not here or the code is of another one.
        CheckpointError: before the first picture, if weights are missing or damaged.
    """
    networks = _networks(engine.registry, request.domain)
    size = networks.codes.config["latent"]
    if request.code is not None and len(request.code) != size:
        raise ValueError(f"This code has {len(request.code)} numbers, but those of {request.domain}s have {size}: begin anew.")
    return _look_around(engine, request, networks)


def _look_around(
    engine: Engine, request: NeighboursRequest, networks: _Networks
) -> Iterator[Progress | Place | NeighboursResult]:
    yield Progress(0, 1 + SHOWN + request.count, "Looking around")
    bank = read_bank(engine.store, networks.codes)
    engine.fetch(networks.generator.id)
    code = _seeded(bank, request) if request.code is None else np.array(request.code, np.float32)
    request = replace(request, code=tuple(map(_short, code)))
    index, _ = neighbours(bank.codes, code[None], min(SHOWN, len(bank.codes)))
    groups = {"here": code[None], "neighbour": bank.codes[index[0]], "sample": _draw(bank, request, code)}
    total, made = sum(map(len, groups.values())), []
    for kind, codes in groups.items():
        for start in range(0, len(codes), BATCH):
            made += _places(engine, networks, bank, kind, codes[start : start + BATCH], start)
            yield from made[-len(codes[start : start + BATCH]) :]
            yield Progress(len(made), total, "Looking around")
    here, *others = made
    near = tuple(place for place in others if place.kind == "neighbour")
    samples = tuple(place for place in others if place.kind == "sample")
    recipe = Recipe(
        tab="manifold",
        verb="neighbours",
        parameters=_settings(request),
        seed=request.seed,
        checkpoints={card.id: card.sha256 for card in (networks.generator, networks.codes)},
    )
    yield NeighboursResult(request, here, near, samples, _sheet(here, near, samples), networks.study, recipe)


def dot_place(engine: Engine, domain: str, index: int) -> Place:
    """The code of a bank by its number. Raises ``ValueError`` if it has none of that number."""
    networks = _networks(engine.registry, domain)
    bank = read_bank(engine.store, networks.codes)
    if not is_whole(index, len(bank.codes)):
        raise ValueError("There is no such point on this map: point at another one.")
    return _places(engine, networks, bank, "dot", bank.codes[index : index + 1], index)[0]


def _seeded(bank: Bank, request: NeighboursRequest) -> np.ndarray:
    """A new point near a code that the seed picks."""
    random = np.random.default_rng([request.seed, 0])
    centre = bank.codes[random.integers(len(bank.codes), size=1)]
    m = min(bank.m, len(bank.codes))
    return _settled(combine(bank.codes, centre, m, min(K, m), random)[0])


def _draw(bank: Bank, request: NeighboursRequest, code: np.ndarray) -> np.ndarray:
    """New codes (count, D)."""
    random = np.random.default_rng([request.seed, 1])
    if request.way == "density":
        return _settled(KDE(bank.codes, request.bandwidth * float(bank.codes.std(0).mean())).sample(request.count, random))
    m = min(max(bank.m, request.k), len(bank.codes))
    around = np.repeat(code[None], request.count, axis=0)
    return _settled(combine(bank.codes, around, m, min(request.k, m), random, request.spread))


def _places(engine: Engine, networks: _Networks, bank: Bank, kind: str, codes: np.ndarray, first: int) -> list[Place]:
    codes = _settled(codes)
    index, distance = neighbours(bank.codes, codes, 1)
    images = engine.run(networks.generator.id, latent=codes)
    labels = [bank.names[label].replace("_", " ") if bank.names else "" for label in bank.labels[index[:, 0]]]
    spacing = _spacing(bank)
    return [
        Place(kind, first + row, codes[row], to_uint8(images[row]), float(distance[row, 0] / spacing), labels[row])
        for row in range(len(codes))
    ]


@lru_cache(maxsize=8)
def _spacing(bank: Bank) -> float:
    """How far a code of the bank is from its nearest other one, as a rule."""
    some = bank.codes[:: max(1, len(bank.codes) // SPACING_CODES)]
    _, distance = neighbours(bank.codes, some, min(2, len(bank.codes)))
    return float(np.median(distance[:, -1])) or 1.0


def near_words(place: Place) -> str:
    """How new a point is, in words."""
    if place.distance < 0.25:
        return "as in the bank"
    return "between its neighbours" if place.distance < 1.25 else "away from the bank"


def _sheet(here: Place, near: Sequence[Place], samples: Sequence[Place]) -> np.ndarray:
    """The point and its neighbours above, below them what is new."""
    across = 1 + len(near)
    rows = [[here.image, *(place.image for place in near)]]
    rows += [[place.image for place in samples[start : start + across]] for start in range(0, len(samples), across)]
    return draw_sheet(rows, ["here", *(f"neighbour {place.index + 1}" for place in near)])


# --- maps ---------------------------------------------------------------------------------------------------------------------


def draw_map(engine: Engine, domain: str, kind: str = "pca") -> Map:
    """The bank on a plane; the t-SNE (van der Maaten and Hinton 2008) takes some ten seconds. Raises ``ValueError``."""
    if kind not in tuple(MAPS):
        raise ValueError(f"There is no map {kind!r}; there is {' and '.join(MAPS)}.")
    bank = read_bank(engine.store, _networks(engine.registry, domain).codes)
    chosen = np.sort(np.random.default_rng(0).permutation(len(bank.codes))[: DOTS[kind]])
    dots = bank.places[chosen] if kind == "pca" else _tsne(bank.codes[chosen])
    return Map(kind, bank, chosen, _scaled(dots, bank.places if kind == "pca" else dots))


def _tsne(codes: np.ndarray) -> np.ndarray:
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    # More threads than one would wait for each other on cores that the engine uses, and be ten times as slow.
    with threadpool_limits(1):
        perplexity = min(30.0, (len(codes) - 1) / 3)
        return TSNE(init="pca", perplexity=perplexity, max_iter=TSNE_STEPS, random_state=0, n_jobs=1).fit_transform(codes)


def _scaled(places: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """``places`` (B, 2) on a plane that holds the ``whole`` (N, 2) but for its outermost: (B, 2) in [0, 1]."""
    low, high = np.percentile(whole, (0.5, 99.5), axis=0)
    return np.clip(0.03 + 0.94 * (places - low) / np.maximum(high - low, 1e-9), 0, 1)


# --- recipes ------------------------------------------------------------------------------------------------------------------


def place_recipe(result: NeighboursResult, place: Place) -> Recipe:
    """How to make the picture of one place again."""
    shows = {"shows": place.kind, "index": place.index}
    return result.recipe.model_copy(update={"parameters": {**result.recipe.parameters, **shows}})


def request_from_recipe(recipe: Recipe) -> NeighboursRequest:
    """The request that made a result. Raises ``ValueError`` if the recipe is another tab's or verb's, or damaged."""
    if (recipe.tab, recipe.verb) != ("manifold", "neighbours"):
        raise ValueError(f"This picture was made on the tab {recipe.tab}: use it there.")
    asked = recipe.parameters
    code = asked.get("code", [])
    return NeighboursRequest(
        domain=asked.get("domain", "face"),
        code=tuple(code) if isinstance(code, list) else (),
        seed=recipe.seed or 0,
        way=asked.get("way", "convex"),
        k=asked.get("k", K),
        spread=asked.get("spread", 1.0),
        bandwidth=asked.get("bandwidth", BANDWIDTH),
        count=asked.get("count", COUNT),
    )


def _settings(request: NeighboursRequest) -> dict[str, Any]:
    way = {"k": request.k, "spread": request.spread} if request.way == "convex" else {"bandwidth": request.bandwidth}
    return {"domain": request.domain, "code": list(request.code), "way": request.way, **way, "count": request.count}


def _settled(codes: np.ndarray) -> np.ndarray:
    """Codes as a recipe can name them."""
    return np.round(codes.astype(np.float64), DIGITS).astype(np.float32)


def _short(number: float) -> float:
    return round(float(number), DIGITS)


def _fits(number: Any) -> bool:
    return is_number(number) and abs(number) < MOST_FAR
