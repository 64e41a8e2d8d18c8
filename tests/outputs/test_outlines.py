"""Outlines along the edges of pixels give the mask again and are valid polygons."""

from __future__ import annotations

import numpy as np
import rasterio.features
import shapely
from hypothesis import given

from masksmith.outputs.outlines import trace
from outputs.made import masks


def area(mask: np.ndarray) -> list[tuple[int, int]]:
    return [(len(rings), len(rings[0])) for rings in trace(mask.astype(bool))]


@given(masks)
def test_filled_outlines_are_the_mask(mask: np.ndarray) -> None:
    inside = mask > 0
    shapes = [shapely.Polygon(rings[0], rings[1:]) for rings in trace(inside)]
    assert all(shape.is_valid for shape in shapes)
    assert sum(shape.area for shape in shapes) == inside.sum()
    if shapes:
        filled = rasterio.features.rasterize(shapes, inside.shape)
        np.testing.assert_array_equal(filled > 0, inside)
    # A second opinion on what hangs together.
    other = list(rasterio.features.shapes(inside.astype(np.uint8), mask=inside, connectivity=4))
    assert len(shapes) == len(other)


def test_the_smallest_and_none() -> None:
    assert trace(np.zeros((3, 4), bool)) == []
    ((ring,),) = trace(np.ones((1, 1), bool))
    assert ring.tolist() == [[0, 0], [1, 0], [1, 1], [0, 1]]


def test_pixels_that_meet_over_a_corner_are_two_polygons() -> None:
    assert area(np.eye(2)) == [(1, 4), (1, 4)]


def test_a_ring_that_closes_over_a_corner_is_one_polygon_with_a_hole() -> None:
    mask = np.ones((4, 4), bool)
    mask[1, 1] = mask[0, 0] = False
    assert [len(rings) for rings in trace(mask)] == [2]
    mask = np.ones((4, 4), bool)
    mask[1, 1] = mask[2, 2] = False
    assert [len(rings) for rings in trace(mask)] == [3]


def test_what_lies_in_a_hole_is_its_own_polygon() -> None:
    mask = np.ones((7, 7), bool)
    mask[1:6, 1:6] = False
    mask[3, 3] = True
    assert area(mask) == [(2, 4), (1, 4)]
