"""Things that are numbered, or have a file each, as one class, and where they meet as another.

Rule: what a number stands for is lost here on purpose; the border keeps things apart.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

NAMES = ("background", "object", "border")
NUMBERING = ("picture", "instances")
"""The readers of masks that number things: "object" and "border" are theirs. In drawn regions a person called them so."""
U8 = npt.NDArray[np.uint8]


def classes_of(numbers_HW: npt.NDArray[Any], border_px: int) -> U8:
    """0 background, 1 thing, 2 border, (H, W) uint8.

    A pixel is border when two things lie within ``border_px`` of it, measured in rows and columns,
    whether it belongs to one of them or to the gap between them (as the winning masks of the 2018
    Data Science Bowl have it).

    Args:
        numbers_HW: 0 for the background, another number for each thing, (H, W).
        border_px: half the width of the border; 0 draws none.
    """
    things: U8 = (numbers_HW != 0).astype(np.uint8)
    if border_px == 0 or things.size == 0:
        return things
    # Numbers may be anything; what is compared is their order, which floats of 32 bits keep.
    _, order = np.unique(numbers_HW, return_inverse=True)
    ranks = order.reshape(numbers_HW.shape).astype(np.float32) + 1
    ranks[things == 0] = 0
    kernel = np.ones((2 * border_px + 1, 2 * border_px + 1), np.uint8)
    highest = cv2.dilate(ranks, kernel, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    far = float(ranks.max()) + 1
    lowest = cv2.erode(
        np.where(ranks == 0, far, ranks).astype(np.float32), kernel, borderType=cv2.BORDER_CONSTANT, borderValue=far
    )
    things[(highest > 0) & (lowest < far) & (highest != lowest)] = 2
    return things
