"""The Morph tab as an artist meets it: a slider that answers, holes painted with the mouse, a film that plays, flowers."""

from __future__ import annotations

import base64

import numpy as np
import pytest

from studio.core.images import open_photo, to_png
from studio.core.recipe import Recipe
from studio.pipelines.inpaint import request_from_recipe
from tests.browser.conftest import PHONE, running_studio
from tests.browser.looks import SIZES, too_small
from tests.browser.test_character import fits, save
from tests.browser.test_manifold import PLAYS

CHANGED = "#attributes .compare > img:first-child"


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    """A studio whose networks were never trained: what they make of faces is noise, but it is quick everywhere."""
    with running_studio(tmp_path_factory.mktemp("morphing"), "--public", stand_ins=True) as url:
        yield url


def turn_to(visitor, part: str = "Attributes") -> None:
    visitor.page.click("[data-tab=morph]")
    visitor.page.wait_for_selector(f"{CHANGED}[src]")
    if part != "Attributes":
        visitor.page.click(f"#morph-switch label:has-text('{part}')")


def turn(visitor, dial: str, value: int) -> None:
    """Sets one of the controls on the left."""
    field = visitor.page.locator(f"#{dial} input[type=number]")
    field.fill(str(value))
    field.press("Tab")
    visitor.page.wait_for_function(f"document.querySelector('#{dial} input[type=range]').value === '{value}'")


def paint(visitor, *points: tuple[float, float]) -> None:
    """One stroke over the photo, through points in parts of it."""
    field = visitor.page.locator(".brush-field")
    before = int(field.get_attribute("data-acts"))
    field.scroll_into_view_if_needed()
    box = field.bounding_box()
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
    visitor.page.mouse.move(*places[0])
    visitor.page.mouse.down()
    for place in places[1:]:
        visitor.page.mouse.move(*place, steps=5)
    visitor.page.mouse.up()
    visitor.page.wait_for_selector(f'.brush-field[data-acts="{before + 1}"]')


def open_holes(visitor, *files) -> None:
    """Turns to the holes, with a photo (else with a small sample) that is ready to be painted on, for a short run."""
    turn_to(visitor, "Fill holes")
    visitor.page.wait_for_selector(".brush-field:not([hidden])")
    if files:
        visitor.page.set_input_files(".in-holes .picker", [str(file) for file in files])
    else:
        visitor.page.click(".in-holes .sample[title='Nobody 1']")
    name = files[0].name if files else "Nobody 1"
    visitor.page.wait_for_selector(f'.brush-field[data-photo="{name}"][data-acts="0"]')
    turn(visitor, "holes-iterations", 2)
    turn(visitor, "holes-candidates", 2)


@SIZES
def test_a_slider_changes_the_face_while_it_moves_and_make_keeps_it(visit, tmp_path, viewport, name):
    visitor = visit(viewport)
    page = visitor.page
    turn_to(visitor)
    assert fits(visitor) and too_small(visitor, "morph") == []
    visitor.picture(f"{name}-attributes")
    before = page.locator(CHANGED).get_attribute("src")
    page.locator(".tuner-line[data-name=Young] input").fill("-1")
    page.wait_for_function("document.querySelector('#attributes [data-shown]').dataset.shown.includes('Young')")
    moved = page.locator(CHANGED).get_attribute("src")
    assert moved != before and moved.startswith("data:image/jpeg")
    visitor.picture(f"{name}-attributes-moved")
    with visitor.run("#attributes"):
        page.click("#attributes-make")
    page.wait_for_selector(".strip-cell")
    assert page.locator(".tuner-line[data-name=Young]").get_attribute("class").endswith("moved")
    png = save(visitor, lambda: page.click(".save-attributes"), tmp_path)
    recipe = Recipe.from_png(png)
    assert recipe.verb == "attributes" and recipe.parameters["condition"] == {"Blond_Hair": 1.0, "Young": -1.0}
    page.click(".strip-cell")
    page.wait_for_selector(".viewer .compare input")  # compared with the photo that it was
    page.keyboard.press("Escape")
    page.click(".tuner-reset")
    page.wait_for_function("!document.querySelector('.tuner-line.moved')")
    assert fits(visitor)


def test_a_photo_is_found_at_once_and_its_sliders_stand_where_it_was_found(visit, astronaut):
    visitor = visit()
    page = visitor.page
    turn_to(visitor)
    with visitor.run("#attributes"):
        visitor.add(astronaut)
    page.wait_for_selector(".tuner-line")
    assert page.locator(".tuner-line.moved").count() == 0 and page.locator(".strip-cell").count() == 0
    whole = page.locator(".show-whole")
    whole.click()
    assert whole.inner_text() == "Face only"


@SIZES
def test_a_hole_that_is_painted_is_filled_and_nothing_outside_of_it_changes(visit, astronaut, tmp_path, viewport, name):
    visitor = visit(viewport)
    page = visitor.page
    open_holes(visitor, astronaut)
    assert fits(visitor) and too_small(visitor, "morph") == []
    paint(visitor, (0.35, 0.4), (0.6, 0.45))
    paint(visitor, (0.5, 0.6))
    page.keyboard.press("Control+z")
    page.wait_for_selector('.brush-field[data-acts="1"]')
    visitor.picture(f"{name}-hole")
    with visitor.run("#holes"):
        page.click("#holes-make")
        page.wait_for_selector(".holes-steps .frame img")  # the first iteration is there while others are on their way
    assert page.locator(".holes-cells .cell img").count() == 2 and page.locator(".holes-steps .frame img").count() == 2
    assert page.locator(".strip-cell").count() == 2 and fits(visitor)
    visitor.picture(f"{name}-hole-filled")
    png = save(visitor, lambda: page.click(".save-filled"), tmp_path)
    photo, result = open_photo(astronaut), open_photo(png).rgb
    mask = request_from_recipe(Recipe.from_png(png), [photo]).mask
    assert 0 < mask.mean() < 0.1
    np.testing.assert_array_equal(result[~mask], photo.rgb[~mask])
    assert (result[mask] != photo.rgb[mask]).any()
    page.click(".holes-large")
    page.wait_for_selector(".viewer .compare input")
    visitor.picture(f"{name}-hole-compared")
    page.keyboard.press("Escape")
    page.locator(".holes-steps .frame").first.click()
    assert "after iteration 1" in page.locator(".holes-result .hint").inner_text()


def test_every_tool_paints_and_keys_do_too(visit, tmp_path):
    visitor = visit()
    page = visitor.page
    open_holes(visitor)
    acts = page.locator(".brush-field")
    share = """() => { const { data } = document.querySelector('.brush-overlay').getContext('2d').getImageData(0, 0, 512, 512);
      let count = 0; for (let place = 3; place < data.length; place += 4) count += data[place] > 0; return count / 512 / 512; }"""
    page.click(".brush-patch")
    page.wait_for_selector('.brush-field[data-acts="1"]')
    assert page.evaluate(share) == pytest.approx((50 / 128) ** 2, abs=0.01)
    page.click(".brush-invert")
    assert page.evaluate(share) == pytest.approx(1 - (50 / 128) ** 2, abs=0.01)
    page.click(".brush-clear")
    assert page.evaluate(share) == 0
    page.keyboard.press("r")
    paint(visitor, (0.25, 0.25), (0.75, 0.5))
    assert page.evaluate(share) == pytest.approx(0.125, abs=0.01)
    page.keyboard.press("e")
    paint(visitor, (0.3, 0.3), (0.7, 0.3))
    erased = page.evaluate(share)
    assert erased < 0.12
    page.keyboard.press("p")
    size = page.locator(".brush-size").input_value()
    page.keyboard.press("]")
    assert int(page.locator(".brush-size").input_value()) > int(size)
    page.focus(".brush-field")
    page.keyboard.press("Space")
    assert acts.get_attribute("data-acts") == "6" and page.evaluate(share) > erased
    page.click(".brush-undo")
    assert page.evaluate(share) == erased
    page.click(".brush-redo")
    mask = tmp_path / "mask.png"
    half = np.zeros((64, 64, 3), np.uint8)
    half[:, :32] = 255
    mask.write_bytes(to_png(half))
    page.set_input_files(".mask-picker", str(mask))
    page.wait_for_selector('.brush-field[data-acts="7"]')
    assert page.evaluate(share) == pytest.approx(0.5, abs=0.02)
    mask.write_bytes(to_png(half[:32]))
    page.set_input_files(".mask-picker", str(mask))
    page.wait_for_selector("#toast:has-text('another shape')")


def test_a_link_brings_the_mask_and_the_same_filling_back(visit, tmp_path):
    visitor = visit()
    page = visitor.page
    open_holes(visitor)
    paint(visitor, (0.4, 0.4), (0.6, 0.5))
    with visitor.run("#holes"):
        page.click("#holes-make")
    png = save(visitor, lambda: page.click(".save-filled"), tmp_path)
    page.goto(f"{page.url.split('?')[0]}?r={Recipe.from_png(png).to_link()}")
    page.wait_for_selector("#tab-morph.on .in-holes .note:has-text('restored')")
    page.wait_for_selector('.brush-field[data-acts="1"]')
    with visitor.run("#holes"):
        page.click("#holes-make")
    again = save(visitor, lambda: page.click(".save-filled"), tmp_path)
    np.testing.assert_array_equal(open_photo(again).rgb, open_photo(png).rgb)


def test_stop_keeps_the_best_and_nothing_painted_is_said(visit):
    visitor = visit()
    page = visitor.page
    open_holes(visitor)
    page.click("#holes-make")
    page.wait_for_selector("#holes-note .note:has-text('Nothing is painted yet')")
    turn(visitor, "holes-iterations", 10)
    page.click(".brush-patch")
    with visitor.run("#holes"):
        page.click("#holes-make")
        page.wait_for_selector(".holes-steps .frame img")
        page.keyboard.press("Escape")
    assert "Stopped after iteration" in page.locator("#holes .stage-words").inner_text()
    page.wait_for_selector(".strip-cell")
    assert page.locator(".strip-cell").count() == 1 and page.locator("#holes-make").is_enabled()


@SIZES
def test_two_photos_become_a_film_that_plays(visit, tmp_path, viewport, name):
    visitor = visit(viewport)
    page = visitor.page
    turn_to(visitor)
    with visitor.run("#between"):
        page.click("#morph-switch label:has-text('Morph')")
    assert page.locator("#between .walk-row .frame img").count() == 9
    page.locator(".in-between .person button[title='Remove']").first.click()
    page.wait_for_function("document.querySelectorAll('.in-between .person').length === 1")
    page.locator(".in-between .sample").last.click()
    page.wait_for_function("document.querySelectorAll('.in-between .person').length === 2")
    with visitor.run("#between"):
        page.click("#between-make")
    page.wait_for_selector("#between .walk-drive:not([hidden])")
    assert page.locator("#between .walk-row .frame img").count() == 9 and fits(visitor) and too_small(visitor, "morph") == []
    visitor.picture(f"{name}-morph")
    film = save(visitor, lambda: page.click("#between .save-mp4"), tmp_path)
    plays = page.evaluate(PLAYS, base64.b64encode(film.read_bytes()).decode())
    assert plays["ready"] >= 2 and plays["seconds"] > 2 and plays["width"] == plays["height"] == 256
    assert save(visitor, lambda: page.click("#between .save-gif:enabled"), tmp_path).read_bytes().startswith(b"GIF89a")
    page.click("#between .walk-keep")
    page.wait_for_function("document.querySelectorAll('.strip-cell').length === 3")


@SIZES
def test_flowers_of_a_kind(visit, tmp_path, viewport, name):
    visitor = visit(viewport)
    page = visitor.page
    turn_to(visitor)
    with visitor.run("#class-stage"):
        page.click("#morph-switch label:has-text('By name')")
    page.click("#class-label input")
    page.click("[role=option]:has-text('Tulip')")
    turn(visitor, "class-count", 3)
    with visitor.run("#class-stage"):
        page.click("#classes-make")
    assert page.locator("#class-stage figure.cell img").count() == 3 and fits(visitor) and too_small(visitor, "morph") == []
    visitor.picture(f"{name}-flowers")
    page.locator("#class-stage figure.cell button").first.click()
    png = save(visitor, lambda: page.keyboard.press("d"), tmp_path)
    assert Recipe.from_png(png).parameters["label"] == "tulip"


def test_a_finger_paints(visit):
    visitor = visit(PHONE, has_touch=True)
    page = visitor.page
    turn_to(visitor, "Fill holes")
    field = page.locator(".brush-field")
    field.scroll_into_view_if_needed()
    box = field.bounding_box()
    page.touchscreen.tap(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.wait_for_selector('.brush-field[data-acts="1"]')
