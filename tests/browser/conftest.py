"""The studio in a process of its own, and a browser that watches what the page says and fetches."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, BrowserContext, Frame, Page, Playwright, TimeoutError, sync_playwright
from skimage import data

from studio.core.images import to_png
from studio.core.registry import default_registry

ROOT = Path(__file__).resolve().parents[2]
PICTURES = ROOT / "test-output"
DESKTOP, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
CUT_STREAM = ("AbortError: signal is aborted", "Unexpected error Connection errored out")
# A picture takes its frame once it is decoded; until then the frame says which one it waits for.
SHOWN = """[...document.querySelectorAll("[data-wanted]")].every((frame) => {
  const image = frame.querySelector("img");
  return (image ? image.getAttribute("src") : "") === frame.dataset.wanted;
})"""
PATIENCE = 120_000  # ms: two cores may be busy with something else


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What a browser does on a busy machine has a second chance, which the summary names; what is broken fails twice."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.flaky(reruns=1))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answer(url: str) -> tuple[int, bytes]:
    """Status and body of a GET."""
    try:
        with urllib.request.urlopen(url, timeout=30) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


@pytest.fixture(scope="session")
def studio(tmp_path_factory) -> Iterator[str]:
    """The address of a public studio, where every visitor has a gallery of their own."""
    with running_studio(tmp_path_factory.mktemp("studio"), "--public") as url:
        yield url


@contextmanager
def running_studio(
    folder: Path, *flags: str, port: int | None = None, stand_ins: bool = False, **environment: str
) -> Iterator[str]:
    """The real front door where animals are shipped, else (or on request) stand-ins for them; ``folder`` keeps what it keeps."""
    port = port or free_port()
    stand_ins = stand_ins or not default_registry().list_models(task="translate")
    command = ["tests/browser/studio_app.py", str(folder / "stand-ins")] if stand_ins else ["app.py"]
    command = [sys.executable, *command, *flags, "--port", str(port)]
    environment = {**os.environ, "IMAGINARIUM_DATA": str(folder / "data"), **environment}
    path = folder / "studio.log"
    with path.open("w") as log:
        process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, env=environment)
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_for(url, process, path)
        yield url
    finally:
        process.terminate()
        process.wait(30)


def _wait_for(url: str, process: subprocess.Popen, log: Path) -> None:
    for _ in range(360):
        if process.poll() is not None:
            break
        try:
            if answer(url)[0] == 200:
                return
        except OSError:
            time.sleep(0.5)
    pytest.fail(f"The studio did not open:\n{log.read_text()}")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright, chromium(playwright) as browser:
        yield browser


@contextmanager
def chromium(playwright: Playwright) -> Iterator[Browser]:
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    browser = playwright.chromium.launch(executable_path=path, args=QUIET)
    yield browser
    browser.close()


class Visitor:
    """A browser profile of its own at the studio; ``troubles`` collects errors of the page and requests off the host.

    ``script`` runs in every page before the page's own.
    """

    def __init__(self, browser: Browser, url: str, viewport: dict, script: str = "", **options):
        self.context: BrowserContext = browser.new_context(viewport=viewport, accept_downloads=True, **options)
        self.context.add_init_script(script)
        self.context.set_default_timeout(PATIENCE)
        self.page: Page = self.context.new_page()
        self.troubles: list[str] = []
        self.page.on("console", lambda message: message.type == "error" and self.troubles.append(message.text))
        self.page.on("pageerror", lambda error: self.troubles.append(str(error)))
        self.page.on("request", lambda request: self._check(request.url, url))
        self.pages_seen = 0
        self.page.on("framenavigated", self._count)
        self.open(url)

    def open(self, url: str) -> None:
        """Goes there and waits for the first pictures."""
        self.page.goto(url)
        try:
            self.page.wait_for_selector("figure.cell button img")
        except TimeoutError as error:
            self.picture("not-opened")
            words = self.page.locator("body").inner_text()
            raise AssertionError(f"The page did not open: it says {words!r}, its console {self.troubles}.") from error

    def strip(self) -> int:
        """How many pictures the strip shows."""
        return self.page.locator(".strip-cell").count()

    def real_troubles(self) -> list[str]:
        """The troubles, less what gradio's client says of a stream cut by a reload: nobody is there any more to be troubled."""
        left = self.pages_seen > 1
        return [trouble for trouble in self.troubles if not (left and trouble.startswith(CUT_STREAM))]

    def _count(self, frame: Frame) -> None:
        self.pages_seen += frame == self.page.main_frame

    def _check(self, requested: str, url: str) -> None:
        if not requested.startswith((url, "data:", "blob:")):
            self.troubles.append(f"fetches {requested}")

    def add(self, *files: Path) -> None:
        """Chooses files and waits until their faces were searched."""
        self.page.set_input_files(".tab-pane.on .picker", [str(file) for file in files])
        self.page.wait_for_function("!document.querySelector('.drop-card.reading')")
        self.page.wait_for_function("![...document.querySelectorAll('.person')].some((p) => p.textContent.includes('looking'))")

    def choose_animals(self, number: int) -> None:
        """Only the first ``number`` animals."""
        self.page.click("#no-animals")
        self.page.wait_for_function("!document.querySelector('#animals input:checked')")
        for box in range(number):
            self.page.locator("#animals label").nth(box).click()
        self.page.wait_for_function("number => document.querySelectorAll('#animals input:checked').length === number", arg=number)

    def make(self) -> None:
        """Presses Make and waits until everything is there."""
        with self.run("#stage"):
            self.page.click("#photo-make")

    @contextmanager
    def run(self, stage: str) -> Iterator[None]:
        """Waits for the end of the run that is begun inside, however short, and for its pictures; a canvas numbers its runs."""
        before = self.page.locator(f"{stage} progress").get_attribute("data-run")
        yield
        self.page.wait_for_selector(f'{stage} progress:not(.busy, [data-run="{before}"])', state="attached")
        self.page.wait_for_function(SHOWN)

    def picture(self, name: str) -> None:
        """Keeps a screenshot for whoever judges the page."""
        PICTURES.mkdir(exist_ok=True)
        self.page.screenshot(path=str(PICTURES / f"{name}.png"))


@pytest.fixture
def visit(studio, browser):
    """Opens the studio as a new visitor; afterwards no visitor may have had trouble."""
    visitors: list[Visitor] = []

    def open_studio(viewport=DESKTOP, **options) -> Visitor:
        visitors.append(Visitor(browser, studio, viewport, **options))
        return visitors[-1]

    yield open_studio
    for visitor in visitors:
        visitor.context.close()
    assert not [trouble for visitor in visitors for trouble in visitor.real_troubles()]


@pytest.fixture(scope="session")
def astronaut(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("photos") / "astronaut.png"
    path.write_bytes(to_png(data.astronaut()))
    return path


@pytest.fixture(scope="session")
def coffee(tmp_path_factory) -> Path:
    """A photo of nobody."""
    path = tmp_path_factory.mktemp("photos") / "coffee.png"
    path.write_bytes(to_png(data.coffee()))
    return path


@pytest.fixture
def mirrored(tmp_path) -> Path:
    """Another photo of the same person."""
    path = tmp_path / "mirrored.png"
    path.write_bytes(to_png(np.ascontiguousarray(data.astronaut()[:, ::-1])))
    return path


assert "GRADIO_SHARE" not in os.environ, "A test must never open a public link."
