"""A store for tests of the page, where it matters that there is a picture and not which one: the shipped network for faces,
and small untrained ones of the real architecture for animals."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
import torch
from safetensors.torch import save

from studio.core.checkpoints import CheckpointStore
from studio.core.engine import Engine
from studio.core.faces import LANDMARKS
from studio.core.registry import PRETRAINED, Card, Registry, build, default_registry
from studio.core.workspace import Workspaces
from studio.models.adapters import adapter_state
from studio.pipelines.parts import PAPER_ANIMALS
from studio.ui.session import Backstage, Desk
from studio.ui.shell import build_page
from tests.tiny import COMMIT

HUB_REPO = "studio/stand-ins"


def stand_in_store(folder: Path, animals: tuple[str, ...] = PAPER_ANIMALS, on_hub: bool = False) -> CheckpointStore:
    """A store in ``folder`` with the studio's landmark network and a small untrained network per animal.

    ``on_hub``: the animals' cards say that they are in ``HUB_REPO``, too.
    """
    registry = Registry(folder / "index.json")
    copy_network(registry, folder, LANDMARKS)
    for seed, animal in enumerate(animals):
        name = f"cyclegan-{animal.replace('_', '-')}-64"
        study = "It was never trained." if animal == "spider" else None
        config = {"ngf": 8, "n_blocks": 1}
        domains = ("face", animal)
        card = Card(name, "cyclegan", "translate", 64, f"{name}.safetensors", "", 0, "none", domains, "head", config, study=study)
        hub = {"repo_id": HUB_REPO, "revision": COMMIT, "filename": card.file} if on_hub else None
        registry.add(replace(untrained(card, folder, seed), hub=hub))
    registry.save()
    return CheckpointStore(registry, folder, folder / "cache")


def add_generators(store: CheckpointStore) -> None:
    """Small untrained generators: the flagship, a DCGAN and a K-DCGAN for lions, whose difference is noise."""
    registry, folder = store.registry, store.embedded_dir
    shape = {"resolution": 64, "latent": 16, "base": 512, "most": 16}
    for family, config, distance in (("stylegan", shape, 1.0), ("dcgan", {"width": 4}, 2.0)):  # the flagship is the best
        card = Card(f"{family}-64", family, "sample", 64, f"{family}.safetensors", "", 0, "none", ("face",), "head", config)
        registry.add(untrained(replace(card, measures={"kid_imagenet": distance}), folder, 1))
    config = {"part": "encoder", "resolution": 64, "latent": 16, "width": 8}
    card = Card("stylegan-encoder-64", "stylegan", "encode", 64, "encoder.safetensors", "", 0, "none", ("face",), "head", config)
    registry.add(untrained(card, folder, 1))
    copy_network(registry, folder, "judge-attributes")  # guides the search for a photo
    base, domains = registry.card("dcgan-64"), ("face", "lion")
    card = replace(base, id="k-dcgan-lion-64", file="k-dcgan-lion.safetensors", domains=domains, config={"width": 4, "rank": 2})
    card = replace(card, base={"id": base.id, "sha256": base.sha256}, study="It has never seen a lion.")
    torch.manual_seed(2)
    difference = {name: torch.randn_like(tensor) for name, tensor in adapter_state(build(card).state_dict()).items()}
    registry.add(_written(card, folder, difference))
    _add_bank(registry, folder)
    _add_morphers(registry, folder)
    registry.save()


def _add_bank(registry: Registry, folder: Path) -> None:
    """An untrained X-GAN of faces with a bank of random codes."""
    size, count = 16, 200
    codes = torch.randn(count, size, generator=torch.Generator().manual_seed(3)).half()
    bank = {"codes": codes, "places": codes[:, :2].clone(), "labels": torch.zeros(count, dtype=torch.int16)}
    bank |= {"mean": torch.zeros(size).half(), "axes": torch.eye(2, size).half()}
    for part, task, more in (
        ("generator", "combine", {"width": 4}), ("encoder", "encode", {"width": 4}), ("codes", "codes", {"count": count, "m": 8})
    ):  # fmt: skip
        name = "xgan-face-64" if part == "generator" else f"xgan-{part}-face-64"
        config = {"part": part, "latent": size, **more}
        card = Card(name, "xgan", task, 64, f"{name}.safetensors", "", 0, "none", ("face",), "head", config)
        registry.add(_written(card, folder, bank) if part == "codes" else untrained(card, folder, 1))


def _add_morphers(registry: Registry, folder: Path) -> None:
    """Untrained CVAE-GANs of faces and flowers, and the judge that guides the search for a flower."""
    copy_network(registry, folder, "judge-animal")
    attributes = default_registry().card("judge-attributes").labels
    parts = {"": ("generator", "draw"), "encoder-": ("encoder", "describe"), "classifier-": ("classifier", "recognise")}
    for domain, one, labels in (("faces", "face", attributes), ("flowers", "flower", ("common_daisy", "tulip", "wild_rose"))):
        for infix, (part, task) in parts.items():
            name, frame = f"cvaegan-{infix}{domain}-64", "head" if one == "face" else ""
            config = {"part": part, "conditions": len(labels), "width": 4}
            config |= {} if part == "classifier" else {"latent": 16}
            card = Card(name, "cvaegan", task, 64, f"{name}.safetensors", "", 0, "none", (one,), frame, config, labels)
            torch.manual_seed(1)
            loud = {key: 4 * tensor if tensor.dim() == 4 else tensor for key, tensor in build(card).state_dict().items()}
            registry.add(_written(card, folder, loud))  # untrained kernels are so small that all pictures would be grey


def copy_network(registry: Registry, folder: Path, card_id: str) -> None:
    """A network of the studio's own."""
    card = default_registry().card(card_id)
    shutil.copy(PRETRAINED / card.file, folder)
    registry.add(card)


def untrained(card: Card, folder: Path, seed: int) -> Card:
    torch.manual_seed(seed)
    return _written(card, folder, build(card).state_dict())


def _written(card: Card, folder: Path, tensors: dict[str, torch.Tensor]) -> Card:
    content = save(tensors)
    (folder / card.file).write_bytes(content)
    return replace(card, sha256=hashlib.sha256(content).hexdigest(), size=len(content))


@contextmanager
def stand_in_backstage(folders, animals: tuple[str, ...]) -> Iterator[Backstage]:
    """What is behind a page of strangers with these animals; ``folders`` is pytest's ``tmp_path_factory``."""
    store = stand_in_store(folders.mktemp("stand-ins"), animals)
    add_generators(store)
    backstage = Backstage(lambda: Engine("cpu", store=store), Workspaces(folders.mktemp("data"), public=True), store.registry)
    backstage.start()
    yield backstage
    backstage.close()


def warmed(tab: Any, backstage: Backstage, folders) -> Any:
    """``tab``, which has made what every first visitor sees; ``folders`` is pytest's ``tmp_path_factory``."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(folders.mktemp("cache")))
        tab.warm_up(backstage.engine())
    return tab


def built(backstage: Backstage, tab_id: str) -> Any:
    """A tab on a page, with a place for each of its values."""
    _, tabs = build_page(backstage)
    return next(tab for tab in tabs if tab.id == tab_id)


def opened(tab: Any) -> Desk:
    """A visitor who has just come; each of the tab's values has arrived."""
    desk = Desk()
    assert len(last(tab.open(desk))) == len(tab.outputs)
    return desk


def event(**values) -> gr.EventData:
    """What the page would send."""
    return gr.EventData(None, values)


def last(steps: Iterable[Any]) -> Any:
    """How something that answers in steps ends."""
    return list(steps)[-1]
