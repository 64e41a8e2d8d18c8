"""Choose how masks are cleaned from pictures whose truth is known: thresholds, regions, holes.

Rule: what is told of a choice was measured on pictures that had no part in it, but for which of the three steps
are taken: one that does not help there is left out. The same pictures give the same choice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from masksmith.classes import ClassTable
from masksmith.data.batches import PairReader
from masksmith.errors import DataError
from masksmith.inference import thresholds
from masksmith.inference.answering import Answering, choose
from masksmith.inference.cleanup import CleanupSettings, clean
from masksmith.inference.evaluate import counter
from masksmith.inference.prediction import Prediction
from masksmith.keys import Mask, as_mask, is_ignored
from masksmith.limits import MAX_RESIZED_PIXELS, MAX_TUNED_BYTES, MAX_TUNED_VALUES
from masksmith.metrics import Confusion, Figures, Layers, summarize

SIZES_PX = (4, 8, 16, 32, 64, 128, 256, 512, 1024)
"""What is tried for regions and holes, besides leaving them alone."""

LEAST_GAIN = 0.001
"""Of the mean IoU on pictures that had no part in the choice: less is not worth a file."""

# What a single step must bring, so that nothing is kept for a handful of pixels.
_LEAST_STEP = 1e-4
# A size that costs as much will not help when it is larger still.
_HOPELESS = 0.02
# However large the pictures are, the middles of so many are seen.
_LEAST_PICTURES = 8

_NO_PIXELS = np.zeros((0, 0, 0), np.uint8)


@dataclass(frozen=True)
class Seen:
    """A picture that was predicted: probabilities in 16 bits, truth, and what it belongs together with."""

    probabilities_KHW: npt.NDArray[np.float16]
    truth_HW: Mask
    group: str = ""
    valid_HW: npt.NDArray[np.bool_] | None = None
    """As of :class:`Prediction`."""


Judged = Sequence[tuple[Sequence[Seen], CleanupSettings]]
"""Pictures, and the settings that are judged on them."""


@dataclass(frozen=True)
class Tuned:
    """The settings, chosen on all pictures, and the figures without them and with them."""

    settings: CleanupSettings
    before: Figures
    """Of the network alone, on all pictures."""
    after: Figures
    """Each half of the pictures cleaned as the other half has chosen."""
    pictures: int

    @property
    def gain(self) -> float:
        """Of the mean IoU, on pictures that had no part in the choice."""
        return (self.after.mean["iou"] or 0.0) - (self.before.mean["iou"] or 0.0)

    @property
    def is_worth(self) -> bool:
        """Whether the settings are worth keeping."""
        return self.gain > LEAST_GAIN and self.settings != CleanupSettings()


def remember(segmenter: Answering, reader: PairReader, progress: Callable[[int, int], None]) -> list[Seen]:
    """Predict each picture once, as many as memory is meant for; a huge one in its middle alone."""
    most_px = MAX_TUNED_BYTES // (2 * len(reader.table))
    kept: dict[int, Seen] = {}
    held_px = 0
    for done, index in enumerate(_spread(len(reader)), 1):
        pixels, truth, valid_HW = reader.read_valid(index)
        middle = _middle(truth.shape[0], truth.shape[1], most_px // _LEAST_PICTURES)
        held_px += truth[middle].size
        if held_px > most_px:
            break
        found_KHW = segmenter.probabilities(pixels)[:, middle[0], middle[1]]
        valid_HW = None if valid_HW is None else valid_HW[middle].copy()
        kept[index] = Seen(found_KHW.astype(np.float16), truth[middle].copy(), reader.pairs[index].group, valid_HW)
        progress(done, len(reader))
    progress(len(reader), len(reader))
    return [kept[index] for index in sorted(kept)]


def tune(pictures: Sequence[Seen], table: ClassTable) -> Tuned:
    """Choose thresholds, then the least region, then the largest hole to fill.

    Each step is chosen on either half of the pictures and judged on the other one. If it helps there it
    is taken, as chosen on all pictures.

    Raises:
        DataError: fewer than two pictures, or groups of them.
    """
    first, second = _halves(pictures)
    parts = (first, second, pictures)
    judge = _Judge(table, _few(pictures))
    settings = [CleanupSettings()] * len(parts)
    crossed = [(second, settings[0]), (first, settings[1])]
    before = _counted(crossed, table)
    for step in (_thresholds, _regions, _holes):
        tried = [step(part, judge, chosen) for part, chosen in zip(parts, settings, strict=True)]
        if tried == settings:
            continue
        other = [(second, tried[0]), (first, tried[1])]
        if judge.miou(other) > judge.miou(crossed) + _LEAST_STEP:
            settings, crossed = tried, other
    after = _counted(crossed, table)
    return Tuned(settings[2], summarize(before, table.names), summarize(after, table.names), len(pictures))


def _spread(count: int) -> list[int]:
    """All numbers below ``count``, any first of them spread evenly.

    >>> _spread(5)
    [0, 4, 2, 1, 3]
    """
    digits = max(1, (count - 1).bit_length())
    return sorted(range(count), key=lambda index: f"{index:0{digits}b}"[::-1])


def _middle(height: int, width: int, most_px: int) -> tuple[slice, slice]:
    """The part of a picture that is kept: all of it, or its middle."""
    share = min(1.0, (most_px / (height * width)) ** 0.5)
    rows, columns = (max(1, int(side * share)) for side in (height, width))
    top, left = (height - rows) // 2, (width - columns) // 2
    return slice(top, top + rows), slice(left, left + columns)


def _halves(pictures: Sequence[Seen]) -> tuple[list[Seen], list[Seen]]:
    """In four blocks dealt in turn: neighbours, which may show one thing, stay together, and groups always do."""
    names = [picture.group or f"\0{number}" for number, picture in enumerate(pictures)]
    units = {name: place for place, name in enumerate(dict.fromkeys(names))}
    if len(units) < 2:
        raise DataError(
            where="validation part",
            expected="two pictures or more, not of one group: one half chooses, the other judges",
            received=str(len(units)),
            remedy="name a folder with more, as in masksmith tune RUN DATA",
        )
    blocks = 4 if len(units) >= 4 else 2
    sides = [units[name] * blocks // len(units) % 2 for name in names]
    first, second = ([p for p, own in zip(pictures, sides, strict=True) if own == side] for side in (0, 1))
    return first, second


def _few(pictures: Sequence[Seen]) -> frozenset[int]:
    """The ids of those that sizes are tried on: all, or some that are spread evenly."""
    held_px = 0
    few: set[int] = set()
    for index in _spread(len(pictures)):
        held_px += pictures[index].truth_HW.size
        if held_px > MAX_RESIZED_PIXELS and len(few) >= _LEAST_PICTURES:
            break
        few.add(id(pictures[index]))
    return frozenset(few)


def _cleaned(picture: Seen, settings: CleanupSettings, table: ClassTable) -> Mask:
    p_KHW = picture.probabilities_KHW.astype(np.float32)
    mask_HW = choose(p_KHW, overlapping=table.overlapping)
    found = Prediction(mask_HW, p_KHW, _NO_PIXELS, table, valid_HW=picture.valid_HW)
    return clean(found, settings).mask_HW


def _counted(judged: Judged, table: ClassTable) -> Confusion | Layers:
    """What each of the settings gives on its pictures, together."""
    counts = counter(table)
    for pictures, settings in judged:
        for picture in pictures:
            counts.add(picture.truth_HW, _cleaned(picture, settings, table))
    return counts


class _Judge:
    """The mean IoU of settings on pictures; what one picture gives is counted once."""

    def __init__(self, table: ClassTable, few: frozenset[int]) -> None:
        self.table = table
        self.few = few
        self._known: dict[object, npt.NDArray[np.int64]] = {}

    def miou(self, judged: Judged) -> float:
        """Over the classes that occur."""
        counts = [self._counts(picture, settings) for pictures, settings in judged for picture in pictures]
        right_K, found_K, true_K = np.sum(counts, axis=0)
        occurs_K = true_K > 0
        ious_K = right_K[occurs_K] / (found_K + true_K - right_K)[occurs_K]
        return float(ious_K.mean()) if len(ious_K) else 0.0

    def _counts(self, picture: Seen, settings: CleanupSettings) -> npt.NDArray[np.int64]:
        """Pixels of each class that are right, found and true: (3, K)."""
        shares = tuple(sorted(settings.thresholds.items()))
        key = (id(picture), shares, settings.min_object_px, settings.fill_holes_px)
        if key not in self._known:
            own = _counted((((picture,), settings),), self.table)
            if isinstance(own, Layers):
                rows = [own.right_K, own.right_K + own.extra_K, own.right_K + own.missed_K]
            else:
                rows = [np.diag(own.counts_KK), own.counts_KK.sum(axis=0), own.counts_KK.sum(axis=1)]
            self._known[key] = np.stack(rows)
        return self._known[key]


def _thresholds(pictures: Sequence[Seen], judge: _Judge, settings: CleanupSettings) -> CleanupSettings:
    """On pixels spread evenly over the pictures."""
    table = judge.table
    total = sum(picture.truth_HW.size for picture in pictures)
    stride = -(-total * len(table) // MAX_TUNED_VALUES)
    p_KN, truth_N = [], []
    for picture in pictures:
        places = np.flatnonzero(~is_ignored(picture.truth_HW))[::stride]
        p_KN.append(picture.probabilities_KHW.reshape(len(table), -1)[:, places])
        truth_N.append(picture.truth_HW.ravel()[places])
    search = thresholds.of_layers if table.overlapping else thresholds.of_classes
    truths_N = as_mask(np.concatenate(truth_N), like=pictures[0].truth_HW)
    found = search(np.concatenate(p_KN, axis=1).astype(np.float32), truths_N)
    return replace(settings, thresholds={table.names[k]: share for k, share in sorted(found.items())})


def _regions(pictures: Sequence[Seen], judge: _Judge, settings: CleanupSettings) -> CleanupSettings:
    return _best_of([settings, *(replace(settings, min_object_px=px) for px in SIZES_PX)], pictures, judge)


def _holes(pictures: Sequence[Seen], judge: _Judge, settings: CleanupSettings) -> CleanupSettings:
    return _best_of([settings, *(replace(settings, fill_holes_px=px) for px in SIZES_PX)], pictures, judge)


def _best_of(candidates: Sequence[CleanupSettings], pictures: Sequence[Seen], judge: _Judge) -> CleanupSettings:
    """The first is what there is; a later one must be better, and where larger ones only cost it ends."""
    few = [picture for picture in pictures if id(picture) in judge.few]
    if not few:
        return candidates[0]
    best, best_miou = candidates[0], judge.miou([(few, candidates[0])])
    for candidate in candidates[1:]:
        found = judge.miou([(few, candidate)])
        if found > best_miou + _LEAST_STEP:
            best, best_miou = candidate, found
        elif found < best_miou - _HOPELESS:
            break
    return best
