"""Keeps the artist's own gallery to this computer: it asks for no password, so the address asked for has to be a local one."""

from __future__ import annotations

import re

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

# With or without a port. A page elsewhere can give its own name this address (DNS rebinding), but not one of these.
LOCAL = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:\d{1,5})?", re.IGNORECASE)
NOT_HERE = "This studio shows a private gallery, so open it as localhost or 127.0.0.1 on its own computer."
BEHIND_PROXY = "This studio shows a private gallery: behind a proxy start it with --public or --auth."


class OnlyHere:
    """ASGI middleware that refuses what was not asked for on this computer."""

    def __init__(self, app: ASGIApp):
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = refusal(Headers(scope=scope)) if scope["type"] in ("http", "websocket") else None
        await (answer or self._app)(scope, receive, send)


def refusal(headers: Headers) -> PlainTextResponse | None:
    """What to answer instead of the page, or None if this may be the artist."""
    if any(name == "forwarded" or name.startswith("x-forwarded-") for name in headers):
        return PlainTextResponse(BEHIND_PROXY, 403)
    hosts = headers.getlist("host")
    if len(hosts) != 1 or not LOCAL.fullmatch(hosts[0]):
        return PlainTextResponse(NOT_HERE, 400)
    return None
