"""What is made is kept, found again and made again: in a real browser, at a desk and on a phone, among strangers."""

from __future__ import annotations

import json
import sqlite3

import pytest
from PIL import Image

from studio.core.recipe import Recipe
from tests.browser.conftest import DESKTOP, PHONE, Visitor, answer, free_port, running_studio
from tests.browser.test_character import fits, names_of, save

SIZES = pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])


def make_few(visitor, number: int = 2) -> None:
    """Makes the first ``number`` animals of the photo that is there."""
    visitor.choose_animals(number)
    visitor.make()
    visitor.page.wait_for_function(f"document.querySelectorAll('.strip-cell').length >= {number}")


def wait_for_strip(visitor, number: int) -> None:
    visitor.page.wait_for_function(f"document.querySelectorAll('.strip-cell').length === {number}")


def look_at(visitor, index: int = 0) -> None:
    """Opens a picture of the strip and waits for what is known of it."""
    visitor.page.locator(".strip-cell").nth(index).click()
    visitor.page.wait_for_selector(".lineage:visible")


def pixels(path) -> bytes:
    with Image.open(path) as image:
        return image.tobytes()


def checked_animals(visitor) -> list[str]:
    names = visitor.page.eval_on_selector_all("#animals label:has(input:checked)", "labels => labels.map((l) => l.innerText)")
    return [name.strip().lower().replace(" ", "_") for name in names]


def paste(visitor, text: str) -> None:
    visitor.page.click(".tab-pane.on .open-paste")
    visitor.page.fill("dialog textarea", text)
    visitor.page.click("#restore-paste")


def says(visitor, words: str) -> None:
    visitor.page.wait_for_function(
        "words => [...document.querySelectorAll('.note, #toast')].some((node) => node.textContent.includes(words))", arg=words
    )


@SIZES
def test_what_was_made_is_still_there_after_a_reload(visit, viewport):
    visitor = visit(viewport)
    make_few(visitor)
    titles = visitor.page.eval_on_selector_all(".strip-cell", "cells => cells.map((cell) => cell.title)")
    visitor.open(visitor.page.url)
    wait_for_strip(visitor, 2)
    assert visitor.page.eval_on_selector_all(".strip-cell", "cells => cells.map((cell) => cell.title)") == titles
    assert fits(visitor) and "token" not in visitor.page.url
    look_at(visitor)
    visitor.picture(f"kept-{viewport['width']}")
    assert fits(visitor)


@SIZES
def test_delete_undo_favourite_tag_and_filter(visit, viewport):
    visitor = visit(viewport)
    page = visitor.page
    make_few(visitor, 3)
    look_at(visitor)
    title = page.locator(".viewer h2").inner_text()
    page.keyboard.press("f")
    page.wait_for_selector(".strip-cell.favourite")
    page.keyboard.press("Delete")
    wait_for_strip(visitor, 2)
    assert page.locator(".viewer h2").inner_text() != title  # the next one took its place
    page.click("#toast >> text=Undo")
    wait_for_strip(visitor, 3)
    page.keyboard.press("z")  # the favourite
    page.wait_for_function("!document.querySelector('.strip-cell.favourite')")
    page.keyboard.press("Shift+Z")
    page.wait_for_selector(".strip-cell.favourite")
    page.locator(".tag-field:visible").fill("Print")
    page.locator(".tag-field:visible").press("Enter")
    page.wait_for_selector(".tag-chip")
    page.keyboard.press("Escape")

    page.click("#only-favourites")
    wait_for_strip(visitor, 1)
    page.click("#only-favourites")
    wait_for_strip(visitor, 3)
    page.fill(".strip-search", "print")
    wait_for_strip(visitor, 1)
    assert page.evaluate("document.activeElement.className") == "strip-search"
    visitor.picture(f"filtered-{viewport['width']}")
    assert fits(visitor)


def test_rename_and_full_screen(visit):
    visitor = visit()
    page = visitor.page
    make_few(visitor)
    look_at(visitor)
    page.fill("#inspector .title-field", "The pride of the house")
    page.press("#inspector .title-field", "Enter")
    page.wait_for_function("document.querySelector('.strip-cell').title === 'The pride of the house'")
    page.wait_for_function("document.querySelector('.viewer h2').textContent === 'The pride of the house'")
    page.click(".to-full")
    page.wait_for_selector(".viewer.full")
    before = page.get_attribute(".compare img", "src")
    page.keyboard.press("ArrowRight")
    page.wait_for_function("src => document.querySelector('.compare img').src !== src", arg=before)
    visitor.picture("full-screen")
    page.keyboard.press("Escape")
    page.wait_for_selector(".viewer:not(.full)")


@SIZES
def test_several_leave_in_one_file_with_or_without_their_recipes(visit, tmp_path, viewport):
    visitor = visit(viewport)
    page = visitor.page
    make_few(visitor, 3)
    page.click("#select")
    for index in range(2):
        page.locator(".strip-cell").nth(index).click()
    visitor.picture(f"selecting-{viewport['width']}")
    names = names_of(save(visitor, lambda: page.click("#zip-selected"), tmp_path))
    assert "recipes.json" in names and len(names) == 5
    page.click("#select-done")
    look_at(visitor)
    page.locator(".bare-switch:visible").first.check()
    page.keyboard.press("Escape")
    page.click("#select")
    page.locator(".strip-cell").first.click()
    assert "recipes.json" not in names_of(save(visitor, lambda: page.click("#zip-selected"), tmp_path))
    page.click("#select-done")
    look_at(visitor)
    png = save(visitor, lambda: page.keyboard.press("d"), tmp_path)
    assert b"imaginarium:recipe" not in png.read_bytes() and b"trainedAlgorithmicMedia" in png.read_bytes()


@SIZES
def test_a_stranger_makes_the_same_picture_from_the_file_and_the_photo(visit, astronaut, tmp_path, viewport):
    first = visit(viewport)
    first.add(astronaut)
    make_few(first, 1)
    look_at(first)
    png = save(first, lambda: first.page.keyboard.press("d"), tmp_path)

    second = visit(viewport)
    second.add(png)
    says(second, "Drop astronaut.png here")
    second.add(astronaut)
    says(second, "Its photo is here")
    assert checked_animals(second) == Recipe.from_png(png).parameters["animals"]
    second.make()
    wait_for_strip(second, 1)
    look_at(second)
    again = save(second, lambda: second.page.keyboard.press("d"), tmp_path)
    assert pixels(png) == pixels(again)


@SIZES
def test_a_link_sets_everything_and_makes_the_same_picture(visit, studio, tmp_path, viewport):
    first = visit(viewport)
    make_few(first, 1)  # of the sample, which everybody has
    look_at(first)
    png = save(first, lambda: first.page.keyboard.press("d"), tmp_path)
    link = f"{studio}/?r={Recipe.from_png(png).to_link()}"

    second = visit(viewport)
    second.open(link)
    says(second, "Its photo is here")
    assert "r=" not in second.page.url and checked_animals(second) == Recipe.from_png(png).parameters["animals"]
    second.make()
    wait_for_strip(second, 1)
    look_at(second)
    assert pixels(png) == pixels(save(second, lambda: second.page.keyboard.press("d"), tmp_path))


def test_the_copied_link_is_one_that_opens(visit, tmp_path):
    visitor = visit(permissions=["clipboard-read", "clipboard-write"])
    make_few(visitor, 1)
    look_at(visitor)
    visitor.page.click(".copy-link:visible")
    says(visitor, "link is copied")
    link = visitor.page.evaluate("navigator.clipboard.readText()")
    assert Recipe.from_link(link.partition("?r=")[2]).tab == "character"
    assert link.startswith(visitor.page.url)


def test_a_result_is_sent_and_what_comes_of_it_knows_its_parent(visit, astronaut):
    visitor = visit()
    page = visitor.page
    visitor.add(astronaut)
    make_few(visitor, 1)
    look_at(visitor)
    parent = page.locator(".viewer h2").inner_text()
    page.click(".send:visible")
    page.wait_for_function("document.querySelector('.person-name').textContent.startsWith('astronaut as')")
    visitor.make()
    wait_for_strip(visitor, 2)
    look_at(visitor)
    steps = page.locator("#inspector .lineage").first.locator(".person-name").all_inner_texts()
    assert steps[:2] == ["astronaut.png", parent] and len(steps) == 3
    visitor.picture("lineage")
    page.click(f'[aria-label="Make {parent} again with changes"]')
    page.wait_for_function("document.querySelector('.person-name').textContent === 'astronaut.png'")
    page.wait_for_selector(".viewer", state="hidden")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"version": 1', "not readable as JSON"),
        ('{"version": 99}', "newer studio"),
        (json.dumps({"version": 1, "tab": "../etc", "verb": "x"}), "damaged or forged"),
        (json.dumps({"version": 1, "tab": "character", "verb": "t", "inputs": [{"sha256": "file:///x"}]}), "or forged"),
        ("https://evil.example/?r=AAAA", "damaged or incomplete"),
        ("http://169.254.169.254/latest", "damaged or incomplete"),
    ],
    ids=range(6),
)
def test_a_recipe_that_no_studio_wrote_is_one_sentence_and_fetches_nothing(visit, text, words):
    visitor = visit()
    paste(visitor, text)
    says(visitor, words)
    assert visitor.page.locator(".person:visible").count() == 1


def test_a_network_that_is_not_here_is_named(visit, tmp_path):
    visitor = visit()
    recipe = Recipe(tab="character", verb="translate", checkpoints={"cyclegan-unicorn-64": "0" * 64})
    paste(visitor, recipe.to_json())
    says(visitor, "cyclegan-unicorn-64")


def test_strangers_reach_nothing_of_each_other(visit, studio, astronaut):
    first, second = visit(), visit()
    first.add(astronaut)
    make_few(first, 1)
    look_at(first)
    recipe = first.page.locator("#inspector pre").text_content()
    item = first.page.evaluate("[...document.querySelectorAll('.strip-cell img')][0].src")
    tokens = [visitor.page.evaluate("localStorage.getItem('imaginarium-workspace')") for visitor in (first, second)]
    assert tokens[0] and tokens[0] != tokens[1]

    second.page.evaluate("localStorage.setItem('imaginarium-workspace', 'x'.repeat(43))")  # a guess
    second.open(second.page.url)
    assert second.strip() == 0
    paste(second, recipe)  # who has the recipe still has not the photo
    says(second, "Drop astronaut.png here")
    assert "astronaut" not in second.page.locator("#source .people").inner_text()
    name = item.rpartition("/")[2]
    guesses = (f"/gradio_api/file={name}", f"/gradio_api/file=../{name}", "/gradio_api/file=data/visitors", f"/?r={tokens[0]}")
    for guess in guesses:
        status, body = answer(f"{studio}{guess}")
        assert status in (400, 401, 403, 404) or b"<!doctype html>" in body[:200].lower(), guess
        assert tokens[0].encode() not in body


def test_a_restart_of_the_studio_loses_nothing(browser, tmp_path):
    port = free_port()
    with running_studio(tmp_path, "--host", "127.0.0.1", port=port) as url:
        visitor = Visitor(browser, url, DESKTOP)
        make_few(visitor, 1)
        visitor.page.goto("about:blank")  # an open page reloads itself when the studio is back, which would cut the visit below
    with running_studio(tmp_path, "--host", "127.0.0.1", port=port) as url:
        visitor.open(url)
        wait_for_strip(visitor, 1)
        token = visitor.page.evaluate("localStorage.getItem('imaginarium-workspace')")
        assert token is None  # one's own machine needs none
    visitor.context.close()
    with sqlite3.connect(tmp_path / "data" / "local" / "gallery.db") as database:
        assert database.execute("SELECT count(*) FROM items").fetchone() == (1,)
