import hashlib
import os
import pickle

import pytest
import torch
from safetensors.torch import load

from studio.core import checkpoints
from studio.core.checkpoints import CheckpointError, load_into
from studio.core.registry import build
from tests.tiny import HUB, card_of, kin_of, kin_weights, store_in, tinynet, weights

GOOD = weights()


def placed(tmp_path, content=GOOD, card=None, where="pretrained"):
    """A store whose card describes GOOD and whose file holds ``content``."""
    card = card or card_of(GOOD)
    store = store_in(tmp_path, card)
    path = store._places(card)[0 if where == "pretrained" else 1]
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    return store, card, path


def sentence(call) -> str:
    with pytest.raises(CheckpointError) as caught:
        call()
    text = str(caught.value)
    assert "\n" not in text and text.endswith(".")
    return text


def test_embedded_weights_come_first(tmp_path):
    store, card, embedded = placed(tmp_path)
    cached = store._places(card)[1]
    cached.parent.mkdir()
    cached.write_bytes(GOOD)
    assert store.locate(card) == embedded
    embedded.unlink()
    assert store.locate(card) == cached


def test_tensors_are_those_of_the_file(tmp_path):
    store, card, _ = placed(tmp_path)
    loaded = store.load(card)
    assert loaded.keys() == load(GOOD).keys()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in load(GOOD).items())


def test_a_missing_embedded_file_says_how_to_restore_it(tmp_path):
    store = store_in(tmp_path, card_of(GOOD))
    text = sentence(lambda: store.load(card_of(GOOD)))
    assert text.startswith("tiny.safetensors is missing") and "git checkout -- pretrained/tiny.safetensors" in text


@pytest.mark.parametrize(
    "content",
    [b"", GOOD[:-1], GOOD[: len(GOOD) // 2], GOOD + b"\0", GOOD[:-1] + bytes([GOOD[-1] ^ 1]), b"\0" * len(GOOD)],
    ids=["empty", "one byte short", "half", "one byte long", "one bit flipped", "zeros"],
)
def test_a_cut_or_tampered_file_is_refused_by_name(tmp_path, content):
    store, card, path = placed(tmp_path, content)
    text = sentence(lambda: store.load(card))
    assert str(path) in text and "damaged" in text and "git checkout" in text
    assert store.verify(card).state == "damaged"


def test_a_damaged_file_of_the_hub_names_the_pull(tmp_path):
    store, card, _ = placed(tmp_path, GOOD[:-1], card_of(GOOD, hub=HUB), where="cache")
    assert "`python -m studio pull tiny`" in sentence(lambda: store.load(card))


def test_a_pulled_file_mends_a_damaged_embedded_one(tmp_path):
    store, card, _ = placed(tmp_path, GOOD[:-1], card_of(GOOD, hub=HUB))
    cached = store._places(card)[1]
    cached.parent.mkdir()
    cached.write_bytes(GOOD)
    assert store.locate(card) == cached


def test_a_pickle_is_never_opened(tmp_path):
    class Bomb:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "exploded"),)

    content = pickle.dumps(Bomb())
    store, card, _ = placed(tmp_path, content, card_of(content))
    assert "is no safetensors file" in sentence(lambda: store.load(card))
    assert store.verify(card).state == "misfit"
    assert not (tmp_path / "exploded").exists()


def test_a_file_is_hashed_once_until_it_changes(tmp_path, monkeypatch):
    store, card, path = placed(tmp_path)
    hashed = []
    real = hashlib.file_digest
    monkeypatch.setattr(hashlib, "file_digest", lambda file, kind: hashed.append(file.name) or real(file, kind))
    for _ in range(3):
        store.load(card)
    assert hashed == [str(path)]
    path.write_bytes(GOOD[:-1] + bytes([GOOD[-1] ^ 1]))
    os.utime(path, ns=(1, 1))
    sentence(lambda: store.load(card))
    assert len(hashed) == 2


def test_a_file_of_another_size_is_not_even_hashed(tmp_path, monkeypatch):
    store, card, _ = placed(tmp_path, GOOD[:-1])
    monkeypatch.setattr(hashlib, "file_digest", lambda *_: pytest.fail("hashed a file that is too short"))
    sentence(lambda: store.load(card))


def test_verify_tells_whole_remote_missing_and_misfit_apart(tmp_path):
    store, card, _ = placed(tmp_path)
    assert store.verify(card).ok and store.verify(card).state == "ok"
    absent = card_of(GOOD, id="absent", file="absent.safetensors")
    assert store.verify(absent).state == "missing" and not store.verify(absent).ok
    remote = card_of(GOOD, id="remote", file="absent.safetensors", hub=HUB)
    assert store.verify(remote).state == "remote" and store.verify(remote).ok
    wide = card_of(GOOD, config={"width": 5})
    assert store.verify(wide).state == "misfit" and "0.bias of shape (4,)" in store.verify(wide).message
    assert store.verify(card_of(GOOD, family="gone")).state == "misfit"


def with_kin(tmp_path, content=GOOD, **changes):
    """A store of a whole card that is based on another, whose file holds ``content``; and both cards."""
    base = card_of(GOOD, **changes)
    kin = kin_of(base)
    store = store_in(tmp_path, base, kin)
    (store.embedded_dir / kin.file).write_bytes(kin_weights())
    if content is not None:
        (store.embedded_dir / base.file).write_bytes(content)
    return store, base, kin


def test_a_card_is_loaded_with_its_bases_tensors(tmp_path):
    store, _, kin = with_kin(tmp_path)
    loaded = store.load(kin)
    expected = load(GOOD) | load(kin_weights())
    assert loaded.keys() == expected.keys() and all(torch.equal(loaded[name], tensor) for name, tensor in expected.items())
    load_into(build(kin), loaded)
    assert store.verify(kin).state == "ok" and store.verify(kin).path.endswith(kin.file)


@pytest.mark.parametrize(
    ("content", "changes", "state"),
    [
        (GOOD[:-1], {}, "damaged"),
        (None, {}, "missing"),
        (None, {"hub": HUB}, "remote"),
        (GOOD, {"config": {"width": 5}}, "misfit"),
    ],
)
def test_a_card_is_as_its_base_is(tmp_path, content, changes, state):
    store, base, kin = with_kin(tmp_path, content, **changes)
    status = store.verify(kin)
    assert (status.id, status.state) == ("kin", state) and status.message == store.verify(base).message


@pytest.mark.parametrize("content", [None, GOOD[:-1]])
def test_a_card_without_its_base_names_the_bases_file(tmp_path, content):
    store, base, kin = with_kin(tmp_path, content)
    assert base.file in sentence(lambda: store.load(kin))


def test_weights_of_another_base_are_refused_before_anything_is_downloaded(tmp_path, monkeypatch):
    store, base, kin = with_kin(tmp_path)
    newer = weights(width=5)
    store.registry.add(card_of(newer, id=base.id, config={"width": 5}))
    monkeypatch.setattr(store, "pull", lambda *_: pytest.fail("downloaded for nothing"))
    for call in (lambda: store.load(kin), lambda: list(store.bring([kin]))):
        assert "kin belongs to other weights of tiny" in sentence(call)
    assert store.verify(kin).state == "misfit" and "other weights of tiny" in store.verify(kin).message


def test_load_into_copies_every_tensor(tmp_path):
    store, card, _ = placed(tmp_path)
    network = build(card)
    load_into(network, store.load(card))
    assert all(torch.equal(value, load(GOOD)[name]) for name, value in network.state_dict().items())


def test_half_precision_weights_become_single():
    network = tinynet()
    load_into(network, load(weights(dtype=torch.float16)))
    assert network[0].weight.dtype == torch.float32
    assert torch.allclose(network[0].weight, load(GOOD)["0.weight"], atol=1e-3)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda t: t.pop("0.bias"), "lacks 0.bias"),
        (lambda t: t.update(extra=torch.zeros(1)), "unknown extra"),
        (lambda t: t.update({"0.weight": torch.zeros(4, 2)}), "0.weight of shape (4, 2) where the network has (4, 3)"),
        (lambda t: t.update({"0.bias": torch.zeros(4, dtype=torch.int64)}), "number type of 0.bias"),
    ],
)
def test_weights_of_another_network_change_nothing(change, named):
    network, tensors = tinynet(), load(GOOD)
    change(tensors)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    text = sentence(lambda: load_into(network, tensors, "lion.safetensors"))
    assert text.startswith("lion.safetensors does not fit") and named in text
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_the_default_store_reads_the_embedded_folder_and_the_users_cache(tmp_path, monkeypatch):
    monkeypatch.setattr("platformdirs.user_cache_path", lambda name: tmp_path / name)
    store = checkpoints.default_store.__wrapped__()
    assert store.embedded_dir.name == "pretrained" and store.cache_dir == tmp_path / "imaginarium" / "checkpoints"
    assert not store.cache_dir.exists()
