"""Pins down the tiler: the joined answer is that for the whole picture, or fades where it cannot be."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from masksmith.inference import tiler, tiling
from masksmith.inference.tiling import Tiling
from masksmith.models.field import context_px
from masksmith.models.unet import UNet

F32 = npt.NDArray[np.float32]
WHOLE = Tiling(10**6, 0)

# Every option of the network that leaves a pixel's answer to a part of the picture.
EXACT: dict[str, dict[str, Any]] = {
    "plain": {},
    "one level": {"depth": 1},
    "deep": {"depth": 4},
    "one convolution": {"convs_per_block": 1},
    "batch norm": {"norm": "batch"},
    "layer norm": {"norm": "layer"},
    "residual": {"residual": True},
    "bilinear": {"up": "bilinear"},
    "nearest": {"up": "nearest"},
    "pixelshuffle": {"up": "pixelshuffle"},
    "keep channels": {"up_channels": "keep"},
    "attention gates": {"attention": True},
    "add": {"skip": "add"},
    "no skips": {"skip": "none"},
    "stem 2": {"stem": 2},
    "stem 4": {"stem": 4, "depth": 2},
    "valid": {"padding": "valid"},
    "valid, one convolution": {"padding": "valid", "convs_per_block": 1},
    "deep supervision": {"deep_supervision": True},
    "one logit": {"num_classes": 1},
}
BLENDED: dict[str, dict[str, Any]] = {
    "instance norm": {"norm": "instance"},
    "group norm": {"norm": "group"},
    "squeeze and excitation": {"squeeze_excite": True},
    "group norm without padding": {"norm": "group", "padding": "valid"},
}


def tiny(**options: Any) -> UNet:  # noqa: ANN401
    """A network whose norms have seen something, and whose logits differ from place to place."""
    torch.manual_seed(0)
    network = UNet(**{"in_channels": 2, "num_classes": 3, "depth": 3, "width": 4, "norm": None} | options)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, torch.nn.Conv2d | torch.nn.ConvTranspose2d):
                torch.nn.init.kaiming_uniform_(module.weight, nonlinearity="relu")
        for _ in range(3 if options.get("norm") == "batch" else 0):
            network(torch.randn(2, 2, 64, 64))
    return network.eval()


def picture(height: int, width: int, seed: int = 0) -> F32:
    """Standardised pixels (H, W, 2)."""
    return np.random.default_rng([height, width, seed]).standard_normal((height, width, 2), np.float32)


def logits(network: UNet) -> tiler.Answer:
    """The network's answer without softmax, so that differences are not squeezed."""

    def answer(x_BCHW: Tensor) -> F32:
        with torch.inference_mode():
            out = network(x_BCHW)
        assert isinstance(out, Tensor)
        return out.numpy()

    return answer


def joined(network: UNet, x: F32, cut: Tiling, answer: tiler.Answer) -> F32:
    size = (x.shape[0], x.shape[1])
    return tiler.whole(size, tiler.blocks(network, size, tiler.part_of(x), cut, answer))


def probabilities(network: UNet, x: F32, cut: Tiling = WHOLE) -> F32:
    return joined(network, x, cut, tiler.torch_answer(network, "fp32"))


@pytest.mark.parametrize("name", EXACT)
@settings(max_examples=8)
@given(size=st.tuples(st.integers(1, 120), st.integers(1, 120)), tile=st.integers(2, 9), batch=st.integers(1, 3))
def test_tiled_equals_whole(name: str, size: tuple[int, int], tile: int, batch: int) -> None:
    network = tiny(**EXACT[name])
    context = 0 if network.padding == "valid" else context_px(network)
    assert context is not None
    stride = 2 ** (len(network.channels) - 1) * network.stem
    x = picture(*size)
    whole = joined(network, x, WHOLE, logits(network))
    tiled = joined(network, x, Tiling(tile * stride, context, batch=batch), logits(network))
    assert whole.shape == (network.num_classes, *size)
    np.testing.assert_allclose(tiled, whole, rtol=0, atol=1e-4 * max(1.0, float(np.abs(whole).max())))


@pytest.mark.parametrize("name", [n for n, o in EXACT.items() if o.get("padding") != "valid"])
def test_one_stride_less_of_context_would_not_do(name: str) -> None:
    """The context is no wider than it has to be: with one stride less some answer changes."""
    network = tiny(**EXACT[name])
    context, stride = context_px(network) or 0, network.stride
    cut, less = Tiling(2 * stride, context), Tiling(2 * stride, context - stride)
    found = [False, False]
    for seed in range(8):  # a maximum hides what is not the largest
        x = picture(6 * stride + 2 * context, 4 * stride, seed)
        whole = joined(network, x, WHOLE, logits(network))
        for place, tried in enumerate((cut, less)):
            found[place] |= bool(np.abs(joined(network, x, tried, logits(network)) - whole).max() > 1e-4)
    assert found == [False, True]


@pytest.mark.parametrize("name", BLENDED)
def test_what_depends_on_the_whole_picture_is_faded(name: str) -> None:
    network = tiny(**BLENDED[name])
    assert context_px(network) is None
    cut = tiling.choose(network, "fp32", 10**6)
    assert cut.blend
    x = picture(3 * cut.tile_px, cut.tile_px + 10)
    whole, tiled = probabilities(network, x), probabilities(network, x, cut)
    assert not np.array_equal(whole, tiled)
    assert np.abs(whole - tiled).mean() < 0.03


@given(st.tuples(st.integers(1, 300), st.integers(1, 300)), st.integers(2, 60), st.integers(0, 2), st.integers(1, 3))
def test_weights_of_faded_windows_sum_to_1(size: tuple[int, int], tile: int, context: int, batch: int) -> None:
    network = tiny(norm="instance", width=2, depth=1)
    cut = Tiling(4 * tile, context * tile, blend=True, batch=batch)

    def ones(x_BCHW: Tensor) -> F32:
        return np.ones((len(x_BCHW), 1, *x_BCHW.shape[-2:]), np.float32)

    found = joined(network, picture(*size), cut, ones)
    np.testing.assert_allclose(found, np.ones((1, *size)), rtol=0, atol=1e-5)


@given(st.integers(1, 200), st.integers(1, 200), st.integers(1, 80), st.booleans())
def test_blocks_cover_the_picture_once_from_the_top(height: int, width: int, tile: int, blend: bool) -> None:
    network = tiny(depth=1)
    x, cut = picture(height, width), Tiling(4 * tile, tile, blend=blend)
    seen = np.zeros((height, width), int)
    tops = []
    for block in tiler.blocks(
        network, (height, width), lambda y, x0, h, w: x[y : y + h, x0 : x0 + w], cut, logits(network)
    ):
        _, h, w = block.probabilities_KHW.shape
        seen[block.y : block.y + h, block.x : block.x + w] += 1
        tops.append(block.y)
    assert (seen == 1).all()
    assert tops == sorted(tops)


@given(st.integers(1, 80), st.integers(1, 80), st.sampled_from([8, 32, 1000]), st.sampled_from([1, 2, 5]))
def test_probabilities_sum_to_1_at_the_pictures_own_size(height: int, width: int, tile: int, classes: int) -> None:
    network = tiny(num_classes=classes)
    found = probabilities(network, picture(height, width), Tiling(tile, context_px(network) or 0))
    assert found.shape == (max(2, classes), height, width)
    assert found.dtype == np.float32
    assert found.min() >= 0
    np.testing.assert_allclose(found.sum(axis=0), 1, rtol=0, atol=1e-5)


def test_one_logit_is_the_probability_of_the_second_class() -> None:
    network, x = tiny(num_classes=1), picture(20, 20)
    expected = torch.from_numpy(joined(network, x, WHOLE, logits(network))).sigmoid().numpy()
    np.testing.assert_allclose(probabilities(network, x)[1:], expected, rtol=1e-5)


@pytest.mark.parametrize(
    "options", [{"depth": 1}, {"depth": 2}, {"depth": 3}, {"depth": 3, "convs_per_block": 1}], ids=str
)
def test_valid_padding_answers_at_every_size(options: dict[str, Any]) -> None:
    network = tiny(padding="valid", width=2, **options)
    for side in (*range(1, 42), 57, 64):
        assert probabilities(network, picture(side, 30)).shape == (3, side, 30)
    for size in ((1, 1), (1, 60), (60, 1), (2, 3), (100, 33)):
        assert probabilities(network, picture(*size), Tiling(40, 0)).shape == (3, *size)


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 3))
def test_valid_padding_answers_lie_over_their_pixels(height: int, width: int, depth: int) -> None:
    # The finest skip alone, without context: the answer must be the pixel's own, not a neighbour's.
    network = tiny(padding="valid", depth=depth, width=2)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, torch.nn.Conv2d) and module.kernel_size == (3, 3):
                middle = module.weight[..., 1, 1].clone()
                module.weight.zero_()[..., 1, 1] = middle
        for level in network.decoder:
            for parameter in level.up.parameters():  # type: ignore[union-attr]
                parameter.zero_()
    x = picture(height, width)
    found = probabilities(network, x)
    for y in {0, height // 2, height - 1}:
        for column in {0, width // 2, width - 1}:
            one = probabilities(network, x[y : y + 1, column : column + 1])
            np.testing.assert_allclose(found[:, y, column], one[:, 0, 0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("most_bytes", [10**5, 10**7, 10**9])
@pytest.mark.parametrize("options", [{}, {"norm": "instance"}, {"padding": "valid"}, {"stem": 2, "depth": 5}], ids=str)
def test_windows_are_multiples_of_the_stride_and_exact_where_memory_allows(
    options: dict[str, Any], most_bytes: int
) -> None:
    network = tiny(**options)
    cut = tiling.choose(network, "fp32", most_bytes)
    if network.padding == "same":
        assert cut.tile_px % network.stride == cut.context_px % network.stride == 0
        assert cut.tile_px >= 2 * cut.context_px
    if most_bytes == 10**9:
        assert cut.blend == (options.get("norm") == "instance")
        assert 1000 < cut.tile_px <= 2048


def test_prediction_leaves_the_mode_alone() -> None:
    network = tiny()
    probabilities(network, picture(9, 9))
    assert not network.training


def test_an_error_while_reading_ahead_is_raised() -> None:
    network = tiny()

    def broken(y: int, x: int, height: int, width: int) -> F32:
        if y > 60:
            raise ValueError("no more of it")
        return np.zeros((height, width, 2), np.float32)

    with pytest.raises(ValueError, match="no more"):
        list(tiler.blocks(network, (200, 30), broken, Tiling(32, 16), logits(network)))
