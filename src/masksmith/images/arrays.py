"""NumPy arrays on disk: NPY and NPZ.

An array of two axes is (height, width). One of three axes is (height, width, channels), or
(channels, height, width) if its first axis is the smallest, at most 16 long, and the last is
longer than 16. Where the last axis is neither at most 16 long nor the smallest it is no channels:
the array is a volume and refused.

Rule: nothing is ever unpickled here.
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, TypeVar

import numpy as np
import numpy.typing as npt

from masksmith.errors import DataError, listed
from masksmith.images.picture import Header, Picture, Window, as_read, dtype_read, valid_pixels
from masksmith.limits import MAX_NPY_HEADER_BYTES

# More channels than this need no guessing: they stand last.
_FEW_CHANNELS = 16
# What the one array of a picture or a mask is called where there are several.
_NAMES = ("image", "img", "x", "mask", "label")
# How NumPy packs arrays. Of the other ways of ZIP Python unpacks each piece at once, to whatever it holds.
_PACKED = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}

T = TypeVar("T")


def read_header(path: Path) -> Header:
    """Size, channels and dtype of an NPY file."""
    with path.open("rb") as file:
        return _header(file, path)


def read(path: Path) -> Picture:
    """All pixels of an NPY file."""
    return _picture(_mapped(path), path)


def read_window(path: Path, window: Window) -> Picture:
    """A part of an NPY file; only its bytes are read."""
    y, x, height, width = window
    return _picture(_mapped(path)[y : y + height, x : x + width], path)


def read_npz_header(path: Path) -> Header:
    """Size, channels and dtype of the one picture in an NPZ file."""
    return _in_npz(path, lambda file: _header(file, path))


def read_npz(path: Path) -> Picture:
    """All pixels of the one picture in an NPZ file."""
    return _picture(_channels_last(_in_npz(path, lambda file: _array(file, path)), path), path)


def _array(file: IO[bytes], path: Path) -> npt.NDArray[np.generic]:
    _check_length(file, path)
    array: npt.NDArray[np.generic] = np.lib.format.read_array(file, allow_pickle=False)
    return array


def _mapped(path: Path) -> npt.NDArray[np.generic]:
    with path.open("rb") as file:
        _check_length(file, path)
    return _channels_last(np.lib.format.open_memmap(path, mode="r"), path)


def _picture(array_HWC: npt.NDArray[np.generic], path: Path) -> Picture:
    # A copy, so that the file is not held open by its memory map.
    pixels = as_read(np.array(array_HWC), path)
    return Picture(pixels, valid_HW=valid_pixels(pixels))


def _header(file: IO[bytes], path: Path, size: int | None = None) -> Header:
    """What the start of an array says; ``size`` are the bytes that are there, if that is known."""
    _check_length(file, path)
    version = np.lib.format.read_magic(file)
    if version not in {(1, 0), (2, 0)}:
        raise ValueError(f"NPY version {version[0]}.{version[1]}")
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)
    height, width, channels = (shape[axis] if axis is not None else 1 for axis in order(shape, path))
    header = Header(height, width, channels, dtype_read(dtype, path))
    wanted = file.tell() + math.prod(shape) * dtype.itemsize
    if size is not None and size != wanted:
        raise ValueError(f"{size:,} bytes in place of {wanted:,}")
    return header


def _check_length(file: IO[bytes], path: Path) -> None:
    """Refuse an array whose header is said to be long: NumPy reads all of it before it compares."""
    major, _ = np.lib.format.read_magic(file)
    length = int.from_bytes(file.read(2 if major == 1 else 4), "little")
    file.seek(0)
    if length > MAX_NPY_HEADER_BYTES:
        raise DataError(
            where=path,
            expected=f"a header of at most {MAX_NPY_HEADER_BYTES:,} bytes",
            received=f"one of {length:,}",
            remedy="save the array again with numpy.save",
        )


def _channels_last(array: npt.NDArray[np.generic], path: Path) -> npt.NDArray[np.generic]:
    y, x, channels = order(array.shape, path)
    return array[..., None] if channels is None else array.transpose(y, x, channels)


def order(shape: tuple[int, ...], path: Path) -> tuple[int, int, int | None]:
    """Which axis is the height, the width and the channels (None if there is no such axis)."""
    if len(shape) == 2:
        return 0, 1, None
    if len(shape) == 3:
        first, middle, last = shape
        if first <= _FEW_CHANNELS < last and first <= middle:
            return 1, 2, 0
        if last <= _FEW_CHANNELS or last < min(first, middle):
            return 0, 1, 2
    raise DataError(
        where=path,
        expected="one picture: height × width, with channels last or, if few, first",
        received=f"an array of shape {'×'.join(map(str, shape)) or '()'}",
        remedy="save each picture or slice as a file of its own",
    )


def _in_npz(path: Path, action: Callable[[IO[bytes]], T]) -> T:
    """What ``action`` makes of the one picture, checked to be as large as its own header says."""
    with zipfile.ZipFile(path) as archive:
        names = [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]
        found = names if len(names) == 1 else [name for name in names if name.lower() in _NAMES]
        if len(found) != 1:
            raise DataError(
                where=path,
                expected=f"one array, or one named {', '.join(_NAMES[:-1])} or {_NAMES[-1]}",
                received=listed(sorted(names)) or "none",
                remedy="save the picture and the mask as files of their own",
            )
        member = archive.getinfo(f"{found[0]}.npy")
        if member.compress_type not in _PACKED:
            raise DataError(
                where=path,
                expected="an array as numpy.savez_compressed packs it",
                received="bzip2, LZMA or the like",
                remedy="save it again so",
            )
        with archive.open(member) as file:
            _header(file, path, member.file_size)
            file.seek(0)
            return action(file)
