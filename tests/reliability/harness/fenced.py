"""Many inputs in child processes, so that one that ends the process is found like any other.

A child does a block of inputs and notes in shared memory which one it is at. The parent watches it: a child that dies
or stands still is a fault of the input that it was at, and the others of its block are done by another one.

Rule: what takes too long or too much memory is done once more alone before it is called a fault.
"""

from __future__ import annotations

import contextlib
import faulthandler
import json
import mmap
import os
import resource
import signal
import struct
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

One = Callable[[int], str]
"""Does one input and says in a word what came of it; whatever it raises is a fault."""

# The longest that an input may take, and the most that memory may grow by.
MOST_S = 1.0
MOST_MEBIBYTES = 600
# On a machine with other work an input of a tenth of a second may take ten: alone, it counts what it computes.
_STILL_S = 60.0
# Beyond this a child asks for memory in vain: it must not take that of the whole machine.
_CEILING_BYTES = 8 * 2**30
_BLOCK = 4000
_MANY = 50_000
_MOST_FAULTS = 30


@dataclass
class Tally:
    """What came of the inputs."""

    words: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    printed: Counter[str] = field(default_factory=Counter)
    """Lines that libraries wrote to standard error, and warnings of Python; no faults by themselves."""
    slowest_s: float = 0.0
    """Of those that were done at once."""
    grown_mebibytes: int = 0
    """The most that memory grew by in a block."""
    seconds: float = 0.0
    processor_s: float = 0.0


def run(one: One, many: int, folder: Path, *, workers: int = 1) -> Tally:
    """Do inputs 0 … many - 1, in ``workers`` processes at a time."""
    tally, begun = Tally(), time.monotonic()
    blocks = [(at, min(at + _BLOCK, many)) for at in reversed(range(0, many, _BLOCK))]
    alone: list[int] = []
    at_work: list[_Child] = []
    while blocks or at_work:
        while blocks and len(at_work) < workers:
            at_work.append(_Child(one, *blocks.pop(), folder))
        time.sleep(0.005)
        for child in [c for c in at_work if c.is_done()]:
            at_work.remove(child)
            blocks += _take(child, tally, alone)
            if len(tally.faults) >= _MOST_FAULTS:
                blocks.clear()
    for index in sorted(set(alone))[:_MOST_FAULTS]:
        tally.faults += _again(one, index, folder)
    tally.seconds = time.monotonic() - begun
    return tally


def workers(many: int) -> int:
    """In how many processes inputs are done; a few are done sooner by one."""
    return len(os.sched_getaffinity(0)) if many >= _MANY else 1


@contextlib.contextmanager
def in_memory(folder: Path) -> Iterator[Path]:
    """A folder for files that are read at once: in memory where the system has a place for that."""
    shared = Path("/dev/shm")  # noqa: S108 - a folder of its own in it
    with tempfile.TemporaryDirectory(prefix="masksmith-fuzz-", dir=shared if shared.is_dir() else folder) as name:
        yield Path(name)


def _take(child: _Child, tally: Tally, alone: list[int]) -> list[tuple[int, int]]:
    """Count what a child has done; the blocks that are left of its own."""
    tally.printed += child.printed()
    tally.processor_s += child.processor_s
    told = child.told()
    if told is None:  # it died, or stood still
        index = child.index
        tally.faults.append(f"input {index} ended its process: {child.ending}")
        return [(index + 1, child.stop), (child.start, index)] if child.start < index else [(index + 1, child.stop)]
    tally.words.update(told["words"])
    tally.printed.update(told["printed"])
    tally.faults += told["faults"]
    tally.slowest_s = max(tally.slowest_s, told["slowest_s"])
    tally.grown_mebibytes = max(tally.grown_mebibytes, told["grown"])
    alone += told["alone"]
    return [(told["next"], child.stop)] if told["next"] < child.stop else []


def _again(one: One, index: int, folder: Path) -> list[str]:
    """The fault of an input that took too long or too much, if it does so alone too."""
    child = _Child(one, index, index + 1, folder)
    while not child.is_done():
        time.sleep(0.005)
    told = child.told()
    if told is None:
        return [f"input {index} ended its process: {child.ending}"]
    if told["busiest_s"] > MOST_S:
        return [f"input {index} took {told['busiest_s']:.1f} s"]
    if told["grown"] > MOST_MEBIBYTES:
        return [f"input {index} took {told['grown']} MiB of memory"]
    return []


class _Child:
    """One process with its block of inputs."""

    def __init__(self, one: One, start: int, stop: int, folder: Path) -> None:
        self.start, self.stop = start, stop
        self.ending, self.processor_s = "", 0.0
        self._place = mmap.mmap(-1, 8)
        self._answer, self._errors = folder / f"{start}.json", folder / f"{start}.err"
        self._answer.unlink(missing_ok=True)
        self._errors.unlink(missing_ok=True)
        self._moved = (start, time.monotonic())
        self.index = start
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of threads in the parent, which the child does not need
            self._pid = os.fork()
        if self._pid == 0:
            code = 1
            try:
                _work(one, start, stop, self._place, (self._answer, self._errors))
                code = 0
            finally:
                os._exit(code)

    def is_done(self) -> bool:
        """Whether it has ended; one that stands still is ended."""
        self.index = struct.unpack("<q", self._place[:])[0] or self.start
        pid, status, used = os.wait4(self._pid, os.WNOHANG)
        if pid:
            if os.WIFSIGNALED(status):
                self.ending = self.ending or signal.Signals(os.WTERMSIG(status)).name
            elif os.WEXITSTATUS(status):
                self.ending = f"exit code {os.WEXITSTATUS(status)}"
            self.processor_s = used.ru_utime + used.ru_stime
            return True
        if self.index != self._moved[0]:
            self._moved = (self.index, time.monotonic())
        elif time.monotonic() - self._moved[1] > _STILL_S:
            self.ending = f"no answer within {_STILL_S:.0f} s"
            os.kill(self._pid, signal.SIGKILL)
        return False

    def told(self) -> dict[str, Any] | None:
        """What it wrote at its end."""
        if self.ending or not self._answer.is_file():
            return None
        found: dict[str, Any] = json.loads(self._answer.read_bytes())
        self._answer.unlink()
        return found

    def printed(self) -> Counter[str]:
        """How often each line stands in its standard error, numbers left out."""
        found: Counter[str] = Counter()
        with contextlib.suppress(FileNotFoundError):
            for line in self._errors.read_text("utf-8", "replace")[: 2**22].splitlines():
                found["".join("#" if letter.isdigit() else letter for letter in line[:100])] += 1
            self._errors.unlink()
        return found


def _work(one: One, start: int, stop: int, place: mmap.mmap, files: tuple[Path, Path]) -> None:
    """What a child does."""
    answer, errors = files
    faulthandler.disable()  # of a process that ends it would tell the parent's standard error
    handle = os.open(errors, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(handle, 2)
    resource.setrlimit(resource.RLIMIT_AS, (_CEILING_BYTES + _memory_bytes(), resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    told: dict[str, Any] = {"faults": [], "alone": [], "slowest_s": 0.0, "busiest_s": 0.0, "grown": 0, "next": stop}
    words: Counter[str] = Counter()
    printed: Counter[str] = Counter()
    warnings.simplefilter("always")
    warnings.showwarning = lambda message, category, *_, **__: printed.update([f"{category.__name__}: {message}"[:100]])
    least = _peak_mebibytes()
    parent = os.getppid()
    for index in range(start, stop):
        if os.getppid() != parent:  # nobody waits for the answer
            return
        struct.pack_into("<q", place, 0, index)
        begun, busy = time.monotonic(), time.process_time()
        try:
            words[one(index)] += 1
        except BaseException as error:
            told["faults"].append(f"input {index}: {type(error).__name__}: {str(error)[:300]}")
            words["fault"] += 1
        took = time.monotonic() - begun
        told["slowest_s"] = max(told["slowest_s"], took)
        told["busiest_s"] = max(told["busiest_s"], time.process_time() - busy)
        told["grown"] = max(told["grown"], _peak_mebibytes() - least)
        if took > MOST_S and len(told["alone"]) < _MOST_FAULTS:
            told["alone"].append(index)
        if told["grown"] > MOST_MEBIBYTES:  # the next one begins anew, in a process that has not grown
            told["alone"].append(index)
            told["next"] = index + 1
            break
    answer.write_text(json.dumps(told | {"words": words, "printed": printed}))


def _peak_mebibytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def _memory_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
