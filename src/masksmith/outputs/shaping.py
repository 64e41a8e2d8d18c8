"""Shaping: how regions of a mask become polygons and things.

Rule: a value only; with its defaults nothing of the mask is lost.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from masksmith.errors import InputError

Split = Literal["components", "watershed"]


@dataclass(frozen=True)
class Shaping:
    """What is done to regions before they are written."""

    simplify_px: float = 0.0
    """Outlines may leave the edges of the pixels by so much, and have fewer points for it; 0 keeps them exact."""
    min_area_px: int = 0
    """Regions of fewer pixels are left out."""
    split: Split = "components"
    """What one thing is: what hangs together, or each half of it at its waist."""

    def __post_init__(self) -> None:
        if not 0 <= self.simplify_px < float("inf") or self.min_area_px < 0:
            raise InputError(
                where="shaping of regions",
                expected="0 or more pixels",
                received=f"{self.simplify_px:g} to simplify and {self.min_area_px} as the least area",
                remedy="give 0 to leave regions as they are",
            )
        if self.split not in get_args(Split):
            raise InputError(
                where="shaping of regions",
                expected=f"one of {', '.join(get_args(Split))} as split",
                received=f'"{self.split}"',
                remedy="choose one of them",
            )
