"""Things: the connected patches of each key of a mask, how many, how large, where, and the picture's values in them.

Rule: measured on every so many pixels of a large picture; a thing of a pixel or two may be missed there. How wide thin
things are is measured on all pixels where most of them are.
"""

from __future__ import annotations

from collections.abc import Callable
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
# Widths of fewer steps say little: of every second pixel even a line of one is as wide as eight.
_STEPS_PER_WIDTH = 8


Window = tuple[slice, slice]


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
    pixels = pixels[::step, ::step, :_CHANNELS_MEASURED]
    present = np.unique(list(scan.keys))
    index_HW = np.searchsorted(present, keys_HW[::step, ::step]).astype(np.uint8)
    sparse = _MEANS_STEP if min(index_HW.shape) >= _SIDE_MEASURED_PX // 2 else 1
    means, squares = _means(index_HW[::sparse, ::sparse], pixels[::sparse, ::sparse], len(present))
    found: dict[int, Things] = {}
    for index, key in enumerate(present):

        def inside(window: Window, key: int = key) -> npt.NDArray[np.bool_]:
            return np.asarray(keys_HW[window] == key, np.bool_)

        thing = _measured(index_HW == index, _Whole(inside, step), means[:, index], squares[:, index])
        if thing is not None:
            found[int(key)] = thing
    return found


def of_layers(bits_HW: npt.NDArray[Any], scan: MaskScan, pixels: npt.NDArray[Any]) -> dict[int, Things]:
    """The same for classes that overlap, by the one bit of each layer."""
    step = -(-max(bits_HW.shape) // _SIDE_MEASURED_PX)
    pixels = pixels[::step, ::step, :_CHANNELS_MEASURED]
    found: dict[int, Things] = {}
    for layer in set_bits(int(np.bitwise_or.reduce(list(scan.keys), initial=0))):

        def inside(window: Window, layer: int = layer) -> npt.NDArray[np.bool_]:
            return np.asarray(bits_HW[window] >> layer & 1, np.bool_)

        sparse_HW = inside((slice(None, None, step),) * 2)
        means, squares = _means(sparse_HW, pixels, 2)
        thing = _measured(sparse_HW, _Whole(inside, step), means[:, 1], squares[:, 1])
        if thing is not None:
            found[1 << layer] = thing
    return found


@dataclass(frozen=True)
class _Whole:
    """All pixels of a mask of which every ``step``-th was looked at."""

    inside: Callable[[Window], npt.NDArray[np.bool_]]
    step: int


def _measured(
    inside_HW: npt.NDArray[np.bool_],
    whole: _Whole,
    mean_C: npt.NDArray[np.float64],
    square_C: npt.NDArray[np.float64],
) -> Things | None:
    """The patches of one key; None where they are thinner than the step."""
    count, _, stats, centers = cv2.connectedComponentsWithStats(inside_HW.view(np.uint8), connectivity=8)
    if count == 1:
        return None
    area, step = stats[1:, cv2.CC_STAT_AREA], whole.step
    width = _width(inside_HW) * step
    if step > 1 and width < _STEPS_PER_WIDTH * step:
        width = _width(whole.inside(_fullest(inside_HW, step)))
    x, y = (np.average(centers[1:], axis=0, weights=area) + 0.5) / inside_HW.shape[::-1]
    return Things(
        count - 1, float(np.median(area)) * step**2, width, mean_C.tolist(), square_C.tolist(), (float(y), float(x))
    )


def _width(inside_HW: npt.NDArray[np.bool_]) -> float:
    """The mean width of what is inside, of which there is some."""
    # Without any other key there is no edge to be distant from.
    distance = np.minimum(cv2.distanceTransform(inside_HW.view(np.uint8), cv2.DIST_L2, 3), min(inside_HW.shape) / 2)
    return _WIDTHS_PER_DISTANCE * float(distance.sum(dtype=np.float64)) / int(inside_HW.sum())


def _fullest(inside_HW: npt.NDArray[np.bool_], step: int) -> Window:
    """The window of the whole mask that holds most of what is inside, no larger than what is measured of a picture."""
    side = max(1, _SIDE_MEASURED_PX // step)  # of a picture of hundreds of thousands of pixels a side, one
    held = cv2.boxFilter(
        inside_HW.astype(np.float32), -1, (side, side), normalize=False, borderType=cv2.BORDER_CONSTANT
    )
    y, x = np.unravel_index(int(held.argmax()), held.shape)
    top, left = (max(0, int(at) - side // 2) * step for at in (y, x))
    return slice(top, top + side * step), slice(left, left + side * step)


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
