"""NIfTI: one slice. Its first axis runs along a row of the picture, the second down.

That is how ITK writes a picture, so a mask in PNG fits its picture in NIfTI. nibabel is optional
(extra "medical") and imported when the first such file is read.

Rule: nibabel is given the header alone. It would read extensions of whatever size a file states,
and a compressed file of some kilobytes can state, and hold, gigabytes of them.
"""

from __future__ import annotations

import gzip
from io import BufferedIOBase
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from masksmith.errors import DataError
from masksmith.images.picture import Header, Picture, as_read, dtype_read, valid_pixels
from masksmith.limits import MAX_NIFTI_OFFSET_BYTES


def read_header(path: Path) -> Header:
    """Size, channels and dtype without the pixels."""
    header = _load(path)
    width, height = _slice(header.get_data_shape(), path)
    dtype = np.dtype(header.get_data_dtype())
    return Header(height, width, 1, "float32" if _rescale(header) else dtype_read(dtype, path))


def read(path: Path) -> Picture:
    """All pixels; float32 if the file rescales them, else as stored."""
    header = _load(path)
    width, height = _slice(header.get_data_shape(), path)
    dtype, rescale = np.dtype(header.get_data_dtype()), _rescale(header)
    content = _content(path, header.get_data_offset(), dtype.itemsize * width * height)
    stored: npt.NDArray[Any] = np.frombuffer(content, dtype).reshape(width, height, order="F")
    if rescale is not None:
        stored = (stored.astype(np.float64) * rescale[0] + rescale[1]).astype(np.float32)
    pixels = as_read(stored.T[..., None], path)
    return Picture(pixels, valid_HW=valid_pixels(pixels))


def _load(path: Path) -> Any:  # noqa: ANN401 - nibabel says no more about what it loads
    """The header, without extensions."""
    try:
        import nibabel
    except ImportError as error:
        raise DataError(
            where=path,
            expected="nibabel, which reads NIfTI",
            received="an installation without it",
            remedy='pip install "masksmith[medical]"',
        ) from error
    # It writes to standard error by itself; what stops the reading is raised.
    nibabel.imageglobals.logger.setLevel("CRITICAL")
    kind: Any = nibabel.nifti1.Nifti1Header
    longer: Any = nibabel.nifti2.Nifti2Header
    with _open(path) as file:
        start = file.read(longer.sizeof_hdr)
    # NIfTI-2 differs in its header alone, which begins with its own length, in either order of bytes.
    if longer.sizeof_hdr in {int.from_bytes(start[:4], "little"), int.from_bytes(start[:4], "big")}:
        kind = longer
    header = kind(start[: kind.sizeof_hdr])
    offset = header.get_data_offset()
    if not 0 <= offset <= MAX_NIFTI_OFFSET_BYTES:
        raise DataError(
            where=path,
            expected=f"pixels that begin within {MAX_NIFTI_OFFSET_BYTES:,} bytes",
            received=f"byte {offset:,} as their first",
            remedy="export it again, without extensions",
        )
    return header


def _open(path: Path) -> BufferedIOBase:
    return gzip.open(path) if path.name.lower().endswith(".gz") else path.open("rb")


def _content(path: Path, offset: int, size: int) -> bytearray:
    """The ``size`` bytes from ``offset`` on, and no more of the file than these.

    Raises:
        EOFError: they are not there.
    """
    content = bytearray(size)
    with _open(path) as file:
        file.seek(offset)
        found = file.readinto(content)
        if found != size:
            raise EOFError(f"{found:,} bytes of pixels in place of {size:,}")
        # The checksum of a compressed file is compared where the data end. A little more may stand
        # behind the picture; a file that goes on and on is not followed.
        for _ in range(3):
            if not file.read(2**20):
                break
    return content


def _slice(shape: tuple[int, ...], path: Path) -> tuple[int, int]:
    """Width and height of the one slice, whichever axis it lies across."""
    sizes = list(shape)
    while len(sizes) > 2 and 1 in sizes:
        sizes.reverse()
        sizes.remove(1)  # the last of them: a picture one pixel high stays one
        sizes.reverse()
    if len(sizes) != 2:
        raise DataError(
            where=path,
            expected="one slice",
            received=f"a volume of {'×'.join(map(str, shape)) or 'no'} voxels",
            remedy="save each slice as a file of its own",
        )
    return int(sizes[0]), int(sizes[1])


def _rescale(header: Any) -> tuple[float, float] | None:  # noqa: ANN401
    """Slope and intercept, None if they change nothing."""
    slope, intercept = header.get_slope_inter()
    pair = float(1 if slope is None else slope), float(0 if intercept is None else intercept)
    return None if pair == (1.0, 0.0) else pair
