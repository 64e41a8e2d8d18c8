"""The confusion matrix of a whole set, and the figures that follow from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from masksmith.classes import IGNORE
from masksmith.keys import Mask, is_ignored

I64 = npt.NDArray[np.int64]
F64 = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Metric:
    """A figure per class: its formula in words and in counts (true/false positives, negatives).

    The formula gives (numerator, denominator), each (K,); a denominator of 0 means "n/a".
    """

    formula: str
    counts: Callable[[F64, F64, F64], tuple[F64, F64]]


METRICS: dict[str, Metric] = {
    "iou": Metric("TP / (TP + FP + FN)", lambda tp, fp, fn: (tp, tp + fp + fn)),
    "dice": Metric("2 TP / (2 TP + FP + FN)", lambda tp, fp, fn: (2 * tp, 2 * tp + fp + fn)),
    "precision": Metric("TP / (TP + FP)", lambda tp, fp, fn: (tp, tp + fp)),
    "recall": Metric("TP / (TP + FN)", lambda tp, fp, fn: (tp, tp + fn)),
}


@dataclass(frozen=True)
class Figures:
    """All figures of one set.

    ``per_class[metric][k]`` and ``mean[metric]`` are None where a class does not occur; a mean is
    the plain mean over the classes that have a figure. ``support`` counts the true pixels. Classes
    that overlap have no confusion matrix and no pixel accuracy; ``counted_pixels`` is theirs alone.
    """

    classes: list[str]
    per_class: dict[str, list[float | None]]
    mean: dict[str, float | None]
    pixel_accuracy: float | None
    support: list[int]
    ignored_pixels: int
    confusion: list[list[int]]
    counted_pixels: int | None = None

    def to_dict(self) -> dict[str, object]:
        """For ``metrics.json``: the figures with their definitions beside them."""
        definitions = {
            **{
                name: f"{m.formula}, counted over all pixels of the set; null where it is 0 / 0"
                for name, m in METRICS.items()
            },
            "mean": "plain mean over the classes that have a figure",
            "pixel_accuracy": "pixels of the right class / pixels that count",
            "confusion": "row: true class, column: predicted class, in pixels; ignored pixels are not in it",
        }
        if self.counted_pixels is not None:
            definitions |= dict.fromkeys(("pixel_accuracy", "confusion"), "none, since classes may overlap")
            definitions["counted_pixels"] = "pixels that are not ignored; each counts once for every class"
        told: dict[str, object] = {
            "definitions": definitions,
            "classes": self.classes,
            "mean": self.mean,
            "pixel_accuracy": self.pixel_accuracy,
            "ignored_pixels": self.ignored_pixels,
            "per_class": {
                name: {"pixels": self.support[k], **{metric: self.per_class[metric][k] for metric in METRICS}}
                for k, name in enumerate(self.classes)
            },
            "confusion": self.confusion,
        }
        return told if self.counted_pixels is None else {**told, "counted_pixels": self.counted_pixels}


class Confusion:
    """Pixel counts of a whole set: ``counts_KK[truth, prediction]`` int64, ignored pixels apart."""

    def __init__(self, num_classes: int) -> None:
        self.counts_KK: I64 = np.zeros((num_classes, num_classes), np.int64)
        self.ignored = 0

    def add(self, truth_HW: Mask, predicted_HW: Mask) -> None:
        """Count one picture: class indices of equal shape; truth 255 is ignored."""
        num_classes = len(self.counts_KK)
        counted = truth_HW != IGNORE
        self.ignored += truth_HW.size - int(np.count_nonzero(counted))
        keys = truth_HW[counted].astype(np.int64) * num_classes + predicted_HW[counted]
        self.counts_KK += np.bincount(keys, minlength=num_classes**2).reshape(num_classes, num_classes)


class Layers:
    """The same for classes that overlap: of each class its true and false pixels, int64 (K,)."""

    def __init__(self, num_classes: int) -> None:
        self.right_K, self.extra_K, self.missed_K = (np.zeros(num_classes, np.int64) for _ in range(3))
        self.counted = self.ignored = 0

    def add(self, truth_HW: Mask, predicted_HW: Mask) -> None:
        """Count one picture: bits of equal shape; where ``IGNORED_BIT`` is set in the truth it is ignored."""
        counted = ~is_ignored(truth_HW)
        truth, predicted = truth_HW[counted], predicted_HW[counted]
        self.counted += truth.size
        self.ignored += truth_HW.size - truth.size
        for k in range(len(self.right_K)):
            true, found = (truth >> k & 1).astype(bool), (predicted >> k & 1).astype(bool)
            self.right_K[k] += np.count_nonzero(true & found)
            self.extra_K[k] += np.count_nonzero(found & ~true)
            self.missed_K[k] += np.count_nonzero(true & ~found)


def summarize(counts: Confusion | Layers, names: Sequence[str]) -> Figures:
    """The figures of a set, classes called ``names`` in order of their index."""
    if isinstance(counts, Layers):
        tp, fp, fn = (n.astype(np.float64) for n in (counts.right_K, counts.extra_K, counts.missed_K))
        per_class, mean = _figures(tp, fp, fn)
        support = [int(n) for n in counts.right_K + counts.missed_K]
        return Figures(list(names), per_class, mean, None, support, counts.ignored, [], counts.counted)
    matrix = counts.counts_KK.astype(np.float64)
    tp = np.diag(matrix)
    per_class, mean = _figures(tp, matrix.sum(axis=0) - tp, matrix.sum(axis=1) - tp)
    total = matrix.sum()
    return Figures(
        classes=list(names),
        per_class=per_class,
        mean=mean,
        pixel_accuracy=float(tp.sum() / total) if total else None,
        support=[int(n) for n in matrix.sum(axis=1)],
        ignored_pixels=counts.ignored,
        confusion=[[int(n) for n in row] for row in counts.counts_KK],
    )


def _figures(tp: F64, fp: F64, fn: F64) -> tuple[dict[str, list[float | None]], dict[str, float | None]]:
    """Each metric by class, and its mean."""
    occurs = tp + fn > 0
    per_class: dict[str, list[float | None]] = {}
    mean: dict[str, float | None] = {}
    for name, metric in METRICS.items():
        numerator, denominator = metric.counts(tp, fp, fn)
        # A class without true pixels has no figure, even if some were predicted: those pixels
        # already count against the classes that they were taken from.
        figures = [
            float(n / d) if d > 0 and o else None for n, d, o in zip(numerator, denominator, occurs, strict=True)
        ]
        present = [f for f in figures if f is not None]
        per_class[name] = figures
        mean[name] = sum(present) / len(present) if present else None
    return per_class, mean


def from_dict(stored: Mapping[str, Any]) -> Figures:
    """The inverse of :meth:`Figures.to_dict`."""
    rows = [stored["per_class"][name] for name in stored["classes"]]
    return Figures(
        classes=list(stored["classes"]),
        per_class={metric: [row[metric] for row in rows] for metric in METRICS},
        mean=stored["mean"],
        pixel_accuracy=stored["pixel_accuracy"],
        support=[row["pixels"] for row in rows],
        ignored_pixels=stored["ignored_pixels"],
        confusion=stored["confusion"],
        counted_pixels=stored.get("counted_pixels"),
    )
