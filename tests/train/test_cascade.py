"""The second stage goes on from what is shipped, on photographs and on samples of the first stage."""

from types import SimpleNamespace

import pytest
import torch

from studio.models import began, stylegan
from studio.models.cyclegan import Discriminator, Generator
from studio.train import cascade, cyclegan
from studio.train.cascade import GENTLER, CascadeTrainer
from studio.train.critics import FeatureDiscriminator
from studio.train.cyclegan import ANIMALS, CONFIGS
from studio.train.export import write_checkpoint
from tests.train.small import Trunk, card_in, changed, save, settings, shipped, snapshot, store_of

TINY = {"ngf": 2, "n_downs": 1, "n_blocks": 1}
STYLEGAN = {"resolution": 32, "latent": 8, "base": 64, "most": 8}
KIN = {"width": 2, "resolution": 16, "rank": 1}


def write(folder, card_id, network, config, **fields):
    common = {"family": card_id.replace("k-", "").split("-")[0], "task": "sample", "resolution": 16, "domains": ("face",)}
    write_checkpoint(folder, card_id, network.state_dict(), config=config, **(common | fields))


@pytest.fixture
def shipped_cards(tmp_path, packs, precise, monkeypatch):
    """A shipped lion, a K-GAN and a flagship, the run of the group that the lion came from; gives the store and the settings."""
    torch.manual_seed(0)
    monkeypatch.setitem(CONFIGS, 16, TINY)
    monkeypatch.setattr(cyclegan, "imagenet_trunk", lambda data: Trunk().eval())
    monkeypatch.setattr(cyclegan, "Discriminator", lambda domains: Discriminator(2, domains))
    monkeypatch.setattr(cascade, "SAMPLES", 70)
    export = tmp_path / "export"
    lion = {"task": "translate", "domains": ("face", "lion"), "training": {"images": 1000}}
    write(export, "cyclegan-lion-16", Generator(**TINY, domains=2), TINY, **lion)
    write(export, "k-began-lion-16", began.Generator(**KIN), KIN, domains=("face", "lion"))
    write(export, "k-began-tiger-16", began.Generator(**KIN), KIN, domains=("face", "tiger"))
    write(export, "stylegan-32", stylegan.Generator(**STYLEGAN), STYLEGAN, resolution=32)  # finer
    write(export, "k-began-lion-8", began.Generator(**KIN), KIN, domains=("face", "lion"), resolution=8)  # too coarse
    store = store_of(tmp_path / "pretrained", export)
    monkeypatch.setattr(cascade, "default_store", lambda: store)
    run = settings(packs, tmp_path / "runs" / "cascade-lion-16")
    networks = {
        "to_face": Generator(**TINY, domains=1),
        "patch_animal": Discriminator(2, len(ANIMALS)),
        "feature_animal": FeatureDiscriminator(Trunk(), len(ANIMALS)),
        "patch_face": Discriminator(2),
    }
    wild = SimpleNamespace(networks=networks, ema={}, optimisers={}, generator=torch.Generator(), device=torch.device("cpu"))
    wild.name, wild.images, wild.steps, wild.began = "cyclegan-wild-16", 8, 2, 0
    wild.settings = SimpleNamespace(out=run.out.parent / wild.name)
    save(wild)
    return store, run, wild


def test_it_starts_from_the_shipped_network_and_the_critics_that_taught_it(shipped_cards):
    store, run, wild = shipped_cards
    trainer = CascadeTrainer(run, "lion", 16)
    assert not changed(dict(shipped(store, "cyclegan-lion-16").state_dict()), trainer, "to_animal")
    for name, network in wild.networks.items():
        assert not changed(dict(network.state_dict()), trainer, name), name


def test_it_learns_a_quarter_as_fast(shipped_cards, monkeypatch):
    _, run, _ = shipped_cards
    rates = []
    for gentler in (1.0, GENTLER):
        monkeypatch.setattr(cascade, "GENTLER", gentler)
        optimisers = CascadeTrainer(run, "lion", 16).optimisers.values()
        rates.append([group["lr"] for optimiser in optimisers for group in optimiser.optimizer.param_groups])
    assert rates[1] == pytest.approx([rate / 4 for rate in rates[0]])


def test_samples_are_those_of_the_animals_k_gans_at_full_and_of_the_flagship(shipped_cards):
    store, run, _ = shipped_cards
    trainer = CascadeTrainer(run, "lion", 16)
    assert [card.id for card in trainer._first_stages("lion")] == ["k-began-lion-16", "stylegan-32"]
    assert trainer.samples.shape == (2 * 70, 3, 16, 16) and trainer.samples.abs().max() <= 1
    state = trainer.generator.get_state()
    made = trainer._draw_samples(store.registry.card("k-began-lion-16"))
    trainer.generator.set_state(state)
    latents = trainer.uniform(70, 100)
    assert torch.allclose(made, shipped(store, "k-began-lion-16")(latents, torch.ones(70, 1)), atol=1e-5)


def test_half_of_the_heads_are_samples(shipped_cards):
    _, run, _ = shipped_cards
    trainer = CascadeTrainer(run, "lion", 16)
    heads = trainer._draw_heads()
    known = [any(torch.equal(head, sample) for sample in trainer.samples) for head in heads]
    assert known == [True, False] * (len(heads) // 2)


def test_a_step_moves_translators_and_critics(shipped_cards):
    _, run, _ = shipped_cards
    trainer = CascadeTrainer(run, "lion", 16)
    before = {name: snapshot(trainer, name) for name in trainer.networks}
    losses = trainer.step()
    assert all(torch.isfinite(loss) for loss in losses.values())
    assert all(changed(before[name], trainer, name) for name in trainer.networks)


def test_what_comes_out_takes_the_shipped_networks_place(shipped_cards, tmp_path):
    _, run, _ = shipped_cards
    trainer = CascadeTrainer(run, "lion", 16)
    trainer.step()
    trainer.images = 4
    trainer.average()
    trainer.export({})
    card = card_in(run.out / "export", "cyclegan-lion-16")
    assert card.training["recipe"] == "cascade-lion-16" and card.training["images"] == 1004
    again = shipped(store_of(tmp_path / "next", run.out / "export"), card.id)
    image, strength = trainer.validation[:2], torch.ones(2, 1)
    assert torch.allclose(again(image, strength), trainer.ema["to_animal"](image, strength), atol=5e-3)


def test_an_animal_without_a_first_stage_says_what_to_train(shipped_cards):
    store, run, _ = shipped_cards
    for card_id in ("k-began-lion-16", "stylegan-32"):
        store.registry.remove(card_id)
    with pytest.raises(ValueError, match="There is no K-GAN of lion .*: train and ship k-dcgan-lion-16 first."):
        CascadeTrainer(run, "lion", 16)


def test_an_animal_that_was_never_shipped_names_those_that_were(shipped_cards):
    store, run, _ = shipped_cards
    store.registry.remove("cyclegan-lion-16")
    with pytest.raises(KeyError, match="There is no model 'cyclegan-lion-16'"):
        CascadeTrainer(run, "lion", 16)
