"""The Domains tab: one photo taken to many domains in many styles, and the plane of styles between four of them."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import gradio as gr

from studio.core.recipe import Recipe
from studio.core.registry import Registry
from studio.ui.delivery import Offer, Parcel, missing_networks
from studio.ui.parts import QUIET, action_row, capital, drawn, note, seed_row, stopping
from studio.ui.samples import Samples
from studio.ui.session import Backstage, Desk, Slot, Table
from studio.ui.shelf import LONGEST_NAME, base_name
from studio.ui.source import PhotoSource, PhotoTab, face_choices, sent_slot, then
from studio.ui.tabs import domains_canvas
from studio.ui.tabs.domains_answers import Answers
from studio.ui.tabs.domains_canvas import (
    AGAIN,
    FACES,
    Settings,
    Translating,
    key_of,
    room_of,
    show_cell,
    show_choices,
    show_photo,
    start,
    subject_of,
    table_of,
    take_whole,
)
from studio.ui.tabs.domains_making import Making, row_key, settings_of
from studio.ui.tabs.domains_shelf import Shelf, file_of

if TYPE_CHECKING:
    from studio.core.engine import Engine
    from studio.pipelines.domains import DomainsResult
    from studio.pipelines.domains_labels import DomainsInfo
    from studio.ui.shell import Shell

# The studio's pipelines are imported inside functions: torch comes with them, and the page must answer before that.

STYLES, MOST_STYLES, MOST_PHOTOS = 4, 12, 4
FIRST = ("Male", "Pale_Skin", "Blond_Hair", "Eyeglasses")  # what the first visitor sees done to a sample


class DomainsTab(PhotoTab):
    """Takes faces, pictures and cars to other domains."""

    id = "domains"
    title = "Domains"

    def __init__(self, backstage: Backstage):
        self._backstage = backstage
        self._samples = Samples()
        self._photos = PhotoSource(
            backstage, table_of, self._samples, MOST_PHOTOS, restores=lambda recipe: recipe.tab == self.id, subject=subject_of
        )
        self._shelf = Shelf(backstage)
        self._making = Making(backstage, self._shelf)
        self._answers = Answers(backstage, self._making)
        self._first_visit: tuple[Slot, DomainsResult] | None = None
        self._warming = threading.Lock()
        whole = any(not card.id.startswith(f"sdit-{FACES}-") for card in _cards(backstage.registry))
        self.takes = {"photo": "Translate it", **({"picture": "Translate it"} if whole else {}), "z": "Take its style"}

    @staticmethod
    def is_here(registry: Registry) -> bool:
        """Whether there is any network for this tab; torch is not needed to say so."""
        return bool(_cards(registry))

    @staticmethod
    def gives(recipe: Recipe) -> Sequence[str]:
        """A single result can be sent on, and so can its style; the sheet of all cannot."""
        if "target" not in recipe.parameters:
            return ()
        return "photo" if recipe.parameters.get("domains") == FACES else "picture", "z"

    # -- the page -------------------------------------------------------------------------------------------------------

    def build(self, shell: Shell) -> None:
        """Lays the tab out inside its pane and connects it."""
        with gr.Column(elem_classes="mode-switch"):
            what = gr.Radio([], label="What", show_label=False, container=False, elem_id="domains-what", visible=False)
            self.offer = Offer(self._backstage)
        with gr.Column(elem_classes=["side", "in-domains"]):
            source, upload = self._photos.build("domains-source")
            gr.HTML("", elem_id="domains-tuner", apply_default_css=False)  # the canvas draws its chips and sliders here
            with gr.Accordion("More", open=False, elem_classes="more"):
                count = gr.Slider(
                    1, MOST_STYLES, STYLES, step=1, label="Styles", info="different ones (z), drawn by the seed",
                    elem_id="domains-count", elem_classes="dial", buttons=["reset"],
                )  # fmt: skip
                seed, rolled = seed_row("domains", "the same seed, the same styles")
            problem, make, stop = action_row("domains")
        with gr.Column(elem_classes="canvas"):
            events = "find", "look", "rest", "keep", "like", "rename", "bring", "export"
            stage = drawn("domains", "domains", *events, value=Translating().value)
            answers = [drawn("brings", f"domains-{name}") for name in ("look", "rest", "liked")]
        self.outputs = [source, stage, what, count, seed, answers[-1], problem]
        self._making_outputs = [shell.desk, stage, shell.strip, answers[-1], problem, make, stop]
        self._connect(shell, stage, answers, (what, count, seed), (make, stop, rolled))
        self._connect_source(shell.desk, source, upload)

    def _connect(
        self, shell: Shell, stage: gr.HTML, answers: Sequence[gr.HTML], widgets: Sequence[Any], pressed: Sequence[Any]
    ) -> None:
        desk, (answer, rested, liked) = shell.desk, answers
        (what, count, seed), (make, stop, rolled) = widgets, pressed
        sent, numbers = gr.Textbox(visible=False), [count, seed]
        asked = {"inputs": [desk, sent, *numbers], "outputs": self._making_outputs, "js": _WITH_SETTINGS, **_RUNNING}
        self._find_now = {"fn": self._making.find, **asked}
        make.click(self._making.make, **{**asked, "trigger_mode": "always_last"})
        stage.find(**{**self._find_now, "trigger_mode": "multiple"})
        stage.look(self._answers.look, [desk], [answer], trigger_mode="multiple", **QUIET)
        stage.rest(self._answers.rest, [desk], [rested], trigger_mode="multiple", **QUIET)
        stage.keep(self._making.keep, [desk], [*self._making_outputs, shell.courier], trigger_mode="multiple", **_RUNNING)
        stage.export(self._answers.export, [desk, *numbers], [desk, stage, shell.courier], **_RUNNING)
        self._shelf.connect(shell, stage, liked)
        stop.click(stopping(room_of), [desk], [desk, stop], **QUIET)
        what.input(self._turn, [desk, what], [desk, *self.outputs], **QUIET).then(**self._find_now)
        rolled.then(self._anew, [desk], [desk], **QUIET).then(**self._find_now)
        for event in (count.release, seed.submit):
            event(self._anew, [desk], [desk], **QUIET).then(**self._find_now)

    def _connect_source(self, desk: gr.State, source: gr.HTML, upload: gr.UploadButton) -> None:
        self.added = upload.upload(self._add_photos, [desk, upload], [desk, *self.outputs], **_RUNNING)
        self.added.then(self.offer.show, [desk], self.offer.outputs, **QUIET)
        for event in (self.added, *self._photos.connect(desk, source)):
            event.then(self._refreshed, [desk], [desk, *self.outputs], **QUIET).then(**self._find_now)

    # -- the first visit ------------------------------------------------------------------------------------------------

    def warm_up(self, engine: Engine) -> None:
        """Dreams up sample faces and translates one, once for all visitors."""
        from studio.pipelines.domains import find, translate
        from studio.pipelines.domains_labels import all_targets
        from studio.pipelines.domains_request import DomainsRequest

        with self._warming:
            self._samples.warm_up(engine)
            info = self._here().get(FACES)
            if self._first_visit is not None or info is None:
                return
            slot = self._samples()[0].slot()
            (face,) = face_choices(Table([slot]), engine)
            asked = DomainsRequest(slot.photo(), FACES, face=face, full_size=False)
            found = find(engine, asked)
            targets = [target for target in all_targets(info, found.shows) if target[0][0] in FIRST]
            *_, result = translate(engine, replace(asked, targets=tuple(targets or all_targets(info, found.shows))), found)
            self._first_visit = slot, result

    def open(self, desk: Desk) -> Iterator[tuple[Any, ...]]:
        """What a visitor sees first."""
        room = room_of(desk)
        there = list(self._here())
        if there and not room.what:  # networks may take a while to wake: until then the canvas teaches
            room.what = there[0]
            room.forget()
        yield self._values(desk, problem="", what=self._choice(room.what))
        try:
            engine = self._backstage.engine()
            self.warm_up(engine)
            if there:
                self._set_what(desk, room.what or there[0])
            self._show_first_visit(desk, engine)
        except Exception as error:  # whatever is missing, the page still opens and says what
            room.value |= {"message": str(error)}
        yield self._values(desk)

    def _show_first_visit(self, desk: Desk, engine: Engine) -> None:
        """A sample with its results, unless the visitor has begun already."""
        from studio.pipelines.looks import as_numbers

        room, table = room_of(desk), table_of(desk)
        if self._first_visit is None or room.what != FACES or room.rows or table.slots:
            return
        shared, result = self._first_visit
        slot = replace(shared)  # a choice made on one desk stays there
        table.slots = [slot]
        settings = settings_of(result.request, room.labels)
        room.set_to(settings)
        room.example = slot.id, settings
        room.begin()
        room.found[slot.id] = key_of(desk, slot), result.found
        show_photo(room, slot, result.found, first=True)
        columns = {f"style-{n}": (f"Style {n + 1}", as_numbers(style)) for n, style in enumerate(result.styles)}
        start(room, {row_key(slot, target): (slot.id, target) for target in result.targets}, columns, settings)
        for cell in result.cells:
            show_cell(room, f"{row_key(slot, cell.target)}/style-{cell.column}", result.found, cell, settings)
        said = f"{slot.name}: a row for each thing that is asked for. Press another, or drop a photo of your own."
        room.value |= {"run": room.run, "sheet": True, "message": said}

    def _here(self) -> dict[str, DomainsInfo]:
        """The domains that there is a network for, by name."""
        from studio.pipelines.domains_labels import list_domains

        return {info.name: info for info in list_domains(self._backstage.registry)}

    def _choice(self, what: str) -> gr.Radio:
        """The choice between domains; with one alone there is nothing to choose."""
        infos = self._here()
        return gr.Radio(
            choices=[(capital(info.called), name) for name, info in infos.items()], value=what, visible=len(infos) > 1
        )

    def _values(self, desk: Desk, said: Any = None, **more: Any) -> tuple[Any, ...]:
        """One value per output: the photos and the canvas as they are, of the others what is given."""
        widgets = (more.get(name, gr.skip()) for name in ("what", "count", "seed"))
        problem = more.get("problem", gr.skip())
        return self._photos.draw(desk, said), room_of(desk).value, *widgets, self._shelf.draw(desk), problem

    def _set_what(self, desk: Desk, what: str) -> None:
        """Other domains: what can be asked for follows, and the photos are those of their own. Raises ``ValueError``."""
        from studio.pipelines.domains_labels import domains_of

        room = room_of(desk)
        if room.what == what and room.labels:
            return
        engine = self._backstage.engine()
        info = domains_of(engine, what)
        room.what, room.given = what, None
        room.forget()
        show_choices(room, engine, info)
        room.set_to(Settings(strength=room.value["settings"]["strength"]))

    # -- what arrives ---------------------------------------------------------------------------------------------------

    def _turn(self, desk: Desk, what: str) -> tuple[Any, ...]:
        """The visitor chose other domains."""
        try:
            self._set_what(desk, what)
        except ValueError as error:
            return desk, *self._values(desk, note(str(error), True))
        return desk, *self._values(desk, problem="")

    def _refreshed(self, desk: Desk) -> tuple[Any, ...]:
        """What is on the canvas is always of the photos that are here."""
        self._refresh(desk)
        return desk, *self._values(desk)[:2], *(gr.skip(),) * (len(self.outputs) - 2)

    def _refresh(self, desk: Desk) -> None:
        room = room_of(desk)
        take_whole(desk)
        here = {slot.id for slot in table_of(desk).slots}
        if here and room.what == FACES:
            room.leave_example(here)
        if not here & {photo for photo, _ in room.rows.values()}:
            room.forget()

    @staticmethod
    def _anew(desk: Desk) -> Desk:
        """Other styles are asked for than those of a restored recipe."""
        room_of(desk).given = None
        return desk

    def _add_photos(self, desk: Desk, paths: list[str] | None) -> Iterator[tuple[Any, ...]]:
        """Adds what arrived; a picture made on this tab restores its settings instead, a style's file goes on the shelf."""
        others, said = self._shelf.open_files(desk, paths)
        restored, refused = self._photos.open_files(desk, others)
        if restored is not None:
            for values in self.restore(desk, restored):
                yield desk, *values
            return
        table, room = table_of(desk), room_of(desk)
        take_whole(desk)
        said = note(refused, True) if refused else said
        if table.expected and not refused:
            said = self._photos.expected_words(desk, Recipe(tab=self.id, verb="domains", inputs=table.expected))
            if room.waits and not table.expected:
                for values in self.restore(desk, room.waits):
                    yield desk, *values
                return
        self._refresh(desk)
        yield desk, *self._values(desk, said, problem="")
        yield desk, *self._values(desk, self._photos.find_all(desk) or said)

    def take(self, desk: Desk, sent: Parcel) -> Iterator[tuple[Any, ...]]:
        """A kept result becomes the photo, or its style one of those that are liked."""
        room = room_of(desk)
        if sent.kind == "z":
            title = base_name(sent.photo.name.removesuffix(".png"))
            yield self._values(desk, self._shelf.add(desk, file_of(sent.recipe, title[:LONGEST_NAME])))
            return
        if sent.kind == "picture" and room.what == FACES:
            whole = [name for name in self._here() if name != FACES]
            if not whole:
                raise ValueError("There is no network for such pictures here yet: send a photo of a person.")
            self._set_what(desk, whole[0])
        slot, table = sent_slot(sent), table_of(desk)
        table.slots, table.expected = [slot], ()
        take_whole(desk)
        self._refresh(desk)
        room.value["lesson"] = f"Press Make to translate {slot.name}."
        said = note(f"{slot.name} is the photo now: press Make.")
        yield self._values(desk, said, problem="", what=self._choice(room.what))
        if trouble := self._photos.find_all(desk):
            yield self._values(desk, trouble)

    def restore(self, desk: Desk, recipe: Recipe) -> Iterator[tuple[Any, ...]]:
        """Everything as the recipe says; Make then gives the same pixels."""
        from studio.pipelines.domains_request import request_from_recipe

        room, what = room_of(desk), recipe.parameters.get("domains")
        try:
            if isinstance(what, str) and what in self._here():
                self._set_what(desk, what)
            missing = self._photos.restore(desk, recipe)
            room.waits = recipe if missing else None
            request = None if missing else request_from_recipe(recipe, [slot.photo() for slot in table_of(desk).slots])
        except ValueError as error:
            yield self._values(desk, note(str(error), True))
            return
        desk.wanted, room.example = recipe, None
        take_whole(desk)
        trouble = missing_networks(self._backstage, recipe)
        said = note(f"The settings are restored. {then(missing)} {trouble}".strip(), bool(trouble))
        if request is None or request.domains != room.what:
            yield self._values(desk, said, what=self._choice(room.what))
            return
        room.forget()
        room.set_to(settings_of(request, room.labels))
        room.given = request
        slot, target, column = table_of(desk).slots[0], recipe.parameters.get("target"), recipe.parameters.get("column")
        room.chosen = f"{slot.id}.{target}/style-{column}" if isinstance(target, str) and type(column) is int else ""
        room.value["lesson"] = AGAIN
        more = {} if request.styles else {"count": request.count, "seed": request.seed}
        yield self._values(desk, said, problem="", what=self._choice(room.what), **more)

    @staticmethod
    def describe(recipe: Recipe) -> list[list[str]]:
        """The recipe's settings for people."""
        return domains_canvas.describe(recipe)


_RUNNING: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
_WITH_SETTINGS = "(desk, sent, ...given) => [desk, imaginarium.translated(), ...given]"


def _cards(registry: Registry) -> list[Any]:
    return registry.list_models("sdit-*", "translate")
