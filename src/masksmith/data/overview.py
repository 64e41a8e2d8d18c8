"""Overview: the facts of all pairs side by side, under a class table, for the checks.

Rule: columns of figures, so that a set of any size fits; the pictures' own pixels are gone.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from masksmith.classes import IGNORE, ClassTable
from masksmith.data import signature
from masksmith.data.facts import MaskFacts, PairFacts, PictureFacts
from masksmith.data.pairing import Pair
from masksmith.labels import blur
from masksmith.labels.numbers import MARKS
from masksmith.limits import MAX_UNNAMED_VALUES

# A mask is made of patches; of a photograph hardly a pixel is like all its neighbours.
_PATCHES = 0.5


@dataclass(frozen=True, slots=True)
class Row:
    """What the checks need of a pair beside its signatures."""

    height: int
    width: int
    channels: int
    dtype: str
    low: float
    high: float
    at_low: float
    at_high: float
    finite: bool
    mask_size: tuple[int, int] | None
    is_picture: bool
    here: float
    turn: str
    turned: float
    shift_px: tuple[float, float]
    shifted: float
    bounds: tuple[float, float, float, float] | None
    epsg: int | None


@dataclass
class Overview:
    """Rows by pair; None where the picture could not be read."""

    table: ClassTable | None
    pairs: list[Pair] = field(default_factory=list)
    rows: list[Row | None] = field(default_factory=list)
    digests: list[bytes] = field(default_factory=list)
    thumbs: list[bytes] = field(default_factory=list)
    strips: list[bytes] = field(default_factory=list)
    sketches: list[bytes] = field(default_factory=list)
    class_pixels: list[npt.NDArray[np.int64] | None] = field(default_factory=list)
    """Pixels of class 0 … K - 1 and of the ignored ones; None where the mask is unknown."""
    class_greys: list[npt.NDArray[np.float32] | None] = field(default_factory=list)
    """Of two classes the mean grey of the picture in each, NaN where it does not occur."""
    numbers: list[tuple[int, int] | None] = field(default_factory=list)
    """How many values a mask has if they are 1 … n, else -1; in several patches of them. None without a mask."""
    unknown: dict[int, dict[int, int]] = field(default_factory=dict)
    """By the number of the pair: keys that no class has, with their pixels."""
    names: dict[int, tuple[str, ...]] = field(default_factory=dict)
    """By the number of the pair: what unknown keys count in, where regions were drawn."""
    blurred: set[int] = field(default_factory=set)
    """Pairs whose unknown keys lie on edges alone, or come from a lossy format."""
    many: set[int] = field(default_factory=set)
    """Pairs whose masks hold more values than any set of classes."""
    drawn_over: dict[int, float] = field(default_factory=dict)
    """By the number of the pair: the share of its drawn pixels where another class was drawn over."""
    unnamed: dict[int, str] = field(default_factory=dict)
    """By the number of the pair: a mask that cannot be read as the table wants it."""


def survey(seen: Iterable[tuple[Pair, PairFacts]], table: ClassTable | None) -> Overview:
    """Put the facts of all pairs side by side."""
    view = Overview(table)
    sizes: dict[tuple[int, int], tuple[int, int]] = {}
    for number, (pair, facts) in enumerate(seen):
        picture, mask = facts.picture, facts.mask
        view.pairs.append(pair)
        view.rows.append(None if picture is None else _row(picture, mask, sizes))
        view.digests.append(b"" if picture is None else picture.digest)
        view.thumbs.append(b"" if picture is None else picture.thumb)
        is_tile = signature.TILE_NAME.match(pair.name.rsplit("/", 1)[-1]) is not None
        view.strips.append(picture.strips if picture is not None and is_tile else b"")
        view.sketches.append(b"" if picture is None else picture.sketch)
        if mask is not None and mask.scan.drawn_over:
            drawn = sum(n for key, n in mask.scan.keys.items() if key)
            view.drawn_over[number] = min(1.0, mask.scan.drawn_over / max(1, drawn))
        view.numbers.append(None if mask is None else _counting(mask))
        pixels, greys = (None, None) if mask is None or table is None else _classes(view, number, mask, table)
        view.class_pixels.append(pixels)
        view.class_greys.append(greys)
    return view


def _row(picture: PictureFacts, mask: MaskFacts | None, sizes: dict[tuple[int, int], tuple[int, int]]) -> Row:
    aligned = None if mask is None else mask.alignment
    # Of many pictures most have one size and no clipped values: equal things are kept once.
    size = sizes.setdefault((picture.height, picture.width), (picture.height, picture.width))
    mask_size = None if mask is None else sizes.setdefault((mask.height, mask.width), (mask.height, mask.width))
    return Row(
        *size,
        picture.channels,
        sys.intern(picture.dtype),
        picture.low or 0.0,
        picture.high,
        picture.at_low or 0.0,
        picture.at_high or 0.0,
        sum(picture.count_C) > 0,
        mask_size,
        mask is not None and mask.is_picture,
        0.0 if aligned is None else aligned.here,
        "" if aligned is None else sys.intern(aligned.turn),
        0.0 if aligned is None else aligned.turned,
        (0.0, 0.0) if aligned is None else aligned.shift_px,
        0.0 if aligned is None else aligned.shifted,
        picture.bounds,
        picture.epsg,
    )


def _counting(mask: MaskFacts) -> tuple[int, int]:
    if mask.scan.overlapping:
        return -1, 0
    values = sorted(k for k in mask.scan.values or {} if k and k not in MARKS)
    # A value that is too small for what is measured of a large picture is in no thing.
    torn = sum(k in mask.things and mask.things[k].count > 1 for k in values)
    return len(values) if values == list(range(1, len(values) + 1)) else -1, torn


def _classes(
    view: Overview, number: int, mask: MaskFacts, table: ClassTable
) -> tuple[npt.NDArray[np.int64] | None, npt.NDArray[np.float32] | None]:
    scan = mask.scan
    if scan.distinct > MAX_UNNAMED_VALUES and sum(scan.solid.values()) < _PATCHES * sum(scan.keys.values()):
        view.many.add(number)
    counts = mask.counts(table.encoding)
    if counts is None:
        view.unnamed[number] = "a colour mask" if table.encoding != "color" else "values above 255"
        return None, None
    answers = table.resolve(counts, scan.names)
    pixels = np.zeros(len(table) + 1, np.int64)
    greys = np.full(len(table), np.nan, np.float32)
    unknown = {}
    for key, n in counts.items():
        answer = answers[key]
        if answer is None:
            unknown[key] = n
            continue
        pixels[table.columns(answer)] += n
    if not table.overlapping:
        for key, _, things in mask.known_things(table.encoding):
            answer = answers.get(key)
            if answer is not None and answer != IGNORE:
                greys[answer] = np.mean(things.mean_C)
    if unknown:
        view.unknown[number] = table.strange(unknown, scan.names)
        view.names[number] = scan.names if table.encoding == "name" else ()
        edges = sum(k not in scan.solid for k in unknown) if counts is scan.keys else 0
        if blur.is_lossy(scan.path) or (edges >= blur.FEWEST and 2 * edges >= len(unknown)):
            view.blurred.add(number)
    return pixels, greys if len(table) == 2 else None
