"""OpenVINO as a runtime.

Rule: a graph is read from memory and never converted by OpenVINO's own tool, which reports its use to its makers.
"""

from __future__ import annotations

from functools import cache
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import torch

from masksmith.inference.runtimes import graph
from masksmith.inference.runtimes.threads import PerThreads
from masksmith.inference.tiler import F32, Answer
from masksmith.models.unet import UNet

if TYPE_CHECKING:
    from masksmith.inference.runtimes import Setup


@cache
def core() -> Any:  # noqa: ANN401 - openvino has no types here
    """The one `openvino.Core` of this process.

    Each Core gives the thread that makes it an alternative signal stack and puts back the one before when it goes. Of
    several that go in another order than they came one puts back a stack that is gone, and the next signal that Python
    handles (Ctrl-C, SIGTERM) ends the process by a segmentation fault. (Seen with openvino 2026.4.1.)
    """
    import openvino

    return openvino.Core()


def plain(network: UNet, setup: Setup) -> Answer:
    """In bf16 where that is the machine's precision."""
    return _build(network, setup, graph.exported(network, overlapping=setup.overlapping), setup.precision)


def single(network: UNet, setup: Setup) -> Answer:
    """In fp32."""
    return _build(network, setup, graph.exported(network, overlapping=setup.overlapping), "fp32")


def quantized(network: UNet, setup: Setup) -> Answer:
    """The int8 graph."""
    # What is float in it runs in fp32: with bf16 between 8-bit layers it was slower.
    return _build(network, setup, setup.quantized or b"", "fp32")


def _build(network: UNet, setup: Setup, content: bytes, precision: str) -> Answer:
    half = precision == "bf16" and "BF16" in core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    model, all_threads = core().read_model(content, b""), torch.get_num_threads()
    compiled = PerThreads(
        lambda threads: _Streams(model, threads, max(1, all_threads // threads), "bf16" if half else "f32")
    )
    return graph.fitted(network, lambda x_BCHW: compiled.get().run(x_BCHW), overlapping=setup.overlapping)


class _Streams:
    """A compiled model that so many windows at a time go through, each by so many threads."""

    def __init__(self, model: Any, threads: int, streams: int, precision: str) -> None:  # noqa: ANN401
        settings = {
            "NUM_STREAMS": streams,
            "INFERENCE_NUM_THREADS": threads * streams,
            "INFERENCE_PRECISION_HINT": precision,
        }
        compiled = core().compile_model(model, "CPU", settings)
        self._idle: SimpleQueue[Any] = SimpleQueue()
        for _ in range(streams):
            self._idle.put(compiled.create_infer_request())

    def run(self, x_BCHW: F32) -> F32:
        request = self._idle.get()  # each has one place for what it computes
        try:
            found: F32 = request.infer(x_BCHW, share_inputs=True, share_outputs=False)[0]
        finally:
            self._idle.put(request)
        return found
