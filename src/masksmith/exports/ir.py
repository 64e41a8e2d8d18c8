"""The target "openvino": OpenVINO's own format, XML and weights, in single precision.

Rule: read from the ONNX graph in memory; OpenVINO's converter, which reports its use to its makers, is not called.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from masksmith.exports import surround
from masksmith.exports.source import Answers, Files, Pixels, Source, only
from masksmith.exports.stated import KEY
from masksmith.exports.surround import MASK, PROBABILITIES
from masksmith.files import sha256
from masksmith.inference.runtimes import vino
from masksmith.models.unet import UNet

NEEDS = ("onnx", "onnxscript", "openvino")
_DIGEST = "masksmith_weights_sha256"


def write(source: Source, stated: str) -> dict[str, bytes]:
    """The two files."""
    import openvino

    form = surround.Form(source.model.preprocessing.dtype)
    model = vino.core().read_model(surround.content(surround.build(source, form), stated), b"")
    model.set_rt_info(stated, [KEY])
    _, weights = _saved(openvino, model)
    model.set_rt_info(sha256(weights), [_DIGEST])
    xml, weights = _saved(openvino, model)
    return {f"{source.name}.xml": xml, f"{source.name}.bin": weights}


def _saved(openvino: Any, model: Any) -> tuple[bytes, bytes]:  # noqa: ANN401 - openvino has no types here
    """OpenVINO writes to paths alone."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.xml"
        openvino.save_model(model, path, compress_to_fp16=False)
        return path.read_bytes(), path.with_suffix(".bin").read_bytes()


def _loaded(files: Files) -> Any:  # noqa: ANN401
    return vino.core().read_model(only(files, ".xml"), only(files, ".bin"))


def stated(files: Files) -> str:
    """The metadata of a pair of files that belong together.

    Raises:
        ValueError: they do not, and whatever OpenVINO raises.
    """
    model = _loaded(files)
    if not model.has_rt_info([KEY]) or not model.has_rt_info([_DIGEST]):
        raise ValueError("a file of another program")
    if model.get_rt_info([_DIGEST]).astype(str) != sha256(only(files, ".bin")):
        raise ValueError("weights that differ from their checksum")
    found: str = model.get_rt_info([KEY]).astype(str)
    return found


def read(files: Files, _network: UNet) -> dict[str, Answers]:
    """OpenVINO on the files, in single precision."""
    import torch

    settings = {"INFERENCE_NUM_THREADS": torch.get_num_threads(), "INFERENCE_PRECISION_HINT": "f32"}
    compiled = vino.core().compile_model(_loaded(files), "CPU", settings)

    def run(pixels_BHWC: Pixels) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
        found = compiled(pixels_BHWC, share_inputs=False, share_outputs=False)
        return found[MASK], found[PROBABILITIES]

    return {"openvino": run}
