"""The engine: one worker thread owns the device and gives everybody a turn.

A turn is: end the jobs that were stopped, compute one batch for each group of waiting requests, advance one job by one
step. So a short request waits for one step of one job at most, jobs advance in rotation, and a flood of requests cannot
starve a job.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from platformdirs import user_cache_path
from torch import nn

from studio.core.backends import ROWS_PER_PASS, SINGLE, Arrays, ItemShapes, compute
from studio.core.checkpoints import CheckpointStore, default_store
from studio.core.networks import Networks, NetworkStatus
from studio.core.registry import Card, Registry

log = logging.getLogger(__name__)

# Rows of one turn. On a CPU eight pictures at 128 px take about 0.1 s, as long as another visitor may wait without noticing.
ROWS_PER_TURN = {"cpu": 8, "cuda": 32}
CPU_BUDGET = 2 << 30  # bytes
CLOSED = "The engine is closed: start the studio again."


@dataclass(frozen=True)
class EngineStatus:
    """What the engine is doing: ``memory`` and ``memory_budget`` in bytes of loaded networks, requests waiting, jobs running."""

    device: str
    networks: tuple[NetworkStatus, ...]
    waiting: int
    jobs: int
    memory: int
    memory_budget: int


class Engine:
    """Runs networks by the id of their card.

    Args:
        device: "auto" (CUDA if there is one), "cpu" or "cuda".
        memory_budget: bytes that loaded networks may take before the least recently used go; None is 2 GiB on a CPU and half
            of the memory of a GPU.
        store: where cards and weights come from; None is the studio's own.

    Raises:
        ValueError: there is no such device.
    """

    def __init__(self, device: str = "auto", memory_budget: int | None = None, store: CheckpointStore | None = None):
        self.device = _device(device)
        self._store = store or default_store()
        budget = memory_budget if memory_budget is not None else _default_budget(self.device)
        self._networks = Networks(self._store, self.device, budget, user_cache_path("imaginarium") / "openvino")
        self._changed = threading.Condition()  # guards the three below
        self._waiting: list[_Request] = []
        self._jobs: deque[_Job] = deque()
        self._closing = False
        self._thread = threading.Thread(target=self._work, name="engine", daemon=True)
        self._thread.start()
        atexit.register(self.close)  # a daemon thread that is inside torch when the interpreter goes can crash it

    @property
    def registry(self) -> Registry:
        """The cards whose networks it runs."""
        return self._store.registry

    @property
    def store(self) -> CheckpointStore:
        """Where the weights of its networks come from."""
        return self._store

    def fetch(self, card_id: str) -> None:
        """Makes sure that a network's weights are here and whole, so that work of many networks fails before it begins.

        Raises:
            UnknownModel: there is no such card.
            CheckpointError: its weights are missing or damaged.
        """
        self._networks.fetch(self._store.registry.card(card_id))

    def run(self, card_id: str, **arrays: np.ndarray) -> np.ndarray | dict[str, np.ndarray]:
        """Computes a network; blocks, from any thread.

        On a CPU the same arrays and checkpoint give the same bits, whoever else is served at the same time; on a GPU results may
        differ by 1/255 with the batch they were computed in.

        Args:
            card_id: the network.
            arrays: float32, finite, batch first and of equal batch size, named as the parameters of the network's ``forward``.

        Returns:
            float32, batch first; a dict of them if the network's ``forward`` returns a dict.

        Raises:
            ValueError: the arrays are not as described above.
            UnknownModel: there is no such card.
            CheckpointError: its weights are missing or damaged.
            RuntimeError: the network refused the arrays or gave values that are not finite, or the engine is closed.
        """
        request = _Request(self._store.registry.card(card_id), _checked(arrays))
        if self._on_worker():  # a job that calls a function which runs networks: it is its turn already
            return self._run_now(request)
        self._networks.fetch(request.card)
        with self._changed:
            self._refuse_if_closing()
            self._waiting.append(request)
            self._changed.notify_all()
        return request.future.result()

    def stream(self, fn: Callable[[Session], Generator]) -> Stream:
        """Starts a long job: ``fn(session)`` is a generator that the worker advances by one step per turn.

        The steps run in eager fp32 with gradients on and must not yield from within ``no_grad``, ``inference_mode`` or
        ``autocast`` (torch keeps these per thread, and the thread serves others in between). A step may call ``engine.run``.

        Returns:
            The iterator of what it yields; see :class:`Stream`.
        """
        job = _Job(fn, self._thread)
        with self._changed:
            self._refuse_if_closing()
            self._jobs.append(job)
            self._changed.notify_all()
        return Stream(job)

    def status(self) -> EngineStatus:
        """A snapshot, from any thread."""
        networks = self._networks.status()
        with self._changed:
            waiting, jobs = len(self._waiting), len(self._jobs)
        memory = sum(network.nbytes for network in networks)
        return EngineStatus(_device_name(self.device), networks, waiting, jobs, memory, self._networks.memory_budget)

    def close(self) -> None:
        """Ends jobs (their ``finally`` runs), fails what waits with ``RuntimeError``, frees the networks. Can be called twice."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        atexit.unregister(self.close)
        if not self._on_worker():
            self._thread.join()

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _on_worker(self) -> bool:
        return threading.current_thread() is self._thread

    def _refuse_if_closing(self) -> None:
        if self._closing:
            raise RuntimeError(CLOSED)

    # --- on the worker --------------------------------------------------------------------------------------------------------

    def _work(self) -> None:
        try:
            while self._wait_for_work():
                self._end_stopped_jobs()
                self._serve_waiting()
                self._advance_next_job()
        finally:  # even after a mistake of ours nobody waits for ever
            self._end_everything()

    def _wait_for_work(self) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._jobs or self._closing)
            return not self._closing

    def _serve_waiting(self) -> None:
        """One batch for each group of requests that wait now; those that come meanwhile wait for the next turn."""
        groups: dict[tuple, list[_Request]] = {}
        with self._changed:
            for request in self._waiting:
                groups.setdefault(request.key, []).append(request)
        for requests in groups.values():
            self._serve(_first_rows(requests, ROWS_PER_TURN[self.device.type]))

    def _serve(self, parts: list[_Part]) -> None:
        """Computes the parts as one batch; if that fails, each by itself, so that only the guilty request hears of it."""
        try:
            outputs = self._compute(parts)
        except BaseException as error:
            outputs = None
            if len(parts) == 1:
                self._finish(parts[0].request, error)
        if outputs is not None:
            self._hand_out(parts, outputs)
        elif len(parts) > 1:
            for part in parts:
                self._serve([part])

    def _compute(self, parts: list[_Part]) -> Arrays:
        request = parts[0].request
        form = self._networks.form(request.card, request.shapes)
        joined = {name: np.concatenate([part.array(name) for part in parts]) for name in request.arrays}
        return compute(form, joined, ROWS_PER_PASS[self.device.type])

    def _hand_out(self, parts: list[_Part], outputs: Arrays) -> None:
        start = 0
        for part in parts:
            part.request.take({name: rows[start : start + part.rows] for name, rows in outputs.items()}, part.rows)
            start += part.rows
            if part.request.rows_left == 0:
                self._finish(part.request)

    def _finish(self, request: _Request, error: BaseException | None = None) -> None:
        with self._changed:
            if request in self._waiting:
                self._waiting.remove(request)
        request.finish(error)

    def _run_now(self, request: _Request) -> np.ndarray | dict[str, np.ndarray]:
        while not request.future.done():
            self._serve(_first_rows([request], ROWS_PER_TURN[self.device.type]))
        return request.future.result()

    def _advance_next_job(self) -> None:
        with self._changed:
            job = self._jobs[0] if self._jobs else None
            self._jobs.rotate(-1)
        if job and job.advance(self):
            self._forget(job)

    def _end_stopped_jobs(self) -> None:
        with self._changed:
            stopped = [job for job in self._jobs if job.stopped]
        for job in stopped:
            job.end()
            self._forget(job)

    def _forget(self, job: _Job) -> None:
        for card in job.pinned.values():
            self._networks.unpin(card)
        with self._changed:
            self._jobs.remove(job)
        job.announce_end()

    def _end_everything(self) -> None:
        with self._changed:
            self._closing = True
            requests, jobs = list(self._waiting), list(self._jobs)
        for job in jobs:
            job.end(RuntimeError(CLOSED))
            self._forget(job)
        for request in requests:
            self._finish(request, RuntimeError(CLOSED))
        self._networks.clear()

    def _network(self, job: _Job, card_id: str) -> nn.Module:
        card = self._store.registry.card(card_id)
        if card_id not in job.pinned:
            job.pinned[card_id] = card
            job.modules[card_id] = self._networks.pin(card)
        return job.modules[card_id]


class Session:
    """What a job has of the engine; valid on the worker, while the job lives."""

    def __init__(self, engine: Engine, job: _Job):
        self._engine, self._job = engine, job
        self.device = engine.device

    def network(self, card_id: str) -> nn.Module:
        """The network in fp32 on the device, in eval mode and without gradients of its own weights; it stays until the job ends.

        Others use the same module: copy it before changing it. Raises ``UnknownModel`` and ``CheckpointError`` as ``run`` does.
        """
        return self._engine._network(self._job, card_id)


class Stream(Iterator):
    """What a job yields, seen by its consumer.

    The latest value wins: a consumer that is slower than the job misses values in between, never the last one, and holds up
    nobody. An exception of the job comes out of ``next``; the job's return value is that of ``yield from``. :meth:`close`, the
    end of a ``contextlib.closing`` block or dropping the last reference stops the job within one step and runs its ``finally``.
    """

    def __init__(self, job: _Job):
        self._job = job

    def __next__(self) -> Any:
        return self._job.next()

    def close(self) -> None:
        """Stops the job and waits for its ``finally``. Does nothing for one that has ended."""
        self._job.stop()

    def __del__(self) -> None:
        # No lock and no waiting: the collector may call this on any thread, holding anything. The worker looks before each step.
        self._job.stopped = True


class _Job:
    """A generator on the worker and a box with its latest value."""

    def __init__(self, fn: Callable[[Session], Generator], worker: threading.Thread):
        self.pinned: dict[str, Card] = {}
        self.modules: dict[str, nn.Module] = {}
        self.stopped = False
        self._fn: Callable[[Session], Generator] | None = fn
        self._worker = worker
        self._steps: Generator | None = None
        self._changed = threading.Condition()  # guards the box
        self._box: list[Any] = []
        self._ended = False
        self._error: BaseException | None = None
        self._returned: Any = None

    def advance(self, engine: Engine) -> bool:
        """One step. Returns whether it was the last one."""
        try:
            with _gradients():
                if self._steps is None:
                    self._steps = self._fn(Session(engine, self))
                value = next(self._steps)
        except StopIteration as stop:
            self._returned = stop.value
            return self.end()
        except BaseException as error:
            return self.end(error)
        with self._changed:
            self._box = [value]
            self._changed.notify_all()
        return False

    def end(self, error: BaseException | None = None) -> bool:
        """Runs the generator's ``finally`` and lets go of all that it held."""
        self._error = error
        try:
            with _gradients():
                if self._steps is not None:
                    self._steps.close()
        except BaseException:
            log.exception("A job failed while it was stopped.")
        self._steps = self._fn = None
        self.modules.clear()
        if self.stopped:
            self._box = []
        return True

    def announce_end(self) -> None:
        """Wakes the consumer."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def next(self) -> Any:
        """Waits for a value; on the consumer's thread."""
        self._refuse_on_worker()
        with self._changed:
            self._changed.wait_for(lambda: self._box or self._ended)
            if self._box:
                return self._box.pop()
            error, self._error = self._error, None
            returned, self._returned = self._returned, None
        try:
            if error is not None:
                raise error
        finally:
            del error  # its traceback holds this frame
        raise StopIteration(returned)

    def stop(self) -> None:
        """Stops the job and waits until it has ended."""
        self.stopped = True
        if threading.current_thread() is self._worker:
            return
        with self._changed:
            self._changed.wait_for(lambda: self._ended)
            self._box, self._error, self._returned = [], None, None

    def _refuse_on_worker(self) -> None:
        if threading.current_thread() is self._worker:
            raise RuntimeError("A job cannot wait for another job: yield from its generator function instead.")


@dataclass(eq=False)
class _Request:
    """One call of ``run``: its arrays, and the outputs of the rows computed so far."""

    card: Card
    arrays: Arrays
    future: Future = field(default_factory=Future)
    parts: list[Arrays] = field(default_factory=list)
    rows_done: int = 0

    @cached_property
    def shapes(self) -> ItemShapes:
        return tuple(sorted((name, array.shape[1:]) for name, array in self.arrays.items()))

    @cached_property
    def key(self) -> tuple:
        """Requests with equal keys can share a batch."""
        return self.card.id, self.card.sha256, self.shapes

    @property
    def rows_left(self) -> int:
        return len(next(iter(self.arrays.values()))) - self.rows_done

    def take(self, outputs: Arrays, rows: int) -> None:
        self.parts.append(outputs)
        self.rows_done += rows

    def finish(self, error: BaseException | None = None) -> None:
        if error is not None:
            self.future.set_exception(error)
            return
        outputs = {name: np.concatenate([part[name] for part in self.parts]) for name in self.parts[0]}
        if not all(np.isfinite(output).all() for output in outputs.values()):
            self.future.set_exception(RuntimeError(f"The network {self.card.id} gave values that are not finite for this input."))
        else:
            self.future.set_result(outputs[SINGLE] if set(outputs) == {SINGLE} else outputs)


@dataclass(frozen=True)
class _Part:
    """Rows of a request that are computed in one turn."""

    request: _Request
    rows: int

    def array(self, name: str) -> np.ndarray:
        start = self.request.rows_done
        return self.request.arrays[name][start : start + self.rows]


def _first_rows(requests: list[_Request], limit: int) -> list[_Part]:
    """The next rows of the requests, in the order of their coming, ``limit`` in all."""
    parts = []
    for request in requests:
        rows = min(request.rows_left, limit)
        if rows == 0:
            break
        parts.append(_Part(request, rows))
        limit -= rows
    return parts


@contextlib.contextmanager
def _gradients() -> Iterator[None]:
    """The state of torch in which a step of a job runs; whatever the step leaves behind is undone for those who come next."""
    with torch.inference_mode(False), torch.enable_grad(), torch.autocast("cpu", enabled=False):
        yield


def _checked(arrays: dict[str, np.ndarray]) -> Arrays:
    if not arrays:
        raise ValueError("A network needs at least one array.")
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray) or array.dtype != np.float32 or array.ndim == 0:
            raise ValueError(f"{name} must be a float32 array with the batch first.")
        if not np.isfinite(array).all():
            raise ValueError(f"{name} contains values that are not finite.")
    rows = {len(array) for array in arrays.values()}
    if len(rows) > 1 or 0 in rows:
        raise ValueError(f"{', '.join(arrays)} must have one batch size of at least 1.")
    return dict(sorted(arrays.items()))


def _device(name: str) -> torch.device:
    if name not in ("auto", "cpu", "cuda"):
        raise ValueError(f"There is no device {name!r}; there is auto, cpu and cuda.")
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError("No CUDA device was found; use the device auto or cpu.")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    return f"CPU, {threads} thread{'s' if threads > 1 else ''}"


def _default_budget(device: torch.device) -> int:
    return torch.cuda.get_device_properties(device).total_memory // 2 if device.type == "cuda" else CPU_BUDGET
