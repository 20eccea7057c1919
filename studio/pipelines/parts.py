"""What the pipelines share: steps of progress, the animals there are, what the judges say in words, and sheets."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from studio.core.images import resize, to_float, to_uint8
from studio.core.registry import Card, Registry
from studio.metrics.class_score import ANIMAL_JUDGE, class_probabilities, class_score

if TYPE_CHECKING:
    from studio.core.engine import Engine

# The ten of IAN's figure 6 in its order; whatever else the index offers comes after them.
PAPER_ANIMALS = (
    "gorilla", "chow_chow", "egyptian_cat", "koala", "lion", "norwegian_elkhound", "panda", "samoyed", "spider", "tiger",
)  # fmt: skip
_PROPER_NAMES = {"egyptian_cat": "Egyptian cat", "norwegian_elkhound": "Norwegian elkhound", "samoyed": "Samoyed"}
MAX_STRENGTH = 1.3
# Full-size results are held in memory until the request ends: 400 megapixels are 1.2 GB.
MAX_PASTED_PIXELS = 400_000_000
# From here on the judge is sure of its animal; below, it is only its best guess.
SURE = 0.5

# Sheets, in pixels; smaller pictures are enlarged to the cell so that captions fit.
CELL, GAP, CAPTION, LINE = 128, 6, 22, 17
PAPER, INK = (250, 250, 250), (40, 40, 40)


@dataclass(frozen=True)
class Progress:
    """``done`` of ``total`` cells are there; ``message`` says what happens now."""

    done: int
    total: int
    message: str


@dataclass(frozen=True)
class AnimalInfo:
    """An animal there is a network for; ``label`` is its name for people, ``study`` None or why it is weak."""

    name: str
    label: str
    card: Card
    study: str | None


@dataclass(frozen=True)
class AnimalReading:
    """What the judge makes of a picture: its probability of the ``animal`` that is meant, and ``words`` for it."""

    score: float
    words: str


def animal_label(name: str) -> str:
    """An animal's name for people: "chow_chow" is a chow chow."""
    return _PROPER_NAMES.get(name, name.replace("_", " "))


def with_article(label: str) -> str:
    """"lion" is a lion, "Egyptian cat" an Egyptian cat."""
    return f"{'an' if label[0] in 'aeiouAEIOU' else 'a'} {label}"


def in_papers_order(names: Sequence[str]) -> list[str]:
    """Animals in the order of IAN's figure 6, those it does not show after them."""
    rank = {name: place for place, name in enumerate(PAPER_ANIMALS)}
    return sorted(names, key=lambda name: (rank.get(name, len(rank)), name))


def list_animals(source: Engine | Registry) -> tuple[AnimalInfo, ...]:
    """The animals that ``source`` (an engine or its registry) has a face-to-animal network for, the paper's ten first.

    Where several networks make the same animal, the one with the highest resolution is meant.
    """
    cards = registry_of(source).list_models(task="translate")
    best = finest(card for card in cards if card.family == "cyclegan" and len(card.domains) == 2 and card.domains[0] == "face")
    by_animal = {card.domains[1]: card for card in best.values()}
    return tuple(
        AnimalInfo(name, animal_label(name), by_animal[name], by_animal[name].study) for name in in_papers_order(list(by_animal))
    )


def choose_animals(source: Engine | Registry, names: Sequence[str] = ()) -> tuple[AnimalInfo, ...]:
    """The animals of these names, in their order; all if none is named. Raises ``ValueError``, listing those there are."""
    known = {info.name: info for info in list_animals(source)}
    if not known:
        raise ValueError("This studio has no animals yet: update it, or pull their models.")
    if unknown := [name for name in names if name not in known]:
        raise ValueError(f"There is no animal {unknown[0]!r}; there is {', '.join(known)}.")
    return tuple(known[name] for name in names or known)


def translate_heads(engine: Engine, card: Card, heads: Sequence[np.ndarray], strength: float) -> list[np.ndarray]:
    """Heads, uint8 (R, R, 3) in the card's frame and resolution, as its animal, uint8 (R, R, 3) (IAN, section 3.2)."""
    amounts = np.full((len(heads), 1), strength, np.float32)
    output = engine.run(card.id, image=np.stack([to_float(head) for head in heads]), strength=amounts)
    # Eight bits, not the network's floats: what is judged is what is shown.
    return [to_uint8(image) for image in output]


def finest(cards: Iterable[Card]) -> dict[tuple[str, ...], Card]:
    """Of the cards of each domain the one with the highest resolution."""
    best: dict[tuple[str, ...], Card] = {}
    for card in cards:
        if card.domains not in best or card.resolution > best[card.domains].resolution:
            best[card.domains] = card
    return best


def registry_of(source: Any) -> Registry:
    """The registry of an engine; a registry is its own."""
    return source if isinstance(source, Registry) else source.registry


def is_number(value: Any) -> bool:
    """Whether ``value`` is a finite int or float; True and False are none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def is_whole(value: Any, below: int) -> bool:
    """Whether ``value`` is an int of 0 or more and less than ``below``."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < below


# --- what the judges say ------------------------------------------------------------------------------------------------------


def animal_judge(source: Engine | Registry, animal: str) -> Card | None:
    """The judge that knows the animal, if there is one."""
    judge = next(iter(registry_of(source).list_models(ANIMAL_JUDGE)), None)
    return judge if judge and animal in judge.labels else None


def read_animals(engine: Engine, images: Sequence[np.ndarray], animal: str) -> list[AnimalReading | None]:
    """What the judge makes of pictures, each uint8 (R, R, 3), that are meant to be an ``animal``; None if none knows it."""
    judge = animal_judge(engine, animal)
    if judge is None:
        return [None] * len(images)
    chances = class_probabilities(engine, np.stack([to_float(image) for image in images]))
    scores = class_score(chances, judge.labels, animal)
    return [
        AnimalReading(float(score), animal_words(animal, dict(zip(judge.labels, row, strict=True))))
        for score, row in zip(scores, chances, strict=True)
    ]


def animal_words(animal: str, chances: Mapping[str, float]) -> str:
    """The judge's probabilities of each of its classes, for people."""
    wanted, best = with_article(animal_label(animal)), max(chances, key=chances.__getitem__)
    if best != animal:
        return f"reads as {with_article(animal_label(best))} rather than {wanted}"
    return f"reads as {wanted}" if chances[animal] >= SURE else f"looks most like {wanted}"


def face_words(found: bool) -> str:
    """Whether Viola-Jones finds a face, for people."""
    return "a face is still found" if found else "no human face is left"


# --- sheets -------------------------------------------------------------------------------------------------------------------


def draw_sheet(
    rows: Sequence[Sequence[np.ndarray]],
    header: Sequence[str] = (),
    notes: Sequence[Sequence[str]] = (),
    footer: str = "",
) -> np.ndarray:
    """Pictures in rows, uint8 (H, W, 3).

    Args:
        rows: pictures, each uint8 (R, R, 3).
        header: a caption above each column.
        notes: per row a caption below each picture.
        footer: a text below all.
    """
    side = max(CELL, *(len(image) for row in rows for image in row))
    top, below = CAPTION if header else GAP, CAPTION if notes else GAP
    columns = max(len(row) for row in rows)
    width, body = GAP + (side + GAP) * columns, top + (side + below) * len(rows)
    lines = _wrapped(footer, width - 2 * GAP)
    sheet = Image.new("RGB", (width, body + LINE * len(lines)), PAPER)
    draw = ImageDraw.Draw(sheet)

    def write(text: str, column: int, y: float) -> None:
        draw.text((GAP + column * (side + GAP) + side / 2, y), text, INK, _font(text, side), anchor="mm")

    for column, label in enumerate(header):
        write(label, column, CAPTION / 2)
    for row, images in enumerate(rows):
        y = top + row * (side + below)
        for column, image in enumerate(images):
            sheet.paste(Image.fromarray(resize(image, side)), (GAP + column * (side + GAP), y))
        for column, text in enumerate(notes[row] if notes else ()):
            write(text, column, y + side + below / 2)
    for place, line in enumerate(lines):
        draw.text((GAP, body + LINE * place), line, INK, _footer_font())
    return np.asarray(sheet)


def _wrapped(text: str, width: int) -> list[str]:
    """The text in lines of at most ``width`` px."""
    lines: list[str] = []
    for word in text.split():
        if lines and _footer_font().getlength(f"{lines[-1]} {word}") <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def _footer_font() -> ImageFont.FreeTypeFont:
    return ImageFont.load_default(12)


def _font(label: str, width: int) -> ImageFont.FreeTypeFont:
    """The largest of three sizes at which the caption fits its column."""
    fonts = [ImageFont.load_default(size) for size in (14, 12, 10)]
    return next((font for font in fonts if font.getlength(label) <= width), fonts[-1])
