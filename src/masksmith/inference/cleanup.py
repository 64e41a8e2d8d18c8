"""Clean a prediction's mask: thresholds of classes, specks, holes.

Rule: the probabilities stay as the network gave them; what the picture says is no pixel is neither
changed nor counted as a neighbour.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
import numpy.typing as npt

from masksmith.classes import U8, ClassTable
from masksmith.errors import InputError, unknown_name
from masksmith.inference.prediction import Prediction
from masksmith.keys import IGNORE, Mask, join_layers
from masksmith.labels.regions import is_background

Bool = npt.NDArray[np.bool_]
F32 = npt.NDArray[np.float32]

# A speck may join another speck, and both be one still; more rounds than this change nothing that is seen.
_ROUNDS = 8


@dataclass(frozen=True)
class CleanupSettings:
    """What is cleaned; the defaults leave a mask as it is."""

    min_object_px: int = 0
    """A region of fewer pixels takes the most probable class of those around it; but not one of the background."""
    fill_holes_px: int = 0
    """A hole of up to so many pixels of class 0 inside a region of another class takes that class."""
    thresholds: Mapping[str, float] = field(default_factory=dict)
    """By class name: below it a pixel falls to the next class that reaches its own threshold, else to class 0."""

    def __post_init__(self) -> None:
        for name, value in (("min_object_px", self.min_object_px), ("fill_holes_px", self.fill_holes_px)):
            if value < 0:
                raise InputError(
                    where=name, expected="0 or more pixels", received=str(value), remedy="give 0 to leave regions alone"
                )
        for name, share in self.thresholds.items():
            if not 0 <= share <= 1:
                raise InputError(
                    where=f"threshold of {name}",
                    expected="a probability from 0 to 1",
                    received=f"{share:g}",
                    remedy="give one in that range",
                )


def clean(prediction: Prediction, settings: CleanupSettings) -> Prediction:
    """The prediction with a cleaned mask: thresholds first, then specks, then holes.

    Raises:
        RecipeError: a threshold for a class that there is not.
    """
    thresholds = _thresholds(prediction.table, settings.thresholds)
    if prediction.table.overlapping:
        mask_HW = _cleaned_layers(prediction, thresholds, settings)
    else:
        mask_HW = _cleaned(prediction, thresholds, settings)
    if prediction.valid_HW is not None:
        mask_HW = np.where(prediction.valid_HW, mask_HW, prediction.mask_HW)
    return replace(prediction, mask_HW=mask_HW)


def _thresholds(table: ClassTable, given: Mapping[str, float]) -> dict[int, float]:
    for name in given:
        if name not in table.names:
            raise unknown_name("class", name, table.names, where="thresholds")
    return {table.names.index(name): share for name, share in given.items()}


def _cleaned(prediction: Prediction, thresholds: Mapping[int, float], settings: CleanupSettings) -> U8:
    mask_HW: U8 = prediction.mask_HW.astype(np.uint8)
    if thresholds:
        mask_HW = _above(mask_HW, prediction.probabilities_KHW, thresholds)
    if prediction.valid_HW is not None:
        mask_HW[~prediction.valid_HW] = IGNORE
    if settings.min_object_px > 1:
        kept = [index for index, name in enumerate(prediction.table.names) if is_background(name)]
        _remove_specks(mask_HW, prediction.probabilities_KHW, settings.min_object_px, kept)
    if settings.fill_holes_px:
        _fill_holes(mask_HW, settings.fill_holes_px)
    return mask_HW


def _above(mask_HW: U8, p_KHW: F32, thresholds: Mapping[int, float]) -> U8:
    least_K = np.array([thresholds.get(index, 0.0) for index in range(len(p_KHW))], np.float32)
    own_HW = np.take_along_axis(p_KHW, mask_HW[None].astype(np.int64), axis=0)[0]
    below_HW = own_HW < least_K[mask_HW]
    p_KN = p_KHW[:, below_HW]
    p_KN = np.where(p_KN >= least_K[:, None], p_KN, -1)
    out: U8 = mask_HW.copy()
    out[below_HW] = np.where(p_KN.max(axis=0) >= 0, p_KN.argmax(axis=0), 0)
    return out


def _remove_specks(mask_HW: U8, p_KHW: F32, least_px: int, kept: list[int]) -> None:
    """In place; the smallest first, over again until none is left that has another neighbour."""
    for _ in range(_ROUNDS):
        specks = [
            (area, index, window, inside_HW)
            for index in np.unique(mask_HW).tolist()
            if index != IGNORE and index not in kept
            for area, window, inside_HW in _components(mask_HW == index, 4, least_px - 1)
        ]
        is_changed = False
        for _, index, window, inside_HW in sorted(specks, key=lambda speck: speck[0]):
            part_HW = mask_HW[window]
            others = [k for k in _around(part_HW, inside_HW) if k not in (index, IGNORE)]
            if others:
                p_K = p_KHW[:, window[0], window[1]][:, inside_HW].mean(axis=1)
                part_HW[inside_HW] = max(others, key=lambda k: float(p_K[k]))
                is_changed = True
        if not is_changed:
            return


def _fill_holes(mask_HW: U8, most_px: int) -> None:
    """In place: a piece of class 0 with one other class all around it, and not at the picture's edge."""
    height, width = mask_HW.shape
    for _, window, hole_HW in _components(mask_HW == 0, 8, most_px):
        y, x = np.nonzero(hole_HW)
        top, left = window[0].start + y.min(), window[1].start + x.min()
        bottom, right = window[0].start + y.max(), window[1].start + x.max()
        is_inner = top > 0 and left > 0 and bottom < height - 1 and right < width - 1
        around = _around(mask_HW[window], hole_HW)
        if is_inner and len(around) == 1 and around[0] != IGNORE:
            mask_HW[window][hole_HW] = around[0]


def _cleaned_layers(prediction: Prediction, thresholds: Mapping[int, float], settings: CleanupSettings) -> Mask:
    """Each class by itself: a speck goes, a hole is filled, whatever the others say there."""
    layers_KHW = prediction.layers_KHW.copy()
    for index, share in thresholds.items():
        layers_KHW[index] = prediction.probabilities_KHW[index] >= share
    for layer_HW in layers_KHW:
        if prediction.valid_HW is not None:
            layer_HW[~prediction.valid_HW] = False
        for _, window, inside_HW in _components(layer_HW, 4, settings.min_object_px - 1):
            layer_HW[window][inside_HW] = False
        if settings.fill_holes_px:
            filled_HW = layer_HW.astype(np.uint8)
            if prediction.valid_HW is not None:
                filled_HW[~prediction.valid_HW] = IGNORE
            _fill_holes(filled_HW, settings.fill_holes_px)
            layer_HW[...] = filled_HW == 1
    return join_layers(layers_KHW)


def _components(layer_HW: Bool, connectivity: int, most_px: int) -> Iterator[tuple[int, tuple[slice, slice], Bool]]:
    """Area, window with a pixel of margin, and pixels in it of each piece of up to ``most_px``."""
    if most_px < 1 or not layer_HW.any():
        return
    count, labels_HW, stats, _ = cv2.connectedComponentsWithStats(layer_HW.astype(np.uint8), connectivity=connectivity)
    for label in (np.flatnonzero(stats[1:count, cv2.CC_STAT_AREA] <= most_px) + 1).tolist():
        left, top, width, height, area = (int(n) for n in stats[label])
        window = (slice(max(top - 1, 0), top + height + 1), slice(max(left - 1, 0), left + width + 1))
        yield area, window, labels_HW[window] == label


def _around(part_HW: U8, inside_HW: Bool) -> list[int]:
    """The values at the edges of what is inside."""
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    ring_HW = (cv2.dilate(inside_HW.astype(np.uint8), cross) > 0) & ~inside_HW
    return [int(value) for value in np.unique(part_HW[ring_HW])]
