"""How soon a drag across the square of four faces is answered, on the real page with the shipped networks.

    python -m benchmarks.drag [--drags 40]

One visitor drags while nobody else is there, and while a second visitor's photo is being found. Two things are timed in the
page, from the pointer's event on: the next frame that shows the point (a blend of the square's own pictures), and the very
picture of it, by the networks. Prints JSON; exit code 1 if a promise is broken.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser.conftest import DESKTOP, chromium, running_studio

ALONE_MS, IN_COMPANY_MS = 120, 300
CARE = 300  # steps of the other visitor's search: it outlasts the drags
# Moves the pointer over the square and waits for the point's very picture: the times in ms of the frame and of the picture.
DRAG = """async ([across, down]) => {
  const [square, large] = ["#walk .walk-square", "#walk .walk-large"].map((name) => document.querySelector(name));
  const box = square.getBoundingClientRect();
  const where = { clientX: box.left + across * box.width, clientY: box.top + down * box.height, buttons: 1, pointerId: 1 };
  const picture = new Promise((done) => new MutationObserver((_, watch) => {
    if (large.dataset.exact) { watch.disconnect(); done(performance.now()); }
  }).observe(large, { attributeFilter: ["data-exact"] }));
  const start = performance.now();
  square.dispatchEvent(new PointerEvent("pointermove", where));
  const frame = await new Promise((done) => requestAnimationFrame(() => done(performance.now())));
  return [frame - start, (await picture) - start];
}"""


def walker(browser: Browser, url: str) -> Page:
    """A visitor on the Manifold tab, whose page is drawn."""
    page = browser.new_context(viewport=DESKTOP).new_page()
    page.set_default_timeout(300_000)
    page.goto(url)
    page.click("[data-tab=manifold]")
    page.wait_for_selector("#walk .walk-drive:not([hidden])")
    return page


def make_square(page: Page) -> None:
    """Four dreams, and all between them."""
    for number in (2, 3):
        page.locator("#tab-manifold .in-walk .sample").first.click()
        page.wait_for_function(f"document.querySelectorAll('#tab-manifold .in-walk .person').length === {number + 1}")
    page.click("#walk-make")
    page.wait_for_selector("#walk .walk-field:not([hidden])")
    page.wait_for_selector("#walk progress:not(.busy)", state="attached")


def search(page: Page) -> None:
    """Begins to find the photo that is among the samples, with more care than anybody needs."""
    page.locator("#tab-manifold .in-walk .sample").last.click()
    page.wait_for_function("document.querySelectorAll('#tab-manifold .in-walk .person').length === 3")
    page.click("#tab-manifold .in-walk .more button")
    page.locator("#walk-steps input[type=number]").fill(str(CARE))
    page.locator("#walk-steps input[type=number]").press("Tab")
    page.click("#walk-make")
    page.wait_for_function("document.querySelector('#walk .walk-faces').textContent.includes('being found')")


def drags(page: Page, count: int) -> dict[str, dict[str, float]]:
    """Medians and worst of so many drags, each to a point of its own."""
    points = [[0.1 + 0.8 * (step * n % count) / count for step in (7, 3)] for n in range(count)]
    times = [page.evaluate(DRAG, point) for point in points]
    return {name: _figures(row) for name, row in zip(("frame", "picture"), zip(*times, strict=True), strict=True)}


def _figures(times: tuple[float, ...]) -> dict[str, float]:
    ordered = sorted(times)
    return {
        "median": round(statistics.median(ordered), 1),
        "95 %": round(ordered[int(0.95 * (len(ordered) - 1))], 1),
        "worst": round(ordered[-1], 1),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--drags", type=int, default=40)
    count = parser.parse_args().drags
    with (
        tempfile.TemporaryDirectory() as folder,
        running_studio(Path(folder), "--public") as url,
        sync_playwright() as playwright,
        chromium(playwright) as browser,
    ):
        page, other = walker(browser, url), walker(browser, url)
        make_square(page)
        drags(page, 5)  # the networks are warm
        alone = drags(page, count)
        search(other)
        company = drags(page, count)
        searched = other.locator("#walk progress.busy").count() == 1
    promises = {
        f"alone, a picture in {ALONE_MS} ms": alone["picture"]["median"] <= ALONE_MS,
        f"while somebody is searched, a picture in {IN_COMPANY_MS} ms": company["picture"]["median"] <= IN_COMPANY_MS,
        "the search lasted as long as the drags": searched,
    }
    load = [round(value, 1) for value in os.getloadavg()]
    machine = {"processors": os.cpu_count(), "system": platform.platform(), "load average": load}
    print(json.dumps({"machine": machine, "ms": {"alone": alone, "in company": company}, "promises": promises}, indent=1))
    return 0 if all(promises.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
