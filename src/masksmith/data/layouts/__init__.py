"""How people lay out pictures and masks on disk: one function a layout, one table.

Rule: a layout says which pictures there are and which annotations they may belong to; joining
the two by name is ``pairing``'s work.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from masksmith.data.layouts import folders, lists, named, side
from masksmith.data.layouts.folders import is_table, with_tables
from masksmith.data.layouts.part import SPLITS, Part, child, two_folders, visible
from masksmith.errors import unknown_name

__all__ = ["LAYOUTS", "SPLITS", "Part", "child", "find", "is_table", "two_folders", "with_tables"]

# In order of trial: what has names of its own first, what fits many folders last.
LAYOUTS: dict[str, Callable[[Path], list[Part]]] = {
    "list": lists.listed,
    "voc": named.voc,
    "cityscapes": named.cityscapes,
    "nnunet": named.nnunet,
    "split folders": folders.split_folders,
    "labels beside": folders.labels_beside,
    "splits inside": folders.splits_inside,
    "annotation table": folders.annotation_table,
    "flat": folders.flat,
    "folder a picture": folders.folder_a_picture,
    "side by side": side.side_by_side,
}

# Archives unpack to a folder in a folder; deeper than this nobody looks.
_DEEPEST = 3


def find(root: Path, forced: str | None = None) -> tuple[str, Path, list[Part]] | None:
    """The name of the first layout in the table that fits, where, and its parts.

    Args:
        root: the data set's folder; a folder that holds but one folder is looked into.
        forced: the one layout that is to be tried.

    Raises:
        RecipeError: ``forced`` stands in no table.
        DataError: a layout fits, but its own lists are damaged.
    """
    if forced is not None and forced not in LAYOUTS:
        raise unknown_name("layout", forced, LAYOUTS, "--layout")
    for _ in range(_DEEPEST):
        for name, layout in LAYOUTS.items():
            if forced in (None, name) and (parts := layout(root)):
                parts[0].findings += lists.passed_over(root)
                return name, root, parts
        if (
            forced in (None, "list") and len(tables := lists.own(root)) == 1
        ):  # nothing else says which pictures there are
            return "list", root, [lists.part_of(tables[0])]
        inside = [p for p in visible(root) if p.is_dir()]
        if len(inside) != 1:
            return None
        root = inside[0]
    return None
