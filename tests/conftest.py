"""Every test draws the same numbers, whatever ran before it: one that passes today passes tomorrow."""

from __future__ import annotations

import random

import numpy as np
import pytest

import studio  # noqa: F401  before torch, whose threads it tells how to wait


@pytest.fixture(autouse=True)
def same_draws():
    import torch

    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
