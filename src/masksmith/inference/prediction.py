"""Prediction: what a network says about one picture, and where the picture came from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from masksmith.classes import U8, ClassTable
from masksmith.images import GeoReference
from masksmith.keys import Mask, is_ignored, split_layers


@dataclass(frozen=True)
class Prediction:
    """The answer at the picture's own size."""

    mask_HW: Mask
    """Class index of each pixel, uint8; where classes overlap bit k for class k, uint16."""
    probabilities_KHW: npt.NDArray[np.float32]
    """Probability of each class, 0 … 1, summing to 1 over K unless classes overlap."""
    pixels_HWC: npt.NDArray[np.generic]
    """The picture as it was read."""
    table: ClassTable
    source: Path | None = None
    georeference: GeoReference | None = None
    """Where the picture lies on the map; None if nothing says so."""
    valid_HW: npt.NDArray[np.bool_] | None = None
    """False where the picture itself says that there is nothing; None where all pixels are valid."""

    @property
    def confidence_HW(self) -> npt.NDArray[np.float32]:
        """The probability of the mask's class, also where cleaning has chosen another than the most probable one.

        Where classes overlap that of the least sure answer, yes or no; 0 where the mask is ignored.
        """
        p_KHW = self.probabilities_KHW
        if self.table.overlapping:
            least_HW: npt.NDArray[np.float32] = np.where(self.layers_KHW, p_KHW, 1 - p_KHW).min(axis=0)
            return least_HW
        ignored_HW = is_ignored(self.mask_HW)
        index_HW = np.where(ignored_HW, np.uint8(0), self.mask_HW)
        chosen_HW: npt.NDArray[np.float32] = np.take_along_axis(p_KHW, index_HW[None], axis=0)[0]
        chosen_HW[ignored_HW] = 0
        return chosen_HW

    @property
    def layers_KHW(self) -> npt.NDArray[np.bool_]:
        """Where each class is, bool (K, H, W)."""
        if self.table.overlapping:
            return split_layers(self.mask_HW, len(self.table))
        layers: npt.NDArray[np.bool_] = self.mask_HW[None] == np.arange(len(self.table))[:, None, None]
        return layers

    def layer(self, index: int) -> npt.NDArray[np.bool_]:
        """Where one class is, bool (H, W)."""
        if self.table.overlapping:
            bits_HW: npt.NDArray[np.bool_] = (self.mask_HW >> index & 1).astype(np.bool_)
            return bits_HW
        layer_HW: npt.NDArray[np.bool_] = self.mask_HW == index
        return layer_HW

    @property
    def color_HW3(self) -> U8:
        """The mask in class colours."""
        return self.table.decode(self.mask_HW)

    def shares(self) -> dict[str, float]:
        """The share of the picture's valid pixels in each class, 0 … 1, by class name."""
        valid = slice(None) if self.valid_HW is None else self.valid_HW
        mask = self.mask_HW[valid].ravel()
        if self.table.overlapping:
            counts = [int(np.count_nonzero(mask >> index & 1)) for index in range(len(self.table))]
        else:
            counts = np.bincount(mask, minlength=len(self.table)).tolist()
        return {name: n / max(mask.size, 1) for name, n in zip(self.table.names, counts, strict=False)}
