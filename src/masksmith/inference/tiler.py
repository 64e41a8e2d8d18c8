"""Cut a picture of any size into windows and join the answers without a seam.

Rule: every pixel gets an answer at the picture's own size, whatever the size is.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from masksmith.models.unet import UNet, to_probabilities
from masksmith.planning import probe

# Neighbouring windows share a quarter of their side: as much as the smooth weights need to fade.
_OVERLAP = 0.25


def predict(network: UNet, picture_CHW: Tensor, tile_px: int, precision: str, *, overlapping: bool = False) -> Tensor:
    """Class probabilities float32 (K, H, W) on the processor, for a standardised picture.

    Pictures up to ``tile_px`` a side are predicted whole, larger ones by overlapping windows whose
    answers are averaged with weights that fall off towards the border. With ``overlapping`` each class
    has a probability of its own.
    """
    _, height, width = picture_CHW.shape
    tops, lefts = starts(height, tile_px), starts(width, tile_px)
    if len(tops) == len(lefts) == 1:
        return _predict_window(network, picture_CHW, precision, overlapping).cpu()
    num_classes = network.num_classes if overlapping else max(2, network.num_classes)
    total = torch.zeros(num_classes, height, width)
    weights = torch.zeros(height, width)
    for top in tops:
        for left in lefts:
            window = picture_CHW[:, top : top + tile_px, left : left + tile_px]
            weight = _weight(window.shape[-2], window.shape[-1])
            place = (slice(top, top + window.shape[-2]), slice(left, left + window.shape[-1]))
            total[:, place[0], place[1]] += _predict_window(network, window, precision, overlapping).cpu() * weight
            weights[place] += weight
    return total.div_(weights)


def starts(side: int, tile_px: int) -> list[int]:
    """Where windows begin along one side: evenly spread, overlapping by a quarter at least.

    >>> starts(512, 512), starts(1000, 512)
    ([0], [0, 244, 488])
    """
    if side <= tile_px:
        return [0]
    count = math.ceil((side - tile_px) / (tile_px * (1 - _OVERLAP))) + 1
    return [round(i * (side - tile_px) / (count - 1)) for i in range(count)]


def _weight(height: int, width: int) -> Tensor:
    """A bell over the window, (H, W), never 0."""
    y, x = (torch.sin(math.pi * (torch.arange(n) + 0.5) / n).clamp(min=1e-3) for n in (height, width))
    return y[:, None] * x[None, :]


def _predict_window(network: UNet, window_CHW: Tensor, precision: str, overlapping: bool) -> Tensor:
    device = next(network.parameters()).device
    x_BCHW = window_CHW.unsqueeze(0).to(device)
    height, width = window_CHW.shape[-2:]
    if network.padding == "valid":
        x_BCHW = _mirror(network, x_BCHW)
    with torch.inference_mode(), probe.autocast(device, precision):
        logits: Tensor = network(x_BCHW.contiguous(memory_format=torch.channels_last))
    return to_probabilities(logits, overlapping=overlapping)[0, :, :height, :width]


def _mirror(network: UNet, x_BCHW: Tensor) -> Tensor:
    """Mirror the border so that a "valid" network answers for every pixel (the paper's figure 2)."""
    margins = []
    for side in x_BCHW.shape[-1:-3:-1]:
        needed = next(
            n
            for n in range(side, 16 * (side + network.smallest_input))
            if network.is_exact(n) and network.output_size(n) >= side
        )
        before = (needed - network.output_size(needed)) // 2
        margins += [before, needed - side - before]
    while max(margins):  # a mirror reaches no further than the picture itself
        limits = [min(m, x_BCHW.shape[-1 - i // 2] - 1) for i, m in enumerate(margins)]
        if not max(limits):
            return F.pad(x_BCHW, margins, mode="replicate")
        x_BCHW = F.pad(x_BCHW, limits, mode="reflect")
        margins = [m - done for m, done in zip(margins, limits, strict=True)]
    return x_BCHW
