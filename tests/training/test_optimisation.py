"""The learning rate is a pure function of the step; the average follows the weights."""

from __future__ import annotations

import pytest
import torch
from lightning_fabric.plugins.precision import MixedPrecision

from masksmith.models.unet import UNet
from masksmith.recipe import Recipe
from masksmith.training import loop
from masksmith.training.averaging import Average
from masksmith.training.optimisation import SCHEDULES, optimiser, rate


@pytest.mark.parametrize("name", SCHEDULES)
def test_every_schedule_is_positive_and_never_above_the_highest_rate(name: str) -> None:
    recipe = Recipe(schedule=name, lr=0.1)
    rates = [rate(recipe, step, 100) for step in range(100)]
    assert max(rates) == pytest.approx(0.1, rel=0.02)
    assert all(0 < r <= 0.1 for r in rates)
    assert rates == [rate(recipe, step, 100) for step in range(100)]


def test_the_shapes_of_the_schedules() -> None:
    at = lambda name, step: rate(Recipe(schedule=name, lr=1.0, warmup=0.1), step, 1000)  # noqa: E731 - a short name for a table
    assert at("constant", 500) == 1
    assert at("cosine", 550) == pytest.approx(0.5, abs=0.01)
    assert at("poly", 550) == pytest.approx(0.5**0.9, abs=0.01)
    assert at("onecycle", 0) == pytest.approx(1 / 25, abs=0.01)
    assert at("onecycle", 200) == pytest.approx(1, abs=0.01)
    for name in ("cosine", "poly", "onecycle"):
        assert at(name, 999) < 0.01


@pytest.mark.parametrize("name", ["muon", "adamw", "adam", "sgd"])
def test_norms_and_biases_do_not_decay(name: str) -> None:
    network = UNet(1, 2, depth=2, width=4)
    *decaying, others = optimiser(network, Recipe.model_validate({"weight_decay": 0.1, "optimizer": name})).param_groups
    assert [group["weight_decay"] for group in decaying] == [0.1] * len(decaying)
    assert others["weight_decay"] == 0
    assert all(p.ndim > 1 for group in decaying for p in group["params"])
    assert all(p.ndim == 1 for p in others["params"])
    together = [p for group in (*decaying, others) for p in group["params"]]
    assert {id(p) for p in together} == {id(p) for p in network.parameters()}
    assert len(together) == len(list(network.parameters()))


@pytest.mark.parametrize("name", ["muon", "adamw", "adam", "sgd"])
def test_the_scaler_of_fp16_leaves_out_a_step_that_is_no_number(name: str) -> None:
    network = UNet(1, 2, depth=2, width=4)
    made = optimiser(network, Recipe.model_validate({"optimizer": name}))
    scaler = torch.amp.GradScaler("cpu")
    precision = MixedPrecision("16-mixed", "cpu", scaler)
    before = [p.detach().clone() for p in network.parameters()]
    for gain, moves in ((1.0, True), (float("inf"), False)):
        scaler.scale(network(torch.randn(1, 1, 16, 16)).square().mean()).backward()
        next(network.parameters()).grad.mul_(gain)
        precision.unscale_gradients(made)
        scaler.step(made)
        scaler.update()
        made.zero_grad()
        assert any(not torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True)) == moves
        before = [p.detach().clone() for p in network.parameters()]
    assert scaler.get_scale() == 2.0**15


def test_the_average_lies_between_old_and_new_weights() -> None:
    network = UNet(1, 2, depth=2, width=4)
    average = Average(network, 0.9)
    before = average.network.head.weight.clone()
    with torch.no_grad():
        network.head.weight += 1
    average.update(10**6)
    torch.testing.assert_close(average.network.head.weight, before + 0.1)


def test_without_decay_the_average_is_the_network() -> None:
    network = UNet(1, 2, depth=2, width=4)
    average = Average(network, 0)
    with torch.no_grad():
        network.head.weight += 1
        network.encoder.blocks[0].body[1].running_mean += 3  # type: ignore[index,union-attr,operator]
    average.update(0)
    for mine, its in zip(average.network.state_dict().values(), network.state_dict().values(), strict=True):
        assert torch.equal(mine, its)


def test_the_average_follows_a_network_that_is_placed_elsewhere() -> None:
    network = UNet(in_channels=1, num_classes=2, depth=2, width=4)
    average = Average(network, 0.9)
    network.double().float()  # other memory, as on another card
    with torch.no_grad():
        network.head.weight.fill_(7.0)
    for step in range(200):
        average.update(step)
    torch.testing.assert_close(average.network.head.weight, network.head.weight, rtol=0, atol=1e-3)


def test_the_card_is_the_one_that_the_network_is_on() -> None:
    assert loop._devices(torch.device("cuda", 1)) == [1]
    assert loop._devices(torch.device("cpu")) == loop._devices(torch.device("mps", 0)) == 1
