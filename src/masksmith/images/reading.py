"""Read a picture of any format, whole or in part, checked before its pixels are touched.

Rule: whatever is wrong with a file is one DataError, also that memory has no room for it. What the machine lacks, so that
it could read no other picture either, is one EnvironmentFault: no picture is to blame for it.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import cv2

from masksmith.errors import DataError, EnvironmentFault, MasksmithError, is_out_of_memory
from masksmith.images.formats import FORMATS, Format, ending, is_folder_picture
from masksmith.images.picture import Header, Picture, Window
from masksmith.limits import MAX_CHANNELS, MAX_PICTURE_PIXELS

T = TypeVar("T")

# What a system says when it has no more to give: open files, room on the disk.
_USED_UP = {errno.EMFILE, errno.ENFILE, errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}
# What it says of a disk, or of a folder of another machine, that does not answer. Libraries that are led astray by a
# broken file are told others, as of a place that no file has.
_UNANSWERED = {errno.EIO, errno.ENOTCONN, errno.ETIMEDOUT, getattr(errno, "ESTALE", errno.EIO)}


def read(path: Path) -> Picture:
    """All pixels of a picture, upright, in their own dtype.

    Raises:
        DataError: not there, not a picture, truncated, or too large for the limits or for memory.
        EnvironmentFault: the machine has no more files to open, or none of what else it takes.
    """
    read_header(path)
    return _decoded(_format(path).read, path)


def read_header(path: Path, *, windowed: bool = False) -> Header:
    """Size, channels and dtype without decoding pixels; errors as in :func:`read`.

    Args:
        path: the picture.
        windowed: the picture is to be read by :func:`read_window`, so that it may be larger than
            memory where its format can be read in parts.
    """
    kind = _format(path)
    header = _guarded(kind.read_header, path)
    if min(header.height, header.width, header.channels) < 1:
        raise DataError(
            where=path,
            expected="a picture with pixels",
            received=f"{header.width}×{header.height} pixels, {header.channels} channels",
            remedy="leave it out",
        )
    too_large = header.height * header.width > MAX_PICTURE_PIXELS and not (windowed and kind.read_window)
    if too_large or header.channels > MAX_CHANNELS:
        raise DataError(
            where=path,
            expected=f"at most {MAX_PICTURE_PIXELS:,} pixels and {MAX_CHANNELS} channels",
            received=f"{header.width}×{header.height} pixels, {header.channels} channels",
            remedy="cut it into parts",
        )
    return header


def read_window(path: Path, y: int, x: int, height: int, width: int) -> Picture:
    """The part of a picture with its upper left corner at row ``y`` and column ``x``, upright.

    Equal to that part of :func:`read`. TIFF, NPY and Zarr read no more of the file than they need, so
    that the picture may be larger than memory; of other formats all is read and cut.

    Raises:
        ValueError: the window does not lie inside the picture, or is empty.
        DataError, EnvironmentFault: as in :func:`read`.
    """
    window = Window(y, x, height, width)
    header = read_header(path, windowed=True)
    if min(y, x) < 0 or min(height, width) < 1 or y + height > header.height or x + width > header.width:
        raise ValueError(f"{window} does not lie in {path.name}, {header.height} rows and {header.width} columns")
    if height * width > MAX_PICTURE_PIXELS:
        raise ValueError(f"{window} has more than {MAX_PICTURE_PIXELS:,} pixels")
    kind = _format(path)
    windowed = kind.read_window
    if windowed is None:
        return _decoded(kind.read, path).crop(window)
    return _decoded(lambda p: windowed(p, window), path)


def _format(path: Path) -> Format:
    """The format of a picture that is there."""
    missing = _missing(path)
    if missing:
        raise DataError(where=path, expected="a picture", received=missing, remedy="check the path")
    found = ending(path)
    if found is None:
        raise DataError(
            where=path,
            expected=f"a picture ({', '.join(sorted(FORMATS))})",
            received=f'the ending "{path.suffix}"',
            remedy="convert it to PNG or TIFF",
        )
    return FORMATS[found]


def _missing(path: Path) -> str:
    """What is there in place of a picture; nothing is said of one."""
    try:
        if path.is_file() or is_folder_picture(path):
            return ""
        if path.is_dir():
            return "a folder"
        return "a pipe or a device" if path.exists() else "no such file"
    except OSError as error:  # of the way there: a folder that may not be entered, a name too long
        return (error.strerror or str(error)).lower()


def _decoded(function: Callable[[Path], T], path: Path) -> T:
    """The pixels of a picture whose header is one that memory may have room for.

    Over a broken header libraries ask for any amount of memory: that is no want of it.
    """

    def decode(path: Path) -> T:
        try:
            return function(path)
        except (MemoryError, OSError, cv2.error) as error:
            if not is_out_of_memory(error):
                raise
            raise DataError(
                where=path,
                expected="memory for this picture",
                received="none",
                remedy="close other programs, or cut it into smaller ones",
            ) from error

    return _guarded(decode, path)


def _guarded(function: Callable[[Path], T], path: Path) -> T:
    """One sentence for whatever the picture libraries raise about a broken file."""
    try:
        return function(path)
    except MasksmithError:
        raise
    except PermissionError as error:
        raise DataError(
            where=path,
            expected="a picture that may be read",
            received="no permission to",
            remedy="change its permissions, or take it out of the folder",
        ) from error
    except Exception as error:  # each library raises a dozen kinds about broken files
        raise _of_system(path, error) or _broken(path, error) from error


def _of_system(path: Path, error: BaseException | None) -> MasksmithError | None:
    """What the system said when it was asked for bytes; None where the bytes are to blame."""
    while error is not None and getattr(error, "errno", None) not in _USED_UP | _UNANSWERED:
        error = error.__cause__ or error.__context__  # zipfile says of any that the file is no ZIP
    if not isinstance(error, OSError):
        return None
    if error.errno in _USED_UP:
        return EnvironmentFault(
            where=path,
            expected="all that the system needs to read a picture",
            received=str(error.strerror).lower(),
            remedy="end other programs or raise the limit, and try again",
        )
    return DataError(
        where=path,
        expected="a picture on a disk that answers",
        received=str(error.strerror).lower(),
        remedy="check the disk or the connection, and try again",
    )


def _broken(path: Path, error: Exception) -> DataError:
    first = (str(error).replace(str(path), "").splitlines() or [""])[0]
    reason = "".join(c for c in first if c.isprintable()).strip(" .'\"") or type(error).__name__
    return DataError(
        where=path,
        expected="a whole, readable picture",
        received="an empty file"
        if path.is_file() and path.stat().st_size == 0
        else f"a broken or truncated one ({reason[:200]})",
        remedy="copy or export it again, or take it out of the folder",
    )
