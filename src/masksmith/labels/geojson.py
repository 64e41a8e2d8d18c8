"""Read GeoJSON: polygons in world coordinates, or in pixels where the picture has no place in the world.

Rule: a coordinate system is never guessed. The file's is the one it names, else EPSG:4326 as its
standard says (RFC 7946); the picture's is the one in its tags; and where one is missing, that is told.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from masksmith import images
from masksmith.errors import EnvironmentFault
from masksmith.labels.regions import (
    F64,
    Region,
    as_points,
    draw,
    fault,
    head,
    load_json,
    name_table,
    outer_keys,
    stamp,
    told,
)
from masksmith.labels.source import Grid, LabelSource, RawMask

if TYPE_CHECKING:
    from pyproj import Transformer

# Properties that may hold the class; "classification" is QuPath's.
_CLASS_KEYS = ("class", "label", "classification", "category", "name", "type", "class_name")

_UNNAMED = "object"

_WGS84 = 4326

_INSIDE = {
    "FeatureCollection": "features",
    "Feature": "geometry",
    "GeometryCollection": "geometries",
    "Polygon": "coordinates",
    "MultiPolygon": "coordinates",
}

# Longitude and latitude; a region of a picture is wider than a pixel, one of a town less than a degree.
_WORLD = np.array([180.0, 90.0])
_SPECK_PX = 1.0

# Outlines in pixels may touch the edge from outside by rounding.
_EDGE_PX = 1.0

# Threads that ask for the same large file wait for the first one's parse instead of repeating it.
_LOCK = Lock()


@dataclass(frozen=True, slots=True)
class _Drawing:
    regions: tuple[Region, ...]
    names: tuple[str, ...]
    boxes: F64
    """Left, bottom, right, top of each region, in the file's coordinates."""
    epsg: int | None
    """What the file names; None where it names nothing."""


def sniff(path: Path) -> bool:
    """Whether this is GeoJSON, by its name or its outer keys."""
    if path.suffix.lower() == ".geojson":
        return True
    if path.suffix.lower() != ".json":
        return False
    beginning = head(path)
    keys = outer_keys(beginning)
    kind = re.search(rb'"type"\s*:\s*"(%s)"' % "|".join(_INSIDE).encode(), beginning)
    return "type" in keys and kind is not None and bool(keys & set(_INSIDE.values()))


def read(source: LabelSource, grid: Grid) -> RawMask:
    """The polygons that lie on the picture, drawn in the order of the file.

    Raises:
        DataError: the file is broken, or file and picture have no common coordinate system.
        EnvironmentFault: another coordinate system is needed, and pyproj is not installed.
    """
    with _LOCK:
        drawing = _parse(*stamp(source.path))
    with told(source.path, "GeoJSON file"):
        reference = images.georeference(grid.image)
        if reference is None:
            _check_pixels(drawing, source.path, grid)
            return draw(drawing.regions, drawing.names, grid, source.path, source.overlapping)
        if reference.epsg is None:
            raise fault(
                grid.image,
                "the EPSG code of the coordinate system of a picture with a place in the world",
                "none",
                "write it into the picture, for example with gdal_edit -a_srs, or draw in pixels without a world file",
            )
        world = _WGS84 if drawing.epsg is None else drawing.epsg
        change = None if world == reference.epsg else _transformer(world, reference.epsg, source.path)
        chosen = _near(drawing, change, reference.bounds())
        placed = (_on_grid(region, change, reference, source.path) for region in chosen)
        return draw(filter(None, placed), drawing.names, grid, source.path, source.overlapping)


@lru_cache(maxsize=4)  # one file often covers a whole set of tiles
def _parse(path: Path, changed_ns: int, size: int) -> _Drawing:  # noqa: ARG001 - they make the key of the cache
    data = load_json(path)
    with told(path, "GeoJSON file"):
        if not isinstance(data, dict) or data.get("type") not in _INSIDE:
            received = repr(data.get("type") if isinstance(data, dict) else type(data).__name__)[:60]
            raise fault(path, f"a GeoJSON object of type {', '.join(_INSIDE)}", received)
        regions = tuple(_walk(data, _UNNAMED, path))
        boxes = np.array([(*r.rings[0].min(axis=0), *r.rings[0].max(axis=0)) for r in regions], np.float64)
        return _Drawing(regions, name_table(r.name for r in regions), boxes.reshape(-1, 4), _epsg(data, path))


def _walk(item: dict[str, Any] | None, name: str, path: Path) -> Iterator[Region]:
    """Every polygon inside, with the class of its feature."""
    if item is None:  # a feature without a place is allowed
        return
    kind = item["type"]
    if kind in {"FeatureCollection", "GeometryCollection"}:
        for part in item[_INSIDE[kind]]:
            yield from _walk(part, name, path)
    elif kind == "Feature":
        yield from _walk(item["geometry"], _class_name(item.get("properties")), path)
    elif kind in {"Polygon", "MultiPolygon"}:
        for polygon in [item["coordinates"]] if kind == "Polygon" else item["coordinates"]:
            rings = tuple(as_points(ring, path) for ring in polygon)
            if rings and len(rings[0]):
                yield Region(name, rings)


def _class_name(properties: object) -> str:
    if not isinstance(properties, dict):
        return _UNNAMED
    by_name = {str(key).casefold(): value for key, value in properties.items()}
    for key in _CLASS_KEYS:
        value = by_name.get(key)
        if isinstance(value, dict):
            value = value.get("name")
        if isinstance(value, (str, int, float)) and not isinstance(value, bool) and str(value).strip():
            return str(value).strip()
    return _UNNAMED


def _epsg(data: dict[str, Any], path: Path) -> int | None:
    crs = data.get("crs")
    if crs is None:
        return None
    name = str(crs["properties"]["name"])
    if name.upper().endswith("CRS84"):
        return _WGS84
    found = re.search(r"EPSG:(?:[\d.]*:)?(\d{1,7})$", name, re.IGNORECASE)
    if found is None:
        raise fault(path, "an EPSG code as crs, such as urn:ogc:def:crs:EPSG::32616", repr(name[:60]))
    return int(found[1])


def _check_pixels(drawing: _Drawing, path: Path, grid: Grid) -> None:
    low, high = -_EDGE_PX, np.array([grid.width, grid.height]) + _EDGE_PX
    first, last = drawing.boxes[:, :2], drawing.boxes[:, 2:]
    outside = (first < low).any() or (last > high).any()
    degrees = (
        len(first) > 0 and (last - first < _SPECK_PX).all() and (np.abs(drawing.boxes.reshape(-1, 2)) <= _WORLD).all()
    )
    if drawing.epsg is not None or outside or degrees:
        received = "coordinates outside it" if outside else "regions below a pixel, as of longitude and latitude"
        if drawing.epsg is not None:
            received = f"EPSG:{drawing.epsg}"
        raise fault(
            path,
            f"coordinates in pixels within {grid.width}×{grid.height}, since {grid.image.name} has no place in the world",
            received,
            "use the georeferenced GeoTIFF, or draw in pixels",
        )


def _transformer(world: int, picture: int, path: Path) -> Transformer:
    try:
        return _change(world, picture)
    except ImportError as error:
        raise EnvironmentFault(
            where=path,
            expected=f"pyproj, to go from EPSG:{world} to the picture's EPSG:{picture}",
            received="no such library",
            remedy='install it with pip install "masksmith[geo]"',
        ) from error
    except RuntimeError as error:  # what pyproj's errors are
        codes = f"EPSG:{world} in the annotation and EPSG:{picture} in the picture"
        raise fault(path, "two coordinate systems with a way between them", codes, "correct the wrong one") from error


@lru_cache(maxsize=8)  # finding the way takes a tenth of a second, and tiles are many
def _change(world: int, picture: int) -> Transformer:
    from pyproj import Transformer  # an extra, needed for a change of system alone

    return Transformer.from_crs(world, picture, always_xy=True)


def _near(drawing: _Drawing, change: Transformer | None, bounds: tuple[float, float, float, float]) -> list[Region]:
    """The regions near the picture: one file may hold a country, of which a tile sees a street."""
    if change is not None:
        bounds = change.transform_bounds(*bounds, direction="INVERSE")
    left, bottom, right, top = bounds
    if not np.isfinite(bounds).all() or left > right or bottom > top:  # it crosses a pole or the date line
        return list(drawing.regions)
    spare = 0.1 * max(right - left, top - bottom)  # the bounds of a turned picture are found from some points
    boxes = drawing.boxes
    inside = (boxes[:, 0] <= right + spare) & (boxes[:, 2] >= left - spare)
    inside &= (boxes[:, 1] <= top + spare) & (boxes[:, 3] >= bottom - spare)
    return [drawing.regions[number] for number in np.flatnonzero(inside)]


def _on_grid(region: Region, change: Transformer | None, reference: images.GeoReference, path: Path) -> Region | None:
    """The region in pixels, or None where it lies beyond the picture's coordinate system."""
    rings = []
    for ring in region.rings:
        x, y = ring[:, 0], ring[:, 1]
        if change is not None:
            x, y = change.transform(x, y)
        known = np.isfinite(x) & np.isfinite(y)
        if not known.any():
            return None
        if not known.all():
            raise fault(path, "polygons within the picture's coordinate system", "one that leaves it", "cut it there")
        rings.append(np.stack(reference.to_pixel(x, y), axis=1))
    return Region(region.name, tuple(rings))
