"""One pass over all pictures and masks, its results kept so that a second pass is quick.

Rule: memory does not follow the pictures: what is seen goes to disk at once, and of each pair only
a key stays. What is kept there is only believed while the files it tells of are unchanged.
"""

from __future__ import annotations

import os
import sqlite3
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from masksmith import files, images
from masksmith.data import facts
from masksmith.data.facts import PairFacts
from masksmith.data.pairing import Pair
from masksmith.errors import MasksmithError

Progress = Callable[[int, int], None]

# Changes with what `facts` measures and keys tell of: what an older version kept is not believed.
_VERSION = 12
# They say where a picture beside them lies, and so what is drawn on it and which others it meets.
_WORLD_FILES = (".tfw", ".jgw", ".pgw", ".wld")
# Pairs that wait for a thread, for each thread; more would hold more pictures in memory.
_AHEAD = 2
# The facts of a set of so many pairs stay in memory: they are unpacked once and not thrice.
_KEPT_OPEN = 2048
# Pairs between two writes to the disk: what an interruption loses.
_COMMIT_EVERY = 200


class Scan:
    """The facts of all pairs, on disk; iterate as often as needed."""

    def __init__(self, pairs: Sequence[Pair], kept: Path | None = None) -> None:
        self.pairs = pairs
        self.reused = 0
        """Pairs that were known from an earlier scan."""
        self.alpha_is_channel: bool | None = None
        """Whether what files call transparency is told as a channel of the pictures; None: as seen in each file."""
        self._memory = _Memory(kept)
        self._keys: list[str] = []
        self._open: dict[int, PairFacts] = {}
        self._others: dict[int, bytes] = {}
        """Facts that are not to be kept for later, by the number of the pair."""

    def __iter__(self) -> Iterator[tuple[Pair, PairFacts]]:
        for number, (pair, key) in enumerate(zip(self.pairs, self._keys, strict=True)):
            seen = self._open.get(number) or self._read(number, pair, key)
            if len(self.pairs) <= _KEPT_OPEN:
                self._open[number] = seen
            told = self.alpha_is_channel
            yield pair, seen if told is None else seen.settled(alpha_is_channel=told)

    def _read(self, number: int, pair: Pair, key: str) -> PairFacts:
        stored = self._others.get(number) or self._memory.get(key)
        try:
            return facts.look(pair) if stored is None else facts.load(stored, pair)
        except ValueError:  # damaged on the disk
            return facts.look(pair)

    def known(self, key: str) -> bool:
        """Whether an earlier scan has seen files in this state."""
        return self._memory.get(key) is not None

    def add(self, key: str, stored: bytes | None, *, sound: bool) -> None:
        """The facts of the next pair; None where they are known."""
        if stored is None:
            self.reused += 1
        # A fault may be mended outside the file, as by installing a library.
        elif not sound or not self._memory.put(key, stored):
            self._others[len(self._keys)] = stored
        self._keys.append(key)

    def settle(self) -> None:
        """Write what is not yet written."""
        self._memory.settle()


def scan(pairs: Sequence[Pair], progress: Progress = lambda done, total: None, *, kept: bool = True) -> Scan:
    """Look at each pair, in threads: decoding and counting leave Python's lock.

    Args:
        pairs: what was found.
        progress: called with (pairs done, pairs in all).
        kept: use and write what earlier scans of this machine have seen.
    """
    for known in (_name_files, _world_endings):
        known.cache_clear()  # kept for the folder's many files, not from one scan to the next
    seen = Scan(pairs, _place() if kept else None)
    threads = os.cpu_count() or 1
    with ThreadPoolExecutor(threads, thread_name_prefix="scan") as pool:
        waiting: deque[tuple[str, Future[tuple[bytes, bool]] | None]] = deque()
        source = iter(pairs)
        try:
            for done in range(1, len(pairs) + 1):
                while len(waiting) < _AHEAD * threads and (pair := next(source, None)) is not None:
                    key = _key(pair)
                    waiting.append((key, None if seen.known(key) else pool.submit(_look, pair)))
                key, answer = waiting.popleft()
                stored, sound = (None, True) if answer is None else answer.result()
                seen.add(key, stored, sound=sound)
                progress(done, len(pairs))
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            seen.settle()
    return seen


def _look(pair: Pair) -> tuple[bytes, bool]:
    seen = facts.look(pair)
    return facts.dump(seen), not seen.errors


def _key(pair: Pair) -> str:
    """What identifies the content of a pair's files without reading them: place, size, time."""
    parts = [
        pair.label.reader,
        pair.label.key,
        *(["overlapping"] if pair.label.overlapping else []),
        f"border {pair.label.border_px}",
    ]
    if pair.label.reader == "yolo":
        parts.append(_name_files(pair.mask.parent))
    beside = (path.with_name(images.stem(path) + e) for path in pair.images for e in _world_endings(path.parent))
    for path in (*pair.images, *filter(Path.is_file, beside), *pair.label.files):
        parts.append(os.path.abspath(path))  # noqa: PTH100  resolve() would ask the disk for each folder
        for file in _files_of(path):
            with suppress(OSError):
                stat = os.stat(file)  # noqa: PTH116  a Path for each of many chunks takes longer than asking
                parts.append(f"{file[len(str(path)) :]} {stat.st_size} {stat.st_mtime_ns} {stat.st_ino}")
    return files.sha256(os.fsencode("\n".join(parts)))  # a name may be no text


def _files_of(path: Path) -> list[str]:
    """The file, or all files in a folder: the chunks of Zarr lie in folders of their own."""
    if not path.is_dir():
        return [str(path)]
    return sorted(os.path.join(home, name) for home, _, names in os.walk(path) for name in names)  # noqa: PTH118


@lru_cache(maxsize=4096)
def _world_endings(folder: Path) -> tuple[str, ...]:
    """The endings of the world files in a folder: one look at most folders, where nobody has any."""
    with suppress(OSError):
        return tuple(sorted({p.suffix for p in folder.iterdir() if p.suffix.lower() in _WORLD_FILES}))
    return ()


@lru_cache(maxsize=64)
def _name_files(folder: Path) -> str:
    """The state of the files that may name YOLO's classes."""
    folder = folder.absolute()
    found = []
    for path in (
        p for home in (folder, *folder.parents[:3]) for p in (*sorted(home.glob("*.y*ml")), home / "classes.txt")
    ):
        with suppress(OSError):  # no such file, or a link to nowhere
            stat = path.stat()
            found.append(f"{path} {stat.st_size} {stat.st_mtime_ns}")
    return " ".join(found)


def _place() -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
    return (Path(home) if home else Path.home() / ".cache") / "masksmith" / f"scans-{_VERSION}.sqlite"


class _Memory:
    """What scans have seen, on disk. Any trouble with it means no memory, never an error."""

    def __init__(self, path: Path | None) -> None:
        self._base: sqlite3.Connection | None = None
        self._unwritten = 0
        with suppress(OSError, sqlite3.Error, MasksmithError):
            self._base = files.open_database(path, "seen (key TEXT PRIMARY KEY, facts BLOB) WITHOUT ROWID")
        if self._base is None and path is not None:
            with suppress(OSError, sqlite3.Error, MasksmithError):
                self._base = files.open_database(None, "seen (key TEXT PRIMARY KEY, facts BLOB) WITHOUT ROWID")

    def get(self, key: str) -> bytes | None:
        """The packed facts of a pair that has not changed, or None."""
        if self._base is None:
            return None
        try:
            row = self._base.execute("SELECT facts FROM seen WHERE key = ?", (key,)).fetchone()
        except sqlite3.Error:
            return None
        return row[0] if row is not None and facts.is_whole(row[0]) else None

    def put(self, key: str, packed: bytes) -> bool:
        """Keep the facts of a pair; False where that is not possible."""
        if self._base is None:
            return False
        try:
            self._base.execute("INSERT OR REPLACE INTO seen VALUES (?, ?)", (key, packed))
            self._unwritten += 1
            if self._unwritten >= _COMMIT_EVERY:
                self.settle()
        except sqlite3.Error:
            return False
        return True

    def settle(self) -> None:
        """Write what is not yet written."""
        if self._base is not None:
            with suppress(sqlite3.Error):
                self._base.commit()
        self._unwritten = 0

    def __del__(self) -> None:
        if self._base is not None:
            self._base.close()
