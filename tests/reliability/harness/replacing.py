"""Programs killed while they replace a file, or empty a folder for a new result: all or nothing, and no trap for later.

Rule: a child tells what it is about to write, so that afterwards the file must be the one before or that one; what
its unfinished writes leave is never taken for a result and never stands in the way of one.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random

from masksmith import files
from masksmith.errors import MasksmithError
from masksmith.run import Run
from reliability.harness import Outcome
from reliability.harness.forked import Warm

SIZES = (10, 1_000, 30_000, 1_000_000, 20_000_000)
# One kill in so many is that of a program that takes a folder over and over again.
_TAKES_EVERY = 5
# A kill comes within the first so many replacements; to take a folder is as long as so many of small files.
_WITHIN, _TAKEN = 2.5, 5
_MARK, _OURS = "recipe.yaml", ("recipe.yaml", "classes.csv", "state.*", "exports")
# Unfinished files of so many bytes are not kept until the end: the disk would be full of them.
_LARGE = 10**6
# Digits of the number with which a content begins, and of those that a child tells.
_DIGITS = 10


def content(number: int, size: int) -> bytes:
    """The content of that number: two of them differ in every block, and somewhat in size."""
    seed = hashlib.sha256(f"{number} {size}".encode()).digest()
    length = size + number % 7
    return (f"{number:{_DIGITS}}".encode() + seed * (length // len(seed) + 1))[:length]


def replace_for_ever(ready: Callable[[], object], path: str, told: str, first: int, size: int) -> None:
    """Replace a file again and again, telling the number of each content before it is written."""
    file = os.open(told, os.O_WRONLY)
    ready()
    for number in range(first, first + 10**9):
        made = content(number, size)
        os.pwrite(file, f"{number:{_DIGITS}}".encode(), 0)
        files.write_bytes(Path(path), made)


def take_for_ever(ready: Callable[[], object], path: str) -> None:
    """Take a folder and put a small result there, again and again."""
    folder = Path(path)
    ready()
    while True:
        files.claim_folder(folder, overwrite=True, ours=_OURS)
        for name in (_MARK, "classes.csv", "state.safetensors", "exports/model.onnx"):
            files.write_text(folder / name, name)


def check(many: int, folder: Path, seed: int = 0) -> Outcome:
    """Kill ``many`` programs while they replace files of 10 bytes to 20 MB, and some more while they take folders."""
    random = Random(seed)
    tally: Counter[str] = Counter()
    faults: list[str] = []
    with Warm(folder / "warm", "masksmith.files", "reliability.harness.replacing") as warm:
        cases = [_Replaced(warm, folder / str(size), size, tally) for size in SIZES]
        for number in range(many):
            faults += [f"kill {number} of seed {seed}: {fault}" for fault in cases[number % len(cases)].kill(random)]
        for number in range(many // _TAKES_EVERY):
            after_s = random.uniform(0, _WITHIN * _TAKEN * cases[0].replace_s)
            faults += [f"take {number} of seed {seed}: {f}" for f in _take(warm, folder / "taken", after_s, tally)]
    for case in cases:
        faults += case.faults + case.stands_in_the_way()
    words = ("killed before a replacement", "unfinished files left", "corrupt", "in the way")
    counts: dict[str, int | float | str] = {
        "kills while a file is replaced": many,
        "kills while a folder is taken": many // _TAKES_EVERY,
    }
    return Outcome(counts | {word: tally[word] for word in words}, tuple(faults))


def _take(warm: Warm, folder: Path, after_s: float, tally: Counter[str]) -> list[str]:
    """Kill a program that takes a folder; one that cannot take what the last has left ends by itself."""
    ended = warm.run(f"{__name__}:take_for_ever", str(folder), end=(signal.SIGKILL, after_s))
    if ended.code == -signal.SIGKILL:
        return []
    tally["in the way"] += 1
    inside = sorted(p.name for p in folder.iterdir())
    shutil.rmtree(folder)
    return [f"a folder with {inside} is not taken: {ended.error.strip()[-300:]}"]


class _Replaced:
    """A file of one size in a folder of its own, replaced by one program after the other."""

    def __init__(self, warm: Warm, folder: Path, size: int, tally: Counter[str]) -> None:
        folder.mkdir()
        self._warm, self._size, self._tally = warm, size, tally
        self._path, self._told, self._number = folder / _MARK, folder.with_suffix(".told"), 0
        self._unfinished: set[Path] = set()
        self.faults: list[str] = []
        self._path.write_bytes(content(0, size))
        self.replace_s = self._measured()

    def _measured(self) -> float:
        """Seconds of a replacement: of three at least."""
        length_s = 0.05
        while True:
            before = self._number
            self.faults += self._run(length_s)
            if (done := int(self._told.read_text()) - before) >= 3:
                return length_s / done
            length_s *= 2

    def kill(self, random: Random) -> list[str]:
        """Kill a program that replaces the file, and look at what is there."""
        return self._run(random.uniform(0, _WITHIN * self.replace_s))

    def _run(self, after_s: float) -> list[str]:
        before = self._number
        self._told.write_text(f"{before:{_DIGITS}}")
        arguments = (str(self._path), str(self._told), before + 1, self._size)
        ended = self._warm.run(f"{__name__}:replace_for_ever", *arguments, end=(signal.SIGKILL, after_s))
        if ended.code != -signal.SIGKILL:
            return [
                f"a program that replaces a file of {self._size} bytes ended by itself: {ended.error.strip()[-300:]}"
            ]
        told, found = int(self._told.read_text()), self._path.read_bytes()
        self._tally["killed before a replacement"] += told == before
        self._count_unfinished()
        for number in (told, max(told - 1, before)):
            if found == content(number, self._size):
                self._number = number
                return []
        self._tally["corrupt"] += 1
        self._path.write_bytes(content(before, self._size))
        return [
            f"of {self._size} bytes, neither content {told} nor the one before: {len(found)} bytes, {found[:20]!r}…"
        ]

    def _count_unfinished(self) -> None:
        """Count what was left since the last kill, and keep it for later where it is small."""
        now = set(self._path.parent.glob(".*.part"))
        self._tally["unfinished files left"] += len(now - self._unfinished)
        if self._size >= _LARGE:
            files.remove(now)
            now = set()
        self._unfinished = now

    def stands_in_the_way(self) -> list[str]:
        """Whether unfinished files keep anyone from anything: alone, and beside a result."""
        folder = self._path.parent
        alone = folder.with_name(f"{folder.name}-alone")
        shutil.copytree(folder, alone, ignore=shutil.ignore_patterns(_MARK))
        faults = []
        for tried in (folder, alone):
            beside = Path(f"{tried}-tidied")
            shutil.copytree(tried, beside)
            Run(beside).tidy()
            if left := sorted({p.name for p in beside.iterdir()} - {_MARK}):
                faults.append(f"tidying has left {left[:3]}")
            try:
                files.claim_folder(tried, overwrite=True, ours=_OURS)
            except MasksmithError as error:
                faults.append(f"a folder with unfinished files is not taken: {error}")
        self._tally["in the way"] += len(faults)
        return faults
