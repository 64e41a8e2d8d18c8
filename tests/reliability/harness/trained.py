"""A tiny training by the real command line, its moments marked, and what two such trainings must have in common.

Rule: what runs is the program itself; the child only notes where it is, saves its state more often than once a
minute, and can end itself between two calls to the system, or in the middle of one.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from helpers import write_set
from masksmith.run import Run
from reliability.harness.forked import Ended, Warm

MODULES = (
    "masksmith.cli.show",
    "masksmith.training.session",
    "masksmith.report.figures",
    "lightning_fabric",
    "psutil",
    "reliability.harness.trained",
)
STEPS = 30
_SETTINGS = ("--steps", str(STEPS), "crop=32", "batch_size=2", "model.width=4", "model.depth=2", "device=cpu")
_SAVED_EVERY = 3
# What files.py asks of the system, by the names of Python's functions, and where it does so.
_CALLS = frozenset({"open", "close", "write", "flush", "fsync", "chmod", "replace"})
_CALLERS = ("files.py", "pathlib", "tempfile")
# A mark: where the program is, how many moments of state writes have gone by, and where it was when it was asked to stop.
_WORD, _NUMBER = 24, 8


class Moments:
    """Counts the moments before, in and after each such call; at a chosen one the process kills itself."""

    def __init__(self, last: int) -> None:
        self.seen, self._last = 0, last

    def __call__(self, frame: FrameType, event: str, called: Any) -> None:  # noqa: ANN401 - as sys.setprofile has it
        name = getattr(called, "__name__", "")
        if event not in {"c_call", "c_return"} or name not in _CALLS:
            return
        of_a_text = isinstance(getattr(called, "__self__", None), str)
        if of_a_text or not any(word in frame.f_code.co_filename for word in _CALLERS):
            return
        if event == "c_call" and name == "write":
            if self.seen == self._last:
                content = frame.f_locals["content"]
                os.write(frame.f_locals["file"].fileno(), content[: len(content) // 2])
            self._pass()
        self._pass()

    def _pass(self) -> None:
        if self.seen == self._last:
            os.kill(os.getpid(), signal.SIGKILL)
        self.seen += 1


class Marks:
    """Notes in a file where the program is; what it was last in stays there when it is killed."""

    def __init__(self, path: str, last: int | None) -> None:
        """Begin; ``last`` is the moment of state writes that the process does not outlive."""
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        self._inside, self._last, self._moments = [""], last, Moments(-1 if last is None else last)
        self.trained = 0.0
        """When the training had ended (``time.monotonic``)."""
        self.outside("starting")

    def outside(self, word: str) -> None:
        """What it is called where no marked function runs."""
        self._inside[0] = word
        self._note()

    def asked(self) -> None:
        """A signal has come."""
        os.pwrite(self._file, self._inside[-1].ljust(_WORD).encode(), _WORD + _NUMBER)

    def around(self, module: Any, name: str, word: str) -> None:  # noqa: ANN401 - a module
        """Mark a function, and count the moments of one that writes the state."""
        function = getattr(module, name)

        def wrapped(*values: Any, **named: Any) -> Any:  # noqa: ANN401 - whatever it takes and gives
            self._inside.append(word)
            self._note()
            if word == "state write" and self._last is not None:
                sys.setprofile(self._moments)
            try:
                return function(*values, **named)
            finally:
                sys.setprofile(None)
                self.trained = time.monotonic() if word == "training" else self.trained
                self._inside.pop()
                self._note()

        setattr(module, name, wrapped)

    def _note(self) -> None:
        os.pwrite(self._file, self._inside[-1].ljust(_WORD).encode() + f"{self._moments.seen:{_NUMBER}}".encode(), 0)


def child(ready: Callable[[], object], words: list[str], path: str, last: int | None) -> int:
    """Run the command line with its marks in a file of that path; see :class:`Marks`."""
    from masksmith import cli
    from masksmith.cli import show
    from masksmith.data import doctor
    from masksmith.report import summary
    from masksmith.training import loop, state

    marks = Marks(path, last)
    marks.around(doctor, "examine", "look at the data")
    marks.around(loop, "train", "training")
    marks.around(loop, "validate", "validation")
    marks.around(state, "write", "state write")
    marks.around(summary, "write_training", "report")
    turns = itertools.count()
    state.Saving.is_due = lambda _: next(turns) % _SAVED_EVERY == 0  # type: ignore[method-assign]
    listening, asked = show.Show.stop_on_signals, show.Show._ask_to_stop

    def listens(shown: show.Show) -> None:
        listening(shown)
        marks.outside("elsewhere")

    def is_asked(shown: show.Show, *about: object) -> None:
        marks.asked()
        asked(shown, *about)

    show.Show.stop_on_signals, show.Show._ask_to_stop = listens, is_asked  # type: ignore[method-assign]
    ready()
    begun = time.monotonic()
    code = cli.main(words)
    marks.outside("end of the program")
    Path(f"{path}-seconds").write_text(json.dumps([marks.trained - begun, time.monotonic() - begun]))
    return code


@contextmanager
def bench(folder: Path) -> Iterator[Bench]:
    """A warm process and its bench."""
    with Warm(folder / "warm", *MODULES) as warm:
        yield Bench(warm, folder)


class Bench:
    """A data set, and the run of a training that nothing has stopped."""

    def __init__(self, warm: Warm, folder: Path) -> None:
        """Train once; ``folder`` gets the data, the run that is tried and the one that it is compared with."""
        folder.mkdir(parents=True, exist_ok=True)
        self._warm, self._marks = warm, folder / "marks"
        self.path, self._whole = folder / "run", folder / "whole"
        self.tried = Run(self.path)
        self.start = ["train", str(write_set(folder / "data", count=4)), "-o", str(self.path), *_SETTINGS]
        self.resume = ["train", "-o", str(self.path), "--resume"]
        ended = self.run(self.start, last=10**9)
        if ended.code:
            raise AssertionError(f"a training that nothing disturbs has ended with code {ended.code}: {ended.error}")
        self.moments = int(self._marks.read_text()[_WORD : _WORD + _NUMBER])
        self.path.rename(self._whole)
        self.expected = kept(self._whole)
        ended = self.run(self.start)  # once more for the clock: the first has looked at the data for all later ones
        if differing := self.differing():
            raise AssertionError(f"two trainings that nothing disturbs differ: {', '.join(differing)}")
        # To the last step, and to the end of the work; a program with so many modules takes as long again to end.
        self.trained_s, self.duration_s = json.loads(Path(f"{self._marks}-seconds").read_text())
        self.slowness = max(1.0, ended.lasted_s / ended.worked_s)
        """How much longer than its work anything takes, beside other programs."""

    def run(self, words: list[str], *, last: int | None = None, end: tuple[int, float] | None = None) -> Ended:
        """Run the command line in a child."""
        self._marks.write_text("")
        return self._warm.run("reliability.harness.trained:child", words, str(self._marks), last, end=end)

    def was_at(self) -> str:
        """Where the last child was when the signal reached it, or when it ended without a word."""
        marks = self._marks.read_text()
        return marks[_WORD + _NUMBER :].strip() or marks[:_WORD].strip() or "starting"

    def clear(self, *, finished: bool = False) -> None:
        """No run, or a finished one."""
        shutil.rmtree(self.path, ignore_errors=True)
        if finished:
            shutil.copytree(self._whole, self.path)

    def differing(self) -> list[str]:
        """What is not as it is in the training that nothing has stopped."""
        found = kept(self.path)
        return [
            name for name in sorted(self.expected.keys() | found.keys()) if found.get(name) != self.expected.get(name)
        ]


def one_sentence(ended: Ended) -> bool:
    """Whether a command that could not do its work has said so in a sentence."""
    said = ended.error.strip()
    return ended.code > 0 and said.startswith("masksmith: ") and said.endswith(".") and "\n" not in said


def kept(run: Path) -> dict[str, str]:
    """All files of a run by name, as checksums; times and speeds are left out, which no two trainings share."""
    found = {p.name: p.read_bytes() for p in run.iterdir()}
    if "log.csv" in found:
        found["log.csv"] = b"\n".join(line.rsplit(b",", 2)[0] for line in found["log.csv"].splitlines())
    if "state.safetensors" in found:
        found["state.safetensors"] = _without_times(found["state.safetensors"])
    return {name: hashlib.sha256(content).hexdigest() for name, content in found.items()}


def _without_times(content: bytes) -> bytes:
    """The tensors of a state, then all else that it says."""
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    about = json.loads(header.pop("__metadata__")["masksmith"])
    progress = about["progress"]
    del progress["elapsed_s"]
    progress["log"] = [row[:-2] for row in progress["log"]]
    # The writer puts metadata first and may place tensors of one size in any order.
    tensors = {
        name: content[8 + size + t["data_offsets"][0] : 8 + size + t["data_offsets"][1]] for name, t in header.items()
    }
    parts = [(name, hashlib.sha256(tensors[name]).hexdigest()) for name in sorted(tensors)]
    return json.dumps([parts, about], sort_keys=True).encode()
