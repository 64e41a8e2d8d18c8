"""What is looked for in a data set: one function a question, one table.

Rule: a check reads the overview and answers findings; it opens no file but to make sure of a
suspicion.
"""

from __future__ import annotations

from collections.abc import Callable

from masksmith.data.checks import classes, lying, overlaps, pictures
from masksmith.data.findings import Finding
from masksmith.data.overview import Overview

CHECKS: dict[str, Callable[[Overview], list[Finding]]] = {
    "sizes": pictures.sizes,
    "kinds": pictures.kinds,
    "numbers": pictures.numbers,
    "scales": pictures.scales,
    "exposure": pictures.exposure,
    "masks that are pictures": classes.pictures_as_masks,
    "undefined values": classes.undefined,
    "absent classes": classes.absent,
    "empty masks": classes.empty,
    "inverted masks": classes.inverted,
    "colours": classes.alike,
    "numbered things": classes.numbered,
    "regions over others": overlaps.drawn_over,
    "alignment": lying.turned_or_shifted,
}
