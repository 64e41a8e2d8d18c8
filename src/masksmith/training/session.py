"""A whole training: data checked, run begun, network trained, results written.

Rule: nothing is written before the data and the settings have been found right.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from masksmith import modelfile
from masksmith.data import dataset, doctor
from masksmith.data.augment import load_transform
from masksmith.data.doctor import Checkup
from masksmith.errors import RecipeError, RunError
from masksmith.events import Listener
from masksmith.inference.segmenter import Segmenter
from masksmith.metrics import from_dict
from masksmith.planning import probe
from masksmith.recipe import Recipe
from masksmith.report import summary
from masksmith.run import Run
from masksmith.training import loop, prepare, state

# The settings that a resumed training may change; all others decide what was trained already.
_RESUMABLE = {"steps", "epochs", "workers", "patience", "validate_every"}


def train(
    data: str | os.PathLike[str] | None,
    run: str | os.PathLike[str],
    *,
    settings: Mapping[str, object] | None = None,
    base: Recipe | None = None,
    overwrite: bool = False,
    listener: Listener | None = None,
) -> Run:
    """Train a U-Net on a folder of pictures and masks.

    Args:
        data: the folder; None if ``settings`` names ``data.images`` and ``data.masks``.
        run: the folder to make, with the model and everything about its training.
        settings: dotted keys of the recipe, such as ``{"model.depth": 4, "budget": "5m"}``.
        base: a recipe to start from in place of the defaults.
        overwrite: replace an earlier run of that name.
        listener: hears of progress; nothing is printed without one.

    Returns:
        The run; ``masksmith.load(run.path)`` predicts with it.

    Raises:
        InputError: data or settings that cannot be used, in one sentence.
        EnvironmentFault: what this machine does not have.
    """
    started = time.monotonic()
    listener = listener or Listener()
    chosen = (base or Recipe()).with_settings(settings or {})
    found = dataset.find(None if data is None else Path(data), chosen.data)
    checkup = doctor.examine(found, chosen.data, seed=chosen.seed, progress=listener.checked)
    if chosen.augment.callable is not None:
        load_transform(chosen.augment.callable)
    table, fingerprint = checkup.require()
    found = checkup.dataset
    _describe(checkup, listener)
    job = prepare.job(chosen, found, table, fingerprint)
    job.batches.batch(0)  # whatever is wrong with crops and transforms is told before a folder is made
    folder = Run(Path(run))
    folder.start(job.recipe, table, found, overwrite=overwrite)
    job = prepare.settle_length(job, started)
    folder.write_recipe(job.recipe)
    listener.message(
        f"network: {job.network.num_parameters:,} parameters, crops of {job.recipe.crop} pixels, {job.recipe.steps} steps of {job.recipe.batch_size * job.recipe.accumulate}"
    )
    return _finish(job, folder, listener, resume=False)


def resume(
    run: str | os.PathLike[str], *, settings: Mapping[str, object] | None = None, listener: Listener | None = None
) -> Run:
    """Go on with a training that was interrupted, or lengthen one with more steps or epochs.

    Raises:
        RunError: nothing to go on with.
        RecipeError: a setting that would change what was trained already.
    """
    listener = listener or Listener()
    folder = Run(Path(run))
    before = folder.read_recipe()
    for key in settings or {}:
        if key not in _RESUMABLE:
            raise RecipeError(
                where=f"--resume {key}=…",
                expected=f"one of {', '.join(sorted(_RESUMABLE))}",
                received=key,
                remedy="start a new run to change it",
            )
    state.require(folder)
    found = folder.read_dataset()
    table = replace(folder.read_table(), snap=before.data.snap, border_px=before.data.border)
    checkup = doctor.examine(found, before.data, table, seed=None, progress=listener.checked)
    table, fingerprint = checkup.require()
    chosen = before.with_settings(settings or {}) if settings else before
    job = prepare.settle_length(prepare.job(chosen, found, table, fingerprint), time.monotonic())
    if job.recipe.steps != before.steps:
        listener.message(f"the schedule is planned anew: {job.recipe.steps} steps in place of {before.steps}")
        folder.write_recipe(job.recipe)
    return _finish(job, folder, listener, resume=True)


def _finish(job: prepare.Job, folder: Run, listener: Listener, *, resume: bool) -> Run:
    loop.train(job, folder, listener, resume=resume)
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
