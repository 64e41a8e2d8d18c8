"""Pins down --help: what is written for an option is printed, whole."""

from __future__ import annotations

import pytest
import typer

from masksmith.cli import COMMANDS, build, main


@pytest.mark.parametrize("command", COMMANDS)
def test_each_text_stands_in_the_help(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Words in brackets are styles to the library that prints it, and vanish."""
    monkeypatch.setenv("COLUMNS", "80")
    assert main([command, "--help"]) == 0
    printed = "".join(capsys.readouterr().out.replace("│", "").split())
    group = typer.main.get_command(build())
    texts = [p.help for p in group.commands[command].params if getattr(p, "help", None)]  # type: ignore[attr-defined]
    assert not [text for text in texts if "".join(text.split()) not in printed]
