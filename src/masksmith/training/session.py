"""A whole training: data checked, run begun, network trained, results written.

Rule: nothing is written before the data and the settings have been found right.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from masksmith import files, modelfile
from masksmith.data import dataset, doctor
from masksmith.data.augment import load_transform
from masksmith.data.dataset import Dataset
from masksmith.data.doctor import Checkup
from masksmith.errors import RecipeError, RunError
from masksmith.events import Listener
from masksmith.inference.segmenter import Segmenter
from masksmith.metrics import from_dict
from masksmith.planning import plan as planning
from masksmith.planning import probe
from masksmith.planning.plan import Plan
from masksmith.recipe import Recipe, seconds
from masksmith.report import summary
from masksmith.run import Run
from masksmith.training import allocator, caller, distil, extension, loop, memory, prepare, sizing, state, transfer

# The settings that a resumed training may change; all others decide what was trained already.
_RESUMABLE = {"steps", "epochs", "workers", "patience", "validate_every"}
# Where validation takes more than this share of a budget, that is told.
_MOST_VALIDATED = 0.4


@memory.told()
@allocator.keeping()
@caller.untouched()
def train(  # noqa: PLR0913 - the public options, each with its default
    data: str | os.PathLike[str] | None,
    run: str | os.PathLike[str],
    *,
    settings: Mapping[str, object] | None = None,
    base: Recipe | None = None,
    start: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    started: float | None = None,
    listener: Listener | None = None,
) -> Run:
    """Train a U-Net on a folder of pictures and masks.

    Args:
        data: the folder; None if ``settings`` names ``data.images`` and ``data.masks``.
        run: the folder to make, with the model and everything about its training.
        settings: dotted keys of the recipe, such as ``{"model.depth": 4, "budget": "5m"}``.
        base: a recipe to start from in place of the defaults.
        start: a run or model file whose network and weights to start from.
        overwrite: replace an earlier run of that name.
        started: when a budget began to run, by ``time.monotonic``; None: now.
        listener: hears of progress; nothing is printed without one.

    Returns:
        The run; ``masksmith.load(run.path)`` predicts with it.

    Raises:
        InputError: data or settings that cannot be used, in one sentence.
        EnvironmentFault: what this machine does not have.
    """
    started = time.monotonic() if started is None else started
    listener = listener or Listener()
    extension.refuse(settings or {})
    chosen = distil.apart((base or Recipe()).with_settings(settings or {}), Path(run))
    other = None if start is None else transfer.read(Path(start))
    settled = settle(data, chosen if other is None else other.settle(chosen), listener, started)
    job = settled.job
    if other is not None:
        listener.message(other.load(job.network, job.model.table.names))
    folder = Run(Path(run))
    files.make_folder(folder.path)
    with files.locked(folder.path):
        folder.start(job.recipe, job.model.table, settled.dataset, overwrite=overwrite)
        job = memory.settle_length(job, started)
        _tell_of_short(job, settled.job.recipe.budget, listener)
        folder.write_recipe(job.recipe)
        made = _with_length(settled.plan, job)
        folder.write_plan(made.to_yaml(f"masksmith plan for {data}"))
        listener.planned([(choice.key, choice.shown, choice.reason) for choice in made.choices])
        listener.message(f"network: {job.network.num_parameters:,} parameters")
        return _finish(job, folder, listener, resume=False)


def _tell_of_short(job: prepare.Job, budget: str | None, listener: Listener) -> None:
    """Say that hardly anything of a budget is left for training, where validation takes it."""
    if budget is not None and job.finish_s > _MOST_VALIDATED * seconds(budget):
        listener.message(
            f"warning: of {budget}, to validate {len(job.validation)} pictures at the end takes about {job.finish_s:.0f} s, so that "
            f"{job.recipe.steps} steps are trained: give more time, or put fewer pictures into the validation part"
        )


@dataclass(frozen=True)
class Settled:
    """Data that were checked, the plan made for them, and all that training needs."""

    plan: Plan
    job: prepare.Job
    dataset: Dataset


def settle(
    data: str | os.PathLike[str] | None, chosen: Recipe, listener: Listener, started: float | None = None
) -> Settled:
    """Check the data, plan what the recipe leaves open, and build it; nothing is written.

    Raises:
        InputError: data or settings that cannot be used.
        EnvironmentFault: what this machine does not have.
    """
    started = time.monotonic() if started is None else started
    found = dataset.find(None if data is None else Path(data), chosen.data)
    checkup = doctor.examine(found, chosen.data, seed=chosen.seed, progress=listener.checked)
    made = planned(chosen, checkup)
    _describe(checkup, listener)
    made, job = sizing.settle(made, lambda recipe: prepare.job(recipe, checkup.dataset, *checkup.require()), started)
    job.batches.batch(0)  # whatever is wrong with crops and transforms is told before a folder is made
    return Settled(made, job, checkup.dataset)


def planned(chosen: Recipe, checkup: Checkup) -> Plan:
    """What the recipe leaves open follows from data that are right; what it says is tried as far as needs no network.

    Raises:
        InputError: data or settings that cannot be used.
    """
    if chosen.augment.callable is not None:
        load_transform(chosen.augment.callable)
    table, fingerprint = checkup.require()
    prepare.require_heeded(chosen, table)
    return planning.make(chosen, fingerprint, table)


@memory.told()
@allocator.keeping()
@caller.untouched()
def plan(
    data: str | os.PathLike[str] | None,
    *,
    settings: Mapping[str, object] | None = None,
    base: Recipe | None = None,
    listener: Listener | None = None,
) -> Plan:
    """What :func:`train` would settle for these data, on this machine, in this time; nothing is written.

    Raises:
        InputError: data or settings that cannot be used.
        EnvironmentFault: what this machine does not have.
    """
    started = time.monotonic()
    extension.refuse(settings or {})
    settled = settle(data, (base or Recipe()).with_settings(settings or {}), listener or Listener(), started)
    return _with_length(settled.plan, memory.settle_length(settled.job, started))


def _with_length(made: Plan, job: prepare.Job) -> Plan:
    """The plan with the number of steps, where it follows from a time."""
    budget = made.recipe.budget
    if budget is None:
        return made
    per_step = job.recipe.batch_size * job.recipe.accumulate
    return made.with_choice("steps", job.recipe.steps, f"{budget}, validations included; {per_step} crops in a step")


@memory.told()
@allocator.keeping()
@caller.untouched()
def resume(
    run: str | os.PathLike[str], *, settings: Mapping[str, object] | None = None, listener: Listener | None = None
) -> Run:
    """Go on with a training that was interrupted, or lengthen one.

    Args:
        run: the run folder.
        settings: ``{"steps": 4000}`` plans the training anew for so many steps in all;
            ``{"steps": "+500"}``, ``{"epochs": "+5"}`` or ``{"budget": "+10m"}`` goes on for so much more.
        listener: hears of progress.

    Raises:
        RunError: nothing to go on with.
        RecipeError: a setting that would change what was trained already.
    """
    started = time.monotonic()
    folder = Run(Path(run))
    if files.holds_nothing_whole(folder.path):  # killed before its first file: no recipe to read either
        state.require(folder)
    before = folder.read_recipe()
    with files.locked(folder.path):
        folder.tidy()
        return _resume(folder, before, settings or {}, listener or Listener(), started)


def _resume(folder: Run, before: Recipe, settings: Mapping[str, object], listener: Listener, started: float) -> Run:
    settings, more = extension.split(settings)
    _require_resumable(settings)
    state.require(folder)
    found = folder.read_dataset()
    table = replace(folder.read_table(), snap=before.data.snap, border_px=before.data.border)
    checkup = doctor.examine(found, before.data, table, seed=None, progress=listener.checked)
    table, fingerprint = checkup.require()
    recipe = before.with_settings(settings) if settings else before
    job = prepare.job(recipe, found, table, fingerprint, resumed=True)
    job = extension.extend(job, folder, more, started) if more else prepare.settle_length(job, started)
    if more:
        begin = job.recipe.extended[-1][0] if job.recipe.extended else 0
        listener.message(f"extended: {(job.recipe.steps or 0) - begin} more steps after step {begin}")
    elif job.recipe.steps != before.steps:
        extension.require_ahead(folder, job.recipe.steps or 1)
        listener.message(f"the schedule is planned anew: {job.recipe.steps} steps in place of {before.steps}")
        state.forget_patience(folder)
    if job.recipe != before:
        folder.write_recipe(job.recipe)
    return _finish(job, folder, listener, resume=True)


def _require_resumable(settings: Mapping[str, object]) -> None:
    for key in settings:
        if key not in _RESUMABLE:
            raise RecipeError(
                where=f"--resume {key}=…",
                expected=f"one of {', '.join(sorted(_RESUMABLE))}",
                received=key,
                remedy="write it with a +, as in --budget +10m, to train on for so long"
                if key == "budget"
                else "start a new run to change it",
            )


def _finish(job: prepare.Job, folder: Run, listener: Listener, *, resume: bool) -> Run:
    loop.train(job, folder, listener, resume=resume)
    files.remove([folder.previous_state_file])  # of use only while there is more to come
    if not folder.model_file.is_file():
        raise RunError(
            where=folder.path,
            expected="a validation that could be scored",
            received="none (no class occurs in the validation part)",
            remedy="add masks with classes to the validation part",
        )
    best = modelfile.read(folder.path)
    network = best.build()
    probe.place(network, next(job.network.parameters()).device)
    segmenter = Segmenter(best, network=network, precision=job.recipe.precision)
    summary.write_training(folder, segmenter, job.validation, from_dict(best.figures["validation"]))
    return folder


def _describe(checkup: Checkup, listener: Listener) -> None:
    fingerprint, decision = checkup.fingerprint, checkup.decision
    if fingerprint is None or decision is None:
        return
    parts = ", ".join(
        f"{n} {split}"
        for split, n in sorted(fingerprint.pictures.items(), key=lambda item: ("train", "val", "test").index(item[0]))
    )
    overlapping = " that may overlap" if decision.table.overlapping else ""
    listener.message(
        f"data: {parts}; {len(decision.table)} classes{overlapping} ({', '.join(decision.table.names[:6])}{', …' if len(decision.table) > 6 else ''})"
    )
    for finding in checkup.findings:
        listener.message(f"warning: {finding}" if finding.severity == "warning" else finding.received)
