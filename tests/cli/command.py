"""Commands as somebody runs them: in a folder, with tiny networks, read from what they print."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from PIL import Image

from studio import cli
from studio.core import engine as engine_module
from studio.core import registry
from studio.core.faces import Face
from studio.pipelines import photos
from tests.makeups import EYES

ROOT = Path(__file__).resolve().parents[2]


def work_in(folder: Path, engine: Any, monkeypatch) -> Any:
    """Commands run in the folder from now on, and with this engine, which is returned."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(engine_module, "Engine", lambda: engine)
    monkeypatch.setattr(registry, "default_registry", lambda: engine.registry)
    return engine


def show_two_faces(monkeypatch) -> None:
    """Every photo but a grey one shows two faces."""
    small = Face(np.array([[50, 40], [58, 40]], np.float32), (0, 0, 9, 9), 0.9)
    faces = Face(np.array(EYES, np.float32), (0, 0, 40, 40), 0.9), small
    monkeypatch.setattr(photos, "find_faces", lambda engine, rgb: faces if rgb.std() > 0 else ())


def run(capsys, *arguments) -> SimpleNamespace:
    code = cli.main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return SimpleNamespace(code=code, out=out, err=err)


def answer(capsys, *arguments) -> dict:
    """The JSON of a command that worked."""
    done = run(capsys, *arguments, "--json")
    assert done.code == 0 and done.err == "", done.err
    return json.loads(done.out)


def again(capsys, path, *photos) -> dict:
    """The JSON of a picture that is made again with the same networks."""
    made = answer(capsys, "again", path, *photos)
    assert made["exact"] is True
    return made


def one_line(done: SimpleNamespace) -> str:
    """What a command says that could not do what it was asked."""
    assert done.code == 2 and done.out == "" and done.err.count("\n") == 1
    return done.err


def save(path: Path, rgb: np.ndarray) -> Path:
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(rgb).save(path)
    return path


def pixels(path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))
