"""A stem folds pixels into channels and unfolds the logits: any size, every pixel seen, a fraction of the work."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from masksmith.errors import InputError
from masksmith.models.unet import UNet


def made(stem: int, **options: object) -> UNet:
    torch.manual_seed(0)
    return UNet(2, 3, depth=3, width=8, stem=stem, **options)  # type: ignore[arg-type]


@given(st.integers(1, 70), st.integers(1, 70), st.sampled_from([2, 4]), st.booleans())
def test_every_size_comes_back(height: int, width: int, stem: int, training: bool) -> None:
    with torch.no_grad():
        out = made(stem).train(training)(torch.randn(1, 2, height, width))
    assert out.shape == (1, 3, height, width)


@pytest.mark.parametrize("stem", [2, 4])
def test_every_pixel_of_the_picture_is_seen_and_every_logit_has_its_own(stem: int) -> None:
    network = made(stem).eval()
    x = torch.randn(1, 2, 16, 16, requires_grad=True)
    out = network(x)
    out[0, 0, 7, 9].backward()
    assert x.grad is not None
    near = x.grad[0, :, 4:12, 4:12]
    assert (near != 0).all()
    window = out[0, 0, : 2 * stem, : 2 * stem]
    assert window.unique().numel() == window.numel()


def test_the_work_is_that_of_the_lower_resolution() -> None:
    def flops(network: UNet) -> int:
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            network(torch.randn(1, 2, 64, 64))
        return counter.get_total_flops()

    assert flops(made(2)) < 0.4 * flops(made(1))
    assert flops(made(4)) < 0.2 * flops(made(1))


def test_deep_supervision_has_the_strides_of_the_picture() -> None:
    shapes = [tuple(x.shape[-2:]) for x in made(2, deep_supervision=True)(torch.randn(1, 2, 37, 53))]
    assert shapes == [(37, 53), (19, 27)]


@pytest.mark.parametrize(("stem", "padding"), [(3, "same"), (0, "same"), (2, "valid")])
def test_other_stems_are_refused(stem: int, padding: str) -> None:
    with pytest.raises(InputError, match="stem"):
        made(stem, padding=padding)
