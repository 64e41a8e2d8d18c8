"""Children of one warm process, each ended by a signal at a chosen moment.

Rule: the warm process has loaded its modules and started no thread, so that a fork of it is as good as a program
started anew, and seconds quicker. It runs where there is ``os.fork``.
"""

from __future__ import annotations

import importlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

_TESTS = Path(__file__).resolve().parents[2]
# A child that has not ended by then hangs; it is killed, and its code is that of SIGKILL.
_LONGEST_S = 300.0


@dataclass(frozen=True)
class Ended:
    """How a child has ended."""

    code: int
    """The exit code; a signal's number below zero, if it was ended by one."""
    lasted_s: float
    """Seconds since it said that it was ready."""
    worked_s: float
    """Seconds that a processor has given it."""
    left_s: float
    """Seconds since the signal; 0 if it had ended before."""
    was_signalled: bool
    out: str
    error: str


class Warm:
    """The warm process. A child runs a function ``module:name`` of the arguments (ready, …): its code is the result."""

    def __init__(self, folder: Path, *modules: str) -> None:
        """Start it: ``modules`` are loaded, scans are kept in ``folder``, and what a child prints goes there."""
        folder.mkdir(parents=True, exist_ok=True)
        self._out, self._error = folder / "out.txt", folder / "error.txt"
        more = {"XDG_CACHE_HOME": str(folder / "cache"), "OMP_NUM_THREADS": "1", "COLUMNS": "80"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "reliability.harness.forked", *modules],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **more, "PYTHONPATH": os.pathsep.join([str(_TESTS), os.environ.get("PYTHONPATH", "")])},
        )

    def __enter__(self) -> Warm:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate()

    def run(self, call: str, *arguments: object, end: tuple[int, float] | None = None) -> Ended:
        """Run a child; ``end`` is a signal's number and the seconds after which it is sent."""
        request = {"call": call, "arguments": arguments, "end": end, "to": [str(self._out), str(self._error)]}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(request), file=self._process.stdin, flush=True)
        answer = json.loads(self._process.stdout.readline())
        out, error = (p.read_text(encoding="utf-8", errors="replace") for p in (self._out, self._error))
        return Ended(**answer, out=out, error=error)


def _watch(pid: int, pipe: int, end: tuple[int, float] | None) -> dict[str, float | int | bool]:
    """Send the signal when it is time, and wait for the end: then the child's side of the pipe is closed."""
    os.read(pipe, 1)  # it is ready
    begun = time.monotonic()
    signalled = None
    if end is not None and not select.select([pipe], [], [], end[1])[0]:
        os.kill(pid, end[0])
        signalled = time.monotonic()
    if not select.select([pipe], [], [], _LONGEST_S)[0]:
        os.kill(pid, signal.SIGKILL)
    _, status, used = os.wait4(pid, 0)
    now = time.monotonic()
    return {
        "code": os.waitstatus_to_exitcode(status),
        "lasted_s": now - begun,
        "worked_s": used.ru_utime + used.ru_stime,
        "left_s": 0.0 if signalled is None else now - signalled,
        "was_signalled": signalled is not None,
    }


def _become(to: list[str]) -> None:
    """Nothing to read, and files to print to."""
    for number, (path, flags) in enumerate([(os.devnull, os.O_RDONLY), *((p, os.O_WRONLY) for p in to)]):
        made = os.open(path, flags | (os.O_CREAT | os.O_TRUNC if number else 0), 0o644)
        os.dup2(made, number)
        os.close(made)


def serve(modules: list[str]) -> int:
    """Answer the requests of :class:`Warm`; a child leaves through here too, with its own code."""
    for name in modules:
        importlib.import_module(name)
    if (torch := sys.modules.get("torch")) is not None:
        torch.set_num_threads(1)
    answers = os.fdopen(os.dup(1), "w")
    for line in iter(sys.stdin.readline, ""):
        request = json.loads(line)
        mine, its = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(mine)
            _become(request["to"])
            module, _, name = request["call"].partition(":")
            function: Callable[..., Any] = getattr(importlib.import_module(module), name)
            return int(function(lambda its=its: os.write(its, b"r"), *request["arguments"]) or 0)
        os.close(its)
        print(json.dumps(_watch(pid, mine, request["end"])), file=answers, flush=True)
        os.close(mine)
    return 0


if __name__ == "__main__":
    sys.exit(serve(sys.argv[1:]))
