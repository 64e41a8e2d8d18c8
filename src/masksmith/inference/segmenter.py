"""Segmenter: a model file, loaded, that answers for pictures.

Rule: what comes in is an array, a path or a PIL picture; what goes out is a Prediction.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from masksmith import images, modelfile
from masksmith.classes import U8
from masksmith.errors import InputError
from masksmith.inference import tiler, tiling, views
from masksmith.inference.prediction import Prediction
from masksmith.inference.tiler import Block, Read
from masksmith.inference.tiling import Tiling
from masksmith.keys import Mask, join_layers
from masksmith.limits import MAX_WINDOW_BYTES
from masksmith.modelfile import ModelFile
from masksmith.models.unet import UNet
from masksmith.planning import probe

if TYPE_CHECKING:
    from masksmith.inference.ensemble import Ensemble


class Answering(Protocol):
    """What answers for pictures: a Segmenter, or an Ensemble of them."""

    @property
    def model(self) -> ModelFile:
        """The classes, and the pixels that it takes."""
        ...

    @property
    def identity(self) -> str:
        """What its answers depend on besides the picture."""
        ...

    def probabilities(self, pixels_HWC: npt.NDArray[np.generic]) -> npt.NDArray[np.float32]:
        """Class probabilities (K, H, W) of conforming pixels."""
        ...

    def blocks(self, size: tuple[int, int], read: Read, *, start: int = 0) -> Iterator[Block]:
        """The same part by part, from row ``start`` on; ``read`` gives conforming pixels."""
        ...


class Segmenter:
    """``Segmenter(modelfile).segment(image) -> Prediction``; see :func:`load`."""

    def __init__(
        self,
        model: ModelFile,
        *,
        device: str = "auto",
        precision: str = "auto",
        network: UNet | None = None,
        tta: str = "none",
        most_bytes: int = MAX_WINDOW_BYTES,
    ) -> None:
        """Build the network on a device; ``network`` gives one that is there already.

        Args:
            model: the weights, classes and preprocessing.
            device: "auto", "cpu", "cuda" or "mps".
            precision: "auto", "bf16", "fp16" or "fp32".
            network: its network, if it is on a device already.
            tta: a name in ``views.VIEWS``: the mean over so many mirror images is the answer.
            most_bytes: what the maps of one window may take in memory.
        """
        self.model = model
        self.device = probe.device(device) if network is None else next(network.parameters()).device
        self.precision = probe.precision(precision, self.device)
        self.network = network if network is not None else model.build()
        if network is None:
            probe.place(self.network, self.device)
        self.tta = tta
        self.tiling = tiling.choose(self.network, self.precision, most_bytes)
        self._answer = views.mean(
            tiler.torch_answer(self.network, self.precision, overlapping=model.table.overlapping), tta
        )

    @property
    def identity(self) -> str:
        """What its answers depend on besides the picture."""
        return f"{self.model.checksum} {self.precision} {self.tta} {self.tiling}"

    @property
    def tile_px(self) -> int:
        """The side of the largest picture that is predicted in one window."""
        return self.tiling.tile_px

    def segment(self, image: Any) -> Prediction:  # noqa: ANN401 - PIL pictures are known by what they can do
        """Segment one picture of any size.

        Args:
            image: a path; an array (H, W) or (H, W, C) of the dtype that the training pictures
                had, colours as RGB; or a PIL picture.

        Raises:
            DataError: it cannot be read, or its channels or dtype are not those of the training.
            InputError: something else than a picture.
        """
        return segment(self, image)

    def probabilities(self, pixels_HWC: npt.NDArray[np.generic]) -> npt.NDArray[np.float32]:
        """Class probabilities (K, H, W) of conforming pixels; where classes overlap each from 0 to 1 by itself."""
        size = (pixels_HWC.shape[0], pixels_HWC.shape[1])
        return tiler.whole(size, self.blocks(size, tiler.part_of(pixels_HWC)))

    def blocks(
        self, size: tuple[int, int], read: Read, *, start: int = 0, cut: Tiling | None = None
    ) -> Iterator[Block]:
        """Class probabilities of a picture of ``size`` (height, width), part by part from the top.

        Args:
            size: of the picture, which need not be in memory.
            read: ``read(y, x, height, width)`` gives conforming pixels (height, width, C) of a part.
            start: a row where a block began: what lies above is left out.
            cut: where it is cut, in place of ``tiling``.
        """
        standardize = self.model.preprocessing.standardize
        return tiler.blocks(
            self.network, size, lambda *part: standardize(read(*part)), cut or self.tiling, self._answer, start=start
        )


def segment(answering: Answering, image: Any) -> Prediction:  # noqa: ANN401 - see Segmenter.segment
    """One picture, read, brought to the pixels of the training, and answered for."""
    source: Path | None = None
    if isinstance(image, str | os.PathLike):
        source = Path(image)
        pixels = images.read(source).pixels_HWC
    else:
        pixels = _as_array(image)
    model = answering.model
    probabilities = answering.probabilities(model.preprocessing.conform(pixels, source or "image"))
    chosen = choose(probabilities, overlapping=model.table.overlapping)
    return Prediction(chosen, probabilities, pixels, model.table, source)


def load(
    run: str | os.PathLike[str],
    *,
    device: str = "auto",
    precision: str = "auto",
    tta: str = "none",
    most_bytes: int = MAX_WINDOW_BYTES,
) -> Segmenter | Ensemble:
    """The trained network of a run folder (or of a model file), ready to segment; arguments as of :class:`Segmenter`.

    A folder that ``masksmith folds`` made gives an :class:`Ensemble` of its folds, used likewise.

    >>> import masksmith
    >>> mask = masksmith.load("runs/cells").segment("picture.png").mask_HW  # doctest: +SKIP

    Raises:
        RunError: no run folder, or a damaged one.
        EnvironmentFault: no such device.
    """
    from masksmith.inference import ensemble  # which is made of Segmenters

    if ensemble.is_ensemble(Path(run)):
        return ensemble.load(run, device=device, precision=precision, tta=tta, most_bytes=most_bytes)
    model = modelfile.read(Path(run))
    return Segmenter(model, device=device, precision=precision, tta=tta, most_bytes=most_bytes)


def choose(probabilities_KHW: npt.NDArray[np.float32], *, overlapping: bool = False) -> Mask:
    """The most probable class of each pixel, uint8 (H, W).

    Of classes that overlap all that are more likely there than not, as bits, uint16 (H, W).
    """
    if overlapping:
        return join_layers(probabilities_KHW >= 0.5)
    chosen: U8 = probabilities_KHW.argmax(axis=0).astype(np.uint8)
    return chosen


def _as_array(image: Any) -> npt.NDArray[np.generic]:  # noqa: ANN401 - see segment
    if hasattr(image, "convert") and hasattr(image, "mode"):  # a PIL picture
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
    return image if image.ndim == 3 else image[..., None]
