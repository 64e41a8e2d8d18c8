"""What a command prints cannot be written (``| head``, a closed terminal, a full disk): the work is done all the same."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import IO

import pytest

from helpers import write_set

TINY = ["crop=32", "batch_size=2", "model.width=4", "model.depth=3", "device=cpu"]


def printing(to: IO[str], *words: str | Path, errors_too: bool) -> tuple[int, str]:
    """Exit code and errors of a command that prints to this file."""
    errors = to if errors_too else subprocess.PIPE
    command = [sys.executable, "-m", "masksmith", *map(str, words)]
    done = subprocess.run(command, stdout=to, stderr=errors, text=True, check=False)
    return done.returncode, done.stderr or ""


def unread(*words: str | Path, errors_too: bool = False) -> tuple[int, str]:
    """Exit code and errors of a command whose output nobody reads."""
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as to:
        return printing(to, *words, errors_too=errors_too)


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


def test_a_training_outlives_its_terminal(tmp_path: Path) -> None:
    if sys.platform == "win32":
        pytest.skip("terminals are of another kind there")
    data, run = write_set(tmp_path / "data"), tmp_path / "run"
    ours, its = os.openpty()
    words = [sys.executable, "-m", "masksmith", "train", data, "-o", run, "--steps", "60", *TINY]
    with subprocess.Popen(words, stdout=its, stderr=its, env={**os.environ, "TERM": "xterm"}) as process:
        try:
            os.close(its)
            os.read(ours, 1)  # it has begun to show what it does
            os.close(ours)
            code = process.wait(timeout=300)
        finally:
            process.kill()
    assert code == 0
    assert (run / "model.safetensors").is_file()


FULL = Path("/dev/full")
needs_full = pytest.mark.skipif(not FULL.exists(), reason="no file without room here")


def full(*words: str | Path, errors_too: bool = False) -> tuple[int, str]:
    """Exit code and errors of a command whose output goes to a full disk."""
    with FULL.open("w") as to:
        return printing(to, *words, errors_too=errors_too)


@needs_full
def test_a_training_outlives_the_room_for_its_log(tmp_path: Path) -> None:
    data, run = write_set(tmp_path / "data"), tmp_path / "run"
    assert full("train", data, "-o", run, "--steps", "6", *TINY) == (0, "")
    assert (run / "model.safetensors").is_file()


@needs_full
def test_a_result_without_room_is_told() -> None:
    code, said = full("presets")
    assert code == 3
    assert said.startswith("masksmith: output: expected")
    assert "No space left on device" in said
    assert len(said.splitlines()) == 1
    assert full("presets", errors_too=True)[0] == 3
    assert full("nonsense", errors_too=True)[0] == 2
