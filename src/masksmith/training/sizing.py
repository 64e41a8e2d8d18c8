"""How large a network the time allows: rungs of a ladder, each measured on this machine.

Rule: a larger network is taken only while the budget still holds the steps that it needs.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from masksmith.planning.plan import Plan, set_keys
from masksmith.recipe import Recipe, seconds
from masksmith.training import prepare
from masksmith.training.prepare import Job

# Each rung is about twice the work of the one before. The coarse levels are kept narrow: they hold most
# of the weights, and learn least in a short time.
LADDER: tuple[tuple[int, ...], ...] = (
    (16, 32, 64, 128, 128),
    (24, 48, 96, 128, 128),
    (32, 64, 128, 192, 192),
    (48, 96, 192, 256, 256),
    (64, 128, 256, 384, 384),
)
# Steps that a rung must get: with fewer the smaller network is the better one (docs/experiments.md).
STEPS_WANTED = 1500
# A rung is measured for so long, after two steps that warm it up.
_MEASURED_S = 0.5
_WARMING_STEPS = 2


def settle(plan: Plan, build: Callable[[Recipe], Job], started: float) -> tuple[Plan, Job]:
    """The plan with the size of the network settled, and its job.

    Args:
        plan: what is settled so far.
        build: makes a job of a recipe.
        started: when the budget began to run (``time.monotonic``).
    """
    given = set_keys(plan.recipe) - {choice.key for choice in plan.choices}
    budget = plan.recipe.budget
    if budget is None or any(key.startswith("model.") and key != "model.stem" for key in given):
        return plan, build(plan.recipe)
    chosen: Job | None = None
    channels, reason = LADDER[0], ""
    for rung in LADDER:
        try:
            job = build(plan.recipe.with_settings({"model.channels": rung}))
            step_s = prepare.step_seconds(job, _WARMING_STEPS, _MEASURED_S)
        except (torch.OutOfMemoryError, MemoryError):
            if chosen is None:
                raise
            reason += f"; from {rung[0]} channels up there is no memory"
            break
        steps = max(1, int((seconds(budget) - (time.monotonic() - started)) / step_s))
        if chosen is not None and steps < STEPS_WANTED:
            reason += f", from {rung[0]} channels up only {steps:,}"
            break
        chosen, channels, reason = job, rung, f"about {steps:,} steps fit into {budget}"
    return plan.with_choice("model.channels", channels, reason), chosen or build(plan.recipe)
