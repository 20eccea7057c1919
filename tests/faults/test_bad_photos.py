"""Files that are no photos are refused in one sentence; odd ones that are photos load right."""

import io
import struct
import zipfile
import zlib

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from studio.core.images import PhotoError, open_photo

HEIGHT, WIDTH = 48, 64


def a_picture() -> np.ndarray:
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    return np.stack([255 * x / (WIDTH - 1), 255 * y / (HEIGHT - 1), 255 - 255 * x / (WIDTH - 1)], -1).astype(np.uint8)


def noise() -> np.ndarray:
    """Compresses badly, so that what is cut off is missed."""
    return np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)


def save(image: np.ndarray | Image.Image, kind: str, **options) -> bytes:
    file = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(file, kind, **options)
    return file.getvalue()


def heic(image: np.ndarray, **options) -> bytes:
    file = io.BytesIO()
    pillow_heif.from_pillow(Image.fromarray(image)).save(file, **options)
    return file.getvalue()


def cut(data: bytes, share: float) -> bytes:
    return data[: int(len(data) * share)]


# --- PNG by hand ------------------------------------------------------------------------------------------------------

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def chunk(kind: bytes, body: bytes, crc: int | None = None) -> bytes:
    crc = zlib.crc32(kind + body) if crc is None else crc
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", crc)


def header(width: int, height: int, depth: int = 8, colour: int = 2) -> bytes:
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))


def png(*chunks: bytes) -> bytes:
    return SIGNATURE + b"".join(chunks) + chunk(b"IEND", b"")


def pixels(width: int = WIDTH, height: int = HEIGHT) -> bytes:
    return chunk(b"IDAT", zlib.compress(bytes((width * 3 + 1) * height)))


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]


def png_of_16_bits(rgb: np.ndarray) -> bytes:
    """uint16 (H, W, 3) as a PNG; Pillow writes none."""
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in rgb)
    return png(header(rgb.shape[1], rgb.shape[0], 16), chunk(b"IDAT", zlib.compress(rows)))


# --- others by hand ---------------------------------------------------------------------------------------------------


def a_zip() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("photo.jpg", save(noise(), "JPEG"))
    return file.getvalue()


def bmp(width: int, height: int) -> bytes:
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 2835, 2835, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + info


def gif(width: int, height: int) -> bytes:
    frame = b"," + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\x02\x02\x4c\x01\x00;"
    return b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes(6) + frame


def jpeg_of_size(width: int, height: int) -> bytes:
    data = bytearray(save(noise(), "JPEG"))
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def webp_of_size(width: int, height: int) -> bytes:
    data = bytearray(save(noise(), "WEBP", lossless=True))
    at = data.index(b"VP8L") + 9  # after the chunk's size and the signature byte: two sizes less one, of 14 bits
    (word,) = struct.unpack_from("<I", data, at)
    struct.pack_into("<I", data, at, (word >> 28) << 28 | (height - 1) << 14 | (width - 1))
    return bytes(data)


def tiff_of_size(width: int, height: int) -> bytes:
    data = bytearray(save(noise(), "TIFF"))
    for tag, value in ((256, width), (257, height)):
        at = data.index(struct.pack("<HHI", tag, 4, 1))
        data[at + 8 : at + 12] = struct.pack("<I", value)
    return bytes(data)


def float_tiff(value: float) -> bytes:
    values = np.zeros((HEIGHT, WIDTH), np.float32)
    values[3, 4] = value
    return save(Image.fromarray(values), "TIFF")


def bad_files() -> dict[str, bytes]:
    """Name as uploaded -> bytes."""
    jpeg, png_, webp, gif_, tiff = (save(noise(), kind) for kind in ("JPEG", "PNG", "WEBP", "GIF", "TIFF"))
    progressive, photo = save(noise(), "JPEG", progressive=True), heic(noise())
    idat = png_.index(b"IDAT")
    return {
        "empty.jpg": b"",
        "one byte.jpg": b"\xff",
        "two bytes.jpg": b"\xff\xd8",
        "signature only.png": SIGNATURE,
        "zeros.png": bytes(4096),
        "jpeg header.jpg": jpeg[:20],
        "jpeg quarter.jpg": cut(jpeg, 0.25),
        "jpeg half.jpg": cut(jpeg, 0.5),
        "jpeg most.jpg": cut(jpeg, 0.9),
        "jpeg progressive.jpg": cut(progressive, 0.6),
        "png header.png": png_[:30],
        "png quarter.png": cut(png_, 0.25),
        "png most.png": cut(png_, 0.9),
        "png without its end.png": png_[:-12],
        "webp header.webp": webp[:24],
        "webp half.webp": cut(webp, 0.5),
        "gif header.gif": gif_[:10],
        "gif half.gif": cut(gif_, 0.5),
        "gif most.gif": cut(gif_, 0.9),
        "tiff half.tif": cut(tiff, 0.5),
        "bmp half.bmp": cut(save(noise(), "BMP"), 0.5),
        "heic half.heic": cut(photo, 0.5),
        "heic header.heic": photo[:4] + b"ftypheic" + bytes(64),
        "heic broken boxes.heic": photo[:32] + photo[32:].replace(b"iloc", b"iiii", 1),
        "png bomb.png": png(header(60_000, 60_000), pixels(8, 8)),
        "png of no size.png": png(header(0, 0), pixels(1, 1)),
        "png strip bomb.png": png(header(2**31 - 1, 1), pixels(8, 1)),
        "bmp bomb.bmp": bmp(60_000, 60_000),
        "bmp beyond words.bmp": bmp(2**31 - 1, 2**31 - 1),
        "gif bomb.gif": gif(65_535, 65_535),
        "jpeg bomb.jpg": jpeg_of_size(65_000, 65_000),
        "jpeg larger bomb.jpg": jpeg_of_size(9_000, 9_000),
        "webp bomb.webp": webp_of_size(16_000, 16_000),
        "tiff bomb.tif": tiff_of_size(60_000, 60_000),
        "dot.png": save(np.zeros((1, 1, 3), np.uint8), "PNG"),
        "line.png": save(np.zeros((5000, 1, 3), np.uint8), "PNG"),
        "strip.png": save(np.zeros((40, 800, 3), np.uint8), "PNG"),
        "png header crc.png": flipped(png_, 20),
        "png pixels crc.png": flipped(png_, idat + 200),
        "png crc only.png": png(header(WIDTH, HEIGHT), chunk(b"IDAT", zlib.compress(bytes((WIDTH * 3 + 1) * HEIGHT)), crc=1)),
        "png without pixels.png": png(header(WIDTH, HEIGHT)),
        "png pixels not zlib.png": png(header(WIDTH, HEIGHT), chunk(b"IDAT", b"not compressed")),
        "png text bomb.png": png(header(WIDTH, HEIGHT), chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(80_000_000), 1)), pixels()),
        "png huge chunk.png": SIGNATURE + header(WIDTH, HEIGHT) + b"\x7f\xff\xff\xfftEXtshort",
        "nan.tif": float_tiff(np.nan),
        "infinite.tif": float_tiff(np.inf),
        "zip.jpg": a_zip(),
        "pdf.jpg": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<<>>\nendobj\n",
        "page.jpg": b"\n<!DOCTYPE html><html><body><img src='x'></body></html>",
        "drawing.jpg": b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>',
        "entities.jpg": b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><svg>&a;</svg>',
        "program.jpg": b"MZ\x90\x00" + bytes(200),
        "script.jpg": b"#!/bin/sh\nrm -rf /\n",
        "text.jpg": b"Kein Bild, nur Text." * 50,
        "postscript.jpg": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 100\n",
        "../../etc/passwd.png": b"root:x:0:0:root:/root:/bin/sh\n",
        "C:\\windows\\system32\\config.jpg": b"\x00\x01\x02",
        "/dev/zero": bytes(100),
        "name\nwith\nlines.png": b"nothing",
        "n" * 5000 + ".jpg": b"nothing",
    }


BAD = bad_files()


def test_there_are_fifty_of_them_all_different():
    assert len(BAD) >= 50 and len(set(BAD.values())) >= 50


@pytest.mark.parametrize("name", BAD, ids=lambda name: name[-40:].replace("\n", " "))
def test_a_bad_file_is_refused_in_one_sentence(name):
    with pytest.raises(PhotoError) as caught:
        open_photo(BAD[name], name)
    message = str(caught.value)
    assert message.endswith(".") and "\n" not in message and ". " not in message.removesuffix(".") and len(message) < 200
    assert not any(word in message for word in ("Error", "Traceback", "Exception", "PIL", "0x", "/", "\\", "None"))


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("empty.jpg", "empty.jpg is empty"),
        ("png bomb.png", "more than 50 megapixels"),
        ("jpeg larger bomb.jpg", "more than 50 megapixels"),
        ("webp bomb.webp", "more than 50 megapixels"),
        ("dot.png", "only 1 x 1 pixels"),
        ("strip.png", "a strip of 800 x 40 pixels"),
        ("jpeg half.jpg", "damaged"),
        ("pdf.jpg", "is a PDF"),
        ("page.jpg", "is a web page"),
        ("drawing.jpg", "is an SVG drawing"),
        ("zip.jpg", "is a zip archive"),
        ("program.jpg", "is a program"),
        ("text.jpg", "no picture"),
        ("../../etc/passwd.png", "passwd.png is no picture"),
    ],
)
def test_the_sentence_says_what_is_wrong(name, says):
    with pytest.raises(PhotoError, match=says):
        open_photo(BAD[name], name)


# --- odd, but good ----------------------------------------------------------------------------------------------------


def difference(data: bytes, expected: np.ndarray) -> float:
    rgb = open_photo(data).rgb
    assert rgb.shape == expected.shape and rgb.dtype == np.uint8
    return float(np.abs(rgb.astype(int) - expected).max())


def test_cmyk_jpeg():
    cmyk = Image.fromarray(a_picture()).convert("CMYK")
    assert difference(save(cmyk, "JPEG", quality=100, subsampling=0), a_picture()) <= 6


def test_grey_of_8_and_of_1_bit():
    grey = np.asarray(Image.fromarray(a_picture()).convert("L"))
    assert difference(save(grey, "PNG"), np.repeat(grey[..., None], 3, 2)) == 0
    stripes = np.zeros((HEIGHT, WIDTH), bool)
    stripes[::2] = True
    assert difference(save(Image.fromarray(stripes), "PNG"), np.repeat(stripes[..., None] * 255, 3, 2)) == 0


def test_grey_of_16_bits_spans_the_full_scale():
    grey = np.linspace(0, 65535, HEIGHT * WIDTH).reshape(HEIGHT, WIDTH).astype(np.uint16)
    expected = np.repeat(np.round(grey[..., None] / 257), 3, 2)
    assert difference(save(Image.fromarray(grey), "PNG"), expected) <= 1
    assert difference(save(Image.fromarray(grey), "TIFF"), expected) <= 1


def test_dark_grey_of_16_bits_stays_dark():
    assert open_photo(save(Image.fromarray(np.full((HEIGHT, WIDTH), 514, np.uint16)), "PNG")).rgb.max() == 2


def test_colour_of_16_bits():
    assert difference(png_of_16_bits(a_picture().astype(np.uint16) * 257), a_picture()) <= 1


@pytest.mark.parametrize(("top", "level"), [(1.0, 255), (255.0, 255), (65535.0, 255), (0.5, 128)])
def test_floating_point_tiff(top, level):
    values = np.linspace(0, top, HEIGHT * WIDTH, dtype=np.float32).reshape(HEIGHT, WIDTH)
    rgb = open_photo(save(Image.fromarray(values), "TIFF")).rgb
    assert (rgb.min(), rgb.max()) == (0, level)


def test_transparency_is_laid_on_white():
    alpha = np.zeros((HEIGHT, WIDTH, 1), np.uint8)
    alpha[:, : WIDTH // 2] = 255
    expected = np.where(alpha > 0, a_picture(), 255)
    assert difference(save(np.dstack([a_picture(), alpha]), "PNG"), expected) == 0
    assert difference(save(np.dstack([a_picture(), alpha]), "WEBP", lossless=True), expected) == 0


def test_half_transparent_grey():
    grey_alpha = np.zeros((HEIGHT, WIDTH, 2), np.uint8)
    grey_alpha[..., 1] = 128
    assert difference(save(Image.fromarray(grey_alpha, "LA"), "PNG"), np.full((HEIGHT, WIDTH, 3), 127)) <= 1


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_palette_with_a_transparent_colour(kind):
    index = np.zeros((HEIGHT, WIDTH), np.uint8)
    index[:, 20:] = 1
    index[:, 40:] = 2
    image = Image.fromarray(index, "P")
    image.putpalette([200, 10, 20, 0, 90, 0, 9, 9, 9])
    expected = np.array([[200, 10, 20], [0, 90, 0], [255, 255, 255]])[index]
    assert difference(save(image, kind, transparency=2), expected) == 0


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_the_first_frame_of_several(kind):
    colours = [(250, 0, 0), (0, 250, 0), (0, 0, 250)]
    frames = [Image.new("RGB", (WIDTH, HEIGHT), colour) for colour in colours]
    data = save(frames[0], kind, save_all=True, append_images=frames[1:], **({"lossless": True} if kind == "WEBP" else {}))
    assert difference(data, np.tile(np.array(colours[0]), (HEIGHT, WIDTH, 1))) <= 1


UPRIGHT = {
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a.transpose(1, 0, 2)[::-1, ::-1],
    8: lambda a: np.rot90(a),
}


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", UPRIGHT)
def test_exif_orientation_is_applied(kind, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = save(a_picture(), kind, exif=exif, quality=100, **({"lossless": True} if kind == "WEBP" else {}))
    rgb = open_photo(data).rgb
    expected = UPRIGHT[orientation](a_picture())
    assert rgb.shape == expected.shape and np.abs(rgb.astype(int) - expected).mean() < 4


@pytest.mark.parametrize(
    "exif",
    [
        b"Exif\0\0",
        b"Exif\0\0junk that is no TIFF",
        b"Exif\0\0II*\0\xff\xff\xff\xff",
        b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x63\0\0\0",  # orientation 99
        b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x02\0\x05\0\0\0\xff\xff\xff\x7f",  # orientation is a text, far outside
        b"Exif\0\0MM\0*\0\0\0\x08\xff\xff",
    ],
    ids=range(6),
)
@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
@pytest.mark.filterwarnings("ignore:Corrupt EXIF", "ignore:Truncated File Read")
def test_a_damaged_exif_block_does_not_spoil_the_picture(kind, exif):
    assert difference(save(a_picture(), kind, exif=exif, quality=100), a_picture()) <= 40


def test_heic():
    assert difference(heic(a_picture(), quality=-1, chroma=444), a_picture()) <= 4


def test_bytes_after_the_end_are_ignored():
    assert difference(save(a_picture(), "PNG") + b"a motion photo's video" * 100, a_picture()) == 0
