"""Parts of a TIFF: only the strips and tiles that a window touches are read and decoded.

Rule: the result equals the same part of the whole picture; where that cannot be promised the
answer is None and the caller reads the whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile

from masksmith.images.picture import Window
from masksmith.limits import MAX_PICTURE_PIXELS

Array = npt.NDArray[Any]


def read(series: tifffile.TiffPageSeries, axes: str, window: Window) -> Array | None:
    """The pixels (height, width, channels) of ``window``, in the picture as stored.

    Args:
        series: the picture's pages.
        axes: what the axes of the series are, one letter each, with Y and X.
        window: rows and columns as stored, before any turning.

    Returns:
        None where the pages are no planes of rows and columns, or only decode at once.
    """
    key = series.keyframe
    if not _planes_are_pages(series, axes):
        return None
    if not key.is_final and _rows(key) * _columns(key) > MAX_PICTURE_PIXELS:
        return None
    if series.dataoffset is not None:
        whole = np.memmap(
            key.parent.filehandle.path,
            dtype=np.dtype(key.parent.byteorder + series.dtype.char),
            mode="r",
            offset=series.dataoffset,
            shape=(_count(series), *key.shaped),
        )
        planes = np.array(_cut(whole[:, :, 0], window))
    elif any(page is not None and page.parent is not series.parent for page in series.pages):
        return None  # OME in several files: tifffile opens and closes the others
    else:
        planes = np.stack([_page(page, key, window) for page in series.pages])
    # (pages, separate samples, rows, columns, interleaved samples) -> rows, columns, all channels.
    array = np.moveaxis(planes, (2, 3), (0, 1))
    return array.reshape(window.height, window.width, -1)


def _planes_are_pages(series: tifffile.TiffPageSeries, axes: str) -> bool:
    """Whether the series is its pages one behind the other, each with its rows and columns."""
    key = series.keyframe
    if series.transform is not None or key.imagedepth != 1 or key.jpegheader is not None:
        return False
    if key.parent is not series.parent:  # OME in several files
        return False
    sizes = [int(n) for n in key.shape]
    y = axes.index("Y") - (len(axes) - len(sizes))
    in_page = 0 <= y < len(sizes) - 1 and axes.index("X") == axes.index("Y") + 1
    return (
        in_page
        and list(series.shape[len(axes) - len(sizes) :]) == sizes
        and (key.axes[y], key.axes[y + 1]) == ("Y", "X")
        and (series.dataoffset is not None or len(series.pages) == _count(series))
    )


def _count(series: tifffile.TiffPageSeries) -> int:
    return int(np.prod(series.shape, dtype=int)) // int(np.prod(series.keyframe.shape, dtype=int))


def _cut(planes: Array, window: Window) -> Array:
    y, x, height, width = window
    return planes[..., y : y + height, x : x + width, :]


def _page(page: tifffile.TiffPage | tifffile.TiffFrame | None, key: tifffile.TiffPage, window: Window) -> Array:
    """One page's part, (separate samples, rows, columns, interleaved samples)."""
    samples, _, _, _, interleaved = key.shaped
    # What tifffile puts where a file of several parts has no page, or a sparse file no tile.
    out = np.full((samples, window.height, window.width, interleaved), key.nodata, key.dtype)
    if page is None:
        return out
    indices = list(_touched(key, window))
    options: dict[str, Any] = {}
    if key.compression in {6, 7, 34892, 33007}:  # JPEG keeps its tables beside its segments
        options = {"jpegtables": page.jpegtables, "jpegheader": key.jpegheader}
    raw = key.parent.filehandle.read_segments(
        [page.dataoffsets[i] for i in indices], [page.databytecounts[i] for i in indices], indices
    )
    for data, index in raw:
        segment, (sample, _, top, left, _), _ = key.decode(data, index, **options)
        if segment is not None:
            # Tiles at the border are padded beyond the picture.
            inside = segment[0, : key.imagelength - top, : key.imagewidth - left]
            _paste(out[sample], inside, top - window.y, left - window.x)
    return out


def _rows(key: tifffile.TiffPage) -> int:
    # One strip may be declared longer than the picture.
    return int(key.tilelength if key.is_tiled else min(key.rowsperstrip, key.imagelength))


def _columns(key: tifffile.TiffPage) -> int:
    return int(key.tilewidth if key.is_tiled else key.imagewidth)


def _touched(key: tifffile.TiffPage, window: Window) -> Iterator[int]:
    """The numbers of the strips or tiles that a window touches, in every plane of samples."""
    rows, columns = _rows(key), _columns(key)
    down, across = -(-key.imagelength // rows), -(-key.imagewidth // columns)
    for sample in range(key.shaped[0]):
        for i in range(window.y // rows, -(-(window.y + window.height) // rows)):
            for j in range(window.x // columns, -(-(window.x + window.width) // columns)):
                yield (sample * down + i) * across + j


def _paste(out: Array, segment: Array, top: int, left: int) -> None:
    """Copy what lies inside; ``top`` and ``left`` may be negative."""
    bottom, right = min(top + segment.shape[0], out.shape[0]), min(left + segment.shape[1], out.shape[1])
    y, x = max(top, 0), max(left, 0)
    if bottom > y and right > x:
        out[y:bottom, x:right] = segment[y - top : bottom - top, x - left : right - left]
