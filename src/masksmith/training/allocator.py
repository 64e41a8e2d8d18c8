"""The processor's allocator during a training: memory that one step has let go is kept for the next.

Rule: nothing that is computed depends on it.

glibc gives blocks of more than 32 MiB back to the system at once, and gets them anew, page by page and
filled with zeros, a moment later: of a step of a large network that is a fifth of the time (docs/experiments.md).
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# The names and numbers of malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4
_MIB = 2**20
_KEEPING = {_MMAP_MAX: 0, _TRIM_THRESHOLD: 2**31 - 1}
# glibc's own, as they are after a block of 32 MiB: whoever sets one of them ends its adapting of the others.
_USUAL = {_MMAP_MAX: 65536, _MMAP_THRESHOLD: 32 * _MIB, _TRIM_THRESHOLD: 64 * _MIB}


@contextmanager
def keeping() -> Iterator[None]:
    """Keep freed memory in this process until the end; without effect where the allocator is not glibc's."""
    libc = _glibc()
    if libc is None:
        yield
        return
    _set(libc, _KEEPING)
    try:
        yield
    finally:
        _set(libc, _USUAL)
        libc.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)
    return libc if hasattr(libc, "gnu_get_libc_version") else None


def _set(libc: ctypes.CDLL, values: dict[int, int]) -> None:
    for number, value in values.items():
        libc.mallopt(number, value)
