"""The Manifold tab as an artist meets it: two faces, the walk between them, and the film of it that plays."""

from __future__ import annotations

import base64

import pytest

from studio.core.recipe import Recipe
from tests.browser.conftest import DESKTOP, PHONE, running_studio
from tests.browser.test_character import fits, save

PLAYS = """async (data) => {
  const video = document.createElement("video");
  video.muted = true;
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  video.src = URL.createObjectURL(new Blob([bytes], { type: "video/mp4" }));
  await new Promise((done, fail) => {
    video.oncanplaythrough = done;
    video.onerror = () => fail(new Error(video.error.message));
  });
  await video.play();
  await new Promise((done) => { video.ontimeupdate = () => video.currentTime > 0.1 && done(); });
  return { ready: video.readyState, seconds: video.duration, width: video.videoWidth, height: video.videoHeight };
}"""
EXACT = '#walk .walk-large[data-exact^="["]'  # the picture that the networks make of the point, and no blend
LARGE = "document.querySelector('#walk .walk-large').toDataURL()"


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    """A studio whose generator was never trained: what is walked between are patterns, but it is quick everywhere."""
    with running_studio(tmp_path_factory.mktemp("walking"), "--public", stand_ins=True) as url:
        yield url


def turn_to(visitor) -> None:
    visitor.page.click("[data-tab=manifold]")
    visitor.page.wait_for_selector("#walk .walk-drive:not([hidden])")
    visitor.page.wait_for_function(f"{LARGE}.length > 500")


def make(visitor) -> None:
    with visitor.run("#walk"):
        visitor.page.click("#walk-make")


def shown(visitor, step: int) -> str:
    """The picture that is large once the slider was moved."""
    visitor.page.locator("#walk .walk-slider").fill(str(step))
    return visitor.page.evaluate(LARGE)


@pytest.mark.parametrize(("viewport", "name"), [(DESKTOP, "desktop"), (PHONE, "phone")])
def test_from_two_faces_to_a_film_that_plays(visit, tmp_path, viewport, name):
    visitor = visit(viewport)
    page = visitor.page
    turn_to(visitor)
    visitor.picture(f"{name}-walk-first-visit")
    assert page.locator("#tab-manifold .person").count() == 2 and fits(visitor)
    page.locator("#walk-animals label:has(input:checked)").first.click()
    rows = page.locator("#walk-animals input:checked").count() + 1
    make(visitor)
    assert page.locator("#walk .walk-row").count() == rows and page.locator("#walk .walk-row .frame img").count() == 9 * rows
    assert shown(visitor, 0) != shown(visitor, 24)
    page.locator("#walk .walk-row").nth(rows - 1).locator(".frame").nth(4).click()
    assert "50 % of the way" in page.locator("#walk .walk-caption").inner_text()
    visitor.picture(f"{name}-walk")
    film = save(visitor, lambda: page.click("#walk .save-mp4"), tmp_path)
    plays = page.evaluate(PLAYS, base64.b64encode(film.read_bytes()).decode())
    assert plays["ready"] >= 2 and plays["seconds"] > 2 and plays["width"] == 256 and plays["height"] == 256 * rows
    for kind, magic in (("gif", b"GIF89a"), ("webp", b"RIFF"), ("sheet", b"\x89PNG")):
        assert save(visitor, lambda kind=kind: page.click(f"#walk .save-{kind}:enabled"), tmp_path).read_bytes().startswith(magic)
    page.click("#walk .walk-keep")
    page.wait_for_function("document.querySelectorAll('.strip-cell').length === 2")
    assert fits(visitor)
    small = page.eval_on_selector_all(
        "#tab-manifold button:is(.quiet, .icon, .make-button, .stop-button)",
        "nodes => nodes.filter((n) => n.offsetParent && n.getBoundingClientRect().height < 43).map((n) => n.textContent)",
    )
    assert small == []


def test_four_faces_make_a_square_to_look_around_in(visit):
    visitor = visit()
    page = visitor.page
    turn_to(visitor)
    for number in (2, 3):
        page.locator("#tab-manifold .sample").first.click()
        page.wait_for_function(f"document.querySelectorAll('#tab-manifold .person').length === {number + 1}")
    make(visitor)
    page.wait_for_selector("#walk .walk-field:not([hidden])")
    box = page.locator("#walk .walk-square").bounding_box()
    before = page.evaluate(LARGE)
    page.mouse.move(box["x"] + 5, box["y"] + 5)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.up()
    assert page.evaluate(LARGE) != before
    assert "Face, 50 % across and 50 % down" in page.locator("#walk .walk-caption").inner_text()
    page.wait_for_selector(EXACT)
    visitor.picture("square")
    page.locator("#walk .walk-row").nth(1).locator(".frame").first.click()
    face = page.evaluate(LARGE)
    page.locator("#walk .walk-square").press("ArrowRight")
    page.wait_for_selector(EXACT)
    assert page.evaluate(LARGE) != face and page.locator("#walk .walk-caption").inner_text().startswith("Lion, 63 %")


def test_a_walk_that_is_dropped_on_the_other_tab_goes_to_its_own(visit, tmp_path):
    visitor = visit()
    page = visitor.page
    turn_to(visitor)
    sheet = save(visitor, lambda: page.click("#walk .save-sheet"), tmp_path)
    page.click("[data-tab=character]")
    page.set_input_files(".tab-pane.on .picker", str(sheet))
    page.wait_for_selector("#tab-manifold.on .note:has-text('restored')")
    assert page.locator("#tab-manifold .person").count() == 2


def test_stop_while_a_photo_is_found_and_it_can_be_made_again(visit, astronaut):
    visitor = visit()
    page = visitor.page
    turn_to(visitor)
    visitor.add(astronaut)
    page.click("#tab-manifold .more button")
    page.locator("#walk-steps input[type=number]").fill("300")
    page.locator("#walk-steps input[type=number]").press("Tab")
    page.wait_for_function("document.querySelector('#walk-steps input[type=range]').value === '300'")
    page.click("#walk-make")
    page.wait_for_function("document.querySelector('#walk .walk-faces').textContent.includes('being found')")
    visitor.picture("being-found")
    page.keyboard.press("Escape")
    page.wait_for_selector("#walk progress:not(.busy)", state="attached")
    assert "Stopped" in page.locator("#walk .stage-words").inner_text()
    assert page.locator("#tab-manifold .person").count() == 2 and page.locator("#walk-make").is_enabled()


def test_a_link_restores_the_walk(visit, tmp_path):
    visitor = visit()
    page = visitor.page
    turn_to(visitor)
    round_the_mean = shown(visitor, 24)
    page.click("#tab-manifold .more button")
    page.click("#walk-path label:has-text('Dense')")
    page.wait_for_selector("#walk-path input[value=dense]:checked", state="attached")
    make(visitor)
    sheet = save(visitor, lambda: page.click("#walk .save-sheet"), tmp_path)
    before = shown(visitor, 24)
    assert before != round_the_mean
    recipe = Recipe.from_png(sheet)
    # It turns to this tab, perhaps before the other one shows anything.
    page.goto(f"{page.url.split('?')[0]}?r={recipe.to_link()}")
    page.wait_for_selector("#tab-manifold.on .note:has-text('restored')")
    page.click("#tab-manifold .more button")
    page.wait_for_selector("#walk-path input[value=dense]:checked", state="attached")
    make(visitor)
    page.wait_for_selector("#walk .save-mp4")
    assert shown(visitor, 24) == before


@pytest.mark.parametrize(("viewport", "name"), [(DESKTOP, "desktop"), (PHONE, "phone")])
def test_the_neighbourhood_of_a_point_is_looked_at_moved_through_and_kept(visit, tmp_path, viewport, name):
    visitor = visit(viewport)
    page = visitor.page
    page.click("[data-tab=manifold]")
    page.wait_for_selector("#tab-manifold .sample")
    with visitor.run(".drawn-around"):
        page.locator("#walk-switch label").nth(1).click()
    new = page.locator(".map-row").nth(1).locator(".cell")
    assert page.locator(".map-row .cell img").count() == 20 and fits(visitor)
    visitor.picture(f"{name}-neighbourhood")
    first = page.locator(".map-large img").get_attribute("src")
    with visitor.run(".drawn-around"):
        new.nth(3).locator(".frame").click()
    there = page.locator(".map-large img").get_attribute("src")
    assert there != first and page.locator(".around-forward").is_disabled()
    page.click(".around-back")
    page.wait_for_function("(src) => document.querySelector('.map-large img').getAttribute('src') === src", arg=first)
    page.click(".around-forward")
    page.wait_for_function("(src) => document.querySelector('.map-large img').getAttribute('src') === src", arg=there)
    with visitor.run(".drawn-around"):
        page.locator(".map-chart").click(position={"x": 60, "y": 60})
    assert page.locator(".map-large img").get_attribute("src") != there
    new.nth(0).locator(".star").click(force=True)
    page.wait_for_selector(".strip-cell")
    sheet = save(visitor, lambda: page.click(".drawn-around .save-sheet"), tmp_path)
    assert Recipe.from_png(sheet).verb == "neighbours" and fits(visitor)


def test_a_link_restores_a_neighbourhood(visit, tmp_path):
    visitor = visit()
    page = visitor.page
    page.click("[data-tab=manifold]")
    page.wait_for_selector("#tab-manifold .sample")
    with visitor.run(".drawn-around"):
        page.locator("#walk-switch label").nth(1).click()
    before = page.locator(".map-large img").get_attribute("src").split("/")[-2:]  # the file's name and its hash
    recipe = Recipe.from_png(save(visitor, lambda: page.click(".drawn-around .save-here"), tmp_path))
    page.goto(f"{page.url.split('?')[0]}?r={recipe.to_link()}")
    page.wait_for_selector("#tab-manifold.on #around-note .note:has-text('restored')")
    with visitor.run(".drawn-around"):
        page.click("#around-make")
    assert page.locator(".map-large img").get_attribute("src").split("/")[-2:] == before
