"""BEGAN's auto-encoder alone, the generator that begins as its decoder, two losses from one backward pass, the balance, and the
three networks it leaves."""

import pytest
import torch

from studio.models.began import reproduction_error
from studio.train import began
from studio.train.began import ALONE_RATE, GAMMA, HALVE_AFTER, LAMBDA_K, LEAST_RATE, RATE, BEGANTrainer, tell_latents
from studio.train.loop import unwrap
from tests.train.small import assert_resumes, card_in, changed, go, shipped, snapshot, store_of

ALONE = 8


@pytest.fixture
def young(small, monkeypatch):
    """A trainer whose critic is alone for two steps."""
    monkeypatch.setattr(began, "ALONE", ALONE)
    return BEGANTrainer(small("began-16"), 16)


@pytest.fixture
def trainer(young):
    """One that has both players."""
    young.images = ALONE + young.images_per_step
    young.networks["balance"].module.k.fill_(0.3)
    return young


def draws(trainer):
    """What the next step will draw: photos and latents."""
    state = trainer.generator.get_state()
    real, latents = trainer.sampler.draw(0, trainer.images_per_step), trainer.latents(trainer.images_per_step)
    trainer.generator.set_state(state)
    return real, latents


def test_one_backward_pass_gives_the_gradients_of_both_losses(trainer, monkeypatch):
    """L_D = L(x) - k L(G(z)) and L_G = L(G(z)) (eq. 4), each differentiated by itself."""
    generator, critic = (unwrap(trainer.networks[name]) for name in ("generator", "critic"))
    real, latents = draws(trainer)
    made = generator(latents)
    wanted = {"generator": torch.autograd.grad(reproduction_error(made, critic(made)), [*generator.parameters()])}
    fake = made.detach()
    loss = reproduction_error(real, critic(real)) - 0.3 * reproduction_error(fake, critic(fake))
    wanted["critic"] = torch.autograd.grad(loss, [*critic.parameters()])
    for optimiser in trainer.optimisers.values():
        monkeypatch.setattr(optimiser, "step", lambda: None)
    trainer.step()
    for name, network in (("generator", generator), ("critic", critic)):
        for parameter, gradient in zip(network.parameters(), wanted[name], strict=True):
            assert torch.allclose(parameter.grad, gradient, atol=1e-6)
        assert max(gradient.abs().max() for gradient in wanted[name]) > 1e-4


@pytest.mark.parametrize("balance", [0.0, 0.3, 1.0])
def test_the_balance_follows_equation_4_within_0_and_1(trainer, balance):
    trainer.networks["balance"].module.k.fill_(balance)
    losses = {name: value.item() for name, value in trainer.step().items()}
    surplus = GAMMA * losses["real"] - losses["made"]
    assert abs(surplus) > 0.01
    assert losses["k"] == pytest.approx(min(1, max(0, balance + LAMBDA_K * surplus)), abs=1e-6)
    assert trainer.networks["balance"].module.k.item() == losses["k"]
    assert losses["convergence"] == pytest.approx(losses["real"] + abs(surplus), abs=1e-6)


def test_a_step_moves_both_players(trainer):
    before = {name: snapshot(trainer, name) for name in trainer.networks}
    trainer.step()
    assert all(changed(before[name], trainer, name) for name in ("generator", "critic", "balance"))


def test_the_critic_learns_alone_at_first(young):
    before = {name: snapshot(young, name) for name in young.networks}
    go(young, 2)
    assert changed(before["critic"], young, "critic")
    assert not changed(before["generator"], young, "generator") and not changed(before["balance"], young, "balance")


def test_the_generator_begins_as_the_decoder(young):
    go(young, 2)
    decoder = young.ema["critic"].decoder.state_dict()
    young._begin_generator()
    for generator in (unwrap(young.networks["generator"]), young.ema["generator"]):
        told = {name for name, tensor in generator.state_dict().items() if not torch.equal(tensor, decoder[name])}
        assert told == {"project.layer.weight", "project.layer.bias"}


def test_it_begins_once(young, monkeypatch):
    begun = []
    monkeypatch.setattr(young, "_begin_generator", lambda: begun.append(young.images))
    go(young, 5)
    assert begun == [ALONE]


def test_latents_are_told_as_codes_are():
    """What the layer makes of uniform latents has the mean and the covariance of what it made of the codes."""
    torch.manual_seed(0)
    codes = (torch.randn(500, 5) @ torch.randn(5, 5) + torch.randn(5)).double()
    project = torch.nn.Linear(5, 7).double().requires_grad_(False)
    wanted = project(codes)
    tell_latents(project, codes)
    assert torch.allclose(project.bias, wanted.mean(0))
    assert torch.allclose(project.weight @ project.weight.T / 3, torch.cov(wanted.T))


RATES = (0, ALONE_RATE), (ALONE, RATE), (HALVE_AFTER, RATE / 2), (100 * HALVE_AFTER, LEAST_RATE)


@pytest.mark.parametrize(("images", "rate"), RATES)
def test_the_rate_is_halved_and_never_below_the_least(trainer, images, rate):
    trainer.images = images
    trainer.schedule()
    assert {group["lr"] for optimiser in trainer.optimisers.values() for group in optimiser.param_groups} == {rate}


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_it_goes_on_where_it_stopped(young, small, steps):
    go(young, steps)
    assert_resumes(young, BEGANTrainer(small("began-16", seed=1), 16))


def test_the_measures_see_what_the_shipped_generator_would_make(trainer):
    with torch.no_grad():
        trainer.ema["generator"].to_rgb.layer.bias.fill_(3)
    assert trainer.show(trainer.latents(2)).max() == 1


def test_it_leaves_a_generator_and_an_auto_encoder(trainer, tmp_path):
    trainer.step()
    trainer.average()
    assert trainer.grid().size == (10 * 18, 6 * 18)
    trainer.export(trainer.evaluate())
    export = trainer.settings.out / "export"
    tasks = {name: card_in(export, name).task for name in ("began-16", "began-encoder-16", "began-decoder-16")}
    assert list(tasks.values()) == ["sample", "encode", "decode"]
    store = store_of(tmp_path / "pretrained", export)
    generator, encoder, decoder = (shipped(store, name) for name in tasks)
    latent, faces = torch.rand(2, 100) * 2 - 1, trainer.validation
    assert torch.allclose(generator(latent), trainer.show(latent), atol=2e-3)
    assert torch.allclose(decoder(encoder(faces)), trainer.ema["critic"](faces), atol=2e-3)
