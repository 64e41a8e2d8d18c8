"""``masksmith plan`` by the real command line: a table, a file that trains, one sentence for what is wrong."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from tests.helpers import write_set

from masksmith import recipe


def masksmith(*words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "masksmith", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_set(tmp_path / "set", count=3)


def test_a_plan_is_told_and_can_be_trained_by(folder: Path, tmp_path: Path) -> None:
    given = ("batch_size=2", "optimizer=sgd", "augment.noise=0.1", "--ignore", "255")
    told = masksmith("plan", folder, "--budget", "3s", *given, "-o", tmp_path / "plan.yaml")
    assert told.returncode == 0, told.stderr
    assert "augment.flip" in told.stdout
    assert "batch_size" not in told.stdout  # it was given
    planned = recipe.load(tmp_path / "plan.yaml")
    assert f"train {folder} --recipe" in told.stdout
    trained = masksmith("train", folder, "--recipe", tmp_path / "plan.yaml", "-o", tmp_path / "run", "steps=2", "-q")
    assert trained.returncode == 0, trained.stderr
    done = recipe.load(tmp_path / "run" / "recipe.yaml")
    assert (done.crop, done.model.channels, done.augment.flip) == (
        planned.crop,
        planned.model.channels,
        planned.augment.flip,
    )
    assert (done.steps, done.batch_size) == (2, 2)
    assert (done.optimizer, done.augment.noise, done.data.ignore) == ("sgd", 0.1, ("255",))
    assert planned.steps is not None
    assert "extended" not in (tmp_path / "plan.yaml").read_text(encoding="utf-8")


def test_what_it_says_to_train_by_it_works_without_a_folder(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "my plans").mkdir()
    parts = ("--images", folder / "train" / "images", "--masks", folder / "train" / "masks")
    told = masksmith("plan", *parts, "crop=32", "model.width=4", "-o", tmp_path / "my plans" / "plan.yaml")
    assert told.returncode == 0, told.stderr
    assert "None" not in (tmp_path / "my plans" / "plan.yaml").read_text(encoding="utf-8")
    (command,) = re.findall(r"Train by it: masksmith (train .*) -o runs/first$", told.stdout, re.MULTILINE)
    assert shlex.split(command) == ["train", "--recipe", str(tmp_path / "my plans" / "plan.yaml")]
    trained = masksmith(*shlex.split(command), "-o", tmp_path / "run", "steps=1", "-q")
    assert trained.returncode == 0, trained.stderr


def test_a_plan_is_not_written_over(folder: Path, tmp_path: Path) -> None:
    kept = tmp_path / "plan.yaml"
    kept.write_text("mine", encoding="utf-8")
    told = masksmith("plan", folder, "--budget", "2s", "-o", kept)
    assert told.returncode == 2
    assert kept.read_text(encoding="utf-8") == "mine"
    assert told.stderr.count("\n") == 1
    assert "--overwrite" in told.stderr


def test_wrong_settings_are_one_sentence(folder: Path) -> None:
    told = masksmith("plan", folder, "model.stemm=2")
    assert told.returncode == 2
    assert "model.stem" in told.stderr
    assert "Traceback" not in told.stderr
