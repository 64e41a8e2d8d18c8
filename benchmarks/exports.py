"""How far each export agrees with its network: every preset and the planned network, on real pictures.

    python benchmarks/exports.py OUT [--only classic,planned] [--to onnx,openvino]

Weights are random, scaled so that both classes occur. The pictures are those of the validation part of the example
that comes with masksmith: five sizes, one or two pictures at a time, as ``masksmith export`` takes them. Prints for
each network and target the largest difference of a probability, the share of equal pixels, the batches that were
compared and the megabytes. 1 if one of them does not agree.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from large import PLANNED

from masksmith import images, modelfile
from masksmith.classes import ClassTable
from masksmith.data import dataset
from masksmith.data.preprocessing import Preprocessing
from masksmith.errors import MasksmithError
from masksmith.exports import EXPORTS, writing
from masksmith.exports.source import Wishes
from masksmith.exports.writing import Written
from masksmith.modelfile import ModelFile
from masksmith.models.presets import PRESETS
from masksmith.models.unet import UNet
from masksmith.recipe import Recipe
from masksmith.run import Run

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "nuclei"
SEEN = Preprocessing(1, "uint8", (30.0,), (30.0,))
# The paper's network has an answer from 188 pixels on.
_CALIBRATED_PX = 252


def networks() -> dict[str, dict[str, Any]]:
    """Arguments of each network, for grey pictures."""
    presets = {name: {"num_classes": preset.num_classes, **preset.settings} for name, preset in PRESETS.items()}
    return {name: {**made, "in_channels": 1} for name, made in {**presets, "planned": {**PLANNED, "num_classes": 2}}.items()}  # fmt: skip


def scaled(network: UNet, picture: Path) -> UNet:
    """The network with answers that are apart from each other, as those of a trained one, and of both classes."""
    pixels = SEEN.standardize(images.read(picture).pixels_HWC[:_CALIBRATED_PX, :_CALIBRATED_PX])
    with torch.no_grad():
        logits = network(torch.from_numpy(pixels).permute(2, 0, 1)[None])
        group = network.stem**2  # as many channels for each class, side by side
        mean, scale = (t.repeat_interleave(group) for t in (logits.mean(dim=(0, 2, 3)), 4 / logits.std(dim=(0, 2, 3))))
        network.head.weight *= scale[:, None, None, None]
        network.head.bias.copy_((network.head.bias - mean) * scale)
    return network


def make_run(folder: Path, arguments: dict[str, Any]) -> Path:
    """A run on the example, as a training leaves it."""
    found = dataset.find(EXAMPLE, Recipe().data)
    table = ClassTable(found.entries or ())
    torch.manual_seed(0)
    network = scaled(UNet(**arguments).eval(), found.part("val")[0].image)
    Run(folder).start(Recipe(), table, found, overwrite=True)
    modelfile.write(folder / "model.safetensors", ModelFile(arguments, table, SEEN, Recipe(), network.state_dict()))
    return folder


def export(run: Path, targets: list[str], folder: Path, name: str) -> Iterator[Written | str]:
    """Each target, or why it was not written; together, since their graph is made once, if none is refused."""
    wishes = Wishes(resolution_cm=25.0, licence="CC0-1.0", authors=("A Person",))
    try:
        yield from writing.export(run, targets, folder, name=name, overwrite=True, wishes=wishes)
    except MasksmithError as error:
        if len(targets) == 1:
            yield f"{name:<12} {targets[0]:<12} {error}"
            return
        for target in targets:
            yield from export(run, [target], folder, name)


def line(name: str, made: Written) -> str:
    """Of the table."""
    found = made.agreement
    figures = f"{found.difference:11.1e} {found.equal:13.4%} {found.cases:8} {made.size / 1e6:7.1f}"
    return f"{name:<12} {made.target:<12} {figures}"


def main() -> int:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--only", default=",".join(networks()))
    parser.add_argument("--to", default=",".join(EXPORTS))
    chosen = parser.parse_args()
    failed = False
    print(f"{'network':<12} {'export':<12} {'difference':>11} {'equal pixels':>13} {'batches':>8} {'MB':>7}")
    for name in chosen.only.split(","):
        run = make_run(chosen.out / name, networks()[name])
        for made in export(run, chosen.to.split(","), chosen.out / "files", name):
            failed |= isinstance(made, str)
            print(made if isinstance(made, str) else line(name, made), flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
