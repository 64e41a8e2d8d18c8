"""Pins down the UNet: any size in is that size out, each option changes what it says, wrong values are named."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from masksmith.errors import InputError, MasksmithError
from masksmith.models.unet import ACTIVATIONS, NORMS, UPS, AttentionGate, ChannelNorm, SqueezeExcite, UNet, UpConv2x2

SKIPS = ("concat", "add", "none")


def tiny(**options: Any) -> UNet:  # noqa: ANN401
    torch.manual_seed(0)
    return UNet(**{"in_channels": 2, "num_classes": 3, "depth": 3, "width": 4} | options)


def answer(network: UNet, x: Tensor) -> Tensor:
    out = network(x)
    assert isinstance(out, Tensor)
    return out


def picture(height: int, width: int, batch: int = 1, channels: int = 2) -> Tensor:
    return torch.randn(batch, channels, height, width, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("training", [True, False])
def test_every_side_from_1_to_70_comes_back(training: bool) -> None:
    network = tiny(depth=5).train(training)
    with torch.no_grad():
        for side in range(1, 71):
            out = answer(network, picture(side, side))
            assert out.shape == (1, 3, side, side)
            assert out.isfinite().all(), side


@given(st.integers(1, 70), st.integers(1, 70), st.integers(1, 5), st.booleans())
def test_height_and_width_are_independent(height: int, width: int, depth: int, training: bool) -> None:
    with torch.no_grad():
        assert answer(tiny(depth=depth).train(training), picture(height, width)).shape == (1, 3, height, width)


@pytest.mark.parametrize("norm", [*NORMS, None])
@pytest.mark.parametrize("training", [True, False])
def test_every_norm_takes_every_size_in_either_mode(norm: str | None, training: bool) -> None:
    network = tiny(norm=norm).train(training)
    with torch.no_grad():
        for height, width in ((1, 1), (1, 9), (8, 8), (13, 70)):
            out = answer(network, picture(height, width))
            assert out.shape == (1, 3, height, width)
            assert out.isfinite().all()


@pytest.mark.parametrize(("up", "skip", "up_channels"), list(itertools.product(UPS, SKIPS, ("halve", "keep"))))
def test_every_way_up_and_across(up: str, skip: str, up_channels: str) -> None:
    network = tiny(up=up, skip=skip, up_channels=up_channels, attention=True)
    x = picture(11, 18).requires_grad_()
    out = answer(network, x)
    assert out.shape == (1, 3, 11, 18)
    out.square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())
    assert x.grad is not None
    assert x.grad.abs().max() > 0


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_gives_another_answer_than_relu(activation: str) -> None:
    x = picture(16, 16)
    same = torch.equal(answer(tiny(activation=activation), x), answer(tiny(), x))
    assert same == (activation == "relu")


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"norm": None, "residual": True},
        {"attention": True, "squeeze_excite": True, "residual": True},
        {"deep_supervision": True},
        {"convs_per_block": 1},
        {"convs_per_block": 3, "norm": "group"},
        {"depth": 1},
        {"channels": (3, 5, 7, 9)},
        {"num_classes": 1, "in_channels": 2},
    ],
    ids=str,
)
def test_gradients_reach_every_parameter(options: dict[str, Any]) -> None:
    network = tiny(**options).train()
    out = network(picture(24, 20, batch=2))
    sum(o.square().sum() for o in (out if isinstance(out, list) else [out])).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        # A bias before a norm that takes the mean away has no influence, rightly.
        if not name.endswith("bias"):
            assert parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize("option", ["residual", "attention", "squeeze_excite"])
def test_blocks_with_an_option_have_more_and_answer_otherwise(option: str) -> None:
    plain, special = tiny(), tiny(**{option: True})
    assert special.num_parameters > plain.num_parameters
    missing = special.load_state_dict(plain.state_dict(), strict=False).missing_keys
    assert missing
    x = picture(16, 16)
    assert not torch.allclose(answer(special.eval(), x), answer(plain.eval(), x))


def test_residual_adds_the_input_of_the_block() -> None:
    network = tiny(depth=1, residual=True, norm=None, in_channels=4)
    block = network.encoder.get_submodule("blocks.0")
    for parameter in block.body.parameters():  # type: ignore[union-attr]
        nn.init.zeros_(parameter)
    x = picture(7, 7, channels=4)
    torch.testing.assert_close(block(x), x.relu())


def test_attention_gate_scales_each_pixel_between_0_and_1() -> None:
    torch.manual_seed(0)
    gate, skip = AttentionGate(4, 6), picture(5, 6, channels=4)
    share = gate(skip, picture(5, 6, channels=6)) / skip
    assert 0 < share.min() < share.max() < 1
    torch.testing.assert_close(share, share[:, :1].expand_as(share), rtol=1e-3, atol=1e-5)  # one weight a pixel
    nn.init.constant_(gate.gate.bias, -100)
    assert gate(skip, picture(5, 6, channels=6)).abs().max() < 1e-6  # shut


def test_attention_looks_at_the_coarser_level() -> None:
    torch.manual_seed(0)
    gate, skip = AttentionGate(4, 6), picture(5, 6, channels=4)
    assert not torch.allclose(gate(skip, picture(5, 6, channels=6)), gate(skip, torch.zeros(1, 6, 5, 6)))


def test_squeeze_excite_scales_each_channel_between_0_and_1() -> None:
    torch.manual_seed(0)
    x = picture(5, 6, channels=16)
    share = SqueezeExcite(16)(x) / x
    assert 0 < share.min() < share.max() < 1
    torch.testing.assert_close(share, share[..., :1, :1].expand_as(share), rtol=1e-3, atol=1e-5)


def test_skip_none_ignores_the_fine_level() -> None:
    with_skip, without = tiny(norm=None), tiny(norm=None, skip="none")
    assert without.num_parameters < with_skip.num_parameters
    summed = tiny(norm=None, skip="add")
    assert summed.num_parameters == without.num_parameters


def test_dropout_is_random_in_training_alone() -> None:
    network, x = tiny(dropout=0.5, norm=None), picture(16, 16)
    torch.manual_seed(1)
    assert not torch.equal(answer(network.train(), x), answer(network, x))
    assert torch.equal(answer(network.eval(), x), answer(network, x))
    assert torch.equal(answer(network, x), answer(tiny(norm=None).eval(), x))
    steady = tiny(norm=None).train()
    assert torch.equal(answer(steady, x), answer(steady, x))


def test_deep_supervision_gives_a_list_in_training_and_the_finest_alone_after() -> None:
    network, x = tiny(depth=4, deep_supervision=True, norm=None), picture(32, 24)
    outs = network.train()(x)
    assert isinstance(outs, list)
    assert [tuple(o.shape) for o in outs] == [(1, 3, 32, 24), (1, 3, 16, 12), (1, 3, 8, 6)]
    torch.testing.assert_close(answer(network.eval(), x), outs[0])


def test_deep_supervision_of_one_level_is_a_list_of_one() -> None:
    outs = tiny(depth=1, deep_supervision=True).train()(picture(8, 8))
    assert isinstance(outs, list)
    assert len(outs) == 1


def test_coarse_outputs_of_deep_supervision_lie_over_the_picture() -> None:
    # Whatever was padded, a coarse output must cover the same pixels as the finest one.
    network = tiny(depth=3, deep_supervision=True, norm=None).train()
    outs = network(picture(20, 20))
    assert isinstance(outs, list)
    assert [tuple(o.shape[-2:]) for o in outs] == [(20, 20), (10, 10)]
    odd = network(picture(5, 5))  # padded to 8
    assert isinstance(odd, list)
    assert [tuple(o.shape[-2:]) for o in odd] == [(5, 5), (3, 3)]


@pytest.mark.parametrize(("depth", "convs"), [(1, 2), (2, 2), (3, 1), (3, 2), (2, 3)])
def test_output_size_of_valid_padding_is_the_real_one(depth: int, convs: int) -> None:
    network = tiny(depth=depth, convs_per_block=convs, padding="valid", norm=None, width=1).eval()
    smallest = network.smallest_input
    with torch.no_grad():
        for side in range(smallest, smallest + 20):
            out = answer(network, picture(side, smallest + 3))
            assert out.shape[-2:] == (network.output_size(side), network.output_size(smallest + 3))
    assert network.output_size(smallest - 1) <= 0
    with pytest.raises(InputError, match=f"at least {smallest} pixels"):
        network(picture(smallest - 1, smallest))


def test_valid_padding_with_every_block_option() -> None:
    options = {"residual": True, "attention": True, "squeeze_excite": True, "deep_supervision": True}
    network = tiny(padding="valid", **options)
    side = network.smallest_input + 8
    assert network.train()(picture(side, side, batch=2))[0].shape[-1] == network.output_size(side)


@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last])
@given(st.integers(1, 5), st.integers(1, 5), st.integers(1, 6), st.integers(1, 6), st.integers(0, 999))
def test_up_convolution_equals_torchs(
    memory: torch.memory_format, channels: int, out: int, height: int, width: int, seed: int
) -> None:
    torch.manual_seed(seed)
    ours, theirs = UpConv2x2(channels, out).double(), nn.ConvTranspose2d(channels, out, 2, stride=2).double()
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(2, channels, height, width, dtype=torch.double).contiguous(memory_format=memory)
    weight = torch.randn(2, out, 2 * height, 2 * width, dtype=torch.double)
    results = []
    for module in (ours, theirs):
        given_x = x.clone().requires_grad_()
        y = module(given_x)
        results.append([y, *torch.autograd.grad((y * weight).sum(), [given_x, module.weight, module.bias])])
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b)


def test_channel_norm_normalises_each_pixel() -> None:
    out = ChannelNorm(8)(picture(3, 4, channels=8) * 5 + 2)
    torch.testing.assert_close(out.mean(dim=1), torch.zeros(1, 3, 4), rtol=0, atol=1e-5)
    torch.testing.assert_close(out.var(dim=1, unbiased=False), torch.ones(1, 3, 4), rtol=0, atol=1e-3)


@pytest.mark.parametrize("width", [3, 8, 16, 24, 48])
def test_group_norm_takes_any_width(width: int) -> None:
    assert answer(tiny(norm="group", width=width, depth=2), picture(8, 8)).shape == (1, 3, 8, 8)


def test_channels_replace_depth_and_width() -> None:
    network = tiny(channels=(4, 6, 10, 12))
    assert network.stride == 8
    assert answer(network, picture(9, 9)).shape == (1, 3, 9, 9)
    assert network.num_parameters == sum(p.numel() for p in network.parameters())


def test_same_answer_in_channels_last_memory() -> None:
    network, x = tiny().eval(), picture(21, 14)
    plain = answer(network, x)
    last = answer(network.to(memory_format=torch.channels_last), x.contiguous(memory_format=torch.channels_last))  # type: ignore[call-overload]
    torch.testing.assert_close(last, plain, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"norm": "bach"}, 'did you mean "batch"'),
        ({"activation": "rellu"}, 'did you mean "relu"'),
        ({"up": "transposed"}, 'did you mean "transpose"'),
        ({"up_channels": "kep"}, "keep"),
        ({"padding": "vallid"}, "valid"),
        ({"skip": "concatenate"}, "concat"),
        ({"in_channels": 0}, "in_channels"),
        ({"num_classes": 0}, "num_classes"),
        ({"depth": 0}, "depth"),
        ({"width": 0}, "width"),
        ({"convs_per_block": 0}, "convs_per_block"),
        ({"channels": (4, 0)}, "width"),
        ({"channels": ()}, "depth"),
        ({"dropout": 1.0}, "dropout"),
        ({"dropout": -0.1}, "dropout"),
        ({"pretrained": True}, "no encoder"),
        ({"encoder": "resnet18", "padding": "valid"}, "timm encoder"),
    ],
    ids=str,
)
def test_wrong_values_are_named_with_the_right_one(options: dict[str, Any], word: str) -> None:
    with pytest.raises(MasksmithError, match=word) as caught:
        tiny(**options)
    assert isinstance(caught.value, InputError)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("shape", [(2, 8, 8), (1, 3, 8, 8), (8, 8)])
def test_input_of_the_wrong_shape_is_named(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"a batch \(B, 2, H, W\)") as caught:
        tiny()(torch.zeros(shape))
    assert str(shape) in str(caught.value)
