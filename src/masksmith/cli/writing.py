"""Outputs of many predictions, encoded and written in threads while the network goes on.

Rule: of a picture that fails nothing is written, of others each file whole; no more predictions
wait than was said, and the order of the pictures stays.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from masksmith import files
from masksmith.classes import ClassTable
from masksmith.errors import InputError
from masksmith.inference.cleanup import CleanupSettings, clean
from masksmith.inference.pictures import Chosen
from masksmith.inference.prediction import Prediction
from masksmith.limits import MAX_AHEAD_PIXELS
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
        if chosen.is_large:
            return [self.target(chosen, _LARGE_ENDING)]
        return [self.target(chosen, ending) for ending in self.endings]

    def target(self, chosen: Chosen, ending: str) -> Path:
        """One of them."""
        return self.folder / f"{chosen.name}_{ending}"

    def collectors(self) -> list[Collector]:
        """What writes the files about all pictures."""
        return [COLLECTED[word](self.table, self.shaping) for word in self.words if word in COLLECTED]

    def common(self, name: str) -> Path:
        """The place of a file about all pictures."""
        path = self.folder / name
        return path.with_name(f"{path.stem}-{self.part}{path.suffix}") if self.part else path


class Writer:
    """``put`` each answer in order; leaving the ``with`` waits until all is written."""

    def __init__(self, wanted: Wanted) -> None:
        self.wanted = wanted
        self.rows: list[tuple[str, Mapping[str, float]]] = []
        """The picture and the share of each class in it, for those that are written."""
        self.faults: list[InputError] = []
        self._collectors = wanted.collectors()
        threads = min(_MOST_THREADS, os.cpu_count() or 1)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="write")
        self._line = ThreadPoolExecutor(1, thread_name_prefix="collect")
        self._waiting: deque[tuple[Future[None], int]] = deque()
        self._held_px = 0

    def __enter__(self) -> Writer:
        return self

    def put(self, chosen: Chosen, answer: Prediction | InputError) -> None:
        """Take an answer over, as soon as there is room for it.

        Raises:
            EnvironmentFault: an earlier one could not be written.
        """
        pixels = answer.mask_HW.size if isinstance(answer, Prediction) else 0
        self._settle(_MOST_WAITING - 1, pixels)
        done = self._pool.submit(self._write, chosen, answer)
        self._waiting.append((self._line.submit(self._collect, chosen, done), pixels))
        self._held_px += pixels
        if pixels > MAX_AHEAD_PIXELS:  # the only one in memory
            self._settle(0)

    def put_large(self, chosen: Chosen, answer: Mapping[str, float] | InputError) -> None:
        """Take over what became of a picture whose mask is written already: the share of each class in it."""
        if isinstance(answer, InputError):
            self.faults.append(answer)
        else:
            self.rows.append((chosen.shown, answer))

    def _settle(self, most: int, more_px: int = 0) -> None:
        """Wait until at most so many are held, and ``more_px`` besides; whatever went wrong is raised here."""
        while self._waiting and (
            len(self._waiting) > most or self._held_px + more_px > MAX_AHEAD_PIXELS or self._waiting[0][0].done()
        ):
            future, pixels = self._waiting.popleft()
            self._held_px -= pixels
            future.result()

    def _write(self, chosen: Chosen, answer: Prediction | InputError) -> Prediction | InputError:
        if isinstance(answer, InputError):
            return answer
        try:
            cleaned = clean(answer, self.wanted.cleanup)
            made = [render(word, cleaned, self.wanted.shaping) for word in self.wanted.each]
        except InputError as fault:
            return fault
        for contents in made:
            for ending, content in contents.items():
                files.write_bytes(self.wanted.target(chosen, ending), content)
        return cleaned

    def _collect(self, chosen: Chosen, done: Future[Prediction | InputError]) -> None:
        """In one thread, so that the files about all pictures have them in order."""
        answer = done.result()
        if isinstance(answer, InputError):
            self.faults.append(answer)
            return
        for collector in self._collectors:
            collector.add(chosen.name, answer)
        self.rows.append((chosen.shown, answer.shares()))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self._settle(0)
        finally:  # what has begun is ended, what has not is left
            for pool in (self._pool, self._line):
                pool.shutdown(wait=True, cancel_futures=True)
        if error is None and self.rows:
            for collector in self._collectors:
                for name, content in collector.finish().items():
                    files.write_bytes(self.wanted.common(name), content)
