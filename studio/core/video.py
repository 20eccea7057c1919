"""Frames to films: MP4 that plays everywhere, and GIF and animated WebP that loop."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from studio.core.images import resize, source_xmp

ENLARGE = 4  # 64 px are too few to watch
LONGEST = 1536  # px, of a film's longer side: every phone plays that
FORMATS = {"mp4": "video/mp4", "gif": "image/gif", "webp": "image/webp"}
# What players and search engines show of a file; MP4 and GIF have no field for the IPTC digital source type itself.
MADE_BY = "Imaginarium. Made by a trained network (IPTC digital source type: trainedAlgorithmicMedia)."


def enlarge(frame: np.ndarray) -> np.ndarray:
    """``frame`` uint8 (H, W, 3) four times as large (Lanczos), less if that is over ``LONGEST``; both sides even."""
    height, width = frame.shape[:2]
    scale = min(ENLARGE, LONGEST / max(height, width))
    return resize(frame, (max(2, int(height * scale) // 2 * 2), max(2, int(width * scale) // 2 * 2)))


def to_mp4(frames: Sequence[np.ndarray], rate: int) -> bytes:
    """H.264 in an MP4 with its index in front (faststart), 4:2:0, for browsers, phones and messengers.

    Args:
        frames: uint8 (H, W, 3), all of one size; enlarged as :func:`enlarge` says.
        rate: frames per second.

    Raises:
        ValueError: there are no frames.
    """
    import av  # its codecs are large, and most visits make no film

    enlarged = _enlarged(frames)
    height, width = enlarged[0].shape[:2]
    with tempfile.TemporaryDirectory() as folder:  # the index can only be put in front of a file that can be read again
        path = Path(folder) / "film.mp4"
        with av.open(str(path), "w", options={"movflags": "+faststart"}) as container:
            container.metadata["comment"] = MADE_BY
            stream = container.add_stream("libx264", rate=rate, options={"crf": "17", "preset": "veryfast"})
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            for frame in enlarged:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
            container.mux(stream.encode())
        return path.read_bytes()


def to_gif(frames: Sequence[np.ndarray], rate: int) -> bytes:
    """A GIF that loops, its 256 colours chosen from all frames so that they do not flicker; arguments as of :func:`to_mp4`."""
    enlarged = [Image.fromarray(frame) for frame in _enlarged(frames)]
    palette = _palette(enlarged)
    drawn = [image.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG) for image in enlarged]
    return _animated(drawn, "GIF", rate, comment=MADE_BY.encode(), optimize=False, disposal=1)


def to_webp(frames: Sequence[np.ndarray], rate: int) -> bytes:
    """An animated WebP that loops; arguments as of :func:`to_mp4`."""
    enlarged = [Image.fromarray(frame) for frame in _enlarged(frames)]
    return _animated(enlarged, "WEBP", rate, xmp=source_xmp().encode(), quality=80, method=2)


def encode(frames: Sequence[np.ndarray], rate: int, kind: str) -> bytes:
    """A film of a ``kind`` of ``FORMATS``. Raises ``ValueError`` for another one."""
    if kind not in FORMATS:
        raise ValueError(f"There is no film format {kind!r}; there is {', '.join(FORMATS)}.")
    return {"mp4": to_mp4, "gif": to_gif, "webp": to_webp}[kind](frames, rate)


def there_and_back(frames: Sequence[np.ndarray], pause: int) -> Iterator[np.ndarray]:
    """The frames, both ends held for ``pause`` frames more, and the way back, so that a film that loops does not jump."""
    yield from (frames[0] for _ in range(pause))
    yield from frames
    yield from (frames[-1] for _ in range(pause))
    yield from reversed(frames[1:-1])


def _enlarged(frames: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Each frame enlarged, once if it comes again. Raises ``ValueError`` without frames."""
    if not len(frames):
        raise ValueError("A film needs at least one frame.")
    large: dict[int, np.ndarray] = {}
    for frame in frames:
        if id(frame) not in large:
            large[id(frame)] = enlarge(frame)
    return [large[id(frame)] for frame in frames]


def _palette(images: Sequence[Image.Image]) -> Image.Image:
    """256 colours for all pictures together, from at most sixteen of them."""
    some = images[:: max(1, len(images) // 16)]
    joined = Image.new("RGB", (some[0].width, some[0].height * len(some)))
    for row, image in enumerate(some):
        joined.paste(image, (0, row * image.height))
    return joined.quantize(256, Image.Quantize.MEDIANCUT)


def _animated(images: Sequence[Image.Image], kind: str, rate: int, **options: object) -> bytes:
    file = io.BytesIO()
    images[0].save(file, kind, save_all=True, append_images=images[1:], duration=round(1000 / rate), loop=0, **options)
    return file.getvalue()
