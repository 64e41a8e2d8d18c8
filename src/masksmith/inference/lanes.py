"""Lanes: on a processor several pictures are answered for at the same time, each by a part of the threads.

All threads on one small picture wait for each other after each layer, and spin for long wherever something else has
taken one of the processors meanwhile; what prepares and writes pictures always does. A thread for each picture waits
for nobody.

Rule: how many pictures are at work changes the time of an answer, and of the answer no more than the last bit.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from weakref import WeakSet

import torch

from masksmith.limits import MAX_LANES
from masksmith.planning import probe


class Closed(Exception):
    """Raised in place of a turn when nobody waits for answers any more."""


# Those that have given a thread its share and are not closed: while there are any, PyTorch itself tells the share.
_AT_WORK: WeakSet[Lanes] = WeakSet()
# One that a collected loop may close while its own thread counts.
_COUNTING = threading.RLock()


class Lanes:
    """Shares the threads that PyTorch has here among the pictures that are being answered for."""

    def __init__(self, most: int = MAX_LANES) -> None:
        """At most ``most`` pictures at a time, and as many as there are threads."""
        self.threads = _all_threads()
        self.most = min(self.threads, most)
        self._expected = 0
        self._at_work = 0
        self._is_closed = False
        self._changed = threading.Condition()
        self._gate = threading.Lock()

    def expect(self) -> None:
        """A picture is going to be answered for."""
        with self._changed:
            self._expected += 1

    def forget(self) -> None:
        """One that was expected is answered for, or never will be."""
        with self._changed:
            self._expected -= 1

    @contextmanager
    def turn(self, *, alone: bool) -> Iterator[None]:
        """The calling thread's work on a picture that was expected: PyTorch has its share of the threads in it.

        Args:
            alone: wait until no other is at work, and let none begin: for a picture whose windows take all the memory
                that windows may take. It has all threads, which help with large windows.

        Raises:
            Closed: there are no turns any more.
        """
        torch.get_num_threads()  # at its first question a thread takes what others were given last
        if alone:
            with self._gate:
                with self._changed:
                    self._changed.wait_for(lambda: self._at_work == 0)
                    self._have(self.threads)
                yield
            return
        with self._gate, self._changed:
            self._have(max(1, self.threads // max(1, min(self._expected, self.most))))
            self._at_work += 1
        try:
            yield
        finally:
            with self._changed:
                self._at_work -= 1
                self._changed.notify_all()

    def shares(self) -> Iterator[int]:
        """Each number of threads that a picture may have; the calling thread has it until the next is asked for."""
        for threads in sorted({max(1, self.threads // wanted) for wanted in range(1, self.most + 1)}):
            self._give(threads)
            yield threads

    def close(self) -> None:
        """Give no more turns; threads that begin from now on have all of the threads again."""
        with self._changed, _COUNTING:
            self._is_closed = True
            _AT_WORK.discard(self)
            torch.set_num_threads(self.threads)

    def _have(self, threads: int) -> None:
        if self._is_closed:
            raise Closed
        self._give(threads)

    def _give(self, threads: int) -> None:
        with _COUNTING:
            _AT_WORK.add(self)
            torch.set_num_threads(threads)


def _all_threads() -> int:
    """The threads that PyTorch has where none are shared, also in a thread that begins while others share them."""
    with _COUNTING:
        for lanes in _AT_WORK:
            return lanes.threads
        return torch.get_num_threads()


def of(device: str, runtime: str) -> Lanes:
    """Those of a device (the first of several) and a runtime, before a network is loaded; one where none are shared.

    Raises:
        RecipeError, EnvironmentFault: no such device.
    """
    from masksmith.inference.runtimes import RUNTIMES

    shared = probe.device(device.split(",")[0].strip()).type == "cpu" and not (
        runtime in RUNTIMES and RUNTIMES[runtime].fixed_threads
    )
    return Lanes() if shared else Lanes(1)
