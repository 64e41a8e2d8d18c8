"""Pins down the tiler: every pixel gets an answer, windows leave no seam, and any size comes back."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from masksmith.inference import tiler
from masksmith.models.unet import UNet


def tiny(**options: Any) -> UNet:  # noqa: ANN401
    torch.manual_seed(0)
    return UNet(**{"in_channels": 2, "num_classes": 3, "depth": 3, "width": 4, "norm": None} | options).eval()


def without_context(**options: Any) -> UNet:  # noqa: ANN401
    """A network whose answer at a pixel depends on that pixel alone: only the middle of each kernel is left."""
    network = tiny(depth=1, **options)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, torch.nn.Conv2d) and module.kernel_size == (3, 3):
                middle = module.weight[..., 1, 1].clone()
                module.weight.zero_()[..., 1, 1] = middle
    return network


def picture(height: int, width: int) -> Tensor:
    return torch.randn(2, height, width, generator=torch.Generator().manual_seed(height * 1000 + width))


@given(st.integers(1, 5000), st.integers(2, 700))
def test_windows_cover_the_side_and_overlap_by_a_quarter(side: int, tile: int) -> None:
    found = tiler.starts(side, tile)
    assert found[0] == 0
    if side <= tile:
        assert found == [0]
        return
    assert found[-1] == side - tile
    steps = [b - a for a, b in itertools.pairwise(found)]
    assert all(0 < s <= 0.75 * tile + 0.5 for s in steps)
    assert max(steps) - min(steps) <= 1


def test_windows_by_hand() -> None:
    assert tiler.starts(512, 512) == [0]
    assert tiler.starts(1000, 512) == [0, 244, 488]
    assert tiler.starts(513, 512) == [0, 1]


@given(st.integers(1, 90), st.integers(1, 90), st.integers(2, 40), st.sampled_from([1, 3]))
def test_tiled_equals_whole_for_a_network_without_context(height: int, width: int, tile: int, classes: int) -> None:
    network, x = without_context(num_classes=classes), picture(height, width)
    whole, tiled = tiler.predict(network, x, 1000, "fp32"), tiler.predict(network, x, tile, "fp32")
    assert tiled.shape == (max(2, classes), height, width)
    torch.testing.assert_close(tiled, whole, rtol=1e-4, atol=1e-5)


def test_tiled_is_close_to_whole_for_a_unet() -> None:
    network, x = tiny(), picture(200, 150)
    whole, tiled = tiler.predict(network, x, 1000, "fp32"), tiler.predict(network, x, 64, "fp32")
    assert not torch.equal(whole, tiled)  # it was tiled
    assert (whole - tiled).abs().mean() < 0.01
    assert (whole.argmax(0) == tiled.argmax(0)).float().mean() > 0.97


def test_no_seam_where_windows_meet() -> None:
    # On a constant picture the windows differ at their borders alone, and those fade out.
    network = tiny()
    tiled = tiler.predict(network, torch.ones(2, 200, 200), 64, "fp32")
    inner = tiled[:, 20:-20, 20:-20]
    assert (inner[:, 1:] - inner[:, :-1]).abs().max() < 0.05


@given(st.integers(1, 80), st.integers(1, 80), st.sampled_from([24, 32, 1000]), st.sampled_from([1, 2, 5]))
def test_probabilities_sum_to_1_at_the_pictures_own_size(height: int, width: int, tile: int, classes: int) -> None:
    found = tiler.predict(tiny(num_classes=classes), picture(height, width), tile, "fp32")
    assert found.shape == (max(2, classes), height, width)
    assert found.dtype == torch.float32
    assert found.min() >= 0
    torch.testing.assert_close(found.sum(dim=0), torch.ones(height, width), rtol=0, atol=1e-5)


def test_one_logit_is_the_probability_of_the_second_class() -> None:
    network, x = tiny(num_classes=1), picture(20, 20)
    with torch.no_grad():
        logits = network(x[None])
    assert isinstance(logits, Tensor)
    torch.testing.assert_close(tiler.predict(network, x, 1000, "fp32")[1], logits[0, 0].sigmoid())


@pytest.mark.parametrize(
    "options", [{"depth": 1}, {"depth": 2}, {"depth": 3}, {"depth": 3, "convs_per_block": 1}], ids=str
)
def test_valid_padding_answers_at_every_size(options: dict[str, Any]) -> None:
    network = tiny(padding="valid", width=2, **options)
    for side in (*range(1, 42), 57, 64):
        assert tiler.predict(network, picture(side, 30), 1000, "fp32").shape == (3, side, 30)
    for size in ((1, 1), (1, 60), (60, 1), (2, 3), (100, 33)):
        assert tiler.predict(network, picture(*size), 40, "fp32").shape == (3, *size)


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
    found = tiler.predict(network, x, 1000, "fp32")
    for y in {0, height // 2, height - 1}:
        for column in {0, width // 2, width - 1}:
            one = tiler.predict(network, x[:, y : y + 1, column : column + 1], 1000, "fp32")
            torch.testing.assert_close(found[:, y, column], one[:, 0, 0], rtol=1e-4, atol=1e-5)


def test_prediction_leaves_no_gradient_and_the_mode_alone() -> None:
    network = tiny()
    assert not tiler.predict(network, picture(9, 9), 1000, "fp32").requires_grad
    assert not network.training
