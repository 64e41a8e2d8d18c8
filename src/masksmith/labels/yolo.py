"""Read YOLO text: one line a region, ``class x y x y …`` or ``class centre-x centre-y width height``.

Rule: numbers are shares of the picture's width and height; an empty file says that nothing is there.
Names come from the data set's YAML, else from its classes.txt, and are ``class N`` where there is neither.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np
import yaml

from masksmith.errors import DataError
from masksmith.labels.outlines import rectangle
from masksmith.labels.regions import (
    F64,
    Region,
    as_points,
    draw,
    fault,
    head,
    name_table,
    read_bytes,
    stamp,
    told,
)
from masksmith.labels.source import Grid, LabelSource, RawMask
from masksmith.limits import MAX_CLASSES

# The data set's YAML lies beside labels/train/x.txt's grandparent, or one folder higher.
_PARENTS = 3

# The names that such a YAML usually has, in order; another one is read too, but may be anything.
_USUAL = {"data.yaml": 0, "dataset.yaml": 1}

# One name a line, as Label Studio and labelImg write it; the latter leaves its own examples beside a YAML.
_LIST = "classes.txt"

_BOX = 4

# Shares a little outside 0 … 1 are drawings over the edge; beyond this they are pixels.
_MAX_SHARE = 2.0


def sniff(path: Path) -> bool:
    """Whether this is YOLO text: a line with a class and coordinates, or nothing at all.

    One good line is enough, so that reading tells which other line is bad.
    """
    if path.suffix.lower() != ".txt":
        return False
    lines = [line for line in head(path).decode("utf-8-sig", "replace").splitlines() if line.strip()]
    return not lines or any(_is_region(line) for line in lines)


def _is_region(line: str) -> bool:
    try:
        _numbers(line, "")
    except DataError:
        return False
    return True


def read(source: LabelSource, grid: Grid) -> RawMask:
    """The regions in the order of their lines.

    Raises:
        DataError: a line is no region, or its class has no name.
    """
    path = source.path
    lines = [(f"{path}, line {number}", line) for number, line in enumerate(_lines(path), 1) if line.strip()]
    drawn = [(*_numbers(line, where), where) for where, line in lines]
    names, named_by = _names(path.parent)
    if not names:
        names = tuple(f"class {number}" for number in range(max((number for number, *_ in drawn), default=-1) + 1))
    regions = []
    for number, values, where in drawn:
        if number >= len(names):
            raise fault(
                where, f"a class below {len(names)}, as {named_by} names them", str(number), "add its name there"
            )
        regions.append(Region(names[number], (_outline(values, grid),)))
    return draw(regions, name_table(names), grid, path, source.overlapping)


def _lines(path: Path) -> list[str]:
    try:
        return read_bytes(path).decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise fault(path, "plain text", "other bytes", "save it as UTF-8 text") from error


def _numbers(line: str, where: object) -> tuple[int, F64]:
    try:
        first, *rest = [float(word) for word in line.split()]
    except ValueError as error:
        raise fault(where, "numbers", repr(line[:60])) from error
    if not (first.is_integer() and 0 <= first < MAX_CLASSES):
        raise fault(where, f"a class from 0 to {MAX_CLASSES - 1} at first", f"{first:g}")
    if len(rest) < _BOX or len(rest) % 2:
        raise fault(where, "a class and 4 numbers of a box or 6 or more of an outline", f"{len(rest)} numbers")
    values = as_points(rest, where).ravel()
    if np.abs(values).max() > _MAX_SHARE:
        largest = values[np.abs(values).argmax()]
        raise fault(where, "shares of the picture from 0 to 1", f"{largest:g}", "divide by its width and height")
    return int(first), values


def _outline(values: F64, grid: Grid) -> F64:
    size = np.array([grid.width, grid.height], np.float64)
    if len(values) != _BOX:
        return values.reshape(-1, 2) * size
    center, half = values[:2] * size, values[2:] * size / 2
    (left, top), (right, bottom) = center - half, center + half
    return rectangle((float(left), float(top)), (float(right), float(bottom)))


def _names(folder: Path) -> tuple[tuple[str, ...], str]:
    """The names of the nearest YAML that has some, else of the nearest list, and that file's name."""
    folder = folder.absolute()
    places = (folder, *folder.parents[:_PARENTS])
    for place in places:
        for path in _candidates(*stamp(place)[:2]):
            names = _read_names(*stamp(path))
            if names:
                return names, path.name
    for path in (place / _LIST for place in places):
        if path.is_file() and (names := _read_list(*stamp(path))):
            return names, path.name
    return (), ""


@lru_cache(maxsize=64)
def _candidates(folder: Path, changed_ns: int) -> tuple[Path, ...]:  # noqa: ARG001 - it is part of the cache's key
    """YAML files, the usual names first; kept, since a folder of labels is asked for each of them."""
    found = [path for path in _listed(folder) if path.suffix.lower() in {".yaml", ".yml"} and path.is_file()]
    return tuple(sorted(found, key=lambda path: (_USUAL.get(path.name.lower(), len(_USUAL)), path.name)))


def _listed(folder: Path) -> Iterator[Path]:
    try:
        yield from folder.iterdir()
    except OSError:  # a parent that may not be listed has nothing to say
        return


@lru_cache(maxsize=64)
def _read_names(path: Path, changed_ns: int, size: int) -> tuple[str, ...]:  # noqa: ARG001 - they make the cache's key
    try:
        content = read_bytes(path)
        return _parse_names(path, content) if b"names" in content else ()
    except DataError:
        if path.name.lower() in _USUAL:
            raise
        return ()  # somebody else's file


@lru_cache(maxsize=64)
def _read_list(path: Path, changed_ns: int, size: int) -> tuple[str, ...]:  # noqa: ARG001 - they make the cache's key
    names = "\n".join(_lines(path)).rstrip()
    return tuple(_named(name, number) for number, name in enumerate(names.split("\n"))) if names else ()


def _parse_names(path: Path, content: bytes) -> tuple[str, ...]:
    try:
        data = yaml.safe_load(content)
    except Exception as error:  # PyYAML raises a dozen kinds about broken files
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise fault(path, "YAML with names", f"a broken file ({reason})", "correct it") from error
    names = data.get("names") if isinstance(data, dict) else None
    with told(path, "YAML file with names"):
        if isinstance(names, list):
            return tuple(_named(name, number) for number, name in enumerate(names))
        if not isinstance(names, dict) or not names:
            return ()
        by_number = {int(number): _named(name, int(number)) for number, name in names.items()}
        if not 0 <= min(by_number) <= max(by_number) < MAX_CLASSES:
            raise fault(path, f"class numbers from 0 to {MAX_CLASSES - 1} in names", str(sorted(by_number))[:60])
        return tuple(by_number.get(number, f"class {number}") for number in range(max(by_number) + 1))


def _named(name: object, number: int) -> str:
    # Lists of aliases to lists are endless as text.
    if not isinstance(name, (str, int, float, type(None))):
        raise TypeError(f"a {type(name).__name__} as the name of class {number}")
    return str("" if name is None else name).strip() or f"class {number}"
