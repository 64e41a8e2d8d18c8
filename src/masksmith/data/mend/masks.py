"""A mask as class indices on its picture's grid: read, snapped, turned, resized, exchanged.

Rule: what nothing speaks for is ignored (255), never given to a class.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from masksmith import images, labels
from masksmith.classes import IGNORE, U8, ClassTable
from masksmith.data import alignment, signature
from masksmith.data.mend.item import Item
from masksmith.data.mend.readings import Reading
from masksmith.errors import DataError
from masksmith.labels import Grid, RawMask

F32 = npt.NDArray[np.float32]

# Ways back for a mask whose height and width are exchanged.
_SWAPS = ("transposed", "turned left", "turned right")
# One way fits clearly better than another by this much of a correlation; less is decided by the set.
_CLEARLY = 0.05
# A mask that was padded fits this much better where it is cut than where it is resampled.
_CUT_FITS, _LEAST_FIT = 1.2, 0.12
# Rims that blur makes between two classes are narrower than twice this.
_RIM_PX = 3
# Detours from class to class by way of a rim's value; a colour of its own lies farther off.
_DETOUR, _NOISE = 1.15, 3.0
# Classes in one mask among which rims are looked for, pair by pair.
_MOST_CLASSES = 24


@dataclass(frozen=True)
class Mended:
    """Class indices, and what was done to get them: (what, why as a kind of finding)."""

    indices_HW: U8
    done: tuple[tuple[str, str], ...] = ()


def read(item: Item, reading: Reading) -> tuple[U8, int]:
    """Class indices of a mask as it lies in its file, and how many pixels were snapped or ignored for it.

    Raises:
        DataError: it cannot be read, or not by this table.
    """
    raw = labels.read_raw(item.pair.label, Grid(item.pair.image, *item.size))
    pixels = _pixels(raw, reading.table, item)
    found = reading.table.resolve(_present(pixels, reading.table), raw.names)
    unknown = [k for k, index in found.items() if index is None]
    keys = _keys(pixels, reading.table)
    # A key above every class can take no entry of a table of 256.
    present = np.array(sorted(found), np.int64)
    answers = np.array([IGNORE if found[int(k)] is None else found[int(k)] for k in present], np.uint8)
    out: U8 = answers[np.searchsorted(present, keys)]
    strange = np.isin(keys, unknown)
    if reading.snap and reading.table.encoding in {"value", "color"}:
        near = snapped(pixels, reading.table)
        return near, int((strange | (near != out)).sum())
    return out, int(strange.sum())


def _pixels(raw: RawMask, table: ClassTable, item: Item) -> npt.NDArray[np.integer]:
    pixels = raw.colors_HW3 if table.encoding == "color" else raw.values_HW
    if pixels is None:
        raise DataError(
            where=item.pair.mask,
            expected="colours as in the other masks" if table.encoding == "color" else "values as in the other masks",
            received="a mask of another kind",
            remedy="save all masks in one way",
        )
    return pixels


def _keys(pixels: npt.NDArray[np.integer], table: ClassTable) -> npt.NDArray[np.int64]:
    from masksmith.classes import pack_pixels

    return pack_pixels(pixels) if table.encoding == "color" else pixels.astype(np.int64)


def _present(pixels: npt.NDArray[np.integer], table: ClassTable) -> list[int]:
    return [int(k) for k in np.unique(_keys(pixels, table))]


def snapped(pixels: npt.NDArray[np.integer], table: ClassTable) -> U8:
    """The nearest class for each pixel; on the rim between two classes the nearer of these two.

    Between the values of two classes may lie that of a third, which the rim has no part of.
    """
    entries = table.entries
    keys = np.array([e.color if table.encoding == "color" else (e.value,) for e in entries], np.float32)
    values = pixels.reshape(*pixels.shape[:2], -1).astype(np.float32)
    nearest = np.zeros(pixels.shape[:2], np.int64)
    least = np.full(pixels.shape[:2], np.inf, np.float32)
    for number, key in enumerate(keys):
        away = _distance(values, key)
        nearest[away < least] = number
        least = np.minimum(away, least)
    indices = {e.name: i for i, e in enumerate(table.classes)}
    answers = np.array([IGNORE if e.ignored else indices[e.name] for e in entries], np.uint8)
    out: U8 = answers[_without_rims(values, nearest, keys)]
    return out


def _without_rims(values: F32, nearest: npt.NDArray[np.int64], keys: F32) -> npt.NDArray[np.int64]:
    present = [int(n) for n in np.unique(nearest)]
    if not 2 < len(present) <= _MOST_CLASSES:
        return nearest
    side = 2 * _RIM_PX + 1
    near = {}
    for n in present:
        core = cv2.erode((nearest == n).astype(np.uint8), np.ones((3, 3), np.uint8))
        near[n] = cv2.dilate(core, np.ones((side, side), np.uint8)) > 0
    own = np.zeros(nearest.shape, np.bool_)
    for n in present:
        own |= near[n] & (nearest == n)
    out: npt.NDArray[np.int64] = nearest.copy()
    for a, b in combinations(present, 2):
        to_a, to_b = _distance(values, keys[a]), _distance(values, keys[b])
        way = float(np.linalg.norm(keys[a] - keys[b]))
        rim = near[a] & near[b] & ~own & (to_a + to_b <= _DETOUR * way + _NOISE)
        out[rim] = np.where(to_a <= to_b, a, b)[rim]
    return out


def _distance(values_HWC: F32, key: F32) -> F32:
    out: F32 = np.sqrt(np.square(values_HWC - key).sum(axis=2))
    return out


def swaps(items: Sequence[Item], readings: Sequence[Reading]) -> dict[int, str]:
    """How masks with exchanged sides are turned back: as their edges say, in doubt as those of all do."""
    scores: dict[int, dict[str, float]] = {}
    for item, reading in zip(items, readings, strict=True):
        if item.mask_size == item.size or item.mask_size != item.size[::-1]:
            continue
        indices, _ = read(item, reading)
        grey = signature.grey(images.read_channels(item.pair.images).pixels_HWC)
        scores[item.number] = {name: _fit(grey, alignment.TURNS[name](indices)) for name in _SWAPS}
    totals = {name: sum(s[name] for s in scores.values()) for name in _SWAPS}
    usual = max(totals, key=lambda name: totals[name])
    found = {}
    for number, score in scores.items():
        best = max(score, key=lambda name: score[name])
        found[number] = best if score[best] > score[usual] + _CLEARLY else usual
    return found


def mended(item: Item, reading: Reading, turns: Mapping[int, str], *, inverted: bool) -> Mended:
    """The mask of an item on its picture's grid.

    Args:
        item: the pair.
        reading: how its values are read.
        turns: how masks are turned back, by the number of the item.
        inverted: the two classes are to be exchanged.
    """
    indices, unknown = read(item, reading)
    swapped = item.mask_size != item.size
    done = []
    if reading.odd:
        done.append(("written as the other masks", "encoding"))
    if unknown and reading.snap:
        done.append((f"{unknown} pixels snapped to the nearest class", "lossy"))
    elif unknown:
        done.append((f"{unknown} pixels ignored", "undefined"))
    if item.number in turns:
        indices = np.ascontiguousarray(alignment.TURNS[turns[item.number]](indices))
        done.append((f"turned back ({turns[item.number]})", "transposed" if swapped else "turned"))
    elif indices.shape != item.size:
        indices, how = _fitted(indices, item)
        done.append((how, "size"))
    if inverted:
        indices = np.where(indices < 2, 1 - indices, indices).astype(np.uint8)
        done.append(("inverted", "inverted"))
    return Mended(indices, tuple(done))


def _fitted(indices: U8, item: Item) -> tuple[U8, str]:
    """Resampled to the picture's size; cut where the mask was padded, as its edges say."""
    height, width = item.size
    resampled = cv2.resize(indices, (width, height), interpolation=cv2.INTER_NEAREST)
    how = f"resampled from {indices.shape[1]}×{indices.shape[0]} to {width}×{height}"
    down, right = indices.shape[0] - height, indices.shape[1] - width
    if min(down, right) < 0:
        return _u8(resampled), how
    grey = signature.grey(images.read_channels(item.pair.images).pixels_HWC)
    best = max(_LEAST_FIT, _CUT_FITS * _fit(grey, resampled))
    out = resampled
    for y, x in ((0, 0), (down // 2, right // 2)):
        cut = np.ascontiguousarray(indices[y : y + height, x : x + width])
        score = _fit(grey, cut)
        if score > best:
            best, out, how = score, cut, f"cut from {indices.shape[1]}×{indices.shape[0]} to {width}×{height}"
    return _u8(out), how


def _fit(grey_HW: F32, indices_HW: npt.NDArray[Any]) -> float:
    measured = alignment.measure(grey_HW, indices_HW)
    return 0.0 if measured is None else measured.here


def _u8(values: npt.NDArray[Any]) -> U8:
    return np.ascontiguousarray(values, np.uint8)


def written_table(table: ClassTable, *, ignores: bool) -> ClassTable:
    """The table of the copy: the value of a class is its index, what is ignored counts down from 255.

    Args:
        table: the classes.
        ignores: whether pixels are ignored that the table does not know.
    """
    from masksmith.classes import Entry

    classes = [replace(e, value=i) for i, e in enumerate(table.classes)]
    room = range(IGNORE, len(classes) - 1, -1)
    ignored = [replace(e, value=v) for e, v in zip(table.ignored, room, strict=False)]
    if ignores and not ignored:
        ignored = [Entry("ignored", (255, 255, 255), IGNORE, ignored=True)]
    return ClassTable((*classes, *ignored), "value")


def palette(table: ClassTable) -> U8:
    """256 colours: those of the classes and of what is ignored at their values."""
    out = np.zeros((256, 3), np.uint8)
    out[IGNORE] = 255
    for entry in table.entries:
        out[entry.value] = entry.color
    return out
