"""The target "triton": a model repository for NVIDIA's Triton server, with one model in it.

Rule: the ONNX file of the target "onnx", and a configuration that says what is in it.
"""

from __future__ import annotations

from masksmith.exports import plain, surround
from masksmith.exports.source import Answers, Files, Source
from masksmith.models.unet import UNet

# Pictures of one size that the server may join; more would take memory that it does not ask about.
_MOST = 8
_TYPES = {"float16": "TYPE_FP16", "float32": "TYPE_FP32", "float64": "TYPE_FP64"}


def write(source: Source, stated: str) -> dict[str, bytes]:
    """The folder."""
    (model,) = plain.write(source, stated).values()
    labels = "".join(f"{name}\n" for name in source.model.table.names)
    return {
        f"{source.name}/config.pbtxt": _config(source).encode(),
        f"{source.name}/labels.txt": labels.encode(),
        f"{source.name}/1/model.onnx": model,
    }


def _config(source: Source) -> str:
    p, count = source.model.preprocessing, len(source.model.table)
    mask = f"{count}, -1, -1" if source.overlapping else "-1, -1"
    return f"""name: "{source.name}"
backend: "onnxruntime"
max_batch_size: {_MOST}
dynamic_batching {{ }}
input [
  {{ name: "{surround.INPUT}" data_type: {_TYPES.get(p.dtype, f"TYPE_{p.dtype.upper()}")} dims: [ -1, -1, {p.channels} ] }}
]
output [
  {{ name: "{surround.MASK}" data_type: TYPE_UINT8 dims: [ {mask} ] }},
  {{ name: "{surround.PROBABILITIES}" data_type: TYPE_FP32 dims: [ {count}, -1, -1 ] label_filename: "labels.txt" }}
]
"""


def read(files: Files, network: UNet) -> dict[str, Answers]:
    """ONNX Runtime on the model in the folder: Triton's own backend for it."""
    return plain.read(files, network)
