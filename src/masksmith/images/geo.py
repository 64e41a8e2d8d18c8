"""Where a picture lies on the map: from the tags of a GeoTIFF, or a world file beside it.

A pixel is an area here: (0, 0) is the upper left corner of the first pixel, not its centre.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile

from masksmith.errors import DataError
from masksmith.images import ordinary
from masksmith.images.formats import FORMATS, ending
from masksmith.images.reading import read_header

Transform = tuple[float, float, float, float, float, float]
Tag = tuple[int, tuple[float, ...] | bytes]
F64 = npt.NDArray[np.float64]

# GeoTIFF 1.1, annex B: the tags, and the keys in the directory.
SCALE, TIEPOINT, MATRIX, KEYS, DOUBLES, TEXTS = 33550, 33922, 34264, 34735, 34736, 34737
MODEL_TYPE, RASTER_TYPE, GEOGRAPHIC, PROJECTED = 1024, 1025, 2048, 3072
SYSTEM = frozenset({KEYS, DOUBLES, TEXTS})
"""The tags that tell of the coordinate system; the others tell the place in it."""
_COPIED = SYSTEM | {SCALE, TIEPOINT, MATRIX}
_IS_GEOGRAPHIC, _PIXEL_IS_POINT, _USER_DEFINED = 2, 2, 32767
_ORIENTATION = 274
_WORLD_FILES = (".tfw", ".jgw", ".pgw", ".wld")
_WORLD_FILE_BYTES = 4096  # six numbers; anything longer is none


@dataclass(frozen=True)
class GeoReference:
    """``x = a * column + b * row + c`` and ``y = d * column + e * row + f`` with (a, b, c, d, e, f)."""

    transform: Transform
    epsg: int | None
    height: int
    width: int
    tags: tuple[Tag, ...] = field(default=(), compare=False, repr=False)
    """What the picture's own tags say of its coordinate system and its place, word for word: (code, numbers or text).

    Without those of the place where a world file gives it; empty for a picture without such tags.
    """

    def bounds(self) -> tuple[float, float, float, float]:
        """Left, bottom, right and top of the whole picture."""
        a, b, c, d, e, f = self.transform
        corners = [(0, 0), (self.width, 0), (0, self.height), (self.width, self.height)]
        xs = [a * column + b * row + c for column, row in corners]
        ys = [d * column + e * row + f for column, row in corners]
        return min(xs), min(ys), max(xs), max(ys)

    def to_pixel(self, x: npt.ArrayLike, y: npt.ArrayLike) -> tuple[F64, F64]:
        """The column and the row of places on the map, as fractions; they may lie outside."""
        a, b, c, d, e, f = self.transform
        right, up = np.asarray(x, np.float64) - c, np.asarray(y, np.float64) - f
        determinant = a * e - b * d
        return (e * right - b * up) / determinant, (a * up - d * right) / determinant


def georeference(path: Path) -> GeoReference | None:
    """Where a picture lies, None if nothing says so. The file's own tags go before a world file.

    A picture that an Orientation tag or EXIF turns has none: its georeference describes the rows as stored.

    Raises:
        DataError: the picture or its world file cannot be read.
    """
    tags: tuple[Tag, ...] = ()
    transform, is_turned = None, False
    kind = FORMATS[ending(path) or ""]
    if kind.read_header is FORMATS[".tif"].read_header:
        try:
            with tifffile.TiffFile(path) as file:
                found = file.pages.first.tags
                is_turned = found.valueof(_ORIENTATION, 1) != 1
                tags = tuple(_copied(tag) for tag in found if int(tag.code) in _COPIED)
            transform = _from_tags(dict(tags))
        except Exception as error:  # tifffile and odd tags raise a dozen kinds
            raise DataError(
                where=path,
                expected="whole tags that say where the picture lies",
                received=f"broken ones ({type(error).__name__})",
                remedy="export it again",
            ) from error
    if transform is None:
        tags = tuple(tag for tag in tags if tag[0] in SYSTEM)
        transform = _from_world_file(path)
    if transform is None or is_turned:
        return None
    header = read_header(path, windowed=True)
    if kind.read_header is ordinary.read_header and ordinary.is_turned(path):
        return None
    return GeoReference(transform, _epsg(keys(dict(tags))), header.height, header.width, tags)


def _copied(tag: tifffile.TiffTag) -> Tag:
    """A tag without the way in which its file happens to store it."""
    code = int(tag.code)
    if code == TEXTS:  # its bytes are counted by the keys, so that they are not decoded
        file = tag.parent.filehandle
        file.seek(tag.valueoffset)
        return code, _readable(file.read(tag.valuebytecount))
    values = tag.value if isinstance(tag.value, Iterable) else (tag.value,)
    if code == KEYS:
        numbers = tuple(int(n) for n in values)
        if numbers and not 0 <= min(numbers) <= max(numbers) < 2**16:
            raise ValueError("keys of more than 16 bits")
        return code, numbers
    return code, tuple(float(n) for n in values)


def _readable(text: bytes) -> bytes:
    """Names in the letters of some old machine would stop rasterio; their number is kept, by which the keys find them."""
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return bytes(letter if letter < 128 else ord("?") for letter in text)
    return text


def _from_tags(tags: dict[int, Any]) -> Transform | None:
    transform: Transform | None = None
    if MATRIX in tags:
        m = tags[MATRIX]
        transform = m[0], m[1], m[3], m[4], m[5], m[7]
    elif SCALE in tags and TIEPOINT in tags:
        right, down = tags[SCALE][:2]
        column, row, _, x, y, _ = tags[TIEPOINT][:6]
        transform = right, 0.0, x - column * right, 0.0, -down, y + row * down
    if transform is not None and counts_from_centres(tags):
        transform = _from_centre(transform)
    return transform if transform is not None and _usable(transform) else None


def _epsg(keys: dict[int, int]) -> int | None:
    """The code of the coordinate system; that of the degrees below a projection without a code is none."""
    is_geographic = keys.get(MODEL_TYPE, _IS_GEOGRAPHIC) == _IS_GEOGRAPHIC and PROJECTED not in keys
    code = keys.get(GEOGRAPHIC if is_geographic else PROJECTED, 0)
    return code if 0 < code < _USER_DEFINED else None


def counts_from_centres(tags: dict[int, Any]) -> bool:
    """Whether the place in the tags is that of the centres of pixels and not of their corners."""
    return keys(tags).get(RASTER_TYPE) == _PIXEL_IS_POINT


def keys(tags: dict[int, Any]) -> dict[int, int]:
    """The keys whose value stands in their directory itself, not in a tag of its own."""
    numbers = tags.get(KEYS, ())
    entries = [numbers[i : i + 4] for i in range(4, len(numbers) - 3, 4)]
    return {key: value for key, location, _, value in entries if location == 0}


def _from_centre(transform: Transform) -> Transform:
    """From the centre of the first pixel to its corner."""
    a, b, c, d, e, f = transform
    return a, b, c - (a + b) / 2, d, e, f - (d + e) / 2


def _usable(transform: Transform) -> bool:
    a, b, _, d, e, _ = transform
    return all(map(math.isfinite, transform)) and a * e - b * d != 0


def _from_world_file(path: Path) -> Transform | None:
    base = path.name[: -len(ending(path) or path.suffix)]
    names = [base + e for e in (*_WORLD_FILES, *map(str.upper, _WORLD_FILES))]
    found = next((path.with_name(name) for name in names if path.with_name(name).is_file()), None)
    if found is None:
        return None
    try:
        with found.open("rb") as file:
            a, d, b, e, c, f = (float(n) for n in file.read(_WORLD_FILE_BYTES).decode("ascii").split())
    except (ValueError, OSError):
        transform = None
    else:
        transform = _from_centre((a, b, c, d, e, f))
    if transform is None or not _usable(transform):
        raise DataError(
            where=found,
            expected="six numbers, one a line, that say where the picture lies",
            received="something else",
            remedy="mend it, or take it away",
        )
    return transform
