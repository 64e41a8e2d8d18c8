"""Read any picture: one file per family of formats, one table.

``read(path)`` gives the pixels exactly as stored, upright. Rule: this package and ``outputs`` are
the only ones that import picture libraries, and no value is ever rescaled here.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from masksmith.errors import DataError
from masksmith.images import ordinary, tiff
from masksmith.images.picture import Header, Picture
from masksmith.limits import MAX_CHANNELS, MAX_PICTURE_PIXELS

__all__ = ["FORMATS", "Header", "Picture", "is_picture", "read", "read_header"]

T = TypeVar("T")

FORMATS: dict[str, tuple[Callable[[Path], Picture], Callable[[Path], Header]]] = {
    ".png": (ordinary.read, ordinary.read_header),
    ".jpg": (ordinary.read, ordinary.read_header),
    ".jpeg": (ordinary.read, ordinary.read_header),
    ".bmp": (ordinary.read, ordinary.read_header),
    ".webp": (ordinary.read, ordinary.read_header),
    ".tif": (tiff.read, tiff.read_header),
    ".tiff": (tiff.read, tiff.read_header),
}


def is_picture(path: Path) -> bool:
    """Whether the name is that of a picture that can be read (hidden files are none)."""
    return path.suffix.lower() in FORMATS and not path.name.startswith(".")


def read(path: Path) -> Picture:
    """All pixels of a picture, upright, in their own dtype.

    Raises:
        DataError: not there, not a picture, truncated, or too large for memory.
    """
    read_header(path)
    return _guarded(FORMATS[path.suffix.lower()][0], path)


def read_header(path: Path) -> Header:
    """Size, channels and dtype without decoding pixels; errors as in :func:`read`."""
    if not path.is_file():
        raise DataError(
            where=path,
            expected="a picture",
            received="no such file" if not path.exists() else "a folder",
            remedy="check the path",
        )
    if path.suffix.lower() not in FORMATS:
        raise DataError(
            where=path,
            expected=f"a picture ({', '.join(sorted(FORMATS))})",
            received=f'the ending "{path.suffix}"',
            remedy="convert it to PNG or TIFF",
        )
    header = _guarded(FORMATS[path.suffix.lower()][1], path)
    if header.height * header.width > MAX_PICTURE_PIXELS or header.channels > MAX_CHANNELS:
        raise DataError(
            where=path,
            expected=f"at most {MAX_PICTURE_PIXELS:,} pixels and {MAX_CHANNELS} channels",
            received=f"{header.width}×{header.height} pixels, {header.channels} channels",
            remedy="cut it into parts",
        )
    return header


def _guarded(function: Callable[[Path], T], path: Path) -> T:
    """One sentence for whatever the picture libraries raise about a broken file."""
    try:
        return function(path)
    except DataError:
        raise
    except Exception as error:  # Pillow and tifffile raise a dozen kinds about broken files
        reason = (str(error).splitlines() or [type(error).__name__])[0].replace(str(path), "").strip(" '")
        raise DataError(
            where=path,
            expected="a whole, readable picture",
            received="an empty file" if path.stat().st_size == 0 else f"a broken or truncated one ({reason})",
            remedy="copy or export it again, or take it out of the folder",
        ) from error
