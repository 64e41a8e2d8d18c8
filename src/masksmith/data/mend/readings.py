"""How each mask is to be read, where masks of one set do not agree.

Rule: each mask by its own kind, all of them into the same classes; what cannot be decided without
guessing is one sentence, and nothing is written.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

from masksmith import labels
from masksmith.classes import ClassTable, Entry, unpack
from masksmith.data.doctor import Checkup
from masksmith.data.mend.item import Item
from masksmith.data.mend.levels import scan_of_levels
from masksmith.errors import DataError
from masksmith.labels import MaskScan, Unclear, blur
from masksmith.labels.instances import NUMBERING
from masksmith.limits import MAX_UNNAMED_COLORS
from masksmith.recipe import DataSettings

# A patch of a blurred mask that is farther than this (out of 255) from every class is another class.
_NEAR = 40
# Values nearer than this are one value after JPEG: its noise beside edges is as large.
_TOLD_APART = 16


@dataclass(frozen=True)
class Reading:
    """A table whose classes are those of the set; ``snap`` takes what no class has for the nearest."""

    table: ClassTable
    snap: bool = False
    odd: bool = False
    """The mask says the same as most others by other values."""


def readings(items: Sequence[Item], checkup: Checkup, settings: DataSettings, *, anew: bool) -> list[Reading]:
    """The reading of each item's mask.

    Args:
        items: the pairs that stay.
        checkup: what the doctor has decided, which is followed where it can be.
        settings: what a person has said about the masks.
        anew: masks that had a say in that decision are gone.

    Raises:
        DataError: it cannot be decided.
    """
    scans = [i.mask.scan for i in items]
    entries = checkup.dataset.entries
    blurred = {p for f in checkup.findings if f.kind == "lossy" for p in f.files}
    if checkup.decision is not None and not anew:
        table = checkup.decision.table
        found = [Reading(replace(table, snap=False), table.snap or s.path in blurred) for s in scans]
        return _each_by_its_kind(found, scans, entries)
    try:
        table = labels.decide(scans, entries, snap=settings.snap, instances=settings.instances).table
        found = [Reading(replace(table, snap=False), snap=table.snap)] * len(scans)
        found = _each_by_its_kind(found, scans, entries)
    except Unclear as error:
        found = _disagreeing(items, entries, error)
    marked = [replace(r, table=r.table.ignoring(settings.ignore)) for r in found]
    if len(marked[0].table) < 2:
        raise _undecided(scans[0].path, "masks of two classes or more", "one class alone")
    return marked


def _disagreeing(items: Sequence[Item], entries: tuple[Entry, ...] | None, error: Unclear) -> list[Reading]:
    scans = [i.mask.scan for i in items]
    if error.kind == "lossy":
        return _blurred(items, entries)
    if error.kind != "encoding":
        raise error
    found = _by_kinds(scans, entries) if entries is not None else _by_colors(scans) or _by_tops(scans)
    if found is None:
        raise error
    return found


def _blurred(items: Sequence[Item], entries: tuple[Entry, ...] | None) -> list[Reading]:
    """The sharp masks say which classes there are, where there are any; else the patches of all."""
    scans = [i.mask.scan for i in items]
    soft = [(blur.is_lossy(s.path) and len(s.keys) > 2) or blur.is_blurred([s]) for s in scans]
    sharp = [s for s, is_soft in zip(scans, soft, strict=True) if not is_soft]
    if sharp and len(sharp) < len(scans):
        try:
            table = labels.decide(sharp, entries).table
        except Unclear:
            table = None
        rest = [s for s, is_soft in zip(scans, soft, strict=True) if is_soft]
        if table is not None and all(_fits(s, table) for s in rest):
            return [Reading(table, is_soft) for is_soft in soft]
    whole = scans if entries is not None else [scan_of_levels(items)]
    table = labels.decide(whole, entries, snap=True).table
    return [Reading(replace(table, snap=False), snap=True)] * len(scans)


def _fits(scan: MaskScan, table: ClassTable) -> bool:
    """Whether the patches of a blurred mask are near classes of the table."""
    if table.encoding == "color":
        near = [e.color for e in table.entries]
        keys = [unpack(k) for k in blur.main_keys([scan])] if scan.values is None else []
        return all(min(sum((a - b) ** 2 for a, b in zip(k, c, strict=True)) for c in near) <= _NEAR**2 for k in keys)
    if scan.values is None:
        return False
    return all(min(abs(k - e.value) for e in table.entries) <= _NEAR for k in blur.main_keys([scan]))


def _each_by_its_kind(
    found: list[Reading], scans: Sequence[MaskScan], entries: tuple[Entry, ...] | None
) -> list[Reading]:
    """The masks that the table of all cannot read, such as colour masks among index masks, by their own."""
    strange = [n for n, (r, s) in enumerate(zip(found, scans, strict=True)) if not _readable(r.table, s)]
    if entries is not None:
        strange += _of_values(found, scans, entries)
    if not strange:
        return found
    first = scans[strange[0]]
    if entries is None:
        raise _undecided(first.path, "masks of one kind, or a class table", "masks of two kinds and no class table")
    own = _by_kinds([scans[n] for n in strange], entries)
    # The fewer are told as changed.
    few = 2 * len(strange) <= len(found)
    if not few:
        found = [replace(r, odd=True) for r in found]
    for number, reading in zip(strange, own, strict=True):
        if reading.table.names != found[number].table.names:
            # The table of a model or of --ignore: the same marks hold for both kinds.
            ignored = [e.name for e in found[number].table.ignored]
            reading = replace(reading, table=reading.table.ignoring(ignored))  # noqa: PLW2901
        found[number] = replace(reading, odd=few)
    return found


def _of_values(found: Sequence[Reading], scans: Sequence[MaskScan], entries: tuple[Entry, ...]) -> list[int]:
    """Index masks among colour masks: no class has their greys as its colour, but their values are classes'."""
    doubtful = [
        n
        for n, (r, s) in enumerate(zip(found, scans, strict=True))
        if r.table.encoding == "color" and s.values is not None and not s.names and not s.from_palette
        and None in r.table.resolve(s.colors or {}).values()
    ]  # fmt: skip
    if not doubtful:
        return []
    table = labels.decide([scans[n] for n in doubtful], entries).table
    if table.encoding != "value":
        return []
    return [n for n in doubtful if None not in table.resolve(scans[n].values or {}).values()]


def _readable(table: ClassTable, scan: MaskScan) -> bool:
    if table.encoding == "name":
        return bool(scan.names)
    drawn = bool(scan.names) and scan.reader not in NUMBERING
    return not drawn and (scan.colors if table.encoding == "color" else scan.values) is not None


def _by_kinds(scans: Sequence[MaskScan], entries: tuple[Entry, ...]) -> list[Reading]:
    """Regions, colours and values are decided apart, under one class table."""
    kinds = ["regions" if s.names else "colours" if s.values is None else "values" for s in scans]
    tables: dict[str, ClassTable] = {}
    for kind in dict.fromkeys(kinds):
        members = [s for s, k in zip(scans, kinds, strict=True) if k == kind]
        tables[kind] = labels.decide(members, entries).table
        if not all(_readable(tables[kind], s) for s in members):
            raise _undecided(
                members[0].path,
                "a class table with a colour of its own for each class",
                "a colour mask that it cannot read",
            )
    most = Counter(kinds).most_common(1)[0][0]
    return [Reading(tables[k], odd=k != most) for k in kinds]


def _by_colors(scans: Sequence[MaskScan]) -> list[Reading] | None:
    """Palettes that contradict each other: the colours decide, if most masks give each a number of its own."""
    if not all(s.from_palette for s in scans):
        return None
    votes: dict[int, Counter[int]] = {}
    for s in scans:
        for value, color in s.palette.items():
            votes.setdefault(color, Counter())[value] += 1
    numbers = {color: counts.most_common(1)[0][0] for color, counts in votes.items()}
    if len(set(numbers.values())) < len(numbers) or not 1 < len(numbers) <= MAX_UNNAMED_COLORS:
        return None
    entries = tuple(Entry(f"class {v}", unpack(c), v) for c, v in sorted(numbers.items(), key=lambda item: item[1]))
    table = ClassTable(entries, "color")
    return [Reading(table, odd=any(numbers[c] != v for v, c in s.palette.items())) for s in scans]


def _by_tops(scans: Sequence[MaskScan]) -> list[Reading] | None:
    """Binary masks whose one class is 1 in some, 255 in others."""
    tops = [set(s.values or {256: 0}) - {0} for s in scans]
    if any(s.names or s.bands > 1 for s in scans) or any(len(t) > 1 or max(t, default=0) > 255 for t in tops):
        return None
    most = Counter(next(iter(t)) for t in tops if t).most_common(1)
    if not most:
        return None
    usual = most[0][0]
    found = []
    for values in tops:
        top = next(iter(values), usual)
        table = ClassTable((Entry("background", (0, 0, 0), 0), Entry("foreground", (230, 159, 0), top)))
        found.append(Reading(table, odd=top != usual))
    return found


def _undecided(path: Path, expected: str, received: str) -> DataError:
    return DataError(
        where=path,
        expected=expected,
        received=received,
        remedy="list the classes with their colours in classes.csv (name,r,g,b), or save all masks in one way",
    )


def too_near(table: ClassTable, path: Path) -> bool:
    """Whether lossy compression has left nothing by which the classes of a mask could be told apart."""
    if not blur.is_lossy(path) or table.encoding not in {"value", "color"}:
        return False
    keys = [e.color if table.encoding == "color" else (e.value,) for e in table.entries]
    gaps = [sum((x - y) ** 2 for x, y in zip(a, b, strict=True)) for a, b in combinations(keys, 2)]
    return min(gaps, default=_TOLD_APART**2) < _TOLD_APART**2
