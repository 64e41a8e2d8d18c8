"""Clean a prediction's mask: thresholds of classes, specks, holes.

Rule: the probabilities stay as the network gave them; what the picture says is no pixel is neither
changed nor counted as a neighbour.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
import numpy.typing as npt

from masksmith.classes import U8, ClassTable
from masksmith.errors import InputError, RecipeError, unknown_name
from masksmith.inference.answering import choose
from masksmith.inference.prediction import Prediction
from masksmith.keys import IGNORE, Mask, join_layers
from masksmith.labels.regions import is_background

Bool = npt.NDArray[np.bool_]
F32 = npt.NDArray[np.float32]

# A speck may join another speck, and both be one still; more rounds than this change nothing that is seen.
_ROUNDS = 8
# 0.3 and 0.7 need not add up to 1 in binary digits.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class CleanupSettings:
    """What is cleaned; the defaults leave a mask as it is."""

    min_object_px: int = 0
    """A region of fewer pixels takes the most probable class of those around it; but not one of the background."""
    fill_holes_px: int = 0
    """A hole of up to so many pixels of class 0 inside a region of another class takes that class."""
    thresholds: Mapping[str, float] = field(default_factory=dict)
    """By class name: the share that it needs against each other class; 0.5 where none stands (see :func:`decide`)."""

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
        RecipeError: a threshold for a class that there is not, or two for two classes.
    """
    thresholds = by_index(prediction.table, settings.thresholds)
    if prediction.table.overlapping:
        mask_HW = _cleaned_layers(prediction, thresholds, settings)
    else:
        mask_HW = _cleaned(prediction, thresholds, settings)
    if prediction.valid_HW is not None:
        mask_HW = np.where(prediction.valid_HW, mask_HW, prediction.mask_HW)
    return replace(prediction, mask_HW=mask_HW)


def by_index(table: ClassTable, given: Mapping[str, float], where: object = "thresholds") -> dict[int, float]:
    """Thresholds by class name as those by index.

    Raises:
        RecipeError: a class that there is not, or two thresholds where one decides already.
    """
    for name in given:
        if name not in table.names:
            raise unknown_name("class", name, table.names, where=where)
    if len(given) == 2 == len(table) and not table.overlapping and abs(sum(given.values()) - 1) > _ROUNDING:
        raise RecipeError(
            where=where,
            expected="one threshold for two classes, which decides for the other too",
            received=", ".join(f"{name}={share:g}" for name, share in given.items()),
            remedy="leave one out",
        )
    return {table.names.index(name): share for name, share in given.items()}


def decide(p_KHW: F32, thresholds: Mapping[int, float], *, overlapping: bool = False) -> Mask:
    """The class of each pixel, where some classes need more or less than to be the most probable.

    A class with the threshold t is taken where its share p / (p + q) is at least t against the probability
    q of each other class; 0.5 is the share of a class without one. So of two classes one is taken where
    its own probability is t or more. Classes that overlap are taken each where its probability is t or more.

    Args:
        p_KHW: probabilities, K first; what follows may be of any shape.
        thresholds: by class index, 0 … 1.
        overlapping: whether a pixel may be of several classes.
    """
    if not thresholds:
        return choose(p_KHW, overlapping=overlapping)
    if overlapping:
        return join_layers(np.stack([p_HW >= thresholds.get(k, 0.5) for k, p_HW in enumerate(p_KHW)]))
    if len(p_KHW) == 2:  # the same rule, without the rounding of a quotient
        index, share = next(iter(thresholds.items()))
        two_HW: U8 = np.where(p_KHW[index] >= share, np.uint8(index), np.uint8(1 - index))
        return two_HW
    return _weighed(p_KHW, thresholds)


def odds(threshold: float) -> float:
    """What a probability is multiplied by, so that the largest product has the share that its threshold asks for.

    >>> odds(0.5), odds(0.2)
    (1.0, 4.0)
    """
    return (1 - threshold) / threshold if threshold > 0 else math.inf


def _weighed(p_KHW: F32, thresholds: Mapping[int, float]) -> U8:
    """Class by class, so that no second stack of probabilities is made; a tie is for a class with a threshold."""
    best_HW = np.full(p_KHW.shape[1:], -1, np.float32)
    out_HW: U8 = np.zeros(p_KHW.shape[1:], np.uint8)
    for k in sorted(range(len(p_KHW)), key=lambda k: k not in thresholds):
        weight = odds(thresholds.get(k, 0.5))
        score_HW = p_KHW[k] * np.float32(weight) if weight < math.inf else np.full_like(best_HW, np.inf)
        is_better = score_HW > best_HW
        best_HW[is_better] = score_HW[is_better]
        out_HW[is_better] = k
    return out_HW


def _cleaned(prediction: Prediction, thresholds: Mapping[int, float], settings: CleanupSettings) -> U8:
    mask_HW: U8 = prediction.mask_HW.astype(np.uint8)
    if thresholds:
        mask_HW = decide(prediction.probabilities_KHW, thresholds).astype(np.uint8, copy=False)
    if prediction.valid_HW is not None:
        mask_HW[~prediction.valid_HW] = IGNORE
    if settings.min_object_px > 1:
        kept = [index for index, name in enumerate(prediction.table.names) if is_background(name)]
        _remove_specks(mask_HW, prediction.probabilities_KHW, settings.min_object_px, kept)
    if settings.fill_holes_px:
        _fill_holes(mask_HW, settings.fill_holes_px)
    return mask_HW


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
            around = _around(part_HW, inside_HW)
            others = [k for k in around if k not in (index, IGNORE)]
            if others and index not in around:  # else another has joined it in this round: the next one measures both
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
