"""ONNX Runtime as a runtime."""

from __future__ import annotations

import os
from types import ModuleType
from typing import TYPE_CHECKING, Any

from masksmith.inference.runtimes import graph
from masksmith.inference.runtimes.threads import PerThreads
from masksmith.inference.tiler import F32, Answer
from masksmith.models.unet import UNet

if TYPE_CHECKING:
    from masksmith.inference.runtimes import Setup

_ERRORS_ONLY = 3


def single(network: UNet, setup: Setup) -> Answer:
    """In fp32, on the processor."""
    return _build(network, setup, graph.exported(network, overlapping=setup.overlapping))


def quantized(network: UNet, setup: Setup) -> Answer:
    """The int8 graph."""
    return _build(network, setup, setup.quantized or b"")


def library() -> ModuleType:
    """``onnxruntime``, which from then on notes and sends nothing about its use."""
    # Its builds for Linux open a database for it at the first session, unless this is set before they are loaded.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    onnxruntime.disable_telemetry_events()  # those for Windows
    return onnxruntime  # type: ignore[no-any-return]  # onnxruntime has no types


def sessions(content: bytes) -> PerThreads[Any]:
    """A session of ONNX Runtime for a graph, with as many threads as PyTorch has."""
    onnxruntime = library()

    def build(threads: int) -> Any:  # noqa: ANN401 - onnxruntime has no types
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = _ERRORS_ONLY
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])

    return PerThreads(build)


def _build(network: UNet, setup: Setup, content: bytes) -> Answer:
    made = sessions(content)

    def run(x_BCHW: F32) -> F32:
        found: F32 = made.get().run(None, {graph.INPUT: x_BCHW})[0]
        return found

    return graph.fitted(network, run, overlapping=setup.overlapping)
