"""A made mask as a prediction, with what each reader of what is written of it must find.

Rule: what is written comes from ``outputs.render``, as the command line calls it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from masksmith import images, labels
from masksmith.classes import ClassTable
from masksmith.images import GeoReference
from masksmith.inference.prediction import Prediction
from masksmith.keys import IGNORE, Mask, ignored_value
from masksmith.labels import Grid, LabelSource
from masksmith.outputs import render
from masksmith.outputs.tiff import encode as encode_tiff
from reliability.harness.labelling.made import U8, Made, with_ignore

Compared = tuple[str, npt.NDArray[Any], npt.NDArray[Any]]
"""Format and reader, what was read, what is wanted."""

# UTM zone 32; pixels of half a metre.
EPSG, TRANSFORM = 32632, (0.5, 0.0, 500_100.0, 0.0, -0.5, 5_300_300.0)


@dataclass(frozen=True)
class Desk:
    """A mask, as a prediction for a picture that lies in a folder of its own."""

    made: Made
    folder: Path

    @cached_property
    def picture(self) -> Path:
        """The picture, which is black."""
        reference = GeoReference(TRANSFORM, EPSG, *self.made.size) if self.made.placed else None
        path = self.folder / "a.tif"
        path.write_bytes(encode_tiff(np.zeros((1, *self.made.size), np.uint8), reference))
        return path

    @cached_property
    def prediction(self) -> Prediction:
        """As a network would have given it."""
        made, size = self.made, self.made.size
        sure = np.broadcast_to(np.float32(0.9), (len(made.names), *size))
        pixels = np.zeros((*size, 1), np.uint8)
        reference = images.georeference(self.picture)
        return Prediction(made.mask_HW, sure, pixels, made.table, self.picture, reference, made.valid_HW)

    @cached_property
    def with_nodata_HW(self) -> Mask:
        """The mask where pixels that are none are ignored."""
        mask = self.made.mask_HW.copy()
        if self.made.valid_HW is not None:
            mask[~self.made.valid_HW] = ignored_value(mask)
        return mask

    @cached_property
    def covered_HW(self) -> Mask:
        """What regions tell: nothing of pixels that are none, which are background or ignored then."""
        mask, valid, background = self.made.mask_HW.copy(), self.made.valid_HW, self.made.background
        if valid is not None:
            mask[~valid] = 0 if self.made.overlapping else IGNORE if background is None else background
        return mask

    @cached_property
    def by_name(self) -> ClassTable:
        """The table for drawn regions."""
        table = replace(self.made.table, encoding="name")
        uncovered = self.made.background is None and not self.made.overlapping
        return table.ignoring(["background"]) if uncovered else table

    def rendered(self, word: str) -> bytes:
        """The one file of an output."""
        (content,) = render(word, self.prediction).values()
        return content

    def read(self, content: bytes, name: str, reader: str = "picture", table: ClassTable | None = None) -> Mask:
        """As a data set's annotation would be read."""
        path = self.folder / name
        path.write_bytes(content)
        table = table or (self.by_name if reader != "picture" else with_ignore(self.made.table))
        return labels.read_mask(LabelSource((path,), reader), table, Grid(self.picture, *self.made.size))

    @property
    def uncovered_HW(self) -> U8:
        """What pixels in no region are, everywhere."""
        nothing = IGNORE if self.made.background is None else self.made.background
        return np.full(self.made.size, nothing, np.uint8)
