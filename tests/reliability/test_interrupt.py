"""A training that a signal ends keeps its state and goes on where it was."""

from __future__ import annotations

import io
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers import write_set
from masksmith.cli import main, show
from masksmith.cli.show import Show
from masksmith.data import dataset
from masksmith.data.scan import scan
from masksmith.modelfile import read_tensors
from masksmith.recipe import DataSettings

SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


@pytest.fixture(autouse=True)
def heard() -> Iterator[None]:
    """No signal is ignored here or in a child, as under nohup it would be; afterwards all mean what they did."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    for number, handler in before.items():
        if handler is signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number is signal.SIGINT else signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def shown(heard: None) -> Show:
    """Listens to signals."""
    made = Show(quiet=False)
    made.stop_on_signals()
    return made


@pytest.mark.parametrize("number", SIGNALS)
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
    assert "stopping after this step" in out
    assert "--resume" in out
    assert error == "masksmith: interrupted.\n"
    done = read_tensors(run / "state.safetensors")[1]["progress"]["step"]
    assert 25 <= done < 100000
    assert main(["train", "-o", str(run), "--resume", "--steps", str(done + 3)]) == 0
    assert read_tensors(run / "state.safetensors")[1]["progress"]["step"] == done + 3
    assert "planned anew" in capsys.readouterr().out


def test_an_interrupt_ends_the_scan_and_what_was_seen_is_kept(tmp_path: Path, shown: Show) -> None:
    found = dataset.find(write_set(tmp_path, count=4), DataSettings())
    seen = []

    def progress(done: int, total: int) -> None:
        seen.append(done)
        if done == 3:
            signal.raise_signal(signal.SIGINT)
        shown.checked(done, total)

    with pytest.raises(KeyboardInterrupt):
        scan(found.pairs, progress)
    assert seen == [1, 2, 3]
    assert scan(found.pairs).reused >= 3


def arrives(number: signal.Signals) -> None:
    """A signal that must not end the work at once; pytest would take that for an end of its own."""
    try:
        signal.raise_signal(number)
    except KeyboardInterrupt:
        pytest.fail(f"{number.name} has ended the work at once")


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_that_is_repeated_means_the_same_as_one(number: signal.Signals, shown: Show) -> None:
    assert not shown.wants_stop()
    for _ in range(3):  # as by GNU timeout, which signals its child and then its group
        arrives(number)
    assert shown.wants_stop()


def test_a_second_interrupt_ends_at_once_and_a_second_kill_does_not(
    shown: Show, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(show, "_REPEATED_S", 0.0)  # or the test would wait for it
    for number in reversed(SIGNALS[1:] * 2):
        arrives(number)
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="no such signal here")
def test_a_training_under_nohup_goes_on_without_its_terminal(shown: Show) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    shown.stop_on_signals()
    signal.raise_signal(signal.SIGHUP)
    assert not shown.wants_stop()


class Signalled(io.FileIO):
    """A file; while each of its contents is written a signal comes."""

    def write(self, content: object, /) -> int:
        signal.raise_signal(signal.SIGTERM)
        return super().write(content)  # type: ignore[arg-type]  # bytes


def test_a_signal_in_the_middle_of_a_line_breaks_nothing(
    tmp_path: Path, shown: Show, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "log.txt"
    with monkeypatch.context() as patch, io.TextIOWrapper(io.BufferedWriter(Signalled(path, "w"))) as file:
        patch.setattr(sys, "stdout", file)
        shown.message("one")
        shown.message("two")
    first, *rest = path.read_text().splitlines()
    assert first.startswith("stopping after this step")
    assert rest == ["one", "two"]
    assert shown.wants_stop()
