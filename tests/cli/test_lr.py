"""``masksmith lr`` on tiny data: what it prints and writes, what it refuses, and Ctrl-C."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from helpers import write_set
from masksmith.cli import main

TINY = ["crop=32", "batch_size=2", "model.width=4", "model.depth=3", "device=cpu"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_set(tmp_path_factory.mktemp("data") / "set")


def test_it_prints_a_table_and_a_rate_to_train_with(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chart = tmp_path / "charts" / "lr.png"
    assert main(["lr", str(data), *TINY, "-q", "-o", str(chart)]) == 0
    out = capsys.readouterr().out
    rows = re.findall(r"^(\d\.\de-\d\d) +\d+\.\d{4}$", out, re.MULTILINE)
    assert rows[0] == "1.0e-06"
    assert 10 <= len(rows) <= 13
    (suggested,) = re.findall(r"^suggested: lr=(\S+)$", out, re.MULTILINE)
    assert 1e-4 < float(suggested) < 0.3
    (command,) = re.findall(r"Train with it: masksmith (train .*)$", out, re.MULTILINE)
    words = command.replace("RUN", str(tmp_path / "run")).split()
    assert all(word in words for word in TINY)
    assert main([*words, "--steps", "2"]) == 0
    with Image.open(chart) as picture:
        assert picture.format == "PNG"
        assert min(picture.size) > 200
    assert [p.name for p in chart.parent.iterdir()] == ["lr.png"]


def test_it_writes_nothing_unless_asked_and_replaces_nothing(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["lr", str(data), *TINY, "--steps", "20"]) == 0
    assert not list(tmp_path.iterdir())
    (tmp_path / "mine.png").write_text("mine")
    assert main(["lr", str(data), *TINY, "--steps", "20", "-o", "mine.png"]) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert (tmp_path / "mine.png").read_text() == "mine"
    assert main(["lr", str(data), *TINY, "--steps", "20", "-o", "mine.png", "--overwrite"]) == 0
    assert (tmp_path / "mine.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-o", "chart.pdf"], "chart.png"),
        (["--steps", "3"], "20 steps or more"),
        (["learning_rate=1"], "learning_rate"),
        (["steps=+5"], "leave the + out"),
        (["--recipe", "nowhere.yaml"], "a recipe in YAML"),
    ],
    ids=str,
)
def test_what_cannot_be_is_one_sentence(
    data: Path, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["lr", str(data), *TINY, *words]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_without_a_folder_it_says_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lr", str(tmp_path / "nothing")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_ctrl_c_ends_it_without_a_chart(data: Path, tmp_path: Path) -> None:
    words = ["lr", str(data), *TINY, "--steps", "100000", "-o", str(tmp_path / "lr.png")]
    running = subprocess.Popen(
        [sys.executable, "-u", "-m", "masksmith", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert running.stdout is not None
    running.stdout.readline()  # the data are known; from here on it trains
    running.send_signal(signal.SIGINT)
    _, error = running.communicate(timeout=120)
    assert running.returncode == 130
    assert error == "masksmith: interrupted.\n"
    assert not list(tmp_path.iterdir())
