"""Tiled against whole, for every option of the network, and beside MONAI's sliding window.

    python benchmarks/seams.py [--cases 300]      the largest difference of logits over random cases
    python benchmarks/seams.py --monai            a large picture, three ways: agreement with the whole, and time

Cases are random sizes of picture, tile, context (the computed one or up to two strides more) and batch, in
float32, networks with random weights. "Other class" counts pixels whose class differs though the two best logits
of the whole picture are further apart than rounding.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from masksmith.inference import tiler, tiling
from masksmith.inference.tiling import Tiling
from masksmith.models.field import context_px
from masksmith.models.unet import UNet

OPTIONS: dict[str, dict[str, Any]] = {
    "no norm": {"norm": None},
    "batch norm": {},
    "layer norm": {"norm": "layer"},
    "residual": {"residual": True},
    "one convolution a block": {"convs_per_block": 1},
    "three convolutions a block": {"convs_per_block": 3},
    "bilinear": {"up": "bilinear"},
    "nearest": {"up": "nearest"},
    "pixelshuffle": {"up": "pixelshuffle"},
    "up-convolutions keep channels": {"up_channels": "keep"},
    "attention gates": {"attention": True},
    "skips added": {"skip": "add"},
    "no skips": {"skip": "none"},
    "stem 2": {"stem": 2},
    "stem 4": {"stem": 4, "depth": 2},
    "valid padding": {"padding": "valid", "norm": None},
    "four levels": {"depth": 4},
    "instance norm (blended)": {"norm": "instance"},
    "group norm (blended)": {"norm": "group"},
    "squeeze and excitation (blended)": {"squeeze_excite": True},
}
_TIE = 1e-3


def made(options: dict[str, Any], width: int = 4) -> UNet:
    """A network whose norms have seen something."""
    torch.manual_seed(0)
    network = UNet(2, 3, **{"depth": 3, "width": width} | options)  # type: ignore[arg-type]
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.kaiming_uniform_(module.weight, nonlinearity="relu")
        for _ in range(3 if network.padding == "same" else 0):
            network(torch.randn(2, 2, 64, 64))
    return network.eval()


def logits(network: UNet) -> tiler.Answer:
    """The network's answer without softmax."""

    def answer(x_BCHW: Tensor) -> tiler.F32:
        with torch.inference_mode():
            return network(x_BCHW).numpy()  # type: ignore[union-attr]

    return answer


def joined(network: UNet, x_HWC: tiler.F32, cut: Tiling) -> tiler.F32:
    """The tiled logits (K, H, W)."""
    size = (x_HWC.shape[0], x_HWC.shape[1])
    return tiler.whole(size, tiler.blocks(network, size, tiler.part_of(x_HWC), cut, logits(network)))


def seams(name: str, cases: int) -> str:
    """A line of the table."""
    network, rng = made(OPTIONS[name]), np.random.default_rng(0)
    stride, context = tiling.grid_px(network), context_px(network)
    worst, other, pixels = 0.0, 0, 0
    for _ in range(cases):
        height, width = (int(n) for n in rng.integers(1, 160, 2))
        x_HWC = rng.standard_normal((height, width, 2), np.float32)
        tile, batch = stride * int(rng.integers(2, 9)), int(rng.integers(1, 5))
        if network.padding == "valid":
            cut = Tiling(tile, 0, batch=batch)
        elif context is None:
            cut = Tiling(4 * tile, tile, blend=True, batch=batch)
        else:
            cut = Tiling(tile, context + stride * int(rng.integers(0, 3)), batch=batch)
        whole, tiled = joined(network, x_HWC, Tiling(10**6, 0)), joined(network, x_HWC, cut)
        worst = max(worst, float(np.abs(whole - tiled).max()))
        first, second = np.sort(whole, axis=0)[[-1, -2]]
        other += int(((whole.argmax(0) != tiled.argmax(0)) & (first - second > _TIE)).sum())
        pixels += height * width
    return f"{name:<34} {worst:12.2e} {other:8d} of {pixels:,}"


def beside_monai(name: str, side: int = 1024) -> list[str]:
    """Agreement with the whole picture, and seconds, of masksmith's tiles and MONAI's windows."""
    from monai.inferers import sliding_window_inference

    network = made(OPTIONS[name], width=16)
    coarse = np.random.default_rng(0).standard_normal((side // 32, side // 32, 2), np.float32)
    x_HWC = coarse.repeat(32, 0).repeat(32, 1) + 0.3 * np.random.default_rng(1).standard_normal(
        (side, side, 2), np.float32
    )
    x_BCHW = torch.from_numpy(x_HWC).permute(2, 0, 1)[None].contiguous()
    cut = tiling.choose(network, "fp32", 2**27)
    window = cut.tile_px + 2 * cut.context_px

    def sliding() -> tiler.F32:
        with torch.inference_mode():
            found = sliding_window_inference(x_BCHW, (window, window), 1, network, overlap=0.5, mode="gaussian")
        return found[0].numpy()  # type: ignore[union-attr,index]

    ways: dict[str, Callable[[], tiler.F32]] = {
        "whole": lambda: joined(network, x_HWC, Tiling(10**6, 0)),
        f"masksmith, tiles of {cut.tile_px} + 2 × {cut.context_px}": lambda: joined(network, x_HWC, cut),
        f"MONAI, windows of {window}, half of each shared": sliding,
    }
    lines, whole = [f"{name}, {side}×{side}"], None
    for way, work in ways.items():
        seconds = []
        for _ in range(3):
            begun = time.perf_counter()
            found = work()
            seconds.append(time.perf_counter() - begun)
        whole = found if whole is None else whole
        same = 100 * float((found.argmax(0) == whole.argmax(0)).mean())
        lines.append(
            f"  {way:<46} {min(seconds):6.2f} s   {same:8.4f} % same   {np.abs(found - whole).max():.1e} largest"
        )
    return lines


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=300)
    parser.add_argument("--monai", action="store_true")
    chosen = parser.parse_args()
    if chosen.monai:
        for name in ("batch norm", "stem 2", "instance norm (blended)"):
            print("\n".join(beside_monai(name)), flush=True)
        return
    print(f"{'option':<34} {'difference':>12} {'other class':>8}")
    for name in OPTIONS:
        print(seams(name, chosen.cases), flush=True)


if __name__ == "__main__":
    main()
