"""Annotation files that tell of many pictures: parsed once, and kept while they are asked for.

Rule: what is kept is bounded by the bytes of the files; the one that was asked for last always stays.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Generic, TypeVar

from masksmith.labels.regions import stamp
from masksmith.limits import MAX_PARSED_BYTES

T = TypeVar("T")


class Parsed(Generic[T]):
    """The content of annotation files as ``parse`` gives it; a file that has changed is parsed anew."""

    def __init__(self, parse: Callable[[Path], T]) -> None:
        self._parse = parse
        self._kept: OrderedDict[tuple[Path, int, int], T] = OrderedDict()
        self._bytes = 0
        self._lock = Lock()

    def __call__(self, path: Path) -> T:
        """The content of a file.

        Raises:
            DataError: there is no such file, or what ``parse`` raises.
        """
        key = stamp(path)
        # Threads that ask for the same large file wait for the first one's parse instead of repeating it.
        with self._lock:
            if key not in self._kept:
                self._kept[key] = self._parse(path)
                self._bytes += key[2]
            self._kept.move_to_end(key)
            while self._bytes > MAX_PARSED_BYTES and len(self._kept) > 1:
                (*_, size), _ = self._kept.popitem(last=False)
                self._bytes -= size
            return self._kept[key]
