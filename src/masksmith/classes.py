"""ClassTable: the classes and what stands for each of them in a mask.

Rule: this is the only translator between mask pictures and class indices.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from masksmith.errors import DataError, InputError
from masksmith.keys import (
    IGNORE,
    IGNORED_BIT,
    U8,
    U16,
    Color,
    Mask,
    color_code,
    default_color,
    pack,
    pack_pixels,
    parse_color,
    set_bits,
    unique_keys,
    unpack,
)
from masksmith.limits import MAX_CLASSES, MAX_OVERLAPPING_CLASSES

__all__ = [
    "IGNORE", "U8", "ClassTable", "Color", "Encoding", "Entry", "color_code", "default_color",
    "is_ignored_name", "make_entries", "pack", "pack_pixels", "parse_color", "read_csv", "read_encoding", "read_overlapping",
    "unique_keys", "unpack",
]  # fmt: skip

Encoding = Literal["value", "color", "name", "instances"]

# Names that say by themselves "do not count these pixels", as public data sets write them.
_IGNORED_NAMES = {"void", "ignore", "ignored", "unlabeled", "unlabelled", "unknown", "dontcare", "don't care"}


@dataclass(frozen=True)
class Entry:
    """One row: a class, or something in the masks that is ignored.

    ``value`` is the grey value or palette index that stands for it in index masks; ``color`` is
    the colour it is shown in, and stands for it in colour masks unless it is ``invented``.
    """

    name: str
    color: Color
    value: int
    ignored: bool = False
    invented: bool = field(default=False, compare=False)
    """The class table says no colour, so that nothing may be decided by this one."""


@dataclass(frozen=True)
class ClassTable:
    """The classes in order of their index, then what is ignored.

    ``encoding`` says what stands for a class in the masks: its ``value``, its ``color``, its
    ``name`` (drawn regions), or any number but 0 (maps of instances, two classes). With ``snap``
    whatever stands for no class is taken for the nearest one. With ``overlapping`` a pixel may be of
    several classes or of none, and ``value`` is the number of the band, from 1.
    """

    entries: tuple[Entry, ...]
    encoding: Encoding = "value"
    snap: bool = False
    overlapping: bool = False
    border_px: int = 0
    """Half the width of the class "border" between numbered things; 0 where there is none."""

    def __post_init__(self) -> None:
        most = MAX_OVERLAPPING_CLASSES if self.overlapping else MAX_CLASSES
        if not 1 <= len(self.classes) <= most:
            raise InputError(
                where="class table",
                expected=f"1 to {most} classes" + (" that may overlap" if self.overlapping else ""),
                received="none" if not self.classes else f"{len(self.classes)}",
                remedy="join some, or train several networks"
                if self.overlapping and self.classes
                else "name each class in classes.csv with the columns name,r,g,b",
            )
        for what, keys in (
            ("name", [e.name.strip() for e in self.classes]),  # tables are read without blanks around
            (self.encoding, [self._key(e) for e in self.entries]),
        ):
            twice = {k for k in keys if list(keys).count(k) > 1}
            if twice:
                raise InputError(
                    where="class table",
                    expected=f"a different {what} in each row",
                    received=f"{min(twice)!s} twice",
                    remedy="correct the class table",
                )
        odd = next((e.name for e in self.entries if not is_name(e.name)), None)
        if odd is not None:
            raise InputError(
                where="class table",
                expected="names of letters that can be shown and written",
                received=f"{odd!a}",
                remedy="give the class a name without control characters where it is annotated",
            )

    @property
    def classes(self) -> tuple[Entry, ...]:
        """The entries that are classes; the position of each is its index."""
        return tuple(e for e in self.entries if not e.ignored)

    @property
    def ignored(self) -> tuple[Entry, ...]:
        """The entries whose pixels do not count."""
        return tuple(e for e in self.entries if e.ignored)

    @property
    def names(self) -> list[str]:
        """Class names by index."""
        return [e.name for e in self.classes]

    @property
    def palette_K3(self) -> U8:
        """Class colours by index, uint8 (K, 3)."""
        return np.array([e.color for e in self.classes], np.uint8)

    @property
    def palette_256(self) -> U8:
        """The palette of index masks, uint8 (256, 3): class colours, and white for what is ignored."""
        palette = np.full((256, 3), 255, np.uint8)
        palette[: len(self)] = self.palette_K3
        return palette

    def __len__(self) -> int:
        return len(self.classes)

    def _key(self, entry: Entry) -> int:
        return pack(entry.color) if self.encoding == "color" else entry.value

    def _answers(self, names: Sequence[str]) -> dict[int, int]:
        """Key -> class index, or ``IGNORE``."""
        if self.encoding == "name":
            known = {e.name: IGNORE for e in self.ignored} | {e.name: i for i, e in enumerate(self.classes)}
            # Drawn regions call it so, however the table writes it ("Background", "_background_").
            for name, answer in sorted(known.items(), key=lambda pair: pair[1]):  # classes before what is ignored
                if name.strip().strip("_").casefold() == "background":
                    known.setdefault("background", answer)
            return {local: known[name] for local, name in enumerate(names) if name in known}
        answers = {self._key(e): IGNORE for e in self.ignored}
        return answers | {self._key(e): index for index, e in enumerate(self.classes)}

    def resolve(self, keys: Iterable[int], names: Sequence[str] = ()) -> dict[int, int | None]:
        """Key -> class index, ``IGNORE``, or None for one that no class has.

        Of classes that overlap, bits -> bits: those of the file or of ``names`` become those of the
        classes, or ``IGNORED_BIT``.
        """
        answers = self._answers(names)
        if self.overlapping:
            return {k: self._bits(k, answers) for k in keys}
        if self.encoding == "instances":
            return {k: answers.get(min(k, 1)) for k in keys}
        if not self.snap:
            return {k: answers.get(k) for k in keys}
        return {k: answers[k if k in answers else self._nearest(k, answers)] for k in keys}

    def _bits(self, key: int, answers: dict[int, int]) -> int | None:
        found = {answers.get(layer) for layer in self.layers(key)}
        if IGNORE in found:
            return IGNORED_BIT
        return None if None in found else sum(1 << index for index in found if index is not None)

    def layers(self, key: int) -> list[int]:
        """Names (from 0) or bands (from 1) whose bits are set in a stored pixel."""
        return [bit if self.encoding == "name" else bit + 1 for bit in set_bits(key)]

    def columns(self, answer: int) -> list[int]:
        """The classes of a pixel that :meth:`resolve` gave this answer; -1 if it is ignored."""
        if self.overlapping:
            return [-1] if answer & IGNORED_BIT else set_bits(answer)
        return [-1 if answer == IGNORE else answer]

    def _nearest(self, key: int, answers: Iterable[int]) -> int:
        if self.encoding != "color":
            return min(answers, key=lambda k: (abs(k - key), k))
        color = unpack(key)
        return min(answers, key=lambda k: (sum((a - b) ** 2 for a, b in zip(unpack(k), color, strict=True)), k))

    def encode(self, raw: npt.NDArray[np.integer], where: object, names: Sequence[str] = ()) -> U8:
        """Class indices (H, W) uint8 of a mask as stored; ignored pixels are 255.

        Args:
            raw: (H, W) values, or (H, W, 3) colours, as ``encoding`` says.
            where: the file, for the message.
            names: what the values count in, where regions were drawn.

        Raises:
            DataError: a value or colour that no class has.
            InputError: fractions, or classes that overlap, whose bits one index does not hold.
        """
        if self.overlapping:
            raise InputError(
                where=where,
                expected="a class table with one class for each pixel",
                received="classes that may overlap",
                remedy="use encode_bits, which gives a bit for each class",
            )
        return self._looked_up(raw, where, names).astype(np.uint8, copy=False)

    def encode_bits(self, raw: npt.NDArray[np.integer], where: object, names: Sequence[str] = ()) -> U16:
        """The same for classes that overlap: uint16 (H, W), bit k for class k, ``IGNORED_BIT`` for ignored."""
        return self._looked_up(raw, where, names).astype(np.uint16, copy=False)

    def _looked_up(
        self, raw: npt.NDArray[np.integer], where: object, names: Sequence[str]
    ) -> npt.NDArray[np.unsignedinteger]:
        if raw.dtype.kind not in "biu":
            raise InputError(
                where=where,
                expected="a mask of whole numbers",
                received=f"the dtype {raw.dtype}",
                remedy="choose a class for each pixel first, and convert the mask with astype(np.uint8)",
            )
        keys = pack_pixels(raw) if self.encoding == "color" else raw.astype(np.int64, copy=False)
        present = unique_keys(keys)
        dtype = np.uint16 if self.overlapping else np.uint8
        found = self.resolve(map(int, present), names)
        unknown = [k for k, index in found.items() if index is None]
        if unknown:
            counts = self.strange({k: int(np.count_nonzero(keys == k)) for k in unknown}, names)
            if self.encoding == "name":
                first = min(counts)
                raise self._unknown_name(names[first] if first < len(names) else first, where)
            raise self.unknown(counts, where)
        answers = np.array([found[int(k)] for k in present], dtype)
        out: npt.NDArray[np.unsignedinteger] = answers[np.searchsorted(present, keys)]
        return out

    def strange(self, counts: dict[int, int], names: Sequence[str] = ()) -> dict[int, int]:
        """Of keys that no class has, with their pixels: themselves, or the layers in them that are of no class."""
        if not self.overlapping:
            return counts
        known = self._answers(names)
        layers = {layer for k in counts for layer in self.layers(k) if layer not in known}
        return {layer: sum(n for k, n in counts.items() if layer in self.layers(k)) for layer in sorted(layers)}

    def _unknown_name(self, name: object, where: object) -> DataError:
        return DataError(
            where=where,
            expected=f"only names of the class table ({', '.join(e.name for e in self.entries[:8])})",
            received=f'"{name}"',
            remedy=f"add a class for it to the class table, or ignore it with --ignore {name}",
        )

    def unknown(self, counts: dict[int, int], where: object) -> DataError:
        """The error for keys that no class has, with their pixel counts."""
        worst = max(counts, key=lambda k: counts[k])
        count, unknown = counts[worst], list(counts)
        kind = "colour" if self.encoding == "color" else "value"
        shown = str(unpack(worst)) if self.encoding == "color" else str(worst)
        option = ",".join(map(str, unpack(worst))) if self.encoding == "color" else str(worst)
        more = f" (and {len(unknown) - 1} more)" if len(unknown) > 1 else ""
        known = ", ".join(f"{unpack(self._key(e)) if kind == 'colour' else e.value} {e.name}" for e in self.entries[:8])
        return DataError(
            where=where,
            expected=f"only {kind}s of the class table ({known}{', …' if len(self.entries) > 8 else ''})",
            received=f"{kind} {shown} in {count} pixels{more}",
            remedy=f"add a class for it to the class table, or ignore it with --ignore {option}",
        )

    def decode(self, mask_HW: Mask) -> U8:
        """The mask in class colours, uint8 (H, W, 3); ignored pixels are white.

        Where classes overlap it is the mean of their colours, and black where none is.
        """
        if not self.overlapping:
            colors: U8 = self.palette_256[mask_HW]
            return colors
        present, places = np.unique(mask_HW, return_inverse=True)
        mixed = np.zeros((len(present), 3), np.uint8)
        for row, bits in enumerate(present.tolist()):
            columns = self.columns(bits)
            mixed[row] = 255 if columns == [-1] else self.palette_K3[columns].mean(axis=0) if columns else 0
        return mixed[places.reshape(mask_HW.shape)]

    def ignoring(self, marks: Iterable[str | int]) -> ClassTable:
        """The same table with more that is ignored: a class name, a value, or a colour "r,g,b".

        Raises:
            InputError: a mark that is none of these.
        """
        entries = list(self.entries)
        for mark in map(str, marks):
            hits = [i for i, e in enumerate(entries) if mark == e.name or self._matches(e, mark)]
            for i in hits:
                entries[i] = replace(entries[i], ignored=True)
            if not hits:
                entries.append(self._mark_entry(mark))
        if all(e.ignored for e in entries):
            raise InputError(
                where="--ignore",
                expected="classes that are left",
                received="all of them ignored",
                remedy="ignore fewer, and look for names such as void in the class table",
            )
        return replace(self, entries=tuple(entries))

    def _matches(self, entry: Entry, mark: str) -> bool:
        if self.encoding == "color":
            return parse_color(mark) == entry.color
        return self.encoding != "name" and mark.lstrip("-").isdigit() and int(mark) == entry.value

    def _mark_entry(self, mark: str) -> Entry:
        color = parse_color(mark)
        if self.encoding == "color" and color is not None:
            return Entry(f"ignored {mark}", color, max(e.value for e in self.entries) + 1, ignored=True)
        if self.encoding == "value" and mark.isdigit():
            return Entry(f"ignored {mark}", (255, 255, 255), int(mark), ignored=True)
        if self.encoding == "name":  # a class of a file that was not looked at yet
            return Entry(mark, (255, 255, 255), max(e.value for e in self.entries) + 1, ignored=True)
        raise InputError(
            where=f"--ignore {mark}",
            expected="a class name or " + ("a colour r,g,b" if self.encoding == "color" else "a mask value"),
            received=mark,
            remedy=f"the classes are {', '.join(self.names[:12])}",
        )

    def to_csv(self) -> str:
        """The table as text with the columns index,name,r,g,b,value,role,read_by; see :func:`read_csv`.

        One more, overlapping, is there where classes overlap.
        """
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        more = ["yes"] if self.overlapping else []
        head = ["index", "name", "r", "g", "b", "value", "role", "read_by", "overlapping"]
        writer.writerow(head if more else head[:-1])
        indices = {e.name: str(i) for i, e in enumerate(self.classes)}
        for e in self.entries:
            index, role = ("", "ignore") if e.ignored else (indices[e.name], "class")
            writer.writerow([index, e.name, *e.color, e.value, role, self.encoding, *more])
        return out.getvalue()


def is_name(name: str) -> bool:
    """Whether a class may be called so: a terminal obeys control characters, and half letters cannot be written."""
    return bool(name.strip()) and not any(c < " " or c == "\x7f" or "\ud800" <= c <= "\udfff" for c in name)


def is_ignored_name(name: str) -> bool:
    """Whether a name says by itself that its pixels do not count; LabelMe writes ``__ignore__``, QuPath ``Ignore*``."""
    return name.strip().strip("_* ").casefold() in _IGNORED_NAMES


def make_entries(names: Sequence[str], values: Sequence[int] | None = None) -> tuple[Entry, ...]:
    """Classes with colours of ours, for masks that bring none."""
    wanted = range(len(names)) if values is None else values
    return tuple(Entry(name, default_color(i), v) for i, (name, v) in enumerate(zip(names, wanted, strict=True)))


# What other programs call these columns; passed over, the rows would be taken for other classes than are meant.
_VALUES = ("value", "index", "id", "class_id", "label_id", "pixel_value")
_COLORS = (("r", "red"), ("g", "green"), ("b", "blue"))
_IN_ONE = ("color", "colour", "hex", "rgb")


def read_csv(path: Path) -> tuple[Entry, ...]:
    """The rows of a class table file.

    Columns, in any order and case: ``name``, ``r``, ``g``, ``b``; optional ``index`` or ``value``
    (what stands for the class in index masks; else the row number) and ``role`` ("class" or
    "ignore"). Rows named void, unlabeled and the like are ignored unless ``role`` says otherwise.

    Raises:
        DataError: the file cannot be read as such a table.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            header = file.readline()
            file.seek(0)
            # Spreadsheets write semicolons where the comma is the decimal sign.
            delimiter = ";" if ";" in header and "," not in header else ","
            rows = [
                {(k or "").strip().lower(): (v or "").strip() for k, v in row.items() if isinstance(v, str)}
                for row in csv.DictReader(file, delimiter=delimiter)
            ]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise _no_table(path, error) from error
    rows = [row for row in rows if any(row.values())]
    if not rows:
        raise DataError(
            where=path,
            expected="one row for each class",
            received="no rows (zero classes)",
            remedy="write a header name,r,g,b and a row for each class",
        )
    try:
        return tuple(_entry(row, number) for number, row in enumerate(rows))
    except (KeyError, ValueError) as error:
        raise DataError(
            where=path,
            expected="the columns name,r,g,b with whole numbers from 0 to 255",
            received=f"the columns {', '.join(rows[0])} ({str(error).strip(chr(39))})",
            remedy="correct the header or the row",
        ) from error


def read_encoding(path: Path) -> Encoding:
    """What stands for the classes in the masks, as :meth:`ClassTable.to_csv` has written it."""
    text = _first(path, "read_by")
    return next((known for known in get_args(Encoding) if known == text), "value")


def read_overlapping(path: Path) -> bool:
    """Whether the classes overlap, as :meth:`ClassTable.to_csv` has written it."""
    return _first(path, "overlapping") == "yes"


def _first(path: Path, column: str) -> str | None:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            return next((row.get(column) for row in csv.DictReader(file)), None)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise _no_table(path, error) from error


def _no_table(path: Path, error: Exception) -> DataError:
    return DataError(
        where=path,
        expected="a class table in CSV",
        received=str(error),
        remedy="save it as UTF-8 text with the columns name,r,g,b",
    )


def _entry(row: dict[str, str], number: int) -> Entry:
    name = row["name"]
    if not name:
        raise ValueError(f"row {number + 1} has no name")
    if not is_name(name):
        raise ValueError(f"control characters in the name {name!a}")
    role = row.get("role") or ("ignore" if is_ignored_name(name) else "class")
    if role not in {"class", "ignore"}:
        raise ValueError(f'role "{role}" is neither class nor ignore')
    channels = [next((row[c] for c in names if c in row), None) for names in _COLORS]
    given = any(channels) or any(row.get(c) for c in _IN_ONE)
    if given:
        if None in channels:
            raise ValueError("a colour needs the three columns r, g, b")
        r, g, b = (int(c or "") for c in channels)
    else:
        r, g, b = default_color(number)
    if not all(0 <= c <= 255 for c in (r, g, b)):
        raise ValueError(f"colour {(r, g, b)} of {name}")
    value = next((row[c] for c in _VALUES if row.get(c)), number)
    return Entry(name, (r, g, b), int(value), ignored=role == "ignore", invented=not given)
