"""What this machine can do: the device, and the precision that it has in hardware.

Rule: everything is asked of the hardware, nothing of the environment.
"""

from __future__ import annotations

import torch
from torch import nn

from masksmith.errors import EnvironmentFault, RecipeError, unknown_name

PRECISIONS = ("auto", "bf16", "fp16", "fp32")


def device(wanted: str = "auto") -> torch.device:
    """The device called "cpu", "cuda", "cuda:1" (the second card) or "mps", or for "auto" the fastest there is.

    Raises:
        EnvironmentFault: this machine has none of that name.
    """
    cards = [f"cuda:{number}" for number in range(torch.cuda.device_count())]
    names = [*(["cuda", *cards] if cards else []), *(["mps"] if torch.backends.mps.is_available() else []), "cpu"]
    if wanted == "auto":
        return torch.device(names[0])
    if wanted not in names:
        raise EnvironmentFault(
            where=f"device={wanted}",
            expected="a device of this machine: " + ", ".join(names),
            received=wanted,
            remedy="choose one of these, or leave it at auto",
        )
    return torch.device(wanted)


def precision(wanted: str, on: torch.device) -> str:
    """The precision, "bf16", "fp16" or "fp32": the fastest that ``on`` has in hardware where "auto" is wanted.

    Without bf16 in hardware a processor computes in fp32, since it would only emulate the rest.

    Raises:
        RecipeError: no precision of that name.
    """
    if wanted not in PRECISIONS:
        raise unknown_name("precision", wanted, PRECISIONS, where=f"precision={wanted}")
    if wanted != "auto":
        return wanted
    if on.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    if on.type == "cpu" and (torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()):
        return "bf16"
    return "fp32"


def require_trainable(wanted: str, on: torch.device) -> None:
    """Make sure that a training on ``on`` can be in that precision: on a processor gradients of fp16 are not scaled.

    Raises:
        RecipeError: it cannot.
    """
    if wanted == "fp16" and on.type == "cpu":
        raise RecipeError(
            where="precision=fp16",
            expected="auto, bf16 or fp32 to train on a processor",
            received=wanted,
            remedy="leave it at auto, or train on a graphics card",
        )


def autocast(network_on: torch.device, chosen: str) -> torch.autocast:
    """The context in which a forward pass runs in ``chosen`` precision."""
    dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(chosen)
    return torch.autocast(network_on.type, dtype=dtype or torch.bfloat16, enabled=dtype is not None)


def place(network: nn.Module, on: torch.device) -> nn.Module:
    """The network on its device in channels-last memory, which convolutions there run fastest in."""
    return network.to(on, memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]  # torch's stubs lack this overload
