"""Room in memory for pictures that are kept: one for all parts of a training, and no more than this process may have.

Rule: the machine says what is free, and the container, where there is one, says what of it is ours.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from pathlib import Path

import psutil

from masksmith.limits import CACHE_MEMORY_SHARE

_CONTROL_GROUP = Path("/sys/fs/cgroup")


class Room:
    """A share of the free memory, taken bit by bit; threads may share it."""

    def __init__(self, free_bytes: float | None = None) -> None:
        self._left_bytes = CACHE_MEMORY_SHARE * (free() if free_bytes is None else free_bytes)
        self._lock = threading.Lock()

    @property
    def left_bytes(self) -> float:
        """What may still be taken."""
        return self._left_bytes

    def take(self, size_bytes: int) -> bool:
        """Whether so much was left; it is not any more."""
        with self._lock:
            if size_bytes >= self._left_bytes:
                return False
            self._left_bytes -= size_bytes
            return True


def free(control_group: Path = _CONTROL_GROUP) -> int:
    """Bytes that this process may still have: of the machine, or of its container if that is less."""
    available = int(psutil.virtual_memory().available)
    with suppress(
        OSError, ValueError, KeyError
    ):  # no container, or one without a limit: the file is not there, or says "max"
        limit = int((control_group / "memory.max").read_text(encoding="ascii"))
        used = int((control_group / "memory.current").read_text(encoding="ascii"))
        stat = dict(line.split() for line in (control_group / "memory.stat").read_text(encoding="ascii").splitlines())
        # Files that were read lately count as used, and are let go when memory is wanted.
        return min(available, max(0, limit - used + int(stat["inactive_file"])))
    return available
