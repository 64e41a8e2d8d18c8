"""What a request brings: one picture or several, as a form or as bare bytes.

Rule: bytes are counted and timed while they arrive; a length that the client names is believed only where it is
too large.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import Message, Receive

from masksmith.service.faults import BadRequest, Gone, TooLarge, TooSlow

# What a form adds to its files: boundaries, names, and fields that nobody asked for.
_FRAMING_BYTES = 2**16
_MOST_FIELDS = 16


@dataclass(frozen=True)
class Upload:
    """One picture that was sent. ``read`` gives its bytes, which may wait on disk until then."""

    name: str | None
    size: int
    read: Callable[[], Awaitable[bytes]]


class _Counted:
    """``receive`` of a request, within so many bytes and seconds."""

    def __init__(self, receive: Receive, most_bytes: int, seconds: float) -> None:
        self._receive = receive
        self._most = most_bytes
        self._seconds = seconds
        self._until = time.monotonic() + seconds
        self._count = 0

    async def __call__(self) -> Message:
        try:
            message = await asyncio.wait_for(self._receive(), max(self._until - time.monotonic(), 1e-3))
        except asyncio.TimeoutError as error:
            raise TooSlow(
                where="body",
                expected=f"all of it within {self._seconds:g} seconds",
                received=f"{self._count:,} bytes",
                remedy="send a smaller picture, or over a faster line",
            ) from error
        if message["type"] == "http.disconnect":
            raise Gone(where="client", expected="to be there", received="nobody", remedy="ask again")
        self._count += len(message.get("body", b""))
        if self._count > self._most:
            raise too_large("body", self._most, f"more than {self._count - 1:,}")
        return message


@asynccontextmanager
async def one(request: Request, field: str, most_bytes: int, seconds: float) -> AsyncIterator[Upload]:
    """The picture of a request: its body, or the one file in it.

    Raises:
        BadRequest: none, or several.
        TooLarge, TooSlow, Gone: it does not arrive as it must.
    """
    if _is_form(request):
        async with _of_form(request, field, 1, most_bytes + _FRAMING_BYTES, seconds) as found:
            yield found[0]
        return
    counted = _counted(request, most_bytes, seconds)
    content = b"".join([chunk async for chunk in counted.stream()])

    async def read() -> bytes:
        return content

    yield Upload(None, len(content), read)


@asynccontextmanager
async def many(
    request: Request, field: str, most_files: int, most_bytes: int, seconds: float
) -> AsyncIterator[list[Upload]]:
    """The pictures of a form; errors as of :func:`one`."""
    if not _is_form(request):
        raise BadRequest(
            where="Content-Type",
            expected="multipart/form-data",
            received=request.headers.get("content-type", "none"),
            remedy=f'send the pictures as files of the field "{field}"',
        )
    async with _of_form(request, field, most_files, most_bytes, seconds) as found:
        yield found


def too_large(where: str, most_bytes: int, received: str) -> TooLarge:
    """The one sentence for too many bytes."""
    return TooLarge(
        where=where,
        expected=f"at most {most_bytes:,} bytes",
        received=received,
        remedy="send a smaller file, or start the service with a larger --max-mb",
    )


def _is_form(request: Request) -> bool:
    return request.headers.get("content-type", "").lower().startswith("multipart/form-data")


def _counted(request: Request, most_bytes: int, seconds: float) -> Request:
    """The request with a body that is counted; one that says itself that it is too long is not read."""
    told = request.headers.get("content-length", "0")
    if told.isdecimal() and int(told) > most_bytes:
        raise too_large("body", most_bytes, f"{int(told):,}")
    return Request(request.scope, _Counted(request.receive, most_bytes, seconds))


@asynccontextmanager
async def _of_form(
    request: Request, field: str, most_files: int, most_bytes: int, seconds: float
) -> AsyncIterator[list[Upload]]:
    counted = _counted(request, most_bytes, seconds)
    try:
        form = await counted.form(max_files=most_files, max_fields=_MOST_FIELDS)
    except HTTPException as error:
        if "Too many files" in str(error.detail) and most_files > 1:
            raise TooLarge(
                where=field, expected=f"at most {most_files} pictures", received="more", remedy="send them in parts"
            ) from error
        raise
    except UnicodeError as error:  # of a charset that the client names
        raise BadRequest(
            where="Content-Type",
            expected="a form in UTF-8",
            received="letters that its charset cannot read",
            remedy="leave the charset out",
        ) from error
    try:
        files = [item for item in form.getlist(field) if isinstance(item, UploadFile)]
        if not files:
            raise BadRequest(
                where="body",
                expected=f'a picture as a file in the field "{field}"',
                received=f"the fields {', '.join(sorted(set(form)))}" if form else "no field",
                remedy=f"send it as in curl -F {field}=@picture.png",
            )
        yield [Upload(file.filename, file.size or 0, file.read) for file in files]
    finally:
        await form.close()
