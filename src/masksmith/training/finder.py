"""Find a learning rate: train a little while the rate rises from far too low to far too high.

Source: Smith, "Cyclical Learning Rates for Training Neural Networks", WACV 2017. Rule: nothing is
written, and what comes out follows from the recipe and its seed alone.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from masksmith import losses
from masksmith.errors import InputError, RunError
from masksmith.events import Listener
from masksmith.planning import probe
from masksmith.recipe import Recipe
from masksmith.training import extension, optimisation, session
from masksmith.training.prepare import Job

F64 = npt.NDArray[np.float64]

FEWEST_STEPS = 20
_FIRST_RATE, _LAST_RATE = 1e-6, 1.0
# The loss of single batches jumps. What it is at a step is the median over this share of the steps
# around it, which spikes do not move, and then the mean of those, which has a slope.
_WINDOW_SHARE = 0.11
# Beyond this many times its best the loss only grows.
_EXPLODED = 4.0
# What the steepest descent would choose is often close to where the loss begins to rise again.
_BELOW_LOWEST = 10.0
# The loss must have fallen by this share of itself; less is the noise of batches.
_FALLEN = 0.05


@dataclass(frozen=True)
class Sweep:
    """The loss at each learning rate."""

    rates: F64
    losses: F64

    @property
    def smooth(self) -> F64:
        """The loss without the jumps of single batches."""
        reach = max(1, round(len(self.losses) * _WINDOW_SHARE / 2))
        medians = [float(np.median(window)) for window in _around(self.losses, reach)]
        return np.array([window.mean() for window in _around(np.array(medians), reach)])

    @property
    def lowest(self) -> float:
        """The rate at which the loss is lowest."""
        return float(self.rates[int(np.argmin(self.smooth))])

    @property
    def steepest(self) -> float:
        """The rate at which the loss falls fastest, by step on a scale of powers of ten."""
        end = int(np.argmin(self.smooth)) + 1
        if end < 2:
            return float(self.rates[0])
        return float(self.rates[int(np.argmin(np.gradient(self.smooth[:end])))])

    @property
    def suggestion(self) -> float | None:
        """The rate to train with, to two digits; None where the loss has not fallen."""
        smooth = self.smooth
        low = int(np.argmin(smooth))
        if smooth[low] > (1 - _FALLEN) * smooth[: low + 1].max():
            return None
        return float(f"{min(self.steepest, self.lowest / _BELOW_LOWEST):.1e}")


def _around(values: F64, reach: int) -> list[F64]:
    """For each value the values around it, fewer at the ends, but as many on either side."""
    sides = (min(reach, i, len(values) - 1 - i) for i in range(len(values)))
    return [values[i - side : i + side + 1] for i, side in enumerate(sides)]


def find(
    data: str | os.PathLike[str] | None,
    *,
    settings: Mapping[str, object] | None = None,
    base: Recipe | None = None,
    steps: int = 100,
    listener: Listener | None = None,
) -> Sweep:
    """Train for ``steps`` steps with a rate that rises from 1e-6 to 1, and see what the loss does.

    Args:
        data: as for :func:`masksmith.train`, as are ``settings`` and ``base``.
        settings: dotted keys of the recipe.
        base: a recipe to start from in place of the defaults.
        steps: how many rates are tried.
        listener: hears of progress.

    Raises:
        InputError: data or settings that cannot be used.
        EnvironmentFault: what this machine does not have.
    """
    if steps < FEWEST_STEPS:
        raise InputError(
            where=f"--steps {steps}",
            expected=f"{FEWEST_STEPS} steps or more",
            received=str(steps),
            remedy="try more rates, such as 100",
        )
    listener = listener or Listener()
    extension.refuse(settings or {})
    settled = session.settle(data, (base or Recipe()).with_settings(settings or {}), listener)
    return _sweep(settled.job, steps, listener)


def _sweep(job: Job, steps: int, listener: Listener) -> Sweep:
    """The steps themselves; they end early where the loss explodes or is no number."""
    recipe, network = job.recipe, job.network.train()
    device = next(network.parameters()).device
    precision = probe.precision(recipe.precision, device)
    # Without the scaling that a training in fp16 has, small gradients would be lost.
    precision = "fp32" if precision == "fp16" else precision
    optimiser = optimisation.optimiser(network, recipe)
    criterion = losses.build(recipe.loss, overlapping=job.model.table.overlapping, class_weights=recipe.class_weights)
    rates = np.geomspace(_FIRST_RATE, _LAST_RATE, steps)
    batches = job.batches.stream(0, steps * recipe.accumulate, recipe.workers)
    seen: list[float] = []
    window = max(3, round(steps * _WINDOW_SHARE))
    best = math.inf
    try:
        for rate in rates.tolist():
            optimisation.set_rate(optimiser, rate)
            total = 0.0
            for _ in range(recipe.accumulate):
                x_BCHW, y_BHW = next(batches)
                x_BCHW, y_BHW = x_BCHW.to(device), y_BHW.to(device)
                with probe.autocast(device, precision):
                    logits = network(x_BCHW)
                loss = job.loss(criterion, logits, x_BCHW, y_BHW) / recipe.accumulate
                loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
                total += loss.item()
            norm = torch.nn.utils.clip_grad_norm_(network.parameters(), recipe.clip or math.inf)
            if not math.isfinite(total) or not math.isfinite(float(norm)):
                break
            seen.append(total)
            optimiser.step()
            optimiser.zero_grad()
            listener.step(len(seen), steps)
            if listener.wants_stop():
                raise KeyboardInterrupt
            recent = float(np.median(seen[-window:]))
            best = min(best, recent) if len(seen) >= window else best
            if recent > _EXPLODED * best:
                break
    finally:
        batches.close()
    if len(seen) < FEWEST_STEPS // 2:
        raise RunError(
            where=f"a learning rate of {rates[len(seen)]:.1e}",
            expected="a finite loss",
            received=f"NaN or infinity after {len(seen)} steps",
            remedy="use precision=fp32, and look at the data with masksmith check",
        )
    return Sweep(rates[: len(seen)], np.array(seen))
