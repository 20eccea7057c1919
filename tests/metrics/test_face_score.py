"""Viola-Jones on a public-domain portrait (scikit-image's astronaut) and on pictures without anybody."""

import threading

import numpy as np
import pytest
from PIL import Image
from skimage import data

from studio.metrics.face_score import face_score, has_face


@pytest.fixture(scope="module")
def head() -> np.ndarray:
    return data.astronaut()[20:200, 140:320]


@pytest.fixture(scope="module")
def nobody() -> np.ndarray:
    return data.astronaut()[300:480, 0:180]


@pytest.mark.parametrize("side", [32, 64, 128, 180])
def test_a_face_is_found_at_every_resolution_a_network_has(head, side):
    assert has_face(np.asarray(Image.fromarray(head).resize((side, side), Image.Resampling.LANCZOS)))


def test_nobody_is_found_where_nobody_is(nobody):
    assert not has_face(nobody)
    assert not has_face(np.zeros((64, 64, 3), np.uint8))


def test_a_small_face_in_the_corner_does_not_count(head):
    picture = np.full((180, 180, 3), 128, np.uint8)
    picture[:60, :60] = np.asarray(Image.fromarray(head).resize((60, 60)))
    assert not has_face(picture)


def test_the_score_is_the_share_of_pictures(head, nobody):
    assert face_score([head, nobody, head, nobody]) == 0.5
    assert face_score(iter([head])) == 1.0


def test_threads_get_the_same_answers(head, nobody):
    answers: list[list[bool]] = []
    threads = [threading.Thread(target=lambda: answers.append([has_face(head), has_face(nobody)])) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [[True, False]] * 4


@pytest.mark.parametrize("image", [np.zeros((8, 8, 3), np.float32), np.zeros((8, 8), np.uint8), np.zeros((8, 8, 4), np.uint8)])
def test_other_arrays_are_refused(image):
    with pytest.raises(ValueError, match="uint8 pictures"):
        has_face(image)


def test_no_picture_has_no_score():
    with pytest.raises(ValueError, match="at least one"):
        face_score([])
