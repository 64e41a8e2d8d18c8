"""TIFF by tifffile: 1 to N channels, any common dtype, compression and arrangement.

A file of several pages is one picture if its pages are channels: they are called so (OME,
ImageJ), or they are 2 to 16 alike pages of one sample each that nothing calls depth or time. Any
other stack is refused in one sentence, because which of its planes was meant cannot be known here.
"""

from __future__ import annotations

import logging
import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile

from masksmith.errors import DataError
from masksmith.images import inks, segments
from masksmith.images.picture import (
    DTYPES,
    TURNED,
    Header,
    Picture,
    Pixels,
    Window,
    as_read,
    check_spare,
    stored_window,
    upright,
    valid_pixels,
)
from masksmith.limits import MAX_PICTURE_PIXELS

# tifffile logs about odd tags; what stops the reading is said in our one sentence.
logging.getLogger("tifffile").addHandler(logging.NullHandler())

# Pages that nothing names are channels up to this many: satellites have 13 bands, slide stainings fewer.
_MOST_PAGES = 16
# Values of the ExtraSamples tag that mean transparency (TIFF 6.0, page 31).
_ALPHA = {1, 2}
_GDAL_NODATA = 42113
# StripByteCounts, TileByteCounts and JPEGInterchangeFormatLength; without them tifffile guesses.
_BYTE_COUNTS = (279, 325, 514)
# A few bytes can promise pixels of which all are left out; so many are still what somebody may have saved.
_MOST_EMPTY_PIXELS = 2**26


@dataclass(frozen=True)
class _Source:
    """The one picture of an open file: its pages, and the order of its axes with Y and X."""

    series: tifffile.TiffPageSeries
    page: tifffile.TiffPage
    axes: str
    orientation: int
    alpha: bool

    @property
    def height_width(self) -> tuple[int, int]:
        """Height and width, upright."""
        height, width = (int(self.series.shape[self.axes.index(axis)]) for axis in "YX")
        return (width, height) if self.orientation in TURNED else (height, width)

    @property
    def is_palette(self) -> bool:
        return bool(self.page.photometric == tifffile.PHOTOMETRIC.PALETTE) and self.page.colormap is not None


def read_header(path: Path) -> Header:
    """Size, channels and dtype, upright."""
    with tifffile.TiffFile(path) as file:
        source = _source(file, path)
        dtype = "uint8" if source.series.dtype == np.bool_ else str(source.series.dtype)  # as read() gives it
        if source.is_palette and dtype == "uint8":
            return Header(*source.height_width, 3, dtype)
        sizes = [n for axis, n in zip(source.axes, source.series.shape, strict=True) if axis not in "YX"]
        channels = int(np.prod(sizes, dtype=int)) - source.alpha
        if inks.is_cmyk(source.page, channels):
            return Header(*source.height_width, 3, dtype)
        return Header(*source.height_width, channels, dtype, source.alpha)


def read(path: Path) -> Picture:
    """All pixels, upright; tifffile raises whatever it raises about broken files."""
    with tifffile.TiffFile(path) as file:
        source = _source(file, path)
        return _finished(_channels_last(_stored(source.series), source.axes), source, path)


def read_window(path: Path, window: Window) -> Picture:
    """A part of the picture; only the strips or tiles that it touches are decoded."""
    with tifffile.TiffFile(path) as file:
        source = _source(file, path)
        height, width = source.height_width
        stored = stored_window(window, source.orientation, height, width)
        array = segments.read(source.series, source.axes, stored)
        if array is not None:
            return _finished(array, source, path)
        if height * width > MAX_PICTURE_PIXELS:
            raise DataError(
                where=path,
                expected="a large picture in tiles or strips",
                received=f"{width}×{height} pixels that can only be decoded at once",
                remedy="save it as a tiled TIFF, or cut it into parts",
            )
        return _finished(_channels_last(_stored(source.series), source.axes), source, path).crop(window)


def _stored(series: tifffile.TiffPageSeries) -> npt.NDArray[Any]:
    """All samples; tifffile gives those that there are where the file says that there are more."""
    array = series.asarray()
    if array.shape != series.shape:
        raise ValueError(f"samples of shape {array.shape} in place of {series.shape}")
    return array


def _channels_last(array: npt.NDArray[Any], axes: str) -> npt.NDArray[Any]:
    rest = [axis for axis in axes if axis not in "YX"]
    array = np.transpose(array, [axes.index(axis) for axis in ("Y", "X", *rest)])
    return array.reshape(*array.shape[:2], -1)


def _finished(array_HWC: npt.NDArray[Any], source: _Source, path: Path) -> Picture:
    """From samples as stored to a picture: upright, transparency apart, with what is valid."""
    array: Pixels = upright(array_HWC, source.orientation)
    opaque = alpha = None
    if source.alpha:
        alpha, array = array[..., -1], array[..., :-1]
        opaque = np.asarray(alpha > 0)  # type: ignore[operator]
    valid = valid_pixels(array, nodata=_nodata(source.page, array.dtype), opaque_HW=opaque)
    if inks.is_cmyk(source.page, array.shape[2]):
        array, alpha = inks.to_rgb(array), None
    if source.is_palette and array.dtype in (np.uint8, np.bool_):
        # A palette of fewer bits is filled up: what follows looks up 8-bit indices.
        palette = np.zeros((256, 3), np.uint8)
        stored = np.asarray(source.page.colormap).T[:256]
        # Some programs write 0 to 255 in place of 0 to 65535.
        palette[: len(stored)] = stored >> 8 if stored.max(initial=0) > 255 else stored
        indices = np.ascontiguousarray(array[..., 0]).astype(np.uint8)
        return Picture(palette[indices], indices, palette, valid)
    if source.page.photometric == tifffile.PHOTOMETRIC.MINISWHITE and array.dtype.kind in "bu":
        bits = source.page.bitspersample
        top = array.dtype.type(2**bits - 1) if array.dtype.kind == "u" else np.True_
        array = np.bitwise_xor(array, top)
    return Picture(as_read(array, path), valid_HW=valid, alpha_HW=None if alpha is None else as_read(alpha, path))


def _nodata(page: tifffile.TiffPage, dtype: np.dtype[Any]) -> float | None:
    """The value of GDAL's nodata tag, None if there is none or no pixel can have it."""
    tag = page.tags.get(_GDAL_NODATA)
    try:
        value = float(str(tag.value).strip().rstrip("\0").replace(",", ".")) if tag is not None else None
    except ValueError:
        return None
    if value is None or dtype.kind == "f":
        return value
    if dtype.kind not in "iu" or not value.is_integer():
        return None
    limits = np.iinfo(dtype)
    return value if limits.min <= value <= limits.max else None


def _check_chain(file: tifffile.TiffFile) -> None:
    """Raise for pages that lead back to an earlier one but the first: tifffile would go round for ever."""
    form, handle, at = file.tiff, file.filehandle, file.pages.first.offset
    first, seen = at, set[int]()
    while at and at not in seen:
        seen.add(at)
        handle.seek(at)
        count = handle.read(form.tagnosize)
        if len(count) < form.tagnosize:
            return
        handle.seek(at + form.tagnosize + form.tagsize * struct.unpack(form.tagnoformat, count)[0])
        following = handle.read(form.offsetsize)
        if len(following) < form.offsetsize:
            return
        at = struct.unpack(form.offsetformat, following)[0]
    if at and at != first:
        raise ValueError("its pages lead back to an earlier one")


def _source(file: tifffile.TiffFile, path: Path) -> _Source:
    _check_chain(file)
    # Smaller copies and transparency masks of the same picture stand in a file as further series.
    pictures = [s for s in file.series if not (s.keyframe.is_reduced or s.keyframe.is_mask)] or file.series[:1]
    if len(pictures) > 1:
        raise DataError(
            where=path,
            expected="one picture in the file",
            received=f"{len(pictures)} of them",
            remedy="save each as a file of its own",
        )
    series = pictures[0]
    page = series.keyframe
    axes = _named_axes(series, path)
    if str(series.dtype) not in DTYPES:
        raise DataError(
            where=path,
            expected="whole numbers of 8 to 32 bits or floats of 16 to 64",
            received=str(series.dtype),
            remedy="convert it to 16-bit or 32-bit float TIFF",
        )
    alpha = any(int(e) in _ALPHA for e in page.extrasamples[-1:])
    inks.check(page, page.samplesperpixel - alpha, path)
    _check_tiles(series, path)
    _check_segments(page)
    _check_packed(series)
    tag = page.tags.get("Orientation")
    return _Source(series, page, axes, int(tag.value) if tag is not None else 1, alpha)


def _check_tiles(series: tifffile.TiffPageSeries, path: Path) -> None:
    """Refuse tiles that hold far more than the picture; thousands may share the same few bytes of the file."""
    page, picture = series.keyframe, math.prod(series.shape) * series.dtype.itemsize
    if not page.is_tiled or not picture:
        return  # strips end with the picture
    pages = max(1, math.prod(series.shape) // math.prod(page.shape))
    tiles = pages * math.prod(page.chunked) * math.prod(page.chunks) * series.dtype.itemsize
    check_spare("tiles", tiles, picture, path)


def _check_segments(page: tifffile.TiffPage) -> None:
    """Raise for strips or tiles that cannot make up the picture; tifffile leaves out those that are not there."""
    if page.is_tiled and page.tilelength * page.tilewidth > MAX_PICTURE_PIXELS:
        raise ValueError(f"a tile of {page.tilewidth}×{page.tilelength} pixels")
    if page.is_contiguous:
        if page.dataoffsets[0] + page.nbytes > page.parent.filehandle.size:
            raise ValueError(f"{page.nbytes:,} bytes of pixels in a file of {page.parent.filehandle.size:,}")
        return
    wanted, found = math.prod(page.chunked), len(page.dataoffsets)
    if found < wanted and page.jpegheader is None:
        raise ValueError(f"{found} strips or tiles of {wanted}")
    pixels, stored = math.prod(page.shape), sum(page.databytecounts)
    if not stored and pixels > _MOST_EMPTY_PIXELS:
        raise ValueError(f"no bytes for {pixels:,} pixels")
    # GDAL leaves out tiles and strips in which nothing is.
    if page.compression == tifffile.COMPRESSION.NONE and all(page.databytecounts):
        least = pixels * page.bitspersample // 8
        if min(stored, page.parent.filehandle.size) < least:
            raise ValueError(f"{stored:,} bytes of pixels in place of {least:,}")


def _check_packed(series: tifffile.TiffPageSeries) -> None:
    """Raise for packed strips or tiles that the end of the file cuts off; JPEG would fill them up with grey."""
    key = series.keyframe
    # What is missing of plain ones is noticed, and the sizes of some are rounded up.
    if key.compression == tifffile.COMPRESSION.NONE or not any(code in key.tags for code in _BYTE_COUNTS):
        return
    for page in series:
        if page is None:
            continue
        size = page.parent.filehandle.size
        if any(at and n and at + n > size for at, n in zip(page.dataoffsets, page.databytecounts, strict=False)):
            raise ValueError(f"strips or tiles behind the end of a file of {size:,} bytes")


def _named_axes(series: tifffile.TiffPageSeries, path: Path) -> str:
    """The axes, those that are channels named C or S; see the first lines of this module."""
    axes, shape = str(series.axes), series.shape
    stacked = [axis for axis in axes if axis not in "YXSC" and shape[axes.index(axis)] > 1]
    if {"Y", "X"} <= set(axes) and not stacked:
        return axes
    if {"Y", "X"} <= set(axes) and len(stacked) == 1 and stacked[0] in "QI":
        if _rows_as_pages(series):
            return "YXC"
        alone = all(n == 1 for axis, n in zip(axes, shape, strict=True) if axis in "SC")
        palette = series.keyframe.photometric == tifffile.PHOTOMETRIC.PALETTE
        if alone and not palette and shape[axes.index(stacked[0])] <= _MOST_PAGES:
            return axes.replace(stacked[0], "C")
    raise _stack(path, shape, axes)


def _rows_as_pages(series: tifffile.TiffPageSeries) -> bool:
    """Whether an array (H, W, C) was written by tifffile without a word about its channels.

    Each row of the picture is a page then, as narrow as there are channels.
    """
    return bool(series.kind == "shaped" and series.axes == "QYX" and series.shape[2] <= _MOST_PAGES < series.shape[0])


def _stack(path: Path, shape: Sequence[int], axes: str) -> DataError:
    return DataError(
        where=path,
        expected="one picture in the file",
        received=f"a stack of shape {'×'.join(map(str, shape))} (axes {axes})",
        remedy="save each plane as a file of its own",
    )
