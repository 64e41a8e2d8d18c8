"""A trained network as an ONNX graph in memory, which other runtimes read.

Rule: one graph for all sizes. It takes sizes that need no padding; ``fitted`` pads before and crops after,
as the network itself does.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from masksmith.inference.tiler import F32, Answer, torch_answer
from masksmith.models.unet import UNet, to_probabilities

INPUT = "x"


@dataclass
class Shared:
    """The graphs that were exported, or why they were not, each with the seconds that it took."""

    graphs: dict[tuple[int, bool], tuple[bytes | Exception, float]] = field(default_factory=dict)
    spared_s: float = 0.0
    """What those who came later would have waited for."""


_shared: ContextVar[Shared | None] = ContextVar("graphs", default=None)


@contextmanager
def sharing() -> Iterator[Shared]:
    """Within this a network is exported once, whoever asks for it; its weights must not change."""
    shared = Shared()
    token = _shared.set(shared)
    try:
        yield shared
    finally:
        _shared.reset(token)


def exported(network: UNet, *, overlapping: bool) -> bytes:
    """The network from standardised windows to probabilities, as ONNX."""
    shared = _shared.get()
    if shared is None:
        return _export(network, overlapping=overlapping)
    key = (id(network), overlapping)
    if key in shared.graphs:
        shared.spared_s += shared.graphs[key][1]
    else:
        begin = time.perf_counter()
        found: bytes | Exception
        try:
            found = _export(network, overlapping=overlapping)
        except Exception as error:
            found = error  # the next who asks need not wait for the same fault
        shared.graphs[key] = found, time.perf_counter() - begin
    graph = shared.graphs[key][0]
    if isinstance(graph, Exception):
        raise graph
    return graph


def fitted(network: UNet, run: Callable[[F32], F32], *, overlapping: bool) -> Answer:
    """The answer of a graph's ``run`` for windows of any size."""
    smallest = network.smallest_input if network.padding == "valid" else 0
    # Where pooling loses a row the graph does not hold: torch answers, or says why it cannot.
    inexact = torch_answer(network, "fp32", overlapping=overlapping)

    def answer(x_BCHW: Tensor) -> F32:
        height, width = x_BCHW.shape[-2:]
        if network.padding == "same":
            # The network's own padding is the rule; without it two rules would have to agree.
            return run(network._pad(x_BCHW).contiguous().numpy())[..., :height, :width]
        if min(height, width) < smallest or not (network.is_exact(height) and network.is_exact(width)):
            return inexact(x_BCHW)
        return run(x_BCHW.contiguous().numpy())

    return answer


class _Inner(nn.Module):
    """The network without what depends on the size: checks, padding, cropping."""

    def __init__(self, network: UNet, *, overlapping: bool) -> None:
        super().__init__()
        self.network = network
        self.overlapping = overlapping

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return to_probabilities(self.network.answer_exact(x_BCHW), overlapping=self.overlapping)


def _export(network: UNet, *, overlapping: bool) -> bytes:
    (batch, height, width), (count, tall, wide) = dynamic_sizes(network)
    example = torch.zeros(count, network.in_channels, tall, wide, dtype=torch.float32)
    inner = _Inner(network, overlapping=overlapping)
    # What the exporters warn of concerns their own developers.
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        program = torch.export.export(inner, (example,), dynamic_shapes=({0: batch, 2: height, 3: width},))
        try:
            onnx = torch.onnx.export(program, (), input_names=[INPUT], dynamo=True, verbose=False)
            if onnx is None:
                raise RuntimeError("torch.onnx gave no graph")
            graph: bytes = onnx.model_proto.SerializeToString()
        finally:
            _forget_sizes(program)
    return graph


def _forget_sizes(program: torch.export.ExportedProgram) -> None:
    """Empty what torch 2.15 keeps for ever of the sizes in a program: a megabyte for each export."""
    for node in program.graph.nodes:
        environment = getattr(getattr(node.meta.get("val"), "fake_mode", None), "shape_env", None)
        if environment is not None:
            vars(environment).clear()
            return


def dynamic_sizes(network: UNet) -> tuple[tuple[Any, Any, Any], tuple[int, int, int]]:
    """Batch, height and width that the network takes without padding, for ``torch.export``, and one of each."""
    (height, tall), (width, wide) = _side(network, "height", 1), _side(network, "width", 2)
    batch: Any = torch.export.Dim("batch", min=1)
    # No two sizes are alike, or the export would take them for one.
    return (batch, height, width), (2, tall, wide)


def _side(network: UNet, name: str, more: int) -> tuple[Any, int]:
    """The sizes of one side that the network takes without padding, and one of them."""
    if network.padding == "same":
        step, rest, least = network.stride, 0, 2
    else:
        step = 2 ** (len(network.channels) - 1)
        first = next(n for n in range(network.smallest_input, 10**6) if network.is_exact(n))
        # A map of one pixel is a case of its own to the exporter; the graph is the same.
        rest, least = first % step, first // step + 1
    count: Any = torch.export.Dim(f"{name}_steps", min=least)
    sizes = count if step == 1 else count * step
    return (sizes + rest if rest else sizes), (least + more) * step + rest
