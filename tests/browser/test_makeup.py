"""The Makeup tab as an artist meets it: looks that fill in, the slider between bias and oneself, looks liked and mixed."""

from __future__ import annotations

import json

import numpy as np
import pytest
from skimage import data

from studio.core.images import open_photo, to_png
from studio.pipelines.looks import LookFile, mix_styles
from studio.ui.samples import ASTRONAUT
from tests.browser.conftest import running_studio
from tests.browser.looks import SIZES, bring_back, saved, send, strip_of, too_small
from tests.browser.test_character import fits, save

CANVAS = "document.querySelector('#makeup [data-rested]')"
LARGE = "#makeup .look-yours .compare > img:first-child"
NEW, LIKED = "#makeup .look-cells >> nth=0", "#makeup .look-cells >> nth=1"


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    """A studio whose networks paint by rule: what comes out can be told beforehand, and it is quick everywhere."""
    with running_studio(tmp_path_factory.mktemp("makeup"), "--public", stand_ins=True) as url:
        yield url


def settled(visitor) -> None:
    """Waits until what is shown, and what is told of it, is what the sliders say."""
    visitor.page.wait_for_function(f"{CANVAS} && {CANVAS}.dataset.rested === {CANVAS}.dataset.asked")


def turn_to(visitor) -> None:
    visitor.page.click("[data-tab=makeup]")
    visitor.page.wait_for_selector(".look-cells .cell img")
    settled(visitor)


def large(visitor) -> str:
    """The picture that is large once it is as the sliders say."""
    visitor.page.wait_for_function(f"{CANVAS}.dataset.shown === {CANVAS}.dataset.asked")
    return visitor.page.locator(LARGE).get_attribute("src")


def move(visitor, dial: str, value: float) -> str:
    """Moves one of the sliders of the canvas; the picture it leads to."""
    visitor.page.locator(f".{dial}").fill(str(value))
    return large(visitor)


def add(visitor, *files) -> None:
    """Drops photos and waits for the looks on them."""
    with visitor.run("#makeup"):
        visitor.add(*files)
    settled(visitor)


@SIZES
def test_looks_fill_in_and_the_slider_answers_while_it_moves(visit, tmp_path, viewport, name):
    visitor = visit(viewport)
    page = visitor.page
    turn_to(visitor)
    assert fits(visitor) and too_small(visitor, "makeup") == []
    visitor.picture(f"{name}-makeup-first-visit")
    assert page.locator(f"{NEW} >> .cell img").count() == 5 and page.locator(".keep-panel .keep-end img").count() == 2
    kept = large(visitor)
    biased = move(visitor, "keep-dial", 0)
    assert biased != kept and biased.startswith("data:image/jpeg")
    settled(visitor)
    page.click(".look-beside")
    assert page.locator(".look-biased").is_visible() and fits(visitor)
    visitor.picture(f"{name}-makeup-beside")
    page.click(".look-beside")
    page.click(".keep-panel .keep-end >> nth=1")
    assert large(visitor) == kept
    page.click(".chip[data-name=gender]")
    assert large(visitor) != kept
    with visitor.run("#makeup"):
        page.click("#makeup-make")
    strip_of(visitor, 5)
    settled(visitor)
    visitor.picture(f"{name}-makeup")
    recipe = saved(visitor, tmp_path)
    assert recipe.parameters["properties"] == ["identity", "age"] and recipe.parameters["keep"] == 1
    page.click(".look-keep")  # it is kept already: the large view
    page.wait_for_selector(".viewer .compare input")
    visitor.picture(f"{name}-makeup-full-size")
    page.keyboard.press("Escape")
    assert fits(visitor)


def test_what_changed_is_told_of_both_answers(visit):
    visitor = visit()
    turn_to(visitor)
    said = visitor.page.locator("#inspector-body")
    assert "perceived gender kept" in said.inner_text() and "As the data are" in said.inner_text()
    visitor.page.click("#inspector-body summary:has-text('Figures')")
    assert "% before" in said.inner_text() and "LPIPS" in said.inner_text()


def test_only_where_and_how_strong(visit, tmp_path):
    visitor = visit()
    page = visitor.page
    turn_to(visitor)
    everywhere = large(visitor)
    for part in ("eyes", "skin"):
        page.click(f".chip[data-name={part}]")
    lips = large(visitor)
    assert lips != everywhere
    page.click(".chip[data-name=lips]")  # one of them stays
    assert page.locator(".chip[data-name=lips]").get_attribute("aria-pressed") == "true"
    assert saved(visitor, tmp_path).parameters["regions"] == ["lips"]
    assert move(visitor, "look-amount", 1.5) != lips
    assert saved(visitor, tmp_path).parameters["amount"] == 1.5
    move(visitor, "look-amount", 0)
    png = save(visitor, lambda: page.click(".save-look"), tmp_path)
    np.testing.assert_array_equal(open_photo(png).rgb, open_photo(ASTRONAUT.data).rgb)


@SIZES
def test_a_look_that_is_liked_is_put_on_the_next_photo(visit, mirrored, tmp_path, viewport, name):
    visitor = visit(viewport)
    page = visitor.page
    turn_to(visitor)
    page.locator(f"{NEW} >> .cell .star >> nth=2").click()
    page.wait_for_selector(f"{LIKED} >> .cell img")
    strip_of(visitor, 1)
    page.locator(f"{LIKED} >> .cell .frame").click()
    settled(visitor)
    style = saved(visitor, tmp_path).parameters["style"]
    page.fill(".look-name", "Party")
    page.keyboard.press("Enter")
    page.wait_for_selector(f"{LIKED} >> .cell-name:has-text('Party')")
    add(visitor, mirrored)
    assert page.locator(".look-name").input_value() == "Party" and fits(visitor)
    visitor.picture(f"{name}-makeup-liked")
    with visitor.run("#makeup"):
        page.click(".look-keep")
    strip_of(visitor, 2)
    recipe = saved(visitor, tmp_path)
    assert recipe.parameters["style"] == style and recipe.inputs[0].name == "mirrored.png"
    page.locator(f"{LIKED} >> .cell .star").click()
    page.wait_for_function("document.querySelectorAll('.look-cells')[1].childElementCount === 0")
    assert page.locator(".strip-cell").count() == 2  # the pictures stay


@SIZES
def test_two_looks_are_mixed(visit, tmp_path, viewport, name):
    visitor = visit(viewport)
    page = visitor.page
    turn_to(visitor)
    first = saved(visitor, tmp_path).parameters["style"]
    page.click(".look-mix")
    page.locator(f"{NEW} >> .cell .frame >> nth=3").click()
    half = large(visitor)
    assert page.locator(".mix-row .keep-end img").count() == 2
    assert move(visitor, "mix-dial", 0.25) != half
    settled(visitor)
    visitor.picture(f"{name}-makeup-mix")
    assert fits(visitor)
    mixed = saved(visitor, tmp_path).parameters["style"]
    page.click(".mix-end")
    page.locator(f"{NEW} >> .cell .frame >> nth=3").click()
    settled(visitor)
    second = saved(visitor, tmp_path).parameters["style"]
    wanted = mix_styles(np.array(first, np.float32), np.array(second, np.float32), 0.25)
    np.testing.assert_allclose(mixed, wanted, atol=1e-4)


@SIZES
def test_the_look_of_another_photo(visit, mirrored, viewport, name):
    visitor = visit(viewport)
    page = visitor.page
    turn_to(visitor)
    page.click(".own-drop > button")
    with visitor.run("#makeup"):
        page.set_input_files(".own-drop .picker", str(mirrored))
    settled(visitor)
    assert page.locator(f"{NEW} >> .cell-name >> nth=0").inner_text() == "As mirrored"
    assert page.locator(".look-name").input_value() == "As mirrored" and fits(visitor)
    assert page.locator("#makeup-source .person-name").inner_text() == "Eileen Collins"  # the photo itself stays
    visitor.picture(f"{name}-makeup-reference")
    with visitor.run("#makeup"):
        page.click(".own-drop .person .icon")
    assert page.locator(f"{NEW} >> .cell").count() == 5


def test_looks_are_shared_as_files(visit, tmp_path):
    visitor = visit()
    page = visitor.page
    turn_to(visitor)
    path = save(visitor, lambda: page.click(".look-file"), tmp_path)
    look = LookFile.from_json(path.read_text())
    shared = tmp_path / "shared.json"
    shared.write_text(look.model_copy(update={"name": "From afar", "style": (1.0,) * 8}).to_json())
    page.set_input_files(".look-picker", str(shared))
    page.wait_for_selector(f"{LIKED} >> .cell-name:has-text('From afar')")
    page.wait_for_selector(f"{LIKED} >> .cell img")
    page.locator(f"{LIKED} >> .cell .frame").click()
    settled(visitor)
    assert saved(visitor, tmp_path).parameters["style"] == [1.0] * 8
    shared.write_text(json.dumps({"kind": "imaginarium-look"}))
    page.set_input_files(".look-picker", str(shared))
    page.wait_for_selector("#toast:has-text('no look')")


def test_a_picture_brings_its_settings_back_and_make_gives_the_same_pixels(visit, tmp_path):
    visitor = visit()
    page = visitor.page
    turn_to(visitor)
    move(visitor, "keep-dial", 0.4)
    page.locator(f"{NEW} >> .cell .frame >> nth=1").click()
    settled(visitor)
    png = save(visitor, lambda: page.click(".save-look"), tmp_path)
    for way in ("file", "link"):
        other = visit()
        turn_to(other)
        bring_back(other, "makeup", way, png, other.run("#makeup"))
        settled(other)
        assert other.page.locator(".keep-dial").input_value() == "0.4"
        assert other.page.locator(".look-name").input_value() == "Look 2"
        again = save(other, lambda other=other: other.page.click(".save-look"), tmp_path)
        np.testing.assert_array_equal(open_photo(again).rgb, open_photo(png).rgb)


def test_sent_to_another_tab_and_back(visit):
    visitor = visit()
    page = visitor.page
    turn_to(visitor)
    with visitor.run("#makeup"):
        page.click(".look-keep")
    strip_of(visitor, 1)
    send(visitor, "Take its look in Makeup")
    page.wait_for_selector(f"{LIKED} >> .cell")
    send(visitor, "Use as photo in Character")
    page.wait_for_selector("#tab-character.on .person-name:has-text('Look 1')")
    send(visitor, "Make it up in Makeup")
    page.wait_for_selector("#tab-makeup.on #makeup-source .person-name:has-text('Look 1')")


def test_age_has_looks_of_its_own(visit, tmp_path):
    visitor = visit()
    page = visitor.page
    turn_to(visitor)
    page.locator(f"{NEW} >> .cell .star >> nth=0").click()
    page.wait_for_selector(f"{LIKED} >> .cell")
    with visitor.run("#makeup"):
        page.click("#makeup-pair label:has-text('Age')")
    settled(visitor)
    assert page.locator(f"{LIKED} >> .cell").count() == 0 and page.locator(".chip[data-name=ethnicity]").is_visible()
    assert page.locator("#makeup .look-yours .tag.right").inner_text() == "older"
    with visitor.run("#makeup"):
        page.click("#makeup-direction label:has-text('Younger')")
    settled(visitor)
    assert saved(visitor, tmp_path).parameters["direction"] == "younger"


def test_stop_keeps_what_is_there(visit, tmp_path):
    visitor = visit()
    page = visitor.page
    turn_to(visitor)
    path = tmp_path / "large.png"  # which takes a while
    path.write_bytes(to_png(data.astronaut().repeat(4, 0).repeat(4, 1)))
    add(visitor, path)
    page.click("#tab-makeup .more:not(.own-drop) > button")
    page.fill("#makeup-count input[type=number]", "12")
    with visitor.run("#makeup"):
        page.click("#makeup-make")
        page.wait_for_selector(".strip-cell")
        page.keyboard.press("Escape")
    kept = page.locator(".strip-cell").count()
    assert 1 <= kept < 12 and f"Stopped after {kept} of 12" in page.locator("#makeup .stage-words").inner_text()
    assert page.locator("#makeup-make").is_enabled()
