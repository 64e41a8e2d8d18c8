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
