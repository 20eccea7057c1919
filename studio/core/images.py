"""Photo bytes to a safe RGB array, and results back to PNG files that say what they are.

Every limit is checked on the header, before any pixel is decoded; whatever is refused is refused in one sentence.
"""

from __future__ import annotations

import hashlib
import io
import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, PngImagePlugin, UnidentifiedImageError

from studio.core.recipe import RECIPE_KEY, Recipe

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")  # and HEIF, once its opener is registered
MAX_BYTES = 60_000_000
MAX_PIXELS = 50_000_000
MIN_SIDE = 32
MAX_ASPECT = 10
MAX_NAME = 60

# https://cv.iptc.org/newscodes/digitalsourcetype: made by a network trained on pictures, wholly or as a part of a photo.
SOURCE_TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
SOURCE_TYPE = SOURCE_TYPES + "trainedAlgorithmicMedia"
COMPOSITE_TYPE = SOURCE_TYPES + "compositeWithTrainedAlgorithmicMedia"
XMP_KEY = "XML:com.adobe.xmp"

# What artists drop by mistake, by its first bytes.
_MISTAKES = (
    (b"%PDF", "a PDF"),
    (b"PK\x03\x04", "a zip archive or an office document"),
    (b"MZ", "a program"),
    (b"\x7fELF", "a program"),
    (b"<svg", "an SVG drawing"),
    (b"<?xml", "an XML document or SVG drawing"),
    (b"<!doctype html", "a web page"),
    (b"<html", "a web page"),
    (b"8BPS", "a Photoshop document"),
)
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")

# EXIF orientation -> what turns the stored picture upright.
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class PhotoError(ValueError):
    """A photo that cannot be used; the message is one sentence for the artist."""


@dataclass(frozen=True, eq=False)
class Photo:
    """``rgb`` uint8 (H, W, 3), upright, sRGB, read-only; ``sha256`` of the file; ``name`` to show."""

    rgb: np.ndarray
    sha256: str
    name: str


def display_name(name: str) -> str:
    """``name`` made fit to be shown: its last path component, without control characters or those that markup and file
    systems give a meaning, at most 60 characters, "photo" if nothing is left. It is never used to open a file."""
    name = unicodedata.normalize("NFC", name[-1000:].replace("\\", "/").rsplit("/", 1)[-1])
    name = "".join(c for c in name if unicodedata.category(c)[0] != "C")  # control, text direction, surrogates
    name = re.sub(r'[<>:"|?*\s]+', " ", name).strip(" .")
    stem, dot, suffix = name.rpartition(".")
    if len(name) > MAX_NAME and dot and len(suffix) <= 5:
        name = f"{stem[: MAX_NAME - len(suffix) - 2]}….{suffix}"
    return name[:MAX_NAME] or "photo"


def open_photo(data: bytes | Path, name: str = "") -> Photo:
    """Reads a JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF or HEIC picture; of an animation the first frame.

    The picture is turned upright by its EXIF tag, converted to sRGB by its colour profile and laid on white where it is
    transparent; all metadata are dropped.

    Raises:
        PhotoError: it is too large, too small, too long, damaged, or no picture.
    """
    if isinstance(data, Path):
        name, data = name or data.name, _read(data, display_name(name or data.name))
    name = display_name(name)
    _check_bytes(len(data), name)
    try:
        with _open(data, name) as image:
            _check_size(*image.size, name)
            rgb = _to_rgb(image)
    except PhotoError:
        raise
    except Image.DecompressionBombError as error:
        raise PhotoError(_too_many_pixels(name)) from error
    except Exception as error:  # decoders meet hostile bytes with any exception there is; the artist gets one sentence
        raise PhotoError(f"{name} is damaged and cannot be read to its end: save or download it again.") from error
    rgb.setflags(write=False)
    return Photo(rgb, hashlib.sha256(data).hexdigest(), name)


def _read(path: Path, name: str) -> bytes:
    if path.is_dir():
        raise PhotoError(f"{name} is a folder: name the photos in it, such as {name}/*.jpg.")
    try:
        _check_bytes(path.stat().st_size, name)
        return path.read_bytes()
    except OSError as error:
        raise PhotoError(f"{name} could not be opened: check that the file exists and may be read.") from error


def _check_bytes(size: int, name: str) -> None:
    if size == 0:
        raise PhotoError(f"{name} is empty: save or download it again.")
    if size > MAX_BYTES:
        raise PhotoError(f"{name} is larger than {MAX_BYTES // 1_000_000} MB: save it as a JPEG or make it smaller.")


def _too_many_pixels(name: str) -> str:
    return f"{name} has more than {MAX_PIXELS // 1_000_000} megapixels: make it smaller and try again."


def _check_size(width: int, height: int, name: str) -> None:
    if width * height > MAX_PIXELS:
        raise PhotoError(_too_many_pixels(name))
    if min(width, height) < MIN_SIDE:
        raise PhotoError(f"{name} is only {width} x {height} pixels: use a picture of at least {MIN_SIDE} x {MIN_SIDE}.")
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise PhotoError(f"{name} is a strip of {width} x {height} pixels: crop it to the part that you want.")


def _open(data: bytes, name: str) -> Image.Image:
    """The picture with only its header read. Raises ``PhotoError`` if it is no picture of a known kind."""
    if data[4:8] == b"ftyp" and data[8:12] in _HEIF_BRANDS:
        _register_heif()
        return Image.open(io.BytesIO(data), formats=["HEIF"])
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except UnidentifiedImageError as error:
        raise PhotoError(_not_a_picture(data, name)) from error
    if image.format == "PNG":  # Pillow skips the check sums of pixel chunks when it decodes
        Image.open(io.BytesIO(data), formats=["PNG"]).verify()
    return image


@lru_cache(maxsize=1)
def _register_heif() -> None:
    import pillow_heif  # its codec library is large, and most photos are something else

    pillow_heif.register_heif_opener()


def _not_a_picture(data: bytes, name: str) -> str:
    head = data[:64].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    for signature, kind in _MISTAKES:
        if head.startswith(signature.lower()):
            return f"{name} is {kind}, not a photo: use a JPEG, PNG, WebP or HEIC picture."
    return f"{name} is no picture that the studio can read: use a JPEG, PNG, WebP or HEIC file."


def _to_rgb(image: Image.Image) -> np.ndarray:
    """Decodes; uint8 (H, W, 3), upright, sRGB, opaque."""
    image.load()
    orientation, profile = _orientation(image), image.info.get("icc_profile")
    if image.mode.startswith(("I", "F")):
        image, profile = _eight_bits(image), None
    elif image.has_transparency_data:
        image = _on_white(image)
    elif image.mode in ("P", "1"):
        image = image.convert("RGB")
    if profile:
        image = _to_srgb(image, profile)
    image = image.convert("RGB")
    if orientation in _UPRIGHT:
        image = image.transpose(_UPRIGHT[orientation])
    return np.array(image)


def _orientation(image: Image.Image) -> int:
    try:
        return image.getexif().get(0x0112, 1)
    except Exception:  # a damaged EXIF block fails in a dozen ways, and none of them spoils the picture
        return 1


def _eight_bits(image: Image.Image) -> Image.Image:
    """Grey of 16 or 32 bits or floating point to 8 bits, from the smallest usual full scale that holds every value."""
    values = np.asarray(image).astype(np.float64)
    if not np.isfinite(values).all():
        raise ValueError("not a number")
    scales = [65535.0] if image.mode.startswith("I;16") else [255.0, 65535.0] if image.mode == "I" else [1.0, 255.0, 65535.0]
    top = values.max()
    scale = next((s for s in scales if top <= s), top)
    return Image.fromarray((values.clip(0) * (255 / scale) + 0.5).astype(np.uint8))


def _on_white(image: Image.Image) -> Image.Image:
    image = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")


def _to_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """By the picture's colour profile; as it is, if the profile is sRGB already, damaged or of another colour space."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "srgb" in ImageCms.getProfileDescription(source).lower():
            return image
        return ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return image


def source_xmp(source_type: str = SOURCE_TYPE) -> str:
    """The XMP packet that tells other programs how a picture was made."""
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/">'
        f"<Iptc4xmpExt:DigitalSourceType>{source_type}</Iptc4xmpExt:DigitalSourceType>"
        '</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="r"?>'
    )


def to_png(rgb: np.ndarray, recipe: Recipe | None = None) -> bytes:
    """``rgb`` uint8 (H, W, 3) as a PNG that says it was made by a trained network and carries its recipe, if given. Where the
    recipe puts the result back into its photo (``paste``), it says that only a part was.

    Raises:
        ValueError: the array is no picture.
        RecipeError: the recipe is too large to be read back.
    """
    if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3:
        raise ValueError(f"A picture is uint8 (H, W, 3), not {rgb.dtype} {rgb.shape}.")
    text = PngImagePlugin.PngInfo()
    text.add_text("Software", "Imaginarium")
    pasted = recipe is not None and recipe.parameters.get("paste") is True
    text.add_itxt(XMP_KEY, source_xmp(COMPOSITE_TYPE if pasted else SOURCE_TYPE))
    if recipe is not None:
        text.add_itxt(RECIPE_KEY, recipe.to_json())
    file = io.BytesIO()
    Image.fromarray(rgb).save(file, "PNG", pnginfo=text)
    return file.getvalue()


def to_float(rgb: np.ndarray) -> np.ndarray:
    """uint8 (H, W, 3) to float32 (3, H, W) in [-1, 1], as networks take it."""
    return np.ascontiguousarray(rgb.transpose(2, 0, 1), dtype=np.float32) / 127.5 - 1


def to_uint8(x: np.ndarray) -> np.ndarray:
    """(3, H, W) in [-1, 1] to uint8 (H, W, 3), rounded half up; what lies outside is clamped.

    Raises:
        ValueError: a value is not a number.
    """
    if np.isnan(x).any():
        raise ValueError("The network's answer is not a picture: verify its checkpoint.")
    return np.floor((x.transpose(1, 2, 0).clip(-1, 1) + 1) * 127.5 + 0.5).astype(np.uint8)


def resize(rgb: np.ndarray, size: int | tuple[int, int]) -> np.ndarray:
    """uint8 (H, W, 3) resampled, without aliasing, to ``size`` px: the side of a square, or (height, width)."""
    height, width = (size, size) if isinstance(size, int) else size
    return np.array(Image.fromarray(rgb).resize((width, height), Image.Resampling.LANCZOS))
