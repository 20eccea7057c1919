"""SDIT's figures: attributes turned round, variants side by side, what translated pictures teach; nothing is trained for long."""

import json
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from studio import cli
from studio.core.registry import Card
from studio.train import evaluate_sdit as module
from studio.train import sdit
from studio.train.evaluate_sdit import (
    Attribute,
    Figures,
    Row,
    count_networks,
    evaluate_sdit,
    measure_attributes,
    measure_domains,
    recalls,
    translator_of,
)
from studio.train.loop import run
from studio.train.sdit import ATTRIBUTES, LATENT, Attributes, Classes, Discriminator, Labelled, SDITTrainer
from tests.engines import WHO, PeopleEngine
from tests.fakes import JUDGE
from tests.train.small import Trunk, settings, stand_in_reader, write_named_faces, write_pack

SIDE = 16
EYE = Card("judge-attributes", "judges", "judge", SIDE, "a.safetensors", "a" * 64, 1, "none", frame="portrait", labels=ATTRIBUTES)
COLOURS = ("blue", "green", "red")


def network(part, labels, resolution=SIDE, **more):
    config = {"labels": len(labels), "width": 4, "n_blocks": 1, "hidden": 8}
    card_id = f"sdit-{part}-{resolution}"
    fields = {"labels": labels, "config": config, "domains": ("x", part)} | more
    return Card(card_id, "sdit", "translate", resolution, "s.safetensors", "a" * 64, 1, "none", **fields)


class Engine(PeopleEngine):
    """Reads an attribute in bright pictures; its networks paint a picture in the colour of its label, lighter by its latent."""

    def run(self, card_id, **arrays):
        return self._translate(**arrays) if card_id.startswith("sdit") else super().run(card_id, **arrays)

    def _translate(self, image, label, latent):
        assert image.dtype == label.dtype == latent.dtype == np.float32 and latent.shape == (len(image), LATENT)
        colour = 2 * label[:, :3] - 1 + 0.1 * np.tanh(latent[:, :1])
        return {"image": np.clip(0.2 * image + 0.8 * colour[:, :, None, None], -1, 1).astype(np.float32)}

    def _answer(self, card_id, image, strength=None):
        if card_id == EYE.id:
            return {"logits": image.mean((1, 2, 3))[:, None] * np.ones(len(ATTRIBUTES), np.float32)}
        return super()._answer(card_id, image, strength)


@pytest.fixture
def engine(tmp_path):
    return Engine(tmp_path, [JUDGE, EYE, WHO, network("cars", COLOURS)])


def faces(count=4, brightness=100):
    draw = np.random.default_rng(0)
    images = torch.from_numpy(draw.integers(brightness - 50, brightness + 50, (count, 3, SIDE, SIDE), np.uint8))
    labels = torch.zeros(count, len(ATTRIBUTES))
    labels[: count // 2] = 1
    return Labelled(images, labels, Attributes(ATTRIBUTES))


def cars(count=60):
    """Plain cars, a little different each."""
    labels = torch.eye(3)[torch.arange(count) % 3]
    colours = labels.flip(1)[:, :, None, None] * 150 + torch.rand(count, 3, SIDE, SIDE) * 40
    return Labelled(colours.to(torch.uint8), labels, Classes(COLOURS))


# --- table 6.2 ------------------------------------------------------------------------------------------------------------------


def test_who_changes_nothing_keeps_everybody_and_varies_nothing(engine):
    (row,) = measure_attributes(engine, lambda images, labels, latents: images, faces(), ["Male"], 3, 2)
    assert row.name == "Male" and row.id_distance == pytest.approx(0, abs=1e-3) and row.lpips == 0
    assert row.lpips_photographs > 0


def test_an_attribute_is_asked_of_those_who_have_it_not_and_taken_from_the_others(engine):
    asked = []

    def translate(images, labels, latents):
        asked.append(labels)
        return (np.where(labels[:, 2, None, None, None] > 0, 0.5, -0.5) + 0 * images).astype(np.float32)

    (row,) = measure_attributes(engine, translate, faces(), ["Male"], 4, 3)
    assert row.as_asked == 1
    turned, unchanged = [each for each in asked if len(each) == 3], [each for each in asked if len(each) == 1]
    assert {tuple(each[:, 2]) for each in turned} == {(0, 0, 0), (1, 1, 1)} and len(turned) == len(unchanged) == 4
    assert all(each[0, 2] != same[0, 2] for each, same in zip(turned, unchanged, strict=True))
    (other,) = measure_attributes(engine, lambda images, labels, latents: 0 * images + 0.5, faces(), ["Male"], 4, 3)
    assert other.as_asked == 0.5


def test_what_is_drawn_anyway_is_no_change():
    photo, drawn = np.zeros((3, 8, 8), np.float32), np.full((2, 3, 8, 8), 0.75, np.float32)
    made = module._only_asked(lambda images, labels, latents: images + 0.5, photo, torch.ones(10), drawn)
    np.testing.assert_allclose(made, 0.25)
    none = module._only_asked(lambda images, labels, latents: images + 0.5, photo, torch.ones(10), photo[None] + 0.5)
    np.testing.assert_array_equal(none[0], photo)


def test_pictures_of_one_photo_are_compared(engine):
    def translate(images, labels, latents):
        return np.clip(images + np.tanh(latents[:, :3, None, None]), -1, 1).astype(np.float32)

    (row,) = measure_attributes(engine, translate, faces(), ["Bangs"], 2, 4)
    assert row.lpips > 0.01 and row.id_distance > 0.01


def test_too_few_photos_are_one_sentence(engine):
    with pytest.raises(ValueError, match=r"There are only 4 pictures to translate: measure fewer with --photos\."):
        measure_attributes(engine, None, faces(), ["Bangs"], 5, 2)


# --- tables 6.3 and 6.4 ---------------------------------------------------------------------------------------------------------


def test_pictures_that_are_like_a_domain_teach_it(engine):
    learnt, new = cars(), cars(30)

    def paint(images, labels, latents):
        return (labels[:, ::-1, None, None] * 300 / 255 - 1 + 0.1 * (images + 1)).astype(np.float32)

    rows = measure_domains(engine, paint, learnt, new, 2, 2)
    assert [row.name for row in rows] == list(COLOURS)
    assert all(row.accuracy == row.accuracy_photographs == 1 for row in rows)
    assert all(row.lpips == 0 < row.lpips_photographs for row in rows)
    wrong = measure_domains(
        engine, lambda images, labels, latents: paint(images, np.roll(labels, 1, 1), latents), learnt, new, 2, 2
    )
    assert all(row.accuracy == 0 and row.accuracy_photographs == 1 for row in wrong)


def test_every_picture_is_translated_to_another_domain_and_all_are_asked_for(engine):
    asked = []

    def translate(images, labels, latents):
        asked.append((images, labels))
        return images

    learnt = cars()
    measure_domains(engine, translate, learnt, cars(9), 1, 2)
    wanted = np.concatenate([labels for _, labels in asked])[:60].argmax(1)
    assert not (wanted == learnt.labels.argmax(1).numpy()).any()
    assert np.bincount(wanted).tolist() == [20, 20, 20]


def test_recalls_are_shares_of_each_class():
    learnt = np.array([[0.0], [0.1], [1.0], [1.1]])
    seen, truth = np.array([[0.0], [1.0], [1.0]]), np.array([0, 0, 1])
    assert recalls(learnt, np.array([0, 0, 1, 1]), seen, truth, 2).tolist() == [0.5, 1]


# --- networks -------------------------------------------------------------------------------------------------------------------


def test_one_network_stands_beside_two_of_each_pair():
    rows = {row.way: row for row in count_networks(network("cars", COLOURS, 64))}
    assert (rows["SDIT"].networks, rows["CycleGAN"].networks, rows["MUNIT"].networks) == (1, 6, 6)
    assert 0 < rows["SDIT"].parameters < rows["CycleGAN"].parameters
    faces_of = {row.way: row.networks for row in count_networks(network("attributes", ATTRIBUTES, 64))}
    assert faces_of == {"SDIT": 1, "CycleGAN": 20, "MUNIT": 20}


# --- all of it ------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path, precise, monkeypatch):
    """Packs of faces and cars, and recipes of a few channels."""
    write_named_faces(tmp_path)
    write_pack(tmp_path, "cars_by_colour128", [{"colour": COLOURS[i % 7 % 3], "file_name": f"{i}.png"} for i in range(90)])
    names = tuple(f"{k}_attribute" for k in range(1, 4))
    values = {"ATTRIBUTES": names, "imagenet_trunk": lambda data: Trunk(Discriminator.widths).eval(), "WARM_UP": 0}
    for name, value in values.items():
        monkeypatch.setattr(sdit, name, value)
    monkeypatch.setitem(sdit.CONFIGS, SIDE, {"width": 4, "n_blocks": 1, "hidden": 8})
    monkeypatch.setattr(SDITTrainer, "images_per_step", 4)
    monkeypatch.setattr(SDITTrainer, "_reader", lambda self: stand_in_reader(len(self.kind.names)))
    monkeypatch.setattr(module, "ABLATED", (*names[:2], "Bangs"))
    return tmp_path


def knows(engine, names):
    engine.registry.add(Card(**{**EYE.to_dict(), "labels": names, "domains": ()}))


def test_variants_learn_from_as_many_pictures_and_are_measured_alike(folder, engine):
    knows(engine, sdit.ATTRIBUTES)
    told = []
    names = "SDIT w/o CIN", "SDIT"
    figures = evaluate_sdit(
        engine, (), names, pictures=8, size=SIDE, photos=2, styles=2, data_dir=folder, report=lambda *r: told.append(r)
    )
    assert told == [(0, 2, "SDIT w/o CIN"), (1, 2, "SDIT")]
    assert [row.name for row in figures.table] == list(names) and figures.pictures == 8
    assert figures.table[0].lpips == 0 < figures.table[1].lpips
    assert not figures.attributes and not figures.domains and not figures.networks


def test_the_network_with_one_answer_is_measured_where_it_was_trained(folder, engine, monkeypatch):
    knows(engine, sdit.ATTRIBUTES)
    monkeypatch.chdir(folder)
    ask = {"parts": ("deterministic",), "size": SIDE, "photos": 2, "styles": 2, "data_dir": folder}
    with pytest.raises(ValueError, match="no network with one answer yet: make it with .*sdit-deterministic-attributes-16"):
        evaluate_sdit(engine, **ask)
    out = Path("runs") / f"sdit-deterministic-attributes-{SIDE}"
    run(SDITTrainer(settings(folder, out), "attributes", SIDE, sdit.VARIANTS[sdit.DETERMINISTIC]))
    figures = evaluate_sdit(engine, **ask)
    assert [row.name for row in figures.deterministic] == list(sdit.ATTRIBUTES)
    assert all(row.lpips == 0 for row in figures.deterministic) and not figures.attributes


def test_many_answers_are_held_against_one():
    many, one = Attribute("Bangs", 0.23, 0.2, 0.3, 0.4), Attribute("Bangs", 0.2, 0.0, 0.3, 0.4)

    def claims(of_many, of_one):
        return Figures((of_many,), (), 8, {}, {}, 2, 2, (), (of_one,)).to_dict()["claims"]["many_answers_stay_as_near_as_one"]

    assert claims(many, one) == {"holds": True, "by": 1.15}
    assert claims(replace(many, id_distance=0.24), one)["holds"] is False  # further
    assert claims(many, replace(one, lpips=0.3))["holds"] is False  # less varied


def test_a_run_translates_as_its_average_does(folder):
    trainer = SDITTrainer(settings(folder, folder / "run"), "cars", SIDE)
    trainer.advance()
    assert (trainer.steps, trainer.images) == (1, 4)
    images, labels, latents = (
        np.zeros((2, 3, SIDE, SIDE), np.float32),
        np.eye(3, dtype=np.float32)[:2],
        np.ones((2, 8), np.float32),
    )
    made = translator_of(trainer)(images, labels, latents)
    assert np.array_equal(made, trainer.translate(*map(torch.from_numpy, (images, labels, latents)))["image"].numpy())


def test_claims_compare_what_was_measured():
    rows = Row("SDIT", 0.2, 0.4, 0.8), Row("SDIT (L_LAT = 0)", 0.1, 0.3, 0.8), Row("SDIT w/o Atten (L_LAT > 0)", 0.15, 0.5, 0.9)
    attributes = Attribute("Bangs", 0.1, 0.2, 0.3, 0.4), Attribute("Male", 0.3, 0.2, 0.5, 0.4)
    data = Figures(attributes, rows, 8, {}, {}, 2, 2).to_dict()
    assert data["claims"]["more_varied_with_the_latent_loss"] == {"holds": True, "by": 0.1}
    assert data["claims"]["people_stay_themselves_with_attention"] == {"holds": False, "by": -0.05}
    assert data["means"]["attributes"] == {"id_distance": 0.2, "lpips": 0.2, "as_asked": 0.4, "lpips_photographs": 0.4}
    assert Figures((), rows[:1], 8, {}, {}, 2, 2).to_dict()["claims"] == {}


def test_what_does_not_exist_is_refused_before_anything_is_trained(engine):
    with pytest.raises(ValueError, match="There is no row ADIT; there is SDIT w/o CIN, "):
        evaluate_sdit(engine, (), ("ADIT",))
    with pytest.raises(ValueError, match="There is no network of art yet: make it with .*sdit-art-64"):
        evaluate_sdit(engine, ("art",))
    with pytest.raises(ValueError, match="There are no domains 'hats'; there is attributes, art, cars"):
        evaluate_sdit(engine, ("hats",))


def test_the_finest_network_is_measured(engine):
    engine.registry.add(network("cars", COLOURS, 64))
    assert module.find_card(engine, "cars").resolution == 64


def test_the_command_measures_the_parts_that_are_named(folder, engine, capsys, monkeypatch):
    monkeypatch.setattr("studio.core.engine.Engine", lambda: nullcontext(engine))
    monkeypatch.setitem(module.cyclegan_recipe.CONFIGS, SIDE, {"ngf": 4})
    knows(engine, sdit.ATTRIBUTES)
    engine.registry.add(network("attributes", sdit.ATTRIBUTES))
    arguments = ["evaluate", "sdit", "--photos", "2", "--styles", "2", "--data", str(folder)]
    assert cli.main([*arguments, "--parts", "attributes, cars", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["table"] == [] and len(answer["attributes"]) == 3 and answer["attributes"][0]["lpips"] > 0
    assert [row["name"] for row in answer["domains"]["cars"]] == list(COLOURS)
    assert answer["means"]["cars"].keys() == {"accuracy", "accuracy_photographs", "lpips", "lpips_photographs"}
    assert cli.main([*arguments, "--parts", "attributes,cars"]) == 0
    shown = capsys.readouterr().out
    assert "Reverse classification: cars" in shown and "mean" in shown and "Networks for attributes" in shown
    assert cli.main([*arguments, "--parts", "teeth"]) == 2 and "There is no part teeth" in capsys.readouterr().err
    assert cli.main([*arguments, "--size", "96"]) == 2 and "Models of 96 px are not known" in capsys.readouterr().err
    assert cli.main([*arguments, "--parts", "art"]) == 2 and "no network of art" in capsys.readouterr().err
