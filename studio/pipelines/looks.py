"""Looks: a style code of eight numbers, as one draws it, mixes two or four of it, and shares it in a small file.

A style is what MUNIT (Huang et al. 2018; Wang 2020, chapter 5) knows of a picture besides its content, and what SDIT (chapter 6)
calls z: drawn from N(0, I), it gives one photo many looks. What it belongs to, the end of a pair or the domains, goes with it;
for another it means nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from studio.core.recipe import CardId, ShownName
from studio.core.regions import REGIONS
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

Style = tuple[float, ...]
_Number = Annotated[float, Field(ge=-FARTHEST, le=FARTHEST, allow_inf_nan=False)]


class LookError(ValueError):
    """A look's file that cannot be used; the message is one sentence for the artist."""


class CodeFile(BaseModel):
    """A style as people share it: JSON, read as untrusted input. ``card`` is the network that it was made with."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    what: ClassVar[str]  # it is called

    version: Literal[1] = 1
    name: Annotated[ShownName, StringConstraints(min_length=1)]
    card: CardId
    style: Annotated[tuple[_Number, ...], Field(min_length=STYLE, max_length=STYLE)]

    def to_json(self) -> str:
        """The file's text."""
        return self.model_dump_json(indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Reads such a file. Raises ``LookError``."""
        if len(text) > MAX_BYTES:
            limit = f"larger than {MAX_BYTES // 1024} KB"
            raise LookError(f"This file is {limit}, so it is no {cls.what}: choose one that a studio saved.")
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            where = error.errors(include_url=False, include_input=False)[0]["loc"]
            field = str(where[0]) if where else ""
            about = f": its field {field!r} is not what a studio writes" if field in cls.model_fields else ""
            raise LookError(f"This file is no {cls.what} that a studio saved{about}; choose another one.") from error


class LookFile(CodeFile):
    """One look: ``pair`` and ``end`` say what it is a look of (any decoder of that end understands it roughly), ``regions`` where
    it is meant to be laid on; none means everywhere."""

    what = "look"

    kind: Literal["imaginarium-look"] = "imaginarium-look"
    pair: Literal["makeup", "age"]
    end: Literal["bare", "makeup", "young", "old"]
    regions: Annotated[tuple[Literal["lips", "eyes", "skin"], ...], Field(max_length=len(REGIONS))] = ()


class StyleFile(CodeFile):
    """One z of SDIT: ``domains`` says of which networks, ``target`` (as text) what it was liked with; "" fits any."""

    what = "style"

    kind: Literal["imaginarium-style"] = "imaginarium-style"
    domains: Literal["attributes", "art", "cars"]
    target: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_:+]{0,300}$", strict=True)] = ""


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


def style_at(corners: Sequence[Style], across: float, down: float) -> np.ndarray:
    """The style at a point of the square between four, float32 (8,): from edge to edge along great circles, as looks are mixed.

    Args:
        corners: top left, top right, bottom left, bottom right; they are met bit for bit.
        across, down: in [0, 1].

    Raises:
        ValueError: a corner is no style, or the point lies outside of the square.
    """
    if len(corners) != 4:
        raise ValueError(f"A plane lies between four styles; these are {len(corners)}.")
    if not all(is_number(part) and 0 <= part <= 1 for part in (across, down)):
        raise ValueError("The plane of styles goes from 0 to 1 in both directions.")
    first, second, third, fourth = (np.array(check_style(corner), np.float32) for corner in corners)
    return mix_styles(mix_styles(first, second, across), mix_styles(third, fourth, across), down)


def check_style(style: Any) -> Style:
    """A style code, checked, as a tuple. Raises ``ValueError``."""
    numbers = tuple(style) if isinstance(style, Sequence | np.ndarray) and not isinstance(style, str) else ()
    numbers = tuple(float(n) if isinstance(n, np.floating) else n for n in numbers)
    if len(numbers) != STYLE or not all(is_number(number) and abs(number) <= FARTHEST for number in numbers):
        raise ValueError(f"A look is {STYLE} numbers from -{FARTHEST:g} to {FARTHEST:g}: choose one that a studio made.")
    return as_numbers(rounded(numbers))
