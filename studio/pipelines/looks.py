"""Looks: a style code of eight numbers, as one draws it, mixes two of it, and shares it in a small file.

A style is what MUNIT (Huang et al. 2018; Wang 2020, chapter 5) knows of a picture besides its content: drawn from N(0, I), it
gives one photo many looks. Which end of which pair it belongs to goes with it; for another it means nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from studio.core.recipe import CardId, ShownName
from studio.latent.traverse import spherical
from studio.models.munit import STYLE
from studio.pipelines.parts import is_number

DIGITS = 4  # of each after the point: what is shown is made of exactly these, so that a file makes the very same
FARTHEST = 10.0  # of a number; of ten million drawn from N(0, 1) none is beyond 6
MAX_BYTES = 4096  # of a look's file

# The ends of each pair, in the order "from, to" of what each direction does; the first direction is the one to begin with.
PAIRS = {
    "makeup": {"apply": ("bare", "makeup"), "remove": ("makeup", "bare")},
    "age": {"older": ("young", "old"), "younger": ("old", "young")},
}
REGIONS = ("lips", "eyes", "skin")

Style = tuple[float, ...]
_Number = Annotated[float, Field(ge=-FARTHEST, le=FARTHEST, allow_inf_nan=False)]


class LookError(ValueError):
    """A look's file that cannot be used; the message is one sentence for the artist."""


class LookFile(BaseModel):
    """One look as people share it: JSON, read as untrusted input.

    ``pair`` and ``end`` say what it is a look of, ``card`` which decoder it was made with (another of the same end understands it
    roughly), ``regions`` where it is meant to be laid on; none means everywhere.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["imaginarium-look"] = "imaginarium-look"
    version: Literal[1] = 1
    name: Annotated[ShownName, StringConstraints(min_length=1)]
    pair: Literal["makeup", "age"]
    end: Literal["bare", "makeup", "young", "old"]
    card: CardId
    style: Annotated[tuple[_Number, ...], Field(min_length=STYLE, max_length=STYLE)]
    regions: Annotated[tuple[Literal["lips", "eyes", "skin"], ...], Field(max_length=len(REGIONS))] = ()

    def to_json(self) -> str:
        """The file's text."""
        return self.model_dump_json(indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> LookFile:
        """Reads a look's file. Raises ``LookError``."""
        if len(text) > MAX_BYTES:
            raise LookError(f"This file is larger than {MAX_BYTES // 1024} KB, so it is no look: choose one that a studio saved.")
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            where = error.errors(include_url=False, include_input=False)[0]["loc"]
            field = str(where[0]) if where else ""
            about = f": its field {field!r} is not what a studio writes" if field in cls.model_fields else ""
            raise LookError(f"This file is no look that a studio saved{about}; choose another one.") from error


def random_style(seed: int, index: int) -> np.ndarray:
    """s ~ N(0, I) of look ``index``, float32 (8,); it depends on nothing but the seed and its number."""
    return rounded(np.random.default_rng([seed, index]).standard_normal(STYLE))


def rounded(style: Sequence[float] | np.ndarray) -> np.ndarray:
    """A style as looks hold it, float32 (8,)."""
    return np.round(np.asarray(style, np.float64), DIGITS).astype(np.float32)


def as_numbers(style: np.ndarray) -> Style:
    """A style (8,) as files and recipes hold it."""
    return tuple(round(float(number), DIGITS) for number in style)


def mix_styles(first: np.ndarray, second: np.ndarray, share: float) -> np.ndarray:
    """The look ``share`` of the way from one to another, float32 (8,): along the great circle, because N(0, I) in eight
    dimensions lies near a sphere, and the straight line between two strong looks leads past a faint one."""
    return rounded(spherical(first, second, np.array([share]))[0])


def check_style(style: Any) -> Style:
    """A style code, checked, as a tuple. Raises ``ValueError``."""
    numbers = tuple(style) if isinstance(style, Sequence | np.ndarray) and not isinstance(style, str) else ()
    numbers = tuple(float(n) if isinstance(n, np.floating) else n for n in numbers)
    if len(numbers) != STYLE or not all(is_number(number) and abs(number) <= FARTHEST for number in numbers):
        raise ValueError(f"A look is {STYLE} numbers from -{FARTHEST:g} to {FARTHEST:g}: choose one that a studio made.")
    return as_numbers(rounded(numbers))
