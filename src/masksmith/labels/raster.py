"""One mask picture: its values, its colours, and which of them occur how often."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from masksmith import images
from masksmith.classes import U8, ClassTable, pack, pack_pixels
from masksmith.errors import DataError

Counts = dict[int, int]


@dataclass(frozen=True)
class RawMask:
    """A mask as stored. A grey one has values, a colour one has colours, a palette one has both."""

    values_HW: npt.NDArray[np.integer] | None
    colors_HW3: npt.NDArray[np.integer] | None
    from_palette: bool = False


@dataclass(frozen=True)
class MaskScan:
    """What one mask file holds: pixel counts by value and by packed colour.

    ``values`` is None for a true colour mask, ``colors`` for one with values above 255.
    """

    path: Path
    values: Counts | None
    colors: Counts | None
    from_palette: bool
    palette: dict[int, int]
    """The packed colour of each palette index that occurs."""


def read_raw(path: Path) -> RawMask:
    """A mask with its channels told apart from colours: three equal channels are one grey one.

    Raises:
        DataError: it cannot be read, or has fractions, negative values, or a strange channel count.
    """
    picture = images.read(path)
    pixels = picture.pixels_HWC
    if picture.indices_HW is not None:
        return RawMask(picture.indices_HW, pixels.astype(np.uint8, copy=False), from_palette=True)
    whole = _whole_numbers(pixels, path)
    channels = whole.shape[2]
    if channels == 2:  # grey with transparency
        channels, whole = 1, whole[..., :1]
    if channels == 1:
        values = whole[..., 0]
        colors = np.repeat(whole, 3, axis=2) if values.size == 0 or values.max() <= 255 else None
        return RawMask(values, colors)
    if channels not in (3, 4):
        raise DataError(
            where=path,
            expected="a mask of 1, 3 or 4 channels",
            received=f"{channels} channels",
            remedy="save it as an index or a colour mask",
        )
    rgb = whole[..., :3]
    if rgb.size and rgb.max() > 255:
        raise DataError(
            where=path,
            expected="mask colours of 8 bits a channel",
            received=f"the value {int(rgb.max())}",
            remedy="save it as an 8-bit PNG",
        )
    is_grey = bool(np.array_equal(rgb[..., 0], rgb[..., 1]) and np.array_equal(rgb[..., 0], rgb[..., 2]))
    return RawMask(rgb[..., 0] if is_grey else None, rgb)


def _whole_numbers(pixels: npt.NDArray[Any], path: Path) -> npt.NDArray[np.integer]:
    if np.issubdtype(pixels.dtype, np.integer):
        whole = pixels.astype(np.int64) if pixels.dtype.kind == "i" else pixels
    else:
        whole = np.nan_to_num(pixels.astype(np.float64), nan=-1.0, posinf=-1.0, neginf=-1.0).astype(np.int64)
        if not np.array_equal(whole, pixels):
            raise DataError(
                where=path,
                expected="whole numbers in a mask",
                received="fractions or not-a-number",
                remedy="save class indices as 8-bit PNG",
            )
    if whole.size and (int(whole.min()) < 0 or int(whole.max()) > 65535):
        raise DataError(
            where=path,
            expected="mask values from 0 to 65535",
            received=f"{int(whole.min())} to {int(whole.max())}",
            remedy="save class indices as 8-bit PNG",
        )
    return whole


def read_mask(path: Path, table: ClassTable) -> U8:
    """Class indices (H, W) uint8 with 255 for ignored.

    Raises:
        DataError: it cannot be read, or holds what no class has.
    """
    raw = read_raw(path)
    pixels = raw.values_HW if table.encoding == "value" else raw.colors_HW3
    if pixels is None:
        raise DataError(
            where=path,
            expected="index values as in the other masks"
            if table.encoding == "value"
            else "8-bit colours as in the other masks",
            received="a colour mask" if table.encoding == "value" else "values above 255",
            remedy="save all masks in one way",
        )
    return table.encode(pixels, path)


def scan(path: Path) -> MaskScan:
    """Count the values and colours of one mask file; errors as in :func:`read_raw`."""
    raw = read_raw(path)
    values = None if raw.values_HW is None else _count(raw.values_HW)
    colors: Counts | None = None
    palette: dict[int, int] = {}
    if raw.from_palette and raw.values_HW is not None and raw.colors_HW3 is not None:
        colors = {}
        for value, count in (values or {}).items():
            y, x = np.argwhere(raw.values_HW == value)[0]
            palette[value] = pack([int(c) for c in raw.colors_HW3[y, x]])
            colors[palette[value]] = colors.get(palette[value], 0) + count
    elif values is not None:
        if raw.colors_HW3 is not None:
            colors = {pack((v, v, v)): n for v, n in values.items()}
    elif raw.colors_HW3 is not None:
        colors = _count(pack_pixels(raw.colors_HW3))
    return MaskScan(path, values, colors, raw.from_palette, palette)


def _count(keys: npt.NDArray[np.integer]) -> Counts:
    counts = np.bincount(keys.ravel())
    return {int(k): int(counts[k]) for k in np.flatnonzero(counts)}
