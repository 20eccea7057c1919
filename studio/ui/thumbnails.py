"""The small pictures of the strip, straight from the galleries to the browsers, under addresses that nobody can guess.

Gradio's own way writes each picture into a cache, checks its path against every folder it may serve, twice, and reads it again: a
strip's worth of that is longer than an artist should wait for a filter.
"""

from __future__ import annotations

import hmac
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable

from starlette.concurrency import run_in_threadpool
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from studio.core.gallery import Gallery, GalleryError
from studio.core.workspace import WorkspaceError

FOLDER = "thumbnails/"
MOST = 100_000  # addresses remembered; of more, the oldest end
KEEP = {"Cache-Control": "private, max-age=86400, immutable"}


class Thumbnails:
    """Addresses of small pictures in the galleries that ``open_gallery`` opens by their visitors' tokens; it may raise
    ``WorkspaceError``. The same picture has the same address until the studio ends."""

    def __init__(self, open_gallery: Callable[[str], Gallery]):
        self._open_gallery = open_gallery
        self._key = secrets.token_bytes(32)
        self._given: OrderedDict[str, tuple[str, str]] = OrderedDict()
        self._lock = threading.Lock()

    def file(self, token: str, item_id: str) -> dict[str, str]:
        """What the page takes for a file: its ``url``, relative to the page's."""
        name = hmac.digest(self._key, f"{token}/{item_id}".encode(), "sha256").hex()
        with self._lock:
            self._given[name] = token, item_id
            self._given.move_to_end(name)
            while len(self._given) > MOST:
                self._given.popitem(last=False)
        return {"url": f"{FOLDER}{name}.webp"}

    def read(self, name: str) -> bytes | None:
        """The WebP at that address, or None if none was given out or the picture is gone."""
        with self._lock:
            given = self._given.get(name)
        try:
            return self._open_gallery(given[0]).thumbnail(given[1]) if given else None
        except (GalleryError, WorkspaceError):
            return None


class ServeThumbnails:
    """ASGI middleware that answers for the addresses of ``Thumbnails``."""

    def __init__(self, app: ASGIApp, thumbnails: Thumbnails):
        self._app, self._thumbnails = app, thumbnails

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        _, found, name = scope.get("path", "").rpartition(f"/{FOLDER}")
        if not found or scope["type"] != "http":
            return await self._app(scope, receive, send)
        data = await run_in_threadpool(self._thumbnails.read, name.removesuffix(".webp"))
        answer = Response(data, media_type="image/webp", headers=KEEP) if data else PlainTextResponse("Not here.", 404)
        await answer(scope, receive, send)
