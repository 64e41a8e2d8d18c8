"""The mask as an index PNG: class numbers for programs, a palette so that people see them."""

from __future__ import annotations

import io

from PIL import Image

from masksmith.classes import U8, ClassTable
from masksmith.inference.prediction import Prediction


def encode(prediction: Prediction) -> bytes:
    """PNG with one 8-bit index a pixel and the class colours as its palette."""
    return encode_mask(prediction.mask_HW, prediction.table)


def encode_mask(mask_HW: U8, table: ClassTable) -> bytes:
    """The same for any mask of class indices."""
    image = Image.fromarray(mask_HW, mode="P") if mask_HW.ndim == 2 else None
    if image is None:
        raise ValueError(f"a mask has two axes, not {mask_HW.ndim}")
    palette = [255] * 768
    palette[: 3 * len(table)] = table.palette_K3.ravel().tolist()
    image.putpalette(palette)
    out = io.BytesIO()
    image.save(out, format="PNG", optimize=False)
    return out.getvalue()


def encode_picture(pixels_HWC: U8) -> bytes:
    """An 8-bit grey (H, W, 1) or RGB (H, W, 3) picture as PNG."""
    image = Image.fromarray(pixels_HWC[..., 0] if pixels_HWC.shape[2] == 1 else pixels_HWC)
    out = io.BytesIO()
    image.save(out, format="PNG")
    return out.getvalue()
