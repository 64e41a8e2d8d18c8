"""The network is as large as the time allows, and never another than the one that was asked for."""

from __future__ import annotations

import itertools
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from tests.helpers import write_set

from masksmith.data import batches, room
from masksmith.data.batches import Batches
from masksmith.data.focus import Focus
from masksmith.events import Listener
from masksmith.recipe import Recipe
from masksmith.run import Run
from masksmith.training import memory, prepare, session, sizing
from masksmith.training.prepare import Job
from masksmith.training.sizing import LADDER, Rung


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_set(tmp_path / "set", count=3)


def test_little_time_takes_the_smallest_and_much_time_the_largest(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sizing, "LADDER", (Rung((4, 8)), Rung((8, 16)), Rung((12, 16))))
    small = {"crop": 32, "batch_size": 1}
    hurried = session.plan(folder, settings={"budget": "2s", **small})
    patient = session.plan(folder, settings={"budget": "500h", **small})
    assert hurried.recipe.model.channels == (4, 8)
    assert patient.recipe.model.channels == (12, 16)
    assert patient.recipe.batch_size == 1
    (why,) = (c.reason for c in patient.choices if c.key == "model.channels")
    assert "steps fit into 500h" in why


def test_steps_to_spare_make_larger_batches(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rungs = Rung((4, 8)), Rung((4, 8), batches=2, steps_wanted=8000)
    monkeypatch.setattr(sizing, "LADDER", rungs)
    before = session.plan(folder, settings={"steps": 1}).recipe.batch_size
    made = session.plan(folder, settings={"budget": "500h"})
    assert made.recipe.batch_size == 2 * before
    assert [c.key for c in made.choices].count("batch_size") == 1
    assert session.plan(folder, settings={"budget": "5s"}).recipe.batch_size <= before


def test_few_steps_make_smaller_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of pictures of 64 pixels the plan takes as many as there are; in next to no time that is too many."""
    monkeypatch.setattr(sizing, "LADDER", (Rung((4, 8)),))
    monkeypatch.setattr(sizing.prepare, "step_seconds", lambda *_: 0.05)
    folder = write_set(tmp_path / "set", count=12)
    wanted = session.plan(folder, settings={"steps": 1}).recipe.batch_size
    hurried = session.plan(folder, settings={"budget": "1s"})  # at most 20 steps
    assert wanted > hurried.recipe.batch_size == 4
    (why,) = (c.reason for c in hurried.choices if c.key == "batch_size")
    assert f"of {wanted} crops only" in why
    assert session.plan(folder, settings={"budget": "500h"}).recipe.batch_size >= wanted
    assert session.plan(folder, settings={"budget": "1s", "batch_size": wanted}).recipe.batch_size == wanted
    assert session.plan(folder, settings={"budget": "1s", "accumulate": 2}).recipe.batch_size == wanted


@pytest.mark.parametrize(
    "settings",
    [{"model.depth": 3}, {"model.preset": "minimal"}, {"model.channels": (4, 8)}, {"steps": 5}, {"epochs": 1}],
)
def test_what_was_asked_for_stays(folder: Path, settings: dict[str, object]) -> None:
    made = session.plan(folder, settings=settings)
    assert "model.channels" not in {c.key for c in made.choices}
    for key, value in settings.items():
        section, _, name = key.rpartition(".")
        assert getattr(getattr(made.recipe, section) if section else made.recipe, name) == value


def test_the_run_keeps_the_plan_and_trains_by_it(folder: Path, tmp_path: Path) -> None:
    class Heard(Listener):
        choices: tuple[tuple[str, str, str], ...] = ()

        def planned(self, choices: object) -> None:
            self.choices = tuple(choices)  # type: ignore[arg-type,assignment]

    heard = Heard()
    run = session.train(folder, tmp_path / "run", settings={"budget": "3s"}, listener=heard)
    recipe = Run(run.path).read_recipe()
    by_key = {key: (value, reason) for key, value, reason in heard.choices}
    assert recipe.model.channels == LADDER[0].channels
    assert by_key["crop"][0] == str(recipe.crop)
    assert by_key["steps"][0] == str(recipe.steps)
    text = (run.path / "plan.yaml").read_text(encoding="utf-8")
    for _, reason in by_key.values():
        assert f"# {reason}" in text
    assert run.read_model().recipe == recipe


def test_a_recipe_with_everything_in_it_is_not_planned_again(folder: Path, tmp_path: Path) -> None:
    first = session.train(folder, tmp_path / "one", settings={"steps": 3, "workers": 1})
    again = session.plan(folder, base=first.read_recipe())
    assert again.choices == ()
    assert again.recipe == first.read_recipe() == Recipe.model_validate(first.read_recipe().model_dump())


@pytest.mark.parametrize(("finish_s", "is_told"), [(5.0, True), (3.0, False)])
def test_a_budget_that_validation_eats_is_told(folder: Path, finish_s: float, is_told: bool) -> None:
    class Heard(Listener):
        said = ""

        def message(self, text: str) -> None:
            self.said = text

    heard, settled = Heard(), session.settle(folder, Recipe(steps=7, epochs=None, budget=None), Listener())
    session._tell_of_short(replace(settled.job, finish_s=finish_s), "10s", heard)
    assert ("of 10s" in heard.said and "takes about 5 s, so that 7 steps are trained" in heard.said) == is_told


def test_what_validation_takes_at_the_end_is_kept_with_the_length(folder: Path) -> None:
    job = session.settle(folder, Recipe(budget="20s"), Listener()).job
    started = time.monotonic()
    settled = memory.settle_length(job, started)
    assert settled.finish_s > 0
    assert settled.deadline == pytest.approx(started + 0.975 * 20 - 2 - settled.finish_s)


@pytest.mark.parametrize(("pictures", "validations"), [(2, 2.0), (8, 1.5)])
def test_at_the_end_a_validation_and_few_pictures_are_left_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pictures: int, validations: float
) -> None:
    folder = write_set(tmp_path / "set", count=pictures)
    job = session.settle(folder, Recipe().with_settings({"steps": 1, "model.channels": (4, 8)}), Listener()).job
    job = replace(job, recipe=job.recipe.model_copy(update={"steps": None, "budget": "20s"}))
    monkeypatch.setattr(prepare, "validation_seconds", lambda _: 1.5)
    assert prepare.settle_length(job, time.monotonic()).finish_s == pytest.approx(validations * 1.5)


def test_validation_counts_where_the_network_is_chosen(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """900 steps of the larger network would fit, were it not for the 60 seconds that it takes after the last step."""
    monkeypatch.setattr(sizing, "LADDER", (Rung((4, 8)), Rung((8, 16), steps_wanted=800)))
    for validation_s, channels in ((3.0, (4, 8)), (0.03, (8, 16))):
        monkeypatch.setattr(prepare, "step_seconds", lambda job, *_: {4: 0.01, 8: 0.1}[job.recipe.model.channels[0]])
        monkeypatch.setattr(prepare, "validation_seconds", lambda _, found=validation_s: found)
        made = session.settle(folder, Recipe(budget="100s"), Listener())
        assert made.job.recipe.model.channels == channels


@pytest.mark.parametrize(("step_s", "steps"), [(8.0, 2), (0.9, 8), (0.05, 65)])
def test_slow_steps_are_measured_a_few_times(
    folder: Path, monkeypatch: pytest.MonkeyPatch, step_s: float, steps: int
) -> None:
    """Of a budget of a minute the ten steps that are measured at least would take more, eight seconds each."""
    settings = {"steps": 1, "model.channels": (4, 8), "crop": 16, "batch_size": 1, "model.stem": 1}
    job = session.settle(folder, Recipe().with_settings(settings), Listener()).job
    job = replace(job, recipe=job.recipe.model_copy(update={"steps": None, "budget": "1m"}))
    calls: list[int] = []
    job.network.register_forward_hook(lambda *_: calls.append(1))
    now = itertools.count()
    monkeypatch.setattr(prepare, "time", SimpleNamespace(monotonic=lambda: step_s * next(now)))
    assert prepare.step_seconds(job) == pytest.approx(step_s)
    assert len(calls) == steps


def test_what_memory_does_not_hold_is_decoded_while_steps_are_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, each = write_set(tmp_path / "set", parts=("train", "val"), count=20), 40 * 48 * 4
    settings = {"steps": 1, "model.channels": (4, 8), "crop": 8, "batch_size": 4}
    job = session.settle(folder, Recipe().with_settings(settings), Listener()).job
    assert job.kept_share == 1
    assert set(prepare._trial(job, 5).sampling.visits) == {0}  # 30 crops cover a picture
    monkeypatch.setattr(room, "free", lambda: 2 * 10 * each)  # half of it is room for pictures, of 40
    job = session.settle(folder, Recipe().with_settings(settings), Listener()).job
    assert set(job.picture_bytes) == {each}
    assert job.kept_share == pytest.approx(0.25)
    before = set(job.batches.reader._kept)  # of the batch that is tried
    assert min(prepare.validation_seconds(job), prepare.step_seconds(job, 1, 0.0, 1)) > 0
    assert set(job.batches.reader._kept) == before
    assert not job.validation._kept  # as in the training, where those of the training part have all the room
    trial = prepare._trial(job, 5)
    assert len(trial.sampling.visits) == len(set(trial.sampling.visits)) == 16
    assert max(trial.sampling.visits) > 16  # from all over the set
    for _ in range(2):
        kept = [trial.reader.read(index) for index in trial.sampling.visits]
    again = [trial.reader.read(index) for index in trial.sampling.visits]
    assert sum(ours[0] is theirs[0] for ours, theirs in zip(kept, again, strict=True)) == 4


@pytest.fixture
def crowded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Job:
    """A job with room for a quarter of its pictures."""
    folder, each = write_set(tmp_path / "set", parts=("train", "val"), count=20), 40 * 48 * 4
    monkeypatch.setattr(room, "free", lambda: 2 * 10 * each)
    settings = {"steps": 1, "model.channels": (4, 8), "crop": 8, "batch_size": 4}
    return session.settle(folder, Recipe().with_settings(settings), Listener()).job


def test_nothing_is_decoded_any_more_when_validation_is_measured(crowded: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    """All batches but the two that are measured are being made when the measuring ends."""
    ending, plain = threading.Event(), Batches.batch

    class Pool(ThreadPoolExecutor):
        def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
            ending.set()
            super().shutdown(wait, cancel_futures=cancel_futures)

    def late(self: Batches, step: int) -> object:
        if step > 1:
            ending.wait(60)
        return plain(self, step)

    monkeypatch.setattr(batches, "ThreadPoolExecutor", Pool)
    monkeypatch.setattr(Batches, "batch", late)
    before = set(threading.enumerate())
    assert prepare.step_seconds(crowded, 1, 0.0, 1) > 0
    assert ending.is_set()
    assert not [each.name for each in set(threading.enumerate()) - before if each.name.startswith("batches")]


def test_crops_around_rare_classes_are_measured_on_the_pictures_that_are_sampled(crowded: Job) -> None:
    def trial(*holders: tuple[int, tuple[int, ...]]) -> Batches:
        made = crowded.batches
        sampling = replace(made.sampling, focus=Focus(1.0, holders))
        return prepare._trial(replace(crowded, batches=Batches(made.reader, sampling, made.augment)), 5)

    sampled = set(prepare._trial(crowded, 5).sampling.visits)
    others = tuple(set(range(20)) - sampled)
    assert len(others) == 4
    assert trial((1, others)).sampling.focus is None
    focused = trial((0, others), (1, tuple(range(20))))
    assert focused.sampling.focus == Focus(1.0, ((1, tuple(sorted(sampled))),))
    for step in range(6):
        focused.batch(step)
    assert {picture for picture, _ in focused.reader._places} <= sampled
    assert len(focused.reader._kept) == 4
