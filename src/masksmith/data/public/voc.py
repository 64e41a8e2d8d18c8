"""Pascal VOC 2012 and the Semantic Boundaries Dataset: the same 20 classes and background.

Rule: a MATLAB file is read as numbers only, and only the variable that holds the mask.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from masksmith.classes import IGNORE, ClassTable, Color, Entry
from masksmith.data.public import download, pairs
from masksmith.data.public.pairs import Content, Pair, Values
from masksmith.errors import DataError

VOC = download.Archive(
    "https://thor.robots.ox.ac.uk/pascal/VOC/voc2012/VOCtrainval_11-May-2012.tar",
    "6cd6e144f989b92b3379bac3b3de84fd",
    "VOCdevkit/VOC2012",
)
SBD = download.Archive(
    "https://www2.eecs.berkeley.edu/Research/Projects/CS/vision/grouping/semantic_contours/benchmark.tgz",
    "82b4d87ceb2ed10f6038a1cba92111cb",
    "benchmark_RELEASE",
)
CLASSES = (
    "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip
_MEANING = {index: index for index in range(len(CLASSES))} | {255: IGNORE}
_PARTS = ("train", "val")


def fetch_voc(root: Path) -> None:
    """Have the set in ``root``/VOCdevkit/VOC2012."""
    download.archive(VOC, root)


def read_voc(root: Path) -> Content:
    """The pictures of VOC 2012 that have masks."""
    base = root / "VOCdevkit" / "VOC2012"
    names = {part: pairs.read_names(base / "ImageSets" / "Segmentation" / f"{part}.txt") for part in _PARTS}
    found = _pairs(names, base / "JPEGImages", base / "SegmentationClass", ".png", pairs.read_values)
    return Content(_table(), _MEANING, sum(map(len, names.values())), found)


def fetch_sbd(root: Path) -> None:
    """Have the set in ``root``."""
    if not (root / "cls").is_dir():
        download.archive(SBD, root)


def read_sbd(root: Path) -> Content:
    """The set as its archive holds it, or with its folders in ``root`` itself."""
    base = root if (root / "cls").is_dir() else root / "benchmark_RELEASE" / "dataset"
    names = {part: pairs.read_names(base / f"{part}.txt") for part in _PARTS}
    found = _pairs(names, base / "img", base / "cls", ".mat", read_mat)
    return Content(_table(), _MEANING, sum(map(len, names.values())), found)


def read_mat(path: Path) -> Values:
    """The mask (H, W) in one MATLAB file of SBD.

    Raises:
        DataError: it holds anything else.
    """
    loadmat = download.library("scipy.io", "scipy").loadmat
    pairs.read_bytes(path)  # its own sentence for a file that is not there
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = np.asarray(loadmat(str(path), variable_names=["GTcls"])["GTcls"][0]["Segmentation"][0])
        if found.ndim != 2 or not np.issubdtype(found.dtype, np.integer):
            raise ValueError(f"{found.dtype} with {found.ndim} axes")
    except Exception as error:  # the reader raises a dozen kinds about broken files
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(
            where=path,
            expected="a MATLAB file with the mask GTcls.Segmentation",
            received=f"one without ({reason[:120]})",
            remedy="delete the set from the folder of downloads and get it again",
        ) from error
    return found


def _table() -> ClassTable:
    return pairs.with_ignored([Entry(name, color(i), i) for i, name in enumerate(CLASSES)], "void")


def color(index: int) -> Color:
    """The colour that VOC shows a class in: the bits of the index, dealt out to red, green, blue."""
    rgb = [0, 0, 0]
    for position in range(8):
        for channel in range(3):
            rgb[channel] |= ((index >> (3 * position + channel)) & 1) << (7 - position)
    return rgb[0], rgb[1], rgb[2]


def _pairs(
    names: dict[str, list[str]], pictures: Path, masks: Path, suffix: str, read: Callable[[Path], Values]
) -> Iterator[Pair]:
    for part, of_part in names.items():
        for name in of_part:
            yield pairs.from_files(part, pictures / f"{name}.jpg", masks / f"{name}{suffix}", name=name, read=read)
