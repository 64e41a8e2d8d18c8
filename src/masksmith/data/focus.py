"""Focus: some crops are drawn around pixels of rare classes, which others would seldom hold.

Rule: what is drawn follows from the generator that is passed in, and from the masks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from masksmith.keys import Mask

# Pixels of a class that are kept of each mask, spread over all that there are.
_PLACES_KEPT = 512


@dataclass(frozen=True)
class Focus:
    """``share`` of the crops, and the training pictures that hold each rare class: (mask key, pictures)."""

    share: float
    holders: tuple[tuple[int, tuple[int, ...]], ...]

    def draw(self, rng: np.random.Generator) -> tuple[int, int] | None:
        """(picture, mask key) for a crop that is drawn around a rare class, None for one that is not."""
        if not self.holders or rng.random() >= self.share:
            return None
        key, pictures = self.holders[int(rng.integers(len(self.holders)))]
        return pictures[int(rng.integers(len(pictures)))], key


def of(pixels: Sequence[Sequence[int]], classes: Sequence[int], share: float, *, overlapping: bool) -> Focus | None:
    """The focus on some classes.

    Args:
        pixels: of each class in each training picture.
        classes: the rare ones, by index.
        share: of the crops; 0: no focus.
        overlapping: the key of a class is its bit.
    """
    held = ((k, tuple(i for i, row in enumerate(pixels) if row[k])) for k in classes)
    holders = tuple((1 << k if overlapping else k, pictures) for k, pictures in held if pictures)
    return Focus(share, holders) if share and holders else None


def places(mask_HW: Mask, key: int, *, overlapping: bool) -> npt.NDArray[np.int64]:
    """Where a class is, as flat indices; of many some, evenly spread, so that they can be kept."""
    found = np.flatnonzero(mask_HW & mask_HW.dtype.type(key) if overlapping else mask_HW == key)
    return np.array(found[:: -(-len(found) // _PLACES_KEPT) or 1])  # no view, or all of them would stay in memory
