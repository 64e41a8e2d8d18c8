"""K-fold training: a network for each fold, and every picture predicted by the one that has not seen it.

Rule: each fold is an ordinary run; a fold that is finished is never trained again.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from masksmith import files, recipe
from masksmith.data import dataset, doctor, splits
from masksmith.data.dataset import Dataset
from masksmith.data.doctor import Checkup
from masksmith.data.layouts.lists import read_rows
from masksmith.errors import InputError, RecipeError, RunError
from masksmith.events import Listener
from masksmith.inference import ensemble
from masksmith.metrics import Figures, summarize
from masksmith.recipe import DataSettings, Recipe
from masksmith.run import EVALUATIONS, FILES, Run
from masksmith.training import distil, memory, prepare, session, state, unseen

DEFAULT_COUNT = 5
MARK = ensemble.MARK
# What such a folder is made of, its mark first.
_FILES = (
    ensemble.MARK,
    "split.csv",
    "classes.csv",
    *(f"fold-*/{name}" for name in FILES),
    f"{unseen.FOLDER}/*.png",
    f"{unseen.FOLDER}/*.npz",
    f"{unseen.FOLDER}/pictures.csv",
    "figures.json",
    "confusion.png",
    *EVALUATIONS,
)
# Settings that name files: they are kept with their whole path, so that --resume works from anywhere.
_PATHS = ("images", "masks", "classes", "split")


@dataclass(frozen=True)
class Folds:
    """What came of it: the folder, the figures over all pictures, and those of each fold."""

    path: Path
    figures: Figures
    each: tuple[Figures, ...]


@dataclass(frozen=True)
class _Task:
    """What is to be trained, as the mark of the folder records it."""

    path: Path
    data: Path | None
    count: int
    recipe: Recipe

    def write(self) -> None:
        about = {
            "folds": self.count,
            "data": None if self.data is None else str(self.data),
            # What nobody has set stays open, so that it is chosen for a resumed fold as for the others.
            "recipe": self.recipe.model_dump(mode="json", exclude_unset=True),
        }
        files.write_text(self.path / ensemble.MARK, json.dumps(about, indent=2) + "\n")

    @property
    def budget_s(self) -> float | None:
        return None if self.recipe.budget is None else recipe.seconds(self.recipe.budget)

    @property
    def spent_s(self) -> float:
        """What of the budget the folds have had: its share one that is finished, so far one that was broken off.

        Raises:
            RunError, EnvironmentFault: a state that cannot be read.
        """
        if self.budget_s is None:
            return 0.0
        share, runs = self.budget_s / self.count, ensemble.fold_folders(self.path, self.count)
        return sum(share if ensemble.is_finished(run) else min(share, _trained_s(Run(run))) for run in runs)

    def settings(self, number: int, left_s: float | None) -> dict[str, object]:
        """What differs in one fold: its part, the seed of its first weights, and its share of the time."""
        chosen: dict[str, object] = {
            "data.split": str(self.path / "split.csv"),
            "data.fold": number,
            "data.folds": None,
            "seed": (self.recipe.seed + number) % 2**63,
        }
        if left_s is not None:
            chosen["budget"] = f"{max(1.0, left_s / (self.count - number)):.3f}s"
        return chosen


def train(
    data: str | os.PathLike[str] | None,
    folder: str | os.PathLike[str],
    chosen: Recipe,
    *,
    count: int | None = None,
    overwrite: bool = False,
    listener: Listener | None = None,
) -> Folds:
    """Train a network for each fold, one after the other, and score all pictures by those that have not seen them.

    Args:
        data: as for :func:`masksmith.train`; a test part stays apart.
        folder: the folder to make; ``masksmith.load`` takes it as an ensemble.
        chosen: the recipe of each fold; its budget is for all of them together.
        count: number of folds; None for those of the table in ``data.split``, or else five.
        overwrite: replace earlier folds of that name.
        listener: hears of progress.

    Raises:
        InputError: data or settings that cannot be used, in one sentence.
        EnvironmentFault: what this machine does not have.
    """
    started, listener = time.monotonic(), listener or Listener()
    path = Path(folder).absolute()
    root = None if data is None else Path(data).absolute()
    chosen = distil.apart(chosen.with_settings(_whole_paths(chosen.data)), path)
    settings = _drawn(chosen.data, count)
    found = dataset.find(root, settings)
    checkup = doctor.examine(found, settings, seed=chosen.seed, progress=listener.checked)
    table, _ = checkup.require()
    numbers = list(checkup.folds or _of_table(checkup.dataset, settings))
    pairs = tuple(replace(p, split="test" if p.split == "test" else "train") for p in checkup.dataset.pairs)
    task = _Task(path, root, max(numbers) + 1, chosen)
    _require_trainable(chosen, checkup)
    files.make_folder(path)
    with files.locked(path):
        files.claim_folder(path, overwrite=overwrite, ours=_FILES)
        task.write()
        files.write_text(path / "split.csv", replace(checkup.dataset, pairs=pairs).to_csv(path, numbers))
        files.write_text(path / "classes.csv", table.to_csv())
        return _run(task, listener, started)


def resume(folder: str | os.PathLike[str], *, listener: Listener | None = None) -> Folds:
    """Go on with folds that were interrupted; finished ones are only predicted again.

    Raises:
        RunError: nothing to go on with.
        InputError: data that are no longer as they were.
    """
    path = Path(folder).absolute()
    about = ensemble.read_mark(path)
    where, settings = about.get("data"), about.get("recipe")
    if not isinstance(settings, dict) or not isinstance(where, str | None) or not (path / "split.csv").is_file():
        raise RunError(
            where=path,
            expected="the recipe, the data and split.csv of the folds",
            received="a folder without one of them",
            remedy="start them anew with --overwrite",
        )
    chosen = recipe.parse(settings, where=path / ensemble.MARK)
    task = _Task(path, None if where is None else Path(where), about["folds"], chosen)
    with files.locked(path):
        return _run(task, listener or Listener(), time.monotonic() - task.spent_s)


def _run(task: _Task, listener: Listener, started: float) -> Folds:
    """Train what is not trained, predict each fold's pictures, and write the figures of all."""
    names = unseen.file_names(Run(task.path).read_dataset())
    table = Run(task.path).read_table()
    total, each, rows = unseen.counter(table), [], []
    for number, path in enumerate(ensemble.fold_folders(task.path, task.count)):
        left_s = None if task.budget_s is None else task.budget_s - (time.monotonic() - started)
        listener.message(f"fold {number} of {task.count}: {path}")
        _train_one(task, number, left_s, listener)
        figures, predicted = unseen.predict(Run(path), number, names, total, listener)
        each.append(figures)
        rows += predicted
    measured = summarize(total, table.names)
    unseen.write(task.path, rows, measured, each)
    return Folds(task.path, measured, tuple(each))


@memory.told()
def _require_trainable(chosen: Recipe, checkup: Checkup) -> None:
    """Build what the first fold trains with, before earlier folds are removed for it.

    Raises:
        InputError: settings that do not fit each other or the data.
        EnvironmentFault: what this machine does not have.
    """
    made = session.planned(chosen, checkup)
    prepare.job(made.recipe, checkup.dataset, *checkup.require()).batches.batch(0)


def _trained_s(run: Run) -> float:
    """Seconds that a training which was broken off had had by its last state."""
    return float(state.read(run)[1]["progress"]["elapsed_s"]) if run.has_state else 0.0


def _train_one(task: _Task, number: int, left_s: float | None, listener: Listener) -> None:
    """One fold: left alone if it is finished, gone on with if it was broken off, else trained."""
    run = Run(ensemble.fold_folders(task.path, task.count)[number])
    if ensemble.is_finished(run.path):
        listener.message("trained already")
        return
    if run.has_state:
        session.resume(run.path, listener=listener)
        return
    settings = task.settings(number, left_s)
    session.train(task.data, run.path, settings=settings, base=task.recipe, overwrite=True, listener=listener)


def _drawn(settings: DataSettings, count: int | None) -> DataSettings:
    """The settings under which the folds are dealt out, or taken from the table of parts.

    Raises:
        InputError: one fold asked for, or another number than the table has.
    """
    if settings.fold is not None:
        raise RecipeError(
            where=f"data.fold={settings.fold}",
            expected="all folds, one after the other",
            received="one of them",
            remedy="leave it out, or use masksmith train for a single one",
        )
    count = count or settings.folds
    in_table = _table_folds(settings)
    if in_table and count not in (None, len(in_table)):
        raise InputError(
            where="--folds",
            expected=f"the {len(in_table)} folds of {settings.split}",
            received=str(count),
            remedy="leave --folds out, or take another table",
        )
    if in_table:
        return settings.model_copy(update={"folds": None, "fold": in_table[0]})
    return settings.model_copy(update={"folds": count or DEFAULT_COUNT})


def _table_folds(settings: DataSettings) -> list[int]:
    """The folds that the table of parts has, if it has any."""
    rows: list[Mapping[str, Any]] = [] if settings.split is None else list(read_rows(Path(settings.split)))
    return sorted({int(row["fold"]) for row in rows if str(row.get("fold", "")).isdecimal()})


def _of_table(found: Dataset, settings: DataSettings) -> list[int]:
    """The fold of each pair by the table of parts; -1 for the test."""
    numbers = [-1] * len(found.pairs)
    for new, fold in enumerate(_table_folds(settings)):
        for place, pair in enumerate(splits.given(found.pairs, Path(settings.split or ""), fold)):
            numbers[place] = new if pair.split == "val" else numbers[place]
    return numbers


def _whole_paths(settings: DataSettings) -> dict[str, object]:
    given = {key: getattr(settings, key) for key in _PATHS}
    return {f"data.{key}": str(Path(value).absolute()) for key, value in given.items() if value is not None}
