"""Every n-th open, write, fsync and rename fails, in each command: is what was there, or what is said, still true?

Calls of one kind that are alike, such as the third opening of each picture, are one site; one of them fails.

Rule: a fault is survived if the command goes on and all its results are the same as without it, or if it ends with one
sentence that names the file and what is wrong; every file that it leaves is whole; and done again, it succeeds.
"""

from __future__ import annotations

import errno
import os
import random
import re
import shutil
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from helpers import write_set
from masksmith import files
from reliability.harness import Outcome
from reliability.harness.judging import Sound, judge, leftovers, snapshot
from reliability.harness.warm import KINDS, Done, Fault, Warm, build

_TINY = ("crop=32", "batch_size=2", "model.width=4", "model.depth=2", "device=cpu", "workers=1")
# Reading fails by the disk or for want of permission; writing also for want of room.
_READING = {"open to read", "read", "list"}
_ERRORS = dict.fromkeys(("unlink", *_READING), (errno.EIO, errno.EACCES))
_TOLD_EVERY = 100
_ALL_ERRORS = (errno.ENOSPC, errno.EIO, errno.EACCES)


@dataclass(frozen=True)
class Command:
    """A command line; {place} is the folder with data, pictures and a run, {out} where it writes to."""

    words: Sequence[str]
    claim: str
    """Part of what it says once all is written."""
    begin: Mapping[str, str] = field(default_factory=dict)
    """What lies in {out} before: name -> what of {place} is copied there."""
    watched: str = "{place}"
    patches: Mapping[str, object] = field(default_factory=dict)
    instead: str = ""
    """What it says where it has gone on in another way; its files may then differ."""
    as_good: tuple[str, str] = ("", "")
    """The end of the name of a result, and that of another which is as good."""
    must_succeed: bool = False
    """Nothing that fails there may hinder it."""


_PREDICT = (
    "predict", "{place}/run", "{place}/data/test/images", "-o", "{out}/masks", "--runtime", "torch", "--device", "cpu",
)  # fmt: skip

COMMANDS: dict[str, Command] = {
    "train": Command(("train", "{place}/data", "-o", "{out}/run", "--steps", "3", *_TINY), "Run folder:"),
    "train --resume": Command(
        ("train", "-o", "{out}/run", "--resume", "--steps", "5"), "Run folder:", begin={"run": "run"}
    ),
    "predict": Command((*_PREDICT, "--save", "mask,overlay,geojson,geotiff,coco,shares"), "in {out}/masks"),
    "predict --overwrite": Command((*_PREDICT, "--overwrite"), "in {out}/masks", begin={"masks": "masks"}),
    "predict a large picture": Command(
        (*_PREDICT, "--tile", "32", "--save", "mask"),
        "in {out}/masks",
        patches={"masksmith.inference.pictures.MAX_WHOLE_PIXELS": 1000},
        # A picture whose size could not be read at first is taken for one of usual size.
        as_good=("_mask.tif", "_mask.png"),
    ),
    "evaluate": Command(
        ("evaluate", "{place}/run", "-o", "{out}/evaluation", "--device", "cpu"), "Figures and pictures:"
    ),
    "export": Command(("export", "{out}/run", "--to", "onnx"), "Files:", begin={"run": "run"}, instead="made pictures"),
    "split": Command(("split", "{place}/data", "--anew", "-o", "{out}/parts.csv"), "table "),
    "split, what it remembers": Command(
        ("split", "{place}/data", "--anew", "-o", "{out}/parts.csv"),
        "table ",
        watched="{place}/cache",
        must_succeed=True,
    ),
}


# What is made once, to begin from.
_SETUP = {"run": COMMANDS["train"], "masks": COMMANDS["predict --overwrite"]}


class Place:
    """The folder that commands work in, ever again as it was."""

    def __init__(self, folder: Path, warm: Warm, out: Path | None = None) -> None:
        """Data, a trained run and its masks; ``out`` is where commands write to."""
        self.path, self.warm = folder, warm
        self.out = out or folder / "out"
        # What is remembered of earlier scans: where no call fails, and where they do.
        self._caches = (folder.with_name("cache"), folder / "cache")
        write_set(folder / "data", count=3)
        # Its annotations name their classes in a table beside them, as data of people do.
        (folder / "data" / "classes.csv").write_text("name,r,g,b\nground,0,0,0\nhouse,255,0,0\n")
        for what, command in _SETUP.items():
            done = warm.run(self._filled(command.words), folder)
            if done.code:
                raise RuntimeError(f"masksmith {command.words[0]} without a fault: {done.error}")
            shutil.move(self.out / what, folder / what)

    def lay(self, command: Command) -> None:
        """Put everything back."""
        for path in (self.out, self.path / "temporary", *self._caches):
            shutil.rmtree(path, ignore_errors=True)
            path.mkdir()
        for name, what in command.begin.items():
            shutil.copytree(self.path / what, self.out / name)

    def left(self) -> dict[str, str]:
        """All that commands have made, also what is hidden and what is remembered, with checksums."""
        found = [path for root in (self.out, *self._caches) for path in sorted(root.rglob("*"))]
        return {str(path): files.sha256(path.read_bytes()) if path.is_file() else "" for path in found}

    def run(self, command: Command, fault: Fault | None = None, more: Sequence[str] = ()) -> Done:
        """Do it."""
        cache = self._caches[command.must_succeed]
        environment = {"TMPDIR": str(self.path / "temporary"), "XDG_CACHE_HOME": str(cache)}
        return self.warm.run(
            [*self._filled(command.words), *more],
            Path(*self._filled([command.watched])),
            fault,
            environment=environment,
            patches=command.patches,
        )

    def sound(self, command: Command) -> tuple[Sound, Sequence[tuple[str, str]]]:
        """What it does without a fault, and which calls that takes."""
        found = []
        for _ in range(2):
            self.lay(command)
            done = self.run(command)
            self.warm.load(done.modules)
            found.append(snapshot(self.out))
            claim = self._filled([command.claim])[0]
            if done.code or claim not in done.out:
                raise RuntimeError(f"masksmith {command.words[0]} without a fault: {done.out} {done.error}")
        return Sound.of(found[0], found[1], claim, command.instead, command.as_good), done.calls

    def again(self, command: Command, done: Done) -> list[str]:
        """The same command once more, as its message says; what is wrong with that."""
        more = [word for word in ("--overwrite",) if word not in command.words]
        anew = self.run(command)
        if anew.code and "--overwrite" in anew.error:
            anew = self.run(command, more=more)
        return [f"done again: exit code {anew.code}, {anew.error.strip()[-400:]}"] if anew.code else []

    def _filled(self, words: Sequence[str]) -> list[str]:
        return [word.format(place=self.path, out=self.out) for word in words]


def check(many: int, folder: Path, seed: int = 0) -> Outcome:
    """At most ``many`` trials for each command, spread evenly over all that there are; 0: all of them.

    Each site of a call that writes fails with each error, once alone and once with all that the error concerns from
    then on; those that only read have these by turns. Commands are tried side by side, each in a place of its own.
    """
    library = build(folder)
    if library is None:
        return Outcome({"no C compiler, or no Linux": 0})
    began = time.monotonic()

    def tried(name: str) -> tuple[Counter[str], list[str]]:
        return _tried(name, library, folder / name.replace(" ", "-").replace(",", ""), many, seed)

    with ThreadPoolExecutor(os.cpu_count()) as threads:
        told = list(threads.map(tried, COMMANDS))
    counts = sum((counted for counted, _ in told), Counter[str]())
    faults = [fault for _, found in told for fault in found]
    return Outcome({**counts, "seconds": round(time.monotonic() - began)}, tuple(faults))


def _tried(name: str, library: Path, folder: Path, many: int, seed: int) -> tuple[Counter[str], list[str]]:
    """What was counted of one command, and what was wrong."""
    counts: Counter[str] = Counter()
    faults: list[str] = []
    command = COMMANDS[name]
    with Warm(folder / "told", library) as warm:
        place = Place(folder / "place", warm)
        before = snapshot(place.path / "data")
        sound, calls = place.sound(command)
        numbers = _sites(calls, random.Random(seed))
        counts[f"{name}: calls that can fail"] = len(calls)
        counts[f"{name}: sites"] = sum(len(found) for found in numbers.values())
        trials = _chosen(list(_trials(numbers)), many, seed)
        for done, trial in enumerate(trials, 1):
            said = [f"{name}, {trial}: {what}" for what in _try(place, command, sound, trial, counts)]
            faults += said
            # It takes long: what was found is told at once.
            for line in [*said, *([] if done % _TOLD_EVERY else [f"{name}: {done:,} of {len(trials):,} trials"])]:
                print(f"  {line}", flush=True)
        counts[f"{name}: trials"] += len(trials)
        if snapshot(place.path / "data") != before:
            faults.append(f"{name}: the data are no longer what they were")
    return counts, faults


def _sites(calls: Sequence[tuple[str, str]], rng: random.Random) -> dict[str, list[int]]:
    """Kind -> of each site the number of one of its calls, among those of the kind."""
    sites: dict[tuple[str, str, int], list[int]] = {}
    numbers: Counter[str] = Counter()
    times: Counter[tuple[str, str]] = Counter()
    for kind, path in calls:
        numbers[kind] += 1
        times[kind, path] += 1
        # Numbered pictures are alike, and so are the names of unfinished files, which hold letters by chance.
        alike = re.sub(r"\d+", "0", re.sub(r"\.\w{8}\.part$|-probe-\w+$", "", path))
        sites.setdefault((kind, alike, times[kind, path]), []).append(numbers[kind])
    found: dict[str, list[int]] = {kind: [] for kind in KINDS}
    for (kind, _, _), those in sites.items():
        found[kind].append(rng.choice(those))
    return found


def _trials(numbers: Mapping[str, Sequence[int]]) -> Iterator[Fault]:
    for kind in KINDS:
        ways = [(error, lasting) for error in _ERRORS.get(kind, _ALL_ERRORS) for lasting in (False, True)]
        for turn, number in enumerate(sorted(numbers[kind])):
            chosen = [ways[turn % len(ways)]] if kind in _READING else ways
            yield from (Fault(kind, number, error, lasting) for error, lasting in chosen)


def _chosen(trials: Sequence[Fault], many: int, seed: int) -> list[Fault]:
    """Half of them of calls that write: those that read are many times more."""
    reading = [trial for trial in trials if trial.kind in _READING]
    writing = [trial for trial in trials if trial.kind not in _READING]
    if not many:
        return [*writing, *reading]
    return [*_spread(writing, many - many // 2, seed), *(_spread(reading, many // 2, seed) if many > 1 else [])]


def _spread(trials: Sequence[Fault], many: int, seed: int) -> list[Fault]:
    """One of each of ``many`` equal parts, or all."""
    if not 0 < many < len(trials):
        return list(trials)
    rng = random.Random(seed)
    bounds = [round(part * len(trials) / many) for part in range(many + 1)]
    return [trials[rng.randrange(first, last)] for first, last in zip(bounds, bounds[1:], strict=False)]


def _try(place: Place, command: Command, sound: Sound, fault: Fault, counts: Counter[str]) -> list[str]:
    place.lay(command)
    before = place.left()
    done = place.run(command, fault)
    said = judge(done, sound, place.out, place.path, fault.error)
    if "unlink" not in fault.kinds:
        said += leftovers(place.out)
    if done.code and command.must_succeed:
        said.append(f"exit code {done.code}, though nothing that is needed had failed")
    counts["trials"] += 1
    counts["calls that failed"] += done.failed
    how = "trials survived by one sentence" if done.code else "trials survived by going on, with the same results"
    if not done.failed:
        how = "trials whose call did not come"
    if done.code and place.left() != before:  # else it would be done as without a fault
        said += place.again(command, done)
    counts[how if not said else "trials not survived"] += 1
    return [f"{what} (at {done.first}; exit code {done.code}: {done.error.strip()[-500:]})" for what in said]
