"""Pins down the pace: a budget is kept on a machine whose speed changes, and what was done can be repeated."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers import write_set
from masksmith import modelfile, recipe
from masksmith.errors import RecipeError
from masksmith.recipe import Recipe
from masksmith.training import optimisation, session
from masksmith.training.pacing import Pace, position


def trained(
    speed: Callable[[float], float], planned: int, deadline: float, cold_steps: int = 0
) -> tuple[float, int, list[tuple[int, int]]]:
    """When a training ends whose step takes ``speed(now)`` seconds, its steps, and the changes of plan."""
    now = 0.0
    pace, step, total = Pace(deadline, 0, clock=lambda: now, cold_steps=cold_steps), 0, planned
    paced: list[tuple[int, int]] = []
    while step < total:
        anew = pace.planned(step, total)
        if anew != total:
            paced.append((step, total))
            total = anew
        now += speed(now)
        step += 1
    return now, step, paced


@pytest.mark.parametrize(
    "speed",
    [
        lambda now: 0.1,
        lambda now: 0.2,
        lambda now: 0.05,
        lambda now: 0.1 if now < 50 else 0.25,
        lambda now: 0.3 if now < 30 else 0.1,
        lambda now: 0.1 + 0.1 * (now % 10 > 5),
    ],
    ids=["as measured", "twice as slow", "twice as fast", "slower after half", "faster after a third", "in waves"],
)
def test_a_budget_is_kept_whatever_the_machine_does(speed: Callable[[float], float]) -> None:
    ended, _, _ = trained(speed, 1000, 100.0)
    assert 97 <= ended <= 102


def test_a_machine_that_does_as_was_measured_keeps_its_plan() -> None:
    ended, steps, paced = trained(lambda now: 0.1, 1000, 100.2)
    assert (round(ended), steps, paced) == (100, 1000, [])


@pytest.mark.parametrize("slower", [5, 40, 150])
def test_steps_far_slower_than_was_measured_do_not_overrun(slower: int) -> None:
    ended, steps, paced = trained(lambda now: 0.1 * slower, 1000, 100.0)
    assert 100 - 0.1 * slower <= ended <= 100 + 0.1 * slower
    assert paced[0][0] <= max(1, 200 // slower)  # within a fifth of the time, or after the first step
    assert steps < 1000


def test_pictures_that_are_decoded_once_do_not_shorten_the_plan() -> None:
    """The first steps decode all pictures, and take a third of the time; the plan is as good as it was."""
    cold = lambda now: 6.0 if now < 30 else 0.1  # noqa: E731
    _, steps, paced = trained(cold, 1000, 100.0, cold_steps=5)
    assert steps > 600
    assert all(total > 600 for _, total in paced)
    ended, _, paced = trained(lambda now: 4.0, 1000, 100.0, cold_steps=500)  # if they all take so long after all
    assert 96 <= ended <= 104
    assert paced[0][0] == 13  # at half of the time


@pytest.mark.parametrize("cold_steps", [97, 99, 100])
@pytest.mark.parametrize("cold_s", [0.1, 0.3])
def test_one_slow_step_beside_a_look_does_not_cut_the_plan(cold_steps: int, cold_s: float) -> None:
    """The first look, after a tenth of the steps, falls where all pictures have just been decoded."""
    taken = iter([cold_s] * cold_steps + [2.0] + [0.1] * 1000)
    ended, steps, paced = trained(lambda _: next(taken), 1000, 100.0, cold_steps=cold_steps)
    assert 97 <= ended <= 102
    # What the slow ones took is missed at the first look, or soon after; one that came just after it at the second.
    assert 100 <= paced[0][0] < (251 if cold_s == 0.1 else 200)
    assert min(steps, *(total for _, total in paced)) > 600


def test_where_the_first_steps_are_as_fast_as_the_others_nothing_begins_anew() -> None:
    """As if no step were cold, hiccup and all."""
    times = [0.11] * 60 + [2.0] + [0.1] * 39 + [3.0] + [0.12] * 1000
    plans = []
    for cold_steps in (0, 59, 61, 99, 100, 101):
        taken = iter(times)
        plans.append(trained(lambda _, taken=taken: next(taken), 1000, 100.0, cold_steps=cold_steps))  # type: ignore[misc]
    assert plans == [plans[0]] * len(plans)


def test_without_a_deadline_nothing_is_planned_anew() -> None:
    pace = Pace(None, 0)
    assert [pace.planned(step, 50) for step in range(50)] == [50] * 50


@given(st.integers(1, 500), st.lists(st.tuples(st.integers(1, 60), st.integers(1, 300)), max_size=5))
def test_a_schedule_goes_on_from_where_it_was(first: int, changes: list[tuple[int, int]]) -> None:
    paced, at, total = [], 0, first
    for later, left in changes:
        at += later
        if at >= total:
            break
        paced.append((at, total))
        total = at + left
    places = [position(paced, step, total) for step in range(total)]
    assert all(a < b for a, b in zip(places, places[1:], strict=False))
    assert places[0] > 0
    assert places[-1] < 1
    if not paced:
        assert places == [(step + 0.5) / total for step in range(total)]
    for at, planned in paced:  # what was done before a change is not changed by it
        before = [p for p in paced if p[0] < at]
        assert places[at - 1] == position(before, at - 1, planned)


def test_the_rate_follows_the_position() -> None:
    plain, paced = Recipe(schedule="cosine", lr=1.0), Recipe(schedule="cosine", lr=1.0, paced=((50, 100),))
    assert [optimisation.rate(paced, s, 70) for s in range(50)] == [optimisation.rate(plain, s, 100) for s in range(50)]
    assert optimisation.rate(paced, 69, 70) < 0.01


@pytest.mark.parametrize("paced", [[[0, 5]], [[5, 4]], [[5, 9], [5, 9]], [[1]], "soon"])
def test_impossible_changes_are_refused(paced: object) -> None:
    with pytest.raises(RecipeError, match="paced"):
        recipe.parse({"paced": paced}, where="recipe")


def test_a_budget_makes_a_recipe_that_repeats_it(tmp_path: Path) -> None:
    write_set(tmp_path / "set")
    small = {"model.channels": (4, 8), "crop": 16, "batch_size": 2}
    first = session.train(tmp_path / "set", tmp_path / "a", settings={**small, "budget": "6s"})
    base = recipe.load(first.path / "recipe.yaml")
    assert base.budget is None
    assert (base.steps or 0) >= 1  # how many, the machine decides
    # As if its speed had changed once more.
    again = base.model_copy(update={"steps": 9, "paced": ((4, 30),)})
    runs = [session.train(tmp_path / "set", tmp_path / name, base=again) for name in "bc"]
    models = [modelfile.read(run.path) for run in runs]
    assert models[0].recipe == models[1].recipe
    assert models[0].figures == models[1].figures
    assert models[0].checksum == models[1].checksum
