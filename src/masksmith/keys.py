"""What a pixel of a mask holds, as one number: a colour, or a bit for each class that may overlap.

Rule: arithmetic alone; what a number stands for is in the class table.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from masksmith.limits import MAX_OVERLAPPING_CLASSES

IGNORE = 255
"""The class index of pixels that count neither in the loss nor in a metric."""

IGNORED_BIT = 1 << MAX_OVERLAPPING_CLASSES
"""The same in masks of classes that overlap, above the bits of the classes."""

U8 = npt.NDArray[np.uint8]
U16 = npt.NDArray[np.uint16]
Mask = U8 | U16
"""Class indices (8 bits), or for classes that overlap a bit for each (16 bits)."""
Color = tuple[int, int, int]

# Colours for classes that come without: dark for the background, then far apart for the eye
# (Okabe and Ito 2008, safe for colour-blind readers; after them the golden angle of the hue).
_OKABE_ITO: tuple[Color, ...] = (
    (0, 0, 0),
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
    (204, 121, 167),
)


def ignored_value(mask_HW: Mask) -> int:
    """What an ignored pixel of such a mask holds."""
    return IGNORE if mask_HW.dtype == np.uint8 else IGNORED_BIT


def is_ignored(mask_HW: Mask) -> npt.NDArray[np.bool_]:
    """Where a mask does not count."""
    found: npt.NDArray[np.bool_] = mask_HW == IGNORE if mask_HW.dtype == np.uint8 else (mask_HW & IGNORED_BIT) != 0
    return found


def as_mask(values_HW: npt.NDArray[np.generic], like: Mask) -> Mask:
    """Values of any dtype as a mask of the same kind as another."""
    if like.dtype == np.uint8:
        return values_HW.astype(np.uint8, copy=False)
    return values_HW.astype(np.uint16, copy=False)


def set_bits(bits: int) -> list[int]:
    """The numbers of the bits that are set, lowest first.

    >>> set_bits(0b101)
    [0, 2]
    """
    return [k for k in range(bits.bit_length()) if bits >> k & 1]


def join_layers(layers_KHW: npt.NDArray[np.bool_]) -> U16:
    """One number a pixel from a layer for each class."""
    bits_HW = np.zeros(layers_KHW.shape[1:], np.uint16)
    for k, layer_HW in enumerate(layers_KHW):
        bits_HW |= layer_HW.astype(np.uint16) << np.uint16(k)
    return bits_HW


def split_layers(bits_HW: npt.NDArray[np.integer], count: int) -> npt.NDArray[np.bool_]:
    """The inverse of :func:`join_layers`: bool (count, H, W)."""
    return np.stack([(bits_HW >> k & 1).astype(np.bool_) for k in range(count)])


def pack(color: Sequence[int]) -> int:
    """(r, g, b) as one number."""
    r, g, b = color
    return (r << 16) | (g << 8) | b


def unpack(key: int) -> Color:
    """The inverse of :func:`pack`."""
    return (key >> 16) & 255, (key >> 8) & 255, key & 255


def pack_pixels(rgb_HW3: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
    """:func:`pack` for each pixel: (H, W, 3) -> int64 (H, W)."""
    channels = rgb_HW3.astype(np.int64)
    packed: npt.NDArray[np.int64] = (channels[..., 0] << 16) | (channels[..., 1] << 8) | channels[..., 2]
    return packed


def unique_keys(keys: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The sorted distinct keys, by counting where the range allows, which sorts nothing."""
    if keys.size and keys.min() >= 0 and keys.max() < 1 << 24:
        return np.flatnonzero(np.bincount(keys.ravel())).astype(np.int64)
    return np.unique(keys)


def color_code(color: Color) -> str:
    """A colour as #rrggbb."""
    return f"#{pack(color):06x}"


def parse_color(text: str) -> Color | None:
    """The colour that "r,g,b" or "#rrggbb" writes, or None."""
    if text.startswith("#") and len(text) == 7:
        try:
            return unpack(int(text[1:], 16))
        except ValueError:
            return None
    parts = text.replace(" ", "").split(",")
    if len(parts) == 3 and all(p.isdigit() and int(p) < 256 for p in parts):
        return int(parts[0]), int(parts[1]), int(parts[2])
    return None


def default_color(index: int) -> Color:
    """A colour for class ``index``, well apart from its neighbours."""
    if index < len(_OKABE_ITO):
        return _OKABE_ITO[index]
    import colorsys

    r, g, b = colorsys.hsv_to_rgb((index * 0.618034) % 1.0, 0.55 + 0.35 * (index % 2), 0.95 - 0.2 * (index % 3))
    return round(255 * r), round(255 * g), round(255 * b)
