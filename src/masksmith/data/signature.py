"""Signatures of a picture by which copies, crops and neighbours are found without keeping pixels.

Rule: a few hundred bytes a picture, whatever its size.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

U8 = npt.NDArray[np.uint8]
F32 = npt.NDArray[np.float32]

THUMB_PX = 12
STRIP_PX = 32
SKETCH = 48

TILE_NAME = re.compile(r"^(?P<scene>.*?)[_\- ]?[a-zA-Z]{0,3}(?P<row>\d+)[_\- ]+[a-zA-Z]{0,3}(?P<column>\d+)$")
"""Names of tiles by row and column: the only pictures whose borders are compared."""

# Windows of this side are looked for in other pictures: large enough to be unique in textured
# pictures, small enough to fit into a narrow overlap.
_WINDOW_PX = 8
# Odd numbers without structure (from the golden ratio and the digits of pi), for hashing.
_ROW, _COLUMN, _MIX = (np.uint64(n) for n in (0x9E3779B97F4A7C15, 0x243F6A8885A308D3, 0xD6E8FEB86659FD93))
# Pixels that are hashed of a picture; of larger ones the middle.
_HASHED_SIDE_PX = 2048
# Its square must fit float32.
_LARGEST = 1e18
# A window must span this share of the picture's values: flat ones are alike in all pictures.
_LEAST_RANGE = 0.15


def grey(pixels_HWC: npt.NDArray[Any]) -> F32:
    """The mean over the channels; what is no number is 0."""
    if pixels_HWC.dtype.kind == "f":  # so large that a sum would overflow is no brightness
        pixels_HWC = np.clip(np.nan_to_num(pixels_HWC, posinf=0.0, neginf=0.0), -_LARGEST, _LARGEST)
    mean: F32 = pixels_HWC[..., 0].astype(np.float32)
    for channel in range(1, pixels_HWC.shape[2]):  # ten times as fast as a mean along the last axis
        mean += pixels_HWC[..., channel]
    mean /= pixels_HWC.shape[2]
    return mean


def digest(pixels_HWC: npt.NDArray[Any]) -> bytes:
    """16 bytes that only the same pixels share, however they are stored."""
    head = f"{pixels_HWC.shape} {pixels_HWC.dtype}".encode()
    return hashlib.blake2b(head + np.ascontiguousarray(pixels_HWC).tobytes(), digest_size=16).digest()


def thumb(grey_HW: F32) -> U8:
    """A small copy, stretched to 0 … 255, by which likely copies are found."""
    return _stretched(cv2.resize(grey_HW, (THUMB_PX, THUMB_PX), interpolation=cv2.INTER_AREA))


def strips(grey_HW: F32) -> U8:
    """The top, bottom, left and right border, uint8 (4, STRIP_PX) on the scale of the whole."""
    rows = [
        grey_HW[:2].mean(axis=0),
        grey_HW[-2:].mean(axis=0),
        grey_HW[:, :2].mean(axis=1),
        grey_HW[:, -2:].mean(axis=1),
    ]
    small = [cv2.resize(r[None], (STRIP_PX, 1), interpolation=cv2.INTER_AREA)[0] for r in rows]
    low, high = float(grey_HW.min()), float(grey_HW.max())
    scaled = (np.stack(small) - low) * (255.0 / max(high - low, 1e-12))
    return np.clip(np.rint(scaled), 0, 255).astype(np.uint8)


def sketch(pixels_HWC: npt.NDArray[Any]) -> npt.NDArray[np.uint64]:
    """Hashes of up to ``SKETCH`` textured windows, chosen by their content alone.

    Pictures that share a part share the windows in it, wherever it lies: the ``SKETCH`` smallest
    hashes of each are a fair sample (Broder 1997, "On the resemblance and containment of documents").
    """
    plane = _middle(pixels_HWC[..., 0])
    if min(plane.shape) < _WINDOW_PX:
        return np.zeros(0, np.uint64)
    if plane.dtype.kind == "f":
        plane = np.nan_to_num(plane.astype(np.float32), copy=False, posinf=0.0, neginf=0.0)
        bits = plane.view(np.uint32)
    else:
        bits = plane
    hashed = _windows(_windows(bits.astype(np.uint64), 1, _ROW), 0, _COLUMN) * _MIX
    hashed ^= hashed >> np.uint64(29)
    hashed *= _ROW
    textured = hashed[_textured(plane)]
    smallest = np.partition(textured, SKETCH)[:SKETCH] if textured.size > SKETCH else textured
    return np.unique(smallest)


def _windows(values: npt.NDArray[np.uint64], axis: int, factor: np.uint64) -> npt.NDArray[np.uint64]:
    """A polynomial hash of each run of ``_WINDOW_PX`` along an axis, modulo 2**64."""
    count = values.shape[axis] - _WINDOW_PX + 1
    out = np.zeros(tuple(count if a == axis else n for a, n in enumerate(values.shape)), np.uint64)
    for offset in range(_WINDOW_PX):
        out *= factor
        out += values[offset : offset + count] if axis == 0 else values[:, offset : offset + count]
    return out


def _textured(plane: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    values = plane.astype(np.float32)
    kernel = np.ones((_WINDOW_PX, _WINDOW_PX), np.uint8)
    anchor = (0, 0)  # the window begins at the pixel, as in the hash
    span = cv2.dilate(values, kernel, anchor=anchor) - cv2.erode(values, kernel, anchor=anchor)
    low, high = np.percentile(values[::4, ::4], (1, 99))
    count_y, count_x = (n - _WINDOW_PX + 1 for n in values.shape)
    return np.asarray(span[:count_y, :count_x] > max(_LEAST_RANGE * (high - low), 1e-12))


def _middle(plane: npt.NDArray[Any]) -> npt.NDArray[Any]:
    y, x = (max(0, (n - _HASHED_SIDE_PX) // 2) for n in plane.shape)
    return plane[y : y + _HASHED_SIDE_PX, x : x + _HASHED_SIDE_PX]


def _stretched(values: npt.NDArray[Any]) -> U8:
    low, high = float(values.min()), float(values.max())
    return np.clip(np.rint((values - low) * (255.0 / max(high - low, 1e-12))), 0, 255).astype(np.uint8)
