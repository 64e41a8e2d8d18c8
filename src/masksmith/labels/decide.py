"""Decide from a scan of all masks what their values mean, and say so.

Rule: a table that a person gave is never contradicted, only read in the way that fits the files.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from masksmith.classes import ClassTable, Entry, default_color, is_ignored_name, make_entries, unpack
from masksmith.errors import listed
from masksmith.labels import blur, numbers
from masksmith.labels.decision import Decision, Unclear
from masksmith.labels.instances import NAMES, NUMBERING
from masksmith.labels.scan import MaskScan
from masksmith.limits import MAX_CLASSES, MAX_UNNAMED_COLORS, MAX_UNNAMED_VALUES

# What to do about blurred masks besides saving them anew.
_SNAP, _NAME = "take the nearest class for each pixel with --snap", "name the classes in classes.csv"


def decide(
    scans: Sequence[MaskScan], given: tuple[Entry, ...] | None, *, snap: bool = False, instances: bool = False
) -> Decision:
    """The class table for these masks.

    Args:
        scans: one for each mask file, or merged; at least one.
        given: rows of a class table file, or None.
        instances: the values number things, which are one class.
        snap: whatever stands for no class is to be taken for the nearest one.

    Raises:
        Unclear: the values cannot be classes (a photograph, lossy compression, one value only).
    """
    if any(s.overlapping for s in scans):
        return _overlapping(scans, given)
    if instances and (odd := next((s for s in scans if s.values is None), None)):
        raise Unclear(
            where=odd.path,
            expected="a number for each thing, as --instances says",
            received="a colour mask",
            remedy="save the masks as numbers of 8 or 16 bits, or leave --instances out",
        ).of("undefined", lambda s: s.values is None)
    if instances and not any(s.names for s in scans):
        names = [e.name for e in given][:2] if given is not None and len(given) == 2 else ["background", "object"]
        if not blur.has_lossy(scans):
            two = ClassTable(make_entries(names, [0, 1]), "instances")
            return Decision(two, "instances", "a number for each thing, as said")
        keys = blur.of_things(scans)
        if not (keys and snap):
            raise blur.fault(scans, "take the nearest of the two values for each pixel with --snap" if keys else "")
        reason = f"all things have the value {keys[1]}"
        return Decision(ClassTable(make_entries(names, keys), snap=True), "instances", reason)
    named = [s for s in scans if s.names]
    if named and len(named) < len(scans) and any(s.keys for s in scans if not s.names):
        drawn_is_rare = _rare(scans, lambda s: bool(s.names))
        raise _disagreeing(
            next(s.path for s in scans if bool(s.names) == drawn_is_rare),
            "drawn regions or mask pictures, as in the other annotations",
            "drawn regions" if drawn_is_rare else "a mask picture",
            "annotate all in one way",
            lambda s: bool(s.names) == drawn_is_rare,
        )
    if named:
        return _regions(named, given)
    decision = _with_table(scans, given) if given is not None else _without_table(scans, snap)
    return replace(decision, table=replace(decision.table, snap=snap)) if snap else decision


def _regions(scans: Sequence[MaskScan], given: tuple[Entry, ...] | None) -> Decision:
    names = list(dict.fromkeys(name for s in scans for name in s.names))
    kind = scans[0].reader
    if all(s.reader in NUMBERING for s in scans):
        return _things(max((s.names for s in scans), key=len), given)
    if given is not None and (two := _for_unnamed(names, given)):
        return Decision(ClassTable(two), kind, "regions without names are of the one class that is no background")
    if given is not None:
        return Decision(ClassTable(given, "name"), kind, "the class table names the regions")
    entries = tuple(Entry(name, default_color(i), i, ignored=is_ignored_name(name)) for i, name in enumerate(names))
    return Decision(
        ClassTable(entries, "name"), kind, f"regions of {len(names) - 1} names; what no region covers is background"
    )


def _for_unnamed(names: Sequence[str], given: tuple[Entry, ...]) -> tuple[Entry, ...]:
    """The rows of two classes for regions that nobody has named; none where the table names them or leaves a choice."""
    if set(names) != set(NAMES[:2]) or len(given) != 2 or NAMES[1] in {e.name for e in given}:
        return ()
    ground = next((e for e in given if e.name.strip("_ ").casefold() == NAMES[0]), min(given, key=lambda e: e.value))
    return tuple(replace(e, value=int(e != ground)) for e in given)


def _things(names: tuple[str, ...], given: tuple[Entry, ...] | None) -> Decision:
    """Numbered things as one class, with a border between them if that was asked for."""
    if given is not None and len(given) != len(names):
        raise Unclear(
            where="class table",
            expected=f"{len(names)} classes, for {', '.join(names)}",
            received=f"{len(given)}",
            remedy="correct the class table; --border N makes a class of where things meet",
        ).of("class table")
    rows = make_entries(names) if given is None else tuple(replace(e, value=i) for i, e in enumerate(given))
    border = ", and the border between them" if len(names) > 2 else ""
    return Decision(ClassTable(rows), "instances", f"things that are numbered or have a file each{border}")


def _overlapping(scans: Sequence[MaskScan], given: tuple[Entry, ...] | None) -> Decision:
    """Each class has a layer; a background has none, since a pixel may be of nothing."""
    usual = Counter({n: sum(s.masks for s in scans if s.bands == n) for n in {s.bands for s in scans}})
    bands = usual.most_common(1)[0][0]
    if len(usual) > 1:
        raise _disagreeing(
            next(s.path for s in scans if s.bands != bands),
            f"{bands} bands as in the other masks" if bands > 1 else "drawn regions as in the other annotations",
            listed(f"{n} bands" if n > 1 else "drawn regions" for n in usual if n != bands),
            "annotate all in one way, each class in the same band",
            lambda s: s.bands != bands,
        )
    rows = None if given is None else tuple(e for e in given if e.name.strip("_ ").casefold() != "background")
    if bands == 1:
        names = list(dict.fromkeys(name for s in scans for name in s.names))
        rows = rows or tuple(_layer(name, i) for i, name in enumerate(names))
        return Decision(
            ClassTable(rows, "name", overlapping=True),
            scans[0].reader,
            f"regions of {len(rows)} classes, which may overlap",
        )
    if _union(s.values for s in scans) - {0} == {2**bands - 1}:
        raise Unclear(
            where=scans[0].path,
            expected="a band for each of the classes that overlap",
            received=f"{bands} equal bands in all masks, as of a grey mask saved in colour",
            remedy="leave --overlapping out",
        ).of("encoding", lambda s: True)
    rows = tuple(_layer(f"band {n}", n - 1) for n in range(1, bands + 1)) if rows is None else rows
    if len(rows) != bands:
        raise Unclear(
            where="class table",
            expected=f"a row for each of the {bands} bands of the masks",
            received=f"{len(rows)} ({listed(e.name for e in rows)})",
            remedy="correct the class table",
        ).of("class table")
    ordered = sorted(rows, key=lambda e: e.value)
    entries = tuple(replace(e, value=n) for n, e in enumerate(ordered, 1))
    return Decision(ClassTable(entries, overlapping=True), "bands", f"{bands} bands, which may overlap")


def _layer(name: str, index: int) -> Entry:
    # The first colour of ours is black, which stands for the background.
    return Entry(name, default_color(index + 1), index + 1, ignored=is_ignored_name(name))


def _with_table(scans: Sequence[MaskScan], given: tuple[Entry, ...]) -> Decision:
    values = _union(s.values for s in scans)
    wanted = {e.color for e in given}
    has_colors = len(wanted) == len(given) and not all(e.invented for e in given)
    by_color = ClassTable(given, "color") if has_colors else None
    misfits = [by_color is None or s.colors is None or not wanted.issuperset(map(unpack, s.colors)) for s in scans]
    colored = any(s.values is None for s in scans)
    if by_color is not None and _palettes_contradict(scans, given):
        return Decision(by_color, "palette", "the palettes have the colours of the class table at other numbers")
    by_value = ClassTable(given, "value")
    # Values that are colours of the table as well tell nothing, as those of masks that are all black.
    telling = [s for s, misfit in zip(scans, misfits, strict=True) if misfit or s.values is None]
    if colored and values and values <= {e.value for e in given} and _rare(telling, lambda s: s.values is None):
        return Decision(by_value, "index", "most masks hold the index of a class of the table")
    if colored and by_color is None:
        raise Unclear(
            where="class table",
            expected="a colour of its own for each class, since the masks are in colour",
            received=f"one colour for {listed(same)}" if (same := _of_one_color(given)) else "no colours",
            remedy="list the classes with their colours in classes.csv (name,r,g,b)",
        ).of("class table")
    if by_color is not None and (colored or (not any(misfits) and any(s.from_palette for s in scans))):
        kind = "palette" if all(s.from_palette for s in scans) else "color"
        return Decision(by_color, kind, "the masks are in colour and the class table gives each class one")
    colorful = any(len(set(e.color)) > 1 for e in given) and all(max(e.color) <= 1 for e in given)
    if by_color is not None and colorful and any(s.bands == 3 for s in scans):
        raise Unclear(
            where="class table",
            expected="colours that are no zeros and ones, since masks of three bands of these are read as one band a class",
            received=f"{listed(f'{e.name} {e.color}' for e in given)}",
            remedy="give the colours 255 in place of 1, in the masks and in the table",
        ).of("class table")
    if shifted := _bands_from_one(scans, given, values):
        return shifted
    if values <= {e.value for e in given}:
        bands = max(s.bands for s in scans)
        return Decision(
            by_value, "bands" if bands > 1 else "index", "each mask value is the index of a class of the table"
        )
    if by_color is not None and not any(misfits):
        return Decision(by_color, "grey", "each mask value is the grey of a class of the table")
    if (
        len(by_value) == 2
        and not by_value.ignored
        and (len(values) <= 2 or blur.is_blurred(scans))
        and min(values) == 0
    ):
        top = max(blur.main_keys(scans)) if len(values) > 2 else max(values)
        # The class that is black in the table is the one that 0 stands for, else that of the lower value.
        zero = min((0, 1), key=lambda i: (given[i].invented or given[i].color != (0, 0, 0), given[i].value))
        entries = tuple(replace(e, value=0 if i == zero else top) for i, e in enumerate(given))
        return Decision(ClassTable(entries), "binary", f"two classes, and the masks hold 0 and {top}")
    return Decision(by_value, "index", "the masks hold numbers")


def _palettes_contradict(scans: Sequence[MaskScan], given: tuple[Entry, ...]) -> bool:
    """Whether all masks have palettes in which colours of two classes of the table or more stand at other values.

    A border of another colour, as in VOC, must not let the values decide then.
    """
    if not all(s.from_palette for s in scans):
        return False
    value_of = {e.color: e.value for e in given if not e.invented}
    found = {(c, v) for s in scans for v, k in s.palette.items() if (c := unpack(k)) in value_of}
    return len({c for c, v in found if value_of[c] != v}) > 1


def _bands_from_one(scans: Sequence[MaskScan], given: tuple[Entry, ...], values: set[int]) -> Decision | None:
    """A band for each class of the table: band n holds class n, and no pixel is without one."""
    bands = max(s.bands for s in scans)
    if bands == 1 or 0 in values or not values <= {e.value + 1 for e in given}:
        return None
    if bands < len(given) and values <= {e.value for e in given}:  # none for the background
        return None
    entries = tuple(replace(e, value=e.value + 1) for e in given)
    return Decision(ClassTable(entries), "bands", "each band is a class of the table")


def _without_table(scans: Sequence[MaskScan], snap: bool) -> Decision:
    blurred = blur.is_blurred(scans)
    if blurred and snap and not blur.is_doubtful(scans):
        scans = blur.cleared(scans)
    elif blurred or blur.has_lossy(scans):
        raise blur.fault(scans, _NAME if snap else _SNAP)
    if any(s.values is None for s in scans):
        return _colors(scans)
    values = _union(s.values for s in scans)
    if len(values) < 2:
        raise Unclear(
            where=scans[0].path.parent,
            expected="masks with two or more classes",
            received=f"the value {min(values, default=0)} alone in all masks",
            remedy="check that these are the masks, or name the classes in classes.csv (index,name,r,g,b)",
        ).of("one value")
    if max(s.bands for s in scans) > 1:
        return _bands(scans, values)
    meaning = "" if blurred else numbers.meaning(scans, values)
    if meaning == "things":
        two = make_entries(["background", "object"], [0, 1])
        return Decision(ClassTable(two, "instances"), "instances", "a number for each thing; all things are one class")
    _check_agreement(scans, values)
    palette = {value: color for s in scans for value, color in s.palette.items()}
    if len(values) == 2 and min(values) == 0 and max(values) > 1:
        top = max(values)
        two = (Entry("background", (0, 0, 0), 0), Entry("foreground", _color(palette, top, 1), top))
        return Decision(ClassTable(two), "binary", f"the masks hold 0 and {top} alone")
    most = MAX_CLASSES if meaning == "classes" else MAX_UNNAMED_VALUES
    ignored = next((m for m in numbers.MARKS if m in values and max(values - {m}) < most), None)
    top = max(values - {ignored})
    if top < most and not blurred:  # blur makes numbers between two classes, which are none
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
        reason += f"; {ignored} is taken as ignore"
    return Decision(ClassTable(entries), kind, reason)


def _bands(scans: Sequence[MaskScan], values: set[int]) -> Decision:
    count = max(s.bands for s in scans)
    if odd := next((s for s in scans if s.bands == 1 and any(s.values or ())), None):
        raise _disagreeing(
            odd.path,
            f"{count} bands as in the other masks, one of them set for each pixel",
            f"one value a pixel, or all bands alike, up to {max(odd.values or {0: 0})}",
            "write all masks in one way",
            lambda s: s.bands == 1 and any(s.values or ()),
        )
    if 0 in values:
        names, first = ["background", *(f"band {n}" for n in range(1, count + 1))], 0
    else:
        names, first = [f"band {n}" for n in range(1, count + 1)], 1
    entries = make_entries(names, list(range(first, first + len(names))))
    return Decision(ClassTable(entries), "bands", f"{count} bands, one of them set for each pixel")


def _check_agreement(scans: Sequence[MaskScan], values: set[int]) -> None:
    """Masks of one set mean the same by the same value."""
    usual: dict[int, int] = {}
    for scan in sorted(scans, key=lambda s: -s.masks):
        for value, color in scan.palette.items():
            if usual.setdefault(value, color) != color:
                raise _disagreeing(
                    scan.path,
                    f"the palette of most masks, where {value} is {unpack(usual[value])}",
                    f"{unpack(color)} for {value}",
                    "list the classes with their colours in classes.csv (name,r,g,b), which then decide",
                    lambda s: any(usual.get(v, c) != c for v, c in s.palette.items()),
                )
    if values == {0, 1, 255} and not any({1, 255} <= set(s.values or ()) for s in scans):
        odd = 255 if _rare(scans, lambda s: 255 in (s.values or ())) else 1
        raise _disagreeing(
            next(s.path for s in scans if odd in (s.values or ())),
            f"0 and {256 - odd} as in the other masks",
            f"0 and {odd}, and no mask that holds both 1 and 255",
            "write all masks in one way; if 255 means ignore, say so in classes.csv with the columns name,value,role",
            lambda s: odd in (s.values or ()),
        )


def _colors(scans: Sequence[MaskScan]) -> Decision:
    colors = sorted(_union(s.colors for s in scans))
    if len(colors) > MAX_UNNAMED_COLORS:
        raise _too_many(scans, len(colors), "colours")
    numbered = [s for s in scans if _is_index(s, len(colors))]
    if numbered:
        odd = _rare(scans, lambda s: _is_index(s, len(colors)))
        raise _disagreeing(
            next(s.path for s in scans if _is_index(s, len(colors)) == odd),
            "a colour mask as the others" if odd else "an index mask as the others",
            f"an index mask with values up to {max(numbered[0].values or {0: 0})}" if odd else "a colour mask",
            "write all masks in one way, or list the classes with their colours in classes.csv (name,r,g,b)",
            lambda s: _is_index(s, len(colors)) == odd,
        )
    entries = tuple(Entry(f"#{c:06x}", unpack(c), i) for i, c in enumerate(colors))
    return Decision(
        ClassTable(entries, "color"),
        "color",
        f"the masks hold {len(colors)} colours; name them in classes.csv (name,r,g,b)",
    )


def _is_index(scan: MaskScan, colors: int) -> bool:
    """A grey mask among colour masks that holds small numbers, or ones that are no 8-bit grey."""
    if scan.values is None or scan.from_palette:
        return False
    return scan.colors is None or 0 < max(scan.values, default=0) < colors


def _rare(scans: Sequence[MaskScan], wanted: Callable[[MaskScan], bool]) -> bool:
    """Whether less than half of the masks are so."""
    return 2 * sum(s.masks for s in scans if wanted(s)) < sum(s.masks for s in scans)


def _of_one_color(given: Sequence[Entry]) -> list[str]:
    colors = [e.color for e in given]
    return [e.name for e in given if colors.count(e.color) > 1]


def _disagreeing(path: Path, expected: str, received: str, remedy: str, guilty: Callable[[MaskScan], bool]) -> Unclear:
    return Unclear(where=path, expected=expected, received=received, remedy=remedy).of("encoding", guilty)


def _too_many(scans: Sequence[MaskScan], count: int, kind: str) -> Unclear:
    worst = max(scans, key=lambda s: s.distinct)
    return Unclear(
        where=worst.path,
        expected=f"a mask with a few {kind}, one a class",
        received=f"{count} different {kind} over all masks, as in a photograph",
        remedy="check that these are the masks; name the classes in classes.csv (name,r,g,b)",
    ).of("picture as mask", lambda s: s.distinct > MAX_UNNAMED_COLORS)


def _color(palette: dict[int, int], value: int, index: int) -> tuple[int, int, int]:
    """The palette's colour where it has one of its own, else ours."""
    distinct = len(set(palette.values())) == len(palette)
    return unpack(palette[value]) if distinct and value in palette else default_color(index)


def _union(counts: Iterable[dict[int, int] | None]) -> set[int]:
    return {key for c in counts if c is not None for key in c}
