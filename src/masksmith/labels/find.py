"""Find the annotations in a folder, whatever kind of file they are in.

Rule: a file is taken by its ending and its first bytes; nothing is decided about what it means.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path, PurePosixPath

from masksmith import images
from masksmith.labels import coco, cvat, geojson, labelme, yolo
from masksmith.labels.source import LabelSource

# Endings of annotation files that are no pictures -> (reader, is it one?), in order of trial.
_SNIFFERS: dict[str, tuple[tuple[str, Callable[[Path], bool]], ...]] = {
    ".json": (("coco", coco.sniff), ("labelme", labelme.sniff), ("geojson", geojson.sniff)),
    ".geojson": (("geojson", geojson.sniff),),
    ".txt": (("yolo", yolo.sniff),),
    ".xml": (("cvat", cvat.sniff),),
}

# Readers whose file annotates many pictures -> which.
_MANY: dict[str, Callable[[Path], list[str]]] = {"coco": coco.pictures, "cvat": cvat.pictures}

# Class lists and licences that people keep beside YOLO's text files.
_NO_ANNOTATIONS = {"classes.txt", "labels.txt", "codes.txt", "readme.txt", "license.txt", "labelmap.txt", "train.txt",
                   "val.txt", "test.txt", "dataset.json", "data.json"}  # fmt: skip


@dataclass
class Labels:
    """The annotations of a folder: by name of file, and by name of picture in files for many."""

    by_name: dict[str, list[LabelSource]] = field(default_factory=dict)
    by_picture: dict[str, list[LabelSource]] = field(default_factory=dict)
    """By :func:`picture_key`; more than one where folders hold pictures of one name, or files tell of the same."""

    def add(self, name: str, source: LabelSource) -> None:
        """One more annotation of the name."""
        self.by_name.setdefault(name, []).append(source)

    def of_picture(self, file: Path | str) -> list[LabelSource]:
        """What files for many pictures have about this one: of several of its name, those in folders most like its own."""
        found = self.by_picture.get(picture_key(str(file)), [])
        if len(found) < 2:
            return found
        fits = [same_ending(source.key, file) for source in found]
        return [source for source, fit in zip(found, fits, strict=True) if fit == max(fits)]

    def __bool__(self) -> bool:
        return bool(self.by_name or self.by_picture)


def annotation_reader(path: Path) -> str | None:
    """The reader of an annotation file that is no picture, or None."""
    if path.name.lower() in _NO_ANNOTATIONS or path.name.startswith("."):
        return None
    return next((name for name, sniff in _SNIFFERS.get(path.suffix.lower(), ()) if sniff(path)), None)


def collect(files: Iterable[tuple[str, Path]]) -> Labels:
    """Those of the (name, file) that are annotations; a folder holds one picture for each instance."""
    found = Labels()
    for name, path in files:
        if path.is_dir():
            if any(images.is_picture(p) for p in path.iterdir()):
                found.add(name, LabelSource((path,), "instances"))
        elif images.is_picture(path):
            found.add(name, LabelSource((path,)))
        elif (reader := annotation_reader(path)) is not None:
            add_annotation(found, name, path, reader)
    return found


def add_annotation(found: Labels, name: str, path: Path, reader: str) -> None:
    """An annotation file: for the picture of its name, or for all that it tells of."""
    if reader not in _MANY:
        found.add(name, LabelSource((path,), reader))
        return
    for picture in _MANY[reader](path):
        # People move the pictures about; the name inside the file is all that stays.
        found.by_picture.setdefault(picture_key(picture), []).append(LabelSource((path,), reader, picture))


def picture_key(name: str) -> str:
    """The name by which a picture is looked up in files that annotate many."""
    return PurePosixPath(name.replace("\\", "/")).name


def same_ending(key: str, file: Path | str) -> int:
    """How many parts of two paths are the same, counted from their ends: pictures of one name lie in many folders."""
    both = (PurePosixPath(str(name).replace("\\", "/")).parts[::-1] for name in (key, file))
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(*both, strict=False)))
