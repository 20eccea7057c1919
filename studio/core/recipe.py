"""Recipes: everything needed to make a result again, carried inside the PNG it made.

A recipe comes back from strangers (a dropped PNG, a pasted text, a link), so it is read as untrusted input: bounded in every
direction, names and hashes matched against what a studio writes, pixels never decoded.
"""

from __future__ import annotations

import base64
import binascii
import io
import json
import re
import struct
import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, BinaryIO

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from studio import __version__

RECIPE_KEY = "imaginarium:recipe"  # the iTXt keyword
VERSION = 1
MAX_BYTES = 64 * 1024
MAX_DEPTH = 4  # of the lists and mappings inside one parameter
MAX_CHUNKS = 100_000  # of a PNG; a 50 megapixel picture in the smallest usual chunks (8 KB) has a fifth of that

# From a version to the next one: takes the document of version N, returns that of N + 1.
MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}

MAX_LINK = 6000  # characters: what mail programs, messengers and servers let through as part of an address
_LINK = re.compile(r"[A-Za-z0-9_-]+")
# What nearly every recipe says, so that a link need not say it; a link is only read back with these very words.
_LINK_WORDS = (
    b'"frame":"auto","centre","paste":false,true,"verb":"translate","checkpoints":{"cyclegan-","inputs":[{"sha256":"'
    b'"name":".jpg","astronaut","parents":[],"created":"2026-","studio":"0.1.0"}{"version":1,"tab":"character","verb":"translate",'
    b'"parameters":{"animals":["lion"],"strength":1.0,"frame":"auto","paste":false},"seed":0,"eyes":[['
)

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


class RecipeError(ValueError):
    """A recipe that is missing, damaged, forged or too new; the message is one sentence for the artist."""


def _matching(pattern: str, **limits: int) -> Any:
    return Annotated[str, StringConstraints(pattern=pattern, strict=True, **limits)]


Word = _matching(r"^[a-z][a-z0-9_-]{0,39}$")
CardId = _matching(r"^[a-z0-9][a-z0-9._-]{0,79}$")
Sha256 = _matching(r"^[0-9a-f]{64}$")
ResultId = _matching(r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")
StudioVersion = _matching(r"^[A-Za-z0-9][A-Za-z0-9.+-]{0,39}$")
# Shown, never opened: no separators, no control or text-direction characters.
ShownName = _matching(r"^[^/\\\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]{0,80}$")
Key = _matching(r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")
Coordinate = Annotated[float, Field(ge=-1e5, le=1e5, allow_inf_nan=False)]
Point = tuple[Coordinate, Coordinate]


def _plain(value: Any, depth: int = 0) -> Any:
    """``value``, if it is made of JSON scalars, lists and mappings of bounded depth. Raises ``ValueError`` if not."""
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, (int, float)):
        # The bound first: a whole number of 400 digits does not even fit what isfinite takes.
        if not -(2**63) < value < 2**63:  # False for nan, too
            raise ValueError("has a number outside the range that a recipe can hold")
        return value
    if depth >= MAX_DEPTH:
        raise ValueError("is nested too deeply")
    if isinstance(value, (list, tuple)):
        return [_plain(item, depth + 1) for item in value]
    if isinstance(value, dict) and all(isinstance(key, str) and len(key) <= 64 for key in value):
        return {key: _plain(item, depth + 1) for key, item in value.items()}
    raise ValueError("holds something that JSON cannot")


Parameter = Annotated[Any, AfterValidator(_plain)]


class RecipeInput(BaseModel):
    """A picture that went in: its hash, the name to show, and of a face the eyes (left, right; px (x, y) of the picture)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sha256: Sha256
    name: ShownName = ""
    eyes: tuple[Point, Point] | None = None


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


class Recipe(BaseModel):
    """How a result was made. Frozen; two equal recipes make the same picture.

    ``checkpoints`` maps card ids to the sha256 of their weights, ``parents`` are ids of results in the gallery. Constructing one
    with values outside these bounds raises pydantic's ``ValidationError`` (a ``ValueError``).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Annotated[int, Field(ge=VERSION, le=VERSION)] = VERSION
    tab: Word
    verb: Word
    parameters: Annotated[dict[Key, Parameter], Field(max_length=100)] = {}
    seed: Annotated[int, Field(ge=0, lt=2**63, strict=True)] = 0
    checkpoints: Annotated[dict[CardId, Sha256], Field(max_length=100)] = {}
    inputs: Annotated[tuple[RecipeInput, ...], Field(max_length=100)] = ()
    parents: Annotated[tuple[ResultId, ...], Field(max_length=100)] = ()
    created: AwareDatetime = Field(default_factory=_now)
    studio: StudioVersion = __version__

    def to_json(self) -> str:
        """The recipe as JSON text. Raises ``RecipeError`` if it is larger than a studio would read back."""
        text = self.model_dump_json()
        if len(text.encode()) > MAX_BYTES:
            raise RecipeError(f"This recipe is larger than {MAX_BYTES // 1024} KB: use fewer inputs or simpler settings.")
        return text

    @classmethod
    def from_json(cls, text: str | bytes) -> Recipe:
        """Reads untrusted JSON, of this version or an older one. Raises ``RecipeError``."""
        document = _migrate(_parse(text))
        try:
            # By way of JSON, because strict reading of JSON takes its lists for tuples and its strings for dates, and no more.
            return cls.model_validate_json(json.dumps(document), strict=True)
        except ValidationError as error:
            field = str(error.errors(include_url=False, include_input=False)[0]["loc"][0])
            known = f"its field {field!r} is" if field in cls.model_fields else "one of its fields is"
            raise RecipeError(f"This recipe is damaged or forged: {known} not what a studio writes.") from error

    def to_link(self) -> str:
        """The recipe as text that fits into an address. Raises ``RecipeError`` if it is too long for one."""
        packer = zlib.compressobj(9, zdict=_LINK_WORDS)
        link = base64.urlsafe_b64encode(packer.compress(self.to_json().encode()) + packer.flush()).decode().rstrip("=")
        if len(link) > MAX_LINK:
            raise RecipeError("This recipe is too long for a link: download the picture instead, it carries the recipe.")
        return link

    @classmethod
    def from_link(cls, link: str) -> Recipe:
        """Reads what ``to_link`` wrote, as untrusted input. Raises ``RecipeError``."""
        if len(link) > MAX_LINK:
            raise RecipeError("This link is longer than any that a studio writes: ask for the picture itself and drop it here.")
        return cls.from_json(_unpack(link))

    @classmethod
    def from_png(cls, data: bytes | Path) -> Recipe:
        """The recipe inside a PNG; only its text is read, never its pixels. Raises ``RecipeError``."""
        if not isinstance(data, Path):
            return cls.from_json(_find_text(io.BytesIO(data)))
        try:
            with data.open("rb") as file:
                return cls.from_json(_find_text(file))
        except OSError as error:
            raise RecipeError("The picture could not be read from disk: save it again and drop the new file.") from error


def without_recipe(png: bytes) -> bytes:
    """Leaves the recipe's chunk out of one of the studio's own PNGs, and every other byte as it is."""
    kept, start = [png[:8]], 8
    while start < len(png):
        end = start + 12 + int.from_bytes(png[start : start + 4], "big")  # length, type, data, check sum
        if not png[start + 4 : end].startswith(b"iTXt" + RECIPE_KEY.encode() + b"\0"):
            kept.append(png[start:end])
        start = end
    return b"".join(kept)


def _unpack(link: str) -> bytes:
    """The JSON text inside a link; no more than one byte over the limit is ever unpacked."""
    unpacker = zlib.decompressobj(zdict=_LINK_WORDS)
    try:
        if not _LINK.fullmatch(link):
            raise ValueError("letters that no link has")
        text = unpacker.decompress(base64.urlsafe_b64decode(link + "=" * (-len(link) % 4)), MAX_BYTES + 1)
        if len(text) <= MAX_BYTES and (not unpacker.eof or unpacker.unused_data):
            raise ValueError("cut short, or something after its end")
    except (ValueError, binascii.Error, zlib.error) as error:
        raise RecipeError("This link is damaged or incomplete: copy all of it once more.") from error
    return text


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _parse(text: str | bytes) -> dict[str, Any]:
    if len(text) > MAX_BYTES or (isinstance(text, str) and len(text.encode(errors="replace")) > MAX_BYTES):
        raise RecipeError(f"This recipe is larger than {MAX_BYTES // 1024} KB, so no studio wrote it.")
    try:
        document = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise RecipeError("This recipe is damaged: it is not readable as JSON.") from error
    if not isinstance(document, dict):
        raise RecipeError("This is not a recipe: a recipe is a JSON object that a studio saved.")
    return document


def _migrate(document: dict[str, Any]) -> dict[str, Any]:
    """The document in the present version. Raises ``RecipeError`` for a version that is newer, unknown or no number."""
    version = document.get("version")
    if type(version) is not int:  # True is an int to isinstance
        raise RecipeError("This is not a recipe: it does not say which version it has.")
    if version > VERSION:
        raise RecipeError("This recipe was written by a newer studio: update the studio to use it.")
    while version < VERSION:
        if version not in MIGRATIONS:
            raise RecipeError("This recipe has a version that no studio ever wrote.")
        document = {**MIGRATIONS[version](document), "version": version + 1}
        version += 1
    return document


def _find_text(file: BinaryIO) -> str:
    """The text of the first recipe chunk. Raises ``RecipeError`` if there is none or the file is no sound PNG up to it."""
    if file.read(8) != PNG_SIGNATURE:
        raise RecipeError("This file is not a PNG, so it carries no recipe: drop a PNG that the studio saved.")
    for _ in range(MAX_CHUNKS):
        header = file.read(8)
        if len(header) < 8 or header[4:] == b"IEND":
            break
        (length,) = struct.unpack(">I", header[:4])
        if header[4:] != b"iTXt" or length > 2 * MAX_BYTES:
            file.seek(length + 4, io.SEEK_CUR)
            continue
        body, crc = file.read(length), file.read(4)
        if not body.startswith(RECIPE_KEY.encode() + b"\0"):
            continue
        if crc != struct.pack(">I", zlib.crc32(b"iTXt" + body)):
            raise RecipeError("The recipe in this picture is damaged: use the file as the studio saved it.")
        return _itxt_text(body)
    raise RecipeError("This picture carries no recipe: it was saved without one, or another program removed it.")


def _itxt_text(body: bytes) -> str:
    """keyword NUL compressed? method language NUL translated NUL text (PNG 1.2, 4.2.3.3). Raises ``RecipeError``."""
    match = re.match(rb"[^\0]*\0([\0\1])\0[^\0]*\0[^\0]*\0", body)
    if not match:
        raise RecipeError("The recipe in this picture is damaged: use the file as the studio saved it.")
    text = body[match.end() :]
    try:
        if match[1] == b"\1":  # one byte over the limit is enough for the limit to be seen
            text = zlib.decompressobj().decompress(text, MAX_BYTES + 1)
        return text.decode()
    except (zlib.error, UnicodeDecodeError) as error:
        raise RecipeError("The recipe in this picture is damaged: use the file as the studio saved it.") from error
