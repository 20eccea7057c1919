"""The real Hugging Face client against a Hub of our own: whatever the Hub does, nothing half-written counts."""

import errno
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
from huggingface_hub import constants, file_download

from studio.cli import main
from studio.core import checkpoints
from studio.core.checkpoints import CheckpointError
from studio.core.registry import Registry
from tests.faults.hub_server import NEW_COMMIT, TOKEN, FakeHub
from tests.tiny import COMMIT, HUB, card_of, kin_of, kin_weights, store_in, weights

BIG = weights(width=40_000)  # 1.1 MB: several chunks on the wire
CARD = card_of(BIG, hub=HUB, config={"width": 40_000})


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """The local Hub with one file; the client may reach nothing else and knows no token."""
    with FakeHub() as server:
        server.repos[HUB["repo_id"]] = {COMMIT: {HUB["filename"]: BIG}}
        monkeypatch.setenv("HF_ENDPOINT", server.endpoint)
        monkeypatch.delenv("HF_TOKEN", raising=False)
        monkeypatch.delenv("HUGGING_FACE_HUB_TOKEN", raising=False)
        for name, value in {
            "DOWNLOAD_CHUNK_SIZE": 64 * 1024,  # for progress and resumption within a megabyte
            "HF_HUB_DISABLE_XET": True,
            "HF_HUB_DISABLE_TELEMETRY": True,
            "HF_HUB_OFFLINE": False,
            "HF_TOKEN_PATH": str(tmp_path / "no-token"),
            "AGENT_HARNESSES_PATH": str(tmp_path / "no-registry"),
        }.items():
            monkeypatch.setattr(constants, name, value)
        monkeypatch.setattr(file_download, "time", SimpleNamespace(sleep=lambda seconds: None))  # between two retries
        foreign = _only_local(monkeypatch)
        yield server
        assert not foreign, f"the client tried to reach {foreign}"


def _only_local(monkeypatch) -> list[str]:
    """Fails every look-up of another host, and lists them."""
    foreign, real = [], socket.getaddrinfo

    def look_up(host, *args, **kwargs):
        if host not in ("127.0.0.1", "localhost"):
            foreign.append(str(host))
            raise socket.gaierror("only the local Hub is reachable in tests")
        return real("127.0.0.1", *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return foreign


@pytest.fixture
def store(tmp_path, hub, monkeypatch):
    store = store_in(tmp_path, CARD)
    monkeypatch.setattr(checkpoints, "default_store", lambda: store)
    return store


def refused(store, card=CARD) -> str:
    """The sentence of a pull that fails; it names the file and leaves nothing behind."""
    with pytest.raises(CheckpointError) as caught:
        store.pull(card)
    text = str(caught.value)
    assert card.file in text and "\n" not in text and text.endswith(".")
    assert not store.cache_dir.exists() or not list(store.cache_dir.iterdir())
    return text


def test_a_pull_brings_the_file_whole_and_counts_its_bytes(store, hub):
    seen = []
    path = store.pull(CARD, lambda done, total: seen.append((done, total)))
    assert path.read_bytes() == BIG and list(store.cache_dir.iterdir()) == [path]
    assert seen[-1] == (len(BIG), len(BIG)) and seen == sorted(seen) and len(seen) > 5
    assert store.locate(CARD) == path and store.verify(CARD).state == "ok"


def test_a_missing_file_is_pulled_when_it_is_needed_and_only_once(store, hub):
    assert store.verify(CARD).state == "remote"
    assert store.load(CARD)["0.weight"].shape == (40_000, 3)
    asked = len(hub.requests)
    store.load(CARD)
    assert len(hub.requests) == asked


def test_networks_are_brought_one_after_the_other_with_every_byte_counted(store, hub):
    seen = list(store.bring([CARD, card_of(BIG, id="again", hub=HUB, config={"width": 40_000})]))
    assert seen[-1] == (2 * len(BIG), 2 * len(BIG)) and seen == sorted(seen)
    assert store.has(CARD) and len(hub.asked("GET", "/cdn/")) == 1  # the same file is pulled once
    assert list(store.bring([CARD])) == [(0, 0)] and len(hub.asked("GET", "/cdn/")) == 1


def test_a_card_is_brought_and_pulled_with_its_base(store, hub, capsys):
    kin = kin_of(CARD, hub=HUB | {"filename": "kin.safetensors"})
    store.registry.add(kin)
    hub.repos[HUB["repo_id"]][COMMIT]["kin.safetensors"] = kin_weights()
    assert main(["pull", "kin", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [(row["id"], row["pulled"]) for row in rows] == [("tiny", True), ("kin", True)]
    shutil.rmtree(store.cache_dir)
    assert list(store.bring([kin]))[-1] == (kin.size + CARD.size,) * 2 and store.has(CARD) and store.has(kin)


def test_a_closed_iterator_stops_the_download_and_leaves_nothing_behind(store, hub):
    hub.delay = 0.5
    steps = store.bring([CARD])
    next(steps)
    steps.close()
    for thread in [thread for thread in threading.enumerate() if thread.name == "pull"]:
        thread.join(20)
    assert not store.has(CARD) and not list(store.cache_dir.iterdir())
    hub.delay = 0
    assert list(store.bring([CARD]))[-1] == (len(BIG), len(BIG)) and store.has(CARD)


def test_two_who_want_one_network_wait_for_one_download(store, hub):
    hub.delay = 0.3
    first, second = store.bring([CARD]), store.bring([CARD])
    next(first), next(second)
    assert list(first)[-1] == list(second)[-1] == (len(BIG), len(BIG))
    assert len(hub.asked("GET", "/cdn/")) == 1


def test_a_damaged_file_is_brought_anew_and_a_hub_that_is_down_is_one_sentence(store, hub):
    store.embedded_dir.joinpath(CARD.file).write_bytes(BIG[:-1])
    hub.status = 503
    with pytest.raises(CheckpointError, match="pull tiny"):
        list(store.bring([CARD]))
    hub.status = 0
    list(store.bring([CARD]))
    assert store.locate(CARD).parent == store.cache_dir


@pytest.mark.parametrize("revision", ["main", "v1.0", COMMIT[:39], COMMIT.upper(), COMMIT + "\n", ""])
def test_a_revision_that_can_change_is_refused_before_any_request(store, hub, revision):
    assert "40 hexadecimal digits" in refused(store, card_of(BIG, hub={**HUB, "revision": revision}))
    assert not hub.requests


def test_a_connection_cut_in_the_middle_is_resumed(store, hub):
    hub.cuts = [300_000, 300_000]
    seen = []
    assert store.pull(CARD, lambda done, total: seen.append(done)).read_bytes() == BIG
    ranges = [headers["Range"] for headers in hub.asked("GET", "/cdn/") if "Range" in headers]
    assert len(ranges) == 2 and ranges[0] < ranges[1] and seen[-1] == len(BIG) and seen == sorted(seen)


def test_a_cut_connection_without_ranges_starts_again(store, hub):
    hub.cuts, hub.ranges = [300_000], False
    seen = []
    assert store.pull(CARD, lambda done, total: seen.append(done)).read_bytes() == BIG
    assert seen[-1] == len(BIG)


def test_a_connection_that_is_always_cut_is_one_sentence(store, hub):
    hub.cuts = [0] * 50
    text = refused(store)
    assert "was cut" in text and "`python -m studio pull tiny`" in text


def test_a_slow_hub_is_waited_for(store, hub):
    hub.delay = 0.2
    assert store.pull(CARD).read_bytes() == BIG


def test_a_hub_that_stalls_is_one_sentence(store, hub, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 0.02)
    hub.delay, hub.ranges = 0.5, False
    hub.swapped = b"x" * 2
    hub.stated_size = len(BIG)
    assert "check the network" in refused(store)


def test_another_file_of_the_same_size_is_not_kept(store, hub):
    hub.swapped = BIG[:-1] + bytes([BIG[-1] ^ 1])
    assert "is not the file that card tiny describes" in refused(store)


def test_a_file_of_another_size_is_not_even_downloaded(store, hub):
    hub.stated_size = 50 * 1024**3
    assert f"{50 * 1024**3} bytes on the Hub" in refused(store)
    assert not hub.asked("GET")


def test_a_shorter_file_than_announced_is_not_kept(store, hub):
    hub.swapped = BIG[: len(BIG) // 2]
    refused(store)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"repo_id": "studio/nowhere"}, "hf auth login"),
        ({"revision": "a" * 40}, "does not have it at the commit"),
        ({"filename": "other.safetensors"}, "does not have it at the commit"),
        ({"repo_id": "not a name"}, "owner/name"),
    ],
)
def test_what_the_hub_does_not_have_is_one_sentence(store, hub, change, said):
    assert said in refused(store, card_of(BIG, hub={**HUB, **change}))


@pytest.mark.parametrize(
    ("status", "said"),
    [(401, "hf auth login"), (403, "hf auth login"), (404, "404"), (429, "429"), (500, "500"), (503, "503")],
)
def test_a_refusal_is_one_sentence(store, hub, status, said):
    hub.status = status
    assert said in refused(store)


def test_a_private_repository_needs_the_token_which_the_cdn_never_sees(store, hub, monkeypatch):
    hub.private.add(HUB["repo_id"])
    assert "hf auth login" in refused(store)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert store.pull(CARD).read_bytes() == BIG
    assert hub.asked("GET", "/cdn/") and not any("Authorization" in headers for headers in hub.asked("GET", "/cdn/"))


def test_no_hub_at_all_is_one_sentence(store, monkeypatch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{free.getsockname()[1]}")
    assert "check the network" in refused(store)


def test_offline_asks_nobody_and_says_so(store, hub, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert "HF_HUB_OFFLINE is set" in refused(store)
    assert not hub.requests


def test_offline_uses_what_is_here(store, hub, monkeypatch):
    store.pull(CARD)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert store.load(CARD)["0.weight"].shape == (40_000, 3)


def test_a_disk_without_room_is_seen_before_the_download(store, hub, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=len(BIG) - 1))
    assert "is full, free 1 MB" in refused(store)
    assert not hub.requests


def test_a_disk_that_fills_up_meanwhile_is_one_sentence(store, hub, monkeypatch):
    def fill(url, file, **_):
        file.write(BIG[: len(BIG) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(file_download, "http_get", fill)
    assert "is full, free 1 MB" in refused(store)


def test_a_cache_that_cannot_be_written_is_one_sentence(store, hub):
    store.cache_dir.write_text("a file where the folder should be")
    with pytest.raises(CheckpointError, match="cannot be written"):
        store.pull(CARD)


def test_a_stop_in_the_middle_leaves_nothing(store, hub):
    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.pull(CARD, stop)
    assert not list(store.cache_dir.iterdir())


def test_a_failed_pull_keeps_the_good_file(store, hub):
    path = store.pull(CARD)
    hub.swapped = BIG[::-1]
    with pytest.raises(CheckpointError):
        store.pull(CARD)
    assert list(store.cache_dir.iterdir()) == [path] and store.locate(CARD) == path


def test_a_bad_file_in_the_clients_shared_cache_does_not_come_back(store, hub, tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "shared"))
    bad = tmp_path / "shared" / "models--studio--weights" / "snapshots" / COMMIT / HUB["filename"]
    bad.parent.mkdir(parents=True)
    bad.write_bytes(BIG[::-1])
    assert store.pull(CARD).read_bytes() == BIG


def test_the_bytes_are_on_the_disk_before_the_name(store, hub, monkeypatch):
    steps, sync, rename = [], os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda number: steps.append("bytes") or sync(number))
    monkeypatch.setattr(os, "replace", lambda *paths: steps.append("name") or rename(*paths))
    store.pull(CARD)
    assert steps[-2:] == ["bytes", "name"]


def test_what_a_killed_pull_left_is_swept_and_never_counts(store, hub):
    left, fresh = store.cache_dir / ".pull-dead", store.cache_dir / ".pull-alive"
    for folder in (left, fresh):
        folder.mkdir(parents=True)
        (folder / HUB["filename"]).write_bytes(BIG[:1000])
    os.utime(left, (0, 0))
    assert store.verify(CARD).state == "remote"
    store.pull(CARD)
    assert not left.exists() and fresh.exists()


def test_two_pulls_at_once_leave_one_good_file(store, hub):
    threads = [threading.Thread(target=store.pull, args=(CARD,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [path.read_bytes() for path in store.cache_dir.iterdir()] == [BIG]


def test_push_uploads_weights_card_and_terms_and_pins_the_card(store, hub, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    store.pull(CARD)
    (store.embedded_dir / "MODEL_CARD.md").write_text("research only")
    entry = store.push(CARD, "artist/weights")
    assert entry == {"repo_id": "artist/weights", "revision": NEW_COMMIT, "filename": CARD.file}
    assert Registry(store.registry.index).card("tiny").hub == entry
    assert list(hub.uploads) == [CARD.sha256] and hub.uploads[CARD.sha256] == BIG
    committed = {item["value"]["path"]: item["key"] for item in hub.commits[0][1:]}
    assert committed == {"tiny.safetensors": "lfsFile", "tiny.json": "file", "README.md": "file"}


def test_push_without_token_or_terms_uploads_nothing(store, hub, monkeypatch):
    store.pull(CARD)
    asked = len(hub.requests)
    with pytest.raises(CheckpointError, match="never leave without their terms"):
        store.push(CARD, "artist/weights")
    (store.embedded_dir / "MODEL_CARD.md").write_text("research only")
    with pytest.raises(CheckpointError, match="hf auth login"):
        store.push(CARD, "artist/weights")
    assert len(hub.requests) == asked
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    with pytest.raises(CheckpointError, match="hf auth login"):
        store.push(CARD, "artist/weights")
    assert store.registry.card("tiny") == CARD and not hub.commits


def test_the_command_line_pulls_and_verifies(store, hub, capsys):
    assert main(["pull", "tiny", "--json"]) == 0
    [row] = json.loads(capsys.readouterr().out)
    assert row["pulled"] and Path(row["path"]).read_bytes() == BIG
    assert main(["pull", "tiny", "--json"]) == 0 and not json.loads(capsys.readouterr().out)[0]["pulled"]
    assert main(["verify", "--json"]) == 0 and json.loads(capsys.readouterr().out)[0]["state"] == "ok"


@pytest.mark.parametrize("fault", [{"status": 503}, {"cuts": [0] * 50}])
def test_the_command_line_says_what_is_wrong_in_one_line(store, hub, capsys, caplog, fault):
    vars(hub).update(fault)
    assert main(["pull", "tiny", "--json"]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("error: tiny.safetensors cannot be pulled") and err.count("\n") == 1
    assert not [record for record in caplog.records if record.name.startswith("huggingface_hub")]


def test_a_process_of_its_own_respects_the_environment(tmp_path, hub):
    """HF_HUB_OFFLINE is read by the client when it is imported, so a fresh one has to see it."""
    code = f"""
from pathlib import Path
from studio.core.checkpoints import CheckpointStore, CheckpointError
from studio.core.registry import Card, Registry
card = Card(**{CARD.to_dict()!r})
try:
    CheckpointStore(Registry(Path('none')), Path('none'), Path({str(tmp_path)!r})).pull(card)
except CheckpointError as error:
    print(error)
"""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert "HF_HUB_OFFLINE is set" in done.stdout and not hub.requests
