"""Pins down where drawn regions get their names, and what is proposed where a class table lacks some."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from helpers import write_image
from masksmith.data import dataset
from masksmith.data.doctor import Checkup, examine
from masksmith.recipe import DataSettings

LINES = "0 0.1 0.1 0.6 0.1 0.6 0.35\n1 0.5 0.5 0.9 0.5 0.9 0.9\n"


def checked(root: Path) -> Checkup:
    for number in range(3):
        pixels = np.random.default_rng(number).integers(0, 255, (40, 40, 3), dtype=np.uint8)
        write_image(root / "images" / f"{number}.png", pixels)
        (root / "labels").mkdir(exist_ok=True)
        (root / "labels" / f"{number}.txt").write_text(LINES)
    settings = DataSettings()
    return examine(dataset.find(root, settings), settings)


def test_yolo_with_classes_txt_alone_is_read(tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_text("cat\ndog\n")
    found = checked(tmp_path)
    assert found.decision is not None
    assert found.decision.table.names == ["background", "cat", "dog"]
    assert found.dataset.table_file is None
    assert not [f for f in found.findings if f.severity == "fault"]


@pytest.mark.parametrize(
    ("rows", "received", "remedy"),
    [
        ("cat\ndog\n", "background", "add a row for each to the class table"),
        ("bird\ndog\n", "background, cat", "add a row for each to the class table, or ignore it with --ignore cat"),
    ],
)
def test_nobody_is_told_to_ignore_the_background(tmp_path: Path, rows: str, received: str, remedy: str) -> None:
    (tmp_path / "classes.txt").write_text("cat\ndog\n")
    (tmp_path / "classes.csv").write_text("name\n" + rows)
    (told,) = (f for f in checked(tmp_path).findings if f.kind == "undefined")
    assert told.received.startswith(f"{received}, in 3 annotations")
    assert told.remedy == remedy


@pytest.mark.parametrize("name", ["__ignore__", "Ignore*", "_Void_"])
def test_what_programs_call_ignored_is_no_class(tmp_path: Path, name: str) -> None:
    """LabelMe and QuPath have names of their own for it."""
    for number in range(3):
        pixels = np.random.default_rng(number).integers(0, 255, (40, 40, 3), dtype=np.uint8)
        write_image(tmp_path / "images" / f"{number}.png", pixels)
        drawn = [("cat", [[2, 2], [20, 2], [20, 20]]), (name, [[22, 22], [38, 22], [38, 38]])]
        shapes = [{"label": label, "points": points, "shape_type": "polygon"} for label, points in drawn]
        (tmp_path / "labels").mkdir(exist_ok=True)
        (tmp_path / "labels" / f"{number}.json").write_text(json.dumps({"shapes": shapes}))
    settings = DataSettings()
    found = examine(dataset.find(tmp_path, settings), settings)
    table, _ = found.require()
    assert table.names == ["background", "cat"]
    assert [e.name for e in table.ignored] == [name]
    assert [f.received for f in found.findings if f.kind == "ignore" and "by its name" in f.received]
