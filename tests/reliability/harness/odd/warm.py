"""Run many command lines in one process and measure each: ``python warm.py < jobs.json > told.json``.

First stand folders, then jobs, which are lists of words: the first of these is to load all libraries. Of each comes the exit code, what stood on standard error, seconds, and the MB by which the
memory grew. For the superuser permissions hold here as for anybody else.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import io
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_VERSION_3, _MAY_READ_ALL = 0x20080522, 0b110  # linux/capability.h: CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH


@contextlib.contextmanager
def as_anybody() -> Iterator[None]:
    """What this thread opens is asked for its permissions."""
    if os.geteuid() != 0 or sys.platform != "linux":
        yield
        return
    libc = ctypes.CDLL(None)
    header, before, after = (ctypes.c_uint32 * 2)(_VERSION_3, 0), (ctypes.c_uint32 * 6)(), (ctypes.c_uint32 * 6)()
    libc.capget(header, before)
    after[:] = before[:]
    after[0] &= ~_MAY_READ_ALL
    libc.capset(header, after)
    try:
        yield
    finally:
        libc.capset(header, before)


def memory_mb(name: str) -> float:
    """VmHWM, the most memory of this process, or VmRSS, what it has now; 0 where nothing tells it."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(name)), 0.0)


def forget_peak() -> None:
    """The most memory counts anew from here on, where the system can do that."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def run(words: list[str]) -> dict[str, Any]:
    """One command line."""
    from masksmith.cli import main

    # As strict as a terminal's; what is said of an error has its odd bytes written out.
    out = io.TextIOWrapper(io.BytesIO(), "utf-8", "strict")
    raw = io.BytesIO()
    err = io.TextIOWrapper(raw, "utf-8", "backslashreplace", write_through=True)
    forget_peak()
    before, wall, processor = memory_mb("VmRSS"), time.monotonic(), time.process_time()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(words)
    return {
        "code": code,
        "said": raw.getvalue().decode(),
        "wall_s": time.monotonic() - wall,
        "processor_s": time.process_time() - processor,
        "mb": max(0.0, memory_mb("VmHWM") - before),
    }


def told(folders: list[str], jobs: list[list[str]]) -> list[dict[str, Any]]:
    """Each job in its folder, after one that only loads what is loaded once."""
    from masksmith import cli

    cli.build = functools.cache(cli.build)  # half of the time would go into putting the same options together
    os.chdir(folders[0])
    run(jobs[0])
    found = []
    for folder, job in zip(folders, jobs[1:], strict=True):
        os.chdir(folder)
        found.append(run(job))
    return found


if __name__ == "__main__":
    with as_anybody():
        folders, *jobs = json.load(sys.stdin)
        json.dump(told(folders, jobs), sys.stdout)
