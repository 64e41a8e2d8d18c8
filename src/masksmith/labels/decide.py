"""Decide from a scan of all masks what their values mean, and say so.

Rule: a table that a person gave is never contradicted, only read in the way that fits the files.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from masksmith.classes import ClassTable, Entry, default_color, make_entries, unpack
from masksmith.errors import DataError
from masksmith.labels.raster import MaskScan
from masksmith.limits import MAX_UNNAMED_COLORS, MAX_UNNAMED_VALUES

LABELS: dict[str, str] = {
    "index": "one number a class, 0 upwards",
    "binary": "0 for the background, one other value (usually 255) for the one class",
    "grey": "one grey value a class, with gaps",
    "color": "one colour a class",
    "palette": "numbers with a palette, which gives each class its colour",
}


@dataclass(frozen=True)
class Decision:
    """How the masks of a data set are to be read: the table, the kind (a key of ``LABELS``), why."""

    table: ClassTable
    kind: str
    reason: str


def decide(scans: Sequence[MaskScan], given: tuple[Entry, ...] | None) -> Decision:
    """The class table for these masks.

    Args:
        scans: one for each mask file, at least one.
        given: rows of a class table file, or None.

    Raises:
        DataError: the values cannot be classes (a photograph, lossy compression, one value only).
    """
    return _with_table(scans, given) if given is not None else _without_table(scans)


def _with_table(scans: Sequence[MaskScan], given: tuple[Entry, ...]) -> Decision:
    values = _union(s.values for s in scans)
    colors = _union(s.colors for s in scans)
    by_color = ClassTable(given, "color") if len({e.color for e in given}) == len(given) else None
    fits_color = (
        by_color is not None
        and all(unpack(c) in {e.color for e in given} for c in colors)
        and all(s.colors is not None for s in scans)
    )
    if by_color is not None and (
        any(s.values is None for s in scans) or (fits_color and any(s.from_palette for s in scans))
    ):
        kind = "palette" if all(s.from_palette for s in scans) else "color"
        return Decision(by_color, kind, "the masks are in colour and the class table gives each class one")
    by_value = ClassTable(given, "value")
    if values <= {e.value for e in given}:
        return Decision(by_value, "index", "each mask value is the index of a class of the table")
    if by_color is not None and fits_color:
        return Decision(by_color, "grey", "each mask value is the grey of a class of the table")
    if any(_is_lossy(scan.path) for scan in scans):
        raise _too_many(scans, len(values), "values")
    if len(by_value) == 2 and len(values) <= 2 and min(values) == 0 and not by_value.ignored:
        # The class that is black in the table is the one that 0 stands for.
        zero = 1 if given[1].color == (0, 0, 0) else 0
        entries = tuple(replace(e, value=0 if i == zero else max(values)) for i, e in enumerate(given))
        return Decision(ClassTable(entries), "binary", f"two classes, and the masks hold 0 and {max(values)}")
    return Decision(by_value, "index", "the masks hold numbers")


def _without_table(scans: Sequence[MaskScan]) -> Decision:
    if any(s.values is None for s in scans):
        return _colors(scans)
    values = _union(s.values for s in scans)
    if len(values) < 2:
        raise DataError(
            where=scans[0].path.parent,
            expected="masks with two or more classes",
            received=f"the value {min(values, default=0)} alone in all {len(scans)} masks",
            remedy="check that these are the masks, or name the classes in classes.csv (index,name,r,g,b)",
        )
    if len(values) > 2 and any(_is_lossy(scan.path) for scan in scans):
        raise _too_many(scans, len(values), "values")
    _check_agreement(scans, values)
    palette = {value: color for s in scans for value, color in s.palette.items()}
    if len(values) == 2 and min(values) == 0 and max(values) > 1:
        top = max(values)
        two = (Entry("background", (0, 0, 0), 0), Entry("foreground", _color(palette, top, 1), top))
        return Decision(ClassTable(two), "binary", f"the masks hold 0 and {top} alone")
    ignored = 255 if 255 in values and max(values - {255}) < MAX_UNNAMED_VALUES else None
    top = max(values - {ignored})
    if top < MAX_UNNAMED_VALUES:
        entries = tuple(Entry(f"class {v}", _color(palette, v, v), v) for v in range(top + 1))
        kind, reason = ("palette" if palette else "index"), f"the masks hold whole numbers from 0 to {top}"
    elif len(values) <= MAX_UNNAMED_VALUES:
        ordered = sorted(values)
        entries = make_entries([f"value {v}" for v in ordered], ordered)
        kind, reason = "grey", f"the masks hold {len(ordered)} distinct values"
    else:
        raise _too_many(scans, len(values), "values")
    if ignored is not None:
        entries = (*entries, Entry("ignore", (255, 255, 255), ignored, ignored=True))
        reason += "; 255 is taken as ignore"
    return Decision(ClassTable(entries), kind, reason)


def _check_agreement(scans: Sequence[MaskScan], values: set[int]) -> None:
    """Masks of one set mean the same by the same value."""
    seen: dict[int, tuple[int, Path]] = {}
    for scan in scans:
        for value, color in scan.palette.items():
            before, path = seen.setdefault(value, (color, scan.path))
            if before != color:
                raise DataError(
                    where=scan.path,
                    expected=f"the palette of {path.name}, where {value} is {unpack(before)}",
                    received=f"{unpack(color)} for {value}",
                    remedy="list the classes with their colours in classes.csv (name,r,g,b), which then decide",
                )
    if values == {0, 1, 255} and not any({1, 255} <= set(s.values or ()) for s in scans):
        ones, tops = (next(s.path for s in scans if v in (s.values or ())) for v in (1, 255))
        raise DataError(
            where=tops,
            expected=f"0 and 1 as in {ones.name}",
            received="0 and 255, and no mask that holds both 1 and 255",
            remedy="write all masks in one way; if 255 means ignore, say so in classes.csv with the columns name,value,role",
        )


def _colors(scans: Sequence[MaskScan]) -> Decision:
    colors = sorted(_union(s.colors for s in scans))
    if len(colors) > MAX_UNNAMED_COLORS:
        raise _too_many(scans, len(colors), "colours")
    entries = tuple(Entry(f"#{c:06x}", unpack(c), i) for i, c in enumerate(colors))
    return Decision(
        ClassTable(entries, "color"),
        "color",
        f"the masks hold {len(colors)} colours; name them in classes.csv (name,r,g,b)",
    )


def _too_many(scans: Sequence[MaskScan], count: int, kind: str) -> DataError:
    worst = max(scans, key=lambda s: len((s.colors if kind == "colours" else s.values) or {}))
    return DataError(
        where=worst.path,
        expected=f"a mask with a few {kind}, one a class",
        received=f"{count} different {kind} over all masks"
        + (" (JPEG blurs the edges of masks)" if _is_lossy(worst.path) else ""),
        remedy="save masks as PNG without smoothing, or list the classes in classes.csv (name,r,g,b)",
    )


def _is_lossy(path: Path) -> bool:
    return path.suffix.lower() in {".jpg", ".jpeg", ".webp"}


def _color(palette: dict[int, int], value: int, index: int) -> tuple[int, int, int]:
    """The palette's colour where it has one of its own, else ours."""
    distinct = len(set(palette.values())) == len(palette)
    return unpack(palette[value]) if distinct and value in palette else default_color(index)


def _union(counts: Iterable[dict[int, int] | None]) -> set[int]:
    return {key for c in counts if c is not None for key in c}
