"""The styles that a visitor likes: favourites of the gallery, whose recipes hold codes, and files of styles that came in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import gradio as gr

from studio.core.recipe import Recipe
from studio.ui import shelf
from studio.ui.parts import event_value
from studio.ui.session import Desk
from studio.ui.shelf import Liked
from studio.ui.tabs.domains_canvas import room_of

if TYPE_CHECKING:
    from studio.pipelines.looks import Style, StyleFile

# The studio's pipelines are imported inside functions: torch comes with them, and the page must answer before that.


class Shelf(shelf.Shelf):
    """The shelf of styles; those of other domains wait for them."""

    tab, what = "domains", "style"

    def liked(self, desk: Desk) -> Liked:
        return room_of(desk).liked

    def code_in(self, desk: Desk, recipe: Recipe) -> Style | None:
        from studio.pipelines.looks import check_style

        asked = recipe.parameters
        return check_style(asked.get("style")) if asked.get("domains") == room_of(desk).what else None

    def fits(self, desk: Desk, file: StyleFile) -> str:
        from studio.pipelines.domains import style_of

        try:
            style_of(file, room_of(desk).what)
        except ValueError as error:
            return f"{str(error).removesuffix(': choose those first.')}: it is on the shelf once you choose those."
        return ""

    def read(self, text: str) -> StyleFile:
        from studio.pipelines.looks import StyleFile

        return StyleFile.from_json(text)

    def named(self, desk: Desk, event: gr.EventData) -> Style:
        return room_of(desk).liked.codes[str(event_value(event, "look"))]


def file_of(recipe: Recipe, name: str) -> StyleFile:
    """The style of a kept picture as a file. Raises ``ValueError``."""
    from studio.pipelines.looks import StyleFile, check_style

    asked = recipe.parameters
    try:
        card = next(card for card in recipe.checkpoints if card.startswith("sdit-"))
        style, target = check_style(asked.get("style")), asked["target"]
        return StyleFile(name=name, card=card, style=style, domains=asked["domains"], target=target)
    except (KeyError, StopIteration) as error:
        raise ValueError("This picture's recipe names no style: choose another one.") from error
