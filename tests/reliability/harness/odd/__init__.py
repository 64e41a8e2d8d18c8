"""Odd pictures: how each is made, and what must come of it.

Each module has one theme and one literal table ``CASES``. Rule: expected pixels are known from how a picture was made,
never from reading it back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Odd:
    """One odd picture: the group of the page that it belongs to, its file, and what must come of it."""

    group: str
    file: str
    make: Callable[[Path], object]
    pixels_HWC: Array | None = None
    """Exactly these, or none, where the picture must be refused."""
    says: str = ""
    """What the one sentence must hold."""
    most_off: int = 0
    """How far pixels of a lossy format may lie from what was drawn."""
    valid_HW: Array | None = None
    sent: Literal["alike", "read", "refused", "never"] = "alike"
    """What the service says of its bytes: as the command line; it reads or refuses them alone; they are no file."""
    alone: bool = False
    """It cannot lie in a folder with others that are predicted together."""
    code: int = 5
    """What the command line ends with, if it is refused when it is named by itself."""
    readable: bool = True
    """Whether its permissions let it be read."""


def smooth(height: int = 24, width: int = 37, channels: int = 3) -> npt.NDArray[np.uint8]:
    """A slope that lossy formats keep nearly as it is; no side or channel like another."""
    y, x, c = np.mgrid[0:height, 0:width, 0:channels]
    return (40 + 3 * y + 2 * x + 25 * c).astype(np.uint8)


def noise(dtype: str, channels: int, height: int = 9, width: int = 14) -> Array:
    """Every value that the dtype has, or about 0 for floats."""
    rng = np.random.default_rng(channels)
    if dtype.startswith("float"):
        return rng.normal(0, 5, (height, width, channels)).astype(dtype)
    limits = np.iinfo(dtype)
    return rng.integers(limits.min, limits.max, (height, width, channels), dtype, endpoint=True)


def bits(height: int = 9, width: int = 14) -> npt.NDArray[np.bool_]:
    """Black and white at random."""
    return np.random.default_rng(5).integers(0, 2, (height, width)).astype(np.bool_)


def written(content: bytes) -> Callable[[Path], object]:
    """A picture of these bytes."""
    return lambda path: path.write_bytes(content)


# EXIF orientation -> how stored pixels become upright.
UPRIGHT: dict[int, Callable[[Array], Array]] = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: np.swapaxes(a, 0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(np.swapaxes(a, 0, 1), 2),
    8: lambda a: np.rot90(a, 1),
}
