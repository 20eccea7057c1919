"""Puts the page on the network: flags, passwords, share link, and what may be reached by URL."""

from __future__ import annotations

import argparse
import atexit
import errno
import logging
import os
import secrets
import socket
import sys
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from studio.core.workspace import WorkspaceError, Workspaces

if TYPE_CHECKING:
    import gradio as gr

    from studio.ui.session import Backstage
    from studio.ui.thumbnails import Thumbnails

ROOT = Path(__file__).resolve().parents[2]
QUEUE_LENGTH = 64  # waiting jobs; more are told to come back
THIS_MACHINE = ("127.0.0.1", "localhost", "::1")
MAX_UPLOAD = "60mb"  # as core.images allows
OFFLINE = (
    "No share link could be made, because the internet cannot be reached from here: the studio goes on at {url}, "
    "and people in your network can reach it if you start it with --host 0.0.0.0 instead."
)


@dataclass(frozen=True)
class Settings:
    """How the page is served. ``auth`` lists (user, password); empty lets everybody in."""

    host: str = "127.0.0.1"
    port: int = 7860
    share: bool = False
    auth: tuple[tuple[str, str], ...] = ()
    device: str = "auto"
    workers: int = 4
    public: bool = False

    @property
    def personal(self) -> bool:
        """Only the artist at this computer comes here: everybody else gets a workspace of their own."""
        return self.host in THIS_MACHINE and not (self.share or self.public or self.auth)


def port_number(text: str) -> int:
    """A port to listen on. Raises ``ArgumentTypeError`` with a sentence for anything else."""
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 65535):
        raise argparse.ArgumentTypeError("a port is a whole number from 1 to 65535.")
    return int(text)


def parse(arguments: Sequence[str] | None = None) -> Settings:
    """Settings from command line flags; a Hugging Face Space needs none. Exits with one sentence if they make no sense."""
    on_space = "SPACE_ID" in os.environ
    parser = argparse.ArgumentParser(prog="app.py", description="Imaginarium: a studio for imagined pictures, in the browser.")
    parser.add_argument("--host", default="0.0.0.0" if on_space else "127.0.0.1", help="address to listen on (%(default)s)")
    parser.add_argument("--port", type=port_number, default=7860, help="port to listen on (%(default)s)")
    parser.add_argument("--share", action="store_true", help="make a public link; asks for a password unless --no-auth")
    parser.add_argument("--auth", type=Path, metavar="FILE", help="text file with one user:password per line")
    parser.add_argument("--no-auth", action="store_true", help="let everybody in who has the share link")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="where networks run (%(default)s)")
    parser.add_argument("--workers", type=int, default=4, help="visitors served at the same time (%(default)s)")
    parser.add_argument("--public", action="store_true", default=on_space, help="strangers come here: keep what they make a day")
    given = parser.parse_args(arguments)
    if given.workers < 1:
        parser.error("--workers must be at least 1.")
    if given.auth and given.no_auth:
        parser.error("--auth and --no-auth contradict each other: leave one out.")
    try:
        auth = read_passwords(given.auth) if given.auth else ()
    except ValueError as error:
        parser.error(str(error))
    if given.share and not auth and not given.no_auth:
        auth = (invent_password(),)
    return Settings(given.host, given.port, given.share, auth, given.device, given.workers, given.public)


def read_passwords(file: Path) -> tuple[tuple[str, str], ...]:
    """The (user, password) pairs of a file with one ``user:password`` per line; ``#`` begins a comment line.

    Raises:
        ValueError: one sentence that names the file and the line.
    """
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"The password file {file} cannot be read: check its name and that it is a text file.") from error
    pairs = []
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        user, colon, password = line.strip().partition(":")
        if not (user and colon and password):
            raise ValueError(f"Line {number} of {file} is not of the form user:password.")
        pairs.append((user, password))
    if not pairs:
        raise ValueError(f"The password file {file} names nobody: add a line user:password.")
    return tuple(pairs)


def invent_password() -> tuple[str, str]:
    """A user and a password nobody has chosen, printed once because nothing else knows them."""
    pair = "artist", secrets.token_urlsafe(9)
    print(f"The shared studio asks for a name and a password: {pair[0]} / {pair[1]}", flush=True)
    return pair


def private_cache() -> None:
    """Gives gradio a folder of its own that other users of this machine cannot read, and removes it at the end."""
    folder = tempfile.TemporaryDirectory(prefix="imaginarium-cache-")
    os.environ["GRADIO_TEMP_DIR"] = folder.name
    atexit.register(folder.cleanup)


def main(arguments: Sequence[str] | None = None) -> None:
    """Starts the studio and serves until it is interrupted."""
    settings = parse(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    private_cache()

    # Gradio reads both when it is imported.
    from studio.ui.session import Backstage, embedded_engine

    try:
        workspaces = Workspaces(public=settings.public)
    except WorkspaceError as error:
        sys.exit(str(error))
    serve(Backstage(lambda: embedded_engine(settings.device), workspaces, personal=settings.personal), settings)


def serve(backstage: Backstage, settings: Settings, block: bool = True) -> gr.Blocks:
    """Opens the port, then makes the engine behind it. Returns the page, after it was closed if ``block``."""
    from studio.ui.shell import build_page

    page, tabs = build_page(backstage, "shared by link" if settings.share else _reach(settings.host))
    page.queue(max_size=QUEUE_LENGTH, default_concurrency_limit=settings.workers, api_open=False)
    atexit.register(backstage.close)
    try:
        _launch(page, settings, backstage.thumbnails)
    except OSError:
        sys.exit(why_closed(settings))
    print(f"Imaginarium is open at {page.local_url}", flush=True)
    backstage.start(*(tab.warm_up for tab in tabs))
    if settings.share:
        threading.Thread(target=_share, args=(page,), name="share", daemon=True).start()
    if block:
        page.block_thread()
    return page


def _launch(page: gr.Blocks, settings: Settings, thumbnails: Thumbnails) -> None:
    """Opens the port. Raises ``OSError`` if that is impossible."""
    from starlette.middleware import Middleware

    from studio.ui.guard import KeepFiles, OnlyHere
    from studio.ui.shell import look
    from studio.ui.thumbnails import ServeThumbnails

    layers = [Middleware(OnlyHere)] if settings.personal else []
    layers += [Middleware(ServeThumbnails, thumbnails), Middleware(KeepFiles)]
    page.launch(
        server_name=f"[{settings.host}]" if ":" in settings.host else settings.host,  # as in an address
        server_port=settings.port,
        auth=list(settings.auth) or None,
        app_kwargs={"middleware": layers},
        prevent_thread_lock=True,
        quiet=True,
        inbrowser=False,
        share=False,  # see _share
        footer_links=[],
        run_history=False,
        blocked_paths=[str(ROOT)],
        max_file_size=MAX_UPLOAD,
        enable_monitoring=False,
        ssr_mode=False,
        pwa=False,
        favicon_path=ROOT / "assets" / "favicon.png",
        **look(),
    )


def why_closed(settings: Settings) -> str:
    """After the port could not be opened: what to do. Gradio says only that it found no port, so it is tried again."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        socket.create_server((settings.host, settings.port), family=family).close()
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            return f"Nothing can listen at {settings.host}, port {settings.port}: choose another --host or --port."
    return f"Port {settings.port} is taken: is the studio open already? Else choose another with --port."


def _reach(host: str) -> str:
    return "on this machine" if host in THIS_MACHINE else "open to the network"


def _share(page: gr.Blocks) -> None:
    """Makes the public link behind the local page: without internet gradio's own way waits long and says little."""
    from gradio import networking

    try:
        link = networking.setup_tunnel(page.server_name, page.server_port, page.share_token, None, None)
    except Exception:  # the tunnel fails in many ways, all of which mean the same to the artist
        logging.getLogger(__name__).debug("no tunnel", exc_info=True)
        print(OFFLINE.format(url=page.local_url), flush=True)
    else:
        print(f"Share this link: {link}", flush=True)
