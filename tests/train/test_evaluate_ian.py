"""Table 1 on small synthetic packs, with each figure against a direct computation."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from studio import cli
from studio.core import engine as engine_module
from studio.core.images import to_float, to_uint8
from studio.core.registry import Card, Registry
from studio.metrics.kid import kid
from studio.train import evaluate_ian as module
from studio.train.data import part
from studio.train.evaluate import save_measures
from studio.train.evaluate_ian import check_claims, evaluate_ian, likeness, sample
from tests.engines import WHO, PeopleEngine
from tests.fakes import JUDGE, sampler, translator

ANIMALS = "lion", "tiger"


def write_pack(path: Path, columns: str, rows: dict[str, str], pictures: dict[str, np.ndarray]) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.csv", "\n".join([columns, *(f"{name},{rows[name]}" for name in pictures)]) + "\n")
        for name, picture in pictures.items():
            file = io.BytesIO()
            Image.fromarray(picture).save(file, "PNG")
            archive.writestr(name, file.getvalue())


@pytest.fixture
def packs(tmp_path) -> Path:
    """Twelve learnt and six new faces of one colour each in two packs; five learnt and three new animals of each kind."""
    draw = np.random.default_rng(0)

    def named(folder: str, learnt: int, new: int) -> dict[str, np.ndarray]:
        names = [f"{folder}/{i:04}.png" for i in range(500)]
        of_models, of_nine = ([n for n in names if part(n) in parts] for parts in (range(7), (9,)))
        chosen = of_models[:learnt] + of_nine[:new]
        return {name: np.broadcast_to(draw.integers(0, 256, 3, np.uint8), (64, 64, 3)) for name in chosen}

    for pack, counts in {"faces128": (8, 4), "faces64": (4, 2)}.items():
        faces = named(pack, *counts)
        write_pack(tmp_path / f"{pack}.zip", "file_name,source", dict.fromkeys(faces, "celeba"), faces)
    animals = {animal: named(animal, 5, 3) for animal in (*ANIMALS, "fox")}
    pictures = {name: picture for kind in animals.values() for name, picture in kind.items()}
    write_pack(tmp_path / "animals160.zip", "file_name,class", {n: n.split("/")[0] for n in pictures}, pictures)
    return tmp_path


@pytest.fixture
def engine(tmp_path) -> PeopleEngine:
    k_gans = [sampler(name, animal) for name in ("dcgan", "began") for animal in ("tiger", "lion", "panda")]
    plain = [sampler(name) for name in ("dcgan", "began", "stylegan")]
    return PeopleEngine(tmp_path, [translator("lion"), translator("tiger"), translator("fox"), *plain, *k_gans, JUDGE, WHO])


def generators(engine: PeopleEngine, *names: str) -> dict[str, list[Card]]:
    ids = {"DCGAN": "dcgan-16", "BEGAN": "began-16", "StyleGAN": "stylegan-16", "K-DCGAN": "k-dcgan-*", "K-BEGAN": "k-began-*"}
    return {name: engine.registry.list_models(ids[name]) for name in names or ids}


def translators(engine: PeopleEngine) -> list[Card]:
    return engine.registry.list_models(task="translate")


def measure(engine: PeopleEngine, packs: Path, *names: str, samples: int = 10):
    return evaluate_ian(engine, generators(engine, *names), translators(engine), samples, packs)


def test_all_rows_of_the_paper_that_apply(engine, packs):
    table = measure(engine, packs)
    first = ["DCGAN", "BEGAN", "StyleGAN", "K-DCGAN", "K-BEGAN"]
    assert [row.name for row in table.rows] == [
        "real(X)", "real(Y)", "real(X)+Cyc", *first, "rand+Cyc", *(f"{name}+Cyc" for name in first)
    ]  # fmt: skip
    assert sorted(table.animals) == ["lion", "tiger"]  # no K-GAN knows the fox, no CycleGAN the panda
    assert [row.samples for row in table.rows] == [6, 6, 6] + 11 * [10]
    assert table.pictures["learnt_faces"] == 12 and table.pictures["animals"]["lion"] == {"learnt": 5, "new": 3}
    json.dumps(table.to_dict())


def test_scores_are_means_over_the_animals_that_samples_are_meant_to_be(engine, packs):
    table = measure(engine, packs, "K-BEGAN")
    row = next(row for row in table.rows if row.name == "K-BEGAN+Cyc")
    latents = np.random.default_rng(0).uniform(-1, 1, (10, 100)).astype(np.float32)
    wanted = {}
    for place, animal in enumerate(table.animals):
        faces = sample(engine, engine.registry.card(f"k-began-{animal}-16"), latents[place::2])
        faces = np.stack([np.asarray(Image.fromarray(face).resize((16, 16))) for face in faces])
        one = np.ones((5, 1), np.float32)
        made = engine.run(f"cyclegan-{animal}-16", image=np.stack([to_float(f) for f in faces]), strength=one)
        means = np.stack([to_float(to_uint8(image)) for image in made]).mean((1, 2, 3))
        logits = np.stack([-4 * means, -0.8 * means - 1, 4 * means - 9], 1)
        chances = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        wanted[animal] = chances[:, JUDGE.labels.index(animal)].mean()
    assert {a: values["score_y"] for a, values in row.by_animal.items()} == pytest.approx(wanted, abs=0.01)
    assert row.score_y == pytest.approx(np.mean(list(wanted.values())), abs=0.01)
    assert row.to_dict()["score"] == pytest.approx(50 * (row.score_x + row.score_y), abs=0.01)


def test_errors_are_to_learnt_pictures_of_the_right_kind(engine, packs, monkeypatch):
    monkeypatch.setattr(module, "sample", lambda engine, card, latents: np.stack([known] * len(latents)))
    faces, _ = module.read_faces(64, packs, frozenset(range(7)))
    known = faces[0].permute(1, 2, 0).numpy()
    row = next(row for row in measure(engine, packs, "DCGAN").rows if row.name == "DCGAN")
    assert row.error_x == 0 and row.copies == 1 and row.error_y > 0.01
    pack = module.read_pack("animals160", 64, packs, lambda r: r["class"] == "lion" and part(r["file_name"]) < 7)
    known = pack.images[0].permute(1, 2, 0).numpy()
    row = next(row for row in measure(engine, packs, "DCGAN").rows if row.name == "DCGAN")
    assert row.by_animal["lion"]["error_y"] == 0 and row.by_animal["tiger"]["error_y"] > 0.01 and row.copies == 0


def test_a_mirrored_training_face_is_a_copy(engine, packs, monkeypatch):
    half = np.zeros((64, 64, 3), np.uint8)
    half[:, :20] = 255
    faces = torch.from_numpy(np.stack([half, half, 255 - half, 255 - half])).permute(0, 3, 1, 2)
    monkeypatch.setattr(module, "read_faces", lambda size, data, parts: (faces, []))
    monkeypatch.setattr(module, "_are_new", lambda rows: np.array([False, False, True, True]))
    monkeypatch.setattr(module, "sample", lambda engine, card, latents: np.stack([half[:, ::-1]] * len(latents)))
    row = next(row for row in measure(engine, packs, "DCGAN").rows if row.name == "DCGAN")
    assert row.error_x == 0


def test_latents_are_the_same_for_all_of_one_prior(engine, packs):
    seen = []
    run = engine.run

    def listening(card_id, **arrays):
        if "latent" in arrays:
            seen.append((card_id, arrays["latent"][0]))
            assert all(amount.min() == 1 for name, amount in arrays.items() if name != "latent")
        return run(card_id, **arrays)

    engine.run = listening
    measure(engine, packs)
    first = dict(reversed(seen))
    lead, _ = evaluate_ian(engine, generators(engine), translators(engine), 4, packs).animals
    assert (first["dcgan-16"] == first["began-16"]).all() and (first[f"k-dcgan-{lead}-16"] == first["dcgan-16"]).all()
    assert first["stylegan-16"].shape == (24,) and (np.abs(first["dcgan-16"]) <= 1).all()


def test_sets_are_compared_with_new_photographs_beside_the_floor(engine, packs):
    table = measure(engine, packs, "DCGAN", "K-DCGAN")
    assert [distance.name for distance in (table.floor, *table.distances)] == ["real", "DCGAN"]  # K-GANs are meant to leave
    faces, _ = module.read_faces(64, packs, frozenset((9,)))
    new = module.embed_heads(engine, faces.permute(0, 2, 3, 1).numpy())
    latents = np.random.default_rng(0).uniform(-1, 1, (10, 100)).astype(np.float32)
    made = module.embed_heads(engine, sample(engine, engine.registry.card("dcgan-16"), latents))
    scale = np.sqrt(new.shape[1])
    assert table.distances[0].kid_identity == pytest.approx(1000 * kid(made * scale, new * scale, 40)[0], rel=1e-6)


def test_claims_are_checked_one_by_one(engine, packs):
    table = measure(engine, packs)
    rows = {row.name: replace(row, score_x=0.5, score_y=0.2, copies=0.0, error_x=0.45) for row in table.rows}
    rows |= {name: replace(row, score_y=0.6) for name, row in rows.items() if name.endswith("+Cyc")}
    rows["rand+Cyc"] = replace(rows["rand+Cyc"], score_x=0.1)
    seen = {name: module._Seen(None, np.ones((4, 1), bool), None, np.full((4, 1), 0.6), None, None, None) for name in rows}
    names = list(generators(engine))

    def failing(**changed) -> list[str]:
        claims = check_claims(changed.pop("seen", seen), rows | changed, names)
        return [name for name, claim in claims.items() if not claim["holds"]]

    assert failing() == []
    assert failing(**{"DCGAN+Cyc": replace(rows["DCGAN+Cyc"], score_y=0.45)}) == ["cascades_gain_30_points_of_score_y"]
    assert failing(**{"BEGAN+Cyc": replace(rows["BEGAN+Cyc"], score_x=0.05)}) == [
        "noise_is_the_worst_start_of_a_cascade_on_score_x"
    ]
    assert failing(DCGAN=replace(rows["DCGAN"], error_x=0.4)) == ["error_x_is_in_the_papers_range"]
    assert failing(StyleGAN=replace(rows["StyleGAN"], copies=0.5)) == ["no_model_memorises"]
    worse = seen | {"K-BEGAN+Cyc": replace(seen["K-BEGAN+Cyc"], chances=np.array([[0.6], [0.6], [0.4], [0.4]]))}
    assert failing(seen=worse) == ["k_began_cascade_is_as_good_as_began_cascade_on_score_y"]
    (claim,) = (c for n, c in check_claims(worse, rows, names).items() if "k_began" in n)
    assert (claim["gain"], claim["standard_error"]) == (-10, 5)


def test_what_cannot_be_measured_is_said_before_the_packs_are_read(engine, tmp_path):
    with pytest.raises(ValueError, match="no generator"):
        evaluate_ian(engine, {}, translators(engine))
    with pytest.raises(ValueError, match="No animal has a CycleGAN"):
        evaluate_ian(engine, {"K-DCGAN": [sampler("dcgan", "panda")]}, translators(engine))
    with pytest.raises(ValueError, match="4 samples or more"):
        evaluate_ian(engine, generators(engine), translators(engine), 3)
    with pytest.raises(FileNotFoundError, match=r"faces128\.zip"):
        evaluate_ian(engine, generators(engine), translators(engine), 10, tmp_path / "nowhere")


def test_every_generator_of_the_table_gets_its_figures_and_the_weak_ones_their_reason(engine, packs):
    engine.registry.save()
    table = measure(engine, packs)
    assert len(table.models) == 3 + 2 * 2  # the pandas' K-GANs are not in the table
    for model in table.models:
        save_measures(engine.registry, model)
    cards = Registry(engine.registry.index)
    dcgan, lion = cards.card("dcgan-16"), cards.card("k-dcgan-lion-16")
    assert dcgan.measures["samples"] == 10 and dcgan.measures["kid_identity_floor"] == round(table.floor.kid_identity, 3)
    row = next(row for row in table.rows if row.name == "K-DCGAN+Cyc")
    assert lion.measures["samples"] == 5
    assert lion.measures["cascade_animal_score"] == round(row.by_animal["lion"]["score_y"], 4)
    assert lion.study == "a face is found in only 0% of its pictures" and not cards.card("k-dcgan-panda-16").measures


@pytest.mark.parametrize(
    ("found", "kid_identity", "alike", "study"),
    [
        (0.5, 500, 0.5, None),
        (0.4, 900, 0.9, "a face is found in only 40% of its pictures"),
        (0.9, 501, 0.1, "as a set its faces are far from photographs"),
        (0.9, 501, 0.6, "the identity judge takes its faces for one person"),
    ],
)
def test_a_generator_is_a_study_for_the_plainest_reason(found, kid_identity, alike, study):
    figures = {"score_x": found, "score_y": 0.1, "error_x": 0.4, "error_y": 0.5}
    row = module.Row("DCGAN", 10, **figures, copies=0.0, by_animal={"lion": figures})
    floor, distance = (module.Distance("", far, 1, 1, 1, 1, 1, alike) for far in (0, kid_identity))
    assert module._plain(row, sampler("dcgan"), floor, distance, 0.5).study() == study


def test_likeness_is_the_mean_cosine_of_two_faces():
    faces = np.random.default_rng(0).normal(size=(6, 4)) + 1
    faces *= 3 / np.linalg.norm(faces, axis=1, keepdims=True)
    pairs = [a @ b / 9 for a, b in combinations(faces, 2)]
    assert likeness(faces) == pytest.approx(np.mean(pairs))


def test_the_command_prints_json_alone_and_saves_when_told(engine, packs, capsys, monkeypatch):
    engine.registry.save()
    monkeypatch.setattr(engine_module, "Engine", lambda: engine)
    arguments = ["evaluate", "ian", "--samples", "8", "--data", str(packs)]
    assert cli.main([*arguments, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert {"DCGAN", "K-BEGAN+Cyc"} <= {row["name"] for row in answer["rows"]}
    assert not Registry(engine.registry.index).card("dcgan-16").measures
    assert cli.main([*arguments, "--save"]) == 0
    shown = capsys.readouterr().out
    assert "Table 1" in shown and "no model memorises" in shown
    assert Registry(engine.registry.index).card("dcgan-16").measures["samples"] == 8
    assert cli.main([*arguments[:-1], str(packs.parent), "--json"]) == 2 and "data pack" in capsys.readouterr().err
