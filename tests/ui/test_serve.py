"""Flags, passwords and the share link, without a page."""

from __future__ import annotations

import pytest

from studio.ui import serve


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
