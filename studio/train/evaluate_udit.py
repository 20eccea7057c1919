"""UDIT measured as in its chapter (Wang 2020, section 5.6): what a translation changes that it should not (figure 5.5), and how
many looks it still gives (table 5.4).

Photos are of part 9, which no network learnt from; what was a constraint in training measures nothing here. A row is a network at
one keep: MUNIT is keep 0, UDIT keep 1 of the same network. What is measured is the photo with the change on it, as the studio
lays it on (where makeup goes, without what it does to the skin as a whole), at the networks' own resolution.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from studio.core.checkpoints import load_into
from studio.core.engine import Engine
from studio.core.images import to_uint8
from studio.core.registry import Card, build
from studio.metrics.class_score import ask_judge
from studio.metrics.identity import IDENTITY_JUDGE
from studio.metrics.kid import kid
from studio.metrics.lpips import distance, feature_maps
from studio.metrics.skin import mean_lab, typology_angle
from studio.models.munit import STYLE
from studio.train.data import VALIDATION_PARTS, read_pack, to_unit
from studio.train.judges import ETHNICITIES, DemographicsJudge, MakeupJudge
from studio.train.loop import Settings
from studio.train.udit import PAIRS, VARIANTS, Faces, Row, find_places, read_end

KEEPS = (0.0, 0.25, 0.5, 0.75, 1.0)
NAMES = {("", 0.0): "MUNIT", ("", 1.0): "UDIT", ("pi", 0.0): "MUNIT+PI", ("pi", 1.0): "UDIT+PI", ("plain", 0.0): "MUNIT alone"}
CHEEKS = ((0.48, 0.66, 0.18, 0.38), (0.48, 0.66, 0.62, 0.82))  # top, bottom, left, right of the face frame: skin and no lips
YEARS = 10.0  # that a face has to look older or younger by to count as asked
CHUNK = 16
COMPARED = 25  # photos of which looks are compared

Report = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Inputs:
    """Photos of one gender that are translated from one end of a pair, and their rows."""

    pair: str
    end: int
    gender: str
    faces: Faces
    rows: tuple[Row, ...]

    @property
    def photos(self) -> Tensor:
        """float32 (N, 3, R, R)."""
        return self.faces.photo

    @property
    def name(self) -> str:
        ends = PAIRS[self.pair].ends
        return f"{self.gender} {ends[self.end]} to {ends[1 - self.end]}"


@dataclass(frozen=True)
class Figure:
    """A row of figure 5.5 and table 5.4.

    ``flips`` is the misclassification rate, the share whose perceived gender is not the person's; ``confidence_drop`` how much
    less probable the person's gender is than in the photo; ``id_distance`` 1 - cosine; ``as_asked`` the share that the judge of
    makeup, or of age, sees as asked; ``lpips`` the mean distance of two looks of a photo; ``kid`` x 1000 to photos of the
    other end.
    """

    name: str
    inputs: str
    keep: float
    photos: int
    flips: float
    flips_of_photos: float
    confidence_drop: float
    id_distance: float
    as_asked: float
    as_asked_of_photos: float
    lpips: float | None
    kid: float | None


@dataclass(frozen=True)
class Group:
    """People of a group at one keep: flips, the share whose gender is misread in the photo too, and what their skin does: CIELAB
    distance, and degrees of the individual typology angle (positive: lighter)."""

    group: str
    keep: float
    photos: int
    flips: float
    flips_of_photos: float
    id_distance: float
    skin_delta_e: float
    ita_shift: float


@dataclass(frozen=True)
class Figures:
    """What was measured: rows of figure 5.5, the curve over keep, and the groups."""

    table: tuple[Figure, ...]
    curve: tuple[Figure, ...]
    groups: tuple[Group, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, with what the chapter claims of them."""
        return asdict(self) | {"claims": self._claims()}

    def _claims(self) -> dict[str, Any]:
        claims: dict[str, Any] = {}
        rows = {(row.name, row.inputs): row for row in self.table}
        for (name, inputs), udit in rows.items():
            if name == "UDIT" and (munit := rows.get(("MUNIT", inputs))):
                kept = {"flips": [munit.flips, udit.flips], "id_distance": [munit.id_distance, udit.id_distance]}
                claims[f"who somebody is stays, {inputs}"] = {"holds": all(b < a for a, b in kept.values())} | kept
        if self.curve:
            apart = [row.id_distance for row in self.curve]
            claims["identity stays the more the more is kept"] = {
                "holds": apart == sorted(apart, reverse=True),
                "id_distance": apart,
            }
        return claims


class Translator:
    """A pair's networks, of a store or as a run left them."""

    def __init__(self, load: Callable[[str, str], nn.Module], pair: str):
        self.pair = PAIRS[pair]
        self.encoders, self.decoders = ([load(part, end) for end in self.pair.ends] for part in ("encoder", "decoder"))

    @torch.inference_mode()
    def __call__(self, faces: Faces, end: int, styles: Tensor, keep: float) -> np.ndarray:
        """Faces of an end, or one, with the change to the other one on them, in styles (N, 8): float32 (N, 3, R, R)."""
        made = []
        for some, style in zip(faces.parts(CHUNK, len(styles)), styles.split(CHUNK), strict=True):
            found = self.encoders[end](some.photo)
            own, everything = found.pop("style"), some.photo.new_ones(len(some.photo), len(self.pair.properties))
            back = self.decoders[end](style=own, keep=everything, **found)
            found = {name: maps.expand(len(style), -1, -1, -1) for name, maps in found.items()}
            drawn = self.decoders[1 - end](style=style, keep=keep * everything.expand(len(style), -1), **found)
            made.append(some.with_change(drawn - back, keep * everything[:, 0]))
        return torch.cat(made).numpy()


def find_translators(engine: Engine, pair: str, size: int, runs: Path) -> dict[str, Translator]:
    """By variant, as far as they are there: from the engine's store, else as their runs in the folder ``runs`` left them."""
    registry = engine.registry
    found: dict[str, Translator] = {}
    names = {variant: "-".join(filter(None, ("munit", variant))) for variant in VARIANTS}
    for variant, name in names.items():
        ids = {(part, end): f"{name}-{part}-{end}-{size}" for part in ("encoder", "decoder") for end in PAIRS[pair].ends}
        export = runs / f"{name}-{pair}-{size}" / "export"
        if all(registry.list_models(card) for card in ids.values()):
            found[variant] = Translator(lambda part, end, ids=ids: _shipped(engine, registry.card(ids[part, end])), pair)
        elif all((export / f"{card}.json").is_file() for card in ids.values()):
            found[variant] = Translator(lambda part, end, ids=ids, export=export: _exported(export, ids[part, end]), pair)
    return found


def _shipped(engine: Engine, card: Card) -> nn.Module:
    return _network(card, engine.store.load(card))


def _exported(folder: Path, card_id: str) -> nn.Module:
    card = Card.from_dict(json.loads((folder / f"{card_id}.json").read_text()))
    return _network(card, load_file(folder / card.file))


def _network(card: Card, tensors: dict[str, Tensor]) -> nn.Module:
    network = build(card).eval().requires_grad_(False)
    load_into(network, tensors, card.file)
    return network


def evaluate_udit(
    engine: Engine,
    pairs: Sequence[str] = tuple(PAIRS),
    photos: int = 100,
    looks: int = 20,
    size: int = 128,
    runs: Path = Path("runs"),
    data_dir: Path | None = None,
    report: Report = lambda done, total, now: None,
) -> Figures:
    """Measures the pairs whose networks are there.

    Args:
        engine: has the judges, and what is shipped, among its cards.
        photos: of each kind of input at most. looks: of each, whose neighbours are compared (19 pairs of 20).
        size: of the networks' pictures in px.
        runs: folder of the runs that left other variants.
        data_dir: folder of the packs; None looks where training does.
        report: told what happens.

    Raises:
        FileNotFoundError: a pack is not there.
        ValueError: no pair has its networks.
    """
    settings = Settings(out=Path(), minutes=0.0, data=data_dir)
    found = {pair: translators for pair in pairs if (translators := find_translators(engine, pair, size, runs))}
    if not found:
        raise ValueError(f"There are no networks for {' or '.join(pairs)} at {size} px: train munit-{pairs[0]}-{size} first.")
    inputs = [each for pair in found for each in read_inputs(pair, photos, size, settings)]
    rows = [(each, variant, keep) for each in inputs for variant, keep in NAMES if variant in found[each.pair]]
    total, table = len(rows) + len(KEEPS) + 2 * len(ETHNICITIES), []
    for done, (each, variant, keep) in enumerate(rows):
        report(done, total, f"{NAMES[variant, keep]}, {each.name}")
        others = read_end(PAIRS[each.pair], 1 - each.end, size, settings, VALIDATION_PARTS).images
        table.append(measure(engine, found[each.pair][variant], each, NAMES[variant, keep], keep, looks, to_unit(others)))
    curve, groups = [], []
    if "" in found.get("makeup", {}):
        ours = found["makeup"][""]
        for done, keep in enumerate(KEEPS, len(rows)):
            report(done, total, f"keep {keep}")
            curve.append(measure(engine, ours, inputs[0], "UDIT", keep))
        groups = measure_groups(
            engine, ours, photos, size, data_dir, lambda n, now: report(len(rows) + len(KEEPS) + n, total, now)
        )
    return Figures(tuple(table), tuple(curve), tuple(groups))


def read_inputs(pair: str, most: int, size: int, settings: Settings) -> list[Inputs]:
    """Photos of part 9 by end and gender, men of the first end first; kinds with fewer than ten are left out."""
    found, places = [], find_places(PAIRS[pair])
    for end in (0, 1):
        pack = read_end(PAIRS[pair], end, size, settings, VALIDATION_PARTS)
        for gender in "MF":
            some = pack.select(lambda row, gender=gender: row["gender"] == gender)
            if len(some) >= 10:
                faces = Faces.read(some.images[:most], places)
                found.append(Inputs(pair, end, gender, faces, tuple(some.rows[:most])))
    return found


def measure(
    engine: Engine,
    translator: Translator,
    inputs: Inputs,
    name: str,
    keep: float,
    looks: int = 0,
    others: Tensor | None = None,
) -> Figure:
    """One row; with ``looks`` and photos of the other end (M, 3, R, R) diversity and KID as well."""
    draws = torch.Generator().manual_seed(0)
    count = len(inputs.photos)
    before, made = inputs.photos.numpy(), translator(inputs.faces, inputs.end, torch.randn(count, STYLE, generator=draws), keep)
    man = inputs.gender == "M"
    sure = [_sure(engine, images, man) for images in (before, made)]
    lpips = kid_of_all = None
    if looks:
        lpips = _diversity(engine, translator, inputs, keep, looks, draws)
        kid_of_all = round(1000 * kid(*(_pooled(engine, images) for images in (made, others.numpy())))[0], 2)
    return Figure(
        name=name,
        inputs=inputs.name,
        keep=keep,
        photos=count,
        flips=_share(sure[1] < 0.5),
        flips_of_photos=_share(sure[0] < 0.5),
        confidence_drop=round(float((sure[0] - sure[1]).mean()), 3),
        id_distance=round(float(_identity(engine, before, made).mean()), 3),
        as_asked=_as_asked(engine, inputs, before, made),
        as_asked_of_photos=_as_asked(engine, inputs, before, before),
        lpips=lpips,
        kid=kid_of_all,
    )


def measure_groups(
    engine: Engine, translator: Translator, most: int, size: int, data_dir: Path | None, report: Callable[[int, str], None]
) -> list[Group]:
    """Makeup on part 9 of faces_tight96, group by group, at keep 0 and 1."""
    pack, found = read_pack("faces_tight96", size, data_dir).parts(VALIDATION_PARTS), []
    places = find_places(PAIRS["makeup"])
    for place, group in enumerate(ETHNICITIES):
        some = pack.select(lambda row, group=group: row["ethnicity"] == group)
        men = np.array([row["gender"] == "M" for row in some.rows[:most]])
        faces = Faces.read(some.images[:most], places)
        styles = torch.randn(len(men), STYLE, generator=torch.Generator().manual_seed(0))
        for nth, keep in enumerate((0.0, 1.0)):
            report(2 * place + nth, f"{group}, keep {keep:.0f}")
            before, made = faces.photo.numpy(), translator(faces, 0, styles, keep)
            sure = [_sure(engine, images, men) for images in (before, made)]
            colours = np.array([[_skin(image) for image in images] for images in (before, made)])
            angles = [[typology_angle(colour) for colour in each] for each in colours]
            found.append(
                Group(
                    group=group,
                    keep=keep,
                    photos=len(men),
                    flips=_share(sure[1] < 0.5),
                    flips_of_photos=_share(sure[0] < 0.5),
                    id_distance=round(float(_identity(engine, before, made).mean()), 3),
                    skin_delta_e=round(float(np.linalg.norm(colours[1] - colours[0], axis=1).mean()), 2),
                    ita_shift=round(float(np.mean(np.subtract(angles[1], angles[0]))), 2),
                )
            )
    return found


# --- judges -------------------------------------------------------------------------------------------------------------------


def _demographics(engine: Engine, images: np.ndarray) -> dict[str, np.ndarray]:
    """The judge's logits by label, (N,) each."""
    labels = engine.registry.card(DemographicsJudge.name).labels
    return dict(zip(labels, ask_judge(engine, images, DemographicsJudge.name)["logits"].T.astype(np.float64), strict=True))


def _sure(engine: Engine, images: np.ndarray, man: bool | np.ndarray) -> np.ndarray:
    """The probability (N,) of the gender that these people have."""
    male = 1 / (1 + np.exp(-_demographics(engine, images)["male"]))
    return np.where(man, male, 1 - male)


def _identity(engine: Engine, before: np.ndarray, made: np.ndarray) -> np.ndarray:
    """1 - cosine (N,)."""
    own, others = (ask_judge(engine, images, IDENTITY_JUDGE)["embedding"] for images in (before, made))
    return 1 - (own * others).sum(1)


def _as_asked(engine: Engine, inputs: Inputs, before: np.ndarray, made: np.ndarray) -> float:
    """The share that looks as the other end does: made up or not, or so many years older or younger than the photo."""
    if inputs.pair == "makeup":
        wears = ask_judge(engine, made, MakeupJudge.name)["logits"][:, 0] > 0
        return _share(wears != bool(inputs.end))
    years = [100 * _demographics(engine, images)["age"] for images in (before, made)]
    return _share((years[1] - years[0]) * (1 - 2 * inputs.end) >= YEARS)


def _diversity(engine: Engine, translator: Translator, inputs: Inputs, keep: float, looks: int, draws: torch.Generator) -> float:
    """Table 5.4: the mean distance of looks of one photo that were drawn one after the other."""
    apart = []
    for face in inputs.faces.first(COMPARED).parts(1):
        styles = torch.randn(looks, STYLE, generator=draws)
        maps = feature_maps(ask_judge(engine, translator(face, inputs.end, styles, keep)))
        apart.append(distance([each[:-1] for each in maps], [each[1:] for each in maps]).mean())
    return round(float(np.mean(apart)), 4)


def _pooled(engine: Engine, images: np.ndarray) -> np.ndarray:
    """What KID compares, (N, D): the last maps of the judge that distances are measured with."""
    return feature_maps(ask_judge(engine, images))[-1].mean((2, 3))


def _skin(image: np.ndarray) -> np.ndarray:
    """The mean colour (3,) of both cheeks of a face (3, R, R), in CIELAB."""
    side = image.shape[-1]
    where = np.zeros((side, side), bool)
    for box in CHEEKS:
        top, bottom, left, right = (round(share * side) for share in box)
        where[top:bottom, left:right] = True
    return mean_lab(to_uint8(image), where)


def _share(true: np.ndarray) -> float:
    return round(float(np.mean(true)), 3)
