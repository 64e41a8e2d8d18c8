"""Pins down shapes: the same seed draws the same picture, the mask is exact, and all classes occur."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from masksmith.data.shapes import KINDS, class_table, draw
from masksmith.errors import InputError


@given(st.integers(0, 2**31), st.integers(0, 2**31), st.sampled_from([32, 64, 129]), st.integers(2, len(KINDS) + 1))
def test_drawing_has_its_size_and_its_classes(seed: int, index: int, size: int, num_classes: int) -> None:
    drawing = draw(size, num_classes, seed, index)
    assert (drawing.pixels_HWC.shape, drawing.pixels_HWC.dtype) == ((size, size, 3), np.uint8)
    assert (drawing.mask_HW.shape, drawing.mask_HW.dtype) == ((size, size), np.uint8)
    assert drawing.mask_HW.max() < num_classes
    assert drawing.mask_HW.any()
    assert (drawing.mask_HW == 0).any()


def test_same_seed_same_drawing() -> None:
    first, again = draw(64, 5, 3, 7), draw(64, 5, 3, 7)
    np.testing.assert_array_equal(first.pixels_HWC, again.pixels_HWC)
    np.testing.assert_array_equal(first.mask_HW, again.mask_HW)
    for other in (draw(64, 5, 4, 7), draw(64, 5, 3, 8)):
        assert not np.array_equal(first.pixels_HWC, other.pixels_HWC)


@pytest.mark.parametrize("num_classes", [2, 5, len(KINDS) + 1])
def test_all_classes_occur(num_classes: int) -> None:
    seen = {int(v) for index in range(60) for v in np.unique(draw(64, num_classes, 0, index).mask_HW)}
    assert seen == set(range(num_classes))


def test_picture_changes_exactly_where_the_mask_does() -> None:
    # Each shape has a colour of its own; across its edge the picture jumps, beside it does not.
    jumps, still = [], []
    for index in range(20):
        drawing = draw(128, 5, 1, index)
        pixels, mask = drawing.pixels_HWC.astype(float).mean(axis=2), drawing.mask_HW
        step = np.abs(pixels[:, 3:] - pixels[:, :-3])
        edge = mask[:, 3:] != mask[:, :-3]
        inside = (mask[:, 3:] == mask[:, :-3]) & (mask[:, 1:-2] == mask[:, 3:]) & (mask[:, 2:-1] == mask[:, 3:])
        jumps.append(step[edge].mean())
        still.append(step[inside].mean())
    assert np.mean(jumps) > 3 * np.mean(still)


def test_shapes_never_touch() -> None:
    for index in range(20):
        mask = draw(96, 9, 2, index).mask_HW.astype(int)
        for a, b in ((mask[1:], mask[:-1]), (mask[:, 1:], mask[:, :-1])):
            assert not ((a != b) & (a > 0) & (b > 0)).any()


def test_hollow_shapes_have_a_hole() -> None:
    assert {name.removeprefix("hollow ") for name in KINDS if name.startswith("hollow ")} == set(
        KINDS[: len(KINDS) // 2]
    )


@pytest.mark.parametrize("num_classes", [2, 7, len(KINDS) + 1])
def test_class_table_names_the_classes(num_classes: int) -> None:
    table = class_table(num_classes)
    assert table.names == ["background", *KINDS[: num_classes - 1]]
    assert len({tuple(c) for c in table.palette_K3.tolist()}) == num_classes


@pytest.mark.parametrize("num_classes", [-1, 0, 1, len(KINDS) + 2])
def test_other_numbers_of_classes_are_refused(num_classes: int) -> None:
    with pytest.raises(InputError, match=f"2 to {len(KINDS) + 1} classes"):
        class_table(num_classes)
