"""Pins down when a training is validated: every so many epochs, or parts of a long one."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

import masksmith
from helpers import write_set
from masksmith import recipe
from masksmith.events import Listener
from masksmith.recipe import Recipe
from masksmith.run import Run
from masksmith.training import loop, prepare, session
from masksmith.training.prepare import Job
from masksmith.training.state import Progress

# 25 steps in an epoch of five pictures.
TINY: dict[str, object] = {"crop": 32, "batch_size": 2, "model.width": 4, "model.depth": 3, "device": "cpu"}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_set(tmp_path_factory.mktemp("set"), parts=("train", "val"), count=5)


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Job:
    """A job of 2,000 steps in an epoch."""
    folder = write_set(tmp_path_factory.mktemp("long"), parts=("train", "val"), count=1, size=(320, 400))
    settings = {"steps": 1, "model.channels": (4, 8), "crop": 8, "batch_size": 1, "device": "cpu"}
    return session.settle(folder, Recipe().with_settings(settings), Listener()).job


def with_length(job: Job, **length: object) -> Job:
    return replace(job, recipe=job.recipe.model_copy(update=length))


def lines(run: Run) -> list[tuple[object, object, bool]]:
    """Epoch and step of each line of the log, and whether it was validated."""
    return [(row["epoch"], row["step"], row["miou"] is not None) for row in run.read_log()]


def test_parts_of_an_epoch_are_validated(data: Path, tmp_path: Path) -> None:
    run = masksmith.train(data, tmp_path / "run", settings=TINY | {"steps": 32, "validate_every": 0.4})
    assert lines(run) == [(1, 10, True), (1, 20, True), (1, 25, False), (2, 30, True), (2, 32, True)]
    masksmith.resume(run.path, settings={"steps": "+9"})
    assert lines(run)[5:] == [(2, 40, True), (2, 41, True)]


def test_whole_epochs_are_validated_at_their_end(data: Path, tmp_path: Path) -> None:
    run = masksmith.train(data, tmp_path / "run", settings=TINY | {"steps": 60, "validate_every": 2.0})
    assert lines(run) == [(1, 25, False), (2, 50, True), (3, 60, True)]
    assert "validate_every: 2\n" in (run.path / "recipe.yaml").read_text(encoding="utf-8")


def test_patience_counts_validations(data: Path, tmp_path: Path) -> None:
    settings = TINY | {"steps": 400, "patience": 2, "lr": 1e-12, "validate_every": 0.2}
    run = masksmith.train(data, tmp_path / "run", settings=settings)
    scores = [float(row["miou"] or 0) for row in run.read_log()]
    assert lines(run)[-1][1] == 5 * len(scores) < 400  # each end of an epoch is that of a fifth of it
    assert scores.index(max(scores)) == len(scores) - 3


@pytest.mark.parametrize(
    ("steps", "between"),
    [(400, 250), (5000, 250), (5001, 500), (12_000, 750), (39_999, 2000), (41_000, 2000), (120_000, 6000)],
)
def test_of_long_epochs_parts_are_validated_where_they_are_enough(long: Job, steps: int, between: int) -> None:
    settled = prepare.settle_length(with_length(long, steps=steps), 0.0)
    assert settled.steps_per_epoch == 2000
    assert settled.steps_per_validation == between
    assert isinstance(settled.recipe.validate_every, int) == (between >= 2000)
    assert recipe.parse(yaml.safe_load(settled.recipe.to_yaml()), where="x") == settled.recipe
    if between < 2000:
        assert -(-steps // between) <= 20


@pytest.mark.parametrize(("takes_s", "between"), [(0.001, 250), (1.0, 250), (3.0, 500), (10.0, 2000), (18.0, 4000)])
def test_in_a_budget_parts_are_validated_if_that_takes_little_of_it(
    long: Job, monkeypatch: pytest.MonkeyPatch, takes_s: float, between: int
) -> None:
    monkeypatch.setattr(prepare, "step_seconds", lambda _: 0.1)
    monkeypatch.setattr(prepare, "validation_seconds", lambda _: takes_s)
    settled = prepare.settle_length(with_length(long, steps=None, budget="10m"), time.monotonic())
    assert settled.steps_per_validation == between


def test_short_epochs_are_validated_whole(data: Path) -> None:
    job = session.settle(data, Recipe().with_settings(TINY | {"steps": 1}), Listener()).job
    assert job.steps_per_epoch == 25
    for steps, every in ((10, 1), (999, 1), (1000, 2), (4999, 9)):
        assert prepare.settle_length(with_length(job, steps=steps), 0.0).recipe.validate_every == every


def test_epochs_that_are_asked_for_stay_epochs(long: Job) -> None:
    job = prepare.settle_length(with_length(long, steps=4500, validate_every=1), 0.0)
    assert [step for step in range(1, 4501) if loop._is_due(job, step)] == [2000, 4000, 4500]
    assert (job.recipe.validate_every, job.steps_per_validation) == (1, 2000)
    job = with_length(job, validate_every=0.35)
    assert [step for step in range(1, 4501) if loop._is_due(job, step)] == [
        700, 1400, 2000, 2100, 2800, 3500, 4000, 4200, 4500
    ]  # fmt: skip


def test_a_bad_step_in_a_short_line_ends_nothing(long: Job) -> None:
    job = with_length(long, steps=9000)

    def lost(step: int, line_before: int, bad: int, good: int) -> bool:
        log: list[list[float | int | None]] = [[1, line_before, 0.5, None, 0.1, 1.0, 1.0]]
        return loop._is_lost(job, Progress(step=step, bad_count=bad, loss_count=good, log=log))

    assert not lost(2001, 2000, 1, 0)
    assert not lost(2250, 2000, 124, 126)
    assert lost(2250, 2000, 125, 125)
    assert lost(9000, 8999, 1, 0)  # the last line
    assert loop._is_lost(job, Progress(step=250, bad_count=250))
