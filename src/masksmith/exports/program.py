"""The target "torchexport": a program of ``torch.export`` for PyTorch, without masksmith.

Rule: reading such a file may unpickle what it holds, so none is read but one that this machine has written.
"""

from __future__ import annotations

import io
import warnings
import zipfile

import numpy as np
import numpy.typing as npt
import torch

from masksmith.exports import sides
from masksmith.exports.source import Answers, Files, Pixels, Source, only
from masksmith.exports.stated import KEY
from masksmith.exports.whole import Whole
from masksmith.inference.runtimes import graph
from masksmith.models.unet import UNet

_STATED = f"{KEY}.json"


def layout(source: Source) -> str:
    """What the input is, in words."""
    p, rule = source.model.preprocessing, sides.of_program(source.network)
    kind = "mirrored" if rule.mirrored else "the last row and column repeated"
    return (
        f"{p.dtype} (batch, height, width, {p.channels}), as stored in the pictures; each side is {rule.first} or more "
        f"by {rule.step}: {rule.before} pixels are added before and the rest behind, {kind}; the answer is cropped"
    )


def write(source: Source, stated: str) -> dict[str, bytes]:
    """The file."""
    program, out = source.once("torch.export", lambda: _exported(source)), io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.export.save(program, out, extra_files={_STATED: stated})
    return {f"{source.name}.pt2": out.getvalue()}


def _exported(source: Source) -> torch.export.ExportedProgram:
    (batch, height, width), (count, tall, wide) = graph.dynamic_sizes(source.network)
    p = source.model.preprocessing
    example = torch.from_numpy(np.zeros((count, tall, wide, p.channels), p.dtype))
    # What the exporters warn of concerns their own developers.
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        program = torch.export.export(
            Whole(source).eval(), (example,), dynamic_shapes=({0: batch, 1: height, 2: width},)
        )
    for node in program.graph.nodes:  # names of source files of this machine
        node.meta.pop("stack_trace", None)
    return program


def stated(files: Files) -> str:
    """The metadata, which are read without the rest."""
    return extra(only(files, ".pt2"), _STATED)


def extra(archive: bytes, name: str) -> str:
    """A text that torch keeps in an archive of its own."""
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        (found,) = (n for n in opened.namelist() if n.endswith(f"/{name}"))
        return opened.read(found).decode()


def read(files: Files, network: UNet) -> dict[str, Answers]:
    """PyTorch on the file, with the sides that it takes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = torch.export.load(io.BytesIO(only(files, ".pt2"))).module()
    rule = sides.of_program(network)

    def run(pixels_BHWC: Pixels) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
        height, width = pixels_BHWC.shape[1:3]
        taken = np.ascontiguousarray(pixels_BHWC[:, rule.index(height)][:, :, rule.index(width)])
        with torch.no_grad():
            mask, found = module(torch.from_numpy(taken))
        return mask[..., :height, :width].numpy(), found[..., :height, :width].numpy()

    return {"torch.export": run}
