"""Run: one folder with everything about one training.

Rule: the names of its files stand here and nowhere else; the folder is the only handle that
commands pass on.
"""

from __future__ import annotations

import csv
import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from masksmith import classes, files, modelfile, recipe
from masksmith.classes import ClassTable
from masksmith.data import pairing
from masksmith.data.dataset import Dataset
from masksmith.data.findings import Finding
from masksmith.data.layouts.lists import JOINT, homes, part_of, placed
from masksmith.errors import DataError, RunError
from masksmith.modelfile import ModelFile
from masksmith.recipe import Recipe

EVALUATIONS = ("evaluation-*/evaluation.json", "evaluation-*/confusion.png", "evaluation-*/samples.png")
"""Evaluations, which are put into the folder of what they are about by default."""
FILES = (
    "recipe.yaml",
    "plan.yaml",
    "classes.csv",
    "split.csv",
    "log.csv",
    "model.safetensors",
    "model-int8.onnx",
    "state.safetensors",
    "state.previous.safetensors",
    "metrics.json",
    "curves.png",
    "confusion.png",
    "samples.png",
    "NEXT.md",
    "cleanup.yaml",
    "exports/*.onnx",
    "exports/*.xml",
    "exports/*.bin",
    "exports/*.pt2",
    "exports/*.pt",
    "exports/*.zip",
    "exports/*/config.pbtxt",
    "exports/*/labels.txt",
    "exports/*/1/model.onnx",
    *(f"exports/{name}" for name in EVALUATIONS),  # of an exported file
    "exports.json",
    *EVALUATIONS,
    ".*.part",  # of a file whose writing was broken off
)
"""What a run is made of, the mark of one first; as for :func:`files.claim_folder`."""
LOG_COLUMNS = ("epoch", "step", "loss", "miou", "lr", "pictures_per_s", "elapsed_s")


@dataclass(frozen=True)
class Run:
    """A run folder, also given as text; the files in it may not all exist yet."""

    path: Path

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", Path(self.path))

    @classmethod
    def of(cls, path: str | os.PathLike[str]) -> Run:
        """The run at a path: of the folder itself, or of a model file in it."""
        place = Path(path)
        return cls(place if place.is_dir() else place.parent)

    @property
    def recipe_file(self) -> Path:
        """The settings, also the mark of a run folder."""
        return self.path / "recipe.yaml"

    @property
    def model_file(self) -> Path:
        """The best weights, with all that prediction needs."""
        return self.path / "model.safetensors"

    @property
    def state_file(self) -> Path:
        """What a resumed training goes on from."""
        return self.path / "state.safetensors"

    @property
    def previous_state_file(self) -> Path:
        """The state before that: it holds while the last is written, and if the disk spoils that."""
        return self.path / "state.previous.safetensors"

    @property
    def has_state(self) -> bool:
        """Whether there is something to go on from."""
        return self.state_file.is_file() or self.previous_state_file.is_file()

    def tidy(self) -> None:
        """Remove what a program that was killed has left half-written."""
        files.remove(self.path.glob(".*.part"))

    @property
    def log_file(self) -> Path:
        """A line an epoch; its columns are ``LOG_COLUMNS``."""
        return self.path / "log.csv"

    @property
    def split_file(self) -> Path:
        """Which picture was in which part."""
        return self.path / "split.csv"

    @property
    def metrics_file(self) -> Path:
        """The figures of the validation part."""
        return self.path / "metrics.json"

    @property
    def cleanup_file(self) -> Path:
        """How masks are cleaned, as ``masksmith tune`` has chosen for its network."""
        return self.path / "cleanup.yaml"

    def start(self, chosen: Recipe, table: ClassTable, dataset: Dataset, *, overwrite: bool) -> None:
        """Take the folder and write what is known before training."""
        files.claim_folder(self.path, overwrite=overwrite, ours=FILES)
        self.write_recipe(chosen)
        files.write_text(self.path / "classes.csv", table.to_csv())
        files.write_text(self.split_file, dataset.to_csv(self.path, movable=True))

    def write_recipe(self, chosen: Recipe) -> None:
        """Write the recipe under its hash."""
        files.write_text(self.recipe_file, f"# masksmith recipe {chosen.hash()}\n{chosen.to_yaml()}")

    def write_plan(self, text: str) -> None:
        """Write what was planned, with the reason of each choice."""
        files.write_text(self.path / "plan.yaml", text)

    def read_recipe(self) -> Recipe:
        """The recipe of the run.

        Raises:
            RunError: this is no run folder.
        """
        if not self.recipe_file.is_file():
            raise RunError(
                where=self.path,
                expected="a run folder (with recipe.yaml)",
                received="no such folder" if not self.path.exists() else "a folder without one",
                remedy="give the folder that masksmith train -o wrote",
            )
        return recipe.load(self.recipe_file)

    def read_dataset(self) -> Dataset:
        """The pairs as they were split in training.

        Raises:
            RunError: split.csv is missing or damaged.
        """
        if not self.split_file.is_file():
            raise self._unlisted("no such file")
        try:
            part = part_of(self.split_file)
            if part.findings:
                raise self._gone(part.findings)
            pairs = tuple(pairing.pair(part, "skip")[0])
        except DataError as error:
            raise self._unlisted(f"a damaged one ({error.received})") from error
        if not pairs:
            raise self._unlisted("one without pictures")
        return Dataset(pairs[0].image.parent, "as in the run", pairs, self.read_table().entries)

    def read_table(self) -> ClassTable:
        """The class table of the run.

        Raises:
            DataError: classes.csv is missing or damaged.
        """
        path = self.path / "classes.csv"
        encoding, overlapping = classes.read_encoding(path), classes.read_overlapping(path)
        return ClassTable(classes.read_csv(path), encoding, overlapping=overlapping)

    def _unlisted(self, received: str) -> RunError:
        return RunError(
            where=self.split_file,
            expected="the list of pictures of the run",
            received=received,
            remedy="name the data folder, as in masksmith evaluate RUN DATA",
        )

    def _gone(self, missing: Sequence[Finding]) -> RunError:
        return RunError(
            where=missing[0].files[0],
            expected="the pictures of the run where they were in the training",
            received=f"{len(missing)} files no longer there",
            remedy="move them back, or name their new folder, as in masksmith evaluate RUN DATA",
        )

    def parts(self) -> tuple[dict[Path, str], dict[str, str]]:
        """The part of each picture of the training by its path, and by its name where that is unique."""
        if not self.split_file.is_file():
            return {}, {}
        rows = [row for row in _rows(self.split_file) if row.get("image") and row.get("split")]
        names = Counter(row["name"] for row in rows)
        by_path = {placed(row["image"].split(JOINT)[0], *homes(row, self.path)).resolve(): row["split"] for row in rows}
        return by_path, {row["name"]: row["split"] for row in rows if names[row["name"]] == 1}

    def write_log(self, rows: Sequence[Sequence[object]]) -> None:
        """Write all rows of log.csv anew; None is an empty cell."""
        lines = [",".join(LOG_COLUMNS), *(",".join("" if v is None else str(v) for v in row) for row in rows)]
        files.write_text(self.log_file, "\n".join(lines) + "\n")

    def read_log(self) -> list[dict[str, float | None]]:
        """The rows of log.csv; an empty cell is None."""
        if not self.log_file.is_file():
            return []
        return [{k: float(v) if v else None for k, v in row.items()} for row in _rows(self.log_file)]

    def read_model(self) -> ModelFile:
        """The trained model; errors as in :func:`modelfile.read`."""
        return modelfile.read(self.path)

    def write_json(self, name: str, content: Mapping[str, object]) -> None:
        """Write a JSON file of the run."""
        files.write_text(self.path / name, json.dumps(content, indent=2) + "\n")


def _rows(path: Path) -> list[dict[str, str]]:
    """The rows of a table of the run."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RunError(
            where=path,
            expected="a table of the run that can be read",
            received=str(error),
            remedy="check its permissions and the disk, or copy it again",
        ) from error
