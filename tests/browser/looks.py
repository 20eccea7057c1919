"""What the tabs' tests do alike: both sizes of screen, pictures saved, sent on and brought back."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from studio.core.recipe import Recipe
from tests.browser.conftest import DESKTOP, PHONE, Visitor
from tests.browser.test_character import save

SIZES = pytest.mark.parametrize(("viewport", "name"), [(DESKTOP, "desktop"), (PHONE, "phone")])


def too_small(visitor: Visitor, tab: str, *more: str) -> list[str]:
    """Buttons of a tab that a thumb would miss; ``more`` are other selectors of them."""
    kinds = ", ".join([".quiet", ".icon", ".make-button", ".stop-button", *more])
    return visitor.page.eval_on_selector_all(
        f"#tab-{tab} button:is({kinds})",
        "nodes => nodes.filter((n) => n.offsetParent && n.getBoundingClientRect().height < 43 && !n.closest('.brush-kinds'))"
        ".map((n) => n.textContent)",
    )


def saved(visitor: Visitor, folder: Path) -> Recipe:
    """The recipe of what is large."""
    return Recipe.from_png(save(visitor, lambda: visitor.page.click(".save-look >> visible=true"), folder))


def strip_of(visitor: Visitor, number: int) -> None:
    """Waits until so many pictures are kept."""
    visitor.page.wait_for_function(f"document.querySelectorAll('.strip-cell').length === {number}")


def send(visitor: Visitor, words: str) -> None:
    """Sends the newest picture where the button says."""
    visitor.page.click(".strip-cell")
    visitor.page.click(f".send:has-text('{words}')")


def bring_back(visitor: Visitor, tab: str, way: str, png: Path, run: AbstractContextManager[None]) -> None:
    """Restores a picture's settings from its "file" or its "link", after which it is made; ``run`` waits for the end."""
    if way == "file":
        with run:
            visitor.add(png)
        return
    visitor.page.goto(f"{visitor.page.url.split('?')[0]}?r={Recipe.from_png(png).to_link()}")
    visitor.page.wait_for_selector(f"#tab-{tab}.on .note:has-text('restored')")
    with run:
        visitor.page.click(f"#{tab}-make")
