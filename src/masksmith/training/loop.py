"""The training loop, flat, in one screen, on Lightning Fabric (device, precision).

Rule: everything random follows from the seed and the step; everything worth keeping is on disk
after each validation.
"""

from __future__ import annotations

import logging
import math
import time
from contextlib import suppress
from dataclasses import replace

import torch
from lightning_fabric import Fabric

from masksmith import losses, modelfile
from masksmith.errors import RunError
from masksmith.events import Epoch, Listener
from masksmith.inference import evaluate
from masksmith.metrics import Figures, summarize
from masksmith.models.unet import UNet
from masksmith.planning import probe
from masksmith.recipe import Recipe
from masksmith.run import Run
from masksmith.training import memory, optimisation, state
from masksmith.training.averaging import Average
from masksmith.training.pacing import Pace
from masksmith.training.prepare import Job
from masksmith.training.state import Progress

_FABRIC_PRECISION = {"bf16": "bf16-mixed", "fp16": "16-mixed", "fp32": "32-true"}
# Steps in a row without a finite gradient after which more of them cannot help.
_MOST_BAD_STEPS = 20
# Smaller changes of plan are not worth a line.
_TOLD = 0.05


def train(job: Job, run: Run, listener: Listener, *, resume: bool) -> None:  # noqa: PLR0915 - the loop, flat
    """Train ``job`` for its steps and leave the best weights in the run's model file.

    Raises:
        RunError: the loss is no longer a number.
    """
    recipe, device = job.recipe, next(job.network.parameters()).device
    steps = recipe.steps or 1
    precision = probe.precision(recipe.precision, device)
    fabric = _fabric(device, precision)
    average = Average(job.network, recipe.ema)
    bare_optimiser = optimisation.optimiser(job.network, recipe)
    parts = state.Parts(job.network, average, bare_optimiser, fabric.strategy.precision)
    progress = _restored(run, parts, recipe, listener) if resume else Progress()
    network, optimiser = fabric.setup(job.network, bare_optimiser)
    criterion = losses.build(recipe.loss, overlapping=job.model.table.overlapping, class_weights=recipe.class_weights)
    gradients = memory.Gradients(job, fabric, network, criterion)
    # Without an end: a budget may turn out to hold more steps than were planned.
    batches = job.batches.stream(progress.step * recipe.accumulate, None, recipe.workers)
    scaled = getattr(fabric.strategy.precision, "scaler", None) is not None
    clock, saving = Clock(progress), state.Saving()
    pace = Pace(job.deadline, progress.step, cold_steps=job.cold_steps)
    if not resume:
        saving.save(run, parts, progress)
    bad_in_a_row = 0
    network.train()
    try:
        while _goes_on(recipe, progress):
            if not progress.epoch_due:
                if (anew := pace.planned(progress.step, steps)) != steps:
                    job = _planned_anew(job, run, progress.step, anew, listener)
                    recipe, steps = job.recipe, anew
                optimisation.set_rate(optimiser, optimisation.rate(recipe, progress.step, steps))
                progress.add_losses(learnt := gradients.add_up(batches, progress, listener))
                finite = not learnt or _clip(fabric, network, optimiser, recipe.clip or math.inf)
                bad_in_a_row = 0 if learnt and finite else bad_in_a_row + (not finite)
                if bad_in_a_row == _MOST_BAD_STEPS:
                    raise _diverged(run, progress.step, recipe.lr)
                gradients.leave_out(unless=finite)
                if learnt and (finite or scaled):  # the scaler of fp16 skips the step and lowers its scale
                    optimiser.step()
                    average.update(progress.step)
                optimiser.zero_grad()
                progress.advance(clock.elapsed_s())
                progress.epoch_due = _is_due(job, progress.step)
                listener.step(progress.step, steps)
            if progress.epoch_due:
                with suppress(_Stop):  # a person does not wait for a long validation: it is done again
                    _end_epoch(job, run, average, progress, clock.steps_per_s(progress), listener)
            if listener.wants_stop():
                state.save(run, parts, progress)
                raise state.Saved
            if saving.is_due():
                saving.save(run, parts, progress)
        state.save(run, parts, progress)
        if progress.step < steps:
            listener.message(f"stopped early: no better mIoU in {recipe.patience} validations")
    finally:
        batches.close()


def _restored(run: Run, parts: state.Parts, recipe: Recipe, listener: Listener) -> Progress:
    """Where the training was. Where its model is gone, the next validation writes one, however good it is.

    Raises:
        RunError: the model is gone, and no step is left, and so no validation.
    """
    progress = state.restore(run, parts)
    if progress.best_miou < 0 or _has_model(run):
        return progress
    if not _goes_on(recipe, progress):
        raise RunError(
            where=run.model_file,
            expected="the best weights of this training",
            received="a file that is gone or damaged",
            remedy="train on, as in --resume --steps +100, so that the next validation writes it anew",
        )
    listener.message("model.safetensors is gone or damaged: the next validation writes it anew")
    progress.best_miou = -1.0
    return progress


def _has_model(run: Run) -> bool:
    try:
        modelfile.read(run.path)
    except RunError:
        return False
    return True


def _goes_on(recipe: Recipe, progress: Progress) -> bool:
    is_stalled = bool(recipe.patience) and progress.validations_since_best >= recipe.patience
    return progress.epoch_due or (progress.step < (recipe.steps or 1) and not is_stalled)


def _fabric(device: torch.device, precision: str) -> Fabric:
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it announces the precision by itself
    return Fabric(accelerator=device.type, devices=_devices(device), precision=_FABRIC_PRECISION[precision])  # type: ignore[arg-type]  # one of its names


def _devices(device: torch.device) -> int | list[int]:
    """Of several cards the very one that the network is on: left to itself Fabric takes the first."""
    return [device.index] if device.type == "cuda" and device.index is not None else 1


def _clip(fabric: Fabric, network: torch.nn.Module, optimiser: torch.optim.Optimizer, most: float) -> bool:
    """Bound the norm of all gradients together; whether they are numbers."""
    norm = fabric.clip_gradients(network, optimiser, max_norm=most, error_if_nonfinite=False)
    return norm is None or bool(torch.isfinite(norm))


def _planned_anew(job: Job, run: Run, step: int, steps: int, listener: Listener) -> Job:
    """The job with another number of steps from ``step`` on, kept in the run before the first of them."""
    before = job.recipe.steps or 1
    recipe = job.recipe.model_copy(update={"steps": steps, "paced": (*job.recipe.paced, (step, before))})
    run.write_recipe(recipe)
    if abs(steps - before) > _TOLD * before:
        word = "faster" if steps > before else "slower"
        listener.message(f"the machine is {word} than it was: {steps:,} steps in place of {before:,}")
    return replace(job, recipe=recipe, model=replace(job.model, recipe=recipe))


class Clock:
    """Time of the training, interruptions left out, and the speed of the present session."""

    def __init__(self, progress: Progress) -> None:
        self._started = time.monotonic()
        self._before_s = progress.elapsed_s
        self._first_step = progress.step

    def elapsed_s(self) -> float:
        """Seconds of training over all sessions."""
        return self._before_s + time.monotonic() - self._started

    def steps_per_s(self, progress: Progress) -> float:
        """Steps a second since this session began, validations included."""
        return (progress.step - self._first_step) / max(1e-9, time.monotonic() - self._started)


class _Stop(Exception):
    """A signal has ended a validation."""


def validate(job: Job, network: UNet, listener: Listener) -> Figures:
    """The figures of the validation part."""

    def progress(_done: int, _total: int) -> None:
        if listener.wants_stop():
            raise _Stop

    return summarize(evaluate.confusion(job.segmenter(network), job.validation, progress), job.model.table.names)


def _is_due(job: Job, step: int) -> bool:
    """Whether a line of the log is: at the end of an epoch, at a validation, and at the last step."""
    return step % job.steps_per_epoch == 0 or step % job.steps_per_validation == 0 or step == job.recipe.steps


def _is_lost(job: Job, progress: Progress) -> bool:
    """Whether half of the losses since the last line were no numbers; in a line of a few steps that says nothing."""
    steps = progress.step - int(progress.log[-1][1] or 0 if progress.log else 0)
    is_short = steps < min(job.steps_per_epoch, _MOST_BAD_STEPS) and progress.step != job.recipe.steps
    return 0 < progress.bad_count >= progress.loss_count and not is_short


def _end_epoch(
    job: Job, run: Run, average: Average, progress: Progress, steps_per_s: float, listener: Listener
) -> None:
    """Validate if it is time, and log the line."""
    recipe, per_epoch = job.recipe, job.steps_per_epoch
    steps = recipe.steps or 1
    epoch, last = -(-progress.step // per_epoch), progress.step == steps
    if _is_lost(job, progress):
        raise _diverged(run, progress.step, recipe.lr)
    miou, best = None, False
    if progress.step % job.steps_per_validation == 0 or last:
        figures = validate(job, average.network, listener)
        miou = figures.mean["iou"]
        best = miou is not None and miou > progress.best_miou
        progress.validations_since_best = 0 if best else progress.validations_since_best + 1
        if best:
            progress.best_miou = miou or 0.0
            modelfile.write(
                run.model_file,
                replace(job.model, weights=average.network.state_dict(), figures={"validation": figures.to_dict()}),
            )
        _warn(figures, listener)
    # None is known where all pixels since the last line were ignored.
    loss = progress.loss_sum / progress.loss_count * recipe.accumulate if progress.loss_count else math.nan
    pictures_per_s = steps_per_s * recipe.batch_size * recipe.accumulate
    lr = optimisation.rate(recipe, progress.step - 1, steps)
    progress.log.append(
        [
            epoch,
            progress.step,
            None if math.isnan(loss) else round(loss, 6),
            None if miou is None else round(miou, 6),
            float(f"{lr:.4g}"),
            round(pictures_per_s, 2),
            round(progress.elapsed_s, 2),
        ]
    )
    progress.loss_sum, progress.loss_count, progress.bad_count = 0.0, 0, 0
    run.write_log(progress.log)
    left_s = progress.elapsed_s / progress.step * (steps - progress.step)
    listener.epoch(Epoch(epoch, -(-steps // per_epoch), loss, miou, best, pictures_per_s, left_s))
    progress.epoch_due = False


def _warn(figures: Figures, listener: Listener) -> None:
    """Say aloud what a person would otherwise find out from a black mask."""
    predicted = [sum(row[k] for row in figures.confusion) for k in range(len(figures.classes))]
    seen = [name for name, n in zip(figures.classes, predicted, strict=True) if n]
    if len(seen) == 1 and sum(1 for n in figures.support if n) > 1:
        share = max(figures.support) / max(1, sum(figures.support))
        cause = (
            f"it covers {share:.0%} of the pixels; the rare classes need longer, or loss=dice"
            if figures.support[figures.classes.index(seen[0])] == max(figures.support)
            else "usual at the start; if it stays so, lower lr"
        )
        listener.message(f"the network predicts {seen[0]} everywhere: {cause}")


def _diverged(run: Run, step: int, lr: float) -> RunError:
    return RunError(
        where=f"{run.path}, step {step}",
        expected="a finite loss",
        received="NaN or infinity in one step after the other",
        remedy=f"lower the learning rate (lr={lr / 10:g}), or use precision=fp32",
    )
