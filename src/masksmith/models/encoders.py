"""Any timm model as the contracting path of our U-Net.

Rule: nothing is downloaded unless ``pretrained=True`` was asked for.
"""

from __future__ import annotations

import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from masksmith.errors import EnvironmentFault, InputError, nearest


class TimmEncoder(nn.Module):
    """Feature maps of a timm model, finest first, one for each power of two up to its stride.

    ``channels[i]`` belongs to stride 2^i and is 0 where the model has no map of that size (the
    decoder then goes up without a skip).
    """

    def __init__(self, name: str, in_channels: int, pretrained: bool | str | Path, dropout: float) -> None:
        super().__init__()
        self.body = _create(name, in_channels, pretrained)
        info = self.body.feature_info
        by_stride: dict[int, int] = {}
        for position, reduction in enumerate(info.reduction()):
            by_stride[int(reduction)] = position  # the deepest of the maps that share a size
        deepest = max(by_stride)
        self.strides = [2**level for level in range(deepest.bit_length())]
        self.positions = [by_stride.get(stride) for stride in self.strides]
        self.channels = [0 if p is None else int(info.channels()[p]) for p in self.positions]
        self.dropout = nn.Dropout(dropout)

    def forward(self, x_BCHW: Tensor) -> list[Tensor]:
        """(B, C, H, W) -> one map a stride; empty tensors where the model has none."""
        maps = self.body(x_BCHW)
        features: list[Tensor] = []
        for channels, position, stride in zip(self.channels, self.positions, self.strides, strict=True):
            if position is None:
                features.append(x_BCHW.new_empty(0))
                continue
            x = maps[position]
            if x.shape[1] != channels and x.shape[-1] == channels:  # Swin and others answer NHWC
                x = x.permute(0, 3, 1, 2)
            wanted = [-(-side // stride) for side in x_BCHW.shape[-2:]]
            features.append(x if list(x.shape[-2:]) == wanted else F.interpolate(x, size=wanted))
        features[-1] = self.dropout(features[-1])
        return features


# Transformers are made for one picture size unless told otherwise, each family by its own word.
_SIZE_OPTIONS: tuple[dict[str, Any], ...] = ({}, {"dynamic_img_size": True}, {"strict_img_size": False})


def _create(name: str, in_channels: int, pretrained: bool | str | Path) -> Any:  # noqa: ANN401 - timm has no types
    import timm

    if name not in timm.list_models():
        guess = nearest(name, timm.list_models())
        raise InputError(
            where=f'UNet(encoder="{name}")',
            expected="the name of a timm model",
            received="a name that timm does not know",
            remedy=f'did you mean "{guess}"' if guess else "timm.list_models() lists them",
        )
    options: dict[str, Any] = {"features_only": True, "in_chans": in_channels, "pretrained": pretrained is True}
    if pretrained is True:
        _check_download(name)
    elif pretrained:
        # timm adapts the first convolution to in_chans itself when it loads the weights.
        options |= {"pretrained": True, "pretrained_cfg_overlay": {"file": str(_weights_file(pretrained))}}
    reason = ""
    for size_option in _SIZE_OPTIONS:
        try:
            body = timm.create_model(name, **options, **size_option)
            with torch.inference_mode():
                body.eval()(torch.zeros(1, in_channels, 96, 64))
            return body.train()
        except Exception as error:  # timm raises whatever its models raise
            reason = reason or (str(error).splitlines() or [type(error).__name__])[0]
    raise InputError(
        where=f'UNet(encoder="{name}")',
        expected="a timm model that gives feature maps of any size"
        + (" and weights that fit it" if pretrained else ""),
        received=reason,
        remedy='choose a convolutional one, such as "resnet18"' + (", or other weights" if pretrained else ""),
    )


def _weights_file(pretrained: str | Path | bool) -> Path:
    path = Path(str(pretrained))
    if path.is_file() and path.suffix == ".safetensors":
        return path
    raise InputError(
        where=f'UNet(pretrained="{path}")',
        expected="a .safetensors file with the encoder's weights",
        received="another kind of file" if path.is_file() else "no such file",
        remedy="save them once with safetensors.torch.save_file(timm_model.state_dict(), path)",
    )


def _check_download(name: str) -> None:
    """Ask once for the host of the weights, since its client repeats in vain for a minute."""
    import timm
    from huggingface_hub import constants, try_to_load_from_cache

    config = timm.get_pretrained_cfg(name)
    reason = "a model without published weights"
    if config is not None and config.has_weights:
        if config.hf_hub_id and isinstance(try_to_load_from_cache(config.hf_hub_id, "model.safetensors"), str):
            return
        try:
            urllib.request.urlopen(constants.ENDPOINT, timeout=5).close()  # noqa: S310 - https, or what the person set
            return
        except urllib.error.HTTPError:
            return  # it answers, which is all that was asked
        except OSError:
            reason = "no network connection"
    raise EnvironmentFault(
        where=f'UNet(encoder="{name}", pretrained=True)',
        expected="weights to download",
        received=reason,
        remedy='give a local file, pretrained="weights.safetensors", or pretrained=False to start from scratch',
    )
