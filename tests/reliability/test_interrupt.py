"""A training that a signal ends keeps its state and goes on where it was."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from helpers import write_set
from masksmith.cli import main
from masksmith.cli.show import Show
from masksmith.data import dataset
from masksmith.data.scan import scan
from masksmith.modelfile import read_tensors
from masksmith.recipe import DataSettings


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_the_state(number: signal.Signals, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, run = write_set(tmp_path / "data"), tmp_path / "run"
    words = [
        "train",
        str(data),
        "-o",
        str(run),
        "--steps",
        "100000",
        "crop=32",
        "batch_size=2",
        "model.width=4",
        "model.depth=2",
        "device=cpu",
    ]
    with subprocess.Popen(
        [sys.executable, "-u", "-m", "masksmith", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            for line in process.stdout:  # until the first epoch is on the screen
                if re.match(r" *1/\d+ ", line):
                    break
            process.send_signal(number)
            out, error = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 130
    assert "--resume" in out
    assert error == "masksmith: interrupted.\n"
    done = read_tensors(run / "state.safetensors")[1]["progress"]["step"]
    assert 25 <= done < 100000
    assert main(["train", "-o", str(run), "--resume", "--steps", str(done + 3)]) == 0
    assert read_tensors(run / "state.safetensors")[1]["progress"]["step"] == done + 3
    assert "planned anew" in capsys.readouterr().out


def test_an_interrupt_ends_the_scan_and_what_was_seen_is_kept(tmp_path: Path) -> None:
    found = dataset.find(write_set(tmp_path, count=4), DataSettings())
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    shown = Show(quiet=True)
    seen = []

    def progress(done: int, total: int) -> None:
        seen.append(done)
        if done == 3:
            signal.raise_signal(signal.SIGINT)
        shown.checked(done, total)

    try:
        shown.stop_on_signals()
        with pytest.raises(KeyboardInterrupt):
            scan(found.pairs, progress)
    finally:
        signal.signal(signal.SIGINT, before[0])
        signal.signal(signal.SIGTERM, before[1])
    assert seen == [1, 2, 3]
    assert scan(found.pairs).reused >= 3
