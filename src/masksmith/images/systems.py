"""Coordinate systems: which one a picture's own tags name, and the tags by which a TIFF says it again.

Rule: a system is never guessed; a library that is missing is told in one sentence.
"""

from __future__ import annotations

import io
import warnings
from functools import lru_cache
from typing import Any

import numpy as np

from masksmith.errors import DataError, EnvironmentFault
from masksmith.images import geo
from masksmith.images.encode import TiffTag, write_bands
from masksmith.images.geo import GeoReference, Tag

# Types of TIFF 6.0.
_ASCII, _SHORT, _DOUBLE = 2, 3, 12
_TYPES = {geo.KEYS: _SHORT, geo.TEXTS: _ASCII}
# Keys from here on tell of a system; those below, of the file.
_FIRST_KEY_OF_A_SYSTEM = 2048


def tags(reference: GeoReference | None) -> list[TiffTag]:
    """What a TIFF of the same size needs to lie in the same place.

    A GeoTIFF's own are copied, so that no coordinate system is lost; the place of a world file becomes some.

    Raises:
        DataError, EnvironmentFault: a place that was not read from a file has an EPSG code; see :func:`of`.
    """
    if reference is None:
        return []
    own: dict[int, Any] = dict(reference.tags)
    if geo.KEYS not in own and reference.epsg is not None:
        own[geo.KEYS] = _keys(reference.epsg)
    if not own.keys() & {geo.SCALE, geo.MATRIX}:
        own |= _placing(reference, own)
    return [_tiff_tag(code, own[code]) for code in sorted(own) if own[code]]


def definition(reference: GeoReference) -> str | None:
    """The picture's coordinate system as ``EPSG:CODE`` or, where it has no code, as WKT; None if it names none.

    Raises:
        DataError: its tags cannot be understood.
        EnvironmentFault: it has no code, and rasterio is not installed.
    """
    if reference.epsg is not None:
        return f"EPSG:{reference.epsg}"
    system = tuple(tag for tag in reference.tags if tag[0] in geo.SYSTEM)
    numbers = dict(system).get(geo.KEYS, ())
    return _wkt(system) if any(key >= _FIRST_KEY_OF_A_SYSTEM for key in numbers[4::4]) else None


@lru_cache(maxsize=8)  # finding it takes a tenth of a second, and tiles are many
def of(definition: str) -> Any:  # noqa: ANN401 - pyproj's types come with an extra
    """What pyproj knows of a coordinate system.

    Raises:
        DataError: there is none of that code.
        EnvironmentFault: pyproj is not installed.
    """
    try:
        from pyproj import CRS  # an extra, needed for pictures with a place on the map alone
    except ImportError as error:
        raise needed("pyproj", called(definition), error) from error
    try:
        return CRS.from_user_input(definition)
    except RuntimeError as error:  # what pyproj's errors are
        raise DataError(
            where="georeference of the picture",
            expected="an EPSG code of a known coordinate system",
            received=called(definition),
            remedy="correct it in the picture",
        ) from error


def called(definition: str) -> str:
    """A coordinate system in a sentence."""
    return definition if definition.startswith("EPSG:") else "a coordinate system without an EPSG code"


def needed(library: str, what: str, error: ImportError) -> EnvironmentFault:
    """The one sentence for a library of the extra ``geo`` that is not there."""
    fault = EnvironmentFault(
        where=what,
        expected=f"the library {library}",
        received="no such library",
        remedy='install it with pip install "masksmith[geo]"',
    )
    fault.__cause__ = error
    return fault


def not_understood() -> DataError:
    """The one sentence for tags that GDAL makes nothing of."""
    return DataError(
        where="georeference of the picture",
        expected="a coordinate system that GDAL understands",
        received="another one",
        remedy="correct it in the picture, for example with gdal_edit -a_srs",
    )


def _tiff_tag(code: int, value: tuple[float, ...] | bytes) -> TiffTag:
    return code, _TYPES.get(code, _DOUBLE), len(value), value


def _keys(epsg: int) -> tuple[int, ...]:
    """Version 1.1.0 with three keys: the kind of system, that a pixel is an area, and the code."""
    model, code = (2, geo.GEOGRAPHIC) if of(f"EPSG:{epsg}").is_geographic else (1, geo.PROJECTED)
    return (1, 1, 0, 3, geo.MODEL_TYPE, 0, 1, model, geo.RASTER_TYPE, 0, 1, 1, code, 0, 1, epsg)


def _placing(reference: GeoReference, own: dict[int, Any]) -> dict[int, tuple[float, ...]]:
    a, b, c, d, e, f = reference.transform
    if geo.counts_from_centres(own):
        c, f = c + (a + b) / 2, f + (d + e) / 2
    if b == d == 0 and a > 0 > e:
        return {geo.SCALE: (a, -e, 0.0), geo.TIEPOINT: (0.0, 0.0, 0.0, c, f, 0.0)}
    return {geo.MATRIX: (a, b, 0.0, c, d, e, 0.0, f, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0)}


@lru_cache(maxsize=8)
def _wkt(system: tuple[Tag, ...]) -> str | None:
    """What GDAL understands of the tags; a system without a code may be told in a hundred ways."""
    try:
        from rasterio.errors import CRSError, NotGeoreferencedWarning, RasterioError
        from rasterio.io import MemoryFile
    except ImportError as error:
        raise needed("rasterio", "a coordinate system without an EPSG code", error) from error
    out = io.BytesIO()
    write_bands(out, np.zeros((1, 1, 1), np.uint8), geo=[_tiff_tag(code, value) for code, value in system])
    try:
        with warnings.catch_warnings(), MemoryFile(out.getvalue()) as memory:
            warnings.simplefilter("ignore", NotGeoreferencedWarning)  # the system alone is asked for
            with memory.open() as file:
                return str(file.crs.to_wkt()) if file.crs else None
    except (RasterioError, CRSError) as error:
        raise not_understood() from error
