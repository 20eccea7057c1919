"""Neighbours against brute force; only the difference to the shipped base is trained, and shipped as such."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from studio.models.adapters import adapter_state
from studio.models.began import reproduction_error
from studio.train import kgan
from studio.train.began import GAMMA, LAMBDA_K, BEGANTrainer
from studio.train.cyclegan import read_animal
from studio.train.data import MODEL_PARTS
from studio.train.gan import DCGANTrainer
from studio.train.kgan import ENOUGH, LAYERS, RATIOS, Comparator, KBEGANTrainer, KDCGANTrainer, Neighbours, choose_k
from studio.train.loop import unwrap
from tests.train.small import Trunk, assert_resumes, card_in, changed, save, shipped, snapshot, store_of


@pytest.mark.parametrize("k", [1, 4, 8])
def test_the_target_is_the_mean_of_the_nearest(k):
    draw = np.random.default_rng(k)
    features, queries = draw.normal(size=(30, 5)), draw.normal(size=(7, 5))
    nearest = np.linalg.norm(queries[:, None] - features[None], axis=2).argsort(1)[:, :k]
    neighbours = Neighbours(features)
    assert neighbours.share_used == 0
    assert np.allclose(neighbours.mean(queries, k), features[nearest].mean(1))
    assert neighbours.share_used == len(np.unique(nearest)) / 30
    neighbours.mean(queries[:1], k)
    assert neighbours.share_used == len(np.unique(nearest)) / 30  # once used, used


def crowds(sizes, queried):
    """Far apart crowds of so many features, and a query in the middle of each of the first ``queried``."""
    draw = np.random.default_rng(0)
    places = 1000.0 * np.eye(len(sizes))
    features = np.concatenate([place + draw.normal(size=(n, len(sizes))) for place, n in zip(places, sizes, strict=True)])
    return features, places[:queried]


@pytest.mark.parametrize(
    ("sizes", "queried", "k", "shares"),
    [
        ((4, 4, 4), 3, 4, {1: 0.25, 4: 1.0, 8: 1.0}),  # four are enough
        ((8, 8, 8), 3, 8, {1: 0.125, 4: 0.5, 8: 1.0}),  # they are not, eight are
        ((10, 10, 10), 1, 8, {1: 0.033, 4: 0.133, 8: 0.267}),  # neither: the most there are
    ],
)
def test_k_is_the_smaller_mean_that_uses_enough_of_the_animal(sizes, queried, k, shares):
    chosen, found = choose_k(*crowds(sizes, queried))
    assert chosen == k and found == shares and shares[4] != ENOUGH


def test_one_neighbour_is_counted_but_never_chosen():
    """It would be no mean, and a picture unlike all others would draw everything to itself (appendix E)."""
    features = np.random.default_rng(0).normal(size=(9, 3))
    chosen, shares = choose_k(features, features)
    assert shares[1] == 1.0 and chosen == 4


def test_the_comparator_looks_at_a_middle_and_at_a_deep_layer():
    comparator, images = Comparator(Trunk()), torch.rand(2, 3, 96, 96)
    seen, maps = comparator(images), Trunk()(images)
    assert np.allclose(seen["deep"].numpy(), maps[3].numpy().mean((2, 3)), atol=1e-5)
    places = maps[2].view(2, 256, 3, 4, 3, 4).mean((3, 5)).flatten(1)
    assert torch.allclose(seen["middle"], places, atol=1e-5)


KINDS = {"dcgan": (DCGANTrainer, KDCGANTrainer, {}, {}), "began": (BEGANTrainer, KBEGANTrainer, {"size": 16}, {"size": 16})}


@pytest.fixture
def make(small, monkeypatch):
    """Makes the K-GAN of lions of a family, beside a base run that was trained for two steps and exported."""
    monkeypatch.setattr(kgan, "RANK", 2)
    monkeypatch.setattr(kgan, "ACQUAINTED", 2)

    def of(family, seed=0):
        base_kind, kind, base_size, size = KINDS[family]
        name = f"{family}-{size.get('size', 64)}"
        if not (small(name).out / "state.json").exists():
            base = base_kind(small(name), **base_size)
            for _ in range(2):
                base.step()
                base.average()
            save(base)
            base.export({})
        return kind(small(f"k-{family}-lion", seed), "lion", **size)

    return of


def test_the_gans_loss_is_measured_by_a_critic_that_knows_the_averages_pictures(make):
    """The base critic has only met the network that was still learning, and takes its average's pictures for photographs."""
    trainer = make("dcgan")
    made, before = trainer.make(trainer.latents(8)).detach(), {name: snapshot(trainer, name) for name in trainer.networks}
    with torch.no_grad():  # as it is called
        size = trainer.gan_size(made)
    assert changed(before["critic"], trainer, "critic") and not changed(before["generator"], trainer, "generator")
    assert size == pytest.approx(0.7, abs=0.2)  # that of a critic that cannot tell yet


def base_folder(trainer):
    return trainer.settings.out.parent / f"{trainer.family}-{trainer.size}"


@pytest.mark.parametrize("family", KINDS)
def test_it_starts_as_the_shipped_base_and_trains_its_difference_alone(make, family):
    trainer = make(family)
    generator = unwrap(trainer.networks["generator"])
    base = shipped(
        store_of(base_folder(trainer).parent / "pretrained", base_folder(trainer) / "export"), f"{family}-{trainer.size}"
    )
    latents = trainer.latents(3)
    with torch.no_grad():
        assert torch.allclose(trainer.make(latents).clamp(-1, 1), base(latents), atol=2e-3)
    before = {name: snapshot(trainer, name) for name in trainer.networks}
    losses = trainer.step()
    trainer.step()  # the first one moves only what stood at nothing
    assert losses.keys() >= {"gan", "knn_deep", "knn_middle", "used_deep", "used_middle"}
    assert all(torch.isfinite(loss) for loss in losses.values())
    assert changed(before["generator"], trainer, "generator") == adapter_state(generator.state_dict()).keys()
    assert changed(before["critic"], trainer, "critic")
    with torch.no_grad():
        nothing = generator(latents, torch.zeros(3, 1)).clamp(-1, 1)
        assert torch.allclose(nothing, base(latents), atol=2e-3)
        assert not torch.allclose(trainer.make(latents).clamp(-1, 1), nothing, atol=2e-3)


def test_each_layers_term_starts_at_its_share_of_the_gans_own_loss(make):
    """mu of eq. 8, from the samples that the trainer looked at when it was made."""
    trainer = make("began")
    trainer.generator.manual_seed(0)
    trainer.latents(16)
    with torch.no_grad():
        made = torch.cat([trainer.make(trainer.latents(64)) for _ in range(kgan.PROBED // 64)])
        terms = trainer.neighbour_losses(made)
        size = reproduction_error(made[:64], trainer.networks["critic"](made[:64]))
    assert {name: (term / size).item() for name, term in terms.items()} == pytest.approx(
        {f"knn_{layer}": RATIOS[layer] for layer in LAYERS}, rel=1e-3
    )


def test_a_term_is_the_squared_distance_to_the_neighbours_mean(make):
    """Eq. 9, and its gradient leads there: 2 (phi - mean) / B."""
    trainer = make("began")
    lions = read_animal("lion", 16, trainer.settings, MODEL_PARTS).images / 127.5 - 1
    known = trainer.comparator(torch.cat([lions, lions.flip(3)]))
    for layer in LAYERS:
        values = torch.randn(5, known[layer].shape[1]).requires_grad_(True)
        reference, queries = known[layer].numpy().astype(float), values.detach().numpy()
        nearest = np.linalg.norm(queries[:, None] - reference[None], axis=2).argsort(1)[:, : trainer.k]
        away = queries - reference[nearest].mean(1)
        distance = trainer._distances({layer: values})[layer]
        assert distance.item() == pytest.approx((away**2).sum(1).mean(), rel=1e-4)
        (gradient,) = torch.autograd.grad(distance, values)
        assert np.allclose(gradient.numpy(), 2 * away / 5, atol=1e-3)


def test_k_began_gives_each_player_its_own_gradient(make, monkeypatch):
    """The critic's is that of L(x) - k L(G(z)): the neighbours' terms are the generator's business."""
    trainer = make("began")
    trainer.networks["balance"].module.k.fill_(0.3)
    generator, critic = (unwrap(trainer.networks[name]) for name in ("generator", "critic"))
    state = trainer.generator.get_state()
    latents, real = trainer.latents(trainer.images_per_step), trainer.sampler.draw(0, trainer.images_per_step)
    trainer.generator.set_state(state)
    ones = torch.ones(len(latents), 1)
    made = generator(latents, ones)
    learning = [p for p in generator.parameters() if p.requires_grad]
    loss = reproduction_error(made, critic(made)) + sum(trainer.neighbour_losses(made).values())
    wanted = torch.autograd.grad(loss, learning)
    fake = made.detach()
    errors = [reproduction_error(images, critic(images)) for images in (real, fake)]
    wanted_critic = torch.autograd.grad(errors[0] - 0.3 * errors[1], [*critic.parameters()])
    for optimiser in trainer.optimisers.values():
        monkeypatch.setattr(optimiser, "step", lambda: None)
    trainer.step()
    for parameters, gradients in ((learning, wanted), ([*critic.parameters()], wanted_critic)):
        pairs = zip(parameters, gradients, strict=True)
        assert all(torch.allclose(p.grad, g, rtol=1e-3, atol=1e-5) for p, g in pairs)
    surplus = GAMMA * errors[0] - errors[1]
    assert trainer.networks["balance"].module.k.item() == pytest.approx(0.3 + LAMBDA_K * surplus.item(), abs=1e-6)


@pytest.mark.parametrize("family", KINDS)
def test_it_goes_on_where_it_stopped(make, family):
    trainer = make(family)
    for _ in range(2):
        trainer.step()
        trainer.average()
    again = make(family, seed=1)
    assert_resumes(trainer, again)


@pytest.mark.parametrize("family", KINDS)
def test_its_file_is_the_difference_which_the_store_puts_onto_the_base(make, family, tmp_path):
    trainer = make(family)
    for _ in range(3):
        trainer.step()
        trainer.average()
    trainer.export({})
    export, base = trainer.settings.out / "export", card_in(base_folder(trainer) / "export", f"{family}-{trainer.size}")
    card = card_in(export, trainer.name)
    assert card.base == {"id": base.id, "sha256": base.sha256} and card.domains == ("face", "lion")
    assert card.training["k"] == trainer.k and card.training["mu"].keys() == set(LAYERS)
    assert card.training["pictures"] == len(read_animal("lion", trainer.size, trainer.settings, MODEL_PARTS))
    store = store_of(tmp_path / "pretrained", base_folder(trainer) / "export", export)
    kin, plain = shipped(store, card.id), shipped(store, base.id)
    latent = torch.rand(3, 100) * 2 - 1
    assert torch.equal(kin(latent, torch.zeros(3, 1)), plain(latent))
    assert torch.allclose(kin(latent, torch.ones(3, 1)), trainer.show(latent).clamp(-1, 1), atol=5e-3)


def test_a_base_that_was_trained_on_since_is_noticed(make):
    trainer = make("began")
    base = BEGANTrainer(replace(trainer.settings, out=base_folder(trainer)), 16)
    for _ in range(3):
        base.step()
        base.average()
    base.export({})
    with pytest.raises(ValueError, match="k-began-lion-16 began on an earlier began-16: move its folder away"):
        trainer.export({})


def test_the_grid_goes_from_the_base_to_the_animal(make):
    trainer = make("began")
    assert trainer.grid().size == (16 * 18, 4 * 18)


def test_a_run_without_its_base_says_what_to_train(small):
    with pytest.raises(FileNotFoundError, match="no run in .*began-16: train it first"):
        KBEGANTrainer(small("k-began-lion"), "lion", 16)
