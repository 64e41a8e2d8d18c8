"""The only module that opens a file for writing.

Rule: a file appears whole or not at all (written beside its place, flushed to disk, renamed), and
nothing that exists is replaced unless the caller says so.
"""

from __future__ import annotations

import fnmatch
import glob
import hashlib
import os
import secrets
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from masksmith.errors import EnvironmentFault, InputError, listed
from masksmith.limits import MAX_NAME_BYTES, MAX_SCAN_CACHE_BYTES

if sys.platform != "win32":
    import fcntl

# How the file that tries a folder begins.
_PROBE = ".masksmith-probe-"
# An empty file finds room on a disk that is full.
_PROBE_BYTES = 4096
# Nobody's own: what a killed `writing` or `check_writable` leaves, and what systems put into any folder.
_UNFINISHED = (".*.????????.part", f"{_PROBE}*", ".DS_Store", "[Tt]humbs.db", "[Dd]esktop.ini")


def write_bytes(path: Path, content: bytes) -> None:
    """Write ``content`` to ``path`` atomically.

    Raises:
        EnvironmentFault: the folder cannot be written to, or the disk is full.
    """
    with writing(path) as file:
        file.write(content)


@contextmanager
def writing(path: Path) -> Iterator[BinaryIO]:
    """A file to write to that becomes ``path`` at the end, or nothing at all; errors as in :func:`write_bytes`."""
    make_folder(path.parent)
    try:
        part = path.parent / f".{_shortened(path.name)}.{secrets.token_hex(4)}.part"
        # With the permissions that a new file has here; shared disks may let nobody change them.
        file = part.open("x+b")
        try:
            with file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
            _sync_folder(path.parent)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise not_writable(path, error) from error


def _shortened(name: str) -> str:
    """The beginning of a long name: what is added for a while must fit as well."""
    return name.encode("utf-8", "surrogateescape")[: MAX_NAME_BYTES - 20].decode("utf-8", "ignore")


@contextmanager
def lent(content: bytes, ending: str) -> Iterator[Path]:
    """A file of that ending in a private folder, for what reads files alone; both are gone at the end.

    Nobody waits until it is on the disk, nor needs it after a loss of power; errors as in :func:`write_bytes`.
    """
    with tempfile.TemporaryDirectory(prefix="masksmith-") as folder:
        path = Path(folder) / f"lent{ending}"
        try:
            path.write_bytes(content)
        except OSError as error:
            raise not_writable(path, error) from error
        yield path


def write_text(path: Path, content: str) -> None:
    """Write UTF-8 text atomically; errors as in :func:`write_bytes`."""
    write_bytes(path, content.encode("utf-8"))


class Rows:
    """Bytes (1, H, W) in a file, written and read in bands of rows: unfinished work to go on with.

    No map of the memory: on a full disk that ends the program without a word, and its pages count as memory.
    """

    dtype = np.dtype(np.uint8)

    def __init__(self, path: Path, height: int, width: int) -> None:
        """The file is made if it is not there or of another size; errors as in :func:`write_bytes`."""
        self.path, self.shape = path, (1, height, width)
        make_folder(path.parent)
        try:
            if not self.is_there(path, height, width):
                with path.open("wb") as file:
                    file.truncate(height * width)
        except OSError as error:
            raise not_writable(path, error) from error

    @staticmethod
    def is_there(path: Path, height: int, width: int) -> bool:
        """Whether there is work of that size to go on with."""
        return path.is_file() and path.stat().st_size == height * width

    def write(self, y: int, rows_HW: npt.NDArray[np.uint8]) -> None:
        """Whole rows from row ``y`` on; they are on the disk afterwards."""
        try:
            with self.path.open("r+b") as file:
                file.seek(y * self.shape[2])
                file.write(np.ascontiguousarray(rows_HW).data)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise not_writable(self.path, error) from error

    def __getitem__(self, band_rows: tuple[int, slice]) -> npt.NDArray[np.uint8]:
        """Whole rows of the one band, (h, W)."""
        _, height, width = self.shape
        first, last, _ = band_rows[1].indices(height)
        found: npt.NDArray[np.uint8] = np.fromfile(self.path, np.uint8, (last - first) * width, offset=first * width)
        return found.reshape(last - first, width)


def move(path: Path, to: Path) -> None:
    """Rename a file, whatever stands under the new name; it survives a loss of power. Errors as in :func:`write_bytes`."""
    make_folder(to.parent)
    try:
        path.replace(to)
        _sync_folder(to.parent)
    except OSError as error:
        raise not_writable(to, error) from error


def _sync_folder(folder: Path) -> None:
    """What was renamed in it is on the disk, where the system has a way to ask for that."""
    with suppress(OSError):  # some network disks cannot do it; the file itself is in place
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


# Folders that work goes on in, as they were: made again, by whomever, they would hold its end without its beginning.
_held: list[tuple[Path, os.stat_result | None]] = []


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """A folder that exists; :func:`make_folder` does not make it again, nor take another in its place for it."""
    entry = (folder, folder.stat() if folder.is_dir() else None)
    _held.append(entry)
    try:
        yield
    finally:
        _held.remove(entry)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """A folder that is :func:`held`, and that no other process takes for the same work, however this one ends.

    Raises:
        InputError: another one is at work there.
    """
    with held(folder), _alone(folder):
        yield


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    if sys.platform == "win32":  # which has no such lock
        yield
        return
    try:
        handle = os.open(folder, os.O_RDONLY)
    except PermissionError:  # a folder that may be written to and not be looked into
        yield
        return
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(
                where=folder,
                expected="a folder that no other program is at work in",
                received="one that a training is writing to",
                remedy="wait for it to end, or give another output folder",
            ) from error
        except OSError:  # a file system without locks
            pass
        yield
    finally:
        os.close(handle)


def remove(paths: Iterable[Path]) -> None:
    """Remove files of unfinished work, if they are there."""
    for path in paths:
        path.unlink(missing_ok=True)


def make_folder(path: Path) -> None:
    """Make a folder and its parents.

    Raises:
        InputError: a file stands where a folder is needed.
        EnvironmentFault: no permission, a full disk, or a folder that is held and was removed.
    """
    around = {folder: known for folder, known in _held if path.is_relative_to(folder)}
    home = max(around, key=lambda folder: len(folder.parts), default=None)  # a fold's own, and not that of all folds
    try:
        if home is None:
            path.mkdir(parents=True, exist_ok=True)
            return
        if (known := around[home]) is None or not os.path.samestat(known, home.stat()):
            raise FileNotFoundError
        # Only what is below: what is looked for and then made could be removed in between.
        for depth in range(1, len(path.relative_to(home).parts) + 1):
            Path(home, *path.relative_to(home).parts[:depth]).mkdir(exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise InputError(
            where=path,
            expected="a folder to write to",
            received="a path that leads through a file",
            remedy="give another output folder",
        ) from error
    except FileNotFoundError as error:
        if home is None:
            raise not_writable(path, error) from error
        raise EnvironmentFault(
            where=home,
            expected="the folder of this work until its end",
            received="none: it was removed or renamed meanwhile",
            remedy="begin again, in a folder that stays",
        ) from error
    except OSError as error:
        raise not_writable(path, error) from error


def claim_folder(path: Path, *, overwrite: bool, ours: Sequence[str]) -> None:
    """Take ``path`` as an output folder: new, empty, or (with ``overwrite``) emptied first.

    Args:
        path: the folder.
        overwrite: whether an earlier result may be replaced.
        ours: names that such a result is made of, the first being the one that every result has; ``*`` stands for
            any letters, ``exports/*.onnx`` for a folder of such files. One with anything else in it is never emptied.

    Raises:
        InputError: it holds something that may not be replaced.
        EnvironmentFault: it cannot be written to.
    """
    inside = check_claim(path, overwrite=overwrite, ours=ours)
    try:
        # From the end of the list to its mark: what is left by a kill in between is still known as ours.
        for name in sorted(inside, key=lambda name: _matches(name, (*ours, *_UNFINISHED)), reverse=True):
            old = path / name
            if old.is_dir() and not old.is_symlink():
                shutil.rmtree(old)
            else:
                old.unlink()
    except OSError as error:
        raise not_writable(path, error) from error
    make_folder(path)
    check_writable(path)


def check_claim(path: Path, *, overwrite: bool, ours: Sequence[str]) -> list[str]:
    """The names in a folder that ``claim_folder`` would take; nothing is touched yet, and its InputErrors come now."""
    inside = sorted(p.name for p in path.iterdir()) if path.is_dir() else []
    if inside and not overwrite:
        raise InputError(
            where=path,
            expected="a new or empty output folder",
            received="one that holds files",
            remedy="give another folder, or --overwrite to replace it",
        )
    whole = [name for name in inside if not _matches(name, _UNFINISHED)]
    foreign = list(_foreign(path, ours)) if whole else []
    if whole and (foreign or ours[0] not in whole):
        raise InputError(
            where=path,
            expected=f"nothing but an earlier result to overwrite (with {ours[0]})",
            received=f"a folder with {listed(foreign or whole)}",
            remedy="give another folder, or move these away; nothing was deleted",
        )
    return inside


def _foreign(folder: Path, ours: Sequence[str]) -> Iterator[str]:
    """What else is in a folder, as paths below it; looked into as far as ``ours`` says what is in its folders."""
    known = frozenset(ours)  # thousands of names (escaped), tried on each other as patterns, would take minutes
    for path in sorted(p for p in folder.iterdir() if glob.escape(p.name) not in known or p.is_dir()):
        below = [pattern.partition("/")[2] for pattern in ours if "/" in pattern and _matches(path.name, [pattern])]
        if below and path.is_dir() and not path.is_symlink():
            yield from (f"{path.name}/{name}" for name in _foreign(path, below))
        elif not any(fnmatch.fnmatchcase(path.name, pattern) for pattern in (*ours, *_UNFINISHED)):
            yield path.name


def _matches(name: str, patterns: Sequence[str]) -> int:
    """The place of the first pattern that is (or begins with) the name's, from 1; 0 without one."""
    return next((n for n, pattern in enumerate(patterns, 1) if fnmatch.fnmatchcase(name, pattern.partition("/")[0])), 0)


def holds_nothing_whole(folder: Path) -> bool:
    """Whether a folder is there with nothing in it, or only with what a killed program has left half-written."""
    return folder.is_dir() and all(_matches(p.name, _UNFINISHED) for p in folder.iterdir())


def open_database(path: Path | None, table: str) -> sqlite3.Connection:
    """A database of things that can be made again, in which ``table`` exists.

    A damaged one is thrown away: nothing in it is worth more than making it again. Without a path
    it is a temporary one that the system removes.

    Raises:
        InputError, EnvironmentFault, OSError, sqlite3.Error: it cannot be had.
    """
    if path is None:
        return _connected("", table)
    make_folder(path.parent)
    if path.is_file() and path.stat().st_size > MAX_SCAN_CACHE_BYTES:
        path.unlink()
    try:
        return _connected(path, table)
    except sqlite3.OperationalError:  # locked, or out of reach: another's, perhaps
        raise
    except sqlite3.DatabaseError:
        path.unlink()
        return _connected(path, table)


def _connected(path: Path | str, table: str) -> sqlite3.Connection:
    # One thread at a time uses it, but not always the one that has opened it.
    base = sqlite3.connect(path, timeout=5, check_same_thread=False)
    try:
        base.execute("PRAGMA journal_mode=WAL")  # a reader beside a writer, and nothing half-written
        base.execute("PRAGMA synchronous=NORMAL")
        base.execute(f"CREATE TABLE IF NOT EXISTS {table}")
    except sqlite3.Error:
        base.close()
        raise
    return base


def check_writable(folder: Path) -> None:
    """Fail now, in one sentence, rather than after an hour of work."""
    try:
        handle, name = tempfile.mkstemp(dir=folder, prefix=_PROBE)
        try:
            os.write(handle, bytes(_PROBE_BYTES))
        finally:
            os.close(handle)
            Path(name).unlink()
    except OSError as error:
        raise not_writable(folder, error) from error


def refuse_existing(path: Path, *, overwrite: bool) -> None:
    """Raise InputError if ``path`` exists and may not be replaced."""
    if path.exists() and not overwrite:
        raise InputError(
            where=path,
            expected="no file of that name",
            received="one that exists",
            remedy="give another output folder, or --overwrite to replace it",
        )


def sha256(content: bytes) -> str:
    """The SHA-256 of ``content`` in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def not_writable(path: Path, error: OSError) -> EnvironmentFault:
    """The one sentence for a place that refuses to be written to."""
    return EnvironmentFault(
        where=path,
        expected="a place that can be written to",
        received=(error.strerror or str(error)).lower(),
        remedy="check the permissions and the free space, or give another output folder",
    )
