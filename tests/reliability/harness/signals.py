"""Trainings that SIGTERM or Ctrl-C ends at random moments: out in time, told how to go on, and none the worse for it.

Rule: as :mod:`reliability.harness.kills`; a few are programs started anew, for the seconds in which they load.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from random import Random

from reliability.harness import Outcome, trained
from reliability.harness.forked import Ended
from reliability.harness.trained import Bench

_INTERRUPTED = 130
_LONGEST_S = 10.0
_LATEST = 1.05
_MOST_TRIES = 50
# One in so many is a program of its own, signalled in its first seconds.
_COLD_EVERY = 25
_COLD_S = (0.1, 6.0)


def check(many: int, folder: Path, seed: int = 0, bench: Bench | None = None) -> Outcome:
    """Signal ``many`` trainings, SIGTERM and SIGINT in turn, and go on with each until it has ended; ``bench`` spares making one."""
    tally: Counter[str] = Counter()
    faults: list[str] = []
    slowest_s = 0.0
    with nullcontext(bench) if bench is not None else trained.bench(folder) as made:
        for number in range(many):
            case = _Case(made, number, Random(f"{seed} {number}"), tally)
            fault = case.fault()
            slowest_s = max(slowest_s, case.slowest_s)
            if fault:
                faults.append(f"signal {number} of seed {seed}: {fault}")
    first: dict[str, int | float | str] = {"signals": many, "slowest to leave, s": round(slowest_s, 2)}
    fixed = ("told how to go on", "identical model.safetensors")
    return Outcome(first | {word: tally.pop(word, 0) for word in fixed} | dict(sorted(tally.items())), tuple(faults))


@dataclass
class _Case:
    """One training, from its start over a signal to its end."""

    bench: Bench
    number: int
    random: Random
    tally: Counter[str]
    slowest_s: float = 0.0

    def fault(self) -> str:
        """What has gone wrong; nothing if nothing has."""
        bench = self.bench
        for _ in range(_MOST_TRIES):
            bench.clear()
            ended = self._cold() if self.number % _COLD_EVERY == _COLD_EVERY - 1 else self._signalled(bench.start)
            if ended.was_signalled:
                break
            self.tally["ended before the signal"] += 1
        fault = self._left_badly(ended)
        if not fault and self.number % 3 == 2 and bench.tried.has_state:  # and once more
            ended = self._signalled(bench.resume)
            fault = self._left_badly(ended)
        if fault:
            return fault
        if not self._was_done(ended):
            ended = bench.run(bench.resume if bench.tried.has_state else [*bench.start, "--overwrite"])
        if not self._was_done(ended):
            return f"it does not go on, code {ended.code}: {ended.error.strip()[-500:]}"
        differing = bench.differing()
        self.tally["identical model.safetensors"] += "model.safetensors" not in differing
        return f"other contents than without a signal: {', '.join(differing)}" if differing else ""

    @property
    def _number(self) -> signal.Signals:
        return (signal.SIGTERM, signal.SIGINT)[self.number % 2]

    def _signalled(self, words: list[str]) -> Ended:
        """Run it in a child with a signal on its way."""
        whole = self.number % 5 == 4  # what comes when all is trained ends nothing
        after_s = self.random.uniform(0, _LATEST * (self.bench.duration_s if whole else self.bench.trained_s))
        return self._counted(self.bench.run(words, end=(self._number, after_s)), self.bench.was_at())

    def _cold(self) -> Ended:
        """Run it as a program of its own, signalled while it loads."""
        command = [sys.executable, "-m", "masksmith", *self.bench.start]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            try:
                process.wait(self.random.uniform(*_COLD_S))
            except subprocess.TimeoutExpired:
                process.send_signal(self._number)
            begun = time.monotonic()
            out, error = process.communicate(timeout=300)
            left_s = time.monotonic() - begun
        ended = Ended(process.returncode, 0.0, 0.0, left_s, was_signalled=True, out=out, error=error)
        return self._counted(ended, "a program that has just been started")

    def _counted(self, ended: Ended, was_at: str) -> Ended:
        if ended.was_signalled:
            self.slowest_s = max(self.slowest_s, ended.left_s)
            self.tally["came too late to end it" if self._was_done(ended) else f"came at: {was_at}"] += 1
        return ended

    def _was_done(self, ended: Ended) -> bool:
        """Whether the signal came when all was done, or nearly; while Python itself ends, a signal has its plain effect."""
        return ended.code == 0 or (ended.code == -self._number and self.bench.was_at() == "end of the program")

    def _left_badly(self, ended: Ended) -> str:
        """What was wrong with how it left; nothing if nothing was."""
        if ended.left_s > _LONGEST_S * self.bench.slowness:
            return f"it took {ended.left_s:.1f} s to leave after {self._number.name}"
        if self._was_done(ended):
            return ""
        said = f"code {ended.code} and: {ended.out.strip()[-500:]} {ended.error.strip()[-500:]}"
        # Before the program could listen; one that goes on has its folder already.
        if ended.code == -self._number and (not self.bench.path.exists() or self.bench.was_at() == "starting"):
            return ""
        if ended.code != _INTERRUPTED or ended.error != "masksmith: interrupted.\n":
            return f"{self._number.name} has ended it with {said}"
        if not self.bench.tried.has_state:
            return ""
        told = f"go on with: masksmith train -o {self.bench.path} --resume" in ended.out
        self.tally["told how to go on"] += told
        return "" if told else f"{self._number.name} has left a state, and nothing says how to go on: {said}"
