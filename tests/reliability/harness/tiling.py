"""Pictures of any size cut into windows of any size, through networks of any structure: as the whole picture.

The whole picture's answer comes from the network alone, without anything of ours that cuts or joins.

Rule: what depends on the whole picture (instance and group norm, squeeze and excitation, encoders of timm) cannot be
the same in windows, as is documented; of it the fading alone is looked at, which must add nothing of its own.
"""

from __future__ import annotations

import copy
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from unittest import mock

import numpy as np
import numpy.typing as npt
import tifffile
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from masksmith.classes import ClassTable, make_entries
from masksmith.data.preprocessing import Preprocessing
from masksmith.images import strips
from masksmith.inference import tiler, tiling
from masksmith.inference.ensemble import Ensemble
from masksmith.inference.large import segment_large
from masksmith.inference.segmenter import Segmenter
from masksmith.inference.tiling import Tiling
from masksmith.modelfile import ModelFile
from masksmith.models import field
from masksmith.models.unet import ACTIVATIONS, UPS, UNet, to_probabilities
from masksmith.recipe import Recipe
from reliability.harness import Outcome
from reliability.harness.drawing import draw

F32 = npt.NDArray[np.float32]
Options = tuple[tuple[str, Any], ...]
# The largest difference, as a share of the largest logit: single precision adds up in another order in another window.
TOLERANCE = 1e-4
# The same computed in double precision: what is left then is no rounding.
TOLERANCE_OF_DOUBLE = 1e-6
# Of the windows of an example together: small tiles with a wide context would take seconds.
_MOST_WINDOW_PIXELS = 100_000
_FAULTS_KEPT = 20

_SIZES = st.one_of(
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.tuples(st.integers(1, 90), st.integers(1, 90)),
    st.tuples(st.integers(1, 150), st.integers(1, 150)),
    st.tuples(st.integers(1, 8), st.integers(1, 700)),
    st.tuples(st.integers(1, 700), st.integers(1, 8)),
)


def _settled(drawn: dict[str, Any]) -> Options:
    """Arguments of ``UNet`` of what goes together."""
    if drawn["padding"] == "valid":
        drawn["stem"] = 1
    widths = drawn.pop("widths")
    return tuple({**drawn, **({"channels": widths} if isinstance(widths, tuple) else dict(zip(("depth", "width"), widths, strict=True)))}.items())  # fmt: skip


NETWORKS: st.SearchStrategy[Options] = st.fixed_dictionaries(
    {
        "in_channels": st.integers(1, 3),
        "num_classes": st.integers(1, 4),
        "widths": st.one_of(
            st.tuples(st.integers(1, 4), st.integers(1, 4)).map(list),
            st.lists(st.integers(1, 8), min_size=1, max_size=4).map(tuple),
        ),
        "convs_per_block": st.integers(1, 3),
        "norm": st.sampled_from((None, "batch", "layer")),
        "activation": st.sampled_from(tuple(ACTIVATIONS)),
        "up": st.sampled_from(tuple(UPS)),
        "up_channels": st.sampled_from(("halve", "keep")),
        "padding": st.sampled_from(("same", "same", "same", "valid")),
        "residual": st.booleans(),
        "attention": st.booleans(),
        "dropout": st.sampled_from((0.0, 0.5)),
        "deep_supervision": st.booleans(),
        "skip": st.sampled_from(("concat", "add", "none")),
        "stem": st.sampled_from((1, 1, 2, 4)),
    }
).map(_settled)


@dataclass(frozen=True)
class Example:
    """What is drawn of one picture."""

    network: Options
    other: Options
    size: tuple[int, int]
    cut: str
    tile: int
    more: int
    batch: int
    texture: str
    view: str
    seed: int


@lru_cache(maxsize=256)
def built(options: Options) -> UNet:
    """A network whose norms have seen something, and whose logits differ from place to place."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        network = UNet(**dict(options))
        for module in network.modules():
            if isinstance(module, torch.nn.Conv2d | torch.nn.ConvTranspose2d):
                torch.nn.init.kaiming_uniform_(module.weight, nonlinearity="relu")
        if dict(options)["norm"] == "batch":
            side = max(64, network.smallest_input + 32)
            for _ in range(3):
                network(torch.randn(2, network.in_channels, side, side))
    return network.eval()


def logits(network: UNet, *, double: bool = False) -> tiler.Answer:
    """The network's answer without softmax, so that differences are not squeezed."""
    network = copy.deepcopy(network).double() if double else network

    def answer(x_BCHW: Tensor) -> F32:
        with torch.inference_mode():
            out: Tensor = network(x_BCHW.double() if double else x_BCHW.contiguous(memory_format=torch.channels_last))
        return out.float().numpy()

    return answer


def by_itself(network: UNet, x_HWC: F32, answer: tiler.Answer) -> F32:
    """(K, H, W) of a picture that nobody cuts; for "valid" padding mirrored at its border, as is documented."""
    height, width, _ = x_HWC.shape
    if network.padding == "valid":
        for axis, side in enumerate((height, width)):
            around = [(0, 0), (0, 0), (0, 0)]
            around[axis] = field.margins(network, side)
            x_HWC = np.pad(x_HWC, around, mode="reflect" if side > 1 else "edge")
    return answer(torch.from_numpy(np.ascontiguousarray(x_HWC.transpose(2, 0, 1)))[None])[0, :, :height, :width]


def classes(found_KHW: F32) -> tuple[npt.NDArray[np.intp], F32]:
    """The class of each pixel, and how far the best is from the next."""
    if len(found_KHW) == 1:
        found_KHW = np.concatenate([np.zeros_like(found_KHW), found_KHW])
    best = np.sort(found_KHW, axis=0)
    apart: F32 = best[-1] - best[-2]
    return found_KHW.argmax(axis=0), apart


def pixels_of(example: Example, channels: int) -> F32:
    """Standardised pixels (H, W, C)."""
    rng = np.random.default_rng(example.seed)
    height, width = example.size
    noise: F32 = rng.standard_normal((height, width, channels), np.float32)
    if example.texture == "patches":
        return noise[::7, ::7].repeat(7, axis=0).repeat(7, axis=1)[:height, :width]
    if example.texture == "one dot":
        dot = np.zeros_like(noise)
        dot[rng.integers(height), rng.integers(width)] = 5
        return dot
    return noise


def cut_of(example: Example, network: UNet) -> Tiling:
    """Where it is cut, by one of the ways that there are; windows that fade are not meant."""
    grid, context = tiling.grid_px(network), field.context_px(network)
    assert context is not None
    context = 0 if network.padding == "valid" else context
    cut = Tiling(example.tile * grid, context)
    if example.cut == "given":
        wanted = context + example.more if example.more % 2 and context else None
        cut = tiling.given(network, Tiling(256, context), example.tile * example.more + 1, wanted)
    elif example.cut == "by memory":
        found = tiling.choose(network, "fp32", 2 ** (12 + example.tile))
        cut = cut if found.blend else found
    assert not cut.blend
    while _window_pixels(network, example.size, cut) > _MOST_WINDOW_PIXELS and cut.tile_px < max(example.size):
        cut = replace(cut, tile_px=2 * cut.tile_px)
    return replace(cut, batch=example.batch)


def _window_pixels(network: UNet, size: tuple[int, int], cut: Tiling) -> int:
    return math.prod(sum(len(span.index) for span in tiling.spans(network, side, cut)) for side in size)


Pair = tuple[F32, "F32 | None", "npt.NDArray[np.integer] | None"]
"""Of the whole picture (K, H, W), of the windows, and the classes of the windows where they alone are written."""


def _joined(network: UNet, x_HWC: F32, cut: Tiling, answer: tiler.Answer) -> F32:
    size = (x_HWC.shape[0], x_HWC.shape[1])
    return tiler.whole(size, tiler.blocks(network, size, tiler.part_of(x_HWC), cut, answer))


def _windows(example: Example, _folder: Path, double: bool) -> Pair:
    network = built(example.network)
    x_HWC, answer = pixels_of(example, network.in_channels), logits(network, double=double)
    return by_itself(network, x_HWC, answer), _joined(network, x_HWC, cut_of(example, network), answer), None


def averaged(network: UNet, view: str, answer: tiler.Answer) -> tiler.Answer:
    """The mean over mirror images as :class:`Segmenter` takes it."""
    asked = SimpleNamespace(network=network, tta=view)
    return Segmenter._averaged(cast("Segmenter", asked), answer)


def _views(example: Example, _folder: Path, double: bool) -> Pair:
    """The mean over mirror images of each window, and of the picture."""
    network = built(example.network)
    x_HWC = pixels_of(example, network.in_channels)
    answer = averaged(network, example.view, logits(network, double=double))
    return by_itself(network, x_HWC, answer), _joined(network, x_HWC, cut_of(example, network), answer), None


def _from_a_row(example: Example, _folder: Path, double: bool) -> Pair:
    """Work that goes on behind a row of windows, as after a kill."""
    network = built(example.network)
    x_HWC, answer = pixels_of(example, network.in_channels), logits(network, double=double)
    cut, read = cut_of(example, network), tiler.part_of(x_HWC)
    tops = sorted({span.first for span in tiling.spans(network, example.size[0], cut)})
    start = tops[example.seed % len(tops)]
    rest = [
        replace(block, y=block.y - start)
        for block in tiler.blocks(network, example.size, read, cut, answer, start=start)
    ]
    found = tiler.whole((example.size[0] - start, example.size[1]), iter(rest))
    return by_itself(network, x_HWC, answer)[:, start:], found, None


def _less_memory(example: Example, _folder: Path, double: bool) -> Pair:
    """Windows that do not fit into the memory are cut again."""
    network = built(example.network)
    x_HWC, answer = pixels_of(example, network.in_channels), logits(network, double=double)
    # Twice the smallest window that there is, so that there always is a way.
    smallest = tiling.grid_px(network) + 2 * (field.context_px(network) or 0)
    room = 2 * math.prod(min(smallest, side) for side in example.size)

    def short(x_BCHW: Tensor) -> F32:
        if network.padding == "same" and x_BCHW.shape[2] * x_BCHW.shape[3] > room:
            raise MemoryError
        return answer(x_BCHW)

    cut = replace(cut_of(example, network), tile_px=max(example.size))
    return by_itself(network, x_HWC, answer), _joined(network, x_HWC, cut, short), None


def _likely(network: UNet, *, double: bool) -> tiler.Answer:
    """Probabilities: as :class:`Segmenter` computes them, or in double precision."""
    if not double:
        return tiler.torch_answer(network, "fp32")
    exact = logits(network, double=True)
    return lambda x_BCHW: to_probabilities(torch.from_numpy(exact(x_BCHW))).numpy()


def _segmenter(network: UNet, dtype: str, example: Example, *, double: bool) -> Segmenter:
    options = dict(example.network)
    count = options["in_channels"]
    scale = {"uint8": (120.0, 60.0), "uint16": (30_000.0, 15_000.0)}.get(dtype, (0.0, 1.0))
    table = ClassTable(make_entries("abcd"[: max(2, options["num_classes"])]))
    seen = Preprocessing(count, dtype, (scale[0],) * count, (scale[1],) * count)
    model = ModelFile(options, table, seen, Recipe(), network.state_dict())
    made = Segmenter(model, precision="fp32", network=network)
    if double:
        made.take("double", _likely(network, double=True))
    return made


def _several(example: Example, _folder: Path, double: bool) -> Pair:
    """Two networks of different strides cut alike; the mean of their probabilities is the answer."""
    shared = {key: dict(example.network)[key] for key in ("in_channels", "num_classes")}
    networks = [built(example.network), built(tuple((dict(example.other) | shared).items()))]
    both = Ensemble([_segmenter(network, "float32", example, double=double) for network in networks])
    largest = max((cut_of(example, network) for network in networks), key=lambda cut: cut.tile_px)
    both.cut(largest.tile_px)
    x_HWC = pixels_of(example, shared["in_channels"])
    each = [by_itself(network, x_HWC, _likely(network, double=double)) for network in networks]
    return (each[0] + each[1]) / np.float32(2), both.probabilities(x_HWC), None


def _large(example: Example, folder: Path, double: bool) -> Pair:
    """A file read in parts and a mask written in parts, as of a picture larger than memory."""
    network = built(example.network)
    dtype = ("uint8", "uint16", "float32")[example.more % 3]
    made = _segmenter(network, dtype, example, double=double)
    made.tiling = cut_of(example, network)
    mean, deviation = (np.float32(n[0]) for n in (made.model.preprocessing.mean, made.model.preprocessing.std))
    x_HWC = pixels_of(example, network.in_channels) * deviation + mean
    if dtype != "float32":
        x_HWC = np.clip(x_HWC, 0, np.iinfo(dtype).max).astype(np.float32)
    pixels = x_HWC.astype(dtype)
    path, out = _written(example, pixels, folder), folder / "out.tif"
    # Half of them as where a row of windows does not fit into the memory either.
    with mock.patch.object(strips, "MAX_BAND_BYTES", strips.MAX_BAND_BYTES if example.seed % 2 else 1):
        segment_large(made, path, out, overwrite=True)
    whole = by_itself(network, made.model.preprocessing.standardize(pixels), logits(network, double=double))
    left = {p.name for p in folder.iterdir()} - {path.name, out.name}
    assert not left, f"left behind: {sorted(left)}"
    mask: npt.NDArray[np.integer] = tifffile.imread(out)
    path.unlink()
    return whole, None, mask


def _written(example: Example, pixels: npt.NDArray[np.generic], folder: Path) -> Path:
    if example.more % 2 and pixels.shape[2] > 1:
        np.save(folder / "picture.npy", pixels)
        return folder / "picture.npy"
    path = folder / "picture.tif"
    layout: dict[str, Any] = {"tile": (16, 32)} if example.tile % 2 else {"rowsperstrip": 1 + example.tile}
    colour = "rgb" if pixels.shape[2] == 3 else "minisblack"
    flat = pixels[..., 0] if pixels.shape[2] == 1 else pixels
    tifffile.imwrite(path, flat, photometric=colour, planarconfig="contig" if flat.ndim == 3 else None, **layout)
    return path


def _faded(example: Example, _folder: Path, _double: bool) -> Pair:
    """Windows that agree, faded into each other, are what they agree on."""
    network = built(tuple((dict(example.network) | {"padding": "same"}).items()))  # the other kind never fades
    grid, x_HWC = tiling.grid_px(network), pixels_of(example, network.in_channels)
    context = min(example.tile, 1 + example.more % 8) * grid
    cut = Tiling(max(4 * context, example.tile * grid), context, blend=True, batch=example.batch)
    return x_HWC.transpose(2, 0, 1), _joined(network, x_HWC, cut, lambda x_BCHW: x_BCHW.numpy()), None


Way = Callable[[Example, Path, bool], Pair]
WAYS: dict[str, Way] = {
    "by windows": _windows,
    "by mean over mirror images": _views,
    "from a row on": _from_a_row,
    "with less memory": _less_memory,
    "by several networks": _several,
    "from file to file": _large,
    "faded": _faded,
}
# In turn, since what is drawn comes in flocks; how often each of twelve times.
_TURNS = ("by windows",) * 4 + ("by mean over mirror images",) + tuple(WAYS)

EXAMPLES: st.SearchStrategy[Example] = st.builds(
    Example,
    network=NETWORKS,
    other=NETWORKS,
    size=_SIZES,
    cut=st.sampled_from(("tile", "given", "by memory")),
    tile=st.integers(1, 9),
    more=st.integers(0, 40),
    batch=st.integers(1, 4),
    texture=st.sampled_from(("noise", "noise", "patches", "one dot")),
    view=st.sampled_from(("mirror", "all")),
    seed=st.integers(0, 10**6),
)


class _Tally:
    """What was counted over all examples."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ways: Counter[str] = Counter()
        self.counts: Counter[str] = Counter()
        self.networks: set[Options] = set()
        self.largest = 0.0
        self.faults: list[str] = []

    def one(self, example: Example) -> None:
        """An example, and what is found of it."""
        name = _TURNS[self.counts["examples"] % len(_TURNS)]
        self.ways[name] += 1
        self.counts["examples"] += 1
        self.networks.add(example.network)
        try:
            fault = self._judge(example, WAYS[name])
        except Exception as error:
            fault = f"{type(error).__name__}: {error}"
        if fault and len(self.faults) < _FAULTS_KEPT:
            self.faults.append(f"{name}: {fault} of {example}")

    def _judge(self, example: Example, way: Way) -> str:
        fault, far, near, wrong = _differences(way(example, self.folder, False), TOLERANCE)
        if fault:
            fault, *_, wrong = _differences(way(example, self.folder, True), TOLERANCE_OF_DOUBLE)
            self.counts["rounding"] += not fault
            far = near = 0
        self.largest = max(self.largest, far)
        self.counts["pixels"] += math.prod(example.size)
        self.counts["near"] += near
        self.counts["differing"] += wrong
        return fault


def _differences(pair: Pair, tolerance: float) -> tuple[str, float, int, int]:
    """What is wrong, the largest difference, and pixels of another class: where that is open, and where it is not."""
    whole, found, mask = pair
    if found is not None and found.shape != whole.shape:
        return f"{found.shape} in place of {whole.shape}", 0, 0, whole[0].size
    size = max(float(np.abs(whole).max()), 1e-6)
    far = 0.0 if found is None else float(np.abs(found - whole).max()) / size
    wanted, apart = classes(whole)
    differing = wanted != (mask if found is None else classes(found)[0])
    open_HW = apart <= 2 * tolerance * size
    near, wrong = int((differing & open_HW).sum()), int((differing & ~open_HW).sum())
    if far <= tolerance and not wrong:
        return "", far, near, 0
    return f"differs by {far:.2g} of the largest logit, {wrong} pixels are of another class", far, near, wrong


def check(many: int, folder: Path, seed: int = 0) -> Outcome:
    """``many`` pictures, each through a network and a cut of its own."""
    tally = _Tally(folder)
    draw(given(EXAMPLES)(tally.one), many, seed)
    counts = tally.counts
    return Outcome(
        {
            "examples": counts["examples"],
            **{way: tally.ways[way] for way in WAYS},
            "networks": len(tally.networks),
            "pixels compared": counts["pixels"],
            "largest difference of a logit, as a share of the largest": tally.largest,
            "pictures in which the network makes more of rounding": counts["rounding"],
            "pixels of another class, the two best within the tolerance": counts["near"],
            "pixels of another class": counts["differing"],
        },
        tuple(tally.faults),
    )
