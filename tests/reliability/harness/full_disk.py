"""A disk that is really full: results go to 4 MB of memory, of which ever less is free; then it cannot be written at all.

Rule: what is mounted is unmounted, whatever happens. Only root may mount; without it the count says so.
"""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from reliability.harness import Outcome
from reliability.harness.judging import Sound, judge, leftovers
from reliability.harness.machine_faults import COMMANDS, Command, Place
from reliability.harness.warm import Warm

NO_PERMISSION = "no permission to mount"
_SIZE = 4 << 20
NAMES = ("train", "train --resume", "predict", "predict --overwrite", "predict a large picture", "evaluate", "export")


def check(many: int, folder: Path, seed: int = 0) -> Outcome:
    """Each command with ``many`` different amounts of free space, from none to nearly enough, and with none allowed."""
    del seed  # nothing is chosen
    counts: Counter[str] = Counter()
    faults: list[str] = []
    with Warm(folder / "told") as warm, _mounted(folder / "disk") as disk:
        out = None if disk is None else disk / "out"
        place = Place(folder / "place", warm, out)
        if disk is None:
            counts[NO_PERMISSION] = 1
        for name in NAMES if disk is not None else ():
            command = COMMANDS[name]
            said, tried = _full(place, command, disk or folder, many)
            counts["commands on a full disk"] += tried
            if disk is not None and (what := _read_only(place, command, disk)) is not None:
                counts["commands on a disk that may not be written to"] += 1
                said += what
            faults += [f"{name}, {what}" for what in said]
        for name, mark in (("train", "run/log.csv"), ("predict", "masks/*.png")):
            said = _removed(place, name, mark)
            counts["folders removed meanwhile"] += said is not None
            faults += [f"{name}, its folder removed meanwhile: {what}" for what in said or ()]
    return Outcome(dict(counts), tuple(faults))


@contextmanager
def _mounted(folder: Path) -> Iterator[Path | None]:
    """A disk of 4 MB in memory; None where that is not allowed."""
    folder.mkdir(parents=True)
    words = ["mount", "-t", "tmpfs", "-o", f"size={_SIZE}", "masksmith-test", str(folder)]
    can = sys.platform == "linux" and shutil.which("mount") is not None
    if not can or subprocess.run(words, capture_output=True, check=False).returncode:
        yield None
        return
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _full(place: Place, command: Command, disk: Path, many: int) -> tuple[list[str], int]:
    sound, _ = place.sound(command)
    needed = _SIZE - _free(disk)
    place.lay(command)
    needed -= _SIZE - _free(disk)
    said, tried = [], 0
    for part in range(many):
        room = needed * part // many
        place.lay(command)
        _fill(disk, room)
        done = place.run(command)
        what = judge(done, sound, place.out, disk, errno.ENOSPC) + leftovers(place.out)
        (disk / "others").unlink()
        if done.code:
            what += place.again(command, done)
        tried += 1
        said += [
            f"{room >> 10} of {needed >> 10} KiB free: {one} (exit code {done.code}: {done.error})" for one in what
        ]
    return said, tried


def _free(disk: Path) -> int:
    found = os.statvfs(disk)
    return found.f_bavail * found.f_frsize


def _fill(disk: Path, room: int) -> None:
    with (disk / "others").open("wb") as file:
        file.write(bytes(max(0, _free(disk) - room)))


def _read_only(place: Place, command: Command, disk: Path) -> list[str] | None:
    """The whole disk, which stops root too; None where that is not possible."""
    place.lay(command)
    words = ["mount", "-o", "remount,{}", str(disk)]
    if subprocess.run([word.format("ro") for word in words], capture_output=True, check=False).returncode:
        return None
    try:
        done = place.run(command)
        # Nothing can be complete there: whatever is said to be is missing.
        said = judge(done, Sound(frozenset({"results"}), {}, _claim(place, command)), place.out, disk, errno.EROFS)
    finally:
        subprocess.run([word.format("rw") for word in words], check=True)
    return [f"read-only: {one} (exit code {done.code}: {done.error})" for one in said]


def _claim(place: Place, command: Command) -> str:
    return command.claim.format(place=place.path, out=place.out)


def _removed(place: Place, name: str, mark: str) -> list[str] | None:
    """The output folder is removed as soon as it holds a result that ``mark`` fits; None if the command was quicker."""
    command = COMMANDS[name]
    if name == "train":
        command = Command([word if word != "3" else "100000" for word in command.words], command.claim)
    place.lay(command)
    target, ended = place.out / mark.split("/", maxsplit=1)[0], threading.Event()

    def remove() -> None:
        while not ended.is_set():
            if next(place.out.glob(mark), None) is not None:
                target.rename(place.out / "gone")
                return
            time.sleep(0.001)

    thread = threading.Thread(target=remove)
    thread.start()
    try:
        done = place.run(command)
    finally:
        ended.set()
        thread.join()
    if not (place.out / "gone").exists() or (not done.code and not target.exists()):  # it was quicker
        return None
    said = [f"{target.name} is there again"] if target.exists() else []
    if done.code != 3 or str(target) not in done.error or len(done.error.strip().splitlines()) != 1:
        said.append("no sentence that names it")
    if _claim(place, command) in done.out:
        said.append("said to be written")
    return [f"{one} (exit code {done.code}: {done.error})" for one in said]
