"""Things with a number each: a map of the numbers, and a table of what is known about each.

Rule: numbers count from 1 over all classes but the background; classes that overlap have a band each.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

import numpy as np

from masksmith.inference.prediction import Prediction
from masksmith.outputs import place, regions, tiff
from masksmith.outputs.regions import Region
from masksmith.outputs.shaping import Shaping

ENDINGS = ("instances.tif", "instances.csv")
"""Of the map and of the table."""


def encode(prediction: Prediction, shaping: Shaping) -> dict[str, bytes]:
    """Both files by their endings: the things are the same, and finding them takes longer than writing."""
    found = regions.find(prediction, shaping)
    return dict(zip(ENDINGS, (_map(prediction, found), _table(prediction, found)), strict=True))


def _map(prediction: Prediction, found: Sequence[Region]) -> bytes:
    """TIFF of 16 bits, or 32 where there are more things than that."""
    overlapping = prediction.table.overlapping
    bands = len(prediction.table) if overlapping else 1
    dtype = np.uint16 if len(found) <= np.iinfo(np.uint16).max else np.uint32
    numbers_CHW = np.zeros((bands, *prediction.mask_HW.shape), dtype)
    for region in found:
        left, top, width, height = region.box
        part_HW = numbers_CHW[region.index if overlapping else 0, top : top + height, left : left + width]
        part_HW[region.mask_HW] = region.number
    names = prediction.table.names if overlapping else ()
    return tiff.encode(numbers_CHW, prediction.georeference, names=names)


def _table(prediction: Prediction, found: Sequence[Region]) -> bytes:
    """CSV with a row for each number of the map; lengths in pixels, areas in square metres too if known."""
    area_m2 = place.pixel_area_m2(prediction)
    header = ["id", "class", "area_px", *(["area_m2"] if area_m2 is not None else [])]
    header += ["centroid_x", "centroid_y", "left", "top", "width", "height", "confidence"]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    for region in found:
        metres = [f"{region.area_px * area_m2:.6g}"] if area_m2 is not None else []
        x, y = region.centroid
        row = [region.number, region.name, region.area_px, *metres, f"{x:.3f}", f"{y:.3f}"]
        writer.writerow([*row, *region.box, f"{region.confidence:.4f}"])
    return out.getvalue().encode()
