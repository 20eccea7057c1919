"""Faces to begin with: a photograph that anybody may show, and faces that never were."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from studio.core.images import to_png
from studio.ui.parts import ASSETS
from studio.ui.source import Sample

if TYPE_CHECKING:
    from studio.core.engine import Engine

# The studio's pipelines are imported inside functions: torch comes with them, and the page must answer before that.

ASTRONAUT = Sample("astronaut.jpg", "Eileen Collins", ASSETS / "samples" / "astronaut.jpg")
SAMPLE_SEED, SAMPLES = 11, 4


def dreamt_samples(engine: Engine, generator: str) -> list[Sample]:
    """Faces that never were, of one of the studio's own generators; the same files each time, so that recipes find them again."""
    from studio.pipelines.dream import Candidate, DreamRequest, dream

    request = DreamRequest(generator, count=SAMPLES, seed=SAMPLE_SEED)
    dreamt = [step for step in dream(engine, request) if isinstance(step, Candidate)]
    samples = []
    for number, candidate in enumerate(dreamt, 1):
        recipe = candidate.recipe.model_copy(update={"created": datetime(2026, 1, 1, tzinfo=UTC)})
        samples.append(Sample(f"dream-{number}.png", f"Nobody {number}", to_png(candidate.image, recipe), recipe))
    return samples


class Samples:
    """What a tab offers to begin with: at once the astronaut, and faces that never were when a generator stands."""

    def __init__(self) -> None:
        self._all: tuple[Sample, ...] = (ASTRONAUT,)

    def __call__(self) -> tuple[Sample, ...]:
        return self._all

    def warm_up(self, engine: Engine) -> None:
        """Dreams up the faces, once; the caller sees to it that no two do."""
        from studio.pipelines.dream import list_generators, nearest_first

        if len(self._all) == 1 and (generators := nearest_first(list_generators(engine))):
            self._all = (ASTRONAUT, *dreamt_samples(engine, generators[0].name))
