"""Options that commands share, and how what is written in them is read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

Json = Annotated[bool, typer.Option("--json", help="Print JSON alone on stdout.")]
OutFolder = Annotated[Path, typer.Option("--out", help="Folder for the pictures; made if it is not there.")]
Person = Annotated[Path, typer.Argument(metavar="PHOTO", help="A photo of a person.")]
Frame = Annotated[str, typer.Option(help="auto finds the face, centre takes the middle of the photo.")]
Face = Annotated[int | None, typer.Option(min=1, help="Which face of the photo, 1 the largest.")]
Animals = Annotated[str, typer.Option(help="Names with commas between, or all.")]
Seed = Annotated[int, typer.Option(help="The same seed gives the same pictures.")]


def names_in(text: str) -> tuple[str, ...]:
    """"lips, eyes" as names."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def animals_in(text: str) -> tuple[str, ...]:
    """"Chow Chow, lion" as the names of animals; none at all means all of them."""
    if text.strip().lower() == "all":
        return ()
    wanted = tuple(animal_in(name) for name in names_in(text))
    if not wanted:
        raise ValueError("Name the animals with commas between them, or say all.")
    return wanted


def animal_in(text: str) -> str:
    """"Chow Chow" as the animal's name."""
    return "_".join(text.lower().replace("-", " ").split())


def values_in(settings: Sequence[str] | None) -> dict[str, float]:
    """"Smiling=1" as names with values; a name alone means 1."""
    pairs = [setting.partition("=") for setting in settings or ()]
    return {name.strip(): number_in(value, name.strip()) if equals else 1.0 for name, equals, value in pairs}


def number_in(text: str, name: str) -> float:
    """The number that ``name`` is given."""
    try:
        return float(text)
    except ValueError as error:
        raise ValueError(f"Give {name} a number instead of {text!r}, such as Smiling=1.") from error


def face_of(number: int | None) -> Any:
    """The face of that number, counted from 1; None without one."""
    from studio.pipelines.photos import FaceChoice

    return None if number is None else FaceChoice(index=number - 1)


def faces_of(number: int | None, photos: Sequence[Any]) -> tuple[Any, ...]:
    """The face of that number in each of the photos."""
    return () if number is None else (face_of(number),) * len(photos)
