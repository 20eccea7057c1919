"""A zip of kept results to hand on: the pictures, contact sheets, their recipes and a page that explains them."""

from __future__ import annotations

import contextlib
import io
import json
import re
import time
import unicodedata
import zipfile
from collections.abc import Iterable
from functools import lru_cache
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

from studio.core.gallery import THUMBNAIL, Gallery, GalleryError, Item
from studio.core.images import to_png

COLUMNS, ROWS = 6, 5  # of one contact sheet
MARGIN, CAPTION = 16, 24  # px
PAPER, INK = (250, 250, 250), (40, 40, 40)

_README = """Pictures from Imaginarium
=========================

Exported on {date}. They were made by trained networks; every PNG says so in its metadata
(IPTC digital source type "trained algorithmic media").

*.png          the {number} pictures; the number is also on the contact sheet
sheet-*.png    contact sheets, {per_sheet} pictures each
{recipes}
"""
_WITH = """recipes.json   how each picture was made: the model, the settings, the seed

Each PNG carries its recipe as well: drop one on the studio and it is set up to make that picture again."""
_WITHOUT = """
The recipes were left out, of this archive and of the PNG files."""


def export_zip(gallery: Gallery, ids: Iterable[str], file: BinaryIO, with_recipes: bool = True) -> None:
    """Writes a zip of these items, in their order, to a file open for writing; holds one picture in memory at a time.

    ``with_recipes=False`` leaves out everything but the pictures and their names.

    Raises:
        GalleryError: an id is not in the gallery, there is none, or the disk is full.
    """
    items = [gallery.get(item_id) for item_id in dict.fromkeys(ids)]
    if not items:
        raise GalleryError("Select at least one picture to export.")
    names = [_file_name(number, item.name) for number, item in enumerate(items, 1)]
    try:
        with zipfile.ZipFile(file, "w") as archive:  # stored: PNGs do not get smaller
            for item, name in zip(items, names, strict=True):
                archive.writestr(name, gallery.png(item.id, with_recipes))
            for page, start in enumerate(range(0, len(items), COLUMNS * ROWS), 1):
                archive.writestr(f"sheet-{page}.png", _sheet(gallery, items, start))
            if with_recipes:
                archive.writestr("recipes.json", _recipes(gallery, items, names), zipfile.ZIP_DEFLATED)
            archive.writestr("README.txt", _readme(len(items), with_recipes))
    except OSError as error:
        raise GalleryError(f"The zip could not be written ({error.strerror}): free some space first.") from error


def _file_name(number: int, name: str) -> str:
    words = re.sub(r"\W+", "-", name)[:40].strip("-_")
    return f"{number:03d}-{words}.png" if words else f"{number:03d}.png"


def _sheet(gallery: Gallery, items: list[Item], start: int) -> bytes:
    """PNG of the thumbnails of one page, each with its number and name under it."""
    page = items[start : start + COLUMNS * ROWS]
    columns, rows = min(COLUMNS, len(page)), -(-len(page) // COLUMNS)
    size = MARGIN + columns * (THUMBNAIL + MARGIN), MARGIN + rows * (THUMBNAIL + CAPTION + MARGIN)
    sheet = Image.new("RGB", size, PAPER)
    draw, font = ImageDraw.Draw(sheet), _font()
    for place, item in enumerate(page):
        x = MARGIN + place % COLUMNS * (THUMBNAIL + MARGIN)
        y = MARGIN + place // COLUMNS * (THUMBNAIL + CAPTION + MARGIN)
        with Image.open(io.BytesIO(gallery.thumbnail(item.id)), formats=("WEBP",)) as thumbnail:
            picture = ImageOps.contain(thumbnail, (THUMBNAIL, THUMBNAIL), Image.Resampling.BICUBIC)
            sheet.paste(picture, (x + (THUMBNAIL - picture.width) // 2, y + (THUMBNAIL - picture.height) // 2))
        draw.text((x, y + THUMBNAIL + 4), _fitting(f"{start + place + 1:03d}  {item.name}", font), INK, font)
    return to_png(np.asarray(sheet))


@lru_cache(maxsize=1)
def _font() -> ImageFont.FreeTypeFont:
    for name in ("DejaVuSans.ttf", "Arial.ttf", "arial.ttf"):
        with contextlib.suppress(OSError):
            return ImageFont.truetype(name, 14)
    return ImageFont.load_default(14)


def _fitting(text: str, font: ImageFont.FreeTypeFont) -> str:
    if font.getname()[0] == "Aileron":  # Pillow's own font knows plain English letters only
        text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    if font.getlength(text) <= THUMBNAIL:
        return text
    while font.getlength(text + "...") > THUMBNAIL:
        text = text[:-1]
    return text.rstrip() + "..."


def _recipes(gallery: Gallery, items: list[Item], names: list[str]) -> str:
    pictures = [
        {"file": name, **item.to_dict(), "recipe": json.loads(gallery.recipe(item.id).to_json())}
        for item, name in zip(items, names, strict=True)
    ]
    return json.dumps({"pictures": pictures}, indent=1, ensure_ascii=False)


def _readme(number: int, with_recipes: bool) -> str:
    date, recipes = time.strftime("%d %B %Y"), _WITH if with_recipes else _WITHOUT
    return _README.format(number=number, date=date, per_sheet=COLUMNS * ROWS, recipes=recipes)
