"""Runs for pictures of three kinds, with networks that were never trained but answer with several classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from masksmith import modelfile
from masksmith.classes import ClassTable, make_entries
from masksmith.data.preprocessing import Preprocessing
from masksmith.errors import DataError
from masksmith.inference.segmenter import Segmenter
from masksmith.modelfile import ModelFile
from masksmith.models.unet import UNet
from masksmith.recipe import Recipe
from reliability.harness.odd import Array, noise

_CLASSES = ("ground", "house", "road")
# Name of the run: channels, dtype, and the mean and deviation of each channel.
KINDS: dict[str, tuple[int, str, float, float]] = {
    "colour": (3, "uint8", 100.0, 50.0),
    "deep": (1, "uint16", 30_000.0, 15_000.0),
    "floats": (5, "float32", 0.0, 5.0),
}


def make_runs(folder: Path) -> dict[str, Path]:
    """A run folder of each kind."""
    return {name: _make(folder / name, *kind) for name, kind in KINDS.items()}


def load(runs: dict[str, Path]) -> dict[str, Segmenter]:
    """Their networks."""
    return {name: Segmenter(modelfile.read(run / "model.safetensors"), device="cpu") for name, run in runs.items()}


def fitting(networks: dict[str, Segmenter], pixels_HWC: Array) -> str | None:
    """The run that is made for such pixels."""
    for name, network in networks.items():
        try:
            network.model.preprocessing.conform(pixels_HWC, name)
        except DataError:
            continue
        return name
    return None


def _make(folder: Path, channels: int, dtype: str, mean: float, deviation: float) -> Path:
    arguments = {"in_channels": channels, "num_classes": len(_CLASSES), "depth": 2, "width": 4}
    seen = Preprocessing(channels, dtype, (mean,) * channels, (deviation,) * channels)
    for seed in range(100):
        torch.manual_seed(seed)
        table = ClassTable(make_entries(_CLASSES))
        model = ModelFile(arguments, table, seen, Recipe(), UNet(**arguments).state_dict())
        mask_HW = Segmenter(model, device="cpu").segment(noise(dtype, channels, 32, 32)).mask_HW
        if len(np.unique(mask_HW)) > 1:
            modelfile.write(folder / "model.safetensors", model)
            return folder
    raise AssertionError("no such network")
