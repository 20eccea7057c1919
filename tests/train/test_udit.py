"""UDIT: whose faces are at which end, what keep does to the losses, who learns, and what is shipped."""

import numpy as np
import pytest
import torch
from skimage import data as photographs
from torch import nn

from studio.core.engine import Engine
from studio.core.faces import align
from studio.core.regions import cast_of, region_mask, skin_in, without_lattice
from studio.core.registry import Registry
from studio.pipelines.judgement import parse
from studio.train import udit
from studio.train.critics import FeatureDiscriminator
from studio.train.data import JUDGE_PARTS, MODEL_PARTS, VALIDATION_PARTS
from studio.train.loop import run
from studio.train.udit import PAIRS, Faces, UDITTrainer, find_places, read_end
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
    write_pack,
)

SIDE = 32
NETWORKS = {f"{part}-{end}" for part in ("encoder", "decoder", "critic", "reader") for end in (0, 1)}


def face(number, gender, makeup, glasses="-1", single="1"):
    name = f"{gender}{makeup}{glasses}{single}{number}.png"
    return {"file_name": name, "gender": gender, "makeup": makeup, "Eyeglasses": glasses, "single_face": single}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bare")
    kinds = [("M", "none", 150), ("F", "none", 60), ("F", "makeup", 80), ("M", "makeup", 10), ("F", "light", 20)]
    rows = [face(i, gender, makeup) for gender, makeup, count in kinds for i in range(count)]
    rows += [face(i, "F", "makeup", glasses="1") for i in range(20)] + [face(i, "M", "none", single="0") for i in range(20)]
    write_pack(folder, "celeba_face160", rows, side=SIDE)
    ages = [{"file_name": f"a{i}.png", "gender": "MF"[i % 2], "age": str(18 + i)} for i in range(70)]
    write_pack(folder, "faces_tight96", ages, side=SIDE)
    return folder


class Extractor(nn.Module):
    """Colours and light as if they were features."""

    def maps(self, image):
        return nn.functional.avg_pool2d(image, 8)

    def read(self, image, names):
        return {name: (self.maps(image), image.mean((2, 3))) for name in names}


class LightMeter(nn.Module):
    """Has an answer to everything, and no maps."""

    def read(self, image, names):
        return {name: (image.mean((1, 2, 3))[:, None],) for name in names}


def eileen():
    """A face that no pack has, uint8 (128, 128, 3)."""
    eyes = np.array([[204.5, 101.5], [247.5, 104.0]])
    return align(photographs.astronaut(), eyes, "face", 128).image


def left_half(images):
    """Whatever is changed goes on the left half, and all of the picture is skin."""
    places = torch.full_like(images, 255)
    places[:, :2, :, SIDE // 2 :] = 0
    return places


@pytest.fixture
def make(data, precise, monkeypatch, tmp_path):
    torch.manual_seed(0)
    monkeypatch.setattr(udit, "CONFIG", {"width": 4, "blocks": 1})
    monkeypatch.setattr(udit, "WARM_UP", 0)
    monkeypatch.setattr(udit, "find_places", lambda pair: left_half)
    monkeypatch.setattr(udit, "imagenet_trunk", lambda data, pairs: Trunk(FeatureDiscriminator.widths).eval())
    monkeypatch.setattr(udit, "mobilefacenet", lambda data: Extractor())
    monkeypatch.setattr(udit, "property_network", lambda runs, name: Extractor())
    monkeypatch.setattr(udit, "DemographicsReader", lambda runs: LightMeter())
    monkeypatch.setattr(udit, "MakeupReader", lambda runs: stand_in_reader(1))

    def make(pair="makeup", variant="", seed=0):
        name = "-".join(filter(None, ("munit", variant, pair)))
        return UDITTrainer(settings(data, tmp_path / "runs" / name, seed), pair, SIDE, variant)

    return make


# --- whose faces ----------------------------------------------------------------------------------------------------------------


def test_bare_faces_are_men_but_for_one_in_twenty(data, tmp_path):
    bare, made_up = (read_end(PAIRS["makeup"], end, SIDE, settings(data, tmp_path), MODEL_PARTS) for end in (0, 1))
    women = sum(row["gender"] == "F" for row in bare.rows)
    assert {row["makeup"] for row in bare.rows} == {"none"} and women / len(bare) == pytest.approx(0.05, abs=0.01)
    assert {(row["gender"], row["makeup"]) for row in made_up.rows} == {("F", "makeup")}
    for row in bare.rows + made_up.rows:
        assert row["Eyeglasses"] == "-1" and row["single_face"] == "1"


def test_all_bare_women_validate(data, tmp_path):
    bare = read_end(PAIRS["makeup"], 0, SIDE, settings(data, tmp_path), VALIDATION_PARTS | JUDGE_PARTS)
    assert sum(row["gender"] == "F" for row in bare.rows) > 0.1 * len(bare)


def test_young_and_old_leave_out_who_is_between(data, tmp_path):
    young, old = (read_end(PAIRS["age"], end, SIDE, settings(data, tmp_path), MODEL_PARTS) for end in (0, 1))
    assert max(int(row["age"]) for row in young.rows) < 30 and min(int(row["age"]) for row in old.rows) >= 55


# --- keep -----------------------------------------------------------------------------------------------------------------------


def test_keep_is_nothing_everything_or_each_its_own(make):
    keep = make()._keep(2000)
    assert keep.shape == (2000, 3) and keep.min() == 0 and keep.max() == 1
    nothing, everything = (keep == 0).all(1).float().mean(), (keep == 1).all(1).float().mean()
    assert nothing == pytest.approx(udit.NOTHING, abs=0.05) and everything == pytest.approx(udit.EVERYTHING, abs=0.05)
    assert ((keep > 0) & (keep < 1)).any() and not make(variant="plain")._keep(50).any()


def test_what_is_not_kept_costs_nothing(make):
    semantics = make().semantics
    photo, made = torch.rand(3, 3, SIDE, SIDE), torch.rand(3, 3, SIDE, SIDE)
    assert not any(value.item() for value in semantics.apart(photo, made, torch.zeros(3, 3)).values())
    assert all(value.item() == 0 for value in semantics.apart(photo, photo, torch.ones(3, 3)).values())
    apart = semantics.apart(photo, made.requires_grad_(), torch.tensor([[1.0, 1.0, 1.0], [0.0, 1.0, 1.0], [0.0, 0.0, 0.0]]))
    assert apart.keys() == {"identity", "colours", "gender", "age"}
    sum(apart.values()).backward()
    assert [bool(each.abs().sum() > 0) for each in made.grad] == [True, True, False]


def test_keep_multiplies_lambda_u(make):
    trainer = make()
    trainer.uniform = lambda *shape: torch.zeros(*shape)  # neither moved nor grey
    photo, made = torch.rand(2, 3, SIDE, SIDE), torch.rand(2, 3, SIDE, SIDE)
    full, half = (trainer.semantics.apart(photo, made, torch.full((2, 3), keep)) for keep in (1.0, 0.5))
    assert all(half[name].item() == pytest.approx(full[name].item() / 2, rel=1e-4) for name in full)


def test_what_a_network_makes_of_its_maps_counts_too(make):
    trainer = make()
    trainer.uniform = lambda *shape: torch.zeros(*shape)
    photo, made, keep = torch.rand(2, 3, SIDE, SIDE), torch.rand(2, 3, SIDE, SIDE), torch.ones(2, 3)
    maps, answer, _, _, all_light = trainer.semantics.units["gender"]
    trainer.semantics.units["gender"] = [maps * float("inf"), answer, maps * float("inf"), answer, all_light]
    gender = trainer.semantics.apart(photo, made, keep)["gender"]
    light = (made - photo).mean((2, 3))
    wanted = 2 * light.abs().mean() / answer + light.mean(1).abs().mean() / all_light
    assert gender.item() == pytest.approx(wanted.item() / 5, rel=0.05)


def test_one_network_sees_colours_and_the_other_light_alone(make):
    trainer = make()
    trainer.uniform = lambda *shape: -torch.ones(*shape) * 1e-6  # all of it grey, nothing moved
    photo, keep = torch.rand(2, 3, SIDE, SIDE), torch.ones(2, 3)
    tinted = photo + torch.tensor([0.1, -0.1, 0.0]).view(1, 3, 1, 1)
    found = trainer.semantics.found(tinted, udit._greyed(tinted, torch.ones(2, 1, 1, 1, dtype=torch.bool)), keep > 0)["gender"]
    assert found[1].std(1).max() < 1e-4 < found[3].std(1).min()
    assert trainer.semantics.apart(photo, tinted, keep)["gender"] > 0


def test_a_reader_finds_a_style_in_the_means_of_early_maps():
    reader, views = udit.StyleReader(), len(udit.VIEWS)
    seen = [torch.rand(views * 2, width, 4, 4) for width in FeatureDiscriminator.widths]
    said = reader(seen)
    assert said.shape == (2, 8)
    turned = [maps.flip(3) for maps in seen[: udit.EARLY]] + [torch.rand(views * 2, 512, 4, 4)]
    for maps in turned:
        maps[:2] = 0
    torch.testing.assert_close(reader(turned), said)  # places, late maps and the whole face have no say
    second = [maps.clone() for maps in seen]
    second[0][1::2] += 1 + torch.arange(64.0).view(1, -1, 1, 1)  # the second picture's, in all views
    torch.testing.assert_close(reader(second)[0], said[0])
    assert not torch.allclose(reader(second)[1], said[1])


# --- learning -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("pair", "variant"), [("makeup", ""), ("makeup", "pi"), ("makeup", "plain"), ("age", "")])
def test_everybody_learns_from_a_step(make, pair, variant):
    trainer = make(pair, variant)
    before = {name: snapshot(trainer, name) for name in NETWORKS}
    losses = go(trainer, 2)
    assert {name for name in NETWORKS if changed(before[name], trainer, name)} == NETWORKS
    assert all(torch.isfinite(value) for value in losses.values())
    assert variant != "plain" or not any(name.startswith(("identity", "gender")) for name in losses)


def test_makeup_is_asked_for_by_a_network_that_knows_it(make):
    """What looks as the other end does costs nothing, what looks as it was does; MUNIT alone asks nobody."""
    trainer = make()
    trainer.makeup_reader = lambda images: images.mean((1, 2, 3))[:, None] * 0 + 20.0  # all wear makeup, it says
    losses = go(trainer, 1)
    assert losses["asked_0"] < 1e-6 and losses["asked_1"] == pytest.approx(20 * udit.LAMBDA_ASKED)
    assert not any(name.startswith("asked") for name in go(make(variant="plain"), 1))


def test_years_that_are_missing_are_asked_for(make):
    trainer = make("age")
    trainer.semantics.reader.read = lambda image, names: {"age": (image.mean((1, 2, 3))[:, None],)}
    ages = torch.tensor([0.2, 0.45, 0.7]).view(3, 1, 1, 1).expand(3, 3, SIDE, SIDE)
    assert trainer._not_as_asked(ages, 1) == pytest.approx(5 * (0.45 + 0.2 + 0) / 3)  # old
    assert trainer._not_as_asked(ages, 0) == pytest.approx(5 * (0 + 0.2 + 0.45) / 3)  # young


def test_first_photos_only_come_back(make, monkeypatch):
    monkeypatch.setattr(udit, "WARM_UP", 4)
    trainer = make()
    before = {name: snapshot(trainer, name) for name in NETWORKS}
    assert go(trainer, 2).keys() == {"x_0", "x_1"}
    assert {name[:-2] for name in NETWORKS if changed(before[name], trainer, name)} == {"encoder", "decoder"}
    assert "critic_0" in go(trainer, 1)


def test_shipped_translators_wait_for_new_critics(make, monkeypatch, tmp_path):
    monkeypatch.setattr(udit, "MEET", 2)
    first = make()
    go(first, 1)
    trainer = make(seed=1)
    begin_with(trainer, first, tmp_path / "shipped")
    assert trainer.images == trainer.began == first.images
    before = {name: snapshot(trainer, name) for name in NETWORKS}
    for moved in ({"critic", "reader"}, {"critic", "reader", "encoder", "decoder"}):
        trainer.advance()
        assert {name[:-2] for name in NETWORKS if changed(before[name], trainer, name)} == moved


@pytest.mark.parametrize("pair", ["makeup", "age"])
def test_a_variant_begins_with_the_nearest_of_kin_that_is_shipped(make, monkeypatch, tmp_path, pair):
    """Pooling indices with UDIT's own networks, or for a pair that is not there with makeup's."""
    first = make()
    go(first, 1)
    trainer = make(variant="pi", pair=pair, seed=1)
    folder = tmp_path / "shipped"
    begin_with(trainer, first, folder)
    monkeypatch.setattr(udit, "default_registry", lambda: Registry(folder / "index.json"))
    kin = {f"munit-{part}-{end}-{SIDE}" for part in udit.PARTS for end in PAIRS["makeup"].ends}
    assert set(trainer.shipped().values()) == kin
    assert torch.equal(trainer.ema["encoder-0"].down.weight, first.ema["encoder-0"].down.weight.half().float())
    trainer.export({})
    store_of(folder, trainer.settings.out / "export")
    assert all("-pi-" in card_id for card_id in trainer.shipped().values())


def test_critics_leave_no_gradient_in_what_made_their_pictures(make):
    trainer = make()
    go(trainer, 1)
    before = snapshot(trainer, "decoder-0")
    photos = [trainer.sampler.draw(end, 4)[:, :3] for end in (0, 1)]
    trainer._train_critics(photos, [photo.flip(3) for photo in photos])
    assert not changed(before, trainer, "decoder-0")


def test_a_translation_is_the_photo_where_both_decoders_agree(make):
    trainer = make()
    trainer.ema["decoder-1"].load_state_dict(trainer.ema["decoder-0"].state_dict())
    images = trainer.held_out[0][:3]
    photos = images[:, :3].contiguous()
    own = trainer.ema["encoder-0"](photos)["style"]
    assert torch.allclose(trainer.translated(images, 0, own, 1.0), photos, atol=1e-5)
    made = trainer.translated(images, 0, own + 3, 0.0)
    half = SIDE // 2
    assert not torch.allclose(made[..., :half], photos[..., :half], atol=1e-5)
    assert torch.equal(made[..., half:], photos[..., half:])  # no makeup goes there


def test_a_change_is_laid_on_as_the_studio_lays_it_on():
    """The Makeup tab's own arithmetic, on a face that the studio's own parsing network sees."""
    image = torch.from_numpy(np.ascontiguousarray(eileen().transpose(2, 0, 1)))[None]
    faces = Faces.read(image, find_places(PAIRS["makeup"]))
    with Engine() as engine:
        classes = parse(engine, eileen(), len(eileen()))
    where = region_mask(classes)
    np.testing.assert_allclose(faces.where[0, 0], where, atol=0.02)
    assert 0.2 < where.mean() < 0.8 and where[8, 8] < 0.1
    change = np.random.default_rng(0).normal(size=(*where.shape, 3)).astype(np.float32) / 50 + np.float32([0.1, 0, -0.1])
    smooth = without_lattice(change)
    laid = (smooth - 0.5 * cast_of(smooth, skin_in(classes))) * where[:, :, None]
    made = faces.with_change(torch.from_numpy(change.transpose(2, 0, 1))[None], torch.tensor([0.5]))
    wanted = (faces.photo[0].permute(1, 2, 0).numpy() + laid).clip(-1, 1)
    inner = slice(1, -1), slice(1, -1)  # at the border the two are smoothed a little differently
    np.testing.assert_allclose(made[0].permute(1, 2, 0)[inner], wanted[inner], atol=0.005)


def test_age_shows_everywhere_and_leaves_the_face_its_colour():
    image = torch.from_numpy(np.ascontiguousarray(eileen().transpose(2, 0, 1)))[None]
    faces = Faces.read(image, find_places(PAIRS["age"]))
    tint = torch.tensor([0.1, 0.0, -0.1]).view(1, 3, 1, 1).expand_as(faces.photo)
    everywhere, kept = (faces.with_change(tint, torch.tensor([keep])) - faces.photo for keep in (0.0, 1.0))
    torch.testing.assert_close(everywhere, (faces.photo + tint).clamp(-1, 1) - faces.photo, atol=1e-5, rtol=0)
    assert kept[0, :, 70, 64].abs().max() < 0.01  # the nose
    assert kept[0, 0, 4, 4] > 0.08  # what is behind


@pytest.mark.parametrize("variant", ["", "pi"])
def test_a_run_goes_on_where_it_stopped(make, variant):
    trainer = make(variant=variant)
    go(trainer, 2)
    assert_resumes(trainer, make(variant=variant, seed=1))


@pytest.mark.parametrize(("pair", "variant"), [("makeup", ""), ("makeup", "pi"), ("age", "")])
def test_what_is_shipped_draws_what_the_average_draws(make, pair, variant, tmp_path):
    trainer = make(pair, variant)
    go(trainer, 1)
    measures = run(trainer)
    first = trainer.pair.ends[0]
    assert {f"psnr_{first}", f"change_{first}_keep_0", f"change_{first}_keep_1"} <= measures.keys()
    name = "-".join(filter(None, ("munit", variant)))
    export = trainer.settings.out / "export"
    card = card_in(export, f"{name}-decoder-{first}-{SIDE}")
    assert (card.family, card.task, card.frame, card.domains) == ("munit", "decode", "face", ("face", pair))
    assert card.labels == trainer.pair.properties and card.config["end"] == first and card.config["pair"] == pair
    store = store_of(tmp_path / "shipped", export)
    photos = trainer.held_out[0][:2, :3]
    found = shipped(store, f"{name}-encoder-{first}-{SIDE}")(photos)
    made = shipped(store, card.id)(**found, keep=torch.ones(2, 3))
    wanted = trainer.ema["decoder-0"](**trainer.ema["encoder-0"](photos), keep=torch.ones(2, 3))
    assert (made - wanted).abs().mean() < 0.002  # half precision may change which of two values is the larger
