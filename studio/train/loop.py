"""The training loop: a wall-clock budget, exact resume, EMA, sample grids, a log; one recipe, any number of devices.

A recipe is a :class:`Trainer`; ``run`` drives it. Everything a run needs to go on lies in its folder:

    state-0.safetensors ...   weights, EMA, optimiser moments (bf16), RNG; at most 15 MiB a part
    state.json                counters and which part holds what
    log.jsonl, grid-*.png     measures over time, what the network makes
"""

from __future__ import annotations

import copy
import json
import math
import os
import signal
import sys
import time
from abc import ABC, abstractmethod
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning.fabric import Fabric
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from studio.core.checkpoints import CheckpointStore, default_store, load_into

PART_BYTES = 15 * 2**20


@dataclass(frozen=True)
class Settings:
    """What the command line decides about a run.

    ``minutes`` is wall-clock time for this call, resumes not counted in; ``from_shipped``: a run that has no state yet begins
    with the checkpoints that the studio ships (:func:`begin_as_shipped`).
    """

    out: Path
    minutes: float
    data: Path | None = None
    seed: int = 0
    accelerator: str = "auto"
    devices: int = 1
    compile: bool = False
    from_shipped: bool = False


class Trainer(ABC):
    """What a recipe provides: networks, optimisers, one step, a grid, and the cards in which it ends.

    Subclasses fill ``networks``, ``optimisers`` and ``ema_of`` (names of the networks to average) in ``__init__``, then call
    ``self.ready()``. ``images_per_step`` counts towards images/s and the EMA's half-life.
    """

    name: str
    images_per_step: int
    total_images: float = math.inf
    ema_half_life: float = 10_000.0

    def __init__(self, settings: Settings):
        self.settings = settings
        cuda = settings.accelerator != "cpu" and torch.cuda.is_available()
        self.fabric = Fabric(accelerator=settings.accelerator, devices=settings.devices, precision=self.precision(cuda))
        self.fabric.launch()
        torch.manual_seed(settings.seed + self.fabric.global_rank)
        self.device = self.fabric.device
        self.generator = torch.Generator(self.device).manual_seed(settings.seed + self.fabric.global_rank)
        self.networks: dict[str, nn.Module] = {}
        self.optimisers: dict[str, torch.optim.Optimizer] = {}
        self.ema: dict[str, nn.Module] = {}
        self.images = 0
        self.steps = 0
        self.began = 0  # images that the networks had seen, in another run, when this one began

    @property
    def images_here(self) -> int:
        """Seen in this run: what critics know, who begin anew with each."""
        return self.images - self.began

    @staticmethod
    def precision(cuda: bool) -> str:
        """Fabric's precision; bf16 pays on a GPU and on a CPU whose instruction set has it."""
        native = torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()
        return "bf16-mixed" if cuda or native else "32-true"

    def ready(self, *averaged: str) -> None:
        """Puts networks and optimisers on the device and starts the averages of the named networks."""
        for name in averaged:
            self.ema[name] = copy.deepcopy(self.networks[name]).to(self.device).eval().requires_grad_(False)
        for name, network in self.networks.items():
            network = self.fabric.setup_module(network.to(memory_format=torch.channels_last), _reapply_compile=False)
            self.networks[name] = network
        for name, optimiser in self.optimisers.items():
            self.optimisers[name] = self.fabric.setup_optimizers(optimiser)

    @abstractmethod
    def step(self) -> dict[str, Tensor]:
        """One training step; returns the losses to log."""

    @abstractmethod
    def grid(self) -> Image.Image:
        """A picture of what the averaged network makes now."""

    def evaluate(self) -> dict[str, Any]:
        """Measures on part 9, for the log and the card."""
        return {}

    @abstractmethod
    def export(self, measures: dict[str, Any]) -> None:
        """Writes checkpoints and cards into the run's ``export`` folder."""

    def shipped(self) -> dict[str, str]:
        """Of each network that is shipped, the id of its card; none where a run cannot begin with them."""
        return {}

    def fitting(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        """Those of a shipped checkpoint's tensors that its network takes; all of them, unless a recipe leaves layers out."""
        return tensors

    def schedule(self) -> None:  # noqa: B027 (most recipes keep their rate)
        """Sets learning rates for the step to come; by default they stay."""

    def advance(self) -> dict[str, Tensor]:
        """A step with all that belongs to it; returns the losses."""
        self.schedule()
        losses = self.step()
        self.steps += 1
        self.images += self.images_per_step * self.fabric.world_size
        self.average()
        return losses

    def uniform(self, *shape: int) -> Tensor:
        """Numbers in [-1, 1] from the generator whose state is saved."""
        return 2 * torch.rand(*shape, generator=self.generator, device=self.device) - 1

    @torch.no_grad()
    def average(self) -> None:
        """Moves every average towards its network, with a half-life in images."""
        ramp = min(self.ema_half_life, max(self.images, 1) * 0.5)
        decay = 0.5 ** (self.images_per_step / ramp)
        for name, average in self.ema.items():
            network = unwrap(self.networks[name])
            for kept, new in zip(average.parameters(), network.parameters(), strict=True):
                kept.lerp_(new, 1 - decay)
            for kept, new in zip(average.buffers(), network.buffers(), strict=True):
                kept.copy_(new)


def unwrap(module: nn.Module) -> nn.Module:
    """The network inside Fabric's and torch.compile's wrappers."""
    module = getattr(module, "module", module)
    return getattr(module, "_orig_mod", module)


def run(trainer: Trainer) -> dict[str, Any]:
    """Trains, saves the state, a grid and the log, exports, and returns the measures.

    It ends when the budget is spent, at ``total_images``, or when asked to by SIGTERM or Ctrl-C.
    """
    folder = trainer.settings.out
    folder.mkdir(parents=True, exist_ok=True)
    if not load_state(trainer, folder) and trainer.settings.from_shipped:
        begin_as_shipped(trainer, default_store())
    start, reported, shown = time.monotonic(), time.monotonic(), trainer.images
    budget = trainer.settings.minutes * 60
    next_grid = budget / 6
    sums: dict[str, Any] = defaultdict(float)
    count = 0
    first = True
    asked: list[int] = []
    with suppress(ValueError):  # only a main thread may listen for signals
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, lambda number, frame: asked.append(number))
    while not asked and (elapsed := time.monotonic() - start) < budget and trainer.images < trainer.total_images:
        losses = trainer.advance()
        for key, value in losses.items():
            sums[key] += value  # stays on the device: reading a number would make a GPU wait for the step
        count += 1
        now = time.monotonic()
        if now - reported >= (10 if first else 30):
            speed = (trainer.images - shown) / (now - reported)
            line = {"images": trainer.images, "seconds": round(elapsed, 1), "images_per_s": round(speed, 1)}
            line |= {k: round(float(v) / count, 4) for k, v in sums.items()}
            log(folder, trainer, line)
            reported, shown, count, first = now, trainer.images, 0, False
            sums.clear()
        if elapsed > next_grid and trainer.fabric.is_global_zero:
            next_grid += budget / 6
            trainer.grid().save(folder / f"grid-{trainer.images:09d}.png")
            save_state(trainer, folder)
    measures = trainer.evaluate()
    if trainer.fabric.is_global_zero:
        trainer.grid().save(folder / f"grid-{trainer.images:09d}.png")
        save_state(trainer, folder)
        trainer.export(measures)
    log(folder, trainer, {"images": trainer.images, "measures": measures})
    return measures


def log(folder: Path, trainer: Trainer, line: dict[str, Any]) -> None:
    """Appends a line to the run's log and prints it on stderr."""
    if trainer.fabric.is_global_zero:
        text = json.dumps(line)
        print(f"[{trainer.name}] {text}", file=sys.stderr, flush=True)
        with open(folder / "log.jsonl", "a") as file:
            file.write(text + "\n")


def _tensors(trainer: Trainer) -> dict[str, Tensor]:
    """Every tensor of the state under a flat name; moments in bf16, everything else as it is."""
    tensors: dict[str, Tensor] = {}
    for name, network in trainer.networks.items():
        tensors |= {f"network/{name}/{k}": v for k, v in unwrap(network).state_dict().items()}
    for name, average in trainer.ema.items():
        tensors |= {f"ema/{name}/{k}": v for k, v in average.state_dict().items()}
    for name, optimiser in trainer.optimisers.items():
        for index, slots in optimiser.state_dict()["state"].items():
            for slot, value in slots.items():
                value = torch.as_tensor(value)
                tensors[f"optimiser/{name}/{index}/{slot}"] = value.bfloat16() if value.dim() else value
    tensors["rng/torch"] = torch.get_rng_state()
    tensors["rng/generator"] = trainer.generator.get_state()
    if trainer.device.type == "cuda":
        tensors["rng/cuda"] = torch.cuda.get_rng_state(trainer.device)
    return {k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}


def save_state(trainer: Trainer, folder: Path) -> None:
    """Writes the state in parts of at most 15 MiB; the index last, so that a cut write leaves the earlier state valid."""
    parts: list[dict[str, Tensor]] = [{}]
    size = 0
    for name, tensor in _tensors(trainer).items():
        weight = tensor.numel() * tensor.element_size()
        if size + weight > PART_BYTES and parts[-1]:
            parts.append({})
            size = 0
        parts[-1][name] = tensor
        size += weight
    names = [f"state-{trainer.steps:08d}-{i}.safetensors" for i in range(len(parts))]
    for name, tensors in zip(names, parts, strict=True):
        save_file(tensors, folder / name)
    index = {"recipe": trainer.name, "images": trainer.images, "steps": trainer.steps, "began": trainer.began, "parts": names}
    temporary = folder / "state.json.tmp"
    temporary.write_text(json.dumps(index))
    os.replace(temporary, folder / "state.json")
    for old in folder.glob("state-*.safetensors"):
        if old.name not in names:
            old.unlink()


def read_state(folder: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The index and the tensors of the run in ``folder``. Raises ``FileNotFoundError`` if there is none."""
    path = folder / "state.json"
    if not path.exists():
        raise FileNotFoundError(f"There is no run in {folder}: train it first.")
    index = json.loads(path.read_text())
    tensors: dict[str, Tensor] = {}
    for name in index["parts"]:
        tensors |= load_file(folder / name)
    return index, tensors


def named(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names begin with ``prefix``, without it: "ema/to_animal/" gives that network's average."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def load_state(trainer: Trainer, folder: Path) -> bool:
    """Goes on where the run in ``folder`` stopped, if there is one.

    Raises:
        ValueError: the folder holds another recipe's run.
    """
    if not (folder / "state.json").exists():
        return False
    index, tensors = read_state(folder)
    if index["recipe"] != trainer.name:
        raise ValueError(f"{folder} holds a run of {index['recipe']}, not of {trainer.name}: name another --out.")
    for kind, group in (("network", trainer.networks), ("ema", trainer.ema)):
        for name, network in group.items():
            unwrap(network).load_state_dict(named(tensors, f"{kind}/{name}/"))
    for name, optimiser in trainer.optimisers.items():
        _load_moments(optimiser, tensors, f"optimiser/{name}/")
    torch.set_rng_state(tensors["rng/torch"])
    trainer.generator.set_state(tensors["rng/generator"])
    if trainer.device.type == "cuda" and "rng/cuda" in tensors:
        torch.cuda.set_rng_state(tensors["rng/cuda"], trainer.device)
    trainer.images, trainer.steps, trainer.began = index["images"], index["steps"], index.get("began", 0)
    return True


def begin_as_shipped(trainer: Trainer, store: CheckpointStore) -> None:
    """Networks and their averages become those of the shipped checkpoints, which count as seen what their cards say.

    A run's state is not shipped: moments and critics are new, so that a recipe holds its networks until the critics know them.

    Raises:
        ValueError: the recipe does not ship what it would have to begin with.
        CheckpointError: a checkpoint is missing, damaged, or of another shape than the recipe's network.
    """
    if not (shipped := trainer.shipped()):
        raise ValueError(f"{trainer.name} cannot begin with shipped checkpoints: leave out --from-shipped.")
    cards = {name: store.registry.card(card_id) for name, card_id in shipped.items()}
    for name, card in cards.items():
        tensors = trainer.fitting(store.load(card))
        for network in (unwrap(trainer.networks[name]), trainer.ema[name]):
            load_into(network, tensors, card.file)
    trainer.images = trainer.began = min(card.training["images"] for card in cards.values())


def _load_moments(optimiser: torch.optim.Optimizer, tensors: dict[str, Tensor], prefix: str) -> None:
    state = optimiser.state_dict()
    slots: dict[int, dict[str, Tensor]] = defaultdict(dict)
    for key, value in tensors.items():
        if key.startswith(prefix):
            index, slot = key.removeprefix(prefix).split("/")
            slots[int(index)][slot] = value.float()
    optimiser.load_state_dict({"state": dict(slots), "param_groups": state["param_groups"]})


def tile(rows: list[Tensor], pad: int = 2) -> Image.Image:
    """A picture of rows of pictures, each row float (N, 3, S, S) in [-1, 1]."""
    size, columns = rows[0].shape[-1], max(len(r) for r in rows)
    canvas = torch.full((3, len(rows) * (size + pad), columns * (size + pad)), 255, dtype=torch.uint8)
    for i, row in enumerate(rows):
        pixels = ((row.float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).cpu()
        for j, picture in enumerate(pixels):
            y, x = i * (size + pad), j * (size + pad)
            canvas[:, y : y + size, x : x + size] = picture
    return Image.fromarray(canvas.permute(1, 2, 0).numpy())
