"""The one judge of all systems: index PNG against index PNG.

Rule: NumPy and Pillow alone. It shares no line with any system that it judges.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

IGNORED = 255


@dataclass(frozen=True)
class Verdict:
    """IoU of each class that occurs in the truth, and their means."""

    iou: dict[str, float]
    mean: float
    without_background: float | None
    """None where class 0 is not called "background"."""


def read_index(path: Path) -> npt.NDArray[np.uint8]:
    """The indices in a grey or palette PNG of 8 bits."""
    with Image.open(path) as picture:
        if picture.mode not in {"L", "P"}:
            raise ValueError(f"{path}: expected an index mask of 8 bits, received mode {picture.mode}")
        return np.asarray(picture, np.uint8)


def confusion(pairs: Iterable[tuple[Path, Path]], classes: int) -> npt.NDArray[np.int64]:
    """Pixels by (truth, prediction) over all pairs of such files; ignored truth counts nowhere."""
    total = np.zeros((classes, classes), np.int64)
    for truth_file, prediction_file in pairs:
        truth, prediction = read_index(truth_file), read_index(prediction_file)
        if truth.shape != prediction.shape:
            raise ValueError(f"{prediction_file}: expected {truth.shape} as the truth, received {prediction.shape}")
        counted = truth != IGNORED
        if max(prediction[counted].max(initial=0), truth[counted].max(initial=0)) >= classes:
            raise ValueError(f"{prediction_file}: expected indices below {classes} here and in the truth")
        cells = truth[counted].astype(np.int64) * classes + prediction[counted]
        total += np.bincount(cells, minlength=classes * classes).reshape(classes, classes)
    return total


def verdict(counts: npt.NDArray[np.int64], names: Sequence[str]) -> Verdict:
    """The figures of a confusion matrix over a whole part."""
    hit, true, said = counts.diagonal(), counts.sum(axis=1), counts.sum(axis=0)
    iou = {name: float(hit[k] / (true[k] + said[k] - hit[k])) for k, name in enumerate(names) if true[k]}
    things = _without_background(iou, names)
    return Verdict(iou, _mean(iou), _mean(things) if things is not None else None)


def _without_background(iou: Mapping[str, float], names: Sequence[str]) -> dict[str, float] | None:
    if not names or names[0].lower() != "background":
        return None
    return {name: value for name, value in iou.items() if name != names[0]}


def _mean(iou: Mapping[str, float]) -> float:
    return float(np.mean(list(iou.values()))) if iou else float("nan")


def judge(truth: Path, predictions: Path, names: Sequence[str]) -> Verdict:
    """The figures of a folder of predictions: each file of ``truth`` needs its namesake."""
    pairs = [(file, predictions / file.name) for file in sorted(truth.glob("*.png"))]
    return verdict(confusion(pairs, len(names)), names)
