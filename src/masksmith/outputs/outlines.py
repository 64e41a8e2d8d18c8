"""Outlines along the edges of pixels: what is filled inside them is the mask again, pixel for pixel.

Rule: a polygon is what hangs together over edges of pixels (not over corners); its rings are simple,
the outer one clockwise on the screen, holes the other way round, and touch at corners at most.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import numpy.typing as npt

from masksmith.classes import U8

I64 = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]
Rings = tuple[I64, ...]
"""Corners (x, y) of an outer ring and of its holes, not closed."""

_EAST, _SOUTH, _WEST, _NORTH = range(4)

# Which of the four pixels around a corner are inside, as bits: above left 1, above right 2, below left 4,
# below right 8. For each the turns there, (came along, goes along), with the inside to the right hand.
# Where two pixels meet over the corner (6, 9), each way stays with its own pixel.
_TURNS = {
    1: ((_SOUTH, _WEST),),
    2: ((_WEST, _NORTH),),
    4: ((_EAST, _SOUTH),),
    8: ((_NORTH, _EAST),),
    7: ((_WEST, _SOUTH),),
    11: ((_NORTH, _WEST),),
    13: ((_SOUTH, _EAST),),
    14: ((_EAST, _NORTH),),
    6: ((_WEST, _NORTH), (_EAST, _SOUTH)),
    9: ((_NORTH, _EAST), (_SOUTH, _WEST)),
}

_IS_TURN = np.isin(np.arange(16), list(_TURNS))

# From a corner to the pixel at the right hand of who leaves it along a direction: (y, x).
_RIGHT_HAND = {_EAST: (0, 0), _SOUTH: (0, -1), _WEST: (-1, -1), _NORTH: (-1, 0)}


def trace(mask_HW: Bool) -> list[Rings]:
    """The polygons of a mask, in the order of their first pixels."""
    count, labels_HW = cv2.connectedComponents(mask_HW.astype(np.uint8), connectivity=4)
    return trace_labelled(labels_HW.astype(np.int32, copy=False), count)


def trace_labelled(labels_HW: npt.NDArray[np.int32], count: int) -> list[Rings]:
    """The same where the pieces have numbers already, 1 … count - 1; all at once, which is much quicker."""
    outer: list[list[I64]] = [[] for _ in range(count)]
    holes: list[list[I64]] = [[] for _ in range(count)]
    for ring in _rings(labels_HW > 0):
        label = int(labels_HW[_pixel_beside(ring)])
        (outer if _area(ring) > 0 else holes)[label].append(ring)
    return [(*outer[label], *holes[label]) for label in range(1, count)]


def _rings(mask_HW: Bool) -> Iterator[I64]:
    """Simple rings of corners, found by walking along the edges from turn to turn."""
    codes_HW = _codes(mask_HW)
    y, x = np.nonzero(_IS_TURN[codes_HW])
    codes = codes_HW[y, x]
    corners = np.stack([x, y], axis=1).astype(np.int64)
    following = _following(corners, codes).tolist()
    seen = bytearray(len(following))
    for start in np.sort(_ways(codes)).tolist():
        loop: list[int] = []
        way = start
        while not seen[way]:
            seen[way] = 1
            loop.append(way // 4)
            way = following[way]
        for ring in _simple(loop):
            yield corners[ring]


def _codes(mask_HW: Bool) -> U8:
    inside = np.pad(mask_HW, 1).astype(np.uint8)
    codes: U8 = inside[:-1, :-1] + 2 * inside[:-1, 1:] + 4 * inside[1:, :-1] + 8 * inside[1:, 1:]
    return codes


def _ways(codes: U8) -> I64:
    """Each way that leaves a corner, as 4 * corner + direction."""
    found = [4 * np.flatnonzero(codes == code) + leaving for code, turns in _TURNS.items() for _, leaving in turns]
    return np.concatenate(found).astype(np.int64)


def _following(corners: I64, codes: U8) -> I64:
    """For each way that leaves a corner the one that it goes on in; what no edge takes stays without meaning.

    Corners are sorted by row: the next one east is the next in the list, the next one south that of
    the list sorted by column.
    """
    count = len(corners)
    by_column = np.lexsort((corners[:, 1], corners[:, 0]))
    rank = np.empty(count, np.int64)
    rank[by_column] = np.arange(count)
    last = max(count - 1, 0)
    reached = np.stack(
        [
            np.minimum(np.arange(count) + 1, last),
            by_column[np.minimum(rank + 1, last)],
            np.maximum(np.arange(count) - 1, 0),
            by_column[np.maximum(rank - 1, 0)],
        ],
        axis=1,
    )
    turn = np.zeros((16, 4), np.int64)
    for code, turns in _TURNS.items():
        for coming, leaving in turns:
            turn[code, coming] = leaving
    following: I64 = (4 * reached + turn[codes[reached], np.arange(4)]).ravel()
    return following


def _simple(loop: list[int]) -> Iterator[list[int]]:
    """A way that comes to a corner twice is cut there into two."""
    path: list[int] = []
    place: dict[int, int] = {}
    for corner in loop:
        if corner in place:
            start = place[corner]
            yield path[start:]
            for gone in path[start:]:
                del place[gone]
            del path[start:]
        place[corner] = len(path)
        path.append(corner)
    if path:
        yield path


def _area(ring: I64) -> int:
    x, y = ring.T
    # Edges run along x or along y, so the sum of x * dy is the area.
    return int((x[:-1] * (y[1:] - y[:-1])).sum() + x[-1] * (y[0] - y[-1]))


def _pixel_beside(ring: I64) -> tuple[int, int]:
    """(y, x) of the pixel inside at the first edge."""
    (x, y), (to_x, to_y) = ring[:2].tolist()
    direction = (_EAST if to_x > x else _WEST) if to_y == y else (_SOUTH if to_y > y else _NORTH)
    down, right = _RIGHT_HAND[direction]
    return y + down, x + right
