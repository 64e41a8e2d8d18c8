"""Layouts of well-known sets and tools, told by their own names."""

from __future__ import annotations

import json
import re
from collections.abc import Container, Iterable
from pathlib import Path, PurePosixPath

import numpy as np

from masksmith import images, labels
from masksmith.classes import Entry
from masksmith.data.findings import Finding, note
from masksmith.data.layouts.part import (
    SPLIT_NAMES,
    Part,
    below,
    by_name,
    child,
    left_beside,
    pictures_below,
    two_folders,
    visible,
)
from masksmith.errors import DataError, listed
from masksmith.labels import Labels
from masksmith.labels.raster import read_file

_CHANNEL = re.compile(r"^(?P<case>.+)_(?P<channel>\d{4})$")

# The classes by trainId, with the labelId that stands for each in the masks (Cityscapes labels).
CITY_CLASSES = {
    7: ("road", (128, 64, 128)),
    8: ("sidewalk", (244, 35, 232)),
    11: ("building", (70, 70, 70)),
    12: ("wall", (102, 102, 156)),
    13: ("fence", (190, 153, 153)),
    17: ("pole", (153, 153, 153)),
    19: ("traffic light", (250, 170, 30)),
    20: ("traffic sign", (220, 220, 0)),
    21: ("vegetation", (107, 142, 35)),
    22: ("terrain", (152, 251, 152)),
    23: ("sky", (70, 130, 180)),
    24: ("person", (220, 20, 60)),
    25: ("rider", (255, 0, 0)),
    26: ("car", (0, 0, 142)),
    27: ("truck", (0, 0, 70)),
    28: ("bus", (0, 60, 100)),
    31: ("train", (0, 80, 100)),
    32: ("motorcycle", (0, 0, 230)),
    33: ("bicycle", (119, 11, 32)),
}
# The other labelIds, which its figures leave out.
_CITY_VOID = {
    0: "unlabeled", 1: "ego vehicle", 2: "rectification border", 3: "out of roi", 4: "static", 5: "dynamic",
    6: "ground", 9: "parking", 10: "rail track", 14: "guard rail", 15: "bridge", 16: "tunnel", 18: "polegroup",
    29: "caravan", 30: "trailer",
}  # fmt: skip
# Masks of other sets lie so, too: theirs are Cityscapes' own if a few show the border and road, building, vegetation.
_CITY_SIGNS = {3, 7, 11, 21}
_CITY_LOOKED_AT = 5
# Nothing else stands in the masks of its test part, which are not published; of trainIds 255 alone.
_CITY_DUMMY = {*range(7)}


def voc(root: Path) -> list[Part]:
    """JPEGImages, SegmentationClass, ImageSets/Segmentation/train.txt, … (Pascal VOC)"""
    pictures, masks, sets = (
        child(root, ("jpegimages",)),
        child(root, ("segmentationclass",)),
        child(root, ("imagesets",)),
    )
    if pictures is None or masks is None:
        return []
    lists = child(sets, ("segmentation",)) or sets if sets is not None else None
    whole = two_folders("", pictures, masks)
    if lists is not None:
        files = {p.name.lower(): p for p in visible(lists) if p.suffix.lower() == ".txt" and p.is_file()}
        for split, names in SPLIT_NAMES.items():
            for name in names:
                if (file := files.get(f"{name}.txt")) is not None:
                    take_list(whole, file, split)
        if files and not whole.splits:
            told = f"the lists name no part, so that all pictures count and parts are drawn: {listed(p.name for p in files.values())}"
            whole.findings.append(note("layout", told, lists, tuple(files.values())))
    if whole.splits:  # most pictures of VOC have boxes only; the lists say which have masks
        rest = {name: files[0] for name, files in whole.pictures.items() if name not in whole.splits}
        drawn = [file for name, file in rest.items() if name in whole.labels.by_name or whole.labels.of_picture(file)]
        if drawn:
            told = f"{len(drawn)} pictures with a mask are in no list, and not used: {listed(p.name for p in drawn)}"
            whole.findings.append(note("layout", told, pictures, drawn))
        whole.pictures = {name: files for name, files in whole.pictures.items() if name not in rest}
    return [whole]


def take_list(whole: Part, file: Path, split: str) -> None:
    """The part of the pictures that a list names; what it names in vain is told."""
    lines = [line.strip() for line in read_lines(file) if line.strip()]
    known = [named_picture(line, whole.pictures) for line in lines]
    gone = [line.split()[0] for line, own in zip(lines, known, strict=True) if own is None]
    found = [own for own in known if own is not None]
    # That trainval.txt repeats the validation part, its name says.
    twice = [own for own in found if whole.splits.get(own, split) != split and file.stem.lower() != "trainval"]
    for names, why in ((gone, "are not there"), (twice, "are in another list, which counts")):
        if names:
            told = f"{file.name} names {len(names)} pictures that {why}: {listed(names)}"
            whole.findings.append(note("layout", told, file, (file,)))
    whole.splits |= {own: split for own in found if own not in whole.splits}


def named_picture(line: str, names: Container[str]) -> str | None:
    """The picture that a line of a list names, alone or before other words; some write the ending too, or folders before it."""
    for text in (line.strip(), line.split()[0]):
        path = PurePosixPath(text.replace("\\", "/"))
        for last in (path.name, images.stem(Path(path.name))):
            parts = (*path.parts[:-1], last)
            for start in range(len(parts)):
                if (name := "/".join(parts[start:])) in names:
                    return name
    return None


def cityscapes(root: Path) -> list[Part]:
    """leftImg8bit/train/city/x_leftImg8bit.png, gtFine/train/city/x_gtFine_labelIds.png"""
    pictures, masks = child(root, ("leftimg8bit",)), child(root, ("gtfine", "gtcoarse"))
    if pictures is None or masks is None:
        return []
    found: list[Part] = []
    ending = _city_ending(masks)
    for split, names in SPLIT_NAMES.items():
        inside, beside = child(pictures, names), child(masks, names)
        if inside is None or beside is None:
            continue
        by, findings = by_name(
            ((name.removesuffix("_leftImg8bit"), path) for name, path in pictures_below(inside)), inside
        )
        found.append(Part(split, inside, beside, by, _city_labels(beside, ending), findings=findings))
    if not found:
        return []
    found[0].findings += left_beside(pictures, masks, found)
    own = ending == "_labelIds" and _are_own(found[0].labels)
    if own:
        told = "labelIds of Cityscapes: without a class table its 19 classes count, and nothing else does"
        found[0].findings.append(note("layout", told, masks))
    last = found[-1]
    if len(found) > 1 and last.split == "test" and _are_dummies(last.labels, _CITY_DUMMY if own else {255}):
        told = f"not used, since its masks hold no class: {last.masks.parent.name}/{last.masks.name}"
        found[0].findings.append(note("layout", told, last.masks, (last.masks,)))
        found.pop()
    return found


def _are_own(found: Labels) -> bool:
    """Whether a few of the masks look like Cityscapes' labelIds."""
    return _CITY_SIGNS <= _city_values(found) <= {*CITY_CLASSES, *_CITY_VOID}


def _are_dummies(found: Labels, dummy: set[int]) -> bool:
    """Whether masks stand for ones that are not published."""
    values = _city_values(found)
    return bool(values) and values <= dummy


def _city_values(found: Labels) -> set[int]:
    """What a few masks of a part hold; nothing where they are no masks of numbers."""
    files = [sources[0].path for _, sources in sorted(found.by_name.items())]
    values: set[int] = set()
    for path in files[:: max(1, len(files) // _CITY_LOOKED_AT)][:_CITY_LOOKED_AT]:
        try:
            values_HW = read_file(path).values_HW if images.is_picture(path) else None
        except DataError:  # told by the scan
            values_HW = None
        values |= set() if values_HW is None else set(np.unique(values_HW).tolist())
    return values


def city_rows(root: Path, used: Iterable[Path] = ()) -> tuple[Entry, ...] | None:
    """Cityscapes' classes and what it leaves out, by labelId; None where the masks in a folder are not its own.

    Nor where other masks than these are ``used``, by a list or --masks.
    """
    pictures, masks = child(root, ("leftimg8bit",)), child(root, ("gtfine", "gtcoarse"))
    if pictures is None or masks is None or (ending := _city_ending(masks)) != "_labelIds":
        return None
    if not all(images.stem(p).endswith(ending) and p.resolve().is_relative_to(masks.resolve()) for p in used):
        return None
    part = next((folder for names in SPLIT_NAMES.values() if (folder := child(masks, names)) is not None), None)
    if part is None or not _are_own(_city_labels(part, ending)):
        return None
    void = (Entry(name, (0, 0, 0), value, ignored=True, invented=True) for value, name in _CITY_VOID.items())
    return (*(Entry(name, color, value) for value, (name, color) in CITY_CLASSES.items()), *void)


def _city_ending(folder: Path) -> str:
    """One kind of masks for all parts, since their numbers differ: of the commonest the training labels before the labels."""
    stems = [images.stem(p) for p in below(folder) if p.is_file()]
    counts = {e: sum(s.endswith(e) for s in stems) for e in ("_labelTrainIds", "_labelIds", "_polygons")}
    best = max(counts, key=lambda e: counts[e])  # the first of equals
    return best if counts[best] else ""


def _city_labels(folder: Path, ending: str) -> Labels:
    files = [p for p in sorted(below(folder)) if p.is_file() and images.stem(p).endswith(ending)]
    return labels.collect(
        (re.sub(r"_gt(Fine|Coarse)\w*$", "", p.relative_to(folder).with_name(images.stem(p)).as_posix()), p)
        for p in files
    )


def nnunet(root: Path) -> list[Part]:
    """imagesTr/x_0000.png one file a channel, labelsTr/x.png, dataset.json (nnU-Net)"""
    pictures, masks = child(root, ("imagestr",)), child(root, ("labelstr",))
    if pictures is None or masks is None:
        return []
    parts = [_cases("", pictures, masks)]
    extra, truth = child(root, ("imagests",)), child(root, ("labelsts",))
    if extra is not None and truth is not None:
        parts.append(_cases("test", extra, truth))
    return parts


def _cases(split: str, pictures: Path, masks: Path) -> Part:
    channels: dict[str, dict[int, Path]] = {}
    for path in visible(pictures):
        match = _CHANNEL.match(images.stem(path)) if images.is_picture(path) else None
        if match:
            channels.setdefault(match["case"], {})[int(match["channel"])] = path
    findings = []
    most = max((len(c) for c in channels.values()), default=0)
    for case, files in channels.items():
        if sorted(files) != list(range(most)):
            findings.append(
                Finding(
                    "channels",
                    str(pictures),
                    f"{most} files for each case, {case}_0000 to {case}_{most - 1:04}",
                    f"{', '.join(p.name for p in files.values())}",
                    "add the missing channel or take the case out",
                    tuple(files.values()),
                )
            )
    complete = {c: tuple(f[i] for i in range(most)) for c, f in channels.items() if sorted(f) == list(range(most))}
    return Part(
        split, pictures, masks, complete, labels.collect((images.stem(p), p) for p in visible(masks)), {}, {}, findings
    )


def nnunet_names(root: Path) -> dict[str, int]:
    """The labels of nnU-Net's dataset.json; {} where there is none.

    Raises:
        DataError: it is no JSON, or its labels are no numbers (regions).
    """
    path = root / "dataset.json"
    if not path.is_file():
        return {}
    try:
        stored = json.loads(path.read_text("utf-8"))
        table = stored.get("labels", {}) if isinstance(stored, dict) else {}
        pairs = ((v, k) if str(k).isdigit() else (k, v) for k, v in table.items())
        return {str(name): int(value) for name, value in pairs}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise DataError(
            where=path,
            expected="labels as names with one number each",
            received=str(error).splitlines()[0],
            remedy="correct dataset.json, or name the classes with --classes FILE",
        ) from error


def read_lines(path: Path) -> list[str]:
    """The lines of a text file.

    Raises:
        DataError: it is no text.
    """
    try:
        return path.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            where=path, expected="a text file", received=str(error), remedy="save it as UTF-8 text"
        ) from error
