"""Answering: all that a network, or several of them, can do for pictures.

Rule: what comes in is an array, a path or a PIL picture; what goes out is a Prediction.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from masksmith import images
from masksmith.classes import U8
from masksmith.errors import InputError
from masksmith.images import Picture
from masksmith.inference import tiler
from masksmith.inference.lanes import Lanes
from masksmith.inference.prediction import Prediction
from masksmith.inference.tiler import Block, Read
from masksmith.keys import Mask, join_layers
from masksmith.limits import MAX_LANES
from masksmith.modelfile import ModelFile

if TYPE_CHECKING:
    from masksmith.images.video import Frame


class Answering(ABC):
    """What answers for pictures: a Segmenter, or an Ensemble of them."""

    @property
    @abstractmethod
    def model(self) -> ModelFile:
        """The classes, and the pixels that it takes."""

    @property
    @abstractmethod
    def identity(self) -> str:
        """What its answers depend on besides the picture."""

    @property
    def several(self) -> Sequence[Answering]:
        """Those that can answer at the same time, each for a picture of its own."""
        return (self,) * Lanes().most if self.shares_threads else (self,)

    @property
    @abstractmethod
    def shares_threads(self) -> bool:
        """Whether it computes on the processor, by as many threads as PyTorch has in the thread that asks."""

    @property
    @abstractmethod
    def tile_px(self) -> int:
        """The side of the largest picture that is predicted in one window."""

    def is_alone(self, height: int, width: int) -> bool:
        """Whether a picture of that size may take the memory of windows for itself, so that no other goes beside."""
        return height * width > self.tile_px**2 // MAX_LANES

    @abstractmethod
    def blocks(self, size: tuple[int, int], read: Read, *, start: int = 0) -> Iterator[Block]:
        """Class probabilities of a picture of ``size`` (height, width), part by part from the top.

        Args:
            size: of the picture, which need not be in memory.
            read: ``read(y, x, height, width)`` gives conforming pixels (height, width, C) of a part.
            start: a row where a block began: what lies above is left out.
        """

    @abstractmethod
    def cut(self, tile_px: int | None = None, context_px: int | None = None) -> None:
        """Cut pictures so from now on, in place of what follows from the network and the memory.

        Args:
            tile_px: the side of what a window answers for; rounded up to the network's stride.
            context_px: around it, likewise; less than the receptive field is faded, not cut away.
        """

    @abstractmethod
    def difference(self, pixels_HWC: npt.NDArray[np.generic]) -> float | None:
        """What windows that fade into each other change, measured on the middle of a conforming picture.

        Returns:
            The share of the pixels of one window that get another class when it is cut in four; None where
            pictures are cut exactly, or this one is not cut.
        """

    @abstractmethod
    def use(self, runtime: str = "auto", pixels: float | None = None) -> str:
        """Compute on another runtime from now on.

        Args:
            runtime: a name that ``masksmith runtimes`` lists, or "auto" for the one that is done first.
            pixels: that there are to be answered for; None: work without end.

        Returns:
            The name of what was taken.

        Raises:
            RecipeError: there is no such runtime.
            EnvironmentFault: it is not installed, or cannot run this network here.
        """

    def probabilities(self, pixels_HWC: npt.NDArray[np.generic]) -> npt.NDArray[np.float32]:
        """Class probabilities (K, H, W) of conforming pixels; where classes overlap each from 0 to 1 by itself."""
        size = (pixels_HWC.shape[0], pixels_HWC.shape[1])
        return tiler.whole(size, self.blocks(size, tiler.part_of(pixels_HWC)))

    def segment(self, image: Any) -> Prediction:  # noqa: ANN401 - PIL pictures are known by what they can do
        """Segment one picture of any size.

        Args:
            image: a path; an array (H, W) or (H, W, C) of the dtype that the training pictures
                had, colours as RGB; or a PIL picture.

        Raises:
            DataError: it cannot be read, or its channels or dtype are not those of the training.
            InputError: something else than a picture.
        """
        if isinstance(image, str | os.PathLike):
            path = Path(image)
            return self.segment_picture(images.read(path), path)
        return self.segment_picture(_as_picture(image))

    def segment_picture(self, picture: Picture, source: Path | None = None) -> Prediction:
        """Segment what ``masksmith.images`` has read from ``source``; errors as of :meth:`segment`."""
        picture = picture.with_channels(self.model.preprocessing.channels)
        pixels_HWC = picture.pixels_HWC
        conforming = self.model.preprocessing.conform(pixels_HWC, source or "image", picture.valid_HW)
        probabilities = self.probabilities(conforming)
        return Prediction(
            choose(probabilities, overlapping=self.model.table.overlapping),
            probabilities,
            pixels_HWC,
            self.model.table,
            source,
            images.georeference(source) if source is not None and images.is_picture(source) else None,
            picture.valid_HW,
        )

    def segment_many(
        self, pictures: Iterable[str | os.PathLike[str] | Frame], *, ahead: int = 2
    ) -> Iterator[tuple[Path, Prediction | InputError]]:
        """Segment any number of pictures, decoding the next ones meanwhile.

        Args:
            pictures: paths, or frames of videos; taken one by one as they are needed.
            ahead: how many decoded pictures may be in memory, those of the network's work included; one more than
                are answered for at the same time where that is more.

        Yields:
            The path and the answer, in the order of ``pictures``: for a picture that cannot be read, or
            that the network is not made for, the error in place of a Prediction.
        """
        from masksmith.inference import stream  # which is made for what this module defines

        return stream.segment_many(self, pictures, ahead=ahead)

    def segment_large(
        self,
        picture: str | os.PathLike[str],
        out: str | os.PathLike[str],
        *,
        overwrite: bool = False,
        thresholds: Mapping[str, float] | None = None,
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> dict[str, float]:
        """Write the mask of a picture larger than memory; see :func:`masksmith.inference.large.segment_large`."""
        from masksmith.inference import large

        return large.segment_large(
            self, Path(picture), Path(out), overwrite=overwrite, thresholds=thresholds, progress=progress
        )


def choose(probabilities_KHW: npt.NDArray[np.float32], *, overlapping: bool = False) -> Mask:
    """The most probable class of each pixel, uint8 (H, W).

    Of classes that overlap all that are more likely there than not, as bits, uint16 (H, W).
    """
    if overlapping:
        return join_layers(probabilities_KHW >= 0.5)
    chosen: U8 = probabilities_KHW.argmax(axis=0).astype(np.uint8)
    return chosen


def _as_picture(image: Any) -> Picture:  # noqa: ANN401 - see segment
    alpha = None
    if hasattr(image, "convert") and hasattr(image, "mode"):  # a PIL picture
        alpha = np.asarray(image.getchannel("A")) if image.mode in {"RGBA", "LA"} else None
        image = np.asarray(
            image.convert("RGB")
            if image.mode in {"P", "RGBA", "CMYK", "YCbCr", "LAB", "HSV"}
            else image.convert("L")
            if image.mode in {"1", "LA"}
            else image
        )
    if not isinstance(image, np.ndarray) or image.ndim not in (2, 3) or 0 in image.shape:
        raise InputError(
            where="segment(image)",
            expected="a path, an array (H, W) or (H, W, C), or a PIL picture",
            received=f"an array of shape {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__,
            remedy="convert it first",
        )
    # Another machine's byte order says nothing else.
    pixels: npt.NDArray[np.generic] = image.astype(image.dtype.newbyteorder("="), copy=False)
    return Picture(pixels if pixels.ndim == 3 else pixels[..., None], alpha_HW=alpha)
