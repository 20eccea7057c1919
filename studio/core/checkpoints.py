"""Card -> weights: embedded file, local cache, Hugging Face Hub; nothing unverified is ever loaded.

Only safetensors are read. A file is used after its size and sha256 agree with its card; a download becomes a file of
the cache in one atomic step after that, so a cut, tampered or half-written one never counts as a checkpoint.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from studio.core.registry import PRETRAINED, Card, Registry, UnknownModel, build, default_registry

if TYPE_CHECKING:
    from torch import Tensor, nn

Progress = Callable[[int, int], None]

COMMIT = re.compile(r"[0-9a-f]{40}")
MODEL_CARD = "MODEL_CARD.md"
PULL_FOLDER = ".pull-"
STALE_SECONDS = 24 * 3600
REPORT_SECONDS = 0.2  # between two looks at how far a download is


class CheckpointError(Exception):
    """A checkpoint that cannot be used; one sentence that names the file and what mends it."""


class _Stopped(Exception):
    """Nobody waits for the download any more."""


@dataclass(frozen=True)
class Status:
    """How a card's weights are.

    ``state`` is "ok", "remote" (on the Hub, not pulled yet), "missing", "damaged" or "misfit" (whole, but not the
    tensors of its network); ``path`` is the file that was looked at, ``message`` is empty unless the state is bad.
    """

    id: str
    state: str
    path: str | None = None
    message: str = ""

    @property
    def ok(self) -> bool:
        """Whether the studio can work with it, perhaps after a pull."""
        return self.state in ("ok", "remote")

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready fields."""
        return {**asdict(self), "ok": self.ok}


class CheckpointStore:
    """The weights of a registry's cards.

    Args:
        registry: its cards; ``push`` writes where they went into its index.
        embedded_dir: folder of the weights that come with the studio; never written.
        cache_dir: folder of pulled weights; made when first needed.
    """

    def __init__(self, registry: Registry, embedded_dir: Path, cache_dir: Path):
        self.registry = registry
        self.embedded_dir = Path(embedded_dir)
        self.cache_dir = Path(cache_dir)
        self._verified: dict[tuple[str, int, int], str] = {}
        self._bringing = threading.Lock()  # visitors who want the same network wait for one download

    def locate(self, card: Card) -> Path:
        """The verified file with the card's weights: the embedded one, else the cached one.

        Raises:
            CheckpointError: there is none, or none of them is the file that the card describes.
        """
        found = [path for path in self._places(card) if path.is_file()]
        if not found:
            raise CheckpointError(f"{card.file} is missing: {mend(card)}.")
        for path in found:
            if self._is_whole(path, card):
                return path
        raise CheckpointError(f"{found[0]} is damaged, it is not the file that card {card.id} describes: {mend(card)}.")

    def load(self, card: Card, progress: Progress | None = None) -> dict[str, Tensor]:
        """The card's tensors by name, with its base's, on the CPU, in the files' precision; pulls a file that is not here yet.

        Raises:
            CheckpointError: the file is missing and cannot be pulled, is damaged, or is no safetensors file.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        absent = card.hub and not any(path.is_file() for path in self._places(card))
        path = self.pull(card, progress) if absent else self.locate(card)
        try:
            tensors = load_file(path)
        except SafetensorError as error:
            raise CheckpointError(f"{path} is no safetensors file: {mend(card)}.") from error
        base = self._base(card)
        return (self.load(base, progress) if base else {}) | tensors

    def _base(self, card: Card) -> Card | None:
        try:
            return self.registry.base(card)
        except UnknownModel as error:
            raise CheckpointError(str(error)) from error

    def verify(self, card: Card) -> Status:
        """Looks at the weights without loading them: are they here, whole, and the tensors of the card's network?

        A card whose base is not "ok" is as its base is.
        """
        found = [path for path in self._places(card) if path.is_file()]
        if not found and card.hub:
            return Status(card.id, "remote")
        try:
            path = self.locate(card)
        except CheckpointError as error:
            return Status(card.id, "damaged" if found else "missing", str(found[0]) if found else None, str(error))
        try:
            base = self._base(card)
            if base and (status := self.verify(base)).state != "ok":
                return replace(status, id=card.id)
            given = (_header(self.locate(base), base) if base else {}) | _header(path, card)
            _check(_shapes(build(card).state_dict()), given, card.file)
        except (CheckpointError, UnknownModel) as error:
            return Status(card.id, "misfit", str(path), str(error))
        return Status(card.id, "ok", str(path))

    def pull(self, card: Card, progress: Progress | None = None) -> Path:
        """Downloads the card's file from the Hub into the cache and returns its path there.

        ``progress`` is called with (bytes done, bytes in all). The endpoint is ``HF_ENDPOINT``, the token the one of
        ``HF_TOKEN`` or ``hf auth login``; ``HF_HUB_OFFLINE`` is respected.

        Raises:
            CheckpointError: the card is on no Hub or names no commit, the Hub cannot be reached or refuses, what it
                sends is not the file of the card, or it cannot be written here.
        """
        hub = _pinned(card)
        target = self._places(card)[1]
        with _in_one_sentence(card, hub["repo_id"], self.cache_dir), self._temporary() as folder:
            if shutil.disk_usage(folder).free < card.size:
                raise OSError(errno.ENOSPC, "too small")
            downloaded = _download(card, hub, folder, progress or _silent)
            if not self._is_whole(downloaded, card):
                raise CheckpointError(
                    f"{card.file} from {hub['repo_id']} is not the file that card {card.id} describes, so it was not kept: "
                    f"update the studio and run `python -m studio pull {card.id}`."
                )
            _flush(downloaded)
            os.replace(downloaded, target)
        return target

    def bring(self, cards: Sequence[Card]) -> Iterator[tuple[int, int]]:
        """Pulls those of the cards and their bases that are not here or not whole; yields (bytes done, bytes in all) meanwhile.

        Closing the iterator stops the download; what came whole before that stays.

        Raises:
            CheckpointError: as ``pull``, or a card's base is not the one it was made for.
        """
        try:
            wanted = self.registry.with_bases(cards)
        except UnknownModel as error:
            raise CheckpointError(str(error)) from error
        download = _Download(self, [card for card in wanted if not self.has(card)])
        download.start()
        try:
            while download.is_alive():
                yield download.done, download.total
                download.join(REPORT_SECONDS)
        finally:
            download.stopped = True
        if download.error:
            raise download.error
        yield download.total, download.total

    def has(self, card: Card) -> bool:
        """Whether the card's weights are here and whole."""
        try:
            return bool(self.locate(card))
        except CheckpointError:
            return False

    def push(self, card: Card, repo_id: str, token: str | None = None) -> dict[str, str]:
        """Uploads the weights, the card (as JSON) and the terms of the weights in one commit, then pins the card to it.

        Returns the card's new hub entry: ``repo_id``, ``revision``, ``filename``. ``token`` None is ``HF_TOKEN`` or the
        one of ``hf auth login``.

        Raises:
            CheckpointError: the file or MODEL_CARD.md is missing or damaged, there is no token, or the Hub refuses.
        """
        path, terms = self.locate(card), self.embedded_dir / MODEL_CARD
        if not terms.is_file():
            raise CheckpointError(f"{terms} is missing and weights never leave without their terms: write it first.")
        with _in_one_sentence(card, repo_id, path, f"push {card.id} --repo {repo_id}"):
            revision = _upload(card, path, terms, repo_id, token)
        hub = {"repo_id": repo_id, "revision": revision, "filename": card.file}
        self.registry.add(replace(card, hub=hub))
        self.registry.save()
        return hub

    def _places(self, card: Card) -> tuple[Path, Path]:
        # The hash in the name lets two versions of the studio share one cache.
        return self.embedded_dir / card.file, self.cache_dir / f"{card.sha256[:16]}-{card.file}"

    def _is_whole(self, path: Path, card: Card) -> bool:
        stat = path.stat()
        if stat.st_size != card.size:
            return False
        key = str(path), stat.st_size, stat.st_mtime_ns
        if key not in self._verified:
            with open(path, "rb") as file:
                self._verified[key] = hashlib.file_digest(file, "sha256").hexdigest()
        return self._verified[key] == card.sha256

    @contextlib.contextmanager
    def _temporary(self) -> Iterator[Path]:
        """A folder on the cache's own disk, so that the last step of a download is one rename."""
        self.cache_dir.mkdir(parents=True, exist_ok=True)
        for old in self.cache_dir.glob(f"{PULL_FOLDER}*"):  # left by a killed process
            if time.time() - old.stat().st_mtime > STALE_SECONDS:
                shutil.rmtree(old, ignore_errors=True)
        with tempfile.TemporaryDirectory(prefix=PULL_FOLDER, dir=self.cache_dir, ignore_cleanup_errors=True) as folder:
            yield Path(folder)


class _Download(threading.Thread):
    """Pulls cards one after the other; ``done`` and ``total`` are bytes, ``error`` is what ended it too early."""

    def __init__(self, store: CheckpointStore, cards: Sequence[Card]):
        super().__init__(name="pull", daemon=True)
        self._store, self._cards = store, cards
        self.done, self.total = 0, sum(card.size for card in cards)
        self.stopped = False
        self.error: Exception | None = None

    def run(self) -> None:
        before = 0
        try:
            for card in self._cards:
                with self._store._bringing:
                    self._count(before)
                    if not self._store.has(card):
                        self._store.pull(card, lambda done, _, before=before: self._count(before + done))
                before += card.size
        except _Stopped:
            return
        except Exception as error:  # it is raised again where the bytes are counted
            self.error = error

    def _count(self, done: int) -> None:
        if self.stopped:
            raise _Stopped
        self.done = done


def load_into(module: nn.Module, tensors: Mapping[str, Tensor], file: str = "The checkpoint") -> None:
    """Copies the tensors into the module, all or none; half-precision weights take the module's own precision.

    Raises:
        CheckpointError: a name, a shape or a kind (floating point or not) differs; ``file`` is named in the sentence.
    """
    own = module.state_dict()
    _check(_shapes(own), _shapes(tensors), file)
    if kinds := [n for n, tensor in tensors.items() if tensor.is_floating_point() != own[n].is_floating_point()]:
        raise CheckpointError(f"{file} does not fit its network, the number type of {_some(kinds)} differs: {UPDATE}.")
    module.load_state_dict({name: tensor.to(dtype=own[name].dtype) for name, tensor in tensors.items()})


@lru_cache(maxsize=1)
def default_store() -> CheckpointStore:
    """The weights of the studio's own cards; pulled ones live in the user's cache folder."""
    from platformdirs import user_cache_path

    return CheckpointStore(default_registry(), PRETRAINED, user_cache_path("imaginarium") / "checkpoints")


UPDATE = "update the studio so that its code and its weights are of one version"


def mend(card: Card) -> str:
    """What brings the card's file here, as the end of a sentence."""
    if card.hub:
        return f"run `python -m studio pull {card.id}`"
    return f"restore it with `git checkout -- pretrained/{card.file}` or download the studio again"


def _shapes(tensors: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def _header(path: Path, card: Card) -> dict[str, tuple[int, ...]]:
    """Names and shapes in the file, read without the tensors."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118, no mapping
    except SafetensorError as error:
        raise CheckpointError(f"{path} is no safetensors file: {mend(card)}.") from error


def _check(own: Mapping[str, tuple[int, ...]], given: Mapping[str, tuple[int, ...]], file: str) -> None:
    problems = []
    if lacking := own.keys() - given.keys():
        problems.append(f"lacks {_some(lacking)}")
    if foreign := given.keys() - own.keys():
        problems.append(f"has the unknown {_some(foreign)}")
    differing = [n for n in own.keys() & given.keys() if own[n] != given[n]]
    if differing:
        name = min(differing)
        problems.append(f"has {name} of shape {given[name]} where the network has {own[name]}")
    if problems:
        raise CheckpointError(f"{file} does not fit its network, it {' and '.join(problems)}: {UPDATE}.")


def _some(names: Any) -> str:
    names = sorted(names)
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _silent(done: int, total: int) -> None:
    """Nobody watches this download."""


def _pinned(card: Card) -> dict[str, str]:
    if not card.hub:
        raise CheckpointError(f"{card.file} is on no hub: {mend(card)}.")
    if not COMMIT.fullmatch(revision := card.hub["revision"]):
        raise CheckpointError(
            f"Card {card.id} names revision {revision!r} of {card.file}, which can change: "
            "write a commit of 40 hexadecimal digits in pretrained/index.json."
        )
    return card.hub


def _download(card: Card, hub: Mapping[str, str], folder: Path, progress: Progress) -> Path:
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url
    from huggingface_hub.utils import logging

    logging.set_verbosity_error()  # its retries are no news for the artist; what counts is the sentence at the end
    endpoint = os.environ.get("HF_ENDPOINT") or None
    place = {"repo_id": hub["repo_id"], "filename": hub["filename"], "revision": hub["revision"], "endpoint": endpoint}
    # One quick question first: no minute of retries without a network, and nothing of a wrong size is downloaded.
    size = get_hf_file_metadata(hf_hub_url(**place), token=None, endpoint=endpoint).size
    if size not in (None, card.size):
        raise CheckpointError(
            f"{card.file} has {size} bytes on the Hub and {card.size} in card {card.id}: "
            f"update the studio and run `python -m studio pull {card.id}`."
        )
    # cache_dir: a file of the client's shared cache is never taken, a bad one there would come back for ever.
    return Path(hf_hub_download(**place, local_dir=folder, cache_dir=folder / "hub", tqdm_class=_bar(progress, card.size)))


def _bar(progress: Progress, total: int) -> type:
    """A tqdm class for the Hub's client that draws nothing and reports instead."""
    from tqdm import tqdm

    class Bar(tqdm):
        def __init__(self, *args: Any, **kwargs: Any):
            kwargs.pop("name", None)
            super().__init__(*args, **{**kwargs, "disable": True})
            self.done = 0

        def update(self, n: float | None = 1) -> None:
            self.done += int(n or 0)
            progress(self.done, total)

    return Bar


def _flush(path: Path) -> None:
    # Renamed before its bytes are on the disk, a file could be empty after a power cut.
    with open(path, "rb+") as file:
        os.fsync(file.fileno())


def _upload(card: Card, path: Path, terms: Path, repo_id: str, token: str | None) -> str:
    import json

    from huggingface_hub import CommitOperationAdd, HfApi, get_token

    if not (token or get_token()):
        raise CheckpointError(
            f"{card.file} cannot be pushed without a token: run `hf auth login` or set HF_TOKEN, then push again."
        )
    api = HfApi(endpoint=os.environ.get("HF_ENDPOINT") or None, token=token)
    api.create_repo(repo_id, exist_ok=True)
    files = {
        card.file: str(path),
        f"{Path(card.file).stem}.json": json.dumps(card.to_dict(), indent=1).encode(),
        "README.md": str(terms),  # the Hub shows this one as the repository's page
    }
    operations = [CommitOperationAdd(path_in_repo=name, path_or_fileobj=content) for name, content in files.items()]
    return api.create_commit(repo_id, operations, commit_message=f"Add {card.id}").oid


@contextlib.contextmanager
def _in_one_sentence(card: Card, repo_id: str, place: Path, command: str = "") -> Iterator[None]:
    """Turns what the Hub's client and the disk raise into a ``CheckpointError``; ``command`` is a pull unless given."""
    from huggingface_hub import errors
    from huggingface_hub.errors import HTTPError  # the client's own, whichever of httpx and httpx2 it uses

    command = command or f"pull {card.id}"
    try:
        yield
    except (OSError, HTTPError, RuntimeError, errors.HFValidationError) as error:  # hf_xet raises RuntimeError
        done, reason = f"{command.split()[0]}ed", _reason(error, card, repo_id, place)
        raise CheckpointError(f"{card.file} cannot be {done}: {reason} `python -m studio {command}`.") from error


def _reason(error: Exception, card: Card, repo_id: str, place: Path) -> str:
    """Why, and what to do before the command that follows in the sentence."""
    from huggingface_hub import errors

    response = getattr(error, "response", None)
    number = getattr(error, "errno", None)
    if isinstance(error, errors.OfflineModeIsEnabled):
        return "HF_HUB_OFFLINE is set, unset it and run"
    if isinstance(error, errors.RevisionNotFoundError | errors.RemoteEntryNotFoundError):
        return f"{repo_id} does not have it at the commit that the card names, update the studio and run"
    if isinstance(error, errors.RepositoryNotFoundError) or getattr(response, "status_code", None) in (401, 403):
        return f"the Hub does not let you into {repo_id}, run `hf auth login` with an account that may enter and then"
    if response is not None:
        return f"the Hub answered {response.status_code}, wait a little and run"
    if isinstance(error, errors.HFValidationError):
        return f"{repo_id!r} is not the name of a repository, write it as owner/name and run"
    if number in (errno.ENOSPC, errno.EDQUOT):
        return f"the disk of {place} is full, free {card.size / 1e6:.0f} MB and run"
    if number in (errno.EACCES, errno.EROFS, errno.EPERM, errno.ENOTDIR, errno.EEXIST):
        return f"{place} cannot be written, allow it or set XDG_CACHE_HOME to another folder and run"
    return "the connection to the Hub failed or was cut, check the network and run"
