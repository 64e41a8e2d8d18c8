"""Fingerprint: what one scan of a data set saw.

Rule: numbers only; what they mean for a person is ``doctor``'s work, for a network the recipe's.
"""

from __future__ import annotations

import math
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from masksmith.classes import IGNORE, ClassTable
from masksmith.data.facts import MaskFacts, PairFacts, PictureFacts
from masksmith.data.pairing import Pair
from masksmith.data.preprocessing import Preprocessing, from_statistics
from masksmith.data.things import Things

F64 = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ClassFacts:
    """One class over all pictures; the things are its connected patches."""

    things: int
    thing_area_px: float
    """The median over the pictures of their median thing."""
    width_px: float
    """How thick it is on average."""
    mean_C: tuple[float, ...]
    std_C: tuple[float, ...]
    """Of the picture's values in it; empty where no training picture holds it."""
    lean: tuple[float, float] = (0.0, 0.0)
    """How far from the middle of a picture it lies on average: shares of the height (down) and of the width (right)."""
    lean_error: tuple[float, float] = (math.inf, math.inf)
    """The standard error of both."""


@dataclass(frozen=True)
class Fingerprint:
    """All pairs together; ``class_pixels`` and ``class_pictures`` are by split, then class.

    The last column of ``class_pixels`` counts ignored pixels.
    """

    pictures: dict[str, int]
    sizes: dict[tuple[int, int], int]
    """(height, width) -> pictures."""
    preprocessing: Preprocessing
    train_sizes: tuple[tuple[int, int], ...]
    """(height, width) of each training picture, in the order of the data set."""
    train_pixels: tuple[tuple[int, ...], ...]
    """The pixels of each class in each of them."""
    class_pixels: dict[str, list[int]]
    class_pictures: dict[str, list[int]]
    classes: tuple[ClassFacts, ...] = ()
    counted_pixels: dict[str, int] = field(default_factory=dict)
    """By split, where classes overlap: the pixels that are not ignored, of whatever classes."""
    light: tuple[float, float] = (0.0, 0.0)
    """How the training pictures differ in brightness (the deviation of their means, as a share of that of all pixels)
    and in contrast (the deviation of the logarithms of their own deviations)."""
    spacing: float | None = None
    """The median side of a pixel on the earth, in the units of the coordinate system."""

    def counted(self, split: str) -> int:
        """The pixels of a part that count: of these a class has its share."""
        return self.counted_pixels.get(split, sum(self.class_pixels[split][:-1]))

    @property
    def median_side(self) -> int:
        """The median over the pictures of the shorter side, in pixels."""
        sides = sorted((min(h, w), n) for (h, w), n in self.sizes.items())
        half, seen = sum(n for _, n in sides) // 2, 0
        for side, n in sides:
            seen += n
            if seen > half:
                return side
        return sides[-1][0]


@dataclass
class _OfClass:
    """What adds up over the pictures that hold a class."""

    count: int = 0
    areas: array[float] = field(default_factory=lambda: array("f"))
    pixels: float = 0.0
    width: float = 0.0
    center: F64 = field(default_factory=lambda: np.zeros((2, 2)))
    """Sums of the distances from the middle, and of their squares, over height and width."""
    train: dict[int, F64] = field(default_factory=dict)
    """Channels measured -> weight, means and mean squares, weighted by pixels: float64 (3, C)."""

    def add(self, pixels: int, things: Things, *, is_train: bool) -> None:
        """The things of one picture."""
        self.count += things.count
        self.areas.append(things.area)
        self.pixels += pixels
        self.width += pixels * things.width
        lean = np.array(things.center) - 0.5
        self.center += [lean, lean**2]
        if is_train:
            row = pixels * np.array([np.ones(len(things.mean_C)), things.mean_C, things.square_C])
            before = self.train.get(len(things.mean_C))
            self.train[len(things.mean_C)] = row if before is None else before + row

    def facts(self) -> ClassFacts:
        """All pictures together."""
        if not self.areas:
            return ClassFacts(0, 0.0, 0.0, (), ())
        mean: tuple[float, ...] = ()
        std: tuple[float, ...] = ()
        if self.train:
            weight, total, square = self.train[max(self.train)]
            centre = total / weight
            mean = tuple(centre.tolist())
            std = tuple(np.sqrt(np.maximum(square / weight - centre**2, 0)).tolist())
        n = len(self.areas)
        lean, square = self.center / n
        error = np.sqrt(np.maximum(square - lean**2, 0) / (n - 1)) if n > 1 else np.full(2, math.inf)
        return ClassFacts(
            self.count,
            float(np.median(self.areas)),
            self.width / self.pixels,
            mean,
            std,
            (float(lean[0]), float(lean[1])),
            (float(error[0]), float(error[1])),
        )


@dataclass
class _Sums:
    """What adds up over the pictures."""

    pictures: Counter[str] = field(default_factory=Counter)
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    dtypes: Counter[str] = field(default_factory=Counter)
    train_sizes: list[tuple[int, int]] = field(default_factory=list)
    train_pixels: list[tuple[int, ...]] = field(default_factory=list)
    train: dict[int, F64] = field(default_factory=dict)
    whole: dict[int, F64] = field(default_factory=dict)
    """Channels -> sums, squares and counts, float64 (3, C): of the training part, and of all."""
    pixels: dict[str, F64] = field(default_factory=dict)
    holders: dict[str, F64] = field(default_factory=dict)
    counted: Counter[str] = field(default_factory=Counter)
    spacings: list[float] = field(default_factory=list)
    light: list[tuple[float, float]] = field(default_factory=list)
    """Mean and variance of each training picture, over all of its channels."""
    things: dict[int, _OfClass] = field(default_factory=lambda: defaultdict(_OfClass))


def summarize(seen: Iterable[tuple[Pair, PairFacts]], splits: Iterable[str], table: ClassTable) -> Fingerprint | None:
    """The fingerprint of pairs that agree in dtype; grey and colour count as colour together.

    Args:
        seen: the pairs and their facts.
        splits: the part of each.
        table: says which class each key of a mask is.

    Returns:
        None where no pair was readable. Statistics are of the training part alone, or of all where
        there is none.
    """
    sums = _Sums()
    for (_, facts), split in zip(seen, splits, strict=True):
        if facts.picture is None or facts.mask is None:
            continue
        if (facts.mask.height, facts.mask.width) != (facts.picture.height, facts.picture.width):
            continue
        _add_picture(sums, facts.picture, split)
        _add_mask(sums, facts.mask, split, table)
    if not sums.pictures:
        return None
    channels, mean, std = _statistics(sums.train or sums.whole, sums.whole)
    return Fingerprint(
        pictures=dict(sums.pictures),
        sizes=dict(sums.sizes),
        preprocessing=from_statistics(channels, sums.dtypes.most_common(1)[0][0], mean.tolist(), std.tolist()),
        train_sizes=tuple(sums.train_sizes),
        train_pixels=tuple(sums.train_pixels),
        class_pixels={s: [int(n) for n in counts] for s, counts in sorted(sums.pixels.items())},
        class_pictures={s: [int(n) for n in counts] for s, counts in sorted(sums.holders.items())},
        classes=tuple(sums.things[i].facts() for i in range(len(table))),
        counted_pixels=dict(sums.counted) if table.overlapping else {},
        light=_light(sums.light),
        spacing=float(np.median(sums.spacings)) if sums.spacings else None,
    )


def _add_picture(sums: _Sums, picture: PictureFacts, split: str) -> None:
    sums.pictures[split] += 1
    sums.sizes[picture.height, picture.width] += 1
    sums.dtypes[picture.dtype] += 1
    if split == "train":
        sums.train_sizes.append((picture.height, picture.width))
    row: F64 = np.array([picture.sum_C, picture.square_C, picture.count_C])
    if split == "train" and row[2].sum() > 0:
        mean, square = row[:2].sum(axis=1) / row[2].sum()
        sums.light.append((float(mean), max(0.0, float(square - mean**2))))
    for known in (sums.whole, *([sums.train] if split == "train" else [])):
        before = known.get(picture.channels)
        known[picture.channels] = row if before is None else np.add(before, row)
    if picture.bounds is not None:
        sums.spacings.append((picture.bounds[2] - picture.bounds[0]) / max(1, picture.width))


def _light(pictures: list[tuple[float, float]]) -> tuple[float, float]:
    means, variances = np.array(pictures, np.float64).reshape(-1, 2).T
    inside = float(variances.mean()) if len(variances) else 0.0
    if len(means) < 2 or inside == 0:
        return 0.0, 0.0
    # Pictures of one value have no contrast that could differ.
    contrasts = 0.5 * np.log(variances[variances > 1e-6 * inside])
    return float(means.std() / math.sqrt(inside + means.var())), float(contrasts.std())


def _statistics(moments: dict[int, F64], whole: dict[int, F64]) -> tuple[int, F64, F64]:
    """Channels, mean and deviation; sums of grey pictures count for each colour."""
    channels = max(moments)
    if channels == 1:  # a single colour picture, in whatever part, makes all count as colour
        channels = max(whole)
    fitting = [np.broadcast_to(m, (3, channels)) for n, m in moments.items() if n in (1, channels)]
    total, square, count = np.sum(fitting, axis=0)
    count = np.maximum(count, 1)
    mean = total / count
    return channels, mean, np.sqrt(np.maximum(square / count - mean**2, 0))


def _add_mask(sums: _Sums, mask: MaskFacts, split: str, table: ClassTable) -> None:
    counts = mask.counts(table.encoding) or {}
    answers = table.resolve(counts, mask.scan.names)
    pixels = np.zeros(len(table) + 1)
    for key, n in counts.items():
        answer = answers[key]
        if answer is None:
            continue
        columns = table.columns(answer)
        pixels[columns] += n
        sums.counted[split] += 0 if columns == [-1] else n
    if table.overlapping:
        _add_layers(sums, mask, split, table)
    else:
        for key, n, things in mask.known_things(table.encoding):
            answer = answers.get(key)
            if answer is not None and answer != IGNORE:
                sums.things[answer].add(n, things, is_train=split == "train")
    if split == "train":
        sums.train_pixels.append(tuple(pixels[:-1].astype(np.int64).tolist()))
    for known, counted in ((sums.pixels, pixels), (sums.holders, (pixels[:-1] > 0).astype(np.float64))):
        known[split] = np.add(known.get(split, np.zeros_like(counted)), counted)


def _add_layers(sums: _Sums, mask: MaskFacts, split: str, table: ClassTable) -> None:
    """The things of classes that overlap are by layer, and counts by what lies together."""
    for key, answer in table.resolve(mask.things, mask.scan.names).items():
        for index in table.columns(answer) if answer is not None else ():
            n = sum(n for bits, n in mask.scan.keys.items() if bits & key)
            if index >= 0:
                sums.things[index].add(n, mask.things[key], is_train=split == "train")
