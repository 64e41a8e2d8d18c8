"""Part: the pictures of one split and the annotations that they may be paired with.

Rule: folders are walked here, and no file is opened but by the sniffers of ``labels``.
"""

from __future__ import annotations

import os
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from masksmith import images, labels
from masksmith.data.findings import Finding, note
from masksmith.errors import listed
from masksmith.labels import Labels

SPLITS = ("train", "val", "test")

SPLIT_NAMES = {
    "train": ("train", "training", "train2017", "train2014", "tr"),
    "val": ("val", "valid", "validation", "val2017", "val2014", "dev"),
    "test": ("test", "testing", "test2017", "ts"),
}
IMAGE_NAMES = (
    "images",
    "image",
    "imgs",
    "img",
    "pictures",
    "photos",
    "raw",
    "jpegimages",
    "img_dir",
    "x",
    "inputs",
    "input",
)
MASK_NAMES = ("masks", "mask", "labels", "label", "annotations", "annotation", "gt", "ground_truth", "groundtruth",
              "segmentation", "segmentations", "segmentationclass", "ann_dir", "targets", "target", "y")  # fmt: skip


@dataclass
class Part:
    """What one split holds. ``split`` is "" where the layout does not say."""

    split: str
    images: Path
    masks: Path
    pictures: dict[str, tuple[Path, ...]]
    """Name -> the file, or one file a channel."""
    labels: Labels
    groups: dict[str, str] = field(default_factory=dict)
    splits: dict[str, str] = field(default_factory=dict)
    """Name -> split, where a list says it picture by picture."""
    findings: list[Finding] = field(default_factory=list)


def child(root: Path, names: Iterable[str]) -> Path | None:
    """The folder in ``root`` whose name, in any case, is the earliest in ``names``."""
    folders = {p.name.lower(): p for p in sorted(root.iterdir()) if p.is_dir()}
    return next((folders[name] for name in names if name in folders), None)


def visible(folder: Path) -> list[Path]:
    """What lies in a folder, hidden things and spreadsheets of systems left out."""
    return sorted(p for p in folder.iterdir() if not p.name.startswith((".", "__MACOSX", "Thumbs.db")))


def contents(folder: Path) -> list[Path] | None:
    """What is visible in a folder; None where it may not be listed, as lost+found and the like."""
    try:
        return visible(folder)
    except OSError:
        return None


# Folders of systems, which nobody may look into.
_OF_SYSTEMS = ("lost+found", "System Volume Information", "$RECYCLE.BIN")


def below(folder: Path) -> Iterator[Path]:
    """All that lies in a folder and in its folders, but for hidden ones and those of systems.

    Unlike ``rglob`` it does not pass over a folder that cannot be listed. Links to folders are
    followed after the folders themselves, and none to what was seen or lies above: they may lead in circles.
    """
    waiting, seen = [str(folder)], {str(parent) for parent in folder.resolve().parents}
    while waiting:
        for place, folders, names in os.walk(waiting.pop(0), onerror=_fail):
            folders[:] = [name for name in folders if not name.startswith(".") and name not in _OF_SYSTEMS]
            real = os.path.realpath(place)
            if real in seen:
                folders.clear()
                continue
            seen.add(real)
            yield from (Path(place) / name for name in [*folders, *names])
            waiting += [path for name in folders if os.path.islink(path := os.path.join(place, name))]  # noqa: PTH114, PTH118  of os.walk


def _fail(error: OSError) -> None:
    raise error


def pictures_below(folder: Path) -> list[tuple[str, Path]]:
    """(name, file) of the pictures in a folder, or, where it has none, in its folders."""
    direct = [p for p in visible(folder) if p.is_file() or p.is_symlink()]
    flat = [(images.stem(p), p) for p in direct if images.is_picture(p)]
    if flat:
        return flat
    deep = sorted(p for p in below(folder) if not p.is_dir() and images.is_picture(p))
    return [(_relative_name(p, folder), p) for p in deep]


def annotations_below(folder: Path, names: Container[str]) -> Labels:
    """The annotations in a folder, or, where it has none, in its folders.

    A folder of the name of a picture holds a file for each of its things.
    """
    here = visible(folder)
    stacks = [(p.name, p) for p in here if p.is_dir() and p.name in names]
    files = [(images.stem(p), p) for p in here if not p.is_dir()]
    if found := labels.collect(stacks + files):
        return found
    deep = sorted(p for p in below(folder) if p.is_file() or _relative_name(p, folder) in names)
    inside = {p for p in deep if p.is_dir()}
    return labels.collect((_relative_name(p, folder), p) for p in deep if p.parent not in inside)


def by_name(found: Iterable[tuple[str, Path]], where: Path) -> tuple[dict[str, tuple[Path, ...]], list[Finding]]:
    """Pictures by name; two files of one name are a finding, and the first is kept."""
    pictures: dict[str, tuple[Path, ...]] = {}
    findings: list[Finding] = []
    for name, path in found:
        if name not in pictures:
            pictures[name] = (path,)
            continue
        findings.append(
            Finding(
                "ambiguous",
                str(where),
                "one file for each name",
                f"{pictures[name][0].name} and {path.name}",
                "remove or rename one of them, since a picture and its mask are joined by name",
                (pictures[name][0], path),
            )
        )
    return pictures, findings


def two_folders(split: str, image_folder: Path, mask_folder: Path) -> Part:
    """A part of a folder of pictures and a folder of annotations."""
    pictures, findings = by_name(pictures_below(image_folder), image_folder)
    findings += _left_inside(image_folder, pictures)
    return Part(split, image_folder, mask_folder, pictures, annotations_below(mask_folder, pictures), findings=findings)


def left_beside(pictures: Path, masks: Path, parts: Sequence[Part]) -> list[Finding]:
    """A word on the folders inside the folder of pictures, and inside that of masks, that no part takes."""
    used = {folder for part in parts for folder in (part.images, part.masks)}
    rest = [p for home in (pictures, masks) for p in visible(home) if p.is_dir() and p not in used]
    # The pictures of a contest's test come without masks.
    tests = [p for p in rest if p.parent == pictures and p.name.lower() in SPLIT_NAMES["test"]]
    rest = [p for p in rest if p not in tests]
    found = []
    if tests:
        found.append(note("layout", f"not used, since it has no masks: {_names(tests)}", pictures, tests))
    if rest:
        found.append(
            Finding(
                "ignored folder",
                str(pictures.parent),
                "folders train, val and test of pictures, and the same of masks",
                f"{_names(rest)}, which fit to no other",
                "rename them, add what is missing, or remove them",
                tuple(rest),
            )
        )
    return found


def _names(folders: Iterable[Path]) -> str:
    return listed(f"{p.parent.name}/{p.name}" for p in folders)


def _left_inside(folder: Path, pictures: dict[str, tuple[Path, ...]]) -> list[Finding]:
    """A word on the pictures in folders beside pictures, which nobody takes."""
    if all(files[0].parent != folder for files in pictures.values()):
        return []
    inside = [p for p in visible(folder) if p.is_dir() and any(images.is_picture(f) for f in p.rglob("*"))]
    names = listed(f"{p.name}/" for p in inside)
    return (
        [note("layout", f"not used, since {folder} holds pictures itself: {names}", folder, inside)] if inside else []
    )


def _relative_name(path: Path, folder: Path) -> str:
    stem = path.name if path.is_dir() else images.stem(path)
    return path.relative_to(folder).with_name(stem).as_posix()
