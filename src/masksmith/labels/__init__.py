"""Read any annotation as class indices on the picture's grid.

``find`` tells which files are annotations, a module for each kind of file reads them, ``scan``
counts what one holds, ``decide`` finds out from all of them what it means. Rule: nothing is
guessed from one file; the whole set is scanned first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from masksmith.classes import ClassTable
from masksmith.errors import DataError
from masksmith.keys import Mask
from masksmith.labels import coco, cvat, geojson, labelme, raster, yolo
from masksmith.labels.blur import is_lossy
from masksmith.labels.decide import decide
from masksmith.labels.decision import LABELS, Decision, Unclear
from masksmith.labels.find import Labels, add_annotation, annotation_reader, collect, picture_key, same_ending
from masksmith.labels.scan import MaskScan, merged, scan
from masksmith.labels.source import Grid, LabelSource, RawMask

__all__ = [
    "LABELS",
    "READERS",
    "Decision",
    "Grid",
    "LabelSource",
    "Labels",
    "MaskScan",
    "RawMask",
    "Unclear",
    "add_annotation",
    "annotation_reader",
    "collect",
    "decide",
    "encode",
    "merged",
    "picture_key",
    "read_mask",
    "read_raw",
    "same_ending",
    "scan",
]

# How the files of an annotation are read.
READERS: dict[str, Callable[[LabelSource, Grid], RawMask]] = {
    "picture": raster.read,
    "instances": raster.read_instances,
    "coco": coco.read,
    "labelme": labelme.read,
    "yolo": yolo.read,
    "cvat": cvat.read,
    "geojson": geojson.read,
}


def read_raw(source: LabelSource, grid: Grid) -> RawMask:
    """An annotation as stored.

    Raises:
        DataError: it cannot be read.
    """
    return READERS[source.reader](source, grid)


def read_mask(source: LabelSource, table: ClassTable, grid: Grid) -> Mask:
    """Class indices (H, W) uint8 with 255 for ignored, or bits of classes that overlap (see ``keys``).

    Raises:
        DataError: it cannot be read, or holds what no class has.
    """
    if (source.overlapping, source.border_px) != (table.overlapping, table.border_px):
        source = replace(source, overlapping=table.overlapping, border_px=table.border_px)
    return encode(read_raw(source, grid), table, source)


def encode(raw: RawMask, table: ClassTable, source: LabelSource) -> Mask:
    """Class indices (H, W), or bits, of a mask as stored; errors as in :func:`read_mask`."""
    pixels = raw.colors_HW3 if table.encoding == "color" else raw.values_HW
    if pixels is None:
        raise DataError(
            where=source.path,
            expected="8-bit colours as in the other masks"
            if table.encoding == "color"
            else "index values as in the other masks",
            received="values above 255" if table.encoding == "color" else "a colour mask",
            remedy="save all masks in one way",
        )
    if table.overlapping:
        return table.encode_bits(pixels, source.path, raw.names)
    try:
        return table.encode(pixels, source.path, raw.names)
    except DataError as error:
        if not is_lossy(source.path):
            raise
        raise DataError(
            where=error.where,
            expected=error.expected,
            received=f"{error.received}, as JPEG makes them",
            remedy="save masks as PNG, or take the nearest class for each pixel with --snap",
        ) from error
