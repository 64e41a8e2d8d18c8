"""Sets of the Hugging Face hub: plain folders of pictures, and Parquet tables with pictures in them.

Rule: no code of a repository is run; only pictures, tables and lists of names are read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from masksmith import files, images
from masksmith.classes import ClassTable, make_entries
from masksmith.data.public import download, pairs
from masksmith.data.public.pairs import Content, Pair, Values
from masksmith.errors import DataError

WHU = "giswqs/WHU-Building-Dataset"
FOOD = "EduardoPacheco/FoodSeg103"

# How the pictures that these tables hold begin.
_MAGIC = {b"\xff\xd8\xff": ".jpg", b"\x89PNG": ".png", b"RIFF": ".webp", b"BM": ".bmp"}
# Rows held in memory at once: photographs of some megabytes each.
_ROWS = 8


def fetch_whu(root: Path) -> None:
    """Have the set in ``root``."""
    download.snapshot(WHU, ["train/*", "val/*", "test/*"], root)


def read_whu(root: Path) -> Content:
    """Aerial pictures with {train,val,test}/{Image,Mask}; 255 stands for buildings."""
    base = root / WHU.rpartition("/")[2]
    found = {part: _by_stem(base / part / "Image") for part in ("train", "val", "test")}
    table = ClassTable(make_entries(["background", "building"]))
    return Content(table, {0: 0, 255: 1}, sum(map(len, found.values())), _whu_pairs(base, found))


def _whu_pairs(base: Path, found: dict[str, dict[str, Path]]) -> Iterator[Pair]:
    for part, pictures in found.items():
        masks = _by_stem(base / part / "Mask")
        for stem, picture in pictures.items():
            yield pairs.from_files(part, picture, masks.get(stem, base / part / "Mask" / picture.name))


def _by_stem(folder: Path) -> dict[str, Path]:
    found = {p.stem: p for p in sorted(folder.glob("*")) if images.is_picture(p)}
    if not found:
        raise _wrong(folder, "a folder of pictures", "none")
    return found


def fetch_food(root: Path) -> None:
    """Have the set in ``root``; the library that reads it is asked for first."""
    download.library("pyarrow.parquet", "pyarrow")
    download.snapshot(FOOD, ["data/*.parquet", "id2label.json"], root)


def read_food(root: Path) -> Content:
    """Photographs of dishes; the class names stand in id2label.json."""
    base = root / FOOD.rpartition("/")[2]
    names = _names(base / "id2label.json")
    tables = {part: sorted((base / "data").glob(f"{stem}-*.parquet")) for part, stem in _FOOD_PARTS.items()}
    opened = [(part, path, _open(path)) for part, paths in tables.items() for path in paths]
    if not all(tables.values()):
        raise _wrong(base / "data", "train-….parquet and validation-….parquet", f"{len(opened)} tables")
    table = ClassTable(make_entries(names))
    total = sum(found.metadata.num_rows for _, _, found in opened)
    return Content(table, {i: i for i in range(len(names))}, total, _rows(opened, base / ".label.png"))


_FOOD_PARTS = {"train": "train", "val": "validation"}


def _names(path: Path) -> list[str]:
    """Class names by index, out of {"0": "background", "1": …}."""
    try:
        found = json.loads(pairs.read_bytes(path))
        return [str(found[str(index)]) for index in range(len(found))]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _wrong(path, 'class names {"0": …, "1": …}', f"something else ({error})") from error


def _open(path: Path) -> Any:  # noqa: ANN401  the library brings no types
    """The table, with the columns that are needed."""
    try:
        found = download.library("pyarrow.parquet", "pyarrow").ParquetFile(str(path))
        columns = list(found.schema_arrow.names)
    except (OSError, ValueError) as error:  # pyarrow's own errors are of these two kinds
        raise _wrong(path, "a Parquet table", f"something else ({str(error).splitlines()[0]})") from error
    if not {"image", "label"} <= set(columns):
        raise _wrong(path, "the columns image and label", ", ".join(columns))
    return found


def _rows(opened: list[tuple[str, Path, Any]], scratch: Path) -> Iterator[Pair]:
    for part, path, table in opened:
        row = 0
        for batch in _batches(path, table):
            for image, label in zip(batch["image"], batch["label"], strict=True):
                name, where = f"{path.stem.split('-of-')[0]}_{row:05}", f"{path}, row {row}"
                yield _pair(part, name, (image, label), scratch, where)
                row += 1


def _batches(path: Path, table: Any) -> Iterator[dict[str, list[Any]]]:  # noqa: ANN401
    try:
        for batch in table.iter_batches(batch_size=_ROWS, columns=["image", "label"]):
            yield batch.to_pydict()
    except (OSError, ValueError) as error:
        raise _wrong(path, "a whole Parquet table", f"a broken one ({str(error).splitlines()[0]})") from error


def _pair(part: str, name: str, cells: tuple[Any, Any], scratch: Path, where: str) -> Pair:
    """A pair of two cells {"bytes": …, "path": …}."""
    image, label = (cell.get("bytes") if isinstance(cell, dict) else None for cell in cells)
    suffix = next((s for magic, s in _MAGIC.items() if isinstance(image, bytes) and image.startswith(magic)), None)
    if suffix is None or not isinstance(image, bytes) or not isinstance(label, bytes):
        raise _wrong(where, "a picture and a mask", "cells that hold none")

    def values() -> Values:
        # Pictures are read from files, because what reads them tells formats by their names.
        files.write_bytes(scratch, label)
        try:
            return pairs.read_values(scratch)
        except DataError as error:
            raise DataError(where=where, expected=error.expected, received=error.received, remedy=_REMEDY) from error

    return Pair(part, name, suffix, lambda: image, values, where)


_REMEDY = "delete the set from the folder of downloads and get it again"


def _wrong(where: object, expected: str, received: str) -> DataError:
    return DataError(where=where, expected=expected, received=received, remedy=_REMEDY)
