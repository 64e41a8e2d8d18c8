"""How fast each runtime is on this machine, and whether it answers what torch answers.

Rule: no fault of a runtime ends a measurement; it is a part of the result.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from masksmith.inference import runtimes
from masksmith.inference.runtimes import RUNTIMES, Setup, fault, graph, pytorch
from masksmith.inference.tiler import F32, Answer, torch_answer
from masksmith.models.unet import UNet

EAGER = "eager"
"""The line that the others are compared with: what a plain script of torch does."""

# So long all runtimes together are timed: enough for a dozen windows of each, short for a person who waits.
SECONDS = 2.0
# Coarse and fine structures of a made picture, in pixels.
_SCALES_PX = (64, 16, 4, 1)


@dataclass(frozen=True)
class Measured:
    """One runtime on one window."""

    name: str
    ms: float = math.inf
    """The shortest of its times for the window: what else the machine does only makes times longer."""
    start_s: float = 0.0
    """From nothing to the first answer."""
    difference: float = math.inf
    """The largest of a probability from that of torch in fp32."""
    equal: float = 0.0
    """Share of pixels with the same class as torch in fp32."""
    fault: str | None = None
    """Why it did not answer."""
    answer: Answer | None = field(default=None, repr=False, compare=False)


def measure(
    network: UNet,
    setup: Setup,
    x_BCHW: Tensor,
    names: Sequence[str] | None = None,
    *,
    eager: bool = False,
    seconds: float = SECONDS,
) -> list[Measured]:
    """Each runtime on the window ``x_BCHW`` of standardised pixels, as the tiler gives them.

    Args:
        network: in evaluation mode, on its device.
        setup: how it answers.
        x_BCHW: the window; :func:`made_window` draws one.
        names: out of ``RUNTIMES``; None for all that are available.
        eager: whether the first line is to be :data:`EAGER`.
        seconds: for the timing of all; starting and the first answer come on top.
    """
    if names is None:
        names = runtimes.available(next(network.parameters()).device, setup)
    reference = torch_answer(network, "fp32", overlapping=setup.overlapping)(x_BCHW)
    tried = []
    with graph.sharing() as shared:
        for name in ([EAGER] if eager else []) + list(names):
            spared_s = shared.spared_s
            line = _try(name, network, setup, x_BCHW, reference)
            tried.append(replace(line, start_s=line.start_s + shared.spared_s - spared_s))
    return _timed(tried, x_BCHW, seconds)


def made_window(network: UNet, height: int, width: int, batch: int = 1) -> Tensor:
    """A made window of standardised pixels with structures of several sizes, always the same.

    With "valid" padding it is as much larger as the network needs to lose no row.
    """
    if network.padding == "valid":
        height, width = (_exact(network, side) for side in (height, width))
    generator = torch.Generator().manual_seed(0)
    x_BCHW = torch.zeros(batch, network.in_channels, height, width, dtype=torch.float32)
    for scale in _SCALES_PX:
        coarse = [-(-side // scale) for side in (height, width)]
        noise = torch.randn(batch, network.in_channels, *coarse, generator=generator, dtype=torch.float32)
        x_BCHW += F.interpolate(noise, size=(height, width), mode="bilinear") if scale > 1 else noise
    return x_BCHW / math.sqrt(len(_SCALES_PX))


def _exact(network: UNet, side: int) -> int:
    smallest = max(side, network.smallest_input)
    return next(n for n in range(smallest, 16 * smallest) if network.is_exact(n))


def _try(name: str, network: UNet, setup: Setup, x_BCHW: Tensor, reference: F32) -> Measured:
    """Build it and compare its first answer."""
    begin = time.perf_counter()
    try:
        answer = pytorch.eager(network, setup) if name == EAGER else RUNTIMES[name].build(network, setup)
        found = answer(x_BCHW)
        if found.shape != reference.shape or not np.isfinite(found).all():
            return Measured(name, fault=f"an answer of shape {found.shape} for {reference.shape}, or not of numbers")
        return Measured(
            name,
            start_s=time.perf_counter() - begin,
            difference=float(np.abs(found - reference).max()),
            equal=float(np.mean(_equal(found, reference, overlapping=setup.overlapping))),
            answer=answer,
        )
    except Exception as error:  # whatever a library raises
        return Measured(name, fault=fault(error))


def _equal(found_BKHW: F32, reference_BKHW: F32, *, overlapping: bool) -> npt.NDArray[np.bool_]:
    """Whether each pixel (B, H, W) has the same class, or the same classes."""
    if overlapping:
        same: npt.NDArray[np.bool_] = ((found_BKHW >= 0.5) == (reference_BKHW >= 0.5)).all(axis=1)
    else:
        same = found_BKHW.argmax(axis=1) == reference_BKHW.argmax(axis=1)
    return same


def _timed(tried: list[Measured], x_BCHW: Tensor, seconds: float) -> list[Measured]:
    """The same with times: round after round, so that what else the machine does meets all of them."""
    until = time.perf_counter() + seconds
    first = True
    while first or (time.perf_counter() < until and any(line.answer for line in tried)):
        for place, line in enumerate(tried):
            if line.answer is not None and (first or time.perf_counter() < until):
                tried[place] = _again(line, line.answer, x_BCHW)
        first = False
    return tried


def _again(line: Measured, answer: Answer, x_BCHW: Tensor) -> Measured:
    begin = time.perf_counter()
    try:
        answer(x_BCHW)
    except Exception as error:  # whatever a library raises
        return Measured(line.name, fault=fault(error))
    return replace(line, ms=min(line.ms, 1000 * (time.perf_counter() - begin)))
