"""An extension goes on from where a training is, at rates that follow from the step, and can be repeated."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import masksmith
from helpers import write_set
from masksmith import recipe
from masksmith.cli import main
from masksmith.errors import RecipeError
from masksmith.events import Listener
from masksmith.modelfile import read_tensors
from masksmith.recipe import Recipe
from masksmith.run import Run
from masksmith.training import extension
from masksmith.training.optimisation import SCHEDULES, rate

TINY: dict[str, object] = {"crop": 32, "batch_size": 2, "model.width": 4, "model.depth": 3, "steps": 6, "device": "cpu"}


class Notes(Listener):
    """Keeps what was said, and asks for a stop after a given number of steps."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.said: list[str] = []
        self.steps = 0
        self.stop_after = stop_after

    def message(self, text: str) -> None:
        self.said.append(text)

    def step(self, done: int, total: int) -> None:
        self.steps += 1

    def wants_stop(self) -> bool:
        return self.stop_after is not None and self.steps >= self.stop_after


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_set(tmp_path_factory.mktemp("data"))


def state(run: Run) -> dict[str, torch.Tensor]:
    return {k: v for k, v in read_tensors(run.state_file)[0].items() if k != "rng"}


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("stopped", [1000, 300, 20])
def test_the_rate_of_an_extension_neither_jumps_nor_passes_half(schedule: str, stopped: int) -> None:
    before = Recipe(schedule=schedule, lr=0.1)
    after = Recipe(schedule=schedule, lr=0.1, extended=((stopped, 1000),))
    total = stopped + 2000
    rates = [rate(after, step, total) for step in range(total)]
    assert rates[:stopped] == [rate(before, step, 1000) for step in range(stopped)]
    steps = [abs(b - a) for a, b in zip(rates[stopped - 1 :], rates[stopped:], strict=False)]
    assert max(steps) < 0.1 / 50
    assert max(rates[stopped + 100 :]) == pytest.approx(0.1 if schedule == "constant" else 0.05, rel=0.01)
    assert all(r > 0 for r in rates)
    assert rates[-1] == pytest.approx(0.1) if schedule == "constant" else rates[-1] < 0.001


def test_a_second_extension_leaves_the_first_as_it_was() -> None:
    once = Recipe(extended=((100, 100),))
    twice = Recipe(extended=((100, 100), (150, 200)))
    assert [rate(twice, step, 300) for step in range(150)] == [rate(once, step, 200) for step in range(150)]
    assert rate(twice, 150, 300) == pytest.approx(rate(once, 149, 200), rel=0.1)


@pytest.mark.parametrize("extended", [[[0, 5]], [[5, 4]], [[5, 9], [5, 9]], [[1]], "soon"])
def test_a_recipe_with_impossible_extensions_is_refused(extended: object) -> None:
    with pytest.raises(RecipeError, match="extended"):
        recipe.parse({"extended": extended}, where="recipe")


def test_another_length_is_planned_as_a_whole() -> None:
    assert Recipe(steps=200, extended=((100, 100),)).with_settings({"steps": 50}).extended == ()
    assert Recipe(steps=200, extended=((100, 100),)).with_settings({"workers": 1}).extended == ((100, 100),)


def test_an_extended_training_is_repeated_from_its_recipe(data: Path, tmp_path: Path) -> None:
    first = masksmith.train(data, tmp_path / "run", settings=TINY)
    best = first.read_model().figures["validation"]
    heard = Notes()
    masksmith.resume(first.path, settings={"steps": "+4"}, listener=heard)
    assert "extended: 4 more steps after step 6" in heard.said
    assert heard.steps == 4
    settled = first.read_recipe()
    assert (settled.steps, settled.extended) == (10, ((6, 6),))
    assert len(first.read_log()) == 2
    assert recipe_of(first).extended in {(), ((6, 6),)}
    if recipe_of(first).extended == ():
        assert first.read_model().figures["validation"] == best
    again = masksmith.train(data, tmp_path / "again", base=settled)
    for name, tensor in state(first).items():
        assert torch.equal(tensor, state(again)[name]), name


class Killed(Listener):
    """Ends a training in its first step."""

    def step(self, done: int, total: int) -> None:
        raise KeyboardInterrupt


def test_a_run_without_a_step_that_was_kept_is_extended(data: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        masksmith.train(data, tmp_path / "run", settings=TINY, listener=Killed())
    heard = Notes()
    run = masksmith.resume(tmp_path / "run", settings={"steps": "+4"}, listener=heard)
    assert "extended: 4 more steps after step 0" in heard.said
    assert (run.read_recipe().steps, run.read_recipe().extended) == (4, ())
    assert masksmith.load(run.path).model.recipe.steps == 4


def recipe_of(run: Run) -> Recipe:
    return run.read_model().recipe


def test_an_interrupted_extension_goes_on_and_can_be_extended(data: Path, tmp_path: Path) -> None:
    run = masksmith.train(data, tmp_path / "run", settings=TINY)
    with pytest.raises(KeyboardInterrupt):
        masksmith.resume(run.path, settings={"steps": "+6"}, listener=Notes(stop_after=2))
    heard = Notes()
    masksmith.resume(run.path, listener=heard)
    assert heard.steps == 4
    masksmith.resume(run.path, settings={"epochs": "+1"}, listener=(heard := Notes()))
    assert 25 <= heard.steps < 30
    assert run.read_recipe().extended == ((6, 6), (12, 12))
    assert run.read_log()[-1]["step"] == 12 + heard.steps


def test_an_interrupted_training_is_extended_from_where_it_is(data: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        masksmith.train(data, tmp_path / "run", settings=TINY, listener=Notes(stop_after=2))
    run = masksmith.resume(tmp_path / "run", settings={"steps": "+5"})
    assert (run.read_recipe().steps, run.read_recipe().extended) == (7, ((2, 6),))
    assert run.read_log()[-1]["step"] == 7


def test_a_budget_becomes_steps(data: Path, tmp_path: Path) -> None:
    run = masksmith.train(data, tmp_path / "run", settings=TINY)
    masksmith.resume(run.path, settings={"budget": "+3s"}, listener=(heard := Notes()))
    settled = run.read_recipe()
    assert settled.budget is None
    assert settled.steps == 6 + heard.steps
    assert heard.steps >= 1
    assert run.read_log()[-1]["step"] == settled.steps


def test_the_patience_is_new(data: Path, tmp_path: Path) -> None:
    settings = {**TINY, "steps": 400, "patience": 2, "lr": 1e-12, "validate_every": 1}
    run = masksmith.train(data, tmp_path / "run", settings=settings)
    assert (run.read_log()[-1]["step"] or 400) < 400
    masksmith.resume(run.path, settings={"steps": "+100"}, listener=(heard := Notes()))
    assert heard.steps >= 50  # two validations; with the patience used up it would be one


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"steps": "+5", "epochs": "+1"}, "one of budget, epochs and steps"),
        ({"steps": "+5", "epochs": 1}, "one of budget, epochs and steps"),
        ({"steps": "+soon"}, "steps"),
        ({"steps": "+0"}, "steps"),
        ({"steps": "+-3"}, "steps"),
        ({"budget": "+ever"}, "a time such as 90s"),
    ],
    ids=str,
)
def test_what_is_no_extension_is_refused(settings: dict[str, object], said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        extension.split(settings)


def test_the_command_extends(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    words = [f"{key}={value}" for key, value in TINY.items()]
    assert main(["train", str(data), "-o", str(run), "--steps", "+6", *words[:-2]]) == 2
    assert "leave the + out" in capsys.readouterr().err
    assert not run.exists()
    assert main(["train", str(data), "-o", str(run), *words]) == 0
    for extra, steps in ((["--steps", "+2"], 8), (["steps=+3"], 11), (["--steps", "13"], 13)):
        assert main(["train", "-o", str(run), "--resume", *extra]) == 0
        assert Run(run).read_log()[-1]["step"] == steps
    capsys.readouterr()
    assert main(["train", "-o", str(run), "--resume", "--budget", "10m"]) == 2
    assert "--budget +10m" in capsys.readouterr().err
    assert main(["train", "-o", str(run), "--resume", "--steps", "+many"]) == 2
    assert "steps" in capsys.readouterr().err


@pytest.mark.parametrize("steps", [3, 4])
def test_a_plan_of_no_more_steps_than_are_done_is_refused_and_the_recipe_kept(
    data: Path, tmp_path: Path, steps: int
) -> None:
    with pytest.raises(KeyboardInterrupt):
        masksmith.train(data, tmp_path / "run", settings=TINY, listener=Notes(stop_after=4))
    run = Run(tmp_path / "run")
    before = run.read_recipe()
    with pytest.raises(RecipeError, match="more than the 4 steps that are done"):
        masksmith.resume(run.path, settings={"steps": steps})
    assert run.read_recipe() == before
    assert masksmith.resume(run.path, settings={"steps": 5}).read_recipe().steps == 5
