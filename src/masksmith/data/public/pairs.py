"""What a public set is once it lies on this machine: a class table and pairs of picture and mask.

Rule: nothing is downloaded or written here; whatever a file holds, the answer is values or a
DataError.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from masksmith import images
from masksmith.classes import IGNORE, U8, ClassTable, Entry, unique_keys
from masksmith.errors import DataError

Values = npt.NDArray[np.integer]


@dataclass(frozen=True)
class Pair:
    """One picture with its mask; both are read when they are asked for.

    ``picture`` gives the file's bytes, which are kept as they are; ``suffix`` is its ending.
    """

    split: str
    name: str
    suffix: str
    picture: Callable[[], bytes]
    values: Callable[[], Values]
    where: object


@dataclass(frozen=True)
class Content:
    """A whole set. ``meaning`` has the class index, or IGNORE, for each value in the masks."""

    table: ClassTable
    meaning: dict[int, int]
    total: int
    pairs: Iterator[Pair]


def from_files(
    split: str, picture: Path, mask: Path, *, name: str | None = None, read: Callable[[Path], Values] | None = None
) -> Pair:
    """A pair of two files; ``read`` is for masks that are no pictures."""
    reader = read or read_values
    return Pair(split, name or picture.stem, picture.suffix, lambda: read_bytes(picture), lambda: reader(mask), mask)


def with_ignored(entries: list[Entry], ignored: str) -> ClassTable:
    """The classes by index, with the value 255 for what is ignored, as the written masks have it."""
    return ClassTable((*entries, Entry(ignored, (255, 255, 255), IGNORE, ignored=True)))


def translate(raw: Values, meaning: dict[int, int], where: object) -> U8:
    """Class indices (H, W) of the values in a mask.

    Raises:
        DataError: a value that the set's description does not have.
    """
    unknown = [int(value) for value in unique_keys(raw.astype(np.int64)) if int(value) not in meaning]
    if unknown:
        raise DataError(
            where=where,
            expected=f"the values {', '.join(map(str, sorted(meaning)[:6]))}{', …' if len(meaning) > 6 else ''}",
            received=str(unknown[0]),
            remedy="delete the set from the folder of downloads and get it again",
        )
    lookup = np.zeros(max(meaning) + 1, np.uint8)
    lookup[list(meaning)] = list(meaning.values())
    out: U8 = lookup[raw]
    return out


def read_values(path: Path) -> Values:
    """The values (H, W) of a mask that is a picture: palette indices, or grey values.

    Raises:
        DataError: it is not there, cannot be read, or is coloured.
    """
    picture = images.read(path)
    if picture.indices_HW is not None:
        return picture.indices_HW
    pixels = picture.pixels_HWC
    is_grey = pixels.shape[2] == 1 or all(np.array_equal(pixels[..., 0], pixels[..., c]) for c in (1, 2))
    if not is_grey or not np.issubdtype(pixels.dtype, np.integer):
        raise DataError(
            where=path,
            expected="a mask of class numbers",
            received="a coloured picture" if not is_grey else "fractions",
            remedy="delete the set from the folder of downloads and get it again",
        )
    return pixels[..., 0].astype(np.int64)


def read_bytes(path: Path) -> bytes:
    """All of a file; DataError where it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise _unreadable(path, "a file of the set", error.strerror or str(error)) from error


def read_names(path: Path) -> list[str]:
    """The first word of each line: how these sets list the pictures of a part."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror or str(error) if isinstance(error, OSError) else "bytes that are no text"
        raise _unreadable(path, "the list of pictures of a part", reason) from error
    names = [line.split()[0] for line in lines if line.strip() and not line.startswith("#")]
    if not names:
        raise _unreadable(path, "the list of pictures of a part", "an empty file")
    return names


def _unreadable(path: Path, expected: str, received: str) -> DataError:
    return DataError(
        where=path,
        expected=expected,
        received=received[:1].lower() + received[1:],
        remedy="delete the set from the folder of downloads and get it again",
    )
