"""What SDIT translates between: the domains there are, how one asks for them, and what they are called.

A target is what one result shall show: attributes of a face that are set or unset, several at once if one likes, or one way to
paint, or colour. As text it is its labels with "+" between them, and "no:" before what shall go: "Smiling+no:Eyeglasses".
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from studio.core.registry import Card, Registry
from studio.metrics.attributes import counts
from studio.pipelines.conditioned import SLIDERS
from studio.pipelines.judgement import ATTRIBUTES_JUDGE
from studio.pipelines.parts import finest, registry_of

if TYPE_CHECKING:
    from studio.core.engine import Engine

ATTRIBUTES = "attributes"
# What is translated and what people call it, in the order in which it is offered.
DOMAINS = {ATTRIBUTES: "faces", "art": "paintings", "cars": "cars"}
HAIR = ("Brown_Hair", "Blond_Hair")  # of which the networks know one at most
TOGETHER, WITHOUT = "+", "no:"
MOST_TARGETS = 24

# Of an attribute: what a face is called that lacks it, and one that has it.
ENDS = {slider.attribute: (slider.low, slider.high) for slider in SLIDERS if slider.sign > 0}
ENDS |= {"Wearing_Hat": ("no hat", "hat"), "Brown_Hair": ("not brown-haired", "brown-haired")}
NAMES = {"chinese_ink": "Chinese ink", "monet": "Monet", "titian": "Titian", "ukiyoe": "ukiyo-e", "van_gogh": "Van Gogh"}

Target = tuple[tuple[str, bool], ...]


@dataclass(frozen=True)
class DomainsInfo:
    """Domains there is a network for: ``name`` as in ``DOMAINS``, ``called`` for people, ``labels`` in the card's order."""

    name: str
    card: Card

    @property
    def called(self) -> str:
        return DOMAINS[self.name]

    @property
    def labels(self) -> tuple[str, ...]:
        return self.card.labels

    @property
    def study(self) -> str | None:
        return self.card.study

    @property
    def has_attention(self) -> bool:
        """Whether the network says where it changes a picture."""
        return self.card.config.get("attention", True)


def list_domains(source: Engine | Registry) -> tuple[DomainsInfo, ...]:
    """The domains that ``source`` (an engine or its registry) can translate between, each with its finest network."""
    found = (_find(registry_of(source), name) for name in DOMAINS)
    return tuple(info for info in found if info)


def domains_of(source: Engine | Registry, name: str) -> DomainsInfo:
    """The domains of that name. Raises ``ValueError``, naming those there are."""
    if info := _find(registry_of(source), name):
        return info
    there = [info.called for info in list_domains(source)]
    if not there:
        raise ValueError("This studio has no network that translates between domains yet: update it, or pull one.")
    raise ValueError(f"The network for {DOMAINS[name]} is not here yet: update the studio, or use {' or '.join(there)}.")


def missing_words(source: Engine | Registry) -> str:
    """What ``source`` cannot translate yet, in one sentence; "" if it can translate all."""
    here = {info.name for info in list_domains(source)}
    lacking = [called for name, called in DOMAINS.items() if name not in here]
    return f"Not here yet: {' and '.join(filter(None, [', '.join(lacking[:-1]), *lacking[-1:]]))}." if lacking else ""


def _find(registry: Registry, name: str) -> DomainsInfo | None:
    """The finest network; of faces only if somebody can say what a photo shows, as the network is told all of it."""
    cards = [card for card in registry.list_models(f"sdit-{name}-*", "translate") if card.labels]
    if name == ATTRIBUTES:
        known = {label for judge in registry.list_models(ATTRIBUTES_JUDGE) for label in judge.labels}
        cards = [card for card in cards if known.issuperset(card.labels)]
    best = next(iter(finest(cards).values()), None)
    return best and DomainsInfo(name, best)


# --- targets ------------------------------------------------------------------------------------------------------------------


def read_target(text: str) -> Target:
    """A target from its text, such as "Smiling+no:Eyeglasses". Raises ``ValueError`` if it names nothing."""
    names = [name.strip() for name in text.split(TOGETHER)]
    target = tuple((name.removeprefix(WITHOUT).strip(), not name.startswith(WITHOUT)) for name in names)
    if not all(label for label, _ in target):
        raise ValueError(f"Name what a result shall show, such as Smiling{TOGETHER}{WITHOUT}Eyeglasses, instead of {text!r}.")
    return target


def target_text(target: Target) -> str:
    """The text that :func:`read_target` reads."""
    return TOGETHER.join(label if on else WITHOUT + label for label, on in target)


def target_words(target: Target) -> str:
    """A target for people: "smiling, no glasses"."""
    return ", ".join(label_words(label, on) for label, on in target)


def label_words(label: str, on: bool = True) -> str:
    """A label for people, or what lacks it: "Eyeglasses" is "glasses" or "no glasses"."""
    plain = NAMES.get(label, label.replace("_", " "))
    return ENDS[label][on] if label in ENDS else plain if on else f"not {plain}"


def check_targets(domains: str, targets: Any) -> tuple[Target, ...]:
    """Targets, checked as far as that goes without a network, in the form that they are kept in. Raises ``ValueError``."""
    found = tuple(tuple((label, on) for label, on in target) for target in targets)
    if len(found) > MOST_TARGETS:
        raise ValueError(f"Ask for at most {MOST_TARGETS} things at once; these are {len(found)}.")
    if len(set(found)) < len(found):
        raise ValueError("Ask for each thing once.")
    for target in found:
        _check_target(domains, target)
    return found


def _check_target(domains: str, target: Target) -> None:
    if not all(isinstance(label, str) and isinstance(on, bool) for label, on in target) or not target:
        raise ValueError("Say of each label whether it is asked for or shall go.")
    labels = [label for label, _ in target]
    if len(set(labels)) < len(labels):
        raise ValueError(f"{target_text(target)} names a label twice: name it once.")
    if domains == ATTRIBUTES:
        if all((label, True) in target for label in HAIR):
            raise ValueError("Hair has one colour: ask for Brown_Hair or for Blond_Hair.")
    elif len(target) > 1 or not target[0][1]:
        raise ValueError(f"Of {DOMAINS[domains]} ask for one thing at a time, not for {target_text(target)}.")


def check_labels(info: DomainsInfo, targets: Sequence[Target]) -> None:
    """Whether the network knows all that is asked for. Raises ``ValueError``, naming what is near or all there is."""
    for label in (label for target in targets for label, _ in target):
        if label not in info.labels:
            near = difflib.get_close_matches(label, info.labels, n=3) or info.labels
            raise ValueError(f"There is no {label!r} among {info.called}; there is {', '.join(near)}.")


def all_targets(info: DomainsInfo, shown: Mapping[str, float] | None) -> tuple[Target, ...]:
    """Every label on its own; of attributes turned round from what a photo shows (probabilities by label)."""
    return tuple(((label, shown is None or not counts(label, shown[label])),) for label in info.labels)


def label_vector(info: DomainsInfo, shown: Mapping[str, float] | None, target: Target) -> np.ndarray:
    """What the network is told, float32 (K,): all that the result shall show.

    Args:
        shown: of a face the probability of each attribute; what is not asked for stays as :func:`counts` takes it.
    """
    asked = dict(target)
    if shown is None:
        return np.array([asked.get(label, False) for label in info.labels], np.float32)
    has = {label: asked.get(label, counts(label, shown[label])) for label in info.labels}
    coloured = [label for label in HAIR if has.get(label)]
    if len(coloured) > 1:  # what is asked for goes before what is seen, and the surer before the less sure
        wanted = max(coloured, key=lambda label: (label in asked, shown[label]))
        has |= {label: label == wanted for label in coloured}
    return np.array([has[label] for label in info.labels], np.float32)
