"""What the verbs of the Morph tab share: a domain's networks E, G and C of CVAE-GAN (Bao et al. 2017), conditions and codes.

A condition says what a picture shows: of a face 40 attributes, each from -1 (it has it not) over 0 (unknown) to 1 (it has it); of
a flower or a bird the shares of its classes, which sum to 1. People name both by the labels of the networks' cards.
"""

from __future__ import annotations

import difflib
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from studio.core.faces import Crop
from studio.core.images import Photo, to_float, to_uint8
from studio.core.recipe import Recipe, RecipeInput
from studio.core.registry import Card, Registry
from studio.latent import reversal
from studio.metrics.class_score import ANIMAL_JUDGE, softmax
from studio.pipelines.manifold import EYE, PERCEIVED, Likeness, Preview, compare
from studio.pipelines.parts import Progress, is_number, is_whole, registry_of
from studio.pipelines.photos import Crops, Eyes, FaceChoice, find_eyes, shortened

if TYPE_CHECKING:
    from studio.core.engine import Engine, Session

# The domains in the order in which they are offered, by what their cards call them.
DOMAINS = {"faces": "face", "people": "person", "flowers": "flower", "birds": "bird"}
STEPS, MAX_STEPS = 30, 400  # of reversal after the encoder's guess
DIGITS = 4  # of a value that was found: what is shown is made of exactly these, so that people can set the very same
HEAD = 256  # px, side of the part of a photo that is shown: finer than the networks are
BATCH = 8  # pictures per run of a network


@dataclass(frozen=True)
class Slider:
    """An attribute that people are offered: ``low`` and ``high`` say in words what its ends look like.

    ``sign`` is -1 where the slider runs against the attribute: who moves "beard" up moves No_Beard down.
    """

    attribute: str
    low: str
    high: str
    sign: int = 1


SLIDERS = (
    Slider("Smiling", "serious", "smiling"),
    Slider("Mouth_Slightly_Open", "mouth closed", "mouth open"),
    Slider("Young", "older", "younger"),
    Slider("Male", "feminine", "masculine"),
    Slider("No_Beard", "shaven", "beard", -1),
    Slider("Eyeglasses", "no glasses", "glasses"),
    Slider("Blond_Hair", "not blond", "blond"),
    Slider("Black_Hair", "not black-haired", "black-haired"),
    Slider("Bangs", "forehead free", "bangs"),
    Slider("Heavy_Makeup", "no makeup", "makeup"),
    Slider("Pale_Skin", "less pale", "pale"),
)


@dataclass(frozen=True)
class Networks:
    """The three networks of a domain: G draws, E describes, C recognises."""

    domain: str
    generator: Card
    encoder: Card
    classifier: Card

    @property
    def cards(self) -> tuple[Card, ...]:
        return self.generator, self.encoder, self.classifier

    @property
    def labels(self) -> tuple[str, ...]:
        return self.generator.labels

    @property
    def has_attributes(self) -> bool:
        """Whether the labels do not exclude each other."""
        return self.domain == "faces"

    @property
    def frame(self) -> str:
        """The frame that photos are aligned to, "" for their middle."""
        return self.generator.frame

    @property
    def eye(self) -> str:
        """The judge whose features guide reversal."""
        return EYE if self.frame else ANIMAL_JUDGE

    @property
    def study(self) -> str | None:
        return "; ".join(dict.fromkeys(card.study for card in self.cards if card.study)) or None


@dataclass(frozen=True, eq=False)
class Found:
    """A photo as the networks know it.

    ``latent`` float32 (Z,) and ``condition`` float32 (K,) are what ``image``, uint8 (R, R, 3), is made of: the reconstruction
    G(z, c). ``crop`` is the part of the photo it stands for, at R px, ``head`` the same part at ``HEAD`` px; ``likeness``
    compares crop and image. ``eyes`` are None where the middle was taken.
    """

    photo_name: str
    latent: np.ndarray
    condition: np.ndarray
    image: np.ndarray
    crop: Crop
    head: Crop
    eyes: Eyes | None
    likeness: Likeness
    steps: int
    seconds: float


def list_domains(source: Engine | Registry) -> tuple[str, ...]:
    """The domains of ``source`` (an engine or its registry) that have all three networks."""
    return tuple(domain for domain in DOMAINS if _find(registry_of(source), domain))


def networks_of(source: Engine | Registry, domain: str) -> Networks:
    """The finest networks of a domain. Raises ``ValueError``, naming the domains there are."""
    if (found := _find(registry_of(source), domain)) is not None:
        return found
    there = list_domains(source)
    if not there:
        raise ValueError("This studio has no networks to morph with yet: update it, or pull their models.")
    raise ValueError(f"There is nothing that morphs {domain} yet; there is {' and '.join(there)}.")


def _find(registry: Registry, domain: str) -> Networks | None:
    cards = [card for card in registry.list_models("cvaegan-*") if card.domains == (DOMAINS[domain],)]
    by_task = [{card.resolution: card for card in cards if card.task == task} for task in ("draw", "describe", "recognise")]
    resolution = max(set.intersection(*map(set, by_task)), default=None)
    return None if resolution is None else Networks(domain, *(found[resolution] for found in by_task))


def sliders(source: Engine | Registry) -> tuple[Slider, ...]:
    """The attributes to offer for faces, as far as the networks know them."""
    known = networks_of(source, "faces").labels
    return tuple(slider for slider in SLIDERS if slider.attribute in known)


# --- what requests have in common ---------------------------------------------------------------------------------------------


def check_domain(domain: Any) -> None:
    """Raises ``ValueError`` for a domain that is none."""
    if not isinstance(domain, str) or domain not in DOMAINS:
        raise ValueError(f"There is no domain {domain!r}; there is {', '.join(DOMAINS)}.")


def check_seed(seed: Any) -> None:
    """Raises ``ValueError`` for a seed that is no whole number."""
    if not is_whole(seed, 2**53):
        raise ValueError("Give a whole number from 0 on as the seed.")


def check_steps(steps: Any) -> None:
    """Raises ``ValueError`` for steps of reversal that nobody can take."""
    if not is_whole(steps, MAX_STEPS + 1):
        raise ValueError(f"Set the steps to a whole number from 0 (the encoder's guess) to {MAX_STEPS}.")


def check_condition(condition: Any, domain: str) -> None:
    """Whether ``condition`` names labels with values: attributes of faces from -1 to 1, else shares that are not all 0.

    Raises:
        ValueError: one sentence that says what to change.
    """
    if not isinstance(condition, Mapping) or not all(isinstance(name, str) for name in condition):
        raise ValueError("Name what to set by its name, such as Smiling=1.")
    if domain == "faces":
        if wrong := [name for name, value in condition.items() if not is_number(value) or not -1 <= value <= 1]:
            raise ValueError(f"Set {label_words(wrong[0])} between -1 (not at all) and 1 (fully).")
    elif condition and not (all(is_number(v) and v >= 0 for v in condition.values()) and sum(condition.values()) > 0):
        raise ValueError("Give each class a share of 0 or more, and at least one of them more than 0.")


# --- labels -------------------------------------------------------------------------------------------------------------------


def label_words(label: str) -> str:
    """A label for people: "American_Goldfinch" is an American Goldfinch."""
    return label.replace("_", " ")


def attribute_words(attribute: str, present: bool) -> str:
    """What a face with or without an attribute looks like, as its slider says it."""
    for slider in SLIDERS:
        if slider.attribute == attribute:
            return slider.high if present == (slider.sign > 0) else slider.low
    return ("" if present else "not ") + label_words(attribute).lower()


def find_label(labels: tuple[str, ...], name: str) -> str:
    """The label that people mean by ``name``, in any case and with spaces or lines between its words.

    Raises:
        ValueError: there is none; the message lists the closest ones.
    """
    plain = {_plain(label): label for label in labels}
    if _plain(name) in plain:
        return plain[_plain(name)]
    close = difflib.get_close_matches(_plain(name), plain, n=3, cutoff=0.4) or list(plain)[:10]
    more = "" if len(close) < 10 else ", ..."
    raise ValueError(f"There is nothing called {name!r}; there is {', '.join(label_words(plain[near]) for near in close)}{more}.")


def _plain(name: str) -> str:
    return " ".join(name.lower().replace("_", " ").replace("-", " ").split())


# --- conditions ---------------------------------------------------------------------------------------------------------------


def recognise(engine: Engine, networks: Networks, images: np.ndarray) -> np.ndarray:
    """The conditions that C finds in ``images`` (B, 3, R, R): float32 (B, K), of attributes 2 p - 1, of classes p."""
    logits = engine.run(networks.classifier.id, image=images)["logits"].astype(np.float64)
    found = np.tanh(logits / 2) if networks.has_attributes else softmax(logits)  # tanh(x / 2) = 2 sigmoid(x) - 1
    return np.round(found, DIGITS).astype(np.float32)


def by_label(networks: Networks, condition: Mapping[str, float]) -> dict[str, float]:
    """A condition that people named, by the labels of the networks. Raises ``ValueError`` for names that there are not."""
    return {find_label(networks.labels, name): float(value) for name, value in condition.items()}


def with_values(networks: Networks, base: np.ndarray, condition: Mapping[str, float]) -> np.ndarray:
    """``base`` (..., K) with what is named by label: attributes one by one, classes all of them as shares that sum to 1."""
    if not condition:
        return base
    changed = base.copy() if networks.has_attributes else np.zeros_like(base)
    for label, value in condition.items():
        changed[..., networks.labels.index(label)] = value
    return changed if networks.has_attributes else changed / changed.sum(-1, keepdims=True)


def named(networks: Networks, condition: np.ndarray) -> dict[str, float]:
    """A condition (K,) by label: of classes those that have a share, the largest first."""
    values = {label: round(float(value), DIGITS) for label, value in zip(networks.labels, condition, strict=True)}
    if networks.has_attributes:
        return values
    return dict(sorted(((label, share) for label, share in values.items() if share), key=lambda item: -item[1]))


def draw(engine: Engine, networks: Networks, latents: np.ndarray, conditions: np.ndarray) -> np.ndarray:
    """G(z, c) of ``latents`` (B, Z) and ``conditions`` (B, K): float32 (B, 3, R, R) in [-1, 1]."""
    return engine.run(networks.generator.id, latent=latents, condition=conditions)


# --- finding ------------------------------------------------------------------------------------------------------------------


def fetch(engine: Engine, networks: Networks) -> None:
    """Makes sure that all weights are here before work begins."""
    for card_id in (*(card.id for card in networks.cards), networks.eye):
        engine.fetch(card_id)


def crops_of(
    engine: Engine, networks: Networks, photos: Sequence[Photo], faces: Sequence[FaceChoice | None], frame: str
) -> Crops:
    """Where in the photos the networks look: at faces, or in the middle. Raises ``FaceError`` as :func:`photos.find_eyes`."""
    return Crops(photos, find_eyes(engine, photos, faces, frame if networks.frame else "centre"))


def find(
    engine: Engine, networks: Networks, crops: Crops, index: int, steps: int, done: int = 0, total: int = 0
) -> Iterator[Progress | Preview | Found]:
    """Finds a photo's code, which is what it returns: c is what C recognises, z E's mean, then reversal with that c held.

    ``done`` of ``total`` steps were taken before.
    """
    began, name = time.perf_counter(), crops.photos[index].name
    total, words = total or steps, f"Finding {shortened(name)}"
    yield Progress(done, total, words)
    crop = crops.get(index, networks.frame or "centre", networks.generator.resolution)
    target = to_float(crop.image)[None]
    condition = recognise(engine, networks, target)
    latent = engine.run(networks.encoder.id, image=target, condition=condition)["mean"]
    if steps:
        with closing(engine.stream(lambda session: _reverse(session, networks, target, latent, condition, steps))) as stream:
            for step, psnr, image, code in stream:
                latent = code
                yield Preview(done + step, total, words, index, to_uint8(image[0]), psnr)
    image = to_uint8(draw(engine, networks, latent, condition)[0])
    return Found(
        photo_name=name,
        latent=latent[0],
        condition=condition[0],
        image=image,
        crop=crop,
        head=crops.get(index, networks.frame or "centre", HEAD),
        eyes=crops.eyes[index],
        likeness=compare(engine, crop.image, image, person=networks.frame == "head"),
        steps=steps,
        seconds=time.perf_counter() - began,
    )


def _reverse(
    session: Session, networks: Networks, target: np.ndarray, start: np.ndarray, condition: np.ndarray, steps: int
) -> Iterator[tuple]:
    """On the engine's worker: step, PSNR, image (1, 3, R, R) and code (1, Z) after each step of reversal."""
    photo, guess, held = (torch.as_tensor(array, device=session.device) for array in (target, start, condition))
    generator, trunk = session.network(networks.generator.id), session.network(networks.eye).trunk
    distance = reversal.perceived(trunk, photo, PERCEIVED)
    for step in reversal.invert(lambda code: generator(code, held), photo, guess, steps, distance):
        yield step.step, float(step.psnr[0]), step.image.cpu().numpy(), step.code.cpu().numpy()



def within_head(crop: Crop, head: Crop) -> Crop:
    """The crop as one of the head, which shows the same part of the photo."""
    scale = len(crop.image) / len(head.image)
    return Crop(crop.image, np.array([[scale, 0, 0], [0, scale, 0]]), crop.frame)


def looking(networks: Networks, frame: str) -> str:
    """What happens first, in words."""
    return "Looking for faces" if networks.frame and frame == "auto" else "Taking the middle of the photos"


def recipe_of(
    verb: str, networks: Networks, settings: dict[str, Any], seed: int = 0, inputs: Sequence[RecipeInput] = ()
) -> Recipe:
    """How to make a result of this tab again."""
    checkpoints = {card.id: card.sha256 for card in networks.cards}
    return Recipe(tab="morph", verb=verb, parameters=settings, seed=seed, checkpoints=checkpoints, inputs=tuple(inputs))
