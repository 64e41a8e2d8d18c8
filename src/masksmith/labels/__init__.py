"""Read any annotation as class indices on the picture's grid.

Here: mask pictures. ``raster`` reads one, ``decide`` finds out from all of them what their values
mean. Rule: nothing is guessed from one file; the whole set is scanned first.
"""

from masksmith.labels.decide import LABELS, Decision, decide
from masksmith.labels.raster import MaskScan, RawMask, read_mask, read_raw, scan

__all__ = ["LABELS", "Decision", "MaskScan", "RawMask", "decide", "read_mask", "read_raw", "scan"]
