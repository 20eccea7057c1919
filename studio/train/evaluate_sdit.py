"""SDIT measured as in its chapter (Wang 2020, section 6.5): tables 6.1 to 6.4, and how many networks other ways would take.

Attributes are changed in faces of part 9, which no network learnt from. A reverse classifier learns from translated pictures
alone what a domain looks like, and is tested on photographs: it fails where pictures are not like a domain's, and where all are
alike. It sees them through a judge that knows neither cars nor paintings.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from studio.core.engine import Engine
from studio.core.faces import FRAME_SIZE, FRAMES, align
from studio.core.images import to_uint8
from studio.core.registry import Card
from studio.metrics.attributes import counts
from studio.metrics.class_score import BATCH, ask_judge
from studio.metrics.identity import embed_heads
from studio.metrics.lpips import feature_maps, mean_pairwise
from studio.models import cyclegan, munit
from studio.models.sdit import Generator
from studio.train import cyclegan as cyclegan_recipe
from studio.train.attended import Attended, measure_attention
from studio.train.data import MODEL_PARTS, VALIDATION_PARTS, to_unit
from studio.train.loop import Settings, load_state
from studio.train.sdit import DETERMINISTIC, DOMAINS, LATENT, VARIANTS, Labelled, SDITTrainer, read_labelled

ATTRIBUTE_JUDGE = "judge-attributes"
ABLATED = ("Bangs", "Blond_Hair", "Brown_Hair", "Young", "Male")  # section 6.5.2
HEAD_SIDE = 128  # px that the judge of identity is shown
NEW_PARTS = frozenset((7, 8, 9))  # of paintings and cars: no judge has learnt from them
REAL = 50  # photographs of a domain whose distances are measured
OURS = "SDIT"
ONE_ANSWER = "deterministic"
MOST = 1.15  # times the ID distance of the network with one answer that SDIT may have

Report = Callable[[int, int, str], None]
# Pictures float32 (N, 3, R, R) in [-1, 1], labels (N, K), latents (N, Z) -> pictures.
Translate = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Attribute:
    """An attribute turned round: how far people then are from themselves (1 - the judge's cosine), the perceptual distance of
    pictures of one photo, the share that the judge of attributes reads as asked, from the studio's probabilities on; the distance
    of photographs that have it."""

    name: str
    id_distance: float
    lpips: float
    as_asked: float
    lpips_photographs: float


@dataclass(frozen=True)
class Row:
    """A variant of table 6.1, means over ``ABLATED``."""

    name: str
    id_distance: float
    lpips: float
    as_asked: float


@dataclass(frozen=True)
class Domain:
    """A domain of tables 6.3 and 6.4: the share of its photographs that a classifier knows which learnt from translated pictures,
    or from photographs; the perceptual distance of pictures of one photo, or of photographs."""

    name: str
    accuracy: float
    accuracy_photographs: float
    lpips: float
    lpips_photographs: float


@dataclass(frozen=True)
class Networks:
    """How many networks it takes to go from each domain to each other one, and how many parameters."""

    way: str
    networks: int
    parameters: int


@dataclass(frozen=True)
class Figures:
    """What was measured; parts that were not asked for are empty. ``pictures``: each variant learnt from. ``deterministic``: the
    attributes again, by the network that has one answer."""

    attributes: tuple[Attribute, ...]
    table: tuple[Row, ...]
    pictures: int
    domains: dict[str, tuple[Domain, ...]]
    networks: dict[str, tuple[Networks, ...]]
    photos: int
    styles: int
    attended: tuple[Attended, ...] = ()
    deterministic: tuple[Attribute, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, with the means of each table and what the chapter claims of them."""
        means = {"attributes": _means(self.attributes), ONE_ANSWER: _means(self.deterministic)}
        means |= {name: _means(rows) for name, rows in self.domains.items()}
        return asdict(self) | {"means": means, "claims": self._claims()}

    def _claims(self) -> dict[str, Any]:
        rows = {row.name: row for row in self.table}
        claims = {}
        if {OURS, "SDIT (L_LAT = 0)"} <= rows.keys():
            more = round(rows[OURS].lpips - rows["SDIT (L_LAT = 0)"].lpips, 3)
            claims["more_varied_with_the_latent_loss"] = {"holds": more > 0, "by": more}
        if {OURS, "SDIT w/o Atten (L_LAT > 0)"} <= rows.keys():
            nearer = round(rows["SDIT w/o Atten (L_LAT > 0)"].id_distance - rows[OURS].id_distance, 3)
            claims["people_stay_themselves_with_attention"] = {"holds": nearer > 0, "by": nearer}
        if self.attributes and self.deterministic:
            many, one = _means(self.attributes), _means(self.deterministic)
            times = round(many["id_distance"] / one["id_distance"], 3)
            claims["many_answers_stay_as_near_as_one"] = {"holds": times <= MOST and many["lpips"] > one["lpips"], "by": times}
        return claims


def evaluate_sdit(
    engine: Engine,
    parts: Sequence[str] = ("attributes", "art", "cars"),
    names: Sequence[str] = (),
    pictures: int = 10_000,
    size: int = 64,
    photos: int = 24,
    styles: int = 10,
    data_dir: Path | None = None,
    report: Report = lambda done, total, now: None,
) -> Figures:
    """Measures what is asked for.

    Args:
        engine: has the judges among its cards, and the networks of ``parts``.
        parts: "attributes" (table 6.2), "deterministic" (the same of the network that has one answer, from its run), "art" and
            "cars" (tables 6.3 and 6.4).
        names: rows of table 6.1, of the ``VARIANTS``; none leaves it out.
        pictures: each of these learns from, of ``size`` px.
        photos: are translated ``styles`` times each.
        data_dir: folder of the packs; None looks where training does.
        report: told what happens.

    Raises:
        FileNotFoundError: a pack is not there.
        UnknownModel: there is no judge.
        ValueError: there is no such row, or no network of a part.
    """
    if unknown := set(names) - set(VARIANTS):
        raise ValueError(f"There is no row {', '.join(sorted(unknown))}; there is {', '.join(VARIANTS)}.")
    cards = {part: find_card(engine, part) for part in parts if part != ONE_ANSWER}
    one = deterministic_run(size, data_dir) if ONE_ANSWER in parts else None
    total = len(names) + len(parts)
    table = compare(engine, names, pictures, size, photos, styles, data_dir, lambda n, now: report(n, total, now))
    attributes, attended, domains, done = (), (), {}, len(names)
    for part, card in cards.items():
        report(done, total, f"Translating {part}")
        translate, done = translator(engine, card), done + 1
        if part == "attributes":
            faces = read_labelled(part, card.resolution, data_dir, VALIDATION_PARTS)
            attributes = measure_attributes(engine, translate, faces, faces.kind.names, photos, styles)
            attended = measure_attention(engine, card, faces, photos)
        else:
            learnt, new = (read_labelled(part, card.resolution, data_dir, tenths) for tenths in (MODEL_PARTS, NEW_PARTS))
            domains[part] = measure_domains(engine, translate, learnt, new, photos, styles)
    single = ()
    if one:
        report(done, total, "Translating attributes, one answer each")
        single = measure_attributes(engine, translator_of(one), one.held_out, one.kind.names, photos, 2)
    networks = {part: count_networks(card) for part, card in cards.items()}
    return Figures(attributes, table, pictures, domains, networks, photos, styles, attended, single)


def find_card(engine: Engine, part: str) -> Card:
    """The finest network of these domains. Raises ``ValueError`` if there is none."""
    if part not in DOMAINS:
        raise ValueError(f"There are no domains {part!r}; there is {', '.join(DOMAINS)}.")
    cards = engine.registry.list_models(f"sdit-{part}-*", "translate")
    if not cards:
        raise ValueError(f"There is no network of {part} yet: make it with `python -m studio train sdit-{part}-64 --ship`.")
    return max(cards, key=lambda card: card.resolution)


def translator(engine: Engine, card: Card) -> Translate:
    """What translates with the network of a card."""
    return lambda images, labels, latents: engine.run(card.id, image=images, label=labels, latent=latents)["image"]


# --- table 6.1 ----------------------------------------------------------------------------------------------------------------


def compare(
    engine: Engine,
    names: Sequence[str],
    pictures: int,
    size: int,
    photos: int,
    styles: int,
    data_dir: Path | None,
    report: Callable[[int, str], None],
) -> tuple[Row, ...]:
    """The rows of table 6.1: variants of one recipe, on the same pictures, from the same draws."""
    rows = []
    for place, name in enumerate(names):
        report(place, name)
        settings = Settings(out=Path("runs") / "sdit", minutes=0.0, data=data_dir)
        trainer = SDITTrainer(settings, "attributes", size, VARIANTS[name])
        while trainer.images < pictures:
            trainer.advance()
        known = [attribute for attribute in ABLATED if attribute in trainer.kind.names]
        found = measure_attributes(engine, translator_of(trainer), trainer.held_out, known, photos, styles)
        rows.append(Row(name, **{key: value for key, value in _means(found).items() if key != "lpips_photographs"}))
    return tuple(rows)


def deterministic_run(size: int, data_dir: Path | None) -> SDITTrainer:
    """The network that has one answer for each attribute, as its run left it. Raises ``ValueError`` where there is none."""
    settings = Settings(out=Path("runs") / f"sdit-{ONE_ANSWER}-attributes-{size}", minutes=0.0, data=data_dir)
    trainer = SDITTrainer(settings, "attributes", size, VARIANTS[DETERMINISTIC])
    if not load_state(trainer, settings.out):
        raise ValueError(f"There is no network with one answer yet: make it with `python -m studio train {trainer.name}`.")
    return trainer


def translator_of(trainer: SDITTrainer) -> Translate:
    """What translates with the average of a run."""

    def translate(*arrays: np.ndarray) -> np.ndarray:
        return trainer.translate(*(torch.from_numpy(array).to(trainer.device) for array in arrays))["image"].cpu().numpy()

    return translate


# --- table 6.2 ----------------------------------------------------------------------------------------------------------------


def measure_attributes(
    engine: Engine, translate: Translate, faces: Labelled, names: Sequence[str], photos: int, styles: int
) -> tuple[Attribute, ...]:
    """Turns each of the attributes ``names`` of portraits round, ``styles`` times each.

    Raises:
        ValueError: there are too few portraits.
    """
    images, labels = _some(faces, photos)
    own = embed_heads(engine, _heads(images))
    return tuple(_attribute(engine, translate, faces, name, images, labels, own, styles) for name in names)


def _attribute(
    engine: Engine,
    translate: Translate,
    faces: Labelled,
    name: str,
    images: np.ndarray,
    labels: torch.Tensor,
    own: np.ndarray,
    styles: int,
) -> Attribute:
    place = list(faces.kind.names).index(name)
    judged = engine.registry.card(ATTRIBUTE_JUDGE).labels.index(name)
    wanted = faces.kind.towards(labels, name)
    cosines, distances, right = [], [], []
    for index, image in enumerate(images):
        made = _only_asked(translate, image, labels[index], _styles(translate, image, wanted[index], styles))
        cosines.append(embed_heads(engine, _heads(made)) @ own[index])
        distances.append(_spread(engine, made))
        logits = ask_judge(engine, made, ATTRIBUTE_JUDGE)["logits"][:, judged].astype(np.float64)
        has = [counts(name, probability) for probability in 1 / (1 + np.exp(-logits))]
        right.append(np.array(has) == bool(wanted[index, place] > 0))
    alike = to_unit(faces.images[faces.labels[:, place] > 0][:REAL]).numpy()
    return Attribute(
        name=name,
        id_distance=round(1 - float(np.mean(cosines)), 3),
        lpips=round(float(np.mean(distances)), 3) + 0.0,  # never -0
        as_asked=round(float(np.mean(right)), 3),
        lpips_photographs=round(_spread(engine, alike), 3),
    )


def _only_asked(translate: Translate, image: np.ndarray, label: torch.Tensor, made: np.ndarray) -> np.ndarray:
    """A portrait (3, R, R) with what pictures of it, ``made`` (N, 3, R, R), have that the network does not draw anyway, where
    nothing is asked for: as the studio lays it on a photo."""
    unchanged = translate(image[None], label.numpy()[None], np.zeros((1, LATENT), np.float32))
    return (image + made - unchanged).clip(-1, 1)


def _heads(portraits: np.ndarray) -> list[np.ndarray]:
    """Of portraits float32 (N, 3, S, S), for the judge of identity."""
    eyes = np.array(FRAMES["portrait"]) * portraits.shape[-1] / FRAME_SIZE
    return [align(to_uint8(portrait), eyes, "head", HEAD_SIDE).image for portrait in portraits]


# --- tables 6.3 and 6.4 -------------------------------------------------------------------------------------------------------


def measure_domains(
    engine: Engine, translate: Translate, learnt: Labelled, new: Labelled, photos: int, styles: int
) -> tuple[Domain, ...]:
    """Of classes: translates each picture ``learnt`` to one other class, and tests what that teaches on the ``new`` ones."""
    count = len(learnt.kind.names)
    classes, truth = (pack.labels.argmax(1).numpy() for pack in (learnt, new))
    targets = (classes + 1 + np.arange(len(classes)) % (count - 1)) % count
    wanted = np.eye(count, dtype=np.float32)[targets]
    latents = np.random.default_rng(0).standard_normal((len(targets), LATENT)).astype(np.float32)
    images = to_unit(learnt.images).numpy()
    made = np.concatenate(
        [translate(*(each[i : i + BATCH] for each in (images, wanted, latents))) for i in range(0, len(images), BATCH)]
    )
    seen = look(engine, to_unit(new.images).numpy())
    known = [
        recalls(look(engine, pictures), called, seen, truth, count) for pictures, called in ((made, targets), (images, classes))
    ]
    some, _ = _some(new, photos)
    rows = []
    for k, name in enumerate(new.kind.names):
        label = torch.eye(count)[k]
        apart = float(np.mean([_spread(engine, _styles(translate, image, label, styles)) for image in some]))
        real = _spread(engine, to_unit(new.images[torch.from_numpy(truth == k)][:REAL]).numpy())
        rows.append(Domain(name, *(round(float(each[k]), 3) for each in known), round(apart, 3), round(real, 3)))
    return tuple(rows)


def look(engine: Engine, images: np.ndarray) -> np.ndarray:
    """Features (N, F) of pictures (N, 3, R, R): the means of the judge's maps over their places."""
    parts = [feature_maps(ask_judge(engine, images[i : i + BATCH])) for i in range(0, len(images), BATCH)]
    return np.concatenate([np.concatenate([maps.mean((2, 3)) for maps in part], axis=1) for part in parts])


def recalls(learnt: np.ndarray, called: np.ndarray, seen: np.ndarray, truth: np.ndarray, count: int) -> np.ndarray:
    """The share of each class of ``seen`` (N, F), ``truth`` (N,), that a linear classifier of ``learnt`` and ``called`` knows."""
    classifier = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=1000, class_weight="balanced"))
    said = classifier.fit(learnt, called).predict(seen)
    return np.array([(said[truth == k] == k).mean() for k in range(count)])


# --- networks -----------------------------------------------------------------------------------------------------------------


def count_networks(card: Card) -> tuple[Networks, ...]:
    """For the K domains of a card: one SDIT; a generator there and one back for each of K (K - 1) / 2 pairs (CycleGAN), or an
    encoder and a decoder for each end (MUNIT), of the studio's own sizes. Attributes, there or not, are K pairs."""
    count = len(card.labels)
    pairs = count if card.domains[-1] == "attributes" else count * (count - 1) // 2
    there = cyclegan.Generator(**cyclegan_recipe.CONFIGS[card.resolution], domains=1)
    end = nn.ModuleList([munit.Encoder(), munit.Decoder(properties=0)])
    return (
        Networks(OURS, 1, _parameters(Generator(**card.config))),
        Networks("CycleGAN", 2 * pairs, 2 * pairs * _parameters(there)),
        Networks("MUNIT", 2 * pairs, 2 * pairs * _parameters(end)),
    )


def _parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


# --- pictures -----------------------------------------------------------------------------------------------------------------


def _some(pack: Labelled, count: int) -> tuple[np.ndarray, torch.Tensor]:
    """``count`` pictures, float32 (count, 3, R, R) in [-1, 1], and their labels, in a fixed random order."""
    if len(pack.images) < count:
        raise ValueError(f"There are only {len(pack.images)} pictures to translate: measure fewer with --photos.")
    order = torch.from_numpy(np.random.default_rng(0).permutation(len(pack.images))[:count])
    return to_unit(pack.images[order]).numpy(), pack.labels[order]


def _styles(translate: Translate, image: np.ndarray, label: torch.Tensor, styles: int) -> np.ndarray:
    """A picture (3, R, R), ``styles`` times translated."""
    latents = np.random.default_rng(0).standard_normal((styles, LATENT)).astype(np.float32)
    return translate(np.repeat(image[None], styles, 0), np.repeat(label.numpy()[None], styles, 0), latents)


def _spread(engine: Engine, images: np.ndarray) -> float:
    """The mean perceptual distance of pictures (N, 3, R, R)."""
    return mean_pairwise(feature_maps(ask_judge(engine, images)))


def _means(rows: Sequence[Any]) -> dict[str, float]:
    """Of each column of a table."""
    if not rows:
        return {}
    return {name: round(float(np.mean([getattr(row, name) for row in rows])), 3) for name in asdict(rows[0]) if name != "name"}
