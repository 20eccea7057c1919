"""X-GAN's tables 1 to 3 on our faces, at a size that a CPU can train several times over: which real faces a model never draws.

All rows are runs of one recipe with one thing exchanged (``train/xgan.py``), on the same pictures, for as many pictures, and with
the same C_img a run. Embeddings for D* are the identity judge's; the classes of the inception score are what the judge of
demographics tells apart, gender times group. Both saw none of the pictures that the rows learn from.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from studio.core.engine import Engine
from studio.core.faces import FRAME_SIZE, FRAMES, align
from studio.core.images import to_float, to_uint8
from studio.metrics.class_score import softmax
from studio.metrics.identity import embed_heads
from studio.metrics.modes import THRESHOLDS, inception_score, missing_modes
from studio.train import xgan
from studio.train.data import to_unit
from studio.train.loop import Settings, unwrap
from studio.train.xgan import VARIANTS, XGANTrainer

DOMAIN = "faces"
SIZE, WIDTH = 32, 16  # px, channels
DEMOGRAPHICS_JUDGE = "judge-demographics"
GROUPS = slice(2, 7)  # of its answers; the first is gender, the second age
BATCH = 64
SURE = 0.95  # the threshold of Table 3
OURS = "X-GAN"

Report = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Looks:
    """What the judges say of pictures: ``embedding`` (N, E), ``probabilities`` (N, K) of classes."""

    embedding: np.ndarray
    probabilities: np.ndarray


@dataclass(frozen=True)
class Row:
    """A model: for each run the share of the test faces that it misses by threshold, and its inception score."""

    name: str
    missing: tuple[dict[float, float], ...]
    inception: tuple[float, ...]


@dataclass(frozen=True)
class Table:
    """The rows, real photographs as if they were made first; ``pictures`` each run learnt from, ``test`` faces of part 9."""

    rows: tuple[Row, ...]
    pictures: int
    samples: int
    test: int

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: counts of missed test faces and scores, each with its deviation over the runs."""
        return {
            "pictures": self.pictures,
            "samples": self.samples,
            "test": self.test,
            "size": SIZE,
            "runs": len(self.rows[0].inception),
            "rows": [self._figures(row) for row in self.rows],
            "claims": self._claims(),
        }

    def _figures(self, row: Row) -> dict[str, Any]:
        counts = {str(t): _spread([self.test * shares[t] for shares in row.missing], 1) for t in THRESHOLDS}
        return {"name": row.name, "missing": counts, "inception_score": _spread(row.inception, 3)}

    def _claims(self) -> dict[str, Any]:
        """Whether X-GAN misses fewer than each other row, run by run with the same seed."""
        by_name = {row.name: np.array([shares[SURE] for shares in row.missing]) for row in self.rows}
        ours = by_name.get(OURS)
        others = {} if ours is None else {name: theirs for name, theirs in by_name.items() if name in VARIANTS and name != OURS}
        return {
            f"misses_fewer_than_{name}": {
                "holds": bool(theirs.mean() > ours.mean()),
                "fewer": _spread(self.test * (theirs - ours), 1),
            }
            for name, theirs in others.items()
        }


def evaluate_xgan(
    engine: Engine,
    names: Sequence[str] = tuple(VARIANTS),
    pictures: int = 10_000,
    runs: int = 3,
    samples: int = 1000,
    data_dir: Path | None = None,
    report: Report = lambda done, total, now: None,
) -> Table:
    """Trains and measures the rows.

    Args:
        engine: has the judges among its cards.
        names: of the ``VARIANTS``.
        pictures: each model learns from, after C_img has.
        runs: of each, from other seeds; D* has the same.
        samples: that D* learns from, of each kind.
        data_dir: folder of the packs; None looks where training does.
        report: told how many of the models are done, and which one is next.

    Raises:
        FileNotFoundError: a pack is not there.
        UnknownModel: there is no judge.
        ValueError: there is no such row.
    """
    if unknown := set(names) - set(VARIANTS):
        raise ValueError(f"There is no row {', '.join(sorted(unknown))}; there is {', '.join(VARIANTS)}.")
    settings = Settings(out=Path(), minutes=0.0, data=data_dir)
    test = None
    real: dict[str, list[Any]] = {"missing": [], "inception": []}
    found = {name: {"missing": [], "inception": []} for name in names}
    for run in range(runs):
        classifier = None
        for place, name in enumerate(names):
            report(run * len(names) + place, runs * len(names), f"{name}, run {run + 1}")
            trainer = XGANTrainer(replace(settings, seed=run), DOMAIN, SIZE, VARIANTS[name], WIDTH)
            if test is None:
                test = look(engine, to_unit(trainer.held_out.images))
            if classifier is None:
                learnt = _photos_twice(engine, trainer, samples)
                _note(real, learnt, learnt[1], test, run)
            classifier = train_one(trainer, pictures, classifier)
            _note(found[name], learnt, look(engine, trainer.samples(samples)), test, run)
    rows = {"photographs": real} | found
    return Table(tuple(_row(name, kept) for name, kept in rows.items()), pictures, samples, len(test.embedding))


def train_one(trainer: XGANTrainer, pictures: int, classifier: dict[str, Tensor] | None) -> dict[str, Tensor]:
    """Trains until it has learnt from that many pictures, with the C_img that is given, else with its own; returns C_img."""
    own = unwrap(trainer.networks["classifier"])
    if classifier:
        own.load_state_dict(classifier)
        trainer.images = xgan.CLASSIFIED
    trainer.warm_up = pictures // 3
    while trainer.images < xgan.CLASSIFIED + pictures:
        trainer.step()
        trainer.images += trainer.images_per_step
        trainer.average()
    trainer.settle()
    return own.state_dict()


def look(engine: Engine, images: Tensor) -> Looks:
    """Asks the judges about heads (N, 3, S, S) in [-1, 1]."""
    heads = [to_uint8(image) for image in images.cpu().numpy()]
    embeddings, probabilities = [], []
    for start in range(0, len(heads), BATCH):
        some = heads[start : start + BATCH]
        embeddings.append(embed_heads(engine, some))
        probabilities.append(demographics(engine, some))
    return Looks(np.concatenate(embeddings), np.concatenate(probabilities))


def demographics(engine: Engine, heads: Sequence[np.ndarray]) -> np.ndarray:
    """Probabilities (N, 10) of gender times group."""
    card = engine.registry.card(DEMOGRAPHICS_JUDGE)
    eyes = np.array(FRAMES["head"]) * SIZE / FRAME_SIZE
    faces = np.stack([to_float(align(head, eyes, card.frame, card.resolution).image) for head in heads])
    logits = engine.run(card.id, image=faces)["logits"].astype(np.float64)
    male = 1 / (1 + np.exp(-logits[:, 0]))
    groups = softmax(logits[:, GROUPS])
    return np.concatenate([male[:, None] * groups, (1 - male)[:, None] * groups], axis=1)


def _photos_twice(engine: Engine, trainer: XGANTrainer, samples: int) -> tuple[Looks, Looks]:
    """Photographs that the models learn from, for D* to learn as real ones and, others, as if they were made."""
    order = np.random.default_rng(trainer.settings.seed).permutation(len(trainer.data.images))
    chosen = [order[:samples], order[samples : 2 * samples]]
    return tuple(look(engine, to_unit(trainer.data.images[rows])) for rows in chosen)


def _note(kept: dict[str, list[Any]], learnt: tuple[Looks, Looks], made: Looks, test: Looks, seed: int) -> None:
    kept["missing"].append(missing_modes(learnt[0].embedding, made.embedding, test.embedding, seed=seed))
    kept["inception"].append(inception_score(made.probabilities))


def _row(name: str, kept: dict[str, list[Any]]) -> Row:
    return Row(name, tuple(kept["missing"]), tuple(kept["inception"]))


def _spread(values: Sequence[float] | np.ndarray, digits: int) -> dict[str, float]:
    return {"mean": round(float(np.mean(values)), digits), "std": round(float(np.std(values)), digits)}
