"""The README's commands and its Python lines run as they stand, with shorter budgets."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from masksmith.cli import main

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
# A budget only sets how long the same commands work.
SHORT = {"2m": "5s", "1m": "5s"}


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    commands = [line.removeprefix("$ ") for block in blocks("console") for line in block.splitlines()]
    ours = [shlex.split(c)[1:] for c in commands if c.startswith("masksmith")]
    assert [words[0] for words in ours] == ["shapes", "check", "plan", "train", "evaluate", "predict", "export"]
    for words in ours:
        assert main([SHORT.get(word, word) for word in words]) == 0, words
    assert len(list((tmp_path / "masks").glob("*_mask.png"))) == len(list((tmp_path / "shapes/test/images").iterdir()))
    (code,) = blocks("python")
    for budget, short in SHORT.items():
        code = code.replace(f'"{budget}"', f'"{short}"')
    capsys.readouterr()
    exec(compile(code, "README.md", "exec"), {})  # noqa: S102 - our own README
    assert re.search(r"0\.\d+ \{'background': .*\} \(96, 96\)", capsys.readouterr().out)
    assert len([line for line in code.splitlines() if line.strip()]) <= 6


def test_make_knows_the_targets_that_the_readme_names() -> None:
    targets = {c.split()[1] for block in blocks("console") for c in re.findall(r"make \w+", block)}
    assert targets == {"demo", "test"}
    for target in [*targets, "check", "docs", "bench", "clean"]:
        done = subprocess.run(
            ["make", "--dry-run", target, f"PYTHON={sys.executable}"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr


def test_the_readme_is_short_and_its_links_lead_somewhere() -> None:
    assert README.count("\n") < 150
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
