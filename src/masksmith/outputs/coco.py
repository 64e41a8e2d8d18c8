"""All pictures in one COCO JSON.

Rule: a region without a hole is a polygon, one with a hole is run lengths, so that nothing is lost.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from masksmith.classes import ClassTable
from masksmith.inference.prediction import Prediction
from masksmith.labels.regions import is_background
from masksmith.outputs import regions
from masksmith.outputs.regions import Region
from masksmith.outputs.shaping import Shaping

FILE = "annotations.coco.json"


class CocoCollector:
    """Gathers regions picture by picture; ids count from 1."""

    def __init__(self, table: ClassTable, shaping: Shaping) -> None:
        self._shaping = shaping
        self._categories = {
            name: number for number, name in enumerate((n for n in table.names if not is_background(n)), 1)
        }
        self._images: list[dict[str, Any]] = []
        self._annotations: list[dict[str, Any]] = []
        self._names: set[str] = set()

    def add(self, name: str, prediction: Prediction, called: str = "") -> None:
        """One picture: as it is called, or by its file's name, or by ``name`` where that is taken or unknown."""
        known = called or (prediction.source.name if prediction.source else name)
        file_name = known if known not in self._names else name
        self._names.add(file_name)
        height, width = prediction.mask_HW.shape
        number = len(self._images) + 1
        self._images.append({"id": number, "file_name": file_name, "width": width, "height": height})
        for region in regions.outlined(prediction, self._shaping):
            self._annotations.append(
                {
                    "id": len(self._annotations) + 1,
                    "image_id": number,
                    "category_id": self._categories[region.name],
                    "segmentation": _segmentation(region, height, width),
                    "bbox": list(region.box),
                    "area": region.area_px,
                    "iscrowd": 0,
                    "score": round(region.confidence, 4),
                }
            )

    def add_large(self, called: str, shares: Mapping[str, float]) -> bool:  # noqa: ARG002 - regions need the whole mask
        """It is left out."""
        return False

    def finish(self) -> dict[str, bytes]:
        """The one file."""
        data = {
            "images": self._images,
            "annotations": self._annotations,
            "categories": [{"id": n, "name": name} for name, n in self._categories.items()],
        }
        return {
            FILE: (json.dumps(data, ensure_ascii=False, separators=(",", ":")) + "\n").encode(
                "utf-8", "backslashreplace"
            )
        }


def _segmentation(region: Region, height: int, width: int) -> Any:  # noqa: ANN401 - of two kinds
    rings = region.rings
    if len(rings) == 1:
        return [np.round(rings[0], 3).ravel().tolist()]
    runs = {"size": [height, width], "counts": _runs(region, height, width)}
    coded = coco_mask.frPyObjects(runs, height, width)
    return {"size": [height, width], "counts": coded["counts"].decode("ascii")}


def _runs(region: Region, height: int, width: int) -> list[int]:
    """Lengths outside and inside in turn, down the columns, without a mask of the whole picture."""
    left, top = region.left, region.top
    x, y = np.nonzero(region.mask_HW.T)
    places = (x + left) * height + y + top
    first = np.flatnonzero(np.diff(places, prepend=-2) > 1)
    starts = places[first]
    ends = places[np.append(first[1:] - 1, len(places) - 1)] + 1
    changes = np.stack([starts, ends], axis=1).ravel()
    return [int(n) for n in np.diff(np.concatenate([[0], changes, [height * width]]))]
