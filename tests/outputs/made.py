"""Predictions that the tests of outputs share: blobs with holes, places on the map, odd shapes."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st

from masksmith.classes import ClassTable, Entry
from masksmith.images import GeoReference
from masksmith.inference.prediction import Prediction
from masksmith.keys import join_layers

NAMES = ("background", "cell", "wall & co")

# 0.5 m pixels in UTM zone 32.
UTM = 32632
EAST, NORTH, PIXEL_M = 500_100.0, 5_300_300.0, 0.5


def table(names: tuple[str, ...] = NAMES, *, overlapping: bool = False) -> ClassTable:
    entries = (Entry(name, (40 * i, 255 - 60 * i, 90), i + overlapping) for i, name in enumerate(names))
    return ClassTable(tuple(entries), overlapping=overlapping)


def utm(height: int, width: int) -> GeoReference:
    return GeoReference((PIXEL_M, 0.0, EAST, 0.0, -PIXEL_M, NORTH), UTM, height, width)


def predicted(
    mask_HW: npt.NDArray[np.integer],
    *,
    names: tuple[str, ...] = NAMES,
    reference: GeoReference | None = None,
    valid_HW: npt.NDArray[np.bool_] | None = None,
) -> Prediction:
    """Of a mask of indices, with 0.9 for the class of each pixel."""
    mask = mask_HW.astype(np.uint8)
    chosen = mask[None] == np.arange(len(names))[:, None, None]
    p = np.where(chosen, 0.9, 0.1 / (len(names) - 1)).astype(np.float32)
    pixels = np.full((*mask.shape, 3), 100, np.uint8)
    return Prediction(mask, p, pixels, table(names), Path("a.png"), reference, valid_HW)


def overlapping(p_KHW: npt.NDArray[np.float32]) -> Prediction:
    known = table(("a", "b/c", "Ä"), overlapping=True)
    mask = join_layers(p_KHW >= 0.5)
    return Prediction(mask, p_KHW, np.zeros((*mask.shape, 1), np.uint8), known)


def noise(seed: int, height: int, width: int, classes: int, roughness: int) -> npt.NDArray[np.uint8]:
    """Random blobs with holes and blobs in them; roughness 1 is salt and pepper."""
    heights = np.random.default_rng(seed).random((classes, height, width)).astype(np.float32)
    smooth = [cv2.blur(layer, (roughness, roughness)) for layer in heights]
    mask: npt.NDArray[np.uint8] = np.argmax(smooth, axis=0).astype(np.uint8)
    return mask


masks = st.builds(
    noise,
    st.integers(0, 2**32 - 1),
    st.integers(1, 40),
    st.integers(1, 40),
    st.sampled_from([2, 3]),
    st.sampled_from([1, 2, 3, 5]),
)
