"""Things: the connected patches of each key of a mask, how many, how large, where, and the picture's values in them.

Rule: measured on every so many pixels of a large picture; a thing of a pixel or two may be missed there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from masksmith.keys import set_bits
from masksmith.labels import MaskScan

# Bands whose values are looked at by class; more would fill the memory of the scan.
_CHANNELS_MEASURED = 16
# The side of what is measured of a picture; things of a pixel or two in larger ones are missed.
_SIDE_MEASURED_PX = 512
# Means over every second pixel of every second row are as good, where there are many.
_MEANS_STEP = 2
# Larger floats, and what is no number, count as nothing: their square must fit 64 bits.
_LARGEST = 1e150
# The mean distance to the edge inside a long band is a quarter of its width.
_WIDTHS_PER_DISTANCE = 4.0


@dataclass(frozen=True)
class Things:
    """The connected patches of one key: how many, their median area and mean width in pixels."""

    count: int
    area: float
    width: float
    mean_C: list[float]
    square_C: list[float]
    """The means of the picture's values in them, and of their squares."""
    center: tuple[float, float] = (0.5, 0.5)
    """Their middle as shares of the height and the width: where in a picture this key lies."""


def of_keys(keys_HW: npt.NDArray[Any], scan: MaskScan, pixels: npt.NDArray[Any]) -> dict[int, Things]:
    """The things of each key of a mask, and the values of the picture in them."""
    # Of large pictures every second, third, … pixel is enough to count things and to measure them.
    step = -(-max(keys_HW.shape) // _SIDE_MEASURED_PX)
    keys_HW, pixels = keys_HW[::step, ::step], pixels[::step, ::step, :_CHANNELS_MEASURED]
    present = np.unique(list(scan.keys))
    index_HW = np.searchsorted(present, keys_HW).astype(np.uint8)
    sparse = _MEANS_STEP if min(index_HW.shape) >= _SIDE_MEASURED_PX // 2 else 1
    means, squares = _means(index_HW[::sparse, ::sparse], pixels[::sparse, ::sparse], len(present))
    found: dict[int, Things] = {}
    for index, key in enumerate(present):
        thing = _measured(index_HW == index, step, means[:, index], squares[:, index])
        if thing is not None:
            found[int(key)] = thing
    return found


def of_layers(bits_HW: npt.NDArray[Any], scan: MaskScan, pixels: npt.NDArray[Any]) -> dict[int, Things]:
    """The same for classes that overlap, by the one bit of each layer."""
    step = -(-max(bits_HW.shape) // _SIDE_MEASURED_PX)
    bits_HW, pixels = bits_HW[::step, ::step], pixels[::step, ::step, :_CHANNELS_MEASURED]
    found: dict[int, Things] = {}
    for layer in set_bits(int(np.bitwise_or.reduce(list(scan.keys), initial=0))):
        inside = (bits_HW >> layer & 1).astype(np.bool_)
        means, squares = _means(inside, pixels, 2)
        thing = _measured(inside, step, means[:, 1], squares[:, 1])
        if thing is not None:
            found[1 << layer] = thing
    return found


def _measured(
    inside_HW: npt.NDArray[np.bool_], step: int, mean_C: npt.NDArray[np.float64], square_C: npt.NDArray[np.float64]
) -> Things | None:
    """The patches of one key; None where they are thinner than the step."""
    inside = inside_HW.view(np.uint8)
    count, _, stats, centers = cv2.connectedComponentsWithStats(inside, connectivity=8)
    if count == 1:
        return None
    # Without any other key there is no edge to be distant from.
    distance = np.minimum(cv2.distanceTransform(inside, cv2.DIST_L2, 3), min(inside.shape) / 2)
    area = stats[1:, cv2.CC_STAT_AREA]
    width = _WIDTHS_PER_DISTANCE * float(distance.sum(dtype=np.float64)) / int(area.sum()) * step
    x, y = (np.average(centers[1:], axis=0, weights=area) + 0.5) / inside.shape[::-1]
    return Things(
        count - 1, float(np.median(area)) * step**2, width, mean_C.tolist(), square_C.tolist(), (float(y), float(x))
    )


def _means(
    index_HW: npt.NDArray[Any], pixels: npt.NDArray[Any], count: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """The means of each channel, and of its square, by index: both float64 (C, count)."""
    flat = index_HW.ravel()
    sizes = np.maximum(np.bincount(flat, minlength=count), 1)
    means, squares = [], []
    for channel in np.moveaxis(pixels, 2, 0):
        values = channel.astype(np.float64).ravel()
        if pixels.dtype.kind == "f":
            values[~(np.abs(values) < _LARGEST)] = 0.0
        means.append(np.bincount(flat, values, count) / sizes)
        squares.append(np.bincount(flat, values * values, count) / sizes)
    return np.array(means), np.array(squares)
