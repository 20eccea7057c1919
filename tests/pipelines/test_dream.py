"""Dreams without a screen: their logic with small stand-ins, their networks with every checkpoint that is shipped."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from studio.core.checkpoints import CheckpointError
from studio.core.engine import Engine
from studio.core.images import to_float
from studio.core.recipe import Recipe
from studio.core.registry import UnknownModel, default_registry
from studio.metrics.face_score import has_face
from studio.pipelines import dream as module
from studio.pipelines import parts
from studio.pipelines.dream import (
    BATCH,
    GENERATORS,
    MAX_COUNT,
    MAX_GENERATIONS,
    STEPS,
    Candidate,
    DreamRequest,
    DreamResult,
    StageResult,
    dream,
    list_generators,
    more_like,
    nearest_first,
    request_from_recipe,
    stage_by_stage,
)
from studio.pipelines.parts import Progress
from tests.fakes import BANK, JUDGE, FakeEngine, sampler, translator

K_LION = DreamRequest("k-began", "lion", count=3, seed=7)


@pytest.fixture
def engine(tmp_path):
    plain = [sampler("dcgan", study="blurred"), sampler("began"), sampler("stylegan")]
    adapted = [sampler("began", "lion"), sampler("began", "gorilla", study="few pictures"), sampler("dcgan", "lion", study="odd")]
    return FakeEngine(tmp_path, [*plain, *adapted, translator("lion"), translator("spider", study="seldom legs"), BANK, JUDGE])


def run(engine, request) -> DreamResult:
    return list(dream(engine, request))[-1]


def images(engine, request) -> list[np.ndarray]:
    return [candidate.image for candidate in run(engine, request).candidates]


def apart(engine, request) -> np.ndarray:
    """How far each candidate's latent is from the first one's."""
    latents = np.stack([candidate.latent for candidate in run(engine, request).candidates]).astype(np.float64)
    return np.linalg.norm(latents - latents[0], axis=1)


# --- the request ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change, message",
    [
        ({"generator": "gan"}, "no generator 'gan'; there is dcgan, k-dcgan, began, k-began, flagship"),
        ({"generator": ["dcgan"]}, "no generator"),
        ({"animal": 3}, "by its name"),
        ({"count": 0}, "1 to"),
        ({"count": MAX_COUNT + 1}, "1 to"),
        ({"count": 1.0}, "1 to"),
        ({"count": True}, "1 to"),
        ({"seed": -1}, "whole number"),
        ({"seed": 2**63}, "whole number"),
        ({"truncation": 0.2}, "truncation"),
        ({"truncation": 1.1}, "truncation"),
        ({"imagination": -0.1}, "imagination"),
        ({"imagination": float("nan")}, "imagination"),
        ({"strength": 1.4, "animal": "lion"}, "strength"),
        ({"strength": "1", "animal": "lion"}, "strength"),
        ({"strength": 0.5}, "Choose an animal"),
        ({"ancestry": [(0, 1, 0.3)]}, "damaged"),
        ({"ancestry": ((0, 1),)}, "damaged"),
        ({"ancestry": ((0, MAX_COUNT, 0.3),)}, "damaged"),
        ({"ancestry": ((-1, 1, 0.3),)}, "damaged"),
        ({"ancestry": ((0, 1, 0),)}, "damaged"),
        ({"ancestry": ((0, 1, 9.0),)}, "damaged"),
        ({"ancestry": ((0, 1, 0.3),) * MAX_GENERATIONS}, "start again"),
    ],
)
def test_a_request_says_what_to_change(change, message):
    with pytest.raises(ValueError, match=message):
        replace(DreamRequest(), **change)


# --- the generators ---------------------------------------------------------------------------------------------------


def test_generators_are_listed_with_their_finest_networks_and_animals(engine):
    engine.registry.add(sampler("stylegan", resolution=32))
    engine.registry.add(sampler("stylegan", resolution=64, domains=("lion",)))  # no faces
    found = list_generators(engine)
    assert [info.name for info in found] == list(GENERATORS)
    by_name = {info.name: info for info in found}
    assert [card.id for card in by_name["flagship"].cards] == ["stylegan-32"]
    assert by_name["k-began"].animals == ("gorilla", "lion")
    assert [card.domains[1] for card in by_name["k-began"].cards] == ["gorilla", "lion"]
    assert by_name["dcgan"].animals == ()
    assert [by_name[name].study for name in ("dcgan", "k-began", "k-dcgan")] == ["blurred", None, "odd"]
    assert list_generators(engine.registry) == found


def test_the_best_generator_is_the_nearest_to_photographs_and_no_k_gan(tmp_path):
    near, far = sampler("dcgan", measures={"kid_imagenet": 30.7}), sampler("stylegan", measures={"kid_imagenet": 210.1})
    engine = FakeEngine(tmp_path, [far, sampler("began"), sampler("began", "lion"), sampler("dcgan", "lion"), near])
    ordered = [info.name for info in nearest_first(list_generators(engine))]
    assert ordered == ["dcgan", "flagship", "began", "k-dcgan", "k-began"]


def test_a_generator_without_networks_is_not_listed(tmp_path):
    assert [info.name for info in list_generators(FakeEngine(tmp_path, [sampler("began"), translator("lion")]))] == ["began"]


@pytest.mark.parametrize(
    "request_, message",
    [
        (DreamRequest("k-began", "koala"), "no k-began for 'koala' yet; there is gorilla, lion"),
        (DreamRequest("k-began"), "animal that k-began imagines; there is gorilla, lion"),
        (DreamRequest("began", "dragon"), "no animal 'dragon'; there is lion, spider"),
        (DreamRequest("k-began", "gorilla", strength=1.0), "no animal 'gorilla'; there is lion, spider"),
    ],
)
def test_what_does_not_exist_is_said_before_anything_runs(engine, request_, message):
    with pytest.raises(ValueError, match=message):
        dream(engine, request_)
    assert not engine.runs


def test_a_studio_without_that_generator_says_which_it_has(tmp_path):
    engine = FakeEngine(tmp_path, [sampler("began")])
    with pytest.raises(ValueError, match="no flagship yet; there is began"):
        dream(engine, DreamRequest())
    (tmp_path / "bare").mkdir()
    with pytest.raises(ValueError, match="no generators yet"):
        dream(FakeEngine(tmp_path / "bare", []), DreamRequest())


def test_a_missing_network_stops_before_any_candidate(engine, monkeypatch):
    def fetch(card_id):
        if card_id == "began-16":
            raise CheckpointError("began is damaged.")

    monkeypatch.setattr(engine, "fetch", fetch)
    seen = []
    with pytest.raises(CheckpointError, match="began is damaged"):
        seen.extend(dream(engine, K_LION))
    assert all(isinstance(step, Progress) for step in seen) and not engine.runs


def test_every_network_is_fetched_once_and_those_it_rests_on_too(engine):
    run(engine, replace(K_LION, strength=1.0))
    assert sorted(engine.fetched) == ["began-16", "cyclegan-lion-16", "judge-animal", "k-began-lion-16", "originality-8"]


def test_a_base_that_was_replaced_is_said(engine):
    engine.registry.add(replace(sampler("began"), sha256="c" * 64))
    with pytest.raises(UnknownModel, match="update the studio"):
        run(engine, K_LION)


# --- latents ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("generator", ["began", "flagship"])
def test_a_candidate_is_the_same_in_a_crowd_and_alone(engine, generator):
    few, many = (images(engine, DreamRequest(generator, count=count, seed=7)) for count in (3, 9))
    np.testing.assert_array_equal(few, many[:3])
    assert len({image.tobytes() for image in many}) == 9
    assert (images(engine, DreamRequest(generator, count=1, seed=8))[0] != many[0]).any()


def test_latents_are_drawn_as_the_networks_were_trained(engine):
    uniform = np.stack([c.latent for c in run(engine, DreamRequest("dcgan", count=64)).candidates])
    assert uniform.shape == (64, 100) and uniform.dtype == np.float32
    assert np.abs(uniform).max() <= 1 and uniform.std() == pytest.approx(1 / np.sqrt(3), abs=0.02)
    normal = np.stack([c.latent for c in run(engine, DreamRequest(count=64)).candidates])
    assert normal.shape == (64, 24) and normal.std() == pytest.approx(1, abs=0.05)


def test_a_gan_and_its_k_gan_dream_from_the_same_latents(engine):
    plain, imagined = (run(engine, replace(K_LION, generator=g)).candidates for g in ("began", "k-began"))
    np.testing.assert_array_equal([c.latent for c in plain], [c.latent for c in imagined])
    np.testing.assert_array_equal(images(engine, replace(K_LION, imagination=0)), [c.image for c in plain])
    half, full = (images(engine, replace(K_LION, imagination=i))[0].astype(int) for i in (0.5, 1))
    grey = np.abs(plain[0].image.astype(int) - 127).sum()
    assert np.abs(full - 127).sum() < np.abs(half - 127).sum() < grey


def test_truncation_is_the_flagships_alone(engine):
    wide, narrow = (images(engine, DreamRequest(truncation=t, count=4)) for t in (1, 0.3))
    assert np.std(narrow) < np.std(wide)
    np.testing.assert_array_equal(*(images(engine, DreamRequest("dcgan", truncation=t, count=4)) for t in (1, 0.3)))


# --- more like this ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("generator", ["began", "flagship"])
def test_more_like_this_starts_with_the_picked_one_and_stays_near(engine, generator):
    request = DreamRequest(generator, count=9, seed=7)
    picked = run(engine, request).candidates[5]
    strangers = apart(engine, request)[1:].min()
    reached = []
    for step in STEPS:
        near = more_like(request, picked, step)
        np.testing.assert_array_equal(run(engine, near).candidates[0].latent, picked.latent)
        reached.append(apart(engine, near)[1:])
    little, some, lots = (distances.mean() for distances in reached)
    assert 0 < little < some < lots and reached[-1].max() < strangers
    assert max(np.abs(c.latent).max() for c in run(engine, near).candidates) <= 1 or generator == "flagship"


def test_a_step_on_the_sphere_is_its_angle(engine):
    request = DreamRequest(count=4, seed=1)
    start, *near = run(engine, more_like(request, run(engine, request).candidates[2], "some")).candidates
    for candidate in near:
        norms = np.linalg.norm(start.latent) * np.linalg.norm(candidate.latent)
        assert np.arccos(start.latent @ candidate.latent / norms) == pytest.approx(0.3, abs=1e-3)
        assert np.linalg.norm(candidate.latent) == pytest.approx(np.linalg.norm(start.latent), rel=1e-5)


def test_latents_come_back_from_the_border():
    np.testing.assert_allclose(module._reflect(np.array([1.2, -1.5, 0.4, -1.0])), [0.8, -0.5, 0.4, -1.0])


def test_picks_lead_on_and_another_seed_goes_elsewhere_from_the_same_face(engine):
    first = replace(K_LION, count=9)
    second = more_like(first, run(engine, first).candidates[4], "a lot")
    third = more_like(second, run(engine, second).candidates[6], "a little")
    assert third.ancestry == ((7, 4, 0.6), (7, 6, 0.15)) and third.seed == 7
    np.testing.assert_array_equal(images(engine, third)[0], images(engine, second)[6])
    elsewhere = images(engine, replace(third, seed=8))
    np.testing.assert_array_equal(elsewhere[0], images(engine, third)[0])
    assert (elsewhere[1] != images(engine, third)[1]).any()
    again = images(engine, more_like(third, run(engine, third).candidates[0], "a little"))
    np.testing.assert_array_equal(again[0], elsewhere[0])
    assert (again[1] != images(engine, third)[1]).any()  # picking the first one again shows others near it


def test_there_are_three_steps_and_an_end_to_picking(engine):
    candidate = run(engine, K_LION).candidates[1]
    with pytest.raises(ValueError, match="'far'; there is a little, some, a lot"):
        more_like(K_LION, candidate, "far")
    request = K_LION
    with pytest.raises(ValueError, match="start again from a seed"):
        for _ in range(MAX_GENERATIONS):
            request = more_like(request, candidate)
    longest = run(engine, request).candidates[-1].recipe
    assert len(longest.to_link()) > 0 and len(request_from_recipe(longest).ancestry) == MAX_GENERATIONS


# --- pictures ---------------------------------------------------------------------------------------------------------


def test_candidates_come_one_batch_after_the_other(engine):
    items = list(dream(engine, DreamRequest("began", count=BATCH + 1)))
    assert [type(item) for item in items] == [Progress, Progress, *[Candidate] * BATCH, Progress, Candidate, DreamResult]
    assert [(item.done, item.total) for item in items if isinstance(item, Progress)] == [(0, 5), (0, 5), (BATCH, 5)]
    assert [count for card, count in engine.runs if card == "began-16"] == [BATCH, 1]
    result = items[-1]
    assert [candidate.index for candidate in result.candidates] == list(range(5))
    assert result.candidates == tuple(item for item in items if isinstance(item, Candidate))
    assert all(c.image.shape == (16, 16, 3) and c.image.dtype == np.uint8 and c.seconds > 0 for c in result.candidates)


def test_nothing_runs_that_nobody_waits_for(engine):
    steps = dream(engine, DreamRequest("began", count=16))
    next(step for step in steps if isinstance(step, Candidate))
    steps.close()
    assert [count for card, count in engine.runs if card == "began-16"] == [BATCH]


def test_the_second_stage_translates_the_first_ones_faces(engine):
    plain = run(engine, DreamRequest("began", "lion", count=2, seed=3)).candidates
    lions = run(engine, DreamRequest("began", "lion", count=2, seed=3, strength=1.0)).candidates
    for face, lion in zip(plain, lions, strict=True):
        np.testing.assert_array_equal(lion.face, face.image)
        np.testing.assert_array_equal(lion.image, 255 - face.image)
        np.testing.assert_array_equal(face.face, face.image)
    kept = images(engine, DreamRequest("began", "lion", count=2, seed=3, strength=0.5))
    assert np.abs(np.asarray(kept, int) - 127).max() <= 1


def test_faces_of_another_size_are_brought_to_the_second_stages(engine):
    engine.registry.add(sampler("stylegan", resolution=32))
    candidate = run(engine, DreamRequest(animal="lion", count=1, strength=1.0)).candidates[0]
    assert candidate.face.shape == (32, 32, 3) and candidate.image.shape == (16, 16, 3)


def test_the_sheet_is_as_square_as_the_count_lets_it(engine):
    side = parts.CELL + parts.GAP
    assert run(engine, DreamRequest("began", count=5)).sheet.shape == (parts.GAP + 2 * side, parts.GAP + 3 * side, 3)
    result = run(engine, DreamRequest("began", count=4))
    assert result.sheet.shape == (parts.GAP + 2 * side, parts.GAP + 2 * side, 3)
    third = result.sheet[parts.GAP + side : 2 * side, parts.GAP : side]
    assert (third == result.candidates[2].image[0, 0]).all()


def test_the_same_request_gives_the_same_pixels(engine):
    request = replace(K_LION, strength=0.7)
    np.testing.assert_array_equal(run(engine, request).sheet, run(engine, request).sheet)


# --- what is said of it -----------------------------------------------------------------------------------------------


def test_scores_are_the_metrics_of_what_is_shown(engine):
    for candidate in run(engine, replace(K_LION, strength=1.0)).candidates:
        assert candidate.face_score == float(has_face(candidate.image))
        assert candidate.originality == pytest.approx(to_float(candidate.image).mean() + 1, abs=1e-5)
        logits = engine.run("judge-animal", image=to_float(candidate.image)[None, :, :8, :8].copy())["logits"][0]
        assert candidate.animal_score == pytest.approx(np.exp(logits[0]) / np.exp(logits).sum(), abs=1e-5)


def test_words_say_what_is_meant(engine):
    human = run(engine, DreamRequest("began", count=1)).candidates[0]
    assert human.verdicts[0] == "no face is found" and len(human.verdicts) == 2 and human.animal_score is None
    waiting = run(engine, DreamRequest("began", "lion", count=1)).candidates[0]
    assert waiting.verdicts == human.verdicts and waiting.animal_score is not None  # no lion yet, so no words for one
    lion = run(engine, DreamRequest("began", "lion", count=1, strength=1.0)).candidates[0]
    assert lion.verdicts[0] == "no human face is left" and "lion" in lion.verdicts[1] and len(lion.verdicts) == 3
    assert "lion" in run(engine, K_LION).candidates[0].verdicts[1]
    spider = run(engine, DreamRequest("began", "spider", count=1, strength=1.0)).candidates[0]
    assert spider.animal_score is None and len(spider.verdicts) == 2  # the judge knows no spiders


@pytest.mark.parametrize(
    "originality, words",
    [
        (1.1, "as new as a new photograph"),
        (0.6, "near a picture it learnt from"),
        (0.1, "almost a picture it learnt from"),
        (None, None),
    ],
)
def test_originality_in_words(originality, words):
    assert module._originality_words(originality) == words


def test_a_studio_that_measures_nothing_still_dreams(tmp_path):
    candidate = run(FakeEngine(tmp_path, [sampler("began")]), DreamRequest("began", count=1)).candidates[0]
    assert candidate.originality is None and candidate.animal_score is None and len(candidate.verdicts) == 1


def test_the_reasons_of_both_stages_are_given(engine):
    assert run(engine, DreamRequest("dcgan", "spider", count=1)).candidates[0].study == "blurred"
    assert run(engine, DreamRequest("dcgan", "spider", count=1, strength=1)).candidates[0].study == "blurred; seldom legs"
    assert run(engine, K_LION).candidates[0].study is None


# --- stage by stage ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("generator", ["began", "k-began"])
def test_figure_3_has_a_row_per_latent_and_a_column_per_stage(engine, generator):
    items = list(stage_by_stage(engine, replace(K_LION, generator=generator, count=BATCH + 1)))
    result = items[-1]
    assert isinstance(result, StageResult) and all(isinstance(item, Progress) for item in items[:-1])
    assert [item.done for item in items[:-1]] == [0, 0, BATCH]
    assert [(c.index, c.stage) for c in result.cells[:5]] == [
        (0, "sample"), (0, "k-sample"), (0, "cascade"), (0, "k-cascade"), (1, "sample"),
    ]  # fmt: skip
    samples = images(engine, replace(K_LION, generator="began", count=BATCH + 1))
    imagined = images(engine, replace(K_LION, count=BATCH + 1))
    for index in (0, BATCH):
        sample, k_sample, cascade, k_cascade = (cell.image for cell in result.cells if cell.index == index)
        np.testing.assert_array_equal(sample, samples[index])
        np.testing.assert_array_equal(k_sample, imagined[index])
        np.testing.assert_array_equal(cascade, 255 - sample)
        np.testing.assert_array_equal(k_cascade, 255 - k_sample)
    assert all(cell.originality is not None and cell.animal_score is not None for cell in result.cells)
    side = parts.CELL + parts.GAP
    assert result.sheet.shape[1] == parts.GAP + 4 * side
    assert result.sheet.shape[0] > parts.CAPTION + (BATCH + 1) * (parts.CELL + parts.CAPTION)  # there is a footer


def test_the_flagship_has_two_stages(engine):
    result = list(stage_by_stage(engine, DreamRequest(animal="lion", count=2, strength=0.5)))[-1]
    assert [cell.stage for cell in result.cells] == ["sample", "cascade"] * 2
    assert np.abs(result.cells[1].image.astype(int) - 127).max() <= 1  # at the strength that was asked


def test_stages_without_a_measure_have_no_words_about_it(tmp_path):
    cards = [sampler("began"), sampler("began", "lion"), translator("lion")]
    result = list(stage_by_stage(FakeEngine(tmp_path, cards), replace(K_LION, count=1)))[-1]
    assert result.sheet.shape[0] == parts.CAPTION + parts.CELL + parts.GAP


@pytest.mark.parametrize(
    "request_, message",
    [(DreamRequest("began"), "Choose an animal"), (DreamRequest("began", "spider"), "no k-began for 'spider' yet; there is g")],
)
def test_stages_need_an_animal_that_a_k_gan_knows(engine, request_, message):
    with pytest.raises(ValueError, match=message):
        stage_by_stage(engine, request_)
    assert not engine.runs


# --- recipes ----------------------------------------------------------------------------------------------------------

REQUESTS = [
    DreamRequest("dcgan", count=4, seed=2**63 - 1),
    DreamRequest("began", "lion", count=4, strength=0.7),
    replace(K_LION, imagination=0.4),
    DreamRequest(animal="lion", count=4, seed=3, truncation=0.5, strength=1.3, ancestry=((9, 2, 0.6), (3, 0, 0.15))),
]


@pytest.mark.parametrize("request_", REQUESTS)
def test_a_recipe_makes_all_again(engine, request_):
    result = run(engine, request_)
    recipe = Recipe.from_json(result.recipe.to_json())
    assert (recipe.tab, recipe.verb) == ("character", "dream")
    assert request_from_recipe(recipe) == request_
    np.testing.assert_array_equal(run(engine, request_from_recipe(recipe)).sheet, result.sheet)


@pytest.mark.parametrize("request_", REQUESTS)
def test_a_candidates_recipe_makes_it_alone(engine, request_):
    for candidate in run(engine, request_).candidates:
        alone = request_from_recipe(Recipe.from_json(candidate.recipe.to_json()))
        (made,) = run(engine, alone).candidates
        np.testing.assert_array_equal(made.image, candidate.image)
        np.testing.assert_array_equal(made.latent, candidate.latent)
        assert made.recipe.parameters == candidate.recipe.parameters  # and says the same of itself


def test_a_recipe_names_every_network_that_made_the_picture(engine):
    def named(request):
        return set(run(engine, request).candidates[0].recipe.checkpoints)

    assert named(DreamRequest("began", "lion", count=1)) == {"began-16"}
    assert named(K_LION) == {"began-16", "k-began-lion-16"}
    assert named(replace(K_LION, strength=1.0)) == {"began-16", "k-began-lion-16", "cyclegan-lion-16"}
    assert run(engine, K_LION).recipe.checkpoints["began-16"] == sampler("began").sha256


def test_a_figures_recipe_makes_the_figure_again(engine):
    result = list(stage_by_stage(engine, replace(K_LION, generator="began")))[-1]
    recipe = Recipe.from_json(result.recipe.to_json())
    assert recipe.verb == "stages" and "cyclegan-lion-16" in recipe.checkpoints
    np.testing.assert_array_equal(list(stage_by_stage(engine, request_from_recipe(recipe)))[-1].sheet, result.sheet)


def test_other_recipes_are_sent_to_their_tab():
    with pytest.raises(ValueError, match="no dream but made on the tab makeup"):
        request_from_recipe(Recipe(tab="makeup", verb="dream"))
    with pytest.raises(ValueError, match="no dream"):
        request_from_recipe(Recipe(tab="character", verb="translate"))


@pytest.mark.parametrize(
    "parameters",
    [
        {"generator": "gan"},
        {"generator": {}},
        {"animal": ["lion"]},
        {"animal": "../lion"},
        {"count": 10**9},
        {"count": "4"},
        {"strength": 99},
        {"imagination": [1]},
        {"ancestry": "1"},
        {"ancestry": [1]},
        {"ancestry": [[0, 1, 0.3, 4]]},
        {"ancestry": [[0, 1, {}]]},
        {"ancestry": [[0, 1, 0.3]] * 1000},
    ],
)
def test_a_forged_recipe_never_makes_a_forged_request(engine, parameters):
    honest = json.loads(run(engine, K_LION).recipe.to_json())
    recipe = Recipe.from_json(json.dumps({**honest, "parameters": {**honest["parameters"], **parameters}}))
    with pytest.raises(ValueError):
        dream(engine, request_from_recipe(recipe))
    assert not [card for card, rows in engine.runs if rows > K_LION.count]


def test_what_a_recipe_adds_is_not_taken(engine):
    recipe = run(engine, K_LION).recipe
    forged = recipe.model_copy(update={"parameters": {**recipe.parameters, "seed": 9, "out": "/etc"}})
    assert request_from_recipe(forged) == K_LION


# --- the networks that are shipped ------------------------------------------------------------------------------------

SHIPPED = [(info.name, animal) for info in list_generators(default_registry()) for animal in info.animals or (None,)]


@pytest.fixture(scope="module")
def studio():
    with Engine() as engine:
        yield engine


@pytest.mark.parametrize("generator, animal", SHIPPED)
def test_a_shipped_generator_dreams_of_faces_and_of_its_animal(studio, generator, animal):
    request = DreamRequest(generator, animal, count=8, seed=7)
    result = run(studio, request)
    least = 10 if result.candidates[0].study is None else 5  # of 255: a study may look like one person, not like one picture
    assert np.std([c.image for c in result.candidates], axis=0).mean() > least, "all its faces are one"
    assert all(c.animal_score is None for c in result.candidates) == (animal is None)
    if animal is None and result.candidates[0].study is None:
        assert np.mean([c.face_score for c in result.candidates]) >= 0.5, "few of its faces are found: its card has to say why"
    for candidate in result.candidates[::5]:
        (alone,) = run(studio, request_from_recipe(candidate.recipe)).candidates
        np.testing.assert_array_equal(alone.image, candidate.image)


@pytest.mark.parametrize("generator, animal", [pair for pair in SHIPPED if pair[1]])
def test_a_shipped_k_gan_without_imagination_is_its_gan(studio, generator, animal):
    plain = images(studio, DreamRequest(generator.removeprefix("k-"), count=4, seed=7))
    still = images(studio, DreamRequest(generator, animal, count=4, seed=7, imagination=0))
    imagined = images(studio, DreamRequest(generator, animal, count=4, seed=7))
    assert np.abs(np.asarray(plain, int) - still).mean() < 1  # the two may run in different precisions
    assert np.abs(np.asarray(plain, int) - imagined).mean() > 4


@pytest.mark.skipif(not default_registry().list_models(task="originality"), reason="nothing that measures originality is shipped")
def test_shipped_generators_make_nothing_they_learnt(studio):
    for generator in {name for name, _ in SHIPPED} & {"dcgan", "began", "flagship"}:
        news = [candidate.originality for candidate in run(studio, DreamRequest(generator, count=16, seed=7)).candidates]
        assert np.median(news) > module.COPY, f"{generator} copies"
