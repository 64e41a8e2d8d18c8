"""An exported ONNX file as a model: its own metadata say how pictures are cut, its graph does the rest.

Rule: only a file of ours that is as it was written; ONNX Runtime answers, on the processor.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
from torch import Tensor

from masksmith import files
from masksmith.classes import ClassTable, Encoding, Entry
from masksmith.data.preprocessing import Preprocessing
from masksmith.errors import EnvironmentFault, RecipeError, RunError
from masksmith.inference import tiler, tiling
from masksmith.inference.runtimes import fault, ort
from masksmith.inference.runtimes.threads import PerThreads
from masksmith.inference.segmenter import Segmenter
from masksmith.inference.tiler import F32, Block, Read
from masksmith.inference.tiling import Tiling
from masksmith.limits import MAX_WINDOW_BYTES
from masksmith.modelfile import ModelFile
from masksmith.models import field
from masksmith.models.unet import UNet
from masksmith.recipe import Recipe

KEY, DIGEST = "masksmith", "sha256"
"""Names of the metadata, and of the checksum of the graph."""
INPUT, MASK, PROBABILITIES = "image", "mask", "probabilities"
SUFFIX = ".onnx"
# Those whose input are raw pixels.
_TARGETS = ("onnx", "triton", "bioimageio")


def digest(model: Any) -> str:  # noqa: ANN401 - onnx has no types
    """The checksum of an ONNX model's graph and metadata, without the one that states it."""
    stated_ = sorted([p.key, p.value] for p in model.metadata_props if p.key != DIGEST)
    return files.sha256(model.graph.SerializeToString(deterministic=True) + json.dumps(stated_).encode())


def stated(content: bytes) -> str:
    """The metadata of a file that is as it was written.

    Raises:
        ValueError: it is not, and whatever onnx raises.
    """
    import onnx

    model = onnx.load_model_from_string(content)
    found = {p.key: p.value for p in model.metadata_props}
    if KEY not in found:
        raise ValueError("a file of another program")
    if any(weights.data_location for weights in model.graph.initializer):
        raise ValueError("weights outside of the file")
    if found.get(DIGEST) != digest(model):
        raise ValueError("contents that differ from their checksum")
    text: str = found[KEY]
    return text


class Exported(Segmenter):
    """An exported file, used like a Segmenter; see :func:`load`."""

    def __init__(self, says: Mapping[str, Any], made: PerThreads[Any], *, tta: str, most_bytes: int) -> None:
        """From metadata and sessions of ONNX Runtime; other arguments as of :class:`Segmenter`."""
        # Its weights are drawn and never asked: only its sizes are.
        network = UNet(**{**says["network"], "pretrained": False}).eval()
        super().__init__(_model(says), precision="fp32", network=network, tta=tta, most_bytes=most_bytes)
        self._made = made
        self._inside_px = field.margins(network, 1)[0] if network.padding == "valid" else 0
        self.use()

    @property
    def identity(self) -> str:
        """What its answers depend on besides the picture."""
        return f"exported {super().identity}"

    def use(self, runtime: str = "auto", pixels: float | None = None) -> str:
        """What is in the file is what answers: "auto" and "onnxruntime" alone are taken."""
        del pixels
        if runtime not in ("auto", "onnxruntime"):
            raise EnvironmentFault(
                where=f"runtime={runtime}",
                expected="onnxruntime, which reads an exported file",
                received=runtime,
                remedy="leave the runtime out, or give the run in place of the file",
            )
        self.runtime, self._answer = "onnxruntime", self._averaged(self._windows)
        return self.runtime

    def blocks(
        self, size: tuple[int, int], read: Read, *, start: int = 0, cut: Tiling | None = None
    ) -> Iterator[Block]:
        """As :meth:`Answering.blocks`: of pixels as stored, which single precision holds."""
        return tiler.blocks(
            self.network,
            size,
            lambda *part: read(*part).astype(np.float32),
            cut or self.tiling,
            self._answer,
            start=start,
        )

    def _windows(self, x_BCHW: Tensor) -> F32:
        """The graph adds what a "valid" network loses; windows bring it already, so as much is taken off."""
        values, dtype = x_BCHW.permute(0, 2, 3, 1).numpy(), np.dtype(self.model.preprocessing.dtype)
        if dtype.kind in "iu":  # the largest of 32 bits is rounded up on its way through floats
            limits = np.iinfo(dtype)
            values = np.clip(values.astype(np.float64), limits.min, limits.max)
        raw = np.ascontiguousarray(values.astype(dtype))
        found: F32 = self._made.get().run([PROBABILITIES], {INPUT: raw})[0]
        inside, (height, width) = self._inside_px, found.shape[-2:]
        return found[..., inside : height - inside, inside : width - inside]


def load(
    path: Path,
    *,
    device: str = "auto",
    precision: str = "auto",
    tta: str = "none",
    most_bytes: int = MAX_WINDOW_BYTES,
) -> Exported:
    """The file, ready to segment; arguments as of :class:`Segmenter`.

    Raises:
        RunError: not there, not one of ours, damaged, or made for another interface.
        RecipeError: another precision than single is asked for.
        EnvironmentFault: onnx or ONNX Runtime is not installed, or another device than the processor is asked for.
    """
    if device not in ("auto", "cpu"):
        raise EnvironmentFault(
            where=f"device={device}",
            expected="the processor, on which an exported file is run",
            received=device,
            remedy="give the run in place of the file",
        )
    if precision not in ("auto", "fp32"):
        raise RecipeError(
            where=f"precision={precision}",
            expected="auto or fp32, which an exported file computes in",
            received=precision,
            remedy="leave it at auto, or give the run in place of the file",
        )
    room = tiling.room(most_bytes)
    if not path.is_file():
        raise RunError(
            where=path,
            expected="a file that masksmith export --to onnx wrote",
            received="no such file",
            remedy="check the path",
        )
    try:
        content = path.read_bytes()
        says = json.loads(stated(content))
        if says["target"] not in _TARGETS:
            raise ValueError(f"one of the target {says['target']}")
        return Exported(says, ort.sessions(content), tta=tta, most_bytes=room)
    except ImportError as error:
        raise EnvironmentFault(
            where=path,
            expected="the libraries that read it",
            received=f"no module {error.name}",
            remedy="pip install onnx onnxruntime",
        ) from error
    except Exception as error:  # libraries raise whatever they like
        raise RunError(
            where=path,
            expected="a file that masksmith export --to onnx wrote",
            received=fault(error),
            remedy="export it again, or give the run",
        ) from error


@dataclass(frozen=True)
class _InGraph(ModelFile):
    """All but the weights, which are in the graph."""

    stated_checksum: str = ""

    @property
    def checksum(self) -> str:
        """Of the weights that were exported, so that what was chosen for these is known to be for this file."""
        return self.stated_checksum


def _model(says: Mapping[str, Any]) -> ModelFile:
    """What the metadata say."""
    entries = tuple(Entry(str(name), tuple(color), int(v), bool(i)) for name, color, v, i in says["classes"])
    return _InGraph(
        network=says["network"],
        table=ClassTable(
            entries,
            next(known for known in get_args(Encoding) if known == says["encoding"]),
            snap=bool(says["snap"]),
            overlapping=bool(says["overlapping"]),
            border_px=int(says["border_px"]),
        ),
        preprocessing=Preprocessing.from_dict(says["preprocessing"]),
        recipe=Recipe(),
        weights={},
        stated_checksum=str(says["model"]),
    )
