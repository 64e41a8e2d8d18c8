"""Optimisers, and the learning rate as a pure function of the step."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import nn

from masksmith.recipe import Recipe
from masksmith.training import muon
from masksmith.training.muon import Muon
from masksmith.training.pacing import position

Schedule = Callable[[float, float], float]

# OneCycle starts at 1/25 of the highest rate (Smith and Topin 2018); all schedules end near zero,
# not at it, since a step of rate zero is lost time.
_FIRST = 1 / 25
_LAST = 1e-3
# The cycle of an extension: its share in which the rate goes to its peak, and the peak as a share of lr.
# Half, since the weights are good already: the full rate would undo more than the extension gains.
_REWARMING = 0.05
_EXTENSION_PEAK = 0.5


def _constant(t: float, warmup: float) -> float:
    return min(1.0, t / warmup) if warmup else 1.0


def _cosine(t: float, warmup: float) -> float:
    if t < warmup:
        return t / warmup
    return _LAST + (1 - _LAST) * 0.5 * (1 + math.cos(math.pi * (t - warmup) / (1 - warmup)))


def _onecycle(t: float, warmup: float) -> float:
    peak = max(warmup, 0.2)
    if t < peak:
        return _FIRST + (1 - _FIRST) * 0.5 * (1 - math.cos(math.pi * t / peak))
    return _LAST + (1 - _LAST) * 0.5 * (1 + math.cos(math.pi * (t - peak) / (1 - peak)))


def _poly(t: float, warmup: float) -> float:
    if t < warmup:
        return t / warmup
    return max(_LAST, float((1 - (t - warmup) / (1 - warmup)) ** 0.9))


SCHEDULES: dict[str, Schedule] = {"constant": _constant, "cosine": _cosine, "onecycle": _onecycle, "poly": _poly}


def rate(recipe: Recipe, step: int, total: int) -> float:
    """The learning rate of ``step`` (0 … total - 1): nothing but these numbers decides it."""
    plans = recipe.extended
    while plans and step < plans[-1][0]:
        total, plans = plans[-1][1], plans[:-1]
    if plans:
        begin, planned = plans[-1]
        before = rate(recipe.model_copy(update={"extended": plans[:-1]}), begin - 1, planned)
        return _extension(recipe, (step + 0.5 - begin) / (total - begin), before)
    # In the middle of the step, so that neither end of a schedule is a step of rate zero.
    return recipe.lr * SCHEDULES[recipe.schedule](position(recipe.paced, step, total), recipe.warmup)


def _extension(recipe: Recipe, t: float, before: float) -> float:
    """The cycle of an extension: from the rate ``before`` to half of lr, then down along a half cosine."""
    constant = recipe.schedule == "constant"
    peak = recipe.lr * (1.0 if constant else _EXTENSION_PEAK)
    if t < _REWARMING:
        return before + (peak - before) * t / _REWARMING
    return peak if constant else peak * _cosine(t, _REWARMING)


def optimiser(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """The optimiser of a recipe. Norms and biases, which only shift and scale, do not decay."""
    made = _optimiser(network, recipe)
    # The fused ones would undo the scale of fp16 by themselves: too late for the clipping of gradients, and Muon's own
    # steps know nothing of it. So the scaler does it, and leaves out the whole step where a gradient is no number.
    made._step_supports_amp_scaling = False  # type: ignore[attr-defined]  # torch sets it on those
    return made


def _optimiser(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    if recipe.optimizer == "muon":
        return Muon(muon.groups(network, recipe.weight_decay), lr=recipe.lr, betas=(recipe.momentum, 0.999), fused=True)
    decaying = [p for p in network.parameters() if p.ndim > 1]
    others = [p for p in network.parameters() if p.ndim <= 1]
    groups = [{"params": decaying, "weight_decay": recipe.weight_decay}, {"params": others, "weight_decay": 0.0}]
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=recipe.lr, momentum=recipe.momentum, nesterov=recipe.momentum > 0)
    kind = torch.optim.AdamW if recipe.optimizer == "adamw" else torch.optim.Adam
    return kind(groups, lr=recipe.lr, betas=(recipe.momentum, 0.999), fused=True)


def set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Use this learning rate from now on."""
    for group in optimiser.param_groups:
        group["lr"] = rate
