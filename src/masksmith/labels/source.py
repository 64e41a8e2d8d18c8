"""Where the annotation of a picture is, and what reading it gives.

Rule: values only; how a kind of file is read stands in the module of that kind.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class LabelSource:
    """The annotation of one picture: its files, and the key of ``READERS`` that reads them.

    ``key`` is the picture's name inside a file that annotates many (COCO, CVAT). With ``overlapping``
    every class has a layer of its own.
    """

    files: tuple[Path, ...]
    reader: str = "picture"
    key: str = ""
    overlapping: bool = False
    border_px: int = 0
    """Where things are numbered, or have a file each: half the width of the border between them."""

    @property
    def path(self) -> Path:
        """The file to name in a message."""
        return self.files[0]


@dataclass(frozen=True, slots=True)
class Grid:
    """The picture whose pixels an annotation is wanted for; height and width are upright."""

    image: Path
    height: int
    width: int


@dataclass(frozen=True, slots=True)
class RawMask:
    """A mask as stored.

    A grey one has values, a colour one has colours, a palette one has both. Drawn regions have
    values that count in ``names``, of which the first is "background". Of classes that overlap bit k
    of a value says that layer k is there: band k + 1, or ``names[k]``.
    """

    values_HW: npt.NDArray[np.integer] | None
    colors_HW3: npt.NDArray[np.integer] | None = None
    from_palette: bool = False
    names: tuple[str, ...] = ()
    bands: int = 1
    """Bands of the file, of which a pixel has one at most; 1 for a mask of values or colours."""
    overlapping: bool = False
    drawn_over: int = 0
    """Pixels in which a drawn region lies over one of another class."""
