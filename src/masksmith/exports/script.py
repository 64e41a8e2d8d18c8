"""The target "torchscript": for programs that still read it (LibTorch, DJL). PyTorch calls it deprecated.

Rule: such a file is a program, so none is read but one that this machine has written.
"""

from __future__ import annotations

import io
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from masksmith.exports import sides
from masksmith.exports.program import extra
from masksmith.exports.source import Answers, Files, Pixels, Source, only
from masksmith.exports.stated import KEY
from masksmith.exports.whole import Whole
from masksmith.models.unet import UNet

_STATED = f"{KEY}.json"


def _taken(x: Tensor, axis: int, first: int, step: int, shrink: int) -> Tensor:
    """As :meth:`Sides.index`, in what TorchScript can compile; a trace would keep the sides of its example."""
    side = x.shape[axis]
    more = max(0, side + shrink - first)
    found = torch.arange(first + (more + step - 1) // step * step, device=x.device) - shrink // 2
    if shrink == 0:
        return x.index_select(axis, found.clamp(max=side - 1))
    period = max(2 * side - 2, 1)
    found = torch.remainder(found, period)
    return x.index_select(axis, torch.where(found >= side, period - found, found))


def _cropped(x: Tensor, image_BHWC: Tensor) -> Tensor:
    return x[..., : image_BHWC.shape[1], : image_BHWC.shape[2]]


class _AnySize(nn.Module):
    def __init__(self, source: Source) -> None:
        super().__init__()
        self.whole = Whole(source)
        self.rule = sides.of_network(source.network)
        self.taken, self.cropped = torch.jit.script(_taken), torch.jit.script(_cropped)

    def forward(self, image_BHWC: Tensor) -> tuple[Tensor, Tensor]:
        x, rule = image_BHWC, self.rule
        for axis in (1, 2):
            x = self.taken(x, axis, rule.first, rule.step, rule.shrink)
        mask, found = self.whole(x)
        return self.cropped(mask, image_BHWC), self.cropped(found, image_BHWC)


@contextmanager
def _quiet() -> Iterator[None]:
    """The deprecation is told in the docs."""
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        yield


def write(source: Source, stated: str) -> dict[str, bytes]:
    """The file."""
    traced, out = source.once("torch.jit", lambda: _traced(source)), io.BytesIO()
    with _quiet():
        torch.jit.save(traced, out, _extra_files={_STATED: stated})
    return {f"{source.name}.pt": _bare(out.getvalue())}


def _bare(archive: bytes) -> bytes:
    """Without notes for debugging, which name source files of this machine, and without dates."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as given, zipfile.ZipFile(out, "w") as kept:
        for name in given.namelist():
            if not name.endswith(".debug_pkl"):
                kept.writestr(zipfile.ZipInfo(name), given.read(name))
    return out.getvalue()


def _traced(source: Source) -> Any:  # noqa: ANN401 - torch has no types here
    p = source.model.preprocessing
    with _quiet():
        # Two sides of which none is another number of the network.
        example = torch.from_numpy(np.zeros((2, 3 * source.network.stride + 1, 131, p.channels), p.dtype))
        return torch.jit.trace(_AnySize(source).eval(), (example,), check_trace=False)  # type: ignore[no-untyped-call]


def stated(files: Files) -> str:
    """The metadata, which are read without the rest."""
    return extra(only(files, ".pt"), _STATED)


def read(files: Files, _network: UNet) -> dict[str, Answers]:
    """PyTorch on the file."""
    with _quiet():
        module = torch.jit.load(io.BytesIO(only(files, ".pt")))  # type: ignore[no-untyped-call]

    def run(pixels_BHWC: Pixels) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
        with _quiet():
            mask, found = module(torch.from_numpy(np.ascontiguousarray(pixels_BHWC)))
        return mask.numpy(), found.numpy()

    return {"torchscript": run}
