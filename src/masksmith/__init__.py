"""masksmith: a folder of pictures and masks goes in, a trustworthy U-Net comes out.

The public names stand in ``__all__``; each is imported when it is first used, so that
``import masksmith`` and ``masksmith --help`` load no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from masksmith.classes import ClassTable
    from masksmith.errors import EnvironmentFault, InputError, MasksmithError
    from masksmith.inference.prediction import Prediction
    from masksmith.inference.segmenter import Segmenter, load
    from masksmith.models import presets
    from masksmith.models.unet import UNet
    from masksmith.outputs.drawings import write as shapes
    from masksmith.recipe import Recipe
    from masksmith.report.evaluation import evaluate
    from masksmith.run import Run
    from masksmith.training.session import plan, resume, train

__version__ = "0.1.0"

# Public name -> (module, name in it; "" for the module itself).
_HOME = {
    "ClassTable": ("masksmith.classes", "ClassTable"),
    "EnvironmentFault": ("masksmith.errors", "EnvironmentFault"),
    "InputError": ("masksmith.errors", "InputError"),
    "MasksmithError": ("masksmith.errors", "MasksmithError"),
    "Prediction": ("masksmith.inference.prediction", "Prediction"),
    "Recipe": ("masksmith.recipe", "Recipe"),
    "Run": ("masksmith.run", "Run"),
    "Segmenter": ("masksmith.inference.segmenter", "Segmenter"),
    "UNet": ("masksmith.models.unet", "UNet"),
    "evaluate": ("masksmith.report.evaluation", "evaluate"),
    "load": ("masksmith.inference.segmenter", "load"),
    "plan": ("masksmith.training.session", "plan"),
    "presets": ("masksmith.models.presets", ""),
    "resume": ("masksmith.training.session", "resume"),
    "shapes": ("masksmith.outputs.drawings", "write"),
    "train": ("masksmith.training.session", "train"),
}

__all__ = [
    "ClassTable",
    "EnvironmentFault",
    "InputError",
    "MasksmithError",
    "Prediction",
    "Recipe",
    "Run",
    "Segmenter",
    "UNet",
    "evaluate",
    "load",
    "plan",
    "presets",
    "resume",
    "shapes",
    "train",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'masksmith' has no attribute {name!r}")
    module, inner = _HOME[name]
    found = importlib.import_module(module)
    value: object = getattr(found, inner) if inner else found
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
