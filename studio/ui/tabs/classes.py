"""The Morph tab's part for what has a name: new pictures of a person, a flower or a bird, or of up to three at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import gradio as gr

from studio.core.images import to_png
from studio.core.recipe import Recipe
from studio.ui.delivery import missing_networks
from studio.ui.parts import (
    EMPTY_SHEET,
    QUIET,
    action_row,
    buttons,
    capital,
    drawn,
    guarded,
    listed,
    note_text,
    pretty,
    problem_text,
    progress,
    seed_row,
    served,
    stopping,
)
from studio.ui.session import Backstage, Desk, Run
from studio.ui.strip import strip_value, take_away
from studio.ui.tabs.morph_canvas import NO_NETWORKS, domain_radio, domains, told

if TYPE_CHECKING:
    from studio.core.engine import Engine
    from studio.pipelines.morph import ClassRequest, MixRequest, Sample
    from studio.ui.shell import Shell

# The studio's pipelines are imported inside functions: torch comes with them, and the page must answer before that.

COUNT, MOST = 8, 16
MAKING = 6  # outputs of making
NOTHING = ""  # is mixed in
SHARE_DIGITS = 4  # of a share that is restored
INVITATION = "Choose what should be drawn, then press Make."
NO_CLASSES = (
    "Nothing here draws people, flowers or birds by their names yet: bring such networks with `python -m studio pull`, or look "
    "around among flowers and birds in Manifold, Neighbourhood."
)


@dataclass
class Field(Run):
    """One visitor's drawn pictures: ``sheet_png`` is the last sheet; of what is ``restored`` nothing else is shown first."""

    sheet_png: bytes | None = None
    restored: bool = False

    def __post_init__(self) -> None:
        self.value = {**EMPTY_SHEET, "message": INVITATION}


@dataclass(frozen=True)
class Controls:
    """The widgets, in the order in which handlers take them."""

    domain: gr.Radio
    label: gr.Dropdown
    count: gr.Slider
    seed: gr.Number
    other: gr.Dropdown
    share: gr.Slider
    third: gr.Dropdown
    third_share: gr.Slider

    def all(self) -> list[Any]:
        return [getattr(self, field.name) for field in fields(self)]


class Classes:
    """The part of the Morph tab that needs no photo."""

    name = "classes"
    verbs = ("classes", "mix")

    def __init__(self, backstage: Backstage):
        self._backstage = backstage

    # -- the page -------------------------------------------------------------------------------------------------------

    def build(self, shell: Shell) -> None:
        """Lays it out inside the tab's pane and connects it."""
        with gr.Column(elem_classes=["side", "in-classes"]):
            controls = self._build_controls()
            problem, make, stop = action_row("classes")
        with gr.Column(elem_classes=["canvas", "in-classes"]):
            stage = drawn("stage", "class-stage", "export")
        self.controls = controls
        self.outputs = [stage, *controls.all(), problem]
        self.making = [shell.desk, stage, shell.strip, problem, make, stop]
        desk, running = shell.desk, {"show_progress": "hidden", "trigger_mode": "always_last", "api_visibility": "private"}
        given = [desk, *controls.all()]
        gr.on([make.click, controls.seed.submit], self.make, given, self.making, **running)
        controls.domain.input(self._kinds, [controls.domain], [controls.label, controls.other, controls.third], **QUIET)
        stop.click(stopping(_room), [desk], [desk, stop], **QUIET)
        stage.export(self._export, [desk], [desk, shell.courier], **QUIET)

    def _build_controls(self) -> Controls:
        domain = gr.Radio([], label="What", elem_id="class-domain", elem_classes=["chips", "titled"])
        label = gr.Dropdown([], label="Which", elem_id="class-label", elem_classes=["titled", "choice"])
        count = gr.Slider(1, MOST, COUNT, step=1, label="How many", elem_id="class-count", elem_classes="dial", buttons=["reset"])
        seed, _ = seed_row("class", "the same seed, the same pictures")
        with gr.Accordion("Mix two or three", open=False, elem_classes="more"):
            other, share = _mixed_in("class-other", "class-share", "Mixed with", 0.5, "0 is the first alone, 1 the second")
            third, third_share = _mixed_in("class-third", "class-third-share", "And with", 0.33, "0 is the first two alone")
        return Controls(domain, label, count, seed, other, share, third, third_share)

    def open(self, desk: Desk) -> tuple[Any, ...]:
        """What a visitor finds, one value per output."""
        there = self._domains()
        if not there:
            _room(desk).value["message"] = NO_CLASSES if domains(self._backstage) else NO_NETWORKS
            return (_room(desk).value, domain_radio(there), *self.skip()[2:])
        return _room(desk).value, domain_radio(there), *self._with_other(there[0], gr.skip(), gr.skip()), ""

    def _with_other(self, domain: str, count: Any, seed: Any) -> tuple[Any, ...]:
        """The widgets after the domain."""
        label, other, third = self._kinds(domain)
        return label, count, seed, other, gr.skip(), third, gr.skip()

    def skip(self) -> tuple[Any, ...]:
        """All outputs as they are."""
        return (gr.skip(),) * len(self.outputs)

    def turn_to(self, desk: Desk) -> tuple[Any, ...]:
        """The visitor comes here; one value per output."""
        return (_room(desk).value, *self.skip()[1:])

    @staticmethod
    def nothing() -> tuple[Any, ...]:
        """All outputs of making as they are."""
        return (gr.skip(),) * MAKING

    def _domains(self) -> list[str]:
        """What there are networks for; faces have attributes."""
        from studio.pipelines.conditioned import list_domains

        return [name for name in list_domains(self._backstage.registry) if name != "faces"]

    def _kinds(self, domain: str, label: str = "", other: str = NOTHING, third: str = NOTHING) -> tuple[Any, Any, Any]:
        """The names of what there is, for all lists, and what is chosen in them."""
        from studio.pipelines.conditioned import label_words, networks_of

        named = [(capital(label_words(label)), label) for label in networks_of(self._backstage.registry, domain).labels]
        more = [("Nothing", NOTHING), *named]
        lists = (named, label or named[0][1]), (more, other), (more, third)
        return tuple(gr.Dropdown(choices=choices, value=value) for choices, value in lists)

    def restore(self, desk: Desk, recipe: Recipe) -> tuple[Any, ...]:
        """Everything as the recipe says, one value per output; Make then gives the same pixels."""
        from studio.pipelines.morph import MixRequest, request_from_recipe

        try:
            request = request_from_recipe(recipe, [])
        except ValueError as error:
            return (*self.skip()[:-1], problem_text(str(error)))
        if request.domain not in self._domains():
            return (*self.skip()[:-1], problem_text(f"There are no networks for {request.domain} here yet: pull them first."))
        desk.wanted, _room(desk).restored = recipe, True
        names = _names(request)
        weights = (request.weights or (1.0,) * len(names)) if isinstance(request, MixRequest) else (1.0,)
        shares = [round(weights[k] / sum(weights[: k + 1]), SHARE_DIGITS) for k in range(1, len(names))]
        share, third_share = (*shares, *(gr.skip(),) * (2 - len(shares)))
        label, other, third = self._kinds(request.domain, *names)
        trouble = missing_networks(self._backstage, recipe)
        words = problem_text(trouble) if trouble else note_text("The settings are restored: press Make to make it again.")
        return gr.skip(), request.domain, label, request.count, request.seed, other, share, third, third_share, words

    # -- making ---------------------------------------------------------------------------------------------------------

    def first(self, desk: Desk, *given: Any) -> Iterator[tuple[Any, ...]]:
        """Whoever comes here for the first time sees something at once."""
        if _room(desk).run or _room(desk).restored or not self._domains():
            yield self.nothing()
        else:
            yield from self.make(desk, *given)

    def make(self, desk: Desk, *given: Any) -> Iterator[tuple[Any, ...]]:
        """New pictures, one after the other; each is kept."""
        yield from guarded(desk, _room(desk), lambda: self._fill(desk, self._engine(), _request(*given)))

    def _engine(self) -> Engine:
        """The engine. Raises ``ValueError`` if it has no networks that draw by a name."""
        if not self._domains():
            raise ValueError(NO_CLASSES)
        return self._backstage.engine()

    def _fill(self, desk: Desk, engine: Engine, request: ClassRequest | MixRequest) -> Iterator[tuple[Any, ...]]:
        from studio.pipelines.conditioned import networks_of
        from studio.pipelines.morph import ClassRequest, Sample, SamplesResult, draw_class, mix
        from studio.pipelines.parts import Progress

        room = _room(desk)
        run, verb = room.begin(), draw_class if isinstance(request, ClassRequest) else mix
        steps, study = verb(engine, request), networks_of(engine, request.domain).study
        room.sheet_png, room.value = None, _new_sheet(room, request)
        yield desk, room.value, gr.skip(), "", *buttons(busy=True)
        with closing(steps):
            for step in steps:
                if not room.goes_on(run):
                    break
                strip = gr.skip()
                if isinstance(step, SamplesResult):
                    room.sheet_png = to_png(step.sheet, step.recipe)
                    room.value |= {"sheet": True, "zip": len(step.samples) > 1}
                elif isinstance(step, Sample):
                    strip = self._keep(desk, request, step, study)
                elif isinstance(step, Progress):
                    room.value |= progress(step)
                yield desk, room.value, strip, "", gr.skip(), gr.skip()
        if room.run == run:
            made = len(room.value["items"])
            room.settle(f"Stopped after {made}; what was made is kept." if room.stopped else _summary(request, study))
            yield desk, room.value, gr.skip(), "", *buttons(busy=False)

    def _keep(self, desk: Desk, request: ClassRequest | MixRequest, sample: Sample, study: str | None) -> dict[str, Any]:
        """Keeps a picture and shows it. Returns the strip's new value."""
        room, gallery = _room(desk), self._backstage.gallery(desk)
        title, words = f"{_title(request)} {request.seed}.{sample.index + 1}", _words(sample)
        kept = gallery.add(sample.image, sample.recipe, (), title, {"words": words, "study": study, "animal": "drawn"})
        file, key = served(gallery.png(kept.id), f"{title}.png"), f"drawn/{sample.index}"
        item = {
            "id": kept.id, "key": key, "run": room.run, "title": title, "src": file, "file": file, "before": None,
            "short": _short(sample), "words": words, "study": study, "animal": "drawn",
            "facts": describe(sample.recipe), "recipe": pretty(sample.recipe),
        }  # fmt: skip
        room.value["items"] = {**room.value["items"], key: item}
        return strip_value(self._backstage, desk)

    def _export(self, desk: Desk, event: gr.EventData) -> tuple[Desk, dict[str, Any]]:
        room = _room(desk)
        return take_away(self._backstage, desk, event, room.value, room.sheet_png)


def _room(desk: Desk) -> Field:
    return desk.tables.setdefault("classes", Field())


def _mixed_in(list_id: str, share_id: str, label: str, share: float, info: str) -> tuple[gr.Dropdown, gr.Slider]:
    """What is mixed in, and how much of it."""
    what = gr.Dropdown([], label=label, elem_id=list_id, elem_classes=["titled", "choice"])
    how_much = gr.Slider(
        0, 1, share, step=0.01, label="How much of it", info=info, elem_id=share_id, elem_classes="dial", buttons=["reset"]
    )
    return what, how_much


def _request(
    domain: str | None,
    label: str | None,
    count: float,
    seed: float | None,
    other: str | None,
    share: float,
    third: str | None,
    third_share: float,
) -> ClassRequest | MixRequest:
    """The widgets as a request. Raises ``ValueError``."""
    from studio.pipelines.morph import ClassRequest, MixRequest

    if seed is None:
        raise ValueError("Give a seed: any whole number from 0 on.")
    shares = {label or "": 1.0}
    for name, part in ((other, share), (third, third_share)):
        if name and name not in shares:
            shares = {known: before * (1 - float(part)) for known, before in shares.items()} | {name: float(part)}
    if len(shares) > 1:
        return MixRequest(tuple(shares), tuple(shares.values()), domain or "", int(count), int(seed))
    return ClassRequest(label or "", domain or "", int(count), int(seed))


def _names(request: ClassRequest | MixRequest) -> Sequence[str]:
    return getattr(request, "sources", None) or (request.label,)


def _title(request: ClassRequest | MixRequest) -> str:
    """What the pictures of a request are called."""
    from studio.pipelines.conditioned import label_words

    return capital(listed(label_words(str(name)) for name in _names(request)))


def _summary(request: ClassRequest | MixRequest, study: str | None) -> str:
    words = f"{_title(request)}, seed {request.seed}. Click a picture to see it large."
    return f"{words} A study: {study.removesuffix('.')}." if study else words


def _words(sample: Sample) -> list[dict[str, Any]]:
    figure = "" if sample.chance is None else f"{100 * sample.chance:.0f} % by the network's own classifier"
    return [told(text, figure, sample.chance is None or sample.chance >= 0.5) for text in sample.words]


def _short(sample: Sample) -> str:
    """What is worth saying under a small picture: what else it looks like."""
    doubted = sample.chance is not None and sample.chance < 0.5
    return sample.words[0].replace("the network itself recognises", "looks like") if doubted else ""


def _new_sheet(room: Field, request: ClassRequest | MixRequest) -> dict[str, Any]:
    places = range(request.count)
    return {
        **EMPTY_SHEET,
        "people": [{"id": "drawn", "name": _title(request)}],
        "animals": [{"name": str(place), "label": str(place + 1), "study": None} for place in places],
        "total": request.count,
        "message": "Starting",
        "busy": True,
        "run": room.run,
        "stars": True,
    }


def describe(recipe: Recipe) -> list[list[str]]:
    """The settings of a drawn picture for people."""
    asked = recipe.parameters
    label, sources, weights = asked.get("label"), asked.get("labels"), asked.get("weights")
    named = [label] if isinstance(label, str) else sources if isinstance(sources, list) else []
    names = [name for name in named if isinstance(name, str)]
    shares = f" ({', '.join(str(part) for part in weights)})" if isinstance(weights, list) and len(names) > 1 else ""
    rows = [["Of", listed(name.replace("_", " ") for name in names) + shares]] if names else []
    return [*rows, *([["Seed", str(recipe.seed)]] if recipe.seed is not None else [])]
