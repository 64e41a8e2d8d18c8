"""Regions as YOLO text for segmentation: a line with the class and the outline in shares of the picture.

Rule: the format has no holes. The largest outline comes first, so that what lies in its hole is drawn
over it; a hole with nothing in it is lost.
"""

from __future__ import annotations

from masksmith.inference.prediction import Prediction
from masksmith.outputs import regions
from masksmith.outputs.shaping import Shaping


def encode(prediction: Prediction, shaping: Shaping) -> bytes:
    """A line for each region; class numbers are those of the class table."""
    height, width = prediction.mask_HW.shape
    drawn = [(region, region.rings[0]) for region in regions.outlined(prediction, shaping)]
    # What lies inside an outline has a smaller box, and never a larger one.
    drawn.sort(key=lambda item: -item[0].box[2] * item[0].box[3])
    lines = [
        f"{region.index} {' '.join(f'{share:.8g}' for share in (ring / (width, height)).ravel())}\n"
        for region, ring in drawn
    ]
    return "".join(lines).encode("ascii")
