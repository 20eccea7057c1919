"""The tab's handlers, called as gradio calls them, with forged events among the honest ones."""

from __future__ import annotations

import base64
import io
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from studio.core.engine import Engine
from studio.core.images import open_photo, to_png
from studio.core.recipe import Recipe
from studio.core.workspace import Workspaces
from studio.latent.traverse import PATHS
from studio.pipelines import manifold as pipeline
from studio.ui.delivery import Parcel
from studio.ui.session import Backstage, Desk
from studio.ui.tabs import manifold, manifold_canvas
from studio.ui.tabs.manifold import NO_GENERATOR, ManifoldTab
from tests.engines import until
from tests.ui.stand_ins import event, last, stand_in_backstage, stand_in_store, warmed

GIVEN = ["lion"], 5, 1.0, False, "spherical", "flagship", 2


@pytest.fixture(scope="module")
def backstage(tmp_path_factory):
    with stand_in_backstage(tmp_path_factory, ("lion", "panda")) as backstage:
        yield backstage


@pytest.fixture(scope="module")
def tab(backstage, tmp_path_factory):
    return warmed(ManifoldTab(backstage), backstage, tmp_path_factory)


def opened(tab) -> Desk:
    desk = Desk()
    last(tab.open(desk))
    return desk


def made(tab, desk, given=GIVEN):
    *_, problem, _, _ = last(tab._make(desk, *given))
    return problem


def walk_of(desk) -> manifold_canvas.Walk:
    return desk.tables["manifold"]


def test_the_first_visit_shows_a_finished_walk_between_two_faces_that_never_were(tab):
    desk = Desk()
    source, stage, animals, *_ = last(tab.open(desk))
    assert [photo["name"] for photo in source["photos"]] == ["Nobody 1", "Nobody 2"]
    assert [sample["title"] for sample in source["samples"]] == ["Nobody 3", "Nobody 4", "Eileen Collins"]
    assert [row["label"] for row in stage["rows"]] == ["Walk", "Lion", "Panda"] and not stage["busy"]
    assert all(cell for row in stage["rows"] for cell in row["cells"]) and stage["film"]["count"] == 8 * pipeline.BETWEEN + 1
    assert animals.value == ["lion", "panda"] and stage["faces"][0]["words"].startswith("exact")


def test_without_a_generator_the_page_says_what_to_do(tmp_path):
    store = stand_in_store(tmp_path, ())
    backstage = Backstage(lambda: Engine("cpu", store=store), Workspaces(tmp_path / "data"), store.registry)
    backstage.start()
    tab, desk = ManifoldTab(backstage), Desk()
    _, stage, *_ = last(tab.open(desk))
    assert stage["message"] == NO_GENERATOR
    assert NO_GENERATOR in made(tab, desk)
    backstage.close()


def test_a_photo_takes_a_samples_place_and_is_found_walked_from_and_kept(tab, backstage, photo):
    desk = opened(tab)
    source = last(tab._add_photos(desk, [str(photo)]))[1]
    assert [row["name"] for row in source["photos"]] == ["Nobody 2", "astronaut.png"] and source["samples"]
    steps = list(tab._make(desk, *GIVEN))
    stage = steps[-1][1]
    assert steps[-1][3] == "" and not stage["busy"] and stage["film"] and stage["words"]
    assert stage["faces"][1]["figure"].endswith("dB") and len(stage["rows"]) == 2
    gallery = backstage.gallery(desk)
    items = {item.verb: item for item in gallery.list()}
    assert set(items) == {"invert", "traverse"} and items["traverse"].parents == (items["invert"].id,)
    assert gallery.recipe(items["traverse"].id).parents == (items["invert"].id,)
    assert gallery.source(walk_of(desk).slots[1].sha256).rgb.shape == (512, 512, 3)


def test_a_face_is_searched_once_and_kept_once(tab, backstage, photo, monkeypatch):
    desk = opened(tab)
    last(tab._add_photos(desk, [str(photo)]))
    assert made(tab, desk) == ""
    monkeypatch.setattr(pipeline.reversal, "invert", None)
    assert made(tab, desk, ([], 6, *GIVEN[2:])) == ""
    assert [item.verb for item in backstage.gallery(desk).list()] == ["traverse", "traverse", "invert"]


def test_one_face_is_found_and_no_walk_is_made(tab, photo):
    desk = Desk()
    last(tab._add_photos(desk, [str(photo)]))
    _, stage, *_ = last(tab._make(desk, *GIVEN))
    assert stage["rows"] == [] and "Add another face" in stage["message"]


def test_four_faces_have_a_square(tab, backstage):
    desk = opened(tab)
    for number in (3, 4):
        last(tab._photos.add_sample(desk, event(name=f"dream-{number}.png")))
    assert made(tab, desk) == "" and walk_of(desk).value["array"]["side"] == 5
    assert {item.name for item in backstage.gallery(desk).list()} == {
        "Nobody 1 to Nobody 2 to Nobody 3 to Nobody 4", "Nobody 1 to Nobody 2 to Nobody 3 to Nobody 4, all between",
    }  # fmt: skip
    source = last(tab._photos.add_sample(desk, event(name="astronaut.jpg")))[1]
    assert source["note"]["error"] and len(source["photos"]) == 4


def test_stop_ends_the_search_and_keeps_what_was_there(tab, photo):
    desk = opened(tab)
    last(tab._add_photos(desk, [str(photo)]))
    steps = tab._make(desk, *GIVEN[:-1], 300)
    while "Finding astronaut" not in walk_of(desk).value["message"]:
        next(steps)
    walk_of(desk).stopped = True
    _, stage, *_ = last(steps)
    assert not stage["busy"] and stage["message"].startswith("Stopped") and len(walk_of(desk).slots) == 2
    assert tab._backstage.engine().status().jobs == 0


def test_every_file_comes_out_and_films_are_made_once(tab, monkeypatch):
    desk = opened(tab)
    for what in ("sheet", "picture", "mp4", "gif", "webp", "mp4"):
        _, brought = tab._export(desk, event(what=what, step=12, row=1, bare=False))
        assert Path(brought["file"]["path"]).stat().st_size > 500
    assert set(walk_of(desk).films) == {"mp4", "gif", "webp"}
    _, brought = tab._export(desk, event(what="picture", step=12, row=1, bare=True))
    assert b"imaginarium:recipe" not in Path(brought["file"]["path"]).read_bytes()
    monkeypatch.setattr(pipeline, "film_data", None)
    assert tab._export(desk, event(what="mp4", bare=True))[1]["file"]


def test_one_picture_is_kept_with_its_place_and_can_be_sent_on(tab, backstage):
    desk = opened(tab)
    _, strip, _ = tab._keep_picture(desk, event(step=7, row=2))
    gallery, item = backstage.gallery(desk), strip["items"][0]
    recipe = gallery.recipe(item["id"])
    assert (recipe.parameters["step"], recipe.parameters["animal"]) == (7, "panda") and "panda" in item["title"]
    np.testing.assert_array_equal(open_photo(gallery.png(item["id"])).rgb, walk_of(desk).film.rows[2][7])
    assert tab.gives(recipe) == ("photo",) and tab.gives(walk_of(desk).result.recipe) == ()


def with_four(tab) -> Desk:
    """A desk whose walk leads between four dreams."""
    desk = opened(tab)
    for number in (3, 4):
        last(tab._photos.add_sample(desk, event(name=f"dream-{number}.png")))
    assert made(tab, desk) == ""
    return desk


def looked(tab, desk, **values) -> np.ndarray:
    """The picture that a point of the square answers with."""
    answer = tab._look(desk, event(name="a point", **values))
    assert answer["name"] == "a point"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(answer["src"].removeprefix("data:image/png;base64,")))))


def test_a_point_between_four_faces_is_shown_kept_and_restored(tab, backstage):
    desk = with_four(tab)
    result = walk_of(desk).result
    np.testing.assert_array_equal(looked(tab, desk, point={"across": 0.25, "down": 0.5}, row=0), result.array[2, 1])
    point = {"across": 0.3, "down": 0.61}
    lion = looked(tab, desk, point=point, row=1)
    _, strip, _ = tab._keep_picture(desk, event(point=point, row=1))
    gallery, item = backstage.gallery(desk), strip["items"][0]
    recipe = gallery.recipe(item["id"])
    np.testing.assert_array_equal(open_photo(gallery.png(item["id"])).rgb, lion)
    assert ["Shows", "30 % across, 61 % down as lion"] in tab.describe(recipe) and tab.gives(recipe) == ("photo",)
    last(tab.restore(desk, recipe))
    assert made(tab, desk) == "" and walk_of(desk).value["place"] == {"point": point, "row": 1}


def test_a_point_of_a_walk_without_a_square_has_no_picture(tab):
    answer = tab._look(opened(tab), event(name="x" * 999, point={"across": 0.5, "down": 0.5}, row=9))
    assert answer == {"name": "x" * 200, "src": ""}


def test_a_point_is_answered_while_somebody_else_is_searched(tab, photo):
    """No clock: what the second visitor asks for is answered between two steps of the first one's search."""
    second, first = with_four(tab), opened(tab)
    last(tab._add_photos(first, [str(photo)]))
    searching = threading.Thread(target=lambda: last(tab._make(first, *GIVEN[:-1], 300)))
    searching.start()
    until(lambda: "Finding astronaut" in walk_of(first).value["message"])
    for across in (0.1, 0.2, 0.3):
        assert looked(tab, second, point={"across": across, "down": 0.5}, row=0).shape == (64, 64, 3)
    assert searching.is_alive() and "Finding astronaut" in walk_of(first).value["message"]
    walk_of(first).stopped = True
    searching.join(60)
    assert not searching.is_alive()


@pytest.mark.parametrize("value", [None, -1, 10**6, "x", True, [], {"a": 1}, [0], ["x", 1], [0, 99]])
def test_forged_events_change_nothing(tab, backstage, value):
    desk = opened(tab)
    tab._keep_picture(desk, event(step=value, row=0, point=None))
    tab._keep_picture(desk, event(step=0, row=value))
    tab._keep_picture(desk, event(point=value))
    tab._keep_picture(desk, event(point={"across": value, "down": value}, row=value))
    assert tab._look(desk, event(name=value, point={"across": 0.5, "down": value}, row=value))["src"] == ""
    _, brought = tab._export(desk, event(what=value, step=value, row=value, point=value))
    assert "file" not in brought and backstage.gallery(desk).count() == 0


def test_a_kept_walk_is_restored_and_made_again_pixel_by_pixel(tab, backstage, photo):
    desk = opened(tab)
    last(tab._add_photos(desk, [str(photo)]))
    assert made(tab, desk, (["panda"], 6, 0.5, True, "dense", "flagship", 2)) == ""
    gallery = backstage.gallery(desk)
    sheet = next(item for item in gallery.list() if item.verb == "traverse")
    recipe = gallery.recipe(sheet.id)
    assert tab.describe(recipe)[1:3] == [["Path", "Dense"], ["Loop", "yes"]]
    tab._keep_picture(desk, event(step=9, row=1))
    later = Desk(token=desk.token)  # the next visit: a page of its own, the same gallery
    source, _, animals, frames, strength, loop, path, generator, steps, *_ = last(tab.restore(later, recipe))
    assert (animals, frames, strength, loop, path, generator, steps) == (["panda"], 6, 0.5, True, "dense", "flagship", 2)
    assert "press Make" in source["note"]["text"] and walk_of(later).slots[0].recipe.verb == "dream"
    assert made(tab, later, (animals, frames, strength, loop, path, generator, steps)) == ""
    np.testing.assert_array_equal(walk_of(later).result.sheet, open_photo(gallery.png(sheet.id)).rgb)
    one = next(item for item in gallery.list() if "step" in gallery.recipe(item.id).parameters)
    last(tab.restore(later, gallery.recipe(one.id)))
    assert made(tab, later, (animals, frames, strength, loop, path, generator, steps)) == ""
    assert walk_of(later).value["place"] == {"step": 9, "row": 1}


def test_care_is_asked_for_where_there_are_steps():
    assert [manifold._care(name).visible for name in ("flagship", "began", None)] == [True, False, True]


def test_every_path_has_a_word():
    assert tuple(manifold_canvas.PATHS) == PATHS


def test_dropped_pictures_of_this_tab_restore_and_others_are_faces(tab, backstage, tmp_path):
    desk = opened(tab)
    sheet = tmp_path / "walk.png"
    sheet.write_bytes(to_png(walk_of(desk).result.sheet, walk_of(desk).result.recipe))
    dream = tmp_path / "dream.png"
    dream.write_bytes(tab._samples[2].data)
    desk = Desk()
    assert "restored" in last(tab._add_photos(desk, [str(sheet)]))[1]["note"]["text"]
    source = last(tab._add_photos(desk, [str(dream)]))[1]
    assert "dream.png" in [row["name"] for row in source["photos"]] and walk_of(desk).slots[-1].recipe.verb == "dream"


def test_a_dream_that_was_sent_is_walked_from_exactly(tab, backstage):
    desk = opened(tab)
    sample = tab._samples[3]
    kept = backstage.gallery(desk).add(sample.data, sample.recipe)
    sent = Parcel("photo", open_photo(backstage.gallery(desk).png(kept.id), "x.png"), kept.id, sample.recipe)
    last(tab.take(desk, sent))
    assert made(tab, desk) == ""
    found = walk_of(desk).result.inversions[-1]
    assert found.likeness.psnr is None and found.steps == 0
    recipes = [backstage.gallery(desk).recipe(item.id) for item in backstage.gallery(desk).list() if item.verb == "traverse"]
    assert recipes[0].parents == (kept.id,)


def test_wild_recipes_are_bounded_or_refused(tab):
    wild = {"frames": 999, "strength": -5, "steps": "x", "path": "curved", "generator": [], "animals": "all", "loop": "yes"}
    *_, settings = [last(tab.restore(Desk(), Recipe(tab="manifold", verb="traverse", parameters=wild)))]
    _, _, animals, frames, strength, loop, path, generator, steps, *_ = settings
    assert (animals, frames, strength, loop) == ([], 25, 0, False)
    assert all(isinstance(value, dict) and value["__type__"] == "update" for value in (path, generator, steps))
    source, *_ = last(tab.restore(Desk(), Recipe(tab="manifold", verb="traverse", parameters={"dreams": 7})))
    assert source["note"]["error"]
    assert tab.describe(Recipe(tab="manifold", verb="traverse", parameters=wild))


def test_the_sprites_hold_every_picture(tab):
    pictures = [np.full((16, 16, 3), 10 * number, np.uint8) for number in range(14)]
    with Image.open(io.BytesIO(Path(manifold_canvas.sprites(pictures, 12)["path"]).read_bytes())) as image:
        assert image.size == (192, 32)
        assert abs(np.asarray(image)[24, 24].astype(int) - 130).max() < 8
