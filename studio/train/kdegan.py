"""KDE-GAN (Kilcher, Lucchi and Hofmann 2017, Algorithm 2): a GAN whose prior is estimated anew, step by step, from the data.

    for i = 1 : T
        estimate P_z using the generator reversal process
        sample a minibatch of noise from P_z and one of examples from P_x
        update the discriminator and the generator

Real and generated pictures are reversed side by side until their codes can be told apart (section 4); P_z is the kernel density
of the real ones' codes. It is shown where modes can be counted: MNIST-1000 (appendix D) at test size, three of scikit-learn's
digits (8 x 8 px) as the three colours of a picture, the high digits more often than the low ones.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier
from torch import Tensor, nn

from studio.latent.kde import KDE
from studio.latent.reversal import RATE, START, reverse_until_told_apart
from studio.metrics.mmd import THRESHOLD, mmd2
from studio.metrics.modes import inception_score
from studio.models.adapters import initialise
from studio.models.dcgan import Discriminator
from studio.train.data import JUDGE_PARTS, MODEL_PARTS, VALIDATION_PARTS, part
from studio.train.gan import GANTrainer
from studio.train.loop import Settings, Trainer, tile, unwrap

SIDE, NUMBERS = 8, 3 * 8 * 8  # px of a digit, numbers of a picture
LATENT = 200  # appendix A, as the step size and the batch
STEP_SIZE = 3e-4
BATCH = 100
# The paper's loss is read as the sum over a picture's numbers and the mean over the batch; that of ``reverse`` is the mean over
# numbers. (Read as 1/2 |G(z) - x|^2 of each picture the first step is so long that the test ends reversal there: all codes then
# lie close together, and the GAN draws four of a thousand modes.)
REVERSAL_RATE = RATE * NUMBERS / BATCH
MOST = 20  # steps of reversal, should the two-sample test not end it before
# P_z: so many minibatches' codes, under kernels as broad as this share of their deviation, with so much of their Gaussian.
REMEMBERED, BANDWIDTH, BACKGROUND = 10, 0.5, 0.05
# How likely each digit is: "a 9 is 20 times more likely to be sampled than a 1", on a line; a 0 as a 1.
WEIGHTS = np.array([1.0, *np.linspace(1, 20, 9)])
SAMPLES = 2000  # a score is taken of
SHOWN = 3  # times as large are digits in a grid


class Generator(nn.Module):
    """Appendix A at the size of these digits: a transposed convolution to 4 x 4 px, batch norm, one more to 8 x 8 px, tanh."""

    def __init__(self, width: int):
        super().__init__()
        self.first = nn.ConvTranspose2d(LATENT, width, 4, bias=False)
        self.norm = nn.BatchNorm2d(width)
        self.last = nn.ConvTranspose2d(width, 3, 4, 2, 1)
        initialise(self)

    def forward(self, latent: Tensor) -> Tensor:
        """``latent`` (B, 200) -> (B, 3, 8, 8) in [-1, 1]."""
        return torch.tanh(self.last(torch.relu(self.norm(self.first(latent.view(-1, LATENT, 1, 1))))))


class Codes(nn.Module):
    """The codes that the prior is made of, (REMEMBERED * BATCH, 200), the oldest first; part of the state of a run."""

    codes: Tensor

    def __init__(self, first: Tensor):
        super().__init__()
        self.register_buffer("codes", first)


def read_digits(parts: Collection[int]) -> tuple[Tensor, np.ndarray]:
    """The digits in these tenths of the split: float32 (N, 8, 8) in [-1, 1], and what they are (N,)."""
    pixels, labels = load_digits(return_X_y=True)
    rows = [index for index in range(len(labels)) if part(f"digits/{index}") in parts]
    return torch.as_tensor(pixels[rows] / 8 - 1, dtype=torch.float32).view(-1, SIDE, SIDE), labels[rows]


@cache
def digit_judge() -> MLPClassifier:
    """Names digits of 8 x 8 px; it learnt from the two tenths that no generator learns from."""
    images, labels = read_digits(JUDGE_PARTS)
    return MLPClassifier((64,), alpha=0.1, max_iter=1000, random_state=0).fit(images.flatten(1).numpy(), labels)


def mode_probabilities(images: Tensor) -> np.ndarray:
    """What the judge takes pictures (N, 3, 8, 8) for: float64 (N, 1000), p(abc | x) = p(a | x_1) p(b | x_2) p(c | x_3)."""
    judged = digit_judge().predict_proba(images.reshape(-1, SIDE * SIDE).numpy()).reshape(-1, 3, 10).astype(np.float64)
    return np.einsum("na,nb,nc->nabc", *judged.transpose(1, 0, 2)).reshape(len(images), -1)


class StackedDigits:
    """Draws pictures of three digits."""

    def __init__(self, parts: Collection[int], generator: torch.Generator, digits: Collection[int] = range(10)):
        images, labels = read_digits(parts)
        chosen = np.isin(labels, list(digits))
        self.generator, self.images = generator, images[torch.from_numpy(chosen)].to(generator.device)
        shares = WEIGHTS / np.bincount(labels, minlength=10)
        self.shares = torch.as_tensor(shares[labels[chosen]], device=generator.device)

    def draw(self, which: int, count: int) -> Tensor:
        """As :meth:`Sampler.draw`: (count, 3, 8, 8)."""
        rows = torch.multinomial(self.shares, 3 * count, replacement=True, generator=self.generator)
        return self.images[rows].view(count, 3, SIDE, SIDE)


class DigitsTrainer(GANTrainer):
    """``gan-digits``: the plain GAN of appendix A, with the prior N(0, I)."""

    name = "gan-digits"
    images_per_step = BATCH
    policy = ""
    width = 64

    def __init__(self, settings: Settings):
        Trainer.__init__(self, settings)  # neither faces nor their measures
        self.networks = self.build()
        self.optimisers = {
            name: torch.optim.RMSprop(self.networks[name].parameters(), STEP_SIZE) for name in ("generator", "critic")
        }
        self.ready()
        self.learn_from(range(10))

    @staticmethod
    def precision(cuda: bool) -> str:
        """Networks of this size gain nothing from fewer bits."""
        return "32-true"

    def build(self) -> dict[str, nn.Module]:
        return {"generator": Generator(self.width), "critic": Discriminator(self.width, SIDE)}

    def learn_from(self, digits: Collection[int]) -> None:
        """From now on the pictures hold these digits alone."""
        self.sampler = StackedDigits(MODEL_PARTS, self.generator, digits)

    def normal(self, *shape: int) -> Tensor:
        """N(0, 1) from the generator whose state is saved."""
        return torch.randn(*shape, generator=self.generator, device=self.device)

    def latents(self, count: int) -> Tensor:
        return self.normal(count, LATENT)

    @torch.no_grad()
    def show(self, latents: Tensor) -> Tensor:
        """Pictures of the network as it is."""
        network = unwrap(self.networks["generator"]).eval()
        images = network(latents)
        network.train()
        return images.cpu()

    def evaluate(self) -> dict[str, Any]:
        """The score of samples from the prior, the modes among them, and the score of as many held-out pictures."""
        real = StackedDigits(VALIDATION_PARTS, torch.Generator().manual_seed(0)).draw(0, SAMPLES)
        made = mode_probabilities(self.show(self.latents(SAMPLES)))
        return {
            "inception_score": round(inception_score(made), 1),
            "modes": len(np.unique(made.argmax(1))),
            "inception_score_real": round(inception_score(mode_probabilities(real)), 1),
        }

    def grid(self) -> Image.Image:
        """A hundred pictures' digits in grey, one beside the other."""
        digits = self.show(self.latents(100)).reshape(-1, 1, SIDE, SIDE).expand(-1, 3, -1, -1)
        return tile(list(F.interpolate(digits, scale_factor=SHOWN).split(30)))

    def export(self, measures: dict[str, Any]) -> None:
        """Nothing: the studio shows no digits."""


class KDEGANTrainer(DigitsTrainer):
    """``kdegan-digits``: Algorithm 2. The networks begin as those of ``gan-digits`` of the same seed."""

    name = "kdegan-digits"

    def __init__(self, settings: Settings):
        super().__init__(settings)
        self.networks["prior"] = Codes(self.normal(REMEMBERED * BATCH, LATENT))  # until the data have spoken, the GAN's own

    @property
    def prior(self) -> KDE:
        """P_z as it is now."""
        codes = self.networks["prior"].codes.cpu().numpy()
        return KDE(codes, BANDWIDTH * float(codes.std()), BACKGROUND)

    def latents(self, count: int) -> Tensor:
        seed = int(torch.randint(2**31, (), generator=self.generator, device=self.device))
        return torch.from_numpy(self.prior.sample(count, np.random.default_rng(seed))).to(self.device)

    def step(self) -> dict[str, Tensor]:
        steps = self.estimate()
        return super().step() | {"reversal_steps": torch.tensor(float(steps))}

    def estimate(self) -> int:
        """Line 2 of Algorithm 2: reverses a minibatch of data, and remembers its codes. Returns the steps that took."""
        network = unwrap(self.networks["generator"]).eval()  # a code must not depend on those beside it
        made = network(self.latents(BATCH)).detach()
        start = START * self.normal(2 * BATCH, LATENT)
        reversed_ = reverse_until_told_apart(network, self.sampler.draw(0, BATCH), made, start, told_apart, MOST, REVERSAL_RATE)
        *_, last = reversed_
        network.train()
        prior = self.networks["prior"]
        prior.codes.copy_(torch.cat([prior.codes[BATCH:], last.code[:BATCH]]))
        return last.step


def told_apart(real: Tensor, made: Tensor) -> bool:
    """The two-sample test with the paper's kernel and threshold."""
    return mmd2(real.cpu().numpy(), made.cpu().numpy()) > THRESHOLD


DIGIT_GANS = {kind.name: kind for kind in (DigitsTrainer, KDEGANTrainer)}
