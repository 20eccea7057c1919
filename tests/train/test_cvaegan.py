"""CVAE-GAN's Algorithm 1: what pictures are called, who learns from what, whose features are matched, and what is shipped."""

import pytest
import torch

from studio.core.registry import UnknownModel
from studio.train import cvaegan
from studio.train.cvaegan import (
    VARIANTS,
    Attributes,
    Centres,
    Classes,
    CVAEGANTrainer,
    Extent,
    centres_of,
    read_named,
)
from studio.train.data import MODEL_PARTS, part, to_unit
from studio.train.loop import run, unwrap
from tests.train.small import (
    NAMES,
    Trunk,
    assert_resumes,
    card_in,
    changed,
    go,
    save,
    settings,
    shipped,
    snapshot,
    store_of,
    write_named_faces,
    write_pack,
)

LEARNERS = {"encoder", "generator", "critic", "classifier"}
TINY = Extent("face", 6, {"width": 2, "most": 2}, {"width": 2, "most": 2})


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Two packs of faces that have ten photos in common, and two kinds of flowers."""
    folder = tmp_path_factory.mktemp("named")
    write_named_faces(folder)
    write_pack(folder, "flowers128", [{"class": ("rose", "tulip")[i % 5 > 2], "file_name": f"{i}.png"} for i in range(100)])
    return folder


@pytest.fixture
def make(data, precise, monkeypatch, tmp_path):
    """Makes a trainer of 16 px pictures, eight a step: C learns alone for two steps, E and G for one."""
    torch.manual_seed(0)
    for name, value in {"MEASURED": 40, "BATCH": 20, "imagenet_trunk": lambda data: Trunk().eval()}.items():
        monkeypatch.setattr(cvaegan, name, value)
    for name, value in {"images_per_step": 8, "classified": 16, "warm_up": 8}.items():
        monkeypatch.setattr(CVAEGANTrainer, name, value)

    def make(name="CVAE-GAN", domain="flowers", seed=0, size=16, extent=TINY):
        made = settings(data, tmp_path / "runs" / f"cvaegan-{domain}-{size}", seed)
        return CVAEGANTrainer(made, domain, size, VARIANTS[name], extent)

    return make


def learners(trainer, steps):
    before = {name: snapshot(trainer, name) for name in LEARNERS}
    losses = go(trainer, steps)
    return losses.keys(), {name for name in LEARNERS if changed(before[name], trainer, name)}


# --- what pictures are called ---------------------------------------------------------------------------------------------------


def test_faces_are_those_with_attributes_each_photo_once(data):
    read = {i: read_named("faces", 16, data, frozenset({i})) for i in range(10)}
    assert sum(len(named.images) for named in read.values()) == 50 + 70
    for tenth, named in read.items():
        wild = sum(part(f"celeba/{i}.png") == tenth for i in range(50))
        assert len(named.images) == wild + sum(part(f"{i}.png") == tenth for i in range(50, 120))
        assert named.conditions.names == NAMES
        assert set(named.labels.unique().tolist()) == {-1, 1} and named.labels.shape[1] == 40


def test_flowers_are_one_of_their_classes(data):
    named = read_named("flowers", 16, data, MODEL_PARTS)
    kept = [i for i in range(100) if part(f"{i}.png") in MODEL_PARTS]
    assert named.conditions.names == ("rose", "tulip")
    assert named.labels.argmax(1).tolist() == [int(i % 5 > 2) for i in kept] and named.labels.sum(1).unique().tolist() == [1]


def test_strangers_come_along_if_they_are_asked_for(data):
    few, many = (read_named("faces", 16, data, MODEL_PARTS, strangers) for strangers in (False, True))
    unknown = (many.labels == 0).all(1)
    assert len(many.images) > len(few.images) == (~unknown).sum()
    assert unknown.sum() == sum(part(f"aaf/{i}.png") in MODEL_PARTS for i in range(20))


def test_people_are_those_with_enough_photos_and_have_numbers(tmp_path):
    rows = [{"file_name": f"{i}.png", "identity": ("70", "9", "300", "")[i % 4 if i < 60 else 0]} for i in range(80)]
    rows += [{"file_name": f"few{i}.png", "identity": "5"} for i in range(5)]
    write_pack(tmp_path, "faces128", rows)
    named = read_named("people", 16, tmp_path, MODEL_PARTS)
    assert named.conditions.names == ("person 1", "person 2", "person 3")  # 9, 70, 300
    wanted = [{"9": 0, "70": 1, "300": 2}[r["identity"]] for r in rows[:80] if r["identity"] and part(r["file_name"]) < 7]
    assert named.labels.argmax(1).tolist() == wanted
    assert len(read_named("people", 16, tmp_path, frozenset({9})).conditions.names) == 3


def test_what_faces_are_told_never_contradicts_their_labels():
    labels = torch.randn(500, 40).sign()
    told = Attributes(NAMES).told(labels)
    assert (told * labels).min() >= 0 and told.abs().max() == 1
    assert 0.08 < (told == 0).float().mean() < 0.12 and 0.5 < (told.abs() == 1).float().mean() < 0.7


def test_a_few_attributes_change_and_c_should_see_all_of_the_others():
    labels = torch.randn(500, 40).sign()
    told = labels * 0.5
    asked, wanted = Attributes(NAMES).changed(told, labels)
    new = asked != told
    assert 0.18 < new.float().mean() < 0.22 and torch.equal(asked[new], wanted[new]) and torch.equal(wanted[~new], labels[~new])
    assert asked.abs().max() <= 1 and asked[new].abs().mean() == pytest.approx(2 / 3, abs=0.02)


def test_mixed_classes_are_shares():
    labels = torch.eye(3)[torch.arange(3).repeat(100)]
    asked, wanted = Classes(("a", "b", "c")).changed(labels, labels)
    assert torch.equal(asked, wanted) and torch.allclose(asked.sum(1), torch.ones(300)) and asked.min() >= 0
    whole = (asked.max(1).values == 1).float().mean()
    assert 0.5 < whole < 0.8  # half of them another class, and those whose other class is their own


def test_attributes_are_sigmoids_with_a_graded_aim_and_unknown_ones_do_not_count():
    conditions, logits = Attributes(NAMES), torch.zeros(1, 40, requires_grad=True)
    condition = torch.zeros(1, 40)
    condition[0, 0], condition[0, 1] = 0.5, -1
    conditions.loss(logits, condition).backward()
    assert logits.grad[0, :2].tolist() == pytest.approx([-0.125, 0.25]) and logits.grad[0, 2:].abs().sum() == 0
    assert conditions.guess(torch.tensor([[0.0, 50.0, -50.0]])).tolist() == [[0, 1, -1]]
    assert conditions.right(torch.tensor([[3.0, -1.0]]), torch.tensor([[1.0, 1.0]])).tolist() == [[1, 0]]


def test_classes_are_a_softmax():
    conditions = Classes(("a", "b"))
    assert conditions.loss(torch.tensor([[50.0, 0.0]]), torch.tensor([[0.5, 0.5]])).item() == pytest.approx(25)
    assert conditions.guess(torch.tensor([[0.0, 50.0]])).tolist() == [[pytest.approx(0), 1]]
    assert conditions.right(torch.tensor([[3.0, -1.0]]), torch.eye(2)[:1]).tolist() == [1]


# --- moving averages ------------------------------------------------------------------------------------------------------------


def test_centres_are_of_those_who_belong():
    features, labels = torch.tensor([[1.0], [3.0], [9.0]]), torch.tensor([[1.0], [1.0], [-1.0]])
    assert centres_of(features, Attributes(("x",)).groups(labels)).tolist() == [[2.0], [9.0]]


def test_an_average_moves_slowly_and_pulls_with_the_whole_batch():
    centres = Centres(2, 3)
    centres.real.fill_(1)
    made = torch.full((2, 3), 0.0, requires_grad=True)
    distance = centres.distance(torch.ones(2, 3), made, torch.tensor([1.0, 0.0]))
    assert distance.item() == pytest.approx(0.5)
    distance.backward()
    assert made.grad.tolist() == [[pytest.approx(-1 / 6)] * 3] * 2
    centres.distance(torch.zeros(2, 3), torch.full((2, 3), 10.0), torch.tensor([1.0, 0.0]))
    assert torch.allclose(centres.real[0], torch.tensor(cvaegan.HELD)) and centres.real[1].tolist() == [1, 1, 1]
    assert torch.allclose(centres.made[0], torch.tensor(10 * (1 - cvaegan.HELD))) and centres.made[1].tolist() == [0, 0, 0]


def test_codes_that_repeat_the_condition_are_coupled_to_it():
    torch.manual_seed(0)
    conditions = torch.randn(64, 2).sign() * torch.tensor([1.0, 0.5])
    codes = torch.cat([conditions[:, :1], torch.randn(64, 3)], 1).requires_grad_()
    coupling = cvaegan.Coupling(4, conditions.std(0))
    for _ in range(500):
        coupled = coupling(codes.detach(), conditions)
    assert coupled.item() == pytest.approx(0.5, abs=0.15)  # one of two conditions is there whole
    coupling(codes, conditions).backward()
    assert (codes.grad[:, 0] * conditions[:, 0]).min() > 0 and codes.grad[:, 0].abs().mean() > 3 * codes.grad[:, 1:].abs().mean()


# --- the step -------------------------------------------------------------------------------------------------------------------


def test_c_learns_first_then_e_and_g_then_all(make):
    trainer = make()
    assert learners(trainer, 2) == ({"C"}, {"classifier"})
    given_back = {"KL", "apart", "pixels", "maps_C", "perceptual"}
    losses, learnt = learners(trainer, 1)
    assert losses == given_back and learnt == {"encoder", "generator"}
    trainer.steps = 4
    losses, learnt = learners(trainer, 1)
    assert losses == given_back | {"C", "GC", "said", "maps_D", "GD", "D"} and learnt == LEARNERS
    losses, learnt = learners(trainer, 1)
    assert losses == given_back | {"GC", "said", "maps_D", "GD"} and learnt == {"encoder", "generator"}


@pytest.mark.parametrize(
    ("name", "losses"),
    [("CVAE", {"KL", "apart", "pixels"}), ("CGAN", {"GC", "GD", "D"}), ("FM-CGAN", {"GC", "said", "GD", "D"})],
)
def test_a_variant_has_the_losses_it_is_left_with(make, name, losses):
    trainer = make(name)
    go(trainer, 2)
    trainer.steps = 8
    found, learnt = learners(trainer, 1)
    assert found == losses | {"C"}
    assert ("encoder" in learnt) == ("pixels" in losses) and ("critic" in learnt) == ("D" in losses)


@pytest.mark.parametrize("domain", ["faces", "flowers"])
def test_a_larger_network_grows_from_the_run_of_half_its_side(make, monkeypatch, tmp_path, domain):
    monkeypatch.setattr(cvaegan, "BASE", 16)
    monkeypatch.setattr(cvaegan, "INNER", 0.0)
    extent = Extent("face", 6, {"width": 16, "most": 2}, {"width": 16, "most": 2})
    small = make(domain=domain, extent=extent)
    monkeypatch.setattr(cvaegan, "default_store", lambda: store_of(tmp_path / "nothing"))
    with pytest.raises(UnknownModel, match=f"cvaegan-{domain}-16"):
        make(domain=domain, size=32, extent=extent)
    go(small, 4)
    save(small)
    large = make(domain=domain, size=32, extent=extent)
    assert large.configs["generator"]["width"] == 8 and large.configs["generator"]["most"] == 4
    assert (large.labels_of.abs().sum(1) > 0).all()
    assert torch.equal(large.ema["generator"].draw.start.weight, small.ema["generator"].draw.start.weight)
    before = {name: snapshot(large, name) for name in LEARNERS}
    assert {"C", "pixels", "GD", "GC", "D"} <= go(large, 1).keys()
    fresh = {"encoder": "down.layers.0.bias", "generator": "draw.layers.2.bias"}
    for name, parameters in before.items():
        learnt = {key for key in changed(parameters, large, name) if not key.startswith("down.norms") and ".norms." not in key}
        assert learnt and not any(key.endswith("answer.weight") or key.endswith("start.weight") for key in learnt)
        assert name not in fresh or fresh[name] in learnt


def test_without_a_run_it_grows_from_what_is_shipped(make, monkeypatch, tmp_path):
    monkeypatch.setattr(cvaegan, "BASE", 16)
    extent = Extent("face", 6, {"width": 16, "most": 2}, {"width": 16, "most": 2})
    small = make(extent=extent)
    small.export({"kid_imagenet": 1})
    store = store_of(tmp_path / "pretrained", small.settings.out / "export")
    monkeypatch.setattr(cvaegan, "default_store", lambda: store)
    large = make(size=32, extent=extent)
    assert torch.allclose(large.ema["generator"].draw.start.weight, small.ema["generator"].draw.start.weight, atol=1e-3)
    assert go(large, 1).keys() >= {"C", "GD", "D"}


@pytest.mark.parametrize("domain", ["faces", "flowers"])
def test_made_pictures_leave_no_trace_in_d_and_c(make, domain):
    trainer = make(domain=domain)
    go(trainer, 5)
    drawn = torch.rand(8, 3, 16, 16, requires_grad=True)
    for name in ("critic", "classifier"):
        before, network = snapshot(trainer, name), trainer.networks[name]
        network.zero_grad()
        maps, *_ = trainer._looked(name, torch.rand(4, 3, 16, 16), drawn)
        _, _, found, _ = trainer._looked(name, torch.rand(4, 3, 16, 16), drawn)
        found[0].sum().backward()
        assert not changed(before, trainer, name) and all(p.grad is None for p in network.parameters()) and len(maps) == 2
    assert drawn.grad.abs().sum() > 0


def test_new_pictures_are_of_the_prior_or_of_photos_with_other_conditions(make):
    trainer = make(domain="faces")
    go(trainer, 3)
    codes, labels = torch.randn(8, 6), torch.randn(8, 40).sign()
    latents, asked, wanted = trainer._others(codes, labels * 0.5, labels)
    assert torch.equal(latents[1:], codes[1:4]) and not torch.equal(latents[:1], codes[:1])
    assert torch.equal(asked[:1], labels[:1] * 0.5) and torch.equal(wanted[:1], asked[:1])
    assert not torch.equal(asked[1:], labels[1:4] * 0.5) and not torch.equal(wanted[1:], labels[1:4])


def test_a_picture_given_back_is_moved_with_its_photo():
    photos = torch.rand(6, 3, 16, 16) + 1
    real, drawn = cvaegan._translated(photos, photos.clone(), torch.rand(2, 3, 16, 16))
    assert torch.equal(real, drawn[:6]) and not torch.equal(real, photos) and len(drawn) == 8


def test_a_generator_begins_with_smooth_pictures():
    torch.manual_seed(0)

    def rough(generator):
        made = generator(torch.randn(8, 6), torch.zeros(8, 2))
        return ((made[..., 1:] - made[..., :-1]).square().mean() / made.var((2, 3)).mean()).item()

    smooth, plain = (cvaegan.Generator(6, 2, 8, 32, 2) for _ in range(2))
    cvaegan._start_smooth(smooth)
    assert rough(smooth) < 0.5 * rough(plain)


def test_a_run_goes_on_where_it_stopped(make):
    trainer, again = make(), make(seed=5)
    go(trainer, 6)
    assert_resumes(trainer, again)
    torch.manual_seed(3)
    first = go(trainer, 2)
    torch.manual_seed(3)
    second = go(again, 2)
    assert all(torch.allclose(first[name], second[name], rtol=0.05, atol=1e-3) for name in first)


# --- what comes of it -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("domain", ["faces", "flowers"])
def test_what_is_shipped_is_what_was_measured(make, tmp_path, domain):
    trainer = make(domain=domain)
    go(trainer, 6)
    measures = run(trainer)
    assert set(measures) == {"kid_imagenet", "kid_imagenet_floor", "psnr", "accuracy"} and 0 <= measures["accuracy"] <= 1
    store = store_of(tmp_path / "pretrained", trainer.settings.out / "export")
    names = [f"cvaegan-{domain}-16", f"cvaegan-encoder-{domain}-16", f"cvaegan-classifier-{domain}-16"]
    cards = [store.registry.card(name) for name in names]
    assert [card.task for card in cards] == ["draw", "describe", "recognise"]
    for card in cards:
        assert (card.frame, card.domains) == (("head", ("face",)) if domain == "faces" else ("", ("face",)))
        assert card.labels == trainer.conditions.names and card.measures == measures
    generator, encoder, classifier = (shipped(store, name) for name in names)
    photos = to_unit(trainer.held_out.images)
    codes, answers = trainer.found(photos)
    condition = trainer.conditions.guess(answers)
    assert torch.allclose(classifier(photos)["logits"], answers, atol=0.05)
    assert torch.allclose(encoder(photos, condition)["mean"], codes, atol=0.05)
    assert torch.allclose(generator(codes, condition), trainer.drawn(codes, condition), atol=0.05)


@pytest.mark.parametrize(("kid", "study"), [(399, None), (401, "as a set its pictures are far from photographs")])
def test_a_network_whose_pictures_are_far_off_is_a_study(make, kid, study):
    trainer = make()
    trainer.export({"kid_imagenet": kid})
    export = trainer.settings.out / "export"
    names = "cvaegan-flowers-16", "cvaegan-encoder-flowers-16", "cvaegan-classifier-flowers-16"
    assert [card_in(export, name).study for name in names] == [study, study, None]


def test_the_grid_shows_photos_above_what_is_made_of_them(make):
    trainer = make()
    go(trainer, 3)
    few = min(12, len(trainer.held_out.images))
    assert trainer.grid().size == (12 * 18, (2 + 1 + 2 + 2) * 18) and few > 0
    assert not unwrap(trainer.ema["encoder"]).training
