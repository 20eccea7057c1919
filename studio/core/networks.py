"""Networks in memory: loaded on first use, in the forms they are asked for, the least recently used dropped under a budget."""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import nn

from studio.core import backends
from studio.core.backends import Choice, ItemShapes
from studio.core.checkpoints import CheckpointStore, load_into
from studio.core.registry import Card, build

FORMS_PER_NETWORK = 4  # item shapes kept compiled at once; a page asks for one or two

Key = tuple[str, str]  # card id and sha256: a card whose weights were replaced is another network


@dataclass(frozen=True)
class NetworkStatus:
    """A loaded network: its precisions (one per item shape in use), bytes held, and why it is not in a faster form."""

    card_id: str
    precision: str
    nbytes: int
    note: str


@dataclass
class _Loaded:
    card: Card
    module: nn.Module
    choices: OrderedDict[ItemShapes, Choice] = field(default_factory=OrderedDict)

    @property
    def nbytes(self) -> int:
        tensors = (*self.module.parameters(), *self.module.buffers())
        return sum(t.nbytes for t in tensors) + sum(choice.form.nbytes for choice in self.choices.values())

    def status(self) -> NetworkStatus:
        choices = list(self.choices.values())
        precision = ", ".join(dict.fromkeys(choice.form.precision for choice in choices)) or "torch fp32"
        return NetworkStatus(self.card.id, precision, self.nbytes, "; ".join(dict.fromkeys(c.note for c in choices if c.note)))


class Networks:
    """What the worker has loaded. Only the worker calls it, but for :meth:`status` and :meth:`fetch`.

    ``memory_budget`` is in bytes of weights and compiled models; what is pinned or in use stays even beyond it.
    """

    def __init__(self, store: CheckpointStore, device: torch.device, memory_budget: int, cache_dir: Path):
        self.store, self.device, self.memory_budget, self.cache_dir = store, device, memory_budget, cache_dir
        self._loaded: OrderedDict[Key, _Loaded] = OrderedDict()  # least recently used first
        self._pins: Counter[Key] = Counter()
        self._lock = threading.Lock()
        self._fetching = threading.Lock()

    def fetch(self, card: Card) -> None:
        """Makes sure that the weights are here and whole, on the caller's thread: a download must not hold up the worker.

        Raises:
            CheckpointError: they are not and cannot be pulled.
        """
        with self._fetching:  # visitors who want the same network wait for one download
            if _key(card) not in self._loaded:
                self.store.load(card)

    def form(self, card: Card, shapes: ItemShapes) -> backends.Form:
        """The form of ``card`` for these item shapes, loaded and compiled if need be."""
        loaded = self._get(card)
        if shapes not in loaded.choices:
            choice = backends.prepare(loaded.module, card, shapes, self.device, self.cache_dir)
            with self._lock:
                loaded.choices[shapes] = choice
                if len(loaded.choices) > FORMS_PER_NETWORK:
                    loaded.choices.popitem(last=False)
            self._evict(card)
        with self._lock:
            loaded.choices.move_to_end(shapes)
            return loaded.choices[shapes].form

    def pin(self, card: Card) -> nn.Module:
        """The module on the device, kept until :meth:`unpin`."""
        module = self._get(card).module
        self._pins[_key(card)] += 1
        return module

    def unpin(self, card: Card) -> None:
        """Undoes one :meth:`pin`."""
        self._pins[_key(card)] -= 1

    def status(self) -> tuple[NetworkStatus, ...]:
        """The loaded networks, least recently used first."""
        with self._lock:
            return tuple(loaded.status() for loaded in self._loaded.values())

    def clear(self) -> None:
        """Drops every network."""
        with self._lock:
            self._loaded.clear()

    def _get(self, card: Card) -> _Loaded:
        key = _key(card)
        if key not in self._loaded:
            loaded = _Loaded(card, self._load(card))
            with self._lock:
                self._loaded[key] = loaded
            self._evict(card)
        with self._lock:
            self._loaded.move_to_end(key)
            return self._loaded[key]

    def _load(self, card: Card) -> nn.Module:
        # A job may ask from within its own inference_mode; weights born there could never carry a gradient.
        with torch.inference_mode(False):
            module = build(card)
            load_into(module, self.store.load(card), card.file)
            layout = torch.channels_last if self.device.type == "cuda" else torch.preserve_format
            return module.to(self.device, memory_format=layout).eval().requires_grad_(False)

    def _evict(self, in_use: Card) -> None:
        with self._lock:
            for key in list(self._loaded):
                if sum(loaded.nbytes for loaded in self._loaded.values()) <= self.memory_budget:
                    return
                if key != _key(in_use) and self._pins[key] <= 0:
                    del self._loaded[key]


def _key(card: Card) -> Key:
    return card.id, card.sha256
