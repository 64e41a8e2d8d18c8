"""How sure the network is, as grey pictures: bright is sure in one, unsure in the other."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from masksmith import images
from masksmith.classes import U8
from masksmith.inference.prediction import Prediction

F32 = npt.NDArray[np.float32]


def encode_confidence(prediction: Prediction) -> bytes:
    """PNG of 8 bits: 255 where the chosen class has the probability 1."""
    return images.encode_png(_grey(prediction.confidence_HW))


def encode_entropy(prediction: Prediction) -> bytes:
    """PNG of 8 bits: 0 where one class is certain, 255 where all are equally likely.

    Of classes that overlap the mean over the classes, each between yes and no.
    """
    p_KHW = np.clip(prediction.probabilities_KHW, 0, 1)
    if prediction.table.overlapping:
        spread_HW = (_surprise(p_KHW) + _surprise(1 - p_KHW)).mean(axis=0) / np.log(2)
    else:
        # One class alone is never in doubt.
        spread_HW = _surprise(p_KHW).sum(axis=0) / max(np.log(len(p_KHW)), np.finfo(np.float32).eps)
    return images.encode_png(_grey(spread_HW.astype(np.float32)))


def _surprise(p: F32) -> F32:
    """-p log p, 0 for p = 0."""
    found: F32 = -p * np.log(np.where(p > 0, p, 1))
    return found


def _grey(shares_HW: F32) -> U8:
    grey: U8 = np.round(np.clip(shares_HW, 0, 1) * 255).astype(np.uint8)
    return grey
