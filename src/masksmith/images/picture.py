"""What reading a picture gives, and what every format needs to give it.

Rule: nothing here opens a file.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from masksmith.errors import DataError
from masksmith.limits import MAX_TILES_SHARE, MAX_TILES_SPARE_BYTES

U8 = npt.NDArray[np.uint8]
Pixels = npt.NDArray[np.generic]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Header:
    """What a picture is, known without its pixels. ``height`` and ``width`` are upright."""

    height: int
    width: int
    channels: int
    dtype: str
    alpha: bool = False
    """Whether the file has one channel more, the last, that it calls transparency."""

    def channels_for(self, wanted: int) -> int:
        """How many channels :meth:`Picture.with_channels` gives."""
        return wanted if self.alpha and self.channels + 1 == wanted else self.channels


@dataclass(frozen=True)
class Picture:
    """Pixels as stored.

    ``pixels_HWC`` has the dtype of the file. A palette picture has its colours there, and
    ``indices_HW`` with ``palette_P3`` besides, because in a mask the indices are the classes.
    ``valid_HW`` is False where the file itself says that there is nothing: full transparency, the
    nodata value, or not-a-number in every channel. It is None where all pixels are valid.
    ``alpha_HW`` is one channel more that the file calls transparency, None where there is none.
    """

    pixels_HWC: Pixels
    indices_HW: U8 | None = None
    palette_P3: U8 | None = None
    valid_HW: Mask | None = None
    alpha_HW: Pixels | None = None

    def with_channels(self, wanted: int) -> Picture:
        """This picture; with what the file calls transparency as its last channel, where that makes up those wanted.

        Most programs call a fourth band so unless they are told otherwise, near-infrared too. A measured 0 hides
        nothing then: only where all channels are 0 is there none.
        """
        if self.alpha_HW is None or self.pixels_HWC.shape[2] + 1 != wanted:
            return self
        valid = self.valid_HW
        if valid is not None:
            valid = none_if_all(valid | ((self.alpha_HW == 0) & (self.pixels_HWC != 0).any(axis=2)))
        return Picture(np.concatenate([self.pixels_HWC, self.alpha_HW[..., None]], axis=2), valid_HW=valid)

    def crop(self, window: Window) -> Picture:
        """The part inside ``window``, as a copy that does not hold the whole in memory."""
        y, x = slice(window.y, window.y + window.height), slice(window.x, window.x + window.width)
        return Picture(
            self.pixels_HWC[y, x].copy(),
            None if self.indices_HW is None else self.indices_HW[y, x].copy(),
            self.palette_P3,
            None if self.valid_HW is None else none_if_all(self.valid_HW[y, x].copy()),
            None if self.alpha_HW is None else self.alpha_HW[y, x].copy(),
        )


class Window(NamedTuple):
    """A rectangle of pixels in an upright picture."""

    y: int
    x: int
    height: int
    width: int


TURNED = frozenset({5, 6, 7, 8})
"""Values of the Orientation tag that swap height and width."""

# Steps that make each orientation upright (TIFF 6.0, page 36; EXIF uses the same tag).
_STEPS = {1: "", 2: "h", 3: "hv", 4: "v", 5: "t", 6: "th", 7: "thv", 8: "tv"}

DTYPES = frozenset(
    {"bool", "uint8", "uint16", "int16", "int8", "uint32", "int32", "float16", "float32", "float64"},
)
"""What a convolution can be fed; complex numbers and records are no pictures."""

# Programs for arrays save labels with 64 bits by default; what is in them fits in 32.
_NARROWED = {"int64": "int32", "uint64": "uint32"}


def upright(pixels_HWC: Pixels, orientation: int) -> Pixels:
    """Turn and mirror pixels as the Orientation tag says; unknown values mean upright."""
    for step in _STEPS.get(orientation, ""):
        if step == "t":
            pixels_HWC = pixels_HWC.swapaxes(0, 1)
        else:
            pixels_HWC = pixels_HWC[:, ::-1] if step == "h" else pixels_HWC[::-1]
    return pixels_HWC


def stored_window(window: Window, orientation: int, height: int, width: int) -> Window:
    """Where ``window`` of an upright picture of ``height`` × ``width`` lies in the pixels as stored."""
    y, x, rows, columns = window
    for step in reversed(_STEPS.get(orientation, "")):
        if step == "t":
            y, x, rows, columns, height, width = x, y, columns, rows, width, height
        elif step == "h":
            x = width - x - columns
        else:
            y = height - y - rows
    return Window(y, x, rows, columns)


def check_spare(what: str, held_bytes: int, picture_bytes: int, path: Path) -> None:
    """Refuse tiles or chunks that hold far more than the picture: on the disk they may be the same few bytes.

    Raises:
        DataError: they do.
    """
    if held_bytes > MAX_TILES_SHARE * picture_bytes + MAX_TILES_SPARE_BYTES:
        raise DataError(
            where=path,
            expected=f"{what} that fit the picture",
            received=f"{held_bytes:,} bytes of {what} for {picture_bytes:,} bytes of pixels",
            remedy=f"save it again with smaller {what}",
        )


def dtype_read(dtype: np.dtype[np.generic], path: Path) -> str:
    """The dtype that pixels of ``dtype`` are given back in.

    Raises:
        DataError: no picture has such pixels.
    """
    name = "uint8" if dtype.kind == "b" else _NARROWED.get(dtype.name, dtype.name)
    if name in DTYPES:
        return name
    raise DataError(
        where=path,
        expected="whole numbers of 8 to 64 bits or floats of 16 to 64",
        received={"O": "Python objects", "V": "records"}.get(dtype.kind, dtype.name),
        remedy="save it as 16-bit whole numbers or 32-bit floats",
    )


def as_read(array: npt.NDArray[np.generic], path: Path) -> Pixels:
    """Pixels in the dtype of :func:`dtype_read` and the byte order of this machine; True is 255.

    Raises:
        DataError: no such dtype, or whole numbers of 64 bits that do not fit in 32.
    """
    name = dtype_read(array.dtype, path)
    if array.dtype.kind == "b":
        white: U8 = np.multiply(array, 255, dtype=np.uint8)
        return white
    if array.dtype.name in _NARROWED and array.size:
        limits, low, high = np.iinfo(name), int(array.min()), int(array.max())
        if low < limits.min or high > limits.max:
            raise DataError(
                where=path,
                expected=f"whole numbers that fit in 32 bits ({name})",
                received=f"{low} to {high}",
                remedy="save it as 32-bit floats",
            )
    return np.ascontiguousarray(array).astype(name, copy=False)


def valid_pixels(pixels_HWC: Pixels, *, nodata: float | None = None, opaque_HW: Mask | None = None) -> Mask | None:
    """Where a picture has something: not transparent, and not nodata or not-a-number in every channel."""
    if opaque_HW is None and nodata is None and pixels_HWC.dtype.kind != "f":
        return None
    valid = np.ones(pixels_HWC.shape[:2], np.bool_) if opaque_HW is None else opaque_HW.copy()
    if nodata is not None and not np.isnan(nodata):
        with np.errstate(over="ignore"):  # GDAL writes the nodata of float32 with more digits than fit
            value = np.asarray(nodata).astype(pixels_HWC.dtype)
        valid &= ~(pixels_HWC == value).all(axis=2)
    if pixels_HWC.dtype.kind == "f":
        valid &= ~np.isnan(pixels_HWC).all(axis=2)
    return none_if_all(valid)


def none_if_all(valid_HW: Mask) -> Mask | None:
    """None in place of a mask that is True everywhere."""
    return None if bool(valid_HW.all()) else np.ascontiguousarray(valid_HW)
