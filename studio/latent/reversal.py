"""Generator Reversal (Kilcher, Lucchi and Hofmann, section 2): the code that makes a given picture.

:func:`reverse` is the paper's Algorithm 1. :func:`invert` is what the studio uses: it starts where an encoder guesses, sees the
picture as perception does and not only pixel by pixel, and takes Adam's steps, so that tens of them do what plain descent needs
hundreds for. Both yield after every step and hold several pictures at once, so that a preview can follow, others get their turn,
and whoever stops early keeps the best so far. :func:`reverse_until_told_apart` is Algorithm 1 with the paper's own end, the
two-sample test of section 4, for training.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

Generate = Callable[[Tensor], Tensor]
Distance = Callable[[Tensor, Tensor], Tensor]
Test = Callable[[Tensor, Tensor], bool]

RATE = 1.0  # eta of Algorithm 1 in the paper's experiments (appendix A)
ADAM_RATE = 0.03  # of a style's deviation, which is about 1
FINAL_SHARE = 0.1  # of the rate, at the last step
START = 1e-4  # sigma of the noise that a reversal begins with (appendix A)


@dataclass(frozen=True, eq=False)
class ReversalStep:
    """Where a reversal stands: after ``step`` steps, the best of each picture so far.

    ``code`` is (B, ...) as it was started with, ``image`` (B, 3, R, R) what it makes, ``loss`` (B,) and ``psnr`` (B,) in dB.
    """

    step: int
    code: Tensor
    image: Tensor
    loss: Tensor
    psnr: Tensor


def squared_error(image: Tensor, target: Tensor) -> Tensor:
    """The mean over a picture's numbers, (B,): the paper's loss up to a factor."""
    return (image - target).square().flatten(1).mean(1)


def psnr(image: Tensor, target: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in dB of pictures (B, 3, R, R) in [-1, 1], whose peak-to-peak range is 2: (B,)."""
    return 10 * torch.log10(4 / squared_error(image, target).clamp_min(1e-10))


def reverse(generate: Generate, target: Tensor, start: Tensor, steps: int = 400, rate: float = RATE) -> Iterator[ReversalStep]:
    """Algorithm 1: plain gradient descent on the codes.

    Args:
        generate: codes -> pictures (B, 3, R, R), differentiable.
        target: (B, 3, R, R) in [-1, 1].
        start: the first codes, (B, ...).
        rate: eta; the loss is the sum over a picture's numbers divided by their count.
    """
    code = start.clone().requires_grad_(True)
    descent = torch.optim.SGD([code], rate)
    yield from _descend(generate, squared_error, target, code, descent, [rate] * steps)


def reverse_until_told_apart(
    generate: Generate, real: Tensor, made: Tensor, start: Tensor, told_apart: Test, most: int, rate: float = RATE
) -> Iterator[ReversalStep]:
    """Algorithm 1 on real and generated pictures side by side, until their codes are no longer of one distribution (section 4).

    At the start all codes are the same noise. The better the reconstructions, the more surely the codes of real pictures can be
    told from those of the generator's own; as soon as they can, they say what the prior lacks, and more steps would be wasted.

    Args:
        real, made: (m, 3, R, R) each.
        start: (2 m, ...), the first codes of the real pictures, then of the made ones.
        told_apart: the two-sample test, codes (m, ...) of real and of made pictures -> whether they differ.
        most: steps, should the test never tell.
    """
    for step in reverse(generate, torch.cat([real, made]), start, most, rate):
        yield step
        if told_apart(*step.code.chunk(2)):
            return


def invert(
    generate: Generate, target: Tensor, start: Tensor, steps: int, distance: Distance, rate: float = ADAM_RATE
) -> Iterator[ReversalStep]:
    """Our faster reversal: Adam from a good ``start``, its rate falling on a cosine.

    Args:
        distance: how far pictures are from their targets, (B, 3, R, R) twice -> (B,), differentiable in the first.
    """
    code = start.clone().requires_grad_(True)
    descent = torch.optim.Adam([code], rate, betas=(0.9, 0.99))
    shares = [0.5 * (1 + math.cos(math.pi * step / steps)) for step in range(steps)]
    yield from _descend(
        generate, distance, target, code, descent, [rate * (FINAL_SHARE + (1 - FINAL_SHARE) * share) for share in shares]
    )


def _descend(
    generate: Generate,
    distance: Distance,
    target: Tensor,
    code: Tensor,
    descent: torch.optim.Optimizer,
    rates: list[float],
) -> Iterator[ReversalStep]:
    """Looks at the start, then takes a step for each rate; keeps the best of every picture on its own."""
    best: ReversalStep | None = None
    for step in range(len(rates) + 1):
        image = generate(code)
        loss = distance(image, target)
        best = _better(best, step, code.detach(), image.detach(), loss.detach(), target)
        yield best
        if step < len(rates):
            for group in descent.param_groups:
                group["lr"] = rates[step]
            (code.grad,) = torch.autograd.grad(loss.sum(), code)
            descent.step()


def _better(best: ReversalStep | None, step: int, code: Tensor, image: Tensor, loss: Tensor, target: Tensor) -> ReversalStep:
    if best is not None:
        worse = ~(loss < best.loss)  # so is what is no number any more
        code, image = _where(worse, best.code, code), _where(worse, best.image, image)
        loss = torch.where(worse, best.loss, loss)
    return ReversalStep(step, code.clone(), image, loss, psnr(image, target))


def _where(rows: Tensor, first: Tensor, second: Tensor) -> Tensor:
    return torch.where(rows.view(-1, *[1] * (first.dim() - 1)), first, second)
