"""Layouts of well-known sets and tools, told by their own names."""

from __future__ import annotations

import json
import re
from pathlib import Path

from masksmith import images, labels
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

_CHANNEL = re.compile(r"^(?P<case>.+)_(?P<channel>\d{4})$")


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
                    _take_list(whole, file, split)
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


def _take_list(whole: Part, file: Path, split: str) -> None:
    """The part of the pictures that a list names; some write the ending too, or a folder before it."""
    names = [line.split()[0] for line in read_lines(file) if line.strip()]
    known = [n if n in whole.pictures else images.stem(Path(n)) for n in names]
    gone = [name for name, own in zip(names, known, strict=True) if own not in whole.pictures]
    twice = [own for own in known if whole.splits.get(own, split) != split]
    for names, why in ((gone, "are not there"), (twice, "are in another list, which counts")):
        if names:
            told = f"{file.name} names {len(names)} pictures that {why}: {listed(names)}"
            whole.findings.append(note("layout", told, file, (file,)))
    whole.splits |= {own: split for own in known if own in whole.pictures and own not in whole.splits}


def cityscapes(root: Path) -> list[Part]:
    """leftImg8bit/train/city/x_leftImg8bit.png, gtFine/train/city/x_gtFine_labelIds.png"""
    pictures, masks = child(root, ("leftimg8bit",)), child(root, ("gtfine", "gtcoarse"))
    if pictures is None or masks is None:
        return []
    found = []
    ending = _city_ending(masks)
    for split, names in SPLIT_NAMES.items():
        inside, beside = child(pictures, names), child(masks, names)
        if inside is None or beside is None:
            continue
        by, findings = by_name(
            ((name.removesuffix("_leftImg8bit"), path) for name, path in pictures_below(inside)), inside
        )
        found.append(Part(split, inside, beside, by, _city_labels(beside, ending), findings=findings))
    if found:
        found[0].findings += left_beside(pictures, masks, found)
    return found


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
