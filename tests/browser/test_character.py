"""The Character tab as an artist meets it: in a real browser, at a desk and on a phone."""

from __future__ import annotations

import zipfile

import pytest
from PIL import Image

from studio.core.recipe import Recipe
from tests.browser.conftest import DESKTOP, PHONE, answer

RESULTS = "#tab-character figure.cell:not(.source-cell)"


def names_of(files) -> set[str]:
    with zipfile.ZipFile(files) as archive:
        return set(archive.namelist())


def save(visitor, click, folder):
    """The file that a click brings."""
    with visitor.page.expect_download() as waiting:
        click()
    path = folder / f"{len(list(folder.iterdir()))}-{waiting.value.suggested_filename}"
    waiting.value.save_as(path)
    return path


def fits(visitor) -> bool:
    return visitor.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


@pytest.mark.parametrize(("viewport", "name"), [(DESKTOP, "desktop"), (PHONE, "phone")])
def test_from_a_photo_to_animals_and_back_to_its_settings(visit, astronaut, tmp_path, viewport, name):
    visitor = visit(viewport)
    page = visitor.page
    assert fits(visitor)
    visitor.picture(f"{name}-first-visit")
    animals = page.locator(RESULTS).count()

    visitor.add(astronaut)
    page.locator("#animals label").first.click()
    visitor.make()
    assert page.locator(f"{RESULTS} img").count() == animals - 1
    assert page.locator(".strip-cell").count() == animals - 1
    assert fits(visitor)
    visitor.picture(f"{name}-made")

    page.locator(f"{RESULTS} button").first.click()
    title = page.locator(".viewer h2").inner_text()
    visitor.picture(f"{name}-large")
    page.keyboard.press("ArrowRight")
    assert page.locator(".viewer h2").inner_text() != title
    page.keyboard.press("ArrowLeft")
    png = save(visitor, lambda: page.keyboard.press("d"), tmp_path)
    recipe = Recipe.from_png(png)
    assert recipe.tab == "character" and len(recipe.parameters["animals"]) == 1
    with Image.open(png) as image:
        assert image.width == image.height >= 64
    page.keyboard.press("Escape")
    assert page.locator(".viewer").is_hidden()

    visitor.add(png)
    page.wait_for_function("document.querySelector('.note').textContent.includes('restored')")
    checked = page.eval_on_selector_all("#animals label:has(input:checked)", "labels => labels.map((label) => label.innerText)")
    assert [name.strip().lower().replace(" ", "_") for name in checked] == recipe.parameters["animals"]
    assert page.locator(".person:visible").count() == 1  # the photo itself is still there, the result did not become one
    visitor.make()
    page.locator(f"{RESULTS} button").first.click()
    again = save(visitor, lambda: page.keyboard.press("d"), tmp_path)
    with Image.open(png) as first, Image.open(again) as second:
        assert first.tobytes() == second.tobytes()


def test_sheet_and_zip(visit, tmp_path):
    visitor = visit()
    visitor.choose_animals(2)
    visitor.make()
    with Image.open(save(visitor, lambda: visitor.page.click(".get-sheet"), tmp_path)) as sheet:
        assert sheet.width > sheet.height
    names = names_of(save(visitor, lambda: visitor.page.click(".get-zip"), tmp_path))
    assert {"README.txt", "recipes.json", "sheet-1.png"} < names and len(names) == 5


def test_nobody_in_the_photo(visit, coffee):
    visitor = visit()
    page = visitor.page
    visitor.add(coffee)
    page.click("#photo-make")
    page.wait_for_function("document.querySelector('#photo-note').textContent.includes('No face was found in coffee.png')")
    assert page.locator(".person:visible").count() == 1  # nothing is lost
    visitor.picture("no-face")
    page.click(".person-extras >> text=Click the eyes")
    photo = page.locator(".chooser img")
    box = photo.bounding_box()
    for x in (0.4, 0.6):
        page.mouse.click(box["x"] + x * box["width"], box["y"] + 0.4 * box["height"])
    page.wait_for_function("document.querySelector('.person').textContent.includes('eyes you clicked')")
    visitor.make()
    assert page.locator(f"{RESULTS} img").count() == page.locator(RESULTS).count()


def test_a_file_that_is_no_photo_is_one_sentence(visit, tmp_path, astronaut):
    visitor = visit()
    bad = tmp_path / "notes.jpg"
    bad.write_text("no picture")
    visitor.add(astronaut)
    visitor.add(bad)
    visitor.page.wait_for_function("document.querySelector('.note').textContent.includes('notes.jpg')")
    assert visitor.page.locator(".note").first.inner_text().count(".") <= 2
    assert visitor.page.locator(".person:visible").count() == 1


def test_stop_keeps_what_is_there(visit, astronaut, tmp_path):
    visitor = visit()
    photos = []
    for number in range(8):  # the same photo with another pixel each, so that they are eight
        with Image.open(astronaut) as image:
            image.putpixel((0, 0), (number, 0, 0))
            photos.append(tmp_path / f"person-{number}.png")
            image.save(photos[-1])
    visitor.add(*photos)
    visitor.page.click("#photo-make")
    visitor.page.wait_for_selector(".strip-cell")
    visitor.page.keyboard.press("Escape")
    visitor.page.wait_for_selector("#stage progress:not(.busy)", state="attached")
    made = visitor.page.locator(f"{RESULTS} img").count()
    assert 0 < made <= 8 * visitor.page.locator("#animals input").count()
    # Of many, cells come as one scrolls.
    visitor.page.wait_for_function(f"document.querySelector('.strip-count').textContent.trim() === '{made} kept'")
    visitor.picture("many-people")


def test_the_keys_are_shown(visit):
    visitor = visit()
    visitor.page.keyboard.press("?")
    assert "Enter" in visitor.page.locator("dialog").inner_text()
    visitor.page.keyboard.press("Escape")
    visitor.page.wait_for_selector("dialog", state="detached")


def test_dark(visit):
    visitor = visit(color_scheme="dark")
    red, green, blue = visitor.page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")[:3]
    assert max(red, green, blue) < 64
    visitor.picture("dark")


def test_two_visitors_never_see_each_others_pictures(visit, astronaut):
    first, second = visit(), visit()
    first.add(astronaut)
    first.make()
    second.page.reload()
    second.page.wait_for_selector("figure.cell button img")
    assert second.page.locator(".strip-cell").count() == 0
    assert "astronaut.png" not in second.page.content()
    links = first.page.eval_on_selector_all(".strip-cell img", "images => images.map((image) => image.src)")
    assert all(link not in second.page.content() for link in links)


@pytest.mark.parametrize("path", ["app.py", "pretrained/index.json", "../../etc/passwd", "/etc/passwd", "studio/cli/files.py"])
def test_no_file_of_the_machine_is_served(studio, path):
    for prefix in ("/gradio_api/file=", "/file=", "/static/", "/"):
        status, body = answer(f"{studio}{prefix}{path}")
        assert status in (400, 401, 403, 404, 405) or b"<!doctype html>" in body[:200].lower(), (prefix, path, status)
