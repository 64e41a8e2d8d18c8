"""``masksmith tune`` as a person uses it, and what predict and evaluate make of its file."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile

import masksmith
from helpers import write_set
from masksmith import files, modelfile
from masksmith.cli import main
from masksmith.inference.pictures import Chosen

TINY = ["crop=32", "batch_size=2", "model.width=4", "model.depth=2", "device=cpu"]
Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = write_set(tmp_path_factory.mktemp("data") / "set")
    (root / "classes.csv").write_text("name,r,g,b\nground,0,0,0\nhouse,230,60,30\n")
    return root


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    """A copy of the trained run for each test."""
    for path in trained.iterdir():
        (tmp_path / "run").mkdir(exist_ok=True)
        if path.is_file():
            (tmp_path / "run" / path.name).write_bytes(path.read_bytes())
    return tmp_path / "run"


@pytest.fixture(scope="module")
def trained(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network that was taught well, and whose bias was shifted afterwards: it sees a house far too seldom."""
    folder = tmp_path_factory.mktemp("runs") / "first"
    assert main(["train", str(data), "-o", str(folder), "--steps", "60", "-q", *TINY]) == 0
    model = modelfile.read(folder)
    p = masksmith.load(folder, device="cpu").segment(next((data / "val" / "images").iterdir())).probabilities_KHW[1]
    name = next(n for n, w in reversed(model.weights.items()) if w.ndim == 1 and w.numel() in (1, 2))
    shift = np.log((1 - np.quantile(p, 0.98)) / np.quantile(p, 0.98)) - 0.5  # all but nothing is a house
    model.weights[name][-1] += float(shift)
    modelfile.write(folder / "model.safetensors", model)
    return folder


def masks(run: Path, data: Path, out: Path, *more: str) -> list[np.ndarray]:
    words = ["predict", str(run), str(data / "test" / "images"), "-o", str(out), "--save", "mask", "--runtime", "torch"]
    assert main([*words, "--device", "cpu", *more]) == 0
    return [cv2.imread(str(path), cv2.IMREAD_UNCHANGED) for path in sorted(out.glob("*_mask.png"))]


def test_what_it_finds_is_kept_and_applied(run: Path, data: Path, tmp_path: Path, capsys: Capture) -> None:
    raw = masks(run, data, tmp_path / "raw")
    assert main(["evaluate", str(run), "--split", "val", "--device", "cpu", "-o", str(tmp_path / "before")]) == 0
    capsys.readouterr()
    assert main(["tune", str(run), "--device", "cpu"]) == 0
    out = capsys.readouterr().out
    assert "3 pictures to choose on" in out
    assert "IoU before" in out
    assert "Chosen on one half of 3 pictures and judged on the other, both ways." in out
    assert f"Kept in {run}/cleanup.yaml" in out
    text = (run / "cleanup.yaml").read_text()
    assert modelfile.read(run).checksum in text
    assert "which of the three steps are taken was decided by these figures" in " ".join(text.split())

    tuned = masks(run, data, tmp_path / "tuned")
    told = capsys.readouterr().out
    assert f"cleaned as {run}/cleanup.yaml says: house from 0." in told
    assert sum(int(mask.any(axis=None)) for mask in tuned) > 0
    assert sum(map(np.count_nonzero, tuned)) > sum(map(np.count_nonzero, raw))
    none = masks(run, data, tmp_path / "none", "--cleanup", "none")
    assert "cleaned as" not in capsys.readouterr().out
    assert all((a == b).all() for a, b in zip(none, raw, strict=True))
    own = masks(run, data, tmp_path / "own", "--threshold", "house=1", "--min-object", "0", "-q")
    assert not any(mask.any() for mask in own)

    words = ["evaluate", str(run), "--split", "val", "--device", "cpu", "-o"]
    assert main([*words, str(tmp_path / "after")]) == 0
    assert "it was chosen on the validation part" in capsys.readouterr().out
    assert main([*words, str(tmp_path / "plain"), "--cleanup", "none", "-q"]) == 0
    before, after, plain = (
        json.loads((tmp_path / name / "evaluation.json").read_text()) for name in ("before", "after", "plain")
    )
    assert plain == before
    assert after["mean"]["iou"] > before["mean"]["iou"]
    assert after["cleanup"]["thresholds"]["house"] < 0.5


def test_a_second_choice_and_another_network(run: Path, data: Path, tmp_path: Path, capsys: Capture) -> None:
    words = ["tune", str(run), str(data), "--device", "cpu", "-q"]
    assert main(words) == 0
    first = (run / "cleanup.yaml").read_text()
    capsys.readouterr()
    assert main(words) == 2
    assert "expected a run whose cleaning is not chosen yet" in capsys.readouterr().err
    assert main([*words, "--overwrite"]) == 0
    assert (run / "cleanup.yaml").read_text() == first
    (run / "cleanup.yaml").write_text(first.replace("model: ", "model: 0"))
    capsys.readouterr()
    masks(run, data, tmp_path / "out")
    assert "was chosen for another network and is not applied; masksmith tune makes it anew" in capsys.readouterr().out
    (run / "cleanup.yaml").write_text(first + "min_object: 4\n")
    assert main(["evaluate", str(run), "--device", "cpu"]) == 2
    assert "cleanup.yaml, min_object: expected one of the keys" in capsys.readouterr().err


def test_nothing_that_helps_is_nothing_written(run: Path, data: Path, capsys: Capture) -> None:
    for path in (data / "val" / "masks").iterdir():  # everything is ground, as the network says all but everywhere
        copy = run.parent / "easy" / "masks" / path.name
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
        mask = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        cv2.imwrite(str(copy), np.zeros_like(mask))
        picture = run.parent / "easy" / "images" / path.name
        picture.parent.mkdir(parents=True, exist_ok=True)
        picture.write_bytes((data / "val" / "images" / path.name).read_bytes())
    capsys.readouterr()
    assert main(["tune", str(run), str(run.parent / "easy"), "--device", "cpu"]) == 0
    assert "Nothing is kept" in capsys.readouterr().out
    assert not (run / "cleanup.yaml").exists()


def test_thresholds_reach_a_picture_that_is_larger_than_memory(
    run: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setattr(Chosen, "is_large", True)
    words = ["predict", str(run), str(data / "test" / "images"), "--device", "cpu", "--runtime", "torch"]
    words += ["--threshold", "house=0", "--min-object", "9"]
    assert main([*words, "-o", str(tmp_path / "out")]) == 0
    out = capsys.readouterr().out
    assert "small regions and holes stay in it" in out
    found = [tifffile.imread(path) for path in (tmp_path / "out").glob("*_mask.tif")]
    assert len(found) == 3
    assert all((mask == 1).all() for mask in found)


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="a folder that not even root may write to is of Linux")
def test_a_folder_that_cannot_be_written_is_told_before_anything_is_read(capsys: Capture) -> None:
    assert main(["tune", "/proc/self", "--device", "cpu"]) == 3
    assert "expected a place that can be written to" in capsys.readouterr().err


def test_what_cannot_be_tuned_is_one_sentence(run: Path, data: Path, tmp_path: Path, capsys: Capture) -> None:
    files.write_text(tmp_path / "folds" / "folds.json", '{"folds": 2}')
    for words, said in (
        ([str(tmp_path / "folds")], "expected the run folder of one network, received a folder of folds"),
        ([str(run / "model.safetensors")], "expected a run folder, received a file"),
        ([str(tmp_path / "none")], "expected a run folder"),
        ([str(run), str(tmp_path / "none")], "expected"),
    ):
        assert main(["tune", *words, "--device", "cpu"]) == 2
        error = capsys.readouterr().err
        assert said in error
        assert error.count("\n") == 1
    assert main(["evaluate", str(run), "--cleanup", "some"]) == 2
    assert "expected a way of cleaning out of auto, none" in capsys.readouterr().err
