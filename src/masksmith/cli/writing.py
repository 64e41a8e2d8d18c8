"""Outputs of many predictions, encoded and written in threads while the network goes on.

Rule: of a picture that fails nothing is written, of others each file whole; no more predictions
wait than was said, and the order of the pictures stays.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType

from masksmith import files
from masksmith.classes import ClassTable
from masksmith.cli.targets import is_taken
from masksmith.errors import InputError
from masksmith.images.video import Frame
from masksmith.inference.cleanup import CleanupSettings, clean
from masksmith.inference.pictures import Chosen
from masksmith.inference.prediction import Prediction
from masksmith.limits import MAX_WAITING_BYTES
from masksmith.outputs import COLLECTED, OUTPUTS, Collector, Shaping, endings, render

# Encoding leaves Python's lock, but the network wants the processors too.
_MOST_THREADS = 4
_LARGE_ENDING = "mask.tif"
# Predictions that wait or are written: one for each thread, and the next.
_MOST_WAITING = 5


@dataclass(frozen=True)
class Wanted:
    """What is to be written, and where."""

    words: Sequence[str]
    folder: Path
    table: ClassTable
    shaping: Shaping = field(default_factory=Shaping)
    cleanup: CleanupSettings = field(default_factory=CleanupSettings)
    part: str = ""
    """Stands in the names of files about all pictures, where this is a part of the work."""
    keep: bool = False
    """What is there already stays as it is."""

    @property
    def each(self) -> list[str]:
        """The outputs that every picture gets."""
        return [word for word in self.words if word in OUTPUTS]

    @property
    def endings(self) -> list[str]:
        """What the names of a picture's files end with."""
        return [ending for word in self.each for ending in endings(word, self.table)]

    def targets(self, chosen: Chosen) -> list[Path]:
        """The files of a picture; of one larger than memory the mask alone."""
        return [self.target(chosen, ending) for ending in self._endings_of(chosen)]

    def missing(self, chosen: Chosen) -> frozenset[str]:
        """The endings of those of them that are to be written."""
        found = self._endings_of(chosen)
        return frozenset(e for e in found if not (self.keep and is_taken(self.target(chosen, e))))

    def _endings_of(self, chosen: Chosen) -> list[str]:
        return [_LARGE_ENDING] if chosen.is_large else self.endings

    def target(self, chosen: Chosen, ending: str) -> Path:
        """One of them."""
        return self.folder / f"{chosen.name}_{ending}"

    def collectors(self) -> dict[str, Collector]:
        """What writes the files about all pictures, by the names of these outputs."""
        return {word: COLLECTED[word](self.table, self.shaping) for word in self.words if word in COLLECTED}

    def common(self, name: str, *, whole: bool = True) -> Path:
        """The place of a file about all pictures, or of what there is of it when the work ends early."""
        path = self.folder / name
        words = [path.stem, *([self.part] if self.part else []), *([] if whole else ["unfinished"])]
        return path.with_name("-".join(words) + path.suffix)


class Writer:
    """``put`` each answer in order; leaving the ``with`` waits until all is written, ``finish`` or ``keep`` come last."""

    def __init__(self, wanted: Wanted) -> None:
        self.wanted = wanted
        self.rows: list[tuple[str, Mapping[str, float]]] = []
        """The picture and the share of each class in it, for those that are written."""
        self.faults: list[InputError] = []
        self.common: list[str] = []
        """The names of files about all pictures that are written."""
        self.kept = 0
        """Files that were there already, of pictures that got others."""
        self._endings: set[str] = set()  # of files that are written
        self._collectors = wanted.collectors()
        self._gathered = dict.fromkeys(self._collectors, 0)  # how many pictures each has, until it is written
        threads = min(_MOST_THREADS, os.cpu_count() or 1)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="write")
        self._line = ThreadPoolExecutor(1, thread_name_prefix="collect")
        self._waiting: deque[tuple[Future[None], int]] = deque()
        self._held_bytes = 0

    def __enter__(self) -> Writer:
        return self

    def put(self, chosen: Chosen, answer: Prediction | InputError) -> None:
        """Take an answer over, as soon as there is room for it.

        Raises:
            EnvironmentFault: an earlier one could not be written.
        """
        taken = answer.probabilities_KHW.nbytes + answer.pixels_HWC.nbytes if isinstance(answer, Prediction) else 0
        self._settle(_MOST_WAITING - 1, taken)
        missing = self.wanted.missing(chosen)
        done = self._pool.submit(self._write, chosen, answer, missing)
        self._waiting.append((self._line.submit(self._collect, chosen, done, missing), taken))
        self._held_bytes += taken
        if taken > MAX_WAITING_BYTES:  # the only one in memory
            self._settle(0)

    def put_large(self, chosen: Chosen, answer: Mapping[str, float] | InputError) -> list[str]:
        """Take over what became of a picture whose mask is written already: the share of each class in it.

        Returns:
            The outputs about all pictures that it is left out of.
        """
        if isinstance(answer, InputError):
            self.faults.append(answer)
            return []
        self.rows.append((chosen.shown, answer))
        self._endings.add(_LARGE_ENDING)
        taken = [word for word, collector in self._collectors.items() if collector.add_large(chosen.called, answer)]
        for word in taken:
            self._gathered[word] += 1
        return [word for word in self._collectors if word not in taken]

    def finish(self) -> None:
        """Write the files about all pictures; one that has no picture is not written.

        Raises:
            EnvironmentFault: one cannot be written.
        """
        for word in [word for word, count in self._gathered.items() if count]:
            self._write_common(word)

    def keep(self) -> None:
        """After an error, write what there is of them under names that say so, where that can be."""
        for word in [word for word, count in self._gathered.items() if count]:
            with suppress(Exception):  # the first error is what is to be told
                self._write_common(word, whole=False)

    @property
    def written(self) -> list[str]:
        """What the files are called that are written, with * in the place of a picture's name."""
        found = [ending for ending in (*self.wanted.endings, _LARGE_ENDING) if ending in self._endings]
        return [*(f"*_{ending}" for ending in found), *self.common]

    def _write_common(self, word: str, *, whole: bool = True) -> None:
        for name, content in self._collectors[word].finish().items():
            target = self.wanted.common(name, whole=whole)
            files.write_bytes(target, content)
            self.common.append(target.name)
            if whole:  # of an earlier call, which this one replaces
                files.remove([self.wanted.common(name, whole=False)])
        del self._gathered[word]

    def _settle(self, most: int, more_bytes: int = 0) -> None:
        """Wait until at most so many are held, and ``more_bytes`` besides; whatever went wrong is raised here."""
        while self._waiting and (
            len(self._waiting) > most or self._held_bytes + more_bytes > MAX_WAITING_BYTES or self._waiting[0][0].done()
        ):
            future, taken = self._waiting.popleft()
            self._held_bytes -= taken
            future.result()

    def _write(
        self, chosen: Chosen, answer: Prediction | InputError, missing: frozenset[str]
    ) -> Prediction | InputError:
        if isinstance(answer, InputError):
            return answer
        if isinstance(chosen.source, Frame):  # a picture of its own, and not the whole video
            answer = replace(answer, source=Path(chosen.name))
        try:
            cleaned = clean(answer, self.wanted.cleanup)
            words = [word for word in self.wanted.each if not missing.isdisjoint(endings(word, self.wanted.table))]
            made = [render(word, cleaned, self.wanted.shaping) for word in words]
        except InputError as fault:
            return fault
        for contents in made:
            for ending, content in contents.items():
                if ending in missing:
                    files.write_bytes(self.wanted.target(chosen, ending), content)
        return cleaned

    def _collect(self, chosen: Chosen, done: Future[Prediction | InputError], missing: frozenset[str]) -> None:
        """In one thread, so that the files about all pictures have them in order."""
        answer = done.result()
        if isinstance(answer, InputError):
            self.faults.append(answer)
            return
        for word, collector in self._collectors.items():
            collector.add(chosen.name, answer, chosen.called)
            self._gathered[word] += 1
        self._endings |= missing
        self.kept += len(self.wanted.endings) - len(missing)
        self.rows.append((chosen.shown, answer.shares()))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self._settle(0)
        finally:  # what has begun is ended and gathered, what has not is left
            try:
                self._pool.shutdown(wait=True, cancel_futures=True)
            finally:  # a second Ctrl-C does not leave it at work on tables that are being written
                self._line.shutdown(wait=True)
