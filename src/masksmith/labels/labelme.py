"""Read LabelMe JSON: one file a picture, with polygons, rectangles, circles and small masks.

Rule: shapes that enclose nothing (points and lines) are left out; a shape of an unknown type is told.
"""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from masksmith.errors import DataError
from masksmith.labels.outlines import ellipse, rectangle
from masksmith.labels.regions import (
    Region,
    as_points,
    check_size,
    draw,
    fault,
    head,
    load_json,
    name_table,
    outer_keys,
    read_bytes,
    told,
)
from masksmith.labels.source import Grid, LabelSource, RawMask
from masksmith.limits import MAX_PICTURE_PIXELS

_OPEN = {"point", "points", "line", "linestrip"}

# The later names are those of programs that write the same format.
_POLYGONS = {"polygon", "oriented_rectangle", "rotation", "quadrilateral"}


def sniff(path: Path) -> bool:
    """Whether this is LabelMe JSON, by its outer keys."""
    if path.suffix.lower() != ".json":
        return False
    beginning = head(path)
    keys = outer_keys(beginning)
    if "shapes" in keys:
        return True
    if not keys & {"imageData", "imagePath", "imageHeight", "version"}:
        return False
    try:  # the picture itself may stand before the shapes
        return re.search(rb'"shapes"\s*:\s*\[', read_bytes(path)) is not None
    except DataError:
        return False


def read(source: LabelSource, grid: Grid) -> RawMask:
    """The shapes in their order, named in the order of their first appearance.

    Raises:
        DataError: the file is broken, or made for a picture of another size.
    """
    path = source.path
    data = load_json(path)
    with told(path, "LabelMe file"):
        shapes = data.get("shapes") if isinstance(data, dict) else None
        if not isinstance(data, dict) or not isinstance(shapes, list):
            raise fault(path, 'the list "shapes" of a LabelMe file', "none")
        check_size(data.get("imageWidth"), data.get("imageHeight"), grid, path)
        found = (_region(shape, f"{path}, shape {number}") for number, shape in enumerate(shapes, 1))
        regions = [region for region in found if region is not None]
        return draw(regions, name_table(region.name for region in regions), grid, path, source.overlapping)


def _region(shape: dict[str, Any], where: str) -> Region | None:
    kind = shape.get("shape_type") or "polygon"
    if kind in _OPEN:
        return None
    name = shape.get("label")
    if not isinstance(name, (str, int)) or not str(name).strip():
        raise fault(where, "a label", repr(name)[:60])
    name, points = str(name).strip(), as_points(shape["points"], where)
    if kind in _POLYGONS or (kind == "rectangle" and len(points) == 4):
        return Region(name, (points,))
    if kind not in {"rectangle", "circle", "mask"}:
        known = ", ".join(sorted({"rectangle", "circle", "mask", *_POLYGONS, *_OPEN}))
        raise fault(where, f"a shape_type out of {known}", repr(kind)[:60])
    if len(points) != 2:
        raise fault(where, f"two points of a {kind}", str(len(points)))
    if kind == "mask":
        return _mask(shape, name, points, where)
    first, second = ((float(x), float(y)) for x, y in points)
    if kind == "rectangle":
        return Region(name, (rectangle(first, second),))
    radius = float(np.hypot(*(points[1] - points[0])))
    return Region(name, (ellipse(first, (radius, radius)),))


def _mask(shape: dict[str, Any], name: str, points: npt.NDArray[np.float64], where: str) -> Region:
    """A PNG in base64; its points are its first and its last pixel."""
    text = shape.get("mask")
    if not isinstance(text, str):
        raise fault(where, "a PNG in base64 as mask", type(text).__name__)
    content = base64.b64decode(text)
    # The size is taken from the header, so that a few bytes cannot ask for gigabytes.
    is_png = _is_png(content)
    stored = (int.from_bytes(content[16:20], "big"), int.from_bytes(content[20:24], "big"))
    first = np.round(points.min(axis=0))
    wanted = tuple(np.round(points.max(axis=0)) - first + 1)
    if not is_png or stored != wanted or stored[0] * stored[1] > MAX_PICTURE_PIXELS:
        received = f"{stored[0]}×{stored[1]}" if is_png else "something else"
        raise fault(where, f"a PNG of {wanted[0]:.0f}×{wanted[1]:.0f} pixels as mask, as its points say", received)
    try:
        pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_GRAYSCALE)
    except cv2.error:
        pixels = None
    if pixels is None:
        raise fault(where, "a whole PNG as mask", "a broken one")
    return Region(name, mask_HW=pixels > 0, left=int(first[0]), top=int(first[1]))


def _is_png(content: bytes) -> bool:
    """Whether it begins as a PNG does and no part claims more bytes than there are: decoders believe it."""
    place = 8
    while place + 12 <= len(content):
        place += 12 + int.from_bytes(content[place : place + 4], "big")
    return content[:8] == b"\x89PNG\r\n\x1a\n" and content[12:16] == b"IHDR" and place <= len(content)
