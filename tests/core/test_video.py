"""Films, read back with the libraries that players use."""

from __future__ import annotations

import io

import av
import numpy as np
import pytest
from PIL import Image

from studio.core.video import LONGEST, encode, enlarge, there_and_back, to_gif, to_mp4, to_webp


def fade(count: int = 6, height: int = 32, width: int = 48) -> list[np.ndarray]:
    """Frames from dark to bright red."""
    return [np.full((height, width, 3), (40 * i, 20, 20), np.uint8) for i in range(count)]


def test_an_mp4_is_h264_with_even_sides_and_its_index_in_front():
    data = to_mp4(fade(6, 33, 47), rate=12)
    assert data.index(b"moov") < data.index(b"mdat")
    with av.open(io.BytesIO(data)) as container:
        stream = container.streams.video[0]
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert (stream.width, stream.height) == (188, 132) and float(stream.average_rate) == 12
        assert "trainedAlgorithmicMedia" in container.metadata["comment"]
    assert len(frames) == 6
    for i, frame in enumerate(frames):
        assert abs(frame[..., 0].mean() - 40 * i) < 6


@pytest.mark.parametrize(("make", "marks"), [(to_gif, b"trainedAlgorithmicMedia"), (to_webp, b"trainedAlgorithmicMedia")])
def test_loops_play_for_ever_and_say_how_they_were_made(make, marks):
    data = make(fade(), rate=10)
    with Image.open(io.BytesIO(data)) as image:
        assert image.n_frames == 6 and image.size == (192, 128) and image.info["loop"] == 0
        for i in range(6):
            image.seek(i)
            assert abs(np.asarray(image.convert("RGB"))[..., 0].mean() - 40 * i) < 8
        assert image.info["duration"] == 100
    assert marks in data


def test_a_gif_keeps_one_palette_so_that_what_stands_still_does_not_flicker():
    first = np.random.default_rng(0).integers(0, 256, (16, 32, 3), np.uint8)
    second = first.copy()
    second[:, 20:] = (0, 200, 90)  # the left part stands still
    with Image.open(io.BytesIO(to_gif([first, second], 10))) as image:
        before = np.asarray(image.convert("RGB"))[:, :64]
        image.seek(1)
        after = np.asarray(image.convert("RGB"))[:, :64]
    assert np.abs(after.astype(int) - before).mean() < 0.5  # only the dither's noise creeps in from the right


@pytest.mark.parametrize(("shape", "large"), [((64, 64), (256, 256)), ((64 * 11, 64), (LONGEST, 138)), ((3, 5), (12, 20))])
def test_frames_are_enlarged_as_far_as_a_phone_plays_them(shape, large):
    assert enlarge(np.zeros((*shape, 3), np.uint8)).shape == (*large, 3)


def test_there_and_back_holds_both_ends_and_never_jumps():
    order = [int(frame[0, 0, 0]) // 40 for frame in there_and_back(fade(4), pause=2)]
    assert order == [0, 0, 0, 1, 2, 3, 3, 3, 2, 1]


def test_impossible_films_are_refused():
    for make in (to_mp4, to_gif, to_webp):
        with pytest.raises(ValueError, match="at least one frame"):
            make([], 10)
    with pytest.raises(ValueError, match="'avi'; there is mp4, gif, webp"):
        encode(fade(), 10, "avi")
