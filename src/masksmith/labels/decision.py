"""Decision: how the masks of a data set are to be read, or why that cannot be said."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from masksmith.classes import ClassTable
from masksmith.errors import DataError
from masksmith.labels.scan import MaskScan

LABELS: dict[str, str] = {
    "index": "one number a class, 0 upwards, in 8 or 16 bits",
    "binary": "0 for the background, one other value (usually 255) for the one class",
    "grey": "one grey value a class, with gaps",
    "color": "one colour a class",
    "palette": "numbers with a palette, which gives each class its colour",
    "bands": "one band a class (one-hot)",
    "instances": "a number for each thing, or a file for each: 0 is the background",
    "coco": "polygons or run lengths in a COCO JSON file",
    "labelme": "polygons in a LabelMe JSON file for each picture",
    "yolo": "polygons in a YOLO text file for each picture, names in data.yaml",
    "cvat": "polygons or masks in a CVAT XML file",
    "geojson": "polygons in a GeoJSON file, reprojected onto the picture",
}


@dataclass(frozen=True)
class Decision:
    """How the masks of a data set are to be read: the table, the kind (a key of ``LABELS``), why."""

    table: ClassTable
    kind: str
    reason: str


class Unclear(DataError):
    """Masks whose values cannot be classes: the kind of the finding, and which masks are guilty."""

    kind = "undefined"
    guilty: Callable[[MaskScan], bool] | None = None

    def of(self, kind: str, guilty: Callable[[MaskScan], bool] | None = None) -> Unclear:
        """The same error, with the kind of its finding and the masks that it is about."""
        self.kind, self.guilty = kind, guilty
        return self
