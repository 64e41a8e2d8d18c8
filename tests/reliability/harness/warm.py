"""A process that has loaded masksmith once and runs each command line in a copy of itself, with faults or without.

Rule: it starts no thread before it is copied (``fork``), and what a command says goes to files outside of the folder
whose calls may fail. Run as a program, it takes a request a line and answers with a line.
"""

from __future__ import annotations

import ctypes
import errno
import hashlib
import importlib
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

KINDS = (
    "open to write", "write", "fsync", "rename", "mkdir", "truncate", "unlink", "open to read", "read", "list",
)  # fmt: skip
"""The kinds of calls, in the order of ``failing.c``."""

# What fails from then on, where a fault stays: a full disk can be read, a disk without permission cannot be looked at.
_LASTING = {
    errno.ENOSPC: {"open to write", "write", "fsync", "mkdir", "truncate"},
    errno.EIO: set(KINDS),
    errno.EACCES: {"open to write", "rename", "mkdir", "unlink", "open to read", "list"},
}
_SOURCE = Path(__file__).with_name("failing.c")
# A command takes seconds; a process that hangs is ended by its own alarm.
_LIMIT_S = 120


@dataclass(frozen=True)
class Fault:
    """The ``number``-th call of a kind fails; with ``lasting`` so does every later one that such a fault concerns."""

    kind: str
    number: int
    error: int
    lasting: bool

    @property
    def kinds(self) -> set[str]:
        """What fails at some time."""
        return {self.kind} | (_LASTING[self.error] if self.lasting else set())

    def __str__(self) -> str:
        """For example: write 3 failing with ENOSPC, and all after it."""
        code = errno.errorcode[self.error]
        return f"{self.kind} {self.number} failing with {code}{', and all after it' if self.lasting else ''}"


@dataclass(frozen=True)
class Done:
    """What came of a command line."""

    code: int
    """Its exit code; negative: the signal that ended it."""
    out: str
    error: str
    calls: Sequence[tuple[str, str]]
    """(kind, path) of each in the watched folder, in their order; where none was to fail."""
    failed: int = 0
    first: str = ""
    """The file of the first that failed."""
    modules: Sequence[str] = ()


def build(folder: Path) -> Path | None:
    """The library that lets calls fail; None where there is no C compiler that can make it, or no Linux."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if sys.platform != "linux" or compiler is None:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    library = folder / "failing.so"
    words = [compiler, "-shared", "-fPIC", "-O1", "-U_FORTIFY_SOURCE", "-o", str(library), str(_SOURCE), "-ldl"]
    return library if subprocess.run(words, capture_output=True, check=False).returncode == 0 else None


class Warm:
    """The process; ``with`` ends it."""

    def __init__(self, folder: Path, library: Path | None = None) -> None:
        """What it needs for itself lies in ``folder``."""
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(filter(None, (str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH")))),
            "OMP_NUM_THREADS": "1",
            "CUDA_VISIBLE_DEVICES": "",  # a copy cannot use what its original has begun with
            "XDG_CACHE_HOME": str(folder / "cache"),
        }
        if library is not None:
            environment["LD_PRELOAD"] = str(library)
        words = [sys.executable, "-m", "reliability.harness.warm"]
        self._process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True
        )

    def __enter__(self) -> Warm:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()  # the end of its input is its end

    def run(
        self,
        words: Sequence[object],
        watched: Path,
        fault: Fault | None = None,
        *,
        environment: Mapping[str, str] | None = None,
        patches: Mapping[str, object] | None = None,
    ) -> Done:
        """Run ``masksmith words``; ``patches`` are values of modules by their dotted names."""
        for name in ("stdout", "stderr", "result"):
            (self.folder / name).unlink(missing_ok=True)
        asked = [KINDS.index(fault.kind), fault.number, fault.error] if fault is not None else [-1, 0, 0]
        after = sum(1 << KINDS.index(kind) for kind in fault.kinds) if fault is not None and fault.lasting else 0
        code = self._ask(
            words=[str(word) for word in words],
            told=str(self.folder),
            watched=str(watched),
            fault=[*asked, after],
            environment=dict(environment or {}),
            patches=dict(patches or {}),
        )
        found: dict[str, Any] = {"calls": ()}
        with suppress(OSError, ValueError):  # of a process that was ended
            found = json.loads((self.folder / "result").read_text())
        out, error = ((self.folder / name).read_text(errors="replace") for name in ("stdout", "stderr"))
        return Done(code, out, error, **found)

    def load(self, modules: Sequence[str]) -> None:
        """Load what commands have loaded, so that later ones need not."""
        self._ask(modules=list(modules))

    def _ask(self, **request: object) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(request), file=self._process.stdin, flush=True)
        return int(self._process.stdout.readline())


def _serve() -> None:
    import torch

    import masksmith.cli  # noqa: F401 - loaded before the copies are made

    torch.set_num_threads(1)
    for line in sys.stdin:
        request = json.loads(line)
        answer = _load(request["modules"]) if "modules" in request else _copy(request)
        os.write(1, f"{answer}\n".encode())


def _load(modules: Sequence[str]) -> int:
    for name in modules:
        with suppress(Exception):  # parts of libraries that cannot be loaded by themselves
            importlib.import_module(name)
    return 0


def _copy(request: Mapping[str, Any]) -> int:
    child = os.fork()
    if not child:
        try:
            _command(request)
        finally:
            os._exit(70)  # never back into the loop
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _command(request: Mapping[str, Any]) -> None:
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(_LIMIT_S)
    told = Path(request["told"])
    for number, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(told / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), number)
    os.environ.update(request["environment"])
    _remember_graphs(told)
    _remember_figures(told)
    for name, value in request["patches"].items():
        module, _, attribute = name.rpartition(".")
        setattr(importlib.import_module(module), attribute, value)
    from masksmith.cli import main

    library = ctypes.CDLL(os.environ["LD_PRELOAD"]) if "LD_PRELOAD" in os.environ else None
    if library is not None:
        library.failing_first.restype = library.failing_told.restype = ctypes.c_char_p
        library.failing_failed.restype = ctypes.c_long
        kind, number, error, after = request["fault"]
        library.failing_arm(os.fsencode(request["watched"]), kind, ctypes.c_long(number), error, ctypes.c_uint(after))
    try:
        code = main(request["words"])
    except BaseException:  # what would reach a person as a traceback
        traceback.print_exc()
        code = 71
    sys.stdout.flush()
    sys.stderr.flush()
    found: dict[str, object] = {"calls": (), "modules": list(sys.modules)}
    if library is not None:
        library.failing_disarm()
        lines = (line.partition(" ") for line in os.fsdecode(library.failing_told()).splitlines())
        found["calls"] = [(KINDS[int(kind)], path) for kind, _, path in lines]
        found |= {"failed": library.failing_failed(), "first": os.fsdecode(library.failing_first())}
    (told / "result").write_text(json.dumps(found))
    os._exit(code)


def _remember_graphs(told: Path) -> None:
    """The exporter of torch takes seconds and touches no file: the same weights give the same graph."""
    from masksmith.inference.runtimes import graph

    plain = graph._export

    def export(network: Any, *, overlapping: bool) -> bytes:  # noqa: ANN401 - a network, without torch's name here
        size = sum(float(p.detach().double().abs().sum()) for p in network.parameters())
        kept = told / f"graph-{size!r}-{overlapping}.onnx"
        if not kept.is_file():
            kept.write_bytes(plain(network, overlapping=overlapping))
        return kept.read_bytes()

    graph._export = export


def _remember_figures(told: Path) -> None:
    """Drawing is two thirds of a short training and touches no file: the same figures give the same picture."""
    from masksmith.report import figures

    drawn_from: dict[str, Callable[..., object]] = {
        "curves": lambda log: [(row["step"], row["loss"], row["miou"]) for row in log],  # of its columns these alone
        "confusion": lambda found: found,
        "samples": lambda rows, table: (rows, table),
    }
    for name, essence in drawn_from.items():
        setattr(figures, name, partial(_drawn, told / name, getattr(figures, name), essence))


def _drawn(kept: Path, plain: Callable[..., bytes], essence: Callable[..., object], *arguments: object) -> bytes:
    """A figure, or the one that was drawn of the same before."""
    content = pickle.dumps(essence(*arguments))
    path = kept.with_name(f"{kept.name}-{hashlib.sha256(content).hexdigest()}.png")
    if not path.is_file():
        path.write_bytes(plain(*arguments))
    return path.read_bytes()


if __name__ == "__main__":
    _serve()
