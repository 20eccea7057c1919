"""What one asks of the Domains tab, and the recipe that asks for it again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from studio.core.images import Photo
from studio.core.recipe import Recipe
from studio.core.registry import Registry
from studio.pipelines.conditioned import check_seed
from studio.pipelines.domains_labels import ATTRIBUTES, DOMAINS, Target, check_targets, read_target, target_text
from studio.pipelines.domains_verdict import LOCKS
from studio.pipelines.judgement import ATTRIBUTES_JUDGE
from studio.pipelines.looks import Style, check_style
from studio.pipelines.parts import is_number, is_whole
from studio.pipelines.photos import Eyes, FaceChoice, check_faces, faces_of, inputs_of, photos_of

STYLES, MOST_STYLES, MOST_CELLS = 4, 12, 120


@dataclass(frozen=True)
class DomainsRequest:
    """A photo, and what to make of it.

    Args:
        domains: "attributes" (of a face), "art" or "cars".
        targets: each gives a row: pairs of a label and whether it shall be there. All pairs of a target are asked for at once. Of
            art and cars a target is one label. Empty asks for each label by itself, of a face each one turned round.
        count: how many styles to draw from N(0, I) by the ``seed``; style i does not depend on it.
        styles: codes that are the columns, instead of drawn ones, such as one that was liked on another picture.
        strength: 0 the photo itself, bit for bit, to 1, all of the change.
        attention: whether the change is held to where the network attends, if it does. What it draws knows of its attention
            already (eq. 6.9), so this is for those who want a quieter background, too.
        locks: which of ``domains_verdict.LOCKS`` must not change; a cell that changes one says so.
        face: the one that is meant, None for the largest.
        full_size: whether each cell comes in the whole photo at once; ``full_picture`` makes that later.

    Raises:
        ValueError: one sentence that says what to change.
    """

    photo: Photo
    domains: str = ATTRIBUTES
    targets: tuple[Target, ...] = ()
    count: int = STYLES
    styles: tuple[Style, ...] = ()
    seed: int = 0
    strength: float = 1.0
    attention: bool = False
    locks: tuple[str, ...] = ()
    face: FaceChoice | None = None
    full_size: bool = True

    def __post_init__(self) -> None:
        if not isinstance(self.domains, str) or self.domains not in DOMAINS:
            raise ValueError(f"There are no domains {self.domains!r}; there is {', '.join(DOMAINS)}.")
        object.__setattr__(self, "targets", check_targets(self.domains, self.targets))
        object.__setattr__(self, "styles", tuple(check_style(style) for style in self.styles))
        object.__setattr__(self, "locks", tuple(self.locks))
        if not is_whole(self.count, MOST_STYLES + 1) or self.count < 1 or len(self.styles) > MOST_STYLES:
            raise ValueError(f"Ask for 1 to {MOST_STYLES} styles.")
        if len(self.targets) * len(self.styles or range(self.count)) > MOST_CELLS:
            raise ValueError(f"Ask for at most {MOST_CELLS} pictures at once: take fewer styles, or fewer things.")
        check_seed(self.seed)
        if not is_number(self.strength) or not 0 <= self.strength <= 1:
            raise ValueError("Set the strength between 0 (the photo) and 1.")
        if wrong := [name for name in self.locks if name not in LOCKS]:
            raise ValueError(f"There is nothing to lock that is called {wrong[0]!r}; there is {', '.join(LOCKS)}.")
        self._check_face()

    def _check_face(self) -> None:
        if self.of_face:
            return check_faces((self.photo,), (self.face,) if self.face else (), "auto")
        if self.face or self.locks:
            raise ValueError(f"A face is chosen or locked in photos of people only, not in {DOMAINS[self.domains]}.")

    @property
    def of_face(self) -> bool:
        """Whether a face is translated, not a whole picture."""
        return self.domains == ATTRIBUTES


def request_from_recipe(recipe: Recipe, photos: Sequence[Photo]) -> DomainsRequest:
    """The request that made a result, from its recipe and the photos that are at hand (others may be among them).

    Raises:
        ValueError: the recipe belongs to another tab or verb or is damaged, or the photo is missing: the message names it.
    """
    if (recipe.tab, recipe.verb) != ("domains", "domains"):
        raise ValueError(f"This picture was made on the tab {recipe.tab}: use it there.")
    asked, given = recipe.parameters, photos_of(recipe, photos)
    targets, styles, locks = (asked.get(name, []) for name in ("targets", "styles", "locks"))
    listed = all(isinstance(values, list | tuple) for values in (targets, styles, locks))
    if len(given) != 1 or not listed or not all(isinstance(text, str) for text in targets):
        raise ValueError("This recipe of a translated picture is damaged: choose the photo and what to make of it anew.")
    (face,) = faces_of(recipe)
    return DomainsRequest(
        photo=given[0],
        domains=asked.get("domains", ATTRIBUTES),
        targets=tuple(read_target(text) for text in targets),
        count=asked.get("count", STYLES),
        styles=tuple(styles),
        seed=recipe.seed,
        strength=asked.get("strength", 1.0),
        attention=asked.get("attention") is True,
        locks=tuple(locks),
        face=face,
    )


def recipe_of(registry: Registry, request: DomainsRequest, card: str, eyes: Eyes | None) -> Recipe:
    """How to make the results of a network again; of a face the judge is named as well that says what the photo shows."""
    names = [card, *([ATTRIBUTES_JUDGE] if request.of_face else [])]
    settings = {
        "domains": request.domains,
        "targets": [target_text(target) for target in request.targets],
        "count": request.count,
        "styles": [list(style) for style in request.styles],
        "strength": float(request.strength),
        "attention": request.attention,
        "locks": list(request.locks),
        "paste": True,
    }
    return Recipe(
        tab="domains",
        verb="domains",
        parameters=settings,
        seed=request.seed,
        checkpoints={name: registry.card(name).sha256 for name in names},
        inputs=inputs_of((request.photo,), (eyes,)),
    )
