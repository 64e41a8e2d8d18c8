"""Write predictions: one file per output, one table.

Rule: an output is bytes made from a Prediction; ``files`` alone puts them on disk.
"""

from __future__ import annotations

from collections.abc import Callable

from masksmith.inference.prediction import Prediction
from masksmith.outputs import mask, overlay

__all__ = ["OUTPUTS"]

OUTPUTS: dict[str, Callable[[Prediction], bytes]] = {
    "mask": mask.encode,
    "overlay": overlay.encode,
}
