"""``masksmith distil`` as a person uses it: from a run to a new run that predicts as any other."""

from __future__ import annotations

from pathlib import Path

import pytest

from helpers import write_set
from masksmith.cli import main
from masksmith.run import Run

TINY = ["crop=32", "batch_size=2", "model.width=4", "model.depth=2", "device=cpu", "optimizer=adamw"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_set(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def teacher(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "teacher"
    assert main(["train", str(data), "-o", str(out), "--steps", "3", "-q", *TINY]) == 0
    return out


def test_the_new_run_predicts_as_any_other(
    data: Path, teacher: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new = tmp_path / "new"
    assert main(["distil", str(teacher), "-o", str(new), "steps=3", "model.width=8"]) == 0
    assert "validation" in capsys.readouterr().out
    assert Run(new).read_recipe().teacher == str(teacher)
    assert Run(new).read_recipe().model.width == 8
    pictures = str(data / "test" / "images")
    assert main(["predict", str(new), pictures, "-o", str(tmp_path / "masks"), "--device", "cpu"]) == 0
    assert main(["evaluate", str(new), "--split", "test", "--device", "cpu"]) == 0


def test_other_pictures_of_the_same_classes(data: Path, teacher: Path, tmp_path: Path) -> None:
    other = write_set(tmp_path / "other", parts=("train", "val"), seed=3)
    assert main(["distil", str(teacher), str(other), "-o", str(tmp_path / "new"), "steps=2", "-q"]) == 0
    assert len(Run(tmp_path / "new").read_dataset().pairs) == 6


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["RUN"], "-o/--output: expected a run folder to make"),
        (["NONE", "-o", "NEW"], "expected a run folder (with recipe.yaml), received no such folder"),
        (["RUN", "OTHER", "-o", "NEW", "steps=2"], "same classes"),
        (["RUN", "-o", "NEW", "lose=dice"], 'did you mean "loss"'),
        (["RUN", "-o", "NEW", "teacher=nowhere"], "nowhere: expected a run folder or a .safetensors file"),
        (["RUN", "-o", "RUN", "steps=2"], "expected another folder than that of the teacher"),
        (["RUN", "-o", "RUN", "steps=2", "--overwrite"], "expected another folder than that of the teacher"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    words: list[str], said: str, teacher: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = write_set(tmp_path / "other", values=(0, 1, 2)) if "OTHER" in words else tmp_path
    places = {"RUN": str(teacher), "OTHER": str(other), "NEW": str(tmp_path / "new"), "NONE": str(tmp_path / "no")}
    assert main(["distil", *(places.get(word, word) for word in words)]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not (tmp_path / "new").exists()
