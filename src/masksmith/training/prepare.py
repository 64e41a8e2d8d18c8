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
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from masksmith import losses
from masksmith.classes import ClassTable
from masksmith.data import focus
from masksmith.data.batches import Batches, PairReader, Sampling, visits
from masksmith.data.dataset import Dataset
from masksmith.data.fingerprint import Fingerprint
from masksmith.data.focus import Focus
from masksmith.data.room import Room
from masksmith.errors import RecipeError
from masksmith.inference import evaluate
from masksmith.inference.segmenter import Segmenter
from masksmith.limits import CACHE_MEMORY_SHARE, FIGURE_ROWS
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
VALIDATION_SHARE = 0.05
# Steps that only warm the memory up; then steps are measured for so many seconds, five at least: a
# third of a second, as before, was off by a quarter for steps of 70 ms.
_WARMING_STEPS = 5
_MEASURED_S = 3.0
_MEASURED_STEPS = (5, 60)
# Slow steps, or pictures, are measured for no more than this share of the budget: fewer of them, one at least.
_MEASURING_SHARE = 0.05
# Where memory does not hold all pictures, a step is measured on visits to so many.
_SAMPLED_VISITS = 16
# Pictures whose validation is measured.
_VALIDATION_SAMPLE = 6
# Validations in a training whose length is given in epochs or steps.
_VALIDATIONS = 20
# Charts and the end of the program; then a little less than the whole budget is aimed at, since what comes
# after the last step cannot be planned anew.
_FINISH_S = 2.0
_AIMED_SHARE = 0.975
# Small sets are repeated until an epoch has this many steps: a line a second helps nobody.
_STEPS_PER_EPOCH = 25
# With large pictures an epoch may be longer than the whole training: where nobody says how often to validate, it is
# done after so many steps, or so many times as many, if those are fewer than an epoch.
_STEPS_PER_PART = 250


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
    picture_bytes: tuple[int, ...] = ()
    """What each training picture takes in memory, decoded and with its mask."""
    kept_share: float = 1.0
    """How much of all pictures there is room for; the others are decoded whenever a crop is cut from them."""

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

    @property
    def steps_per_validation(self) -> int:
        """Steps between two validations; ``validate_every`` is in epochs."""
        return max(1, round((self.recipe.validate_every or 1) * self.steps_per_epoch))

    @property
    def cold_steps(self) -> int:
        """Steps after which most of the pictures that there is room for have been decoded."""
        crops = self.recipe.batch_size * self.recipe.accumulate
        return math.ceil(2 * self.kept_share * len(self.picture_bytes) / crops)


def job(recipe: Recipe, dataset: Dataset, table: ClassTable, fingerprint: Fingerprint, *, resumed: bool = False) -> Job:
    """Build the network, the batches and the validation part of a recipe.

    A training that is ``resumed`` has its weights already: those that an encoder was begun with are not asked for again.

    Raises:
        InputError: settings that do not fit each other or the data.
        EnvironmentFault: a device or pretrained weights that are not to be had.
    """
    arguments = network_arguments(recipe, fingerprint.preprocessing.channels, table)
    _check_weights(recipe, table)
    if not resumed:
        probe.require_trainable(recipe.precision, probe.device(recipe.device))
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
        None if network.padding == "same" else network.output_size(crop),
    )
    validation = PairReader(dataset.part("val"), table, fingerprint.preprocessing, room)
    model = ModelFile(arguments, table, fingerprint.preprocessing, recipe, {})
    probe.place(network, probe.device(recipe.device))
    teacher = distil.load(recipe, model, probe.device(recipe.device))
    each = _picture_bytes(fingerprint, table)
    kept = room.left_bytes / (sum(each) * (1 + len(validation) / len(train)))
    return Job(
        recipe,
        network,
        Batches(train, sampling, recipe.augment),
        validation,
        model,
        teacher,
        picture_bytes=each,
        kept_share=min(1.0, kept),
    )


def _picture_bytes(fingerprint: Fingerprint, table: ClassTable) -> tuple[int, ...]:
    """What a :class:`PairReader` keeps of each training picture."""
    pixel = fingerprint.preprocessing.channels * np.dtype(fingerprint.preprocessing.dtype).itemsize
    pixel += 2 if table.overlapping else 1
    return tuple(height * width * pixel for height, width in fingerprint.train_sizes)


def settle_length(job: Job, started: float) -> Job:
    """The job with its budget or epochs turned into steps, and the validations spread over them.

    For a budget the time of a step and of a validation is measured on a copy of the network;
    ``started`` is when the budget began to run (``time.monotonic``).
    """
    recipe, per_epoch = job.recipe, job.steps_per_epoch
    if recipe.steps is not None or recipe.epochs is not None:
        steps = recipe.steps or (recipe.epochs or 1) * per_epoch
        parts = -(-steps // (_VALIDATIONS * _STEPS_PER_PART))
        every = recipe.validate_every or _epochs_between(per_epoch, steps // per_epoch // _VALIDATIONS, parts)
        ends, finish_s = None, 0.0
    else:
        step_s, validation_s = step_seconds(job), validation_seconds(job)
        wanted = validation_s / (VALIDATION_SHARE * step_s)  # steps
        parts = round(wanted / _STEPS_PER_PART)
        every = recipe.validate_every or _epochs_between(per_epoch, round(wanted / per_epoch), parts)
        finish_s = finish_seconds(job, validation_s)
        ends = started + aimed_seconds(recipe) - finish_s
        steps = max(1, int((ends - time.monotonic()) / (step_s + validation_s / max(1, every * per_epoch))))
    recipe = recipe.model_copy(update={"steps": steps, "epochs": None, "budget": None, "validate_every": every})
    return replace(job, recipe=recipe, model=replace(job.model, recipe=recipe), deadline=ends, finish_s=finish_s)


def _epochs_between(per_epoch: int, epochs: int, parts: int) -> float:
    """So many epochs between two validations, or so many parts of a long one if these are far fewer than an epoch."""
    steps = _STEPS_PER_PART * max(1, parts)
    return steps / per_epoch if 1.5 * steps < per_epoch else max(1, epochs)


def aimed_seconds(recipe: Recipe) -> float:
    """What of a budget all but the charts may take."""
    return _AIMED_SHARE * seconds(recipe.budget or "10m") - _FINISH_S


def finish_seconds(job: Job, validation_s: float) -> float:
    """After the last step: a validation, and the pictures of ``samples.png`` once more."""
    pictures = len(job.validation)
    return validation_s * (1 + min(FIGURE_ROWS, pictures) / pictures)


def _most_seconds(recipe: Recipe) -> float:
    """What measuring may take before it is content with less."""
    return _MEASURING_SHARE * seconds(recipe.budget or "10m")


def step_seconds(
    job: Job, warming: int = _WARMING_STEPS, for_s: float = _MEASURED_S, fewest: int = _MEASURED_STEPS[0]
) -> float:
    """Seconds of a training step, data included: ``warming`` steps, then as many as take ``for_s`` seconds.

    Of slow steps fewer warm up and are measured, one at least of either.
    """
    trial = copy.deepcopy(job.network).train()
    recipe, device = job.recipe, next(trial.parameters()).device
    optimiser = optimisation.optimiser(trial, recipe)
    criterion = losses.build(recipe.loss, overlapping=job.model.table.overlapping, class_weights=recipe.class_weights)
    precision = probe.precision(recipe.precision, device)
    average = Average(trial, recipe.ema)
    rng, most_s = torch.get_rng_state(), max(for_s, _most_seconds(recipe))
    warm: list[float] = []
    measured: list[float] = []
    begun = time.monotonic()
    # Closed before anything else is measured: large pictures that are still being decoded would take its cores.
    with closing(_trial(job, warming).stream(0, warming + _MEASURED_STEPS[1], recipe.workers, wait=True)) as batches:
        for x, y in batches:
            with probe.autocast(device, precision):
                logits = trial(x.to(device))
            job.loss(criterion, logits, x.to(device), y.to(device)).backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
            torch.nn.utils.clip_grad_norm_(trial.parameters(), recipe.clip or math.inf)
            optimiser.step()
            optimiser.zero_grad()
            average.update(0)
            if device.type != "cpu":
                torch.get_device_module(device).synchronize()
            now = time.monotonic()
            is_warm = len(warm) == warming or sum(warm) >= most_s
            (measured if is_warm else warm).append(now - begun)
            begun = now
            is_enough = len(measured) >= fewest or (measured and sum(warm) + sum(measured) >= most_s)
            if is_enough and sum(measured) >= for_s:
                break
    torch.set_rng_state(rng)
    # The mean, hiccups and all: the training will have them too.
    return statistics.fmean(measured) * recipe.accumulate


def _trial(job: Job, warming: int) -> Batches:
    """Batches of few pictures, which take as long as those of the training do once it is under way."""
    reader, sampling = job.batches.reader, job.batches.sampling
    visits = sampling.visits
    if job.kept_share == 1:
        # All but the first epoch of a training finds them in memory, and the threads that decode would take the
        # cores from the steps that are measured.
        few = visits[: max(1, warming - 1) * sampling.batch_size]
    else:
        # From all over the set, and as many of them as of all are kept.
        count = min(len(visits), max(sampling.batch_size, _SAMPLED_VISITS))
        few = tuple(visits[place * len(visits) // count] for place in range(count))
        each = [job.picture_bytes[index] for index in set(few)]
        kept_bytes = job.kept_share * sum(each) + sum(each) / len(each) / 2  # rounded to whole pictures
        reader = PairReader(reader.pairs, reader.table, reader.preprocessing, Room(kept_bytes / CACHE_MEMORY_SHARE))
        sampling = replace(sampling, focus=_among(set(few), sampling.focus))
    return Batches(reader, replace(sampling, visits=few), job.batches.augment)


def _among(pictures: set[int], of: Focus | None) -> Focus | None:
    """The focus on what these pictures hold of the rare classes; None where they hold nothing."""
    held = (
        (key, tuple(index for index in holders if index in pictures)) for key, holders in (of.holders if of else ())
    )
    holders = tuple((key, those) for key, those in held if those)
    return replace(of, holders=holders) if of is not None and holders else None


def validation_seconds(job: Job) -> float:
    """Seconds of a validation: from a few pictures, by their share of all pictures."""
    segmenter, reader = job.segmenter(copy.deepcopy(job.network).eval()), job.validation
    if job.kept_share < 1:  # each validation decodes them anew
        reader = PairReader(reader.pairs, reader.table, reader.preprocessing, Room(0))
    matrix, times = evaluate.counter(reader.table), list[float]()
    # The first one twice: it warms up, unless it takes long.
    for index in (0, *range(0, len(reader), max(1, len(reader) // _VALIDATION_SAMPLE))):
        if job.kept_share == 1:
            reader.read(index)
        begun = time.monotonic()
        pixels, truth, valid_HW = reader.read_valid(index)
        matrix.add(truth, evaluate.answer(segmenter, pixels, valid_HW=valid_HW))
        times.append(time.monotonic() - begun)
        if sum(times) >= _most_seconds(job.recipe):
            break
    return statistics.fmean(times[1:] or times) * len(reader)
