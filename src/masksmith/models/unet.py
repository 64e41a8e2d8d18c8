"""The U-Net of masksmith, readable from top to bottom: blocks, encoder, decoder, network.

    picture ─► block ───────────── skip ─────────────► block ─► 1×1 ─► logits
                 ▼ pool                                  ▲ up
               block ───────────── skip ─────────────► block
                 ▼ pool                                  ▲ up
               block (bottleneck) ───────────────────────┘

Source: Ronneberger, Fischer and Brox, "U-Net: Convolutional Networks for Biomedical Image
Segmentation", MICCAI 2015.  Rule: nothing here reads data, files or settings.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from masksmith.errors import InputError, unknown_name

Norm = Literal["batch", "instance", "group", "layer"]
Up = Literal["transpose", "bilinear", "nearest", "pixelshuffle"]
Skip = Literal["concat", "add", "none"]
Padding = Literal["same", "valid"]


STEMS = (1, 2, 4)


class ChannelNorm(nn.Module):
    """Layer normalisation over the channels of each pixel: (B, C, H, W) -> (B, C, H, W)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Normalise each pixel."""
        out: Tensor = self.norm(x_BCHW.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return out


ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": lambda: nn.ReLU(inplace=True),
    "leaky_relu": lambda: nn.LeakyReLU(0.01, inplace=True),
    "elu": lambda: nn.ELU(inplace=True),
    "gelu": nn.GELU,
    "silu": lambda: nn.SiLU(inplace=True),
    "mish": lambda: nn.Mish(inplace=True),
}

NORMS: dict[str, Callable[[int], nn.Module]] = {
    "batch": nn.BatchNorm2d,
    "instance": lambda channels: nn.InstanceNorm2d(channels, affine=True),
    # 16 channels a group, as in Wu and He 2018, fewer where the width does not divide by 16.
    "group": lambda channels: nn.GroupNorm(
        max(g for g in range(1, max(1, channels // 16) + 1) if channels % g == 0), channels
    ),
    "layer": ChannelNorm,
}


class SqueezeExcite(nn.Module):
    """Weigh each channel by what the whole picture holds (Hu et al. 2018): same shape out."""

    def __init__(self, channels: int, reduction: int = 8) -> None:
        super().__init__()
        inner = max(4, channels // reduction)
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, inner, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(inner, channels, 1),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Scale each channel by its gate, 0 … 1."""
        out: Tensor = x * self.gate(x)
        return out


class AttentionGate(nn.Module):
    """Let the coarser level choose what passes a skip (Oktay et al. 2018).

    (skip (B, S, H, W), coarse (B, C, H, W)) -> skip weighted by a (B, 1, H, W) gate in 0 … 1.
    """

    def __init__(self, skip_channels: int, coarse_channels: int) -> None:
        super().__init__()
        inner = max(1, skip_channels // 2)
        self.from_skip = nn.Conv2d(skip_channels, inner, 1)
        self.from_coarse = nn.Conv2d(coarse_channels, inner, 1)
        self.gate = nn.Conv2d(inner, 1, 1)

    def forward(self, skip: Tensor, coarse: Tensor) -> Tensor:
        """Weigh the skip."""
        gate = torch.sigmoid(self.gate(F.relu(self.from_skip(skip) + self.from_coarse(coarse))))
        return skip * gate


@dataclass(frozen=True, kw_only=True)
class Style:
    """How every block and step of one network is made: one value instead of nine arguments."""

    convs: int = 2
    norm: Norm | None = "batch"
    activation: str = "relu"
    padding: Padding = "same"
    residual: bool = False
    squeeze_excite: bool = False
    up: Up = "transpose"
    skip: Skip = "concat"
    attention: bool = False


class Block(nn.Module):
    """``convs`` times (3×3 convolution, norm, activation): (B, in, H, W) -> (B, out, H', W').

    H' = H with "same" padding and H - 2 * convs with "valid". With ``residual`` the (projected,
    centre-cropped) input is added before the last activation (He et al. 2016).
    """

    def __init__(self, in_channels: int, out_channels: int, style: Style) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for i in range(style.convs):
            layers.append(
                nn.Conv2d(
                    in_channels if i == 0 else out_channels,
                    out_channels,
                    3,
                    padding=1 if style.padding == "same" else 0,
                )
            )
            if style.norm is not None:
                layers.append(NORMS[style.norm](out_channels))
            if i < style.convs - 1 or not style.residual:
                layers.append(ACTIVATIONS[style.activation]())
        if style.squeeze_excite:
            layers.append(SqueezeExcite(out_channels))
        self.body = nn.Sequential(*layers)
        self.shortcut: nn.Module | None = None
        if style.residual:
            self.shortcut = nn.Identity() if in_channels == out_channels else nn.Conv2d(in_channels, out_channels, 1)
            self.last = ACTIVATIONS[style.activation]()

    def forward(self, x: Tensor) -> Tensor:
        """Convolve, and add the input if residual."""
        out: Tensor = self.body(x)
        if self.shortcut is not None:
            out = self.last(out + center_crop(self.shortcut(x), out))
        return out


class UpConv2x2(nn.ConvTranspose2d):
    """The 2×2 up-convolution with stride 2: (B, in, H, W) -> (B, out, 2H, 2W).

    Its windows do not overlap, so it equals a 1×1 convolution to 4 * out channels followed by
    depth-to-space, which processors run faster, above all backwards. The weights are those of
    ``nn.ConvTranspose2d(in, out, 2, stride=2)``.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, 2, stride=2)

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:  # noqa: ARG002 - torch's signature
        """Equal to ``nn.ConvTranspose2d.forward``; ``output_size`` is fixed and not looked at."""
        if x.device.type != "cpu":
            return super().forward(x)
        # Exporters, who trace without gradients, know depth-to-space as one operation.
        if not torch.is_grad_enabled() or not x.is_contiguous(memory_format=torch.channels_last):
            weight = self.weight.permute(1, 2, 3, 0).reshape(4 * self.out_channels, self.in_channels, 1, 1)
            bias = None if self.bias is None else self.bias.repeat_interleave(4)
            return F.pixel_shuffle(F.conv2d(x, weight, bias), 2)
        # The channels of an output pixel side by side, so that whole pixels are moved: backwards up to three times as fast.
        weight = self.weight.permute(2, 3, 1, 0).reshape(4 * self.out_channels, self.in_channels, 1, 1)
        bias = None if self.bias is None else self.bias.repeat(4)
        x_BHWK = F.conv2d(x, weight, bias).permute(0, 2, 3, 1)
        rows = x_BHWK.reshape(*x_BHWK.shape[:3], 2, 2, self.out_channels).transpose(2, 3)
        return rows.flatten(3, 4).flatten(1, 2).permute(0, 3, 1, 2)


class Resample(nn.Module):
    """1×1 convolution, then ×2 by interpolation. (The two commute; this order costs a quarter.)"""

    def __init__(self, in_channels: int, out_channels: int, mode: Literal["bilinear", "nearest"]) -> None:
        super().__init__()
        self.project = nn.Conv2d(in_channels, out_channels, 1)
        self.mode = mode

    def forward(self, x: Tensor) -> Tensor:
        """Project, then enlarge."""
        return F.interpolate(self.project(x), scale_factor=2, mode=self.mode)


UPS: dict[str, Callable[[int, int], nn.Module]] = {
    "transpose": UpConv2x2,
    "bilinear": lambda i, o: Resample(i, o, "bilinear"),
    "nearest": lambda i, o: Resample(i, o, "nearest"),
    "pixelshuffle": lambda i, o: nn.Sequential(nn.Conv2d(i, 4 * o, 1), nn.PixelShuffle(2)),
}


class Encoder(nn.Module):
    """The contracting path: one feature map a level, finest first, each half the size of the last.

    ``channels[i]`` and ``strides[i]`` describe level i; the last level is the bottleneck.
    """

    def __init__(self, in_channels: int, channels: Sequence[int], style: Style, dropout: float = 0.0) -> None:
        super().__init__()
        self.channels = list(channels)
        self.strides = [2**level for level in range(len(channels))]
        self.blocks = nn.ModuleList(
            Block(i, o, style) for i, o in zip([in_channels, *channels], channels, strict=False)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, x_BCHW: Tensor) -> list[Tensor]:
        """(B, in_channels, H, W) -> one map a level."""
        features: list[Tensor] = []
        for level, block in enumerate(self.blocks):
            x_BCHW = block(x_BCHW if level == 0 else F.max_pool2d(x_BCHW, 2))
            features.append(x_BCHW)
        features[-1] = self.dropout(features[-1])
        return features


class UpLevel(nn.Module):
    """One step up: up-convolve the coarser map, join the skip, run a block."""

    def __init__(self, coarse: int, skip: int, out: int, up_channels: int, style: Style) -> None:
        super().__init__()
        self.join: Skip = style.skip if skip else "none"
        if self.join == "add":
            up_channels = skip
        self.up = UPS[style.up](coarse, up_channels)
        self.gate = AttentionGate(skip, up_channels) if style.attention and self.join != "none" else None
        self.block = Block(up_channels + (skip if self.join == "concat" else 0), out, style)

    def forward(self, coarse: Tensor, skip: Tensor | None) -> Tensor:
        """(B, coarse, H, W) and the skip (B, skip, 2H, 2W) -> (B, out, 2H, 2W)."""
        x: Tensor = self.up(coarse)
        if skip is not None and self.join != "none":
            skip = center_crop(skip, x)
            if self.gate is not None:
                skip = self.gate(skip, x)
            x = torch.cat([skip, x], dim=1) if self.join == "concat" else x + skip
        out: Tensor = self.block(x)
        return out


class UNet(nn.Module):
    """U-Net: (B, in_channels, H, W) pictures -> (B, num_classes, H, W) logits.

    Args:
        in_channels: channels of the picture, 1 or more.
        num_classes: channels of the output: 1 for two classes by a sigmoid, else one a class for
            a softmax.
        depth: number of resolutions; the coarsest is 2^(depth - 1) times smaller.
        width: channels at full resolution, doubled at each step down. With ``encoder`` the
            decoder has at most width * stride channels at each stride.
        convs_per_block: 3×3 convolutions at each resolution, on either side.
        norm: "batch", "instance", "group", "layer" (over the channels of a pixel) or None.
        activation: one of ``ACTIVATIONS``.
        up: "transpose" (2×2, stride 2), "bilinear", "nearest" or "pixelshuffle".
        up_channels: "halve" (the up-convolution makes as many channels as the level it goes to)
            or "keep" (as many as it comes from).
        padding: "same" (any H and W from 1 up, padded and cropped inside) or "valid" (the paper:
            the output is smaller, 572 -> 388 at depth 5).
        residual: add each block's input to its output.
        attention: attention gates on the skips.
        squeeze_excite: squeeze and excitation at the end of each block.
        dropout: probability at the end of the contracting path.
        deep_supervision: in training mode return a list of logits, finest first, one for each
            step of the decoder; in evaluation mode always the finest alone.
        skip: join skips by "concat", "add" or "none".
        stem: 1, or 2 or 4 to fold as many pixels a side into channels before the first block
            (space-to-depth) and to unfold the logits after the last: all blocks then run at a
            half or a quarter of the resolution, and none of the picture is thrown away.
        channels: the widths one by one, finest first; replaces ``depth`` and ``width``.
        encoder: name of a timm model to be the contracting path, or None for ours.
        pretrained: False, True (timm downloads the weights) or the path of a ``.safetensors``
            file with them.

    Raises:
        InputError: a value that no network can be made of, or an input of the wrong shape.
        EnvironmentFault: ``pretrained=True`` without a network connection.

    Source: Ronneberger et al. 2015; attention gates: Oktay et al. 2018; deep supervision: Lee et
    al. 2015; residual blocks: He et al. 2016.
    """

    def __init__(  # noqa: PLR0913 - the public options, each with its default, are the point
        self,
        in_channels: int = 3,
        num_classes: int = 2,
        *,
        depth: int = 5,
        width: int = 64,
        convs_per_block: int = 2,
        norm: Norm | None = "batch",
        activation: str = "relu",
        up: Up = "transpose",
        up_channels: Literal["halve", "keep"] = "halve",
        padding: Padding = "same",
        residual: bool = False,
        attention: bool = False,
        squeeze_excite: bool = False,
        dropout: float = 0.0,
        deep_supervision: bool = False,
        skip: Skip = "concat",
        stem: int = 1,
        channels: Sequence[int] | None = None,
        encoder: str | None = None,
        pretrained: bool | str | Path = False,
    ) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(depth)] if channels is None else list(channels)
        style = Style(
            convs=convs_per_block,
            norm=norm,
            activation=activation,
            padding=padding,
            residual=residual,
            squeeze_excite=squeeze_excite,
            up=up,
            skip=skip,
            attention=attention,
        )
        _check_names(style, up_channels)
        _check_stem(stem, padding)
        _check_numbers(in_channels, num_classes, widths, style, dropout)
        if pretrained and encoder is None:
            raise InputError(
                where="UNet(pretrained=…)",
                expected="an encoder that has pretrained weights",
                received="no encoder",
                remedy='name one, such as encoder="resnet18"',
            )

        self.in_channels = in_channels
        self.num_classes = num_classes
        self.padding: Padding = padding
        self.stem = stem
        self.deep_supervision = deep_supervision
        self.convs_per_block = convs_per_block
        if encoder is None:
            self.encoder: nn.Module = Encoder(in_channels * stem**2, widths, style, dropout)
            self.channels = skips = widths
        else:
            self.encoder, skips = _timm_encoder(encoder, in_channels * stem**2, pretrained, dropout, padding)
            self.channels = _decoder_widths(skips, width) if channels is None else widths
            _check_decoder(self.channels, skips, encoder)
        self.stride = stem * 2 ** (len(skips) - 1)
        """Sizes are padded inside to a multiple of this many pixels."""

        coarse = [*self.channels[:-1], skips[-1]]
        self.decoder = nn.ModuleList(
            UpLevel(
                coarse[level + 1],
                skips[level],
                self.channels[level],
                self.channels[level] if up_channels == "halve" else coarse[level + 1],
                style,
            )
            for level in reversed(range(len(skips) - 1))
        )
        self.head = nn.Conv2d(coarse[0], num_classes * stem**2, 1)
        # The finest decoder level has self.head; the bottleneck has no head of its own.
        deep = self.channels[1 : len(skips) - 1] if deep_supervision else []
        self.deep_heads = nn.ModuleList(nn.Conv2d(c, num_classes * stem**2, 1) for c in deep)

    def forward(self, x_BCHW: Tensor) -> Tensor | list[Tensor]:
        """Logits (B, num_classes, H, W); a list of them while training with deep supervision."""
        if x_BCHW.ndim != 4 or x_BCHW.shape[1] != self.in_channels:
            raise InputError(
                where="UNet input",
                expected=f"a batch (B, {self.in_channels}, H, W)",
                received=f"shape {tuple(x_BCHW.shape)}",
                remedy=f"the network was made with in_channels={self.in_channels}",
            )
        height, width = x_BCHW.shape[-2:]
        if self.padding == "same":
            x_BCHW = self._pad(x_BCHW)
        elif min(height, width) < self.smallest_input:
            raise InputError(
                where="UNet input",
                expected=f'at least {self.smallest_input} pixels a side for padding="valid"',
                received=f"{height}×{width}",
                remedy='pad the picture or use padding="same"',
            )
        logits, coarser = self._through(x_BCHW)
        if self.padding == "same":
            logits = logits[..., :height, :width]
        if not (self.deep_supervision and self.training):
            return logits
        # coarser: bottleneck first; the heads are ordered finest first and skip the bottleneck.
        deep = [self._unfold(head(f)) for head, f in zip(self.deep_heads, reversed(coarser[1:]), strict=True)]
        return [logits, *(self._cover(x, logits, 2**level) for level, x in enumerate(deep, 1))]

    def answer_exact(self, x_BCHW: Tensor) -> Tensor:
        """The logits alone, without a check or padding: for sizes that need none, as in a graph for other programs."""
        return self._through(x_BCHW)[0]

    def _through(self, x_BCHW: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The finest logits, and the maps of the decoder that each step came from, bottleneck first."""
        features: list[Tensor] = self.encoder(F.pixel_unshuffle(x_BCHW, self.stem) if self.stem > 1 else x_BCHW)
        x = features[-1]
        coarser: list[Tensor] = []
        for skip, level in zip(reversed(features[:-1]), self.decoder, strict=True):
            coarser.append(x)
            x = level(x, skip)
        return self._unfold(self.head(x)), coarser

    def _unfold(self, logits: Tensor) -> Tensor:
        """Logits at the resolution of the picture, times the stride of their level."""
        return F.pixel_shuffle(logits, self.stem) if self.stem > 1 else logits

    def _cover(self, coarse: Tensor, finest: Tensor, stride: int) -> Tensor:
        """The part of coarser logits that shows what the finest ones show."""
        height, width = (-(-side // stride) for side in finest.shape[-2:])
        if self.padding == "same":
            return coarse[..., :height, :width]
        return center_crop(coarse, coarse.new_empty(1, 1, height, width))

    def _pad(self, x_BCHW: Tensor) -> Tensor:
        """Repeat the last row and column up to a multiple of the stride, two strides at least.

        Two, because a coarsest map of a single pixel has no variance for batch and instance norm.
        """
        height, width = x_BCHW.shape[-2:]
        bottom, right = (max(2 * self.stride, -(-side // self.stride) * self.stride) - side for side in (height, width))
        return F.pad(x_BCHW, (0, right, 0, bottom), mode="replicate") if bottom or right else x_BCHW

    @property
    def smallest_input(self) -> int:
        """The smallest side in pixels that leaves one pixel of output ("valid" padding)."""
        return next(side for side in range(1, 10**6) if self.output_size(side) > 0)

    def output_size(self, side: int) -> int:
        """Side in pixels of the output for an input of ``side`` pixels; 0 or less if too small."""
        if self.padding == "same":
            return side
        shrink = 2 * self.convs_per_block
        levels = len(self.channels)
        for _ in range(levels - 1):
            side = (side - shrink) // 2
            if side < 1:
                return 0
        side -= shrink
        for _ in range(levels - 1):
            side = 2 * side - shrink if side > 0 else 0
        return side

    def is_exact(self, side: int) -> bool:
        """Whether no row is lost by pooling an odd number of them ("valid" padding)."""
        for _ in range(len(self.channels) - 1):
            side -= 2 * self.convs_per_block
            if side % 2:
                return False
            side //= 2
        return True

    @property
    def num_parameters(self) -> int:
        """How many trainable numbers the network has."""
        return sum(p.numel() for p in self.parameters() if p.requires_grad)


def center_crop(x: Tensor, like: Tensor) -> Tensor:
    """The middle of (B, C, H, W) at the height and width of ``like``."""
    top, left = ((x.shape[axis] - like.shape[axis]) // 2 for axis in (-2, -1))
    return x[..., top : top + like.shape[-2], left : left + like.shape[-1]]


def to_probabilities(logits_BKHW: Tensor, *, overlapping: bool = False) -> Tensor:
    """Class probabilities (B, K, H, W) in float32; one logit becomes the two of a sigmoid.

    Of classes that may overlap each has a sigmoid of its own.
    """
    logits_BKHW = logits_BKHW.float()
    if overlapping:
        return logits_BKHW.sigmoid()
    if logits_BKHW.shape[1] == 1:
        p = logits_BKHW.sigmoid()
        return torch.cat([1 - p, p], dim=1)
    return logits_BKHW.softmax(dim=1)


def _decoder_widths(skips: Sequence[int], width: int) -> list[int]:
    """Mirror the encoder; a resolution it does not have gets half of the one below, 16 at least."""
    widths = [skips[-1]]
    for level in reversed(range(len(skips) - 1)):
        wanted = skips[level] or max(16, widths[0] // 2)
        widths.insert(0, min(wanted, width * 2**level))
    return widths


def _timm_encoder(
    name: str, in_channels: int, pretrained: bool | str | Path, dropout: float, padding: Padding
) -> tuple[nn.Module, list[int]]:
    """A timm encoder and the channels of its maps; timm is imported only here."""
    from masksmith.models.encoders import TimmEncoder

    if padding == "valid":
        raise InputError(
            where="UNet(padding=…)",
            expected='"same" with a timm encoder',
            received='"valid"',
            remedy="leave one of the two out",
        )
    encoder = TimmEncoder(name, in_channels, pretrained, dropout)
    return encoder, encoder.channels


def _check_names(style: Style, up_channels: str) -> None:
    allowed: dict[str, tuple[str | None, Collection[str]]] = {
        "norm": (style.norm, NORMS),
        "activation": (style.activation, ACTIVATIONS),
        "up": (style.up, UPS),
        "padding": (style.padding, ("same", "valid")),
        "skip": (style.skip, ("concat", "add", "none")),
        "up_channels": (up_channels, ("halve", "keep")),
    }
    for name, (value, names) in allowed.items():
        if value not in names and not (name == "norm" and value is None):
            raise unknown_name(name, str(value), names, where=f"UNet({name}=…)")


def _check_stem(stem: int, padding: Padding) -> None:
    if stem not in STEMS or (stem > 1 and padding == "valid"):
        raise InputError(
            where="UNet(stem=…)",
            expected='1 with padding="valid"' if stem in STEMS else "one of " + ", ".join(map(str, STEMS)),
            received=str(stem),
            remedy="1 leaves the picture as it is",
        )


def _check_numbers(in_channels: int, num_classes: int, widths: Sequence[int], style: Style, dropout: float) -> None:
    counts = {
        "in_channels": in_channels,
        "num_classes": num_classes,
        "convs_per_block": style.convs,
        "depth": len(widths),
        "width": min(widths, default=1),
    }
    for name, number in counts.items():
        if number < 1:
            raise InputError(
                where=f"UNet({name}=…)",
                expected="a whole number from 1 up",
                received=str(number),
                remedy=f"give {name} a positive value",
            )
    if not 0 <= dropout < 1:
        raise InputError(
            where="UNet(dropout=…)",
            expected="a probability from 0 to below 1",
            received=str(dropout),
            remedy="0.5 is the value of the 2015 paper",
        )


def _check_decoder(channels: Sequence[int], skips: Sequence[int], encoder: str) -> None:
    if len(channels) != len(skips):
        raise InputError(
            where="UNet(channels=…)",
            expected=f'{len(skips)} widths for encoder "{encoder}"',
            received=str(len(channels)),
            remedy="give one width for each resolution, finest first",
        )
