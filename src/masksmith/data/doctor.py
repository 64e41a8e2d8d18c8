"""Look at a whole data set before a minute of training is spent.

Rule: every file is opened, every fault is collected with its file, and nothing is repaired
without being said.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from masksmith import images, labels
from masksmith.classes import ClassTable
from masksmith.data.dataset import Dataset, Pair
from masksmith.data.fingerprint import Fingerprint, PairFacts, count_classes, summarize, sums
from masksmith.errors import DataError
from masksmith.labels import Decision, MaskScan
from masksmith.recipe import DataSettings

# Decoding and counting leave Python's lock, so a few threads help on any machine.
_THREADS = 4

# The square of a value must fit float32, in which networks compute.
_LARGEST = 1e18

T = TypeVar("T")
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Checkup:
    """What was seen: how masks are read, the fingerprint, faults that stop, notes that do not.

    ``decision`` and ``fingerprint`` are None where the faults left nothing to decide from.
    """

    dataset: Dataset
    decision: Decision | None
    fingerprint: Fingerprint | None
    faults: tuple[DataError, ...]
    notes: tuple[str, ...]

    def require(self) -> tuple[ClassTable, Fingerprint]:
        """The class table and the fingerprint.

        Raises:
            DataError: the first fault, with the number of the others.
        """
        if self.decision is not None and self.fingerprint is not None and not self.faults:
            return self.decision.table, self.fingerprint
        first = self.faults[0]
        others = len(self.faults) - 1
        hint = f" ({others} more fault{'s' if others > 1 else ''}: masksmith check lists them)" if others else ""
        raise DataError(where=first.where, expected=first.expected, received=first.received, remedy=first.remedy + hint)


def examine(
    dataset: Dataset,
    settings: DataSettings,
    table: ClassTable | None = None,
    progress: Progress = lambda done, total: None,
) -> Checkup:
    """Open every picture and mask of a data set.

    Args:
        dataset: what was found.
        settings: ``ignore`` is applied to the class table.
        table: the class table of a trained model, which then decides instead of the scan.
        progress: called with (files done, files in all).
    """
    total = 2 * len(dataset.pairs)
    with ThreadPoolExecutor(_THREADS) as pool:
        scanned = _followed(pool.map(_try_scan, dataset.pairs), progress, 0, total)
        faults = [r for r in scanned if isinstance(r, DataError)]
        unreadable = {str(fault.where) for fault in faults}
        decision = _decide([r for r in scanned if isinstance(r, MaskScan)], dataset, settings, table)
        if not isinstance(decision, Decision):
            return Checkup(dataset, None, None, (*faults, *decision), dataset.notes)
        chosen = decision.table
        results = pool.map(lambda pair: _try_facts(pair, chosen, unreadable), dataset.pairs)
        seen = _followed(results, progress, len(dataset.pairs), total)
    faults += [r for r in seen if isinstance(r, DataError)]
    facts = [r for r in seen if isinstance(r, PairFacts)]
    disagreements = [*_disagreements(dataset, facts), *_too_few_classes(chosen)]
    fingerprint = summarize(facts) if facts and not disagreements else None
    notes = (*dataset.notes, *(_notes(fingerprint, chosen) if fingerprint else ()))
    return Checkup(dataset, decision, fingerprint, (*faults, *disagreements), notes)


def _followed(results: Iterable[T], progress: Progress, before: int, total: int) -> list[T]:
    """All results, with a word to ``progress`` at each."""
    found = []
    for done, result in enumerate(results, before + 1):
        progress(done, total)
        found.append(result)
    return found


def _decide(
    scans: list[MaskScan], dataset: Dataset, settings: DataSettings, table: ClassTable | None
) -> Decision | list[DataError]:
    """How the masks are read, or why that cannot be said (nothing to add if no mask was readable)."""
    if table is not None:
        kind = "color" if table.encoding == "color" else "index"
        return Decision(table, kind, "the class table of the model")
    if not scans:
        return []
    try:
        decision = labels.decide(scans, dataset.entries)
    except DataError as error:
        return [error]
    return replace(decision, table=decision.table.ignoring(settings.ignore))


def _try_scan(pair: Pair) -> MaskScan | DataError:
    try:
        return labels.scan(pair.mask)
    except DataError as error:
        return error


def _try_facts(pair: Pair, table: ClassTable, unreadable: set[str]) -> PairFacts | DataError | None:
    """What a pair holds, or its fault; None if its mask's fault is on the list already."""
    try:
        pixels = images.read(pair.image).pixels_HWC
        height, width, channels = pixels.shape
        if fault := _unusable(pixels, pair):
            return fault
        if str(pair.mask) in unreadable:
            return None
        mask = labels.read_mask(pair.mask, table)
    except DataError as error:
        return error
    if mask.shape != (height, width):
        return DataError(
            where=pair.mask,
            expected=f"the size of its picture, {width}×{height} pixels",
            received=f"{mask.shape[1]}×{mask.shape[0]}",
            remedy=f"export the mask at the size of {pair.image.name}",
        )
    counts = count_classes(mask, len(table))
    return PairFacts(pair.split, height, width, channels, str(pixels.dtype), *sums(pixels), counts)


def _unusable(pixels_HWC: npt.NDArray[np.generic], pair: Pair) -> DataError | None:
    """Floats that no network can be fed."""
    if pixels_HWC.dtype.kind != "f":
        return None
    finite = pixels_HWC[np.isfinite(pixels_HWC)]
    if finite.size and float(np.abs(finite).max()) <= _LARGEST:
        return None
    return DataError(
        where=pair.image,
        expected=f"numbers up to {_LARGEST:g}",
        received="none that is finite" if not finite.size else f"{float(np.abs(finite).max()):g}",
        remedy="mend the picture, or leave it out",
    )


def _disagreements(dataset: Dataset, facts: list[PairFacts]) -> list[DataError]:
    """Pictures of one set have one dtype, and one number of channels (grey among colour aside)."""
    found = []
    for what, values in (("dtype", [f.dtype for f in facts]), ("number of channels", [f.channels for f in facts])):
        counts = Counter(values)
        if len(counts) > 1 and set(counts) != {1, 3}:
            common, rare = counts.most_common(1)[0][0], counts.most_common()[-1][0]
            found.append(
                DataError(
                    where=dataset.root,
                    expected=f"one {what} for all pictures",
                    received=", ".join(f"{value} in {n} pictures" for value, n in counts.most_common()),
                    remedy=f"convert those with {rare} to {common}",
                )
            )
    return found


def _too_few_classes(table: ClassTable) -> list[DataError]:
    if len(table) > 1:
        return []
    return [
        DataError(
            where="class table",
            expected="two classes or more, the background being one",
            received=f"one ({table.names[0]})",
            remedy="name the others, or ignore fewer",
        )
    ]


def _notes(fingerprint: Fingerprint, table: ClassTable) -> list[str]:
    notes = []
    for split, pixels in fingerprint.class_pixels.items():
        absent = [name for name, n in zip(table.names, pixels, strict=False) if n == 0]
        if absent:
            cause = "it cannot be learnt" if split == "train" else "its figures will be n/a"
            notes.append(f"no pixel of {', '.join(absent)} in the {split or 'whole'} part: {cause}")
    colors = Counter(e.color for e in table.classes)
    alike = [e.name for e in table.classes if colors[e.color] > 1]
    if alike:
        notes.append(f"of one colour, so that they look alike in masks and overlays: {', '.join(alike)}")
    ignored = [e.name for e in table.ignored]
    if ignored:
        notes.append(f"ignored in loss and figures: {', '.join(ignored)}")
    return notes
