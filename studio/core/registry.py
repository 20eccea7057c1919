"""Cards and families: which networks exist and which module builds each one.

A *family* is a network architecture (one file in ``studio/models``), registered with :func:`register_model`.
A *card* describes one set of weights for a family; cards live in ``pretrained/index.json``.
"""

from __future__ import annotations

import difflib
import fnmatch
import importlib
import json
import os
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field, fields
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn

PRETRAINED = Path(__file__).resolve().parents[2] / "pretrained"
INDEX_VERSION = 1
HUB_KEYS = {"repo_id", "revision", "filename"}
BASE_KEYS = {"id", "sha256"}

_BUILDERS: dict[str, Callable[..., nn.Module]] = {}


class UnknownModel(KeyError):
    """A card or family that does not exist; the message lists close names."""

    def __str__(self) -> str:  # KeyError would print the repr of the message
        return str(self.args[0])


@dataclass(frozen=True)
class Card:
    """What a checkpoint is, where its weights are and how good they are.

    ``resolution`` is in pixels (square), ``size`` in bytes; ``study`` is None or the reason why the network is weak.
    ``base`` names the card, and the very weights of it (``id``, ``sha256``), whose tensors the file's own are added to.
    """

    id: str
    family: str
    task: str
    resolution: int
    file: str
    sha256: str
    size: int
    licence: str
    domains: tuple[str, ...] = ()
    frame: str = ""
    config: dict[str, Any] = field(default_factory=dict)
    labels: tuple[str, ...] = ()
    measures: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    study: str | None = None
    base: dict[str, str] | None = None
    hub: dict[str, str] | None = None

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Card:
        """Raises ``ValueError`` for unknown or missing fields, in its hub entry too, and a file name that leaves its folder."""
        known = {f.name for f in fields(cls)}
        if unknown := set(values) - known:
            raise ValueError(f"A card has fields nobody knows: {', '.join(sorted(unknown))}.")
        try:
            card = cls(**{**values, "domains": tuple(values.get("domains", ())), "labels": tuple(values.get("labels", ()))})
        except TypeError as error:
            raise ValueError(f"A card is incomplete: {error}.") from error
        if Path(card.file).name != card.file or not card.file.endswith(".safetensors"):
            raise ValueError(f"Card {card.id} names {card.file!r}, which is not a plain .safetensors file name.")
        if card.hub is not None and set(card.hub) != HUB_KEYS:
            raise ValueError(f"The hub entry of card {card.id} has to name {', '.join(sorted(HUB_KEYS))} and nothing else.")
        if card.base is not None and set(card.base) != BASE_KEYS:
            raise ValueError(f"The base of card {card.id} has to name {', '.join(sorted(BASE_KEYS))} and nothing else.")
        return card

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready fields, those left at an empty default omitted."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items() if v not in ((), {}, None, "")}


def register_model(family: str) -> Callable[[Callable[..., nn.Module]], Callable[..., nn.Module]]:
    """Registers the decorated builder ``(**card.config) -> nn.Module`` under ``family``, the name of its module."""

    def decorate(builder: Callable[..., nn.Module]) -> Callable[..., nn.Module]:
        _BUILDERS[family] = builder
        return builder

    return decorate


def build(card: Card) -> nn.Module:
    """An untrained network for ``card``. Raises ``UnknownModel`` if no module builds its family."""
    if card.family not in _BUILDERS:
        if not card.family.isidentifier():
            raise UnknownModel(f"{card.family!r} is not the name of a network family.")
        module = f"studio.models.{card.family}"
        try:
            importlib.import_module(module)
        except ModuleNotFoundError as error:
            if error.name != module:
                raise
    if card.family not in _BUILDERS:
        raise UnknownModel(f"No network family is called {card.family!r}, which card {card.id} needs: update the studio.")
    return _BUILDERS[card.family](**card.config)


class Registry:
    """The cards of one index file.

    Raises:
        ValueError: the index is not JSON of a version this studio reads, or one of its cards is malformed.
    """

    def __init__(self, index: Path = PRETRAINED / "index.json"):
        self.index = Path(index)
        self._cards: dict[str, Card] = {}
        if self.index.exists():
            document = json.loads(self.index.read_text())
            if document.get("version") != INDEX_VERSION:
                raise ValueError(f"{self.index} has version {document.get('version')!r}; this studio reads {INDEX_VERSION}.")
            for values in document["cards"]:
                self.add(Card.from_dict(values))

    def card(self, card_id: str) -> Card:
        """The card of that name. Raises ``UnknownModel``, naming the closest ones."""
        if card_id in self._cards:
            return self._cards[card_id]
        close = difflib.get_close_matches(card_id, self._cards, n=3) or sorted(self._cards)
        raise UnknownModel(f"There is no model {card_id!r}; there is {', '.join(close) or 'none yet'}.")

    def list_models(self, pattern: str = "*", task: str | None = None) -> list[Card]:
        """Cards whose id matches the shell pattern (and whose task is ``task``), by name."""
        cards = (self._cards[name] for name in sorted(self._cards))
        return [c for c in cards if fnmatch.fnmatchcase(c.id, pattern) and task in (None, c.task)]

    def base(self, card: Card) -> Card | None:
        """The card whose tensors this one's are added to, if any. Raises ``UnknownModel`` if it is not there or was replaced."""
        if card.base is None:
            return None
        base = self.card(card.base["id"])
        if base.sha256 != card.base["sha256"]:
            raise UnknownModel(f"{card.id} belongs to other weights of {base.id} than the ones that are here: update the studio.")
        return base

    def with_bases(self, cards: Iterable[Card]) -> list[Card]:
        """The cards and what they are based on, each once. Raises ``UnknownModel`` as :meth:`base`."""
        wanted = [found for card in cards for found in (self.base(card), card) if found]
        return list({card.id: card for card in wanted}.values())

    def add(self, card: Card) -> None:
        """Adds the card, in place of one of the same id."""
        self._cards[card.id] = card

    def remove(self, card_id: str) -> None:
        """Removes a card; its weights stay where they are."""
        del self._cards[self.card(card_id).id]

    def save(self) -> None:
        """Writes the index whole or not at all."""
        document = {"version": INDEX_VERSION, "cards": [c.to_dict() for c in self.list_models()]}
        temporary = self.index.with_suffix(".tmp")
        temporary.write_text(json.dumps(document, indent=1) + "\n")
        os.replace(temporary, self.index)


@lru_cache(maxsize=1)
def default_registry() -> Registry:
    """The cards that come with the studio."""
    return Registry()
