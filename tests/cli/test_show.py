"""Names of files reach a terminal as text: no letter of theirs drives it."""

from __future__ import annotations

from pathlib import Path

import pytest

from helpers import write_set
from masksmith.cli import main, show

# Clears a screen, and begins a line of its own.
ODD = "a\x1b[2J\nb.png"


def test_messages_and_tables_are_text(capsys: pytest.CaptureFixture[str]) -> None:
    show.Show(quiet=False).message(f"warning: {ODD}")
    show.console().print(show.table(["class", ODD], [[ODD, "0.5"]]))
    said = capsys.readouterr().out.splitlines()
    assert [line.split() for line in said] == [
        ["warning:", "a?[2J", "b.png"],
        ["class", "a?[2J", "b.png"],
        ["a?[2J", "b.png", "0.5"],
    ]


def test_check_and_train_tell_names_as_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = write_set(tmp_path / "data")
    spare = data / "train" / "masks" / ODD
    spare.write_bytes(next((data / "train" / "masks").iterdir()).read_bytes())
    tiny = ["crop=32", "batch_size=2", "model.width=4", "model.depth=3", "device=cpu"]
    for words in (["check", str(data)], ["train", str(data), "-o", str(tmp_path / "run"), "--steps", "2", *tiny]):
        assert main(words) == 0
        assert_text(capsys.readouterr())
    spare.write_bytes(b"no mask")
    (data / "train" / "images" / ODD).write_bytes(b"no picture")
    assert main(["check", str(data)]) == 4
    assert_text(capsys.readouterr())


def assert_text(printed: object) -> None:
    said = f"{getattr(printed, 'out', '')}{getattr(printed, 'err', '')}"
    assert "a?[2J b" in said
    assert "\x1b" not in said
