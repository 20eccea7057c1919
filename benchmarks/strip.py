"""The strip of the real page over a gallery of 10,000 results, in a real browser: it opens in at most 200 ms, is filtered in at
most 100 ms, and neither the server's memory nor the page grows with the gallery.

    python -m benchmarks.strip [--results 10000]

Prints JSON; exit code 1 if a promise is broken. Needs Chromium; Linux only (it reads the server's memory from /proc).

Opening is counted from the first request that the page sends to the pictures of the strip on the screen; the time a browser
takes to load gradio itself is told beside it. Filtering is counted from the click, or from the moment a search is sent (the
search field waits 200 ms for more letters first), to the new pictures on the screen.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from benchmarks.gallery import FILTER_MS, FLAT_MB, OPEN_MS, fill
from tests.browser.conftest import DESKTOP, chromium, running_studio

VISITS, CLICKS = 5, 12
USES = 50  # filters between two looks at the memory

# Notes when the strip last changed and everything in sight of it was decoded and painted.
WATCH = """
window.strip = { asked: 0, drawn: 0 };
const plain = window.fetch;
window.fetch = (...request) => {
  if (String(request[0]).includes("queue/join") || String(request[0]).includes("run/predict")) strip.asked = performance.now();
  strip.first ||= strip.asked;
  return plain(...request);
};
addEventListener("click", () => { strip.clicked = performance.now(); }, true);
const inSight = (image) => image.getBoundingClientRect().left < innerWidth;
async function seen() {
  strip.listed = performance.now();
  const images = [...document.querySelectorAll(".strip-cell img")].filter(inSight);
  await Promise.all(images.map((image) => image.decode().catch(() => {})));
  requestAnimationFrame(() => setTimeout(() => { strip.drawn = performance.now(); }));
}
new MutationObserver((changes) => {
  if (changes.some((change) => change.target.className === "strip-row" && change.addedNodes.length)) seen();
}).observe(document, { childList: true, subtree: true });
"""


def open_strip(page: Page, url: str) -> dict[str, float]:
    """One visit: milliseconds of the strip and of the whole page until then."""
    page.goto(url)
    page.wait_for_selector(".strip-cell")
    page.wait_for_function("strip.drawn > strip.first")
    first, listed, drawn = page.evaluate("[strip.first, strip.listed, strip.drawn]")
    return {"listed": listed - first, "strip": drawn - first, "page": drawn}


def timed(page: Page, act: Callable[[], None], start: str) -> float:
    """Milliseconds from ``start``, a JavaScript expression, to the strip drawn anew."""
    page.evaluate("strip.drawn = 0")
    act()
    page.wait_for_function("strip.drawn > 0")
    return page.evaluate(f"strip.drawn - {start}")


def figures(milliseconds: list[float]) -> dict[str, float]:
    return {"median": round(statistics.median(milliseconds), 1), "worst": round(max(milliseconds), 1)}


def filter_times(page: Page) -> dict[str, dict[str, float]]:
    """Every way to narrow the strip down, and back."""
    words = ("lion", "portrait-7", "")
    tags = ("for print", "")
    return {
        "favourites": figures([timed(page, lambda: page.click("#only-favourites"), "strip.clicked") for _ in range(CLICKS)]),
        "search": figures(
            [timed(page, lambda w=word: page.fill(".strip-search", w), "strip.asked") for word in words * (CLICKS // 3)]
        ),
        "tag": figures(
            [
                timed(page, lambda t=tag: page.select_option('[aria-label="All tags"]', t), "strip.asked")
                for tag in tags * (CLICKS // 2)
            ]
        ),
    }


def more_times(page: Page) -> dict[str, float]:
    """The next pictures, a few times."""
    return figures([timed(page, lambda: page.click("#strip-more"), "strip.clicked") for _ in range(3)])


def use(page: Page) -> None:
    """Filters again and again, as in a long visit."""
    for _ in range(USES):
        timed(page, lambda: page.click("#only-favourites"), "strip.clicked")


def page_size(page: Page) -> dict[str, int]:
    """What the page holds."""
    return page.evaluate("""() => ({
        nodes: document.querySelectorAll("*").length,
        pictures: document.querySelectorAll(".strip-cell").length,
        "thumbnails loaded": performance.getEntriesByType("resource").filter((entry) => entry.name.endsWith(".webp")).length,
    })""")


def server() -> int:
    """The process of the studio that this one started."""
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return next(int(child) for child in children if b"app.py" in Path(f"/proc/{child}/cmdline").read_bytes())


def megabytes(process: int) -> float:
    """Resident memory."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 1e6, 1)


def visit(results: int) -> dict[str, object]:
    """Fills a gallery, opens the real page over it and measures. Times in ms, memory in MB."""
    with tempfile.TemporaryDirectory() as folder:
        (gallery := Path(folder) / "data" / "local").mkdir(parents=True)
        fill(gallery, results)
        with running_studio(Path(folder)) as url, sync_playwright() as playwright, chromium(playwright) as browser:
            page = browser.new_page(viewport=DESKTOP)
            page.add_init_script(WATCH)
            page.set_default_timeout(120_000)
            page.goto(url)
            page.wait_for_selector("figure.cell button img")  # the networks are warm, nothing else runs
            opened = [open_strip(page, url) for _ in range(VISITS)]
            size, before = page_size(page), megabytes(server())
            filters = filter_times(page)
            use(page)
            more = more_times(page) if results > 1000 else None
            return {
                "results": results,
                "strip opens": figures([one["strip"] for one in opened]),
                "whole page until then": figures([one["page"] for one in opened]),
                "filters": filters,
                "page": size,
                "server memory": before,
                "the next pictures": more,
                f"server memory after {USES} filters": megabytes(server()),
            }


def kept_promises(small: dict, large: dict) -> dict[str, bool]:
    slowest = max(one["median"] for one in large["filters"].values())
    return {
        f"opens in {OPEN_MS} ms": large["strip opens"]["median"] <= OPEN_MS,
        f"filters in {FILTER_MS} ms": slowest <= FILTER_MS,
        "the page is no larger than over 100 results": large["page"]["nodes"] <= small["page"]["nodes"] + 20,
        f"the server takes at most {FLAT_MB} MB more": large["server memory"] - small["server memory"] <= FLAT_MB,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=int, default=10_000)
    options = parser.parse_args()
    small, large = visit(100), visit(options.results)
    promises = kept_promises(small, large)
    load = [round(value, 1) for value in os.getloadavg()]
    machine = {"processors": os.cpu_count(), "system": platform.platform(), "load average": load}
    print(json.dumps({"machine": machine, "small": small, "large": large, "promises": promises}, indent=1))
    return 0 if all(promises.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
