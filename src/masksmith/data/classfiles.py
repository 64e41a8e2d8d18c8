"""Find the file that names the classes, in whichever form people have it.

Rule: two tables in one folder are never chosen between.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

import yaml

from masksmith import classes
from masksmith.classes import Entry, default_color
from masksmith.data.layouts.named import city_rows, nnunet_names, read_lines
from masksmith.errors import DataError, listed
from masksmith.recipe import DataSettings

# One name a line, as fastai's CamVid and many others have it.
_NAME_LISTS = ("classes.txt", "codes.txt", "class_names.txt")
_LABELME_FIRST = "__ignore__"


def find(
    root: Path, settings: DataSettings, readers: Collection[str] = (), masks: Collection[Path] = ()
) -> tuple[tuple[Entry, ...] | None, Path | None]:
    """The rows of the class table of a folder and the file that they come from; (None, None) without one.

    Args:
        root: the data set's folder.
        settings: what a person has said about the table.
        readers: of all annotations; where all are YOLO's, classes.txt names their regions.
        masks: the files of all annotations; where others than Cityscapes' own are among them, its classes do not count.

    Raises:
        DataError: two tables, or one that cannot be read.
    """
    if settings.classes is not None:
        path = Path(settings.classes)
        if not path.is_file():
            raise DataError(
                where=path, expected="a class table", received="no such file", remedy="check the path after --classes"
            )
        return read(path), path
    preferred = tables(root)
    if len(preferred) > 1:
        raise DataError(
            where=root,
            expected="one class table",
            received=listed(p.name for p in preferred),
            remedy="choose one with --classes FILE",
        )
    if preferred:
        return classes.read_csv(preferred[0]), preferred[0]
    for name in ("labelmap.txt", *_NAME_LISTS):
        yolo = name == "classes.txt" and (set(readers) == {"yolo"} or _yolo_names(root))
        if not yolo and (path := root / name).is_file():
            return read(path), path
    names = nnunet_names(root)
    if names:
        rows = tuple(
            Entry(n, default_color(i), v, ignored=classes.is_ignored_name(n), invented=True)
            for i, (n, v) in enumerate(sorted(names.items(), key=lambda item: item[1]))
        )
        return rows, root / "dataset.json"
    return city_rows(root, masks), None


def tables(root: Path) -> list[Path]:
    """The class tables in CSV in a folder; classes.csv alone where there is one."""
    found = [p for p in sorted(root.glob("*.csv")) if _is_table(p)]
    return [p for p in found if p.name == "classes.csv"] or found


def read(path: Path) -> tuple[Entry, ...]:
    """The rows of a class table: CSV, CVAT's labelmap.txt, or one name a line.

    Raises:
        DataError: it cannot be read as one.
    """
    if path.suffix.lower() != ".txt":
        return classes.read_csv(path)
    lines = [line.strip() for line in read_lines(path) if line.strip() and not line.startswith("#")]
    if not lines:
        raise DataError(where=path, expected="a class a line", received="an empty file", remedy="name the classes")
    # LabelMe's list begins with what counts as -1, in masks of 8 bits 255: the first class has the value 0 there.
    first = (Entry(lines[0], (255, 255, 255), 255, ignored=True, invented=True),) if lines[0] == _LABELME_FIRST else ()
    return first + tuple(_row(line, number) for number, line in enumerate(lines[len(first) :]))


def _row(line: str, number: int) -> Entry:
    """``name`` or ``name:r,g,b:parts:actions``."""
    name, _, rest = line.partition(":")
    numbers = re.match(r"^(\d+),(\d+),(\d+)", rest)
    color = tuple(min(255, int(n)) for n in numbers.groups()) if numbers else default_color(number)
    return Entry(
        name.strip(),
        (color[0], color[1], color[2]),
        number,
        ignored=classes.is_ignored_name(name),
        invented=numbers is None,
    )


def _yolo_names(root: Path) -> bool:
    """Whether a data.yaml names the classes, which count from 1 behind the background then."""
    for path in sorted((*root.glob("*.yaml"), *root.glob("*.yml"))):
        try:
            stored = yaml.safe_load(path.read_text("utf-8"))
        except (OSError, ValueError, yaml.YAMLError):
            continue
        if isinstance(stored, dict) and "names" in stored:
            return True
    return False


def _is_table(path: Path) -> bool:
    if path.name == "classes.csv":  # whatever is in it: a fault there is to be told, not passed over
        return True
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header = file.readline()
    except (OSError, UnicodeDecodeError):
        return False
    columns = {c.strip().strip('"').lower() for c in header.replace(";", ",").split(",")}
    return {"name", "r", "g", "b"} <= columns
