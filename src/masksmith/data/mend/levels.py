"""Which values or colours a set of blurred masks had before: those of their even patches.

Rule: a class that compression has touched everywhere is still found, by how little it varies.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import cv2
import numpy as np

from masksmith import labels
from masksmith.classes import pack_pixels, unpack
from masksmith.data.mend.item import Item
from masksmith.labels import Grid, MaskScan
from masksmith.limits import MAX_UNNAMED_VALUES

# JPEG varies a patch by this much (out of 255) in the eight neighbours of a pixel; an edge more.
_EVEN = 16
# Keys nearer than this are one, slightly off.
_NEAR = 40
# A smaller share of all even pixels is noise.
_LEAST_SHARE = 0.002
# A mask has even patches in this share of its pixels, and this share of them near a few levels;
# the values of a photograph, even of a smooth one, lie everywhere.
_EVEN_SHARE, _LEVEL_SHARE = 0.3, 0.8
# Keys that are looked at, the most frequent: a blurred mask has few others, a photograph most.
_MOST_KEYS = 2000
# Masks that are looked at; more would say the same.
_MOST_MASKS = 200


def scan_of_levels(items: Sequence[Item]) -> MaskScan:
    """What one sharp mask with all values of the set would hold."""
    counts: Counter[int] = Counter()
    colors = any(i.mask.scan.values is None for i in items)
    step = max(1, len(items) // _MOST_MASKS)
    for item in items[::step]:
        counts.update(_even(item, colors=colors))
    kept = {level: sum(members.values()) for level, members in _levels(counts, colors=colors).items()}
    least = _LEAST_SHARE * sum(kept.values())
    levels = {k: n for k, n in sorted(kept.items()) if n >= least}
    path = items[0].pair.mask.with_suffix(".png")  # by its ending a JPEG would be taken for blurred
    values = None if colors else levels
    return MaskScan(path, values, levels if colors else None, distinct=len(levels), solid=levels)


def is_photograph(item: Item) -> bool:
    """Whether a mask has the many values of a photograph, and not the levels of a mask under them."""
    scan = item.mask.scan
    pixels, patches = sum(scan.keys.values()), sum(scan.solid.values())
    if scan.reader != "picture" or scan.distinct <= MAX_UNNAMED_VALUES or patches >= _EVEN_SHARE * pixels:
        return False
    colors = scan.values is None
    counts = _even(item, colors=colors)
    even = sum(counts.values())
    if even < _EVEN_SHARE * item.mask.height * item.mask.width:
        return True
    near = sum(
        n
        for level, members in _levels(counts, colors=colors).items()
        for key, n in members.items()
        if _distance(level, key, colors=colors) <= _EVEN
    )
    return near < _LEVEL_SHARE * even


def _levels(counts: Counter[int], *, colors: bool) -> dict[int, Counter[int]]:
    """The most frequent keys, each with all that are near it."""
    found: dict[int, Counter[int]] = {}
    for key, n in counts.most_common(_MOST_KEYS):
        near = next((k for k in found if _distance(k, key, colors=colors) <= _NEAR), key)
        found.setdefault(near, Counter())[key] += n
    return found


def _even(item: Item, *, colors: bool) -> Counter[int]:
    raw = labels.read_raw(item.pair.label, Grid(item.pair.image, *item.size))
    pixels = raw.colors_HW3 if colors else raw.values_HW
    if pixels is None or pixels.size == 0 or pixels.max() > 255:
        return Counter()
    small = np.ascontiguousarray(pixels, np.uint8)
    kernel = np.ones((3, 3), np.uint8)
    span = cv2.dilate(small, kernel) - cv2.erode(small, kernel)
    even = span <= _EVEN if span.ndim == 2 else (span <= _EVEN).all(axis=2)
    keys = pack_pixels(small) if colors else small.astype(np.int64)
    found, numbers = np.unique(keys[even], return_counts=True)
    return Counter(dict(zip(found.tolist(), numbers.tolist(), strict=True)))


def _distance(a: int, b: int, *, colors: bool) -> float:
    if not colors:
        return abs(a - b)
    return float(sum((x - y) ** 2 for x, y in zip(unpack(a), unpack(b), strict=True)) ** 0.5)
