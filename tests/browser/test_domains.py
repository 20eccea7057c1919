"""The Domains tab as an artist meets it: rows that fill in, the plane of styles, styles liked and taken to another photo."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from skimage import data

from studio.core.images import open_photo, to_png
from tests.browser.conftest import SHOWN, running_studio
from tests.browser.looks import SIZES, bring_back, saved, send, strip_of, too_small
from tests.browser.test_character import fits, save

CANVAS = "document.querySelector('#domains [data-asked]')"
LARGE = ".look-yours .compare .result"
CELL, CHIP, SHELF = ".domain-line .cell", "#domains-tuner .chip[data-name={}]", "#domains .look-cells .cell"


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    """A studio whose networks paint by rule: what comes out can be told beforehand, and it is quick everywhere."""
    with running_studio(tmp_path_factory.mktemp("domains"), "--public", stand_ins=True) as url:
        yield url


def turn_to(visitor) -> None:
    visitor.page.click("[data-tab=domains]")
    visitor.page.wait_for_selector(f"{CELL} .frame img")


def large(visitor) -> str:
    """The picture that is large once it is what was asked for."""
    visitor.page.wait_for_function(f"{CANVAS}.dataset.shown === {CANVAS}.dataset.asked")
    return visitor.page.locator(LARGE).get_attribute("src")


@contextmanager
def filled(visitor) -> Iterator[None]:
    """Waits for the end of the last run that is begun inside, and for its pictures."""
    with visitor.run("#domains"):
        yield
    visitor.page.wait_for_function(f"{CANVAS}.dataset.due === 'false'")
    visitor.page.wait_for_function(SHOWN)


def press(visitor, *names) -> None:
    """Presses chips, and waits for the rows that follow."""
    with filled(visitor):
        for name in names:
            visitor.page.click(CHIP.format(name))


def only(visitor, *names) -> None:
    """Asks for just these, each once."""
    chips = "#domains-tuner [aria-label='What it shall show'] .chip[aria-pressed=true]"
    on = visitor.page.eval_on_selector_all(chips, "nodes => nodes.map((node) => node.dataset.name)")
    with filled(visitor):
        for name in on:
            chip = visitor.page.locator(CHIP.format(name))
            while chip.get_attribute("aria-pressed") == "true":
                chip.click()
        for name in names:
            visitor.page.click(CHIP.format(name))


def rows(visitor) -> list[str]:
    return visitor.page.locator(".domain-row h3").all_inner_texts()


def drag(visitor, x: float, y: float) -> str:
    """Puts the dot at a place of the square; the picture that lies there."""
    pad = visitor.page.locator(".pad")
    pad.scroll_into_view_if_needed()
    box = pad.bounding_box()
    visitor.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    visitor.page.mouse.down()
    visitor.page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"], steps=4)
    visitor.page.mouse.up()
    return large(visitor)


def opacity(visitor, selector: str) -> float:
    return visitor.page.eval_on_selector(selector, "node => Number(getComputedStyle(node).opacity)")


@SIZES
def test_rows_fill_in_and_sliders_answer_at_once(visit, tmp_path, viewport, name):
    visitor = visit(viewport)
    page = visitor.page
    turn_to(visitor)
    assert fits(visitor) and (name == "desktop" or too_small(visitor, "domains", ".chip") == [])
    visitor.picture(f"{name}-domains-first-visit")
    assert page.locator(f"{CELL} .frame img").count() == 12 and len(rows(visitor)) == 3
    only(visitor, "Smiling", "Eyeglasses")
    assert rows(visitor) == ["Serious", "Glasses"] and page.locator(f"{CELL} .frame img").count() == 8
    press(visitor, "Smiling")
    assert rows(visitor) == ["Smiling", "Glasses"]  # the opposite
    with filled(visitor):
        page.click("text=All of it in one picture")
    assert rows(visitor) == ["Smiling, glasses"]
    page.locator(".where-dial").fill("0.8")
    assert opacity(visitor, ".look-yours .light") == pytest.approx(0.8) == opacity(visitor, f"{CELL} .light")
    visitor.picture(f"{name}-domains-attention")
    page.locator(".where-dial").fill("0")
    with filled(visitor):
        page.locator(".domain-strength").fill("0.5")
        assert opacity(visitor, LARGE) == pytest.approx(0.5)  # before anybody was asked
    with filled(visitor):
        page.click("#domains-make")
    strip_of(visitor, 4)
    recipe = saved(visitor, tmp_path)
    assert recipe.parameters["targets"] == ["Smiling+Eyeglasses"] and recipe.parameters["strength"] == 0.5
    page.click("#domains .look-keep")  # it is kept already: the large view
    page.wait_for_selector(".viewer .compare input")
    visitor.picture(f"{name}-domains-full-size")
    page.keyboard.press("Escape")
    assert fits(visitor)


@SIZES
def test_between_four_styles_lie_others(visit, tmp_path, viewport, name):
    visitor = visit(viewport)
    page = visitor.page
    turn_to(visitor)
    corner = large(visitor)
    middle = drag(visitor, 0.5, 0.4)
    assert middle.startswith("data:image/jpeg") and middle != corner
    page.wait_for_function(f"{CANVAS}.dataset.rested === {CANVAS}.dataset.rests")
    assert "between styles" in page.locator(".domain-title").inner_text()
    assert fits(visitor)
    visitor.picture(f"{name}-domains-plane")
    first = saved(visitor, tmp_path).parameters["style"]
    page.focus(".pad")
    page.keyboard.press("ArrowRight")
    assert large(visitor) != middle
    assert saved(visitor, tmp_path).parameters["style"] != first
    with filled(visitor):
        page.click("#domains .look-keep")
    strip_of(visitor, 1)
    page.locator(f"{CELL} .frame >> nth=1").click()
    assert not large(visitor).startswith("data:")


def test_what_must_not_change_warns_where_it_did(visit):
    visitor = visit()
    page = visitor.page
    turn_to(visitor)
    only(visitor, "Male", "Blond_Hair", "Bangs", "Eyeglasses")
    with filled(visitor):
        page.click("text=All of it in one picture")
    assert page.locator(f"{CELL}.broken").count() == 0
    for lock in ("identity", "gender", "age", "skin", "makeup"):
        page.click(CHIP.format(lock))
    page.wait_for_selector(f"{CELL}.broken")
    warning = page.locator(f"{CELL}.broken .cell-words >> nth=0").inner_text()
    page.locator(f"{CELL}.broken .frame >> nth=0").click()
    assert warning in page.locator("#domains .look-bar.broken .domain-warning").inner_text()
    assert warning in page.locator("#inspector-body").inner_text()
    visitor.picture("desktop-domains-locks")
    page.click("#inspector-body summary:has-text('Figures')")
    assert "% before" in page.locator("#inspector-body").inner_text() and "LPIPS" in page.locator("#inspector-body").inner_text()


def test_a_liked_style_goes_on_to_the_next_photo(visit, tmp_path, mirrored):
    visitor = visit()
    page = visitor.page
    turn_to(visitor)
    only(visitor, "Smiling")
    page.locator(f"{CELL} .frame >> nth=2").click()
    with filled(visitor):
        page.keyboard.press("f")
    page.wait_for_selector(SHELF)
    assert page.locator(".domain-column .star >> nth=2").get_attribute("aria-pressed") == "true"
    strip_of(visitor, 1)
    page.fill(".shelf-name", "Dusk")
    page.keyboard.press("Enter")
    page.wait_for_selector(f"{SHELF} .frame[title=Dusk]")
    code = saved(visitor, tmp_path).parameters["style"]
    page.locator(f"{CELL} .frame >> nth=0").click()
    with filled(visitor):
        visitor.add(mirrored)
    with filled(visitor):
        page.click(f"{SHELF} .frame")
    assert page.locator(".domain-column >> nth=0").inner_text().startswith("Dusk") and page.locator(CELL).count() == 4
    assert page.locator(".domain-title").inner_text() == "Serious in Dusk"
    visitor.picture("desktop-domains-liked")
    recipe = saved(visitor, tmp_path)
    assert recipe.parameters["style"] == code and recipe.inputs[0].name == "mirrored.png"
    page.click(f"{SHELF} .star")  # off the shelf, and with it the column
    page.wait_for_function(f"document.querySelectorAll('{SHELF}').length === 0")


def test_styles_come_and_go_as_files(visit, tmp_path):
    visitor = visit()
    page = visitor.page
    turn_to(visitor)
    with page.expect_download() as download:
        page.click("#domains .look-file")
    path = tmp_path / "style.json"
    download.value.save_as(path)
    other = visit()
    turn_to(other)
    other.page.set_input_files("#domains .look-picker", str(path))
    other.page.wait_for_selector(SHELF)
    path.write_text("{}")
    other.page.set_input_files("#domains .look-picker", str(path))
    other.page.wait_for_selector("#toast:has-text('no style')")


def test_several_photos_and_one_sheet(visit, tmp_path, astronaut, mirrored):
    visitor = visit()
    page = visitor.page
    turn_to(visitor)
    only(visitor, "Smiling", "Eyeglasses")
    with filled(visitor):
        visitor.add(astronaut, mirrored)
    assert page.locator(".domain-photo").all_inner_texts() == ["astronaut", "mirrored"] and len(rows(visitor)) == 4
    visitor.picture("desktop-domains-batch")
    sheet = open_photo(save(visitor, lambda: page.click("#domains .save-sheet"), tmp_path)).rgb
    assert sheet.shape[0] > 4 * 192 and sheet.shape[1] > 5 * 192


@SIZES
def test_a_picture_of_ones_own_is_painted(visit, coffee, viewport, name):
    visitor = visit(viewport)
    page = visitor.page
    turn_to(visitor)
    page.click("#domains-what label:has-text('Paintings')")
    page.wait_for_selector("#domains .canvas-lesson:has-text('picture of your own')")
    assert fits(visitor)
    visitor.picture(f"{name}-domains-paintings-empty")
    assert page.locator("#domains .domain-own").is_visible() and "Forehead" not in page.locator("#inspector-body").inner_text()
    with filled(visitor):
        visitor.add(coffee)
    assert rows(visitor) == ["Monet", "Ukiyo-e", "Van Gogh"] and not page.locator(".domain-dial").is_visible()
    assert fits(visitor)
    visitor.picture(f"{name}-domains-paintings")
    page.click("#domains-what label:has-text('Faces')")
    page.wait_for_selector("#domains-source .person-name:has-text('Eileen Collins')")


def test_a_picture_brings_its_settings_back_and_make_gives_the_same_pixels(visit, tmp_path):
    visitor = visit()
    page = visitor.page
    turn_to(visitor)
    with filled(visitor):
        page.locator(".domain-strength").fill("0.6")
    page.locator(f"{CELL} .frame >> nth=6").click()
    said = page.locator(".domain-title").inner_text()
    with filled(visitor):
        page.click("#domains-make")
    strip_of(visitor, 12)
    png = save(visitor, lambda: page.click("#domains .save-look"), tmp_path)
    page.click("#domains .look-keep")
    page.wait_for_selector(".viewer h2")
    with page.expect_download() as download:
        page.keyboard.press("d")
    download.value.save_as(tmp_path / "kept.png")
    png = tmp_path / "kept.png"
    for way in ("file", "link"):
        other = visit()
        turn_to(other)
        bring_back(other, "domains", way, png, filled(other))
        assert other.page.locator(".domain-strength").input_value() == "0.6"
        assert other.page.locator(".domain-title").inner_text() == said
        again = save(other, lambda other=other: other.page.click("#domains .save-look"), tmp_path)
        np.testing.assert_array_equal(open_photo(again).rgb, open_photo(png).rgb)


def test_sent_to_another_tab_and_back(visit):
    visitor = visit()
    page = visitor.page
    turn_to(visitor)
    with filled(visitor):
        page.click("#domains .look-keep")
    strip_of(visitor, 1)
    send(visitor, "Take its style in Domains")
    page.wait_for_selector(SHELF)
    send(visitor, "Use as photo in Character")
    page.wait_for_selector("#tab-character.on .person-name:has-text('style 1')")
    send(visitor, "Translate it in Domains")
    page.wait_for_selector("#tab-domains.on #domains-source .person-name:has-text('style 1')")
    with filled(visitor):
        page.click("#domains-make")


def test_stop_keeps_what_is_there(visit, tmp_path):
    visitor = visit()
    page = visitor.page
    turn_to(visitor)
    path = tmp_path / "large.png"  # which takes a while
    path.write_bytes(to_png(data.astronaut().repeat(4, 0).repeat(4, 1)))
    with filled(visitor):
        visitor.add(path)
    with filled(visitor):
        page.click("#domains-make")
        page.wait_for_selector(".strip-cell")
        page.keyboard.press("Escape")
    kept = page.locator(".strip-cell").count()
    assert 1 <= kept < 24 and f"Stopped after {kept} of 24" in page.locator("#domains .stage-words").inner_text()
    assert page.locator("#domains-make").is_enabled()
