"""Pins down instances: numbered things become one class, and a border where they meet."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from masksmith.labels.instances import classes_of


def by_hand(numbers_HW: npt.NDArray[np.integer], px: int) -> npt.NDArray[np.uint8]:
    height, width = numbers_HW.shape
    out = (numbers_HW != 0).astype(np.uint8)
    for y in range(height):
        for x in range(width):
            near = numbers_HW[max(0, y - px) : y + px + 1, max(0, x - px) : x + px + 1]
            if len(set(near[near != 0].tolist())) > 1:
                out[y, x] = 2
    return out


def test_the_gap_between_two_things_is_border() -> None:
    numbers = np.zeros((4, 7), np.uint16)
    numbers[1:3, 0:3], numbers[1:3, 4:7] = 70, 9
    assert classes_of(numbers, 1).tolist() == [
        [0, 0, 0, 2, 0, 0, 0],
        [1, 1, 1, 2, 1, 1, 1],
        [1, 1, 1, 2, 1, 1, 1],
        [0, 0, 0, 2, 0, 0, 0],
    ]


@given(arrays(np.uint16, (9, 11), elements=st.sampled_from([0, 0, 0, 1, 5, 65535])), st.integers(1, 3))
def test_border_is_where_two_numbers_are_near(numbers: npt.NDArray[np.uint16], px: int) -> None:
    assert np.array_equal(classes_of(numbers, px), by_hand(numbers, px))


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.uint32])
def test_without_a_border_there_are_things_alone(dtype: type) -> None:
    numbers = np.array([[0, 3], [2**7, 0]], dtype)
    assert classes_of(numbers, 0).tolist() == [[0, 1], [1, 0]]
    assert classes_of(np.zeros((0, 4), dtype), 2).shape == (0, 4)
