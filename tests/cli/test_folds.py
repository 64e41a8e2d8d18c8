"""``masksmith folds`` as a person uses it: train, resume, evaluate and predict with all networks."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from helpers import write_set
from masksmith.cli import main

TINY = ["crop=32", "batch_size=2", "model.width=4", "model.depth=2", "device=cpu"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_set(tmp_path_factory.mktemp("data"), count=4)


@pytest.fixture(scope="module")
def folder(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "folds"
    assert main(["folds", str(data), "steps=5", *TINY, "-o", str(out), "--folds", "2", "-q"]) == 0
    return out


def test_the_table_is_printed(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "folds"
    assert main(["folds", str(data), "steps=2", *TINY, "-o", str(out), "--folds", "2"]) == 0
    printed = capsys.readouterr().out
    assert "fold 1 of 2" in printed
    assert "each predicted by the network that has not seen it" in printed
    iou = json.loads((out / "figures.json").read_text())["mean"]["iou"]
    assert re.search(rf"^mean +{iou:.3f}", printed, re.MULTILINE)
    assert re.search(r"mean IoU of each fold: 0\.\d+, 0\.\d+; 0\.\d+ ± 0\.\d+", printed)
    assert f"masksmith predict {out}" in printed


def test_evaluate_and_predict_take_the_folder(
    data: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", str(folder), "--split", "test", "--device", "cpu"]) == 0
    assert "test part" in capsys.readouterr().out
    assert (folder / "evaluation-test" / "evaluation.json").is_file()
    masks = tmp_path / "masks"
    assert main(["predict", str(folder), str(data / "test" / "images"), "-o", str(masks), "--device", "cpu"]) == 0
    assert len(list(masks.glob("*_mask.png"))) == 4


def test_resume_of_what_is_finished_says_the_same(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (folder / "figures.json").read_text()
    assert main(["folds", "-o", str(folder), "--resume"]) == 0
    assert capsys.readouterr().out.count("trained already") == 2
    assert (folder / "figures.json").read_text() == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["folds", "DATA"], "-o/--output: expected a folder to make"),
        (["folds", "DATA", "-o", "OUT", "--resume"], "--resume: expected the folder alone"),
        (["folds", "-o", "OUT", "--resume", "steps=3"], "--resume: expected the folder alone"),
        (["folds", "-o", "NONE", "--resume"], "expected what masksmith folds wrote of its folds, received no such"),
        (["folds", "DATA", "-o", "OUT", "steps=1"], "expected a new or empty output folder"),
        (["folds", "DATA", "-o", "NONE", "--folds", "1"], "invalid value for '--folds'"),
        (["folds", "DATA", "-o", "NONE", "lose=dice"], 'did you mean "loss"'),
        (["folds", "DATA", "-o", "NONE", "--budget", "soon"], "expected a time"),
        (["folds", "-o", "NONE"], "expected a folder with pictures and masks, received none"),
        (["evaluate", "OUT", "--split", "val"], "choose one with --split train"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    words: list[str], said: str, data: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    places = {"DATA": str(data), "OUT": str(folder), "NONE": str(tmp_path / "none")}
    assert main([places.get(word, word) for word in words]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_a_stop_before_earlier_folds_are_replaced_does_not_offer_to_go_on_with_them(
    data: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {p: p.stat().st_mtime_ns for p in folder.rglob("*")}
    (tmp_path / "stopping.py").write_text("raise KeyboardInterrupt")  # looked for before the folder is emptied
    monkeypatch.syspath_prepend(tmp_path)
    words = ["folds", str(data), *TINY, "-o", str(folder), "--folds", "2", "augment.callable=stopping:it"]
    assert main([*words, "--overwrite"]) == 130
    printed = capsys.readouterr()
    assert "--resume" not in printed.out + printed.err
    assert {p: p.stat().st_mtime_ns for p in folder.rglob("*")} == before


@pytest.mark.parametrize("more", [[], ["--overwrite"]])
def test_a_signal_says_how_to_go_on(more: list[str], data: Path, tmp_path: Path) -> None:
    words = ["folds", str(data), "-o", str(tmp_path / "folds"), "--folds", "2", "steps=100000", *TINY, *more]
    with subprocess.Popen(
        [sys.executable, "-u", "-m", "masksmith", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            for line in process.stdout:  # until the first epoch is on the screen
                if re.match(r" *1/\d+ ", line):
                    break
            process.send_signal(signal.SIGINT)
            out, error = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 130
    assert f"go on with: masksmith folds -o {tmp_path / 'folds'} --resume" in out
    assert error == "masksmith: interrupted.\n"
    assert (tmp_path / "folds" / "fold-0" / "state.safetensors").is_file()
