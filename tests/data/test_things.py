"""Widths of things: of thin ones in pixels, however large the picture; and no size that cannot be measured."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from masksmith.data import things
from masksmith.data.things import Things
from masksmith.labels import MaskScan


def keyed(mask: npt.NDArray[np.uint8]) -> Things:
    counts = {int(value): int(count) for value, count in zip(*np.unique(mask, return_counts=True), strict=True)}
    return things.of_keys(mask, MaskScan(Path("a.png"), counts, None), np.zeros((*mask.shape, 1), np.uint8))[1]


def layered(mask: npt.NDArray[np.uint8]) -> Things:
    counts = {int(value): int(count) for value, count in zip(*np.unique(mask, return_counts=True), strict=True)}
    return things.of_layers(mask, MaskScan(Path("a.png"), counts, None), np.zeros((*mask.shape, 1), np.uint8))[1]


@pytest.mark.parametrize("measure", [keyed, layered])
@pytest.mark.parametrize("side", [500, 1100, 2600])
@pytest.mark.parametrize(("rows", "width"), [(2, 3.8), (6, 7.6)])
def test_lines_are_as_wide_in_a_large_picture_as_in_a_small_one(
    measure: Callable[[npt.NDArray[np.uint8]], Things], side: int, rows: int, width: float
) -> None:
    mask = np.zeros((side, side), np.uint8)
    for top in range(31, 450, 41):  # of lines thinner than the step some are met
        mask[top : top + rows, side // 3 : side // 3 + 150] = 1
    assert measure(mask).width == pytest.approx(width, abs=0.1)


def test_a_picture_of_any_length_is_measured() -> None:
    mask = np.zeros((2, 300_000), np.uint8)
    mask[0, 150_000:151_000] = 1
    assert keyed(mask).width > 0
