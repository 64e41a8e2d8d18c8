"""Regions as GeoJSON (RFC 7946): longitude and latitude, or pixels where the picture has no place.

Rule: outer rings counter-clockwise and holes clockwise, as the numbers stand; holes are kept.
"""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np

from masksmith.images import GeoReference
from masksmith.inference.prediction import Prediction
from masksmith.outputs import place, regions
from masksmith.outputs.regions import F64, Region
from masksmith.outputs.shaping import Shaping

# Decimals that a thousandth of a pixel needs, within what is a millimetre and what a double has.
_DECIMALS = (8, 14)


def encode(prediction: Prediction, shaping: Shaping) -> bytes:
    """A FeatureCollection with a polygon for each region.

    Raises:
        DataError: the place of the picture has no longitude and latitude.
        EnvironmentFault: it needs a library that is not installed.
    """
    found = regions.outlined(prediction, shaping)
    reference = prediction.georeference if place.has_degrees(prediction.georeference) else None
    data: dict[str, Any] = {"type": "FeatureCollection"}
    if reference is None:
        height, width = prediction.mask_HW.shape
        data["pixels"] = {"width": width, "height": height, "note": "coordinates are pixels, y downwards"}
    placed = _placed(found, reference)
    area_m2 = place.pixel_area_m2(prediction)
    data["features"] = [
        {
            "type": "Feature",
            "properties": properties(region, area_m2),
            "geometry": {
                "type": "Polygon",
                "coordinates": [closed(ring, hole=n > 0).tolist() for n, ring in enumerate(rings)],
            },
        }
        for region, rings in zip(found, placed, strict=True)
    ]
    return (json.dumps(data, ensure_ascii=False, separators=(",", ":")) + "\n").encode()


def _placed(found: list[Region], reference: GeoReference | None) -> list[list[F64]]:
    """The rings of each region as they are written; all together, since each call of pyproj takes its time."""
    rings = [ring for region in found for ring in region.rings]
    if not rings:
        return [[] for _ in found]
    points = np.concatenate(rings)
    decimals = 3
    if reference is not None:
        # Of a pixel that is outlined: the corner of a picture of the whole globe may lie off it.
        corners = points[0] + np.array([[0, 0], [1, 0], [0, 1]], np.float64)
        degrees = np.ptp(place.to_degrees(reference, corners), axis=0).max()
        decimals = int(np.clip(math.ceil(3 - math.log10(max(degrees, 1e-300))), *_DECIMALS))
        points = place.to_degrees(reference, points)
    ends = np.cumsum([len(ring) for ring in rings])[:-1]
    parts = iter(np.split(np.round(points, decimals), ends))
    return [[next(parts) for _ in region.rings] for region in found]


def properties(region: Region, pixel_area_m2: float | None) -> dict[str, Any]:
    """What is told of a region beside its outline."""
    told: dict[str, Any] = {
        "id": region.number,
        "class": region.name,
        "confidence": round(region.confidence, 4),
        "area_px": region.area_px,
    }
    if pixel_area_m2 is not None:
        told["area_m2"] = round(region.area_px * pixel_area_m2, 6)
    return told


def closed(ring: F64, *, hole: bool) -> F64:
    """The ring with its first point again at its end, in the direction that the standard asks for."""
    # From its first point, since far-off numbers would eat the digits.
    x, y = (ring - ring[0]).T
    is_left = float((x * np.roll(y, -1) - np.roll(x, -1) * y).sum()) > 0
    turned = ring if is_left != hole else ring[::-1]
    return np.concatenate([turned, turned[:1]])
