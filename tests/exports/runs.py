"""Runs as a training leaves them, without a training: a tiny network with random weights beside its data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from helpers import draw_pair, write_set
from masksmith import modelfile
from masksmith.classes import ClassTable, make_entries
from masksmith.data import dataset
from masksmith.data.preprocessing import Preprocessing
from masksmith.inference.runtimes import graph
from masksmith.modelfile import ModelFile
from masksmith.models.unet import UNet
from masksmith.recipe import Recipe
from masksmith.run import Run

EXPORTED = graph._export
"""As it is before the tests make it remember."""
NAMES = ("sky", "tree", "car")


def table(*, overlapping: bool = False) -> ClassTable:
    values = [1, 2, 3] if overlapping else None
    return ClassTable(make_entries(list(NAMES), values), overlapping=overlapping)


def model(classes: ClassTable, dtype: str = "uint8", channels: int = 3, **network: object) -> ModelFile:
    torch.manual_seed(0)
    arguments = {"in_channels": channels, "num_classes": 3, "depth": 3, "width": 4, "norm": "batch", **network}
    preprocessing = Preprocessing(channels, dtype, (100.0, 90.0, 80.0)[:channels], (50.0, 60.0, 70.0)[:channels])
    made = UNet(**arguments).eval()  # type: ignore[arg-type]
    picture, _ = draw_pair((140, 133), (0, 1, 2), channels, np.random.default_rng(1))
    with torch.no_grad():  # every class somewhere, and answers far from each other, as of a trained network
        logits = made(torch.from_numpy(preprocessing.standardize(picture)).permute(2, 0, 1)[None])
        scale = 4 / logits.std(dim=(0, 2, 3))
        made.head.weight *= scale[:, None, None, None]
        made.head.bias.copy_((made.head.bias - logits.mean(dim=(0, 2, 3))) * scale)
    return ModelFile(arguments, classes, preprocessing, Recipe(), made.state_dict())


def write_run(folder: Path, **options: object) -> Path:
    """A run of three classes with its data in ``folder``."""
    data = write_set(folder / "data", size=(140, 133), values=(0, 1, 2), count=2)
    classes = table(overlapping=bool(options.pop("overlapping", False)))
    run = folder / "my run"
    Run(run).start(Recipe(), classes, dataset.find(data, Recipe().data), overwrite=False)
    modelfile.write(run / "model.safetensors", model(classes, **options))  # type: ignore[arg-type]
    return run
