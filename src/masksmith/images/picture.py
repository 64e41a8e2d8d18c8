"""What reading a picture gives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

U8 = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Header:
    """What a picture is, known without its pixels. ``height`` and ``width`` are upright."""

    height: int
    width: int
    channels: int
    dtype: str


@dataclass(frozen=True)
class Picture:
    """Pixels as stored.

    ``pixels_HWC`` has the dtype of the file. A palette picture has its colours there, and
    ``indices_HW`` with ``palette_P3`` besides, because in a mask the indices are the classes.
    """

    pixels_HWC: npt.NDArray[np.generic]
    indices_HW: U8 | None = None
    palette_P3: U8 | None = None


TURNED = frozenset({5, 6, 7, 8})
"""Values of the Orientation tag that swap height and width."""

# Steps that make each orientation upright (TIFF 6.0, page 36; EXIF uses the same tag).
_STEPS = {1: "", 2: "h", 3: "hv", 4: "v", 5: "t", 6: "th", 7: "thv", 8: "tv"}


def upright(pixels_HWC: npt.NDArray[np.generic], orientation: int) -> npt.NDArray[np.generic]:
    """Turn and mirror pixels as the Orientation tag says; unknown values mean upright."""
    for step in _STEPS.get(orientation, ""):
        if step == "t":
            pixels_HWC = pixels_HWC.swapaxes(0, 1)
        else:
            pixels_HWC = pixels_HWC[:, ::-1] if step == "h" else pixels_HWC[::-1]
    return pixels_HWC
