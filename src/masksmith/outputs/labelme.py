"""Regions as LabelMe JSON, to be corrected there by hand.

Rule: its polygons have no holes; a region with one is a shape of type "mask", so nothing is lost.
"""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np

from masksmith import images
from masksmith.inference.prediction import Prediction
from masksmith.outputs import regions
from masksmith.outputs.shaping import Shaping

# The first whose shapes may be masks.
_VERSION = "5.3.0"


def encode(prediction: Prediction, shaping: Shaping) -> bytes:
    """One file a picture, to lie beside it."""
    height, width = prediction.mask_HW.shape
    data = {
        "version": _VERSION,
        "flags": {},
        "shapes": [_shape(region) for region in regions.outlined(prediction, shaping)],
        "imagePath": prediction.source.name if prediction.source else "",
        "imageData": None,
        "imageHeight": height,
        "imageWidth": width,
    }
    return (json.dumps(data, ensure_ascii=False, indent=1) + "\n").encode("utf-8", "backslashreplace")


def _shape(region: regions.Region) -> dict[str, Any]:
    rings = region.rings
    kind, points, mask = "polygon", np.round(rings[0], 3).tolist(), None
    if len(rings) > 1:
        left, top, width, height = region.box
        kind, points = "mask", [[left, top], [left + width - 1, top + height - 1]]
        mask = base64.b64encode(images.encode_png(region.mask_HW.astype(np.uint8))).decode("ascii")
    return {
        "label": region.name,
        "points": points,
        "group_id": None,
        "description": "",
        "shape_type": kind,
        "flags": {},
        "mask": mask,
    }
