"""How a service is to behave: what ``masksmith serve`` was told."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field

from masksmith.limits import (
    DEADLINE_S,
    MAX_BATCH_ANSWER_BYTES,
    MAX_BATCH_BYTES,
    MAX_BATCH_PICTURES,
    MAX_BODY_S,
    MAX_SERVED_BYTES,
    MAX_SERVED_PIXELS,
    QUEUE_LENGTH,
    UPLOAD_MB,
)

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True)
class Settings:
    """All of it; what is no option has its reason in ``limits``."""

    host: str = "127.0.0.1"
    allowed: frozenset[str] = frozenset()
    """Further names that the service is reached by."""
    token: str | None = field(default=None, repr=False)
    max_bytes: int = UPLOAD_MB * 10**6
    queue: int = QUEUE_LENGTH
    deadline_s: float = DEADLINE_S
    body_s: float = MAX_BODY_S
    batch_pictures: int = MAX_BATCH_PICTURES
    batch_bytes: int = MAX_BATCH_BYTES
    batch_answer_bytes: int = MAX_BATCH_ANSWER_BYTES
    runtime: str = "auto"
    device: str = "auto"

    def max_pixels(self, classes: int) -> int:
        """The most pixels of a picture for a network of so many classes."""
        return min(MAX_SERVED_PIXELS, MAX_SERVED_BYTES // (4 * classes))

    def is_ours(self, host: str) -> bool:
        """Whether a host name, as it stands in a request, leads to this service.

        A page of another host can give its own name this machine's address, and would then be let in. An
        address cannot be given away so: bound to all addresses, the service takes any that it is called by.
        """
        name = hostname(host)
        if name in {*_LOOPBACK, self.host.casefold(), *self.allowed}:
            return True
        return _is_address(self.host) and ipaddress.ip_address(self.host).is_unspecified and _is_address(name)


def hostname(host: str) -> str:
    """The name in ``name:port``; the address in ``[address]:port``."""
    name = host.strip().casefold()
    if name.startswith("["):
        return name[1:].partition("]")[0]
    return name.partition(":")[0] if name.count(":") <= 1 else name


def is_loopback(host: str) -> bool:
    """Whether only programs of this machine can reach a service on that address."""
    return host.casefold() == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
