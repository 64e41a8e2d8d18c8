"""One line in the log for each fault in the program, with the name of the request that met it."""

from __future__ import annotations

import logging
from contextvars import ContextVar

from masksmith.errors import MasksmithError
from masksmith.service import faults

_LOG = logging.getLogger("masksmith.service")
_MOST_LETTERS = 500

REQUEST: ContextVar[str] = ContextVar("request", default="-")
"""The X-Request-Id of what is answered; each request has its own."""


def told(error: Exception) -> MasksmithError:
    """As ``faults.of``; what the client is told of as a fault in the program is also logged."""
    known = faults.of(error)
    if faults.code(known) == 500:
        _LOG.error("%s: %s: %s", REQUEST.get(), type(error).__name__, " ".join(str(error).split())[:_MOST_LETTERS])
    return known
