"""PyTorch as a runtime: as it is, compiled, and the plainest way, which others are compared with."""

from __future__ import annotations

import copy
import os
import shutil
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor

from masksmith.errors import EnvironmentFault
from masksmith.inference.tiler import F32, Answer, torch_answer
from masksmith.models.unet import UNet, to_probabilities

if TYPE_CHECKING:
    from masksmith.inference.runtimes import Setup

_COMPILERS = ("c++", "g++", "clang++", "cl")


def plain(network: UNet, setup: Setup) -> Answer:
    """Layer by layer, channels last."""
    return torch_answer(network, setup.precision, overlapping=setup.overlapping)


def compiled(network: UNet, setup: Setup) -> Answer:
    """Layers joined by torch.compile; the first window waits for the compiler.

    Raises:
        EnvironmentFault: there is no C++ compiler.
    """
    # torch asks for CXX first.
    if not any(shutil.which(name) for name in (os.environ.get("CXX", ""), *_COMPILERS) if name):
        raise EnvironmentFault(
            where="runtime=torch-compile",
            expected="a C++ compiler",
            received="none of " + ", ".join(_COMPILERS),
            remedy="install one, or choose the runtime torch",
        )
    # One compilation for all sizes: windows at the picture's end are smaller.
    joined = cast("UNet", torch.compile(network, dynamic=True))
    return torch_answer(joined, setup.precision, overlapping=setup.overlapping)


def eager(network: UNet, setup: Setup) -> Answer:
    """What a script without further thought does: fp32, one channel after the other in memory."""
    plainest: UNet = copy.deepcopy(network).to(memory_format=torch.contiguous_format)
    device = next(plainest.parameters()).device

    def answer(x_BCHW: Tensor) -> F32:
        with torch.inference_mode():
            logits: Tensor = plainest(x_BCHW.to(device).contiguous())
            found: F32 = to_probabilities(logits, overlapping=setup.overlapping).cpu().numpy()
        return found

    return answer
