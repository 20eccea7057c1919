"""Domains: what is asked of the network, what a photo gets of its answer, and how a result is made again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from studio.core.faces import Face
from studio.core.images import to_float
from studio.core.recipe import Recipe
from studio.metrics.attributes import counts
from studio.pipelines import domains, photos
from studio.pipelines.domains import (
    Cell,
    DomainsRequest,
    cell_with,
    find,
    full_picture,
    picture_at,
    picture_with,
    sheet_of,
    style_file,
    style_of,
    translate,
)
from studio.pipelines.domains_labels import (
    all_targets,
    domains_of,
    label_vector,
    label_words,
    list_domains,
    missing_words,
    read_target,
    target_text,
    target_words,
)
from studio.pipelines.domains_request import MOST_STYLES, request_from_recipe
from studio.pipelines.domains_verdict import Asked
from studio.pipelines.looks import LookError, StyleFile, mix_styles, random_style, style_at
from studio.pipelines.parts import Progress
from studio.pipelines.photos import FaceChoice
from tests.domains import LABELS, SDITS, SEER, DomainsEngine, sdit
from tests.fakes import JUDGE
from tests.makeups import EYES, FACE, GREEN, PARSER, RED, photo_of

SMILE, BLOND, MAN = (("Smiling", True),), (("Blond_Hair", True),), (("Male", True),)


SIDE = 128  # px, of what is shown: the studio's own would take most of the time


@pytest.fixture
def engine(tmp_path, monkeypatch):
    monkeypatch.setattr(domains, "SHOWN", SIDE)
    return DomainsEngine(tmp_path)


def request(**more) -> DomainsRequest:
    """Of the face of a photo in which grey is a little below the middle."""
    return DomainsRequest(**{"photo": photo_of(), "face": FACE, "targets": (SMILE,), "styles": (RED,), **more})


def whole(domains: str = "cars", **more) -> DomainsRequest:
    targets = (((LABELS[domains][0], True),),)
    return DomainsRequest(**{"photo": photo_of(), "domains": domains, "targets": targets, "styles": (RED,), **more})


def made(engine, asked: DomainsRequest):
    *_, result = translate(engine, asked)
    return result


# --- requests -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"domains": "hats"}, "attributes, art, cars"),
        ({"domains": ["art"]}, "attributes, art, cars"),
        ({"targets": ((),)}, "asked for or shall go"),
        ({"targets": ((("Smiling", 1),),)}, "asked for or shall go"),
        ({"targets": (SMILE, SMILE)}, "each thing once"),
        ({"targets": ((*SMILE, ("Smiling", False)),)}, "a label twice"),
        ({"targets": ((("Brown_Hair", True), *BLOND),)}, "one colour"),
        ({"targets": tuple(((f"a{n}", True),) for n in range(25))}, "at most 24"),
        ({"targets": tuple(((f"a{n}", True),) for n in range(24)), "styles": (), "count": 6}, "at most 120"),
        ({"styles": ((1.0, 2.0),)}, "8 numbers"),
        ({"styles": (RED,) * (MOST_STYLES + 1)}, f"1 to {MOST_STYLES}"),
        ({"count": 0}, f"1 to {MOST_STYLES}"),
        ({"seed": -1}, "seed"),
        ({"strength": 1.1}, "between 0"),
        ({"strength": float("nan")}, "between 0"),
        ({"locks": ("hair",)}, "identity, gender"),
        ({"face": FaceChoice(eyes=((200.0, 10.0), (220.0, 10.0)))}, "inside the picture"),
    ],
)
def test_a_request_says_what_to_change(wrong, said):
    with pytest.raises(ValueError, match=said):
        request(**wrong)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"face": FACE}, "photos of people only"),
        ({"locks": ("identity",)}, "photos of people only"),
        ({"targets": ((("blue", True), ("red", True)),)}, "one thing at a time"),
        ({"targets": ((("blue", False),),)}, "one thing at a time"),
    ],
)
def test_a_whole_picture_is_asked_less(wrong, said):
    with pytest.raises(ValueError, match=said):
        whole(**wrong)


def test_a_target_is_text_and_words():
    target = read_target(" Smiling + no:Eyeglasses ")
    assert target == (("Smiling", True), ("Eyeglasses", False)) and target_text(target) == "Smiling+no:Eyeglasses"
    assert target_words(target) == "smiling, no glasses"
    assert [label_words(name) for name in ("Wearing_Hat", "van_gogh", "Grey_Eyes")] == ["hat", "Van Gogh", "Grey Eyes"]
    assert label_words("Grey_Eyes", False) == "not Grey Eyes"
    for text in ("", "Smiling+", "no:"):
        with pytest.raises(ValueError, match="Name what"):
            read_target(text)


# --- networks and labels ------------------------------------------------------------------------------------------------------


def test_what_is_here_is_offered_and_the_rest_is_said(tmp_path, engine):
    assert [info.name for info in list_domains(engine)] == ["attributes", "art", "cars"] and missing_words(engine) == ""
    assert [info.has_attention for info in list_domains(engine)] == [True, False, True]
    some = DomainsEngine(tmp_path / "a", [SDITS[2], SEER])
    assert [info.name for info in list_domains(some)] == ["cars"] and missing_words(some) == "Not here yet: faces and paintings."
    assert missing_words(DomainsEngine(tmp_path / "c", [])) == "Not here yet: faces, paintings and cars."
    with pytest.raises(ValueError, match="network for faces is not here yet: update the studio, or use cars"):
        translate(some, request())
    blind = DomainsEngine(tmp_path / "b", [SDITS[0]])  # nobody says what a photo shows
    with pytest.raises(ValueError, match="no network"):
        domains_of(blind, "attributes")
    with pytest.raises(ValueError, match="no 'Smile' among faces; there is Smiling"):
        translate(engine, request(targets=((("Smile", True),),)))


def test_the_finest_network_is_taken(engine):
    engine.registry.add(replace(sdit("cars"), id="sdit-cars-128", resolution=128))
    assert domains_of(engine, "cars").card.id == "sdit-cars-128"


def test_a_face_is_told_all_that_it_shall_show(engine):
    info = domains_of(engine, "attributes")
    shown = {"Smiling": 0.9, "Male": 0.2, "Pale_Skin": 0.6, "Brown_Hair": 0.8, "Blond_Hair": 0.7, "Eyeglasses": 0.5}

    def told(*target: tuple[str, bool], **seen: float) -> list[float]:
        return label_vector(info, shown | seen, target).tolist()

    assert told(("Male", True)) == [1, 1, 1, 1, 0, 1]  # of two colours of hair the surer one is kept
    assert told(("Smiling", False), ("Eyeglasses", False)) == [0, 0, 1, 1, 0, 0]
    assert told(("Blond_Hair", True)) == [1, 0, 1, 0, 1, 1] and told(("Brown_Hair", False)) == [1, 0, 1, 0, 1, 1]
    assert dict(all_targets(info, shown)[0]) == {"Smiling": False} and dict(all_targets(info, shown)[1]) == {"Male": True}
    assert told(("Male", True), Pale_Skin=0.2)[2] == 1 and told(("Male", True), Pale_Skin=0.1)[2] == 0  # rare, so seldom sure
    assert Asked("Eyeglasses", True, 0.1, 0.6).words == "reads as glasses now"
    cars = domains_of(engine, "cars")
    assert label_vector(cars, None, (("red", True),)).tolist() == [0, 1, 0] and len(all_targets(cars, None)) == 3


# --- the grid -----------------------------------------------------------------------------------------------------------------


def test_cells_come_row_by_row_and_the_result_last(engine):
    steps = list(translate(engine, request(targets=(SMILE, BLOND, MAN), styles=(), count=4, seed=3)))
    cells, result = [step for step in steps if isinstance(step, Cell)], steps[-1]
    assert isinstance(steps[0], Progress) and [(cell.row, cell.column) for cell in cells] == [divmod(n, 4) for n in range(12)]
    assert result.cells == tuple(cells) and result.targets == (SMILE, BLOND, MAN) and result.styles.shape == (4, 8)
    np.testing.assert_array_equal(cells[5].style, random_style(3, 1))
    assert {rows for name, rows in engine.runs if name.startswith("sdit")} == {1, 8, 4}  # the photo as it is, and batches
    fewer = made(engine, request(targets=(BLOND,), styles=(), count=2, seed=3)).cells[1]
    np.testing.assert_array_equal(fewer.image, cells[5].image)  # neither rows nor columns move a cell
    assert len({cell.image.tobytes() for cell in cells}) == 12
    assert result.sheet.shape[1] > 5 * domains.SHEET and result.words == () and result.study is None


def test_it_can_be_stopped_between_cells(engine):
    steps = translate(engine, request(targets=(SMILE, BLOND, MAN), styles=(), count=8))
    while not isinstance(next(steps), Cell):
        pass
    steps.close()
    assert sum(rows for name, rows in engine.runs if name.startswith("sdit")) == 1 + 8


def test_what_a_face_shows_already_is_not_drawn_once_more(engine):
    """Grey is a little below the middle, so that the judge sees a man, whom the network would take green for."""
    result = made(engine, request(styles=((0.0,) * 8,)))
    assert counts("Male", result.found.shows["Male"])
    change = result.cells[0].change.mean((0, 1))
    assert change[0] > 40 and abs(change[1:]).max() < 1
    car = made(engine, whole())
    np.testing.assert_array_equal(car.found.unchanged, to_float(car.found.crop.image))


def test_what_a_face_has_begins_where_the_studio_counts_it(engine):
    """Pale skin at a lower probability than smiles."""
    found = made(engine, request()).found
    seen = replace(found.seen, attributes={"Smiling": 0.4, "Male": 0.6, "Pale_Skin": 0.4})
    assert replace(found, seen=seen).has == {"Male", "Pale_Skin"}
    assert made(engine, whole("art")).found.has == frozenset()


def test_nothing_named_is_everything_turned_round(engine):
    result = made(engine, request(targets=(), photo=photo_of()))
    seen = result.found.shows
    assert [target_text(target) for target in result.targets] == [
        f"no:{name}" if counts(name, seen[name]) else name for name in LABELS["attributes"]
    ]
    assert made(engine, whole("art", targets=())).targets == ((("monet", True),), (("van_gogh", True),))


def test_no_strength_is_the_photo_bit_for_bit(engine):
    for asked in (request(strength=0), whole(strength=0)):
        cell = made(engine, asked).cells[0]
        np.testing.assert_array_equal(cell.image, photo_of().rgb)
        assert cell.verdict.lpips == 0
    assert made(engine, request(strength=0)).cells[0].verdict.id_distance == pytest.approx(0, abs=1e-6)


def test_a_face_changes_and_if_asked_only_where_the_network_attends(engine):
    wide = replace(photo_of(), rgb=np.full((160, 200, 3), 120, np.uint8))
    result = made(engine, request(photo=wide, attention=True))
    added = result.cells[0].image.astype(int) - wide.rgb
    assert added[24, 18, 0] > 20 and abs(added[:, 100:]).max() == 0 and abs(added[140:]).max() == 0
    assert abs(added[24, 60]).max() < abs(added[24, 18]).max() / 4  # the right half of the face
    everywhere = made(engine, request(photo=wide)).cells[0]
    assert (everywhere.image.astype(int) - wide.rgb)[24, 46, 0] > 20
    half = full_picture(result.found, result.cells[0], 0.5).astype(int) - wide.rgb
    assert half[24, 18, 0] == pytest.approx(added[24, 18, 0] / 2, abs=1)


def test_of_a_painting_all_of_it_changes(engine):
    tall = replace(photo_of(), rgb=np.full((200, 90, 3), 120, np.uint8))
    cell = made(engine, whole("art", photo=tall)).cells[0]
    added = cell.image.astype(int) - tall.rgb
    assert added[..., 0].min() > 50 and cell.attention is None and cell.overlay is None and cell.verdict.attention is None
    assert cell.picture.shape == (SIDE, 58, 3) and cell.drawn.shape == (16, 16, 3)
    assert made(engine, whole("art")).found.picture.shape == (64, 72, 3)  # no larger than it is


def test_attention_is_light_on_the_photo(engine):
    cell = made(engine, request(photo=replace(photo_of(), rgb=np.full((160, 200, 3), 120, np.uint8)))).cells[0]
    assert cell.attention.shape == (16, 16) and cell.verdict.attention == 0.5
    assert cell.overlay.shape == cell.picture.shape == (SIDE, SIDE, 3)
    assert cell.overlay[64, 33].min() == 120 and cell.overlay[64, 100].max() == 36


def test_a_change_of_full_size_has_to_fit(engine, monkeypatch):
    monkeypatch.setattr(domains, "MAX_PASTED_PIXELS", 64 * 72)
    with pytest.raises(ValueError, match="not fit in memory"):
        translate(engine, request(targets=(SMILE, MAN)))
    assert made(engine, request(targets=(SMILE, MAN), full_size=False)).cells[0].image is None


# --- what the judges say ------------------------------------------------------------------------------------------------------


def test_what_was_asked_for_is_judged(engine):
    cell = made(engine, request(targets=((*SMILE, ("Eyeglasses", True)),))).cells[0]
    smile, glasses = cell.verdict.asked
    assert smile.before < 0.5 < smile.after and smile.words == "reads as smiling now" == cell.words[0]
    assert glasses.after == glasses.before and glasses.words == "does not read as glasses" and not glasses.reached
    assert cell.verdict.lpips > 0 and cell.verdict.id_distance > 0
    assert Asked("Smiling", False, 0.2, 0.1).words == "reads as serious, as before"
    assert Asked("Smiling", False, 0.9, 0.6).words == "nearer to serious, not there yet"


def test_a_lock_that_breaks_is_said(engine):
    locked = made(engine, request(targets=(SMILE,), locks=("skin", "gender"))).cells[0].verdict
    assert locked.broken == ("skin",) and len(locked.warnings) == 1 and "skin" in locked.warnings[0]
    assert made(engine, request()).cells[0].verdict.warnings == ()  # nobody minded
    woman = replace(photo_of(), rgb=(photo_of().rgb * 1.1).astype(np.uint8))
    asked = request(photo=woman, targets=(MAN,))
    free, held = (made(engine, replace(asked, locks=locks)).cells[0].verdict for locks in ((), ("gender",)))
    kept = [{reading.name: reading.kept for reading in verdict.readings}["gender"] for verdict in (free, held)]
    assert kept == [None, False] and held.broken == ("gender",)  # what is asked for may change, unless it is locked as well


def test_without_judges_nothing_is_claimed(tmp_path):
    bare = DomainsEngine(tmp_path, [*SDITS, SEER])
    result = made(bare, request(locks=("identity", "skin")))
    assert result.cells[0].verdict.id_distance is None and result.cells[0].verdict.lpips is None
    assert "nobody here can watch identity and skin" in result.words[0]
    assert made(bare, whole()).cells[0].words == ()
    judged = made(DomainsEngine(tmp_path / "j", [*SDITS, JUDGE, PARSER]), whole())
    assert judged.cells[0].words[0].startswith("differs from the photo by")
    nothing = made(DomainsEngine(tmp_path / "k", [*SDITS, JUDGE]), whole(strength=0))
    assert nothing.cells[0].words == ("hardly differs from the photo",)


# --- styles -------------------------------------------------------------------------------------------------------------------


def test_a_liked_style_is_put_on_another_photo(engine):
    liked = made(engine, request(styles=(), count=3, seed=8)).cells[2]
    file = StyleFile.from_json(style_file(liked, "Warm/../smile").to_json())
    assert (file.name, file.domains, file.target, file.card) == ("smile", "attributes", "Smiling", sdit("attributes").id)
    other = made(engine, request(photo=photo_of(2), styles=(style_of(file, "attributes"),), targets=(read_target(file.target),)))
    np.testing.assert_array_equal(other.styles[0], liked.style)
    with pytest.raises(ValueError, match="smile is a style of faces"):
        style_of(file, "cars")


@pytest.mark.parametrize(
    "change", [{"domains": "hats"}, {"target": "a b"}, {"target": "x" * 301}, {"style": [0.0]}, {"kind": "imaginarium-look"}]
)
def test_a_style_from_a_stranger_is_checked(change):
    good = StyleFile(name="x", domains="art", card="sdit-art-64", style=RED).model_dump(mode="json")
    assert StyleFile.model_validate(good).style == RED
    with pytest.raises(LookError, match=f"no style that a studio saved: its field '{next(iter(change))}'"):
        StyleFile.from_json(str({**good, **change}).replace("'", '"'))


def test_the_plane_of_styles_has_its_corners_and_no_faint_middle():
    corners = tuple(tuple(random_style(0, index).tolist()) for index in range(4))
    for index, (across, down) in enumerate(((0, 0), (1, 0), (0, 1), (1, 1))):
        np.testing.assert_array_equal(style_at(corners, across, down), random_style(0, index))
    first, second = (np.array(corner, np.float32) for corner in corners[:2])
    np.testing.assert_array_equal(style_at(corners, 0.3, 0), mix_styles(first, second, 0.3))
    lengths = [np.linalg.norm(corner) for corner in corners]
    assert min(lengths) - 1e-3 <= np.linalg.norm(style_at(corners, 0.5, 0.5)) <= max(lengths) + 1e-3
    with pytest.raises(ValueError, match="from 0 to 1"):
        style_at(corners, 1.1, 0)
    with pytest.raises(ValueError, match="four styles"):
        style_at(corners[:3], 0, 0)


def test_the_plane_and_the_slider_show_what_the_cell_will_be(engine):
    result = made(engine, request())
    asked = request(strength=0.6)
    runs = len(engine.runs)
    picture = picture_with(engine, result.found, asked, BLOND, GREEN)
    assert len(engine.runs) == runs + 1
    cell = cell_with(engine, result.found, asked, BLOND, GREEN)
    np.testing.assert_array_equal(picture, cell.picture)
    np.testing.assert_array_equal(picture_at(result.found, cell, 0.6), cell.picture)
    np.testing.assert_array_equal(picture_at(result.found, cell, 0), result.found.picture)
    with pytest.raises(ValueError, match="no 'Smile'"):
        picture_with(engine, result.found, asked, (("Smile", True),), GREEN)


def test_a_photo_that_is_known_is_not_looked_at_again(engine):
    found, asked = find(engine, request()), request(targets=(MAN,), styles=(GREEN,))
    fresh = made(engine, asked)
    engine.runs.clear()
    *_, known = translate(engine, asked, found)
    assert PARSER.id not in [name for name, _ in engine.runs] and known.found is found
    np.testing.assert_array_equal(known.cells[0].image, fresh.cells[0].image)
    *_, other = translate(engine, replace(asked, face=FaceChoice(eyes=((22.0, 26.0), (44.0, 24.0)))), found)
    assert other.found is not found
    *_, car = translate(engine, whole(), found)
    assert car.found.domains == "cars"


# --- faces, sheets and recipes ------------------------------------------------------------------------------------------------


def test_the_largest_of_several_faces_is_taken_and_said(engine, monkeypatch):
    small = np.array([[50.0, 40.0], [58.0, 40.0]], np.float32)
    faces = tuple(Face(np.array(eyes, np.float32), (0, 0, 9, 9), 0.9) for eyes in (EYES, small))
    monkeypatch.setattr(photos, "find_faces", lambda engine, rgb: faces)
    result = made(engine, request(face=None))
    assert "2 faces" in result.words[0] and result.found.eyes == EYES
    assert made(engine, request(face=FaceChoice(index=1))).found.eyes[0] == (50.0, 40.0)


def test_several_photos_share_a_sheet(engine):
    both = [made(engine, request(targets=(SMILE, MAN))), made(engine, request(photo=photo_of(2), styles=(RED, GREEN)))]
    heights = [result.sheet.shape[0] for result in both]
    sheet = sheet_of(both)
    assert sheet.shape[1] == both[1].sheet.shape[1] and sheet.shape[0] > max(heights)


def test_a_recipe_makes_it_again(engine):
    asked = request(targets=(), styles=(), count=2, seed=7, strength=0.4, attention=True, locks=("age",))
    result = made(engine, asked)
    recipe = Recipe.from_link(result.cells[3].recipe.to_link())
    assert (recipe.parameters["row"], recipe.parameters["column"], recipe.parameters["target"]) == (1, 1, "no:Male")
    assert recipe.parameters["paste"] is True and set(recipe.checkpoints) == {sdit("attributes").id, SEER.id}
    again = request_from_recipe(recipe, [photo_of(2), photo_of()])
    assert replace(again, photo=asked.photo) == replace(asked, targets=result.targets)
    np.testing.assert_array_equal(made(engine, again).cells[3].image, result.cells[3].image)


def test_a_whole_pictures_recipe_has_no_eyes(engine):
    recipe = made(engine, whole()).cells[0].recipe
    assert recipe.inputs[0].eyes is None and set(recipe.checkpoints) == {sdit("cars").id}
    asked = whole()
    assert replace(request_from_recipe(recipe, [photo_of()]), photo=asked.photo) == asked


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"tab": "morph"}, "tab morph"),
        ({"parameters": {"targets": 3}}, "damaged"),
        ({"parameters": {"targets": [["Smiling"]]}}, "damaged"),
        ({"parameters": {"targets": [""]}}, "Name what"),
        ({"parameters": {"styles": [[1, 2]]}}, "8 numbers"),
        ({"parameters": {"strength": "much"}}, "between 0"),
        ({"parameters": {"domains": ["art"]}}, "no domains"),
        ({"parameters": {"locks": [["a"]]}}, "nothing to lock"),
        ({"parameters": {"count": None}}, "1 to 12"),
        ({"inputs": ()}, "damaged"),
    ],
)
def test_a_forged_recipe_is_refused_in_a_sentence(engine, change, said):
    recipe = made(engine, request()).recipe.model_copy(update=change)
    with pytest.raises(ValueError, match=said):
        request_from_recipe(recipe, [photo_of()])
    with pytest.raises(ValueError, match=r"photo-1\.png"):
        request_from_recipe(made(engine, request()).recipe, [photo_of(2)])
