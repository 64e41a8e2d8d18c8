"""Fingerprint: what one scan of a data set saw.

Rule: numbers only; what they mean for a person is ``doctor``'s work, for a network the recipe's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from masksmith.classes import IGNORE
from masksmith.data.preprocessing import Preprocessing, from_statistics

F64 = npt.NDArray[np.float64]


@dataclass(frozen=True)
class PairFacts:
    """One pair: size, channels, dtype, sums over the pixels, and pixels of each class."""

    split: str
    height: int
    width: int
    channels: int
    dtype: str
    sum_C: F64
    square_C: F64
    finite_C: F64
    """Finite pixels of each channel: what the two sums are over."""
    class_pixels: npt.NDArray[np.int64]
    """Pixels of class 0 … K - 1, then of the ignored ones."""


@dataclass(frozen=True)
class Fingerprint:
    """All pairs together; ``class_pixels`` and ``class_pictures`` are by split, then class.

    The last column of ``class_pixels`` counts ignored pixels.
    """

    pictures: dict[str, int]
    sizes: dict[tuple[int, int], int]
    """(height, width) -> pictures."""
    preprocessing: Preprocessing
    train_sizes: tuple[tuple[int, int], ...]
    """(height, width) of each training picture, in the order of the data set."""
    class_pixels: dict[str, list[int]]
    class_pictures: dict[str, list[int]]

    @property
    def median_side(self) -> int:
        """The median over the pictures of the shorter side, in pixels."""
        sides = sorted(side for (h, w), n in self.sizes.items() for side in [min(h, w)] * n)
        return sides[len(sides) // 2]


def sums(pixels_HWC: npt.NDArray[np.generic]) -> tuple[F64, F64, F64]:
    """Sum, sum of squares and count of the finite values, each float64 (C,)."""
    flat = pixels_HWC.reshape(-1, pixels_HWC.shape[2]).astype(np.float64)
    finite = np.isfinite(flat)
    flat = np.where(finite, flat, 0.0)
    return flat.sum(axis=0), np.square(flat).sum(axis=0), finite.sum(axis=0).astype(np.float64)


def summarize(facts: Sequence[PairFacts]) -> Fingerprint:
    """The fingerprint of pairs that agree in dtype; grey and colour count as colour together.

    Statistics are of the training part alone, or of all where there is none.
    """
    channels = max(f.channels for f in facts)
    used = [f for f in facts if f.split == "train"] or list(facts)
    total, square, count = (
        np.sum([np.broadcast_to(getattr(f, name), channels) for f in used], axis=0)
        for name in ("sum_C", "square_C", "finite_C")
    )
    count = np.maximum(count, 1)
    mean = total / count
    std = np.sqrt(np.maximum(square / count - mean**2, 0))
    splits = sorted({f.split for f in facts})
    return Fingerprint(
        pictures=dict(Counter(f.split for f in facts)),
        sizes=dict(Counter((f.height, f.width) for f in facts)),
        preprocessing=from_statistics(channels, facts[0].dtype, mean.tolist(), std.tolist()),
        train_sizes=tuple((f.height, f.width) for f in used),
        class_pixels={s: np.sum([f.class_pixels for f in facts if f.split == s], axis=0).tolist() for s in splits},
        class_pictures={
            s: np.sum([f.class_pixels[:-1] > 0 for f in facts if f.split == s], axis=0).tolist() for s in splits
        },
    )


def count_classes(mask_HW: npt.NDArray[np.uint8], num_classes: int) -> npt.NDArray[np.int64]:
    """Pixels of each class, then of the ignored ones: int64 (K + 1,)."""
    counts = np.bincount(mask_HW.ravel(), minlength=256)
    return np.append(counts[:num_classes], counts[IGNORE]).astype(np.int64)
