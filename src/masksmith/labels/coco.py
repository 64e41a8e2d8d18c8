"""Read COCO JSON: one file for many pictures, with polygons and run lengths.

Rule: a file is parsed once and indexed by picture, whatever the number of pictures that ask.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from masksmith.errors import DataError
from masksmith.labels.parsed import Parsed
from masksmith.labels.regions import (
    Region,
    as_points,
    check_size,
    decode_runs,
    draw,
    fault,
    head,
    load_json,
    name_table,
    one_picture,
    outer_keys,
    told,
    unpack_runs,
)
from masksmith.labels.source import Grid, LabelSource, RawMask

_KEYS = {"images", "annotations", "categories"}

_JOINED = "join the files anew with a number of its own for each"


@dataclass(frozen=True, slots=True)
class _Index:
    names: tuple[str, ...]
    categories: dict[Any, str]
    pictures: dict[str, list[dict[str, Any]]]
    annotations: dict[Any, list[dict[str, Any]]]


def sniff(path: Path) -> bool:
    """Whether this is COCO JSON with annotations; the file is parsed only where its beginning does not tell."""
    if path.suffix.lower() != ".json":
        return False
    keys = outer_keys(head(path))
    if not keys or keys & {"shapes", "features"}:
        return False
    if "annotations" in keys and len(keys & _KEYS) >= 2:
        return True
    try:
        return bool(_index(path).pictures)
    except DataError:
        # One of its keys in a broken file: reading it will say what is wrong.
        return bool(keys & _KEYS) and not _is_bare(path)


def _is_bare(path: Path) -> bool:
    """Whether the file tells of pictures and annotates none, as that of a contest's test does."""
    try:
        data = load_json(path)
    except DataError:
        return False
    return isinstance(data, dict) and isinstance(data.get("images"), list) and "annotations" not in data


def pictures(path: Path) -> list[str]:
    """The names of the pictures that the file annotates.

    Raises:
        DataError: it is no COCO file.
    """
    return list(_index(path).pictures)


def read(source: LabelSource, grid: Grid) -> RawMask:
    """The regions of one picture, drawn in the order of the file.

    Raises:
        DataError: the file is broken, does not have the picture, or has it in another size.
    """
    index = _index(source.path)
    with told(source.path, "COCO file"):
        picture = one_picture(index.pictures, source, grid)
        check_size(picture.get("width"), picture.get("height"), grid, source.path)
        found = index.annotations.get(picture["id"], ())
        regions = [region for annotation in found for region in _regions(annotation, index, grid, source.path)]
        return draw(regions, index.names, grid, source.path, source.overlapping)


def _parse(path: Path) -> _Index:
    data = load_json(path)
    with told(path, "COCO file"):
        parts = data if isinstance(data, dict) else {}
        missing = [key for key in sorted(_KEYS) if not isinstance(parts.get(key), list)]
        if missing:
            expected = f"the lists {', '.join(sorted(_KEYS))} of a COCO file"
            raise fault(path, expected, f"none named {', '.join(missing)}")
        return _indexed(path, parts)


_index = Parsed(_parse)


def _indexed(path: Path, parts: dict[str, list[dict[str, Any]]]) -> _Index:
    images, annotations, categories = parts["images"], parts["annotations"], parts["categories"]
    named: dict[Any, str] = {}
    for category in sorted(categories, key=lambda c: c["id"]):
        name = _name(category, path)
        if named.setdefault(category["id"], name) != name:
            received = f"the id {category['id']!r:.40} for {named[category['id']]} and for {name}"
            raise fault(path, "an id of its own for each category", received, _JOINED)
    by_name: dict[str, list[dict[str, Any]]] = {}
    for image in images:
        if not isinstance(image["file_name"], str):
            raise fault(path, "a text as file_name", repr(image["file_name"])[:60])
        by_name.setdefault(image["file_name"], []).append(image)
    by_picture: dict[Any, list[dict[str, Any]]] = {}
    for annotation in annotations:
        by_picture.setdefault(annotation["image_id"], []).append(annotation)
    _check_ids(path, [image["id"] for image in images], by_picture)
    if annotations and not any(annotation.get("segmentation") for annotation in annotations):
        raise fault(path, "annotations with a segmentation", "boxes alone", "export it as instance segmentation")
    return _Index(name_table(named.values()), named, by_name, by_picture)


def _check_ids(path: Path, ids: list[Any], annotated: Collection[Any]) -> None:
    """Files that were joined badly have ids twice: a picture would get the regions of another."""
    known = Counter(ids)
    twice = [i for i, n in known.items() if n > 1]
    if twice:
        raise fault(path, "an id of its own for each picture", f"{twice[0]!r:.40} for {known[twice[0]]}", _JOINED)
    strays = [i for i in annotated if i not in known]
    # Annotations of pictures that were taken out are harmless; an id that is written otherwise is not.
    written = {str(i): i for i in ids}
    for stray in strays:
        if (meant := written.get(str(stray))) is not None:
            raise fault(path, f"image_id as the id of the picture is written ({meant!r:.40})", f"{stray!r:.40}")
    if annotated and len(strays) == len(annotated):
        raise fault(path, "an image_id that is the id of a picture", "none in any annotation", "export it again")


def _name(category: dict[str, Any], path: Path) -> str:
    name = category["name"]
    if not isinstance(name, str) or not name.strip():
        raise fault(path, "a name for each category", repr(name)[:60])
    return name.strip()


def _regions(annotation: dict[str, Any], index: _Index, grid: Grid, path: Path) -> list[Region]:
    drawn = annotation.get("segmentation")
    where = f"{path}, annotation {annotation.get('id', 'without id')!s:.40}"
    if not drawn and annotation.get("bbox"):
        raise fault(where, "a segmentation", "a box alone", "draw its outline, or remove this annotation")
    if not drawn:
        return []
    name = index.categories.get(annotation.get("category_id"))
    if name is None:
        raise fault(where, "a category_id that categories lists", f"{annotation.get('category_id')!r:.40}")
    if isinstance(drawn, dict):
        return [Region(name, mask_HW=_runs(drawn, grid, where))]
    if not isinstance(drawn, list):
        raise fault(where, "polygons or run lengths as segmentation", type(drawn).__name__)
    polygons = drawn if isinstance(drawn[0], list) else [drawn]
    return [Region(name, (as_points(polygon, where),)) for polygon in polygons]


def _runs(drawn: dict[str, Any], grid: Grid, where: str) -> npt.NDArray[np.bool_]:
    height, width = drawn["size"]
    check_size(width, height, grid, where)
    counts = drawn["counts"]
    runs = unpack_runs(counts, where) if isinstance(counts, str) else np.asarray(counts)
    return decode_runs(runs, (grid.height, grid.width), "F", where)
