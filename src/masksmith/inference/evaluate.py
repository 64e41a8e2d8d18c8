"""Compare predictions with the truth over a set of pictures.

Rule: at the mask's own size, over all pixels of the set, through the same path that prediction
takes.
"""

from __future__ import annotations

from collections.abc import Callable

from masksmith.data.batches import PairReader
from masksmith.inference.answering import Answering, choose
from masksmith.metrics import Confusion, Layers


def confusion(
    segmenter: Answering, reader: PairReader, progress: Callable[[int, int], None] = lambda done, total: None
) -> Confusion | Layers:
    """The confusion matrix over all pairs of ``reader``, or the counts of classes that overlap."""
    overlapping = reader.table.overlapping
    matrix = Layers(len(reader.table)) if overlapping else Confusion(len(reader.table))
    for index in range(len(reader)):
        pixels, truth = reader.read(index)
        matrix.add(truth, choose(segmenter.probabilities(pixels), overlapping=overlapping))
        progress(index + 1, len(reader))
    return matrix
