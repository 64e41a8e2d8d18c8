"""Exports: a trained network as files that other programs read, one file for each target, one table.

Rule: an export holds all that prediction does (scaling, padding, the choice of the class), has been compared with the
original before it is written, and says in its own metadata how far it agrees.
"""

from __future__ import annotations

import importlib.util

from masksmith.exports import bioimage, deepness, ir, plain, program, script, surround, triton
from masksmith.exports.source import Export

EXPORTS: dict[str, Export] = {
    "onnx": Export(
        plain.write, plain.read, surround.stated, "NAME.onnx", "ONNX, one file", plain.NEEDS, layout=plain.layout
    ),
    "openvino": Export(
        ir.write, ir.read, ir.stated, "NAME.xml", "OpenVINO's format, two files", ir.NEEDS, layout=plain.layout
    ),
    "torchexport": Export(
        program.write,
        program.read,
        program.stated,
        "NAME.pt2",
        "a program of torch.export",
        layout=program.layout,
        runs_code=True,
    ),
    "torchscript": Export(
        script.write,
        script.read,
        script.stated,
        "NAME.pt",
        "TorchScript, for older programs",
        layout=plain.layout,
        runs_code=True,
    ),
    "triton": Export(
        triton.write,
        triton.read,
        surround.stated,
        "NAME",
        "a model repository for Triton",
        plain.NEEDS,
        layout=plain.layout,
    ),
    "bioimageio": Export(
        bioimage.write,
        bioimage.read,
        bioimage.stated,
        "NAME.bioimageio.zip",
        "a package of the BioImage Model Zoo",
        bioimage.NEEDS,
        read_own=bioimage.read_all,
        layout=plain.layout,
        refuse=bioimage.refuse,
    ),
    "deepness": Export(
        deepness.write,
        deepness.read,
        surround.stated,
        "NAME.deepness.onnx",
        "ONNX for the plugin Deepness of QGIS",
        plain.NEEDS,
        layout=deepness.layout,
        square_px=deepness.square_px,
        refuse=deepness.refuse,
    ),
}


def missing(name: str) -> list[str]:
    """Modules that a target needs and that are not installed."""
    return [module for module in EXPORTS[name].needs if importlib.util.find_spec(module) is None]
