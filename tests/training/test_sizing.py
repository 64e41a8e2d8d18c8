"""The network is as large as the time allows, and never another than the one that was asked for."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest
from tests.helpers import write_set

from masksmith.events import Listener
from masksmith.recipe import Recipe
from masksmith.run import Run
from masksmith.training import memory, session, sizing
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
