"""The outputs that only the service has: figures for programs, layers and the picture for the page.

Rule: they are bytes made from a Prediction, the same each time but for the seconds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from masksmith import images
from masksmith.inference.prediction import Prediction
from masksmith.outputs import geotiff, overlay
from masksmith.service.schema import ClassShare, Figures


@dataclass(frozen=True)
class Source:
    """Who has answered, and how long it took."""

    model: str
    seconds: float


def figures(prediction: Prediction, source: Source) -> bytes:
    """What was found, in numbers."""
    height, width = prediction.mask_HW.shape
    valid = np.True_ if prediction.valid_HW is None else prediction.valid_HW
    shares = prediction.shares()
    classes = [
        ClassShare(
            index=index,
            name=entry.name,
            color=entry.color,
            share=shares[entry.name],
            pixels=int(np.count_nonzero(prediction.layer(index) & valid)),
        )
        for index, entry in enumerate(prediction.table.classes)
    ]
    found = Figures(width=width, height=height, classes=classes, seconds=round(source.seconds, 6), model=source.model)
    return found.model_dump_json().encode()


def layers(prediction: Prediction) -> bytes:
    """Class and confidence of each pixel in one picture, which a page can read back from a canvas.

    What the picture says is no pixel is 255; where classes overlap, only the highest bit is set.
    """
    mask_HW = geotiff.with_nodata(prediction)
    sure_HW = np.round(np.clip(prediction.confidence_HW, 0, 1) * 255).astype(np.uint8)
    low_HW, high_HW = (mask_HW & 255).astype(np.uint8), (mask_HW.astype(np.uint16) >> 8).astype(np.uint8)
    return images.encode_png(np.dstack([low_HW, sure_HW, high_HW]))


def picture(prediction: Prediction) -> bytes:
    """The picture as a browser can show it."""
    return images.encode_png(overlay.show(prediction.pixels_HWC, prediction.valid_HW))
