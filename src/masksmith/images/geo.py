"""Where a picture lies on the map: from the tags of a GeoTIFF, or a world file beside it.

A pixel is an area here: (0, 0) is the upper left corner of the first pixel, not its centre.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile

from masksmith.errors import DataError
from masksmith.images.formats import FORMATS, ending
from masksmith.images.reading import read_header

Transform = tuple[float, float, float, float, float, float]
F64 = npt.NDArray[np.float64]

# GeoTIFF 1.1, annex B: the tags, and the keys in the directory.
_SCALE, _TIEPOINT, _MATRIX, _KEYS = 33550, 33922, 34264, 34735
_RASTER_TYPE, _GEOGRAPHIC, _PROJECTED = 1025, 2048, 3072
_COPIED = {_SCALE, _TIEPOINT, _MATRIX, _KEYS, 34736, 34737}
_SHORT, _DOUBLE = 3, 12  # types of TIFF 6.0
_PIXEL_IS_POINT, _USER_DEFINED = 2, 32767
_WORLD_FILES = (".tfw", ".jgw", ".pgw", ".wld")
_WORLD_FILE_BYTES = 4096  # six numbers; anything longer is none


@dataclass(frozen=True)
class GeoReference:
    """``x = a * column + b * row + c`` and ``y = d * column + e * row + f`` with (a, b, c, d, e, f)."""

    transform: Transform
    epsg: int | None
    height: int
    width: int

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

    A picture that an Orientation tag turns has none: its georeference describes the rows as stored.

    Raises:
        DataError: the picture or its world file cannot be read.
    """
    transform, epsg, is_turned = None, None, False
    if FORMATS[ending(path) or ""].read_header is FORMATS[".tif"].read_header:
        try:
            with tifffile.TiffFile(path) as file:
                tags = {int(tag.code): tag.value for tag in file.pages.first.tags}
                is_turned = tags.get(274, 1) != 1
                transform, epsg = _from_tags(tags)
        except Exception as error:  # tifffile and odd tags raise a dozen kinds
            raise DataError(
                where=path,
                expected="whole tags that say where the picture lies",
                received=f"broken ones ({type(error).__name__})",
                remedy="export it again",
            ) from error
    transform = _from_world_file(path) if transform is None else transform
    if transform is None or is_turned:
        return None
    header = read_header(path, windowed=True)
    return GeoReference(transform, epsg, header.height, header.width)


def tags(path: Path) -> list[tuple[int, int, int, Any]]:
    """What a TIFF of the same size needs to lie in the same place: (code, type, count, value) of each tag.

    A GeoTIFF's own are copied as they are, so that no coordinate system is lost; a world file becomes two.

    Raises:
        DataError: as in :func:`georeference`.
    """
    place = georeference(path)
    if place is None:
        return []
    if FORMATS[ending(path) or ""].read_header is FORMATS[".tif"].read_header:
        with tifffile.TiffFile(path) as file:
            found = [tag for tag in file.pages.first.tags if int(tag.code) in _COPIED]
            if found:
                return [(int(tag.code), int(tag.dtype), int(tag.count), tag.value) for tag in found]
    a, b, c, d, e, f = place.transform
    matrix = (a, b, 0.0, c, d, e, 0.0, f, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0)
    # Version 1.1.0 with one key: a pixel is an area.
    return [(_MATRIX, _DOUBLE, 16, matrix), (_KEYS, _SHORT, 8, (1, 1, 0, 1, _RASTER_TYPE, 0, 1, 1))]


def _from_tags(tags: dict[int, Any]) -> tuple[Transform | None, int | None]:
    keys = _keys(tags.get(_KEYS))
    epsg = next((keys[k] for k in (_PROJECTED, _GEOGRAPHIC) if 0 < keys.get(k, 0) < _USER_DEFINED), None)
    transform: Transform | None = None
    if _MATRIX in tags:
        m = [float(v) for v in tags[_MATRIX]]
        transform = m[0], m[1], m[3], m[4], m[5], m[7]
    elif _SCALE in tags and _TIEPOINT in tags:
        right, down = (float(v) for v in tags[_SCALE][:2])
        column, row, _, x, y, _ = (float(v) for v in tags[_TIEPOINT][:6])
        transform = right, 0.0, x - column * right, 0.0, -down, y + row * down
    if transform is not None and keys.get(_RASTER_TYPE) == _PIXEL_IS_POINT:
        transform = _from_centre(transform)
    return (transform if transform is not None and _usable(transform) else None), epsg


def _keys(directory: Any) -> dict[int, int]:  # noqa: ANN401 - whatever the file holds under that tag
    """The keys whose value stands in the directory itself, not in a tag of its own."""
    numbers = [int(n) for n in directory] if directory is not None else []
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
