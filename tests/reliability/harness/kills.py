"""Trainings killed by SIGKILL at random moments, some more than once; each goes on to the model of one left alone.

Rule: a quarter is killed in the middle of a state write, between two calls to the system or with half of the bytes
written; the others by the clock, from the first moment of the program to its last.
"""

from __future__ import annotations

import signal
from collections import Counter
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from random import Random

from masksmith.errors import MasksmithError
from reliability.harness import Outcome, trained
from reliability.harness.forked import Ended
from reliability.harness.trained import Bench

# Of the length of a training: some moments drawn come after its end.
_LATEST = 1.1
# A training that had ended before its kill is done again; a machine that is busy may need a few.
_MOST_TRIES = 50


def check(many: int, folder: Path, seed: int = 0, bench: Bench | None = None) -> Outcome:
    """Kill ``many`` trainings, each at least once, and go on with each until it has ended; ``bench`` spares making one."""
    tally: Counter[str] = Counter()
    faults: list[str] = []
    with nullcontext(bench) if bench is not None else trained.bench(folder) as made:
        for number in range(many):
            case = _Case(made, number, Random(f"{seed} {number}"), tally)
            if fault := case.fault():
                faults.append(f"kill {number} of seed {seed}: {fault}")
                tally["trainings with a fault"] += 1
    first = {"trainings killed": many, "kills": tally.pop("kills", 0)}
    fixed = ("killed in a state write", "identical model.safetensors", "unreadable runs")
    return Outcome(first | {word: tally.pop(word, 0) for word in fixed} | dict(sorted(tally.items())), tuple(faults))


@dataclass
class _Case:
    """One training, from its start to its end over all kills."""

    bench: Bench
    number: int
    random: Random
    tally: Counter[str]

    def fault(self) -> str:
        """What has gone wrong; nothing if nothing has."""
        over = self.number % 8 == 5
        wanted = 1 + (self.random.randrange(1, 3) if self.number % 5 == 4 else 0)
        for _ in range(_MOST_TRIES):
            self.bench.clear(finished=over)
            words = [*self.bench.start, *(["--overwrite"] if over else [])]
            ended, killed = self._until_killed(words)
            if killed or ended.code:
                break
            self.tally["ended before the kill"] += 1
        while killed:
            if fault := self._unreadable():
                self.tally["unreadable runs"] += 1
                return f"{fault}, after a kill at: {self.bench.was_at()}"
            wanted -= 1
            words = self.bench.resume
            if not self.bench.tried.has_state:
                if fault := self._not_told():
                    return fault
                words = [*self.bench.start, "--overwrite"]
            ended, killed = self._until_killed(words) if wanted > 0 else (self.bench.run(words), False)
        if ended.code:
            return f"masksmith {' '.join(words)} has ended with code {ended.code}: {ended.error.strip()[-500:]}"
        differing = self.bench.differing()
        self.tally["identical model.safetensors"] += "model.safetensors" not in differing
        return f"other contents than without a kill: {', '.join(differing)}" if differing else ""

    def _until_killed(self, words: list[str]) -> tuple[Ended, bool]:
        """Run it with a kill on its way; whether that has hit it."""
        if self.number % 4 == 3:
            ended = self.bench.run(words, last=self.random.randrange(self.bench.moments))
        else:
            after_s = self.random.uniform(0, _LATEST * self.bench.duration_s)
            ended = self.bench.run(words, end=(signal.SIGKILL, after_s))
        killed = ended.code == -signal.SIGKILL
        if killed:
            self.tally["kills"] += 1
            self.tally[f"killed in a {at}" if (at := self.bench.was_at()) == "state write" else f"killed at: {at}"] += 1
            self.tally["killed before the first state"] += not self.bench.tried.has_state
        return ended, killed

    def _unreadable(self) -> str:
        """Which file of the run that is there cannot be read, and why."""
        run = self.bench.tried
        files = ((run.recipe_file, run.read_recipe), (run.log_file, run.read_log), (run.model_file, run.read_model))
        for path, read in files:
            try:
                if path.is_file():
                    read()
            except (MasksmithError, ValueError) as error:
                return f"{path.name} is unreadable: {error}"
        return ""

    def _not_told(self) -> str:
        """Whether somebody who would go on with nothing is not told in a sentence to start anew."""
        ended = self.bench.run(self.bench.resume)
        self.tally["told to start anew"] += 1
        good = trained.one_sentence(ended) and ("start it anew" in ended.error or not self.bench.path.exists())
        return (
            ""
            if good
            else f"--resume without a state has ended with code {ended.code} and: {ended.error.strip()[-500:]}"
        )
