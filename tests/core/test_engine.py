import contextlib
import gc
import threading
import weakref

import numpy as np
import pytest
import torch

from studio.core import backends
from studio.core import engine as engine_module
from studio.core.checkpoints import CheckpointError
from studio.core.engine import Engine
from studio.core.registry import UnknownModel
from tests.engines import PASSES, Held, add_network, in_threads, store_of_three, until


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(backends, "candidates", lambda device: [])  # what is tested here is turns, not precision
    PASSES.clear()
    return store_of_three(tmp_path)


@pytest.fixture
def engine(store):
    with Engine("cpu", store=store) as engine:
        yield engine


def rows(*values: float) -> np.ndarray:
    """One row of two equal numbers for each value."""
    return np.repeat(np.array(values, np.float32)[:, None], 2, axis=1)


def pictures(count: int) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    image = generator.uniform(-1, 1, (count, 3, 12, 12)).astype(np.float32)
    return {"image": image, "strength": generator.uniform(0, 1, (count, 1)).astype(np.float32)}


def run_waiting(engine: Engine, *arrays: np.ndarray) -> list:
    """Answers (or errors) of requests that waited together, in the order of the arrays."""
    answers: list = [None] * len(arrays)

    def ask(i: int) -> None:
        try:
            answers[i] = engine.run("double", image=arrays[i])
        except Exception as error:
            answers[i] = error

    engine.run("double", image=rows(1))  # loaded, so that the probes are over
    with Held(engine):
        threads = []
        for i in range(len(arrays)):  # one after the other, so that their order is known
            threads += in_threads([lambda i=i: ask(i)])
            until(lambda i=i: engine.status().waiting == i + 1)
        PASSES.clear()
    for thread in threads:
        thread.join(10)
    return answers


# --- run ----------------------------------------------------------------------------------------------------------------------


def test_a_tensor_comes_back_as_an_array_and_a_dict_as_a_dict(engine):
    assert (engine.run("double", image=rows(1, 2, 3)) == rows(2, 4, 6)).all()
    answer = engine.run("mixer", **pictures(2))
    assert {name: (value.shape, value.dtype.name) for name, value in answer.items()} == {
        "picture": ((2, 3, 12, 12), "float32"),
        "logits": ((2, 5), "float32"),
    }


@pytest.mark.parametrize(
    ("arrays", "complaint"),
    [
        ({}, "at least one array"),
        ({"image": rows(1, np.nan)}, "image contains values that are not finite"),
        ({"image": rows(1, np.inf)}, "image contains values that are not finite"),
        ({"image": rows(1).astype(np.float64)}, "image must be a float32 array"),
        ({"image": [[1.0, 2.0]]}, "image must be a float32 array"),
        ({"image": np.float32(1)}, "image must be a float32 array"),
        ({"image": rows()}, "one batch size of at least 1"),
        ({"image": rows(1, 2), "strength": rows(1)}, "one batch size of at least 1"),
    ],
)
def test_arrays_are_checked_before_they_wait(engine, arrays, complaint):
    with pytest.raises(ValueError, match=complaint):
        engine.run("double", **arrays)


def test_an_unknown_network_is_named_with_close_ones(engine):
    with pytest.raises(UnknownModel, match="double"):
        engine.run("doubel", image=rows(1))


def test_sixteen_threads_get_their_own_answers(engine):
    wrong = []

    def ask(seed: int) -> None:
        generator = np.random.default_rng(seed)
        for _ in range(10):
            image = generator.uniform(0, 1, (int(generator.integers(1, 4)), 2)).astype(np.float32)
            name, factor = [("double", 2), ("triple", 3)][int(generator.integers(2))]
            if not np.array_equal(engine.run(name, image=image), image * np.float32(factor)):
                wrong.append(seed)

    for thread in in_threads([lambda seed=seed: ask(seed) for seed in range(16)]):
        thread.join(20)
        assert not thread.is_alive()
    assert wrong == []


def test_weights_are_loaded_once(engine, store, monkeypatch):
    loads, load = [], store.load
    monkeypatch.setattr(store, "load", lambda card: (loads.append(card.id), load(card))[1])
    for _ in range(3):
        engine.run("double", image=rows(1))
    assert loads == ["double"] * 2  # once to have it here before it waits, once to load it


def test_replaced_weights_are_another_network(engine, store):
    assert engine.run("double", image=rows(1))[0, 0] == 2
    add_network(store, "double", weight=5.0, ballast=999)
    assert engine.run("double", image=rows(1))[0, 0] == 5


# --- batches ------------------------------------------------------------------------------------------------------------------


def test_requests_that_wait_together_are_one_pass_where_the_device_joins_rows(engine, monkeypatch):
    monkeypatch.setitem(engine_module.ROWS_PER_PASS, "cpu", 32)
    answers = run_waiting(engine, rows(1), rows(2, 3), rows(4))
    assert PASSES == [(2.0, 4)]
    assert [answer[:, 0].tolist() for answer in answers] == [[2], [4, 6], [8]]


def test_on_a_cpu_each_row_is_a_pass_of_its_own(engine):
    run_waiting(engine, rows(1), rows(2, 3))
    assert PASSES == [(2.0, 1)] * 3


def test_a_batch_is_bounded_and_continues_next_turn(engine, monkeypatch):
    monkeypatch.setitem(engine_module.ROWS_PER_PASS, "cpu", 32)
    answers = run_waiting(engine, rows(*range(10)), rows(10))
    assert PASSES == [(2.0, 8), (2.0, 3)]
    assert answers[0][:, 0].tolist() == [2 * i for i in range(10)]


def test_other_shapes_are_another_batch(engine, monkeypatch):
    monkeypatch.setitem(engine_module.ROWS_PER_PASS, "cpu", 32)
    engine.run("double", image=np.ones((1, 3), np.float32))
    answers = run_waiting(engine, rows(1), np.ones((1, 3), np.float32), rows(2))
    assert PASSES == [(2.0, 2), (2.0, 1)]
    assert [answer.shape for answer in answers] == [(1, 2), (1, 3), (1, 2)]


def test_the_company_changes_no_bit(engine):
    arrays = pictures(7)
    together = engine.run("mixer", **arrays)
    for i in (0, 3, 6):
        alone = engine.run("mixer", **{name: array[i : i + 1] for name, array in arrays.items()})
        assert all(np.array_equal(alone[name][0], together[name][i]) for name in together)


def test_an_error_reaches_the_guilty_request_only(engine):
    answers = run_waiting(engine, rows(1), rows(-1), rows(3))
    assert answers[0][0, 0] == 2
    assert isinstance(answers[1], RuntimeError) and "refuse this row" in str(answers[1])
    assert answers[2][0, 0] == 6


# --- fair turns ---------------------------------------------------------------------------------------------------------------


def test_a_request_waits_for_one_step_of_a_long_job_at_most(engine):
    engine.run("double", image=rows(1))
    steps, passes_before = [], len(PASSES)

    def job(session):
        for step in range(400):
            steps.append(step)
            if step == 5:
                in_threads([lambda: engine.run("double", image=rows(1))])
                until(lambda: engine.status().waiting == 1)
            if step == 6:
                assert len(PASSES) == passes_before + 1  # served between step 5 and step 6
            yield step

    assert list(engine.stream(job))[-1] == 399
    assert steps == list(range(400))


def test_jobs_take_turns(engine):
    order = []

    def job(name):
        for _ in range(3):
            order.append(name)
            yield

    with Held(engine):
        streams = [engine.stream(lambda session, name=name: job(name)) for name in "ABC"]
    for stream in streams:
        list(stream)
    assert order == list("ABCABCABC")


def test_a_flood_of_requests_does_not_starve_a_job(engine):
    engine.run("double", image=rows(1))
    PASSES.clear()
    passes_at_step = []

    def job(session):
        for _ in range(10):
            passes_at_step.append(len(PASSES))
            yield

    stop = threading.Event()
    threads = in_threads([lambda: [engine.run("double", image=rows(1)) for _ in iter(stop.is_set, True)]] * 4)
    list(engine.stream(job))
    stop.set()
    for thread in threads:
        thread.join(10)
    assert max(np.diff(passes_at_step)) <= 4  # one request of each thread between two steps


def test_a_large_request_lets_a_small_one_pass(engine):
    for name in ("double", "triple"):
        engine.run(name, image=rows(1))
    with Held(engine):
        threads = in_threads([lambda: engine.run("double", image=rows(*range(100)))])
        until(lambda: engine.status().waiting == 1)
        threads += in_threads([lambda: engine.run("triple", image=rows(1))])
        until(lambda: engine.status().waiting == 2)
        PASSES.clear()
    for thread in threads:
        thread.join(10)
    assert PASSES.index((3.0, 1)) == 8  # after one turn's rows of the large one


# --- streams ------------------------------------------------------------------------------------------------------------------


def forever(held: list, ended: list):
    def job(session):
        class Big:
            pass

        big = Big()
        held.append(weakref.ref(big))
        try:
            while True:
                yield "step"
        finally:
            ended.append(big is not None)

    return job


def test_a_slow_consumer_gets_the_latest_value_and_always_the_last(engine):
    done = threading.Event()

    def job(session):
        for step in range(100):
            if step == 99:
                done.set()
            yield step

    stream = engine.stream(job)
    assert done.wait(10)  # the job was not held up by a consumer that takes nothing
    until(lambda: engine.status().jobs == 0)
    assert list(stream) == [99]


def test_a_stream_is_like_a_generator(engine):
    def job(session):
        yield 1
        return "result"

    def outer():
        result.append((yield from engine.stream(job)))

    result: list = []
    assert list(outer()) == [1] and result == ["result"]


def test_a_consumer_that_keeps_up_sees_every_step(engine):
    taken = threading.Semaphore(0)

    def job(session):
        for step in range(5):
            yield step
            taken.acquire(timeout=10)

    seen = []
    for step in engine.stream(job):
        seen.append(step)
        taken.release()
    assert seen == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("how", ["close", "closing", "garbage", "generator"])
def test_stopping_runs_finally_and_frees_what_the_job_held(engine, how):
    held, ended = [], []
    stream = engine.stream(forever(held, ended))
    assert next(stream) == "step"
    if how == "close":
        stream.close()
        assert list(stream) == []
    elif how == "closing":
        with contextlib.closing(stream):
            next(stream)
    elif how == "generator":  # as a pipeline that wraps the stream and is closed by the page

        def wrapped(inner):
            yield from inner

        outer = wrapped(stream)
        next(outer)
        outer.close()
    if how == "garbage":
        del stream
        until(lambda: ended)
    assert ended == [True]
    until(lambda: engine.status().jobs == 0)
    gc.collect()
    assert held[0]() is None


def test_a_job_that_never_had_a_turn_can_be_stopped(engine):
    started = []

    def job(session):
        started.append(1)
        yield

    with Held(engine):
        stream = engine.stream(job)
        stream._job.stopped = True
    stream.close()
    assert started == []


def test_an_exception_comes_out_at_the_consumer_once(engine):
    def job(session):
        yield 1
        raise KeyError("lost")

    stream = engine.stream(job)
    with pytest.raises(KeyError, match="lost"):
        list(stream)
    assert list(stream) == []
    assert engine.run("double", image=rows(1))[0, 0] == 2


def test_a_job_has_gradients_and_run_has_none(engine):
    def job(session):
        code = torch.ones(1, 2, requires_grad=True, device=session.device)
        session.network("triple")(code).sum().backward()
        yield code.grad.tolist()

    engine.run("triple", image=rows(1))  # weights loaded for run must serve gradients too
    assert list(engine.stream(job)) == [[[3.0, 3.0]]]


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, lambda: torch.autocast("cpu", torch.bfloat16)])
def test_a_job_that_yields_inside_a_mode_of_torch_does_not_spread_it(engine, mode):
    def careless(session):
        with mode():
            for _ in range(50):
                yield

    def careful(session):
        for _ in range(5):
            yield torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.is_autocast_enabled("cpu")

    with Held(engine):
        first, second = engine.stream(careless), engine.stream(careful)
    assert set(second) == {(True, False, False)}
    first.close()


def test_a_job_may_run_networks_in_its_step(engine):
    def job(session):
        yield engine.run("double", image=rows(*range(20)))[:, 0].tolist()

    assert list(engine.stream(job)) == [[2 * i for i in range(20)]]


def test_a_job_cannot_wait_for_another(engine):
    def job(session):
        next(engine.stream(lambda session: iter(())))
        yield

    with pytest.raises(RuntimeError, match="cannot wait for another job"):
        list(engine.stream(job))


# --- memory -------------------------------------------------------------------------------------------------------------------


def loaded(engine) -> list[str]:
    return [network.card_id for network in engine.status().networks]


def test_the_least_recently_used_network_goes(store):
    add_network(store, "quadruple", weight=4.0, ballast=999)
    with Engine("cpu", memory_budget=8000, store=store) as engine:
        for name in ("double", "triple", "double", "quadruple"):
            engine.run(name, image=rows(1))
        assert loaded(engine) == ["double", "quadruple"]
        assert engine.status().memory == 8000
        assert engine.run("triple", image=rows(1))[0, 0] == 3


def test_a_network_of_a_running_job_stays(store):
    def job(session):
        session.network("double")
        session.network("double")
        while True:
            yield

    with Engine("cpu", memory_budget=4000, store=store) as engine:
        stream = engine.stream(job)
        next(stream)
        engine.run("triple", image=rows(1))
        assert loaded(engine) == ["double", "triple"]
        stream.close()
        engine.run("triple", image=np.ones((1, 3), np.float32))
        assert loaded(engine) == ["triple"]


def test_compiled_shapes_of_a_network_are_bounded(engine):
    for width in range(1, 8):
        engine.run("double", image=np.ones((1, width), np.float32))
    assert len(next(iter(engine._networks._loaded.values())).choices) == 4


# --- status and end -----------------------------------------------------------------------------------------------------------


def test_status_tells_what_is_loaded_and_who_waits(engine):
    empty = engine.status()
    assert (empty.networks, empty.waiting, empty.jobs, empty.memory) == ((), 0, 0, 0)
    engine.run("double", image=rows(1))
    with Held(engine):
        thread = in_threads([lambda: engine.run("double", image=rows(1))])[0]
        until(lambda: engine.status().waiting == 1)
        status = engine.status()
    thread.join(10)
    network = status.networks[0]
    assert (network.card_id, network.precision, network.nbytes, network.note) == ("double", "torch fp32", 4000, "")
    assert status.jobs == 1 and status.device.startswith("CPU")
    until(lambda: engine.status().jobs == 0)
    assert engine.status().waiting == 0


def test_closing_ends_jobs_and_those_who_wait(store):
    engine, held, ended, failures = Engine("cpu", store=store), [], [], []
    stream = engine.stream(forever(held, ended))
    next(stream)

    def ask():
        try:
            engine.run("double", image=rows(1))
        except RuntimeError as error:
            failures.append(str(error))

    with Held(engine):
        thread = in_threads([ask])[0]
        until(lambda: engine.status().waiting == 1)
        closer = in_threads([engine.close])[0]
        until(lambda: engine._closing)
    thread.join(10), closer.join(10)
    assert failures == ["The engine is closed: start the studio again."]
    assert ended == [True] and engine.status().memory == 0
    with pytest.raises(RuntimeError, match="closed"):
        list(stream)
    engine.close()


def test_a_closed_engine_says_so(engine):
    engine.close()
    with pytest.raises(RuntimeError, match="closed"):
        engine.run("double", image=rows(1))
    with pytest.raises(RuntimeError, match="closed"):
        engine.stream(lambda session: iter(()))


def test_a_device_that_is_not_there_is_refused(store):
    with pytest.raises(ValueError, match="auto, cpu and cuda"):
        Engine("tpu", store=store)
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="No CUDA device"):
            Engine("cuda", store=store)


def test_fetch_says_what_is_wrong_before_anything_runs(tmp_path):
    store = store_of_three(tmp_path)
    with Engine("cpu", store=store) as engine:
        card = store.registry.list_models()[0]
        engine.fetch(card.id)
        (store.embedded_dir / card.file).write_bytes(b"cut")
        with pytest.raises(CheckpointError, match=card.file):
            engine.fetch(card.id)
        with pytest.raises(UnknownModel):
            engine.fetch("nobody")
