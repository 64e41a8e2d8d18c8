"""Cut what touches at its waists: a watershed of the distance to the edge.

Rule: every pixel goes to one part; what has no waist stays whole. Floods go on from the pixels that they
reached last, since a look at the whole picture for each of their steps takes hours where it is large.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import numpy.typing as npt

Bool = npt.NDArray[np.bool_]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
U16 = npt.NDArray[np.uint16]

# A neck is a waist where it is narrower than this share of the narrower of both parts: round cells that
# touch have less, the unevenness of a drawn edge has more.
_WAIST = 0.75

# Distances are counted in sixteenths of a pixel, so that plateaus are told by equal numbers.
_STEPS = 16

# What is nowhere further from its edge than this is a line, and pixels say nothing of its waists.
_THICK_PX = 2.5

# While more than this share of the pixels changes, a look at all of them is quicker than one around each.
_FEW = 0.01


def split(mask_HW: Bool) -> I32:
    """The number of the part of each pixel, from 1; 0 outside."""
    inside_HW = np.pad(mask_HW, 1).astype(np.uint8)
    steps_HW = np.round(cv2.distanceTransform(inside_HW, cv2.DIST_L2, cv2.DIST_MASK_PRECISE) * _STEPS)
    far_HW: U16 = np.minimum(steps_HW, np.iinfo(np.uint16).max).astype(np.uint16)
    if far_HW.max() < _THICK_PX * _STEPS:
        return mask_HW.astype(np.int32)
    # A summit that is left when every height is lowered by the share of a waist, and the sides flow together.
    flat_HW = _reconstructed((far_HW * _WAIST).astype(np.uint16), far_HW)
    summits_HW = flat_HW > _reconstructed(np.maximum(flat_HW, 1) - np.uint16(1), flat_HW)
    _, labels_HW = cv2.connectedComponents(summits_HW.astype(np.uint8), connectivity=8)
    return _flooded(labels_HW.astype(np.int32, copy=False), far_HW)[1:-1, 1:-1]


def boxes(parts_HW: I32) -> Iterator[tuple[int, slice, slice]]:
    """Each part's number, rows and columns, in the order of the numbers."""
    top, bottom = _spans(parts_HW)
    left, right = _spans(parts_HW.T)
    for part in range(1, len(top)):
        yield part, slice(top[part], bottom[part] + 1), slice(left[part], right[part] + 1)


def _spans(parts_HW: I32) -> tuple[list[int], list[int]]:
    """The first and the last row of each part, by its number; row by row, so that no list of all pixels is made."""
    first = np.full(int(parts_HW.max()) + 1, len(parts_HW))
    last = np.zeros_like(first)
    for y, row in enumerate(parts_HW):
        first[row] = np.minimum(first[row], y)
        last[row] = y
    return first.tolist(), last.tolist()


def _reconstructed(low_HW: U16, high_HW: U16) -> U16:
    """``low_HW`` spread as far as ``high_HW`` lets it, which is 0 all around."""
    while True:
        spread_HW = np.minimum(cv2.dilate(low_HW, np.ones((3, 3), np.uint8)), high_HW).astype(np.uint16, copy=False)
        changed = np.flatnonzero(spread_HW != low_HW)
        low_HW = spread_HW
        if changed.size <= _FEW * low_HW.size:
            break
    width = low_HW.shape[1]
    low, high = low_HW.ravel(), high_HW.ravel()
    around = [-width - 1, -width, -width + 1, -1, 1, width - 1, width, width + 1]
    while changed.size:
        raised = []
        for step in around:
            met = changed + step
            spread = np.minimum(low[changed], high[met])
            more = spread > low[met]
            low[met[more]] = spread[more]
            raised.append(met[more])
        changed = np.unique(np.concatenate(raised))
    return low_HW


def _flooded(labels_HW: I32, far_HW: U16) -> I32:
    """Labels spread from the summits down to the edge, a pixel's height at a time; what is 0 far lies outside."""
    width = labels_HW.shape[1]
    labels, levels = labels_HW.ravel(), ((far_HW.astype(np.int32) - 1) // _STEPS).ravel()
    seen = (labels > 0) | (levels < 0)
    around = (-width, -1, 1, width)

    def beside(pixels: I64) -> I64:
        """What was not seen before."""
        found = []
        for step in around:
            met = pixels + step
            met = met[~seen[met]]
            seen[met] = True
            found.append(met)
        return np.concatenate(found)

    waiting = [beside(np.flatnonzero(labels))]
    for level in range(int(levels.max()), -1, -1):
        front, lower = _parted(np.concatenate(waiting), levels, level)
        waiting = [lower]
        while front.size:
            # Where two floods meet the larger number wins, as every time.
            labels[front] = np.max([labels[front + step] for step in around], axis=0)
            front, lower = _parted(beside(front), levels, level)
            waiting.append(lower)
    return labels.reshape(labels_HW.shape)


def _parted(pixels: I64, levels: I32, level: int) -> tuple[I64, I64]:
    """Those that a flood has come down to, and the others."""
    now = levels[pixels] >= level
    return pixels[now], pixels[~now]
