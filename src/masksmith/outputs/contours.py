"""Only the outlines of regions over the picture: for whoever judges edges."""

from __future__ import annotations

import cv2
import numpy as np

from masksmith.inference.prediction import Prediction
from masksmith.outputs.mask import encode_picture
from masksmith.outputs.overlay import show, tints
from masksmith.outputs.regions import classes

# One pixel of line for so many of the picture: seen where it is shown on a screen.
_PIXELS_A_LINE = 1000


def encode(prediction: Prediction) -> bytes:
    """PNG of the picture with a line inside the edge of each region; the edge of the picture has none."""
    out = show(prediction.pixels_HWC, prediction.valid_HW)
    height, width = prediction.mask_HW.shape
    reach = 2 * max(1, round(max(height, width) / _PIXELS_A_LINE)) + 1
    colors = tints(out, prediction.table)
    for index, layer_HW in classes(prediction):
        inner_HW = cv2.erode(layer_HW.astype(np.uint8), np.ones((reach, reach), np.uint8)) > 0
        out[layer_HW & ~inner_HW] = colors[index]
    return encode_picture(out)
