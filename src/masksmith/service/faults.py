"""What the service says when it cannot answer, and the one map from errors to status codes.

    MasksmithError
    ├── Refusal             what a request cannot have, and why
    │   └── …               one class for each status code in ``CODES``
    ├── InputError          422: a picture that the network is not made for
    └── EnvironmentFault    501: a library that this machine lacks

Rule: all errors have one shape, and no traceback and no path of this machine is in any of them.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from masksmith.errors import EnvironmentFault, InputError, MasksmithError, RecipeError, is_out_of_memory

# Seconds after which it is worth asking again: a picture takes about as long.
RETRY_S = 2
# What a client has sent is quoted so far.
_MOST_LETTERS = 300
# What a system says of a disk without room, or of one whose share is used up.
_FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}
_USED_UP = {*_FULL, errno.EMFILE, errno.ENFILE}


class Refusal(MasksmithError):
    """What a request cannot have."""


class BadRequest(Refusal):
    """A request without a picture, or with one that is broken."""


class NoToken(Refusal):
    """A request without the token."""


class Foreign(Refusal):
    """A request that a page of another host has made."""


class Unknown(Refusal):
    """A path or a model that is not there."""


class WrongMethod(Refusal):
    """A path that is asked for in another way."""


class NotAcceptable(Refusal):
    """Nothing that the client accepts can be answered."""


class TooSlow(Refusal):
    """A body that did not arrive in time."""


class TooLarge(Refusal):
    """Too many bytes, pixels or pictures."""


class NoPicture(Refusal):
    """Bytes that are no picture of a known format."""


class Misdirected(Refusal):
    """A host name that this service does not have."""


class Gone(Refusal):
    """The client has gone; nobody reads this."""


class Internal(Refusal):
    """A fault in masksmith itself."""


class Busy(Refusal):
    """Too many requests wait, the models are being loaded, or the service is leaving."""


class TooLate(Refusal):
    """The deadline has passed."""


CODES: dict[type[MasksmithError], int] = {
    BadRequest: 400,
    RecipeError: 400,
    NoToken: 401,
    Foreign: 403,
    Unknown: 404,
    WrongMethod: 405,
    NotAcceptable: 406,
    TooSlow: 408,
    TooLarge: 413,
    NoPicture: 415,
    Misdirected: 421,
    InputError: 422,
    Gone: 499,
    Internal: 500,
    EnvironmentFault: 501,
    Busy: 503,
    TooLate: 504,
    MasksmithError: 500,
}
"""Of an error the code of its nearest kind; 499 is what proxies log for a client that has gone."""

_OF_FRAMEWORK: dict[int, type[Refusal]] = {404: Unknown, 405: WrongMethod, 413: TooLarge}


def code(error: MasksmithError) -> int:
    """The status code of an error."""
    return next(CODES[kind] for kind in type(error).__mro__ if kind in CODES)


def of(error: BaseException, path: str = "request") -> MasksmithError:
    """Any error as one of ours; of a fault in the program nothing is told but that it was one."""
    error = _shortage(error) or error
    if isinstance(error, MasksmithError):
        return error
    if isinstance(error, RequestValidationError):
        first = error.errors()[0]
        where = ".".join(map(str, first.get("loc", ("request",))))
        return BadRequest(
            where=where, expected="what /openapi.json describes", received=str(first.get("msg")), remedy="correct it"
        )
    if isinstance(error, HTTPException):
        kind = _OF_FRAMEWORK.get(error.status_code, BadRequest)
        return kind(
            where=path,
            expected="a request that /openapi.json describes",
            received=str(error.detail).strip(". "),
            remedy="correct it",
        )
    if is_out_of_memory(error):
        return Busy(
            where="memory", expected="room for this picture", received="none", remedy="send a smaller one, or try later"
        )
    if isinstance(error, OSError) and error.errno in _USED_UP:
        return Busy(
            where="temporary folder" if error.errno in _FULL else "open files",
            expected="room for this picture",
            received="none",
            remedy="send a smaller one, or try later",
        )
    return Internal(
        where="service",
        expected="an answer",
        received="a fault in the program",
        remedy="report it with the X-Request-Id of this answer",
    )


def _shortage(error: BaseException) -> BaseException | None:
    """The want of memory, disk or open files that an error was made of, which no picture is to blame for."""
    link: BaseException | None = error
    while link is not None:
        if is_out_of_memory(link) or (isinstance(link, OSError) and link.errno in _USED_UP):
            return link
        link = link.__cause__
    return None


def body(error: MasksmithError) -> dict[str, dict[str, object]]:
    """The one shape of all errors."""
    parts = {"where": error.where, "expected": error.expected, "received": error.received, "remedy": error.remedy}
    plain = {name: _plain(part) for name, part in parts.items()}
    message = f"{plain['where']}: expected {plain['expected']}, received {plain['received']}; {plain['remedy']}."
    return {"error": {"code": code(error), **plain, "message": message}}


def response(error: MasksmithError, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """The answer that tells of an error."""
    number = code(error)
    told = dict(headers or {})
    if number == 503:
        told["Retry-After"] = str(RETRY_S)
    if number == 401:
        told["WWW-Authenticate"] = "Bearer"
    return JSONResponse(body(error), number, told)


def _plain(text: str) -> str:
    """One line of letters that can be shown, not longer than can be read."""
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return line if len(line) <= _MOST_LETTERS else f"{line[:_MOST_LETTERS]}…"
