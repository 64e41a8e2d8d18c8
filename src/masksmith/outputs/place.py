"""Where regions lie on the map: coordinates and areas of a picture with a georeference.

Rule: the picture's coordinate system is the one in its tags and is never guessed; a library that is
missing is told in one sentence.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from masksmith.errors import DataError, EnvironmentFault
from masksmith.images import GeoReference
from masksmith.inference.prediction import Prediction

F64 = npt.NDArray[np.float64]

WGS84 = 4326


def to_map(reference: GeoReference, points: F64) -> F64:
    """Corners of pixels (x, y) in the picture's own coordinate system."""
    a, b, c, d, e, f = reference.transform
    x, y = points[:, 0], points[:, 1]
    return np.stack([a * x + b * y + c, d * x + e * y + f], axis=1)


def to_degrees(reference: GeoReference, points: F64) -> F64:
    """Corners of pixels as longitude and latitude (WGS84).

    Raises:
        DataError: they lie where the coordinate system has no longitude.
        EnvironmentFault: pyproj is needed and not installed.
    """
    placed = to_map(reference, points)
    if reference.epsg == WGS84:
        return placed
    degrees = np.stack(_way(reference.epsg).transform(placed[:, 0], placed[:, 1]), axis=1)
    if not np.isfinite(degrees).all():
        raise DataError(
            where="georeference of the picture",
            expected=f"a place that EPSG:{reference.epsg} has longitudes for",
            received="one outside it",
            remedy="correct the picture's coordinate system",
        )
    return degrees


def is_geographic(epsg: int) -> bool:
    """Whether its coordinates are degrees."""
    return bool(_system(epsg).is_geographic)


def pixel_area_m2(prediction: Prediction) -> float | None:
    """Square metres of one pixel; None where the picture's coordinates are no lengths."""
    reference = prediction.georeference
    if reference is None or reference.epsg is None:
        return None
    system = _system(reference.epsg)
    if not system.is_projected:
        return None
    a, b, _, d, e, _ = reference.transform
    metres = float(system.axis_info[0].unit_conversion_factor)  # feet are measured in, too
    return abs(a * e - b * d) * metres**2


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


@lru_cache(maxsize=8)  # finding it takes a tenth of a second, and tiles are many
def _system(epsg: int) -> Any:  # noqa: ANN401 - pyproj's types come with an extra
    try:
        from pyproj import CRS  # an extra, needed for pictures with a place on the map alone
    except ImportError as error:
        raise needed("pyproj", f"EPSG:{epsg}", error) from error
    try:
        return CRS.from_epsg(epsg)
    except RuntimeError as error:  # what pyproj's errors are
        raise DataError(
            where="georeference of the picture",
            expected="an EPSG code of a known coordinate system",
            received=f"EPSG:{epsg}",
            remedy="correct it in the picture",
        ) from error


@lru_cache(maxsize=8)
def _way(epsg: int) -> Any:  # noqa: ANN401 - see _system
    system = _system(epsg)
    from pyproj import Transformer

    try:
        return Transformer.from_crs(system, WGS84, always_xy=True)
    except RuntimeError as error:
        raise DataError(
            where="georeference of the picture",
            expected="a coordinate system with a way to longitude and latitude",
            received=f"EPSG:{epsg}",
            remedy="correct it in the picture, or save it as geopackage, which keeps its own",
        ) from error
