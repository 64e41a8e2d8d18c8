"""Every layout of pictures and annotations as one table: how it is written, and what it is found as."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from corpus.kinds import KINDS, Kind
from corpus.pictures import CLASSES, U8, Scene


@dataclass(frozen=True)
class Laid:
    """A picture as it lies there: its split, "" where chance decides, and its pixels (H, W, 3)."""

    split: str
    pixels_HWC: U8


LaidSet = dict[str, Laid]


@dataclass(frozen=True)
class Layout:
    """``lay`` writes a set; ``found`` is the name in the program's own table."""

    lay: Callable[[Path, Sequence[Scene], Kind], LaidSet]
    found: str
    names_values: bool = False
    """It has a list of its own of the classes' names and values."""


def _parts(scenes: Sequence[Scene]) -> dict[str, Sequence[Scene]]:
    """All but two to train on."""
    return {"train": scenes[:-2], "val": scenes[-2:]}


def _picture(path: Path, scene: Scene) -> U8:
    """Write a picture; its pixels as they are then stored."""
    path.parent.mkdir(parents=True, exist_ok=True)
    options = {"quality": 95} if path.suffix == ".jpg" else {"compress_level": 1}
    Image.fromarray(scene.pixels_HWC).save(path, **options)
    return np.asarray(Image.open(path)) if path.suffix == ".jpg" else scene.pixels_HWC


def _two_folders(home: tuple[Path, Path, Path], scenes: Sequence[Scene], kind: Kind, split: str) -> LaidSet:
    """Pictures in the second, annotations in the third folder of ``home``, whose first is the root."""
    root, pictures, annotations = home
    laid = {s.name: Laid(split, _picture(pictures / f"{s.name}.png", s)) for s in scenes}
    kind.write(annotations, [(s, f"{s.name}.png", s.name) for s in scenes], root)
    return laid


def _by_split(pictures: str, annotations: str) -> Callable[[Path, Sequence[Scene], Kind], LaidSet]:
    """Two folders for each split; "*" in their paths is its name."""

    def lay(root: Path, scenes: Sequence[Scene], kind: Kind) -> LaidSet:
        laid: LaidSet = {}
        for split, part in _parts(scenes).items():
            home = (root, root / pictures.replace("*", split), root / annotations.replace("*", split))
            laid |= _two_folders(home, part, kind, split)
        return laid

    return lay


def _flat(root: Path, scenes: Sequence[Scene], kind: Kind) -> LaidSet:
    return _two_folders((root, root / "images", root / "masks"), scenes, kind, "")


def side_by_side(ending: str, suffix: str = "_mask") -> Callable[[Path, Sequence[Scene], Kind], LaidSet]:
    """x.jpg and x_mask.png, or x.json; with suffix "" x.jpg and x.png."""

    def lay(root: Path, scenes: Sequence[Scene], kind: Kind) -> LaidSet:
        laid = {s.name: Laid("", _picture(root / (s.name + ending), s)) for s in scenes}
        behind = "" if kind.as_picture else suffix
        kind.write(root, [(s, s.name + ending, s.name + behind) for s in scenes], root)
        return laid

    return lay


def _voc(root: Path, scenes: Sequence[Scene], kind: Kind) -> LaidSet:
    laid: LaidSet = {}
    for split, part in _parts(scenes).items():
        laid |= {s.name: Laid(split, _picture(root / "JPEGImages" / f"{s.name}.jpg", s)) for s in part}
        lists = root / "ImageSets" / "Segmentation"
        lists.mkdir(parents=True, exist_ok=True)
        (lists / f"{split}.txt").write_text("".join(f"{s.name}\n" for s in part), encoding="utf-8")
    kind.write(root / "SegmentationClass", [(s, f"{s.name}.jpg", s.name) for s in scenes], root)
    return laid


def _cityscapes(root: Path, scenes: Sequence[Scene], kind: Kind) -> LaidSet:
    laid: LaidSet = {}
    ending = "_gtFine_polygons" if kind.as_picture else "_gtFine_labelIds"
    for split, part in _parts(scenes).items():
        pictures = root / "leftImg8bit" / split / "aachen"
        laid |= {s.name: Laid(split, _picture(pictures / f"{s.name}_leftImg8bit.png", s)) for s in part}
        items = [(s, f"{s.name}_leftImg8bit.png", s.name + ending) for s in part]
        kind.write(root / "gtFine" / split / "aachen", items, root)
    return laid


def _nnunet(root: Path, scenes: Sequence[Scene], kind: Kind) -> LaidSet:
    """One grey file for each channel of a picture."""
    (root / "imagesTr").mkdir()
    for scene in scenes:
        for channel in range(3):
            grey = np.ascontiguousarray(scene.pixels_HWC[..., channel])
            Image.fromarray(grey).save(root / "imagesTr" / f"{scene.name}_{channel:04}.png", compress_level=1)
    kind.write(root / "labelsTr", [(s, f"{s.name}.png", s.name) for s in scenes], root)
    names = CLASSES if len(kind.values) == len(CLASSES) else (CLASSES[0], "thing")
    content: dict[str, object] = {
        "channel_names": {"0": "red", "1": "green", "2": "blue"},
        "numTraining": len(scenes),
        "file_ending": ".png",
    }
    if kind.values:
        content["labels"] = dict(zip(names, kind.values, strict=True))
    (root / "dataset.json").write_text(json.dumps(content), encoding="utf-8")
    return {s.name: Laid("", s.pixels_HWC) for s in scenes}


def _folder_a_picture(root: Path, scenes: Sequence[Scene], kind: Kind) -> LaidSet:
    """<name>/images/<name>.png and <name>/masks/…: a file for each instance, or one of another kind."""
    for scene in scenes:
        home = root / scene.name
        _picture(home / "images" / f"{scene.name}.png", scene)
        if kind is KINDS["instance stack"]:  # the stack is the folder of masks itself
            kind.write(home, [(scene, f"{scene.name}.png", "masks")], root)
        else:
            kind.write(home / "masks", [(scene, f"{scene.name}.png", scene.name)], root)
    return {s.name: Laid("", s.pixels_HWC) for s in scenes}


def _list(root: Path, scenes: Sequence[Scene], kind: Kind) -> LaidSet:
    """list.csv; the folders' names say nothing."""
    laid: LaidSet = {}
    rows = []
    for split, part in _parts(scenes).items():
        for number, scene in enumerate(part):
            laid[scene.name] = Laid(split, _picture(root / "first" / f"{scene.name}.png", scene))
            annotation = f"annotations{kind.ending}" if kind.gather else scene.name + kind.ending
            rows.append([f"first/{scene.name}.png", f"second/{annotation}", split, f"{split} {number // 2}"])
    kind.write(root / "second", [(s, f"{s.name}.png", s.name) for s in scenes], root)
    with (root / "list.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["image", "mask", "split", "group"], *rows])
    return laid


LAYOUTS: dict[str, Layout] = {
    "split folders": Layout(_by_split("*/images", "*/masks"), "split folders"),
    "split folders, labels": Layout(_by_split("*/images", "*/labels"), "split folders"),
    "labels beside": Layout(_by_split("*", "*_labels"), "labels beside"),
    "annot beside": Layout(_by_split("*", "*annot"), "labels beside"),
    "splits inside": Layout(_by_split("images/*", "labels/*"), "splits inside"),
    "img_dir/ann_dir": Layout(_by_split("img_dir/*", "ann_dir/*"), "splits inside"),
    "flat": Layout(_flat, "flat"),
    "side by side": Layout(side_by_side(".jpg"), "side by side"),
    "side by side, png": Layout(side_by_side(".png"), "side by side"),
    "voc": Layout(_voc, "voc"),
    "cityscapes": Layout(_cityscapes, "cityscapes"),
    "nnunet": Layout(_nnunet, "nnunet", names_values=True),
    "folder a picture": Layout(_folder_a_picture, "folder a picture"),
    "list": Layout(_list, "list"),
}

# Cells that nobody can have on disk.
SENSELESS: dict[tuple[str, str], str] = {
    ("nnunet", "coco"): "COCO names one file for a picture, nnU-Net has one for each channel",
    ("nnunet", "cvat"): "CVAT names one file for a picture, nnU-Net has one for each channel",
    ("cityscapes", "instance stack"): "Cityscapes has the instances of a picture in one file",
}
