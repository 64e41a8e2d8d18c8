"""Layouts that folders make: where the pictures and the masks of each split lie."""

from __future__ import annotations

from pathlib import Path

from masksmith import images, labels
from masksmith.data.findings import note
from masksmith.data.layouts.part import (
    IMAGE_NAMES,
    MASK_NAMES,
    SPLIT_NAMES,
    Part,
    by_name,
    child,
    pictures_below,
    two_folders,
    visible,
)
from masksmith.errors import listed
from masksmith.labels import Labels

_BESIDE = ("_labels", "_label", "_masks", "_mask", "annot", "_annot", "_annotations", "_gt", "_seg")


def split_folders(root: Path) -> list[Part]:
    """train/images, train/masks, val/images, …"""
    found = []
    for split, names in SPLIT_NAMES.items():
        part = child(root, names)
        if part is not None:
            pictures, masks = child(part, IMAGE_NAMES), child(part, MASK_NAMES)
            if pictures is not None and masks is not None:
                found.append(two_folders(split, pictures, masks))
    return found


def labels_beside(root: Path) -> list[Part]:
    """train, train_labels, val, val_labels, … (aerial building sets, CamVid's train, trainannot)"""
    found = []
    for split, names in SPLIT_NAMES.items():
        pictures = child(root, names)
        masks = child(root, [name + suffix for name in names for suffix in _BESIDE])
        if pictures is not None and masks is not None:
            found.append(two_folders(split, pictures, masks))
    return found


def splits_inside(root: Path) -> list[Part]:
    """images/train, masks/train, images/val, … (also img_dir and ann_dir, or images and labels)"""
    pictures, masks = child(root, IMAGE_NAMES), child(root, MASK_NAMES)
    if pictures is None or masks is None:
        return []
    found = []
    for split, names in SPLIT_NAMES.items():
        inside = child(pictures, names)
        if inside is None:
            continue
        beside = child(masks, names)
        if beside is not None:
            found.append(two_folders(split, inside, beside))
        elif table := _annotation_file(masks, names):
            found.append(_with_table(split, inside, table))
    return found


def annotation_table(root: Path) -> list[Part]:
    """train2017, val2017, annotations/instances_train2017.json, … (COCO)"""
    folder = child(root, ("annotations", "annotation", "labels"))
    found = []
    for split, names in SPLIT_NAMES.items():
        pictures = child(root, names)
        table = _annotation_file(folder, names) if folder is not None else None
        if pictures is not None and table is not None:
            inside = child(pictures, IMAGE_NAMES)
            found.append(_with_table(split, inside or pictures, table))
    return found


def flat(root: Path) -> list[Part]:
    """images, masks: split by chance, reproducibly"""
    pictures, masks = child(root, IMAGE_NAMES), child(root, MASK_NAMES)
    if pictures is None or masks is None:
        return []
    part = two_folders("", pictures, masks)
    others = [p for p in visible(root) if p.is_dir() and p not in (pictures, masks)]
    others = [p for p in others if p.name.lower() in (*IMAGE_NAMES, *MASK_NAMES)]
    if others:
        names = listed(f"{p.name}/" for p in others)
        part.findings.append(
            note("layout", f"taken are {pictures.name}/ and {masks.name}/, not used: {names}", root, others)
        )
    return [part]


def folder_a_picture(root: Path) -> list[Part]:
    """A folder for each picture with images/ and masks/, one file an instance (2018 Data Science Bowl)"""
    found = []
    for split, names in (("", None), *SPLIT_NAMES.items()):
        home = root if names is None else child(root, names)
        part = _folders_in(home, split) if home is not None else None
        if part is not None:
            found.append(part)
    return found


def _folders_in(home: Path, split: str) -> Part | None:
    pictures: list[tuple[str, Path]] = []
    found = Labels()
    for folder in visible(home):
        if not folder.is_dir():
            continue
        inside, masks = child(folder, IMAGE_NAMES), child(folder, MASK_NAMES)
        files = pictures_below(inside) if inside is not None else []
        if masks is None or len(files) != 1:
            continue
        pictures.append((folder.name, files[0][1]))
        annotated = [p for p in visible(masks) if p.is_dir() or images.is_picture(p) or labels.annotation_reader(p)]
        if len(annotated) == 1:
            _add_single(found, folder.name, annotated[0], files[0][1])
        elif annotated:
            found.add(folder.name, labels.LabelSource((masks,), "instances"))
    by, findings = by_name(pictures, home)
    if len(by) < 2 or any(p.is_dir() and p.name.lower() in IMAGE_NAMES for p in visible(home)):
        return None
    return Part(split, home, home, by, found, findings=findings)


def _add_single(found: Labels, name: str, path: Path, picture: Path) -> None:
    one = labels.collect([(name, path)])
    for source in one.by_name.get(name, []):
        found.add(name, source)
    for source in one.of_picture(picture):
        found.add(name, source)


def _annotation_file(folder: Path, names: tuple[str, ...]) -> Path | None:
    """The file for many pictures that names a split, instances before keypoints and captions."""
    files = [
        p
        for p in visible(folder)
        if p.is_file() and any(name in p.stem.lower() for name in names) and labels.annotation_reader(p)
    ]
    files.sort(key=lambda p: ("instance" not in p.stem.lower(), p.name))
    return files[0] if files else None


def _with_table(split: str, pictures: Path, table: Path) -> Part:
    by, findings = by_name(pictures_below(pictures), pictures)
    return Part(split, pictures, table.parent, by, labels.collect([(table.stem, table)]), findings=findings)
