import io
import os
import threading
import time

import numpy as np
import pytest
from PIL import Image

from studio.core import gallery as module
from studio.core.gallery import Edit, Filter, Gallery, GalleryError
from studio.core.images import Photo
from studio.core.recipe import Recipe, RecipeError
from tests.kept import photo, picture, recipe


@pytest.fixture
def gallery(tmp_path):
    gallery = Gallery(tmp_path / "mine")
    yield gallery
    gallery.close()


def again(gallery: Gallery) -> Gallery:
    """The same gallery after a restart."""
    gallery.close()
    return Gallery(gallery._folder)


def ids(items) -> list[str]:
    return [item.id for item in items]


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)))


# -- keeping and showing ------------------------------------------------------------------------------------------------


def test_a_result_is_there_after_a_restart_with_its_pixels_and_recipe(gallery):
    kept = gallery.add(picture(), recipe(seed=5), name="  My\n lion ")
    assert (kept.name, kept.tab, kept.verb, kept.width, kept.height) == ("My lion", "character", "translate", 8, 12)
    gallery = again(gallery)
    assert gallery.list() == (kept,) and gallery.get(kept.id) == kept
    assert np.array_equal(pixels(gallery.png(kept.id)), picture())
    assert gallery.recipe(kept.id).seed == Recipe.from_png(gallery.png(kept.id)).seed == 5


def test_png_bytes_are_kept_pixel_for_pixel_with_the_new_recipe_and_no_other_text(gallery):
    first = gallery.add(picture(), recipe(seed=1))
    info = io.BytesIO()
    Image.fromarray(picture(3)).save(info, "PNG", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0")
    second = gallery.add(info.getvalue(), recipe(seed=2), parents=[first.id])
    data = gallery.png(second.id)
    assert np.array_equal(pixels(data), picture(3)) and Recipe.from_png(data).seed == 2 and b"eXIf" not in data


def test_the_recipe_can_be_left_out(gallery):
    kept = gallery.add(picture(), recipe(inputs=[{"sha256": "b" * 64, "name": "grandma.jpg"}]))
    data = gallery.png(kept.id, with_recipe=False)
    assert b"grandma" in gallery.png(kept.id) and b"grandma" not in data
    assert np.array_equal(pixels(data), picture()) and b"trainedAlgorithmicMedia" in data
    with pytest.raises(RecipeError):
        Recipe.from_png(data)


@pytest.mark.parametrize("bad", [b"", b"\x89PNG\r\n\x1a\n", b"GIF89a", np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3))])
def test_what_is_no_picture_is_not_kept(gallery, bad):
    with pytest.raises(GalleryError):
        gallery.add(bad, recipe())
    assert gallery.count() == 0 and not list((gallery._folder / "pictures").iterdir())


def test_a_thumbnail_is_a_small_webp_in_proportion(gallery):
    kept = gallery.add(picture(height=300, width=600), recipe())
    thumbnail = Image.open(io.BytesIO(gallery.thumbnail(kept.id)))
    assert (thumbnail.format, thumbnail.size) == ("WEBP", (256, 128))
    small = gallery.add(picture(), recipe())
    assert Image.open(io.BytesIO(gallery.thumbnail(small.id))).size == (8, 12)


def test_items_are_listed_newest_first_in_pages(gallery):
    kept = [gallery.add(picture(n), recipe()).id for n in range(7)][::-1]
    assert ids(gallery.list(limit=3)) == kept[:3] and ids(gallery.list(offset=3, limit=3)) == kept[3:6]
    assert gallery.list(offset=7) == () and gallery.list(limit=-1) == () and gallery.count() == 7


def test_a_filter_finds_by_words_tab_tag_and_favourites(gallery):
    lion = gallery.add(picture(), recipe(inputs=[{"sha256": "b" * 64, "name": "Grandma.jpg"}]), name="LÖWE of mine").id
    panda = gallery.add(picture(), recipe(tab="morph", checkpoints={"cyclegan-panda-64": "a" * 64})).id
    gallery.tag(lion, add=["For Print"])
    gallery.favourite(panda)
    found = {
        Filter("löwe"): [lion],
        Filter("mine LION"): [lion],
        Filter("grandma"): [lion],
        Filter("print"): [lion],
        Filter("lion panda"): [],
        Filter("%"): [],
        Filter("cyclegan"): [panda, lion],
        Filter(tab="morph"): [panda],
        Filter(tag="for print"): [lion],
        Filter(tag="print"): [],
        Filter(favourites=True): [panda],
        Filter("lion", favourites=True): [],
        Filter(trash=True): [],
    }
    assert {f: ids(gallery.list(f)) for f in found} == found
    assert {f: gallery.count(f) for f in found} == {f: len(i) for f, i in found.items()}
    gallery.delete(lion)
    assert ids(gallery.list(Filter("cyclegan"))) == [panda] and ids(gallery.list(Filter("cyclegan", trash=True))) == [lion]


# -- edits --------------------------------------------------------------------------------------------------------------


def test_each_edit_can_be_undone_and_redone_after_a_restart(gallery):
    a, b = (gallery.add(picture(n), recipe(), name=str(n)).id for n in range(2))
    states = [(gallery.list(), gallery.list(Filter(trash=True)))]
    edits = (
        lambda: gallery.rename(a, "lion"),
        lambda: gallery.tag(a, b, add=["x", "y"]),
        lambda: gallery.tag(a, remove=["x"]),
        lambda: gallery.favourite(a, b),
        lambda: gallery.favourite(b, on=False),
        lambda: gallery.delete(a, b),
        lambda: gallery.restore(b),
    )
    for edit in edits:
        edit()
        states.append((gallery.list(), gallery.list(Filter(trash=True))))
    assert len(set(states)) == len(edits) + 1  # each of them changed something
    for state in states[-2::-1]:
        gallery = again(gallery)
        assert gallery.undo() and (gallery.list(), gallery.list(Filter(trash=True))) == state
    assert gallery.undo() is None
    for state in states[1:]:
        gallery = again(gallery)
        assert gallery.redo() and (gallery.list(), gallery.list(Filter(trash=True))) == state
    assert gallery.redo() is None


def test_undo_says_what_it_undid(gallery):
    a, b = (gallery.add(picture(n), recipe()).id for n in range(2))
    gallery.delete(a, b)
    assert gallery.history() == ("Delete 2 pictures", None)
    assert gallery.undo() == Edit("Delete 2 pictures", (a, b) if a < b else (b, a))
    assert gallery.history() == (None, "Delete 2 pictures")


def test_a_new_edit_clears_what_could_be_redone_but_one_that_changes_nothing_does_not(gallery):
    a = gallery.add(picture(), recipe(), name="a").id
    gallery.favourite(a)
    gallery.undo()
    gallery.favourite(a, on=False)
    gallery.restore(a)
    gallery.rename(a, "a")
    gallery.tag(a, remove=["never there"])
    gallery.add(picture(), recipe())
    assert gallery.history() == (None, "Favourite a picture")
    gallery.rename(a, "b")
    assert gallery.redo() is None and gallery.history() == ("Rename a picture", None)


def test_an_edit_of_several_happens_to_all_or_none(gallery):
    a = gallery.add(picture(), recipe()).id
    with pytest.raises(GalleryError):
        gallery.delete(a, "0" * 20)
    assert gallery.count() == 1 and gallery.history() == (None, None)


def test_the_history_keeps_the_latest_edits(gallery, monkeypatch):
    monkeypatch.setattr(module, "HISTORY_LENGTH", 3)
    a = gallery.add(picture(), recipe()).id
    for name in "bcdef":
        gallery.rename(a, name)
    while gallery.undo():
        pass
    assert gallery.get(a).name == "c"


def test_names_and_tags_are_short_plain_lines(gallery):
    a = gallery.add(picture(), recipe()).id
    assert gallery.rename(a, "<b>\u202e\x00Lion\n\tKing").name == "<b> Lion King"
    gallery.tag(a, add=["CAT", "cat ", "a"])
    assert gallery.get(a).tags == ("cat", "a") and gallery.tags() == ("a", "cat")
    for refused in ("", " \n", "x" * 81):
        with pytest.raises(GalleryError):
            gallery.rename(a, refused)
    for refused in (["a,b"], [""], ["x" * 31], [str(n) for n in range(21)]):
        with pytest.raises(GalleryError):
            gallery.tag(a, add=refused)
    assert gallery.get(a).name == "<b> Lion King" and gallery.tags() == ("a", "cat")
    assert len(gallery.add(picture(), recipe(), name="y" * 500).name) == 80


def test_purge_removes_only_the_trash_and_its_history(gallery):
    a, b, c = (gallery.add(picture(n), recipe()).id for n in range(3))
    gallery.rename(a, "gone")
    gallery.delete(a, b)
    gallery.favourite(c)
    with pytest.raises(GalleryError, match="trash"):
        gallery.purge(a, c)
    assert gallery.purge(a) == 1 and gallery.purge() == 1 and gallery.purge() == 0
    assert os.listdir(gallery._folder / "pictures") == [f"{c}.png"]
    for call in (gallery.get, gallery.png, gallery.thumbnail, gallery.recipe, gallery.delete, gallery.ancestors):
        with pytest.raises(GalleryError, match="no such picture"):
            call(a)
    assert gallery.undo().label == "Favourite a picture" and gallery.undo() is None


def test_an_edit_of_several_is_undone_for_those_that_are_left(gallery):
    a, b = (gallery.add(picture(n), recipe()).id for n in range(2))
    gallery.delete(a, b)
    gallery.purge(a)
    assert gallery.undo().ids == (b,) and ids(gallery.list()) == [b]


# -- lineage and sources ------------------------------------------------------------------------------------------------


def test_lineage_leads_from_grandparents_to_grandchildren_even_past_what_was_purged(gallery):
    a = gallery.add(picture(), recipe()).id
    b = gallery.add(picture(), recipe()).id
    c = gallery.add(picture(), recipe(), parents=[b, a, b]).id
    d = gallery.add(picture(), recipe(), parents=[c]).id
    e = gallery.add(picture(), recipe(), parents=[d, a]).id
    assert gallery.get(c).parents == (b, a) and gallery.get(a).parents == ()
    assert set(ids(gallery.ancestors(e))[:2]) == {d, a} and ids(gallery.ancestors(e))[2:] == [c, b]
    assert ids(gallery.descendants(b)) == [c, d, e] and gallery.descendants(e) == ()
    gallery.delete(c)
    gallery.purge()
    assert ids(gallery.descendants(b)) == [d, e]


def test_a_parent_that_was_purged_meanwhile_costs_no_result(gallery):
    kept = gallery.add(picture(), recipe(), parents=["0" * 20])
    assert gallery.ancestors(kept.id) == ()
    with pytest.raises(GalleryError):
        gallery.add(picture(), recipe(), parents=["../../etc"])


def test_a_source_comes_back_pixel_for_pixel_under_the_hash_of_its_file(gallery):
    sha256 = gallery.keep_source(photo())
    gallery.keep_source(photo())
    back = again(gallery).source(sha256)
    assert np.array_equal(back.rgb, photo().rgb) and not back.rgb.flags.writeable
    assert (back.sha256, back.name, sha256) == ("1" * 64, "me.jpg", "1" * 64)


def test_a_source_goes_with_the_last_result_made_from_it(gallery, monkeypatch):
    made = recipe(inputs=[{"sha256": "1" * 64}])
    gallery.keep_source(photo())
    gallery.keep_source(photo("2"))
    a, b = (gallery.add(picture(n), made).id for n in range(2))
    monkeypatch.setattr(module, "SOURCE_GRACE", -1.0)
    gallery.delete(a, b)
    gallery.purge(a)
    assert gallery.source("1" * 64)
    with pytest.raises(GalleryError):  # nothing was ever made from it, and its grace is over
        gallery.source("2" * 64)
    gallery.purge(b)
    assert not list((gallery._folder / "sources").iterdir())
    with pytest.raises(GalleryError, match="drop the photo"):
        gallery.source("1" * 64)


# -- house-keeping ------------------------------------------------------------------------------------------------------


def test_opening_removes_what_no_row_names_and_hides_what_has_no_file(gallery):
    a, b = (gallery.add(picture(n), recipe()).id for n in range(2))
    folder = gallery._folder / "pictures"
    (folder / f"{'0' * 20}.png").write_bytes(b"orphan")
    (folder / ".x.png.tmp").write_bytes(b"half")
    (folder / f"{a}.png").rename(folder.parent / "away.png")
    gallery = again(gallery)
    assert ids(gallery.list()) == [b] and gallery.count() == 1 and os.listdir(folder) == [f"{b}.png"]
    with pytest.raises(GalleryError):
        gallery.png(a)
    (folder.parent / "away.png").rename(folder / f"{a}.png")
    assert ids(again(gallery).list()) == [b, a]


def test_a_lost_database_costs_no_picture(gallery):
    a, b = (gallery.add(picture(n), recipe(seed=n)).id for n in range(2))
    for n, item in enumerate((a, b)):
        os.utime(gallery._folder / "pictures" / f"{item}.png", (n, n))
    gallery.close()
    for file in gallery._folder.glob("gallery.db*"):
        file.unlink()
    gallery = Gallery(gallery._folder)
    assert ids(gallery.list()) == [b, a] and gallery.recipe(b).seed == 1 and gallery.thumbnail(a)


def test_a_gallery_of_a_newer_studio_is_left_alone(gallery):
    gallery._db.execute("PRAGMA user_version = 99")
    with pytest.raises(GalleryError, match="update the studio"):
        again(gallery)


def test_a_database_that_is_none_is_one_sentence_and_stays(tmp_path):
    (tmp_path / "gallery.db").write_bytes(b"x" * 5000)
    with pytest.raises(GalleryError, match="cannot be used"):
        Gallery(tmp_path)
    assert (tmp_path / "gallery.db").read_bytes() == b"x" * 5000


def test_many_threads_and_a_second_process_view_keep_everything_in_one_order(gallery):
    other, kept, errors = Gallery(gallery._folder), [], []

    def work(which: Gallery, number: int) -> None:
        try:
            for n in range(4):
                item = which.add(picture(number * 10 + n), recipe(seed=number * 10 + n))
                which.favourite(item.id)
                which.sweep()
                assert np.array_equal(pixels(which.png(item.id)), picture(number * 10 + n))
                kept.append(item.id)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=((gallery, other)[n % 2], n)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    listed = gallery.list()
    assert len(listed) == 24 and set(ids(listed)) == set(kept) and listed == other.list()
    assert all(item.favourite for item in listed)


def test_first_use_by_several_at_once_makes_one_gallery(tmp_path):
    start, opened, errors = threading.Barrier(6), [], []

    def work() -> None:
        start.wait()
        try:
            opened.append(Gallery(tmp_path / "new"))
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors and len(opened) == 6
    opened[0].add(picture(), recipe())
    assert opened[5].count() == 1


def test_a_list_of_thousands_is_answered_at_once(gallery):
    row = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000) "
    columns = "id, name, tab, verb, tags, created, width, height, about, search"
    values = "printf('%020x', i), 'Name ' || i, 'character', 'translate', ',', i, 8, 8, '', 'name ' || i || ' cyclegan-lion-64'"
    gallery._db.execute(f"INSERT INTO items ({columns}) {row} SELECT {values} FROM n")
    before = time.process_time()
    assert len(gallery.list()) == 60 and ids(gallery.list(Filter("name 77 lion"))) and gallery.count(Filter("nowhere")) == 0
    assert time.process_time() - before < 0.5  # of the processor; benchmarks/gallery.py measures the promised times


# -- remarks and the quota ----------------------------------------------------------------------------------------------


def test_what_was_said_of_a_picture_is_there_after_a_restart(gallery):
    said = {"words": [{"text": "a face is still found", "figure": "score(X) 1", "good": True}], "study": None}
    kept, other = gallery.add(picture(), recipe(), remarks=said), gallery.add(picture(), recipe())
    gallery = again(gallery)
    assert gallery.remarks(kept.id) == said and gallery.remarks(other.id) == {}
    gallery.delete(kept.id)
    gallery.purge()
    with pytest.raises(GalleryError):
        gallery.remarks(kept.id)


def test_a_gallery_from_before_the_remarks_opens_and_gets_them(gallery):
    kept = gallery.add(picture(), recipe())
    gallery._db.execute("DROP TABLE remarks")
    gallery = again(gallery)
    assert gallery.remarks(kept.id) == {}
    assert gallery.remarks(gallery.add(picture(), recipe(), remarks={"study": "weak"}).id) == {"study": "weak"}


def large(seed: int) -> np.ndarray:
    """A picture of noise: 110 KB as a PNG."""
    return np.random.default_rng(seed).integers(0, 256, (192, 192, 3), np.uint8)


def test_a_full_quota_refuses_in_one_sentence_and_keeps_what_is_there(tmp_path):
    gallery = Gallery(tmp_path / "mine", quota=1_000_000)
    kept = []
    with pytest.raises(GalleryError, match=r"full \(1 MB\).*delete") as caught:
        for seed in range(20):
            kept.append(gallery.add(large(seed), recipe()).id)
    assert str(caught.value).count(".") == 1 and 3 <= len(kept) < 9
    assert set(ids(gallery.list())) == set(kept) == {path.stem for path in (tmp_path / "mine" / "pictures").iterdir()}
    with pytest.raises(GalleryError, match="full"):
        gallery.keep_source(Photo(np.tile(large(0), (2, 2, 1)), "c" * 64, "big.png"))
    gallery = Gallery(tmp_path / "mine", quota=1_000_000)  # a restart forgets nothing
    with pytest.raises(GalleryError, match="full"):
        gallery.add(np.tile(large(0), (2, 2, 1)), recipe())
    gallery.delete(*kept)
    gallery.purge()
    assert gallery.add(large(0), recipe())
    gallery.close()
