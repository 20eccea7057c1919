"""What the browser draws of dreams, and the way by which a visitor came to them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from studio.core.images import to_png
from studio.core.recipe import Recipe
from studio.ui.parts import EMPTY_SHEET, capital, pretty, served

if TYPE_CHECKING:
    from studio.pipelines.dream import Candidate, DreamRequest, StageCell, StageResult

# studio.pipelines.dream is imported inside functions: torch comes with it, and the page must answer before that.

LONGEST = 24  # steps of the way back
INVITATION = "Press Make for faces that never were."


@dataclass(eq=False)
class Step:
    """One canvas of the way: what was asked for, what the browser draws of it, and the candidates by their place there.

    ``parent`` is the id of the kept result that it grew from, ``png`` its sheet.
    """

    request: DreamRequest
    label: str
    verb: str = "dream"
    parent: str = ""
    sheet: dict[str, Any] = field(default_factory=dict)
    candidates: dict[str, Candidate] = field(default_factory=dict)
    png: bytes | None = None


@dataclass
class Room:
    """One visitor's dreams: the way here, and what a restored recipe asks for until it is made."""

    trail: list[Step] = field(default_factory=list)
    at: int = -1
    wanted: DreamRequest | None = None
    wanted_verb: str = "dream"
    run: int = 0
    turned: float = -1
    stopped: bool = False

    @property
    def here(self) -> Step | None:
        """The step that is on the canvas."""
        return self.trail[self.at] if self.trail else None

    def enter(self, step: Step) -> None:
        """Goes on from here to a new step; what lay ahead after going back is given up, as in every history."""
        if self.here:
            settle(self.here)
        self.trail = [*self.trail[: self.at + 1], step][-LONGEST:]
        self.at = len(self.trail) - 1

    def leave(self, step: Step) -> None:
        """Takes back a step that came to nothing."""
        if step in self.trail:
            place = self.trail.index(step)
            self.trail.remove(step)
            self.at -= self.at >= place

    def begin(self) -> int:
        """A new run; whatever still runs ends when it sees that it is not the latest."""
        self.run, self.stopped = self.run + 1, False
        return self.run


def describe(recipe: Recipe) -> list[list[str]]:
    """A dream's settings for people; nothing if they are damaged."""
    from studio.pipelines.dream import request_from_recipe
    from studio.pipelines.parts import animal_label

    try:
        request = request_from_recipe(recipe)
    except ValueError:
        return []
    asked = recipe.parameters
    dials = {"strength": "How far", "imagination": "Imagination", "truncation": "How daring"}
    picks = [f"{seed}, picture {index + 1}" for seed, index, _ in request.ancestry]
    return [
        *([["Animal", capital(animal_label(request.animal))]] if request.animal else []),
        *([name, f"{getattr(request, key):.2f}"] for key, name in dials.items() if key in asked),
        ["Seed", ", then ".join(picks) or str(request.seed)],
    ]


# -- names ----------------------------------------------------------------------------------------------------------------


def step_label(request: DreamRequest) -> str:
    """A step's name on the way."""
    from studio.pipelines.parts import animal_label

    seed, number = (request.ancestry[-1][0], request.ancestry[-1][1] + 1) if request.ancestry else (request.seed, None)
    words = [request.animal and animal_label(request.animal), f"seed {seed}", number and f"picture {number}"]
    return ", ".join(word for word in words if word)


def name_of(request: DreamRequest, index: int) -> str:
    """A candidate's name: its seed, the picks that led to it, its number."""
    from studio.pipelines.parts import animal_label, with_article

    name = f"Dream {picks_of(request)}.{index + 1}"
    if request.animal is None or not (request.strength or request.generator.startswith("k-")):
        return name
    return f"{name} {'as' if request.strength else 'towards'} {with_article(animal_label(request.animal))}"


def picks_of(request: DreamRequest) -> str:
    """The seed and the numbers of the picks that led to a dream."""
    seed = request.ancestry[0][0] if request.ancestry else request.seed
    return ".".join(map(str, [seed, *(picked + 1 for _, picked, _ in request.ancestry)]))


# -- what the browser draws -----------------------------------------------------------------------------------------------


def draw(room: Room) -> dict[str, Any]:
    """The step that is shown, with the way to it."""
    step = room.here
    if step is None:
        return {**EMPTY_SHEET, "message": INVITATION, "run": room.run}
    trail = [{"label": other.label, "title": picks_of(other.request), "here": other is step} for other in room.trail]
    stages = step.verb == "dream" and not step.sheet["busy"] and step.request.animal is not None
    return {**step.sheet, "trail": trail, "stages": stages}


def new_sheet(step: Step, run: int) -> dict[str, Any]:
    """The canvas before its candidates arrive; those of the same step stay in sight until the new ones come."""
    places = range(step.request.count)
    return {
        **EMPTY_SHEET,
        "people": [{"id": "dream", "name": "Dream"}],
        "animals": [{"name": str(place), "label": _place_label(step.request, place), "study": None} for place in places],
        "items": step.sheet.get("items", {}),
        "total": step.request.count,
        "message": "Starting",
        "busy": True,
        "run": run,
        "stars": True,
    }


def _place_label(request: DreamRequest, place: int) -> str:
    return f"{place + 1}, the one you picked" if request.ancestry and place == 0 else str(place + 1)


def settle(step: Step) -> None:
    """What the canvas says once nothing more comes."""
    if not step.sheet.get("busy"):
        return
    done, total = step.sheet["done"], step.sheet["total"]
    words = "Star what you like, or open one for more like it."
    message = words if done == total else f"Stopped after {done} of {total}; what was made is kept."
    step.sheet |= {"busy": False, "message": message}


def candidate_item(step: Step, candidate: Candidate, recipe: Recipe, title: str, png: bytes) -> dict[str, Any]:
    """A candidate on the canvas."""
    file = served(png, f"{title}.png")
    changed = bool(step.request.strength)
    words = _words(step.request, candidate)
    return {
        "run": step.sheet["run"],
        "title": title,
        "src": file,
        "file": file,
        "before": served(to_png(candidate.face), f"{title}, dreamt.png") if changed else None,
        "beforeWords": "dream",
        "short": next((word["text"] for word in words if word["short"]), ""),
        **remarks(step.request, candidate),
        "facts": _facts(candidate, recipe),
        "recipe": pretty(recipe),
        "steps": _steps(),
    }


def _steps() -> list[dict[str, str]]:
    """How far "more like this" can go."""
    from studio.pipelines.dream import STEPS

    return [{"step": step, "label": capital(step), "title": f"A step of {size:.2f} in z"} for step, size in STEPS.items()]


def _words(request: DreamRequest, candidate: Candidate) -> list[dict[str, Any]]:
    """What the judges say, each with its figure; ``short`` is worth saying under a small picture."""
    from studio.pipelines.dream import NEW

    face, *others = candidate.verdicts
    found, original = bool(candidate.face_score), candidate.originality
    words = [_word(face, f"score(X) {candidate.face_score:.0f}: Viola-Jones {'finds' if found else 'finds no'} face", found)]
    new = [others.pop()] if original is not None else []
    words += [_word(text, f"score(Y) {100 * candidate.animal_score:.0f} %", candidate.animal_score >= 0.5) for text in others]
    words += [_word(text, f"originality {original:.2f}; a new photograph has 1", original >= NEW) for text in new]
    for word in words:
        word["short"] = word["text"] in others or (not word["good"] and not request.strength)
    return words


def _word(text: str, figure: str, good: bool) -> dict[str, Any]:
    return {"text": text, "figure": figure, "good": bool(good)}


def remarks(request: DreamRequest, candidate: Candidate) -> dict[str, Any]:
    """What is said of the picture beyond its recipe."""
    from studio.pipelines.parts import animal_label

    animal = animal_label(request.animal) if request.animal else "face"
    return {"words": _words(request, candidate), "study": candidate.study, "animal": animal}


def _facts(candidate: Candidate, recipe: Recipe) -> list[list[str]]:
    height, width = candidate.image.shape[:2]
    return [
        ["Network", ", ".join(recipe.checkpoints)],
        *describe(recipe),
        ["Size", f"{width} by {height} px"],
        ["Time", f"{1000 * candidate.seconds:.0f} ms"],
    ]


def stage_sheet(request: DreamRequest, result: StageResult, run: int) -> dict[str, Any]:
    """The canvas of the stages: a row per latent, a column per stage."""
    from studio.pipelines.dream import STAGES
    from studio.pipelines.parts import animal_label, with_article

    stages = list(dict.fromkeys(cell.stage for cell in result.cells))
    return {
        **EMPTY_SHEET,
        "people": [{"id": f"row-{row}", "name": name_of(request, row)} for row in range(len(result.cells) // len(stages))],
        "animals": [{"name": stage, "label": capital(STAGES[stage]), "study": None} for stage in stages],
        "items": {item["key"]: item for item in (_stage_item(request, cell, run) for cell in result.cells)},
        "message": f"From a dream to {with_article(animal_label(request.animal))}, stage by stage. {_about(result)}".strip(),
        "told": True,
        "run": run,
        "sheet": True,
    }


def _stage_item(request: DreamRequest, cell: StageCell, run: int) -> dict[str, Any]:
    """A cell of the stages on the canvas; it is looked at only, the sheet is what is kept."""
    from studio.pipelines.dream import STAGES

    title = f"{name_of(request, cell.index)}: {STAGES[cell.stage]}"
    key = f"row-{cell.index}/{cell.stage}"
    file = served(to_png(cell.image), f"{title}.png")
    figures = {"originality": cell.originality, "score(Y)": cell.animal_score, "score(X)": cell.face_score}
    words = [_word(f"{name} {value:.2f}", "", True) for name, value in figures.items() if value is not None]
    return {
        "id": f"sample-{key}", "key": key, "run": run, "title": title, "src": file, "file": file, "before": None,
        "short": "" if cell.originality is None else f"{cell.originality:.2f}",
        "words": words, "study": None, "animal": request.animal, "facts": [], "recipe": "",
    }  # fmt: skip


def _about(result: StageResult) -> str:
    from studio.pipelines.dream import ABOUT_ORIGINALITY

    return ABOUT_ORIGINALITY if result.cells[0].originality is not None else ""
