"""Pins down splitting: the parts are those of a watershed by hand, however many there are."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
from hypothesis import given
from hypothesis import strategies as st

from masksmith.outputs import Shaping, regions, splitting
from outputs.made import noise, predicted


def test_more_things_than_sixteen_bits_count_are_split() -> None:
    tile = np.zeros((9, 9), bool)
    tile[:7, :7] = tile[3, 7:] = tile[7:, 3] = True  # blocks with bridges between them
    mask = np.tile(tile, (258, 258))
    areas = np.bincount(splitting.split(mask).ravel())[1:]
    assert len(areas) == 258 * 258
    assert areas.min() >= 49
    # A look at the whole mask for each of them would take an hour.
    found = regions.find(predicted(mask, names=("background", "cell")), Shaping(split="watershed"))
    assert [region.area_px for region in found] == areas.tolist()


@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 40), st.sampled_from([1, 3, 5, 7, 9]))
def test_floods_are_those_of_looks_at_the_whole_mask(seed: int, height: int, width: int, roughness: int) -> None:
    mask = noise(seed, height, width, 2, roughness) > 0
    parts = splitting.split(mask)
    np.testing.assert_array_equal(parts, split_by_hand(mask))
    for part, rows, columns in splitting.boxes(parts):
        y, x = np.nonzero(parts == part)
        assert (rows, columns) == (slice(y.min(), y.max() + 1), slice(x.min(), x.max() + 1))


def split_by_hand(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.integer]:
    """The watershed as it is defined: every step looks at all pixels."""
    inside = np.pad(mask, 1).astype(np.uint8)
    far = np.round(cv2.distanceTransform(inside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE) * 16).astype(np.uint16)
    if far.max() < 40:
        return mask.astype(np.int32)
    flat = spread_by_hand((far * 0.75).astype(np.uint16), far)
    summits = flat > spread_by_hand(np.maximum(flat, 1) - np.uint16(1), flat)
    labels = cv2.connectedComponents(summits.astype(np.uint8), connectivity=8)[1].astype(np.uint16)
    for level in range(int(far.max()) // 16, -1, -1):
        while True:
            spread = cv2.dilate(labels, cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3)))
            new = (far > level * 16) & (labels == 0) & (spread > 0)
            if not new.any():
                break
            labels[new] = spread[new]
    return labels[1:-1, 1:-1]


def spread_by_hand(low: npt.NDArray[np.uint16], high: npt.NDArray[np.uint16]) -> npt.NDArray[np.uint16]:
    while True:
        spread = np.minimum(cv2.dilate(low, np.ones((3, 3), np.uint8)), high)
        if np.array_equal(spread, low):
            return low
        low = spread
