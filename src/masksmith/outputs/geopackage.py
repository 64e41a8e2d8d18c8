"""Regions as a GeoPackage in the picture's own coordinate system: one layer that any GIS opens.

Rule: the same prediction gives the same bytes, so its date of change is a fixed one.
"""

from __future__ import annotations

import io
import warnings
from threading import Lock
from typing import Any

import numpy as np

from masksmith.images import systems
from masksmith.inference.prediction import Prediction
from masksmith.outputs import place, regions
from masksmith.outputs.geojson import closed, properties
from masksmith.outputs.shaping import Shaping

_LAYER = "regions"

_OPTION, _DATE = "OGR_CURRENT_DATE", "2000-01-01T00:00:00.000Z"

# The date is an option of the whole library, and is taken back afterwards.
_LOCK = Lock()


def encode(prediction: Prediction, shaping: Shaping) -> bytes:
    """A layer "regions" of polygons with holes; pixels, y downwards, where the picture has no place.

    Raises:
        EnvironmentFault: pyogrio or shapely is not installed.
    """
    try:
        import pyogrio
        import shapely
    except ImportError as error:
        raise systems.needed("pyogrio and shapely", "geopackage", error) from error
    reference = prediction.georeference
    found = regions.outlined(prediction, shaping)
    outlines = []
    for region in found:
        rings = region.rings
        if reference is not None:
            rings = tuple(place.to_map(reference, ring) for ring in rings)
        outer, *holes = (closed(ring, hole=n > 0) for n, ring in enumerate(rings))
        outlines.append(shapely.Polygon(outer, holes))
    columns = _columns(prediction, found)
    system = None if reference is None else systems.definition(reference)
    out = io.BytesIO()
    with _LOCK, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*'crs' was not provided.*")
        pyogrio.set_gdal_config_options({_OPTION: _DATE})
        try:
            pyogrio.raw.write(
                out,
                geometry=np.array([shapely.to_wkb(outline) for outline in outlines], object),
                field_data=list(columns.values()),
                fields=list(columns),
                driver="GPKG",
                layer=_LAYER,
                geometry_type="Polygon",
                crs=system,
            )
        finally:
            pyogrio.set_gdal_config_options({_OPTION: None})
    return out.getvalue()


def _columns(prediction: Prediction, found: list[regions.Region]) -> dict[str, Any]:
    area_m2 = place.pixel_area_m2(prediction)
    rows = [properties(region, area_m2) for region in found]
    kinds: dict[str, type] = {"id": np.int64, "class": object, "confidence": np.float64, "area_px": np.int64}
    if area_m2 is not None:
        kinds["area_m2"] = np.float64
    # "id" would be the table's own key, which GDAL calls "fid".
    return {
        "number" if name == "id" else name: np.array([row[name] for row in rows], kind) for name, kind in kinds.items()
    }
