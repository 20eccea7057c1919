"""What the parts of the Morph tab share: the photo that two of them work on, and the words for what is there."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import gradio as gr
import numpy as np

from studio.ui.parts import capital, preview, served
from studio.ui.session import Backstage, Desk, Table
from studio.ui.source import PEOPLE

if TYPE_CHECKING:
    from studio.core.engine import Engine

# The studio's pipelines are imported inside functions: torch comes with them, and the page must answer before that.

NO_NETWORKS = "There are no networks to morph with yet: bring them with `python -m studio pull`, then start the studio again."
MAX_CARE = 200  # steps of reversal
SHOWN_SIDE = 960  # px, longest side of a photo as the canvas shows it


def photo_table(desk: Desk, domain: str = "faces") -> Table:
    """The photo whose attributes are changed and whose holes are filled: it is one and the same. Each domain has its own."""
    return desk.tables.setdefault(f"morph-{domain}", Table())


def subject_of(domain: str) -> str:
    """What photos of a domain are asked for."""
    return PEOPLE if domain in ("faces", "people") else domain


def has_faces(domain: str) -> bool:
    """Whether the networks of a domain look for faces; of the others they take the middle."""
    return domain == "faces"


def take_middle(table: Table) -> None:
    """Of photos of no people nobody looks for a face."""
    for slot in table.slots:
        slot.choice = "centre"


def domains(backstage: Backstage) -> tuple[str, ...]:
    """What there are networks for that a visitor's photo may be of: people with numbers are nobody who comes here."""
    from studio.pipelines.conditioned import list_domains

    return tuple(domain for domain in list_domains(backstage.registry) if domain != "people")


def has_domain(backstage: Backstage, domain: str) -> bool:
    return domain in domains(backstage)


def engine_with_domains(backstage: Backstage) -> Engine:
    """The engine. Raises ``ValueError`` if there are no networks to morph with."""
    if not domains(backstage):
        raise ValueError(NO_NETWORKS)
    return backstage.engine()


def domain_radio(there: Sequence[str], chosen: str = "") -> gr.Radio:
    """The choice between domains; with one alone there is nothing to choose."""
    value = chosen or (there[0] if there else None)
    return gr.Radio(choices=[(capital(name), name) for name in there], value=value, visible=len(there) > 1)


def shown(rgb: np.ndarray, name: str) -> dict[str, Any]:
    """A photo, uint8 (H, W, 3), as the canvas shows it."""
    return served(preview(rgb, SHOWN_SIDE), f"{name}.jpg")


def inline_photo(rgb: np.ndarray, longest: int = SHOWN_SIDE) -> str:
    """A picture as an address that holds it, its longest side in px: it takes no second way to the server."""
    return f"data:image/jpeg;base64,{base64.b64encode(preview(rgb, longest)).decode()}"


def told(text: str, figure: str = "", good: bool = True) -> dict[str, Any]:
    """A sentence about a result, with its figure."""
    return {"text": text, "figure": figure, "good": good}
