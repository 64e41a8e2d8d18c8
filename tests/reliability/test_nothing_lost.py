"""--overwrite replaces earlier results and nothing that a person put there."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from helpers import write_set
from masksmith.cli import main

TINY = ["--steps", "1", "crop=32", "batch_size=2", "model.width=4", "model.depth=2", "device=cpu", "-q"]


def snapshot(root: Path) -> dict[Path, bytes]:
    return {p: p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


def test_a_data_set_with_a_recipe_beside_it_is_no_run(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    data = write_set(tmp_path / "project")
    (data / "recipe.yaml").write_text("lr: 0.01\n")
    before = snapshot(data)
    assert main(["train", str(data), "-o", str(data), *TINY, "--overwrite"]) == 2
    assert snapshot(data) == before
    assert "nothing was deleted" in capfd.readouterr().err


def test_data_and_notes_inside_a_run_are_kept(tmp_path: Path) -> None:
    data = write_set(tmp_path / "data")
    run = tmp_path / "run"
    assert main(["train", str(data), "-o", str(run), *TINY]) == 0
    (run / "notes.txt").write_text("mine")
    before = snapshot(run)
    assert main(["train", str(data), "-o", str(run), *TINY, "--overwrite"]) == 2
    assert snapshot(run) == before
    (run / "notes.txt").unlink()
    assert main(["train", str(data), "-o", str(run), *TINY, "seed=1", "--overwrite"]) == 0
    assert snapshot(run)[run / "model.safetensors"] != before[run / "model.safetensors"]


def test_a_moved_data_set_keeps_its_parts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = write_set(tmp_path / "data", parts=("",), count=8)
    run = tmp_path / "run"
    assert main(["train", str(data), "-o", str(run), *TINY]) == 0
    moved = shutil.move(data, tmp_path / "moved")
    assert main(["evaluate", str(run), "--split", "test"]) == 2
    assert "name their new folder" in capsys.readouterr().err
    assert main(["evaluate", str(run), str(moved), "--split", "test"]) == 0
    assert json.loads((run / "evaluation-test" / "evaluation.json").read_text())["pictures"] == 1
    assert "1 picture to score" in capsys.readouterr().out


def test_parts_that_repeat_their_names_are_told_apart(tmp_path: Path) -> None:
    data, run = write_set(tmp_path / "data"), tmp_path / "run"
    for path in sorted(data.glob("*/*/*.png")):
        path.rename(path.with_name(path.name.split("_")[1]))
    assert main(["train", str(data), "-o", str(run), *TINY]) == 0
    assert main(["evaluate", str(run), "--split", "test"]) == 0
    assert json.loads((run / "evaluation-test" / "evaluation.json").read_text())["pictures"] == 3
    assert main(["train", "-o", str(run), "--resume", "--steps", "2", "-q"]) == 0


def test_a_run_goes_on_without_the_table_of_its_parts(tmp_path: Path) -> None:
    data, run, table = write_set(tmp_path / "data", parts=("",), count=8), tmp_path / "run", tmp_path / "parts.csv"
    assert main(["split", str(data), "-o", str(table)]) == 0
    assert main(["train", str(data), "-o", str(run), "--split", str(table), *TINY]) == 0
    parts = (run / "split.csv").read_text()
    table.unlink()
    assert main(["train", "-o", str(run), "--resume", "--steps", "2", "-q"]) == 0
    assert main(["evaluate", str(run), str(data), "--split", "test"]) == 0
    assert (run / "split.csv").read_text() == parts


def test_unknown_pictures_are_said_to_be_unknown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    assert main(["train", str(write_set(tmp_path / "data")), "-o", str(run), *TINY]) == 0
    strange = write_set(tmp_path / "strange", parts=("",), count=2)
    assert main(["evaluate", str(run), str(strange)]) == 0
    assert "2 of 2 pictures are not known from the training" in capsys.readouterr().out


def test_masks_are_not_written_among_the_pictures(tmp_path: Path) -> None:
    data, run = write_set(tmp_path / "data"), tmp_path / "run"
    assert main(["train", str(data), "-o", str(run), *TINY]) == 0
    folder = data / "test" / "images"
    before = snapshot(folder)
    assert main(["predict", str(run), str(folder), "-o", str(folder)]) == 2
    assert snapshot(folder) == before


def test_half_the_masks_0_1_and_half_0_255_are_told(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    data = write_set(tmp_path / "data")
    for path in (data / "val" / "masks").iterdir():
        cv2.imwrite(str(path), cv2.imread(str(path), cv2.IMREAD_UNCHANGED) * 255)
    assert main(["train", str(data), "-o", str(tmp_path / "run"), *TINY]) == 2
    assert "no mask that holds both 1 and 255" in capfd.readouterr().err


def test_0_stands_for_the_black_class_whatever_its_place(tmp_path: Path) -> None:
    data = write_set(tmp_path / "data", values=(0, 255))
    (data / "classes.csv").write_text("name;r;g;b\nhouse;255;0;0\nground;0;0;0\n")  # as spreadsheets save it
    assert main(["train", str(data), "-o", str(tmp_path / "run"), *TINY]) == 0
    per_class = json.loads((tmp_path / "run" / "metrics.json").read_text())["per_class"]
    truth = [cv2.imread(str(p), cv2.IMREAD_UNCHANGED) for p in (data / "val" / "masks").iterdir()]
    assert per_class["ground"]["pixels"] == sum(int((m == 0).sum()) for m in truth)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("classes.csv", "name,r,g,b\nHäuser,1,2,3\n".encode("latin-1"), ["classes.csv", "UTF-8"]),
        ("classes.csv", b"name,r,g,b\n[bold]x[/y],0,0,0\nb,0,0,0\n", []),
    ],
    ids=["not UTF-8", "markup, one colour twice"],
)
def test_class_tables_as_people_have_them(
    name: str, content: bytes, words: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    data = write_set(tmp_path / "data")
    (data / name).write_bytes(content)
    assert main(["check", str(data)]) == (4 if words else 0)
    out, error = capfd.readouterr()
    for word in words:
        assert word in error
    if not words:
        assert "[bold]x[/y]" in out
        assert "look alike" in out


@pytest.mark.parametrize(
    ("setting", "word"),
    [
        ("lr=true", "lr"),
        ("model.channels=[8,16]", "leave model.depth"),
        ("seed=99999999999999999999999", "seed"),
        ("augment.callable=os:system", "TypeError"),
    ],
)
def test_settings_that_cannot_be_meant(
    setting: str, word: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    data = write_set(tmp_path / "data")
    assert main(["train", str(data), "-o", str(tmp_path / "run"), *TINY, setting]) == 2
    assert word in capfd.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_loss_that_is_never_a_number_leaves_no_model(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    data = write_set(tmp_path / "data")
    words = ["train", str(data), "-o", str(tmp_path / "run"), *TINY, "--steps", "3", "lr=1e30"]
    code = main(words)
    error = capfd.readouterr().err
    model = tmp_path / "run" / "model.safetensors"
    assert code == 2
    assert "lower the learning rate" in error
    assert not model.exists()


def test_pictures_without_a_number_are_told(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    import tifffile

    data = write_set(tmp_path / "data")
    for path in data.glob("*/images/*.png"):
        tifffile.imwrite(path.with_suffix(".tif"), np.full((40, 48), np.nan, np.float32))
        path.unlink()
    assert main(["check", str(data)]) == 4
    assert "none that is finite" in capfd.readouterr().err
