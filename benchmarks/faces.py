"""How well faces are found and eyes placed: ``python -m benchmarks.faces --data DIR`` prints one line of JSON.

On photos with known eyes (faces128, part 9, and uploads): the share in which the right face is found and the error of its eyes,
in % of the eye distance (the mean over both eyes). On pictures without people (animals160, and the landscapes of art160): how
often a face is found all the same.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import json
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from studio.core.engine import Engine
from studio.core.faces import FRAMES, Face, find_faces

Row = dict[str, str]
FAR = 0.5  # of the eye distance: beyond this another face, or none, was found


def held_back(row: Row) -> bool:
    """Part 9, which no network was trained on."""
    return int(hashlib.md5(row["file_name"].encode()).hexdigest(), 16) % 10 == 9


def in_portrait_frame(row: Row) -> np.ndarray:
    """The eyes (2, 2) of a picture of faces128, px."""
    return np.array(FRAMES["portrait"])


def as_marked(row: Row) -> np.ndarray:
    """The eyes (2, 2) of a picture of uploads, px."""
    return np.array([[row["left_eye_x"], row["left_eye_y"]], [row["right_eye_x"], row["right_eye_y"]]], float)


def pictures(pack: Path, keep: Callable[[Row], bool], every: int) -> Iterator[tuple[Row, np.ndarray]]:
    """Every so many-th of the pack's pictures that are to be kept: its row and rgb uint8 (H, W, 3)."""
    with zipfile.ZipFile(pack) as archive:
        rows = list(csv.DictReader(io.TextIOWrapper(archive.open("metadata.csv"), "utf-8")))
        for row in [row for row in rows if keep(row)][::every]:
            yield row, np.array(Image.open(io.BytesIO(archive.read(row["file_name"]))).convert("RGB"))


def eye_error(faces: tuple[Face, ...], eyes: np.ndarray) -> float:
    """Of the face that lies nearest, in eye distances; infinite if there is none."""
    distance = np.linalg.norm(eyes[1] - eyes[0])
    return min((float(np.linalg.norm(face.eyes - eyes, axis=1).mean() / distance) for face in faces), default=float("inf"))


def placed(engine: Engine, found: Iterator[tuple[Row, np.ndarray]], eyes_of: Callable[[Row], np.ndarray]) -> dict[str, float]:
    """Figures for pictures whose eyes are known."""
    errors, counts, started = [], [], time.perf_counter()
    for row, rgb in found:
        faces = find_faces(engine, rgb)
        errors.append(eye_error(faces, eyes_of(row)))
        counts.append(len(faces))
    errors, right = np.array(errors), np.array(errors) < FAR
    return {
        "photos": len(errors),
        "right_face_found_%": round(100 * right.mean(), 2),
        "any_face_found_%": round(100 * np.mean(np.array(counts) > 0), 2),
        "median_eye_error_%": round(100 * float(np.median(errors[right])), 2),
        "p90_eye_error_%": round(100 * float(np.percentile(errors[right], 90)), 2),
        "faces_per_photo": round(float(np.mean(counts)), 2),
        "seconds_per_photo": round((time.perf_counter() - started) / len(errors), 3),
    }


def mistaken(engine: Engine, found: Iterator[tuple[Row, np.ndarray]]) -> dict[str, float]:
    """Figures for pictures without a human face."""
    counts = [len(find_faces(engine, rgb)) for _, rgb in found]
    return {"pictures": len(counts), "face_found_%": round(100 * np.mean(np.array(counts) > 0), 2)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the data packs")
    parser.add_argument("--every", type=int, default=1, help="take every so many-th picture of the large packs")
    options = parser.parse_args()
    packs, every = options.data, options.every
    with Engine() as engine:
        figures = {
            "faces128_part9": placed(engine, pictures(packs / "faces128.zip", held_back, every), in_portrait_frame),
            "uploads": placed(engine, pictures(packs / "uploads.zip", lambda row: True, 1), as_marked),
            "animals160": mistaken(engine, pictures(packs / "animals160.zip", lambda row: True, 4 * every)),
            "monet": mistaken(engine, pictures(packs / "art160.zip", lambda row: row["domain"] == "monet", every)),
        }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
