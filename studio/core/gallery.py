"""The artist's results: pictures with their recipes, found again, undone, and traced to where they came from.

One folder holds one visitor's gallery: ``gallery.db`` (SQLite: everything about the pictures, and their thumbnails),
``pictures/<id>.png`` and ``sources/<sha256>.png`` (the photos the results were made from).

A file is complete on the disk before its row exists, and a row is gone before its file is removed. Both happen under
SQLite's write lock, so whoever holds that lock knows that a file without a row belongs to nobody.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import secrets
import sqlite3
import threading
import time
import weakref
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from studio.core.files import is_full, keep_only, own_folder, plain_files, read_file, sync_folder, write_file
from studio.core.images import Photo, to_png
from studio.core.recipe import Recipe, RecipeError, without_recipe

THUMBNAIL = 256  # px, longest side: sharp in a strip of 128 px on a dense screen
NAME_LENGTH = 80  # characters
TAG_LENGTH = 30  # characters
TAGS_PER_ITEM = 20
HISTORY_LENGTH = 500  # edits that can be undone
PAGE = 500  # most items one call lists
SOURCE_GRACE = 3600.0  # seconds a photo stays although no result names it: the result may still be in the making
LOCK_WAIT = 30.0  # seconds one process waits for another that writes

_ID = re.compile(r"[0-9a-f]{20}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_VERSION = 1
_MOVED = -1  # in place of the version: this copy was left behind by a move
_FIELDS = ("name", "tags", "favourite", "trashed")  # what an edit changes and undo restores
_FULL = "The disk is full, so nothing was changed: free some space or empty the trash, then try again."
_OVER = (
    "Your gallery is full ({:.0f} MB): download what you want to keep, delete pictures and remove them for good in the trash, "
    "then try again."
)
_NO_PICTURE = "There is no such picture in this gallery: choose one that the gallery shows."
_NO_PHOTO = "The photo this was made from is not in this gallery: drop the photo itself."

_SCHEMA = """
CREATE TABLE items (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    tab TEXT NOT NULL,
    verb TEXT NOT NULL,
    tags TEXT NOT NULL DEFAULT ',',         -- ',cat,for print,': a tag is found by ',cat,'
    favourite INTEGER NOT NULL DEFAULT 0,
    trashed REAL,                           -- when, or NULL
    missing INTEGER NOT NULL DEFAULT 0,     -- its file was not there at start-up
    created REAL NOT NULL,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    about TEXT NOT NULL,                    -- words of the recipe
    search TEXT NOT NULL DEFAULT ''         -- name, tags and about, casefolded: what the filter's words are looked for in
);
CREATE TABLE recipes (item TEXT PRIMARY KEY REFERENCES items(id) ON DELETE CASCADE, json TEXT NOT NULL);
CREATE TABLE thumbnails (item TEXT PRIMARY KEY REFERENCES items(id) ON DELETE CASCADE, webp BLOB NOT NULL);
-- No reference to items: the way from a result to its grandparents survives the purge of a parent.
CREATE TABLE lineage (child TEXT NOT NULL, position INTEGER NOT NULL, parent TEXT NOT NULL, PRIMARY KEY (child, position))
    WITHOUT ROWID;
CREATE INDEX lineage_parent ON lineage(parent);
CREATE TABLE sources (sha256 TEXT PRIMARY KEY, name TEXT NOT NULL, created REAL NOT NULL);
CREATE TABLE uses (item TEXT NOT NULL REFERENCES items(id) ON DELETE CASCADE, sha256 TEXT NOT NULL, PRIMARY KEY (item, sha256))
    WITHOUT ROWID;
CREATE INDEX uses_sha256 ON uses(sha256);
CREATE TABLE edits (seq INTEGER PRIMARY KEY AUTOINCREMENT, label TEXT NOT NULL, undone INTEGER NOT NULL DEFAULT 0);
CREATE TABLE changes (
    edit INTEGER NOT NULL REFERENCES edits(seq) ON DELETE CASCADE,
    item TEXT NOT NULL REFERENCES items(id) ON DELETE CASCADE,
    field TEXT NOT NULL, before, after,
    PRIMARY KEY (edit, item, field)
) WITHOUT ROWID;
CREATE INDEX changes_item ON changes(item);
"""
# Younger than the version: a gallery without it gets it, and a studio that does not know it works on.
_REMARKS = """CREATE TABLE IF NOT EXISTS remarks
    (item TEXT PRIMARY KEY REFERENCES items(id) ON DELETE CASCADE, json TEXT NOT NULL)"""

# 10,000 rows of 300 bytes are read through in a few milliseconds (benchmarks/gallery.py), so filters need no index.
_ITEM = """SELECT id, name, tab, verb, tags, favourite, trashed, created, width, height,
    (SELECT group_concat(parent, ' ') FROM (SELECT parent FROM lineage WHERE child = items.id ORDER BY position)) FROM items """


class GalleryError(ValueError):
    """One sentence that tells the artist what to do."""


@dataclass(frozen=True)
class Item:
    """A kept result. ``created`` and ``trashed`` in unix seconds, ``width`` and ``height`` in px, ``parents`` ids in order."""

    id: str
    name: str
    tab: str
    verb: str
    tags: tuple[str, ...]
    favourite: bool
    trashed: float | None
    created: float
    width: int
    height: int
    parents: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, object]:
        """JSON-ready fields."""
        return asdict(self)


@dataclass(frozen=True)
class Filter:
    """Which results to list: every word of ``text`` occurs in the name, the tags or the recipe; empty means any."""

    text: str = ""
    tab: str = ""
    tag: str = ""
    favourites: bool = False
    trash: bool = False

    def where(self) -> tuple[str, list[str]]:
        """SQL condition over ``items`` and its parameters."""
        conditions = ["missing = 0", "trashed IS NOT NULL" if self.trash else "trashed IS NULL"]
        values = []
        if self.tab:
            conditions.append("tab = ?")
            values.append(self.tab)
        if self.tag:
            conditions.append("instr(tags, ?) > 0")
            values.append(f",{_plain(self.tag).casefold()},")
        if self.favourites:
            conditions.append("favourite = 1")
        for word in self.text.casefold().split()[:20]:
            conditions.append("instr(search, ?) > 0")
            values.append(word)
        return "WHERE " + " AND ".join(conditions), values


@dataclass(frozen=True)
class Edit:
    """What was undone or redone: a label such as "Delete 3 pictures" and the ids it touched."""

    label: str
    ids: tuple[str, ...]


class Gallery:
    """The gallery of one folder; safe to use from many threads, and by several processes at once.

    Opening it removes what a crash left behind. ``quota`` is how many bytes it may take on the disk, None as many as there are.
    Raises ``GalleryError`` if the folder cannot be used.
    """

    def __init__(self, folder: Path, quota: int | None = None):
        self._lock = threading.RLock()
        self._quota, self._files_size = quota, 0
        self._folder = Path(folder)
        with self._plainly():
            own_folder(self._folder)
            self._pictures = own_folder(self._folder / "pictures")
            self._sources = own_folder(self._folder / "sources")
            self._db = self._connect()
            self._closer = weakref.finalize(self, self._db.close)
            self._prepare()
        self.sweep()

    def close(self) -> None:
        """Lets go of the database; the gallery is of no use afterwards."""
        with self._lock:
            self._closer()

    # -- keeping and showing --------------------------------------------------------------------------------------------

    def add(
        self,
        image: np.ndarray | bytes,
        recipe: Recipe,
        parents: Iterable[str] = (),
        name: str = "",
        remarks: Mapping[str, Any] | None = None,
    ) -> Item:
        """Keeps a result: uint8 (H, W, 3) or the bytes of a PNG. On return it is on the disk; on an error nothing is.

        ``parents`` are the ids of the results it was made from; one that was purged meanwhile is no error. ``remarks`` is what
        was said of it when it was made, ready for JSON.

        Raises:
            GalleryError: the disk or the gallery's quota is full, or ``image`` is no picture.
        """
        pixels = _pixels(image)
        parents = tuple(dict.fromkeys(_checked_id(parent) for parent in parents))
        png, thumbnail = to_png(pixels, recipe), _thumbnail(pixels)
        item_id = secrets.token_hex(10)
        path = self._pictures / f"{item_id}.png"
        height, width = pixels.shape[:2]
        row = (item_id, _plain(name)[:NAME_LENGTH] or _default_name(recipe), recipe.tab, recipe.verb, time.time(), width, height)
        try:
            with self._writing() as db:
                self._check_room(db, len(png) + len(thumbnail))
                write_file(path, png)
                self._insert(db, row, recipe, thumbnail, parents)
                if remarks:
                    db.execute("INSERT INTO remarks VALUES (?, ?)", (item_id, json.dumps(remarks)))
                item = self._item(item_id)
                self._files_size += len(png)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return item

    def get(self, item_id: str) -> Item:
        """The item of that id, also one in the trash. Raises ``GalleryError`` if there is none."""
        with self._reading():
            return self._item(item_id)

    def list(self, filter: Filter = Filter(), offset: int = 0, limit: int = 60) -> tuple[Item, ...]:
        """Items that the filter lets through, newest first; at most ``PAGE`` of them."""
        where, values = filter.where()
        page = (max(0, min(int(limit), PAGE)), max(0, int(offset)))
        with self._reading() as db:
            rows = db.execute(f"{_ITEM} {where} ORDER BY seq DESC LIMIT ? OFFSET ?", (*values, *page))
            return tuple(map(_to_item, rows))

    def count(self, filter: Filter = Filter()) -> int:
        """How many items the filter lets through."""
        where, values = filter.where()
        with self._reading() as db:
            return db.execute(f"SELECT count(*) FROM items {where}", values).fetchone()[0]

    def tags(self) -> tuple[str, ...]:
        """Every tag in use outside the trash, by name."""
        with self._reading() as db:
            rows = db.execute("SELECT DISTINCT tags FROM items WHERE trashed IS NULL AND missing = 0")
            return tuple(sorted({tag for (tags,) in rows for tag in _split(tags)}))

    def png(self, item_id: str, with_recipe: bool = True) -> bytes:
        """The picture as a PNG file, with its recipe inside or (privacy) without. Raises ``GalleryError``."""
        with self._reading():
            path = self._pictures / f"{self._item(item_id).id}.png"
        with self._plainly():
            data = read_file(path)
        return data if with_recipe else without_recipe(data)

    def thumbnail(self, item_id: str) -> bytes:
        """A small WebP of the picture, its longest side ``THUMBNAIL`` px. Raises ``GalleryError``."""
        with self._reading() as db:
            query = "SELECT webp FROM thumbnails WHERE item = ?"
            return db.execute(query, (self._item(item_id).id,)).fetchone()[0]

    def recipe(self, item_id: str) -> Recipe:
        """How the picture was made. Raises ``GalleryError``, or ``RecipeError`` if a newer studio made it."""
        with self._reading() as db:
            query = "SELECT json FROM recipes WHERE item = ?"
            text = db.execute(query, (self._item(item_id).id,)).fetchone()[0]
        return Recipe.from_json(text)

    def remarks(self, item_id: str) -> dict[str, Any]:
        """What was said of the picture when it was made, {} if nothing was. Raises ``GalleryError``."""
        with self._reading() as db:
            row = db.execute("SELECT json FROM remarks WHERE item = ?", (self._item(item_id).id,)).fetchone()
        return json.loads(row[0]) if row else {}

    # -- edits, all of them undoable ------------------------------------------------------------------------------------

    def rename(self, item_id: str, name: str) -> Item:
        """Names the item. Raises ``GalleryError`` for a name that is empty or longer than ``NAME_LENGTH``."""
        name = _plain(name)
        if not 0 < len(name) <= NAME_LENGTH:
            raise GalleryError(f"Give the picture a name of at most {NAME_LENGTH} characters.")
        self._edit("Rename", [item_id], lambda row: {"name": name})
        return self.get(item_id)

    def tag(self, *ids: str, add: Iterable[str] = (), remove: Iterable[str] = ()) -> None:
        """Adds and takes away tags; they are kept in lower case. Raises ``GalleryError`` for one that is too long."""
        added, removed = [_checked_tag(t) for t in add], {_plain(t).casefold() for t in remove}
        self._edit("Tag", ids, lambda row: {"tags": _join(t for t in (*_split(row["tags"]), *added) if t not in removed)})

    def favourite(self, *ids: str, on: bool = True) -> None:
        """Marks items as favourites, or no longer. Raises ``GalleryError``."""
        self._edit("Favourite" if on else "Unfavourite", ids, lambda row: {"favourite": int(on)})

    def delete(self, *ids: str) -> None:
        """Puts items in the trash. Raises ``GalleryError``."""
        now = time.time()
        self._edit("Delete", ids, lambda row: {"trashed": row["trashed"] or now})

    def restore(self, *ids: str) -> None:
        """Takes items out of the trash. Raises ``GalleryError``."""
        self._edit("Restore", ids, lambda row: {"trashed": None})

    def undo(self) -> Edit | None:
        """Takes back the last edit; None if there is none. Survives a restart."""
        return self._step("SELECT seq, label FROM edits WHERE undone = 0 ORDER BY seq DESC LIMIT 1", "before", undone=1)

    def redo(self) -> Edit | None:
        """Makes the edit again that was undone last; None if there is none, or a new edit came in between."""
        return self._step("SELECT seq, label FROM edits WHERE undone = 1 ORDER BY seq LIMIT 1", "after", undone=0)

    def history(self) -> tuple[str | None, str | None]:
        """Labels of what undo and redo would do now."""
        with self._reading() as db:
            undo = db.execute("SELECT label FROM edits WHERE undone = 0 ORDER BY seq DESC LIMIT 1").fetchone()
            redo = db.execute("SELECT label FROM edits WHERE undone = 1 ORDER BY seq LIMIT 1").fetchone()
        return undo and undo[0], redo and redo[0]

    def purge(self, *ids: str) -> int:
        """Removes items in the trash for good (without ids: the whole trash), with the photos only they were made from.

        Returns how many. No undo. Raises ``GalleryError`` if one of them is not in the trash.
        """
        with self._writing() as db:
            if any(self._item(item_id).trashed is None for item_id in ids):
                raise GalleryError("Only what is in the trash can be removed for good: delete it first.")
            gone = ids or [i for (i,) in db.execute("SELECT id FROM items WHERE trashed IS NOT NULL")]
            db.executemany("DELETE FROM items WHERE id = ?", ((i,) for i in gone))
            db.execute("DELETE FROM edits WHERE seq NOT IN (SELECT edit FROM changes)")
            sources = self._forget_sources(db)
        with self._lock, self._plainly():
            for path in (*(self._pictures / f"{i}.png" for i in gone), *sources):
                path.unlink(missing_ok=True)
            self._measure()
        return len(gone)

    # -- lineage and sources --------------------------------------------------------------------------------------------

    def ancestors(self, item_id: str) -> tuple[Item, ...]:
        """The results it was made from, and theirs, nearest first; those purged are left out. Raises ``GalleryError``."""
        return self._walk(item_id, "child", "parent")

    def descendants(self, item_id: str) -> tuple[Item, ...]:
        """The results made from it, and from those, nearest first. Raises ``GalleryError``."""
        return self._walk(item_id, "parent", "child")

    def keep_source(self, photo: Photo) -> str:
        """Keeps a photo's pixels, and nothing else of its file, so that its results can be made again.

        Returns its sha256, under which recipes name it. It goes when the last result that names it is purged; until a
        result names it, it stays for ``SOURCE_GRACE``. Raises ``GalleryError``.
        """
        sha256 = _checked_sha256(photo.sha256)
        path = self._sources / f"{sha256}.png"
        with self._writing() as db:
            known = db.execute("UPDATE sources SET created = ? WHERE sha256 = ?", (time.time(), sha256)).rowcount
            if known and path.is_file() and not path.is_symlink():
                return sha256
            png = _encode(Image.fromarray(photo.rgb), "PNG")
            self._check_room(db, len(png))
            write_file(path, png)
            row = (sha256, _plain(photo.name)[:NAME_LENGTH], time.time())
            db.execute("INSERT OR REPLACE INTO sources VALUES (?, ?, ?)", row)
            self._files_size += len(png)
        return sha256

    def source(self, sha256: str) -> Photo:
        """The kept photo of that hash. Raises ``GalleryError`` if it is not here."""
        with self._reading() as db:
            row = db.execute("SELECT name FROM sources WHERE sha256 = ?", (_checked_sha256(sha256),)).fetchone()
        if row is None:
            raise GalleryError(_NO_PHOTO)
        with self._plainly():
            rgb = _pixels(read_file(self._sources / f"{sha256}.png"))
        rgb.setflags(write=False)
        return Photo(rgb, sha256, row[0])

    # -- the house-keeping ----------------------------------------------------------------------------------------------

    def sweep(self) -> None:
        """Removes files without a row, and hides items whose file is gone until it is back."""
        with self._writing() as db:
            self._forget_sources(db)
        with self._writing() as db:
            keep_only(self._sources, {f"{s}.png" for (s,) in db.execute("SELECT sha256 FROM sources")})
            names = {f"{i}.png" for (i,) in db.execute("SELECT id FROM items")}
            missing = names - keep_only(self._pictures, names)
            hidden = {f"{i}.png" for (i,) in db.execute("SELECT id FROM items WHERE missing = 1")}
            changed = ((name.removesuffix(".png"),) for name in missing ^ hidden)
            db.executemany("UPDATE items SET missing = 1 - missing WHERE id = ?", changed)
        self._measure()

    def _measure(self) -> None:
        """Counts what the files take, for the quota; from then on whoever writes one adds to it."""
        if self._quota is not None:
            with self._lock, self._plainly():
                folders = (self._pictures, self._sources)
                self._files_size = sum((folder / name).lstat().st_size for folder in folders for name in plain_files(folder))

    def _check_room(self, db: sqlite3.Connection, size: int) -> None:
        """Refuses ``size`` more bytes than the quota allows. What was purged leaves free pages, which are used again."""
        if self._quota is None:
            return
        pages, free, page = (db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size"))
        if self._files_size + (pages - free) * page + size > self._quota:
            raise GalleryError(_OVER.format(self._quota / 1e6))

    @contextlib.contextmanager
    def moved_to(self, folder: Path) -> Iterator[None]:
        """Copies the gallery into an empty folder, on the disk on entry; on exit without an error this one is given up.

        Nobody can write meanwhile; afterwards every use of this gallery, also in other processes, is refused.
        """
        with self._writing() as db:
            for part in (self._pictures, self._sources):
                target = own_folder(folder / part.name)
                for name in plain_files(part):
                    write_file(target / name, read_file(part / name))
            self._copy_database(folder / "gallery.db")
            sync_folder(folder)
            yield
            db.execute(f"PRAGMA user_version = {_MOVED}")

    def _copy_database(self, target: Path) -> None:
        # A connection of its own reads what was committed last, which the write lock keeps from changing.
        with contextlib.closing(self._connect()) as reader, contextlib.closing(sqlite3.connect(target)) as copy:
            reader.backup(copy)

    def _connect(self) -> sqlite3.Connection:
        path = self._folder / "gallery.db"
        if any(path.with_name(path.name + suffix).is_symlink() for suffix in ("", "-wal", "-shm")):
            raise GalleryError("The gallery's database is a link to somewhere else, which is not followed: remove it.")
        db = sqlite3.connect(path, timeout=LOCK_WAIT, isolation_level=None, check_same_thread=False)
        db.create_function("folded", 1, str.casefold)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")  # what `add` returned survives a power cut
        db.execute("PRAGMA foreign_keys = ON")
        return db

    def _prepare(self) -> None:
        """Makes the tables of a new gallery, and fills them from pictures whose database was lost."""
        with self._transaction() as db:
            version = db.execute("PRAGMA user_version").fetchone()[0]
            if version > _VERSION:
                raise GalleryError("This gallery was made by a newer studio: update the studio to open it.")
            if version == 0:
                for statement in _SCHEMA.split(";\n"):
                    db.execute(statement)
                self._rebuild(db)
                db.execute(f"PRAGMA user_version = {_VERSION}")
            db.execute(_REMARKS)

    def _rebuild(self, db: sqlite3.Connection) -> None:
        """Every picture carries its recipe, so a lost database costs the names, tags and lineage but no picture."""
        paths = [self._pictures / name for name in plain_files(self._pictures) if _ID.fullmatch(name.removesuffix(".png"))]
        for path in sorted(paths, key=lambda path: path.stat().st_mtime):
            with contextlib.suppress(RecipeError, GalleryError):
                data = read_file(path)
                recipe, pixels = Recipe.from_png(data), _pixels(data)
                height, width = pixels.shape[:2]
                row = (path.stem, _default_name(recipe), recipe.tab, recipe.verb, path.stat().st_mtime, width, height)
                self._insert(db, row, recipe, _thumbnail(pixels), ())

    @contextlib.contextmanager
    def _plainly(self) -> Iterator[None]:
        """Turns what the system says into a sentence for the artist."""
        try:
            yield
        except OSError as error:
            raise GalleryError(_FULL if is_full(error) else f"The gallery cannot use its files ({error.strerror}).") from error
        except sqlite3.Error as error:
            full = getattr(error, "sqlite_errorname", "").startswith(("SQLITE_FULL", "SQLITE_IOERR_WRITE"))
            raise GalleryError(_FULL if full else f"The gallery's database cannot be used ({error}).") from error

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield self._db
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:  # SQLite may have rolled back by itself
                self._db.execute("ROLLBACK")
            raise

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._lock, self._plainly(), self._transaction() as db:
            self._check_here()
            yield db

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._lock, self._plainly():
            self._check_here()
            yield self._db

    def _check_here(self) -> None:
        if self._db.execute("PRAGMA user_version").fetchone()[0] == _MOVED:
            raise GalleryError("This gallery was moved to another folder: reload the page.")

    def _item(self, item_id: str) -> Item:
        row = self._db.execute(f"{_ITEM} WHERE id = ? AND missing = 0", (_checked_id(item_id),)).fetchone()
        if row is None:
            raise GalleryError(_NO_PICTURE)
        return _to_item(row)

    @staticmethod
    def _insert(db: sqlite3.Connection, row: tuple, recipe: Recipe, thumbnail: bytes, parents: tuple[str, ...]) -> None:
        item_id = row[0]
        columns = "id, name, tab, verb, created, width, height, about"
        db.execute(f"INSERT INTO items ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (*row, _about(recipe)))
        _note_search(db, item_id)
        db.execute("INSERT INTO recipes VALUES (?, ?)", (item_id, recipe.to_json()))
        db.execute("INSERT INTO thumbnails VALUES (?, ?)", (item_id, thumbnail))
        db.executemany("INSERT INTO lineage VALUES (?, ?, ?)", ((item_id, n, parent) for n, parent in enumerate(parents)))
        db.executemany("INSERT OR IGNORE INTO uses VALUES (?, ?)", ((item_id, i.sha256) for i in recipe.inputs))

    def _edit(self, verb: str, ids: Iterable[str], change) -> None:
        """Writes ``change(row) -> {field: value}`` for each id and notes the inverse; an edit that changes nothing is none."""
        with self._writing() as db:
            noted = []
            for item_id in dict.fromkeys(map(_checked_id, ids)):
                self._item(item_id)
                values = db.execute(f"SELECT {', '.join(_FIELDS)} FROM items WHERE id = ?", (item_id,)).fetchone()
                row = dict(zip(_FIELDS, values, strict=True))
                noted += [(item_id, field, row[field], new) for field, new in change(row).items() if row[field] != new]
            if not noted:
                return
            number = len({item_id for item_id, *_ in noted})
            db.execute("DELETE FROM edits WHERE undone = 1")
            label = f"{verb} {number} pictures" if number > 1 else f"{verb} a picture"
            seq = db.execute("INSERT INTO edits (label) VALUES (?)", (label,)).lastrowid
            db.executemany("INSERT INTO changes VALUES (?, ?, ?, ?, ?)", ((seq, *change) for change in noted))
            self._apply(db, seq, "after")
            db.execute("DELETE FROM edits WHERE seq <= (SELECT max(seq) FROM edits) - ?", (HISTORY_LENGTH,))

    def _step(self, query: str, side: str, undone: int) -> Edit | None:
        with self._writing() as db:
            row = db.execute(query).fetchone()
            if row is None:
                return None
            seq, label = row
            db.execute("UPDATE edits SET undone = ? WHERE seq = ?", (undone, seq))
            return Edit(label, self._apply(db, seq, side))

    @staticmethod
    def _apply(db: sqlite3.Connection, seq: int, side: str) -> tuple[str, ...]:
        changes = db.execute(f"SELECT item, field, {side} FROM changes WHERE edit = ?", (seq,)).fetchall()
        for item_id, field, value in changes:
            db.execute(f"UPDATE items SET {_FIELDS[_FIELDS.index(field)]} = ? WHERE id = ?", (value, item_id))
            _note_search(db, item_id)
        return tuple(dict.fromkeys(item_id for item_id, *_ in changes))

    def _walk(self, item_id: str, here: str, there: str) -> tuple[Item, ...]:
        # The depth ends a walk round a circle, which only a damaged database could hold.
        query = f"""WITH RECURSIVE found(item, depth) AS (
            SELECT {there}, 1 FROM lineage WHERE {here} = ?
            UNION SELECT {there}, depth + 1 FROM lineage JOIN found ON {here} = item WHERE depth < 1000)
            SELECT item FROM found GROUP BY item ORDER BY min(depth), item"""
        with self._reading() as db:
            ids = [i for (i,) in db.execute(query, (self._item(item_id).id,))]
            rows = (db.execute(f"{_ITEM} WHERE id = ? AND missing = 0", (i,)).fetchone() for i in ids)
            return tuple(_to_item(row) for row in rows if row)

    def _forget_sources(self, db: sqlite3.Connection) -> list[Path]:
        """Takes photos that no result names off the list; their files may go once that is committed."""
        query = "DELETE FROM sources WHERE created < ? AND sha256 NOT IN (SELECT sha256 FROM uses) RETURNING sha256"
        return [self._sources / f"{s}.png" for (s,) in db.execute(query, (time.time() - SOURCE_GRACE,)).fetchall()]


def _to_item(row: tuple) -> Item:
    item_id, name, tab, verb, tags, favourite, trashed, created, width, height, parents = row
    parents = tuple(parents.split()) if parents else ()
    return Item(item_id, name, tab, verb, _split(tags), bool(favourite), trashed, created, width, height, parents)


def _note_search(db: sqlite3.Connection, item_id: str) -> None:
    # Folding while filtering would call back into Python for every row: ten times as slow at 10,000 of them.
    db.execute("UPDATE items SET search = folded(name || ' ' || tags || ' ' || about) WHERE id = ?", (item_id,))


def _checked_id(value: object) -> str:
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise GalleryError(_NO_PICTURE)
    return value


def _checked_sha256(value: object) -> str:
    if not isinstance(value, str) or not _SHA256.fullmatch(value):
        raise GalleryError(_NO_PHOTO)
    return value


def _plain(text: object) -> str:
    """One line of text, without control or direction-changing characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())


def _checked_tag(tag: str) -> str:
    tag = _plain(tag).casefold()
    if not 0 < len(tag) <= TAG_LENGTH or "," in tag:
        raise GalleryError(f"A tag has at most {TAG_LENGTH} characters and no comma: shorten it.")
    return tag


def _split(tags: str) -> tuple[str, ...]:
    return tuple(tag for tag in tags.split(",") if tag)


def _join(tags: Iterable[str]) -> str:
    tags = dict.fromkeys(tags)
    if len(tags) > TAGS_PER_ITEM:
        raise GalleryError(f"A picture has at most {TAGS_PER_ITEM} tags: remove one first.")
    return "," + "".join(f"{tag}," for tag in tags)


def _default_name(recipe: Recipe) -> str:
    return _plain(f"{recipe.tab} {recipe.verb}").capitalize()[:NAME_LENGTH] or "Picture"


def _about(recipe: Recipe) -> str:
    """The recipe's words that an artist may look for: the tab, the networks ("cyclegan-lion-64") and the photos' names."""
    words = (recipe.tab, recipe.verb, *recipe.checkpoints, *(i.name for i in recipe.inputs))
    return _plain(" ".join(words))


def _pixels(image: np.ndarray | bytes) -> np.ndarray:
    """uint8 (H, W, 3) of an array or of a PNG's bytes. Raises ``GalleryError``."""
    if isinstance(image, bytes):
        try:
            with Image.open(io.BytesIO(image), formats=("PNG",)) as opened:
                return np.asarray(opened.convert("RGB"))
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise GalleryError("That picture is damaged and cannot be kept: make it again.") from error
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise GalleryError(f"A picture has the shape (height, width, 3) in uint8, not {image.shape} in {image.dtype}.")
    return image


def _thumbnail(pixels: np.ndarray) -> bytes:
    image = Image.fromarray(pixels)
    image.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS, reducing_gap=3)
    return _encode(image, "WEBP", quality=82, method=2)


def _encode(image: Image.Image, kind: str, **options: int) -> bytes:
    """The pixels and nothing else."""
    with io.BytesIO() as buffer:
        image.save(buffer, kind, **options)
        return buffer.getvalue()
