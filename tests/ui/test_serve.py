"""Flags, passwords and the share link, without a page."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import httpx
import pytest
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

from studio.ui import serve
from studio.ui.guard import KeepFiles
from studio.ui.thumbnails import Thumbnails


def test_without_flags_only_this_machine_is_served(monkeypatch):
    monkeypatch.delenv("SPACE_ID", raising=False)
    settings = serve.parse([])
    assert (settings.host, settings.port, settings.share, settings.auth, settings.public) == ("127.0.0.1", 7860, False, (), False)


def test_a_space_needs_no_flags(monkeypatch):
    monkeypatch.setenv("SPACE_ID", "someone/imaginarium")
    settings = serve.parse([])
    assert settings.host == "0.0.0.0" and settings.public


def test_a_shared_studio_asks_for_a_password_that_is_printed_once(capsys):
    ((user, password),) = serve.parse(["--share"]).auth
    assert capsys.readouterr().out.count(f"{user} / {password}") == 1
    assert serve.parse(["--share"]).auth != ((user, password),)


def test_a_shared_studio_can_be_open_or_have_its_own_passwords(tmp_path, capsys):
    assert serve.parse(["--share", "--no-auth"]).auth == ()
    file = tmp_path / "people"
    file.write_text("# friends\nada:one:two\n\nbob:three\n")
    assert serve.parse(["--share", "--auth", str(file)]).auth == (("ada", "one:two"), ("bob", "three"))
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("text", "word"), [("ada\n", "Line 1"), ("", "names nobody"), (":x\n", "Line 1"), (None, "cannot be read")]
)
def test_a_password_file_that_is_wrong_is_one_sentence(tmp_path, capsys, text, word):
    file = tmp_path / "people"
    if text is not None:
        file.write_text(text)
    with pytest.raises(SystemExit):
        serve.parse(["--auth", str(file)])
    assert word in capsys.readouterr().err.strip().splitlines()[-1]


@pytest.mark.parametrize("flags", [["--workers", "0"], ["--auth", "x", "--no-auth"], ["--device", "toaster"]])
def test_flags_that_make_no_sense_are_refused(flags, capsys):
    with pytest.raises(SystemExit):
        serve.parse(flags)
    assert "error" in capsys.readouterr().err


def test_without_internet_the_share_link_is_one_sentence(monkeypatch, capsys):
    from gradio import networking

    def offline(*_):
        raise RuntimeError("Could not get share link from Gradio API Server.")

    monkeypatch.setattr(networking, "setup_tunnel", offline)

    class Page:
        server_name, server_port, share_token, local_url = "127.0.0.1", 7860, "t", "http://127.0.0.1:7860/"

    serve._share(Page())
    out = capsys.readouterr().out
    assert len(out.strip().splitlines()) == 1 and "--host 0.0.0.0" in out and Page.local_url in out


@pytest.mark.parametrize(
    ("flags", "personal"),
    [([], True), (["--host", "::1"], True), (["--host", "0.0.0.0"], False), (["--share"], False), (["--public"], False)],
)
def test_only_a_studio_for_this_machine_shows_the_artists_own_gallery(flags, personal, monkeypatch):
    monkeypatch.delenv("SPACE_ID", raising=False)
    assert serve.parse(flags).personal is personal


def test_a_folder_that_cannot_hold_galleries_is_one_sentence(monkeypatch, tmp_path):
    (tmp_path / "data").write_text("a file")
    monkeypatch.setenv("IMAGINARIUM_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(serve, "private_cache", lambda: None)
    with pytest.raises(SystemExit, match="cannot hold the gallery"):
        serve.main([])


@pytest.mark.parametrize("flags", [[], ["--host", "127.0.0.1"], ["--host", "localhost"]])
def test_a_space_never_shows_one_gallery_to_everybody(flags, monkeypatch):
    monkeypatch.setenv("SPACE_ID", "someone/imaginarium")
    assert not serve.parse(flags).personal


@pytest.fixture
def opened(monkeypatch):
    """Opens a page of gradio's with the studio's own launch; gives its address."""
    import gradio as gr

    monkeypatch.delenv("SPACE_ID", raising=False)
    pages = []

    def open_page(*flags: str) -> str:
        with gr.Blocks() as page:
            gr.Markdown("a private gallery")
        serve._launch(page, serve.parse([*flags, "--port", str(free_port())]), Thumbnails(lambda token: None))
        pages.append(page)
        return page.local_url

    yield open_page
    for page in pages:
        page.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.parametrize("path", ["", "config", "gradio_api/info"])
def test_the_artists_own_gallery_answers_to_local_names_only(opened, path):
    url = opened()
    port = httpx.URL(url).port
    for host in ("127.0.0.1", "localhost", f"localhost:{port}", f"[::1]:{port}", "LOCALHOST:1"):
        assert httpx.get(url + path, headers={"Host": host}).status_code == 200, host
    for host in ("evil.example", f"evil.example:{port}", "localhost.evil.example", "127.0.0.1.evil.example", "localhost:x", ""):
        answer = httpx.get(url + path, headers={"Host": host})
        assert answer.status_code == 400 and "gallery" in answer.text and len(answer.text) < 200, host


def test_the_newer_local_address_works_too(opened):
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("This machine has no IPv6.")
    url = opened("--host", "::1")
    assert "[::1]" in url and httpx.get(url).status_code == 200
    assert httpx.get(url, headers={"Host": "evil.example"}).status_code == 400


@pytest.mark.parametrize("name", ["X-Forwarded-For", "x-forwarded-host", "X-Forwarded-Proto", "Forwarded"])
def test_the_artists_own_gallery_is_not_shown_through_a_proxy(opened, name):
    answer = httpx.get(opened(), headers={name: "for=203.0.113.7"})
    assert answer.status_code == 403 and "--public or --auth" in answer.text and "\n" not in answer.text


def test_a_public_studio_answers_behind_a_proxy_and_to_any_name(opened):
    answer = httpx.get(opened("--public"), headers={"Host": "studio.example", "X-Forwarded-For": "203.0.113.7"})
    assert answer.status_code == 200


@pytest.mark.parametrize("port", ["0", "-1", "65536", "http", "7860.0", "\N{SUPERSCRIPT TWO}"])
def test_a_port_that_is_none_is_refused(port, capsys):
    with pytest.raises(SystemExit):
        serve.parse([f"--port={port}"])
    assert "from 1 to 65535" in capsys.readouterr().err.strip().splitlines()[-1]


def test_a_taken_port_is_one_sentence(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        command = [sys.executable, "app.py", "--port", str(port), "--device", "cpu"]
        environment = {**os.environ, "IMAGINARIUM_DATA": str(tmp_path)}
        ended = subprocess.run(command, cwd=serve.ROOT, env=environment, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 1 and ended.stdout == ""
    assert ended.stderr == f"Port {port} is taken: is the studio open already? Else choose another with --port.\n"


def test_an_address_of_another_machine_is_not_called_a_taken_port():
    words = serve.why_closed(serve.Settings(host="192.0.2.1", port=free_port()))
    assert "taken" not in words and "192.0.2.1" in words and "--host" in words


@pytest.mark.parametrize(("path", "kept"), [("/gradio_api/file=/c/a.webp", True), ("/gradio_api/file=gone", False), ("/", False)])
def test_a_browser_may_keep_pictures_and_nothing_else(path, kept):
    async def gradio(scope, receive, send):
        status = 404 if "gone" in scope["path"] else 200
        await PlainTextResponse("x", status)(scope, receive, send)

    answer = TestClient(KeepFiles(gradio)).get(path)
    assert ("immutable" in answer.headers.get("Cache-Control", "")) == kept
    assert not kept or "private" in answer.headers["Cache-Control"]
