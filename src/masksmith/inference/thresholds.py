"""Search a threshold for each class: one class after the other, all values on the grid at once.

Rule: the same as ``cleanup.decide`` does with them; a value that is no better than another is the one nearer
to 0.5, which changes least.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from masksmith.inference.cleanup import odds
from masksmith.keys import Mask

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

GRID = tuple(round(0.05 * step, 2) for step in range(1, 20))
"""The thresholds that are tried: 0.05, 0.1 … 0.95."""

_HALF = GRID.index(0.5)
# Classes are gone through again, since the threshold of one bears on the others; more rounds change hardly anything.
_ROUNDS = 3
# What a threshold must bring in (mean) IoU: less is chance.
_LEAST_STEP = 1e-4


def of_classes(p_KN: F32, truth_N: Mask) -> dict[int, float]:
    """Thresholds of classes of which each pixel has one, for the mean IoU; those that stay at 0.5 are left out.

    The first class has none: the others' say by how much they are preferred to it.
    """
    classes = len(p_KN)
    chosen = [_HALF] * classes
    for _ in range(_ROUNDS):
        before = list(chosen)
        for k in range(1, classes):
            mious_T = _mious(_confusions(p_KN, truth_N, chosen, k))
            place = _nearest_best(mious_T)
            is_nearer = abs(place - _HALF) < abs(chosen[k] - _HALF)  # and as good: what another class has made needless
            if is_nearer or mious_T[place] > mious_T[chosen[k]] + _LEAST_STEP:
                chosen[k] = place
        if chosen == before:
            break
    return {k: GRID[place] for k, place in enumerate(chosen) if place != _HALF}


def of_layers(p_KN: F32, truth_N: Mask) -> dict[int, float]:
    """The same of classes that overlap, each for its own IoU."""
    found: dict[int, float] = {}
    for k, p_N in enumerate(p_KN):
        is_true_N = truth_N >> k & 1
        counts_TB = (
            np.bincount(_bins(p_N) * 2 + is_true_N, minlength=2 * len(GRID) + 2).reshape(-1, 2).astype(np.float64)
        )
        taken_TB = counts_TB.sum(axis=0) - counts_TB.cumsum(axis=0)[:-1]
        true = counts_TB[:, 1].sum()
        if true:
            ious_T = taken_TB[:, 1] / (true + taken_TB[:, 0])
            place = _nearest_best(ious_T)
            if ious_T[place] > ious_T[_HALF] + _LEAST_STEP:
                found[k] = GRID[place]
    return found


def _nearest_best(figures_T: F64) -> int:
    good = np.flatnonzero(figures_T >= figures_T.max() - 1e-9)
    return int(min(good.tolist(), key=lambda place: abs(place - _HALF)))


def _bins(share_N: F32) -> I64:
    """How many values of the grid each share reaches."""
    return np.searchsorted(np.array(GRID, np.float32), share_N, side="right").astype(np.int64)


def _confusions(p_KN: F32, truth_N: Mask, chosen: list[int], k: int) -> F64:
    """The confusion matrix (truth, found) with each value on the grid for class ``k``: (T, K, K).

    Class k is taken where its share against the strongest of the others is large enough: one histogram of
    that share says it for all values.
    """
    classes = len(p_KN)
    rival_N = np.zeros(len(truth_N), np.int64)
    score_N = np.full(len(truth_N), -1, np.float32)
    for other in range(classes):
        if other != k:
            own_N = p_KN[other] * np.float32(odds(GRID[chosen[other]]))
            is_better_N = own_N > score_N
            score_N[is_better_N], rival_N[is_better_N] = own_N[is_better_N], other
    share_N = p_KN[k] / np.maximum(p_KN[k] + score_N, np.finfo(np.float32).tiny)
    keys_N = (_bins(share_N) * classes + truth_N) * classes + rival_N
    counts = np.bincount(keys_N, minlength=(len(GRID) + 1) * classes**2).astype(np.float64)
    counts = counts.reshape(len(GRID) + 1, classes, classes)
    lost = counts.cumsum(axis=0)[:-1]
    lost[:, :, k] += (counts.sum(axis=0) - lost).sum(axis=2)
    return lost


def _mious(confusions_TKK: F64) -> F64:
    """The mean IoU of the classes that occur, for each matrix."""
    right = np.diagonal(confusions_TKK, axis1=1, axis2=2)
    true, found = confusions_TKK.sum(axis=2), confusions_TKK.sum(axis=1)
    occurs_K = true[0] > 0
    if not occurs_K.any():
        return np.zeros(len(confusions_TKK))
    ious: F64 = right[:, occurs_K] / (true + found - right)[:, occurs_K]
    mean: F64 = ious.mean(axis=1)
    return mean
