"""Runtimes: what can compute a network's answer, each behind one function.

Rule: a runtime answers what torch answers, for windows of any size; its library is imported when it is built.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass, field

import torch

from masksmith.errors import EnvironmentFault, MasksmithError, unknown_name
from masksmith.inference.runtimes import ort, pytorch, vino
from masksmith.inference.tiler import Answer
from masksmith.models.unet import UNet


@dataclass(frozen=True)
class Setup:
    """How a network is to answer, whichever runtime computes it."""

    precision: str
    """What may be computed in, as ``probe.precision`` gives it: "fp32", "bf16" or "fp16"."""
    overlapping: bool = False
    """Whether each class has a probability of its own."""
    quantized: bytes | None = field(default=None, repr=False)
    """The network's int8 graph, if one was made."""


@dataclass(frozen=True)
class Runtime:
    """One line of ``RUNTIMES``."""

    build: Callable[[UNet, Setup], Answer]
    about: str
    needs: tuple[str, ...] = ()
    """Modules that must be installed, besides those of masksmith."""
    cpu_only: bool = False
    slow_start: bool = False
    """Whether it compiles for long."""
    fixed_threads: bool = False
    """Whether it computes by as many threads as there were when it was built, whoever asks."""
    quantized: bool = False
    """Whether it runs the int8 graph, whose answers differ a little."""

    @property
    def by_name(self) -> bool:
        """Whether it is only taken when it is asked for."""
        return self.slow_start or self.quantized


RUNTIMES: dict[str, Runtime] = {
    "torch": Runtime(pytorch.plain, "PyTorch, channels last, in the machine's precision"),
    "torch-compile": Runtime(
        pytorch.compiled, "the same through torch.compile; starts within a minute", slow_start=True, fixed_threads=True
    ),
    "openvino": Runtime(
        vino.plain, "OpenVINO, in the machine's precision", ("openvino", "onnx", "onnxscript"), cpu_only=True
    ),
    "openvino-fp32": Runtime(
        vino.single, "OpenVINO in single precision", ("openvino", "onnx", "onnxscript"), cpu_only=True
    ),
    "onnxruntime": Runtime(
        ort.single, "ONNX Runtime in single precision", ("onnxruntime", "onnx", "onnxscript"), cpu_only=True
    ),
    "openvino-int8": Runtime(
        vino.quantized, "OpenVINO, the int8 graph", ("openvino", "onnx"), cpu_only=True, quantized=True
    ),
    "onnxruntime-int8": Runtime(
        ort.quantized, "ONNX Runtime, the int8 graph", ("onnxruntime", "onnx"), cpu_only=True, quantized=True
    ),
}

INT8 = "int8"
"""The word for the first runtime of the int8 graph that is installed."""


def int8_name() -> str:
    """What ``INT8`` stands for here; the first of all where none is installed."""
    names = [name for name, runtime in RUNTIMES.items() if runtime.quantized]
    return next((name for name in names if not missing(name)), names[0])


def missing(name: str) -> list[str]:
    """Modules that a runtime needs and that are not installed."""
    return [module for module in RUNTIMES[name].needs if importlib.util.find_spec(module) is None]


def available(device: torch.device, setup: Setup) -> list[str]:
    """The runtimes that are installed and work on the device, each kind of computing once."""
    same = {"openvino-fp32"} if setup.precision == "fp32" else set()  # as "openvino" then
    return [
        name
        for name, runtime in RUNTIMES.items()
        if name not in same
        and not missing(name)
        and (device.type == "cpu" or not runtime.cpu_only)
        and (setup.quantized is not None or not runtime.quantized)
    ]


def build(name: str, network: UNet, setup: Setup) -> Answer:
    """The answer of a network, in evaluation mode, by the runtime of that name.

    Raises:
        RecipeError: there is no such runtime.
        EnvironmentFault: it is not installed, or cannot run this network here.
    """
    if name not in RUNTIMES:
        raise unknown_name("runtime", name, RUNTIMES, where="runtime")
    device = next(network.parameters()).device
    if lacking := missing(name):
        raise _refused(name, f"no module {', '.join(lacking)}", f"pip install {' '.join(lacking)}")
    if RUNTIMES[name].cpu_only and device.type != "cpu":
        raise _refused(name, f"a network on {device.type}", "choose the runtime torch, or the device cpu")
    if RUNTIMES[name].quantized and setup.quantized is None:
        raise _refused(name, "a network without its int8 graph", "make it with masksmith quantize RUN")
    try:
        return RUNTIMES[name].build(network, setup)
    except MasksmithError:
        raise
    except Exception as error:  # libraries raise whatever they like
        raise _refused(name, fault(error), "choose the runtime torch") from error


def fault(error: Exception) -> str:
    """The first line of what a library says of its trouble."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__


def _refused(name: str, received: str, remedy: str) -> EnvironmentFault:
    return EnvironmentFault(
        where=f"runtime={name}", expected="what this runtime needs to run the network", received=received, remedy=remedy
    )
