"""Makes the pictures of README.md and docs/ from the running studio: ``python docs/make_screenshots.py [URL]``.

Without an address it starts the studio itself. The sample photo is in the public domain; everything else on the pictures is made
by the studio's own networks.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
PICTURES = ROOT / "docs" / "pictures"
PORT = 7899
PATIENCE = 180_000  # ms


@contextmanager
def studio() -> Iterator[str]:
    """The address given on the command line, or that of a studio started for these pictures."""
    if len(sys.argv) > 1:
        yield sys.argv[1]
        return
    with tempfile.TemporaryDirectory() as folder:  # an artist's own gallery stays out of the pictures
        environment = {**os.environ, "IMAGINARIUM_DATA": folder}
        process = subprocess.Popen([sys.executable, "app.py", "--port", str(PORT)], cwd=ROOT, env=environment)
        url = f"http://127.0.0.1:{PORT}"
        try:
            _wait_for(url, process)
            yield url
        finally:
            process.terminate()
            process.wait(30)


def _wait_for(url: str, process: subprocess.Popen) -> None:
    while process.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except OSError:
            time.sleep(0.5)
    sys.exit("The studio did not start: run `python app.py` to see why.")


def shoot(page: Page, name: str) -> None:
    """Saves the page as it is, once every picture on it is there."""
    page.wait_for_function("[...document.images].every((image) => image.complete || image.loading === 'lazy')")
    page.wait_for_timeout(400)
    page.screenshot(path=str(PICTURES / f"{name}.png"))
    print(f"docs/pictures/{name}.png")


def main() -> None:
    """Goes through the studio as a visitor does and keeps what is seen."""
    PICTURES.mkdir(exist_ok=True)
    with studio() as url, sync_playwright() as playwright:
        path = shutil.which("chromium") or shutil.which("chromium-browser")
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        for name, size in (("character", (1440, 900)), ("character-phone", (390, 844))):
            page = browser.new_page(viewport={"width": size[0], "height": size[1]}, color_scheme="light")
            page.set_default_timeout(PATIENCE)
            page.goto(url)
            page.wait_for_selector("figure.cell button img")
            page.click("#photo-make")
            until_made(page, "stage")
            shoot(page, name)
            page.locator("figure.cell button").nth(4).click()
            shoot(page, f"{name}-large")
            page.keyboard.press("Escape")
            dream(page, name.replace("character", "dream"))
        browser.close()


def until_made(page: Page, stage: str) -> None:
    """Waits until the canvas has begun and is full."""
    page.wait_for_selector(f"#{stage} progress.busy", state="attached")
    page.wait_for_selector(f"#{stage} progress:not(.busy)", state="attached")


def dream(page: Page, name: str) -> None:
    """The Character tab's other source: sixteen faces, one of them large, and the stages from a face to a lion."""
    page.click("#source-switch label:last-child")  # a first dream begins by itself
    until_made(page, "dream-stage")
    shoot(page, name)
    page.locator("#dream-stage figure.cell .frame").nth(4).click()
    shoot(page, f"{name}-large")
    page.keyboard.press("Escape")
    page.click("#generator label:has-text('K-DCGAN')")
    page.click("#dream-animal label:has-text('Lion')")
    page.click("#dream-make")
    until_made(page, "dream-stage")
    page.click("#dream-stage .get-stages")
    until_made(page, "dream-stage")
    shoot(page, f"{name}-stages")


if __name__ == "__main__":
    main()
