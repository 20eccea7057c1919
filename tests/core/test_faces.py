from functools import lru_cache

import numpy as np
import pytest
from skimage import data

from studio.core import faces
from studio.core.engine import Engine
from studio.core.faces import (
    FRAMES,
    Crop,
    FaceError,
    align,
    align_centre,
    align_square,
    align_whole,
    corners_of,
    find_faces,
    lay_on,
    lay_on_edges,
    paste_back,
    warp_mask,
    within,
)

ASTRONAUT_EYES = np.array([[203.7, 101.0], [246.5, 103.5]])  # by hand, on the picture enlarged


@lru_cache
def astronaut() -> np.ndarray:
    """A public-domain photograph of a person, uint8 (512, 512, 3)."""
    return data.astronaut()


def compass(height: int = 240, width: int = 320) -> np.ndarray:
    """Red tells x, green tells y (continuous coordinates of pixel centres, scaled to 0-255)."""
    y, x = np.mgrid[0:height, 0:width] + 0.5
    return np.stack([x * 255 / width, y * 255 / height, np.full((height, width), 77.0)], -1).round().astype(np.uint8)


def apply(matrix: np.ndarray, points) -> np.ndarray:
    return np.asarray(points, float) @ matrix[:, :2].T + matrix[:, 2]


def taken_from(crop: Crop, points) -> np.ndarray:
    """Where in the photo points of the crop come from."""
    return (points - crop.matrix[:, 2]) @ np.linalg.inv(crop.matrix[:, :2]).T


class Oracle:
    """A landmark network that knows where the eyes are in a compass picture, since a crop's colours tell where it was taken."""

    def __init__(self, pairs, shape=(240, 320)):
        self.pairs, self.shape, self.batches = np.array(pairs, float), shape, []

    def run(self, card_id, image):
        assert card_id == "landmarks-64" and image.shape[1:] == (3, 64, 64) and image.dtype == np.float32
        self.batches.append(len(image))
        answers = [self.look(crop) for crop in image]
        return {"eyes": np.stack([a[0] for a in answers]), "face": np.array([a[1] for a in answers], np.float32)}

    def look(self, crop):
        """The pair nearest to the crop's centre, in the crop's units, and whether it is a face that fills the crop."""
        inside = slice(16, 48)  # away from reflected borders
        v, u = (np.mgrid[0:64, 0:64] + 0.5)[:, inside, inside] / 64
        x, y = ((crop[i, inside, inside] + 1) / 2 * self.shape[1 - i] for i in (0, 1))
        here = np.stack([np.ones(u.size), x.ravel(), y.ravel()], 1)
        fit = np.linalg.lstsq(here, np.stack([u.ravel(), v.ravel()], 1), rcond=None)[0]  # photo -> crop
        eyes = np.concatenate([np.ones((len(self.pairs), 2, 1)), self.pairs], 2) @ fit
        off = np.linalg.norm(eyes.mean(1) - 0.5, axis=1)
        best = off.argmin()
        return eyes[best].astype(np.float32), 4.0 if off[best] < 0.25 else -4.0


def proposing(monkeypatch, *boxes):
    """Cascades that see these boxes (x, y, w, h of the work picture), each as often as its place in the list."""
    hits = [(i, box) for i, box in enumerate(boxes)]
    monkeypatch.setattr(faces, "_work_picture", lambda rgb: rgb[..., 0].copy())
    monkeypatch.setattr(faces, "_frontal", lambda grey: hits)
    monkeypatch.setattr(faces, "_others", lambda grey: [])


# --- find -------------------------------------------------------------------------------------------------------------


def test_the_cascades_find_the_astronaut():
    boxes = faces._distinct(faces._frontal(faces._work_picture(astronaut())))
    x, y, w, h = boxes[0]  # the one with most hits
    middle = ASTRONAUT_EYES.mean(0)
    assert x < middle[0] < x + w and y < middle[1] < y + h and 2 < w / 43 < 3


@pytest.mark.parametrize("tilt", [-25, 0, 10, 40])
def test_eyes_are_taken_back_to_the_photo_exactly(monkeypatch, tilt):
    d = 30 * np.exp(1j * np.radians(tilt))
    eyes = [[[160 - d.real / 2, 100 - d.imag / 2], [160 + d.real / 2, 100 + d.imag / 2]]]
    proposing(monkeypatch, (125, 75, 70, 70))
    (face,) = find_faces(Oracle(eyes), compass())
    assert face.eyes.dtype == np.float32
    assert np.abs(face.eyes - eyes[0]).max() < 0.75  # a level of colour is 1.25 px
    assert face.score == pytest.approx(1 / (1 + np.exp(-4)))


def test_all_candidates_are_one_batch_and_the_second_look_another(monkeypatch):
    oracle = Oracle([[[70, 100], [90, 100]], [[200, 100], [240, 100]]])
    proposing(monkeypatch, (55, 80, 50, 50), (172, 60, 100, 100), (0, 180, 60, 60))
    found = find_faces(oracle, compass())
    assert oracle.batches == [3, 2]
    assert [round(float(face.eyes[:, 0].mean())) for face in found] == [220, 80], "largest first"


def test_two_candidates_for_one_face_are_one(monkeypatch):
    proposing(monkeypatch, (125, 70, 70, 70), (135, 80, 40, 40))
    assert len(find_faces(Oracle([[[145, 100], [175, 100]]]), compass())) == 1


def test_the_box_lies_around_the_face_and_inside_the_picture(monkeypatch):
    proposing(monkeypatch, (0, 0, 76, 76))
    (face,) = find_faces(Oracle([[[20, 20], [50, 20]]]), compass())
    x, y, w, h = face.box
    assert (x, y) == (0, 0) and w == pytest.approx(35 + 1.27 * 30, abs=2) and h == pytest.approx(29 + 1.27 * 30, abs=2)


def test_no_face_is_an_empty_tuple(monkeypatch):
    oracle = Oracle([[[145, 100], [175, 100]]])
    proposing(monkeypatch, (0, 180, 40, 40))
    assert find_faces(oracle, compass()) == ()
    proposing(monkeypatch)
    assert find_faces(oracle, compass()) == ()


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_photo_on_its_side_is_understood(monkeypatch, turns):
    """The cascades see the face only once the picture is turned back; where its eyes are is told in the photo's own pixels."""
    upright = np.array([[[130.0, 100.0], [170.0, 100.0]]])
    x, y, box = upright[..., 0], upright[..., 1], (100, 60, 100, 100)
    lying = {1: np.stack([240 - y, x], -1), 2: np.stack([320 - x, 240 - y], -1), 3: np.stack([y, 320 - x], -1)}[turns]
    rgb = compass(*((240, 320) if turns == 2 else (320, 240)))  # np.rot90(rgb, turns) is the upright picture
    seen = []
    monkeypatch.setattr(faces, "_work_picture", lambda rgb: rgb[..., 0].copy())
    monkeypatch.setattr(faces, "_others", lambda grey: [])
    monkeypatch.setattr(faces, "_frontal", lambda grey: seen.append(0) or ([(5, box)] if turn_of(grey, rgb) == turns else []))
    (face,) = find_faces(Oracle(lying, rgb.shape), rgb)
    assert np.abs(face.eyes - lying[0]).max() < 0.75


def turn_of(grey: np.ndarray, rgb: np.ndarray) -> int:
    return next(k for k in range(4) if np.array_equal(grey, np.rot90(rgb[..., 0], k)))


def test_errors_of_the_engine_pass_through():
    class Missing:
        def run(self, card_id, image):
            raise LookupError("the weights are not there")

    with pytest.raises(LookupError, match="not there"):
        find_faces(Missing(), astronaut())


# --- align ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize("size", [64, 128, 256])
def test_the_eyes_come_to_their_place(frame, size):
    rgb, eyes = compass(), np.array([[130.0, 120.0], [168.0, 104.0]])
    crop = align(rgb, eyes, frame, size)
    target = np.array(FRAMES[frame]) * size / 128
    assert crop.image.shape == (size, size, 3) and crop.frame == frame
    assert np.abs(apply(crop.matrix, eyes) - target).max() < 1e-9
    for column, row in target.astype(int):  # and the pixels with them
        x, y = taken_from(crop, [column + 0.5, row + 0.5])
        assert np.abs(crop.image[row, column] - [x * 255 / 320, y * 255 / 240, 77]).max() < 1.5


def test_head_is_the_middle_of_portrait():
    middle = 64 + (np.array(FRAMES["portrait"]) - 64) / 0.76
    assert np.abs(middle - FRAMES["head"]).max() < 0.1


def test_a_frame_in_its_own_place_is_left_alone():
    rgb = np.random.default_rng(0).integers(0, 256, (128, 128, 3), np.uint8)
    assert np.array_equal(align(rgb, FRAMES["portrait"], "portrait", 128).image, rgb)


def test_shrinking_does_not_alias():
    checks = (np.indices((900, 900)).sum(0) % 2 * 255).astype(np.uint8)
    rgb = np.repeat(checks[..., None], 3, 2)
    crop = align(rgb, np.array([[350.0, 420.0], [550.0, 431.0]]), "portrait", 64)
    assert np.abs(crop.image[8:-8, 8:-8].astype(int) - 127).max() <= 12


def test_beyond_the_border_the_photo_is_reflected():
    crop = align(astronaut(), np.array([[8.0, 12.0], [40.0, 12.0]]), "portrait", 64)
    assert (crop.image.max(axis=(0, 2)) > 0).all() and (crop.image.max(axis=(1, 2)) > 0).all()


@pytest.mark.parametrize("eyes", [[[5, 5], [5, 5]], [[5, 5], [6, 5]], [[np.nan, 5], [60, 5]]])
def test_eyes_in_one_place_are_refused(eyes):
    with pytest.raises(FaceError, match="^The two eyes are in the same place: .*[.]$"):
        align(compass(), np.array(eyes, float), "head", 64)


@pytest.mark.parametrize("shape", [(240, 320), (320, 240)])
def test_the_centre_is_the_largest_square(shape):
    crop = align_centre(compass(*shape), 60)
    assert crop.frame == "centre"
    corner = np.array([(shape[1] - 240) / 2, (shape[0] - 240) / 2])
    assert np.abs(apply(crop.matrix, [corner, corner + 240]) - [[0, 0], [60, 60]]).max() < 1e-9
    x, y = corner + 30.5 * 4
    assert np.abs(crop.image[30, 30] - [x * 255 / shape[1], y * 255 / shape[0], 77]).max() <= 1


# --- paste back -------------------------------------------------------------------------------------------------------


def corners(crop: Crop) -> np.ndarray:
    return taken_from(crop, np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) * crop.image.shape[0])


def test_outside_the_crop_every_pixel_is_the_photos():
    rgb = astronaut()
    crop = align(rgb, ASTRONAUT_EYES, "head", 64)
    changed = (paste_back(rgb, np.full((64, 64, 3), 255, np.uint8), crop) != rgb).any(2)
    y, x = np.nonzero(changed)
    low, high = corners(crop).min(0), corners(crop).max(0)
    assert x.min() >= low[0] - 1 and x.max() <= high[0] + 1 and y.min() >= low[1] - 1 and y.max() <= high[1] + 1
    assert changed[103, 225] and 0.05 < changed.mean() < 0.15


@pytest.mark.parametrize("size", [64, 128, 512])
def test_the_middle_is_the_result_at_any_size(size):
    crop = align(astronaut(), ASTRONAUT_EYES, "portrait", 64)
    pasted = paste_back(astronaut(), np.full((size, size, 3), (10, 200, 30), np.uint8), crop)
    x, y = corners(crop).mean(0).astype(int)
    assert (pasted[y - 20 : y + 20, x - 20 : x + 20] == (10, 200, 30)).all()


def test_the_seam_is_soft():
    grey = np.full((300, 300, 3), 100, np.uint8)
    crop = align_centre(grey, 64)
    row = paste_back(grey, np.full((64, 64, 3), 200, np.uint8), crop)[150, :, 0].astype(int)
    assert np.abs(np.diff(row)).max() <= 6 and row[0] == 100 and row[150] == 200


@pytest.mark.parametrize("frame", FRAMES)
def test_pasting_the_crop_itself_changes_nothing_to_see(frame):
    rgb = compass()
    crop = align(rgb, np.array([[130.0, 100.0], [180.0, 112.0]]), frame, 256)
    assert np.abs(paste_back(rgb, crop.image, crop).astype(int) - rgb).max() <= 2


def test_a_face_half_outside_the_photo_is_pasted_where_there_is_photo():
    rgb = compass()
    crop = align(rgb, np.array([[2.0, 4.0], [40.0, 4.0]]), "face", 128)
    pasted = paste_back(rgb, crop.image, crop)
    assert pasted.shape == rgb.shape and np.abs(pasted.astype(int) - rgb).max() <= 3


def test_a_crop_outside_the_photo_leaves_it():
    rgb = compass()
    crop = align(rgb, np.array([[-900.0, -900.0], [-880.0, -900.0]]), "face", 64)
    assert np.array_equal(paste_back(rgb, crop.image, crop), rgb)


def test_the_photo_given_is_not_written_to():
    rgb = compass()
    rgb.setflags(write=False)
    crop = align_centre(rgb, 64)
    assert paste_back(rgb, np.zeros((64, 64, 3), np.uint8), crop) is not rgb


def test_a_change_of_nothing_leaves_every_bit():
    rgb = astronaut()
    crop = align(rgb, ASTRONAUT_EYES, "head", 64)
    assert np.array_equal(lay_on(rgb, np.zeros((64, 64, 3), np.float32), crop), rgb)


def test_a_change_is_added_to_what_the_photo_shows():
    rgb = astronaut() // 2 + 32
    crop = align(rgb, ASTRONAUT_EYES, "head", 64)
    added = lay_on(rgb, np.full((16, 16, 3), 20, np.float32), crop).astype(int) - rgb
    x, y = corners(crop).mean(0).astype(int)
    assert (added[y - 20 : y + 20, x - 20 : x + 20] == 20).all() and added.min() >= 0 and added[0, 0, 0] == 0
    assert np.abs(np.diff(added[y, :, 0])).max() <= 2  # the seam is soft


def test_a_change_is_clamped_not_wrapped():
    white = np.full((64, 64, 3), 250, np.uint8)
    assert lay_on(white, np.full((8, 8, 3), 20, np.float32), align_centre(white, 32))[32, 32].tolist() == [255, 255, 255]


def test_a_change_is_laid_on_along_the_edges():
    rgb = np.zeros((800, 800, 3), np.uint8)
    rgb[:, :400], rgb[:, 400:] = 60, 200
    crop = align_centre(rgb, 64)
    change = np.where((np.arange(64) < 32)[None, :, None], 40, 0) * np.ones((64, 64, 3), np.float32)
    added = lay_on_edges(rgb, change, crop).astype(int) - rgb
    assert (added[400, 250:398] >= 36).all() and (added[400, 402:550] <= 4).all()
    assert added[0, 0].max() == 0 and np.array_equal(lay_on_edges(rgb, 0 * change, crop), rgb)
    soft = lay_on(rgb, change, crop).astype(int) - rgb
    assert soft[400, 395:405].max() - soft[400, 395:405].min() < 36  # without the edges it would be a ramp


def test_all_of_a_picture_is_in_its_square_and_changes_to_its_borders():
    rgb = compass(240, 320)
    crop = align_whole(rgb, 64)
    assert crop.image[32, [0, 63], 0].tolist() == pytest.approx([2, 253], abs=2)  # from side to side
    assert crop.image[[0, 63], 32, 1].tolist() == pytest.approx([2, 253], abs=2)  # from top to bottom
    added = lay_on_edges(np.full_like(rgb, 100), np.full((64, 64, 3), 20, np.float32), crop).astype(int)
    assert (added == 120).all()
    lower = np.zeros((64, 64, 3), np.float32)
    lower[48:] = 40
    changed = lay_on_edges(np.full_like(rgb, 100), lower, crop).astype(int)
    assert (changed[:160] == 100).all() and (changed[200:] == 140).all()


def test_a_crop_is_found_within_another_of_the_same_photo():
    rgb = astronaut()
    inner, outer = (align(rgb, ASTRONAUT_EYES, frame, size) for frame, size in (("face", 64), ("portrait", 200)))
    moved = within(inner, outer)
    eyes = np.array(FRAMES["portrait"]) * 200 / 128
    np.testing.assert_allclose(eyes @ moved.matrix[:, :2].T + moved.matrix[:, 2], np.array(FRAMES["face"]) / 2, atol=1e-6)


def test_a_mask_lies_in_the_crop_where_the_photo_has_it():
    rgb, mask = compass(), np.zeros(compass().shape[:2], bool)
    crop = align_square(rgb, 100.0, 80.0, 64.0, 32)
    mask[80:90, 100:120] = True
    seen = warp_mask(mask, crop)
    assert (seen[16:21, 16:26] > 0.99).all() and seen[:, :14].max() < 0.01 and seen[22:].max() < 0.01
    assert np.allclose(corners_of(crop), [[68, 48], [132, 48], [132, 112], [68, 112]])


# --- the shipped network ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def engine():
    with Engine(device="cpu") as engine:
        yield engine


def test_the_shipped_network_finds_the_astronauts_eyes(engine):
    face = find_faces(engine, astronaut())[0]
    assert np.linalg.norm(face.eyes - ASTRONAUT_EYES, axis=1).max() < 0.1 * 43
    assert face.score > 0.9


def test_the_shipped_network_finds_them_in_a_photo_on_its_side(engine):
    x, y = ASTRONAUT_EYES.T
    face = find_faces(engine, np.rot90(astronaut()))[0]
    assert np.linalg.norm(face.eyes - np.stack([y, 512 - x], 1), axis=1).max() < 0.1 * 43


def test_the_shipped_network_finds_every_person_of_a_photo(engine):
    group = np.concatenate([astronaut(), astronaut()[:, ::-1]], 1)
    mirrored = np.array([1024, 0]) + ASTRONAUT_EYES[::-1] * [-1, 1]
    found = sorted((face.eyes for face in find_faces(engine, group)), key=lambda eyes: eyes[0, 0])
    assert len(found) == 2
    assert np.abs(np.stack(found) - [ASTRONAUT_EYES, mirrored]).max() < 0.15 * 43


def test_the_shipped_network_finds_no_face_in_a_cup_of_coffee(engine):
    assert find_faces(engine, data.coffee()[::2, ::2]) == ()
