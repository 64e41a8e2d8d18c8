"""Muon takes orthogonal steps for kernels and AdamW's steps for everything else."""

from __future__ import annotations

from collections import OrderedDict

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from masksmith.models.unet import UNet
from masksmith.training.muon import Muon, groups, orthogonal


@given(st.integers(2, 40), st.integers(2, 40), st.integers(0, 99))
def test_the_step_has_the_directions_of_the_gradient_at_one_length(rows: int, columns: int, seed: int) -> None:
    matrix = torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed))
    left, values, right = torch.linalg.svd(matrix, full_matrices=False)
    made = orthogonal(matrix).float()
    seen = torch.diagonal(left.T @ made @ right.T)
    # Singular values far below the largest need more than five iterations; bf16 adds a percent or two.
    clear = values > 0.05 * values.norm()
    assert ((seen[clear] > 0.6) & (seen[clear] < 1.3)).all()


def test_only_inner_kernels_take_orthogonal_steps() -> None:
    network = UNet(3, 4, depth=2, width=8, deep_supervision=True)
    inner, outer, rest = (group["params"] for group in groups(network, 0.1))
    names = {id(p): name for name, p in network.named_parameters()}
    assert sorted(names[id(p)] for p in outer) == ["encoder.blocks.0.body.0.weight", "head.weight"]
    assert all(p.ndim == 4 for p in inner)
    assert all(p.ndim == 1 for p in rest)
    assert len(inner) + len(outer) + len(rest) == len(list(network.parameters()))


def test_what_is_no_inner_kernel_takes_the_steps_of_adamw() -> None:
    torch.manual_seed(0)
    one, two = torch.nn.Parameter(torch.ones(5)), torch.nn.Parameter(torch.ones(5))
    kernel = torch.nn.Parameter(torch.randn(4, 4, 3, 3))
    muon = Muon([{"params": [kernel]}, {"params": [one], "weight_decay": 0.1}], lr=0.01)
    adamw = torch.optim.AdamW([two], lr=0.01, weight_decay=0.1)
    before = kernel.detach().clone()
    for step in range(3):
        kernel.grad = torch.randn(4, 4, 3, 3)
        one.grad = torch.full((5,), step - 0.5)
        two.grad = one.grad.clone()
        muon.step()
        adamw.step()
    torch.testing.assert_close(one, two)
    moved = (kernel - before).flatten(1)
    # Three steps of 0.01 * 0.2 * sqrt(36) along directions of length about 1.
    assert 0.5 * 0.012 < torch.linalg.matrix_norm(moved, 2).item() < 3 * 1.3 * 0.012


def test_a_state_that_is_saved_and_read_goes_on_alike() -> None:
    def made() -> tuple[UNet, Muon]:
        torch.manual_seed(3)
        network = UNet(1, 2, depth=2, width=4)
        return network, Muon(groups(network, 0.01), lr=0.01)

    def steps(network: UNet, optimiser: Muon, first: int, last: int) -> None:
        for step in range(first, last):
            x = torch.randn(2, 1, 16, 16, generator=torch.Generator().manual_seed(step))
            network(x).square().mean().backward()
            optimiser.step()
            optimiser.zero_grad()

    whole, whole_optimiser = made()
    steps(whole, whole_optimiser, 0, 4)
    first, first_optimiser = made()
    steps(first, first_optimiser, 0, 2)
    second, second_optimiser = made()
    second.load_state_dict(first.state_dict())
    second_optimiser.load_state_dict(first_optimiser.state_dict())
    steps(second, second_optimiser, 2, 4)
    for a, b in zip(whole.state_dict().values(), second.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_depthwise_kernels_are_left_to_adamw() -> None:
    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3), torch.nn.Conv2d(8, 8, 3, groups=8), torch.nn.Conv2d(8, 4, 1), torch.nn.Conv2d(4, 2, 1)
    )
    inner, outer, _ = (group["params"] for group in groups(network, 0.0))
    assert [tuple(p.shape) for p in inner] == [(4, 8, 1, 1), (2, 4, 1, 1)]
    assert [tuple(p.shape) for p in outer] == [(8, 3, 3, 3), (8, 1, 3, 3)]


@pytest.mark.parametrize("shape", [(3, 20), (20, 3)])
def test_the_shape_stays(shape: tuple[int, int]) -> None:
    assert orthogonal(torch.randn(shape)).shape == shape


def test_a_network_of_its_first_layer_and_its_head_alone() -> None:
    layers = OrderedDict(first=torch.nn.Conv2d(1, 4, 3), head=torch.nn.Conv2d(4, 2, 1))
    network = torch.nn.Sequential(layers)
    optimiser = Muon(groups(network, 0.0), lr=0.01)
    before = network[0].weight.detach().clone()
    network(torch.randn(1, 1, 8, 8)).square().mean().backward()
    optimiser.step()
    assert not torch.equal(network[0].weight, before)
