"""A list of pictures and masks as a table: CSV or Parquet with the columns image, mask, split, group."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from masksmith import images, labels
from masksmith.data.findings import Finding, note
from masksmith.data.layouts.part import SPLIT_NAMES, Part
from masksmith.errors import DataError
from masksmith.labels import Labels

_IMAGE_COLUMNS = ("image", "images", "picture", "image_path", "img", "file", "filename")
_MASK_COLUMNS = ("mask", "masks", "label", "mask_path", "annotation", "annotations")
# As Dataset.to_csv writes them.
OWN_COLUMNS = ["name", "split", "group", "image", "mask", "key"]
FOLD = "fold"
# The folder that the list was written into: its files are found from there when it has been moved alone.
WRITTEN_IN = "written_in"
# Files that make one picture, one a channel, stand in one cell.
JOINT = "|"
# So much of a cell fits into a message.
_SHOWN_LETTERS = 60


def listed(root: Path) -> list[Part]:
    """A CSV or Parquet file with the columns image, mask and, if wanted, split and group"""
    tables = [p for p in _tables(root) if is_list(p) and not _is_own(p)]
    for table in tables:
        _require_paths(table)
    if len(tables) > 1:
        raise DataError(
            where=root,
            expected="one list of pictures and masks",
            received=", ".join(p.name for p in tables),
            remedy="name the one that counts in place of the folder",
        )
    return [part_of(tables[0])] if tables else []


def own(root: Path) -> list[Path]:
    """Tables of ``masksmith split``: they say parts, and not which pictures there are now."""
    return [p for p in _tables(root) if _is_own(p)]


def passed_over(root: Path) -> list[Finding]:
    """A word on these."""
    found = own(root)
    names = ", ".join(p.name for p in found)
    told = f"taken for no list, since masksmith split has written it: {names}; --split FILE follows its parts"
    return [note("layout", told, root, found)] if found else []


def _tables(root: Path) -> list[Path]:
    return [p for p in sorted(root.iterdir()) if p.suffix.lower() in {".csv", ".parquet"}]


def _is_own(path: Path) -> bool:
    return path.suffix.lower() == ".csv" and [c for c in _columns(path) if c not in {FOLD, WRITTEN_IN}] == OWN_COLUMNS


def is_list(path: Path) -> bool:
    """Whether a table has a column of pictures and one of masks."""
    columns = set(_columns(path))
    return bool(columns & set(_IMAGE_COLUMNS)) and bool(columns & set(_MASK_COLUMNS))


def part_of(path: Path) -> Part:
    """The pictures of a list; relative paths start at the list's own folder.

    Raises:
        DataError: it cannot be read, or has no rows.
    """
    rows = read_rows(path)
    part = Part("", path.parent, path.parent, {}, Labels())
    tables: dict[Path, Labels] = {}
    for number, row in enumerate(rows, 2):
        image, mask = (_first(row, names) for names in (_IMAGE_COLUMNS, _MASK_COLUMNS))
        if not image:
            continue
        files = tuple(placed(cell, *homes(row, path.parent)) for cell in image.split(JOINT))
        label = placed(mask, *homes(row, path.parent)) if mask else None
        gone = [f for f in files if not (_exists(f) and f.is_file())]
        gone += [label] if label is not None and not _exists(label) else []
        if gone:
            part.findings.append(
                Finding(
                    "unpaired", str(path), "files that are there", f"{_short(gone[0], path.parent)} in row {number}, which is not",
                    "correct the list, or put the file there", (gone[0],),
                )
            )  # fmt: skip
            continue
        name = _name(row, Path(image.split(JOINT)[0]), number, part.pictures)
        part.pictures[name] = files
        if label is not None:
            _add(part.labels, name, label, (files[0], row.get("key", "")), tables)
        part.groups |= {name: row["group"]} if row.get("group") else {}
        part.splits |= {name: split_name(row["split"], path, number)} if row.get("split") else {}
    return part


def placed(cell: str, home: Path, *others: Path) -> Path:
    """The file that a cell of a list in the folder ``home`` names: from there, or where that is none, from ``others``.

    The working folder is the last of them.
    """
    for folder in (home, *others, Path()):
        if _exists(folder / cell):
            return _plain(folder / cell)
    return home / cell


def homes(row: Mapping[str, str], home: Path) -> list[Path]:
    """Where the relative paths of a row begin: at the folder of the list, and at the one that it was written into."""
    return [home, *(Path(row[key]) for key in [WRITTEN_IN] if row.get(key))]


def _short(path: Path, home: Path) -> str:
    """A path as a message shows it: a cell that is none may hold a whole picture."""
    most = len(str(home)) + 1 + _SHOWN_LETTERS
    return text if len(text := str(path)) <= most else f"{text[: most - 1]}…"


def _plain(path: Path) -> Path:
    """Without the way up and down again, unless that leads through a link to somewhere else."""
    plain = Path(os.path.normpath(path))
    return plain if ".." in path.parts and _exists(plain) and plain.samefile(path) else path


def written(path: Path, home: Path) -> str:
    """The cell for a file: as it is, or from the list's own folder, so that it holds in any working folder."""
    if path.is_absolute():
        return str(path)
    try:
        return os.path.relpath(whole(path), os.path.realpath(home))
    except ValueError:  # another drive
        return str(path.absolute())


def whole(path: Path) -> Path:
    """From the root, and without ``..`` and links on the way; what is a link itself stays one."""
    return Path(os.path.realpath(path.parent), path.name) if ".." in path.parts else path.absolute()


def _exists(path: Path) -> bool:
    """Whether it is there; a name that is too long for the disk is not."""
    try:
        return path.exists()
    except OSError:
        return False


def _add(found: Labels, name: str, mask: Path, wanted: tuple[Path, str], tables: dict[Path, Labels]) -> None:
    """The annotation of a row for (picture, key); a file that annotates many pictures is opened once."""
    picture, key = wanted
    one = tables.get(mask) or labels.collect([(name, mask)])
    if one.by_picture:
        tables[mask] = one
    for source in one.by_name.get(name, []):
        found.add(name, source)
    for source in one.of_picture(key or picture):
        # A key that is given may stand in several rows: what is meant is said there.
        found.add(name, replace(source) if key else source)


def split_name(text: str, path: Path, row: int) -> str:
    """train, val or test, as people write them.

    Raises:
        DataError: none of these.
    """
    for split, names in SPLIT_NAMES.items():
        if text.strip().lower() in names:
            return split
    raise DataError(
        where=f"{path}, row {row}",
        expected="train, val or test in the column split",
        received=f'"{text}"',
        remedy="correct it, or leave the cell empty",
    )


def read_rows(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV or Parquet file, their columns in small letters.

    Raises:
        DataError: it cannot be read, or is empty.
    """
    try:
        if path.suffix.lower() == ".parquet":
            rows = _parquet(path)
        else:
            with path.open(newline="", encoding="utf-8-sig") as file:
                header = file.readline()
                file.seek(0)
                delimiter = ";" if header.count(";") > header.count(",") else "\t" if "\t" in header else ","
                table = csv.DictReader(file, delimiter=delimiter)
                names = [name.strip().lower() for name in table.fieldnames or () if name.strip()]
                if twice := {name for name in names if names.count(name) > 1}:
                    raise ValueError(f"the column {min(twice)} twice")  # the last would win without a word
                rows = [
                    {(k or "").strip().lower(): (v or "").strip() for k, v in row.items() if isinstance(v, str)}
                    for row in table
                ]
    except DataError:
        raise
    except (OSError, ValueError, csv.Error) as error:
        raise _no_list(path, error) from error
    if not rows:
        raise DataError(
            where=path, expected="a row for each picture", received="none", remedy="write one, or remove the file"
        )
    return rows


def _no_list(path: Path, error: Exception) -> DataError:
    return DataError(
        where=path,
        expected="a list in CSV or Parquet with the columns image, mask, split, group",
        received=str(error).splitlines()[0],
        remedy="correct it, and save CSV as UTF-8 text",
    )


def _parquet(path: Path) -> list[dict[str, str]]:
    _require_paths(path)
    table = _pyarrow(path).read_table(path)
    return [{str(k).lower(): "" if v is None else str(v) for k, v in row.items()} for row in table.to_pylist()]


def _schema(path: Path) -> dict[str, str]:
    """The columns of a Parquet file in small letters, with their types."""
    try:
        schema = _pyarrow(path).read_schema(path)
    except (OSError, ValueError) as error:
        raise _no_list(path, error) from error
    return {str(field.name).strip().lower(): str(field.type) for field in schema}


def _require_paths(path: Path) -> None:
    """A Parquet file may hold the pictures themselves, as sets of Hugging Face do: it is no list then."""
    columns = _schema(path) if path.suffix.lower() == ".parquet" else {}
    for name in (*_IMAGE_COLUMNS, *_MASK_COLUMNS):
        if columns.get(name, "").startswith(("struct", "binary", "large_binary")):
            raise DataError(
                where=path,
                expected="a list of paths",
                received=f"pictures inside the table, in the column {name} (a set of Hugging Face)",
                remedy="save its images and masks as files, such as images/1.png and masks/1.png, and name their folder",
            )


def _pyarrow(path: Path) -> Any:  # noqa: ANN401  a module without types
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise DataError(
            where=path,
            expected="pyarrow, which reads Parquet",
            received="an installation without it",
            remedy="pip install pyarrow, or save the list as CSV",
        ) from error
    return pyarrow.parquet


def _columns(path: Path) -> list[str]:
    try:
        if path.suffix.lower() == ".parquet":
            return list(_schema(path))
        with path.open(encoding="utf-8-sig", newline="") as file:
            header = file.readline(4096)
    except (OSError, UnicodeDecodeError):
        return []
    return [c.strip().strip('"').lower() for c in header.replace(";", ",").replace("\t", ",").split(",")]


def _first(row: dict[str, str], names: tuple[str, ...]) -> str:
    return next((row[name] for name in names if row.get(name)), "")


def _name(row: dict[str, str], image: Path, number: int, taken: dict[str, tuple[Path, ...]]) -> str:
    """The name in the row, or the file's; one that is taken is told apart by its part, folder or row."""
    own = row.get("name") or images.stem(image)
    options = (own, f"{row.get('split', '')}/{own}", image.with_name(images.stem(image)).as_posix())
    return next((name for name in options if name not in taken), f"{own} in row {number}")
