"""The reader of what a command prints goes away, as with ``| head``: the work is done, and its exit code tells of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from helpers import write_set

TINY = ["crop=32", "batch_size=2", "model.width=4", "model.depth=3", "device=cpu"]


def unread(*words: str | Path, errors_too: bool = False) -> tuple[int, str]:
    """Exit code and errors of a command whose output nobody reads."""
    read, write = os.pipe()
    os.close(read)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "masksmith", *map(str, words)],
            stdout=write,
            stderr=write if errors_too else subprocess.PIPE,
            text=True,
            check=False,
        )
    finally:
        os.close(write)
    return done.returncode, done.stderr or ""


def test_a_training_and_a_prediction_go_on(tmp_path: Path) -> None:
    data, run = write_set(tmp_path / "data"), tmp_path / "run"
    assert unread("train", data, "-o", run, "--steps", "6", *TINY) == (0, "")
    assert (run / "model.safetensors").is_file()

    pictures = data / "test" / "images"
    (pictures / "broken.png").write_bytes(b"no picture")
    code, said = unread("predict", run, pictures, "-o", tmp_path / "masks")
    assert code == 5
    assert said.startswith("masksmith: ")
    assert "broken.png" in said
    assert len(list((tmp_path / "masks").glob("*_mask.png"))) == 3


@pytest.mark.parametrize("words", [["check"], ["check", "--json"]])
def test_a_check_says_by_its_code_what_it_found(words: list[str], tmp_path: Path) -> None:
    data = write_set(tmp_path)
    assert unread(*words, data) == (0, "")
    next((data / "train" / "masks").iterdir()).write_bytes(b"no mask")
    assert unread(*words, data)[0] == 4
    assert unread(*words, data, errors_too=True)[0] == 4
