"""The receptive field: how far around a pixel a network looks, from its structure.

Rule: never too small. Who cuts a picture into windows with so much context around them gets what the
whole picture would have given.
"""

from __future__ import annotations

from torch import nn

from masksmith.models.unet import ChannelNorm, Encoder, Resample, SqueezeExcite, UNet

Span = tuple[int, int]
"""First and last index along one axis."""

# What looks at one pixel at a time once a network is trained, besides convolutions and activations.
_POINTWISE_NORMS = (nn.BatchNorm2d, ChannelNorm)
_WHOLE_PICTURE = (nn.InstanceNorm2d, nn.GroupNorm, SqueezeExcite)


def context_px(network: UNet) -> int | None:
    """Pixels on each side of an aligned window that its output depends on, a multiple of the stride.

    The window begins and ends at multiples of ``network.stride``. None where every pixel depends on all
    of the picture (instance and group norm, squeeze and excitation), or where nobody knows (timm encoders).
    """
    if not isinstance(network.encoder, Encoder) or any(isinstance(m, _WHOLE_PICTURE) for m in network.modules()):
        return None
    stride: int = network.stride
    first, last = _Levels(network).of_output((0, stride - 1))
    return -(-max(-first, last - (stride - 1)) // stride) * stride


class _Levels:
    """Spans of the picture that spans of a level's output depend on, as the network is built."""

    def __init__(self, network: UNet) -> None:
        self.stem = network.stem
        self.reach = network.convs_per_block  # of a block: one pixel for each 3×3 convolution
        self.deepest = len(network.channels) - 1
        self.wide = _is_wide(network)

    def of_output(self, span: Span) -> Span:
        """Of pixels of the network's output, those of its input."""
        first, last = self._decoder(0, (span[0] // self.stem, span[1] // self.stem))
        return first * self.stem, last * self.stem + self.stem - 1

    def _decoder(self, level: int, span: Span) -> Span:
        if level == self.deepest:
            return self._encoder(level, span)
        first, last = span[0] - self.reach, span[1] + self.reach
        skip = self._encoder(level, (first, last))
        # Bilinear interpolation takes the nearest two; all others the one that the pixel lies in.
        coarse = ((first - 1) // 2, (last + 1) // 2) if self.wide else (first // 2, last // 2)
        up = self._decoder(level + 1, coarse)
        return min(skip[0], up[0]), max(skip[1], up[1])

    def _encoder(self, level: int, span: Span) -> Span:
        first, last = span[0] - self.reach, span[1] + self.reach
        return (first, last) if level == 0 else self._encoder(level - 1, (2 * first, 2 * last + 1))


def _is_wide(network: UNet) -> bool:
    """Whether a step up takes neighbours of the coarser pixel too."""
    return any(isinstance(m, Resample) and m.mode == "bilinear" for m in network.modules())


def unsure_px(network: UNet) -> int:
    """How many answers at each border of a "valid" network's window more of the picture around it would change.

    Interpolation lacks a neighbour there: of n such pixels the next step up makes 2n + 1. Rounded up to what is pooled.
    """
    return int(2 ** (len(network.channels) - 1)) if _is_wide(network) else 0


def margins(network: UNet, side: int) -> tuple[int, int]:
    """Pixels to mirror before and after ``side`` ones, so that a "valid" network answers for each of them."""
    needed = next(
        n
        for n in range(side, 16 * (side + network.smallest_input))
        if network.is_exact(n) and network.output_size(n) >= side
    )
    before = (needed - network.output_size(needed)) // 2
    return before, needed - side - before
