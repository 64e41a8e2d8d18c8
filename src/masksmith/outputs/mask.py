"""The mask as an index PNG: class numbers for programs, a palette so that people see them.

Rule: classes that overlap have a file each, since one number a pixel cannot name several.
"""

from __future__ import annotations

import re
from collections.abc import Collection

import numpy as np

from masksmith import images
from masksmith.classes import U8, ClassTable
from masksmith.inference.prediction import Prediction

# Longer names of classes are cut in names of files, of which most disks allow 255 bytes.
_MOST_LETTERS = 40


def encode(prediction: Prediction) -> bytes:
    """PNG with one 8-bit index a pixel and the class colours as its palette.

    Of classes that overlap one with 16 bits a pixel, bit k for class k; see :func:`encode_layers`.
    """
    if prediction.table.overlapping:
        return images.encode_png(prediction.mask_HW)
    return encode_mask(np.asarray(prediction.mask_HW, np.uint8), prediction.table)


def encode_color(prediction: Prediction) -> bytes:
    """RGB PNG in the class colours, as a picture to show; the colours of classes that overlap are mixed."""
    return encode_picture(prediction.color_HW3)


def encode_layers(prediction: Prediction, taken: Collection[str]) -> dict[str, bytes]:
    """A PNG of 0 and 255 for each class, by the ending of its name."""
    layers = zip(endings(prediction.table, taken), prediction.layers_KHW, strict=True)
    return {ending: images.encode_png(layer_HW.astype(np.uint8) * 255) for ending, layer_HW in layers}


def endings(table: ClassTable, taken: Collection[str]) -> list[str]:
    """The class names as they end names of files: safe on every disk, each once, none that is taken."""
    found: list[str] = []
    for index, name in enumerate(table.names):
        safe = re.sub(r"[^\w-]+", "_", name).strip("_")[:_MOST_LETTERS] or "class"
        known = {*taken, *(other.casefold() for other in found)}
        found.append(safe if safe.casefold() not in known else f"{safe}_{index}")
    return [f"{ending}.png" for ending in found]


def encode_mask(mask_HW: U8, table: ClassTable) -> bytes:
    """The same for any mask of class indices."""
    return images.encode_png(mask_HW, table.palette_256)


def encode_picture(pixels_HWC: U8) -> bytes:
    """An 8-bit grey (H, W, 1) or RGB (H, W, 3) picture as PNG."""
    return images.encode_png(pixels_HWC)
