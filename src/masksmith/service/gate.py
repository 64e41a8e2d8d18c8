"""What every request passes on its way in, and every answer on its way out.

In: is it meant for this service (Host), not made by a page of another (Origin), and by somebody who may (token)?
Out: the headers that all answers have, an answer for whatever went wrong, and what is counted.

Rule: it looks at headers alone and knows nothing of pictures.
"""

from __future__ import annotations

import asyncio
import hmac
import re
import time
import uuid
from contextlib import suppress
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from masksmith.service import faults, log
from masksmith.service.faults import Foreign, Misdirected, NoToken
from masksmith.service.metrics import Metrics
from masksmith.service.settings import Settings, hostname

# What a browser or a probe asks for before it can know a token; nothing of a picture is behind them.
_OPEN = re.compile(r"/|/page/.*|/health/.*")
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

# The page brings all that it needs; blob: is for pictures that it shows.
_POLICY = (
    "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; base-uri 'none'; frame-ancestors 'none'; "
    "form-action 'self'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}

# How much of a body that nobody wants is taken, so that an honest client comes to read why.
_UNWANTED_BYTES = 2**24
_UNWANTED_S = 2.0


class Gate:
    """ASGI middleware around the whole application."""

    def __init__(self, app: ASGIApp, settings: Settings, metrics: Metrics) -> None:
        self.app = app
        self.settings = settings
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request in, or say why not."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        passing, begin = _Passing(scope, receive, send), time.perf_counter()
        log.REQUEST.set(passing.id)
        try:
            self._check(passing.headers, scope["path"])
            await self.app(scope, passing.receive, passing.send)
        except Exception as error:
            known = log.told(error)
            if passing.code == 0:
                await faults.response(known)(scope, passing.receive, passing.send)
            else:  # what has been begun and will not be ended is counted as what has ended it
                passing.code = faults.code(known)
        finally:
            route = str(getattr(scope.get("route"), "path", "other"))
            self.metrics.count(route, passing.code, time.perf_counter() - begin)

    def _check(self, headers: Headers, path: str) -> None:
        host, origin = headers.get("host", ""), headers.get("origin")
        if not self.settings.is_ours(host):
            raise Misdirected(
                where="Host",
                expected="a name of this service",
                received=f'"{host}"',
                remedy="start it with --allow-host and that name, if it is its own",
            )
        if origin is not None and not self._is_own(origin, host):
            raise Foreign(
                where="Origin",
                expected="the service's own page, or a program",
                received=f'"{origin}"',
                remedy="open the page of the service itself",
            )
        if self.settings.token is None or _OPEN.fullmatch(path):
            return
        kind, _, given = headers.get("authorization", "").partition(" ")
        # Compared in a time that tells nothing of where they differ.
        is_known = hmac.compare_digest(given.strip().encode(), self.settings.token.encode())
        if kind.lower() != "bearer" or not is_known:
            raise NoToken(
                where="Authorization",
                expected="Bearer and the token of this service",
                received="none" if not kind else "another",
                remedy="ask whoever runs it for the token",
            )

    def _is_own(self, origin: str, host: str) -> bool:
        try:
            found = urlsplit(origin)
        except ValueError:
            return False
        place = found.netloc.casefold()
        return bool(place) and (place == host.casefold() or hostname(place) in self.settings.allowed)


class _Passing:
    """One request and its answer."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.headers = Headers(scope=scope)
        self.code = 0
        self._receive, self._send = receive, send
        has_body = self.headers.get("content-length", "0") != "0" or "transfer-encoding" in self.headers
        self._is_begun, self._is_ended = False, not has_body
        given = self.headers.get("x-request-id", "")
        self.id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex

    async def receive(self) -> Message:
        self._is_begun = True
        message = await self._receive()
        if message["type"] != "http.request" or not message.get("more_body", False):
            self._is_ended = True
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.code = message["status"]
            headers = MutableHeaders(scope=message)
            for name, value in {**_HEADERS, "X-Request-Id": self.id}.items():
                headers.setdefault(name, value)
            if not self._is_ended and self.code != 408:  # who was too slow is not waited for again
                await self._take_rest()
            if not self._is_ended:
                headers["Connection"] = "close"
        await self._send(message)

    async def _take_rest(self) -> None:
        """Clients that send all before they read would meet a closed connection in place of the answer."""
        if "expect" in self.headers and not self._is_begun:
            return  # it waits to be told to go on, and is not
        taken, until = 0, time.monotonic() + _UNWANTED_S
        with suppress(asyncio.TimeoutError):
            while not self._is_ended and taken < _UNWANTED_BYTES and time.monotonic() < until:
                message = await asyncio.wait_for(self.receive(), max(until - time.monotonic(), 1e-3))
                taken += len(message.get("body", b""))
