"""The target "deepness": an ONNX file for the plugin Deepness of QGIS, with the metadata that it reads.

Rule: after the documentation and source of version 0.6.5; the plugin divides 8-bit pixels by 255, so the graph takes
0 … 1 and does the rest itself.
"""

from __future__ import annotations

import json

import numpy as np
import numpy.typing as npt

from masksmith.exports import surround
from masksmith.exports.source import Answers, Files, Pixels, Source, only
from masksmith.exports.stated import context_px
from masksmith.exports.surround import INPUT, PROBABILITIES
from masksmith.inference.runtimes import ort
from masksmith.models.unet import UNet

# The plugin cuts squares of one size; larger ones cost less at their borders and more memory.
_SIDE_PX = 512


def refuse(source: Source) -> str | None:
    """The plugin knows 8-bit pictures, and one class a pixel."""
    if source.model.preprocessing.dtype != "uint8":
        return f"{source.model.preprocessing.dtype} pictures, and the plugin gives 8-bit ones"
    return "classes that overlap, and the plugin takes one class a pixel" if source.overlapping else None


def square_px(source: Source) -> int:
    """The side of the plugin's tiles."""
    side = min(_SIDE_PX, max(source.tiling.tile_px, 4 * context_px(source)))
    stride: int = source.network.stride
    return -(-side // stride) * stride


def layout(source: Source) -> str:
    """What the input is, in words."""
    side = square_px(source)
    return f"float32 (batch, {source.model.preprocessing.channels}, {side}, {side}), pixels divided by 255"


def write(source: Source, stated: str) -> dict[str, bytes]:
    """The file."""
    side, p = square_px(source), source.model.preprocessing
    form = surround.Form("float32", 255.0, channels_first=True, square_px=side, mask=False)
    keys = {
        "model_type": "Segmentor",
        "class_names": {str(number): name for number, name in enumerate(source.model.table.names)},
        "tile_size": side,
        # Of the side, shared with the neighbour: each of the two keeps half of that, so it is the context twice. At half
        # of the tile every pixel is computed four times, which is enough.
        "tiles_overlap": min(50, -(-200 * context_px(source) // side)),
        "standardization_mean": [0.0] * p.channels,
        "standardization_std": [1.0] * p.channels,
        # The most probable class counts, however improbable, and no region is too small, as in masksmith.
        "seg_thresh": 0.0,
        "seg_small_segment": 0,
    }
    if source.wishes.resolution_cm is not None:
        keys["resolution"] = source.wishes.resolution_cm
    more = [(key, json.dumps(value)) for key, value in keys.items()]
    return {f"{source.name}.deepness.onnx": surround.content(surround.build(source, form), stated, more)}


def read(files: Files, _network: UNet) -> dict[str, Answers]:
    """ONNX Runtime on the file, given pictures as the plugin does."""
    session = ort.sessions(only(files, ".onnx")).get()

    def run(pixels_BHWC: Pixels) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
        x_BCHW = (pixels_BHWC.astype(np.float64) / 255.0).astype(np.float32).transpose(0, 3, 1, 2)
        (found,) = session.run([PROBABILITIES], {INPUT: x_BCHW})
        return found.argmax(axis=1).astype(np.uint8), found

    return {"onnxruntime": run}
