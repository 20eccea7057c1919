"""The flagship begins as DCGAN and leaves it from there; its encoder follows what was shipped."""

import pytest
import torch
import torch.nn.functional as F

from studio.models import dcgan
from studio.models import stylegan as model
from studio.train import stylegan
from studio.train.gan import DCGANTrainer, logistic
from studio.train.loop import unwrap
from studio.train.stylegan import UNIFORM, StyleGANEncoderTrainer, StyleGANTrainer, begin_as_dcgan
from tests.train.small import assert_resumes, card_in, changed, shipped, snapshot, store_of


@pytest.fixture
def store(small, tmp_path, monkeypatch):
    """What is shipped: a DCGAN."""
    trainer = DCGANTrainer(small("dcgan-64"))
    trainer.export({})
    shipped_so_far = store_of(tmp_path / "pretrained", trainer.settings.out / "export")
    monkeypatch.setattr(stylegan, "default_store", lambda: shipped_so_far)
    return shipped_so_far


@pytest.fixture
def flagship(small, store):
    return StyleGANTrainer(small("stylegan-64"), 64)


@pytest.fixture
def shipped_flagship(flagship, tmp_path, monkeypatch):
    flagship.export({"kid_imagenet": 1.0})
    with_flagship = store_of(tmp_path / "pretrained", flagship.settings.out / "export")
    monkeypatch.setattr(stylegan, "default_store", lambda: with_flagship)


@pytest.mark.parametrize("resolution", [64, 128])
def test_a_flagship_begins_by_drawing_what_dcgan_draws(resolution):
    torch.manual_seed(0)
    base = dcgan.Generator(width=2).double().requires_grad_(False)
    for parameter in base.parameters():
        parameter.normal_(0, 0.3)
    network = model.Generator(resolution, latent=104, base=64, most=16).double().requires_grad_(False)
    begin_as_dcgan(network, base.state_dict())
    for name, parameter in network.named_parameters():  # what says little at first says nothing now
        if name.endswith("style.weight") or name.endswith("refine.gain"):
            parameter.zero_()
    latent = torch.randn(3, 104).double()
    made = network(latent, torch.ones(3, 1).double())["image"]
    wanted = base(UNIFORM * latent[:, :100])
    if resolution == 128:
        made, wanted = made.atanh(), F.interpolate(wanted.atanh(), scale_factor=2, mode="bilinear")
    assert made.std() > 0.1 and torch.allclose(made, wanted, atol=1e-3)


def test_its_pictures_are_near_dcgans_before_it_has_learnt(flagship, store):
    latents = flagship.latents(8)
    wanted = shipped(store, "dcgan-64")(UNIFORM * latents[:, :100])
    assert F.l1_loss(flagship.show(latents), wanted) < 0.2 * wanted.std()


def test_what_dcgan_knew_waits_until_the_critics_know_faces(flagship, monkeypatch):
    before = {name: snapshot(flagship, name) for name in flagship.networks}
    flagship.advance()
    new = {name for name in before["generator"] if name.startswith(("blocks.2.grow.", "blocks.3."))}
    moved = changed(before["generator"], flagship, "generator")
    assert {"blocks.3.refine.weight", "blocks.3.to_rgb.weight", "blocks.2.grow.weight"} <= moved <= new
    assert changed(before["critic"], flagship, "critic") and "heads.0.weight" in changed(before["features"], flagship, "features")
    monkeypatch.setattr(stylegan, "SETTLE", flagship.images)
    flagship.advance()
    moved = changed(before["generator"], flagship, "generator")
    assert {"stem.weight", "blocks.0.refine.weight", "blocks.0.grow.style.weight", "mapping.second.weight"} <= moved


def test_what_dcgan_knew_changes_more_slowly(flagship):
    fast, slow = flagship.optimisers["generator"].param_groups
    assert slow["lr"] == stylegan.CAREFUL * fast["lr"] and len(slow["params"]) == len(flagship.known) > len(fast["params"])
    assert flagship.optimisers["critic"].param_groups[1]["lr"] == stylegan.FEATURE_RATE


def test_both_critics_judge_the_same_pictures(flagship, monkeypatch):
    monkeypatch.setattr(stylegan, "diff_augment", lambda images, policy: images)
    flagship.networks["features"].eval()  # its spectral norms stand still
    images = flagship.sampler.draw(0, 3)
    for sign in (1, -1):
        each = [logistic(flagship.networks[name](images), sign) for name in ("critic", "features")]
        assert torch.allclose(flagship._judged(images, sign), each[0] + each[1]) and each[0] != each[1]


@pytest.mark.parametrize("mixing", [0.0, 1.0])
def test_mixing_gives_the_late_convolutions_a_second_style(flagship, monkeypatch, mixing):
    seen = []
    network = unwrap(flagship.networks["generator"])
    real = network.synthesise
    monkeypatch.setattr(network, "synthesise", lambda styles: seen.append(styles) or real(styles))
    flagship.mixing = mixing
    latents = flagship.latents(60)
    flagship.make(latents)
    kept = (seen[0] == network.map(latents).unsqueeze(1)).all(2)  # (60, 9), which have the picture's own style
    if mixing == 0:
        assert kept.all()
    else:
        counts = kept.sum(1)
        assert set(counts.tolist()) == set(range(1, 9)) and all(row[:n].all() for row, n in zip(kept, counts, strict=True))


def test_the_flagship_goes_on_where_it_stopped(flagship, small):
    flagship.advance()
    assert_resumes(flagship, StyleGANTrainer(small("stylegan-64", seed=1), 64))


def test_what_is_shipped_lies_between_dcgan_and_the_average(flagship):
    flagship.ema["generator"].load_state_dict({n: t + 1 for n, t in flagship.ema["generator"].state_dict().items()})
    between = flagship.partway().state_dict()
    for name, tensor in unwrap(flagship.networks["generator"]).state_dict().items():
        if name != "mean_style":
            assert torch.allclose(between[name], tensor + stylegan.SHARE, atol=1e-5), name


def test_the_flagship_is_shipped_as_it_is_shown_with_its_mean_style(flagship, shipped_flagship):
    store = stylegan.default_store()
    card, network = store.registry.card("stylegan-64"), shipped(store, "stylegan-64")
    assert (card.task, card.resolution, card.frame, card.measures) == ("sample", 64, "head", {"kid_imagenet": 1.0})
    assert card.training["began_with"] == "dcgan-64"
    latents = flagship.latents(4)
    assert torch.allclose(network(latents, torch.ones(4, 1))["image"], flagship.show(latents), atol=5e-3)
    assert torch.allclose(network.mean_style, network.map(torch.randn(4096, 104)).mean(0), atol=0.1)


def test_the_encoder_learns_photos_and_samples_and_leaves_the_flagship(small, shipped_flagship):
    trainer = StyleGANEncoderTrainer(small("stylegan-encoder-64"), 64)
    kept = {name: tensor.clone() for name, tensor in trainer.flagship.state_dict().items()}
    before = snapshot(trainer, "encoder")
    assert trainer.step().keys() == {"pixels", "perceptual", "style", "departures"}
    assert {"convs.0.weight", "style.weight", "departures.weight"} <= changed(before, trainer, "encoder")
    assert all(torch.equal(tensor, kept[name]) for name, tensor in trainer.flagship.state_dict().items())


def test_the_encoder_finds_the_styles_of_samples_better_with_each_step(small, shipped_flagship, monkeypatch):
    """Where they are all that is asked for."""
    for name in ("PIXELS", "PERCEPTUAL"):
        monkeypatch.setattr(stylegan, f"LAMBDA_{name}", 0.0)
    trainer = StyleGANEncoderTrainer(small("stylegan-encoder-64"), 64)
    latents = trainer.latents(2)
    trainer.latents = lambda count: latents[:count]
    first = trainer.step()["style"]
    for _ in range(20):
        last = trainer.step()["style"]
    assert last < 0.8 * first


def test_the_encoder_is_shipped_beside_its_flagship(small, shipped_flagship, tmp_path):
    trainer = StyleGANEncoderTrainer(small("stylegan-encoder-64"), 64)
    trainer.step()
    trainer.average()
    measures = trainer.evaluate()
    photos = trainer.held_out[:200]
    errors = (trainer.given_back(photos) - photos).square().mean((1, 2, 3))
    assert measures["psnr"] == pytest.approx(float((10 * (4 / errors).log10()).mean()), abs=0.01)
    assert trainer.grid().size == (66 * len(trainer.held_out), 2 * 66)
    trainer.export(measures)
    export = trainer.settings.out / "export"
    assert card_in(export, "stylegan-encoder-64").task == "encode"
    encoder = shipped(store_of(tmp_path / "other", export), "stylegan-encoder-64")
    styles = encoder(photos[:2])
    assert styles.shape == (2, trainer.flagship.n_styles, 104)
    assert torch.allclose(styles, trainer.ema["encoder"](photos[:2]), atol=1e-2)


def test_the_encoder_goes_on_where_it_stopped(small, shipped_flagship):
    trainer = StyleGANEncoderTrainer(small("stylegan-encoder-64"), 64)
    trainer.advance()
    assert_resumes(trainer, StyleGANEncoderTrainer(small("stylegan-encoder-64", seed=1), 64))
