"""Test-time augmentation: the mean over mirror images of a window, each turned back.

Rule: every view costs as much time as the first, and pools the pixels that the first pools: a window's views are
then those of the picture that it is cut from.
"""

from __future__ import annotations

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from masksmith.errors import unknown_name
from masksmith.inference.tiler import F32, Answer

_View = tuple[bool, bool, bool]
"""Whether rows are reversed, columns are, and both are exchanged after that."""

_EIGHT = tuple((down, right, turned) for turned in (False, True) for down in (False, True) for right in (False, True))

VIEWS: dict[str, tuple[_View, ...]] = {
    "none": _EIGHT[:1],
    "mirror": _EIGHT[:2],
    "all": _EIGHT,
}
"""Views by name: the picture itself; it and its mirror image from left to right; all eight ways to lay it."""


def mean(answer: Answer, name: str, *, grid_px: int = 1) -> Answer:
    """The answer as the mean over the views of that name.

    Args:
        answer: of one view.
        name: a key of ``VIEWS``.
        grid_px: sides are padded to a multiple of so many pixels before they are laid, as the network does with
            sides as they are: it would pad the other end of a mirror image, and pool other pixels together.

    Raises:
        RecipeError: no such name.
    """
    if name not in VIEWS:
        raise unknown_name("set of views", name, VIEWS, where="tta")
    chosen = VIEWS[name]
    if len(chosen) == 1:
        return answer

    def averaged(x_BCHW: Tensor) -> F32:
        height, width = x_BCHW.shape[-2:]
        total = answer(x_BCHW)
        padded_BCHW = F.pad(x_BCHW, (0, -width % grid_px, 0, -height % grid_px), mode="replicate")
        for view in chosen[1:]:
            total = total + _back(answer(_laid(padded_BCHW, view)), view)[..., :height, :width]
        out: F32 = total / np.float32(len(chosen))
        return out

    return averaged


def _laid(x_BCHW: Tensor, view: _View) -> Tensor:
    axes = [axis for axis, reversed_ in zip((-2, -1), view[:2], strict=True) if reversed_]
    x_BCHW = x_BCHW.flip(axes) if axes else x_BCHW
    return x_BCHW.transpose(-2, -1) if view[2] else x_BCHW


def _back(answer_BKHW: F32, view: _View) -> F32:
    if view[2]:
        answer_BKHW = answer_BKHW.swapaxes(-2, -1)
    rows, columns = (slice(None, None, -1 if reversed_ else 1) for reversed_ in view[:2])
    return answer_BKHW[..., rows, columns]
