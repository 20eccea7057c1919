"""Between the network and gradio: who may ask, and which answers a browser may keep.

The artist's own gallery asks for no password, so it is kept to this computer: the address asked for has to be a local one.
"""

from __future__ import annotations

import re

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# With or without a port. A page elsewhere can give its own name this address (DNS rebinding), but not one of these.
LOCAL = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:\d{1,5})?", re.IGNORECASE)
FILES = "/gradio_api/file="
KEEP = "private, max-age=86400, immutable"  # as long as gradio keeps the file itself
NOT_HERE = "This studio shows a private gallery, so open it as localhost or 127.0.0.1 on its own computer."
BEHIND_PROXY = "This studio shows a private gallery: behind a proxy start it with --public or --auth."


class OnlyHere:
    """ASGI middleware that refuses what was not asked for on this computer."""

    def __init__(self, app: ASGIApp):
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = refusal(Headers(scope=scope)) if scope["type"] in ("http", "websocket") else None
        await (answer or self._app)(scope, receive, send)


class KeepFiles:
    """ASGI middleware that lets the visitor's browser keep pictures: their addresses hold the hash of what they show.

    Without it every filter of the strip would fetch its small pictures again.
    """

    def __init__(self, app: ASGIApp):
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def mark(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] in (200, 206):
                MutableHeaders(scope=message)["Cache-Control"] = KEEP
            await send(message)

        is_file = scope["type"] == "http" and scope["path"].startswith(FILES)
        await self._app(scope, receive, mark if is_file else send)


def refusal(headers: Headers) -> PlainTextResponse | None:
    """What to answer instead of the page, or None if this may be the artist."""
    if any(name == "forwarded" or name.startswith("x-forwarded-") for name in headers):
        return PlainTextResponse(BEHIND_PROXY, 403)
    hosts = headers.getlist("host")
    if len(hosts) != 1 or not LOCAL.fullmatch(hosts[0]):
        return PlainTextResponse(NOT_HERE, 400)
    return None
