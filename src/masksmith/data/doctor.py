"""Look at a whole data set before a minute of training is spent.

Rule: every file is opened, every fault is collected with its file, and nothing is repaired
without being said.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from masksmith import images, labels
from masksmith.classes import ClassTable
from masksmith.data.dataset import Dataset, Pair
from masksmith.data.fingerprint import Fingerprint, PairFacts, count_classes, summarize, sums
from masksmith.errors import DataError
from masksmith.labels import Decision, MaskScan
from masksmith.recipe import DataSettings

# Decoding and counting leave Python's lock, so a few threads help on any machine.
_THREADS = 4

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
        if self.faults:
            first = self.faults[0]
            if len(self.faults) == 1:
                raise first
            raise DataError(
                where=first.where,
                expected=first.expected,
                received=first.received,
                remedy=f"{first.remedy} ({len(self.faults) - 1} more faults: masksmith check lists them)",
            )
        assert self.decision is not None and self.fingerprint is not None  # no faults means both
        return self.decision.table, self.fingerprint


def examine(dataset: Dataset, settings: DataSettings, table: ClassTable | None = None, progress: Progress = lambda done, total: None) -> Checkup:
    """Open every picture and mask of a data set.

    Args:
        dataset: what was found.
        settings: ``ignore`` is applied to the class table.
        table: the class table of a trained model, which then decides instead of the scan.
        progress: called with (files done, files in all).
    """
    faults: list[DataError] = []
    total = 2 * len(dataset.pairs)
    with ThreadPoolExecutor(_THREADS) as pool:
        scans: list[MaskScan] = []
        for done, (scan, fault) in enumerate(pool.map(_try_scan, dataset.pairs), 1):
            progress(done, total)
            if scan is not None:
                scans.append(scan)
            elif fault is not None:
                faults.append(fault)
        decision = None
        try:
            if table is not None:
                decision = Decision(table, "color" if table.encoding == "color" else "index", "the class table of the model")
            elif scans:
                decision = labels.decide(scans, dataset.entries)
                decision = Decision(decision.table.ignoring(settings.ignore), decision.kind, decision.reason)
        except DataError as error:
            faults.append(error)
        if decision is None:
            return Checkup(dataset, None, None, tuple(faults), dataset.notes)
        chosen = decision.table
        facts: list[PairFacts] = []
        unreadable = {str(f.where) for f in faults}
        for done, (fact, fault) in enumerate(pool.map(lambda pair: _try_facts(pair, chosen, unreadable), dataset.pairs), len(dataset.pairs) + 1):
            progress(done, total)
            if fact is not None:
                facts.append(fact)
            elif fault is not None:
                faults.append(fault)
    faults += _disagreements(dataset, facts)
    fingerprint = summarize(facts, chosen) if facts and not _disagreements(dataset, facts) else None
    notes = [*dataset.notes, *(_notes(fingerprint, chosen) if fingerprint else [])]
    return Checkup(dataset, decision, fingerprint, tuple(faults), tuple(notes))


def _try_scan(pair: Pair) -> tuple[MaskScan | None, DataError | None]:
    try:
        return labels.scan(pair.mask), None
    except DataError as error:
        return None, error


def _try_facts(pair: Pair, table: ClassTable, unreadable: set[str]) -> tuple[PairFacts | None, DataError | None]:
    try:
        pixels = images.read(pair.image).pixels_HWC
        height, width, channels = pixels.shape
        if str(pair.mask) in unreadable:  # its own fault is on the list already
            return None, None
        mask = labels.read_mask(pair.mask, table)
        if mask.shape != (height, width):
            return None, DataError(
                where=pair.mask,
                expected=f"the size of its picture, {width}×{height} pixels",
                received=f"{mask.shape[1]}×{mask.shape[0]}",
                remedy=f"export the mask at the size of {pair.image.name}",
            )
        return PairFacts(pair.split, height, width, channels, str(pixels.dtype), *sums(pixels), count_classes(mask, len(table))), None
    except DataError as error:
        return None, error


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


def _notes(fingerprint: Fingerprint, table: ClassTable) -> list[str]:
    notes = []
    for split, pixels in fingerprint.class_pixels.items():
        absent = [name for name, n in zip(table.names, pixels, strict=False) if n == 0]
        if absent:
            cause = "it cannot be learnt" if split == "train" else "its figures will be n/a"
            notes.append(f"no pixel of {', '.join(absent)} in the {split or 'whole'} part: {cause}")
    ignored = [e.name for e in table.ignored]
    if ignored:
        notes.append(f"ignored in loss and figures: {', '.join(ignored)}")
    return notes
