"""Generator Reversal (Kilcher, Lucchi and Hofmann, section 2): the code that makes a given picture.

:func:`reverse` is the paper's Algorithm 1. :func:`invert` is what the studio uses: it starts where an encoder guesses, sees the
picture as perception does and not only pixel by pixel, and takes quasi-Newton steps, so that tens of them do what plain descent
needs hundreds for. Both yield after every step and hold several pictures at once, so that a preview can follow, others get their
turn, and whoever stops early keeps the best so far. :func:`reverse_until_told_apart` is Algorithm 1 with the paper's own end,
the two-sample test of section 4, for training.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

Generate = Callable[[Tensor], Tensor]
Distance = Callable[[Tensor, Tensor], Tensor]
Prior = Callable[[Tensor], Tensor]
Test = Callable[[Tensor, Tensor], bool]

RATE = 1.0  # eta of Algorithm 1 in the paper's experiments (appendix A)
# L-BFGS makes its curvature of the gradients of so many steps; a step takes one run of the generator, at most so many.
HISTORY, RUNS = 20, 10
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


def perceived(trunk: Callable[[Tensor], list[Tensor]], photo: Tensor, weight: float, known: Tensor | None = None) -> Distance:
    """How far pictures are from a photo: pixel by pixel, and ``weight`` times as a trunk's maps see them (LPIPS, eq. 1).

    Args:
        trunk: pictures (B, 3, R, R) -> maps (B, C, h, w), differentiable.
        photo: the target, (1 or B, 3, R, R).
        known: (1, 1, R, R), 1 where the photo is known and 0 where it has a hole: there nothing counts, neither pixels nor
            places of a map that see into it.
    """
    if known is None:
        known = torch.ones_like(photo[:1, :1])
    wanted = [F.normalize(features) for features in trunk(photo)]
    # A place of a map counts if all pixels below it are known.
    places = [(F.adaptive_avg_pool2d(known, maps.shape[-2:]) > 0.999).to(known.dtype) for maps in wanted]

    def mean(values: Tensor, where: Tensor) -> Tensor:
        return (values * where).flatten(1).sum(1) / where.sum().clamp_min(1)

    def distance(image: Tensor, target: Tensor) -> Tensor:
        seen = [F.normalize(features) for features in trunk(image)]
        apart = sum(mean((a - b).square().sum(1, True), at) for a, b, at in zip(seen, wanted, places, strict=True))
        return mean((image - target).square().mean(1, True), known) + weight * apart

    return distance


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
    yield from _descend(generate, squared_error, target, code, descent, steps)


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
    generate: Generate, target: Tensor, start: Tensor, steps: int, distance: Distance, prior: Prior | None = None
) -> Iterator[ReversalStep]:
    """Our faster reversal: L-BFGS with a line search (Nocedal and Wright 2006, algorithms 7.5 and 3.5) from a good ``start``.

    On eight new faces 50 steps came as near as 100 of Adam's, in half the time.

    Args:
        distance: how far pictures are from their targets, (B, 3, R, R) twice -> (B,), differentiable in the first.
        prior: what is added for codes (B, ...) that are unlikely, (B,); nothing without it.
    """
    code = start.clone().requires_grad_(True)
    settings = {"max_iter": 1, "max_eval": RUNS + 1, "history_size": HISTORY}  # one look more, at the start: it costs nothing
    descent = torch.optim.LBFGS([code], **settings, line_search_fn="strong_wolfe")
    yield from _descend(generate, distance, target, code, descent, steps, prior)


def _descend(
    generate: Generate,
    distance: Distance,
    target: Tensor,
    code: Tensor,
    descent: torch.optim.Optimizer,
    steps: int,
    prior: Prior | None = None,
) -> Iterator[ReversalStep]:
    """Looks at the start, then takes the steps; keeps the best of every picture on its own."""
    best: ReversalStep | None = None
    seen: tuple[Tensor, Tensor, Tensor] | None = None

    def look() -> Tensor:
        """The loss at the code, with its gradient; not computed again where the last look was."""
        nonlocal seen
        if seen is None or not torch.equal(seen[0], code):
            image = generate(code)
            loss = distance(image, target) + (prior(code) if prior else 0)
            (code.grad,) = torch.autograd.grad(loss.sum(), code)
            seen = code.detach().clone(), image.detach(), loss.detach()
        return seen[2].sum()

    for step in range(steps + 1):
        if step:
            descent.step(look)
        look()
        best = _better(best, step, *seen, target)
        yield best


def _better(best: ReversalStep | None, step: int, code: Tensor, image: Tensor, loss: Tensor, target: Tensor) -> ReversalStep:
    if best is not None:
        worse = ~(loss < best.loss)  # so is what is no number any more
        code, image = _where(worse, best.code, code), _where(worse, best.image, image)
        loss = torch.where(worse, best.loss, loss)
    return ReversalStep(step, code.clone(), image, loss, psnr(image, target))


def _where(rows: Tensor, first: Tensor, second: Tensor) -> Tensor:
    return torch.where(rows.view(-1, *[1] * (first.dim() - 1)), first, second)
