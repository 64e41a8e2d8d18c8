"""NIfTI: one slice. Its first axis runs along a row of the picture, the second down.

That is how ITK writes a picture, so a mask in PNG fits its picture in NIfTI. nibabel is optional
(extra "medical") and imported when the first such file is read.
"""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np

from masksmith.errors import DataError
from masksmith.images.picture import Header, Picture, as_read, dtype_read, valid_pixels


def read_header(path: Path) -> Header:
    """Size, channels and dtype without the pixels."""
    image = _load(path)
    width, height = _slice(image.shape, path)
    dtype = np.dtype(image.get_data_dtype())
    return Header(height, width, 1, "float32" if _rescale(image) else dtype_read(dtype, path))


def read(path: Path) -> Picture:
    """All pixels; float32 if the file rescales them, else as stored."""
    image = _load(path)
    width, height = _slice(image.shape, path)
    if path.name.lower().endswith(".gz"):
        _check_whole(path, image.dataobj.offset + image.dataobj.dtype.itemsize * width * height)
    rescale = _rescale(image)
    stored = np.asarray(image.dataobj.get_unscaled()).reshape(width, height, order="F")
    if rescale is not None:
        stored = (stored.astype(np.float64) * rescale[0] + rescale[1]).astype(np.float32)
    pixels = as_read(stored.T[..., None], path)
    return Picture(pixels, valid_HW=valid_pixels(pixels))


def _load(path: Path) -> Any:  # noqa: ANN401 - nibabel says no more about what it loads
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
    return nibabel.nifti1.Nifti1Image.from_filename(path, mmap=False)


def _check_whole(path: Path, size: int) -> None:
    """Raise if the checksum behind the ``size`` bytes of a compressed file does not fit them."""
    step = 2**20
    with gzip.open(path) as file:
        # The checksum is compared where the data end. A little more may stand behind the picture;
        # a file that goes on and on is not followed.
        for _ in range(size // step + 3):
            if not file.read(step):
                return


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


def _rescale(image: Any) -> tuple[float, float] | None:  # noqa: ANN401
    """Slope and intercept, None if they change nothing."""
    pair = float(image.dataobj.slope), float(image.dataobj.inter)
    return None if pair == (1.0, 0.0) else pair
