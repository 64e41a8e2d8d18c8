"""The target "onnx": one file that ONNX Runtime, OpenVINO and many others read.

Rule: raw pixels as in the training pictures, of any size and number; no data outside of the file.
"""

from __future__ import annotations

from masksmith.exports import surround
from masksmith.exports.source import Answers, Files, Source, only
from masksmith.models.unet import UNet

NEEDS = ("onnx", "onnxscript", "onnxruntime")


def layout(source: Source) -> str:
    """What the input is, in words."""
    p = source.model.preprocessing
    return f"{p.dtype} (batch, height, width, {p.channels}), as stored in the pictures" + (
        ", red green blue" if p.channels == 3 else ""
    )


def write(source: Source, stated: str) -> dict[str, bytes]:
    """The file."""
    form = surround.Form(source.model.preprocessing.dtype)
    return {f"{source.name}.onnx": surround.content(surround.build(source, form), stated)}


def read(files: Files, _network: UNet) -> dict[str, Answers]:
    """ONNX Runtime on the file."""
    return {"onnxruntime": surround.answers(only(files, ".onnx"))}
