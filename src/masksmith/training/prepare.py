"""Settle what a recipe leaves open: crop, network, head, steps.

Rule: what is decided here is written into the run's recipe, so that the run can be repeated
without deciding again.
"""

from __future__ import annotations

import copy
import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from masksmith import losses
from masksmith.classes import ClassTable
from masksmith.data import focus
from masksmith.data.batches import Batches, PairReader, Sampling, visits
from masksmith.data.dataset import Dataset
from masksmith.data.fingerprint import Fingerprint
from masksmith.data.room import Room
from masksmith.errors import RecipeError
from masksmith.inference.segmenter import Segmenter
from masksmith.modelfile import ModelFile
from masksmith.models import presets
from masksmith.models.unet import UNet
from masksmith.planning import probe
from masksmith.planning.plan import USUAL_CROP_PX, rare_classes
from masksmith.recipe import Recipe, seconds
from masksmith.training import distil, optimisation
from masksmith.training.averaging import Average
from masksmith.training.distil import Teacher

Criterion = Callable[[Tensor | list[Tensor], Tensor], Tensor]

# Validations together take no more than this share of the training.
_VALIDATION_SHARE = 0.05
# Steps that only warm the memory up; then steps are measured for so many seconds, five at least: a
# third of a second, as before, was off by a quarter for steps of 70 ms.
_WARMING_STEPS = 5
_MEASURED_S = 3.0
_MEASURED_STEPS = (5, 60)
# Pictures whose validation is measured.
_VALIDATION_SAMPLE = 6
# Validations in a training whose length is given in epochs or steps.
_VALIDATIONS = 20
# After the last step: one validation of the best weights, and figures that cost about another.
_FINISH_VALIDATIONS = 2
# Charts and the end of the program; then a little less than the whole budget is aimed at, since what comes
# after the last step cannot be planned anew.
_FINISH_S = 2.0
_AIMED_SHARE = 0.975
# Small sets are repeated until an epoch has this many steps: a line a second helps nobody.
_STEPS_PER_EPOCH = 25


def network_arguments(recipe: Recipe, channels: int, table: ClassTable) -> dict[str, Any]:
    """The arguments of :class:`UNet` for these data.

    Raises:
        RecipeError: a sigmoid head for other than two classes, or a head that does not fit classes
            that overlap.
    """
    preset = presets.find(recipe.model.preset)
    arguments: dict[str, Any] = {**preset.settings, **recipe.model.overrides()}
    if recipe.head not in {"auto", "multilabel"} if table.overlapping else recipe.head == "multilabel":
        raise RecipeError(
            where=f"head={recipe.head}",
            expected="head=multilabel for classes that overlap" if table.overlapping else "classes that overlap",
            received=recipe.head if table.overlapping else "one class for each pixel",
            remedy="use head=auto, which follows --overlapping",
        )
    if table.overlapping:
        return {**arguments, "in_channels": channels, "num_classes": len(table)}
    names = {name for _, name in losses.parse(recipe.loss)}
    wants_sigmoid = preset.num_classes == 1 or names == {"bce"}
    head = recipe.head if recipe.head != "auto" else "sigmoid" if wants_sigmoid and len(table) == 2 else "softmax"
    if head == "sigmoid" and len(table) != 2:
        raise RecipeError(
            where="head=sigmoid",
            expected="two classes",
            received=f"{len(table)} ({', '.join(table.names[:8])})",
            remedy="use head=softmax",
        )
    return {**arguments, "in_channels": channels, "num_classes": 1 if head == "sigmoid" else len(table)}


def crop_px(recipe: Recipe, fingerprint: Fingerprint, network: UNet) -> int:
    """The side of a training crop.

    Raises:
        RecipeError: too small for a "valid" network.
    """
    if network.padding == "valid":
        wanted = recipe.crop if isinstance(recipe.crop, int) else network.smallest_input + USUAL_CROP_PX
        if wanted < network.smallest_input:
            raise RecipeError(
                where=f"crop={wanted}",
                expected=f'at least {network.smallest_input} for padding="valid"',
                received=str(wanted),
                remedy="give a larger crop",
            )
        return next(n for n in range(wanted, 2 * wanted + 10**4) if network.is_exact(n))
    if isinstance(recipe.crop, int):
        return recipe.crop
    return min(USUAL_CROP_PX, -(-fingerprint.median_side // 32) * 32)


def require_heeded(recipe: Recipe, table: ClassTable) -> None:
    """Make sure that class weights are not given in vain.

    Raises:
        RecipeError: they are.
    """
    if recipe.class_weights and (table.overlapping or "ce" not in {name for _, name in losses.parse(recipe.loss)}):
        raise RecipeError(
            where="class_weights",
            expected="ce in the loss, and classes that do not overlap",
            received="classes that may overlap" if table.overlapping else f"loss={recipe.loss}",
            remedy="leave them out (class_weights=[])",
        )


def _check_weights(recipe: Recipe, table: ClassTable) -> None:
    if recipe.class_weights and len(recipe.class_weights) != len(table):
        raise RecipeError(
            where="class_weights",
            expected=f"{len(table)} weights, for {', '.join(table.names[:8])}",
            received=f"{len(recipe.class_weights)}",
            remedy="give one for each class, in this order",
        )


@dataclass(frozen=True)
class Job:
    """Everything that a training needs, settled but for its length."""

    recipe: Recipe
    network: UNet
    batches: Batches
    validation: PairReader
    model: ModelFile
    """The model file to be, still without weights."""
    teacher: Teacher | None = None
    """What the network learns from besides the masks."""
    deadline: float | None = None
    """When a budget wants the last step to be done (``time.monotonic``)."""
    finish_s: float = 0.0
    """What validating after the last step takes of a budget."""

    def segmenter(self, network: UNet) -> Segmenter:
        """The path that prediction takes, with the weights of now."""
        return Segmenter(self.model, network=network, precision=self.recipe.precision)

    def loss(self, criterion: Criterion, logits: Tensor | list[Tensor], x_BCHW: Tensor, target_BHW: Tensor) -> Tensor:
        """What differs from the masks, and with a teacher also what differs from its answers."""
        loss = criterion(logits, target_BHW)
        return loss if self.teacher is None else loss + self.teacher.loss(x_BCHW, logits, target_BHW)

    @property
    def steps_per_epoch(self) -> int:
        """Steps of the optimiser in an epoch."""
        return max(1, self.batches.steps_per_epoch // self.recipe.accumulate)


def job(recipe: Recipe, dataset: Dataset, table: ClassTable, fingerprint: Fingerprint, *, resumed: bool = False) -> Job:
    """Build the network, the batches and the validation part of a recipe.

    A training that is ``resumed`` has its weights already: those that an encoder was begun with are not asked for again.

    Raises:
        InputError: settings that do not fit each other or the data.
        EnvironmentFault: a device or pretrained weights that are not to be had.
    """
    arguments = network_arguments(recipe, fingerprint.preprocessing.channels, table)
    _check_weights(recipe, table)
    torch.manual_seed(recipe.seed)
    network = UNet(**(arguments | {"pretrained": False} if resumed else arguments))
    recipe = recipe.model_copy(update={"crop": crop_px(recipe, fingerprint, network)})
    crop = recipe.crop if isinstance(recipe.crop, int) else USUAL_CROP_PX
    room = Room()
    train = PairReader(dataset.part("train"), table, fingerprint.preprocessing, room)
    sampling = Sampling(
        visits(fingerprint.train_sizes, crop, _STEPS_PER_EPOCH * recipe.batch_size * recipe.accumulate),
        crop,
        recipe.batch_size,
        recipe.seed,
        focus.of(fingerprint.train_pixels, rare_classes(fingerprint), recipe.focus, overlapping=table.overlapping),
    )
    validation = PairReader(dataset.part("val"), table, fingerprint.preprocessing, room)
    model = ModelFile(arguments, table, fingerprint.preprocessing, recipe, {})
    probe.place(network, probe.device(recipe.device))
    teacher = distil.load(recipe, model, probe.device(recipe.device))
    return Job(recipe, network, Batches(train, sampling, recipe.augment), validation, model, teacher)


def settle_length(job: Job, started: float) -> Job:
    """The job with its budget or epochs turned into steps, and the validations spread over them.

    For a budget the time of a step and of a validation is measured on a copy of the network;
    ``started`` is when the budget began to run (``time.monotonic``).
    """
    recipe, per_epoch = job.recipe, job.steps_per_epoch
    if recipe.steps is not None or recipe.epochs is not None:
        steps = recipe.steps or (recipe.epochs or 1) * per_epoch
        every = recipe.validate_every or max(1, steps // per_epoch // _VALIDATIONS)
        ends, finish_s = None, 0.0
    else:
        step_s, validation_s = step_seconds(job), _validation_seconds(job)
        every = recipe.validate_every or max(1, round(validation_s / (_VALIDATION_SHARE * step_s * per_epoch)))
        whole_s = _AIMED_SHARE * seconds(recipe.budget or "10m")
        finish_s = _FINISH_VALIDATIONS * validation_s
        ends = started + whole_s - finish_s - _FINISH_S
        steps = max(1, int((ends - time.monotonic()) / (step_s + validation_s / (every * per_epoch))))
    recipe = recipe.model_copy(update={"steps": steps, "epochs": None, "budget": None, "validate_every": every})
    return replace(job, recipe=recipe, model=replace(job.model, recipe=recipe), deadline=ends, finish_s=finish_s)


def step_seconds(
    job: Job, warming: int = _WARMING_STEPS, for_s: float = _MEASURED_S, fewest: int = _MEASURED_STEPS[0]
) -> float:
    """Seconds of a training step, data included: ``warming`` steps, then as many as take ``for_s`` seconds."""
    trial = copy.deepcopy(job.network).train()
    recipe, device = job.recipe, next(trial.parameters()).device
    optimiser = optimisation.optimiser(trial, recipe)
    criterion = losses.build(recipe.loss, overlapping=job.model.table.overlapping, class_weights=recipe.class_weights)
    precision = probe.precision(recipe.precision, device)
    average = Average(trial, recipe.ema)
    rng, times = torch.get_rng_state(), []
    begun = time.monotonic()
    most = _MEASURED_STEPS[1]
    # A few pictures again and again: all but the first epoch of a training finds them in memory, and
    # the threads that decode would take the cores from the steps that are measured.
    sampling = job.batches.sampling
    few = replace(sampling, visits=sampling.visits[: max(1, warming - 1) * sampling.batch_size])
    batches = Batches(job.batches.reader, few, job.batches.augment)
    for x, y in batches.stream(0, warming + most, recipe.workers):
        with probe.autocast(device, precision):
            logits = trial(x.to(device))
        job.loss(criterion, logits, x.to(device), y.to(device)).backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        torch.nn.utils.clip_grad_norm_(trial.parameters(), recipe.clip or math.inf)
        optimiser.step()
        optimiser.zero_grad()
        average.update(0)
        if device.type != "cpu":
            torch.get_device_module(device).synchronize()
        times.append(time.monotonic() - begun)
        begun = time.monotonic()
        measured = times[warming:]
        if len(measured) >= fewest and sum(measured) >= for_s:
            break
    torch.set_rng_state(rng)
    # The mean, hiccups and all: the training will have them too.
    return statistics.fmean(times[warming:]) * recipe.accumulate


def _validation_seconds(job: Job) -> float:
    """Seconds of a validation: from a few pictures, by their share of all pictures."""
    segmenter = job.segmenter(copy.deepcopy(job.network).eval())
    sample = range(0, len(job.validation), max(1, len(job.validation) // _VALIDATION_SAMPLE))
    pixels = [job.validation.read(index)[0] for index in sample]
    segmenter.probabilities(pixels[0])
    begun = time.monotonic()
    for picture in pixels:
        segmenter.probabilities(picture)
    return (time.monotonic() - begun) * len(job.validation) / len(pixels)
