"""Which of the real pictures a generator never draws, and how varied and clear its pictures are (X-GAN, sections 4.3 and 4.5)."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

THRESHOLDS = (0.9, 0.95, 0.97)  # of Table 1 there
HIDDEN = 64  # numbers between the two layers of D*
STEPS, RATE = 300, 1e-2  # all pictures at once
LEAST = 1e-12  # of a probability whose logarithm is taken


def missing_modes(
    real: np.ndarray, made: np.ndarray, test: np.ndarray, thresholds: Sequence[float] = THRESHOLDS, seed: int = 0
) -> dict[float, float]:
    """The D* score (Che et al. 2017; X-GAN, section 4.3): the share of ``test`` pictures that nothing made is like.

    A network of two layers, D*, learns from embeddings to tell real pictures from made ones. Real test pictures of which it is
    sure, D* > t, belong to modes that are not made.

    Args:
        real, made: embeddings (N, E) of what D* learns from; of the longer one only as many as of the other.
        test: (T, E), real pictures that D* has not seen.
        thresholds: each t.
        seed: of D*.

    Returns:
        The share in [0, 1] for each threshold.

    Raises:
        ValueError: there are fewer than 20 pictures to learn from, or none to test.
    """
    count = min(len(real), len(made))
    if count < 20 or not len(test):
        raise ValueError("The D* score needs at least 20 real and 20 made pictures to learn from, and one to test.")
    known = torch.as_tensor(np.concatenate([real[:count], made[:count]]), dtype=torch.float32)
    deviation, mean = torch.std_mean(known, dim=0)
    scale = deviation.clamp_min(1e-6)
    is_real = torch.arange(2 * count) < count
    judge = _learn((known - mean) / scale, is_real.float(), torch.Generator().manual_seed(seed))
    with torch.no_grad():
        certainty = judge((torch.as_tensor(test, dtype=torch.float32) - mean) / scale).sigmoid()
    return {t: float((certainty > t).float().mean()) for t in thresholds}


def _learn(known: Tensor, is_real: Tensor, draws: torch.Generator) -> nn.Sequential:
    """D*, as it was when a tenth of what is ``known`` (N, E), which it did not learn from, was least surprising to it.

    Else it would know pictures by heart, and be sure of itself for no reason.
    """
    first, second = nn.Linear(known.shape[1], HIDDEN), nn.Linear(HIDDEN, 1)
    for layer in (first, second):
        nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu", generator=draws)
        nn.init.zeros_(layer.bias)
    judge = nn.Sequential(first, nn.ReLU(), second, nn.Flatten(0))
    optimiser = torch.optim.Adam(judge.parameters(), RATE)
    order = torch.randperm(len(known), generator=draws)
    held, learnt = order.tensor_split([len(order) // 10])
    least, best = float("inf"), judge
    for _ in range(STEPS):
        optimiser.zero_grad()
        F.binary_cross_entropy_with_logits(judge(known[learnt]), is_real[learnt]).backward()
        optimiser.step()
        with torch.no_grad():
            surprise = float(F.binary_cross_entropy_with_logits(judge(known[held]), is_real[held]))
        if surprise < least:
            least, best = surprise, copy.deepcopy(judge)
    return best


def inception_score(probabilities: np.ndarray) -> float:
    """exp(E_x KL(p(y | x) || p(y))) (Salimans et al. 2016), from a judge's ``probabilities`` (N, K) of pictures.

    1 if all pictures are the same to the judge, or none is clear; K if each class is as frequent as any other and always clear.

    Raises:
        ValueError: there is no picture.
    """
    if not len(probabilities):
        raise ValueError("The inception score needs at least one picture.")
    given = np.clip(probabilities.astype(np.float64), LEAST, None)
    return float(np.exp((given * np.log(given / given.mean(axis=0))).sum(axis=1).mean()))
