"""Read masks that are pictures: values, colours, a palette, or a band for each class.

Rule: nothing is decided here about what a value means.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from masksmith import images
from masksmith.errors import DataError
from masksmith.keys import join_layers, pack_pixels
from masksmith.labels.blur import is_lossy
from masksmith.labels.instances import NAMES, classes_of
from masksmith.labels.source import Grid, LabelSource, RawMask
from masksmith.limits import MAX_OVERLAPPING_CLASSES


def read(source: LabelSource, grid: Grid | None = None) -> RawMask:
    """A mask picture; see :func:`read_file`. The grid is not needed: it has its own."""
    del grid
    if source.overlapping:
        return read_layers(source.path)
    raw = read_file(source.path)
    if source.border_px == 0:
        return raw
    numbers = raw.values_HW if raw.values_HW is not None else pack_pixels(np.asarray(raw.colors_HW3))
    _require_exact(numbers[..., None], source.path)
    return RawMask(classes_of(numbers, source.border_px), names=NAMES)


def read_layers(path: Path) -> RawMask:
    """A mask with a band for each class, of which a pixel may have several.

    Raises:
        DataError: it cannot be read, has one band alone, too many, or more than two values in one.
    """
    picture = images.read(path)
    bands = picture.pixels_HWC.shape[2]
    if picture.indices_HW is not None or not 2 <= bands <= MAX_OVERLAPPING_CLASSES + 1:  # one may be ignored
        one = picture.indices_HW is not None or bands == 1
        raise DataError(
            where=path,
            expected=f"2 to {MAX_OVERLAPPING_CLASSES} bands, one for each of the classes that overlap",
            received="one value a pixel" if one else f"{bands} bands",
            remedy="leave --overlapping out, or save a band for each class (TIFF, NPY)",
        )
    whole = _whole_numbers(picture.pixels_HWC, path)
    on = whole != 0
    for band in range(bands):
        set_HW = whole[..., band][on[..., band]]
        if set_HW.size and set_HW.min() != set_HW.max():
            raise DataError(
                where=path,
                expected="0 and one other value in each of the bands",
                received=f"{len(np.unique(set_HW))} values beside 0 in band {band + 1}",
                remedy="save each class as a band of 0 and 255",
            )
    return RawMask(join_layers(np.moveaxis(on, 2, 0)), bands=bands, overlapping=True)


def read_file(path: Path) -> RawMask:
    """A mask with its channels told apart from colours: three equal channels are one grey one.

    Raises:
        DataError: it cannot be read, has fractions or negative values, or bands that overlap.
    """
    picture = images.read(path)
    pixels = picture.pixels_HWC
    if picture.indices_HW is not None:
        return RawMask(picture.indices_HW, pixels.astype(np.uint8, copy=False), from_palette=True)
    whole = _whole_numbers(pixels, path)
    channels = whole.shape[2]
    if channels == 1:
        values = whole[..., 0]
        colors = np.repeat(whole, 3, axis=2) if values.size == 0 or values.max() <= 255 else None
        return RawMask(values, colors)
    if channels != 3:
        return _bands(whole, path)
    if whole.size and whole.max() > 255:
        raise DataError(
            where=path,
            expected="mask colours of 8 bits a channel",
            received=f"the value {int(whole.max())}",
            remedy="save it as an 8-bit PNG",
        )
    is_grey = bool(np.array_equal(whole[..., 0], whole[..., 1]) and np.array_equal(whole[..., 0], whole[..., 2]))
    if not is_grey and int(whole.max()) == 1:  # zeros and ones in three bands are no colours
        return _bands(whole, path)
    return RawMask(whole[..., 0] if is_grey else None, whole)


def read_instances(source: LabelSource, grid: Grid) -> RawMask:
    """A folder of one mask a thing: 1 where any of them is set, 2 on the border between them.

    Raises:
        DataError: a file that cannot be read, of another size than the picture, or a single one of several things.
    """
    folder = source.path
    files = sorted(p for p in folder.iterdir() if images.is_picture(p)) if folder.is_dir() else list(source.files)
    numbers = np.zeros((grid.height, grid.width), np.int32)
    for number, path in enumerate(files, 1):
        picture = images.read(path)
        # With a palette the indices count, whatever colour stands for the first.
        pixels = picture.pixels_HWC if picture.indices_HW is None else picture.indices_HW[..., None]
        if pixels.shape[:2] != numbers.shape:
            raise DataError(
                where=path,
                expected=f"the size of its picture, {grid.width}×{grid.height} pixels",
                received=f"{pixels.shape[1]}×{pixels.shape[0]}",
                remedy=f"export the mask at the size of {grid.image.name}",
            )
        _require_exact(pixels, path)
        inside = (pixels != 0).any(axis=2)
        if not folder.is_dir() and len(np.unique(pixels[inside], axis=0)) > 1:  # alone beside its picture
            raise DataError(
                where=path,
                expected="one thing in a mask file, as beside the other pictures",
                received="several values besides 0",
                remedy="give each thing a file of its own, or each picture one mask",
            )
        numbers[inside] = number
    if source.overlapping:
        return RawMask((numbers != 0).astype(np.uint16), names=("object",), overlapping=True)
    return RawMask(classes_of(numbers, source.border_px), names=NAMES[: 3 if source.border_px else 2])


def _require_exact(pixels_HWC: npt.NDArray[Any], path: Path) -> None:
    """What compression leaves around a thing would be part of it, or a thing of its own."""
    if is_lossy(path) and (count := max(len(np.unique(band)) for band in np.moveaxis(pixels_HWC, 2, 0))) > 2:
        raise DataError(
            where=path,
            expected="exact numbers of things, 0 for the background",
            received=f"{count} values, as JPEG makes them around edges",
            remedy="save masks as PNG without smoothing",
        )


def _bands(whole_HWC: npt.NDArray[np.integer], path: Path) -> RawMask:
    """The number of the one band that is set, counted from 1; 0 where none is."""
    on = whole_HWC != 0
    most = int(on.sum(axis=2).max()) if on.size else 0
    if most > 1:
        share = float((on.sum(axis=2) > 1).mean())
        raise DataError(
            where=path,
            expected=f"one of {whole_HWC.shape[2]} bands set for each pixel",
            received=f"several in {100 * share:.1f} % of the pixels",
            remedy="let classes overlap with --overlapping, or save it as an index mask or as a colour mask",
        )
    values = np.where(on.any(axis=2), on.argmax(axis=2) + 1, 0).astype(np.uint16)
    return RawMask(values, None, bands=whole_HWC.shape[2])


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
