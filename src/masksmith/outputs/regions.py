"""The regions of a prediction: what polygons and numbered things are made from.

Rule: a region is one piece of one class that hangs together over edges of pixels. The class named
"background" has none, nor have pixels that the picture says are none.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from masksmith.errors import EnvironmentFault
from masksmith.inference.prediction import Prediction
from masksmith.labels.regions import is_background
from masksmith.outputs import splitting
from masksmith.outputs.outlines import Rings, trace, trace_labelled
from masksmith.outputs.shaping import Shaping

F64 = npt.NDArray[np.float64]
Bool = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """One piece of a class, whose first pixel's corner is at (left, top)."""

    number: int
    """From 1, over all classes of the picture."""
    index: int
    """Of its class."""
    name: str
    mask_HW: Bool
    left: int
    top: int
    confidence: float
    """The mean probability of its class in it."""
    rings: tuple[F64, ...] = ()
    """Corners (x, y) of the outer ring and then of the holes, not closed; see :func:`outlined`."""

    @property
    def area_px(self) -> int:
        """How many pixels it has."""
        return int(np.count_nonzero(self.mask_HW))

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Left, top, width and height in pixels."""
        height, width = self.mask_HW.shape
        return self.left, self.top, width, height

    @property
    def centroid(self) -> tuple[float, float]:
        """(x, y) in pixels; the centre of the first pixel is at (0.5, 0.5)."""
        y, x = np.nonzero(self.mask_HW)
        return float(x.mean()) + self.left + 0.5, float(y.mean()) + self.top + 0.5


@dataclass(frozen=True, slots=True, eq=False)
class _Piece:
    mask_HW: Bool
    left: int
    top: int
    rings: Rings = ()
    """In the picture's pixels; empty where none were asked for."""


def find(prediction: Prediction, shaping: Shaping) -> list[Region]:
    """The regions of all classes, those of the first class first, without outlines."""
    return list(_found(prediction, shaping, outlines=False))


def outlined(prediction: Prediction, shaping: Shaping) -> list[Region]:
    """The same with outlines.

    Raises:
        EnvironmentFault: they are to be simplified, and shapely is not installed.
    """
    return list(_found(prediction, shaping, outlines=True))


def _found(prediction: Prediction, shaping: Shaping, *, outlines: bool) -> Iterator[Region]:
    number = 0
    for index, layer_HW in classes(prediction):
        name, probability_HW = prediction.table.names[index], prediction.probabilities_KHW[index]
        for piece in _pieces(layer_HW, shaping, outlines=outlines):
            if np.count_nonzero(piece.mask_HW) < shaping.min_area_px:
                continue
            number += 1
            height, width = piece.mask_HW.shape
            inside = probability_HW[piece.top : piece.top + height, piece.left : piece.left + width][piece.mask_HW]
            rings = tuple(ring.astype(np.float64) for ring in piece.rings)
            if rings and shaping.simplify_px:
                rings = _simplified(rings, shaping.simplify_px)
            confidence = float(inside.mean(dtype=np.float64))
            yield Region(number, index, name, piece.mask_HW, piece.left, piece.top, confidence, rings)


def classes(prediction: Prediction) -> Iterator[tuple[int, Bool]]:
    """Index and pixels of each class but the background, without pixels that are none."""
    for index, name in enumerate(prediction.table.names):
        if not is_background(name):
            layer_HW = prediction.layer(index)
            yield index, layer_HW if prediction.valid_HW is None else layer_HW & prediction.valid_HW


def _pieces(layer_HW: Bool, shaping: Shaping, *, outlines: bool) -> Iterator[_Piece]:
    if shaping.split == "components":
        yield from _components(layer_HW, outlines=outlines)
        return
    for whole in _components(layer_HW, outlines=False):
        parts_HW = splitting.split(whole.mask_HW)
        for part, rows, columns in splitting.boxes(parts_HW):
            for piece in _components(parts_HW[rows, columns] == part, outlines=False):
                left, top = whole.left + columns.start + piece.left, whole.top + rows.start + piece.top
                traced = trace(piece.mask_HW)[0] if outlines else ()
                yield _Piece(piece.mask_HW, left, top, tuple(ring + np.array([left, top]) for ring in traced))


def _components(layer_HW: Bool, *, outlines: bool) -> Iterator[_Piece]:
    count, labels_HW, stats, _ = cv2.connectedComponentsWithStats(layer_HW.astype(np.uint8), connectivity=4)
    traced = trace_labelled(labels_HW.astype(np.int32, copy=False), count) if outlines else [()] * (count - 1)
    for label, (left, top, width, height, _) in enumerate(stats[1:count].tolist(), 1):
        mask_HW = labels_HW[top : top + height, left : left + width] == label
        yield _Piece(mask_HW, left, top, traced[label - 1])


def _simplified(rings: tuple[F64, ...], most_px: float) -> tuple[F64, ...]:
    try:
        import shapely  # an extra, needed for this alone
    except ImportError as error:
        raise EnvironmentFault(
            where="simplified outlines",
            expected="shapely",
            received="no such library",
            remedy='install it with pip install "masksmith[geo]", or keep outlines as they are',
        ) from error
    whole = shapely.Polygon(rings[0], rings[1:])
    simple = whole.simplify(most_px, preserve_topology=True)
    simple = simple if simple.geom_type == "Polygon" and not simple.is_empty else whole
    return tuple(np.asarray(ring.coords, np.float64)[:-1, :2] for ring in (simple.exterior, *simple.interiors))
