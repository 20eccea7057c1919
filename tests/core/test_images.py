import hashlib
import io
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image, ImageCms

from studio.core import images
from studio.core.images import PhotoError, display_name, open_photo, resize, to_float, to_png, to_uint8
from studio.core.recipe import Recipe


def a_picture(height: int = 40, width: int = 60) -> np.ndarray:
    """Smooth, and different in each channel and corner."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([255 * x / (width - 1), 255 * y / (height - 1), 255 - 255 * x / (width - 1)], -1).astype(np.uint8)


def encoded(rgb: np.ndarray, kind: str = "PNG", **options) -> bytes:
    file = io.BytesIO()
    Image.fromarray(rgb).save(file, kind, **options)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "WEBP"])
def test_lossless_kinds_come_back_bit_for_bit(kind):
    rgb = a_picture()
    assert np.array_equal(open_photo(encoded(rgb, kind, lossless=True)).rgb, rgb)


@pytest.mark.parametrize("kind", ["JPEG", "AVIF"])
def test_lossy_kinds_come_back_nearly(kind):
    rgb = a_picture()
    assert np.abs(open_photo(encoded(rgb, kind, quality=95)).rgb.astype(int) - rgb).mean() < 3


def test_a_photo_knows_its_file_and_cannot_be_painted_over():
    data = encoded(a_picture())
    photo = open_photo(data, "me.png")
    assert (photo.sha256, photo.name) == (hashlib.sha256(data).hexdigest(), "me.png")
    with pytest.raises(ValueError):
        photo.rgb[0] = 0


def test_a_path_is_read_and_named_after_its_file(tmp_path: Path):
    path = tmp_path / "holiday.png"
    path.write_bytes(encoded(a_picture()))
    assert open_photo(path).name == "holiday.png"
    assert open_photo(path, "mine").name == "mine"


@pytest.mark.parametrize("make", [Path, lambda path: Path(f"{path}/")])
def test_a_folder_is_no_photo(tmp_path: Path, make):
    (tmp_path / "holiday").mkdir()
    with pytest.raises(PhotoError, match=r"^holiday is a folder: name the photos in it, such as holiday/\*\.jpg\.$"):
        open_photo(make(tmp_path / "holiday"))


def test_a_path_is_measured_before_it_is_read(tmp_path: Path, monkeypatch):
    path = tmp_path / "huge.png"
    path.touch()
    with path.open("wb") as file:
        file.truncate(images.MAX_BYTES + 1)  # sparse
    monkeypatch.setattr(Path, "read_bytes", lambda self: pytest.fail("it was read"))
    with pytest.raises(PhotoError, match="larger than 60 MB"):
        open_photo(path)


def test_pixels_are_counted_before_they_are_decoded(monkeypatch):
    monkeypatch.setattr(images, "MAX_PIXELS", 40 * 60 - 1)
    monkeypatch.setattr(images, "_to_rgb", lambda image: pytest.fail("it was decoded"))
    with pytest.raises(PhotoError, match="megapixels"):
        open_photo(encoded(a_picture()))


@pytest.mark.parametrize(("height", "width", "fine"), [(32, 320, True), (32, 321, False), (31, 60, False), (60, 31, False)])
def test_small_and_long_pictures_are_refused(height, width, fine):
    data = encoded(a_picture(height, width))
    if fine:
        assert open_photo(data).rgb.shape == (height, width, 3)
    else:
        with pytest.raises(PhotoError):
            open_photo(data)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("me.jpg", "me.jpg"),
        ("../../etc/passwd.png", "passwd.png"),
        ("C:\\Users\\me\\me.jpg", "me.jpg"),
        ("..", "photo"),
        ("", "photo"),
        ("a/b/", "photo"),
        ("<img src=x onerror=alert(1)>.png", "img src=x onerror=alert(1) .png"),
        ("line\nbreak\x00.png", "linebreak.png"),
        ("innocent\u202egnp.exe", "innocentgnp.exe"),
        ("Zoe\u0308.jpg", "Zoë.jpg"),
        ("  .hidden ", "hidden"),
        ("n" * 100 + ".jpeg", "n" * 54 + "….jpeg"),
        ("n" * 100, "n" * 60),
        ("\ud800.png", "png"),
    ],
)
def test_names_are_made_fit_to_show(name, shown):
    assert display_name(name) == shown


@pytest.mark.parametrize("name", ["../a b<>\u202e\x85.png", "ü" * 500, "\u2028\u200f", "a\\b"])
def test_a_shown_name_fits_a_recipe(name):
    recipe = Recipe(tab="t", verb="v", inputs=({"sha256": "0" * 64, "name": display_name(name)},))
    assert Recipe.from_json(recipe.to_json()) == recipe


def test_a_colour_profile_is_converted():
    lab_free = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = _with_primaries_swapped(lab_free)
    rgb = a_picture()
    plain, converted = open_photo(encoded(rgb, icc_profile=lab_free)).rgb, open_photo(encoded(rgb, icc_profile=swapped)).rgb
    assert np.array_equal(plain, rgb)
    assert np.abs(converted.astype(int) - rgb[..., [2, 1, 0]]).max() <= 3


def _with_primaries_swapped(profile: bytes) -> bytes:
    """sRGB with the names of its red and blue primaries exchanged, under another description."""
    profile = profile.replace(b"rXYZ", b"tmp.").replace(b"bXYZ", b"rXYZ").replace(b"tmp.", b"bXYZ")
    return profile.replace("sRGB".encode("utf-16-be"), "test".encode("utf-16-be")).replace(b"sRGB built-in", b"test built-in")


@pytest.mark.parametrize("profile", [b"junk", bytes(200)])
def test_a_damaged_profile_is_left_out(profile):
    rgb = a_picture()
    assert np.array_equal(open_photo(encoded(rgb, icc_profile=profile)).rgb, rgb)


def source_type(png: bytes) -> str | None:
    """The last part of what the file's metadata say of its making."""
    xmp = ElementTree.fromstring(Image.open(io.BytesIO(png)).text["XML:com.adobe.xmp"])
    source = xmp.findtext(".//{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}DigitalSourceType")
    return source.removeprefix("http://cv.iptc.org/newscodes/digitalsourcetype/")


def test_a_png_says_what_it_is():
    recipe = Recipe(tab="character", verb="translate")
    image = Image.open(io.BytesIO(to_png(a_picture(), recipe)))
    assert np.array_equal(np.asarray(image), a_picture())
    assert image.text["Software"] == "Imaginarium"
    assert Recipe.from_json(image.text["imaginarium:recipe"]) == recipe


@pytest.mark.parametrize("parameters", [None, {}, {"paste": False}, {"paste": 1}])
def test_a_picture_is_the_networks(parameters):
    recipe = None if parameters is None else Recipe(tab="character", verb="translate", parameters=parameters)
    assert source_type(to_png(a_picture(), recipe)) == "trainedAlgorithmicMedia"


def test_a_result_in_its_photo_is_a_composite():
    recipe = Recipe(tab="character", verb="translate", parameters={"paste": True})
    assert source_type(to_png(a_picture(), recipe)) == "compositeWithTrainedAlgorithmicMedia"


def test_a_recipe_can_be_left_out():
    assert b"imaginarium:recipe" not in to_png(a_picture())


@pytest.mark.parametrize("wrong", [np.zeros((8, 8, 3), np.float32), np.zeros((8, 8), np.uint8), np.zeros((8, 8, 4), np.uint8)])
def test_only_pictures_become_png(wrong):
    with pytest.raises(ValueError, match="uint8"):
        to_png(wrong)


def test_float_and_back():
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, 2)
    x = to_float(levels)
    assert x.dtype == np.float32 and x.shape == (3, 16, 16) and x.flags.c_contiguous
    assert (x.min(), x.max()) == (-1, 1)
    assert np.array_equal(to_uint8(x), levels)


def test_uint8_rounds_half_up_and_clamps():
    def level(value):
        return to_uint8(np.full((3, 1, 1), value))[0, 0, 0]

    assert [level(-7), level(7), level(0.0)] == [0, 255, 128]
    assert level(10.5 / 127.5 - 1 - 1e-9) == 10 and level(10.5 / 127.5 - 1 + 1e-9) == 11
    with pytest.raises(ValueError, match="verify its checkpoint"):
        level(np.nan)


def test_resize_averages_what_it_cannot_show():
    checks = np.indices((64, 64)).sum(0) % 2 * 255
    rgb = np.repeat(checks[..., None], 3, 2).astype(np.uint8)
    assert np.abs(resize(rgb, 8).astype(int) - 127).max() <= 3
    assert resize(rgb, (16, 24)).shape == (16, 24, 3)
