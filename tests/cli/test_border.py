"""Pins down --border on the real command line: things that touch are kept apart by a third class."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from masksmith.cli import main
from masksmith.labels.instances import classes_of

QUICK = ["crop=32", "batch_size=2", "model.width=4", "model.depth=3", "device=cpu", "-q"]


def numbered(root: Path, *, stacks: bool) -> dict[str, np.ndarray]:
    """Six pictures of squares that touch, numbered, or with a file for each."""
    rng = np.random.default_rng(1)
    truth = {}
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True)
    for picture in range(6):
        numbers = np.zeros((40, 48), np.uint16)
        for k, (y, x) in enumerate((y, x) for y in (4, 14) for x in (4, 14, 24 + picture)):
            numbers[y : y + 10, x : x + 10] = k + 1
        pixels = 40 + 120 * (numbers > 0) + rng.integers(0, 30, numbers.shape)
        Image.fromarray(pixels.astype(np.uint8)).save(root / "images" / f"p{picture}.png")
        if stacks:
            (root / "masks" / f"p{picture}").mkdir()
            for k in range(1, 7):
                one = ((numbers == k) * 255).astype(np.uint8)
                Image.fromarray(one).save(root / "masks" / f"p{picture}" / f"{k}.png")
        else:
            Image.fromarray(numbers).save(root / "masks" / f"p{picture}.png")
        truth[f"p{picture}"] = classes_of(numbers, 2)
    return truth


@pytest.mark.parametrize("stacks", [False, True])
def test_a_border_is_made_trained_on_evaluated_and_written(
    stacks: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, run, copy = tmp_path / "data", tmp_path / "run", tmp_path / "copy"
    truth = numbered(data, stacks=stacks)
    assert main(["check", str(data), "--border", "2"]) == 0
    shown = capsys.readouterr().out
    assert "the border between them" in shown
    assert [line.split()[0] for line in shown.splitlines() if " %" in line] == ["background", "object", "border"]

    assert main(["train", str(data), "--border", "2", "-o", str(run), "--steps", "2", *QUICK]) == 0
    assert main(["train", "-o", str(run), "--resume", "steps=3", "-q"]) == 0
    trained = capsys.readouterr().out.splitlines()
    assert main(["evaluate", str(run), str(data), "--split", "val", "-q"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == trained[-1]

    assert main(["check", str(data), "--border", "2", "--fix", str(copy)]) == 0
    written = {p.stem: np.asarray(Image.open(p)) for p in copy.glob("*/masks/*.png")}
    assert written.keys() == truth.keys()
    assert all(np.array_equal(written[name], truth[name]) for name in truth)
    rows = list(csv.DictReader((copy / "classes.csv").read_text("utf-8").splitlines()))
    assert [row["name"] for row in rows] == ["background", "object", "border"]


def test_a_class_table_names_the_three(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    numbered(tmp_path, stacks=False)
    (tmp_path / "classes.csv").write_text("name,r,g,b\nground,0,0,0\ncell,0,200,0\nrim,200,0,0\n")
    assert main(["check", str(tmp_path), "--border", "1"]) == 0
    shown = capsys.readouterr().out
    assert [line.split()[0] for line in shown.splitlines() if " %" in line] == ["ground", "cell", "rim"]
    (tmp_path / "classes.csv").write_text("name,r,g,b\nground,0,0,0\ncell,0,200,0\n")
    assert main(["check", str(tmp_path), "--border", "1"]) == 4
    assert "expected 3 classes, for background, object, border, received 2" in capsys.readouterr().err
