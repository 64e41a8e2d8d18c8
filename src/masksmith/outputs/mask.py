"""The mask as an index PNG: class numbers for programs, a palette so that people see them."""

from __future__ import annotations

from masksmith import images
from masksmith.classes import U8, ClassTable
from masksmith.inference.prediction import Prediction


def encode(prediction: Prediction) -> bytes:
    """PNG with one 8-bit index a pixel and the class colours as its palette."""
    return encode_mask(prediction.mask_HW, prediction.table)


def encode_mask(mask_HW: U8, table: ClassTable) -> bytes:
    """The same for any mask of class indices."""
    return images.encode_png(mask_HW, table.palette_256)


def encode_picture(pixels_HWC: U8) -> bytes:
    """An 8-bit grey (H, W, 1) or RGB (H, W, 3) picture as PNG."""
    return images.encode_png(pixels_HWC)
