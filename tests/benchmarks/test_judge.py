"""The judge counts what a person would count, and reads nothing but the two files."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from helpers import write_image

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def judge(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])
    return importlib.import_module("peers.judge")


def write(folder: Path, masks: dict[str, list[list[int]]]) -> Path:
    for name, rows in masks.items():
        write_image(folder / f"{name}.png", np.array(rows, np.uint8))
    return folder


def test_iou_is_counted_over_all_pixels_of_the_part_without_ignored_ones(judge: ModuleType, tmp_path: Path) -> None:
    truth = write(tmp_path / "truth", {"a": [[0, 0, 1, 255]], "b": [[1, 1, 0, 0]]})
    said = write(tmp_path / "said", {"a": [[0, 1, 1, 7]], "b": [[1, 0, 0, 0]]})
    found = judge.judge(truth, said, ["background", "thing", "never there"])
    # background: 3 hits, one missed, one too many; thing: 2 hits, one missed, one too many.
    assert found.iou == pytest.approx({"background": 3 / 5, "thing": 2 / 4})
    assert found.mean == pytest.approx((3 / 5 + 2 / 4) / 2)
    assert found.without_background == pytest.approx(2 / 4)


def test_a_class_that_is_said_but_never_true_costs_the_others(judge: ModuleType, tmp_path: Path) -> None:
    truth = write(tmp_path / "truth", {"a": [[0, 0, 1, 1]]})
    said = write(tmp_path / "said", {"a": [[0, 2, 1, 1]]})
    found = judge.judge(truth, said, ["cell", "membrane", "third"])
    assert found.iou == {"cell": 0.5, "membrane": 1.0}
    assert found.without_background is None  # class 0 is a class like others here


def test_a_palette_is_not_taken_for_the_indices(judge: ModuleType, tmp_path: Path) -> None:
    picture = Image.fromarray(np.array([[0, 1, 2]], np.uint8))
    picture.putpalette([9, 9, 9, 200, 0, 0, 0, 200, 0])
    picture.save(tmp_path / "mask.png")
    assert judge.read_index(tmp_path / "mask.png").tolist() == [[0, 1, 2]]


def test_another_size_and_strange_indices_are_refused(judge: ModuleType, tmp_path: Path) -> None:
    truth = write(tmp_path / "truth", {"a": [[0, 1]]})
    with pytest.raises(ValueError, match="expected"):
        judge.judge(truth, write(tmp_path / "larger", {"a": [[0, 1, 1]]}), ["a", "b"])
    with pytest.raises(ValueError, match="expected"):
        judge.judge(truth, write(tmp_path / "strange", {"a": [[0, 9]]}), ["a", "b"])
