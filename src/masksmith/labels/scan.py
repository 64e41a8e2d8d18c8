"""MaskScan: which values and colours a mask holds, how often, and whether in solid patches.

Rule: small whatever the mask holds, since a data set has many.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from masksmith.classes import pack, pack_pixels
from masksmith.labels.source import LabelSource, RawMask
from masksmith.limits import MAX_SCANNED_KEYS

Counts = dict[int, int]


@dataclass(frozen=True)
class MaskScan:
    """What one mask holds: pixel counts by value and by packed colour.

    ``values`` is None for a true colour mask, ``colors`` for one with values above 255. Where there
    are more than ``MAX_SCANNED_KEYS`` the most frequent are kept; ``distinct`` counts all.
    """

    path: Path
    values: Counts | None
    colors: Counts | None
    from_palette: bool = False
    palette: dict[int, int] = field(default_factory=dict)
    """The packed colour of each palette index that occurs."""
    names: tuple[str, ...] = ()
    bands: int = 1
    distinct: int = 0
    solid: Counts = field(default_factory=dict)
    """By key: pixels whose eight neighbours are like them. Blur makes keys that have none."""
    reader: str = "picture"
    masks: int = 1
    """How many masks these counts are of."""
    overlapping: bool = False
    """The values have a bit for each class; all of them are kept."""
    drawn_over: int = 0
    """Pixels in which a drawn region lies over one of another class."""
    measured: int = 0
    """Values but 0 whose patches were counted, each in each mask; of masks of many values none are."""
    torn: int = 0
    """Of these, the values in several patches."""

    @property
    def keys(self) -> Counts:
        """The values, or the colours of a colour mask."""
        return self.values if self.values is not None else self.colors or {}


def scan(raw: RawMask, source: LabelSource) -> MaskScan:
    """Count what a mask holds."""
    path, reader = source.path, source.reader
    if raw.overlapping and raw.values_HW is not None:
        counts, solid, distinct = _count(raw.values_HW, _is_solid(raw.values_HW), most=None)
        bits = MaskScan(path, counts, None, names=raw.names, bands=raw.bands, distinct=distinct, solid=solid)
        return replace(bits, reader=reader, overlapping=True)
    if raw.values_HW is not None:
        counts, solid, distinct = _count(raw.values_HW, _is_solid(raw.values_HW))
        colors: Counts | None = None
        palette: dict[int, int] = {}
        if raw.from_palette and raw.colors_HW3 is not None:
            palette = _palette(raw.values_HW, raw.colors_HW3)
            colors = {}
            for value, n in counts.items():
                colors[palette[value]] = colors.get(palette[value], 0) + n
        elif raw.colors_HW3 is not None:
            colors = {pack((v, v, v)): n for v, n in counts.items()}
        about = (raw.names, raw.bands, distinct, solid, reader)
        return MaskScan(path, counts, colors, raw.from_palette, palette, *about, drawn_over=raw.drawn_over)
    assert raw.colors_HW3 is not None  # noqa: S101  a mask has one or the other
    keys = pack_pixels(raw.colors_HW3)
    counts, solid, distinct = _count(keys, _is_solid(raw.colors_HW3))
    return MaskScan(path, None, counts, distinct=distinct, solid=solid, reader=reader)


def merged(scans: Iterable[MaskScan]) -> list[MaskScan]:
    """Scans that hold the same keys as one, so that a large set stays small."""
    found: dict[object, MaskScan] = {}
    for one in scans:
        key = (
            None if one.values is None else frozenset(one.values),
            None if one.colors is None else frozenset(one.colors),
            (
                one.from_palette,
                frozenset(one.palette.items()),
                one.names,
                one.bands,
                one.path.suffix.lower(),
                one.reader,
                one.overlapping,
            ),
        )
        before = found.get(key)
        found[key] = one if before is None else _sum(before, one)
    return list(found.values())


def _sum(a: MaskScan, b: MaskScan) -> MaskScan:
    return replace(
        a,
        values=_add(a.values, b.values),
        colors=_add(a.colors, b.colors),
        solid=_add(a.solid, b.solid) or {},
        distinct=max(a.distinct, b.distinct),
        masks=a.masks + b.masks,
        drawn_over=a.drawn_over + b.drawn_over,
        measured=a.measured + b.measured,
        torn=a.torn + b.torn,
    )


def _add(a: Counts | None, b: Counts | None) -> Counts | None:
    return None if a is None or b is None else {k: a.get(k, 0) + b.get(k, 0) for k in a.keys() | b.keys()}


def _is_solid(pixels: npt.NDArray[np.integer]) -> npt.NDArray[np.bool_]:
    kernel = np.ones((3, 3), np.uint8)
    small = pixels.astype(np.uint8 if pixels.size == 0 or pixels.max() < 256 else np.uint16)
    if small.size == 0:
        return np.zeros(small.shape[:2], bool)
    same = np.asarray(cv2.erode(small, kernel) == cv2.dilate(small, kernel))
    return np.asarray(same if same.ndim == 2 else same.all(axis=2), np.bool_)


def _count(
    keys_HW: npt.NDArray[np.integer], solid_HW: npt.NDArray[np.bool_], most: int | None = MAX_SCANNED_KEYS
) -> tuple[Counts, Counts, int]:
    if keys_HW.size == 0:
        return {}, {}, 0
    if int(keys_HW.max()) < 1 << 16:
        counts = np.bincount(keys_HW.ravel())
        keys = np.flatnonzero(counts)
        numbers = counts[keys]
        inside = np.bincount(keys_HW[solid_HW].ravel(), minlength=len(counts))[keys]
    else:
        keys, inverse, numbers = np.unique(keys_HW, return_inverse=True, return_counts=True)
        inside = np.bincount(inverse.reshape(keys_HW.shape)[solid_HW], minlength=len(keys))
    kept = np.argsort(-numbers, kind="stable")[:most]
    kept = kept[np.argsort(keys[kept])]
    return (
        {int(keys[i]): int(numbers[i]) for i in kept},
        {int(keys[i]): int(inside[i]) for i in kept if inside[i]},
        len(keys),
    )


def _palette(values_HW: npt.NDArray[np.integer], colors_HW3: npt.NDArray[np.integer]) -> dict[int, int]:
    present, first = np.unique(values_HW, return_index=True)
    flat = colors_HW3.reshape(-1, 3)
    return {int(v): pack([int(c) for c in flat[i]]) for v, i in zip(present, first, strict=True)}
