"""The mask laid over the picture: what a person looks at first."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from masksmith.classes import U8, ClassTable, Color, default_color
from masksmith.inference.prediction import Prediction
from masksmith.keys import Mask, split_layers
from masksmith.outputs.mask import encode_picture

# How much of the class colour is seen: enough to tell classes apart, little enough to see through.
_OPACITY = 0.45
# Pixels that are mixed at once: in floating point they take some twenty times the bytes of the picture.
_BAND_PIXELS = 2**20
# Percentiles that black and white stand for where a picture is no 8-bit one.
_STRETCH = (0.5, 99.5)


def encode(prediction: Prediction) -> bytes:
    """PNG of the picture with each class in its colour and a line around each region."""
    shown = show(prediction.pixels_HWC, prediction.valid_HW)
    return encode_picture(blend(shown, prediction.mask_HW, prediction.table))


def show(pixels_HWC: npt.NDArray[np.generic], valid_HW: npt.NDArray[np.bool_] | None = None) -> U8:
    """Any picture as 8-bit RGB (H, W, 3) to look at: its first three channels, or its first.

    8-bit pictures stay as they are; others are stretched between two percentiles of the valid pixels.
    """
    shown = pixels_HWC[..., :3] if pixels_HWC.shape[2] >= 3 else pixels_HWC[..., :1]
    if shown.dtype != np.uint8:
        with np.errstate(over="ignore"):  # nodata may be the lowest number there is; what overflows is cut
            values = np.nan_to_num(shown.astype(np.float32))
            # A nodata value of -9999 among them would leave nothing but white for what is there.
            counted = values if valid_HW is None or not valid_HW.any() else values[valid_HW]
            low, high = np.percentile(counted, _STRETCH)
            shown = np.clip((values - low) / max(float(high - low), 1e-9) * 255, 0, 255).astype(np.uint8)
    rgb: U8 = np.array(np.broadcast_to(shown, (*shown.shape[:2], 3)), np.uint8)
    return rgb


def tints(rgb_HW3: U8, table: ClassTable) -> list[Color]:
    """The colour that each class is shown in over this picture.

    That of the class table; but grey on a grey picture would not be seen, and gets a colour.
    """
    first, second, third = (rgb_HW3[..., c] for c in range(3))
    is_grey = bool(np.array_equal(first, second) and np.array_equal(second, third))
    return [
        default_color(index) if is_grey and index > 0 and len(set(entry.color)) == 1 else entry.color
        for index, entry in enumerate(table.classes)
    ]


def blend(rgb_HW3: U8, mask_HW: Mask, table: ClassTable) -> U8:
    """The picture tinted by class. A black background class is left clear, so that it shows."""
    colors = tints(rgb_HW3, table)
    draw = _blend_layers if table.overlapping else _blend_classes
    out: U8 = np.empty(rgb_HW3.shape, np.uint8)
    height, width = mask_HW.shape
    rows = max(1, _BAND_PIXELS // width)
    for top in range(0, height, rows):
        low = max(0, top - 1)  # lines depend on the rows beside them
        band = slice(low, top + rows + 1)
        out[top : top + rows] = draw(rgb_HW3[band], mask_HW[band], table, colors)[top - low :][:rows]
    return out


def _blend_classes(rgb_HW3: U8, mask_HW: Mask, table: ClassTable, seen: Sequence[Color]) -> U8:
    lookup = np.full((256, 3), 255, np.uint8)
    lookup[: len(table)] = seen
    colors = lookup[mask_HW]
    clear = np.zeros(256, bool)
    clear[0] = table.classes[0].color == (0, 0, 0)
    clear[len(table) :] = True
    tinted = ~clear[mask_HW]
    out: U8 = rgb_HW3.copy()
    mixed = rgb_HW3 * (1 - _OPACITY) + colors * _OPACITY
    out[tinted] = mixed[tinted].astype(np.uint8)
    # A region's border is where the mask changes to the right or below.
    edge: npt.NDArray[np.bool_] = cv2.morphologyEx(mask_HW, cv2.MORPH_GRADIENT, np.ones((2, 2), np.uint8)) > 0
    out[edge & tinted] = colors[edge & tinted]
    return out


def _blend_layers(rgb_HW3: U8, bits_HW: Mask, table: ClassTable, seen: Sequence[Color]) -> U8:
    """Each class over those before it, then the lines around all of them, so that none is hidden."""
    out = rgb_HW3.astype(np.float32)
    layers = list(zip(split_layers(bits_HW, len(table)), seen, strict=True))
    for layer_HW, color in layers:
        out[layer_HW] += (np.array(color, np.float32) - out[layer_HW]) * _OPACITY
    for layer_HW, color in layers:
        inner_HW = cv2.erode(layer_HW.view(np.uint8), np.ones((3, 3), np.uint8)) > 0
        out[layer_HW & ~inner_HW] = color
    blended: U8 = out.astype(np.uint8)
    return blended
