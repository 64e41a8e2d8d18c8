"""The line in front of the network: who may wait, whose turn it is, and who has gone meanwhile.

A few threads have a picture each in the network, which share the processor's threads (see ``inference.lanes``), while
others decode and encode. Pictures are not joined into batches: those of one size seldom wait at the same time, and
on a processor a batch is no faster than its pictures beside each other.

Rule: nobody waits who could not be let in, and what nobody waits for any more is not begun.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from masksmith.inference.lanes import Lanes
from masksmith.limits import MAX_BESIDE, MAX_UNSENT_BYTES
from masksmith.service.faults import Busy, Gone, TooLate

if sys.platform == "linux":
    from os import PRIO_PROCESS, setpriority

T = TypeVar("T")

# What answers requests goes before what computes: no one waits for a "503" until a network is done.
_NICER = 5
# Decoding and encoding leave Python's lock, but the network wants the processors too.
_MOST_HELPERS = 4


class Stopped(Exception):
    """Raised between two windows of a picture that nobody waits for any more."""


class Line:
    """At most ``most`` requests, of which few have their picture in memory, and ``lanes`` one in the network."""

    def __init__(self, most: int, lanes: Lanes | None = None) -> None:
        self.most = most
        self.lanes = lanes or Lanes()
        self.length = 0
        self.at_work = 0
        self.is_closing = False
        self._desk = asyncio.Semaphore(self.lanes.most + MAX_BESIDE)
        self._batch = asyncio.Semaphore(1)
        self._unsent = 0
        self._room = asyncio.Event()
        self._room.set()
        self._network = ThreadPoolExecutor(self.lanes.most, "network", initializer=_make_way)
        self._helpers = ThreadPoolExecutor(min(_MOST_HELPERS, os.cpu_count() or 1), "pictures", initializer=_make_way)
        self._left: set[asyncio.Task[Any]] = set()

    @property
    def is_idle(self) -> bool:
        """Whether nobody waits, and nothing runs for somebody who has gone."""
        return self.length == 0 and self.at_work == 0

    @contextmanager
    def place(self) -> Iterator[None]:
        """A place in the line.

        Raises:
            Busy: there is none, or the service is leaving.
        """
        if self.is_closing:
            raise Busy(
                where="service", expected="to go on", received="the order to stop", remedy="ask again in a while"
            )
        if self.length >= self.most:
            raise Busy(
                where="service",
                expected=f"at most {self.most} requests at a time",
                received="one more",
                remedy="ask again in a while",
            )
        self.length += 1
        try:
            yield
        finally:
            self.length -= 1

    @contextmanager
    def _counted(self) -> Iterator[None]:
        self.at_work += 1
        try:
            yield
        finally:
            self.at_work -= 1

    @contextmanager
    def _expected(self) -> Iterator[None]:
        self.lanes.expect()
        try:
            yield
        finally:
            self.lanes.forget()

    @contextmanager
    def unsent(self, size: int) -> Iterator[None]:
        """An answer of so many bytes, until its client has taken it."""
        self._count_unsent(size)
        try:
            yield
        finally:
            self._count_unsent(-size)

    def _count_unsent(self, size: int) -> None:
        self._unsent += size
        if self._unsent < MAX_UNSENT_BYTES:
            self._room.set()
        else:
            self._room.clear()

    async def at_desk(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do work that holds a picture in memory, when its turn has come and its answer will have room."""
        with self._counted(), self._expected():
            async with self._desk:
                await self._room.wait()
                return await work()

    async def batch(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do work that holds the answers of a whole batch in memory, when no other batch does."""
        with self._counted():
            async with self._batch:
                return await work()

    async def help(self, function: Callable[[], T]) -> T:
        """Decode or encode, in a thread."""
        return await _in_thread(self._helpers, threading.Event(), lambda _: function())

    async def answer(self, function: Callable[[threading.Event], T]) -> T:
        """Use the network; the event is set when nobody waits for the answer any more."""
        return await _in_thread(self._network, threading.Event(), function)

    def first(self, function: Callable[[], T]) -> Future[T]:
        """What comes before all pictures, in one of the network's threads."""
        return self._network.submit(function)

    async def while_wanted(self, work: Coroutine[Any, Any, T], gone: Coroutine[Any, Any, None], deadline_s: float) -> T:
        """The result of work, unless its client goes or the deadline passes before.

        Raises:
            Gone: ``gone`` has ended.
            TooLate: the deadline has passed.
        """
        task, watch = asyncio.create_task(work), asyncio.create_task(gone)
        try:
            await asyncio.wait({task, watch}, timeout=deadline_s, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            if watch.done():
                raise Gone(where="client", expected="to be there", received="nobody", remedy="ask again")
            raise TooLate(
                where="service",
                expected=f"an answer within {deadline_s:g} seconds",
                received="none yet",
                remedy="send a smaller picture, or ask again when the service is less busy",
            )
        finally:
            watch.cancel()
            if not task.done():
                task.cancel()
                self._left.add(task)  # tasks that nobody holds are lost
                task.add_done_callback(self._forget)

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._left.discard(task)
        with suppress(asyncio.CancelledError):
            task.exception()  # looked at, or it would be logged as forgotten

    def close(self) -> None:
        """Let nobody in any more."""
        self.is_closing = True

    def shutdown(self, *, wait: bool = True) -> None:
        """End the threads; without waiting, what they are at goes on."""
        for pool in (self._network, self._helpers):
            pool.shutdown(wait=wait, cancel_futures=True)
        if wait:  # nobody is at work any more: the threads are the program's again
            self.lanes.close()


def _make_way() -> None:
    """The calling thread has the processor after those that have not said so; Linux alone knows that of threads."""
    if sys.platform == "linux":
        with suppress(OSError):
            setpriority(PRIO_PROCESS, threading.get_native_id(), _NICER)


async def _in_thread(pool: ThreadPoolExecutor, stop: threading.Event, function: Callable[[threading.Event], T]) -> T:
    """The result of a function in a thread. Cancelled, it does not begin, or is asked to stop and waited for."""
    future = pool.submit(function, stop)
    wrapped = asyncio.wrap_future(future)
    try:
        return await asyncio.shield(wrapped)
    except asyncio.CancelledError:
        stop.set()
        if not future.cancel():  # what it holds in memory is held until it ends
            await asyncio.wait([wrapped])
        raise
    finally:
        if wrapped.done() and not wrapped.cancelled():
            wrapped.exception()
