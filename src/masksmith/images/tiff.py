"""TIFF by tifffile: 1 to N channels, any common dtype, planar or interleaved.

A file that holds several pictures (a stack) is refused in one sentence, because which of them was
meant cannot be known from here.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tifffile

from masksmith.errors import DataError
from masksmith.images.picture import TURNED, Header, Picture, upright

# What a convolution can be fed; 64-bit integers and complex numbers are not pictures.
_DTYPES = {"bool", "uint8", "uint16", "int16", "int8", "uint32", "int32", "float16", "float32", "float64"}
# Values of the ExtraSamples tag that mean transparency (TIFF 6.0, page 31).
_ALPHA = {1, 2}


def read_header(path: Path) -> Header:
    """Size, channels and dtype, upright."""
    with tifffile.TiffFile(path) as file:
        series = _series(file, path)
        order, shape = series.axes, series.shape
        sizes = dict(zip(order, shape, strict=True))
        height, width = sizes["Y"], sizes["X"]
        if _orientation(file) in TURNED:
            height, width = width, height
        palette = file.pages.first.photometric == tifffile.PHOTOMETRIC.PALETTE
        channels = 3 if palette else int(np.prod([n for axis, n in sizes.items() if axis not in "YX"], dtype=int))
        dtype = "uint8" if series.dtype == np.bool_ else str(series.dtype)  # as read() gives it
        return Header(height, width, channels - _alpha_channels(file), dtype)


def read(path: Path) -> Picture:
    """All pixels, upright; tifffile raises whatever it raises about broken files."""
    with tifffile.TiffFile(path) as file:
        series = _series(file, path)
        if str(series.dtype) not in _DTYPES:
            raise DataError(
                where=path,
                expected="whole numbers or floats of 8 to 64 bits",
                received=str(series.dtype),
                remedy="convert it to 16-bit or 32-bit float TIFF",
            )
        array = series.asarray()
        rest = [axis for axis in series.axes if axis not in "YX"]
        array = np.transpose(array, [series.axes.index(axis) for axis in ("Y", "X", *rest)])
        array = array.reshape(*array.shape[:2], -1)
        array = upright(array, _orientation(file))
        page = file.pages.first
        array = array[..., : array.shape[2] - _alpha_channels(file)]
        if page.photometric == tifffile.PHOTOMETRIC.MINISWHITE and array.dtype in (np.uint8, np.bool_):
            array = np.invert(array)
        if page.photometric == tifffile.PHOTOMETRIC.PALETTE and page.colormap is not None and array.dtype == np.uint8:
            palette = (page.colormap.T >> 8).astype(np.uint8)
            indices = array[..., 0].astype(np.uint8, copy=False)
            return Picture(palette[indices], indices, palette)
    if array.dtype == np.bool_:
        array = array.astype(np.uint8) * 255
    return Picture(np.ascontiguousarray(array).astype(array.dtype.newbyteorder("="), copy=False))


def _series(file: tifffile.TiffFile, path: Path) -> tifffile.TiffPageSeries:
    # Smaller copies and transparency masks of the same picture stand in a file as further series.
    pictures = [s for s in file.series if not (s.keyframe.is_reduced or s.keyframe.is_mask)] or file.series[:1]
    series = pictures[0]
    axes = series.axes
    if len(pictures) > 1:
        raise DataError(
            where=path,
            expected="one picture in the file",
            received=f"{len(pictures)} of them",
            remedy="save each as a file of its own",
        )
    # S and C are channels; Q and I are pages of one file, taken for channels when they are few
    # planes of one picture in a single-page file, and otherwise for a stack.
    stacked = [axis for axis in axes if axis not in "YXSC" and series.shape[axes.index(axis)] > 1]
    if stacked or not {"Y", "X"} <= set(axes):
        raise DataError(
            where=path,
            expected="one picture in the file",
            received=f"a stack of shape {'×'.join(map(str, series.shape))} (axes {axes})",
            remedy="save each plane as a file of its own",
        )
    return series


def _orientation(file: tifffile.TiffFile) -> int:
    tag = file.pages.first.tags.get("Orientation")
    return int(tag.value) if tag is not None else 1


def _alpha_channels(file: tifffile.TiffFile) -> int:
    """Transparency is no measured channel; it stands last."""
    return 1 if any(int(e) in _ALPHA for e in file.pages.first.extrasamples[-1:]) else 0
