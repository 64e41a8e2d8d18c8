"""Read CVAT XML ("CVAT for images 1.1"): one file for many pictures.

Rule: a file that declares a document type or entities is refused before it is parsed, because
entities can blow up a few bytes to gigabytes or name other files.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET  # safe: entities are refused before, and expat loads nothing
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from masksmith.labels.outlines import ellipse, rectangle
from masksmith.labels.parsed import Parsed
from masksmith.labels.regions import (
    FAR_PX,
    Region,
    as_points,
    check_size,
    decode_runs,
    draw,
    fault,
    head,
    name_table,
    one_picture,
    read_bytes,
    told,
)
from masksmith.labels.source import Grid, LabelSource, RawMask


@dataclass(frozen=True, slots=True)
class _Index:
    names: tuple[str, ...]
    pictures: dict[str, list[ET.Element]]


def sniff(path: Path) -> bool:
    """Whether this is CVAT XML, by its outermost element."""
    return path.suffix.lower() == ".xml" and b"<annotations" in head(path)


def pictures(path: Path) -> list[str]:
    """The names of the pictures that the file annotates.

    Raises:
        DataError: it is no CVAT file.
    """
    return list(_index(path).pictures)


def read(source: LabelSource, grid: Grid) -> RawMask:
    """The regions of one picture, the lowest layer first.

    Raises:
        DataError: the file is broken, does not have the picture, or has it in another size.
    """
    index = _index(source.path)
    with told(source.path, "CVAT file"):
        picture = one_picture(index.pictures, source, grid)
        where = f"{source.path}, image {picture.get('name')}"
        check_size(_whole(picture, "width", where), _whole(picture, "height", where), grid, where)
        drawn = [element for element in picture if element.tag in _SHAPES]
        drawn.sort(key=lambda element: _whole(element, "z_order", where) or 0)
        regions = [_SHAPES[element.tag](element, _label(element, where), where) for element in drawn]
        return draw(regions, index.names, grid, where, source.overlapping)


def _parse(path: Path) -> _Index:
    root = _root(path)
    images = root.findall("image")
    if root.tag != "annotations" or (not images and root.find("track") is not None):
        received = "tracks of a video" if root.tag == "annotations" else f"the element {root.tag[:40]}"
        raise fault(path, "annotations of images", received, 'export it as "CVAT for images 1.1"')
    by_name: dict[str, list[ET.Element]] = {}
    for image in images:
        by_name.setdefault(image.get("name", ""), []).append(image)
    # A label with a parent is a joint of a skeleton.
    labels = [label for label in root.iterfind("meta//labels/label") if label.find("parent") is None]
    names = [(label.findtext("name") or "").strip() for label in labels]
    used = [e.get("label", "").strip() for image in images for e in image if e.tag in _SHAPES]
    return _Index(name_table(name for name in [*names, *used] if name), by_name)


_index = Parsed(_parse)


def _root(path: Path) -> ET.Element:
    content = read_bytes(path)
    try:
        # Decoded here: in another encoding the words below would not be seen.
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise fault(path, "XML in UTF-8", "another encoding", "export it again") from error
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise fault(path, "XML without a document type", "a DOCTYPE or an ENTITY", "export it again from CVAT")
    try:
        return ET.fromstring(text)  # noqa: S314 - entities are refused above
    except (ET.ParseError, ValueError) as error:
        received = f"a broken one ({error})" if text.strip() else "an empty file"
        raise fault(path, "a whole XML file", received, "export or copy it again") from error


def _label(element: ET.Element, where: str) -> str:
    name = element.get("label", "").strip()
    if not name:
        raise fault(where, f"a label on each {element.tag}", "none")
    return name


def _whole(element: ET.Element, key: str, where: str) -> int | None:
    text = element.get(key)
    if text is None:
        return None
    try:
        return int(text)
    except ValueError as error:
        raise fault(where, f"a whole number as {key} of {element.tag}", repr(text[:40])) from error


def _number(element: ET.Element, key: str, where: str, missing: float | None = None) -> float:
    text = element.get(key)
    if text is None and missing is not None:
        return missing
    try:
        value = float(text or "")
    except ValueError as error:
        raise fault(where, f"a number as {key} of {element.tag}", repr((text or "")[:40])) from error
    if not np.isfinite(value):
        raise fault(where, f"a finite number as {key} of {element.tag}", text or "")
    return float(np.clip(value, -FAR_PX, FAR_PX))


def _polygon(element: ET.Element, name: str, where: str) -> Region:
    text = element.get("points", "")
    try:
        points = [[float(number) for number in pair.split(",")] for pair in text.split(";") if pair.strip()]
    except ValueError as error:
        raise fault(where, "points as x,y;x,y;…", repr(text[:40])) from error
    return Region(name, (as_points(points, where),))


def _box(element: ET.Element, name: str, where: str) -> Region:
    left, top, right, bottom = (_number(element, key, where) for key in ("xtl", "ytl", "xbr", "ybr"))
    return Region(name, (rectangle((left, top), (right, bottom), _number(element, "rotation", where, 0.0)),))


def _ellipse(element: ET.Element, name: str, where: str) -> Region:
    x, y, across, down = (_number(element, key, where) for key in ("cx", "cy", "rx", "ry"))
    return Region(name, (ellipse((x, y), (across, down), _number(element, "rotation", where, 0.0)),))


def _mask(element: ET.Element, name: str, where: str) -> Region:
    """Run lengths of the rows of a window of the picture, the first outside."""
    left, top, width, height = (int(_number(element, key, where)) for key in ("left", "top", "width", "height"))
    text = element.get("rle", "")
    try:
        runs = np.array([int(run) for run in text.split(",")], np.int64)
    except (ValueError, OverflowError) as error:
        raise fault(where, "run lengths as rle of mask", repr(text[:40])) from error
    if width < 1 or height < 1:
        raise fault(where, "a mask with a width and a height", f"{width}×{height}")
    return Region(name, mask_HW=decode_runs(runs, (height, width), "C", where), left=left, top=top)


# What encloses something; points, polylines, cuboids, skeletons and tags do not.
_SHAPES: dict[str, Callable[[ET.Element, str, str], Region]] = {
    "polygon": _polygon,
    "box": _box,
    "ellipse": _ellipse,
    "mask": _mask,
}
