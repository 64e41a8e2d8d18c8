"""Layouts that folders make: where the pictures and the masks of each split lie."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from masksmith import images, labels
from masksmith.data.findings import Finding, note
from masksmith.data.layouts import siblings, side, splitlists
from masksmith.data.layouts.part import (
    IMAGE_NAMES,
    MASK_NAMES,
    SPLIT_NAMES,
    Part,
    by_name,
    child,
    contents,
    left_beside,
    pictures_below,
    two_folders,
    visible,
)
from masksmith.errors import listed
from masksmith.labels import Labels, LabelSource

_BESIDE = ("_labels", "_label", "_masks", "_mask", "annot", "_annot", "_annotations", "_gt", "_seg")


def split_folders(root: Path) -> list[Part]:
    """train/images, train/masks, val/images, …"""
    found = []
    for split, names in SPLIT_NAMES.items():
        part = child(root, names)
        if part is not None:
            pictures = child(part, IMAGE_NAMES)
            masks = siblings.masks_beside(part, pictures) if pictures is not None else None
            if pictures is not None and masks is not None:
                found.append(two_folders(split, pictures, masks))
    found = siblings.without_field_of_view(found)
    for made in found:
        made.findings += siblings.others_beside(made, made.images.parent)
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
        elif tables := _annotation_files(masks, names):
            found.append(with_tables(split, inside, tables))
    if found:
        found[0].findings += left_beside(pictures, masks, found)
    return found


def annotation_table(root: Path) -> list[Part]:
    """train2017, val2017, annotations/instances_train2017.json, … (COCO)"""
    folder = child(root, ("annotations", "annotation", "labels"))
    found = []
    for split, names in SPLIT_NAMES.items():
        pictures = child(root, names)
        tables = _annotation_files(folder, names) if folder is not None else []
        if pictures is not None and tables:
            inside = child(pictures, IMAGE_NAMES)
            found.append(with_tables(split, inside or pictures, tables))
    return found


def flat(root: Path) -> list[Part]:
    """images, masks (or one COCO or CVAT file): split as train.txt, val.txt, test.txt say, or by chance, reproducibly"""
    pictures = child(root, IMAGE_NAMES)
    if pictures is None:
        return []
    masks = siblings.masks_beside(root, pictures)
    if masks is None:
        return _beside_tables(root, pictures)
    part = two_folders("", pictures, masks)
    part.findings += siblings.others_beside(part, root)
    splitlists.follow(part, (root, masks))
    return [part]


def _beside_tables(root: Path, pictures: Path) -> list[Part]:
    """Pictures beside the files of tools that annotate all of them: CVAT's annotations.xml, Label Studio's result.json."""
    tables = [p for p in visible(root) if p.suffix.lower() in {".json", ".xml"} and p.is_file() and is_table(p)]
    part = with_tables("", pictures, tables) if tables else None
    if part is None or not any(part.labels.of_picture(files[0]) for files in part.pictures.values()):
        return []
    if any(_most_annotated(own) for own in side.side_by_side(pictures)):  # what was drawn for each counts
        return []
    for name, files in part.pictures.items():
        words = [{*Path(name.lower()).parts[:-1]}, *(_words(s.path.stem) for s in part.labels.of_picture(files[0]))]
        splits = [split for said in words for split, names in SPLIT_NAMES.items() if said & {*names}]
        part.splits |= {name: splits[0]} if splits else {}
    return [part]


def _most_annotated(part: Part) -> bool:
    """Whether at least half of the pictures have an annotation; fewer may have one by the chance of their names."""
    known = [name in part.labels.by_name or part.labels.of_picture(f[0]) for name, f in part.pictures.items()]
    return 2 * sum(map(bool, known)) >= len(known)


def folder_a_picture(root: Path) -> list[Part]:
    """A folder for each picture with images/ and masks/, one file an instance (2018 Data Science Bowl)"""
    found = []
    for split, names in (("", None), *SPLIT_NAMES.items()):
        home = root if names is None else child(root, names)
        part = _folders_in(home, split) if home is not None else None
        if part is not None:
            found.append(part)
    if found:
        found[0].findings += _read_alike([source for part in found for source in part.labels.by_name.values()], root)
    return found


def _read_alike(annotations: list[list[LabelSource]], root: Path) -> list[Finding]:
    """A thing that is alone in its picture is read as the many of the others are, and this is said."""
    alone = [s.path for sources in annotations for s in sources if s.reader == "picture"]
    if not alone or not any(s.reader == "instances" for sources in annotations for s in sources):
        return []
    for sources in annotations:
        sources[:] = [LabelSource(s.files, "instances") if s.reader == "picture" else s for s in sources]
    names = listed(path.parent.parent.name for path in alone)
    told = f"a mask file that is alone in its picture is taken for one thing, as each of the others is: {names}"
    return [note("layout", told, root, alone)]


def _folders_in(home: Path, split: str) -> Part | None:
    pictures: list[tuple[str, Path]] = []
    whole, odd = 0, []
    found = Labels()
    for folder in visible(home):
        if not folder.is_dir():
            continue
        if contents(folder) is None:
            odd.append(folder)
            continue
        inside, masks = child(folder, IMAGE_NAMES), child(folder, MASK_NAMES)
        files = pictures_below(inside) if inside is not None else []
        if len(files) != 1:
            odd += [folder] if files or masks is not None else []
            continue
        pictures.append((folder.name, files[0][1]))
        if masks is not None:
            whole += 1
            _add(found, folder.name, masks, files[0][1])
    by, findings = by_name(pictures, home)
    if whole < 2 or any(p.is_dir() and p.name.lower() in IMAGE_NAMES for p in visible(home)):
        return None
    if odd:
        findings.append(
            Finding(
                "ignored folder",
                str(home),
                "one picture in the folder of each picture",
                f"none or several in {listed(p.name for p in odd)}",
                "give each picture a folder of its own, with its masks",
                tuple(odd),
            )
        )
    return Part(split, home, home, by, found, findings=findings)


def _add(found: Labels, name: str, masks: Path, picture: Path) -> None:
    annotated = [p for p in visible(masks) if p.is_dir() or images.is_picture(p) or labels.annotation_reader(p)]
    if len(annotated) == 1:
        _add_single(found, name, annotated[0], picture)
    elif annotated:
        found.add(name, LabelSource((masks,), "instances"))


def _add_single(found: Labels, name: str, path: Path, picture: Path) -> None:
    one = labels.collect([(name, path)])
    for source in one.by_name.get(name, []):
        found.add(name, source)
    for source in one.of_picture(picture):
        found.add(name, source)


def is_table(path: Path) -> bool:
    """Whether the file annotates many pictures: COCO or CVAT."""
    return not _has_no_regions(path) and labels.annotation_reader(path) in {"coco", "cvat"}


def _has_no_regions(path: Path) -> bool:
    """COCO's own files of captions, and of the pictures of its test."""
    return any(word in path.stem.lower() for word in ("image_info", "captions"))


def _annotation_files(folder: Path, names: tuple[str, ...]) -> list[Path]:
    """The files for many pictures that name a split in a word: instances before keypoints, then its own."""
    files = [p for p in visible(folder) if p.is_file() and _words(p.stem) & {*names} and not _has_no_regions(p)]
    ranks = {p: ("instance" not in p.stem.lower(), p.stem.lower() not in names) for p in files}
    for rank in sorted({*ranks.values()}):  # a file of a lower rank may be large, and is not opened in vain
        if found := [p for p in files if ranks[p] == rank and labels.annotation_reader(p)]:
            return found
    return []


def _words(stem: str) -> set[str]:
    """Of "instances_train2017" and "instancesTrain" each word, the former's last with and without its number."""
    return {*re.split(r"[\W_]+", stem.lower()), *(w.lower() for w in re.findall(r"[A-Z]?[a-z]+|[A-Z]+", stem))}


def with_tables(split: str, pictures: Path, tables: Sequence[Path]) -> Part:
    """A part of a folder of pictures and files that annotate many."""
    by, findings = by_name(pictures_below(pictures), pictures)
    found = labels.collect([(table.stem, table) for table in tables])
    return Part(split, pictures, tables[0].parent, by, found, findings=findings)
