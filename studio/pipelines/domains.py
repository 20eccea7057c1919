"""The Domains tab: faces, paintings and cars taken to other domains, in many styles (SDIT; Wang 2020, chapter 6).

One network is told what a picture shall show (a label l) and which of the many pictures of that (a latent z, here called a
style). A row of the grid is one target, a column one style, the same for every target.

A photo gets what the network changes, never what it draws:

    photo + strength * up(G(x, l, z) - x')

where ``up`` enlarges along the photo's edges (:func:`studio.core.blend.coefficients`). Of a face the portrait is x, of anything
else the whole picture. A face's label says all that it shows, and what it shows already the network draws once more: so x' is
G(x, l', 0) with what the photo is seen to show as l', and only what is asked for is left. Of whole pictures x' is x. The
network's attention (eq. 6.9) is shown, and if that is asked for the change is multiplied by it.

``translate(engine, request, known=None)`` yields ``Progress | Cell`` and last a ``DomainsResult``. Its ``found`` is the photo as
the judges and the network know it: given back as ``known``, it is not looked at again. ``picture_with`` is one run of G, for the
plane of styles; ``picture_at`` and ``full_picture`` run nothing, for the slider of strength.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from studio.core.faces import Crop, align, align_whole, lay_on_edges, over_photo, within
from studio.core.images import Photo, display_name, resize, to_float, to_uint8
from studio.core.recipe import Recipe
from studio.metrics.attributes import counts
from studio.pipelines.domains_labels import (
    DOMAINS,
    DomainsInfo,
    Target,
    all_targets,
    check_labels,
    domains_of,
    label_vector,
    target_text,
    target_words,
)
from studio.pipelines.domains_request import DomainsRequest, recipe_of
from studio.pipelines.domains_verdict import Seen, Verdict, look_at, unwatched, verdict_of
from studio.pipelines.looks import STYLE, Style, StyleFile, as_numbers, check_style, random_style
from studio.pipelines.parts import MAX_PASTED_PIXELS, PAPER, Progress, draw_sheet
from studio.pipelines.photos import ANOTHER, Eyes, FaceChoice, find_face, shortened

if TYPE_CHECKING:
    from studio.core.engine import Engine

SHOWN = 384  # px, side of the portrait, or longest side of the picture, that is shown and judged
SHEET = 192  # px, side of a cell on the sheet
BATCH = 8  # cells per run of a network: worth a batch, and small enough for the first ones to come at once
UNATTENDED = 0.3  # of its brightness, where the network does not attend at all


@dataclass(frozen=True, eq=False)
class Found:
    """A photo as the judges and the network know it.

    ``choice`` is the face that was asked for, ``eyes`` where it is, ``people`` how many were found (0 if the eyes were given); of
    a whole picture they are None, None and 0. ``crop`` is what goes into the network, at its R px, ``shown`` the same part finer,
    uint8 (h, w, 3), which is what cells show and judges see. ``unchanged`` float32 (3, R, R) in [-1, 1] is what the network draws
    of it where nothing is asked for. ``seen`` is what judges see, ``skin`` where the face's skin is.
    """

    photo: Photo
    domains: str
    card: str
    choice: FaceChoice | None
    eyes: Eyes | None
    people: int
    crop: Crop
    shown: Crop
    unchanged: np.ndarray
    skin: np.ndarray | None
    seen: Seen

    @property
    def picture(self) -> np.ndarray:
        """The photo as it is, uint8 (h, w, 3), the same part as a cell's ``picture``."""
        return self.shown.image

    @property
    def shows(self) -> dict[str, float] | None:
        """The probability of each attribute of the face, by name; None of a whole picture."""
        return self.seen.attributes

    @property
    def has(self) -> frozenset[str]:
        """The attributes that the face counts as having; none of a whole picture."""
        return frozenset(label for label, probability in (self.shows or {}).items() if counts(label, probability))


@dataclass(frozen=True, eq=False)
class Cell:
    """One result.

    ``row`` and ``column`` are its place, ``target`` and ``style``, float32 (8,), what it was made with. ``picture`` uint8 (h, w,
    3) is the part of the photo that changes, ``image`` uint8 (H, W, 3) the whole photo (None where ``full_size`` was not asked
    for). ``drawn`` uint8 (R, R, 3) is what the network draws, ``change`` float32 (R, R, 3) what the photo gets at strength 1, in
    eight-bit levels, ``attention`` float32 (R, R) in [0, 1] where the network attends (None where it always changes all), and
    ``overlay`` that laid over the photo, uint8 (h, w, 3). ``recipe`` makes it again.
    """

    row: int
    column: int
    target: Target
    style: np.ndarray
    picture: np.ndarray
    image: np.ndarray | None
    drawn: np.ndarray
    change: np.ndarray
    attention: np.ndarray | None
    overlay: np.ndarray | None
    verdict: Verdict
    recipe: Recipe

    @property
    def words(self) -> tuple[str, ...]:
        """The verdict in plain words."""
        return self.verdict.words


@dataclass(frozen=True, eq=False)
class DomainsResult:
    """All cells, row by row; ``targets`` and ``styles``, float32 (N, 8), are what rows and columns were made with. ``sheet``
    uint8 (H, W, 3) shows them beside the photo. ``words`` say what the artist should know of the whole (such as which of several
    faces was taken), ``study`` is None or why the network is weak."""

    request: DomainsRequest
    found: Found
    targets: tuple[Target, ...]
    styles: np.ndarray
    cells: tuple[Cell, ...]
    sheet: np.ndarray
    words: tuple[str, ...]
    seconds: float
    study: str | None
    recipe: Recipe


# --- one photo ----------------------------------------------------------------------------------------------------------------


def translate(engine: Engine, request: DomainsRequest, known: Found | None = None) -> Iterator[Progress | Cell | DomainsResult]:
    """The cells as they are ready, row by row, the result last.

    ``known`` is a photo as a result had ``found`` it; of another face, photo or network it is of no use, and not used. The same
    request with the same checkpoints gives the same pixels (on a CPU).

    Raises:
        ValueError: at once, if the network is missing or does not know what is asked for, or the full-size pictures would not fit
            in memory.
        FaceError: before the first cell, if a photo shows no face or not the chosen one.
        CheckpointError: before the first cell, if weights are missing or damaged.
    """
    info = domains_of(engine, request.domains)
    check_labels(info, request.targets)
    cells = _count(info, request) * request.full_size
    if cells * request.photo.rgb.shape[0] * request.photo.rgb.shape[1] > MAX_PASTED_PIXELS:
        raise ValueError("These full-size pictures would not fit in memory: ask for fewer at once, or take a smaller photo.")
    return _translate(engine, request, info, known)


def _count(info: DomainsInfo, request: DomainsRequest) -> int:
    """How many cells there will be."""
    return len(request.targets or info.labels) * len(request.styles or range(request.count))


def _translate(
    engine: Engine, request: DomainsRequest, info: DomainsInfo, known: Found | None
) -> Iterator[Progress | Cell | DomainsResult]:
    began, total = time.perf_counter(), _count(info, request)
    yield Progress(0, total, "Looking for the face" if request.of_face else "Looking at the picture")
    engine.fetch(info.card.id)
    found = known if known is not None and _is_of(known, request, info) else find(engine, request)
    targets = request.targets or all_targets(info, found.shows)
    styles = [np.array(style, np.float32) for style in request.styles]
    styles = styles or [random_style(request.seed, index) for index in range(request.count)]
    recipe = recipe_of(engine.registry, replace(request, targets=targets), found.card, found.eyes)
    places = [(row, column) for row in range(len(targets)) for column in range(len(styles))]
    cells: list[Cell] = []
    for start in range(0, total, BATCH):
        yield Progress(start, total, f"Towards {target_words(targets[places[start][0]])}")
        asked = [(row, column, targets[row], styles[column]) for row, column in places[start : start + BATCH]]
        for cell in _cells(engine, request, info, found, asked, recipe):
            cells.append(cell)
            yield cell
    result = DomainsResult(
        request=request,
        found=found,
        targets=targets,
        styles=np.stack(styles),
        cells=tuple(cells),
        sheet=found.picture,
        words=_about(engine, request, found),
        seconds=time.perf_counter() - began,
        study=info.study,
        recipe=recipe,
    )
    yield replace(result, sheet=sheet_of([result]), seconds=time.perf_counter() - began)


def _is_of(found: Found, request: DomainsRequest, info: DomainsInfo) -> bool:
    """Whether a photo that was found is the request's, with the same face and for the same network."""
    same_face = request.face == found.choice or (request.face is not None and request.face.eyes == found.eyes)
    return found.card == info.card.id and found.photo.sha256 == request.photo.sha256 and same_face


def find(engine: Engine, request: DomainsRequest) -> Found:
    """The photo of a request as the judges and the network know it. Raises ``ValueError`` and ``FaceError``."""
    info = domains_of(engine, request.domains)
    rgb, size, eyes, people = request.photo.rgb, info.card.resolution, None, 0
    if request.of_face:
        eyes, people = find_face(engine, (request.photo,), 0, request.face, ANOTHER)
        crop, shown = (align(rgb, np.asarray(eyes), info.card.frame, side) for side in (size, SHOWN))
    else:
        crop, shown = align_whole(rgb, size), _smaller(rgb)
    seen, skin = look_at(engine, request.photo, eyes, shown)
    return Found(
        photo=request.photo,
        domains=request.domains,
        card=info.card.id,
        choice=request.face,
        eyes=eyes,
        people=people,
        crop=crop,
        shown=shown,
        unchanged=_unchanged(engine, info, crop, seen.attributes),
        skin=skin,
        seen=seen,
    )


def _unchanged(engine: Engine, info: DomainsInfo, crop: Crop, shows: dict[str, float] | None) -> np.ndarray:
    """What the network draws where nothing is asked for, float32 (3, R, R): of a whole picture that is the picture."""
    if shows is None:
        return to_float(crop.image)
    asked = [(label_vector(info, shows, ()), np.zeros(STYLE, np.float32))]
    return _run(engine, info, crop, asked)["image"][0]


def _smaller(rgb: np.ndarray) -> Crop:
    """All of a picture, no larger than it is shown."""
    scale = min(1.0, SHOWN / max(rgb.shape[:2]))
    small = resize(rgb, (max(1, round(scale * rgb.shape[0])), max(1, round(scale * rgb.shape[1]))))
    scales = small.shape[1] / rgb.shape[1], small.shape[0] / rgb.shape[0]
    return Crop(small, np.array([[scales[0], 0, 0], [0, scales[1], 0]]), "whole")


def _about(engine: Engine, request: DomainsRequest, found: Found) -> tuple[str, ...]:
    words = []
    if found.people > 1:
        words.append(f"{found.people} faces were found in the photo: choose another one if this is not the one that is meant")
    if missing := unwatched(engine, request.locks):
        words.append(f"nobody here can watch {' and '.join(missing)}: a judge is missing")
    return tuple(words)


# --- cells --------------------------------------------------------------------------------------------------------------------


def cell_with(engine: Engine, found: Found, request: DomainsRequest, target: Target, style: Sequence[float]) -> Cell:
    """One result of a photo that was found, with all that ``request`` says but its targets and styles.

    Raises:
        ValueError: the style is none, or the network does not know the target.
    """
    asked = replace(request, targets=(target,), styles=(check_style(style),))
    info = domains_of(engine, asked.domains)
    check_labels(info, asked.targets)
    code = np.array(asked.styles[0], np.float32)
    recipe = recipe_of(engine.registry, asked, found.card, found.eyes)
    return _cells(engine, asked, info, found, [(0, 0, asked.targets[0], code)], recipe)[0]


def picture_with(engine: Engine, found: Found, request: DomainsRequest, target: Target, style: Sequence[float]) -> np.ndarray:
    """The part of a photo that changes, uint8 (h, w, 3), with one target in one style: one run of G, for the plane of styles.

    Raises:
        ValueError: as :func:`cell_with`.
    """
    asked = replace(request, targets=(target,), styles=(check_style(style),))
    info = domains_of(engine, asked.domains)
    check_labels(info, asked.targets)
    drawings = _draw(engine, info, found, [(asked.targets[0], np.array(asked.styles[0], np.float32))])
    return _laid_on(found, _changed(found, *drawings[0], request.attention), request.strength)


def picture_at(found: Found, cell: Cell, strength: float) -> np.ndarray:
    """The part of a photo that changes, uint8 (h, w, 3), at another ``strength``; nothing is run."""
    return _laid_on(found, cell.change, strength)


def full_picture(found: Found, cell: Cell, strength: float) -> np.ndarray:
    """The whole photo with a result laid on it at ``strength``, uint8 (H, W, 3); at 0 the photo itself, bit for bit."""
    return lay_on_edges(found.photo.rgb, cell.change * np.float32(strength), found.crop)


def _cells(
    engine: Engine,
    request: DomainsRequest,
    info: DomainsInfo,
    found: Found,
    asked: Sequence[tuple[int, int, Target, np.ndarray]],
    recipe: Recipe,
) -> list[Cell]:
    """The cells of these rows, columns, targets and styles, in one batch."""
    drawings = _draw(engine, info, found, [(target, style) for _, _, target, style in asked])
    changes = [_changed(found, drawn, attention, request.attention) for drawn, attention in drawings]
    pictures = [_laid_on(found, change, request.strength) for change in changes]
    verdicts = verdict_of(engine, found.seen, pictures, found.skin, [target for _, _, target, _ in asked], request.locks)
    cells = []
    for place, (row, column, target, style) in enumerate(asked):
        drawn, attention = drawings[place]
        where = {"row": row, "column": column, "target": target_text(target), "style": list(as_numbers(style))}
        cell = Cell(
            row=row,
            column=column,
            target=target,
            style=style,
            picture=pictures[place],
            image=None,
            drawn=to_uint8(drawn),
            change=changes[place],
            attention=attention,
            overlay=None if attention is None else attention_over(found, attention),
            verdict=replace(verdicts[place], attention=None if attention is None else float(attention.mean())),
            recipe=recipe.model_copy(update={"parameters": {**recipe.parameters, **where}}),
        )
        cells.append(replace(cell, image=full_picture(found, cell, request.strength)) if request.full_size else cell)
    return cells


def _draw(
    engine: Engine, info: DomainsInfo, found: Found, asked: Sequence[tuple[Target, np.ndarray]]
) -> list[tuple[np.ndarray, np.ndarray | None]]:
    """What the network draws, float32 (3, R, R) in [-1, 1], and where it attends, (R, R) in [0, 1]."""
    answer = _run(engine, info, found.crop, [(label_vector(info, found.shows, target), style) for target, style in asked])
    attention = answer.get("attention")
    where = [None] * len(asked) if attention is None else list(attention[:, 0])
    return list(zip(answer["image"], where, strict=True))


def _run(engine: Engine, info: DomainsInfo, crop: Crop, asked: Sequence[tuple[np.ndarray, np.ndarray]]) -> dict[str, np.ndarray]:
    """The network's answers to these labels and styles."""
    labels, styles = (np.stack(each) for each in zip(*asked, strict=True))
    return engine.run(info.card.id, image=np.repeat(to_float(crop.image)[None], len(asked), 0), label=labels, latent=styles)


def _changed(found: Found, drawn: np.ndarray, attention: np.ndarray | None, masked: bool) -> np.ndarray:
    """What the photo gets at strength 1, float32 (R, R, 3) in eight-bit levels."""
    change = 127.5 * (drawn - found.unchanged).transpose(1, 2, 0)
    return np.ascontiguousarray(change if attention is None or not masked else change * attention[:, :, None])


def _laid_on(found: Found, change: np.ndarray, strength: float) -> np.ndarray:
    """The part of the photo that is shown and judged with a change, uint8 (h, w, 3)."""
    return lay_on_edges(found.shown.image, change * np.float32(strength), within(found.crop, found.shown))


def attention_over(found: Found, attention: np.ndarray) -> np.ndarray:
    """Where the network attends, (R, R), as light on the part of the photo that is shown, uint8 (h, w, 3): dark and grey is what
    it leaves alone."""
    height, width = found.shown.image.shape[:2]
    light = over_photo(attention, within(found.crop, found.shown), (0, 0, width, height)).clip(0, 1)[:, :, None]
    grey = found.shown.image.mean(2, keepdims=True) * UNATTENDED
    return np.rint(light * found.shown.image + (1 - light) * grey).astype(np.uint8)


# --- sheets -------------------------------------------------------------------------------------------------------------------


def sheet_of(results: Sequence[DomainsResult]) -> np.ndarray:
    """The cells of one photo, or of several, beside their photos: a row per target, a column per style; uint8 (H, W, 3)."""
    rows, notes = [], []
    for result in results:
        named = f"{shortened(result.found.photo.name)}: " if len(results) > 1 else ""
        columns = len(result.styles)
        for row, target in enumerate(result.targets):
            cells = result.cells[row * columns : (row + 1) * columns]
            rows.append([_square(image) for image in (result.found.picture, *(cell.picture for cell in cells))])
            notes.append([named + target_words(target)])
    header = ["photo", *(f"style {number + 1}" for number in range(max(len(result.styles) for result in results)))]
    return draw_sheet(rows, header, notes)


def _square(image: np.ndarray) -> np.ndarray:
    """A picture (h, w, 3) as a cell of a sheet, on paper where it is not square."""
    scale = SHEET / max(image.shape[:2])
    small = resize(image, (max(1, round(scale * image.shape[0])), max(1, round(scale * image.shape[1]))))
    cell = np.full((SHEET, SHEET, 3), PAPER, np.uint8)
    top, left = ((SHEET - side) // 2 for side in small.shape[:2])
    cell[top : top + small.shape[0], left : left + small.shape[1]] = small
    return cell


# --- styles as files ----------------------------------------------------------------------------------------------------------


def style_file(cell: Cell, name: str) -> StyleFile:
    """A cell's style as a small file that can be shared. Raises ``ValueError`` for a name that is none."""
    asked = cell.recipe.parameters
    (card,) = (card_id for card_id in cell.recipe.checkpoints if card_id.startswith("sdit-"))
    return StyleFile(
        name=display_name(name), card=card, style=as_numbers(cell.style), domains=asked["domains"], target=asked["target"]
    )


def style_of(file: StyleFile, domains: str) -> Style:
    """The code of a style's file. Raises ``ValueError`` if it belongs to other domains: there it means nothing."""
    if file.domains != domains:
        raise ValueError(f"{file.name} is a style of {DOMAINS[file.domains]}: choose those first.")
    return file.style
