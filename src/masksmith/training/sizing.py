"""How large a network the time allows, and how large a batch: rungs of a ladder, each measured on this machine.

Rule: a larger network is taken only while the budget still holds the steps that it needs; where even the smallest
gets few, batches are made smaller.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from masksmith.errors import is_out_of_memory
from masksmith.planning.plan import Plan, set_keys
from masksmith.recipe import Recipe, seconds
from masksmith.training import prepare
from masksmith.training.prepare import Job


@dataclass(frozen=True)
class Rung:
    """A size of network and batch, and the steps that it must get to be taken."""

    channels: tuple[int, ...]
    batches: int = 1
    """Times the batch of the plan."""
    steps_wanted: int = 1000


# Each rung is one and a half to two times the work of the one before. The coarse levels are kept narrow: they hold most
# of the weights, and learn least in a short time. With fewer steps than wanted the smaller network is as
# good (docs/experiments.md). Larger batches come last, where a fast device has steps to spare.
LADDER: tuple[Rung, ...] = (
    Rung((16, 32, 64, 128, 128)),
    Rung((24, 48, 96, 128, 128)),
    Rung((32, 64, 128, 192, 192)),
    Rung((48, 96, 192, 256, 256)),
    Rung((64, 128, 256, 384, 384)),
    Rung((96, 192, 384, 512, 512)),
    Rung((96, 192, 384, 512, 512), batches=2, steps_wanted=8000),
    Rung((96, 192, 384, 512, 512), batches=4, steps_wanted=8000),
)
# With fewer steps than these, smaller batches are better: pictures of 120 pixels came to 0.42 in 111 steps of 16 crops
# and to 0.51, 0.52 and 0.54 in 260 to 385 steps of 6, 8 and 4 (docs/experiments.md). Batch statistics want a few crops.
_FEWEST_STEPS_WANTED = 300
_SMALLEST_BATCH = 4
# A rung is measured for so long, two steps at least, after two that warm it up.
_MEASURED_S = 0.5
_WARMING_STEPS = 2
_FEWEST_STEPS = 2
# Validations and the end left at least so much of the time for steps where the numbers of steps wanted were found.
_USUAL_SHARE = 0.75
# A step of the next rung takes longer by this factor at least: no time is lost on one that cannot do.
_GROWTH = 1.25


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
    best, reason, steps = LADDER[0], "", 0
    smallest: tuple[float, float] | None = None  # seconds of a step and of a validation
    for rung in LADDER:
        if rung.batches > 1 and "batch_size" in given:
            break
        if chosen is not None and steps < _GROWTH * rung.steps_wanted:
            reason += "; a larger network would get too few" if rung.batches == 1 else ""
            break
        try:
            job = build(_with(plan, rung).recipe)
            step_s = prepare.step_seconds(job, _WARMING_STEPS, _MEASURED_S, _FEWEST_STEPS)
            smallest = smallest or (step_s, prepare.validation_seconds(job))
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            if chosen is None:  # not even the smallest: its batches go through it in parts
                found = _with(plan, rung, "there is no memory for a larger one")
                return found, build(found.recipe)
            reason += f"; from {rung.channels[0]} channels up there is no memory"
            break
        # A validation grows with the network as a crop of a step does.
        validation_s = smallest[1] * step_s / rung.batches / smallest[0]
        fitting = max(1, int(_room_s(job, validation_s, started) / step_s))
        if chosen is not None and fitting < rung.steps_wanted:
            reason += f", from {rung.channels[0]} channels up only {fitting:,}" if rung.batches == 1 else ""
            break
        chosen, best, steps, reason = job, rung, fitting, f"about {fitting:,} steps fit into {budget}"
    plan = _with(plan, best, reason)
    if steps < _FEWEST_STEPS_WANTED and not given & {"batch_size", "accumulate"}:
        smaller = max(_SMALLEST_BATCH, plan.recipe.batch_size * steps // _FEWEST_STEPS_WANTED)
        if smaller < plan.recipe.batch_size:
            why = f"of {plan.recipe.batch_size} crops only {steps:,} steps would fit into {budget}"
            plan = plan.with_choice("batch_size", smaller, why)
            return plan, build(plan.recipe)
    return plan, chosen or build(plan.recipe)


def _room_s(job: Job, validation_s: float, started: float) -> float:
    """The time that is left, less what validations take of it beyond the usual."""
    ends = started + prepare.aimed_seconds(job.recipe) - prepare.finish_seconds(job, validation_s)
    for_steps = (1 - prepare.VALIDATION_SHARE) * (ends - time.monotonic())
    return min(seconds(job.recipe.budget or "10m") - (time.monotonic() - started), for_steps / _USUAL_SHARE)


def _with(plan: Plan, rung: Rung, reason: str = "") -> Plan:
    plan = plan.with_choice("model.channels", rung.channels, reason)
    if rung.batches == 1:
        return plan
    return plan.with_choice("batch_size", plan.recipe.batch_size * rung.batches, "this device has steps to spare")
