"""How a side of a picture is brought to one that the network takes, as one rule for every target.

Rule: what :class:`UNet` ("same") and the tiler ("valid") do to a picture that is one window, in whole numbers alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from masksmith.models.unet import UNet


@dataclass(frozen=True)
class Sides:
    """Sides of ``first`` pixels, and ``step`` more again and again; the answer is ``shrink`` pixels smaller.

    Before the picture lie ``shrink // 2`` pixels, behind it the rest: mirrored, or else the last one repeated.
    """

    first: int
    step: int
    shrink: int = 0

    @property
    def before(self) -> int:
        """Pixels that are added before the picture."""
        return self.shrink // 2

    @property
    def mirrored(self) -> bool:
        """Whether what is added is mirrored; else the last row and column are repeated."""
        return self.shrink > 0

    def taken(self, side: int) -> int:
        """The side that the network is given for one of ``side`` pixels."""
        return self.first + -(-max(0, side + self.shrink - self.first) // self.step) * self.step

    def index(self, side: int) -> npt.NDArray[np.int64]:
        """Which pixels of the picture the network is given."""
        found = np.arange(self.taken(side), dtype=np.int64) - self.before
        if not self.mirrored:
            return np.minimum(found, side - 1)
        period = max(2 * side - 2, 1)
        found %= period
        return np.where(found >= side, period - found, found)


def of_network(network: UNet) -> Sides:
    """The sides that a network takes."""
    if network.padding == "same":
        return Sides(2 * network.stride, network.stride)
    first = next(n for n in range(network.smallest_input, 10**6) if network.is_exact(n))
    return Sides(first, 2 ** (len(network.channels) - 1), first - network.output_size(first))


def of_program(network: UNet) -> Sides:
    """The same for what ``torch.export`` makes, which begins at a larger side where the network pads nothing."""
    sides = of_network(network)
    return sides if network.padding == "same" else replace(sides, first=sides.first + sides.step)
