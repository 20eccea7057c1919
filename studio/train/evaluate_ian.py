"""IAN's Table 1 on our data (section 5.1): scores and errors of real pictures, sampling GANs, K-GANs and their cascades.

All pictures are compared at 64 px and in eight bits. A row has as many samples whatever the number of animals, which share
them out: sample i is meant to be the same animal in every row, and begins with the same latent where the prior is the same, so
that rows can be compared sample by sample. Real pictures are those of part 9 wherever they are scored; the paper scores
training pictures, whose err is 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from studio.core.engine import Engine
from studio.core.images import resize, to_uint8
from studio.core.registry import Card
from studio.metrics.class_score import ANIMAL_JUDGE
from studio.metrics.face_score import has_face
from studio.metrics.fid import frechet_distance
from studio.metrics.identity import IDENTITY_JUDGE, embed_heads
from studio.metrics.kid import kid
from studio.metrics.nearest import TrainingPictures
from studio.models.dcgan import LATENT
from studio.train.data import MODEL_PARTS, VALIDATION_PARTS, part, read_pack
from studio.train.evaluate import BATCH, judged, translated
from studio.train.gan import read_faces

SIZE = 64  # px
SEED = 0
CASCADE = "+Cyc"  # behind a first stage's name: its samples after the CycleGAN of their animal
# KID is a mean over so many subsets of so many pictures.
SUBSETS, SUBSET_SIZE = 40, 500

# The claims that are checked. err of the paper's plain GANs, section 5.1; the points of score(Y) a cascade has to gain.
PAPER_ERROR = (0.43, 0.48)
GAIN = 0.30
# A sample that is nearer to a training picture than this share of what new photographs are on average is a copy of it.
COPY = 0.5

# A generator is a study if fewer of its samples hold a face, if any two of them are one person to the judge (by the mean cosine
# and what few strangers reach), and, where it makes plain faces, if they are further from new photographs (KID x 1000, identity
# judge; photographs are at 0, a single face for everybody would be at several thousand).
FACES_FOUND, FAR = 0.5, 500.0
FAR_WORDS = "as a set its faces are far from photographs"
ALIKE_WORDS = "the identity judge takes its faces for one person"

Report = Callable[[int, int, str], None]
FIGURES = ("score_x", "score_y", "error_x", "error_y")


@dataclass(frozen=True)
class Row:
    """A row of Table 1, as shares: ``score_x``, ``score_y``, ``error_x`` and ``error_y`` are means over the animals.

    ``by_animal`` has the four figures of each animal, ``copies`` the share of samples that are nearly a training face.
    """

    name: str
    samples: int
    score_x: float
    score_y: float
    error_x: float
    error_y: float
    copies: float
    by_animal: dict[str, dict[str, float]]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; figures in percent, as in the paper, with the averages of X and Y."""
        figures = {name: getattr(self, name) for name in FIGURES}
        figures |= {"score": (self.score_x + self.score_y) / 2, "error": (self.error_x + self.error_y) / 2, "copies": self.copies}
        by_animal = {animal: _percent(values) for animal, values in self.by_animal.items()}
        return {"name": self.name, "samples": self.samples, **_percent(figures), "by_animal": by_animal}


@dataclass(frozen=True)
class Distance:
    """How far the faces of a generator are, as a set, from new photographs: KID x 1000 with its deviation over subsets, and FID,
    on the features of the identity judge and on those of the animal judge. ``likeness`` is the mean cosine of two of its faces,
    as the identity judge sees them."""

    name: str
    kid_identity: float
    kid_identity_std: float
    fid_identity: float
    kid_animal: float
    kid_animal_std: float
    fid_animal: float
    likeness: float

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, rounded to what the number of pictures supports."""
        return {name: value if isinstance(value, str) else round(value, 3) for name, value in vars(self).items()}


@dataclass(frozen=True)
class ModelFigures:
    """What goes into the card of one generator."""

    card: str
    figures: dict[str, Any]
    reason: str | None

    def measures(self) -> dict[str, Any]:
        return {name: round(value, 4) if isinstance(value, float) else value for name, value in self.figures.items()}

    def study(self) -> str | None:
        return self.reason


@dataclass(frozen=True)
class Table:
    """Table 1. ``pictures`` counts the real ones; ``floor`` is the distance of learnt photographs to new ones."""

    animals: tuple[str, ...]
    samples: int
    rows: tuple[Row, ...]
    floor: Distance
    distances: tuple[Distance, ...]
    claims: dict[str, Any]
    models: tuple[ModelFigures, ...]
    pictures: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "animals": list(self.animals),
            "samples": self.samples,
            "pictures": self.pictures,
            "rows": [row.to_dict() for row in self.rows],
            "distances": [distance.to_dict() for distance in (self.floor, *self.distances)],
            "claims": self.claims,
            "studies": {model.card: model.reason for model in self.models if model.reason},
        }


@dataclass(eq=False)
class _Seen:
    """Pictures and what was measured of each: ``meant`` (N, A) says which animals a picture counts for, ``found`` (N,) whether
    there is a face, ``chances`` (N, A) the judge's of each animal, ``error_x`` (N,), ``error_y`` (N, A) where meant, else 0."""

    images: np.ndarray
    meant: np.ndarray
    found: np.ndarray
    chances: np.ndarray
    embedding: np.ndarray
    error_x: np.ndarray
    error_y: np.ndarray


@dataclass(eq=False)
class _Real:
    """Real pictures, uint8 (N, S, S, 3): what was learnt from, and what is new to every network."""

    learnt: np.ndarray
    new: np.ndarray
    learnt_animals: list[np.ndarray]
    new_animals: list[np.ndarray]


def evaluate_ian(
    engine: Engine,
    generators: Mapping[str, Sequence[Card]],
    translators: Sequence[Card],
    samples: int = 1000,
    data_dir: Path | None = None,
    report: Report = lambda done, total, now: None,
) -> Table:
    """Measures all rows that the cards allow.

    Args:
        engine: has the judges among its cards.
        generators: by the name of their row; a plain GAN is one card, a K-GAN one for each of its animals.
        translators: face-to-animal networks. The animals of the table are those of them that all K-GANs have.
        samples: per row.
        data_dir: folder of the packs; None looks where training does.
        report: told how many rows of how many are measured, and which one is next.

    Raises:
        FileNotFoundError: a pack is not there.
        UnknownModel: there is no judge.
        ValueError: there is nothing to measure, or too few samples.
    """
    cyclegans = _shared_animals(engine, generators, translators)
    if samples < 2 * len(cyclegans):
        raise ValueError(f"Ask for {2 * len(cyclegans)} samples or more: two of each animal.")
    return _Evaluation(engine, generators, cyclegans, samples, report).run(_read_real(list(cyclegans), data_dir, report))


def _shared_animals(engine: Engine, generators: Mapping[str, Sequence[Card]], translators: Sequence[Card]) -> dict[str, Card]:
    """The CycleGAN of each animal that every K-GAN has and the judge knows, by name."""
    if not generators:
        raise ValueError("There is no generator to measure: train and ship one first.")
    labels = engine.registry.card(ANIMAL_JUDGE).labels
    adapted = [{card.domains[1] for card in cards} for cards in generators.values() if _is_adapted(cards)]
    known = {card.domains[1]: card for card in translators if card.domains[1] in labels}
    shared = {animal: card for animal, card in known.items() if all(animal in animals for animals in adapted)}
    if not shared:
        raise ValueError("No animal has a CycleGAN and all of the K-GANs: train the one that is missing.")
    return shared


def _is_adapted(cards: Sequence[Card]) -> bool:
    return cards[0].base is not None


def _read_real(animals: Sequence[str], data_dir: Path | None, report: Report) -> _Real:
    """At 64 px in the head frame. A face counts with its mirror image, which the generators learnt from as well."""
    report(0, 1, "Reading the packs")
    faces, rows = read_faces(SIZE, data_dir, MODEL_PARTS | VALIDATION_PARTS)
    faces = faces.permute(0, 2, 3, 1).numpy()
    is_new = _are_new(rows)
    pack = read_pack("animals160", SIZE, data_dir, lambda row: row["class"] in animals)
    pictures = pack.images.permute(0, 2, 3, 1).numpy()
    parts = np.array([part(row["file_name"]) for row in pack.rows])
    learnt, new = np.isin(parts, list(MODEL_PARTS)), np.isin(parts, list(VALIDATION_PARTS))
    of = {animal: np.array([row["class"] == animal for row in pack.rows]) for animal in animals}
    for animal, mask in of.items():
        if not (mask & learnt).any() or not (mask & new).any():
            raise ValueError(f"The pack animals160 has too few pictures of {animal!r} to measure with.")
    return _Real(
        learnt=faces[~is_new],
        new=faces[is_new],
        learnt_animals=[pictures[of[animal] & learnt] for animal in animals],
        new_animals=[pictures[of[animal] & new] for animal in animals],
    )


def _are_new(rows: Iterable[Mapping[str, str]]) -> np.ndarray:
    return np.array([part(row["file_name"]) in VALIDATION_PARTS for row in rows])


def _with_mirrors(images: np.ndarray) -> np.ndarray:
    return np.concatenate([images, images[:, :, ::-1]])


@dataclass(eq=False)
class _Evaluation:
    engine: Engine
    generators: Mapping[str, Sequence[Card]]
    cyclegans: Mapping[str, Card]
    samples: int
    report: Report
    seen: dict[str, _Seen] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.animals = list(self.cyclegans)
        labels = list(self.engine.registry.card(ANIMAL_JUDGE).labels)
        self.places = [labels.index(animal) for animal in self.animals]

    def run(self, real: _Real) -> Table:
        self.real = real
        self.faces = TrainingPictures(_with_mirrors(real.learnt))
        self.pictures_of = [TrainingPictures(_with_mirrors(images)) for images in real.learnt_animals]
        makers = self._makers()
        for done, (name, make) in enumerate(makers.items()):
            self.report(done, len(makers), name)
            self.seen[name] = self._see(*make())
        self.report(len(makers), len(makers), "Comparing")
        self.who = {name: self._embed(self.seen[name].images) for name in self.generators}
        rows = {name: self._row(name, seen) for name, seen in self.seen.items()}
        floor, distances = self._distances()
        return Table(
            animals=tuple(self.animals),
            samples=self.samples,
            rows=tuple(rows.values()),
            floor=floor,
            distances=tuple(distances.values()),
            claims=check_claims(self.seen, rows, list(self.generators)),
            models=tuple(self._models(rows, floor, distances)),
            pictures=self._counts(),
        )

    # --- what is measured -----------------------------------------------------------------------------------------------------

    def _makers(self) -> dict[str, Callable[[], tuple[np.ndarray, np.ndarray]]]:
        """How to make each row's pictures, with the animals they are meant to be: (N, S, S, 3) and (N, A)."""
        real, shared = self.real, self._shared_out
        makers: dict[str, Callable[[], tuple[np.ndarray, np.ndarray]]] = {
            "real(X)": lambda: (real.new, self._for_all(len(real.new))),
            "real(Y)": lambda: (np.concatenate(real.new_animals), self._each_its_own(real.new_animals)),
            f"real(X){CASCADE}": lambda: self._cascaded(real.new),
        }
        for name, cards in self.generators.items():
            meant = shared if _is_adapted(cards) else self._for_all
            makers[name] = lambda cards=cards, meant=meant: (self._sample(cards), meant(self.samples))
        makers[f"rand{CASCADE}"] = lambda: self._cascaded(_noise(self.samples))
        for name in self.generators:
            makers[name + CASCADE] = lambda name=name: self._cascaded(self.seen[name].images)
        return makers

    def _sample(self, cards: Sequence[Card]) -> np.ndarray:
        """uint8 (samples, S, S, 3): at full truncation and imagination, from latents that depend on the prior alone."""
        draw, first = np.random.default_rng(SEED), cards[0]
        if first.family == "stylegan":
            latents = draw.standard_normal((self.samples, first.config["latent"]))
        else:
            latents = draw.uniform(-1, 1, (self.samples, LATENT))
        by_animal = {card.domains[-1]: card for card in cards}
        images = np.empty((self.samples, SIZE, SIZE, 3), np.uint8)
        for start in range(0, self.samples, BATCH):
            for rows, animal in self._groups(range(start, min(start + BATCH, self.samples))):
                card = by_animal[animal] if _is_adapted(cards) else first
                images[rows] = sample(self.engine, card, latents[rows].astype(np.float32))
        return images

    def _cascaded(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Each picture through the CycleGAN of its animal."""
        out = np.empty((len(images), SIZE, SIZE, 3), np.uint8)
        for start in range(0, len(images), BATCH):
            for rows, animal in self._groups(range(start, min(start + BATCH, len(images)))):
                card = self.cyclegans[animal]
                heads = np.stack([_resized(image, card.resolution) for image in images[rows]])
                out[rows] = [_resized(image, SIZE) for image in translated(self.engine, card, heads)]
        return out, self._shared_out(len(images))

    def _groups(self, rows: range) -> list[tuple[list[int], str]]:
        """The rows by the animal that each is meant to be."""
        count = len(self.animals)
        groups = [([row for row in rows if row % count == place], animal) for place, animal in enumerate(self.animals)]
        return [(chosen, animal) for chosen, animal in groups if chosen]

    def _shared_out(self, count: int) -> np.ndarray:
        return np.arange(count)[:, None] % len(self.animals) == np.arange(len(self.animals))

    def _for_all(self, count: int) -> np.ndarray:
        return np.ones((count, len(self.animals)), bool)

    def _each_its_own(self, sets: Sequence[np.ndarray]) -> np.ndarray:
        return np.repeat(np.eye(len(sets), dtype=bool), [len(images) for images in sets], axis=0)

    def _see(self, images: np.ndarray, meant: np.ndarray) -> _Seen:
        answer = judged(self.engine, images)
        error_y = np.zeros(meant.shape)
        for column, pictures in enumerate(self.pictures_of):
            error_y[meant[:, column], column] = pictures.error(images[meant[:, column]])
        with ThreadPoolExecutor() as threads:  # OpenCV lets go of the interpreter while it looks
            found = np.array(list(threads.map(has_face, images)))
        chances = answer.probabilities[:, self.places]
        return _Seen(images, meant, found, chances, answer.embedding, self.faces.error(images), error_y)

    # --- what comes out -------------------------------------------------------------------------------------------------------

    def _row(self, name: str, seen: _Seen) -> Row:
        by_animal = {}
        for column, animal in enumerate(self.animals):
            own = seen.meant[:, column]
            values = seen.found[own], seen.chances[own, column], seen.error_x[own], seen.error_y[own, column]
            by_animal[animal] = {figure: float(value.mean()) for figure, value in zip(FIGURES, values, strict=True)}
        means = {figure: float(np.mean([values[figure] for values in by_animal.values()])) for figure in FIGURES}
        copies = float((seen.error_x < COPY * self.seen["real(X)"].error_x.mean()).mean())
        return Row(name, len(seen.images), **means, copies=copies, by_animal=by_animal)

    def _distances(self) -> tuple[Distance, dict[str, Distance]]:
        """Of as many learnt photographs as there are samples, and of every generator of plain faces, to all new photographs."""
        picked = np.random.default_rng(SEED).permutation(len(self.real.learnt))[: self.samples]
        learnt = self.real.learnt[picked]
        wanted = self._embed(self.real.new), self.seen["real(X)"].embedding
        floor = _distance("real", (self._embed(learnt), judged(self.engine, learnt).embedding), wanted)
        plain = [name for name, cards in self.generators.items() if not _is_adapted(cards)]
        return floor, {name: _distance(name, (self.who[name], self.seen[name].embedding), wanted) for name in plain}

    def _embed(self, images: np.ndarray) -> np.ndarray:
        """The identity judge's embeddings (N, E), their squares 1 on average: their kernel is (cosine + 1)^3."""
        parts = [embed_heads(self.engine, images[start : start + BATCH]) for start in range(0, len(images), BATCH)]
        embedding = np.concatenate(parts)
        return embedding * np.sqrt(embedding.shape[1])

    def _models(self, rows: Mapping[str, Row], floor: Distance, distances: Mapping[str, Distance]) -> list[ModelFigures]:
        models = []
        for name, cards in self.generators.items():
            if _is_adapted(cards):
                models += [self._adapted(name, rows, card) for card in cards if card.domains[1] in self.animals]
            else:
                models.append(_plain(rows[name], cards[0], floor, distances[name], self._strangers()))
        return models

    def _adapted(self, name: str, rows: Mapping[str, Row], card: Card) -> ModelFigures:
        """A K-GAN's, on the samples that are meant to be its animal."""
        animal = card.domains[1]
        chosen = self._shared_out(self.samples)[:, self.animals.index(animal)]
        own, after = rows[name].by_animal[animal], rows[name + CASCADE].by_animal[animal]
        alike = likeness(self.who[name][chosen])
        figures = _for_card(int(chosen.sum()), own, alike) | {
            "animal_score": own["score_y"],
            "animal_error": own["error_y"],
            "cascade_face_score": after["score_x"],
            "cascade_animal_score": after["score_y"],
        }
        return ModelFigures(card.id, figures, _weakness(own["score_x"], alike > self._strangers()))

    def _strangers(self) -> float:
        """The cosine that few pairs of strangers reach."""
        return self.engine.registry.card(IDENTITY_JUDGE).measures.get("cosine_95_percent_of_strangers_below", 0.5)

    def _counts(self) -> dict[str, Any]:
        sets = zip(self.animals, self.real.learnt_animals, self.real.new_animals, strict=True)
        return {
            "learnt_faces": len(self.real.learnt),
            "new_faces": len(self.real.new),
            "animals": {animal: {"learnt": len(learnt), "new": len(new)} for animal, learnt, new in sets},
        }


def sample(engine: Engine, card: Card, latents: np.ndarray) -> np.ndarray:
    """Pictures of ``latents``, float32 (B, L), by a generator at full truncation and imagination: uint8 (B, S, S, 3)."""
    one = np.ones((len(latents), 1), np.float32)
    amounts = {"truncation": one} if card.family == "stylegan" else {"imagination": one} if card.base else {}
    output = engine.run(card.id, latent=latents, **amounts)
    return np.stack([_resized(to_uint8(image), SIZE) for image in (output["image"] if isinstance(output, dict) else output)])


def check_claims(seen: Mapping[str, _Seen], rows: Mapping[str, Row], names: Sequence[str]) -> dict[str, Any]:
    """What the paper says of the order of its rows, each with whether it ``holds`` here and by how much (in percent points)."""
    gains = {name: rows[name + CASCADE].score_y - rows[name].score_y for name in names}
    claims: dict[str, Any] = {
        "cascades_gain_30_points_of_score_y": {"holds": min(gains.values()) >= GAIN, "gains": _percent(gains)}
    }
    if {"K-BEGAN", "BEGAN"} <= set(names):
        gain, error = _paired_gain(seen["K-BEGAN" + CASCADE], seen["BEGAN" + CASCADE])
        figures = _percent({"gain": gain, "standard_error": error})
        claims["k_began_cascade_is_as_good_as_began_cascade_on_score_y"] = {"holds": gain >= 0, **figures}
    scores = {name: row.score_x for name, row in rows.items() if name.endswith(CASCADE)}
    worst = min(scores, key=scores.__getitem__)
    claims["noise_is_the_worst_start_of_a_cascade_on_score_x"] = {"holds": worst == f"rand{CASCADE}", "worst": worst}
    errors = {name: rows[name].error_x for name in names}
    low, high = PAPER_ERROR
    in_range = {name: low <= error <= high for name, error in errors.items()}
    bounds = {"from": low, "to": high, "new_photographs": rows["real(X)"].error_x}
    claims["error_x_is_in_the_papers_range"] = {"holds": all(in_range.values()), **_percent(bounds | errors)}
    copies = {name: rows[name].copies for name in names}
    real = rows["real(X)"].copies
    claims["no_model_memorises"] = {
        "holds": not any(_more(rows[name], rows["real(X)"]) for name in names),
        "rule": "no more samples than new photographs, but for two standard errors, are nearer to a training picture (or its "
        f"mirror image) than {COPY:.0%} of what a new photograph is on average",
        "new_photographs": round(100 * real, 2),
        **_percent(copies),
    }
    return claims


def _more(row: Row, real: Row) -> bool:
    """Whether a row has more copies than photographs have, by more than two standard errors of the difference."""
    variance = sum(one.copies * (1 - one.copies) / one.samples for one in (row, real))
    return row.copies - real.copies > 2 * variance**0.5


def _paired_gain(first: _Seen, second: _Seen) -> tuple[float, float]:
    """How much higher score(Y) is sample by sample, and the standard error of that."""
    differences = (first.chances - second.chances)[first.meant]
    return float(differences.mean()), float(differences.std() / np.sqrt(len(differences)))


def likeness(embedding: np.ndarray) -> float:
    """The mean cosine over all pairs of N rows (N, E) of one length."""
    count, square = len(embedding), np.square(embedding).sum() / len(embedding)
    return float((np.square(embedding.sum(axis=0)).sum() / square - count) / (count * (count - 1)))


def _plain(row: Row, card: Card, floor: Distance, distance: Distance, strangers: float) -> ModelFigures:
    values = next(iter(row.by_animal.values()))
    figures = _for_card(row.samples, values, distance.likeness) | {"copies": row.copies}
    figures |= {name: value for name, value in distance.to_dict().items() if name.startswith(("kid", "fid"))}
    floors = {f"{name}_floor": value for name, value in floor.to_dict().items() if name.startswith(("kid", "fid"))}
    figures |= {name: value for name, value in floors.items() if "std" not in name}
    study = _weakness(row.score_x, distance.likeness > strangers, distance.kid_identity > FAR)
    return ModelFigures(card.id, figures, study)


def _for_card(samples: int, values: Mapping[str, float], alike: float) -> dict[str, Any]:
    return {"samples": samples, "face_score": values["score_x"], "face_error": values["error_x"], "likeness": alike}


def _weakness(face_score: float, is_one_person: bool, is_far: bool = False) -> str | None:
    """One reason, the plainest."""
    if face_score < FACES_FOUND:
        return f"a face is found in only {face_score:.0%} of its pictures"
    return ALIKE_WORDS if is_one_person else FAR_WORDS if is_far else None


def _distance(name: str, made: tuple[np.ndarray, np.ndarray], wanted: tuple[np.ndarray, np.ndarray]) -> Distance:
    figures = []
    for ours, theirs in zip(made, wanted, strict=True):
        mean, deviation = kid(ours, theirs, SUBSETS, SUBSET_SIZE)
        figures += [1000 * mean, 1000 * deviation, frechet_distance(ours, theirs)]
    return Distance(name, *figures, likeness(made[0]))


def _noise(count: int) -> np.ndarray:
    return np.random.default_rng(SEED).integers(0, 256, (count, SIZE, SIZE, 3), dtype=np.uint8)


def _resized(image: np.ndarray, size: int) -> np.ndarray:
    return image if len(image) == size else resize(image, size)


def _percent(figures: Mapping[str, float]) -> dict[str, float]:
    return {name: round(100 * value, 2) for name, value in figures.items()}
