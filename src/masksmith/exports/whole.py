"""The network with what stands before and after it, as one module of PyTorch for the targets that torch reads.

Rule: the same as ``surround`` says for ONNX, without the rule of sides.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from masksmith.exports.source import Source
from masksmith.models.unet import to_probabilities


class Whole(nn.Module):
    """Raw pictures (B, H, W, C), of sides that the network takes, to mask and probabilities."""

    def __init__(self, source: Source) -> None:
        super().__init__()
        preprocessing = source.model.preprocessing
        self.network = source.network
        self.overlapping = source.overlapping
        self.gaps = preprocessing.dtype.startswith("float")
        for name, values in (("mean", preprocessing.mean), ("std", preprocessing.std)):
            self.register_buffer(name, torch.tensor(values, dtype=torch.float32).reshape(1, -1, 1, 1))
        self.mean: Tensor
        self.std: Tensor

    def forward(self, image_BHWC: Tensor) -> tuple[Tensor, Tensor]:
        """Class indices (B, H, W), or layers (B, K, H, W), and probabilities (B, K, H, W)."""
        x = (image_BHWC.permute(0, 3, 1, 2).to(torch.float32) - self.mean) / self.std
        if self.gaps:
            x = torch.nan_to_num(x, nan=0.0, posinf=0.0, neginf=0.0)
        found = to_probabilities(self.network.answer_exact(x), overlapping=self.overlapping)
        return self.mask(found), found

    def mask(self, found_BKHW: Tensor) -> Tensor:
        """What is chosen."""
        return (found_BKHW >= 0.5 if self.overlapping else found_BKHW.argmax(dim=1)).to(torch.uint8)
