"""Where regions lie on the map: coordinates and areas of a picture with a georeference.

Rule: the picture's coordinate system is the one in its tags and is never guessed.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from masksmith.errors import DataError
from masksmith.images import GeoReference, systems
from masksmith.inference.prediction import Prediction

F64 = npt.NDArray[np.float64]

WGS84 = 4326


def has_degrees(reference: GeoReference | None) -> bool:
    """Whether there is a way from its coordinates to longitude and latitude: from those of a building site is none.

    Raises:
        DataError, EnvironmentFault: see :func:`masksmith.images.systems.definition` and ``of``.
    """
    definition = None if reference is None else systems.definition(reference)
    if definition is None:
        return False
    system = systems.of(definition)
    return bool(system.is_projected or system.is_geographic)


def to_map(reference: GeoReference, points: F64) -> F64:
    """Corners of pixels (x, y) in the picture's own coordinate system."""
    a, b, c, d, e, f = reference.transform
    x, y = points[:, 0], points[:, 1]
    return np.stack([a * x + b * y + c, d * x + e * y + f], axis=1)


def to_degrees(reference: GeoReference, points: F64) -> F64:
    """Corners of pixels as longitude and latitude (WGS84), of a picture that :func:`has_degrees`.

    Raises:
        DataError: they lie where the coordinate system has no longitude.
        EnvironmentFault: pyproj is needed and not installed.
    """
    placed = to_map(reference, points)
    if reference.epsg == WGS84:
        return placed
    definition = systems.definition(reference) or ""
    degrees = np.stack(_way(definition).transform(placed[:, 0], placed[:, 1]), axis=1)
    if not np.isfinite(degrees).all():
        raise DataError(
            where="georeference of the picture",
            expected=f"a place that {systems.called(definition)} has longitudes for",
            received="one outside it",
            remedy="correct the picture's coordinate system",
        )
    return degrees


def pixel_area_m2(prediction: Prediction) -> float | None:
    """Square metres of one pixel; None where the picture's coordinates are no lengths."""
    reference = prediction.georeference
    definition = None if reference is None else systems.definition(reference)
    if reference is None or definition is None:
        return None
    system = systems.of(definition)
    if not system.is_projected:
        return None
    a, b, _, d, e, _ = reference.transform
    metres = float(system.axis_info[0].unit_conversion_factor)  # feet are measured in, too
    return abs(a * e - b * d) * metres**2


@lru_cache(maxsize=8)
def _way(definition: str) -> Any:  # noqa: ANN401 - pyproj's types come with an extra
    system = systems.of(definition)
    from pyproj import Transformer

    try:
        return Transformer.from_crs(system, WGS84, always_xy=True)
    except RuntimeError as error:
        raise DataError(
            where="georeference of the picture",
            expected="a coordinate system with a way to longitude and latitude",
            received=systems.called(definition),
            remedy="correct it in the picture, or save it as geopackage, which keeps its own",
        ) from error
