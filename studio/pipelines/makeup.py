"""The Makeup tab: makeup (or age) put on and taken off without making somebody else of a person (UDIT; Wang 2020, chapter 5).

MUNIT encodes a photo into content and style, and the decoder of the other end draws the content with another style. As the data
are (women made up, men not), it also makes women of men. ``keep`` holds who somebody is: 0 is MUNIT, 1 all of the semantic
constraint L_U (eq. 5.6), the decoder being trained with every value between.

A photo gets the difference of two drawings, never a drawing:

    photo + amount * up(G_target(c, s, keep) - G_source(c, s_photo, 1))

where ``up`` enlarges edge by edge (:func:`studio.core.blend.coefficients`), so that pores and hair stay.

``make_up(engine, request, known=None)`` yields ``Progress | Look`` and last a ``MakeupResult``. Its ``found`` is the photo as the
networks know it: given back as ``known``, the photo is not encoded again. ``picture_with`` is one run of G, for a slider.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from studio.core.faces import Crop, align, lay_on_edges, within
from studio.core.images import Photo, display_name, resize, to_float, to_uint8
from studio.core.recipe import Recipe
from studio.core.regions import REGIONS, cast_of, region_mask, skin_in, without_lattice
from studio.core.registry import Card, Registry
from studio.pipelines.conditioned import check_seed
from studio.pipelines.judgement import (
    PARSER,
    Judged,
    Measures,
    Reading,
    compare,
    head_of,
    judge_face,
    parse,
    readings,
    skin_of,
)
from studio.pipelines.looks import (
    PAIRS,
    LookFile,
    Style,
    as_numbers,
    check_style,
    mix_styles,
    random_style,
    rounded,
)
from studio.pipelines.parts import Progress, draw_sheet, is_number, is_whole, registry_of
from studio.pipelines.photos import ANOTHER, Eyes, FaceChoice, check_faces, faces_of, find_face, inputs_of, photos_of

if TYPE_CHECKING:
    from studio.core.engine import Engine

LOOKS, MOST = 5, 12
MAX_AMOUNT = 1.5
PROPERTIES = ("identity", "gender", "age", "ethnicity")  # that a pair's networks may know how to keep
WANTED = {"makeup": ("makeup",), "age": ("age",)}  # the readings that a pair is there to change
PORTRAIT = 600  # px, side of the portrait that is shown and judged; a whole number of them is beyond the head frame
SHEET = 256  # px, side of a face on the sheet


@dataclass(frozen=True)
class MakeupRequest:
    """A photo of a person, and what to do to the face.

    Args:
        pair: "makeup" or "age".
        direction: one of the pair's (``looks.PAIRS``), "" for its first: "apply" or "remove", "older" or "younger".
        face: the one that is meant, None for the largest.
        keep: 0 (as the data are) to 1 (keeps who you are).
        properties: what to keep of those that the networks know (``properties_of``); None keeps all.
        looks: how many to draw from N(0, I) by the ``seed``; look i does not depend on it.
        amount: 0 the photo itself, bit for bit, 1 the look, up to 1.5 more of it.
        reference: a photo whose style is the look, instead of drawn ones; ``reference_face`` is the face that is meant.
        styles: codes that are the looks, instead of drawn ones; beside a reference they come after it.
        mix: of two looks, the reference and a style or two styles, makes one: this share (0 to 1) of the way to the second.
        regions: where the look is laid on, of ``REGIONS``.
        full_size: whether each look comes in the whole photo at once; ``full_picture`` makes that later.

    Raises:
        ValueError: one sentence that says what to change.
    """

    photo: Photo
    pair: str = "makeup"
    direction: str = ""
    face: FaceChoice | None = None
    keep: float = 1.0
    properties: tuple[str, ...] | None = None
    looks: int = LOOKS
    seed: int = 0
    amount: float = 1.0
    reference: Photo | None = None
    reference_face: FaceChoice | None = None
    styles: tuple[Style, ...] = ()
    mix: float | None = None
    regions: tuple[str, ...] = REGIONS
    full_size: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "direction", check_direction(self.pair, self.direction))
        check_faces((self.photo,), (self.face,) if self.face else (), "auto")
        _check_share("how much to keep", self.keep, 1)
        _check_share("the amount", self.amount, MAX_AMOUNT)
        if not is_whole(self.looks, MOST + 1) or self.looks < 1:
            raise ValueError(f"Ask for 1 to {MOST} looks.")
        check_seed(self.seed)
        self._check_names()
        self._check_given()

    def _check_names(self) -> None:
        regions, properties = tuple(self.regions), None if self.properties is None else tuple(self.properties)
        if wrong := [region for region in regions if region not in REGIONS]:
            raise ValueError(f"There is no region {wrong[0]!r}; there is {', '.join(REGIONS)}.")
        if not regions:
            raise ValueError(f"Choose at least one region: {', '.join(REGIONS)}.")
        if wrong := [name for name in properties or () if name not in PROPERTIES]:
            raise ValueError(f"There is nothing to keep that is called {wrong[0]!r}; there is {', '.join(PROPERTIES)}.")
        object.__setattr__(self, "regions", tuple(region for region in REGIONS if region in regions))
        object.__setattr__(self, "properties", properties)

    def _check_given(self) -> None:
        object.__setattr__(self, "styles", tuple(check_style(style) for style in self.styles))
        if self.reference_face and self.reference is None:
            raise ValueError("A face was chosen in a reference photo, but there is none: add the photo.")
        if self.reference is not None:
            check_faces((self.reference,), (self.reference_face,) if self.reference_face else (), "auto")
        given = len(self.styles) + (self.reference is not None)
        if given > MOST:
            raise ValueError(f"Choose at most {MOST} looks at once; these are {given}.")
        if self.mix is not None:
            _check_share("the share of the second look", self.mix, 1)
            if given != 2:
                raise ValueError(f"Two looks are mixed, of a reference photo or chosen ones; these are {given}.")

    @property
    def ends(self) -> tuple[str, str]:
        """What the photo is taken for, and what it becomes."""
        return PAIRS[self.pair][self.direction]


@dataclass(frozen=True)
class Networks:
    """The networks of one direction: the photo's encoder and decoder, the decoder of what it becomes and, for reference photos,
    that end's encoder."""

    encoder: Card
    source: Card
    target: Card
    reference: Card

    @property
    def cards(self) -> tuple[Card, ...]:
        return self.encoder, self.source, self.target

    @property
    def properties(self) -> tuple[str, ...]:
        """What the decoders know how to keep, in their order."""
        return self.target.labels

    @property
    def study(self) -> str | None:
        return "; ".join(dict.fromkeys(card.study for card in self.cards if card.study)) or None


@dataclass(frozen=True, eq=False)
class Found:
    """A photo as the networks of one direction know it.

    ``choice`` is the face that was asked for, ``eyes`` where it is, ``people`` how many were found (0 if the eyes were given).
    ``crop`` is the face at the networks' R px, ``portrait`` the same face with more around it, finer, which is what is shown
    and judged (its middle, ``head``). ``content``, ``style`` float32 (8,) and ``extras`` are what the encoder gives,
    ``reconstruction`` float32 (3, R, R) is G_source(content, style, 1), ``classes`` by name the probability (R, R) of each class
    of the parsing network, ``before`` what the judges see.
    """

    photo: Photo
    choice: FaceChoice | None
    eyes: Eyes
    people: int
    ends: tuple[str, str]
    crop: Crop
    portrait: Crop
    content: np.ndarray
    style: np.ndarray
    extras: dict[str, np.ndarray]
    reconstruction: np.ndarray
    classes: dict[str, np.ndarray]
    before: Judged

    @property
    def head(self) -> np.ndarray:
        """The face as it is, uint8 (S, S, 3), the same part as a look's ``head``."""
        return head_of(self.portrait.image)


@dataclass(frozen=True, eq=False)
class Look:
    """One look.

    ``style`` float32 (8,) is its code. ``head`` uint8 (S, S, 3) is the face with it, ``image`` uint8 (H, W, 3) the whole photo
    (None where ``full_size`` was not asked for), ``plain`` uint8 (R, R, 3) what the decoder draws, ``change`` float32 (R, R, 3)
    what the photo gets at amount 1, in eight-bit levels. ``keep`` names what was held how firmly. ``recipe`` makes it again.
    """

    index: int
    style: np.ndarray
    keep: dict[str, float]
    head: np.ndarray
    image: np.ndarray | None
    plain: np.ndarray
    change: np.ndarray
    measures: Measures
    readings: tuple[Reading, ...]
    recipe: Recipe

    @property
    def words(self) -> tuple[str, ...]:
        """The readings in plain words."""
        return tuple(reading.words for reading in self.readings)


@dataclass(frozen=True, eq=False)
class MakeupResult:
    """All looks; ``sheet`` uint8 (H, W, 3) shows them beside the photo. ``words`` say what the artist should know of the whole
    (such as which of several faces was taken), ``study`` is None or why the networks are weak."""

    request: MakeupRequest
    found: Found
    looks: tuple[Look, ...]
    sheet: np.ndarray
    words: tuple[str, ...]
    seconds: float
    study: str | None
    recipe: Recipe


# --- networks -----------------------------------------------------------------------------------------------------------------


def list_pairs(source: Engine | Registry) -> tuple[str, ...]:
    """The pairs that ``source`` (an engine or its registry) has all networks of."""
    return tuple(pair for pair in PAIRS if not _missing(registry_of(source), pair))


def networks_of(source: Engine | Registry, pair: str, direction: str = "") -> Networks:
    """The finest networks of a pair, for one of its directions ("" for the first).

    Raises:
        ValueError: there is no such direction, or networks are missing: the message names them.
    """
    start, end = PAIRS[pair][check_direction(pair, direction)]
    registry = registry_of(source)
    if missing := _missing(registry, pair):
        there = f", or use {' and '.join(others)}, which is here" if (others := list_pairs(registry)) else ""
        raise ValueError(f"The networks for {pair} are not here yet ({', '.join(missing)}): update the studio{there}.")
    side = max(_sides(registry, pair))
    encoder, source_decoder, target, reference = (
        registry.card(_card_id(part, which, side))
        for part, which in (("encoder", start), ("decoder", start), ("decoder", end), ("encoder", end))
    )
    return Networks(encoder, source_decoder, target, reference)


def properties_of(source: Engine | Registry, pair: str) -> tuple[str, ...]:
    """What the networks of a pair know how to keep. Raises ``ValueError`` as :func:`networks_of`."""
    return networks_of(source, pair).properties


def _ends(pair: str) -> tuple[str, str]:
    return next(iter(PAIRS[pair].values()))


def _card_id(part: str, end: str, side: int | str) -> str:
    return f"munit-{part}-{end}-{side}"


def _sides(registry: Registry, pair: str) -> set[int]:
    """The resolutions at which all four networks of a pair are there."""
    found = [
        {card.resolution for card in registry.list_models(_card_id(part, end, "*"))}
        for part in ("encoder", "decoder")
        for end in _ends(pair)
    ]
    return set.intersection(*found)


def _missing(registry: Registry, pair: str) -> list[str]:
    """The networks that a pair lacks, by the beginnings of their names; none if it is complete at one resolution."""
    parser = [] if registry.list_models(PARSER) else [PARSER]
    if _sides(registry, pair):
        return parser
    wanted = [_card_id(part, end, "*") for part in ("encoder", "decoder") for end in _ends(pair)]
    lacking = [name for name in wanted if not registry.list_models(name)] or wanted[:1]
    return [name.removesuffix("-*") for name in lacking] + parser


# --- one photo ----------------------------------------------------------------------------------------------------------------


def make_up(engine: Engine, request: MakeupRequest, known: Found | None = None) -> Iterator[Progress | Look | MakeupResult]:
    """The looks as they are ready, the result last.

    ``known`` is a photo as a result had ``found`` it; of another face, photo or direction it is of no use, and not used.

    Raises:
        ValueError: at once, if networks are missing or cannot keep a property that is named.
        FaceError: before the first look, if a photo shows no face or not the chosen one.
        CheckpointError: before the first look, if weights are missing or damaged.
    """
    networks = networks_of(engine, request.pair, request.direction)
    keep_of(networks, request)
    return _make_up(engine, request, networks, known)


def _make_up(
    engine: Engine, request: MakeupRequest, networks: Networks, known: Found | None
) -> Iterator[Progress | Look | MakeupResult]:
    began, count = time.perf_counter(), _count(request)
    yield Progress(0, count, "Looking for the face")
    for card in (*networks.cards, *((networks.reference,) if request.reference else ())):
        engine.fetch(card.id)
    engine.fetch(PARSER)
    if known is None or not _is_of(known, request):
        known = find(engine, request)
    styles, settled = _styles(engine, request)
    recipe = _recipe(networks, settled, known)
    looks = []
    for index, style in enumerate(styles):
        yield Progress(index, count, f"Making look {index + 1} of {count}" if count > 1 else "Making the look")
        looks.append(_look(engine, request, networks, known, style, index, recipe))
        yield looks[-1]
    header = ["photo", *(f"look {look.index + 1}" for look in looks)]
    yield MakeupResult(
        request=request,
        found=known,
        looks=tuple(looks),
        sheet=draw_sheet([[resize(image, SHEET) for image in (known.head, *(look.head for look in looks))]], header),
        words=_about(known, networks),
        seconds=time.perf_counter() - began,
        study=networks.study,
        recipe=recipe,
    )


def _is_of(found: Found, request: MakeupRequest) -> bool:
    """Whether a photo that was found is the request's, with the same face and seen by the same networks."""
    same_face = request.face == found.choice or (request.face is not None and request.face.eyes == found.eyes)
    return found.ends == request.ends and found.photo.sha256 == request.photo.sha256 and same_face


def find(engine: Engine, request: MakeupRequest) -> Found:
    """The photo of a request as the networks know it. Raises ``FaceError``."""
    networks = networks_of(engine, request.pair, request.direction)
    eyes, people = find_face(engine, (request.photo,), 0, request.face, ANOTHER)
    crop, portrait, small = (
        align(request.photo.rgb, np.asarray(eyes), frame, size)
        for frame, size in (
            (networks.encoder.frame, networks.encoder.resolution),
            ("portrait", PORTRAIT),
            ("face", engine.registry.card(PARSER).resolution),
        )
    )
    answer = engine.run(networks.encoder.id, image=to_float(crop.image)[None])
    content, style = answer.pop("content"), answer.pop("style")
    everything = np.ones((1, len(networks.properties)), np.float32)
    classes = parse(engine, small.image, networks.encoder.resolution)
    return Found(
        photo=request.photo,
        choice=request.face,
        eyes=eyes,
        people=people,
        ends=request.ends,
        crop=crop,
        portrait=portrait,
        content=content,
        style=style[0],
        extras=answer,
        reconstruction=engine.run(networks.source.id, content=content, style=style, keep=everything, **answer)[0],
        classes=classes,
        before=judge_face(engine, portrait.image, skin_of(classes, crop, portrait)),
    )


def _styles(engine: Engine, request: MakeupRequest) -> tuple[list[np.ndarray], MakeupRequest]:
    """The codes of the looks, and the request with the reference's own code in place of its photo."""
    styles = [np.array(style, np.float32) for style in request.styles]
    if request.reference is not None:
        styles.insert(0, reference_style(engine, request))
        codes = tuple(as_numbers(style) for style in styles)
        request = replace(request, reference=None, reference_face=None, styles=codes)
    if request.mix is not None:
        return [mix_styles(*styles, request.mix)], request
    return styles or [random_style(request.seed, index) for index in range(request.looks)], request


def reference_style(engine: Engine, request: MakeupRequest) -> np.ndarray:
    """The code of the look in a request's reference photo, float32 (8,): what the other end's encoder takes for its style.

    Raises:
        FaceError: the reference shows no face, or not the chosen one.
    """
    card = networks_of(engine, request.pair, request.direction).reference
    eyes, _ = find_face(engine, (request.reference,), 0, request.reference_face, ANOTHER)
    face = align(request.reference.rgb, np.asarray(eyes), card.frame, card.resolution).image
    return rounded(engine.run(card.id, image=to_float(face)[None])["style"][0])


def _count(request: MakeupRequest) -> int:
    """How many looks there will be."""
    return 1 if request.mix is not None else len(request.styles) + (request.reference is not None) or request.looks


def _about(found: Found, networks: Networks) -> tuple[str, ...]:
    if found.people < 2:
        return ()
    return (f"{found.people} faces were found in the photo: choose another one if this is not the one that is meant",)


# --- one look -----------------------------------------------------------------------------------------------------------------


def look_with(engine: Engine, found: Found, request: MakeupRequest, style: Sequence[float], index: int = 0) -> Look:
    """One look of a photo that was found, with all that ``request`` says but its styles.

    Raises:
        ValueError: the style is none, or the networks cannot keep a property that is named.
    """
    networks = networks_of(engine, request.pair, request.direction)
    asked = replace(request, styles=(check_style(style),), mix=None, reference=None, reference_face=None)
    code = np.array(asked.styles[0], np.float32)
    return _look(engine, asked, networks, found, code, index, _recipe(networks, asked, found))


def as_the_data_are(engine: Engine, result: MakeupResult, index: int) -> Look:
    """What the network without the constraint (keep 0: MUNIT) makes of a look, for the side-by-side view."""
    return look_with(engine, result.found, replace(result.request, keep=0.0), result.looks[index].style, index)


def picture_with(engine: Engine, found: Found, request: MakeupRequest, style: Sequence[float]) -> np.ndarray:
    """The head of a photo that was found with a look, uint8 (S, S, 3): one run of the decoder, for a slider that moves.

    Raises:
        ValueError: as :func:`look_with`.
    """
    networks = networks_of(engine, request.pair, request.direction)
    _, change = _drawn(engine, request, networks, found, np.array(check_style(style), np.float32))
    return head_of(_on_portrait(found, change * request.amount))


def full_picture(found: Found, look: Look, amount: float) -> np.ndarray:
    """The whole photo with a look laid on it at ``amount``, uint8 (H, W, 3); at 0 the photo itself, bit for bit."""
    return lay_on_edges(found.photo.rgb, look.change * np.float32(amount), found.crop)


def keep_of(networks: Networks, request: MakeupRequest) -> dict[str, float]:
    """How firmly each property is held that the networks know. Raises ``ValueError`` for one that they do not."""
    asked = networks.properties if request.properties is None else request.properties
    if unknown := [name for name in asked if name not in networks.properties]:
        known = ", ".join(networks.properties)
        raise ValueError(f"The networks for {request.pair} cannot keep {unknown[0]}; they keep {known}.")
    return {name: float(request.keep) if name in asked else 0.0 for name in networks.properties}


def _look(
    engine: Engine, request: MakeupRequest, networks: Networks, found: Found, style: np.ndarray, index: int, recipe: Recipe
) -> Look:
    plain, change = _drawn(engine, request, networks, found, style)
    portrait = _on_portrait(found, change * request.amount)
    after = judge_face(engine, portrait, skin_of(found.classes, found.crop, found.portrait))
    measures = compare(found.before, after)
    look = Look(
        index=index,
        style=style,
        keep=keep_of(networks, request),
        head=head_of(portrait),
        image=None,
        plain=to_uint8(plain),
        change=change,
        measures=measures,
        readings=readings(engine, measures, WANTED[request.pair]),
        recipe=recipe.model_copy(update={"parameters": {**recipe.parameters, "index": index, "style": list(as_numbers(style))}}),
    )
    return replace(look, image=full_picture(found, look, request.amount)) if request.full_size else look


def _drawn(
    engine: Engine, request: MakeupRequest, networks: Networks, found: Found, style: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """G_target(c, s, keep) float32 (3, R, R), and what the photo gets of its difference from the reconstruction, (R, R, 3)."""
    held = keep_of(networks, request)
    keep = np.array([list(held.values())], np.float32)
    (plain,) = engine.run(networks.target.id, content=found.content, style=style[None], keep=keep, **found.extras)
    change = without_lattice(127.5 * (plain - found.reconstruction).transpose(1, 2, 0))
    face = region_mask(found.classes, request.regions)[:, :, None]
    cast = np.float32(held["identity"]) * cast_of(change, skin_in(found.classes))
    if request.pair == "makeup" or request.regions != REGIONS:  # age shows everywhere, unless only some regions are meant
        change = change * face
    return plain, np.ascontiguousarray(change - cast * face)


def _on_portrait(found: Found, change: np.ndarray) -> np.ndarray:
    """The change laid on the portrait that is shown and judged, uint8 (S, S, 3)."""
    return lay_on_edges(found.portrait.image, change, within(found.crop, found.portrait))


# --- looks as files -----------------------------------------------------------------------------------------------------------


def look_file(look: Look, name: str) -> LookFile:
    """A look as a small file that can be shared. Raises ``ValueError`` for a name that is none."""
    asked, shown = look.recipe.parameters, display_name(name)
    end = PAIRS[asked["pair"]][asked["direction"]][1]
    (card,) = (card_id for card_id in look.recipe.checkpoints if card_id.startswith(_card_id("decoder", end, "")))
    regions = () if tuple(asked["regions"]) == REGIONS else tuple(asked["regions"])
    return LookFile(name=shown, pair=asked["pair"], end=end, card=card, style=as_numbers(look.style), regions=regions)


def style_of(file: LookFile, pair: str, direction: str) -> Style:
    """The code of a look's file, for one of the pair's directions. Raises ``ValueError`` if it is a look of another one."""
    if (file.pair, file.end) != (pair, PAIRS[pair][check_direction(pair, direction)][1]):
        way = next(way for way, ends in PAIRS[file.pair].items() if ends[1] == file.end)
        raise ValueError(f"{file.name} is a look for {file.pair}, {way}: choose that first.")
    return file.style


# --- recipes ------------------------------------------------------------------------------------------------------------------


def request_from_recipe(recipe: Recipe, photos: Sequence[Photo]) -> MakeupRequest:
    """The request that made a result, from its recipe and the photos that are at hand (others may be among them).

    The codes of looks are in the recipe, so no reference photo is asked for.

    Raises:
        ValueError: the recipe belongs to another tab or verb or is damaged, or the photo is missing: the message names it.
    """
    if (recipe.tab, recipe.verb) != ("makeup", "make_up"):
        raise ValueError(f"This picture was made on the tab {recipe.tab}: use it there.")
    asked, given = recipe.parameters, photos_of(recipe, photos)
    styles, properties, regions = asked.get("styles", []), asked.get("properties"), asked.get("regions", REGIONS)
    if len(given) != 1 or not all(isinstance(listed, list | tuple) for listed in (styles, properties or [], regions)):
        raise ValueError("This recipe of a made-up face is damaged: choose the photo and the looks anew.")
    (face,) = faces_of(recipe)
    return MakeupRequest(
        photo=given[0],
        pair=asked.get("pair", "makeup"),
        direction=asked.get("direction", ""),
        face=face,
        keep=asked.get("keep", 1.0),
        properties=properties,
        looks=asked.get("looks", LOOKS),
        seed=recipe.seed,
        amount=asked.get("amount", 1.0),
        styles=tuple(styles),
        mix=asked.get("mix"),
        regions=tuple(regions),
    )


def _recipe(networks: Networks, request: MakeupRequest, found: Found) -> Recipe:
    settings = {
        "pair": request.pair,
        "direction": request.direction,
        "keep": float(request.keep),
        "properties": request.properties and list(request.properties),
        "looks": request.looks,
        "amount": float(request.amount),
        "styles": [list(style) for style in request.styles],
        "mix": request.mix,
        "regions": list(request.regions),
        "paste": True,
    }
    return Recipe(
        tab="makeup",
        verb="make_up",
        parameters=settings,
        seed=request.seed,
        checkpoints={card.id: card.sha256 for card in networks.cards},
        inputs=inputs_of((request.photo,), (found.eyes,)),
    )


# --- what requests have in common ---------------------------------------------------------------------------------------------


def check_direction(pair: Any, direction: Any) -> str:
    """The direction that is meant, "" being a pair's first. Raises ``ValueError``, listing what there is."""
    if not isinstance(pair, str) or pair not in PAIRS:
        raise ValueError(f"There is no pair {pair!r}; there is {', '.join(PAIRS)}.")
    if direction == "":
        return next(iter(PAIRS[pair]))
    if not isinstance(direction, str) or direction not in PAIRS[pair]:
        raise ValueError(f"There is no direction {direction!r} for {pair}; there is {', '.join(PAIRS[pair])}.")
    return direction


def _check_share(what: str, value: Any, most: float) -> None:
    if not is_number(value) or not 0 <= value <= most:
        raise ValueError(f"Set {what} between 0 and {most:g}.")
