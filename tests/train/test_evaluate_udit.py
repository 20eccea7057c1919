"""UDIT's figures: whose photos are measured, what each judge is asked, what the chapter claims; nothing is trained."""

import json
from contextlib import nullcontext

import numpy as np
import pytest
import torch

from studio import cli
from studio.core.checkpoints import CheckpointStore
from studio.core.registry import Card, Registry
from studio.train import evaluate_udit as module
from studio.train.evaluate_udit import KEEPS, Figure, Figures, Inputs, evaluate_udit, find_translators, measure, read_inputs
from studio.train.judges import ETHNICITIES, DemographicsJudge
from studio.train.loop import run
from studio.train.udit import Faces, UDITTrainer
from tests.train.small import go, settings, write_pack

SIDE = 32


def judge(name, labels=()):
    return Card(name, "judges", "judge", SIDE, f"{name}.safetensors", "a" * 64, 1, "none", frame="face", labels=labels)


JUDGES = (
    judge(DemographicsJudge.name, ("male", "age", *ETHNICITIES)),
    judge("judge-makeup", ("makeup",)),
    judge("judge-identity"),
    judge("judge-animal"),
)


class Engine:
    """Judges that see men in red pictures, a year in each hundredth of green, makeup in blue, and people by their colours."""

    def __init__(self, folder, cards=JUDGES):
        self.registry = Registry(folder / "index.json")
        for card in cards:
            self.registry.add(card)
        self.store = CheckpointStore(self.registry, folder, folder / "cache")

    def run(self, card_id, image):
        red, green, blue = image.mean((2, 3)).T
        if card_id == DemographicsJudge.name:
            return {"logits": np.stack([red, green, *5 * [red]], 1)}
        if card_id == "judge-makeup":
            return {"logits": blue[:, None]}
        colours = image.mean((2, 3)) + 2
        if card_id == "judge-identity":
            return {"embedding": colours / np.linalg.norm(colours, axis=1, keepdims=True)}
        return {f"features_{k}": image[:, :, :: k + 2, :: k + 2] for k in range(2)}


class Painter:
    """Adds the first three numbers of a style to a picture's colours, the less the more is kept."""

    def __call__(self, faces, end, styles, keep):
        return (faces.photo + (1 - keep) * styles[:, :3, None, None]).numpy()


@pytest.fixture
def engine(tmp_path):
    return Engine(tmp_path)


def plain(red, green=0.0, blue=0.0, count=4):
    return torch.tensor([red, green, blue]).view(1, 3, 1, 1).expand(count, 3, SIDE, SIDE).contiguous()


def inputs_of(photos, pair="makeup", end=0, gender="M"):
    return Inputs(pair, end, gender, faces_of(photos), ())


def faces_of(photos):
    """Photos that are skin all over."""
    return Faces(photos, *3 * [torch.ones_like(photos[:, :1])])


class Blend:
    """The same new colours for everybody."""

    def __init__(self, red, green=0.0, blue=0.0):
        self.made = plain(red, green, blue)

    def __call__(self, faces, end, styles, keep):
        return self.made[:1].expand(len(styles), -1, -1, -1).numpy()


def test_flips_are_of_the_persons_gender_and_confidence_is_lost(engine):
    men = inputs_of(plain(0.8))
    kept, flipped = (measure(engine, Blend(red, blue=0.5), men, "UDIT", 1.0) for red in (0.6, -0.6))
    assert (kept.flips, flipped.flips, kept.flips_of_photos) == (0.0, 1.0, 0.0)
    assert 0 < kept.confidence_drop < flipped.confidence_drop and kept.id_distance < flipped.id_distance
    assert (kept.as_asked, kept.as_asked_of_photos) == (1.0, 0.0)
    women = measure(engine, Blend(-0.6), inputs_of(plain(-0.8), end=1, gender="F"), "UDIT", 1.0)
    assert women.flips == 0.0 and women.as_asked == 1.0  # no blue is no makeup, which is what the other way asks for


def test_years_count_in_the_direction_that_was_asked_for(engine):
    young, old = (inputs_of(plain(0.8, green=0.3), "age", end) for end in (0, 1))
    older, younger = Blend(0.8, green=0.5), Blend(0.8, green=0.15)
    assert [measure(engine, way, young, "UDIT", 1.0).as_asked for way in (older, younger)] == [1.0, 0.0]
    assert [measure(engine, way, old, "UDIT", 1.0).as_asked for way in (older, younger)] == [0.0, 1.0]


def test_looks_are_compared_with_one_another(engine):
    photos = torch.rand(3, 3, SIDE, SIDE)
    many, few = (measure(engine, Painter(), inputs_of(photos), "x", keep, 4, photos).lpips for keep in (0.0, 0.9))
    assert many > few > 0
    one = measure(engine, Painter(), inputs_of(photos), "x", 1.0, 4, photos)
    assert one.lpips == 0.0 and one.kid is not None
    assert measure(engine, Painter(), inputs_of(photos), "x", 1.0).lpips is None


def test_groups_are_told_what_happens_to_their_skin(engine, monkeypatch, tmp_path):
    rows = [
        {"file_name": f"{i}.png", "gender": "MF"[i % 2], "age": "40", "ethnicity": group}
        for i, group in enumerate(ETHNICITIES * 40)
    ]
    write_pack(tmp_path, "faces_tight96", rows, side=SIDE)
    monkeypatch.setattr(module, "find_places", lambda pair: lambda images: torch.full_like(images, 255))
    brighter = Painter()
    brighter.__class__ = type(
        "Brighter", (), {"__call__": lambda self, faces, end, s, keep: (faces.photo + 0.4 * (1 - keep)).clamp(-1, 1).numpy()}
    )
    found = module.measure_groups(engine, brighter, 5, SIDE, tmp_path, lambda done, now: None)
    assert [(g.group, g.keep) for g in found] == [(group, keep) for group in ETHNICITIES for keep in (0.0, 1.0)]
    for free, kept in zip(found[::2], found[1::2], strict=True):
        assert free.skin_delta_e > 5 and kept.skin_delta_e == 0 and kept.ita_shift == 0 and kept.id_distance == 0
        assert kept.flips == kept.flips_of_photos and 1 <= free.photos <= 5


def figure(name, flips, apart, keep=1.0):
    return Figure(name, "M bare to makeup", keep, 10, flips, 0.0, 0.1, apart, 0.8, 0.1, 0.1, 3.0)


def test_claims_hold_or_fail():
    rows = [figure("MUNIT", 0.6, 0.5, 0.0), figure("UDIT", 0.1, 0.2)]
    good = Figures(tuple(rows), tuple(figure("UDIT", 0, apart, k) for k, apart in zip(KEEPS, (5, 4, 3, 2, 1), strict=True)), ())
    assert all(claim["holds"] for claim in good.to_dict()["claims"].values()) and len(good.to_dict()["claims"]) == 2
    bad = Figures((rows[0], figure("UDIT", 0.7, 0.2)), (figure("UDIT", 0, 1), figure("UDIT", 0, 2)), ())
    assert not any(claim["holds"] for claim in bad.to_dict()["claims"].values())


# --- networks and packs ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path, precise, monkeypatch):
    """Packs, and the runs of UDIT and of MUNIT with pooling indices."""
    from studio.train import udit
    from studio.train.critics import FeatureDiscriminator
    from tests.train.small import Trunk, stand_in_reader
    from tests.train.test_udit import Extractor, LightMeter, face, left_half

    values = {"CONFIG": {"width": 4, "blocks": 1}, "WARM_UP": 0}
    values |= {"imagenet_trunk": lambda data, pairs: Trunk(FeatureDiscriminator.widths).eval()}
    values |= {"mobilefacenet": lambda data: Extractor(), "property_network": lambda runs, name: Extractor()}
    values |= {"DemographicsReader": lambda runs: LightMeter(), "MakeupReader": lambda runs: stand_in_reader(1)}
    values["find_places"] = lambda pair: left_half
    monkeypatch.setattr(module, "find_places", lambda pair: left_half)
    for name, value in values.items():
        monkeypatch.setattr(udit, name, value)
    kinds = [("M", "none", 150), ("F", "none", 30), ("F", "makeup", 150)]
    write_pack(tmp_path, "celeba_face160", [face(i, *kind[:2]) for kind in kinds for i in range(kind[2])], side=SIDE)
    groups = [
        {"file_name": f"{i}.png", "gender": "MF"[i % 2], "age": "40", "ethnicity": g} for i, g in enumerate(ETHNICITIES * 40)
    ]
    write_pack(tmp_path, "faces_tight96", groups, side=SIDE)
    torch.manual_seed(0)
    for variant, name in (("", f"munit-makeup-{SIDE}"), ("pi", f"munit-pi-makeup-{SIDE}")):
        trainer = UDITTrainer(settings(tmp_path, tmp_path / "runs" / name), "makeup", SIDE, variant)
        go(trainer, 1)
        run(trainer)
    return tmp_path


def test_inputs_are_of_part_9_and_of_one_gender_each(folder):
    found = read_inputs("makeup", 8, SIDE, settings(folder, folder))
    assert [each.name for each in found] == ["M bare to makeup", "F makeup to bare"]
    assert all(len(each.photos) == 8 and {row["gender"] for row in each.rows} == {each.gender} for each in found)


def test_every_network_that_is_there_makes_its_rows(folder, engine):
    told = []
    figures = evaluate_udit(engine, ["makeup"], 6, 3, SIDE, folder / "runs", folder, lambda *report: told.append(report))
    names = ["MUNIT", "UDIT", "MUNIT+PI", "UDIT+PI"]
    assert [(row.inputs, row.name) for row in figures.table] == [
        (inputs, name) for inputs in ("M bare to makeup", "F makeup to bare") for name in names
    ]
    assert [row.keep for row in figures.curve] == list(KEEPS) and len(figures.groups) == 2 * len(ETHNICITIES)
    assert [done for done, _, _ in told] == list(range(len(told))) and {total for _, total, _ in told} == {len(told)}


def test_what_is_shipped_goes_before_what_a_run_left(folder, tmp_path):
    from studio.train.export import ship

    engine = Engine(tmp_path / "shipped")
    (tmp_path / "shipped").mkdir()
    ship(folder / "runs" / f"munit-makeup-{SIDE}" / "export", engine.registry)
    assert set(find_translators(engine, "makeup", SIDE, tmp_path / "no runs")) == {""}
    assert set(find_translators(engine, "makeup", SIDE, folder / "runs")) == {"", "pi"}


def test_many_looks_of_one_photo_are_those_one_by_one(folder, engine):
    translator = find_translators(engine, "makeup", SIDE, folder / "runs")["pi"]
    photo, styles = torch.rand(1, 3, SIDE, SIDE), torch.randn(20, 8)
    many = translator(faces_of(photo), 0, styles, 0.5)
    assert many.shape == (20, 3, SIDE, SIDE)
    assert np.allclose(many, translator(faces_of(photo.expand(20, -1, -1, -1)), 0, styles, 0.5), atol=1e-5)


def test_without_networks_it_says_which(engine, tmp_path):
    with pytest.raises(ValueError, match="no networks for makeup at 32 px: train munit-makeup-32 first"):
        evaluate_udit(engine, ["makeup"], size=SIDE, runs=tmp_path)


def test_the_command_prints_json_alone(monkeypatch, capsys, tmp_path):
    figures = Figures((figure("UDIT", 0.1, 0.2),), (), ())
    asked = {}
    monkeypatch.setattr("studio.core.engine.Engine", lambda: nullcontext("engine"))
    monkeypatch.setattr(module, "evaluate_udit", lambda *words, **named: asked.update(words=words, named=named) or figures)
    assert cli.main(["evaluate", "udit", "--pairs", "makeup", "--photos", "5", "--runs", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(figures.to_dict()))
    assert asked["words"][:3] == ("engine", ["makeup"], 5)
    assert cli.main(["evaluate", "udit", "--pairs", "hair"]) == 2
    assert "There is no pair hair; there is makeup, age." in capsys.readouterr().err
