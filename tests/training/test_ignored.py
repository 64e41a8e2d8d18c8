"""Steps without a pixel that counts are left out, and long epochs are told of in parts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import masksmith
from helpers import write_image, write_set
from masksmith.events import Epoch, Listener
from masksmith.modelfile import read_tensors
from masksmith.recipe import Recipe
from masksmith.run import Run
from masksmith.training import prepare, session

TINY: dict[str, object] = {
    "crop": 16, "batch_size": 1, "model.channels": (4, 8), "device": "cpu", "precision": "fp32", "workers": 1,
}  # fmt: skip


class Notes(Listener):
    """Keeps the lines, and asks for a stop after so many steps."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.lines: list[Epoch] = []
        self.steps, self.stop_after = 0, stop_after

    def epoch(self, line: Epoch) -> None:
        self.lines.append(line)

    def step(self, done: int, total: int) -> None:
        self.steps = done

    def wants_stop(self) -> bool:
        return self.stop_after is not None and self.steps >= self.stop_after


@pytest.fixture(scope="module")
def partly(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of six training pictures two have a labelled corner, the others hold nothing to learn."""
    folder = write_set(tmp_path_factory.mktemp("data"), parts=("train", "val"), count=6)
    for number, path in enumerate(sorted((folder / "train/masks").iterdir())):
        mask = np.full((40, 48), 255, np.uint8)
        if number < 2:
            mask[:20, :24] = 0
            mask[5:15, 5:15] = 1
        write_image(path, mask)
    return folder


def done_steps(run: Run) -> set[float]:
    """The steps that the optimiser has counted, of all weights."""
    state = read_tensors(run.state_file)[0]
    return {float(value) for key, value in state.items() if key.startswith("optimiser.") and key.endswith(".step")}


@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_step_without_a_pixel_that_counts_is_left_out(partly: Path, tmp_path: Path, accumulate: int) -> None:
    settings = {**TINY, "optimizer": "adamw", "steps": 30, "accumulate": accumulate, "focus": 0}
    job = session.settle(partly, Recipe().with_settings(settings), Listener()).job
    masks = [[job.batches.batch(step * accumulate + part)[1] for part in range(accumulate)] for step in range(30)]
    learnt = sum(any(bool((mask != 255).any()) for mask in step) for step in masks)
    assert 0 < learnt < 30
    whole = masksmith.train(partly, tmp_path / "whole", settings=settings)
    assert done_steps(whole) == {learnt}
    batches = sum(bool((mask != 255).any()) for step in masks for mask in step)
    counted = [value for key, value in read_tensors(whole.state_file)[0].items() if key.endswith("num_batches_tracked")]
    assert {int(value) for value in counted if value.ndim == 0} == {batches}
    with pytest.raises(KeyboardInterrupt):
        masksmith.train(partly, tmp_path / "parts", settings=settings, listener=Notes(stop_after=13))
    ours, theirs = (read_tensors(run.state_file)[0] for run in (whole, masksmith.resume(tmp_path / "parts")))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in ours.items())


def test_a_part_of_the_log_without_anything_to_learn_has_no_loss(partly: Path, tmp_path: Path) -> None:
    base = session.settle(partly, Recipe().with_settings({**TINY, "steps": 1, "focus": 0}), Listener()).job
    empty = next(seed for seed in range(50) if not _learns(base, seed))
    run = masksmith.train(partly, tmp_path / "run", settings={**TINY, "steps": 1, "focus": 0, "seed": empty})
    assert [row["loss"] for row in run.read_log()] == [None]
    assert run.model_file.is_file()


def _learns(job: prepare.Job, seed: int) -> bool:
    from dataclasses import replace

    from masksmith.data.batches import Batches

    batches = Batches(job.batches.reader, replace(job.batches.sampling, seed=seed), job.batches.augment)
    return bool((batches.batch(0)[1] != 255).any())


def test_a_long_epoch_has_a_line_every_250_steps(tmp_path: Path) -> None:
    """The twenty pictures are 600 crops: one step each."""
    folder = write_set(tmp_path / "set", parts=("train", "val"), count=20)
    heard, settings = Notes(), {**TINY, "crop": 8}
    run = masksmith.train(folder, tmp_path / "run", settings={**settings, "steps": 260}, listener=heard)
    assert [(row["epoch"], row["step"]) for row in run.read_log()] == [(1, 250), (1, 260)]
    assert all(row["miou"] is not None for row in run.read_log())
    assert [(line.epoch, line.epochs) for line in heard.lines] == [(1, 1), (1, 1)]
    job = session.settle(folder, Recipe().with_settings({**settings, "epochs": 2}), Listener()).job
    assert prepare.settle_length(job, 0.0).recipe.steps == 1200  # an epoch stays what it was
