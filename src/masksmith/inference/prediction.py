"""Prediction: what a network says about one picture, and where the picture came from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from masksmith.classes import U8, ClassTable


@dataclass(frozen=True)
class Prediction:
    """The answer at the picture's own size."""

    mask_HW: U8
    """Class index of each pixel."""
    probabilities_KHW: npt.NDArray[np.float32]
    """Probability of each class, 0 … 1, summing to 1 over K."""
    pixels_HWC: npt.NDArray[np.generic]
    """The picture as it was read."""
    table: ClassTable
    source: Path | None = None

    @property
    def confidence_HW(self) -> npt.NDArray[np.float32]:
        """The probability of the class that was chosen."""
        best: npt.NDArray[np.float32] = self.probabilities_KHW.max(axis=0)
        return best

    @property
    def color_HW3(self) -> U8:
        """The mask in class colours."""
        return self.table.decode(self.mask_HW)

    def shares(self) -> dict[str, float]:
        """The share of the picture's pixels in each class, 0 … 1, by class name."""
        counts = np.bincount(self.mask_HW.ravel(), minlength=len(self.table))
        return {name: float(n / self.mask_HW.size) for name, n in zip(self.table.names, counts, strict=False)}
