"""An extension: so many more steps, epochs or minutes for a training that has ended or was stopped.

Rule: where an extension began stands in the recipe, so that the learning rate stays a pure function
of the step and an extended training can be repeated as a whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from masksmith.errors import RecipeError
from masksmith.recipe import Recipe
from masksmith.run import Run
from masksmith.training import memory, state
from masksmith.training.prepare import Job

_LENGTHS = ("budget", "epochs", "steps")


def is_more(value: object) -> bool:
    """Whether a length says "so much more", as "+500" does, and not how much in all."""
    return isinstance(value, str) and value.lstrip().startswith("+")


def split(settings: Mapping[str, object]) -> tuple[dict[str, object], dict[str, Any]]:
    """The settings without an extension, and the extension: one length out of budget, epochs and steps.

    >>> split({"steps": "+500", "workers": 1})
    ({'workers': 1}, {'steps': 500})

    Raises:
        RecipeError: two lengths, or one that is none.
    """
    given = {key: settings[key] for key in _LENGTHS if settings.get(key) is not None}
    more = {key: str(value).strip()[1:] for key, value in given.items() if is_more(value)}
    if not more:
        return dict(settings), {}
    checked = Recipe().with_settings(given | more)
    rest = {key: value for key, value in settings.items() if key not in _LENGTHS}
    return rest, {key: getattr(checked, key) for key in more}


def refuse(settings: Mapping[str, object]) -> None:
    """Make sure that a new training is not asked for "so much more".

    Raises:
        RecipeError: it is.
    """
    for key in _LENGTHS:
        if is_more(settings.get(key)):
            raise RecipeError(
                where=f"{key}={settings[key]}",
                expected="--resume beside a length with +",
                received="a new training",
                remedy=f"leave the + out, or go on with a run by masksmith train -o RUN --resume --{key} {settings[key]}",
            )


def steps_done(run: Run) -> int:
    """Steps of the run's state."""
    return int(state.read(run)[1]["progress"]["step"])


def require_ahead(run: Run, steps: int) -> None:
    """Make sure that a training that is planned anew has something left to do.

    Raises:
        RecipeError: so many steps are done.
    """
    done = steps_done(run)
    if steps <= done:
        raise RecipeError(
            where=f"{run.path}: steps={steps}",
            expected=f"more than the {done} steps that are done",
            received=str(steps),
            remedy="give more in all, or write it with a +, as in --steps +500, to go on for so many",
        )


def extend(job: Job, run: Run, more: Mapping[str, Any], started: float) -> Job:
    """The job with so many more steps than the run has done.

    Args:
        job: of the run's recipe; its network only serves to measure the time of a step.
        run: the run, with its state.
        more: what :func:`split` found.
        started: when a budget began to run (``time.monotonic``).
    """
    done = steps_done(run)
    planned = max(done, job.recipe.steps or 1)
    # One that has not come to its first step is replaced: no step was done by its rates.
    same = bool(job.recipe.extended) and job.recipe.extended[-1][0] == done
    begun = job.recipe.extended if same or not done else (*job.recipe.extended, (done, planned))
    length = {"budget": None, "epochs": None, "steps": None, **more}
    asked = replace(job, recipe=job.recipe.model_copy(update=length))
    steps = done + (memory.settle_length(asked, started).recipe.steps or 1)
    recipe = job.recipe.model_copy(update={"steps": steps, "extended": begun})
    state.forget_patience(run)
    return replace(job, recipe=recipe, model=replace(job.model, recipe=recipe))
