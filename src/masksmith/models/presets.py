"""Named networks: what a course, a paper or a tutorial calls "the U-Net", to the parameter.

Rule: a preset is only arguments of :class:`masksmith.UNet`; every one can be overridden.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from masksmith.errors import unknown_name

if TYPE_CHECKING:
    from masksmith.models.unet import UNet


@dataclass(frozen=True)
class Preset:
    """Arguments of ``UNet``, the channels and classes it is usually made for, and a description."""

    about: str
    in_channels: int
    num_classes: int
    settings: Mapping[str, object]


PRESETS: dict[str, Preset] = {
    "slides": Preset(
        "64-128-256-512, three up-convolutions, no norm: the U-Net of lecture slides", 3, 2, {"depth": 4, "norm": None}
    ),
    "classic": Preset("64 to 1024, four levels down and up, padded, no norm", 3, 2, {"norm": None}),
    "ronneberger": Preset(
        "the 2015 paper: unpadded, 572 -> 388, dropout at the end of the contracting path",
        1,
        2,
        {"norm": None, "padding": "valid", "dropout": 0.5},
    ),
    "aerial": Preset(
        "64 to 1024, batch norm, one convolution a block, up-convolutions that keep their channels",
        3,
        2,
        {"convs_per_block": 1, "up_channels": "keep"},
    ),
    "minimal": Preset("two levels, one class by a sigmoid: the smallest that is still a U-Net", 3, 1, {"depth": 2}),
    "compact": Preset(
        "16 to 256, residual blocks, batch norm: the default, made for two cores", 3, 2, {"width": 16, "residual": True}
    ),
}


def find(name: str) -> Preset:
    """The preset of that name.

    Raises:
        RecipeError: there is none; the nearest name is suggested.
    """
    if name not in PRESETS:
        raise unknown_name("preset", name, PRESETS, where="preset")
    return PRESETS[name]


def build(
    name: str,
    in_channels: int | None = None,
    num_classes: int | None = None,
    *,
    overrides: Mapping[str, object] | None = None,
) -> UNet:
    """The network of a preset, with other channels, classes or settings where given.

    >>> build("classic").num_parameters
    31031810
    >>> build("aerial", overrides={"convs_per_block": 2}).num_parameters
    36963266

    Raises:
        RecipeError: no preset, or no setting, of that name.
        InputError: an override that no network can be made of.
    """
    preset = find(name)
    settings = {**preset.settings, **(overrides or {})}
    from masksmith.models.unet import UNet  # torch: a recipe is checked without it

    known = inspect.signature(UNet).parameters.keys() - {"in_channels", "num_classes"}
    for key in settings:
        if key not in known:
            raise unknown_name("setting of the network", key, known, where=f"overrides of {name}")
    return UNet(
        preset.in_channels if in_channels is None else in_channels,
        preset.num_classes if num_classes is None else num_classes,
        **settings,  # type: ignore[arg-type]  # the recipe and UNet itself check each value
    )
