"""SDIT's recipe: what pictures are called and asked for, who learns from what, what each switch takes away, what is shipped."""

from dataclasses import replace

import pytest
import torch

from studio.train import sdit
from studio.train.data import MODEL_PARTS, part
from studio.train.loop import begin_as_shipped, run
from studio.train.sdit import (
    ATTRIBUTES,
    DETERMINISTIC,
    HAIR,
    PLACES,
    VARIANTS,
    Attributes,
    Classes,
    Discriminator,
    SDITTrainer,
    Variant,
    read_labelled,
)
from tests.train.small import (
    Trunk,
    assert_resumes,
    begin_with,
    card_in,
    changed,
    go,
    settings,
    shipped,
    snapshot,
    stand_in_reader,
    store_of,
    write_named_faces,
    write_pack,
)

CARS = ("black", "blue", "red")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Cars of three colours, and paintings of two kinds."""
    folder = tmp_path_factory.mktemp("domains")
    write_pack(folder, "cars_by_colour128", [{"colour": CARS[i % 7 % 3], "file_name": f"{i}.png"} for i in range(90)])
    write_pack(folder, "art160", [{"domain": ("monet", "photo")[i % 2], "file_name": f"{i}.png"} for i in range(60)])
    return folder


@pytest.fixture
def make(data, precise, monkeypatch, tmp_path):
    """Makes a trainer of 16 px pictures, four a step."""
    torch.manual_seed(0)
    monkeypatch.setitem(sdit.CONFIGS, 16, {"width": 4, "n_blocks": 1, "hidden": 8})
    monkeypatch.setattr(sdit, "WARM_UP", 0)
    monkeypatch.setattr(sdit, "imagenet_trunk", lambda data: Trunk(Discriminator.widths).eval())
    monkeypatch.setattr(SDITTrainer, "images_per_step", 4)
    monkeypatch.setitem(sdit.DOMAINS, "cars", replace(sdit.DOMAINS["cars"], change=0.0, read=0.0))

    def make(variant=None, domains="cars", seed=0):
        return SDITTrainer(settings(data, tmp_path / "runs" / f"sdit-{domains}-16", seed), domains, 16, variant)

    return make


# --- what pictures are called ---------------------------------------------------------------------------------------------------


def labels(*present):
    return torch.tensor([[float(name in present) for name in ATTRIBUTES]])


def said(row):
    return {name for name, on in zip(ATTRIBUTES, row[0].tolist(), strict=True) if on}


def test_one_attribute_is_turned_round_and_the_rest_stays():
    kind = Attributes(ATTRIBUTES)
    photo = labels("Male", "Young")
    assert said(kind.towards(photo, "Smiling")) == {"Male", "Young", "Smiling"}
    assert said(kind.towards(photo, "Male")) == {"Young"}
    assert said(photo) == {"Male", "Young"}


def test_hair_has_one_colour():
    kind = Attributes(ATTRIBUTES)
    assert said(kind.towards(labels("Brown_Hair", "Bangs"), "Blond_Hair")) == {"Blond_Hair", "Bangs"}
    assert said(kind.towards(labels("Blond_Hair"), "Brown_Hair")) == {"Brown_Hair"}
    assert said(kind.towards(labels("Blond_Hair"), "Blond_Hair")) == set()
    torch.manual_seed(0)
    asked = kind.changed(labels("Blond_Hair").repeat(500, 1))
    both = [ATTRIBUTES.index(name) for name in HAIR]
    assert asked[:, both].sum(1).max() == 1


def test_something_is_always_asked_for_and_seldom_much():
    torch.manual_seed(0)
    photos = labels("Male").repeat(1000, 1)
    turned = (Attributes(ATTRIBUTES).changed(photos) != photos).sum(1).float()
    assert turned.min() >= 1 and 1.3 < turned.mean() < 1.7
    classes = torch.eye(3).repeat(200, 1)
    assert (Classes(CARS).changed(classes) * classes).sum() == 0
    assert Classes(CARS).changed(classes).sum(0).min() > 150


def test_rare_attributes_and_classes_are_drawn_more_often():
    faces = torch.cat([labels("Wearing_Hat"), labels("Smiling").repeat(99, 1)])
    weights = Attributes(ATTRIBUTES).weights(faces)
    assert weights[0] > 20 * weights[1]
    cars = torch.eye(3)[[0, 0, 0, 1, 2]]
    assert Classes(CARS).weights(cars).tolist() == pytest.approx([1 / 3, 1 / 3, 1 / 3, 1, 1])


def test_attributes_are_not_exclusive_and_classes_are():
    sure = labels("Male", "Smiling") * 40 - 20
    assert Attributes(ATTRIBUTES).loss(sure, labels("Male", "Smiling")) < 1e-3
    assert Attributes(ATTRIBUTES).loss(sure, labels("Male")) == pytest.approx(20, abs=0.1)
    assert Classes(CARS).loss(torch.tensor([[9.0, 0, 0]]), torch.eye(3)[:1]) < 1e-3
    assert torch.equal(Classes(CARS).towards(torch.eye(3), "blue"), torch.eye(3)[[1, 1, 1]])


def test_a_domain_is_a_column_of_its_pack(data):
    cars = read_labelled("cars", 16, data, MODEL_PARTS)
    assert cars.kind.names == CARS and cars.images.shape == (len(cars.labels), 3, 16, 16)
    expected = [CARS.index(CARS[i % 7 % 3]) for i in range(90) if part(f"{i}.png") in MODEL_PARTS]
    assert cars.labels.argmax(1).tolist() == expected
    assert read_labelled("art", 16, data, MODEL_PARTS).kind.names == ("monet", "photo")


def test_faces_are_whole_portraits_with_attributes_each_photo_once(tmp_path, monkeypatch):
    write_named_faces(tmp_path)
    monkeypatch.setattr(sdit, "ATTRIBUTES", ("1_attribute", "absent", "2_attribute"))
    read = [read_labelled("attributes", 16, tmp_path, frozenset({i})) for i in range(10)]
    assert sum(len(each.images) for each in read) == 50 + 70
    assert read[0].kind.names == ("1_attribute", "2_attribute") and set(read[0].labels.unique().tolist()) == {0, 1}
    large = [read_labelled("attributes", 128, tmp_path, frozenset({i})) for i in range(10)]
    assert sum(len(each.images) for each in large) == 50


# --- who learns from what -------------------------------------------------------------------------------------------------------


def test_both_learn_from_all_losses(make):
    trainer = make()
    before = {name: snapshot(trainer, name) for name in trainer.networks}
    losses = go(trainer, 1)
    assert set(losses) == {"gan", "fake", "rec", "latent", "variety", "attention", "apart", "critic", "real", "refused", "code"}
    for name, tensors in before.items():
        still = tensors.keys() - changed(tensors, trainer, name)
        assert not {key for key in still if tensors[key].numel() > 1}, name


def test_at_first_d_alone_learns_from_photos(make, monkeypatch):
    trainer = make()
    monkeypatch.setattr(sdit, "WARM_UP", 4)
    before = snapshot(trainer, "generator")
    assert set(go(trainer, 1)) == {"critic", "real"} and not changed(before, trainer, "generator")
    assert "gan" in go(trainer, 1) and changed(before, trainer, "generator")


def test_a_shipped_generator_waits_for_a_new_d(make, monkeypatch, tmp_path):
    monkeypatch.setattr(sdit, "WARM_UP", 4)
    monkeypatch.setattr(sdit, "MEET", 4)
    first = make()
    go(first, 2)
    trainer = make(seed=1)
    begin_with(trainer, first, tmp_path / "store")
    before = {name: snapshot(trainer, name) for name in trainer.networks}
    assert set(go(trainer, 1)) == {"critic", "real"}
    assert "refused" in go(trainer, 1) and not changed(before["generator"], trainer, "generator")
    assert changed(before["critic"], trainer, "critic")
    go(trainer, 1)
    assert changed(before["generator"], trainer, "generator")


def test_what_is_hard_is_asked_for_more_often():
    torch.manual_seed(0)
    photos = labels("Young").repeat(4000, 1)
    turned = (Attributes(ATTRIBUTES).changed(photos) != photos).float().mean(0)
    often = dict(zip(ATTRIBUTES, turned.tolist(), strict=True))
    one = (1 - sdit.ALSO) / (len(ATTRIBUTES) + sum(times - 1 for times in sdit.HARD.values()))
    assert often["Wearing_Hat"] == pytest.approx(sdit.ALSO + one, abs=0.02)  # beside another, or by itself
    assert often["Mouth_Slightly_Open"] == pytest.approx(sdit.ALSO + sdit.HARD["Mouth_Slightly_Open"] * one, abs=0.02)


def test_attention_is_saved_by_gathering_and_not_by_dimming():
    gathered, spread = torch.zeros(2, 2, 1, 16, 16)
    gathered[:, :, 4:8, 4:8], spread[:] = 0.8, 0.8
    assert sdit.spread_of(gathered) == pytest.approx(1 / 16) and sdit.spread_of(spread) == pytest.approx(1)
    assert sdit.spread_of(0.1 * gathered) == pytest.approx(1 / 16) and sdit.spread_of(0 * spread) == 0


def test_photos_that_shall_stay_count_as_those_that_come_back(make, monkeypatch):
    """They are asked for what they show; a network that gives every photo back has nothing to lose."""
    trainer = make()
    generator, asked = trainer.networks["generator"], []

    def give_back(image, label, latent):
        asked.append((image, label))
        return {"image": image, "attention": torch.zeros(len(image), 1, 16, 16, requires_grad=True)}

    monkeypatch.setattr(generator, "forward", give_back)
    photos, called = trainer._photos()
    photos, called = photos[:2].repeat(2, 1, 1, 1).requires_grad_(), called[:2].repeat(2, 1)
    wanted, real = trainer.kind.changed(called), trainer._look(photos.detach())
    losses, _ = trainer._train_generator(photos, called, wanted, trainer.latents(4), real)
    assert losses["rec"] == 0
    (_, there), (images, back) = asked
    assert torch.equal(there, wanted) and len(images) == 2 + sdit.STAY
    assert torch.equal(images[2:], photos[: sdit.STAY]) and torch.equal(back[2:], called[: sdit.STAY])


def test_three_heads_answer():
    critic = Discriminator(Trunk(Discriminator.widths), labels=5, domains=7, latent=6, size=64)
    answer = critic.answer(critic.look(torch.rand(3, 3, 64, 64)))
    assert answer["labels"].shape == (3, 5) and answer["latent"].shape == (3, 6)
    features, patches = [16**2, 8**2, 4**2, 1], [8**2, 4**2]
    assert [scale.shape for scale in answer["source"]] == [(3, 8, n) for n in features + patches]
    assert not any("_trunk" in name for name in critic.state_dict())


def test_d_is_asked_of_what_changed(make):
    """Of classes whether it is one, of attributes whether those that were turned round are as they should be."""
    asked = make()._asked(torch.eye(3)[:1], torch.eye(3)[1:2])
    assert asked.tolist() == [[1, 0, 1, 0]]
    kind = Attributes(("Smiling", "Young"))
    assert kind.domains(torch.tensor([[1.0, 0]])).tolist() == [[1, 0, 0, 1]]


def test_only_what_is_asked_counts():
    answers = [torch.tensor([[[1.0, 3.0], [9.0, 9.0]]]), torch.tensor([[[1.0], [9.0]]])]
    assert sdit._towards(answers, torch.tensor([[1.0, 0.0]]), 1.0) == pytest.approx((0 + 4) / 2 / 2)


@pytest.mark.parametrize("name", VARIANTS)
def test_a_variant_leaves_out_what_it_says(make, name):
    variant = VARIANTS[name]
    trainer = make(variant)
    losses = go(trainer, 1)
    assert ({"latent", "code"} <= losses.keys()) == variant.latent_loss
    assert {key: trainer.config[key] for key in ("scale", "shift", "attention")} == {
        "scale": variant.scale,
        "shift": variant.shift,
        "attention": variant.attention,
    }
    photos = torch.rand(2, 3, 16, 16)
    made = [trainer.translate(photos, torch.eye(3)[:2], trainer.latents(2)) for _ in range(2)]
    assert ("attention" in made[0]) == variant.attention
    assert torch.equal(made[0]["image"], made[1]["image"]) == (not variant.scale and not variant.shift)


def test_a_change_costs_where_the_domains_say_so(make, monkeypatch):
    assert "change" not in go(make(), 1)
    monkeypatch.setitem(sdit.DOMAINS, "cars", replace(sdit.DOMAINS["cars"], change=2.0))
    assert go(make(), 1)["change"] > 0


def test_what_an_extractor_reads_counts_where_the_domains_say_so(make, monkeypatch):
    """It is shown what was made, and the generator learns from it alone; its weight is the loss's."""
    monkeypatch.setitem(sdit.DOMAINS, "cars", replace(sdit.DOMAINS["cars"], read=2.0))
    reader = stand_in_reader(3)
    monkeypatch.setattr(SDITTrainer, "_reader", lambda self: reader)
    trainer = make()
    before = {key: value.clone() for key, value in reader.state_dict().items()}
    losses = go(trainer, 1)
    assert 0.5 < losses["read"] / 2 < 3  # guessing among three is log 3
    assert all(torch.equal(value, before[key]) for key, value in reader.state_dict().items())


def test_a_picture_is_asked_for_no_more_of_a_colour_than_photos_have(make, monkeypatch):
    """Each by itself, and only where the domains say so."""
    trainer, wanted = make(), torch.eye(3)[:2]
    trainer.unread = 0.6
    logits = torch.tensor([[4.0, 0, 0], [1.0, 0, 0]])
    sure, unsure = trainer.kind.losses(logits, wanted).tolist()
    assert sure < 0.3 < unsure
    for enough, missing in ((0.0, (sure + unsure) / 2), (0.5, (unsure - 0.3) / 2)):
        monkeypatch.setitem(sdit.DOMAINS, "cars", replace(sdit.DOMAINS["cars"], enough=enough))
        assert trainer._missing(logits, wanted).item() == pytest.approx(missing)


def test_what_photos_have_is_measured_on_new_ones(make, monkeypatch):
    monkeypatch.setitem(sdit.DOMAINS, "cars", replace(sdit.DOMAINS["cars"], read=1.0))
    reader = stand_in_reader(3)
    monkeypatch.setattr(SDITTrainer, "_reader", lambda self: reader)
    trainer = make()
    held_out = trainer.held_out
    said = reader(sdit.to_unit(held_out.images))
    assert trainer.unread == pytest.approx(torch.nn.functional.cross_entropy(said, held_out.labels.argmax(1)).item(), rel=1e-4)


@pytest.mark.parametrize(("x", "y", "inside"), [(64, 66, "Eyeglasses"), (64, 96, "Mouth_Slightly_Open"), (64, 40, "Bangs")])
def test_a_place_is_where_portraits_have_it(x, y, inside):
    found = {name: sdit.place_map(PLACES[name], 128)[y, x] for name in ("Eyeglasses", "Mouth_Slightly_Open", "Bangs")}
    assert {name for name, on in found.items() if on} == {inside}
    small, large = (float(sdit.place_map(PLACES[inside], size).mean()) for size in (64, 128))
    assert small == pytest.approx(large, rel=0.1)


def test_what_changes_says_where():
    kind = Attributes(ATTRIBUTES)
    photo = labels("Male", "Eyeglasses")
    glasses, mouth = (sdit.place_map(PLACES[name], 64) for name in ("Eyeglasses", "Mouth_Slightly_Open"))

    def places(*shown):
        return kind.places(photo, labels(*shown), 64)[0, 0]

    assert torch.equal(places("Male"), glasses)
    assert torch.equal(places("Male", "Mouth_Slightly_Open"), torch.maximum(glasses, mouth))
    assert places("Eyeglasses").min() == 1 and places("Male", "Eyeglasses").max() == 0
    assert Classes(CARS).places(torch.eye(3), torch.eye(3).flip(0), 64) is None


def test_attention_beside_its_place_is_a_share():
    places = torch.zeros(2, 1, 4, 4)
    places[:, :, :2] = 1
    attention = torch.full((2, 1, 4, 4), 0.2)
    assert sdit.beside(attention, places) == pytest.approx(0.5)
    assert sdit.beside(5 * attention * places, places) == 0 and sdit.beside(0 * attention, places) == 0


def test_attributes_need_their_extractor(tmp_path, monkeypatch):
    write_named_faces(tmp_path)
    monkeypatch.setattr(sdit, "ATTRIBUTES", ("1_attribute", "2_attribute"))
    monkeypatch.setattr(sdit, "imagenet_trunk", lambda data: Trunk(Discriminator.widths).eval())
    monkeypatch.setitem(sdit.CONFIGS, 16, {"width": 4, "n_blocks": 1, "hidden": 8})
    with pytest.raises(FileNotFoundError, match="semantics-attributes-96"):
        SDITTrainer(settings(tmp_path, tmp_path / "runs" / "sdit-attributes-16"), "attributes", 16)


def test_each_part_learns_at_its_own_rate(make):
    critic = make().networks["critic"]
    groups = sdit._rated(critic, "critic", {"code": (".code.",), "patches": (".patches.",)})
    assert [group["lr"] for group in groups] == [sdit.RATES[name] for name in ("critic", "code", "patches")]
    assert len(groups[2]["params"]) == len(list(critic.patches.parameters()))
    assert sum(len(group["params"]) for group in groups) == len(list(critic.parameters()))


def test_what_stands_still_is_the_other_player(make):
    """The generator's step leaves no gradient in D, and D's none in the generator."""
    trainer = make()
    generator, critic = trainer.networks["generator"], trainer.networks["critic"]
    photos, called = trainer._photos()
    wanted, latents, real = trainer.kind.changed(called), trainer.latents(4), trainer._look(photos)
    _, made = trainer._train_generator(photos, called, wanted, latents, real)
    assert all(p.grad is None for p in critic.parameters())
    for parameter in generator.parameters():
        parameter.grad = None
    trainer._train_critic(real, called, made, called, wanted, latents)
    assert all(p.grad is None for p in generator.parameters())


def test_photos_are_drawn_with_their_labels(make):
    trainer = make()
    trainer.images_of[:] = (trainer.labels_of.argmax(1) * 100).to(torch.uint8)[:, None, None, None]
    photos, called = trainer._photos()
    assert torch.equal(((photos[:, 0, 0, 0] + 1) * 127.5 / 100).round(), called.argmax(1).float())


# --- what comes of it -----------------------------------------------------------------------------------------------------------


def test_a_run_goes_on_where_it_stopped(make):
    trainer = make()
    go(trainer, 2)
    assert_resumes(trainer, make(seed=1))


def test_a_grid_shows_photo_domains_and_attention(make):
    attended, plain = make().grid(), make(Variant(attention=False)).grid()
    rows = min(10, len(make().held_out.images))
    assert attended.size == ((1 + 3 * 3) * 18, rows * 18) and plain.size == ((1 + 2 * 3) * 18, rows * 18)


@pytest.mark.parametrize(("domains", "names", "attends"), [("cars", CARS, True), ("art", ("monet", "photo"), False)])
def test_what_is_shipped_is_the_average(make, tmp_path, domains, names, attends):
    trainer = make(domains=domains)
    measures = run(trainer)
    assert {"kid_imagenet", "psnr", "variety", "variety_photos"} <= measures.keys()
    export = trainer.settings.out / "export"
    card = card_in(export, f"sdit-{domains}-16")
    assert card.labels == names and card.task == "translate" and card.domains[1] == domains
    assert card.config["attention"] is attends and card.measures == measures
    assert "0 pictures only" in card.study
    network = shipped(store_of(tmp_path / "store", export), card.id)
    photos, wanted, latents = torch.rand(2, 3, 16, 16), torch.eye(len(names))[:2], torch.randn(2, sdit.LATENT)
    answer = network(photos, wanted, latents)
    assert ("attention" in answer) == attends
    assert torch.allclose(answer["image"], trainer.translate(photos, wanted, latents)["image"], atol=1 / 255)


def test_what_has_one_answer_begins_with_what_has_many(make, tmp_path):
    """Without what it leaves out; a network that lacks something else is none to begin with."""
    many = make()
    run(many)
    one = make(VARIANTS[DETERMINISTIC])
    assert one.name == "sdit-deterministic-cars-16" and one.shipped() == {"generator": "sdit-cars-16"}
    store = store_of(tmp_path / "store", many.settings.out / "export")
    begin_as_shipped(one, store)
    kept, own = many.ema["generator"].state_dict(), one.ema["generator"].state_dict()
    assert own.keys() < kept.keys()
    assert all(torch.allclose(own[name], kept[name], atol=2e-3) for name in own)
    photos, wanted = torch.rand(2, 3, 16, 16), torch.eye(3)[:2]
    first, second = (one.translate(photos, wanted, one.latents(2))["image"] for _ in range(2))
    assert torch.equal(first, second)


def test_recipes_are_of_both_sizes():
    from studio.train.main import recipes

    names = ("attributes", "art", "cars", "deterministic-attributes")
    assert {f"sdit-{name}-{size}" for name in names for size in (64, 128)} <= recipes().keys()
