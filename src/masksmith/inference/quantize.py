"""Turn a trained network's graph into one of 8-bit numbers, by windows that show how large its maps become.

Rule: nothing is trained, and nothing is said about how good the result is; who asks for it measures that.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch

from masksmith.data.batches import PairReader
from masksmith.inference.runtimes import graph, ort
from masksmith.inference.segmenter import Segmenter
from masksmith.inference.tiler import F32, torch_answer
from masksmith.models.unet import UNet

WINDOWS = 32
"""So many crops of the training pictures are looked at: on street scenes 6 of them gave the same figures as 16."""
SIDE_PX = 512
"""The side of a crop, or that of a smaller picture."""

# Convolutions are nearly all of the work. Of joined maps, which are only copied, ONNX Runtime then copies bytes too.
_KINDS = ("Conv", "Concat")
_ERRORS_ONLY = 3


def windows(segmenter: Segmenter, reader: PairReader) -> Iterator[F32]:
    """What the graph is given when crops of the reader's pictures are predicted: (B, C, H, W), always the same.

    The Segmenter computes on PyTorch afterwards.
    """
    network, overlapping = segmenter.network, segmenter.model.table.overlapping
    answer = torch_answer(network, segmenter.precision, overlapping=overlapping)
    given: list[F32] = []

    def record(x_BCHW: F32) -> F32:
        given.append(x_BCHW)
        return answer(torch.from_numpy(x_BCHW))

    segmenter.take("torch", graph.fitted(network, record, overlapping=overlapping))
    try:
        for index, y, x in _places(reader):
            segmenter.probabilities(reader.read(index)[0][y : y + SIDE_PX, x : x + SIDE_PX])
            yield from given
            given.clear()
    finally:
        segmenter.take("torch", answer)


def _places(reader: PairReader) -> Iterator[tuple[int, int, int]]:
    """Picture, row and column of each crop; the pictures in turn, no place twice."""
    rng = np.random.default_rng(0)
    seen: set[tuple[int, int, int]] = set()
    for index in np.resize(rng.permutation(len(reader)), WINDOWS):
        room = [max(0, side - SIDE_PX) for side in reader.read(int(index))[0].shape[:2]]
        place = (int(index), int(rng.integers(room[0] + 1)), int(rng.integers(room[1] + 1)))
        if place not in seen:
            seen.add(place)
            yield place


def quantized(network: UNet, given: Iterator[F32], *, overlapping: bool) -> bytes:
    """The network's int8 graph as ONNX, read by ONNX Runtime and by OpenVINO.

    Weights have 8 bits and a scale for each channel, maps 8 bits and one scale, from the least to the greatest value
    in the windows. Norms, resampling and the last convolution, which decides between classes, stay float.

    Args:
        network: in evaluation mode.
        given: windows as the graph is given them.
        overlapping: whether each class has a probability of its own.
    """
    ort.library()
    from onnxruntime import quantization

    with tempfile.TemporaryDirectory(prefix="masksmith-") as folder, _quiet():
        plain, done = Path(folder) / "plain.onnx", Path(folder) / "int8.onnx"
        head = _simplified(graph.exported(network, overlapping=overlapping), plain)
        quantization.quantize_static(
            str(plain),
            str(done),
            _Reader(given),
            op_types_to_quantize=list(_KINDS),
            nodes_to_exclude=[head],
            per_channel=True,
            # Of the weights 7 bits are used: with 8, processors without VNNI add up pairs of products that do not
            # fit into 16 bits. It cost less than a tenth of a point.
            reduce_range=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
        )
        return _without_notes(done)


class _Reader:
    """Windows as onnxruntime asks for them: one by one, then None."""

    def __init__(self, given: Iterator[F32]) -> None:
        self.given = given

    def get_next(self) -> dict[str, F32] | None:
        window = next(self.given, None)
        return None if window is None else {graph.INPUT: window}


def _simplified(content: bytes, path: Path) -> str:
    """Write the graph with constants computed and norms in the weights where that is possible; its last convolution."""
    import onnx

    onnxruntime = ort.library()
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(path)
    options.log_severity_level = _ERRORS_ONLY
    onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    convolutions: list[str] = [node.name for node in onnx.load(path).graph.node if node.op_type == "Conv"]
    return convolutions[-1]


def _without_notes(path: Path) -> bytes:
    """The graph without what exporters note of their own source, such as paths on this machine."""
    import onnx

    model = onnx.load(path)
    for node in model.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    content: bytes = model.SerializeToString(deterministic=True)
    return content


@contextmanager
def _quiet() -> Iterator[None]:
    """What onnxruntime says meanwhile concerns its own developers."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        yield
    finally:
        logging.disable(before)
