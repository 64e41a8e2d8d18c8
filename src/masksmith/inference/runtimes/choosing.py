"""Which runtime is taken when none is asked for: the one that is done first, of those that agree with torch.

Rule: it never fails. A runtime with any fault is not taken, and where nothing else works torch does. What was
found is remembered for this machine and this model, and only believed while neither has changed.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import torch
from torch import Tensor

from masksmith import files
from masksmith.errors import MasksmithError
from masksmith.inference import runtimes
from masksmith.inference.runtimes import RUNTIMES, Setup, measuring, pytorch
from masksmith.inference.runtimes.measuring import Measured
from masksmith.inference.tiler import F32, Answer
from masksmith.models.unet import Encoder, UNet

ALWAYS = "torch"
"""What is taken where nothing is faster, or nothing else works."""

# Of 200 pixels one may have another class: rounding to bf16 turns so many whose classes were equally likely.
LEAST_EQUAL = 0.995
# Below this torch is done before the others are exported and measured.
_WORTH_S = 60.0
# Networks that are remembered, about three hundred bytes each; the oldest are forgotten.
_MOST_REMEMBERED = 500
# More is no memory of ours.
_MOST_BYTES = 2**20
_VERSIONED = ("masksmith", "torch", "openvino", "onnxruntime", "onnx", "onnxscript")


Speed = tuple[float, float]
"""Seconds to start, and seconds for a pixel of a window."""


@dataclass(frozen=True)
class Chosen:
    """The runtime that was taken, built."""

    name: str
    answer: Answer


def fastest(network: UNet, setup: Setup, window: Callable[[], Tensor], *, pixels: float | None = None) -> Chosen:
    """The runtime that is done first, measured once and then remembered.

    Args:
        network: in evaluation mode, on its device.
        setup: how it answers.
        window: gives a window (B, C, H, W) as the tiler will, of a real picture or by
            ``measuring.made_window``; only called if something has to be measured.
        pixels: of all windows that are to be answered for; for few of them no time is spent on starting
            or measuring. None for work without end.
    """
    safe = pytorch.plain(network, setup)
    try:
        return _choose(network, setup, window, pixels, safe)
    except Exception:  # whatever a library raises: torch needs none of them
        return Chosen(ALWAYS, safe)


def _choose(network: UNet, setup: Setup, window: Callable[[], Tensor], pixels: float | None, safe: Answer) -> Chosen:
    names = candidates(next(network.parameters()).device, setup)
    if names == [ALWAYS]:
        return Chosen(ALWAYS, safe)
    key = _key(network, setup, names)
    known = {name: speed for name, speed in _recall().get(key, {}).items() if name in names}
    if known:
        name = best(known, pixels)
        with suppress(Exception):  # what no longer works is measured anew
            return _taken(name, RUNTIMES[name].build(network, setup), safe)
    if not isinstance(network.encoder, Encoder):
        return Chosen(ALWAYS, safe)  # exporting some of timm's takes minutes: only who asks for it waits
    x_BCHW = window()
    if pixels is not None and _seconds(safe, x_BCHW) * pixels / _pixels(x_BCHW) < _WORTH_S:
        return Chosen(ALWAYS, safe)
    lines = measuring.measure(network, setup, x_BCHW, names)
    known = speeds(lines, x_BCHW)
    _remember(key, known)
    name = best(known, pixels)
    return _taken(name, next((line.answer for line in lines if line.name == name), None), safe)


def _taken(name: str, answer: Answer | None, safe: Answer) -> Chosen:
    return Chosen(name, safe if answer is None or name == ALWAYS else _guarded(answer, safe))


def _seconds(answer: Answer, x_BCHW: Tensor) -> float:
    """For one window, once it is warm."""
    answer(x_BCHW)
    begin = time.perf_counter()
    answer(x_BCHW)
    return time.perf_counter() - begin


def _pixels(x_BCHW: Tensor) -> int:
    batch, _, height, width = x_BCHW.shape
    return batch * height * width


def candidates(device: torch.device, setup: Setup) -> list[str]:
    """The runtimes that may be taken without being asked for."""
    return [name for name in runtimes.available(device, setup) if not RUNTIMES[name].by_name]


def speeds(lines: Sequence[Measured], x_BCHW: Tensor) -> dict[str, Speed]:
    """Those of the runtimes that may be taken unasked: they agree with torch in fp32 and start quickly."""
    sound = [
        line
        for line in lines
        if line.name in RUNTIMES
        and not RUNTIMES[line.name].by_name
        and line.fault is None
        and line.equal >= LEAST_EQUAL
    ]
    found = {line.name: (line.start_s, line.ms / 1000 / _pixels(x_BCHW)) for line in sound}
    return found or {ALWAYS: (0.0, 0.0)}


def best(known: Mapping[str, Speed], pixels: float | None = None) -> str:
    """The runtime that is done first with so many pixels, the start included; without end of work the fastest."""
    return min(known, key=lambda name: known[name][1] if pixels is None else known[name][0] + known[name][1] * pixels)


def remember(network: UNet, setup: Setup, known: Mapping[str, Speed]) -> None:
    """Choose by these speeds from now on where no runtime is asked for."""
    _remember(_key(network, setup, candidates(next(network.parameters()).device, setup)), known)


def _guarded(answer: Answer, safe: Answer) -> Answer:
    """The answer of a runtime until its first fault, from then on that of torch.

    Where memory was wanting torch answers for that one window: the next may find some.
    """
    failed = False

    def guarded(x_BCHW: Tensor) -> F32:
        nonlocal failed
        if not failed:
            try:
                return answer(x_BCHW)
            except MasksmithError:
                raise
            except Exception as error:  # whatever a library raises
                said = str(error).lower()
                failed = not (isinstance(error, MemoryError) or "memory" in said or "alloc" in said)
        return safe(x_BCHW)

    return guarded


def _key(network: UNet, setup: Setup, names: Sequence[str]) -> str:
    """What must be as it was for a choice to be believed: the machine, the libraries, the network."""
    machine = [*map(version, _VERSIONED), _processor(), str(torch.get_num_threads()), *names]
    digest = hashlib.sha256("\n".join([*machine, repr(setup), network.padding, repr(network)]).encode())
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def version(package: str) -> str:
    """Of an installed package; "" where it is another of that module, as onnxruntime-gpu, or not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def _processor() -> str:
    """The name of the processor; Linux tells Python only its family."""
    with suppress(OSError, ValueError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line
    return f"{platform.processor()} {platform.machine()}"


def _place() -> Path:
    """Beside what scans remember."""
    home = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
    return (Path(home) if home else Path.home() / ".cache") / "masksmith" / "runtimes.json"


def _recall() -> dict[str, dict[str, Speed]]:
    """What was measured earlier; nothing where that cannot be read."""
    with suppress(OSError, ValueError, TypeError, AttributeError, RecursionError):
        if _place().stat().st_size <= _MOST_BYTES:
            found = json.loads(_place().read_text(encoding="utf-8"))
            return {
                key: {name: (float(start_s), float(pixel_s)) for name, (start_s, pixel_s) in known.items()}
                for key, known in found.items()
            }
    return {}


def _remember(key: str, known: Mapping[str, Speed]) -> None:
    kept = {old: speeds for old, speeds in _recall().items() if old != key} | {key: dict(known)}
    with suppress(OSError, MasksmithError):
        files.write_text(_place(), json.dumps(dict(list(kept.items())[-_MOST_REMEMBERED:]), indent=0))
