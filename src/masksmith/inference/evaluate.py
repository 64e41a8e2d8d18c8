"""Compare predictions with the truth over a set of pictures.

Rule: at the mask's own size, over all pixels of the set, through the same path that prediction
takes.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from masksmith.classes import ClassTable
from masksmith.data.batches import PairReader
from masksmith.inference.answering import Answering, choose
from masksmith.inference.cleanup import CleanupSettings, clean
from masksmith.inference.prediction import Prediction
from masksmith.keys import Mask
from masksmith.metrics import Confusion, Layers


def counter(table: ClassTable) -> Confusion | Layers:
    """An empty count for the classes of ``table``."""
    return Layers(len(table)) if table.overlapping else Confusion(len(table))


def confusion(
    segmenter: Answering,
    reader: PairReader,
    progress: Callable[[int, int], None] = lambda done, total: None,
    *,
    cleanup: CleanupSettings | None = None,
) -> Confusion | Layers:
    """The confusion matrix over all pairs of ``reader``, or the counts of classes that overlap."""
    matrix = counter(reader.table)
    for index in range(len(reader)):
        pixels, truth, valid_HW = reader.read_valid(index)
        matrix.add(truth, answer(segmenter, pixels, cleanup, valid_HW))
        progress(index + 1, len(reader))
    return matrix


def answer(
    segmenter: Answering,
    pixels_HWC: npt.NDArray[np.generic],
    cleanup: CleanupSettings | None = None,
    valid_HW: npt.NDArray[np.bool_] | None = None,
) -> Mask:
    """The mask of conforming pixels, cleaned if that is wanted; ``valid_HW`` as of :class:`Prediction`."""
    probabilities, table = segmenter.probabilities(pixels_HWC), segmenter.model.table
    mask_HW = choose(probabilities, overlapping=table.overlapping)
    if cleanup is None:
        return mask_HW
    return clean(Prediction(mask_HW, probabilities, pixels_HWC, table, valid_HW=valid_HW), cleanup).mask_HW
