"""How many threads a window is computed by: as many as PyTorch has in the thread that asks.

Rule: what is built for a number of threads is built once, at the first question from a thread that has so many.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

import torch

T = TypeVar("T")


class PerThreads(Generic[T]):
    """What was built for each number of threads."""

    def __init__(self, build: Callable[[int], T]) -> None:
        """Build for the calling thread, so that what cannot be built is told here."""
        self._build = build
        self._built: dict[int, T] = {}
        self._lock = threading.Lock()
        self.get()

    def get(self) -> T:
        """What was built for as many threads as the calling one has."""
        threads = torch.get_num_threads()
        with self._lock:
            if threads not in self._built:
                self._built[threads] = self._build(threads)
            return self._built[threads]
