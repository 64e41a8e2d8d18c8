"""Averaged weights (EMA): what is validated and kept is the mean over the last steps."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from masksmith.models.unet import UNet


class Average:
    """An exponential moving average of a network's weights and buffers.

    The decay rises with the steps, min(decay, (1 + n) / (10 + n)), so that the first average is
    not held back by random weights. With decay 0 it is the network itself.
    """

    def __init__(self, network: UNet, decay: float) -> None:
        self.decay = decay
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self._ours = list(self.network.state_dict().values())
        self._trained = network
        self._theirs: list[Tensor] | None = None

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after ``step`` (0 upwards)."""
        weight = 1 - min(self.decay, (1 + step) / (10 + step)) if self.decay else 1.0
        if self._theirs is None:  # not before: what places a network for its training may give it other memory
            self._theirs = list(self._trained.state_dict().values())
        ours: list[Tensor] = []
        theirs: list[Tensor] = []
        for mine, its in zip(self._ours, self._theirs, strict=True):
            if mine.is_floating_point():
                ours.append(mine)
                theirs.append(its)
            else:
                mine.copy_(its)
        torch._foreach_lerp_(ours, theirs, weight)
