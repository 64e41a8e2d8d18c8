"""A picture whose channels are files of their own (``a_0000.png``, ``a_0001.png``, as nnU-Net has them)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from pathlib import Path

import numpy as np

from masksmith.errors import DataError
from masksmith.images.picture import Header, Picture
from masksmith.images.reading import read, read_header
from masksmith.limits import MAX_CHANNELS


def read_channels(paths: Sequence[Path]) -> Picture:
    """One picture of the channels of all files, in their order; one file is read as it is.

    A pixel is valid where it is in every file.

    Raises:
        DataError: a file cannot be read, or has another size or dtype than the first.
    """
    read_channels_header(paths)
    if len(paths) == 1:
        return read(paths[0])
    pictures = [read(path) for path in paths]
    valid = [p.valid_HW for p in pictures if p.valid_HW is not None]
    pixels = np.concatenate([p.pixels_HWC for p in pictures], axis=2)
    return Picture(pixels, valid_HW=reduce(np.logical_and, valid) if valid else None)


def read_channels_header(paths: Sequence[Path]) -> Header:
    """Size, channels and dtype of the picture of all files; errors as in :func:`read_channels`."""
    if not paths:
        raise ValueError("a picture needs one file or more")
    headers = [read_header(path) for path in paths]
    if len(paths) == 1:
        return headers[0]
    first = headers[0]
    for path, header in zip(paths[1:], headers[1:], strict=True):
        if (header.height, header.width, header.dtype) != (first.height, first.width, first.dtype):
            raise DataError(
                where=path,
                expected=f"{first.width}×{first.height} pixels of {first.dtype}, as in {paths[0].name}",
                received=f"{header.width}×{header.height} pixels of {header.dtype}",
                remedy="export all channels of a picture alike",
            )
    channels = sum(header.channels for header in headers)
    if channels > MAX_CHANNELS:
        raise DataError(
            where=paths[0],
            expected=f"at most {MAX_CHANNELS} channels",
            received=f"{channels} in {len(paths)} files",
            remedy="leave some out",
        )
    return Header(first.height, first.width, channels, first.dtype)
