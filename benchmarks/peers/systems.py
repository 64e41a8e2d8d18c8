"""The peers: each network, loss, optimiser and way to predict, in one table.

Rule: what a package's own users get from its documentation, nothing tuned for a set and nothing
for a machine: fp32, eager, contiguous memory. MONAI is imported by its own peers alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import segmentation_models_pytorch as smp
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from masksmith import losses
from masksmith.models import presets
from masksmith.models.unet import UNet, UpConv2x2

IGNORED = 255
# The crop of MONAI's windows at prediction, and of everybody's training.
CROP_PX = 256

Loss = Callable[[Tensor, Tensor], Tensor]
Predict = Callable[[nn.Module, Tensor, int], Tensor]


@dataclass(frozen=True)
class Peer:
    """One system: ``network(channels, classes, crop_px)``, its loss for that many classes, and the rest."""

    network: Callable[[int, int, int], nn.Module]
    loss: Callable[[int], Loss]
    optimizer: type[torch.optim.Optimizer]
    lr: float
    batch_size: int
    predict: Predict


def _smp(encoder: str) -> Callable[[int, int, int], nn.Module]:
    # encoder_weights=None: none of the systems starts from other people's pictures.
    return lambda channels, classes, crop_px: smp.Unet(
        encoder, encoder_weights=None, in_channels=channels, classes=classes
    )


def _basic_unet(channels: int, classes: int, _crop_px: int) -> nn.Module:
    from monai.networks.nets import BasicUNet

    network: nn.Module = BasicUNet(spatial_dims=2, in_channels=channels, out_channels=classes)
    return network


def _dynunet(channels: int, classes: int, crop_px: int) -> nn.Module:
    """As deep as the rule of MONAI's DynUNet tutorial makes it: halved while 8 pixels are left."""
    from monai.networks.nets import DynUNet

    strides, side = [1], crop_px
    while side >= 8:
        strides.append(2)
        side //= 2
    kernels = [3] * len(strides)
    network: nn.Module = DynUNet(2, channels, classes, kernels, strides, strides[1:])
    return network


def _preset(name: str) -> Callable[[int, int, int], nn.Module]:
    return lambda channels, classes, crop_px: plain(presets.build(name, channels, classes))


def plain(network: UNet) -> UNet:
    """The network as tutorials have it: the same weights, torch's own transposed convolution."""
    for module in network.modules():
        if isinstance(module, UpConv2x2):
            module.__class__ = nn.ConvTranspose2d
    return network


def _smp_loss(_classes: int) -> Loss:
    dice = smp.losses.DiceLoss("multiclass", ignore_index=IGNORED)
    return lambda logits, target: F.cross_entropy(logits, target, ignore_index=IGNORED) + dice(logits, target)


def _monai_loss(classes: int) -> Loss:
    """DiceCELoss(to_onehot_y=True, softmax=True), which has no ignored pixels, with them left out of both sums."""
    from monai.losses import DiceLoss

    overlap = DiceLoss()

    def loss(logits: Tensor, target: Tensor) -> Tensor:
        counted_B1HW = (target != IGNORED).unsqueeze(1)
        one_hot = F.one_hot(target.where(counted_B1HW[:, 0], 0), classes).movedim(-1, 1)
        dice: Tensor = overlap(logits.softmax(dim=1) * counted_B1HW, one_hot * counted_B1HW)
        return dice + F.cross_entropy(logits, target, ignore_index=IGNORED)

    return loss


def _ours(expression: str) -> Callable[[int], Loss]:
    return lambda classes: losses.build(expression)


def _whole(network: nn.Module, x_BCHW: Tensor, _crop_px: int) -> Tensor:
    """The picture in one piece, padded to a multiple of 32, which five levels need."""
    height, width = x_BCHW.shape[-2:]
    padded = F.pad(x_BCHW, (0, -width % 32, 0, -height % 32), mode="replicate")
    logits: Tensor = network(padded)
    return logits[..., :height, :width]


def _sliding(network: nn.Module, x_BCHW: Tensor, crop_px: int) -> Tensor:
    from monai.inferers import sliding_window_inference

    logits: Tensor = sliding_window_inference(x_BCHW, (crop_px, crop_px), 4, network)  # type: ignore[assignment]
    return logits


_ADAM, _ADAMW = torch.optim.Adam, torch.optim.AdamW

PEERS: dict[str, Peer] = {
    "smp-resnet18": Peer(_smp("resnet18"), _smp_loss, _ADAMW, 1e-3, 8, _whole),
    "smp-resnet34": Peer(_smp("resnet34"), _smp_loss, _ADAMW, 1e-3, 8, _whole),
    "smp-mobilenet_v2": Peer(_smp("mobilenet_v2"), _smp_loss, _ADAMW, 1e-3, 8, _whole),
    "monai-basicunet": Peer(_basic_unet, _monai_loss, _ADAM, 1e-3, 8, _sliding),
    "monai-dynunet": Peer(_dynunet, _monai_loss, _ADAM, 1e-3, 8, _sliding),
    # 31 million parameters: with batches of 8 two cores would make 20 steps in 5 minutes.
    "classic": Peer(_preset("classic"), _ours("ce"), _ADAM, 1e-3, 2, _whole),
    "aerial": Peer(_preset("aerial"), _ours("dice"), _ADAM, 5e-5, 2, _whole),
}
