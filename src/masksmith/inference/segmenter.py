"""Segmenter: a model file, loaded, that answers for pictures.

Rule: what it can do for pictures is said once, in ``answering``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from masksmith import modelfile
from masksmith.inference import tiler, tiling, views
from masksmith.inference.answering import Answering, choose
from masksmith.inference.tiler import Answer, Block, Read
from masksmith.inference.tiling import Tiling
from masksmith.limits import MAX_WINDOW_BYTES
from masksmith.modelfile import ModelFile
from masksmith.models.unet import UNet
from masksmith.planning import probe

if TYPE_CHECKING:
    from masksmith.inference.ensemble import Ensemble
    from masksmith.inference.team import Team


# Side of the window that runtimes are compared on: large enough for their ratios, small enough to take no time.
_MEASURED_PX = 512


class Segmenter(Answering):
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

        Raises:
            InputError: ``most_bytes`` is no whole number of 1 or more.
        """
        self._model = model
        self.device = probe.device(device) if network is None else next(network.parameters()).device
        self.precision = probe.precision(precision, self.device)
        self.network = network if network is not None else model.build()
        if network is None:
            probe.place(self.network, self.device)
        self.tta = tta
        self.tiling = tiling.choose(self.network, self.precision, tiling.room(most_bytes))
        self.quantized: Path | None = None
        """Where its int8 graph lies, if one was made; read when a runtime of it is asked for."""
        self.runtime = "torch"
        self._answer = self._averaged(
            tiler.torch_answer(self.network, self.precision, overlapping=model.table.overlapping)
        )

    @property
    def model(self) -> ModelFile:
        """Weights, classes and preprocessing."""
        return self._model

    @property
    def identity(self) -> str:
        """What its answers depend on besides the picture."""
        return f"{self.model.checksum} {self.precision} {self.runtime} {self.tta} {self.tiling}"

    @property
    def shares_threads(self) -> bool:
        """As :attr:`Answering.shares_threads`."""
        from masksmith.inference.runtimes import RUNTIMES

        known = RUNTIMES.get(self.runtime)
        return self.device.type == "cpu" and not (known and known.fixed_threads)

    @property
    def tile_px(self) -> int:
        """As :attr:`Answering.tile_px`."""
        return self.tiling.tile_px

    def cut(self, tile_px: int | None = None, context_px: int | None = None) -> None:
        """As :meth:`Answering.cut`."""
        self.tiling = tiling.given(self.network, self.tiling, tile_px, context_px)

    def difference(self, pixels_HWC: npt.NDArray[np.generic]) -> float | None:
        """As :meth:`Answering.difference`."""
        if not self.tiling.blend or max(pixels_HWC.shape[:2]) <= self.tiling.tile_px:
            return None
        side, quarter = tiling.quarters(self.network, self.tiling)
        top, left = (max(0, (n - side) // 2) for n in pixels_HWC.shape[:2])
        part = pixels_HWC[top : top + side, left : left + side]
        size, read = (part.shape[0], part.shape[1]), tiler.part_of(part)
        whole, cut = (tiler.whole(size, self.blocks(size, read, cut=t)) for t in (Tiling(side, 0), quarter))
        overlapping = self._model.table.overlapping
        return float((choose(whole, overlapping=overlapping) != choose(cut, overlapping=overlapping)).mean())

    def use(self, runtime: str = "auto", pixels: float | None = None) -> str:
        """As :meth:`Answering.use`."""
        from masksmith.inference import runtimes
        from masksmith.inference.runtimes import choosing, measuring

        if runtime == runtimes.INT8:
            runtime = runtimes.int8_name()
        setup = runtimes.Setup(
            self.precision, overlapping=self._model.table.overlapping, quantized=self._int8_graph(runtime)
        )
        if runtime == "auto":
            side = min(_MEASURED_PX, self.tiling.tile_px)
            chosen = choosing.fastest(
                self.network, setup, lambda: measuring.made_window(self.network, side, side), pixels=pixels
            )
            self.take(chosen.name, chosen.answer)
        else:
            self.take(runtime, runtimes.build(runtime, self.network, setup))
        return self.runtime

    def take(self, name: str, answer: Answer) -> None:
        """Compute by ``answer`` of the runtime ``name`` from now on."""
        self.runtime, self._answer = name, self._averaged(answer)

    def _averaged(self, answer: Answer) -> Answer:
        """The mean of an answer over the mirror images that were asked for."""
        network = self.network
        return views.mean(answer, self.tta, grid_px=network.stride if network.padding == "same" else 1)

    def _int8_graph(self, runtime: str) -> bytes | None:
        """What the runtime needs of it; nothing where its libraries are missing, which is told before."""
        from masksmith.inference import runtimes
        from masksmith.inference.runtimes import int8

        wanted = runtime in runtimes.RUNTIMES and runtimes.RUNTIMES[runtime].quantized
        if self.quantized is None or not wanted or runtimes.missing(runtime):
            return None
        return int8.read(self.quantized, self._model.checksum)

    def blocks(
        self, size: tuple[int, int], read: Read, *, start: int = 0, cut: Tiling | None = None
    ) -> Iterator[Block]:
        """As :meth:`Answering.blocks`; ``cut`` says where the picture is cut, in place of ``tiling``."""
        standardize = self.model.preprocessing.standardize
        return tiler.blocks(
            self.network, size, lambda *part: standardize(read(*part)), cut or self.tiling, self._answer, start=start
        )


Place = str | os.PathLike[str]


def load(
    run: Place | Sequence[Place],
    *,
    device: str = "auto",
    precision: str = "auto",
    tta: str = "none",
    most_bytes: int = MAX_WINDOW_BYTES,
) -> Segmenter | Ensemble | Team:
    """The trained network of a run folder (or of a model file), ready to segment; arguments as of :class:`Segmenter`.

    The file that ``masksmith export --to onnx`` made is used likewise, by ONNX Runtime. A folder that
    ``masksmith folds`` made, or several runs, give an :class:`Ensemble`; several devices, as "cuda:0,cuda:1", give
    a :class:`Team`, which answers for a picture on each of them at a time.

    >>> import masksmith
    >>> mask = masksmith.load("runs/cells").segment("picture.png").mask_HW  # doctest: +SKIP

    Raises:
        RunError: no run folder, or a damaged one, or runs that do not agree on classes and pixels.
        InputError: ``most_bytes`` is no whole number of 1 or more.
        RecipeError: no such precision, or one that an exported file does not compute in.
        EnvironmentFault: no such device.
    """
    from masksmith.inference import team  # which is made of Segmenters

    names = [name.strip() for name in device.split(",")]
    members = [load_one(run, device=name, precision=precision, tta=tta, most_bytes=most_bytes) for name in names]
    return members[0] if len(members) == 1 else team.Team(members)


def load_one(
    run: Place | Sequence[Place],
    *,
    device: str = "auto",
    precision: str = "auto",
    tta: str = "none",
    most_bytes: int = MAX_WINDOW_BYTES,
) -> Segmenter | Ensemble:
    """As :func:`load`, on one device."""
    from masksmith.inference import ensemble, exported

    paths = [Path(run)] if isinstance(run, str | os.PathLike) else [Path(one) for one in run]
    if len(paths) != 1 or ensemble.is_ensemble(paths[0]):
        return ensemble.load(paths, device=device, precision=precision, tta=tta, most_bytes=most_bytes)
    if paths[0].suffix.lower() == exported.SUFFIX:
        return exported.load(paths[0], device=device, precision=precision, tta=tta, most_bytes=most_bytes)
    return load_member(paths[0], device=device, precision=precision, tta=tta, most_bytes=most_bytes)


def load_member(path: Path, *, device: str, precision: str, tta: str, most_bytes: int) -> Segmenter:
    """As :func:`load`, of one network."""
    from masksmith.inference.runtimes import int8

    loaded = Segmenter(modelfile.read(path), device=device, precision=precision, tta=tta, most_bytes=most_bytes)
    loaded.quantized = int8.beside(path)
    return loaded
