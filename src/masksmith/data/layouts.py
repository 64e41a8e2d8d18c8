"""How people lay out pictures and masks on disk: one function a layout, one table.

Rule: a layout only finds folders; pairing files by name is ``dataset``'s work.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

SPLITS = ("train", "val", "test")

_SPLIT_NAMES = {"train": ("train", "training"), "val": ("val", "valid", "validation"), "test": ("test", "testing")}
_IMAGE_NAMES = ("images", "image", "imgs", "img")
_MASK_NAMES = ("masks", "mask", "labels", "label", "annotations", "gt", "ground_truth")
_MASK_SUFFIXES = ("_labels", "_label", "_masks", "_mask", "annot", "_annot", "_gt")


@dataclass(frozen=True)
class Folders:
    """A folder of pictures and its folder of masks; ``split`` is None where chance is to decide."""

    split: str | None
    images: Path
    masks: Path


def split_folders(root: Path) -> list[Folders]:
    """train/images, train/masks, val/images, …"""
    found = []
    for split, names in _SPLIT_NAMES.items():
        part = _child(root, names)
        if part is not None:
            images, masks = _child(part, _IMAGE_NAMES), _child(part, _MASK_NAMES)
            if images is not None and masks is not None:
                found.append(Folders(split, images, masks))
    return found


def labels_beside(root: Path) -> list[Folders]:
    """train, train_labels, val, val_labels, … (aerial building sets, CamVid's train, trainannot)"""
    found = []
    for split, names in _SPLIT_NAMES.items():
        images = _child(root, names)
        masks = _child(root, [name + suffix for name in names for suffix in _MASK_SUFFIXES])
        if images is not None and masks is not None:
            found.append(Folders(split, images, masks))
    return found


def flat(root: Path) -> list[Folders]:
    """images, masks: split by chance, reproducibly"""
    images, masks = _child(root, _IMAGE_NAMES), _child(root, _MASK_NAMES)
    return [Folders(None, images, masks)] if images is not None and masks is not None else []


LAYOUTS: dict[str, Callable[[Path], list[Folders]]] = {
    "split folders": split_folders,
    "labels beside": labels_beside,
    "flat": flat,
}


def find(root: Path) -> tuple[str, list[Folders]] | None:
    """The name of the first layout in the table that fits ``root``, and its folders."""
    for name, layout in LAYOUTS.items():
        if folders := layout(root):
            return name, folders
    return None


def _child(root: Path, names: tuple[str, ...] | list[str]) -> Path | None:
    """The folder in ``root`` whose name, in any case, is the earliest in ``names``."""
    folders = {p.name.lower(): p for p in sorted(root.iterdir()) if p.is_dir()}
    return next((folders[name] for name in names if name in folders), None)
