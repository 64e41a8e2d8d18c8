"""Team: the same networks on several devices, each of which answers for another picture.

Rule: a picture is answered for by one device, so that the answer does not depend on how many there are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from masksmith.inference.answering import Answering
from masksmith.inference.tiler import Block, Read
from masksmith.modelfile import ModelFile


class Team(Answering):
    """What its members can do, for several pictures at a time; see :func:`masksmith.load`."""

    def __init__(self, members: Sequence[Answering]) -> None:
        """Take copies of one Segmenter or Ensemble, each on a device of its own; at least one."""
        self.members = tuple(members)

    @property
    def several(self) -> Sequence[Answering]:
        """As :attr:`Answering.several`."""
        return self.members

    @property
    def shares_threads(self) -> bool:
        """As :attr:`Answering.shares_threads`."""
        return all(member.shares_threads for member in self.members)

    @property
    def tile_px(self) -> int:
        """As :attr:`Answering.tile_px`."""
        return self.members[0].tile_px

    @property
    def model(self) -> ModelFile:
        """The model file that all of them have read."""
        return self.members[0].model

    @property
    def identity(self) -> str:
        """As :attr:`Answering.identity`."""
        return self.members[0].identity

    def cut(self, tile_px: int | None = None, context_px: int | None = None) -> None:
        """As :meth:`Answering.cut`, for each of them."""
        for member in self.members:
            member.cut(tile_px, context_px)

    def difference(self, pixels_HWC: npt.NDArray[np.generic]) -> float | None:
        """As :meth:`Answering.difference`."""
        return self.members[0].difference(pixels_HWC)

    def use(self, runtime: str = "auto", pixels: float | None = None) -> str:
        """As :meth:`Answering.use`, each of them with its part of the pixels; the name of the first one's."""
        part = None if pixels is None else pixels / len(self.members)
        names = [member.use(runtime, part) for member in self.members]
        return names[0]

    def blocks(self, size: tuple[int, int], read: Read, *, start: int = 0) -> Iterator[Block]:
        """As :meth:`Answering.blocks`; a single picture is answered for by the first of them."""
        return self.members[0].blocks(size, read, start=start)
