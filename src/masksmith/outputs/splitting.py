"""Cut what touches at its waists: a watershed of the distance to the edge.

Rule: every pixel goes to one part; what has no waist stays whole.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

Bool = npt.NDArray[np.bool_]
U16 = npt.NDArray[np.uint16]

# A neck is a waist where it is narrower than this share of the narrower of both parts: round cells that
# touch have less, the unevenness of a drawn edge has more.
_WAIST = 0.75

# Distances are counted in sixteenths of a pixel, so that plateaus are told by equal numbers.
_STEPS = 16

# What is nowhere further from its edge than this is a line, and pixels say nothing of its waists.
_THICK_PX = 2.5

_CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))


def split(mask_HW: Bool) -> U16:
    """The number of the part of each pixel, from 1; 0 outside."""
    inside_HW = np.pad(mask_HW, 1).astype(np.uint8)
    steps_HW = np.round(cv2.distanceTransform(inside_HW, cv2.DIST_L2, cv2.DIST_MASK_PRECISE) * _STEPS)
    far_HW: U16 = np.minimum(steps_HW, np.iinfo(np.uint16).max).astype(np.uint16)
    if far_HW.max() < _THICK_PX * _STEPS:
        return mask_HW.astype(np.uint16)
    # A summit that is left when every height is lowered by the share of a waist, and the sides flow together.
    flat_HW = _reconstructed((far_HW * _WAIST).astype(np.uint16), far_HW)
    summits_HW = flat_HW > _reconstructed(np.maximum(flat_HW, 1) - np.uint16(1), flat_HW)
    _, labels_HW = cv2.connectedComponents(summits_HW.astype(np.uint8), connectivity=8)
    return _flooded(labels_HW.astype(np.uint16), far_HW)[1:-1, 1:-1]


def _reconstructed(low_HW: U16, high_HW: U16) -> U16:
    """``low_HW`` spread as far as ``high_HW`` lets it."""
    while True:
        spread_HW = np.minimum(cv2.dilate(low_HW, np.ones((3, 3), np.uint8)), high_HW).astype(np.uint16)
        if np.array_equal(spread_HW, low_HW):
            return spread_HW
        low_HW = spread_HW


def _flooded(labels_HW: U16, far_HW: U16) -> U16:
    """Labels spread from the summits down to the edge, a pixel's height at a time."""
    levels = range(int(far_HW.max()) // _STEPS, -1, -1)
    for allowed_HW in (far_HW > level * _STEPS for level in levels):
        while True:
            new_HW = allowed_HW & (labels_HW == 0)
            spread_HW = cv2.dilate(labels_HW, _CROSS).astype(np.uint16)
            new_HW &= spread_HW > 0
            if not new_HW.any():
                break
            labels_HW = np.where(new_HW, spread_HW, labels_HW)
    return labels_HW
