"""What kinds of pictures a data set holds, each kind with the number of pictures.

Rule: taken from the facts of the scan, so that pictures whose masks are faulty are counted too.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from masksmith.data.facts import PairFacts
from masksmith.data.pairing import Pair


@dataclass
class Tally:
    """Pictures by kind; ``sizes`` are (height, width)."""

    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    channels: Counter[int] = field(default_factory=Counter)
    dtypes: Counter[str] = field(default_factory=Counter)
    means: list[float] = field(default_factory=list)
    """The mean of all values of each picture, where it is a number."""


def tally(scanned: Iterable[tuple[Pair, PairFacts]]) -> Tally:
    """Count the pictures that could be read."""
    seen = Tally()
    for _, facts in scanned:
        picture = facts.picture
        if picture is None:
            continue
        seen.sizes[picture.height, picture.width] += 1
        seen.channels[picture.channels] += 1
        seen.dtypes[picture.dtype] += 1
        mean = sum(picture.sum_C) / max(1.0, sum(picture.count_C))
        if math.isfinite(mean):
            seen.means.append(mean)
    return seen
