import base64
import hashlib
import json
import re
import struct
import zlib
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from studio.core import recipe as module
from studio.core.images import to_png
from studio.core.recipe import MAX_BYTES, MAX_LINK, PNG_SIGNATURE, RECIPE_KEY, Recipe, RecipeError, without_recipe

HASH = "0123456789abcdef" * 4
RGB = np.zeros((8, 8, 3), np.uint8)


def a_recipe(**changes) -> Recipe:
    values = dict(
        tab="character",
        verb="translate",
        parameters={"animals": ["lion", "tiger"], "strength": 0.8, "paste": False, "mask": None, "curve": [[0.0, 1.0]]},
        seed=2**62 + 1,
        checkpoints={"cyclegan-lion-64": HASH},
        inputs=({"sha256": HASH, "name": "Zoë & I.jpg", "eyes": ((1.5, 2.25), (30.0, 2.0))}, {"sha256": HASH}),
        parents=("3f2a-91", "abc"),
    )
    return Recipe(**{**values, **changes})


def document(**changes) -> dict:
    return {**json.loads(a_recipe().to_json()), **changes}


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(*chunks: bytes) -> bytes:
    return PNG_SIGNATURE + chunk(b"IHDR", bytes(13)) + b"".join(chunks) + chunk(b"IEND", b"")


def itxt(text: bytes, compressed: bool = False, key: bytes = RECIPE_KEY.encode()) -> bytes:
    return chunk(b"iTXt", key + (b"\0\1\0\0\0" + zlib.compress(text) if compressed else b"\0\0\0\0\0" + text))


def refused(call, *args) -> str:
    with pytest.raises(RecipeError) as caught:
        call(*args)
    message = str(caught.value)
    assert message.endswith(".") and "\n" not in message and len(message) < 200
    return message


def test_json_gives_the_same_recipe_back():
    recipe = a_recipe()
    assert Recipe.from_json(recipe.to_json()) == recipe
    assert Recipe.from_json(recipe.to_json().encode()) == recipe
    assert Recipe.from_json(recipe.to_json()).inputs[0].eyes == ((1.5, 2.25), (30.0, 2.0))


def test_png_gives_the_same_recipe_back(tmp_path: Path):
    recipe = a_recipe()
    data = to_png(RGB, recipe)
    (tmp_path / "saved.png").write_bytes(data)
    assert Recipe.from_png(data) == recipe
    assert Recipe.from_png(tmp_path / "saved.png") == recipe


def test_compressed_text_and_other_chunks_around_it_are_read():
    text = a_recipe().to_json().encode()
    noise = chunk(b"tEXt", b"Comment\0hello"), itxt(b"not ours", key=b"other"), chunk(b"IDAT", b"no pixels at all")
    assert Recipe.from_png(png(*noise, itxt(text, compressed=True))) == Recipe.from_json(text)


def test_a_recipe_is_frozen():
    with pytest.raises(ValidationError):
        a_recipe().seed = 3


def test_created_knows_its_time_zone():
    assert a_recipe().created.utcoffset() == timedelta(0)
    there = datetime(2026, 1, 2, tzinfo=timezone(timedelta(hours=2)))
    assert Recipe.from_json(a_recipe(created=there).to_json()).created == there


@pytest.mark.parametrize(
    "changes",
    [
        {"tab": "../etc"},
        {"tab": "Character"},
        {"verb": "http://x"},
        {"verb": ""},
        {"seed": -1},
        {"seed": 2**63},
        {"seed": 1.5},
        {"seed": True},
        {"seed": "7"},
        {"checkpoints": {"../../weights": HASH}},
        {"checkpoints": {"https://evil.example/x": HASH}},
        {"checkpoints": {"cyclegan-lion-64": "/etc/passwd"}},
        {"checkpoints": {"cyclegan-lion-64": HASH.upper()}},
        {"checkpoints": {"cyclegan-lion-64": HASH + "\n"}},
        {"checkpoints": {f"card-{i}": HASH for i in range(101)}},
        {"inputs": [{"sha256": "https://evil.example/a.png"}]},
        {"inputs": [{"sha256": HASH, "name": "../../etc/passwd"}]},
        {"inputs": [{"sha256": HASH, "name": "C:\\secret"}]},
        {"inputs": [{"sha256": HASH, "name": "a\u202egnp.exe"}]},
        {"inputs": [{"sha256": HASH, "name": "n" * 81}]},
        {"inputs": [{"sha256": HASH, "path": "/etc/passwd"}]},
        {"inputs": [{"sha256": HASH, "eyes": [[0, 0]]}]},
        {"inputs": [{"sha256": HASH, "eyes": [[0, 0], [1e9, 0]]}]},
        {"inputs": [{"sha256": HASH}] * 101},
        {"parents": ["../x"]},
        {"parents": "abc"},
        {"parents": ["a"] * 101},
        {"created": "yesterday"},
        {"created": "2026-01-02T03:04:05"},
        {"studio": "<script>"},
        {"parameters": {"a": [[[[[1]]]]]}},
        {"parameters": {"a": {"b" * 65: 1}}},
        {"parameters": {"../a": 1}},
        {"parameters": {f"p{i}": 1 for i in range(101)}},
        {"parameters": {"a": 2**63}},
        {"parameters": [1]},
        {"extra": 1},
        {"tab": None},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_forged_field_is_refused(changes):
    assert "damaged or forged" in refused(Recipe.from_json, json.dumps(document(**changes)))


def test_the_refusal_names_the_field_but_repeats_nothing_of_the_forger():
    assert "'seed'" in refused(Recipe.from_json, json.dumps(document(seed="x")))
    assert "evil" not in refused(Recipe.from_json, json.dumps(document(**{"evil words": 1})))


@pytest.mark.parametrize(
    "text",
    ["", "{", "nonsense", "[" * 60_000, '{"a": NaN}', "1" * 5000, b"\xff\xfe\x00", "\ud800"],
    ids=range(8),
)
def test_what_is_not_json_is_refused(text):
    assert "damaged" in refused(Recipe.from_json, text)


def test_a_number_too_large_for_a_float_is_refused():
    refused(Recipe.from_json, json.dumps(document()).replace("0.8", "1e999"))


@pytest.mark.parametrize("text", ["[]", '"text"', "3", "{}", '{"version": true}', '{"version": "1"}'])
def test_other_json_is_no_recipe(text):
    assert "not a recipe" in refused(Recipe.from_json, text)


def test_a_newer_version_asks_for_an_update():
    assert "update the studio" in refused(Recipe.from_json, json.dumps(document(version=2)))


def test_an_older_version_is_migrated_step_by_step(monkeypatch):
    def from_minus_one(old):
        return {**old, "verb": old["action"]}

    def from_zero(old):
        return {key: value for key, value in old.items() if key != "action"}

    monkeypatch.setattr(module, "MIGRATIONS", {-1: from_minus_one, 0: from_zero})
    old = document(version=-1, action="morph")
    del old["verb"]
    assert Recipe.from_json(json.dumps(old)) == Recipe.from_json(json.dumps(document(verb="morph")))


@pytest.mark.parametrize("version", [0, -(10**9)])
def test_a_version_that_never_was_is_refused(version):
    assert "no studio ever wrote" in refused(Recipe.from_json, json.dumps(document(version=version)))


def test_size_is_limited_on_both_ways():
    long = "ü" * (MAX_BYTES // 2)
    assert "larger than" in refused(Recipe.from_json, json.dumps(document(parameters={"a": long}), ensure_ascii=False))
    assert "larger than" in refused(a_recipe(parameters={"a": long}).to_json)


def test_a_text_bomb_is_not_unpacked():
    bomb = png(itxt(b" " * 50_000_000, compressed=True))
    assert len(bomb) < MAX_BYTES
    assert "larger than" in refused(Recipe.from_png, bomb)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "not a PNG"),
        (b"\xff\xd8\xff\xe0 a JPEG", "not a PNG"),
        (png(), "carries no recipe"),
        (PNG_SIGNATURE, "carries no recipe"),
        (PNG_SIGNATURE + b"\xff\xff\xff\xffiTXt", "carries no recipe"),
        (to_png(RGB, a_recipe()).partition(b"lion")[0], "damaged"),
        (to_png(RGB, a_recipe()).replace(b"lion", b"LION"), "damaged"),
        (png(itxt(b"\xff\xff")), "damaged"),
        (png(chunk(b"iTXt", RECIPE_KEY.encode() + b"\0\1\0\0\0not zlib")), "damaged"),
        (png(chunk(b"iTXt", RECIPE_KEY.encode() + b"\0\0\0no ends")), "damaged"),
        (png(itxt(b"{}")), "not a recipe"),
    ],
    ids=range(11),
)
def test_a_png_without_a_sound_recipe_is_refused(data, says):
    assert says in refused(Recipe.from_png, data)


def test_a_file_of_endless_tiny_chunks_ends(monkeypatch):
    monkeypatch.setattr(module, "MAX_CHUNKS", 10)
    late = itxt(a_recipe().to_json().encode())
    assert "no recipe" in refused(Recipe.from_png, png(*[chunk(b"tEXt", b"")] * 10, late))


def test_a_missing_file_is_refused(tmp_path: Path):
    assert "could not be read" in refused(Recipe.from_png, tmp_path / "gone.png")
    assert "could not be read" in refused(Recipe.from_png, tmp_path)


def packed(data: bytes) -> str:
    packer = zlib.compressobj(9, zdict=module._LINK_WORDS)
    return base64.urlsafe_b64encode(packer.compress(data) + packer.flush()).decode().rstrip("=")


def test_a_link_gives_the_same_recipe_back():
    link = a_recipe().to_link()
    assert Recipe.from_link(link) == a_recipe()
    assert re.fullmatch(r"[A-Za-z0-9_-]+", link) and len(link) < 600


def test_a_recipe_too_long_for_a_link_says_what_to_do():
    hashes = [hashlib.sha256(bytes([n])).hexdigest() for n in range(100)]
    many = a_recipe(inputs=[{"sha256": sha256, "name": sha256[::-1]} for sha256 in hashes])
    assert "download the picture" in refused(many.to_link)


@pytest.mark.parametrize(
    ("link", "says"),
    [
        ("", "damaged"),
        ("../../etc/passwd", "damaged"),
        ("https://evil.example/recipe", "damaged"),
        ("ä" * 20, "damaged"),
        ("A" * (MAX_LINK + 1), "longer than any"),
        (a_recipe().to_link()[:-8], "damaged"),
        (a_recipe().to_link().swapcase(), "damaged"),
        (packed(b"[]"), "not a recipe"),
        (packed(b"{"), "not readable"),
        (packed(json.dumps(document(version=2)).encode()), "newer studio"),
        (packed(json.dumps(document(tab="../x")).encode()), "damaged or forged"),
        (packed(b" " * 50 * MAX_BYTES), "larger than"),
    ],
    ids=range(12),
)
def test_a_link_that_no_studio_wrote_is_refused(link, says):
    assert says in refused(Recipe.from_link, link)


def test_without_its_recipe_a_picture_keeps_everything_else():
    assert without_recipe(to_png(RGB, a_recipe())) == to_png(RGB)
    assert without_recipe(to_png(RGB)) == to_png(RGB)


@pytest.mark.parametrize("place", ["parameters", "eyes", "seed", "version"])
@pytest.mark.parametrize("number", [10**400, -(10**400)])
def test_numbers_too_large_for_a_float_are_refused_like_any_forgery(place, number):
    document = json.loads(a_recipe().to_json())
    if place == "parameters":
        document["parameters"]["strength"] = number
    elif place == "eyes":
        document["inputs"][0]["eyes"] = [[number, 1], [2, 3]]
    else:
        document[place] = number
    with pytest.raises(RecipeError):
        Recipe.from_json(json.dumps(document))
