"""An answer on its way to the client.

Rule: a request has its place in the line until its answer is taken, so that ``--queue`` also bounds what is held
for clients that do not read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import ExitStack

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from masksmith.limits import MAX_SEND_BYTES, MAX_SEND_S
from masksmith.service.faults import Gone
from masksmith.service.queue import Line

# The web server waits for the client between two sends and never within one, so it holds about so much.
_CHUNK_BYTES = 2**18


class Answer(Response):
    """A body that is sent in parts, each when the client has taken the one before."""

    def __init__(self, content: bytes, line: Line, place: ExitStack, headers: Mapping[str, str], kind: str) -> None:
        """Take over the place of the request; it is given back when the answer is sent, or cannot be."""
        super().__init__(content, headers=headers, media_type=kind)
        self._place = place
        place.enter_context(line.unsent(len(content)))
        self.limit_s = MAX_SEND_S * max(1.0, len(content) / MAX_SEND_BYTES)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it.

        Raises:
            Gone: it was not taken in time.
        """
        del scope, receive
        with self._place:
            try:
                await asyncio.wait_for(self._send(send), self.limit_s)
            except asyncio.TimeoutError as error:
                raise Gone(
                    where="client",
                    expected=f"to take its answer within {self.limit_s:g} seconds",
                    received="less of it",
                    remedy="ask again over a faster line",
                ) from error

    async def _send(self, send: Send) -> None:
        with self._place:  # given back with the last byte: whoever has it may ask again at once
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            for begin in range(0, max(len(self.body), 1), _CHUNK_BYTES):
                end = begin + _CHUNK_BYTES
                part = bytes(self.body[begin:end])
                await send({"type": "http.response.body", "body": part, "more_body": end < len(self.body)})
