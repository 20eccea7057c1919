import io
import json
import zipfile

import numpy as np
import pytest
from PIL import Image, ImageFont

from studio.core import export
from studio.core.export import export_zip
from studio.core.gallery import Gallery, GalleryError
from studio.core.recipe import Recipe, RecipeError
from tests.kept import picture, recipe


@pytest.fixture
def gallery(tmp_path):
    gallery = Gallery(tmp_path)
    yield gallery
    gallery.close()


def exported(gallery, ids, **options) -> zipfile.ZipFile:
    file = io.BytesIO()
    export_zip(gallery, ids, file, **options)
    return zipfile.ZipFile(file)


def test_a_zip_holds_pictures_in_order_recipes_a_sheet_and_a_page_about_them(gallery):
    a = gallery.add(picture(1), recipe(seed=1), name="Löwe, König")
    b = gallery.add(picture(2), recipe(seed=2), parents=[a.id], name="../../etc/passwd")
    archive = exported(gallery, [b.id, a.id, b.id])
    assert archive.testzip() is None
    pictures = ["001-etc-passwd.png", "002-Löwe-König.png"]
    assert archive.namelist() == [*pictures, "sheet-1.png", "recipes.json", "README.txt"]
    assert [Recipe.from_png(archive.read(name)).seed for name in pictures] == [2, 1]
    told = json.loads(archive.read("recipes.json"))["pictures"]
    assert [(t["file"], t["id"], t["parents"], t["recipe"]["seed"]) for t in told] == [
        (pictures[0], b.id, [a.id], 2),
        (pictures[1], a.id, [], 1),
    ]
    assert "2 pictures" in archive.read("README.txt").decode()


def test_privacy_leaves_out_everything_about_the_making(gallery):
    secret = recipe(inputs=[{"sha256": "b" * 64, "name": "grandma.jpg"}])
    item = gallery.add(picture(), secret, parents=["c" * 20], name="Lion")
    file = io.BytesIO()
    export_zip(gallery, [item.id], file, with_recipes=False)
    archive = zipfile.ZipFile(file)
    assert archive.namelist() == ["001-Lion.png", "sheet-1.png", "README.txt"]
    told = b"".join(archive.read(name) for name in archive.namelist())
    assert not any(word in told for word in (b"grandma", b"b" * 64, b"c" * 20, item.id.encode(), b"cyclegan"))
    with pytest.raises(RecipeError):
        Recipe.from_png(archive.read("001-Lion.png"))


def test_more_pictures_than_fit_go_on_the_next_sheet(gallery, monkeypatch):
    monkeypatch.setattr(export, "COLUMNS", 2)
    monkeypatch.setattr(export, "ROWS", 1)
    white = np.full((10, 20, 3), 255, np.uint8)
    ids = [gallery.add(white // (n + 1), recipe(), name="x" * 80).id for n in range(3)]
    archive = exported(gallery, ids)
    sizes = [Image.open(archive.open(f"sheet-{n}.png")).size for n in (1, 2)]
    cell, height = export.THUMBNAIL + export.MARGIN, export.THUMBNAIL + export.CAPTION + 2 * export.MARGIN
    assert sizes == [(2 * cell + export.MARGIN, height), (cell + export.MARGIN, height)]
    middle = np.asarray(Image.open(archive.open("sheet-2.png")))[export.MARGIN + export.THUMBNAIL // 2, cell // 2]
    assert abs(int(middle[0]) - 85) < 4  # the third picture, large, in the middle of its cell


def test_captions_fit_their_picture_and_pillows_own_font_gets_letters_it_has():
    for font in (export._font(), ImageFont.load_default(14)):
        assert font.getlength(export._fitting("W" * 80, font)) <= export.THUMBNAIL
        assert export._fitting("short", font) == "short"
    assert export._fitting("001  Löwe", ImageFont.load_default(14)) == "001  Lowe"


def test_nothing_selected_or_unknown_is_one_sentence_and_no_file(gallery):
    for ids in ([], ["0" * 20], ["../x"]):
        file = io.BytesIO()
        with pytest.raises(GalleryError):
            export_zip(gallery, ids, file)
        assert file.getvalue() == b""
