"""Write predictions: one file per output, one table.

Rule: an output is bytes made from a Prediction; ``files`` alone puts them on disk.
"""

from __future__ import annotations

from collections.abc import Callable

from masksmith.classes import ClassTable
from masksmith.inference.prediction import Prediction
from masksmith.outputs import mask, overlay

__all__ = ["OUTPUTS", "endings", "render"]

OUTPUTS: dict[str, Callable[[Prediction], bytes]] = {
    "mask": mask.encode,
    "overlay": overlay.encode,
}


def endings(output: str, table: ClassTable) -> list[str]:
    """What the files of an output end with: its own name, or for masks of classes that overlap theirs."""
    return mask.endings(table) if output == "mask" and table.overlapping else [output]


def render(output: str, prediction: Prediction) -> dict[str, bytes]:
    """The files of an output, by their ending."""
    if output == "mask" and prediction.table.overlapping:
        return mask.encode_layers(prediction)
    return {output: OUTPUTS[output](prediction)}
