"""Small pictures and recipes for tests of what keeps them."""

import numpy as np

from studio.core.images import Photo
from studio.core.recipe import Recipe

LION = "cyclegan-lion-64"


def picture(seed: int = 0, height: int = 12, width: int = 8) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def recipe(**changes) -> Recipe:
    return Recipe(**{"tab": "character", "verb": "translate", "checkpoints": {LION: "a" * 64}, **changes})


def photo(digit: str = "1", name: str = "me.jpg") -> Photo:
    return Photo(picture(7, 40, 50), digit * 64, name)
