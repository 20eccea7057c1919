"""How a network runs: in the fastest form whose outputs stay with plain fp32, found once per checkpoint and item shape.

Forms on a CPU, fastest first: OpenVINO in bf16, OpenVINO with its first convolutions in fp32 and the rest in bf16
("mixed"), torch autocast in bf16, OpenVINO in fp32, plain torch. Each candidate is compared with plain fp32 on fixed smooth
inputs before it may serve. The winner is kept on disk, so that only the first start pays for conversion and comparison (a
second or two a network); later ones read it back in a tenth of a second.
"""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import io
import json
import logging
import platform
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from studio.core.files import write_file
from studio.core.registry import Card

log = logging.getLogger(__name__)

Arrays = dict[str, np.ndarray]
ItemShapes = tuple[tuple[str, tuple[int, ...]], ...]  # (name, shape without the batch dimension), sorted by name

# Rows of a batch in one forward pass. On a CPU it is one: convolution kernels are chosen by batch size, so that a picture's
# last bits would depend on who else was waiting, and a batch of four is only 5 to 10 % faster per row than batches of one.
ROWS_PER_PASS = {"cpu": 1, "cuda": 32}

# What a mixed form computes in fp32. Rounding the picture and its first features is half of the error of bf16 (0.78/255 on
# average with all of a CycleGAN generator in bf16, 0.40 without its first three convolutions, 0.76 without its last three),
# in a tenth of the work.
FP32_CONVOLUTIONS = 3

PROBES = 4
# Limits of a reduced form against fp32. A picture lies in [-1, 1], so 1/255 of its scale is 2/255 here.
PICTURE_MEAN, PICTURE_TAIL = 2 / 255, 8 / 255
OTHER_TAIL = 0.02  # of the output's range over the probes
TAIL = 0.999
CACHE_BYTES = 2 << 30
SINGLE = ""  # the key of an output that is a tensor and not a dict of them


class Form(Protocol):
    """One way to compute a network."""

    precision: str
    nbytes: int  # what it holds besides the torch module

    def __call__(self, arrays: Arrays) -> Arrays: ...


class TorchForm:
    """The module itself, under autocast if ``dtype`` is given."""

    nbytes = 0

    def __init__(self, module: nn.Module, device: torch.device, dtype: torch.dtype | None):
        self.module, self.device, self.dtype = module, device, dtype
        self.precision = "torch " + {None: "fp32", torch.bfloat16: "bf16", torch.float16: "fp16"}[dtype]

    def __call__(self, arrays: Arrays) -> Arrays:
        autocast = torch.autocast(self.device.type, self.dtype, enabled=self.dtype is not None)
        with torch.inference_mode(), autocast:
            outputs = self.module(**{name: self._tensor(array) for name, array in arrays.items()})
            outputs = outputs if isinstance(outputs, dict) else {SINGLE: outputs}
            return {name: value.float().cpu().contiguous().numpy() for name, value in outputs.items()}

    def _tensor(self, array: np.ndarray) -> torch.Tensor:
        tensor = torch.from_numpy(array).to(self.device)
        return tensor.to(memory_format=torch.channels_last) if self.device.type == "cuda" and tensor.ndim == 4 else tensor


@dataclass(frozen=True)
class Stage:
    """A compiled OpenVINO model for batches of one, and the names of the arrays it takes and gives, in its own order."""

    blob: bytes
    precision: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


class OpenVinoForm:
    """Stages that run one after the other, each on the inputs and on what earlier ones gave; the last gives the outputs."""

    def __init__(self, stages: list[Stage], precision: str):
        self.precision, self.nbytes, self.stages = precision, sum(len(stage.blob) for stage in stages), stages
        self._requests = [_request(stage) for stage in stages]

    def __call__(self, arrays: Arrays) -> Arrays:
        known, given = dict(arrays), {}
        for stage, request in zip(self.stages, self._requests, strict=True):
            results = request.infer([known[name] for name in stage.inputs])
            given = {name: np.array(results[i], dtype=np.float32) for i, name in enumerate(stage.outputs)}
            known |= given
        return given


def _request(stage: Stage):
    model = _core().import_model(io.BytesIO(stage.blob), "CPU", _openvino_options(stage.precision))
    if (len(model.inputs), len(model.outputs)) != (len(stage.inputs), len(stage.outputs)):
        raise ValueError("OpenVINO dropped an input or output of the network")
    return model.create_infer_request()


@lru_cache(maxsize=1)
def _core():
    import openvino  # late: half a second that a page without a picture need not wait for

    return openvino.Core()


def _openvino_options(precision: str) -> dict[str, str]:
    hint = {"bf16": "bf16", "fp32": "f32"}[precision]
    # Pinning threads to cores hurts as soon as anything else runs on the machine, and gains nothing when nothing does.
    return {"INFERENCE_PRECISION_HINT": hint, "PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": "1", "ENABLE_CPU_PINNING": "NO"}


def convert_openvino(module: nn.Module, example: Arrays):
    """An OpenVINO model of ``module``, whose weights want no gradients, for the shapes of ``example`` (batch 1, static: 15 %
    faster than dynamic ones)."""
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    def positional(*tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """With a tuple in and a tuple out, which is what a trace can follow."""
        outputs = module(**dict(zip(example, tensors, strict=True)))
        return tuple(outputs.values()) if isinstance(outputs, dict) else (outputs,)

    tensors = tuple(torch.from_numpy(array) for array in example.values())
    with warnings.catch_warnings(), torch.inference_mode(False), torch.no_grad():
        warnings.simplefilter("ignore")  # tracing says that it is old; the newer export converts to a graph that is 20 % slower
        # Of a function, in which weights are constants: to trace a module takes up to five times as long, as all parts of it
        # become scripts first. Nor is the trace compared with the network, as the compiled form is.
        traced = torch.jit.trace(positional, tensors, strict=False, check_trace=False)
        # Not openvino.convert_model, whose own passes over the graph take three times as long as all of this, for the same form.
        decoder = TorchScriptPythonDecoder(traced)
        frontend = FrontEndManager().load_by_framework("pytorch")
        loaded = frontend.load(decoder)
        model = frontend.convert(loaded)
    model.reshape({port: list(tensor.shape) for port, tensor in zip(model.inputs, tensors, strict=True)})
    return model


def compile_openvino(model, inputs: list[str], outputs: list[str], precision: str) -> list[Stage]:
    """Compiles a model that :func:`convert_openvino` made; ``precision`` is "bf16", "fp32" or "mixed"."""
    names = tuple(inputs)
    if precision != "mixed":
        return [Stage(_compile(model, precision), precision, names, tuple(outputs))]
    (front, front_inputs), (back, back_inputs), crossing = _cut(model.clone(), names)
    return [
        Stage(_compile(front, "fp32"), "fp32", front_inputs, crossing),
        Stage(_compile(back, "bf16"), "bf16", back_inputs, tuple(outputs)),
    ]


def _compile(model, precision: str) -> bytes:
    blob = _core().compile_model(model, "CPU", _openvino_options(precision)).export_model()
    return blob if isinstance(blob, bytes) else blob.getvalue()


def _cut(model, names: tuple[str, ...]):
    """Cuts an OpenVINO model before its fourth convolution and uses it up.

    Returns two (model, input names), and the names of the tensors between them.

    Raises ``ValueError`` for a network with fewer convolutions.
    """
    import openvino
    from openvino import opset13 as ops

    order = model.get_ordered_ops()
    convolutions = [i for i, op in enumerate(order) if "Convolution" in op.get_type_name()]
    if len(convolutions) <= FP32_CONVOLUTIONS:
        raise ValueError("the network has too few convolutions to cut it")
    early = {op.get_friendly_name() for op in order[: convolutions[FP32_CONVOLUTIONS]]}
    inputs, results = list(model.get_parameters()), list(model.get_results())
    fronts, crossing = [], []
    for op in order:
        if op.get_friendly_name() not in early or op.get_type_name() in ("Constant", "Parameter", "Result"):
            continue
        for output in op.outputs():
            late = [target for target in output.get_target_inputs() if target.get_node().get_friendly_name() not in early]
            if late:
                parameter = ops.parameter(output.get_shape(), output.get_element_type())
                fronts.append(ops.result(output))
                crossing.append(parameter)
                for target in late:
                    target.replace_source_output(parameter.output(0))
    between = tuple(f"cut {i}" for i in range(len(crossing)))
    front = openvino.Model(fronts, inputs)
    back = openvino.Model(results, [*inputs, *crossing])
    return (front, names), (back, (*names, *between)), between


# --- the choice ---------------------------------------------------------------------------------------------------------------


def candidates(device: torch.device) -> list[str]:
    """Names of the reduced forms worth trying on this device, fastest first; plain fp32 comes after all of them."""
    if device.type == "cuda":
        return ["torch bf16"] if torch.cuda.is_bf16_supported() else ["torch fp16"]
    openvino = importlib.util.find_spec("openvino") is not None
    native = openvino and "BF16" in _core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    fast = ["openvino bf16", "openvino mixed"] if native else []
    # Without the instructions autocast still works, slower than fp32.
    features = getattr(torch.cpu, "get_capabilities", dict)()
    autocast = ["torch bf16"] if features.get("avx512_bf16") or features.get("amx_bf16") else []
    return fast + autocast + (["openvino fp32"] if openvino else [])


def torch_form(name: str, module: nn.Module, device: torch.device) -> TorchForm:
    """The form called "torch fp32", "torch bf16" or "torch fp16"."""
    return TorchForm(module, device, {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}[name.split()[1]])


def make_forms(module: nn.Module, device: torch.device, example: Arrays, outputs: list[str]) -> Callable[[str], Form]:
    """Makes forms by name, compiled for the shapes of ``example``, giving ``outputs``; raises whatever the compiler raises.

    The conversion, most of the time it takes, is done once for all of them.
    """
    convert = cache(lambda: convert_openvino(module, example))

    def make(name: str) -> Form:
        backend, precision = name.split()
        if backend == "torch":
            return torch_form(name, module, device)
        return OpenVinoForm(compile_openvino(convert(), list(example), outputs, precision), name)

    return make


def probes(shapes: ItemShapes) -> list[Arrays]:
    """Fixed inputs of batch 1: smooth random pictures in [-1, 1] for (3, H, W), uniform numbers in [0, 1] for the rest."""
    generator = torch.Generator().manual_seed(0)
    return [{name: _probe(shape, generator).numpy() for name, shape in shapes} for _ in range(PROBES)]


def _probe(shape: tuple[int, ...], generator: torch.Generator) -> torch.Tensor:
    if len(shape) != 3:
        return torch.rand((1, *shape), generator=generator)
    coarse = torch.randn((1, shape[0], 6, 6), generator=generator)
    return torch.tanh(functional.interpolate(coarse, size=shape[1:], mode="bicubic", align_corners=False)).contiguous()


def deviation(outputs: list[Arrays], reference: list[Arrays]) -> str | None:
    """Why ``outputs`` are too far from ``reference``, in one phrase, or None.

    An output of shape (B, 3, H, W) is a picture in [-1, 1]: 1/255 of its scale on average and 4/255 at the 99.9th percentile.
    Anything else may be off by 2 % of its range over the probes.
    """
    for name in reference[0]:
        wanted = np.concatenate([arrays[name].ravel() for arrays in reference])
        error = np.abs(np.concatenate([arrays[name].ravel() for arrays in outputs]) - wanted)
        if not np.isfinite(error).all():
            return "gives values that are not finite"
        mean, tail = float(error.mean()), float(np.quantile(error, TAIL))
        if reference[0][name].ndim == 4 and reference[0][name].shape[1] == 3:
            if mean > PICTURE_MEAN or tail > PICTURE_TAIL:
                average, extreme = mean * 127.5, tail * 127.5
                return f"differs from fp32 by {average:.2f}/255 on average and {extreme:.2f}/255 at the 99.9th percentile"
        elif tail > OTHER_TAIL * float(np.ptp(wanted)):
            return f"differs from fp32 by {tail:.3g} in an output with a range of {float(np.ptp(wanted)):.3g}"
    return None


@dataclass(frozen=True)
class Choice:
    """A form and why it is not a faster one (empty if it is the fastest)."""

    form: Form
    note: str


def choose(module: nn.Module, shapes: ItemShapes, device: torch.device) -> Choice:
    """Tries the forms, fastest first. Raises what plain fp32 raises on inputs of these shapes."""
    inputs, plain, reasons = probes(shapes), TorchForm(module, device, None), []
    reference = [plain(arrays) for arrays in inputs]
    make = make_forms(module, device, inputs[0], list(reference[0]))
    for name in candidates(device):
        try:
            form = make(name)
            reason = deviation([form(arrays) for arrays in inputs], reference)
        except Exception as error:  # a compiler that fails is a reason to do without it, whatever it raises
            reason = f"failed ({str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__})"
        if reason is None:
            return Choice(form, "; ".join(reasons))
        reasons.append(f"{name} {reason}")
    return Choice(plain, "; ".join(reasons))


# --- the choice, kept on disk -------------------------------------------------------------------------------------------------


def prepare(module: nn.Module, card: Card, shapes: ItemShapes, device: torch.device, cache_dir: Path) -> Choice:
    """:func:`choose` with a memory: one file per checkpoint, item shapes, code of the network, versions and processor.

    A damaged file is made again.
    """
    if device.type != "cpu":
        return choose(module, shapes, device)
    path = cache_dir / f"{_fingerprint(module, card, shapes)}.form"
    choice = _read(path, module, device)
    if choice is None:
        choice = choose(module, shapes, device)
        _write(path, choice)
        if choice.note:
            log.warning("%s runs in %s: %s.", card.id, choice.form.precision, choice.note)
    return choice


def _fingerprint(module: nn.Module, card: Card, shapes: ItemShapes) -> str:
    # A network's layers may come from another family's file.
    sources = sorted({inspect.getsourcefile(type(part)) or "" for part in module.modules()})
    parts = [card.sha256, card.base, card.config, shapes, FP32_CONVOLUTIONS]
    parts += [torch.__version__, torch.get_num_threads(), platform.machine()]
    parts += [*(Path(source).read_text() for source in sources if source), candidates(torch.device("cpu"))]
    if importlib.util.find_spec("openvino"):
        import openvino

        parts += [openvino.get_version(), _core().get_property("CPU", "FULL_DEVICE_NAME")]
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:40]


def _read(path: Path, module: nn.Module, device: torch.device) -> Choice | None:
    """The kept choice, or None if there is none or it is damaged."""
    try:
        header, blobs = path.read_bytes().split(b"\n", 1)
        values = json.loads(header)
        if hashlib.sha256(blobs).hexdigest() != values["sha256"]:
            raise ValueError("its contents changed")
        if values["form"].startswith("openvino"):
            return Choice(OpenVinoForm(_unpack(values["stages"], blobs), values["form"]), values["note"])
        return Choice(torch_form(values["form"], module, device), values["note"])
    except FileNotFoundError:
        return None
    except Exception as error:  # any damage, OpenVINO's refusal included, means the same: make it again, in its place
        log.warning("The compiled network %s cannot be read and will be made again (%s).", path.name, error)
        return None


def _unpack(stages: list[dict], blobs: bytes) -> list[Stage]:
    file = io.BytesIO(blobs)
    return [Stage(file.read(s["size"]), s["precision"], tuple(s["inputs"]), tuple(s["outputs"])) for s in stages]


def _write(path: Path, choice: Choice) -> None:
    """Keeps the choice, whole or not at all; a disk that is full or read-only costs the next start 2 s and nothing else."""
    stages = choice.form.stages if isinstance(choice.form, OpenVinoForm) else []
    blobs = b"".join(stage.blob for stage in stages)
    header = {
        "form": choice.form.precision,
        "note": choice.note,
        "sha256": hashlib.sha256(blobs).hexdigest(),
        "stages": [{"size": len(s.blob), "precision": s.precision, "inputs": s.inputs, "outputs": s.outputs} for s in stages],
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, json.dumps(header).encode() + b"\n" + blobs)
        _prune(path.parent)
    except OSError as error:
        log.warning("The compiled network could not be kept in %s (%s).", path.parent, error)


def _prune(folder: Path) -> None:
    """Removes the oldest files until the folder holds at most ``CACHE_BYTES``: every retrained network leaves one behind."""
    total = 0
    for path in sorted(folder.iterdir(), key=lambda p: p.stat().st_mtime, reverse=True):
        total += path.stat().st_size
        if total > CACHE_BYTES:
            path.unlink(missing_ok=True)


def compute(form: Form, arrays: Arrays, rows_per_pass: int) -> Arrays:
    """Runs ``arrays`` (equal batch sizes) through ``form``, ``rows_per_pass`` rows at a time, and joins the outputs."""
    rows = len(next(iter(arrays.values())))
    passes = []
    for start in range(0, rows, rows_per_pass):
        chunk = {name: np.ascontiguousarray(array[start : start + rows_per_pass]) for name, array in arrays.items()}
        passes.append(form(chunk))
        if any(value.ndim == 0 or len(value) != len(next(iter(chunk.values()))) for value in passes[-1].values()):
            raise ValueError("The network's outputs do not have the batch size of its inputs.")
    return passes[0] if len(passes) == 1 else {name: np.concatenate([p[name] for p in passes]) for name in passes[0]}
