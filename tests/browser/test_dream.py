"""Dreaming as an artist meets it: in a real browser, at a desk and on a phone, with small untrained generators."""

from __future__ import annotations

import base64

import pytest
from PIL import Image

from studio.core.recipe import Recipe
from tests.browser.conftest import DESKTOP, PHONE, running_studio
from tests.browser.test_character import fits, save
from tests.browser.test_gallery import look_at, paste, wait_for_strip
from tests.browser.test_manifold import PLAYS

SIZES = pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
STAGE = "#dream-stage"
CELLS = f"{STAGE} figure.cell"
FINGER = 44  # px that a touch target has at least


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    """The address of a studio with stand-ins for all networks."""
    with running_studio(tmp_path_factory.mktemp("dreaming"), "--public", stand_ins=True) as url:
        yield url


def turn_to_dream(visitor) -> None:
    """The first time a dream begins by itself."""
    with visitor.run(STAGE):
        visitor.page.click("#source-switch label:last-child")


def choose(visitor, group: str, name: str) -> None:
    visitor.page.click(f"#{group} label:has-text('{name}')")


def make(visitor) -> None:
    with visitor.run(STAGE):
        visitor.page.click("#dream-make")


def sources(visitor) -> list[str]:
    return visitor.page.eval_on_selector_all(f"{CELLS} .frame img", "images => images.map((image) => image.src)")


def shows(visitor, wanted: list[str]) -> None:
    """Waits until these pictures are there, each in its place: a picture is shown once it is decoded."""
    visitor.page.wait_for_function(
        "([images, wanted]) => [...document.querySelectorAll(images)].map((image) => image.src).join() === wanted.join()",
        arg=[f"{CELLS} .frame img", wanted],
    )


def first_is(visitor, src: str) -> None:
    """Waits until the first picture shows the same pixels as ``src``; the file's name is another."""
    visitor.page.wait_for_function(
        """async ([cells, src]) => {
            const draw = async (url) => {
                const image = new Image(); image.src = url; await image.decode();
                const canvas = document.createElement("canvas"); canvas.width = image.width; canvas.height = image.height;
                const pen = canvas.getContext("2d"); pen.drawImage(image, 0, 0);
                return pen.getImageData(0, 0, image.width, image.height).data.join();
            };
            const first = document.querySelector(`${cells} .frame img`);
            return first && await draw(first.src) === await draw(src);
        }""",
        arg=[CELLS, src],
    )


def pixels(path) -> bytes:
    with Image.open(path) as image:
        return image.tobytes()


@SIZES
def test_dream_star_more_like_this_and_back(visit, viewport):
    visitor = visit(viewport)
    page = visitor.page
    turn_to_dream(visitor)
    assert page.locator(f"{CELLS} .frame img").count() == 16 and fits(visitor)
    wait_for_strip(visitor, 16)
    visitor.picture(f"dream-{viewport['width']}")

    page.locator(f"{CELLS} .frame").nth(5).click()
    assert page.locator(".viewer h2").inner_text() == "Dream 0.6"
    page.wait_for_selector(".lineage:visible")
    page.keyboard.press("f")
    page.wait_for_selector(".strip-cell.favourite")
    page.keyboard.press("Escape")
    assert page.locator(f"{CELLS} .star[aria-pressed=true]").count() == 1
    page.locator(f"{CELLS} .frame").nth(2).focus()
    page.keyboard.press("f")  # without opening it
    page.wait_for_function("document.querySelectorAll('.strip-cell.favourite').length === 2")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.closest('figure').id") == "cell-dream/3"

    before = sources(visitor)
    page.locator(f"{CELLS} .frame").nth(5).click()
    with visitor.run(STAGE):
        page.click(".more-like >> text=A little")
    assert page.locator(".viewer").is_hidden() and page.locator(f"{CELLS} .frame img").count() == 16
    first_is(visitor, before[5])
    assert page.locator(".crumb").all_inner_texts() == ["StyleGAN, seed 0", "Like 6, a little"] and fits(visitor)
    visitor.picture(f"dream-like-{viewport['width']}")
    page.locator(f"{CELLS} .frame").nth(1).click()
    page.wait_for_selector(".lineage:visible")
    assert "Dream 0.6" in page.locator(".lineage:visible").first.inner_text()  # where it comes from
    page.keyboard.press("Escape")
    page.keyboard.press("b")
    shows(visitor, before)


@SIZES
def test_stage_by_stage_from_a_k_gan(visit, viewport, tmp_path):
    visitor = visit(viewport)
    page = visitor.page
    turn_to_dream(visitor)
    assert page.locator("#imagination").is_hidden() and page.locator("#truncation").is_visible()
    choose(visitor, "generator", "K-DCGAN")
    page.wait_for_selector("#imagination", state="visible")
    assert page.locator("#truncation").is_hidden() and "never seen a lion" in page.locator("#generator-hint").inner_text()
    make(visitor)
    with visitor.run(STAGE):
        page.click("#dream-stage .get-stages")
    assert page.locator("#dream-stage .column-name").all_inner_texts()[:2] == ["Sample", "K-GAN"]
    assert page.locator(f"{CELLS} img").count() == 8 * 4 and fits(visitor)
    visitor.picture(f"dream-stages-{viewport['width']}")
    sheet = save(visitor, lambda: page.click("#dream-stage .get-sheet"), tmp_path)
    assert Recipe.from_png(sheet).verb == "stages"
    wait_for_strip(visitor, 30)  # the strip's first page: 16 dreams, 16 lions and the sheet are kept
    assert "33 kept" in page.locator(".strip-count").inner_text()


def test_a_dial_renders_the_same_latents_again(visit):
    visitor = visit()
    page = visitor.page
    turn_to_dream(visitor)
    choose(visitor, "generator", "K-DCGAN")
    page.wait_for_selector("#imagination", state="visible")
    make(visitor)
    before = sources(visitor)
    with visitor.run(STAGE):
        page.fill("#imagination input[type=number]", "0.5")
        page.keyboard.press("Tab")
    after = sources(visitor)
    assert len(after) == 16 and not set(before) & set(after)
    assert page.locator(".crumb").count() == 2  # no new step
    page.locator(f"{CELLS} .frame").first.click()
    assert "Imagination\n0.50" in page.locator("#inspector-body dl").inner_text()


def test_a_link_restores_a_dream_and_make_gives_the_same_pixels(visit, studio, tmp_path):
    visitor = visit()
    page = visitor.page
    turn_to_dream(visitor)
    choose(visitor, "dream-animal", "Lion")
    page.wait_for_selector("#dream-strength", state="visible")
    page.fill("#dream-seed input", "41")
    with visitor.run(STAGE):
        page.click("#dream-make")
    page.locator(f"{CELLS} .frame").nth(6).click()
    with visitor.run(STAGE):
        page.click(".more-like >> text=A lot")
    page.locator(f"{CELLS} .frame").nth(3).click()
    page.wait_for_selector(".lineage:visible")
    png = save(visitor, lambda: page.keyboard.press("d"), tmp_path)
    recipe = Recipe.from_png(png)
    assert recipe.verb == "dream" and recipe.parents

    other = visit()
    other.page = other.context.new_page()
    other.page.goto(f"{studio}?r={recipe.to_link()}")
    other.page.wait_for_selector("#dream-make", state="visible")
    other.page.wait_for_function("document.querySelector('#dream-note').textContent.includes('restored')")
    assert other.page.input_value("#dream-seed input") == "41" and other.page.locator("#dream-strength").is_visible()
    make(other)
    assert other.page.locator(f"{CELLS} img").count() == 1
    other.page.locator(f"{CELLS} .frame").first.click()
    again = save(other, lambda: other.page.keyboard.press("d"), tmp_path)
    assert pixels(png) == pixels(again)

    other.page.keyboard.press("Escape")
    other.page.click("#source-switch label:first-child")
    other.page.set_input_files("#source .picker", str(png))  # dropped on the other source, it turns to dreams, too
    other.page.wait_for_selector("#dream-make", state="visible")
    other.page.click("#source-switch label:first-child")
    paste(other, recipe.to_json())
    other.page.wait_for_selector("#dream-make", state="visible")


def test_stop_keeps_what_is_there(visit):
    visitor = visit()
    page = visitor.page
    turn_to_dream(visitor)
    choose(visitor, "dream-animal", "Lion")
    page.click(".in-dream .more > button")
    page.fill("#count input[type=number]", "64")
    page.keyboard.press("Tab")
    page.wait_for_function("document.querySelector('#count input[type=range]').value === '64'")
    page.click("#dream-make")
    page.wait_for_function("document.querySelectorAll('#dream-stage figure.cell').length === 64")
    page.wait_for_function("document.querySelectorAll('#dream-stage figure.cell .frame img').length > 1")
    page.keyboard.press("Escape")
    page.wait_for_selector("#dream-stage progress:not(.busy)", state="attached")
    words, made = page.locator("#dream-stage .stage-words").inner_text(), page.locator(f"{CELLS} img").count()
    assert f"Stopped after {made} of 64" in words and 1 < made < 64
    assert page.locator(CELLS).count() == 64  # nothing jumped


def test_of_pictures_that_are_decoded_late_the_one_asked_for_last_is_shown(visit):
    """A step back while the step's pictures are still on their way must not be overtaken by them."""
    visitor = visit()
    shown = visitor.page.evaluate(
        """async () => {
            const [old, late, last] = ["#111", "#222", "#333"].map((colour) => {
                const canvas = document.createElement("canvas");
                const pen = canvas.getContext("2d");
                pen.fillStyle = colour; pen.fillRect(0, 0, 9, 9);
                return canvas.toDataURL();
            });
            const decoded = [], decode = Image.prototype.decode;
            Image.prototype.decode = () => new Promise((done) => decoded.push(done));
            const frame = document.createElement("div"), star = document.createElement("span");
            const end = async (wanted) => {
                decoded.splice(0).reverse().forEach((done) => done());
                await new Promise((done) => setTimeout(done));
                return frame.querySelector("img").src === wanted && frame.querySelectorAll("img").length === 1;
            };
            imaginarium.setPicture(frame, old, ""); frame.append(star);
            imaginarium.setPicture(frame, late, ""); imaginarium.setPicture(frame, old, "");
            const back = await end(old);
            imaginarium.setPicture(frame, late, ""); imaginarium.setPicture(frame, last, "");
            const onwards = await end(last);
            imaginarium.setPicture(frame, late, ""); imaginarium.setPicture(frame, "", "");
            decoded.splice(0).forEach((done) => done());
            await new Promise((done) => setTimeout(done));
            Image.prototype.decode = decode;
            return { back, onwards, emptied: !frame.querySelector("img"), star: star.parentNode === frame };
        }"""
    )
    assert shown == {"back": True, "onwards": True, "emptied": True, "star": True}


def test_the_dice_bring_other_faces(visit):
    visitor = visit()
    turn_to_dream(visitor)
    before = sources(visitor)
    with visitor.run(STAGE):
        visitor.page.click("#dream-dice")
    assert visitor.page.input_value("#dream-seed input") != "0" and not set(before) & set(sources(visitor))
    assert visitor.page.locator(".crumb").count() == 2


def test_a_dream_is_sent_on_as_a_photo(visit):
    visitor = visit()
    turn_to_dream(visitor)
    look_at(visitor)
    visitor.page.click(".send:visible >> text=Use as photo in Character")
    visitor.page.wait_for_selector("#photo-make", state="visible")
    visitor.page.wait_for_function("document.querySelector('.person').textContent.includes('Dream 0.16')")


def test_fingers_find_everything_on_a_phone(visit):
    visitor = visit(PHONE)
    turn_to_dream(visitor)
    page = visitor.page
    page.locator(f"{CELLS} .frame").first.click()
    with visitor.run(STAGE):
        page.click(".more-like >> text=Some")
    small = page.eval_on_selector_all(
        ".in-dream button, .in-dream label:has(input[type=radio]), #source-switch label, .trail button",
        """nodes => nodes.filter((node) => node.offsetParent && !node.matches('.reset-button, .tab-like-container *'))
            .map((node) => [node.textContent, node.getBoundingClientRect()])
            .filter(([, box]) => Math.min(box.height, box.width) < finger)
            .map(([text, box]) => `${text} ${box.width}x${box.height}`)""".replace("finger", str(FINGER)),
    )
    assert small == []
    assert fits(visitor)


def test_two_dreams_become_a_walk_and_its_film_plays(visit, tmp_path):
    visitor = visit()
    page = visitor.page
    turn_to_dream(visitor)
    for place in (2, 9):
        page.click("[data-tab=character]")
        page.locator(f"{CELLS} .frame").nth(place).click()
        page.click(".send:visible >> text=Walk from this face in Manifold")
        page.wait_for_function(f"document.querySelector('#tab-manifold').textContent.includes('Dream 0.{place + 1}')")
    for animal in page.eval_on_selector_all("#walk-animals input:checked", "boxes => boxes.map((box) => box.name)"):
        page.click(f"#walk-animals label:has(input[name={animal}])")
    page.wait_for_function("!document.querySelector('#walk-animals input:checked')")
    with visitor.run("#walk"):
        page.click("#walk-make")
    film = save(visitor, lambda: page.click("#walk .save-mp4"), tmp_path)
    played = page.evaluate(PLAYS, base64.b64encode(film.read_bytes()).decode())
    assert played["ready"] >= 3 and played["seconds"] > 0.5 and played["width"] >= 64
