"""What goes wrong below the engine reaches the one who asked, and nobody else."""

import numpy as np
import pytest

from studio.core import backends
from studio.core.checkpoints import CheckpointError
from studio.core.engine import Engine
from tests.engines import add_network, store_of_three

ONE = np.ones((1, 2), np.float32)


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(backends, "candidates", lambda device: [])
    return store_of_three(tmp_path)


@pytest.fixture
def engine(store):
    with Engine("cpu", store=store) as engine:
        yield engine
        assert (engine.run("double", image=ONE) == 2).all()  # whatever happened, it serves on


def test_a_tampered_checkpoint_is_refused_by_name(engine, store):
    path = store.embedded_dir / "triple.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(CheckpointError, match=r"triple\.safetensors is damaged"):
        engine.run("triple", image=ONE)


def test_a_missing_checkpoint_is_refused_by_name(engine, store):
    (store.embedded_dir / "triple.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"triple\.safetensors is missing"):
        engine.run("triple", image=ONE)
    with pytest.raises(CheckpointError, match=r"triple\.safetensors is missing"):
        list(engine.stream(lambda session: iter([session.network("triple")])))


def test_a_missing_checkpoint_that_comes_back_is_used(engine, store):
    path = store.embedded_dir / "triple.safetensors"
    content = path.read_bytes()
    path.unlink()
    with pytest.raises(CheckpointError):
        engine.run("triple", image=ONE)
    path.write_bytes(content)
    assert (engine.run("triple", image=ONE) == 3).all()


def test_weights_of_another_network_are_refused(engine, store):
    card = add_network(store, "triple", weight=3.0, ballast=7)
    store.registry.add(type(card).from_dict({**card.to_dict(), "config": {"ballast": 8}}))
    with pytest.raises(CheckpointError, match=r"triple\.safetensors does not fit"):
        engine.run("triple", image=ONE)


def test_a_network_without_code_is_refused(engine, store):
    card = add_network(store, "triple", weight=3.0)
    store.registry.add(type(card).from_dict({**card.to_dict(), "family": "forgotten"}))
    with pytest.raises(KeyError, match="update the studio"):
        engine.run("triple", image=ONE)


def test_values_that_are_not_finite_are_an_error_of_that_input(engine):
    with pytest.raises(RuntimeError, match="double gave values that are not finite"):
        engine.run("double", image=-2 * ONE)


def test_wrong_names_and_shapes_are_errors_of_the_caller(engine):
    with pytest.raises(TypeError, match="picture"):
        engine.run("double", picture=ONE)
    with pytest.raises(RuntimeError):
        engine.run("mixer", image=ONE, strength=ONE)


def test_a_network_that_forgets_the_batch_is_refused(engine, store):
    add_network(store, "shapeless", family="shapeless")
    with pytest.raises(ValueError, match="batch size"):
        engine.run("shapeless", image=ONE)


@pytest.mark.parametrize("error", [ValueError, MemoryError, SystemExit, KeyboardInterrupt])
def test_whatever_a_job_raises_the_worker_survives(engine, error):
    def job(session):
        session.network("triple")
        yield
        raise error

    with pytest.raises(error):
        list(engine.stream(job))
    assert engine.status().jobs == 0


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # Python's own complaint about the second job
def test_a_job_that_fails_or_clings_while_it_is_stopped_ends(engine, caplog):
    def fails(session):
        try:
            while True:
                yield 1
        finally:
            raise ValueError("in the cleaning up")

    def clings(session):
        while True:
            try:
                yield 1
            except GeneratorExit:
                pass

    for job in (fails, clings):
        stream = engine.stream(job)
        next(stream)
        stream.close()
        assert engine.status().jobs == 0
    assert "in the cleaning up" in caplog.text and "ignored GeneratorExit" in caplog.text


def test_a_function_that_is_no_generator_is_an_error_of_the_consumer(engine):
    with pytest.raises(TypeError):
        next(engine.stream(lambda session: 3))


@pytest.mark.parametrize("damage", ["truncated", "changed", "empty", "text", "folder"])
def test_a_damaged_compiled_network_is_made_again(tmp_path, monkeypatch, caplog, damage):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(backends, "candidates", lambda device: ["openvino fp32"])
    store = store_of_three(tmp_path)
    arrays = {"image": np.ones((1, 3, 8, 8), np.float32), "strength": np.ones((1, 16), np.float32)}
    with Engine("cpu", store=store) as engine:
        wanted = engine.run("mixer", **arrays)
    kept = next((tmp_path / "home" / "imaginarium" / "openvino").glob("*.form"))
    content = kept.read_bytes()
    if damage == "folder":
        kept.unlink()
        kept.mkdir()
    else:
        half = len(content) // 2
        changed = content[:half] + bytes([content[half] ^ 1]) + content[half + 1 :]
        kept.write_bytes({"truncated": content[:half], "changed": changed, "empty": b"", "text": b"hello\n"}[damage])
    with Engine("cpu", store=store) as engine:
        again = engine.run("mixer", **arrays)
    assert all(np.array_equal(again[name], wanted[name]) for name in wanted)
    if damage != "folder":
        assert kept.read_bytes()[:40] == content[:40]
        assert "will be made again" in caplog.text


def test_a_cache_that_cannot_be_written_costs_only_time(store, monkeypatch, tmp_path, caplog):
    (tmp_path / "file").write_text("a file where the folder should be")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with Engine("cpu", store=store) as engine:
        assert (engine.run("double", image=ONE) == 2).all()
    assert "could not be kept" in caplog.text


def test_a_compiler_that_fails_is_named_in_the_status(store, monkeypatch, caplog):
    monkeypatch.setattr(backends, "candidates", lambda device: ["openvino bf16", "torch bf16"])
    monkeypatch.setattr(backends, "compile_openvino", lambda *rest: 1 / 0)
    with Engine("cpu", store=store) as engine:
        engine.run("double", image=ONE)
        network = engine.status().networks[0]
    assert network.precision == "torch bf16" and network.note == "openvino bf16 failed (division by zero)"
    assert "double runs in torch bf16: openvino bf16 failed" in caplog.text
