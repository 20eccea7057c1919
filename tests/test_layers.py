"""Who may know whom, read from the imports of every source file; nothing is run."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LAYERS = {
    "ui": {"ui", "pipelines", "core"},
    "pipelines": {"pipelines", "latent", "metrics", "models", "core"},
    "train": {"train", "models", "latent", "metrics", "core"},
    "metrics": {"metrics", "models", "core"},
    "latent": {"latent", "core"},
    "models": {"models"},
    "core": {"core"},
    "cli": {"cli", "pipelines", "core"},
    "__main__": {"cli"},
    "__init__": set(),
}
# The few doors that the architecture leaves open: (importing file or folder, imported module).
DOORS = {
    ("pipelines/mine.py", "studio.train"),  # training a miner is what that tab does
    ("cli/evaluate/", "studio.train"),
    ("cli/doors.py", "studio.train"),
    ("cli/doors.py", "studio.ui"),  # for `serve`
}
LAZY = "cli/"  # goes through its doors inside a command only, so that --help stays fast
MODELS_MAY_USE = ("torch", "studio.core.registry", "studio.models")
MODELS_MAY_USE += ("__future__", "collections", "dataclasses", "functools", "itertools", "math", "typing")
ENGINE = ("core/engine.py", "core/backends.py", "core/networks.py")  # one engine in three files
DEVICE_OWNERS = (*ENGINE, "train/")
DEVICE_MODULES = ("openvino", "torch.amp", "torch.compiler", "torch.cuda")
DEVICE_CALLS = {"torch.compile", "torch.autocast", "torch.amp.autocast", "torch.cuda.amp.autocast", "torch.set_default_device"}


def files(pattern: str = "**/*.py") -> list[Path]:
    return sorted((ROOT / "studio").glob(pattern))


def imports(tree: ast.AST, package: str) -> Iterator[tuple[str, ast.AST]]:
    """Every imported module by its full name; names that ``from studio import x`` takes count as modules."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join(filter(None, [*parts, node.module]))
            holds_modules = base in ("studio", "studio.core")
            yield from ((f"{base}.{alias.name}" if holds_modules else base, node) for alias in node.names)


def type_checking_only(tree: ast.AST) -> set[ast.AST]:
    """Nodes below ``if TYPE_CHECKING``."""
    guards = [n for n in ast.walk(tree) if isinstance(n, ast.If) and "TYPE_CHECKING" in ast.unparse(n.test)]
    return {node for guard in guards for child in guard.body for node in ast.walk(child)}


def inside(module: str, package: str) -> bool:
    return module == package or module.startswith(package + ".")


def breaches(path: str, source: str) -> list[str]:
    """What the file at ``path`` (below studio/) does against the layers, one line each."""
    tree = ast.parse(source)
    package = ".".join(["studio", *path.split("/")[:-1]])
    hints = type_checking_only(tree)
    found = []
    for module, node in imports(tree, package):
        at_top = node in tree.body
        if wrong := against_layers(path, module, at_top, is_hint=node in hints) or against_engine(path, module):
            found.append(f"{path}:{node.lineno} imports {module}: {wrong}")
    if not path.startswith(DEVICE_OWNERS):
        found += [f"{path}:{line} calls {call}: the device is the engine's and training's" for call, line in device_calls(tree)]
    return found


def against_layers(path: str, module: str, at_top: bool, is_hint: bool) -> str:
    """Why ``path`` may not import ``module``; empty if it may. Type hints cost nothing, except that networks stay alone."""
    layer = path.split("/")[0].removesuffix(".py")
    if layer == "models":
        return "" if any(inside(module, name) for name in MODELS_MAY_USE) else "networks know torch and the registry"
    if any(path.startswith(file) and inside(module, door) for file, door in DOORS):
        return "it has to be inside the command" if path.startswith(LAZY) and at_top else ""
    target = module.split(".")[1] if module.startswith("studio.") else ""
    ours = (ROOT / "studio" / target).is_dir() or (ROOT / "studio" / f"{target}.py").exists()
    if not target or not ours or is_hint or target in LAYERS[layer]:
        return ""
    return f"{layer} may know {', '.join(sorted(LAYERS[layer])) or 'nothing'}"


def against_engine(path: str, module: str) -> str:
    """Why importing ``module`` takes the engine's work into ``path``; empty if it does not."""
    if any(inside(module, name) for name in DEVICE_MODULES) and not path.startswith(DEVICE_OWNERS):
        return "only the engine and training know the device"
    parts = {f"studio.{file.removesuffix('.py').replace('/', '.')}" for file in ENGINE[1:]}
    return "it is a part of the engine: ask the engine" if module in parts and path not in ENGINE else ""


def device_calls(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Calls that move something to a device, cast automatically or compile."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        if ast.unparse(node.func) in DEVICE_CALLS or node.func.attr == "cuda" or (node.func.attr == "to" and moves(node)):
            yield ast.unparse(node), node.lineno


def moves(call: ast.Call) -> bool:
    """Whether ``x.to(...)`` names a device; ``x.to(torch.float32)`` and ``x.to(dtype=...)`` are casts."""
    words = [ast.unparse(argument).strip("'\"") for argument in call.args]
    named = any(keyword.arg == "device" for keyword in call.keywords)
    return named or any("device" in word or word.split(":")[0] in ("cpu", "cuda", "mps") for word in words)


@pytest.mark.parametrize("path", [str(p.relative_to(ROOT / "studio")) for p in files()])
def test_a_file_knows_only_what_is_below_it(path):
    found = breaches(path, (ROOT / "studio" / path).read_text())
    assert not found, "\n".join(found)


def test_only_the_front_door_and_the_ui_itself_know_the_ui():
    knowing = {
        str(path.relative_to(ROOT))
        for folder in ("studio", "benchmarks")
        for path in (ROOT / folder).glob("**/*.py")
        if any(inside(module, "studio.ui") for module, _ in imports(ast.parse(path.read_text()), "studio"))
    }
    assert {name for name in knowing if not name.startswith("studio/ui/")} <= {"studio/cli/doors.py"}


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("core/engine.py", "import studio.models.cyclegan"),
        ("core/faces.py", "from studio.models import cyclegan"),
        ("core/faces.py", "from studio import pipelines"),
        ("core/faces.py", "from ..pipelines import character"),
        ("core/faces.py", "def f():\n    from studio.metrics import fid"),
        ("models/cyclegan.py", "import numpy"),
        ("models/cyclegan.py", "from studio.core.engine import Engine"),
        ("models/cyclegan.py", "from pathlib import Path"),
        ("latent/kde.py", "from studio.models import cyclegan"),
        ("metrics/fid.py", "from studio.pipelines import character"),
        ("pipelines/character.py", "from studio.train import loop"),
        ("pipelines/character.py", "from studio.ui import shell"),
        ("ui/shell.py", "from studio.models import cyclegan"),
        ("ui/tabs/character.py", "from studio.train import loop"),
        ("train/loop.py", "from studio.pipelines import character"),
        ("cli/doors.py", "from studio.ui.serve import launch"),
        ("cli/doors.py", "from studio.train import loop"),
        ("cli/evaluate/ian.py", "from studio.train import loop"),
        ("cli/evaluate/ian.py", "def show():\n    from studio.ui.serve import launch"),
        ("cli/character.py", "def sample():\n    from studio.train import loop"),
        ("cli/character.py", "from studio.models import cyclegan"),
        ("pipelines/character.py", "x = image.to(device)"),
        ("pipelines/character.py", "x = image.to('cuda:0')"),
        ("pipelines/character.py", "x = image.to(device=where, dtype=kind)"),
        ("metrics/fid.py", "network.cuda()"),
        ("metrics/fid.py", "with torch.autocast('cpu'): pass"),
        ("ui/shell.py", "fast = torch.compile(network)"),
        ("core/faces.py", "import openvino as ov"),
        ("core/faces.py", "from openvino import Core"),
        ("pipelines/character.py", "from studio.core import backends"),
        ("core/faces.py", "from . import networks"),
    ],
)
def test_a_breach_is_seen(path, source):
    assert breaches(path, source)


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("pipelines/mine.py", "from studio.train import transfer"),
        ("cli/doors.py", "def serve():\n    from studio.ui.serve import launch"),
        ("cli/evaluate/ian.py", "def measure():\n    from studio.train import loop"),
        ("core/engine.py", "import openvino\nx = image.to(device)"),
        ("train/loop.py", "x = image.to(device)\nwith torch.autocast('cpu'): pass"),
        ("models/cyclegan.py", "import torch.nn.functional as F\nfrom studio.core.registry import register_model"),
        ("core/faces.py", "x = mask.to(torch.float32).to(dtype=kind)"),
        ("core/networks.py", "from studio.core import backends"),
        ("metrics/fid.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from studio.pipelines import character"),
        ("pipelines/character.py", "import studio\nfrom studio import __version__"),
    ],
)
def test_what_is_allowed_is_not_a_breach(path, source):
    assert not breaches(path, source)
